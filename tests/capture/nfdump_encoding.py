"""A small encoder of nfdump's files, after the layouts that its headers document: of 1.6 no program of today writes any."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import lz4.block
import zstandard
from lzallright import LZOCompressor

BASE_MS = 1_700_000_000_000
CODECS = {0: lambda octets: octets, 1: lambda octets: bytes(LZOCompressor().compress(octets)), 2: bz2.compress}
CODECS |= {
    3: lambda octets: lz4.block.compress(octets, store_size=False),
    4: lambda octets: zstandard.ZstdCompressor().compress(octets),
}
_FLAGS = {0: 0, 1: 1, 2: 8, 3: 0x10}


def address(text: str, order: str) -> bytes:
    """Return an address as numbers in the byte order of the file."""
    one = ip_address(text)
    if one.version == 4:
        return struct.pack(order + "I", int(one))
    return struct.pack(order + "QQ", int(one) >> 64, int(one) & (2**64 - 1))


def element(number: int, inside: bytes, order: str = "<") -> bytes:
    """Return an extension of 1.7."""
    return struct.pack(order + "HH", number, 4 + len(inside)) + inside


def generic(number: int, order: str = "<", **other: Any) -> bytes:
    """Return the first extension of a flow that is told by its number."""
    values = {"first": BASE_MS + number, "last": BASE_MS + number + 500, "received": BASE_MS + 60_000, "packets": number + 1}
    values |= {"octets": 100 * (number + 1), "sport": 1024 + number % 60_000, "dport": 443, "proto": 6, "flags": 0x1B, "fwd": 64}
    values |= {"tos": 8, **other}
    return element(1, struct.pack(order + "QQQQQHHBBBB", *values.values()), order)


def record(*elements: bytes, order: str = "<", exporter: int = 1, version: int = 9, padding: int = 0) -> bytes:
    """Return a record of 1.7."""
    inside = b"".join(elements) + bytes(padding)
    return struct.pack(order + "HHHBBHBB", 11, 12 + len(inside), len(elements), 0, 0, exporter, 0, version) + inside


def flow(number: int, order: str = "<", *more: bytes, **other: Any) -> bytes:
    """Return a record of 1.7 of a flow that is told by its number; each tenth is of IPv6."""
    if number % 10 == 9:
        source, destination, kind = f"2001:db8::{number % 65536:x}", "2001:db8:1::1", 3
    else:
        source, destination, kind = str(ip_address(0x0A000000 + number)), "192.0.2.1", 2
    addresses = element(kind, address(source, order) + address(destination, order), order)
    return record(generic(number, order, **other), addresses, *more, order=order)


def exporter(number: int, text: str, domain: int, version: int, order: str = "<") -> bytes:
    """Return the record of an exporter."""
    one = ip_address(text)
    high, low = (0, int(one)) if one.version == 4 else (int(one) >> 64, int(one) & (2**64 - 1))
    family = 2 if one.version == 4 else 10
    return struct.pack(order + "HHIQQHHI", 7, 32, version, high, low, family, number, domain)


def block(records: Sequence[bytes], codec: int, order: str = "<", kind: int = 3) -> bytes:
    """Return a block."""
    inside = CODECS[codec](b"".join(records))
    return struct.pack(order + "IIHH", len(records), len(inside), kind, 0) + inside


def account(flows: int, first: int, last: int, order: str = "<") -> bytes:
    """Return the account that stands at the end of a file of 1.7: milliseconds."""
    inside = struct.pack(order + "18Q", flows, *([0] * 14), first, last, 0)
    return struct.pack(order + "HH", 0x8002, 4 + len(inside)) + inside


def name(text: str, order: str = "<") -> bytes:
    """Return the record of who wrote a file."""
    inside = text.encode() + b"\0"
    return struct.pack(order + "HH", 0x8001, 4 + len(inside)) + inside


def file_17(
    blocks: Sequence[Sequence[bytes]],
    *,
    codec: int = 0,
    order: str = "<",
    told: tuple[int, int, int] | None = None,
    layout: int = 2,
) -> bytes:
    """Return a file of nfdump 1.7; with a name and an account where `told` says flows, first and last."""
    body = b"".join(block(one, codec, order) for one in blocks)
    end = 40 + len(body)
    more = block([name("here", order), account(*told, order)], codec, order) if told else b""
    head = struct.pack(
        order + "HHIQBBHIQII",
        0xA50C,
        layout,
        0x01070100,
        BASE_MS // 1000,
        codec,
        0,
        bool(told),
        1,
        end if told else 0,
        0,
        len(blocks),
    )
    return head + body + more


def file_16(
    blocks: Sequence[Sequence[bytes]], *, codec: int = 0, order: str = "<", told: tuple[int, int, int] = (0, 0, 0)
) -> bytes:
    """Return a file of nfdump 1.6."""
    flows, first, last = told
    head = struct.pack(order + "HHII", 0xA50C, 1, _FLAGS[codec], len(blocks)) + b"here".ljust(128, b"\0")
    account = struct.pack(order + "15QIIHHI", flows, *([0] * 14), first // 1000, last // 1000, first % 1000, last % 1000, 0)
    return head + account + b"".join(block(one, codec, order, 2) for one in blocks)


def extension_map(number: int, extensions: Sequence[int], order: str = "<") -> bytes:
    """Return an extension map of 1.6, padded to 32 bits."""
    listed = [*extensions, 0]
    listed += [0] * (len(listed) % 2)
    return struct.pack(order + f"HHHH{len(listed)}H", 2, 8 + 2 * len(listed), number, 0, *listed)


def flow_16(number: int, mapped: int, more: bytes, order: str = "<", *, kind: int = 10, wide: bool = False) -> bytes:
    """Return a record of 1.6 of a flow that is told by its number; `wide` is with counters of 64 bits; each tenth is of IPv6."""
    six = number % 10 == 9
    source, destination = (
        (f"2001:db8::{number % 65536:x}", "2001:db8:1::1") if six else (str(ip_address(0x0A000000 + number)), "192.0.2.1")
    )
    first, last = BASE_MS + number, BASE_MS + number + 500
    flags = int(six) | (6 if wide else 0)
    fixed = struct.pack(
        order + "HHIIBBBBHH", first % 1000, last % 1000, first // 1000, last // 1000, 64, 0x1B, 6, 8, 1024 + number % 60_000, 443
    )
    counters = struct.pack(order + ("QQ" if wide else "II"), number + 1, 100 * (number + 1))
    inside = fixed + (struct.pack(order + "HH", 1, 0) if kind == 10 else b"")
    inside += address(source, order) + address(destination, order) + counters + more
    said = struct.pack(order + "HH", flags, mapped) if kind == 10 else struct.pack(order + "BBH", flags, 1, mapped)
    return struct.pack(order + "HH", kind, 8 + len(inside)) + said + inside
