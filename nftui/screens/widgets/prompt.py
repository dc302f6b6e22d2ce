"""The line in which a filter or the words to find are typed; screen keys rest while it has the focus.

It lies over the lines below the tabs, so that nothing moves when it opens and closes: on a slow line that matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from nftui.errors import FilterError
from nftui.screens.asker import Answered
from nftui.screens.widgets.painted import Line, Part
from nftui.screens.widgets.suggestions import Offer, Suggestions
from nftui.screens.widgets.typed_line import TypedLine

SETTLED = 0.08
"""Seconds without a key after which what is typed is asked about."""
GOES_ON = ", found the end of the filter"
PENDING = object()
"""What a check returns where it has to read files first: `Prompt.Read` tells that it is done."""


class Assistant(Protocol):
    """Who knows about what is typed. Its methods are called on the screen's thread, and must not wait."""

    def check(self, text: str) -> object:
        """Return what a text means, or `PENDING`.

        Raises:
            FilterError: What is wrong with it.
        """
        ...

    def offers(self, text: str, cursor: int) -> Sequence[Offer]:
        """Return what may be typed at a column."""
        ...

    def recent(self) -> Sequence[Offer]:
        """Return whole texts that may take the place of what is typed."""
        ...

    def settled(self, text: str, cursor: int) -> None:
        """Take note that nothing was typed for a moment: the time to ask."""
        ...

    def answered(self, message: Answered) -> None:
        """Take what came back."""
        ...

    def leave(self) -> None:
        """Ask no more: the prompt was closed."""
        ...

    def told(self, text: str) -> Sequence[Part]:
        """Return what there is to say of a text that is in order."""
        ...

    def note(self, text: str) -> str:
        """Return a warning about a text, empty for none."""
        ...


