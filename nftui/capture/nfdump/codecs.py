"""How blocks are compressed: LZO1X, bzip2, LZ4 and zstd, each bounded by what a block may hold.

bzip2 is Python's own; the others come with the extra `nfdump`, and are looked for when a file first needs one.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable
from importlib import import_module

from nftui.errors import CodecMissing

MAX_BLOCK = 16 << 20
"""Octets of a block, compressed or not. nfdump writes some 1 to 2 MB, and reads no more than 5."""
USUAL_BLOCK = 2 << 20
"""Octets that a block holds at most, as a rule: to make room for the most there may be takes ten times as long."""
_LZO_MOST = 256 << 20
"""The LZO library can't be told when to stop, so what a block could become is told beforehand from its zeros: each adds at most
255 octets to a match, any other octet 72 (a match of 288 octets takes four)."""
NAMES = {0: "none", 1: "LZO", 2: "bzip2", 3: "LZ4", 4: "zstd"}
"""By the number in a file's header."""

Decompress = Callable[[bytes], bytes]


class BrokenBlock(ValueError):
    """A block that can't be decompressed, or would become larger than a block may be."""


def codec(number: int) -> Decompress | None:
    """Return what decompresses the blocks of a file; None where they are not compressed.

    Raises:
        CodecMissing: The library for it is not installed.
        KeyError: There is no such compression.
    """
    return {0: lambda: None, 1: _lzo, 2: lambda: _bzip2, 3: _lz4, 4: _zstd}[number]()


def _library(name: str, codec: str) -> object:
    try:
        return import_module(name)
    except ImportError as error:
        raise CodecMissing(codec) from error


def _bzip2(octets: bytes) -> bytes:
    stream = bz2.BZ2Decompressor()
    try:
        found = stream.decompress(octets, MAX_BLOCK + 1)
    except (OSError, ValueError, EOFError) as error:
        raise BrokenBlock(str(error)) from error
    if len(found) > MAX_BLOCK or not stream.eof:
        raise BrokenBlock("too large" if len(found) > MAX_BLOCK else "ends within the block")
    return found


def _lz4() -> Decompress:
    library = _library("lz4.block", "LZ4")

    def decompress(octets: bytes) -> bytes:
        try:
            return bytes(library.decompress(octets, uncompressed_size=USUAL_BLOCK))  # type: ignore[attr-defined]
        except library.LZ4BlockError:  # type: ignore[attr-defined]
            pass
        try:
            return bytes(library.decompress(octets, uncompressed_size=MAX_BLOCK))  # type: ignore[attr-defined]
        except (library.LZ4BlockError, ValueError, MemoryError) as error:  # type: ignore[attr-defined]
            raise BrokenBlock(str(error)) from error

    return decompress


def _lzo() -> Decompress:
    library = _library("lzallright", "LZO")
    compressor = library.LZOCompressor  # type: ignore[attr-defined]

    def decompress(octets: bytes) -> bytes:
        zeros = octets.count(0)
        if 255 * zeros + 72 * (len(octets) - zeros) > _LZO_MOST:
            raise BrokenBlock("too large")
        try:
            found = bytes(compressor.decompress(octets, USUAL_BLOCK))
        except (library.LZOError, ValueError, MemoryError) as error:  # type: ignore[attr-defined]
            raise BrokenBlock(str(error)) from error
        if len(found) > MAX_BLOCK:
            raise BrokenBlock("too large")
        return found

    return decompress


def _zstd() -> Decompress:
    library = _library("zstandard", "zstd")
    stream = library.ZstdDecompressor(max_window_size=MAX_BLOCK)  # type: ignore[attr-defined]

    def decompress(octets: bytes) -> bytes:
        try:
            # What a frame says of its own size is allocated whatever the limit.
            if library.get_frame_parameters(octets).content_size not in range(MAX_BLOCK + 1):  # type: ignore[attr-defined]
                return _streamed(octets)
            return bytes(stream.decompress(octets, max_output_size=MAX_BLOCK))
        except (library.ZstdError, ValueError, MemoryError) as error:  # type: ignore[attr-defined]
            raise BrokenBlock(str(error)) from error

    def _streamed(octets: bytes) -> bytes:
        with stream.stream_reader(octets) as reader:
            found = bytes(reader.read(MAX_BLOCK + 1))
        if len(found) > MAX_BLOCK:
            raise BrokenBlock("too large")
        return found

    return decompress
