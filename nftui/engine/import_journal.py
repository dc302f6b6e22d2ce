"""The journal of imports: which files are in a store, and how far one is that was interrupted.

    imports/lock             held while an import runs
    imports/i0a1b2c3d.log    of one import, a line of JSON each: what a segment is about to hold, then that it is there

A segment appears at one stroke, and the journal says before which part of which files it holds. So after a crash at any moment the
store itself tells whether the last line came true, and what the line says is then stored, or is not. A line that was cut is one of
a segment that was not begun.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from nftui.engine.files import FILE_MODE
from nftui.engine.segments import EXPIRED, TAIL
from nftui.engine.share import STREAMS
from nftui.engine.store import Store, make_folder
from nftui.errors import StoreError, StoreLocked

FOLDER = "imports"
_SAMPLE, _SAMPLES = 64 << 10, 16
_NAME = re.compile(r"(i[0-9a-f]{8})\.log")


class Piece(NamedTuple):
    """A part of a file: some of the units in which it is read.

    Attributes:
        file: The file's identity.
        path: Where it was.
        first: Number of the first unit.
        last: Behind the last.
        whole: Whether the file ends there.
    """

    file: str
    path: str
    first: int
    last: int
    whole: bool


class Half(NamedTuple):
    """A segment that is to be written, or is there: its stream and its sequence number."""

    stream: str
    number: int


class Unfinished(NamedTuple):
    """What a crash left half done: some pieces of files, of whose two segments one is there."""

    pieces: tuple[Piece, ...]
    missing: frozenset[Half]
    journal: Path
    number: int
    halves: tuple[Half, ...]


def identity(path: Path) -> str:
    """Return what tells a file from others, whatever it is called: a digest of its size and of samples of its content.

    Of a file of up to 1 MiB all is read, of a longer one its first and its last 64 KiB and fourteen more between.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest = blake2b(size.to_bytes(8, "big"), digest_size=16)
        for at in range(_SAMPLES):
            file.seek(min(at * _SAMPLE, size) if size <= _SAMPLE * _SAMPLES else (size - _SAMPLE) * at // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


class Journal:
    """The journal of one import, and what those before it left."""

    def __init__(self, root: Path) -> None:
        """Take the right to import, and read what earlier imports wrote.

        Raises:
            StoreLocked: Another import is running.
            StoreError: The store can't be read or written.
        """
        self._folder = root / FOLDER
        self._positions: dict[str, int] = {}
        self._whole: set[str] = set()
        self.unfinished: list[Unfinished] = []
        try:
            make_folder(self._folder)
            self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise StoreError(f"{root}: {error.strerror}; choose a data directory you may write with --data DIR") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StoreLocked(f"{root}: another import is writing to it; wait for its end") from error
        self._read(Store(root))
        self.stream = f"i{secrets.token_hex(4)}"
        self._path = self._folder / f"{self.stream}.log"
        self._next = dict.fromkeys((self.stream, odd(self.stream)), 1)
        self._lines = 0

    def close(self) -> None:
        """Give the right to import back."""
        os.close(self._lock)

    def whole(self, file: str) -> bool:
        """Return whether all of a file is in the store."""
        return file in self._whole

    def position(self, file: str) -> int:
        """Return how many units of a file are in the store, from its first on."""
        return self._positions.get(file, 0)

    def forget(self, file: str) -> None:
        """Have a file imported again."""
        self._whole.discard(file)
        self._positions.pop(file, None)
        self.unfinished = [one for one in self.unfinished if all(piece.file != file for piece in one.pieces)]

    def numbered(self, halves: int) -> list[Half]:
        """Return the segments that are written next: of the stream, and where there are two of its odd twin."""
        return [Half(stream, self._next[stream]) for stream in (self.stream, odd(self.stream))][:halves]

    def intend(self, pieces: list[Piece], halves: list[Half]) -> int:
        """Write down what segments are about to hold; return the number of the line.

        Raises:
            OSError: It can't be written; nothing has changed then.
        """
        self._lines += 1
        self._append(self._path, {"line": self._lines, "pieces": pieces, "segments": halves})
        for stream, number in halves:
            self._next[stream] = number + 1
        return self._lines

    def done(self, line: int, pieces: list[Piece]) -> None:
        """Write down that the segments of a line are there.

        Raises:
            OSError: It can't be written; the store tells the same.
        """
        self._append(self._path, {"stored": line})
        self._take(pieces)

    def finish(self, one: Unfinished) -> None:
        """Write down that what was half done is done."""
        self._append(one.journal, {"stored": one.number})
        self._take(one.pieces)
        self.unfinished.remove(one)

    # -- reading

    def _read(self, store: Store) -> None:
        present: dict[str, list[tuple[int, int]]] = {}
        for part in store.listed():
            if TAIL < part.name.level <= EXPIRED:
                present.setdefault(part.name.stream, []).append((part.name.first, part.name.last))
        for path in sorted(self._folder.iterdir()):
            if _NAME.fullmatch(path.name):
                self._read_one(path, present)

    def _read_one(self, path: Path, present: dict[str, list[tuple[int, int]]]) -> None:
        stored: set[int] = set()
        intended: list[tuple[int, tuple[Piece, ...], tuple[Half, ...]]] = []
        for line in _lines(path):
            try:
                if "stored" in line:
                    stored.add(int(line["stored"]))
                else:
                    pieces = tuple(Piece(str(a), str(b), int(c), int(d), bool(e)) for a, b, c, d, e in line["pieces"])
                    halves = tuple(Half(str(stream), int(number)) for stream, number in line["segments"])
                    intended.append((int(line["line"]), pieces, halves))
            except (KeyError, TypeError, ValueError):
                continue
        for number, pieces, halves in intended:
            missing = frozenset(half for half in halves if not any(a <= half.number <= b for a, b in present.get(half.stream, ())))
            if number in stored or not missing:
                self._take(pieces)
            elif len(missing) < len(halves):
                self.unfinished.append(Unfinished(pieces, missing, path, number, halves))

    def _take(self, pieces: list[Piece] | tuple[Piece, ...]) -> None:
        for piece in pieces:
            self._positions[piece.file] = max(self._positions.get(piece.file, 0), piece.last)
            if piece.whole:
                self._whole.add(piece.file)

    def _append(self, path: Path, line: dict[str, Any]) -> None:
        # A cut line before this one ends here, and is none.
        octets = b"\n" + json.dumps(line, separators=(",", ":")).encode() + b"\n"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        try:
            os.write(handle, octets)
            os.fsync(handle)
        finally:
            os.close(handle)


def odd(stream: str) -> str:
    """Return the odd twin of a stream."""
    return STREAMS[1] + stream


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for octets in file:
            try:
                line = json.loads(octets)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line
