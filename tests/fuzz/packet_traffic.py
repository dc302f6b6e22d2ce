"""Packets for fuzzing: blocks of frames as a ring, a file or a pipe may hand them over, the same ones for the same seed.

Frames are those of captures, changed, cut and mixed; those that scapy makes of its layers with any values; and any octets. Links,
snap lengths, lengths on the wire, times, tags and directions are as they may be, and as they may not.
"""

from __future__ import annotations

import logging
import random as everywhere
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from nftui.capture.dissection import ABSENT, MARGIN
from nftui.capture.links import KNOWN_LINKS
from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.meter import MeterSettings
from nftui.capture.values import LATEST
from tests.capture import corpus
from tests.capture.packing import PROBE
from tests.fuzz.mutations import flip, insert, overwrite, splice

STEPS = 60
"""Of a session."""
CORPUS = corpus.WHOLE.parent / "probe"
"""More captures, where they are."""
TYPES = (0x0800, 0x86DD, 0x8100, 0x88A8, 0x8847, 0x8848, 0x8864, 0x8863, 0x6558, 0x880B, 0x0806, 0x05DC, 0xFFFF)
PROTOCOLS = (0, 1, 2, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 137, 139, 140, 255)
PORTS = (53, 2152, 4789, 6081, 8472, 3386, 0, 65535)
NOW = 1_700_000_000_000_000
_SECOND = 1_000_000


@cache
def captured() -> tuple[tuple[bytes, ...], ...]:
    """Return the frames of each capture there is."""
    paths = {path.name: path for folder in (PROBE, CORPUS) for path in sorted(folder.glob("*.pcap"))}
    cases = []
    for _, path in sorted(paths.items()):
        frames = list[bytes]()
        for block in CaptureFile(path):
            ends = zip(block.start.tolist(), block.end.tolist(), strict=True)
            frames += [block.flat[begin:end].tobytes() for begin, end in ends]
        cases.append(tuple(frames[:3000]))
    return tuple(cases)


@cache
def made_by_scapy(seed: int, number: int = 200) -> tuple[bytes, ...]:
    """Return frames of scapy's layers in many orders, each with any values in its fields."""
    from scapy.contrib.geneve import GENEVE
    from scapy.contrib.gtp import GTP_U_Header
    from scapy.contrib.mpls import MPLS
    from scapy.layers import inet, inet6, l2, ppp, sctp, vxlan
    from scapy.packet import Packet, Raw, fuzz

    logging.getLogger("scapy.runtime").setLevel(logging.CRITICAL)
    random = Random(seed)
    below = (l2.Dot1Q, l2.Dot1AD, MPLS, ppp.PPPoE, ppp.PPP, l2.LLC, l2.SNAP, l2.GRE)
    inside = (
        inet.IP, inet6.IPv6, inet6.IPv6ExtHdrHopByHop, inet6.IPv6ExtHdrRouting, inet6.IPv6ExtHdrFragment, inet6.IPv6ExtHdrDestOpt,
    )  # fmt: skip
    above = (inet.TCP, inet.UDP, inet.ICMP, inet6.ICMPv6EchoRequest, sctp.SCTP, vxlan.VXLAN, GENEVE, GTP_U_Header, l2.GRE)
    # What scapy draws from.
    everywhere.seed(seed)
    found = list[bytes]()
    while len(found) < number:
        layers: list[type[Packet]] = random.choices(below, k=random.choice((0, 0, 1, 2)))
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            layers += random.choices(inside, k=random.choice((1, 1, 2))) + random.choices(above, k=random.choice((1, 1, 2)))
        # With addresses, or it would ask the network for them.
        packet: Packet = l2.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        for layer in layers:
            packet /= layer()
        packet /= Raw(random.randbytes(random.choice((0, 4, 40, 300))))
        with suppress(Exception):
            # scapy's own values may not fit into its own fields.
            found.append(bytes(fuzz(packet) if random.random() < 0.7 else packet))
    return tuple(found)


@dataclass(frozen=True)
class PacketStep:
    """One block of frames.

    Attributes:
        number: Counts the steps of a seed.
        block: The frames.
        now: The clock of whoever gives it.
    """

    number: int
    block: FrameBlock
    now: int


