"""Counters by name, of a bounded number of names; and sums of what was counted of several exporters."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # `exporters` counts here.
    from nftui.capture.exporters import Exporter

MAX_REASONS = 64
OTHER = "(other)"
COUNTS = (
    *("datagrams", "octets", "flows", "reverse_flows", "options_records", "sequence_lost", "restarts", "held_back", "released"),
    *("templates", "templates_replaced", "templates_expired"),
)
COUNTERS = ("malformed", "unread", "samples")
"""What is kept under `OTHER` of an exporter that made room."""


def add(counts: Counter[str], key: str, times: int, most: int) -> int:
    """Count in a counter of bounded size; return the new count."""
    if key not in counts and len(counts) >= most:
        key = OTHER
    counts[key] += times
    return counts[key]


def add_counts(total: Exporter, one: Exporter) -> None:
    """Add what was counted of an exporter to a sum."""
    for name in COUNTS:
        setattr(total, name, getattr(total, name) + getattr(one, name))
    for name in COUNTERS:
        for key, times in getattr(one, name).items():
            add(getattr(total, name), key, times, MAX_REASONS)
    total.last_seen = max(total.last_seen, one.last_seen)
