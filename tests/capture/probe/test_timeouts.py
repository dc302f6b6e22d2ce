"""The instants at which flows end, to the microsecond: each limit itself is no longer part of the flow."""

from __future__ import annotations

import numpy as np
import pytest

from nftui.capture.probe.timeouts import ACTIVE, END_DETECTED, FORCED, IDLE, Timeouts, begins

TIMEOUTS = Timeouts(active=60, inactive=15, linger=2)
NO, YES = np.array([False]), np.array([True])


def whole(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("time", "goes_on"),
    [(124, True), (125, False), (86, True), (85, False)],
    ids=["before the silence ends", "as it ends", "the clock set back a little", "set back by a silence"],
)
def test_a_packet_belongs_to_a_flow(time: int, goes_on: bool) -> None:
    assert TIMEOUTS.goes_on(whole(100), whole(110), NO, whole(time)).tolist() == [goes_on]


def test_why_a_flow_ends() -> None:
    assert TIMEOUTS.reasons(whole(0), whole(45), NO, 60).tolist() == [ACTIVE], "both timeouts at once: the longer one says why"
    assert TIMEOUTS.reasons(whole(0), whole(44), NO, 59).tolist() == [IDLE]
    assert TIMEOUTS.reasons(whole(0), whole(44), NO, 58).tolist() == [FORCED]
    assert TIMEOUTS.reasons(whole(0), whole(44), YES, 45).tolist() == [END_DETECTED]


def test_a_silence_of_just_the_timeout_begins_another_flow() -> None:
    never = np.zeros(4, np.bool_)
    found = begins(TIMEOUTS, whole(0, 14, 29, 43), whole(0), (whole(0), NO), [never] * 3, [NO] * 3)
    assert found.tolist()[1:] == [False, True, False]
