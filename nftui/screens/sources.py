"""The Sources screen: who sends flows here, and how far what they send can be trusted."""

from __future__ import annotations

from collections import deque
from pathlib import PurePath
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from nftui.engine import filters
from nftui.engine.account import dropped_packets, entries, integer, real
from nftui.errors import FilterError
from nftui.printable import cell_width, printable
from nftui.screens import cells, facts, given_names, probes
from nftui.screens.collector import Event, understand
from nftui.screens.exporters import ASCENDING, SCHEMA, TREND, Exporters, columns, full_name
from nftui.screens.facts import ExporterFacts, Fact
from nftui.screens.shell import LOOK_S, ShellScreen
from nftui.screens.view import time_text
from nftui.screens.watcher import Watched, Watcher
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.painted import Line, Lines, Part
from nftui.screens.widgets.prompt import Prompt
from nftui.screens.widgets.sheet import Sheet
from nftui.units import address_octets, octets, scaled

PANELS = ("", "-detail-only", "-table-only")
LEAST_TABLE = 5


class SourcesScreen(ShellScreen):
    """Lists exporters, and says all that is known of the one under the cursor."""

    TAB = "sources"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "sources.tcss"]
    FOOTER = (
        ("table.open", "Detail"), ("sources.filter", ""), ("sources.interfaces", ""), ("sources.order", ""), ("table.find", ""),
        ("sources.panel", ""), ("view.help", ""), ("view.export", ""), ("view.up", ""), ("sources.pause", ""), ("app.quit", ""),
        ("table.copy", ""), ("sources.only", ""), ("sources.reverse", ""), ("sources.maximise", ""), ("sheet.down", "Scroll"),
    )  # fmt: skip
    SIGNS = (
        "columns",
        "  lost   by sequence numbers; coloured where it is of the last five minutes",
        "  templ  known / known and awaited; ! data waits for one",
        "  wrong  malformed or not read    clock  how far off; + behind",
        "  up     by its headers    late  how late 99 of 100 flows come",
        "  probe  dgrams: packets; lost: the kernel had no room; wrong: in no flow",
        *probes.WHERE_TO_CAPTURE,
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "filter", "Filter to it", id="sources.filter", tooltip="Show the flows of this exporter alone"),
        Binding("i", "only", "Only this", show=False, id="sources.only", tooltip="Narrow the filter to this exporter"),
        Binding("s", "order", "Sort", id="sources.order", tooltip="Sort by the column under the cursor"),
        Binding("S", "reverse", "Reverse", show=False, id="sources.reverse", tooltip="Turn the order around"),
        Binding("space", "pause", "Pause", key_display="␣", id="sources.pause", tooltip="Freeze what is shown, or follow again"),
        Binding("r", "refresh_now", "Refresh", show=False, id="sources.refresh", tooltip="Look again now"),
        Binding("tab", "panel(1)", "Panel", key_display="tab", id="sources.panel", tooltip="To the next panel, where keys scroll"),
        Binding("shift+tab", "panel(-1)", "Panel before", show=False, id="sources.back", tooltip="To the panel before"),
        Binding("p", "interfaces", "Probe", id="sources.interfaces", tooltip="Choose interfaces that make flows"),
        Binding("a", "name", "Name it", show=False, id="sources.name", tooltip="Give this exporter a name"),
        Binding("z", "maximise", "Maximise", show=False, id="sources.maximise", tooltip="The details alone, the table alone, both"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.exporters = Exporters()
        self._by, self._ascending = "address", True
        self._paused = False
        self._panel = 0
        self._shown = ""
        self._watcher: Watcher | None = None
        self._naming = ""
        self._rates: deque[dict[str, float]] = deque(maxlen=TREND)

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="listen")
        yield Line(id="store")
        yield Line(id="refused")
        yield Prompt()
        yield Line(id="totals")
        yield FlowTable(id="table")
        yield Line(id="title")
        with Horizontal(id="lower"):
            yield Sheet(id="detail")
            yield Sheet(id="announced")
        yield Lines(id="events")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Start to look."""
        self._watcher = Watcher(self.host.back_end, self)
        self.set_interval(LOOK_S, self._tick)
        self.call_after_refresh(self.show_all)

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """Look as soon as the screen is seen."""
        self._look()

    def on_resize(self, _: events.Resize) -> None:
        """Lay out for the new size."""
        self.call_after_refresh(self.show_all)

    def _tick(self) -> None:
        if self.due():
            self._look()

    def _look(self) -> None:
        if self._watcher is not None and self.is_current:
            self._watcher.look()

    @on(Watched)
    def _watched(self, message: Watched) -> None:
        message.stop()
        assert self._watcher is not None
        self._watcher.done()
        if not self._paused or not self.heard:
            account = message.exporters.account
            if message.exporters.now != self.exporters.now:
                frame = message.exporters.frame
                self._rates.append(dict(zip(frame["address"].to_list(), frame["flows_per_s"].to_list(), strict=True)))
            self.exporters, self.problem, self.heard = message.exporters, message.problem, True
            self.collector = understand(account.status, self.host.clock(), account.problem)
            self.show_all()

    # What is shown

    def show_all(self) -> None:
        """Show the account on all lines and panels."""
        if not self.is_attached or not self.is_current:
            return
        status = self.exporters.account.status or {}
        self.query_one("#listen", Line).show(*facts.sockets(status.get("listen")))
        stored, refused = facts.store(status.get("store"), self.iec), facts.refused(status.get("unknown_exporters"))
        self.set_class(stored is not None, "-store")
        self.set_class(bool(refused), "-refused")
        self.query_one("#store", Line).show(*(stored or ([], [])))
        self.query_one("#refused", Line).show(refused)
        self.query_one("#totals", Line).show(*self._totals(status))
        self._show_table(1 + (stored is not None) + bool(refused))
        self.query_one("#events", Lines).show(
            lambda width, height: facts.event_lines(self.collector.events, height, self.host.clock())
        )
        self.show_edges()
        self._show_detail()

    def state(self) -> list[Part]:
        """Return how current the account is."""
        parts: list[Part] = []
        if self.small:
            parts.append(Part("80x24 shows more  ", "warn"))
        if self.heard and self.collector.label:
            parts.append(Part(f"{self.collector.label}  ", "warn"))
        parts += self.signs()
        if self._paused:
            return [*parts, Part(f"PAUSED {time_text(self.exporters.now)} ", "warn")]
        return [*parts, *self.live_state()]

    def _totals(self, status: dict[str, Any]) -> tuple[list[Part], list[Part]]:
        if self.problem:
            return [Part(f" {self.problem}", "error")], []
        if not self.heard:
            return [Part(" looking…", "dim")], []
        if not status:
            return [], []
        left = [Part(f" {scaled(real(status.get('flows_per_s')))}", "strong"), Part(" flows/s  ", "dim")]
        left += [Part(f"{scaled(real(status.get('datagrams_per_s')))}"), Part(" datagrams/s  ", "dim")]
        if self.collector.state != "running":
            left = [Part(f" as of {time_text(self.exporters.now, facts.MOMENT)}, not now  ", "warn")]
        left += [Part(f"{self.exporters.known:,}"), Part(" exporter" if self.exporters.known == 1 else " exporters", "dim")]
        if probes := self.exporters.probes:
            left += [Part(f"  {probes:,}"), Part(" probe" if probes == 1 else " probes", "dim")]
        if silent := self.exporters.silent:
            left += [Part(f"  {silent:,} silent", "warn")]
        right = [Part("  ")]
        for key, words, style in (("queue_dropped", "not stored", "error"), ("undecodable", "not decodable", "error")):
            if number := integer(status.get(key)):
                right += [Part(f"{words} ", "dim"), Part(f"{scaled(number)}  ", style)]
        if held := integer(status.get("held_octets")):
            right += [Part("held ", "dim"), Part(f"{octets(held, self.iec)}  ")]
        lost = integer(status.get("sequence_lost")) + dropped_packets(status)
        return left, [*right, Part("lost ", "dim"), Part(f"{scaled(lost)} ", "warn" if lost else "text")]

    def _show_table(self, head: int) -> None:
        table, count = self.query_one("#table", FlowTable), self.exporters.frame.height
        if not self.small and not self.has_class("-table-only"):
            body = self.size.height - 4 - head - self.query_one("#events").size.height
            wanted = min(max(count + 1, LEAST_TABLE), max(body // 2, LEAST_TABLE))
            if table.styles.height is None or table.styles.height.value != wanted:
                table.styles.height = wanted
        elif table.styles.has_rule("height"):
            table.styles.clear_rule("height")
        ordered = self.exporters.ordered(self._by, ascending=self._ascending)
        shown = columns(self.exporters.now, self._rates)
        table.show(ordered, shown, ("address",), self._by, self.empty_words(), self._ascending)

    def empty_words(self) -> tuple[str, ...]:
        """Return what to say in the place of exporters: why there are none, and what to do."""
        if self.problem:
            return ("the account of the collector can't be read", "r looks again")
        if not self.heard:
            return ("looking…",)
        where = f"point one at {self.host.listening}" if self.host.listening else "point one at the collector"
        if self.collector.state == "untrusted":
            return (
                self.collector.problem,
                "nothing of it is shown; a collector at work replaces the file within a second",
            )
        if self.collector.state == "failed":
            return ("the collector ended:", self.collector.problem)
        if self.collector.state == "none" and self.exporters.account.running:
            return ("the collector is starting", "it writes its first status in a moment")
        if self.collector.state == "none":
            return ("no collector has written a status here", "start `nftui collect`, or run `nftui demo`")
        return ("no exporter has sent anything yet", f"{where}, or p takes packets of an interface here")

    def _entry(self) -> dict[str, Any] | None:
        row = self.table.row()
        return None if row is None else self.exporters.entries[row["place"]]

    def _show_detail(self) -> None:
        entry, sheets, row = self._entry(), list(self.query(Sheet)), self.table.row()
        address = "" if row is None else str(row["address"])
        if address != self._shown:
            self._shown = address
            for sheet in sheets:
                sheet.to_top()
        place = f" {self.table.cursor + 1:,} of {self.table.count:,} " if entry is not None else ""
        called = "" if row is None else printable(full_name(row), 100)
        one = self.host.glyphs.horizontal
        rule = one * max(self.size.width - cell_width(called) - len(place) - 6, 1)
        title = [Part(f"{one * 2} ", "rule"), Part(f"{called} ", "strong"), Part(rule, "rule"), Part(place, "dim")]
        self.query_one("#title", Line).show(title if entry is not None else [Part(rule, "rule")])
        if entry is None or row is None:
            for sheet in sheets:
                sheet.show(lambda width, height: ())
            return
        first, second = self._facts(entry, address, probe=row["probe"])
        name = printable(str(entry.get("source", "?")) if row["probe"] else address, 60)
        mine = [event for event in self.collector.events if event.text.startswith(f"{name}: ")]
        self.query_one("#detail", Sheet).show(
            lambda width, height: [*facts.lines_of(first, width), *_events(mine, len(name) + 2, self.exporters.now)]
        )
        self.query_one("#announced", Sheet).show(lambda width, height: facts.lines_of(second, width))

    def _facts(self, entry: dict[str, Any], address: str, *, probe: bool) -> tuple[list[Fact], list[Fact]]:
        """Return what the two panels say of a source."""
        sided = probes.sidedness(entry, self.host.sides)
        if probe:
            return probes.ProbeFacts(entry, self.exporters.now, self.iec, sided).facts(), []
        interfaces = dict(entries(self.exporters.account.interfaces.get(address)))
        known = ExporterFacts(entry, interfaces, self.exporters.now, self.iec)
        both = self.has_class("-full") and self.has_class("-tall")
        health, announced = known.health(), known.announced(listed=both)
        health.insert(0, probes.direction(sided))
        # What waits for a template is the first thing to look for where there is one panel.
        return (health if both else [*health[:3], *announced, *health[3:]]), announced

    @on(FlowTable.Moved)
    def _moved(self, message: FlowTable.Moved) -> None:
        message.stop()
        self._show_detail()

    # What the keys do

    @on(FlowTable.Opened)
    def _opened(self, message: FlowTable.Opened) -> None:
        message.stop()
        self._maximise(0 if self._panel else 1)

    def action_maximise(self) -> None:
        """Show the details alone, the table alone, or both."""
        self._maximise((self._panel + 1) % len(PANELS))

    def _maximise(self, panel: int) -> None:
        self._panel = panel
        for place, name in enumerate(PANELS):
            if name:
                self.set_class(place == panel, name)
        self.call_after_refresh(self.query_one("#detail", Sheet).focus if panel == 1 else self.table.focus)
        self.call_after_refresh(self.show_all)

    def action_panel(self, direction: int) -> None:
        """Give the keys to the next panel that is seen."""
        panels = [one for one in (self.table, *self.query(Sheet)) if one.display and one.size.height]
        here = panels.index(self.focused) if self.focused in panels else 0
        if panels:
            panels[(here + direction) % len(panels)].focus()

    def action_up(self) -> None:
        """Back to the table, or from there to the Live screen."""
        if self._panel:
            self._maximise(0)
        elif self.focused is not self.table:
            self.table.focus()
        else:
            self.app.switch_mode("live")

    def action_order(self) -> None:
        """Sort by the column under the cursor."""
        column = self.table.column()
        if column is not None and column.name in SCHEMA:
            self._by = column.name
            self._ascending = column.name in ASCENDING
            self.show_all()
            self.table.go(0)

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._ascending = not self._ascending
        self.show_all()
        self.table.go(0)

    def action_pause(self) -> None:
        """Freeze what is shown, or follow again."""
        self._paused = not self._paused
        self.show_edges()
        self._look()

    def action_refresh_now(self) -> None:
        """Look again now."""
        self.paint_again()
        self._look()

    def action_interfaces(self) -> None:
        """Choose the interfaces whose packets become flows."""
        self.host.choose_interfaces()

    def action_name(self) -> None:
        """Give the exporter under the cursor a name, in the configuration."""
        row = self.table.row()
        if row is not None and row["probe"]:
            self.say("only exporters can be named", "warning")
        elif row is not None and address_octets(str(row["address"])) is None:
            self.say("what is no address can't be named", "warning")
        elif row is not None:
            self._naming = str(row["address"])
            hint = f"Enter names {printable(self._naming, 60)} in the configuration; empty for no name"
            self.query_one(Prompt).open("name", str(row["name"]), [], hint)

    def entered(self, purpose: str, text: str) -> None:
        """Take what was typed."""
        if purpose == "name":
            given_names.give(self, self.host.config_path, self._naming, text.strip())
        else:
            super().entered(purpose, text)

    @on(given_names.Named)
    def _named(self, message: given_names.Named) -> None:
        message.stop()
        if message.problem:
            self.say(message.problem, "error")
        else:
            now = message.name or "without a name"
            self.say(f"{message.address} is {now} as soon as the collector reads its configuration again")

    def action_filter(self) -> None:
        """Show the flows of the exporter under the cursor alone."""
        self._filter("")

    def action_only(self) -> None:
        """Narrow the filter to the exporter under the cursor."""
        self._filter(self.view.text)

    def _filter(self, before: str) -> None:
        row, entry = self.table.row(), self._entry() or {}
        added = "" if row is None else probes.term(entry) if row["probe"] else f"exporter ip {row['address']}"
        text = cells.also(before, added)
        try:
            where = filters.parse(text)
        except FilterError:
            self.say("no filter can say this exporter", "warning")
            return
        if added:
            self.view = self.view.down(added, text, where, self.TAB, self.table.cursor)
            self.app.switch_mode("live")


def _events(some: list[Event], prefix: int, now: int) -> list[list[Part]]:
    """Return the events of one exporter, without its name."""
    shown = [Event(event.time, event.text[prefix:]) for event in some[:20]]
    return facts.event_lines(shown, len(shown), now)
