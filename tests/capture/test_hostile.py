"""A hostile sender beside an honest exporter, in a decoder under a collector's rules: the honest one loses no flow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nftui.capture import exporters
from nftui.capture.datagrams import MAPPED_PREFIX, DatagramBlock
from nftui.capture.decoder import Decoder
from nftui.capture.newcomers import MAX_WAITING
from nftui.config import CollectorSettings
from nftui.engine.rules import rules_of
from nftui.units import SECOND
from tests.bench import hostile, traffic
from tests.capture import build

ROWS, HONEST_ROWS = 2000, 80
BLOCKS, BEFORE = 12, 4
"""Blocks of an attack, and those that come before the honest exporter."""
STEP_US = ROWS * SECOND // 50_000
"""Between two blocks: 50,000 datagrams a second."""
HONEST = MAPPED_PREFIX + bytes([127, 0, 0, 1])
CPU_S = 3.0
"""For each second of an attack: far more than it takes, far less than it took."""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[bytes], list[int]]]:
    """What an honest exporter sends, by protocol: datagrams, and the flows in each."""
    found = {}
    for protocol in traffic.PROTOCOLS:
        path: Path = tmp_path_factory.mktemp("honest") / protocol
        made = traffic.record(path, protocol, 20_000)
        datagrams = [made.octets[a:b].tobytes() for a, b in zip(made.offset[:-1], made.offset[1:], strict=True)]
        found[protocol] = datagrams, made.records.tolist()
    return found


def attacked(kinds: list[str], honest: tuple[list[bytes], list[int]], decoder: Decoder) -> tuple[int, int, float]:
    """Attack a decoder; return the honest flows that were sent and that it gave, and the CPU seconds of the slowest block."""
    rows, random = hostile.drawn(kinds, 2048 // len(kinds) + 500), np.random.default_rng(1)
    now, at, mine, sent, given, slowest = time.time_ns() // 1000, 0, 0, 0, 0, 0.0
    for number in range(BLOCKS):
        few = HONEST_ROWS if number >= BEFORE else 0
        some = [rows[(at + place) % len(rows)] for place in range(ROWS - few)]
        at += len(some)
        datagrams = [octets for _, _, octets in some]
        senders = [MAPPED_PREFIX + (random.bytes(4) if kind == "spoofed" else hostile.address_of(kind, n)) for kind, n, _ in some]
        for place in range(few):
            place_in_block = place * (ROWS // few)
            datagrams.insert(place_in_block, honest[0][mine % len(honest[0])])
            senders.insert(place_in_block, HONEST)
            sent += honest[1][mine % len(honest[0])]
            mine += 1
        block = build.block(datagrams, senders)
        block.received[:] = now + number * STEP_US
        began = time.process_time()
        frames = decoder.decode(block)
        slowest = max(slowest, time.process_time() - began)
        given += sum(frame.filter(pl.col("exporter_address") == HONEST).height for frame in frames)
    return sent, given, slowest


def counted(decoder: Decoder) -> dict[str, Any]:
    """Return the status; each datagram is counted for someone, or waits."""
    status = decoder.status(time.time_ns() // 1000)
    assert status["datagrams"] == status["waiting_datagrams"] + sum(one["datagrams"] for one in status["exporters"])
    assert status["flows"] == sum(one["flows"] for one in status["exporters"])
    return status


@pytest.mark.parametrize("protocol", traffic.PROTOCOLS)
def test_all_kinds_at_once(protocol: str, recordings: dict[str, tuple[list[bytes], list[int]]]) -> None:
    decoder = Decoder(rules_of(CollectorSettings()))
    sent, given, _ = attacked(list(hostile.KINDS), recordings[protocol], decoder)
    assert given == sent > 3000
    counted(decoder)


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_each_kind(kind: str, recordings: dict[str, tuple[list[bytes], list[int]]]) -> None:
    decoder = Decoder(rules_of(CollectorSettings()))
    began = time.process_time()
    sent, given, slowest = attacked([kind], recordings["v9"], decoder)
    used = time.process_time() - began
    assert given == sent > 3000
    counted(decoder)
    assert used < CPU_S * BLOCKS * STEP_US / SECOND + 1
    assert slowest < 1.5
    kept, waiting = decoder._exporters, decoder._admission.newcomers.waiting  # type: ignore[union-attr]
    assert kept.fields <= exporters.MAX_ALL_FIELDS
    assert kept.entries == sum(one.entries for one in kept.by_address.values()) + kept.other.entries
    assert waiting.octets <= MAX_WAITING


def test_places_are_full_of_exporters_that_send_little(
    monkeypatch: pytest.MonkeyPatch, recordings: dict[str, tuple[list[bytes], list[int]]]
) -> None:
    monkeypatch.setattr(exporters, "MAX_EXPORTERS", 200)
    monkeypatch.setattr("nftui.capture.admission.MAX_EXPORTERS", 200)
    decoder = Decoder(rules_of(CollectorSettings()))
    sent, given, _ = attacked(["pool"], recordings["v9"], decoder)
    assert given == sent > 3000
    status = counted(decoder)
    assert len(decoder._exporters.by_address) <= 200
    assert status["waiting_datagrams"] > 0


def test_template_fields_are_taken_from_who_has_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "MAX_ALL_FIELDS", 60)
    decoder = Decoder()
    many = [build.netflow9(build.one_set(0, build.template(300 + n, [(1, 4), (2, 4)])), sequence=n) for n in range(28)]
    build.decode(*many, decoder=decoder)
    said = build.netflow9(build.one_set(0, build.template(300, build.PROTOCOL_AND_OCTETS)), build.one_set(300, build.small(1, 7)))
    others = [MAPPED_PREFIX + bytes([10, 0, 0, n]) for n in range(3)]
    frames = decoder.decode(build.block([said] * 3, others))
    assert sum(map(len, frames)) == 3
    assert decoder._exporters.fields <= 60


def test_a_newcomer_that_waits_is_read_when_the_rush_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.capture.newcomers.CALM", (1, 3))
    decoder = Decoder(rules_of(CollectorSettings()))
    said = build.netflow9(build.one_set(0, build.template(300, build.PROTOCOL_AND_OCTETS)), build.one_set(300, build.small(1, 7)))
    crowd = [MAPPED_PREFIX + bytes([10, 0, 0, n]) for n in range(9)]

    def at(seconds: int, senders: list[bytes]) -> int:
        block = build.block([said] * len(senders), senders)
        block.received[:] += seconds * SECOND
        return sum(map(len, decoder.decode(block)))

    assert at(0, crowd) == 0
    assert counted(decoder)["waiting_datagrams"] == 9
    assert at(1, crowd[:1]) == 2, "who is seen again is read from the beginning"
    assert at(2, crowd[1:7]) == 12
    assert at(6, crowd[:1]) == 1 + 2, "and the others when few come"
    assert counted(decoder)["waiting_datagrams"] == 0


def test_an_exporter_whose_templates_change_without_end() -> None:
    decoder = Decoder(rules_of(CollectorSettings()))
    changing = [
        build.netflow9(
            build.one_set(0, build.template(300, [(8, 4), (12, 4), *((1 + (n + k) % 60, 4) for k in range(60))])), sequence=n
        )
        for n in range(600)
    ]
    build.decode(*changing, decoder=decoder)
    build.decode(*changing, decoder=decoder)
    status = build.exporter_of(decoder)
    assert status["unread"]["templates that change more often than there is time for"] > 100  # type: ignore[index]
    data = build.netflow9(build.one_set(300, bytes(4 * 62)), sequence=601)
    flows, _ = build.decode(changing[0], data, decoder=decoder)
    assert flows.is_empty(), "nothing is read by a template that may be another one by now"


def test_a_file_is_read_whole() -> None:
    """Under the rules of files nothing depends on how fast it comes."""
    decoder = Decoder()
    rows = hostile.drawn(["pool"], 3000)
    block = build.block([octets for _, _, octets in rows], [MAPPED_PREFIX + hostile.address_of(kind, n) for kind, n, _ in rows])
    flows = sum(map(len, decoder.decode(block)))
    assert flows == 3000 * 10


def test_blocks_of_one_part_keep_their_order() -> None:
    from nftui.capture.newcomers import Waiting

    waiting = Waiting()
    for turn in range(3):
        block = build.block([bytes([turn, n]) for n in range(4)], [MAPPED_PREFIX + bytes([10, 0, 0, n]) for n in range(4)])
        waiting.keep(block, np.arange(4), np.arange(4).astype(np.uint64), block.exporter)
    (released,) = waiting.release(np.array([1, 3], np.uint64))
    assert isinstance(released, DatagramBlock)
    assert [row[:2].tobytes() for row in released.payload] == [bytes([t, n]) for t in range(3) for n in (1, 3)]
    assert waiting.datagrams == 6
    assert waiting.expire(10**18) == (6, 12)
    assert (waiting.datagrams, waiting.octets) == (0, 0)
