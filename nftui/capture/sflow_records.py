"""sFlow flow records: what an agent says about sampled packets becomes columns of the schema, one format of all samples at a time.

`RECORDS` has a function for each format, in the order in which they are applied: a later one takes precedence where both have a
value. The sampled header is thus preferred over what an agent found in it, and what the agent knows of its own forwarding (VLAN,
next hop, route, user) over the header.

Source: "sFlow Version 5" (July 2004), section 5, "Flow data types"; "sFlow 802.11 Structures"; "sFlow Port NAT Structures"; "sFlow
Tunnel Structures"; the structure numbers at sflow.org.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture import sflow_gateway
from nftui.capture.batch import NUMPY
from nftui.capture.dissection import ADDRESS, MAPPED, Mask
from nftui.capture.internet import TCP, WITH_PORTS
from nftui.capture.links import SFLOW_LINKS
from nftui.capture.packets import Columns, dissect
from nftui.capture.sets import Integers
from nftui.capture.xdr import Entries, Reader

_HEADER = np.dtype([("protocol", ">u4"), ("frame", ">u4"), ("stripped", ">u4"), ("length", ">u4")])
_ETHERNET = np.dtype(
    [
        ("length", ">u4"),
        ("source_high", ">u2"),
        ("source_low", ">u4"),
        ("pad", "V2"),
        ("destination_high", ">u2"),
        ("destination_low", ">u4"),
        ("pad2", "V2"),
        ("type", ">u4"),
    ]
)
_IPV4 = np.dtype(
    [
        ("length", ">u4"),
        ("protocol", ">u4"),
        ("source", "u4"),
        ("destination", "u4"),
        ("source_port", ">u4"),
        ("destination_port", ">u4"),
        ("tcp_flags", ">u4"),
        ("tos", ">u4"),
    ]
)
_IPV6 = np.dtype(
    [
        ("length", ">u4"),
        ("protocol", ">u4"),
        ("source", "V16"),
        ("destination", "V16"),
        ("source_port", ">u4"),
        ("destination_port", ">u4"),
        ("tcp_flags", ">u4"),
        ("tos", ">u4"),
    ]
)
_SWITCH = np.dtype([("source_vlan", ">u4"), ("priority", ">u4"), ("destination_vlan", ">u4"), ("priority2", ">u4")])
_MASKS, _PORTS = np.dtype([("source", ">u4"), ("destination", ">u4")]), np.dtype([("source", ">u4"), ("destination", ">u4")])
_MAC = np.dtype([("high", ">u2"), ("low", ">u4")])
_LINKS = np.full(max(SFLOW_LINKS) + 2, -1, np.int64)
_LINKS[list(SFLOW_LINKS)] = list(SFLOW_LINKS.values())
_MAX_VLAN, _MAX_SEGMENT, _MAX_LABELS = 0xFFF, 0xFFFFFF, 10


class Table:
    """Columns that are put together record by record.

    Attributes:
        size: Rows, one a sample.
        columns: What there is so far.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.columns: Columns = {}

    def put(self, name: str, rows: Integers, values: npt.NDArray[Any], valid: Mask | None = None) -> None:
        """Set a column for some rows, ascending, where the values are valid; elsewhere it keeps what it has."""
        if valid is not None:
            if not valid.any():
                return
            if valid.all():
                valid = None
        if values.dtype != object and values.ndim == 1:
            values = values.astype(NUMPY[name], copy=False)
        before = self.columns.get(name)
        if len(rows) == self.size and (valid is None or before is None):
            self.columns[name] = values, valid
            return
        if before is None:
            empty = "" if values.dtype == object else 0
            held = np.full((self.size, *values.shape[1:]), empty, values.dtype)
            known = np.zeros(self.size, np.bool_)
        else:
            held, known = before[0].copy(), np.ones(self.size, np.bool_) if before[1] is None else before[1].copy()
        take = slice(None) if valid is None else valid
        held[rows[take]] = values[take]
        known[rows[take]] = True
        self.columns[name] = held, None if known.all() else known


def decode(reader: Reader, records: Entries, samples: int) -> tuple[Columns, Integers]:
    """Decode the flow records of samples.

    Args:
        reader: The block.
        records: The records; the owner is the sample. Of several of one format in a sample the first counts.
        samples: How many samples there are.
    Returns:
        Columns, one row a sample; and the samples of records that end before their last field.
    """
    table, short = Table(samples), []
    present = set(np.unique(records.format[records.format <= LAST_FORMAT]).tolist())
    for formats, function in RECORDS:
        if present.isdisjoint(formats):
            continue
        chosen = records.first(*formats)
        ends_early = function(table, reader, chosen)
        if ends_early.any():
            short.append(chosen.owner[ends_early])
    return table.columns, np.concatenate(short) if short else np.empty(0, np.int64)


