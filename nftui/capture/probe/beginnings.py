"""Beginnings: when connections began, by the kernel's number for them, where the kernel itself keeps no times."""

from __future__ import annotations

import numpy as np

from nftui.capture.sets import Integers

PLACES = 1 << 20
TRIES = 8
_STEP = 0x9E3779B1
"""From one place where a connection may be to the next: far, as places side by side fill up together."""


class Beginnings:
    """A table of fixed size. What finds no place in it takes that of another, whose beginning is not known any more then.

    The numbers are hashes with a secret of the kernel's, so nobody can choose them.
    """

    def __init__(self, places: int = PLACES) -> None:
        """Begin with none.

        Args:
            places: A power of two.
        """
        self._mask = places - 1
        self._numbers = np.zeros(places, np.int64)
        self._times = np.zeros(places, np.int64)

    def note(self, numbers: Integers, time: int) -> None:
        """Remember that connections began.

        Args:
            numbers: Shape (connections,), above 0.
            time: When, microseconds since 1970.
        """
        left = numbers
        for step in range(TRIES):
            at = self._at(left, step)
            free = self._numbers[at] == 0
            self._numbers[at[free]] = left[free]
            placed = self._numbers[at] == left
            self._times[at[placed]] = time
            left = left[~placed]
            if not len(left):
                return
        at = self._at(left, 0)
        self._numbers[at], self._times[at] = left, time

    def of(self, numbers: Integers, *, forget: bool) -> Integers:
        """Return when connections began, 0 where that is not known.

        Args:
            numbers: Shape (connections,).
            forget: Whether they have ended, and need no place any more.
        """
        found = np.zeros(len(numbers), np.int64)
        for step in range(TRIES):
            at = self._at(numbers, step)
            here = (self._numbers[at] == numbers) & (numbers > 0)
            found[here] = self._times[at[here]]
            if forget:
                self._numbers[at[here]] = 0
        return found

    def _at(self, numbers: Integers, step: int) -> Integers:
        return (numbers + step * _STEP) & self._mask
