"""Which packets a flow's capture takes, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nftui.capture.probe import packet_filter
from nftui.engine.packet_capture import PacketCapture, filter_of, interface_of
from nftui.units import address_octets

A, B = address_octets("10.0.0.1"), address_octets("192.0.2.9")
SIX, SEVEN = address_octets("2001:db8::6"), address_octets("2001:db8::7")
FILTERS: list[tuple[dict[str, Any], str | None]] = [
    (
        {"source_address": A, "destination_address": B, "source_port": 40000, "destination_port": 443, "protocol": 6},
        "tcp and host 10.0.0.1 and host 192.0.2.9 and port 40000 and port 443",
    ),
    *(
        (
            {
                "source_address": A, "destination_address": B, "source_port": 40000, "destination_port": 443, "protocol": 6,
                "tcp_flags": flags,
            },
            f"tcp and host 10.0.0.1 and host 192.0.2.9 and port {ports}",
        )
        for flags, ports in ((0x1B, "443"), (0x14, "443"), (0x12, "40000 and port 443"))
    ),
    (
        {"source_address": SIX, "destination_address": SEVEN, "source_port": 53, "destination_port": 53, "protocol": 17},
        "udp and host 2001:db8::6 and host 2001:db8::7 and port 53 and port 53",
    ),
    (
        {"source_address": A, "destination_address": B, "source_port": 0, "destination_port": 0, "protocol": 17},
        "udp and host 10.0.0.1 and host 192.0.2.9",
    ),
    (
        {"source_address": A, "destination_address": B, "source_port": 0, "destination_port": 2048, "protocol": 1},
        "icmp and host 10.0.0.1 and host 192.0.2.9",
    ),
    ({"source_address": A, "destination_address": B, "protocol": 47}, "ip proto 47 and host 10.0.0.1 and host 192.0.2.9"),
    (
        {"source_address": SIX, "destination_address": SEVEN, "protocol": 50},
        "ip6 proto 50 and host 2001:db8::6 and host 2001:db8::7",
    ),
    (
        {"source_address": SIX, "destination_address": SEVEN, "outer_source_address": A, "outer_destination_address": B},
        "host 10.0.0.1 and host 192.0.2.9",
    ),
    ({"source_address": A, "destination_address": B}, "host 10.0.0.1 and host 192.0.2.9"),
    ({"source_address": A, "protocol": 6}, None),
]  # fmt: skip


@pytest.mark.parametrize(("flow", "wanted"), FILTERS)
def test_filter(flow: dict[str, Any], wanted: str | None) -> None:
    assert filter_of(flow) == wanted
    if wanted is not None:
        assert packet_filter.compiled(wanted, 65535), "understood without libpcap, too"


def test_interface_is_that_of_the_probe_that_saw_it() -> None:
    probes: list[Any] = [
        {"source": "conntrack", "kind": "kernel", "address": "10.0.0.1", "domain": 0},
        {"source": "eth0", "kind": "packets", "address": "10.0.0.1", "domain": 2},
        {"source": 7, "address": "10.0.0.1", "domain": 3}, "no entry",
    ]  # fmt: skip
    flow = {"exporter_address": A, "observation_domain": 2}
    assert interface_of(flow, {"probes": probes}) == "eth0"
    for other in ({**flow, "observation_domain": 3}, {**flow, "observation_domain": 0}, {**flow, "exporter_address": B}, {}):
        assert interface_of(other, {"probes": probes}) == ""
    assert interface_of(flow, None) == interface_of(flow, {"probes": 7}) == ""


@pytest.mark.parametrize(
    ("interface", "filter", "stem", "words"),
    [
        ("none0", "tcp", "x", "none0: "),
        ("lo", "nonsense and", "x", "packet filter 'nonsense and': "),
        ("lo", "tcp", "missing/x", "missing/x-1.pcap: No such file"),
    ],
)
def test_what_goes_wrong_is_one_line(tmp_path: Path, interface: str, filter: str, stem: str, words: str) -> None:
    capture = PacketCapture(interface, filter, tmp_path / stem)
    capture._thread.join(5)
    assert not capture.running and words in capture.problem and "\n" not in capture.problem
    assert list(tmp_path.iterdir()) == []
