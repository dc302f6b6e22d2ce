"""The fields that a filter compares: of each the columns by direction, what values it takes, and their limits. Needs no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

Columns = tuple[str, ...]

LARGEST = 2**63 - 1
FIRST_TIME, LAST_TIME = 0, 253_402_300_799_999_999
"""Microseconds since 1970 that a filter may name: the years 1970 to 9999."""


class Direction(StrEnum):
    """Which end or side of a flow; the value is its spelling."""

    NONE = ""
    SRC = "src"
    DST = "dst"
    IN = "in"
    OUT = "out"
    IN_SRC = "in src"
    IN_DST = "in dst"
    OUT_SRC = "out src"
    OUT_DST = "out dst"
    PREV = "prev"
    NEXT = "next"
    BGP_NEXT = "bgp next"
    ROUTER = "router"
    FIRST = "first"
    LAST = "last"
    NAT = "nat"
    SRC_NAT = "src nat"
    DST_NAT = "dst nat"
    TUN = "tun"
    SRC_TUN = "src tun"
    DST_TUN = "dst tun"
    INGRESS = "ingress"
    EGRESS = "egress"
    MIN = "min"
    MAX = "max"


class Operator(StrEnum):
    """A comparison; the value is its spelling."""

    EQ = "="
    LT = "<"
    GT = ">"
    LE = "<="
    GE = ">="


class Kind(Enum):
    """What values a field takes, and how they are written."""

    NUMBER = "a number"
    PORT = "a port"
    PROTOCOL = "a protocol"
    FLAGS = "TCP flags"
    MAC = "a MAC address"
    TIME = "a time"
    ADDRESS = "an address"
    TEXT = "a text"
    COUNTRY = "a country"
    ORGANISATION = "the name of an organisation"
    DSCP = "a DSCP"
    ETHERTYPE = "an Ethernet type"
    FLOW_DIRECTION = "ingress or egress"
    FORWARDING = "a forwarding status"
    NAT_EVENT = "a NAT event"
    FIREWALL_EVENT = "a firewall event"
    FIREWALL_REASON = "an extended firewall event"


NO_NUMBERS = frozenset((Kind.ADDRESS, Kind.TEXT, Kind.COUNTRY, Kind.ORGANISATION))
"""Kinds whose values are something else than numbers; each has a leaf of its own."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something of a flow that a filter compares.

    Attributes:
        columns: Of each direction that the field has, the columns of the schema, any one of which may match; () where the value is
            computed from several.
        kind: What it is compared with.
        high: The largest value.
        low: The smallest value.
        same: A direction that means the same as none.
        ends: Of each direction that stands for several others, these.
    """

    columns: Mapping[Direction, Columns]
    kind: Kind = Kind.NUMBER
    high: int = LARGEST
    low: int = 0
    same: Direction = Direction.NONE
    ends: Mapping[Direction, tuple[Direction, ...]] = field(default_factory=dict)


_NONE, _SRC, _DST = Direction.NONE, Direction.SRC, Direction.DST
_NAT = Direction.NAT, Direction.SRC_NAT, Direction.DST_NAT
_TUN = Direction.TUN, Direction.SRC_TUN, Direction.DST_TUN


def _both(either: Direction, one: Direction, other: Direction, first: str, second: str) -> dict[Direction, Columns]:
    """Return the columns of two directions, and of the one that stands for both."""
    return {either: (first, second), one: (first,), other: (second,)}


def _single(column: str = "", kind: Kind = Kind.NUMBER, high: int = LARGEST) -> Field:
    return Field({_NONE: (column,) if column else ()}, kind, high)


def _sides(either: Direction, one: Direction, other: Direction, first: str, second: str, high: int) -> Field:
    """Return a field of numbers with two sides, and none for either of them."""
    return Field(_both(either, one, other, first, second), high=high, ends={either: (one, other)})


def _place(kind: Kind) -> Field:
    """Return a field of what is known of where the addresses are."""
    return Field(_both(_NONE, _SRC, _DST, "source_address", "destination_address"), kind, ends={_NONE: (_SRC, _DST)})


_MACS = ("source_mac", "destination_mac", "post_source_mac", "post_destination_mac")
_LABELS = tuple(f"mpls_label_{n}" for n in range(1, 11))
_NUMBER32 = 2**32 - 1

FIELDS: dict[str, Field] = {
    "ip": Field(
        {
            **_both(_NONE, _SRC, _DST, "source_address", "destination_address"),
            **_both(*_NAT, "post_nat_source_address", "post_nat_destination_address"),
            **_both(*_TUN, "outer_source_address", "outer_destination_address"),
            Direction.NEXT: ("next_hop",),
            Direction.BGP_NEXT: ("bgp_next_hop",),
            Direction.ROUTER: ("exporter_address",),
        },
        Kind.ADDRESS,
        2**128 - 1,
        ends={_NONE: (_SRC, _DST), _NAT[0]: _NAT[1:], _TUN[0]: _TUN[1:]},
    ),
    "port": Field(
        {
            **_both(_NONE, _SRC, _DST, "source_port", "destination_port"),
            **_both(*_NAT, "post_nat_source_port", "post_nat_destination_port"),
        },
        Kind.PORT,
        65535,
        ends={_NONE: (_SRC, _DST), _NAT[0]: _NAT[1:]},
    ),
    "proto": Field({_NONE: ("protocol",), Direction.TUN: ("outer_protocol",)}, Kind.PROTOCOL, 255),
    "icmp-type": _single(high=255),
    "icmp-code": _single(high=255),
    "flags": _single(kind=Kind.FLAGS, high=255),
    "tos": Field({_NONE: ("tos",), _DST: ("destination_tos",)}, high=255, same=_SRC),
    "dscp": Field({_NONE: (), _DST: ()}, Kind.DSCP, 63, same=_SRC),
    "bytes": Field({_NONE: ("octets",), Direction.OUT: ("out_octets",)}, same=Direction.IN),
    "packets": Field({_NONE: ("packets",), Direction.OUT: ("out_packets",)}, same=Direction.IN),
    "flows": _single(),
    "duration": _single(),
    "bps": _single(),
    "pps": _single(),
    "bpp": _single(),
    "if": _sides(_NONE, Direction.IN, Direction.OUT, "ingress_interface", "egress_interface", _NUMBER32),
    "as": Field(
        {
            **_both(_NONE, _SRC, _DST, "source_as", "destination_as"),
            Direction.PREV: ("previous_as",),
            Direction.NEXT: ("next_as",),
        },
        high=_NUMBER32,
        ends={_NONE: (_SRC, _DST)},
    ),
    "mask": _sides(_NONE, _SRC, _DST, "source_mask", "destination_mask", 255),
    "vlan": _sides(_NONE, _SRC, _DST, "source_vlan", "destination_vlan", 65535),
    "mac": Field(
        {
            _NONE: _MACS,
            _SRC: (_MACS[0], _MACS[2]),
            _DST: (_MACS[1], _MACS[3]),
            Direction.IN: _MACS[:2],
            Direction.OUT: _MACS[2:],
            Direction.IN_SRC: _MACS[:1],
            Direction.IN_DST: _MACS[1:2],
            Direction.OUT_SRC: _MACS[2:3],
            Direction.OUT_DST: _MACS[3:],
        },
        Kind.MAC,
        2**48 - 1,
        ends={_NONE: (_SRC, _DST)},
    ),
    "ethertype": _single("ethernet_type", Kind.ETHERTYPE, 65535),
    "ttl": _sides(_NONE, Direction.MIN, Direction.MAX, "minimum_ttl", "maximum_ttl", 255),
    **{f"mpls label{n}": _single(column, high=2**20 - 1) for n, column in enumerate(_LABELS, 1)},
    "mpls any": Field({_NONE: _LABELS}, high=2**20 - 1),
    "mpls eos": _single(high=2**20 - 1),
    "seen": Field({Direction.FIRST: ("flow_start",), Direction.LAST: ("flow_end",)}, Kind.TIME, LAST_TIME, FIRST_TIME),
    "flowdir": _single("flow_direction", Kind.FLOW_DIRECTION, 255),
    "fwdstat": _single("forwarding_status", Kind.FORWARDING, 255),
    "observation domain id": _single("observation_domain", high=_NUMBER32),
    "engine-type": _single(high=255),
    "engine-id": _single(high=255),
    "vrf": _sides(_NONE, Direction.INGRESS, Direction.EGRESS, "ingress_vrf", "egress_vrf", _NUMBER32),
    "acl": Field({Direction.INGRESS: (), Direction.EGRESS: ()}, high=_NUMBER32),
    "ace": Field({Direction.INGRESS: (), Direction.EGRESS: ()}, high=_NUMBER32),
    "xace": Field({Direction.INGRESS: (), Direction.EGRESS: ()}, high=_NUMBER32),
    "nat event": _single("nat_event", Kind.NAT_EVENT, 255),
    "nat pblock start": _single("port_block_start", Kind.PORT, 65535),
    "nat pblock end": _single("port_block_end", Kind.PORT, 65535),
    "asa event": _single("firewall_event", Kind.FIREWALL_EVENT, 255),
    "asa xevent": _single("firewall_extended_event", Kind.FIREWALL_REASON, 65535),
    "asa user": _single("user_name", Kind.TEXT),
    "app name": _single("application_name", Kind.TEXT),
    "app id": _single("application_id"),
    "geo": _place(Kind.COUNTRY),
    "asorg": _place(Kind.ORGANISATION),
}
"""Every field, by its canonical name."""

RELATIONS: dict[str, Mapping[Direction, Columns]] = {
    "ttl equal": {_NONE: ("minimum_ttl", "maximum_ttl")},
    "port in nat pblock": {end: FIELDS["port"].columns[end] for end in (_NONE, _SRC, _DST)},
}
"""Conditions between columns of one flow, which take no value: of each direction that they have, the columns compared."""
