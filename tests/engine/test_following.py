"""Following a store: each flow that a collector writes comes once, whether it was sealed before it was read or not."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import polars as pl
import pytest

from nftui.engine.following import Follower
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter, seal
from nftui.units import SECOND
from tests.engine.conftest import flows_frame, tail_of

BASE = 1_700_000_000 * SECOND


class Writing:
    """A collector's hand: flows numbered by their octets, some of them odd."""

    def __init__(self, root: Path, stream: str = "main") -> None:
        self.writer, self.stream, self.written, self._at = StoreWriter(root, stream), stream, 0, BASE
        self.chance = random.Random(stream)

    def write(self, flows: int) -> None:
        rows = []
        for _ in range(flows):
            self.written += 1
            self._at += 1000
            early = 99_999 * SECOND if self.written % 5 == 0 else 0
            rows.append({"flow_start": self._at - early, "flow_end": self._at, "received": self._at, "octets": self.written})
        self.writer.append([flows_frame(rows)])
        self.writer.write_tail()

    def seal(self, at_most: int = 100, gone: float = 1) -> None:
        """Seal some tail files of each stream; some of them go only later, as a reader may find it."""
        for stream in (self.stream, self.stream.replace("main", "odd")):
            if parts := tail_of(self.writer.root, stream)[:at_most]:
                seal(self.writer.root, parts)
                for part in parts:
                    if self.chance.random() < gone:
                        part.path.unlink()


def numbers(frames: list[pl.DataFrame]) -> list[int]:
    return sorted(number for frame in frames for number in frame["octets"].to_list())


@pytest.fixture
def told() -> list[str]:
    return []


def test_what_was_there_before_is_not_sent(tmp_path: Path, told: list[str]) -> None:
    collector = Writing(tmp_path)
    collector.write(10)
    collector.seal()
    collector.write(10)
    follower = Follower(Store(tmp_path), told.append)
    follower.skip()
    assert follower.take() + follower.rest() == []
    collector.write(7)
    assert numbers(follower.take()) == list(range(21, 28))
    collector.seal()
    assert follower.take() + follower.rest() == []


@pytest.mark.parametrize("seed", range(4))
def test_each_flow_comes_once_however_it_is_sealed(tmp_path: Path, told: list[str], seed: int) -> None:
    chance = random.Random(seed)
    follower = Follower(Store(tmp_path), told.append)
    follower.skip()
    writers = [Writing(tmp_path), Writing(tmp_path, "main2")]
    got: list[int] = []
    for _ in range(60):
        one = chance.choice(writers)
        step = chance.random()
        if step < 0.5:
            one.write(chance.randint(1, 9))
        elif step < 0.7:
            one.seal(chance.randint(1, 4), chance.choice((0, 0.5, 1)))
        elif step < 0.9:
            got += numbers(follower.take())
        else:
            got += numbers(follower.take() + follower.rest())
    got += numbers(follower.take() + follower.rest())
    assert sorted(got) == sorted(number for one in writers for number in range(1, one.written + 1))
    assert told == []


def test_a_store_that_is_begun_anew(tmp_path: Path, told: list[str]) -> None:
    root = tmp_path / "store"
    collector = Writing(root)
    collector.write(3)
    collector.write(3)
    follower = Follower(Store(root), told.append)
    follower.skip()
    shutil.move(root, tmp_path / "away")
    assert follower.take() == []
    again = Writing(root)
    again.write(4)
    assert numbers(follower.take()) == [1, 2, 3, 4]


def test_a_damaged_file_is_passed_over_and_said(tmp_path: Path, told: list[str]) -> None:
    collector = Writing(tmp_path)
    follower = Follower(Store(tmp_path), told.append)
    follower.skip()
    collector.write(4)
    (part,) = tail_of(tmp_path)
    part.path.write_bytes(b"nothing of ours")
    assert follower.take() == []
    assert told == []
    collector.write(3)
    got = numbers(follower.take())
    assert got == [5, 6, 7] or got == [6, 7]
    assert follower.unread == 1 and len(told) == 1 and str(part.path) in told[0]
    assert follower.take() == []


def test_imports_are_none_of_the_collectors_flows(tmp_path: Path, told: list[str]) -> None:
    follower = Follower(Store(tmp_path), told.append)
    follower.skip()
    imported = StoreWriter(tmp_path, "i0a")
    imported.append([flows_frame([{"flow_start": BASE, "flow_end": BASE}])])
    imported.write_segments()
    Writing(tmp_path).write(1)
    assert numbers(follower.take() + follower.rest()) == [1]
