"""Names of the store's files: what a part holds can be told without opening it.

A name is `<received_from>-<received_to>-<min_start>-<max_end>-<level>-<stream>.<first>.<last>.<suffix>`: times in microseconds
since 1970; level `T` for a tail file, `L0` for a sealed segment, `L1` for an hour, `X` for an empty file that says that a part has
expired; the stream, and the range of its tail files, by sequence number, that the part holds; the suffix says the format: segments
are Parquet, tail files Arrow IPC or, when they hold many flows, Parquet already. A part whose range of sequence numbers a higher
level of the same stream covers is superseded: readers pass it over, so nothing is counted twice while a seal or a compaction is
under way, and nothing comes back while a part is removed, whatever the clock does.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from nftui.engine.query import Interval

TAIL, SEGMENT, HOUR, EXPIRED = -1, 0, 1, 9
"""Levels of parts."""
_SUFFIXES = {TAIL: "arrow", EXPIRED: "expired"}
_PARQUET = "parquet"
_NUMBER = r"(\d{1,18})"
_NAME = re.compile("-".join([_NUMBER] * 4) + rf"-(T|X|L[0-8])-([a-z0-9]{{1,32}})\.{_NUMBER}\.{_NUMBER}\.([a-z]+)")


@dataclass(frozen=True, slots=True, order=True)
class PartName:
    """What a file's name says.

    Attributes:
        received_from: Receipt of the first flow, microseconds.
        received_to: End of receipt.
        min_start: Earliest start of a flow.
        max_end: Latest end of a flow.
        level: `TAIL`, `SEGMENT`, `HOUR` or `EXPIRED`.
        stream: Who wrote it: flows of one stream have one sequence.
        first: Sequence number of the first tail file that the part holds.
        last: Of the last.
        packed: Whether a tail file is Parquet already; False for segments, which always are.
    """

    received_from: int
    received_to: int
    min_start: int
    max_end: int
    level: int
    stream: str
    first: int
    last: int
    packed: bool = False

    def __str__(self) -> str:
        level = {TAIL: "T", EXPIRED: "X"}.get(self.level, f"L{self.level}")
        times = f"{self.received_from}-{self.received_to}-{self.min_start}-{self.max_end}"
        return f"{times}-{level}-{self.stream}.{self.first:08d}.{self.last:08d}.{self.suffix}"

    @property
    def suffix(self) -> str:
        """What the file's name ends in, without the dot."""
        return _PARQUET if self.is_parquet else _SUFFIXES[self.level]

    @property
    def is_parquet(self) -> bool:
        """Whether the part is a Parquet file; else it is Arrow IPC."""
        return self.packed or TAIL < self.level < EXPIRED

    def covers(self, other: PartName) -> bool:
        """Return whether this part supersedes the other."""
        return self.level > other.level and self.stream == other.stream and self.first <= other.first and other.last <= self.last

    def overlaps(self, interval: Interval | None) -> bool:
        """Return whether a flow of this part can lie in the interval; None is all of time."""
        return interval is None or (self.min_start < interval.end and self.max_end >= interval.start)

    def inside(self, interval: Interval | None) -> bool:
        """Return whether every flow of this part lies wholly in the interval."""
        return interval is None or (interval.start <= self.min_start and self.max_end < interval.end)


def parse_name(name: str) -> PartName | None:
    """Return what a file's name says, or None where it is no part of a store."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    received_from, received_to, min_start, max_end, first, last = (int(text) for text in match.group(1, 2, 3, 4, 7, 8))
    level = {"T": TAIL, "X": EXPIRED}.get(match[5]) or int(match[5][1:] or 0)
    packed = level == TAIL and match[9] == _PARQUET
    found = PartName(received_from, received_to, min_start, max_end, level, match[6], first, last, packed)
    return found if match[9] == found.suffix and first <= last else None


@dataclass(frozen=True, slots=True)
class Part:
    """One immutable file of flows, or an empty one that says that a part has expired."""

    name: PartName
    path: Path


def without_superseded(parts: list[Part]) -> list[Part]:
    """Return the parts that hold flows and that no other part of the list supersedes, in the order given."""
    return _not_under(parts, [part.name for part in parts if part.name.level > TAIL])


def without_expired(parts: list[Part]) -> list[Part]:
    """Return the parts that hold flows and of which none says that they have expired; superseded ones too."""
    return _not_under(parts, [part.name for part in parts if part.name.level == EXPIRED])


def _not_under(parts: list[Part], higher: list[PartName]) -> list[Part]:
    streams: dict[str, list[PartName]] = defaultdict(list)
    for name in higher:
        streams[name.stream].append(name)
    covers = {stream: _Covers(names) for stream, names in streams.items()}
    return [
        part
        for part in parts
        if part.name.level != EXPIRED and not (part.name.stream in covers and covers[part.name.stream].over(part.name))
    ]


class _Covers:
    """The parts of one stream that may supersede others: by level, where those above it begin, and how far they reach."""

    def __init__(self, names: list[PartName]) -> None:
        self._firsts: dict[int, list[int]] = {}
        self._reach: dict[int, list[int]] = {}
        for level in range(TAIL, EXPIRED):
            higher = sorted((name.first, name.last) for name in names if name.level > level)
            self._firsts[level] = [first for first, _ in higher]
            self._reach[level] = list(accumulate((last for _, last in higher), max))

    def over(self, name: PartName) -> bool:
        """Return whether one of them supersedes a part: some that begins at it or before reaches to its end."""
        before = bisect_right(self._firsts[name.level], name.first)
        return before > 0 and self._reach[name.level][before - 1] >= name.last
