"""The queue between whoever makes flows and whoever stores them: bounded; it drops and counts when the disk can't follow."""

from __future__ import annotations

import threading
from collections import deque

import polars as pl

QUEUE_FLOWS = 4_000_000
"""Flows that wait for the disk at most, in all processes of one kind; what comes on top is dropped and counted."""


class FlowQueue:
    """Flows on their way to the store, from one thread to another.

    Attributes:
        room: Flows that it may hold.
        waiting: Flows that it holds.
        dropped: Flows that came when there was no room.
    """

    def __init__(self, room: int) -> None:
        """Begin empty."""
        self.room, self.waiting, self.dropped = room, 0, 0
        self._batches: deque[list[pl.DataFrame]] = deque()
        self._guard = threading.Lock()

    def put(self, frames: list[pl.DataFrame]) -> int:
        """Take flows, all of some frames or none; return how many wait now."""
        count = sum(frame.height for frame in frames)
        with self._guard:
            if self.waiting + count > self.room:
                self.dropped += count
            elif count:
                self._batches.append(frames)
                self.waiting += count
            return self.waiting

    def take(self) -> deque[list[pl.DataFrame]]:
        """Return all that waits."""
        with self._guard:
            batches, self._batches, self.waiting = self._batches, deque(), 0
        return batches
