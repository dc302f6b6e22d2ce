"""What each vendor's export is known for reaches its columns: from real exports, and from datagrams built after the manuals.

Flows and counters of the real exports are held by the golden files; the columns of ASA, WLC, Viptela and Fortinet were compared
with tshark.
"""

from __future__ import annotations

import ipaddress
import struct
from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from nftui import schema
from nftui.capture.datagrams import MAPPED_PREFIX
from tests.capture import build, corpus

FORTINET = 20 << 56 | 12356 << 32
"""Engine 20 (an enterprise's own), Fortinet's number: what stands before its application numbers."""
NBAR, LAYER_4, LAYER_3 = 13 << 24, 3 << 24, 1 << 24


def flows_of(case: str) -> pl.DataFrame:
    """Decode a capture, or skip the test where only the small corpus is at hand."""
    path = corpus.case(case)
    if not path.exists():
        pytest.skip("this capture is under another licence, and the whole corpus is not at hand")
    return corpus.decode(corpus.capture_of(path)).flows


def values(flows: pl.DataFrame, column: str) -> list[Any]:
    """Return a column; addresses and MAC addresses as text, other octets in hexadecimal."""
    kind = schema.BY_NAME[column].kind
    return [value if value is None else _shown(value, kind) for value in flows[column].to_list()]


def _shown(value: Any, kind: str) -> Any:
    if kind == "address":
        return corpus._address(value)
    if kind == "mac":
        return value.to_bytes(6, "big").hex(":")
    return value.hex() if isinstance(value, bytes) else value


REAL: list[tuple[str, str, dict[Any, int]]] = [
    ("nf9-ls-cisco-asa-1", "firewall_event", {2: 14}),
    ("nf9-ls-cisco-asa-1", "firewall_extended_event", {2025: 13, 2016: 1}),
    ("nf9-ls-cisco-asa-1", "ingress_acl", {"0f8e7ff3fc1a030f00000000": 14}),
    ("nf9-ls-cisco-asa-1", "egress_acl", {None: 14}),
    ("nf9-ls-cisco-asa-1", "user_name", {None: 14}),
    ("nf9-ls-cisco-asa-1", "packets", {None: 14}),
    ("nf9-ls-cisco-asa-1", "post_nat_destination_port", {0: 7, 17805: 3, 17549: 2, 18061: 2}),
    ("nf9-ls-nbar-262", "application_id", {LAYER_3 + 1: 2, 5 << 24 | 38: 2, LAYER_4 + 123: 1}),
    ("nf9-ls-asr1001x", "forwarding_status", {None: 25}),
    ("nf9-goflow2", "ingress_vrf", {0x60000002: 21}),
    ("nf9-goflow2", "egress_vrf", {0x60000000: 16, 0x60000002: 5}),
    ("nf9-ls-wlc", "wlan_ssid", {"Test-env": 19}),
    ("nf9-ls-wlc", "station_mac", {"34:02:86:75:c0:51": 19}),
    ("nf9-ls-wlc", "access_point_mac", {"00:f6:63:cc:80:60": 19}),
    ("nf9-ls-wlc", "station_address", {"192.168.20.121": 19}),
    ("nf9-ls-wlc", "flow_direction", {0: 10, 1: 9}),
    ("ipfix-ls-viptela", "ingress_vrf", {100: 1}),
    ("ipfix-ls-viptela", "tos", {48: 1}),
    ("nf9-ls-paloalto-81", "application_name", {"kerberos": 1}),
    ("nf9-ls-paloalto-81", "user_name", {"unknown": 1}),
    ("nf9-ls-paloalto-81", "connection_id", {1428388: 1}),
    ("nf9-ls-fortigate-542", "application_id", {FORTINET: 8, FORTINET + 40568: 4, FORTINET + 25843: 4, FORTINET + 36660: 1}),
    ("ipfix-ls-mikrotik", "ip_version", {4: 28, 6: 18}),
    ("ipfix-ls-nokia-bras", "user_name", {"USER1@10.10.0.123": 1}),
    ("ipfix-ls-nokia-bras", "ingress_vrf", {100: 1}),
    ("ipfix-ls-nokia-bras", "connection_id", {3389049088: 1}),
    ("nf9-ls-h3c-varstring", "ip_version", {4: 1}),
    ("nf9-ls-h3c-varstring", "source_address", {"20.20.20.20": 1}),
    ("nf9-ls-h3c-varstring", "destination_mask", {32: 1}),
    ("nf9-ls-huawei", "octets", {200: 1}),
    ("nf9-ls-huawei", "next_hop", {"10.108.252.41": 1}),
    ("nf9-ls-huawei", "flow_direction", {1: 1}),
    ("ipfix-pmacct-106", "flow_label", {None: 1, 1151: 1, 2437: 1}),
    (
        "ipfix-ls-procera",
        "application_name",
        {"Being analyzed": 4, "IP protocol 58 (IPv6-ICMP)": 2, "IP protocol 1 (ICMP)": 1, "BGP-4": 1},
    ),
    ("ipfix-ls-procera", "octets", {None: 8}),
    ("ipfix-ls-netscaler", "connection_id", {14460661: 2, 14460662: 1}),
    ("ipfix-ls-netscaler", "application_id", {240189440: 3}),
    ("ipfix-ls-barracuda", "firewall_event", {2: 8}),
    ("ipfix-ls-barracuda", "octets", {0: 4, 81: 2, 113: 2}),
    ("ipfix-ls-ixia-271", "application_name", {"unknown": 1, "https": 1}),
    ("nf9-ls-ipt-reduced", "ethernet_type", {0x0800: 12}),
    ("nf9-ls-nprobe-dpi", "application_id", {82: 1}),
    ("ipfix-telegraf-ntop", "application_id", {37: 2}),
    ("nf9-ls-layer2segment", "layer2_segment_id", {None: 1}),
]
"""Capture, column, and how often each value stands in it."""


