"""Workers: the further processes of a collector, started and watched by the first, which puts what they say of themselves together.

Their sockets are the first's too. The kernel goes on queueing for a process that has ended, so one that is started again finds what
came meanwhile; and its templates, which it saved.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

import msgspec

from nftui.capture.sockets import can_deal
from nftui.config import Config, to_json
from nftui.engine import accounts
from nftui.engine.accounts import Account
from nftui.engine.child import Pace, again, end, environment
from nftui.engine.listening import Entry
from nftui.engine.outlet import STATUS
from nftui.engine.share import Share
from nftui.units import SECOND

STALE_S = 5.0
"""A worker gives account of itself every second; one that did not for so long is told of."""
BEGIN_S = 15.0
"""How long it may take until its first account."""
END_S = 20.0
"""How long it may take to store what it has received."""
CANT_DEAL = "this kernel can't deal datagrams to processes by their source: one process receives"
log = logging.getLogger(__name__)


def number_of(wanted: int, entries: Sequence[Entry], tell: Callable[[str], None]) -> int:
    """Return how many processes receive.

    Args:
        wanted: 0 for one on each core that this process may use.
        entries: What is listened to: streams are for the first process, so without UDP the others would have nothing to do.
        tell: Takes it, where the kernel is in the way.
    """
    number = wanted or len(os.sched_getaffinity(0))
    if number == 1 or not any(transport == "udp" for _, _, transport in entries):
        return 1
    if not can_deal():
        tell(CANT_DEAL)
        return 1
    return number


@dataclass(slots=True)
class _Worker:
    """A worker, and what became of those with its number before.

    Attributes:
        share: Which one it is.
        sockets: Of each UDP entry.
        account: Where it gives account of itself.
        process: The process; None before the first.
        started: When, as `time.monotonic` tells.
        due: When it may be started again.
        pace: When the next may begin after one that ended.
        restarts: How often it ended by itself.
        past: What those before counted.
        told: Whether it was told of as silent.
        renewed: Whether it is to end and be started again.
    """

    share: Share
    sockets: list[socket]
    account: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    pace: Pace = field(default_factory=Pace)
    restarts: int = 0
    past: Account = field(default_factory=dict)
    told: bool = False
    renewed: bool = False

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


class Workers:
    """The further processes of one collector; none where it has only one.

    Attributes:
        lost: Flows that they received and could not store, as known when all have ended.
    """

    def __init__(self, root: Path, config: Config, sockets: Sequence[list[socket]], tell: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            root: The data directory.
            config: What each is told.
            sockets: For each worker those of the UDP entries.
            tell: Makes something an event.
        """
        self._root, self._config, self._tell = root, config, tell
        self._lock = -1
        self.lost = 0
        shares = Share(1, 1 + len(sockets)).others()
        self._workers = [_Worker(share, some, share.file(root, STATUS)) for share, some in zip(shares, sockets, strict=True)]
        self._ending = False
        # What watches is another thread than what tells to end.
        self._guard = threading.Lock()

    def descriptions(self) -> list[str]:
        """Return what whoever starts the collector should know."""
        number = 1 + len(self._workers)
        return [f"{number} processes receive over udp: an exporter's address says which"] if self._workers else []

    def start(self, lock: int) -> None:
        """Start all.

        Args:
            lock: Descriptor of the store's lock: it stays held for as long as one of them lives.
        """
        self._lock = lock
        for worker in self._workers:
            self._start(worker)

    def watch(self) -> None:
        """Start those again that ended, and tell of those that are silent; called every second by a thread that outlives them."""
        with self._guard:
            for worker in self._workers if not self._ending else ():
                if worker.process and worker.process.poll() is not None:
                    self._bury(worker)
                if worker.process is None and time.monotonic() >= worker.due:
                    self._start(worker)

    def follow(self, config: Config) -> None:
        """Have all go on by another configuration, the same as before in what it listens to, and in how many processes."""
        before, self._config = self._config, config
        if _of_workers(config) != _of_workers(before):
            self.renew(self._lock)

    def renew(self, lock: int) -> None:
        """Have all store what they have, end, and start again; what comes meanwhile waits in the kernel.

        Args:
            lock: As `start` takes it: another one where the store was begun anew.
        """
        self._lock = lock
        for worker in self._workers:
            worker.renewed = worker.process is not None
            worker.ask()

    def finish(self) -> None:
        """Have all store what they have received, and end; none is started any more."""
        with self._guard:
            self._ending = True
            for worker in self._workers:
                worker.ask()

    def wait(self) -> None:
        """After `finish`, wait until all have ended."""
        deadline = time.monotonic() + END_S
        for worker in self._workers:
            if worker.process is None or worker.process.returncode is not None:
                continue
            try:
                status = worker.process.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                status = worker.process.wait()
            if status:
                self._tell(f"process {worker.share.number} {end(status)}: at most its last second is lost")
        counted = [one for worker in self._workers for one in (worker.past, worker.said()) if one]
        self.lost = sum(one.get("queue_dropped", 0) + one.get("flows_pending", 0) for one in counted)

    def close(self) -> None:
        """Wait once more, in case nobody did, and remove what was said meanwhile: the account of all has it."""
        self.wait()
        for worker in self._workers:
            worker.account.unlink(missing_ok=True)

    def together(self, first: Account) -> Account:
        """Return the account of all, given that of the first."""
        if not self._workers:
            return first
        others: list[Account] = []
        lines = [_line(1, first, 0)]
        for worker in self._workers:
            said = worker.said()
            self._listen(worker, said)
            own = [one for one in (worker.past, said) if one]
            others += own
            lines.append(_line(worker.share.number, accounts.together(own[0], own[1:]) if own else {}, worker.restarts, worker.pid))
        return {**accounts.together(first, others), "processes": lines}

    def _start(self, worker: _Worker) -> None:
        descriptors = [one.fileno() for one in worker.sockets]
        share = worker.share
        words = [self._root, share.number, share.processes, os.getpid(), self._lock, *descriptors]
        worker.started, worker.told = time.monotonic(), False
        try:
            worker.process = subprocess.Popen(
                [sys.executable, "-m", "nftui.engine.worker", *map(str, words)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=environment(),
                pass_fds=[self._lock, *descriptors],
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._tell(f"process {share.number} can't be started, which is tried again: {error.strerror}")
            worker.due = worker.started + Pace.longest()
            return
        if worker.process.stdin:
            with suppress(OSError):
                worker.process.stdin.write(to_json(self._config) + b"\n")

    def _bury(self, worker: _Worker) -> None:
        """Keep what a worker that ended counted, and say when the next may begin."""
        said, process, now = worker.said(), worker.process, time.monotonic()
        if said:
            worker.past = accounts.left(accounts.together(said, [worker.past]) if worker.past else said)
        worker.ask()
        worker.process = None
        renewed, worker.renewed = worker.renewed, False
        if renewed and process and not process.returncode:
            return
        worker.restarts += 1
        pause = worker.pace.after(now - worker.started)
        worker.due = now + pause
        status = process.returncode if process else 0
        self._tell(f"process {worker.share.number} {end(status)} and {again(pause)}: at most its last second is lost")

    def _listen(self, worker: _Worker, said: Account | None) -> None:
        """Tell of a worker that says nothing, once."""
        if worker.process is None or self._ending:
            return
        if said is None:
            silent = time.monotonic() - worker.started
            late = silent > BEGIN_S
        else:
            silent = time.time() - int(said.get("now", 0)) / SECOND
            late = silent > STALE_S
        if late and not worker.told:
            self._tell(f"process {worker.share.number} has said nothing for {silent:.0f} s")
        worker.told = late


def _of_workers(config: Config) -> tuple[object, ...]:
    """Return what of a configuration workers go by: sealing is not theirs."""
    return msgspec.structs.replace(config.collector, interval=0), config.exporters, config.elements


def _line(number: int, account: Account, restarts: int, pid: int = 0) -> Account:
    """Return what is said of each process beside the account of all."""
    keys = ("datagrams", "datagrams_per_s", "flows", "flows_per_s", "drops")
    return {
        "number": number,
        "pid": pid or account.get("pid", 0),
        **{key: account.get(key, 0) for key in keys},
        "exporters": len(account.get("exporters", ())),
        "restarts": restarts,
    }
