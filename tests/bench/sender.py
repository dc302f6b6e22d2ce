"""Sends a recording over UDP: a process of its own, pinned to a CPU, in small bursts at a rate, or as fast as the socket takes it.

On each further time through the recording the sequence numbers go on where they stopped. Of several sources each says its templates
first, and then sends a burst in turn, with sequence numbers of its own. Prints one JSON object.

    python -m tests.bench.sender FILE HOST:PORT --rate 200000 --seconds 10 [--sources 64]
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import time
from pathlib import Path
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from nftui.engine.child import die_with_parent
from tests.bench.traffic import Recording

# Where the header has its sequence number and its seconds since 1970.
SEQUENCE = {"v5": 16, "v9": 12, "ipfix": 8, "sflow": 16}
SECONDS = {"v5": 8, "v9": 8, "ipfix": 4}
"""sFlow tells no time of day: its samples are of the present."""
BURST, BURST_S = 256, 0.002
"""Datagrams of a burst at most, and the time that its flows stand for."""
TURN = 32
"""Datagrams of a burst at most where there are several sources."""
SPIN_S = 0.0002
"""The end of each pause is waited for without sleeping: a sleep is never this exact."""
_IOVEC = np.dtype([("base", "u8"), ("size", "u8")])
_MMSGHDR = np.dtype(
    {
        "names": ["name", "name_size", "iov", "iov_number", "control", "control_size", "flags", "sent"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)


class Sender:
    """One exporter, or several, sending a recording again and again through sendmmsg(2).

    Attributes:
        flows: Sent so far.
        datagrams: Sent so far, those of templates too.
        errors: Calls that the kernel refused, which were made again.
    """

    def __init__(self, recording: Recording, host: str, port: int, *, now: bool, sources: int = 1) -> None:
        """Prepare the calls.

        Args:
            recording: What is sent; its headers are rewritten in memory.
            host: The collector.
            port: Its port.
            now: Whether headers tell the present second, and so move the flows of v5 and v9 to the present.
            sources: Exporters, each with an address of the loopback of its own where there are several.
        """
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(sources)]
        for place, one in enumerate(self._sockets):
            if sources > 1:
                one.bind((f"127.2.{place // 250}.{1 + place % 250}", 0))
            one.connect((host, port))
        self._numbers = [0] * sources
        self._turn = 0
        self._octets, self._protocol, self._now = recording.octets, recording.protocol, now
        self._starts = recording.offset[:-1]
        self._ends = np.cumsum(recording.records)
        self.number = len(self._starts)
        self._vectors = np.zeros(self.number, _IOVEC)
        self._vectors["base"] = np.uint64(recording.octets.ctypes.data) + self._starts.astype(np.uint64)
        self._vectors["size"] = np.diff(recording.offset)
        self._messages = np.zeros(self.number, _MMSGHDR)
        self._messages["iov"] = self._vectors.ctypes.data + np.arange(self.number, dtype=np.uint64) * np.uint64(_IOVEC.itemsize)
        self._messages["iov_number"] = 1
        self._sequence = self._field(SEQUENCE[self._protocol], 0, self.number)
        self._step = self.number if self._protocol in ("v9", "sflow") else recording.flows
        self._call = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._call.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
        self.flows = self.datagrams = self.errors = self._loops = 0
        self._templates = int(np.argmax(recording.records > 0))

    def run(self, rate: float, seconds: float, stop: list[int]) -> float:
        """Send, and return the seconds that it took.

        Args:
            rate: Flows a second; 0 for full speed.
            seconds: How long; 0 for once through the recording.
            stop: Filled by a signal handler to end early.
        """
        per = max(self._ends[-1] / self.number, 1.0)
        most = BURST if len(self._sockets) == 1 else TURN
        burst = int(np.clip(rate * BURST_S / per, 1, most)) if rate else most
        if len(self._sockets) > 1:
            for _ in self._sockets:
                self._rewrite(0, self._templates)
                self._send(0, self._templates)
                self._next()
        began, first = time.perf_counter(), 0
        until = began + seconds if seconds else float("inf")
        while not stop:
            last = min(first + burst, self.number)
            flows = int(self._ends[last - 1]) - self._before(first)
            self._rewrite(first, last)
            if rate:
                _wait(began + (self.flows + flows) / rate)
            self._send(first, last)
            self.flows += flows
            self._next()
            first = last
            if first == self.number:
                first = 0
                self._loops += 1
                if not seconds:
                    break
            if time.perf_counter() >= until:
                break
        return time.perf_counter() - began

    def _next(self) -> None:
        self._turn = (self._turn + 1) % len(self._sockets)

    def _rewrite(self, first: int, last: int) -> None:
        if len(self._sockets) > 1:
            # What each datagram adds to the number of its exporter: one, or the flows in it.
            single = self._protocol in ("v9", "sflow")
            steps = np.ones(last - first, np.int64) if single else np.diff(self._ends[first:last], prepend=self._before(first))
            begun = self._numbers[self._turn]
            self._put(SEQUENCE[self._protocol], first, last, (begun + np.cumsum(steps) - steps) & 0xFFFFFFFF)
            self._numbers[self._turn] = begun + int(steps.sum())
        elif self._loops:
            sequence = (self._sequence[first:last] + self._loops * self._step) & 0xFFFFFFFF
            self._put(SEQUENCE[self._protocol], first, last, sequence)
        if self._now and self._protocol in SECONDS:
            self._put(SECONDS[self._protocol], first, last, np.full(last - first, int(time.time()), np.int64))

    def _before(self, first: int) -> int:
        return int(self._ends[first - 1]) if first else 0

    def _field(self, place: int, first: int, last: int) -> NDArray[np.int64]:
        octets = self._octets[self._starts[first:last, None] + np.arange(place, place + 4)]
        return np.asarray(octets).view(">u4")[:, 0].astype(np.int64)

    def _put(self, place: int, first: int, last: int, values: NDArray[np.int64]) -> None:
        octets = values.astype(">u4").view(np.uint8).reshape(-1, 4)
        self._octets[self._starts[first:last, None] + np.arange(place, place + 4)] = octets

    def _send(self, first: int, last: int) -> None:
        handle = self._sockets[self._turn].fileno()
        while first < last:
            at = self._messages.ctypes.data + first * _MMSGHDR.itemsize
            sent = self._call(handle, at, last - first, 0)
            if sent < 0:
                code = ctypes.get_errno()
                if code not in (errno.ECONNREFUSED, errno.ENOBUFS, errno.EAGAIN, errno.EINTR):
                    raise OSError(code, os.strerror(code))
                self.errors += 1
                continue
            first += sent
            self.datagrams += sent


def _wait(due: float) -> None:
    left = due - time.perf_counter()
    if left > SPIN_S:
        time.sleep(left - SPIN_S)
    while time.perf_counter() < due:
        pass


def main() -> None:
    """Send a recording."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("to", metavar="HOST:PORT")
    parser.add_argument("--rate", type=float, default=0, help="flows a second; 0 for full speed")
    parser.add_argument("--seconds", type=float, default=0, help="how long; 0 for once through the file")
    parser.add_argument("--cpu", type=int, help="the CPU to stay on")
    parser.add_argument("--sources", type=int, default=1, help="exporters, each with an address of its own")
    parser.add_argument("--now", action="store_true", help="headers tell the present time (v5, v9, sflow)")
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when this process ends")
    options = parser.parse_args()
    if options.with_parent:
        die_with_parent(options.with_parent)
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    recording = Recording.read(options.file)
    if options.now and recording.protocol == "ipfix":
        parser.error("--now: times of IPFIX flows stand in the records")
    host, _, port = options.to.rpartition(":")
    stop: list[int] = []

    def told(number: int, frame: FrameType | None) -> None:
        stop.append(number)

    signal.signal(signal.SIGTERM, told)
    sender = Sender(recording, host, int(port), now=options.now, sources=options.sources)
    seconds = sender.run(options.rate, options.seconds, stop)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "flows": sender.flows,
                "datagrams": sender.datagrams,
                "seconds": round(seconds, 3),
                "flows_per_s": round(sender.flows / seconds),
                "datagrams_per_s": round(sender.datagrams / seconds),
                "errors": sender.errors,
                "user_s": round(used.ru_utime, 3),
                "system_s": round(used.ru_stime, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
