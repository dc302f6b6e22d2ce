"""Timeouts: when a flow ends, and where packets of one key begin another flow.

A flow ends when nothing came for the inactive timeout, when it has lasted for the active timeout, or a short while after TCP said
so (FIN or RST; the while is for what is sent again and for the last acknowledgement). Which flows there are depends on the times of
their packets alone, never on how these fall into blocks or on when somebody looks.

Source: RFC 7011, section 2 and RFC 5102, section 5.11.3 (flowEndReason).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import Mask
from nftui.capture.sets import Integers

IDLE, ACTIVE, END_DETECTED, FORCED, NO_ROOM = 1, 2, 3, 4, 5
"""flowEndReason: idle timeout, active timeout, end of flow detected, forced end, lack of resources."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long flows last, in microseconds.

    Attributes:
        active: Longest duration.
        inactive: Longest silence.
        linger: Longest silence once TCP said that it ends, at most `inactive`.
    """

    active: int
    inactive: int
    linger: int

    def over(self, first: Integers, last: Integers, ended: Mask) -> Integers:
        """Return when each flow ends if no other packet comes: that instant is no longer part of it."""
        return np.minimum(first + self.active, last + np.where(ended, self.linger, self.inactive))

    def reasons(self, first: Integers, last: Integers, ended: Mask, now: Integers | int) -> npt.NDArray[np.int16]:
        """Return why each flow ends; `FORCED` where it needn't have by that time, and TCP didn't say that it does."""
        active, silent = first + self.active, last + np.where(ended, self.linger, self.inactive)
        why = np.where(active <= silent, ACTIVE, np.where(ended, END_DETECTED, IDLE))
        return np.where(np.minimum(active, silent) <= now, why, np.where(ended, END_DETECTED, FORCED)).astype(np.int16)

    def goes_on(self, first: Integers, last: Integers, ended: Mask, time: Integers) -> Mask:
        """Return whether a packet at `time` belongs to a flow. One from long before it does not: then the clock was set back."""
        return (time < self.over(first, last, ended)) & (time > first - self.inactive)


def begins(
    timeouts: Timeouts,
    time: Integers,
    group: Integers,
    before: tuple[Integers, Mask],
    enders: list[Mask],
    ended: list[Mask],
) -> Mask:
    """Find the packets that begin another flow than the one before.

    Args:
        timeouts: How long flows last.
        time: Shape (packets,), by group, ascending within each.
        group: Shape (groups,), where each begins.
        before: Shape (groups,), when the flow began to which the first packet of each group belongs, and whether there is one.
        enders: Of each direction, shape (packets,), whether the packet says that this direction ends; the last entry of the list
            ends both at once.
        ended: As `enders`, shape (groups,), whether that was said before.
    Returns:
        Shape (packets,).
    """
    size = len(time)
    last = np.append(group[1:], size)
    gap = np.diff(time, prepend=time[:1])
    gap[group] = timeouts.inactive
    silence = gap >= timeouts.inactive
    # Within a silence-free stretch these are times; between two stretches lies more than a flow can last.
    line = np.cumsum(np.where(silence, timeouts.active + 1, gap))
    following = np.searchsorted(line, line + timeouts.active)
    pauses = _next(gap >= timeouts.linger)
    over = [_next(ender) for ender in enders]
    following = np.minimum(following, pauses[np.minimum(_said(over)[:-1], size - 1) + 1])

    first, there = before
    elapsed = np.where(there, time[group] - first, 0)
    # Of the flow that was there before, the first packet is the second one: it began earlier, and may have said that it ends.
    start = np.searchsorted(line, line[group] + np.clip(timeouts.active - elapsed, 0, timeouts.active))
    said = _said([np.where(was, group - 1, place[group]) for place, was in zip(over, ended, strict=True)])
    start = np.minimum(start, pauses[np.maximum(np.minimum(said, size - 1), group) + 1])
    begin = np.zeros(size, np.bool_)
    at = np.where(there, start, group)
    while len(at):
        inside = at < last
        at, last = at[inside], last[inside]
        begin[at] = True
        at = following[at]
    return begin


def _next(mask: Mask) -> Integers:
    """Return for each place, and the one behind the last, the first from there on where the mask is true; the last for none."""
    size = len(mask)
    places = np.where(mask, np.arange(size), size)
    return np.append(np.minimum.accumulate(places[::-1])[::-1], size)


def _said(places: list[Integers]) -> Integers:
    """Return where a flow has ended: where all directions have said so, or the last entry says so for both."""
    *each, both = places
    return np.minimum(np.maximum.reduce(each), both)
