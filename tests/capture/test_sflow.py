"""sFlow: the golden captures to the octet, and each sample and record by hand."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

import numpy as np
import pytest

from nftui.capture import sflow_records, sflow_samples
from tests.capture import corpus
from tests.capture.sflow_datagrams import (
    CASES,
    GATEWAY,
    HEADER,
    SAMPLED,
    address,
    broken,
    check,
    datagram,
    decoded,
    expanded,
    flow,
    flows,
    golden_of,
    rows,
    tagged,
    text,
    value,
    whole,
    words,
)

# ---------------------------------------------------------------- the golden captures


@pytest.mark.parametrize("name", CASES)
def test_golden_totals_and_flows(name: str) -> None:
    golden, found = golden_of(name), whole(name)
    sampled = [row for one in found for row in flows(one)]
    octets, rate = [row.get("octets", 0) for row in sampled], [row.get("sampling_interval", 0) for row in sampled]
    assert golden["totals"] == {
        "datagrams": sum(int(one.headers.read.sum()) for one in found),
        "flow_samples": len(sampled),
        "counter_samples": sum(len(one.counters) for one in found),
        "drop_samples": sum(len(one.drops) for one in found),
        "frame_bytes": sum(octets),
        "ip_bytes": sum(row.get("ip_total_length", 0) for row in sampled),
        "estimated_packets": sum(rate),
        "estimated_frame_bytes": sum(a * b for a, b in zip(octets, rate, strict=True)),
    }
    names = ("source_address", "destination_address", "source_port", "destination_port", "protocol", "octets", "sampling_interval")
    got = [[row.get(one) for one in names] for row in sampled]
    assert got[: len(golden["flows"])] == golden["flows"]
    assert corpus.digest(got) == golden["flows_sha256"]


@pytest.mark.parametrize("name", [name for name in CASES if golden_of(name)["details"]])
def test_golden_details(name: str) -> None:
    golden, found = golden_of(name), whole(name)
    agents = [value(one.headers.agent[row]) for one in found for row in one.flows.datagram]
    sampled = [row for one in found for row in flows(one)]
    for want, agent, row in zip(golden["details"], agents, sampled, strict=False):
        assert agent == want["agent"]
        for key, column in (("tos", "tos"), ("ip_len", "ip_total_length"), ("etype", "ethernet_type"), ("next_hop", "next_hop")):
            assert key not in want or row[column] == want[key]
        for key, column in (("icmp_type", "icmp_type"), ("icmp_code", "icmp_code"), ("bgp_nh", "bgp_next_hop")):
            assert key not in want or row[column] == want[key]
        for key, column in (("smac", "source_mac"), ("dmac", "destination_mac")):
            assert row[column] == int(want[key].replace(":", ""), 16)
        for side, column in (("in", "ingress_interface"), ("out", "egress_interface")):
            known = want[f"{side}_fmt"] == 0 and want[f"{side}_if"] not in (0, 0x3FFFFFFF)
            assert row.get(column) == (want[f"{side}_if"] if known else None)
        if "vlans" in want:
            assert row["source_vlan"] == want["vlans"][0]
        if "sw_vlan" in want:
            assert [row.get("source_vlan", 0), row.get("destination_vlan", 0)] == want["sw_vlan"]
        if "as_path" in want:
            assert row["as_path"] == " ".join(map(str, want["as_path"]))
            assert (row["next_as"], row["destination_as"]) == (want["as_path"][0], want["as_path"][-1])


@pytest.mark.parametrize("name", CASES)
def test_golden_structure(name: str) -> None:
    structure, found = golden_of(name)["structure"], whole(name)
    agents = {value(one.headers.agent[row]) for one in found for row in np.flatnonzero(one.headers.has_agent)}
    assert sorted(agents) == sorted(structure["agents"])
    counters = Counter({name: len(which) for one in found for name, which in one.counter_records})
    interfaces = sum(len(one.interfaces) for one in found)
    assert +Counter({**counters, "0:1": interfaces}) == Counter(structure.get("counter_records", {}))
    other = sum(len(which) for one in found for reason, which in one.malformed if reason == "version other than 5")
    assert other == structure.get("not_sflow5", 0)


def test_golden_counters_and_drops() -> None:
    (found,) = whole("sflow-telegraf-15918")
    (one,) = found.interfaces
    assert (one["index"], one["type"], one["speed"], one["status"]) == (101, 6, 1_000_000_000, 3)
    assert (one["in_octets"], one["out_octets"]) == (21286022420858, 8929238553590)
    assert (one["in_unicast"], one["in_multicast"], one["in_broadcast"]) == (1153749508, 81495048, 2502106)
    assert (one["out_unicast"], one["out_multicast"], one["out_broadcast"]) == (3892490465, 3753944, 1251275)
    (found,) = whole("sflow-telegraf-counter")
    (one,) = found.interfaces
    assert (one["in_octets"], one["in_unicast"], one["in_broadcast"], one["in_unknown_protocols"]) == (3910, 28, -1, -1)
    (found,) = whole("sflow-goflow2-drops")
    assert [sflow_samples.DROP_REASONS[code] for code in found.drops.reason.tolist()] == ["host_unreachable"] * 3
    assert rows(found.drops.columns, 3)[0]["egress_interface"] == 2


@pytest.mark.parametrize(
    ("record", "want"),
    [
        (HEADER, SAMPLED),
        (
            tagged(2, words(900) + bytes.fromhex("0200000000010000 0200000000020000") + words(0x86DD)),
            {"octets": 900, "source_mac": 0x020000000001, "destination_mac": 0x020000000002, "ethernet_type": 0x86DD},
        ),
        (
            tagged(2, words(900) + bytes.fromhex("020000000001 020000000002") + words(0x800)),
            {"octets": 900, "source_mac": 0x020000000001, "destination_mac": 0x020000000002, "ethernet_type": 0x800},
        ),
        (
            tagged(3, words(500, 17) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + words(53, 1024, 0xFF, 0x2E)),
            {
                "octets": 500, "ip_total_length": 500, "source_address": "10.0.0.1", "destination_address": "10.0.0.2",
                "source_port": 53, "destination_port": 1024, "protocol": 17, "tos": 0x2E, "ip_version": 4, "tcp_flags": None,
            },
        ),
        (
            tagged(4, words(500, 58) + address("2001:db8::1")[4:] + address("2001:db8::2")[4:] + words(128, 0, 0, 0)),
            {"source_address": "2001:db8::1", "destination_address": "2001:db8::2", "protocol": 58, "source_port": None},
        ),
        (tagged(1001, words(10, 1, 20, 2)), {"source_vlan": 10, "destination_vlan": 20}),
        (tagged(1001, words(0, 1, 0xFFFFFFFF, 2)), {"source_vlan": None, "destination_vlan": None}),
        (tagged(1002, address("192.0.2.1") + words(24, 16)), {"next_hop": "192.0.2.1", "source_mask": 24, "destination_mask": 16}),
        (tagged(1002, address("2001:db8::9") + words(64, 48)), {"next_hop": "2001:db8::9", "source_mask": 64}),
        (tagged(1002, words(0, 24, 16)), {"next_hop": None, "source_mask": 24}),
        (
            tagged(1003, GATEWAY),
            {
                "bgp_next_hop": "192.0.2.1", "source_as": 65001, "previous_as": 65002, "next_as": 3356, "destination_as": 64513,
                "as_path": "3356 1299 4200000000 {64512,64513}", "communities": "65000:5 1:0", "local_preference": 120,
            },
        ),
        (
            tagged(1003, address("192.0.2.1") + words(65000, 0, 0, 0, 0, 0)),
            {"source_as": None, "next_as": None, "as_path": None, "communities": None, "local_preference": 0},
        ),
        (tagged(1004, words(3) + text("jö".encode()) + words(3, 0)), {"user_name": "jö", "destination_user_name": None}),
        (tagged(1004, words(0) + text(b"") + words(0) + text(b"abcd")), {"user_name": None, "destination_user_name": "abcd"}),
        (
            tagged(1006, address("192.0.2.1") + words(2, 16 << 12, 17 << 12 | 0x1FF, 0)),
            {"next_hop": "192.0.2.1", "mpls_label_1": 16, "mpls_label_2": 17, "mpls_label_3": None},
        ),
        (
            tagged(1007, address("198.51.100.1") + address("198.51.100.2")),
            {"post_nat_source_address": "198.51.100.1", "post_nat_destination_address": "198.51.100.2"},
        ),
        (tagged(1020, words(5, 70000)), {"post_nat_source_port": 5, "post_nat_destination_port": None}),
        (tagged(1012, words(2, 0x81000007, 0x88A80008)), {"source_vlan": 7, "customer_vlan": 8}),
        (tagged(1030, words(5000)), {"layer2_segment_id": 5000}),
        (
            tagged(1014, text(b"guests") + bytes.fromhex("0200000000090000")),
            {"wlan_ssid": "guests", "access_point_mac": 0x020000000009},
        ),
        (
            tagged(1024, words(500, 47) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + words(0, 0, 0, 0)),
            {"outer_source_address": "10.0.0.1", "outer_destination_address": "10.0.0.2", "outer_protocol": 47, "protocol": None},
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("spare", [0, 200])
def test_records(record: bytes, want: dict[str, Any], spare: int) -> None:
    found = decoded(datagram(flow(record)), spare=spare)
    check(found)
    assert broken(found) == {} and found.unread_records == []
    (got,) = flows(found)
    assert {name: got.get(name) for name in want} == want


def test_all_records_together_and_what_takes_precedence() -> None:
    named = tagged(3, words(500, 17) + bytes(8) + words(1, 2, 0, 0))
    route = [tagged(1001, words(10, 0, 20, 0)), tagged(1003, GATEWAY), tagged(1002, address("192.0.2.5") + words(24, 16))]
    found = decoded(datagram(flow(named, *route, HEADER, tagged(1, words(1, 1, 0, 0))), flow(HEADER)), datagram(expanded(named)))
    check(found)
    first, second, third = flows(found)
    assert {name: first[name] for name in SAMPLED} == SAMPLED | {"source_vlan": 10}
    assert (first["destination_vlan"], first["next_hop"], first["destination_as"]) == (20, "192.0.2.5", 64513)
    assert second == {name: second[name] for name in second} and {name: second[name] for name in SAMPLED} == SAMPLED
    assert (third["octets"], third["protocol"]) == (500, 17)
    assert found.flows.datagram.tolist() == [0, 0, 1]
    assert found.flows.source_index.tolist() == [4, 4, 1 << 29]
    assert (found.flows.sequence.tolist(), found.flows.pool.tolist(), found.flows.drops.tolist()) == ([11] * 3, [5000] * 3, [2] * 3)
    assert broken(found) == {}


@pytest.mark.parametrize(
    ("sample", "given", "taken", "status"),
    [
        (flow(given=7, taken=9), 7, 9, None),
        (flow(given=0, taken=0x3FFFFFFF), None, None, None),
        (flow(given=7, taken=0x80000003), 7, None, None),
        (flow(given=7, taken=0x40000000 | 258), 7, None, 129),
        (flow(given=7, taken=0x40000000 | 1000), 7, None, 128),
        (expanded(given=(0, 1 << 31), taken=(2, 3)), 1 << 31, None, None),
        (expanded(given=(0, 0xFFFFFFFF), taken=(1, 257)), None, None, 137),
    ],
)
def test_interfaces(sample: bytes, given: int | None, taken: int | None, status: int | None) -> None:
    (row,) = flows(decoded(datagram(sample)))
    assert (row.get("ingress_interface"), row.get("egress_interface"), row.get("forwarding_status")) == (given, taken, status)


def test_header() -> None:
    found = decoded(
        datagram(),
        datagram(agent=address("2001:db8::5")),
        datagram(agent=words(0)),
        datagram(agent=address("0.0.0.0")),
        datagram(agent=words(9)),
        datagram()[:20],
        datagram()[:3],
        b"",
        words(4) + datagram()[4:],
        datagram() + bytes(4),
    )
    check(found)
    head = found.headers
    assert head.read.tolist() == [True] * 4 + [False] * 5 + [True]
    assert head.has_agent.tolist() == [True, True] + [False] * 7 + [True]
    assert [value(one) for one in head.agent[:2]] == ["192.0.2.7", "2001:db8::5"]
    assert (head.sub_agent[:4].tolist(), head.sequence[2], head.uptime[3]) == ([3] * 4, 77, 123456)
    assert broken(found) == {
        "datagram shorter than its header": [5, 6, 7],
        "version other than 5": [8],
        "agent address of unknown kind": [4],
        "octets behind the last sample": [9],
    }


def test_drop_samples() -> None:
    drop = tagged(5, words(3, 0, 12, 44, 7, 0, 258, 1) + HEADER)
    found = decoded(datagram(flow(HEADER), drop, flow()), datagram(drop))
    check(found)
    assert (found.drops.datagram.tolist(), found.drops.drops.tolist(), found.drops.source_index.tolist()) == (
        [0, 1],
        [44, 44],
        [12, 12],
    )
    for row in rows(found.drops.columns, 2):
        want = SAMPLED | {"forwarding_status": 129, "sampling_interval": None, "egress_interface": None}
        assert {name: row.get(name) for name in want} == want
    assert len(flows(found)[1]) == 4 and "forwarding_status" not in found.flows.columns


def test_counter_samples() -> None:
    def interface(number: int) -> bytes:
        return tagged(1, struct.pack(">IIQIIQ6IQ6I", number, 6, 10**10, 1, 3, 2**40, 1, 2, 3, 4, 5, 6, 2**41, 7, 8, 9, 10, 11, 0))

    found = decoded(
        datagram(tagged(2, words(1, 2 << 24 | 5, 2) + interface(5) + tagged(2, bytes(52)))),
        datagram(tagged(4, words(1, 0, 6, 1) + interface(6)), flow(HEADER), tagged(2, words(9, 1, 1) + interface(7)[:-4])),
    )
    check(found)
    assert found.interfaces["index"].tolist() == [5, 6] and found.interfaces["datagram"].tolist() == [0, 1]
    names = found.interfaces.dtype.names or ()
    assert found.interfaces[0].tolist() == (0, 5, 6, 10**10, 1, 3, 2**40, 1, 2, 3, 4, 5, 6, 2**41, 7, 8, 9, 10, 11, 0), names
    assert (found.counters.source_type.tolist(), found.counters.source_index.tolist()) == ([2, 0, 0], [5, 6, 1])
    assert [(name, which.tolist()) for name, which in found.counter_records] == [("0:2", [0])]
    assert len(found.flows) == 1


def test_every_format_is_read_by_one_function() -> None:
    numbers = [number for formats, _ in sflow_records.RECORDS for number in formats]
    assert len(numbers) == len(set(numbers))
