"""Dissection: what has been found in many packets, and where the next header of each begins.

Headers are read through structured dtypes, one gather for each header of all packets that have it. A field counts as present only
when its last octet lies before the packet's end; what was read behind is thrown away. So that such a read stays within memory the
octets have a margin, which is added by copying only when the caller's array has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.sets import Integers, Octets

Mask = npt.NDArray[np.bool_]
Rows = Integers | slice
"""Which packets: their rows, ascending or not, or `ALL`. Most blocks need no index, as all packets have the same headers."""
ALL = slice(None)

MARGIN = 40
"""The longest header that is read at once."""
ABSENT = -1

IPV4, IPV6, MPLS, MPLS_UPSTREAM = 0x0800, 0x86DD, 0x8847, 0x8848
LLC, ETHERNET_FRAME, BY_VERSION, PPP_FRAME, CISCO_FRAME, COOKED_FRAME, COOKED_FRAME_2 = range(0x10000, 0x10007)
"""What comes next: an EtherType, or one of these; `ABSENT` where nothing comes that is read here."""
KINDS = 0x10008

ADDRESS = np.dtype([("zero", "u8"), ("mapped", "u4"), ("four", "u4")])
"""An address of 16 octets, and the parts of one that stands for IPv4; network order, as raw octets."""
MAPPED = np.uint32(int.from_bytes(b"\0\0\xff\xff", "little"))

NUMBERS: dict[str, np.dtype[Any]] = {
    **dict.fromkeys(
        ("source_mac", "destination_mac", "layer2_segment_id", "network", "identification", "transport", "ip_end"), np.dtype("i8")
    ),
    **dict.fromkeys(
        ("tos", "ttl", "protocol", "ip_version", "icmp_type", "icmp_code", "outer_protocol", "fragment"), np.dtype("i2")
    ),
    **dict.fromkeys(
        (
            "ethernet_type", "source_vlan", "customer_vlan", "ip_total_length", "flow_label", "source_port", "destination_port",
            "tcp_flags", *(f"mpls_label_{n}" for n in range(1, 11)),
        ),
        np.dtype("i4"),
    ),
}  # fmt: skip
"""Columns of numbers and their dtypes, those of `schema.py` where it has the column."""
OF_THE_INNER = (
    "source_port", "destination_port", "tcp_flags", "icmp_type", "icmp_code", "flow_label", "transport", "identification",
)  # fmt: skip
"""Columns that an inner packet may lack, and must not keep from the outer one."""


class Room:
    """How many octets there are from a place in each packet to its end."""

    def __init__(self, octets: Integers) -> None:
        self.octets = octets
        self._least = int(octets.min()) if len(octets) else MARGIN

    def holds(self, size: int) -> Mask | None:
        """Return which packets have `size` octets there; None for all of them."""
        return None if self._least >= size else self.octets >= size


class Dissection:
    """The state of a block of packets on the way from header to header.

    Attributes:
        size: Packets.
        at: Shape (packets,), where the next header begins, never behind `end`.
        end: Shape (packets,), behind the last octet that may be read: the packet's, or that of the IP packet within.
        kind: Shape (packets,), what the next header is.
        inside: Shape (packets,), whether it lies within a frame that the packet carries, not in the packet's own frame.
        columns: Numbers found, by name, `ABSENT` where there is none; without names that were nowhere looked for.
        source, destination: Shape (packets,), dtype `ADDRESS`; zero where there is none.
        has_source, has_destination: Shape (packets,), whether there is one.
        outer: Source and destination of the outermost IP header where an inner one took its place; None while there is none.
        depth: Shape (packets,), how often that happened.
    """

    def __init__(self, flat: Octets, start: Integers, end: Integers) -> None:
        """Begin at the first octet of each packet; see `packets.dissect`."""
        self.size = len(start)
        highest = int(end.max()) if self.size else 0
        if len(flat) < highest + MARGIN:
            flat = np.concatenate([flat[:highest], np.zeros(MARGIN, np.uint8)])
        self._flat = np.ascontiguousarray(flat)
        self.at = start.astype(np.int64)
        self.end = end.astype(np.int64)
        self.kind = np.full(self.size, ABSENT, np.int32)
        self.inside = np.zeros(self.size, np.bool_)
        self.columns: dict[str, npt.NDArray[Any]] = {}
        self.source = np.zeros(self.size, ADDRESS)
        self.destination = np.zeros(self.size, ADDRESS)
        self.has_source = np.zeros(self.size, np.bool_)
        self.has_destination = np.zeros(self.size, np.bool_)
        self.outer: tuple[npt.NDArray[np.void], npt.NDArray[np.void]] | None = None
        self.depth = np.zeros(self.size, np.int16)

    def where(self, rows: Rows, mask: Mask) -> Rows | None:
        """Return those of `rows` for which the mask is true; None when there are none."""
        if mask.all():
            return rows if len(mask) else None
        if isinstance(rows, slice):
            rows = np.flatnonzero(mask)
        else:
            rows = rows[mask]
        return rows if len(rows) else None

    def read(self, header: np.dtype[Any], rows: Rows, skip: int | Integers = 0) -> npt.NDArray[Any]:
        """Read a header of at most `MARGIN` octets.

        Args:
            header: A structured dtype, or one number.
            rows: Of which packets.
            skip: How far behind `at` it begins; a packet that ends before gives another place's octets.
        Returns:
            Shape (rows,), of that dtype. What stands in it behind the packet's end means nothing.
        """
        size = header.itemsize
        places = np.ndarray((len(self._flat) - size + 1,), f"V{size}", self._flat, strides=(1,))
        at = self.at[rows]
        if isinstance(skip, int):
            at = np.minimum(at + skip, self.end[rows]) if skip else at
        else:
            at = np.minimum(at + skip, self.end[rows])
        return places[at].view(header)

    def room(self, rows: Rows, skip: int | Integers = 0) -> Room:
        """Return how many octets there are from `skip` octets behind `at`; below zero when the packet ends before."""
        return Room(self.end[rows] - self.at[rows] - skip)

    def advance(self, rows: Rows, octets: int | npt.NDArray[Any]) -> None:
        """Step over a header."""
        self.at[rows] = np.minimum(self.at[rows] + octets, self.end[rows])

    def put(self, name: str, rows: Rows, values: npt.NDArray[Any], present: Mask | None = None) -> None:
        """Set a column for some packets; where the value is not present it becomes absent."""
        dtype = NUMBERS[name]
        values = values.astype(dtype)
        if present is not None:
            values[~present] = ABSENT
        if isinstance(rows, slice):
            self.columns[name] = values
        else:
            self.column(name)[rows] = values

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column to write into."""
        if name not in self.columns:
            self.columns[name] = np.full(self.size, ABSENT, NUMBERS[name])
        return self.columns[name]

    def put_addresses(self, rows: Rows, header: npt.NDArray[Any], room: Room | None = None) -> None:
        """Set source and destination, from a header that ends with them, and has fields of those names.

        Args:
            rows: Of which packets.
            header: Shape (rows,).
            room: Of the header, when it may be cut short.
        """
        four = header.dtype["source"].itemsize == 4
        for name, addresses, known in (
            ("source", self.source, self.has_source),
            ("destination", self.destination, self.has_destination),
        ):
            if four:
                addresses["zero"][rows] = 0
                addresses["mapped"][rows] = MAPPED
                addresses["four"][rows] = header[name]
            else:
                addresses.view("V16")[rows] = header[name]
            known[rows] = True
            field = header.dtype.fields[name] if header.dtype.fields else None
            present = room.holds(field[1] + field[0].itemsize) if room is not None and field is not None else None
            if present is not None:
                cut = self.where(rows, ~present)
                if cut is not None:
                    addresses[cut] = 0
                    known[cut] = False

    def descend(self, rows: Rows) -> None:
        """Keep the outermost addresses and protocol of packets of which an inner IP header is read next, and forget its rest."""
        first = self.where(rows, self.depth[rows] == 0)
        if first is not None:
            if self.outer is None:
                self.outer = np.zeros(self.size, ADDRESS), np.zeros(self.size, ADDRESS)
            self.outer[0][first] = self.source[first]
            self.outer[1][first] = self.destination[first]
            self.put("outer_protocol", first, self.columns["protocol"][first])
        self.depth[rows] += 1
        for name in OF_THE_INNER:
            if name in self.columns:
                self.columns[name][rows] = ABSENT
