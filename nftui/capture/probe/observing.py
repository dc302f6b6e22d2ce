"""Observing: from a block of frames to what is metered of each IP packet, and what is counted of all others."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import ABSENT, Mask
from nftui.capture.internet import WHOLE
from nftui.capture.packets import Packets, dissect
from nftui.capture.probe import keys
from nftui.capture.probe.fragments import CarriedPorts
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.keys import SLOTS, Words
from nftui.capture.probe.rows import Facts, Sightings
from nftui.capture.sets import Integers

_NO_NEXT_HEADER = 59
_IPV4_HEADER, _IPV6_HEADER = 20, 40
_FACTS = (
    "source_mac", "destination_mac", "ethernet_type", "source_vlan", "customer_vlan", "layer2_segment_id", "flow_label",
    *(f"mpls_label_{number}" for number in range(1, 11)), "outer_protocol",
)  # fmt: skip
"""What is kept of a flow's first packet, under the names of `schema.py`."""
OUTER = {"outer_source_address": ("outer_source", 0), "outer_destination_address": ("outer_destination", 1)}


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

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class Slots:
    """Interfaces and the directions in which frames passed them, as small numbers of a key."""

    def __init__(self) -> None:
        """Begin with slot 0, which stands for nothing known."""
        self._known: dict[tuple[int, bool | None], int] = {(0, None): 0}

    def of(self, block: FrameBlock) -> Integers | int:
        """Return the slot of each frame, or one for all. Interfaces beyond the last slot are not told apart from none."""
        if block.outgoing is None:
            return self._slot(block.interface, None)
        return np.where(block.outgoing, self._slot(block.interface, True), self._slot(block.interface, False))

    def _slot(self, interface: int, outgoing: bool | None) -> int:
        if len(self._known) >= SLOTS:
            return self._known.get((interface, outgoing), 0)
        return self._known.setdefault((interface, outgoing), len(self._known))

    def tables(self) -> tuple[Integers, npt.NDArray[np.int16]]:
        """Return interface and direction (0 came in, 1 went out, below zero not known) by slot."""
        direction = [ABSENT if out is None else int(out) for _, out in self._known]
        return np.array([interface for interface, _ in self._known], np.int64), np.array(direction, np.int16)


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
    found = dissect(block.flat, block.start, block.end, block.link, tunnels=tunnels)
    usable = found.has_source & found.has_destination
    slot = slots.of(block)
    numbers = {name: found.number(name) for name in ("source_port", "destination_port", "protocol", "tos", "ip_version")}
    fragment = found.number("fragment")
    fragments = fragment > WHOLE
    if carried is not None and fragments.any():
        carried.carry(found, numbers, fragment, usable)
    octets = _octets(found, block, usable, counts)
    packed = keys.pack(found.source, found.destination, numbers, slot)
    icmp_type, icmp_code = found.numbers.get("icmp_type"), found.number("icmp_code")
    icmp = (
        None if icmp_type is None else np.where(icmp_type >= 0, (icmp_type.astype(np.int32) << 8) + np.maximum(icmp_code, 0) + 1, 0)
    )
    seen = Sightings(
        block.time,
        octets,
        np.maximum(found.number("tcp_flags"), 0).astype(np.int16),
        np.maximum(found.number("ttl"), 0).astype(np.uint8),
        icmp,
        _facts(found, block.vlan),
    )
    _count(counts, block, found, usable, octets, fragments)
    if usable.all():
        return packed, seen
    some = np.flatnonzero(usable)
    return packed[some], seen.take(some)


def _octets(found: Packets, block: FrameBlock, usable: Mask, counts: ObservedCounts) -> Integers:
    """Return the length of each IP packet: what it says, unless that is nothing (the interface is to segment it) or absurd."""
    total = found.number("ip_total_length").astype(np.int64)
    on_wire = np.maximum(block.start + block.length - found.number("network"), 0)
    six = found.number("ip_version") == 6
    least = np.where(six, _IPV6_HEADER, _IPV4_HEADER)
    unsaid = np.where(six, (total == _IPV6_HEADER) & (found.number("protocol") != _NO_NEXT_HEADER), total == 0)
    octets = np.where(unsaid, on_wire, np.minimum(np.maximum(total, least), on_wire))
    counts.odd_length += int((usable & ~unsaid & (octets != total)).sum())
    return np.asarray(octets)


def _facts(found: Packets, vlan: npt.NDArray[np.int32] | None) -> Facts:
    facts = {name: found.numbers[name] for name in _FACTS if name in found.numbers}
    if vlan is not None:
        tagged = vlan > 0
        inner = found.number("source_vlan")
        facts["source_vlan"] = np.where(tagged, vlan, inner)
        if "source_vlan" in found.numbers:
            facts["customer_vlan"] = np.where(tagged, inner, found.number("customer_vlan"))
    if (found.depth > 0).any():
        deep = found.depth > 0
        for name, (attribute, _) in OUTER.items():
            words = getattr(found, attribute).view(">u4").astype(np.int64)
            for part in range(4):
                facts[f"{name}.{part}"] = np.where(deep, words[:, part], ABSENT)
    return facts


def _count(counts: ObservedCounts, block: FrameBlock, found: Packets, usable: Mask, octets: Integers, fragments: Mask) -> None:
    everything, packets = int(block.length.sum()), int(usable.sum())
    counts.packets += packets
    counts.fragments += int((fragments & usable).sum())
    if packets == len(block):
        measured = int(octets.sum())
        counts.packet_octets += measured
        counts.link_octets += everything - measured
        return
    cut = ~usable & (found.number("ip_version") != ABSENT)
    other = ~usable & ~cut
    measured, framed = int(octets[usable].sum()), int(block.length[usable].sum())
    counts.packet_octets += measured
    counts.link_octets += framed - measured
    counts.cut += int(cut.sum())
    counts.cut_octets += int(block.length[cut].sum())
    counts.not_ip += int(other.sum())
    counts.not_ip_octets += int(block.length[other].sum())
