"""Totals and groups: what a range of time sums to, and who takes most of it.

A flow that lies across an edge of the range counts in proportion: with C(t) = floor(octets x (t - start) / (end - start)), the
octets inside [a, b) are C(b) - C(a), a whole number, so that disjoint ranges, parts and groups add up to the octet. It counts as a
flow where its last instant lies.

Of an either-side key a flow has several values (`engine/keys.py`): it stands in the group of each, so that groups overlap, and what
isn't shown is what the flows sum to of which no value is shown.
"""

from __future__ import annotations

import polars as pl

from nftui.engine import instants, keys
from nftui.engine.expressions import columns as filter_columns
from nftui.engine.expressions import expression
from nftui.engine.filters import ANY
from nftui.engine.query import Interval, Query
from nftui.schema import POLARS

SUMS = ("octets", "packets", "flows")
OCTETS = pl.coalesce("octets", "frame_length").fill_null(0)
PACKETS = pl.coalesce(pl.col("packets"), pl.when(pl.col("frame_length").is_not_null()).then(1)).fill_null(0)
"""What a record counts; one that is the report of a single sampled packet has no counters, but tells the length of its frame."""
COUNTED = ("octets", "packets", "flow_count", "frame_length")
"""The columns that these, and flows, are read from."""


def columns(query: Query, timed: bool) -> tuple[str, ...]:
    """Return the columns that a query reads; `timed` where flow times matter."""
    names = {*COUNTED, "sampling_interval", *keys.columns(query.keys), *filter_columns(query.where)}
    if timed:
        names.update(instants.COLUMNS)
    return tuple(name for name in POLARS if name in names)


def matching(flows: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    """Return the flows that the filter takes."""
    if query.where == ANY:
        return flows
    return flows.filter(expression(query.where, sampling=query.sampling))


def counted(flows: pl.LazyFrame, query: Query, clip: Interval | None, timed: bool) -> pl.LazyFrame:
    """Return what each flow counts.

    Args:
        flows: The columns of `columns(query, timed)`.
        query: For keys, filter and sampling.
        clip: The range, where flows may reach beyond it; None where all lie inside.
        timed: Whether start and end are wanted.
    Returns:
        Per flow that counts anything: the keys (all `sides` of an either-side key), `octets`, `packets`, `flows` (Int64, sampling
        applied), `sampling` (Int64, 1 where none is known), and where `timed` or `clip` say so `start` and `end` (Int64,
        microseconds): of its part inside.
    """
    rate = pl.col("sampling_interval").fill_null(1)
    scale = rate if query.sampling else pl.lit(1, dtype=pl.Int64)
    sums = {
        "octets": OCTETS * scale,
        "packets": PACKETS * scale,
        # Some exporters write 0 where they mean that they don't aggregate: a record is a flow at least.
        "flows": pl.col("flow_count").fill_null(1).clip(lower_bound=1),
    }
    values = [side().alias(name) for key in query.keys for name, side in zip(sides(key), keys.key(key).sides, strict=True)]
    times = [instants.START.alias("start"), instants.END.alias("end")] if timed or clip is not None else []
    frame = matching(flows, query).select(
        *values, *(value.alias(name) for name, value in sums.items()), *times, rate.alias("sampling")
    )
    if clip is None:
        return frame
    if query.contained:
        return frame.filter((pl.col("start") > clip.start) & (pl.col("end") < clip.end))
    return _clipped(frame, clip)


def sides(key: str) -> tuple[str, ...]:
    """Return the columns of `counted` that have the values of a key: the first has the key's name."""
    return (key, *(f"{key}#{number}" for number in range(1, len(keys.key(key).sides))))


def turned(frame: pl.LazyFrame, query: Query) -> list[pl.LazyFrame]:
    """Return what flows count as rows of one group each: as it is, or of an either-side key a frame a side.

    A flow has a row in the first frame, with the first value that it has; and in the others where it has another value there.
    """
    key = keys.either(query.keys)
    if key is None:
        return [frame]
    columns = sides(key)
    first = pl.coalesce(columns)
    frames = [frame.with_columns(first.alias(key)).drop(columns[1:])]
    for number, column in enumerate(columns[1:], 1):
        another = [pl.col(column).ne_missing(before) for before in (first, *(pl.col(name) for name in columns[1:number]))]
        frames.append(
            frame.filter(pl.col(column).is_not_null(), *another).with_columns(pl.col(column).alias(key)).drop(columns[1:])
        )
    return frames


def groups(flows: pl.LazyFrame, query: Query, clip: Interval | None, timed: bool) -> pl.LazyFrame:
    """Aggregate some parts.

    Returns:
        A row a group: the keys (addresses as UInt128), `octets`, `packets`, `flows`, `sampling` (the highest interval seen), and
        where `timed` the earliest `start` and latest `end`. Partials of disjoint parts merge by `merge`.
    """
    sums = [pl.col(name).sum() for name in SUMS]
    more = [pl.col("sampling").max()]
    if timed:
        more += [pl.col("start").min(), pl.col("end").max()]
    frame = counted(flows, query, clip, timed)
    if query.keys:
        frames = turned(frame, query)
        if len(frames) == 1:
            return frame.group_by(query.keys).agg(*sums, *more)
        # Each side by itself first: the many flows become few groups before they are brought together.
        return pl.concat([one.group_by(query.keys).agg(*sums, *more) for one in frames]).group_by(query.keys).agg(*sums, *more)
    return frame.select(*sums, *more)


def numbered(frame: pl.LazyFrame, query: Query, shown: pl.DataFrame) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    """Tell which of some groups each flow stands in.

    Args:
        frame: As of `counted`.
        query: For its keys.
        shown: Keys of groups, and their number in `group` (Int32).
    Returns:
        The frame with the numbers in place of the keys, null where a value is of none of the groups; and the names of these
        columns, one a side. A flow may have the same number twice.
    """
    key = keys.either(query.keys)
    if key is None:
        return frame.join(shown.lazy(), on=list(query.keys), how="left", nulls_equal=True).drop(query.keys), ("group",)
    # A side without a value repeats another's, as it isn't a flow of the group of what is absent.
    columns = sides(key)
    first = pl.coalesce(columns)
    frame = frame.with_columns(first.alias(key), *(pl.coalesce(column, first).alias(column) for column in columns[1:]))
    names = tuple(f"group#{number}" for number in range(len(columns)))
    for column, name in zip(columns, names, strict=True):
        on = [column if one == key else one for one in query.keys]
        right = shown.lazy().rename({"group": name})
        frame = frame.join(right, left_on=on, right_on=list(query.keys), how="left", nulls_equal=True)
    return frame.drop({*columns, *query.keys}), names


def covered(flows: pl.LazyFrame, query: Query, clip: Interval | None, shown: pl.DataFrame) -> pl.LazyFrame:
    """Return what the flows sum to that stand in some groups, each flow once: one row of `octets`, `packets`, `flows`.

    Args:
        flows: The columns of `columns(query, timed)`.
        query: For keys, filter and sampling.
        clip: As in `counted`.
        shown: Keys of the groups, and their number in `group` (Int32).
    """
    frame, names = numbered(counted(flows, query, clip, timed=False), query, shown)
    return frame.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in names)).select(pl.col(SUMS).sum())


