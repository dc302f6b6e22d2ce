"""A child of the collector, from both sides: started, watched and started again by the one, and ended with it by the other.

A child shares nothing with the collector but files. What it is told stands in its command or, where not everybody may read it,
in its standard input; what it tells is an account in the store.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOUND_S = 60.0
"""One that lived for so long is started again at once; others ever later."""
PAUSES_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
FOR_FIRST = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What systemd tells a service is for its first process (sd_notify(3))."""
ENDED_BY_PARENT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Sent to all processes of a service or a terminal; what they mean is for the parent to say."""
ACCOUNT_LIMIT = 1 << 20
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Pace:
    """When a child may be started again.

    Attributes:
        early: How often it ended before `SOUND_S`, in a row.
    """

    early: int = 0

    def after(self, lived_s: float) -> float:
        """Return the seconds to wait, now that one has ended that lived for so long."""
        self.early = 0 if lived_s > SOUND_S else self.early + 1
        return PAUSES_S[min(max(self.early - 1, 0), len(PAUSES_S) - 1)]

    @staticmethod
    def longest() -> float:
        """Return the seconds to wait where none could be started."""
        return PAUSES_S[-1]


class Child:
    """A child that writes an account.

    Attributes:
        name: What it is called in events.
        account: What it last said; nothing before that.
    """

    def __init__(self, name: str, account: Path, tell: Callable[[str], None]) -> None:
        """Start nothing yet.

        Args:
            name: What it is called in events.
            account: The file of its account, which has `events`, each with a `number` and a `text`.
            tell: Takes what is worth an event.
        """
        self.name = name
        self.account: dict[str, Any] = {}
        self._file, self._tell = account, tell
        self._command: Sequence[str] = ()
        self._told = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._pace = Pace()
        self._started = self._due = 0.0
        self._read: tuple[int, int] | None = None
        self._number = 0

    @property
    def wanted(self) -> bool:
        """Whether there is to be one: started, and neither stopped nor finished."""
        return bool(self._command)

    def start(self, command: Sequence[str], told: bytes = b"") -> None:
        """Start it, in the place of one that runs, which ends as it stands.

        Args:
            command: Words of the command.
            told: What it finds in its standard input.
        """
        self.stop()
        self._command, self._told = command, told
        self._launch()

    def watch(self) -> None:
        """Start it again where it has ended by itself, and take what it tells."""
        if self._process is not None and self._process.poll() is not None:
            now = time.monotonic()
            pause = self._pace.after(now - self._started)
            self._tell(f"{self.name} {end(self._process.returncode)} and {again(pause)}")
            self._process, self._due = None, now + pause
        if self._command and self._process is None and time.monotonic() >= self._due:
            self._launch()
        self._look()

    def stop(self) -> None:
        """End it as it stands, and start none."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._command, self._process = (), None

    def finish(self, patience_s: float) -> int | None:
        """Have it end properly; return its exit status, None where none ran.

        Args:
            patience_s: How long that may take before it is ended as it stands.
        """
        process, self._process, self._command = self._process, None, ()
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _launch(self) -> None:
        # Its account is of this run: an earlier one's events were told by an earlier collector.
        self._file.unlink(missing_ok=True)
        self.account, self._read, self._number = {}, None, 0
        self._started = time.monotonic()
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE if self._told else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._tell(f"{self.name} can't be started, which is tried again: {error.strerror}")
            self._due = self._started + Pace.longest()
            return
        if self._process.stdin:
            with suppress(OSError), self._process.stdin as pipe:
                pipe.write(self._told)

    def _look(self) -> None:
        try:
            stat = self._file.stat()
            if (stat.st_mtime_ns, stat.st_ino) == self._read:
                return
            with self._file.open("rb") as file:
                account = json.loads(file.read(ACCOUNT_LIMIT))
        except (OSError, ValueError, RecursionError):
            return
        self._read = stat.st_mtime_ns, stat.st_ino
        self.account = account
        for event in account["events"]:
            if event["number"] > self._number:
                self._number = event["number"]
                self._tell(event["text"])


def environment() -> dict[str, str]:
    """Return what of the environment is for children, too."""
    return {name: value for name, value in os.environ.items() if name not in FOR_FIRST}


def end(status: int) -> str:
    """Return in words how a process ended, given what `subprocess` has as its status."""
    if status < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def again(pause_s: float) -> str:
    """Return in words when it is started again."""
    return f"is started again in {pause_s:g} s" if pause_s else "is started again"


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process with its parent, so that never two keep, or write, one store."""
    libc = ctypes.CDLL(None, use_errno=True)
    prctl = getattr(libc, "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
