"""The stacked area: plotext's frame, scales and labels, and a body of eighth-block cells painted into it.

plotext fills areas with one colour a cell, so edges jump by whole cells; here a cell on an edge shows the series below in the
foreground of a partial block and the series above in its background: eight steps a cell. Each column stands for the mean of the
bins that lie in it, so the painted area is the sum that was counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from nftui.printable import printable
from nftui.screens.view import WIDTHS, time_form, time_text, zone_offset
from nftui.screens.widgets.painted import Painted, fit, piece

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

BLOCKS = " ▁▂▃▄▅▆▇█"
STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
FADE = 0.5
"""How much of a colour is left where more flows are to be expected."""


@dataclass(frozen=True)
class Areas:
    """What a chart shows.

    Attributes:
        series: A row a bin: `time`, `g0`, `g1`, …, `other`: sums.
        start: Of the first bin, microseconds.
        width: Of a bin, microseconds.
        factor: What turns a sum into the shown rate.
        label: Turns a rate into the text of a scale.
        settling: The time after which more flows are to be expected; None where nothing is.
    """

    series: pl.DataFrame
    start: int
    width: int
    factor: float
    label: Callable[[float], str]
    settling: int | None = None

    @property
    def end(self) -> int:
        """Of the last bin, microseconds."""
        return self.start + self.width * self.series.height


class AreaChart(Painted):
    """A stacked area over time."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._areas: Areas | None = None
        self._notice: tuple[str, ...] = ()
        self._top = 0.0

    def show(self, areas: Areas | None, *notice: str) -> None:
        """Replace what is drawn; with nothing to draw, lines of text in its place."""
        self._areas, self._notice = areas, notice
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines of the chart."""
        if self._areas is None or self._areas.series.is_empty() or width < 16 or height < 4:
            return self._notice_lines(width, height)
        areas = self._areas
        layers = _layers(areas.series) * areas.factor
        self._top = _scale_top(_greatest(layers, areas), self._top)
        values, labels = _ticks(self._top, height - 2, areas.label)
        gutter = max(map(len, labels)) + 1
        columns = width - gutter
        form = time_form(areas.end - areas.start)
        places, times = _time_ticks(areas.start, areas.end, columns, form)
        frame = plotext_frame(width, height, (0.0, self._top), values, labels, places, times)
        gutter = _gutter(frame)
        body = _body(_resample(layers, width - gutter), self._top, height - 2)
        settled = width - gutter
        if areas.settling is not None:
            settled = round((areas.settling - areas.start) / (areas.end - areas.start) * (width - gutter))
        count = areas.series.width - 2
        bright = [*(self.ink.layer(n, count) for n in range(count + 1)), self.ink.ground]
        faded = [self.ink.mixed(colour, FADE) for colour in bright]
        strips = []
        for y, line in enumerate(frame[:height]):
            if y < height - 2:
                cells = [_segment(cell, bright if x < settled else faded) for x, cell in enumerate(body[y])]
                strips.append(Strip([Segment(line[:gutter], self.ink.dim), *cells]))
            else:
                strips.append(Strip([Segment(line, self.ink.dim)]))
        return strips

    def _notice_lines(self, width: int, height: int) -> list[Strip]:
        styles = self.ink
        blank = Strip([Segment(" " * width, styles.text)])
        wrapped = [line for text in self._notice for line in _wrapped(text, width - 4)][:height]
        above = (height - len(wrapped)) // 2
        lines = [
            Strip([piece("  " + fit(line, width - 2), styles.strong if n == 0 else styles.dim)]) for n, line in enumerate(wrapped)
        ]
        return [blank] * above + lines


@lru_cache(maxsize=8)
def plotext_frame(
    width: int,
    height: int,
    limits: tuple[float, float],
    values: tuple[float, ...],
    labels: tuple[str, ...],
    places: tuple[int, ...],
    times: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the lines of an empty plot: axes, ticks and labels. Its figure is its own; plotext's global one is not touched."""
    import plotext

    terminal: Any = type(plotext.terminal)()
    terminal.limit(False, False)
    figure: Any = type(plotext.figure)(terminal)
    figure.plot_size(width, height)
    figure.canvas("default")
    figure.axes(False, axis=0, side=1)
    figure.axes(False, axis=1, side=1)
    figure.legend(False)
    rows = height - 2
    low, high = limits
    half = (high - low) / rows / 2
    bottom, top = low + half, high - half
    figure.ruler(1, 0).lim(bottom, top).ticks([min(max(value, bottom), top) for value in values], list(labels))
    columns = width - max(map(len, labels)) - 1
    figure.ruler(0, 0).lim(0, columns - 1).ticks(list(places), list(times))
    lines = Text.from_ansi(figure.build().string()).plain.split("\n")
    return tuple(line.ljust(width)[:width] for line in lines[:height])


