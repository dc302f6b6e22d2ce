"""The Flows screen: the flow records behind a figure, newest first, with all that is known of the one under the cursor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from nftui.engine.instants import corrected
from nftui.engine.query import RECORD_KEYS
from nftui.schema import BY_NAME, COLUMNS
from nftui.screens import cells
from nftui.screens.investigation import InvestigationScreen
from nftui.screens.questions import Question, Single
from nftui.screens.view import DAY, time_text
from nftui.screens.widgets.flow_table import FlowTable, Row, TableColumn
from nftui.screens.widgets.painted import Line, Lines, Part, fit
from nftui.screens.widgets.prompt import Prompt
from nftui.units import duration, octets

FIRST, MORE, MOST = 1000, 10, 100_000
"""Records asked for at first, how many times more at the end of the table, and at most."""


class FlowsScreen(InvestigationScreen):
    """Lists flow records."""

    TAB = "flows"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "flows.tcss"]
    FOOTER = (
        ("view.filter", ""), ("view.range", ""), ("view.exclude", "Not"), ("view.only", "Only"), ("flows.order", ""),
        ("table.open", "Detail"),
        ("table.find", ""), ("view.pause", ""), ("view.up", "Up"), ("view.help", ""), ("app.quit", ""), ("table.copy", ""),
        ("view.reverse", ""), ("view.clear_filter", ""), ("view.earlier", ""), ("view.later", ""), ("table.last", ""),
    )  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "order", "Sort", id="flows.order", tooltip="Sort by the column under the cursor"),
        Binding("x", "detail", "Detail", id="flows.detail", tooltip="Show or hide all fields of the row"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._order = "flow_start"
        self._limit = FIRST
        self._dated = False

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="filter")
        yield Prompt()
        yield Line(id="path")
        with Container(id="body"):
            yield FlowTable(id="table")
            yield Lines(id="detail")
        yield Line(id="keys")

    def question(self) -> Question:
        """Return the records of the shared view."""
        return Single(self.view.flows(self.host.clock(), self._order, self.view.ascending, self._limit))

    def on_resize(self, _: events.Resize) -> None:
        """Lay out for the new size."""
        self.call_after_refresh(self.show_edges)
        self.call_after_refresh(self._show_detail)

    def show_answer(self) -> None:
        """Show the records."""
        if not self.is_attached:
            return
        answer = self.answer
        words = self.empty_words()
        frame = None if answer is None or answer.flows is None or answer.flows.is_empty() else corrected(answer.flows)
        if frame is not None and answer is not None:
            interval = answer.query.interval or answer.coverage.held
            self._dated = interval is not None and interval.length > DAY
        self.table.show(frame, self._columns(), ("flow_start", *RECORD_KEYS, "octets"), self._order, words)
        self.put_back()
        self._show_path()
        self._show_detail()

    def _columns(self) -> list[TableColumn]:
        form = "%b %d %H:%M:%S" if self._dated else "%H:%M:%S"

        def column(name: str, label: str, width: int, **how: Any) -> TableColumn:
            return TableColumn(name, label, width, lambda n, row: self.cell(name, row.get(name)), **how)

        return [
            TableColumn("flow_start", "start", len(time_text(0, form)), lambda n, row: _time(row, form)),
            TableColumn("duration", "dur", 5, lambda n, row: _duration(row), True, rank=3),
            column("protocol", "proto", 5),
            column("source_address", "source", 15, grows=3, middle=True),
            column("source_port", "sport", 5, right=True),
            column("destination_address", "destination", 15, grows=3, middle=True),
            column("destination_port", "dport", 5, right=True),
            column("octets", "octets", 6, right=True),
            column("packets", "pkts", 5, right=True, rank=1),
            column("tcp_flags", "flags", 6, rank=4),
            TableColumn("interfaces", "in>out", 7, _interfaces, rank=5),
            column("exporter_address", "exporter", 15, grows=1, rank=6, middle=True),
            column("tos", "tos", 3, right=True, rank=7),
            TableColumn("systems", "src>dst as", 12, _systems, rank=8),
            column("sampling_interval", "1:n", 5, right=True, rank=9),
        ]

    def _show_path(self) -> None:
        steps = [step.label for step in self.view.path]
        left = [Part(" path: ", "dim"), Part("all", "text" if steps else "strong")]
        for place, label in enumerate(steps):
            left += [Part(" > ", "dim"), Part(label, "strong" if place == len(steps) - 1 else "text")]
        answer = self.answer
        if self.problem:
            self.query_one("#path", Line).show([Part(f" {self.problem}", "error")])
            return
        right = [Part("asking… ", "dim")] if answer is None else []
        if answer is not None:
            held, total = self.table.count, answer.total.flows
            counted = f"{held:,} of {total:,} flows" if held < total else f"{total:,} flow{'' if total == 1 else 's'}"
            right = [Part(f"  {counted}", "strong"), Part(f"  {octets(answer.total.octets, self.iec)} ")]
        self.query_one("#path", Line).show(left, right)

    def _show_detail(self) -> None:
        self.query_one("#detail", Lines).show(self._detail)

    def _detail(self, width: int, height: int) -> list[list[Part]]:
        row = self.table.row()
        if row is None:
            return []
        place = f" row {self.table.cursor + 1:,} "
        lines = [[Part("──", "rule"), Part(place, "strong"), Part("─" * max(width - len(place) - 2, 0), "rule")]]
        facts = [(c.label, cells.detail(c.name, row[c.name])) for c in COLUMNS if row.get(c.name) is not None]
        facts.insert(2, ("duration", _duration(row)))
        across = max(width // 38, 1)
        while across > 1 and -(-len(facts) // (across - 1)) <= height - 1:
            across -= 1
        deep = -(-len(facts) // across)
        each = width // across
        for n in range(min(deep, height - 1)):
            line = []
            for name, words in facts[n::deep]:
                line += [Part(" " + fit(name, 13), "dim"), Part(fit(words, each - 14))]
            lines.append(line)
        if deep > height - 1 > 0:
            lines[-1] = [Part(f" … {across * (deep - height + 2)} more fields on a larger screen", "dim")]
        return lines

    @on(FlowTable.Moved)
    def _moved(self, message: FlowTable.Moved) -> None:
        message.stop()
        self._show_detail()

    @on(FlowTable.Opened)
    def _opened(self, message: FlowTable.Opened) -> None:
        message.stop()
        self.action_detail()

    @on(FlowTable.AtEnd)
    def _at_end(self, message: FlowTable.AtEnd) -> None:
        message.stop()
        answer = self.answer
        if answer is not None and self.table.count < answer.total.flows and self._limit < MOST and self.table.count >= self._limit:
            self._limit = min(self._limit * MORE, MOST)
            self.say(f"asking for {self._limit:,} flows")
            self.ask()

    def action_detail(self) -> None:
        """Show or hide all fields of the row under the cursor."""
        self.toggle_class("-no-side" if self.has_class("-wide") or self.has_class("-full") else "-detail")
        self.call_after_refresh(self._show_detail)

    def action_order(self) -> None:
        """Sort by the column under the cursor."""
        column = self.table.column()
        if column is None or column.name not in BY_NAME:
            self.say("this column has no order; choose another with h and l", "warning")
            return
        self._order = column.name
        self.table.go(0)
        self.ask()

    def action_reverse(self) -> None:
        """Turn the order around."""
        self.table.go(0)
        self.view = replace(self.view, ascending=not self.view.ascending)


def _time(row: Row, form: str) -> str:
    value = row.get("flow_start")
    return "-" if value is None else time_text(cells.micros(value), form)


def _duration(row: Row) -> str:
    start, end = row.get("flow_start"), row.get("flow_end")
    return "-" if start is None or end is None else duration(max(cells.micros(end) - cells.micros(start), 0))


def _pair(row: Row, first: str, second: str) -> str:
    values = [row.get(first), row.get(second)]
    return ">".join("-" if value is None else str(value) for value in values) if any(v is not None for v in values) else "-"


def _interfaces(_: int, row: Row) -> str:
    return _pair(row, "ingress_interface", "egress_interface")


def _systems(_: int, row: Row) -> str:
    return _pair(row, "source_as", "destination_as")
