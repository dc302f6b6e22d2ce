"""Lists of flow records: the first of them in some order, and what all of them sum to.

Parts are read in the order of what their names promise, so that the newest thousand flows of a long range cost a look at the newest
parts only; and of a part one column is read first, so that the others are read for the few records that are shown.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nftui.engine import instants, ordered, top
from nftui.engine.expressions import columns as filter_columns
from nftui.engine.ground import Ground
from nftui.engine.partials import Partials
from nftui.engine.query import Query
from nftui.engine.segments import TAIL, Part
from nftui.engine.store import Store
from nftui.engine.watch import Watch
from nftui.errors import StoreError
from nftui.schema import POLARS

TAILS_AT_ONCE = 16
"""Tail files that are read in one pass: each holds a moment only."""
SPOOLED_ROWS = 131_072
"""Records of a row group of a temporary file: its statistics say which have any of a window."""
Frames = Callable[[], Iterator[pl.DataFrame]]
Bound = Callable[[Part], int]
_BOUNDS: dict[str, tuple[Bound | None, Bound]] = {
    # A name has no time before 1970.
    "flow_start": (lambda part: part.name.min_start or -(2**63), lambda part: part.name.max_end),
    # A flow that ends before it starts lies at its start, for the names of parts.
    "flow_end": (None, lambda part: part.name.max_end),
    "received": (lambda part: part.name.received_from, lambda part: part.name.received_to),
}
"""Columns, as lists are ordered by them, of which a part's name says the least and the greatest value."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What records sum to, sampling applied; `first` and `last` in microseconds, None where there is no record."""

    octets: int = 0
    packets: int = 0
    flows: int = 0
    sampling: int | None = None
    first: int | None = None
    last: int | None = None

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.octets + other.octets,
            self.packets + other.packets,
            self.flows + other.flows,
            max((one for one in (self.sampling, other.sampling) if one is not None), default=None),
            min((one for one in (self.first, other.first) if one is not None), default=None),
            max((one for one in (self.last, other.last) if one is not None), default=None),
        )


