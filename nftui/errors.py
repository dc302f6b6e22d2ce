"""Every error that nftui raises on purpose.

    NftuiError
    ├── ConfigError        a configuration file, key or value
    ├── UsageError         an argument on the command line
    ├── FilterError        a filter expression; knows the column
    ├── ListenError        a socket that can't be had
    ├── StoreError         the data directory
    │   ├── StoreLocked    another collector holds it
    │   └── SegmentError   one file of it
    ├── CaptureFileError   a file to import that can't be read
    ├── CodecMissing       a file is compressed in a way for which a library is missing
    └── ExportError        a file that can't be written
        └── Cancelled      the writing was given up, as was asked

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
    """

    def __init__(self, text: str, column: int, token: str, problem: str, hint: str = "") -> None:
        self.text, self.column, self.token, self.problem, self.hint = text, column, token, problem, hint
        super().__init__(f"filter, column {column + 1}: {problem}" + (f"; {hint}" if hint else ""))


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


class CodecMissing(NftuiError):
    """A library that is needed to read compressed files is not installed.

    Attributes:
        codec: The compression.
    """

    def __init__(self, codec: str, path: str = "") -> None:
        self.codec = codec
        super().__init__(
            f"{path + ': ' if path else ''}compressed with {codec}, for which a library is missing: pip install 'nftui[nfdump]'"
        )


class ExportError(NftuiError):
    """A file of an answer that can't be written."""


class Cancelled(ExportError):
    """The writing of an answer was given up, as was asked; nothing of it is left behind."""
