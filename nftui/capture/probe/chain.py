"""Chains: records of a file that each tell their length, found many at a time.

Where a record begins is known only from the one before. So places all over the octets at which a record probably begins are
guessed, and all go on from length to length together, each as far as the next one's guess. A guess holds only when the walk before
it ends there: what is found is exactly the chain from the first record, whatever was guessed. Where a guess was wrong, and where
the octets are few, the walk takes one step for each record, which is some four times slower.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.sets import Integers

SEGMENT = (1 << 14) + 5 * 64
"""Octets from one guess to the next. Not a power of two: the walks go on side by side, and places that are so far apart share the
same few lines of a processor's cache."""
FEWEST = 24
"""With fewer guesses one step for each record takes no longer."""
STEPS = 16
"""Steps of all walks from one look whether they have ended to the next."""
NONE = -1

Guess = Callable[[int, int], int]
"""Takes the bounds within which to look, and returns where a record probably begins, or `NONE`."""


@dataclass(frozen=True, slots=True)
class Chain:
    """How records follow each other.

    Attributes:
        order: `<` or `>`.
        length_at: Where in a record its length stands, of 4 octets.
        beyond: Octets of a record that its length does not count.
        least: Octets that a record has at least, those beyond included; a length that says less counts as that.
    """

    order: str
    length_at: int
    beyond: int
    least: int

    def walk(self, octets: bytearray, first: int, last: int, guess: Guess) -> Integers:
        """Find records.

        Args:
            octets: They lie in it; there are some octets behind `last`.
            first: Where the first begins.
            last: Behind the last octet that may be read.
            guess: Where one may begin.
        Returns:
            Shape (records,), ascending, where those begin of which `least` octets lie before `last`. The last may not be whole.
        """
        guessed = [first]
        for low in range(first + SEGMENT, last - SEGMENT, SEGMENT):
            found = guess(low, low + SEGMENT)
            if found != NONE and found <= last - self.least:
                guessed.append(found)
        if len(guessed) < FEWEST:
            return np.array(self.steps(octets, first, last)[0], np.int64)
        begins = np.array(guessed, np.int64)
        ends = np.append(begins[1:], last - self.least + 1)
        visited = self._together(octets, begins, ends)
        within = visited < ends[:, None]
        landed = visited[np.arange(len(begins)), within.sum(axis=1)]
        if (landed[:-1] == begins[1:]).all():
            return visited[within]
        parts = [row[kept] for row, kept in zip(visited, within, strict=True)]
        return self._joined(octets, last, {begin: number for number, begin in enumerate(guessed)}, parts, landed.tolist())

    def steps(self, octets: bytearray, first: int, last: int, aims: Container[int] = ()) -> tuple[list[int], int]:
        """Find records one by one.

        Args:
            octets: They lie in it.
            first: Where the first begins.
            last: Behind the last octet that may be read.
            aims: Places to stop at.
        Returns:
            Where records begin before the first place that is an aim, and that place, or where the next record would begin.
        """
        found: list[int] = []
        unpack, length_at, beyond, least = struct.Struct(self.order + "I").unpack_from, self.length_at, self.beyond, self.least
        at, stop = first, last - least
        while at <= stop and at not in aims:
            found.append(at)
            at += max(unpack(octets, at + length_at)[0] + beyond, least)
        return found, at

    def _together(self, octets: bytearray, begins: Integers, ends: Integers) -> Integers:
        """Walk from many places; return shape (places, steps) of where each was, until all are at or behind their ends."""
        lengths: npt.NDArray[np.uint32] = np.ndarray((len(octets) - 3,), self.order + "u4", octets, strides=(1,))
        at, stop, rows = begins, int(ends[-1]), list[Integers]()
        while (at < ends).any():
            for _ in range(STEPS):
                rows.append(at)
                far = lengths[at + self.length_at].astype(np.int64)
                far += self.beyond
                if self.beyond < self.least:
                    np.maximum(far, self.least, out=far)
                far += at
                at = np.minimum(far, stop, out=far)
        rows.append(at)
        return np.array(rows).T

    def _joined(self, octets: bytearray, last: int, numbers: dict[int, int], parts: list[Integers], landed: list[int]) -> Integers:
        """Put walks together of which some began where no record does.

        Args:
            octets: They lie in it.
            last: Behind the last octet that may be read.
            numbers: Where each walk began -> its number.
            parts: Where each was, up to the begin of the next.
            landed: Where each was then.
        """
        chain, at = [parts[0]], landed[0]
        while at <= last - self.least:
            number = numbers.get(at)
            if number is None:
                some, at = self.steps(octets, at, last, numbers)
                chain.append(np.array(some, np.int64))
            else:
                chain.append(parts[number])
                at = landed[number]
        return np.concatenate(chain)
