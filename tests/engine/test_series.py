"""A series conserves what it spreads, to the octet, and stands where the exact arithmetic stands."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.engine.filters import parse
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Measure, Query
from nftui.engine.sealer import Sealer
from nftui.engine.writer import StoreWriter
from tests.engine.conftest import flows_frame

BASE = 1_700_000_000_000_000

flow_rows = st.lists(
    st.fixed_dictionaries(
        {
            "flow_start": st.integers(BASE, BASE + 5_000_000),
            "length": st.one_of(
                st.just(0), st.integers(-1000, 1000), st.integers(0, 6_000_000), st.integers(0, 90 * 86_400_000_000)
            ),
            "octets": st.one_of(st.integers(0, 2000), st.integers(0, 2**53)),
            "packets": st.integers(0, 10_000),
            "source_port": st.integers(1, 4),
            "sampling_interval": st.sampled_from([None, 1, 10]),
        }
    ),
    min_size=1,
    max_size=25,
)
ranges = st.one_of(
    st.none(),
    st.tuples(st.integers(-1_000_000, 6_000_000), st.integers(1, 8_000_000)).map(
        lambda pair: Interval(BASE + pair[0], BASE + sum(pair))
    ),
)


def _rows(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "flow_end": row["flow_start"] + row["length"]} for row in ({**row} for row in drawn)]


def _store(root: Path, rows: list[dict[str, Any]]) -> Path:
    writer = StoreWriter(root)
    half = len(rows) // 2
    for part in (rows[:half], rows[half:]):
        if part:
            writer.append([flows_frame(part)])
            writer.write_tail()
    return root


def _exact(row: dict[str, Any], start: int, end: int, measure: str) -> Fraction:
    """What one flow counts within [start, end), without any rounding."""
    rate = row["sampling_interval"] or 1
    value = row[measure] * rate if measure != "flows" else 1
    first, last = row["flow_start"], max(row["flow_start"], row["flow_end"])
    if measure == "flows":
        return Fraction(value) if start <= max(last - 1, first) < end else Fraction(0)
    if first == last:
        return Fraction(value) if start <= first < end else Fraction(0)
    inside = min(last, end) - max(first, start)
    return Fraction(value * inside, last - first) if inside > 0 else Fraction(0)


@pytest.mark.row("V05")
@settings(max_examples=75, deadline=None)
@given(rows=flow_rows, interval=ranges, bins=st.integers(1, 40), measure=st.sampled_from(list(Measure)), keep=st.booleans())
def test_bins_sum_to_the_total_and_stand_where_exact_arithmetic_stands(
    rows: list[dict[str, Any]], interval: Interval | None, bins: int, measure: Measure, keep: bool
) -> None:
    rows = _rows(rows)
    with tempfile.TemporaryDirectory() as folder:
        back_end = LocalBackEnd(_store(Path(folder), rows), keep=keep)
        answer = back_end.answer(
            Query(interval=interval, keys=("source_port",), measure=measure, order=measure.value, limit=2, bins=bins)
        )
    series = answer.series
    assert series is not None
    name = measure.value
    sums = series.select(pl.exclude("time").sum()).row(0)
    assert sum(sums) == answer.total.value(measure)
    assert list(sums[:-1]) == answer.groups[name].to_list()
    assert series.select(pl.exclude("time").min()).row(0) >= (0,) * len(sums)
    assert answer.interval is not None
    starts = series["time"].to_physical().to_list()
    edges = [*starts, answer.interval.end]
    shown = answer.groups["source_port"].to_list()
    for index, (start, end) in enumerate(pairwise(edges)):
        for column, port in enumerate(shown):
            exact = sum((_exact(row, start, end, name) for row in rows if row["source_port"] == port), Fraction(0))
            # One floor an edge, and one for each flow that an edge of the range cuts.
            assert abs(series[f"g{column}"][index] - exact) <= 2 + len(rows), (index, port)


@settings(max_examples=40, deadline=None)
@given(rows=flow_rows, cut=st.integers(0, 5_000_000))
def test_disjoint_ranges_add_up(rows: list[dict[str, Any]], cut: int) -> None:
    rows = _rows(rows)
    with tempfile.TemporaryDirectory() as folder:
        back_end = LocalBackEnd(_store(Path(folder), rows), keep=False)
        whole = back_end.answer(Query(interval=Interval(BASE - 10, BASE + 2**55))).total
        before = back_end.answer(Query(interval=Interval(BASE - 10, BASE + cut))).total
        after = back_end.answer(Query(interval=Interval(BASE + cut, BASE + 2**55))).total
    assert (before.octets + after.octets, before.packets + after.packets, before.flows + after.flows) == (
        whole.octets,
        whole.packets,
        whole.flows,
    )


def test_a_flow_is_spread_over_its_bins_in_proportion(tmp_path: Path) -> None:
    rows = [{"flow_start": BASE, "flow_end": BASE + 4_000_000, "octets": 1001, "packets": 4, "sampling_interval": None}]
    back_end = LocalBackEnd(_store(tmp_path, rows), keep=False)
    answer = back_end.answer(Query(interval=Interval(BASE, BASE + 8_000_000), bins=8))
    assert answer.series is not None
    assert answer.series["g0"].to_list() == [250, 250, 250, 251, 0, 0, 0, 0]
    assert answer.bin_width == 1_000_000


def test_a_flow_counts_once_in_the_bin_of_its_last_instant(tmp_path: Path) -> None:
    rows = [
        {"flow_start": BASE, "flow_end": BASE + 2_000_000},
        {"flow_start": BASE + 2_000_000, "flow_end": BASE + 2_000_000},
        {"flow_start": BASE + 1, "flow_end": BASE - 7},
    ]
    back_end = LocalBackEnd(_store(tmp_path, rows), keep=False)
    query = Query(interval=Interval(BASE, BASE + 3_000_000), bins=3, measure=Measure.FLOWS, order="flows")
    answer = back_end.answer(query)
    assert answer.series is not None
    assert answer.series["g0"].to_list() == [1, 1, 1]


KEYS: list[tuple[str, ...]] = [
    (),
    ("source_port",),
    ("port",),
    ("source_port", "destination_port"),
    ("address",),
    ("address/31/128",),
]
flags = st.fixed_dictionaries(
    {
        "rows": flow_rows,
        "interval": ranges,
        "bins": st.integers(1, 25),
        "keys": st.sampled_from(
            [(), ("source_port",), ("port",), ("source_port", "destination_port"), ("address",), ("address/31/128",)]
        ),
        "measure": st.sampled_from(list(Measure)),
        "limit": st.sampled_from([1, 2, 50]),
        "sampling": st.booleans(),
        "contained": st.booleans(),
        "text": st.sampled_from(["", "src port 1 or dst port 2", "bytes > 500"]),
    }
)


@settings(max_examples=60, deadline=None)
@given(drawn=flags, seed=st.integers(0, 2**16))
def test_however_it_is_asked_the_bins_are_the_same_and_sum_to_the_total(drawn: dict[str, Any], seed: int) -> None:
    """Kept or not, in one part or several, asked once or again, the groups named or found; either-side groups may overlap."""
    rows = _rows(drawn["rows"])
    for place, row in enumerate(rows):
        row |= {"destination_port": (place + seed) % 4 + 1, "source_address": place % 3, "destination_address": (place * seed) % 4}
    measure = drawn["measure"]
    query = Query(
        interval=drawn["interval"],
        keys=drawn["keys"],
        measure=measure,
        order=measure.value,
        limit=drawn["limit"],
        bins=drawn["bins"],
        where=parse(drawn["text"]),
        sampling=drawn["sampling"],
        contained=drawn["contained"],
    )
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        kept = LocalBackEnd(_store(Path(folder), rows))
        answers = [LocalBackEnd(Path(folder), keep=False).answer(query), kept.answer(query)]
        Sealer(Path(folder), 300).sweep(0, everything=True)
        one = LocalBackEnd(_store(Path(other), rows[::-1]), keep=False)
        answers += [kept.answer(query), LocalBackEnd(Path(folder), keep=False).answer(query), one.answer(query)]
        if query.keys:
            only = tuple(answers[0].groups.select(query.keys).iter_rows())
            answers += [one.answer(replace(query, only=only)), kept.answer(replace(query, only=only))]
    first = answers[0]
    assert first.series is not None
    name = measure.value
    for answer in answers:
        assert answer.series is not None
        assert answer.series.equals(first.series)
        assert answer.groups.select(*query.keys, name).equals(first.groups.select(*query.keys, name))
        assert (answer.total, answer.other) == (first.total, first.other)
    if query.keys:
        assert sum(first.series["other"]) == first.other.value(measure)
    assert [sum(first.series[f"g{place}"]) for place in range(first.groups.height)] == first.groups[name].to_list()
    assert first.series.drop("time").min_horizontal().min() >= 0  # type: ignore[operator]


def test_groups_may_be_named_that_have_no_flows(tmp_path: Path) -> None:
    rows = [{"flow_start": BASE, "flow_end": BASE + 10, "octets": 10 * port, "source_port": port} for port in (1, 2, 3)]
    for back_end in (LocalBackEnd(_store(tmp_path, rows), keep=False), LocalBackEnd(tmp_path)):
        answer = back_end.answer(Query(keys=("source_port",), bins=2, only=((7,), (2,))))
        assert answer.series is not None
        assert answer.groups.select("source_port", "octets").rows() == [(7, 0), (2, 20)]
        assert answer.series.drop("time").sum().row(0) == (0, 20, 40)
        assert answer.other.octets == 40
