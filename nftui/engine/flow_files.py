"""Files read as if they were a store: those of nfdump, captures, and Parquet files of flows, without importing them.

A file of nfdump is a part whose name nobody wrote: the file's own account says between which times its flows lie. It is decoded for
each question, just the columns that the question reads. What is decoded is held against the account, and where that was wrong all
files are looked through once, so that no answer rests on it. Captures are decoded once, into a store of their own that lives as
long as the questions.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from nftui.capture.nfdump.files import FileCounts, NfdumpFile
from nftui.engine import instants
from nftui.engine.file_kinds import FileKind, flow_files, kind_of
from nftui.engine.query import Interval
from nftui.engine.segments import SEGMENT, Part, PartName, parse_name, without_superseded
from nftui.engine.store import Store
from nftui.errors import CaptureFileError, SegmentError, StoreError
from nftui.schema import POLARS

LATEST = 10**17
"""A time of receipt, microseconds, later than any."""


class FlowFiles(Store):
    """Files of flows, to be asked as a store is."""

    scans = 32
    """Each scan that is a source of its own takes a thread."""

    def __init__(self, paths: Sequence[Path], decode: Callable[[Sequence[Path], Path], None]) -> None:
        """Look at files, and at what is in directories.

        Args:
            paths: Files and directories.
            decode: Decodes captures into a store, whose directory is named second.
        Raises:
            CaptureFileError: There is nothing to read there, or a file that was named is of no kind that is read.
            CodecMissing: A file needs a library that is not installed.
        """
        super().__init__(root=paths[0])
        self._parts: list[Part] = []
        self._nfdump: dict[Path, NfdumpFile] = {}
        self._flows: dict[Path, int] = {}
        self._partly: dict[Path, str] = {}
        self._seen: dict[Path, set[str]] = {}
        captures = []
        stored = []
        for path in flow_files(paths):
            kind = kind_of(path)
            if kind is FileKind.NFDUMP:
                self._add_nfdump(path)
            elif kind is FileKind.PCAP:
                captures.append(path)
            elif (name := parse_name(path.name)) is not None:
                stored.append(Part(name, path))
            else:
                self._add_parquet(path)
        self._parts += without_superseded(stored)
        if captures:
            self._parts += _decoded(captures, decode)
        if not self._parts and not self.broken:
            raise CaptureFileError(str(paths[0]), "no files of flows there")

    def parts(self, interval: Interval | None = None) -> list[Part]:
        """Return the parts that may hold flows of an interval, in the order of their flows."""
        found = (part for part in self._parts if part.name.overlaps(interval) and part.path not in self.broken)
        return sorted(found, key=lambda part: (part.name.min_start, part.name))

    def listed(self) -> list[Part]:
        """Return every part there is."""
        return list(self._parts)

    def scan(self, parts: list[Part], columns: tuple[str, ...]) -> pl.LazyFrame:
        """Return the flows of some parts, with just these columns; null where a part lacks one."""
        decoded = [part for part in parts if part.path in self._nfdump]
        if not decoded:
            return Store.scan(self, parts, columns)
        frames = [self._source(decoded, columns)]
        if len(decoded) < len(parts):
            frames.append(Store.scan(self, [part for part in parts if part.path not in self._nfdump], columns))
        return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical")

    def costs_each_time(self) -> bool:
        """Return whether files of nfdump are among them."""
        return bool(self._nfdump)

    def flow_count(self, parts: list[Part]) -> int:
        """Return how many flows some parts hold."""
        told = sum(self._flows[part.path] for part in parts if part.path in self._flows)
        return told + Store.flow_count(self, [part for part in parts if part.path not in self._flows])

    def present(self, parts: list[Part], *more: str) -> tuple[str, ...]:
        """Return the columns that any of some parts has, and some more, in the order of the schema."""
        kept = [part for part in parts if part.path not in self._nfdump]
        found = set(Store.present(self, kept, *more))
        for part in parts:
            if part.path in self._nfdump:
                found |= self._present_in(part)
        return tuple(name for name in POLARS if name in found)

    def status(self) -> None:
        """Return None: no collector speaks for files."""
        return

    def find_broken(self) -> int:
        """Look through all files of nfdump, where an account was wrong; return how many parts are read otherwise from now on."""
        changed = 0
        for place, part in enumerate(self._parts):
            file = self._nfdump.get(part.path)
            if file is not None and file.account is not None:
                file.account = None
                changed += 1
                self._parts[place] = self._part(file) or part
        return changed

    def unread(self) -> tuple[str, ...]:
        """Return what can't be read, each file with the reason."""
        partly = (f"{path.name}: {reason}" for path, reason in self._partly.items())
        return (*Store.unread(self), *partly)

    # -- files of nfdump

    def _add_nfdump(self, path: Path) -> None:
        try:
            file = NfdumpFile(path)
        except CaptureFileError as error:
            self.broken[path] = str(error).removeprefix(f"{path}: ")
            return
        part = self._part(file)
        if part is not None:
            self._nfdump[path] = file
            self._parts.append(part)

    def _part(self, file: NfdumpFile) -> Part | None:
        """Return a file as a part; None where it holds no flows. Without an account it is looked through."""
        account = file.account
        if account is not None:
            flows, first, last = account
        else:
            counts = FileCounts()
            try:
                for _ in file.frames(("octets",), counts):
                    pass
            except CaptureFileError as error:
                self.broken[file.path] = str(error).removeprefix(f"{file.path}: ")
                return None
            flows, first, last = counts.flows, counts.first, counts.last
            self._note(file.path, counts)
        if not flows:
            return None
        self._flows[file.path] = flows
        number = len(self._parts)
        return Part(PartName(0, LATEST, first, last, SEGMENT, f"r{number}", 1, 1), file.path)

    def _source(self, parts: list[Part], columns: tuple[str, ...]) -> pl.LazyFrame:
        schema = {name: POLARS[name] for name in columns}

        def frames(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            wanted = columns if with_columns is None else tuple(with_columns)
            left = n_rows
            for part in parts:
                for frame in self._read(part, wanted):
                    taken = frame if left is None else frame.head(left)
                    yield taken if predicate is None else taken.filter(predicate)
                    if left is not None:
                        left -= taken.height
                        if left <= 0:
                            return

        return register_io_source(frames, schema=schema)

    def _read(self, part: Part, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
        """Decode a file, and hold its flows against what its account promised.

        Raises:
            SegmentError: The account was wrong, or the file can't be read any more.
        """
        counts = FileCounts()
        try:
            for frame in self._nfdump[part.path].frames(columns, counts):
                if counts.first < part.name.min_start or counts.last > part.name.max_end:
                    raise SegmentError(str(part.path), "has flows of other times than it says")
                yield frame
        except CaptureFileError as error:
            raise SegmentError(str(part.path), str(error)) from error
        self._flows[part.path] = counts.flows
        self._note(part.path, counts)

    def _present_in(self, part: Part) -> set[str]:
        """Return the columns that a file's flows may have; it is decoded for that where no question did before."""
        if part.path not in self._seen:
            for _ in self._read(part, ("octets",)):
                pass
        return self._seen[part.path]

    def _note(self, path: Path, counts: FileCounts) -> None:
        """Remember which columns a file has, and what was broken in it."""
        self._seen[path] = counts.columns
        if counts.malformed:
            self._partly[path] = ", ".join(f"{times:,} {reason}" for reason, times in sorted(counts.malformed.items()))

    # -- others

    def _add_parquet(self, path: Path) -> None:
        part = Part(PartName(0, LATEST, 0, LATEST, SEGMENT, f"r{len(self._parts)}", 1, 1), path)
        try:
            flows = Store.scan(self, [part], instants.COLUMNS)
            row = flows.select(
                instants.START.min().alias("first"), instants.END.max().alias("last"), pl.len().alias("flows")
            ).collect(engine="streaming")
        except (OSError, SegmentError, pl.exceptions.PolarsError) as error:
            self.broken[path] = f"can't be read: {error}".split("\n", 1)[0]
            return
        first, last, flows_in_it = row.row(0)
        if flows_in_it and first is not None:
            name = PartName(0, LATEST, first, last, SEGMENT, part.name.stream, 1, 1)
            self._flows[path] = flows_in_it
            self._parts.append(Part(name, path))


def _decoded(captures: list[Path], decode: Callable[[Sequence[Path], Path], None]) -> list[Part]:
    """Return the parts of a store of captures' flows, which goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="nftui-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        decode(captures, folder)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}; a capture needs room there, TMPDIR names another place") from error
    return Store(folder).parts()
