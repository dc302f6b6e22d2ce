"""The decoder: blocks of datagrams in, frames of flows out, and a count of everything that did not become a flow.

The protocol is told by content: the first two octets are the version. Nothing is lost silently; `status` has the counters of each
exporter. No I/O, no clock: the times are those at which datagrams were received.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import polars as pl

from nftui.capture import ipfix, netflow5, netflow9
from nftui.capture.arrivals import Arrivals, tell_apart
from nftui.capture.batch import constant, frame_of
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.exporters import OTHER, Exporter, Exporters
from nftui.capture.sets import Integers, Octets
from nftui.capture.template_sets import Reader
from nftui.capture.values import Batch

SFLOW_PORT = 6343
_LEAST_WIDTH = 24
HEADER_SIZES = {
    netflow5.VERSION: netflow5.HEADER_SIZE,
    netflow9.VERSION: netflow9.HEADER_SIZE,
    ipfix.VERSION: ipfix.HEADER_SIZE,
}
_NO_VERSION = -1
NOT_YET = {1: "NetFlow v1 not read yet", 7: "NetFlow v7 not read yet"}
SFLOW = "sFlow not read yet"
TEMPLATES_REFUSED = "saved templates not usable"


class Decoder:
    """Decodes NetFlow v5, v9 and IPFIX.

    Attributes:
        events: (microseconds since 1970, text) of what is worth telling, the latest last; bounded.
    """

    def __init__(self) -> None:
        self._exporters = Exporters()
        self.events: deque[tuple[int, str]] = self._exporters.events
        self._datagrams = self._flows = 0

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
        if block.local_port == SFLOW_PORT:
            version[:] = 0
        frames: list[pl.DataFrame] = []
        for number in np.unique(version).tolist():
            rows = np.flatnonzero(version == number)
            if number not in HEADER_SIZES:
                self._unread(block, payload, rows, length[rows], number)
                continue
            short = length[rows] < HEADER_SIZES[number]
            if short.any():
                self._short(block, rows[short], length[rows[short]])
                rows = rows[~short]
            if len(rows):
                decode = self._netflow5 if number == netflow5.VERSION else self._template_protocol
                frames += decode(block, payload, rows, length[rows], number)
        self._flows += sum(len(frame) for frame in frames)
        return frames

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

    def _netflow5(
        self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers, version: int
    ) -> list[pl.DataFrame]:
        headers, sampling, records, datagram, count = netflow5.decode(payload, rows, length)
        arrivals = tell_apart(block, rows, headers, version, self._exporters)
        arrivals.count_datagrams(length)
        arrivals.count_losses(count)
        accepted = arrivals.accepted
        if not accepted.all():
            keep = accepted[datagram]
            records, datagram = records[keep], datagram[keep]
        if not len(records):
            return []
        arrivals.count_flows(np.bincount(datagram, minlength=len(rows)))
        batch = Batch(netflow5.RECORD, records, datagram, headers.export_time, headers.uptime)
        frame = frame_of(batch, arrivals.common_columns(datagram) | _sampling(sampling, datagram))
        arrivals.count_records(batch, datagram)
        return [frame]

    def _template_protocol(
        self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers, version: int
    ) -> list[pl.DataFrame]:
        read_headers = netflow9.read_headers if version == netflow9.VERSION else ipfix.read_headers
        arrivals: Arrivals = tell_apart(block, rows, read_headers(payload, rows, length), version, self._exporters)
        arrivals.count_datagrams(length)
        return Reader(payload, arrivals).read()

    def _unread(self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers, version: int) -> None:
        """Count datagrams of protocols that are not read."""
        for row, octets in zip(rows.tolist(), length.tolist(), strict=True):
            exporter, now = self._count(block, row, octets)
            head = payload[row, : min(octets, 4)].tobytes()
            if block.local_port == SFLOW_PORT or (version == 0 and head == b"\0\0\0\x05"):
                reason = SFLOW
            elif exporter.address == OTHER:
                reason = "unknown protocol"
            else:
                reason = NOT_YET.get(version) or f"unknown protocol, first octets {head[:2].hex(' ') or 'none'}"
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


def _sampling(interval: Integers, datagram: Integers) -> dict[str, pl.Series]:
    """Return the sampling columns that a header fills, when one of them does."""
    if not interval.any():
        return {}
    of_flow = pl.Series("sampling_interval", interval[datagram])
    known = of_flow > 0
    rows = len(datagram)
    return {
        "sampling_interval": of_flow.set(~known, None),
        "sampling_source": constant("sampling_source", "header", rows).zip_with(
            known, pl.Series([None], dtype=pl.String).new_from_index(0, rows)
        ),
    }
