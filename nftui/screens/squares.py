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
LEAST_WIDTH, LEAST_HEIGHT = 4, 1
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
        values: Greatest first but for the last, none below 0.
        width: Of the area, in cells.
        height: The same.
    Returns:
        As many rectangles, which cover the area; those of values too small for a cell have none.
    """
    boxes: list[Box] = []
    x, y, left, rest = 0, 0, [value for value in values if value > 0], float(sum(values))
    while left and width > 0 and height > 0:
        across = width >= height * ASPECT  # the strip stands at the left, its rectangles one below the other
        side = height * ASPECT if across else float(width)
        scale = width * height * ASPECT / rest
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


@lru_cache(maxsize=256)
def drawn(values: tuple[int, ...], rest: int, width: int, height: int) -> tuple[tuple[Box, ...], Box | None]:
    """Return rectangles for as many of the values as there is room for, and one for all others together.

    Args:
        values: Greatest first.
        rest: What stands beside them and is never drawn by itself.
        width: Of the area, in cells.
        height: The same.
    Returns:
        The rectangles of the first values; that of what is left, None where nothing is or it would have no cell.
    """
    total = sum(values) + rest
    if total <= 0 or width < 1 or height < 1:
        return (), None
    most = sum(value * width * height >= total * LEAST_WIDTH * LEAST_HEIGHT for value in values)
    # The rest comes last, unless more can be drawn where it comes by its size.
    last, ranked = (_fitting(values, rest, width, height, most, by_size) for by_size in (False, True))
    return ranked if len(ranked[0]) > len(last[0]) else last


def _fitting(
    values: tuple[int, ...], rest: int, width: int, height: int, count: int, by_size: bool
) -> tuple[tuple[Box, ...], Box | None]:
    """Return the rectangles of as many values, `count` at most, as come out large enough, and that of what is left."""
    while True:
        left = rest + sum(values[count:])
        shown = [*values[:count], left] if left else list(values[:count])
        place = sorted(range(len(shown)), key=lambda n: -shown[n] if by_size else 0)
        laid = dict(zip(place, squarified(tuple(shown[n] for n in place), width, height), strict=True))
        boxes = tuple(laid[n] for n in range(count))
        if count <= 1 or all(box.width >= min(LEAST_WIDTH, width) and box.height >= LEAST_HEIGHT for box in boxes):
            return boxes, laid[count] if left and laid[count].area else None
        count -= 1
