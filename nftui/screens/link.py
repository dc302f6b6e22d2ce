"""How fast the line to the terminal is, and what may be sent to it now.

Between the program and the eyes stand buffers: the pty's (some kilobytes), over SSH also those of sshd, of TCP and of what routers
hold, megabytes in all. That a write returns says nothing, therefore. After a frame the terminal is asked where its cursor is
(`ESC [ 6 n`, four octets, which everything since the VT100 answers): the answer comes when all before it was taken. Where none
comes, what counts is that the frame was written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import IO

ASK = "\x1b[6n"
STEPS = (2.0, 5.0, 10.0)
"""Seconds between refreshes that a slow line is given."""
ROOM = 2.5
"""How much longer than a frame takes the time between two is: the line is free for keys more than half of the time."""
NOTICED = 0.3
"""Seconds for a frame, beyond what an answer takes at best, from which on a line is slow."""
MEMORY_S = 20.0
"""For so long the slowest frame counts."""
GIVE_UP_S = 15.0
"""After so long an answer is not waited for any more."""
FIRST_S = 6.0
"""For so long the first answer is waited for: until then, that a frame was written says nothing."""
TRIES = 3
"""Questions without any answer after which the terminal is one that gives none."""
SMALL, LARGE = 2048, 16384
"""Characters that may be under way on a line that is slow, and on one that isn't."""


class Link:
    """The line to a terminal. `wrote` and `heard` are called by the threads that write and read, all else by the screen's."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._handed = self._taken = self._written = 0
        self._frames: deque[tuple[int, float]] = deque()
        self._asked: deque[tuple[int, float]] = deque()
        self._late = 0
        self._least: float | None = None
        self._lags: deque[tuple[float, float]] = deque()
        # What the other threads tell, until it is looked at.
        self._writes: deque[tuple[int, float]] = deque(maxlen=256)
        self._heard: deque[float] = deque()

    @property
    def answers(self) -> bool:
        """Whether the terminal has answered."""
        return self._least is not None

    @property
    def waits(self) -> bool:
        """Whether an answer is on its way, which nobody but us must read."""
        return self.answers and len(self._asked) + self._late > len(self._heard)

    def passed(self, count: int) -> None:
        """Take note that so many characters were handed over."""
        self._handed += count

    def frame(self) -> bool:
        """Take note that these were a frame; tell whether `ASK` is to follow it."""
        self._frames.append((self._handed, self._clock()))
        if not self.answers and len(self._asked) + self._late >= TRIES:
            return False
        self._asked.append((self._handed, self._clock()))
        return True

    def wrote(self, count: int) -> None:
        """Take note that so many characters were written."""
        self._written += count
        self._writes.append((self._written, self._clock()))

    def heard(self) -> None:
        """Take note that the terminal answered its oldest question."""
        self._heard.append(self._clock())

    @property
    def clear(self) -> bool:
        """Whether the terminal has taken enough of what it was sent for more to be sent."""
        self._look()
        return self._handed - self._taken <= (SMALL if self._worst() >= NOTICED else LARGE)

    def interval(self, wanted: float) -> float:
        """Return the seconds between two refreshes: those that are wanted, or more on a slow line."""
        self._look()
        worst = self._worst()
        if worst < NOTICED:
            return wanted
        return max(wanted, next((step for step in STEPS if step >= worst * ROOM), STEPS[-1]))

    def _look(self) -> None:
        """Read what the other threads told; forget questions that nobody answers."""
        now = self._clock()
        while self._heard:
            self._answered(self._heard.popleft())
        while self._asked and now - self._asked[0][1] > GIVE_UP_S:
            taken, _ = self._asked.popleft()
            self._late += 1
            if self.answers:
                self._take(taken, now, GIVE_UP_S)
        if self.answers and not self._asked and self._frames and now - self._frames[-1][1] > GIVE_UP_S:
            # Frames from before the first answer, which no question followed.
            self._take(self._handed, now, 0.0)
        if self._unknown():
            return
        while self._writes:
            written, when = self._writes.popleft()
            if not self.answers:
                began = next((began for total, began in self._frames if total >= written), when)
                self._take(written, when, max(when - began, 0.0))

    def _unknown(self) -> bool:
        """Return whether the first answer may still come."""
        return not self.answers and bool(self._asked) and self._clock() - self._asked[0][1] < FIRST_S

    def _answered(self, when: float) -> None:
        if self._late:
            self._late -= 1
        elif self._asked:
            taken, asked = self._asked.popleft()
            took = when - asked
            self._least = took if self._least is None else min(self._least, took)
            self._take(taken, when, took - self._least)

    def _take(self, taken: int, when: float, lag: float) -> None:
        self._taken = max(self._taken, taken)
        while self._frames and self._frames[0][0] <= taken:
            self._frames.popleft()
        self._lags.append((when, lag))

    def _worst(self) -> float:
        """Return how long the slowest frame of late took, or the oldest one that is still under way."""
        now = self._clock()
        while self._lags and now - self._lags[0][0] > MEMORY_S:
            self._lags.popleft()
        # Where the terminal answers, a frame that no question followed says nothing.
        pending = self._asked if self.answers else self._frames
        waiting = now - pending[0][1] - (self._least or 0.0) if pending and not self._unknown() else 0.0
        return max(waiting, max((lag for _, lag in self._lags), default=0.0))


class Metered:
    """A terminal's file, which tells a link what was written; a terminal that is gone takes everything."""

    def __init__(self, file: IO[str], link: Link) -> None:
        self._file, self._link = file, link

    def write(self, text: str) -> None:
        """Write text, and wait until the terminal's buffer has it."""
        # Whoever hands over more would wait for ever for a thread that an error has ended.
        with suppress(OSError):
            self._file.write(text)
            self._file.flush()
        self._link.wrote(len(text))

    def flush(self) -> None:
        """Write what waits."""
        with suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        """Return the file's number."""
        return self._file.fileno()