class Lister:
    """Lists the records of a store."""

    def __init__(self, store: Store, partials: Partials | None) -> None:
        """List from a store.

        Args:
            store: Where the parts are.
            partials: Keeps the sums of each part for the next time; None keeps nothing.
        """
        self._store, self._partials = store, partials

    def first(self, query: Query, parts: list[Part], watch: Watch | None = None) -> tuple[pl.DataFrame, Sums]:
        """Return the records of a query, as many as it shows, with the columns that are present; and the sums of all.

        Args:
            query: The question.
            parts: Those of its range.
            watch: Who follows it.
        Raises:
            StoreError: There is no such column to sort by.
            GivenUp: The watch gave it up.
        """
        if query.order not in POLARS:
            raise StoreError(f"flows have no column {query.order!r} to sort by")
        sums = self._sums(query, parts, watch)
        matching = [part for part in parts if sums[part].flows]
        counts = {part: sums[part].flows for part in matching}
        rows = self._all(query, matching) if query.limit is None else self._best(query, counts, query.limit, watch)
        return _present(rows), sum(sums.values(), Sums())

    def ordered(self, query: Query, parts: list[Part], again: Callable[[], list[Part]]) -> tuple[Frames, tuple[str, ...], Sums]:
        """Return what yields the records of a query in their order, the columns that they have, and the sums of all.

        Args:
            query: The question.
            parts: Those of its range.
            again: Lists them anew, when one has vanished.
        Raises:
            StoreError: There is no such column to sort by.
        """
        if query.order not in POLARS:
            raise StoreError(f"flows have no column {query.order!r} to sort by")
        sums = self._sums(query, parts)
        matching = [part for part in parts if sums[part].flows]
        total = sum(sums.values(), Sums())
        if total.flows <= ordered.WINDOW:
            rows = _present(self._all(query, matching))
            limited = rows if query.limit is None else rows.head(query.limit)
            return lambda: iter([limited]), tuple(rows.columns), total
        columns, key = self._columns(query, matching), self._key(query, matching)
        scans = self._store.scans
        if self._store.costs_each_time():
            path = _spooled(self._flows(query, matching, columns))
            matching = [Part(matching[0].name, path)]
            found = ordered.Ordered(query, key, matching, lambda _: pl.scan_parquet(path, glob=False), lambda: matching, scans)
            weakref.finalize(found, path.unlink, missing_ok=True)
        else:
            found = ordered.Ordered(query, key, matching, lambda some: self._flows(query, some, columns), again, scans)
        present = found.present(tuple(name for name in POLARS if name in columns))
        return lambda: found.frames(present), present, total

    def _flows(self, query: Query, parts: Sequence[Part], columns: tuple[str, ...]) -> pl.LazyFrame:
        whole = [part for part in parts if part.name.inside(query.interval)]
        cut = [part for part in parts if not part.name.inside(query.interval)]
        scans = [self._store.scan(whole, columns)] if whole or not cut else []
        if cut:
            scans.append(_within(self._store.scan(cut, columns), query))
        return top.matching(scans[0] if len(scans) == 1 else pl.concat(scans, how="vertical"), query)

    def _sums(self, query: Query, parts: list[Part], watch: Watch | None = None) -> dict[Part, Sums]:
        """Return the sums of each part; those that weren't asked before as many at a time as the store has."""
        keys = {
            part: ("records", part.name, part.name.inside(query.interval) or query, query.where, query.sampling) for part in parts
        }
        known: dict[Part, Sums] = {}
        missing = []
        for part in parts:
            kept = self._partials.get(keys[part]) if self._partials is not None else None
            if kept is None:
                missing.append(part)
            else:
                known[part] = Sums(*kept.row(0))
        for some in self._some(missing, watch):
            known.update(self._sums_of(query, some))
            if self._partials is not None:
                for part in some:
                    self._partials.put(keys[part], pl.DataFrame([astuple(known[part])], orient="row"))
        return known

    def _some(self, parts: list[Part], watch: Watch | None) -> Iterator[list[Part]]:
        """Yield parts, as many at a time as the store has in one plan; for who follows newest first, in steps."""
        if watch is None:
            for at in range(0, len(parts), self._store.scans):
                yield parts[at : at + self._store.scans]
            return
        ground = Ground(self._store, None, dict.fromkeys(part.name for part in parts), {part.name: part for part in parts}, watch)
        for step in ground.steps(ground.wanted):
            # A list tells each part's sums, so that a large part is no less than one step.
            if step.first == 0:
                yield list(step.parts)

    def _sums_of(self, query: Query, parts: list[Part]) -> dict[Part, Sums]:
        """Return the sums of each of some parts, in one pass."""
        columns = top.columns(query, timed=True)
        if len(parts) == 1:
            # Grouped by what is the same for all, the records are held until the last of them has come.
            return {parts[0]: Sums(*self._flows(query, parts, columns).select(_totals(query)).collect(engine="streaming").row(0))}
        scans = [self._flows(query, [part], columns).with_columns(pl.lit(place).alias("part")) for place, part in enumerate(parts)]
        found = pl.concat(scans, how="vertical").group_by("part").agg(_totals(query)).collect(engine="streaming")
        rows = {row[0]: row[1:] for row in found.iter_rows()}
        return {part: Sums(*rows.get(place, ())) for place, part in enumerate(parts)}

    def _columns(self, query: Query, parts: list[Part]) -> tuple[str, ...]:
        """Return the columns that parts have, and those that the question reads although no part has them."""
        return self._store.present(parts, query.order, *instants.COLUMNS, *filter_columns(query.where))

    def _key(self, query: Query, parts: list[Part]) -> pl.Expr:
        """Return what a list is in the order of: of times those that are shown."""
        corrected = query.order in instants.EXPORTED and "clock_correction" in self._store.present(parts)
        return instants.shown(query.order) if corrected else pl.col(query.order)

    def _all(self, query: Query, parts: list[Part]) -> pl.DataFrame:
        flows = self._flows(query, parts, self._columns(query, parts))
        key = self._key(query, parts)
        return flows.sort(key, descending=not query.ascending, nulls_last=True).collect(engine="streaming")

    def _best(self, query: Query, counts: dict[Part, int], limit: int, watch: Watch | None = None) -> pl.DataFrame:
        """Return the first records: part by part, until no other can hold one that comes before the last of them."""
        parts = list(counts)
        columns, key = self._columns(query, parts), self._key(query, parts)
        best = pl.DataFrame(schema={name: POLARS[name] for name in columns})
        edge: int | None = None
        for batch, bound in _batches(query, parts):
            if watch is not None:
                watch.check()
            if edge is not None and bound is not None and (bound > edge if query.ascending else bound < edge):
                break
            full = best.height == limit > 0
            flows = self._flows(query, batch, columns)
            if full:
                flows = flows.filter(_not_behind(query, key, best.tail(1).select(key).item()))
            few = sum(counts[part] for part in batch) <= 4 * limit
            best = _sorted(pl.concat([best, _taken(flows, query, key, limit, few=few)], how="vertical"), query, key).head(limit)
            if best.height == limit > 0 and query.order in _BOUNDS:
                edge = int(best.tail(1).select(key.to_physical()).item())
        if best.height < min(limit, sum(counts.values())):
            without = self._flows(query, parts, columns).filter(key.is_null()).head(limit - best.height)
            best = pl.concat([best, without.collect(engine="streaming")], how="vertical")
        return best


