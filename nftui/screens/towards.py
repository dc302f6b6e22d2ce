"""Which of several places lies in a direction: how a cursor moves over a picture."""

from __future__ import annotations

from collections.abc import Sequence

ASPECT = 2.0
"""The height of a cell, in widths of a cell."""
ASIDE = 2.5
"""How much further a step aside counts than one straight ahead."""

Place = tuple[float, float]


def towards(places: Sequence[Place], here: int, right: int, down: int) -> int:
    """Return the place next to one in a direction, itself where there is none.

    Args:
        places: In cells.
        here: From which of them.
        right: 1 to the right, -1 to the left, 0 neither.
        down: The same downwards.
    """
    x, y = places[here]
    best, found = float("inf"), here
    for number, (across, deep) in enumerate(places):
        ahead = (across - x) * right + (deep - y) * down * ASPECT
        aside = abs((deep - y) * ASPECT if right else across - x)
        if number == here or ahead <= 0.25:
            continue
        distance = ahead + aside * ASIDE
        if distance < best:
            best, found = distance, number
    return found
