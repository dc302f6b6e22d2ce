"""nftui as its users run it: processes of its own, datagrams over the loopback."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from nftui import cli

ROOT = Path(__file__).resolve().parent.parent
WAIT_S = 20.0


def nftui(*words: object, check: bool = True, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "nftui", *map(str, words)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "TZ": "UTC", **(env or {})}, timeout=120, check=False,
    )  # fmt: skip
    if check:
        assert done.returncode == 0, done.stderr
    return done


def told(*words: object) -> str:
    """Run one command in this process, which spares the start of one, and return what it printed."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    try:
        with redirect_stdout(out), redirect_stderr(err), patch.dict(os.environ, {"TZ": "UTC"}):
            time.tzset()
            status = cli.main([str(word) for word in words])
    finally:
        time.tzset()
    said = err.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert (status, said) == (0, "")
    return str(out.buffer.getvalue().decode())  # type: ignore[attr-defined]


def answer(*words: object) -> dict[str, Any]:
    """Run one asking command in this process and return its JSON."""
    found: dict[str, Any] = json.loads(told(*words, "-o", "json"))
    return found


def free_port() -> int:
    """Return a UDP port of the loopback that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Working:
    """A running `nftui` that works on a store.

    Attributes:
        data: Its data directory.
        process: It, with pipes for what it prints.
    """

    data: Path
    process: subprocess.Popen[str]

    def status(self) -> dict[str, Any]:
        """Return what it last wrote of itself."""
        try:
            found: dict[str, Any] = json.loads((self.data / "status.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def wait_for(self, condition: Any) -> None:
        """Wait until a condition holds."""
        wait_for(condition, lambda: self.process.poll() is None or self.process.communicate())

    def stop(self) -> tuple[str, str]:
        """Have it flush and end; return what it printed."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return out, err


class Collecting(Working):
    """A running `nftui collect`."""

    def __init__(
        self,
        data: Path,
        *words: str,
        port: int | None = None,
        env: dict[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "nftui"),
        umask: int = -1,
    ) -> None:
        """Start it and wait until it is ready."""
        self.data, self.port = data, port or free_port()
        self.process = subprocess.Popen(
            [*program, "collect", "--data", str(data), "--listen", f"127.0.0.1:{self.port}", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **(env or {})}, umask=umask,
        )  # fmt: skip
        self.wait_for(lambda: self.status().get("pid") == self.process.pid)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.communicate()


def wait_for(condition: Any, alive: Any = lambda: True) -> None:
    """Wait until a condition holds; fails after some seconds, or when what is waited on is gone."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert alive() is True, "the process ended"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def collecting(data: Path, *words: str, **more: Any) -> Iterator[Collecting]:
    """A collector for the length of a block; it is stopped properly, or killed where the block fails."""
    one = Collecting(data, *words, **more)
    try:
        yield one
    except BaseException:
        one.kill()
        raise
    if one.process.poll() is None:
        one.stop()


class Sending(threading.Thread):
    """An exporter that sends numbered flows at a steady rate for the length of a block.

    Attributes:
        flows: How many it has sent.
    """

    def __init__(self, port: int) -> None:
        """Send 30 flows some hundred times a second to a port of the loopback."""
        super().__init__(daemon=True)
        self.flows = 0
        self._port, self._over = port, threading.Event()

    @property
    def octets(self) -> int:
        """What they carry: each its number."""
        return self.flows * (self.flows - 1) // 2

    def run(self) -> None:
        """Send until the block ends."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
            while not self._over.wait(0.003):
                exporter.sendto(netflow5(self.flows, 30, time.time()), ("127.0.0.1", self._port))
                self.flows += 30

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def netflow5(first: int, count: int, when: float, *, sampling: int = 0) -> bytes:
    """Return a v5 datagram whose flows carry consecutive numbers as octets, and as sequence; they last a second, and end now."""
    seconds, rest = divmod(int(when * 1e9), 10**9)
    header = struct.pack(">HHIIIIBBH", 5, count, 3_600_000, seconds, rest, first, 0, 0, sampling)
    records = b"".join(
        struct.pack(
            ">IIIHHIIIIHHBBBBHHBBH",
            0x0A000000 + number % 250, 0xC0A80001, 0, 1, 2, 1, number, 3_599_000, 3_600_000, 1024 + number % 1000, 443,
            0, 0x1B, 6, 0, 64512, 15133, 24, 16, 0,
        )
        for number in range(first, first + count)
    )  # fmt: skip
    return header + records


def payloads(capture: Path) -> list[tuple[str, bytes]]:
    """Return (source address, UDP payload) of a classic pcap of Ethernet, IPv4 or IPv6 and UDP, without options."""
    octets = capture.read_bytes()
    found, at = [], 24
    while at + 16 <= len(octets):
        length = struct.unpack_from("<I", octets, at + 8)[0]
        frame = octets[at + 16 : at + 16 + length]
        at += 16 + length
        if frame[12:14] == b"\x08\x00":
            start = 14 + (frame[14] & 15) * 4
            found.append(
                (
                    socket.inet_ntop(socket.AF_INET, frame[26:30]),
                    frame[start + 8 :][: struct.unpack_from(">H", frame, start + 4)[0] - 8],
                )
            )
        elif frame[12:14] == b"\x86\xdd":
            found.append(
                (socket.inet_ntop(socket.AF_INET6, frame[22:38]), frame[62:][: struct.unpack_from(">H", frame, 58)[0] - 8])
            )
    return found


def send(port: int, datagrams: list[tuple[str, bytes]]) -> None:
    """Send datagrams in order, each exporter from a loopback address of its own."""
    addresses: dict[str, str] = {}
    sockets: dict[str, socket.socket] = {}
    try:
        for exporter, payload in datagrams:
            mine = addresses.setdefault(exporter, f"127.1.0.{len(addresses) + 1}")
            if mine not in sockets:
                sockets[mine] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sockets[mine].bind((mine, 0))
            sockets[mine].sendto(payload, ("127.0.0.1", port))
    finally:
        for one in sockets.values():
            one.close()
