"""A receiver of streams, its exporters, and all that came out of it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from nftui.capture.sockets import KINDS, MAPPED_PREFIX
from nftui.capture.streams import StreamReceiver

LOOPBACK = MAPPED_PREFIX + bytes([127, 0, 0, 1])


def message(body: bytes, number: int = 0) -> bytes:
    return struct.pack(">HHIII", 10, 16 + len(body), 1_700_000_000, number, 7) + body


def numbered(count: int, size: int = 100, first: int = 0) -> list[bytes]:
    return [message(bytes([number % 256]) * size, number) for number in range(first, first + count)]


class Peer:
    """A receiver, its exporters, and all that came out of it."""

    def __init__(self, stack: ExitStack, address: str | None = "127.0.0.1", transport: str = "tcp", **limits: Any) -> None:
        self.receiver = stack.enter_context(StreamReceiver(address, 0, transport, **limits))
        self._stack = stack
        self.came: dict[tuple[bytes, int], list[bytes]] = {}
        self.blocks: list[int] = []
        self.remarks: dict[str, int] = {}

    def connect(self, to: str = "127.0.0.1", mine: str | None = None) -> socket.socket:
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        one = self._stack.enter_context(socket.socket(family, *KINDS[self.receiver.transport]))
        if mine:
            one.bind((mine, 0))
        one.connect((to, self.receiver.port))
        one.settimeout(10)
        return one

    def take(self) -> bool:
        block = self.receiver.receive()
        for (_, reason), times in self.receiver.remarks().items():
            self.remarks[reason] = self.remarks.get(reason, 0) + times
        if block is None:
            return False
        self.blocks.append(len(block.length))
        assert len(block.payload) == len(block.length) == len(block.exporter) == len(block.source_port) == len(block.received)
        assert block.local_port == self.receiver.port
        for row, length in enumerate(block.length.tolist()):
            key = block.exporter[row].tobytes(), int(block.source_port[row])
            self.came.setdefault(key, []).append(block.payload[row, :length].tobytes())
        return True

    def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self.take()
            assert time.monotonic() < deadline, (self.state, sum(map(len, self.came.values())))

    def of(self, exporter: socket.socket, address: bytes = LOOPBACK) -> list[bytes]:
        return self.came.get((address, exporter.getsockname()[1]), [])

    @property
    def state(self) -> dict[str, Any]:
        return self.receiver.connections()

    def closed(self, reason: str) -> int:
        found: int = self.state["closed"].get(reason, 0)
        return found
