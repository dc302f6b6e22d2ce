"""Records of one size beside each other, so that a field of all of them is a view with steps of that size.

A record is copied once, as a whole, which takes as long as two or three of its fields taken from where they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.nfdump.columns import Buffer, Octets, Places

MOST_SIZES = 8
"""So many sizes are told apart; records of others are read from where they are."""
LARGEST = 1024
"""Octets of a record that is copied, at most: of larger ones a few fields are less."""


@dataclass(frozen=True, slots=True)
class Rows(Buffer):
    """The octets of records of one size.

    Attributes:
        count: How many records.
        size: Octets of each.
    """

    count: int
    size: int

    def gather(self, places: Places, dtype: str) -> npt.NDArray[Any]:
        """Return a number of each record, as of `Buffer`.

        Places that are as many as the records are the same place in each of them, as no record is asked for twice.
        """
        if len(places) != self.count:
            return Buffer.gather(self, places, dtype)
        view = np.ndarray((self.count,), self.order + dtype, self.octets, int(places[0]), (self.size,))
        return view if view.flags.aligned else view.copy()

    def rows(self, places: Places, width: int) -> Octets:
        """Return some octets of each record, as of `Buffer`."""
        if len(places) != self.count:
            return Buffer.rows(self, places, width)
        return np.ndarray((self.count, width), np.uint8, self.octets, int(places[0]), (self.size, 1)).copy()


def side_by_side(buffer: Buffer, places: Places, sizes: Places) -> Iterator[tuple[Buffer, Places]]:
    """Yield records with those of their size, as far as there are few sizes.

    Args:
        buffer: Where they are.
        places: Where each begins; all of it lies within the octets.
        sizes: Octets of each.
    Yields:
        Buffers, and where records begin in them.
    """
    fit = (places | sizes) & 3 == 0
    fit &= sizes <= LARGEST
    if not fit.all():
        yield buffer, places[~fit]
        places, sizes = places[fit], sizes[fit]
    for _ in range(MOST_SIZES):
        if not len(places):
            return
        size = int(sizes[0])
        same = sizes == size
        if same.all():
            yield _rows(buffer, places, size)
            return
        yield _rows(buffer, places[same], size)
        rest = ~same
        places, sizes = places[rest], sizes[rest]
    if len(places):
        yield buffer, places


def _rows(buffer: Buffer, places: Places, size: int) -> tuple[Rows, Places]:
    words = np.frombuffer(buffer.octets, np.uint32, len(buffer.octets) // 4)
    width, count = size // 4, len(places)
    # The last one twice: what is looked at beside a record is there behind it, too.
    index = np.append(places, places[-1]) >> 2
    copied = np.ndarray((len(words) - width + 1, width), np.uint32, words, strides=(4, 4))[index]
    return Rows(copied.reshape(-1).view(np.uint8), buffer.order, count, size), np.arange(count) * size
