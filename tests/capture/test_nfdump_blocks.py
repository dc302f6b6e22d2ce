"""Blocks of nfdump's files: read ahead by threads they are what they are when read one by one."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest

from nftui.capture.nfdump import blocks, extensions
from nftui.capture.nfdump.columns import Buffer
from nftui.capture.nfdump.files import FileCounts, NfdumpFile
from nftui.capture.nfdump.records import Heads, walk
from nftui.capture.nfdump.rows import LARGEST, MOST_SIZES, Rows, side_by_side
from tests.capture import nfdump_encoding as made


def _read(path: Path, columns: tuple[str, ...] | None) -> tuple[pl.DataFrame, FileCounts]:
    counts = FileCounts()
    return pl.concat(NfdumpFile(path).frames(columns, counts), how="diagonal"), counts


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("nfdump")]


def _file(path: Path, codec: int, order: str) -> Path:
    """Write a file of large blocks and small ones, with exporters that are told again, and what is no flow in between."""
    random, number, written = Random(7), 0, []
    for size in (1500, 3, 1, 2000, 40, 900):
        records = []
        for _ in range(size):
            more = made.element(29, bytes(random.randrange(9)), order) if not random.randrange(50) else b""
            records.append(made.flow(number, order, more) if more else made.flow(number, order))
            number += 1
        records.insert(0, made.exporter(1, f"198.51.100.{size % 200}", size, 9, order))
        written.append(records)
    path.write_bytes(made.file_17(written, codec=codec, order=order))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("codec", [0, 3, 4])
@pytest.mark.parametrize("columns", [None, ("octets", "source_address", "observation_domain"), ("octets", "flow_start")])
def test_threads_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, codec: int, columns: tuple[str, ...] | None
) -> None:
    path = _file(tmp_path / "file", codec, order)
    monkeypatch.setattr(blocks, "FEW", 1 << 30)
    one_by_one, alone = _read(path, columns)
    monkeypatch.setattr(blocks, "FEW", 0)
    ahead, counts = _read(path, columns)
    assert one_by_one.height == 4444
    assert ahead.equals(one_by_one)
    assert counts == alone
    assert not _threads()


def test_who_stops_reading_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "FEW", 0)
    monkeypatch.setattr(blocks, "JOB", 1)
    monkeypatch.setattr("nftui.capture.nfdump.files.CHUNK", 1)
    path = tmp_path / "file"
    path.write_bytes(made.file_17([[made.flow(number)] for number in range(300)]))
    frames = NfdumpFile(path).frames(("octets",))
    assert next(frames).height == 1
    assert _threads()
    frames.close()  # type: ignore[attr-defined]
    assert not _threads()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("sizes", [(40,), (40, 76), (44, 41, 60), tuple(range(28, 28 + 4 * 2 * MOST_SIZES, 4)), (40, LARGEST + 4)])
def test_rows_have_the_numbers_of_their_records(order: str, sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(3)
    length = random.choice(sizes, 500)
    places = np.cumsum(length) - length
    buffer = Buffer(random.integers(0, 256, int(length.sum()), np.uint8), order)
    seen = []
    for held, ones in side_by_side(buffer, places, length):
        first = held.gather(ones, "u4")
        seen += first.tolist()
        if isinstance(held, Rows):
            assert held.count == len(ones)
            # All of them, and some: the one by steps, the other by places.
            for dtype in ("u1", "u2", "u4", "u8"):
                assert np.array_equal(held.gather(ones + 13, dtype)[::3], held.gather(ones[::3] + 13, dtype))
            assert np.array_equal(held.rows(ones + 5, 7)[1::2], held.rows(ones[1::2] + 5, 7))
    assert sorted(seen) == sorted(buffer.gather(places, "u4").tolist())


def test_heads_of_blocks_before_find_no_other_records() -> None:
    """Blocks in which a known head stands within a record, that end otherwise, or have none of the known heads."""
    heads = Heads()
    plain = [made.flow(number) for number in range(50)]
    hidden = made.flow(1, "<", made.element(29, plain[0][:4] * 5))
    for records in (plain, [hidden] * 20, [*plain, hidden], [hidden[:-4]], [*plain, b"\x0b\x00\x04\x00"], plain):
        octets = np.frombuffer(b"".join(records) + bytes(8), np.uint8)
        buffer = Buffer(octets, "<")
        known = walk(buffer, 0, len(octets) - 8, extensions.TYPES, heads)
        wanted = walk(buffer, 0, len(octets) - 8, extensions.TYPES)
        assert known.flows.tolist() == wanted.flows.tolist()
        assert known.sizes.tolist() == wanted.sizes.tolist()
        assert known.problem == wanted.problem
    assert heads.known
