"""sFlow version 5: columns in, datagrams out. No state, no I/O, no loop over samples.

Each row is one sampled packet, which is made up anew as far as its first 128 octets: Ethernet, IPv4 or IPv6, TCP, UDP or ICMP. A
sample holds it as a raw header, behind the VLANs of the switch, as hsflowd sends them.

Source: sFlow version 5 (sflow.org), sections 5 (datagram), 5.2 and 5.3 (samples and records); RFC 791, 8200, 9293, 768.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nftui.export.netflow import EMPTY, ICMP, ICMP6, PAYLOAD, Columns, Datagrams, is_ipv4, type_and_code

TCP, UDP = 6, 17
HEADER_SIZE = 28
"""Octets of a datagram's header with an IPv4 agent."""
HELD = 128
"""Octets of a packet that a sample holds at most."""
ETHERNET = 14
CHECKSUM = 4
"""Octets of the frame check sequence: part of the frame's length, not of what is held."""
SHORTEST_FRAME, LONGEST_IP = 64, 1500
# Section 5.3: a flow sample (format 1) with two records: extended switch (format 1001), and a raw header (format 1) at its end.
SAMPLE = np.dtype(
    [
        ("format", ">u4"),
        ("length", ">u4"),
        ("sequence", ">u4"),
        ("source", ">u4"),
        ("rate", ">u4"),
        ("pool", ">u4"),
        ("drops", ">u4"),
        ("input", ">u4"),
        ("output", ">u4"),
        ("records", ">u4"),
        ("switch_format", ">u4"),
        ("switch_length", ">u4"),
        ("source_vlan", ">u4"),
        ("source_priority", ">u4"),
        ("destination_vlan", ">u4"),
        ("destination_priority", ">u4"),
        ("raw_format", ">u4"),
        ("raw_length", ">u4"),
        ("header_protocol", ">u4"),
        ("frame_length", ">u4"),
        ("stripped", ">u4"),
        ("held", ">u4"),
        ("packet", "u1", (HELD,)),
    ]
)
_FLOW_SAMPLE, _RAW, _SWITCH, _ETHERNET_PROTOCOL = 1, 1, 1001, 1
_SWITCH_SIZE = 16
_RAW_HEAD = 16
_HEAD = SAMPLE.itemsize - HELD
_IPV4 = np.dtype(
    [
        ("version", "u1"),
        ("tos", "u1"),
        ("length", ">u2"),
        ("id", ">u2"),
        ("fragment", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("source", "u1", (4,)),
        ("destination", "u1", (4,)),
    ]
)
_IPV6 = np.dtype(
    [
        ("class_and_label", ">u4"),
        ("length", ">u2"),
        ("protocol", "u1"),
        ("ttl", "u1"),
        ("source", "u1", (16,)),
        ("destination", "u1", (16,)),
    ]
)
_TTL = 60
_TRANSPORT = {TCP: 20, UDP: 8, ICMP: 8, ICMP6: 8}


def encode(
    columns: Columns, exported: NDArray[np.int64], *, agent: bytes, boot: int, sequence: int, samples: int, sampling: int = 1
) -> Datagrams:
    """Encode sampled packets as sFlow v5, as many in a datagram as fit.

    Args:
        columns: Flows, as `netflow` describes, of which one packet each is sampled. Its size is that of the flow's packets in the
            mean (`octets`, `packets`).
        exported: When each was sampled, microseconds since 1970, ascending.
        agent: The agent's IPv4 address, 4 octets.
        boot: When the agent started, microseconds since 1970.
        sequence: Datagrams sent before.
        samples: Samples sent before.
        sampling: N of 1 in N.
    """
    number = len(exported)
    if not number:
        return EMPTY._replace(sequence=sequence)
    made, held = _samples(columns, samples, sampling)
    sizes = _HEAD + held + -held % 4
    octets = made.view(np.uint8).reshape(number, -1)[np.arange(SAMPLE.itemsize) < sizes[:, None]].tobytes()
    ends = np.cumsum(sizes)
    firsts = _pack(ends)
    lasts = np.append(firsts[1:], number)
    moments = exported[lasts - 1]
    starts = (ends - sizes)[firsts].tolist()
    head = struct.pack(">II4sI", 5, 1, agent, 0)
    numbers = (sequence + np.arange(len(firsts))) & 0xFFFFFFFF
    uptimes = (moments - boot) // 1000 & 0xFFFFFFFF
    counts = lasts - firsts
    payloads = [
        head + struct.pack(">III", *told) + octets[start:end]
        for *told, start, end in zip(
            numbers.tolist(), uptimes.tolist(), counts.tolist(), starts, [*starts[1:], len(octets)], strict=True
        )
    ]
    return Datagrams(payloads, moments, counts, (sequence + len(firsts)) & 0xFFFFFFFF)


def _pack(ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first sample of each datagram; `ends` are the octets of samples, summed up."""
    room = PAYLOAD - HEADER_SIZE
    following = np.searchsorted(ends, np.concatenate([[0], ends[:-1]]) + room, side="right").tolist()
    firsts, at = [], 0
    while at < len(following):
        firsts.append(at)
        at = following[at]
    return np.array(firsts, np.int64)


def _samples(columns: Columns, before: int, rate: int) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the samples, and how many octets of each packet they hold."""
    number = len(columns["protocol"])
    made: NDArray[np.void] = np.zeros(number, SAMPLE)
    frame = _packets(columns, made["packet"])
    held = np.minimum(frame - CHECKSUM, HELD)
    vlan = columns["source_vlan"] if "source_vlan" in columns else np.ones(1, np.int64)
    order = before + 1 + np.arange(number)
    made["format"], made["records"] = _FLOW_SAMPLE, 2
    made["length"] = _HEAD - 8 + held + -held % 4
    made["sequence"], made["pool"], made["rate"] = order & 0xFFFFFFFF, order * rate & 0xFFFFFFFF, rate
    made["source"] = 1
    made["input"], made["output"] = (_column(columns, f"{side}gress_interface", number) for side in ("in", "e"))
    made["switch_format"], made["switch_length"] = _SWITCH, _SWITCH_SIZE
    made["source_vlan"] = made["destination_vlan"] = vlan
    made["raw_format"], made["raw_length"] = _RAW, _RAW_HEAD + held + -held % 4
    made["header_protocol"], made["frame_length"], made["stripped"], made["held"] = _ETHERNET_PROTOCOL, frame, CHECKSUM, held
    return made, held


def _packets(columns: Columns, packet: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Write the first octets of each packet; return the lengths of the frames."""
    four = is_ipv4(columns["source_address"])
    size = _sizes(columns)
    packet[:, 0:12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]
    for six, layout, kind in ((False, _IPV4, 0x0800), (True, _IPV6, 0x86DD)):
        rows = np.flatnonzero(four != six)
        if not len(rows):
            continue
        headers = (_ipv6 if six else _ipv4)(columns, rows, size[rows])
        packet[rows, 12], packet[rows, 13] = divmod(kind, 256)
        packet[rows, ETHERNET : ETHERNET + layout.itemsize] = headers.view(np.uint8).reshape(len(rows), -1)
        at = ETHERNET + layout.itemsize
        packet[rows, at : at + 20] = _transport(columns, rows, size[rows] - layout.itemsize)
    return frame_lengths(columns)


def frame_lengths(columns: Columns) -> NDArray[np.int64]:
    """Return the length of the frame that each sample tells, shape (samples,), octets."""
    return np.maximum(ETHERNET + _sizes(columns) + CHECKSUM, SHORTEST_FRAME)


def _sizes(columns: Columns) -> NDArray[np.int64]:
    """Return the length of each IP packet: that of the flow's packets in the mean, as far as it may be."""
    number = len(columns["protocol"])
    network = np.where(is_ipv4(columns["source_address"]), _IPV4.itemsize, _IPV6.itemsize)
    protocol = _column(columns, "protocol", number)
    transport = np.select([protocol == one for one in _TRANSPORT], list(_TRANSPORT.values()), 0)
    mean = _column(columns, "octets", number) // np.maximum(_column(columns, "packets", number), 1)
    return np.clip(mean, network + transport, LONGEST_IP)


def _ipv4(columns: Columns, rows: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.void]:
    headers: NDArray[np.void] = np.zeros(len(rows), _IPV4)
    headers["version"], headers["ttl"], headers["length"] = 0x45, _TTL, size
    headers["tos"] = _column(columns, "tos", len(columns["protocol"]))[rows]
    headers["protocol"] = columns["protocol"][rows]
    headers["source"], headers["destination"] = (columns[f"{end}_address"][rows][:, 12:] for end in ("source", "destination"))
    total = headers.view(">u2").reshape(len(rows), -1).sum(1, dtype=np.int64)
    total = (total & 0xFFFF) + (total >> 16)
    headers["checksum"] = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return headers


def _ipv6(columns: Columns, rows: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.void]:
    headers: NDArray[np.void] = np.zeros(len(rows), _IPV6)
    headers["class_and_label"] = 6 << 28 | _column(columns, "tos", len(columns["protocol"]))[rows] << 20
    headers["length"], headers["ttl"], headers["protocol"] = size - _IPV6.itemsize, _TTL, columns["protocol"][rows]
    headers["source"], headers["destination"] = (columns[f"{end}_address"][rows] for end in ("source", "destination"))
    return headers


def _transport(columns: Columns, rows: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the first 20 octets behind IP: of TCP, UDP or ICMP; checksums are 0."""
    number = len(columns["protocol"])
    protocol = columns["protocol"][rows]
    words: NDArray[Any] = np.zeros((len(rows), 10), ">u2")
    icmp, tcp, udp = np.isin(protocol, (ICMP, ICMP6)), protocol == TCP, protocol == UDP
    source, destination = (_column(columns, f"{end}_port", number)[rows] for end in ("source", "destination"))
    kind = type_and_code(columns, rows) if "icmp_type" in columns else destination
    words[:, 0] = np.where(icmp, kind, np.where(tcp | udp, source, 0))
    words[:, 1] = np.where(tcp | udp, destination, 0)
    words[:, 2] = np.where(udp, size, 0)
    words[:, 6] = np.where(tcp, 0x5000 | _column(columns, "tcp_flags", number)[rows] & 0x1FF, 0)
    words[:, 7] = np.where(tcp, 0xFFFF, 0)
    return words.view(np.uint8)


def _column(columns: Columns, name: str, number: int) -> NDArray[np.int64]:
    return columns[name].astype(np.int64) if name in columns else np.zeros(number, np.int64)
