"""Sealing: whatever order receipt comes in, and whatever is under way, every flow is counted once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from nftui.engine import leaving
from nftui.engine import sealer as sealing
from nftui.engine import writer as writing
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Query, Totals
from nftui.engine.sealer import Sealer
from nftui.engine.segments import TAIL, Part
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter, seal
from nftui.units import SECOND
from tests.engine.conftest import flows_frame, tail_of

BASE = 1_700_000_000 * SECOND
INTERVAL_S = 10

moments = st.integers(0, 45)
"""Seconds after BASE: some five intervals."""
steps = st.one_of(
    st.tuples(st.just("write"), st.lists(moments, min_size=1, max_size=3)),
    st.tuples(st.just("sweep"), moments),
    st.tuples(st.sampled_from(("remove", "restart", "everything")), st.just(0)),
)


class _Trial:
    """A store that is written, sealed and read, step by step."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.expected = Totals()
        self._restart()
        self._kept = LocalBackEnd(root)

    def _restart(self) -> None:
        self._sealer = Sealer(self.root, INTERVAL_S)
        self._sealer.recover()
        self._writer = StoreWriter(self.root)

    def step(self, action: str, what: object) -> None:
        if action == "write":
            assert isinstance(what, list)
            self._write(what)
        elif action == "sweep":
            assert isinstance(what, int)
            self._sealer.sweep(BASE + what * SECOND)
        elif action == "remove":
            with patch.object(leaving.time, "monotonic", return_value=float("inf")):
                self._sealer.sweep(0)
        elif action == "everything":
            self._sealer.sweep(0, everything=True)
        else:
            self._restart()

    def _write(self, seconds: list[int]) -> None:
        """Write flows that were received at these moments; the second that a flow was received in tells it from others."""
        octets = [1 << second for second in seconds]
        rows = [
            {"flow_start": at - SECOND, "flow_end": at, "received": at, "octets": size}
            for at, size in ((BASE + second * SECOND, size) for second, size in zip(seconds, octets, strict=True))
        ]
        self._writer.append([flows_frame(rows)])
        self._writer.write_tail()
        before = self.expected
        self.expected = Totals(before.octets + sum(octets), before.packets + len(rows), before.flows + len(rows))

    def seal(self, root: Path, parts: list[Part], *, check: bool) -> Path:
        """Seal, and look what a reader sees before anything else is sealed or removed."""
        made = seal(root, parts, check=check)
        assert LocalBackEnd(self.root, keep=False).answer(Query()).total == self.expected
        return made

    def check(self) -> None:
        assert self._kept.answer(Query()).total == self.expected
        for back_end in (LocalBackEnd(self.root, keep=False), self._kept):
            assert back_end.answer(Query(keys=("exporter_address",), bins=3)).total == self.expected
        for part in Store(self.root).parts():
            day = part.path.relative_to(self.root).parts
            assert part.name.level == TAIL or day[:4] == ("flows", "2023", "11", "14")
            assert part.name.min_start >= BASE - SECOND
            assert part.name.received_from <= part.name.received_to


@settings(max_examples=18, deadline=None)
@given(st.lists(steps, max_size=25), st.sampled_from((1, 2, 100)))
def test_every_flow_counts_once_whatever_order_it_was_received_in(plan: list[tuple[str, object]], pack_from: int) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(sealing, "SEGMENT_FLOWS", 8),
        patch.object(writing, "PACK_FROM", pack_from),
    ):
        trial = _Trial(Path(folder))
        with patch.object(sealing, "seal", trial.seal):
            for action, what in [*plan, ("everything", 0)]:
                trial.step(action, what)
                trial.check()
        assert tail_of(trial.root) == []


def test_files_of_an_interval_that_are_no_neighbours_supersede_nothing_between(tmp_path: Path) -> None:
    trial = _Trial(tmp_path)
    for second in (11, 12, 3, 13, 14):
        trial.step("write", [second])
    trial.step("sweep", 45)
    trial.check()
    spans = sorted((part.name.first, part.name.last) for part in Store(tmp_path).parts())
    assert spans == [(1, 2), (3, 3), (4, 5)]


