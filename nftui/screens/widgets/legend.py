"""The legend of a chart: colour, name, share and rate of each group, with its trend where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nftui.screens.cells import spark
from nftui.screens.widgets.painted import Painted, fit, fit_middle, piece


@dataclass(frozen=True, slots=True)
class Entry:
    """A group of the legend.

    Attributes:
        label: Its name.
        share: Of the total, 0.0 to 1.0.
        value: Its rate.
        trend: Its series.
        other: Whether it stands for all that aren't shown.
    """

    label: str
    share: float
    value: str
    trend: Sequence[int]
    other: bool = False


class Legend(Painted):
    """The groups of a chart, best first; when they don't all fit, the last line stays that of the others."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._entries: tuple[Entry, ...] = ()

    def show(self, entries: Sequence[Entry]) -> None:
        """Replace the groups."""
        self._entries = tuple(entries)
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return a line a group."""
        styles = self.ink
        count = sum(not entry.other for entry in self._entries)
        numbered = list(enumerate(self._entries))
        if len(numbered) > height:
            numbered = numbered[: height - 1] + numbered[-1:]
        trend = 12 if width >= 44 else 0
        room = width - 13 - (trend + 1 if trend else 0)
        lines = []
        for place, entry in numbered:
            colour = Style(color=styles.layer(place, count), bgcolor=styles.ground)
            parts = [
                Segment(" ■ ", colour),
                piece(fit(fit_middle(entry.label, room), room), styles.dim if entry.other else styles.text),
            ]
            parts += [piece(f"{_percent(entry.share):>4}", styles.dim), piece(f"{entry.value:>6}", styles.text)]
            if trend:
                parts += [Segment(" ", styles.text), piece(spark(list(entry.trend), trend), colour)]
            lines.append(Strip(parts))
        return lines


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.01 else f"{100 * share:.0f}%"
