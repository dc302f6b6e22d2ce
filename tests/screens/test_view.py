"""The shared view: ranges, the grid of bins, steps down and up."""

from __future__ import annotations

import pytest

from nftui.engine import filters, keys
from nftui.engine.query import KEYS, Interval, Kind
from nftui.errors import UsageError
from nftui.screens import presets
from nftui.screens.view import DAY, HOUR, MINUTE, ZOOMS, Range, View, bin_width, keys_of, parse_range, time_form
from nftui.units import SECOND

NOW = 1_795_467_605_000_000


@pytest.mark.row("V01")
@pytest.mark.parametrize("preset", [*presets.LENGTHS, "all"])
def test_presets_read_as_they_are_written(preset: str) -> None:
    assert presets.read_range(preset, NOW).text == preset


@pytest.mark.row("V01")
def test_presets_of_the_calendar() -> None:
    monday, day = 1_795_392_000 * SECOND, DAY  # 2026-11-23T00:00Z, the day of NOW
    wanted = {
        "this week": (monday, NOW), "past week": (monday - 7 * day, monday),
        "This  Month": (monday - 22 * day, NOW), "past month": (monday - 53 * day, monday - 22 * day),
    }  # fmt: skip
    for text, (start, end) in wanted.items():
        assert presets.read_range(text, NOW).interval == Interval(start, end), text


@pytest.mark.row("V02")
def test_every_key_is_offered_once_and_understood() -> None:
    names = [name for name, _ in presets.breakdowns()]
    assert names[:6] == list(KEYS) and len(set(names)) == len(names)
    found = [keys_of(name) for name in names]
    assert len(set(found)) == len(found)
    assert {key for one in found for key in one} >= set(keys.WORDS.values())


@pytest.mark.parametrize(("text", "length"), [("-2h", 2 * HOUR), ("90s", 90 * SECOND), ("-1.5h", 90 * MINUTE), ("-1w", 7 * DAY)])
def test_typed_lengths(text: str, length: int) -> None:
    assert parse_range(text).length == length


def test_typed_interval_is_local_unless_it_has_a_zone() -> None:
    assert parse_range("2026-11-23T10:00Z/2026-11-23T12:00+01:00").interval == Interval(
        1_795_428_000 * SECOND, 1_795_431_600 * SECOND
    )


@pytest.mark.parametrize(
    "text", ["", "15", "-0s", "-9999999999m", "a/b", "2026-11-23/2026-11-22", "1/2/3", "-15 parsecs", "9999-99-99/x"]
)
def test_no_ranges(text: str) -> None:
    with pytest.raises(UsageError):
        parse_range(text)


@pytest.mark.parametrize("length", [*ZOOMS, 7 * SECOND, 100 * MINUTE, 3 * DAY + 1])
@pytest.mark.parametrize("bins", [45, 60, 120])
def test_bins_start_at_multiples_of_their_width(length: int, bins: int) -> None:
    query = View(Range(length), bins=bins).groups(NOW)
    assert query.interval is not None and query.bins is not None and query.bins <= bins
    width = query.interval.length // query.bins
    assert query.interval.length == width * query.bins
    assert query.interval.start % width == 0
    assert query.interval.start <= NOW - length + width and query.interval.end >= NOW


def test_the_same_question_until_the_next_bin() -> None:
    view = View()
    width = bin_width(15 * MINUTE, view.bins)
    start = NOW // width * width + 1
    assert view.groups(start) == view.groups(start + width - 2) != view.groups(start + width)


def test_pause_freezes_and_follows_again() -> None:
    paused = View().pause(NOW)
    assert not paused.follows and paused.interval(NOW + HOUR) == View().interval(NOW)
    assert paused.pause(NOW + HOUR).follows


def test_pan_moves_by_half_and_comes_back_to_live() -> None:
    view = View()
    back = view.pan(NOW, -1)
    before, after = view.interval(NOW), back.interval(NOW)
    assert before is not None and after is not None and not back.follows
    assert after.length == before.length and 0 < before.start - after.start <= before.length // 2
    assert back.pan(NOW, 1).follows
    assert view.pan(NOW, 1).follows


