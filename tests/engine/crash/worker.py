"""Does a keeper's work on a store, once for each line of its input, and dies before the system call that the line names.

A line is `WORK STEP ROOT`; the answer is `killed`, or `done` and the number of calls. Runs with `calls.c` preloaded. Each line's
work runs in a fork of this process, which has loaded everything and started nothing, so that it takes no time to start.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from nftui.engine import compaction, keeper, retention, sealer, writer

BASE = 1_700_002_800_000_000
HOUR_US = 3_600_000_000


def seal(root: Path) -> None:
    """Finish what was left, seal all, compact all, and remove what was superseded."""
    one = keeper.Keeper(root, keeper.Keeping(interval_s=300, max_lifespan=0))
    one.recover()
    one.sealer.sweep(0, everything=True)
    while one.compactor.step(BASE + 10 * HOUR_US, 1 << 50):
        pass
    one._leaving.remove_all()


def expire(root: Path) -> None:
    """Finish what was left, have expire what was received in the first hour, and remove it."""
    one = keeper.Keeper(root, keeper.Keeping(interval_s=300, max_lifespan=1 / 24))
    one.retention.recover()
    one.retention.sweep(BASE + 2 * HOUR_US)
    one.retention._remove_hidden(float("inf"))


def main() -> None:
    """Serve lines until the input ends."""
    sealer.SEGMENT_FLOWS, compaction.RUN_OCTETS, compaction.SAMPLE_FLOWS, writer.PACK_FROM = 8, 1500, 2, 3
    retention.EMPTY_FOLDER_S = -1.0
    calls = ctypes.CDLL(None)
    for line in sys.stdin:
        work, step, root = line.split()
        child = os.fork()
        if child == 0:
            calls.crash_before(int(step))
            {"seal": seal, "expire": expire}[work](Path(root))
            os._exit(min(calls.crash_calls(), 255))
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            print("killed", flush=True)
        else:
            print(f"done {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
