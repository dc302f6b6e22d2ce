"""One-sided views: whether only one direction of the traffic is seen where flows are made, as on a mirror port that is set so.

TCP that carries something is answered. Where hardly any of the connections that carry something have an answer, the other direction
passes elsewhere. It is enough that one end has about as many answers as connections, so that address translation between both
directions, which changes the other end, is no reason for a word; nor are scans (no payload), a few odd connections, or exporters
that sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from nftui.engine import filters
from nftui.engine.account import real
from nftui.engine.query import Answer, BackEnd, Interval, Measure, Query
from nftui.units import SECOND

KEYS = (
    "exporter_address", "observation_domain", "sampling_interval",
    "source_address", "source_port", "destination_address", "destination_port",
)  # fmt: skip
WHERE = "proto tcp and flags A and packets > 2"
LONGEST, SHORTEST = 600 * SECOND, 5 * SECOND
FLOWS = 60_000
"""Flows that the range holds, about, within these lengths."""
LATE = 75 * SECOND
"""How old the end of the range is: both directions of a connection aren't told of at the same moment, but a minute apart."""
MOST = 60_000
"""Groups that are looked at, those with most packets first."""
PACKETS, PAYLOAD = 6, 80
"""Packets that a connection has at least, and octets in each of them on average: more than headers."""
ABOVE = 16
"""Times as many packets as the least that is looked at, where that isn't all: the answer may have fewer packets."""
CONNECTIONS, PAIRS, SHARE = 20, 4, 0.9
"""Connections and pairs of addresses that there must be, and the share of them without an answer."""


@dataclass(frozen=True, slots=True)
class Sidedness:
    """What was seen at one place.

    Attributes:
        exporter: Address as the store has it.
        domain: Observation domain, of a probe its interface; None where none is told.
        connections: Of TCP, that carry something.
        unanswered: Of them, those without an answer.
        pairs: Pairs of addresses that they are between.
    """

    exporter: bytes
    domain: int | None
    connections: int
    unanswered: int
    pairs: int

    @property
    def one_sided(self) -> bool:
        """Whether only one direction is seen here."""
        enough = self.connections >= CONNECTIONS and self.pairs >= PAIRS
        return enough and self.unanswered >= SHARE * self.connections


class Sides:
    """Looks at the flows of the last minutes, on any thread."""

    def __init__(self, back_end: BackEnd) -> None:
        """Begin.

        Args:
            back_end: Answers; one that keeps nothing costs no memory between two looks.
        """
        self._back_end = back_end

    def look(self, now: int) -> tuple[Sidedness, ...]:
        """Return what is seen at each place, microseconds since 1970 being `now`.

        Raises:
            StoreError: The store can't be read.
        """
        return judged(self._back_end.answer(question(now, self._back_end.status())))


def question(now: int, status: dict[str, Any] | None) -> Query:
    """Return what is asked: the shorter a range the more flows come."""
    rate = real((status or {}).get("flows_per_s"))
    length = int(min(max(FLOWS / rate * SECOND if rate > 0 else LONGEST, SHORTEST), LONGEST))
    interval = Interval(now - LATE - length, now - LATE)
    return Query(
        interval, keys=KEYS, where=filters.parse(WHERE), measure=Measure.PACKETS, order="packets", limit=MOST, sampling=False
    )


def judged(answer: Answer) -> tuple[Sidedness, ...]:
    """Return what the answer tells of each place."""
    groups = answer.groups
    if groups.is_empty():
        return ()
    least = PACKETS
    if answer.group_count > groups.height:
        least = max(least, ABOVE * int(groups["packets"].min() or 0))  # type: ignore[arg-type]
    carrying = (pl.col("packets") >= least) & (pl.col("octets") >= PAYLOAD * pl.col("packets"))
    asked = groups.filter(carrying & (pl.col("sampling_interval").fill_null(1) <= 1))
    for side in ("source", "destination"):
        asked = _answered(asked, groups, side)
    answered = pl.col("source").is_not_null() | pl.col("destination").is_not_null()
    first, second = pl.col("source_address"), pl.col("destination_address")
    pair = pl.when(first < second).then(pl.concat_list(first, second)).otherwise(pl.concat_list(second, first))
    found = asked.group_by("exporter_address", "observation_domain").agg(
        pl.len().alias("connections"), (~answered).sum().alias("unanswered"), pair.n_unique().alias("pairs")
    )
    return tuple(
        Sidedness(bytes(exporter or b""), domain, connections, unanswered, pairs)
        for exporter, domain, connections, unanswered, pairs in found.sort("exporter_address", "observation_domain").iter_rows()
    )


def _answered(asked: pl.DataFrame, groups: pl.DataFrame, side: str) -> pl.DataFrame:
    """Return connections with a column named after one of their ends: not null where that is the other end of about as many."""
    other = {"source": "destination", "destination": "source"}[side]
    here, there = (["exporter_address", f"{one}_address", f"{one}_port"] for one in (side, other))
    known = groups.group_by(there).agg((2 * pl.len()).alias(side)).rename(dict(zip(there, here, strict=True)))
    here_too = asked.group_by(here).agg(pl.len().alias("of"))
    enough = known.join(here_too, on=here, nulls_equal=True).filter(pl.col(side) >= pl.col("of"))
    return asked.join(enough.select(*here, side), on=here, how="left", nulls_equal=True)
