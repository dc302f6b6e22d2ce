"""Small windows over a screen: a list to pick from, and a page to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nftui.errors import NftuiError
from nftui.printable import printable
from nftui.screens.ahead import TypedAhead
from nftui.screens.driver import Paced
from nftui.screens.widgets.typed_line import OrderedInput


class Pick(Paced, TypedAhead, ModalScreen[str | None]):
    """Picks one of a few, or takes a typed one; dismisses with its name, or None."""

    HOLDS = True
    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="pick.cancel", tooltip="Leave it as it was"),
        Binding("j,ctrl+n", "move(1)", "Down", show=False, id="pick.down", tooltip="The next one"),
        Binding("k", "move(-1)", "Up", show=False, id="pick.up", tooltip="The one before"),
        Binding("q", "leave", "Close", show=False, id="pick.close", tooltip="Leave it as it was"),
    ]

    def __init__(
        self,
        title: str,
        choices: Sequence[tuple[str, str]],
        current: str,
        typed: str = "",
        check: Callable[[str], object] | None = None,
    ) -> None:
        """Prepare the window.

        Args:
            title: Above the list.
            choices: Name and label of each.
            current: The name that the cursor starts on.
            typed: What may be typed instead; empty where nothing may. What is typed narrows the list as well.
            check: Raises an `NftuiError` on a typed text that won't do.
        """
        super().__init__()
        self._title, self._choices, self._current, self._typed, self._check = title, list(choices), current, typed, check
        self._offered = self._choices
        self._narrowed, self._moved = "", False

    def compose(self) -> ComposeResult:
        """Yield the list, and the input where something may be typed."""
        with Vertical(id="box"):
            yield Static(Text(printable(self._title)), id="heading", markup=False)
            yield OptionList(
                *(Option(Text(printable(label)), id=name) for name, label in self._choices), id="choices", markup=False
            )
            if self._typed:
                yield OrderedInput(placeholder=self._typed, id="typed", compact=True)
                yield Static("", id="wrong", markup=False)

    def on_mount(self) -> None:
        """Put the cursor on what is in force, and the focus where typing works."""
        choices = self.query_one(OptionList)
        names = [name for name, _ in self._choices]
        choices.highlighted = names.index(self._current) if self._current in names else 0
        self.ready(self.query_one(Input) if self._typed else choices)

    def on_key(self, event: events.Key) -> None:
        """Let the arrows move in the list while the input has the focus."""
        if event.key in ("up", "down") and isinstance(self.focused, Input):
            event.stop()
            self.action_move(1 if event.key == "down" else -1)

    def action_move(self, rows: int) -> None:
        """Move the cursor of the list."""
        self._narrow()
        choices = self.query_one(OptionList)
        if self._offered:
            choices.highlighted = ((choices.highlighted or 0) + rows) % len(self._offered)
            self._moved = True

    def action_leave(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._close(event.option_id)

    def _close(self, name: str | None) -> None:
        self.dismiss(name)
        self.decided(closes=True)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._narrow()

    def _narrow(self) -> None:
        """Offer what the typed text leads to. Keys overtake the message that says what was typed, so they call this first."""
        typed = self.query_one(Input).value if self._typed else ""
        if typed == self._narrowed:
            return
        self._narrowed, self._moved = typed, False
        self.query_one("#wrong", Static).update("")
        self._offered = narrowed(self._choices, typed)
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options(Option(Text(printable(label)), id=name) for name, label in self._offered)
        names = [name for name, _ in self._offered]
        if names:
            choices.highlighted = names.index(self._current) if not typed.strip() and self._current in names else 0

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        """Take what was typed where it stands for something, else the choice that it leads to."""
        event.stop()
        self._narrow()
        typed = event.value.strip()
        place = self.query_one(OptionList).highlighted or 0
        chosen = self._offered[place][0] if self._offered else None
        if chosen is not None and (not typed or self._moved):
            self._close(chosen)
            return
        try:
            if self._check is not None and typed not in (name for name, _ in self._choices):
                self._check(typed)
        except NftuiError as error:
            if chosen is not None:
                self._close(chosen)
            else:
                self.query_one("#wrong", Static).update(Text(printable(error)))
                self.decided(closes=False)
        else:
            self._close(typed)


def narrowed(choices: Sequence[tuple[str, str]], typed: str) -> list[tuple[str, str]]:
    """Return the choices that a typed text leads to: those whose name begins so first, then those that have it anywhere."""
    wanted = typed.strip().casefold()
    begin = [choice for choice in choices if choice[0].casefold().startswith(wanted)]
    return begin + [choice for choice in choices if choice not in begin and wanted in f"{choice[0]} {choice[1]}".casefold()]


class Page(Paced, ModalScreen[None]):
    """Something to read; any of the leaving keys closes it."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "leave", "Close", id="page.close", tooltip="Close this window"),
        Binding("j", "scroll(1)", "Down", show=False, id="page.down", tooltip="One line down"),
        Binding("k", "scroll(-1)", "Up", show=False, id="page.up", tooltip="One line up"),
        Binding("ctrl+d", "half(1)", "Half down", show=False, id="page.half_down", tooltip="Half a page down"),
        Binding("ctrl+u", "half(-1)", "Half up", show=False, id="page.half_up", tooltip="Half a page up"),
    ]

    def __init__(self, title: str, body: Text) -> None:
        super().__init__()
        self._title, self._body = title, body

    def compose(self) -> ComposeResult:
        """Yield the page."""
        with Vertical(id="box", classes="page"):
            yield Static(Text(printable(self._title)), id="heading", markup=False)
            with VerticalScroll(id="pages"):
                yield Static(self._body, id="page-body", markup=False)

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one("#pages").focus()

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#pages", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_half(self, way: int) -> None:
        """Scroll by half a page."""
        self.action_scroll(way * max(self.query_one("#pages").size.height // 2, 1))

    def action_leave(self) -> None:
        """Close this window."""
        self.dismiss(None)


class PressKey(Paced, ModalScreen[str | None]):
    """Takes one key; dismisses with its name, None for escape."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, title: str, refuse: Callable[[str], str]) -> None:
        """Prepare the window.

        Args:
            title: What the key is for.
            refuse: Returns why a key can't be taken, empty where it can.
        """
        super().__init__()
        self._title, self._refuse = title, refuse

    def compose(self) -> ComposeResult:
        """Yield the words."""
        with Vertical(id="box"):
            yield Static(Text(printable(self._title)), id="heading", markup=False)
            yield Static("press the new key; esc leaves it as it is", markup=False)
            yield Static("", id="wrong", markup=False)

    def on_key(self, event: events.Key) -> None:
        """Take the key."""
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self.dismiss(None)
        elif words := self._refuse(event.key):
            self.query_one("#wrong", Static).update(Text(printable(words)))
        else:
            self.dismiss(event.key)
