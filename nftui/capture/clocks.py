"""Clocks: how far an exporter's clock is off, and how late its flows come.

The clock is measured by its headers: receipt less export time, the least of a block, as a datagram may be late but never early. The
watermark is how long after their start 99 of 100 flows are exported: before it has passed, a sum is still to grow.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nftui.units import SECOND

STEADY_US = 2 * SECOND
"""A skew is the same while it lies this close: headers tell whole seconds."""
STEADY_FOR_US = 5 * SECOND
"""How long a skew has to stay the same before it is one of the clock, and no delay."""
BACKLOG_US = 3600 * SECOND
"""No exporter holds datagrams back for longer."""
LAG_EDGES = np.array([0, *(int(SECOND * 2 ** (step / 4)) for step in range(70))], np.int64)
"""Edges of the histogram of lags, microseconds: a quarter of an octave apart, to some two days."""
WATERMARK_SHARE = 0.99
FORGET_AT = 20_000
"""Flows after which what was counted before weighs half, so that the watermark follows the exporter's timeouts."""
SAMPLED = 256
"""Flows of a frame that are looked at."""


@dataclass
class Clock:
    """The clock of one observation domain.

    Attributes:
        skew: Microseconds from export to receipt, as last measured; None before that, or without an export time.
        correction: Microseconds to be added to exported times; 0 while the skew is within the threshold.
        candidate: The skew that has been measured since `since` (microseconds of receipt), within `STEADY_US`; not trusted yet.
    """

    skew: int | None = None
    correction: int = 0
    candidate: int | None = None
    since: int = 0

    def measure(self, skew: int, threshold: int | None, now: int) -> bool:
        """Take a measurement.

        A clock that is off stays so, while what an exporter sends late, after an outage for one, comes ever less late. So a skew
        has to be steady; but nothing is sent before its time, and little more than an hour after it.

        Args:
            skew: The least of some datagrams, microseconds.
            threshold: Microseconds above which times are corrected; None for never.
            now: When they were received, microseconds since 1970.
        Returns:
            Whether the correction changed.
        """
        self.skew = skew
        before = self.correction
        if threshold is None or abs(skew) <= threshold:
            self.correction, self.candidate = 0, None
        elif abs(skew - self.correction) > STEADY_US:
            if self.candidate is None or abs(skew - self.candidate) > STEADY_US:
                self.candidate, self.since = skew, now
            if skew < 0 or skew > BACKLOG_US or now - self.since >= STEADY_FOR_US:
                self.correction = self.candidate
        return self.correction != before


@dataclass
class Watermark:
    """How late flows come: a histogram of export less flow start."""

    counts: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(LAG_EDGES) + 1))

    def add(self, lags: npt.NDArray[np.int64]) -> None:
        """Count flows by their lag, microseconds."""
        places = np.searchsorted(LAG_EDGES, lags, side="left")
        self.counts += np.bincount(places, minlength=len(self.counts))
        if self.counts.sum() > FORGET_AT:
            self.counts /= 2

    def microseconds(self) -> int | None:
        """Return the lag within which 99 of 100 flows came, rounded up to the histogram's next edge; None before the first."""
        total = self.counts.sum()
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self.counts), total * WATERMARK_SHARE))
        return int(LAG_EDGES[min(place, len(LAG_EDGES) - 1)])
