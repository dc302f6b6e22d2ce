"""Flows out of files into a store: captures, files of nfdump, Parquet, as if they had been received when they were.

Each file is read in units, always the same ones: some blocks of it. Units are gathered to a segment, and the journal says which are
in the store, so that an import that was interrupted goes on behind the last of them, and a file is not imported twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from nftui.capture.decoder import Decoder, Rules
from nftui.capture.nfdump.files import FileCounts, NfdumpFile
from nftui.capture.pcap import CaptureFileCounts, read_capture
from nftui.config import ProbeSettings
from nftui.engine.file_kinds import FileKind, flow_files, is_being_written, kind_of
from nftui.engine.import_journal import Half, Journal, Piece, Unfinished, identity
from nftui.engine.packet_files import flows_of, holds_exports
from nftui.engine.segments import SEGMENT, TAIL, Part, PartName, parse_name, without_superseded
from nftui.engine.store import make_folder, read_schema, scan_part
from nftui.engine.writer import halved, sync, write_segment
from nftui.errors import CaptureFileError, SegmentError, StoreError
from nftui.schema import POLARS

SEGMENT_FLOWS = 1_000_000
ROWS = 262_144
"""Flows of a unit of a Parquet file."""


class Progress(NamedTuple):
    """How far an import is.

    Attributes:
        path: The file that is being read.
        files: Files before it.
        of_files: Files in all.
        octets: Read so far, of all files.
        of_octets: Size of all files.
        flows: Read so far.
    """

    path: Path
    files: int
    of_files: int
    octets: int
    of_octets: int
    flows: int


class _Source(NamedTuple):
    path: Path
    kind: FileKind
    size: int
    identity: str


@dataclass(slots=True)
class _Batch:
    """Units that become one segment, or two.

    Attributes:
        frames: Their flows.
        pieces: Which they are.
        repairs: What a crash left half done, where the units are those of it.
    """

    frames: list[pl.DataFrame] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    repairs: Unfinished | None = None

    @property
    def flows(self) -> int:
        return sum(frame.height for frame in self.frames)

    def add(self, source: _Source, unit: int, frames: list[pl.DataFrame]) -> None:
        self.frames += [frame for frame in frames if frame.height]
        if self.pieces and self.pieces[-1].file == source.identity and self.pieces[-1].last == unit:
            self.pieces[-1] = self.pieces[-1]._replace(last=unit + 1)
        else:
            self.pieces.append(Piece(source.identity, str(source.path), unit, unit + 1, False))

    def end(self, source: _Source, units: int) -> None:
        """Say that a file ends here."""
        if self.pieces and self.pieces[-1].file == source.identity:
            self.pieces[-1] = self.pieces[-1]._replace(whole=True)
        else:
            self.pieces.append(Piece(source.identity, str(source.path), units, units, True))


class Importer:
    """Imports files into one store; a collector may be writing to it meanwhile."""

    def __init__(self, root: Path, rules: Rules | None = None, probe: ProbeSettings | None = None) -> None:
        """Open a store, making it where it is missing.

        Args:
            root: The data directory.
            rules: How exports are read; None for those of files.
            probe: How packets become flows; None for the defaults.

        Raises:
            StoreError: It can't be written, or another import is running.
        """
        try:
            make_folder(root / "flows")
        except OSError as error:
            raise StoreError(f"{root}: {error.strerror}; choose a data directory you may write with --data DIR") from error
        self._journal = Journal(root)
        self._root = root
        self._decoder = Decoder(rules)
        self._probe = probe or ProbeSettings()
        self._traffic: Counter[str] = Counter()
        self._batch = _Batch()
        self._captured, self._nfdump = CaptureFileCounts(), FileCounts()
        self._counts: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        self._broken: list[str] = []
        self._octets = 0

    def run(self, paths: Sequence[Path], *, packets: bool | None = None, again: bool = False) -> Iterator[Progress]:
        """Import files, and those in directories, in the order of their names.

        Args:
            paths: Files and directories.
            packets: Whether captures hold traffic, of which flows are made; None for those that have no exports of flows.
            again: Import files that are in the store already, too.
        Yields:
            How far it is, after each unit.
        Raises:
            CaptureFileError: A file that was named can't be read, or is of no kind that is read; what was read before it is stored.
            CodecMissing: A file needs a library that is not installed.
            StoreError: The store can't be written.
        """
        sources = self._sources(paths, packets=packets, again=again)
        total = sum(source.size for source in sources)
        last_capture = max(
            (place for place, one in enumerate(sources) if one.kind is FileKind.PCAP and not self._journal.whole(one.identity)),
            default=-1,
        )
        begun = 0
        try:
            for place, source in enumerate(sources):
                known = self._journal.whole(source.identity)
                if known:
                    self._passed["imported already"] += 1
                if not known or (source.kind is FileKind.PCAP and place < last_capture):
                    # Captures that are known are read for their templates, which later ones may need.
                    for octets in self._file(source, known=known, named=source.path in paths):
                        yield Progress(source.path, place, len(sources), begun + octets, total, self._counts["read"])
                begun += source.size
        finally:
            self._store()

    def close(self) -> dict[str, Any]:
        """End, and return the counts: files, frames, datagrams, flows, options records, and reasons."""
        self._decoder.finish()
        self._journal.close()
        status = self._decoder.status(0)
        malformed, unread, samples = Counter(self._nfdump.malformed), Counter(self._nfdump.unread), Counter[str]()
        options = reverse = 0
        for exporter in status["exporters"]:
            options += int(exporter["options_records"])
            reverse += int(exporter["reverse_flows"])
            malformed.update(exporter["malformed"])
            unread.update(exporter["unread"])
            samples.update(exporter["samples"])
        captured = self._captured.as_dict()
        frames, datagrams = captured.pop("frames"), captured.pop("datagrams")
        skipped = Counter({reason.replace("_", " "): count for reason, count in captured.items() if count})
        skipped.update(self._nfdump.skipped)
        return {
            "files": self._counts["files"],
            "files_passed_over": dict(self._passed),
            "files_broken": self._broken,
            "frames": frames,
            "datagrams": datagrams,
            "blocks": self._nfdump.blocks,
            "octets": self._octets,
            "flows_read": self._counts["read"],
            "flows": self._counts["flows"],
            "flows_odd": self._counts["odd"],
            "reverse_flows": reverse,
            "options_records": options,
            "samples": dict(samples),
            "skipped": dict(skipped),
            "malformed": dict(malformed),
            "unread": dict(unread),
            "traffic": dict(self._traffic),
        }

    # -- files

    def _sources(self, paths: Sequence[Path], *, packets: bool | None, again: bool) -> list[_Source]:
        found: dict[str, _Source] = {}
        files = flow_files(paths)
        names = {path: name for path in files if (name := parse_name(path.name)) is not None}
        kept = {part.path for part in without_superseded([Part(name, path) for path, name in names.items()])}
        for path in files:
            kind = kind_of(path)
            if kind is None or (path in names and path not in kept):
                continue
            if is_being_written(path):
                self._passed["still being written"] += 1
                continue
            try:
                source = _source(path, kind, packets=packets)
            except OSError as error:
                raise CaptureFileError(str(path), error.strerror or str(error)) from error
            if source.identity in found:
                self._passed["the same as another"] += 1
                continue
            found[source.identity] = source
            if again:
                self._journal.forget(source.identity)
        return list(found.values())

    def _file(self, source: _Source, *, known: bool, named: bool) -> Iterator[int]:
        """Read one file, and store what is not stored yet.

        Yields:
            Octets of it that were read, about.
        """
        behind = self._journal.position(source.identity)
        unit = -1
        try:
            for unit, (frames, octets) in enumerate(self._units(source)):
                if known or unit < behind:
                    continue
                self._add(source, unit, frames)
                yield octets
        except (CaptureFileError, SegmentError) as error:
            if named:
                raise
            self._broken.append(str(error))
            return
        self._octets += source.size
        if not known:
            self._counts["files"] += 1
            self._batch.end(source, unit + 1)

    def _units(self, source: _Source) -> Iterator[tuple[list[pl.DataFrame], int]]:
        """Yield what each unit of a file holds, and how many octets of it were read."""
        if source.kind is FileKind.NFDUMP:
            before = self._nfdump.octets
            for frame in NfdumpFile(source.path).frames(None, self._nfdump):
                yield [frame], self._nfdump.octets - before
        elif source.kind is FileKind.PCAP:
            octets = 0
            for block in read_capture(source.path, self._captured):
                octets += int(block.length.sum())
                yield self._decoder.decode(block), min(octets, source.size)
        elif source.kind is FileKind.TRAFFIC:
            yield from flows_of(source.path, self._probe, self._traffic)
        else:
            yield from _rows(source)

    # -- the store

    def _add(self, source: _Source, unit: int, frames: list[pl.DataFrame]) -> None:
        repairs = next((one for one in self._journal.unfinished if _holds(one, source.identity, unit)), None)
        if repairs is not self._batch.repairs:
            self._store()
            self._batch.repairs = repairs
        self._batch.add(source, unit, frames)
        self._counts["read"] += sum(frame.height for frame in frames)
        if repairs is None and self._batch.flows >= SEGMENT_FLOWS:
            self._store()

    def _store(self) -> None:
        """Write what was gathered; the journal says before and after what it is."""
        batch, self._batch = self._batch, _Batch()
        if not batch.pieces:
            return
        halves = halved(batch.frames) if batch.flows else []
        try:
            if batch.repairs is not None:
                self._repair(batch.repairs, batch.pieces, halves)
                return
            names = self._journal.numbered(len(halves))
            parts = [(name, half) for name, half in zip(names, halves, strict=True) if half[0].height]
            line = self._journal.intend(batch.pieces, [name for name, _ in parts])
            self._write(parts)
            self._journal.done(line, batch.pieces)
        except OSError as error:
            raise StoreError(
                f"{self._root}: {error.strerror}; {batch.flows:,} flows were not stored, the same import goes on"
            ) from error

    def _repair(self, unfinished: Unfinished, pieces: list[Piece], halves: list[tuple[pl.DataFrame, pl.DataFrame]]) -> None:
        """Write the segment that a crash left out; the other one is there."""
        named = {(piece.file, piece.first, piece.last) for piece in pieces}
        left_out = [one.path for one in unfinished.pieces if one.first < one.last and one[:1] + one[2:4] not in named]
        if left_out:
            raise StoreError(
                f"an import was interrupted while it stored flows of {', '.join(left_out)}: import these first, together"
            )
        by_place = dict(zip(unfinished.halves, [half for half in halves if half[0].height], strict=False))
        self._write([(name, by_place[name]) for name in unfinished.halves if name in unfinished.missing and name in by_place])
        self._journal.finish(unfinished)

    def _write(self, parts: list[tuple[Half, tuple[pl.DataFrame, pl.DataFrame]]]) -> None:
        for name, (frame, times) in parts:
            path = write_segment(self._root, name.stream, name.number, frame, times)
            sync(path)
            self._counts["flows"] += frame.height
            self._counts["odd"] += frame.height if name.stream != self._journal.stream else 0


def _source(path: Path, kind: FileKind, *, packets: bool | None) -> _Source:
    """Return a file as a source; of a capture it is told, or found out, what it holds.

    Raises:
        CaptureFileError: It can't be read.
        OSError: The same.
    """
    size, what = path.stat().st_size, identity(path)
    if kind is FileKind.PCAP and (packets if packets is not None else not holds_exports(path)):
        # As exports it may be in the store as well.
        return _Source(path, FileKind.TRAFFIC, size, f"{what}-packets")
    return _Source(path, kind, size, what)


def _holds(unfinished: Unfinished, file: str, unit: int) -> bool:
    return any(piece.file == file and piece.first <= unit < piece.last for piece in unfinished.pieces)


def _rows(source: _Source) -> Iterator[tuple[list[pl.DataFrame], int]]:
    """Yield the flows of a Parquet or Arrow file, some at a time; each has a time of receipt."""
    level = SEGMENT if source.kind is FileKind.PARQUET else TAIL
    part = Part(PartName(0, 0, 0, 0, level, "file", 1, 1), source.path)
    present = [name for name in read_schema(part) if name in POLARS]
    if not present:
        raise CaptureFileError(str(source.path), "has none of the columns of a flow")
    flows = scan_part(part).select(present)
    count = int(scan_part(part).select(pl.len()).collect().item())
    times = [pl.col(name) for name in ("received", "flow_end", "flow_start") if name in present]
    if times:
        flows = flows.with_columns(pl.coalesce(times).alias("received"))
    for at in range(0, count, ROWS):
        try:
            frame = flows.slice(at, ROWS).collect(engine="streaming")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise SegmentError(str(source.path), f"can't be read: {error}".split("\n", 1)[0]) from error
        yield [frame], source.size * min(at + ROWS, count) // count


def decode_captures(captures: Sequence[Path], root: Path) -> None:
    """Decode captures into a store."""
    importer = Importer(root)
    for _ in importer.run(captures):
        pass
    importer.close()
