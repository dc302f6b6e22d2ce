"""Keys that sort flows into classes: how large they are, how long they take, and which service they are of.

`size_class` and `duration_class` are numbers of classes, in order, so that ranking by key is the order of a histogram. `service` is
the application's name where the exporter told one; else the name of the well-known port (`https`), of the lower port where none is
known (`9998/tcp`, or `tcp high` where both are from the range of ports that hosts take at will), or the protocol's (`icmp`).
`service_port` is that port.

Importing this module makes the keys known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from nftui.engine.keys import Key, register
from nftui.engine.names import SERVICE_NAMES, protocol_name
from nftui.errors import UsageError
from nftui.units import scaled

SIZES = tuple(10**n for n in range(2, 11))
"""Octets at which classes of size begin, sampling applied as a filter does."""
DURATIONS = (1, 10, 100, 1_000, 10_000, 60_000, 300_000, 1_800_000, 3_600_000)
"""Milliseconds at which classes of duration begin."""
_LENGTHS = ("1ms", "10ms", "100ms", "1s", "10s", "1m", "5m", "30m", "1h")
DYNAMIC = 32_768
"""The first port that systems take at will for the side that asks."""
KNOWN = {end: name for end, name in SERVICE_NAMES.items() if end[1] < DYNAMIC}
"""Names by transport and port, but for those ports, which any flow may have by chance."""
TRANSPORTS = {6: "tcp", 17: "udp", 132: "sctp"}
"""Protocols with ports."""
ENDS = ["protocol", "source_port", "destination_port"]
Numbers = np.ndarray[Any, np.dtype[Any]]
HIGH = {transport: f"{transport} high" for transport in TRANSPORTS.values()}
"""Services of flows between two of the ports that systems take at will."""


def size_class(octets: int) -> int:
    """Return the class of a number of octets."""
    return bisect_right(SIZES, octets)


def duration_class(milliseconds: int) -> int:
    """Return the class of a duration."""
    return bisect_right(DURATIONS, milliseconds)


def size_label(number: int) -> str:
    """Return the words for a class of size: `<100`, `10k-100k`, `>10G`."""
    return _label(number, tuple(scaled(size).replace(".0", "") for size in SIZES))


def duration_label(number: int) -> str:
    """Return the words for a class of duration: `<1ms`, `1s-10s`, `>1h`."""
    return _label(number, _LENGTHS)


def _label(number: int, edges: Sequence[str]) -> str:
    if number <= 0:
        return f"<{edges[0]}"
    return f">{edges[-1]}" if number >= len(edges) else f"{edges[number - 1]}-{edges[number]}"


def size_term(number: int) -> str:
    """Return the filter for the flows of a class of size."""
    return _between("bytes", number, SIZES)


def duration_term(number: int) -> str:
    """Return the filter for the flows of a class of duration."""
    return _between("duration", number, DURATIONS)


def _between(field: str, number: int, edges: Sequence[int]) -> str:
    terms = [f"{field} >= {edges[number - 1]}"] if number > 0 else []
    terms += [f"{field} < {edges[number]}"] if number < len(edges) else []
    return f"({' and '.join(terms)})" if len(terms) > 1 else terms[0]


def service_of(protocol: int, source_port: int, destination_port: int) -> str:
    """Return the service of a flow, by its protocol and ports."""
    if protocol not in TRANSPORTS:
        return protocol_name(protocol).lower()
    named = [port for port in (destination_port, source_port) if (TRANSPORTS[protocol], port) in KNOWN]
    return _name(TRANSPORTS[protocol], named[0] if named else min(source_port, destination_port))


def service_term(name: str) -> str | None:
    """Return the filter for the flows of a service by protocol and ports; None for a name that an exporter told.

    A port is taken on either side: a flow between two well-known ports, of which its service has one, is among both.
    """
    ends = _services().ends.get(name)
    if ends is None:
        return None
    protocols, port = ends
    said = " or ".join(f"proto {TRANSPORTS.get(protocol, protocol)}" for protocol in protocols)
    said = f"({said})" if len(protocols) > 1 else said
    if name in HIGH.values():
        return f"{said} and src port >= {DYNAMIC} and dst port >= {DYNAMIC}"
    return said if port is None else f"{said} and port {port}"


def _name(transport: str, port: int) -> str:
    """Return the service of a port."""
    if (transport, port) in KNOWN:
        return KNOWN[transport, port]
    if port == 0:
        return transport
    return f"{port}/{transport}" if port < DYNAMIC else HIGH[transport]


class _Services:
    """All services as an enumeration, and the number of each by protocol and port.

    Attributes:
        names: All of them, in the order of their numbers.
        ends: Of each the protocols, and the port where it is of one.
    """

    def __init__(self) -> None:
        self.ends: dict[str, tuple[tuple[int, ...], int | None]] = {}
        place: dict[str, int] = {}
        self._of_port = np.zeros((len(TRANSPORTS) + 1, 65_536), np.uint32)
        self._known = np.zeros((len(TRANSPORTS) + 1, 65_536), np.bool_)
        self._of_protocol = np.zeros(256, np.uint32)
        self._transport = np.zeros(256, np.uint8)
        for number in range(256):
            name = protocol_name(number).lower()
            self._of_protocol[number] = place.setdefault(name, len(place))
            self.ends.setdefault(name, ((number,), None))
        for row, (number, transport) in enumerate(TRANSPORTS.items(), 1):
            self._transport[number] = row
            names = [_name(transport, port) for port in range(65_536)]
            self._of_port[row] = [place.setdefault(name, len(place)) for name in names]
            for port in (port for end, port in KNOWN if end == transport):
                self._known[row, port] = True
            self.ends[HIGH[transport]] = ((number,), None)
            for port, name in enumerate(names[1:DYNAMIC], 1):
                before = self.ends.get(name)
                # One name may be that of several ports, of which a filter takes the first.
                if before is None or before[1] == port:
                    self.ends[name] = ((*(before[0] if before else ()), number), port)
        self.names = pl.Series(list(place))

    def look_up(self, columns: Sequence[pl.Series]) -> pl.Series:
        """Return the services of flows, from protocol, source and destination port; null where there is no protocol."""
        protocols, row, port = self._ports(columns)
        number = np.where(row > 0, self._of_port[row, port], self._of_protocol[protocols])
        found = self.names.gather(number).alias(columns[0].name)
        return found.set(columns[0].is_null(), None) if columns[0].null_count() else found

    def ports(self, columns: Sequence[pl.Series]) -> pl.Series:
        """Return the ports of the services of flows, from the same; null where the protocol has none."""
        _, row, port = self._ports(columns)
        found = pl.Series(columns[0].name, port, dtype=pl.Int32)
        return found.set(pl.Series(row == 0) | columns[0].is_null(), None)

    def _ports(self, columns: Sequence[pl.Series]) -> tuple[Numbers, Numbers, Numbers]:
        """Return protocols, the row of each in the tables (0 for those without ports), and the port that tells the service."""
        limits = (255, 65_535, 65_535)
        protocols, source, destination = (
            column.fill_null(0).clip(0, high).to_numpy() for column, high in zip(columns, limits, strict=True)
        )
        row = self._transport[protocols]
        port = np.where(self._known[row, source], source, np.minimum(source, destination))
        return protocols, row, np.where(self._known[row, destination], destination, port)


@lru_cache(maxsize=1)
def _services() -> _Services:
    return _Services()


def _service() -> pl.Expr:
    found = pl.map_batches(ENDS, lambda columns: _services().look_up(columns), return_dtype=pl.String, is_elementwise=True)
    return pl.coalesce(pl.col("application_name"), found)


def _service_port() -> pl.Expr:
    return pl.map_batches(ENDS, lambda columns: _services().ports(columns), return_dtype=pl.Int32, is_elementwise=True)


def _class_of(value: pl.Expr, edges: Sequence[int]) -> pl.Expr:
    """Return how many edges a value reaches; null where it is absent."""
    return pl.sum_horizontal(((value >= edge).cast(pl.UInt8) for edge in edges), ignore_nulls=False).cast(pl.UInt8)


def _size() -> pl.Expr:
    return _class_of(pl.col("octets") * pl.col("sampling_interval").fill_null(1), SIZES)


def _duration() -> pl.Expr:
    return _class_of((pl.col("flow_end") - pl.col("flow_start")).dt.total_microseconds() // 1000, DURATIONS)


def _register(key: Key, words: tuple[str, ...]) -> None:
    def family(rest: str) -> Key:
        if rest:
            raise UsageError(f"{key.name}: takes nothing behind a slash")
        return key

    register(key.name, family, words)


_register(Key("size_class", "size_class", "size", "number", ("octets", "sampling_interval"), (_size,), shown=size_label), ("size",))
_register(
    Key("duration_class", "duration_class", "duration", "number", ("flow_start", "flow_end"), (_duration,), shown=duration_label),
    ("durclass",),
)
_register(Key("service_port", "service_port", "port", "number", tuple(ENDS), (_service_port,)), ("svcport",))
_register(
    Key("service", "service", "app", "text", ("application_name", "protocol", "source_port", "destination_port"), (_service,)),
    ("service",),
)
