"""A flow's packets written to a file, while they pass on a link of their own; tshark reads what was written."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nftui.engine.packet_capture import PacketCapture, filter_of
from nftui.units import address_octets
from tests import peers
from tests.real import namespace
from tests.running import wait_for

pytestmark = pytest.mark.peer("tshark", "ip")
FLOW = {
    "source_address": address_octets("10.99.0.1"), "destination_address": address_octets("10.99.0.2"), "source_port": 4000,
    "destination_port": 5000, "protocol": 17,
}  # fmt: skip


def in_a_network(run: Callable[[str, str], None]) -> None:
    """Run something in a network with a link of its own, on a thread, so that the others stay where they are."""
    problems: list[BaseException] = []

    def thread() -> None:
        try:
            namespace.inside(lambda: run(*namespace.link()))
        except BaseException as error:  # noqa: BLE001  told to the test
            problems.append(error)

    one = threading.Thread(target=thread)
    one.start()
    one.join()
    for problem in problems:
        raise problem


def datagram(sport: int, dport: int, payload: bytes, back: bool = False) -> bytes:
    """Return an Ethernet frame with a UDP datagram."""
    ends = [bytes([10, 99, 0, 1]), bytes([10, 99, 0, 2])]
    ports = [sport.to_bytes(2), dport.to_bytes(2)]
    if back:
        ends, ports = ends[::-1], ports[::-1]
    udp = b"".join(ports) + (8 + len(payload)).to_bytes(2) + b"\0\0" + payload
    ip = b"\x45\0" + (20 + len(udp)).to_bytes(2) + b"\0\0\0\0\x40\x11\0\0" + b"".join(ends)
    return b"\2" * 6 + b"\4" * 6 + b"\x08\0" + ip + udp


def send(interface: str, frames: list[bytes]) -> None:
    import socket

    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as one:
        one.bind((interface, 0))
        for frame in frames:
            one.send(frame)


def seen(path: Path, *fields: str) -> list[list[str]]:
    """Return what tshark tells of each packet of a file."""
    words = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        [peers.require("tshark"), "-n", "-r", str(path), "-T", "fields", *words], capture_output=True, text=True, check=True
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_both_directions_and_nothing_else(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    def run(near: str, far: str) -> None:
        words = filter_of(FLOW)
        assert words is not None
        capture = PacketCapture(near, words, tmp_path / "flow")
        wait_for(lambda: capture.files or not capture.running)
        for n in range(20):
            send(far, [datagram(4000, 5000, b"to %d" % n), datagram(4000, 5001, b"another")])
            send(near, [datagram(4000, 5000, b"back %d" % n, back=True)])
        wait_for(lambda: capture.packets == 40)
        capture.stop()
        told.update(vars(capture))

    in_a_network(run)
    assert (told["running"], told["problem"], told["dropped"]) == (False, "", 0)
    (path,) = told["files"]
    assert path.name == "flow-1.pcap" and told["octets"] == path.stat().st_size
    found = seen(path, "ip.src", "udp.srcport", "udp.dstport", "udp.payload")
    assert len(found) == 40
    assert found[0] == ["10.99.0.1", "4000", "5000", b"to 0".hex()]
    assert found[-1] == ["10.99.0.2", "5000", "4000", b"back 19".hex()]


def test_bounded_and_the_newest_kept(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    def run(near: str, far: str) -> None:
        capture = PacketCapture(near, "udp", tmp_path / "flow", octets=1 << 19)
        wait_for(lambda: capture.files or not capture.running)
        for first in range(0, 1000, 100):
            send(far, [datagram(4000, 5000, b"%04d" % n + bytes(1000)) for n in range(first, first + 100)])
            wait_for(lambda first=first: capture.packets == first + 100)
        capture.stop()
        told.update(vars(capture))

    in_a_network(run)
    sizes = [path.stat().st_size for path in told["files"]]
    assert len(sizes) == 2 and sum(sizes) <= 1 << 19 and told["packets"] == 1000
    kept = [int(bytes.fromhex(row[0])[:4]) for path in told["files"] for row in seen(path, "udp.payload")]
    assert kept == list(range(1000 - len(kept), 1000)) and len(kept) > 250
