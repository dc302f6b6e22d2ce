"""Listening: all sockets of a collector, what came through each, and when to look at them again."""

from __future__ import annotations

import resource
import select
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nftui.capture.allowed import AllowList
from nftui.capture.datagrams import ROWS, DatagramBlock, UdpReceiver
from nftui.capture.sockets import SFLOW_PORT, bound_together, grow_buffer, parse_listen
from nftui.capture.streams import CONNECTIONS, StreamReceiver

GATHER_S = 0.1
"""How long datagrams may gather in the kernel, at most: few big blocks cost far less than many small ones."""
DATAGRAM_SHARE = 8192
"""Octets of the receive buffer for each datagram that may gather: a datagram of 1,500 octets takes 2,304, and some room stays."""
OTHER_DESCRIPTORS = 256
"""For all that is no connection: files of the store, above all."""

Entry = tuple[str | None, int, str]
"""Address or None for all, port, transport."""


@dataclass(slots=True)
class Socket:
    """A bound socket, and what came through it.

    Attributes:
        address: Where it listens; None for all addresses.
        receiver: The socket.
        datagrams: Datagrams, or messages of streams, received so far.
        octets: Of their payload.
    """

    address: str | None
    receiver: UdpReceiver | StreamReceiver
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
        receiver = self.receiver
        return f"listening on {described((self.address, receiver.port, receiver.transport))}; {self._room()}"

    def status(self) -> dict[str, Any]:
        """Return the socket's part of the status; a stream has `connections` too."""
        receiver = self.receiver
        streams = {"connections": receiver.connections()} if isinstance(receiver, StreamReceiver) else {}
        return {
            "address": self.address or "*",
            "port": receiver.port,
            "transport": receiver.transport,
            # The kernel doubles what it is asked for, to have room for its own accounts (socket(7)).
            "receive_buffer": receiver.granted // 2,
            "receive_buffer_asked": receiver.asked,
            "drops": receiver.drops(),
            "truncated": receiver.truncated,
            "datagrams": self.datagrams,
            "octets": self.octets,
            **streams,
        }

    def _room(self) -> str:
        if isinstance(self.receiver, StreamReceiver):
            return f"at most {self.receiver.limit:,} connections"
        granted, asked = self.receiver.granted // 2, self.receiver.asked
        small = "" if granted >= asked else f" of {asked:,} asked for: raise it with `sysctl net.core.rmem_max={asked}`"
        return f"receive buffer {granted:,} octets{small}"


