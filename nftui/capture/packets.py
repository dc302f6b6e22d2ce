"""Packets: many packet headers become columns at once. No state, no I/O, no loop over packets.

Each header is read of all packets that have it in one step: from the link (`links.py`) to the IP header, over that and its
extensions to the transport header (`internet.py`), and through tunnels (`tunnels.py`) from there again, a bounded number of times.
A packet may be cut short anywhere: what is there is reported, what is cut is absent.

Of a tunnel the innermost IP header of which both addresses are there is the flow's key; the outermost one's addresses and protocol
are kept beside it. MAC addresses, VLANs and the EtherType are those of the packet's own frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture import internet, links
from nftui.capture import tunnels as carried
from nftui.capture.dissection import ABSENT, ADDRESS, ALL, NUMBERS, Dissection, Mask, Rows
from nftui.capture.sets import Integers, Octets

Columns = dict[str, tuple[npt.NDArray[Any], Mask | None]]
"""Column of `schema.py` -> values, and where they stand; None for everywhere. Numbers have the column's dtype, addresses are uint8
of shape (rows, 16), and texts are str in dtype object."""
_OF_THE_PLACE = ("network", "transport", "ip_end", "fragment", "identification", "ttl")
_SCHEMA_NUMBERS = tuple(name for name in NUMBERS if name not in _OF_THE_PLACE)


@dataclass(frozen=True)
class Packets:
    """What many packet headers say.

    Attributes:
        numbers: Names of `dissection.NUMBERS` -> shape (packets,), `ABSENT` (-1) where a packet has none; without those that were
            nowhere looked for. MAC addresses are 48 bits in an integer; `ethernet_type` is the one behind VLAN tags;
            `source_vlan` is the outer tag and `customer_vlan` the next; `ip_total_length` is IPv4's total length, or IPv6's
            payload length + 40; `tcp_flags` are 12 bits (RFC 7125); `fragment` is `internet.WHOLE`, `FIRST_FRAGMENT` or
            `LATER_FRAGMENT`, and `identification` says which packet a fragment is of; `network` and `transport` are where the IP
            and the transport header begin in the array that was dissected, and `ip_end` where the IP packet ends, at most the
            packet's end.
        source: Shape (packets, 16), uint8, network order, IPv4 as ::ffff:a.b.c.d; zero where there is none.
        destination: The same.
        has_source: Shape (packets,), whether there is one.
        has_destination: The same.
        outer_source: As `source`, of the outermost IP header, where an inner one is the key.
        outer_destination: The same.
        depth: Shape (packets,), how many IP headers stand around the one that is the key.
    """

    numbers: dict[str, npt.NDArray[Any]]
    source: Octets
    destination: Octets
    has_source: Mask
    has_destination: Mask
    outer_source: Octets
    outer_destination: Octets
    depth: npt.NDArray[np.int16]

    def number(self, name: str) -> npt.NDArray[Any]:
        """Return one of `numbers`, of all packets even where none has it."""
        found = self.numbers.get(name)
        return np.broadcast_to(NUMBERS[name].type(ABSENT), self.has_source.shape) if found is None else found

    def columns(self) -> Columns:
        """Return what there is as columns of the schema, with its dtypes; a column that no packet has is left out."""
        columns: Columns = {}
        for name, octets, known in (
            ("source_address", self.source, self.has_source),
            ("destination_address", self.destination, self.has_destination),
            ("outer_source_address", self.outer_source, self.depth > 0),
            ("outer_destination_address", self.outer_destination, self.depth > 0),
        ):
            if known.any():
                columns[name] = octets, None if known.all() else known
        for name in _SCHEMA_NUMBERS:
            if name in self.numbers:
                _add(columns, name, self.numbers[name])
        if "ttl" in self.numbers:
            for name in ("minimum_ttl", "maximum_ttl"):
                _add(columns, name, self.numbers["ttl"])
        return columns


def dissect(flat: Octets, start: Integers, end: Integers, link: Integers | int, *, tunnels: bool = True) -> Packets:
    """Dissect a block of packets.

    Args:
        flat: Octets in which the packets lie, in any order; they may overlap.
        start: Shape (packets,), the first octet of each.
        end: Shape (packets,), behind the last; 0 <= start <= end <= len(flat).
        link: Shape (packets,), or one for all: link types as capture files name them; `links.SFLOW_LINKS` has them for sFlow.
        tunnels: Look through tunnels; else the outermost IP header behind VLAN, MPLS and PPPoE is the key.
    """
    found = Dissection(flat, start, end)
    if found.size:
        links.enter(found, np.broadcast_to(np.asarray(link, np.int64), found.at.shape))
        rows: Rows | None = ALL
        for level in range(carried.MAX_TUNNELS + 1 if tunnels else 1):
            if level and rows is not None:
                rows = carried.enter(found, rows)
            if rows is None:
                break
            links.strip(found, rows)
            rows = internet.read(found, rows, inner=level > 0)
    outer = found.outer or (np.broadcast_to(np.zeros(1, ADDRESS), found.size),) * 2
    return Packets(
        found.columns,
        _octets(found.source),
        _octets(found.destination),
        found.has_source,
        found.has_destination,
        _octets(outer[0]),
        _octets(outer[1]),
        found.depth,
    )


def _octets(addresses: npt.NDArray[np.void]) -> Octets:
    return np.ascontiguousarray(addresses).view(np.uint8).reshape(len(addresses), 16)


def _add(columns: Columns, name: str, values: npt.NDArray[Any]) -> None:
    known = values != ABSENT
    if known.all():
        columns[name] = values, None
    elif known.any():
        columns[name] = values, known
