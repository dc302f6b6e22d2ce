"""Allocators: both keep little of what was freed, seen in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nftui.allocators import POLARS_OWN, keep_little

LOADED = """
import os
from nftui.allocators import POLARS_OWN, keep_little
keep_little(os.environ)
os.environ[POLARS_OWN] += ",stats_print:true"
import polars
"""
READ = """
import os, sys
from pathlib import Path
from nftui.allocators import FEW_READERS, read_by_few
read_by_few(os.environ)
import polars as pl
paths = [Path(sys.argv[1], f"{number}.arrow") for number in range(200)]
for path in paths:
    pl.DataFrame({"key": range(50)}).write_ipc(path)
scans = [pl.scan_ipc(path, glob=False) for path in paths]
each = pl.collect_all([scan.group_by("key").len() for scan in scans], engine="streaming")
whole = pl.concat(scans).group_by("key").len().collect(engine="streaming")
readers = sum(Path(f"/proc/self/task/{task}/comm").read_text().startswith("tokio") for task in os.listdir("/proc/self/task"))
print(sum(frame.height for frame in each), whole["len"].sum(), readers - len(os.sched_getaffinity(0)) <= FEW_READERS)
"""
FREED = """
from nftui import allocators

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024

allocators.TRIM_PAUSE_S = 0.0
trim = allocators.Trim()
few = trim.look()
burst = [b"." * 60_000 for _ in range(1000)]
last = b"." * 60_000
full = resident()
burst.clear()
freed = resident()
print(few, trim.look(), full - freed, freed - resident())
"""


def _run(program: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != POLARS_OWN} | more
    return subprocess.run(
        [sys.executable, "-c", program, *words], check=True, capture_output=True, text=True, env=environment, timeout=60
    )


def test_the_allocator_of_polars_keeps_little() -> None:
    told = _run(LOADED).stderr
    assert "opt.tcache_max: 4096" in told
    assert "opt.dirty_decay_ms: 200 " in told
    assert f"opt.narenas: {len(os.sched_getaffinity(0))}\n" in told


def test_what_is_set_already_holds() -> None:
    environment = {POLARS_OWN: "narenas:7"}
    keep_little(environment)
    assert environment == {POLARS_OWN: "narenas:7"}
    assert "opt.narenas: 7\n" in _run(LOADED, **environment).stderr


def test_few_threads_read_many_files(tmp_path: Path) -> None:
    done = _run(READ, str(tmp_path))
    assert done.stdout.split() == ["10000", "10000", "True"]
    assert done.stderr == ""


def test_what_a_burst_left_is_given_back() -> None:
    few, free, kept_back, given = map(float, _run(FREED).stdout.split())
    assert few == 0
    assert free > 50e6
    assert (kept_back < 10) and (given > 40)
