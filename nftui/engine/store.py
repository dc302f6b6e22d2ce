"""The store: a directory of immutable files, one writer, any number of readers.

    lock            held by the collector (flock)
    status.json     the collector's own account, replaced every second
    templates.json  templates and options, so that nothing waits for them after a restart
    tail/           flows not sealed yet, an Arrow IPC file a second, or Parquet when it holds many
    flows/Y/M/D/    sealed segments, Parquet, by day of receipt

A file appears under its name only when it is whole. Readers take no lock: they list, and a file that vanishes between the listing
and the reading has been superseded by another, so they list again.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from nftui.engine.files import FILE_MODE
from nftui.engine.query import Interval
from nftui.engine.segments import Part, PartName, parse_name, without_superseded
from nftui.errors import SegmentError, StoreError, StoreLocked
from nftui.schema import POLARS

DIRECTORY_MODE = 0o750
RACY_NS = 100_000_000
"""A directory whose last change is younger than this when listed may change again under the same time stamp: not remembered."""
KNOWN = 4096
"""Parts that a reader knows something of, before it forgets those that are gone; it knows all that there are. A tail has a file for
each process every 0.8 seconds of an interval: to forget one would mean to open all of them again, each time."""
STATUS_LIMIT = 16 << 20


@dataclass(slots=True)
class _Listing:
    changed_ns: int
    parts: list[Part]
    folders: list[str]
    foreign: list[Path]


@dataclass(slots=True)
class Store:
    """A store to read; several threads may read it at once.

    Attributes:
        root: The data directory.
        foreign: Files among the flows whose names say nothing to us, as of the last listing.
        broken: Parts that can't be read, and why; they are passed over until another part supersedes them.
    """

    scans: ClassVar[int] = 10_000
    """Parts that one plan scans by themselves."""
    root: Path
    foreign: list[Path] = field(default_factory=list)
    broken: dict[Path, str] = field(default_factory=dict)
    _listings: dict[str, _Listing] = field(default_factory=dict)
    _columns: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    _counts: dict[PartName, int] = field(default_factory=dict)
    _room: int = KNOWN
    # Held while what is known of parts is changed or looked through as a whole, never while a file is read.
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @property
    def tail(self) -> Path:
        """The folder of flows that are not sealed yet."""
        return self.root / "tail"

    @property
    def flows(self) -> Path:
        """The folder of sealed segments."""
        return self.root / "flows"

    def parts(self, interval: Interval | None = None) -> list[Part]:
        """Return the parts that may hold flows of an interval, in the order of receipt; none twice, none superseded.

        The tail is listed first: a part sealed meanwhile is then seen twice, which names resolve, and never missed.

        Raises:
            StoreError: The directory can't be listed.
        """
        current = without_superseded(self.listed())
        found = (part for part in current if part.name.overlaps(interval) and part.path not in self.broken)
        return sorted(found, key=lambda part: part.name)

    def find_broken(self) -> int:
        """Open every part, and remember which can't be; return how many are new among them."""
        before = len(self.broken)
        for part in self.parts():
            try:
                read_schema(part)
            except FileNotFoundError:
                continue
            except SegmentError as error:
                with self._lock:
                    self.broken[part.path] = error.reason
        return len(self.broken) - before

    def unread(self) -> tuple[str, ...]:
        """Return what can't be read, each file with the reason."""
        with self._lock:
            return tuple(f"{path.name}: {reason}" for path, reason in self.broken.items())

    def listed(self) -> list[Part]:
        """Return every part there is, superseded ones too; the tail's were listed first.

        Raises:
            StoreError: The directory can't be listed.
        """
        foreign: list[Path] = []
        found = self._walk(self.tail, foreign) + self._walk(self.flows, foreign)
        self.foreign = foreign
        return found

    def listed_tail(self) -> list[Part]:
        """Return the tail's parts, superseded ones too, without a look at the segments, of which there may be very many.

        Raises:
            StoreError: The directory can't be listed.
        """
        return list(self._list(self.tail))

    def scan(self, parts: list[Part], columns: tuple[str, ...]) -> pl.LazyFrame:
        """Return the flows of some parts, with just these columns; null where a part lacks one.

        Raises:
            SegmentError: A part can't be opened or is no such file. `FileNotFoundError` passes through: the part was superseded.
        """
        wanted = {name: POLARS[name] for name in columns}
        parquet = [part.path for part in parts if part.name.is_parquet]
        frames = [self._scan_ipc(part, wanted) for part in parts if not part.name.is_parquet]
        if parquet:
            frames.append(self._scan_parquet(parquet, wanted))
        if not frames:
            return pl.LazyFrame(schema=wanted)
        return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical")

    def costs_each_time(self) -> bool:
        """Return whether parts are decoded anew each time, as a whole: who looks at them again and again had better not."""
        return False

    def flow_count(self, parts: list[Part]) -> int:
        """Return how many flows some parts hold; those that vanished count none."""
        total = 0
        for part in parts:
            known = self._counts.get(part.name)
            if known is None:
                try:
                    known = int(scan_part(part).select(pl.len()).collect().item())
                except (OSError, pl.exceptions.PolarsError):
                    known = 0
                self.note_count(part, known)
            total += known
        return total

    def counted(self, part: Part) -> bool:
        """Return whether it is known how many flows a part holds."""
        return part.name in self._counts

    def note_count(self, part: Part, flows: int) -> None:
        """Take note of how many flows a part holds."""
        with self._lock:
            if len(self._counts) >= self._room:
                self._forget_gone()
            self._counts[part.name] = flows

    def octets(self, parts: list[Part]) -> int:
        """Return the size of some parts' files; those that vanished count none."""
        total = 0
        for part in parts:
            try:
                total += part.path.stat().st_size
            except OSError:
                continue
        return total

    def status(self) -> dict[str, Any] | None:
        """Return the collector's last status; None where there is none or it can't be understood."""
        try:
            with (self.root / "status.json").open("rb") as file:
                value = json.loads(file.read(STATUS_LIMIT))
        except (OSError, ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def collector_running(self) -> bool:
        """Return whether a collector holds the store's lock."""
        try:
            handle = os.open(self.root / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            return False
        finally:
            os.close(handle)

    def present(self, parts: list[Part], *more: str) -> tuple[str, ...]:
        """Return the columns that any of some parts has, and some more, in the order of the schema."""
        found = set(more).union(*(self._present(part) for part in parts))
        return tuple(name for name in POLARS if name in found)

    def _scan_parquet(self, paths: list[Path], wanted: dict[str, pl.DataType]) -> pl.LazyFrame:
        return pl.scan_parquet(
            [str(path) for path in paths],
            schema=wanted,
            missing_columns="insert",
            extra_columns="ignore",
            glob=False,
            hive_partitioning=False,
        ).select(*wanted)

    def _scan_ipc(self, part: Part, wanted: dict[str, pl.DataType]) -> pl.LazyFrame:
        present = self._present(part)
        frame = pl.scan_ipc(part.path, glob=False, hive_partitioning=False)
        return frame.select(
            *(pl.col(name) if name in present else pl.lit(None, dtype=dtype).alias(name) for name, dtype in wanted.items())
        )

    def _present(self, part: Part) -> tuple[str, ...]:
        present = self._columns.get(part.path)
        if present is None:
            present = tuple(read_schema(part))
            with self._lock:
                if len(self._columns) >= self._room:
                    self._forget_gone()
                self._columns[part.path] = present
        return present

    def _forget_gone(self) -> None:
        """Keep only what is known of parts that were listed last, and let it become twice as much until the next time.

        The caller holds the lock.
        """
        listed = [part for listing in self._listings.values() for part in listing.parts]
        names, paths = {part.name for part in listed}, {part.path for part in listed}
        self._counts = {name: count for name, count in self._counts.items() if name in names}
        self._columns = {path: columns for path, columns in self._columns.items() if path in paths}
        self._room = max(KNOWN, 2 * len(listed))

    def _walk(self, folder: Path, foreign: list[Path]) -> list[Part]:
        parts = self._list(folder)
        found = list(parts)
        listing = self._listings.get(str(folder))
        if listing is not None:
            foreign += listing.foreign
            for name in listing.folders:
                found += self._walk(folder / name, foreign)
        return found

    def _list(self, folder: Path) -> list[Part]:
        key = str(folder)
        try:
            changed_ns = folder.stat().st_mtime_ns
        except FileNotFoundError:
            with self._lock:
                self._listings.pop(key, None)
            return []
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}") from error
        known = self._listings.get(key)
        if known is not None and known.changed_ns == changed_ns:
            return known.parts
        parts: list[Part] = []
        folders: list[str] = []
        foreign: list[Path] = []
        listed_ns = time.time_ns()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = parse_name(entry.name)
                    if name is not None:
                        parts.append(Part(name, folder / entry.name))
                    elif entry.is_dir():
                        folders.append(entry.name)
                    elif not entry.name.endswith(".tmp"):
                        foreign.append(folder / entry.name)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}") from error
        racy = 0 <= listed_ns - changed_ns < RACY_NS
        with self._lock:
            self._listings[key] = _Listing(-1 if racy else changed_ns, parts, sorted(folders), foreign)
        return parts


