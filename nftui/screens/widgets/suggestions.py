"""What may be typed next: a short list below a line of text, which its keys walk through."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.strip import Strip

from nftui.printable import printable
from nftui.screens.widgets.painted import Painted, fit, piece

WIDEST = 40
"""Cells of what is inserted; the meaning stands behind."""
WIDEST_NOTE = 400


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that may be typed.

    Attributes:
        insert: What replaces the text from `start` to `end`.
        start: A column.
        end: A column, the one behind the last that goes.
        meaning: A few words about it.
        label: What the list shows; `insert` where it is empty.
        joins: Whether the word is not at its end yet: nothing is put behind it.
    """

    insert: str
    start: int
    end: int
    meaning: str = ""
    label: str = ""
    joins: bool = False


class Suggestions(Painted):
    """Offers, likely ones first, of which one may be chosen."""

    @dataclass
    class Picked(Message):
        """An offer was clicked."""

        offer: Offer

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.offers: tuple[Offer, ...] = ()
        self.chosen: int | None = None
        self._indent = 0
        self._note = ""
        self._top = 0

    @property
    def offer(self) -> Offer | None:
        """What is chosen; the first where nothing is."""
        return self.offers[self.chosen or 0] if self.offers else None

    def show(self, offers: Sequence[Offer], indent: int = 0, note: str = "") -> None:
        """Replace the offers, and the note below them; none is chosen then, unless they are the same as before."""
        if tuple(offers) != self.offers:
            self.offers, self.chosen, self._top = tuple(offers), None, 0
        self._indent, self._note = indent, note
        self.repaint()

    def choose(self, steps: int) -> None:
        """Choose the next or the one before; before the first none is chosen, behind the last it stays."""
        place = (-1 if self.chosen is None else self.chosen) + steps
        self.chosen = min(place, len(self.offers) - 1) if place >= 0 and self.offers else None
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return a line an offer, the last of which says how many more there are; then the note."""
        styles = self.ink
        noted = textwrap.wrap(printable(self._note, WIDEST_NOTE), max(width - 2, 10), max_lines=2) if self._note else []
        height = max(height - len(noted), 0)
        indent = max(min(self._indent, width - WIDEST - 10), 0)
        chosen = self.chosen or 0
        self._top = min(max(self._top, chosen - height + 1, 0), chosen)
        seen = self.offers[self._top : self._top + height]
        label_width = min(max((cell_len(printable(one.label or one.insert)) for one in seen), default=0), WIDEST)
        lines = []
        for place, offer in enumerate(seen, self._top):
            here = place == self.chosen
            style, dim = (styles.cursor, styles.cursor) if here else (styles.text, styles.dim)
            mark = self.glyphs.pointer if here else " "
            more = len(self.offers) - self._top - height
            last = f"+{more} " if place == self._top + height - 1 and more > 0 else ""
            meaning = fit(offer.meaning, max(width - indent - label_width - 4 - len(last), 0))
            parts = [piece(" " * indent, styles.text), piece(mark, styles.title)]
            parts += [piece(fit(offer.label or offer.insert, label_width), style), piece("  " + meaning, dim)]
            lines.append(Strip([*parts, piece(" " + last, styles.dim)]))
        lines += [Strip([])] * (height - len(lines))
        return lines + [Strip([piece(" " + line, styles.accent)]) for line in noted]

    def on_click(self, event: events.Click) -> None:
        """Take what was clicked."""
        event.stop()
        if (place := self._top + event.y) < len(self.offers):
            self.post_message(self.Picked(self.offers[place]))
