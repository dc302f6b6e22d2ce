"""Tunnels: from an IP header to the packet or frame that it carries, for the protocols and UDP ports that are known for it.

Source: RFC 2784 and 2890 (GRE), RFC 2637, section 4.1 (its version 1), RFC 7637, section 3.2 (NVGRE), draft-foschiano-erspan; RFC
2003 and 4213 (IP in IP, 6in4); RFC 3378 (EtherIP); RFC 4023 (MPLS in IP and GRE), RFC 7510 (in UDP); RFC 7348, section 5 (VXLAN),
and its Generic Protocol Extension; RFC 8926, section 3.4 (Geneve); 3GPP TS 29.281, section 5 (GTP-U).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import (
    ABSENT,
    BY_VERSION,
    ETHERNET_FRAME,
    IPV4,
    IPV6,
    MPLS,
    Dissection,
    Mask,
    Rows,
)
from nftui.capture.internet import UDP

MAX_TUNNELS = 4
"""Tunnels within one another that are passed, at most."""
_UDP_SIZE = 8
_GRE = np.dtype([("flags", ">u2"), ("type", ">u2"), ("first", ">u4"), ("second", ">u4"), ("third", ">u4")])
_CHECKSUM, _ROUTING, _KEY, _SEQUENCE, _ACKNOWLEDGEMENT, _GRE_VERSION = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080, 0x0007
_BRIDGED, _ERSPAN_2, _ERSPAN_3 = 0x6558, 0x88BE, 0x22EB
_VXLAN = np.dtype([("flags", "u1"), ("reserved", ">u2"), ("next", "u1"), ("segment", ">u4")])
_GENEVE = np.dtype([("version", "u1"), ("flags", "u1"), ("type", ">u2"), ("segment", ">u4")])
_GTP = np.dtype([("version", "u1"), ("type", "u1"), ("length", ">u2"), ("tunnel", ">u4"), ("options", "V3"), ("next", "u1")])
_USER_DATA, _MAX_GTP_EXTENSIONS = 255, 4
_OCTET = np.dtype("u1")
_VXLAN_NEXT = {1: IPV4, 2: IPV6, 3: ETHERNET_FRAME, 5: MPLS}


def enter(found: Dissection, rows: Rows) -> Rows | None:
    """Step into what packets carry.

    Args:
        found: The packets, `at` behind the IP header.
        rows: Those whose IP header is whole.
    Returns:
        The packets that carry another; `kind` says what it begins with.
    """
    transport = found.columns["transport"][rows]
    protocol = found.columns["protocol"][rows]
    number = _BY_PROTOCOL[protocol]
    if "destination_port" in found.columns:
        port = _BY_PORT[found.columns["destination_port"][rows]]
        number = np.where(protocol == UDP, port, number)
    if not number.any():
        return None
    some = found.where(rows, (number != 0) & (transport != ABSENT))
    if some is None:
        return None
    number = number[(number != 0) & (transport != ABSENT)]
    found.kind[some] = ABSENT
    found.inside[some] = True
    for present in np.flatnonzero(np.bincount(number)).tolist():
        these = found.where(some, number == present)
        if these is not None:
            _HANDLERS[present](found, these)
    return found.where(some, found.kind[some] != ABSENT)


def carries(protocol: npt.NDArray[np.integer], destination_port: npt.NDArray[np.integer]) -> Mask:
    """Return whether packets of these protocols and ports may carry another."""
    return np.asarray((_BY_PROTOCOL[protocol] != 0) | (protocol == UDP) & (_BY_PORT[destination_port] != 0))


def _segment(found: Dissection, rows: Rows, segment: npt.NDArray[np.integer], present: Mask) -> None:
    """Keep the segment of the outermost overlay network."""
    column = found.column("layer2_segment_id")
    before = column[rows]
    column[rows] = np.where(present & (before == ABSENT), segment, before)


def _plain(kind: int) -> Callable[[Dissection, Rows], None]:
    def carried(found: Dissection, rows: Rows) -> None:
        found.kind[rows] = kind

    return carried


def _ether_ip(found: Dissection, rows: Rows) -> None:
    version = found.read(_OCTET, rows) >> 4
    found.kind[rows] = np.where((version == 3) & (found.room(rows).octets >= 2), ETHERNET_FRAME, ABSENT)
    found.advance(rows, 2)


def _gre(found: Dissection, rows: Rows) -> None:
    header, room = found.read(_GRE, rows), found.room(rows)
    flags, version = header["flags"], header["flags"] & _GRE_VERSION
    size = np.full(len(flags), 4, np.int64)
    for flag in (_CHECKSUM, _KEY, _SEQUENCE):
        size += np.where(flags & flag, 4, 0)
    size += np.where((version == 1) & ((flags & _ACKNOWLEDGEMENT) != 0), 4, 0)
    fine = (room.octets >= size) & ((flags & _ROUTING) == 0) & (version <= 1)
    kind = header["type"].astype(np.int32)
    virtual = fine & (kind == _BRIDGED) & (flags == _KEY)
    if virtual.any():
        _segment(found, rows, header["first"] >> 8, virtual)
    second = kind == _ERSPAN_2
    size += np.where(second & ((flags & _SEQUENCE) != 0), 8, 0)
    third = kind == _ERSPAN_3
    if third.any():
        extended = found.read(_OCTET, rows, size + 11) & 1
        size += np.where(third, 12 + 8 * extended.astype(np.int64), 0)
    kind[second | third] = ETHERNET_FRAME
    kind[(version == 1) & (kind != 0x880B)] = ABSENT
    kind[~fine | (room.octets < size)] = ABSENT
    found.kind[rows] = kind
    found.advance(rows, size)


def _vxlan(found: Dissection, rows: Rows) -> None:
    fine = _vxlan_header(found, rows)
    found.kind[rows] = np.where(fine, ETHERNET_FRAME, ABSENT)
    found.advance(rows, _UDP_SIZE + 8)


def _vxlan_gpe(found: Dissection, rows: Rows) -> None:
    fine = _vxlan_header(found, rows)
    header = found.read(_VXLAN, rows, _UDP_SIZE)
    named = (header["flags"] & 4) != 0
    kind = np.where(named, ABSENT, ETHERNET_FRAME)
    for number, meant in _VXLAN_NEXT.items():
        kind[named & (header["next"] == number)] = meant
    found.kind[rows] = np.where(fine, kind, ABSENT)
    found.advance(rows, _UDP_SIZE + 8)


def _vxlan_header(found: Dissection, rows: Rows) -> Mask:
    header = found.read(_VXLAN, rows, _UDP_SIZE)
    fine = ((header["flags"] & 8) != 0) & (found.room(rows).octets >= _UDP_SIZE + 8)
    _segment(found, rows, header["segment"] >> 8, fine)
    return np.asarray(fine)


def _geneve(found: Dissection, rows: Rows) -> None:
    header, room = found.read(_GENEVE, rows, _UDP_SIZE), found.room(rows)
    fine = (header["version"] >> 6 == 0) & (room.octets >= _UDP_SIZE + 8)
    _segment(found, rows, header["segment"] >> 8, fine)
    size = _UDP_SIZE + 8 + (header["version"] & 0x3F).astype(np.int64) * 4
    found.kind[rows] = np.where(fine & (room.octets >= size), header["type"].astype(np.int64), ABSENT)
    found.advance(rows, size)


def _mpls_in_udp(found: Dissection, rows: Rows) -> None:
    found.kind[rows] = MPLS
    found.advance(rows, _UDP_SIZE)


def _gtp(found: Dissection, rows: Rows) -> None:
    header = found.read(_GTP, rows, _UDP_SIZE)
    fine = (header["version"] >> 4 == 3) & (header["type"] == _USER_DATA)
    size = _UDP_SIZE + 8 + np.where((header["version"] & 7) != 0, 4, 0)
    following = np.where((header["version"] & 4) != 0, header["next"], 0)
    for _ in range(_MAX_GTP_EXTENSIONS):
        more = following != 0
        if not more.any():
            break
        length = found.read(_OCTET, rows, size).astype(np.int64) * 4
        fine &= ~more | (length > 0)
        size += np.where(more, length, 0)
        following = np.where(more, found.read(_OCTET, rows, size - 1), 0)
    fine &= (following == 0) & (found.room(rows).octets > size)
    found.kind[rows] = np.where(fine, BY_VERSION, ABSENT)
    found.advance(rows, size)


_HANDLERS: tuple[Callable[[Dissection, Rows], None], ...] = (
    _plain(ABSENT), _plain(IPV4), _plain(IPV6), _gre, _ether_ip, _plain(MPLS), _vxlan, _vxlan_gpe, _geneve, _mpls_in_udp, _gtp,
)  # fmt: skip
_BY_PROTOCOL = np.zeros(257, np.int64)
_BY_PROTOCOL[[4, 41, 47, 97, 137]] = range(1, 6)
_BY_PORT = np.zeros(65537, np.int64)
_BY_PORT[[4789, 8472, 4790, 6081, 6635, 2152]] = 6, 6, 7, 8, 9, 10
"""IP protocol and UDP destination port -> index of what reads it; `ABSENT` finds the last entry, which is 0."""
