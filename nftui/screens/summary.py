"""The Summary screen: what the traffic is made of, panel by panel."""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from nftui.screens.investigation import InvestigationScreen
from nftui.screens.questions import Question, Single
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.painted import Line
from nftui.screens.widgets.prompt import Prompt


class SummaryScreen(InvestigationScreen):
    """What the traffic is made of, panel by panel."""

    TAB = "summary"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["shell.tcss", "summary.tcss"]
    FOOTER = (("view.help", ""), ("app.quit", ""))
    BINDINGS: ClassVar[list[BindingType]] = []

    def compose(self) -> ComposeResult:
        """Yield the lines and panels, from the top."""
        yield Line(id="tabs")
        yield Line(id="filter")
        yield Prompt()
        yield FlowTable(id="table")
        yield Line(id="keys")

    def question(self) -> Question:
        """Return the ranked list of the shared view."""
        return Single(self.view.groups(self.host.clock()))

    def show_answer(self) -> None:
        """Show the answer."""
