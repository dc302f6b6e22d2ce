"""Filters over groups: what a group sums to, its rates, its time and its keys, in the filter language of flows.

A group is looked at as if it were a flow: its sums stand for the counters, its first start and last end for the times. Rates follow
from these, as nfdump's do where it filters what it aggregated.
"""

from __future__ import annotations

import polars as pl

from nftui.engine import keys
from nftui.engine.addresses import address_octets
from nftui.engine.expressions import columns as filter_columns
from nftui.engine.expressions import expression
from nftui.engine.filters import ANY, text
from nftui.engine.query import Folding, Query
from nftui.errors import UsageError
from nftui.schema import TIME

_TIMES = frozenset({"flow_start", "flow_end"})
_SUMS: dict[str, pl.Expr] = {
    "octets": pl.col("octets"),
    "packets": pl.col("packets"),
    "flow_count": pl.col("flows"),
    "flow_start": pl.col("start").cast(TIME),
    "flow_end": pl.col("end").cast(TIME),
}
"""Columns of flows that a filter reads -> what a group has in their place."""


def timed(query: Query) -> bool:
    """Return whether the filter over groups needs their times."""
    return not _TIMES.isdisjoint(filter_columns(query.having, sampling=False))


def check(query: Query, option: str = "-P") -> None:
    """Check that groups have what their filter asks for.

    Args:
        query: The question.
        option: Where the filter stands, for the error.

    Raises:
        UsageError: They haven't.
    """
    known = _known(query)
    missing = sorted(filter_columns(query.having, sampling=False) - known.keys())
    if missing:
        raise UsageError(
            f"{option} {text(query.having)!r}: groups have no {', '.join(missing)}; "
            "a group has bytes, packets, flows, bps, pps, bpp, duration and what it is grouped by"
        )


def passing(groups: pl.DataFrame, query: Query) -> pl.DataFrame:
    """Return the groups that the filter takes; `groups` as merged, with `start` and `end` where `timed` says so."""
    if query.having == ANY:
        return groups
    known = _known(query)
    wanted = filter_columns(query.having, sampling=False)
    frame = address_octets(groups.select(known[name].alias(name) for name in sorted(wanted)))
    return groups.filter(frame.select(expression(query.having, sampling=False).alias("taken"))["taken"])


def _known(query: Query) -> dict[str, pl.Expr]:
    known = dict(_SUMS)
    if query.folding is not Folding.NONE:
        known |= {"out_octets": pl.col("out_octets"), "out_packets": pl.col("out_packets")}
    for name in query.keys:
        one = keys.key(name)
        # Either side stands in both columns; of a network the address stands there.
        if len(one.sides) == len(one.columns):
            known |= {column: pl.col(name) for column in one.columns}
    return known
