"""What was made of parts before: partials never change, as parts don't."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from time import monotonic
from typing import Any

import polars as pl

from nftui.engine.segments import PartName

IDLE_S = 300.0
"""Seconds after which what nobody asked for goes, where others are kept: it is of a question of a while ago."""
_OVERHEAD = 6000
"""Octets of a frame of some columns beside its values, roughly: most of these have one row."""


@dataclass(slots=True)
class _Kept:
    frame: pl.DataFrame
    octets: int
    used: float


class Partials:
    """The partials used last, up to a number of octets; several threads may use them."""

    def __init__(self, octets: int) -> None:
        """Keep at most so many octets, but always the partial made last."""
        self._limit, self._octets, self._lock = octets, 0, threading.Lock()
        self._frames: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()
        # By all of a key but its name: a question that was never asked has nothing to look through.
        self._names: defaultdict[tuple[Any, ...], set[Any]] = defaultdict(set)

    def get(self, key: tuple[Any, ...]) -> pl.DataFrame | None:
        """Return a partial, or None where it isn't kept any more."""
        with self._lock:
            entry = self._frames.get(key)
            if entry is None:
                return None
            self._frames.move_to_end(key)
            entry.used = monotonic()
            return entry.frame

    def of_its_parts(self, key: tuple[Any, ...]) -> list[pl.DataFrame]:
        """Return the partials of the parts that became one, all of them or none.

        Args:
            key: What that one's partial would be known by; its name stands first.
        """
        name, *about = key
        found: list[tuple[Any, ...]] = []
        with self._lock:
            names = list(self._names.get(tuple(about), ()))
        covered = [(one, *about) for one in names if isinstance(one, PartName) and name.covers(one)]
        for one in sorted(covered, key=lambda one: -int(one[0].level)):
            if not any(higher[0].covers(one[0]) for higher in found):
                found.append(one)
        whole = sum(one[0].last - one[0].first + 1 for one in found) == name.last - name.first + 1
        frames = [frame for one in found if (frame := self.get(one)) is not None]
        return frames if whole and len(frames) == len(found) else []

    def put(self, key: tuple[Any, ...], frame: pl.DataFrame) -> None:
        """Keep a partial; those not used for longest go for it."""
        size = int(frame.estimated_size()) + _OVERHEAD
        with self._lock:
            self._drop(key)
            self._frames[key] = _Kept(frame, size, now := monotonic())
            self._names[key[1:]].add(key[0])
            self._octets += size
            while len(self._frames) > 1:
                oldest, kept = next(iter(self._frames.items()))
                if self._octets <= self._limit and now - kept.used < IDLE_S:
                    break
                self._drop(oldest)

    def drop(self, key: tuple[Any, ...]) -> None:
        """Keep a partial no more."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: tuple[Any, ...]) -> None:
        entry = self._frames.pop(key, None)
        if entry is not None:
            self._octets -= entry.octets
            names = self._names[key[1:]]
            names.discard(key[0])
            if not names:
                del self._names[key[1:]]
