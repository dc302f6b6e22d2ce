"""Capture files as a source of frames: pcap and pcapng, compressed by gzip or not, of any size; and the same through a pipe.

A file is read in blocks of one size. Of a pipe what is there is handed over at once: while the frames of one block are worked on,
the next one gathers in the pipe.

Source: RFC 1952, section 2.2 (a gzip file has members).
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from nftui.capture.probe.capture_formats import HEAD, SPARE, CaptureFormat, format_of
from nftui.capture.probe.frames import FrameBlock, FrameCounts
from nftui.errors import CaptureFileError

BLOCK_OCTETS = 4 << 20
"""Octets of the file that one block of frames is made of, at most; unless one block of a pcapng file is longer."""
PIPE_OCTETS = 1 << 20
"""What is asked for as room in a pipe; it is what an unprivileged process may have."""
SHORT = 96
"""A frame that was cut, and of which less was captured, may lack headers."""
STDIN = "-"
_TERMINAL = "is a terminal, not a capture: tcpdump -i IF -U -w - | nftui probe -"
_PIECE = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 31
_F_SETPIPE_SZ = 1031


class CaptureFile:
    """A capture file or a pipe with one, as a `FrameSource`; also an iterator of its blocks, which waits where a pipe is empty.

    What was handed over is valid until the next block is asked for.

    Attributes:
        name: The path, or `standard input`.
        counts: Of what was handed over; `dropped` is what the file says of whoever wrote it.
        problem: Always empty: there is nothing to wait for but the end.
        ended: Whether all was handed over.
        file_cut: Whether the file ended within a frame.
        size: Octets of the file; 0 where that is not known, as of a pipe.
    """

    def __init__(self, path: Path | str, *, block_octets: int = BLOCK_OCTETS) -> None:
        """Open a file.

        Args:
            path: `-` for standard input.
            block_octets: Octets of the file that one block of frames is made of.

        Raises:
            CaptureFileError: It can't be opened.
        """
        self.name = "standard input" if str(path) == STDIN else str(path)
        self.counts, self.problem = FrameCounts(), ""
        self.ended = self.file_cut = False
        try:
            self._descriptor = os.dup(0) if str(path) == STDIN else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise CaptureFileError(self.name, _said(error)) from error
        kind = os.fstat(self._descriptor)
        self.size = kind.st_size if stat.S_ISREG(kind.st_mode) else 0
        unusable = "is a directory" if stat.S_ISDIR(kind.st_mode) else _TERMINAL if os.isatty(self._descriptor) else ""
        if unusable:
            os.close(self._descriptor)
            raise CaptureFileError(self.name, unusable)
        if stat.S_ISFIFO(kind.st_mode):
            with suppress(OSError):
                fcntl.fcntl(self._descriptor, _F_SETPIPE_SZ, PIPE_OCTETS)
        self._plain = _Plain(self._descriptor, waits=not stat.S_ISREG(kind.st_mode))
        self._supply: _Supply = self._plain
        self._format: CaptureFormat | None = None
        self._octets, self._first, self._last = bytearray(block_octets + SPARE), 0, 0
        self._needed, self._over, self._broken = HEAD, False, ""

    @property
    def offset(self) -> int:
        """Octets of the file that were read so far."""
        return self._plain.taken

    def fileno(self) -> int:
        """Return the descriptor, to poll; a file is always readable."""
        return self._descriptor

    def take(self) -> FrameBlock | None:
        """Return the next frames, without waiting.

        Returns:
            None where none are there at present, or where all were handed over.
        Raises:
            CaptureFileError: The file can't be read, or only up to here.
        """
        while not self.ended:
            if self._last - self._first >= self._needed or (self._over and not (self._format or self._broken)):
                block = self._parse()
                if block is not None:
                    return block
            elif self._broken:
                self.close()
                raise CaptureFileError(self.name, self._broken)
            elif self._over:
                self.file_cut = self._last > self._first
                self.close()
            elif not self._fill():
                return None
        return None

    def __iter__(self) -> Iterator[FrameBlock]:
        """Yield all blocks."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not self.ended:
            block = self.take()
            if block is not None:
                yield block
            elif not self.ended:
                poll.poll()

    def close(self) -> None:
        """Close the file; there is nothing more to take."""
        self.ended = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _parse(self) -> FrameBlock | None:
        """Read frames of the octets that are there."""
        if self._format is None:
            head = bytes(self._octets[self._first : min(self._last, self._first + HEAD)])
            if head[:2] == _GZIP_MAGIC and self._supply is self._plain:
                self._supply = _Inflated(self._plain, bytes(self._octets[self._first : self._last]))
                self._last, self._over = self._first, False
                return None
            found = format_of(head)
            if isinstance(found, str):
                self._stop(found)
                return None
            self._format = found
        read = self._format.read(self._octets, self._first, self._last)
        self._first, self._needed = read.behind, read.needed
        self.counts.dropped += read.dropped
        if read.problem:
            self._stop(read.problem)
        if read.block is not None:
            self._count(read.block)
        return read.block

    def _stop(self, problem: str) -> None:
        """Say that nothing can be read from here on."""
        self._broken, self._needed = problem, sys.maxsize

    def _count(self, block: FrameBlock) -> None:
        captured = block.end - block.start
        self.counts.frames += len(block)
        self.counts.octets += int(block.length.sum())
        self.counts.cut += int(((captured < block.length) & (captured < SHORT)).sum())

    def _fill(self) -> bool:
        """Get more octets, as many as there is room for; return whether any came, or the end."""
        left = self._last - self._first
        if self._needed > len(self._octets) - SPARE:
            wider = bytearray(self._needed + SPARE)
            wider[:left] = self._octets[self._first : self._last]
            self._octets = wider
        else:
            self._octets[:left] = self._octets[self._first : self._last]
        self._first, self._last = 0, left
        with memoryview(self._octets) as view:
            while self._last < len(self._octets) - SPARE:
                try:
                    got = self._supply.into(view[self._last : len(self._octets) - SPARE])
                except (OSError, zlib.error, EOFError) as error:
                    self._broken = _said(error)
                    break
                if not got:
                    self._over = got is not None
                    break
                self._last += got
        return self._last > left or self._over or bool(self._broken)


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class _Supply(Protocol):
    """Where octets come from."""

    def into(self, view: memoryview) -> int | None:
        """Fill some of it; return how much, 0 at the end, None where nothing is there at present."""
        ...


