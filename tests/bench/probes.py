"""The probes that are compared: how each is started on an interface, and how many packets the flows it made tell of."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.bench import processes
from tests.running import answer

ENTRIES = 2_000_000
"""Flows that each may follow."""
WARM_S, SETTLE_S = 1.5, 1.5
STOP_S = 120.0
BUFFER = 512 << 20
RECORD, HEADER = 48, 24
TICK = os.sysconf("SC_CLK_TCK")


class Probe(ABC):
    """A program that makes flows of an interface's packets."""

    name = ""
    fine: tuple[int, ...] = (0,)
    """Its exit status when it ended as asked."""
    leaves = 0.0
    """The part of all packets that it never tells of, at whatever rate, as it ends without them."""

    @abstractmethod
    def command(self, interface: str, folder: Path, port: int) -> list[str]:
        """Return the command line: it writes into a folder, or sends version 5 to a port of the loopback."""

    def stop(self, process: int, folder: Path) -> None:
        """Have it tell of all flows, and end."""
        os.kill(process, signal.SIGTERM)

    def told(self, folder: Path, log: str, exported: int) -> int:
        """Return how many packets its flows tell of; `exported` is what came to the port."""
        return exported


@dataclass
class Metering(Probe):
    """Ours: ring and meter; or the ring alone, which tells of what it took."""

    only_ring: bool = False

    def __post_init__(self) -> None:
        self.name = "ring alone" if self.only_ring else "ring and meter"

    def command(self, interface: str, folder: Path, port: int) -> list[str]:
        """Return the command line."""
        more = ["--only-ring"] if self.only_ring else []
        return [sys.executable, "-m", "tests.bench.metering", interface, "--entries", str(ENTRIES), *more]

    def told(self, folder: Path, log: str, exported: int) -> int:
        """Return what it says of its flows."""
        last = log.strip().splitlines()[-1]
        if not last.startswith("{"):
            raise RuntimeError(log)
        said = json.loads(last)
        return int(said["taken" if self.only_ring else "packets"])


@dataclass
class Sending(Probe):
    """Ours, the whole command: what it meters it sends as version 5."""

    name: str = "nftui probe --to"

    def command(self, interface: str, folder: Path, port: int) -> list[str]:
        """Return the command line; settings are those of nobody."""
        (folder / "config.toml").touch()
        where = ("--to", f"127.0.0.1:{port}", "--format", "netflow5", "--entries", ENTRIES)
        return processes.nftui("probe", interface, "--config", folder / "config.toml", *where)


@dataclass
class Storing(Probe):
    """Ours, the whole command: what it meters it stores."""

    name: str = "nftui probe"

    def command(self, interface: str, folder: Path, port: int) -> list[str]:
        """Return the command line."""
        (folder / "config.toml").touch()
        where = ("--data", folder / "data", "--entries", ENTRIES)
        return processes.nftui("probe", interface, "--config", folder / "config.toml", *where)

    def told(self, folder: Path, log: str, exported: int) -> int:
        """Return what the store holds."""
        (row,) = answer("summary", "--data", folder / "data")["rows"]
        return int(row["packets"])


@dataclass
class Softflowd(Probe):
    """softflowd, which sends version 5."""

    program: str
    control: str
    name: str = "softflowd"
    fine: tuple[int, ...] = (0, 1)
    leaves: float = 0.01

    def command(self, interface: str, folder: Path, port: int) -> list[str]:
        """Return the command line."""
        where = ["-i", interface, "-n", f"127.0.0.1:{port}", "-v", "5"]
        return [
            self.program,
            "-d",
            *where,
            "-m",
            str(ENTRIES),
            "-B",
            str(64 << 20),
            "-c",
            str(folder / "control"),
            "-p",
            str(folder / "pid"),
        ]

    def stop(self, process: int, folder: Path) -> None:
        """Ask it over its socket: a signal ends it at once, and its flows are lost."""
        subprocess.run([self.control, "-c", str(folder / "control"), "shutdown"], capture_output=True, check=True)


@dataclass
class Fprobe(Probe):
    """fprobe, which sends version 5."""

    program: str
    name: str = "fprobe"

    def command(self, interface: str, folder: Path, port: int) -> list[str]:
        """Return the command line."""
        return [
            self.program, "-i", interface, "-f", "ip", "-l", "2", "-q", str(ENTRIES), "-b", "100000", "-B", str(64 << 10),
            f"127.0.0.1:{port}",
        ]  # fmt: skip


