"""Real exports decode to their golden totals, flows and counters."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.capture.datagrams import DatagramBlock
from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture
from tests.capture import corpus

START = "time relative to an unknown system start"
UNREAD: dict[str, dict[str, int]] = {
    "nf9-ls-ipt-reduced": {"no template came": 6},
    "ipfix-ls-netscaler": {"no template came": 1},
    "ipfix-pmacct-112": {"no template came": 4},
    "ipfix-telegraf": {"subTemplateMultiList passed over": 29},
    "ipfix-ls-barracuda": {START: 16},
    "ipfix-ls-mikrotik": {START: 92},
    "ipfix-pmacct-104": {START: 6},
}
"""What else is counted as not read: data whose template never comes, times without a base; elsewhere nothing."""

MALFORMED: dict[str, dict[str, int]] = {
    "nf5-ls-invalid01": {"fewer records than the header counts": 1},
    "ipfix-telegraf-14370": {"octets after the message": 1, "set cut short": 1, "octets after the last record": 2},
    "nf9-ls-nprobe-dpi": {"octets after the last record": 1},
}
"""What is counted as malformed; all other cases: nothing."""

SFLOW_MALFORMED: dict[str, dict[str, int]] = {
    "sflow-goflow2-expanded": {"octets behind the last sample": 1},
    "sflow-tcpdump-30pdus": {"version other than 5": 5},
}
"""What is counted as malformed of sFlow: on its port everything is to be sFlow."""

DETAILS = {
    "tcpflags": "tcp_flags",
    "tos": "tos",
    "in_if": "ingress_interface",
    "out_if": "egress_interface",
    "tid": "template_id",
    "flow_end": "flow_end_reason",
    "out_bytes": "out_octets",
    "out_packets": "out_packets",
    "outer_proto": "outer_protocol",
    "fw_event": "firewall_event",
    "first": "flow_start",
    "last": "flow_end",
}
TIMES = ("flow_start", "flow_end")


def name_of(golden: Path) -> str:
    return golden.name.removesuffix(".golden.json")


def read_cases() -> list[Any]:
    return [pytest.param(path, id=name_of(path)) for path in corpus.golden_files() if "sflow" not in protocol_of(path)]


def sflow_cases() -> list[Any]:
    return [pytest.param(path, id=name_of(path)) for path in corpus.golden_files() if "sflow" in protocol_of(path)]


def protocol_of(golden: Path) -> str:
    return str(corpus.load(golden)["protocol"])


@pytest.mark.parametrize("path", read_cases())
def test_golden(path: Path) -> None:
    golden = corpus.load(path)
    decoded = corpus.decode(corpus.capture_of(path))
    assert corpus.differences(golden, corpus.result(decoded.flows)) == []
    assert decoded.counted("unread") == UNREAD.get(golden["id"], {})
    assert decoded.counted("malformed") == MALFORMED.get(golden["id"], {})
    options = sum(exporter["options_records"] for exporter in decoded.status["exporters"])
    assert options == golden["structure"].get("options_records", 0)
    assert decoded.status["datagrams"] == golden["datagrams"]
    assert decoded.status["flows"] == len(decoded.flows)


@pytest.mark.row("C08")
@pytest.mark.parametrize("path", sflow_cases())
def test_sflow_golden(path: Path) -> None:
    golden = corpus.load(path)
    decoded = corpus.decode(corpus.capture_of(path))
    assert corpus.sflow_result(decoded)["totals"] == golden["totals"]
    flows = corpus.sflow_result(decoded)["flows"]
    assert Counter(tuple(map(corpus._norm, flow)) for flow in golden["flows"]) - Counter(map(tuple, flows)) == Counter()
    assert (len(flows), corpus.digest(flows)) == (golden["flows_total"], golden["flows_sha256"])
    assert decoded.counted("malformed") == SFLOW_MALFORMED.get(golden["id"], {})
    assert decoded.counted("unread") == {}
    agents = {corpus._address(octets) for octets in decoded.flows["exporter_address"]}
    assert agents <= set(golden["structure"]["agents"])
    assert decoded.flows["flow_start"].to_list() == decoded.flows["received"].to_list()
    assert decoded.flows["sampling_source"].drop_nulls().unique().to_list() in ([], ["sflow"])


@pytest.mark.parametrize("path", read_cases())
def test_details(path: Path) -> None:
    """What else the first flows carry, where one flow of the same key says it."""
    golden = corpus.load(path)
    decoded = corpus.decode(corpus.capture_of(path))
    keys = [tuple(map(corpus._norm, flow)) for flow in corpus.result(decoded.flows)["flows"]]
    flows = corpus.forward(decoded.flows).with_columns(pl.col("flow_start", "flow_end").dt.epoch("ms"))
    answers = decoded.flows.filter("reverse").select(corpus.FLOW).with_columns(pl.lit(None).alias("reverse"))
    answered = {tuple(map(corpus._norm, flow)) for flow in corpus.result(corpus.joined([answers]))["flows"]}
    for flow, detail in zip(golden["flows"], golden["details"], strict=False):
        key = tuple(map(corpus._norm, flow[:7]))
        wanted = {column: detail[word] for word, column in DETAILS.items() if word in detail}
        if golden["protocol"] == "netflow5":
            wanted.pop("template_id", None)
        if "smac" in detail:
            wanted["source_mac"] = int(detail["smac"].replace(":", ""), 16)
        rows = flows.filter(pl.Series([other == key for other in keys], dtype=pl.Boolean)).to_dicts()
        assert any(_carries(row, wanted) for row in rows), (flow, wanted, rows)
        if detail.get("rbytes"):
            assert (*_turned(key), detail["rbytes"], detail.get("rpackets", 0)) in answered, flow


def _turned(key: tuple[Any, ...]) -> tuple[Any, ...]:
    source, destination, source_port, destination_port, protocol = key[:5]
    return (destination, source, *((0, 0) if protocol in (1, 58) else (destination_port, source_port)), protocol)


def _carries(row: dict[str, Any], wanted: dict[str, int]) -> bool:
    return all(abs((row[column] or 0) - value) <= (column in TIMES) for column, value in wanted.items())


def test_tunnel_keeps_both_headers() -> None:
    path = corpus.case("ipfix-pmacct-106")
    if not path.exists():
        pytest.skip("this capture is under another licence, and the whole corpus is not at hand")
    flows = corpus.decode(corpus.capture_of(path)).flows.sort("source_port")
    outer = [corpus._address(octets) for octets in flows["outer_source_address"]]
    assert outer == ["2001:db8:53::1", "2001:db8:53::1", None]
    assert flows["outer_protocol"].to_list() == [4, 4, None]
    assert [corpus._address(octets) for octets in flows["source_address"]] == ["192.0.2.110", "192.0.2.110", "fd00::2"]


def test_all_in_one_block_and_one_by_one_agree() -> None:
    """Templates and data that share a block read as when each datagram is a block of its own."""
    path = corpus.capture_of(corpus.case("gen-softflowd-ipfix-ether"))
    together = corpus.decode(path).flows
    decoder, frames = Decoder(), []
    for block in read_capture(path):
        for row in range(len(block.length)):
            one = slice(row, row + 1)
            frames += decoder.decode(
                DatagramBlock(
                    block.payload[one],
                    block.length[one],
                    block.exporter[one],
                    block.source_port[one],
                    block.received[one],
                    block.local_port,
                )
            )
    alone = corpus.joined(frames)
    assert corpus.result(together)["totals"] == corpus.result(alone)["totals"]
    assert corpus.digest(corpus.result(together)["flows"]) == corpus.digest(corpus.result(alone)["flows"])
