"""Names that the user gives exporters: written to the configuration on a thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.message import Message
from textual.screen import Screen

from nftui.config import default_path
from nftui.screens import errands


@dataclass
class Named(Message):
    """A name was written, or (`problem`) could not be."""

    address: str
    name: str
    problem: str = ""


def give(screen: Screen[Any], path: Path | None, address: str, name: str) -> None:
    """Have a name written to the configuration; the screen is told by a message."""

    def write() -> Named:
        from nftui.engine import settings

        settings.change(path or default_path(), f'exporters."{address}".name', name)
        return Named(address, name)

    errands.send("name", screen, write, lambda words: Named(address, name, words))
