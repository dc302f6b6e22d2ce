"""The internet layer and what it carries: IPv4 and IPv6 headers, extension headers, ports, flags, types and codes.

Source: RFC 791, section 3.1; RFC 8200, sections 3 and 4; RFC 4302, section 2 (AH); RFC 9293, section 3.1; RFC 768; RFC 792; RFC
4443, section 2.1. The columns are those of RFC 7012; tcpControlBits as in RFC 7125.
"""

from __future__ import annotations

import numpy as np

from nftui.capture.dissection import ABSENT, IPV4, IPV6, Dissection, Mask, Room, Rows

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
WITH_PORTS = (TCP, UDP, 33, 132, 136)
"""TCP, UDP, DCCP, SCTP, UDP-Lite: the first four octets are the ports."""
WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT = 0, 1, 2
MAX_EXTENSIONS = 8

_IPV4 = np.dtype(
    [
        ("version", "u1"),
        ("tos", "u1"),
        ("total_length", ">u2"),
        ("identification", ">u2"),
        ("fragment", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("source", "u4"),
        ("destination", "u4"),
    ]
)
_IPV6 = np.dtype(
    [("first", ">u4"), ("payload", ">u2"), ("next", "u1"), ("hop_limit", "u1"), ("source", "V16"), ("destination", "V16")]
)
_EXTENSION = np.dtype([("next", "u1"), ("length", "u1"), ("fragment", ">u2"), ("identification", ">u4")])
_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS = (0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140)
_PORTS, _SHORT = np.dtype(">u4"), np.dtype(">u2")


def _table(*protocols: int) -> Mask:
    """Return a table by protocol; `ABSENT` finds its last entry, which is false."""
    table = np.zeros(257, np.bool_)
    table[list(protocols)] = True
    return table


_HAS_PORTS, _IS_EXTENSION = _table(*WITH_PORTS), _table(*_EXTENSIONS)


def read(found: Dissection, rows: Rows, *, inner: bool) -> Rows | None:
    """Read the IP header and what follows it of packets that have reached one.

    Args:
        found: The packets; `at` becomes the place behind the IP header and its extensions, and `end` where the IP packet ends.
        rows: Which.
        inner: Whether an outer IP header was read before: then an inner one takes its place only with both addresses there.
    Returns:
        The packets of which the IP header is whole.
    """
    accepted = []
    for kind, header in ((IPV4, _ipv4), (IPV6, _ipv6)):
        some = found.where(rows, found.kind[rows] == kind)
        if some is not None:
            some = header(found, some, inner)
        if some is not None:
            accepted.append(some)
    if not accepted:
        return None
    if len(accepted) == 1:
        rows = accepted[0]
    else:
        rows = np.concatenate([np.arange(found.size)[one] if isinstance(one, slice) else one for one in accepted])
    _transport(found, rows)
    return rows


def _ipv4(found: Dissection, rows: Rows, inner: bool) -> Rows | None:
    header, room = found.read(_IPV4, rows), found.room(rows)
    fine = (header["version"] >> 4 == 4) & (room.octets >= (20 if inner else 1))
    kept = found.where(rows, fine)
    if kept is None:
        return None
    if kept is not rows:
        rows, header, room = kept, header[fine], Room(room.octets[fine])
    if inner:
        found.descend(rows)
    found.put("ip_version", rows, header["version"] >> 4)
    found.put("network", rows, found.at[rows])
    found.put("tos", rows, header["tos"], room.holds(2))
    found.put("ip_total_length", rows, header["total_length"], room.holds(4))
    fragment = header["fragment"]
    place = np.where((fragment & 0x1FFF) != 0, LATER_FRAGMENT, np.where((fragment & 0x2000) != 0, FIRST_FRAGMENT, WHOLE))
    found.put("fragment", rows, place, room.holds(8))
    parted = place != WHOLE
    if parted.any():
        known = room.holds(8)
        found.put("identification", rows, header["identification"], parted if known is None else parted & known)
    found.put("ttl", rows, header["ttl"], room.holds(9))
    found.put("protocol", rows, header["protocol"], room.holds(10))
    found.put_addresses(rows, header, room)
    size = (header["version"] & 0x0F).astype(np.int64) * 4
    total = header["total_length"].astype(np.int64)
    whole = room.holds(20)
    usable = size >= 20 if whole is None else whole & (size >= 20)
    at, end = found.at[rows], found.end[rows]
    ends = np.where(total == 0, end, np.minimum(end, at + np.maximum(total, size)))
    found.put("ip_end", rows, ends, room.holds(4))
    rows_whole = found.where(rows, usable)
    if rows_whole is None:
        return None
    if rows_whole is not rows:
        size, ends = size[usable], ends[usable]
    found.end[rows_whole] = ends
    found.advance(rows_whole, size)
    return rows_whole


def _ipv6(found: Dissection, rows: Rows, inner: bool) -> Rows | None:
    header, room = found.read(_IPV6, rows), found.room(rows)
    fine = (header["first"] >> 28 == 6) & (room.octets >= (40 if inner else 1))
    kept = found.where(rows, fine)
    if kept is None:
        return None
    if kept is not rows:
        rows, header, room = kept, header[fine], Room(room.octets[fine])
    if inner:
        found.descend(rows)
    first = header["first"].astype(np.int64)
    found.put("ip_version", rows, first >> 28)
    found.put("network", rows, found.at[rows])
    found.put("tos", rows, first >> 20 & 0xFF, room.holds(2))
    found.put("flow_label", rows, first & 0xFFFFF, room.holds(4))
    payload = header["payload"].astype(np.int64)
    found.put("ip_total_length", rows, payload + 40, room.holds(6))
    found.put("ttl", rows, header["hop_limit"], room.holds(8))
    found.put("protocol", rows, header["next"], room.holds(7))
    found.put("fragment", rows, np.zeros(len(header), np.int16), room.holds(7))
    found.put_addresses(rows, header, room)
    at, end = found.at[rows], found.end[rows]
    ends = np.where(payload == 0, end, np.minimum(end, at + payload + 40))
    found.put("ip_end", rows, ends, room.holds(6))
    whole = room.holds(40)
    following = found.columns["protocol"][rows]
    cut = _IS_EXTENSION[following] if whole is None else _IS_EXTENSION[following] & ~whole
    if whole is not None and cut.any():
        found.columns["protocol"][rows] = np.where(cut, ABSENT, following)
    kept = found.where(rows, whole) if whole is not None else rows
    if kept is None:
        return None
    if kept is not rows:
        ends = ends[whole]
    found.end[kept] = ends
    found.advance(kept, 40)
    _extensions(found, kept)
    return kept


def _extensions(found: Dissection, rows: Rows) -> None:
    """Pass over extension headers; the protocol is what the last of them names, or absent where one is cut short."""
    protocol, left = found.columns["protocol"], rows
    for _ in range(MAX_EXTENSIONS + 1):
        later = found.columns["fragment"][left] == LATER_FRAGMENT
        some = found.where(left, _IS_EXTENSION[protocol[left]] & ~later)
        if some is None:
            return
        left = some
        # A copy: what is read next takes its place.
        header, kind, room = found.read(_EXTENSION, left), protocol[left].copy(), found.room(left)
        length = header["length"].astype(np.int64)
        size = np.where(kind == _AUTHENTICATION, (length + 2) * 4, (length + 1) * 8)
        size[kind == _FRAGMENT] = 8
        there = room.octets >= np.where(kind == _FRAGMENT, 8, 2)
        protocol[left] = np.where(there, header["next"].astype(protocol.dtype), ABSENT)
        fragmented = there & (kind == _FRAGMENT) & ((header["fragment"] & 0xFFF9) != 0)
        if fragmented.any():
            place = np.where((header["fragment"] & 0xFFF8) != 0, LATER_FRAGMENT, FIRST_FRAGMENT)
            found.columns["fragment"][left] = np.where(fragmented, place, found.columns["fragment"][left])
            number = found.column("identification")
            number[left] = np.where(fragmented, header["identification"], number[left])
        found.advance(left, np.where(there, size, 0))
    protocol[left] = ABSENT


def _transport(found: Dissection, rows: Rows) -> None:
    protocol = found.columns["protocol"][rows]
    room = found.room(rows)
    there = (room.octets > 0) & (protocol != ABSENT) & (found.columns["fragment"][rows] != LATER_FRAGMENT)
    found.put("transport", rows, found.at[rows], None if there.all() else there)
    rows_there = found.where(rows, there)
    if rows_there is None:
        return
    if rows_there is not rows:
        rows, protocol = rows_there, protocol[there]
    some = found.where(rows, _HAS_PORTS[protocol])
    if some is not None:
        ports, room = found.read(_PORTS, some).astype(np.int64), found.room(some)
        found.put("source_port", some, ports >> 16, room.holds(2))
        found.put("destination_port", some, ports & 0xFFFF, room.holds(4))
    some = found.where(rows, protocol == TCP)
    if some is not None:
        found.put("tcp_flags", some, found.read(_SHORT, some, 12) & 0x0FFF, found.room(some).holds(14))
    some = found.where(rows, (protocol == ICMP) | (protocol == ICMPV6))
    if some is not None:
        both, room = found.read(_SHORT, some), found.room(some)
        found.put("icmp_type", some, both >> 8, room.holds(1))
        found.put("icmp_code", some, both & 0xFF, room.holds(2))
