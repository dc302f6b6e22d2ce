"""Arrivals: the datagrams of one protocol in a block, told apart by sender, and the counts that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture.batch import constant, times
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.exporters import MAX_UNKNOWN_ELEMENTS, Domain, Exporter, Exporters, add
from nftui.capture.messages import Headers
from nftui.capture.sequences import Stream, follow
from nftui.capture.sets import Integers
from nftui.capture.values import UNKNOWN_START, Batch
from nftui.units import SECOND

_KEY = np.dtype([("address", "V16"), ("domain", "<u4"), ("port", "<u2")])
REFUSED = "too many exporters or domains"


@dataclass(frozen=True)
class Arrivals:
    """The datagrams of one protocol whose senders are known.

    Attributes:
        rows: Shape (datagrams,), their rows in the block, ascending.
        received: Shape (datagrams,), microseconds since 1970.
        headers: As read; shape (datagrams,) each.
        sender: Shape (datagrams,), an index into `domains` and `streams`.
        domains: The observation domain of each sender.
        streams: The sequence of each sender.
        version: 5, 9 or 10.
        exporters: Where counts go.
        now: When the last of them was received, microseconds since 1970.
    """

    rows: Integers
    received: Integers
    headers: Headers
    sender: Integers
    domains: list[Domain | None]
    streams: list[Stream]
    version: int
    exporters: Exporters
    now: int

    def exporter(self, sender: int) -> Exporter:
        """Return a sender's exporter."""
        domain = self.domains[sender]
        return domain.exporter if domain else self.exporters.other

    @property
    def accepted(self) -> npt.NDArray[np.bool_]:
        """Shape (datagrams,), whether there was room for the sender."""
        known = np.array([domain is not None for domain in self.domains], np.bool_)
        return known[self.sender]

    def per_sender(self, datagrams: Integers, weights: npt.NDArray[np.int64] | None = None) -> list[tuple[int, int]]:
        """Return the senders of datagrams, each with their number or the sum of their weights; zero sums are left out."""
        sums = np.bincount(self.sender[datagrams], weights, len(self.domains))
        return [(sender, int(sums[sender])) for sender in np.flatnonzero(sums).tolist()]

    def count_datagrams(self, octets: Integers) -> None:
        """Count the datagrams, what is malformed about them, the clock and who was refused."""
        everything = np.arange(len(self.rows))
        for sender, datagrams in self.per_sender(everything):
            exporter = self.exporter(sender)
            exporter.datagrams += datagrams
            if self.domains[sender] is None:
                self.exporters.unread(exporter, self.now, REFUSED, datagrams)
        for sender, total in self.per_sender(everything, octets):
            self.exporter(sender).octets += total
        last = np.zeros(len(self.domains), np.int64)
        last[self.sender] = everything
        for sender, datagram in enumerate(last.tolist()):
            exporter = self.exporter(sender)
            exporter.last_seen = max(exporter.last_seen, int(self.received[datagram]))
            skew = int(self.received[datagram] - self.headers.export_time[datagram])
            exporter.clock_skew = round(skew / SECOND, 3)
        for reason, mask in self.headers.malformed:
            if mask.any():
                self.count_malformed(reason, np.flatnonzero(mask))

    def count_malformed(self, reason: str, datagrams: Integers) -> None:
        """Count something malformed once for each datagram given."""
        for sender, number in self.per_sender(datagrams):
            self.exporters.malformed(self.exporter(sender), self.now, reason, number)

    def count_flows(self, flows: Integers) -> None:
        """Count flows; shape (datagrams,)."""
        for sender, number in self.per_sender(np.arange(len(flows)), flows):
            self.exporter(sender).arrived(self.now, number)

    def count_records(self, batch: Batch, datagram: Integers) -> None:
        """Count what a batch left out and the elements that no column takes; `datagram` has the shape (records,)."""
        for reason, mask in batch.left_out:
            tell = self.exporters.unread if reason == UNKNOWN_START else self.exporters.malformed
            for sender, number in self.per_sender(datagram[mask]):
                tell(self.exporter(sender), self.now, reason, number)
        if batch.layout.unknown:
            for sender, number in self.per_sender(datagram):
                for element in batch.layout.unknown_names:
                    add(self.exporter(sender).unknown_elements, element, number, MAX_UNKNOWN_ELEMENTS)

    def count_losses(self, step: Integers) -> None:
        """Follow the sequences; `step`, shape (datagrams,), is what each datagram adds to its number."""
        changes = follow(self.streams, self.sender, self.headers.sequence, step, self.headers.uptime)
        for sender, (lost, restarts) in changes.items():
            exporter = self.exporter(sender)
            exporter.sequence_lost += lost
            if restarts:
                exporter.restarts += restarts
                self.exporters.tell(exporter, self.now, "sequence begins anew: restarted")

    def common_columns(self, datagram: Integers) -> dict[str, pl.Series]:
        """Return the columns that every flow has.

        Args:
            datagram: Shape (flows,), the datagram of each.
        """
        rows = len(datagram)
        columns = {
            "received": times("received", self.received[datagram]),
            "protocol_version": constant("protocol_version", self.version, rows),
        }
        if len(self.domains) == 1 and self.domains[0]:
            columns["exporter_address"] = constant("exporter_address", self.domains[0].address, rows)
            columns["observation_domain"] = constant("observation_domain", self.domains[0].number, rows)
            return columns
        sender = pl.Series(self.sender[datagram].astype(np.uint32))
        known = [(domain.address, domain.number) if domain else (None, None) for domain in self.domains]
        columns["exporter_address"] = pl.Series("exporter_address", [one for one, _ in known], pl.Binary).gather(sender)
        columns["observation_domain"] = pl.Series("observation_domain", [one for _, one in known], pl.Int64).gather(sender)
        return columns


def tell_apart(block: DatagramBlock, rows: Integers, headers: Headers, version: int, exporters: Exporters) -> Arrivals:
    """Find the sender of each datagram of one protocol: address, domain and port.

    Args:
        block: The datagrams.
        rows: The rows of the protocol, ascending.
        headers: Of those rows.
        version: 5, 9 or 10.
        exporters: Known ones; new ones are added.
    """
    keys = np.empty(len(rows), _KEY)
    keys["address"] = np.ascontiguousarray(block.exporter[rows]).view("V16")[:, 0]
    keys["domain"], keys["port"] = headers.domain, block.source_port[rows]
    raw, size = keys.tobytes(), _KEY.itemsize
    table: dict[bytes, int] = {}
    sender = [table.setdefault(raw[at : at + size], len(table)) for at in range(0, len(raw), size)]
    received = block.received[rows]
    now = int(received.max())
    domains: list[Domain | None] = []
    streams: list[Stream] = []
    for key in table:
        address, number, port = key[:16], int.from_bytes(key[16:20], "little"), int.from_bytes(key[20:], "little")
        domains.append(exporters.domain(address, version, number, now))
        streams.append(exporters.stream(address, version, number, port))
    return Arrivals(rows, received, headers, np.array(sender, np.int64), domains, streams, version, exporters, now)
