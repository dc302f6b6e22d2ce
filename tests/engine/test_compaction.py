"""Compaction: whatever is sealed, compacted, removed or interrupted, in whatever order, every flow is counted once."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from nftui.engine import compaction
from nftui.engine import sealer as sealing
from nftui.engine.compaction import HOUR_US, Compactor
from nftui.engine.leaving import Leaving
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Query, Totals
from nftui.engine.retention import Limits, Retention
from nftui.engine.sealer import Sealer
from nftui.engine.segments import HOUR, SEGMENT, Part
from nftui.engine.set_aside import SetAside
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter
from nftui.units import SECOND
from tests.engine.conftest import flows_frame, tail_of

BASE = 1_700_002_800 * SECOND
"""The beginning of an hour."""
PLENTY = 1 << 50
MINUTE = 60 * SECOND

minutes = st.integers(0, 199)
steps = st.one_of(
    st.tuples(st.just("write"), st.lists(minutes, min_size=1, max_size=4)),
    st.tuples(st.sampled_from(("seal", "compact", "one step", "expire")), st.integers(0, 240)),
    st.tuples(st.sampled_from(("remove", "restart")), st.just(0)),
)


class _Trial:
    """A store that is written, sealed, compacted, expires and is read, step by step."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: list[tuple[int, int]] = []
        self._next = 0
        self._restart()
        self._kept = LocalBackEnd(root)

    def _restart(self) -> None:
        aside, self._leaving = SetAside(self.root), Leaving()
        self._sealer = Sealer(self.root, 300, aside)
        self._retention = Retention(self.root, Limits(lifespan=100 * MINUTE), self._leaving)
        self._retention.recover()
        self._sealer.recover()
        self._compactor = Compactor(self.root, self._leaving, aside)
        self._writer = StoreWriter(self.root)

    def step(self, action: str, what: object) -> None:
        if isinstance(what, list):
            self._write(what)
            return
        assert isinstance(what, int)
        now = BASE + what * MINUTE
        if action == "seal":
            self._sealer.sweep(now)
        elif action == "compact":
            while self._compactor.step(now, PLENTY):
                self.check()
        elif action == "one step":
            self._compactor.step(now, PLENTY)
        elif action == "expire":
            for one, _ in self._retention.sweep(now):
                stored = _octets(one.part)
                self.written = [(at, size) for at, size in self.written if size not in stored]
                assert one.part.name.received_to < now - 100 * MINUTE
        elif action == "remove":
            self._leaving.remove_all()
            self._retention._remove_hidden(float("inf"))
        else:
            self._restart()

    def _write(self, moments: list[int]) -> None:
        """Write flows received at these minutes, each of a size of its own."""
        rows = []
        for minute in moments:
            at, size = BASE + minute * MINUTE, 1000 + self._next
            self._next += 1
            self.written.append((at, size))
            rows.append(
                {"flow_start": at - SECOND, "flow_end": at, "received": at, "octets": size, "source_address": self._next * 7 % 11}
            )
        self._writer.append([flows_frame(rows)])
        self._writer.write_tail()

    def check(self) -> None:
        """Look what a reader sees: just the flows that were written and haven't expired."""
        expected = Totals(sum(size for _, size in self.written), len(self.written), len(self.written))
        assert self._kept.answer(Query()).total == expected
        for back_end in (LocalBackEnd(self.root, keep=False), self._kept):
            assert back_end.answer(Query(keys=("source_address",), bins=3)).total == expected
        inside = Interval(BASE + 60 * MINUTE, BASE + 120 * MINUTE)
        count = sum(inside.start < at <= inside.end - 1 for at, _ in self.written)
        assert LocalBackEnd(self.root, keep=False).answer(Query(interval=inside, contained=True)).total.flows == count


def _octets(part: Part) -> set[int]:
    return set(pl.read_parquet(part.path)["octets"].to_list())


@contextmanager
def _small() -> Iterator[None]:
    with (
        patch.object(sealing, "SEGMENT_FLOWS", 3),
        patch.object(compaction, "PIECE_FLOWS", 8),
        patch.object(compaction, "RUN_OCTETS", 300),
        patch.object(compaction, "SAMPLE_FLOWS", 2),
    ):
        yield