def _batches(query: Query, parts: list[Part]) -> list[tuple[list[Part], int | None]]:
    """Return the parts in the order in which they may hold the first records, and the best value each batch may hold."""
    bound = _BOUNDS.get(query.order, (None, None))[0 if query.ascending else 1]
    if bound is None:
        return [(parts, None)] if parts else []
    batches: list[tuple[list[Part], int | None]] = []
    for part in sorted(parts, key=bound, reverse=not query.ascending):
        batch = batches[-1][0] if batches else []
        if part.name.level == TAIL and batch and batch[0].name.level == TAIL and len(batch) < TAILS_AT_ONCE:
            batch.append(part)
        else:
            batches.append(([part], bound(part)))
    return batches


def _taken(flows: pl.LazyFrame, query: Query, key: pl.Expr, limit: int, *, few: bool) -> pl.DataFrame:
    """Return the first records of some parts that have a value, no more than `limit`; one column first unless there are few."""
    if not few:
        ends = flows.select(key.bottom_k(limit) if query.ascending else key.top_k(limit)).collect(engine="streaming").to_series()
        ends = ends.drop_nulls()
        if ends.is_empty():
            return flows.head(0).collect()
        flows = flows.filter(_not_behind(query, key, ends.max() if query.ascending else ends.min()))
    # Many records may share the last value.
    flows = flows.filter(key.is_not_null())
    taken = flows.bottom_k(limit, by=key) if query.ascending else flows.top_k(limit, by=key)
    return taken.collect(engine="streaming")


def _not_behind(query: Query, key: pl.Expr, edge: Any) -> pl.Expr:
    """Return whether a record comes before a value in the list's order, or has it."""
    last = pl.lit(edge)
    return key <= last if query.ascending else key >= last


def _sorted(frame: pl.DataFrame, query: Query, key: pl.Expr) -> pl.DataFrame:
    return frame.sort(key, descending=not query.ascending, nulls_last=True, maintain_order=True)


def _present(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that any record has a value of."""
    return rows.select(name for name in rows.columns if rows[name].null_count() < rows.height)


def _spooled(flows: pl.LazyFrame) -> Path:
    """Write records to a temporary file that can be looked at again and again, as they come.

    Raises:
        StoreError: There is no room.
    """
    handle, name = tempfile.mkstemp(prefix="nftui-", suffix=".parquet")
    os.close(handle)
    path = Path(name)
    try:
        flows.sink_parquet(path, compression="lz4", statistics=True, row_group_size=SPOOLED_ROWS)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise StoreError(f"{path.parent}: {error.strerror or error}; to be put in order records need room there") from error
        raise
    return path


def _within(flows: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    """Return the flows that lie, at least in part, in the query's range; wholly where it says `contained`."""
    interval = query.interval
    if interval is None:
        return flows
    if query.contained:
        return flows.filter((instants.START > interval.start) & (instants.END < interval.end))
    begun = pl.when(instants.START == instants.END).then(instants.START >= interval.start).otherwise(instants.END > interval.start)
    return flows.filter((instants.START < interval.end) & begun)


def _totals(query: Query) -> list[pl.Expr]:
    """Return the fields of `Sums`."""
    scale = pl.col("sampling_interval").fill_null(1) if query.sampling else pl.lit(1, dtype=pl.Int64)
    return [
        (top.OCTETS * scale).sum(),
        (top.PACKETS * scale).sum(),
        pl.len().cast(pl.Int64).alias("flows"),
        pl.col("sampling_interval").max().alias("sampling"),
        instants.START.min().alias("first"),
        instants.END.max().alias("last"),
    ]
