"""nfdump 1.7: records of version 3, each with a list of extensions, in any order.

    type 16 = 11, size 16, elements 16, engine type 8, engine id 8, exporter 16, flags 8, export version 8
    then for each extension: number 16, length 16 with these four octets, and its fields

Source: nfxV3.h of nfdump 1.7 (structures EX…).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from nftui.capture.nfdump.columns import ADDRESSES, Buffer, Field, number
from nftui.capture.nfdump.records import Marks

TYPES = (11,)
HEADER = 12
EXPORTER, FLAGS, VERSION = 8, 10, 11
"""Where a record's header has these."""
MAX_EXTENSIONS = 64
APPLICATION = 27
MAX_APPLICATION = 16
"""The extension of an application's id, and how many octets of it are read."""


def _fields(*fields: tuple[str, int, str]) -> tuple[Field, ...]:
    return tuple(Field(*one) for one in fields)


EXTENSIONS: dict[int, tuple[Field, ...]] = {
    1: _fields(
        *(("flow_start", 0, "ms"), ("flow_end", 8, "ms"), ("received", 16, "ms"), ("packets", 24, "u8"), ("octets", 32, "u8")),
        *(("source_port", 40, "u2"), ("destination_port", 42, "u2"), ("protocol", 44, "u1"), ("tcp_flags", 45, "u1")),
        *(("forwarding_status", 46, "+u1"), ("tos", 47, "u1")),
    ),
    2: _fields(("source_address", 0, "v4"), ("destination_address", 4, "v4")),
    3: _fields(("source_address", 0, "v6"), ("destination_address", 16, "v6")),
    4: _fields(
        *(("ingress_interface", 0, "u4"), ("egress_interface", 4, "u4"), ("source_mask", 8, "u1"), ("destination_mask", 9, "u1")),
        *(("flow_direction", 10, "u1"), ("destination_tos", 11, "u1"), ("flow_end_reason", 13, "+u1")),
    ),
    5: _fields(("flow_count", 0, "+u8"), ("out_packets", 8, "+u8"), ("out_octets", 16, "+u8")),
    6: _fields(("source_vlan", 0, "+u4"), ("destination_vlan", 4, "+u4")),
    7: _fields(("source_as", 0, "u4"), ("destination_as", 4, "u4")),
    8: _fields(("bgp_next_hop", 0, "v4")),
    9: _fields(("bgp_next_hop", 0, "v6")),
    10: _fields(("next_hop", 0, "v4")),
    11: _fields(("next_hop", 0, "v6")),
    12: _fields(("exporter_address", 0, "v4")),
    13: _fields(("exporter_address", 0, "v6")),
    14: _fields(*((f"mpls_label_{n + 1}", 4 * n, "label") for n in range(10))),
    15: _fields(
        *(("source_mac", 0, "+u8"), ("post_destination_mac", 8, "+u8"), ("destination_mac", 16, "+u8")),
        *(("post_source_mac", 24, "+u8"),),
    ),
    16: _fields(("next_as", 0, "u4"), ("previous_as", 4, "u4")),
    18: _fields(("sampler_id", 0, "+u8")),
    19: _fields(("connection_id", 8, "u4"), ("firewall_extended_event", 12, "u2"), ("firewall_event", 14, "u1")),
    20: _fields(("post_nat_source_address", 0, "v4"), ("post_nat_destination_address", 4, "v4")),
    21: _fields(("post_nat_source_address", 0, "v6"), ("post_nat_destination_address", 16, "v6")),
    22: _fields(("post_nat_source_port", 0, "u2"), ("post_nat_destination_port", 2, "u2")),
    23: _fields(("ingress_acl", 0, "acl"), ("egress_acl", 12, "acl")),
    24: _fields(("user_name", 0, "text66")),
    25: _fields(("nat_event", 12, "u1")),
    26: _fields(("port_block_start", 0, "u2"), ("port_block_end", 2, "u2")),
    31: _fields(("outer_source_address", 0, "v4"), ("outer_destination_address", 4, "v4"), ("outer_protocol", 8, "u4")),
    32: _fields(("outer_source_address", 0, "v6"), ("outer_destination_address", 16, "v6"), ("outer_protocol", 32, "u4")),
    33: _fields(("observation_domain", 8, "u4")),
    36: _fields(("egress_vrf", 0, "u4"), ("ingress_vrf", 4, "u4")),
    38: _fields(
        *(("source_vlan", 0, "+u2"), ("customer_vlan", 2, "+u2"), ("destination_vlan", 4, "+u2")),
        *(("layer2_segment_id", 16, "+u8"), ("ethernet_type", 24, "+u2"), ("ip_version", 26, "+u1")),
    ),
    42: _fields(("minimum_ttl", 2, "+u1"), ("maximum_ttl", 3, "+u1")),
}
"""Number of the extension -> its fields that have a column."""
LONGER: dict[tuple[int, int], tuple[Field, ...]] = {
    (25, 28): _fields(("egress_vrf", 8, "u4"), ("ingress_vrf", 12, "u4"), ("nat_event", 20, "u1")),
}
"""The same of an extension of this number and length, where versions of nfdump have it otherwise."""
NAMES: dict[int, str] = {
    17: "latency",
    27: "application",
    28: "label",
    29: "payload",
    30: "payload of the other direction",
    34: "sFlow meta",
    35: "sFlow frame",
    37: "pf",
    39: "flow id",
    40: "NAT service",
    41: "NAT text",
}
"""Extensions that are known and have no column."""


