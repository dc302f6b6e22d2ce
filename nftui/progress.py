"""How far something long has come: a bar on a terminal's standard error, and nothing anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

BAR = 30
EVERY_S = 0.2


class Bar:
    """A bar, as a context: it is wiped away at the end. Called with how much is done, and of how much."""

    def __init__(self, unit: str, *, shown: bool | None = None) -> None:
        """Draw nothing yet.

        Args:
            unit: What is counted, in the plural.
            shown: Whether to draw; None for a terminal only.
        """
        self._unit = unit
        self._shown = sys.stderr.isatty() if shown is None else shown
        self._drawn = False
        self._next = time.monotonic() + EVERY_S

    def __call__(self, done: int, total: int) -> None:
        """Draw it, if it is time to."""
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next, self._drawn = now + EVERY_S, True
        share = min(done / total, 1.0) if total else 1.0
        full = round(share * BAR)
        sys.stderr.write(f"\r[{'#' * full}{'.' * (BAR - full)}] {share:4.0%}  {done:,} of {total:,} {self._unit}\x1b[K")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
