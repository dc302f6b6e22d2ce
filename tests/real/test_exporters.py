"""Real probes export to nftui and to the real nfcapd; both must have counted the same."""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import peers
from tests.nfcapd import nfcapd, stored
from tests.real import namespace
from tests.running import answer, collecting, told

PROBE = Path(__file__).parents[1] / "data" / "probe"
TRAFFIC = {"probe-ipfixprobe-mixed": 157, "probe-zeek-var-services": 259}
"""Capture -> its IP packets."""
PROTOCOLS = {"5": "v5", "9": "v9", "10": "IPFIX"}
TCP, UDP = 6, 17

Flow = tuple[Any, ...]
"""Source, destination, their ports where there are some, protocol, octets, packets."""


def nfdump(folder: Path) -> tuple[dict[str, int], Counter[Flow]]:
    """Return totals and flows as nfdump reads them."""
    command = [peers.require("nfdump"), "-r", str(stored(folder)), "-N"]
    listed = subprocess.run([*command, "-I"], capture_output=True, text=True, check=True).stdout
    found = {name: int(value) for name, value in re.findall(r"^(Flows|Bytes|Packets): (\d+)", listed, re.MULTILINE)}
    flows = json.loads(subprocess.run([*command, "-o", "json"], capture_output=True, text=True, check=True).stdout)
    totals = {"flows": found["Flows"], "octets": found["Bytes"], "packets": found["Packets"]}
    return totals, Counter(
        _flow(
            one.get("src4_addr") or one["src6_addr"], one.get("dst4_addr") or one["dst6_addr"],
            one.get("src_port"), one.get("dst_port"), one["proto"], one["in_bytes"], one["in_packets"],
        )
        for one in flows
        if one["type"] == "FLOW"
    )  # fmt: skip


def ours(data: Path) -> tuple[dict[str, int], Counter[Flow]]:
    """Return totals and flows as nftui reads them."""
    (row,) = answer("summary", "--data", data)["rows"]
    flows = map(json.loads, told("flows", "--data", data, "-o", "ndjson").splitlines())
    return {name: row[name] for name in ("flows", "octets", "packets")}, Counter(
        _flow(
            one["source_address"], one["destination_address"], one.get("source_port"), one.get("destination_port"),
            one["protocol"], one["octets"], one["packets"],
        )
        for one in flows
    )  # fmt: skip


def _flow(source: str, destination: str, sport: Any, dport: Any, protocol: int, octets: int, packets: int) -> Flow:
    ports = (sport, dport) if protocol in (TCP, UDP) else ()
    return source, destination, ports, protocol, octets, packets


