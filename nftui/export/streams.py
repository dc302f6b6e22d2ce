"""Streams: one exporter's datagrams of one protocol, numbered, with templates before the flows that need them.

No I/O, and no clock but the one that is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nftui.export import ipfix, netflow5, netflow9
from nftui.export.fields import Present, also, present
from nftui.export.flow_columns import FlowColumns, Mask
from nftui.export.netflow import PAYLOAD, Template, is_ipv4
from nftui.export.patterns import Templates
from nftui.units import SECOND

DAY = 86_400 * SECOND
UPTIME = 24 * DAY
"""How long a stream says that it has been up at first: flows may have begun before it, and 32 bits of milliseconds hold 49 days."""
LONGEST_UPTIME = 48 * DAY
"""After that a stream begins to count anew, so that the counter never wraps."""
_LAST = 2**32 * SECOND - SECOND
"""The last time that NetFlow can tell, in the year 2106."""
_SAMPLINGS = 32
"""Sampling intervals of one block of flows that v5 tells; flows of further ones are sent as if none was known."""
_LARGEST_SAMPLING = (1 << 14) - 1
_NETFLOW5 = (
    *(name for name in netflow5.RECORD.names or () if not name.startswith("pad")),
    "icmp_type",
    "icmp_code",
    "sampling_interval",
)


class Format(StrEnum):
    """A protocol to export in."""

    NETFLOW5 = "netflow5"
    NETFLOW9 = "netflow9"
    IPFIX = "ipfix"


@dataclass(slots=True)
class StreamCounts:
    """What a stream made of flows.

    Attributes:
        flows: Taken, those that were left out too.
        records: Made of them: more than one where counters needed to be divided.
        templates: Template records told.
        ipv6: Flows left out because v5 has no place for IPv6.
        sampling: Flows whose sampling v5 could not tell.
        times: Flows whose times v5 could not tell as they were.
        reduced: Flows that were told by fewer fields, as there were too many patterns of them.
    """

    flows: int = 0
    records: int = 0
    templates: int = 0
    ipv6: int = 0
    sampling: int = 0
    times: int = 0
    reduced: int = 0


class Stream(Protocol):
    """Flows in, datagrams out.

    Attributes:
        counts: What was made so far.
        payload: Octets of the largest datagram; may be changed at any time.
    """

    counts: StreamCounts
    payload: int

    def announce(self, now: int) -> list[bytes]:
        """Return all templates once more."""
        ...

    def encode(self, flows: FlowColumns, now: int) -> list[bytes]:
        """Return flows as datagrams, and before them the templates that are new; `now` is microseconds since 1970."""
        ...


def stream(of: Format, domain: int, *, sampling: int = 0, exporters: bool = False) -> Stream:
    """Return a new stream.

    Args:
        of: The protocol.
        domain: The observation domain; of it v5 has 16 bits.
        sampling: N where all flows are of 1 packet in N: v9 and IPFIX then say so by options, beside the field of each flow.
        exporters: Whether v9 and IPFIX tell the exporter that each flow came from.
    """
    if of is Format.NETFLOW5:
        return NetFlow5Stream(domain)
    return TemplateStream(domain, uptimes=of is Format.NETFLOW9, sampling=sampling, exporters=exporters)


@dataclass(slots=True)
class _Uptime:
    """When a stream says that it began, microseconds since 1970, whole milliseconds."""

    boot: int | None = None

    def at(self, now: int) -> int:
        if self.boot is None or not SECOND <= now - self.boot <= LONGEST_UPTIME:
            self.boot = (now - UPTIME) // SECOND * SECOND
        return self.boot


class TemplateStream:
    """NetFlow v9 or IPFIX."""

    def __init__(self, domain: int, *, uptimes: bool, sampling: int = 0, exporters: bool = False) -> None:
        """Begin a stream.

        Args:
            domain: The source id, or observation domain.
            uptimes: Whether it is NetFlow v9, which tells times since the exporter began.
            sampling: The interval that options tell; 0 for none.
            exporters: Whether the exporter that each flow came from is told.
        """
        self.counts, self.payload = StreamCounts(), PAYLOAD
        self._domain, self._uptimes, self._exporters = domain & 0xFFFFFFFF, uptimes, exporters
        self._sampling = sampling
        self._templates, self._uptime, self._sequence = Templates(), _Uptime(), 0

    def announce(self, now: int) -> list[bytes]:
        """Return all templates once more, and forget those that nobody needs; and the sampling interval."""
        self._templates.age()
        made = self._announced(self._templates.all, now)
        if self._sampling > 1:
            common = {"domain": self._domain, "sequence": self._sequence}
            if self._uptimes:
                made.append(netflow9.announce_sampling(self._sampling, now, boot=self._uptime.at(now), **common))
            else:
                made.append(ipfix.announce_sampling(self._sampling, now, **common))
            self._sequence = self._sequence + 1 & 0xFFFFFFFF
        return made

    def encode(self, flows: FlowColumns, now: int) -> list[bytes]:
        """Return flows as datagrams, and before them the templates that are new."""
        boot = self._uptime.at(now)
        times, told = self._times(flows, boot, now)
        fields, values = present(flows, times, exporters=self._exporters)
        before = {template.number: template for template in self._templates.all}
        groups = self._templates.groups(fields, np.arange(flows.rows))
        leading = self._announced([one for one in self._templates.all if before.get(one.number) is not one], now)
        self.counts.flows += flows.rows
        self.counts.reduced = self._templates.reduced
        if not groups:
            return leading
        moments, columns = np.full(flows.rows, now, np.int64), {**values, **told}
        common: dict[str, Any] = {"domain": self._domain, "payload": self.payload, "leading": leading}
        if self._uptimes:
            made = netflow9.data(columns, groups, moments, boot=boot, sequence=self._sequence, **common)
        else:
            made = ipfix.data(columns, groups, moments, sequence=self._sequence, **common)
        self._sequence = made.sequence
        self.counts.records += int(made.records.sum())
        return made.payloads

    def _announced(self, templates: list[Template], now: int) -> list[bytes]:
        self.counts.templates += len(templates)
        if not self._uptimes:
            return ipfix.announce(templates, now, domain=self._domain, sequence=self._sequence, payload=self.payload)
        boot = self._uptime.at(now)
        made = netflow9.announce(templates, now, domain=self._domain, boot=boot, sequence=self._sequence, payload=self.payload)
        self._sequence = self._sequence + len(made) & 0xFFFFFFFF
        return made

    def _times(self, flows: FlowColumns, boot: int, now: int) -> tuple[tuple[Present, ...], dict[str, NDArray[np.int64]]]:
        """Return the fields of times and their values: since the exporter began where they can be told so, otherwise since 1970.

        What has begun earlier than NetFlow's 32 bits reach back, or ends after the header, is told by flowStartMilliseconds and
        flowEndMilliseconds in v9, too.
        """
        has = {name: flows.has(name) for name in ("flow_start", "flow_end")}
        told = {name: flows.values[name] // 1000 for name in has if name in flows.values}
        if not self._uptimes:
            return tuple(Present(name, element, 8, has[name]) for name, element in (("flow_start", 152), ("flow_end", 153))), told
        within: Mask | bool = True
        for values in told.values():
            within = also(within, (values >= boot // 1000) & (values <= now // 1000))
        if isinstance(within, bool) or within.all():
            without: Mask | bool = False
            within = True
        else:
            without = ~within
        for name, short in (("flow_start", "uptime_start"), ("flow_end", "uptime_end")):
            if name in told:
                told[short] = told[name] - boot // 1000
        return (
            Present("uptime_start", 22, 4, also(has["flow_start"], within)),
            Present("uptime_end", 21, 4, also(has["flow_end"], within)),
            Present("flow_start", 152, 8, also(has["flow_start"], without)),
            Present("flow_end", 153, 8, also(has["flow_end"], without)),
        ), told


@dataclass(slots=True)
class NetFlow5Stream:
    """NetFlow v5: IPv4 only, no templates."""

    domain: int
    payload: int = PAYLOAD
    counts: StreamCounts = field(default_factory=StreamCounts)
    _uptime: _Uptime = field(default_factory=_Uptime)
    _sequence: int = 0

    def announce(self, now: int) -> list[bytes]:
        """Return nothing: there are no templates."""
        return []

    def encode(self, flows: FlowColumns, now: int) -> list[bytes]:
        """Return flows as datagrams.

        Flows that began more than 24 days ago, or end in the future, go in datagrams whose header tells a time of their own: the
        end of the last of them.
        """
        self.counts.flows += flows.rows
        # With whole milliseconds, as uptimes have them, times are told exactly.
        now = -(-now // 1000) * 1000
        four = self._fitting(flows)
        self.counts.ipv6 += flows.rows - int(four.sum())
        columns = _for_netflow5(flows, now)
        boot = self._uptime.at(now)
        within = (columns["flow_start"] >= boot) & (columns["flow_end"] <= now)
        made = self._sampled(columns, np.flatnonzero(four & within), np.full(flows.rows, now, np.int64), boot)
        odd = np.flatnonzero(four & ~within)
        if len(odd):
            made += self._dated(columns, odd)
        return made

    @staticmethod
    def _fitting(flows: FlowColumns) -> Mask:
        """Return which flows have no address of IPv6."""
        fitting = np.ones(flows.rows, np.bool_)
        for name in ("source_address", "destination_address"):
            has = flows.has(name)
            if has is not False:
                fitting &= is_ipv4(flows.values[name]) | np.logical_not(has)
        return fitting

    def _dated(self, columns: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> list[bytes]:
        """Return datagrams that tell a time of their own."""
        start, end = (np.clip(columns[name], 0, _LAST) for name in ("flow_start", "flow_end"))
        rows = rows[np.argsort(end[rows], kind="stable")]
        window = end[rows] // UPTIME
        edges = np.flatnonzero(np.diff(window, prepend=-1, append=-1))
        made: list[bytes] = []
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            boot = (int(window[first]) - 1) * UPTIME
            own = {**columns, "flow_start": np.maximum(start, boot), "flow_end": end}
            here = rows[first:last]
            changed = (own["flow_start"][here] != columns["flow_start"][here]) | (end[here] != columns["flow_end"][here])
            self.counts.times += int(changed.sum())
            made += self._sampled(own, here, -(-end // 1000) * 1000, boot)
        return made

    def _sampled(
        self, columns: dict[str, NDArray[Any]], rows: NDArray[np.int64], exported: NDArray[np.int64], boot: int
    ) -> list[bytes]:
        """Return datagrams of some rows, those of each sampling interval by themselves, as the header tells it."""
        made: list[bytes] = []
        interval = columns["sampling_interval"]
        for place in range(_SAMPLINGS + 1):
            if not len(rows):
                break
            sampling = int(interval[rows[0]]) if place < _SAMPLINGS else 0
            alike = interval[rows] == sampling if place < _SAMPLINGS else np.ones(len(rows), np.bool_)
            told = sampling if 0 < sampling <= _LARGEST_SAMPLING else 0
            here = rows[alike]
            if told != sampling or place == _SAMPLINGS:
                self.counts.sampling += len(here)
            everything = np.array_equal(here, np.arange(len(exported)))
            encoded = netflow5.encode(
                columns if everything else {name: values[here] for name, values in columns.items()},
                exported if everything else exported[here],
                domain=self.domain & 0xFFFF,
                boot=boot,
                sequence=self._sequence,
                sampling=told,
                payload=self.payload,
            )
            self._sequence = encoded.sequence
            self.counts.records += int(encoded.records.sum())
            made += encoded.payloads
            rows = rows[~alike]
        return made


def _for_netflow5(flows: FlowColumns, now: int) -> dict[str, NDArray[Any]]:
    """Return columns as `netflow5` takes them: all it needs, and times of every flow."""
    values = {name: flows.values[name] for name in _NETFLOW5 if name in flows.values}
    nobody = np.zeros((flows.rows, 16), np.uint8)
    nobody[:, 10:12] = 0xFF
    for name in ("source_address", "destination_address", "next_hop"):
        has = flows.has(name)
        address = values.get(name, nobody)
        values[name] = np.where((is_ipv4(address) & has)[:, None], address, nobody)
    nothing = np.zeros(flows.rows, np.int64)
    for name in ("protocol", "sampling_interval"):
        values.setdefault(name, nothing)
    values["tcp_flags"] = values.get("tcp_flags", nothing) & 0xFF
    for name in ("ingress_interface", "egress_interface"):
        values[name] = np.where(values.get(name, nothing) > 0xFFFF, 0xFFFF, values.get(name, nothing))
    has_type = flows.has("icmp_type")
    if has_type is not True and "icmp_type" in values:
        # Where there is none, what stands in the port goes on standing there.
        port = values.get("destination_port", nothing)
        values["icmp_type"] = np.where(has_type, values["icmp_type"], port >> 8)
        values["icmp_code"] = np.where(has_type, values.get("icmp_code", nothing), port & 0xFF)
    values["flow_end"] = _first(flows, ("flow_end", "flow_start", "received"), now)
    values["flow_start"] = _first(flows, ("flow_start", "flow_end", "received"), now)
    return values


def _first(flows: FlowColumns, names: tuple[str, ...], otherwise: int) -> NDArray[np.int64]:
    """Return the first of some times that each flow has."""
    found = np.full(flows.rows, otherwise, np.int64)
    for name in reversed(names):
        if name in flows.values:
            found = np.where(flows.has(name), flows.values[name], found)
    return found
