"""Spending: whose templates and data are read when there is no time for all (`budgets.py`).

Where work is dear, those come first who have given flows for a while without changing their templates, then those who send most: of
a sender of thousands of datagrams the template costs next to nothing, while of thousands of senders of one each it is all there is.
What is left out is counted by exporter. A template that is not read makes all of its domain unknown, so that no data is misread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nftui.capture.exporters import RESTLESS_US
from nftui.capture.sets import Integers

if TYPE_CHECKING:
    # `template_sets` asks here.
    from nftui.capture.exporters import Domain
    from nftui.capture.template_sets import Changes, Chosen, Reader, Released, SaidSet
    from nftui.capture.templates import Template

NO_TIME_FOR_TEMPLATES = "templates that change more often than there is time for"
NO_TIME_FOR_LAYOUTS = "data of more different templates than there is time for"
NO_TIME_FOR_OPTIONS = "options data beyond what there is time for"
FIRST, FIRST_FIELDS = 4, 500
"""Senders of a block whose new templates are read in any case, and the fields these have at most."""
OPTIONS_OCTETS = 400
MAX_PAIRS = 4096
"""Pairs of a sender and a template id in one block whose data is read."""
TOO_MANY_PAIRS = f"data of more than {MAX_PAIRS} templates of all exporters at a time"
FIELDS_A_STEP = 40
"""A layout of so many fields costs twice as much as one of few."""
Told = tuple[int, int, "Template", "Released | None"]


def ranked(reader: Reader, senders: Sequence[int]) -> list[int]:
    """Return senders, the one whose data comes first in front."""
    arrivals = reader.arrivals
    datagrams = np.bincount(arrivals.sender, minlength=len(arrivals.owners))

    def rank(sender: int) -> tuple[bool, bool, int]:
        owner = arrivals.owners[sender]
        return not owner.settled(arrivals.now), arrivals.now < owner.restless, -int(datagrams[sender])

    return sorted(senders, key=rank)


def without_restless(reader: Reader, places: Integers, changes: Changes) -> Integers:
    """Return the places of template sets, but for those of exporters whose templates change too often: these are not looked at."""
    arrivals = reader.arrivals
    senders = arrivals.sender[reader.datagram[places]]
    out = np.zeros(len(arrivals.owners), np.bool_)
    first = np.full(len(out), -1)
    first[senders[::-1]] = places[::-1]
    for sender in np.flatnonzero(first >= 0).tolist():
        domain = arrivals.domains[sender]
        if domain is not None and domain.exporter.changes_too_often(arrivals.now):
            domain.exporter.restless = arrivals.now + RESTLESS_US
            out[sender] = True
            reader.unsure.add(id(domain))
            _forget(reader, domain, int(first[sender]), changes)
    left_out = out[senders]
    if left_out.any():
        arrivals.count(arrivals.exporters.unread, NO_TIME_FOR_TEMPLATES, reader.datagram[places[left_out]])
    return places[~left_out]


def refused(reader: Reader, said: Sequence[SaidSet]) -> set[int]:
    """Return the senders for whose new templates there is no time."""
    assert reader.budgets is not None
    costs: Counter[int] = Counter()
    seen: set[tuple[int, bytes]] = set()
    for one in said:
        domain = reader.arrivals.domains[one.sender]
        key = id(domain), one.digest
        if domain is not None and one.digest not in domain.said and key not in seen:
            seen.add(key)
            costs[one.sender] += one.fields
    left = reader.budgets.fields.left(reader.arrivals.now)
    if costs.total() <= left:
        return set()
    without = set()
    for place, sender in enumerate(ranked(reader, list(costs))):
        owner = reader.arrivals.owners[sender]
        left -= costs[sender]
        # There is always time for the first ones, unless they say very much.
        first = place < FIRST and costs[sender] <= FIRST_FIELDS and reader.arrivals.now >= owner.restless
        if left < 0 and not first and not owner.settled(reader.arrivals.now):
            without.add(sender)
            left += costs[sender]
            # What it asks for in vain counts too: who goes on asking is soon not looked at any more.
            owner.may_change(costs[sender], reader.arrivals.now)
    return without


def refuse(reader: Reader, domain: Domain, said: SaidSet, changes: Changes) -> None:
    """Count a template set that is not read, and forget what it may have changed."""
    exporters, now = reader.arrivals.exporters, reader.arrivals.now
    exporters.unread(domain.exporter, now, NO_TIME_FOR_TEMPLATES, 1)
    _forget(reader, domain, said.place, changes)


def _forget(reader: Reader, domain: Domain, place: int, changes: Changes) -> None:
    """Forget the templates of a domain from a place on."""
    for identity, known in list(domain.templates.items()):
        reader.arrivals.exporters.forget(domain, identity)
        changes.setdefault((id(domain), identity), [(-1, known)]).append((place, None))
    domain.said.clear()


def without_unsure(reader: Reader, places: Integers) -> Integers:
    """Return the places of data sets, but for those of domains of which no template is known, as they change too often."""
    unsure = np.array([id(domain) in reader.unsure for domain in reader.arrivals.domains], np.bool_)
    out = unsure[reader.arrivals.sender[reader.datagram[places]]]
    reader.pass_over(places[out], NO_TIME_FOR_TEMPLATES)
    kept: Integers = places[~out]
    return kept


def most(reader: Reader, ranges: list[tuple[int, int]], places: Integers) -> list[tuple[int, int]]:
    """Return ranges of places, one for each sender and template, without the shortest of very many."""
    if len(ranges) <= MAX_PAIRS:
        return ranges
    size = np.array([last - first for first, last in ranges])
    kept = [ranges[place] for place in np.sort(np.argsort(-size, kind="stable")[:MAX_PAIRS]).tolist()]
    out = np.ones(len(places), np.bool_)
    for first, last in kept:
        out[first:last] = False
    reader.pass_over(places[out], TOO_MANY_PAIRS)
    return kept


def affordable(reader: Reader, chosen: list[Chosen]) -> list[Chosen]:
    """Return the data for whose layouts there is time: those of senders that have most data for each layout come first."""
    assert reader.budgets is not None
    arrivals, sets, budget = reader.arrivals, reader.sets, reader.budgets.layouts
    flows = [one for one in chosen if not one.template.options]
    if not flows:
        return chosen
    octets: Counter[int] = Counter()
    layouts: dict[int, set[tuple[object, ...]]] = {}
    senders = [int(arrivals.sender[reader.datagram[one.sets[0]]]) for one in flows]
    for one, sender in zip(flows, senders, strict=True):
        octets[sender] += int((sets.end[one.sets] - sets.start[one.sets]).sum())
        layouts.setdefault(sender, set()).add(one.template.fields)
    worth: dict[tuple[object, ...], float] = {}
    settled: set[tuple[object, ...]] = set()
    for sender, mine in layouts.items():
        owner = arrivals.owners[sender]
        each = 0.0 if arrivals.now < owner.restless else octets[sender] / len(mine)
        for fields in mine:
            worth[fields] = max(worth.get(fields, 0.0), each)
        if owner.settled(arrivals.now):
            settled |= mine
    every = list(worth)
    costs = np.array([1 + len(fields) / FIELDS_A_STEP for fields in every])
    known = np.array([fields in settled for fields in every])
    fine = budget.affordable(costs, known, -np.array(list(worth.values())), arrivals.now)
    if fine.all():
        return chosen
    taken = {every[place] for place in np.flatnonzero(fine).tolist()}
    reader.pass_over(np.concatenate([one.sets for one in flows if one.template.fields not in taken]), NO_TIME_FOR_LAYOUTS)
    return [one for one in chosen if one.template.options or one.template.fields in taken]


def affordable_options(reader: Reader, told: list[Told]) -> list[Told]:
    """Return the sets of options data for which there is time: of those who come first, then of those who have fewest."""
    assert reader.budgets is not None
    arrivals, budget = reader.arrivals, reader.budgets.options
    if not told:
        return told
    places = np.array([one[1] for one in told], np.int64)
    costs = 1 + (reader.sets.end[places] - reader.sets.start[places]) / OPTIONS_OCTETS
    different, index, counts = np.unique(arrivals.sender[reader.datagram[places]], return_inverse=True, return_counts=True)
    settled = np.array([arrivals.owners[sender].settled(arrivals.now) for sender in different.tolist()])
    fine = budget.affordable(costs, settled[index], counts[index], arrivals.now)
    if not fine.all():
        reader.pass_over(places[~fine], NO_TIME_FOR_OPTIONS)
        told = [told[place] for place in np.flatnonzero(fine).tolist()]
    return told
