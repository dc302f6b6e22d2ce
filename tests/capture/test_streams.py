"""Streams: any split of any messages gives the same rows; whoever says anything else, or nothing, is closed and counted."""

from __future__ import annotations

import errno
import os
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.capture import streams
from nftui.capture.sockets import KINDS, MAPPED_PREFIX
from nftui.capture.streams import StreamReceiver, bounds_of
from tests.capture.test_datagrams import LOOPBACK_6, needs_ipv6
from tests.capture.test_sockets import STREAMS

LOOPBACK = MAPPED_PREFIX + bytes([127, 0, 0, 1])


def message(body: bytes, number: int = 0) -> bytes:
    return struct.pack(">HHIII", 10, 16 + len(body), 1_700_000_000, number, 7) + body


def numbered(count: int, size: int = 100, first: int = 0) -> list[bytes]:
    return [message(bytes([number % 256]) * size, number) for number in range(first, first + count)]


class Peer:
    """A receiver, its exporters, and all that came out of it."""

    def __init__(self, stack: ExitStack, address: str | None = "127.0.0.1", transport: str = "tcp", **limits: Any) -> None:
        self.receiver = stack.enter_context(StreamReceiver(address, 0, transport, **limits))
        self._stack = stack
        self.came: dict[tuple[bytes, int], list[bytes]] = {}
        self.blocks: list[int] = []
        self.remarks: dict[str, int] = {}

    def connect(self, to: str = "127.0.0.1", mine: str | None = None) -> socket.socket:
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        one = self._stack.enter_context(socket.socket(family, *KINDS[self.receiver.transport]))
        if mine:
            one.bind((mine, 0))
        one.connect((to, self.receiver.port))
        one.settimeout(10)
        return one

    def take(self) -> bool:
        block = self.receiver.receive()
        for (_, reason), times in self.receiver.remarks().items():
            self.remarks[reason] = self.remarks.get(reason, 0) + times
        if block is None:
            return False
        self.blocks.append(len(block.length))
        assert len(block.payload) == len(block.length) == len(block.exporter) == len(block.source_port) == len(block.received)
        assert block.local_port == self.receiver.port
        for row, length in enumerate(block.length.tolist()):
            key = block.exporter[row].tobytes(), int(block.source_port[row])
            self.came.setdefault(key, []).append(block.payload[row, :length].tobytes())
        return True

    def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self.take()
            assert time.monotonic() < deadline, (self.state, sum(map(len, self.came.values())))

    def of(self, exporter: socket.socket, address: bytes = LOOPBACK) -> list[bytes]:
        return self.came.get((address, exporter.getsockname()[1]), [])

    @property
    def state(self) -> dict[str, Any]:
        return self.receiver.connections()

    def closed(self, reason: str) -> int:
        found: int = self.state["closed"].get(reason, 0)
        return found


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    with ExitStack() as stack:
        yield lambda *words, **limits: Peer(stack, *words, **limits)


# ---------------------------------------------------------------- framing, without a socket

bodies = st.lists(st.one_of(st.binary(max_size=60), st.integers(61, 3000).map(bytes)), max_size=30)


@given(bodies, st.integers(0, 40))
def test_messages_are_found_by_their_length(contents: list[bytes], most: int) -> None:
    messages = [message(body) for body in contents]
    whole = b"".join(messages)
    bounds, problem = bounds_of(whole, most)
    assert problem == ""
    assert [whole[one:next_] for one, next_ in pairwise(bounds)] == messages[:most]


@given(st.binary(max_size=200))
def test_any_octets_are_bounded(octets: bytes) -> None:
    bounds, problem = bounds_of(octets, 1000)
    assert bounds == sorted(set(bounds))
    assert 0 <= bounds[-1] <= len(octets)
    rest = octets[bounds[-1] :]
    if not problem and len(rest) >= 4:
        version, length = struct.unpack_from(">HH", rest)
        assert version == 10
        assert length > len(rest)


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"", ([0], "")),
        (b"\0", ([0], "")),
        (b"\0\x0a\0", ([0], "")),
        (b"\0\x0a\0\x0f", ([0], streams.TOO_SHORT)),
        (b"\0\x0a\0\0", ([0], streams.TOO_SHORT)),
        (b"\0\x09\0\x10", ([0], streams.NOT_IPFIX)),
        (b"GET / HTTP/1.1\r\n\r\n", ([0], streams.NOT_IPFIX)),
        (b"\0\x0a\xff\xff" + bytes(65_530), ([0], "")),
        (b"\0\x0a\xff\xff" + bytes(65_531), ([0, 65_535], "")),
        (message(b"") + b"\0\x09\0\x10", ([0, 16], streams.NOT_IPFIX)),
    ],
)
def test_hostile_lengths(octets: bytes, found: tuple[list[int], str]) -> None:
    assert bounds_of(octets, 10) == found


