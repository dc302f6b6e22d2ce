"""Template sets: the sets of NetFlow v9 and IPFIX messages, read with the templates that the same messages announce.

The data sets of all templates with the same fields are sliced from the block, joined, and read through one structured dtype. The
order of templates and data is kept: a data set is read with the template that was known when it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture import ipfix, netflow9, options, variable_length
from nftui.capture.arrivals import Arrivals
from nftui.capture.batch import constant, frame_of
from nftui.capture.exporters import MAX_AWAITED, Domain
from nftui.capture.layouts import Layout
from nftui.capture.sequences import UNKNOWN
from nftui.capture.sets import FIRST_DATA_SET, Integers, Octets, Sets, walk
from nftui.capture.templates import Template, TemplateError, Withdrawal, parse_ipfix, parse_netflow9
from nftui.capture.values import Batch

HEADER_SIZES = {netflow9.VERSION: netflow9.HEADER_SIZE, ipfix.VERSION: ipfix.HEADER_SIZE}
SET_IDS = {
    netflow9.VERSION: (netflow9.TEMPLATE_SET, netflow9.OPTIONS_TEMPLATE_SET),
    ipfix.VERSION: (ipfix.TEMPLATE_SET, ipfix.OPTIONS_TEMPLATE_SET),
}
MAX_SAID = 64
NO_TEMPLATE = "no template yet"
_Parser = Callable[[bytes, bool], Iterator[Template | Withdrawal | TemplateError]]


@dataclass(frozen=True)
class _Chosen:
    """Data sets that one template describes: their places in `Sets`, ascending."""

    template: Template
    sets: Integers


@dataclass
class _Records:
    """Records cut out of data sets: the octets, the set of each record, and how to read them."""

    layout: Layout
    octets: npt.NDArray[np.void]
    sets: Integers


@dataclass
class Reader:
    """Reads the sets of the datagrams of one protocol in one block."""

    payload: Octets
    arrivals: Arrivals
    sets: Sets = field(init=False)
    starts: dict[int, options.Starts] = field(init=False, default_factory=dict)
    datagram: Integers = field(init=False)
    """Shape (sets,), the datagram of each set as an index into the arrivals."""
    step: Integers = field(init=False)
    """Shape (datagrams,), the data records of each, `UNKNOWN` where a set can't be counted."""
    flows: Integers = field(init=False)

    def __post_init__(self) -> None:
        arrivals = self.arrivals
        fine = np.flatnonzero(arrivals.accepted)
        rows = arrivals.rows[fine]
        self.sets = walk(self.payload, rows, HEADER_SIZES[arrivals.version], arrivals.headers.end[fine])
        self.datagram = np.searchsorted(arrivals.rows, self.sets.row)
        self.step = np.zeros(len(arrivals.rows), np.int64)
        self.flows = np.zeros(len(arrivals.rows), np.int64)
        for reason, where in self.sets.malformed:
            arrivals.count_malformed(reason, np.searchsorted(arrivals.rows, where))

    def read(self) -> list[pl.DataFrame]:
        """Return one frame for each layout of flow records, and count everything."""
        chosen = self._choose(self._learn())
        for one in chosen:
            if one.template.options:
                self._read_options(one)
        frames = [self._frame(records, chosen_sets) for records, chosen_sets in self._joined(chosen)]
        arrivals = self.arrivals
        arrivals.count_flows(self.flows)
        arrivals.count_losses(np.ones_like(self.step) if arrivals.version == netflow9.VERSION else self.step)
        return frames

    def _learn(self) -> dict[tuple[int, int], list[tuple[int, Template | None]]]:
        """Learn the templates.

        Returns:
            For each (sender's domain by identity, template id) that changed: the places of the sets, each with the template from
            there on; first the one from before, at -1.
        """
        arrivals, sets = self.arrivals, self.sets
        changes: dict[tuple[int, int], list[tuple[int, Template | None]]] = {}
        template_set, options_set = SET_IDS[arrivals.version]
        parse: _Parser = parse_netflow9 if arrivals.version == netflow9.VERSION else parse_ipfix
        for place in np.flatnonzero(sets.id < FIRST_DATA_SET).tolist():
            sender = int(arrivals.sender[self.datagram[place]])
            domain, identity = arrivals.domains[sender], int(sets.id[place])
            assert domain is not None
            if identity not in (template_set, options_set):
                arrivals.exporters.malformed(domain.exporter, arrivals.now, f"reserved set id {identity}", 1)
                continue
            octets = self.payload[sets.row[place], sets.start[place] : sets.end[place]].tobytes()
            said = blake2b(octets, digest_size=16, salt=bytes([identity])).digest()
            if said in domain.said:
                continue
            parts = list(parse(octets, identity == options_set))
            refused = sum(not self._take(domain, parsed, place, changes) for parsed in parts)
            if len(domain.said) >= MAX_SAID:
                domain.said.clear()
            if not refused:
                domain.said.add(said)
        return changes

    def _take(
        self,
        domain: Domain,
        parsed: Template | Withdrawal | TemplateError,
        place: int,
        changes: dict[tuple[int, int], list[tuple[int, Template | None]]],
    ) -> bool:
        """Take what a template set says; return whether it could be taken. With a change all that was said may be said anew."""
        exporters, now = self.arrivals.exporters, self.arrivals.now
        if isinstance(parsed, TemplateError):
            exporters.malformed(domain.exporter, now, str(parsed), 1)
            return False
        taken = True
        ids = (
            [parsed.id] if parsed.id is not None else [one.id for one in domain.templates.values() if one.options == parsed.options]
        )
        for identity in ids:
            before = domain.templates.get(identity)
            after = parsed if isinstance(parsed, Template) else None
            if before == after:
                continue
            if after is None:
                exporters.forget(domain, identity)
            elif refusal := exporters.learn(domain, after):
                exporters.malformed(domain.exporter, now, refusal, 1)
                taken = False
                continue
            changes.setdefault((id(domain), identity), [(-1, before)]).append((place, after))
            domain.said.clear()
        return taken

    def _choose(self, changes: dict[tuple[int, int], list[tuple[int, Template | None]]]) -> list[_Chosen]:
        """Find the template of each data set; those without one are counted."""
        arrivals, sets = self.arrivals, self.sets
        places = np.flatnonzero(sets.id >= FIRST_DATA_SET)
        if not len(places):
            return []
        keys = arrivals.sender[self.datagram[places]] << 16 | sets.id[places]
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        bounds = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), len(keys)]
        chosen: list[_Chosen] = []
        for first, last in pairwise(bounds):
            sender, identity = divmod(int(keys[first]), 1 << 16)
            domain, some = arrivals.domains[sender], places[order[first:last]]
            assert domain is not None
            history = changes.get((id(domain), identity), [(-1, domain.templates.get(identity))])
            cuts = [*np.searchsorted(some, [place for place, _ in history]).tolist(), len(some)]
            for (_, template), (begin, end) in zip(history, pairwise(cuts), strict=True):
                if begin == end:
                    continue
                if template is None:
                    self._await(domain, identity, some[begin:end])
                else:
                    chosen.append(_Chosen(template, some[begin:end]))
        return chosen

    def _await(self, domain: Domain, identity: int, places: Integers) -> None:
        """Count data sets whose template has not come. Here they would be held back."""
        arrivals = self.arrivals
        self.step[self.datagram[places]] = UNKNOWN
        arrivals.exporters.unread(domain.exporter, arrivals.now, NO_TEMPLATE, len(places))
        if identity not in domain.templates and len(domain.exporter.awaited) < MAX_AWAITED:
            domain.exporter.awaited.add(identity)

    def _joined(self, chosen: list[_Chosen]) -> Iterator[tuple[_Records, list[_Chosen]]]:
        """Join the data sets of flow templates with the same fields and cut them into records."""
        groups: dict[tuple[object, ...], list[_Chosen]] = {}
        for one in chosen:
            if not one.template.options:
                groups.setdefault(one.template.fields, []).append(one)
        for group in groups.values():
            places = np.sort(np.concatenate([one.sets for one in group])) if len(group) > 1 else group[0].sets
            records = self._cut(group[0].template, places)
            if len(records.octets):
                yield records, group

    def _cut(self, template: Template, places: Integers) -> _Records:
        """Cut data sets into records; octets that make no record are padding, or counted when a set has nothing else."""
        sets, width, flat = self.sets, self.payload.shape[1], self.payload.reshape(-1)
        base = sets.row[places] * width
        start, end = base + sets.start[places], base + sets.end[places]
        if template.variable:
            layout, octets, owner, broken = variable_length.to_fixed(flat, start, end, template.fields)
            records = _Records(layout, _viewed(octets, layout), places[owner])
            number = np.bincount(owner, minlength=len(places))
        else:
            layout = template.layout
            number = (end - start) // layout.size
            broken = (number == 0) & (end > start)
            stop, view = start + number * layout.size, memoryview(flat)  # type: ignore[arg-type]
            joined = b"".join([view[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)])
            records = _Records(layout, np.frombuffer(joined, layout.dtype), np.repeat(places, number))
        if broken.any():
            self.arrivals.count_malformed("record cut short", self.datagram[places[broken]])
        datagram = self.datagram[places]
        known = self.step[datagram] != UNKNOWN
        np.add.at(self.step, datagram[known], number[known])
        if not template.options:
            np.add.at(self.flows, datagram, number)
        return records

    def _read_options(self, one: _Chosen) -> None:
        records = self._cut(one.template, one.sets)
        if not len(records.octets):
            return
        arrivals = self.arrivals
        sender = int(arrivals.sender[self.datagram[one.sets[0]]])
        domain = arrivals.domains[sender]
        assert domain is not None
        domain.exporter.options_records += len(records.octets)
        starts = self.starts.setdefault(sender, options.Starts(domain.system_init))
        starts.learn(domain, records.layout, records.octets, self.datagram[records.sets])

    def _frame(self, records: _Records, chosen: list[_Chosen]) -> pl.DataFrame:
        arrivals = self.arrivals
        datagram = self.datagram[records.sets]
        headers = arrivals.headers
        batch = Batch(records.layout, records.octets, datagram, headers.export_time, headers.uptime, self._started())
        common = arrivals.common_columns(datagram)
        ids = {one.template.id for one in chosen}
        common["template_id"] = (
            constant("template_id", ids.pop(), len(datagram))
            if len(ids) == 1
            else pl.Series("template_id", self.sets.id[records.sets].astype(np.int32))
        )
        frame = frame_of(batch, common)
        arrivals.count_records(batch, datagram)
        return frame

    def _started(self) -> Integers | None:
        """Return when the exporter of each datagram started, milliseconds since 1970, 0 for not known; None for NetFlow v9."""
        arrivals = self.arrivals
        if arrivals.version == netflow9.VERSION:
            return None
        started = np.array([domain.system_init if domain else 0 for domain in arrivals.domains], np.int64)[arrivals.sender]
        for sender, starts in self.starts.items():
            datagram = np.flatnonzero(arrivals.sender == sender)
            started[datagram] = starts.at(datagram)
        return started


def _viewed(octets: Octets, layout: Layout) -> npt.NDArray[np.void]:
    if not octets.size:
        return np.zeros(len(octets), layout.dtype)
    return np.frombuffer(octets.tobytes(), layout.dtype)
