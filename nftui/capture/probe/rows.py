"""Rows: what is known of flows, a row each, in arrays that are taken from and put into many rows at once.

A row has a key and one lane, or two where both directions are one flow: what was seen in that direction. What only the first packet
says (addresses of the link, VLANs, labels) are facts, in arrays that exist once any packet had them; 0 stands for absent there, so
that memory is real only where a row was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import Mask
from nftui.capture.probe.facts import FactSource
from nftui.capture.probe.keys import KEY_WORDS, Words
from nftui.capture.sets import Integers

HEAD = KEY_WORDS + 1
LANE = np.dtype(
    [
        ("first", "i8"),
        ("last", "i8"),
        ("packets", "i8"),
        ("octets", "i8"),
        ("icmp", "i4"),
        ("flags", "i2"),
        ("lowest_ttl", "u1"),
        ("highest_ttl", "u1"),
    ]
)
"""Times in microseconds; `icmp` is type and code + 1, `MIXED` for several, 0 for none; TTLs are 0 in an empty lane."""
MIXED = (1 << 16) + 1
_RAW_HEAD = np.dtype(f"V{HEAD * 8}")
_RAW = np.dtype(f"V{LANE.itemsize}")
FIN, RST = 1, 4
_WIDE = ("source_mac", "destination_mac", "outer_source_address", "outer_destination_address")
"""Facts of more than 31 bits."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """What is metered of packets, in the order of time.

    Attributes:
        time: Shape (packets,), int64, microseconds.
        octets: Shape (packets,), int64, of the IP packet.
        flags: Shape (packets,), int16, of TCP, 0 for none.
        ttl: Shape (packets,), uint8.
        icmp: Shape (packets,), int32, type << 8 | code, + 1; 0 for none.
        frame: Shape (packets,), which frame of the block it is.
        facts: Has what is kept of a flow's first packet, by frame.
    """

    time: Integers
    octets: Integers
    flags: npt.NDArray[np.int16]
    ttl: npt.NDArray[np.uint8]
    icmp: npt.NDArray[np.int32]
    frame: Integers
    facts: FactSource


class Rows:
    """Some rows.

    Attributes:
        size: How many there are.
        lanes: How many each has, 1 or 2.
        heads: Shape (size, HEAD), the key's words and its hash.
        lane: Shape (size * lanes,), dtype `LANE`; the lanes of a row stand beside each other.
        facts: Name -> shape (size * lanes,), + 1; 0 for absent.
    """

    def __init__(self, size: int, lanes: int) -> None:
        """Make empty rows."""
        self.size, self.lanes = size, lanes
        self.heads: Words = np.zeros((size, HEAD), np.uint64)
        self.lane = np.zeros(size * lanes, LANE)
        self.facts: dict[str, npt.NDArray[Any]] = {}

    @property
    def memory(self) -> int:
        """Octets of all arrays; those of rows never used need not be real."""
        return self.heads.nbytes + self.lane.nbytes + sum(values.nbytes for values in self.facts.values())

    def lanes_of(self, rows: Integers) -> Integers:
        """Return the lanes of rows, in their order."""
        if self.lanes == 1:
            return rows
        return (rows[:, None] * self.lanes + np.arange(self.lanes)).ravel()

    def take(self, rows: Integers) -> Rows:
        """Return copies of some rows."""
        taken = Rows(0, self.lanes)
        taken.size = len(rows)
        lanes = self.lanes_of(rows)
        taken.heads, taken.lane = self.heads.take(rows, axis=0), self.lane.take(lanes)
        taken.facts = {name: values.take(lanes) for name, values in self.facts.items()}
        return taken

    def put(self, rows: Integers, given: Rows) -> None:
        """Put rows in the place of others."""
        lanes = self.lanes_of(rows)
        self.name(rows, given.heads)
        self._write(lanes, given.lane)
        for name in given.facts:
            self.fact(name)[lanes] = given.facts[name]
        for name in self.facts.keys() - given.facts.keys():
            self.facts[name][lanes] = 0

    def name(self, rows: Integers, heads: Words) -> None:
        """Give rows their keys and hashes."""
        self.heads.view(_RAW_HEAD)[rows, 0] = np.ascontiguousarray(heads).view(_RAW_HEAD)[:, 0]

    def clear(self, rows: Integers) -> None:
        """Empty some rows but for their key."""
        lanes = self.lanes_of(rows)
        self._write(lanes, np.zeros(len(lanes), LANE))
        for values in self.facts.values():
            values[lanes] = 0

    def fact(self, name: str) -> npt.NDArray[Any]:
        """Return the array of a fact to write into."""
        if name not in self.facts:
            self.facts[name] = np.zeros(self.size * self.lanes, np.int64 if name.startswith(_WIDE) else np.int32)
        return self.facts[name]

    def add(self, lanes: Integers, seen: Sightings, order: Integers) -> None:
        """Add packets to lanes.

        Args:
            lanes: Shape (packets,), ascending; the lane of each of `order`.
            seen: The packets.
            order: Shape (packets,), which of them, those of one lane in the order of time.
        """
        if not len(lanes):
            return
        begins = np.flatnonzero(np.concatenate([[True], lanes[1:] != lanes[:-1]]))
        ends = np.append(begins[1:], len(lanes))
        lanes = lanes[begins]
        kept = self.lane.take(lanes)
        fresh = kept["packets"] == 0
        new = np.flatnonzero(fresh)
        first, last = seen.time[order[begins]], seen.time[order[ends - 1]]
        single = len(begins) == len(order)
        octets, flags, ttl = seen.octets[order], seen.flags[order], seen.ttl[order]
        low = high = ttl
        if not single:
            octets, flags = np.add.reduceat(octets, begins), np.bitwise_or.reduceat(flags, begins)
            same = ttl[1:] == ttl[:-1]
            same[begins[1:] - 1] = True
            # Nearly always: the way between two hosts is the same for all packets of a block.
            low = high = ttl[begins]
            if not same.all():
                low, high = np.minimum.reduceat(ttl, begins), np.maximum.reduceat(ttl, begins)
        if len(new):
            kept["first"][new], kept["last"][new], kept["lowest_ttl"][new] = first[new], last[new], low[new]
        np.minimum(kept["first"], first, out=kept["first"])
        np.maximum(kept["last"], last, out=kept["last"])
        kept["packets"] += ends - begins
        kept["octets"] += octets
        kept["flags"] |= flags
        np.minimum(kept["lowest_ttl"], low, out=kept["lowest_ttl"])
        np.maximum(kept["highest_ttl"], high, out=kept["highest_ttl"])
        icmp = seen.icmp[order]
        if icmp.any():
            least, most = np.minimum.reduceat(icmp, begins), np.maximum.reduceat(icmp, begins)
            alike = (least == most) & (fresh | (kept["icmp"] == most))
            kept["icmp"] = np.where(alike, most, MIXED)
        self._write(lanes, kept)
        if len(new):
            self._remember(lanes[new], seen, order[begins[new]])

    def _write(self, lanes: Integers, given: npt.NDArray[np.void]) -> None:
        # As raw octets: field by field takes ten times as long.
        self.lane.view(_RAW)[lanes] = given.view(_RAW)

    def _remember(self, lanes: Integers, seen: Sightings, packets: Integers) -> None:
        for name, said in seen.facts.of(seen.frame[packets]).items():
            if name in self.facts:
                self.facts[name][lanes] = said + 1
            elif (said >= 0).any():
                self.fact(name)[lanes] = said + 1

    def times(self, rows: Integers | slice) -> tuple[Integers, Integers, Mask, Mask]:
        """Return of rows when the first and the last packet came, whether there was any, and whether TCP said that it ends."""
        lane = self.lane.reshape(self.size, self.lanes)
        lanes = lane[rows] if isinstance(rows, slice) else lane.take(rows, axis=0)
        used, flags = lanes["packets"] > 0, lanes["flags"]
        if self.lanes == 1:
            return lanes["first"][:, 0], lanes["last"][:, 0], used[:, 0], (flags[:, 0] & (FIN | RST)) != 0
        # Two columns, each by itself: to reduce an axis of two takes several times as long.
        first, last = lanes["first"], lanes["last"]
        begin = np.minimum(*(np.where(used[:, lane], first[:, lane], np.iinfo(np.int64).max) for lane in range(2)))
        end = np.maximum(last[:, 0], last[:, 1])
        both = flags[:, 0] & flags[:, 1] & FIN | (flags[:, 0] | flags[:, 1]) & RST
        return begin, end, used[:, 0] | used[:, 1], both != 0


def joined(parts: list[Rows]) -> Rows:
    """Return rows of several as one."""
    if len(parts) == 1:
        return parts[0]
    whole = Rows(0, parts[0].lanes)
    whole.size = sum(part.size for part in parts)
    whole.heads = np.concatenate([part.heads for part in parts])
    whole.lane = np.concatenate([part.lane for part in parts])
    for name in dict.fromkeys(name for part in parts for name in part.facts):
        whole.facts[name] = np.concatenate([part.facts.get(name, np.zeros(len(part.lane), np.int32)) for part in parts])
    return whole
