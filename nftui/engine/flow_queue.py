"""The queue between whoever makes flows and whoever stores them: bounded; it drops and counts when the disk can't follow."""

from __future__ import annotations

import threading
from collections import deque

import polars as pl

from nftui.engine import memory

QUEUE_FLOWS, FLOW_OCTETS, SHARE = 4_000_000, 200, 8
"""Flows that wait for the disk at most, in all processes of one kind; what each takes while it waits; and the part of the memory
that they may have. Where the disk refuses them as many wait once more, with the writer."""
LEFT_FREE = 8
"""Part of the room into which flows that had to make room for others don't come."""
NO_ROOM = 5
"""flowEndReason: lack of resources."""


def most_flows() -> int:
    """Return how many flows may wait on this machine, in all processes of one kind; what comes on top is dropped and counted."""
    return min(QUEUE_FLOWS, memory.octets() // SHARE // FLOW_OCTETS)


class FlowQueue:
    """Flows on their way to the store, from one thread to another.

    What ended early, as a table was full, and has one packet, is a flood's nearly always: such flows are dropped first, so that
    others that end meanwhile still find room.

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
        """Take flows, all of some frames or none, but for a flood's where room is scarce; return how many wait now."""
        count = sum(frame.height for frame in frames)
        if self.waiting + count > self.room - self.room // LEFT_FREE:
            frames = [_without_flood(frame) for frame in frames]
        left = sum(frame.height for frame in frames)
        with self._guard:
            if self.waiting + left > self.room:
                left = 0
            elif left:
                self._batches.append(frames)
                self.waiting += left
            self.dropped += count - left
            return self.waiting

    def take(self) -> deque[list[pl.DataFrame]]:
        """Return all that waits."""
        with self._guard:
            batches, self._batches, self.waiting = self._batches, deque(), 0
        return batches


def _without_flood(frame: pl.DataFrame) -> pl.DataFrame:
    if "flow_end_reason" not in frame.columns or "packets" not in frame.columns:
        return frame
    flood = (pl.col("flow_end_reason") == NO_ROOM) & (pl.col("packets") == 1)
    return frame.filter(~flood.fill_null(value=False))
