"""A target: one collector that datagrams are sent to, from a thread of its own, at a pace that small buffers bear.

Whatever happens to it is counted, and concerns no other target. Datagrams wait in a bounded queue; what finds no room there is
dropped, counted, and seen by the collector as a gap in the sequence.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from nftui.errors import ConfigError

WAITING = 32 << 20
"""Octets that wait for one target at most."""
SPREAD_S = 0.25
"""What comes at once is sent within this time, if the pace allows."""
LEAST_PACE = 1000
"""Datagrams a second below which nothing is spread."""
NAP_S = 0.002
RESOLVE_S = 30.0
"""Between two tries to find out the address of a target."""
STALL_S = 1.0
"""How long a datagram waits for a full device before it counts as lost."""
TRIES = 3
"""How often a datagram is tried at most where something else is wrong than a full device."""
SOUND_S = 5.0
"""A target is well again when nothing was wrong with it for so long."""
QUIET_S = 10.0
"""Between two lines about one target."""
HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}
"""Octets of an IP and a UDP header."""
_BUFFER = 1 << 20
# linux/in.h, linux/in6.h. Never fragment, and have the kernel say how much fits.
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO, _IP_MTU = 10, 2, 14
_IPV6_MTU_DISCOVER, _IPV6_MTU = 23, 24
_FULL = (errno.EAGAIN, errno.ENOBUFS)
_LASTING = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EPERM)


@dataclass(slots=True)
class TargetCounts:
    """What was sent to one target.

    Attributes:
        datagrams: Given to the kernel.
        octets: Of these, without headers.
        refused: Datagrams after which the target said that nobody listens.
        failed: Datagrams that could not be sent, by the name of the error.
        dropped: Datagrams for which there was no room in the queue.
        resolved: How often the target's address was looked up.
    """

    datagrams: int = 0
    octets: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    resolved: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return them as JSON has them; another thread may count meanwhile."""
        numbers = {name: getattr(self, name) for name in ("datagrams", "octets", "refused", "dropped", "resolved")}
        return numbers | {"failed": dict(self.failed)}


