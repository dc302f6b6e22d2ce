"""The Filters screen: saved filters with what they take, and the words of the language."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Any, ClassVar

import polars as pl
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from nftui.engine import filters
from nftui.engine.filters import Filter, Not, all_of, any_of
from nftui.engine.query import Query
from nftui.engine.saved_filter import Listed, SavedFilters
from nftui.screens import cells, field_list
from nftui.screens.investigation import InvestigationScreen
from nftui.screens.questions import Question, Single
from nftui.screens.shelf import quick_of, text_of
from nftui.screens.tally import Tally
from nftui.screens.widgets.flow_table import FlowTable, Row, TableColumn
from nftui.screens.widgets.painted import Line, Lines, Part
from nftui.screens.widgets.prompt import Prompt
from nftui.units import octets, scaled

LOOK = 2.0
"""Seconds between two looks at the files."""
PREVIEW = 200
"""Flows of the preview."""
REPLACED = frozenset(
    ("view.pause", "view.names", "view.exclude", "view.only", "view.reverse", "view.compare", "view.others", "view.limit",
     "view.measure", "view.resolution", "table.find_next")
)  # fmt: skip
"""Keys of every screen that mean something else here, or nothing."""
WRITING = frozenset(("new", "edit", "delete", "duplicate", "quick", "keep", "either"))
"""Actions that take more than choosing among what is saved."""


class FiltersScreen(InvestigationScreen):
    """Saved filters, the line that edits one, and what may be written in it."""

    TAB = "filters"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "filters.tcss"]
    REPLACED = REPLACED
    FOOTER = (
        ("table.open", "Apply"), ("filters.also", ""), ("filters.either", ""), ("filters.without", ""), ("filters.new", ""),
        ("filters.edit", ""), ("filters.quick", ""), ("filters.delete", ""), ("view.filter", ""), ("view.help", ""),
        ("app.quit", ""), ("filters.keep", ""), ("filters.mark", ""), ("filters.duplicate", ""), ("table.find", ""),
    )  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "also", "And", id="filters.also", tooltip="The filter, and this one must match as well"),
        Binding("o", "either", "Or", id="filters.either", tooltip="The filter, or this one"),
        Binding("x", "without", "Exclude", id="filters.without", tooltip="The filter, without what this one takes"),
        Binding("n", "new", "New", id="filters.new", tooltip="Write a new filter"),
        Binding("E", "edit", "Edit", id="filters.edit", tooltip="Edit this filter"),
        Binding("K", "quick", "F-key", id="filters.quick", tooltip="Give this filter one of the keys F1 to F9"),
        Binding("d", "delete", "Delete", id="filters.delete", tooltip="Delete this filter, or all that are marked"),
        Binding("D", "duplicate", "Copy", show=False, id="filters.duplicate", tooltip="Save this filter once more"),
        Binding("m,space", "mark", "Mark", show=False, id="filters.mark", tooltip="Mark this filter, for d"),
        Binding("S", "keep", "Save", show=False, id="filters.keep", tooltip="Save the filter that is in force"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.marked: set[str] = set()
        self._revision = -1

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="filter")
        yield Prompt()
        with Horizontal(id="body"):
            with Tally(id="saved"):
                yield Line(id="title")
                yield FlowTable(id="table")
                yield Lines(id="detail")
                yield Line(id="fields-title")
                yield Lines(id="fields")
            with Vertical(id="beside"):
                yield Line(id="preview-title")
                yield FlowTable(id="preview")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Read what is saved, and look again: files may be edited by hand."""
        self.host.shelf.read(self)
        self.set_interval(LOOK, self._look)

    def _look(self) -> None:
        if self.is_current:
            self.host.shelf.read(self)

    def on_screen_suspend(self, _: events.ScreenSuspend) -> None:
        """Count no further."""
        self.tally.stop()

    def on_resize(self, _: events.Resize) -> None:
        """Lay out for the new size."""
        self.call_after_refresh(self.show_edges)
        self.call_after_refresh(self.show_answer)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out what other keys of this screen take the place of, and what may not be done."""
        if action in WRITING and not self.types_filters:
            return False
        replaced = {name.partition(".")[2] for name in REPLACED} - {"find_next"}
        return action not in replaced and (action, parameters) != ("find_next", (1,))

    @property
    def tally(self) -> Tally:
        """The panel that counts."""
        return self.query_one(Tally)

    @property
    def entry(self) -> Listed | None:
        """The filter under the cursor."""
        row = self.table.row()
        return None if row is None else self.host.shelf.entry(row["name"])

    @property
    def _previews(self) -> bool:
        return self.has_class("-full")

    def question(self) -> Question:
        """Return the flows of the filter under the cursor, where there is room for them; else how many there are."""
        now, entry = self.host.clock(), self.entry
        if self._previews and entry is not None and entry.saved is not None:
            return Single(replace(self.view, where=entry.where).flows(now, "flow_start", False, PREVIEW))
        return Single(Query(self.view.interval(now), where=replace(self.view, where=filters.ANY).taken, limit=1))

    def shelved(self) -> None:
        """Show what was read."""
        if self._revision != self.host.shelf.revision:
            self._revision = self.host.shelf.revision
            self.marked &= {one.name for one in self.host.shelf.entries}
            self.show_answer()
            self.ask()

    # What is shown

    def show_answer(self) -> None:
        """Show the list, what each filter takes, and the preview."""
        if not self.is_attached:
            return
        entries = self.host.shelf.entries
        frame = pl.DataFrame({"name": [one.name for one in entries]}, schema={"name": pl.String})
        self.table.show(frame if entries else None, self._columns(), ("name",), notice=self._none())
        if self.is_current:
            self.tally.count(self.host.back_end, self.view, entries, self.host.clock())
        self._show_title()
        self.query_one("#detail", Lines).show(self._detail)
        self._rule("#fields-title", [Part("fields ", "strong")], [])
        self.query_one("#fields", Lines).show(field_list.lines)
        self._show_preview()

    def _show_title(self) -> None:
        entries = self.host.shelf.entries
        broken = sum(one.saved is None for one in entries)
        left = [Part(f"{len(entries)} saved ", "strong")]
        left += [Part(f"{broken} can't be used ", "warn")] if broken else []
        left += [Part(f"{len(self.marked)} marked ", "accent")] if self.marked else []
        left += [Part(f"{self.problem or self.tally.problem} ", "error")] if self.problem or self.tally.problem else []
        self._rule("#title", left, [Part(f" matches: {self.view.range.label(self.host.clock())} ", "dim")])

    def _rule(self, name: str, left: list[Part], right: list[Part]) -> None:
        line = self.query_one(name, Line)
        rule = line.glyphs.horizontal
        line.show([Part(f"{rule * 2} ", "rule"), *left], [*right, Part(rule * 2, "rule")] if right else [], rule)

    def _none(self) -> tuple[str, ...]:
        directory = str(self.host.shelf.saved.directory)
        if not self.types_filters:
            return ("no saved filters", f"they would stand in {directory}")
        return ("no saved filters yet: n writes one, A saves the filter of any screen", f"they stand in {directory}")

    def _columns(self) -> list[TableColumn]:
        known = {one.name: one for one in self.host.shelf.entries}
        ink, counted = self.table.ink, self.tally.counted

        def entry(row: Row) -> Listed:
            return known[row["name"]]

        def broken(_: int, row: Row) -> str | None:
            return None if entry(row).saved is not None or ink.warn.color is None else ink.warn.color.name

        def quick(_: int, row: Row) -> str:
            return f"F{number}" if (number := quick_of(entry(row))) else "-"

        def text(_: int, row: Row) -> str:
            one = entry(row)
            return f"! {one.reason.partition(': ')[2] or one.reason}" if one.saved is None else text_of(one) or "all flows"

        def count(_: int, row: Row, name: str = "flows") -> str:
            found = counted.get(row["name"])
            if found is None or entry(row).saved is None:
                return "-" if entry(row).saved is None else self.table.glyphs.ellipsis
            return octets(found.octets, self.iec) if name == "octets" else scaled(found.flows)

        return [
            TableColumn("mark", "", 1, lambda n, row: "+" if row["name"] in self.marked else " "),
            TableColumn("name", "name", 14, lambda n, row: row["name"], grows=1),
            TableColumn("key", "key", 3, quick),
            TableColumn("kind", "kind", 8, lambda n, row: "-" if (one := entry(row).saved) is None else one.kind, rank=3),
            TableColumn("by", "by", 7, lambda n, row: "-" if (one := entry(row).saved) is None else one.aggregate_by, rank=2),
            TableColumn("expression", "expression", 24, text, grows=6, colour=broken),
            TableColumn("matches", "matches", 7, count, right=True),
            TableColumn("octets", "octets", 8, lambda n, row: count(n, row, "octets"), right=True, rank=1),
        ]

    def _detail(self, width: int, height: int) -> list[list[Part]]:
        entry = self.entry
        if entry is None:
            return []
        if entry.saved is None:
            return field_list.wrapped(entry.reason, width, height, "warn")
        said = f"{entry.saved.description}  " if entry.saved.description else ""
        lines = field_list.wrapped(text_of(entry) or "all flows", width, height - 1, "accent")
        return [*lines, [Part(f" {said}", "text"), Part(f"{entry.saved.kind}, by {entry.saved.aggregate_by}", "dim")]]

    def _show_preview(self) -> None:
        if not self._previews:
            return
        entry, answer = self.entry, self.answer
        table = self.query_one("#preview", FlowTable)
        shown = answer is not None and answer.flows is not None and entry is not None and self.asked is not None
        current = shown and answer is not None and self.asked is not None and answer.query == self.asked.main
        frame = answer.flows if answer is not None and current and answer.flows is not None and answer.flows.height else None
        name = entry.name if entry is not None else ""
        words = "no flows match" if current else "asking…" if entry is not None and entry.saved is not None else ""
        table.show(frame, self._preview_columns(), notice=(words,))
        total = f"{frame.height:,} of {answer.total.flows:,} " if frame is not None and answer is not None else ""
        left = [Part(f"{name} ", "strong"), Part(f"newest flows {total}", "dim")]
        self._rule("#preview-title", left, [])

    def _preview_columns(self) -> list[TableColumn]:
        def column(name: str, label: str, width: int, **how: Any) -> TableColumn:
            return TableColumn(name, label, width, lambda n, row: self.cell(name, row.get(name)), **how)

        return [
            column("flow_start", "start", 8), column("protocol", "proto", 5),
            column("source_address", "source", 15, grows=3, middle=True), column("source_port", "sport", 5, right=True),
            column("destination_address", "destination", 15, grows=3, middle=True),
            column("destination_port", "dport", 5, right=True), column("octets", "octets", 6, right=True),
            column("packets", "pkts", 5, right=True), column("tcp_flags", "flags", 6),
        ]  # fmt: skip

    @on(Tally.Changed)
    def _counted(self, message: Tally.Changed) -> None:
        message.stop()
        self._show_title()
        self.table.repaint()

    @on(FlowTable.Moved)
    def _moved(self, message: FlowTable.Moved) -> None:
        message.stop()
        if message.table is self.table:
            self.query_one("#detail", Lines).repaint()
            if self._previews:
                self.ask()
                self._show_preview()

    # What is done with a filter

    @on(FlowTable.Opened)
    def _opened(self, message: FlowTable.Opened) -> None:
        message.stop()
        entry = self.entry
        if message.table is self.table and entry is not None:
            self.load(entry)
            if entry.saved is not None:
                self.app.switch_mode("live")

    def _combined(self, text: str, where: Filter, label: str) -> None:
        self.view = self.view.down(label, text, where, self.TAB, self.table.cursor)

    def _usable(self) -> Listed | None:
        entry = self.entry
        if entry is not None and entry.saved is None:
            self.say(f"{entry.name}: {entry.reason}", "warning")
            return None
        return entry

    def action_also(self) -> None:
        """Take what the filter and this one match."""
        if (entry := self._usable()) is not None and (text := text_of(entry)):
            self._combined(cells.also(self.view.text, _bracketed(text)), all_of(self.view.where, entry.where), f"and {entry.name}")

    def action_either(self) -> None:
        """Take what the filter or this one matches."""
        if (entry := self._usable()) is None:
            return
        text = text_of(entry)
        if not self.view.text or not text:
            self.load(entry)
            return
        both = f"{_bracketed(self.view.text)} or {_bracketed(text)}"
        self._combined(both, any_of(self.view.where, entry.where), f"or {entry.name}")

    def action_without(self) -> None:
        """Take what the filter matches and this one doesn't."""
        if (entry := self._usable()) is not None:
            text = cells.also(self.view.text, f"not ({text_of(entry) or 'any'})")
            self._combined(text, all_of(self.view.where, Not(entry.where)), f"not {entry.name}")

    def action_mark(self) -> None:
        """Mark this filter, or no longer; the cursor goes on."""
        if (row := self.table.row()) is not None:
            self.marked ^= {row["name"]}
            self.show_answer()
            self.table.action_move(1)

    def action_keep(self) -> None:
        """Save the filter that is in force."""
        self.action_save_filter()

    def action_quick(self) -> None:
        """Give this filter one of the keys F1 to F9."""
        from nftui.screens.dialogs import Pick

        if (entry := self._usable()) is None:
            return
        held = {quick_of(one): one.name for one in self.host.shelf.usable}
        choices = [("0", "no key"), *((str(key), f"F{key}  {held.get(key, '')}") for key in range(1, 10))]

        def chosen(key: str | None) -> None:
            def assign(files: SavedFilters) -> str:
                files.assign(entry.name, int(key or 0))
                return f"F{key} loads {entry.name}" if key != "0" else f"{entry.name} has no key"

            if key is not None:
                self.host.shelf.read(self, assign)

        self.app.push_screen(Pick(f"key of {entry.name}", choices, str(quick_of(entry))), chosen)

    def action_duplicate(self) -> None:
        """Save this filter once more, under a name with a number."""
        if (entry := self._usable()) is not None:
            self.host.shelf.read(self, lambda files: f"copied as {files.duplicate(entry.name)}")

    def action_delete(self) -> None:
        """Delete the filters that are marked, else this one, once asked."""
        from nftui.screens.dialogs import Pick

        row = self.table.row()
        names = sorted(self.marked) or ([row["name"]] if row is not None else [])
        if not names:
            return
        what = names[0] if len(names) == 1 else f"{len(names)} filters"
        listed = ", ".join(names)

        def delete(files: SavedFilters) -> str:
            for name in names:
                files.delete(name)
            return f"deleted {listed}"

        def chosen(choice: str | None) -> None:
            if choice:
                self.marked.clear()
                self.host.shelf.read(self, delete)

        choices = [("", "keep"), ("delete", f"delete {listed}")]
        self.app.push_screen(Pick(f"delete {what}?", choices, ""), chosen)

    def action_new(self) -> None:
        """Write a new filter."""
        self._open_form(None)

    def action_edit(self) -> None:
        """Edit this filter."""
        if (entry := self._usable()) is not None:
            self._open_form(entry)

    def _open_form(self, entry: Listed | None) -> None:
        from nftui.screens.filter_form import FilterForm

        def done(name: str | None) -> None:
            if name is not None:
                self.host.shelf.read(self)

        self.app.push_screen(FilterForm(entry, lambda: self.view), done)


def _bracketed(text: str) -> str:
    """Return a filter that another may stand beside."""
    plain = not any(word in ("or", "and", "||", "&&") for word in text.lower().split())
    return text if plain else f"({text})"
