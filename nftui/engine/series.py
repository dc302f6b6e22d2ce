"""Series: each flow spread over the bins it overlaps, and conserved to the octet.

Let C(t) be what a group counted before t. A bin is C(next edge) - C(edge), so the bins telescope: whatever the resolution, they sum
to the group's total. A flow that ends before t counts whole in C(t), as an integer; one under way counts slope x (t - start), the
slope being floor(octets x 2^40 / length). Those numerators are integers too: they add over flows, parts and groups without
rounding, and one floor is taken at the end, per group and edge. Nothing is exploded into a row a bin: a flow adds to the sums at
its first and its last edge only, and the edges between follow by summing once along time.

Packets go as octets do; a flow counts once, in the bin of its last instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import polars as pl

from nftui.engine.query import Interval, Measure, Query
from nftui.engine.top import numbered

FRACTION_BITS = 40
OTHER = -1
_NONE = pl.lit(0, dtype=pl.Int128)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the bins of one series are like; the average is of all bins, those without any flow too."""

    minimum: int | float
    average: float
    maximum: int | float
    last: int | float
    percentile_95: int | float


def statistics(values: Sequence[int] | Sequence[float]) -> Statistics:
    """Return what bins are like, of one at least."""
    ordered = sorted(values)
    return Statistics(ordered[0], sum(ordered) / len(ordered), ordered[-1], values[-1], ordered[nearest_rank(len(ordered), 95)])


