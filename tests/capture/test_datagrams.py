"""The receiver over real loopback sockets."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest

from nftui.capture import recvmmsg
from nftui.capture.datagrams import MAPPED_PREFIX, NEAR, DatagramBlock, UdpReceiver

LOOPBACK_6 = bytes(15) + b"\x01"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")


@pytest.fixture(params=["recvmmsg", "recvfrom"])
def batched(request: pytest.FixtureRequest) -> bool:
    if request.param == "recvmmsg" and not recvmmsg.AVAILABLE:
        pytest.skip("the C library has no recvmmsg")
    return bool(request.param == "recvmmsg")


def arrived(receiver: UdpReceiver) -> DatagramBlock:
    """Wait for the next block."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if block := receiver.receive():
            return block
        time.sleep(0.001)
    raise AssertionError("nothing arrived")


def send(address: str, port: int, *payloads: bytes) -> int:
    """Send datagrams to a local address; return the port they came from."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for payload in payloads:
            sender.sendto(payload, (address, port))
        return int(sender.getsockname()[1])


@pytest.mark.parametrize(
    ("listen", "to", "source"),
    [
        (None, "127.0.0.1", MAPPED_PREFIX + bytes([127, 0, 0, 1])),
        pytest.param(None, "::1", LOOPBACK_6, marks=needs_ipv6),
        ("127.0.0.1", "127.0.0.1", MAPPED_PREFIX + bytes([127, 0, 0, 1])),
        pytest.param("::1", "::1", LOOPBACK_6, marks=needs_ipv6),
    ],
)
def test_addresses_ports_and_content(batched: bool, listen: str | None, to: str, source: bytes) -> None:
    with UdpReceiver(listen, 0, 1 << 20, rows=8, batched=batched) as receiver:
        assert receiver.receive() is None
        payloads = [b"first", b"", b"x" * 1464]
        port = send(to, receiver.port, *payloads)
        time.sleep(0.01)
        before = time.time_ns() // 1000
        block = arrived(receiver)
        assert [block.payload[row, : block.length[row]].tobytes() for row in range(3)] == payloads
        assert [row.tobytes() for row in block.exporter] == [source] * 3
        assert block.source_port.tolist() == [port] * 3
        assert block.local_port == receiver.port
        assert (np.abs(block.received - before) < 2_000_000).all()


def test_more_than_a_block_holds(batched: bool) -> None:
    with UdpReceiver("127.0.0.1", 0, 1 << 20, rows=4, batched=batched) as receiver:
        send("127.0.0.1", receiver.port, *(bytes([n]) for n in range(10)))
        time.sleep(0.01)
        seen: list[int] = []
        while len(seen) < 10:
            block = arrived(receiver)
            assert len(block.length) <= 4
            seen += block.payload[:, 0].tolist()
        assert seen == list(range(10))


def test_longest_datagram_is_not_cut(batched: bool) -> None:
    with UdpReceiver("127.0.0.1", 0, 1 << 20, rows=2, batched=batched) as receiver:
        payload = bytes(range(256)) * 255
        send("127.0.0.1", receiver.port, payload[:65_000])
        block = arrived(receiver)
        assert block.length.tolist() == [65_000]
        assert block.payload[0, :65_000].tobytes() == payload[:65_000]
        assert receiver.truncated == 0


def test_short_and_long_datagrams_of_one_block(batched: bool) -> None:
    with UdpReceiver("127.0.0.1", 0, 1 << 20, rows=16, batched=batched) as receiver:
        for sizes in ([10, NEAR], [NEAR + 1, 10, 9000], [1, NEAR - 1, 5], [30_000]):
            payloads = [bytes([size % 251]) * size for size in sizes]
            send("127.0.0.1", receiver.port, *payloads)
            time.sleep(0.01)
            block = arrived(receiver)
            assert block.payload.flags.c_contiguous
            assert [block.payload[row, :size].tobytes() for row, size in enumerate(block.length.tolist())] == payloads


def test_drops_are_told() -> None:
    with UdpReceiver("127.0.0.1", 0, 1, rows=1024) as receiver:
        assert receiver.granted < 1 << 16
        assert receiver.asked == 1
        assert receiver.drops() == 0
        send("127.0.0.1", receiver.port, *[bytes(1400)] * 200)
        taken = 0
        while block := receiver.receive():
            taken += len(block.length)
        assert 0 < taken < 200
        assert receiver.drops() == 200 - taken


def test_the_rest_is_no_more_than_the_buffer_holds(batched: bool) -> None:
    with UdpReceiver("127.0.0.1", 0, 1 << 16, rows=4, batched=batched) as receiver:
        receiver.finish()
        taken, most = 0, receiver.granted // 512
        for _ in range(10 * most):
            send("127.0.0.1", receiver.port, b"x")
            block = receiver.receive()
            taken += len(block.length) if block else 0
        assert most <= taken < most + 4
