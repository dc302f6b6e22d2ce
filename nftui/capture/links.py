"""Links: from the first octet of a frame to the IP header in it, through tags, labels and sessions.

Source: IEEE 802.3, clause 3; IEEE 802.1Q, clause 9; RFC 1042 (SNAP); RFC 3032, section 2.1, and RFC 4385, section 3 (MPLS, control
word); RFC 2516, section 4 (PPPoE); RFC 1661, section 2, and RFC 1662, section 3.1 (PPP); the link types at tcpdump.org; sFlow
version 5, `header_protocol`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import (
    ABSENT,
    ALL,
    BY_VERSION,
    CISCO_FRAME,
    COOKED_FRAME,
    COOKED_FRAME_2,
    ETHERNET_FRAME,
    IPV4,
    IPV6,
    KINDS,
    LLC,
    MPLS,
    MPLS_UPSTREAM,
    PPP_FRAME,
    Dissection,
    Rows,
)

ETHERNET, PPP, PPP_HDLC, CISCO_HDLC, LINUX_COOKED, MPLS_LINK, LINUX_COOKED_2 = 1, 9, 50, 104, 113, 219, 276
RAW_IP, RAW_LINKS = 101, (101, 12, 14, 228, 229)
NULL_LINKS = (0, 108)
KNOWN_LINKS = frozenset({ETHERNET, PPP, PPP_HDLC, CISCO_HDLC, LINUX_COOKED, MPLS_LINK, LINUX_COOKED_2, *RAW_LINKS, *NULL_LINKS})
"""Link types as capture files name them."""
SFLOW_LINKS = {1: ETHERNET, 7: PPP, 10: RAW_IP, 11: RAW_IP, 12: RAW_IP, 13: MPLS_LINK, 14: PPP_HDLC}
"""sFlow's header_protocol -> link type: ISO 8023, PPP, AAL5-IP, IPv4, IPv6, MPLS, POS."""

MAX_LAYERS = 16
"""Headers below IP that are passed, at most."""
MAX_LABELS, LABELS_KEPT = 16, 10
_ETHERNET = np.dtype([("to_high", ">u2"), ("to_low", ">u4"), ("from_high", ">u2"), ("from_low", ">u4"), ("type", ">u2")])
_TAG = np.dtype([("control", ">u2"), ("type", ">u2")])
_SNAP = np.dtype([("sap", ">u2"), ("control", "u1"), ("organisation", "V3"), ("type", ">u2")])
_PPPOE = np.dtype([("version", "u1"), ("code", "u1"), ("session", ">u2"), ("length", ">u2")])
_PPP = np.dtype([("address", ">u2"), ("protocol", ">u2")])
_SHORT, _LONG = np.dtype(">u2"), np.dtype(">u4")
_BOTTOM = 0x100
_LEAST_TYPE = 0x600
_PPP_PROTOCOLS = {0x21: IPV4, 0x57: IPV6, 0x281: MPLS, 0x283: MPLS_UPSTREAM}


def enter(found: Dissection, link: npt.NDArray[np.int64]) -> None:
    """Say for each packet what it begins with.

    Args:
        found: The packets, nothing read yet.
        link: Shape (packets,), their link types.
    """
    found.kind[:] = _BEGINS[np.clip(link, -1, len(_BEGINS) - 2)]
    null = found.where(ALL, np.isin(link, NULL_LINKS))
    if null is not None:
        found.advance(null, 4)


def strip(found: Dissection, rows: Rows) -> None:
    """Pass over all that stands before the IP header; `kind` becomes IPV4, IPV6, or `ABSENT` where there is none."""
    for _ in range(MAX_LAYERS):
        kind = found.kind[rows]
        left = found.where(rows, (kind != IPV4) & (kind != IPV6) & (kind != ABSENT))
        if left is None:
            return
        rows, number = left, _HANDLER[found.kind[left]]
        for present in np.flatnonzero(np.bincount(number)).tolist():
            some = found.where(rows, number == present)
            if some is not None:
                _HANDLERS[present](found, some)
    found.kind[rows] = ABSENT


