"""The collector's side of asking over SNMP: says why nobody is asked, or starts the child that asks, and listens to it."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from nftui.config import SnmpSettings
from nftui.engine.child import Child
from nftui.engine.files import ASKED, ASKER

NOT_INSTALLED = "snmp.community is set, but exporters can't be asked without pysnmp: pip install 'nftui[snmp]', then reload"
NOBODY = "snmp.community is set, but nobody is asked: snmp.exporters is empty"


class SnmpProcess:
    """Whoever asks the exporters of one store for their interfaces, as a child of this process; nobody unless configured."""

    def __init__(self, root: Path, settings: SnmpSettings, tell: Callable[[str], None]) -> None:
        """Start nothing yet.

        Args:
            root: The data directory.
            settings: Whom to ask, and how.
            tell: Takes what is worth an event.
        """
        self._root, self._settings, self._tell = root, settings, tell
        self._child = Child("what asks exporters over SNMP", root / ASKER, tell)

    def start(self) -> None:
        """Start it, in the place of one that runs; where nobody is to be asked, forget what was told before."""
        self._child.stop()
        if not self._settings.community or not self._settings.exporters:
            self._forget()
            if self._settings.community:
                self._tell(NOBODY)
        elif importlib.util.find_spec("pysnmp") is None:
            self._tell(NOT_INSTALLED)
        else:
            # The community stands in no command, which everybody may read.
            words = [sys.executable, "-m", "nftui.engine.snmp", str(self._root), str(os.getpid())]
            self._child.start(words, msgspec.json.encode(self._settings))

    def watch(self) -> None:
        """Start it again where it has died, and take what it tells."""
        self._child.watch()

    def follow(self, settings: SnmpSettings) -> None:
        """Have it ask otherwise from now on; where nobody asks yet, see once more whether that is possible by now."""
        if settings != self._settings or not self._child.wanted:
            self._settings = settings
            self.start()

    def account(self) -> dict[str, Any]:
        """Return what a status says of it; nothing where nobody asks, or has asked yet."""
        keys = ("listed", "answered", "failing", "interfaces")
        return {key: self._child.account[key] for key in keys if self._child.wanted and key in self._child.account}

    def end(self) -> None:
        """End it. What it was told stays, for whoever looks at the store."""
        self._child.stop()
        with suppress(OSError):
            (self._root / ASKER).unlink(missing_ok=True)

    def _forget(self) -> None:
        with suppress(OSError):
            for name in (ASKED, ASKER):
                (self._root / name).unlink(missing_ok=True)
