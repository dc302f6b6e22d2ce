"""All records of a question in an order, some at a time: however many there are, memory holds a window of them.

The values of the order's column are divided into windows of a bounded number of records; each window is read from the parts that
have any of it, sorted and handed over. What the parts hold of the column is looked at first: one column, counted in buckets, and
those that are too full once more in finer ones. *Not taken*: a sort of everything, which holds all columns of all records, or
spills them to a disk that the reader need not have.

A time column costs little, as parts are made in the order of receipt. By any other column each window has to look at all parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import polars as pl

from nftui.engine import keys
from nftui.engine.query import Coverage, Interval, Query, Totals
from nftui.engine.segments import Part
from nftui.errors import StoreError
from nftui.schema import POLARS

WINDOW = 200_000
"""Records of a window: some 250 octets each, and as much again while they are read and sorted."""
BUCKETS = 1 << 14
ATTEMPTS = 4

Scan = Callable[[list[Part]], pl.LazyFrame]
"""Returns the matching records of some parts, with the columns that are listed."""


@dataclass(frozen=True, slots=True)
class Window:
    """Values from `low` to `high`, both inside, and how many records have one; None for records that have none."""

    low: int | None
    high: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Records:
    """Records to be read in their order, once or again.

    Attributes:
        query: The question.
        columns: Those that any record has, in the schema's order.
        flows: How many records `frames` yields, unless more come or go meanwhile.
        total: Sums over all matching records, whatever the limit.
        coverage: What they stand on.
        frames: Yields them in order, in frames of at most some hundred thousand, with `columns`.
    """

    query: Query
    columns: tuple[str, ...]
    flows: int
    total: Totals
    coverage: Coverage
    interval: Interval | None
    frames: Callable[[], Iterator[pl.DataFrame]]


class Ordered:
    """The records of some parts in order.

    What is superseded while they are read is looked for again: a window is read whole or not at all, so no record is missed or
    comes twice; records that are received meanwhile may be among those of later windows.
    """

    def __init__(
        self, query: Query, by: pl.Expr, parts: list[Part], scan: Scan, again: Callable[[], list[Part]], scans: int
    ) -> None:
        """Look at what the parts hold of the order's column.

        Args:
            query: For order, direction and limit.
            by: What stands in the order's column, or that as it is shown.
            parts: Those that hold matching records.
            scan: Reads them.
            again: Lists the parts anew, when one has vanished.
            scans: Parts that one plan may scan by themselves.
        """
        self._query, self._by, self._scan, self._again, self._scans = query, by, scan, again, scans
        self._key = _number(query.order, by)
        self._look(parts)

    def present(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns that any record has a value of."""
        if not columns:
            return ()
        found = self._scan(self._parts).select(pl.col(columns).is_not_null().any()).collect(engine="streaming")
        return tuple(name for name in columns if found[name].item())

    def frames(self, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
        """Yield the records, as many as the query shows, with these columns.

        Raises:
            StoreError: Parts vanish again and again.
        """
        left = self._query.limit
        for window in self._windows():
            for read in self._read(window, columns):
                frame = read if left is None else read.head(left)
                if left is not None:
                    left -= frame.height
                if frame.height:
                    yield frame
            if left == 0:
                return

    # -- windows

    def _look(self, parts: list[Part]) -> None:
        """Note the least and the greatest value of each part, and how many records have none."""
        self._parts = parts
        self._spans: dict[Part, tuple[int | None, int | None]] = {}
        self._nulls = self._rows = 0
        if not parts:
            return
        if self._key is None:
            self._rows = int(self._scan(parts).select(pl.len()).collect(engine="streaming").item())
            return
        for at in range(0, len(parts), self._scans):
            self._look_at(parts[at : at + self._scans], self._key)

    def _look_at(self, parts: list[Part], of: pl.Expr) -> None:
        key = pl.col("key")
        told = key.min().alias("low"), key.max().alias("high"), key.null_count().alias("nulls"), pl.len().alias("rows")
        scans = [self._scan([part]).select(of.alias("key")) for part in parts]
        if len(parts) == 1:
            # Grouped by what is the same for all, the values are held until the last of them has come.
            found = scans[0].select(pl.lit(0).alias("part"), *told)
        else:
            numbered = (scan.with_columns(pl.lit(place).alias("part")) for place, scan in enumerate(scans))
            found = pl.concat(numbered, how="vertical").group_by("part").agg(told)
        for place, low, high, nulls, rows in found.collect(engine="streaming").iter_rows():
            self._spans[parts[place]] = low, high
            self._nulls += nulls
            self._rows += rows

    def _windows(self) -> Iterator[Window]:
        if self._key is None:
            yield Window(None, None, self._rows)
            return
        lows = [low for low, _ in self._spans.values() if low is not None]
        highs = [high for _, high in self._spans.values() if high is not None]
        if lows:
            yield from self._within(min(lows), max(highs), self._rows - self._nulls)
        if self._nulls:
            yield Window(None, None, self._nulls)

    def _within(self, low: int, high: int, count: int) -> Iterator[Window]:
        """Yield windows over values from `low` to `high` in the query's direction, each looked at when its turn comes."""
        if count <= WINDOW or low == high:
            yield Window(low, high, count)
            return
        width = -(-(high - low + 1) // BUCKETS)
        counts = self._buckets(low, high, width)
        begun: tuple[int, int, int] | None = None
        for bucket in sorted(counts, reverse=not self._query.ascending):
            first, last, held = low + bucket * width, min(low + (bucket + 1) * width - 1, high), counts[bucket]
            if begun is not None and begun[2] + held > WINDOW:
                yield from self._within(*begun)
                begun = None
            begun = (first, last, held) if begun is None else (min(begun[0], first), max(begun[1], last), begun[2] + held)
        if begun is not None:
            yield from self._within(*begun)

    def _buckets(self, low: int, high: int, width: int) -> dict[int, int]:
        key = self._wide()
        parts = self._having(low, high)
        bucket = ((key - _literal(low, self._query.order)) // _literal(width, self._query.order)).cast(pl.Int64)
        frame = self._scan(parts).filter(self._between(low, high)).select(bucket.alias("bucket"))
        return dict(frame.group_by("bucket").agg(pl.len()).collect(engine="streaming").iter_rows())

    # -- reading

    def _read(self, window: Window, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
        """Yield the records of one window: sorted, or where all have the same value as they come."""
        if self._key is not None and window.low == window.high and window.count > WINDOW:
            for part in self._having(window.low, window.high):
                for at in range(0, window.count, WINDOW):
                    frame = self._collected(partial(self._piece, part, at, window, columns))
                    if frame.is_empty():
                        break
                    yield frame.select(columns)
            return

        def wanted() -> pl.LazyFrame:
            flows = self._taken(self._having(window.low, window.high), window, columns)
            return flows.sort(self._by, descending=not self._query.ascending, nulls_last=True, maintain_order=True)

        yield self._collected(wanted).select(columns)

    def _piece(self, part: Part, at: int, window: Window, columns: tuple[str, ...]) -> pl.LazyFrame:
        return self._taken([part], window, columns).slice(at, WINDOW)

    def _taken(self, parts: list[Part], window: Window, columns: tuple[str, ...]) -> pl.LazyFrame:
        flows = self._scan(parts)
        if self._key is not None:
            flows = flows.filter(self._key.is_null() if window.low is None else self._between(window.low, window.high))
        return flows.select(*dict.fromkeys((*columns, *self._by.meta.root_names())))

    def _collected(self, wanted: Callable[[], pl.LazyFrame]) -> pl.DataFrame:
        for attempt in range(ATTEMPTS):
            try:
                return wanted().collect(engine="streaming")
            except (FileNotFoundError, pl.exceptions.PolarsError) as error:
                if attempt == ATTEMPTS - 1:
                    raise StoreError(f"files vanish faster than they are read: {str(error).splitlines()[0]}") from error
                self._look(self._again())
        raise AssertionError("unreachable")

    def _having(self, low: int | None, high: int | None) -> list[Part]:
        """Return the parts that may have records of a window."""
        if self._key is None or low is None or high is None:
            return self._parts
        spans = self._spans.items()
        return [part for part, (least, most) in spans if least is not None and most is not None and least <= high and low <= most]

    def _between(self, low: int, high: int | None) -> pl.Expr:
        """Return whether a record is of a window; on the column itself where it can be, so that statistics pass row groups over."""
        dtype = POLARS[self._query.order]
        if dtype.is_temporal():
            return (self._by >= pl.lit(low).cast(dtype)) & (self._by <= pl.lit(high).cast(dtype))
        assert self._key is not None
        if dtype == pl.Binary:
            return (self._key >= _literal(low, self._query.order)) & (self._key <= _literal(high or 0, self._query.order))
        return (self._key >= low) & (self._key <= high)

    def _wide(self) -> pl.Expr:
        """Return the order's values as numbers that don't overflow when they are subtracted."""
        assert self._key is not None
        return self._key if POLARS[self._query.order] == pl.Binary else self._key.cast(pl.Int128)


def _number(order: str, by: pl.Expr) -> pl.Expr | None:
    """Return what stands in an order's column as whole numbers in the same order; None where it has no such (text)."""
    dtype = POLARS[order]
    if dtype.is_temporal():
        return by.to_physical()
    if dtype == pl.Boolean:
        return pl.col(order).cast(pl.Int8)
    if dtype.is_integer():
        return pl.col(order)
    number = keys.key(order).sides[0]()
    return None if number.meta.eq(pl.col(order)) else number


def _literal(value: int, order: str) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt128 if POLARS[order] == pl.Binary else pl.Int128)
