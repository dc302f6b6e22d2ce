"""Budgets: work that may be done for whoever sends, so much a second, and some of it at once.

What a datagram costs is up to its sender: a new template, or a layout of its own for few records, takes a hundred times as long as
the flows beside it. Where many ask for more than there is, those come first for whom it is worth most; what is beyond is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.units import SECOND

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]
_SET_BACK_US = 300 * SECOND
"""What is read late is no older than that; a clock may be set back by more."""


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
        elif now < self._at - _SET_BACK_US:
            self._at = now
        return max(int(self._left), 0)

    def press(self, share: float = 10) -> None:
        """Leave no more than that part of what may be spent at once: there is no time."""
        self._left = min(self._left, self.burst / share)

    def spend(self, amount: float) -> None:
        """Take something out, which may be more than there is: that is paid for later."""
        self._left = max(self._left - amount, -self.burst)


SENDERS = (10_000, 3000), (30_000, 8192)
"""Senders (address, domain and port) of blocks: each costs 20 to 30 us a block, besides its flows. This and the following: of newer
exporters, and of settled ones, who may take nearly all of a core, as they may be all there are."""
LAYOUTS = (250, 250), (1500, 1500)
"""Different layouts of data in a block: each costs half a millisecond, besides its flows."""
OPTIONS = (200, 500), (2000, 8000)
"""Sets of options data, and as much again for each 400 octets: 0.1 to 0.2 ms each."""
FIELDS = 8000, 6000
"""Fields of new templates of newer exporters: 3 us each to parse, and 10 more when data comes."""
CUTS = 100, 150
"""Divisions of a block, so that options data holds from its place on: each reads the layouts of one sender anew."""
EACH_FIELDS = 300, 20_000
"""Fields of new templates of one exporter. Beyond that its templates change more often than any exporter's do."""


BACKLOG, MUCH_BACKLOG = 0.15, 0.4
"""Shares of the kernel's buffer: behind a full block so much waits only where the collector falls behind."""
LEAST = 4
"""Things that are paid for in any case."""


class Shares:
    """A budget for newer exporters, and one for settled ones."""

    def __init__(self, newer: tuple[float, float], settled: tuple[float, float]) -> None:
        self.newer, self.settled = Budget(*newer), Budget(*settled)

    def affordable(self, costs: Numbers, settled: Mask, rank: Numbers, now: int) -> Mask:
        """Return what can be paid for, and pay for it.

        Args:
            costs: Shape (things,).
            settled: Shape (things,), whether each is of a settled exporter.
            rank: Shape (things,); the lowest come first, and a few of them are paid for in any case.
            now: Microseconds since 1970.
        """
        fine = np.zeros(len(costs), np.bool_)
        for budget, mine in ((self.newer, ~settled), (self.settled, settled)):
            order = np.flatnonzero(mine)[np.argsort(rank[mine], kind="stable")]
            if len(order):
                number = max(int(np.searchsorted(np.cumsum(costs[order]), budget.left(now), side="right")), LEAST)
                fine[order[:number]] = True
                budget.spend(float(costs[order[:number]].sum()))
        return fine


@dataclass
class Budgets:
    """What a collector spends on all exporters together, beside their flows."""

    senders: Shares = field(default_factory=lambda: Shares(*SENDERS))
    layouts: Shares = field(default_factory=lambda: Shares(*LAYOUTS))
    options: Shares = field(default_factory=lambda: Shares(*OPTIONS))
    fields: Budget = field(default_factory=lambda: Budget(*FIELDS))
    cuts: Budget = field(default_factory=lambda: Budget(*CUTS))

    def press(self) -> None:
        """Spend little on newer exporters for the moment: more datagrams wait in the kernel than one block takes."""
        for budget in (self.fields, self.layouts.newer, self.options.newer, self.cuts):
            budget.press()

    def press_all(self, backlog: float) -> None:
        """Spend little on settled exporters too: the kernel's buffer fills up, and what is beyond is lost to everybody.

        Args:
            backlog: The share of the buffer that is taken.
        """
        harder = 4 if backlog > MUCH_BACKLOG else 1
        for shares, share in ((self.senders, 8), (self.layouts, 30), (self.options, 20)):
            shares.newer.press(share * harder)
            shares.settled.press(share * harder)
