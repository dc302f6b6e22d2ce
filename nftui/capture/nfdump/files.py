"""Files of nfdump: what is in one, and its flows in frames of bounded size.

    layout 1 (nfdump 1.6): header, account, blocks         layout 2 (nfdump 1.7): header, blocks, blocks with name and account

A file that nfcapd still writes has no account yet. What is broken is counted by reason; what was whole before it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import polars as pl

from nftui.capture.nfdump import codecs, extensions, maps
from nftui.capture.nfdump.blocks import Blocks, Stretch
from nftui.capture.nfdump.columns import Buffer, number
from nftui.capture.nfdump.exporters import EXPORTER_TYPE
from nftui.capture.nfdump.flows import FlowReader
from nftui.capture.nfdump.records import Other
from nftui.errors import CaptureFileError, CodecMissing

MAGIC = 0xA50C
LITTLE, BIG = b"\x0c\xa5", b"\xa5\x0c"
NEVER = 2**63 - 1
HEADERS = {1: 140, 2: 40}
"""Octets of a file's header, by its layout."""
CHUNK = 512 << 10
"""Octets of blocks, decompressed, whose flows become frames in one step, at least: small enough to stay near the CPU."""
_ACCOUNT_1, _ACCOUNT_2 = 136, 144
_NAME, _ACCOUNT = 0x8001, 0x8002
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
            blocks = Blocks(self.order, self._codec)
            for _ in range(min(more, 16)):
                octets = blocks.first(file, self._size)
                if octets is None:
                    break
                self._read_appendix(octets)

    def _find_codec(self, number: int) -> int:
        """Return the number, once it is known that there is what decompresses."""
        try:
            codecs.codec(number)
        except KeyError:
            raise CaptureFileError(str(self.path), f"compressed in a way that is not known (number {number})") from None
        except CodecMissing as error:
            raise CodecMissing(error.codec, str(self.path)) from error.__cause__
        return number

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
        if self.layout == 1:
            blocks = Blocks(self.order, self._codec, maps.TYPES, (EXPORTER_TYPE, maps.MAP_TYPE), maps.signature)
        else:
            blocks = Blocks(self.order, self._codec, extensions.TYPES, (EXPORTER_TYPE,), extensions.signature)
        octets = 0
        try:
            with self.path.open("rb") as file:
                file.seek(self._begin)
                for stretch in blocks.stretches(file, self._end, CHUNK):
                    self._take(stretch, reader, counts)
                    octets += len(stretch.buffer.octets)
                    if octets >= CHUNK:
                        yield from reader.frames(counts)
                        octets = 0
                yield from reader.frames(counts)
        except OSError as error:
            raise CaptureFileError(str(self.path), error.strerror or str(error)) from error

    def _take(self, stretch: Stretch, reader: FlowReader, counts: FileCounts) -> None:
        counts.blocks += stretch.blocks
        counts.octets += stretch.octets
        counts.malformed.update(stretch.malformed)
        if stretch.arrays:
            counts.skipped["block of an array"] += stretch.arrays
        for others, flows in stretch.steps:
            self._take_others(stretch.buffer, others, reader, counts)
            reader.take(flows)

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
