"""Arrivals: the datagrams of one protocol in a block, told apart by sender, and the counts that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture.batch import Columns, constant, times
from nftui.capture.counters import OTHER
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.exporters import MAX_UNKNOWN_ELEMENTS, Domain, Exporter, Exporters
from nftui.capture.health import LOST
from nftui.capture.messages import Headers
from nftui.capture.sequences import Stream, follow
from nftui.capture.sets import Integers, Octets
from nftui.capture.values import UNKNOWN_START, Batch
from nftui.elements import IANA
from nftui.units import SECOND

_KEY = np.dtype([("address", "V16"), ("domain", "<u4"), ("port", "<u2")])
_MOST_NAMED = 4096
"""Elements without a column of all senders in one block that are counted by name."""
REFUSED = "too many exporters or domains"
STRUCTURED = {(IANA, 291): "basicList", (IANA, 292): "subTemplateList", (IANA, 293): "subTemplateMultiList"}
"""Elements whose values are lists (RFC 6313): passed over by their length, and counted."""


@dataclass(frozen=True)
class Arrivals:
    """The datagrams of one protocol whose senders are known.

    Attributes:
        rows: Shape (datagrams,), their rows in the block, ascending.
        received: Shape (datagrams,), microseconds since 1970.
        ports: Shape (datagrams,), that they were sent from.
        headers: As read; shape (datagrams,) each.
        sender: Shape (datagrams,), an index into `domains` and `streams`.
        domains: The observation domain of each sender; None where there is no room for it.
        owners: The exporter of each sender.
        streams: The sequence of each sender.
        version: A key of `exporters.PROTOCOLS`.
        exporters: Where counts go.
        now: When the last of them was received, microseconds since 1970.
    """

    rows: Integers
    received: Integers
    ports: Integers
    headers: Headers
    sender: Integers
    domains: list[Domain | None]
    owners: list[Exporter]
    streams: list[Stream]
    version: int
    exporters: Exporters
    now: int

    def exporter(self, sender: int) -> Exporter:
        """Return a sender's exporter."""
        return self.owners[sender]

    @property
    def accepted(self) -> npt.NDArray[np.bool_]:
        """Shape (datagrams,), whether there was room for the sender."""
        known = np.array([domain is not None for domain in self.domains], np.bool_)
        return known[self.sender]

    def per_sender(self, datagrams: Integers, weights: npt.NDArray[np.int64] | None = None) -> list[tuple[int, int]]:
        """Return the senders of datagrams, each with their number or the sum of their weights; zero sums are left out."""
        sums = np.bincount(self.sender[datagrams], weights, len(self.domains))
        return [(sender, int(sums[sender])) for sender in np.flatnonzero(sums).tolist()]

    @cached_property
    def _of_domains(self) -> dict[str, pl.Series]:
        """Columns that follow from the domain alone, one row a sender."""
        known = [(domain.address, domain.number) if domain else (None, None) for domain in self.domains]
        columns = {
            "exporter_address": pl.Series("exporter_address", [one for one, _ in known], pl.Binary),
            "observation_domain": pl.Series("observation_domain", [one for _, one in known], pl.Int64),
        }
        corrections = [domain.clock.correction or None if domain else None for domain in self.domains]
        if any(corrections):
            columns["clock_correction"] = pl.Series("clock_correction", corrections, pl.Int64)
        return columns

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
            if (uptime := int(self.headers.uptime[datagram])) > 0:
                exporter.health.started = int(self.received[datagram]) - uptime * 1000
        for reason, mask in self.headers.malformed:
            if mask.any():
                self.count_malformed(reason, np.flatnonzero(mask))

    def read_clocks(self, threshold: int | None) -> None:
        """Measure the clock of each sender by the headers of its datagrams.

        Args:
            threshold: Microseconds of skew above which times are corrected; None for never.
        """
        skews = np.full(len(self.domains), np.iinfo(np.int64).max)
        np.minimum.at(skews, self.sender, self.received - self.headers.export_time)
        for domain, skew in zip(self.domains, skews.tolist(), strict=True):
            if domain is None:
                continue
            exporter = domain.exporter
            if domain.clock.measure(skew, threshold, self.now):
                correction = domain.clock.correction
                words = (
                    f"clock off by {-skew / SECOND:.0f} s, corrected by {correction / SECOND:.0f} s"
                    if correction
                    else "clock is right"
                )
                self.exporters.tell(exporter, self.now, words)
            exporter.clock_skew = round(skew / SECOND, 3)
            exporter.clock_correction = round(domain.clock.correction / SECOND, 3)

    def count_malformed(self, reason: str, datagrams: Integers) -> None:
        """Count something malformed once for each datagram given."""
        self.count(self.exporters.malformed, reason, datagrams)

    def count_flows(self, flows: Integers) -> None:
        """Count flows; shape (datagrams,)."""
        for sender, number in self.per_sender(np.arange(len(flows)), flows):
            self.exporter(sender).flows += number

    def count_reverse(self, datagrams: Integers) -> None:
        """Count rows of the other direction, once for each datagram given."""
        for sender, number in self.per_sender(datagrams):
            exporter = self.exporter(sender)
            exporter.reverse_flows += number
            exporter.flows += number

    def count_records(self, batch: Batch, datagram: Integers) -> None:
        """Count what a batch left out and the elements that no column takes; `datagram` has the shape (records,)."""
        for reason, mask in batch.left_out:
            tell = self.exporters.unread if reason == UNKNOWN_START else self.exporters.malformed
            self.count(tell, reason, datagram[mask])
        if names := batch.layout.unknown_names:
            for place, (sender, number) in enumerate(self.per_sender(datagram)):
                # With very many senders of very many such elements these are not told apart.
                for element in names if place * len(names) < _MOST_NAMED else (OTHER,):
                    self.count_element(sender, element, number)
                for structured in STRUCTURED.keys() & set(batch.layout.unknown):
                    self.exporters.unread(self.exporter(sender), self.now, f"{STRUCTURED[structured]} passed over", number)

    def count_element(self, sender: int, name: str, number: int) -> None:
        """Count an element, or another kind of structure, that no column takes."""
        exporter = self.exporter(sender)
        self.exporters.count(exporter, exporter.unknown_elements, name, number, MAX_UNKNOWN_ELEMENTS, self.now)

    def count(self, tell: Callable[[Exporter, int, str, int], None], reason: str, datagrams: Integers) -> None:
        """Count something of each sender, once for each datagram given."""
        for sender, number in self.per_sender(datagrams):
            tell(self.exporter(sender), self.now, reason, number)

    def count_losses(self, step: Integers) -> None:
        """Follow the sequences; `step`, shape (datagrams,), is what each datagram adds to its number."""
        changes = follow(self.streams, self.sender, self.headers.sequence, step, self.headers.uptime)
        for sender, (lost, restarts) in changes.items():
            exporter = self.exporter(sender)
            exporter.sequence_lost += lost
            exporter.health.lose(self.version, lost, self.now)
            if lost > 0:
                words = f"{lost:,} {LOST.get(self.version, 'datagrams')} lost: gap in sequence numbers"
                self.exporters.tell(exporter, self.now, words, "gap")
            if restarts:
                exporter.restarts += restarts
                exporter.health.restarted_at = self.now
                self.exporters.tell(exporter, self.now, "sequence begins anew: restarted")

    def common_columns(self, datagram: Integers) -> Columns:
        """Return the columns that every flow has.

        Args:
            datagram: Shape (flows,), the datagram of each.
        """
        rows = len(datagram)
        columns: Columns = {
            "received": times("received", self.received[datagram]),
            "protocol_version": constant("protocol_version", self.version, rows),
        }
        if len(self.domains) == 1 and self.domains[0]:
            domain = self.domains[0]
            columns["exporter_address"] = constant("exporter_address", domain.address, rows)
            columns["observation_domain"] = constant("observation_domain", domain.number, rows)
            if domain.clock.correction:
                columns["clock_correction"] = constant("clock_correction", domain.clock.correction, rows)
            return columns
        sender = pl.Series(self.sender[datagram].astype(np.uint32))
        for name, values in self._of_domains.items():
            columns[name] = values.gather(sender)
        return columns


