"""Both directions of a connection as one group.

While parts are read nobody knows yet which direction came first, so that groups are kept in an order of their ends that all parts
share, with the sums and the first start of each direction; which end is the source is told of the merged groups.
"""

from __future__ import annotations

import polars as pl

from nftui.engine.query import EACH_WAY, Folding, Query
from nftui.errors import UsageError

TCP, UDP = 6, 17
GUESS_BELOW = 1024
"""The ports of services, as nfdump's `-B` has it."""
STARTS = ("in_start", "out_start")
"""Of each direction, when its first flow started."""
PORTS = ("source_port", "destination_port")
_HAS_PORTS = pl.col("protocol").is_in([TCP, UDP]).fill_null(False)
_TWINS = (("source_", "destination_"), ("ingress_", "egress_"))


def twins(keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the keys that trade places in the other direction.

    Raises:
        UsageError: There are none, or one end of a pair is missing.
    """
    found = []
    for key in keys:
        for one, other in _TWINS:
            twin = key.replace(one, other, 1) if one in key else key.replace(other, one, 1)
            if twin == key:
                continue
            if twin not in keys:
                raise UsageError(f"both directions together need both ends: {key} is grouped by without {twin}")
            if one in key:
                found.append((key, twin))
    if not found:
        raise UsageError("both directions together need both ends to group by, as srcip,dstip")
    return found


def folded(flows: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    """Return flows with their ends in an order of their own, and what they count by direction.

    Args:
        flows: As of `top.counted`, timed.
        query: For its keys.
    Returns:
        The frame with `EACH_WAY` (Int64) and `STARTS` (Int64, null for the other direction).
    """
    pairs = twins(query.keys)
    turned = pl.lit(False)
    for one, other in reversed(pairs):
        source, destination = pl.col(one).fill_null(0), pl.col(other).fill_null(0)
        # What is absent comes before 0.
        absent = pl.col(other).is_null() & pl.col(one).is_not_null()
        equal = pl.col(one).eq_missing(pl.col(other))
        turned = (source > destination) | ((source == destination) & (absent | (equal & turned)))
    if PORTS in pairs and "protocol" in query.keys:
        # What other protocols have in the place of ports, as ICMP, doesn't change places in the answer.
        turned = turned & _HAS_PORTS
    sums = [
        pl.when(turned == back).then(pl.col(name)).otherwise(0).alias(f"{way}_{name}")
        for way, back in (("in", False), ("out", True))
        for name in ("octets", "packets")
    ]
    starts = [pl.when(turned == back).then(pl.col("start")).alias(name) for name, back in zip(STARTS, (False, True), strict=True)]
    return flows.with_columns(*_swapped(pairs, turned), *sums, *starts)


def oriented(groups: pl.DataFrame, query: Query) -> pl.DataFrame:
    """Return merged groups named after the direction that `query.folding` asks for."""
    pairs = twins(query.keys)
    into, back = pl.col(STARTS[0]), pl.col(STARTS[1])
    later = into.is_null() | (back < into).fill_null(False)
    source, destination = pl.col("source_port"), pl.col("destination_port")
    if PORTS in pairs:
        later = later | (back.is_not_null() & (back == into) & (source < destination)).fill_null(False)
    frame = _turned(groups, pairs, later).drop(STARTS)
    if query.folding is Folding.GUESS and PORTS in pairs:
        service = ((source < GUESS_BELOW) & (destination > GUESS_BELOW)).fill_null(False)
        frame = _turned(frame, pairs, service & _HAS_PORTS if "protocol" in query.keys else service)
    return frame


def _turned(frame: pl.DataFrame, pairs: list[tuple[str, str]], turn: pl.Expr) -> pl.DataFrame:
    ways = list(zip(EACH_WAY[:2], EACH_WAY[2:], strict=True))
    return (
        frame.lazy()
        .with_columns(turn.alias("turn"))
        .with_columns(*_swapped([*pairs, *ways], pl.col("turn")))
        .drop("turn")
        .collect()
    )


def _swapped(pairs: list[tuple[str, str]], turn: pl.Expr) -> list[pl.Expr]:
    both = [*pairs, *((other, one) for one, other in pairs)]
    return [pl.when(turn).then(pl.col(other)).otherwise(pl.col(one)).alias(one) for one, other in both]
