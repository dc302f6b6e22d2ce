"""What the terminal shows, cell by cell, so that a window which opens or closes sends its own cells and not the whole screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import get_character_cell_size

Codes = tuple[str, str, str]
Cell = tuple[str, Codes]
"""A character, with what combines with it, and the codes of attributes, foreground and background. The second half of a wide
character is empty."""
GAP = 4
"""So many cells that are there already are sent again rather than stepped over: a step takes some seven octets."""


def cells(text: str, codes: Codes) -> Iterator[Cell]:
    """Yield the cells that a text takes."""
    if text.isascii():
        for character in text:
            yield character, codes
        return
    held = ""
    for character in text:
        width = get_character_cell_size(character)
        if width == 0:
            held += character if held else ""
            continue
        if held:
            yield from _whole(held, codes)
        held = character
    if held:
        yield from _whole(held, codes)


def _whole(character: str, codes: Codes) -> Iterator[Cell]:
    yield character, codes
    if get_character_cell_size(character[0]) == 2:
        yield "", codes


class Shown:
    """The cells that the terminal has, as far as they are known. Used by the screen's thread alone."""

    def __init__(self) -> None:
        self._lines: dict[int, list[Cell | None]] = {}

    def forget(self) -> None:
        """Have everything be sent again: the terminal may show something else."""
        self._lines.clear()

    def changes(self, y: int, x: int, wanted: Sequence[Cell]) -> Iterator[tuple[int, int]]:
        """Yield the runs of cells that have to be sent, from and to places in `wanted`, and take them as sent.

        Args:
            y: The line.
            x: The column that `wanted` begins in.
            wanted: What is to be there.
        """
        line = self._lines.setdefault(y, [])
        line += [None] * (x + len(wanted) - len(line))
        differing = [n for n, cell in enumerate(wanted) if cell != line[x + n]]
        for start, end in _joined(differing):
            first, last = start, end
            # What half of a wide character was written over is blank, and what would begin with a half begins before it.
            while first > 0 and (wanted[first][0] == "" or _half(line[x + first])):
                first -= 1
            while last < len(wanted) and (wanted[last][0] == "" or _half(line[x + last])):
                last += 1
            if x + first > 0 and _half(line[x + first]):
                line[x + first - 1] = None
            if x + last < len(line) and _half(line[x + last]):
                line[x + last] = None
            line[x + first : x + last] = wanted[first:last]
            yield first, last


def _half(cell: Cell | None) -> bool:
    return cell is not None and cell[0] == ""


def _joined(places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield runs of places, those with small gaps between them as one."""
    start = end = -1
    for place in places:
        if start < 0:
            start = place
        elif place > end + GAP:
            yield start, end
            start = place
        end = place + 1
    if start >= 0:
        yield start, end
