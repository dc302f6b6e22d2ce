"""Flows sent as v5, v9 and IPFIX to the real nfcapd, nfacctd and tshark, and back to ourselves: the same each time."""

from __future__ import annotations

import re
import struct
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui import schema
from nftui.config import ProbeSettings
from nftui.engine import packet_files
from nftui.export.exporter import Exporter
from nftui.export.flow_columns import FlowColumns
from nftui.export.streams import Format, stream
from nftui.units import MAPPED_PREFIX, SECOND
from tests import nfacctd, nfcapd, peers
from tests.capture import corpus
from tests.capture.test_pcap import pcap_file
from tests.export import flow_frames
from tests.real import nfdump_files
from tests.running import answer, collecting, wait_for

MARKS = {Format.NETFLOW5: 5, Format.NETFLOW9: 9, Format.IPFIX: 10}
"""The interface by which flows say what they were sent as."""
MARK = "ingress_interface"
PACKETS = corpus.ROOT / "tests/data/probe/probe-ipfixprobe-mixed.pcap"
FLOW = ("source_address", "destination_address", "source_port", "destination_port", "protocol", "octets", "packets")


DETAILS = (*FLOW, "flow_start", "flow_end", "tos", "tcp_flags", "source_as", "destination_as", "source_mask", "destination_mask",
           "source_vlan", "destination_vlan", "source_mac", "destination_mac", "egress_interface", "next_hop")  # fmt: skip


@cache
def flows() -> pl.DataFrame:
    """Return flows of the corpus, of packets, and random ones: all that each of the collectors takes for flows of the Internet."""
    captures = [capture for capture in sorted(corpus.HERE.glob("*.pcap")) if "sflow" not in capture.name]
    decoded = [corpus.forward(corpus.decode(capture).flows) for capture in captures]
    known = pl.concat(decoded, how="diagonal").drop("clock_correction", "sampling_interval", "out_octets", "out_packets")
    known = known.filter(*(pl.col(name).is_not_null() for name in FLOW), pl.col("packets") > 0, pl.col("octets") > 0)
    metered = [frame for frames, _ in packet_files.flows_of(PACKETS, ProbeSettings(), Counter()) for frame in frames]
    return pl.concat([known, *metered, random_flows(600, 0.2)], how="diagonal")


def flows_of(of: Format) -> pl.DataFrame:
    """Return the flows that a format has a place for."""
    both = flows()
    source, destination = (pl.col(f"{end}_address").bin.starts_with(MAPPED_PREFIX) for end in ("source", "destination"))
    both = both.filter(source & destination if of is Format.NETFLOW5 else source == destination)
    return both.with_columns(pl.lit(MARKS[of], schema.POLARS[MARK]).alias(MARK))


