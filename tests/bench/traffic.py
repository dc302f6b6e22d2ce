"""Flows as a busy network makes them, and the datagrams that its exporter sends: the same ones for the same seed.

Hosts are ranked by Zipf's law: a tenth of them inside (10.0.0.0/12), the others outside. Of the flows 5 % are IPv6 where the
protocol has a place for it; packets are Pareto distributed; times have milliseconds. For sFlow each
flow is one sampled packet. Nothing loops over flows.

    python -m tests.bench.traffic OUT --protocol v9 --flows 500000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nftui.capture.datagrams import DatagramBlock
from nftui.export import ipfix, netflow5, netflow9, sflow
from nftui.export.netflow import Columns, Datagrams

PROTOCOLS = ("v5", "v9", "ipfix", "sflow")
HOSTS = 200_000
SIX_SHARE = 0.05
CHUNK = 250_000
"""Flows made at once; templates are sent before each."""
LAG_US = 15_000_000
"""An exporter tells of a flow at most this long after its end."""
SECOND = 1_000_000
BOOT = 3600 * SECOND
"""How long the exporter has been up when the first flow is exported."""
DOMAIN = 1
AGENT = bytes([127, 0, 0, 1])
SAMPLING = 1000
"""sFlow: each flow is a packet sampled at 1 in so many."""

# A service's port, its share of the flows, and the protocol of the most of them; 0 stands for any port.
SERVICES = (
    (443, 0.42, 6), (80, 0.10, 6), (53, 0.20, 17), (22, 0.02, 6), (123, 0.02, 17), (25, 0.01, 6), (993, 0.02, 6), (3389, 0.01, 6),
    (445, 0.02, 6), (8080, 0.02, 6), (8443, 0.01, 6), (5060, 0.01, 17), (161, 0.01, 17), (0, 0.13, 6),
)  # fmt: skip


class Hosts:
    """The hosts of a network, the busiest first, those inside before those outside.

    Attributes:
        four: Addresses as ::ffff:a.b.c.d, shape (hosts, 16).
        six: The same hosts' IPv6 addresses.
        inside: How many of them are inside.
        system: AS numbers, shape (hosts,).
        mask: Lengths of the prefixes they are routed by.
    """

    def __init__(self, number: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.inside, places = number // 10, np.arange(number)
        within = places < self.inside
        four = np.zeros(number, np.uint32)
        network = np.minimum(random.random(self.inside) ** 2 * 16, 15).astype(np.uint32)
        four[within] = 10 << 24 | network << 16 | (random.permutation(65_534)[: self.inside] + 1).astype(np.uint32)
        four[~within] = _outside(random, number - self.inside)
        self.four = np.zeros((number, 16), np.uint8)
        self.four[:, 10:12] = 0xFF
        self.four[:, 12:] = four.astype(">u4").view(np.uint8).reshape(-1, 4)
        self.six = np.zeros((number, 16), np.uint8)
        self.six[:, :4] = np.where(within[:, None], [0x20, 0x01, 0x0D, 0xB8], [0x2A, 0, 0, 0])
        self.six[~within, 2:8] = random.integers(0, 256, (number - self.inside, 6))
        self.six[:, 8:] = random.integers(0, 256, (number, 8))
        self.system = np.where(within, 64_512, 1000 + places * 7919 % 40_000)
        self.mask = np.where(within, 24, 8 + places * 31 % 17)
        self._ranks = (_shares(self.inside, 0.9), _shares(number - self.inside, 1.05))

    def choose(self, random: np.random.Generator, outside: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return a host for each flow, outside or inside as told."""
        drawn = random.random(len(outside))
        chosen = np.empty(len(outside), np.int64)
        for here, shares, first in ((~outside, self._ranks[0], 0), (outside, self._ranks[1], self.inside)):
            chosen[here] = first + np.minimum(np.searchsorted(shares, drawn[here]), len(shares) - 1)
        return chosen


def _outside(random: np.random.Generator, number: int) -> NDArray[np.uint32]:
    """Return addresses, none twice, none in a network that is not routed."""
    drawn = np.unique(random.integers(1 << 24, 223 << 24, number * 2, dtype=np.uint32))
    drawn = drawn[~np.isin(drawn >> 24, (10, 127, 169, 172, 192))]
    return random.permutation(drawn)[:number]


def _shares(number: int, exponent: float) -> NDArray[np.float64]:
    sums = np.cumsum(1.0 / np.arange(1, number + 1) ** exponent)
    return np.asarray(sums / sums[-1])


@dataclass(frozen=True)
class Flows:
    """Some flows in the order in which they are exported.

    Attributes:
        columns: As the encoders take them.
        exported: When each is exported, microseconds since 1970, ascending.
        source: Its source, a place among the hosts.
        destination: Its destination.
        six: Whether it is IPv6.
    """

    columns: Columns
    exported: NDArray[np.int64]
    source: NDArray[np.int64]
    destination: NDArray[np.int64]
    six: NDArray[np.bool_]


