"""Perspectives: which flows of a network count, where several interfaces or exporters tell of the same traffic. Free of any engine.

A perspective is a filter beside the asked one, so that every back end, cache and screen treats it as part of the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from nftui.engine.filters import AddressIn, And, Compare, Direction, Filter, Not, Operator, all_of, any_of

EGRESS = 1
"""flowDirection of a flow that was metered on its way out (RFC 5102, 5.11.6)."""


class Perspective(StrEnum):
    """From where a network is looked at.

    ALL counts every flow. INGRESS counts flows that were metered on their way into an exporter, and those of exporters that don't
    tell (NetFlow v5 meters on the way in). EGRESS counts those that were metered on their way out. BOUNDARY counts flows with just
    one end in the home networks: what comes in and goes out, without transit and inner traffic.
    """

    ALL = "all"
    INGRESS = "ingress"
    EGRESS = "egress"
    BOUNDARY = "boundary"


def seen_from(perspective: Perspective, where: Filter, home: Sequence[str]) -> Filter:
    """Return a filter narrowed to a perspective.

    Args:
        perspective: From where.
        where: What is asked for.
        home: The home networks, as in the configuration; BOUNDARY needs one at least.
    """
    out = Compare("flowdir", Operator.EQ, EGRESS)
    if perspective is Perspective.INGRESS:
        return all_of(where, Not(out))
    if perspective is Perspective.EGRESS:
        return all_of(where, out)
    if perspective is Perspective.BOUNDARY:
        return all_of(where, any_of(*crossing(home)))
    return where


def crossing(home: Sequence[str]) -> tuple[Filter, Filter]:
    """Return the filters for flows that come into the home networks, and for those that go out of them."""
    networks: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(network) for network in home)
    source, destination = AddressIn(networks, Direction.SRC), AddressIn(networks, Direction.DST)
    return And((Not(source), destination)), And((source, Not(destination)))
