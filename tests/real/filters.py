"""The real nfdump as an oracle of filters: random flows in its store and in a frame, and random filters that both understand.

Both get the same NetFlow v9 datagrams. All flows have all fields, as nfdump 1.7.1 takes an absent one for 0. The octets of each
flow are a number of its own, by which it is known again.

    python -m tests.real.filters --times 2000
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.engine.expressions import columns, expression
from nftui.engine.filters import parse, text
from nftui.export import netflow9
from nftui.export.netflow import Field
from nftui.schema import POLARS
from tests import peers
from tests.capture.build import decode
from tests.nfcapd import nfcapd, send

FLOWS = 400
BOOT = 1_700_000_000_000_000
DOMAIN = 0x0203
SECOND = 1_000_000

ADDRESSES4 = ["10.0.0.1", "10.0.0.2", "10.0.1.4", "10.1.2.3", "192.168.0.1", "192.168.0.22", "172.16.0.9", "8.8.8.8", "0.0.0.0"]
ADDRESSES6 = ["2001:db8::1", "2001:db8::2", "2001:db8:1::1", "fe80::1", "2001:db9::5"]
APART = ["10.0.0.0/8", "192.168.0.0/16", "172.16.0.9", "8.8.8.8"]
"""Entries of a list that don't overlap; where they do, nfdump 1.7.1 misses some."""
PORTS = [0, 1, 22, 53, 80, 443, 1024, 2048, 3000, 8080, 40000, 65535]
SMALL = [0, 1, 2, 3, 7, 24, 100, 200]
EXCEPTIONS = {
    "mpls any 17": "looks at the label at the bottom alone",
    "not flags SP": "negates the flags one by one",
    "ip in [8.8.8.8 10.1.2.3 10.0.0.0/8]": "misses some where entries overlap",
    "net 0.0.0.0 255.0.0.0": "takes IPv6 for IPv4",
    "net ::/1": "takes IPv4 for IPv6",
    "observation domain id 515": "has none of NetFlow v9",
    "fwdstat drop": "has numbers of its own for the names",
}
"""Filters that nfdump 1.7.1 understands otherwise, and what it does."""
MACS = [0x001122334455, 0x0A0B0C0D0E0F, 0x020000000001]
MASKS4, MASKS6 = [0, 8, 24, 32], [0, 32, 64, 128]

MORE = (
    Field("icmp", 32, 32, 2),  # without it nfdump takes an ICMP flow's destination port for 0
    Field("out_octets", 23, 23, 8),
    Field("out_packets", 24, 24, 8),
    Field("destination_tos", 55, 55, 1),
    Field("bgp_next_hop", 18, 63, 4),
    Field("source_vlan", 58, 58, 2),
    Field("destination_vlan", 59, 59, 2),
    Field("source_mac", 56, 56, 6),
    Field("post_destination_mac", 57, 57, 6),
    Field("destination_mac", 80, 80, 6),
    Field("post_source_mac", 81, 81, 6),
    *(Field(f"mpls_label_{n}", 69 + n, 69 + n, 3) for n in range(1, 4)),
    Field("forwarding_status", 89, 89, 1),
    Field("ingress_vrf", 234, 234, 4),
    Field("egress_vrf", 235, 235, 4),
    Field("post_nat_source_address", 225, 281, 4),
    Field("post_nat_destination_address", 226, 282, 4),
    Field("post_nat_source_port", 227, 227, 2),
    Field("post_nat_destination_port", 228, 228, 2),
    Field("nat_event", 230, 230, 1),
    Field("port_block_start", 361, 361, 2),
    Field("port_block_end", 362, 362, 2),
)
"""What stands in the records beside what every stream of ours has."""


