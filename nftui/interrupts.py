"""^C: a command ends, and says so in one line, whatever it strikes.

Python raises KeyboardInterrupt in what it runs at that moment. Where that was called by Polars, it panics: pages on stderr about
what failed within it, and an error of another kind. So it is remembered that somebody wants the command to end, and what foreign
code writes to stderr from then on is nobody's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Self, TextIO


class Interrupts:
    """Makes whatever an interrupt leads to a KeyboardInterrupt, while it is entered.

    Attributes:
        struck: Whether there was one.
    """

    def __init__(self) -> None:
        """Prepare; nothing is changed before it is entered."""
        self.struck = False
        self._taken = False
        self._error_output: TextIO | None = None

    def __enter__(self) -> Self:
        """Take interrupts, unless whoever began this process had them ignored."""
        self._taken = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._taken:
            signal.signal(signal.SIGINT, self._strike)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Raise KeyboardInterrupt where an interrupt led to any error."""
        if self._taken and signal.getsignal(signal.SIGINT) == self._strike:  # not where the command took them itself
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._error_output is not None:
            ours, sys.stderr = sys.stderr, self._error_output
            os.dup2(ours.fileno(), 2)
            with contextlib.suppress(OSError):  # whoever read it is gone
                ours.close()
        if self.struck and error is not None:
            raise KeyboardInterrupt from error

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if not self.struck:
            self.struck = True
            self._keep_error_output()
        raise KeyboardInterrupt

    def _keep_error_output(self) -> None:
        """Have only what we write ourselves reach stderr."""
        sys.unraisablehook = _ignore
        if sys.__stderr__ is None:
            return  # it was closed before we began: its descriptor is another file's
        self._error_output = sys.stderr
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def _ignore(_: sys.UnraisableHookArgs) -> None:
    """An interrupt within a callback: it is remembered anyway."""
