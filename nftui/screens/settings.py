"""The Settings screen: how the dashboard looks and what it starts with."""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from nftui.screens.shell import ShellScreen
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.painted import Line
from nftui.screens.widgets.prompt import Prompt


class SettingsScreen(ShellScreen):
    """How the dashboard looks and what it starts with."""

    TAB = "settings"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "settings.tcss"]
    FOOTER = (("view.help", ""), ("app.quit", ""))
    BINDINGS: ClassVar[list[BindingType]] = []

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Prompt()
        yield FlowTable(id="table")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Show the edges."""
        self.call_after_refresh(self.show_edges)

    def action_up(self) -> None:
        """Leave for the Live screen."""
        self.app.switch_mode("live")
