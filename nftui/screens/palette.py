"""The command palette: a line to type in, and what it finds below, one line each.

Textual's own palette is not used: it reads the words of a command as markup, waits up to a quarter of a second before it shows
anything, takes two lines for each command, and draws a magnifying glass that few terminals have. Its `Provider` is, so that
commands are given in the way its users know.
"""

from __future__ import annotations

import contextlib
from time import monotonic
from typing import ClassVar, cast

from rich.segment import Segment
from rich.style import Style
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input

from nftui.printable import cell_width, printable
from nftui.screens.ahead import TypedAhead
from nftui.screens.commands import Command, Offer, families
from nftui.screens.driver import Paced
from nftui.screens.jumps import Jumps
from nftui.screens.widgets.painted import Line, Painted, Part, fit, piece
from nftui.screens.widgets.typed_line import OrderedInput

MOST = 200
"""Commands that are listed."""
KEY = 6
"""Cells of a key."""


class CommandList(Painted):
    """Commands, one a line, with a cursor."""

    class Chosen(Message):
        """A command was clicked on."""

    def __init__(self) -> None:
        super().__init__(id="commands")
        self.offers: list[Offer] = []
        self.cursor = 0
        self._top = 0

    def show(self, offers: list[Offer]) -> None:
        """Replace the commands; the cursor is on the first."""
        self.offers, self.cursor, self._top = offers, 0, 0
        self.repaint()

    def move(self, rows: int, *, around: bool = False) -> None:
        """Move the cursor by rows, around the end where that is wanted."""
        if self.offers:
            place = self.cursor + rows
            self.cursor = place % len(self.offers) if around else min(max(place, 0), len(self.offers) - 1)
            self.repaint()

    @property
    def current(self) -> Offer | None:
        """What the cursor is on."""
        return self.offers[self.cursor] if self.offers else None

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines in sight."""
        self._top = min(max(self._top, self.cursor - height + 1, 0), self.cursor, max(len(self.offers) - height, 0))
        # A title has the room of the longest, up to two thirds.
        longest = max((cell_width(str(offer.text)) for offer in self.offers), default=0)
        title = min(longest + 2, (width - KEY - 2) * 2 // 3)
        return [
            self._line(self._top + n, offer, title, width) for n, offer in enumerate(self.offers[self._top : self._top + height])
        ]

    def _line(self, place: int, offer: Offer, title: int, width: int) -> Strip:
        styles = self.ink
        here = place == self.cursor
        ground = styles.cursor_ground if here else styles.ground
        on = Style(bgcolor=ground)
        text, dim, key = styles.text + on, styles.dim + on, styles.title + on
        command = cast(Command, offer.offered)
        found = fit(str(offer.text), title - 1) + " "
        parts = [Segment(self.glyphs.pointer if here else " ", key), Segment(" ", text)]
        start = 0
        for end in range(1, len(found) + 1):
            if end == len(found) or (end in offer.places) != (start in offer.places):
                parts.append(piece(found[start:end], key if start in offer.places else text + Style(bold=here)))
                start = end
        help_ = fit(command.help, max(width - title - KEY - 3, 0))
        parts += [piece(help_, dim), Segment(" ", dim), piece(fit(command.key, KEY, right=True), key)]
        return Strip(parts)

    def on_click(self, event: events.Click) -> None:
        """Take the command that the mouse is on."""
        if self._top + event.y < len(self.offers):
            self.cursor = self._top + event.y
            self.repaint()
            self.post_message(self.Chosen())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move with the wheel."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move with the wheel."""
        event.stop()
        self.move(-3)


class Palette(Paced, TypedAhead, ModalScreen[None]):
    """Finds commands by their names, and goes to what is typed."""

    CSS_PATH = "palette.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="palette.cancel", tooltip="Close the palette"),
        Binding("down,ctrl+n", "move(1)", "Down", show=False, id="palette.down", tooltip="The next command"),
        Binding("up,ctrl+p", "move(-1)", "Up", show=False, id="palette.up", tooltip="The command before"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="palette.page_down", tooltip="One page of commands down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="palette.page_up", tooltip="One page of commands up"),
        Binding("tab", "complete", "Complete", show=False, id="palette.complete", tooltip="Type the rest of the command's name"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._providers: list[Provider] = []
        self._listed = False
        self.seconds = 0.0
        """That the last search took."""

    def compose(self) -> ComposeResult:
        """Yield the line, the commands and the line below."""
        with Vertical(id="box"):
            with Horizontal(id="typing"):
                yield Line(id="colon")
                words = "a command, an address, a port, a filter"
                yield OrderedInput(id="typed", compact=True, select_on_focus=False, placeholder=words)
            yield CommandList()
            yield Line(id="below")

    async def on_mount(self) -> None:
        """List what there is, and begin to read what is in files."""
        under = self.app.screen_stack[-2]
        self._providers = [family(under) for family in families()]
        self.ready(self.query_one("#typed"))
        self.call_after_refresh(self.query_one("#colon", Line).show, [Part(":", "title")])
        await self._search("")
        self._start_providers()
        self._listed = True

    @work(exclusive=True)
    async def _start_providers(self) -> None:
        for provider in self._providers:
            await provider.startup()
        if self.is_attached:
            await self._search(self.query_one("#typed", Input).value)

    # What is found

    async def _search(self, typed: str) -> None:
        began = monotonic()
        text = typed.strip()
        found: list[Offer] = []
        for provider in self._providers:
            hits = provider.search(text) if text else provider.discover()
            with contextlib.suppress(NotImplementedError):
                found += [hit async for hit in hits if isinstance(hit, Offer)]
        if text:
            found.sort(key=lambda offer: -offer.score)
        self.query_one(CommandList).show(found[:MOST])
        self._say(text, len(found))
        self.seconds = monotonic() - began

    def _say(self, text: str, count: int) -> None:
        problem = next((one.problem for one in self._providers if isinstance(one, Jumps)), "")
        line = self.query_one("#below", Line)
        right = [Part(f"{count:,} " if count else "", "dim")]
        if text and not count:
            line.show([Part(problem or "nothing is called so, and no filter is written so", "warn")])
        elif problem and not text.replace(" ", "").isalpha():
            line.show([Part(f"as a filter: {problem}", "dim")], right)
        else:
            keys = (("⏎", "run"), ("tab", "complete"), ("↑ ↓", "choose"), ("esc", "cancel"))
            line.show([part for key, words in keys for part in (Part(key, "title"), Part(f" {words}  ", "dim"))], right)

    @on(Input.Changed)
    async def _changed(self, event: Input.Changed) -> None:
        event.stop()
        await self._search(event.value)

    # The keys

    def action_move(self, rows: int) -> None:
        """Move the cursor, around the end."""
        self.query_one(CommandList).move(rows, around=True)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        commands = self.query_one(CommandList)
        commands.move(pages * max(commands.size.height - 1, 1))

    def action_complete(self) -> None:
        """Type the name of the command under the cursor."""
        offer = self.query_one(CommandList).current
        command = None if offer is None else offer.offered
        if command is not None:
            entry = self.query_one("#typed", Input)
            entry.value = printable(command.title)
            entry.cursor_position = len(entry.value)

    @on(Input.Submitted)
    @on(CommandList.Chosen)
    async def _entered(self, event: Message) -> None:
        event.stop()
        offer = self.query_one(CommandList).current
        if offer is not None:
            self.dismiss(None)
            self.app.call_later(offer.command)

    def action_leave(self) -> None:
        """Close the palette."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Close the palette by a click beside it."""
        if event.widget is self:
            self.dismiss(None)
