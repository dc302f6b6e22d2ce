"""The keeper, the collector's niced child: seals the tail, compacts hours, has old segments expire, and tells of it.

It shares nothing with the collector but files, so that it can be killed at any moment: the next one finishes what was begun. It
ends with its parent. Its account, `keeper.json`, becomes part of the collector's.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

import polars as pl

from nftui.config import StoreSettings, size
from nftui.engine.child import die_with_parent
from nftui.engine.compaction import Compactor
from nftui.engine.files import FILE_MODE, replace_file
from nftui.engine.leaving import Leaving
from nftui.engine.retention import DAY, Limits, Retention
from nftui.engine.sealer import Sealer
from nftui.engine.set_aside import SetAside
from nftui.engine.store import Store, make_folder, stands
from nftui.errors import StoreError
from nftui.units import octets, rfc3339

PAUSE_S, FAILED_PAUSE_S = 0.5, 5.0
PACES = {"retention": 10.0, "compaction": 5.0, "looking for damage": 1.0, "account": 2.0}
"""Seconds between two looks at what there is to do; compaction goes on at once while it has something."""
NICENESS = 15
FREE_SHARE = 20
"""Of a small disk no more than this part of it is kept free."""
EVENTS = 50
"""Kept for the account; the collector takes them from there."""
ACCOUNT = "keeper.json"
_FAILURES = (OSError, StoreError, pl.exceptions.PolarsError)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keeping:
    """What a keeper is told.

    Attributes:
        interval_s: Seconds of an interval, whose tail becomes a segment.
        max_lifespan: Days that segments are kept; 0 for ever.
        max_octets: What the store may take; 0 for no limit.
        min_free: Octets of the disk to keep free.
    """

    interval_s: int = 300
    max_lifespan: float = 5.0
    max_octets: int = 0
    min_free: int = 0

    @classmethod
    def of(cls, interval_s: int, store: StoreSettings) -> Self:
        """Take the settings of a configuration."""
        return cls(interval_s, store.max_lifespan, size(store.max_size or "0"), size(store.min_free or "0"))

    @classmethod
    def parse(cls, words: list[str]) -> Self:
        """Read what `words` returned."""
        return cls(int(words[0]), float(words[1]), int(words[2]), int(words[3]))

    def words(self) -> list[str]:
        """Return them as arguments of the keeper's process."""
        return [str(self.interval_s), repr(self.max_lifespan), str(self.max_octets), str(self.min_free)]

    def limits(self, root: Path) -> Limits:
        """Return what is kept of a store, on its disk."""
        free = min(self.min_free, shutil.disk_usage(root).total // FREE_SHARE)
        return Limits(int(self.max_lifespan * DAY), self.max_octets, free)


class Keeper:
    """Looks after one store; the caller holds the right to."""

    def __init__(self, root: Path, keeping: Keeping) -> None:
        """Begin; nothing is done yet.

        Args:
            root: The data directory.
            keeping: What it is told.
        Raises:
            OSError: The data directory is gone.
        """
        self.root = root
        self._set_aside = SetAside(root)
        self._leaving = Leaving()
        self._store = Store(root)
        self.sealer = Sealer(root, keeping.interval_s, self._set_aside)
        self.retention = Retention(root, keeping.limits(root), self._leaving)
        self.compactor = Compactor(root, self._leaving, self._set_aside)
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._number = self._told_aside = 0
        self._problems: dict[str, str] = {}
        self._due = dict.fromkeys(PACES, 0.0)
        self._account: dict[str, Any] = {}

    def recover(self) -> None:
        """Finish what an earlier run left."""
        self._try("retention", self.retention.recover)
        self._try("sealing", self.sealer.recover)

    def round(self, now: int) -> bool:
        """Do what is due, and return whether there is more to do at once.

        Args:
            now: The time, microseconds.
        """
        self._try("sealing", self.sealer.sweep, now)
        if self._is_due("retention"):
            self._try("retention", self._retain, now)
        if self._is_due("looking for damage"):
            self._try("looking for damage", self._set_aside.patrol, self._store)
        more = False
        if self._is_due("compaction"):
            more = bool(self._try("compaction", self.compactor.step, now, self.retention.free - self.retention.limits.free))
            if more:
                self._due["compaction"] = 0.0
        self._leaving.remove()
        if self._is_due("account"):
            self._tell_account(now)
        return more

    def finish(self) -> None:
        """Seal all that there is."""
        self.compactor.abandon()
        self._try("sealing", self.sealer.sweep, 0, everything=True)
        self._tell_account(time.time_ns() // 1000)

    @property
    def failed(self) -> bool:
        """Whether something could not be done when it was last tried."""
        return bool(self._problems)

    def account(self) -> dict[str, Any]:
        """Return what it knows of the store, as JSON-able values."""
        kept = self.retention
        return {
            "problem": "; ".join(self._problems.values()),
            "octets": kept.octets,
            "free_octets": kept.free,
            "segments": kept.segments,
            "oldest": rfc3339(kept.oldest) if kept.oldest else None,
            "sealed": self.sealer.made,
            "compacted": self.compactor.made,
            "expired": dict(kept.removed),
            "retention": kept.held,
            "set_aside": list(self._set_aside.names),
            "events": list(self._events),
        }

    def _retain(self, now: int) -> None:
        going = self.retention.sweep(now)
        for limit, words in (("size", "the store's size limit"), ("free", "free space on the disk")):
            some = [one for one, reason in going if reason == limit]
            if some:
                self._tell(f"{len(some)} segments, {octets(sum(one.octets for one in some))}, were removed for {words}")
        if going:
            log.info("%d segments expired", len(going))

    def _try(self, what: str, work: Any, *words: Any, **more: Any) -> Any:
        """Do some work; what the disk has against it is told, and is no reason to end."""
        try:
            done = work(*words, **more)
        except _FAILURES as error:
            reason = str(error).split("\n", 1)[0]
            self._problems[what] = f"{what} failed, and is tried again: {reason}"
            self._tell(self._problems[what])
            return None
        self._problems.pop(what, None)
        return done

    def _is_due(self, what: str) -> bool:
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + PACES[what]
        return True

    def _tell(self, text: str) -> None:
        """Make something an event, once until something else happens."""
        if not self._events or self._events[-1]["text"] != text:
            log.warning("%s", text)
            self._number += 1
            self._events.append({"number": self._number, "time": time.time_ns() // 1000, "text": text})

    def _tell_account(self, now: int) -> None:
        for name in list(self._set_aside.names)[len(self._set_aside.names) - (self._set_aside.count - self._told_aside) :]:
            self._tell(f"set aside: {name}")
        self._told_aside = self._set_aside.count
        account = self.account()
        if account != self._account:
            try:
                replace_file(self.root / ACCOUNT, json.dumps({**account, "pid": os.getpid(), "now": now}).encode())
                self._account = account
            except OSError as error:
                log.warning("%s can't be written: %s", ACCOUNT, error)


def command(root: Path, keeping: Keeping) -> list[str]:
    """Return the command that runs a keeper as a child of this process."""
    return [sys.executable, "-m", "nftui.engine.keeper", str(root), str(os.getpid()), *keeping.words()]


def run(root: Path, keeping: Keeping, parent: int) -> int:
    """Keep a store until told to stop by SIGTERM, or until the parent is gone; then seal what is left.

    Returns:
        The process's exit status.
    """
    die_with_parent(parent)
    os.nice(NICENESS)
    make_folder(root)
    handle = os.open(root / "lock.seal", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    fcntl.flock(handle, fcntl.LOCK_EX)
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keeper = Keeper(root, keeping)
    keeper.recover()
    while not stopping.is_set():
        if not stands(root / "lock.seal", handle):
            log.warning("the store at %s was moved away", root)
            return 0
        if not keeper.round(time.time_ns() // 1000):
            stopping.wait(FAILED_PAUSE_S if keeper.failed else PAUSE_S)
    keeper.finish()
    return 1 if keeper.failed else 0


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s keeper: %(message)s", level=logging.INFO)
    sys.exit(run(Path(sys.argv[1]), Keeping.parse(sys.argv[3:]), int(sys.argv[2])))
