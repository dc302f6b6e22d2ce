"""The outlet: from the collector's queue into the store, whatever happens to the disk and the data directory meanwhile.

Flows that can't be written wait in memory, bounded, and are written when they can be. A store that was moved away or removed is
begun anew where it was. What is wrong is said in one sentence, and again when it is over.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from nftui.engine.files import overwrite_file, replace_file
from nftui.engine.share import ALONE, Share
from nftui.engine.store import Lock
from nftui.engine.writer import StoreWriter, remove_temporary
from nftui.errors import StoreError

STATUS = "status.json"
RETRY_S = 2.0
"""Between two tries to write to a disk that refused."""
SLACK = 2048
"""Octets by which a status may become longer while there is no room for another file."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Outlet:
    """Holds the store's lock, and writes to its tail: of several processes each to its own streams.

    Attributes:
        root: The data directory.
        dropped: Flows that waited for the disk until there was no more room in memory.
        problem: Why nothing can be written at present, or nothing.
        begun_anew: How often the store was gone, and begun anew.
    """

    def __init__(
        self, root: Path, tell: Callable[[str], None], waiting: int, share: Share = ALONE, lock: int | None = None
    ) -> None:
        """Take the store.

        Args:
            root: The data directory.
            tell: Takes what is worth an event.
            waiting: Flows that may wait in memory.
            share: Which process this is.
            lock: Descriptor of the lock that the first process took; None to take it.
        Raises:
            StoreLocked: Another collector has the store.
            StoreError: The data directory can't be used.
        """
        self.root, self.dropped, self.begun_anew = root, 0, 0
        self.problem = ""
        self._tell, self._waiting = tell, waiting
        self._retry_at = 0.0
        self._dropped_before = 0
        self._share = share
        self._lock = Lock(root, lock)
        try:
            remove_temporary(root / "tail", share.owns)
            self.writer = StoreWriter(root, share.stream)
            _require_writable(root / "tail", root / "flows")
        except OSError as error:
            where = error.filename or root
            raise StoreError(f"{where}: {error.strerror}; choose a data directory you may write with --data DIR") from error

    @property
    def lock(self) -> int:
        """Descriptor of the store's lock: whoever inherits it holds it too."""
        return self._lock.fileno()

    def close(self) -> None:
        """Give the store back."""
        self._lock.close()

    def write(self, before: Callable[[], None], *, last: bool = False) -> None:
        """Write what waits; what can't be written goes on waiting, as far as there is room.

        Args:
            before: Writes what must be on disk before the flows; raises OSError.
            last: Try in any case: there will be no other time.
        """
        due = not self.problem or last or time.monotonic() >= self._retry_at
        if self.look() and due:
            self._retry_at = time.monotonic() + RETRY_S
            try:
                before()
                self.writer.write_tail()
            except FileNotFoundError as error:
                self._refused(error)
                self._reopen()
            except (OSError, pl.exceptions.PolarsError) as error:
                self._refused(error)
            else:
                self._recovered()
        self.dropped += self.writer.trim(self._waiting)

    def look(self) -> bool:
        """See that the store is still where it was; begin it anew where it is not. Return whether it is ours to write to."""
        if self._lock.stands():
            return True
        if not self._share.first:
            return self._follow_first()
        try:
            lock = Lock(self.root)
        except StoreError as error:
            self._fail(f"the store was moved away, and can't be begun anew: {error}; flows wait in memory")
            return False
        self._tell(f"the store was moved away or removed: a new one was begun at {self.root}")
        self._take(lock)
        return True

    def _follow_first(self) -> bool:
        """Go on in the store that the first process has begun anew; soon it starts this one again, with the lock."""
        lock = Lock.of_process(self.root, os.getppid())
        if lock is None:
            self._fail("the store was moved away; flows wait in memory")
            return False
        self._take(lock)
        return True

    def _take(self, lock: Lock) -> None:
        self._lock.close()
        self._lock = lock
        self.begun_anew += 1
        self._reopen()

    def write_status(self, content: bytes) -> None:
        """Write the status, over the old one where the disk has no room for another: a reader may see a torn one then, once.

        Raises:
            OSError: It can't be written.
        """
        path = self._share.file(self.root, STATUS)
        try:
            replace_file(path, content.ljust(len(content) + SLACK))
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            overwrite_file(path, content)

    def _reopen(self) -> None:
        try:
            self.writer.reopen()
        except OSError as error:
            self._refused(error)
        except StoreError as error:
            self._fail(str(error))

    def _refused(self, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            self._fail("the disk is full: flows wait in memory")
        else:
            self._fail(f"the store can't be written: {str(error).split(chr(10), 1)[0]}; flows wait in memory")

    def _fail(self, problem: str) -> None:
        if not self.problem:
            self._dropped_before = self.dropped
        if problem != self.problem:
            self._tell(problem)
        self.problem = problem

    def _recovered(self) -> None:
        if self.problem:
            lost = self.dropped - self._dropped_before
            self._tell(f"the store is written again; {f'{lost:,} flows were dropped' if lost else 'nothing was lost'}")
            self.problem = ""


def _require_writable(*folders: Path) -> None:
    """See that files can be made, before the first flows find out: an earlier collector may have been another user's.

    Raises:
        PermissionError: They can't, in one of the folders.
    """
    for folder in folders:
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
