"""Sequences: what the sequence numbers of a stream of datagrams say about those that did not come.

NetFlow v5 counts flows, v9 datagrams, IPFIX data records (RFC 3954, section 5.1; RFC 7011, section 3.1). Late datagrams make good
for the gap that they left; a number far behind or absurdly far ahead is a restart of the exporter, not a loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.sets import Integers

MODULUS = 2**32
UNKNOWN = -1
LATE = 64
"""A number at most so many datagrams behind is a late datagram."""
FAR_AHEAD = 10_000_000
UPTIME_BACK = 60_000
"""An uptime (ms) this far behind the last one is a restart."""


@dataclass(slots=True)
class Stream:
    """The state of one stream: an exporter's address and port, a protocol and a domain.

    Attributes:
        expected: The next sequence number, or `UNKNOWN`.
        missing: Lost and not made good since.
        uptime: Of the last header, milliseconds.
    """

    expected: int = UNKNOWN
    missing: int = 0
    uptime: int = UNKNOWN


def follow(
    streams: list[Stream], stream: Integers, sequence: Integers, step: Integers, uptime: Integers
) -> dict[int, tuple[int, int]]:
    """Follow streams over some datagrams. Those in which every number is the next take no step in Python for their datagrams.

    Args:
        streams: Their states, which are brought up to date; each has at least one datagram.
        stream: Shape (datagrams,), an index into `streams`.
        sequence: Shape (datagrams,), in the order of arrival.
        step: Shape (datagrams,), what each adds to the number; `UNKNOWN` where that can't be told.
        uptime: Shape (datagrams,), milliseconds; negative where the header has none.
    Returns:
        For each stream in which something was odd: what was lost (negative when late datagrams made good for more), and how often
        the exporter restarted.
    """
    order = np.argsort(stream, kind="stable")
    stream, sequence, step, uptime = stream[order], sequence[order], step[order], uptime[order]
    bounds = np.searchsorted(stream, np.arange(len(streams) + 1))
    first, last = bounds[:-1], bounds[1:] - 1
    after = np.where(step == UNKNOWN, UNKNOWN, (sequence + step) % MODULUS)
    before, earlier = np.roll(after, 1), np.roll(uptime, 1)
    before[first] = [one.expected for one in streams]
    known = np.array([one.uptime for one in streams], np.int64)
    earlier[first] = np.where(known == UNKNOWN, uptime[first], known)
    back = earlier - uptime
    restarted = (uptime >= 0) & (back > UPTIME_BACK) & (back < MODULUS - UPTIME_BACK)
    odd = restarted | ((before != sequence) & (before != UNKNOWN))
    changes: dict[int, tuple[int, int]] = {}
    for number in np.unique(stream[odd]).tolist():
        part = slice(bounds[number], bounds[number + 1])
        changes[number] = _follow_one(streams[number], sequence[part], step[part], restarted[part])
    for number, (state, expected, seen) in enumerate(zip(streams, after[last].tolist(), uptime[last].tolist(), strict=True)):
        state.uptime = seen
        if number not in changes:
            state.expected = expected
    return changes


def _follow_one(state: Stream, sequence: Integers, step: Integers, restarted: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Follow one stream datagram by datagram; return what was lost, and how often the exporter restarted."""
    lost = restarts = 0
    late = LATE * max(int(step.max()), 1)
    for number, size, again in zip(sequence.tolist(), step.tolist(), restarted.tolist(), strict=True):
        change, anew = _step(state, number, size, late, restarted=again)
        lost += change
        restarts += anew
    return lost, restarts


def _step(stream: Stream, number: int, size: int, late: int, *, restarted: bool) -> tuple[int, bool]:
    """Follow one datagram; return what was lost with it, and whether the exporter restarted."""
    gap = 0 if stream.expected == UNKNOWN else (number - stream.expected + MODULUS // 2) % MODULUS - MODULUS // 2
    if restarted or gap < -late or gap > FAR_AHEAD:
        stream.missing, change, restarted = 0, 0, True
    elif 0 < size <= -gap:
        change = -min(size, stream.missing)
        stream.missing += change
        return change, False
    else:
        change = max(gap, -stream.missing)
        stream.missing += change
    stream.expected = UNKNOWN if size == UNKNOWN else (number + size) % MODULUS
    return change, restarted
