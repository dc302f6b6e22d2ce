"""Datagrams: blocks of them, and the socket that fills one.

A block is one numpy array with a row for each datagram. `UdpReceiver` lets the kernel write straight into it, many datagrams in one
system call (recvmmsg), or one by one where the C library has no recvmmsg.
"""

from __future__ import annotations

import errno
import mmap
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from nftui.capture import recvmmsg
from nftui.errors import ConfigError, ListenError

ROWS = 4096
WIDTH = 65536
"""No UDP datagram is longer."""
NEAR = 2048
"""Octets of a datagram that stand side by side with those of the next: all of what an Ethernet frame carries."""
MAPPED_PREFIX = bytes(10) + b"\xff\xff"
_TRANSPORTS_TO_COME = ("tcp", "sctp")
_SO_RCVBUFFORCE = 33


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
    """

    payload: npt.NDArray[np.uint8]
    length: npt.NDArray[np.int64]
    exporter: npt.NDArray[np.uint8]
    source_port: npt.NDArray[np.int64]
    received: npt.NDArray[np.int64]
    local_port: int


def parse_listen(text: str) -> tuple[str | None, int, str]:
    """Parse `[ADDRESS:]PORT[/udp]`, an IPv6 address in brackets.

    Returns:
        The address or None for all, the port, and the transport.
    Raises:
        ConfigError: The text is something else.
    """
    match = re.fullmatch(r"(?:(?:\[([^\]]+)\]|([^:\[\]/]+)):)?(\d{1,5})(?:/(\w+))?", text.strip())
    if not match:
        raise ConfigError(f"{text!r} is no address to listen on; write PORT, ADDRESS:PORT or [IPv6]:PORT")
    address, port, transport = match[1] or match[2], int(match[3]), (match[4] or "udp").lower()
    if transport in _TRANSPORTS_TO_COME:
        raise ConfigError(f"{text!r}: {transport} is not available yet; write /udp")
    if transport != "udp":
        raise ConfigError(f"{text!r}: no transport {transport!r}; write /udp")
    if not 0 < port < 65536:
        raise ConfigError(f"{text!r}: port {port} is not in 1 to 65535")
    if address is not None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            socket.inet_pton(family, address)
        except OSError as error:
            raise ConfigError(f"{text!r}: {address!r} is no IP address") from error
    return address, port, transport


class UdpReceiver:
    """A bound UDP socket, and the block that it fills.

    Attributes:
        port: The local port.
        asked: Octets of receive buffer asked for.
        granted: Octets that the kernel gave, its own overhead included.
        truncated: Datagrams that were longer than a row, which can't be.
    """

    def __init__(
        self, address: str | None, port: int, receive_buffer: int = 32 << 20, *, rows: int = ROWS, batched: bool = True
    ) -> None:
        """Bind.

        Args:
            address: Where to listen; None for all addresses of both families.
            port: 0 takes any that is free.
            receive_buffer: Octets to ask for.
            rows: The most datagrams of one block.
            batched: Use recvmmsg where the C library has it.
        Raises:
            ListenError: The port is in use, may not be used, or the address is not of this host.
        """
        self._socket = _bound(address, port)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self.asked = receive_buffer
        self.granted = _grow_buffer(self._socket, receive_buffer)
        self.truncated = 0
        self._inode = str(Path(f"/proc/self/fd/{self._socket.fileno()}").readlink())[len("socket:[") : -1] if _has_proc() else ""
        self._near = np.zeros((rows, NEAR), np.uint8)
        self._wide = _untouched(rows, WIDTH)
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
        if self._calls is None:
            return self._receive_one_by_one()
        number = self._calls.receive()
        if not number:
            return None
        length, exporter, port, cut = self._calls.taken(number)
        self.truncated += int(cut.sum())
        payload = self._near[:number]
        if length.max() > NEAR:
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
            addresses.append(_sixteen(source[0]))
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
        received = np.full(len(length), time.time_ns() // 1000, np.int64)
        return DatagramBlock(payload, length, exporter, port, received, self.port)


def _untouched(rows: int, width: int) -> npt.NDArray[np.uint8]:
    """Return an array of which only the small pages that are ever written take memory."""
    area = mmap.mmap(-1, rows * width, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):
            area.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(area, np.uint8).reshape(rows, width)


def _bound(address: str | None, port: int) -> socket.socket:
    """Return a bound socket; without an address one of both families, or of IPv4 where there is no IPv6."""
    if address is None:
        try:
            return _bind(socket.AF_INET6, "::", port, both=True)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT):
                raise _listen_error("", port, error) from error
    family = socket.AF_INET6 if address and ":" in address else socket.AF_INET
    try:
        return _bind(family, address or "0.0.0.0", port)  # noqa: S104 - all addresses is what was asked for
    except OSError as error:
        raise _listen_error(address or "", port, error) from error


def _bind(family: socket.AddressFamily, address: str, port: int, *, both: bool = False) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def _listen_error(address: str, port: int, error: OSError) -> ListenError:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}" if address else f"{port}"
    if error.errno == errno.EADDRINUSE:
        reason = f"port {where} in use: another collector? stop it or choose --listen"
    elif error.errno in (errno.EACCES, errno.EPERM):
        reason = f"port {where} not permitted: ports below 1024 need root or CAP_NET_BIND_SERVICE; grant it or choose --listen"
    elif error.errno == errno.EADDRNOTAVAIL:
        reason = f"{address or where}: no address of this host; choose --listen"
    else:
        reason = f"can't listen on {where}: {error.strerror or error}"
    return ListenError(address, port, reason)


def _grow_buffer(bound: socket.socket, octets: int) -> int:
    """Ask for a receive buffer, beyond net.core.rmem_max when permitted; return what the kernel gave."""
    octets = min(max(octets, 1), 2**30)
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            bound.setsockopt(socket.SOL_SOCKET, option, octets)
            break
        except OSError:
            continue
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def _has_proc() -> bool:
    return Path("/proc/self/fd").exists()


def _sixteen(address: str) -> bytes:
    bare = address.partition("%")[0]
    return socket.inet_pton(socket.AF_INET6, bare) if ":" in bare else MAPPED_PREFIX + socket.inet_pton(socket.AF_INET, bare)
