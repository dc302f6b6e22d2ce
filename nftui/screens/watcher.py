"""Reads the collector's account off the screen's thread, one reading at a time; what it says comes back as a message."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message
from textual.message_pump import MessagePump

from nftui.engine.account import Account
from nftui.engine.query import BackEnd
from nftui.screens import errands
from nftui.screens.exporters import Exporters


@dataclass
class Watched(Message):
    """The account as it stands now; `problem` says in one line why there is none."""

    exporters: Exporters
    problem: str = ""


class Watcher:
    """The line to an account. Used from the screen's thread only."""

    def __init__(self, back_end: BackEnd, to: MessagePump) -> None:
        self._back_end, self._to = back_end, to
        self._busy = False
        self._last = Exporters()

    def look(self) -> None:
        """Read the account, unless that is being done."""
        if not self._busy:
            self._busy = True
            errands.send("account", self._to, self._read, lambda words: Watched(self._last, words))

    def done(self) -> None:
        """Take note that a reading was received."""
        self._busy = False

    def _read(self) -> Watched:
        account = self._back_end.account()
        if not _same(account, self._last.account):
            self._last = Exporters.of(account)
        return Watched(self._last)


def _same(one: Account, other: Account) -> bool:
    """Tell whether two accounts are one, without a look into them."""
    read = one.status is other.status and one.interfaces is other.interfaces
    return read and (one.problem, one.running) == (other.problem, other.running)
