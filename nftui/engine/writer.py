"""Writing flows: the tail, a file a second, and sealing it into segments.

The collector writes the tail; a niced child of it (`nftui.engine.sealer`) seals. Both leave a file under its final name only when
it is whole, and a tail file goes only after the segment that holds its flows is on disk.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import groupby
from pathlib import Path

import polars as pl

from nftui.engine import instants, row_groups
from nftui.engine.files import FILE_MODE
from nftui.engine.segments import TAIL, Part, PartName, parse_name
from nftui.engine.share import ALONE, STREAMS
from nftui.engine.store import Store, make_folder, scan_part
from nftui.schema import POLARS, TIME
from nftui.units import SECOND, moment

SEGMENT_FLOWS = 1_000_000
FILE_FLOWS = 1_000_000
"""A file of the tail holds no more by much: of many flows that waited for a full disk some may find room."""
RECHUNK_BELOW = 50_000
PACK_FROM = 100_000
"""A tail file of so many flows is written as Parquet at once: sealing then copies it. Fewer flows make row groups too small to
stay, which take more room and more time to read."""
PACK_WITHIN_S = 1.0
"""Only where its flows are in it this long after the first of them came, by the pace of the last times. A slower machine, or one
that is overrun, writes what is quickest to write, and leaves the rest of the work to the sealer, which can wait."""
PACK_AGAIN = 0.8
"""What is left, with each file that isn't packed, of a pace that was too slow, until packing is tried again."""
ROW_GROUP = 262_144
"""Flows of a row group: files are 5 % smaller than with the some 50,000 of the library, and four groups still share two cores."""
ODD_BEFORE, ODD_AHEAD = 2 * 3600 * SECOND, 60 * SECOND
"""A flow that starts more than this before its receipt, or ends more than this after it, goes to the odd stream."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
log = logging.getLogger(__name__)

IS_ODD = ((pl.col("start") < pl.col("received") - ODD_BEFORE) | (pl.col("end") > pl.col("received") + ODD_AHEAD)).fill_null(False)


class StoreWriter:
    """Writes the flows of one stream, and of its odd twin, into a store.

    Attributes:
        root: The data directory.
        flows: Flows written to files so far.
        odd: Those among them that went to the odd stream.
        octets: Size of those files.
    """

    def __init__(self, root: Path, stream: str = STREAMS[0]) -> None:
        """Go on where the stream stopped: sequence numbers follow the highest in the store.

        Raises:
            StoreError: The directory can't be listed.
            OSError: It can't be written.
        """
        self.root, self.flows, self.odd, self.octets = root, 0, 0, 0
        main, odd = STREAMS
        self._streams = (stream, odd + stream.removeprefix(main))
        self._next = dict.fromkeys(self._streams, 1)
        self._pending: list[pl.DataFrame] = []
        self._pace = 0.0
        self._began, self._room = time.monotonic(), PACK_WITHIN_S
        self.reopen()

    def reopen(self) -> None:
        """Take the store as it is now: after it was begun anew, or another was put in its place.

        Raises:
            StoreError: The directory can't be listed.
            OSError: It can't be written.
        """
        store = Store(self.root)
        make_folder(store.tail)
        make_folder(store.flows)
        # Those that expired too: as long as they are said to have, their numbers hide other parts.
        for part in store.listed():
            if part.name.stream in self._next:
                self._next[part.name.stream] = max(self._next[part.name.stream], part.name.last + 1)

    @property
    def pending(self) -> int:
        """Flows taken and not in a file yet."""
        return sum(frame.height for frame in self._pending)

    def append(self, frames: list[pl.DataFrame]) -> None:
        """Take flows; they are held in memory until they are written."""
        self._pending.extend(frame for frame in frames if frame.height)

    def trim(self, flows: int) -> int:
        """Drop what is pending beyond so many flows, the latest first, and return how many that were."""
        dropped, excess = 0, self.pending - flows
        while dropped < excess:
            last = self._pending.pop()
            keep = max(last.height - (excess - dropped), 0)
            dropped += last.height - keep
            if keep:
                self._pending.append(last.head(keep))
        return dropped

    def write_tail(self) -> list[Path]:
        """Write what was taken since the last call, as one tail file a stream.

        Returns:
            The files written, none where nothing was pending.
        Raises:
            OSError: The disk is full or the folder is gone; what was pending stays so.
        """
        now = time.monotonic()
        self._room, self._began = PACK_WITHIN_S - (now - self._began), now
        return self._write(self._write_tail)

    def write_segments(self) -> list[Path]:
        """Write what was taken since the last call as sealed segments: for flows that come from files.

        Returns, raises: As `write_tail`.
        """
        return self._write(partial(write_segment, self.root))

    def _write(self, write: Callable[[str, int, pl.DataFrame, pl.DataFrame], Path]) -> list[Path]:
        written: list[Path] = []
        while self._pending:
            waiting, flows = self._pending, 0
            self._pending = []
            while waiting and flows < FILE_FLOWS:
                flows += waiting[0].height
                self._pending.append(waiting.pop(0))
            try:
                self._write_pending(write, written)
            finally:
                self._pending += waiting
        return written

    def _write_pending(self, write: Callable[[str, int, pl.DataFrame, pl.DataFrame], Path], written: list[Path]) -> None:
        halves = halved(self._pending)
        self._pending = [half for half, _ in halves]
        for stream, (half, its_times) in zip(self._streams, halves, strict=False):
            if half.height:
                written.append(write(stream, self._next[stream], half, its_times))
                self._next[stream] += 1
                with suppress(OSError):  # it is written, whatever became of it since
                    self.octets += written[-1].stat().st_size
                self.flows += half.height
                self.odd += half.height if stream == self._streams[1] else 0
            # Only what is in no file yet is pending, so that a disk that is full between the two makes nothing count twice.
            self._pending.pop(0)

    def _write_tail(self, stream: str, number: int, frame: pl.DataFrame, times: pl.DataFrame) -> Path:
        packed = frame.height >= PACK_FROM and frame.height * self._pace < self._room
        path = self.root / "tail" / str(PartName(*_span(times), TAIL, stream, number, number, packed))
        temporary = path.with_name(path.name + ".tmp")
        if packed:
            began = time.monotonic()
            write_parquet(frame, temporary)
            self._pace = (self._pace + (time.monotonic() - began) / frame.height) / 2
        else:
            self._pace *= PACK_AGAIN
            # A copy of many flows costs as much as writing them; few flows in many pieces cost whoever reads them.
            frame = frame.rechunk() if frame.height < RECHUNK_BELOW else frame
            with _removed_on_error(temporary):
                frame.write_ipc(temporary, compression="uncompressed")
        return appear(temporary, path)


def halved(frames: list[pl.DataFrame]) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    """Join frames, and part from them the flows of the odd stream, where there are any.

    Returns:
        Flows, each time with their start, end and receipt: those of the stream itself first, which may be none, then the odd ones.
    """
    frame = _joined(frames)
    times = _times(frame)
    odd = times.select(IS_ODD).to_series()
    if not odd.any():
        return [(frame, times)]
    return [(frame.filter(~odd), times.filter(~odd)), (frame.filter(odd), times.filter(odd))]


def write_segment(root: Path, stream: str, number: int, frame: pl.DataFrame, times: pl.DataFrame) -> Path:
    """Write flows as a sealed segment: for flows that come from files.

    Args:
        root: The data directory.
        stream: Whose segment it is.
        number: Its sequence number.
        frame: The flows, one at least.
        times: Their start, end and receipt.
    Raises:
        OSError: The disk is full or a folder is gone; nothing has changed then.
    """
    name = PartName(*_span(times), 0, stream, number, number)
    path = segment_path(root, name)
    temporary = path.with_name(path.name + ".tmp")
    write_parquet(frame, temporary)
    return appear(temporary, path)


def _joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Join frames of different columns, with the time columns in any case, and without columns that are all null."""
    frame = pl.concat(frames, how="diagonal", rechunk=False) if len(frames) > 1 else frames[0]
    missing = [pl.lit(None, dtype=TIME).alias(name) for name in instants.TIMES if name not in frame.columns]
    empty = [name for name in frame.columns if name not in instants.TIMES and frame[name].null_count() == frame.height]
    return frame.drop(empty).with_columns(missing) if missing or empty else frame


