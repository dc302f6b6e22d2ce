"""Keys that were typed ahead: right behind the one that opened a window, or behind the Enter that closes it."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Any, ClassVar

from textual import events
from textual.widget import Widget
from textual.widgets import Input, OptionList


class TypedAhead:
    """A window that loses no key: those pressed before it was ready are typed once it is.

    Where `HOLDS`, those that come behind Enter wait until the window says (`decided`) whether it closes: the screen below gets them
    then. They would overtake the message that tells of Enter, and be typed into what it is about.

    The application asks `holds` before a key goes anywhere, and `took_ahead` before it looks for a binding.
    """

    HOLDS: ClassVar[bool] = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._ahead: list[events.Key] = []
        self._ready = inf
        self._to: Widget | None = None
        self._enter: events.Key | None = None
        self._behind: list[events.Key] | None = None

    def ready(self: Any, to: Widget) -> None:
        """Give a widget the focus, and it the keys that came before."""
        self.set_focus(to, scroll_visible=False)
        self._to, self._ready = to, monotonic()
        ahead, self._ahead = self._ahead, []
        self._type_all(ahead)

    def took_ahead(self, event: events.Key) -> bool:
        """Take a key that was pressed before there was a place to type it in; tell whether that was so."""
        if event.time > self._ready:
            return False
        if self._to is None:
            self._ahead.append(event)
        elif event is self._enter:
            self._type(event)
        else:
            self._type_all([event])
        return True

    def holds(self: Any, event: events.Key) -> bool:
        """Keep a key that comes behind Enter until `decided`; tell whether it was kept. Asked before a key goes anywhere."""
        if self._behind is not None:
            self._behind.append(event)
            return True
        to = self.focused if self.HOLDS else None
        # Of these two the window hears, whatever they hold.
        if event.key == "enter" and (isinstance(to, Input) or (isinstance(to, OptionList) and to.highlighted is not None)):
            self._behind, self._enter = [], event
        return False

    def decided(self: Any, closes: bool) -> None:
        """Let the keys go on that came behind Enter: to the screen below where the window closes."""
        behind, self._behind = self._behind or [], None
        if not closes:
            self._type_all(behind)
            return
        for key in behind:
            self.app.post_message(events.Key(key.key, key.character))

    def _type_all(self, keys: list[events.Key]) -> None:
        for key in keys:
            if not self.holds(key):
                self._type(key)

    def _type(self, key: events.Key) -> None:
        # A new event has a time of its own, so that it isn't taken for one that was ahead.
        assert self._to is not None
        self._to._forward_event(events.Key(key.key, key.character))
