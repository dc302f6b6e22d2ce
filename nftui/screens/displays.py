"""The displays of the Live screen: what each asks, and the connections of one of them as columns and as filters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nftui.engine.matrix import ENDS
from nftui.engine.query import RECORD_KEYS, Folding, Interval, Query
from nftui.screens import terms
from nftui.screens.questions import Compared, Paired, Question, Reply, Single, WithHeld
from nftui.screens.view import SHORTEST, View, keys_of
from nftui.screens.widgets.flow_table import Row, TableColumn
from nftui.units import SECOND, duration, scaled

AROUND = 4
"""Bins on each side of the one that is zoomed to."""
TWO_WAYS = (6, 17)
"""Protocols of which both directions are one connection: TCP and UDP."""


def question(view: View, now: int, held: Interval | None, home: tuple[str, ...] = ()) -> Question:
    """Return what the display of a view asks.

    Args:
        view: What is looked at.
        now: The end of relative ranges, microseconds.
        held: All that is held, where that is known.
        home: The networks of which it is told what comes in and goes out.
    """
    query, edges = view.groups(now, held), view.sampled(now, held).edges
    if view.display == "connections":
        return WithHeld(Single(replace(query, keys=RECORD_KEYS, bins=None, times=True, folding=Folding.FIRST)), home=home)
    if view.display == "circle":
        return WithHeld(Paired(replace(query, bins=None), pair_key(view.by), view.limit), home=home)
    if view.compare and query.interval is not None and edges is None:
        return WithHeld(Compared(query, view.before(query.interval)), home=home)
    return WithHeld(Single(query), edges, home)


def answers(reply: Reply, display: str) -> bool:
    """Return whether a reply has what a display shows: it may be of the display before."""
    folded = reply.main.query.folding is not Folding.NONE
    return ("matrix" in reply.more) if display == "circle" else folded == (display == "connections")


def around(moment: int, width: int, latest: int) -> Interval | None:
    """Return the range that a moment is zoomed to; None where that is no closer.

    Args:
        moment: Where its bin begins, microseconds.
        width: Of the bin.
        latest: Where the range ends at the latest.
    """
    interval = Interval(moment - AROUND * width, min(moment + (AROUND + 1) * width, latest))
    return interval if width > SECOND and interval.length >= SHORTEST else None


def alike(one: Query, other: Query) -> bool:
    """Return whether two questions are about the same groups of the same flows, whenever they were."""

    def plain(query: Query) -> Query:
        return replace(query, interval=None, bins=None, limit=None, order="octets", ascending=False, only=None)

    return plain(one) == plain(other)


def pair_key(by: str) -> str:
    """Return the either-side key among whose values pairs are told: that of a breakdown, addresses where it has none."""
    for name in keys_of(by):
        head = name.partition("/")[0].removeprefix("known_")
        for either, ends in ENDS.items():
            if head == either or head in ends.keys:
                return either
    return "address"


def key_of_pair(key: str) -> str:
    """Return the column whose values the elements of a matrix are written as."""
    return ENDS[key].keys[0]


def pair_term(key: str, source: Any, destination: Any) -> str | None:
    """Return the filter of the flows from one value to another."""
    first, second = ENDS[key].keys
    return terms.of_group((first, second), {first: source, second: destination})


# -- connections


def connection_term(row: Row) -> str | None:
    """Return the filter that matches the flows of a connection, in both directions."""
    there = terms.of_group(RECORD_KEYS, row)
    if row["protocol"] not in TWO_WAYS:
        return there
    swapped = {
        "source_address": row["destination_address"], "destination_address": row["source_address"],
        "source_port": row["destination_port"], "destination_port": row["source_port"], "protocol": row["protocol"],
    }  # fmt: skip
    back = terms.of_group(RECORD_KEYS, swapped)
    if there is None or back is None:
        return None
    return there if there == back else f"({there} or {back})"


def end_text(cell: Callable[[str, Any], str], row: Row, side: str) -> str:
    """Return one end of a connection, address and port."""
    address, port = cell(f"{side}_address", row[f"{side}_address"]), row[f"{side}_port"]
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def throughput(row: Row) -> float | None:
    """Return the average rate of a connection over the time that its flows last, bit/s; None where they last no time."""
    length = row["last"] - row["first"]
    return row["octets"] * 8 * SECOND / length if length > 0 else None


def connection_columns(cell: Callable[[str, Any], str], total: int, base: int) -> list[TableColumn]:
    """Return the columns of the connections.

    Args:
        cell: Makes the text of an address.
        total: Octets of all flows: what shares are of.
        base: 1024 or 1000, of octets.
    """

    def end(side: str) -> Callable[[int, Row], str]:
        return lambda n, row: end_text(cell, row, side)

    def octets(name: str) -> Callable[[int, Row], str]:
        return lambda n, row: scaled(row[name], base)

    def count(name: str) -> Callable[[int, Row], str]:
        return lambda n, row: scaled(row[name])

    def rate(_: int, row: Row) -> str:
        return "-" if (found := throughput(row)) is None else scaled(found)

    return [
        TableColumn("source_address", "source", 19, end("source"), grows=3, middle=True),
        TableColumn("destination_address", "destination", 19, end("destination"), grows=3, middle=True),
        TableColumn("protocol", "proto", 5, lambda n, row: cell("protocol", row["protocol"])),
        TableColumn("octets", "octets", 7, octets("octets"), True),
        TableColumn("packets", "packets", 7, count("packets"), True),
        TableColumn("share", "share", 6, lambda n, row: f"{100 * row['octets'] / max(total, 1):.1f}%", True),
        TableColumn("rate", "avg b/s", 7, rate, True),
        TableColumn("in_octets", "octets>", 7, octets("in_octets"), True, rank=2),
        TableColumn("out_octets", "octets<", 7, octets("out_octets"), True, rank=2),
        TableColumn("in_packets", "packets>", 8, count("in_packets"), True, rank=4),
        TableColumn("out_packets", "packets<", 8, count("out_packets"), True, rank=4),
        TableColumn("flows", "flows", 6, count("flows"), True, rank=1),
        TableColumn("lasting", "lasting", 7, lambda n, row: duration(row["last"] - row["first"]), True, rank=3),
    ]


def connection_facts(row: Row, total: int) -> list[tuple[str, str]]:
    """Return all that is known of a connection, as names and words."""
    rate = throughput(row)
    facts = [
        ("octets", f"{row['octets']:,}"), ("  there", f"{row['in_octets']:,}"), ("  back", f"{row['out_octets']:,}"),
        ("packets", f"{row['packets']:,}"), ("  there", f"{row['in_packets']:,}"), ("  back", f"{row['out_packets']:,}"),
        ("flows", f"{row['flows']:,}"), ("share", f"{100 * row['octets'] / max(total, 1):.2f}%"),
        ("lasting", duration(row["last"] - row["first"])), ("average", "-" if rate is None else f"{scaled(rate)} bit/s"),
    ]  # fmt: skip
    return [*facts, ("oct/packet", f"{row['octets'] / row['packets']:.0f}" if row["packets"] else "-")]
