"""The stacked area: what is painted is what was counted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style
from textual.app import App, ComposeResult

from nftui.screens.themes import load
from nftui.screens.widgets import axes, chart
from nftui.screens.widgets.chart import AreaChart, Areas
from nftui.units import scaled

SECOND = 1_000_000
HOUR = 3600 * SECOND
START = 1_795_464_000 * SECOND


@pytest.mark.parametrize("columns", [7, 45, 46, 100, 333])
@pytest.mark.parametrize("bins", [1, 12, 45, 120])
def test_columns_keep_the_sum(columns: int, bins: int) -> None:
    layers = np.random.default_rng(bins * columns).random((5, bins))
    resampled = chart._resample(layers, columns)
    assert resampled.shape == (5, columns)
    np.testing.assert_allclose(resampled.mean(axis=1), layers.mean(axis=1))


def test_cells_show_edges_in_eighths() -> None:
    layers = np.array([[1.0], [0.5], [0.25]])
    body = chart._body(layers, 2.0, 2)
    upper, lower = body[0][0], body[1][0]
    assert 0 in lower[1:] and lower[0] in (0, 8), "the lower cell is all of the first layer"
    assert upper[:2] == (4, 1) and upper[2] in (2, 3), "the upper one half the second; above it two share what is left"


def test_one_layer_fills_exactly_its_height() -> None:
    for eighths in range(17):
        body = chart._body(np.array([[eighths / 16]]), 1.0, 2)
        filled = sum(e if (below, above) == (0, 1) else 8 if below == above == 0 else 0 for ((e, below, above),) in body)
        assert filled == eighths


def test_scale_stays_until_it_no_longer_serves() -> None:
    top = axes.scale_top(93.0, 0.0)
    assert top == 100.0
    assert axes.scale_top(60.0, top) == top
    assert axes.scale_top(30.0, top) < top
    assert axes.scale_top(101.0, top) == 120.0
    assert axes.scale_top(0.0, 0.0) == 1.0


@pytest.mark.parametrize("width", [52, 136, 300])
def test_frame_is_plotexts_at_any_width(width: int) -> None:
    frame = axes.plotext_frame(width, 10, (0.0, 10.0), (0.0, 5.0, 10.0), ("    0", "  5.0", " 10.0"), (5, 20), ("10:00", "10:15"))
    assert len(frame) == 10 and {len(line) for line in frame} == {width}
    assert frame[0].startswith(" 10.0┤") and frame[7].startswith("    0┤")
    assert frame[8].rstrip()[-1] == "─" and len(frame[8].rstrip()) == width
    assert frame[8][6 + 5] == frame[8][6 + 20] == "┬"


def test_plotexts_own_figure_is_not_touched() -> None:
    import plotext

    before = plotext.figure.size()
    axes.plotext_frame(77, 9, (0.0, 3.0), (0.0, 3.0), ("0", "3"), (3,), ("x",))
    assert plotext.figure.size() == before


class ChartApp(App[None]):
    CSS = "AreaChart { width: 60; height: 12; }"

    def compose(self) -> ComposeResult:
        yield AreaChart()

    def on_mount(self) -> None:
        self.register_theme(load("dark"))
        self.theme = "dark"


@pytest.mark.row("V05")
async def test_settling_bins_are_drawn_dimmer() -> None:
    series = pl.DataFrame({"time": [START + n * HOUR // 60 for n in range(60)], "g0": [5] * 60, "other": [5] * 60})
    app = ChartApp()
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.pause()
        widget = app.query_one(AreaChart)
        widget.show(Areas(series, START, HOUR // 60, 1.0, scaled, START + HOUR // 2))
        await pilot.pause()
        body = "".join(segment.text for segment in widget._strips[8])
        assert body.count("█") + body.count("▒") >= 50 and "█▒" in body, "hatched from the middle on, colours or none"
        colours = {segment.text: str(segment.style.color.name) for segment in widget._strips[8] if segment.style.color}  # type: ignore[union-attr]
        assert colours["█"] == colours["▒"] == "#4c9be8"


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=5), min_size=1, max_size=4), st.integers(3, 12))
def test_letters_stand_for_their_share_of_the_height(columns: list[list[int]], rows: int) -> None:
    height = max(map(len, columns))
    layers = np.array([column + [0] * (height - len(column)) for column in columns], dtype=float).T
    top = max(float(layers.sum(axis=0).max()), 1.0)
    body = chart._body(layers, top, rows)
    colours = [f"#{n:06x}" for n in range(height + 1)]
    for settles in (False, True):
        drawn = [[chart._lettered(cell, colours, settles).text for cell in row] for row in body]
        for x in range(layers.shape[1]):
            shown = "".join(row[x] for row in drawn)
            for layer in range(height - 1):
                letter = chart.LETTERS[layer].lower() if settles else chart.LETTERS[layer]
                assert abs(shown.count(letter) - layers[layer, x] / top * rows) <= 1.5
            assert set(shown) <= set(" _.,") | set(chart.LETTERS) | set(chart.LETTERS.lower())


def test_letters_stand_on_their_colour_where_there_are_some() -> None:
    body = chart._body(np.array([[44.0], [12.0], [16.0]]), 72.0, 9)
    colours = ["red", "green", "white", "default"]
    drawn = [chart._lettered(row[0], colours, False, lambda colour: Style(color="black", bgcolor=colour)) for row in body]
    seen = [(one.text, one.style.bgcolor.name) for one in drawn if one.style and one.style.bgcolor]
    assert seen == [
        (".", "white"), (".", "white"), ("B", "green"), ("▄", "green"), *[("A", "red")] * 5,
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(16, 4), (20, 6), (60, 12), (136, 18), (300, 80)])
async def test_cursor_marks_and_the_period_before_at_any_size(size: tuple[int, int]) -> None:
    series = pl.DataFrame({"time": [START + n * HOUR // 60 for n in range(60)], "g0": range(60), "other": [5] * 60})
    before: list[int | None] = [None] * 20 + [400] * 40
    app = ChartApp()
    async with app.run_test(size=(301, 81)) as pilot:
        widget = app.query_one(AreaChart)
        widget.styles.width, widget.styles.height = size
        await pilot.pause()
        marks = (START - HOUR, START, START + HOUR // 2, START + HOUR - 1, START + 2 * HOUR)
        widget.show(Areas(series, START, HOUR // 60, 1.0, scaled, START + HOUR // 2, "flow/s", before, marks))
        for moment in (None, START - HOUR, START, START + HOUR // 3, START + 9 * HOUR):
            widget.go(moment)
            await pilot.pause()
            assert len(widget._strips) == size[1] and {strip.cell_length for strip in widget._strips} == {size[0]}
        text = [strip.text for strip in widget._strips]
        if size[1] >= 12:
            assert "▲" in text[-2] and text[-1].startswith("flow/s"), "the cursor is on the last bin"
            assert "1" not in text[0] and "2" in text[0] and "3" in text[0], "marks within the range have their numbers"
            line = next(row for row in text if "─" in row[8:-1] and "└" not in row)
            assert line.index("─", 8) > size[0] // 3, "the line begins where the period before is held"


@pytest.mark.row("V05")
@given(st.lists(st.integers(0, 9), max_size=40), st.integers(0, 40))
def test_the_steepest_rise_is_that_of_a_plain_search(totals: list[int], end: int) -> None:
    end = min(end, len(totals))
    first = next((n for n, total in enumerate(totals) if total), len(totals))
    rises = [(totals[n] - totals[n - 1], n) for n in range(1, end) if n > first and totals[n] > totals[n - 1]]
    assert chart.steepest(np.array(totals, dtype=float), end) == (max(rises)[1] if rises else None)


@pytest.mark.row("V05")
async def test_the_cursor_goes_to_rise_after_rise_and_round() -> None:
    totals = [0, 0, 4, 4, 9, 3, 3, 20, 20, 21]
    series = pl.DataFrame({"time": [START + n * SECOND for n in range(10)], "g0": totals, "other": [0] * 10})
    app = ChartApp()
    async with app.run_test(size=(60, 12)) as pilot:
        widget = app.query_one(AreaChart)
        widget.show(Areas(series, START, SECOND, 1.0, scaled))
        widget.focus()
        await pilot.pause()
        places = []
        for _ in range(4):
            await pilot.press("J")
            places.append(widget.place)
        assert places == [7, 4, 7, 4], "the first flows that are held are no rise; after the earliest comes the steepest of all"


async def test_what_was_not_read_yet_says_so_instead_of_looking_empty() -> None:
    series = pl.DataFrame({"time": [START + n * SECOND for n in range(40)], "g0": [0] * 32 + [5] * 8, "other": [0] * 40})
    app = ChartApp()
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.pause()
        widget = app.query_one(AreaChart)
        for partial, words in ((0.34, "scanned 34 %, the rest is being read"), (None, "")):
            widget.show(Areas(series, START, SECOND, 1.0, scaled, partial=partial))
            shown = "\n".join(strip.text for strip in widget._strips)
            assert words in shown and ("scanned" in shown) == bool(words)
