"""Files of nfdump: what is in one, and its flows in frames of bounded size.

    layout 1 (nfdump 1.6): header, account, blocks         layout 2 (nfdump 1.7): header, blocks, blocks with name and account

A file that nfcapd still writes has no account yet. What is broken is counted by reason; what was whole before it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import polars as pl

from nftui.capture.nfdump import codecs, extensions, maps
from nftui.capture.nfdump.columns import Buffer, number
from nftui.capture.nfdump.exporters import EXPORTER_TYPE
from nftui.capture.nfdump.flows import FlowReader
from nftui.capture.nfdump.records import Other, Walk, walk
from nftui.errors import CaptureFileError, CodecMissing

MAGIC = 0xA50C
LITTLE, BIG = b"\x0c\xa5", b"\xa5\x0c"
NEVER = 2**63 - 1
HEADERS = {1: 140, 2: 40}
"""Octets of a file's header, by its layout."""
BLOCK_HEADER = 12
CHUNK = 2 << 20
"""Octets of blocks that are read in one step, at least: small enough to stay near the CPU."""
_ACCOUNT_1, _ACCOUNT_2 = 136, 144
_NAME, _ACCOUNT = 0x8001, 0x8002
_ARRAY_BLOCK = 4
_FLAG_CODECS = {0: 0, 1: 1, 8: 2, 16: 3}
_KNOWN_RECORDS = {3: "histogram", 4: "histogram", 5: "exporter of 1.5", 6: "sampler of 1.5", 8: "exporter statistics"}
_KNOWN_RECORDS |= {9: "sampler", 12: "application names", 13: "interface names", 14: "VRF names", 15: "sampler"}


@dataclass(slots=True)
class FileCounts:
    """What was read of files, and what was not.

    Attributes:
        blocks: Blocks of records.
        octets: Of these blocks, as the file has them.
        flows: Records of flows that were read.
        malformed: What is broken, by reason.
        skipped: What is known, and no flow, by kind.
        unread: What has no column, by extension; values that a column can't hold.
        columns: Those that flows may have, whichever were wanted.
        first: Start of the first flow that was read, microseconds; a large number where there was none.
        last: End of the last.
    """

    blocks: int = 0
    octets: int = 0
    flows: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    columns: set[str] = field(default_factory=set)
    first: int = NEVER
    last: int = 0


class Account(NamedTuple):
    """What a file says of itself: flows, and the first start and last end among them, microseconds."""

    flows: int
    first: int
    last: int


class _Block(NamedTuple):
    start: int
    end: int


