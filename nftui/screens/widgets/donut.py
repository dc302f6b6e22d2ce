"""Portions as slices of a donut, in half blocks; in letters where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

from rich.cells import cell_len
from textual.strip import Strip

from nftui.screens.circle import HOLE, NOTHING, donut
from nftui.screens.depth import Depth
from nftui.screens.widgets.canvas import Canvas, middle
from nftui.screens.widgets.painted import Painted
from nftui.screens.widgets.picture import styled

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Slice:
    """A portion: its name, its value, and its place among the series colours; less than 0 for the colour of others."""

    label: str
    value: int
    rank: int

    @property
    def letter(self) -> str:
        """What tells it apart where colours don't."""
        return "." if self.rank < 0 else LETTERS[self.rank % len(LETTERS)]


class Donut(Painted):
    """Slices clockwise from the top, with words in the middle."""

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._slices: tuple[Slice, ...] = ()
        self._centre: tuple[str, ...] = ()

    def show(self, slices: Sequence[Slice], centre: Sequence[str] = ()) -> None:
        """Replace the slices, and the lines in the middle, the first of which is the strongest."""
        self._slices, self._centre = tuple(slices), tuple(centre)
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines of the donut."""
        ink = self.ink
        canvas = Canvas(width, height, styled(ink.ground, ink.ground))
        values = tuple(max(each.value, 0) for each in self._slices)
        if self.glyphs.rising.isascii() or ink.depth is Depth.NONE:
            self._in_letters(canvas, values)
        else:
            self._in_blocks(canvas, values)
        self._words(canvas)
        return canvas.strips()

    def _colours(self) -> list[str]:
        ink = self.ink
        return [ink.other if each.rank < 0 else ink.layer(each.rank, each.rank + 1) for each in self._slices]

    def _in_blocks(self, canvas: Canvas, values: tuple[int, ...]) -> None:
        """Draw two points a cell: the upper is the ground of a half block, the lower its colour."""
        grid = donut(values, canvas.width, canvas.height * 2)
        colours = [*self._colours(), self.ink.ground]  # NOTHING is -1: the last
        half = self.glyphs.rising[len(self.glyphs.rising) // 2]
        for y in range(canvas.height):
            upper, lower = grid[2 * y].tolist(), grid[2 * y + 1].tolist()
            for x, (above, below) in enumerate(zip(upper, lower, strict=True)):
                if below != NOTHING:
                    canvas.cell(x, y, half, styled(colours[below], colours[above]))
                elif above != NOTHING:
                    canvas.cell(x, y, self.glyphs.upper, styled(colours[above], self.ink.ground))
        self._letters(canvas, values, colours)

    def _letters(self, canvas: Canvas, values: tuple[int, ...], colours: list[str]) -> None:
        """Write its letter into each slice that is large enough."""
        total, passed = sum(values), 0
        radius = min(canvas.width, canvas.height * 2) / 2 * (1 + HOLE) / 2
        for number, value in enumerate(values):
            turn = (passed + value / 2) / max(total, 1) * 2 * pi
            passed += value
            if not total or value / total * 2 * pi * radius < 4:
                continue
            x, y = int(canvas.width / 2 + sin(turn) * radius), int((canvas.height - cos(turn) * radius) / 2)
            if 0 <= x < canvas.width and 0 <= y < canvas.height:
                canvas.cell(x, y, self._slices[number].letter, styled(self.ink.on(colours[number]), colours[number], True))

    def _in_letters(self, canvas: Canvas, values: tuple[int, ...]) -> None:
        grid, colours = donut(values, canvas.width, canvas.height, 0.5), self._colours()
        for y, row in enumerate(grid.tolist()):
            for x, number in enumerate(row):
                if number != NOTHING:
                    canvas.cell(x, y, self._slices[number].letter, styled(colours[number], self.ink.ground))

    def _words(self, canvas: Canvas) -> None:
        across = int(min(canvas.width, canvas.height * 2) * HOLE) - 1
        deep = across // 2
        lines = self._centre[: max(deep, 0)]
        for number, line in enumerate(lines):
            shown = middle(line, across)
            y = (canvas.height - len(lines)) // 2 + number
            canvas.put((canvas.width - cell_len(shown)) // 2, y, shown, self.ink.dim if number else self.ink.strong)
