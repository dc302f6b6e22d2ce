"""How much waits in a receiver's socket, and how much fits: what a sender has to know in order not to overrun it.

Source: sock_diag(7); linux/inet_diag.h; linux/sock_diag.h.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import NamedTuple

BURST = 24
"""Datagrams sent between two looks."""
ROOM = 2 * BURST * 2304
"""Octets that have to be free before a burst: twice what it takes, as the kernel counts; half of a buffer of the default size."""
LOOK_SECONDS = 0.0005
PATIENCE_SECONDS = 0.25
BLIND_SECONDS = 0.006
"""Time for a burst where the kernel tells nothing: 4,000 datagrams a second."""

_SOCK_DIAG = 4  # linux/netlink.h
# nlmsghdr: length, type, flags, sequence, port. Its flags: NLM_F_REQUEST and NLM_F_DUMP.
_HEADER = struct.Struct("=IHHII")
_BY_FAMILY, _DONE, _REQUEST_DUMP = 20, 3, 0x301
# inet_diag_req_v2: family, protocol, extensions, states; then inet_diag_sockid: source port in network order, the rest any.
_QUESTION = struct.Struct("=BBBxI2s46x")
# inet_diag_msg takes 72 octets; attributes follow: length, type. SKMEMINFO begins with octets in the queue, size of the buffer.
_MESSAGE_SIZE = 72
_ATTRIBUTE, _MEMORY = struct.Struct("=HH"), struct.Struct("=II")
_SKMEMINFO = 7
_ANSWER_SIZE = 1 << 16


class Fill(NamedTuple):
    """The fill of a receive buffer: octets that wait and octets that fit, both as the kernel counts them."""

    waiting: int
    size: int


class ReceiveQueue:
    """The receive queue of a UDP port on this machine.

    Args:
        port: The port that the receiver is bound to.
    """

    def __init__(self, port: int) -> None:
        self._questions = [
            _HEADER.pack(_HEADER.size + _QUESTION.size, _BY_FAMILY, _REQUEST_DUMP, 1, 0)
            + _QUESTION.pack(family, socket.IPPROTO_UDP, 1 << (_SKMEMINFO - 1), 0xFFFFFFFF, port.to_bytes(2, "big"))
            for family in (socket.AF_INET, socket.AF_INET6)
        ]
        self._kernel = _netlink()

    def look(self) -> Fill | None:
        """Return the fill of the port's fullest socket; None when there is no socket, or no way to know."""
        if self._kernel is None:
            return None
        try:
            found = [fill for question in self._questions for fill in _asked(self._kernel, question)]
        except OSError:
            self.close()
            return None
        return max(found, key=lambda fill: fill.waiting / max(fill.size, 1), default=None)

    def wait_for_room(self) -> None:
        """Wait until there is room for a burst, or the receiver has taken nothing for a quarter of a second."""
        fill = self.look()
        if fill is None:
            time.sleep(BLIND_SECONDS)
            return
        deadline = time.monotonic() + PATIENCE_SECONDS
        while fill is not None and fill.waiting > max(fill.size - ROOM, 0) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            fill = self.look()

    def wait_for_receiver(self, seconds: float) -> bool:
        """Wait until the port is bound; tell whether it is, or True where there is no way to know."""
        deadline = time.monotonic() + seconds
        while self.look() is None:
            if self._kernel is None:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def close(self) -> None:
        """Let go of the kernel; from then on it tells nothing."""
        if self._kernel is not None:
            self._kernel.close()
        self._kernel = None


def _netlink() -> socket.socket | None:
    try:
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG)
    except (OSError, AttributeError):  # AttributeError where there is no netlink
        return None
    kernel.settimeout(1.0)
    return kernel


def _asked(kernel: socket.socket, question: bytes) -> list[Fill]:
    """Return the fill of each socket that the question fits.

    Raises:
        OSError: The kernel does not answer such questions.
    """
    kernel.send(question)
    found: list[Fill] = []
    while True:
        answer, at = kernel.recv(_ANSWER_SIZE), 0
        while at + _HEADER.size <= len(answer):
            size, kind, *_ = _HEADER.unpack_from(answer, at)
            if kind == _DONE:
                return found
            if kind != _BY_FAMILY:
                raise OSError(f"sock_diag answered with a message of type {kind}")
            found += _fill(answer[at + _HEADER.size + _MESSAGE_SIZE : at + size])
            at += (size + 3) & ~3


def _fill(attributes: bytes) -> list[Fill]:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        size, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if kind == _SKMEMINFO:
            return [Fill(*_MEMORY.unpack_from(attributes, at + _ATTRIBUTE.size))]
        at += max((size + 3) & ~3, _ATTRIBUTE.size)
    return []
