"""The collector's side of the keeper: starts it, starts it again when it dies, reads its account, and ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nftui.engine.child import Child
from nftui.engine.keeper import ACCOUNT, Keeper, Keeping, command

SEALING_S = 60
"""How long the child may take to seal what is left at the end."""


class KeeperProcess:
    """A keeper of one store, as a child of this process."""

    def __init__(self, root: Path, keeping: Keeping, tell: Callable[[str], None]) -> None:
        """Start nothing yet.

        Args:
            root: The data directory.
            keeping: What it is told.
            tell: Takes what is worth an event.
        """
        self._root, self._keeping = root, keeping
        self._child = Child("the keeper of the store", root / ACCOUNT, tell)

    @property
    def problem(self) -> str:
        """What it can't do at present, in its own words."""
        return str(self._child.account.get("problem", ""))

    def start(self) -> None:
        """Start it; one that runs ends as it stands, and what it was about is begun again."""
        self._child.start(command(self._root, self._keeping))

    def watch(self) -> None:
        """Start it again where it has died, and take what it tells."""
        self._child.watch()

    def follow(self, keeping: Keeping) -> None:
        """Have it keep otherwise from now on."""
        if keeping != self._keeping:
            self._keeping = keeping
            self.start()

    def account(self) -> dict[str, Any]:
        """Return what it knows of the store; nothing before it has said something."""
        return {name: value for name, value in self._child.account.items() if name not in ("events", "problem", "pid", "now")}

    def end(self) -> None:
        """Have it seal all that there is, and end."""
        if self._child.wanted and self._child.finish(SEALING_S) != 0:
            # It was killed, or had not begun to listen, or the disk was full: what it left is sealed here, or by the next one.
            keeper = Keeper(self._root, self._keeping)
            keeper.recover()
            keeper.finish()