def _typed(found: Dissection, rows: Rows, ethertype: npt.NDArray[np.integer], present: npt.NDArray[np.bool_] | None) -> None:
    """Take an EtherType, or the length that stands in its place before an LLC header (IEEE 802.3, clause 3.2.6)."""
    kind = ethertype.astype(np.int32)
    kind[kind < _LEAST_TYPE] = LLC
    if present is not None:
        kind[~present] = ABSENT
    found.kind[rows] = kind
    own = found.where(rows, ~found.inside[rows])
    if own is not None:
        kind = found.kind[own]
        found.put("ethernet_type", own, kind, kind < LLC)


def _ethernet(found: Dissection, rows: Rows) -> None:
    own = found.where(rows, ~found.inside[rows])
    if own is not None:
        header, room = found.read(_ETHERNET, own), found.room(own)
        found.put("destination_mac", own, header["to_high"].astype(np.int64) << 32 | header["to_low"], room.holds(6))
        found.put("source_mac", own, header["from_high"].astype(np.int64) << 32 | header["from_low"], room.holds(12))
    _typed(found, rows, found.read(_SHORT, rows, 12), found.room(rows).holds(14))
    found.advance(rows, 14)


def _headed(place: int, size: int) -> Callable[[Dissection, Rows], None]:
    """Return a function for a header of which only the EtherType matters."""

    def read(found: Dissection, rows: Rows) -> None:
        _typed(found, rows, found.read(_SHORT, rows, place), found.room(rows).holds(place + 2))
        short = found.where(rows, found.room(rows).octets < size)
        found.advance(rows, size)
        if short is not None:
            found.kind[short] = ABSENT

    return read


def _vlan(found: Dissection, rows: Rows) -> None:
    """Pass over one tag. Tag 0 names no VLAN, only a priority (IEEE 802.1Q, clause 9.6)."""
    header, room = found.read(_TAG, rows), found.room(rows)
    identity = (header["control"] & 0x0FFF).astype(np.int32)
    known = (identity > 0) & (room.octets >= 2) & ~found.inside[rows]
    if known.any():
        outer = found.column("source_vlan")
        first = known & (outer[rows] == ABSENT)
        second = known & ~first
        outer[rows] = np.where(first, identity, outer[rows])
        if second.any():
            inner = found.column("customer_vlan")
            inner[rows] = np.where(second & (inner[rows] == ABSENT), identity, inner[rows])
    _typed(found, rows, header["type"], room.holds(4))
    found.advance(rows, 4)


def _llc(found: Dissection, rows: Rows) -> None:
    header = found.read(_SNAP, rows)
    snap = (header["sap"] == 0xAAAA) & (header["control"] == 3) & (header["organisation"] == np.void(bytes(3)))
    snap &= found.room(rows).octets >= 8
    found.kind[rows] = ABSENT
    rows_with = found.where(rows, snap & (header["type"] >= _LEAST_TYPE))
    if rows_with is not None:
        _typed(found, rows_with, found.read(_SHORT, rows_with, 6), None)
        found.advance(rows_with, 8)


def _mpls(found: Dissection, rows: Rows) -> None:
    """Pass over a label stack, and keep the labels of the first that a packet has."""
    noted = found.columns.get("mpls_label_1")
    fresh = np.ones(found.size, np.bool_) if noted is None else noted == ABSENT
    found.kind[rows] = ABSENT
    for depth in range(1, MAX_LABELS + 1):
        left = found.where(rows, found.room(rows).octets >= 4)
        if left is None:
            return
        rows, entry = left, found.read(_LONG, left)
        if depth <= LABELS_KEPT:
            own = fresh[rows]
            to = found.where(rows, own)
            if to is not None:
                found.put(f"mpls_label_{depth}", to, entry[own] >> 12)
        found.advance(rows, 4)
        bottom = (entry & _BOTTOM) != 0
        last = found.where(rows, bottom)
        if last is not None:
            _below_labels(found, last)
        left = found.where(rows, ~bottom)
        if left is None:
            return
        rows = left


