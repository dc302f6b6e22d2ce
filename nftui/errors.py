"""Every error that nftui raises on purpose.

    NftuiError
    ├── ConfigError        a configuration file, key or value
    ├── UsageError         an argument on the command line
    ├── FilterError        a filter expression; knows the column
    ├── ResolveError       a name that stands for no address
    ├── PlacesError        a file of countries or AS numbers
    ├── ListenError        a socket that can't be had
    ├── InterfaceError     an interface that packets can't be taken from
    ├── PacketFilterError  a filter of packets, for the kernel
    ├── StoreError         the data directory
    │   ├── StoreLocked    another collector holds it
    │   └── SegmentError   one file of it
    ├── CaptureFileError   a file to import that can't be read
    ├── CodecMissing       a file is compressed in a way for which a library is missing
    ├── GivenUp            a question whose answer nobody waits for any more
    └── ExportError        a file that can't be written
        └── Cancelled      the writing was given up, as was asked

Each says in one line what was wrong, with the offending value, and how to mend it; the command line prints it as it is.
"""

from __future__ import annotations

from nftui.printable import cell_width, printable


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
        before = text[:column].split("\n")
        line = f"line {len(before)}, " if len(before) > 1 else ""
        super().__init__(f"{source or 'filter'}, {line}column {len(before[-1]) + 1}: {problem}" + (f"; {hint}" if hint else ""))

    def picture(self, width: int = 100) -> str:
        """Return the error, the line of the filter that has it, and a mark under the token; printable, of three lines.

        Args:
            width: The most terminal cells that the line of the filter takes; of a longer one the surroundings are shown.
        """
        start = self.text.rfind("\n", 0, self.column) + 1
        before, rest = printable(self.text[start : self.column], 1 << 16), self.text[self.column :].split("\n")[0]
        if (over := cell_width(before) - width // 2) > 0:
            before = "…" + before[over + 1 :]
        after = printable(rest, width - cell_width(before))
        token = printable(rest[: len(self.token)], width - cell_width(before))
        return f"{printable(self, 2000)}\n  {before}{after}\n  {' ' * cell_width(before)}{'^' * max(1, cell_width(token))}"


class ResolveError(NftuiError):
    """A name that stands for no address, or that nobody may look up.

    Attributes:
        name: As it was written.
        problem: What is wrong with it, in a few words.
        hint: How to mend it.
    """

    def __init__(self, name: str, problem: str, hint: str) -> None:
        self.name, self.problem, self.hint = name, problem, hint
        super().__init__(f"{name} {problem}; {hint}")


class PlacesError(NftuiError):
    """A file of countries or AS numbers that can't be used."""


class ListenError(NftuiError):
    """A socket that can't be bound."""

    def __init__(self, address: str, port: int, reason: str) -> None:
        self.address, self.port = address, port
        super().__init__(reason)


class InterfaceError(NftuiError):
    """An interface that packets can't be taken from.

    Attributes:
        interface: Its name.
        refused: Whether it is for want of rights.
    """

    def __init__(self, interface: str, reason: str, *, refused: bool = False) -> None:
        self.interface, self.refused = interface, refused
        super().__init__(f"{interface}: {reason}")


class PacketFilterError(NftuiError):
    """A filter of packets that can't be made into a program for the kernel.

    Attributes:
        text: The filter.
    """

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        super().__init__(f"packet filter {text!r}: {reason}")


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


class GivenUp(NftuiError):
    """A question was given up by who asked it."""


class ExportError(NftuiError):
    """A file of an answer that can't be written."""


class Cancelled(ExportError):
    """The writing of an answer was given up, as was asked; nothing of it is left behind."""
