"""Retention: what is beyond a limit goes, the oldest first, nothing else goes, and no question fails."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui.engine import retention
from nftui.engine.leaving import Leaving
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Query
from nftui.engine.retention import DAY, Kept, Limits, Retention, expired
from nftui.engine.segments import EXPIRED, HOUR, SEGMENT, Part, PartName
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter, halved, write_segment
from nftui.units import SECOND
from tests.engine.conftest import flows_frame
from tests.real.namespace import disk
from tests.running import wait_for

BASE = 1_700_002_800 * SECOND
HOUR_US = 3600 * SECOND


def _kept(since: int, octets: int) -> Kept:
    return Kept(since, Part(PartName(since, since, since, since, SEGMENT, "main", since + 1, since + 1), Path(str(since))), octets)


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 100)), unique_by=lambda one: one[0], max_size=30),
    st.builds(Limits, st.integers(0, 1200), st.integers(0, 1500), st.integers(0, 1500)),
    st.integers(0, 1000),
    st.integers(0, 1500),
)
def test_the_oldest_go_first_and_no_more_than_a_limit_asks_for(
    segments: list[tuple[int, int]], limits: Limits, tail: int, free: int
) -> None:
    kept, now = [_kept(since, octets) for since, octets in segments], 1000
    going = expired(kept, limits, now, tail + sum(one.octets for one in kept), free)
    gone = [one for one, _ in going]
    left = [one for one in kept if one not in gone]
    assert gone == sorted(gone)
    assert all(one.since < other.since for one in gone for other in left)
    octets, room = tail + sum(one.octets for one in left), free + sum(one.octets for one in gone)
    if left:
        assert not limits.lifespan or min(left).since >= now - limits.lifespan
        assert not limits.octets or octets <= limits.octets
        assert room >= limits.free
    for one, reason in going:
        rest = [other for other in kept if other >= one]
        before = tail + sum(other.octets for other in rest)
        excess = {
            "age": one.since < now - limits.lifespan,
            "size": before > limits.octets > 0,
            "free": free + sum(other.octets for other in kept if other < one) < limits.free,
        }
        assert excess[reason], "it went without need"


def _store(root: Path, hours: int, each: int = 1) -> None:
    """Make a store of segments, one an hour, each with some flows of an octet."""
    for hour in range(hours):
        at = BASE + hour * HOUR_US
        frame = flows_frame([{"flow_start": at - 1, "flow_end": at, "received": at, "octets": 1}] * each)
        ((flows, times),) = halved([frame])
        write_segment(root, "main", hour + 1, flows, times)


def _flows(root: Path) -> int:
    return LocalBackEnd(root, keep=False).answer(Query()).total.flows


@pytest.mark.row("K09")
@pytest.mark.parametrize(("days", "left"), [(1, 24), (0, 48)])
def test_days_are_kept_and_0_keeps_all(tmp_path: Path, days: int, left: int) -> None:
    _store(tmp_path, 48)
    one = Retention(tmp_path, Limits(days * DAY), Leaving())
    going = one.sweep(BASE + 48 * HOUR_US)
    assert len(going) == 48 - left == one.removed.get("age", 0)
    assert _flows(tmp_path) == one.segments == left
    assert len(list(tmp_path.rglob("*.parquet"))) == 48, "they stay for who listed them"
    one._remove_hidden(float("inf"))
    assert len(list(tmp_path.rglob("*.parquet"))) == len(list(tmp_path.rglob("*.*"))) == left == _flows(tmp_path)


def test_what_expired_stays_for_a_grace_and_goes_after_it(tmp_path: Path) -> None:
    _store(tmp_path, 3)
    one = Retention(tmp_path, Limits(DAY), Leaving())
    for _ in range(2):
        one.sweep(BASE + 30 * DAY)
        assert len(list(tmp_path.rglob("*.parquet"))) == 3
    for more, left in ((-1, 3), (1, 0)):
        one._remove_hidden(time.monotonic() + retention.GRACE_S + more)
        assert len(list(tmp_path.rglob("*.parquet"))) == left


def test_what_was_imported_is_kept_from_its_import_on(tmp_path: Path) -> None:
    ((flows, times),) = halved([flows_frame([{"flow_start": BASE, "received": BASE, "octets": 1}])])
    path = write_segment(tmp_path, "i01", 1, flows, times)
    one = Retention(tmp_path, Limits(DAY), Leaving())
    now = time.time_ns() // 1000
    assert one.sweep(now) == []
    os.utime(path, (now / SECOND - 90_000,) * 2)
    assert [reason for _, reason in one.sweep(now)] == ["age"]


def test_what_expired_hides_what_it_superseded_too(tmp_path: Path) -> None:
    _store(tmp_path, 1)
    (segment,) = Store(tmp_path).parts()
    octets = segment.path.read_bytes()
    name = PartName(
        *(getattr(segment.name, key) for key in ("received_from", "received_to", "min_start", "max_end")), HOUR, "main", 1, 1
    )
    segment.path.with_name(str(name)).write_bytes(octets)
    one = Retention(tmp_path, Limits(DAY), Leaving())
    assert len(one.sweep(BASE + 10 * DAY)) == 1
    assert _flows(tmp_path) == 0
    Retention(tmp_path, Limits(DAY), Leaving()).recover()
    assert not [path for path in (tmp_path / "flows").rglob("*") if path.is_file()]


def test_a_stream_goes_on_after_what_expired(tmp_path: Path) -> None:
    _store(tmp_path, 3)
    one = Retention(tmp_path, Limits(DAY), Leaving())
    one.sweep(BASE + 10 * DAY)
    assert _flows(tmp_path) == 0
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame([{"flow_start": BASE, "octets": 1}])])
    writer.write_tail()
    assert _flows(tmp_path) == 1


def test_a_clock_that_jumps_ahead_makes_nothing_expire_by_age(tmp_path: Path) -> None:
    _store(tmp_path, 3)
    one = Retention(tmp_path, Limits(DAY), Leaving())
    assert one.sweep(BASE + 3 * HOUR_US) == []
    assert one.sweep(BASE + 50 * 365 * DAY) == []
    assert "the clock jumped" in one.held
    one.limits = Limits(DAY, octets=1)
    assert [reason for _, reason in one.sweep(BASE + 50 * 365 * DAY)] == ["size"] * 3


def test_superseded_files_go_before_any_flow_does(tmp_path: Path) -> None:
    _store(tmp_path, 4)
    parts = Store(tmp_path).parts()
    size = sum(part.path.stat().st_blocks * 512 for part in parts)
    superseded = tmp_path / "flows" / str(PartName(1, 1, 1, 1, SEGMENT, "main", 2, 2))
    superseded.write_bytes(bytes(5000))
    names = [part.name for part in parts]
    hour = parts[0].path.with_name(str(PartName(*_times(names[1]), HOUR, "main", 2, 2)))
    hour.write_bytes(parts[1].path.read_bytes())
    parts[1].path.unlink()
    leaving = Leaving()
    leaving.add([superseded], 600)
    assert Retention(tmp_path, Limits(0, octets=size + 100), leaving).sweep(BASE) == []
    assert not superseded.exists()
    assert _flows(tmp_path) == 4


def _times(name: PartName) -> tuple[int, int, int, int]:
    return name.received_from, name.received_to, name.min_start, name.max_end


@pytest.mark.peer("mount", "umount")
def test_by_age_size_and_free_space_at_once_on_a_large_store_with_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with disk(tmp_path / "disk", "64m") as root:
        _expire_while_others_read(root / "store", monkeypatch)


def _expire_while_others_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours, each = 1000, 3
    _store(root, hours, each)
    parts = Store(root).parts()
    one_size = parts[0].path.stat().st_blocks * 512
    monkeypatch.setattr(retention, "GRACE_S", 2.0)
    now = BASE + hours * HOUR_US
    readers = [_Reader(root) for _ in range(2)]
    for reader in readers:
        reader.start()
    kept = Retention(root, Limits(950 * HOUR_US), Leaving())
    try:
        for step in range(1, 13):
            going = kept.sweep(now - 50 * HOUR_US + step * 10 * HOUR_US)
            reasons = {reason for _, reason in going}
            if step == 4:
                kept.limits = Limits(950 * HOUR_US, octets=one_size * 750)
            if step == 8:
                # What the disk has left is what it has: as much more is asked for as a hundred segments and more take.
                time.sleep(2.2)
                kept.sweep(now - 50 * HOUR_US + step * 10 * HOUR_US)
                kept.limits = Limits(950 * HOUR_US, one_size * 750, kept.free + 150 * one_size)
            if step in (5, 9):
                assert reasons == {"size" if step == 5 else "free"}
            assert [one.since for one, _ in going] == sorted(one.since for one, _ in going)
            time.sleep(0.2)
            if step % 4 == 0:
                _answered_again(readers)
    finally:
        for reader in readers:
            reader.over.set()
            reader.join()
    assert [reader.failed for reader in readers] == [[], []]
    assert all(reader.answers > 2 for reader in readers)
    assert set(kept.removed) == {"age", "size", "free"}
    left = sorted(Store(root).parts(), key=lambda part: part.name)
    newest = sorted(parts, key=lambda part: part.name)[-len(left) :]
    assert [part.name for part in left] == [part.name for part in newest], "nothing but the oldest went"
    assert 500 < len(left) < 700
    assert _flows(root) == len(left) * each
    assert {part.name.level for part in Store(root).listed()} <= {SEGMENT, EXPIRED}


def _answered_again(readers: list[_Reader]) -> None:
    """Wait until each has been answered once more: how long that takes is the machine's matter."""
    before = [reader.answers for reader in readers]
    wait_for(
        lambda: all(reader.answers > seen for reader, seen in zip(readers, before, strict=True)),
        lambda: not any(reader.failed for reader in readers),
    )