class Lock:
    """The right to write to a store; held until `close`, or the end of the process and of all that inherited it."""

    def __init__(self, root: Path, inherited: int | None = None) -> None:
        """Take the lock, making the data directory where it is missing.

        Args:
            root: The data directory.
            inherited: Descriptor of the lock that the parent took, and holds for this process too.
        Raises:
            StoreLocked: A collector has it.
            StoreError: The directory can't be made or written.
        """
        self._root = root
        if inherited is not None:
            self._handle = inherited
            return
        try:
            make_folder(root)
            self._handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise StoreError(f"{root}: {error.strerror}; choose a data directory you may write with --data DIR") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise StoreLocked(
                f"{root}: a collector (process {holder or '?'}) writes to it; stop it or choose --data DIR"
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    @classmethod
    def of_process(cls, root: Path, process: int) -> Lock | None:
        """Return the lock that another process holds, with no right of its own; None where it holds none."""
        try:
            handle = os.open(root / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        if os.pread(handle, 32, 0) == f"{process}\n".encode():
            return cls(root, handle)
        os.close(handle)
        return None

    def fileno(self) -> int:
        """Return the descriptor; a process that inherits it holds the lock too."""
        return self._handle

    def stands(self) -> bool:
        """Return whether the file that is locked is still the one of the store; it isn't when that was moved away or removed."""
        return stands(self._root / "lock", self._handle)

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._handle)


def stands(path: Path, handle: int) -> bool:
    """Return whether a file that is open is still the one at a path."""
    try:
        now, ours = path.stat(), os.fstat(handle)
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino)


def scan_part(part: Part) -> pl.LazyFrame:
    """Return the flows of a part, with the columns that it has."""
    if part.name.is_parquet:
        return pl.scan_parquet(part.path, glob=False, hive_partitioning=False)
    return pl.scan_ipc(part.path, glob=False, hive_partitioning=False)


def read_schema(part: Part) -> dict[str, pl.DataType]:
    """Return the columns that a part has.

    Raises:
        SegmentError: It can't be opened, is no such file, or one of our columns has another type in it. `FileNotFoundError` passes
            through: the part was superseded.
    """
    try:
        found = pl.read_parquet_schema(part.path) if part.name.is_parquet else pl.read_ipc_schema(part.path)
    except FileNotFoundError:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SegmentError(str(part.path), f"can't be read: {error}".split("\n", 1)[0]) from error
    for name, dtype in found.items():
        if name in POLARS and dtype != POLARS[name]:
            raise SegmentError(str(part.path), f"its column {name} is {dtype}, not {POLARS[name]}")
    return found


def make_folder(folder: Path) -> None:
    """Make a folder of the store, readable by its group."""
    folder.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
