"""Packets: any octets, and any packet cut anywhere: nothing raises, and what is there agrees with the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.capture import links
from nftui.capture.packets import dissect
from tests.capture.frames import TUNNELS, ether, inner, link_cases, tunnel_cases
from tests.capture.packing import dissected, row

SAMPLES = [frame for _, frame, _ in link_cases().values()] + [bytes(ether() / packet) for packet, _ in tunnel_cases().values()]
SAMPLE_LINKS = [link for link, _, _ in link_cases().values()] + [1] * len(TUNNELS)
OF_THE_KEY = {
    "source", "destination", "source_port", "destination_port", "protocol", "tcp_flags", "icmp_type", "icmp_code", "tos", "ttl",
    "ip_version", "ip_total_length", "flow_label", "fragment", "transport", "network", "identification",
}  # fmt: skip


def agree(cut: dict[str, Any], whole: dict[str, Any]) -> None:
    """Check that a packet that was cut says nothing that the whole one does not."""
    assert cut["depth"] <= whole["depth"]
    for name, value in cut.items():
        if name in ("depth", "ip_end"):
            continue
        if name not in OF_THE_KEY or cut["depth"] == whole["depth"]:
            assert whole.get(name) == value, name
        elif cut["depth"] == 0 and name in ("source", "destination"):
            assert whole[f"outer_{name}"] == value


def check_cuts(frame: bytes, link: int) -> None:
    size = len(frame)
    flat = np.frombuffer(frame, np.uint8)
    found = dissect(flat, np.zeros(size + 1, np.int64), np.arange(size + 1), link)
    whole = row(found, size)
    for end in range(size + 1):
        agree(row(found, end), whole)


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_cut_anywhere(number: int) -> None:
    check_cuts(SAMPLES[number], SAMPLE_LINKS[number])
    frame = SAMPLES[number]
    for end in range(len(frame)):
        together = dissect(np.frombuffer(frame, np.uint8), np.zeros(1, np.int64), np.array([end]), SAMPLE_LINKS[number])
        assert dissected([frame[:end]], SAMPLE_LINKS[number]) == [row(together, 0)]


def test_nothing_is_lost_too_early() -> None:
    """Each field is there as soon as its last octet is."""
    frame = bytes(ether() / inner())
    found = dissect(np.frombuffer(frame, np.uint8), np.zeros(len(frame), np.int64), np.arange(len(frame)), 1)
    first = {}
    for end in range(len(frame)):
        for name in row(found, end):
            first.setdefault(name, end)
    want = {
        "destination_mac": 6, "source_mac": 12, "ethernet_type": 14, "ip_version": 15, "tos": 16, "ip_total_length": 18,
        "fragment": 22, "ttl": 23, "protocol": 24, "source": 30, "destination": 34, "source_port": 36, "destination_port": 38,
        "tcp_flags": 48,
    }  # fmt: skip
    assert {name: first[name] for name in want} == want


@st.composite
def hostile(draw: st.DrawFn) -> tuple[bytes, int]:
    """Return octets: any, or a real frame with some changed."""
    if draw(st.booleans()):
        link = draw(st.sampled_from([*sorted(links.KNOWN_LINKS), 147]))
        return draw(st.binary(max_size=120)), link
    number = draw(st.integers(0, len(SAMPLES) - 1))
    frame = bytearray(SAMPLES[number])
    for _ in range(draw(st.integers(1, 4))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    return bytes(frame[: draw(st.integers(0, len(frame)))]), SAMPLE_LINKS[number]


@given(st.lists(hostile(), min_size=1, max_size=6), st.binary(max_size=60))
@settings(max_examples=150)
def test_any_octets(packets: list[tuple[bytes, int]], between: bytes) -> None:
    frames, link = [frame for frame, _ in packets], [link for _, link in packets]
    alone = [dissected([frame], one)[0] for frame, one in packets]
    assert dissected(frames, link) == alone
    assert dissected(frames, link, between=between) == alone
    for frame, one in packets[:2]:
        check_cuts(frame, one)
