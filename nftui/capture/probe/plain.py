"""Plain packets: what most frames are, read in one gather each. All others are left to the general dissection.

Plain is Ethernet with at most two VLAN tags, raw IP or a cooked header, then IPv4 without options that is no fragment, or IPv6
without extension headers, of a length that the frame has room for, captured as far as ports, flags, type and code.

Source: IEEE 802.3, clause 3; IEEE 802.1Q, clause 9; RFC 791, section 3.1; RFC 8200, section 3; RFC 9293, section 3.1; RFC 768.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture import links
from nftui.capture.dissection import MAPPED, Mask
from nftui.capture.internet import ICMP, ICMPV6, TCP, WITH_PORTS
from nftui.capture.probe import keys
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.keys import KEY_WORDS, Words
from nftui.capture.sets import Integers
from nftui.capture.tunnels import carries

_IPV4 = np.dtype(
    [
        ("version", "u1"), ("tos", "u1"), ("total", ">u2"), ("identification", "u2"), ("fragment", "<u2"), ("ttl", "u1"),
        ("protocol", "u1"), ("checksum", "u2"), ("source", "u4"), ("destination", "u4"), ("ports", ">u4"), ("sequence", "V8"),
        ("flags", ">u2"),
    ]
)  # fmt: skip
_IPV6 = np.dtype(
    [
        ("first", ">u4"), ("payload", ">u2"), ("protocol", "u1"), ("ttl", "u1"), ("source", "u8", 2), ("destination", "u8", 2),
        ("ports", ">u4"), ("sequence", "V8"), ("flags", ">u2"),
    ]
)  # fmt: skip
_FRAGMENT = 0xFF3F
"""More fragments, or an offset; as two octets read in the other order."""
_TYPE_IPV4, _TYPE_IPV6, _TYPE_VLAN, _TYPE_PROVIDER = 0x0008, 0xDD86, 0x0081, 0xA888
"""EtherTypes, the same."""
HEADERS = {
    links.ETHERNET: (14, 12), links.LINUX_COOKED: (16, 14), links.LINUX_COOKED_2: (20, 0),
    **dict.fromkeys(links.RAW_LINKS, (0, -1)),
}  # fmt: skip
"""Link type -> size of its header, and where the EtherType stands; below zero for nowhere."""
_LEAST_OCTETS = 64
"""Of a whole block: any header can be read of it."""
_MAX_TAGS, TAG = 2, 4
_EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)
_PORTS_MASK = np.uint64(0xFFFFFFFF << 32)


def _by_protocol(others: int, dtype: npt.DTypeLike, **groups: tuple[tuple[int, ...], int]) -> npt.NDArray[Any]:
    table = np.full(256, others, dtype)
    for protocols, value in groups.values():
        table[list(protocols)] = value
    return table


_NEEDED = _by_protocol(0, np.int64, ports=(WITH_PORTS, 4), tcp=((TCP,), 14), icmp=((ICMP, ICMPV6), 2))
"""Octets of the transport header that must be there."""
_FLAGS = _by_protocol(0, np.int16, tcp=((TCP,), 0x0FFF))
_NEVER = _by_protocol(0, np.bool_, extensions=(_EXTENSIONS, True))
_PORTS = _by_protocol(0, np.uint64)
_PORTS[list(WITH_PORTS)] = _PORTS_MASK
_PART = np.array([keys.part_of_protocol(number, number in WITH_PORTS) for number in range(256)], np.uint64)
"""Protocol -> its part of the key's last word."""


@dataclass(slots=True)
class Found:
    """What is known of the frames of a block; what a frame has nothing of is 0.

    Attributes:
        keys: Shape (frames, KEY_WORDS).
        octets, flags, ttl, icmp: As in `rows.Sightings`.
        network: Shape (frames,), where the IP header begins, counted from the frame's first octet, of plain packets.
    """

    keys: Words
    octets: Integers
    flags: npt.NDArray[np.int16]
    ttl: npt.NDArray[np.uint8]
    icmp: npt.NDArray[np.int32]
    network: Integers

    @staticmethod
    def nothing(frames: int) -> Found:
        """Return what is known before anything was read."""
        return Found(
            np.zeros((frames, KEY_WORDS), np.uint64),
            np.zeros(frames, np.int64),
            np.zeros(frames, np.int16),
            np.zeros(frames, np.uint8),
            np.zeros(frames, np.int32),
            np.zeros(frames, np.int64),
        )


def read(block: FrameBlock, slot: Integers | int, found: Found, *, tunnels: bool) -> Integers:
    """Read the plain packets of a block.

    Args:
        block: The frames.
        slot: As in `keys.pack`.
        found: What was read is put there.
        tunnels: Whether packets that may carry another are left to the general dissection.
    Returns:
        The frames that are not plain, ascending.
    """
    link = _one_link(block)
    if link not in HEADERS or len(block.flat) < _LEAST_OCTETS:
        return np.arange(len(block))
    size, place = HEADERS[link]
    network = np.full(len(block), size, np.int64)
    left = np.ones(len(block), np.bool_)
    if place < 0:
        nibble = _gather(np.dtype("u1"), block, np.zeros(len(block), np.int64)) >> 4
        kind = np.where(nibble == 4, _TYPE_IPV4, np.where(nibble == 6, _TYPE_IPV6, 0))
    else:
        kind = _gather(np.dtype("<u2"), block, np.full(len(block), place, np.int64))
        for _ in range(_MAX_TAGS):
            tagged = np.flatnonzero((kind == _TYPE_VLAN) | (kind == _TYPE_PROVIDER))
            if not len(tagged):
                break
            network[tagged] += TAG
            kind[tagged] = _gather(np.dtype("<u2"), block, network[tagged] - 2, tagged)
    for family, header in ((_TYPE_IPV4, _ipv4), (_TYPE_IPV6, _ipv6)):
        some = np.flatnonzero(kind == family)
        if len(some):
            left[header(block, some, network[some], slot, found, tunnels)] = False
    found.network = network
    return np.flatnonzero(left)


