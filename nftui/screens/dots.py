"""Dots finer than a cell: lines drawn with numpy, handed out cell by cell. Free of any widget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BRAILLE, HALVES, WHOLE = (2, 4), (1, 2), (1, 1)
"""Dots of a cell, across and down."""
BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.int32)
"""Of the dots of a braille pattern, by row and column (Unicode 16, 21.1)."""
FIRST = 0x2800
NO_INK = -1

Points = np.ndarray[tuple[int, int], np.dtype[np.float64]]


class Dots:
    """A grid of dots over so many cells. A cell has the ink of the line drawn through it last."""

    def __init__(self, width: int, height: int, each: tuple[int, int] = BRAILLE) -> None:
        self.width, self.height = max(width, 0), max(height, 0)
        self.across, self.down = each
        self.lit = np.zeros((self.height * self.down, self.width * self.across), np.bool_)
        self.inks = np.full((self.height, self.width), NO_INK, np.int16)

    def line(self, points: Points, ink: int, weight: int = 1) -> None:
        """Light the dots along a line.

        Args:
            points: Shape (points, 2), x and y in cells, so dense that no dot is missed.
            ink: A number.
            weight: The width of the line, in dots: 1 to 3.
        """
        x, y = np.floor(points[:, 0] * self.across).astype(np.int64), np.floor(points[:, 1] * self.down).astype(np.int64)
        for right, lower in ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))[: (1, 3, 5)[min(max(weight, 1), 3) - 1]]:
            i, j = x + right, y + lower
            inside = (i >= 0) & (j >= 0) & (i < self.lit.shape[1]) & (j < self.lit.shape[0])
            i, j = i[inside], j[inside]
            self.lit[j, i] = True
            self.inks[j // self.down, i // self.across] = ink

    def steps(self, points: Sequence[tuple[float, float]]) -> int:
        """Return how many points a line through some needs, so that no dot is missed."""
        ends = np.array(points, np.float64) * (self.across, self.down)
        return int(np.abs(np.diff(ends, axis=0)).max(axis=1).sum() * 1.5) + 2

    def patterns(self) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
        """Return the dots of each cell as bits, shape (height, width): of a braille pattern, or row by row from 1."""
        cells = self.lit.reshape(self.height, self.down, self.width, self.across)
        bits = BITS[: self.down, : self.across]
        if (self.across, self.down) != BRAILLE:
            bits = (1 << np.arange(self.across * self.down, dtype=np.int32)).reshape(self.down, self.across)
        found: np.ndarray[tuple[int, int], np.dtype[np.int32]] = (cells * bits[None, :, None, :]).sum(axis=(1, 3), dtype=np.int32)
        return found
