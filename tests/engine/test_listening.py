"""All sockets of a collector: bound together or not at all, looked at when there is something, and left alone when not."""

from __future__ import annotations

import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from nftui.capture.datagrams import ROWS
from nftui.capture.sockets import MAPPED_PREFIX
from nftui.config import CollectorSettings
from nftui.engine import listening
from nftui.engine.listening import Listening, described, parsed
from nftui.errors import ConfigError, ListenError

HERE = "127.0.0.1"
MESSAGE = struct.pack(">HHIII", 10, 16, 0, 0, 0)


@pytest.fixture
def both() -> Iterator[Listening]:
    with closing(Listening([(HERE, 0, "udp"), (HERE, 0, "tcp")], 1 << 20)) as found:
        yield found


def connect(found: Listening, number: int) -> socket.socket:
    receiver = found.sockets[number].receiver
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if receiver.transport == "udp" else socket.SOCK_STREAM)
    one.connect((HERE, receiver.port))
    return one


def take(found: Listening, seconds: float = 5) -> dict[str, int]:
    """Take what comes until something has; return how much came by which transport."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        came = {bound.receiver.transport: len(block.length) for bound in found.ready(100) if (block := bound.take())}
        if came:
            return came
    raise AssertionError("nothing came")


def test_only_what_has_something_is_taken_from(both: Listening) -> None:
    assert both.ready(0) == []
    with connect(both, 0) as udp, connect(both, 1) as tcp:
        udp.send(b"x")
        assert take(both) == {"udp": 1}
        tcp.sendall(MESSAGE * 3)
        assert take(both) == {"tcp": 3}
        assert both.ready(0) == []
        udp.send(b"x")
        tcp.sendall(MESSAGE)
        time.sleep(0.05)
        assert take(both) == {"udp": 1, "tcp": 1}
    assert [(one["transport"], one["datagrams"], one["octets"]) for one in both.status()] == [("udp", 2, 2), ("tcp", 4, 64)]


def test_streams_wait_where_datagrams_cannot(both: Listening) -> None:
    with connect(both, 0) as udp, connect(both, 1) as tcp:
        tcp.sendall(MESSAGE)
        began = time.monotonic()
        assert both.ready(100, streams=False) == []
        assert time.monotonic() - began > 0.09
        udp.send(b"x")
        assert [bound.receiver.transport for bound in both.ready(1000, streams=False)] == ["udp"]
        came = take(both)
        while len(came) < 2:
            came |= take(both)
        assert came == {"udp": 1, "tcp": 1}


def test_connections_without_a_word_are_looked_at_now_and_then(both: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.capture.streams.SWEEP_S", 0.05)
    time.sleep(0.06)
    assert [bound.receiver.transport for bound in both.ready(0)] == ["tcp"]


def test_there_is_no_nap_while_a_connection_has_more(both: Listening) -> None:
    assert both.nap(0, 0.001) == both.nap(ROWS, 0.001) == 0
    assert 0 < both.nap(10, 0.001) <= listening.GATHER_S
    with connect(both, 1) as tcp:
        tcp.setblocking(False)
        tcp.send(MESSAGE * 20_000)
        came = take(both)
        assert both.nap(10, 0.001) == 0
        began = time.monotonic()
        while came["tcp"] < 16_000:
            for bound in both.ready(1000):
                block = bound.take()
                came["tcp"] += len(block.length) if block else 0
        assert time.monotonic() - began < 1


def test_the_rest_is_taken_from_all(both: Listening) -> None:
    with connect(both, 0) as udp, connect(both, 1) as tcp:
        for _ in range(10):
            udp.send(b"x")
        tcp.sendall(MESSAGE * 5000 + MESSAGE[:3])
        time.sleep(0.05)
        came: dict[int, int] = {}
        for block in both.rest():
            came[block.local_port] = came.get(block.local_port, 0) + len(block.length)
    assert came == {both.sockets[0].receiver.port: 10, both.sockets[1].receiver.port: 5000}
    remarks = both.remarks()
    assert remarks == {(MAPPED_PREFIX + bytes([127, 0, 0, 1]), "tcp connection closed: collector stopped"): 1}
    assert not both.remarks()


def test_all_or_none_is_bound() -> None:
    with closing(Listening([(HERE, 0, "tcp")], 1 << 20)) as found:
        taken = found.sockets[0].receiver.port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HERE, 0))
            free = probe.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {HERE}:{taken}/tcp in use"):
            Listening([(HERE, free, "udp"), (HERE, taken, "tcp")], 1 << 20)
        with closing(Listening([(HERE, free, "udp"), (HERE, taken, "udp")], 1 << 20)):
            pass


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("9995", "all addresses, port 9995/udp: NetFlow v1, v5, v7, v9, IPFIX and sFlow, told apart by content"),
        ("192.0.2.1:6343/udp", "192.0.2.1, port 6343/udp: sFlow only"),
        ("[::1]:4739/tcp", "[::1], port 4739/tcp: IPFIX"),
        ("4739/sctp", "all addresses, port 4739/sctp: IPFIX"),
    ],
)
def test_what_is_said_of_an_entry(entry: str, words: str) -> None:
    assert described(parsed([entry])[0]) == words


def test_the_defaults() -> None:
    assert parsed(CollectorSettings().listen) == [(None, 9995, "udp"), (None, 6343, "udp")]
    with pytest.raises(ConfigError, match="'here'"):
        parsed(["9995", "here"])


@pytest.mark.parametrize(
    ("soft", "hard", "streams", "limit", "asked"),
    [
        (1024, 4096, 0, 0, None),
        (1024, 4096, 1, 1024, 1280),
        (1024, 4096, 4, 960, 4096),
        (1024, 1024, 2, 384, 1024),
        (200, 200, 1, 1, 200),
        (4096, 4096, 1, 1024, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 3, 1024, None),
    ],
)
def test_connections_leave_descriptors_for_the_store(
    soft: int, hard: int, streams: int, limit: int, asked: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    assert listening._connections(streams) == limit
    assert set_to == ([] if asked is None else [(asked, hard)])
