"""A crew: processes that write to a collector's store beside it, each to streams of its own; started, watched and started again.

A member is told by its standard input: what it is told first, a line, and its end is the member's. It holds the store's lock with
the collector, gives account of itself in a file every second, and what it counted stays when it ends by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nftui.engine import accounts
from nftui.engine.accounts import Account
from nftui.engine.child import Pace, again, end, environment
from nftui.engine.share import Share
from nftui.units import SECOND

STALE_S = 5.0
"""A member gives account of itself every second; one that did not for so long is told of."""
BEGIN_S = 15.0
"""How long it may take until its first account."""
END_S = 20.0
"""How long it may take to store what it has."""


@dataclass(slots=True)
class Member:
    """A process of a crew, and what became of those with its number before.

    Attributes:
        share: Which one it is.
        name: What it is called in events.
        account: Where it gives account of itself.
        descriptors: That it inherits, beside the lock's.
        process: The process; None before the first.
        started: When, as `time.monotonic` tells.
        due: When it may be started again.
        pace: When the next may begin after one that ended.
        restarts: How often it ended by itself.
        past: What those before counted.
        told: Whether it was told of as silent.
        renewed: Whether it is to end and be started again.
        retired: Whether it is to end, and not be started any more.
    """

    share: Share
    name: str
    account: Path
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    pace: Pace = field(default_factory=Pace)
    restarts: int = 0
    past: Account = field(default_factory=dict)
    told: bool = False
    renewed: bool = False
    retired: bool = False

    @property
    def pid(self) -> int:
        """The process id; 0 without a process."""
        return self.process.pid if self.process else 0

    def said(self) -> Account | None:
        """Return the present process's account; None before it gave one."""
        found = accounts.read(self.account) if self.process else None
        return found if found and found.get("pid") == self.pid else None

    def ask(self) -> None:
        """Ask it to store what it has, and to end."""
        if self.process and self.process.stdin:
            with suppress(OSError):
                self.process.stdin.close()


class Crew:
    """The members of one kind; a subclass says what they are.

    Attributes:
        MODULE: What each runs.
        LOSS: What is lost with one that ends by itself, in words.
        lost: Flows that they had and could not store, as known when all have ended.
    """

    MODULE = ""
    LOSS = ""

    def __init__(self, root: Path, members: Sequence[Member], told: bytes, tell: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            root: The data directory.
            members: All of them.
            told: What each is told, a line.
            tell: Makes something an event.
        """
        self._root, self._told, self._tell = root, told, tell
        self._members = list(members)
        self._lock = -1
        self.lost = 0
        self._ending = False
        # What watches is another thread than what tells to end.
        self._guard = threading.Lock()

    def start(self, lock: int) -> None:
        """Start all.

        Args:
            lock: Descriptor of the store's lock: it stays held for as long as one of them lives.
        """
        self._lock = lock
        for member in self._members:
            self._start(member)

    def watch(self) -> None:
        """Start those again that ended, and tell of those that are silent; called every second by a thread that outlives them."""
        with self._guard:
            for member in self._members if not self._ending else ():
                if member.process and member.process.poll() is not None:
                    self._bury(member)
                if member.process is None and not member.retired and time.monotonic() >= member.due:
                    self._start(member)

    def renew(self, lock: int) -> None:
        """Have all store what they have, end, and start again.

        Args:
            lock: As `start` takes it: another one where the store was begun anew.
        """
        self._lock = lock
        for member in self._members:
            member.renewed = member.process is not None
            member.ask()

    def finish(self) -> None:
        """Have all store what they have, and end; none is started any more."""
        with self._guard:
            self._ending = True
            for member in self._members:
                member.ask()

    def wait(self) -> None:
        """After `finish`, wait until all have ended."""
        deadline = time.monotonic() + END_S
        for member in self._members:
            if member.process is None or member.process.returncode is not None:
                continue
            try:
                status = member.process.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                member.process.kill()
                status = member.process.wait()
            if status:
                self._tell(f"{member.name} {end(status)}: {self.LOSS}")
        counted = [one for member in self._members for one in (member.past, member.said()) if one]
        self.lost = sum(one.get("queue_dropped", 0) + one.get("flows_pending", 0) for one in counted)

    def close(self) -> None:
        """Wait once more, in case nobody did, and remove what was said meanwhile: the account of all has it."""
        self.wait()
        for member in self._members:
            member.account.unlink(missing_ok=True)

    def heard(self) -> list[tuple[Member, list[Account]]]:
        """Return what each says, and those before it said that ended; who says nothing is told of."""
        found = []
        for member in self._members:
            said = member.said()
            self._listen(member, said)
            found.append((member, [one for one in (member.past, said) if one]))
        return found

    def _words(self, member: Member) -> list[object]:
        """Return what stands behind the module in a member's command."""
        share = member.share
        return [self._root, share.number, share.processes, os.getpid(), self._lock, *member.descriptors]

    def _start(self, member: Member) -> None:
        member.started, member.told = time.monotonic(), False
        try:
            member.process = subprocess.Popen(
                [sys.executable, "-m", self.MODULE, *map(str, self._words(member))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=environment(),
                pass_fds=[self._lock, *member.descriptors],
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._tell(f"{member.name} can't be started, which is tried again: {error.strerror}")
            member.due = member.started + Pace.longest()
            return
        if member.process.stdin:
            with suppress(OSError):
                member.process.stdin.write(self._told + b"\n")

    def _bury(self, member: Member) -> None:
        """Keep what a member that ended counted, and say when the next may begin."""
        said, process, now = member.said(), member.process, time.monotonic()
        if said:
            member.past = accounts.left(accounts.together(said, [member.past]) if member.past else said)
        member.ask()
        member.process = None
        renewed, member.renewed = member.renewed, False
        if (renewed or member.retired) and process and not process.returncode:
            return
        status = process.returncode if process else 0
        if member.retired:
            self._tell(f"{member.name} {end(status)}: {self.LOSS}")
            return
        member.restarts += 1
        pause = member.pace.after(now - member.started)
        member.due = now + pause
        self._tell(f"{member.name} {end(status)} and {again(pause)}: {self.LOSS}")

    def _listen(self, member: Member, said: Account | None) -> None:
        """Tell of a member that says nothing, once."""
        if member.process is None or self._ending:
            return
        if said is None:
            silent = time.monotonic() - member.started
            late = silent > BEGIN_S
        else:
            silent = time.time() - int(said.get("now", 0)) / SECOND
            late = silent > STALE_S
        if late and not member.told:
            self._tell(f"{member.name} has said nothing for {silent:.0f} s")
        member.told = late
