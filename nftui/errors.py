"""Every error that nftui raises on purpose.

    NftuiError
    ├── ConfigError        a configuration file, key or value
    ├── UsageError         an argument on the command line
    ├── FilterError        a filter expression; knows the column
    ├── ListenError        a socket that can't be had
    ├── StoreError         the data directory
    │   ├── StoreLocked    another collector holds it
    │   └── SegmentError   one file of it
    └── CaptureFileError   a file to import that can't be read

Each says in one line what was wrong, with the offending value, and how to mend it; the command line prints it as it is.
"""

from __future__ import annotations


class NftuiError(Exception):
    """Base of all errors that a user may see as one line."""


class ConfigError(NftuiError):
    """A configuration file, key or value that can't be used."""


class UsageError(NftuiError):
    """An argument that can't be used; exit status 2."""


class FilterError(NftuiError):
    """A filter expression that can't be understood.

    Attributes:
        text: The whole expression.
        column: Where the offending token starts, counted from 0.
        token: The offending token, empty at the end of the text.
        problem: What was wrong, in a few words.
        hint: What to write instead, or empty.
        source: The file or field that holds the text; empty for what was typed.
    """

    def __init__(self, text: str, column: int, token: str, problem: str, hint: str = "", *, source: str = "") -> None:
        self.text, self.column, self.token, self.problem, self.hint = text, column, token, problem, hint
        self.source = source
        above = text.count("\n", 0, column)
        behind = column - (text.rfind("\n", 0, column) + 1) if source else column
        where = f"{source}, line {above + 1}" if source and above else source or "filter"
        super().__init__(f"{where}, column {behind + 1}: {problem}" + (f"; {hint}" if hint else ""))

    @property
    def pointer(self) -> str:
        """The line that is wrong, and a caret below the place; empty where there is no text."""
        if not self.text:
            return ""
        start = self.text.rfind("\n", 0, self.column) + 1
        line = self.text[start:].split("\n", 1)[0]
        return f"  {line}\n  {' ' * (self.column - start)}^"


class ListenError(NftuiError):
    """A socket that can't be bound."""

    def __init__(self, address: str, port: int, reason: str) -> None:
        self.address, self.port = address, port
        super().__init__(reason)


class StoreError(NftuiError):
    """A data directory that can't be used."""


class StoreLocked(StoreError):
    """Another collector writes to this store."""


class SegmentError(StoreError):
    """One file of the store that can't be read."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class CaptureFileError(NftuiError):
    """A file to import that can't be read."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: {reason}")
