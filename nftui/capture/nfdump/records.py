"""Where the records of blocks begin, without a step of Python for each.

A record begins with its type and its size, 16 bits each, and the next one follows it. Places at which both make sense for a flow
are found in all of a block at once; where each of them ends is where the next one begins, so that the chain from the block's start
to its end needs no steps. Only where it breaks is a step made: at a record of another kind, or at a field that looks like a flow's
record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nftui.capture.nfdump.columns import Buffer, Places

SMALLEST = 24
"""Octets of the smallest record of a flow that is looked for: a smaller one tells no counters."""
MAX_STEPS = 20_000
"""Steps of a walk, in some blocks together; a file that needs more is no file of nfdump's."""
MOST_HEADS = 4
"""To look for each of more heads takes longer than to look for a type."""
MANY_BREAKS, MOST_DEEP = 256, 64
"""From so many breaks of the chain on it is followed by doubling, so many times in a walk."""


Marks = tuple[tuple[int, str, int], ...]
"""What records that are laid out alike have in common: places within them, the dtype and the number there. The first is type and
size, so that nothing beyond a record is looked at."""


class Other(NamedTuple):
    """A record that is no flow's: its type, where it begins, and its size."""

    type: int
    place: int
    size: int


@dataclass(slots=True)
class Walk:
    """The records of a block.

    Attributes:
        flows: Where those of flows begin, shape (flows,).
        sizes: Octets of each.
        others: The other records.
        problem: Why the walk ended before the end of the block; empty where it did not.
    """

    flows: Places
    sizes: Places
    others: list[Other] = field(default_factory=list)
    problem: str = ""


@dataclass(slots=True)
class Heads:
    """Type and size, in one number, of the records of flows met last: a file has few of them, which are looked for first.

    Attributes:
        known: These numbers; none where there are many. Threads may set and read them at any time: what is wrong only costs time.
    """

    known: tuple[int, ...] = ()

    def learn(self, buffer: Buffer, places: Places) -> None:
        """Remember the heads of records."""
        found = np.unique(buffer.gather(places, "u4"))
        self.known = tuple(found.tolist()) if len(found) <= MOST_HEADS else ()


class _Candidates(NamedTuple):
    places: Places
    sizes: Places
    breaks: Places
    """Candidates (by number) whose record does not end where the next one begins."""


def walk(
    buffer: Buffer, start: int, end: int, types: tuple[int, ...], heads: Heads | None = None, *, only_flows: bool = False
) -> Walk:
    """Find the records of a block.

    Args:
        buffer: The octets.
        start: Where the block's first record begins, a multiple of 4.
        end: Where the block ends.
        types: Of the records of flows.
        heads: Those of the blocks before, and then of this one.
        only_flows: Give up at anything else, with a problem.
    """
    if heads is not None and heads.known and (quick := _expected(buffer, start, end, heads.known)) is not None:
        return quick
    found = _candidates(buffer, start, end, types, (0,))
    places, sizes = found.places, found.sizes
    if len(places) and not len(found.breaks) and places[0] == start and places[-1] + sizes[-1] == end:
        walked = Walk(places, sizes)
    else:
        walked = _stitched(buffer, start, end, types, found, only_flows=only_flows)
    if heads is not None and len(walked.flows):
        heads.learn(buffer, walked.flows)
    return walked