@settings(max_examples=15, deadline=None)
@given(st.lists(steps, max_size=25))
def test_every_flow_counts_once_whatever_happens_to_its_segment(plan: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder, _small():
        trial = _Trial(Path(folder))
        trial.check()
        for action, what in [*plan, ("seal", 10_000), ("compact", 10_000), ("remove", 0), ("restart", 0)]:
            trial.step(action, what)
            trial.check()
        assert tail_of(trial.root) == []
        assert {part.name.level for part in Store(trial.root).listed()} <= {HOUR}


def _segments(root: Path, frames: list[pl.DataFrame]) -> None:
    """Write a segment of each frame."""
    writer = StoreWriter(root)
    for frame in frames:
        writer.append([frame])
        writer.write_tail()
        Sealer(root, 300).sweep(0, everything=True)


def _compacted(root: Path, now: int = BASE + 10 * HOUR_US) -> list[Part]:
    compactor = Compactor(root, Leaving(), SetAside(root))
    while compactor.step(now, PLENTY):
        pass
    return [part for part in Store(root).parts() if part.name.level == HOUR]


def _flows(minute: int, count: int = 2, **more: object) -> pl.DataFrame:
    at = BASE + minute * MINUTE
    return flows_frame(
        [{"flow_start": at + n, "received": at + n, "octets": n, "source_address": (7 * n) % 5, **more} for n in range(count)]
    )


def test_an_hour_becomes_one_segment_sorted_in_runs_with_the_same_flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "RUN_OCTETS", 4000)
    monkeypatch.setattr(compaction, "SAMPLE_FLOWS", 10)
    _segments(tmp_path, [_flows(1, 30), _flows(6, 40, source_as=5), _flows(20, 30, source_port=7)])
    before = Store(tmp_path).scan(Store(tmp_path).parts(), tuple(_flows(1, 1, source_as=1, source_port=1).columns)).collect()
    (part,) = _compacted(tmp_path)
    after = pl.read_parquet(part.path)
    order = ["received", "octets"]
    assert_frame_equal(after.select(before.columns).sort(order), before.sort(order))
    runs = pl.read_parquet(part.path, columns=["source_address"])["source_address"]
    descents = sum(before > after for before, after in pairwise(runs))
    assert 1 <= descents < 20, "sorted in more than one run"
    assert part.name.received_from == BASE + MINUTE
    assert (part.name.first, part.name.last) == (1, 3)


def test_a_console_reads_no_hour_whose_segments_it_has_read(tmp_path: Path) -> None:
    _segments(tmp_path, [_flows(1), _flows(2), _flows(3)])
    console = LocalBackEnd(tmp_path)
    interval = Interval(BASE, BASE + HOUR_US)
    questions = [Query(interval=interval, keys=("source_address",), bins=6), Query(interval=interval, bins=6)]
    before = [console.answer(question) for question in questions]
    _compacted(tmp_path)
    assert {part.name.level for part in Store(tmp_path).parts()} == {HOUR}
    for question, answer in zip(questions, before, strict=True):
        again = console.answer(question)
        assert again.coverage.parts_read == 0
        assert again.total == answer.total and again.series is not None and answer.series is not None
        assert_frame_equal(again.series, answer.series)
        assert_frame_equal(again.groups, answer.groups)


def test_a_series_looks_at_so_many_flows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _segments(tmp_path, [_flows(1, 50), _flows(2, 40)])
    question = Query(interval=Interval(BASE, BASE + HOUR_US), keys=("source_address",), bins=6)
    whole = LocalBackEnd(tmp_path, keep=False).answer(question)
    monkeypatch.setattr("nftui.engine.series_parts.SPREAD_FLOWS", 7)
    for keep in (False, True):
        parts = LocalBackEnd(tmp_path, keep=keep).answer(question)
        assert parts.series is not None and whole.series is not None
        assert_frame_equal(parts.series, whole.series)


@pytest.mark.parametrize(("now", "made"), [(59, 0), (61, 1)])
def test_an_hour_is_compacted_when_it_is_over(tmp_path: Path, now: int, made: int) -> None:
    _segments(tmp_path, [_flows(1), _flows(50)])
    assert len(_compacted(tmp_path, BASE + now * MINUTE)) == made


def test_an_hour_whose_tail_is_not_sealed_waits(tmp_path: Path) -> None:
    _segments(tmp_path, [_flows(1)])
    writer = StoreWriter(tmp_path)
    writer.append([_flows(50)])
    writer.write_tail()
    assert _compacted(tmp_path) == []
    Sealer(tmp_path, 300).sweep(0, everything=True)
    assert len(_compacted(tmp_path)) == 1


