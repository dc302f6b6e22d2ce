"""Keys of classes and of services: each against a count flow by flow, and each class against the filter that says it."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from nftui.engine import filters, flow_classes, keys
from nftui.engine.flow_classes import KNOWN, TRANSPORTS
from nftui.engine.local import LocalBackEnd
from nftui.engine.names import SERVICES
from nftui.engine.query import Query

START = 1_700_000_000_000_000
EDGES = [0, 1, 9, 10, 99, 100, 999, 1000, 1001, 10**6 - 1, 10**6, 10**9, 10**10, 10**12]
PORTS = [0, 22, 53, 443, 8443, 9998, 32_767, 32_768, 50_000, 65_535]


def _flows(count: int = 600) -> list[dict[str, Any]]:
    chance = random.Random(7)
    return [
        {
            "flow_start": START + n, "flow_end": START + n + chance.choice([0, 1, *(1000 * edge for edge in EDGES[1:9])]),
            "octets": chance.choice(EDGES), "packets": 1, "sampling_interval": chance.choice([None, 1, 10]),
            "protocol": chance.choice([None, 1, 6, 17, 47, 132, 250]), "source_port": chance.choice(PORTS),
            "destination_port": chance.choice(PORTS), "application_name": chance.choice([None, None, None, "my app", "https"]),
        }
        for n in range(count)
    ]  # fmt: skip


def _expected(key: str, flow: dict[str, Any]) -> int | str | None:
    if key == "size_class":
        octets = flow["octets"] * (flow["sampling_interval"] or 1)
        return sum(octets >= 10**n for n in range(2, 11))
    if key == "duration_class":
        length = (flow["flow_end"] - flow["flow_start"]) // 1000
        return sum(length >= edge for edge in (1, 10, 100, 1000, 10_000, 60_000, 300_000, 1_800_000, 3_600_000))
    if key == "service_port":
        named = [flow[end] for end in ("destination_port", "source_port") if (TRANSPORTS.get(flow["protocol"]), flow[end]) in KNOWN]
        port = named[0] if named else min(flow["source_port"], flow["destination_port"])
        return port if flow["protocol"] in TRANSPORTS else None
    if flow["application_name"] is not None or flow["protocol"] is None:
        return flow["application_name"]
    return flow_classes.service_of(flow["protocol"], flow["source_port"], flow["destination_port"])


@pytest.mark.row("V06")
@pytest.mark.parametrize("key", ["size_class", "duration_class", "service", "service_port"])
def test_classes_are_those_of_a_look_at_each_flow(make_store: Any, key: str) -> None:
    flows = _flows()
    answer = LocalBackEnd(make_store([flows[:200], flows[200:]])).answer(Query(keys=(key,), limit=None))
    assert dict(answer.groups.select(key, "flows").rows()) == Counter(_expected(key, flow) for flow in flows)


@pytest.mark.parametrize(
    ("key", "term"),
    [("size_class", flow_classes.size_term), ("duration_class", flow_classes.duration_term)],
)
def test_the_filter_of_a_class_takes_its_flows_and_no_others(make_store: Any, key: str, term: Any) -> None:
    back_end = LocalBackEnd(make_store([_flows()]))
    for value, count in back_end.answer(Query(keys=(key,), limit=None)).groups.select(key, "flows").rows():
        narrowed = back_end.answer(Query(keys=(key,), where=filters.parse(term(value)), limit=None))
        assert narrowed.groups.select(key, "flows").rows() == [(value, count)]


def test_the_filter_of_a_service_takes_all_of_its_flows(make_store: Any) -> None:
    back_end = LocalBackEnd(make_store([[flow | {"application_name": None} for flow in _flows()]]))
    for value, count in back_end.answer(Query(keys=("service",), limit=None)).groups.select("service", "flows").rows():
        if value is not None:
            term = flow_classes.service_term(value)
            assert term is not None
            narrowed = back_end.answer(Query(keys=("service",), where=filters.parse(term), limit=None))
            assert dict(narrowed.groups.select("service", "flows").rows())[value] == count
    assert flow_classes.service_term("my app") is None


@pytest.mark.parametrize(
    ("protocol", "source", "destination", "name"),
    [
        (6, 50_000, 443, "https"), (6, 443, 50_000, "https"), (17, 50_000, 443, "quic"), (17, 53, 40_000, "dns"),
        (6, 22, 443, "https"), (6, 9_998, 50_000, "9998/tcp"), (6, 40_000, 50_000, "tcp high"), (17, 0, 0, "udp"),
        (1, 0, 2048, "icmp"),
    ],
)  # fmt: skip
def test_services(protocol: int, source: int, destination: int, name: str) -> None:
    assert flow_classes.service_of(protocol, source, destination) == name


def test_words_and_labels() -> None:
    assert keys.parse("size,durclass,service") == ("size_class", "duration_class", "service")
    assert [keys.value("size_class", n) for n in (0, 1, 4, 9, None)] == ["<100", "100-1k", "100k-1M", ">10G", None]
    assert [keys.value("duration_class", n) for n in (0, 4, 9)] == ["<1ms", "1s-10s", ">1h"]
    assert SERVICES["https"] == 443
