"""Tallies: whatever the order of rounds, ends and losses, what is told of a connection adds up to what it counted, and once."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from nftui.capture.probe.tallies import LOST_US, Counted, Tallies
from nftui.capture.sets import Integers

pytestmark = pytest.mark.row("B01")
NONE: tuple[list[int], list[list[int]], list[int]] = ([], [], [])


def told(found: Counted) -> tuple[list[int], list[list[int]], list[int]]:
    """Return what was counted, as plain values."""
    return found.rows.tolist(), found.counts.tolist(), found.since.tolist()


def keys(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(numbers, np.uint64)


def counts(*some: tuple[int, int]) -> Integers:
    return np.array(some, np.int64).reshape(-1, 2)


def one_round(tallies: Tallies, numbers: tuple[int, ...], some: Integers, now: int) -> Counted:
    """Come across connections in a round of their own."""
    tallies.begin()
    found = tallies.passed(keys(*numbers), some, now)
    tallies.finish(now)
    return found


def test_only_what_is_new_is_told_and_at_the_end_the_rest() -> None:
    tallies = Tallies(2)
    assert told(one_round(tallies, (7, 5), counts((1, 100), (2, 50)), 10)) == ([0, 1], [[1, 100], [2, 50]], [0, 0])
    assert told(one_round(tallies, (5, 7), counts((2, 50), (4, 400)), 20)) == ([1], [[3, 300]], [10])
    # Since when is the last time that it was come across, though nothing was told of it then.
    assert told(tallies.ended(keys(9, 5, 7), counts((8, 8), (3, 51), (4, 400)))) == ([0, 1], [[8, 8], [1, 1]], [0, 20])
    tallies.begin()
    assert len(tallies) == 0


def test_what_was_counted_before_is_not_told() -> None:
    tallies = Tallies(2)
    tallies.begin()
    assert told(tallies.passed(keys(1, 2), counts((5, 5), (6, 6)), 10, tell=False)) == NONE
    tallies.finish(10)
    assert told(one_round(tallies, (1, 2), counts((5, 5), (7, 9)), 20)) == ([1], [[1, 3]], [10])
    assert told(tallies.ended(keys(1), counts((5, 5)))) == NONE


def test_counters_that_went_back_began_anew() -> None:
    tallies = Tallies(2)
    one_round(tallies, (1, 2), counts((100, 10_000), (100, 10_000)), 10)
    assert told(one_round(tallies, (1, 2), counts((0, 0), (3, 12_000)), 20)) == ([1], [[3, 12_000]], [10])
    assert told(tallies.ended(keys(1, 2), counts((2, 20), (1, 13_000)))) == ([0, 1], [[2, 20], [1, 13_000]], [20, 20])


def test_what_ends_within_a_round_is_told_once() -> None:
    """A part of the table may have been read before an end that is heard of first."""
    tallies = Tallies(2)
    one_round(tallies, (1,), counts((5, 5)), 10)
    tallies.begin()
    assert told(tallies.ended(keys(1, 2), counts((6, 6), (9, 9)))) == ([0, 1], [[1, 1], [9, 9]], [10, 0])
    assert told(tallies.passed(keys(2, 1, 3), counts((8, 8), (6, 6), (1, 1)), 20)) == ([2], [[1, 1]], [0])
    assert told(tallies.ended(keys(3), counts((1, 1)))) == NONE
    tallies.finish(20)
    assert len(tallies) == 0


def test_an_end_that_is_heard_of_late_is_of_what_is_known() -> None:
    """The kernel leaves out what has expired, and tells of its end many rounds later, as it cleans up; lost ones are forgotten."""
    tallies = Tallies(2)
    one_round(tallies, (1, 2), counts((5, 5), (5, 5)), 10)
    for now in (20, 30, 40, 10 + LOST_US):
        one_round(tallies, (), counts(), now)
    assert told(tallies.ended(keys(1), counts((6, 7)))) == ([0], [[1, 2]], [10])
    assert told(tallies.ended(keys(1), counts((6, 7)))) == ([0], [[6, 7]], [0]), "another one"
    one_round(tallies, (), counts(), 11 + LOST_US)
    assert len(tallies) == 0
    # Two rounds in any case, however far apart they are.
    one_round(tallies, (3,), counts((1, 1)), 10)
    one_round(tallies, (), counts(), 20 + 2 * LOST_US)
    assert len(tallies) == 1
    one_round(tallies, (), counts(), 30 + 2 * LOST_US)
    assert len(tallies) == 0
    # A round that was given up forgets nothing.
    one_round(tallies, (4,), counts((1, 1)), 40)
    for _ in range(5):
        tallies.begin()
    assert len(tallies) == 1


def test_twice_in_one_part_and_two_of_one_key() -> None:
    tallies = Tallies(2)
    assert told(one_round(tallies, (1, 2, 1), counts((5, 5), (1, 1), (6, 7)), 10)) == ([1, 2], [[1, 1], [6, 7]], [0, 0])
    found = told(tallies.ended(keys(1, 1), counts((9, 9), (8, 8))))
    assert found == ([0, 1], [[3, 2], [8, 8]], [10, 0])


def test_what_is_not_counted_is_told_at_the_end_alone() -> None:
    tallies = Tallies(2)
    assert told(one_round(tallies, (1, 2), counts((-1, -1), (1, 1)), 10)) == ([1], [[1, 1]], [0])
    assert len(tallies) == 1
    assert told(tallies.ended(keys(1), counts((-1, -1)))) == ([0], [[-1, -1]], [0])


def test_it_is_bounded_and_what_there_is_no_room_for_is_told_at_the_end() -> None:
    tallies = Tallies(2, most=3)
    found = one_round(tallies, (1, 2, 3, 4, 5), counts(*[(1, 1)] * 5), 10)
    assert (len(found.rows), len(tallies)) == (3, 3)
    found = one_round(tallies, (1, 2, 3, 4, 5), counts(*[(2, 2)] * 5), 20)
    assert (len(found.rows), found.since.tolist()) == (3, [10] * 3)
    ended = tallies.ended(keys(1, 2, 3, 4, 5), counts(*[(2, 2)] * 5))
    assert ended.counts.tolist() == [[2, 2]] * 2


def test_keys_tell_connections_apart() -> None:
    tallies, dice = Tallies(2), np.random.default_rng(3)
    words = dice.integers(-1, 1 << 62, (4, 100_000))
    words[1:, 50_000:] = words[1:, :50_000]
    assert len(np.unique(tallies.keys(*words))) == 100_000
    assert (tallies.keys(*words) == tallies.keys(*words)).all()
    assert (Tallies(2).keys(*words) != tallies.keys(*words)).any(), "nobody knows them beforehand"


@pytest.mark.parametrize("seed", range(8))
def test_all_that_is_told_adds_up(seed: int) -> None:
    """Connections that begin, count and end at any time, seen through a table that is read in parts, and ends that come late."""
    dice, tallies, now = Random(seed), Tallies(2), 0
    alive: dict[int, int] = {}
    final, sums = Counter[int](), Counter[int]()
    late: list[tuple[int, int]] = []
    number = 0

    def note(of: list[tuple[int, int]], found: Counted) -> None:
        assert (found.counts >= 0).all() and (np.diff(found.rows) > 0).all()
        for row, grown in zip(found.rows.tolist(), found.counts[:, 0].tolist(), strict=True):
            sums[of[row][0]] += grown

    def live() -> None:
        nonlocal number
        for _ in range(dice.randrange(6)):
            number += 1
            alive[number] = 1
        for one in dice.sample(sorted(alive), len(alive) // 3):
            alive[one] += dice.randrange(9)
        for one in dice.sample(sorted(alive), len(alive) // 6):
            final[one] = alive.pop(one)
            late.append((one, final[one]))

    def hear() -> None:
        if dice.random() < 0.7:
            some, late[:] = late[:], []
            note(some, tallies.ended(keys(*(one for one, _ in some)), counts(*((value, 2 * value) for _, value in some))))

    for _ in range(60):
        tallies.begin()
        parts = sorted(alive, key=lambda one: one * 7919 % 101)
        size = max(len(parts) // 4, 1)
        for begin in range(0, len(parts), size):
            now += 1
            # Each part is read ahead, as the kernel does, while ends are heard of.
            ahead = [(one, alive[one]) for one in parts[begin : begin + size] if one in alive]
            live()
            hear()
            note(ahead, tallies.passed(keys(*(one for one, _ in ahead)), counts(*((n, 2 * n) for _, n in ahead)), now))
        tallies.finish(now)
        assert len(tallies) <= len(alive) + len(final)
    while late:
        hear()
    assert {one: sums[one] for one in final} == final
    assert all(sums[one] <= value for one, value in alive.items())
