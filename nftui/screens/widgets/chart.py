"""The stacked area: plotext's frame, scales and labels, and a body of eighth-block cells painted into it.

plotext fills areas with one colour a cell, so edges jump by whole cells; here a cell on an edge shows the series below in the
foreground of a partial block and the series above in its background: eight steps a cell. Each column stands for the mean of the
bins that lie in it, so the painted area is the sum that was counted. Where colours don't tell series apart, letters do; what still
settles is hatched, or in small letters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from nftui.printable import printable
from nftui.screens import glyphs
from nftui.screens.depth import Depth
from nftui.screens.view import time_form
from nftui.screens.widgets import axes
from nftui.screens.widgets.painted import Painted, fit, piece

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

BLOCKS = glyphs.BLOCKS.rising
FADE = 0.5
"""How much of a colour is left where more flows are to be expected."""
HATCH = 2
"""The place among the shades of the one that is drawn there."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FAST = 10
"""Bins that a fast step of the cursor goes."""


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
        unit: Of the scale, in at most 6 characters.
        before: The total of each bin in the period before, drawn as a line, None where that isn't held; empty for no line.
        marks: Moments with a mark, microseconds, in order.
        partial: How much of what has to be read was read, 0 to 1; None where that is all.
    """

    series: pl.DataFrame
    start: int
    width: int
    factor: float
    label: Callable[[float], str]
    settling: int | None = None
    unit: str = ""
    before: Sequence[int | None] = ()
    marks: tuple[int, ...] = ()
    partial: float | None = None

    @property
    def end(self) -> int:
        """Of the last bin, microseconds."""
        return self.start + self.width * self.series.height

    def place(self, moment: int) -> int:
        """Return the bin of a moment, or the nearest there is."""
        return min(max((moment - self.start) // self.width, 0), self.series.height - 1)


class AreaChart(Painted, can_focus=True):
    """A stacked area over time, with a cursor on one bin while it has the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Earlier", show=False, id="chart.left", tooltip="The cursor to the bin before"),
        Binding("right,l", "step(1)", "Later", show=False, id="chart.right", tooltip="The cursor to the next bin"),
        Binding("H,pageup", f"step(-{FAST})", "Back", show=False, id="chart.faster_left", tooltip="The cursor ten bins back"),
        Binding("L,pagedown", f"step({FAST})", "On", show=False, id="chart.faster_right", tooltip="The cursor ten bins on"),
        Binding("g,home", "edge(0)", "First", show=False, id="chart.first", tooltip="The cursor to the first bin"),
        Binding("G,end", "edge(-1)", "Last", show=False, id="chart.last", tooltip="The cursor to the last bin"),
        Binding("J", "rise", "Rise", id="chart.rise", tooltip="The steepest rise before: since when?"),
        Binding(
            "enter", "open", "Zoom", key_display="⏎", show=False, id="chart.open", tooltip="Zoom to the bins around the cursor"
        ),
        Binding("escape", "leave", "Leave", show=False, id="chart.leave", tooltip="Back to the table"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor came to another moment, or is no longer there."""

        chart: AreaChart

    @dataclass
    class Opened(Message):
        """Enter was pressed, or the mouse clicked twice."""

        chart: AreaChart

    @dataclass
    class Left(Message):
        """The keys are wanted elsewhere."""

        chart: AreaChart

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.areas: Areas | None = None
        self._notice: tuple[str, ...] = ()
        self._top = 0.0
        self._gutter = 0
        self._moment: int | None = None

    def show(self, areas: Areas | None, *notice: str) -> None:
        """Replace what is drawn; with nothing to draw, lines of text in its place."""
        self.areas, self._notice = areas, notice
        self.repaint()

    # The cursor

    @property
    def place(self) -> int | None:
        """The bin under the cursor, of those drawn; None without a cursor."""
        if self.areas is None or self._moment is None or self.areas.series.is_empty():
            return None
        return self.areas.place(self._moment)

    @property
    def moment(self) -> int | None:
        """Where the bin under the cursor begins, microseconds; None without a cursor."""
        place = self.place
        return None if place is None or self.areas is None else self.areas.start + place * self.areas.width

    def go(self, moment: int | None) -> None:
        """Put the cursor on a moment; None takes it away."""
        if moment != self._moment:
            self._moment = moment
            self.repaint()
            self.post_message(self.Moved(self))

    def action_step(self, bins: int) -> None:
        """Move the cursor by bins."""
        if self.areas is not None and (place := self.place) is not None:
            self._go_to(place + bins)

    def action_edge(self, place: int) -> None:
        """Move the cursor to the first (0) or the last (-1) bin."""
        if self.areas is not None:
            self._go_to(place % max(self.areas.series.height, 1))

    def action_rise(self) -> None:
        """Move the cursor to the steepest rise of the total before it; where nothing rises before, to that of all."""
        if self.areas is None or self.areas.series.is_empty():
            return
        totals = _layers(self.areas.series).sum(axis=0)
        place = self.place
        found = steepest(totals, len(totals) if place is None else place)
        if found is None:
            found = steepest(totals, len(totals))
        if found is None:
            self.notify("nothing rises in this range", timeout=3, markup=False)
        else:
            self._go_to(found)

    def _go_to(self, place: int) -> None:
        if self.areas is not None and not self.areas.series.is_empty():
            self.go(self.areas.start + min(max(place, 0), self.areas.series.height - 1) * self.areas.width)

    def action_open(self) -> None:
        """Zoom to the cursor."""
        if self.place is not None:
            self.post_message(self.Opened(self))

    def action_leave(self) -> None:
        """Give the keys back."""
        self.post_message(self.Left(self))

    def on_focus(self, _: events.Focus) -> None:
        """Begin on the last bin that has settled."""
        if self.areas is not None and self._moment is None and not self.areas.series.is_empty():
            settling = self.areas.end if self.areas.settling is None else self.areas.settling
            self._go_to((min(settling, self.areas.end) - self.areas.start) // self.areas.width - 1)

    def on_blur(self, _: events.Blur) -> None:
        """Take the cursor away: what stands beside tells of the whole range again."""
        self.go(None)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click zooms."""
        if self.areas is None or event.x < self._gutter:
            return
        columns = max(self.size.width - self._gutter, 1)
        self._go_to((event.x - self._gutter) * self.areas.series.height // columns)
        if event.chain == 2:
            self.action_open()

    # The picture

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines of the chart."""
        if self.areas is None or self.areas.series.is_empty() or width < 16 or height < 4:
            return self._notice_lines(width, height)
        areas = self.areas
        layers = _layers(areas.series) * areas.factor
        self._top = axes.scale_top(_greatest(layers, areas), self._top)
        values, labels = axes.ticks(self._top, height - 2, areas.label)
        columns = width - max(map(len, labels)) - 1
        form = time_form(areas.end - areas.start)
        places, times = axes.time_ticks(areas.start, areas.end, columns, form)
        frame = list(axes.plotext_frame(width, height, (0.0, self._top), values, labels, places, times))
        self._gutter = gutter = axes.gutter(tuple(frame))
        frame[-1] = areas.unit[:gutter].rjust(gutter - 1).ljust(gutter) + frame[-1][gutter:]
        cells = self._cells(layers, width - gutter, height - 2)
        self._draw_before(cells)
        self._draw_marks(cells)
        self._tell_share(cells)
        strips = [Strip([Segment(line[:gutter], self.ink.dim), *row]) for line, row in zip(frame, cells, strict=False)]
        below = [Segment(character, self.ink.dim) for character in frame[height - 2]]
        if (cursor := self._column(self.moment)) is not None:
            below[gutter + cursor] = Segment(self.glyphs.up, self.ink.title)
        return [*strips, Strip(below), *(Strip([Segment(line, self.ink.dim)]) for line in frame[height - 1 :])]

    def _cells(self, layers: np.ndarray[Any, Any], columns: int, rows: int) -> list[list[Segment]]:
        """Return the cells of the body, row by row from the top."""
        areas = self.areas
        assert areas is not None
        settled = columns
        if areas.settling is not None:
            settled = round((areas.settling - areas.start) / (areas.end - areas.start) * columns)
        count = areas.series.width - 2
        bright = [*(self.ink.layer(n, count) for n in range(count + 1)), self.ink.ground]
        body = _body(_resample(layers, columns), self._top, rows)
        if self.ink.letters:
            filled = None if self.ink.depth is Depth.NONE else self.ink.filled
            return [[_lettered(cell, bright, x >= settled, filled) for x, cell in enumerate(row)] for row in body]
        faded = [self.ink.mixed(colour, FADE) for colour in bright]
        shade = self.glyphs.shades[min(HATCH, len(self.glyphs.shades) - 1)]
        return [
            [_segment(cell, bright) if x < settled else _hatched(cell, bright, faded, shade) for x, cell in enumerate(row)]
            for row in body
        ]

    def _draw_before(self, cells: list[list[Segment]]) -> None:
        """Draw the total of the period before as a line."""
        import numpy as np

        areas = self.areas
        assert areas is not None
        if not len(areas.before):
            return
        rows, columns, bins = len(cells), len(cells[0]), len(areas.before)
        line = _resample(np.asarray([[value or 0 for value in areas.before]], dtype=np.float64) * areas.factor, columns)[0]
        for x, value in enumerate(line.tolist()):
            if areas.before[x * bins // columns] is None:
                continue
            y = min(max(rows - 1 - int(value / self._top * rows), 0), rows - 1)
            cells[y][x] = self._over(cells[y][x], self.glyphs.horizontal)

    def _draw_marks(self, cells: list[list[Segment]]) -> None:
        """Draw marks, with their numbers, where no area is; and the cursor."""
        areas = self.areas
        assert areas is not None
        for number, mark in enumerate(areas.marks, 1):
            if (x := self._column(mark)) is None:
                continue
            for row in cells:
                if row[x].text == " ":
                    row[x] = Segment(self.glyphs.vertical, self.ink.rule)
            cells[0][x] = self._over(cells[0][x], str(number % 10))
        if (x := self._column(self.moment)) is not None:
            for row in cells:
                row[x] = self._over(row[x], self.glyphs.vertical)

    def _tell_share(self, cells: list[list[Segment]]) -> None:
        """Say where nothing was read yet that more is to come: blank would look as if there had been nothing."""
        areas = self.areas
        assert areas is not None
        if areas.partial is None:
            return
        y = len(cells) // 2
        row = cells[y]
        for words in (f"scanned {100 * areas.partial:.0f} %, the rest is being read", f"scanned {100 * areas.partial:.0f} %"):
            text = f" {words} "
            blank = "".join(" " if cell.text == " " else "x" for cell in row)
            if (x := blank.find(" " * len(text))) >= 0:
                x += (len(blank[x:]) - len(blank[x:].lstrip(" ")) - len(text)) // 2
                row[x : x + len(text)] = [Segment(character, self.ink.accent) for character in text]
                return

    def _over(self, cell: Segment, character: str) -> Segment:
        """Return a cell with a character over what it shows."""
        ground, style = self.ink.ground, cell.style
        if style is not None and cell.text in BLOCKS[1:]:
            shown = style.color if BLOCKS.index(cell.text) >= len(BLOCKS) // 2 else style.bgcolor
            ground = ground if shown is None else shown.name
        return Segment(character, Style(color=self.ink.on(ground), bgcolor=ground, bold=True))

    def _column(self, moment: int | None) -> int | None:
        """Return the column of the body that shows a moment, None where it is outside."""
        areas, columns = self.areas, self.size.width - self._gutter
        if moment is None or areas is None or not areas.start <= moment < areas.end or columns < 1:
            return None
        middle = areas.start + (moment - areas.start) // areas.width * areas.width + areas.width // 2
        return min((middle - areas.start) * columns // (areas.end - areas.start), columns - 1)

    def _notice_lines(self, width: int, height: int) -> list[Strip]:
        styles = self.ink
        blank = Strip([Segment(" " * width, styles.text)])
        wrapped = [line for text in self._notice for line in _wrapped(text, width - 4)][:height]
        above = (height - len(wrapped)) // 2
        lines = [
            Strip([piece("  " + fit(line, width - 2), styles.strong if n == 0 else styles.dim)]) for n, line in enumerate(wrapped)
        ]
        return [blank] * above + lines


def _layers(series: pl.DataFrame) -> np.ndarray[Any, Any]:
    """Return the sums, shape (layers, bins): the groups in order, then the others."""
    import numpy as np

    return np.ascontiguousarray(series.drop("time").to_numpy().T).astype(np.float64)


def _greatest(layers: np.ndarray[Any, Any], areas: Areas) -> float:
    """Return the greatest stacked value, of the settled bins where there are enough of them."""
    stacked = layers.sum(axis=0)
    line = max((value or 0 for value in areas.before), default=0) * areas.factor
    if areas.settling is not None:
        settled = (areas.settling - areas.start) // areas.width
        if settled >= 3:
            return float(max(stacked[:settled].max(), stacked.max() * 0.999, line))
    return float(max(stacked.max(), line)) if stacked.size else 0.0


def steepest(totals: np.ndarray[Any, Any], end: int) -> int | None:
    """Return the bin before `end` whose total is above that of the bin before it by most, the latest of equals.

    None where nothing rises. Where the flows that are held begin is no rise: nobody knows what was before.
    """
    import numpy as np

    held = totals.nonzero()[0]
    rises = np.diff(totals[: max(end, 0)])
    rises[: held[0] if held.size else 0] = 0
    if not rises.size or rises.max() <= 0:
        return None
    return int(rises.size - rises[::-1].argmax())


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
        return Segment(" " if below == ground else BLOCKS[-1], _style(colours[below], colours[below]))
    return Segment(BLOCKS[eighths], _style(colours[below], colours[above]))


def _hatched(cell: tuple[int, int, int], bright: list[str], faded: list[str], shade: str) -> Segment:
    """Return a cell of what still settles: hatched where one series fills it, dimmer where there is an edge."""
    eighths, below, above = cell
    ground = len(bright) - 1
    whole = above if eighths == 0 else below if eighths == 8 or below == above else None
    if whole is None:
        return _segment(cell, faded)
    return Segment(" " if whole == ground else shade, _style(bright[whole], bright[ground]))


def _lettered(
    cell: tuple[int, int, int], colours: list[str], settles: bool, filled: Callable[[str], Style] | None = None
) -> Segment:
    """Return the letter of the series in the middle of a cell, a small one where it still settles; `.` for the others.

    Args:
        cell: Eighths of it that the lower one of two layers takes, and the two.
        colours: Of each layer; the last one is the ground.
        settles: Whether it does.
        filled: Makes the style of a letter on a ground of its colour, where there are colours.
    """
    eighths, below, above = cell
    ground = len(colours) - 1
    if filled is not None and not settles:
        whole = above if eighths == 0 else below
        if whole == ground or (0 < eighths < 8 and below != above):
            return _segment(cell, colours)
        return Segment("." if whole == ground - 1 else LETTERS[whole % len(LETTERS)], filled(colours[whole]))
    layer = below if eighths >= 4 else above
    style = _style(colours[min(layer, ground)], colours[ground])
    if layer == ground:
        return Segment("_" if eighths and below != ground else " ", _style(colours[below], colours[ground]))
    if layer == ground - 1:
        return Segment("," if settles else ".", style)
    letter = LETTERS[layer % len(LETTERS)]
    return Segment(letter.lower() if settles else letter, style)


@lru_cache(maxsize=512)
def _style(foreground: str, background: str) -> Style:
    return Style(color=foreground, bgcolor=background)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(printable(text, 1000), max(width, 8)) or [""]
