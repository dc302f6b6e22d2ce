"""Open questions: merged sums that are brought from the parts they stand on to those wanted now.

Partials of disjoint parts add, so what is new is added and what left the range is taken away. A range that moves costs what
changed; and a question that was given up half-way goes on from there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import polars as pl

from nftui.engine.ground import Ground, Wanted
from nftui.engine.partials import IDLE_S
from nftui.engine.query import Interval
from nftui.engine.segments import TAIL, Part, PartName

OPEN_QUESTIONS, STATES_OCTETS = 16, 192 << 20
"""Questions that stay open, and what their sums may take together; the one asked last may take what it needs."""
MERGE_ROWS, WAITING_OCTETS = 200_000, 64 << 20
"""Partials wait to be merged until they have so many rows, and as many as the sums have or so many octets."""
SLICES, SLICED_ROWS = 16, 1_000_000
"""Sums of more rows are kept in slices, each of which is merged by itself: what a merge takes beside them is a slice then."""
Merge = Callable[[list[pl.DataFrame]], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between the parts that sums stand on and those wanted now.

    Attributes:
        come: New parts.
        gone: Parts that are wanted no more, and what they were clipped to.
        moved: Parts of which another piece is wanted: what they were clipped to, and what they must be clipped to.
    """

    come: Wanted
    gone: Wanted
    moved: dict[PartName, tuple[Interval | None, Interval | None]]


@dataclass(slots=True, eq=False)
class Seen:
    """What an open question has seen so far.

    Attributes:
        about: Which question it is.
        keys: What tells rows of the sums apart, where there may be many.
        interval: The range of the answer before; parts are clipped to it where they reach beyond.
        wanted: The parts that are within the sums.
        parts: Where they are, or were.
        used: When it was asked last, by the monotonic clock.
        whole: Whether these are all that the range has: a question that was given up leaves some out.
    """

    about: Hashable
    keys: tuple[str, ...] = ()
    interval: Interval | None = None
    wanted: Wanted = field(default_factory=dict)
    parts: dict[PartName, Part] = field(default_factory=dict)
    used: float = field(default_factory=monotonic)
    whole: bool = False
    _sums: list[pl.DataFrame] = field(default_factory=list)
    _new: list[pl.DataFrame] = field(default_factory=list)

    @property
    def octets(self) -> int:
        """What the sums take."""
        return sum(int(frame.estimated_size()) for frame in (*self._sums, *self._new))

    @property
    def rows(self) -> int:
        """How many rows have been merged; less than there are where partials wait."""
        return sum(frame.height for frame in self._sums)

    @property
    def waiting(self) -> bool:
        """Whether partials wait to be merged."""
        return bool(self._new)

    def add(self, frames: list[pl.DataFrame], wanted: Wanted, ground: Ground, merge: Merge) -> None:
        """Add sums of parts."""
        self.wanted |= wanted
        self.parts |= {name: ground.parts[name] for name in wanted}
        self._new += frames
        rows = sum(frame.height for frame in self._new)
        if rows > MERGE_ROWS and (rows > self.rows or sum(frame.estimated_size() for frame in self._new) > WAITING_OCTETS):
            self._merge(merge)

    def move(self, change: Change) -> None:
        """Take note of parts that went or moved, whose sums were put right."""
        for name in change.gone:
            del self.wanted[name]
            self.parts.pop(name, None)
        self.wanted |= {name: new for name, (_, new) in change.moved.items()}

    def put_right(self, frames: list[pl.DataFrame], merge: Merge, left: pl.Expr) -> None:
        """Add differences to the sums, and keep the rows of which something is left."""
        self._new += frames
        self._merge(merge)
        for place, frame in enumerate(self._sums):
            self._sums[place] = frame.filter(left)

    def state(self, merge: Merge) -> pl.DataFrame | None:
        """Return the sums of all; None where there are none."""
        self._merge(merge)
        return pl.concat(self._sums, how="vertical") if self._sums else None

    def _merge(self, merge: Merge) -> None:
        new, self._new = self._new, []
        if not new:
            return
        if not self.keys or self.rows + sum(frame.height for frame in new) <= SLICED_ROWS:
            self._sums = [merge([*self._sums, *new])]
            return
        if len(self._sums) < SLICES:
            new, self._sums = [*self._sums, *new], []
        sliced = [[frame] for frame in self._sums] or [[] for _ in range(SLICES)]
        self._sums = []
        while new:
            for slice_, frame in zip(sliced, _slices(new.pop(), self.keys), strict=True):
                slice_.append(frame)
        for place in range(SLICES):
            self._sums.append(merge(sliced[place]))
            sliced[place] = []

    def change(self, wanted: Wanted) -> Change:
        """Return what differs from the parts that are wanted."""
        return Change(
            {name: clip for name, clip in wanted.items() if name not in self.wanted},
            {name: clip for name, clip in self.wanted.items() if name not in wanted},
            {name: (clip, wanted[name]) for name, clip in self.wanted.items() if name in wanted and wanted[name] != clip},
        )

    def rename(self, ground: Ground) -> None:
        """Let new parts take the place of those seen whose flows they hold: these were sealed, or became an hour.

        Parts of one stream are numbered as they are received. A part may hold earlier ones, too: all that there were when the
        last question was asked, and that had no flow in its range, so that clipped to this range the part sums to the same.
        """
        for name in [name for name in ground.wanted if name not in self.wanted and name.level > TAIL]:
            held = sorted((old for old in self.wanted if name.covers(old)), key=lambda old: old.first)
            numbers = sum(old.last - old.first + 1 for old in held)
            if not held or held[-1].last != name.last or numbers != name.last - held[0].first + 1:
                continue
            earlier = held[0].first != name.first
            if earlier and (self.interval is None or not self.whole):
                continue
            if not earlier and not ground.store.counted(ground.parts[name]):
                ground.store.note_count(ground.parts[name], ground.store.flow_count([self.parts[old] for old in held]))
            clipped = earlier or any(self.wanted[old] is not None for old in held)
            for old in held:
                del self.wanted[old]
                self.parts.pop(old, None)
            self.wanted[name] = self.interval if clipped else None
            self.parts[name] = ground.parts[name]


