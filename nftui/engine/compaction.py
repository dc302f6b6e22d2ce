"""Compaction: the segments of an hour become one, sorted by source address in bounded runs.

A piece is a run of neighbouring segments of one stream and one hour, of no more than `PIECE_FLOWS` flows where segments are smaller
than that. It is read, sorted and encoded a bounded run after the other, so that memory doesn't grow with it, and appears under its
name when it is whole and on disk: from then on it supersedes the segments, which stay some minutes for readers who listed them.
Killed at any moment, it begins anew.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import polars as pl

from nftui.engine.leaving import Leaving
from nftui.engine.row_groups import Joined
from nftui.engine.segments import HOUR, SEGMENT, TAIL, Part, PartName, without_superseded
from nftui.engine.set_aside import SetAside
from nftui.engine.store import Store, make_folder, read_schema, scan_part
from nftui.engine.writer import appear, segment_path, sync, write_parquet
from nftui.errors import SegmentError, StoreError
from nftui.schema import POLARS
from nftui.units import SECOND

HOUR_US = 3600 * SECOND
PIECE_FLOWS = 16_000_000
"""What is done again after a crash, and what is on disk twice for some minutes, stays below this."""
LATE_US = 60 * SECOND
"""An hour is complete so long after its end: what came in its last second is sealed then."""
IMPORT_QUIET_S = 60.0
"""An import writes no more to a stream that was left alone so long."""
GRACE_S = 600.0
"""How long a superseded segment stays."""
RUN_OCTETS = 64 << 20
"""Of a sorted run in memory; sorting and encoding take some five times as much."""
SAMPLE_FLOWS = 4096
"""Flows by which the size of a run is estimated."""
LEVEL, ROW_GROUP = 3, 131_072
"""Written once and read often: a higher compression level than a segment's, and row groups that statistics can pass over."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Piece:
    """Neighbouring segments that become one."""

    parts: tuple[Part, ...]
    flows: int

    def name(self) -> PartName:
        names = [part.name for part in self.parts]
        return replace(
            names[0],
            received_from=min(one.received_from for one in names),
            received_to=max(one.received_to for one in names),
            min_start=min(one.min_start for one in names),
            max_end=max(one.max_end for one in names),
            level=HOUR,
            last=names[-1].last,
        )


