"""sFlow as it is encoded: read again sample by sample, by tshark, and by sfcapd."""

from __future__ import annotations

import ipaddress
import struct
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nftui.export import sflow
from nftui.export.netflow import EMPTY, PAYLOAD, Datagrams
from tests import peers
from tests.bench import collectors, traffic
from tests.capture import build
from tests.fuzz.steps import Sent, Step, save

FLOWS = 5000
NOW = build.NOW * traffic.SECOND


@pytest.fixture(scope="module")
def made() -> tuple[traffic.Flows, Datagrams]:
    """Flows, and the datagrams of their samples."""
    hosts = traffic.Hosts(2000, 1)
    ((flows, datagrams),) = traffic.chunks("sflow", FLOWS, NOW, 60 * traffic.SECOND, hosts)
    return flows, datagrams


def address(octets: Any) -> str:
    value = ipaddress.IPv6Address(bytes(octets))
    return str(value.ipv4_mapped or value)


def wanted(flows: traffic.Flows) -> list[tuple[Any, ...]]:
    """Return what each sample has to say: addresses, protocol, ports, length of the IP packet, interfaces."""
    columns = flows.columns
    rows = []
    for row in range(len(flows.exported)):
        source, destination = (address(columns[f"{end}_address"][row]) for end in ("source", "destination"))
        protocol = int(columns["protocol"][row])
        least = (40 if ":" in source else 20) + {6: 20}.get(protocol, 8)
        size = min(max(int(columns["octets"][row] // columns["packets"][row]), least), 1500)
        ports = tuple(int(columns[name][row]) for name in ("source_port", "destination_port"))
        ports = (0x0800, 0) if protocol in (1, 58) else ports
        interfaces = tuple(int(columns[name][row]) for name in ("ingress_interface", "egress_interface"))
        rows.append((source, destination, protocol, *ports, size, *interfaces))
    return rows


def samples(datagram: bytes) -> list[tuple[Any, ...]]:
    """Read a datagram."""
    version, family, agent, sub, _, _, number = struct.unpack_from(">II4sIIII", datagram)
    assert (version, family, agent, sub) == (5, 1, traffic.AGENT, 0)
    found, at = [], 28
    for _ in range(number):
        kind, length, _, _, rate, pool, drops, *interfaces, records = struct.unpack_from(">10I", datagram, at)
        assert (kind, rate, pool % rate, drops, records) == (1, traffic.SAMPLING, 0, 0, 2)
        end, inside = at + 8 + length, at + 40
        assert struct.unpack_from(">II", datagram, inside) == (1001, 16)
        inside += 24
        kind, size, protocol, frame, stripped, held = struct.unpack_from(">6I", datagram, inside)
        assert (kind, size, protocol, stripped) == (1, 16 + held + -held % 4, 1, 4)
        assert inside + 8 + size == end
        assert held == min(128, frame - 4)
        found.append((*packet(datagram[inside + 24 : inside + 24 + held], frame), *interfaces))
        at = end
    assert at == len(datagram)
    return found


def packet(octets: bytes, frame: int) -> tuple[Any, ...]:
    """Read a raw header: addresses, protocol, ports, length of the IP packet."""
    (kind,) = struct.unpack_from(">H", octets, 12)
    if kind == 0x0800:
        words = struct.unpack_from(">10H", octets, 14)
        assert sum(words) % 0xFFFF == 0, "the checksum"
        size, protocol, ends, at = words[1], octets[23], (octets[26:30], octets[30:34]), 34
    else:
        size, protocol, ends, at = struct.unpack_from(">H", octets, 18)[0] + 40, octets[20], (octets[22:38], octets[38:54]), 54
    assert frame == max(64, 14 + size + 4)
    return (*(str(ipaddress.ip_address(end)) for end in ends), protocol, *struct.unpack_from(">HH", octets, at), size)


def test_each_flow_is_a_sample(made: tuple[traffic.Flows, Datagrams]) -> None:
    flows, datagrams = made
    assert [sample for payload in datagrams.payloads for sample in samples(payload)] == wanted(flows)
    assert [len(samples(payload)) for payload in datagrams.payloads] == datagrams.records.tolist()
    assert max(map(len, datagrams.payloads)) <= PAYLOAD
    assert 6 <= datagrams.records.mean() <= 8
    assert (np.diff(datagrams.moments) >= 0).all()
    assert datagrams.sequence == len(datagrams.payloads)


def test_numbers_go_on() -> None:
    hosts = traffic.Hosts(2000, 1)
    flows = next(traffic.chunks("sflow", 100, NOW, 60 * traffic.SECOND, hosts))[0]
    first = sflow.encode(flows.columns, flows.exported, agent=traffic.AGENT, boot=0, sequence=2**32 - 3, samples=2**32 - 1)
    numbers = [struct.unpack_from(">I", payload, 16)[0] for payload in first.payloads]
    assert numbers == [(2**32 - 3 + place) % 2**32 for place in range(len(numbers))]
    assert first.sequence == (numbers[-1] + 1) % 2**32
    assert struct.unpack_from(">I", first.payloads[0], 36)[0] == 0


def test_nothing_makes_no_datagram() -> None:
    none = {name: np.zeros(0, np.int64) for name in ("protocol", "source_address", "destination_address")}
    nothing = sflow.encode(none, np.zeros(0, np.int64), agent=traffic.AGENT, boot=0, sequence=7, samples=0)
    assert (nothing.payloads, nothing.sequence) == (EMPTY.payloads, 7)


@pytest.mark.peer("tshark")
def test_tshark_reads_the_same(made: tuple[traffic.Flows, Datagrams], tmp_path: Path) -> None:
    flows, datagrams = made
    some = datagrams.payloads[:150]
    save(tmp_path / "some.pcap", [Step(0, [Sent(one, build.EXPORTER) for one in some], 6343, NOW)])
    fields = ["sflow.flow_sample.sampling_rate", "ip.src", "ip.dst", "ipv6.src", "tcp.dstport", "udp.dstport", "_ws.malformed"]
    words = [
        peers.require("tshark"),
        "-r",
        str(tmp_path / "some.pcap"),
        "-T",
        "fields",
        *(word for one in fields for word in ("-e", one)),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = [dict(zip(fields, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]
    assert not any(line["_ws.malformed"] for line in lines)
    number = int(datagrams.records[: len(some)].sum())
    rows = wanted(flows)[:number]

    def seen(name: str, *, skip: int = 0) -> Counter[str]:
        return Counter(value for line in lines for value in line[name].split(",")[skip:] if value)

    assert sum(seen("sflow.flow_sample.sampling_rate").values()) == number
    assert seen("ip.src", skip=1) == Counter(row[0] for row in rows if ":" not in row[0])
    assert seen("ip.dst", skip=1) == Counter(row[1] for row in rows if ":" not in row[0])
    assert seen("ipv6.src") == Counter(row[0] for row in rows if ":" in row[0])
    assert seen("tcp.dstport") == Counter(str(row[4]) for row in rows if row[2] == 6)
    assert seen("udp.dstport", skip=1) == Counter(str(row[4]) for row in rows if row[2] == 17)


@pytest.mark.peer("sfcapd", "nfdump")
def test_sfcapd_stores_each_sample(tmp_path: Path) -> None:
    recording = traffic.record(tmp_path / "some.datagrams", "sflow", FLOWS)
    _, sfcapd = collectors.known("sflow")
    assert sfcapd.name == "sfcapd lz4"
    done = collectors.ingest(sfcapd, tmp_path / "some.datagrams", tmp_path / "stored", rate=20_000, seconds=0)
    assert (done.sent, done.stored) == (recording.flows, FLOWS)
