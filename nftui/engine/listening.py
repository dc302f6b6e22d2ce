"""Listening: all sockets of a collector, what came through each, and when to look at them again."""

from __future__ import annotations

import select
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nftui.capture.datagrams import ROWS, DatagramBlock, UdpReceiver, parse_listen

GATHER_S = 0.1
"""How long datagrams may gather in the kernel, at most: few big blocks cost far less than many small ones."""
DATAGRAM_SHARE = 8192
"""Octets of the receive buffer for each datagram that may gather: a datagram of 1,500 octets takes 2,304, and some room stays."""
LEAST_SHARE = 512
"""Octets that the smallest datagram takes in a receive buffer, at least; it takes 768 with Linux 6."""


@dataclass(slots=True)
class Socket:
    """A bound socket, and what came through it.

    Attributes:
        address: Where it listens; None for all addresses.
        receiver: The socket.
        datagrams: Received so far.
        octets: Of their payload.
    """

    address: str | None
    receiver: UdpReceiver
    datagrams: int = 0
    octets: int = 0

    def take(self) -> DatagramBlock | None:
        """Return what has arrived, None when there is nothing; the block is valid until the next call."""
        block = self.receiver.receive()
        if block is not None:
            self.datagrams += len(block.length)
            self.octets += int(block.length.sum())
        return block

    def description(self) -> str:
        """Return one line for whoever starts the collector."""
        where = f"[{self.address}]" if self.address and ":" in self.address else self.address or "all addresses"
        granted, asked = self.receiver.granted // 2, self.receiver.asked
        small = "" if granted >= asked else f" of {asked:,} asked for: raise it with `sysctl net.core.rmem_max={asked}`"
        return (
            f"listening on {where}, port {self.receiver.port}/udp: NetFlow v5, v9 and IPFIX, told apart by content; "
            f"receive buffer {granted:,} octets{small}"
        )

    def status(self) -> dict[str, Any]:
        """Return the socket's part of the status."""
        return {
            "address": self.address or "*",
            "port": self.receiver.port,
            "transport": "udp",
            # The kernel doubles what it is asked for, to have room for its own accounts (socket(7)).
            "receive_buffer": self.receiver.granted // 2,
            "receive_buffer_asked": self.receiver.asked,
            "drops": self.receiver.drops(),
            "truncated": self.receiver.truncated,
            "datagrams": self.datagrams,
            "octets": self.octets,
        }


class Listening:
    """The sockets of a collector, bound."""

    def __init__(self, entries: Sequence[tuple[str | None, int, str]], receive_buffer: int) -> None:
        """Bind all, or none.

        Args:
            entries: Address or None for all, port and transport of each, as `parse_listen` returns them.
            receive_buffer: Octets to ask the kernel for, for each.
        Raises:
            ListenError: One can't be bound.
        """
        self.sockets: list[Socket] = []
        try:
            for address, port, _ in entries:
                self.sockets.append(Socket(address, UdpReceiver(address, port, receive_buffer)))
        except BaseException:
            self.close()
            raise
        self._poller = select.poll()
        self._by_handle = {bound.receiver.fileno(): bound for bound in self.sockets}
        for handle in self._by_handle:
            self._poller.register(handle, select.POLLIN)

    def ready(self, timeout_ms: int) -> list[Socket]:
        """Wait until something has arrived, or some milliseconds; return the sockets that have something."""
        return [self._by_handle[handle] for handle, _ in self._poller.poll(timeout_ms)]

    def nap(self, taken: int, seconds: float) -> float:
        """Return how long datagrams may gather: for most of a block, and a part of the buffer.

        Args:
            taken: Datagrams that came last.
            seconds: In which they came.
        Returns:
            Seconds to leave the sockets alone; 0 where there is nothing to wait for, or no time.
        """
        if not 0 < taken < ROWS // 2:
            return 0
        room = min(bound.receiver.granted for bound in self.sockets) // DATAGRAM_SHARE
        return min(GATHER_S, 0.6 * min(ROWS, room) * max(seconds, 1e-4) / taken)

    def rest(self) -> Iterator[DatagramBlock]:
        """Yield what has arrived and was not taken yet: all that buffers can hold, so that a sender who goes on is no reason to."""
        for bound in self.sockets:
            most = bound.datagrams + max(bound.receiver.granted // LEAST_SHARE, ROWS)
            while bound.datagrams < most and (block := bound.take()):
                yield block

    def descriptions(self) -> list[str]:
        """Return one line for each socket, for whoever starts the collector."""
        return [bound.description() for bound in self.sockets]

    def status(self) -> list[dict[str, Any]]:
        """Return the sockets' part of the status."""
        return [bound.status() for bound in self.sockets]

    def close(self) -> None:
        """Close all sockets; the last blocks stay readable."""
        for bound in self.sockets:
            bound.receiver.close()


def parsed(listen: Sequence[str]) -> list[tuple[str | None, int, str]]:
    """Return `listen` entries as `Listening` takes them.

    Raises:
        ConfigError: One can't be understood.
    """
    return [parse_listen(text) for text in listen]
