"""Following a store: the flows that a collector writes, each once, as they come. It reads files, and disturbs nobody.

A stream's tail files have ascending numbers, so the last number is all there is to remember. What was sealed before it was read is
looked for in the segment that holds its number: the flows that were received after those that were read last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from nftui.engine.segments import Part, without_superseded
from nftui.engine.share import ALONE
from nftui.engine.store import Store, scan_part
from nftui.errors import StoreError
from nftui.schema import POLARS

_RECEIVED = pl.col("received").to_physical()
_ERRORS = (OSError, StoreError, pl.exceptions.PolarsError)


@dataclass(slots=True)
class _Place:
    """How far a stream was read: the number of a tail file, and the receipt of its last flow, microseconds."""

    number: int = 0
    received: int = -(2**62)


@dataclass(slots=True)
class Follower:
    """Reads what comes into a store.

    Attributes:
        store: It may be empty, or not exist yet.
        tell: Takes a line about what can't be read.
        unread: Files that could not be read, and were passed over.
    """

    store: Store
    tell: Callable[[str], None]
    unread: int = 0
    _places: dict[str, _Place] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)
    _folder: int = 0

    def skip(self) -> None:
        """Take what there is as read."""
        self._look_whether_anew()
        for part in self._own(self.store.listed()):
            place = self._places.setdefault(part.name.stream, _Place())
            place.number = max(place.number, part.name.last)
            place.received = max(place.received, part.name.received_to - 1)

    def take(self) -> list[pl.DataFrame]:
        """Return the flows that have come since, in the order of receipt of each stream.

        Raises:
            StoreError: The directory can't be listed.
        """
        self._look_whether_anew()
        tail = self._own(self.store.listed_tail())
        frames: list[pl.DataFrame] = []
        for part in sorted(tail, key=lambda part: (part.name.stream, part.name.last)):
            place = self._places.setdefault(part.name.stream, _Place())
            if part.name.last <= place.number:
                continue
            if part.name.first > place.number + 1:
                frames += self._sealed(part.name.stream, place, part.name.first)
            frames += self._read(part, place, whole=True)
        return frames

    def rest(self) -> list[pl.DataFrame]:
        """Return the flows that were sealed before they were read, where no tail file came after them."""
        frames: list[pl.DataFrame] = []
        for stream, place in self._places.items():
            frames += self._sealed(stream, place, 2**62)
        return frames

    def _look_whether_anew(self) -> None:
        """Begin anew where the store did: its folder is another one."""
        try:
            folder = self.store.tail.stat().st_ino
        except OSError:
            return
        if self._folder not in (0, folder):
            self._places.clear()
        self._folder = folder

    def _own(self, parts: list[Part]) -> list[Part]:
        return [part for part in without_superseded(parts) if ALONE.owns(part.name.stream)]

    def _sealed(self, stream: str, place: _Place, before: int) -> list[pl.DataFrame]:
        """Return what segments hold of a stream between what was read and a number."""
        frames: list[pl.DataFrame] = []
        for part in sorted(self._own(self.store.listed()), key=lambda part: part.name.last):
            if part.name.stream == stream and place.number < part.name.last < before:
                frames += self._read(part, place, whole=part.name.first > place.number)
        return frames

    def _read(self, part: Part, place: _Place, *, whole: bool) -> list[pl.DataFrame]:
        """Return the flows of a part that were not read; nothing when it can't be read, which is tried once more."""
        flows = scan_part(part)
        try:
            known = [name for name in flows.collect_schema().names() if name in POLARS]
            flows = flows.select(known).filter(pl.lit(whole) | (_RECEIVED > place.received)).sort("received", maintain_order=True)
            frame = flows.collect()
        except FileNotFoundError:
            # It was sealed meanwhile; the next time it is looked for there.
            return []
        except _ERRORS as error:
            if part.path.name not in self._failed:
                self._failed.add(part.path.name)
                return []
            self._failed.discard(part.path.name)
            self.unread += 1
            self.tell(f"{part.path}: can't be read, and is passed over: {str(error).splitlines()[0]}")
            frame = pl.DataFrame()
        place.number = max(place.number, part.name.last)
        if frame.height:
            place.received = max(place.received, int(frame.select(_RECEIVED.max()).item() or 0))
        return [frame] if frame.height else []
