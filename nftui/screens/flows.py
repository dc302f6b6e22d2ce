"""The Flows screen: the flow records behind a figure, newest first, with all that is known of the one under the cursor."""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar

import polars as pl
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from nftui.engine.instants import corrected
from nftui.engine.query import RECORD_KEYS
from nftui.schema import BY_NAME
from nftui.screens import capturing
from nftui.screens.flow_rows import ORDERS, FlowRows, Listed
from nftui.screens.investigation import InvestigationScreen
from nftui.screens.questions import Question
from nftui.screens.view import DAY, time_text
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.painted import Line, Lines, Part, fit, wrapped
from nftui.screens.widgets.prompt import Prompt
from nftui.units import octets

FIRST, MORE, MOST = 1000, 10, 100_000
"""Records asked for at first, how many times more at the end of the table, and at most."""
SEVERAL = 3
"""Rows of which it tells something that all have the same address."""
LEAST_DETAIL = 6
"""Lines of the detail from which on it begins with words about both ends."""


class FlowsScreen(InvestigationScreen):
    """Lists flow records."""

    TAB = "flows"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "flows.tcss"]
    FOOTER = (
        ("view.filter", ""), ("view.range", ""), ("view.exclude", "Not"), ("view.only", "Only"), ("flows.order", ""),
        ("table.open", "Detail"), ("flows.capture", "pcap"), ("view.help", ""), ("view.export", ""), ("view.up", "Up"),
        ("view.pause", ""), ("table.find", ""),
        ("app.quit", ""), ("table.copy", ""), ("view.reverse", ""), ("view.clear_filter", ""), ("view.earlier", ""),
        ("view.later", ""), ("table.last", ""),
    )  # fmt: skip
    ELSEWHERE: ClassVar[dict[str, str]] = {
        "compare": "compared on Live and Summary", "resolution": "Live shows samples", "others": "others on Live and Map",
        "limit": "Live and Map show groups", "by": "Live and Map show groups", "measure": "unit of Live, Summary and Map",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "order", "Sort", id="flows.order", tooltip="Sort by the column under the cursor"),
        Binding("x", "detail", "Detail", id="flows.detail", tooltip="Show or hide all fields of the row"),
        Binding("w", "capture", "Capture", show=False, id="flows.capture", tooltip="Write its packets to a file, or stop that"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._order = self._marked = "flow_start"
        self._rows = FlowRows(None, self.cell)
        self._ascending = False
        self._limit = FIRST
        self._dated = False
        self._capturing = False

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="filter")
        yield Prompt()
        yield Line(id="capture")
        yield Line(id="path")
        with Container(id="body"):
            yield FlowTable(id="table")
            yield Lines(id="detail")
        yield Line(id="keys")

    def question(self) -> Question:
        """Return the records of the shared view."""
        return Listed(self.view.flows(self.host.clock(), self._order, self._ascending, self._limit), self.host.here.owners)

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
        self._rows = FlowRows(self.reply, self.cell, self._dated)
        self.table.show(
            frame,
            self._rows.columns(() if frame is None else frame.columns, _same(frame)),
            ("flow_start", *RECORD_KEYS, "octets"),
            self._marked,
            words,
            answer is not None and answer.query.ascending,
        )
        self.put_back()
        self._show_path()
        self._show_detail()

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
        rule = self.host.glyphs.horizontal
        lines = [[Part(rule * 2, "rule"), Part(place, "strong"), Part(rule * max(width - len(place) - 2, 0), "rule")]]
        for line in self._rows.heading(row, self.table.cursor) if height > LEAST_DETAIL else ():
            lines += wrapped(line, width)
        head = len(lines)
        across = max(width // 38, 1)
        facts = self._rows.facts(row)
        if head > 1 and len(facts) > across * (height - head):
            facts = self._rows.facts(row, whole=False)
        while across > 1 and -(-len(facts) // (across - 1)) <= height - head:
            across -= 1
        deep = -(-len(facts) // across)
        each = width // across
        for n in range(min(deep, max(height - head, 0))):
            line = []
            for name, words in facts[n::deep]:
                line += [Part(" " + fit(name, 13), "dim"), Part(fit(words, each - 14))]
            lines.append(line)
        if deep > height - head > 0:
            lines[-1] = [Part(f" {self._hidden(len(facts), across, height - head)} more fields on a larger screen", "dim")]
        return lines

    @staticmethod
    def _hidden(count: int, across: int, rows: int) -> int:
        return count - across * (rows - 1)

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

    # Packets of a flow, to a file

    def show_edges(self) -> None:
        """Show the lines at the edges, and how far a capture is."""
        super().show_edges()
        if self.is_current and self.is_attached:
            capture = self.host.capture
            self.set_class(capture is not None and capture.running, "-capture")
            self.query_one("#capture", Line).show(*capturing.line(capture, self.iec))
            if capture is not None and self._capturing and not capture.running:
                self._capturing = False
                self.say(capturing.ended(capture), "error" if capture.problem else "information")

    def action_capture(self) -> None:
        """Write the packets of the flow under the cursor to a file, or stop that."""
        if self.host.capture is not None and self.host.capture.running:
            self._stop_capture()
            return
        from nftui.engine.packet_capture import filter_of, interface_of

        row = self.table.row()
        words = None if row is None else filter_of(row)
        if row is None or words is None:
            self.say("no packet filter can say this flow", "warning")
            return
        account = None if self.reply is None else self.reply.more.get("account")
        interface = interface_of(row, None if account is None else account.status)
        if interface:
            self._capture(interface, words)
            return
        from nftui.screens.dialogs import Pick

        choices = capturing.interfaces()
        self.app.push_screen(
            Pick("no probe here saw it: capture on which interface?", choices, choices[0][0] if choices else ""),
            lambda name: self._capture(name, words) if name else None,
        )

    def _capture(self, interface: str, words: str) -> None:
        self.host.capture = capturing.begun(interface, words, time_text(self.host.clock(), "%Y%m%d-%H%M%S"))
        self._capturing = True
        self.show_edges()

    def _stop_capture(self) -> None:
        assert self.host.capture is not None
        self.host.capture.stop()
        self.show_edges()

    def action_up(self) -> None:
        """Stop a capture, else undo the last step down."""
        if self.host.capture is not None and self.host.capture.running:
            self._stop_capture()
        else:
            super().action_up()

    def action_only(self) -> None:
        """Filter to what the cell under the cursor shows."""
        self.narrow_to(self._term())

    def action_exclude(self) -> None:
        """Filter out what the cell under the cursor shows."""
        self.narrow_to(self._term(), out=True)

    def _term(self) -> str | None:
        row, column = self.table.row(), self.table.column()
        return None if row is None or column is None else self._rows.term(column.name, row, self.table.cursor)

    def action_order(self) -> None:
        """Sort by the column under the cursor."""
        column = self.table.column()
        name = "" if column is None else ORDERS.get(column.name, column.name)
        if column is None or name not in BY_NAME:
            self.say("this column has no order; choose another with h and l", "warning")
            return
        self._order, self._marked = name, column.name
        self.table.go(0)
        self.ask()

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._ascending = not self._ascending
        self.table.go(0)
        self.ask()


def _same(frame: pl.DataFrame | None) -> list[str]:
    """Return the columns of addresses in which all of some rows are the same, as behind a step down to a pair."""
    names = ("source_address", "destination_address")
    if frame is None or frame.height < SEVERAL:
        return []
    return [name for name in names if name in frame.columns and frame[name].n_unique() == 1]
