"""Asks a back end off the screen's thread: one question at a time, the latest waits, answers come back as messages."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from time import monotonic
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

from nftui.engine.query import BackEnd
from nftui.errors import NftuiError
from nftui.screens.questions import Question, Reply


@dataclass
class Answered(Message):
    """A question came back, with the collector's status at that time.

    Attributes:
        question: What was asked; None where only the status was asked for.
        reply: What came back; None where there was no question or it failed.
        status: As the collector wrote it: text from outside.
        problem: What went wrong in one line, or empty.
    """

    question: Question | None
    reply: Reply | None
    status: dict[str, Any] | None
    problem: str = ""


class Asker:
    """The line to a back end. Used from the screen's thread only."""

    def __init__(self, back_end: BackEnd, to: MessagePump) -> None:
        self._back_end = back_end
        self._to = to
        self._since: float | None = None
        self._waiting: list[Question | None] = []

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return self._since is not None

    @property
    def elapsed(self) -> float:
        """Seconds since the question under way was put, 0.0 without one."""
        return 0.0 if self._since is None else monotonic() - self._since

    def ask(self, question: Question | None) -> None:
        """Put a question (None: only the status); while one runs it waits, in the place of any that waited before."""
        if self._since is not None:
            self._waiting = [question]
            return
        self._since = monotonic()
        # A daemon: leaving the program doesn't wait for a long scan.
        threading.Thread(target=self._run, args=(question,), name="nftui-query", daemon=True).start()

    def done(self) -> None:
        """Take note that an answer was received, and put the question that waits."""
        self._since = None
        if self._waiting:
            self.ask(self._waiting.pop())

    def _run(self, question: Question | None) -> None:
        reply: Reply | None = None
        status: dict[str, Any] | None = None
        problem = ""
        try:
            status = self._back_end.status()
            reply = None if question is None else question.put(self._back_end)
        except NftuiError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001  the edge of a thread: whatever it was, the screen says so and asks on
            problem = f"{type(error).__name__}: {error}"
        with contextlib.suppress(RuntimeError):  # the program is being left, and with it the loop
            self._to.post_message(Answered(question, reply, status, problem))