def merge(partials: list[pl.DataFrame], query: Query) -> pl.DataFrame:
    """Add partials of disjoint parts; a partial with negative sums takes its part away again."""
    if len(partials) == 1:
        return partials[0]
    frame = pl.concat(partials, how="vertical")
    sums = [pl.col(name).sum() for name in SUMS]
    more = [pl.col("sampling").max()]
    if "start" in frame.columns:
        more += [pl.col("start").min(), pl.col("end").max()]
    if query.keys:
        return frame.lazy().group_by(query.keys).agg(*sums, *more).collect(engine="streaming")
    return frame.select(*sums, *more)


def negated(partial: pl.DataFrame) -> pl.DataFrame:
    """Return a partial that takes another away when it is merged."""
    return partial.with_columns(-pl.col(name) for name in SUMS)


def ranked(state: pl.DataFrame, query: Query, length: int) -> pl.DataFrame:
    """Return the groups in the query's order, those that are shown; ties in the order of their keys.

    Args:
        state: Merged partials.
        query: For order and limit.
        length: The range in microseconds, for rates; a group's own duration where it has times.
    """
    if not query.keys:
        return state
    order = _order(query.order, "start" in state.columns, length)
    limit = state.height if query.limit is None else min(query.limit, state.height)
    by = [order, *(pl.col(key) for key in query.keys)]
    # A top-k by the order alone is quick; ties at its lower edge are then put right by the keys.
    if limit < state.height:
        edge = state.select((order.bottom_k(limit).max() if query.ascending else order.top_k(limit).min()).alias("edge")).item()
        state = state.filter(order <= edge if query.ascending else order >= edge) if edge is not None else state
    return state.sort(by, descending=[not query.ascending, *(False for _ in query.keys)], nulls_last=True).head(limit)


def address_octets(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """Turn addresses, which are grouped as numbers, back into 16 octets; for the few rows that are shown."""
    octets = [
        pl.Series(name, [None if value is None else value.to_bytes(16, "big") for value in frame[name].to_list()], dtype=pl.Binary)
        for name in names
        if frame.schema[name] == pl.UInt128
    ]
    return frame.with_columns(octets) if octets else frame


def _order(order: str, timed: bool, length: int) -> pl.Expr:
    spread = pl.col("end") - pl.col("start") if timed else pl.lit(max(length, 1))
    # As it is printed: a group that lasts no time has a rate of 0.
    if order == "bps":
        return pl.when(spread > 0).then(pl.col("octets") * 8 / spread).otherwise(0.0)
    if order == "pps":
        return pl.when(spread > 0).then(pl.col("packets") / spread).otherwise(0.0)
    if order == "bpp":
        return pl.when(pl.col("packets") > 0).then(pl.col("octets") / pl.col("packets")).otherwise(0.0)
    return pl.col(order)


def _clipped(frame: pl.LazyFrame, clip: Interval) -> pl.LazyFrame:
    start, end = pl.col("start"), pl.col("end")
    first, last = pl.max_horizontal(start, clip.start), pl.min_horizontal(end, clip.end)
    point = start == end
    inside = pl.when(point).then((start >= clip.start) & (start < clip.end)).otherwise(last > first)
    whole = (start >= clip.start) & (end <= clip.end)
    length = pl.max_horizontal(end - start, 1).cast(pl.Int128)

    def share(name: str) -> pl.Expr:
        value = pl.col(name).cast(pl.Int128)
        part = value * (last - start).cast(pl.Int128) // length - value * (first - start).cast(pl.Int128) // length
        return pl.when(whole).then(pl.col(name)).otherwise(part.cast(pl.Int64)).alias(name)

    instant = pl.max_horizontal(end - 1, start)
    return frame.filter(inside).with_columns(
        share("octets"),
        share("packets"),
        pl.when((instant >= clip.start) & (instant < clip.end)).then(pl.col("flows")).otherwise(0).alias("flows"),
        first.alias("start"),
        pl.max_horizontal(first, last).alias("end"),
    )
