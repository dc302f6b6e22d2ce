"""A probe as its users run it, on links of its own, and what it is held against: goldens, and the kernel's counters."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import polars as pl

from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Kind, Query
from nftui.units import address_text
from tests.real import namespace
from tests.running import ROOT, Working

HERE = ROOT / "tests" / "data" / "probe"
WHOLE = ROOT.parent / "shared" / "corpus" / "probe"
OFFLOADS = {"tso": 0x1F, "gso": 0x24, "gro": 0x2C, "rx": 0x15, "tx": 0x17}
"""ETHTOOL_STSO and its like (linux/ethtool.h)."""

Flow = tuple[str, str, int, int, int]
"""Source, destination, their ports, protocol."""


def cases() -> list[Path]:
    """Return the golden files of traffic: of the whole corpus where it is at hand."""
    return sorted((WHOLE if WHOLE.is_dir() else HERE).glob("*.golden.json"))


def capture_of(golden: Path) -> Path:
    """Return the capture beside a golden file."""
    return golden.with_name(golden.name.replace(".golden.json", ".pcap"))


def differences(path: Path, found: dict[Flow, tuple[int, int]]) -> list[str]:
    """Return how flows differ from a golden file, which has totals, and of many flows the first."""
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    totals = {
        "flows": len(found),
        "packets": sum(one for one, _ in found.values()),
        "ip_bytes": sum(one for _, one in found.values()),
    }
    wrong = [f"{name}: {value}, golden {told['totals'][name]}" for name, value in totals.items() if value != told["totals"][name]]
    for *key, packets, octets in told["flows"]:
        flow = (key[0], key[1], key[2] or 0, key[3] or 0, key[4])
        if found.get(flow) != (packets, octets):
            wrong.append(f"{flow}: {found.get(flow)}, golden {packets, octets}")
    return wrong


def flows_of(data: Path) -> pl.DataFrame:
    """Return all flows of a store."""
    found = LocalBackEnd(data, keep=False).answer(Query(kind=Kind.FLOWS, limit=None, order="octets")).flows
    assert found is not None
    return found


def summed(flows: pl.DataFrame) -> dict[Flow, tuple[int, int]]:
    """Return packets and octets of each flow, whatever its TOS and interface, and into how many records it fell."""
    packets, octets = Counter[Flow](), Counter[Flow]()
    names = ["source_address", "destination_address", "source_port", "destination_port", "protocol", "packets", "octets"]
    names = [name if name in flows.columns else pl.lit(0).alias(name) for name in names]
    for source, destination, from_port, to_port, protocol, number, size in flows.select(names).iter_rows():
        ports = (from_port or 0, to_port or 0) if protocol not in (1, 58) else (0, 0)
        flow = address_text(source), address_text(destination), *ports, protocol
        packets[flow] += number
        octets[flow] += size
    return {flow: (packets[flow], octets[flow]) for flow in packets}


class Running(Working):
    """A running `nftui` that makes flows of packets."""

    def __init__(self, data: Path, *words: object, stdin: Any = subprocess.DEVNULL) -> None:
        """Start it with these words, in the network of the calling thread."""
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nftui", *map(str, words), "--data", str(data)],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def sources(self) -> dict[str, dict[str, Any]]:
        """Return what it last wrote of each interface."""
        return {one["source"]: one for one in self.status().get("probes", [])}

    def open(self, *interfaces: str) -> Self:
        """Wait until these interfaces are looked at."""
        self.wait_for(lambda: all(self.sources().get(name, {}).get("link") for name in interfaces))
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def counted(interface: str) -> tuple[int, int]:
    """Return packets and octets that an interface has received and sent."""
    for line in Path("/proc/thread-self/net/dev").read_text("ascii").splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == interface:
            words = [int(word) for word in rest.split()]
            return words[1] + words[9], words[0] + words[8]
    raise AssertionError(f"no {interface}")


def pair(near: str, far: str, mtu: int = 65535) -> None:
    """Make a link in the network of the calling thread, whose ends are down; packets are as they are sent."""
    namespace.ip("link", "add", near, "mtu", str(mtu), "type", "veth", "peer", "name", far, "mtu", str(mtu))
    for end in (near, far):
        plain(end)


def plain(interface: str) -> None:
    """Have an interface neither join nor divide packets, nor leave checksums to another."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
        for command in OFFLOADS.values():
            value = array("I", [command, 0])
            with suppress(OSError):
                fcntl.ioctl(ask, 0x8946, struct.pack("16sP16x", interface.encode(), value.buffer_info()[0]))


@contextmanager
def elsewhere(link: str) -> Iterator[list[str]]:
    """Another network, into which one end of a link goes; yields the words that run a command there."""
    name = f"nftui-{os.getpid()}-{time.monotonic_ns() % 10**6}"
    namespace.ip("netns", "add", name)
    try:
        namespace.ip("link", "set", link, "netns", name)
        yield ["ip", "netns", "exec", name]
    finally:
        namespace.ip("netns", "del", name)
