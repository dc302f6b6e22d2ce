"""Facts: what only the first packet of a flow is asked for, so it is read of few packets, and late."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture import links
from nftui.capture.dissection import ABSENT
from nftui.capture.packets import Packets
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.plain import HEADERS, TAG
from nftui.capture.sets import Integers

Facts = dict[str, npt.NDArray[np.int64]]
"""Name, of `schema.py` but for what the meter adds -> shape (packets,), below zero for absent."""
_NUMBERS = (
    "source_mac", "destination_mac", "ethernet_type", "source_vlan", "customer_vlan", "layer2_segment_id", "flow_label",
    *(f"mpls_label_{number}" for number in range(1, 11)), "outer_protocol",
)  # fmt: skip
OUTER = {"outer_source_address": "outer_source", "outer_destination_address": "outer_destination"}
"""Column -> attribute of `Packets`. An address is four facts, its name with `.0` to `.3` behind."""
_ETHERNET = np.dtype([("to", ">u2"), ("to_low", ">u4"), ("from", ">u2"), ("from_low", ">u4")])
_SHORT = np.dtype(">u2")


@dataclass(slots=True)
class FactSource:
    """Where the facts of a block's packets are.

    Attributes:
        block: The frames.
        network: Shape (frames,), where the IP header begins in each plain frame.
        general: Shape (frames,), the row in `packets` of each frame that is not plain, below zero for the others; None when all
            are plain.
        packets: What the general dissection found.
        more: Facts of all frames, from elsewhere.
    """

    block: FrameBlock
    network: Integers
    general: Integers | None = None
    packets: Packets | None = None
    more: Facts = field(default_factory=dict)

    def of(self, frames: Integers) -> Facts:
        """Return the facts of some frames."""
        if self.general is None or self.packets is None:
            facts = self._plain(frames)
        else:
            row = self.general[frames]
            plain, others = np.flatnonzero(row < 0), np.flatnonzero(row >= 0)
            facts = {}
            for some, values in ((plain, self._plain(frames[plain])), (others, self._others(self.packets, row[others]))):
                for name, value in values.items():
                    facts.setdefault(name, np.full(len(frames), ABSENT, np.int64))[some] = value
        self._vlan_of_the_ring(frames, facts)
        return facts | {name: values[frames] for name, values in self.more.items()}

    def _plain(self, frames: Integers) -> Facts:
        block, facts, network = self.block, Facts(), self.network[frames]
        if not len(frames):
            return facts
        start = block.start[frames]
        link = block.link if isinstance(block.link, int) else int(block.link[0])
        size, place = HEADERS[link]
        if link == links.ETHERNET:
            header = _read(block, start, _ETHERNET)
            for name, end in (("destination_mac", "to"), ("source_mac", "from")):
                facts[name] = header[end].astype(np.int64) << 32 | header[f"{end}_low"]
        if place >= 0:
            tagged = network > size
            at = start + np.where(tagged, network - 2, place)
            facts["ethernet_type"] = _read(block, at, _SHORT).astype(np.int64)
            if tagged.any():
                facts |= self._tags(start + size, (network - size) // TAG)
        first = _read(block, start + network, np.dtype(">u4")).astype(np.int64)
        six = first >> 28 == 6
        if six.any():
            facts["flow_label"] = np.where(six, first & 0xFFFFF, ABSENT)
        return facts

    def _tags(self, at: Integers, number: Integers) -> Facts:
        """Return the VLANs of so many tags, two at most, which begin there; tag 0 names none."""
        first, second = (
            np.where(number > place, _read(self.block, at + place * TAG, _SHORT).astype(np.int64) & 0x0FFF, 0) for place in range(2)
        )
        outer = np.where(first > 0, first, second)
        return {
            "source_vlan": np.where(outer > 0, outer, ABSENT),
            "customer_vlan": np.where((first > 0) & (second > 0), second, ABSENT),
        }

    def _others(self, packets: Packets, rows: Integers) -> Facts:
        facts: Facts = {name: packets.numbers[name][rows].astype(np.int64) for name in _NUMBERS if name in packets.numbers}
        deep = packets.depth[rows] > 0
        if deep.any():
            for name, attribute in OUTER.items():
                words = getattr(packets, attribute)[rows].view(">u4").astype(np.int64)
                for part in range(4):
                    facts[f"{name}.{part}"] = np.where(deep, words[:, part], ABSENT)
        return facts

    def _vlan_of_the_ring(self, frames: Integers, facts: Facts) -> None:
        """Take the outer tag from where the kernel put it; one in the frame is the inner one then."""
        if self.block.vlan is None:
            return
        vlan = self.block.vlan[frames].astype(np.int64)
        taken = vlan > 0
        if not taken.any():
            return
        inner = facts.get("source_vlan", np.full(len(frames), ABSENT, np.int64))
        facts["source_vlan"] = np.where(taken, vlan, inner)
        if (taken & (inner > 0)).any():
            facts["customer_vlan"] = np.where(taken, inner, facts.get("customer_vlan", np.full(len(frames), ABSENT, np.int64)))


def _read(block: FrameBlock, at: Integers, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    places = np.ndarray((len(block.flat) - dtype.itemsize + 1,), f"V{dtype.itemsize}", block.flat, strides=(1,))
    return places[np.minimum(at, len(places) - 1)].view(dtype)
