"""Streams: any split of any messages gives the same rows; whoever says anything else, or nothing, is closed and counted."""

from __future__ import annotations

import errno
import os
import random
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.capture import streams
from nftui.capture.streams import bounds_of
from tests.capture.stream_peer import LOOPBACK, Peer, message, numbered
from tests.capture.test_datagrams import LOOPBACK_6, needs_ipv6
from tests.capture.test_sockets import STREAMS

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
