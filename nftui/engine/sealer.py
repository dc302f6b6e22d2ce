"""The collector's niced child: makes segments of the tail.

It shares nothing with the collector but files, so that it can be killed at any moment: the next one finishes what was begun. It
ends with its parent.
"""

from __future__ import annotations

import ctypes
import fcntl
import logging
import math
import os
import signal
import sys
import time
from itertools import zip_longest
from pathlib import Path
from types import FrameType

import polars as pl

from nftui.engine.segments import TAIL, Part, PartName, without_superseded
from nftui.engine.store import FILE_MODE, Store, make_folder, scan_part
from nftui.engine.writer import SEGMENT_FLOWS, remove_temporary, seal
from nftui.units import SECOND

PAUSE_S = 0.5
GRACE_S = 5.0
"""How long a sealed tail file stays for readers that listed it."""
NICENESS = 15
_PR_SET_PDEATHSIG = 1
log = logging.getLogger(__name__)


class Sealer:
    """Seals the tail of one store.

    Attributes:
        root: The data directory.
        interval: Microseconds of an interval: a segment never reaches over its end.
    """

    def __init__(self, root: Path, interval_s: int) -> None:
        """Look after a store; the caller holds the right to seal."""
        self.root, self.interval = root, interval_s * SECOND
        self._store = Store(root)
        self._superseded: dict[Path, float] = {}

    def sweep(self, now: int, *, everything: bool = False, check: bool = False) -> list[Path]:
        """Seal what is complete.

        Args:
            now: The time, microseconds: tail files of an earlier interval are complete.
            everything: Seal what is not complete too, at the collector's start and end.
            check: Read every flow on the way: what a power cut left may be damaged.
        Returns:
            The segments made.
        """
        made = []
        runs = self._runs()
        for run, following in zip_longest(runs, runs[1:]):
            # Numbers only grow: a run that another one of its stream follows gets no further files.
            ended = following is not None and following[0].name.stream == run[0].name.stream
            for piece in self._complete(run, now, everything or ended):
                made += self._seal(piece, check=check)
        self._remove(math.inf if everything else time.monotonic())
        return made

    def recover(self) -> list[Path]:
        """Finish what an earlier run left: remove half-written segments, drop what was sealed, seal the rest."""
        remove_temporary(self._store.flows)
        listed = self._store.listed()
        current = set(without_superseded(listed))
        for part in listed:
            if part.name.level == TAIL and part not in current:
                part.path.unlink(missing_ok=True)
        return self.sweep(0, everything=True, check=True)

    def _runs(self) -> list[list[Part]]:
        """Return the runs of tail files not sealed yet, by stream."""
        unsealed = [part for part in self._store.listed_tail() if part.path not in self._superseded]
        return self._divided(sorted(unsealed, key=lambda part: (part.name.stream, part.name.first)))

    def _divided(self, parts: list[Part]) -> list[list[Part]]:
        """Divide parts in sequence into runs: of one stream and one interval, without a gap in their numbers.

        A segment's name says the first and the last number, and supersedes whatever lies between. Receipt may go back, when the
        clock is set or what was held back is released, so an interval's files need not be neighbours.
        """
        runs: list[list[Part]] = []
        for part in parts:
            if runs and self._continues(runs[-1][-1].name, part.name):
                runs[-1].append(part)
            else:
                runs.append([part])
        return runs

    def _continues(self, before: PartName, name: PartName) -> bool:
        return (
            before.stream == name.stream
            and before.last + 1 == name.first
            and before.received_to // self.interval == name.received_to // self.interval
        )

    def _complete(self, parts: list[Part], now: int, ended: bool) -> list[list[Part]]:
        """Divide a run into pieces of a segment's size; the last piece only when the run has ended or its interval is over."""
        pieces, piece, flows = [], [], 0
        for part in parts:
            piece.append(part)
            flows += self._store.flow_count([part])
            if flows >= SEGMENT_FLOWS:
                pieces.append(piece)
                piece, flows = [], 0
        over = ended or parts[0].name.received_to // self.interval < now // self.interval
        return [*pieces, piece] if piece and over else pieces

    def _seal(self, parts: list[Part], *, check: bool) -> list[Path]:
        try:
            made = [seal(self.root, parts, check=check)]
        except pl.exceptions.PolarsError:
            sound = [part for part in parts if not self._set_aside_damaged(part)]
            if len(sound) == len(parts):
                raise
            return [path for run in self._divided(sound) for path in self._seal(run, check=check)]
        due = time.monotonic() + GRACE_S
        self._superseded.update((part.path, due) for part in parts)
        return made

    def _set_aside_damaged(self, part: Part) -> bool:
        try:
            scan_part(part).collect()
        except pl.exceptions.PolarsError as error:
            folder = self.root / "damaged"
            make_folder(folder)
            log.warning("%s is damaged and was set aside in %s: %s", part.path.name, folder, error)
            part.path.rename(folder / part.path.name)
            return True
        return False

    def _remove(self, now: float) -> None:
        for path in [path for path, due in self._superseded.items() if due <= now]:
            path.unlink(missing_ok=True)
            del self._superseded[path]


def run(root: Path, interval_s: int, parent: int) -> int:
    """Seal until told to stop by SIGTERM, or until the parent is gone; then seal what is left.

    Returns:
        The process's exit status.
    """
    die_with_parent(parent)
    os.nice(NICENESS)
    make_folder(root)
    handle = os.open(root / "lock.seal", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    fcntl.flock(handle, fcntl.LOCK_EX)
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sealer = Sealer(root, interval_s)
    sealer.recover()
    while not stopping:
        time.sleep(PAUSE_S)
        try:
            sealer.sweep(time.time_ns() // 1000)
        except OSError as error:
            log.warning("sealing failed, and is tried again: %s", error)
            time.sleep(PAUSE_S * 10)
    sealer.sweep(0, everything=True)
    return 0


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process with its parent, so that never two seal, or write, one store."""
    libc = ctypes.CDLL(None, use_errno=True)
    prctl = getattr(libc, "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s sealer: %(message)s", level=logging.INFO)
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
