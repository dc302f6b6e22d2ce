"""The decoder: blocks of datagrams in, frames of flows out. It keeps templates and counters, and knows no socket or clock.

Datagrams are told apart by their first two octets, the version, and each protocol's are read together. What can't be read is
counted by exporter and reason; nothing a datagram holds raises. Ports tell nothing, but for 6343, where everything is sFlow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from nftui.capture import agents, completion, ipfix, netflow5, netflow9, sflow
from nftui.capture.arrivals import tell_apart
from nftui.capture.batch import columns_of
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.exporters import OTHER, Exporter, Exporters
from nftui.capture.sets import Integers, Octets
from nftui.capture.sockets import SFLOW_PORT
from nftui.capture.template_sets import READ_HEADERS, Reader
from nftui.capture.values import Batch
from nftui.units import SECOND

_LEAST_WIDTH = 24
HEADER_SIZES = {
    **netflow5.HEADER_SIZES,
    netflow9.VERSION: netflow9.HEADER_SIZE,
    ipfix.VERSION: ipfix.HEADER_SIZE,
}
_NO_VERSION, _SFLOW = -1, 1 << 16
TEMPLATES_REFUSED = "saved templates not usable"
_SWEEP_US = 60 * SECOND


@dataclass(frozen=True)
class Rules:
    """What a collector does with time. The defaults are those for files, whose times may be of any year.

    Attributes:
        clock_threshold: Microseconds of skew above which exported times are corrected; None for never.
        template_lifetime: Microseconds after which a template that was not said again is forgotten; None for never.
        held_age: Microseconds that data waits for its template; None for as long as there is room.
        sampling: The interval that the user states for an exporter's 16 octets, 0 for none.
    """

    clock_threshold: int | None = None
    template_lifetime: int | None = None
    held_age: int | None = None
    sampling: Callable[[bytes], int] = lambda address: 0


class Decoder:
    """Decodes NetFlow v1, v5, v7, v9, IPFIX and sFlow.

    Attributes:
        events: (microseconds since 1970, text) of what is worth telling, the latest last; bounded.
    """

    def __init__(self, rules: Rules | None = None) -> None:
        """Begin without templates; `rules` None for those of files."""
        self._rules = rules or Rules()
        self._exporters = Exporters(self._rules.sampling)
        self.events: deque[tuple[int, str]] = self._exporters.events
        self._datagrams = self._flows = 0
        self._swept = 0

    def decode(self, block: DatagramBlock) -> list[pl.DataFrame]:
        """Decode a block.

        Args:
            block: The datagrams; nothing of it is kept.
        Returns:
            Frames with columns of `schema.COLUMNS`, those present, in their order; each has at least received,
            exporter_address, observation_domain and protocol_version. Flows of one frame are in the order of arrival.
        """
        if not len(block.length):
            return []
        self._datagrams += len(block.length)
        payload, length = _wide(block.payload), block.length.astype(np.int64)
        version = payload[:, 0].astype(np.int64) << 8 | payload[:, 1]
        version[length < 2] = _NO_VERSION
        version[(version == 0) & (length >= 4) & (payload[:, 2] == 0) & (payload[:, 3] == sflow.VERSION)] = _SFLOW
        if block.local_port == SFLOW_PORT:
            version[:] = _SFLOW
        frames: list[pl.DataFrame] = []
        for number in np.unique(version).tolist():
            rows = np.flatnonzero(version == number)
            if number == _SFLOW:
                frames += self._sflow(block, payload, rows, length[rows])
                continue
            if number not in HEADER_SIZES:
                self._unread(block, payload, rows, length[rows], number)
                continue
            short = length[rows] < HEADER_SIZES[number]
            if short.any():
                self._short(block, rows[short], length[rows[short]])
                rows = rows[~short]
            if len(rows):
                decode = self._fixed if number in netflow5.PROTOCOLS else self._template_protocol
                frames += decode(block, payload, rows, length[rows], number)
        self._sweep(int(block.received[-1]))
        self._flows += sum(len(frame) for frame in frames)
        return frames

    def follow(self, rules: Rules) -> None:
        """Read what comes from now on by other rules."""
        self._rules = rules
        self._exporters.follow(rules.sampling)

    def finish(self, now_us: int = 0) -> None:
        """Give up what still waits for its template, and count it: nothing more will come."""
        self._exporters.expire(now_us, None, np.iinfo(np.int64).max)

    def note(self, address: bytes, now_us: int, reason: str, times: int = 1) -> None:
        """Count what was malformed before it became a datagram; the exporter's 16 octets, microseconds since 1970."""
        self._exporters.malformed(self._exporters.exporter(address, now_us), now_us, reason, times)

    def status(self, now_us: int) -> dict[str, Any]:
        """Return all counters as JSON-able values; `now_us` in microseconds since 1970."""
        exporters = list(self._exporters.by_address.values())
        if self._exporters.other.datagrams:
            exporters.append(self._exporters.other)
        return {
            "datagrams": self._datagrams,
            "flows": self._flows,
            "held_octets": self._exporters.held.octets,
            "exporters": [exporter.status(now_us) for exporter in exporters],
        }

    def revision(self) -> tuple[int, int]:
        """Return a value that changes when what `save_templates` returns does."""
        return self._exporters.changes, sum(domain.system_init for domain in self._exporters.domains.values())

    def save_templates(self) -> dict[str, Any]:
        """Return what exporters announced, as JSON-able values."""
        return self._exporters.save()

    def load_templates(self, saved: object, now_us: int = 0) -> int:
        """Take back what `save_templates` returned.

        Returns:
            How many entries were not usable; they are left out, and told as an event.
        """
        refused = self._exporters.load(saved, now_us)
        if refused:
            self.events.append((now_us, f"{TEMPLATES_REFUSED}: {refused}"))
        return refused

    def held_revision(self) -> tuple[int, int]:
        """Return how often data sets were held back, and how often some were taken out again."""
        return self._exporters.held.changes, self._exporters.held.taken

    def save_held(self) -> list[Any]:
        """Return the data sets that wait for their template, as plain values."""
        return self._exporters.held.save()

    def load_held(self, saved: list[Any]) -> int:
        """Take back what `save_held` returned, but for what was read since: data whose template is known.

        Returns:
            How many entries were not usable.
        """
        refused = self._exporters.held.load(saved)
        for domain in self._exporters.domains.values():
            for template in domain.templates:
                self._exporters.held.release(domain.key, template)
        return refused

    def interfaces(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return what is known of interfaces, by exporter and index: names from options data, counters from sFlow."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for domain in self._exporters.domains.values():
            for index, (name, description) in domain.tables.interfaces.items():
                entry = found.setdefault(domain.exporter.address, {}).setdefault(str(index), {})
                entry.update({"name": name, "description": description})
        for exporter in self._exporters.by_address.values():
            for key, values in exporter.interfaces.as_dict().items():
                found.setdefault(exporter.address, {}).setdefault(key, {}).update(values)
        return found

    def interfaces_revision(self) -> int:
        """Return a value that changes when what `interfaces` returns may have."""
        exporters = self._exporters
        return exporters.changes + sum(one.interfaces.changes for one in exporters.by_address.values())

    def _fixed(self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers, version: int) -> list[pl.DataFrame]:
        """Decode a protocol with records of one form."""
        records = netflow5.decode(payload, rows, length, version)
        arrivals = tell_apart(block, rows, records.headers, version, self._exporters)
        arrivals.count_datagrams(length)
        arrivals.read_clocks(self._rules.clock_threshold)
        if version != 1:
            arrivals.count_losses(records.count)
        octets, datagram, accepted = records.octets, records.datagram, arrivals.accepted
        if not accepted.all():
            keep = accepted[datagram]
            octets, datagram = octets[keep], datagram[keep]
        if not len(octets):
            return []
        arrivals.count_flows(np.bincount(datagram, minlength=len(rows)))
        layout = netflow5.PROTOCOLS[version].record
        batch = Batch(layout, octets, datagram, records.headers.export_time, records.headers.uptime)
        columns = columns_of(batch)
        arrivals.count_records(batch, datagram)
        header = records.sampling[datagram] if records.sampling.any() else None
        return completion.frames(arrivals, columns, datagram, header=header)

    def _template_protocol(
        self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers, version: int
    ) -> list[pl.DataFrame]:
        headers = READ_HEADERS[version](payload, rows, length)
        arrivals = tell_apart(block, rows, headers, version, self._exporters)
        arrivals.count_datagrams(length)
        arrivals.read_clocks(self._rules.clock_threshold)
        return Reader(payload, arrivals).read()

    def _sflow(self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers) -> list[pl.DataFrame]:
        frames, wrong = agents.read(block, payload, rows, length, self._exporters)
        octets = dict(zip(rows.tolist(), length.tolist(), strict=True)) if wrong else {}
        for row, reason in wrong:
            exporter, now = self._count(block, row, octets[row])
            self._exporters.malformed(exporter, now, reason, 1)
        return frames

    def _sweep(self, now: int) -> None:
        """Once a minute, forget what is too old."""
        if now - self._swept < _SWEEP_US and self._swept <= now:
            return
        self._swept = now
        age = self._rules.held_age
        self._exporters.expire(now, self._rules.template_lifetime, 0 if age is None else now - age)

    def _unread(self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers, version: int) -> None:
        """Count datagrams of protocols that are not read."""
        for row, octets in zip(rows.tolist(), length.tolist(), strict=True):
            exporter, now = self._count(block, row, octets)
            head = payload[row, : min(octets, 4)].tobytes()
            known = "" if exporter.address == OTHER else f", first octets {head[:2].hex(' ') or 'none'}"
            reason = f"unknown protocol{known}"
            self._exporters.unread(exporter, now, reason, 1)

    def _short(self, block: DatagramBlock, rows: Integers, length: Integers) -> None:
        """Count datagrams too short to say their domain."""
        for row, octets in zip(rows.tolist(), length.tolist(), strict=True):
            exporter, now = self._count(block, row, octets)
            self._exporters.malformed(exporter, now, "datagram shorter than its header", 1)

    def _count(self, block: DatagramBlock, row: int, octets: int) -> tuple[Exporter, int]:
        now = int(block.received[row])
        exporter = self._exporters.exporter(block.exporter[row].tobytes(), now)
        exporter.datagrams += 1
        exporter.octets += octets
        exporter.last_seen = max(exporter.last_seen, now)
        return exporter, now


def _wide(payload: Octets) -> Octets:
    """Return the block C-contiguous and wide enough for every header."""
    if payload.shape[1] < _LEAST_WIDTH:
        wide = np.zeros((len(payload), _LEAST_WIDTH), np.uint8)
        wide[:, : payload.shape[1]] = payload
        return wide
    return np.ascontiguousarray(payload)
