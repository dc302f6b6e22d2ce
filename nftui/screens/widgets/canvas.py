"""A grid of cells to draw on: characters with styles at places, which become the strips of a widget."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nftui.printable import printable

WIDEST = 4096


class Canvas:
    """So many cells, blank at first. What is put outside is left away; a wide character is never cut in half."""

    def __init__(self, width: int, height: int, ground: Style) -> None:
        self.width, self.height, self.ground = max(width, 0), max(height, 0), ground
        self._characters = [[" "] * self.width for _ in range(self.height)]
        self._styles = [[ground] * self.width for _ in range(self.height)]

    def fill(self, x: int, y: int, width: int, height: int, style: Style, character: str = " ") -> None:
        """Fill a rectangle with a character one cell wide."""
        left, right = max(x, 0), min(x + width, self.width)
        for row in range(max(y, 0), min(y + height, self.height)):
            self._free(left, row)
            self._free(right - 1, row)
            self._characters[row][left:right] = [character] * max(right - left, 0)
            self._styles[row][left:right] = [style] * max(right - left, 0)

    def put(self, x: int, y: int, text: str, style: Style, room: int | None = None) -> int:
        """Write a text from anywhere in at most `room` cells; return the cells it took."""
        if not 0 <= y < self.height or x >= self.width:
            return 0
        shown = printable(text, WIDEST if room is None else max(room, 0)) if room != 0 else ""
        place = x
        for character in shown:
            cells = get_character_cell_size(character)
            if not cells:
                if 0 < place <= self.width and place > x:
                    self._characters[y][self._start(place - 1, y)] += character
                continue
            if place + cells > self.width:
                break
            if place >= 0:
                for cell in range(place, place + cells):
                    self._free(cell, y)
                self._characters[y][place] = character
                self._characters[y][place + 1 : place + cells] = [""] * (cells - 1)
                self._styles[y][place : place + cells] = [style] * cells
            place += cells
        return max(place - x, 0)

    def cell(self, x: int, y: int, character: str, style: Style) -> None:
        """Set one cell to a character one cell wide that needs no check."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._free(x, y)
            self._characters[y][x], self._styles[y][x] = character, style

    def cells(self, y: int, places: Sequence[int], characters: Sequence[str], styles: Sequence[Style]) -> None:
        """Set cells of a line, on which no wide character stands yet, to characters one cell wide."""
        row, inks = self._characters[y], self._styles[y]
        for x, character, style in zip(places, characters, styles, strict=True):
            row[x], inks[x] = character, style

    def at(self, x: int, y: int) -> str:
        """Return the character of a cell; empty for the second half of a wide one."""
        return self._characters[y][x]

    def strips(self) -> list[Strip]:
        """Return the lines."""
        return [Strip(_segments(row, styles), self.width) for row, styles in zip(self._characters, self._styles, strict=True)]

    def _start(self, x: int, y: int) -> int:
        return x - 1 if x and self._characters[y][x] == "" else x

    def _free(self, x: int, y: int) -> None:
        """Blank the other half of a wide character that is about to lose one."""
        row = self._characters[y]
        if not 0 <= x < self.width:
            return
        if row[x] == "":
            row[x - 1] = row[x] = " "
        elif x + 1 < self.width and row[x + 1] == "":
            row[x] = row[x + 1] = " "


def _segments(row: Sequence[str], styles: Sequence[Style]) -> list[Segment]:
    segments, start = [], 0
    for x in range(1, len(row) + 1):
        if x == len(row) or styles[x] is not styles[start]:
            segments.append(Segment("".join(row[start:x]), styles[start]))
            start = x
    return segments


def middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Return printable text in at most `width` cells, cut in its middle, wide characters never in half."""
    shown = printable(text, WIDEST)
    if cell_len(shown) <= width:
        return shown
    if width < 5:
        return printable(shown, max(width, 0)) if width > 0 else ""
    return _from(shown, width // 2) + ellipsis + _from(shown[::-1], width - width // 2 - 1)[::-1]


def _from(text: str, width: int) -> str:
    used = 0
    for place, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > width:
            return text[:place]
    return text
