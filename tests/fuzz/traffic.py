"""Traffic: the steps of a session, the same ones for the same seed. A session is the life of one decoder.

Steps are numbered through all sessions of a seed, so that seed and step say what a failure needs to come again.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Protocol

from nftui.capture.datagrams import MAPPED_PREFIX
from tests.fuzz.checks import MODES
from tests.fuzz.grammar import NOW, Fixed, Templates
from tests.fuzz.mutations import Replay, mutated
from tests.fuzz.sflow_grammar import Samples
from tests.fuzz.steps import LONGEST, Sent, Step

STEPS = 200
"""Of a session."""
VERSIONS = {"v1": b"\0\1", "v5": b"\0\5", "v7": b"\0\7", "v9": b"\0\x09", "ipfix": b"\0\x0a", "sflow": b"\0\0\0\5"}
BLOCK_OCTETS = 4 << 20
"""Rows times width of a block, at most."""
_SIZES = (0, 1, 2, 3, 4, 15, 16, 17, 20, 23, 24, 28, 40, 72, 100, 500, 1500)


class Maker(Protocol):
    """Makes datagrams by a grammar."""

    def datagram(self) -> bytes:
        """Return the next one."""


class Session:
    """The traffic of one decoder's life.

    Attributes:
        mode: One of `checks.MODES`.
    """

    def __init__(self, protocol: str, seed: int, number: int) -> None:
        self._random = random = Random(f"{protocol} {seed} {number}")
        self._protocol, self._first = protocol, number * STEPS
        self.mode = random.choices(MODES, (3, 1, 1))[0]
        self._exporters = [self._exporter() for _ in range(random.choice((1, 1, 2, 5)) if random.random() < 0.97 else 300)]
        self._maker = _maker(protocol, random)
        self._replay = Replay(random, protocol)
        self._shares = random.choice(((1, 4, 4), (0, 1, 0), (0, 0, 1), (1, 8, 1), (8, 1, 1)))
        self._now = (NOW + random.randrange(10**6)) * 1_000_000

    def steps(self) -> Iterator[Step]:
        """Yield the steps."""
        random = self._random
        for number in range(self._first, self._first + STEPS):
            rows = random.choice((1, 1, 2, 4, 8, 16, 32)) if random.random() < 0.95 else random.choice((100, 300, 1024))
            if self.mode != "block":
                rows = min(rows, 8)
            self._now += (
                random.choice((1000, 50_000, 1_000_000)) if random.random() < 0.98 else random.choice((60, 600, 7200)) * 10**6
            )
            sent = [Sent(octets, *self._sender()) for octets in self._datagrams(rows)]
            widest = max(len(one.octets) for one in sent)
            width = widest if random.random() < 0.5 else max(widest, random.choice((1500, 2048, 9000)))
            sent = sent[: max(1, BLOCK_OCTETS // max(width, 1))]
            yield Step(number, sent, self._port(), self._now, width, random.choice((0, 0xAA, 0xFF, 1)))

    def _datagrams(self, number: int) -> list[bytes]:
        kind = self._random.choices(range(3), self._shares)[0]
        if kind == 0:
            return [self._any() for _ in range(number)]
        if kind == 1:
            return self._replay.datagrams(number)
        made = [self._maker.datagram()[:LONGEST] for _ in range(number)]
        if self._random.random() < 0.3:
            made = [mutated(self._random, one, made[0]) if self._random.random() < 0.3 else one for one in made]
        return made

    def _any(self) -> bytes:
        """Return any octets, mostly behind a version."""
        random = self._random
        size = random.choice(_SIZES) if random.random() < 0.99 else LONGEST
        octets = random.choice((random.randbytes(size), bytes(size), b"\xff" * size))
        kind = random.random()
        if kind < 0.2:
            return octets
        head = VERSIONS[self._protocol] if kind < 0.9 else random.choice(list(VERSIONS.values()))
        if kind > 0.5 and self._protocol == "ipfix":
            head += min(size + 2 + 2, 0xFFFF).to_bytes(2, "big")
        elif kind > 0.5 and self._protocol == "sflow":
            head += b"\0\0\0\1"
        return (head + octets)[:LONGEST]

    def _port(self) -> int:
        if self._protocol == "sflow":
            return self._random.choice((6343, 6343, 9995))
        return 9995 if self._random.random() < 0.98 else 6343

    def _exporter(self) -> bytes:
        if self._random.random() < 0.8:
            return MAPPED_PREFIX + bytes([192, 0, 2, self._random.randrange(1, 250)])
        return b"\x20\x01\x0d\xb8" + self._random.randbytes(12)

    def _sender(self) -> tuple[bytes, int]:
        random = self._random
        exporter = self._exporters[0] if random.random() < 0.7 else random.choice(self._exporters)
        return exporter, 2055 if random.random() < 0.9 else random.randrange(1, 65536)


def _maker(protocol: str, random: Random) -> Maker:
    if protocol == "sflow":
        return Samples(random)
    version = VERSIONS[protocol][1]
    return Templates(random, version) if version in (9, 10) else Fixed(random, version)
