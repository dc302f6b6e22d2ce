"""sFlow by its grammar: samples, records, and sampled frames of many layers.

Source: sFlow version 5 (sflow.org), sections 5 to 7; IEEE 802.1Q; RFC 791, 8200, 2784, 3032, 7348, 2516.
"""

from __future__ import annotations

import struct
from random import Random

from tests.fuzz.mutations import FOUR

_FLOW, _COUNTERS, _FLOW_EXPANDED, _COUNTERS_EXPANDED, _DROPS = range(1, 6)
_RAW, _ETHERNET, _IPV4, _IPV6 = range(1, 5)
_IP_PROTOCOLS = (6, 6, 17, 17, 1, 58, 47, 4, 41, 50, 132, 0, 255)


class Samples:
    """sFlow datagrams of some agents."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._sequence = 0

    def datagram(self) -> bytes:
        """Return a datagram; its number of samples is mostly right."""
        random = self._random
        samples = [self._sample() for _ in range(random.choice((0, 1, 1, 3, 7, 8)))]
        agent = struct.pack(">I", 1) + bytes([192, 0, 2, random.randrange(4)])
        if random.random() < 0.2:
            agent = struct.pack(">I", 2) + random.randbytes(16)
        elif random.random() < 0.02:
            agent = struct.pack(">I", random.choice(FOUR)) + random.randbytes(4)
        self._sequence = (self._sequence + 1) % 2**32
        number = len(samples) if random.random() < 0.95 else random.choice(FOUR)
        version = 5 if random.random() < 0.98 else random.choice(FOUR)
        head = struct.pack(">I", version) + agent + struct.pack(">IIII", random.randrange(3), self._sequence, 60_000, number)
        return head + b"".join(samples)

    def _sample(self) -> bytes:
        random = self._random
        kind = random.choices((1, 2, 3, 4, 5, 6, 0x00100001, 0), (10, 3, 6, 2, 2, 1, 1, 1))[0]
        number, rate = random.getrandbits(32), random.choice((1, 256, 1000, 0, 0xFFFFFFFF))
        source, ports = (
            random.choice((3, 0x3FFFFFFF, 0x01000002)),
            (random.getrandbits(5), random.choice((2, 0x80000003, 0x3FFFFFFF))),
        )
        flows = [self._record() for _ in range(random.choice((0, 1, 1, 2, 3, 4)))]
        count = len(flows) if random.random() < 0.97 else random.choice(FOUR)
        if kind == _FLOW:
            body = struct.pack(">8I", number, source, rate, number, 0, *ports, count) + b"".join(flows)
        elif kind == _FLOW_EXPANDED:
            body = struct.pack(">11I", number, 0, source, rate, number, 0, 0, ports[0], 0, ports[1], count) + b"".join(flows)
        elif kind in (_COUNTERS, _COUNTERS_EXPANDED):
            records = [self._counters() for _ in range(random.choice((0, 1, 2)))]
            head = (number, source) if kind == _COUNTERS else (number, 0, source)
            body = struct.pack(f">{len(head) + 1}I", *head, len(records)) + b"".join(records)
        elif kind == _DROPS:
            body = struct.pack(">8I", number, 0, source, 0, *ports, random.randrange(300), count) + b"".join(flows)
        else:
            body = random.randbytes(4 * random.randrange(10))
        return _lengthy(random, kind, body)

    def _record(self) -> bytes:
        random = self._random
        kind = random.choices((_RAW, _ETHERNET, _IPV4, _IPV6, 1001, 1002, 1003, 1006, 0x00001001), (12, 1, 2, 2, 4, 2, 2, 1, 1))[0]
        if kind == _RAW:
            whole = frame(random)
            held = whole[: random.choice((128, 128, 128, 64, 14, 0, len(whole)))]
            protocol = random.choices((1, 11, 12, 7, 0, 99), (20, 1, 1, 1, 1, 1))[0]
            size = random.choice((len(whole), 1518, 0, 0xFFFFFFFF, 0xFFFF0000)) if random.random() < 0.2 else max(len(whole), 64)
            stated = len(held) if random.random() < 0.97 else random.choice(FOUR)
            body = struct.pack(">4I", protocol, size, 4, stated) + held + bytes(-len(held) % 4)
        elif kind == _ETHERNET:
            body = struct.pack(">I", 64) + random.randbytes(12) + struct.pack(">HH", 0, 0x0800)
        elif kind in (_IPV4, _IPV6):
            ends = random.randbytes(8 if kind == _IPV4 else 32)
            body = struct.pack(">II", 60, random.choice(_IP_PROTOCOLS)) + ends + struct.pack(">4I", 443, 51_000, 0x18, 0)
        elif kind == 1001:
            body = struct.pack(">4I", random.choice((0, 1, 4094, 0xFFFFFFFF)), 0, 20, 0)
        elif kind == 1002:
            body = self._hop() + struct.pack(">II", 24, random.choice((24, 128, 0xFFFFFFFF)))
        elif kind == 1003:
            path, communities = [[random.getrandbits(32) for _ in range(random.choice((0, 1, 4)))] for _ in range(2)]
            segments = random.choice((0, 1, 1, 2, 0xFFFFFFFF if random.random() < 0.1 else 1))
            body = self._hop() + struct.pack(">4I", 64_512, 1, 2, segments)
            body += (struct.pack(f">II{len(path)}I", 2, len(path), *path)) * min(segments, 2)
            body += struct.pack(f">I{len(communities)}II", len(communities), *communities, 100)
        else:
            body = random.randbytes(4 * random.randrange(8))
        return _lengthy(random, kind, body)

    def _hop(self) -> bytes:
        kind = self._random.choice((1, 1, 2, 0, 9))
        return struct.pack(">I", kind) + self._random.randbytes({1: 4, 2: 16}.get(kind, 0))

    def _counters(self) -> bytes:
        random = self._random
        kind, size = random.choice(((1, 88), (2, 52), (1001, 28), (2000, 8), (2101, 16)))
        return _lengthy(random, kind, random.randbytes(size))


def _lengthy(random: Random, kind: int, body: bytes) -> bytes:
    length = len(body) if random.random() < 0.98 else random.choice((*FOUR, len(body) - 4, len(body) + 4)) & 0xFFFFFFFF
    return struct.pack(">II", kind, length) + body


def frame(random: Random) -> bytes:
    """Return an Ethernet frame, or the beginning of one."""
    made = random.randbytes(12)
    for _ in range(random.choice((0, 0, 1, 2, 5))):
        made += struct.pack(">HH", random.choice((0x8100, 0x88A8, 0x9100)), random.getrandbits(16))
    kind = random.random()
    if kind < 0.1:
        depth = random.choice((1, 2, 3, 12))
        labels = [random.getrandbits(20) << 12 | (place == depth - 1) << 8 | 64 for place in range(depth)]
        made += struct.pack(f">H{depth}I", 0x8847, *labels) + _ip(random, 2)
    elif kind < 0.2:
        made += struct.pack(">HBBHHH", 0x8864, 0x11, 0, 7, 40, random.choice((0x0021, 0x0057, 0xC021))) + _ip(random, 2)[2:]
    elif kind < 0.25:
        made += struct.pack(">H", random.choice((0x0806, 0x88CC, 46, 0))) + random.randbytes(46)
    else:
        made += _ip(random, 2)
    return made + random.randbytes(random.choice((0, 20, 100)))


def _ip(random: Random, depth: int) -> bytes:
    """Return an ethertype and an IP packet, with tunnels down to a depth."""
    protocol = random.choice(_IP_PROTOCOLS)
    inner = _inner(random, protocol, depth)
    size = len(inner) + random.choice((0, 0, 500, -len(inner)))
    if random.random() < 0.6:
        words = random.choice((5, 5, 5, 5, 6, 15, 0, 4))
        fragment = random.choice((0, 0, 0, 0x2000, 0x00B9, 0x4000))
        head = struct.pack(">BBHHHBBH", 0x40 | words, 0, (20 + size) & 0xFFFF, 1, fragment, 64, protocol, 0)
        return b"\x08\x00" + head + random.randbytes(8 + max(0, 4 * words - 20)) + inner
    extensions = b""
    following = protocol
    for kind in random.choice(((), (), (0,), (43, 60), (44,), (0, 43, 44, 60))):
        extensions = struct.pack(">BBHI", following, 0, random.choice((0, 8)), 0) + extensions
        following = kind
    head = struct.pack(">IHBB", 6 << 28 | random.getrandbits(28), (size + len(extensions)) & 0xFFFF, following, 64)
    return b"\x86\xdd" + head + random.randbytes(32) + extensions + inner


def _inner(random: Random, protocol: int, depth: int) -> bytes:
    if depth and protocol == 47:
        flags = random.choice((0, 0x2000, 0xB000, 0x2001))
        tunnelled = _ip(random, depth - 1)
        kind = tunnelled[:2] if random.random() < 0.8 else b"\x65\x58"
        return struct.pack(">H", flags) + kind + bytes(4 * (flags >> 12).bit_count()) + tunnelled[2:]
    if depth and protocol in (4, 41):
        return _ip(random, depth - 1)[2:]
    ports = random.randbytes(4)
    if protocol == 17:
        if depth and random.random() < 0.4:
            tunnel = random.choice(
                ((4789, struct.pack(">II", 0x08000000, 700 << 8)), (6081, struct.pack(">II", 0x00006558, 700 << 8)))
            )
            return struct.pack(">HHHH", 50_000, tunnel[0], 100, 0) + tunnel[1] + random.randbytes(12) + _ip(random, depth - 1)
        return ports + struct.pack(">HH", 100, 0)
    if protocol == 6:
        return ports + random.randbytes(8) + bytes([0x50, random.getrandbits(8)]) + random.randbytes(6)
    return random.randbytes(8)
