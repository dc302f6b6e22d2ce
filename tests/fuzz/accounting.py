"""Accounting: which datagrams have to leave a trace in the counters, told from their octets alone and without nftui.

No trace is asked of a datagram without content (its header alone, counting nothing, then at most zero octets) and of one that
holds nothing but whole template sets, since those may repeat what is known, and data sets of zero octets, which may be padding.
All others hold records, or something that is broken or not read, and so a counter has to move.
"""

from __future__ import annotations

import struct
from typing import Any

FIXED = {1: (16, 48), 5: (24, 48), 7: (24, 52)}
"""Version -> octets of the header and of a record."""
SETS = {9: (20, (0, 1)), 10: (16, (2, 3))}
"""Version -> octets of the header, and the ids of template sets."""
SFLOW_PORT = 6343
SFLOW = b"\0\0\0\5"
SFLOW_HEADERS = {0: 24, 1: 28, 2: 40}
"""Type of the agent's address -> octets of the header."""
_NO_ACCOUNT = {
    "datagrams", "octets", "address", "name",
    "protocol", "domains", "templates_awaited", "unknown_elements", "restarts", "sequence_lost",
    "clock_skew_s", "last_seen", "flows_per_s", "datagrams_per_s", "lost", "gaps", "held_octets", "observation_domains",
}  # fmt: skip
"""What a status tells that accounts for no datagram."""


def asks(octets: bytes, local_port: int) -> bool:
    """Tell whether a datagram has to leave a trace."""
    version = int.from_bytes(octets[:2], "big") if len(octets) >= 2 else -1
    if local_port == SFLOW_PORT or octets.startswith(SFLOW):
        return not _sflow_without_samples(octets)
    if version in FIXED:
        header = FIXED[version][0]
        return len(octets) < header or octets[2:4] != b"\0\0" or any(octets[header:])
    if version in SETS:
        return _sets_ask(octets, *SETS[version])
    return True


def _sflow_without_samples(octets: bytes) -> bool:
    header = SFLOW_HEADERS.get(int.from_bytes(octets[4:8], "big"), 1 << 30)
    if not octets.startswith(SFLOW) or len(octets) < header:
        return False
    return octets[header - 4 : header] == bytes(4) and not any(octets[header:])


def _sets_ask(octets: bytes, header: int, templates: tuple[int, int]) -> bool:
    if len(octets) < header or (header == 16 and int.from_bytes(octets[2:4], "big") != len(octets)):
        return True
    at = header
    while at + 4 <= len(octets):
        identity, length = struct.unpack_from(">HH", octets, at)
        if identity == length == 0:
            return any(octets[at:])
        content = octets[at + 4 : at + length]
        if length < 4 or at + length > len(octets) or (identity not in templates and (identity < 256 or any(content))):
            return True
        at += length
    return False


def counters(status: dict[str, Any]) -> dict[str, int]:
    """Return the counters of a decoder's status that account for datagrams, summed over its exporters; and those that wait."""
    total: dict[str, int] = {"waiting": status.get("waiting_datagrams", 0)}
    for exporter in status["exporters"]:
        for key, value in exporter.items():
            if key in _NO_ACCOUNT:
                continue
            for name, number in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(number, int) and not isinstance(number, bool):
                    place = f"{key}: {name}" if name else key
                    total[place] = total.get(place, 0) + number
    return total


def moved(before: dict[str, int], after: dict[str, int]) -> int:
    """Return by how much counters have moved, in either direction."""
    return sum(abs(after.get(key, 0) - before.get(key, 0)) for key in before.keys() | after.keys())
