"""Steps: what a decoder is given at once, and the captures that keep a whole session of them for replaying.

A capture holds one received time a step, so that its frames fall into the same blocks again; whatever reads pcap shows them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nftui.capture.datagrams import MAPPED_PREFIX, DatagramBlock
from nftui.capture.pcap import read_capture

LONGEST = 65_507 - 28
"""Octets of the longest datagram that is made: it fits into IPv4 and IPv6."""
STALE = 0xAA
_COLLECTOR = bytes([192, 0, 2, 254])


class Sent(NamedTuple):
    """A datagram and who sent it: 16 octets of address, and a port."""

    octets: bytes
    exporter: bytes
    port: int = 2055


@dataclass(frozen=True)
class Step:
    """One block of datagrams.

    Attributes:
        number: Counts the steps of a seed.
        sent: The datagrams.
        local_port: Where they arrive.
        received: Microseconds since 1970.
        width: Octets of a row at least.
        stale: What stands behind the end of a datagram.
    """

    number: int
    sent: Sequence[Sent]
    local_port: int
    received: int
    width: int = 0
    stale: int = STALE

    def block(self, first: int = 0, last: int | None = None, *, stale: int | None = None) -> DatagramBlock:
        """Return datagrams `first` to `last` as a decoder takes them."""
        some = self.sent[first:last]
        payload = np.full(
            (len(some), max([1, self.width, *(len(one.octets) for one in some)])), self.stale if stale is None else stale, np.uint8
        )
        for row, one in enumerate(some):
            payload[row, : len(one.octets)] = np.frombuffer(one.octets, np.uint8)
        return DatagramBlock(
            payload,
            np.array([len(one.octets) for one in some], np.int64),
            np.frombuffer(b"".join(one.exporter for one in some), np.uint8).reshape(-1, 16),
            np.array([one.port for one in some], np.int64),
            np.full(len(some), self.received, np.int64),
            self.local_port,
        )

    @property
    def octets(self) -> int:
        """Octets of all datagrams."""
        return sum(len(one.octets) for one in self.sent)


def save(path: Path, steps: Sequence[Step]) -> None:
    """Write steps as a capture of raw IP packets, microseconds, little-endian."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101))
        for step in steps:
            for one in step.sent:
                packet = _packet(one, step.local_port)
                file.write(struct.pack("<IIII", *divmod(step.received, 1_000_000), len(packet), len(packet)) + packet)


def load(path: Path) -> Iterator[Step]:
    """Yield the steps of a capture: datagrams received at the same time at the same port."""
    number, sent, key = 0, list[Sent](), (0, 0)
    for block in read_capture(path):
        for row, length in enumerate(block.length.tolist()):
            here = block.local_port, int(block.received[row])
            if sent and here != key:
                yield Step(number, sent, *key)
                number, sent = number + 1, []
            key = here
            octets = block.payload[row, :length].tobytes()
            sent.append(Sent(octets, block.exporter[row].tobytes(), int(block.source_port[row])))
    if sent:
        yield Step(number, sent, *key)


def _packet(one: Sent, port: int) -> bytes:
    size = 8 + len(one.octets)
    udp = struct.pack(">HHHH", one.port, port, size, 0) + one.octets
    if one.exporter.startswith(MAPPED_PREFIX):
        return struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, 17, 0) + one.exporter[12:] + _COLLECTOR + udp
    return struct.pack(">IHBB", 6 << 28, size, 17, 64) + one.exporter + bytes(15) + b"\1" + udp
