"""What a screen asks: one query or several that belong together, as one frozen value by which a late answer is recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from nftui.engine.filters import all_of
from nftui.engine.matrix import Matrix, matrix
from nftui.engine.perspective import crossing
from nftui.engine.query import Answer, BackEnd, Folding, Interval, Query, Totals
from nftui.engine.resolutions import folded


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a question.

    Attributes:
        main: The answer that the screen stands on: it has the coverage.
        more: Further answers by name, as the question says.
    """

    main: Answer
    more: Mapping[str, Any] = field(default_factory=dict)


class Question(Protocol):
    """Something to ask: frozen, hashable, comparable."""

    @property
    def main(self) -> Query:
        """The query that the screen stands on."""
        ...

    def put(self, back_end: BackEnd) -> Reply:
        """Ask it; may take long, runs off the screen's thread.

        Raises:
            NftuiError: As the back end does.
        """
        ...


@dataclass(frozen=True, slots=True)
class Single:
    """One query."""

    main: Query

    def put(self, back_end: BackEnd) -> Reply:
        """Ask it."""
        return Reply(back_end.answer(self.main))


@dataclass(frozen=True, slots=True)
class Compared:
    """A query, and the same groups in the period before: an `Answer` under `before`; and one under the name of each of others."""

    main: Query
    before: Interval
    others: tuple[tuple[str, Query], ...] = ()

    def put(self, back_end: BackEnd) -> Reply:
        """Ask for the one, then for its groups in the other."""
        answer = back_end.answer(self.main)
        keys = self.main.keys
        only = tuple(answer.groups.select(keys).rows()) if keys else None
        earlier = back_end.answer(replace(self.main, interval=self.before, only=only))
        return Reply(answer, {"before": earlier, **{name: back_end.answer(query) for name, query in self.others}})


@dataclass(frozen=True, slots=True)
class Paired:
    """A query, and the sums between the top values of an either-side key: a `Matrix` under `matrix`."""

    main: Query
    key: str
    count: int

    def put(self, back_end: BackEnd) -> Reply:
        """Ask for both."""
        pairs: Matrix = matrix(back_end, self.main, self.key, self.count)
        return Reply(back_end.answer(self.main), {"matrix": pairs})


@dataclass(frozen=True, slots=True)
class Several:
    """A query, and others: an `Answer` under the name of each."""

    main: Query
    others: tuple[tuple[str, Query], ...]

    def put(self, back_end: BackEnd) -> Reply:
        """Ask them one after the other."""
        main = back_end.answer(self.main)
        return Reply(main, {name: back_end.answer(query) for name, query in self.others})


@dataclass(frozen=True, slots=True)
class WithHeld:
    """A question, and all that is held: an `Interval` or None under `held`; and the `Totals` that come `in` and go `out`.

    Attributes:
        question: What is asked.
        edges: Between which bins of its series are added up, where these are hours or days of unequal length.
        home: The networks into and out of which; none where that isn't asked.
    """

    question: Question
    edges: tuple[int, ...] | None = None
    home: tuple[str, ...] = ()

    @property
    def main(self) -> Query:
        """The query that the screen stands on."""
        return self.question.main

    def put(self, back_end: BackEnd) -> Reply:
        """Ask both."""
        reply = self.added_up(self.question.put(back_end))
        return replace(reply, more={**reply.more, "held": back_end.held(), **self._crossing(back_end)})

    def _crossing(self, back_end: BackEnd) -> dict[str, Totals]:
        if not self.home:
            return {}
        plain = replace(self.main, keys=(), bins=None, limit=1, times=False, folding=Folding.NONE, ascending=False, order="octets")
        ways = zip(("in", "out"), crossing(self.home), strict=True)
        return {name: back_end.answer(replace(plain, where=all_of(plain.where, way))).total for name, way in ways}

    def added_up(self, reply: Reply) -> Reply:
        """Return a reply with the bins that were asked for."""
        main = reply.main
        return reply if self.edges is None else replace(reply, main=replace(folded(main, self.edges), query=main.query))


def partly(question: Question, answer: Answer) -> Reply | None:
    """Return what can be shown of an answer that stands on what was read so far; None where the question has more to it."""
    if isinstance(question, WithHeld):
        reply = partly(question.question, answer)
        return None if reply is None else question.added_up(reply)
    return Reply(answer) if isinstance(question, Single) and answer.query == question.main else None
