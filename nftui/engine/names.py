"""Names of protocols and services that filters accept, and their numbers.

The tables stand in `data/ip_protocols.csv` (every number that IANA gave a name) and `data/services.csv` (of the ports the part that
people type, with the names that systems and products have for them beside IANA's). Names are lower case. Of several names of one
number the first is the one that is printed.

Source: IANA, "Protocol Numbers" and "Service Name and Transport Protocol Port Number Registry"; of these the names that differ from
IANA's are those of the usual `/etc/protocols` and `/etc/services`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

_DATA = Path(__file__).parents[1] / "data"


def _table(name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and names of each line of a table: the number is its first column, the names its last."""
    with (_DATA / name).open(encoding="ascii", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        for row in rows:
            yield int(row[0]), row[-1].split()


def _services() -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield port, transports and names of each line of the table of services."""
    with (_DATA / "services.csv").open(encoding="ascii", newline="") as lines:
        for row in csv.DictReader(lines):
            yield int(row["port"]), row["transports"].split(), row["names"].split()


PROTOCOLS: dict[str, int] = {name: number for number, names in _table("ip_protocols.csv") for name in names}

PRINTED_PROTOCOLS: dict[int, str] = {
    number: name
    for name, number in PROTOCOLS.items()
    if name in {"icmp", "igmp", "tcp", "udp", "gre", "esp", "ah", "icmp6", "sctp"}
}
"""The names that stand for the same number wherever a filter is read; the other protocols are printed as numbers."""

_SHOWN_PROTOCOLS = {number: name.upper() for name, number in reversed(PROTOCOLS.items())}

EXPORTS: dict[int, str] = {
    1: "NetFlow v1", 5: "NetFlow v5", 7: "NetFlow v7", 9: "NetFlow v9", 10: "IPFIX", 1001: "packets", 1002: "conntrack",
    1005: "sFlow v5",
}  # fmt: skip
"""Values of the column `protocol_version`: how a flow was exported, or by what it was made here."""

_PEOPLES = {("tcp", 53): "dns", ("udp", 53): "dns", ("udp", 443): "quic", ("tcp", 853): "dot", ("udp", 853): "doq"}
"""What people call a service, where the first name of the table is another."""

SERVICES: dict[str, int] = {name: port for port, names in _table("services.csv") for name in names}
"""Of TCP, UDP and SCTP alike: a filter's port says nothing of the protocol, and no name here has two ports."""

SERVICE_NAMES: dict[tuple[str, int], str] = {
    (transport, port): _PEOPLES.get((transport, port), names[0])
    for port, transports, names in _services()
    for transport in transports
}
"""Of a transport (`tcp`, `udp`, `sctp`) and a port: the name under which its service is shown."""


def protocol_name(number: int) -> str:
    """Return a protocol's name as tables show it, `TCP`, or its number."""
    return _SHOWN_PROTOCOLS.get(number, str(number))
