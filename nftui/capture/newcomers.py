"""Newcomers: addresses that have no place among the exporters, and what they sent.

While few come, each has its place at once. A sender of datagrams from forged addresses brings thousands a second, nearly all of
them once: then an address has to be seen again before it gets a place, and those that send most come first. Meanwhile its datagrams
are kept, bounded by octets, and read when it has its place, so that an honest newcomer loses nothing. All is told for a block at
once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nftui.capture.budgets import Budget
from nftui.capture.datagrams import NEAR, ROWS, DatagramBlock
from nftui.capture.sets import Integers, Octets

CALM = 20, 1000
"""Newcomers that get their place at once: a second, and together."""
RUSH = 100, 300
"""Of those that are seen again while more come."""
AGAIN = 2
"""Datagrams of an address that has been seen again."""
SEEN = 1 << 20
"""Places of the table in which newcomers are counted; where two meet, the later one takes it."""
MAX_WAITING = 24 << 20
"""Octets of datagrams that wait for a place for their sender."""
MAX_PARTS = 128
"""Parts in which they wait."""
_PART_ROWS = 4096
LONG_ROWS = 64
"""Datagrams longer than usual that are read together."""
_OVERHEAD = 64
"""Octets that a datagram takes beside its own."""

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


class Hashing:
    """Numbers that stand for addresses, by keys that no sender knows."""

    def __init__(self) -> None:
        self._keys = [np.uint64(secrets.randbits(64) | 1) for _ in range(3)]

    def of(self, addresses: Octets) -> Hashes:
        """Return a number for each address; shape (addresses, 16)."""
        one, two, three = self._keys
        words = np.ascontiguousarray(addresses).view(np.uint64)
        mixed = (words[:, 0] * one) ^ (words[:, 1] * two)
        mixed ^= mixed >> np.uint64(31)
        mixed *= three
        return np.asarray(mixed ^ (mixed >> np.uint64(29)))


@dataclass
class _Part:
    """Some datagrams that wait; those that were taken out are marked."""

    hashes: Hashes
    identity: Octets
    block: DatagramBlock
    start: Integers
    octets: bytes
    waits: Mask

    @property
    def size(self) -> int:
        """Octets that it takes."""
        return len(self.octets) + _OVERHEAD * len(self.start)


@dataclass
class Waiting:
    """Datagrams of newcomers, in the order of arrival.

    Attributes:
        datagrams: That wait.
        octets: That they take, those already taken out among them until all of a part are.
    """

    datagrams: int = 0
    octets: int = 0
    _parts: list[_Part] = field(default_factory=list)

    def keep(self, block: DatagramBlock, rows: Integers, hashes: Hashes, identity: Octets) -> tuple[int, int]:
        """Keep some rows of a block.

        Returns:
            Datagrams that were dropped for them, and their octets: the oldest.
        """
        if not len(rows):
            return 0, 0
        length, width = block.length[rows], block.payload.shape[1]
        view = memoryview(np.ascontiguousarray(block.payload).reshape(-1))  # type: ignore[arg-type]
        begins = rows * width
        joined = b"".join([view[a:b] for a, b in zip(begins.tolist(), (begins + length).tolist(), strict=True)])
        start = np.cumsum(length) - length
        nothing = np.empty((0, 0), np.uint8)
        few = DatagramBlock(nothing, length, block.exporter[rows], block.source_port[rows], block.received[rows], block.local_port)
        part = _Part(hashes, identity, few, start, joined, np.ones(len(rows), np.bool_))
        last = self._parts[-1] if self._parts else None
        if last is not None and last.block.local_port == block.local_port and len(last.start) + len(rows) <= _PART_ROWS:
            self.octets -= last.size
            self._parts[-1] = part = _joined(last, part)
        else:
            self._parts.append(part)
        self.octets += part.size
        self.datagrams += len(rows)
        return self._drop()

    def release(self, hashes: Hashes) -> Iterator[DatagramBlock]:
        """Take out what waits of some addresses, in the order of arrival but for datagrams that are longer than usual."""
        found: dict[tuple[int, bool], list[tuple[_Part, Integers]]] = {}
        for part in self._parts:
            rows = np.flatnonzero(part.waits & np.isin(part.hashes, hashes))
            part.waits[rows] = False
            self.datagrams -= len(rows)
            long = part.block.length[rows] > NEAR
            for is_long in (False, True):
                if len(some := rows[long == is_long]):
                    found.setdefault((part.block.local_port, is_long), []).append((part, some))
        for (_, is_long), parts in found.items():
            most = LONG_ROWS if is_long else ROWS
            whole = [(part, some[at : at + most]) for part, some in parts for at in range(0, len(some), most)]
            while whole:
                together = [whole.pop(0)]
                while whole and sum(len(some) for _, some in together) + len(whole[0][1]) <= most:
                    together.append(whole.pop(0))
                yield _block(together)

    def expire(self, before: int) -> tuple[int, int]:
        """Drop the parts whose last datagram was received before a time; return how many datagrams, and their octets."""
        return self._drop(before)

    def addresses(self) -> Octets:
        """Return the addresses of what waits, shape (datagrams, 16)."""
        return np.concatenate([np.empty((0, 16), np.uint8), *(part.identity[part.waits] for part in self._parts)])

    def _drop(self, before: int = 0) -> tuple[int, int]:
        datagrams = octets = 0
        while self._parts and (
            self.octets > MAX_WAITING or len(self._parts) > MAX_PARTS or int(self._parts[0].block.received[-1]) < before
        ):
            part = self._parts.pop(0)
            self.octets -= part.size
            datagrams += int(part.waits.sum())
            octets += int(part.block.length[part.waits].sum())
        self.datagrams -= datagrams
        return datagrams, octets


class Newcomers:
    """Counts addresses that have no place."""

    def __init__(self) -> None:
        self.calm, self.rush = Budget(*CALM), Budget(*RUSH)
        self.waiting = Waiting()
        self._keys = np.zeros(SEEN, np.uint64)
        self._counts = np.zeros(SEEN, np.uint32)

    def see(self, hashes: Hashes, counts: Integers) -> Integers:
        """Count datagrams of different addresses; return how many each has sent by now, as far as is known."""
        places = (hashes & np.uint64(SEEN - 1)).astype(np.int64)
        before = np.where(self._keys[places] == hashes, self._counts[places], 0)
        seen = before + counts
        self._keys[places], self._counts[places] = hashes, np.minimum(seen, 2**32 - 1).astype(np.uint32)
        return seen


def _block(parts: list[tuple[_Part, Integers]]) -> DatagramBlock:
    """Return some rows of some parts as a block."""
    length, exporter, port, received = (
        np.concatenate([getattr(part.block, name)[rows] for part, rows in parts])
        for name in ("length", "exporter", "source_port", "received")
    )
    payload = np.zeros((len(length), max(int(length.max()), 1)), np.uint8)
    place = 0
    for part, rows in parts:
        for at, size in zip(part.start[rows].tolist(), part.block.length[rows].tolist(), strict=True):
            payload[place, :size] = np.frombuffer(part.octets, np.uint8, size, at)
            place += 1
    return DatagramBlock(payload, length, exporter, port, received, parts[0][0].block.local_port)


def _joined(one: _Part, other: _Part) -> _Part:
    first, second = one.block, other.block
    block = DatagramBlock(
        first.payload,
        np.concatenate([first.length, second.length]),
        np.concatenate([first.exporter, second.exporter]),
        np.concatenate([first.source_port, second.source_port]),
        np.concatenate([first.received, second.received]),
        first.local_port,
    )
    return _Part(
        np.concatenate([one.hashes, other.hashes]),
        np.concatenate([one.identity, other.identity]),
        block,
        np.concatenate([one.start, other.start + len(one.octets)]),
        one.octets + other.octets,
        np.concatenate([one.waits, other.waits]),
    )
