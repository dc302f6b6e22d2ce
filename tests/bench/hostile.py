"""Hostile exporters: datagrams made to cost a collector memory and time, and a process that sends them from forged addresses.

Each kind is a pool of datagrams that is sent again and again through a raw socket, which takes any source address. Of the kind
`spoofed` each datagram comes from an address of its own, drawn from all of IPv4 each time.

    python -m tests.bench.hostile HOST:PORT --kinds all --rate 50000 --seconds 10
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from tests.bench.sender import _IOVEC, _MMSGHDR, _wait

POOL = 16_384
"""Datagrams of one kind that are made."""
TEMPLATES = 100_000
"""Different templates that the kind `templates` says, all in all."""
FEW, MANY = 8, 10_000
"""Addresses that the kinds with fixed ones come from."""
BURST = 128
_IP = 20 + 8
_ELEMENTS = (1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 14, 15, 16, 17, 21, 22, 27, 28, 56, 57, 58, 61, 80, 81, 136, 148, 150, 152, 153, 234)


def _version9(domain: int, *sets: bytes) -> bytes:
    return struct.pack(">HHIIII", 9, len(sets), 5_000_000, int(time.time()), 1, domain) + b"".join(sets)


def _ipfix(domain: int, *sets: bytes) -> bytes:
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), int(time.time()), 1, domain) + body


def _message(version: int, domain: int, *sets: bytes) -> bytes:
    return (_version9 if version == 9 else _ipfix)(domain, *sets)


def _set(identity: int, content: bytes) -> bytes:
    return struct.pack(">HH", identity, 4 + len(content)) + content


def _template(identity: int, fields: list[tuple[int, int]]) -> bytes:
    return struct.pack(">HH", identity, len(fields)) + b"".join(struct.pack(">HH", *field) for field in fields)


def _said(version: int, *templates: bytes) -> bytes:
    return _set(0 if version == 9 else 2, b"".join(templates))


def templates(random: Random) -> Iterator[bytes]:
    """New templates in each datagram, 100,000 different ones."""
    for number in range(POOL):
        version = 9 + number % 2
        some = []
        for place in range(TEMPLATES // POOL + 1):
            at = number * 7 + place
            fields = [(random.choice(_ELEMENTS), random.choice((1, 2, 4, 8))) for _ in range(14)] + [(900 + at % 5000, 4)]
            some.append(_template(256 + at % 65_000, fields))
        yield _message(version, number % 64, _said(version, *some))


def wide(random: Random) -> Iterator[bytes]:
    """Hundreds of fields, some of 65,535 octets or of variable length, and data beside."""
    for number in range(POOL):
        version, kind = 9 + number % 2, number % 4
        lengths = ((65_535,), (65_534, 4), (65_535, 4, 1), (1, 2, 4))[kind]
        count = (300, 320, 200, 250)[kind]
        fields = [(random.randrange(1, 500), random.choice(lengths)) for _ in range(count)]
        identity = 256 + number % 1000
        yield _message(version, number % 16, _said(version, _template(identity, fields)), _set(identity, random.randbytes(100)))


def reused(random: Random) -> Iterator[bytes]:
    """The same ids with another layout in each datagram, with data sets."""
    for number in range(POOL):
        version, sets = 9 + number % 2, []
        for identity in range(256, 260):
            fields = [(random.choice(_ELEMENTS), random.choice((1, 2, 4))) for _ in range(8)] + [(12, 4)]
            record = sum(length for _, length in fields)
            sets += [_said(version, _template(identity, fields)), _set(identity, random.randbytes(record * 3))]
        yield _message(version, 1, *sets)


def spoofed(random: Random) -> Iterator[bytes]:
    """Garbage, valid NetFlow v5, and valid v9 with its template, for addresses that are seen once."""
    for number in range(POOL):
        if number % 3 == 0:
            yield random.randbytes(random.randrange(1, 200))
        elif number % 3 == 1:
            yield _valid5(number, 1 + number % 24)
        else:
            yield _valid9(number, 10)


def pool(random: Random) -> Iterator[bytes]:
    """Sound v5 and v9, for many addresses that are seen again and again; each has a layout of its own."""
    for number in range(POOL):
        sender = number % MANY
        if sender % 2:
            yield _valid5(number, 10)
            continue
        extra = [(900 + sender % 2000, 2)]
        fields = [(8, 4), (12, 4), (4, 1), (1, 4), (2, 4), *extra]
        yield _version9(sender, _said(9, _template(300, fields)), _set(300, random.randbytes(19 * 10)))


def options(random: Random) -> Iterator[bytes]:
    """Options templates, and tables of names that are new each time."""
    for number in range(POOL):
        version = 9 + number % 2
        if version == 9:
            said = _set(1, struct.pack(">HHHHHHHHH", 502, 4, 8, 2, 4, 82, 16, 83, 16))
        else:
            said = _set(3, struct.pack(">HHHHHHHHH", 502, 3, 1, 10, 4, 82, 16, 83, 16))
        data = b"".join(struct.pack(">I", random.randrange(1 << 30)) + random.randbytes(32) for _ in range(20))
        yield _message(version, number % 512, said, _set(502, data))


def sflow(random: Random) -> Iterator[bytes]:
    """sFlow of very many agents, and what only begins like it."""
    for number in range(POOL):
        agent = random.randbytes(4)
        if number % 3 == 0:
            yield b"\0\0\0\5" + random.randbytes(random.randrange(4, 300))
            continue
        head = bytes.fromhex("000c29a1b2c3000c29d4e5f60800450000340000400040060000") + random.randbytes(8)
        head += struct.pack(">HHIIHHHH", 443, 40_000, 1, 1, 0x5010, 100, 0, 0) + bytes(14)
        record = struct.pack(">II", 1, 16 + len(head)) + struct.pack(">IIII", 1, 1500, 4, len(head)) + head
        body = struct.pack(">IIIIIIII", number, 1, 1000, 1, 0, 1, 2, 1) + record
        sample = struct.pack(">II", 1, len(body)) + body
        yield struct.pack(">II", 5, 1) + agent + struct.pack(">IIII", 0, number, 1000, 1) + sample


KINDS: dict[str, Callable[[Random], Iterator[bytes]]] = {
    "templates": templates,
    "wide": wide,
    "reused": reused,
    "spoofed": spoofed,
    "pool": pool,
    "options": options,
    "sflow": sflow,
}
_FORGED = "spoofed"


def _valid5(number: int, records: int) -> bytes:
    header = struct.pack(">HHIIIIHH", 5, records, 5_000_000, int(time.time()), 0, number, number & 0xFFFF, 0)
    one = struct.pack(">IIIHHIIIIHHBBBBHHBBH", number, 1, 0, 1, 2, 3, 300, 4_990_000, 4_999_000, 1, 443, 0, 27, 6, 0, 0, 0, 0, 0, 0)
    return header + one * records


def _valid9(number: int, records: int) -> bytes:
    said = _said(9, _template(300, [(8, 4), (12, 4), (4, 1), (1, 4), (2, 4)]))
    return _version9(number % 16, said, _set(300, struct.pack(">IIBII", number, 1, 6, 300, 3) * records))


def address_of(kind: str, number: int) -> bytes:
    """Return the address that a datagram of a kind comes from; of `spoofed` it is drawn anew each time."""
    place = list(KINDS).index(kind)
    if kind in ("pool", "spoofed"):
        return struct.pack(">I", (11 << 24) + number % MANY)
    return bytes([198, 18, place, 1 + number % FEW])


def drawn(kinds: list[str], most: int = POOL, seed: int = 1) -> list[tuple[str, int, bytes]]:
    """Return datagrams of some kinds, which take turns, those of a kind in their order: kind, number and octets of each."""
    random = Random(seed)
    rows = [(kind, number, octets) for kind in kinds for number, octets in enumerate(islice(KINDS[kind](random), most))]
    return sorted(rows, key=lambda row: row[1])


class Attack:
    """Datagrams of some kinds, mixed, ready to be sent.

    Attributes:
        datagrams: Sent so far.
    """

    def __init__(self, kinds: list[str], host: str, port: int, *, most: int = POOL, seed: int = 1) -> None:
        """Make the datagrams; `most` of each kind."""
        rows = drawn(kinds, most, seed)
        self._target = socket.inet_aton(host)
        packets = [self._packet(kind, number, octets, port) for kind, number, octets in rows]
        self.octets = np.frombuffer(bytearray(b"".join(packets)), np.uint8)
        sizes = np.array([len(packet) for packet in packets])
        starts = np.cumsum(sizes) - sizes
        self._forged = np.array([kind == _FORGED for kind, _, _ in rows])
        self._places = starts[:, None] + np.arange(12, 16)
        self._random = np.random.default_rng(seed)
        self.number, self.datagrams = len(packets), 0
        self._name = np.frombuffer(bytearray(struct.pack("=HH4s8x", socket.AF_INET, 0, self._target)), np.uint8)
        self._vectors = np.zeros(self.number, _IOVEC)
        self._vectors["base"] = np.uint64(self.octets.ctypes.data) + starts.astype(np.uint64)
        self._vectors["size"] = sizes
        self._messages = np.zeros(self.number, _MMSGHDR)
        self._messages["name"], self._messages["name_size"] = self._name.ctypes.data, 16
        self._messages["iov"] = self._vectors.ctypes.data + np.arange(self.number, dtype=np.uint64) * np.uint64(_IOVEC.itemsize)
        self._messages["iov_number"] = 1
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._call = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._call.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]

    def _packet(self, kind: str, number: int, octets: bytes, port: int) -> bytes:
        head = struct.pack(">BBHHHBBH", 0x45, 0, _IP + len(octets), 0, 0, 64, socket.IPPROTO_UDP, 0)
        return head + address_of(kind, number) + self._target + struct.pack(">HHHH", 2055, port, 8 + len(octets), 0) + octets

    def run(self, rate: float, seconds: float, stop: list[int]) -> float:
        """Send at a rate of datagrams a second, and return the seconds that it took."""
        began, first = time.perf_counter(), 0
        while not stop and time.perf_counter() - began < seconds:
            last = min(first + BURST, self.number)
            self._forge(first, last)
            _wait(began + (self.datagrams + last - first) / rate)
            self._send(first, last)
            first = last % self.number
        return time.perf_counter() - began

    def _forge(self, first: int, last: int) -> None:
        rows = first + np.flatnonzero(self._forged[first:last])
        addresses: NDArray[np.uint32] = self._random.integers(1 << 24, 223 << 24, len(rows), dtype=np.uint32)
        addresses[addresses >> 24 == 127] ^= 1 << 30
        self.octets[self._places[rows]] = addresses.view(np.uint8).reshape(-1, 4)[:, ::-1]

    def _send(self, first: int, last: int) -> None:
        while first < last:
            sent = self._call(self._socket.fileno(), self._messages.ctypes.data + first * _MMSGHDR.itemsize, last - first, 0)
            if sent < 0:
                code = ctypes.get_errno()
                if code not in (errno.ENOBUFS, errno.EAGAIN, errno.EINTR):
                    raise OSError(code, os.strerror(code))
                continue
            first += sent
            self.datagrams += sent


def kinds_of(text: str) -> list[str]:
    """Return kinds by their names with commas between; `all` for all."""
    return list(KINDS) if text == "all" else text.split(",")


def main() -> None:
    """Attack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("to", metavar="HOST:PORT")
    parser.add_argument("--kinds", default="all", help=f"of {','.join(KINDS)}")
    parser.add_argument("--rate", type=float, default=50_000, help="datagrams a second, all kinds together")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--most", type=int, default=POOL, help="different datagrams of each kind")
    parser.add_argument("--cpu", type=int)
    words = parser.parse_args()
    if words.cpu is not None:
        os.sched_setaffinity(0, {words.cpu})
    host, _, port = words.to.rpartition(":")
    attack = Attack(kinds_of(words.kinds), host, int(port), most=words.most)
    stop: list[int] = []

    def told(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    signal.signal(signal.SIGTERM, told)
    print("ready", flush=True)
    seconds = attack.run(words.rate, words.seconds, stop)
    print(json.dumps({"datagrams": attack.datagrams, "datagrams_per_s": round(attack.datagrams / seconds)}), flush=True)


if __name__ == "__main__":
    main()
