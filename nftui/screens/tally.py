"""How much each saved filter takes of the shared range: counted one after the other, behind what the screen itself asks."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from textual import on
from textual.containers import Vertical
from textual.message import Message

from nftui.engine.filter_resolving import names_in
from nftui.engine.query import BackEnd
from nftui.engine.saved_filter import Listed
from nftui.screens.asker import Answered, Asker
from nftui.screens.hits import Counted, Hits, hits
from nftui.screens.view import View

AGAIN = 5.0
"""Seconds after which filters are counted again while the range follows the clock."""


class Tally(Vertical):
    """The panel of a list of saved filters, which counts what they take while it is told to.

    Attributes:
        counted: What each filter took when it was counted last, by name.
        problem: What went wrong last.
    """

    class Changed(Message):
        """Another filter was counted."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.counted: dict[str, Counted] = {}
        self.problem = ""
        self._asker: Asker | None = None
        self._left: list[tuple[str, Hits]] = []
        self._under_way: tuple[str, Hits] | None = None
        self._about: object = None
        self._ended = 0.0

    def count(self, back_end: BackEnd, view: View, entries: Sequence[Listed], now: int) -> None:
        """Count filters, unless that was just done.

        Args:
            back_end: Who is asked.
            view: Its range, and what it leaves out of all pictures; its own filter doesn't matter.
            entries: The filters.
            now: The moment.
        """
        # Filters whose names would have to be looked up are left out: nobody asked for that.
        ready = [one for one in entries if one.saved is not None and all(names_in(one.where).values())]
        about = view.range, view.paused_at, view.without, tuple((one.name, one.where) for one in ready)
        busy = bool(self._left) or self._under_way is not None
        if about == self._about and (busy or not view.follows or monotonic() - self._ended < AGAIN):
            return
        self._about = about
        self._left = [(one.name, hits(view, one.where, now, newest=None)) for one in ready]
        self._asker = self._asker or Asker(back_end, self)
        self._next()

    def stop(self) -> None:
        """Count no further: nobody looks any more."""
        self._left, self._about = [], None
        if self._asker is not None:
            self._asker.give_up()

    def _next(self) -> None:
        if self._under_way is None and self._left and self._asker is not None:
            self._under_way = self._left.pop(0)
            self._asker.ask(self._under_way[1])

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        message.stop()
        assert self._asker is not None
        self._asker.done()
        name, question = self._under_way or ("", None)
        self._under_way = None
        if message.question == question and message.reply is not None:
            self.counted[name] = message.reply.more["hits"]
        self.problem = message.problem
        self._ended = monotonic()
        self.post_message(self.Changed())
        self._next()
