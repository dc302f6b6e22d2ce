"""Kills collectors and their keepers at random moments under load, and looks whether a flow was lost or counted twice.

python -m tests.real.kills --times 200
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nftui.engine import keeper as keeping
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Kind, Query, Totals
from nftui.engine.segments import HOUR
from nftui.engine.store import Store
from tests.running import Collecting, collecting, free_port, netflow5, wait_for

SMALL = "from nftui.engine import compaction\ncompaction.PIECE_FLOWS, compaction.GRACE_S = 50_000, 2.0\n"
"""Python runs this in each process first: pieces of some seconds of flows, so that kills meet compaction and what follows it."""
LAST_SECOND = 1.2
"""Flows received so shortly before a kill may be in no file yet."""
FIRST_MOMENT = 0.15
"""Flows sent so shortly after a collector began may have come before its socket."""


class Load(threading.Thread):
    """Sends flows, each of a number of its own, and remembers when."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.over = port, threading.Event()
        self.sent: list[tuple[float, int]] = []

    def run(self) -> None:
        """Send until told that it is over."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            number = 0
            while not self.over.wait(0.01):
                for _ in range(10):
                    try:
                        sender.sendto(netflow5(number, 30, time.time()), ("127.0.0.1", self.port))
                    except ConnectionRefusedError:
                        continue
                    self.sent.append((time.monotonic(), number))
                    number += 30

    def until(self, moment: float) -> int:
        """Return the number of the first flow sent after a moment."""
        return next((number for when, number in self.sent if when > moment), self.sent[-1][1])


@dataclass(frozen=True)
class Outcome:
    """What the kills did.

    Attributes:
        kills: How often a process was killed.
        sent: Flows that were sent.
        stored: Flows in the store at the end.
        hours: Compacted segments among its files.
    """

    kills: int
    sent: int
    stored: int
    hours: int


def kill(root: Path, times: int, seed: int) -> Outcome:
    """Kill collectors and keepers under load, in turn.

    Raises:
        AssertionError: A flow was lost that was sent more than a moment before a kill, one was counted twice, or a total changed
            while what a kill left was made good.
    """
    chance = random.Random(seed)
    load = Load(free_port())
    first = root.parent / "first"
    first.mkdir()
    (first / "sitecustomize.py").write_text(SMALL)
    hours = 0
    periods = []
    done = 0
    while done < times:
        collector = Collecting(root, "--interval", "2", port=load.port, env={"PYTHONPATH": str(first)})
        began = time.monotonic()
        if not load.sent:
            load.start()
            wait_for(lambda: load.sent)
        for _ in range(chance.randrange(3)):
            time.sleep(chance.random())
            done += _kill_keeper(collector)
        time.sleep(1.6 + chance.random())
        ended = time.monotonic()
        child = _keeper(collector)
        collector.kill()
        done += 1
        _gone(child)
        before = _total(root)
        # What the next start does first, at this very moment.
        one = keeping.Keeper(root, keeping.Keeping(interval_s=2, max_lifespan=0))
        one.recover()
        assert _total(root) == before, f"kill {done}: {before} became {_total(root)}"
        hours = max(hours, sum(part.name.level == HOUR for part in Store(root).parts()))
        periods.append((load.until(began + FIRST_MOMENT), load.until(ended - LAST_SECOND)))
    load.over.set()
    load.join()
    with collecting(root, port=load.port):
        pass
    assert not list((root / "tail").iterdir())
    flows = LocalBackEnd(root).answer(Query(kind=Kind.FLOWS, limit=None, order="octets")).flows
    assert flows is not None
    _nothing_missing(flows["octets"], periods)
    return Outcome(done, load.sent[-1][1] + 30, flows.height, hours)


def _nothing_missing(numbers: pl.Series, periods: list[tuple[int, int]]) -> None:
    assert numbers.n_unique() == numbers.len(), "a flow is there twice"
    for first, last in periods:
        assert last >= first
        there = numbers.filter(numbers.is_between(first, last - 1))
        missing = last - first - there.len()
        assert missing == 0, f"of {first} to {last}, {missing} are missing; {there.max()} is there"


def _total(root: Path) -> Totals:
    return LocalBackEnd(root, keep=False).answer(Query()).total


def _keeper(collector: Collecting) -> int | None:
    children = Path(f"/proc/{collector.process.pid}/task/{collector.process.pid}/children").read_text().split()
    return int(children[0]) if children else None


def _kill_keeper(collector: Collecting) -> int:
    child = _keeper(collector)
    if child is None:
        return 0
    os.kill(child, signal.SIGKILL)
    return 1


def _gone(pid: int | None) -> None:
    """Wait until a process that dies with its parent is dead."""
    if pid is not None:
        wait_for(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])


def main() -> None:
    """Kill as often as the command line says, and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        outcome = kill(Path(folder) / "store", options.times, options.seed)
    print(
        f"{outcome.kills} kills in {time.monotonic() - began:.0f} s: {outcome.sent:,} flows sent, {outcome.stored:,} stored, "
        f"{outcome.hours} compacted segments; none twice, none missing but of the last {LAST_SECOND} s before a kill, "
        "no total changed"
    )


if __name__ == "__main__":
    main()