def random_flows(choose: random.Random, count: int = FLOWS) -> dict[str, np.ndarray[Any, Any]]:
    """Return flows as `nftui.export` takes them, the values on the wire few, so that filters meet them."""
    six = [choose.random() < 0.4 for _ in range(count)]

    def numbers(values: list[int]) -> np.ndarray[Any, Any]:
        return np.array([choose.choice(values) for _ in range(count)], np.int64)

    def addresses() -> np.ndarray[Any, Any]:
        packed = [ip_address(choose.choice(ADDRESSES6 if is_six else ADDRESSES4)).packed for is_six in six]
        return np.frombuffer(b"".join(one if len(one) == 16 else MAPPED_PREFIX + one for one in packed), np.uint8).reshape(-1, 16)

    found: dict[str, np.ndarray[Any, Any]] = {field.column: numbers(SMALL) for field in MORE}
    start = BOOT + np.array([choose.randrange(0, 3_600_000) for _ in range(count)], np.int64) * 1000
    end = start + numbers([0, 1, 10, 100, 1000, 3000, 60_000, 300_000]) * 1000
    labels = {f"mpls_label_{n}": numbers([16, 17, 100, 1000]) * 16 + numbers([0, 2, 4]) + (n == 3) for n in range(1, 4)}
    address = {field.column: addresses() for field in MORE if field.column.endswith(("_address", "_hop"))}
    protocol = np.array([choose.choice([6, 6, 17, 47, 58 if is_six else 1]) for is_six in six], np.int64)
    icmp = (protocol == 1) | (protocol == 58)
    found |= labels | address
    found |= {name: addresses() for name in ("source_address", "destination_address", "next_hop")}
    found |= {name: numbers(MACS) for name in found if name.endswith("_mac")}
    found |= {name: numbers(PORTS) for name in ("post_nat_source_port", "post_nat_destination_port")}
    found |= {
        "protocol": protocol,
        "flow_start": start,
        "flow_end": end,
        "octets": np.array(choose.sample(range(40, 5_000_000), count), np.int64),
        "packets": numbers([1, 2, 3, 5, 10, 100, 1000]),
        "source_port": np.where(icmp, 0, numbers(PORTS)),
        "destination_port": np.where(icmp, numbers([0, 3, 8, 128]) * 256 + numbers([0, 1, 3]), numbers(PORTS)),
        "icmp": icmp * 1,
        "tcp_flags": np.where(protocol == 6, numbers([0, 2, 18, 16, 27, 4, 63]), 0),
        "tos": numbers([0, 16, 184, 255]),
        "ingress_interface": numbers(SMALL),
        "egress_interface": numbers(SMALL),
        "source_as": numbers([0, 100, 200, 64496]),
        "destination_as": numbers([0, 100, 200, 64496]),
        "source_mask": np.where(six, numbers(MASKS6), numbers(MASKS4)),
        "destination_mask": np.where(six, numbers(MASKS6), numbers(MASKS4)),
        "flow_direction": numbers([0, 1]),
        "forwarding_status": numbers([0, 1, 2, 16, 64, 131]),
        "nat_event": numbers([0, 1, 2, 4, 5]),
        "port_block_start": numbers([0, 1024, 2048]),
        "port_block_end": numbers([1023, 2047, 4095]),
    }
    found["icmp"] *= found["destination_port"]
    return found


