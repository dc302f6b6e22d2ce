"""The collectors that are compared: how each is started, and how many flows its store holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nftui.engine.store import Store
from tests.bench import processes
from tests.bench.processes import Running, Usage

BUFFER = 32 << 20
"""Octets of receive buffer that each asks for; the kernel may give less."""
WARM_S = 1.5
"""Between a bound socket and the first datagram: children have started by then."""


class Collector(ABC):
    """A program that stores flows."""

    name = ""

    @abstractmethod
    def command(self, data: Path, port: int) -> list[str]:
        """Return the command line that collects from a port of the loopback into a folder."""

    def receives(self, process: int) -> bool:
        """Return whether a process of the collector's receives; else it is a child with other work."""
        return True

    @abstractmethod
    def stored(self, data: Path) -> int:
        """Return how many flows a folder holds."""


class Nftui(Collector):
    """Ours."""

    name = "nftui"

    def __init__(self, number: int = 1) -> None:
        """Describe one that receives in some processes."""
        self._number = number
        if number > 1:
            self.name = f"nftui, {number} processes"

    def command(self, data: Path, port: int) -> list[str]:
        """Return the command line; its receive buffer is the default, 32 MiB."""
        with_us = ("--with-parent", os.getpid())  # so that it doesn't outlive this process, however that ends
        return processes.nftui("collect", "--data", data, "--listen", f"127.0.0.1:{port}", "--processes", self._number, *with_us)

    def receives(self, process: int) -> bool:
        """Return whether a process receives: all but the one that seals."""
        return not any("nftui.engine.keeper" in word for word in processes.command_of(process))

    def stored(self, data: Path) -> int:
        """Return how many flows the segments and the tail hold."""
        store = Store(data)
        return store.flow_count(store.parts())


@dataclass
class Nfcapd(Collector):
    """nfdump's collectors, with LZ4: nfcapd, or sfcapd for sFlow, which takes the same options."""

    nfcapd: str
    nfdump: str
    name: str = "nfcapd lz4"

    def command(self, data: Path, port: int) -> list[str]:
        """Return the command line; files are closed as often as ours."""
        return [self.nfcapd, "-y", "-w", str(data), "-b", "127.0.0.1", "-p", str(port), "-B", str(BUFFER), "-t", "300"]

    def stored(self, data: Path) -> int:
        """Return how many flows nfdump reads."""
        words = [self.nfdump, "-R", str(data), "-o", "null"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        counts = re.findall(r"total flows processed: (\d+)|total flows: (\d+)", done.stdout, re.IGNORECASE)
        return max((int(first or second) for first, second in counts), default=0)


def known(protocol: str = "v9") -> list[Collector]:
    """Return ours and, where it is installed, the peer for a protocol."""
    program = "sfcapd" if protocol == "sflow" else "nfcapd"
    peer, nfdump = processes.peer(program), processes.peer("nfdump")
    return [Nftui(), *([Nfcapd(peer, nfdump, f"{program} lz4")] if peer and nfdump else [])]


@contextmanager
def running(collector: Collector, data: Path, port: int, *, pin: bool = True) -> Iterator[Running]:
    """A collector, on the second CPU unless told otherwise, ready to receive; ended hard where the block leaves it running."""
    data.mkdir(parents=True, exist_ok=True)
    with processes.pinned(processes.processors()[1]) if pin else nullcontext():
        one = Running(collector.command(data, port), data.with_suffix(".log"))
    try:
        one.wait_for_port(port)
        time.sleep(WARM_S)
        yield one
    finally:
        one.kill()


def _sender(recording: Path, port: int, rate: float, *, pin: bool = True) -> list[str]:
    words = [sys.executable, "-m", "tests.bench.sender", str(recording), f"127.0.0.1:{port}", "--rate", str(rate)]
    words += ["--with-parent", str(os.getpid())]
    return [*words, "--cpu", str(processes.processors()[0])] if pin else words


def send(
    recording: Path, port: int, *, rate: float = 0, seconds: float = 0, sources: int = 1, pin: bool = True, now: bool = False
) -> dict[str, Any]:
    """Send a recording, from the first CPU unless told otherwise, `now` as flows of the present; return what the sender tells."""
    words = [*_sender(recording, port, rate, pin=pin), "--seconds", str(seconds), "--sources", str(sources)]
    words += ["--now"] if now else []
    done = subprocess.run(words, capture_output=True, text=True, env=processes.ENVIRONMENT, cwd=processes.ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"the sender: {done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@contextmanager
def sending(recording: Path, port: int, rate: float) -> Iterator[None]:
    """Flows of the present for the length of a block."""
    words = [*_sender(recording, port, rate), "--seconds", "86400", "--now"]
    sender = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=processes.ENVIRONMENT, cwd=processes.ROOT)
    try:
        yield
    finally:
        sender.terminate()
        sender.wait()


@dataclass(frozen=True)
class Ingest:
    """What became of a stream of flows.

    Attributes:
        sent: Flows sent.
        stored: Flows that the store held in the end.
        rate: Flows a second, as really sent.
        drops: Datagrams that the kernel dropped.
        drained: Seconds from the last datagram until the socket was empty.
        disk: Octets of the store.
        usage: CPU of the collector's whole life; its wall time is that from being told to end until it had.
        sending: CPU seconds of the sender.
        receiving: CPU seconds of the first thread of each process that receives: one of them can't use more than a core.
    """

    sent: int
    stored: int
    rate: float
    drops: int
    drained: float
    disk: int
    usage: Usage
    sending: float = 0.0
    receiving: float = 0.0

    @property
    def loss(self) -> float:
        """The share that is missing."""
        return 1 - self.stored / max(self.sent, 1)


def ingest(
    collector: Collector, recording: Path, data: Path, *, rate: float, seconds: float, sources: int = 1, pin: bool = True
) -> Ingest:
    """Send a recording to a collector of its own, and stop it; the store stays for who wants to look.

    Args:
        collector: What is measured.
        recording: What is sent.
        data: Where it is stored.
        rate: Flows a second; 0 for full speed.
        seconds: How long; 0 for once through the recording.
        sources: Exporters that send it in turn.
        pin: Whether sender and collector each stay on a CPU of their own.
    """
    port = processes.free_port()
    with running(collector, data, port, pin=pin) as one:
        begun = _receiving(collector, one)
        told = send(recording, port, rate=rate, seconds=seconds, sources=sources, pin=pin)
        drained = processes.drain(port)
        time.sleep(0.3)
        state = processes.udp(port)
        receiving = _receiving(collector, one) - begun
        usage = one.stop(overrun=True)
    drops = state.drops if state else 0
    sending = told["user_s"] + told["system_s"]
    stored = collector.stored(data)
    return Ingest(told["flows"], stored, told["flows_per_s"], drops, drained, processes.size(data), usage, sending, receiving)


def _receiving(collector: Collector, one: Running) -> float:
    return sum(processes.first_thread(pid) for pid in processes.family(one.process.pid) if collector.receives(pid))


def idle(collector: Collector, data: Path, *, pin: bool = True) -> Usage:
    """Start a collector and stop it."""
    with running(collector, data, processes.free_port(), pin=pin) as one:
        return one.stop()
