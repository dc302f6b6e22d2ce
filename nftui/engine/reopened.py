"""What is opened by whoever takes from it, and where that fails is tried again and again, and says why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from nftui.errors import InterfaceError, NftuiError

OPEN_AGAIN_S, REFUSED_S = 2.0, 30.0
"""Seconds until what is not there is tried again, and what is not permitted."""


class Closable(Protocol):
    """What can be opened."""

    @property
    def problem(self) -> str:
        """Why nothing comes at present; empty where all is well."""
        ...

    def fileno(self) -> int:
        """Return what becomes readable when there is something to take."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


S = TypeVar("S", bound=Closable)


class Reopened(Generic[S]):
    """Something that may not be there yet. Used from one thread."""

    def __init__(self, opened: Callable[[], S]) -> None:
        """Begin, without opening anything.

        Args:
            opened: Opens it; it raises `NftuiError`.
        """
        self._opened = opened
        self._source: S | None = None
        self._refused, self._due = "", 0.0

    @property
    def problem(self) -> str:
        """Why nothing comes at present; empty where all is well."""
        return self._source.problem if self._source is not None else self._refused

    def open(self) -> None:
        """Open it, where that was not done yet.

        Raises:
            NftuiError: It can't be.
        """
        if self._source is None:
            self._source, self._refused = self._opened(), ""

    def handles(self) -> list[int]:
        """Return the descriptor of what is open."""
        return [self._source.fileno()] if self._source is not None else []

    def close(self) -> None:
        """Close it, for good; what was counted stays."""
        if self._source is not None:
            self._source.close()

    def _try(self) -> None:
        """Open it, when it is time to."""
        now = time.monotonic()
        if now < self._due:
            return
        try:
            self.open()
        except InterfaceError as error:
            self._refused, self._due = str(error), now + (REFUSED_S if error.refused else OPEN_AGAIN_S)
        except NftuiError as error:
            self._refused, self._due = str(error), now + REFUSED_S
