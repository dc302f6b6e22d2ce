"""Who talks to whom as nodes and lines: the weight of a line follows what goes along it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from nftui.screens.dots import Dots
from nftui.screens.layout import Places, Spans, Stand, corners, ends, smooth
from nftui.screens.themes import Ink
from nftui.screens.towards import towards
from nftui.screens.web import OTHERS, Edge, Node, Web
from nftui.screens.widgets.canvas import Canvas, middle
from nftui.screens.widgets.picture import Picture, styled
from nftui.screens.widgets.sketch import dots_of, sketch
from nftui.units import scaled

LINES = 160
"""Lines that are drawn, the greatest ones and those of the node under the cursor."""
SIZED = 14
"""Lines that tell their size beside those of the cursor."""
FAINT, QUIET = 0.35, 0.65
"""How much of its colour is left of a line while the cursor is on others, and while it is on none."""
HEAVY, MEDIUM = 0.5, 0.1
"""Shares of the greatest line from which on a line is drawn with three and with two dots."""
LONGEST = 24
"""Cells of a label."""

PINNED = "+"
"""In front of the name of a node that is pinned."""
BOLD = Style(bold=True)
Pair = tuple[Hashable, Hashable]


class TrafficMap(Picture):
    """Nodes and lines with a cursor on one of them. Arrows go from node to node, `>` and `<` from line to line by size.

    Nodes keep their places from one answer to the next; new ones stand out until then.
    """

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._web: Web | None = None
        self._label: Callable[[Any], str] = str
        self._figures: Callable[[int], str] = scaled
        self._edge_words: Callable[[Edge], str] = str
        self._places = Places()
        self._stands: list[Stand | None] = []
        self._colours: dict[Hashable, int] = {}
        self._fresh: set[Hashable] = set()  # nodes that weren't there before
        self._node_key: Hashable | None = None
        self._edge_keys: Pair | None = None
        self._anew = False
        self._inks: Ink  # of the theme, while painting: looked up once
        self._at: tuple[int | None, int | None] = (None, None)  # node and line under the cursor, while painting

    def show(
        self,
        web: Web | None,
        label: Callable[[Any], str],
        figures: Callable[[int], str],
        *notice: str,
        sizes: Callable[[Edge], str] | None = None,
    ) -> None:
        """Replace nodes and lines; the cursor stays where it was, and begins on the greatest line.

        Args:
            web: What is shown; None for nothing.
            label: Makes the name of a node of its key.
            figures: Makes words of the value of a line.
            notice: Lines in its place where there is nothing.
            sizes: Makes the words beside a line; those of its value unless told.
        """
        before = {node.key for node in self._web.nodes} if self._web is not None else set()
        if web is not None and web != self._web:
            # Those of another kind aren't new ones among these.
            self._fresh = (
                {node.key for node in web.nodes} - before if before & {node.key for node in web.nodes} - {OTHERS} else set()
            )
        self._web, self._label, self._figures, self._notice = web, label, figures, notice
        self._edge_words = sizes or (lambda edge: figures(edge.value))
        for node in () if web is None else web.nodes:
            self._colours.setdefault(node.key, len(self._colours))
        self.repaint()

    def lay_out_anew(self) -> None:
        """Give all nodes new places."""
        self._anew = True
        self.repaint()

    @property
    def drawn(self) -> int:
        """Nodes that have a place."""
        return sum(stand is not None for stand in self._stands)

    # The cursor

    def node_number(self) -> int | None:
        """Return the number of the node under the cursor; None while that is on a line."""
        if self._web is None or self._node_key is None:
            return None
        return next((n for n, node in enumerate(self._web.nodes) if node.key == self._node_key), None)

    def node(self) -> Node | None:
        """Return the node under the cursor; None while that is on a line."""
        number = self.node_number()
        return None if number is None or self._web is None else self._web.nodes[number]

    def edge_number(self) -> int | None:
        """Return the number of the line under the cursor; None while that is on a node."""
        web = self._web
        if web is None or not web.edges or self.node_number() is not None:
            return None
        return next((n for n, edge in enumerate(web.edges) if web.keys(edge) == self._edge_keys), 0)

    def edge(self) -> Edge | None:
        """Return the line under the cursor; None while that is on a node."""
        number = self.edge_number()
        return None if number is None or self._web is None else self._web.edges[number]

    def go_to_edge(self, number: int, quiet: bool = False) -> None:
        """Put the cursor on a line."""
        if self._web is not None and 0 <= number < len(self._web.edges):
            self._node_key, self._edge_keys = None, self._web.keys(self._web.edges[number])
            if quiet:
                self.repaint()
            else:
                self.moved()

    def _go_to_node(self, number: int) -> None:
        assert self._web is not None
        self._node_key = self._web.nodes[number].key
        self.moved()

    def action_go(self, right: int, down: int) -> None:
        """Go to the next node in a direction; from a line, first to the node that it comes from."""
        standing = [n for n, stand in enumerate(self._stands) if stand is not None]
        number, edge = self.node_number(), self.edge()
        if not standing:
            return
        if number not in standing:
            self._go_to_node(edge.source if edge is not None and edge.source in standing else standing[0])
            return
        places = [stand.middle for stand in self._stands if stand is not None]
        self._go_to_node(standing[towards(places, standing.index(number), right, down)])

    def action_by_size(self, step: int) -> None:
        """Go to the next line in the order of size: of the node under the cursor, else of all."""
        web, number, at = self._web, self.node_number(), self.edge_number()
        if web is None or not web.edges:
            return
        if number is not None:
            at = next((n for n, edge in enumerate(web.edges) if number in (edge.source, edge.target)), 0) - step
        self.go_to_edge(((-1 if at is None else at) + step) % len(web.edges))

    def action_ends(self, place: int) -> None:
        """Go to the greatest (0) or the smallest (-1) line."""
        if self._web is not None and self._web.edges:
            self.go_to_edge(place % len(self._web.edges))

    def under(self, x: int, y: int) -> bool:
        """Put the cursor on the node whose label is there."""
        for number, stand in enumerate(self._stands):
            if stand is not None and stand.x <= x < stand.x + stand.width and stand.y <= y < stand.y + stand.height:
                self._node_key = None if self._web is None else self._web.nodes[number].key
                return True
        return False

    def name_here(self) -> str:
        """Return the node or the line under the cursor in words."""
        web, node, edge = self._web, self.node(), self.edge()
        if node is not None:
            return self._label(node.key)
        if web is None or edge is None:
            return ""
        source, target = (self._label(key) for key in web.keys(edge))
        return f"{source} {'<->' if edge.both else '->'} {target}"

    # The picture

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines of the picture."""
        canvas, web = self.canvas(width, height), self._web
        if web is None or not web.nodes:
            self._stands = []
            return self.notice(canvas).strips()
        self._inks, self._at = self.ink, (self.node_number(), self.edge_number())
        names = self._stand(web, width, height)
        spans = Spans(width, height)
        for stand in self._stands:
            for line in range(stand.height if stand is not None else 0):
                assert stand is not None
                spans.take(stand.x - 1, stand.y + line, stand.width + 2)
        drawn = self._chosen(web)
        points = {n: self._points(web.edges[n]) for n in drawn}
        if self.glyphs.dots:
            self._curves(canvas, web, drawn, points)
        else:
            self._strokes(canvas, web, drawn, points)
        self._sizes(canvas, web, drawn, points, spans)
        for number, node in enumerate(web.nodes):
            self._label_node(canvas, node, number, names[number])
        if self.drawn < len(web.nodes):
            text = f"{len(web.nodes) - self.drawn} more nodes have no room here"
            if spans.free(0, height - 1, len(text)):
                canvas.put(0, height - 1, text, self._inks.warn)
        return canvas.strips()

    def _stand(self, web: Web, width: int, height: int) -> list[str]:
        """Give each node its place; return their names as they fit."""
        count = len(web.nodes)
        weights = np.zeros((count, count))
        most = max((edge.value for edge in web.edges), default=1) or 1
        for edge in web.edges:
            # Others are kin to all: they shall not stand in the middle for that.
            share = (edge.value / most) ** 0.5 * (0.02 if OTHERS in web.keys(edge) else 1.0)
            weights[edge.source, edge.target] += share
            weights[edge.target, edge.source] += share
        np.fill_diagonal(weights, 0.0)
        # Those that are pinned come first where there is no room for all, and stay where they are.
        order = sorted(range(count), key=lambda number: not web.nodes[number].pinned)
        keys, fixed = [web.nodes[number].key for number in order], sum(node.pinned for node in web.nodes)
        given = self._places.arrange(keys, weights[np.ix_(order, order)], width, height, self._anew, fixed)
        slots = [slot for _, slot in sorted(zip(order, given, strict=True), key=lambda pair: pair[0])]
        self._anew = False
        grid = self._places.grid
        room = max(min(int(grid.slot_width) - 4, LONGEST, width), 1)
        deep = 2 if grid.slot_height >= 3 else 1
        names = [self._named(node, room - 2) if room > 4 else "" for node in web.nodes]
        self._stands = []
        for name, slot, node in zip(names, slots, web.nodes, strict=True):
            if slot is None:
                self._stands.append(None)
                continue
            x, y = grid.place(slot)
            wide = min(max(cell_len(name) + 2, cell_len(self._amount(node)) + 2 if deep > 1 else 0), room)
            self._stands.append(
                Stand(min(max(x - wide // 2, 0), width - wide), max(min(y, height - deep), 0), wide, deep, slot // grid.rows)
            )
        return names

    def _named(self, node: Node, room: int) -> str:
        mark = PINNED if node.pinned else ""
        return mark + middle(self._label(node.key), room - len(mark), self.glyphs.ellipsis)

    def _amount(self, node: Node) -> str:
        if self._web is None:
            return ""
        return self._figures(node.sums.value(self._web.measure)) if node.sums.flows else "no flows"

    def _chosen(self, web: Web) -> list[int]:
        """Return the numbers of the lines to draw, the least important first: later ones are drawn over earlier ones."""
        there = [n for n, edge in enumerate(web.edges) if edge.source != edge.target and self._both_stand(edge)]
        return sorted(there, key=lambda n: (self._bright(web, n), OTHERS not in web.keys(web.edges[n]), -n))[-LINES:]

    def _both_stand(self, edge: Edge) -> bool:
        return self._stands[edge.source] is not None and self._stands[edge.target] is not None

    def _bright(self, web: Web, number: int) -> bool:
        """Tell whether a line is under the cursor, or one of the node that is."""
        (node, line), edge = self._at, web.edges[number]
        return number == line if node is None else node in (edge.source, edge.target)

    def _points(self, edge: Edge) -> list[tuple[float, float]]:
        start, end = self._stands[edge.source], self._stands[edge.target]
        assert start is not None and end is not None
        bow = min(max(abs(end.y - start.y) * 0.8, 3.0), self._places.grid.slot_width * 0.45)
        if (start.x + start.width + bow * 0.75 >= self.size.width) if start.y <= end.y else (start.x - bow * 0.75 < 0):
            bow = 3.0
        return ends(start, end, bow)

    def _weight(self, web: Web, edge: Edge) -> int:
        share = edge.value / max(web.edges[0].value, 1)
        return 3 if share >= HEAVY else 2 if share >= MEDIUM else 1

    def _colour(self, web: Web, number: int) -> str:
        """Return the colour of a line: that of the node which sends."""
        edge = web.edges[number]
        if number == self._at[1]:
            return str(self._inks.text.color.name) if self._inks.text.color else self._inks.other
        colour = self.node_colour(web.nodes[edge.source].key)
        return self._inks.mixed(colour, 1.0 if self._bright(web, number) else QUIET if self._at[0] is None else FAINT)

    def node_colour(self, key: Hashable) -> str:
        """Return the colour of a node, which it keeps."""
        number = self._colours.get(key, 0)
        return self.ink.other if key == OTHERS else self.ink.layer(number, number + 1)

    def _curves(self, canvas: Canvas, web: Web, drawn: list[int], points: dict[int, list[tuple[float, float]]]) -> None:
        dots: Dots = dots_of(self.glyphs, canvas.width, canvas.height)
        for ink, number in enumerate(drawn):
            dots.line(smooth(points[number], dots.steps(points[number])), ink, self._weight(web, web.edges[number]))
        bold = frozenset(ink for ink, number in enumerate(drawn) if self._bright(web, number))
        sketch(canvas, dots, [self._colour(web, number) for number in drawn], self._inks.ground, self.glyphs, bold)
        for number in drawn:
            self._arrow(canvas, web, number, points[number])

    def _strokes(self, canvas: Canvas, web: Web, drawn: list[int], points: dict[int, list[tuple[float, float]]]) -> None:
        for number in drawn:
            style = styled(self._colour(web, number), self._inks.ground, self._bright(web, number))
            stroke(
                canvas,
                corners(points[number], number, canvas.width),
                self.glyphs.strokes[self._weight(web, web.edges[number]) - 1],
                style,
            )
            self._arrow(canvas, web, number, points[number])

    def _arrow(self, canvas: Canvas, web: Web, number: int, points: list[tuple[float, float]]) -> None:
        """Draw the head of a line, in the cell beside the label that it arrives at."""
        edge, ((_, _), _, (bend, _), (x, y)) = web.edges[number], points
        if not edge.both:
            from_left = bend <= x
            place = int(x) - 1 if from_left else int(x)
            canvas.cell(place, int(y), ">" if from_left else "<", styled(self._colour(web, number), self._inks.ground, True))

    def _sizes(
        self, canvas: Canvas, web: Web, drawn: list[int], points: dict[int, list[tuple[float, float]]], spans: Spans
    ) -> None:
        """Write the sizes of the greatest lines beside them, wherever none is in the way of another."""
        told = sorted(drawn, key=lambda n: (not self._bright(web, n), n))
        bright = sum(self._bright(web, n) for n in drawn)
        for number in told[: bright + SIZED]:
            text = f" {self._edge_words(web.edges[number])} "
            line = smooth(points[number], 21) if self.glyphs.dots else _along(corners(points[number], number, canvas.width))
            for share in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8):
                x, y = line[int(share * (len(line) - 1))]
                start = int(x) - len(text) // 2
                if spans.free(start, int(y), len(text)):
                    spans.take(start, int(y), len(text))
                    style = self._inks.strong if number == self._at[1] else styled(self._colour(web, number), self._inks.ground)
                    canvas.put(start, int(y), text, style)
                    break

    def _label_node(self, canvas: Canvas, node: Node, number: int, name: str) -> None:
        stand, ink = self._stands[number], self._inks
        edge = None if self._at[1] is None or self._web is None else self._web.edges[self._at[1]]
        if stand is None:
            return
        here = number == self._at[0]
        near = edge is not None and number in (edge.source, edge.target)
        coloured = ink.coloured(self.node_colour(node.key), here)
        text = ink.cursor + BOLD if here else ink.strong if near else ink.accent if node.key in self._fresh else ink.text
        begin, end = ("{", "}") if node.key == OTHERS else ("[", "]") if node.sent >= node.received else ("(", ")")
        canvas.fill(stand.x, stand.y, stand.width, stand.height, text)
        if here:
            begin, end = (self.glyphs.pointer, end) if self.has_focus else (begin, end)
        canvas.put(stand.x, stand.y, begin, coloured + BOLD, 1)
        taken = canvas.put(stand.x + 1, stand.y, name, text, stand.width - 2)
        canvas.put(stand.x + 1 + taken, stand.y, end, coloured + BOLD, 1)
        if stand.height > 1:
            canvas.put(stand.x + 1, stand.y + 1, self._amount(node), coloured, stand.width - 1)


def stroke(canvas: Canvas, turns: list[tuple[int, int]], characters: Sequence[str], style: Style) -> None:
    """Draw a line of level and upright strokes: level, upright, level."""
    (x, y), (turn, _), _, (to_x, to_y) = turns
    level, upright, upper_left, upper_right, lower_left, lower_right = characters
    for start, end, row in ((x, turn, y), (turn, to_x, to_y)):
        for place in range(min(start, end), max(start, end) + 1):
            canvas.cell(place, row, level, style)
    for row in range(min(y, to_y) + 1, max(y, to_y)):
        canvas.cell(turn, row, upright, style)
    if y != to_y:
        down = to_y > y
        canvas.cell(turn, y, (upper_right if down else lower_right) if turn > x else (upper_left if down else lower_left), style)
        canvas.cell(
            turn, to_y, (lower_left if down else upper_left) if to_x > turn else (lower_right if down else upper_right), style
        )


def _along(turns: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Return cells along the longer of the level strokes of a line: where its size can be read."""
    (x, y), (turn, _), _, (to_x, to_y) = turns
    start, end, row = (x, turn, y) if abs(turn - x) >= abs(to_x - turn) else (turn, to_x, to_y)
    return [(start + (end - start) * share / 20, float(row)) for share in range(21)]