def parse_target(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT, an IPv6 address in brackets.

    Raises:
        ConfigError: It can't be understood.
    """
    host, _, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not host or (":" in host and not bracketed):
        raise ConfigError(f'"{text}" is no target: write HOST:PORT, such as 192.0.2.1:9995 or [2001:db8::1]:9995')
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigError(f'"{text}": a target has a port from 1 to 65535, such as {host}:9995')
    return host, int(port)


def address_text(host: str, port: int) -> str:
    """Return an address and a port as one text, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Target:
    """One collector that datagrams are sent to.

    Attributes:
        name: As it was written.
        address: What that stands for at present; empty while it is not known.
        counts: What was sent.
        problem: Why nothing arrives there, in words; empty where all seems well.
        mtu: Octets of the largest IP packet on the way, as far as that is known.
        returned: Set when it may have come back, or moved: it needs templates.
    """

    def __init__(self, name: str, mtu: int, pace: int, tell: Callable[[str], None]) -> None:
        """Look up a target, and begin to send.

        Args:
            name: HOST:PORT.
            mtu: Octets of the largest IP packet that may be sent.
            pace: Datagrams a second at most; 0 for no limit.
            tell: Takes what is worth a line in the log.
        Raises:
            ConfigError: The name can't be understood, or stands for no address. Where it may be known later it is tried again.
        """
        self.name, self.address, self.counts, self.problem, self.mtu = name, "", TargetCounts(), "", mtu
        self.returned = threading.Event()
        self._host, self._port = parse_target(name)
        self._pace, self._tell = pace, tell
        self._queue: deque[bytes] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closing = False
        self._deadline = float("inf")
        self._socket: socket.socket | None = None
        self._overhead = HEADERS[socket.AF_INET6]
        self._resolve_at = 0.0
        self._wrong_at, self._told_at = 0.0, float("-inf")
        self._may_pass = False
        if reason := self._resolve():
            if not self._may_pass:
                raise ConfigError(f'"{name}" is no target: {reason}')
            self._note(f"can't be reached yet: {reason}")
        self._thread = threading.Thread(target=self._run, name=f"export to {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Octets that wait to be sent."""
        return self._waiting

    @property
    def payload(self) -> int:
        """Octets of the largest datagram."""
        return self.mtu - self._overhead

    @property
    def here(self) -> tuple[str, int] | None:
        """Address and port, where that is an address of this machine."""
        if self._socket is None:
            return None
        host, port = self._socket.getpeername()[:2]
        return (str(host), int(port)) if self._socket.getsockname()[0] == host else None

    def put(self, payloads: Sequence[bytes]) -> None:
        """Have datagrams sent; those for which there is no room are dropped."""
        with self._changed:
            for payload in payloads:
                if self._waiting + len(payload) > WAITING:
                    self.counts.dropped += 1
                else:
                    self._queue.append(payload)
                    self._waiting += len(payload)
            self._changed.notify_all()

    def wait_below(self, octets: int, seconds: float) -> bool:
        """Wait until fewer octets wait to be sent; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting <= octets, seconds)

    def close(self, seconds: float) -> None:
        """Send what waits, for some seconds at most, and end."""
        with self._changed:
            self._closing, self._deadline = True, time.monotonic() + seconds
            self._changed.notify_all()
        self._thread.join(seconds + STALL_S + 1)
        with self._changed:
            self.counts.dropped += len(self._queue)
            self._queue.clear()
            self._waiting = 0
        if self._socket is not None:
            self._socket.close()

    # -- the thread

    def _run(self) -> None:
        rate = 0.0
        while True:
            with self._changed:
                if not self._queue:
                    rate = 0.0
                    if self._closing:
                        return
                    self._changed.wait()
                    continue
                rate = max(rate, LEAST_PACE, len(self._queue) / SPREAD_S)
                allowed = min(rate, self._pace) if self._pace else float("inf")
                batch = [
                    self._queue.popleft() for _ in range(min(len(self._queue), max(int(allowed * NAP_S), 1) if self._pace else 64))
                ]
            began = time.monotonic()
            for payload in batch:
                if time.monotonic() > self._deadline:
                    self.counts.dropped += 1
                else:
                    self._send(payload)
            with self._changed:
                self._waiting -= sum(map(len, batch))
                self._changed.notify_all()
                if time.monotonic() > self._deadline:
                    return
            if self._pace:
                time.sleep(max(len(batch) / allowed - (time.monotonic() - began), 0))

    def _send(self, payload: bytes) -> None:
        """Send one datagram, and count what became of it."""
        until = min(time.monotonic() + STALL_S, self._deadline)
        for tries in count():
            if self._socket is None and (time.monotonic() < self._resolve_at or self._resolve()):
                self.counts.failed["unresolved"] += 1
                return
            assert self._socket is not None
            try:
                self._socket.send(payload)
            except OSError as error:
                full = error.errno in _FULL
                again = self._wait(until) if full else self._again(error) and tries < TRIES
                if not again:
                    self.counts.failed[errno.errorcode.get(error.errno or 0, "error")] += 1
                    return
            else:
                self.counts.datagrams += 1
                self.counts.octets += len(payload)
                if self.problem and time.monotonic() - self._wrong_at > SOUND_S:
                    self._note("")
                return

    def _wait(self, until: float) -> bool:
        """Wait until a full device takes datagrams again; return whether to try once more."""
        assert self._socket is not None
        left = until - time.monotonic()
        if left <= 0:
            self._note("the device that leads there takes no datagrams")
            return False
        select.select([], [self._socket], [], left)
        # A full device, other than a full socket, is told of by nothing.
        time.sleep(NAP_S)
        return True

    def _again(self, error: OSError) -> bool:
        """Take note of an error; return whether the datagram may be tried once more."""
        assert self._socket is not None
        if error.errno == errno.ECONNREFUSED:
            # It is about a datagram before this one, which was not sent.
            self.counts.refused += 1
            self.returned.set()
            self._note(f"nothing listens at {self.address}")
            if time.monotonic() >= self._resolve_at:
                self._resolve()
            return True
        if error.errno == errno.EMSGSIZE:
            self._measure()
        self._note(f"can't be reached: {os.strerror(error.errno or 0)}")
        return error.errno in _LASTING and time.monotonic() >= self._resolve_at and not self._resolve()

    def _note(self, problem: str) -> None:
        """Say what is wrong, or that it is over, when it changes; a few times a minute at most."""
        now = time.monotonic()
        if problem != self.problem and now - self._told_at > QUIET_S:
            self._told_at = now
            self._tell(f"{self.name}: {problem or 'takes datagrams again'}")
        self._wrong_at, self.problem = now, problem

    def _measure(self) -> None:
        """Ask the kernel how large a packet may be on the way there."""
        assert self._socket is not None
        six = self._socket.family == socket.AF_INET6
        try:
            found = self._socket.getsockopt(*((socket.IPPROTO_IPV6, _IPV6_MTU) if six else (socket.IPPROTO_IP, _IP_MTU)))
        except OSError:
            found = 0
        self.mtu = max(min(self.mtu, found or self.mtu), 576)

    def _resolve(self) -> str:
        """Look up the address, and open a socket to it; return what is wrong, or nothing."""
        self._resolve_at = time.monotonic() + RESOLVE_S
        self.counts.resolved += 1
        try:
            family, _, _, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
            opened = _opened(family, address)
        except (OSError, UnicodeError) as error:
            # When a machine starts, its network or its name server may come later.
            unknown = isinstance(error, UnicodeError) or (isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN)
            self._may_pass = not unknown
            return getattr(error, "strerror", None) or str(error)
        if self._socket is not None:
            self._socket.close()
        self._socket, self._overhead = opened, HEADERS.get(family, HEADERS[socket.AF_INET6])
        text = address_text(str(address[0]), int(address[1]))
        if text != self.address:
            self.returned.set()
        self.address = text
        return ""


def _opened(family: int, address: Any) -> socket.socket:
    """Return a socket that sends to an address, and never in fragments."""
    opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IP_PMTUDISC_DO)
        else:
            opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        opened.connect(address)
    except OSError:
        opened.close()
        raise
    return opened
