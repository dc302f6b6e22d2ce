"""The local back end: what is kept between questions never changes an answer."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.engine import edge_flows, open_questions
from nftui.engine.filters import parse
from nftui.engine.instants import corrected
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, Interval, Kind, Measure, Query
from nftui.engine.sealer import Sealer
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter
from nftui.errors import StoreError
from nftui.units import SECOND
from tests.engine.conftest import address, flows_frame

BASE = 1_700_000_000 * SECOND


def _comparable(answer: Answer) -> tuple[Any, ...]:
    series = None if answer.series is None else answer.series.rows()
    return answer.groups.rows(), answer.total, answer.group_count, series, answer.first, answer.last


def _second(chance: random.Random, at: int) -> list[dict[str, Any]]:
    return [
        {
            "flow_start": (end := at + chance.randrange(SECOND)) - chance.choice([0, 5_000, 300_000, 4_000_000]),
            "flow_end": end,
            "received": at + SECOND,
            "octets": chance.randrange(1_000_000),
            "packets": chance.randrange(1, 1000),
            "source_address": chance.randrange(30),
            "destination_port": chance.choice([53, 80, 443]),
            "sampling_interval": chance.choice([None, None, 4]),
        }
        for _ in range(chance.randrange(1, 40))
    ]


@pytest.mark.parametrize("seed", range(2))
def test_a_question_asked_again_while_the_store_grows_is_answered_as_if_asked_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    if seed % 2:
        monkeypatch.setattr(open_questions, "SLICED_ROWS", 10)
    writer, sealer = StoreWriter(tmp_path), Sealer(tmp_path, interval_s=8)
    kept = LocalBackEnd(tmp_path)
    for second in range(30):
        now = BASE + second * SECOND
        writer.append([flows_frame(_second(chance, now))])
        writer.write_tail()
        if chance.random() < 0.4:
            sealer.sweep(now)
        end = (now // (2 * SECOND) + 1) * 2 * SECOND
        interval = Interval(end - 20 * SECOND, end)
        for query in (
            Query(interval=interval, keys=("source_address",), bins=10, limit=5),
            Query(interval=interval, keys=("destination_port",), bins=10, limit=2, measure=Measure.PACKETS, order="packets"),
            Query(interval=interval, bins=10),
            Query(interval=interval, keys=("source_address", "destination_port"), where=parse("port 53 or port 80"), limit=None),
        ):
            fresh = LocalBackEnd(tmp_path, keep=False).answer(query)
            assert _comparable(kept.answer(query)) == _comparable(fresh), (second, query)
    assert fresh.total.flows > 100


def test_a_range_that_moves_to_and_fro_is_answered_as_if_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_flows, "FEW_FLOWS", 4)
    monkeypatch.setattr(open_questions, "SLICED_ROWS", 10)
    chance, writer = random.Random(7), StoreWriter(tmp_path)
    for second in range(30):
        flows = _second(chance, BASE + second * SECOND)
        for flow in flows:
            flow["destination_address"] = chance.randrange(30)
            if chance.random() < 0.1:
                # Octets and microseconds whose product takes more than 63 bits.
                flow |= {"octets": chance.randrange(2**50), "flow_start": flow["flow_end"] - chance.randrange(30 * SECOND)}
        writer.append([flows_frame(flows)])
        writer.write_tail()
    queries = (
        Query(keys=("address",), bins=10, limit=3),
        Query(keys=("port",), bins=10, limit=2, where=parse("port 53 or port 80")),
        Query(keys=("source_address", "destination_address"), bins=10, limit=5, contained=True),
        Query(keys=("destination_port",), bins=10, limit=5, measure=Measure.PACKETS),
        Query(keys=("protocol",), bins=10, where=parse("port 1")),
    )
    kept = LocalBackEnd(tmp_path)
    for _ in range(6):
        start = BASE + 2 * SECOND * chance.randrange(2, 8)
        for query in queries:
            asked = replace(query, interval=Interval(start, start + 20 * SECOND))
            answer, fresh = kept.answer(asked), LocalBackEnd(tmp_path, keep=False).answer(asked)
            assert (*_comparable(answer), answer.covered) == (*_comparable(fresh), fresh.covered), asked


def test_a_refresh_reads_only_new_parts(tmp_path: Path) -> None:
    chance = random.Random(1)
    writer = StoreWriter(tmp_path)
    for second in range(10):
        writer.append([flows_frame(_second(chance, BASE + second * SECOND))])
        writer.write_tail()
    kept = LocalBackEnd(tmp_path)
    query = Query(interval=Interval(BASE - 60 * SECOND, BASE + 60 * SECOND), keys=("destination_port",), bins=12)
    assert kept.answer(query).coverage.parts_read == 10
    assert kept.answer(query).coverage.parts_read == 0
    writer.append([flows_frame(_second(chance, BASE + 11 * SECOND))])
    writer.write_tail()
    again = kept.answer(query)
    assert (again.coverage.parts_read, again.coverage.parts) == (1, 11)


def test_sums_of_questions_stay_within_their_octets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame(_second(random.Random(1), BASE))])
    writer.write_tail()
    kept = LocalBackEnd(tmp_path)
    questions = [Query(keys=(key,)) for key in ("source_address", "destination_port", "protocol")]
    for query in questions:
        kept.answer(query)
    assert [kept.answer(query).coverage.parts_read for query in questions] == [0, 0, 0]
    monkeypatch.setattr(open_questions, "STATES_OCTETS", 1)
    assert [kept.answer(query).coverage.parts_read for query in questions] == [0, 1, 1]
    assert kept.answer(questions[-1]).coverage.parts_read == 0
    monkeypatch.setattr(open_questions, "STATES_OCTETS", 1 << 30)
    kept.answer(questions[0])
    monkeypatch.setattr(open_questions, "IDLE_S", 0.0)
    assert [kept.answer(query).coverage.parts_read for query in (*questions, questions[-1])] == [0, 1, 1, 0]


def test_top_and_other_are_the_total(make_store: Any) -> None:
    rows = [{"flow_start": BASE, "flow_end": BASE, "octets": 2**number, "source_address": number} for number in range(30)]
    answer = LocalBackEnd(make_store([rows])).answer(Query(keys=("source_address",), limit=4))
    assert answer.groups["source_address"].to_list() == [address(number) for number in (29, 28, 27, 26)]
    assert answer.group_count == 30
    assert answer.other.octets + answer.groups["octets"].sum() == 2**30 - 1 == answer.total.octets


def test_ties_are_ranked_by_key(make_store: Any) -> None:
    rows = [{"flow_start": BASE, "octets": 7, "source_address": number} for number in (5, 3, 9, 1)]
    answer = LocalBackEnd(make_store([rows])).answer(Query(keys=("source_address",), limit=2))
    assert answer.groups["source_address"].to_list() == [address(1), address(3)]


def test_groups_without_a_value_are_a_group(make_store: Any) -> None:
    rows = [{"flow_start": BASE, "octets": 1, "source_address": None}, {"flow_start": BASE, "octets": 2, "source_address": 1}]
    answer = LocalBackEnd(make_store([rows])).answer(Query(keys=("source_address",), bins=2))
    assert answer.groups.rows() == [(address(1), 2, 1, 1), (None, 1, 1, 1)]
    assert answer.series is not None
    assert answer.series["g1"].sum() == 1


def test_sampling_scales_sums_unless_raw(make_store: Any) -> None:
    root = make_store(
        [[{"flow_start": BASE, "octets": 5, "packets": 2, "sampling_interval": 100}, {"flow_start": BASE, "octets": 1}]]
    )
    scaled = LocalBackEnd(root).answer(Query())
    assert (scaled.total.octets, scaled.total.packets, scaled.total.flows, scaled.coverage.sampled) == (501, 201, 2, True)
    raw = LocalBackEnd(root).answer(Query(sampling=False))
    assert (raw.total.octets, raw.total.packets) == (6, 3)


def test_contained_takes_only_flows_wholly_inside(make_store: Any) -> None:
    rows = [
        {"flow_start": BASE + 1, "flow_end": BASE + 9, "octets": 8},
        {"flow_start": BASE - 10, "flow_end": BASE + 10, "octets": 20},
    ]
    root = make_store([rows])
    interval = Interval(BASE, BASE + 10)
    assert LocalBackEnd(root).answer(Query(interval=interval)).total.octets == 18
    assert LocalBackEnd(root).answer(Query(interval=interval, contained=True)).total.octets == 8


def test_flow_records_come_in_order_with_the_count_of_all(make_store: Any) -> None:
    rows = [{"flow_start": BASE + number, "flow_end": BASE + number + 5, "octets": number} for number in range(50)]
    back_end = LocalBackEnd(make_store([rows[:20], rows[20:]], sealed=1))
    answer = back_end.answer(Query(kind=Kind.FLOWS, order="flow_start", limit=3, interval=Interval(BASE, BASE + 40)))
    assert answer.flows is not None
    assert answer.flows["octets"].to_list() == [39, 38, 37]
    assert answer.total.flows == 40
    assert "user_name" not in answer.flows.columns


def test_an_empty_store_answers_nothing(tmp_path: Path) -> None:
    back_end = LocalBackEnd(tmp_path / "none")
    for query in (Query(), Query(keys=("source_port",), bins=5), Query(interval=Interval(0, 10), bins=3), Query(kind=Kind.FLOWS)):
        answer = back_end.answer(query)
        assert answer.total.flows == 0
        assert answer.coverage.held is None


@pytest.mark.parametrize("keep", [True, False])
def test_a_damaged_file_is_named_and_the_others_answer(make_store: Any, keep: bool) -> None:
    rows = [[{"flow_start": BASE, "octets": 2**number}] for number in range(6)]
    root = make_store(rows, sealed=4)
    first = min(root.rglob("*.parquet"))
    first.write_bytes(b"PAR1 not really")
    tail = min(root.rglob("*.arrow"))
    tail.write_bytes(tail.read_bytes()[:40])
    back_end = LocalBackEnd(root, keep=keep)
    for query in (Query(), Query(keys=("exporter_address",), bins=3), Query(kind=Kind.FLOWS)):
        answer = back_end.answer(query)
        assert answer.total.octets == 4 + 8 + 32
        assert sorted(text.split(":")[0] for text in answer.coverage.unread) == sorted([first.name, tail.name])


def test_a_segment_damaged_within_is_an_error_that_names_the_store(make_store: Any) -> None:
    root = make_store([[{"flow_start": BASE + n, "octets": n} for n in range(5000)]], sealed=1)
    (segment,) = root.rglob("*.parquet")
    octets = bytearray(segment.read_bytes())
    end = len(octets) - 8 - int.from_bytes(octets[-8:-4], "little")
    octets[4:end] = bytes(end - 4)
    segment.write_bytes(octets)
    with pytest.raises(StoreError, match=str(root)):
        LocalBackEnd(root).answer(Query())


def test_odd_flows_are_found_by_their_own_times(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path)
    old = {"flow_start": BASE - 86_400 * SECOND, "flow_end": BASE - 86_400 * SECOND, "received": BASE, "octets": 3}
    ahead = {"flow_start": BASE + 86_400 * SECOND, "flow_end": BASE + 86_400 * SECOND, "received": BASE, "octets": 4}
    writer.append([flows_frame([{"flow_start": BASE, "flow_end": BASE, "octets": 1}, old, ahead])])
    paths = writer.write_tail()
    assert sorted(path.name.split("-")[5].split(".")[0] for path in paths) == ["main", "odd"]
    assert writer.odd == 2
    back_end = LocalBackEnd(tmp_path)
    assert back_end.answer(Query()).total.octets == 8
    day = Interval(BASE - 86_401 * SECOND, BASE - 86_399 * SECOND)
    answer = back_end.answer(Query(interval=day))
    assert (answer.total.octets, answer.coverage.parts) == (3, 1)


def test_first_and_last_are_those_of_the_matching_flows(make_store: Any) -> None:
    rows = [
        {"flow_start": BASE, "flow_end": BASE + 5, "source_port": 1},
        {"flow_start": BASE + 2, "flow_end": BASE + 3, "source_port": 2},
    ]
    answer = LocalBackEnd(make_store([rows])).answer(Query(where=parse("src port 2"), times=True))
    assert (answer.first, answer.last) == (BASE + 2, BASE + 3)
    assert pl.Series([answer.total.flows]).to_list() == [1]


def test_a_record_is_a_flow_at_least(make_store: Any) -> None:
    rows = [{"flow_start": BASE, "flow_count": count} for count in (0, 1, 5, None)]
    back_end = LocalBackEnd(make_store([rows]))
    assert back_end.answer(Query()).total.flows == 8
    assert back_end.answer(Query(where=parse("flows 1"))).total.flows == 3


def test_a_clock_that_was_off_is_corrected_by_questions(make_store: Any) -> None:
    """Exported times stay in the store; where a flow lies, in which file and in which bin, is told with the correction."""
    hour, now = 3600 * SECOND, 1_700_000_000 * SECOND
    rows = [
        {
            "flow_start": now - hour,
            "flow_end": now - hour + SECOND,
            "clock_correction": hour,
            "received": now + 2 * SECOND,
            "octets": 100,
        },
        {"flow_start": now, "flow_end": now + SECOND, "received": now + 2 * SECOND, "octets": 10},
    ]
    for sealed in (0, 1):
        root = make_store([rows], sealed=sealed, name=f"store{sealed}")
        interval = Interval(now - 10 * SECOND, now + 10 * SECOND)
        for keep in (False, True):
            back_end = LocalBackEnd(root, keep=keep)
            assert back_end.answer(Query(interval=interval)).total.octets == 110
            answer = back_end.answer(Query(interval=interval, bins=20))
            assert answer.series is not None
            assert answer.series["g0"].to_list()[10] == 110
            flows = back_end.answer(Query(interval=interval, kind=Kind.FLOWS)).flows
            assert flows is not None
            assert sorted(flows["flow_start"].to_physical()) == [now - hour, now]
            assert back_end.answer(Query(interval=Interval(now - 2 * hour, now - hour // 2))).total.octets == 0
        assert not [part for part in Store(root).parts() if part.name.stream == "odd"]


def test_a_sampled_frame_counts_its_length_and_one_packet(make_store: Any) -> None:
    start = 1_700_000_000 * SECOND
    row = {"flow_start": start, "flow_end": start, "octets": None, "packets": None, "frame_length": 1500, "sampling_interval": 100}
    root = make_store([[row, {**row, "octets": 7, "packets": 3, "sampling_interval": None}]])
    for query in (Query(), Query(kind=Kind.FLOWS)):
        total = LocalBackEnd(root, keep=False).answer(query).total
        assert (total.octets, total.packets, total.flows) == (150_007, 103, 2)
    raw = LocalBackEnd(root, keep=False).answer(Query(sampling=False)).total
    assert (raw.octets, raw.packets) == (1507, 4)


@pytest.mark.parametrize(
    ("status", "settling"),
    [
        ({"running": True, "now": 1000 * SECOND, "exporters": [{"watermark_s": 60.0}, {"watermark_s": 300}]}, 700 * SECOND),
        ({"running": True, "now": 1000 * SECOND, "exporters": [{"watermark_s": None}, "hostile", {"watermark_s": "x"}]}, None),
        ({"running": False, "now": 1000 * SECOND, "exporters": [{"watermark_s": 60.0}]}, None),
        ({"running": True, "now": 1000 * SECOND, "exporters": [{"watermark_s": 1e300}]}, 0),
        ({"running": True, "now": "soon", "exporters": 5}, None),
    ],
)
def test_what_still_settles_follows_from_the_watermarks(make_store: Any, status: dict[str, Any], settling: int | None) -> None:
    root = make_store([[{"flow_start": 1, "flow_end": 2}]])
    (root / "status.json").write_text(json.dumps(status))
    back_end = LocalBackEnd(root, keep=False)
    assert back_end.answer(Query(interval=Interval(0, 1000 * SECOND))).coverage.settling_from == settling
    past = Interval(0, 1) if settling == 0 else Interval(0, 100 * SECOND)
    assert back_end.answer(Query(interval=past)).coverage.settling_from == (settling if settling == 0 else None)


def test_a_person_is_shown_corrected_times() -> None:
    start = 1_700_000_000 * SECOND
    rows = [{"flow_start": start, "flow_end": start + 1, "clock_correction": 5}, {"flow_start": start, "clock_correction": None}]
    shown = corrected(flows_frame(rows))
    assert shown["flow_start"].to_physical().to_list() == [start + 5, start]
    assert shown["flow_end"].to_physical().to_list() == [start + 6, None]
    assert corrected(flows_frame(rows[:1]).drop("clock_correction"))["flow_start"].to_physical().to_list() == [start]
