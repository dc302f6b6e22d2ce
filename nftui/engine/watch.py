"""Watch: a line between who asks and who answers, for one question: it can be given up, and tells how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from nftui.errors import GivenUp

if TYPE_CHECKING:
    from nftui.engine.query import Answer, Query

FIRST_WORD, EVERY = 0.6, 0.5
"""Seconds until what was read so far is worth showing, and between two such answers."""


class Watch:
    """Follows one question. `give_up` and `share` are for another thread than the one that answers.

    Attributes:
        share: How much of what has to be read was read, 0 to 1.
    """

    def __init__(self, hear: Callable[[Answer], None] | None = None) -> None:
        """Begin.

        Args:
            hear: Takes an answer that stands on what was read so far, on the answering thread; None where nobody wants it.
        """
        self.share = 0.0
        self._hear = hear
        self._asked: Query | None = None
        self._given_up = threading.Event()
        self._next = monotonic() + FIRST_WORD

    def give_up(self) -> None:
        """Have the question end at its next step."""
        self._given_up.set()

    def check(self) -> None:
        """End the answering where the question was given up.

        Raises:
            GivenUp: It was.
        """
        if self._given_up.is_set():
            raise GivenUp("given up")

    def asked_as(self, query: Query) -> None:
        """Have answers told as those to this question, whose filter had to be put in other words to be answered."""
        self._asked = query

    @property
    def due(self) -> bool:
        """Whether what was read so far should be told now."""
        return self._hear is not None and monotonic() >= self._next

    def tell(self, answer: Answer) -> None:
        """Tell what was read so far."""
        if self._hear is not None:
            self._hear(answer if self._asked is None else replace(answer, query=self._asked))
        self._next = monotonic() + EVERY
