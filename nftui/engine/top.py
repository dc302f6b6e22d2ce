"""Totals and groups: what a range of time sums to, and who takes most of it.

A flow that lies across an edge of the range counts in proportion: with C(t) = floor(octets x (t - start) / (end - start)), the
octets inside [a, b) are C(b) - C(a), a whole number, so that disjoint ranges, parts and groups add up to the octet. It counts as a
flow where its last instant lies.

Of an either-side key a flow has several values (`engine/keys.py`): it stands in the group of each, so that groups overlap, and what
isn't shown is what the flows sum to of which no value is shown.
"""

from __future__ import annotations

import polars as pl

from nftui.engine import having, instants, keys
from nftui.engine.expressions import columns as filter_columns
from nftui.engine.expressions import expression
from nftui.engine.filters import ANY
from nftui.engine.folding import STARTS, folded, oriented
from nftui.engine.query import EACH_WAY, Folding, Interval, Query
from nftui.schema import POLARS
from nftui.units import SECOND

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
    return _within(frame, query, clip)


def clipped(frame: pl.DataFrame, query: Query, clip: Interval | None) -> pl.DataFrame:
    """Return what flows count within a range, of what they count in all: as of `counted`, with their times."""
    if clip is None or query.contained:
        return _within(frame.lazy(), query, clip).collect(engine="streaming")
    most, length = frame.select(pl.max_horizontal(pl.col("octets", "packets").max()), (pl.col("end") - pl.col("start")).max()).row(
        0
    )
    least = frame.select(pl.min_horizontal(pl.col("octets", "packets").min())).item()
    # Twice as quick, and enough but for the greatest of flows.
    exact = pl.Int64 if frame.height and least >= 0 and most * max(length, 1) < 2**63 else pl.Int128
    return _within(frame.lazy(), query, clip, exact).collect(engine="streaming")


def _within(frame: pl.LazyFrame, query: Query, clip: Interval | None, exact: type[pl.DataType] = pl.Int128) -> pl.LazyFrame:
    if clip is None:
        return frame
    if query.contained:
        return frame.filter((pl.col("start") > clip.start) & (pl.col("end") < clip.end))
    return _clipped(frame, clip, exact)


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
    return groups_and_total(flows, query, clip, timed)[0]


def groups_and_total(flows: pl.LazyFrame, query: Query, clip: Interval | None, timed: bool) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Aggregate some parts, and sum up what their flows count: one pass where both are collected together.

    Returns:
        The frame of `groups`; and one row of `SUMS`, for groups that overlap don't add up to it.
    """
    return summed(counted(flows, query, clip, timed), query, timed)


def summed(frame: pl.LazyFrame, query: Query, timed: bool) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Aggregate what flows count.

    Args:
        frame: As of `counted`.
        query: For keys and folding.
        timed: Whether start and end are wanted.
    Returns:
        As `groups_and_total`.
    """
    added = _added(query, timed)
    if not query.keys:
        return frame.select(added), frame.select(pl.col(SUMS).sum())
    if query.folding is not Folding.NONE:
        frame = folded(frame, query)
    if keys.either(query.keys):
        # Whoever uses it gets each batch as it comes, so that the flows are read once.
        frame = frame.cache()
    frames = turned(frame, query)
    rows = frames[0] if len(frames) == 1 else pl.concat(frames)
    return rows.group_by(query.keys).agg(added), frame.select(pl.col(SUMS).sum())


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
    frame = counted(flows, query, clip, timed=False)
    if len(query.keys) == 1:
        # By far the most frequent; a third quicker than joins.
        columns = sides(query.keys[0])
        values = shown[query.keys[0]]
        stands = [pl.col(column).is_in(values.drop_nulls().implode()) for column in columns]
        if values.null_count():
            stands.append(pl.coalesce(columns).is_null())
        return frame.filter(pl.any_horizontal(stands)).select(pl.col(SUMS).sum())
    frame, names = numbered(frame, query, shown)
    return frame.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in names)).select(pl.col(SUMS).sum())


def merge(partials: list[pl.DataFrame], query: Query) -> pl.DataFrame:
    """Add partials of disjoint parts; a partial with negative sums takes its part away again."""
    if len(partials) == 1:
        return partials[0]
    frame = pl.concat(partials, how="vertical")
    added = _added(query, "start" in frame.columns)
    if query.keys:
        return frame.lazy().group_by(query.keys).agg(added).collect(engine="streaming")
    return frame.select(added)


