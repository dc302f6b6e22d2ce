"""What the Summary screen asks: the totals, and one panel at a time, so that the panel one looks at is there first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import monotonic

from nftui.engine.account import Account
from nftui.engine.query import Answer, BackEnd, Interval, Query
from nftui.screens.questions import Reply
from nftui.units import SECOND

SHARE, MOST_SHARE = 0.01, 0.04
"""Of the time that one panel may take, while the range moves along; and the most where it is old for its range."""
OLD = 1 / 20
"""From this part of its range on a panel is old."""


@dataclass(frozen=True, slots=True)
class Portion:
    """The totals, and what one panel shows.

    Attributes:
        main: The totals, with their series.
        panel: Number of the panel; -1 for the totals alone.
        queries: What the panel asks.
        before: The period before, where the panel compares.
        known: An answer to `main` that will do.
        named: Whether names of interfaces are wanted.
    """

    main: Query
    panel: int = -1
    queries: tuple[Query, ...] = ()
    before: Interval | None = None
    known: Answer | None = field(default=None, compare=False)
    named: bool = False

    def put(self, back_end: BackEnd) -> Reply:
        """Ask for the totals, then for the panel: under `answers`, those of the period before under `before`."""
        main = self.known if self.known is not None else back_end.answer(self.main)
        began = monotonic()
        answers = tuple(back_end.answer(query) for query in self.queries)
        before: tuple[Answer, ...] = ()
        if self.before is not None:
            before = tuple(
                back_end.answer(
                    replace(one.query, interval=self.before, bins=None, only=tuple(one.groups.select(one.query.keys).rows()))
                )
                for one in answers
                if one.query.keys
            )
        account: Account | None = back_end.account() if self.named else None
        return Reply(main, {"answers": answers, "before": before, "account": account, "seconds": monotonic() - began})


@dataclass(slots=True)
class Told:
    """What a panel was told last.

    Attributes:
        queries: What was asked.
        before: The period before, where that was asked for.
        answers: What came back.
        earlier: The same of the period before.
        account: What the collector says of itself, where it was asked for.
        since: When it came, by the monotonic clock.
        seconds: How long it took.
    """

    queries: tuple[Query, ...] = ()
    before: Interval | None = None
    answers: tuple[Answer, ...] = ()
    earlier: tuple[Answer, ...] = ()
    account: Account | None = None
    since: float = 0.0
    seconds: float = 0.0

    @property
    def age(self) -> float:
        """Seconds since it came."""
        return monotonic() - self.since

    def take(self, asked: Portion, reply: Reply) -> None:
        """Take what came back."""
        self.queries, self.before = asked.queries, asked.before
        self.answers, self.earlier = reply.more["answers"], reply.more["before"]
        self.account = reply.more["account"] or self.account
        self.since, self.seconds = monotonic(), reply.more["seconds"]

    def same(self, queries: tuple[Query, ...], before: Interval | None, follows: bool) -> bool:
        """Tell whether this was asked; while the range follows the clock, also where it has moved along since."""
        if (self.queries, self.before) == (queries, before):
            return True
        alike = len(self.queries) == len(queries) and (self.before is None) == (before is None)
        return follows and alike and all(map(moved, self.queries, queries))

    def due(self, queries: tuple[Query, ...], before: Interval | None, refresh: float, follows: bool, flows: int) -> bool:
        """Tell whether to ask again.

        Something else is asked at once. While the range follows the clock the same is asked again after a time of which it takes
        but a small share, and soon where there were no flows and now are some.
        """
        if not self.same(queries, before, follows):
            return True
        if not follows:
            return False
        nothing = bool(flows) and not any(one.total.flows for one in self.answers)
        lengths = [one.interval.length for one in queries if one.interval is not None]
        old = OLD * max(lengths) / SECOND if lengths else self.seconds / SHARE
        pause = min(self.seconds / SHARE, max(old, self.seconds / MOST_SHARE))
        return self.age >= (refresh / 2 if nothing else max(refresh * 0.9, pause))


def moved(query: Query, other: Query) -> bool:
    """Tell whether two questions are the same but for when their range of one length is."""
    if query.interval is None or other.interval is None:
        return query == other
    return query.interval.length == other.interval.length and replace(query, interval=other.interval) == other
