"""nfdump 1.6: records of a fixed beginning, then the extensions that a map lists, in its order.

    type 16, size 16, flags 16, map 16, msec first 16, msec last 16, first 32, last 32,
    forwarding status 8, TCP flags 8, protocol 8, type of service 8, source port 16, destination port 16
    of type 10: exporter 16, 16 unused                                        (of type 1 the flags are 8 bits, beside a tag)
    then addresses (32 or 128 bits each), packets and octets (32 or 64 bits), as the flags say, and what the map lists

    map: type 16 = 2, size 16, number 16, size of the extensions 16, extension 16, … 0

Source: nffile.h of nfdump 1.6 (common_record, extension_map, tpl_ext_…).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.nfdump.columns import Buffer, Field, Places
from nftui.capture.nfdump.extensions import Layout
from nftui.capture.nfdump.records import Marks

TYPES = (10, 1)
MAP_TYPE = 2
EXPORTER = 28
FIXED = {10: 32, 1: 28}
"""Octets of the beginning, by type."""
IPV6, PACKETS_64, OCTETS_64 = 1, 2, 4
MAX_MAP = 256
"""Extensions of a map; nfdump knows some fifty."""

MAX_MAPS = 4096


def _fields(*fields: tuple[str, int, str]) -> tuple[Field, ...]:
    return tuple(Field(*one) for one in fields)


COMMON = _fields(
    *(("flow_start", 8, "time4"), ("flow_end", 10, "time6"), ("forwarding_status", 20, "+u1"), ("tcp_flags", 21, "u1")),
    *(("protocol", 22, "u1"), ("tos", 23, "u1"), ("source_port", 24, "u2"), ("destination_port", 26, "u2")),
)
EXTENSIONS: dict[int, tuple[int, tuple[Field, ...]]] = {
    4: (4, _fields(("ingress_interface", 0, "u2"), ("egress_interface", 2, "u2"))),
    5: (8, _fields(("ingress_interface", 0, "u4"), ("egress_interface", 4, "u4"))),
    6: (4, _fields(("source_as", 0, "u2"), ("destination_as", 2, "u2"))),
    7: (8, _fields(("source_as", 0, "u4"), ("destination_as", 4, "u4"))),
    8: (
        4,
        _fields(("destination_tos", 0, "u1"), ("flow_direction", 1, "u1"), ("source_mask", 2, "u1"), ("destination_mask", 3, "u1")),
    ),
    9: (4, _fields(("next_hop", 0, "v4"))),
    10: (16, _fields(("next_hop", 0, "v6"))),
    11: (4, _fields(("bgp_next_hop", 0, "v4"))),
    12: (16, _fields(("bgp_next_hop", 0, "v6"))),
    13: (4, _fields(("source_vlan", 0, "+u2"), ("destination_vlan", 2, "+u2"))),
    14: (4, _fields(("out_packets", 0, "u4"))),
    15: (8, _fields(("out_packets", 0, "u8"))),
    16: (4, _fields(("out_octets", 0, "u4"))),
    17: (8, _fields(("out_octets", 0, "u8"))),
    18: (4, _fields(("flow_count", 0, "+u4"))),
    19: (8, _fields(("flow_count", 0, "+u8"))),
    20: (16, _fields(("source_mac", 0, "+u8"), ("post_destination_mac", 8, "+u8"))),
    21: (16, _fields(("destination_mac", 0, "+u8"), ("post_source_mac", 8, "+u8"))),
    22: (40, _fields(*((f"mpls_label_{n + 1}", 4 * n, "label") for n in range(10)))),
    23: (4, _fields(("exporter_address", 0, "v4"))),
    24: (16, _fields(("exporter_address", 0, "v6"))),
    25: (4, ()),
    26: (8, _fields(("next_as", 0, "u4"), ("previous_as", 4, "u4"))),
    27: (8, _fields(("received", 0, "ms"))),
    37: (20, _fields(("connection_id", 8, "u4"), ("firewall_event", 14, "u1"), ("firewall_extended_event", 16, "u2"))),
    38: (4, _fields(("post_nat_source_port", 0, "u2"), ("post_nat_destination_port", 2, "u2"))),
    39: (8, _fields(("post_nat_source_address", 0, "v4"), ("post_nat_destination_address", 4, "v4"))),
    40: (32, _fields(("post_nat_source_address", 0, "v6"), ("post_nat_destination_address", 16, "v6"))),
    41: (24, _fields(("ingress_acl", 0, "acl"), ("egress_acl", 12, "acl"))),
    42: (24, _fields(("user_name", 0, "text24"))),
    43: (72, _fields(("user_name", 0, "text72"))),
    45: (24, ()),
    46: (12, _fields(("nat_event", 0, "u1"), ("egress_vrf", 4, "u4"), ("ingress_vrf", 8, "u4"))),
    47: (8, _fields(("post_nat_source_address", 0, "v4"), ("post_nat_destination_address", 4, "v4"))),
    48: (8, _fields(("port_block_start", 0, "u2"), ("port_block_end", 2, "u2"))),
}
"""Number of the extension -> its size, and its fields that have a column."""
UNREAD = {25: "engine", 45: "latency"}


def signature(buffer: Buffer, place: int) -> Marks | None:
    """Return what records of the same type, size, flags and map have in common."""
    head = int(buffer.gather(np.array([place]), "u4")[0])
    kind, flags, number = (int(buffer.gather(np.array([place + at]), "u2")[0]) for at in (0, 4, 6))
    if kind == 1:
        # The flags are an octet; the next one tells the exporter.
        return (0, "u4", head), (4, "u1", int(buffer.octets[place + 4])), (6, "u2", number)
    return (0, "u4", head), (4, "u2", flags), (6, "u2", number)


def exporters(buffer: Buffer, places: Places) -> npt.NDArray[Any]:
    """Return what records refer to their exporters by, shape (records,)."""
    old = buffer.gather(places, "u2") == 1
    short = buffer.gather(places + 5, "u1")
    return np.where(old, short, buffer.gather(np.minimum(places + EXPORTER, len(buffer.octets) - 2), "u2"))


class Maps:
    """The extension maps that a file has told of so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self._maps: dict[int, tuple[int, ...]] = {}
        self._layouts: dict[Marks, Layout | None] = {}

    def take(self, octets: bytes, order: str) -> None:
        """Take a map; it replaces an earlier one of its number."""
        numbers = np.frombuffer(octets[: len(octets) // 2 * 2], order + "u2").tolist()
        if len(numbers) < 4 or (len(self._maps) >= MAX_MAPS and numbers[2] not in self._maps):
            return
        listed = numbers[4 : 4 + MAX_MAP]
        self._maps[numbers[2]] = tuple(listed[: listed.index(0)] if 0 in listed else listed)
        self._layouts.clear()

    def layout(self, marks: Marks, order: str) -> Layout | None:
        """Return how records of a signature are read; None where they have no map, or one that is larger than they are."""
        if marks not in self._layouts:
            if len(self._layouts) >= MAX_MAPS:
                self._layouts.clear()
            self._layouts[marks] = self._made(marks, order)
        return self._layouts[marks]

    def _made(self, marks: Marks, order: str) -> Layout | None:
        (_, _, head), (_, _, flags), (_, _, number) = marks
        kind, size = (head & 0xFFFF, head >> 16) if order == "<" else (head >> 16, head & 0xFFFF)
        listed = self._maps.get(number)
        if listed is None:
            return None
        address = ("v6", 16) if flags & IPV6 else ("v4", 4)
        packets, octets = ("u8" if flags & bit else "u4" for bit in (PACKETS_64, OCTETS_64))
        at = FIXED[kind]
        fields = list(COMMON)
        for column, reading, width in (
            *(("source_address", *address), ("destination_address", *address)),
            *(("packets", packets, int(packets[1])), ("octets", octets, int(octets[1]))),
        ):
            fields.append(Field(column, at, reading))
            at += width
        unread: list[int] = []
        for one in listed:
            if one not in EXTENSIONS:
                # How long it is, and so where the next one begins, is not known.
                unread.append(one)
                break
            width, more = EXTENSIONS[one]
            fields += [field._replace(offset=at + field.offset) for field in more]
            at += width
            if one in UNREAD:
                unread.append(one)
        first: dict[str, Field] = {}
        for field in fields:
            first.setdefault(field.column, field)
        return Layout(tuple(first.values()), tuple(unread)) if at <= size else None


def label(number: int) -> str:
    """Return how an extension without a column is counted."""
    return f"extension {number} of 1.6" + (f" ({UNREAD[number]})" if number in UNREAD else "")
