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

if TYPE_CHECKING:
    # `template_sets` asks here.
    from nftui.capture.exporters import Domain
    from nftui.capture.template_sets import Changes, Chosen, Reader, Released, SaidSet
    from nftui.capture.templates import Template

NO_TIME_FOR_TEMPLATES = "templates that change more often than there is time for"
NO_TIME_FOR_LAYOUTS = "data of more different templates than there is time for"
NO_TIME_FOR_OPTIONS = "options data beyond what there is time for"
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
    for sender in ranked(reader, list(costs)):
        left -= costs[sender]
        if left < 0 and not reader.arrivals.owners[sender].settled(reader.arrivals.now):
            without.add(sender)
            left += costs[sender]
    return without


def refuse(reader: Reader, domain: Domain, said: SaidSet, changes: Changes) -> None:
    """Count a template set that is not read, and forget what it may have changed."""
    exporters, now = reader.arrivals.exporters, reader.arrivals.now
    exporters.unread(domain.exporter, now, NO_TIME_FOR_TEMPLATES, 1)
    for identity, known in list(domain.templates.items()):
        exporters.forget(domain, identity)
        changes.setdefault((id(domain), identity), [(-1, known)]).append((said.place, None))
    domain.said.clear()


def most(ranges: list[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    """Return the longest of some ranges, in their order."""
    size = np.array([last - first for first, last in ranges])
    return [ranges[place] for place in np.sort(np.argsort(-size, kind="stable")[:number]).tolist()]


def affordable(reader: Reader, chosen: list[Chosen]) -> list[Chosen]:
    """Return the data for whose layouts there is time: of those who come first, then the layouts of which there is most."""
    assert reader.budgets is not None
    arrivals, sets, budget = reader.arrivals, reader.sets, reader.budgets.layouts
    octets: Counter[tuple[object, ...]] = Counter()
    first: set[tuple[object, ...]] = set()
    for one in chosen:
        if not one.template.options:
            octets[one.template.fields] += int((sets.end[one.sets] - sets.start[one.sets]).sum())
            if arrivals.owners[int(arrivals.sender[reader.datagram[one.sets[0]]])].settled(arrivals.now):
                first.add(one.template.fields)
    left = float(budget.left(arrivals.now))
    taken: set[tuple[object, ...]] = set()
    for fields in sorted(octets, key=lambda one: (one not in first, -octets[one])):
        cost = 1 + len(fields) / FIELDS_A_STEP
        if cost > left and taken:
            continue
        left -= cost
        budget.spend(cost)
        taken.add(fields)
    if len(taken) == len(octets):
        return chosen
    for one in chosen:
        if not one.template.options and one.template.fields not in taken:
            reader.pass_over(one.sets, NO_TIME_FOR_LAYOUTS)
    return [one for one in chosen if one.template.options or one.template.fields in taken]


def affordable_options(reader: Reader, told: list[Told]) -> list[Told]:
    """Return the sets of options data for which there is time: of those who come first, then of those who have fewest."""
    assert reader.budgets is not None
    arrivals, budget = reader.arrivals, reader.budgets.options
    left = budget.left(arrivals.now)
    if len(told) > left:
        senders = arrivals.sender[reader.datagram[np.array([one[1] for one in told])]].tolist()
        counts = Counter(senders)
        settled = {sender: arrivals.owners[sender].settled(arrivals.now) for sender in counts}
        order = sorted(range(len(told)), key=lambda place: (not settled[senders[place]], counts[senders[place]]))
        for place in order[left:]:
            reader.pass_over(np.array([told[place][1]]), NO_TIME_FOR_OPTIONS)
        told = [told[place] for place in sorted(order[:left])]
    budget.spend(len(told))
    return told
