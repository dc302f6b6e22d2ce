"""Meter settings: what a configuration says of how packets become flows."""

from __future__ import annotations

import os

from nftui.capture.probe.meter import MeterSettings
from nftui.config import ProbeSettings

ENTRY_OCTETS = 256
"""Memory that a flow takes while it is followed."""
LEAST_ENTRIES, USUAL_ENTRIES = 1 << 16, 1 << 20


def entries_of(settings: ProbeSettings) -> int:
    """Return how many flows are followed at a time on each interface: where nothing is said, in a hundredth of the memory."""
    if settings.entries:
        return settings.entries
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(LEAST_ENTRIES, min(USUAL_ENTRIES, memory // 100 // ENTRY_OCTETS))


def meter_settings(settings: ProbeSettings) -> MeterSettings:
    """Return what a meter is told."""
    return MeterSettings(
        active_s=settings.active,
        inactive_s=settings.inactive,
        entries=entries_of(settings),
        sampling=settings.sampling,
        bidirectional=settings.biflow,
        tunnels=settings.inner,
        carry_fragments=settings.carry_fragments,
    )
