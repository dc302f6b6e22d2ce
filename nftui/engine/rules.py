"""Rules: what a configuration says of how exports are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_network
from typing import TypeVar

from nftui.capture.allowed import AllowList
from nftui.capture.decoder import Rules
from nftui.capture.held import MAX_AGE
from nftui.config import CollectorSettings, ExporterSettings
from nftui.units import SECOND

T = TypeVar("T")


def rules_of(settings: CollectorSettings, exporters: Mapping[str, ExporterSettings] | None = None) -> Rules:
    """Return the rules of a collector; `exporters` by address or network."""
    return Rules(
        clock_threshold=settings.clock_threshold * SECOND or None,
        template_lifetime=settings.template_lifetime * SECOND or None,
        held_age=MAX_AGE,
        sampling=sampling_of(exporters or {}),
        name=name_of(exporters or {}),
        allow=AllowList(settings.allow) if settings.allow else None,
        live=True,
    )


def sampling_of(exporters: Mapping[str, ExporterSettings]) -> Callable[[bytes], int]:
    """Return what tells the sampling interval that the user states for an exporter's 16 octets, 0 for none."""
    narrowest = _narrowest({text: one.sampling for text, one in exporters.items() if one.sampling})
    return lambda address: narrowest(address) or 0


def name_of(exporters: Mapping[str, ExporterSettings]) -> Callable[[bytes], str]:
    """Return what tells the name that the user gives an exporter's 16 octets, an empty one for none."""
    narrowest = _narrowest({text: one.name for text, one in exporters.items() if one.name})
    return lambda address: narrowest(address) or ""


def _narrowest(stated: Mapping[str, T]) -> Callable[[bytes], T | None]:
    """Return what finds the value of the narrowest network that an exporter's 16 octets are in."""
    networks = [(ip_network(text), value) for text, value in stated.items()]
    networks.sort(key=lambda one: one[0].prefixlen, reverse=True)

    def found(address: bytes) -> T | None:
        whole = IPv6Address(address)
        mine = whole.ipv4_mapped or whole
        return next((value for network, value in networks if mine in network), None)

    return found
