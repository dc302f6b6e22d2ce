"""Interfaces: what an exporter counts on each of its own, as sFlow's counter samples tell: the measure of its flows.

Source: sFlow version 5, section 5.3, `if_counters`; RFC 2863 for the meaning of each counter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nftui.units import SECOND, rfc3339

MAX_INTERFACES = 4096
"""Interfaces of one exporter."""


@dataclass(slots=True)
class Interface:
    """The counters of one interface.

    Attributes:
        when: Of the sample, microseconds since 1970.
        speed: Bits a second, 0 for not known.
        status: Bit 0: administratively up; bit 1: operationally up.
        counters: `in_octets`, `in_packets`, `in_discards`, `in_errors`, and the same `out`, as far as the agent has them.
        rates: Of the same, a second, between the last two samples; empty before the second.
    """

    when: int
    speed: int
    status: int
    counters: dict[str, int]
    rates: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Interfaces:
    """The interfaces of one exporter, by index.

    Attributes:
        by_index: The latest sample of each.
        changes: How often one was brought up to date.
    """

    by_index: dict[int, Interface] = field(default_factory=dict)
    changes: int = 0

    def update(self, index: int, when: int, speed: int, status: int, counters: Mapping[str, int]) -> bool:
        """Take a sample; return whether there was room. A counter that went back began anew, and gives no rate."""
        before = self.by_index.get(index)
        if before is None and len(self.by_index) >= MAX_INTERFACES:
            return False
        now = Interface(when, speed, status, dict(counters))
        if before is not None:
            seconds = (when - before.when) / SECOND
            if seconds <= 0:
                now.rates = before.rates
            else:
                steps = {name: value - before.counters.get(name, 0) for name, value in now.counters.items()}
                if all(step >= 0 for step in steps.values()):
                    now.rates = {name: round(step / seconds, 3) for name, step in steps.items()}
        self.by_index[index] = now
        self.changes += 1
        return True

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return all of them as JSON-able values, by index as text."""
        return {
            str(index): {
                "sampled": rfc3339(one.when),
                "speed": one.speed,
                "status": one.status,
                **one.counters,
                **{f"{name}_per_s": rate for name, rate in one.rates.items()},
            }
            for index, one in sorted(self.by_index.items())
        }
