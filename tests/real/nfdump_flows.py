"""The same random flows in a store of ours and in a file of nfcapd's: both collectors get the same datagrams."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nftui.export import netflow, netflow9
from nftui.export.netflow import Columns, Field
from tests.nfcapd import nfcapd, send
from tests.running import collecting

SECOND = 1_000_000
SPAN = 600 * SECOND
PREFIX = np.array([0] * 10 + [255, 255], np.uint8)
NETWORK = np.frombuffer(bytes.fromhex("20010db8000000000000000000000000"), np.uint8)
# RFC 3954, section 8, where `netflow` has no fields; of IPv6 the same numbers.
MORE = (
    Field("source_vlan", 58, 58, 2),
    Field("destination_vlan", 59, 59, 2),
    Field("source_mac", 56, 56, 6),
    Field("post_destination_mac", 57, 57, 6),
    Field("destination_mac", 80, 80, 6),
    Field("post_source_mac", 81, 81, 6),
    Field("destination_tos", 55, 55, 1),
    Field("mpls_label_1", 70, 70, 3),
)


def flows(count: int, seed: int, same: float = 0.2) -> Columns:
    """Return random flows of the last minutes, in the order of their start.

    Every field is filled, as nfdump can't tell 0 from absent. Counters are large and odd, and values come from few, so that sums
    seldom tie; a third of the flows belongs to connections of others, half of these the other way round.

    Args:
        count: How many.
        seed: Of the random numbers.
        same: Of how many the address, port, AS, interface, VLAN, mask or MAC is the same at both ends, each by itself.
    """
    random = np.random.default_rng(seed)

    def few(low: int, high: int) -> NDArray[np.int64]:
        # The square makes some values far more frequent than others.
        return low + (random.random(count) ** 2 * (high - low)).astype(np.int64)

    def ends(low: int, high: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        one, other = few(low, high), few(low, high)
        other = np.where(other == one, low + (one - low + 1) % (high - low), other)
        return one, np.where(random.random(count) < same, one, other)

    packets, start = random.integers(1, 5000, count), np.sort(random.integers(0, SPAN // 1000, count)) * 1000
    start += (time.time_ns() // 1_000_000_000 - 900) * SECOND
    columns: dict[str, NDArray[Any]] = {
        "protocol": random.choice([6, 6, 6, 17, 17, 47], count),
        "tos": few(0, 60),
        "destination_tos": few(0, 60),
        "flow_direction": random.integers(0, 2, count),
        "mpls_label_1": few(16, 40) << 4,
        "packets": packets,
        "octets": packets * random.integers(40, 1500, count) + random.integers(0, 40, count),
        "flow_start": start,
        "flow_end": start + np.where(random.random(count) < 0.2, 0, random.integers(0, 60_000, count)) * 1000,
    }
    columns["source_address"], columns["destination_address"], columns["next_hop"] = _addresses(random, count, same)
    for one, other, low, high in (
        ("source_port", "destination_port", 1, 300), ("source_as", "destination_as", 64500, 64560),
        ("ingress_interface", "egress_interface", 1, 12), ("source_mask", "destination_mask", 8, 30),
        ("source_vlan", "destination_vlan", 1, 40), ("source_mac", "post_source_mac", 1, 20),
        ("destination_mac", "post_destination_mac", 21, 40),
    ):  # fmt: skip
        columns[one], columns[other] = ends(low, high)
    connection = ("protocol", "source_address", "destination_address", "source_port", "destination_port")
    of = np.where(random.random(count) < 1 / 3, random.integers(0, count, count), np.arange(count))
    turned = (of != np.arange(count)) & (random.random(count) < 0.5)
    columns |= {name: columns[name][of] for name in connection}
    for one, other in (("source_address", "destination_address"), ("source_port", "destination_port")):
        turn = turned[:, None] if columns[one].ndim == 2 else turned
        columns[one], columns[other] = np.where(turn, columns[other], columns[one]), np.where(turn, columns[one], columns[other])
    six = ~netflow.is_ipv4(columns["source_address"])
    columns["next_hop"] = np.where(six[:, None], NETWORK, columns["next_hop"]).astype(np.uint8)
    columns["tcp_flags"] = np.where(columns["protocol"] == 6, random.integers(1, 64, count), 0)
    return columns


def _addresses(
    random: np.random.Generator, count: int, same: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return both ends, of the same family, and a next hop of IPv4."""
    six = random.random(count) < 0.2
    ends = []
    for base, host in ((0x0A000000, 1), (0x0A008000, 9)):
        four = _four(random, count, base, 300)
        wide = np.tile(NETWORK, (count, 1))
        wide[:, 7], wide[:, 15] = random.integers(0, 6, count), random.integers(host, host + 8, count)
        ends.append(np.where(six[:, None], wide, four).astype(np.uint8))
    alike = random.random(count) < same
    return ends[0], np.where(alike[:, None], ends[0], ends[1]).astype(np.uint8), _four(random, count, 0x0A630000, 6)


def _four(random: np.random.Generator, count: int, base: int, hosts: int) -> NDArray[np.uint8]:
    numbers = (base + (random.random(count) ** 2 * hosts).astype(np.int64) * 7).astype(">u4")
    return np.concatenate([np.tile(PREFIX, (count, 1)), numbers.view(np.uint8).reshape(count, 4)], axis=1)


def datagrams(columns: Columns) -> list[bytes]:
    """Return flows as NetFlow v9, templates first."""
    exported = np.full(len(columns["flow_end"]), int(columns["flow_end"].max()) // SECOND * SECOND + SECOND, np.int64)
    boot = int(columns["flow_start"].min()) // SECOND * SECOND - 3600 * SECOND
    return netflow9.encode(columns, exported, domain=1, boot=boot, sequence=0, more=MORE).payloads


def store(columns: Columns, folder: Path) -> tuple[Path, Path]:
    """Have both collectors store flows; return our data directory, and nfcapd's."""
    payloads = datagrams(columns)
    data, peer = folder / "nftui", folder / "nfcapd"
    with nfcapd(peer) as port:
        send(payloads, port)
    with collecting(data) as collector:
        send(payloads, collector.port)
        collector.wait_for(lambda: collector.status().get("datagrams") == len(payloads))
    return data, peer
