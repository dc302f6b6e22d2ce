"""Packets: real captures, and every kind of header as scapy makes it."""

from __future__ import annotations

import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nftui import schema
from nftui.capture import internet, links
from nftui.capture.batch import NUMPY
from nftui.capture.packets import dissect
from tests.capture.frames import (
    IP4,
    KEY,
    LINKS,
    TRANSPORTS,
    TUNNELS,
    ether,
    inner,
    link_cases,
    outer4,
    outer6,
    transport_cases,
    tunnel_cases,
)
from tests.capture.packing import PROBE, captured, dissected, packed, row

GOLDEN = sorted(PROBE.glob("*.golden.json"))

# ---------------------------------------------------------------- real captures


def flows_of(golden: dict[str, Any], capture: Path) -> tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]:
    """Return packets and octets of each flow, as the corpus defines one."""
    frames, link = captured(capture)
    packets, octets = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
    for one in dissected(frames, link.tolist(), tunnels=False):
        if "source" in one:
            key = (one["source"], one["destination"], one.get("source_port", 0), one.get("destination_port", 0), one["protocol"])
            packets[key] += 1
            octets[key] += one["ip_total_length"]
    return packets, octets


def check_golden(path: Path) -> None:
    golden = json.loads(path.read_text("utf-8"))
    packets, octets = flows_of(golden, path.with_name(path.name.replace(".golden.json", ".pcap")))
    totals = golden["totals"]
    assert (len(packets), packets.total(), octets.total()) == (totals["flows"], totals["packets"], totals["ip_bytes"])
    for *key, number, size in golden["flows"]:
        assert (packets[tuple(key)], octets[tuple(key)]) == (number, size)
    pairs = Counter[tuple[Any, ...]]()
    for key, number in packets.items():
        pairs[key[0], key[1], key[4]] += number
    assert pairs == {tuple(pair[:3]): pair[3] for pair in golden["pairs"]}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name.split(".")[0])
def test_golden(path: Path) -> None:
    check_golden(path)


def test_golden_of_the_whole_corpus(corpus: Path) -> None:
    for path in sorted((corpus / "probe").glob("*.golden.json")):
        check_golden(path)


def test_golden_tunnel() -> None:
    frames, _ = captured(PROBE / "probe-zeek-vxlan-http.pcap")
    for one in dissected(frames):
        assert (one["depth"], one["layer2_segment_id"], one["outer_protocol"], one["protocol"]) == (1, 1, 17, 6)
        assert (one["outer_source"], one["outer_destination"]) == ("10.1.200.131", "10.1.1.172")
        assert 80 in (one["source_port"], one["destination_port"])


