"""The Live screen: who makes the traffic, now or in any range, in six displays of one question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from nftui.config import own_networks
from nftui.engine.matrix import Matrix
from nftui.engine.query import Answer, Interval
from nftui.screens import displays, facts, live_lines, live_panels, terms
from nftui.screens.investigation import MEASURES, InvestigationScreen
from nftui.screens.questions import Question
from nftui.screens.ranking import Ranking
from nftui.screens.view import DISPLAYS, Range, time_text
from nftui.screens.widgets.chart import AreaChart
from nftui.screens.widgets.donut import Donut
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.legend import Legend
from nftui.screens.widgets.painted import Line, Lines, Painted, Part
from nftui.screens.widgets.pair_matrix import PairMatrix
from nftui.screens.widgets.picture import Picture
from nftui.screens.widgets.prompt import Prompt
from nftui.screens.widgets.ring import Ring
from nftui.screens.widgets.timeline import TimeLine, Window
from nftui.screens.widgets.treemap import Treemap
from nftui.units import SECOND

PANELS = ("", "-chart-only", "-table-only")


class LiveScreen(InvestigationScreen):
    """Ranks groups by traffic and draws them, over time or against each other."""

    TAB = "live"
    RANKED = True
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "live.tcss"]
    FOOTER = (
        ("view.filter", ""), ("view.range", ""), ("view.by", ""), ("view.measure", ""), ("live.order", ""), ("live.view", ""),
        ("table.open", "Drill"), ("picture.open", "Drill"), ("chart.open", ""), ("chart.rise", ""), ("view.help", ""),
        ("view.export", ""), ("view.pause", ""), ("app.quit", ""), ("table.find", ""), ("table.copy", ""), ("view.only", ""),
        ("view.exclude", ""), ("view.earlier", ""), ("view.later", ""), ("view.zoom_in", ""), ("view.live", ""),
    )  # fmt: skip
    SIGNS: ClassVar[tuple[str, ...]] = (
        *InvestigationScreen.SIGNS, "Tab goes to the chart: arrows move its cursor, and the legend tells of that moment",
    )  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "order", "Sort", id="live.order", tooltip="Rank by octets, packets or flows in turn"),
        Binding("v", "view", "View", id="live.view", tooltip="The next of six displays"),
        Binding("z", "panel", "Maximise", show=False, id="live.maximise", tooltip="One panel alone, the other alone, both"),
        Binding("m", "mark", "Mark", show=False, id="live.mark", tooltip="Mark the moment, or take its mark away"),
        Binding("apostrophe", "next_mark", "Next mark", show=False, id="live.next_mark", tooltip="Go to the next mark"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._panel = 0
        self._ranking: Ranking | None = None
        self._seen: Answer | None = None
        self._as_of = 0
        self._held: Interval | None = None
        self._skipped = 0  # groups to the left of what the table of samples shows

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="filter")
        yield Prompt()
        yield Line(id="totals")
        with Horizontal(id="upper"):
            yield AreaChart(id="chart")
            yield Legend(id="legend")
            yield Lines(id="figures")
            yield Donut(id="donut")
        yield TimeLine(id="timeline")
        yield Line(id="title")
        with Horizontal(id="lower"):
            yield FlowTable(id="table")
            yield FlowTable(id="data")
            yield FlowTable(id="connections")
            yield Treemap(id="treemap")
            yield PairMatrix(id="matrix")
            yield Ring(id="ring")
            yield Lines(id="side")
            yield Donut(id="portions")
        yield Lines(id="events")
        yield Line(id="keys")

    @property
    def shown_display(self) -> str:
        """The display, a name of `DISPLAYS`."""
        return self.view.display if self.view.display in DISPLAYS else DISPLAYS[0]

    @property
    def table(self) -> FlowTable:
        """The table that has the keys; behind a picture, the one of its groups."""
        name = self.shown_display
        return self.query_one(f"#{name}" if name in ("data", "connections") else "#table", FlowTable)

    @property
    def panel(self) -> Painted:
        """The panel that the keys return to."""
        if self.shown_display == "detailed":
            return self.query_one(Treemap)
        if self.shown_display == "circle":
            return self.query_one(Ring if PANELS[self._panel] == "-chart-only" else PairMatrix)
        return self.table

    @property
    def matrix(self) -> Matrix | None:
        """The sums between pairs, where these were asked for."""
        return None if self.reply is None else self.reply.more.get("matrix")

    def question(self) -> Question:
        """Return what the display asks."""
        return displays.question(self.view, self.host.clock(), self.held, own_networks(self.host.config))

    @property
    def held(self) -> Interval | None:
        """All that is held, as was heard last; None where nothing is, or it isn't known yet."""
        if self.reply is not None and "held" in self.reply.more:
            self._held = self.reply.more["held"]
        return self._held

    def on_mount(self) -> None:
        """Show the display of the view."""
        super().on_mount()
        self._arrange()

    def on_resize(self, event: events.Resize) -> None:
        """Ask for more bins where there is room for more, and as many are wanted."""
        room = 45 if event.size.width < 120 else 60 if event.size.width < 160 else 120
        bins = min(room, self.host.display_settings.maximum_chart_resolution)
        if bins != self.view.bins and self.is_current:
            self.view = replace(self.view, bins=bins)
        self.call_after_refresh(self.show_edges)
        self.call_after_refresh(self.show_answer)

    def _view_changed(self) -> None:
        self._arrange()
        super()._view_changed()

    def _arrange(self) -> None:
        """Have the panels of the display, and no others."""
        shown = f"-{self.shown_display}"
        if self.has_class(shown):
            return
        for name in DISPLAYS:
            self.set_class(f"-{name}" == shown, f"-{name}")
        if self.is_current:
            self.show_answer()
            self.focus_table()
            self.call_after_refresh(self.show_answer)

    def focus_table(self) -> None:
        """Give the keys back to the panel of the display."""
        self.call_after_refresh(self.panel.focus)

    # What is shown

    def _shown(self) -> Answer | None:
        """Return the answer, where it is one to what is asked: when a question fails, the groups of another would be a lie."""
        reply = self.reply
        if reply is None or not displays.answers(reply, self.shown_display):
            return None
        if self.problem and self.asked is not None and not displays.alike(reply.main.query, self.asked.main):
            return None
        return reply.main

    def show_answer(self) -> None:
        """Show the answer on all panels."""
        if not self.is_attached:
            return
        answer = self._shown()
        if answer is not self._seen:
            self._seen, self._as_of = answer, self.host.clock()
        if answer is None or not answer.total.flows:
            self._ranking = None if answer is None else self._ranked(answer)
            self._show_nothing(self.empty_words() if answer is not None or self.problem else ("asking…",))
        else:
            self._ranking = self._ranked(answer)
            self._show_display(answer, self._ranking)
            self.put_back()
        self._show_lines()
        self._show_side()

    def _ranked(self, answer: Answer) -> Ranking:
        more = {} if self.reply is None else self.reply.more
        before = more.get("before") if self.view.compare else None
        return Ranking(answer, self.host.clock(), self.iec, self.cell, before, self.view.others, self.held)

    def _show_nothing(self, words: tuple[str, ...]) -> None:
        """Say why there is nothing, and what to do, in the place of whatever has most room."""
        self.query_one("#legend").display = False
        self.query_one(AreaChart).show(None, *words)
        self.query_one("#figures", Lines).show(lambda width, height: ())
        for donut in self.query(Donut):
            donut.show(())
        told = self.shown_display == "area" and bool(self.query_one("#upper").display)
        for table in self.query(FlowTable):
            table.show(None, (), notice=() if told else words)
        self.query_one(Treemap).show((), "", *words)
        self.query_one(PairMatrix).show(None, self.view.measure, str, 1.0, *words)
        self.query_one(Ring).show(None, self.view.measure, str, *words)
        self._show_timeline()

    def _show_display(self, answer: Answer, ranking: Ranking) -> None:
        chart = self.query_one(AreaChart)
        self.query_one("#legend").display = self.shown_display == "area"
        name, query = self.shown_display, answer.query
        if name == "connections":
            columns = displays.connection_columns(self.cell, answer.total.octets, 1024 if self.iec else 1000)
            self.table.show(answer.groups, columns, ranking.keys, query.order, ascending=query.ascending)
        elif name == "circle":
            self._show_pairs(ranking)
        else:
            groups = self.query_one("#table", FlowTable)
            columns = ranking.columns(chart.ink.layer, chart.ink.letters)
            groups.show(answer.groups, columns, ranking.keys, query.order, ascending=query.ascending)
        if name == "area":
            chart.show(ranking.areas(self.host.display_settings.maximum_chart_resolution, tuple(self.host.marks)))
            self._show_legend()
        elif name == "data" and answer.series is not None:
            self._skipped = min(self._skipped, max(answer.groups.height - 1, 0))
            self.table.show(answer.series.reverse(), ranking.samples(chart.ink.layer, self._skipped), ("time",))
        elif name == "detailed":
            self.query_one(Treemap).show(live_panels.tiles(ranking), "", figures=ranking.size)
        elif name == "summary":
            self.query_one("#figures", Lines).show(lambda width, height: live_panels.sums(ranking, width))
            self.query_one("#donut", Donut).show(live_panels.slices(ranking), live_panels.middle(ranking))
        self._show_timeline()

    def _show_pairs(self, ranking: Ranking) -> None:
        matrix, measure = self.matrix, ranking.measure
        if matrix is None:
            return
        key = displays.key_of_pair(matrix.key)

        def label(value: Any) -> str:
            return self.cell(key, value)

        notice = () if matrix.elements else ("no pairs here", "flows have no such value; b chooses another breakdown")
        self.query_one(PairMatrix).show(matrix, measure, label, ranking.rate(1), *notice)
        self.query_one(Ring).show(matrix, measure, label, *notice)

    def _show_legend(self) -> None:
        chart, ranking = self.query_one(AreaChart), self._ranking
        if ranking is not None:
            place, areas = chart.place, chart.areas
            self.query_one(Legend).show(ranking.entries(place, areas), ranking.heading(place, areas), place is not None)

    def _show_timeline(self) -> None:
        answer = self.answer
        held = self.held
        shown = None if answer is None else answer.query.interval or held
        window = None if held is None or shown is None else Window(held, shown, tuple(self.host.marks))
        self.query_one(TimeLine).show(window)

    def _show_lines(self) -> None:
        view, name, answer = self.view, self.shown_display, self._shown()
        sides = live_lines.totals(answer, self._ranking, self.collector, self.reply, self.size.width)
        if self.problem:
            old = f"  as of {time_text(self._as_of)} " if answer is not None else ""
            sides = [Part(f" {self.problem}", "error")], [Part(old, "warn")]
        self.query_one("#totals", Line).show(*sides)
        areas = self.query_one(AreaChart).areas if name == "area" else None
        left, right = live_lines.heading(view, name, answer, self.matrix)
        right = [*live_lines.notes(view, name, answer, self._ranking, areas), *right]
        if name == "data" and answer is not None:
            shown = sum(column.startswith("g") for column in self.table.shown_names)
            if shown < answer.groups.height and answer.query.keys:
                right.insert(0, Part(f" {self._skipped + 1}-{self._skipped + shown} of {answer.groups.height}: h l ", "warn"))
        used = sum(len(part.text) for part in (*left, *right)) + 5
        if used >= self.size.width and len(right) > 1:
            # The order shows in the heading of its column, too.
            used -= len(right.pop().text)
        rule = self.host.glyphs.horizontal
        left = [Part(f"{rule * 2} ", "rule"), *left, Part(rule * max(self.size.width - used, 1), "rule")]
        self.query_one("#title", Line).show(left, [*right, Part(rule * 2, "rule")])
        self.query_one("#events", Lines).show(self._events)

    def _events(self, _: int, height: int) -> list[list[Part]]:
        return facts.event_lines(self.collector.events, height, self.host.clock())

    # The side panel

    def _show_side(self) -> None:
        self.query_one("#side", Lines).show(self._side)
        ranking, portions = self._ranking, self.query_one("#portions", Donut)
        if ranking is None or self.shown_display not in ("area", "detailed"):
            portions.show(())
            return
        place = self._place()
        portions.show(live_panels.slices(ranking), live_panels.middle(ranking, place))

    def _place(self) -> int | None:
        """Return the rank of the group under the cursor."""
        if self.shown_display == "detailed":
            tile = self.query_one(Treemap).tile()
            return None if tile is None else tile.row
        return self.table.cursor if self.table.count else None

    def _side(self, width: int, height: int) -> list[list[Part]]:
        ranking, name, lines = self._ranking, self.shown_display, []
        if ranking is None or not ranking.answer.total.flows:
            return []
        if name == "circle":
            pair, matrix = self.query_one(PairMatrix).pair(), self.matrix
            lines = [] if pair is None or matrix is None else live_panels.of_pair(ranking, matrix, pair)
        elif name == "connections":
            row = self.table.row()
            lines = [] if row is None else live_panels.of_connection(ranking, row)
        else:
            place = self._place()
            row = None if place is None else self.query_one("#table", FlowTable).row(place)
            lines = [] if row is None or place is None else live_panels.of_group(ranking, row, place, width)
        return live_panels.edged(lines, width, height, self.host.glyphs.vertical)

    # The cursors

    @on(FlowTable.Moved)
    def _moved(self, message: FlowTable.Moved) -> None:
        message.stop()
        if self.shown_display == "detailed":
            self.query_one(Treemap).go_to(self.table.cursor)
        self._show_side()

    @on(FlowTable.AtSide)
    def _beyond(self, message: FlowTable.AtSide) -> None:
        """Bring further groups into the table of samples, as there are more than it has room for."""
        message.stop()
        answer = self._shown()
        if self.shown_display != "data" or answer is None:
            return
        shown = sum(name.startswith("g") for name in self.table.shown_names)
        skipped = min(max(self._skipped + message.direction, 0), max(answer.groups.height - shown, 0))
        if skipped != self._skipped:
            self._skipped = skipped
            self.show_answer()

    @on(Picture.Moved)
    def _picture_moved(self, message: Picture.Moved) -> None:
        message.stop()
        if self.shown_display == "detailed" and (place := self._place()) is not None:
            # The table behind has the cursor that a step down remembers, and that words are found from.
            self.table.cursor = place
        elif self.shown_display == "circle":
            moved, matrix, ring = message.picture, self.query_one(PairMatrix), self.query_one(Ring)
            if moved is matrix:
                ring.select(matrix.pair())
            elif (pair := ring.pair()) is not None:
                matrix.select(pair)
        self._show_side()

    @on(AreaChart.Moved)
    def _moment_moved(self, message: AreaChart.Moved) -> None:
        message.stop()
        self._show_legend()

    @on(AreaChart.Left)
    def _chart_left(self, message: AreaChart.Left) -> None:
        message.stop()
        self.focus_table()

    @on(AreaChart.Opened)
    def _zoom_to(self, message: AreaChart.Opened) -> None:
        message.stop()
        chart = message.chart
        if chart.areas is None or chart.moment is None:
            return
        interval = displays.around(chart.moment, chart.areas.width, max(self.host.clock(), chart.areas.end))
        if interval is None:
            self.say("this is as close as it gets")
        else:
            self.view = replace(self.view, range=Range(interval=interval), paused_at=None)

    @on(TimeLine.Picked)
    def _picked(self, message: TimeLine.Picked) -> None:
        message.stop()
        self._go_to(message.moment)

    def _go_to(self, moment: int) -> None:
        """Have a moment in the middle of the range."""
        answer = self.answer
        interval = None if answer is None else answer.query.interval or answer.interval
        if interval is None:
            return
        end = min(moment + interval.length // 2, max(interval.end, self.host.clock()))
        self.view = replace(self.view, range=Range(interval=Interval(end - interval.length, end)), paused_at=None)

    @on(FlowTable.Opened)
    @on(Picture.Opened)
    def _drill(self, message: FlowTable.Opened | Picture.Opened) -> None:
        message.stop()
        answer = self._shown()
        if self.shown_display == "data":
            self.say("a sample has no filter; v shows the groups")
        elif answer is not None and (not answer.query.keys or self.narrow_to(self._words_here())):
            self.app.switch_mode("flows")

    def _words_here(self) -> str | None:
        """Return the filter of what is under the cursor, all of its keys together."""
        answer, name = self._shown(), self.shown_display
        if answer is None or name == "data":
            return None
        if name == "circle":
            pair, matrix = self.query_one(PairMatrix).pair(), self.matrix
            return None if pair is None or matrix is None else displays.pair_term(matrix.key, *pair)
        if name == "connections":
            row = self.table.row()
            return None if row is None else displays.connection_term(row)
        place = self._place()
        row = None if place is None else self.query_one("#table", FlowTable).row(place)
        return None if row is None else terms.of_group(answer.query.keys, row)

    def action_only(self) -> None:
        """Filter to what is under the cursor."""
        self.narrow_to(self._words_of_cell())

    def action_exclude(self) -> None:
        """Filter out what is under the cursor."""
        self.narrow_to(self._words_of_cell(), True)

    def _words_of_cell(self) -> str | None:
        """Return the filter of the key whose column the cursor is in, where there are several; else of all that is under it."""
        answer, column, row = self._shown(), self.table.column(), self.table.row()
        if answer is None or column is None or row is None or self.shown_display not in ("area", "summary"):
            return self._words_here()
        return terms.term(column.name, row[column.name]) if column.name in answer.query.keys else self._words_here()

    # The keys of this screen

    def action_order(self) -> None:
        """Rank by octets, packets or flows in turn."""
        self.view = replace(self.view, order=MEASURES[(MEASURES.index(self.view.order) + 1) % len(MEASURES)])

    def action_view(self) -> None:
        """Show the next display."""
        self.action_display(DISPLAYS[(DISPLAYS.index(self.shown_display) + 1) % len(DISPLAYS)])

    def action_display(self, name: str) -> None:
        """Show a display by its name, one of `DISPLAYS`."""
        if name in DISPLAYS:
            self.view = replace(self.view, display=name)

    def action_panel(self) -> None:
        """Show one panel alone, the other alone, or both."""
        self._panel = (self._panel + 1) % len(PANELS)
        for place, name in enumerate(PANELS):
            if name:
                self.set_class(place == self._panel, name)
        self.focus_table()
        self.call_after_refresh(self.show_answer)

    def action_mark(self) -> None:
        """Mark the moment under the cursor, else the end of the range; a mark that is there goes."""
        chart, answer = self.query_one(AreaChart), self.answer
        moment = chart.moment
        if moment is None and answer is not None:
            interval = answer.query.interval or answer.interval
            moment = None if interval is None else min(interval.end, self.host.clock()) // SECOND * SECOND
        if moment is None:
            return
        marks = self.host.marks
        if moment in marks:
            marks.remove(moment)
        else:
            marks.append(moment)
            marks.sort()
        self.say(f"{'marked' if moment in marks else 'no longer marked'}: {time_text(moment)}")
        self.show_answer()

    def action_next_mark(self) -> None:
        """Go to the next mark, after the last to the first."""
        marks, chart, answer = self.host.marks, self.query_one(AreaChart), self.answer
        if not marks or answer is None:
            self.say("no marks yet: m sets one")
            return
        interval = answer.query.interval or answer.interval
        here = chart.moment if chart.moment is not None else interval.start - 1 if interval is not None else 0
        following = [mark for mark in marks if mark > here] or marks
        if interval is not None and not interval.start <= following[0] < interval.end:
            self._go_to(following[0])
        chart.go(following[0])
        if self.shown_display == "area":
            self.call_after_refresh(chart.focus)