def _below_labels(found: Dissection, rows: Rows) -> None:
    """Tell what a label stack carries: IP by its version, or Ethernet behind a control word (RFC 4385) when its type is known."""
    found.kind[rows] = BY_VERSION
    _by_version(found, rows)
    ethertype = found.read(_SHORT, rows, 16).astype(np.int64)
    framed = found.kind[rows] == ABSENT
    framed &= (found.read(np.dtype("u1"), rows) >> 4 == 0) & (found.room(rows).octets >= 18)
    framed &= (_HANDLER[ethertype] != 0) | (ethertype == IPV4) | (ethertype == IPV6)
    some = found.where(rows, framed)
    if some is not None:
        found.kind[some] = ETHERNET_FRAME
        found.inside[some] = True
        found.advance(some, 4)


def _pppoe(found: Dissection, rows: Rows) -> None:
    header = found.read(_PPPOE, rows)
    session = (header["code"] == 0) & (found.room(rows).octets >= 6)
    found.kind[rows] = np.where(session, PPP_FRAME, ABSENT)
    found.advance(rows, 6)


def _ppp(found: Dissection, rows: Rows) -> None:
    """Read a PPP header, of which address and control, and the first octet of the protocol, may have been left out."""
    header = found.read(_PPP, rows)
    skip = np.where((header["address"] == 0xFF03) & (found.room(rows).octets >= 2), 2, 0)
    word = np.where(skip == 2, header["protocol"], header["address"]).astype(np.int64)
    short = (word >> 8 & 1) == 1
    protocol = np.where(short, word >> 8, word)
    size = skip + np.where(short, 1, 2)
    kind = np.full(len(word), ABSENT, np.int32)
    for number, meant in _PPP_PROTOCOLS.items():
        kind[protocol == number] = meant
    kind[found.room(rows).octets < size] = ABSENT
    found.kind[rows] = kind
    found.advance(rows, size)


def _by_version(found: Dissection, rows: Rows) -> None:
    version = found.read(np.dtype("u1"), rows) >> 4
    kind = np.where(version == 4, IPV4, np.where(version == 6, IPV6, ABSENT))
    kind[found.room(rows).octets < 1] = ABSENT
    found.kind[rows] = kind


def _nothing(found: Dissection, rows: Rows) -> None:
    found.kind[rows] = ABSENT


_CISCO, _COOKED, _COOKED_2 = _headed(2, 4), _headed(14, 16), _headed(0, 20)
_READERS: dict[int, Callable[[Dissection, Rows], None]] = {
    ETHERNET_FRAME: _ethernet, 0x6558: _ethernet, 0x8100: _vlan, 0x88A8: _vlan, 0x9100: _vlan, 0x9200: _vlan, LLC: _llc,
    MPLS: _mpls, MPLS_UPSTREAM: _mpls, 0x8864: _pppoe, PPP_FRAME: _ppp, 0x880B: _ppp, BY_VERSION: _by_version,
    CISCO_FRAME: _CISCO, COOKED_FRAME: _COOKED, COOKED_FRAME_2: _COOKED_2,
}  # fmt: skip
_HANDLERS: tuple[Callable[[Dissection, Rows], None], ...] = (_nothing, *dict.fromkeys(_READERS.values()))
_HANDLER = np.zeros(KINDS, np.uint8)
"""Kind -> index of what reads it; 0 for all others."""
_HANDLER[list(_READERS)] = [_HANDLERS.index(reader) for reader in _READERS.values()]
_BEGINS = np.full(max(KNOWN_LINKS) + 3, ABSENT, np.int32)
"""Link type -> kind; the last two are for all that is not known."""
for _links, _kind in (
    ((ETHERNET,), ETHERNET_FRAME), ((*RAW_LINKS, *NULL_LINKS), BY_VERSION), ((PPP, PPP_HDLC), PPP_FRAME), ((MPLS_LINK,), MPLS),
    ((CISCO_HDLC,), CISCO_FRAME), ((LINUX_COOKED,), COOKED_FRAME), ((LINUX_COOKED_2,), COOKED_FRAME_2),
):  # fmt: skip
    _BEGINS[list(_links)] = _kind