class Compactor:
    """Compacts one store, a bounded step at a time, so that sealing never waits long.

    Attributes:
        made: Pieces made so far.
    """

    def __init__(self, root: Path, leaving: Leaving, set_aside: SetAside) -> None:
        """Begin; what an earlier run left in its work folder goes.

        Args:
            root: The data directory.
            leaving: Takes the segments that were superseded.
            set_aside: Takes those that can't be read.
        """
        self.root, self.made = root, 0
        self._leaving, self._set_aside = leaving, set_aside
        self._store = Store(root)
        self._refused: set[Path] = set()
        self._work: Generator[None] | None = None
        self._folder = root / "work"
        shutil.rmtree(self._folder, ignore_errors=True)

    def step(self, now: int, room: int) -> bool:
        """Do a bounded part of what there is to do.

        Args:
            now: The time, microseconds.
            room: Free octets of the disk; a piece begins only where it can be written twice over.
        Returns:
            Whether there was something to do.
        Raises:
            OSError: The disk is full, or a folder is gone; the piece begins anew at the next step.
        """
        if self._work is None:
            piece = self._next(now)
            if piece is None or 2 * self._store.octets(list(piece.parts)) > room:
                return False
            self._work = self._make(piece)
        try:
            next(self._work)
        except StopIteration:
            self._work = None
        except BaseException:
            self._work = None
            raise
        return True

    def abandon(self) -> None:
        """Leave the piece under way; its segments are still there."""
        if self._work is not None:
            self._work.close()
            self._work = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _next(self, now: int) -> _Piece | None:
        """Return the oldest piece that is complete."""
        current = without_superseded(self._store.listed())
        segments = [part for part in current if part.name.level == SEGMENT and part.path not in self._refused]
        segments.sort(key=lambda part: (part.name.stream, part.name.first))
        tails = {(part.name.stream, part.name.first, _hour(part.name)) for part in current if part.name.level == TAIL}
        complete = [piece for run in _runs(segments) for piece in self._pieces(run, now, tails)]
        return min(complete, key=lambda piece: piece.parts[0].name, default=None)

    def _pieces(self, run: list[Part], now: int, tails: set[tuple[str, int, int]]) -> Iterator[_Piece]:
        """Divide a run into pieces; the last one only when no more can come to it."""
        parts: list[Part] = []
        flows = 0
        for part in run:
            count = self._store.flow_count([part])
            if parts and flows + count > PIECE_FLOWS:
                yield _Piece(tuple(parts), flows)
                parts, flows = [], 0
            parts.append(part)
            flows += count
        following = run[-1].name.stream, run[-1].name.last + 1, _hour(run[-1].name)
        if flows >= PIECE_FLOWS or (following not in tails and self._over(run[-1], now)):
            yield _Piece(tuple(parts), flows)

    def _over(self, last: Part, now: int) -> bool:
        """Return whether no segment can follow a part within its hour. An import's hours are over when it is."""
        if not _is_import(last.name):
            return now >= (_hour(last.name) + 1) * HOUR_US + LATE_US or now < last.name.received_to - HOUR_US
        try:
            return time.time() - last.path.stat().st_mtime > IMPORT_QUIET_S
        except OSError:
            return False

    def _make(self, piece: _Piece) -> Generator[None]:
        """Make a piece, a run at each step."""
        path = segment_path(self.root, piece.name())
        whole = path.with_name(path.name + ".tmp")
        make_folder(self._folder)
        began = time.monotonic()
        try:
            yield from self._write(piece, whole)
            if not set(piece.parts) <= set(without_superseded(self._store.listed())):
                return  # a segment expired meanwhile
            self._appear(piece, whole, path)
        except FileNotFoundError as error:
            log.info("%s: %s is gone", piece.name(), error.filename)
        except (pl.exceptions.PolarsError, StoreError) as error:
            self._refuse(piece, error)
        else:
            log.info("%d segments became %s in %.1f s", len(piece.parts), path.name, time.monotonic() - began)
        finally:
            whole.unlink(missing_ok=True)

    def _write(self, piece: _Piece, whole: Path) -> Iterator[None]:
        """Write a piece into a file, a run at each step.

        Raises:
            SegmentError, StoreError, polars.exceptions.PolarsError: A part can't be read, or not together with the others.
        """
        columns = self._columns(piece)
        encoded = self._folder / "run"
        with Joined(whole) as joined:
            for run in self._read(piece, columns):
                write_parquet(_sorted(run), encoded, level=LEVEL, row_group=ROW_GROUP, statistics=True)
                del run
                if not joined.append(encoded):
                    raise StoreError(f"{encoded}: runs of one piece don't fit together")
                encoded.unlink()
                yield
            joined.finish()
        if joined.rows != piece.flows:
            raise StoreError(f"{joined.rows:,} flows of {piece.flows:,} were read")

    def _appear(self, piece: _Piece, whole: Path, path: Path) -> None:
        newest = max(part.path.stat().st_mtime for part in piece.parts)
        os.utime(whole, (newest, newest))
        sync(whole)
        appear(whole, path)
        self.made += 1
        self._leaving.add((part.path for part in piece.parts), GRACE_S)
        sync(path.parent)

    def _columns(self, piece: _Piece) -> dict[str, pl.DataType]:
        """Return all columns of a piece, ours first; those of a later version are kept.

        Raises:
            SegmentError: A part can't be opened, or its columns don't fit those of the others.
        """
        found: dict[str, pl.DataType] = {}
        for part in piece.parts:
            for name, dtype in read_schema(part).items():
                if found.setdefault(name, dtype) != dtype:
                    raise SegmentError(str(part.path), f"its column {name} is {dtype}, not {found[name]}")
        ours = [name for name in POLARS if name in found]
        return {name: found[name] for name in [*ours, *sorted(found.keys() - POLARS.keys())]}

    def _read(self, piece: _Piece, columns: dict[str, pl.DataType]) -> Iterator[pl.DataFrame]:
        """Yield the flows in runs of a bounded size, each with all columns."""
        size = 0
        pending: list[pl.DataFrame] = []
        held = 0
        for part in piece.parts:
            flows = scan_part(part)
            if not size:
                head = flows.head(SAMPLE_FLOWS).collect()
                size = max(RUN_OCTETS * max(head.height, 1) // max(int(head.estimated_size()), 1), SAMPLE_FLOWS)
            count = self._store.flow_count([part])
            at = 0
            while at < count:
                taken = min(size - held, count - at)
                pending.append(_filled(flows.slice(at, taken).collect(), columns))
                held, at = held + taken, at + taken
                if held == size:
                    yield pl.concat(pending)
                    pending, held = [], 0
        if pending:
            yield pl.concat(pending)

    def _refuse(self, piece: _Piece, error: Exception) -> None:
        """Find out which part can't be read; where none is damaged, leave the piece as it is."""
        log.warning("%s can't be compacted: %s", piece.name(), error)
        damaged = [part for part in piece.parts if self._set_aside.look_into(part)]
        if not damaged:
            self._refused.update(part.path for part in piece.parts)


def _runs(parts: list[Part]) -> Iterator[list[Part]]:
    """Divide parts in sequence into runs: of one stream and one hour, without a gap in their numbers."""
    run = parts[:1]
    for before, part in pairwise(parts):
        if not (
            before.name.stream == part.name.stream
            and before.name.last + 1 == part.name.first
            and _hour(before.name) == _hour(part.name)
        ):
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def _hour(name: PartName) -> int:
    return name.received_to // HOUR_US


def _is_import(name: PartName) -> bool:
    return name.stream.startswith(("i", "oddi"))


def _filled(frame: pl.DataFrame, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    return frame.select(
        *(pl.col(name) if name in frame.columns else pl.lit(None, dtype=dtype).alias(name) for name, dtype in columns.items())
    )


def _sorted(run: pl.DataFrame) -> pl.DataFrame:
    """Sort by source address; flows of one address stay in the order of receipt."""
    if "source_address" not in run.columns:
        return run
    return run.sort("source_address", maintain_order=True, nulls_last=True)