class _Plain:
    """Octets of a descriptor as they are.

    Attributes:
        taken: How many so far.
    """

    def __init__(self, descriptor: int, *, waits: bool) -> None:
        """Begin; `waits` says whether reading may have to wait."""
        self._descriptor, self.taken = descriptor, 0
        self._poll = select.poll() if waits else None
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLIN)

    def into(self, view: memoryview) -> int | None:
        """Read, when that can be done without waiting."""
        if self._poll is not None and not self._poll.poll(0):
            return None
        got = os.readv(self._descriptor, [view])
        self.taken += got
        return got


class _Inflated:
    """What octets compressed by gzip stand for."""

    def __init__(self, plain: _Plain, begin: bytes) -> None:
        """Begin with octets that were read already."""
        self._plain, self._left = plain, begin
        self._member: zlib._Decompress | None = None
        self._error: zlib.error | None = None

    def into(self, view: memoryview) -> int | None:
        """Decompress.

        Raises:
            zlib.error: The octets are broken here.
            EOFError: They end too early.
        """
        if self._error is not None:
            raise self._error
        while True:
            if not self._left:
                piece = bytearray(_PIECE)
                got = self._plain.into(memoryview(piece))
                if got is None:
                    return None
                if not got:
                    if self._member is not None:
                        raise EOFError("the compressed file ended before its end mark")
                    return 0
                self._left = bytes(piece[:got])
            if self._member is None:
                # Behind a member there may be zeros, or another member.
                self._left = self._left.lstrip(b"\0")
                if not self._left:
                    continue
                self._member = zlib.decompressobj(_GZIP)
            octets = self._inflate(len(view))
            if octets:
                view[: len(octets)] = octets
                return len(octets)

    def _inflate(self, most: int) -> bytes:
        member = self._member
        assert member is not None
        before = member.copy()
        try:
            octets = member.decompress(self._left, most)
        except zlib.error as error:
            octets = _up_to_error(before, self._left, most)
            if not octets:
                raise
            self._error = error
            return octets
        self._left = member.unconsumed_tail
        if member.eof:
            self._left, self._member = member.unused_data, None
        return octets


def _up_to_error(member: zlib._Decompress, octets: bytes, most: int) -> bytes:
    """Return what stands before a broken place, at most so much."""
    found = bytearray()
    with suppress(zlib.error):
        for place in range(len(octets)):
            found += member.decompress(octets[place : place + 1])
    return bytes(found[:most])
