"""A wire of one's own: a pair of links in a network that nobody else sees, its counters, and frames to send on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from nftui.capture.probe.frames import FrameBlock
from tests.real import namespace
from tests.wire_sender import WireSender

RATE = 100_000
"""Packets a second that are sent."""
NEAR, FAR = "near0", "far0"
NEAR_MAC, FAR_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


class Taking(Protocol):
    """What frames are taken from."""

    def take(self) -> FrameBlock | None: ...


def alone(run: Callable[[], None]) -> None:
    """Run a function in a new network, where nothing is sent but by itself."""

    def quiet() -> None:
        for which in ("all", "default"):
            # Where there is no IPv6 it can't be switched off.
            with suppress(FileNotFoundError):
                Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")
        run()

    with ThreadPoolExecutor(1) as executor:
        executor.submit(namespace.inside, quiet).result()


def pair() -> None:
    """Make a pair of links, `NEAR` and `FAR`, without offloads."""
    namespace.ip(
        "link", "add", NEAR, "address", NEAR_MAC.hex(":"), "type", "veth", "peer", "name", FAR, "address", FAR_MAC.hex(":")
    )
    for end in (NEAR, FAR):
        namespace.ip("link", "set", end, "arp", "off", "up")


class Counters(NamedTuple):
    """What an interface counted of one direction."""

    octets: int
    frames: int


def counted(interface: str) -> tuple[Counters, Counters]:
    """Return what an interface received, and what it sent."""
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            found = [int(one) for one in numbers.split()]
            return Counters(found[0], found[1]), Counters(found[8], found[9])
    raise AssertionError(f"no interface {interface}")


def send(interface: str, frames: Iterable[bytes], packets: int = 0) -> int:
    """Send frames on an interface once, or as many as are asked for by beginning anew; return how many.

    All are sent by one CPU, as the kernel may have those of several overtake each other, and not faster than it hands them over.
    """
    some = list(frames)
    length = np.array([len(one) for one in some], np.int64)
    flat = np.frombuffer(b"".join(some), np.uint8)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        with WireSender(interface, flat, np.cumsum(length) - length, length) as sender:
            return sender.run(packets=packets or len(some), rate=RATE)
    finally:
        os.sched_setaffinity(0, before)


class Seen(NamedTuple):
    """A frame that was taken."""

    octets: bytes
    length: int
    link: int
    outgoing: bool | None
    vlan: int | None
    time: int


def taken(source: Taking, frames: int, seconds: float = 10.0) -> list[Seen]:
    """Take frames until there are so many, and a moment longer, in which no more should come."""
    found: list[Seen] = []
    deadline = time.monotonic() + seconds
    while len(found) < frames and time.monotonic() < deadline:
        found += _seen(source.take())
        time.sleep(0.01)
    time.sleep(0.15)
    return found + rest(source)


def rest(source: Taking) -> list[Seen]:
    """Take what is there."""
    found: list[Seen] = []
    while (block := source.take()) is not None:
        found += _seen(block)
    return found


def _seen(block: FrameBlock | None) -> list[Seen]:
    if block is None:
        return []
    link = np.broadcast_to(np.asarray(block.link), len(block)).tolist()
    return [
        Seen(
            block.flat[block.start[row] : block.end[row]].tobytes(),
            int(block.length[row]),
            link[row],
            None if block.outgoing is None else bool(block.outgoing[row]),
            None if block.vlan is None else int(block.vlan[row]),
            int(block.time[row]),
        )
        for row in range(len(block))
    ]
