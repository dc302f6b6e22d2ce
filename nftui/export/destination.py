"""Where an answer is written: a file that appears whole or not at all, or a stream that is there already.

A file is written without a name beside its place, and is named when all of it is there; so whatever ends the program, a signal that
can't be caught too, leaves nothing behind, and a file that was there stays as it was. Where the file system has no files without a
name, a hidden one stands in. What is no regular file (a terminal, a FIFO, `/dev/null`) is written to as it is.
"""

from __future__ import annotations

import os
import stat
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from nftui.errors import ExportError

_MODE = 0o666


class Destination:
    """A place for one answer, as a context: what ends without an error is there afterwards.

    Attributes:
        file: To write to, octets.
    """

    file: BinaryIO

    def __init__(self, path: Path, *, replace: bool = True, advice: str = "name another file with --out") -> None:
        """Begin to write.

        Args:
            path: The file.
            replace: Whether a file that is there may be replaced; else what has the name in the end stays, and an error says so.
            advice: What the error says to do.

        Raises:
            ExportError: Nothing can be written there.
        """
        self._path, self._replace, self._advice = path, replace, advice
        self._temporary: Path | None = None
        try:
            self._begin(path)
        except OSError as error:
            raise self._error(error) from error
        except ValueError as error:
            raise ExportError(f"{path}: {error}; {advice}") from error

    def _begin(self, path: Path) -> None:
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode):
            self.file = path.open("wb", buffering=0) if not stat.S_ISDIR(mode) else _directory(path)
            self._named = True
            return
        self._named = False
        # A link to a file stays one. (Where `/dev/stdout` leads has no path.)
        self._path = path = Path(os.path.realpath(path))
        try:
            handle = os.open(path.parent, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, _MODE)
        except OSError:
            self._temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}")
            # An interrupt may come twice, and the second one before the context ends.
            weakref.finalize(self, self._temporary.unlink, missing_ok=True)
            handle = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        if mode is not None:
            os.fchmod(handle, stat.S_IMODE(mode))
        self.file = os.fdopen(handle, "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if kind is None and not self._named:
                self.file.flush()
                self._appear()
            elif isinstance(error, OSError) and error.filename is None and not isinstance(error, BrokenPipeError):
                raise error
        except OSError as failure:
            raise self._error(failure) from failure
        finally:
            if self._temporary is not None:
                self._temporary.unlink(missing_ok=True)
            with suppress(OSError):
                self.file.close()

    def _appear(self) -> None:
        """Name what was written; a name that is taken is replaced at one stroke, where it may be."""
        os.fsync(self.file.fileno())
        if not self._replace:
            if self._temporary is None:
                _link(self.file.fileno(), self._path)
            else:
                os.link(self._temporary, self._path)
            return
        if self._temporary is None:
            linked = self._path.with_name(f".{self._path.name[:200]}.{os.getpid()}")
            linked.unlink(missing_ok=True)
            _link(self.file.fileno(), linked)
            self._temporary = linked
        self._temporary.replace(self._path)
        self._temporary = None

    def _error(self, error: OSError) -> ExportError:
        return ExportError(f"{self._path}: {error.strerror or error}; {self._advice}")


def _link(handle: int, path: Path) -> None:
    """Give an open file without a name one. With a folder named, Python follows the symbolic link, and without it does not."""
    folder = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(str(handle), path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _mode(path: Path) -> int | None:
    """Return the type and the rights of what is at a path; None where nothing is."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _directory(path: Path) -> BinaryIO:
    raise IsADirectoryError(21, os.strerror(21), str(path))
