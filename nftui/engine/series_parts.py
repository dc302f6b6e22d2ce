"""Series of the parts of a store: each immutable part gives its partial once, and what was asked before is read no more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from nftui.engine import keys, series, top
from nftui.engine.filters import ANY
from nftui.engine.partials import Partials
from nftui.engine.query import Interval, Query
from nftui.engine.segments import TAIL, Part, PartName
from nftui.engine.series import Grid
from nftui.engine.store import Store
from nftui.schema import POLARS

OPEN_QUESTIONS = 8
SPARE_GROUPS = 3
"""An open question's series follows this many times the shown groups, so that a newcomer in the list seldom costs a new pass."""
FEW_PARTS = 8
"""More small parts than this that are new to a series are read in one pass."""
SPREAD_FLOWS = 4_000_000
"""A series looks at no more flows at a time: it holds some 40 octets of each."""

Wanted = dict[PartName, Interval | None]
"""Parts that a question stands on, and the range each must be clipped to: None where all its flows lie inside."""


@dataclass(slots=True, frozen=True)
class _Bulk:
    """A series' partial of many small parts, made in one pass: `key` says of which question."""

    key: tuple[Any, ...]
    names: frozenset[PartName]
    frame: pl.DataFrame


class Spreader:
    """Makes series from parts."""

    def __init__(self, store: Store, partials: Partials | None) -> None:
        """Read from a store.

        Args:
            store: Where the parts are.
            partials: Keeps the partial of each part for the next time; None keeps nothing.
        """
        self._store, self._partials = store, partials
        self._bulk: _Bulk | None = None
        self._followed: OrderedDict[Query, pl.DataFrame] = OrderedDict()

    def series(
        self,
        query: Query,
        wanted: Wanted,
        by_name: dict[PartName, Part],
        grid: Grid,
        shown: pl.DataFrame,
        state: pl.DataFrame,
        read: set[PartName],
    ) -> pl.DataFrame:
        """Return a series: `time`, a column for each shown group, `other`.

        Args:
            query: The question.
            wanted: The parts, and what each must be clipped to.
            by_name: Where they are.
            grid: The bins.
            shown: The groups that are shown, best first.
            state: All groups, of which those next in the list are followed too.
            read: Takes the names of parts that were read.
        """
        followed = self._to_follow(query, shown, state)
        if self._partials is not None:
            frames = self._kept(self._partials, query, wanted, by_name, grid, followed, read)
        else:
            in_order = sorted(wanted, key=lambda name: name.level)
            frames = [
                self._spread(query, parts, clip, grid, followed)
                for clip, parts in self._together([by_name[name] for name in in_order], wanted)
            ]
        return self._binned(query, series.merge([series.nothing(), *frames]), grid, shown, followed)

    def _together(self, parts: list[Part], wanted: Wanted) -> Iterator[tuple[Interval | None, list[Part]]]:
        """Yield parts with the same clip, some small ones at a time, and what they must be clipped to."""
        taken: list[Part] = []
        flows = 0
        for part in parts:
            more = self._store.flow_count([part])
            if taken and (flows + more > SPREAD_FLOWS or wanted[part.name] != wanted[taken[0].name]):
                yield wanted[taken[0].name], taken
                taken, flows = [], 0
            taken.append(part)
            flows += more
        if taken:
            yield wanted[taken[0].name], taken

    def _kept(
        self,
        partials: Partials,
        query: Query,
        wanted: Wanted,
        by_name: dict[PartName, Part],
        grid: Grid,
        followed: pl.DataFrame,
        read: set[PartName],
    ) -> list[pl.DataFrame]:
        """Return the partial of each part, made now or before; the tail's many small parts go together in one pass."""
        about = (query.where, query.keys, query.sampling, query.measure, grid.width, grid.phase, tuple(followed.rows()))
        bulk = self._bulk
        if bulk is None or bulk.key != about or any(wanted.get(name, grid) is not None for name in bulk.names):
            bulk = None
        frames = [bulk.frame] if bulk else []
        missing = []
        for name, clip in wanted.items():
            if bulk and name in bulk.names:
                continue
            key = (name, clip, query.contained and clip is not None, *about)
            frame = partials.get(key)
            if frame is None and (inherited := partials.of_its_parts(key)):
                frame = series.merge(inherited)
                partials.put(key, frame)
            if frame is None:
                missing.append(name)
            else:
                frames.append(frame)
        small = [name for name in missing if name.level == TAIL and wanted[name] is None]
        if bulk is None and len(small) > FEW_PARTS:
            frame = self._spread(query, [by_name[name] for name in small], None, grid, followed)
            self._bulk = _Bulk(about, frozenset(small), frame)
            frames.append(frame)
            read.update(small)
            missing = [name for name in missing if name not in self._bulk.names]
        for name in missing:
            frame = self._spread(query, [by_name[name]], wanted[name], grid, followed)
            partials.put((name, wanted[name], query.contained and wanted[name] is not None, *about), frame)
            frames.append(frame)
            read.add(name)
        return frames

    def _spread(self, query: Query, parts: list[Part], clip: Interval | None, grid: Grid, followed: pl.DataFrame) -> pl.DataFrame:
        columns = top.columns(query, timed=True)
        scans = [self._store.scan(parts, columns)]
        if self._store.flow_count(parts) > SPREAD_FLOWS:
            scans = [
                self._store.scan([part], columns).slice(at, SPREAD_FLOWS)
                for part in parts
                for at in range(0, max(self._store.flow_count([part]), 1), SPREAD_FLOWS)
            ]
        frames = [series.spread(flows, query, clip, grid, followed) for flows in scans]
        return frames[0] if len(frames) == 1 else series.merge(frames)

    def _to_follow(self, query: Query, shown: pl.DataFrame, state: pl.DataFrame) -> pl.DataFrame:
        """Return the keys that a series tells apart, numbered: those shown, and for an open question some more."""
        if not query.keys:
            return pl.DataFrame(schema={"group": pl.Int32})
        now = shown.select(query.keys)
        # Groups that overlap can't be given to the others afterwards, so that there are none to spare.
        if self._partials is None or keys.either(query.keys):
            return numbered_groups(now)
        question = groups_of(query)
        followed = self._followed.get(question)
        if followed is None or now.join(followed, on=list(query.keys), how="anti", nulls_equal=True).height:
            spare = replace(query, limit=None if query.limit is None else query.limit * SPARE_GROUPS)
            best = top.ranked(state, spare, 1).select(query.keys)
            followed = numbered_groups(pl.concat([now, best]).unique(maintain_order=True))
        self._followed[question] = followed
        self._followed.move_to_end(question)
        while len(self._followed) > OPEN_QUESTIONS:
            self._followed.popitem(last=False)
        return followed

    def _binned(self, query: Query, merged: pl.DataFrame, grid: Grid, shown: pl.DataFrame, followed: pl.DataFrame) -> pl.DataFrame:
        """Return the series frame: those followed but not shown go to the others before the rounding."""
        if query.keys:
            numbers = shown.select(query.keys).join(
                followed, on=list(query.keys), how="left", nulls_equal=True, maintain_order="left"
            )
            place = {number: index for index, number in enumerate(numbers["group"].to_list())}
        else:
            place = {0: 0}
        merged = merged.with_columns(
            pl.col("group").replace_strict(list(place), list(place.values()), default=series.OTHER, return_dtype=pl.Int32)
        )
        shown_bins, other = series.bins(merged, grid, len(place))
        times = pl.Series("time", grid.starts(), dtype=pl.Int64).cast(POLARS["flow_start"])
        columns = {f"g{index}": shown_bins[:, index] for index in range(len(place))}
        return pl.DataFrame([times]).with_columns(
            *(pl.Series(name, values, dtype=pl.Int64) for name, values in columns.items()),
            pl.Series("other", other, dtype=pl.Int64),
        )


def groups_of(query: Query) -> Query:
    """Return what questions share that need the same groups."""
    return replace(query, interval=None, limit=None, bins=None, order="octets", ascending=False, having=ANY, only=None)


def numbered_groups(groups: pl.DataFrame) -> pl.DataFrame:
    """Return keys of groups with a number each, `group` (Int32)."""
    return groups.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias("group"))
