"""Template sets: the sets of NetFlow v9 and IPFIX messages, read with the templates that the same messages announce.

The data sets of all templates with the same fields are sliced from the block, joined, and read through one structured dtype. The
order of templates and data is kept: a data set is read with the template that was known when it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture import completion, ipfix, netflow9, options, sampling, sections, spending, variable_length
from nftui.capture.arrivals import Arrivals, tell_apart
from nftui.capture.batch import columns_of, constant
from nftui.capture.budgets import Budgets
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.exporters import Domain, template_words
from nftui.capture.held import HeldSet
from nftui.capture.layouts import Layout
from nftui.capture.sequences import UNKNOWN
from nftui.capture.sets import FIRST_DATA_SET, Integers, Octets, Sets, walk
from nftui.capture.templates import Template, TemplateError, Withdrawal, parse_ipfix, parse_netflow9
from nftui.capture.values import Batch

HEADER_SIZES = {netflow9.VERSION: netflow9.HEADER_SIZE, ipfix.VERSION: ipfix.HEADER_SIZE}
READ_HEADERS = {netflow9.VERSION: netflow9.read_headers, ipfix.VERSION: ipfix.read_headers}
SET_IDS = {
    netflow9.VERSION: (netflow9.TEMPLATE_SET, netflow9.OPTIONS_TEMPLATE_SET),
    ipfix.VERSION: (ipfix.TEMPLATE_SET, ipfix.OPTIONS_TEMPLATE_SET),
}
MAX_SAID = 64
_PADDING = 3
"""Octets of padding, to a multiple of four (RFC 7011, section 3.3.1): some exporters leave there what was in memory."""
MAX_LAYOUTS = 64
"""Different templates of one sender in one block whose data is read: each takes a step of its own, and no exporter has so many."""
TOO_MANY_LAYOUTS = f"data of more than {MAX_LAYOUTS} templates at a time"
MAX_CUTS, MAX_CUTS_EACH = 512, 16
"""How often the flows of a block, and those of one domain, are divided, at most, so that options data holds from its place on."""
MAX_PARSED = 5000
"""Templates of one sender in one block that are parsed: no exporter has so many, and parsing takes time."""
NO_ROOM = "no template yet, and no room to hold the data"
NO_ROOM_FOR_OPTIONS = "options records, and no room to keep more of all exporters"
TOO_MANY_OPTIONS = f"options records beyond {options.MAX_READ} at a time"
TOO_MANY_PARSED = f"templates beyond {MAX_PARSED} at a time"
Changes = dict[tuple[int, int], list[tuple[int, Template | None]]]
"""For each (sender's domain by identity, template id) that changed: the places of the sets, each with the template from there on;
first the one from before, at -1."""
_Parser = Callable[[bytes, bool], Iterator[Template | Withdrawal | TemplateError]]


@dataclass(frozen=True)
class Chosen:
    """Data sets that one template describes.

    Attributes:
        template: What describes them.
        sets: Their places in `Sets`, ascending.
        owner: The observation domain, by identity.
        read_at: The place at which they are read, where they came before their template: that of the template.
    """

    template: Template
    sets: Integers
    owner: int
    read_at: int | None = None

    def between(self, begin: int, end: int) -> Chosen:
        """Return those that are read from one place to another."""
        if self.read_at is not None:
            return self if begin <= self.read_at < end else replace(self, sets=self.sets[:0])
        return replace(self, sets=self.sets[slice(*np.searchsorted(self.sets, (begin, end)))])


@dataclass(frozen=True)
class Released:
    """Data sets that waited for a template, which came at a place."""

    place: int
    domain: Domain
    template: Template
    waited: list[HeldSet]


class SaidSet(NamedTuple):
    """A template set: its place in `Sets`, the sender, the content, its digest, and whether it is one of options templates."""

    place: int
    sender: int
    octets: bytes
    digest: bytes
    options: bool

    @property
    def fields(self) -> int:
        """How many fields it has about: a field takes four octets, a template's head too."""
        return len(self.octets) // 4 + 1


@dataclass
class _Records:
    """Records cut out of data sets: the octets, the set of each record, and how to read them."""

    layout: Layout
    octets: npt.NDArray[np.void]
    sets: Integers


@dataclass
class Reader:
    """Reads the sets of the datagrams of one protocol in one block.

    Attributes:
        payload: The block.
        arrivals: Its datagrams.
        budgets: What may be spent; None for whatever it takes.
        released: What waited for templates that the block announced.
    """

    payload: Octets
    arrivals: Arrivals
    budgets: Budgets | None = None
    released: list[Released] = field(init=False, default_factory=list)
    parsed: dict[int, int] = field(init=False, default_factory=dict)
    """Templates parsed of each sender."""
    options_read: dict[int, int] = field(init=False, default_factory=dict)
    """New options records of each sender."""
    unsure: set[int] = field(init=False, default_factory=set)
    """Domains, by identity, of which no template is known, as they change too often."""
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
        """Return the frames of flow records, and count everything."""
        frames = self._read(self._choose(self._learn()))
        self.arrivals.count_losses(np.ones_like(self.step) if self.arrivals.version == netflow9.VERSION else self.step)
        return frames

    def _read(self, chosen: list[Chosen]) -> list[pl.DataFrame]:
        """Read data sets: what options say holds for the flows that come behind them, wherever blocks begin and end.

        What waited for a template is read where the template came, so that options among it hold from there on.
        """
        flows = [one for one in chosen if not one.template.options]
        told: list[tuple[int, int, Template, Released | None]] = [
            (place if one.read_at is None else one.read_at, place, one.template, None)
            for one in chosen
            if one.template.options
            for place in one.sets.tolist()
        ]
        if self.budgets is not None:
            told = spending.affordable_options(self, told)
        told += [(one.place, -1, one.template, one) for one in self.released]
        frames: list[pl.DataFrame] = []
        begin: dict[int, int] = {}
        cuts: Counter[int] = Counter()
        most_cuts = MAX_CUTS if self.budgets is None else min(MAX_CUTS, self.budgets.cuts.left(self.arrivals.now))
        for at, place, template, released in sorted(told, key=lambda one: one[:2]):
            layout, news = self._read_options(template, place) if released is None else (None, [])
            owner = id(self.arrivals.domains[self.arrivals.sender[self.datagram[at]]])
            if (news or (released and template.options)) and cuts[owner] < MAX_CUTS_EACH and cuts.total() < most_cuts:
                frames += self._frames_of([one.between(begin.get(owner, 0), at) for one in flows if one.owner == owner])
                begin[owner] = at
                cuts[owner] += 1
            if layout and news:
                self._learn_options(layout, news, place)
            elif released:
                frames += self._read_released(released)
        frames += self._frames_of([one.between(begin.get(one.owner, 0), len(self.sets.id)) for one in flows])
        if self.budgets is not None:
            self.budgets.cuts.spend(cuts.total())
        self.arrivals.count_flows(self.flows)
        return frames

    def _frames_of(self, chosen: list[Chosen]) -> list[pl.DataFrame]:
        some = [one for one in chosen if len(one.sets)]
        return [frame for records, joined in self._joined(some) for frame in self._frames(records, joined)]

    def _read_released(self, released: Released) -> list[pl.DataFrame]:
        """Read data sets that waited for their template, each a datagram of its own."""
        domain, waited = released.domain, released.waited
        length = np.array([len(one.datagram) for one in waited], np.int64)
        payload = np.zeros((len(waited), int(length.max())), np.uint8)
        for row, one in enumerate(waited):
            payload[row, : len(one.datagram)] = np.frombuffer(one.datagram, np.uint8)
        rows = np.arange(len(waited))
        block = DatagramBlock(
            payload,
            length,
            np.tile(np.frombuffer(domain.address, np.uint8), (len(waited), 1)),
            np.array([one.port for one in waited], np.int64),
            np.array([one.received for one in waited], np.int64),
            0,
        )
        headers = READ_HEADERS[domain.version](payload, rows, length)
        reader = Reader(payload, tell_apart(block, rows, headers, domain.version, self.arrivals.exporters))
        return reader._read([Chosen(released.template, np.arange(len(reader.sets.id)), id(domain))])

    def _learn(self) -> Changes:
        """Learn the templates, and return what changed; what waited for them is in `released`."""
        arrivals, sets = self.arrivals, self.sets
        changes: Changes = {}
        template_set, options_set = SET_IDS[arrivals.version]
        places = np.flatnonzero(sets.id < FIRST_DATA_SET)
        is_template = (sets.id[places] == template_set) | (sets.id[places] == options_set)
        for identity in np.unique(sets.id[places[~is_template]]).tolist():
            which = self.datagram[places[~is_template & (sets.id[places] == identity)]]
            arrivals.count_malformed(f"reserved set id {identity}", which)
        places = places[is_template]
        if self.budgets is not None:
            places = spending.without_restless(self, places, changes)
        said = self._said(places)
        refused = spending.refused(self, said) if self.budgets is not None else set()
        for one in said:
            domain = arrivals.domains[one.sender]
            assert domain is not None
            repeated = domain.said.get(one.digest)
            if repeated is not None:
                domain.heard.update(dict.fromkeys(repeated, arrivals.now))
            elif one.sender in refused or not self._may_change(domain, one):
                spending.refuse(self, domain, one, changes)
            else:
                self._parse(domain, one, changes)
        return changes

    def _said(self, places: Integers) -> list[SaidSet]:
        """Return the template sets at some places, each with its digest."""
        arrivals, sets = self.arrivals, self.sets
        options_set = SET_IDS[arrivals.version][1]
        senders = arrivals.sender[self.datagram[places]].tolist()
        said = []
        for place, sender, row, start, end, identity in zip(
            places.tolist(), senders, *(part[places].tolist() for part in (sets.row, sets.start, sets.end, sets.id)), strict=True
        ):
            octets = self.payload[row, start:end].tobytes()
            digest = blake2b(octets, digest_size=16, salt=bytes([identity])).digest()
            said.append(SaidSet(place, sender, octets, digest, identity == options_set))
        return said

    def _may_change(self, domain: Domain, said: SaidSet) -> bool:
        if self.budgets is None:
            return True
        self.budgets.fields.spend(said.fields)
        return domain.exporter.may_change(said.fields, self.arrivals.now)

    def _parse(self, domain: Domain, said: SaidSet, changes: Changes) -> None:
        """Parse a template set that was not said before."""
        sender, place = said.sender, said.place
        parse: _Parser = parse_netflow9 if self.arrivals.version == netflow9.VERSION else parse_ipfix
        taken, ids = True, []
        for parsed in parse(said.octets, said.options):
            if self.parsed.get(sender, 0) >= MAX_PARSED:
                self.arrivals.exporters.malformed(domain.exporter, self.arrivals.now, TOO_MANY_PARSED, 1)
                taken = False
                break
            self.parsed[sender] = self.parsed.get(sender, 0) + 1
            taken &= self._take(domain, parsed, place, changes)
            if isinstance(parsed, Template):
                ids.append(parsed.id)
        if taken:
            self.arrivals.exporters.remember_said(domain, said.digest, tuple(ids), MAX_SAID)

    def _take(self, domain: Domain, parsed: Template | Withdrawal | TemplateError, place: int, changes: Changes) -> bool:
        """Take what a template set says; return whether it could be taken."""
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
                if after is not None:
                    domain.heard[identity] = now
                continue
            if after is None:
                exporters.forget(domain, identity)
                exporters.tell(domain.exporter, now, f"{template_words(domain, identity)} withdrawn", "withdrawn")
            elif refusal := exporters.learn(domain, after, now):
                exporters.malformed(domain.exporter, now, refusal, 1)
                taken = False
                continue
            elif before is None and (waited := exporters.held.release(domain.key, identity)):
                self.released.append(Released(place, domain, after, waited))
                domain.exporter.released += len(waited)
            changes.setdefault((id(domain), identity), [(-1, before)]).append((place, after))
            domain.forget_said(identity)
        return taken

    def _choose(self, changes: Changes) -> list[Chosen]:
        """Find the template of each data set; those without one are held back."""
        arrivals, sets = self.arrivals, self.sets
        places = np.flatnonzero(sets.id >= FIRST_DATA_SET)
        if self.unsure:
            places = spending.without_unsure(self, places)
        if not len(places):
            return []
        keys = arrivals.sender[self.datagram[places]] << 16 | sets.id[places]
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        bounds = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), len(keys)]
        ends = spending.most(self, list(pairwise(bounds)), places[order])
        chosen: list[Chosen] = []
        described: dict[int, set[object]] = {}
        for first, last in ends:
            sender, identity = divmod(int(keys[first]), 1 << 16)
            domain, some = arrivals.domains[sender], places[order[first:last]]
            assert domain is not None
            history = changes.get((id(domain), identity), [(-1, domain.templates.get(identity))])
            cuts = [*np.searchsorted(some, [place for place, _ in history]).tolist(), len(some)]
            for at, (begin, end) in enumerate(pairwise(cuts)):
                if begin == end:
                    continue
                template, read_at = next(((after, place) for place, after in history[at:] if after is not None), (None, 0))
                if template is None:
                    self._await(domain, identity, some[begin:end])
                    continue
                layouts = described.setdefault(sender, set())
                if template.fields not in layouts and len(layouts) >= MAX_LAYOUTS:
                    self.step[self.datagram[some[begin:end]]] = UNKNOWN
                    arrivals.exporters.unread(domain.exporter, arrivals.now, TOO_MANY_LAYOUTS, int(end - begin))
                    continue
                layouts.add(template.fields)
                waits = history[at][1] is None
                chosen.append(Chosen(template, some[begin:end], id(domain), read_at if waits else None))
                if waits:
                    # The template comes later in the same block: the data waits for no longer than that.
                    domain.exporter.held_back += int(end - begin)
                    domain.exporter.released += int(end - begin)
        return chosen if self.budgets is None else spending.affordable(self, chosen)

    def pass_over(self, places: Integers, reason: str) -> None:
        """Count data sets that are not read."""
        datagrams = self.datagram[places]
        self.step[datagrams] = UNKNOWN
        self.arrivals.count(self.arrivals.exporters.unread, reason, datagrams)

    def _await(self, domain: Domain, identity: int, places: Integers) -> None:
        """Hold data sets back until their template comes."""
        arrivals, sets = self.arrivals, self.sets
        held, size = arrivals.exporters.held, HEADER_SIZES[arrivals.version]
        self.step[self.datagram[places]] = UNKNOWN
        for number, place in enumerate(places.tolist()):
            octets = self.payload[sets.row[place]]
            content = octets[sets.start[place] : sets.end[place]].tobytes()
            message = netflow9.message if arrivals.version == netflow9.VERSION else ipfix.message
            datagram = message(octets[:size].tobytes(), identity, content)
            at = self.datagram[place]
            if not held.hold(domain.key, identity, HeldSet(int(arrivals.received[at]), int(arrivals.ports[at]), datagram)):
                arrivals.exporters.unread(domain.exporter, arrivals.now, NO_ROOM, len(places) - number)
                break
            domain.exporter.held_back += 1
        if identity not in domain.templates and domain.wait_for(identity):
            words = f"{template_words(domain, identity)} awaited: its data is held back"
            arrivals.exporters.tell(domain.exporter, arrivals.now, words, "awaited")

    def _joined(self, chosen: list[Chosen]) -> Iterator[tuple[_Records, list[Chosen]]]:
        """Join the data sets of templates with the same fields and cut them into records."""
        groups: dict[tuple[object, ...], list[Chosen]] = {}
        for one in chosen:
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
            whole = number > 0
            self._count_rests(flat, stop[whole], end[whole], places[whole])
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

    def _count_rests(self, flat: Octets, start: Integers, end: Integers, places: Integers) -> None:
        """Count the sets whose last octets make no record and are no padding either: that is short, or zero."""
        long = np.flatnonzero(end - start > _PADDING).tolist()
        if odd := [place for place in long if flat[start[place] : end[place]].any()]:
            self.arrivals.count_malformed("octets after the last record", self.datagram[places[odd]])

    def _read_options(self, template: Template, place: int) -> tuple[Layout, list[bytes]]:
        """Read one set of options data; return the records that were not read before."""
        records = self._cut(template, np.array([place]))
        sender = int(self.arrivals.sender[self.datagram[place]])
        domain = self.arrivals.domains[sender]
        assert domain is not None
        if not len(records.octets):
            return records.layout, []
        domain.exporter.options_records += len(records.octets)
        starts = self.starts.setdefault(sender, options.Starts(domain.system_init))
        domain.system_init = starts.learn(records.layout, records.octets, self.datagram[records.sets])
        return records.layout, domain.tables.news(records.layout, records.octets)

    def _learn_options(self, layout: Layout, news: list[bytes], place: int) -> None:
        arrivals = self.arrivals
        sender = int(arrivals.sender[self.datagram[place]])
        domain = arrivals.domains[sender]
        assert domain is not None
        room = max(options.MAX_READ - self.options_read.get(sender, 0), 0)
        self.options_read[sender] = self.options_read.get(sender, 0) + len(news)
        if len(news) > room:
            arrivals.exporters.unread(domain.exporter, arrivals.now, TOO_MANY_OPTIONS, len(news) - room)
        if not arrivals.exporters.keep(domain.exporter, 0 if not news[:room] else 1, arrivals.now):
            arrivals.exporters.unread(domain.exporter, arrivals.now, NO_ROOM_FOR_OPTIONS, len(news[:room]))
            return
        before, size = domain.tables.changes, domain.tables.size
        domain.tables.learn(layout, news[:room])
        for index, name, now_named in domain.tables.renamed:
            words = f"interface {index} renamed from {name!r} to {now_named!r}"
            arrivals.exporters.tell(domain.exporter, arrivals.now, words, "renamed")
        arrivals.exporters.changes += domain.tables.changes - before
        arrivals.exporters.adjust(domain.exporter, domain.tables.size - size - bool(news[:room]))

    def _frames(self, records: _Records, chosen: list[Chosen]) -> list[pl.DataFrame]:
        arrivals = self.arrivals
        datagram = self.datagram[records.sets]
        headers = arrivals.headers
        batch = Batch(records.layout, records.octets, datagram, headers.export_time, headers.uptime, self._started())
        columns = columns_of(batch)
        sections.fill(columns, records.layout, records.octets)
        ids = {one.template.id for one in chosen}
        columns["template_id"] = (
            constant("template_id", ids.pop(), len(datagram))
            if len(ids) == 1
            else pl.Series("template_id", self.sets.id[records.sets].astype(np.int32))
        )
        arrivals.count_records(batch, datagram)
        return completion.frames(arrivals, columns, datagram, record=sampling.of_record(records.layout, records.octets))

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
