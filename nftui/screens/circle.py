"""Circles in cells and dots: the geometry of a donut and of a ring of chords, free of any widget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import pi

import numpy as np

HOLE = 0.56
"""The radius of a donut's hole, in radii of the donut."""
NOTHING = -1
Grid = np.ndarray[tuple[int, int], np.dtype[np.int16]]


@lru_cache(maxsize=64)
def donut(values: tuple[int, ...], width: int, height: int, across: float = 1.0) -> Grid:
    """Return which slice lies at each point of a grid, clockwise from the top.

    Args:
        values: Of the slices, in their order, none below 0.
        width: Points across.
        height: Points down.
        across: The width of a point, in heights of a point.
    Returns:
        Shape (height, width): the number of the slice, `NOTHING` outside and in the hole.
    """
    grid = np.full((max(height, 0), max(width, 0)), NOTHING, np.int16)
    total = sum(values)
    radius = min(width * across, height) / 2
    if total <= 0 or radius < 1:
        return grid
    x = ((np.arange(width) + 0.5) - width / 2) * across
    y = (np.arange(height) + 0.5) - height / 2
    distance = np.hypot(x[None, :], y[:, None])
    turn = (np.arctan2(x[None, :], -y[:, None]) / (2 * pi)) % 1.0
    ends = np.cumsum(np.array(values, np.float64)) / total
    place = np.minimum(np.searchsorted(ends, turn, "right"), len(values) - 1)
    ring = (distance <= radius) & (distance >= radius * HOLE)
    grid[ring] = place[ring]
    return grid


@dataclass(frozen=True, slots=True)
class Spot:
    """An element on a ring.

    Attributes:
        x: Of the point on the ring, in cells. Likewise `y`.
        label_x: Where its label begins, in cells; its row is `label_y`.
        label_width: Cells that it may take.
        left: Whether the label ends at the ring instead of beginning there.
    """

    x: float
    y: float
    label_x: int
    label_y: int
    label_width: int
    left: bool


@lru_cache(maxsize=64)
def ring(count: int, width: int, height: int, label: int) -> tuple[Spot, ...]:
    """Return where the elements of a ring stand, clockwise from the top: half of them at the right, one a row, half at the left.

    Args:
        count: Elements wanted.
        width: Of the picture, in cells.
        height: The same.
        label: Cells that a label wants.
    Returns:
        Of as many as have a row of their own.
    """
    count = min(count, 2 * height)
    label = max(min(label, (width - 8) // 2), 0)
    radius_x = max(min((width - 2 * label - 4) / 2, height * 1.05), 1.0)
    middle = width / 2
    spots = []
    right = (count + 1) // 2
    for number in range(count):
        at_right = number < right
        side, place = (right, number) if at_right else (count - right, count - 1 - number)
        row = min(round((place + 0.5) * height / side - 0.5), height - 1) if side > 1 else (height - 1) // 2
        y = row + 0.5
        deep = (y - height / 2) / (height / 2)
        across = max(1.0 - deep * deep, 0.0) ** 0.5 * radius_x
        x = middle + across if at_right else middle - across
        start = round(x) + 2 if at_right else max(round(x) - 2 - label, 0)
        room = min(label, width - start) if at_right else min(label, round(x) - 2 - start)
        spots.append(Spot(x, y, start, row, max(room, 0), not at_right))
    return tuple(spots)


Curve = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def curve(points: Sequence[tuple[float, float]], steps: int) -> Curve:
    """Return points of the Bézier curve of three or four control points, shape (steps, 2)."""
    t = np.linspace(0.0, 1.0, max(steps, 2))[:, None]
    p = np.array(points, np.float64)
    found: Curve
    if len(points) == 3:
        found = (1 - t) ** 2 * p[0] + 2 * t * (1 - t) * p[1] + t**2 * p[2]
    else:
        found = (1 - t) ** 3 * p[0] + 3 * t * (1 - t) ** 2 * p[1] + 3 * t**2 * (1 - t) * p[2] + t**3 * p[3]
    return found
