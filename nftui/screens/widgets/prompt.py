"""The line in which a filter or the words to find are typed; screen keys rest while it has the focus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from nftui.errors import FilterError
from nftui.screens.widgets.painted import Line, Part


class PromptInput(Input):
    """An input whose arrows walk through what was entered before.

    Attributes:
        history: What was entered before.
        began: When it was opened, by the monotonic clock; keys pressed before are on their way to what had the focus then.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "older", "Older", show=False, id="prompt.older", tooltip="What was entered before"),
        Binding("down", "newer", "Newer", show=False, id="prompt.newer", tooltip="What was entered after that"),
        Binding("escape", "leave", "Cancel", show=False, id="prompt.cancel", tooltip="Leave it as it was"),
    ]

    def __init__(self) -> None:
        super().__init__(id="prompt-input", compact=True, select_on_focus=False)
        self.history: list[str] = []
        self.began = 0.0
        self._place = 0

    def begin(self, text: str, history: list[str]) -> None:
        """Start with a text, and with what was entered before."""
        self.history, self._place, self.began = history, len(history), monotonic()
        self.value = text
        self.cursor_position = len(text)

    def action_older(self) -> None:
        """Show what was entered before."""
        self._walk(-1)

    def action_newer(self) -> None:
        """Show what was entered after that."""
        self._walk(1)

    def action_leave(self) -> None:
        """Leave it as it was."""
        self.post_message(Prompt.Left())

    def _walk(self, direction: int) -> None:
        self._place = min(max(self._place + direction, 0), len(self.history))
        self.value = self.history[self._place] if self._place < len(self.history) else ""
        self.cursor_position = len(self.value)


class Prompt(Vertical):
    """An input with its purpose before it and what is wrong below it."""

    @dataclass
    class Entered(Message):
        """Enter was pressed on a text that is in order."""

        purpose: str
        text: str

    class Left(Message):
        """Escape was pressed."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self.purpose = ""
        self._check: Callable[[str], object] | None = None
        self._wrong = False
        self._good = ""

    def compose(self) -> ComposeResult:
        """Yield the label, the input and the line below."""
        with Horizontal(id="prompt-row"):
            yield Line(id="prompt-label")
            yield PromptInput()
        yield Line(id="prompt-error")

    def on_mount(self) -> None:
        """Move the caret when a long text is scrolled below it, which happens after each key."""
        entry = self.query_one(PromptInput)
        self.watch(entry, "scroll_x", lambda: self._judge(entry.value), init=False)

    def open(
        self, purpose: str, text: str, history: list[str], check: Callable[[str], object] | None = None, hint: str = ""
    ) -> None:
        """Ask for a text.

        Args:
            purpose: A word before the input.
            text: To start with.
            history: What was entered before; what is entered now is added.
            check: Called at each key; a `FilterError` it raises is shown below its column.
            hint: Stands below while nothing is wrong.
        """
        self.purpose, self._check, self._good = purpose, check, hint
        self.set_class(True, "-open")
        label = self.query_one("#prompt-label", Line)
        label.styles.width = len(purpose) + 2
        self.call_after_refresh(label.show, [Part(f"{purpose}: ", "title")])
        entry = self.query_one(PromptInput)
        entry.begin(text, history)
        self.screen.set_focus(entry, scroll_visible=False)
        self.call_after_refresh(self._judge, text)

    def close(self) -> None:
        """Hide it."""
        self.set_class(False, "-open")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._judge(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._judge(event.value)
        if self._wrong:
            return
        history = self.query_one(PromptInput).history
        if event.value and (not history or history[-1] != event.value):
            history.append(event.value)
        self.close()
        self.post_message(self.Entered(self.purpose, event.value))

    def _judge(self, text: str) -> None:
        line = self.query_one("#prompt-error", Line)
        self._wrong = False
        try:
            if self._check is not None:
                self._check(text)
        except FilterError as error:
            self._wrong = True
            start = len(self.purpose) + 2
            place = start + error.column - int(self.query_one(PromptInput).scroll_offset.x)
            words = error.problem + (f"; {error.hint}" if error.hint else "")
            line.show(_pointer(place, words, self.size.width, start))
        else:
            line.show([Part(" " * (len(self.purpose) + 2) + self._good, "dim")])


def _pointer(place: int, words: str, width: int, least: int) -> list[Part]:
    """Return a caret at a column and the words beside it, on whichever side has the room, or most of it.

    Args:
        place: The column; what was scrolled away lies before `least` or behind the width, and is pointed at as `<` or `>`.
        words: What is wrong there.
        width: Of the line.
        least: Where the text begins.
    """
    mark = "<" if place < least else ">" if place >= width else "^"
    place = max(place, least)
    place = min(max(place, 0), max(width - 1, 0))
    before, after = place - 1, width - place - 2
    if len(words) <= after or before < min(len(words), after):
        return [Part(" " * place + mark + " ", "error"), Part(words, "warn")]
    if len(words) > before:
        words = words[: max(before - 1, 0)] + "…"
    return [Part(" " * (before - len(words))), Part(words + " ", "warn"), Part(mark, "error")]
