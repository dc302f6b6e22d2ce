"""Tallies: what connections had counted when they were told of last, so that only what came since is told of next.

The kernel's table is gone through again and again, in rounds. A connection that two whole rounds and some minutes did not come
across is forgotten: its end got lost. Rounds alone are too few: what has expired the kernel leaves out of its table at once, and
tells of its end when it cleans up, a minute later where there is little to do. What has ended stays known until the round is over,
as a part of the table may have been read before the end, and come afterwards.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.sets import Integers

MOST = 1 << 20
"""Connections that are known at a time, of some 50 octets each; of others nothing is told until they end."""
WORDS = 4
"""Numbers that a key is made of, at most."""
Keys = npt.NDArray[np.uint64]
LOST_US = 300_000_000
"""Microseconds after which an end that wasn't told of is lost: several times as long as the kernel takes to clean up."""
_GONE = -1
_SEEN, _ROUND = -2, -1


@dataclass(frozen=True, slots=True)
class Counted:
    """What some of the connections counted since they were told of last.

    Attributes:
        rows: Shape (some,), ascending, which of those that were asked for.
        counts: Shape (some, counters), -1 where a counter is not known.
        since: Shape (some,), when they were told of last, microseconds since 1970; 0 for never.
    """

    rows: Integers
    counts: Integers
    since: Integers


@dataclass(slots=True)
class _Known:
    """Connections, ascending by key.

    Attributes:
        keys: Shape (connections,).
        facts: Shape (connections, counters + 2): what they had counted, when they were come across last, and in which round; that
            is `_GONE` once they have ended.
    """

    keys: Keys
    facts: Integers

    def find(self, keys: Keys) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """Return where keys are, and which are there."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, self.keys[at] == keys

    def since(self, least: int, oldest: int = 0) -> _Known:
        """Return those that some round, or a later one, came across, or that were come across at a time or later."""
        rounds = self.facts[:, _ROUND]
        kept = (rounds >= least) | ((rounds != _GONE) & (self.facts[:, _SEEN] >= oldest))
        return self if kept.all() else _Known(self.keys[kept], self.facts[kept])

    def joined(self, other: _Known) -> _Known:
        """Return both together; no key is in both."""
        if not len(other.keys):
            return self
        keys = np.concatenate((self.keys, other.keys))
        # Two ascending runs are merged, not sorted, by a stable sort.
        order = np.argsort(keys, kind="stable")
        return _Known(keys[order], np.concatenate((self.facts, other.facts)).take(order, axis=0))


class Tallies:
    """What is known of connections, by a key of theirs. Bounded."""

    def __init__(self, counters: int, most: int = MOST) -> None:
        """Begin with none.

        Args:
            counters: How many a connection has.
            most: Connections that are known at a time.
        """
        self._counters, self._most = counters, most
        self._round, self._in_round = 0, False
        # Those that a round finds first stand apart until it is over, so that most need no merging for each part of the table.
        self._old, self._new = self._none(), self._none()
        self._factors = np.frombuffer(secrets.token_bytes(8 * WORDS), np.uint64) | np.uint64(1)

    def __len__(self) -> int:
        """Return how many are known, of which some have ended."""
        return len(self._old.keys) + len(self._new.keys)

    def keys(self, *words: Integers) -> Keys:
        """Return what stands for up to `WORDS` numbers, each of shape (connections,), that tell connections apart."""
        found = np.zeros(len(words[0]), np.uint64)
        for word, factor in zip(words, self._factors, strict=False):
            found += word.view(np.uint64) * factor
        return found

    def begin(self) -> None:
        """Begin a round through all connections; one that was not finished doesn't count."""
        self._old, self._new = self._old.joined(self._new).since(0), self._none()
        self._round += not self._in_round
        self._in_round = True

    def finish(self, now: int) -> None:
        """End a round: forget those that have ended, and those whose end got lost.

        Args:
            now: Microseconds since 1970.
        """
        kept = self._old.joined(self._new).since(max(self._round - 1, 0), now - LOST_US)
        self._old, self._new = kept, self._none()
        self._in_round = False

    def passed(self, keys: Keys, counts: Integers, now: int, *, tell: bool = True) -> Counted:
        """Come across connections in a round.

        Args:
            keys: Shape (connections,). Of one that is there twice the last counts.
            counts: Shape (connections, counters), -1 where one is not known.
            now: Microseconds since 1970.
            tell: Whether those that are seen for the first time are told of, with all that they counted.
        Returns:
            Those that counted anything; not those that have ended, and those that there is no room for.
        """
        rows = _once(keys, last=True)
        unknown = counts.min(axis=1) < 0 if len(counts) and counts.min() < 0 else None
        rows = rows if unknown is None else rows[~unknown[rows]]
        found: list[Counted] = []
        for known in (self._old, self._new):
            some, at, rows = _split(known, keys, rows)
            before, present = known.facts.take(at, axis=0), counts.take(some, axis=0)
            known.facts[at, _ROUND] = self._round
            known.facts[at, _SEEN] = now
            moved = np.flatnonzero((present != before[:, :_SEEN]).any(axis=1))
            known.facts[at[moved], :_SEEN] = present[moved]
            found.append(_some(some[moved], present[moved], before[moved]))
        rows = rows[: max(self._most - len(self), 0)]
        self._add(keys[rows], counts[rows], now, self._round)
        if tell:
            found.append(Counted(rows, counts[rows], np.zeros(len(rows), np.int64)))
        return _together(found)

    def ended(self, keys: Keys, counts: Integers) -> Counted:
        """Forget connections that have ended.

        Args:
            keys: Shape (connections,). Of two with the same key the first is the one that is known.
            counts: Shape (connections, counters), -1 where one is not known.
        Returns:
            Those that were never told of, and those that counted anything since.
        """
        rows = _once(keys, last=False)
        new = np.ones(len(keys), np.bool_)
        found: list[Counted] = []
        for known in (self._old, self._new):
            some, at, rows = _split(known, keys, rows)
            new[some] = False
            found.append(_some(some, counts[some], known.facts.take(at, axis=0)))
            known.facts[at, _ROUND] = _GONE
        if self._in_round:
            self._add(keys[rows], np.zeros((len(rows), self._counters), np.int64), 0, _GONE)
        rest = np.flatnonzero(new)
        return _together([*found, Counted(rest, counts[rest], np.zeros(len(rest), np.int64))])

    def _add(self, keys: Keys, counts: Integers, now: int, number: int) -> None:
        """Add connections, ascending by key."""
        facts = np.empty((len(keys), self._counters + 2), np.int64)
        facts[:, :_SEEN], facts[:, _SEEN], facts[:, _ROUND] = counts, now, number
        self._new = self._new.joined(_Known(keys, facts))

    def _none(self) -> _Known:
        return _Known(np.zeros(0, np.uint64), np.zeros((0, self._counters + 2), np.int64))