@pytest.mark.row("C12", "C16")
@pytest.mark.parametrize(("case", "column", "wanted"), REAL)
def test_real_export(case: str, column: str, wanted: dict[Any, int]) -> None:
    flows = flows_of(case)
    assert Counter(values(flows, column)) == wanted


def test_each_event_of_the_asa_is_a_connection() -> None:
    assert flows_of("nf9-ls-cisco-asa-1")["connection_id"].n_unique() == 14


def test_both_families_of_procera() -> None:
    addresses = [ipaddress.ip_address(text) for text in values(flows_of("ipfix-ls-procera"), "source_address")]
    assert Counter(address.version for address in addresses) == {4: 6, 6: 2}


def test_nat_of_mikrotik() -> None:
    flows = flows_of("ipfix-ls-mikrotik").filter(pl.col("ip_version") == 4).head(1)
    pairs = {column: values(flows, column)[0] for column in ("source_address", "post_nat_source_address", "next_hop")}
    assert pairs == {"source_address": "10.10.8.197", "post_nat_source_address": "192.168.230.216", "next_hop": "192.168.224.1"}


# ---------------------------------------------------------------- built after the manuals


def address(text: str) -> bytes:
    """Return an address as it stands on the wire."""
    return ipaddress.ip_address(text).packed


def built(version: int, fields: Sequence[tuple[int, ...]], *records: bytes, malformed: int = 0) -> list[dict[str, Any]]:
    """Decode records of one template; absent values are left out."""
    sets = build.one_set(0 if version == 9 else 2, build.template(256, fields)), build.one_set(256, b"".join(records))
    flows, decoder = build.decode(build.netflow9(*sets) if version == 9 else build.ipfix(*sets))
    counted = build.exporter_of(decoder)["malformed"]
    assert isinstance(counted, dict) and sum(counted.values()) == malformed
    columns = {column: values(flows, column) for column in flows.columns}
    return [{column: value[row] for column, value in columns.items() if value[row] is not None} for row in range(len(flows))]


