"""The legend of a chart: colour, name, share and rate of each group, with its trend where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from nftui.screens.cells import spark
from nftui.screens.widgets.chart import LETTERS
from nftui.screens.widgets.painted import Painted, Part, fit, fit_middle, piece

WITH_CHANGE, WITH_TREND = 36, 44
"""Cells from which on a line has the change, and the trend."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A group of the legend.

    Attributes:
        label: Its name.
        share: Of the total, 0.0 to 1.0.
        value: Its rate.
        trend: Its series.
        other: Whether it stands for all that aren't shown.
        change: Against the period before, in at most 5 characters; empty where that isn't told.
    """

    label: str
    share: float
    value: str
    trend: Sequence[int]
    other: bool = False
    change: str = ""


class Legend(Painted):
    """The groups of a chart, best first; when they don't all fit, the last line stays that of the others."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._entries: tuple[Entry, ...] = ()
        self._heading: tuple[Sequence[Part], ...] = ()
        self._always = False
        self._above = 0

    @dataclass
    class Picked(Message):
        """A group was clicked: its rank."""

        place: int

    def on_click(self, event: events.Click) -> None:
        """Say which group was clicked."""
        place = event.y - self._above
        if 0 <= place < len(self._entries) and not self._entries[place].other:
            event.stop()
            self.post_message(self.Picked(place))

    def show(self, entries: Sequence[Entry], heading: Sequence[Sequence[Part]] = (), always: bool = False) -> None:
        """Replace the groups, and the lines above them, which stand where there is room for them; or `always`."""
        self._entries, self._heading, self._always = tuple(entries), tuple(heading), always
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return a line a group."""
        styles = self.ink
        count = sum(not entry.other for entry in self._entries)
        heading = self._heading if self._always else self._heading[: max(height - len(self._entries), 0)]
        lines = [Strip([piece(part.text, getattr(styles, part.style)) for part in row]) for row in heading]
        self._above = len(lines)
        room = height - len(lines)
        numbered = list(enumerate(self._entries))
        if len(numbered) > room:
            numbered = numbered[: room - 1] + numbered[-1:]
        return lines + [self._line(place, entry, count, width) for place, entry in numbered]

    def _line(self, place: int, entry: Entry, count: int, width: int) -> Strip:
        styles = self.ink
        change = 6 if entry.change and width >= WITH_CHANGE else 0
        trend = 12 if width >= WITH_TREND + change else 0
        room = width - 13 - (trend + 1 if trend else 0) - change
        colour = Style(color=styles.layer(place, count), bgcolor=styles.ground)
        sign = self.glyphs.swatch
        if styles.letters:
            sign = "." if entry.other else LETTERS[place % len(LETTERS)]
        parts = [
            Segment(f" {sign} ", colour),
            piece(fit(fit_middle(entry.label, room), room), styles.dim if entry.other else styles.text),
        ]
        parts += [piece(f"{_percent(entry.share):>4}", styles.dim), piece(f"{entry.value:>6}", styles.text)]
        if change:
            parts.append(piece(f"{entry.change:>6}", styles.accent))
        if trend:
            parts += [Segment(" ", styles.text), piece(spark(list(entry.trend), trend), colour)]
        return Strip(parts)


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.01 else f"{100 * share:.0f}%"