def _times(frame: pl.DataFrame) -> pl.DataFrame:
    """Return start, end and receipt of each flow, corrected where its exporter's clock is off."""
    if "clock_correction" not in frame.columns:
        frame = frame.select(*instants.TIMES, pl.lit(None, dtype=POLARS["clock_correction"]).alias("clock_correction"))
    return frame.select(instants.START.alias("start"), instants.END.alias("end"), instants.RECEIVED.alias("received"))


def write_parquet(frame: pl.DataFrame, path: Path, *, level: int = 1, row_group: int = ROW_GROUP, statistics: bool = False) -> None:
    """Write flows in row groups of the same size, near to `row_group`.

    Args:
        frame: The flows.
        path: The file; what is left of it after an error is removed.
        level: Of zstd.
        row_group: Flows.
        statistics: Whether each row group says the least and the greatest value of each column.
    Raises:
        OSError: The disk is full, or the folder is gone.
    """
    size = -(-frame.height // max(round(frame.height / row_group), 1))
    with _removed_on_error(path):
        frame.write_parquet(path, compression="zstd", compression_level=level, row_group_size=size, statistics=statistics)


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    """Remove an unfinished file after an error: on a full disk it takes the room that is wanted.

    Raises:
        OSError: What the library says of the operating system's errors in words of its own.
    """
    try:
        yield
    except BaseException as error:
        path.unlink(missing_ok=True)
        number = _OS_ERROR.search(str(error))
        if number and (isinstance(error, pl.exceptions.PolarsError) or (isinstance(error, OSError) and error.errno is None)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise


def segment_path(root: Path, name: PartName) -> Path:
    """Return where a segment stands, making its folder: by the UTC day of the last receipt, the day from which it is kept."""
    folder = root / "flows" / moment(name.received_to).strftime("%Y/%m/%d")
    make_folder(folder)
    return folder / str(name)


def _span(times: pl.DataFrame) -> tuple[int, int, int, int]:
    """Return first receipt, last receipt, earliest start and latest end, microseconds, none below 0."""
    ends = (times["received"].min(), times["received"].max(), times["start"].min(), times["end"].max())
    first, last, start, end = (max(one, 0) if isinstance(one, int) else 0 for one in ends)
    return first, last, start, end


def seal(root: Path, parts: list[Part], *, check: bool = False) -> Path:
    """Make one segment of tail files of one stream, in the order of their sequence numbers.

    The segment's name follows from the tail files, so sealing the same ones again, after a crash, makes the same file. The tail
    files stay: whoever calls removes them when readers had time to move on.

    Args:
        root: The data directory.
        parts: Tail files of one stream, one at least, without gaps in the sequence: the segment supersedes all from the first
            to the last.
        check: Read every flow, even where files could be copied as they are.
    Returns:
        The segment.
    Raises:
        OSError: The disk is full, or a folder is gone; nothing has changed then.
        polars.exceptions.PolarsError: A tail file is damaged.
    """
    parts = sorted(parts, key=lambda part: part.name.first)
    path = segment_path(root, _sealed_name(parts))
    temporary = path.with_name(path.name + ".tmp")
    with _removed_on_error(temporary):
        if check or not _copy(root, parts, temporary):
            _encode(parts, temporary)
        sync(temporary)
        appear(temporary, path)
    try:
        sync(path.parent)
    except OSError as error:
        # The segment has its name: sealing its tail files again, with later ones, would count them twice.
        log.warning("%s can't be made durable: %s", path.parent, error)
    return path


def _sealed_name(parts: list[Part]) -> PartName:
    names = [part.name for part in parts]
    return PartName(
        min(one.received_from for one in names),
        max(one.received_to for one in names),
        min(one.min_start for one in names),
        max(one.max_end for one in names),
        0,
        names[0].stream,
        names[0].first,
        names[-1].last,
    )


def _copy(root: Path, parts: list[Part], path: Path) -> bool:
    """Copy what is Parquet already, and encode what is not; return False, with nothing done, where that is no use."""
    if not any(part.name.packed for part in parts):
        return False
    columns = scan_part(parts[0]).collect_schema()
    if any(scan_part(part).collect_schema() != columns for part in parts[1:]):
        return False
    pieces: list[Path] = []
    encoded: list[Path] = []
    try:
        for packed, some in groupby(parts, key=lambda part: part.name.packed):
            run = list(some)
            if packed:
                pieces += [part.path for part in run]
                continue
            piece = segment_path(root, _sealed_name(run))
            encoded.append(piece.with_name(piece.name + ".tmp"))
            pieces.append(encoded[-1])
            _encode(run, encoded[-1])
        return row_groups.join(pieces, path)
    finally:
        for piece in encoded:
            piece.unlink(missing_ok=True)


def _encode(parts: list[Part], path: Path) -> None:
    frames = [scan_part(part) for part in parts]
    flows = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal")
    flows.sink_parquet(
        path,
        compression="zstd",
        compression_level=1,
        row_group_size=ROW_GROUP,
        statistics=False,
        maintain_order=True,
        engine="streaming",
    )


def remove_temporary(folder: Path, own: Callable[[str], bool] = ALONE.owns) -> list[Path]:
    """Remove what an interrupted write left in a folder and below, and return it.

    Files of the collector's own streams go at once: only who holds its lock may call, before it writes there. An import may be
    under way in another process, so its files go when they are a day old.

    Args:
        folder: Where to look.
        own: Tells the streams that nobody else writes now.
    """
    left = []
    for path in folder.rglob("*.tmp"):
        name = parse_name(path.name.removesuffix(".tmp"))
        if name is not None and (own(name.stream) or _age(path) > 86_400):
            path.unlink(missing_ok=True)
            left.append(path)
    return left


def _age(path: Path) -> float:
    """Return seconds since a file was last written; 0 where it has got its name meanwhile."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def appear(temporary: Path, path: Path) -> Path:
    """Give a whole file its name."""
    temporary.chmod(FILE_MODE)
    return temporary.rename(path)


def sync(path: Path) -> None:
    """Have the kernel write a file, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
