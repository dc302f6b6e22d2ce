"""Files that nobody needs any more, and that stay a while for readers who listed them before."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)


class Leaving:
    """Files to be removed when their time has come, in the order in which they were added."""

    def __init__(self) -> None:
        self._due: dict[Path, float] = {}

    def __contains__(self, path: Path) -> bool:
        return path in self._due

    def __len__(self) -> int:
        return len(self._due)

    def add(self, paths: Iterable[Path], grace_s: float) -> None:
        """Let files stay for some seconds more; those that leave already keep their time."""
        due = time.monotonic() + grace_s
        for path in paths:
            self._due.setdefault(path, due)

    def remove(self, now: float | None = None) -> int:
        """Remove the files whose time has come, by default as of this moment; all with `math.inf`. Return how many."""
        now = time.monotonic() if now is None else now
        removed = 0
        for path in [path for path, when in self._due.items() if when <= now]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s can't be removed: %s", path, error)
                continue
            del self._due[path]
            removed += 1
        return removed

    def remove_all(self) -> int:
        """Remove them at once, and return how many there were."""
        return self.remove(math.inf)
