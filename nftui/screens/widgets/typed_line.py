"""An input that takes each key in the order in which it was typed, with undo, and with what was entered before."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

if TYPE_CHECKING:
    from nftui.screens.widgets.prompt import Prompt

MOST_STATES = 200
"""That undo goes back."""
State = tuple[str, int]
"""A text, and the column of the cursor."""


class OrderedInput(Input):
    """An input that does at once what a key is bound to, and hands on what came for it when it has the focus no more.

    Left to bubble, a bound key would be done behind the characters that came right after it: Ctrl-U would take them, too, and what
    is typed behind Enter or Tab would be lost.
    """

    async def _on_key(self, event: events.Key) -> None:
        focused = self.app.focused
        if focused is not self:
            event.stop()
            event.prevent_default()
            (focused or self.app.screen)._forward_event(events.Key(event.key, event.character))
        elif not event.is_printable and await self.app._check_bindings(event.key):
            event.stop()
            event.prevent_default()


class TypedLine(OrderedInput):
    """The input of a `Prompt`.

    Attributes:
        history: What was entered before.
        began: When it was opened, by the monotonic clock; keys pressed before are on their way to what had the focus then.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Apply", show=False, id="prompt.apply", tooltip="Take what is chosen, else what is typed"),
        Binding("escape", "leave", "Cancel", show=False, id="prompt.cancel", tooltip="Leave it as it was"),
        Binding("tab", "complete", "Complete", show=False, id="prompt.complete", tooltip="Take what the list has first, or chosen"),
        Binding("up", "older", "Older", show=False, id="prompt.older", tooltip="Up in the list, or what was entered before"),
        Binding("down", "newer", "Newer", show=False, id="prompt.newer", tooltip="Down in the list, or what came after that"),
        Binding(
            "pageup,ctrl+r", "recent", "Recent", show=False, id="prompt.recent", tooltip="List filters used before, and saved ones"
        ),
        Binding("f10,ctrl+underscore,ctrl+z", "undo", "Undo", show=False, id="prompt.undo", tooltip="Undo the last change"),
        Binding("f12,ctrl+y", "redo", "Redo", show=False, id="prompt.redo", tooltip="Do it again"),
        Binding("pagedown,ctrl+o", "keep", "Save", show=False, id="prompt.save", tooltip="Apply it, and save it under a name"),
    ]

    class Went(Message):
        """The cursor was moved within the text."""

    def __init__(self) -> None:
        super().__init__(id="prompt-input", compact=True, select_on_focus=False)
        self.history: list[str] = []
        self.began = 0.0
        self._place = 0
        self._open = False
        self._draft = ""
        self._states: list[State] = [("", 0)]
        self._now = 0
        self._typing = False

    @property
    def prompt(self) -> Prompt:
        """The prompt around it."""
        from nftui.screens.widgets.prompt import Prompt

        return next(node for node in self.ancestors if isinstance(node, Prompt))

    def begin(self, text: str, history: list[str]) -> None:
        """Start with a text, and with what was entered before."""
        self.history, self._place, self.began = history, len(history), monotonic()
        self._open = True
        self._states, self._now, self._typing = [(text, len(text))], 0, False
        self.value = text
        self.cursor_position = len(text)

    def end(self) -> None:
        """Take no more keys."""
        self._open = False

    def put(self, text: str, cursor: int | None = None) -> None:
        """Put another text in, which undo takes away again as a whole."""
        self._record(text, len(text) if cursor is None else min(cursor, len(text)), whole=True)
        self._restore()

    def _on_paste(self, event: events.Paste) -> None:
        """Take all lines as one, without comments, which would reach to the end of it."""
        event.stop()
        event.prevent_default()
        lines = (line.partition("#")[0] if "'" not in line and '"' not in line else line for line in event.text.splitlines())
        pasted = " ".join(" ".join(lines).split())
        self.insert_text_at_cursor("".join(character for character in pasted if character.isprintable()))

    def watch_value(self, value: str) -> None:
        """Remember each state of the text."""
        if value != self._states[self._now][0]:
            self._record(value, self.cursor_position)

    def watch_cursor_position(self) -> None:
        """Tell that something else may stand where the cursor is."""
        if self._open and self.value == self._states[self._now][0]:
            self._states[self._now] = (self.value, self.cursor_position)
            self.post_message(self.Went())

    def _record(self, text: str, cursor: int, whole: bool = False) -> None:
        """Remember a text; the letters of a word, typed one after the other, and the space behind it are one state."""
        grows = not whole and len(text) == len(self._states[self._now][0]) + 1
        space = grows and text[cursor : cursor + 1].isspace()
        del self._states[self._now + 1 :]
        if grows and self._typing:
            self._states.pop()
        self._states.append((text, cursor + grows))
        del self._states[:-MOST_STATES]
        self._now = len(self._states) - 1
        self._typing = grows and not space

    def _restore(self) -> None:
        text, cursor = self._states[self._now]
        self._typing = False
        self.value = text
        self.cursor_position = cursor

    # Keys

    async def action_submit(self) -> None:
        """Take what is chosen, else what is typed."""
        self.prompt.submit()

    def action_leave(self) -> None:
        """Leave it as it was."""
        self.prompt.leave()

    def action_complete(self) -> None:
        """Take what the list has first, or what is chosen."""
        self.prompt.take()

    def action_older(self) -> None:
        """Go up in the list, else show what was entered before."""
        if not self.prompt.choose(-1):
            self._walk(-1)

    def action_newer(self) -> None:
        """Show what was entered after that, else go down in the list."""
        if self._place < len(self.history):
            self._walk(1)
        else:
            self.prompt.choose(1)

    def action_recent(self) -> None:
        """List what was entered before, and what is saved."""
        self.prompt.show_recent()

    def action_undo(self) -> None:
        """Undo the last change."""
        self._now = max(self._now - 1, 0)
        self._restore()

    def action_redo(self) -> None:
        """Do again what was undone."""
        self._now = min(self._now + 1, len(self._states) - 1)
        self._restore()

    def action_keep(self) -> None:
        """Apply it, and save it under a name."""
        self.prompt.post_message(self.prompt.Keep(self.value))

    def _walk(self, direction: int) -> None:
        place = min(max(self._place + direction, 0), len(self.history))
        if place == self._place:
            return
        if self._place == len(self.history):
            self._draft = self.value
        self._place = place
        self.put(self.history[place] if place < len(self.history) else self._draft)
