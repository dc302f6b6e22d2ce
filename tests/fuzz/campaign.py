"""Campaigns: sessions of one protocol after each other, watched for time and memory; failures are saved."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.checks import Checker, Counts, Failure
from tests.fuzz.shrink import shrink
from tests.fuzz.steps import Step, save
from tests.fuzz.traffic import STEPS, Session

HANG_S = 60.0
"""A block that takes so long is a failure, and the end."""
GROWTH = 64 << 20
"""Octets that the process may grow by after it is warm."""
WARM = 0.4
"""The share of a campaign after which memory has to stay as it is."""
SHRINK_S = 20.0
SAVED = 20
"""Failures of one campaign that are saved; more are only counted."""
PROGRESS_S = 15.0


@dataclass
class Campaign:
    """One protocol, fuzzed.

    Attributes:
        protocol: One of `mutations.PROTOCOLS`.
        seed: The same seed gives the same steps.
        folder: Where failures go.
        counts: What was seen.
        failures: Kind of failure -> how often.
        resident: (seconds, octets in memory) at the end of each session.
    """

    protocol: str
    seed: int
    folder: Path
    counts: Counts = field(default_factory=Counts)
    failures: dict[str, int] = field(default_factory=dict)
    resident: list[tuple[float, int]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def run(self, seconds: float, *, sessions: int = 0, steps: int = STEPS) -> None:
        """Run sessions for some time, or a number of them; `steps` of each at most."""
        self.began, told, number = time.monotonic(), time.monotonic(), 0
        watch = Watch(self, ends=not sessions)
        while number < sessions if sessions else time.monotonic() - self.began < seconds:
            self._session(number, steps, watch, 0 if sessions else self.began + seconds)
            gc.collect()
            self.resident.append((time.monotonic() - self.began, resident()))
            number += 1
            if time.monotonic() - told > PROGRESS_S and not sessions:
                told = time.monotonic()
                print(self.line(), flush=True)
        watch.stop()
        if (grown := self.growth()) > GROWTH:
            self.failures["memory"] = 1
            print(f"{self.protocol} seed {self.seed}: memory grew by {grown / 1e6:.0f} MB after it was warm", flush=True)

    def _session(self, number: int, most: int, watch: Watch, until: float) -> None:
        session = Session(self.protocol, self.seed, number)
        checker, past = Checker(session.mode), list[Step]()
        try:
            for step in session.steps():
                if len(past) == most or (until and time.monotonic() > until):
                    break
                past.append(step)
                watch.begin(past)
                checker.step(step)
                watch.end()
            checker.close()
        except Failure as failure:
            watch.end()
            self._failed(failure, past, session.mode)
        self.counts.add(checker.counts)

    def _failed(self, failure: Failure, past: Sequence[Step], mode: str) -> None:
        self.failures[failure.kind] = self.failures.get(failure.kind, 0) + 1
        step, where = past[-1].number, ""
        if self.failures[failure.kind] == 1 and len(self.failures) <= SAVED:
            paths = [self.folder / f"{self.protocol}-{self.seed}-{step}{kind}.pcap" for kind in ("", "-small")]
            save(paths[0], past)
            began = time.monotonic()
            small = shrink(past, mode, failure.kind, SHRINK_S)
            self.began += time.monotonic() - began
            save(paths[1], small)
            number = sum(len(one.sent) for one in small)
            where = f"; {paths[1]} ({number} datagrams, {sum(one.octets for one in small):,} octets; --mode {mode})"
        if self.failures[failure.kind] <= 3:
            print(f"{self.protocol} --replay {self.seed}:{step}: {failure.kind}: {failure}{where}", flush=True)

    def growth(self) -> int:
        """Return by how many octets memory grew: from the most while it was getting warm to the least of the last sessions."""
        if len(self.resident) < 6:
            return 0
        end = self.resident[-1][0]
        warm = max(octets for moment, octets in self.resident if moment <= WARM * end or octets == self.resident[0][1])
        return max(0, min(octets for moment, octets in self.resident if moment >= 0.85 * end) - warm)

    def line(self) -> str:
        """Return what was seen, on one line."""
        counts, seconds = self.counts, max(time.monotonic() - self.began, 1e-9)
        memory = [octets / 1e6 for _, octets in (self.resident or [(0.0, resident())])]
        warm = memory[int(len(memory) * WARM)]
        return (
            f"{self.protocol:6} {counts.blocks:9,} blocks {counts.datagrams:10,} datagrams {counts.flows:10,} flows "
            f"{counts.malformed:10,} malformed {counts.unread:9,} unread  {counts.datagrams / seconds:7,.0f}/s  "
            f"RSS {memory[0]:.0f} {warm:.0f} {memory[-1]:.0f} MB  "
            f"slowest {counts.slowest[0]:.2f} s ({self.seed}:{counts.slowest[1]})  {sum(self.failures.values())} failures"
        )


class Watch:
    """A thread that ends everything when a block takes too long, after saving what led there."""

    def __init__(self, campaign: Campaign, *, ends: bool) -> None:
        self._campaign = campaign
        self._past: Sequence[Step] = ()
        self._deadline = float("inf")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        if ends:
            self._thread.start()

    def begin(self, past: Sequence[Step]) -> None:
        """A block begins, the last of these."""
        self._past, self._deadline = past, time.monotonic() + HANG_S

    def end(self) -> None:
        """It has ended."""
        self._deadline = float("inf")

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            if time.monotonic() > self._deadline:
                one, past = self._campaign, list(self._past)
                path = one.folder / f"{one.protocol}-{one.seed}-{past[-1].number}.pcap"
                save(path, past)
                print(f"{one.protocol} --replay {one.seed}:{past[-1].number}: hangs for {HANG_S:.0f} s; {path}", flush=True)
                sys.stdout.flush()
                os._exit(2)


def resident() -> int:
    """Return octets of this process in memory."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
