"""What was made of parts before: partials never change, as parts don't."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import polars as pl

_OVERHEAD = 1000
"""Octets of a frame beside its values, roughly."""


class Partials:
    """The partials used last, up to a number of octets."""

    def __init__(self, octets: int) -> None:
        """Keep at most so many octets, but always the partial made last."""
        self._limit, self._octets = octets, 0
        self._frames: OrderedDict[tuple[Any, ...], tuple[pl.DataFrame, int]] = OrderedDict()

    def get(self, key: tuple[Any, ...]) -> pl.DataFrame | None:
        """Return a partial, or None where it isn't kept any more."""
        entry = self._frames.get(key)
        if entry is None:
            return None
        self._frames.move_to_end(key)
        return entry[0]

    def put(self, key: tuple[Any, ...], frame: pl.DataFrame) -> None:
        """Keep a partial; those not used for longest go for it."""
        self._drop(key)
        size = int(frame.estimated_size()) + _OVERHEAD
        self._frames[key] = (frame, size)
        self._octets += size
        while self._octets > self._limit and len(self._frames) > 1:
            self._drop(next(iter(self._frames)))

    def _drop(self, key: tuple[Any, ...]) -> None:
        entry = self._frames.pop(key, None)
        if entry is not None:
            self._octets -= entry[1]
