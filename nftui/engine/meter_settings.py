"""Meter settings: what a configuration says of how packets become flows, and where it says nothing, the memory."""

from __future__ import annotations

from nftui.capture.probe.meter import MeterSettings
from nftui.config import ProbeSettings, size
from nftui.engine import memory

ENTRY_OCTETS = 256
"""Memory that a flow takes while it is followed."""
LEAST_ENTRIES, USUAL_ENTRIES = 1 << 16, 1 << 20
LEAST_RING, USUAL_RING, RING_SHARE = 32_000_000, 128_000_000, 128
"""Octets of a ring, and the part of the memory that one takes."""


def entries_of(settings: ProbeSettings) -> int:
    """Return how many flows are followed at a time on each interface: where nothing is said, in a hundredth of the memory."""
    if settings.entries:
        return settings.entries
    return max(LEAST_ENTRIES, min(USUAL_ENTRIES, memory.octets() // 100 // ENTRY_OCTETS))


def ring_of(settings: ProbeSettings) -> int:
    """Return the octets in which the kernel keeps packets of an interface, in each process that shares them."""
    return size(settings.ring) if settings.ring else max(LEAST_RING, min(USUAL_RING, memory.octets() // RING_SHARE))


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
