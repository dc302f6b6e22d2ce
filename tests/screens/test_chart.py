"""The stacked area: what is painted is what was counted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from textual.app import App, ComposeResult

from nftui.screens.themes import load
from nftui.screens.widgets import chart
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
    top = chart._scale_top(93.0, 0.0)
    assert top == 100.0
    assert chart._scale_top(60.0, top) == top
    assert chart._scale_top(30.0, top) < top
    assert chart._scale_top(101.0, top) == 120.0
    assert chart._scale_top(0.0, 0.0) == 1.0


@pytest.mark.parametrize("width", [52, 136, 300])
def test_frame_is_plotexts_at_any_width(width: int) -> None:
    frame = chart.plotext_frame(width, 10, (0.0, 10.0), (0.0, 5.0, 10.0), ("    0", "  5.0", " 10.0"), (5, 20), ("10:00", "10:15"))
    assert len(frame) == 10 and {len(line) for line in frame} == {width}
    assert frame[0].startswith(" 10.0┤") and frame[7].startswith("    0┤")
    assert frame[8].rstrip()[-1] == "─" and len(frame[8].rstrip()) == width
    assert frame[8][6 + 5] == frame[8][6 + 20] == "┬"


def test_plotexts_own_figure_is_not_touched() -> None:
    import plotext

    before = plotext.figure.size()
    chart.plotext_frame(77, 9, (0.0, 3.0), (0.0, 3.0), ("0", "3"), (3,), ("x",))
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
