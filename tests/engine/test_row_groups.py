"""Joining Parquet files by their row groups: Polars reads the same flows from the whole as from the parts, or there is no whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from nftui.engine.row_groups import join
from tests.engine.conftest import flows_frame

COLUMNS = ("source_address", "source_port", "user_name", "reverse", "octets")


def _flows(number: int, first: int = 0) -> pl.DataFrame:
    return flows_frame(
        [
            {
                "flow_start": 10**15 + at,
                "flow_end": 10**15 + at * 2,
                "source_address": at % 7,
                "source_port": at % 3 or None,
                "user_name": f"user{at % 11}" if at % 5 else None,
                "octets": at,
                "reverse": at % 2 == 0,
            }
            for at in range(first, first + number)
        ]
    )


def _written(folder: Path, frames: list[pl.DataFrame], **how: Any) -> list[Path]:
    paths = [folder / f"{place}.parquet" for place in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        frame.write_parquet(path, **how)
    return paths


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=20),
    st.integers(1, 40),
    st.sampled_from(("zstd", "uncompressed", "lz4")),
    st.sampled_from((True, False, "full")),
    st.sampled_from((None, 64)),
)
def test_the_whole_reads_like_its_parts(
    tmp_path: Path, sizes: list[int], group: int, compression: Any, statistics: Any, page: int | None
) -> None:
    frames = [_flows(max(size, 1), sum(sizes[:place])).head(size) for place, size in enumerate(sizes)]
    paths = _written(tmp_path, frames, row_group_size=group, compression=compression, statistics=statistics, data_page_size=page)
    whole, expected = tmp_path / "whole", pl.concat(frames)
    assert join(paths, whole)
    assert_frame_equal(pl.read_parquet(whole), expected)
    assert pl.scan_parquet(whole).select(pl.len()).collect().item() == expected.height
    for name in COLUMNS:
        value = pl.lit(expected[name].max(), dtype=expected.schema[name])
        found = pl.scan_parquet(whole).filter(pl.col(name) == value).collect(engine="streaming")
        assert_frame_equal(found, expected.filter(pl.col(name) == value))


def test_a_whole_joins_again(tmp_path: Path) -> None:
    frames = [_flows(30), _flows(20, 30), _flows(5, 50)]
    paths = _written(tmp_path, frames, row_group_size=7)
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert join(paths[:2], once)
    assert join([once, paths[2]], twice)
    assert_frame_equal(pl.read_parquet(twice), pl.concat(frames))
    assert pl.read_parquet_metadata(once) == pl.read_parquet_metadata(twice)


@pytest.mark.parametrize(
    "other",
    [
        _flows(3).drop("octets"),
        _flows(3).with_columns(pl.col("octets").cast(pl.Int32)),
        _flows(3).rename({"octets": "packets2"}),
        _flows(3).select(sorted(_flows(3).columns, reverse=True)),
    ],
)
def test_files_of_other_columns_are_not_joined(tmp_path: Path, other: pl.DataFrame) -> None:
    paths = _written(tmp_path, [_flows(3), other])
    assert not join(paths, tmp_path / "whole")
    assert not (tmp_path / "whole").exists()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_that_is_damaged_is_not_joined_or_joined_as_it_is(tmp_path: Path, data: st.DataObject) -> None:
    (sound, damaged) = _written(tmp_path, [_flows(9), _flows(9)])
    octets = bytearray(damaged.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    damaged.write_bytes(octets[: data.draw(st.integers(0, len(octets)))] if data.draw(st.booleans()) else octets)
    whole = tmp_path / "whole"
    whole.unlink(missing_ok=True)
    assert join([sound, damaged], whole) == whole.exists()


@pytest.mark.parametrize(
    "octets",
    [b"", b"PAR1", b"PAR1PAR1", b"PAR1\0\0\0\0PAR1", b"PAR1\x19\x01\0\0\0PAR1", b"PAR1" + b"\x1c" * 60_000 + b"\x60\xea\0\0PAR1"],
)
def test_what_is_no_parquet_file_is_not_joined(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(octets)
    assert not join([path], tmp_path / "whole")
