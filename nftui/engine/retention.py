"""Retention: whole segments leave, the oldest first, when they are too old, or too much for their room or the disk.

A segment that expires is hidden at one stroke, by an empty file that supersedes it and all that it superseded, and removed a minute
later: a question under way still finds what it listed. Where the disk has no room left it is removed at once.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nftui.engine.files import FILE_MODE
from nftui.engine.leaving import Leaving
from nftui.engine.segments import EXPIRED, TAIL, Part, without_expired, without_superseded
from nftui.engine.store import Store
from nftui.units import SECOND

DAY = 86_400 * SECOND
GRACE_S = 60.0
"""How long a segment that expired stays on the disk."""
EMPTY_FOLDER_S = 3600.0
BLOCK = 512
"""Octets of what `stat` calls a block: what a file takes of its disk is counted, not how long it is."""
JUMP_US, JUMP_HOLD_S = 3600 * SECOND, 3600.0
"""A clock that jumps ahead by more makes nothing expire by age for so long: the jump may be the mistake."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How long, and how much, is kept.

    Attributes:
        lifespan: Microseconds after its last receipt, or after it was imported, at which a segment is too old; 0 for never.
        octets: All segments and the tail take no more; 0 for no limit.
        free: Octets of the disk that stay free; 0 for none.
    """

    lifespan: int = 5 * DAY
    octets: int = 0
    free: int = 0


@dataclass(frozen=True, order=True)
class Kept:
    """A segment: from when it is kept, microseconds; and its size."""

    since: int
    part: Part
    octets: int


def expired(kept: Sequence[Kept], limits: Limits, now: int, octets: int, free: int) -> list[tuple[Kept, str]]:
    """Return the segments that have to go, the oldest first, each with the limit that it is beyond.

    Args:
        kept: All segments.
        limits: How much is kept.
        now: The time, microseconds.
        octets: What the store takes, all in all.
        free: Octets of the disk that are free.
    """
    going = []
    for one in sorted(kept, key=lambda one: (one.since, one.part.name)):
        if limits.lifespan and one.since < now - limits.lifespan:
            reason = "age"
        elif limits.octets and octets > limits.octets:
            reason = "size"
        elif free < limits.free:
            reason = "free"
        else:
            break
        going.append((one, reason))
        octets -= one.octets
        free += one.octets
    return going


@dataclass(frozen=True)
class _Hidden:
    """What is removed together: a mark, and the parts that it hides, lowest level first, so that nothing comes back meanwhile."""

    due: float
    mark: Path
    parts: tuple[Path, ...]


class Retention:
    """Keeps one store within its limits.

    Attributes:
        limits: How long, and how much, is kept.
        removed: How many segments expired so far, by limit.
        oldest: From when the oldest segment is kept, microseconds; 0 without any.
        octets: What the store takes, but for what expired.
        free: Octets of the disk that are free.
        segments: How many there are.
        held: Why nothing expires by age at present, or nothing.
    """

    def __init__(self, root: Path, limits: Limits, leaving: Leaving) -> None:
        """Begin.

        Args:
            root: The data directory.
            limits: How much is kept.
            leaving: Files that were superseded, which go first when there is no room.
        """
        self.root, self.limits = root, limits
        self.removed: dict[str, int] = {}
        self.oldest = self.octets = self.free = self.segments = 0
        self.held = ""
        self._store = Store(root)
        self._superseded = leaving
        self._hidden: list[_Hidden] = []
        self._held_until = 0.0
        self._seen: tuple[int, float] | None = None

    def sweep(self, now: int) -> list[tuple[Kept, str]]:
        """Have expire what is beyond the limits, and remove what expired long enough ago.

        Args:
            now: The time, microseconds.
        Returns:
            What expired, and by which limit.
        Raises:
            OSError: The store is gone.
            StoreError: It can't be listed.
        """
        self._remove_hidden(time.monotonic())
        limits = replace(self.limits, lifespan=0) if self._jumped(now) else self.limits
        going = self._going(limits, now)
        if any(reason != "age" for _, reason in going) and self._superseded.remove_all():
            going = self._going(limits, now)
        if going:
            streams: dict[str, list[Part]] = defaultdict(list)
            for part in self._store.listed():
                streams[part.name.stream].append(part)
            for one, reason in going:
                self._expire(one.part, streams[one.part.name.stream])
                self.removed[reason] = self.removed.get(reason, 0) + 1
        if self.free < self.limits.free:
            self._remove_hidden(math.inf)
        self.segments -= len(going)
        self.octets -= sum(one.octets for one, _ in going)
        return going

    def recover(self) -> None:
        """Remove what had expired when an earlier run ended."""
        listed = self._store.listed()
        for mark in listed:
            if mark.name.level == EXPIRED:
                self._hide(mark, listed)
        self._remove_hidden(math.inf)

    def _going(self, limits: Limits, now: int) -> list[tuple[Kept, str]]:
        """Look at all segments, at what they take, and at what the disk has left."""
        listed = self._store.listed()
        sizes: dict[Part, tuple[int, float]] = {}
        for part in without_expired(listed):
            try:
                stat = part.path.stat()
            except FileNotFoundError:
                continue
            sizes[part] = stat.st_blocks * BLOCK, stat.st_mtime
        current = [part for part in without_superseded(listed) if part in sizes and part.name.level > TAIL]
        kept = [Kept(_since(part, sizes[part][1]), part, sizes[part][0]) for part in current]
        disk = os.statvfs(self.root)
        self.octets, self.free, self.segments = sum(size for size, _ in sizes.values()), disk.f_bavail * disk.f_frsize, len(kept)
        self.oldest = min((one.since for one in kept), default=0)
        leaving = sum(_size(path) for hidden in self._hidden for path in hidden.parts)
        return expired(kept, limits, now, self.octets, self.free + leaving)

    def _expire(self, part: Part, stream: list[Part]) -> None:
        name = replace(part.name, level=EXPIRED)
        mark = Part(name, part.path.with_name(str(name)))
        try:
            os.close(os.open(mark.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        except OSError as error:
            log.warning("%s can't be written (%s): what it stands for is removed at once", mark.path.name, error.strerror)
            self._hide(mark, stream)
            self._remove_hidden(math.inf)
        else:
            self._hide(mark, stream)

    def _hide(self, mark: Part, listed: list[Part]) -> None:
        below = sorted((part for part in listed if mark.name.covers(part.name)), key=lambda part: part.name.level)
        self._hidden.append(_Hidden(time.monotonic() + GRACE_S, mark.path, tuple(part.path for part in below)))

    def _remove_hidden(self, now: float) -> None:
        """Remove what expired, a mark after all that it hides."""
        waiting = []
        for hidden in self._hidden:
            try:
                if hidden.due > now:
                    waiting.append(hidden)
                    continue
                for path in (*hidden.parts, hidden.mark):
                    path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s can't be removed: %s", hidden.mark.name, error)
                waiting.append(hidden)
                continue
            self._remove_empty(hidden.mark.parent)
        self._hidden = waiting

    def _remove_empty(self, folder: Path) -> None:
        """Remove a day's folder, and those above it, when nothing has been in it for long."""
        while folder != self._store.flows and self._store.flows in folder.parents:
            try:
                if time.time() - folder.stat().st_mtime < EMPTY_FOLDER_S:
                    return
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def _jumped(self, now: int) -> bool:
        """Return whether the clock jumped ahead of late, by what the machine's own clock says."""
        steady = time.clock_gettime(time.CLOCK_BOOTTIME)
        if self._seen is not None:
            then, before = self._seen
            ahead = now - then - int((steady - before) * SECOND)
            if ahead > JUMP_US:
                self._held_until = steady + JUMP_HOLD_S
                self.held = f"the clock jumped {ahead // (60 * SECOND):,} minutes ahead: nothing expires by age for an hour"
                log.warning("%s", self.held)
        self._seen = now, steady
        if steady >= self._held_until:
            self.held = ""
        return bool(self.held)


def _since(part: Part, modified: float) -> int:
    """Return from when a segment is kept: its last receipt; what was imported, the import."""
    if part.name.stream.startswith(("i", "oddi")):
        return max(part.name.received_to, int(modified * SECOND))
    return part.name.received_to


def _size(path: Path) -> int:
    try:
        return path.stat().st_blocks * BLOCK
    except OSError:
        return 0
