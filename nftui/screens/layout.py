"""Where the nodes of a traffic map stand, and the lines between them: geometry in cells, free of any widget.

Nodes stand in the slots of a grid whose every other column is half a slot lower, so that a line between two columns passes between
the labels of those in the middle. Slots are given out so that those who exchange much stand close together. A node keeps its slot
for as long as the grid is the same; even one that was away for a while gets its own back, unless somebody needed it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import log

import numpy as np

from nftui.screens.circle import Curve, curve

ASPECT = 2.0
"""The height of a cell, in widths of a cell."""
LEAST_WIDTH, LEAST_HEIGHT = 12, 1
"""Of a slot, in cells."""
GOOD_WIDTH, GOOD_HEIGHT = 24, 4
"""What is more than this is of little use."""
GOOD_SHAPE = 4.0
"""Cells of a slot across for each one down, where there is room to choose."""
SAME_COLUMN = 1.6
"""How much further two nodes of one column count as apart: the line between them has to go around."""
SWAPS, SWAPPED = 200, 80
"""Improvements of a layout at most, and the slots up to which they are looked for."""

Weights = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Grid:
    """Slots over an area: so many columns and rows."""

    columns: int
    rows: int
    width: int
    height: int

    @property
    def count(self) -> int:
        """Slots."""
        return self.columns * self.rows

    @property
    def slot_width(self) -> float:
        """Cells of a slot across."""
        return self.width / self.columns

    @property
    def slot_height(self) -> float:
        """Cells of a slot down."""
        return self.height / (self.rows + (0.5 if self.columns > 1 and self.height >= 2 * self.rows else 0))

    def place(self, slot: int) -> tuple[int, int]:
        """Return the cell of the middle of a slot."""
        column, row = divmod(slot, self.rows)
        lower = 0.5 if column % 2 and self.columns > 1 and self.height >= 2 * self.rows else 0.0
        y = int((row + 0.5 + lower) * self.slot_height)
        return int((column + 0.5) * self.slot_width), min(y, self.height - 1)


@lru_cache(maxsize=8)
def distances_of(grid: Grid) -> Weights:
    """Return how far the slots of a grid are apart, shape (slots, slots)."""
    places = np.array([grid.place(slot) for slot in range(grid.count)], np.float64)
    across = np.abs(places[:, None, 0] - places[None, :, 0])
    down = np.abs(places[:, None, 1] - places[None, :, 1]) * ASPECT
    return np.asarray(np.hypot(across, down) * np.where(across == 0, SAME_COLUMN, 1.0), np.float64)


def grid_for(count: int, width: int, height: int) -> Grid:
    """Return the grid that gives so many nodes most room; fewer slots than nodes where there is no room for all."""
    best, found = float("-inf"), Grid(max(width // LEAST_WIDTH, 1), max(height // LEAST_HEIGHT, 1), width, height)
    for columns in range(1, max(width // LEAST_WIDTH, 1) + 1):
        grid = Grid(columns, max(-(-count // columns), 1), width, height)
        if grid.rows > height // LEAST_HEIGHT:
            continue
        room = min(grid.slot_width / GOOD_WIDTH, 1.0) * min(grid.slot_height / GOOD_HEIGHT, 1.0)
        room -= 0.05 * abs(log(grid.slot_width / grid.slot_height / GOOD_SHAPE))
        if room > best:
            best, found = room, grid
    return found


@dataclass
class Places:
    """Who stands where. Kept from one answer to the next."""

    grid: Grid = Grid(1, 1, 1, 1)
    slots: dict[Hashable, int] = field(default_factory=dict)
    """Of all that were seen on this grid, also of those that are away."""

    def arrange(
        self, nodes: Sequence[Hashable], weights: Weights, width: int, height: int, anew: bool = False, fixed: int = 0
    ) -> list[int | None]:
        """Give each node a slot.

        Args:
            nodes: The greatest first: they come first where slots are few.
            weights: What they exchange, shape (nodes, nodes), symmetric, diagonal 0.
            width: Of the area, in cells.
            height: The same.
            anew: Whether all places are given out anew.
            fixed: So many of the first keep theirs even then, as nearly as the grid has it.
        Returns:
            The slot of each node; None where there is none left.
        """
        grid = grid_for(len(nodes), width, height)
        resized = (self.grid.width, self.grid.height) != (width, height)
        # A short and wide area has more slots than a few nodes want in any case.
        sparse = self.grid.count > 3 * len(nodes) + 4 and self.grid != grid
        fresh = anew or resized or sparse or len(nodes) > self.grid.count
        if fresh:
            self._begin(grid, nodes[:fixed])
        distances = distances_of(self.grid)
        shown = nodes[: self.grid.count]
        taken = {self.slots[node]: number for number, node in enumerate(shown) if node in self.slots}
        for number, node in enumerate(shown):
            if node not in self.slots:
                slot = self._free(number, taken, weights, distances)
                self._drop(slot)
                self.slots[node], taken[slot] = slot, number
        if fresh and self.grid.count <= SWAPPED:
            self._improve(shown, weights[: len(shown), : len(shown)], distances, fixed)
        return [self.slots[node] if number < len(shown) else None for number, node in enumerate(nodes)]

    def _begin(self, grid: Grid, fixed: Sequence[Hashable]) -> None:
        """Take another grid, where only some nodes have a slot: that which is nearest to the one they had."""
        kept = [(node, self.grid.place(self.slots[node])) for node in fixed if node in self.slots]
        across, down = grid.width / self.grid.width, grid.height / self.grid.height
        self.grid, self.slots = grid, {}
        places = np.array([grid.place(slot) for slot in range(grid.count)], np.float64) * (1, ASPECT)
        for node, (x, y) in kept[: grid.count]:
            far = np.hypot(*(places - (x * across, y * down * ASPECT)).T)
            far[list(self.slots.values())] = np.inf
            self.slots[node] = int(np.argmin(far))

    def _free(self, number: int, taken: dict[int, int], weights: Weights, distances: Weights) -> int:
        """Return the slot nearest to those that a node exchanges with, first among slots that are nobody's."""
        away = {slot for slot in self.slots.values() if slot not in taken}
        free = [slot for slot in range(self.grid.count) if slot not in taken]
        free = [slot for slot in free if slot not in away] or free
        middle = np.abs(
            np.array([self.grid.place(slot) for slot in free]) * (1, ASPECT) - (self.grid.width / 2, self.grid.height / 2 * ASPECT)
        )
        cost = middle.sum(axis=1) * 1e-6
        if taken:
            slots = np.array(list(taken), np.int64)
            cost = (
                cost
                + distances[np.array(free, np.int64)[:, None], slots[None, :]]
                @ weights[number, np.array(list(taken.values()), np.int64)]
            )
        return free[int(np.argmin(cost))]

    def _drop(self, slot: int) -> None:
        """Forget who had a slot and is away."""
        for node in [node for node, theirs in self.slots.items() if theirs == slot]:
            del self.slots[node]

    def _improve(self, nodes: Sequence[Hashable], weights: Weights, distances: Weights, fixed: int) -> None:
        """Change two slots at a time as long as that shortens the lines: the best change first, and none of the fixed nodes."""
        count = self.grid.count
        w = np.zeros((count, count))
        w[: len(nodes), : len(nodes)] = weights
        free = [slot for slot in range(count) if slot not in {self.slots[node] for node in nodes}]
        order = np.array([self.slots[node] for node in nodes] + free, np.int64)
        for _ in range(SWAPS):
            d = distances[np.ix_(order, order)]
            product = w @ d
            own = np.diag(product)
            # By how much the lines become longer when two change their slots: the quadratic assignment problem.
            change = product + product.T - own[:, None] - own[None, :] + 2 * w * d
            change[:fixed] = change[:, :fixed] = 0.0
            best = int(np.argmin(change))
            if change.flat[best] >= -1e-9 * (1 + float(own.sum())):
                break
            first, second = divmod(best, count)
            order[[first, second]] = order[[second, first]]
        for number, node in enumerate(nodes):
            self.slots[node] = int(order[number])


