"""Values as the cells of a table show them, and as a filter names them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from nftui.engine import keys
from nftui.engine.names import EXPORTS, protocol_name
from nftui.printable import printable
from nftui.schema import BY_NAME
from nftui.screens.glyphs import BLOCKS
from nftui.screens.view import time_text
from nftui.units import SECOND, address_text, duration, mac_text, scaled

FLAGS = "UAPRSF"
ADDRESSES = frozenset(column.name for column in BY_NAME.values() if column.kind == "address")
"""Columns of addresses."""
WORDS: dict[str, dict[int, str]] = {
    "flow_end_reason": {1: "idle", 2: "active timeout", 3: "end of TCP", 4: "exporter's end", 5: "no room"},
    "flow_direction": {0: "ingress", 1: "egress"},
}
"""What the values of some columns mean (RFC 5102)."""


def address(value: bytes | None) -> str:
    """Return an address of 16 octets as text; anything else as its octets."""
    return "-" if value is None else address_text(value) or "-"


def protocol(value: int | None) -> str:
    """Return the name of a protocol, or its number."""
    return "-" if value is None else protocol_name(value)


def tcp_flags(value: int | None) -> str:
    """Return TCP flags as `.AP.SF`, with CWR and ECE before them only where they are set."""
    if value is None:
        return "-"
    extra = "".join(letter for bit, letter in ((128, "C"), (64, "E")) if value & bit)
    return extra + "".join(letter if value & (32 >> n) else "." for n, letter in enumerate(FLAGS))


def cell(name: str, value: Any, iec: bool = False) -> str:
    """Return the value of a column of the schema, or of a key, for a table; `-` where it is absent."""
    if value is None:
        return "-"
    if name not in BY_NAME:
        return printable(keys.value(name, value))
    if name == "protocol" or name == "outer_protocol":
        return protocol(value)
    if name == "tcp_flags":
        return tcp_flags(value)
    kind = BY_NAME[name].kind
    if kind == "address":
        return address(value)
    if kind == "time":
        return time_text(micros(value))
    if kind == "mac":
        return mac_text(value)
    if kind == "flag":
        return "yes" if value else "no"
    if kind == "text":
        return printable(value.hex() if isinstance(value, bytes) else value)
    if name in ("octets", "out_octets"):
        return scaled(value, 1024 if iec else 1000)
    return scaled(value) if name in ("packets", "out_packets") else str(value)


def detail(name: str, value: Any) -> str:
    """Return the value of a column in full, for the panel of one row."""
    if value is not None and name in BY_NAME and BY_NAME[name].kind == "time":
        return time_text(micros(value), "%Y-%m-%d %H:%M:%S.%f")[:-3]
    if name in ("octets", "packets", "out_octets", "out_packets", "flow_count") and value is not None:
        return f"{value:,}"
    if name == "clock_correction" and value is not None:
        return duration(value) if value >= 0 else "-" + duration(-value)
    if name in WORDS and isinstance(value, int):
        shown = WORDS[name].get(value)
        return f"{value} {shown}" if shown else str(value)
    if name == "ethernet_type" and isinstance(value, int):
        return f"0x{value:04x}"
    if name == "protocol_version" and value is not None:
        return EXPORTS.get(value, str(value))
    if name == "protocol" and value is not None:
        shown = protocol(value)
        return shown if shown == str(value) else f"{shown} ({value})"
    return cell(name, value)


def also(text: str, added: str) -> str:
    """Return a filter text narrowed by a term; what stands there is taken in brackets unless it is one plain term."""
    kept = " ".join(line.split("#", 1)[0].strip() for line in text.splitlines()).strip()
    if not kept:
        return added
    plain = not any(word in ("or", "||") for word in kept.lower().replace("(", " ").replace(")", " ").split()) and "||" not in kept
    return f"{kept} and {added}" if plain else f"({kept}) and {added}"


def micros(value: Any) -> int:
    """Return a time from a frame as microseconds since 1970."""
    if isinstance(value, datetime):
        whole = value.replace(microsecond=0)
        return round(whole.timestamp()) * SECOND + value.microsecond
    return int(value)


def spark(values: list[int], points: int) -> str:
    """Return a trend of `points` characters, each the mean of its share of the values, scaled to the greatest."""
    if not values or points < 1:
        return ""
    count = len(values)
    means: list[float] = []
    for n in range(min(points, count)):
        part = values[n * count // min(points, count) : (n + 1) * count // min(points, count)]
        means.append(sum(part) / len(part))
    top = max(means)
    if top <= 0:
        return " " * len(means)
    # Where the terminal lacks eighths, others stand for them on the way out.
    rising = BLOCKS.rising
    steps = len(rising) - 1
    return "".join(rising[0 if mean <= 0 else max(1, round(mean / top * steps))] for mean in means)