# ---------------------------------------------------------------- framing, over a socket


@contextmanager
def bare(**limits: Any) -> Iterator[Peer]:
    """A receiver for one example of a property."""
    with ExitStack() as stack:
        yield Peer(stack, **limits)


@settings(max_examples=60)
@given(
    st.lists(bodies, min_size=1, max_size=4),
    st.integers(1, 8),
    st.randoms(use_true_random=False),
    st.sampled_from([1, 7, 100, 5000]),
)
def test_any_split_of_any_messages_gives_the_same_rows(
    contents: list[list[bytes]], rows: int, chance: random.Random, longest: int
) -> None:
    with bare(rows=rows) as peer:
        sent = [[message(body, number) for number, body in enumerate(one)] for one in contents]
        exporters = [peer.connect() for _ in sent]
        waiting = [b"".join(one) for one in sent]
        while any(waiting):
            which = chance.choice([number for number, octets in enumerate(waiting) if octets])
            size = chance.randint(1, max(longest, len(waiting[which]) // 20))
            exporters[which].sendall(waiting[which][:size])
            waiting[which] = waiting[which][size:]
            if chance.random() < 0.5:
                peer.take()
        for one in exporters:
            one.close()
        peer.until(lambda: peer.closed(streams.ENDED) == len(sent))
        assert sorted(peer.came.values()) == sorted(one for one in sent if one)
        assert max(peer.blocks, default=0) <= rows
        assert peer.state["discarded_octets"] == 0
        assert peer.remarks == {}


@settings(max_examples=30)
@given(bodies, st.binary(min_size=1, max_size=300), st.integers(1, 500), st.integers(1, 8))
def test_every_octet_is_delivered_or_counted(contents: list[bytes], junk: bytes, split: int, rows: int) -> None:
    with bare(rows=rows) as peer:
        whole = b"".join(map(message, contents)) + junk
        exporter = peer.connect()
        for at in range(0, len(whole), max(split, len(whole) // 50)):
            try:
                exporter.sendall(whole[at : at + max(split, len(whole) // 50)])
            except OSError:  # it was closed on us
                break
        else:
            exporter.shutdown(socket.SHUT_WR)
        peer.until(lambda: sum(peer.state["closed"].values()) == 1)
        delivered = b"".join(octets for one in peer.came.values() for octets in one)
        assert whole.startswith(delivered)
        assert len(delivered) >= len(b"".join(map(message, contents)))
        assert len(delivered) + peer.state["discarded_octets"] <= len(whole)
        if peer.closed(streams.ENDED):
            assert delivered == whole
        else:
            assert sum(peer.remarks.values()) == 1


@pytest.mark.parametrize("transport", STREAMS)
def test_messages_of_every_size(transport: str, peers: Callable[..., Peer]) -> None:
    peer = peers("127.0.0.1", transport)
    exporter = peer.connect()
    messages = [message(bytes([number]) * size) for number, size in enumerate((0, 1, 1400, 40_000, 65_519, 0, 65_519))]
    for one in messages:
        exporter.sendall(one)
    peer.until(lambda: len(peer.of(exporter)) == len(messages))
    assert peer.of(exporter) == messages


def test_byte_by_byte(peers: Callable[..., Peer]) -> None:
    peer = peers()
    exporter = peer.connect()
    exporter.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    messages = numbered(5, 30)
    for octet in b"".join(messages):
        exporter.sendall(bytes([octet]))
        peer.take()
    peer.until(lambda: len(peer.of(exporter)) == 5)
    assert peer.of(exporter) == messages


@pytest.mark.parametrize(
    ("listen", "to", "source"),
    [
        (None, "127.0.0.1", LOOPBACK),
        pytest.param(None, "::1", LOOPBACK_6, marks=needs_ipv6),
        ("127.0.0.1", "127.0.0.1", LOOPBACK),
        pytest.param("::1", "::1", LOOPBACK_6, marks=needs_ipv6),
    ],
)
def test_addresses_and_ports(listen: str | None, to: str, source: bytes, peers: Callable[..., Peer]) -> None:
    peer = peers(listen)
    exporter = peer.connect(to)
    exporter.sendall(b"".join(numbered(3)))
    peer.until(lambda: len(peer.of(exporter, source)) == 3)
    assert list(peer.came) == [(source, exporter.getsockname()[1])]


# ---------------------------------------------------------------- bounds and fairness


def test_no_connection_starves_the_others(peers: Callable[..., Peer]) -> None:
    peer = peers(rows=16)
    loud, quiet = peer.connect(), peer.connect()
    loud.setblocking(False)
    peer.until(lambda: peer.state["open"] == 2)
    whole = b"".join(numbered(4000))
    rest = b""
    for _ in range(5):
        quiet.sendall(message(b"quiet"))
        before = len(peer.of(quiet)), len(peer.of(loud))
        while len(peer.of(quiet)) == before[0]:
            with suppress(BlockingIOError):
                rest = rest or whole
                rest = rest[loud.send(rest) :]
            peer.take()
            # It waits for what the other gave in its turn, and may have had left of the one before.
            assert sum(map(len, peer.of(loud)[before[1] :])) <= 2 * streams.TURN
    assert len(peer.of(loud)) > 16


def test_what_is_held_is_bounded(peers: Callable[..., Peer]) -> None:
    peer = peers(rows=4)
    exporters = [peer.connect() for _ in range(8)]
    for one in exporters:
        one.setblocking(False)
        one.send(b"".join(numbered(3000, 0)) + message(bytes(60_000))[:-1])
    most = 0
    for _ in range(200):
        peer.take()
        held = sorted(len(one.held) for one in peer.receiver._connections.values())
        most = max(most, sum(held))
        assert len(held) < 2 or held[-2] < 65_535
    assert 0 < most < streams.TURN + 8 * 65_535


def test_a_block_of_long_messages_has_fewer(peers: Callable[..., Peer]) -> None:
    peer = peers()
    exporters = [peer.connect() for _ in range(8)]
    messages = [message(bytes([number]) * 60_000) for number in range(20)]
    rest = {one: b"".join(messages) for one in exporters}
    for one in exporters:
        one.setblocking(False)
    while any(rest.values()):
        for one, octets in rest.items():
            with suppress(BlockingIOError):
                rest[one] = octets[one.send(octets) :] if octets else octets
        peer.take()
    peer.until(lambda: all(len(peer.of(one)) == 20 for one in exporters))
    assert max(peer.blocks) * 60_016 <= streams.BLOCK + streams.TURN + 65_535
    assert all(peer.of(one) == messages for one in exporters)


def test_a_slow_collector_slows_the_exporter_and_loses_nothing(peers: Callable[..., Peer]) -> None:
    peer = peers()
    exporter = peer.connect()
    exporter.setblocking(False)
    whole = memoryview(b"".join(numbered(60_000, 1384)))
    sent = 0
    for _ in range(1000):
        try:
            sent += exporter.send(whole[sent:])
        except BlockingIOError:
            break
    assert sent < len(whole)
    exporter.setblocking(True)
    peer.until(lambda: sum(map(len, peer.of(exporter))) > sent - 1400)
    assert b"".join(peer.of(exporter)) == bytes(whole[: len(peer.of(exporter)) * 1400])


def test_a_flood_of_connections_is_counted_and_refused(peers: Callable[..., Peer]) -> None:
    peer = peers(limit=20, limit_each=15)
    old = peer.connect(mine="127.3.0.1")
    flood = [peer.connect(mine="127.3.0.2") for _ in range(100)]
    peer.until(lambda: sum(peer.state["refused"].values()) == 85)
    assert peer.state["refused"] == {streams.NO_PLACE_EACH: 85}
    more = [peer.connect(mine=f"127.3.0.{10 + number}") for number in range(10)]
    peer.until(lambda: peer.state["refused"].get(streams.NO_PLACE) == 6)
    assert (peer.state["open"], peer.state["accepted"]) == (20, 20)
    old.sendall(message(b"still here"))
    peer.until(lambda: len(peer.came) == 1)
    for one in (*flood, *more):
        one.close()
    peer.until(lambda: peer.state["open"] == 1)
    again = peer.connect(mine="127.3.0.2")
    again.sendall(message(b"there is room again"))
    peer.until(lambda: len(peer.came) == 2)


def test_strangers_who_come_and_go_do_not_hold_the_loop(peers: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    peer = peers()
    rounds = 0
    once = peer.receiver._round

    def one_more(now: float) -> bool:
        nonlocal rounds
        rounds += 1
        stranger = peer.connect()
        stranger.sendall(bytes(100_000))
        return once(now)

    monkeypatch.setattr(peer.receiver, "_round", one_more)
    for calls in range(1, 21):
        assert not peer.take()
        assert rounds <= 2 * calls
    assert peer.closed(streams.NOT_IPFIX) > 10


def test_no_descriptors_left(peers: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def __init__(self, listener: socket.socket) -> None:
            self.listener, self.tries = listener, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.listener, name)

        def accept(self) -> Any:
            self.tries += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(streams, "SWEEP_S", 0.2)
    peer = peers()
    listener = peer.receiver._listener
    exhausted = Exhausted(listener)
    monkeypatch.setattr(peer.receiver, "_listener", exhausted)
    exporter = peer.connect()
    exporter.sendall(message(b"patience"))
    peer.until(lambda: peer.state["refused"] == {streams.NO_DESCRIPTORS: 1})
    for _ in range(100):
        peer.take()
    assert exhausted.tries <= 2
    monkeypatch.setattr(peer.receiver, "_listener", listener)
    peer.until(lambda: len(peer.of(exporter)) == 1)


# ---------------------------------------------------------------- how connections end


@pytest.mark.parametrize(
    ("octets", "reason", "remark"),
    [
        (b"", streams.ENDED, None),
        (message(b"whole"), streams.ENDED, None),
        (message(b"half")[:-1], streams.CUT, streams.CUT),
        (message(b"whole") + b"\0", streams.CUT, streams.CUT),
        (b"GET / HTTP/1.1\r\n\r\n", streams.NOT_IPFIX, "not IPFIX, first octets 47 45"),
        (b"\0\x05" + bytes(100), streams.NOT_IPFIX, "not IPFIX, first octets 00 05"),
        (message(b"good") + b"\0\x0a\0\x0f" + bytes(100), streams.TOO_SHORT, streams.TOO_SHORT),
    ],
)
def test_ends_and_what_is_said_of_them(octets: bytes, reason: str, remark: str | None, peers: Callable[..., Peer]) -> None:
    peer = peers()
    exporter = peer.connect()
    exporter.sendall(octets)
    exporter.shutdown(socket.SHUT_WR)
    peer.until(lambda: peer.closed(reason) == 1)
    assert peer.remarks == ({f"tcp connection closed: {remark}": 1} if remark else {})
    good = [message(b"whole"), message(b"good")]
    assert [one for one in peer.of(exporter) if one in good] == peer.of(exporter)
    assert len(peer.of(exporter)) == octets.count(b"whole") + octets.count(b"good")
    assert peer.state["open"] == 0
    with suppress(ConnectionError):  # the exporter hears of it, one way or the other
        assert exporter.recv(100) == b""


def test_a_broken_connection(peers: Callable[..., Peer]) -> None:
    peer = peers()
    exporter = peer.connect()
    exporter.sendall(message(b"x") + b"\0\x0a")
    peer.until(lambda: len(peer.of(exporter)) == 1)
    exporter.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exporter.close()
    peer.until(lambda: peer.closed(streams.BROKEN) == 1)
    assert peer.remarks == {f"tcp connection closed: {streams.BROKEN}": 1}
    assert peer.state["discarded_octets"] == 2


def test_the_silent_and_the_slow_are_closed(peers: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SWEEP_S", 0.02)
    peer = peers(idle_s=0.6, stalled_s=0.3)
    silent, slow, regular, pausing = (peer.connect() for _ in range(4))
    half = message(bytes(1000))
    began = time.monotonic()
    for number, octet in enumerate(half):
        try:
            slow.sendall(bytes([octet]))
        except OSError:
            break
        if number % 10 == 0:
            regular.sendall(message(b"regular"))
        time.sleep(0.001)
        peer.take()
        if peer.state["open"] == 1:
            break
    else:
        pytest.fail("the slow connection is still there")
    # A pause between messages is no stalled message.
    assert time.monotonic() - began > 0.25
    peer.until(lambda: peer.closed(streams.IDLE) >= 2)
    assert peer.closed(streams.STALLED) == 1
    assert peer.remarks == {f"tcp connection closed: {streams.STALLED}": 1}
    assert silent.recv(1) == pausing.recv(1) == b""


def test_an_exporter_is_not_blamed_for_a_collector_that_slept(peers: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SWEEP_S", 0.01)
    peer = peers(idle_s=0.2, stalled_s=0.2)
    exporter, other = peer.connect(), peer.connect()
    octets = message(bytes(3000))
    exporter.sendall(octets[:1000])
    peer.until(lambda: peer.state["open"] == 2 and any(one.held for one in peer.receiver._connections.values()))
    exporter.sendall(octets[1000:])
    other.sendall(message(b"other"))
    time.sleep(0.3)
    monkeypatch.setattr(peer.receiver, "_epoll", Deaf(peer.receiver._epoll))
    peer.take()
    assert peer.of(exporter) == [octets]
    assert peer.of(other) == [message(b"other")]
    assert peer.state["closed"] == {}


class Deaf:
    """An epoll that has nothing to tell yet."""

    def __init__(self, epoll: Any) -> None:
        self._epoll = epoll

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)

    def poll(self, *_: object) -> list[tuple[int, int]]:
        return []


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize("rows", [3, 1024])
def test_what_has_arrived_is_delivered_before_the_end(rows: int, peers: Callable[..., Peer]) -> None:
    peer = peers(rows=rows)
    known = peer.connect()
    known.sendall(b"".join(numbered(50)))
    peer.until(lambda: len(peer.of(known)) >= 1)
    new = peer.connect()
    for one in (known, new):
        one.sendall(b"".join(numbered(200, first=50)) + message(b"half")[:-1])
    time.sleep(0.05)
    peer.receiver.finish()
    while peer.take() or peer.receiver.more:
        pass
    assert peer.of(known) == numbered(250)
    assert peer.of(new) == numbered(200, first=50)
    assert peer.state["open"] == 0
    assert peer.closed(streams.STOPPED) == 2
    assert peer.remarks == {f"tcp connection closed: {streams.STOPPED}": 2}
    with pytest.raises(ConnectionError):
        peer.connect()


def test_an_exporter_that_goes_on_does_not_keep_it_from_ending(peers: Callable[..., Peer]) -> None:
    peer = peers()
    exporter = peer.connect()
    exporter.setblocking(False)
    peer.until(lambda: peer.state["open"] == 1)
    sent, whole, rest = numbered(1000), b"".join(numbered(1000)), b""
    peer.receiver.finish()
    most = peer.receiver.granted * 100
    while peer.receiver.more:
        with suppress(OSError):
            rest = rest or whole
            rest = rest[exporter.send(rest) :]
        peer.take()
        assert sum(map(len, peer.of(exporter))) < most
    came = peer.of(exporter)
    assert came == (sent * (len(came) // 1000 + 1))[: len(came)]


def test_receiving_is_one_descriptor(peers: Callable[..., Peer]) -> None:
    peer = peers()
    poller = select.poll()
    poller.register(peer.receiver.fileno(), select.POLLIN)
    assert poller.poll(0) == []
    exporter = peer.connect()
    assert poller.poll(1000)
    peer.until(lambda: peer.state["open"] == 1)
    assert poller.poll(0) == []
    exporter.sendall(message(b"x"))
    assert poller.poll(1000)
    peer.until(lambda: len(peer.of(exporter)) == 1)
    assert poller.poll(0) == []
