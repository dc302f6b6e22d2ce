"""What other screens need, loaded before they are opened: the first opening of Filters or Settings takes a third less then."""

from __future__ import annotations

from textual.message import Message
from textual.message_pump import MessagePump

from nftui.screens import errands

FIRST_S = 2.0
"""After the start; by then the first screen has its answer."""


class Loaded(Message):
    """All is loaded; or it isn't, and whoever opens such a screen hears why."""


def begin(to: MessagePump) -> None:
    """Load it on a thread of its own; returns at once."""
    errands.send("loading", to, _load, lambda words: Loaded())


def _load() -> Loaded:
    from nftui.screens.field_list import fields
    from nftui.screens.keys import owners

    owners()
    fields()
    return Loaded()
