"""The filter that says one value of a key: what Enter, `i` and `o` add."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nftui.engine import flow_classes, keys
from nftui.schema import BY_NAME
from nftui.units import address_text

CLASSES: dict[str, Callable[[Any], str]] = {
    "size_class": flow_classes.size_term, "duration_class": flow_classes.duration_term, "service": flow_classes.service_term,
}  # fmt: skip
"""Keys with a filter of their own."""
EITHER = {
    "address": "ip", "port": "port", "as": "as", "interface": "if", "mask": "mask", "vlan": "vlan", "mac": "mac",
    "either_source_mac": "src mac", "either_destination_mac": "dst mac", "in_mac": "in mac", "out_mac": "out mac",
    "post_nat_address": "nat ip", "post_nat_port": "nat port", "known_source_as": "src as", "known_destination_as": "dst as",
    "known_as": "as", "country": "geo", "source_country": "src geo", "destination_country": "dst geo",
}  # fmt: skip
"""Keys that are no column, and the filter's words for them."""
NETWORKS = {
    "source_address": "src net", "destination_address": "dst net", "address": "net", "exporter_address": "router ip",
    "next_hop": "next ip", "bgp_next_hop": "bgp next ip",
}  # fmt: skip
"""Masked addresses, and the filter's words for their networks."""


def of_key(name: str, value: Any) -> str | None:
    """Return the filter for a key's value, where the key is no column of the schema; None where it can't be said."""
    if value is None or name in BY_NAME:
        return None
    if name in CLASSES:
        return CLASSES[name](value)
    head = name.partition("/")[0]
    if "/" in name and head in NETWORKS:
        return f"{NETWORKS[head]} {keys.value(name, value)}"
    if name not in EITHER:
        return None
    if isinstance(value, bytes):
        return f"{EITHER[name]} {address_text(value)}"
    return f"{EITHER[name]} {keys.value(name, value)}"