@dataclass(frozen=True, slots=True)
class Stand:
    """A node where it is drawn.

    Attributes:
        x: The first cell of its label. Likewise `y`.
        width: Cells of the label.
        height: Lines of it.
        column: Of the grid.
    """

    x: int
    y: int
    width: int
    height: int
    column: int

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre, in cells."""
        return self.x + self.width / 2, self.y + self.height / 2


def ends(start: Stand, end: Stand, bow: float) -> list[tuple[float, float]]:
    """Return the four control points of a line from one node to another, which leaves and arrives level.

    What one sends leaves above the middle of its label, and what comes back arrives below: so that both can be seen.
    """
    up = -0.25 if start.column <= end.column else 0.25
    y, to_y = start.y + start.height / 2 + up * start.height, end.y + end.height / 2 + up * end.height
    if start.column == end.column:
        side = 1 if start.y <= end.y else -1
        x, to_x = (start.x + start.width, end.x + end.width) if side > 0 else (start.x, end.x)
        return [(x, y), (x + side * bow, y), (to_x + side * bow, to_y), (to_x, to_y)]
    x, to_x = (start.x + start.width, end.x) if start.column < end.column else (start.x, end.x + end.width)
    pull = max(abs(to_x - x) * 0.45, 2.0) * (1 if to_x >= x else -1)
    return [(x, y), (x + pull, y), (to_x - pull, to_y), (to_x, to_y)]


def smooth(points: Sequence[tuple[float, float]], steps: int) -> Curve:
    """Return the points of a line through its control points, shape (steps, 2)."""
    return curve(points, steps)


def corners(points: Sequence[tuple[float, float]], lane: int, width: int) -> list[tuple[int, int]]:
    """Return the cells at which a line of level and upright strokes turns, both ends with them.

    Args:
        points: The control points of the line.
        lane: A number of the line: lines of other numbers go up and down in other columns.
        width: Of the area, in cells.
    """
    (x, y), (bend, _), (_, _), (to_x, to_y) = points
    start, end = (int(x), int(y)), (int(to_x), int(to_y))
    if (bend - x) * (to_x - x) > 0 and abs(to_x - x) > 2:
        room = max(int(min(abs(to_x - x), 12)) - 3, 1)
        turn = end[0] - (2 + lane % room) * (1 if to_x > x else -1)
    else:
        side = 1 if bend >= x else -1
        turn = (max if side > 0 else min)(start[0], end[0]) + side * (2 + lane % 3)
    turn = min(max(turn, 0), width - 1)
    return [start, (turn, start[1]), (turn, end[1]), end]


class Spans:
    """Which cells of lines are taken by labels: so that no two of them overlap."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._taken: dict[int, list[tuple[int, int]]] = {}

    def free(self, x: int, y: int, width: int) -> bool:
        """Tell whether a label fits there."""
        if x < 0 or y < 0 or x + width > self.width or y >= self.height:
            return False
        return all(x + width <= start or x >= end for start, end in self._taken.get(y, ()))

    def take(self, x: int, y: int, width: int) -> None:
        """Take the cells of a label."""
        self._taken.setdefault(y, []).append((x, x + width))
