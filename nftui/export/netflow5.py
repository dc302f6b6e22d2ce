"""NetFlow version 5: columns in, datagrams out. No state, no I/O, no loop over records.

Source: Cisco, "NetFlow Export Datagram Format", tables B-3 (header) and B-4 (record).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nftui.export.netflow import EMPTY, PAYLOAD, Columns, Datagrams, cut, is_ipv4, join, number, type_and_code

# Table B-3. Octets 20 and 21, engine type and id, hold the observation domain; the last two the sampling mode (2 bits) and
# interval.
HEADER = np.dtype(
    [
        ("version", ">u2"),
        ("count", ">u2"),
        ("sys_uptime", ">u4"),
        ("unix_seconds", ">u4"),
        ("unix_nanoseconds", ">u4"),
        ("sequence", ">u4"),
        ("engine", ">u2"),
        ("sampling", ">u2"),
    ]
)
# Table B-4.
RECORD = np.dtype(
    [
        ("source_address", "u1", (4,)),
        ("destination_address", "u1", (4,)),
        ("next_hop", "u1", (4,)),
        ("ingress_interface", ">u2"),
        ("egress_interface", ">u2"),
        ("packets", ">u4"),
        ("octets", ">u4"),
        ("flow_start", ">u4"),
        ("flow_end", ">u4"),
        ("source_port", ">u2"),
        ("destination_port", ">u2"),
        ("pad1", "u1"),
        ("tcp_flags", "u1"),
        ("protocol", "u1"),
        ("tos", "u1"),
        ("source_as", ">u2"),
        ("destination_as", ">u2"),
        ("source_mask", "u1"),
        ("destination_mask", "u1"),
        ("pad2", ">u2"),
    ]
)
MOST = 0xFFFFFFFF
"""The largest counter of a record."""
AS_TRANS = 23456
"""Stands for an AS number of 4 octets where only 2 fit (RFC 6793, section 9)."""
_SAMPLED = 1 << 14


MOST_PARTS = 1024
"""Records that one flow is divided among at most: 4 TiB."""


def encode(
    columns: Columns,
    exported: NDArray[np.int64],
    *,
    domain: int,
    boot: int,
    sequence: int,
    sampling: int = 0,
    payload: int = PAYLOAD,
) -> Datagrams:
    """Encode flows as NetFlow v5.

    Args:
        columns: Flows, as `netflow` describes. Those of IPv6 have no place in v5 and are left out; octets and packets above
            2**32 - 1 are divided among several records, so that sums stay right; of AS numbers above 65535 AS_TRANS is sent.
            ICMP types and codes, where there are such columns, stand in the destination port.
        exported: When each flow is exported, microseconds since 1970, ascending; none before the flow's end.
        domain: The observation domain, 0 to 65535: engine type and id.
        boot: When the exporter started, microseconds since 1970, whole milliseconds.
        sequence: Flows sent before.
        sampling: N of 1 in N, up to 16383; 0 where it is not known.
        payload: Octets of the largest datagram.
    """
    rows = np.flatnonzero(is_ipv4(columns["source_address"]))
    if not len(rows):
        return EMPTY._replace(sequence=sequence)
    columns, rows, exported = divided(columns, rows, exported)
    per = max(min(30, (payload - HEADER.itemsize) // RECORD.itemsize), 1)
    parts = cut(_records(columns, rows, boot), exported[rows], HEADER, per)
    order, numbers, after = number(parts, sequence, by_record=True)
    for part, sequences in zip(parts, numbers, strict=True):
        header = part.datagrams["header"]
        header["version"], header["count"] = 5, part.records
        header["sys_uptime"] = (part.moments - boot) // 1000 & 0xFFFFFFFF
        header["unix_seconds"], header["unix_nanoseconds"] = part.moments // 1_000_000, part.moments % 1_000_000 * 1000
        header["sequence"], header["engine"] = sequences & 0xFFFFFFFF, domain
        header["sampling"] = _SAMPLED | sampling if sampling else 0
    return join(parts, order, after)


def divided(
    columns: Columns, rows: NDArray[np.int64], exported: NDArray[np.int64]
) -> tuple[Columns, NDArray[np.int64], NDArray[np.int64]]:
    """Divide flows whose counters need more than 32 bits among several records, as evenly as can be.

    Returns:
        Columns, the rows of them that become records, and when each row is exported.
    """
    counters = {name: columns[name] for name in ("octets", "packets") if name in columns}
    needed = [-(-values[rows].astype(np.int64) // MOST) for values in counters.values()]
    parts = np.clip(np.max(needed, axis=0), 1, MOST_PARTS) if needed else np.ones(len(rows), np.int64)
    if parts.max(initial=1) == 1:
        return columns, rows, exported
    row, among = np.repeat(rows, parts), np.repeat(parts, parts)
    place = np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)
    own = {}
    for name, values in counters.items():
        whole = values[row].astype(np.int64)
        own[name] = whole // among + (place < whole % among)
    return {**{name: values[row] for name, values in columns.items()}, **own}, np.arange(len(row)), exported[row]


def _records(columns: Columns, rows: NDArray[np.int64], boot: int) -> NDArray[np.void]:
    records: NDArray[np.void] = np.zeros(len(rows), RECORD)
    for name in RECORD.names or ():
        if name in columns:
            records[name] = _reading(name, columns[name][rows], boot)
    if "icmp_type" in columns:
        icmp = columns["protocol"][rows] == 1
        records["destination_port"] = np.where(icmp, type_and_code(columns, rows), records["destination_port"])
    return records


def _reading(name: str, values: NDArray[Any], boot: int) -> NDArray[Any]:
    if name in ("source_address", "destination_address", "next_hop"):
        return values[:, 12:]
    if name in ("flow_start", "flow_end"):
        return np.asarray(values // 1000 - boot // 1000 & 0xFFFFFFFF)
    if name in ("octets", "packets"):
        return np.asarray(np.minimum(values, MOST))
    if name in ("source_as", "destination_as"):
        return np.where(values > 0xFFFF, AS_TRANS, values)
    return values
