"""Who talks to whom, as nodes and edges: what is asked for it, and what is made of the answers. No widget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nftui.engine.filters import ANY, all_of
from nftui.engine.matrix import ENDS, MOST, Matrix, among, between
from nftui.engine.query import Answer, BackEnd, Interval, Kind, Measure, Query, Totals
from nftui.screens.questions import Reply

SIDES = ("both", "talkers", "listeners")
"""Whose traffic the nodes are ranked by: what they send and receive, what they send, what they receive."""
EDGES = 500
"""Edges of a web at most."""
NOTHING = Totals()
KINDS = (Measure.OCTETS, Measure.PACKETS, Measure.FLOWS)
OTHERS = "others"
"""Stands for the key of the node of all that are no nodes: keys are octets and numbers, never text."""


@dataclass(frozen=True, slots=True)
class Node:
    """An end of traffic.

    Attributes:
        key: Its value, or `OTHERS`.
        sums: What it sends and receives, as far as it is asked for.
        sent: Of the measure, on the edges that are there.
        received: The same.
        pinned: Whether it is there however much it sends and receives.
    """

    key: Any
    sums: Totals
    sent: int = 0
    received: int = 0
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """Traffic from a node to another, by their numbers.

    Attributes:
        source: Who sends.
        target: Who receives.
        sums: How much.
        value: The same in the measure that is asked for.
        both: Whether it is what goes either way, which isn't told apart.
    """

    source: int
    target: int
    sums: Totals
    value: int
    both: bool = False


@dataclass(frozen=True, slots=True)
class Web:
    """Who talks to whom.

    Attributes:
        nodes: The greatest first, `OTHERS` last where an edge leads there.
        edges: The greatest first, `EDGES` of them at most.
        count: Edges in all, those to the others left out.
        total: Of all flows that the filter takes.
        measure: What it is ranked by.
        key: The key of `ENDS` that its nodes are of.
        side: Whose traffic it is, one of `SIDES`.
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    count: int = 0
    total: Totals = NOTHING
    measure: Measure = Measure.OCTETS
    key: str = "address"
    side: str = SIDES[0]

    def keys(self, edge: Edge) -> tuple[Any, Any]:
        """Return the keys of both ends of an edge."""
        return self.nodes[edge.source].key, self.nodes[edge.target].key

    def without_others(self) -> Web:
        """Return the same without the node of the others."""
        if not self.nodes or self.nodes[-1].key != OTHERS:
            return self
        last = len(self.nodes) - 1
        return replace(self, nodes=self.nodes[:-1], edges=tuple(e for e in self.edges if last not in (e.source, e.target)))


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the nodes and edges of a web sum to in the period before, of the measure.

    Attributes:
        interval: The period.
        answer: The sums of the nodes: it says what of the period is held.
        nodes: By their keys.
        edges: By the keys of both ends.
    """

    interval: Interval
    answer: Answer
    nodes: Mapping[Any, int]
    edges: Mapping[tuple[Any, Any], int]


@dataclass(frozen=True, slots=True)
class Linked:
    """The top values of a key, and what goes between them (`side` both), or what goes out from them or in to them.

    The reply has a `Web` under `web`; and the `Matrix` that it is made of under `matrix`, or the `Answer` under `pairs`; and where
    it is compared an `Earlier` under `earlier`.

    Attributes:
        main: The question of the top values.
        key: One of `ENDS`.
        side: One of `SIDES`.
        pinned: Values that are there beside the top ones, if they aren't among them.
        before: The period to compare with; None for no comparison.
    """

    main: Query
    key: str
    side: str
    pinned: tuple[Any, ...] = ()
    before: Interval | None = None

    @classmethod
    def of(
        cls, query: Query, key: str, count: int, side: str, pinned: Sequence[Any] = (), before: Interval | None = None
    ) -> Linked:
        """Make it of the query of a view."""
        own = {"talkers": ENDS[key].keys[0], "listeners": ENDS[key].keys[1]}.get(side, key)
        plain = replace(query, kind=Kind.GROUPS, having=ANY, only=None, bins=None, times=False, ascending=False)
        main = replace(plain, keys=(own,), order=query.measure.value, limit=min(count, MOST))
        return cls(main, key, side, tuple(pinned), before)

    def put(self, back_end: BackEnd) -> Reply:
        """Ask for the top values, then for the pairs; then for the same of the period before."""
        query = self.main
        top = back_end.answer(query)
        values = [value for value in top.groups[query.keys[0]].to_list() if value is not None]
        missing = [value for value in self.pinned if value not in values]
        # Whoever is pinned is asked for by name: what it sends and receives is known then, also where that is nothing.
        named = back_end.answer(self._named([*values, *missing])) if missing else top
        more: dict[str, Any] = {}
        if self.side == SIDES[0]:
            more["matrix"] = pairs = between(back_end, query, self.key, named)
            web = among_each_other(pairs, query.measure)
        elif values or missing:
            more["pairs"] = answer = back_end.answer(replace(self._pairs([*values, *missing]), limit=EDGES))
            web = one_sided(self, named, answer)
        else:
            web = Web((), (), 0, top.total, query.measure, self.key, self.side)
        more["web"] = replace(web, nodes=tuple(replace(node, pinned=node.key in self.pinned) for node in web.nodes))
        if self.before is not None and web.nodes:
            more["earlier"] = self._earlier(back_end, web, [*values, *missing], self.before)
        return Reply(top, more)

    def _named(self, values: Sequence[Any]) -> Query:
        return replace(self.main, only=tuple((value,) for value in values), limit=None)

    def _pairs(self, values: Sequence[Any]) -> Query:
        """Return the question for what some values send (receive), by both ends."""
        there = ENDS[self.key]
        where = all_of(self.main.where, among(there.field, tuple(values), there.directions[SIDES.index(self.side) - 1]))
        return replace(self.main, keys=there.keys, where=where, limit=None)

    def _earlier(self, back_end: BackEnd, web: Web, values: Sequence[Any], before: Interval) -> Earlier:
        """Ask what the nodes and edges of a web sum to in another period."""
        named = back_end.answer(replace(self._named(values), interval=before))
        told = [edge for edge in web.edges if OTHERS not in web.keys(edge)]
        if self.side == SIDES[0]:
            pairs = between(back_end, replace(self.main, interval=before), self.key, named)
            then = among_each_other(pairs, self.main.measure, [edge.source * len(values) + edge.target for edge in told])
        else:
            only = tuple(web.keys(edge) for edge in told)
            then = one_sided(self, named, back_end.answer(replace(self._pairs(values), interval=before, only=only)))
        sums = {node.key: node.sums.value(self.main.measure) for node in then.nodes}
        return Earlier(before, named, sums, {then.keys(edge): edge.value for edge in then.edges})


def among_each_other(pairs: Matrix, measure: Measure, places: Sequence[int] | None = None) -> Web:
    """Return the web of a matrix; what its elements exchange with all others leads to `OTHERS`, either way together.

    Args:
        pairs: The matrix.
        measure: By which edges are ranked.
        places: The cells of the matrix, row by row, that are edges; None for the greatest.
    """
    sums, elements = pairs.sums, pairs.elements
    rows = [row for row in pairs.top.groups.iter_rows(named=True) if row[pairs.key] is not None]
    count = int((sums[Measure.FLOWS] > 0).sum())
    flat = np.where(sums[Measure.FLOWS] > 0, sums[measure], -1).ravel()
    edges = []
    for place in np.argsort(-flat, kind="stable")[: min(count, EDGES)].tolist() if places is None else places:
        source, target = divmod(place, len(elements))
        each = Totals(*(int(sums[kind][source, target]) for kind in KINDS))
        edges.append(Edge(source, target, each, each.value(measure)))
    left, nodes = [], []
    for number, row in enumerate(rows):
        # What goes either way between this one and all that are no nodes: its own sums without those of its row and its column.
        sent, received = sums[measure][number].sum(), sums[measure][:, number].sum()
        rest = [
            row[kind.value] - int(sums[kind][number].sum() + sums[kind][:, number].sum() - sums[kind][number, number])
            for kind in KINDS
        ]
        each = Totals(*(max(value, 0) for value in rest))
        nodes.append(replace(_node(row[pairs.key], row), sent=int(sent), received=int(received)))
        if each.flows:
            left.append(Edge(number, len(elements), each, each.value(measure), True))
    inside = Totals(*(int(sums[kind].sum()) for kind in KINDS))
    return _put_together(nodes, edges, left, _less(pairs.total, inside), Web((), (), count, pairs.total, measure, pairs.key))


def one_sided(asked: Linked, top: Answer, pairs: Answer) -> Web:
    """Return the web of those who send (receive) most and their peers; the rest of what they send (receive) leads to `OTHERS`."""
    measure, own, ends = asked.main.measure, asked.main.keys[0], ENDS[asked.key].keys
    nodes = [_node(row[own], row) for row in top.groups.iter_rows(named=True) if row[own] is not None]
    number = {node.key: place for place, node in enumerate(nodes)}
    known, most = len(nodes), 2 * len(nodes)
    # One that is pinned and sends (receives) nothing is there for what it receives (sends).
    silent = {place for place, node in enumerate(nodes) if not node.sums.flows}
    edges, passed = [], [NOTHING] * known
    for row in pairs.groups.iter_rows(named=True):
        far = row[ends[1] if own == ends[0] else ends[0]]
        if far is None or (far not in number and len(nodes) >= most):
            continue
        if far not in number:
            number[far] = len(nodes)
            nodes.append(Node(far, Totals()))
        each = Totals(row["octets"], row["packets"], row["flows"])
        edges.append(Edge(number[row[ends[0]]], number[row[ends[1]]], each, each.value(measure)))
        passed[number[row[own]]] += each
        if number[far] >= known or number[far] in silent:
            nodes[number[far]] = replace(nodes[number[far]], sums=nodes[number[far]].sums + each)
    left, rest = [], Totals()
    for near, sums in enumerate(passed):
        each = _less(nodes[near].sums, sums)
        if each.flows and near not in silent:
            pair = (near, len(nodes)) if own == ends[0] else (len(nodes), near)
            left.append(Edge(*pair, each, each.value(measure)))
            rest = rest + each
    sent, received = [0] * len(nodes), [0] * len(nodes)
    for edge in edges:
        sent[edge.source] += edge.value
        received[edge.target] += edge.value
    nodes = [replace(node, sent=sent[n], received=received[n]) for n, node in enumerate(nodes)]
    return _put_together(nodes, edges, left, rest, Web((), (), pairs.group_count, top.total, measure, asked.key, asked.side))


def _put_together(nodes: list[Node], edges: list[Edge], left: list[Edge], rest: Totals, bare: Web) -> Web:
    """Return the web, its edges by size, with the node of the others last where an edge leads to it."""
    ordered = sorted([*edges, *left], key=lambda edge: (-edge.value, edge.source, edge.target))
    return replace(bare, nodes=(*nodes, *([Node(OTHERS, rest)] if left else [])), edges=tuple(ordered))


def _node(key: Any, row: dict[str, Any]) -> Node:
    return Node(key, Totals(row["octets"], row["packets"], row["flows"]))


def _less(whole: Totals, part: Totals) -> Totals:
    return Totals(*(max(whole.value(kind) - part.value(kind), 0) for kind in KINDS))