def scapy_view(frame: bytes) -> dict[str, Any]:
    """Return what scapy finds in a frame, of the outermost IP header."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
    from scapy.layers.l2 import Dot1Q, Ether

    packet = Ether(frame)
    got: dict[str, Any] = {
        "source_mac": int(packet.src.replace(":", ""), 16),
        "destination_mac": int(packet.dst.replace(":", ""), 16),
    }
    if Dot1Q in packet:
        got["source_vlan"] = packet[Dot1Q].vlan
    for version, layer in ((4, IP), (6, IPv6)):
        if layer in packet:
            header = packet[layer]
            got |= {"ip_version": version, "source": header.src, "destination": header.dst}
            four = version == 4
            got |= {"tos": header.tos if four else header.tc, "ttl": header.ttl if four else header.hlim}
            got["ip_total_length"] = header.len if four else header.plen + 40
    later = (IP in packet and packet[IP].frag > 0) or (IPv6ExtHdrFragment in packet and packet[IPv6ExtHdrFragment].offset > 0)
    for layer in (TCP, UDP):
        if layer in packet and not later and ICMP not in packet:
            got |= {"source_port": packet[layer].sport, "destination_port": packet[layer].dport}
    if TCP in packet and not later:
        got["tcp_flags"] = int(packet[TCP].flags)
    if ICMP in packet and not later:
        got |= {"icmp_type": packet[ICMP].type, "icmp_code": packet[ICMP].code}
    return got


@pytest.mark.parametrize("path", [path for path in GOLDEN if "vxlan" not in path.name], ids=lambda path: path.name.split(".")[0])
def test_as_scapy_reads_it(path: Path) -> None:
    frames, _ = captured(path.with_name(path.name.replace(".golden.json", ".pcap")))
    frames = frames[:60]
    for frame, got in zip(frames, dissected(frames, tunnels=False), strict=True):
        want = scapy_view(frame)
        if "ip_version" in got or "ip_version" not in want:
            assert want == {name: got.get(name) for name in want}


# ---------------------------------------------------------------- every kind of header


@pytest.fixture(scope="module")
def tunnels() -> dict[str, tuple[Any, dict[str, Any]]]:
    cases = tunnel_cases()
    assert tuple(cases) == TUNNELS
    return cases


@pytest.mark.parametrize("name", TUNNELS)
def test_tunnels(name: str, tunnels: dict[str, tuple[Any, dict[str, Any]]]) -> None:
    packet, want = tunnels[name]
    frame = bytes(ether() / packet)
    (got,) = dissected([frame])
    want = KEY | {"tos": 0xB8, "ttl": 9, "ip_total_length": 47, "source_mac": 0x020000000001} | want
    assert {key: got.get(key) for key in want} == want
    assert "source_vlan" not in got
    assert frame[got["transport"] :] == bytes(inner().payload) and got["ip_end"] == len(frame)
    (got,) = dissected([frame], tunnels=False)
    assert got["depth"] == 0 and got["source"] == want["outer_source"] and "outer_protocol" not in got
    assert got["protocol"] == want.get("outer_protocol", got["protocol"])


def test_what_no_packet_is_in_leaves_the_outer_header(tunnels: dict[str, tuple[Any, dict[str, Any]]]) -> None:
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import ARP, GRE
    from scapy.layers.vxlan import VXLAN

    cases = [
        outer4() / UDP(sport=5, dport=4789) / VXLAN(vni=77, flags=8) / ether() / ARP(),
        outer4() / UDP(sport=5, dport=4789) / bytes(40),
        outer4() / GRE(routing_present=1, proto=0x0800) / inner(),
        outer4() / GRE(version=5, proto=0x0800) / inner(),
        outer4(proto=4) / outer6(),
        outer4(proto=41) / inner(),
        outer4(proto=4, frag=100) / inner(),
        outer4() / UDP(sport=5, dport=2152) / b"\x32\x01" / bytes(40),
    ]
    for case, got in zip(cases, dissected([bytes(ether() / case) for case in cases]), strict=True):
        assert (got["depth"], got["source"], got["protocol"]) == (0, "203.0.113.1", case.proto), case.summary()
    assert dissected([bytes(ether() / cases[0])])[0]["layer2_segment_id"] == 77
    assert dissected([bytes(ether() / cases[0])])[0]["destination_port"] == 4789


def test_depth_is_bounded() -> None:
    packet = inner()
    for _ in range(20):
        packet = outer4(proto=4) / packet
    (got,) = dissected([bytes(ether() / packet)])
    assert (got["depth"], got["protocol"], got["outer_source"]) == (4, 4, "203.0.113.1")
    tagged = bytes(12) + struct.pack(">HH", 0x8100, 5) * 40 + b"\x08\0" + bytes(inner())
    assert "source" not in dissected([tagged])[0]
    labelled = bytes(12) + b"\x88\x47" + struct.pack(">I", 16 << 12) * 40 + struct.pack(">I", 17 << 12 | 0x100) + bytes(inner())
    (got,) = dissected([labelled])
    assert "source" not in got and got["mpls_label_10"] == 16
    six = bytes(outer6(nh=60)) + bytes([60, 0, 0, 0, 0, 0, 0, 0]) * 40
    (got,) = dissected([b"\0" * 12 + b"\x86\xdd" + six[:4] + struct.pack(">H", len(six) - 40) + six[6:]])
    assert "protocol" not in got and got["source"] == "2001:db8:a::1"


@pytest.mark.parametrize("name", LINKS)
def test_links(name: str) -> None:
    cases = link_cases()
    assert tuple(cases) == LINKS
    link, frame, want = cases[name]
    (got,) = dissected([frame], link)
    want = KEY | {"depth": 0, "ip_version": 4} | want
    assert {key: got.get(key) for key in want} == want
    assert {key for key in got if key.startswith(("source_vlan", "customer", "mpls"))} <= set(want)


def test_all_together() -> None:
    """A block of all kinds gives for each packet what it gives alone."""
    cases = list(link_cases().values())
    frames, link = [frame for _, frame, _ in cases], [link for link, _, _ in cases]
    frames += [bytes(ether() / packet) for packet, _ in tunnel_cases().values()]
    link += [1] * (len(frames) - len(link))
    link += [147] * 2
    frames += [b"", bytes(50)]
    alone = [dissected([frame], one)[0] for frame, one in zip(frames, link, strict=True)]
    assert dissected(frames, link) == alone
    assert dissected(frames, link, between=b"\x45" * 50) == alone


def test_links_of_sflow() -> None:
    names = {1: "ethernet", 7: "ppp", 10: "raw", 11: "raw", 12: "raw", 13: "mpls link", 14: "ppp with address"}
    cases = link_cases()
    assert set(names) == set(links.SFLOW_LINKS)
    for number, name in names.items():
        assert dissected([cases[name][1]], links.SFLOW_LINKS[number])[0]["source"] == IP4[0]


@pytest.mark.parametrize("name", TRANSPORTS)
def test_transports(name: str) -> None:
    layer, protocol, want = transport_cases()[name]
    frames = [bytes(ether() / outer4(proto=protocol) / layer), bytes(ether() / outer6(nh=protocol) / layer)]
    for got in dissected(frames):
        assert {key: got.get(key) for key in want} == want
        assert got["protocol"] == protocol


def test_extension_headers() -> None:
    from scapy.layers.inet import TCP, UDP
    from scapy.layers.inet6 import (
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
        IPv6ExtHdrSegmentRouting,
        PadN,
    )

    segment = IPv6ExtHdrSegmentRouting(addresses=["2001:db8::7", "2001:db8::8"])
    options = IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(20))])
    tcp = TCP(sport=1111, dport=80, flags="S")
    authentication = struct.pack(">BBHII", 6, 4, 0, 1, 2) + bytes(12)
    whole, first, later = internet.WHOLE, internet.FIRST_FRAGMENT, internet.LATER_FRAGMENT
    cases: list[tuple[Any, dict[str, Any]]] = [
        (outer6() / options / tcp, {"protocol": 6, "destination_port": 80, "fragment": whole}),
        (outer6() / IPv6ExtHdrRouting(addresses=["2001:db8::9"]) / tcp, {"protocol": 6, "destination_port": 80}),
        (outer6() / options / segment / tcp, {"protocol": 6, "destination_port": 80}),
        (outer6() / segment / inner(), {"protocol": 6, "depth": 1, "outer_protocol": 4, "source": IP4[0]}),
        (outer6(nh=51) / authentication / tcp, {"protocol": 6, "destination_port": 80}),
        (outer6() / IPv6ExtHdrFragment(offset=0, m=1) / tcp, {"protocol": 6, "destination_port": 80, "fragment": first}),
        (outer6() / IPv6ExtHdrFragment(offset=0, m=0) / tcp, {"protocol": 6, "destination_port": 80, "fragment": whole}),
        (
            outer6() / IPv6ExtHdrFragment(offset=9, m=1, nh=17) / bytes(30),
            {"protocol": 17, "destination_port": None, "fragment": later},
        ),
        (outer6() / IPv6ExtHdrFragment(offset=9, nh=60) / bytes(30), {"protocol": 60, "transport": None, "fragment": later}),
        (outer4(flags="MF") / UDP(sport=5, dport=6), {"protocol": 17, "destination_port": 6, "fragment": first}),
        (outer4(frag=5, proto=17) / bytes(30), {"protocol": 17, "destination_port": None, "transport": None, "fragment": later}),
        (outer4(options=b"\x94\x04\0\0") / tcp, {"protocol": 6, "destination_port": 80, "fragment": whole}),
    ]
    frames = [bytes(ether() / packet) for packet, _ in cases]
    for got, (packet, want) in zip(dissected(frames), cases, strict=True):
        assert {key: got.get(key) for key in want} == want, packet.summary()


def test_fields_of_ipv6() -> None:
    (got,) = dissected([bytes(ether() / outer6(tc=0xB9, fl=0xABCDE, hlim=3) / b"12345")])
    assert (got["tos"], got["flow_label"], got["ttl"], got["ip_total_length"], got["ip_version"]) == (0xB9, 0xABCDE, 3, 45, 6)


@pytest.mark.parametrize(
    ("packet", "absent"),
    [
        (b"\x44" + bytes(inner())[1:], {"transport", "source_port"}),  # a header of 16 octets
        (b"\x4f" + bytes(inner())[1:40], {"transport", "source_port"}),  # options that are not there
        (b"\x45\0\0\x16" + bytes(inner())[4:], {"destination_port", "tcp_flags"}),  # two octets of TCP
        (b"\x45\0\0\x03" + bytes(inner())[4:], {"transport", "source_port"}),  # shorter than its header
        (b"\x55" + bytes(inner())[1:], {"source", "ip_version"}),  # version 5
    ],
)
def test_lengths_that_are_wrong(packet: bytes, absent: set[str]) -> None:
    (got,) = dissected([bytes(12) + b"\x08\0" + packet])
    assert absent.isdisjoint(got)


def test_total_length_of_zero_is_all_there_is() -> None:
    """Segmentation offload leaves it so in captures."""
    (got,) = dissected([bytes(12) + b"\x08\0\x45\0\0\0" + bytes(inner())[4:]])
    assert {key: got[key] for key in KEY} == KEY and got["ip_total_length"] == 0


# ---------------------------------------------------------------- columns of the schema


def test_columns() -> None:
    cases = [bytes(ether() / packet) for packet, _ in tunnel_cases().values()] + [frame for _, frame, _ in link_cases().values()]
    flat, start, end = packed(cases)
    found = dissect(flat, start, end, 1)
    columns = found.columns()
    for name, (values, valid) in columns.items():
        address = schema.BY_NAME[name].kind == "address"
        assert values.dtype == (np.uint8 if address else NUMPY[name])
        assert values.shape == ((len(cases), 16) if address else (len(cases),))
        assert valid is None or (valid.any() and not valid.all())
    for number in range(len(cases)):
        got = row(found, number)
        for name, (values, valid) in columns.items():
            key = "ttl" if name.endswith("_ttl") else name.replace("_address", "")
            assert (valid is None or bool(valid[number])) == (key in got)
            if "address" not in name and key in got:
                assert values[number] == got[key]
    expected = {
        "source_address", "destination_address", "source_port", "destination_port", "protocol", "tcp_flags", "tos", "source_vlan",
        "customer_vlan", "ethernet_type", "source_mac", "destination_mac", "mpls_label_1", "mpls_label_2", "ip_version",
        "ip_total_length", "minimum_ttl", "maximum_ttl", "layer2_segment_id", "outer_source_address", "outer_destination_address",
        "outer_protocol", "flow_label",
    }  # fmt: skip
    assert expected - set(columns) <= {"flow_label"} and set(columns) <= expected


def test_nothing_at_all() -> None:
    nothing = np.empty(0, np.int64)
    assert dissect(np.empty(0, np.uint8), nothing, nothing, 1).columns() == {}
    assert dissect(np.empty(0, np.uint8), np.zeros(3, np.int64), np.zeros(3, np.int64), 1).columns() == {}
    assert dissected([b"", b"", b""], [1, 101, 113]) == [{"depth": 0}] * 3