class _Reader(threading.Thread):
    """A console: asks again and again, once anew and once with what it remembers."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root, self.over, self.answers = root, threading.Event(), 0
        self.failed: list[str] = []

    def run(self) -> None:
        """Ask until it is over; what is asked for is always whole segments."""
        kept = LocalBackEnd(self.root)
        last = 3000
        while not self.over.wait(0.3):
            for back_end in (kept, LocalBackEnd(self.root, keep=False)):
                try:
                    total = back_end.answer(Query(keys=("exporter_address",))).total
                    recent = back_end.answer(Query(interval=Interval(BASE + 990 * HOUR_US, BASE + 3000 * HOUR_US))).total
                except Exception as error:  # noqa: BLE001 - whatever fails is what the test looks for
                    self.failed.append(repr(error))
                    return
                if total.flows % 3 or not 0 < total.flows <= last or recent.flows != 27:
                    self.failed.append(f"{total.flows} flows after {last}, {recent.flows} of the last hours")
                last = total.flows
                self.answers += 1


def test_a_part_that_expired_is_in_no_listing_of_readers(tmp_path: Path) -> None:
    _store(tmp_path, 2)
    first, _ = Store(tmp_path).parts()
    mark = PartName(*_times(first.name), EXPIRED, "main", 1, 1)
    first.path.with_name(str(mark)).touch()
    (left,) = Store(tmp_path).parts()
    assert left.name.first == 2
    assert pl.read_parquet(left.path).height == 1
