"""The Map screen: who talks to whom as a network, the same in pairs, and portions of the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Any, ClassVar

import polars as pl
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from nftui.engine.matrix import ENDS
from nftui.engine.query import Answer, Interval, Measure
from nftui.screens import map_lines, terms, tiles
from nftui.screens.connections import PLURALS, WORDS, Connections, ends_of
from nftui.screens.investigation import InvestigationScreen
from nftui.screens.map_lines import KINDS
from nftui.screens.questions import Question
from nftui.screens.ranking import Ranking
from nftui.screens.web import OTHERS, SIDES, Linked, Web
from nftui.screens.widgets.donut import Donut, Slice
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.painted import Line, Lines, Part
from nftui.screens.widgets.pair_matrix import PairMatrix
from nftui.screens.widgets.picture import Picture
from nftui.screens.widgets.prompt import Prompt
from nftui.screens.widgets.ring import Ring
from nftui.screens.widgets.traffic_map import TrafficMap
from nftui.screens.widgets.treemap import Treemap
from nftui.units import octets, scaled

LOOKS = {"network": ("network",), "pairs": ("matrix", "ring"), "portions": ("treemap", "donut")}
"""Kinds of maps, and what each can be drawn as."""
MOST_PINNED = 50
PANELS = ("", "-picture-only", "-list-only")


class MapScreen(InvestigationScreen):
    """Who talks to whom, and who makes which portion."""

    TAB = "map"
    AUTO_FOCUS = "#network"
    LIMITS = (5, 10, 15, 20, 25, 50, 100, 250)
    LIMITED = ("shown", "top {}")
    ELSEWHERE: ClassVar[dict[str, str]] = {
        "compare": "compared on Live and Summary",
        "resolution": "Live shows samples",
        "reverse": "lists of Live and Summary",
    }
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "maps.tcss"]
    FOOTER = (
        ("map.kind", ""), ("map.look", ""), ("view.filter", ""), ("view.range", ""), ("view.by", ""), ("view.measure", ""),
        ("picture.open", "Open"), ("table.open", "Open"), ("view.help", ""), ("view.export", ""), ("view.up", "Up"),
        ("app.quit", ""), ("picture.next", "Next"), ("view.only", ""), ("view.exclude", ""), ("view.limit", ""), ("map.pin", ""),
        ("map.side", ""), ("map.anew", ""), ("view.others", ""), ("map.maximise", ""), ("picture.copy", ""),
    )  # fmt: skip
    SIGNS: ClassVar[tuple[str, ...]] = (
        *InvestigationScreen.SIGNS,
        "nodes of the network",
        "  [sends more]   (receives more)   {all others}   lines: weight by share of the greatest",
        "  +pinned: stays on the map and in its place, also when it is no longer among the top",
        "cells of the pairs",
        "  shade by share of the row",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "kind", "Kind", id="map.kind", tooltip="Network, pairs or portions in turn"),
        Binding("v", "look", "View", id="map.look", tooltip="Matrix, ring; treemap, donut; who is ranked"),
        Binding("s", "ranked_side", "Talkers", show=False, id="map.side", tooltip="Rank who talks, who listens, or both"),
        Binding("p", "pin", "Pin", show=False, id="map.pin", tooltip="Keep the node on the map, or no longer"),
        Binding("L", "anew", "Lay out", show=False, id="map.anew", tooltip="New places for nodes that are not pinned"),
        Binding("z", "panel", "Maximise", show=False, id="map.maximise", tooltip="The picture alone, the list alone, both"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.kind = KINDS[0]
        self._look = dict.fromkeys(KINDS, 0)
        self._ranked_by = SIDES[0]
        self._pinned: dict[str, tuple[Any, ...]] = {}  # by key of `ENDS`
        self._panel = 0
        self._stepped: list[tuple[int, str, Any]] = []  # steps into a portion: how many there were before, breakdown, values
        self._connections: Connections | None = None
        self._ranking: Ranking | None = None
        self._names: tuple[str, ...] = ()  # keys of the portions that are shown

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="filter")
        yield Prompt()
        yield Line(id="kinds")
        with Container(id="body"):
            with Container(id="pictures"):
                yield TrafficMap(id="network")
                yield PairMatrix(id="matrix")
                yield Ring(id="ring")
                yield Treemap(id="treemap")
                yield Donut(id="donut")
            with Container(id="panel"):
                yield FlowTable(id="table")
                yield Lines(id="side")
        yield Lines(id="detail")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Begin with the network."""
        super().on_mount()
        self._show_kind()

    @property
    def look(self) -> str:
        """What the map is drawn as: the id of its widget."""
        return LOOKS[self.kind][self._look[self.kind]]

    @property
    def picture(self) -> Picture | None:
        """The picture that has the cursor; None for one without."""
        found = self.query_one(f"#{self.look}")
        return found if isinstance(found, Picture) else None

    def question(self) -> Question:
        """Return what the map asks."""
        query, key = self.view.groups(self.host.clock()), ends_of(self.view.by)
        before = self.view.before(query.interval) if self.view.compare and query.interval is not None else None
        if self.kind == "portions":
            return tiles.question(query, before)
        if self.kind == "pairs":
            return Linked.of(query, key, self.view.limit, SIDES[0], before=before)
        return Linked.of(query, key, self.view.limit, self._ranked_by, self.pinned, before)

    @property
    def pinned(self) -> tuple[Any, ...]:
        """The nodes that are pinned, of the key that is shown."""
        return self._pinned.get(ends_of(self.view.by), ())

    def _before(self) -> Interval | None:
        """Return the period before what is shown; None where there is none."""
        interval = None if self.answer is None else self.answer.query.interval
        return None if interval is None else self.view.before(interval)

    def _filter_line(self) -> tuple[list[Part], list[Part]]:
        left, right = super()._filter_line()
        if self.kind == "network" and self.pinned:
            right.append(Part(f" +{len(self.pinned)} pinned ", "accent"))
        return left, right

    def on_resize(self, _: events.Resize) -> None:
        """Lay out for the new size."""
        self.call_after_refresh(self.show_edges)
        self.call_after_refresh(self._show_kind)

    @property
    def _roomy(self) -> bool:
        """Whether the ring has room beside the matrix."""
        return self.size.width >= 160 and self.size.height >= 40

    def focus_table(self) -> None:
        """Give the keys to the picture, or to the list where there is none."""
        listed = self.small or self._panel == 2 or self.picture is None
        target: Widget = self.table if listed or self.picture is None else self.picture
        # At once: keys that were typed ahead are meant for it.
        self.set_focus(target)

    # What is shown

    def show_answer(self) -> None:
        """Show the answer on the picture and in the list."""
        if not self.is_attached:
            return
        answer, asked = self.answer, self.asked
        self._connections = self._ranking = None
        words = self.empty_words()
        if answer is None or not answer.total.flows or self.reply is None:
            self._show_nothing(words)
        elif isinstance(asked, Linked) and "web" in self.reply.more:
            self._show_web(answer, self.reply.more["web"])
        elif not isinstance(asked, Linked) and "web" not in self.reply.more:
            self._show_portions(answer, self.reply.more.get("parts"))
        else:  # what was answered last is of another kind
            self._show_nothing((self.problem,) if self.problem else ("asking…",))
        self._show_words()

    def _show_nothing(self, words: tuple[str, ...]) -> None:
        self.query_one(TrafficMap).show(None, str, scaled, *words)
        self.query_one(PairMatrix).show(None, Measure.OCTETS, str, 1.0, *words)
        self.query_one(Ring).show(None, Measure.OCTETS, str, *words)
        self.query_one(Treemap).show((), "", *words)
        self.query_one(Donut).show((), words[:1])
        self.table.show(None, (), notice=words if self.small or self.picture is None else ())

    def _show_web(self, answer: Answer, web: Web) -> None:
        ranking = Ranking(answer, self.host.clock(), self.iec, self.cell)
        shown = web if self.view.others and self.kind == "network" else web.without_others()
        earlier = self.reply.more.get("earlier") if self.view.compare and self.reply is not None else None
        self._connections = told = Connections(shown, ranking.rate, self.iec, self.cell, earlier, ranking.elapsed)
        network, reply = self.query_one(TrafficMap), self.reply
        if self.kind == "network":
            network.show(shown, told.label, told.figure, sizes=told.edge_figure)
        elif reply is not None and "matrix" in reply.more:
            pairs = reply.more["matrix"]
            self.query_one(PairMatrix).show(pairs, web.measure, told.label, ranking.rate(1))
            self.query_one(Ring).show(pairs, web.measure, told.label)
            self._bring_together(self.picture)
        colour = (
            network.node_colour if self.kind == "network" else lambda key: self.table.ink.layer(self._number(key), len(web.nodes))
        )
        rows = told.rows()
        schema = {"number": pl.Int64, "source": pl.String, "target": pl.String}
        self.table.show(pl.DataFrame(rows, schema), told.columns(colour), ("source", "target"), web.measure.value)
        self._follow()

    def _number(self, key: Any) -> int:
        nodes = () if self._connections is None else self._connections.web.nodes
        return next((n for n, node in enumerate(nodes) if node.key == key and key != OTHERS), len(nodes))

    def _show_portions(self, answer: Answer, parts: Answer | None) -> None:
        more = {} if self.reply is None else self.reply.more
        before = more.get("before") if self.view.compare else None
        self._ranking = ranking = Ranking(answer, self.host.clock(), self.iec, self.cell, before, True, more.get("held"))
        base = 1024 if self.iec and answer.query.measure is Measure.OCTETS else 1000

        def figure(value: int) -> str:
            return scaled(value, base)

        made = tiles.tiles(answer, parts, self.cell, figure)
        shown = made if self.view.others else [tile for tile in made if not tile.other]
        asked = answer.query if parts is None else parts.query
        self._names = asked.keys
        treemap = self.query_one(Treemap)
        treemap.show(shown, tiles.title(asked), figures=figure)
        slices = [Slice(tile.label, tile.value, tile.colour_rank) for tile in shown]
        self.query_one(Donut).show(slices, (figure(ranking.total), answer.query.measure.value))
        columns = ranking.columns(treemap.ink.layer)
        if self.look == "donut":  # its slices have letters, for those who see no colours
            columns[0] = replace(columns[0], text=lambda n, row: slices[n].letter if n < len(slices) else " ")
        self.table.show(answer.groups, columns, ranking.keys, answer.query.order)
        self._follow()

    def _show_words(self) -> None:
        said = map_lines.kinds(self.kind, self.view, self._connections, self._ranked_by, self.look)
        said = ([Part(f" {self.problem}", "error")], []) if self.problem else said
        self.query_one("#kinds", Line).show(*said)
        self.query_one("#detail", Lines).show(self._detail)
        self.query_one("#side", Lines).show(self._side)

    def _detail(self, width: int, height: int) -> list[list[Part]]:
        """Return what is under the cursor, on a line, and a line that explains the picture, or says what it is compared with."""
        told, ranking, before = self._connections, self._ranking, self._before()
        compared = told.compared if told is not None else ranking is not None and bool(ranking.comparable)
        answered = self.reply is not None and ("earlier" in self.reply.more or "before" in self.reply.more)
        hint = map_lines.against(before, compared, answered) if self.view.compare else map_lines.hint(self.kind, self.table.glyphs)
        return map_lines.detail(*self._facts(), hint, self.table.glyphs, width)

    def _side(self, width: int, height: int) -> list[list[Part]]:
        return map_lines.side(*self._facts(), self.table.glyphs, width)

    def _facts(self) -> tuple[str, list[tuple[str, str]]]:
        """Return the name of what is under the cursor, and all that is known of it."""
        told, network = self._connections, self.query_one(TrafficMap)
        if told is not None and self.kind == "network":
            node, edge = network.node(), network.edge()
            if node is not None and node in told.web.nodes:
                return told.label(node.key), told.node_facts(node)
            return ("", []) if edge is None else (told.edge_name(edge), told.edge_facts(edge))
        if told is not None and (pair := self._pair()) is not None:
            edge = next((edge for edge in told.web.edges if told.web.keys(edge) == pair), None)
            name = f"{told.label(pair[0])} -> {told.label(pair[1])}"
            return name, [("flows", "no")] if edge is None else told.edge_facts(edge)
        return self._portion_facts()

    def _portion_facts(self) -> tuple[str, list[tuple[str, str]]]:
        ranking, treemap = self._ranking, self.query_one(Treemap)
        if ranking is None:
            return "", []
        row = self.table.row() if self.picture is None else self._row_of(treemap)
        if row is not None:
            place = ranking.answer.groups.rows(named=True).index(row)
            facts = dict(ranking.facts(row, place))
            facts |= {"rate": facts["average"], "octets": octets(row["octets"], self.iec)}
            facts["change"] = ranking.change(place)
            order = ("share", "change", "rate", "octets", "packets", "flows", "oct/packet", "rank")
            return ranking.label(row), [(name, facts[name]) for name in order if facts[name]]
        tile, parent = treemap.tile(), treemap.parent_tile()
        if tile is None:
            return "", []
        name = tile.label if parent is None else f"{parent.label} > {tile.label}"
        return name, [("share", f"{100 * tile.value / max(treemap.total, 1):.1f}%"), (ranking.measure.value, tile.figure)]

    def _row_of(self, treemap: Treemap) -> dict[str, Any] | None:
        """Return the group of the tile under the cursor; None for parts and rests."""
        tile, ranking = treemap.tile(), self._ranking
        if tile is None or ranking is None or tile.row is None or treemap.parent_tile() is not None or not ranking.keys:
            return None
        return next((row for row in ranking.answer.groups.iter_rows(named=True) if (row[ranking.keys[0]],) == tile.row), None)

    # Cursors that go together

    def _pair(self) -> tuple[Any, Any] | None:
        picture = self.picture
        return picture.pair() if isinstance(picture, PairMatrix | Ring) else None

    def _bring_together(self, moved: Picture | None) -> None:
        """Put the cursors of matrix and ring on the same pair."""
        matrix, ring = self.query_one(PairMatrix), self.query_one(Ring)
        if isinstance(moved, Ring) and (pair := ring.pair()) is not None:
            matrix.select(pair)
        elif (pair := matrix.pair()) is not None:
            ring.select(pair)

    def _follow(self) -> None:
        """Put the cursor of the list on what is under that of the picture."""
        told, place = self._connections, None
        if told is not None and self.kind == "network":
            place = self.query_one(TrafficMap).edge_number()
        elif told is not None:
            pair = self._pair()
            place = next((n for n, edge in enumerate(told.web.edges) if told.web.keys(edge) == pair), None)
        elif self._ranking is not None and (row := self._row_of(self.query_one(Treemap))) is not None and self.picture is not None:
            place = self._ranking.answer.groups.rows(named=True).index(row)
        if place is not None and place != self.table.cursor:
            self.table.cursor = place
            self.table.repaint()

    @on(Picture.Moved)
    def _picture_moved(self, message: Picture.Moved) -> None:
        message.stop()
        if isinstance(message.picture, PairMatrix | Ring):
            self._bring_together(message.picture)
        self._follow()
        self._show_words()

    @on(FlowTable.Moved)
    def _list_moved(self, message: FlowTable.Moved) -> None:
        message.stop()
        told, cursor = self._connections, self.table.cursor
        if told is not None and cursor < len(told.web.edges):
            if self.kind == "network":
                self.query_one(TrafficMap).go_to_edge(cursor, quiet=True)
            elif OTHERS not in (pair := told.web.keys(told.web.edges[cursor])):
                self.query_one(PairMatrix).select(pair)
                self.query_one(Ring).select(pair)
        elif self._ranking is not None and self._ranking.keys and (row := self.table.row()) is not None:
            self.query_one(Treemap).go_to((row[self._ranking.keys[0]],), quiet=True)
        self._show_words()

    # Steps down and up

    @on(Picture.Opened)
    @on(FlowTable.Opened)
    def _opened(self, message: Picture.Opened | FlowTable.Opened) -> None:
        message.stop()
        if self.kind == "portions":
            self._step_in()
        elif self.narrow_to(self._term()):
            self.app.switch_mode("flows")

    def _term(self) -> str | None:
        """Return the filter for what is under the cursor."""
        told, network = self._connections, self.query_one(TrafficMap)
        if told is None:
            return self._portion_term()
        if self.kind == "network":
            node, edge = network.node(), network.edge()
            return told.node_term(node) if node is not None else None if edge is None else told.edge_term(edge)
        pair = self._pair()
        if pair is None:
            return None
        said = [terms.term(name, key) for name, key in zip(ENDS[told.key].keys, pair, strict=True)]
        return None if None in said else " and ".join(str(words) for words in said)

    def _portion_term(self) -> str | None:
        values = self._portion()
        names = self._names[: len(values or ())]
        return terms.of_group(names, dict(zip(names, values, strict=True))) if values else None

    def _portion(self) -> tuple[Any, ...] | None:
        """Return the values of the portion under the cursor."""
        if self.picture is not None:
            tile = self.query_one(Treemap).tile()
            return None if tile is None else tile.row
        row = self.table.row()
        return None if row is None or self._ranking is None else tuple(row[key] for key in self._ranking.keys)

    def _step_in(self) -> None:
        """Narrow to a portion, and break it down by something else; into its flows after the last."""
        taken = {by for _, by, _ in self._stepped} | {self.view.by}
        by, values, depth = tiles.next_by(taken), self._portion(), len(self.view.path)
        stepped = (depth, self.view.by, values)
        if self.narrow_to(self._portion_term(), by=by or ""):
            self._stepped = [step for step in self._stepped if step[0] < depth]
            self._stepped.append(stepped)
            if by is None:
                self.app.switch_mode("flows")

    def action_up(self) -> None:
        """Undo the last step down; a step into a portion with its breakdown."""
        depth = len(self.view.path) - 1
        if self._stepped and self._stepped[-1][0] == depth:
            _, by, values = self._stepped.pop()
            self.view = replace(self.view.up(), by=by)
            self.query_one(Treemap).expect(values)
            return
        super().action_up()

    def action_only(self) -> None:
        """Filter to what is under the cursor."""
        self.narrow_to(self._term())

    def action_exclude(self) -> None:
        """Filter out what is under the cursor."""
        self.narrow_to(self._term(), out=True)

    # What is drawn, and how

    def _show_kind(self) -> None:
        for looks in LOOKS.values():
            for look in looks:
                self.query_one(f"#{look}").display = look == self.look or (look == "ring" and self.look == "matrix" and self._roomy)
                self.set_class(look == self.look, f"-{look}")
        for name in PANELS[1:]:
            self.set_class(PANELS[self._panel] == name, name)
        self.show_answer()
        self.call_after_refresh(self.show_answer)
        if not self.query_one(Prompt).has_class("-open"):
            self.focus_table()

    def action_kind(self) -> None:
        """Show another kind of map."""
        self.kind = KINDS[(KINDS.index(self.kind) + 1) % len(KINDS)]
        self._panel = 0
        self._show_kind()
        self.ask()

    def action_look(self) -> None:
        """Draw the same as something else; of the network, rank by another side."""
        if self.kind == "network":
            self.action_ranked_side()
            return
        self._look[self.kind] = (self._look[self.kind] + 1) % len(LOOKS[self.kind])
        self._show_kind()

    def action_ranked_side(self) -> None:
        """Rank who talks, who listens, or both."""
        if self.kind != "network":
            self.say("talkers and listeners are told apart on the network; m shows it", "warning")
            return
        self._ranked_by = SIDES[(SIDES.index(self._ranked_by) + 1) % len(SIDES)]
        self.ask()
        self._show_words()

    def action_pin(self) -> None:
        """Keep the node under the cursor on the map, or no longer."""
        node, key = self.query_one(TrafficMap).node(), ends_of(self.view.by)
        if self.kind != "network":
            self.say("nodes are pinned on the network; m shows it", "warning")
        elif node is None or node.key == OTHERS:
            self.say("p pins a node: the arrows go to one", "warning")
        elif node.key not in self.pinned and len(self.pinned) >= MOST_PINNED:
            self.say(f"{MOST_PINNED} nodes are pinned; p lets go of one", "warning")
        else:
            others = tuple(each for each in self.pinned if each != node.key)
            self._pinned[key] = others if node.key in self.pinned else (*others, node.key)
            self.ask()

    def action_anew(self) -> None:
        """Give the nodes new places, those that are pinned excepted."""
        self.query_one(TrafficMap).lay_out_anew()

    def action_panel(self) -> None:
        """Show the picture alone, the list alone, or both."""
        self._panel = (self._panel + 1) % len(PANELS)
        self._show_kind()

    def action_by(self) -> None:
        """Choose what to break down by: of network and pairs, what the ends are."""
        if self.kind == "portions":
            super().action_by()
            return
        from nftui.screens.dialogs import Pick

        choices = [(WORDS[key], f"{WORDS[key]:<6}{PLURALS[key]}") for key in ENDS]
        self.app.push_screen(Pick("pairs of", choices, WORDS[ends_of(self.view.by)]), self._chose_by)
