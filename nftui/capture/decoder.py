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

from nftui.capture import agents, completion, ipfix, netflow5, netflow9, saved
from nftui.capture.admission import Admission
from nftui.capture.allowed import AllowList, Strangers
from nftui.capture.arrivals import tell_apart
from nftui.capture.batch import columns_of
from nftui.capture.budgets import BACKLOG, Budgets
from nftui.capture.counters import OTHER
from nftui.capture.datagrams import ROWS, DatagramBlock
from nftui.capture.exporters import Exporter, Exporters
from nftui.capture.kinds import OUT, SFLOW, UNKNOWN, VERSIONS, kinds_of
from nftui.capture.roster import Roster
from nftui.capture.sets import Integers, Octets
from nftui.capture.template_sets import READ_HEADERS, Reader
from nftui.capture.values import Batch
from nftui.units import SECOND

_LEAST_WIDTH = 24
HEADER_SIZES = {
    **netflow5.HEADER_SIZES,
    netflow9.VERSION: netflow9.HEADER_SIZE,
    ipfix.VERSION: ipfix.HEADER_SIZE,
}
MAX_HEADS = 64
"""Different first octets of one block, of protocols that are not read, that are told apart."""
Tell = Callable[[Exporter, int, str, int], None]
TEMPLATES_REFUSED = "saved templates not usable"
_SWEEP_US = 60 * SECOND
SMALL = ROWS // 8
"""Datagrams of a block that is read whole, whatever it costs, unless larger ones came lately: there is time for it."""
CALM_US = 10 * SECOND
"""How long after a larger one."""


@dataclass(frozen=True)
class Rules:
    """What a collector does with time, and whom it listens to. The defaults are those for files, whose times may be of any year.

    Attributes:
        clock_threshold: Microseconds of skew above which exported times are corrected; None for never.
        template_lifetime: Microseconds after which a template that was not said again is forgotten; None for never.
        held_age: Microseconds that data waits for its template; None for as long as there is room.
        sampling: The interval that the user states for an exporter's 16 octets, 0 for none.
        name: What the user calls it, empty for nothing.
        allow: Who is listened to; None for everybody.
        live: Whether datagrams come as fast as their senders please: what is dear is limited by the second, newcomers have to be
            seen again while very many come, and who sends little makes room. A file is read whole, however long that takes.
    """

    clock_threshold: int | None = None
    template_lifetime: int | None = None
    held_age: int | None = None
    sampling: Callable[[bytes], int] = lambda address: 0
    name: Callable[[bytes], str] = lambda address: ""
    allow: AllowList | None = None
    live: bool = False