def _header(table: Table, reader: Reader, records: Entries) -> Mask:
    raw = reader.read(_HEADER, records.start)
    begin = records.start + _HEADER.itemsize
    there = begin <= records.end
    table.put("octets", records.owner, raw["frame"].astype(np.int64), records.start + 8 <= records.end)
    begin = np.minimum(begin, records.end)
    end = np.minimum(begin + np.where(there, raw["length"], 0), records.end)
    link = np.where(there, _LINKS[np.minimum(raw["protocol"], len(_LINKS) - 1)], -1)
    for name, (values, valid) in dissect(reader.flat, begin, end, link).columns().items():
        table.put(name, records.owner, values, valid)
    return np.asarray(~there | (begin + raw["length"] > records.end))


def _ethernet(table: Table, reader: Reader, records: Entries) -> Mask:
    """Read (0,2). XDR pads a MAC address to 8 octets, yet some agents do not: the length tells."""
    padded = records.end - records.start >= _ETHERNET.itemsize
    there = records.end - records.start >= 20
    second = records.start + np.where(padded, 12, 10)
    first, other = reader.read(_MAC, records.start + 4), reader.read(_MAC, second)
    table.put("octets", records.owner, reader.word(records.start), there)
    table.put("source_mac", records.owner, _mac(first), there)
    table.put("destination_mac", records.owner, _mac(other), there)
    ethertype = reader.word(second + np.where(padded, 8, 6))
    table.put("ethernet_type", records.owner, ethertype, there & (ethertype >= 0x600) & (ethertype <= 0xFFFF))
    return ~there


def _ip(structure: np.dtype[Any], version: int) -> Callable[[Table, Reader, Entries], Mask]:
    def read(table: Table, reader: Reader, records: Entries) -> Mask:
        raw, rows = reader.read(structure, records.start), records.owner
        there = records.start + structure.itemsize <= records.end
        protocol, length = raw["protocol"], raw["length"].astype(np.int64)
        table.put("octets", rows, length, there)
        table.put("ip_total_length", rows, length, there & (length < 1 << 31))
        table.put("ip_version", rows, np.full(len(rows), version), there)
        table.put("protocol", rows, protocol, there & (protocol < 256))
        table.put("source_address", rows, _addresses(raw["source"]), there)
        table.put("destination_address", rows, _addresses(raw["destination"]), there)
        table.put("tos", rows, raw["tos"], there & (raw["tos"] < 256))
        for name in ("source_port", "destination_port"):
            table.put(name, rows, raw[name], there & np.isin(protocol, WITH_PORTS) & (raw[name] < 65536))
        table.put("tcp_flags", rows, raw["tcp_flags"], there & (protocol == TCP) & (raw["tcp_flags"] < 4096))
        return ~there

    return read


def _outer(structure: np.dtype[Any]) -> Callable[[Table, Reader, Entries], Mask]:
    """Return a function for the header of a tunnel that the agent removed or will add: the fields of (0,3) or (0,4)."""

    def read(table: Table, reader: Reader, records: Entries) -> Mask:
        raw, rows = reader.read(structure, records.start), records.owner
        there = records.start + structure.itemsize <= records.end
        table.put("outer_source_address", rows, _addresses(raw["source"]), there)
        table.put("outer_destination_address", rows, _addresses(raw["destination"]), there)
        table.put("outer_protocol", rows, raw["protocol"], there & (raw["protocol"] < 256))
        return ~there

    return read


def _switch(table: Table, reader: Reader, records: Entries) -> Mask:
    raw = reader.read(_SWITCH, records.start)
    there = records.start + _SWITCH.itemsize <= records.end
    for name in ("source_vlan", "destination_vlan"):
        table.put(name, records.owner, raw[name], there & (raw[name] > 0) & (raw[name] <= _MAX_VLAN))
    return ~there


def _router(table: Table, reader: Reader, records: Entries) -> Mask:
    next_hop, known, at = reader.address(records.start, records.end)
    table.put("next_hop", records.owner, next_hop, known)
    raw, there = reader.read(_MASKS, at), at + _MASKS.itemsize <= records.end
    table.put("source_mask", records.owner, raw["source"], there & (raw["source"] <= 128))
    table.put("destination_mask", records.owner, raw["destination"], there & (raw["destination"] <= 128))
    return ~there