def test_zoom_of_an_absolute_range_keeps_its_middle() -> None:
    view = View(Range(interval=Interval(NOW - HOUR, NOW)))
    inner = view.zoom(NOW, 1).range.interval
    assert inner == Interval(NOW - 45 * MINUTE, NOW - 15 * MINUTE)
    assert view.zoom(NOW, -1).range.interval == Interval(NOW - 90 * MINUTE, NOW + 30 * MINUTE)


def test_zoom_of_a_relative_range_goes_through_round_lengths() -> None:
    assert View().zoom(NOW, 1).range.length == 5 * MINUTE
    assert View().zoom(NOW, -1).range.length == HOUR
    assert View(Range(MINUTE)).zoom(NOW, 1).range.length == MINUTE


def test_up_undoes_down() -> None:
    view = View(text="port 53", where=filters.parse("port 53"))
    lower = view.down("proto 17", "port 53 and proto 17", filters.parse("port 53 and proto 17"), "live", 3)
    assert lower.path[0].row == 3 and lower.up() == view
    assert view.up() == view


@pytest.mark.row("V05")
@pytest.mark.parametrize(
    ("length", "form"), [(6 * HOUR, "%H:%M:%S"), (6 * HOUR + 1, "%H:%M"), (DAY, "%b %d %H:%M"), (15 * DAY, "%b %d %Hh")]
)
def test_time_labels(length: int, form: str) -> None:
    assert time_form(length) == form


def test_flows_are_asked_for_in_the_same_range() -> None:
    query = View().flows(NOW, "flow_start", False, 1000)
    assert query.kind is Kind.FLOWS and query.interval == View().interval(NOW)


@pytest.mark.row("R03")
@pytest.mark.parametrize(("name", "bins"), [("low", 6), ("medium", 12), ("high", 24), ("ultra", 30), ("37", 37)])
def test_a_resolution_is_so_many_bins_on_a_fixed_grid(name: str, bins: int) -> None:
    view = View(Range(15 * MINUTE), resolution=name)
    query = view.groups(NOW)
    assert query.bins == bins and query.interval is not None
    width = query.interval.length // bins
    assert query.interval.length == width * bins and query.interval.end % width == 0
    assert 0 <= query.interval.end - NOW < width
    assert view.groups(query.interval.end).interval == query.interval, "a moment later the same bins are asked for"


@pytest.mark.row("R03")
def test_hours_and_days_are_as_many_as_the_range_has() -> None:
    assert View(Range(48 * HOUR), resolution="hourly").groups(NOW).bins == 48
    days = View(Range(30 * DAY), resolution="daily").sampled(NOW)
    assert days.edges is None and days.bins == 30, "in UTC all days are of one length"
    held = Interval(NOW - 3 * DAY, NOW)
    assert View(Range(), resolution="daily").groups(NOW, held).bins == 4
    assert View(Range(), resolution="hourly").groups(NOW).bins == 1, "what is held isn't known yet"
    past = View(Range(interval=Interval(NOW - HOUR, NOW)), resolution="medium").sampled(NOW)
    assert (past.interval, past.bins) == (Interval(NOW - HOUR, NOW), 12)


def test_before_is_as_long_and_ends_where_the_range_begins() -> None:
    interval = View().sampled(NOW).interval
    assert interval is not None
    before = View().before(interval)
    assert before.end == interval.start and before.length == interval.length


def test_a_range_of_another_year_tells_it() -> None:
    new_year = 1_798_761_600 * SECOND  # 2027-01-01T00:00:00Z
    span = Interval(new_year - 3600 * SECOND, new_year + 3600 * SECOND)
    assert Range(interval=span).label(new_year) == "2026-12-31 23:00/2027-01-01 01:00"
    within = Interval(new_year, new_year + 3600 * SECOND)
    assert Range(interval=within).label(new_year) == "Jan 01 00:00:00-01:00:00"
    assert Range(interval=within).label(new_year + 366 * 86_400 * SECOND).startswith("2027-01-01 00:00/")
