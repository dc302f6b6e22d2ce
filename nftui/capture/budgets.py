"""Budgets: work that may be done for whoever sends, so much a second, and some of it at once.

What a datagram costs is up to its sender: a new template, or a layout of its own for few records, takes a hundred times as long as
the flows beside it. Where many ask for more than there is, those come first for whom it is worth most; what is beyond is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nftui.units import SECOND


class Budget:
    """An amount that grows again by the second, up to what may be spent at once."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        """Begin with all that may be spent at once, `burst`; `rate` comes back each second."""
        self.rate, self.burst = rate, burst
        self._left, self._at = float(burst), 0

    def left(self, now: int) -> int:
        """Return what may be spent; `now` in microseconds since 1970."""
        if now > self._at:
            self._left = min(self.burst, self._left + (now - self._at) * self.rate / SECOND)
        self._at = now
        return max(int(self._left), 0)

    def spend(self, amount: float) -> None:
        """Take something out, which may be more than there is: that is paid for later."""
        self._left = max(self._left - amount, -self.burst)


SENDERS = 20_000, 8192
"""Senders (address, domain and port) of blocks: each costs 20 to 30 us a block, besides its flows."""
FIELDS = 15_000, 20_000
"""Fields of new templates: 3 us each to parse, and 10 more when data comes."""
LAYOUTS = 600, 800
"""Different layouts of data in a block: each costs half a millisecond, besides its flows."""
OPTIONS = 1500, 4000
"""Sets of options data: 0.1 ms each."""
CUTS = 150, 300
"""Divisions of a block, so that options data holds from its place on: each reads the layouts of one sender anew."""
EACH_FIELDS = 1000, 20_000
"""Fields of new templates of one exporter. Beyond that its templates change more often than any exporter's do."""


@dataclass
class Budgets:
    """What a collector spends on all exporters together, beside their flows."""

    senders: Budget = field(default_factory=lambda: Budget(*SENDERS))
    fields: Budget = field(default_factory=lambda: Budget(*FIELDS))
    layouts: Budget = field(default_factory=lambda: Budget(*LAYOUTS))
    options: Budget = field(default_factory=lambda: Budget(*OPTIONS))
    cuts: Budget = field(default_factory=lambda: Budget(*CUTS))