def test_a_busy_hour_is_compacted_in_pieces_before_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "PIECE_FLOWS", 10)
    _segments(tmp_path, [_flows(minute, 4) for minute in range(6)])
    assert [(part.name.first, part.name.last) for part in _compacted(tmp_path, BASE + 7 * MINUTE)] == [(1, 2), (3, 4)]
    assert [(part.name.first, part.name.last) for part in _compacted(tmp_path)] == [(1, 2), (3, 4), (5, 6)]


def test_a_disk_without_room_for_another_copy_is_left_alone(tmp_path: Path) -> None:
    _segments(tmp_path, [_flows(1), _flows(2)])
    assert not Compactor(tmp_path, Leaving(), SetAside(tmp_path)).step(BASE + 10 * HOUR_US, 100)


def test_superseded_segments_stay_for_ten_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _segments(tmp_path, [_flows(1), _flows(2)])
    leaving, now = Leaving(), time.monotonic()
    compactor = Compactor(tmp_path, leaving, SetAside(tmp_path))
    while compactor.step(BASE + 10 * HOUR_US, PLENTY):
        pass
    leaving.remove(now + 590)
    assert {part.name.level for part in Store(tmp_path).listed()} == {SEGMENT, HOUR}
    leaving.remove(now + 610)
    assert {part.name.level for part in Store(tmp_path).listed()} == {HOUR}


def test_a_damaged_segment_is_set_aside_and_the_others_are_compacted(tmp_path: Path) -> None:
    _segments(tmp_path, [_flows(1, 50), _flows(2, 60), _flows(3, 70)])
    damaged = sorted((tmp_path / "flows").rglob("*.parquet"))[1]
    octets = damaged.read_bytes()
    damaged.write_bytes(octets[:4] + bytes(200) + octets[204:])
    aside = SetAside(tmp_path)
    compactor = Compactor(tmp_path, Leaving(), aside)
    while compactor.step(BASE + 10 * HOUR_US, PLENTY):
        pass
    assert aside.names[0].startswith(f"damaged/{damaged.name}: ")
    assert (tmp_path / "damaged" / damaged.name).exists()
    assert LocalBackEnd(tmp_path).answer(Query()).total.flows == 120
    assert [part.name.level for part in Store(tmp_path).parts()] == [HOUR, HOUR]


def test_an_hour_that_a_power_cut_damaged_supersedes_nothing(tmp_path: Path) -> None:
    _segments(tmp_path, [_flows(1, 50), _flows(2, 60)])
    (hour,) = _compacted(tmp_path)
    hour.path.write_bytes(hour.path.read_bytes()[:100])
    aside = SetAside(tmp_path)
    Sealer(tmp_path, 300, aside).recover()
    assert LocalBackEnd(tmp_path).answer(Query()).total.flows == 110
    assert len(aside.names) == 1


def test_columns_of_a_later_version_stay_and_a_column_of_another_type_is_set_aside(tmp_path: Path) -> None:
    _segments(tmp_path, [_flows(1), _flows(2), _flows(3)])
    first, second, _ = sorted((tmp_path / "flows").rglob("*.parquet"))
    pl.read_parquet(first).with_columns(pl.lit("x").alias("later")).write_parquet(first)
    pl.read_parquet(second).with_columns(pl.col("octets").cast(pl.String)).write_parquet(second)
    aside = SetAside(tmp_path)
    aside.patrol(Store(tmp_path))
    assert [name.split("/")[0] for name in aside.names] == ["damaged"]
    assert "octets is String, not Int64" in aside.names[0]
    found = _compacted(tmp_path)
    assert [pl.read_parquet(part.path).columns[-1] == "later" for part in found] == [True, False]
    assert LocalBackEnd(tmp_path).answer(Query()).total.flows == 4


def test_foreign_files_are_set_aside_when_they_have_lain_there_for_long(tmp_path: Path) -> None:
    _segments(tmp_path, [_flows(1)])
    day = next((tmp_path / "flows").rglob("*.parquet")).parent
    for name in ("notes.txt", ".hidden", "fresh.bin"):
        (day / name).write_text("mine")
    for name in ("notes.txt", ".hidden"):
        os.utime(day / name, (0, 0))
    aside = SetAside(tmp_path)
    aside.patrol(Store(tmp_path))
    assert list(aside.names) == ["foreign/notes.txt: is no file of a store"]
    assert (tmp_path / "foreign" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in day.iterdir() if path.suffix != ".parquet") == [".hidden", "fresh.bin"]