def test_a_file_with_flows_that_were_held_back_stays_in_the_run_of_its_last_receipt(tmp_path: Path) -> None:
    trial = _Trial(tmp_path)
    for seconds in ([11], [12, 2], [13]):
        trial.step("write", seconds)
    trial.step("sweep", 19)
    assert len(tail_of(tmp_path)) == 3
    trial.step("sweep", 20)
    trial.check()
    (segment,) = Store(tmp_path).parts()
    assert (segment.name.received_from, segment.name.received_to) == (BASE + 2 * SECOND, BASE + 13 * SECOND)
    old = Query(interval=Interval(BASE, BASE + 3 * SECOND))
    assert LocalBackEnd(tmp_path, keep=False).answer(old).total.flows == 1


def test_flows_held_back_over_midnight_are_kept_with_the_later_day(tmp_path: Path) -> None:
    midnight = BASE // (86_400 * SECOND) * 86_400 * SECOND
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame([{"flow_start": at, "received": at} for at in (midnight - SECOND, midnight + SECOND)])])
    writer.write_tail()
    (made,) = Sealer(tmp_path, INTERVAL_S).sweep(0, everything=True)
    assert made.parent == tmp_path / "flows/2023/11/14"


def _packed(root: Path, monkeypatch: pytest.MonkeyPatch, frames: list[pl.DataFrame]) -> list[Part]:
    """Write a tail file of each frame, of those of two flows or more as Parquet."""
    monkeypatch.setattr(writing, "PACK_FROM", 2)
    writer = StoreWriter(root)
    for frame in frames:
        writer.append([frame])
        writer.write_tail()
    return tail_of(root)


def _two(**more: object) -> pl.DataFrame:
    return flows_frame([{"flow_start": BASE, "octets": size, **more} for size in (1, 2)])


def test_many_flows_are_parquet_in_the_tail_and_sealing_copies_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = _packed(tmp_path, monkeypatch, [_two(), _two(), _two()])
    assert {part.path.suffix for part in parts} == {".parquet"}
    data = [pl.read_parquet(part.path) for part in parts]
    monkeypatch.setattr(writing, "_encode", lambda *_: pytest.fail("flows were encoded again"))
    (made,) = Sealer(tmp_path, INTERVAL_S).sweep(0, everything=True)
    assert_frame_equal(pl.read_parquet(made), pl.concat(data))
    assert tail_of(tmp_path) == []


@pytest.mark.parametrize("other", [_two(source_port=5), flows_frame([{"flow_start": BASE, "octets": 3}])])
def test_tail_files_of_other_columns_or_formats_are_sealed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: pl.DataFrame
) -> None:
    _packed(tmp_path, monkeypatch, [_two(), other, _two()])
    before = LocalBackEnd(tmp_path, keep=False).answer(Query()).total
    (made,) = Sealer(tmp_path, INTERVAL_S).sweep(0, everything=True)
    assert LocalBackEnd(tmp_path, keep=False).answer(Query()).total == before
    assert pl.read_parquet(made)["octets"].to_list() == [1, 2, *other["octets"], 1, 2]


def test_what_an_earlier_run_left_is_read_before_it_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, damaged, _ = _packed(tmp_path, monkeypatch, [_two(), _two(), _two()])
    octets = damaged.path.read_bytes()
    damaged.path.write_bytes(octets[:4] + bytes(200) + octets[204:])
    made = Sealer(tmp_path, INTERVAL_S).recover()
    assert [path.name for path in (tmp_path / "damaged").iterdir()] == [damaged.path.name]
    assert [pl.read_parquet(path)["octets"].to_list() for path in made] == [[1, 2], [1, 2]]


def test_packing_that_takes_too_long_is_left_to_the_sealer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, write = [0.0], writing.write_parquet

    def slowly(frame: pl.DataFrame, path: Path) -> None:
        now[0] += 0.7
        write(frame, path)

    monkeypatch.setattr(writing, "write_parquet", slowly)
    monkeypatch.setattr(writing.time, "monotonic", lambda: now[0])
    parts = _packed(tmp_path, monkeypatch, [_two(), _two(), _two(), _two()])
    assert [part.path.suffix for part in parts] == [".parquet", ".arrow", ".parquet", ".arrow"]
