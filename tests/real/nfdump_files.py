"""Files that the real nfcapd wrote of what the corpus holds, and what the real nfdump says is in a file."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import polars as pl

from nftui.capture.nfdump.files import FileCounts, NfdumpFile
from nftui.capture.pcap import read_capture
from tests import peers
from tests.capture import corpus
from tests.nfcapd import nfcapd, send, stored

PLAIN = {
    "in_packets": "packets",
    "in_bytes": "octets",
    "proto": "protocol",
    "src_port": "source_port",
    "dst_port": "destination_port",
    "src_tos": "tos",
    "fwd_status": "forwarding_status",
    "input_snmp": "ingress_interface",
    "output_snmp": "egress_interface",
    "src_mask": "source_mask",
    "dst_mask": "destination_mask",
    "direction": "flow_direction",
    "dst_tos": "destination_tos",
    "src_as": "source_as",
    "dst_as": "destination_as",
    "src_vlan": "source_vlan",
    "dst_vlan": "destination_vlan",
    "out_packets": "out_packets",
    "out_bytes": "out_octets",
    "aggr_flows": "flow_count",
    "icmp_type": "icmp_type",
    "icmp_code": "icmp_code",
    "ingress_vrf": "ingress_vrf",
    "egress_vrf": "egress_vrf",
    "connect_id": "connection_id",
    "src_xlt_port": "post_nat_source_port",
    "dst_xlt_port": "post_nat_destination_port",
    "event_id": "firewall_event",
    "xevent_id": "firewall_extended_event",
    "user_name": "user_name",
}
ADDRESSES = {
    "src4_addr": "source_address",
    "dst4_addr": "destination_address",
    "src6_addr": "source_address",
    "dst6_addr": "destination_address",
    "ip4_next_hop": "next_hop",
    "ip6_next_hop": "next_hop",
    "bgp4_next_hop": "bgp_next_hop",
    "ip4_router": "exporter_address",
    "src4_xlt_ip": "post_nat_source_address",
    "dst4_xlt_ip": "post_nat_destination_address",
}
MACS = {
    "in_src_mac": "source_mac",
    "out_dst_mac": "post_destination_mac",
    "in_dst_mac": "destination_mac",
    "out_src_mac": "post_source_mac",
}
TIMES = {"first": "flow_start", "last": "flow_end", "received": "received"}
COLUMNS = sorted({*PLAIN.values(), *ADDRESSES.values(), *MACS.values(), *TIMES.values(), "tcp_flags"})


def collect(folder: Path, *captures: Path, words: tuple[str, ...] = ()) -> Path:
    """Send what captures hold to a real nfcapd, each from an address of its own, and return the file that it wrote."""
    with nfcapd(folder, *words) as port:
        for number, capture in enumerate(captures, 1):
            send(_payloads(capture), port, f"127.0.1.{number}")
    return stored(folder)


def _payloads(capture: Path) -> Iterator[bytes]:
    for block in read_capture(capture):
        for row, length in enumerate(block.length.tolist()):
            yield block.payload[row, :length].tobytes()


def captures() -> list[Path]:
    """Return the captures that the repository holds."""
    return sorted(corpus.HERE.glob("*.pcap"))


def read(path: Path, columns: tuple[str, ...] | None = None) -> tuple[pl.DataFrame, FileCounts]:
    """Return the flows of a file, as we read it, and the counts."""
    counts = FileCounts()
    frames = list(NfdumpFile(path).frames(columns, counts))
    assert all(frame.height for frame in frames)
    return (pl.concat(frames, how="diagonal") if frames else pl.DataFrame()), counts


def nfdump(*words: object) -> str:
    """Run the real nfdump, and return what it printed."""
    command = [peers.require("nfdump"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={"TZ": "UTC"}).stdout


def totals(*words: object) -> dict[str, int]:
    """Return flows, octets and packets as the real nfdump adds them up."""
    found = re.search(r"total flows: (\d+), total bytes: (\d+), total packets: (\d+)", nfdump(*words, "-N", "-o", "line"))
    assert found
    return dict(zip(("flows", "octets", "packets"), map(int, found.groups()), strict=True))


def theirs(path: Path) -> Counter[tuple[Any, ...]]:
    """Return the flows of a file as the real nfdump prints them."""
    found: Counter[tuple[Any, ...]] = Counter()
    for row in json.loads(nfdump("-r", path, "-o", "json")):
        flow: dict[str, Any] = {column: row[name] for name, column in PLAIN.items() if row.get(name)}
        # Some numbers are printed as text.
        flow |= {column: int(value) for column, value in flow.items() if column != "user_name"}
        flow["user_name"] = None if flow.get("user_name") == "<empty>" else flow.get("user_name")
        flow["tcp_flags"] = sum(1 << bit for bit, letter in enumerate(reversed(row.get("tcp_flags", ""))) if letter != ".")
        for name, column in ADDRESSES.items():
            # Some flows have addresses of both kinds, of which one is zero.
            if name in row and (column not in flow or int(ip_address(row[name]))):
                flow[column] = str(ip_address(row[name]))
        flow |= {column: int(row[name].replace(":", ""), 16) for name, column in MACS.items() if row.get(name)}
        flow |= {column: _milliseconds(row[name]) for name, column in TIMES.items()}
        found[tuple(flow.get(column) or None for column in COLUMNS)] += 1
    return found


def ours(flows: pl.DataFrame) -> Counter[tuple[Any, ...]]:
    """Return the flows of a file in the same form: 0 and what is absent are the same here, and ICMP has no ports."""
    found: Counter[tuple[Any, ...]] = Counter()
    for row in flows.iter_rows(named=True):
        flow = {column: row.get(column) for column in COLUMNS}
        for column in ADDRESSES.values():
            if flow[column] is not None:
                address = ip_address(flow[column])
                flow[column] = str(getattr(address, "ipv4_mapped", None) or address)
        for column in TIMES.values():
            flow[column] = None if flow[column] is None else round(flow[column].timestamp() * 1000)
        if flow["protocol"] in (1, 58):
            flow["source_port"] = flow["destination_port"] = flow["tcp_flags"] = None
        found[tuple(flow[column] or None for column in COLUMNS)] += 1
    return found


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)