def carries(row: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Assert that a row has these values, and none in columns that are wanted to be absent (None)."""
    assert {column: row.get(column) for column in wanted} == wanted


def test_cisco_nat_event_logging() -> None:
    """Cisco, "NAT High-Speed Logging": a translation made and taken back, then a block of ports given to an inside host."""
    fields = [(323, 8), (8, 4), (225, 4), (7, 2), (227, 2), (12, 4), (226, 4), (11, 2), (228, 2), (234, 4), (4, 1), (230, 1)]
    made, gone = (
        struct.pack(">Q", 1_700_000_000_000 + event)
        + address("10.0.0.5") + address("198.51.100.7") + struct.pack(">HH", 5000, 1025)
        + address("203.0.113.9") + address("203.0.113.9") + struct.pack(">HHIBB", 443, 443, 3, 6, event)
        for event in (1, 2)
    )  # fmt: skip
    first, second = built(9, fields, made, gone)
    carries(
        first,
        {
            "source_address": "10.0.0.5", "post_nat_source_address": "198.51.100.7", "source_port": 5000,
            "post_nat_source_port": 1025, "post_nat_destination_address": "203.0.113.9", "post_nat_destination_port": 443,
            "ingress_vrf": 3, "protocol": 6, "nat_event": 1, "octets": None, "packets": None,
        },
    )  # fmt: skip
    assert second["nat_event"] == 2
    assert (second["flow_start"] - first["flow_start"]).total_seconds() == pytest.approx(0.001)


def test_port_block_of_carrier_grade_nat() -> None:
    """RFC 8158: a block of ports is given to an inside host, 16 in natEvent."""
    fields = [(323, 8), (230, 1), (8, 4), (225, 4), (361, 2), (362, 2), (363, 2), (364, 2)]
    record = (
        struct.pack(">QB", 1_700_000_000_000, 16)
        + address("100.64.0.9") + address("192.0.2.33") + struct.pack(">HHHH", 2048, 2559, 1, 512)
    )  # fmt: skip
    (row,) = built(10, fields, record)
    carries(
        row,
        {
            "nat_event": 16, "source_address": "100.64.0.9", "post_nat_source_address": "192.0.2.33",
            "port_block_start": 2048, "port_block_end": 2559, "post_nat_source_port": None, "octets": None,
        },
    )  # fmt: skip


def test_port_block_of_ericsson() -> None:
    fields = [(24628, 4), (24629, 8), (24630, 4), (24631, 4), (24632, 4), (24633, 4), (24634, 2), (24635, 2)]
    record = (
        struct.pack(">I8sII", 5, b"internet", 1_700_000_000, 1_700_000_060)
        + address("10.1.2.3") + address("192.0.2.8") + struct.pack(">HH", 10_000, 10_127)
    )  # fmt: skip
    (row,) = built(9, fields, record)
    carries(
        row,
        {
            "ingress_vrf": 5, "vrf_name": "internet", "source_address": "10.1.2.3", "post_nat_source_address": "192.0.2.8",
            "port_block_start": 10_000, "port_block_end": 10_127,
        },
    )  # fmt: skip
    assert (row["flow_end"] - row["flow_start"]).total_seconds() == 60


def test_openbsd_pflow() -> None:
    """OpenBSD, pflow(4), protocol version 10: times in milliseconds, ports and protocol last."""
    fields = [(8, 4), (12, 4), (10, 4), (14, 4), (2, 8), (1, 8), (152, 8), (153, 8), (7, 2), (11, 2), (5, 1), (4, 1)]
    record = (
        address("192.0.2.1") + address("198.51.100.2")
        + struct.pack(">IIQQQQHHBB", 1, 2, 7, 700, 1_700_000_000_000, 1_700_000_001_500, 40_000, 443, 0, 6)
    )  # fmt: skip
    (row,) = built(10, fields, record)
    carries(
        row,
        {
            "source_address": "192.0.2.1", "destination_address": "198.51.100.2", "ingress_interface": 1, "egress_interface": 2,
            "packets": 7, "octets": 700, "source_port": 40_000, "destination_port": 443, "tos": 0, "protocol": 6,
        },
    )  # fmt: skip
    assert (row["flow_end"] - row["flow_start"]).total_seconds() == 1.5


def test_vmware_keeps_both_headers_and_the_network() -> None:
    """VMware, "IPFIX for vSphere Distributed Switch": the inner header in elements 880 to 887, the network in 351."""
    fields = [
        (8, 4), (12, 4), (1, 8), (2, 8), (7, 2), (11, 2), (4, 1), (351, 8), (880, 1, 6876), (881, 4, 6876), (882, 4, 6876),
        (883, 16, 6876), (884, 16, 6876), (886, 2, 6876), (887, 2, 6876), (889, 1, 6876),
    ]  # fmt: skip
    outer = address("10.9.0.1") + address("10.9.0.2") + struct.pack(">QQHHBQ", 1000, 10, 50_000, 4789, 17, 1 << 56 | 5001)
    ports = struct.pack(">HHB", 33_000, 22, 1)
    four = outer + b"\6" + address("172.16.0.1") + address("172.16.0.2") + bytes(32) + ports
    six = outer + b"\6" + bytes(8) + address("2001:db8::1") + address("2001:db8::2") + ports
    first, second = built(10, fields, four, six)
    both = {
        "outer_source_address": "10.9.0.1", "outer_destination_address": "10.9.0.2", "outer_protocol": 17, "protocol": 6,
        "source_port": 33_000, "destination_port": 22, "layer2_segment_id": 5001, "octets": 1000,
    }  # fmt: skip
    carries(first, both | {"source_address": "172.16.0.1", "destination_address": "172.16.0.2"})
    carries(second, both | {"source_address": "2001:db8::1", "destination_address": "2001:db8::2"})


def test_vmware_tells_of_a_tunnel_around_a_flow() -> None:
    """VMware, "IPFIX on KVM" (as Open vSwitch does): the flow in the standard elements, the tunnel in 891 to 897."""
    fields = [(8, 4), (12, 4), (4, 1), (1, 8), (893, 4, 6876), (894, 4, 6876), (895, 1, 6876), (897, 2, 6876)]
    record = build.small(0x0A000002, 40) + address("192.0.2.1") + address("192.0.2.2") + struct.pack(">BH", 17, 4789)
    (row,) = built(10, fields, record)
    carries(
        row,
        {
            "source_address": "10.0.0.2", "protocol": 6, "outer_source_address": "192.0.2.1",
            "outer_destination_address": "192.0.2.2", "outer_protocol": 17,
        },
    )  # fmt: skip


def test_juniper_inline_jflow() -> None:
    """Juniper, "Inline Active Flow Monitoring", the IPv4 template of IPFIX."""
    fields = [
        (8, 4), (12, 4), (5, 1), (4, 1), (7, 2), (11, 2), (32, 2), (10, 4), (58, 2), (9, 1), (13, 1), (16, 4), (17, 4), (15, 4),
        (6, 1), (14, 4), (1, 8), (2, 8), (52, 1), (53, 1), (152, 8), (153, 8), (136, 1), (61, 1), (243, 2), (245, 2), (54, 4),
        (137, 4, 2636),
    ]  # fmt: skip
    record = (
        address("192.0.2.1") + address("198.51.100.2")
        + struct.pack(">BBHHHIHBBII", 0x28, 1, 0, 0, 0x0800, 500, 0, 24, 16, 64500, 3320)
        + address("192.0.2.254")
        + struct.pack(">BIQQBBQQBBHHII", 0, 501, 84, 1, 60, 64, 1_700_000_000_000, 1_700_000_000_001, 2, 0, 100, 200, 77, 0)
    )  # fmt: skip
    (row,) = built(10, fields, record)
    carries(
        row,
        {
            "tos": 0x28, "icmp_type": 8, "icmp_code": 0, "ingress_interface": 500, "egress_interface": 501, "source_mask": 24,
            "destination_mask": 16, "source_as": 64500, "destination_as": 3320, "next_hop": "192.0.2.254", "minimum_ttl": 60,
            "maximum_ttl": 64, "flow_end_reason": 2, "flow_direction": 0, "customer_vlan": 200, "octets": 84, "packets": 1,
        },
    )  # fmt: skip


@pytest.mark.parametrize(("version", "base", "enterprise"), [(9, 1 << 15, ()), (10, 0, (9,))])
def test_cisco_client_and_server(version: int, base: int, enterprise: tuple[int, ...]) -> None:
    """Cisco, "AVC Metric Definition Guide": client and server take the place of source and destination."""
    sizes = ((12236, 4), (12237, 4), (12240, 2), (12241, 2), (12242, 4))
    fields = [(base + element, size, *enterprise) for element, size in sizes] + [(4, 1), (231, 8), (298, 8), (95, 4)]
    record = (
        address("10.0.0.1") + address("10.0.0.2") + struct.pack(">HHIBQQI", 40_000, 80, 99, 6, 1000, 8, NBAR + 3)
    )  # fmt: skip
    (row,) = built(version, fields, record)
    carries(
        row,
        {
            "source_address": "10.0.0.1", "destination_address": "10.0.0.2", "source_port": 40_000, "destination_port": 80,
            "connection_id": 99, "octets": 1000, "packets": 8, "application_id": NBAR + 3,
        },
    )  # fmt: skip


def test_barracuda_nat() -> None:
    fields = [(8, 4), (12, 4), (1, 8), (8, 4, 10704), (9, 2, 10704), (10, 4, 10704), (11, 2, 10704)]
    record = (
        address("10.0.0.1") + address("192.0.2.1") + struct.pack(">Q", 99)
        + address("198.51.100.1") + struct.pack(">H", 1024) + address("10.9.9.9") + struct.pack(">H", 8080)
    )  # fmt: skip
    (row,) = built(10, fields, record)
    carries(
        row,
        {
            "source_address": "10.0.0.1", "post_nat_source_address": "198.51.100.1", "post_nat_source_port": 1024,
            "post_nat_destination_address": "10.9.9.9", "post_nat_destination_port": 8080,
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("size", "octets", "wanted"),
    [
        (4, bytes([13, 0, 0, 3]), NBAR + 3),
        (8, bytes([1, 0, 0, 0, 0, 0, 0, 2]), (1 << 56) + 2),
        (8, b"\xff" * 8, None),
        (9, bytes([20]) + struct.pack(">II", 12356, 7), FORTINET + 7),
        (9, b"\xff" * 9, None),
        (12, bytes([20]) + struct.pack(">I", 12356) + bytes(6) + b"\7", (20 << 56) + 7),
    ],
)
def test_application_ids_of_any_size(size: int, octets: bytes, wanted: int | None) -> None:
    (row,) = built(9, [(8, 4), (95, size)], bytes([10, 0, 0, 1]) + octets, malformed=int(wanted is None))
    assert row.get("application_id") == wanted


@pytest.mark.parametrize(
    ("size", "number", "wanted"), [(8, 1 << 56 | 70_000, 70_000), (4, 5001, 5001), (3, 9, 9), (8, 1 << 56, None)]
)
def test_network_of_an_overlay(size: int, number: int, wanted: int | None) -> None:
    (row,) = built(10, [(8, 4), (351, size)], bytes([10, 0, 0, 1]) + number.to_bytes(size, "big"))
    assert row.get("layer2_segment_id") == wanted


@pytest.mark.parametrize(("code_point", "tos"), [(0, 0), (46, 184), (63, 252)])
def test_type_of_service_of_a_code_point(code_point: int, tos: int) -> None:
    (row,) = built(10, [(8, 4), (195, 1), (98, 1)], bytes([10, 0, 0, 1, code_point, code_point]))
    assert (row["tos"], row["destination_tos"]) == (tos, tos)
    (row,) = built(10, [(8, 4), (195, 1), (5, 1)], bytes([10, 0, 0, 1, code_point, 1]))
    assert row["tos"] == 1


def test_exporter_is_the_sender() -> None:
    """No vendor's own element moves the flow to another exporter."""
    (row,) = built(10, [(8, 4), (130, 4)], bytes([10, 0, 0, 1, 9, 9, 9, 9]))
    assert row["exporter_address"] == corpus._address(MAPPED_PREFIX + bytes([192, 0, 2, 1]))
