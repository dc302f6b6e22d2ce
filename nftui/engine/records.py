"""Lists of flow records: which lie in a range, the first of them in some order, and what all of them sum to."""

from __future__ import annotations

import polars as pl

from nftui.engine import top
from nftui.engine.query import Query


def within(flows: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    """Return the flows that lie, at least in part, in the query's range; wholly where it says `contained`."""
    interval = query.interval
    if interval is None:
        return flows
    if query.contained:
        return flows.filter((top.START > interval.start) & (top.END < interval.end))
    begun = pl.when(top.START == top.END).then(top.START >= interval.start).otherwise(top.END > interval.start)
    return flows.filter((top.START < interval.end) & begun)


def first(flows: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    """Return the records of a list in order, as many as it shows; records without the value come last.

    Looking at one column first, for the value at the list's end, spares reading the others of nearly all records.
    """
    key, limit = pl.col(query.order), query.limit
    if limit is not None:
        ends = key.bottom_k(limit) if query.ascending else key.top_k(limit)
        best = flows.select(ends).collect(engine="streaming").to_series().drop_nulls()
        if best.len() == limit > 0:
            flows = flows.filter(key <= best.max() if query.ascending else key >= best.min())
    ordered = flows.sort(query.order, descending=not query.ascending, nulls_last=True)
    return ordered if limit is None else ordered.head(limit)


def totals(flows: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    """Return one row: `octets`, `packets`, `flows`, the highest `sampling` interval, `first` and `last` (microseconds)."""
    scale = pl.col("sampling_interval").fill_null(1) if query.sampling else pl.lit(1, dtype=pl.Int64)
    return flows.select(
        (pl.col("octets").fill_null(0) * scale).sum(),
        (pl.col("packets").fill_null(0) * scale).sum(),
        pl.len().cast(pl.Int64).alias("flows"),
        pl.col("sampling_interval").max().alias("sampling"),
        top.START.min().alias("first"),
        top.END.max().alias("last"),
    )
