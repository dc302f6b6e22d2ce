"""What happens again and again: backups, port scans, floods."""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from nftui.demo.hosts import Hosts
from nftui.demo.network import AnyScenario, Backup, Flood, Network, Scan

SECOND = 1_000_000
TCP, UDP = 6, 17
SYN, RST_ACK, WHOLE = 0x02, 0x14, 0x1B
PACKET, HEADERS, UDP_HEADERS = 1500, 40, 28
PROBE, REFUSAL = 44, 40
"""Octets of a SYN with one option, and of a RST."""


def scenes(network: Network, hosts: Hosts, seed: int, since: int, until: int, dtype: np.dtype[np.void]) -> list[NDArray[np.void]]:
    """Return the conversations of all scenarios that begin in [since, until), seconds; each whole, to its end."""
    found = []
    for position, scenario in enumerate(network.scenarios):
        for number in range(since // scenario.every - 1, until // scenario.every + 1):
            rng = np.random.default_rng([seed, position, number])
            begin = number * scenario.every + scenario.after + int(rng.integers(0, scenario.jitter + 1))
            if since <= begin < until:
                made: NDArray[np.void] = np.zeros(_count(scenario), dtype)
                made["start"] = np.sort(begin * SECOND + rng.integers(0, scenario.seconds * SECOND, len(made)))
                _play(scenario, hosts, rng, made)
                found.append(made)
    return found


def _count(scenario: AnyScenario) -> int:
    return scenario.streams if isinstance(scenario, Backup) else int(scenario.rate * scenario.seconds)


@singledispatch
def _play(scenario: AnyScenario, hosts: Hosts, rng: np.random.Generator, made: NDArray[np.void]) -> None:
    """Fill in the conversations of one occurrence; their starts are there."""
    raise TypeError(scenario)


@_play.register
def _backup(scenario: Backup, hosts: Hosts, rng: np.random.Generator, made: NDArray[np.void]) -> None:
    share = rng.dirichlet(np.full(len(made), 4.0))
    payload = (scenario.megabits * 1e6 / 8 * scenario.seconds * share).astype(np.int64)
    packets = payload // (PACKET - HEADERS) + 1
    made["client"], made["server"] = hosts.find(scenario.source), hosts.find(scenario.destination)
    made["client_port"], made["server_port"] = rng.integers(32768, 61000, len(made)), scenario.port
    made["protocol"], made["tos"], made["tcp_flags"] = TCP, scenario.tos, WHOLE
    made["packets"] = np.stack([packets, packets // 2 + 1], axis=1)
    made["octets"] = np.stack([payload + packets * HEADERS, (packets // 2 + 1) * HEADERS], axis=1)
    made["duration"] = rng.integers(4 * SECOND, 12 * SECOND, len(made))


@_play.register
def _scan(scenario: Scan, hosts: Hosts, rng: np.random.Generator, made: NDArray[np.void]) -> None:
    targets, _ = hosts.among(scenario.targets)
    ports = scenario.last_port - scenario.first_port + 1
    tried = np.arange(len(made))
    made["client"] = hosts.find(scenario.source)
    made["server"] = np.roll(targets, -int(rng.integers(len(targets))))[tried // ports % len(targets)]
    made["client_port"], made["server_port"] = rng.integers(32768, 61000, len(made)), scenario.first_port + tried % ports
    made["protocol"], made["tcp_flags"] = TCP, (SYN, RST_ACK)
    answered = rng.random(len(made)) < scenario.answered
    made["packets"] = np.stack([np.ones(len(made), np.int64), answered], axis=1)
    made["octets"] = made["packets"] * (PROBE, REFUSAL)


@_play.register
def _flood(scenario: Flood, hosts: Hosts, rng: np.random.Generator, made: NDArray[np.void]) -> None:
    sources, _ = hosts.among(scenario.sources)
    made["client"], made["server"] = rng.choice(sources, len(made)), hosts.find(scenario.destination)
    made["client_port"], made["server_port"] = rng.integers(1024, 65536, len(made)), scenario.port
    made["protocol"] = UDP
    packets = rng.integers(1, scenario.packets + 1, len(made))
    answered = packets * (rng.random(len(made)) < scenario.answered)
    made["packets"] = np.stack([packets, answered], axis=1)
    sizes = scenario.packet + rng.integers(-8, 9, len(made)).clip(UDP_HEADERS - scenario.packet)
    made["octets"] = made["packets"] * np.stack([sizes, sizes + 16], axis=1)
    made["duration"] = np.where(packets > 1, rng.integers(0, SECOND, len(made)), 0)
