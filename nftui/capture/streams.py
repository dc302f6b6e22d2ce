"""Streams: IPFIX over TCP and SCTP. A listening socket, its connections, and the messages that they bring.

A connection carries message after message; only the length in each header tells where the next begins. So what is not IPFIX, or
says an impossible length, ends the connection: behind it nothing could be found again. What a connection has begun to say is kept
until it is complete, at most one message; what the collector is too slow for stays in the kernel, which slows the exporter down.

Source: RFC 7011, sections 3.1 (message header), 9.1 (malformed messages), 9.3 (idle sessions), 10.2 (SCTP), 10.4 (TCP).
"""

from __future__ import annotations

import errno
import math
import select
import socket
import struct
import time
from collections import Counter, deque
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nftui.capture.allowed import AllowList
from nftui.capture.datagrams import ROWS, WIDTH, DatagramBlock
from nftui.capture.ipfix import HEADER_SIZE, VERSION
from nftui.capture.sockets import BACKLOG, bound, sixteen

CONNECTIONS = 1024
"""Open at once, at most, for each listening socket."""
CONNECTIONS_EACH = 128
"""Of one address, so that one host can't take all places."""
TURN = 1 << 18
"""Octets that a connection may give before the others have their turn."""
BUSY = 1 << 16
"""Octets in one turn after which more is on its way, and waiting for it to gather is no use."""
BLOCK = 1 << 22
"""Octets of messages after which a block is full, whatever rows are left: long messages hold many flows."""
ACCEPTS = 64
"""New connections in one turn."""
IDLE_S = 1800.0
"""After which a connection that says nothing is closed; an exporter that has something to say connects again."""
STALLED_S = 60.0
"""In which a message has to be complete once it has begun."""
SWEEP_S = 1.0
MAX_REMARKS = 10_000
"""Pairs of an address and a reason that wait to be told; behind that only the sums are kept."""

ENDED = "ended by the exporter"
CUT = "ended within a message"
BROKEN = "connection broken"
NOT_IPFIX = "not IPFIX"
TOO_SHORT = f"message length below {HEADER_SIZE}"
IDLE = "silent for too long"
STALLED = "message not completed in time"
STOPPED = "collector stopped"
NOT_ALLOWED = "not on the list"
NO_PLACE, NO_PLACE_EACH, NO_DESCRIPTORS = "too many connections", "too many connections of one address", "no descriptors left"
_HEAD = struct.Struct(">HH")
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Octets = npt.NDArray[np.uint8]


class Connection:
    """An exporter's connection.

    Attributes:
        socket: Non-blocking.
        address: Of the exporter, 16 octets.
        port: Of the exporter.
        held: What was received and not yet delivered.
        full: Whether `held` may have complete messages, for which there was no row.
        heard: When octets came last, seconds of the monotonic clock.
        began: When the message that `held` begins with did.
        left: Octets that are still taken.
    """

    __slots__ = ("address", "began", "full", "heard", "held", "left", "port", "socket")

    def __init__(self, connected: socket.socket, address: bytes, port: int, now: float) -> None:
        self.socket, self.address, self.port = connected, address, port
        self.held = bytearray()
        self.full = False
        self.heard = self.began = now
        self.left: float = math.inf


def bounds_of(octets: bytes | bytearray | memoryview, most: int) -> tuple[list[int], str]:
    """Find the messages that some octets begin with.

    Args:
        octets: The first is the first of a message.
        most: How many messages to look for.
    Returns:
        Where each message begins, and last where what is left over does; and why nothing can follow, or nothing.
    """
    bounds, at, end = [0], 0, len(octets)
    while end - at >= _HEAD.size and len(bounds) <= most:
        version, length = _HEAD.unpack_from(octets, at)
        if version != VERSION:
            return bounds, NOT_IPFIX
        if length < HEADER_SIZE:
            return bounds, TOO_SHORT
        if at + length > end:
            break
        at += length
        bounds.append(at)
    return bounds, ""