class Decoder:
    """Decodes NetFlow v1, v5, v7, v9, IPFIX and sFlow.

    Attributes:
        events: (microseconds since 1970, text) of what is worth telling, the latest last; bounded.
    """

    def __init__(self, rules: Rules | None = None) -> None:
        """Begin without templates; `rules` None for those of files."""
        self._rules = rules or Rules()
        self._exporters = Exporters(self._rules.sampling, self._rules.name, live=self._rules.live)
        self._roster = Roster(self._exporters, self._rules.held_age)
        self._budgets = Budgets() if self._rules.live else None
        self._admission = Admission(self._exporters, self._budgets) if self._budgets else None
        self._strangers = Strangers()
        self.events: deque[tuple[int, str]] = self._exporters.events
        self._datagrams = self._flows = 0
        self._swept = self._calm_from = 0
        self._spending: Budgets | None = None

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
        kind = kinds_of(payload, length, block.local_port)
        now = int(block.received[-1])
        if self._rules.allow is not None:
            self._turn_away(block, kind, self._rules.allow, now)
        frames: list[pl.DataFrame] = []
        self._spending = self._budgets if self._is_busy(block, now) else None
        if self._budgets is not None and len(block.length) >= ROWS:
            self._budgets.press()
            if block.backlog > BACKLOG:
                self._budgets.press_all(block.backlog)
        if self._admission is not None and not block.lasting:
            for earlier in self._admission.admit(block, payload, length, kind, now):
                early, size = _wide(earlier.payload), earlier.length
                frames += self._read(earlier, early, size, kinds_of(early, size, earlier.local_port))
        frames += self._read(block, payload, length, kind)
        self._exporters.settle()
        self._sweep(now)
        self._flows += sum(len(frame) for frame in frames)
        return frames

    def _read(self, block: DatagramBlock, payload: Octets, length: Integers, kind: Octets) -> list[pl.DataFrame]:
        """Decode the datagrams that are let in, the protocols one after the other."""
        frames: list[pl.DataFrame] = []
        for number in np.flatnonzero(np.bincount(kind)).tolist():
            if number == OUT:
                continue
            rows = np.flatnonzero(kind == number)
            if number == SFLOW:
                frames += self._sflow(block, payload, rows, length[rows])
                continue
            if number == UNKNOWN:
                self._unread(block, payload, rows, length[rows])
                continue
            version = VERSIONS[number]
            short = length[rows] < HEADER_SIZES[version]
            if short.any():
                self._short(block, rows[short], length[rows[short]])
                rows = rows[~short]
            if len(rows):
                decode = self._fixed if version in netflow5.PROTOCOLS else self._template_protocol
                frames += decode(block, payload, rows, length[rows], version)
        return frames

    def _is_busy(self, block: DatagramBlock, now: int) -> bool:
        """Return whether what is dear has to be paid for: while there is time, the first minute of a great network is read whole.

        What comes over a connection can wait, and says its templates once.
        """
        if len(block.length) >= SMALL:
            self._calm_from = now + CALM_US
        return not block.lasting and (len(block.length) >= SMALL or self._calm_from - CALM_US <= now < self._calm_from)

    def follow(self, rules: Rules) -> None:
        """Read what comes from now on by other rules."""
        self._rules = rules
        self._exporters.follow(rules.sampling, rules.name)

    def _turn_away(self, block: DatagramBlock, kind: Octets, allow: AllowList, now: int) -> None:
        """Leave out what comes from addresses that are not on the list."""
        allowed = allow.mask(block.exporter)
        if not allowed.all():
            kind[~allowed] = OUT
            for news in self._strangers.count(block.exporter[~allowed], block.length[~allowed], now):
                self.events.append((now, news))

    def finish(self, now_us: int = 0) -> None:
        """Give up what still waits for its template, and count it: nothing more will come."""
        self._exporters.expire(now_us, None, np.iinfo(np.int64).max)

    def note(self, address: bytes, now_us: int, reason: str, times: int = 1) -> None:
        """Count what was malformed before it became a datagram; the exporter's 16 octets, microseconds since 1970."""
        if self._rules.allow is not None and address not in self._rules.allow:
            for news in self._strangers.count(
                np.frombuffer(address, np.uint8).reshape(1, 16), np.zeros(times, np.int64)[:1], now_us
            ):
                self.events.append((now_us, news))
            return
        self._exporters.malformed(self._exporters.exporter(address, now_us), now_us, reason, times)

    def status(self, now_us: int, *, hurry: bool = False) -> dict[str, Any]:
        """Return all counters as JSON-able values.

        Args:
            now_us: Microseconds since 1970.
            hurry: Whether the entries of thousands of exporters may be some seconds old, and short: nothing is decoded meanwhile.
        """
        exporters = self._exporters
        return {
            "datagrams": self._datagrams,
            "flows": self._flows,
            "exporters_known": len(exporters.by_address),
            "sequence_lost": sum(one.sequence_lost for one in (*exporters.by_address.values(), exporters.other)),
            "held_octets": exporters.held.octets,
            "waiting_datagrams": self._admission.newcomers.waiting.datagrams if self._admission else 0,
            "unknown_exporters": self._strangers.status(),
            "exporters": self._roster.entries(now_us, hurry=hurry),
        }

    def revision(self) -> tuple[int, int]:
        """Return a value that changes when what `save_templates` returns does."""
        return self._exporters.changes, sum(domain.system_init for domain in self._exporters.domains.values())

    def save_templates(self) -> dict[str, Any]:
        """Return what exporters announced, as JSON-able values."""
        return saved.save(self._exporters)

    def load_templates(self, values: object, now_us: int = 0) -> int:
        """Take back what `save_templates` returned.

        Returns:
            How many entries were not usable; they are left out, and told as an event.
        """
        refused = saved.load(self._exporters, values, now_us)
        if refused:
            self.events.append((now_us, f"{TEMPLATES_REFUSED}: {refused}"))
        return refused

    def held_revision(self) -> tuple[int, int]:
        """Return how often data sets were held back, and how often some were taken out again."""
        return self._exporters.held.changes, self._exporters.held.taken

    def save_held(self) -> list[Any]:
        """Return the data sets that wait for their template, as plain values."""
        return self._exporters.held.save()

    def load_held(self, values: list[Any]) -> int:
        """Take back what `save_held` returned, but for what was read since: data whose template is known.

        Returns:
            How many entries were not usable.
        """
        refused = self._exporters.held.load(values)
        for domain in self._exporters.domains.values():
            for template in domain.templates:
                self._exporters.held.release(domain.key, template)
            for template in self._exporters.held.account(domain.key):
                domain.wait_for(template)
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
        return Reader(payload, arrivals, self._spending).read()

    def _sflow(self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers) -> list[pl.DataFrame]:
        frames, wrong = agents.read(block, payload, rows, length, self._exporters)
        for reason, places in wrong:
            self._count(block, rows[places], length[places], self._exporters.malformed, reason)
        return frames

    def _sweep(self, now: int) -> None:
        """Once a minute, forget what is too old."""
        if now - self._swept < _SWEEP_US and self._swept <= now:
            return
        self._swept = now
        if self._admission is not None:
            self._admission.sweep(now)
        age = self._rules.held_age
        self._exporters.expire(now, self._rules.template_lifetime, 0 if age is None else now - age)

    def _unread(self, block: DatagramBlock, payload: Octets, rows: Integers, length: Integers) -> None:
        """Count datagrams of protocols that are not read, by their first octets as long as these are few."""
        heads = (payload[rows, 0].astype(np.int64) << 8 | payload[rows, 1]) + (np.minimum(length, 2) << 16)
        different, which = np.unique(heads, return_inverse=True)
        if len(different) > MAX_HEADS:
            self._count(block, rows, length, self._exporters.unread, "unknown protocol")
            return
        for place, head in enumerate(different.tolist()):
            octets = (head & 0xFFFF).to_bytes(2, "big")[: head >> 16]
            reason = f"unknown protocol, first octets {octets.hex(' ') or 'none'}"
            some = which == place
            self._count(block, rows[some], length[some], self._exporters.unread, reason)

    def _short(self, block: DatagramBlock, rows: Integers, length: Integers) -> None:
        """Count datagrams too short to say their domain."""
        self._count(block, rows, length, self._exporters.malformed, "datagram shorter than its header")

    def _count(self, block: DatagramBlock, rows: Integers, length: Integers, tell: Tell, reason: str) -> None:
        """Count datagrams that can't be read for whoever sent them, by a reason."""
        addresses = np.ascontiguousarray(block.exporter[rows]).view("V16")[:, 0]
        senders: dict[bytes, list[int]] = {}
        raw = addresses.tobytes()
        for place in range(len(rows)):
            senders.setdefault(raw[16 * place : 16 * place + 16], []).append(place)
        received = block.received[rows]
        for address, places in senders.items():
            now = int(received[places].max())
            exporter = self._exporters.exporter(address, now)
            exporter.datagrams += len(places)
            exporter.octets += int(length[places].sum())
            exporter.last_seen = max(exporter.last_seen, now)
            named = reason.partition(",")[0] if exporter.address == OTHER else reason
            tell(exporter, now, named, len(places))


def _wide(payload: Octets) -> Octets:
    """Return the block C-contiguous and wide enough for every header."""
    if payload.shape[1] < _LEAST_WIDTH:
        wide = np.zeros((len(payload), _LEAST_WIDTH), np.uint8)
        wide[:, : payload.shape[1]] = payload
        return wide
    return np.ascontiguousarray(payload)
