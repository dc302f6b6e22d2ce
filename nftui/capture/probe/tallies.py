"""Tallies: what connections had counted when they were told of last, so that only what came since is told of next.

The kernel's table is gone through again and again, in rounds. A connection that two whole rounds did not come across is forgotten:
its end got lost. One round is too few, since the end of a connection that is gone already may wait to be read. What has ended stays
known until the round is over, as a part of the table may have been read before the end, and come afterwards.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.sets import Integers

MOST = 1 << 20
"""Connections that are known at a time, of some 50 octets each; of others nothing is told until they end."""
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Counted:
    """What connections counted since they were told of last.

    Attributes:
        counts: Shape (connections, counters), -1 where a counter is not known.
        since: Shape (connections,), when they were told of last, microseconds since 1970; 0 for never.
    """

    counts: Integers
    since: Integers

    @property
    def some(self) -> npt.NDArray[np.bool_]:
        """Shape (connections,), where there is anything."""
        found: npt.NDArray[np.bool_] = (self.counts > 0).any(axis=1)
        return found


@dataclass(slots=True)
class _Known:
    """Connections, ascending by key.

    Attributes:
        keys: Shape (connections,).
        counts: Shape (connections, counters).
        told: Shape (connections,), when they were told of last.
        round: Shape (connections,), the last that came across them; `_GONE` once they have ended.
    """

    keys: Keys
    counts: Integers
    told: Integers
    round: npt.NDArray[np.int32]

    def find(self, keys: Keys) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """Return where keys are, and which are there."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, self.keys[at] == keys

    def kept(self, rows: npt.NDArray[np.bool_]) -> _Known:
        """Return some of them."""
        if rows.all():
            return self
        return _Known(self.keys[rows], self.counts[rows], self.told[rows], self.round[rows])

    def joined(self, other: _Known) -> _Known:
        """Return both together; no key is in both."""
        if not len(other.keys):
            return self
        keys = np.concatenate((self.keys, other.keys))
        # Two ascending runs are merged, not sorted, by a stable sort.
        order = np.argsort(keys, kind="stable")
        counts = np.concatenate((self.counts, other.counts))[order]
        told, round = np.concatenate((self.told, other.told))[order], np.concatenate((self.round, other.round))[order]
        return _Known(keys[order], counts, told, round)


_GONE = np.int32(-1)


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
        self._factors = np.frombuffer(secrets.token_bytes(8 * 8), np.uint64) | np.uint64(1)

    def __len__(self) -> int:
        """Return how many are known, of which some have ended."""
        return len(self._old.keys) + len(self._new.keys)

    def keys(self, *words: Integers) -> Keys:
        """Return what stands for numbers that tell connections apart, as good as unique; at most 8, each of shape (connections,)."""
        found = np.zeros(len(words[0]), np.uint64)
        for word, factor in zip(words, self._factors, strict=False):
            found += word.astype(np.uint64) * factor
        return found

    def begin(self) -> None:
        """Begin a round through all connections; one that was not finished doesn't count."""
        self._old = self._old.joined(self._new)
        self._new = self._none()
        self._old = self._old.kept(self._old.round != _GONE)
        self._round += not self._in_round
        self._in_round = True

    def finish(self) -> None:
        """End a round: forget those that have ended, and those that two rounds did not come across."""
        self._old = self._old.joined(self._new)
        self._new = self._none()
        self._old = self._old.kept(self._old.round >= max(self._round - 1, 0))
        self._in_round = False

    def passed(self, keys: Keys, counts: Integers, now: int, *, tell: bool = True) -> Counted:
        """Come across connections in a round.

        Args:
            keys: Shape (connections,). Of one that is there twice the last counts.
            counts: Shape (connections, counters), -1 where one is not known.
            now: Microseconds since 1970.
            tell: Whether those that are seen for the first time are told of, with all that they counted.
        Returns:
            What they counted; nothing of those that have ended, and of those there is no room for.
        """
        _, last = np.unique(keys[::-1], return_index=True)
        once = np.zeros(len(keys), np.bool_)
        once[len(keys) - 1 - last] = True
        once &= (counts >= 0).all(axis=1)
        found, since = np.zeros_like(counts), np.zeros(len(keys), np.int64)
        left = np.flatnonzero(once)
        for known in (self._old, self._new):
            at, here = known.find(keys[left])
            at, rows, left = at[here], left[here], left[~here]
            alive = known.round[at] != _GONE
            at, rows = at[alive], rows[alive]
            since[rows] = known.told[at]
            found[rows] = _grown(counts[rows], known.counts[at])
            known.counts[at], known.told[at], known.round[at] = counts[rows], now, self._round
        left = left[: max(self._most - len(self), 0)]
        if tell:
            found[left] = counts[left]
        self._add(keys[left], counts[left], now, self._round)
        return Counted(found, since)

    def ended(self, keys: Keys, counts: Integers) -> Counted:
        """Forget connections that have ended.

        Args:
            keys: Shape (connections,). Of two with the same key the first is the one that is known.
            counts: Shape (connections, counters), -1 where one is not known.
        Returns:
            What they counted since they were told of last: all, where they never were.
        """
        found, since = counts.copy(), np.zeros(len(keys), np.int64)
        _, left = np.unique(keys, return_index=True)
        for known in (self._old, self._new):
            at, here = known.find(keys[left])
            at, rows, left = at[here], left[here], left[~here]
            alive = known.round[at] != _GONE
            at, rows = at[alive], rows[alive]
            since[rows] = known.told[at]
            found[rows] = _grown(counts[rows], known.counts[at])
            known.round[at] = _GONE
        if self._in_round:
            self._add(keys[left], np.zeros((len(left), self._counters), np.int64), 0, _GONE)
        return Counted(found, since)

    def _add(self, keys: Keys, counts: Integers, now: int, round: int | np.int32) -> None:
        order = np.argsort(keys)
        told, rounds = np.full(len(keys), now, np.int64), np.full(len(keys), round, np.int32)
        self._new = self._new.joined(_Known(keys[order], counts[order], told, rounds))

    def _none(self) -> _Known:
        return _Known(np.zeros(0, np.uint64), np.zeros((0, self._counters), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))


def _grown(now: Integers, before: Integers) -> Integers:
    """Return what counters grew by. Where one of a connection's went back they began anew, and all that they have is new."""
    back = ((now < before) & (now >= 0)).any(axis=1)
    grown: Integers = np.where(back[:, None] | (now < 0), now, now - before)
    return grown
