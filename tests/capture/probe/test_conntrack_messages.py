"""Messages of connection tracking: any mixture of shapes is read as each message alone, and broken ones are counted."""

from __future__ import annotations

import struct
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.probe import chain
from nftui.capture.probe.conntrack_messages import DELETED, NEW, SPARE, Connections, ConntrackReader

pytestmark = pytest.mark.row("B01")


def attribute(kind: int, *values: bytes) -> bytes:
    """Return an attribute; several values are attributes themselves."""
    value = b"".join(values)
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(attributes: bytes, kind: int = DELETED, family: int = 2) -> bytes:
    """Return a message."""
    return struct.pack("=IHHII", 20 + len(attributes), kind, 0, 7, 0) + struct.pack("=BBH", family, 0, 0) + attributes


def connection(dice: Random) -> tuple[bytes, dict[str, int | bytes]]:
    """Return a connection's message, and what it says."""
    six, kind = dice.random() < 0.5, dice.choice((NEW, DELETED))
    size, place = (16, 3) if six else (4, 1)
    said: dict[str, int | bytes] = {"kind": kind, "six": int(six)}
    tuples = b""
    protocol = dice.choice((6, 17, 1, 47))
    for number, begin in ((1, ""), (2, "reply_")):
        ends = [dice.randbytes(size) for _ in range(2)]
        for name, octets in zip(("source", "destination"), ends, strict=True):
            said[begin + name] = octets if six else MAPPED_PREFIX + octets
        parts = [attribute(1, bytes([protocol]))]
        if protocol in (6, 17):
            ports = [dice.randrange(1 << 16) for _ in range(2)]
            parts += [attribute(place, struct.pack(">H", port)) for place, port in zip((2, 3), ports, strict=True)]
            said |= {f"{begin}source_port": ports[0], f"{begin}destination_port": ports[1]}
        elif protocol == 1:
            parts += [attribute(4, b"\0\1"), attribute(5, b"\x08"), attribute(6, b"\3")]
            said |= {f"{begin}icmp_type": 8, f"{begin}icmp_code": 3}
        addresses = [attribute(place + end, octets) for end, octets in enumerate(ends)]
        tuples += attribute(0x8000 | number, attribute(0x8001, *addresses), attribute(0x8002, *parts))
    said["protocol"] = protocol
    rest = [attribute(3, struct.pack(">I", 0x18A)), attribute(12, struct.pack(">I", 77))]
    said |= {"status": 0x18A, "id": 77}
    if dice.random() < 0.7:
        for number, begin in ((9, ""), (10, "reply_")):
            packets, octets = dice.randrange(1 << 40), dice.randrange(1 << 62)
            rest.append(
                attribute(0x8000 | number, attribute(1, struct.pack(">Q", packets)), attribute(2, struct.pack(">Q", octets)))
            )
            said |= {f"{begin}packets": packets, f"{begin}octets": octets}
    if dice.random() < 0.3:
        rest.append(attribute(18, struct.pack(">H", 5)))
        said["zone"] = 5
    if dice.random() < 0.3:
        rest.append(attribute(0x8004, attribute(0x8001, attribute(1, b"\7"))))
        said["tcp_state"] = 7
    dice.shuffle(rest)
    return message(tuples + b"".join(rest), kind, 10 if six else 2), said


def read(octets: bytes, reader: ConntrackReader | None = None) -> tuple[Connections, ConntrackReader]:
    """Return what stands in some messages, and what read them."""
    reader = reader or ConntrackReader()
    return reader.read(bytearray(octets + bytes(SPARE)), len(octets)), reader


def row(found: Connections, number: int) -> dict[str, int | bytes]:
    """Return what a connection says."""
    said: dict[str, int | bytes] = {"kind": int(found.kind[number]), "six": int(found.six[number])}
    said |= {name: octets[number].tobytes() for name, octets in found.addresses.items()}
    return said | {name: int(values[number]) for name, values in found.numbers.items() if values[number] != -1}


def test_each_message_says_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    dice, reader = Random(4), ConntrackReader()
    monkeypatch.setattr(chain, "SEGMENT", 1 << 12)
    for count in (1, 2, 1500):
        made = [connection(dice) for _ in range(count)]
        found, _ = read(b"".join(octets for octets, _ in made), reader)
        got = [row(found, number) for number in range(found.size)]
        assert sorted(str(sorted(one.items())) for one in got) == sorted(str(sorted(said.items())) for _, said in made)
    assert (reader.unread, reader.code, reader.done) == (0, 0, False)


def test_answers_of_the_kernel() -> None:
    octets, _ = connection(Random(1))
    found, reader = read(octets + struct.pack("=IHHIIi", 20, 3, 2, 7, 0, 0))
    assert (found.size, reader.done, reader.code) == (1, True, 0)
    found, reader = read(struct.pack("=IHHIIi16x", 36, 2, 0, 7, 0, -1))
    assert (found.size, reader.done, reader.code) == (0, False, 1)


def test_counters_beyond_all() -> None:
    octets, said = connection(Random(9))
    assert "octets" in said
    at = octets.index(attribute(2, struct.pack(">Q", said["octets"])))
    found, _ = read(octets[: at + 4] + b"\xff" * 8 + octets[at + 12 :])
    assert found.numbers["octets"].tolist() == [(1 << 63) - 1]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=20), st.integers(0, 5000))
def test_broken_messages_are_counted(seed: int, changes: list[tuple[int, int]], size: int) -> None:
    dice = Random(seed)
    octets = bytearray(b"".join(connection(dice)[0] for _ in range(dice.randint(1, 12))))
    for place, value in changes:
        octets[place % len(octets)] = value
    found, reader = read(bytes(octets[:size]))
    assert found.size == len(found.kind) == len(found.six)
    assert all(values.shape == (found.size,) and values.dtype == np.int64 for values in found.numbers.values())
    assert all(values.shape == (found.size, 16) for values in found.addresses.values())
    assert found.size + reader.unread <= len(octets) // 16
