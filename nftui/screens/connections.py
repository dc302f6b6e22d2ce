"""Nodes and edges in words, figures and filters: what the Map screen says of them. No widget is touched here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nftui.engine.matrix import ENDS
from nftui.engine.query import Measure, Totals
from nftui.screens import cells, terms
from nftui.screens.ranking import RATES, change, known_of
from nftui.screens.view import keys_of
from nftui.screens.web import OTHERS, Earlier, Edge, Node, Web
from nftui.screens.widgets.flow_table import Row, TableColumn
from nftui.units import octets, scaled

PLURALS = {"address": "addresses", "port": "ports", "as": "AS", "vlan": "VLANs", "interface": "interfaces"}
WORDS = {"address": "ip", "port": "port", "as": "as", "vlan": "vlan", "interface": "if"}
"""Keys of `ENDS` -> what a breakdown calls them."""


def ends_of(by: str) -> str:
    """Return the key of `ENDS` that a breakdown is about; addresses for one that has no two ends."""
    for name in keys_of(by):
        bare = name.partition("/")[0]
        for key, ends in ENDS.items():
            if bare == key or bare in ends.keys:
                return key
    return "address"


@dataclass(frozen=True)
class Connections:
    """A web in words.

    Attributes:
        web: Nodes and edges.
        rate: What turns a sum into the rate of its measure.
        iec: Whether octets are shown in steps of 1024.
        cell: Makes the text of a value of a key.
        earlier: The period before, where that is told beside it.
        elapsed: Microseconds that rates are averages of.
    """

    web: Web
    rate: Callable[[float], float]
    iec: bool = False
    cell: Callable[[str, Any], str] = cells.cell
    earlier: Earlier | None = None
    elapsed: int = 1

    @property
    def key(self) -> str:
        """The key of `ENDS` that the nodes are of."""
        return self.web.key

    @property
    def side(self) -> str:
        """Whose traffic it is: one of `web.SIDES`."""
        return self.web.side

    def label(self, key: Any) -> str:
        """Return the name of a node."""
        return OTHERS if key == OTHERS else self.cell(ENDS[self.key].keys[0], key)

    def figure(self, value: int) -> str:
        """Return a sum of the measure, short."""
        return scaled(value, 1024 if self.iec and self.web.measure is Measure.OCTETS else 1000)

    @property
    def compared(self) -> bool:
        """Whether there is something to compare with."""
        return self.earlier is not None and self.earlier.answer.total.flows > 0

    def edge_change(self, edge: Edge) -> str:
        """Return how the rate of an edge changed; empty where that isn't told."""
        return "" if self.earlier is None else self._change(edge.value, self.earlier.edges.get(self.web.keys(edge), 0))

    def node_change(self, node: Node) -> str:
        """Return how the rate of a node changed; empty where that isn't told."""
        told = self.earlier is not None and node.key in self.earlier.nodes and node.key != OTHERS
        return "" if self.earlier is None or not told else self._change(self.sum_of(node), self.earlier.nodes[node.key])

    def sum_of(self, node: Node) -> int:
        """Return what a node sums to, of the measure."""
        return node.sums.value(self.web.measure)

    def _change(self, now: int, before: int) -> str:
        if self.earlier is None or not self.compared:
            return ""
        # Mean rates, as the periods may differ in how much of them is over, or held.
        return change(now, before * self.elapsed / max(known_of(self.earlier.interval, self.earlier.answer), 1))

    def edge_figure(self, edge: Edge) -> str:
        """Return the size of an edge, and how it changed."""
        return f"{self.figure(edge.value)} {self.edge_change(edge)}".rstrip()

    @property
    def whole(self) -> int:
        """What shares are of: all flows that the filter takes."""
        return max(self.web.total.value(self.web.measure), 1)

    # The list of edges

    def rows(self) -> list[Row]:
        """Return a row an edge: its number, and the names by which it is known again."""
        return [
            {"number": n, "source": str(self.web.nodes[edge.source].key), "target": str(self.web.nodes[edge.target].key)}
            for n, edge in enumerate(self.web.edges)
        ]

    def columns(self, colour: Callable[[Any], str]) -> list[TableColumn]:
        """Return the columns of the list; `colour` gives that of a node."""
        web, measure = self.web, self.web.measure

        def edge(row: Row) -> Edge:
            return web.edges[row["number"]]

        def ink(_: int, row: Row) -> str:
            return colour(web.nodes[edge(row).source].key)

        def end(first: bool) -> Callable[[int, Row], str]:
            return lambda n, row: self.label(web.keys(edge(row))[0 if first else 1])

        return [
            TableColumn("source", "source", 15, end(True), grows=2, middle=True, colour=ink),
            TableColumn("way", "", 2, lambda n, row: "<>" if edge(row).both else "->"),
            TableColumn("target", "destination", 15, end(False), grows=2, middle=True),
            TableColumn(measure.value, measure.value, 7, lambda n, row: self.figure(edge(row).value), True),
            TableColumn("share", "share", 6, lambda n, row: f"{100 * edge(row).value / self.whole:.1f}%", True, rank=1),
            *([TableColumn("change", "change", 6, lambda n, row: self.edge_change(edge(row)), True)] if self.compared else []),
            TableColumn("rate", "rate", 9, lambda n, row: RATES[measure](self.rate(edge(row).value)), True, rank=2),
            TableColumn("flows", "flows", 6, lambda n, row: scaled(edge(row).sums.flows), True, rank=3),
            TableColumn("packets", "packets", 7, lambda n, row: scaled(edge(row).sums.packets), True, rank=4),
        ]

    # What is under the cursor

    def edge_name(self, edge: Edge) -> str:
        """Return both ends of an edge."""
        source, target = (self.label(key) for key in self.web.keys(edge))
        return f"{source} {'<->' if edge.both else '->'} {target}"

    def edge_facts(self, edge: Edge) -> list[tuple[str, str]]:
        """Return all that is known of an edge, as names and words."""
        place = self.web.edges.index(edge) + 1
        return [*self.facts(edge.sums, self.edge_change(edge)), ("rank", f"{place} of {self.web.count:,}")]

    def node_facts(self, node: Node) -> list[tuple[str, str]]:
        """Return all that is known of a node, as names and words."""
        number = self.web.nodes.index(node)
        peers = {edge.source + edge.target - number for edge in self.web.edges if number in (edge.source, edge.target)}
        facts = [("sends", self.figure(node.sent)), ("receives", self.figure(node.received))] if node.key != OTHERS else []
        return [*facts, ("peers", str(len(peers))), *self.facts(node.sums, self.node_change(node))]

    def facts(self, sums: Totals, changed: str = "") -> list[tuple[str, str]]:
        """Return sums as names and words."""
        value = sums.value(self.web.measure)
        return [
            ("share", f"{100 * value / self.whole:.1f}%"), *([("change", changed)] if changed else []),
            ("rate", RATES[self.web.measure](self.rate(value))),
            ("octets", octets(sums.octets, self.iec)), ("packets", f"{sums.packets:,}"), ("flows", f"{sums.flows:,}"),
        ]  # fmt: skip

    # Filters

    def node_term(self, node: Node) -> str | None:
        """Return the filter for the flows of a node; None where none can say it."""
        if node.key == OTHERS:
            among = self._among()
            return None if among is None or self.side != "both" else f"not ({among})"
        if self.side == "both":
            return terms.term(self.key, node.key)
        first = node.sent > 0 if self.side == "talkers" else node.received == 0
        return terms.term(ENDS[self.key].keys[0 if first else 1], node.key)

    def edge_term(self, edge: Edge) -> str | None:
        """Return the filter for the flows of an edge; None where none can say it."""
        source, target = self.web.keys(edge)
        names = ENDS[self.key].keys
        if edge.both:
            own, among = terms.term(self.key, source), self._among()
            return None if own is None or among is None else f"{own} and not ({among})"
        if OTHERS in (source, target):
            near, far = (0, 1) if target == OTHERS else (1, 0)
            own = terms.term(names[near], (source, target)[near])
            told = [self.web.keys(each)[far] for each in self.web.edges if self.web.keys(each)[near] == (source, target)[near]]
            listed = self._listed(names[far], [key for key in told if key != OTHERS])
            return own if own is None or listed is None else f"{own} and not {listed}"
        said = [terms.term(name, key) for name, key in zip(names, (source, target), strict=True)]
        return None if None in said else " and ".join(str(words) for words in said)

    def _among(self) -> str | None:
        """Return the filter for flows with both ends among the nodes."""
        keys = [node.key for node in self.web.nodes if node.key != OTHERS]
        said = [self._listed(name, keys) for name in ENDS[self.key].keys]
        return None if None in said else " and ".join(str(words) for words in said)

    def _listed(self, name: str, keys: list[Any]) -> str | None:
        """Return the filter for flows with one of some values on a side."""
        words = terms.TERMS.get(name)
        said = [terms.term(name, key) for key in keys]
        if words is None or not said or None in said:
            return None
        return f"{words} in [{' '.join(str(each).removeprefix(words).strip() for each in said)}]"