@dataclass
class Nfpcapd(Probe):
    """nfpcapd, which writes nfdump's files."""

    program: str
    nfdump: str
    name: str = "nfpcapd"

    def command(self, interface: str, folder: Path, port: int) -> list[str]:
        """Return the command line."""
        return [self.program, "-i", interface, "-w", str(folder), "-b", "64", "-B", str(ENTRIES), "-y"]

    def told(self, folder: Path, log: str, exported: int) -> int:
        """Return what its files hold."""
        told = subprocess.run([self.nfdump, "-R", str(folder), "-I", "-N"], capture_output=True, text=True, check=False).stdout
        return sum(int(one) for one in re.findall(r"^Packets: (\d+)", told, re.MULTILINE))


@dataclass(frozen=True)
class Probed:
    """One run.

    Attributes:
        sent: Packets.
        told: Packets of which flows told.
        rate: Packets a second, as sent.
        cpu: Seconds from the first packet to the end of the program; without what that takes when there were no packets.
        memory: Octets in memory, at the most.
    """

    sent: int
    told: int
    rate: float
    cpu: float
    memory: int

    @property
    def microseconds(self) -> float:
        """CPU time a packet that was told of."""
        return self.cpu / max(self.told, 1) * 1e6

    @property
    def loss(self) -> float:
        """The part that no flow tells of."""
        return 1 - self.told / max(self.sent, 1)


class Sink:
    """Takes version 5 on a port of the loopback, and adds up packets."""

    def __init__(self) -> None:
        """Begin."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, BUFFER)  # SO_RCVBUFFORCE
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.packets = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        self._socket.settimeout(0.3)
        while True:
            try:
                datagram = self._socket.recv(1 << 16)
            except TimeoutError:
                if self._over.is_set():
                    return
                continue
            records = np.frombuffer(datagram, np.uint8)[HEADER:]
            records = records[: len(records) // RECORD * RECORD].reshape(-1, RECORD)
            self.packets += int(records[:, 16:20].copy().view(">u4").sum())

    def close(self) -> int:
        """Take what waits, and return how many packets were told of."""
        self._over.set()
        self._thread.join()
        self._socket.close()
        return self.packets


def run(probe: Probe, folder: Path, ends: tuple[str, str], traffic: list[str], idle: float = 0.0) -> Probed:
    """Run a probe at one end of a link, while traffic is sent at the other; both are in the present network.

    Args:
        probe: Which.
        folder: For what it writes, empty.
        ends: Names of the two ends: where it listens, and where is sent.
        traffic: Options of `wire_traffic`.
        idle: Seconds of CPU that the end takes when there were no packets.
    """
    sender, beside = processes.processors()
    folder.mkdir(parents=True)
    log = folder.parent / f"{folder.name}.log"
    with ExitStack() as stack:
        sink = Sink()
        command = probe.command(ends[0], folder, sink.port)
        with processes.pinned(beside), log.open("wb") as output:
            process = stack.enter_context(
                subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=processes.ENVIRONMENT, cwd=processes.ROOT)
            )
        stack.callback(lambda: process.returncode is None and process.kill())
        before = _started(process.pid)
        with processes.pinned(sender):
            sending = [sys.executable, "-m", "tests.bench.wire_traffic", ends[1], *traffic]
            sent = json.loads(subprocess.run(sending, capture_output=True, text=True, check=True, cwd=processes.ROOT).stdout)
        time.sleep(SETTLE_S)
        probe.stop(process.pid, folder)
        status, used = _ended(process.pid)
        process.returncode = status
        exported = sink.close()
    if status not in probe.fine:
        raise RuntimeError(f"{' '.join(command)}: status {status}: {log.read_text(errors='replace')}")
    told = probe.told(folder, log.read_text(errors="replace"), exported)
    return Probed(sent["sent"], told, sent["rate"], used[0] - before - idle, used[1])


def _started(process: int) -> float:
    """Wait until a process does nothing any more; return the seconds of CPU that it used."""
    used = -1.0
    while (now := _cpu(process)) > used:
        used = now
        time.sleep(WARM_S)
    return now


def _cpu(process: int) -> float:
    """Return the seconds of CPU that a process and its descendants used."""
    found = 0
    for one in processes.family(process):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        found += int(fields[11]) + int(fields[12])
    return found / TICK


def _ended(process: int) -> tuple[int, tuple[float, int]]:
    """Wait for a process; return its status, and what it used of CPU in seconds and of memory in octets."""
    deadline = time.monotonic() + STOP_S
    while True:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), (used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
