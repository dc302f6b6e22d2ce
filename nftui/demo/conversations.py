"""Who talks to whom: conversations of any minute, the same for the same seed, whenever and in whatever order they are asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nftui.demo.hosts import Hosts
from nftui.demo.network import Network, Service
from nftui.demo.scenarios import scenes

SECOND = 1_000_000
MINUTE = 60
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}
SYN_ACK_PSH_FIN, SYN_ACK_PSH_RST = 0x1B, 0x1E
RESET_SHARE = 0.03
LONGEST = 300.0
"""Seconds that no conversation exceeds."""
FASTEST = 80e6
"""Bits a second that no conversation exceeds."""
SWINGS = (37.0, 101.0, 263.0, 590.0)
"""Periods, in seconds, of the waves by which a service swings."""
_HANDSHAKE = 2

# What goes on between two hosts. Of each pair of values the first is from client to server, the second back.
CONVERSATION = np.dtype(
    [
        ("start", "i8"),
        ("duration", "i8"),
        ("client", "i4"),
        ("server", "i4"),
        ("client_port", "i4"),
        ("server_port", "i4"),
        ("protocol", "u1"),
        ("six", "?"),
        ("tos", "u1"),
        ("octets", "i8", (2,)),
        ("packets", "i8", (2,)),
        ("tcp_flags", "u1", (2,)),
    ]
)


class Conversations:
    """Makes conversations from services and scenarios.

    Args:
        network: What is simulated.
        hosts: Its hosts.
        seed: The same seed gives the same conversations.
        east: Seconds that local time is ahead of UTC, for the rhythm of the day.
    """

    def __init__(self, network: Network, hosts: Hosts, seed: int, east: int = 0) -> None:
        self._network, self._hosts, self._seed, self._east = network, hosts, seed, east
        self._clients = [hosts.among(service.clients) for service in network.services]
        self._servers = [hosts.among(service.servers) for service in network.services]
        self._speaks6 = np.array([exporter.protocol != "v5" for exporter in network.exporters])
        weights = np.array([service.weight for service in network.services])
        self._rates = network.rhythm.conversations * weights / weights.sum()
        self._phases = np.random.default_rng([seed]).uniform(0, 2 * np.pi, (len(weights), len(SWINGS)))

    def minute(self, number: int) -> NDArray[np.void]:
        """Return the conversations that start in a minute, dtype CONVERSATION; those of scenarios may start somewhat later.

        Args:
            number: Minutes since 1970.
        """
        rng = np.random.default_rng([self._seed, number])
        first = number * MINUTE
        counts = rng.poisson(self.rates(first + np.arange(MINUTE)))
        made = []
        for position, service in enumerate(self._network.services):
            seconds = first + np.repeat(np.arange(MINUTE), counts[:, position])
            start = seconds * SECOND + rng.integers(0, SECOND, len(seconds))
            made.append(self._of_service(rng, position, service, start))
        made += scenes(self._network, self._hosts, self._seed, first, first + MINUTE, CONVERSATION)
        return np.concatenate(made)

    def rates(self, seconds: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the expected conversations in each second, shape (seconds, services)."""
        rhythm = self._network.rhythm
        hour = (seconds + self._east) / 3600 % 24
        day = np.interp(hour, np.arange(25), [*rhythm.hours, rhythm.hours[0]])
        angles = 2 * np.pi * seconds[:, None, None] / np.array(SWINGS) + self._phases
        swing = np.exp(rhythm.noise * np.sin(angles).sum(axis=2) / np.sqrt(len(SWINGS) / 2))
        return np.asarray(self._rates * day[:, None] * swing)

    def _of_service(self, rng: np.random.Generator, position: int, service: Service, start: NDArray[np.int64]) -> NDArray[np.void]:
        made: NDArray[np.void] = np.zeros(len(start), CONVERSATION)
        made["start"] = start
        made["client"], made["server"] = (
            hosts[np.searchsorted(sums, rng.random(len(start)))]
            for hosts, sums in (self._clients[position], self._servers[position])
        )
        made["six"] = self._six(rng, made["client"], made["server"])
        made["client_port"], made["server_port"] = rng.integers(32768, 61000, len(start)), service.port
        made["tos"], made["protocol"] = service.tos, PROTOCOLS[service.protocol]
        _measure(rng, service, made)
        if service.protocol == "icmp":
            made["protocol"][made["six"]] = ICMP6
        if service.protocol == "tcp":
            reset = rng.random(len(start)) < RESET_SHARE
            made["tcp_flags"] = np.where(reset, SYN_ACK_PSH_RST, SYN_ACK_PSH_FIN)[:, None]
        return made

    def _six(self, rng: np.random.Generator, client: NDArray[np.int32], server: NDArray[np.int32]) -> NDArray[np.bool_]:
        hosts = self._hosts
        known = hosts.has6[client] & hosts.has6[server] & self._speaks6[observer(hosts, client, server)]
        return np.asarray(known & (rng.random(len(client)) < self._network.rhythm.ipv6))


def observer(hosts: Hosts, client: NDArray[np.int32], server: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the exporter that sees each conversation: the client's own, or the server's when the client is in the Internet."""
    return np.asarray(np.where(hosts.home[client] >= 0, hosts.home[client], hosts.home[server]))


def _measure(rng: np.random.Generator, service: Service, made: NDArray[np.void]) -> None:
    """Fill in octets, packets and durations: log-normal payloads, headers, and packets that only acknowledge."""
    count = len(made)
    headers = (40 if service.protocol == "tcp" else 28) + 20 * made["six"].astype(np.int64)[:, None]
    answers = service.response > 0
    medians = np.log([service.request, service.response if answers else 1.0])
    payload = np.exp(rng.normal(medians, service.spread, (count, 2)))
    payload = np.clip(payload, 1, service.largest)
    full = np.ceil(payload / (service.packet - headers)).astype(np.int64)
    packets = full + (full[:, ::-1] * service.acks).astype(np.int64) + (_HANDSHAKE if service.protocol == "tcp" else 0)
    packets[:, 1] *= answers
    made["packets"] = packets
    made["octets"] = (payload.astype(np.int64) + packets * headers) * (packets > 0)
    seconds = np.exp(rng.normal(np.log(service.seconds), service.spread, count))
    seconds = np.maximum(seconds, made["octets"].max(axis=1) * 8 / FASTEST)
    made["duration"] = np.minimum(seconds, LONGEST) * SECOND
