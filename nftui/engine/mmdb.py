"""A MaxMind file as disjoint ranges of addresses: its search tree is walked in arrays, a level at a time.

The library looks up one address at a time, which is no way to look up millions. What stands behind the tree is decoded by it, once
for each distinct record.

Source: "MaxMind DB File Format Specification", version 2.0, section "Binary Search Tree Section".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.errors import PlacesError
from nftui.printable import printable

Numbers = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

LARGEST = 2 << 30
"""Octets of a file that is read."""
ONES = np.uint64(2**64 - 1)
MAPPED_LOW, MAPPED_LENGTH = np.uint64(0xFFFF << 32), 96
"""::ffff:0.0.0.0, where IPv4 addresses stand among those of 128 bit: its lower half, and the length of its prefix."""


@dataclass(frozen=True, slots=True)
class Leaves:
    """The networks of a tree, each with the record that it points to.

    Attributes:
        high: Upper 64 bits of the first address, shape (networks,).
        low: Lower 64 bits.
        length: Prefix lengths, 0 to 128.
        record: Which record: the pointer in the tree.
    """

    high: Numbers
    low: Numbers
    length: Indices
    record: Indices

    def last(self) -> tuple[Numbers, Numbers]:
        """Return upper and lower halves of the last addresses."""
        in_high = np.clip(64 - self.length, 0, 64).astype(np.uint64)
        in_low = np.clip(128 - self.length, 0, 64).astype(np.uint64)
        return self.high | _ones(in_high), self.low | _ones(in_low)

    def chosen(self, which: npt.NDArray[np.bool_] | Indices) -> Leaves:
        """Return some of them, in the order of the indices."""
        return Leaves(self.high[which], self.low[which], self.length[which], self.record[which])


def read(path: Path) -> tuple[Leaves, list[tuple[int, Any]]]:
    """Read a file.

    Args:
        path: A MaxMind DB, of IPv4 or of both families.
    Returns:
        Its networks in the order of their addresses, IPv4 as IPv6-mapped, none within another; and each record that one of them
        points to, by its pointer.
    Raises:
        PlacesError: It can't be read, or is no such file.
    """
    try:
        import maxminddb
    except ImportError as error:
        raise PlacesError(f"{path}: MaxMind files need the extra geo: pip install 'nftui[geo]'") from error
    try:
        if path.stat().st_size > LARGEST:
            raise PlacesError(f"{path}: larger than {LARGEST >> 30} GiB; name a MaxMind file")
        with maxminddb.open_database(path) as reader:
            known = reader.metadata()
            octets = np.fromfile(path, dtype=np.uint8, count=known.node_count * known.record_size // 4)
            tree = _tree(octets, known.node_count, known.record_size)
            leaves = _all_leaves(tree, known.ip_version)
            return leaves, list(_records(reader, leaves))
    except OSError as error:
        raise PlacesError(f"{path}: {error.strerror}; names.country and names.asn of the configuration name such files") from error
    except (maxminddb.InvalidDatabaseError, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise PlacesError(f"{path}: no MaxMind file that can be read: {printable(error)}") from error


def _tree(octets: npt.NDArray[np.uint8], nodes: int, record_size: int) -> Indices:
    """Return the two records of each node, shape (nodes, 2)."""
    if len(octets) < nodes * record_size // 4 or nodes < 1:
        raise ValueError("its search tree is cut off")
    rows = octets.reshape(nodes, record_size // 4)
    tree = np.empty((nodes, 2), np.int64)
    each = record_size // 8
    for side, places in ((0, range(each)), (1, range(len(rows[0]) - each, len(rows[0])))):
        # Of 28 bits the octet in the middle holds the upper four of both.
        middle = rows[:, 3] >> 4 if side == 0 else rows[:, 3] & 15
        record = middle.astype(np.uint32) if record_size == 28 else np.zeros(nodes, np.uint32)
        for place in places:
            record <<= 8
            record |= rows[:, place]
        tree[:, side] = record
    return tree


def _all_leaves(tree: Indices, version: int) -> Leaves:
    """Return the networks of a tree, IPv4 as IPv6-mapped; where else the tree has the IPv4 networks is left out."""
    if version == 4:
        return _mapped(_leaves(tree, 0, 32, -1))
    nodes = len(tree)
    start = 0
    for _ in range(96):
        start = int(tree[start, 0])
        if start >= nodes:
            break
    four = _mapped(_leaves(tree, start, 32, -1))
    six = _leaves(tree, 0, 128, start if start < nodes else -1)
    six = _without_mapped(six)
    together = Leaves(*(np.concatenate([getattr(six, name), getattr(four, name)]) for name in ("high", "low", "length", "record")))
    return together.chosen(np.lexsort((together.low, together.high)))


def _leaves(tree: Indices, start: int, bits: int, alias: int) -> Leaves:
    """Walk a tree from a node on, a level at a time.

    Args:
        tree: Shape (nodes, 2).
        start: The node, or the record that stands in its place.
        bits: Of an address.
        alias: A node that is not gone into; -1 for none.
    Returns:
        Networks in the order of their addresses, those of 32 bit in the lower half, with prefix lengths of `bits` at most.
    """
    nodes = len(tree)
    found: list[tuple[Numbers, Numbers, int, Indices]] = []
    high, low = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
    here = np.array([start], np.int64)
    seen = 0
    for depth in range(bits + 1):
        leaf = here > nodes
        if leaf.any():
            found.append((high[leaf], low[leaf], depth, here[leaf]))
        inner = (here < nodes) & (here != alias)
        high, low, here = high[inner], low[inner], here[inner]
        seen += len(here)
        if not len(here):
            break
        # Each node of a tree is met once, so that one which goes in circles is found out before it grows.
        if seen > nodes or depth == bits:
            raise ValueError("its search tree is none")
        place = bits - 1 - depth
        bit = np.array([0, 1 << (place % 64)], np.uint64)
        high, low = (np.repeat(half, 2) for half in (high, low))
        if place >= 64:
            high |= np.tile(bit, len(here))
        else:
            low |= np.tile(bit, len(here))
        here = tree[here].reshape(-1)
    if not found:
        return Leaves(high[:0], low[:0], here[:0], here[:0])
    length = np.concatenate([np.full(len(one[0]), one[2], np.int64) for one in found])
    whole = Leaves(
        np.concatenate([one[0] for one in found]),
        np.concatenate([one[1] for one in found]),
        length,
        np.concatenate([one[3] for one in found]),
    )
    return whole.chosen(np.lexsort((whole.low, whole.high)))


def _mapped(four: Leaves) -> Leaves:
    return Leaves(four.high, four.low | MAPPED_LOW, four.length + MAPPED_LENGTH, four.record)


def _without_mapped(six: Leaves) -> Leaves:
    """Return networks without what the tree says of IPv6-mapped addresses; a network around them becomes those beside them."""
    _, last = six.last()
    inside = (six.high == 0) & (six.low >> np.uint64(32) == np.uint64(0xFFFF)) & (six.length >= MAPPED_LENGTH)
    around = (six.high == 0) & (six.length < MAPPED_LENGTH) & (six.low <= MAPPED_LOW) & (last >= MAPPED_LOW)
    kept = six.chosen(~(inside | around))
    for length, record in zip(six.length[around].tolist(), six.record[around].tolist(), strict=True):
        beside = list(range(length + 1, MAPPED_LENGTH + 1))
        # Of each longer prefix the half that the mapped addresses are not in.
        number = 0xFFFF << 32
        starts = [(number >> (128 - one) ^ 1) << (128 - one) for one in beside]
        kept = Leaves(
            np.concatenate([kept.high, np.array([start >> 64 for start in starts], np.uint64)]),
            np.concatenate([kept.low, np.array([start & (2**64 - 1) for start in starts], np.uint64)]),
            np.concatenate([kept.length, np.array(beside, np.int64)]),
            np.concatenate([kept.record, np.full(len(beside), record, np.int64)]),
        )
    return kept


def _records(reader: Any, leaves: Leaves) -> Iterator[tuple[int, Any]]:
    """Yield each record with its pointer, by way of an address that leads to it."""
    pointers, first = np.unique(leaves.record, return_index=True)
    some = leaves.chosen(first)
    for pointer, high, low in zip(pointers.tolist(), some.high.tolist(), some.low.tolist(), strict=True):
        number = high << 64 | low
        is_four = number >> 32 == 0xFFFF
        yield pointer, reader.get(IPv4Address(number & 0xFFFFFFFF) if is_four else IPv6Address(number))


def _ones(count: Numbers) -> Numbers:
    """Return numbers of so many low bits set, 0 to 64."""
    shifted = ONES >> np.where(count == 0, 0, np.uint64(64) - count).astype(np.uint64)
    return np.where(count == 0, np.uint64(0), shifted)
