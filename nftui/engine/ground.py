"""What an answer stands on, and the steps in which it is read: bounded, newest first, so that a question can be given up."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

import polars as pl

from nftui.engine import top
from nftui.engine.query import Interval, Query
from nftui.engine.segments import TAIL, Part, PartName
from nftui.engine.store import Store
from nftui.engine.watch import Watch

STEP_S = 0.08
"""Seconds that a step should take: a question that was given up ends about so late."""
FIRST_STEP, LEAST_STEP, MOST_STEP = 1_000_000, 131_072, 8_000_000
"""Flows of a step."""
FEW_PARTS, FEW_OCTETS = 8, 32 << 20
"""What came since the last question, a second ago, is no more than that."""

Wanted = dict[PartName, Interval | None]
"""Parts that a question stands on, and the range each must be clipped to: None where all its flows lie inside."""


@dataclass(frozen=True, slots=True)
class Step:
    """Some flows that are read in one go.

    Attributes:
        clip: What they must be clipped to.
        parts: Where they are.
        first: Place of the first of them, where it is a piece of a single part.
        count: How many of that part; None for all of all parts.
        last: Whether the parts are read to their end with this step.
    """

    clip: Interval | None
    parts: tuple[Part, ...]
    first: int = 0
    count: int | None = None
    last: bool = True

    def scan(self, ground: Ground, columns: tuple[str, ...]) -> pl.LazyFrame:
        """Return the flows."""
        if self.held(ground):
            return pl.concat([ground.held[part.name].select(columns) for part in self.parts]).lazy()
        flows = ground.store.scan(list(self.parts), columns)
        return flows if self.count is None else flows.slice(self.first, self.count)

    def held(self, ground: Ground) -> bool:
        """Return whether the flows were read already."""
        return self.count is None and all(part.name in ground.held for part in self.parts)

    def counted(self, ground: Ground, query: Query, *, timed: bool) -> pl.LazyFrame:
        """Return what the flows count, as `top.counted`: made once for groups and series, where they were read already."""
        if not self.held(ground):
            return top.counted(self.scan(ground, top.columns(query, timed or self.clip is not None)), query, self.clip, timed)
        about = (tuple(part.name for part in self.parts), self.clip, query.keys, query.where, query.sampling, query.contained)
        if (found := ground.made.get(about)) is None:
            flows = top.counted(self.scan(ground, top.columns(query, timed=True)), query, None, timed=True)
            found = ground.made[about] = top.clipped(flows.collect(engine="streaming"), query, self.clip)
        return found.lazy()


@dataclass(slots=True)
class Ground:
    """The parts of one answer.

    Attributes:
        store: Where they are.
        interval: The range that was asked for, None for all.
        wanted: The parts, and what each must be clipped to.
        parts: Where each is.
        watch: Who follows; None reads in as few steps as there can be.
        read: Takes the names of parts that were read.
        held: Flows of parts that came since the last question.
        made: Takes what flows count that was made for this answer alone, and serves its groups and its series.
        at, until: The shares that `watch` is told at the beginning and at the end of a pass.
    """

    store: Store
    interval: Interval | None
    wanted: Wanted
    parts: dict[PartName, Part]
    watch: Watch | None = None
    read: set[PartName] = field(default_factory=set)
    held: dict[PartName, pl.DataFrame] = field(default_factory=dict)
    made: dict[Hashable, pl.DataFrame] = field(default_factory=dict)
    at: float = 0.0
    until: float = 1.0
    _flows: int = field(default_factory=lambda: FIRST_STEP)

    @classmethod
    def of(cls, store: Store, interval: Interval | None, parts: list[Part], watch: Watch | None) -> Ground:
        """Return what an answer for a range stands on."""
        wanted: Wanted = {part.name: None if part.name.inside(interval) else interval for part in parts}
        return cls(store, interval, wanted, {part.name: part for part in parts}, watch)

    def hold_new(self, columns: tuple[str, ...]) -> None:
        """Read what is new, where that is little, once for all: how many flows there are, for groups and for a series."""
        new = [part for part in self.parts.values() if part.name.level == TAIL and not self.store.counted(part)]
        if not 0 < len(new) <= FEW_PARTS or self.store.octets(new) > FEW_OCTETS:
            return
        frames = pl.collect_all([self.store.scan([part], columns) for part in new], engine="streaming")
        for part, frame in zip(new, frames, strict=True):
            self.store.note_count(part, frame.height)
            self.held[part.name] = frame

    @property
    def due(self) -> bool:
        """Whether what was read so far should be told now."""
        return self.watch is not None and self.watch.due

    def check(self) -> None:
        """End where the question was given up.

        Raises:
            GivenUp: It was.
        """
        if self.watch is not None:
            self.watch.check()

    def count(self, wanted: Wanted) -> int:
        """Return how many flows some parts have."""
        return self.store.flow_count([self.parts[name] for name in wanted if name in self.parts])

    def share(self, seen: Wanted) -> float:
        """Return what share of the flows are in parts that were seen, 0 to 1."""
        return self.count(seen) / max(self.count(self.wanted), 1)

    def steps(self, wanted: Wanted, most: int | None = None) -> Iterator[Step]:
        """Yield what is to be read of some parts, newest first, and take the time that each step takes.

        Args:
            wanted: The parts, and what each must be clipped to.
            most: Flows that no step may exceed where there is nobody who follows; None for no bound.
        Raises:
            GivenUp: The question was given up.
        """
        whole, done = max(self.count(wanted), 1), 0
        for step in self._divided(wanted, most):
            self.check()
            began = perf_counter()
            yield step
            took = max(perf_counter() - began, 0.001)
            flows = self.store.flow_count(list(step.parts)) if step.count is None else step.count
            done += flows
            if step.last:
                self.read.update(part.name for part in step.parts)
            if self.watch is not None:
                self.watch.share = self.at + (self.until - self.at) * min(done / whole, 1.0)
                paced = int(max(flows, LEAST_STEP) * STEP_S / took)
                self._flows = min(max(paced, self._flows // 2, LEAST_STEP), self._flows * 2, MOST_STEP)
        self.check()

    def _divided(self, wanted: Wanted, most: int | None) -> Iterator[Step]:
        pending: dict[Interval | None, tuple[list[Part], int]] = {}
        for name in sorted(wanted, key=lambda name: (name.received_to, name.level), reverse=True):
            part, clip = self.parts[name], wanted[name]
            bound = self._flows if self.watch is not None else most
            if bound is None:
                pending.setdefault(clip, ([], 0))[0].append(part)
                continue
            flows = self.store.flow_count([part])
            taken, held = pending.get(clip, ([], 0))
            if taken and held + flows > bound:
                yield Step(clip, tuple(taken))
                taken, held = [], 0
            pending[clip] = [*taken, part], held + flows
            if flows > bound * 3 // 2:
                del pending[clip]
                yield from self._pieces(part, clip, flows, most)
        for clip, (taken, _) in pending.items():
            yield Step(clip, tuple(taken))

    def _pieces(self, part: Part, clip: Interval | None, flows: int, most: int | None) -> Iterator[Step]:
        """Yield the pieces of a large part."""
        at = 0
        while at < flows:
            bound = self._flows if self.watch is not None else most or flows
            count = bound if flows - at > bound * 3 // 2 else flows - at
            yield Step(clip, (part,), at, count, at + count == flows)
            at += count
