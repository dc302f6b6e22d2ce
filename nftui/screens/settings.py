"""The Settings screen: how the dashboard looks and what it starts with; changed at once, saved when one says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message

from nftui.config import default_path
from nftui.engine import settings
from nftui.errors import NftuiError
from nftui.printable import printable
from nftui.screens import errands, keys
from nftui.screens.preferences import INTERFACES, SECTIONS, Preference
from nftui.screens.shell import ShellScreen
from nftui.screens.widgets.flow_table import FlowTable, Row, TableColumn
from nftui.screens.widgets.painted import Line, Part
from nftui.screens.widgets.prompt import Prompt
from nftui.screens.widgets.sampler import Sampler

KEYS = "display.keys."


@dataclass
class Files(Message):
    """What the configuration file says.

    Attributes:
        origins: Where each key comes from, by its name.
        refusal: Why the file can't be written; empty where it can.
        problem: Why it couldn't be read or saved.
        saved: How many keys were saved; None where none were to be.
    """

    origins: dict[str, str] = field(default_factory=dict)
    refusal: str = ""
    problem: str = ""
    saved: int | None = None


class SettingsScreen(ShellScreen):
    """How the dashboard looks and what it starts with."""

    TAB = "settings"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "settings.tcss"]
    FOOTER = (
        ("table.open", "Edit"), ("settings.toggle", ""), ("settings.save", ""), ("settings.revert", ""),
        ("app.theme", "Test theme"),
        ("table.find", ""), ("view.up", ""), ("view.help", ""), ("app.quit", ""),
    )  # fmt: skip
    SIGNS = ("where a value comes from", "  default   the file   not saved: holds until you leave, S saves it")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "next_value", "Toggle", key_display="␣", id="settings.toggle", tooltip="The next value of this setting"),
        Binding("S", "save", "Save", id="settings.save", tooltip="Write what was changed to the file"),
        Binding("R", "revert", "Revert", id="settings.revert", tooltip="Everything as it was saved"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.files = Files()
        self._rows: list[Preference] = []

    @property
    def changed(self) -> dict[str, str]:
        """Settings that hold and aren't saved: what was typed, by name."""
        return self.host.unsaved

    @property
    def path(self) -> Path:
        """The configuration file."""
        return self.host.config_path or default_path()

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="config")
        yield Prompt()
        with Horizontal(id="lower"):
            yield FlowTable(id="table")
            yield Sampler(id="sample")
        yield Line(id="about")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Read where settings come from."""
        self._read()
        self.app.theme_changed_signal.subscribe(self, lambda _: self.call_after_refresh(self.show_settings))
        self.call_after_refresh(self.show_settings)

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """Show what may have changed elsewhere."""
        self.call_after_refresh(self.show_settings)

    def on_resize(self, _: events.Resize) -> None:
        """Show as much as there is room for."""
        self.call_after_refresh(self.show_settings)

    # What is shown

    def show_settings(self) -> None:
        """Show all settings as they hold."""
        if not self.is_attached:
            return
        import polars as pl

        known = keys.bound(type(self.app), self.host.display_settings.keys)
        self._rows = [one for _, section in SECTIONS for one in section]
        self._rows += [
            Preference(KEYS + name, f"key {name}", "a key", str(binding.tooltip)) for name, (_, binding, _) in sorted(known.items())
        ]
        frame = pl.DataFrame({"name": [one.name for one in self._rows]})
        words = lambda n, row: self._rows[n].takes  # noqa: E731
        columns = (
            TableColumn("label", "setting", 18, lambda n, row: self._rows[n].label, grows=2),
            TableColumn("value", "value", 17, lambda n, row: self.shown(self._rows[n]), grows=3),
            TableColumn("takes", "takes", 27, words, rank=2, grows=1),
            TableColumn("origin", "from", 9, lambda n, row: self.origin(self._rows[n]), rank=1, colour=self._marked),
        )
        self.table.show(frame, columns, ("name",))
        self._show_about()
        self.query_one(Sampler).show()
        self.show_edges()

    def show_edges(self) -> None:
        """Show the lines at the edges."""
        super().show_edges()
        if not self.is_current or not self.is_attached:
            return
        left = [Part(" config: ", "dim"), Part(str(self.path)), Part(" (ro)" if self.files.refusal else "", "warn")]
        count = len(self.changed)
        right = [Part(f"! {count} unsaved ", "warn")] if count else []
        if self.files.problem:
            left = [Part(f" {self.files.problem}", "error")]
        elif self.files.refusal and count:
            left = [Part(f" {self.files.refusal}", "warn")]
        self.query_one("#config", Line).show(left, right)

    def shown(self, one: Preference) -> str:
        """Return the value of a setting as it is listed."""
        if one.name.startswith(KEYS):
            name = one.name.removeprefix(KEYS)
            pressed = keys.bound(type(self.app), self.host.display_settings.keys)[name][2]
            return " ".join(self.app.get_key_display(Binding(key, "")) for key in pressed.split(","))
        value = self.value(one)
        if one.name == "display.colours" and value == "auto":
            return f"auto: {self.host.depth.label}"
        if one.name == "display.glyphs" and value == "auto":
            return f"auto: {self.host.glyphs.name}"
        if one.name == "display.theme" and value != self.app.theme:
            return f"{value}: {self.app.theme}"
        return "-" if value == "" else "on" if value == "true" else "off" if value == "false" else value

    def value(self, one: Preference) -> str:
        """Return the value of a setting, as it is typed."""
        value: Any = self.host.config
        for part in one.name.split("."):
            value = getattr(value, part)
        if isinstance(value, bool):
            return str(value).lower()
        return ", ".join(value) if isinstance(value, tuple) else str(value)

    def origin(self, one: Preference) -> str:
        """Return where the value of a setting comes from."""
        if one.name in self.changed:
            return "not saved"
        origin = self.files.origins.get(one.name, settings.DEFAULT)
        return "the file" if origin == str(self.path) else origin

    def _marked(self, place: int, _: Row) -> str | None:
        colour = self.table.ink.warn.color
        return colour.name if colour is not None and self._rows[place].name in self.changed else None

    def _show_about(self) -> None:
        one = self._here()
        parts = [Part(f" {one.name}  ", "strong"), Part(one.words, "warn" if one.name == "names.resolve" else "dim")] if one else []
        self.query_one("#about", Line).show(parts)

    def _here(self) -> Preference | None:
        return self._rows[self.table.cursor] if self.table.cursor < len(self._rows) else None

    @on(FlowTable.Moved)
    def _moved(self, message: FlowTable.Moved) -> None:
        message.stop()
        self._show_about()

    # What is changed

    @on(FlowTable.Opened)
    def _edit(self, message: FlowTable.Opened) -> None:
        from nftui.screens.dialogs import Pick, PressKey

        message.stop()
        one = self._here()
        if one is None:
            return
        if one is INTERFACES:
            self.host.choose_interfaces()
        elif one.name.startswith(KEYS):
            name = one.name.removeprefix(KEYS)
            self.app.push_screen(PressKey(f"key of {name}: {one.words}", lambda key: self._refused(name, key)), self._take(one))
        elif one.fixed:
            self.say(f"`nftui config set {one.name} …` changes it; a collector that runs takes it up on SIGHUP")
        else:
            choices = [(choice, choice) for choice in self._choices(one)] or [(self.value(one), "leave it as it is")]
            typed = one.typed or ("" if self._choices(one) else one.takes)
            check = lambda text: settings.tried(self.host.config, one.name, text)  # noqa: E731
            self.app.push_screen(Pick(one.label, choices, self.value(one), typed, check), self._take(one))

    def _choices(self, one: Preference) -> tuple[str, ...]:
        return tuple(self.host.themes.fitting(self.host.depth)) if one.name == "display.theme" else one.choices

    def _refused(self, name: str, key: str) -> str:
        if key in keys.KEPT:
            return f"{key} is kept by terminals, tmux or screen"
        other = keys.clash(name, key, type(self.app), self.host.display_settings.keys)
        return f"{key} is the key of {other}" if other else ""

    def _take(self, one: Preference) -> Any:
        return lambda text: None if text is None else self.change(one.name, text)

    def change(self, name: str, text: str) -> None:
        """Have a setting hold from now on, until it is saved or reverted."""
        try:
            self.host.take(settings.tried(self.host.config, name, text))
        except NftuiError as error:
            self.say(str(error).removeprefix("not saved: "), "error")
        else:
            self.changed[name] = text
            if (name, text) == ("names.resolve", "true"):
                self.say("names are looked up: it can take long, and tells DNS servers what you look at", "warning")
            self.show_settings()

    def action_next_value(self) -> None:
        """Take the next value of a setting."""
        one = self._here()
        choices = self._choices(one) if one is not None else ()
        if one is None or not choices:
            self.say("Enter edits this one")
            return
        value = self.value(one)
        self.change(one.name, choices[(choices.index(value) + 1) % len(choices) if value in choices else 0])

    def action_up(self) -> None:
        """Leave for the Live screen."""
        self.app.switch_mode("live")

    # The file

    def action_save(self) -> None:
        """Write what was changed to the file."""
        if not self.changed:
            self.say("nothing was changed")
        else:
            self._read(dict(self.changed))

    def action_revert(self) -> None:
        """Have everything as it was saved."""
        self.host.take(self.host.saved)
        self.changed.clear()
        self.show_settings()

    def _read(self, changed: dict[str, str] | None = None) -> None:
        path = self.path

        def read() -> Files:
            for name, text in (changed or {}).items():
                settings.change(path, name, text)
            origins = {one.name.replace('"', ""): one.origin for one in settings.settings(path)}
            return Files(origins, settings.refusal(path), saved=None if changed is None else len(changed))

        errands.send("settings", self, read, lambda words: Files(problem=printable(words)))

    @on(Files)
    def _heard_files(self, message: Files) -> None:
        message.stop()
        self.files = message
        if message.saved:
            self.changed.clear()
            self.host.saved = self.host.config
            self.say(f"saved in {self.path}")
        self.show_settings()