def _expected(buffer: Buffer, start: int, end: int, heads: tuple[int, ...]) -> Walk | None:
    """Find the records where each has one of some heads; None where these are no chain from the start to the end."""
    words = np.ndarray(((end - start) // 4,), buffer.order + "u4", buffer.octets, offset=start)
    hit = words == heads[0]
    for more in heads[1:]:
        hit |= words == more
    places = np.flatnonzero(hit)
    if not len(places):
        return None
    found = words.take(places)
    sizes = (found >> 16 if buffer.order == "<" else found & 0xFFFF).astype(np.int64)
    places = places * 4 + start
    ends = places + sizes
    if places[0] != start or ends[-1] != end or not np.array_equal(ends[:-1], places[1:]):
        return None
    return Walk(places, sizes)


def _candidates(buffer: Buffer, start: int, end: int, types: tuple[int, ...], shifts: tuple[int, ...]) -> _Candidates:
    """Return the places, in their order, where a record of a flow may begin: at multiples of 4 octets, shifted."""
    all_places, all_sizes = [], []
    for shift in shifts:
        count = (end - start - shift) // 4
        if count <= 0:
            continue
        # Type and size in one number: to mask many is quicker than to step over every other half.
        words = np.ndarray((count,), buffer.order + "u4", buffer.octets, offset=start + shift)
        kinds = words & 0xFFFF if buffer.order == "<" else words >> 16
        hit = kinds == types[0]
        for more in types[1:]:
            hit |= kinds == more
        index = np.flatnonzero(hit)
        found = words[index].astype(np.int64)
        size = found >> 16 if buffer.order == "<" else found & 0xFFFF
        place = index * 4 + (start + shift)
        fits = (size >= SMALLEST) & (place + size <= end)
        all_places.append(place[fits])
        all_sizes.append(size[fits])
    if not all_places:
        return _Candidates(*(np.empty(0, np.int64),) * 3)
    places, sizes = np.concatenate(all_places), np.concatenate(all_sizes)
    if len(shifts) > 1:
        order = np.argsort(places, kind="stable")
        places, sizes = places[order], sizes[order]
    breaks = np.flatnonzero(places[:-1] + sizes[:-1] != places[1:])
    return _Candidates(places, sizes, breaks)


def _stitched(buffer: Buffer, start: int, end: int, types: tuple[int, ...], found: _Candidates, *, only_flows: bool) -> Walk:
    """Follow the chain from the start, a step for each break of it."""
    taken: list[npt.NDArray[np.int64]] = []
    others: list[Other] = []
    at, problem, everywhere, deep = start, "", False, MOST_DEEP
    for _ in range(MAX_STEPS):
        if at >= end:
            break
        if (at - start) % 4 and not everywhere:
            # Sizes need not be multiples of 4.
            found, everywhere, at, taken, others = _candidates(buffer, start, end, types, (0, 1, 2, 3)), True, start, [], []
            continue
        index = int(np.searchsorted(found.places, at))
        if index < len(found.places) and found.places[index] == at:
            many = len(found.breaks) >= MANY_BREAKS and deep > 0
            run = _reached(found, index) if many else _run(found, index)
            deep -= many
            taken.append(run)
            at = int(found.places[run[-1]] + found.sizes[run[-1]])
            continue
        if only_flows:
            problem = "not only flows"
            break
        if at + 4 > end:
            problem = "block ends within a record"
            break
        kind, size = (int(one) for one in np.ndarray((2,), buffer.order + "u2", buffer.octets, offset=at))
        if size < 4 or at + size > end:
            problem = "record of an impossible size" if size < 4 else "block ends within a record"
            break
        others.append(Other(kind, at, size))
        at += size
    else:
        problem = "block of too many records that are no flows"
    rows = np.concatenate(taken) if taken else np.empty(0, np.int64)
    return Walk(found.places[rows], found.sizes[rows], others, problem)


def _run(found: _Candidates, index: int) -> npt.NDArray[np.int64]:
    """Return the candidates, by number, that follow each other from one on."""
    next_break = int(np.searchsorted(found.breaks, index))
    last = int(found.breaks[next_break]) if next_break < len(found.breaks) else len(found.places) - 1
    return np.arange(index, last + 1)


def _reached(found: _Candidates, index: int) -> npt.NDArray[np.int64]:
    """Follow a chain between many places that only look like records: each round doubles how far is seen."""
    count = len(found.places)
    ends = found.places + found.sizes
    following = np.searchsorted(found.places, ends)
    real = (following < count) & (found.places[np.minimum(following, count - 1)] == ends)
    jump = np.append(np.where(real, following, count), count)
    reached = np.array([index])
    while True:
        more = jump[reached]
        more = more[more < count]
        if not len(more):
            return np.sort(reached)
        reached = np.concatenate([reached, more])
        jump = jump[jump]


def groups(
    buffer: Buffer, places: Places, signature: Callable[[int], Marks | None], most: int
) -> tuple[list[tuple[Marks, Places]], Places, Places]:
    """Part records by what is in them.

    Args:
        buffer: Where they are.
        places: Where each begins.
        signature: Gives what one record has in common with all that are laid out alike; None where it makes no sense.
        most: How many groups are told apart.
    Returns:
        The groups, each with its signature; the records that are left; and those that make no sense.
    """
    found: list[tuple[Marks, Places]] = []
    senseless: list[int] = []
    rest = places
    while len(rest) and len(found) < most and len(senseless) < most:
        marks = signature(int(rest[0]))
        if marks is None:
            senseless.append(int(rest[0]))
            rest = rest[1:]
            continue
        alike = np.ones(len(rest), np.bool_)
        for offset, dtype, number in marks:
            alike &= buffer.gather(np.minimum(rest + offset, len(buffer.octets) - 4), dtype) == number
        found.append((marks, rest if alike.all() else rest[alike]))
        rest = rest[:0] if alike.all() else rest[~alike]
    return found, rest, np.array(senseless, np.int64)
