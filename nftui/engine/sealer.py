"""Sealing: the tail files of an interval become a segment.

Killed at any moment, the next one finishes what was begun.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import polars as pl

from nftui.engine.leaving import Leaving
from nftui.engine.segments import EXPIRED, SEGMENT, Part, PartName, without_superseded
from nftui.engine.set_aside import SetAside
from nftui.engine.store import Store
from nftui.engine.writer import SEGMENT_FLOWS, remove_temporary, seal
from nftui.units import SECOND

GRACE_S = 5.0
"""How long a sealed tail file stays for readers that listed it."""


class Sealer:
    """Seals the tail of one store.

    Attributes:
        root: The data directory.
        interval: Microseconds of an interval: a segment never reaches over its end.
        made: Segments made so far.
    """

    def __init__(self, root: Path, interval_s: int, set_aside: SetAside | None = None) -> None:
        """Look after a store; the caller holds the right to seal.

        Args:
            root: The data directory.
            interval_s: Seconds of an interval.
            set_aside: Takes what can't be read.
        """
        self.root, self.interval, self.made = root, interval_s * SECOND, 0
        self._store = Store(root)
        self._leaving = Leaving()
        self._set_aside = set_aside or SetAside(root)

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
        if everything:
            self._leaving.remove_all()
        else:
            self._leaving.remove()
        return made

    def recover(self) -> list[Path]:
        """Finish what an earlier run left: remove half-written segments, drop what was superseded, seal the rest."""
        remove_temporary(self._store.flows)
        listed = self._store.listed()
        superseded = set(listed) - set(without_superseded(listed))
        # What a power cut damaged supersedes nothing.
        over = [
            part
            for part in listed
            if part.name.level >= SEGMENT and part.name.is_parquet and any(part.name.covers(one.name) for one in superseded)
        ]
        damaged = [part for part in over if not self._set_aside.opens(part)]
        if damaged:
            listed = self._store.listed()
        current = set(without_superseded(listed))
        for part in sorted(listed, key=lambda part: part.name.level):
            if part.name.level != EXPIRED and part not in current:
                part.path.unlink(missing_ok=True)
        return self.sweep(0, everything=True, check=True)

    def _runs(self) -> list[list[Part]]:
        """Return the runs of tail files not sealed yet, by stream."""
        unsealed = [part for part in self._store.listed_tail() if part.path not in self._leaving]
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
            sound = [part for part in parts if not self._set_aside.look_into(part)]
            if len(sound) == len(parts):
                raise
            return [path for run in self._divided(sound) for path in self._seal(run, check=check)]
        self.made += 1
        self._leaving.add((part.path for part in parts), GRACE_S)
        return made
