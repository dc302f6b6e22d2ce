"""Who sends how much to whom, as a matrix: rows send to columns. Shades tell the share of the row where colours can't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from nftui.engine.matrix import Matrix
from nftui.engine.query import Measure
from nftui.screens.widgets.canvas import Canvas, middle
from nftui.screens.widgets.picture import Picture, styled
from nftui.units import scaled

Label = Callable[[Any], str]
FIGURES, WIDEST, SHADED = 6, 11, 3
"""Cells of a column that shows figures, at least and at most; of one that shows shades alone."""
DEEPEST = 3
"""Lines of a row, where there are more than are needed."""
HEATS = 24
"""Steps of shares that colours tell."""
LABEL, SHORT = 15, 10
"""Cells of a row's heading that an IPv4 address needs, and that it can do with."""


class PairMatrix(Picture):
    """A matrix with a cursor on a pair. Arrows move over its cells, `>` and `<` over the pairs in the order of size."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._matrix: Matrix | None = None
        self._sums: np.ndarray[tuple[int, int], np.dtype[np.int64]] = np.zeros((0, 0), np.int64)
        self._label: Label = str
        self._factor = 1.0
        self._cursor = (0, 0)
        self._pair: tuple[Any, Any] | None = None  # where the cursor was put, also while one of both is not there
        self._heats: list[tuple[Style, Style]] = []
        self._faint = Style()
        self._top = self._left = 0
        self._laid = (0, 0, 0, 1)  # cells of a row's heading, of a column, lines of the heading, of a row

    def show(self, matrix: Matrix | None, measure: Measure, label: Label, factor: float, *notice: str) -> None:
        """Replace the matrix; the cursor stays on its pair where both are still there, and begins on the greatest.

        Args:
            matrix: What is shown; None for nothing.
            measure: Which of its sums.
            label: Makes the name of an element.
            factor: What turns a sum into the figure that is shown.
            notice: Lines in its place where there is nothing.
        """
        self._matrix, self._label, self._factor, self._notice = matrix, label, factor, notice
        self._sums = np.zeros((0, 0), np.int64) if matrix is None else matrix.sums[measure]
        elements = () if matrix is None else matrix.elements
        if self._pair is not None and self._pair[0] in elements and self._pair[1] in elements:
            self._cursor = elements.index(self._pair[0]), elements.index(self._pair[1])
        else:
            order = by_size(self._sums)
            self._cursor = order[0] if order else (0, 0)
        self.repaint()

    @property
    def count(self) -> int:
        """Elements."""
        return len(self._sums)

    def at(self) -> tuple[int, int] | None:
        """Return row and column of the cursor; None where there is nothing."""
        return self._cursor if self.count else None

    def pair(self) -> tuple[Any, Any] | None:
        """Return the source and the destination under the cursor."""
        if self._matrix is None or not self.count:
            return None
        return self._matrix.elements[self._cursor[0]], self._matrix.elements[self._cursor[1]]

    def select(self, pair: tuple[Any, Any]) -> None:
        """Put the cursor on a pair."""
        elements = () if self._matrix is None else self._matrix.elements
        if pair[0] in elements and pair[1] in elements:
            self._cursor, self._pair = (elements.index(pair[0]), elements.index(pair[1])), pair
            self.repaint()

    def _put(self, row: int, column: int) -> None:
        self._cursor = row, column
        self._pair = self.pair()
        self.moved()

    # The cursor

    def action_go(self, right: int, down: int) -> None:
        """Move the cursor by cells."""
        if self.count:
            row, column = self._cursor
            self._put(min(max(row + down, 0), self.count - 1), min(max(column + right, 0), self.count - 1))

    def action_by_size(self, step: int) -> None:
        """Move the cursor to the next pair in the order of size."""
        if order := by_size(self._sums):
            here = order.index(self._cursor) if self._cursor in order else (-1 if step > 0 else 0)
            self._put(*order[(here + step) % len(order)])

    def action_ends(self, place: int) -> None:
        """Move the cursor to the greatest (0) or the smallest (-1) pair."""
        if order := by_size(self._sums):
            self._put(*order[place])

    def under(self, x: int, y: int) -> bool:
        """Put the cursor on a cell of the matrix."""
        label, each, lines, deep = self._laid
        row, column = self._top + (y - lines) // deep, self._left + (x - label) // max(each, 1)
        if x < label or y < lines or row >= self.count or column >= self.count:
            return False
        self._cursor = row, column
        self._pair = self.pair()
        return True

    def name_here(self) -> str:
        """Return the pair under the cursor."""
        pair = self.pair()
        return "" if pair is None else f"{self._label(pair[0])} -> {self._label(pair[1])}"

    # The picture

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the headings and the rows in sight."""
        canvas = self.canvas(width, height)
        if self._matrix is None or not self.count:
            return self.notice(canvas).strips()
        labels = [self._label(element) for element in self._matrix.elements]
        longest = max(map(cell_len, labels))
        spare = width - self.count * 8 - 5
        names = min(longest, max(LABEL, min(spare, 28)), max(width // 3, 6))
        number = len(str(self.count)) + 1
        if (width - names - 3) // self.count < FIGURES and width - 3 - FIGURES * self.count >= SHORT:
            names = width - 3 - FIGURES * self.count  # figures are worth shorter names
        each = min((width - names - 3) // self.count, WIDEST)
        figures = each >= FIGURES
        head = names + 3 if figures else names + 3 + number
        each = each if figures else SHADED + (self.count > 99)
        columns = max((width - head) // each, 1)
        lines = 1 if not figures or max(map(cell_len, labels)) < each else 2
        deep = min(max((height - lines) // self.count, 1), DEEPEST) if figures else 1
        rows = max((height - lines) // deep, 1)
        self._laid = (head, each, lines, deep)
        row, column = self._cursor
        self._top = min(max(self._top, row - rows + 1, 0), row, max(self.count - rows, 0))
        self._left = min(max(self._left, column - columns + 1, 0), column, max(self.count - columns, 0))
        shown = range(self._left, min(self._left + columns, self.count))
        self._take_heats()
        self._heading(canvas, labels, shown, figures)
        for offset, place in enumerate(range(self._top, min(self._top + rows, self.count))):
            self._row(canvas, labels, place, lines + offset * deep, shown, figures)
        return canvas.strips()

    def _take_heats(self) -> None:
        """Make the styles of all shares, each with that of its shade; that of the cursor is the last."""
        ink = self.ink
        grounds = [
            heat.bgcolor.name if heat.bgcolor else ink.ground for heat in (ink.heat(n / HEATS * 0.9) for n in range(HEATS + 1))
        ]
        grounds.append(ink.accent.color.name if ink.accent.color else ink.other)
        # A shade is a stripe that stands out a little; where there are no colours it is all that there is to see.
        stripes = [grounds[n - 6 if n > HEATS // 2 else n + 8] for n in range(HEATS + 1)] + [grounds[-1]]
        self._heats = [
            (styled(ink.on(ground), ground, n > HEATS), styled(stripe, ground))
            for n, (ground, stripe) in enumerate(zip(grounds, stripes, strict=True))
        ]
        self._heats[-1] = (ink.cursor + Style(bold=True), ink.cursor) if ink.few else self._heats[-1]
        self._faint = styled(ink.rule.color.name if ink.rule.color else ink.other, ink.ground)

    def _heading(self, canvas: Canvas, labels: list[str], shown: range, figures: bool) -> None:
        ink, (head, each, lines, _) = self.ink, self._laid
        canvas.put(
            1,
            lines - 1,
            "from \\ to" if self.count <= len(shown) else f"from \\ to {shown[0] + 1}-{shown[-1] + 1}",
            ink.dim,
            head - 1,
        )
        for place, column in enumerate(shown):
            style = ink.title if column == self._cursor[1] else ink.dim
            texts = [str(column + 1)] if not figures else halves(labels[column], each - 1, lines)
            for line, text in enumerate(texts):
                canvas.put(head + (place + 1) * each - cell_len(text), line, text, style)

    def _row(self, canvas: Canvas, labels: list[str], row: int, y: int, shown: range, figures: bool) -> None:
        ink, glyphs, (head, each, _, deep) = self.ink, self.glyphs, self._laid
        y += (deep - 1) // 2
        here = row == self._cursor[0]
        style = ink.title if here else ink.text
        number = "" if figures else f"{row + 1:>{len(str(self.count))}} "
        canvas.put(0, y, glyphs.pointer if here else " ", ink.title)
        canvas.put(1, y, number + middle(labels[row], head - 2 - len(number), glyphs.ellipsis), style)
        whole = max(int(self._sums[row].sum()), 1)
        for place, column in enumerate(shown):
            value = int(self._sums[row, column])
            self._cell(canvas, head + place * each, y, value, value / whole, (row, column) == self._cursor, figures)

    def _cell(self, canvas: Canvas, x: int, y: int, value: int, share: float, here: bool, figures: bool) -> None:
        glyphs, (_, each, _, deep) = self.glyphs, self._laid
        style, fainter = self._heats[-1] if here else self._heats[round(share**0.7 * HEATS)]
        faint = self._faint
        if value or here:
            canvas.fill(x, y - (deep - 1) // 2, each, deep, style)
        shade = shaded(share, glyphs.shades) if value else "."
        if here:
            canvas.cell(x, y, ">", style)
        if not figures:
            for place in range(x + 1 if value else x + each - 1, x + each):
                canvas.cell(place, y, shade, style if value or here else faint)
            return
        if not value:
            canvas.cell(x + each - 1, y, ".", style if here else faint)
            return
        figure = scaled(value * self._factor) if each >= 9 else brief(value * self._factor)
        if not here:
            canvas.cell(x, y, shade, fainter)
        canvas.put(x + each - len(figure), y, figure, style)


def by_size(sums: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> list[tuple[int, int]]:
    """Return the pairs with traffic, the greatest first."""
    flat = sums.ravel()
    order = np.argsort(-flat, kind="stable")[: int((flat > 0).sum())]
    return [(int(place) // len(sums), int(place) % len(sums)) for place in order]


def shaded(share: float, shades: str) -> str:
    """Return the shade of a share that isn't nothing."""
    return shades[min(max(1, round(share * (len(shades) - 1))), len(shades) - 1)]


def brief(value: float) -> str:
    """Return a number in at most 4 characters: `0`, `9.1k`, `252M`, `0.3`."""
    text = scaled(value)
    digits = text.rstrip("kMGTPEZY")
    suffix = text[len(digits) :]
    if "." in digits and len(digits) + len(suffix) > 4:
        digits = str(round(float(digits)))
    return digits + suffix


def halves(text: str, width: int, lines: int) -> list[str]:
    """Return a heading on at most two lines: an address is parted behind one of its dots where that fits."""
    if lines == 1 or cell_len(text) <= width:
        return [""] * (lines - 1) + [middle(text, width)]
    shown = middle(text, 2 * width)
    breaks = [
        n + 1 for n, character in enumerate(shown) if character in ".:- /" and n + 1 <= width and cell_len(shown[n + 1 :]) <= width
    ]
    if breaks:
        return [shown[: breaks[-1]], shown[breaks[-1] :]]
    first = shown
    cut = width
    while cell_len(first[:cut]) > width:
        cut -= 1
    return [first[:cut], middle(first[cut:], width)]
