"""The time line: all that is held in one row, and where in it the shown range lies."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from nftui.engine.query import Interval
from nftui.screens.view import DAY, time_text
from nftui.screens.widgets.painted import Painted, fit

KEYS = "  [ ] pan  + - zoom"
WITH_KEYS = 60
"""Cells from which on the keys stand behind."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a time line shows.

    Attributes:
        held: All that is held.
        shown: What the screen shows of it, or of the time around it.
        marks: Moments with a mark, microseconds, in order.
    """

    held: Interval
    shown: Interval
    marks: tuple[int, ...] = ()

    @property
    def whole(self) -> Interval:
        """The range from end to end of the line."""
        return Interval(min(self.held.start, self.shown.start), max(self.held.end, self.shown.end))

    def cells(self, width: int) -> tuple[range, range, tuple[int, ...]]:
        """Return the cells that are held, those that are shown (one at least), and those of the marks within."""
        whole = self.whole
        marks = tuple(_at(whole, mark, width) for mark in self.marks if whole.start <= mark < whole.end)
        return _span(whole, self.held, width), _span(whole, self.shown, width), marks


class TimeLine(Painted):
    """All that is held, the shown range in it, and marks; a click goes there."""

    @dataclass
    class Picked(Message):
        """A moment was clicked on."""

        moment: int

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._window: Window | None = None
        self._strip = (0, 1)  # where the line begins, and its cells

    def show(self, window: Window | None) -> None:
        """Replace what is shown."""
        self._window = window
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the one line."""
        window = self._window
        if window is None:
            return []
        ink, glyphs, whole = self.ink, self.glyphs, window.whole
        form = "%H:%M:%S" if whole.length < DAY else "%b %d %H:%M"
        first, last = f" {time_text(whole.start, form)} ", f" {time_text(whole.end, form)}"
        keys = KEYS if width >= WITH_KEYS else ""
        cells = width - len(first) - len(last) - len(keys) - 1
        if cells < 8:
            return []
        self._strip = len(first), cells
        held, shown, marks = window.cells(cells)
        strip = [
            Segment(glyphs.rising[len(glyphs.rising) // 2], ink.accent)
            if n in shown
            else Segment(glyphs.horizontal if n in held else " ", ink.rule)
            for n in range(cells)
        ]
        for number, at in enumerate(marks, 1):
            strip[at] = Segment(str(number % 10), ink.title)
        return [Strip([Segment(first, ink.dim), *strip, Segment(last, ink.dim), Segment(fit(keys, len(keys) + 1), ink.dim)])]

    def on_click(self, event: events.Click) -> None:
        """Go to the moment under the mouse."""
        start, cells = self._strip
        if self._window is not None and start <= event.x < start + cells:
            whole = self._window.whole
            self.post_message(self.Picked(whole.start + (2 * (event.x - start) + 1) * whole.length // (2 * cells)))


def _at(whole: Interval, moment: int, width: int) -> int:
    return min((moment - whole.start) * width // max(whole.length, 1), width - 1)


def _span(whole: Interval, part: Interval, width: int) -> range:
    first = _at(whole, part.start, width)
    return range(first, max(-(-(part.end - whole.start) * width // max(whole.length, 1)), first + 1))
