"""Datagrams: blocks of them, and the socket that fills one.

A block is one numpy array with a row for each datagram. `UdpReceiver` lets the kernel write straight into it, many datagrams in one
system call (recvmmsg), or one by one where the C library has no recvmmsg.
"""

from __future__ import annotations

import math
import mmap
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from nftui.capture import recvmmsg
from nftui.capture.sockets import MAPPED_PREFIX, bound, grow_buffer, sixteen

__all__ = ["MAPPED_PREFIX", "ROWS", "WIDTH", "DatagramBlock", "UdpReceiver"]

ROWS = 4096
WIDTH = 65536
"""No UDP datagram is longer."""
NEAR = 2048
"""Octets of a datagram that stand side by side with those of the next: all of what an Ethernet frame carries."""
_SO_MEMINFO = 55
"""Of what it tells the first two numbers are what is taken of the receive buffer, and its size (linux/sock_diag.h)."""
MAX_TOUCHED = 32 << 20
"""Octets of the rows for longer ones that may be memory before they are given back."""
LEAST_SHARE = 512
"""Octets that the smallest datagram takes of a receive buffer, at least; it takes 768 with Linux 6."""


@dataclass(frozen=True)
class DatagramBlock:
    """Some datagrams in the order of arrival.

    Attributes:
        payload: Octets, shape (rows, width), uint8; row i holds `length[i]` of them, the rest is stale.
        length: Shape (rows,), octets received.
        exporter: Source addresses, shape (rows, 16), uint8, network order, IPv4 as ::ffff:a.b.c.d.
        source_port: Shape (rows,).
        received: Shape (rows,), int64, microseconds since 1970.
        local_port: The port that they were sent to.
        lasting: Whether they came over a transport with sessions.
        backlog: The share of the kernel's buffer that is taken by what waits behind them, as far as that is known.
    """

    payload: npt.NDArray[np.uint8]
    length: npt.NDArray[np.int64]
    exporter: npt.NDArray[np.uint8]
    source_port: npt.NDArray[np.int64]
    received: npt.NDArray[np.int64]
    local_port: int
    lasting: bool = False
    backlog: float = 0.0


class UdpReceiver:
    """A bound UDP socket, and the block that it fills.

    Attributes:
        port: The local port.
        asked: Octets of receive buffer asked for.
        granted: Octets that the kernel gave, its own overhead included.
        truncated: Datagrams that were longer than a row, which can't be.
        more: Whether there is more to take without waiting, as far as is known; the socket tells, so it is False.
    """

    transport = "udp"
    more = False

    def __init__(
        self,
        address: str | None,
        port: int,
        receive_buffer: int = 32 << 20,
        *,
        rows: int = ROWS,
        batched: bool = True,
        given: socket.socket | None = None,
    ) -> None:
        """Bind.

        Args:
            address: Where to listen; None for all addresses of both families.
            port: 0 takes any that is free.
            receive_buffer: Octets to ask for.
            rows: The most datagrams of one block.
            batched: Use recvmmsg where the C library has it.
            given: A socket that is bound there already.
        Raises:
            ListenError: The port is in use, may not be used, or the address is not of this host.
        """
        self._socket = given or bound(address, port)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self.asked = receive_buffer
        self.granted = grow_buffer(self._socket, receive_buffer)
        self.truncated = 0
        self._left: float = math.inf
        self._inode = str(Path(f"/proc/self/fd/{self._socket.fileno()}").readlink())[len("socket:[") : -1] if _has_proc() else ""
        self._near = np.zeros((rows, NEAR), np.uint8)
        self._area = mmap.mmap(-1, rows * WIDTH, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._wide, self._touched = _untouched(self._area, rows), 0
        parts, family = (self._near, self._wide[:, NEAR:]), self._socket.family
        self._calls = recvmmsg.Calls(self._socket.fileno(), parts, family) if batched and recvmmsg.AVAILABLE else None

    def fileno(self) -> int:
        """Return the descriptor, to poll."""
        return self._socket.fileno()

    def receive(self) -> DatagramBlock | None:
        """Take what has arrived, without waiting.

        Returns:
            At most as many datagrams as the block has rows, None when there are none. The block stands in the receiver's own
            memory: it is valid until the next call.
        """
        if self._left <= 0:
            return None
        if self._touched > MAX_TOUCHED:
            # Long datagrams at ever other rows would make all of it memory.
            self._area.madvise(mmap.MADV_DONTNEED)
            self._touched = 0
        if self._calls is None:
            return self._receive_one_by_one()
        number = self._calls.receive()
        if not number:
            return None
        length, exporter, port, cut = self._calls.taken(number)
        self.truncated += int(cut.sum())
        payload = self._near[:number]
        if length.max() > NEAR:
            self._touched += number * mmap.PAGESIZE + int((length > NEAR).sum()) * WIDTH
            self._wide[:number, :NEAR] = payload
            payload = self._wide[:number]
        return self._block(payload, length, exporter, port)

    def drops(self) -> int:
        """Return how many datagrams the kernel dropped because the buffer was full; 0 where it does not say."""
        if not self._inode:
            return 0
        for name in ("/proc/net/udp", "/proc/net/udp6"):
            try:
                lines = Path(name).read_text(encoding="ascii").splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                words = line.split()
                if words[9] == self._inode:
                    return int(words[-1])
        return 0

    def finish(self) -> None:
        """Take no more than a full buffer from now on: a sender who goes on is no reason to."""
        self._left = max(self.granted // LEAST_SHARE, len(self._wide))

    def close(self) -> None:
        """Close the socket; the last block stays readable."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive_one_by_one(self) -> DatagramBlock | None:
        lengths: list[int] = []
        addresses: list[bytes] = []
        ports: list[int] = []
        for row in range(len(self._wide)):
            try:
                length, source = self._socket.recvfrom_into(self._wide[row])
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionError:
                continue
            lengths.append(length)
            addresses.append(sixteen(source[0]))
            ports.append(source[1])
        if not lengths:
            return None
        exporter = np.frombuffer(b"".join(addresses), np.uint8).reshape(-1, 16)
        payload = self._wide[: len(lengths)]
        return self._block(payload, np.array(lengths, np.int64), exporter, np.array(ports, np.int64))

    def _block(
        self,
        payload: npt.NDArray[np.uint8],
        length: npt.NDArray[np.int64],
        exporter: npt.NDArray[np.uint8],
        port: npt.NDArray[np.int64],
    ) -> DatagramBlock:
        self._left -= len(length)
        received = np.full(len(length), time.time_ns() // 1000, np.int64)
        return DatagramBlock(payload, length, exporter, port, received, self.port, backlog=self._backlog(len(length)))

    def _backlog(self, taken: int) -> float:
        """Return the share of the buffer that is taken, after a full block was; 0 where the kernel does not say."""
        if taken < len(self._wide):
            return 0.0
        try:
            used, granted = struct.unpack_from("II", self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64))
        except (OSError, struct.error):
            return 0.0
        return float(used / granted) if granted else 0.0


def _untouched(area: mmap.mmap, rows: int) -> npt.NDArray[np.uint8]:
    """Return an array of which only the small pages that are ever written take memory."""
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):
            area.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(area, np.uint8).reshape(rows, WIDTH)


def _has_proc() -> bool:
    return Path("/proc/self/fd").exists()