def _added(query: Query, timed: bool) -> list[pl.Expr]:
    """Return what flows, and partials, add up to."""
    both_ways = query.keys and query.folding is not Folding.NONE
    firsts = ["start", *(STARTS if both_ways else ())]
    times = [*(pl.col(name).min() for name in firsts), pl.col("end").max()] if timed else []
    sums = [pl.col(name).sum() for name in (*SUMS, *(EACH_WAY if both_ways else ()))]
    return [*sums, pl.col("sampling").max(), *times]


def negated(partial: pl.DataFrame) -> pl.DataFrame:
    """Return a partial that takes another away when it is merged."""
    return partial.with_columns(-pl.col(name) for name in SUMS)


def timed(query: Query) -> bool:
    """Return whether groups need the times of their flows."""
    ranked_by_time = query.order in ("bps", "pps", "first", "last", "duration")
    return query.times or ranked_by_time or query.folding is not Folding.NONE or having.timed(query)


def told(state: pl.DataFrame, query: Query) -> pl.DataFrame:
    """Return the groups that may be shown: named after a direction, and taken by the filter over groups."""
    if not query.keys:
        return state
    return having.passing(state if query.folding is Folding.NONE else oriented(state, query), query)


def named(state: pl.DataFrame, query: Query) -> pl.DataFrame:
    """Return the groups that the query names, in its order; those without flows with sums of 0."""
    if not query.keys:
        return state
    columns = {}
    for place, name in enumerate(query.keys):
        values = [values[place] for values in query.only or ()]
        if state.schema[name] == pl.UInt128:
            values = [None if value is None else int.from_bytes(value, "big") for value in values]
        columns[name] = pl.Series(name, values, dtype=state.schema[name])
    found = pl.DataFrame(columns).join(state, on=list(query.keys), how="left", nulls_equal=True, maintain_order="left")
    return found.with_columns(pl.col(SUMS).fill_null(0), pl.col("sampling").fill_null(1)).select(state.columns)


def ranked(state: pl.DataFrame, query: Query, length: int) -> pl.DataFrame:
    """Return the groups in the query's order, those that are shown; ties in the order of their keys.

    Args:
        state: Merged partials, as `told` gives them.
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


def _order(order: str, timed: bool, length: int) -> pl.Expr:
    """Return what ranks a group: whole numbers, rounded down and 0 where there is nothing to divide by, as they are printed."""
    spread = (pl.col("end") - pl.col("start") if timed else pl.lit(max(length, 1))).cast(pl.Int128)
    if order in ("bps", "pps"):
        counted, factor = ("octets", 8 * SECOND) if order == "bps" else ("packets", SECOND)
        return pl.when(spread > 0).then(pl.col(counted).cast(pl.Int128) * factor // spread).otherwise(0)
    if order == "bpp":
        return pl.when(pl.col("packets") > 0).then(pl.col("octets") // pl.col("packets")).otherwise(0)
    if order == "duration":
        return pl.col("end") - pl.col("start")
    return pl.col({"first": "start", "last": "end"}.get(order, order))


def _clipped(frame: pl.LazyFrame, clip: Interval, exact: type[pl.DataType]) -> pl.LazyFrame:
    """Return the pieces of flows inside a range; `exact` holds what a flow counts times its length in microseconds."""
    start, end = pl.col("start"), pl.col("end")
    first, last = pl.max_horizontal(start, clip.start), pl.min_horizontal(end, clip.end)
    point = start == end
    inside = pl.when(point).then((start >= clip.start) & (start < clip.end)).otherwise(last > first)
    whole = (start >= clip.start) & (end <= clip.end)
    length = pl.max_horizontal(end - start, 1).cast(exact)

    def share(name: str) -> pl.Expr:
        value = pl.col(name).cast(exact)
        part = value * (last - start).cast(exact) // length - value * (first - start).cast(exact) // length
        return pl.when(whole).then(pl.col(name)).otherwise(part.cast(pl.Int64)).alias(name)

    instant = pl.max_horizontal(end - 1, start)
    # A piece of a flow that counts nothing would make a group, or none, by how the range came to be what it is.
    return (
        frame.filter(inside)
        .with_columns(
            share("octets"),
            share("packets"),
            pl.when((instant >= clip.start) & (instant < clip.end)).then(pl.col("flows")).otherwise(0).alias("flows"),
            first.alias("start"),
            pl.max_horizontal(first, last).alias("end"),
        )
        .filter(pl.any_horizontal(pl.col(SUMS) != 0))
    )
