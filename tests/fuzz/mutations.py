"""Mutations: real datagrams, broken in the ways in which exporters, networks and attackers break them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from random import Random
from typing import NamedTuple

from nftui.capture.pcap import read_capture
from tests.capture import corpus
from tests.fuzz.accounting import FIXED, SETS
from tests.fuzz.steps import LONGEST

PROTOCOLS = {"v1": "netflow1", "v5": "netflow5", "v7": "netflow7", "v9": "netflow9", "ipfix": "ipfix", "sflow": "sflow5"}
"""Our name -> the one in the golden files."""
TWO = (0, 1, 2, 3, 4, 5, 7, 8, 31, 255, 256, 257, 1500, 0x7FFF, 0x8000, 0x8001, 0xFFFC, 0xFFFE, 0xFFFF)
FOUR = (0, 1, 3, 4, 5, 8, 255, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFF0000, 0xFFFFFFFC, 0xFFFFFFFF)


class Place(NamedTuple):
    """A number in a datagram: where, and of how many octets."""

    at: int
    size: int


@cache
def captured(protocol: str) -> tuple[tuple[bytes, ...], ...]:
    """Return the datagrams of all captures of a protocol, by capture, those of the repository only: the same everywhere."""
    cases = []
    for golden in sorted(corpus.HERE.glob("*.golden.json")):
        if corpus.load(golden)["protocol"] == PROTOCOLS[protocol]:
            blocks = list(read_capture(corpus.capture_of(golden)))
            cases.append(tuple(block.payload[row, :size].tobytes() for block in blocks for row, size in enumerate(block.length)))
    return tuple(cases)


def places(octets: bytes) -> list[Place]:
    """Return the numbers that tell how a datagram is to be read: counts, lengths, ids, times, as far as it can be walked."""
    version = int.from_bytes(octets[:2], "big")
    if version == 0:
        return [Place(at, 4) for at in range(0, len(octets) - 3, 4)]
    found = [Place(0, 2), Place(2, 2)] + [Place(at, 4) for at in range(4, 20, 4)]
    if version in FIXED:
        header, record = FIXED[version]
        found += [Place(at + inside, 4) for at in range(header, len(octets), record) for inside in range(0, record, 4)]
    elif version in SETS:
        for at, length in walk(octets, SETS[version][0]):
            found += [Place(at, 2), Place(at + 2, 2)]
            if int.from_bytes(octets[at : at + 2], "big") < 256:
                found += [Place(inside, 2) for inside in range(at + 4, at + length, 2)] * 2
    return [place for place in found if place.at + place.size <= len(octets)]


def walk(octets: bytes, header: int) -> list[tuple[int, int]]:
    """Return (place, length) of the sets, the last one as far as the datagram goes."""
    found, at = [], header
    while at + 4 <= len(octets):
        length = max(int.from_bytes(octets[at + 2 : at + 4], "big"), 4)
        found.append((at, min(length, len(octets) - at)))
        at += length
    return found


def flip(random: Random, octets: bytes) -> bytes:
    """Flip some bits."""
    changed = bytearray(octets)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwrite(random: Random, octets: bytes) -> bytes:
    """Write some octets over others."""
    changed = bytearray(octets)
    for _ in range(random.choice((1, 1, 2, 8))):
        at, size = random.randrange(len(changed)), random.choice((1, 1, 2, 4, 8, 32))
        value = random.choice((b"\0", b"\xff", b"\x80", random.randbytes(1))) * size
        changed[at : at + size] = value[: len(changed) - at]
    return bytes(changed)


def number(random: Random, octets: bytes) -> bytes:
    """Change numbers that tell how the datagram is to be read."""
    changed, found = bytearray(octets), places(octets)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6)) if found else 0):
        at, size = random.choice(found)
        old = int.from_bytes(changed[at : at + size], "big")
        near = (old + random.choice((-4, -1, 1, 4)), old * 2, random.choice(found).at, random.getrandbits(8 * size))
        new = random.choice((*(TWO if size == 2 else FOUR), *near * 3)) % (1 << 8 * size)
        changed[at : at + size] = new.to_bytes(size, "big")
    return bytes(changed)


def cut(random: Random, octets: bytes) -> bytes:
    """Cut the end off."""
    return octets[: random.randrange(len(octets))]


def drop(random: Random, octets: bytes) -> bytes:
    """Take some octets out."""
    at = random.randrange(len(octets))
    return octets[:at] + octets[at + random.choice((1, 2, 4, 48, 52)) :]


def insert(random: Random, octets: bytes) -> bytes:
    """Put octets in, or behind the end."""
    at = random.choice((random.randrange(len(octets)), len(octets)))
    more = random.choice((1, 2, 3, 4, 16, 200))
    added = random.choice((bytes(more), random.randbytes(more), octets[at : at + more], octets))
    return octets[:at] + added + octets[at:]


def splice(random: Random, octets: bytes, other: bytes) -> bytes:
    """Put the end of another datagram behind the beginning of this one."""
    return octets[: random.randrange(len(octets) + 1)] + other[random.randrange(len(other) + 1) :]


def sets(random: Random, octets: bytes, other: bytes) -> bytes:
    """Repeat, leave out, mix and borrow sets; mostly with the length of an IPFIX message put right."""
    version = int.from_bytes(octets[:2], "big")
    if version not in SETS:
        return splice(random, octets, other)
    header = SETS[version][0]
    own = [octets[at : at + length] for at, length in walk(octets, header)]
    others = [other[at : at + length] for at, length in walk(other, header)] if other[:2] == octets[:2] else []
    for _ in range(random.choice((1, 1, 2, 4))):
        kind = random.randrange(4)
        if kind == 0 and own:
            own.insert(random.randrange(len(own) + 1), random.choice(own))
        elif kind == 1 and own:
            own.pop(random.randrange(len(own)))
        elif kind == 2:
            random.shuffle(own)
        elif others:
            own.insert(random.randrange(len(own) + 1), random.choice(others))
    made = octets[:header] + b"".join(own)
    return righted(made[:LONGEST]) if random.random() < 0.8 else made


def righted(octets: bytes) -> bytes:
    """Return an IPFIX message with the right length; others as they are."""
    if len(octets) < 4 or octets[:2] != b"\0\x0a":
        return octets
    return octets[:2] + struct.pack(">H", len(octets)) + octets[4:]


_ALONE: tuple[Callable[[Random, bytes], bytes], ...] = (flip, overwrite, number, number, number, cut, drop, insert)
_WITH: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (splice, sets, sets)


def mutated(random: Random, octets: bytes, other: bytes) -> bytes:
    """Return a datagram changed in one to three ways."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not octets:
            break
        way = random.randrange(len(_ALONE) + len(_WITH))
        octets = _ALONE[way](random, octets) if way < len(_ALONE) else _WITH[way - len(_ALONE)](random, octets, other)
    return octets[:LONGEST]


class Replay:
    """Plays captures of one protocol, one after the other, and breaks some of their datagrams."""

    def __init__(self, random: Random, protocol: str) -> None:
        self._random, self._cases = random, captured(protocol)
        self._share = random.choice((0.0, 0.1, 0.5, 1.0))
        self._queue: list[bytes] = []

    def datagrams(self, number: int) -> list[bytes]:
        """Return the next datagrams, some twice, some missing, some in another order, some changed."""
        random, made = self._random, list[bytes]()
        while len(made) < number:
            if not self._queue:
                self._queue = list(random.choice(self._cases))
                if random.random() < 0.2:
                    random.shuffle(self._queue)
            octets, fate = self._queue.pop(0), random.random()
            if fate < 0.03:
                continue
            if fate > 0.97:
                self._queue.insert(random.randrange(len(self._queue) + 1), octets)
            if random.random() < self._share:
                octets = mutated(random, octets, random.choice(random.choice(self._cases)))
            made.append(octets)
        return made
