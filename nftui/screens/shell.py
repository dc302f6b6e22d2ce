"""What every screen has: the shared view, the lines at the edges, a line to type in, finding in its table, and help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from textual import events, on
from textual.binding import Binding, BindingType
from textual.reactive import Reactive
from textual.screen import Screen

from nftui.config import Config, DisplaySettings
from nftui.engine.one_sided import Sidedness
from nftui.engine.query import BackEnd
from nftui.engine.resolving import Resolver
from nftui.printable import printable
from nftui.screens import capturing, reading, side_watch
from nftui.screens.collector import Collector
from nftui.screens.depth import Depth
from nftui.screens.driver import Paced
from nftui.screens.glyphs import Glyphs
from nftui.screens.link import Link
from nftui.screens.shelf import Shelf
from nftui.screens.shown import Shown
from nftui.screens.themes import Themes
from nftui.screens.this_host import ThisHost
from nftui.screens.view import View, time_text
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.painted import Line, Part
from nftui.screens.widgets.prompt import Prompt

if TYPE_CHECKING:
    from nftui.engine.packet_capture import PacketCapture
    from nftui.export.exportables import Exportable

TABS = (
    ("1", "live", "Live", "Live"), ("2", "flows", "Flows", "Flows"), ("3", "summary", "Summary", "Sum"), ("4", "map", "Map", "Map"),
    ("5", "filters", "Filters", "Filters"), ("7", "sources", "Sources", "Source"), ("8", "settings", "Settings", "Set"),
)  # fmt: skip
"""Key, name, label where there is room, label where there is little."""

TYPING = (
    ("⏎", "Apply"), ("esc", "Cancel"), ("tab", "Complete"), ("↑ ↓", "Choose"), ("pgup", "Recent"), ("pgdn", "Save"),
    ("f10", "Undo"),
)  # fmt: skip
"""Keys of the line that is typed in; the first two are those of every such line."""

SLOW = "slow link "
LOOK_S = 0.5
"""Seconds between two looks whether it is time for a refresh: the shortest that may be configured, or that would be late."""


class Host(Protocol):
    """What the screens need of the application."""

    back_end: BackEnd
    display_settings: DisplaySettings
    clock: Callable[[], int]
    listening: str
    demo: bool
    title: str
    filter_history: list[str]
    find_history: list[str]
    marks: list[int]
    view: Reactive[View]
    resolver: Resolver
    here: ThisHost
    sides: tuple[Sidedness, ...]
    capture: PacketCapture | None
    glyphs: Glyphs
    depth: Depth
    themes: Themes
    link: Link
    shown: Shown
    unsaved: dict[str, str]
    saved: Config
    config: Config
    config_path: Path | None
    shelf: Shelf

    def take(self, config: Config) -> None:
        """Have another configuration hold from now on."""

    def choose_interfaces(self) -> None:
        """Choose the interfaces whose packets become flows."""

    def use_theme(self, name: str) -> None:
        """Take a theme."""


class ShellScreen(Paced, Screen[None]):
    """A screen with tabs above, keys below, and a table in between."""

    TAB: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (120, "-wide"), (160, "-full")]  # noqa: RUF012  as Textual types it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-standard"), (32, "-medium"), (40, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#table"
    FOOTER: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Ids of the keys of the last line, those that give way last first; and other words for them, where theirs don't fit."""
    SIGNS: ClassVar[tuple[str, ...]] = ()
    """Lines of the help that explain what is shown."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Find", key_display="/", id="table.find", tooltip="Find words in the table"),
        Binding("n", "find_next(1)", "Next", show=False, id="table.find_next", tooltip="The next row with the words found last"),
        Binding("N", "find_next(-1)", "Previous", show=False, id="table.find_previous", tooltip="The row before with those words"),
        Binding("e", "export", "Export", id="view.export", tooltip="Write what is shown to a file"),
        Binding("escape", "up", "Up", show=False, id="view.up", tooltip="Undo the last step down"),
        Binding("question_mark", "help", "Help", key_display="?", id="view.help", tooltip="The keys of this screen"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.problem = ""
        self.collector = Collector()
        self.heard = False
        self._words = ""
        self._refreshed = monotonic()

    def _compositor_refresh(self) -> None:
        """Paint what changed; nothing while a window lies over this screen.

        Textual 8.2 would paint both as a whole then, and again at each tick: 10 kB a second below a dialog in which nothing moves.
        """
        if self.app.screen is self:
            super()._compositor_refresh()
        else:
            self._compositor._dirty_regions.clear()
            self._dirty_widgets.clear()

    def paint_again(self) -> None:
        """Paint everything: something else may have written to the terminal."""
        self.host.shown.forget()
        self.refresh()

    @property
    def host(self) -> Host:
        """The application, as far as a screen may know it."""
        return cast(Host, self.app)

    @property
    def view(self) -> View:
        """The shared view."""
        return cast(View, self.host.view)

    @view.setter
    def view(self, view: View) -> None:
        self.host.view = view  # type: ignore[assignment]

    @property
    def iec(self) -> bool:
        """Whether octets are shown in steps of 1024."""
        return self.host.display_settings.units == "iec"

    @property
    def interval(self) -> float:
        """Seconds between two refreshes: as configured, more on a line that is slow."""
        return self.host.link.interval(self.host.display_settings.refresh)

    def due(self) -> bool:
        """Return whether it is time for a refresh; asked each `LOOK_S`."""
        now = monotonic()
        if now - self._refreshed < self.interval - LOOK_S / 2:
            return False
        self._refreshed = now
        return True

    def live_state(self) -> list[Part]:
        """Return the parts that say how often what is shown is refreshed."""
        slow = self.interval > self.host.display_settings.refresh
        return [Part(f"LIVE {self.interval:g}s ", "good"), *([Part(SLOW, "warn")] if slow else [])]

    def signs(self) -> list[Part]:
        """Return the parts that say what stands whatever is asked: that a capture runs, that only one direction is seen."""
        return [*capturing.label(self.host.capture), *side_watch.label(self.host.sides)]

    @property
    def small(self) -> bool:
        """Whether the window is smaller than 80x24."""
        return self.has_class("-narrow") or self.has_class("-short")

    @property
    def table(self) -> FlowTable:
        """The table that has the keys."""
        return self.query_one("#table", FlowTable)

    # The lines at the edges

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """Show the keys that work where the focus is now."""
        self.call_after_refresh(self.show_edges)

    def show_edges(self) -> None:
        """Show the lines at the edges: tabs and state, keys."""
        if self.is_current and self.is_attached:
            tabs, state = self._tabs(), self.state()
            room = self.size.width - sum(len(part.text) for part in tabs) - 1
            if sum(len(part.text) for part in state) > room:
                # What is said of the line gives way to what is said of the answer.
                state = [part for part in state if part.text != SLOW]
            self.query_one("#tabs", Line).show(tabs, [Part(" "), *state] if state else [])
            self.query_one("#keys", Line).show(self._keys())

    def state(self) -> list[Part]:
        """Return what stands at the right of the first line."""
        return []

    def _tabs(self) -> list[Part]:
        parts = []
        roomy = self.size.width >= 120
        for key, name, label, short in TABS:
            shown = f"{key} {label}" if roomy else f"{key}{short}"
            here = f"[{shown}]" if name == self.TAB else f" {shown} " if roomy else f" {shown}"
            parts.append(Part(here, "title" if name == self.TAB else "dim", f"app.{name}"))
        if self.host.demo:
            parts.append(Part("  demo: simulated exporters" if roomy else "  demo", "warn"))
        elif self.host.title and roomy:
            parts.append(Part(f"  {self.host.title}", "dim"))
        return parts

    def _keys(self) -> list[Part]:
        prompt = self.query_one(Prompt)
        if prompt.is_open:
            typed = TYPING if prompt.purpose == "filter" else TYPING[:2]
            return [Part(" "), *(part for key, words in typed for part in (Part(key, "title"), Part(f" {words} ", "dim")))]
        room = self.size.width - 1
        bound = {active.binding.id: active for active in reversed(self.active_bindings.values())}
        parts, used = [Part(" ")], 0
        for name, shorter in self.FOOTER:
            active = bound.get(name)
            if active is None or not active.enabled:
                continue
            key = self.app.get_key_display(active.binding)
            words = shorter or active.binding.description
            if used + len(key) + len(words) + 2 <= room:
                parts += [Part(key, "title", name), Part(f" {words} ", "dim", name)]
                used += len(key) + len(words) + 2
        return parts

    @on(Line.Clicked)
    async def _clicked(self, message: Line.Clicked) -> None:
        """Do what the key does that was clicked."""
        message.stop()
        for active in self.active_bindings.values():
            if active.binding.id == message.does and active.enabled:
                await self.app.run_action(active.binding.action, active.node)
                return

    @on(FlowTable.Headed)
    def _headed(self, message: FlowTable.Headed) -> None:
        """Order by the column whose heading was clicked; the other way round where it is in order already."""
        message.stop()
        reverse = getattr(self, "action_reverse", None)
        if message.name == message.table.marked and reverse is not None:
            reverse()
        else:
            self.order_by(message.name)

    def order_by(self, name: str) -> None:
        """Order the table by a column, the one under its cursor, where that can be done."""
        if (order := getattr(self, "action_order", None)) is not None:
            order()

    # What is typed and found

    def action_find(self) -> None:
        """Find words in the table."""
        self.query_one(Prompt).open("find", "", self.host.find_history, hint="Enter finds; then n and N")

    def entered(self, purpose: str, text: str) -> None:
        """Take what was typed."""
        if text:
            self._words = text
            self.action_find_next(1)

    @on(Prompt.Entered)
    def _entered(self, message: Prompt.Entered) -> None:
        message.stop()
        self.entered(message.purpose, message.text)

    @on(Prompt.Left)
    def _left(self, message: Prompt.Left) -> None:
        message.stop()
        self.show_edges()

    def action_find_next(self, direction: int) -> None:
        """Put the cursor on the next row with the words."""
        found = self.table.find(self._words, direction > 0) if self._words else True
        if found is None:
            self.say(f"looking for {self._words} in {self.table.count:,} rows")
        elif not found:
            self.say(f"no row shows {self._words}")

    @on(FlowTable.Found)
    def _found(self, message: FlowTable.Found) -> None:
        message.stop()
        if not message.found:
            self.say(f"no row shows {self._words}")

    def focus_table(self) -> None:
        """Give the keys back to the table."""
        self.call_after_refresh(self.table.focus)

    def say(self, text: str, severity: Any = "information") -> None:
        """Show a short notice, as plain text."""
        self.app.notify(printable(text), severity=severity, timeout=3, markup=False)

    # What is written to files

    def exports(self) -> Sequence[Exportable]:
        """Return what there is to write, what is looked at most first: the table, unless a screen knows more."""
        from nftui.screens import exports

        return [one for table in self.query(FlowTable) if table.display for one in exports.of_table(table, "table")]

    def action_export(self, form: str = "csv") -> None:
        """Write what is shown to a file."""
        from nftui.screens import exports
        from nftui.screens.export_dialog import ExportDialog

        moment = time_text(self.host.clock(), "%Y%m%d-%H%M%S")
        self.app.push_screen(ExportDialog(self.TAB, self.exports(), lambda: exports.picture(self, self.host.title), moment, form))

    # The way out, and help

    def action_up(self) -> None:
        """Undo the last step down."""
        raise NotImplementedError

    def action_help(self) -> None:
        """Show the keys of this screen."""
        from nftui.screens.dialogs import Page

        self.app.push_screen(Page(f"keys of {self.TAB}", reading.keys(self, self.SIGNS, self.ink_colours())))

    def ink_colours(self) -> tuple[str, str]:
        """Return the colours of headings and of what is less important."""
        styles = self.query_one("#keys", Line).ink
        title, dim = styles.title.color, styles.dim.color
        return title.name if title else "default", dim.name if dim and not styles.few else "dim"
