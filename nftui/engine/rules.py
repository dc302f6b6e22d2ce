"""Rules: what a configuration says of how exports are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_network

from nftui.capture.allowed import AllowList
from nftui.capture.decoder import Rules
from nftui.capture.held import MAX_AGE
from nftui.config import CollectorSettings, ExporterSettings
from nftui.units import SECOND


def rules_of(settings: CollectorSettings, exporters: Mapping[str, ExporterSettings] | None = None) -> Rules:
    """Return the rules of a collector; `exporters` by address or network."""
    return Rules(
        clock_threshold=settings.clock_threshold * SECOND or None,
        template_lifetime=settings.template_lifetime * SECOND or None,
        held_age=MAX_AGE,
        sampling=sampling_of(exporters or {}),
        allow=AllowList(settings.allow) if settings.allow else None,
        live=True,
    )


def sampling_of(exporters: Mapping[str, ExporterSettings]) -> Callable[[bytes], int]:
    """Return what tells the sampling interval that the user states for an exporter's 16 octets, 0 for none."""
    networks = [(ip_network(text), one.sampling) for text, one in exporters.items() if one.sampling]
    networks.sort(key=lambda one: one[0].prefixlen, reverse=True)

    def sampling(address: bytes) -> int:
        whole = IPv6Address(address)
        mine = whole.ipv4_mapped or whole
        return next((interval for network, interval in networks if mine in network), 0)

    return sampling