class Prompt(Vertical):
    """An input with its purpose before it, what is wrong below it, and below that what may be typed.

    Attributes:
        purpose: A word before the input.
        meaning: What the check made of the text.
    """

    @dataclass
    class Entered(Message):
        """Enter was pressed on a text that is in order.

        Attributes:
            purpose: As it was opened for.
            text: What was typed.
        """

        purpose: str
        text: str

    class Left(Message):
        """Escape was pressed."""

    class Read(Message):
        """What a check waited for is there."""

    @dataclass
    class Keep(Message):
        """What is typed is to be saved."""

        text: str

    def __init__(self, id: str = "prompt") -> None:
        super().__init__(id=id)
        self.purpose = ""
        self._assistant: Assistant | None = None
        self._wrong = False
        # Texts: what is to be applied once it is read, and what other texts are listed for. Messages of changes come late.
        self._late: str | None = None
        self._recent_for: str | None = None
        self._offered_for: tuple[str, int] | None = None
        self.meaning: Any = None
        self._before: Widget | None = None
        self._hint = self._more = ""
        self._typed = 0

    def compose(self) -> ComposeResult:
        """Yield the label, the input, the line below, and the list."""
        with Horizontal(id="prompt-row"):
            yield Line(id="prompt-label")
            yield TypedLine()
        yield Line(id="prompt-error")
        yield Suggestions(id="prompt-list")

    def on_mount(self) -> None:
        """Move the caret when a long text is scrolled below it, which happens after each key."""
        self.watch(self.entry, "scroll_x", lambda: self._judge(self.text), init=False)

    @property
    def entry(self) -> TypedLine:
        """The input."""
        return self.query_one(TypedLine)

    @property
    def listed(self) -> Suggestions:
        """What may be typed."""
        return self.query_one(Suggestions)

    @property
    def text(self) -> str:
        """What is typed now."""
        return self.entry.value

    @property
    def is_open(self) -> bool:
        """Whether it takes keys."""
        return self.has_class("-open")

    def open(self, purpose: str, text: str, history: list[str], hint: str = "", assistant: Assistant | None = None) -> None:
        """Ask for a text.

        Args:
            purpose: A word before the input.
            text: To start with.
            history: What was entered before; what is entered now is added.
            hint: Stands below while there is nothing else to say.
            assistant: Judges what is typed, and offers more.
        """
        self.purpose, self._assistant, self._hint = purpose, assistant, hint
        self._late = self._recent_for = self._offered_for = None
        self.set_class(True, "-open")
        self.set_class(assistant is not None, "-list")
        label = self.query_one("#prompt-label", Line)
        label.styles.width = len(purpose) + 2
        self.call_after_refresh(label.show, [Part(f"{purpose}: ", "title")])
        if self.screen.focused is not self.entry:
            self._before = self.screen.focused
        self.entry.begin(text, history)
        self.screen.set_focus(self.entry, scroll_visible=False)
        self.call_after_refresh(self._changed_to, text)

    def close(self) -> None:
        """Hide it, and give the keys back at once to what had them; those that are on their way to it go on to the screen."""
        self.set_class(False, "-open", "-list")
        self.entry.end()
        if self._assistant is not None:
            self._assistant.leave()
        self.screen.set_focus(self._before, scroll_visible=False)

    def put(self, text: str) -> None:
        """Put another text in the place of what is typed, which undo brings back."""
        self.entry.put(text)

    def refresh_told(self) -> None:
        """Show what is known now."""
        if self.is_open:
            self._judge(self.text)
            self._offer()

    # What is typed

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._changed_to(event.value)

    def _changed_to(self, text: str) -> None:
        self._judge(text)
        self._typed += 1
        if self._assistant is not None:
            self._offer()
            self.set_timer(SETTLED, lambda typed=self._typed: self._settled(typed))

    def _settled(self, typed: int) -> None:
        if typed == self._typed and self.is_open and self._assistant is not None:
            self._assistant.settled(self.text, self.entry.cursor_position)

    @on(TypedLine.Went)
    def _went(self, message: TypedLine.Went) -> None:
        """The cursor was moved: something else may stand here."""
        message.stop()
        self._offer()

    @on(Read)
    def _read(self, message: Read) -> None:
        message.stop()
        self._judge(self.text)
        if self._late == self.text:
            self.submit()
        elif self._assistant is not None and self.is_open:
            self._assistant.settled(self.text, self.entry.cursor_position)

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        message.stop()
        if self._assistant is not None:
            self._assistant.answered(message)
            self.refresh_told()

    def _judge(self, text: str) -> None:
        line = self.query_one("#prompt-error", Line)
        self._wrong, self.meaning, self._more = False, None, ""
        indent = len(self.purpose) + 2
        try:
            if self._assistant is not None:
                self.meaning = self._assistant.check(text)
        except FilterError as error:
            self._wrong = True
            if self._assistant is not None and error.column >= len(text.rstrip()):
                # It isn't wrong yet, it goes on: no alarm at each key.
                line.show([Part(" " * indent), Part(error.problem.removesuffix(GOES_ON), "dim")])
                return
            place = indent + error.column - int(self.entry.scroll_offset.x)
            words = error.problem + (f"; {error.hint}" if error.hint else "")
            if self._assistant is not None and error.hint and place + len(words) > self.size.width:
                words, self._more = error.problem, error.hint  # there is room below
            line.show(_pointer(place, words, self.size.width, indent))
            return
        told = () if self._assistant is None or self.meaning is PENDING else self._assistant.told(text)
        line.show([Part(" " * indent), *(told or [Part(self._hint, "dim")])])

    # The list

    def _offer(self) -> None:
        if self._assistant is None or not self.is_open:
            return
        cursor, recent = self.entry.cursor_position, self._recent_for == self.text
        offers = self._assistant.recent() if recent else self._assistant.offers(self.text, cursor)
        start = offers[0].start if offers and not recent else 0
        self._offered_for = self.text, cursor
        note = self._more or self._assistant.note(self.text)
        self.listed.show(offers, len(self.purpose) + 1 + start - int(self.entry.scroll_offset.x), note)

    def _keep_up(self) -> None:
        """List what belongs to the text as it is, where keys came faster than the messages of its changes."""
        if self._offered_for != (self.text, self.entry.cursor_position):
            self._offer()

    def choose(self, steps: int) -> bool:
        """Walk in the list; tell whether there was something to walk to."""
        self._keep_up()
        if not self.listed.offers or (steps < 0 and self.listed.chosen is None):
            return False
        self.listed.choose(steps)
        return True

    def take(self) -> bool:
        """Put what is chosen in, or the first; tell whether there was something."""
        self._keep_up()
        offer = self.listed.offer
        if offer is None:
            return False
        self._insert(offer)
        return True

    @on(Suggestions.Picked)
    def _picked(self, message: Suggestions.Picked) -> None:
        message.stop()
        self._insert(message.offer)

    def _insert(self, offer: Offer) -> None:
        text, self._recent_for = self.text, None
        behind = text[offer.end :]
        gap = "" if offer.joins or behind.startswith(" ") else " "
        self.entry.put(text[: offer.start] + offer.insert + gap + behind, offer.start + len(offer.insert) + 1 - offer.joins)

    def show_recent(self) -> None:
        """List what was entered before, and what is saved; or no longer."""
        if self._assistant is not None:
            self._recent_for = None if self._recent_for == self.text else self.text
            self._offer()
            if self._recent_for is not None:
                self.listed.choose(1)

    # The way out

    def submit(self) -> None:
        """Take what is typed, once it is in order."""
        if self.listed.chosen is not None and self._offered_for == (self.text, self.entry.cursor_position):
            self.take()
            return
        self._judge(self.text)
        self._late = self.text if self.meaning is PENDING else None
        if self._wrong or self._late is not None:
            return
        text, history = self.text, self.entry.history
        if text and (not history or history[-1] != text):
            history.append(text)
        self.close()
        self.post_message(self.Entered(self.purpose, text))

    def leave(self) -> None:
        """Leave it as it was; where something is chosen, or other texts are listed, only that."""
        if self._recent_for == self.text or self.listed.chosen is not None:
            self._recent_for = None
            self.listed.chosen = None
            self.listed.show(())
            self._offer()
        else:
            self.close()
            self.post_message(self.Left())


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