class OpenQuestions:
    """The questions asked last, some of them with more than one range: one beside the range before.

    Several threads may ask at once; what was seen of a question is in the hands of one at a time.
    """

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._taken: list[Seen] = []
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._seen = []

    def spare(self) -> None:
        """Forget the sums that were not used for longest, where all together take too much, or nobody asked for long."""
        with self._lock:
            now, octets = monotonic(), 0
            kept: list[Seen] = []
            for seen in reversed(self._seen):
                octets += seen.octets
                old = octets > STATES_OCTETS or now - seen.used > IDLE_S
                if seen in self._taken or not kept or not old:
                    kept.append(seen)
            self._seen = kept[::-1]

    @contextmanager
    def taken(self, about: Hashable, ground: Ground, keys: tuple[str, ...] = ()) -> Iterator[Callable[[bool], Seen]]:
        """Have a question in hand.

        Args:
            about: Which one.
            ground: What it stands on.
            keys: What tells rows of its sums apart, where there may be many.
        Yields:
            What returns its state: of its ranges the one that has most in common with what is wanted; where told to begin anew,
            or none has anything in common, an empty one.
        """
        mine: list[Seen] = []

        def take(anew: bool = False) -> Seen:
            with self._lock:
                seen = None if anew else self._nearest(about, ground)
                if seen is None:
                    seen = Seen(about, keys)
                    self._seen.append(seen)
                    del self._seen[:-OPEN_QUESTIONS]
                seen.used = monotonic()
                self._taken.append(seen)
                mine.append(seen)
                return seen

        try:
            yield take
        finally:
            with self._lock:
                for seen in mine:
                    self._taken.remove(seen)
            self.spare()

    def _nearest(self, about: Hashable, ground: Ground) -> Seen | None:
        best, shared = None, 0
        for seen in self._seen:
            if seen.about == about and seen not in self._taken:
                seen.rename(ground)
                common = sum(name in seen.wanted for name in ground.wanted)
                if common > shared:
                    best, shared = seen, common
        if best is not None:
            self._seen.remove(best)
            self._seen.append(best)
        return best


def _slices(frame: pl.DataFrame, keys: tuple[str, ...]) -> list[pl.DataFrame]:
    """Return the rows of a frame in `SLICES` frames: those with the same keys in the same one, whichever frame they are of."""
    number = pl.lit(0, pl.UInt64)
    for seed, key in enumerate(keys):
        number = number ^ pl.col(key).hash(seed)
    numbers = frame.select((number % SLICES).cast(pl.UInt8).alias("slice"))["slice"]
    return [frame.filter(numbers == place) for place in range(SLICES)]
