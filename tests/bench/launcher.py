"""Runs a command, and tells on the last line of stderr what it used. Run as a file: it is kept small on purpose."""

import os
import subprocess
import sys
import time

began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(process.pid, 0)
wall = time.perf_counter() - began
process.returncode = os.waitstatus_to_exitcode(status)
told = f'"wall": {wall:.6f}, "cpu": {used.ru_utime + used.ru_stime:.6f}, "memory": {used.ru_maxrss * 1024}'
print(f'\n{{{told}, "status": {process.returncode}}}', file=sys.stderr)
