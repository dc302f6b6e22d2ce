"""Clocks: how far an exporter's clock is off, and how late its flows come.

The clock is measured by its headers: receipt less export time, the least of a block, as a datagram may be late but never early. The
watermark is how long after its start 99 of 100 flows have arrived: before it has passed, a sum is still to grow.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nftui.units import SECOND

STEADY_US = 2 * SECOND
"""A correction stays while the measured skew lies this close to it: headers tell whole seconds."""
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
    """

    skew: int | None = None
    correction: int = 0

    def measure(self, skew: int, threshold: int | None) -> bool:
        """Take a measurement.

        Args:
            skew: The least of some datagrams, microseconds.
            threshold: Microseconds above which times are corrected; None for never.
        Returns:
            Whether the correction changed.
        """
        self.skew = skew
        before = self.correction
        if threshold is None or abs(skew) <= threshold:
            self.correction = 0
        elif abs(skew - self.correction) > STEADY_US:
            self.correction = skew
        return self.correction != before


@dataclass
class Watermark:
    """How late flows come: a histogram of receipt less flow start."""

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
