"""Resolutions: as many bins as their names say, whole hours and days of the calendar, and no more points than charts take."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui.engine.query import Answer, Coverage, Interval, Query, Totals
from nftui.engine.resolutions import HOUR, MOST_BINS, charted, folded, resolution
from nftui.engine.series import nearest_rank, statistics
from nftui.errors import UsageError
from nftui.schema import TIME
from nftui.units import SECOND

BASE = 1_700_000_000 * SECOND
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo"]


@pytest.mark.row("R03")
@pytest.mark.parametrize(("text", "bins"), [("low", 6), ("medium", 12), ("high", 24), ("ultra", 30), ("1", 1), ("720", 720)])
def test_names_and_numbers(text: str, bins: int) -> None:
    interval = Interval(BASE, BASE + HOUR)
    assert resolution(text, interval, None).bins == bins
    assert resolution(text, interval, None).interval == interval


@pytest.mark.row("R03")
def test_48_hours_are_48_bins() -> None:
    start = BASE // HOUR * HOUR
    assert resolution("hourly", Interval(start, start + 48 * HOUR), None, ZoneInfo("UTC")).bins == 48
    assert resolution("hourly", Interval(start + 1, start + 48 * HOUR + 1), None, ZoneInfo("UTC")).bins == 49
    assert resolution("daily", None, None).bins == 1


@pytest.mark.parametrize("text", ["often", "0", "-3", "", "1.5", "\u0663", "9" * 40, str(MOST_BINS + 1)])
def test_what_is_no_resolution(text: str) -> None:
    with pytest.raises(UsageError, match="--resolution"):
        resolution(text, Interval(BASE, BASE + HOUR), None)


def test_days_and_hours_that_are_too_many() -> None:
    century = Interval(0, 4_000_000_000 * SECOND)
    for text in ("hourly", "daily"):
        with pytest.raises(UsageError, match="too many"):
            resolution(text, century, None, ZoneInfo("Europe/Berlin"))


@given(
    start=st.integers(1_400_000_000, 1_800_000_000),
    days=st.integers(0, 400),
    zone=st.sampled_from(ZONES),
    rest=st.integers(1, 86_400),
)
def test_days_are_those_of_the_calendar(start: int, days: int, zone: str, rest: int) -> None:
    place = ZoneInfo(zone)
    interval = Interval(start * SECOND, (start + days * 86_400 + rest) * SECOND)
    found = resolution("daily", interval, None, place)
    assert found.interval is not None
    width = found.interval.length // found.bins
    assert found.interval.length == width * found.bins
    edges = found.edges or tuple(range(found.interval.start, found.interval.end + 1, width))
    assert edges[0] <= interval.start < edges[1]
    assert edges[-2] < interval.end <= edges[-1]
    assert all((edge - edges[0]) % width == 0 for edge in edges)
    for before, after in pairwise(edges):
        assert 20 * HOUR <= after - before <= 26 * HOUR
        day = datetime.fromtimestamp(before / SECOND, place)
        # Where a day has no midnight it begins as soon as clocks have one to show.
        assert day.date() != datetime.fromtimestamp((before - 1) / SECOND, place).date()
        assert datetime.fromtimestamp((after - 1) / SECOND, place).date() == day.date()


def test_a_day_on_which_clocks_are_changed_has_23_or_25_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = int(datetime(2026, 10, 24, tzinfo=berlin).timestamp()) * SECOND
    end = int(datetime(2026, 10, 27, tzinfo=berlin).timestamp()) * SECOND
    found = resolution("daily", Interval(start, end), None, berlin)
    assert found.edges is not None
    assert [(after - before) // HOUR for before, after in pairwise(found.edges)] == [24, 25, 24]
    assert (found.bins, found.interval) == (73, Interval(start, end))
    answer = folded(_answer([list(range(73)), [1] * 73], start, HOUR), found.edges)
    assert answer.series is not None
    assert answer.series["g0"].to_list() == [sum(range(24)), sum(range(24, 49)), sum(range(49, 73))]
    assert answer.series["other"].to_list() == [24, 25, 24]
    assert answer.series["time"].to_physical().to_list() == list(found.edges[:-1])
    assert (answer.query.bins, answer.bin_width) == (3, 25 * HOUR)


def test_hours_where_the_offset_is_none_of_whole_hours() -> None:
    found = resolution("hourly", Interval(BASE, BASE + HOUR), None, ZoneInfo("Asia/Kolkata"))
    assert found.interval is not None
    assert datetime.fromtimestamp(found.interval.start / SECOND, ZoneInfo("Asia/Kolkata")).minute == 0
    assert found.interval.start % HOUR == timedelta(minutes=30).total_seconds() * SECOND


@pytest.mark.row("K07")
@given(height=st.integers(1, 1000), most=st.integers(1, 200))
def test_a_chart_takes_so_many_points_and_keeps_the_sum(height: int, most: int) -> None:
    series = _answer([list(range(height)), [7] * height], BASE, HOUR).series
    assert series is not None
    drawn = charted(series, most)
    assert drawn.height <= most or drawn.height == height <= most
    assert drawn.drop("time").sum().row(0) == series.drop("time").sum().row(0)
    assert drawn["time"][0] == series["time"][0]


@pytest.mark.row("K07")
def test_720_hours_of_which_a_chart_takes_80() -> None:
    series = _answer([[1] * 720, [0] * 720], BASE, HOUR).series
    assert series is not None
    drawn = charted(series, 80)
    assert (drawn.height, set(drawn["g0"])) == (80, {9})


def test_statistics_are_those_of_the_nearest_rank() -> None:
    assert [nearest_rank(count, 95) for count in (1, 2, 19, 20, 21, 40, 100)] == [0, 1, 18, 18, 19, 37, 94]
    found = statistics([5, 0, 9, 2])
    assert (found.minimum, found.average, found.maximum, found.last, found.percentile_95) == (0, 4.0, 9, 2, 9)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_a_percentile_is_a_value_that_so_many_dont_exceed(values: list[int]) -> None:
    percentile = statistics(values).percentile_95
    assert percentile in values
    assert sum(value <= percentile for value in values) >= 0.95 * len(values)
    assert sum(value < percentile for value in values) < 0.95 * len(values)


def _answer(columns: list[list[int]], start: int, width: int) -> Answer:
    height = len(columns[0])
    times = pl.Series("time", [start + place * width for place in range(height)], dtype=pl.Int64).cast(TIME)
    series = pl.DataFrame([times, pl.Series("g0", columns[0]), pl.Series("other", columns[1])])
    groups = pl.DataFrame({"octets": [sum(columns[0])], "packets": [0], "flows": [0]})
    return Answer(Query(bins=height), groups, Totals(), 1, Coverage(), series, width)