class RandomFilters:
    """Makes filters of what nfdump 1.7.1 and the language mean alike."""

    def __init__(self, seed: int) -> None:
        self._choose = random.Random(seed)
        self._terms: list[Callable[[], str]] = [
            lambda: self._pick(["any", "ipv4", "ipv6", "inet", "inet6", "not any"]),
            lambda: f"proto {self._pick(['tcp', 'udp', 'icmp', 'icmp6', 'gre', 'TCP', 6, 17, 47, 58, 99])}",
            self._address,
            self._address,
            self._network,
            self._network,
            lambda: f"{self._end()}ip in [{self._several(self._choose.choice([ADDRESSES4, APART]))}]",
            lambda: f"{self._pick(['router', 'next', 'bgpnext'])} ip {self._pick([*ADDRESSES4, *ADDRESSES6, '127.0.0.1'])}",
            lambda: self._number(f"{self._end()}port", PORTS),
            lambda: self._number(f"{self._end()}port", PORTS),
            lambda: f"{self._end()}port in [{self._several(PORTS)}]",
            lambda: f"icmp-{self._pick(['type', 'code'])} {self._pick([0, 1, 3, 8, 128])}",
            lambda: self._number(f"engine-{self._pick(['type', 'id'])}", [0, 2, 3, 255]),
            lambda: f"{self._pick(['', 'in ', 'out '])}if {self._pick(SMALL)}",
            lambda: f"{self._pick(['', 'src ', 'dst '])}mask {self._pick([*MASKS4, *MASKS6])}",
            lambda: f"{self._pick(['', 'src ', 'dst '])}vlan {self._pick(SMALL)}",
            lambda: f"{self._pick(['', 'in ', 'out ', 'in src ', 'in dst ', 'out src ', 'out dst '])}mac {self._mac()}",
            lambda: f"flags {self._pick(list('FSRPAU'))}",
            lambda: self._number("flags", [0, 2, 16, 18, 27, 63]),
            lambda: self._number(self._pick(["tos", "src tos", "dst tos"]), [0, 1, 16, 184, 200, 255]),
            lambda: self._number(f"{self._pick(['', 'in ', 'out '])}packets", [0, 1, 2, 5, 100, "1k", "1m"]),
            lambda: self._number(f"{self._pick(['', 'in '])}bytes", [40, 1000, "100k", "1m", "2M", "1g"]),
            lambda: self._number("out bytes", SMALL),
            lambda: self._number("duration", [0, 1, 10, 999, 1000, 3000, "60k"]),
            lambda: self._number("bps", [0, 1000, "1m", "100m", "1g"]),
            lambda: self._number("pps", [0, 1, 5, 100, "1k"]),
            lambda: self._number("bpp", [0, 100, 1000, "10k", "1m"]),
            lambda: f"flowdir {self._pick(['ingress', 'egress', 0, 1])}",
            lambda: self._number(f"mpls label{self._pick([1, 2, 3])}", [0, 16, 17, 100, 1000]),
            lambda: self._number("mpls eos", [16, 17, 100, 1000]),
            lambda: f"fwdstat {self._pick([0, 1, 2, 16, 64, 131])}",
            lambda: f"{self._end()}{self._pick(['xip', 'nip'])} {self._pick([*ADDRESSES4, *ADDRESSES6])}",
            lambda: f"{self._end()}xnet {self._pick(['10.0.0.0/8', '192.168.0.0/24', '2001:db8::/32'])}",
            lambda: self._number(f"{self._end()}{self._pick(['xport', 'nport'])}", PORTS),
            lambda: self._number("nat event", [0, 1, 2, 4, 5]),
            lambda: f"nat event {self._pick(['add', 'delete'])}",
            lambda: f"{self._pick(['ingress', 'egress'])} vrf {self._pick(SMALL)}",
            lambda: self._number(f"pblock {self._pick(['start', 'end'])}", [0, 1023, 1024, 2047, 2048, 4095]),
            lambda: f"{self._pick(['', 'src ', 'dst '])}port in pblock",
            lambda: "ident none",
        ]

    def _pick(self, values: list[Any] | list[str] | list[int]) -> str:
        return str(self._choose.choice(values))

    def _several(self, values: list[Any] | list[int]) -> str:
        return " ".join(str(value) for value in self._choose.sample(values, self._choose.choice([1, 2, 3])))

    def _end(self) -> str:
        return self._pick(["", "", "src ", "dst ", "src or dst ", "src and dst "])

    def _number(self, field: str, values: list[Any]) -> str:
        comparator = self._pick(["", "", "=", "==", ">", "<", ">=", "<=", "eq", "gt", "lt", "ge", "le"])
        return " ".join(filter(None, [field, comparator, self._pick(values)]))

    def _address(self) -> str:
        return f"{self._end()}{self._pick(['ip', 'host'])} {self._pick([*ADDRESSES4, *ADDRESSES6])}"

    def _network(self) -> str:
        if self._choose.random() < 0.3:
            return f"{self._end()}net {self._pick(ADDRESSES6)}/{self._pick([4, 16, 32, 48, 64, 96, 127, 128])}"
        if self._choose.random() < 0.2:
            masks = ["255.0.0.0", "255.255.255.0", "255.255.255.255"]
            return f"{self._end()}net {self._pick(ADDRESSES4[:-1])} {self._pick(masks)}"
        return f"{self._end()}net {self._pick(ADDRESSES4)}/{self._pick([1, 8, 12, 16, 24, 30, 32])}"

    def _mac(self) -> str:
        return self._choose.choice(MACS).to_bytes(6, "big").hex(":")

    def terms(self) -> list[str]:
        """Return a comparison of every kind."""
        return [term() for term in self._terms]

    def term(self) -> str:
        """Return one comparison."""
        return self._choose.choice(self._terms)()

    def filter(self, depth: int = 3) -> str:
        """Return terms joined at will."""
        shape = self._choose.random()
        if depth == 0 or shape < 0.25:
            return self.term()
        if shape < 0.5:
            return f"not {self.term()}" if shape < 0.4 else f"not ({self.filter(depth - 1)})"
        joined = f" {self._pick(['and', 'or'])} ".join(self.filter(depth - 1) for _ in range(self._choose.choice([2, 2, 3])))
        return f"({joined})" if shape < 0.8 else joined


