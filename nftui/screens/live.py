"""The Live screen: who makes the traffic, now or in any range, as an area over time and a ranked list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from nftui.screens import cells
from nftui.screens.investigation import MEASURES, InvestigationScreen
from nftui.screens.questions import Question, Single
from nftui.screens.ranking import Ranking
from nftui.screens.view import MINUTE, time_text
from nftui.screens.widgets.chart import AreaChart
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.legend import Legend
from nftui.screens.widgets.painted import Line, Lines, Part
from nftui.screens.widgets.prompt import Prompt
from nftui.units import SECOND, duration, scaled

PANELS = ("", "-chart-only", "-table-only")


class LiveScreen(InvestigationScreen):
    """Ranks groups by traffic and draws them over time."""

    TAB = "live"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "live.tcss"]
    FOOTER = (
        ("view.filter", ""), ("view.range", ""), ("view.by", ""), ("view.measure", ""), ("live.order", ""), ("live.view", ""),
        ("table.open", "Drill"), ("view.pause", ""), ("view.help", ""), ("app.quit", ""), ("table.find", ""), ("table.copy", ""),
        ("view.only", ""), ("view.exclude", ""), ("view.earlier", ""), ("view.later", ""), ("view.zoom_in", ""), ("view.live", ""),
    )  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "order", "Sort", id="live.order", tooltip="Rank by octets, packets or flows in turn"),
        Binding("v", "view", "View", id="live.view", tooltip="Area chart, or the same as a table"),
        Binding("z", "panel", "Maximise", show=False, id="live.maximise", tooltip="The chart alone, the table alone, both"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._panel = 0
        self._ranking: Ranking | None = None

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="filter")
        yield Prompt()
        yield Line(id="totals")
        with Horizontal(id="upper"):
            yield AreaChart(id="chart")
            yield Legend(id="legend")
        yield Line(id="title")
        with Horizontal(id="lower"):
            yield FlowTable(id="table")
            yield FlowTable(id="data")
            yield Lines(id="side")
        yield Lines(id="events")
        yield Line(id="keys")

    @property
    def data_view(self) -> bool:
        """Whether the samples stand as a table in the place of the chart."""
        return self.has_class("-data")

    @property
    def table(self) -> FlowTable:
        """The table that has the keys."""
        return self.query_one("#data" if self.data_view else "#table", FlowTable)

    def question(self) -> Question:
        """Return the ranked list with its series."""
        return Single(self.view.groups(self.host.clock()))

    def on_resize(self, event: events.Resize) -> None:
        """Ask for more bins where there is room for more, and as many are wanted."""
        room = 45 if event.size.width < 120 else 60 if event.size.width < 160 else 120
        bins = min(room, self.host.display_settings.maximum_chart_resolution)
        if bins != self.view.bins and self.is_current:
            self.view = replace(self.view, bins=bins)
        self.call_after_refresh(self.show_edges)
        self.call_after_refresh(self.show_answer)

    def show_answer(self) -> None:
        """Show the answer on all panels."""
        answer = self.answer
        if not self.is_attached:
            return
        self._ranking = ranking = None if answer is None else Ranking(answer, self.host.clock(), self.iec, self.cell)
        chart, legend = self.query_one(AreaChart), self.query_one(Legend)
        groups, samples = self.query_one("#table", FlowTable), self.query_one("#data", FlowTable)
        empty = answer is None or ranking is None or not answer.total.flows
        legend.display = not empty
        if answer is None or ranking is None or empty:
            words = self.empty_words()
            chart.show(None, *words)
            groups.show(None, (), notice=() if self.query_one("#upper").display else words)
            samples.show(None, (), notice=words)
        else:
            chart.show(ranking.areas(self.host.display_settings.maximum_chart_resolution))
            legend.show(ranking.entries())
            groups.show(answer.groups, ranking.columns(chart.ink.layer), ranking.keys, answer.query.order)
            if self.data_view and answer.series is not None:
                samples.show(answer.series.reverse(), ranking.samples(chart.ink.layer), ("time",))
            self.put_back()
        self._show_lines()
        self._show_side()

    def _show_lines(self) -> None:
        answer, view = self.answer, self.view
        self.query_one("#totals", Line).show(*self._totals())
        ranked = f"top {view.limit} by {view.by}"
        order = f" sort: {view.order.value}{' ▲' if view.ascending else ' ▼'} "
        count = ""
        if answer is not None and answer.query.keys and answer.group_count and not self.data_view:
            count = f" of {answer.group_count:,}"
        if self.data_view:
            each = duration(answer.bin_width) if answer is not None else ""
            ranked, order = f"{view.measure.value} by {view.by} in each {each}", " newest first "
        rule = "─" * max(self.size.width - len(ranked) - len(count) - len(order) - 6, 1)
        heading = [Part("── ", "rule"), Part(f"{ranked}{count} ", "strong"), Part(rule, "rule")]
        self.query_one("#title", Line).show([*heading, Part(order, "dim"), Part("──", "rule")])
        self.query_one("#events", Lines).show(self._events)

    def _totals(self) -> tuple[list[Part], list[Part]]:
        answer, ranking = self.answer, self._ranking
        if self.problem:
            return [Part(f" {self.problem}", "error")], []
        if answer is None or ranking is None:
            return [Part(" asking…", "dim")], []
        left = [Part(" ")]
        if answer.total.flows:
            left += [Part(f"{ranking.rate_text(each)}  ", "strong" if each is ranking.measure else "text") for each in MEASURES]
            left.append(Part(f"avg over {_rounded(ranking.elapsed)}", "dim"))
        right = [Part(scaled(answer.total.flows)), Part(" flows", "dim")]
        if (count := self.collector.exporters) is not None:
            right += [Part(f"  {count}"), Part(" exporter" if count == 1 else " exporters", "dim")]
        drops = self.collector.drops if self.collector.drops is not None else answer.coverage.drops
        return left, [*right, Part("  drops ", "dim"), Part(f"{scaled(drops)} ", "error" if drops else "text")]

    def _events(self, _: int, height: int) -> list[list[Part]]:
        newest = self.collector.events[:height]
        return [[Part(" ! ", "warn"), Part(time_text(event.time) + " ", "dim"), Part(event.text)] for event in newest]

    def _show_side(self) -> None:
        self.query_one("#side", Lines).show(self._side)

    def _side(self, width: int, height: int) -> list[list[Part]]:
        table = self.query_one("#table", FlowTable)
        row, ranking = table.row(), self._ranking
        if row is None or ranking is None:
            return []
        edge = Part("│ ", "rule")
        lines = [[edge, Part(ranking.label(row), "title")]]
        if (plain := ranking.plain(row)) != ranking.label(row):
            lines.append([edge, Part(plain)])
        lines += [[edge, Part(f"{name:<12}", "dim"), Part(words)] for name, words in ranking.facts(row, table.cursor)]
        lines += [[edge], [edge, Part(cells.spark(ranking.trend(table.cursor), max(width - 4, 1)), "accent")]]
        lines += [[edge, Part("Enter its flows, i only, o not", "dim")]]
        return [*lines, *([[edge]] * max(height - len(lines), 0))]

    @on(FlowTable.Moved)
    def _moved(self, message: FlowTable.Moved) -> None:
        message.stop()
        self._show_side()

    @on(FlowTable.Opened)
    def _drill(self, message: FlowTable.Opened) -> None:
        message.stop()
        value = self.value_under_cursor()
        if self.data_view:
            self.say("a sample has no filter; v shows the groups")
        elif self.answer is not None and (not self.answer.query.keys or self.narrow(value)):
            self.app.switch_mode("flows")

    def value_under_cursor(self) -> tuple[str, Any] | None:
        """Return the group under the cursor, whichever of its columns the cursor is in."""
        row, answer = self.table.row(), self.answer
        if self.data_view or row is None or answer is None or not answer.query.keys:
            return None
        return answer.query.keys[0], row[answer.query.keys[0]]

    def action_order(self) -> None:
        """Rank by octets, packets or flows in turn."""
        self.view = replace(self.view, order=MEASURES[(MEASURES.index(self.view.order) + 1) % len(MEASURES)])

    def action_view(self) -> None:
        """Change between the chart and the table of samples."""
        self.toggle_class("-data")
        self.show_answer()
        self.focus_table()
        self.call_after_refresh(self.show_answer)

    def action_panel(self) -> None:
        """Show the chart alone, the table alone, or both."""
        self._panel = (self._panel + 1) % len(PANELS)
        for place, name in enumerate(PANELS):
            if name:
                self.set_class(place == self._panel, name)
        self.call_after_refresh(self.show_answer)


def _rounded(length: int) -> str:
    """Return a length of time without the seconds that would change all the while."""
    return duration(round(length / MINUTE) * MINUTE if length >= 10 * MINUTE else length // SECOND * SECOND)