def tell_apart(
    block: DatagramBlock, rows: Integers, headers: Headers, version: int, exporters: Exporters, agents: Octets | None = None
) -> Arrivals:
    """Find the sender of each datagram of one protocol: address, domain and port.

    Args:
        block: The datagrams.
        rows: The rows of the protocol, ascending.
        headers: Of those rows.
        version: A key of `exporters.PROTOCOLS`.
        exporters: Known ones; new ones are added.
        agents: Shape (rows, 16), where the datagrams themselves name their exporter.
    """
    keys = np.empty(len(rows), _KEY)
    keys["address"] = np.ascontiguousarray(block.exporter[rows] if agents is None else agents).view("V16")[:, 0]
    keys["domain"], keys["port"] = headers.domain, block.source_port[rows]
    raw, size = keys.tobytes(), _KEY.itemsize
    table: dict[bytes, int] = {}
    sender = [table.setdefault(raw[at : at + size], len(table)) for at in range(0, len(raw), size)]
    received, ports = block.received[rows], block.source_port[rows]
    now = int(received.max())
    domains: list[Domain | None] = []
    owners: list[Exporter] = []
    streams: list[Stream] = []
    for key in table:
        address, number, port = key[:16], int.from_bytes(key[16:20], "little"), int.from_bytes(key[20:], "little")
        domain = exporters.domain(address, version, number, now)
        if domain is not None:
            domain.lasting |= block.lasting
        domains.append(domain)
        owners.append(domain.exporter if domain else exporters.exporter(address, now))
        streams.append(exporters.stream(domain, port, now))
    for owner in owners:
        exporters.met[owner.settled(now)] += 1
    return Arrivals(rows, received, ports, headers, np.array(sender, np.int64), domains, owners, streams, version, exporters, now)