def _gutter(frame: tuple[str, ...]) -> int:
    return max((line.find(mark) for line in frame[:1] for mark in "┤│"), default=-1) + 1


def _layers(series: pl.DataFrame) -> np.ndarray[Any, Any]:
    """Return the sums, shape (layers, bins): the groups in order, then the others."""
    import numpy as np

    return np.ascontiguousarray(series.drop("time").to_numpy().T).astype(np.float64)


def _greatest(layers: np.ndarray[Any, Any], areas: Areas) -> float:
    """Return the greatest stacked value, of the settled bins where there are enough of them."""
    stacked = layers.sum(axis=0)
    if areas.settling is not None:
        settled = (areas.settling - areas.start) // areas.width
        if settled >= 3:
            return float(max(stacked[:settled].max(), stacked.max() * 0.999))
    return float(stacked.max()) if stacked.size else 0.0


def _scale_top(greatest: float, before: float) -> float:
    """Return the top of the scale: the one before while it still serves, so that the picture doesn't jump."""
    if greatest <= 0:
        return before or 1.0
    if greatest <= before <= 2 * greatest:
        return before
    power = 10.0 ** len(str(int(greatest))) / 10 if greatest >= 1 else 1.0
    return next(step * power for step in (*STEPS, 20.0) if step * power >= greatest)


def _ticks(top: float, rows: int, label: Callable[[float], str]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Return the values of the scale and their labels, some four rows apart."""
    parts = next((n for n in (5, 4, 2, 1) if rows >= 3 * n), 1)
    values = tuple(top * n / parts for n in range(parts + 1))
    labels = [label(value) for value in values]
    widest = max(5, *map(len, labels))
    return values, tuple(text.rjust(widest) for text in labels)


def _time_ticks(start: int, end: int, columns: int, form: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return columns and labels of the time axis: round local times, far enough apart."""
    wide = len(time_text(start, form))
    most = max(columns // (wide + 4), 1)
    step = next((width for width in WIDTHS if (end - start) / width <= most), WIDTHS[-1])
    offset = zone_offset(start)
    first = -(-(start + offset) // step) * step - offset
    places, times = [], []
    for moment in range(first, end, step):
        column = int((moment - start) / (end - start) * columns)
        if wide // 2 <= column <= columns - wide // 2 - 1:
            places.append(column)
            times.append(time_text(moment, form))
    return tuple(places), tuple(times)


def _resample(layers: np.ndarray[Any, Any], columns: int) -> np.ndarray[Any, Any]:
    """Return the mean of the bins in each column, shape (layers, columns)."""
    import numpy as np

    bins = layers.shape[1]
    before = np.concatenate([np.zeros((layers.shape[0], 1)), layers.cumsum(axis=1)], axis=1)
    edges = np.linspace(0, bins, columns + 1)
    whole = np.minimum(edges.astype(np.int64), bins - 1)
    at = before[:, whole] + (edges - whole) * layers[:, whole]
    return np.asarray(np.diff(at, axis=1) * columns / bins)


def _body(layers: np.ndarray[Any, Any], top: float, rows: int) -> list[list[tuple[int, int, int]]]:
    """Return for each row from the top and each column (eighths, layer below, layer above); the layer after the last is the ground.

    A cell has two colours and one edge between them. Where more layers meet in a cell, the edge and the colours are those that
    show the most eighths as they are.
    """
    import numpy as np

    edges = np.rint(layers.cumsum(axis=0) / top * rows * 8)
    count, columns = edges.shape
    middles = np.arange(rows * 8) + 0.5
    layer_at = (edges[None, :, :] <= middles[:, None, None]).sum(axis=1).reshape(rows, 8, columns)
    present = layer_at[:, :, :, None] == np.arange(count + 1)
    below = np.concatenate([np.zeros((rows, 1, columns, count + 1), np.int8), present.cumsum(axis=1, dtype=np.int8)], axis=1)
    above = below[:, -1:] - below
    right = below.max(axis=3) + above.max(axis=3)
    edge = right.argmax(axis=1)
    at = (np.arange(rows)[:, None], edge, np.arange(columns)[None, :])
    lower, upper = below[at].argmax(axis=2), above[at].argmax(axis=2)
    return [list(zip(edge[row].tolist(), lower[row].tolist(), upper[row].tolist(), strict=True)) for row in range(rows - 1, -1, -1)]


def _segment(cell: tuple[int, int, int], colours: list[str]) -> Segment:
    eighths, below, above = cell
    ground = len(colours) - 1
    if eighths == 0:
        below = above
    elif eighths == 8:
        above = below
    if below == above:
        return Segment(" " if below == ground else "█", _style(colours[below], colours[below]))
    return Segment(BLOCKS[eighths], _style(colours[below], colours[above]))


@lru_cache(maxsize=512)
def _style(foreground: str, background: str) -> Style:
    return Style(color=foreground, bgcolor=background)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(printable(text, 1000), max(width, 8)) or [""]
