"""The line to the terminal: how slow it is, what may be sent, and that a real slow one is noticed and never flooded."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.screens.link import ASK, FIRST_S, MEMORY_S, SMALL, STEPS, Link
from tests.screens.outlet import line


class Wire:
    """A line of a rate and a delay, with buffers without an end before it, and a terminal that answers or doesn't."""

    def __init__(self, rate: float, delay: float, answers: bool = True) -> None:
        self.rate, self.delay, self.answers = rate, delay, answers
        self.now = self.free = 0.0
        self.link = Link(lambda: self.now)
        self._coming: list[float] = []
        self._writing: list[tuple[float, int]] = []

    @property
    def queued(self) -> float:
        """Characters that were handed over and not sent yet."""
        return max(self.free - self.now, 0.0) * self.rate

    def frame(self, size: int) -> bool:
        """Send a frame if the link lets it; tell whether it did."""
        self.pass_time(0)
        if not self.link.clear:
            return False
        self.link.passed(size)
        self.put(size)
        if self.link.frame():
            self.link.passed(len(ASK))
            self.put(len(ASK))
            if self.answers:
                self._coming.append(self.free + self.delay)
        return True

    def put(self, size: int) -> None:
        self.free = max(self.free, self.now) + size / self.rate
        # With a terminal that answers, buffers take everything at once; without one, the pty is all there is.
        self._writing.append((self.now if self.answers else self.free, size))

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        due = sorted([(when, 0) for when in self._coming] + self._writing)
        for when, size in due:
            if when <= end:
                self.now = max(self.now, when)
                if size:
                    self.link.wrote(size)
                    self._writing.remove((when, size))
                else:
                    self.link.heard()
                    self._coming.remove(when)
        self.now = end


@pytest.mark.parametrize("answers", [True, False])
def test_a_fast_line_is_left_alone(answers: bool) -> None:
    wire = Wire(1_000_000, 0.3, answers)
    for _ in range(60):
        assert wire.frame(3000) or (not answers and wire.now < FIRST_S)
        wire.pass_time(1)
        assert wire.link.interval(1.0) == 1.0
    assert wire.link.interval(0.5) == 0.5
    assert wire.link.interval(30.0) == 30.0


@pytest.mark.parametrize("answers", [True, False])
def test_a_slow_line_gets_fewer_frames_and_a_better_one_more_again(answers: bool) -> None:
    wire = Wire(2000, 0.1, answers)
    sent, last = 0, -10.0
    for _ in range(600):
        if wire.now - last >= wire.link.interval(1.0) and wire.frame(3000):
            sent, last = sent + 1, wire.now
        wire.pass_time(0.1)
        assert wire.queued <= 2 * 3000 + SMALL
    assert wire.link.interval(1.0) == 5.0
    assert 10 <= sent <= 22
    wire.rate = 100_000
    for _ in range(round(MEMORY_S) + 12):
        wire.frame(3000)
        wire.pass_time(1)
    assert wire.link.interval(1.0) == 1.0


@settings(max_examples=150, deadline=None)
@given(
    st.floats(2000, 20_000) | st.floats(2000, 1e6), st.floats(0, 1.5), st.booleans(),
    st.lists(st.tuples(st.integers(1, 6000), st.floats(0, 2)), min_size=1, max_size=60),
)  # fmt: skip
def test_keys_never_queue_behind_more_than_a_frame(
    rate: float, delay: float, answers: bool, frames: list[tuple[int, float]]
) -> None:
    wire = Wire(rate, delay, answers)
    for size, pause in frames:
        wire.frame(size)
        assert wire.queued <= 16384 + 6000 + 64
        wire.pass_time(pause)
        assert wire.link.interval(1.0) in (1.0, *STEPS)
    wire.pass_time(wire.queued / rate + 60)
    assert wire.link.clear


def test_a_terminal_that_stops_answering_is_not_waited_for_without_an_end() -> None:
    wire = Wire(100_000, 0.1)
    for _ in range(5):
        wire.frame(1000)
        wire.pass_time(1)
    wire.answers = False
    stopped = sum(wire.frame(4000) or wire.pass_time(1) is None for _ in range(10))
    assert stopped
    wire.pass_time(60)
    assert wire.link.clear


@pytest.mark.parametrize("answers", [True, False])
def test_a_slow_terminal_is_noticed(store: Path, answers: bool) -> None:
    with line(store, {}, columns=160, lines=45, answers=answers) as one:
        one.until(b"Help")
        began = time.monotonic()
        # Only cells that changed are sent: a place may stand between two of its letters.
        said = re.compile(rb"s(?:\x1b\[[0-9;]*[mH])*l(?:\x1b\[[0-9;]*[mH])*o(?:\x1b\[[0-9;]*[mH])*w(?:\x1b\[[0-9;]*[mH]| )*link")
        while not said.search(one.octets) and time.monotonic() < began + 40:
            one.press("T")
            one.throttled(1, 8000)
        assert said.search(one.octets), one.octets[-3000:]
        before = len(one.octets)
        for key in "T" * 12:
            one.press(key)
            one.throttled(0.1, 8000)
        # Nothing is read until all keys have been seen: what waits is no more than a few frames, however many were wanted.
        time.sleep(3)
        one.rest(0.5)
        assert len(one.octets) - before < 60_000
