"""The fuzzer's form of a second or so for each protocol, and its own parts."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from nftui.capture.datagrams import DatagramBlock
from nftui.capture.decoder import Decoder
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.meter import Meter
from tests.capture import build
from tests.capture.build import ipfix, netflow9, one_set, template
from tests.fuzz.accounting import asks
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutations import PROTOCOLS, captured, mutated, places
from tests.fuzz.packet_campaign import PACKETS, PacketCampaign
from tests.fuzz.packet_traffic import PacketSession
from tests.fuzz.shrink import fails, shrink
from tests.fuzz.steps import LONGEST, STALE, Sent, Step, load, save
from tests.fuzz.traffic import Session

SESSIONS = {"v1": 5, "v5": 4, "v7": 5, "v9": 4, "ipfix": 4, "sflow": 4}
"""Sessions for each protocol: about a second."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_fuzz(protocol: str, tmp_path: Path) -> None:
    campaign = Campaign(protocol, 7, tmp_path)
    campaign.run(0, sessions=SESSIONS[protocol], steps=40)
    assert campaign.failures == {}
    assert campaign.counts.blocks > 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_same_seed_same_steps(protocol: str) -> None:
    first, again = (Session(protocol, 3, 2) for _ in range(2))
    assert [step for step, _ in zip(first.steps(), range(10), strict=False)] == [
        step for step, _ in zip(again.steps(), range(10), strict=False)
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mutations_stay_datagrams(protocol: str) -> None:
    random = Random(5)
    some = [one for case in captured(protocol) for one in case]
    for _ in range(300):
        octets = random.choice(some)
        assert all(0 <= at and at + size <= len(octets) for at, size in places(octets))
        assert len(mutated(random, octets, random.choice(some))) <= LONGEST


def test_steps_survive_a_capture(tmp_path: Path) -> None:
    steps = [
        Step(0, [Sent(b"\0\x09abc", build.EXPORTER, 2055), Sent(b"", b"\x20\x01" + bytes(14), 7)], 9995, 1_700_000_000_000_001),
        Step(1, [Sent(bytes(LONGEST), b"\x20\x01" + bytes(14), 65535)], 6343, 1_700_000_000_500_000),
    ]
    save(tmp_path / "some.pcap", steps)
    assert list(load(tmp_path / "some.pcap")) == steps
    assert steps[0].stale == STALE


@pytest.mark.parametrize(
    ("octets", "port", "asked"),
    [
        (b"", 9995, True),
        (b"\0\5" + bytes(22), 9995, False),
        (b"\0\5" + bytes(21), 9995, True),
        (b"\0\5\0\1" + bytes(20), 9995, True),
        (b"\0\5" + bytes(22) + bytes(47) + b"\1", 9995, True),
        (netflow9(), 9995, False),
        (netflow9(one_set(0, template(300, build.PROTOCOL_AND_OCTETS)), bytes(3)), 9995, False),
        (netflow9(one_set(300, b"\1")), 9995, True),
        (netflow9(one_set(300, bytes(8))), 9995, False),
        (netflow9(bytes(4), b"\1"), 9995, True),
        (netflow9(b"\0\0\0\3"), 9995, True),
        (ipfix(one_set(2, template(300, build.PROTOCOL_AND_OCTETS))), 9995, False),
        (ipfix(one_set(4, b"")), 9995, True),
        (ipfix() + b"\0", 9995, True),
        (ipfix(), 6343, True),
        (b"\0\0\0\5\0\0\0\1" + bytes(20), 6343, False),
        (b"\0\0\0\5\0\0\0\1" + bytes(19) + b"\1", 9995, True),
    ],
)
def test_what_has_to_leave_a_trace(octets: bytes, port: int, asked: bool) -> None:
    assert asks(octets, port) == asked


class Careless(Decoder):
    """Can't bear datagrams that begin with 0xbb, loses those with 0xcc, and tells nothing of those with 0xdd."""

    def decode(self, block: DatagramBlock) -> list[pl.DataFrame]:
        first = block.payload[block.length > 0, 0]
        if (first == 0xBB).any():
            raise ZeroDivisionError("0xbb")
        return [] if (first == 0xCC).any() else super().decode(block)

    def status(self, now_us: int) -> dict[str, Any]:
        told = super().status(now_us)
        for exporter in told["exporters"]:
            exporter["unread"] = {reason: number for reason, number in exporter["unread"].items() if "octets dd" not in reason}
        return told


@pytest.mark.parametrize("mode", ["block", "alone"])
@pytest.mark.parametrize(
    ("octet", "kind"), [(0xBB, "ZeroDivisionError test_fuzz.py:decode"), (0xCC, "datagrams"), (0xDD, "vanished")]
)
def test_failures_are_found_and_shrunk(octet: int, kind: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.checks.Decoder", Careless)
    some = [Sent(bytes([0, place, 1, 1]), build.EXPORTER) for place in range(20, 30)]
    steps = [Step(number, some, 9995, 1_700_000_000_000_000 + number) for number in range(6)]
    steps.append(Step(6, [*some, Sent(bytes([octet, 2, 3]), build.EXPORTER), *some], 9995, 1_700_000_001_000_000))
    assert fails(steps, mode) == kind
    (small,) = shrink(steps, mode, kind, 20.0)
    assert [one.octets[:1] for one in small.sent] == [bytes([octet])]
    assert len(small.sent[0].octets) == 1
    assert fails([small], mode) == kind


@pytest.mark.row("B01")
def test_packets(tmp_path: Path) -> None:
    campaign = PacketCampaign(PACKETS, 7, tmp_path)
    campaign.run(0, sessions=5, steps=6)
    assert campaign.failures == {}
    assert campaign.counts.flows > 100
    assert campaign.counts.unread > 100


def test_same_seed_same_packets() -> None:
    first, again = (PacketSession(7, 2) for _ in range(2))
    assert first.settings() == again.settings()
    for one, other in zip(first.steps(), again.steps(), strict=True):
        assert (one.block.flat.tobytes(), one.block.time.tolist()) == (other.block.flat.tobytes(), other.block.time.tolist())


def test_a_meter_that_loses_packets_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Meter.take

    def careless(self: Meter, block: FrameBlock) -> None:
        take(self, block)
        self.counts.packets += 1

    monkeypatch.setattr(Meter, "take", careless)
    campaign = PacketCampaign(PACKETS, 7, tmp_path)
    campaign.run(0, sessions=1, steps=3)
    assert set(campaign.failures) == {"frames"}
