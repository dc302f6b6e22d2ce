"""Interface names: what this machine calls its interfaces, in a file for whoever looks at the store."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from nftui.capture.probe.interfaces import interfaces
from nftui.engine.files import INTERFACES, replace_file
from nftui.engine.share import Share

EVERY_S = 60.0
"""Between two looks."""
UP, RUNNING = 1, 2
"""Bits of `status`, as sFlow's ifStatus has them."""


class InterfaceNames:
    """Writes the file, and again when something changed."""

    def __init__(self, root: Path, address: str) -> None:
        """Write nothing yet.

        Args:
            root: The data directory.
            address: Of the exporter that the interfaces are of, as text.
        """
        self._file, self._address = Share(probe=True).file(root, INTERFACES), address
        self._written: dict[str, Any] = {}
        self._due = 0.0

    def write(self) -> None:
        """Write it, where it is time to look, and something changed.

        Raises:
            OSError: It can't be written.
        """
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY_S
        found = {
            str(one.index): {"name": one.name, "speed": one.speed, "status": UP * one.up | RUNNING * one.running}
            for one in interfaces()
        }
        if found != self._written:
            replace_file(self._file, json.dumps({"version": 1, "exporters": {self._address: found}}).encode())
            self._written = found
