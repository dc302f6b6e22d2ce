"""Numbers, times and addresses as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

SI = ("", "k", "M", "G", "T", "P", "E")
IEC = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
SECOND = 1_000_000
EARLIEST, LATEST = -62_135_596_800 * SECOND, 253_402_300_800 * SECOND - 1
"""The years 1 to 9999, microseconds since 1970."""
MAPPED_PREFIX = b"\x00" * 10 + b"\xff\xff"
"""What stands before an IPv4 address among the 16 octets of an address."""


def scaled(value: float, base: int = 1000) -> str:
    """Return a number in at most 6 characters: `0`, `999`, `1.2k`, `12.3M`, `123M`; with base 1024 `1.48Mi`-like suffixes."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    suffixes = SI if base == 1000 else IEC
    step = 0
    while step < len(suffixes) - 1 and value >= base - 0.5:
        value /= base
        step += 1
    if step == 0:
        return f"{sign}{value:.0f}" if value >= 10 or value == int(value) else f"{sign}{value:.1f}"
    return f"{sign}{value:.0f}{suffixes[step]}" if value >= 99.95 else f"{sign}{value:.1f}{suffixes[step]}"


def octets(value: float, iec: bool = False) -> str:
    """Return a count of octets, `1.6 MB` or `1.5 MiB`."""
    return _with_unit(value, "B", 1024 if iec else 1000)


def bits_per_second(value: float) -> str:
    """Return a rate given in bit/s, `412.3 Mb/s`."""
    return _with_unit(value, "b/s", 1000)


def packets_per_second(value: float) -> str:
    """Return a rate of packets, `51.2 kp/s`."""
    return _with_unit(value, "p/s", 1000)


def flows_per_second(value: float) -> str:
    """Return a rate of flows, `1.2 kf/s`."""
    return _with_unit(value, "f/s", 1000)


def duration(microseconds: int) -> str:
    """Return a length of time in at most 6 characters: `250ms`, `3.2s`, `58s`, `12m`, `5h30m`, `3d`."""
    seconds = microseconds / SECOND
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}m{rest:02d}s" if rest else f"{minutes}m"
    if whole < 86400:
        hours, rest = divmod(whole // 60, 60)
        return f"{hours}h{rest:02d}m" if rest else f"{hours}h"
    days, rest = divmod(whole // 3600, 24)
    return f"{days}d{rest}h" if rest and days < 10 else f"{days}d"


def address_text(octets: bytes) -> str:
    """Return 16 octets as an address, IPv4 where it is mapped; octets of another number in hexadecimal."""
    if len(octets) != 16:
        return octets.hex()
    if octets.startswith(MAPPED_PREFIX):
        return ".".join(map(str, octets[12:]))
    return str(IPv6Address(octets))


def mac_text(number: int) -> str:
    """Return a MAC address, a number of 48 bits, as `00:11:22:33:44:55`."""
    return ":".join(f"{number >> shift & 255:02x}" for shift in range(40, -1, -8))


def address_octets(text: str) -> bytes | None:
    """Return an address as 16 octets, IPv4 mapped; None for any other text."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.packed if isinstance(found, IPv6Address) else MAPPED_PREFIX + found.packed


def rfc3339(microseconds: int) -> str:
    """Return a time as RFC 3339 in UTC with microseconds: `2026-11-23T21:00:00.000000Z`."""
    clamped = min(max(microseconds, EARLIEST), LATEST)
    return f"{_second_text(clamped // SECOND)}.{clamped % SECOND:06d}Z"


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    """Return a second since 1970; what is told of thousands of exporters falls into few of them."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").zfill(19)


def moment(microseconds: int) -> datetime:
    """Return microseconds since 1970 as an aware datetime, clamped to the years 1 to 9999."""
    clamped = min(max(microseconds, EARLIEST), LATEST)
    seconds, rest = divmod(clamped, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def _with_unit(value: float, unit: str, base: int) -> str:
    text = scaled(value, base)
    digits = text.rstrip("kKMGTPEi")
    return f"{digits} {text[len(digits) :]}{unit}"