class Layout(NamedTuple):
    """How records of one signature are read.

    Attributes:
        fields: Each with its place in the record instead of the extension.
        unread: Numbers of the extensions that have no column.
    """

    fields: tuple[Field, ...]
    unread: tuple[int, ...]


def signature(buffer: Buffer, place: int) -> Marks | None:
    """Return the headers of a record and of its extensions; None where they don't fit into it."""
    head, count = _words(buffer, place)
    size = head >> 16 if buffer.order == "<" else head & 0xFFFF
    elements = count & 0xFFFF if buffer.order == "<" else count >> 16
    marks = [(0, "u4", head), (4, "u2", elements)]
    at = HEADER
    for _ in range(elements):
        if at + 4 > size or len(marks) > MAX_EXTENSIONS:
            return None
        word = _words(buffer, place + at)[0]
        length = word >> 16 if buffer.order == "<" else word & 0xFFFF
        if length < 4 or at + length > size:
            return None
        marks.append((at, "u4", word))
        at += length
    return tuple(marks)


@lru_cache(maxsize=4096)
def layout(marks: Marks, order: str) -> Layout:
    """Return how records of a signature are read; of one extension that is repeated the first counts."""
    fields: dict[tuple[str, str], Field] = {}
    unread: list[int] = []
    for offset, _, word in marks[2:]:
        kind, length = (word & 0xFFFF, word >> 16) if order == "<" else (word >> 16, word & 0xFFFF)
        known = LONGER.get((kind, length)) or EXTENSIONS.get(kind)
        if kind == APPLICATION and 4 < length <= 4 + MAX_APPLICATION:
            known = (Field("application_id", 0, f"octets{length - 4}"),)
        if known is None:
            unread.append(kind)
            continue
        for field in known:
            if field.end + 4 <= length:
                at = field._replace(offset=offset + 4 + field.offset)
                # A record may have addresses of both kinds, of which one is zero.
                fields.setdefault((field.column, field.reading if field.reading in ADDRESSES else ""), at)
    return Layout(tuple(fields.values()), tuple(unread))


def _words(buffer: Buffer, place: int) -> tuple[int, int]:
    """Return two numbers of 32 bits; the second is 0 at the end of the octets."""
    octets = buffer.octets[place : place + 8].tobytes()
    return number(octets[:4], buffer.order), number(octets[4:8], buffer.order)


def label(kind: int) -> str:
    """Return how an extension without a column is counted."""
    return f"extension {kind} ({NAMES[kind]})" if kind in NAMES else f"extension {kind}"
