"""Metering: the loop that takes packets of some sources, and hands on the flows that have ended."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Sequence

import polars as pl

from nftui.engine.flow_sources import FlowSource
from nftui.engine.packet_source import PacketSource

WAIT_MS = 100
"""How long it is waited for packets, so that flows end, and interfaces are looked for, when none come."""
EXPIRE_S = 0.25
"""Between two looks for flows that have ended."""
STUCK_S = 5.0
"""After which it is said that packets are not looked at."""
LOG_S = 20.0
"""Between two lines of the log about what went wrong."""
log = logging.getLogger(__name__)


class Metering:
    """Some sources, taken from in turn by whoever calls `run`.

    Attributes:
        failed: How often packets or flows could not be worked on.
    """

    def __init__(
        self, sources: Sequence[FlowSource], hand_on: Callable[[list[pl.DataFrame]], object], tick: Callable[[], object] = bool
    ) -> None:
        """Prepare.

        Args:
            sources: What flows come from.
            hand_on: Takes flows that have ended.
            tick: Called some times a second.
        """
        self._sources, self._hand_on, self._tick = sources, hand_on, tick
        self._logged = -LOG_S
        self._stopping = False
        self._turned = 0.0
        self.failed = 0

    def entries(self) -> list[PacketSource]:
        """Return what the status says of each source; another thread may call it, and hears when this one goes round no more."""
        now = time.time_ns() // 1000
        found = [source.entry(now) for source in self._sources]
        stuck = time.monotonic() - self._turned if self._turned else 0.0
        if stuck > STUCK_S:
            for entry in found:
                entry.problem = entry.problem or f"its packets have not been looked at for {stuck:.0f} s"
        return found

    def stop(self) -> None:
        """Have `run` finish; it takes no lock, so a signal handler may call it."""
        self._stopping = True

    def run(self, ending: Callable[[], object] = bool) -> None:
        """Take packets until `stop`, or until all sources are over; then hand on what is left.

        Args:
            ending: Called once when no more are taken, before what is left is handed on.
        """
        due = 0.0
        more: set[FlowSource] = set()
        while not self._stopping and not all(source.over for source in self._sources):
            ready = self._ready(0 if more else WAIT_MS)
            now = self._turned = time.monotonic()
            more = {source for source in self._sources if (source in more or source in ready) and self._safely(source, source.take)}
            if now >= due:
                due = now + EXPIRE_S
                moment = time.time_ns() // 1000
                for source in self._sources:
                    if source not in ready:
                        # One that is not open, or whose interface is gone, is looked at too.
                        self._safely(source, source.take)
                    self._expire(source, moment)
                self._tick()
        self._turned = 0.0
        ending()
        moment = time.time_ns() // 1000
        for source in self._sources:
            self._safely(source, lambda source=source: self._last(source, moment))  # type: ignore[misc]

    def close(self) -> None:
        """Close all sources."""
        for source in self._sources:
            source.close()

    def _ready(self, timeout_ms: int) -> set[FlowSource]:
        poll, by_handle = select.poll(), {}
        for source in self._sources:
            for handle in source.handles():
                by_handle[handle] = source
                poll.register(handle, select.POLLIN)
        return {by_handle[handle] for handle, _ in poll.poll(timeout_ms)}

    def _expire(self, source: FlowSource, moment: int) -> None:
        self._safely(source, lambda: self._handed(source.flows(moment)))

    def _last(self, source: FlowSource, moment: int) -> bool:
        while source.take():
            pass
        return self._handed(source.rest(moment))

    def _handed(self, frames: list[pl.DataFrame]) -> bool:
        if frames:
            self._hand_on(frames)
        return False

    def _safely(self, source: FlowSource, work: Callable[[], bool]) -> bool:
        """Do some work; what goes wrong is counted, and stops nothing."""
        try:
            return work()
        except Exception:
            self.failed += 1
            if time.monotonic() - self._logged >= LOG_S:
                self._logged = time.monotonic()
                log.exception("probe %s", source.name)
            return False
