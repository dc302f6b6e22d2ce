"""Who an address is registered to: asked on a thread, told on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.message import Message
from textual.screen import Screen

from nftui.printable import printable
from nftui.screens import errands

if TYPE_CHECKING:
    from nftui.screens.dialogs import Page


@dataclass
class Registered(Message):
    """What a registry told of an address, as printable lines."""

    address: str
    lines: tuple[str, ...]


def ask(screen: Screen[Any], address: str) -> None:
    """Have the system's whois asked about an address; the screen gets what it tells as a message."""

    def told() -> Registered:
        from nftui.engine import whois

        return Registered(address, whois.told(address))

    errands.send("whois", screen, told, lambda words: Registered(address, (words,)))


def page(told: Registered) -> Page:
    """Return the page that shows what was told."""
    from nftui.screens.dialogs import Page

    return Page(f"whois {told.address}", Text("\n".join(printable(line) for line in told.lines)))