def make(hosts: Hosts, random: np.random.Generator, number: int, start: int, end: int, six_share: float) -> Flows:
    """Return flows exported evenly from `start` to `end` (microseconds), each before its export at the latest."""
    kind = random.random(number)
    near = hosts.choose(random, np.zeros(number, bool))
    far = hosts.choose(random, kind < 0.8)
    served_inside = (kind >= 0.65) & (kind < 0.8)
    client, server = np.where(served_inside, far, near), np.where(served_inside, near, far)
    ports, shares, protocols = (np.array(column) for column in zip(*SERVICES, strict=True))
    service = random.choice(len(SERVICES), number, p=shares)
    other = ports[service] == 0
    port = np.where(other, random.integers(1, 65_536, number), ports[service])
    part = random.random(number)
    protocol = np.where((port == 443) & (part < 0.25) | other & (part < 0.4), 17, protocols[service])
    answer = random.random(number) < 0.5
    packets = np.minimum((random.pareto(1.15, number) + 1) * np.where(protocol == 6, 3, 1), 2e5).astype(np.int64)
    packets = np.where((protocol == 17) & np.isin(port, (53, 123)), 1 + (part < 0.1), packets)
    scan = (protocol == 6) & (random.random(number) < 0.04)
    packets[scan] = 1
    size = np.clip(np.exp(random.normal(np.where(answer, 6.0, 4.9), 0.8)), 40, 1480)
    icmp, six = random.random(number) < 0.03, random.random(number) < six_share
    protocol = np.where(icmp, np.where(six, 58, 1), protocol)
    client_port = np.where(icmp, 0, random.integers(32_768, 61_000, number))
    port = np.where(icmp, 0x0800, port)
    source, destination = np.where(answer, server, client), np.where(answer, client, server)
    exported = (start + np.sort(random.random(number)) * (end - start)).astype(np.int64) // 1000 * 1000
    last = exported - random.integers(1000, LAG_US // 1000, number) * 1000
    length = np.where(packets == 1, 0, np.minimum(random.exponential(4000, number) + packets * 0.7, 60_000)).astype(np.int64)
    columns: dict[str, NDArray[Any]] = {
        **_of_hosts(hosts, source, destination, six),
        "flow_start": last - length * 1000,
        "flow_end": last,
        "packets": packets,
        "octets": np.minimum(packets * np.where(scan, 40, size), 2_100_000_000).astype(np.int64),
        "source_port": np.where(answer & ~icmp, port, client_port),
        "destination_port": np.where(answer & ~icmp, client_port, port),
        "protocol": protocol,
        "tcp_flags": np.where(protocol == 6, np.where(scan, 0x02, np.where(part < 0.7, 0x1B, 0x18)), 0),
        "tos": np.where(random.random(number) < 0.08, 0xB8, 0),
        "flow_end_reason": 1 + (packets > 100),
    }
    return Flows(columns, exported, source, destination, six)


def _of_hosts(
    hosts: Hosts, source: NDArray[np.int64], destination: NDArray[np.int64], six: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Return the columns that follow from the hosts."""
    inside, rows = hosts.inside, np.flatnonzero(six)
    addresses = {"source_address": hosts.four[source], "destination_address": hosts.four[destination]}
    addresses["source_address"][rows] = hosts.six[source[rows]]
    addresses["destination_address"][rows] = hosts.six[destination[rows]]
    hop = np.zeros((len(source), 16), np.uint8)
    hop[:, 10:] = [0xFF, 0xFF, 10, 0, 0, 1]
    hop[rows] = 0
    hop[rows, 0], hop[rows, 1], hop[rows, 15] = 0xFE, 0x80, 1
    return {
        **addresses,
        "next_hop": hop,
        "ingress_interface": np.where(source < inside, 1 + source % 4, 10 + source % 3),
        "egress_interface": np.where(destination < inside, 1 + destination % 4, 10 + destination % 3),
        "source_as": hosts.system[source],
        "destination_as": hosts.system[destination],
        "source_mask": hosts.mask[source],
        "destination_mask": hosts.mask[destination],
        "flow_direction": (source < inside).astype(np.int64),
    }


class Exporter:
    """Encodes one exporter's flows, chunk after chunk."""

    def __init__(self, protocol: str, boot: int) -> None:
        self._protocol, self._boot, self._sequence, self._samples = protocol, boot, 0, 0

    def encode(self, flows: Flows) -> Datagrams:
        """Return the next datagrams, templates first."""
        encoders: dict[str, Callable[[], Datagrams]] = {
            "v5": lambda: netflow5.encode(flows.columns, flows.exported, domain=DOMAIN, boot=self._boot, sequence=self._sequence),
            "v9": lambda: netflow9.encode(flows.columns, flows.exported, domain=DOMAIN, boot=self._boot, sequence=self._sequence),
            "ipfix": lambda: ipfix.encode(flows.columns, flows.exported, domain=DOMAIN, sequence=self._sequence),
            "sflow": lambda: self._sampled(flows),
        }
        made = encoders[self._protocol]()
        self._sequence, self._samples = made.sequence, self._samples + len(flows.exported)
        return made

    def _sampled(self, flows: Flows) -> Datagrams:
        numbers = {"sequence": self._sequence, "samples": self._samples, "sampling": SAMPLING}
        return sflow.encode(flows.columns, flows.exported, agent=AGENT, boot=self._boot, **numbers)


def chunks(
    protocol: str, number: int, end: int, span: int, hosts: Hosts, *, seed: int = 1, chunk: int = CHUNK
) -> Iterator[tuple[Flows, Datagrams]]:
    """Yield flows and their datagrams.

    Args:
        protocol: One of `PROTOCOLS`.
        number: Flows in all.
        end: When the last one is exported, microseconds since 1970.
        span: Microseconds that the exports take.
        hosts: Who talks.
        seed: The same seed makes the same flows.
        chunk: Flows made at once; templates are sent before each.
    """
    random = np.random.default_rng(seed + 1)
    exporter = Exporter(protocol, (end - span - BOOT) // SECOND * SECOND)
    share = 0.0 if protocol == "v5" else SIX_SHARE
    for first in range(0, number, chunk):
        count = min(chunk, number - first)
        edges = [end - span + span * place // number for place in (first, first + count)]
        flows = make(hosts, random, count, edges[0], edges[1], share)
        yield flows, exporter.encode(flows)


@dataclass(frozen=True)
class Recording:
    """Datagrams in a file, in the order in which they are sent.

    Attributes:
        protocol: One of `PROTOCOLS`.
        octets: Of all datagrams; a private copy of the file's pages where it is written to.
        offset: Where each begins, and where the last one ends, shape (datagrams + 1,).
        records: Flow records in each, shape (datagrams,).
        moments: When each is exported, microseconds since 1970.
    """

    protocol: str
    octets: NDArray[np.uint8]
    offset: NDArray[np.int64]
    records: NDArray[np.int64]
    moments: NDArray[np.int64]

    @property
    def flows(self) -> int:
        """Flow records in all."""
        return int(self.records.sum())

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Open a recording."""
        with np.load(path.with_suffix(".npz")) as index:
            octets = np.memmap(path, np.uint8, "c")
            return cls(str(index["protocol"]), octets, index["offset"], index["records"], index["moments"])

    def blocks(self, rows: int = 1024) -> Iterator[DatagramBlock]:
        """Yield the datagrams as a receiver would, received when they were exported."""
        exporter = np.zeros((rows, 16), np.uint8)
        exporter[:, 10:] = [0xFF, 0xFF, 127, 0, 0, 1]
        sizes = np.diff(self.offset)
        payload = np.zeros((rows, int(sizes.max())), np.uint8)
        within = np.arange(payload.shape[1])
        for first in range(0, len(sizes), rows):
            size = sizes[first : first + rows]
            number = len(size)
            payload[:number][within < size[:, None]] = self.octets[self.offset[first] : self.offset[first + number]]
            port = np.full(number, 9, np.int64)
            yield DatagramBlock(payload[:number], size, exporter[:number], port, self.moments[first : first + number], 9995)


class Recorder:
    """Writes datagrams into a file."""

    def __init__(self, path: Path, protocol: str) -> None:
        self._path, self._protocol = path, protocol
        self._file = path.open("wb")
        self._sizes: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
        self._records: list[NDArray[np.int64]] = []
        self._moments: list[NDArray[np.int64]] = []

    def add(self, datagrams: Datagrams) -> None:
        """Append datagrams."""
        self._file.write(b"".join(datagrams.payloads))
        self._sizes.append(np.array([len(payload) for payload in datagrams.payloads], np.int64))
        self._records.append(datagrams.records)
        self._moments.append(datagrams.moments)

    def close(self) -> None:
        """Write the index."""
        self._file.close()
        np.savez(
            self._path.with_suffix(".npz"),
            protocol=np.array(self._protocol),
            offset=np.cumsum(np.concatenate(self._sizes)),
            records=np.concatenate(self._records),
            moments=np.concatenate(self._moments),
        )


def record(path: Path, protocol: str, flows: int, *, span_s: int = 60, seed: int = 1, chunk: int = CHUNK) -> Recording:
    """Write a recording whose last flow is exported now, with templates before each `chunk` flows."""
    recorder = Recorder(path, protocol)
    hosts = Hosts(HOSTS, seed)
    for _, datagrams in chunks(protocol, flows, time.time_ns() // 1000, span_s * SECOND, hosts, seed=seed, chunk=chunk):
        recorder.add(datagrams)
    recorder.close()
    return Recording.read(path)


def main() -> None:
    """Write a recording."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="v9")
    parser.add_argument("--flows", type=int, default=500_000)
    parser.add_argument("--span", type=int, default=60, help="seconds of export time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.perf_counter()
    made = record(options.out, options.protocol, options.flows, span_s=options.span, seed=options.seed)
    print(f"{made.flows:,} flows in {len(made.records):,} datagrams, {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