def _one_link(block: FrameBlock) -> int:
    if isinstance(block.link, np.ndarray):
        return int(block.link[0]) if len(block.link) and (block.link == block.link[0]).all() else -1
    return int(block.link)


def _gather(dtype: np.dtype[Any], block: FrameBlock, skip: Integers, frames: Integers | slice = slice(None)) -> npt.NDArray[Any]:
    """Read one thing of each frame; where the octets end before, that of another."""
    size = dtype.itemsize
    places = np.ndarray((len(block.flat) - size + 1,), f"V{size}", block.flat, strides=(1,))
    return np.asarray(places[np.minimum(block.start[frames] + skip, len(places) - 1)].view(dtype))


def _ipv4(block: FrameBlock, rows: Integers, network: Integers, slot: Integers | int, found: Found, tunnels: bool) -> Integers:
    header = _gather(_IPV4, block, network, rows)
    protocol, total = header["protocol"], header["total"].astype(np.int64)
    plain = (header["version"] == 0x45) & (header["fragment"] & _FRAGMENT == 0)
    rows, header, kept = _kept(block, rows, network, plain, total, protocol, header, 20, tunnels)
    if kept is not None:
        protocol, total = protocol[kept], total[kept]
    ports = header["ports"].astype(np.uint64)
    at = _at(rows, block)
    found.keys[at, 1] = header["source"].astype(np.uint64) << np.uint64(32) | np.uint64(MAPPED)
    found.keys[at, 3] = header["destination"].astype(np.uint64) << np.uint64(32) | np.uint64(MAPPED)
    _transport(found, at, protocol, ports, header, header["tos"].astype(np.uint64) << np.uint64(keys.TOS), slot)
    found.octets[at] = total
    return rows


def _ipv6(block: FrameBlock, rows: Integers, network: Integers, slot: Integers | int, found: Found, tunnels: bool) -> Integers:
    header = _gather(_IPV6, block, network, rows)
    protocol, first, payload = header["protocol"], header["first"].astype(np.uint64), header["payload"].astype(np.int64)
    plain = (first >> np.uint64(28) == 6) & (payload > 0) & ~_NEVER[protocol]
    rows, header, kept = _kept(block, rows, network, plain, payload + 40, protocol, header, 40, tunnels)
    if kept is not None:
        protocol, first, payload = protocol[kept], first[kept], payload[kept]
    at = _at(rows, block)
    for word in range(2):
        found.keys[at, word] = header["source"][:, word]
        found.keys[at, word + 2] = header["destination"][:, word]
    tos = (first >> np.uint64(20) & np.uint64(0xFF)) << np.uint64(keys.TOS) | np.uint64(keys.IPV6)
    _transport(found, at, protocol, header["ports"].astype(np.uint64), header, tos, slot)
    found.octets[at] = payload + 40
    return rows


def _at(rows: Integers, block: FrameBlock) -> Integers | slice:
    """Return where rows are written: a slice costs less."""
    return slice(None) if len(rows) == len(block) else rows


def _kept(
    block: FrameBlock,
    rows: Integers,
    network: Integers,
    plain: Mask,
    total: Integers,
    protocol: npt.NDArray[np.uint8],
    header: npt.NDArray[np.void],
    size: int,
    tunnels: bool,
) -> tuple[Integers, npt.NDArray[np.void], Mask | None]:
    """Return the rows that are plain, their headers, and which those are; None for all."""
    needed = _NEEDED[protocol] + size
    start = block.start[rows] + network
    plain &= (total >= needed) & (start + needed <= block.end[rows])
    plain &= network + total <= block.length[rows]
    plain &= start + header.dtype.itemsize <= len(block.flat)
    if tunnels:
        plain &= ~carries(protocol, (header["ports"] & 0xFFFF).astype(np.int64))
    if plain.all():
        return rows, header, None
    return rows[plain], header.view(f"V{header.dtype.itemsize}")[plain].view(header.dtype), plain


def _transport(
    found: Found,
    rows: Integers | slice,
    protocol: npt.NDArray[np.uint8],
    ports: Words,
    header: npt.NDArray[np.void],
    others: Words,
    slot: Integers | int,
) -> None:
    rest = (ports << np.uint64(32)) & _PORTS[protocol]
    rest |= _PART[protocol]
    rest |= others
    rest |= slot.view(np.uint64)[rows] if isinstance(slot, np.ndarray) else np.uint64(slot)
    found.keys[rows, 4] = rest
    found.flags[rows] = header["flags"].astype(np.int16) & _FLAGS[protocol]
    found.ttl[rows] = header["ttl"]
    some = np.flatnonzero((protocol == ICMP) | (protocol == ICMPV6))
    if len(some):
        icmp = some if isinstance(rows, slice) else rows[some]
        found.icmp[icmp] = (ports[some] >> np.uint64(16)).astype(np.int32) + 1