class Listening:
    """The sockets of a process of a collector, bound.

    Attributes:
        sockets: Its own.
        others: Those of each further process, which share the ports of our own over UDP, in the order of `entries`. They stay open
            here as well: the kernel tells sockets apart by the order of binding, and keeps what comes while a process is started.
    """

    def __init__(
        self, entries: Sequence[Entry], receive_buffer: int, *, processes: int = 1, descriptors: Sequence[int] | None = None
    ) -> None:
        """Bind all, or none.

        Args:
            entries: What to listen to, as `parsed` returns it.
            receive_buffer: Octets to ask the kernel for, for each UDP socket.
            processes: Among which the exporters over UDP are dealt; streams are for the first, which calls.
            descriptors: Of a further process: sockets that are bound already, one for each entry.
        Raises:
            ListenError: One can't be bound.
        """
        self.sockets: list[Socket] = []
        self.others: list[list[socket.socket]] = [[] for _ in range(1, processes)]
        limit = _connections(sum(transport != "udp" for _, _, transport in entries))
        given = iter(descriptors or ())
        try:
            for address, port, transport in entries:
                if transport != "udp":
                    self.sockets.append(Socket(address, StreamReceiver(address, port, transport, limit=limit)))
                elif descriptors is not None:
                    taken = socket.socket(fileno=next(given))
                    self.sockets.append(Socket(address, UdpReceiver(address, port, receive_buffer, given=taken)))
                else:
                    own = self._bound(address, port, receive_buffer) if processes > 1 else None
                    self.sockets.append(Socket(address, UdpReceiver(address, port, receive_buffer, given=own)))
        except BaseException:
            self.close()
            raise
        self._streams = [bound.receiver for bound in self.sockets if isinstance(bound.receiver, StreamReceiver)]
        buffers = [bound.receiver.granted for bound in self.sockets if isinstance(bound.receiver, UdpReceiver)]
        self._gathering = min([ROWS, *(granted // DATAGRAM_SHARE for granted in buffers)])
        self._all, self._datagrams = select.poll(), select.poll()
        for bound in self.sockets:
            for poller in (self._all, self._datagrams) if bound.receiver.transport == "udp" else (self._all,):
                poller.register(bound.receiver.fileno(), select.POLLIN)

    def ready(self, timeout_ms: int, *, streams: bool = True) -> list[Socket]:
        """Wait until something has arrived, or some milliseconds.

        Args:
            timeout_ms: How long to wait.
            streams: Whether to look at streams at all; without, what they bring waits in the kernel, and then at the exporters.
        Returns:
            The sockets to take from.
        """
        if not streams:
            handles = {handle for handle, _ in self._datagrams.poll(timeout_ms)}
        else:
            handles = {handle for handle, _ in self._all.poll(0 if self._more() else timeout_ms)}
            handles |= {receiver.fileno() for receiver in self._streams if receiver.more or receiver.due()}
        return [bound for bound in self.sockets if bound.receiver.fileno() in handles]

    def nap(self, taken: int, seconds: float) -> float:
        """Return how long datagrams may gather: for most of a block, and a part of the buffer.

        Args:
            taken: Datagrams that came last.
            seconds: In which they came.
        Returns:
            Seconds to leave the sockets alone; 0 where there is nothing to wait for, or no time.
        """
        if not 0 < taken < ROWS // 2 or self._more():
            return 0
        return min(GATHER_S, 0.6 * self._gathering * max(seconds, 1e-4) / taken)

    def allow(self, allowed: AllowList | None) -> None:
        """Accept the connections of these alone from now on; None for everybody's. Datagrams are left to the decoder."""
        for receiver in self._streams:
            receiver.allow = allowed

    def remarks(self) -> Counter[tuple[bytes, str]]:
        """Return what was wrong with connections since the last call: (exporter's 16 octets, reason) -> how often."""
        found: Counter[tuple[bytes, str]] = Counter()
        for receiver in self._streams:
            found += receiver.remarks()
        return found

    def rest(self) -> Iterator[DatagramBlock]:
        """Yield what has arrived and was not taken yet, but no more than buffers can hold: senders may well go on."""
        for bound in self.sockets:
            bound.receiver.finish()
        for bound in self.sockets:
            while (block := bound.take()) or bound.receiver.more:
                if block:
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
        for one in (one for process in self.others for one in process):
            one.close()

    def _bound(self, address: str | None, port: int, receive_buffer: int) -> socket.socket:
        """Bind a socket for each process, and return our own."""
        own, *others = bound_together(address, port, 1 + len(self.others))
        for process, one in zip(self.others, others, strict=True):
            # Before its process is there to ask for it.
            grow_buffer(one, receive_buffer)
            process.append(one)
        return own

    def _more(self) -> bool:
        return any(receiver.more for receiver in self._streams)


def parsed(listen: Sequence[str]) -> list[Entry]:
    """Return `listen` entries as `Listening` takes them.

    Raises:
        ConfigError: One can't be understood.
    """
    return [parse_listen(text) for text in listen]


def described(entry: Entry) -> str:
    """Return where an entry listens, and for which protocols, in words."""
    address, port, transport = entry
    where = f"[{address}]" if address and ":" in address else address or "all addresses"
    if transport != "udp":
        protocols = "IPFIX"
    elif port == SFLOW_PORT:
        protocols = "sFlow only"
    else:
        protocols = "NetFlow v1, v5, v7, v9, IPFIX and sFlow, told apart by content"
    return f"{where}, port {port}/{transport}: {protocols}"


def _connections(streams: int) -> int:
    """Return how many connections each of some listening sockets may have, after asking for the descriptors that it takes."""
    if not streams:
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams * CONNECTIONS + OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = CONNECTIONS if soft == resource.RLIM_INFINITY else (soft - OTHER_DESCRIPTORS) // streams
    return max(1, min(CONNECTIONS, room))
