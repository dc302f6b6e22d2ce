"""The back end for a store on this machine: Polars over segments and tail, streaming.

A question asked once reads all its parts in one pass. A question asked again (`keep`) costs what is new: an open question keeps the
merged sums of the parts it has seen, and moves along with its range. One that somebody follows is read in steps, newest parts
first: it tells what it knows so far, and ends at its next step when it is given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from nftui.engine import keys, top
from nftui.engine.account import Account, AccountReader, dropped_packets
from nftui.engine.addresses import address_octets
from nftui.engine.edge_flows import EdgeFlows
from nftui.engine.filters import ANY
from nftui.engine.ground import Ground, Step, Wanted
from nftui.engine.group_parts import Grouper, SoFar, empty_groups, groups_of
from nftui.engine.matrix import ENDS, pairs_of
from nftui.engine.ordered import Records
from nftui.engine.partials import Partials
from nftui.engine.query import EACH_WAY, Answer, Coverage, Folding, Interval, Kind, Query, Totals
from nftui.engine.records import Lister
from nftui.engine.segments import TAIL, Part, PartName
from nftui.engine.series import Grid
from nftui.engine.series_parts import Spreader, numbered_groups
from nftui.engine.store import Store
from nftui.engine.watch import Watch
from nftui.errors import SegmentError, StoreError
from nftui.units import SECOND

PARTIALS_OCTETS = 64 << 20
FEW_RECORDS = 100_000
"""Up to so many records are held all at once."""
ATTEMPTS = 4

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class _Last:
    """The groups of the last question that was asked once.

    Attributes:
        about: Which question.
        groups: Merged sums of groups.
        sums: Where groups overlap, what the flows sum to, in some rows.
    """

    about: tuple[Any, ...]
    groups: pl.DataFrame
    sums: list[pl.DataFrame]


class LocalBackEnd:
    """Answers queries from a store on this machine; several threads may ask at once where partials are kept.

    Attributes:
        store: The store that is read.
    """

    def __init__(self, root: Path | Store, *, keep: bool = True) -> None:
        """Open a store for reading; it may be empty, or not exist yet.

        Args:
            root: The data directory; or files that are read as a store is.
            keep: Whether partials are kept for questions asked again, as a screen does.
        """
        self.store = root if isinstance(root, Store) else Store(root)
        self._accounts = AccountReader(self.store)
        self._keep = keep
        self._partials = Partials(PARTIALS_OCTETS)
        self._lister = Lister(self.store, self._partials if keep else None)
        edges = EdgeFlows()
        self._grouper, self._spreader = Grouper(edges), Spreader(edges if keep else None)
        self._last: _Last | None = None

    def status(self) -> dict[str, Any] | None:
        """Return the collector's last status, unchecked; None where there is none."""
        return self.store.status()

    def account(self) -> Account:
        """Return all that the collector says of itself, unchecked."""
        return self._accounts.account()

    def held(self) -> Interval | None:
        """Return the range of flow times that the store holds, by the names of its files."""
        return _held(self.store.parts())

    def answer(self, query: Query, watch: Watch | None = None) -> Answer:
        """Answer a question.

        Args:
            query: The question.
            watch: Who follows it; it is read in steps then, which takes a little longer.
        Raises:
            StoreError: The store can't be read. A file of it that can't be opened is passed over, and named in the coverage.
            GivenUp: As the watch says; asked again it goes on from there.
        """
        began = time.perf_counter()
        return self._attempted(lambda: self._answer(query, began, watch))

    def records(self, query: Query) -> Records:
        """Return flow records to be read in order, as many as there are, in bounded memory.

        Args:
            query: Of kind FLOWS.
        Raises:
            StoreError: As `answer`; reading the frames may raise it, too.
        """
        began = time.perf_counter()
        if query.limit is not None and query.limit <= FEW_RECORDS:
            answer = self.answer(query)
            frame = answer.flows
            assert frame is not None
            return Records(
                query, tuple(frame.columns), frame.height, answer.total, answer.coverage, answer.interval, lambda: iter([frame])
            )
        return self._attempted(lambda: self._records(query, began))

    def _records(self, query: Query, began: float) -> Records:
        parts = self.store.parts(query.interval)
        held = _held(parts)
        frames, columns, sums = self._lister.ordered(query, parts, lambda: self.store.parts(query.interval))
        coverage = self._coverage(query, parts, held, {part.name for part in parts}, began, (sums.sampling or 1) > 1)
        count = sums.flows if query.limit is None else min(sums.flows, query.limit)
        total = Totals(sums.octets, sums.packets, sums.flows)
        return Records(query, columns, count, total, coverage, query.interval or held, frames)

    def _attempted(self, ask: Callable[[], T]) -> T:
        for attempt in range(ATTEMPTS):
            broken = len(self.store.broken)
            try:
                return ask()
            except (FileNotFoundError, SegmentError, pl.exceptions.PolarsError) as error:
                # A part was superseded between listing and reading; what is really damaged fails again.
                self._grouper.clear()
                self._spreader.clear()
                looked = attempt > 0 and not isinstance(error, FileNotFoundError)
                # Another thread may have found meanwhile which part it is.
                known = not looked or self.store.find_broken() or len(self.store.broken) > broken
                if attempt == ATTEMPTS - 1 or not known:
                    reason = str(error).split("\n", 1)[0]
                    raise StoreError(f"{self.store.root}: {reason}") from error
        raise AssertionError("unreachable")

    def _answer(self, query: Query, began: float, watch: Watch | None) -> Answer:
        parts = self.store.parts(query.interval)
        if query.kind is Kind.FLOWS:
            return self._list_flows(query, parts, _held(parts), began, watch)
        ground = Ground.of(self.store, query.interval, parts, watch)
        interval = query.interval or _held(parts) or Interval(0, 1)
        grid = Grid(interval, query.bins) if query.bins else None
        if grid:
            ground.until = 0.5
        if self._keep:
            ground.hold_new(top.columns(query, timed=True))

        def tell(state: pl.DataFrame, seen: Wanted, frame: pl.DataFrame | None = None) -> None:
            answer = self._finished(query, state, ground, began, grid, frame)
            # What was read so far begins where it does, so that rates are those of that time.
            first = max(interval.start, min(name.min_start for name in seen)) if frame is None else answer.first
            told = replace(answer, first=first, coverage=replace(answer.coverage, partial=ground.share(seen)))
            if watch is not None:
                watch.tell(told)

        either = keys.either(query.keys)
        state = self._groups(query, ground, None if either else tell)
        if grid is None:
            return self._finished(query, state, ground, began, None, None)
        groups = top.told(state, query)
        ground.at, ground.until = 0.5, 1.0
        frame = self._spreader.series(
            query,
            ground,
            grid,
            self._shown(query, groups, interval),
            groups,
            None if either else lambda some, seen: tell(state, seen, some),
        )
        return self._finished(query, state, ground, began, grid, frame)

    def _shown(self, query: Query, groups: pl.DataFrame, interval: Interval) -> pl.DataFrame:
        return top.ranked(groups, query, interval.length) if query.only is None else top.named(groups, query)

    def _finished(
        self,
        query: Query,
        state: pl.DataFrame,
        ground: Ground,
        began: float,
        grid: Grid | None,
        series: pl.DataFrame | None,
    ) -> Answer:
        """Return the answer that groups and series make."""
        parts = list(ground.parts.values())
        interval = query.interval or _held(parts) or Interval(0, 1)
        groups = top.told(state, query)
        shown = self._shown(query, groups, interval)
        total = self._total(query, state, ground)
        covered = None
        if keys.either(query.keys):
            covered = self._covered(query, ground, shown) if query.only is not None or shown.height < state.height else total
        first, last = self._reach(query, parts, state)
        sampled = bool((state["sampling"].max() or 1) > 1) if state.height else False  # type: ignore[operator]
        coverage = self._coverage(query, parts, _held(parts), ground.read, began, sampled)
        return Answer(
            query=query,
            groups=self._dressed(shown, query),
            total=total,
            group_count=groups.height,
            coverage=coverage,
            series=series,
            bin_width=grid.width if grid else 0,
            first=first,
            last=last,
            interval=interval,
            covered=covered,
            left_out=state.height - groups.height,
        )

    # -- groups

    def _groups(self, query: Query, ground: Ground, so_far: SoFar | None = None) -> pl.DataFrame:
        timed = top.timed(query) or (not query.keys and query.where != ANY)
        if not self._keep and query.keys:
            return self._once(query, ground, timed)
        if not self._keep:
            return self._in_one_pass(query, ground, timed)
        if not query.keys and timed:
            # Its times can't be taken away from the whole, and a row for each part is little to keep.
            return top.merge([empty_groups(query, timed), *self._each(query, ground)], query)
        return self._grouper.groups(query, ground, timed=timed, so_far=so_far)

    def _total(self, query: Query, state: pl.DataFrame, ground: Ground) -> Totals:
        """Return what all flows sum to: groups that overlap don't add up to it."""
        frames = [state]
        if keys.either(query.keys) and self._last is not None:
            frames = self._last.sums
        elif keys.either(query.keys):
            frames = [self._groups(replace(groups_of(query), keys=(), times=False), ground)]
        rows = (frame.select(pl.col(top.SUMS).sum()).row(0) for frame in frames)
        return sum((Totals(*(int(value or 0) for value in row)) for row in rows), start=Totals())

    def _each(self, query: Query, ground: Ground) -> list[pl.DataFrame]:
        """Return the timed partial of each part, made now or before."""
        partials, missing = [], Wanted()
        for name, clip in ground.wanted.items():
            key = _key(query, name, clip)
            partial = self._partials.get(key)
            if partial is None and (inherited := self._partials.of_its_parts(key)):
                partial = top.merge(inherited, query)
                self._partials.put(key, partial)
            if partial is None:
                missing[name] = clip
            else:
                partials.append(partial)
        columns = top.columns(query, timed=True)
        for step in ground.steps(missing):
            alone = [Step(step.clip, (part,)) for part in step.parts] if step.count is None else [step]
            scans = [one.scan(ground, columns) for one in alone]
            frames = pl.collect_all([top.groups(flows, query, step.clip, timed=True) for flows in scans], engine="streaming")
            partials += frames
            if step.count is None:
                for part, frame in zip(step.parts, frames, strict=True):
                    self._partials.put(_key(query, part.name, step.clip), frame)
        return partials

    def _once(self, query: Query, ground: Ground, timed: bool) -> pl.DataFrame:
        """Return groups in one pass, or those of the question before, which may have asked for another order of the same."""
        about = (groups_of(query), timed, tuple(ground.wanted.items()))
        if self._last is None or self._last.about != about:
            self._last = None
            sums: list[pl.DataFrame] = []
            groups = self._in_one_pass(query, ground, timed, sums if keys.either(query.keys) else None)
            self._last = _Last(about, groups, sums)
        else:
            ground.read.update(ground.wanted)
        return self._last.groups

    def _in_one_pass(self, query: Query, ground: Ground, timed: bool, sums: list[pl.DataFrame] | None = None) -> pl.DataFrame:
        """Return groups of all parts; `sums` takes what the flows sum to, in as many rows as there are passes."""
        ground.read.update(ground.wanted)
        partials = [empty_groups(query, timed)]
        for clip, names in _passes(ground.wanted):
            flows = self.store.scan([ground.parts[name] for name in names], top.columns(query, timed or clip is not None))
            frames = top.groups_and_total(flows, query, clip, timed)
            if sums is None:
                partials.append(frames[0].collect(engine="streaming"))
            else:
                partial, whole = pl.collect_all(frames, engine="streaming")
                partials.append(partial)
                sums.append(whole)
        partials = [partial for partial in partials[1:] if partial.height] or partials[:1]
        return top.merge(partials, query)

    def _covered(self, query: Query, ground: Ground, shown: pl.DataFrame) -> Totals:
        """Return what the flows sum to that stand in the shown groups of an either-side key, each once."""
        key, values = query.keys[0], address_octets(shown)[query.keys[0]].to_list()
        if self._keep and len(query.keys) == 1 and key in ENDS and values and None not in values:
            # Those with a value at each end stand in two; of these the sums move along with the range.
            pairs = self._groups(pairs_of(query, key, tuple(values)), ground)
            twice = pairs.filter(pl.col(ENDS[key].keys[0]) != pl.col(ENDS[key].keys[1]))
            sums, again = (Totals(*frame.select(pl.col(top.SUMS).sum()).row(0)) for frame in (shown, twice))
            return sums - again
        followed = numbered_groups(shown.select(query.keys))
        about = ("covered", query.where, query.keys, query.sampling, query.contained, tuple(followed.rows()))
        sums = Totals()
        new: Wanted = {}
        for name, clip in ground.wanted.items():
            kept = self._partials.get((name, clip, *about)) if self._keep else None
            if kept is None:
                new[name] = clip
            else:
                sums += Totals(*kept.row(0))
        for clip, names in [(clip, [name]) for name, clip in new.items()] if self._keep else _passes(new):
            ground.check()
            flows = self.store.scan([ground.parts[name] for name in names], top.columns(query, clip is not None))
            frame = top.covered(flows, query, clip, followed).collect(engine="streaming")
            sums += Totals(*frame.row(0))
            if self._keep:
                self._partials.put((names[0], clip, *about), frame)
        return sums

    # -- flow records

    def _list_flows(self, query: Query, parts: list[Part], held: Interval | None, began: float, watch: Watch | None) -> Answer:
        rows, sums = self._lister.first(query, parts, watch)
        return Answer(
            query=query,
            groups=pl.DataFrame(schema=dict.fromkeys(top.SUMS, pl.Int64)),
            total=Totals(sums.octets, sums.packets, sums.flows),
            group_count=0,
            coverage=self._coverage(query, parts, held, {part.name for part in parts}, began, (sums.sampling or 1) > 1),
            flows=rows,
            first=sums.first,
            last=sums.last,
            interval=query.interval or held,
        )

    # -- both

    def _dressed(self, shown: pl.DataFrame, query: Query) -> pl.DataFrame:
        frame = address_octets(shown)
        ways = EACH_WAY if query.folding is not Folding.NONE else ()
        times = [pl.col("start").alias("first"), pl.col("end").alias("last")] if query.times else []
        return frame.select(*query.keys, *top.SUMS, *ways, *times)

    def _reach(self, query: Query, parts: list[Part], state: pl.DataFrame) -> tuple[int | None, int | None]:
        """Return the first start and last end: from the names where that is exact, else from the flows where they were read."""
        if "start" in state.columns:
            return state["start"].min(), state["end"].max()  # type: ignore[return-value]
        if query.where != ANY or not parts:
            return None, None
        first = min(part.name.min_start for part in parts)
        last = max(part.name.max_end for part in parts)
        if query.interval is None:
            return first, last
        return max(first, query.interval.start), min(last, query.interval.end)

    def _coverage(
        self, query: Query, parts: list[Part], held: Interval | None, read: set[PartName], began: float, sampled: bool
    ) -> Coverage:
        status = self.store.status() or {}
        return Coverage(
            asked=query.interval,
            held=held,
            parts=len(parts),
            parts_read=len(read),
            flows_scanned=self.store.flow_count(parts),
            octets_read=self.store.octets([part for part in parts if part.name in read]),
            seconds=time.perf_counter() - began,
            sampled=sampled,
            settling_from=_settling(status, query.interval),
            drops=_count(status, "drops") + dropped_packets(status),
            lost=_count(status, "sequence_lost"),
            unread=self.store.unread(),
        )


