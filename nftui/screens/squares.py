"""Squarified rectangles in whole cells: the geometry of a treemap, free of any widget.

Source: Bruls, Huizing, van Wijk, "Squarified treemaps" (2000). Each strip is rounded to whole cells within what the strips before
it left over, and each rectangle within its strip, so that the rectangles cover the area without a gap and rounding doesn't add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

ASPECT = 2.0
"""The height of a cell, in widths of a cell."""
FLAT, SMALL = 12.0, 90
"""The same for rectangles of fewer cells than that: squares of so few are too narrow for a name, so flat ones are made."""
LEAST_WIDTH, LEAST_HEIGHT = 6, 1
"""Of a rectangle that is drawn by itself."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of cells."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Its cells."""
        return self.width * self.height

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre, in cells."""
        return self.x + self.width / 2, self.y + self.height / 2


@lru_cache(maxsize=256)
def squarified(values: tuple[int, ...], width: int, height: int) -> tuple[Box, ...]:
    """Return a rectangle for each value, in proportion.

    Args:
        values: Greatest first but for the last ones, none below 0.
        width: Of the area, in cells.
        height: The same.
    Returns:
        As many rectangles, which cover the area; those of values too small for a cell have none.
    """
    boxes: list[Box] = []
    x, y, left, rest = 0, 0, [value for value in values if value > 0], float(sum(values))
    while left and width > 0 and height > 0:
        aspect = ASPECT if left[0] * width * height >= SMALL * rest else FLAT
        across = width >= height * aspect  # the strip stands at the left, its rectangles one below the other
        side = height * aspect if across else float(width)
        scale = width * height * aspect / rest
        count = _strip(left, scale, side)
        taken = sum(left[:count])
        whole = width if across else height
        thick = whole if count == len(left) else min(max(round(whole * taken / rest), 0), whole)
        for start, length in _cut(left[:count], height if across else width):
            boxes.append(Box(x, y + start, thick, length) if across else Box(x + start, y, length, thick))
        x, y, width, height = (x + thick, y, width - thick, height) if across else (x, y + thick, width, height - thick)
        left, rest = left[count:], rest - taken
    return (*boxes, *[Box(x, y, 0, 0)] * (len(values) - len(boxes)))


def _strip(values: Sequence[int], scale: float, side: float) -> int:
    """Return how many of the values, from the first, make a strip of the squarest rectangles."""
    total, best, count = 0.0, float("inf"), 0
    for value in values:
        total += value * scale
        thick = total / side
        worst = max(thick * side / (value * scale) * thick / side, values[0] * scale / thick / thick)
        if worst > best:
            break
        best, count = worst, count + 1
    return max(count, 1)


def _cut(values: Sequence[int], length: int) -> list[tuple[int, int]]:
    """Cut a length into whole pieces in proportion; return start and length of each."""
    total, passed, start, pieces = sum(values), 0, 0, []
    for value in values:
        passed += value
        end = round(length * passed / total)
        pieces.append((start, end - start))
        start = end
    return pieces


@dataclass(frozen=True, slots=True)
class Layout:
    """Where portions are drawn.

    Attributes:
        boxes: Of the first values, as many as there is room for.
        other: Of what has no value of its own; None where that is nothing, or too small.
        rest: Of all that is left; None where nothing is, or it would have no cell.
    """

    boxes: tuple[Box, ...] = ()
    other: Box | None = None
    rest: Box | None = None

    @property
    def everything(self) -> tuple[Box, ...]:
        """All rectangles."""
        return (*self.boxes, *(box for box in (self.other, self.rest) if box is not None))


@lru_cache(maxsize=256)
def drawn(values: tuple[int, ...], rest: int, width: int, height: int, other: int = 0) -> Layout:
    """Return rectangles for as many of the values as there is room for, and one for all that are too small.

    Args:
        values: Greatest first.
        rest: What stands beside them and is never drawn by itself.
        width: Of the area, in cells.
        height: The same.
        other: What stands beside them and is drawn by itself, where it is large enough.
    """
    total = sum(values) + rest + other
    if total <= 0 or width < 1 or height < 1:
        return Layout()
    enough = LEAST_WIDTH * LEAST_HEIGHT * total / (width * height)
    most = sum(value >= enough for value in values)
    if other < enough:
        rest, other = rest + other, 0
    # What is left comes last, unless more can be drawn where it comes by its size.
    last, ranked = (_fitting(values, (other, rest), width, height, most, by_size) for by_size in (False, True))
    return ranked if len(ranked.boxes) > len(last.boxes) else last


def _fitting(values: tuple[int, ...], beside: tuple[int, int], width: int, height: int, count: int, by_size: bool) -> Layout:
    """Return the rectangles of as many values, `count` at most, as come out large enough, and those of what is left."""
    other, rest = beside
    while True:
        shown = [*values[:count], other, rest + sum(values[count:])]
        place = sorted(range(len(shown)), key=lambda n: (not shown[n], -shown[n] if by_size else n))
        laid = dict(zip(place, squarified(tuple(shown[n] for n in place), width, height), strict=True))
        boxes = tuple(laid[n] for n in range(count))
        if count <= 1 or all(box.width >= min(LEAST_WIDTH, width) and box.height >= LEAST_HEIGHT for box in boxes):
            beside_them = (laid[n] if shown[n] and laid[n].area else None for n in (count, count + 1))
            return Layout(boxes, *beside_them)
        count -= 1