class PacketSession:
    """The life of one meter."""

    def __init__(self, seed: int, number: int) -> None:
        self._random = random = Random(f"packets {seed} {number}")
        self._first = number * STEPS
        self._cases, self._scapy = captured(), made_by_scapy(seed)
        self._shares = random.choice(((6, 2, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)))
        self._broken = random.choice((0.0, 0.1, 0.5, 1.0))
        self._now = NOW + random.randrange(10**9)
        self._most = random.choice((1, 4, 30, 200, 1000))
        self._queue: list[bytes] = []

    def settings(self) -> MeterSettings:
        """Return how packets are metered."""
        random = self._random
        rules = ["syn", "first", "port"]
        random.shuffle(rules)
        return MeterSettings(
            active_s=random.choice((0.001, 1, 60, 10**6)),
            inactive_s=random.choice((0.001, 0.1, 15)),
            linger_s=random.choice((0.001, 3)),
            entries=random.choice((1, 2, 7, 100, 5000)),
            waiting=random.choice((1, 50, 10_000, 10**6)),
            sampling=random.choice((1, 1, 1, 2, 7)),
            random=random.random() < 0.5,
            bidirectional=random.random() < 0.5,
            tunnels=random.random() < 0.5,
            carry_fragments=random.random() < 0.5,
            client_by=tuple(rules[: random.randrange(4)]),
        )

    def steps(self) -> Iterator[PacketStep]:
        """Yield the steps."""
        random = self._random
        for number in range(self._first, self._first + STEPS):
            rows = random.randint(1, self._most)
            frames = [self._frame() for _ in range(rows)]
            yield PacketStep(number, self._block(frames), self._now)
            self._now += random.choice((1000, 200_000, 20 * _SECOND)) if random.random() < 0.99 else -3600 * _SECOND

    def _frame(self) -> bytes:
        random = self._random
        kind = random.choices(range(3), self._shares)[0]
        if kind == 0:
            if not self._queue:
                case = random.choice(self._cases)
                at = random.randrange(len(case))
                self._queue = list(case[at : at + 200])
            octets = self._queue.pop(0)
        elif kind == 1:
            octets = random.choice(self._scapy)
        else:
            octets = self._any()
        return self._changed(octets) if random.random() < self._broken else octets

    def _any(self) -> bytes:
        """Return any octets, mostly behind a header or two."""
        random = self._random
        octets = random.randbytes(random.choice((0, 1, 4, 8, 20, 40, 64, 200, 1500)))
        for _ in range(random.choice((0, 1, 1, 2, 4))):
            if random.random() < 0.5:
                head = struct.pack(">BBHHHBBH8s", random.choice((0x45, 0x46, 0x4F, 0x40)), random.randrange(256),
                                   random.choice((0, len(octets) + 20, 0xFFFF)), 1, random.choice((0, 0x2000, 1, 0x4000)), 9,
                                   random.choice(PROTOCOLS), 0, random.randbytes(8))  # fmt: skip
            else:
                size = random.choice((len(octets), 0, 0xFFFF))
                head = struct.pack(">IHBB32s", 6 << 28, size, random.choice(PROTOCOLS), 9, random.randbytes(32))
            if random.random() < 0.3:
                octets = struct.pack(">HHHH", random.choice(PORTS), random.choice(PORTS), len(octets) + 8, 0) + octets
            octets = head + octets
        tags = random.choices(TYPES[2:], k=random.choice((0, 0, 0, 1, 2, 20)))
        octets = random.choice((0x0800, 0x86DD, *TYPES)).to_bytes(2, "big") + octets
        return random.randbytes(12) + b"".join(struct.pack(">HH", tag, 5) for tag in tags) + octets

    def _changed(self, octets: bytes) -> bytes:
        random = self._random
        for _ in range(random.choice((1, 1, 2, 3))):
            if not octets:
                break
            way = random.randrange(6)
            if way == 0:
                octets = octets[: random.randrange(len(octets) + 1)]
            elif way == 1:
                octets = splice(random, octets, random.choice(random.choice(self._cases)))
            elif way == 2:
                # Numbers that say what comes next stand early.
                at = random.randrange(min(len(octets), 64))
                value = random.choice(
                    (*(kind.to_bytes(2, "big") for kind in TYPES), *(bytes([one]) for one in PROTOCOLS), b"\xff\xff")
                )
                octets = octets[:at] + value + octets[at + len(value) :]
            else:
                octets = (flip, overwrite, insert)[way - 3](random, octets)
        return octets[:65536]

    def _block(self, frames: list[bytes]) -> FrameBlock:
        """Put frames into memory as a ring has them, or a file, or worse."""
        random, rows = self._random, len(frames)
        snap = random.choice((128, 64, 54, 34, 14, 1)) if random.random() < 0.2 else 1 << 18
        kept = [one[:snap] for one in frames]
        gap = random.choice((0, 0, 16, 50))
        stale = random.randrange(256)
        size = np.array([len(one) for one in kept], np.int64)
        start = np.cumsum(size + gap) - size
        flat = np.full(int((size + gap).sum()) + MARGIN, stale, np.uint8)
        for begin, octets in zip(start.tolist(), kept, strict=True):
            flat[begin : begin + len(octets)] = np.frombuffer(octets, np.uint8)
        wire = np.array([len(one) for one in frames], np.int64)
        if random.random() < 0.2:
            wire += np.array(random.choices((0, 0, 1, 6, 65535, (1 << 32) - 1), k=rows), np.int64)
        drawn = np.random.default_rng(random.randrange(1 << 32))
        return FrameBlock(
            flat, start, start + size, wire, self._times(rows), self._links(rows),
            interface=random.choice((0, 1, 2, 70000)),
            outgoing=drawn.random(rows) < 0.5 if random.random() < 0.5 else None,
            vlan=drawn.choice(np.array([ABSENT, 0, 1, 4095], np.int32), rows) if random.random() < 0.3 else None,
        )  # fmt: skip

    def _times(self, rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        random = self._random
        times = self._now + np.arange(rows, dtype=np.int64) * random.choice((0, 1, 1000, 100_000))
        kind = random.random()
        if kind < 0.05:
            times = times[::-1].copy()
        elif kind < 0.15:
            for _ in range(random.randint(1, 3)):
                times[random.randrange(rows)] = random.choice((0, 1, LATEST, NOW - 10**12, NOW + 10**12, NOW * 2))
        return times

    def _links(self, rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]] | int:
        random = self._random
        kind = random.random()
        if kind < 0.85:
            return 1
        links = [*sorted(KNOWN_LINKS), -1, 147, 1 << 20, 65535]
        return random.choice(links) if kind < 0.93 else np.array(random.choices(links, k=rows), np.int64)