def nearest_rank(count: int, percent: int) -> int:
    """Return the place of a percentile among sorted values: of the least that so many percent don't exceed, no mean of two."""
    return max(-(-count * percent // 100) - 1, 0)


class Grid:
    """Bins of one width over a range; the last may reach beyond it, where nothing is counted.

    Edges are numbered over all of time, so that partials of a range that moves by whole bins fit together.

    Attributes:
        interval: The range.
        width: Microseconds of a bin.
        phase: Where edge 0 lies: the range's start, less a whole number of bins; 0 where the start is a multiple of the width.
        first: Number of the edge at the range's start.
        bins: How many bins there are, 1 at least.
    """

    def __init__(self, interval: Interval, bins: int) -> None:
        """Divide a range into `bins` equal bins, or fewer where it has not that many microseconds to each."""
        self.interval = interval
        self.width = max(-(-interval.length // max(bins, 1)), 1)
        self.bins = max(-(-interval.length // self.width), 1)
        self.phase = interval.start % self.width
        self.first = interval.start // self.width

    def starts(self) -> list[int]:
        """Return where each bin begins, microseconds."""
        return [self.interval.start + index * self.width for index in range(self.bins)]


def spread(frame: pl.LazyFrame, query: Query, grid: Grid, shown: pl.DataFrame) -> pl.DataFrame:
    """Aggregate one part, or some small ones, by group and edge: its five columns are held in memory meanwhile.

    Args:
        frame: As of `top.counted`, timed.
        query: For keys and measure.
        grid: The bins; every flow lies within its range.
        shown: The keys of the groups that are told apart, and their number in `group` (Int32); all others are `OTHER`.
            A flow counts in each group that it stands in, which of an either-side key may be several.
    Returns:
        `group`, `edge`, and sums at that edge: `done` (Int64: what has ended since the edge before), `level`
        and `slope` (Int128: changes of the numerator of what is under way, and of its growth a bin). Partials merge by adding.
    """
    value = pl.col(query.measure.value).alias("value")
    instant = pl.max_horizontal(pl.col("end") - 1, pl.col("start"))
    sums = [value, pl.col("start", "end"), ((instant - grid.phase) // grid.width).alias("to")]
    groups: tuple[str, ...] = ("group",)
    if query.keys:
        frame, groups = numbered(frame, query, shown)
    else:
        frame = frame.with_columns(pl.lit(0, dtype=pl.Int32).alias("group"))
    frame = frame.select(*groups, *sums).with_columns(((pl.col("start") - grid.phase) // grid.width).alias("from"))
    # Five aggregations of one scan are twice as quick over what the scan left than as one plan, which would scan five times.
    held = _each_once(frame.collect(engine="streaming").lazy(), groups)
    ended = _rows(held.group_by("group", (pl.col("to") + 1).alias("edge")).agg(pl.col("value").sum().alias("done")), "done")
    under_way = [] if query.measure is Measure.FLOWS else _under_way(held.filter(pl.col("to") > pl.col("from")), grid)
    return merge([pl.concat([ended, *under_way], how="vertical").collect()])


def nothing() -> pl.DataFrame:
    """Return a partial of no flows."""
    sums = {"done": pl.Int64, "level": pl.Int128, "slope": pl.Int128}
    return pl.DataFrame(schema={"group": pl.Int32, "edge": pl.Int64, **sums})


def merge(partials: list[pl.DataFrame]) -> pl.DataFrame:
    """Add partials of disjoint parts."""
    frame = pl.concat(partials, how="vertical")
    return frame.group_by("group", "edge").agg(pl.col("done", "level", "slope").sum())


def negated(partial: pl.DataFrame) -> pl.DataFrame:
    """Return a partial that takes another away when it is merged."""
    return partial.with_columns(
        (0 - pl.col("done")).alias("done"), (_NONE - pl.col("level")).alias("level"), (_NONE - pl.col("slope")).alias("slope")
    )


def bins(state: pl.DataFrame, grid: Grid, count: int) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], list[int]]:
    """Return the bins of each shown group, and of all others.

    Args:
        state: Merged partials.
        grid: The bins.
        count: How many groups are shown, numbered from 0.
    Returns:
        Int64 of shape (bins, count), and a list of `bins` sums for the others.
    """
    columns = {group: [[0] * (grid.bins + 2) for _ in range(3)] for group in (*range(count), OTHER)}
    for group, edge, done, level, slope in state.select("group", "edge", "done", "level", "slope").iter_rows():
        sums = columns.get(group)
        index = edge - grid.first
        if sums is not None and 0 <= index <= grid.bins + 1:
            sums[0][index] += done
            sums[1][index] += level
            sums[2][index] += slope
    out = {group: _column(done, level, slope, grid.bins) for group, (done, level, slope) in columns.items()}
    shown = np.array([out[group] for group in range(count)], dtype=np.int64).reshape(count, grid.bins).T
    return shown, out[OTHER]


def _column(done: list[int], level: list[int], slope: list[int], count: int) -> list[int]:
    ended = list(accumulate(done))
    growth = list(accumulate(slope))
    numerator = list(accumulate(one + more for one, more in zip(level, growth, strict=True)))
    before = [whole + (part >> FRACTION_BITS) for whole, part in zip(ended, numerator, strict=True)]
    return [after - now for now, after in pairwise(before[: count + 1])]


def _each_once(flows: pl.LazyFrame, groups: tuple[str, ...]) -> pl.LazyFrame:
    """Return a row for each group that a flow stands in, one of `OTHER` where it stands in none."""
    if len(groups) == 1:
        return flows.with_columns(pl.col("group").fill_null(OTHER))
    none = pl.all_horizontal(pl.col(groups).is_null())
    rows = [flows.filter(none).with_columns(pl.lit(OTHER, pl.Int32).alias("group")).drop(groups)]
    for number, name in enumerate(groups):
        again = [pl.col(name).ne_missing(pl.col(before)) for before in groups[:number]]
        rows.append(flows.filter(pl.col(name).is_not_null(), *again).with_columns(pl.col(name).alias("group")).drop(groups))
    return pl.concat(rows, how="diagonal")


def _under_way(crossing: pl.LazyFrame, grid: Grid) -> list[pl.LazyFrame]:
    """Return the changes at the first edge of each flow that crosses one, at the next, and behind its last."""
    length = pl.max_horizontal(pl.col("end") - pl.col("start"), 1).cast(pl.Int128)
    slope = pl.col("value").cast(pl.Int128) * pl.lit(1 << FRACTION_BITS, dtype=pl.Int128) // length
    to_edge = ((pl.col("from") + 1) * grid.width + grid.phase - pl.col("start")).cast(pl.Int128)
    steps = (pl.col("to") - pl.col("from") - 1).cast(pl.Int128)
    sums = crossing.with_columns(slope.alias("s")).with_columns(
        (pl.col("s") * to_edge).alias("at_first"), (pl.col("s") * pl.lit(grid.width, dtype=pl.Int128)).alias("a_bin")
    )
    first = sums.group_by("group", (pl.col("from") + 1).alias("edge")).agg(pl.col("at_first").sum().alias("level"))
    last = sums.group_by("group", (pl.col("to") + 1).alias("edge")).agg(
        (_NONE - (pl.col("at_first") + pl.col("a_bin") * steps).sum()).alias("level")
    )
    longer = sums.filter(pl.col("to") > pl.col("from") + 1)
    rising = longer.group_by("group", (pl.col("from") + 2).alias("edge")).agg(pl.col("a_bin").sum().alias("slope"))
    falling = longer.group_by("group", (pl.col("to") + 1).alias("edge")).agg((_NONE - pl.col("a_bin").sum()).alias("slope"))
    return [_rows(first, "level"), _rows(last, "level"), _rows(rising, "slope"), _rows(falling, "slope")]


def _rows(frame: pl.LazyFrame, name: str) -> pl.LazyFrame:
    def column(one: str, dtype: type[pl.DataType]) -> pl.Expr:
        return (pl.col(one) if one == name else pl.lit(0)).cast(dtype).alias(one)

    return frame.select(
        "group", pl.col("edge").cast(pl.Int64), column("done", pl.Int64), column("level", pl.Int128), column("slope", pl.Int128)
    )
