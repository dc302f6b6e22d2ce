"""The application: screens, themes and keys put together. It knows nothing about flows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.reactive import var
from textual.screen import Screen

from nftui.config import Config, DisplaySettings, NameSettings, default_path, filters_directory, themes_directory
from nftui.engine.one_sided import Sidedness
from nftui.engine.query import KEYS, BackEnd
from nftui.engine.resolving import Resolver
from nftui.engine.saved_filter import SavedFilters
from nftui.errors import ConfigError, UsageError
from nftui.printable import printable
from nftui.screens import capturing, chosen_interfaces, errands, glyphs, keys, loading, side_watch, themes
from nftui.screens.depth import Depth, depth
from nftui.screens.driver import MeteredDriver
from nftui.screens.frugal import Outlet, frugal
from nftui.screens.link import ASK, Link
from nftui.screens.live import LiveScreen
from nftui.screens.shelf import Shelf
from nftui.screens.shell import ShellScreen
from nftui.screens.shown import Shown
from nftui.screens.stylesheet import KeptStylesheet
from nftui.screens.this_host import ThisHost
from nftui.screens.view import MINUTE, Range, View, parse_range
from nftui.screens.widgets.typed_line import TypedLine

if TYPE_CHECKING:
    from nftui.engine.packet_capture import PacketCapture
    from nftui.screens.filters import FiltersScreen
    from nftui.screens.flows import FlowsScreen
    from nftui.screens.maps import MapScreen
    from nftui.screens.settings import SettingsScreen
    from nftui.screens.sources import SourcesScreen
    from nftui.screens.summary import SummaryScreen


def now() -> int:
    """Return microseconds since 1970."""
    return time.time_ns() // 1000


def _flows_screen() -> FlowsScreen:
    from nftui.screens.flows import FlowsScreen

    return FlowsScreen()


def _summary_screen() -> SummaryScreen:
    from nftui.screens.summary import SummaryScreen

    return SummaryScreen()


def _map_screen() -> MapScreen:
    from nftui.screens.maps import MapScreen

    return MapScreen()


def _filters_screen() -> FiltersScreen:
    from nftui.screens.filters import FiltersScreen

    return FiltersScreen()


def _sources_screen() -> SourcesScreen:
    from nftui.screens.sources import SourcesScreen

    return SourcesScreen()


def _settings_screen() -> SettingsScreen:
    from nftui.screens.settings import SettingsScreen

    return SettingsScreen()


class NftuiApp(App[None], inherit_bindings=False):
    """The dashboard."""

    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {
        "live": LiveScreen, "flows": _flows_screen, "summary": _summary_screen, "map": _map_screen, "filters": _filters_screen,
        "sources": _sources_screen, "settings": _settings_screen,
    }  # fmt: skip
    DEFAULT_MODE = "live"
    ESCAPE_TO_MINIMIZE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "switch_mode('live')", "Live", show=False, id="app.live", tooltip="The Live screen"),
        Binding("2", "switch_mode('flows')", "Flows", show=False, id="app.flows", tooltip="The Flows screen"),
        Binding("3", "switch_mode('summary')", "Summary", show=False, id="app.summary", tooltip="The Summary screen"),
        Binding("4", "switch_mode('map')", "Map", show=False, id="app.map", tooltip="The Map screen"),
        Binding("5", "switch_mode('filters')", "Filters", show=False, id="app.filters", tooltip="The Filters screen"),
        Binding("7", "switch_mode('sources')", "Sources", show=False, id="app.sources", tooltip="The Sources screen"),
        Binding("8", "switch_mode('settings')", "Settings", show=False, id="app.settings", tooltip="The Settings screen"),
        Binding("colon,ctrl+p", "command_palette", "Palette", show=False, id="app.palette", tooltip="Find a command by its name"),
        Binding("T", "next_theme", "Theme", show=False, id="app.theme", tooltip="The next theme"),
        Binding("q", "leave", "Quit", id="app.quit", tooltip="Close a window, else leave the program"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True, id="app.quit_always", tooltip="Leave the program"),
    ]
    # Notices name files, whose paths are long.
    CSS = "Toast { max-width: 90%; }"
    view: var[View] = var(View(), init=False)

    def __init__(
        self,
        back_end: BackEnd,
        display: DisplaySettings,
        *,
        title: str = "",
        listening: str = "",
        demo: bool = False,
        resolver: Resolver | None = None,
        here: ThisHost = ThisHost(),  # noqa: B008  it is frozen
        config: Config | None = None,
        config_path: Path | None = None,
        clock: Callable[[], int] = now,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Put the dashboard together.

        Args:
            back_end: Answers what the screens ask.
            display: How it looks and what it starts with.
            title: What is being looked at, for the first line.
            listening: Where exporters should send to, `10.1.2.3:9995`, for the words shown while there are no flows.
            demo: Whether the exporters are simulated.
            resolver: Knows names of addresses; None for one that knows none.
            here: What is known of this host, and may be done there.
            config: The whole configuration, for what shows it; `display` goes before its own.
            config_path: Its file, None for the default one: saved filters and themes of the user stand beside it.
            clock: Returns the present in microseconds since 1970.
            environ: Tells what the terminal shows; None for all colours and block characters, as far as `display` doesn't say.
        Raises:
            ConfigError: The theme, the range, the group-by or the id of a key can't be used.
        """
        self.link, self.shown, self._held = Link(), Shown(), False
        self._utf8: bool | None = None  # whether the terminal showed that it takes UTF-8; None where it wasn't asked
        super().__init__()
        self.stylesheet = KeptStylesheet(variables=self.get_css_variables())
        self.back_end, self.display_settings, self.clock = back_end, display, clock
        self.title, self.listening, self.demo = printable(title), printable(listening), demo
        self.resolver, self.here = resolver or Resolver(NameSettings()), here
        self.sides: tuple[Sidedness, ...] = ()
        self.capture: PacketCapture | None = None
        self.config, self.config_path = config or Config(display=display), config_path
        self.saved, self.unsaved = self.config, dict[str, str]()
        self.environ = _ABLE if environ is None else environ
        self.themes = themes.find(themes_directory(config_path))
        self.shelf = Shelf(SavedFilters(filters_directory(config_path)))
        self.filter_history: list[str] = []
        self.find_history: list[str] = []
        self.marks: list[int] = []
        for theme in self.themes.known.values():
            self.register_theme(theme)
        # Colours are taken away on the way out, and only there.
        del self._filters[1:]
        self.depth, self.glyphs = Depth.ALL, glyphs.BLOCKS
        self.look_like(display)
        if display.keys:
            keys.check(display.keys, NftuiApp)
            self.set_keymap(display.keys)
        self.set_reactive(NftuiApp.view, replace(_first_view(display), names=self.resolver.asks))

    def on_mount(self) -> None:
        """Say which of the user's themes can't be used, and begin to watch."""
        for problem in self.themes.problems.values():
            self.notify(printable(problem), severity="warning", timeout=10, markup=False)
        self.set_timer(loading.FIRST_S, lambda: loading.begin(self))
        if self.here.sides is not None:
            self.set_timer(side_watch.FIRST_S, self._look_at_sides)
        if self.here.first:
            path = self.config_path or default_path()
            chosen_interfaces.look_whether_first(self, path, lambda: self.back_end.held() is None)

    @on(chosen_interfaces.Emptiness)
    def _found_out(self, message: chosen_interfaces.Emptiness) -> None:
        message.stop()
        if message.first and isinstance(self.screen, ShellScreen):
            self.choose_interfaces(first=True)

    def choose_interfaces(self, first: bool = False) -> None:
        """Choose the interfaces whose packets become flows."""
        if self.demo:
            self.notify("the demo simulates its exporters; `nftui` takes packets", markup=False)
            return
        from nftui.screens.interface_choice import InterfaceChoice

        self.push_screen(InterfaceChoice(self.config.probe.interfaces, first), self._chose_interfaces)

    def _chose_interfaces(self, names: tuple[str, ...] | None) -> None:
        if names is not None:
            chosen_interfaces.keep(self, self.config_path or default_path(), names, self.here.take_up)

    @on(chosen_interfaces.Kept)
    def _kept_interfaces(self, message: chosen_interfaces.Kept) -> None:
        message.stop()
        if message.problem:
            self.notify(printable(message.problem), severity="error", timeout=10, markup=False)
            return
        from nftui.engine import settings

        said = ", ".join(message.names)
        self.config, self.saved = (settings.tried(one, "probe.interfaces", said) for one in (self.config, self.saved))
        words = f"packets of {', '.join(message.names)} become flows" if message.names else "only exports are listened for"
        path = self.config_path or default_path()
        later = "" if self.here.take_up is not None else f" as soon as a collector reads {path} again (SIGHUP)"
        self.notify(printable(f"{words}{later}; `Choose interfaces` in the palette (:) changes it"), markup=False)

    def _look_at_sides(self) -> None:
        assert self.here.sides is not None
        look, now = self.here.sides.look, self.clock()
        errands.send("sides", self, lambda: side_watch.Looked(look(now)), lambda words: side_watch.Looked(None))

    @on(side_watch.Looked)
    def _looked_at_sides(self, message: side_watch.Looked) -> None:
        message.stop()
        self.sides = self.sides if message.found is None else message.found
        if isinstance(self.screen, ShellScreen):
            self.screen.show_edges()
        if self.here.sides is not None:
            self.set_timer(side_watch.EACH_S, self._look_at_sides)

    def look_like(self, display: DisplaySettings) -> None:
        """Take theme, colours and characters from settings.

        Raises:
            ConfigError: The theme can't be used.
        """
        deep = depth(display.colours, self.environ)
        theme = self.themes.chosen(display.theme, deep)
        unsaid = self.environ is _ABLE and display.glyphs == "auto"
        self.depth, self.glyphs = deep, glyphs.BLOCKS if unsaid else self._told(display, deep)
        self.console._color_system = deep.system
        self.theme = theme

    def _told(self, display: DisplaySettings, deep: Depth) -> glyphs.Glyphs:
        return glyphs.told(display.glyphs, self.environ, deep, shown=self._utf8 is True)

    def asks_encoding(self) -> bool:
        """Return whether the terminal is to show that it takes UTF-8: once, where nothing else says it."""
        asks = self._utf8 is None and glyphs.unsaid(self.display_settings.glyphs, self.environ)
        self._utf8 = False if asks else self._utf8
        return asks

    def takes_utf8(self) -> None:
        """Hear that the terminal takes UTF-8: what was shown in ASCII until now is shown in better characters."""
        self._utf8 = True
        self.look_like(self.display_settings)
        self._look_anew()

    def _look_anew(self) -> None:
        self.theme_changed_signal.publish(self.current_theme)
        self.refresh_css()
        self.screen.refresh()

    def take(self, config: Config) -> None:
        """Have another configuration hold from now on, as far as it is the dashboard's.

        Raises:
            ConfigError: A value can't be used; nothing has changed then.
        """
        before, display = self.display_settings, config.display
        wanted = _first_view(display)
        keys.check(display.keys, NftuiApp)
        self.look_like(display)
        self.config, self.display_settings, self.resolver.asks = config, display, config.names.resolve
        self.set_keymap(display.keys)
        view = self.view
        if display.range != before.range:
            view = view.with_range(wanted.range)
        if display.by != before.by:
            view = replace(view, by=wanted.by)
        if display.max_values != before.max_values:
            view = replace(view, limit=wanted.limit)
        self.view = replace(view, bins=min(view.bins, display.maximum_chart_resolution))
        self._look_anew()

    async def action_leave(self) -> None:
        """Leave the program; while a capture runs only when that is asked twice."""
        if self.capture is not None and self.capture.running:
            self.capture.stop()
            self.notify(f"{capturing.ended(self.capture)}; q once more leaves", markup=False)
        else:
            await self.action_quit()

    def action_next_theme(self) -> None:
        """Take the next theme."""
        fitting = self.themes.fitting(self.depth)
        if len(fitting) < 2:
            self.notify(f"colours: {self.depth.label}: they are the terminal's own, whatever the theme", markup=False)
            return
        place = fitting.index(self.theme) if self.theme in fitting else -1
        self.use_theme(fitting[(place + 1) % len(fitting)])

    def use_theme(self, name: str) -> None:
        """Take a theme; it is not saved before one says so on the Settings screen."""
        from nftui.engine import settings

        self.unsaved["display.theme"] = name
        self.take(settings.tried(self.config, "display.theme", name))

    def delay_update(self, delay: float = 0.05) -> None:
        """Delay painting while another screen is laid out: that is over sooner than Textual's 50 ms, which a key would wait for."""
        super().delay_update(min(delay, LAID_OUT_S))

    def _display(self, screen: Screen[None], renderable: object) -> None:
        """Show what a screen painted, as the terminal can show it."""
        if isinstance(renderable, CompositorUpdate):
            renderable = frugal(renderable, Outlet(self.depth, self.glyphs, self.shown))
        super()._display(screen, renderable)  # type: ignore[arg-type]
        if renderable is not None and isinstance(self._driver, MeteredDriver) and self.link.frame():
            self._driver.write(ASK)

    def on_resize(self) -> None:
        """Take note that a terminal of another size shows who knows what."""
        self.shown.forget()

    def give_terminal_back(self) -> None:
        """Leave the terminal as it was, where an end amid the start has not."""
        if isinstance(self._driver, MeteredDriver):
            self._driver.give_back()

    def get_driver_class(self) -> type[Driver]:
        """Return the driver: ours in the place of Textual's for terminals."""
        driver = super().get_driver_class()
        return MeteredDriver if issubclass(MeteredDriver, driver) else driver

    def may_paint(self) -> bool:
        """Return whether the terminal takes more now; if not, the screen is painted as soon as it does."""
        if self.link.clear or not isinstance(self._driver, MeteredDriver):
            return True
        if not self._held:
            self._held = True
            self.set_timer(HELD_S, self.go_on)
        return False

    def go_on(self) -> None:
        """Paint what was held back, as soon as the terminal takes it."""
        if not self._held:
            return
        if self.link.clear:
            self._held = False
            self.screen._compositor_refresh()
        else:
            self.set_timer(HELD_S, self.go_on)

    def get_key_display(self, binding: Binding) -> str:
        """Return how a key is called, in characters that the terminal has."""
        shown = super().get_key_display(binding)
        return shown if self.glyphs.name in ("braille", "blocks") else _SPELT.get(shown, shown)

    async def on_event(self, event: events.Event) -> None:
        """Keep keys back that come behind the Enter that may close a window."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            holds = getattr(self.screen, "holds", None)
            if holds is not None and holds(event):
                return
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        """Hand keys that were typed ahead, right behind the one that opened a prompt or the palette, on to it."""
        entry, took = self.focused, getattr(self.screen, "took_ahead", None)
        if took is not None and took(event):
            event.prevent_default()
            return
        if isinstance(entry, TypedLine) and event.time <= entry.began:
            event.prevent_default()
            entry._forward_event(events.Key(event.key, event.character))

    def action_command_palette(self) -> None:
        """Find a command by its name, or go to what is typed."""
        from nftui.screens.palette import Palette

        if isinstance(self.screen, ShellScreen):
            self.push_screen(Palette())


HELD_S = 0.05
"""Seconds between two looks whether a terminal that doesn't answer takes more."""
LAID_OUT_S = 0.005
"""For so long nothing is painted while another screen is opened."""
_ABLE = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
_SPELT = {"⏎": "ret", "␣": "spc"}


def _first_view(display: DisplaySettings) -> View:
    try:
        chosen: Range = parse_range(display.range)
    except UsageError as error:
        raise ConfigError(f"display.range: {error}") from error
    if display.by not in KEYS:
        raise ConfigError(f"display.by is {display.by!r}; there are: {', '.join(KEYS)}")
    bins = min(View().bins, display.maximum_chart_resolution)
    return View(chosen, home=chosen.length or 15 * MINUTE, by=display.by, limit=display.max_values, bins=bins)