@dataclass(frozen=True)
class Oracle:
    """The same flows twice.

    Attributes:
        flows: As the decoder gives them.
        store: As nfcapd wrote them.
    """

    flows: pl.DataFrame
    store: Path

    def here(self, written: str) -> set[int]:
        """Return the octets of the flows that a filter matches, by ours."""
        tree = parse(written)
        needed = self.flows.select("octets", *(columns(tree) - {"octets"}))
        return set(needed.filter(expression(tree))["octets"].to_list())

    def there(self, written: str) -> set[int]:
        """Return the same by nfdump.

        Raises:
            ValueError: nfdump refuses the filter.
        """
        command = [peers.require("nfdump"), "-q", "-N", "-R", str(self.store), "-o", "fmt:%byt", written]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if result.returncode != 0:
            raise ValueError(f"nfdump refuses {written!r}: {result.stdout} {result.stderr}".strip())
        return {int(line) for line in result.stdout.split("\n") if line.strip().isdigit()}


def oracle(folder: Path, seed: int) -> Oracle:
    """Send random flows to a real nfcapd, and decode the same datagrams."""
    found = random_flows(random.Random(seed))
    order = np.argsort(found["flow_end"], kind="stable")
    found = {name: values[order] for name, values in found.items()}
    payloads = netflow9.encode(found, found["flow_end"] + SECOND, domain=DOMAIN, boot=BOOT, sequence=0, more=MORE).payloads
    flows, _ = decode(*payloads)
    missing = {name: pl.lit(None, dtype) for name, dtype in POLARS.items() if name not in flows.columns}
    router = pl.lit(MAPPED_PREFIX + ip_address("127.0.0.1").packed).alias("exporter_address")
    with nfcapd(folder) as port:
        send(payloads, port)
    return Oracle(flows.with_columns(router, **missing), folder)


def differing(flows: Oracle, written: list[str]) -> list[str]:
    """Return filters that the two understand differently, each with how many flows one has and the other has not."""

    def compare(one: str) -> str | None:
        try:
            there = flows.there(one)
        except ValueError as error:
            return str(error)
        here = flows.here(one)
        again = flows.here(text(parse(one)))
        if here == there == again:
            return None
        return f"{one!r}: {len(here - there)} here alone, {len(there - here)} there alone, {len(here ^ again)} after printing"

    with ThreadPoolExecutor(2) as threads:
        return [found for found in threads.map(compare, written) if found]


def main() -> None:
    """Compare as many filters as the command line says, and tell which differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    filters = RandomFilters(options.seed)
    written = [filters.filter() for _ in range(options.times)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        flows = oracle(Path(folder), options.seed)
        found = differing(flows, written)
    for line in found:
        print(line)
    print(f"{len(written)} filters over {flows.flows.height} flows in {time.monotonic() - began:.0f} s: {len(found)} differ")


if __name__ == "__main__":
    main()
