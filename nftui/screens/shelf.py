"""The saved filters as the screens know them: read and changed on a thread, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from textual.message import Message
from textual.message_pump import MessagePump

from nftui.engine.filter_completion import complete
from nftui.engine.saved_filter import Listed, SavedFilters
from nftui.errors import NftuiError
from nftui.screens import errands

Change = Callable[[SavedFilters], str]
"""Something to do with the files; returns a few words about what was done, empty for none."""


@dataclass
class Shelved(Message):
    """The saved filters were read again, perhaps after a change.

    Attributes:
        words: What was done.
        problem: Why it wasn't.
    """

    words: str = ""
    problem: str = ""


class Shelf:
    """What is saved, as read last.

    Attributes:
        saved: The files.
        entries: What they hold, by name; those that can't be used, too.
        files: Names that `@include` takes.
        revision: Grows when something else was read than before.
    """

    def __init__(self, saved: SavedFilters) -> None:
        self.saved = saved
        self.entries: tuple[Listed, ...] = ()
        self.files: tuple[str, ...] = ()
        self.revision = 0
        self._turn = threading.Lock()

    @property
    def usable(self) -> list[Listed]:
        """The filters that can be used: first those with a key, then by name."""
        return sorted((one for one in self.entries if one.saved is not None), key=lambda one: (quick_of(one) or 99, one.name))

    def entry(self, name: str) -> Listed | None:
        """Return a filter, whether it can be used or not."""
        return next((one for one in self.entries if one.name == name), None)

    def quick(self, key: int) -> Listed | None:
        """Return the filter of a key, the first by name where a hand gave it to several."""
        return next((one for one in self.entries if quick_of(one) == key), None)

    def read(self, to: MessagePump, change: Change | None = None) -> None:
        """Read all again, after a change where one is given, and tell a screen by `Shelved`; returns at once."""
        errands.send("saved", to, lambda: self._read(change), lambda words: Shelved(problem=words))

    def _read(self, change: Change | None) -> Shelved:
        told = Shelved()
        with self._turn:
            try:
                told.words = change(self.saved) if change is not None else ""
            except NftuiError as error:
                told.problem = str(error)
            try:
                entries, files = tuple(self.saved.listed()), tuple(self.saved.includable())
            except NftuiError as error:
                entries, files = (), ()
                told.problem = told.problem or str(error)
            if (entries, files) != (self.entries, self.files):
                self.entries, self.files = entries, files
                self.revision += 1
            if not self.revision:
                complete("", 0)  # what it remembers of the language takes a moment the first time
                self.revision = 1
        return told


def text_of(entry: Listed) -> str:
    """Return what a filter takes as one line of text; empty for one that can't be used."""
    return "" if entry.saved is None else entry.saved.line


def quick_of(entry: Listed) -> int:
    """Return the number of a filter's key, 0 without one."""
    return 0 if entry.saved is None else entry.saved.quick
