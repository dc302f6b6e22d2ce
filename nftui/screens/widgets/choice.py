"""One of a few words, changed by a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from nftui.screens.widgets.painted import Painted, piece


class Choice(Painted, can_focus=True):
    """All words in one line, with that which is chosen marked.

    Attributes:
        words: What there is to choose from.
        chosen: The place of what is chosen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space", "turn(1)", "Next", show=False, id="choice.next", tooltip="The next of the choices"),
        Binding("left,h", "turn(-1)", "Before", show=False, id="choice.before", tooltip="The choice before"),
    ]

    @dataclass
    class Turned(Message):
        """Something else was chosen."""

        choice: Choice
        value: str

    def __init__(self, words: Sequence[str], id: str) -> None:
        super().__init__(id=id)
        self.words, self.chosen = tuple(words), 0

    @property
    def value(self) -> str:
        """What is chosen."""
        return self.words[self.chosen]

    def choose(self, value: str) -> None:
        """Choose a word; one that is not there leaves it as it is."""
        if value in self.words:
            self.chosen = self.words.index(value)
            self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the line; what is chosen stands in brackets, so that it needs no colour."""
        styles = self.ink
        parts = []
        for place, word in enumerate(self.words):
            here = place == self.chosen
            style = (styles.cursor if self.has_focus else styles.strong) if here else styles.dim
            parts.append(piece(f"[{word}]" if here else f" {word} ", style))
        return [Strip(parts)]

    def action_turn(self, steps: int) -> None:
        """Choose the next word, or the one before."""
        self.chosen = (self.chosen + steps) % len(self.words)
        self.repaint()
        self.post_message(self.Turned(self, self.value))
