"""Asks a back end off the screen's thread: one question at a time, the latest waits, answers come back as messages.

A question that another takes the place of is given up, and ends at its next step. One that takes long tells what it knows so far.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

from nftui.engine.account import Account
from nftui.engine.ordered import Records
from nftui.engine.query import Answer, BackEnd, Interval, Query
from nftui.engine.watch import Watch
from nftui.errors import GivenUp
from nftui.screens import errands
from nftui.screens.questions import Question, Reply, partly


class Followed:
    """A back end whose answers are followed by one watch, so that questions need not know of it."""

    def __init__(self, behind: BackEnd, watch: Watch) -> None:
        """Follow what is asked from here on.

        Args:
            behind: Who answers.
            watch: Gives up, and hears.
        """
        self._behind, self._watch = behind, watch

    def answer(self, query: Query, watch: Watch | None = None) -> Answer:
        """Answer a question."""
        return self._behind.answer(query, watch or self._watch)

    def records(self, query: Query) -> Records:
        """Return flow records to be read in order."""
        return self._behind.records(query)

    def held(self) -> Interval | None:
        """Return the range of flow times that there are flows of."""
        return self._behind.held()

    def status(self) -> dict[str, Any] | None:
        """Return the collector's last status."""
        return self._behind.status()

    def account(self) -> Account:
        """Return all that the collector says of itself."""
        return self._behind.account()


@dataclass
class Growing(Message):
    """A question is under way, and this is what is known so far: its coverage says how much was read.

    Attributes:
        question: What was asked.
        reply: What came back until now.
    """

    question: Question
    reply: Reply


@dataclass
class Answered(Message):
    """A question came back, with the collector's status at that time.

    Attributes:
        question: What was asked; None where only the status was asked for.
        reply: What came back; None where there was no question or it failed.
        status: As the collector wrote it: text from outside.
        problem: What went wrong in one line, or empty.
        given_up: Whether nobody waited for it any more, so that nothing came back.
    """

    question: Question | None
    reply: Reply | None
    status: dict[str, Any] | None
    problem: str = ""
    given_up: bool = False


class Asker:
    """The line to a back end. Used from the screen's thread only."""

    def __init__(self, back_end: BackEnd, to: MessagePump) -> None:
        self._back_end = back_end
        self._to = to
        self._since: float | None = None
        self._waiting: list[Question | None] = []
        self._asked: Question | None = None
        self._watch = Watch()

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return self._since is not None

    @property
    def elapsed(self) -> float:
        """Seconds since the question under way was put, 0.0 without one."""
        return 0.0 if self._since is None else monotonic() - self._since

    @property
    def share(self) -> float:
        """How much of what the question under way has to read was read, 0 to 1."""
        return self._watch.share

    def ask(self, question: Question | None) -> None:
        """Put a question (None: only the status); while one runs it waits, in the place of any that waited before.

        Another question than the one that runs has that given up.
        """
        if self._since is not None:
            self._waiting = [question]
            if question is not None and question != self._asked:
                self._watch.give_up()
            return
        self._since, self._asked = monotonic(), question
        self._watch = watch = Watch(None if question is None else lambda answer: self._tell(question, answer))
        # A daemon: leaving the program doesn't wait for a long scan.
        threading.Thread(target=self._run, args=(question, watch), name="nftui-query", daemon=True).start()

    def give_up(self) -> None:
        """Give up the question that runs, and the one that waits: nobody looks at their answers."""
        self._waiting = []
        if self._asked is not None:
            self._watch.give_up()

    def done(self) -> None:
        """Take note that an answer was received, and put the question that waits."""
        self._since = self._asked = None
        if self._waiting:
            self.ask(self._waiting.pop())

    def _tell(self, question: Question, answer: Answer) -> None:
        reply = partly(question, answer)
        if reply is not None:
            errands.post(self._to, Growing(question, reply))

    def _run(self, question: Question | None, watch: Watch) -> None:
        reply: Reply | None = None
        status: dict[str, Any] | None = None
        problem, given_up = "", False
        try:
            status = self._back_end.status()
            reply = None if question is None else question.put(Followed(self._back_end, watch))
        except GivenUp:
            given_up = True
        except Exception as error:  # noqa: BLE001  the edge of a thread: whatever it was, the screen says so and asks on
            problem = errands.words_of(error)
        errands.post(self._to, Answered(question, reply, status, problem, given_up))
