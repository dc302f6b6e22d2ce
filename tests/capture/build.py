"""Builders of export datagrams, and of blocks of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from nftui.capture.datagrams import MAPPED_PREFIX, DatagramBlock
from nftui.capture.decoder import Decoder
from tests.capture.corpus import joined

NOW = 1_700_000_000
EXPORTER = MAPPED_PREFIX + bytes([192, 0, 2, 1])
PROTOCOL_AND_OCTETS = ((8, 4), (12, 4), (4, 1), (1, 8))
"""Fields of a small template: addresses, protocol, octets."""


def block(
    datagrams: Sequence[bytes],
    exporters: Sequence[bytes] | None = None,
    *,
    ports: Sequence[int] | None = None,
    local_port: int = 9995,
    stale: int = 0xAA,
) -> DatagramBlock:
    """Return a block; octets behind a datagram's end are stale ones of another."""
    rows = len(datagrams)
    payload = np.full((rows, max([1600, *map(len, datagrams)])), stale, np.uint8)
    for row, octets in enumerate(datagrams):
        payload[row, : len(octets)] = np.frombuffer(octets, np.uint8)
    addresses = np.frombuffer(b"".join(exporters or [EXPORTER] * rows), np.uint8).reshape(rows, 16)
    return DatagramBlock(
        payload,
        np.array([len(octets) for octets in datagrams], np.int64),
        addresses,
        np.array(ports or [2055] * rows, np.int64),
        np.full(rows, NOW * 1_000_000, np.int64),
        local_port,
    )


def decode(*datagrams: bytes, decoder: Decoder | None = None) -> tuple[pl.DataFrame, Decoder]:
    """Decode datagrams of one exporter as one block."""
    decoder = decoder or Decoder()
    return joined(decoder.decode(block(datagrams))), decoder


def netflow5(
    records: Iterable[bytes], *, uptime: int = 1000, sequence: int = 0, sampling: int = 0, count: int | None = None
) -> bytes:
    """Return a NetFlow v5 datagram."""
    bodies = list(records)
    head = struct.pack(
        ">HHIIIIHH", 5, len(bodies) if count is None else count, uptime, NOW, 500_000_000, sequence, 0x0102, sampling
    )
    return head + b"".join(bodies)


def netflow9(*sets: bytes, uptime: int = 1000, sequence: int = 0, source_id: int = 7, count: int = 1) -> bytes:
    """Return a NetFlow v9 datagram."""
    return struct.pack(">HHIIII", 9, count, uptime, NOW, sequence, source_id) + b"".join(sets)


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 7) -> bytes:
    """Return an IPFIX message."""
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), NOW, sequence, domain) + body


def one_set(identity: int, content: bytes) -> bytes:
    """Return a set."""
    return struct.pack(">HH", identity, 4 + len(content)) + content


def template(identity: int, fields: Iterable[tuple[int, ...]]) -> bytes:
    """Return a template record; fields are (element, length) or (element, length, enterprise)."""
    specs = [
        struct.pack(">HH", *field) if len(field) == 2 else struct.pack(">HHI", field[0] | 0x8000, field[1], field[2])
        for field in fields
    ]
    return struct.pack(">HH", identity, len(specs)) + b"".join(specs)


def small(source: int, octets: int, protocol: int = 6) -> bytes:
    """Return a record of `PROTOCOL_AND_OCTETS`."""
    return struct.pack(">IIBQ", source, 0x0A000001, protocol, octets)


def exporter_of(decoder: Decoder) -> dict[str, object]:
    """Return the status of the only exporter."""
    (only,) = decoder.status(NOW * 1_000_000)["exporters"]
    return dict(only)
