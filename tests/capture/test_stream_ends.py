"""Streams: how connections end, and what is said of them."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from nftui.capture import streams
from nftui.capture.allowed import AllowList
from nftui.capture.sockets import MAPPED_PREFIX
from tests.capture.stream_peer import Peer, message, numbered

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


def test_who_is_not_on_the_list_is_refused_and_named(peers: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SWEEP_S", 0.0)
    peer = peers()
    before = peer.connect(mine="127.0.0.5")
    before.sendall(message(b"x"))
    peer.until(lambda: len(peer.of(before, MAPPED_PREFIX + bytes([127, 0, 0, 5]))) == 1)
    peer.receiver.allow = AllowList(["127.0.0.1"])
    peer.connect(mine="127.0.0.9")
    good = peer.connect()
    good.sendall(message(b"x"))
    peer.until(lambda: len(peer.of(good)) == 1 and bool(peer.remarks))
    assert peer.remarks == {streams.NOT_ALLOWED: 1}
    assert peer.state["refused"] == {streams.NOT_ALLOWED: 1}
    peer.until(lambda: peer.closed(streams.NOT_ALLOWED) == 1)
    assert peer.state["open"] == 1, "the connection that is no longer allowed was closed"


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
