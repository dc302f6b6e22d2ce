"""What is read of frames: the fast way says what the thorough one says, whatever the octets; lengths, tags, tunnels."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.meter import Meter, MeterCounts, MeterSettings
from nftui.capture.values import LATEST
from tests.capture.frames import TUNNELS, ether, inner, link_cases, outer6, transport_cases, tunnel_cases
from tests.capture.probe.blocks import NOON, block, metered, text, udp

UNKNOWN_LINK = 999


def tagged(*tags: tuple[int, int]) -> bytes:
    """Return a frame with tags of an EtherType and a VLAN."""
    frame = bytes(ether() / inner())
    return frame[:12] + b"".join(struct.pack(">HH", *tag) for tag in tags) + frame[12:]


TAGGED = [
    tagged(*((kind, vlan) for kind, vlan in zip(kinds, vlans, strict=False)))
    for kinds in ((0x8100, 0x8100, 0x8100), (0x88A8, 0x8100), (0x8100, 0x88A8), (0x9100, 0x8100))
    for vlans in ((5, 6, 7), (0, 6, 7), (5, 0), (0, 0), (0x2005, 0xE006))
]
SAMPLES = [(link, frame) for link, frame, _ in link_cases().values()]
SAMPLES += [(1, frame) for frame in TAGGED]
COOKED = [(link, frame) for link, frame in SAMPLES if link in (113, 276)]
# Behind a cooked header tags stand like in a frame; its EtherType is that of the first.
SAMPLES += [(113, frame[:14] + tags[12:]) for _, frame in COOKED[:1] for tags in TAGGED]
SAMPLES += [(276, tags[12:14] + frame[2:20] + tags[14:]) for _, frame in COOKED[1:2] for tags in TAGGED]
SAMPLES += [(1, bytes(ether() / packet)) for packet, _ in tunnel_cases().values()]
SAMPLES += [(1, bytes(ether() / case[0])) for case in transport_cases().values()]


def shown(flows: pl.DataFrame | None) -> list[dict[str, Any]]:
    if flows is None:
        return []
    rows = [{name: value for name, value in row.items() if value is not None} for row in flows.to_dicts()]
    return sorted(rows, key=lambda row: (row["flow_start"], str(sorted(row.items(), key=str))))


def read(frames: list[bytes], link: int, *, general: bool, padding: int = 0, **told: Any) -> tuple[Any, MeterCounts]:
    """Meter frames; the thorough way when one of an unknown link type is among them, which is no packet."""
    meter = Meter(MeterSettings(**told))
    links: Any = [link] * len(frames) + [UNKNOWN_LINK] if general else link
    meter.take(block(frames + [b""] * general, link=links, padding=padding))
    return shown(meter.rest(NOON)), meter.counts


def agree(frames: list[bytes], link: int, **told: Any) -> MeterCounts:
    fast, counts = read(frames, link, general=False, **told)
    thorough, other = read(frames, link, general=True, **told)
    assert fast == thorough
    padding = told.get("padding", 0)
    alike = {"frames": -1, "not_ip": -1, "octets": -padding, "not_ip_octets": -padding}
    assert counts.as_dict() == {name: value + alike.get(name, 0) for name, value in other.as_dict().items()}
    return counts


@pytest.mark.parametrize("link", sorted({link for link, _ in SAMPLES}))
@pytest.mark.parametrize("tunnels", [False, True])
def test_both_ways_of_reading_agree(link: int, tunnels: bool) -> None:
    """On any packet over a link, padded, captured short, and cut anywhere."""
    for number, frame in enumerate(frame for of, frame in SAMPLES if of == link):
        agree([frame, frame[:-1], frame + bytes(20), udp(1)], link, tunnels=tunnels, padding=number % 2 * 9)
    agree([frame[:end] for of, frame in SAMPLES if of == link for end in range(len(frame))], link, tunnels=tunnels)


@settings(max_examples=60)
@given(data=st.data(), tunnels=st.booleans())
def test_both_ways_agree_on_any_octets(data: st.DataObject, tunnels: bool) -> None:
    link = data.draw(st.sampled_from([1, 101, 113, 276, 228]))
    whole = [frame for of, frame in SAMPLES if of == link]
    frames = []
    for _ in range(data.draw(st.integers(1, 6))):
        frame = bytearray(data.draw(st.sampled_from(whole) if whole else st.binary(max_size=90)))
        for place, value in data.draw(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=6)):
            if place < len(frame):
                frame[place] = value
        frames.append(bytes(frame[: data.draw(st.integers(0, 200))]))
    counts = agree(frames, link, tunnels=tunnels)
    assert counts.frames == counts.packets + counts.not_ip + counts.cut
    assert counts.octets == counts.packet_octets + counts.link_octets + counts.not_ip_octets + counts.cut_octets


@settings(max_examples=60)
@given(
    octets=st.lists(st.binary(max_size=120), max_size=8),
    times=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=8, max_size=8),
    link=st.sampled_from([0, 1, 9, 50, 101, 104, 108, 113, 219, 276, UNKNOWN_LINK]),
    both=st.booleans(),
    carried=st.booleans(),
)
def test_any_octets_at_any_time(octets: list[bytes], times: list[int], link: int, both: bool, carried: bool) -> None:
    meter = Meter(MeterSettings(bidirectional=both, carry_fragments=carried))
    meter.take(block(octets, times[: len(octets)], link))
    frames = [frame for frame in (meter.expired(NOON), meter.rest(NOON)) if frame is not None]
    assert sum(int(frame["packets"].sum()) for frame in frames) == meter.counts.packets
    assert meter.counts.odd_time == sum(not 0 <= time <= LATEST for time in times[: len(octets)])
    assert sum(int(frame["octets"].sum()) for frame in frames) == meter.counts.packet_octets


# ---------------------------------------------------------------- lengths


def patched(frame: bytes, at: int, value: int) -> bytes:
    return frame[:at] + struct.pack(">H", value) + frame[at + 2 :]


@pytest.mark.parametrize(
    ("frame", "padding", "octets", "odd"),
    [
        (udp(1, 10), 0, 38, 0),
        (udp(1, 10) + bytes(8), 0, 38, 0),  # padded
        (udp(1, 10), 1000, 38, 0),  # captured short
        (patched(udp(1, 10), 16, 0), 0, 38, 0),  # left to the interface: as long as the frame
        (patched(udp(1, 10), 16, 0), 60000, 60038, 0),
        (patched(udp(1, 10), 16, 60000), 0, 38, 1),  # says more than there is
        (patched(udp(1, 10), 16, 60000), 70000, 60000, 0),
        (patched(udp(1, 10), 16, 3), 0, 20, 1),  # less than its header
        (bytes(ether() / outer6(nh=17) / b"\0\1\0\2\0\x08\0\0"), 0, 48, 0),
        (patched(bytes(ether() / outer6(nh=17) / b"\0\1\0\2\0\x08\0\0"), 18, 0), 0, 40, 0),
        (patched(bytes(ether() / outer6(nh=17) / b"\0\1\0\2\0\x08\0\0"), 18, 0), 6000, 6048, 0),
        (bytes(ether() / outer6(nh=59)) + bytes(6), 0, 40, 0),  # padded, and really empty
    ],
)
def test_octets(frame: bytes, padding: int, octets: int, odd: int) -> None:
    meter = Meter(MeterSettings())
    meter.take(block([frame], padding=padding))
    flows = meter.rest()
    assert flows is not None
    assert flows["octets"].to_list() == [octets]
    assert (meter.counts.odd_length, meter.counts.octets) == (odd, len(frame) + padding)
    assert meter.counts.link_octets == len(frame) + padding - octets


def test_too_short_to_know_the_addresses() -> None:
    frame = udp(1)
    meter = Meter(MeterSettings())
    meter.take(block([frame[:33], frame[:34], frame[:13], b""], padding=100))
    counts, flows = meter.counts, meter.rest()
    assert flows is not None
    assert (counts.cut, counts.packets, counts.not_ip) == (1, 1, 2)
    assert (counts.cut_octets, counts.not_ip_octets) == (133, 213)
    assert flows["packets"].to_list() == [1]
    assert "source_port" not in flows.columns


# ---------------------------------------------------------------- tags, tunnels


def test_tag_that_the_kernel_took() -> None:
    from scapy.layers.l2 import Dot1Q

    plain, tagged, twice = (bytes(ether() / tags / inner()) for tags in (b"", Dot1Q(vlan=7), Dot1Q(vlan=7) / Dot1Q(vlan=8)))
    plain = bytes(ether() / inner())
    for frame, vlan, want in (
        (plain, 100, (100, None)),
        (plain, 0, (None, None)),
        (plain, -1, (None, None)),
        (tagged, -1, (7, None)),
        (tagged, 100, (100, 7)),
        (tagged, 0, (7, None)),
        (twice, -1, (7, 8)),
        (twice, 100, (100, 7)),
    ):
        flows = metered([block([frame], vlan=np.array([vlan], np.int32))])
        row = flows.to_dicts()[0]
        assert (row.get("source_vlan"), row.get("customer_vlan")) == want, (len(frame), vlan)


@pytest.mark.parametrize("name", TUNNELS)
def test_tunnels(name: str) -> None:
    """The outermost header is the key unless the inner one is asked for; then the outer addresses are kept beside it."""
    packet, _ = tunnel_cases()[name]
    frame = bytes(ether() / packet)
    outer, deep = (metered([block([frame])], tunnels=tunnels).to_dicts()[0] for tunnels in (False, True))
    assert outer["octets"] == len(frame) - 14
    assert text(outer["source_address"]) in ("203.0.113.1", "2001:db8:a::1")
    assert (text(deep["source_address"]), deep["source_port"], deep["octets"]) == ("192.0.2.1", 1111, len(bytes(inner())))
    assert deep["outer_source_address"] == outer["source_address"]
    assert deep["outer_destination_address"] == outer["destination_address"]
    assert "outer_source_address" not in outer


def test_margin_of_the_octets() -> None:
    """Frames at the very end of the octets are read like any other."""
    frame = udp(1, 0)
    flat = np.frombuffer(bytes(7) + frame, np.uint8)
    start, end = np.array([7]), np.array([7 + len(frame)])
    flows = metered([FrameBlock(flat, start, end, end - start, np.array([NOON]), 1)])
    assert flows["octets"].to_list() == [28]
