"""Who talks to whom, as nodes and edges: what is asked for it, and what is made of the answers. No widget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from nftui.engine.filters import ANY, all_of
from nftui.engine.matrix import ENDS, MOST, Matrix, among, matrix
from nftui.engine.query import BackEnd, Kind, Measure, Query, Totals
from nftui.screens.questions import Reply

SIDES = ("both", "talkers", "listeners")
"""Whose traffic the nodes are ranked by: what they send and receive, what they send, what they receive."""
EDGES = 500
"""Edges of talkers or listeners at most."""
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
    """

    key: Any
    sums: Totals
    sent: int = 0
    received: int = 0


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
    """Nodes, the greatest first and `OTHERS` last; edges, the greatest first."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    total: Totals
    measure: Measure

    def keys(self, edge: Edge) -> tuple[Any, Any]:
        """Return the keys of both ends of an edge."""
        return self.nodes[edge.source].key, self.nodes[edge.target].key


@dataclass(frozen=True, slots=True)
class Linked:
    """The top values of a key, and what goes between them (`side` both), or what goes out from them or in to them.

    The reply has a `Matrix` under `matrix`, or the `Answer` of pairs under `pairs`.
    """

    main: Query
    key: str
    side: str

    @classmethod
    def of(cls, query: Query, key: str, count: int, side: str) -> Linked:
        """Make it of the query of a view."""
        own = {"talkers": ENDS[key].keys[0], "listeners": ENDS[key].keys[1]}.get(side, key)
        plain = replace(query, kind=Kind.GROUPS, having=ANY, only=None, bins=None, times=False, ascending=False)
        return cls(replace(plain, keys=(own,), order=query.measure.value, limit=min(count, MOST)), key, side)

    def put(self, back_end: BackEnd) -> Reply:
        """Ask for the top values, then for the pairs."""
        query = self.main
        if self.side == "both":
            pairs: Matrix = matrix(back_end, query, self.key, query.limit or MOST)
            return Reply(pairs.top, {"matrix": pairs})
        top = back_end.answer(query)
        values = tuple(value for value in top.groups[query.keys[0]].to_list() if value is not None)
        if not values:
            return Reply(top)
        there = ENDS[self.key]
        where = all_of(query.where, among(there.field, values, there.directions[SIDES.index(self.side) - 1]))
        return Reply(top, {"pairs": back_end.answer(replace(query, keys=there.keys, where=where, limit=EDGES))})


def web(asked: Linked, reply: Reply, others: bool = True) -> Web:
    """Return nodes and edges of a reply, with what they leave as edges to `OTHERS` where that is wanted."""
    measure = asked.main.measure
    if "matrix" in reply.more:
        return _among_each_other(reply.more["matrix"], measure, others)
    if "pairs" in reply.more:
        return _one_sided(asked, reply, measure, others)
    return Web((), (), reply.main.total, measure)


def _among_each_other(pairs: Matrix, measure: Measure, others: bool) -> Web:
    sums, elements = pairs.sums, pairs.elements
    rows = [row for row in pairs.top.groups.iter_rows(named=True) if row[pairs.key] is not None]
    edges = []
    for source, target in zip(*(axis.tolist() for axis in (sums[Measure.FLOWS] > 0).nonzero()), strict=True):
        each = Totals(*(int(sums[kind][source, target]) for kind in (Measure.OCTETS, Measure.PACKETS, Measure.FLOWS)))
        edges.append(Edge(source, target, each, each.value(measure)))
    left = []
    for number, row in enumerate(rows):
        # What goes either way between this one and all that are no nodes: its own sums without those of its row and its column.
        rest = [
            row[kind.value] - int(sums[kind][number].sum() + sums[kind][:, number].sum() - sums[kind][number, number])
            for kind in (Measure.OCTETS, Measure.PACKETS, Measure.FLOWS)
        ]
        each = Totals(*(max(value, 0) for value in rest))
        if each.flows:
            left.append(Edge(number, len(elements), each, each.value(measure), True))
    inside = Totals(*(int(sums[kind].sum()) for kind in (Measure.OCTETS, Measure.PACKETS, Measure.FLOWS)))
    nodes = [_node(row[pairs.key], row) for row in rows]
    return _put_together(nodes, edges, left if others else [], _less(pairs.total, inside), pairs.total, measure)


def _one_sided(asked: Linked, reply: Reply, measure: Measure, others: bool) -> Web:
    own, answer = asked.main.keys[0], reply.more["pairs"]
    ends = ENDS[asked.key].keys
    nodes = [_node(row[own], row) for row in reply.main.groups.iter_rows(named=True) if row[own] is not None]
    number = {node.key: place for place, node in enumerate(nodes)}
    here, most = set(number), 2 * len(nodes)
    edges, passed = [], {place: Totals() for place in range(len(nodes))}
    for row in answer.groups.iter_rows(named=True):
        keys = [row[name] for name in ends]
        far = keys[1 if own == ends[0] else 0]
        if far is None or (far not in number and len(nodes) >= most):
            continue
        if far not in number:
            number[far] = len(nodes)
            nodes.append(Node(far, Totals()))
        each = Totals(row["octets"], row["packets"], row["flows"])
        edges.append(Edge(number[keys[0]], number[keys[1]], each, each.value(measure)))
        near = number[row[own]]
        passed[near] = passed[near] + each
        if far not in here:
            nodes[number[far]] = replace(nodes[number[far]], sums=nodes[number[far]].sums + each)
    left, rest = [], Totals()
    for near, sums in passed.items():
        each = _less(nodes[near].sums, sums)
        if each.flows:
            pair = (near, len(nodes)) if own == ends[0] else (len(nodes), near)
            left.append(Edge(*pair, each, each.value(measure)))
            rest = rest + each
    return _put_together(nodes, edges, left if others else [], rest, reply.main.total, measure)


def _put_together(nodes: list[Node], edges: list[Edge], left: list[Edge], rest: Totals, total: Totals, measure: Measure) -> Web:
    """Return the web, its edges by size, with the node of the others last where an edge leads to it."""
    if left:
        nodes = [*nodes, Node(OTHERS, rest)]
    ordered = sorted([*edges, *left], key=lambda edge: (-edge.value, edge.source, edge.target))
    sent, received = [0] * len(nodes), [0] * len(nodes)
    for edge in ordered:
        if not edge.both:
            sent[edge.source] += edge.value
            received[edge.target] += edge.value
    return Web(
        tuple(replace(node, sent=sent[n], received=received[n]) for n, node in enumerate(nodes)), tuple(ordered), total, measure
    )


def _node(key: Any, row: dict[str, Any]) -> Node:
    return Node(key, Totals(row["octets"], row["packets"], row["flows"]))


def _less(whole: Totals, part: Totals) -> Totals:
    return Totals(*(max(a - b, 0) for a, b in zip(_numbers(whole), _numbers(part), strict=True)))


def _numbers(sums: Totals) -> Iterable[int]:
    return sums.octets, sums.packets, sums.flows
