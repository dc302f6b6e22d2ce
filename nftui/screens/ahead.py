"""Keys that were typed ahead: right behind the one that opened a window, before the window had a place to type in."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Any

from textual import events
from textual.widget import Widget


class TypedAhead:
    """A window that loses no key: those pressed before it was ready are typed once it is.

    The application asks `took_ahead` before it looks for a binding.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._ahead: list[events.Key] = []
        self._ready = inf
        self._to: Widget | None = None

    def ready(self: Any, to: Widget) -> None:
        """Give a widget the focus, and it the keys that came before."""
        self.set_focus(to, scroll_visible=False)
        self._to, self._ready = to, monotonic()
        ahead, self._ahead = self._ahead, []
        for key in ahead:
            self._type(key)

    def took_ahead(self, event: events.Key) -> bool:
        """Take a key that was pressed before there was a place to type it in; tell whether that was so."""
        if event.time > self._ready:
            return False
        if self._to is None:
            self._ahead.append(event)
        else:
            self._type(event)
        return True

    def _type(self, key: events.Key) -> None:
        # A new event has a time of its own, so that it isn't taken for one that was ahead.
        assert self._to is not None
        self._to._forward_event(events.Key(key.key, key.character))
