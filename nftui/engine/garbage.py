"""Garbage: Python's search for cycles among all objects, kept away from what can't wait.

With ten thousand exporters a full search takes a quarter of a second, in which the kernel's buffer overflows. What the collector
forgets has no cycles; so a full search is made only when there is little to look at.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (50_000, 50, 1_000_000)
"""Of new objects, and of searches among young ones: the last is never reached (gc.set_threshold)."""
PAUSE_S = 600.0
FEW_EXPORTERS = 500
"""With no more than these a search takes some 20 ms."""


class Garbage:
    """Makes full searches, seldom, and at a good time."""

    def __init__(self) -> None:
        self._due = time.monotonic() + PAUSE_S

    def look(self, exporters: int) -> None:
        """Search, when it is time and there are few exporters."""
        if time.monotonic() >= self._due and exporters <= FEW_EXPORTERS:
            gc.collect()
            self._due = time.monotonic() + PAUSE_S


@contextmanager
def seldom() -> Iterator[None]:
    """Have full searches be made by `Garbage` alone for the length of a block."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
