"""Blocks of frames for tests: of octets, of packets that are named, and of capture files."""

from __future__ import annotations

import ipaddress
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nftui.capture.dissection import MARGIN
from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.meter import Meter, MeterSettings

NOON = 1_700_000_000_000_000
FOREVER = 10**9


def block(
    frames: Sequence[bytes], times: Sequence[int] | None = None, link: int | Sequence[int] = 1, padding: int = 0, **more: Any
) -> FrameBlock:
    """Return frames as a block, a microsecond apart unless times are given; `padding` is on the wire, but not captured."""
    size = np.array([len(frame) for frame in frames], np.int64)
    start = np.cumsum(size) - size
    flat = np.frombuffer(b"".join(frames) + bytes(MARGIN), np.uint8)
    time = NOON + np.arange(len(frames)) if times is None else np.array(times, np.int64)
    links = link if isinstance(link, int) else np.array(link, np.int64)
    return FrameBlock(flat, start, start + size, size + padding, time, links, **more)


def captured(path: Path) -> FrameBlock:
    """Return a small capture file as a block."""
    with CaptureFile(path) as file:
        (found,) = [replace(one, flat=one.flat.copy()) for one in file]
    return found


def part(whole: FrameBlock, first: int, last: int) -> FrameBlock:
    """Return some frames of a block."""
    rows = slice(first, last)
    return FrameBlock(
        whole.flat, whole.start[rows], whole.end[rows], whole.length[rows], whole.time[rows], whole.link, whole.interface
    )


def udp(number: int, size: int = 10, *, flags: int | None = None, turned: bool = False, port: int = 53, tos: int = 0) -> bytes:
    """Return a frame of the conversation `number`; of TCP when flags are given, the other direction when turned."""
    ends = struct.pack(">I", 0x0A000000 + number), struct.pack(">I", 0xC0000201)
    ports = 1024 + number % 60000, port
    source, destination = ends[::-1] if turned else ends
    from_port, to_port = ports[::-1] if turned else ports
    body = struct.pack(">HH", from_port, to_port)
    body += struct.pack(">HH", 8 + size, 0) if flags is None else struct.pack(">IIHHHH", 1, 1, 5 << 12 | flags, 0, 0, 0)
    header = struct.pack(">BBHHHBBH", 0x45, tos, 20 + len(body) + size, 0, 0, 64, 17 if flags is None else 6, 0)
    return bytes.fromhex("0200000000020200000000010800") + header + source + destination + body + bytes(size)


def metered(blocks: Sequence[FrameBlock], **settings: Any) -> pl.DataFrame:
    """Return all flows of some blocks."""
    meter = Meter(MeterSettings(**settings))
    for one in blocks:
        meter.take(one)
    flows = meter.rest()
    assert flows is not None
    return flows


def text(octets: bytes) -> str:
    """Return an address as text."""
    address = ipaddress.IPv6Address(octets)
    return str(address.ipv4_mapped or address)


def totals(flows: pl.DataFrame, *, ports: bool = True) -> Counter[tuple[Any, ...]]:
    """Return packets and octets by source, destination, ports (0 for none) and protocol, as two entries of a counter."""
    found: Counter[tuple[Any, ...]] = Counter()
    for row in flows.iter_rows(named=True):
        key = text(row["source_address"]), text(row["destination_address"])
        if ports:
            key += row.get("source_port") or 0, row.get("destination_port") or 0
        key += (row["protocol"],)
        found[*key, "packets"] += row["packets"]
        found[*key, "octets"] += row["octets"]
    return found