class NfdumpFile:
    """One file of flows.

    Attributes:
        path: Where it is.
        layout: 1 or 2.
        name: Of who wrote it, as its `-I` said; empty where there is none.
        created: Microseconds since 1970; 0 where the file doesn't say.
        account: What it says of its flows; None where it was not closed, or makes no sense.
    """

    def __init__(self, path: Path) -> None:
        """Open a file, and read its header and its account.

        Raises:
            CaptureFileError: It can't be read, or is no such file.
            CodecMissing: It needs a library that is not installed.
        """
        self.path, self.name, self.created = path, "", 0
        self.account: Account | None = None
        try:
            with path.open("rb") as file:
                self._size = file.seek(0, 2)
                file.seek(0)
                self._read_header(file)
        except OSError as error:
            raise CaptureFileError(str(path), error.strerror or str(error)) from error

    def _read_header(self, file: IO[bytes]) -> None:
        head = file.read(4)
        order = {LITTLE: "<", BIG: ">"}.get(head[:2])
        if order is None or len(head) < 4:
            raise CaptureFileError(str(self.path), "not a file of nfdump")
        self.order = order
        self.layout = self._number(head[2:])
        if self.layout not in HEADERS:
            raise CaptureFileError(str(self.path), f"a file of nfdump of layout {self.layout}; 1 and 2 are read")
        head += file.read(HEADERS[self.layout] - 4)
        if len(head) < HEADERS[self.layout]:
            raise CaptureFileError(str(self.path), "ends within its header")
        self._end = self._size
        if self.layout == 1:
            self._header_1(head, file)
        else:
            self._header_2(head, file)

    def _header_1(self, head: bytes, file: IO[bytes]) -> None:
        flags = self._number(head[4:8]) & 0x19
        self._codec = self._find_codec(_FLAG_CODECS.get(flags, -1))
        self.name = head[12:].split(b"\0", 1)[0].decode("utf-8", "replace")
        account = file.read(_ACCOUNT_1)
        self._begin = HEADERS[1] + _ACCOUNT_1
        if len(account) == _ACCOUNT_1:
            seconds = [self._number(account[at : at + 4]) for at in (120, 124)]
            rest = [self._number(account[at : at + 2]) for at in (128, 130)]
            self._take_account(self._number(account[:8]), *(1000 * s + ms for s, ms in zip(seconds, rest, strict=True)))

    def _header_2(self, head: bytes, file: IO[bytes]) -> None:
        self._begin = HEADERS[2]
        self.created = min(self._number(head[8:16]), 2**33) * 1_000_000
        if head[17]:
            raise CaptureFileError(str(self.path), "encrypted, and can't be read")
        self._codec = self._find_codec(head[16])
        more, begin = self._number(head[18:20]), self._number(head[24:32])
        if more and HEADERS[2] <= begin < self._size:
            self._end = begin
            file.seek(begin)
            for _ in range(min(more, 16)):
                octets = self._next_block(file, self._size, FileCounts())
                if octets is None:
                    break
                self._read_appendix(octets[1])

    def _find_codec(self, number: int) -> codecs.Decompress | None:
        try:
            return codecs.codec(number)
        except KeyError:
            raise CaptureFileError(str(self.path), f"compressed in a way that is not known (number {number})") from None
        except CodecMissing as error:
            raise CodecMissing(error.codec, str(self.path)) from error.__cause__

    def _number(self, octets: bytes) -> int:
        return number(octets, self.order)

    def _read_appendix(self, octets: bytes) -> None:
        at = 0
        while at + 4 <= len(octets):
            kind, size = self._number(octets[at : at + 2]), self._number(octets[at + 2 : at + 4])
            if size < 4 or at + size > len(octets):
                return
            inside = octets[at + 4 : at + size]
            if kind == _NAME:
                self.name = inside.split(b"\0", 1)[0].decode("utf-8", "replace")
            elif kind == _ACCOUNT and len(inside) >= _ACCOUNT_2:
                first, last = (self._number(inside[place : place + 8]) for place in (120, 128))
                self._take_account(self._number(inside[:8]), first, last)
            at += size

    def _take_account(self, flows: int, first_ms: int, last_ms: int) -> None:
        if 0 < first_ms <= last_ms < 2**43 and 0 < flows < 2**48:
            self.account = Account(flows, first_ms * 1000, last_ms * 1000 + 999)

    # -- blocks

    def frames(self, columns: tuple[str, ...] | None = None, counts: FileCounts | None = None) -> Iterator[pl.DataFrame]:
        """Read the flows: of some blocks at a time, a frame for those that are laid out alike.

        Args:
            columns: Those that are wanted, null where flows lack one; None for all that flows have.
            counts: Is brought up to date with each frame.
        Yields:
            Frames of `columns`, or of the schema's columns that are there; none is empty.
        Raises:
            CaptureFileError: It can't be read any more.
        """
        counts = FileCounts() if counts is None else counts
        reader = FlowReader(self.layout, columns, self.created)
        types = maps.TYPES if self.layout == 1 else extensions.TYPES
        try:
            with self.path.open("rb") as file:
                file.seek(self._begin)
                for buffer, blocks in self._chunks(file, counts):
                    for one in self._walks(buffer, blocks, types, counts):
                        self._take_others(buffer, one.others, reader, counts)
                        reader.take(buffer, one.flows)
                    yield from reader.frames(counts)
        except OSError as error:
            raise CaptureFileError(str(self.path), error.strerror or str(error)) from error

    def _chunks(self, file: IO[bytes], counts: FileCounts) -> Iterator[tuple[Buffer, list[_Block]]]:
        """Yield some blocks beside each other, each at a multiple of 4 octets, with room for any number behind the last."""
        pieces: list[bytes] = []
        blocks: list[_Block] = []
        at = 0
        while True:
            found = self._next_block(file, self._end, counts)
            if found is not None:
                kind, octets = found
                if kind == _ARRAY_BLOCK:
                    counts.skipped["block of an array"] += 1
                    continue
                padding = -len(octets) % 4
                pieces += [octets, bytes(padding)]
                blocks.append(_Block(at, at + len(octets)))
                at += len(octets) + padding
            if blocks and (found is None or at >= CHUNK):
                yield Buffer(np.frombuffer(b"".join([*pieces, bytes(8)]), np.uint8), self.order), blocks
                pieces, blocks, at = [], [], 0
            if found is None:
                return

    def _next_block(self, file: IO[bytes], end: int, counts: FileCounts) -> tuple[int, bytes] | None:
        """Return the kind and the octets of the next block that can be read; None at the end."""
        while True:
            left = end - file.tell()
            if left <= 0:
                return None
            head = file.read(min(BLOCK_HEADER, left))
            if len(head) < BLOCK_HEADER:
                counts.malformed["file ends within the header of a block"] += 1
                return None
            size, kind, flags = self._number(head[4:8]), self._number(head[8:10]), self._number(head[10:12])
            if not 0 < size <= codecs.MAX_BLOCK:
                counts.malformed["block of an impossible size"] += 1
                return None
            counts.blocks += 1
            counts.octets += BLOCK_HEADER + size
            whole = size <= left - BLOCK_HEADER
            octets = file.read(min(size, left - BLOCK_HEADER))
            if not whole or len(octets) < size:
                counts.malformed["file ends within a block"] += 1
            if self._codec is None or flags & 1:
                return kind, octets
            try:
                return kind, self._codec(octets)
            except codecs.BrokenBlock:
                if whole:
                    counts.malformed["block can't be decompressed"] += 1

    def _walks(self, buffer: Buffer, blocks: list[_Block], types: tuple[int, ...], counts: FileCounts) -> Iterator[Walk]:
        """Find the records of some blocks; in one step where none but flows are in them."""
        if len(blocks) > 1 and all(before.end == after.start for before, after in pairwise(blocks)):
            found = walk(buffer, blocks[0].start, blocks[-1].end, types, only_flows=True)
            starts = np.array([block.start for block in blocks])
            if not found.problem and np.isin(starts, found.flows, assume_unique=True).all():
                yield found
                return
        for block in blocks:
            found = walk(buffer, block.start, block.end, types)
            if found.problem:
                counts.malformed[found.problem] += 1
            yield found

    def _take_others(self, buffer: Buffer, others: list[Other], reader: FlowReader, counts: FileCounts) -> None:
        """Take what the records of other kinds in a block say."""
        for one in others:
            octets = buffer.octets[one.place : one.place + one.size].tobytes()
            if one.type == EXPORTER_TYPE:
                reader.settle(counts)
                reader.exporters.take(octets, self.order)
                counts.skipped["exporter"] += 1
            elif self.layout == 1 and one.type == maps.MAP_TYPE:
                reader.settle(counts)
                reader.maps.take(octets, self.order)
                counts.skipped["extension map"] += 1
            elif one.type in _KNOWN_RECORDS:
                counts.skipped[_KNOWN_RECORDS[one.type]] += 1
            elif one.type in (*maps.TYPES, *extensions.TYPES):
                counts.malformed["flow of an impossible size, or of another version"] += 1
            else:
                counts.skipped[f"record of type {one.type}" if one.type < 32 else "record of an unknown type"] += 1
