"""Conversations to flow records: two one-way flows each, cut by the active timeout, held until they end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nftui.demo.conversations import ICMP, ICMP6, SECOND, TCP, observer
from nftui.demo.hosts import Hosts
from nftui.demo.network import Network

FLOW = np.dtype(
    [
        ("exporter", "i2"),
        ("start", "i8"),
        ("end", "i8"),
        ("source", "i4"),
        ("destination", "i4"),
        ("source_port", "i4"),
        ("destination_port", "i4"),
        ("protocol", "u1"),
        ("six", "?"),
        ("tos", "u1"),
        ("tcp_flags", "u1"),
        ("reason", "u1"),
        ("octets", "i8"),
        ("packets", "i8"),
    ]
)
# Type and code of an echo request and its reply, as they stand in a destination port.
ECHO = {ICMP: (0x0800, 0x0000), ICMP6: (0x8000, 0x8100)}
FIN, SYN, RST = 0x01, 0x02, 0x04
IDLE, ACTIVE, ENDED = 1, 2, 3
"""flowEndReason, as IANA numbers it."""
LATENCY = 40_000
"""Microseconds after which at most an answer begins."""
LEAST = 28
"""Octets of the smallest packet."""


class Meter:
    """Holds flows until they end, as the exporters of a network do together.

    Args:
        network: For the active timeouts.
        hosts: Its hosts.
    """

    def __init__(self, network: Network, hosts: Hosts) -> None:
        self._hosts = hosts
        self._timeouts = np.array([exporter.active_timeout * SECOND for exporter in network.exporters])
        self._held: NDArray[np.void] = np.zeros(0, FLOW)

    def add(self, conversations: NDArray[np.void]) -> None:
        """Take conversations, dtype CONVERSATION."""
        flows = np.concatenate([self._one_way(conversations, 0), self._one_way(conversations, 1)])
        flows = flows[flows["packets"] > 0]
        self._held = np.concatenate([self._held, cut(flows, self._timeouts[flows["exporter"]])])

    def take(self, until: int) -> NDArray[np.void]:
        """Give the flows, dtype FLOW, that end before `until`, microseconds, in the order of their ends."""
        ended = self._held["end"] < until
        flows, self._held = self._held[ended], self._held[~ended]
        return flows[np.argsort(flows["end"], kind="stable")]

    def _one_way(self, made: NDArray[np.void], way: int) -> NDArray[np.void]:
        flows: NDArray[np.void] = np.zeros(len(made), FLOW)
        ends = ("client", "server") if way == 0 else ("server", "client")
        flows["exporter"] = observer(self._hosts, made["client"], made["server"])
        flows["start"] = made["start"] + way * np.minimum(made["duration"] // 10, LATENCY)
        flows["end"] = made["start"] + made["duration"]
        for name in ("protocol", "six", "tos"):
            flows[name] = made[name]
        for name in ("octets", "packets", "tcp_flags"):
            flows[name] = made[name][:, way]
        for name, end in zip(("source", "destination"), ends, strict=True):
            flows[name], flows[f"{name}_port"] = made[end], made[f"{end}_port"]
        for protocol, echo in ECHO.items():
            of_protocol = flows["protocol"] == protocol
            flows["source_port"][of_protocol], flows["destination_port"][of_protocol] = 0, echo[way]
        return flows


def cut(flows: NDArray[np.void], timeouts: NDArray[np.int64]) -> NDArray[np.void]:
    """Cut flows that last longer than their active timeout, in microseconds, into records; octets and packets in proportion."""
    duration = flows["end"] - flows["start"]
    pieces = np.maximum(1, -(-duration // timeouts))
    row = np.repeat(np.arange(len(flows)), pieces)
    piece = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    records = flows[row]
    begin = piece * timeouts[row]
    end = np.minimum(begin + timeouts[row], duration[row])
    records["start"], records["end"] = flows["start"][row] + begin, flows["start"][row] + end
    share = np.stack([begin, end]) / np.maximum(duration[row], 1)
    share[1, piece == pieces[row] - 1] = 1.0
    for name in ("packets", "octets"):
        parts = (share * flows[name][row]).astype(np.int64)
        records[name] = parts[1] - parts[0]
    records["packets"] = np.maximum(records["packets"], 1)
    records["octets"] = np.maximum(records["octets"], records["packets"] * LEAST)
    first, last = piece == 0, piece == pieces[row] - 1
    records["tcp_flags"] &= np.where(first, 0xFF, 0xFF & ~SYN).astype(np.uint8)
    records["tcp_flags"] &= np.where(last, 0xFF, 0xFF & ~(FIN | RST)).astype(np.uint8)
    closed = (records["protocol"] == TCP) & (records["tcp_flags"] & (FIN | RST) > 0)
    records["reason"] = np.where(~last, ACTIVE, np.where(closed, ENDED, IDLE))
    return records