def softflowd(capture: Path, port: int, version: str, *more: str) -> tuple[int, int]:
    """Have softflowd read a capture and export it; return how many records in how many datagrams it says it sent."""
    command = [
        peers.require("softflowd"), "-r", str(capture), "-n", f"127.0.0.1:{port}", "-v", version, "-d", "-6", "-c", "none", *more,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said, _ = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            # Some builds of 1.1.0 stay after they have read the file, and have sent all by then.
            process.terminate()
            try:
                said, _ = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                said, _ = process.communicate()
    match = re.search(r"Flows exported: \d+ \((\d+) records\) in (\d+) packets \(0 failures\)", said)
    assert match, said
    return int(match[1]), int(match[2])


@pytest.mark.peer("softflowd", "nfcapd", "nfdump")
@pytest.mark.parametrize("version", PROTOCOLS, ids=PROTOCOLS.values())
@pytest.mark.parametrize("traffic", TRAFFIC)
def test_softflowd(traffic: str, version: str, tmp_path: Path) -> None:
    capture = PROBE / f"{traffic}.pcap"
    with nfcapd(tmp_path / "nfcapd") as port:
        sent = softflowd(capture, port, version)
    with collecting(tmp_path / "store") as collector:
        assert softflowd(capture, collector.port, version) == sent
        collector.wait_for(lambda: collector.status().get("datagrams") == sent[1])
        status = collector.status()
    totals, flows = ours(tmp_path / "store")
    assert (totals, flows) == nfdump(tmp_path / "nfcapd")
    assert 0 < totals["flows"] <= sent[0], "softflowd counts its options record too"
    assert version == "5" or totals["packets"] == TRAFFIC[traffic], "v5 has no IPv6"
    (exporter,) = status["exporters"]
    assert exporter["protocol"] == PROTOCOLS[version]
    assert (exporter["malformed"], exporter["unread"]) == ({}, {})
    # Its IPFIX messages number the records up to their own end, not up to their start: nfcapd, too, takes that for a loss.
    assert version == "10" or exporter["sequence_lost"] == 0
    assert (exporter["options_records"] > 0) == (version != "5")


def by_softflowd(store: Path, traffic: str, version: str, *more: str) -> tuple[dict[str, int], Counter[Flow], dict[str, Any]]:
    """Return totals and flows of a capture that softflowd reads and exports, and the exporter's status."""
    with collecting(store) as collector:
        _, datagrams = softflowd(PROBE / f"{traffic}.pcap", collector.port, version, *more)
        collector.wait_for(lambda: collector.status().get("datagrams") == datagrams)
        (exporter,) = collector.status()["exporters"]
    return *ours(store), exporter


@pytest.mark.row("C06")
@pytest.mark.peer("softflowd")
@pytest.mark.parametrize("traffic", TRAFFIC)
def test_softflowd_version_1(traffic: str, tmp_path: Path) -> None:
    """The same flows as in version 5; nfcapd, which loses records of version 1, is no judge."""
    one, five = (by_softflowd(tmp_path / version, traffic, version) for version in ("1", "5"))
    assert one[:2] == five[:2]
    assert (one[2]["protocol"], one[2]["malformed"], one[2]["unread"]) == ("v1", {}, {})
    assert one[0]["flows"] > 0


@pytest.mark.peer("softflowd")
@pytest.mark.parametrize("traffic", TRAFFIC)
def test_softflowd_biflows(traffic: str, tmp_path: Path) -> None:
    """Records that count both directions hold what records of one direction hold."""
    both, single = by_softflowd(tmp_path / "both", traffic, "10", "-b"), by_softflowd(tmp_path / "single", traffic, "10")
    assert [both[0][name] for name in ("octets", "packets")] == [single[0][name] for name in ("octets", "packets")]
    assert both[2]["reverse_flows"] > 0 and single[2]["reverse_flows"] == 0
    # It writes a record of no octets where only the other side sent something.
    assert Counter({flow: count for flow, count in both[1].items() if flow[-1]}) == single[1]


def frames(capture: Path) -> list[bytes]:
    """Return the frames of a classic little-endian pcap."""
    octets, found, at = capture.read_bytes(), [], 24
    while at < len(octets):
        length = struct.unpack_from("<I", octets, at + 8)[0]
        found.append(octets[at + 16 : at + 16 + length])
        at += 16 + length
    return found


def replay(capture: Path, link: str) -> None:
    """Put the frames of a capture on a link."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((link, 0))
        for frame in frames(capture):
            wire.send(frame)
            time.sleep(0.001)


@contextmanager
def fprobe(link: str, *ports: int) -> Iterator[None]:
    """A running fprobe, which exports what it saw at once when the block ends: the same to each port."""
    # Its queue is short: packets that the kernel hands over in one go would be dropped.
    command = [peers.require("fprobe"), "-i", link, "-f", "ip", "-l", "2", "-q", "10000", *(f"127.0.0.1:{port}" for port in ports)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(1)
            yield
            time.sleep(2)  # the kernel hands packets over at least once a second
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.mark.peer("fprobe", "nfcapd", "nfdump", "ip")
def test_fprobe_on_a_wire(tmp_path: Path) -> None:
    """fprobe watches one end of a link while traffic enters at the other, in a network of their own."""

    def run() -> None:
        near, far = namespace.link()
        with nfcapd(tmp_path / "nfcapd") as port, collecting(tmp_path / "store") as collector:
            with fprobe(near, port, collector.port):
                replay(PROBE / "probe-zeek-var-services.pcap", far)
            collector.wait_for(lambda: collector.status().get("datagrams") == 3)

    with ThreadPoolExecutor(1) as executor:
        executor.submit(namespace.inside, run).result()
    totals, flows = ours(tmp_path / "store")
    assert (totals, flows) == nfdump(tmp_path / "nfcapd")
    assert totals["packets"] == TRAFFIC["probe-zeek-var-services"] - 6, "all but those of IPv6"
