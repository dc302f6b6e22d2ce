"""Saved: what exporters announced, as JSON-able values, so that a restart of the collector loses nothing for want of a template."""

from __future__ import annotations

import ipaddress
from typing import Any

from nftui.capture.exporters import TEMPLATED, Exporters
from nftui.capture.options import Tables
from nftui.capture.templates import from_json, to_json


def save(exporters: Exporters) -> dict[str, Any]:
    """Return what exporters announced as JSON-able values."""
    return {
        "version": 1,
        "domains": [
            {
                "exporter": domain.exporter.address,
                "protocol": domain.version,
                "domain": domain.number,
                "system_init_ms": domain.system_init,
                "templates": [to_json(template) for template in domain.templates.values()],
                "options": domain.tables.to_json(),
                "lasting": domain.lasting,
            }
            for domain in exporters.domains.values()
            if domain.templates or domain.tables
        ],
    }


def load(exporters: Exporters, saved: object, now: int) -> int:
    """Take back what `save` returned; return how many entries could not be used."""
    entries = saved.get("domains") if isinstance(saved, dict) and saved.get("version") == 1 else None
    if not isinstance(entries, list):
        return 1
    exporters.loading = True
    try:
        return _load(exporters, entries, now)
    finally:
        exporters.loading = False


def _load(exporters: Exporters, entries: list[Any], now: int) -> int:
    refused = 0
    for entry in entries:
        try:
            address, version = octets_of(entry["exporter"]), int(entry["protocol"])
            number, init = int(entry["domain"]), int(entry["system_init_ms"])
            templates = [from_json(value) for value in entry["templates"]]
            if version not in TEMPLATED or not 0 <= number < 2**32 or not 0 <= init < 2**53:
                raise ValueError
        except (ValueError, TypeError, KeyError, OverflowError):
            refused += 1
            continue
        domain = exporters.domain(address, version, number, now)
        if domain is None:
            refused += 1
            continue
        domain.exporter.known_before = True
        domain.system_init, domain.lasting = init, entry.get("lasting") is True
        refused += sum(bool(exporters.learn(domain, template, now)) for template in templates)
        try:
            domain.tables.load(entry.get("options") or Tables().to_json())
        except (ValueError, TypeError, KeyError):
            refused += 1
        exporters.keep(domain.exporter, domain.tables.size, now)
    return refused


def octets_of(text: object) -> bytes:
    """Return an address as 16 octets.

    Raises:
        ValueError: The text is no address.
    """
    value = ipaddress.ip_address(str(text))
    return value.packed if value.version == 6 else bytes(10) + b"\xff\xff" + value.packed
