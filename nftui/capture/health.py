"""Health: what is known of an exporter beside its counters: when it lost something, started, restarted, or fell silent."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from nftui.units import SECOND

QUIET_US = 300 * SECOND
"""An exporter of which nothing came for so long is told to be silent: longer than most send nothing of their own accord."""
RATE_US = 5 * SECOND
"""What rates are averages over, at least."""
STEADY_US = 600 * SECOND
"""An interval of sampling that was met within this time is nothing new: interfaces of one exporter may differ."""
INTERVALS = 16
"""Intervals that are remembered of each word."""
LOST = {1: "flows", 5: "flows", 7: "flows", 9: "datagrams", 10: "records", 1005: "datagrams"}
"""What the sequence numbers of a protocol count, by its number."""


@dataclass(slots=True)
class Health:
    """What is known of one exporter.

    Attributes:
        gaps: How often sequence numbers left something out.
        gap_at: When they did so last, microseconds since 1970; 0 for never.
        lost: What was lost, by what the numbers count (`LOST`); late datagrams are taken off again.
        restarted_at: When it was seen last to begin anew, microseconds since 1970; 0 for never.
        started: When it started, by the uptime of its last header, microseconds since 1970; 0 where that tells none.
        silent: Whether it was told to be silent.
    """

    gaps: int = 0
    gap_at: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    restarted_at: int = 0
    started: int = 0
    silent: bool = False
    _intervals: dict[str, dict[int, int]] = field(default_factory=dict)
    _counted: deque[tuple[int, int, int]] = field(default_factory=deque)
    _rested: bool = False

    def lose(self, version: int, number: int, now: int) -> None:
        """Count what sequence numbers left out; less than nothing where late datagrams made good for it."""
        unit = LOST.get(version, "datagrams")
        self.lost[unit] = max(self.lost[unit] + number, 0)
        if number > 0:
            self.gaps += 1
            self.gap_at = now

    def sampled(self, word: str, interval: int, now: int) -> int:
        """Take note of a sampling interval that held for a flow.

        Args:
            word: Who says so.
            interval: N of 1 in N.
            now: Microseconds since 1970.
        Returns:
            The interval that held before, where this one is a change; else 0.
        """
        known = self._intervals.setdefault(word, {})
        before = next(reversed(known), 0)
        seen = known.pop(interval, None)
        known[interval] = now
        if len(known) > INTERVALS:
            del known[next(iter(known))]
        return before if before != interval and (seen is None or now - seen > STEADY_US) else 0

    def rates(self, now: int, flows: int, datagrams: int, since: int) -> tuple[float, float]:
        """Return flows and datagrams a second, over the last seconds.

        Args:
            now: Microseconds since 1970.
            flows: Counted so far.
            datagrams: Counted so far.
            since: When counting began, microseconds since 1970.
        """
        counted = self._counted
        if counted and counted[-1][0] > now:
            # The clock was set back.
            counted.clear()
        if not counted:
            counted.append((min(since, now), 0, 0))
        elif self._rested:
            # Nobody looked while nothing came: nothing had come until just now.
            then, *before = counted[-1]
            counted.clear()
            counted.append((max(then, now - RATE_US), before[0], before[1]))
        while len(counted) > 1 and counted[1][0] <= now - RATE_US:
            counted.popleft()
        then, flows_then, datagrams_then = counted[0]
        seconds = max(now - then, SECOND) / SECOND
        if now - counted[-1][0] >= SECOND // 2:
            counted.append((now, flows, datagrams))
        self._rested = (flows, datagrams) == (flows_then, datagrams_then)
        return round((flows - flows_then) / seconds, 1), round((datagrams - datagrams_then) / seconds, 1)
