"""A ring of chords: who exchanges how much with whom, among those who exchange most."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.cells import cell_len
from textual.strip import Strip

from nftui.engine.matrix import Matrix
from nftui.engine.query import Measure
from nftui.screens.circle import Spot, curve, ring
from nftui.screens.widgets.canvas import Canvas, middle
from nftui.screens.widgets.pair_matrix import Label, by_size
from nftui.screens.widgets.picture import Picture, styled
from nftui.screens.widgets.sketch import dots_of, sketch

QUIET = 0.45
"""How much of its colour is left of a chord that isn't the cursor's."""
CHORDS = 200
"""Chords that are drawn, the greatest ones."""


class Ring(Picture):
    """Elements around, chords between. Up and down go around, left and right and `>` and `<` go through the pairs."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._matrix: Matrix | None = None
        self._sums: np.ndarray[tuple[int, int], np.dtype[np.int64]] = np.zeros((0, 0), np.int64)
        self._label: Label = str
        self._pair: tuple[Any, Any] | None = None
        self._spots: tuple[Spot, ...] = ()

    def show(self, matrix: Matrix | None, measure: Measure, label: Label, *notice: str) -> None:
        """Replace what is drawn; the cursor stays on its pair where that is still there, and begins on the greatest."""
        self._matrix, self._label, self._notice = matrix, label, notice
        self._sums = np.zeros((0, 0), np.int64) if matrix is None else matrix.sums[measure]
        self.repaint()

    def select(self, pair: tuple[Any, Any] | None) -> None:
        """Put the cursor on a pair."""
        self._pair = pair
        self.repaint()

    def at(self) -> tuple[int, int] | None:
        """Return the numbers of source and destination under the cursor."""
        if self._matrix is None or not len(self._sums):
            return None
        elements = self._matrix.elements
        if self._pair is not None and self._pair[0] in elements and self._pair[1] in elements:
            return elements.index(self._pair[0]), elements.index(self._pair[1])
        order = by_size(self._sums)
        return order[0] if order else (0, 0)

    def pair(self) -> tuple[Any, Any] | None:
        """Return the source and the destination under the cursor."""
        at = self.at()
        return None if at is None or self._matrix is None else (self._matrix.elements[at[0]], self._matrix.elements[at[1]])

    # The cursor

    def _go(self, at: tuple[int, int]) -> None:
        assert self._matrix is not None
        self._pair = self._matrix.elements[at[0]], self._matrix.elements[at[1]]
        self.moved()

    def action_go(self, right: int, down: int) -> None:
        """Go to the next element around, or to the next pair of this one."""
        if (at := self.at()) is None:
            return
        source, destination = at
        order = by_size(self._sums)
        if down:
            source = (source + down) % len(self._sums)
            self._go(next((pair for pair in order if pair[0] == source), (source, destination)))
        else:
            own = [pair for pair in order if pair[0] == source] or [at]
            self._go(own[((own.index(at) if at in own else -1) + right) % len(own)])

    def action_by_size(self, step: int) -> None:
        """Go to the next pair in the order of size."""
        at, order = self.at(), by_size(self._sums)
        if at is not None and order:
            self._go(order[((order.index(at) if at in order else -1) + step) % len(order)])

    def action_ends(self, place: int) -> None:
        """Go to the greatest (0) or the smallest (-1) pair."""
        if order := by_size(self._sums):
            self._go(order[place])

    def under(self, x: int, y: int) -> bool:
        """Put the cursor on the greatest pair of the element whose label is there."""
        for number, spot in enumerate(self._spots):
            if spot.label_y == y and spot.label_x <= x < spot.label_x + spot.label_width and self._matrix is not None:
                pair = next((pair for pair in by_size(self._sums) if number in pair), None)
                if pair is not None:
                    self._pair = self._matrix.elements[pair[0]], self._matrix.elements[pair[1]]
                return pair is not None
        return False

    def name_here(self) -> str:
        """Return the pair under the cursor."""
        pair = self.pair()
        return "" if pair is None else f"{self._label(pair[0])} -> {self._label(pair[1])}"

    # The picture

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines of the ring."""
        canvas = self.canvas(width, height)
        at = self.at()
        if self._matrix is None or at is None:
            return self.notice(canvas).strips()
        labels = [self._label(element) for element in self._matrix.elements]
        self._spots = spots = ring(len(labels), width, height, min(max(map(cell_len, labels)), max(width // 4, 6)))
        self._chords(canvas, spots, at)
        for number, spot in enumerate(spots):
            self._write(canvas, labels[number], spot, number, number in at)
        if len(spots) < len(labels):
            canvas.put(0, height - 1, f"{len(labels) - len(spots)} more", self.ink.dim, width)
        return canvas.strips()

    def _chords(self, canvas: Canvas, spots: tuple[Spot, ...], at: tuple[int, int]) -> None:
        ink, count = self.ink, len(self._sums)
        dots = dots_of(self.glyphs, canvas.width, canvas.height)
        drawn = [pair for pair in by_size(self._sums) if pair[0] != pair[1] and max(pair) < len(spots)][:CHORDS]
        most = max((int(self._sums[pair]) for pair in drawn), default=1)
        centre = (canvas.width / 2, canvas.height / 2)
        for pair in sorted(drawn, key=lambda each: (each == at, int(self._sums[each]))):
            start, end = spots[pair[0]], spots[pair[1]]
            points = [(start.x, start.y), centre, (end.x, end.y)]
            share = int(self._sums[pair]) / most
            line = curve(points, dots.steps(points))
            dots.line(line, count if pair == at else pair[0], 3 if pair == at or share >= 0.5 else 2 if share >= 0.1 else 1)
        colours = [ink.mixed(ink.layer(number, count), QUIET) for number in range(count)]
        colours.append(str(ink.text.color.name) if ink.text.color else ink.other)
        sketch(canvas, dots, colours, ink.ground, self.glyphs, frozenset((count,)))

    def _write(self, canvas: Canvas, label: str, spot: Spot, number: int, here: bool) -> None:
        ink = self.ink
        colour = ink.layer(number, len(self._sums))
        canvas.put(
            min(max(round(spot.x) - (1 if spot.left else 0), 0), canvas.width - 1),
            spot.label_y,
            self.glyphs.swatch,
            styled(colour, ink.ground),
        )
        text = middle(label, spot.label_width, self.glyphs.ellipsis)
        x = spot.label_x + (spot.label_width - cell_len(text) if spot.left else 0)
        canvas.put(x, spot.label_y, text, ink.strong if here else ink.dim)