def _gateway(table: Table, reader: Reader, records: Entries) -> Mask:
    route, rows = sflow_gateway.decode(reader, records.start, records.end), records.owner
    table.put("bgp_next_hop", rows, route.next_hop, route.has_next_hop)
    for name in ("source_as", "previous_as", "next_as", "destination_as"):
        number: Integers = getattr(route, name)
        table.put(name, rows, number, number > 0)
    table.put("as_path", rows, route.as_path, route.as_path != "")
    table.put("communities", rows, route.communities, route.communities != "")
    table.put("local_preference", rows, route.local_preference, route.has_preference)
    return route.short


def _user(table: Table, reader: Reader, records: Entries) -> Mask:
    source, known, at = reader.text(records.start + 4, records.end)
    destination, known_too, after = reader.text(at + 4, records.end)
    table.put("user_name", records.owner, source, known)
    table.put("destination_user_name", records.owner, destination, known_too)
    return after > records.end


def _mpls(table: Table, reader: Reader, records: Entries) -> Mask:
    """Read (0,1006): the stack of the packet as it came in; entries are those of RFC 3032."""
    next_hop, known, at = reader.address(records.start, records.end)
    table.put("next_hop", records.owner, next_hop, known)
    stack, depth, after = reader.array(at, records.end)
    for place in range(min(stack.shape[1], _MAX_LABELS)):
        table.put(f"mpls_label_{place + 1}", records.owner, stack[:, place] >> 12, depth > place)
    return after > records.end


def _nat(table: Table, reader: Reader, records: Entries) -> Mask:
    source, known, at = reader.address(records.start, records.end)
    destination, known_too, after = reader.address(at, records.end)
    table.put("post_nat_source_address", records.owner, source, known)
    table.put("post_nat_destination_address", records.owner, destination, known_too)
    return after > records.end


def _nat_ports(table: Table, reader: Reader, records: Entries) -> Mask:
    raw, there = reader.read(_PORTS, records.start), records.start + _PORTS.itemsize <= records.end
    for side in ("source", "destination"):
        table.put(f"post_nat_{side}_port", records.owner, raw[side], there & (raw[side] < 65536))
    return ~there


def _vlan_tunnel(table: Table, reader: Reader, records: Entries) -> Mask:
    """Read (0,1012): tags that were removed before the header was sampled, outermost first."""
    stack, depth, after = reader.array(records.start, records.end)
    for place, name in enumerate(("source_vlan", "customer_vlan")[: stack.shape[1]]):
        identity = stack[:, place] & _MAX_VLAN
        table.put(name, records.owner, identity, (depth > place) & (identity > 0))
    return after > records.end


def _segment(table: Table, reader: Reader, records: Entries) -> Mask:
    segment, there = reader.word(records.start), records.start + 4 <= records.end
    table.put("layer2_segment_id", records.owner, segment, there & (segment > 0) & (segment <= _MAX_SEGMENT))
    return ~there


def _wireless(table: Table, reader: Reader, records: Entries) -> Mask:
    """Read (0,1014) and (0,1015), which begin alike: SSID and BSSID."""
    ssid, known, at = reader.text(records.start, records.end)
    there = at + 6 <= records.end
    table.put("wlan_ssid", records.owner, ssid, known)
    table.put("access_point_mac", records.owner, _mac(reader.read(_MAC, at)), there)
    return ~there


def _mac(raw: npt.NDArray[np.void]) -> Integers:
    return np.asarray(raw["high"].astype(np.int64) << 32 | raw["low"])


def _addresses(raw: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if raw.dtype.itemsize == 16:
        return np.ascontiguousarray(raw).view(np.uint8).reshape(-1, 16)
    found = np.zeros(len(raw), ADDRESS)
    found["mapped"], found["four"] = MAPPED, raw
    return found.view(np.uint8).reshape(-1, 16)


RECORDS: tuple[tuple[tuple[int, ...], Callable[[Table, Reader, Entries], Mask]], ...] = (
    ((1029,), _segment),
    ((1030,), _segment),
    ((1006,), _mpls),
    ((3,), _ip(_IPV4, 4)),
    ((4,), _ip(_IPV6, 6)),
    ((2,), _ethernet),
    ((1023,), _outer(_IPV4)),
    ((1025,), _outer(_IPV6)),
    ((1024,), _outer(_IPV4)),
    ((1026,), _outer(_IPV6)),
    ((1,), _header),
    ((1012,), _vlan_tunnel),
    ((1001,), _switch),
    ((1002,), _router),
    ((1003,), _gateway),
    ((1004,), _user),
    ((1007,), _nat),
    ((1020,), _nat_ports),
    ((1014,), _wireless),
    ((1015,), _wireless),
)
"""Formats -> what reads them and returns which records end before their last field."""
FORMATS = frozenset(number for formats, _ in RECORDS for number in formats)
LAST_FORMAT = max(FORMATS)