def _key(query: Query, name: PartName, clip: Interval | None) -> tuple[Any, ...]:
    return (name, clip, query.where, query.keys, query.sampling, query.contained and clip is not None)


def _passes(wanted: Wanted) -> list[tuple[Interval | None, list[PartName]]]:
    """Return what can be read in one pass each: the tail first, as its files are the first to go."""
    passes: dict[tuple[bool, Interval | None], list[PartName]] = {}
    for name, clip in wanted.items():
        passes.setdefault((name.level > TAIL, clip), []).append(name)
    return [(clip, names) for (_, clip), names in sorted(passes.items(), key=lambda item: item[0][0])]


def _held(parts: list[Part]) -> Interval | None:
    if not parts:
        return None
    return Interval(min(part.name.min_start for part in parts), max(part.name.max_end for part in parts) + 1)


def _settling(status: dict[str, Any], interval: Interval | None) -> int | None:
    """Return the time before which, by watermarks of exporters and timeouts of probes, all but few flows have come.

    Returns:
        Microseconds; None where the range ends before.
    """
    now, exporters = status.get("now"), status.get("exporters")
    if status.get("running") is not True or not isinstance(now, int) or not isinstance(exporters, list):
        return None
    probes = status.get("probes")
    marks = [one.get("watermark_s") for one in exporters if isinstance(one, dict)]
    marks += [one.get("active") for one in probes if isinstance(one, dict)] if isinstance(probes, list) else []
    latest = max((float(mark) for mark in marks if isinstance(mark, int | float) and mark > 0), default=None)
    if latest is None:
        return None
    settling = int(max(now - latest * SECOND, 0))
    return settling if interval is None or settling < interval.end else None


def _count(status: dict[str, Any], name: str) -> int:
    value = status.get(name, 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
