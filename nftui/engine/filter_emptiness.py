"""Why a filter matches nothing: which clause of it empties the answer. Asks a back end, a bounded number of times."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from nftui.engine.filter_tree import ANY, And, Filter, Or, all_of, text
from nftui.engine.query import BackEnd, Folding, Kind, Query

MOST_QUESTIONS = 24
MOST_SECONDS = 5.0
ONE_BY_ONE = 8
"""Of no more terms each is asked for alone first: one that matches nothing says more than two that don't meet."""


@dataclass(frozen=True, slots=True)
class Emptying:
    """What empties an answer.

    Attributes:
        terms: The smallest part of the filter that was found to match nothing: one clause, or several that match something each
            but nothing together; () where the range holds no flows at all.
        least: Whether none of several can be left out; where not, the questions or the time did not suffice to tell.
        questions: How many were asked.
    """

    terms: tuple[Filter, ...]
    least: bool = True
    questions: int = 0

    def __str__(self) -> str:
        if not self.terms:
            return "there are no flows in this range at all"
        if len(self.terms) == 1:
            return f"no flow in this range matches {text(self.terms[0])}"
        if not self.least:
            return f"no flow in this range matches the {len(self.terms)} terms together; which of them is to blame was not found"
        listed = ", ".join(_bracketed(term) for term in self.terms[:-1])
        return f"no flow in this range matches {listed} and {_bracketed(self.terms[-1])} together, but without one of them some do"


class _Enough(Exception):
    """The questions or the time are used up."""


def holds(back_end: BackEnd, query: Query, where: Filter) -> bool:
    """Return whether what a question looks at, its filter left aside, has a flow that matches another filter."""
    total = replace(
        query, kind=Kind.GROUPS, keys=(), order="octets", ascending=False, limit=1, bins=None, times=False,
        folding=Folding.NONE, having=ANY, where=where,
    )  # fmt: skip
    return back_end.answer(total).total.flows > 0


def what_empties(back_end: BackEnd, query: Query, *, seconds: float = MOST_SECONDS) -> list[Emptying]:
    """Find the smallest clause of a filter that matches nothing; of alternatives, of each.

    Args:
        back_end: Who answers.
        query: A question whose answer has no flows.
        seconds: After so long no further question is asked.
    Returns:
        One entry, or one for each alternative of an `or`; empty where the question has an answer, or where it could not be told
        within `MOST_QUESTIONS` questions.
    """
    search = _Search(back_end, query, time.monotonic() + seconds)
    try:
        if search.matches(query.where):
            return []
        if query.where == ANY or not search.matches(ANY):
            return [Emptying((), questions=search.asked)]
    except _Enough:
        return []
    alternatives = query.where.terms if isinstance(query.where, Or) else (query.where,)
    found = []
    for alternative in alternatives:
        try:
            terms, least = search.smallest(alternative)
        except _Enough:
            break
        found.append(Emptying(terms, least, search.asked))
    return found


class _Search:
    """Asks for totals, remembers what it asked, and counts."""

    def __init__(self, back_end: BackEnd, query: Query, deadline: float) -> None:
        self._back_end, self._deadline = back_end, deadline
        self._query = query
        self._known: dict[Filter, bool] = {}
        self.asked = 0

    def matches(self, where: Filter) -> bool:
        """Return whether any flow of the range matches."""
        if where not in self._known:
            if self.asked >= MOST_QUESTIONS or time.monotonic() > self._deadline:
                raise _Enough
            self.asked += 1
            self._known[where] = holds(self._back_end, self._query, where)
        return self._known[where]

    def smallest(self, where: Filter) -> tuple[tuple[Filter, ...], bool]:
        """Return terms of an empty filter that are empty together, none of which can be left out, and whether that is known."""
        terms = where.terms if isinstance(where, And) else (where,)
        try:
            if len(terms) <= ONE_BY_ONE:
                for term in terms:
                    if len(terms) == 1 or not self.matches(term):
                        return (term,), True
            return self._needed((), terms, changed=False), True
        except _Enough:
            return terms, False

    def _needed(self, held: tuple[Filter, ...], terms: tuple[Filter, ...], *, changed: bool) -> tuple[Filter, ...]:
        """Return those of the terms that it takes, beside those held, to match nothing: by halves, a few questions for each.

        Source: U. Junker, "QUICKXPLAIN: Preferred Explanations and Relaxations for Over-Constrained Problems", AAAI 2004.
        """
        if changed and not self.matches(all_of(*held)):
            return ()
        if len(terms) == 1:
            return terms
        first, second = terms[: len(terms) // 2], terms[len(terms) // 2 :]
        of_second = self._needed(held + first, second, changed=True)
        of_first = self._needed(held + of_second, first, changed=bool(of_second))
        return of_first + of_second


def _bracketed(term: Filter) -> str:
    return f"({text(term)})" if isinstance(term, (And, Or)) else text(term)
