"""Names that the user gives exporters: written to the configuration on a thread."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.message import Message
from textual.screen import Screen

from nftui.config import default_path
from nftui.errors import NftuiError


@dataclass
class Named(Message):
    """A name was written, or (`problem`) could not be."""

    address: str
    name: str
    problem: str = ""


def give(screen: Screen[Any], path: Path | None, address: str, name: str) -> None:
    """Have a name written to the configuration; the screen is told by a message."""

    def run() -> None:
        from nftui.engine import settings

        problem = ""
        try:
            settings.change(path or default_path(), f'exporters."{address}".name', name)
        except NftuiError as error:
            problem = str(error)
        with contextlib.suppress(RuntimeError):  # the program is being left, and with it the loop
            screen.post_message(Named(address, name, problem))

    threading.Thread(target=run, name="nftui-name", daemon=True).start()
