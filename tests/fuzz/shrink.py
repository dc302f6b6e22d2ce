"""Shrinking: what of a failing session is needed for it to fail in the same way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.fuzz.checks import Checker, Failure
from tests.fuzz.steps import Step

Needed = Callable[[list[Step]], bool]


def fails(steps: Sequence[Step], mode: str) -> str:
    """Return the kind of failure that steps lead to, empty for none."""
    checker = Checker(mode)
    try:
        for step in steps:
            checker.step(step)
        checker.close()
    except Failure as failure:
        return failure.kind
    return ""


def shrink(steps: Sequence[Step], mode: str, kind: str, seconds: float) -> list[Step]:
    """Return fewer steps, of fewer and shorter datagrams, that fail alike; as far as the time allows."""
    until = time.monotonic() + seconds

    def needed(some: list[Step]) -> bool:
        return time.monotonic() < until and fails(some, mode) == kind

    small = _fewer(list(steps), needed)
    for place in range(len(small) - 1, -1, -1):
        small[place] = _fewer_datagrams(small, place, needed)
    for place in range(len(small) - 1, -1, -1):
        for row in range(len(small[place].sent)):
            small[place] = _shorter(small, place, row, needed)
    return small


def _fewer(steps: list[Step], needed: Needed) -> list[Step]:
    """Leave out steps, half of them at first, then less."""
    size = len(steps)
    while size:
        first = 0
        while first < len(steps):
            rest = steps[:first] + steps[first + size :]
            if rest and needed(rest):
                steps = rest
            else:
                first += size
        size //= 2
    return steps


def _fewer_datagrams(steps: list[Step], place: int, needed: Needed) -> Step:
    step, size = steps[place], len(steps[place].sent)
    while size:
        first = 0
        while first < len(step.sent):
            rest = [*step.sent[:first], *step.sent[first + size :]]
            less = replace(step, sent=rest)
            if rest and needed([*steps[:place], less, *steps[place + 1 :]]):
                step = less
            else:
                first += size
        size //= 2
    return step


def _shorter(steps: list[Step], place: int, row: int, needed: Needed) -> Step:
    """Cut a datagram's end, and make zero what may be."""
    step = steps[place]

    def tried(octets: bytes) -> bool:
        nonlocal step
        one = step.sent[row]._replace(octets=octets)
        less = replace(step, sent=[*step.sent[:row], one, *step.sent[row + 1 :]])
        if needed([*steps[:place], less, *steps[place + 1 :]]):
            step = less
            return True
        return False

    size = len(step.sent[row].octets) // 2
    while size:
        octets = step.sent[row].octets
        if size > len(octets) or not tried(octets[: len(octets) - size]):
            size //= 2
    size = len(step.sent[row].octets) // 2
    while size:
        for at in range(0, len(step.sent[row].octets), size):
            octets = step.sent[row].octets
            if any(octets[at : at + size]):
                tried(octets[:at] + bytes(len(octets[at : at + size])) + octets[at + size :])
        size //= 2
    return step
