"""Writes MaxMind files, small ones, for tests.

Source: "MaxMind DB File Format Specification", version 2.0.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

MARK = b"\xab\xcd\xefMaxMind.com"
MAP, TEXT, UINT16, UINT32, UINT64, ARRAY = 7, 2, 5, 6, 9, 11
EMPTY = -1


def write(
    path: Path,
    networks: Mapping[str, Any],
    *,
    version: int = 6,
    record_size: int = 24,
    kind: str = "Test",
    aliases: tuple[str, ...] = ("::ffff:0:0/96", "2002::/16"),
) -> Path:
    """Write a file.

    Args:
        path: Where to.
        networks: Network -> record, wider networks first where they lie in each other; IPv4 stands at ::/96, as MaxMind's has it.
        version: 4 for a tree of IPv4 alone.
        record_size: 24, 28 or 32.
        kind: What its metadata says it is.
        aliases: Networks that lead to the IPv4 networks, too; none in a tree of IPv4 alone.
    """
    tree = Tree()
    data, places = bytearray(), dict[str, int]()
    for network, record in networks.items():
        encoded = encode(record)
        place = places.setdefault(repr(record), len(data))
        if place == len(data):
            data += encoded
        tree.put(*_bits(network, version), place)
    if version == 6:
        tree.alias(96, [_bits(alias, 6) for alias in aliases])
    nodes = len(tree.nodes)

    def value(record: int | tuple[str, int]) -> int:
        if isinstance(record, tuple):
            return nodes + 16 + record[1]
        return nodes if record == EMPTY else record

    records = b"".join(_node(value(left), value(right), record_size) for left, right in tree.nodes)
    about = {
        "node_count": (UINT32, nodes), "record_size": (UINT16, record_size), "ip_version": (UINT16, version),
        "database_type": kind, "languages": ["en"], "description": {"en": kind}, "build_epoch": (UINT64, 1_700_000_000),
        "binary_format_major_version": (UINT16, 2), "binary_format_minor_version": (UINT16, 0),
    }  # fmt: skip
    path.write_bytes(records + bytes(16) + bytes(data) + MARK + encode(about))
    return path


class Tree:
    """Nodes of two records: a node, EMPTY, or ("data", place)."""

    def __init__(self) -> None:
        self.nodes: list[list[Any]] = [[EMPTY, EMPTY]]

    def put(self, number: int, length: int, bits: int, place: int) -> None:
        node = self._way(number, length - 1, bits)
        self.nodes[node][number >> (bits - length) & 1] = ("data", place)

    def alias(self, depth: int, networks: list[tuple[int, int, int]]) -> None:
        node = 0
        for _ in range(depth):
            if not isinstance(node, int) or node == EMPTY:
                return
            node = self.nodes[node][0]
        for number, length, bits in networks:
            before = self._way(number, length - 1, bits)
            self.nodes[before][number >> (bits - length) & 1] = node

    def _way(self, number: int, length: int, bits: int) -> int:
        node = 0
        for depth in range(length):
            bit = number >> (bits - 1 - depth) & 1
            following = self.nodes[node][bit]
            if not isinstance(following, int) or following == EMPTY:
                self.nodes.append([following, following])
                following = self.nodes[node][bit] = len(self.nodes) - 1
            node = following
        return node


def encode(value: Any) -> bytes:
    """Encode a value of the data section; (type, number) for a number that is not of 32 bit."""
    if isinstance(value, dict):
        return _control(MAP, len(value)) + b"".join(encode(key) + encode(one) for key, one in value.items())
    if isinstance(value, list):
        return _control(ARRAY, len(value)) + b"".join(map(encode, value))
    if isinstance(value, str):
        octets = value.encode()
        return _control(TEXT, len(octets)) + octets
    kind, number = value if isinstance(value, tuple) else (UINT32, value)
    octets = number.to_bytes(8, "big").lstrip(b"\0")
    return _control(kind, len(octets)) + octets


def _control(kind: int, size: int) -> bytes:
    more = b"" if size < 29 else bytes([size - 29]) if size < 285 else struct.pack(">H", size - 285)
    size = size if size < 29 else 29 if size < 285 else 30
    return (bytes([size, kind - 7]) if kind > 7 else bytes([kind << 5 | size])) + more


def _bits(network: str, version: int) -> tuple[int, int, int]:
    found = ip_network(network)
    number = int(found.network_address)
    if version == 4:
        return number, found.prefixlen, 32
    return number, found.prefixlen + (96 if found.version == 4 else 0), 128


def _node(left: int, right: int, record_size: int) -> bytes:
    if record_size == 28:
        middle = left >> 24 << 4 | right >> 24
        return (left & 0xFFFFFF).to_bytes(3, "big") + bytes([middle]) + (right & 0xFFFFFF).to_bytes(3, "big")
    return left.to_bytes(record_size // 8, "big") + right.to_bytes(record_size // 8, "big")
