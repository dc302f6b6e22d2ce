"""The collector's side of the keeper: starts it, starts it again when it dies, reads its account, and ends it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nftui.engine.keeper import ACCOUNT, Keeper, Keeping, command

SEALING_S = 60
"""How long the child may take to seal what is left at the end."""
ACCOUNT_LIMIT = 1 << 20


class KeeperProcess:
    """A keeper of one store, as a child of this process.

    Attributes:
        problem: What it can't do at present, in its own words.
    """

    def __init__(self, root: Path, keeping: Keeping, tell: Callable[[str], None]) -> None:
        """Start nothing yet.

        Args:
            root: The data directory.
            keeping: What it is told.
            tell: Takes what is worth an event.
        """
        self.problem = ""
        self._root, self._keeping, self._tell = root, keeping, tell
        self._process: subprocess.Popen[bytes] | None = None
        self._account: dict[str, Any] = {}
        self._read: tuple[int, int] | None = None
        self._number = 0

    def start(self) -> None:
        """Start it."""
        # Its account is of this run: an earlier one's events were told by an earlier collector.
        (self._root / ACCOUNT).unlink(missing_ok=True)
        self._account, self._read, self._number = {}, None, 0
        self._process = subprocess.Popen(
            command(self._root, self._keeping), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def watch(self) -> None:
        """Start it again where it has died, and take what it tells."""
        if self._process is not None and self._process.poll() is not None:
            self._tell(f"the keeper of the store ended with status {self._process.returncode} and was started again")
            self.start()
        self._look()

    def restart(self) -> None:
        """End it as it stands, and start it anew: what it was about is begun again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.start()

    def follow(self, keeping: Keeping) -> None:
        """Have it keep otherwise from now on."""
        if keeping != self._keeping:
            self._keeping = keeping
            self.restart()

    def account(self) -> dict[str, Any]:
        """Return what it knows of the store; nothing before it has said something."""
        return {name: value for name, value in self._account.items() if name not in ("events", "problem", "pid", "now")}

    def end(self) -> None:
        """Have it seal all that there is, and end."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(SEALING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            # It was killed, or had not begun to listen, or the disk was full: what it left is sealed here, or by the next one.
            keeper = Keeper(self._root, self._keeping)
            keeper.recover()
            keeper.finish()

    def _look(self) -> None:
        path = self._root / ACCOUNT
        try:
            stat = path.stat()
            if (stat.st_mtime_ns, stat.st_ino) == self._read:
                return
            with path.open("rb") as file:
                account = json.loads(file.read(ACCOUNT_LIMIT))
        except (OSError, ValueError, RecursionError):
            return
        self._read = stat.st_mtime_ns, stat.st_ino
        self._account, self.problem = account, str(account["problem"])
        for event in account["events"]:
            if event["number"] > self._number:
                self._number = event["number"]
                self._tell(event["text"])
