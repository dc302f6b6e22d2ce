"""Observing: from a block of frames to what is metered of each IP packet, and what is counted of all others."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import ABSENT, Mask
from nftui.capture.internet import WHOLE
from nftui.capture.packets import Packets, dissect
from nftui.capture.probe import keys, plain
from nftui.capture.probe.facts import FactSource
from nftui.capture.probe.fragments import CarriedPorts
from nftui.capture.probe.frames import NO_INTERFACE, FrameBlock
from nftui.capture.probe.keys import DIRECTIONS, SLOTS, Words
from nftui.capture.probe.plain import Found
from nftui.capture.probe.rows import Sightings
from nftui.capture.sets import Integers

_NO_NEXT_HEADER = 59
_CAME_IN = 1
_IPV4_HEADER, _IPV6_HEADER = 20, 40
_PADDED = 60
"""No shorter packet is left to the interface to be cut up; shorter frames are padded."""


@dataclass(slots=True)
class ObservedCounts:
    """What was seen, in frames and octets. All frames are `packets`, `not_ip`, `cut` or `sampled_out`, and so are all octets.

    Attributes:
        frames: All that were given.
        octets: Of these on the wire, without checksum.
        packets: IP packets, all of which belong to a flow.
        packet_octets: Octets of these from the IP header on, without padding.
        link_octets: Of the same frames, what stands before the IP header or behind the packet.
        not_ip: Frames without an IP header.
        not_ip_octets: Of these.
        cut: Frames of which too little was captured to know the addresses.
        cut_octets: Of these.
        sampled_out: Frames that sampling left out.
        sampled_out_octets: Of these.
        fragments: IP packets that are fragments.
        odd_length: IP packets that say a length that the frame has no room for, or shorter than their header: they count as long
            as the frame allows.
        odd_time: Frames seen at no time that can be: before 1970, or after 2262.
    """

    frames: int = 0
    octets: int = 0
    packets: int = 0
    packet_octets: int = 0
    link_octets: int = 0
    not_ip: int = 0
    not_ip_octets: int = 0
    cut: int = 0
    cut_octets: int = 0
    sampled_out: int = 0
    sampled_out_octets: int = 0
    fragments: int = 0
    odd_length: int = 0
    odd_time: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class Slots:
    """Interfaces and the directions in which frames passed them, as small numbers of a key."""

    def __init__(self) -> None:
        """Begin with slot 0, which stands for nothing known."""
        self._known: dict[int, int] = {NO_INTERFACE: 0}

    def of(self, block: FrameBlock) -> Integers | int:
        """Return the slot of each frame, or one for all. Interfaces beyond the last slot are not told apart from none."""
        interface = self._known.get(block.interface, -1)
        if interface < 0:
            room = len(self._known) < SLOTS // DIRECTIONS
            interface = self._known.setdefault(block.interface, len(self._known)) if room else 0
        if block.outgoing is None:
            return interface * DIRECTIONS
        return interface * DIRECTIONS + _CAME_IN + block.outgoing

    def meaning(self, slot: Integers) -> tuple[Integers, Integers]:
        """Return interface and direction (0 came in, 1 went out, below zero not known) of each slot."""
        return np.array(list(self._known), np.int64)[slot // DIRECTIONS], slot % DIRECTIONS - _CAME_IN


def chosen(block: FrameBlock, frames: npt.NDArray[np.int64] | slice) -> FrameBlock:
    """Return some frames of a block."""
    return FrameBlock(
        block.flat,
        block.start[frames],
        block.end[frames],
        block.length[frames],
        block.time[frames],
        block.link[frames] if isinstance(block.link, np.ndarray) else block.link,
        block.interface,
        None if block.outgoing is None else block.outgoing[frames],
        None if block.vlan is None else block.vlan[frames],
    )


def observe(
    block: FrameBlock, counts: ObservedCounts, slots: Slots, *, tunnels: bool, carried: CarriedPorts | None
) -> tuple[Words, Sightings]:
    """Read the headers of a block.

    Args:
        block: The frames.
        counts: Is brought up to date.
        slots: Interfaces that are known.
        tunnels: Whether the innermost IP header is the key, not the outermost.
        carried: Gives later fragments the ports of the first; None leaves them without.
    Returns:
        Keys and sightings of the IP packets, in the order of the block.
    """
    found, slot = Found.nothing(len(block)), slots.of(block)
    others = plain.read(block, slot, found, tunnels=tunnels)
    facts = FactSource(block, found.network)
    everything = int(block.length.sum())
    if not len(others):
        counts.packets += len(block)
        measured = int(found.octets.sum())
        counts.packet_octets += measured
        counts.link_octets += everything - measured
        return found.keys, Sightings(block.time, found.octets, found.flags, found.ttl, found.icmp, np.arange(len(block)), facts)
    usable = np.ones(len(block), np.bool_)
    usable[others] = _general(chosen(block, others), others, slot, found, facts, counts, tunnels, carried)
    some = np.flatnonzero(usable)
    octets = found.octets[some]
    framed, measured = int(block.length[some].sum()), int(octets.sum())
    counts.packets += len(some)
    counts.packet_octets += measured
    counts.link_octets += framed - measured
    seen = Sightings(block.time[some], octets, found.flags[some], found.ttl[some], found.icmp[some], some, facts)
    return found.keys.take(some, axis=0), seen


def _general(
    block: FrameBlock,
    rows: Integers,
    slot: Integers | int,
    found: Found,
    facts: FactSource,
    counts: ObservedCounts,
    tunnels: bool,
    carried: CarriedPorts | None,
) -> Mask:
    """Read frames of any kind, count those which are not metered, and return which are."""
    packets = dissect(block.flat, block.start, block.end, block.link, tunnels=tunnels)
    facts.general, facts.packets = np.full(len(found.octets), ABSENT, np.int64), packets
    facts.general[rows] = np.arange(len(rows))
    usable = packets.has_source & packets.has_destination
    numbers = {name: packets.number(name) for name in ("source_port", "destination_port", "protocol", "tos", "ip_version")}
    fragment = packets.number("fragment")
    if carried is not None and (fragment > WHOLE).any():
        carried.carry(packets, numbers, fragment, usable)
    found.keys[rows] = keys.pack(packets.source, packets.destination, numbers, slot[rows] if isinstance(slot, np.ndarray) else slot)
    found.octets[rows] = _octets(packets, block, usable, counts)
    found.flags[rows] = np.maximum(packets.number("tcp_flags"), 0)
    found.ttl[rows] = np.maximum(packets.number("ttl"), 0)
    kind, code = packets.number("icmp_type").astype(np.int32), packets.number("icmp_code")
    found.icmp[rows] = np.where(kind >= 0, (kind << 8) + np.maximum(code, 0) + 1, 0)
    counts.fragments += int(((fragment > WHOLE) & usable).sum())
    cut = ~usable & (numbers["ip_version"] != ABSENT)
    other = ~usable & ~cut
    counts.cut += int(cut.sum())
    counts.cut_octets += int(block.length[cut].sum())
    counts.not_ip += int(other.sum())
    counts.not_ip_octets += int(block.length[other].sum())
    return np.asarray(usable)


def _octets(found: Packets, block: FrameBlock, usable: Mask, counts: ObservedCounts) -> Integers:
    """Return the length of each IP packet: what it says, unless that is nothing (the interface is to segment it) or absurd."""
    total = found.number("ip_total_length").astype(np.int64)
    on_wire = np.maximum(block.start + block.length - found.number("network"), 0)
    six = found.number("ip_version") == 6
    least = np.where(six, _IPV6_HEADER, _IPV4_HEADER)
    # Without payload, IPv6 says the same when there is none, and the rest is padding.
    filled = (total == _IPV6_HEADER) & (found.number("protocol") != _NO_NEXT_HEADER) & (on_wire > _PADDED)
    unsaid = np.where(six, filled, total == 0)
    octets = np.where(unsaid, on_wire, np.minimum(np.maximum(total, least), on_wire))
    counts.odd_length += int((usable & ~unsaid & (octets != total)).sum())
    return np.asarray(octets)