class StreamReceiver:
    """A listening socket of TCP or SCTP, its connections, and the block that they fill.

    To whoever polls, all of them are one descriptor. All is non-blocking.

    Attributes:
        transport: `tcp` or `sctp`.
        port: The local port.
        asked: 0: the kernel sizes the buffer of each connection, and a full one slows the exporter down.
        granted: Octets that the kernel gives a connection at first.
        truncated: 0; a row holds the longest message.
        more: Whether there is more to take without waiting, as far as is known.
        limit: Connections open at once, at most.
        allow: Whose connections are accepted, None for everybody's; those of others that are open are closed at the next sweep.
    """

    def __init__(
        self,
        address: str | None,
        port: int,
        transport: str = "tcp",
        *,
        rows: int = ROWS,
        limit: int = CONNECTIONS,
        limit_each: int = CONNECTIONS_EACH,
        idle_s: float = IDLE_S,
        stalled_s: float = STALLED_S,
    ) -> None:
        """Bind and listen.

        Args:
            address: Where to listen; None for all addresses of both families.
            port: 0 takes any that is free.
            transport: `tcp` or `sctp`.
            rows: The most messages of one block.
            limit: Connections open at once, at most.
            limit_each: Those of one address.
            idle_s: Seconds after which a silent connection is closed.
            stalled_s: Seconds in which a message has to be complete.
        Raises:
            ListenError: As `sockets.bound`.
        """
        self.transport, self.limit = transport, limit
        self._limit_each, self._idle_s, self._stalled_s = limit_each, idle_s, stalled_s
        self._listener = bound(address, port, transport)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.asked = self.truncated = 0
        self.granted = self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self.more = False
        self.allow: AllowList | None = None
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._accepting, self._finishing = True, False
        self._connections: dict[int, Connection] = {}
        self._of_address: Counter[bytes] = Counter()
        self._turns: deque[int] = deque()
        self._swept = time.monotonic()
        self._accepted = self._discarded = 0
        self._refused: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._remarks: Counter[tuple[bytes, str]] = Counter()
        self._payload = np.zeros((rows, WIDTH), np.uint8)
        self._length = np.zeros(rows, np.int64)
        self._exporter = np.zeros((rows, 16), np.uint8)
        self._source_port = np.zeros(rows, np.int64)
        self._rows = self._octets = 0
        self._scratch = memoryview(bytearray(TURN))

    def fileno(self) -> int:
        """Return the descriptor, to poll: it is readable when the listening socket or a connection is."""
        return self._epoll.fileno()

    def due(self) -> bool:
        """Return whether `receive` should be called although nothing came: connections that say nothing have to go."""
        return time.monotonic() - self._swept >= SWEEP_S

    def receive(self) -> DatagramBlock | None:
        """Take connections and messages that have arrived, without waiting, in turns until the block is full.

        Returns:
            At most as many messages as the block has rows, those of a connection in their order; None when none is complete. The
            block stands in the receiver's own memory: it is valid until the next call.
        """
        now = time.monotonic()
        self._rows, self._octets, busy = 0, 0, True
        while busy and not self._full():
            busy = self._round(now)
        if now - self._swept >= SWEEP_S:
            self._sweep(now)
        self.more = busy or bool(self._turns)
        if not self._rows:
            return None
        rows = slice(self._rows)
        received = np.full(self._rows, time.time_ns() // 1000, np.int64)
        # The columns are copied: they are small, and whoever looks at two blocks may.
        return DatagramBlock(
            self._payload[rows],
            self._length[rows].copy(),
            self._exporter[rows].copy(),
            self._source_port[rows].copy(),
            received,
            self.port,
            lasting=True,
        )

    def drops(self) -> int:
        """Return 0: nothing is dropped, the exporter waits."""
        return 0

    def connections(self) -> dict[str, Any]:
        """Return what became of connections, as JSON-able values.

        Returns:
            `open`, `limit`, `accepted`; `refused` and `closed`, by reason; `discarded_octets`, which belong to no message.
        """
        return {
            "open": len(self._connections),
            "limit": self.limit,
            "accepted": self._accepted,
            "refused": dict(self._refused),
            "closed": dict(self._closed),
            "discarded_octets": self._discarded,
        }

    def remarks(self) -> Counter[tuple[bytes, str]]:
        """Return what was wrong since the last call: (exporter's 16 octets, reason) -> how often."""
        taken, self._remarks = self._remarks, Counter()
        return taken

    def finish(self) -> None:
        """Take no more connections than have come by now, and of each no more than the kernel holds.

        `receive` then delivers what is complete, and closes each connection; it is done when `more` is False.
        """
        now = time.monotonic()
        for _ in range(0, BACKLOG + ACCEPTS, ACCEPTS):
            self._accept(now)
        self._stop_accepting()
        self._listener.close()
        self._finishing = True
        for connection in self._connections.values():
            connection.left = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        full = [handle for handle, connection in self._connections.items() if connection.full]
        self._turns = deque([*full, *(handle for handle in self._connections if handle not in full)])
        self.more = bool(self._turns)

    def close(self) -> None:
        """Close all sockets; the last block stays readable."""
        for connection in list(self._connections.values()):
            self._end(connection, STOPPED)
        self._epoll.close()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- connections

    def _accept(self, now: float) -> None:
        for _ in range(ACCEPTS):
            try:
                connected, peer = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._refused[NO_DESCRIPTORS] += 1
                    self._stop_accepting()
                    return
                # The connection was broken before it was taken.
                continue
            address = sixteen(peer[0])
            reason = self._no_place(address)
            if reason:
                self._refused[reason] += 1
                if reason == NOT_ALLOWED:
                    self._remark(address, reason)
                connected.close()
                continue
            connected.setblocking(False)
            self._accepted += 1
            self._of_address[address] += 1
            self._connections[connected.fileno()] = Connection(connected, address, peer[1], now)
            self._epoll.register(connected.fileno(), select.EPOLLIN)

    def _no_place(self, address: bytes) -> str:
        if self.allow is not None and address not in self.allow:
            return NOT_ALLOWED
        if len(self._connections) >= self.limit:
            return NO_PLACE
        return NO_PLACE_EACH if self._of_address[address] >= self._limit_each else ""

    def _stop_accepting(self) -> None:
        """Let new connections wait in the kernel: until the next sweep, or for good."""
        if self._accepting:
            self._epoll.unregister(self._listener.fileno())
            self._accepting = False

    def _sweep(self, now: float) -> None:
        """Close connections that say nothing, or never end a message; what they said meanwhile is heard first."""
        self._swept = now
        if not self._accepting and not self._finishing:
            self._epoll.register(self._listener.fileno(), select.EPOLLIN)
            self._accepting = True
        for handle, connection in list(self._connections.items()):
            if self.allow is not None and connection.address not in self.allow:
                self._end(connection, NOT_ALLOWED)
                continue
            if not self._full() and self._stale(connection, now):
                self._serve(connection, now)
                reason = self._stale(connection, now)
                if reason and handle in self._connections:
                    self._end(connection, reason)

    def _stale(self, connection: Connection, now: float) -> str:
        if connection.held and not connection.full and now - connection.began > self._stalled_s:
            return STALLED
        return IDLE if now - connection.heard > self._idle_s else ""

    def _end(self, connection: Connection, reason: str) -> None:
        """Close a connection and count it by the reason; what is left of a message is counted for its exporter."""
        held, self._discarded = connection.held, self._discarded + len(connection.held)
        handle = connection.socket.fileno()
        self._epoll.unregister(handle)
        connection.socket.close()
        del self._connections[handle]
        self._of_address[connection.address] -= 1
        if not self._of_address[connection.address]:
            del self._of_address[connection.address]
        self._closed[reason] += 1
        if held:
            what = f"{NOT_IPFIX}, first octets {held[:2].hex(' ')}" if reason == NOT_IPFIX else reason
            self._remark(connection.address, f"{self.transport} connection closed: {what}")

    def _remark(self, address: bytes, reason: str) -> None:
        key = address, reason
        if key in self._remarks or len(self._remarks) < MAX_REMARKS:
            self._remarks[key] += 1

    # -- octets

    def _round(self, now: float) -> bool:
        """Give each connection that has something one turn; return whether one of them had so much to say that it has more."""
        if not self._turns and not self._finishing:
            self._turns.extend(handle for handle, _ in self._epoll.poll(0))
        busy = False
        for _ in range(len(self._turns)):
            if self._full():
                return True
            handle = self._turns.popleft()
            connection = self._connections.get(handle)
            if connection is not None:
                busy |= self._serve(connection, now)
            elif handle == self._listener.fileno():
                self._accept(now)
        return busy

    def _serve(self, connection: Connection, now: float) -> bool:
        """Give a connection its turn; return whether it had so much to say that there will be more."""
        turn, handle = TURN, connection.socket.fileno()
        if connection.full:
            # The rest of its last turn, not the beginning of another: the others wait.
            if self._deliver(connection, b"", now) and self._finishing:
                self._turns.append(handle)
            return True
        while turn > 0 and self._rows < len(self._payload):
            asked = min(turn, connection.left)
            try:
                number = connection.socket.recv_into(self._scratch, int(asked)) if asked > 0 else 0
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self._end(connection, BROKEN)
                return False
            if not number:
                self._end(connection, STOPPED if asked <= 0 else CUT if connection.held else ENDED)
                return False
            turn -= number
            connection.left -= number
            connection.heard = now
            if not self._deliver(connection, self._scratch[:number], now):
                return connection.full
            # A short read has emptied a TCP socket; of SCTP a read gives one message.
            if number < asked and self.transport == "tcp" and not self._finishing:
                break
        else:
            if self._finishing:
                self._turns.append(handle)
            return True
        if self._finishing:
            self._end(connection, STOPPED)
        return TURN - turn >= BUSY

    def _deliver(self, connection: Connection, octets: bytes | memoryview, now: float) -> bool:
        """Put what is complete into rows; return whether more may be read of the connection."""
        held = connection.held
        if held:
            held += octets
        source = held or octets
        free = len(self._payload) - self._rows
        bounds, problem = bounds_of(source, free)
        if len(bounds) > 1:
            self._fill(connection, source, bounds)
        if not held or len(bounds) > 1:
            connection.began = now
        if held:
            del held[: bounds[-1]]
        else:
            held += octets[bounds[-1] :]
        connection.full = len(bounds) > free and bool(held) and not problem
        if connection.full:
            # Before all others: so no more than one connection holds more than the beginning of a message.
            self._turns.appendleft(connection.socket.fileno())
        if problem:
            self._end(connection, problem)
        return not (connection.full or problem)

    def _fill(self, connection: Connection, source: bytes | bytearray | memoryview, bounds: list[int]) -> None:
        first, number = self._rows, len(bounds) - 1
        octets = np.frombuffer(source, np.uint8)
        for row, (begin, end) in enumerate(pairwise(bounds), first):
            self._payload[row, : end - begin] = octets[begin:end]
        rows = slice(first, first + number)
        self._length[rows] = np.diff(bounds)
        self._exporter[rows] = np.frombuffer(connection.address, np.uint8)
        self._source_port[rows] = connection.port
        self._rows += number
        self._octets += bounds[-1]

    def _full(self) -> bool:
        return self._rows == len(self._payload) or self._octets >= BLOCK