def _once(keys: Keys, *, last: bool) -> Integers:
    """Return rows, ascending by key, of each key once: where it is there several times its first or its last."""
    order = np.argsort(keys, kind="stable")
    ascending = keys[order]
    same: npt.NDArray[np.bool_] = ascending[1:] == ascending[:-1]
    if same.any():
        other = [False]
        order = order[~np.concatenate((same, other) if last else (other, same))]
    return order


def _split(known: _Known, keys: Keys, rows: Integers) -> tuple[Integers, Integers, Integers]:
    """Return which of some rows are known and have not ended, where these are, and which rows are not known."""
    at, here = known.find(keys[rows])
    left = rows[~here]
    rows, at = rows[here], at[here]
    alive = known.facts[at, _ROUND] != _GONE
    return (rows, at, left) if alive.all() else (rows[alive], at[alive], left)


def _some(rows: Integers, counts: Integers, before: Integers) -> Counted:
    """Return those whose counters grew. Where one of a connection's went back they began anew, and all that they have is new."""
    known: Integers = before[:, :_SEEN]
    back = np.flatnonzero(((counts < known) & (counts >= 0)).any(axis=1))
    grown: Integers = np.where(counts < 0, counts, counts - known)
    grown[back] = counts[back]
    some = np.flatnonzero((grown > 0).any(axis=1))
    return Counted(rows[some], grown[some], before[some, _SEEN])


def _together(found: list[Counted]) -> Counted:
    """Return all in one, ascending by row."""
    rows = np.concatenate([one.rows for one in found])
    order = np.argsort(rows, kind="stable")
    counts, since = np.concatenate([one.counts for one in found]), np.concatenate([one.since for one in found])
    return Counted(rows[order], counts[order], since[order])