def random_flows(rows: int, absent: float) -> pl.DataFrame:
    """Return random flows that all have addresses and counters, and nothing that these collectors add up otherwise."""
    made = flow_frames.frame(5, rows, time.time_ns() // 1000 - SECOND, absent)
    made = made.drop("sampling_interval", "firewall_event", "nat_event", "out_octets", "out_packets", "flow_count")
    made = made.filter(pl.col("source_address").is_not_null(), pl.col("destination_address").is_not_null())
    return made.with_columns(pl.col("octets", "packets").fill_null(1))


def totals(flows: pl.DataFrame) -> dict[str, int]:
    return {"octets": int(flows["octets"].sum()), "packets": int(flows["packets"].sum())}


@pytest.fixture(scope="module")
def sent() -> dict[Format, pl.DataFrame]:
    """What is sent in each format."""
    return {of: flows_of(of) for of in Format}


@pytest.mark.row("B01")
@pytest.mark.peer("nfcapd", "nfdump", "nfacctd")
def test_all_collectors_add_up_the_same(sent: dict[Format, pl.DataFrame], tmp_path: Path) -> None:
    records = {}
    with ExitStack() as stack:
        pmacct = stack.enter_context(nfacctd.nfacctd(tmp_path / "nfacctd"))
        port = stack.enter_context(nfcapd.nfcapd(tmp_path / "nfcapd"))
        us = stack.enter_context(collecting(tmp_path / "us"))
        for of, some in sent.items():
            assert some.height > 1000
            targets = [f"127.0.0.1:{port}" for port in (pmacct.port, port, us.port)]
            exporter = Exporter(targets, of, domain=MARKS[of], pace=3000)
            exporter.send(some)
            exporter.close()
            counts = exporter.counts
            records[of] = counts.stream.records
            assert counts.stream.flows == some.height
            assert [one[0].datagrams for one in counts.targets.values()] == [counts.datagrams] * 3

        def theirs(of: Format) -> dict[str, int]:
            rows = [row for row in pmacct.flows() if row["iface_in"] == MARKS[of]]
            return {"octets": sum(row["bytes"] for row in rows), "packets": sum(row["packets"] for row in rows)}

        wait_for(lambda: all(theirs(of) == totals(some) for of, some in sent.items()))
        assert pmacct.complaints() == []
        (exporter_status,) = us.status()["exporters"]
        assert not exporter_status["malformed"] and not exporter_status["unread"] and not exporter_status["unknown_elements"]
        assert exporter_status["sequence_lost"] == 0
    assert re.findall(r"Sequence failures: (\d+)", nfdump_files.nfdump("-E", nfcapd.stored(tmp_path / "nfcapd"))) == ["0"] * 3
    for of, some in sent.items():
        wanted = {"flows": records[of], **totals(some)}
        assert nfdump_files.totals("-r", nfcapd.stored(tmp_path / "nfcapd"), f"in if {MARKS[of]}") == wanted
        (row,) = answer("summary", "--data", tmp_path / "us", "--raw", f"in if {MARKS[of]}")["rows"]
        assert {name: row[name] for name in wanted} == wanted


@pytest.mark.peer("nfcapd", "nfdump", "nfacctd")
def test_sampling_is_understood(tmp_path: Path) -> None:
    """By nfcapd from options, by which it multiplies; by nfacctd from each flow."""
    some = random_flows(60, 0).filter(pl.col("source_address").bin.starts_with(MAPPED_PREFIX))
    some = some.with_columns(pl.lit(100, pl.Int64).alias("sampling_interval"), pl.col("octets", "packets") % 1000)
    with nfacctd.nfacctd(tmp_path / "nfacctd") as pmacct, nfcapd.nfcapd(tmp_path / "nfcapd") as port:
        for of in Format:
            exporter = Exporter([f"127.0.0.1:{pmacct.port}", f"127.0.0.1:{port}"], of, domain=MARKS[of], sampling=100, pace=3000)
            exporter.send(some.with_columns(pl.lit(MARKS[of], pl.Int64).alias(MARK)))
            exporter.close()
        wait_for(lambda: sum(row["bytes"] for row in pmacct.flows()) == 3 * totals(some)["octets"])
        assert {(row["iface_in"], row["sampling_rate"]) for row in pmacct.flows()} == {(mark, 100) for mark in MARKS.values()}
    for mark in MARKS.values():
        told = nfdump_files.totals("-r", nfcapd.stored(tmp_path / "nfcapd"), f"in if {mark}")
        assert {name: told[name] for name in ("octets", "packets")} == {name: 100 * value for name, value in totals(some).items()}


@pytest.mark.parametrize("of", [Format.NETFLOW9, Format.IPFIX])
@pytest.mark.peer("nfcapd", "nfdump")
def test_nfcapd_reads_each_flow_as_it_was(of: Format, tmp_path: Path) -> None:
    sent = random_flows(300, 0)
    with nfcapd.nfcapd(tmp_path / "nfcapd") as port:
        exporter = Exporter([f"127.0.0.1:{port}"], of, pace=3000)
        exporter.send(sent)
        exporter.close()
    places = [nfdump_files.COLUMNS.index(name) for name in DETAILS]

    def details(found: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
        return Counter({tuple(flow[place] for place in places): number for flow, number in found.items()})

    assert details(nfdump_files.ours(sent)) == details(nfdump_files.theirs(nfcapd.stored(tmp_path / "nfcapd")))


@pytest.mark.parametrize("of", Format)
@pytest.mark.peer("tshark")
def test_tshark_finds_nothing_amiss(of: Format, sent: dict[Format, pl.DataFrame], tmp_path: Path) -> None:
    made = stream(of, 7)
    payloads = made.encode(FlowColumns.of(sent[of]), time.time_ns() // 1000)
    capture = tmp_path / "export.pcap"
    capture.write_bytes(pcap_file([framed(payload) for payload in payloads]))
    command = [peers.require("tshark"), "-n", "-r", str(capture), "-d", "udp.port==9995,cflow"]
    done = subprocess.run([*command, "-Y", "_ws.malformed or _ws.expert"], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    fields = ["-T", "fields", "-E", "separator=;", "-e", "cflow.octets", "-e", "cflow.packets"]
    done = subprocess.run([*command, *fields], capture_output=True, text=True, check=True)
    octets, packets = (
        sum(int(value) for line in done.stdout.splitlines() for value in line.split(";")[place].split(",") if value)
        for place in (0, 1)
    )
    assert {"octets": octets, "packets": packets} == totals(sent[of])


def framed(payload: bytes) -> bytes:
    """Return a datagram in an Ethernet frame, from 192.0.2.1 to 192.0.2.2, port 9995."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, b"\xc0\0\2\1", b"\xc0\0\2\2")
    return bytes(12) + b"\x08\0" + head + struct.pack(">HHHH", 9995, 9995, 8 + len(payload), 0) + payload
