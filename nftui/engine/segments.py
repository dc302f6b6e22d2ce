"""Names of the store's files: what a part holds can be told without opening it.

A name is `<received_from>-<received_to>-<min_start>-<max_end>-<level>-<stream>.<first>.<last>.<suffix>`: times in microseconds
since 1970; level `T` for a tail file, `L0` for a sealed segment, `L1` for an hour; the stream, and the range of its tail files, by
sequence number, that the part holds; the suffix says the format: segments are Parquet, tail files Arrow IPC or, when they hold many
flows, Parquet already. A part whose range of sequence numbers a higher level of the same stream covers is superseded:
readers pass it over, so nothing is counted twice while a seal or a compaction is under way, whatever the clock does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nftui.engine.query import Interval

TAIL = -1
TAIL_SUFFIX, SEGMENT_SUFFIX = "arrow", "parquet"
_NAME = re.compile(r"(\d+)-(\d+)-(\d+)-(\d+)-(T|L\d)-([a-z0-9]+)\.(\d+)\.(\d+)\.(arrow|parquet)")


@dataclass(frozen=True, slots=True, order=True)
class PartName:
    """What a file's name says.

    Attributes:
        received_from: Receipt of the first flow, microseconds.
        received_to: End of receipt.
        min_start: Earliest start of a flow.
        max_end: Latest end of a flow.
        level: `TAIL`, 0, 1, ….
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
        level, suffix = "T" if self.level == TAIL else f"L{self.level}", SEGMENT_SUFFIX if self.is_parquet else TAIL_SUFFIX
        times = f"{self.received_from}-{self.received_to}-{self.min_start}-{self.max_end}"
        return f"{times}-{level}-{self.stream}.{self.first:08d}.{self.last:08d}.{suffix}"

    @property
    def is_parquet(self) -> bool:
        """Whether the part is a Parquet file; else it is Arrow IPC."""
        return self.packed or self.level > TAIL

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
    received_from, received_to, min_start, max_end = (int(text) for text in match.group(1, 2, 3, 4))
    level = TAIL if match[5] == "T" else int(match[5][1:])
    parquet = match[9] == SEGMENT_SUFFIX
    if level > TAIL and not parquet:
        return None
    packed = level == TAIL and parquet
    return PartName(received_from, received_to, min_start, max_end, level, match[6], int(match[7]), int(match[8]), packed)


@dataclass(frozen=True, slots=True)
class Part:
    """One immutable file of flows."""

    name: PartName
    path: Path


def without_superseded(parts: list[Part]) -> list[Part]:
    """Return the parts that no other part of the list supersedes, in the order given."""
    higher: dict[str, list[PartName]] = {}
    for part in parts:
        if part.name.level > TAIL:
            higher.setdefault(part.name.stream, []).append(part.name)
    for names in higher.values():
        names.sort(key=lambda name: name.first)
    return [part for part in parts if not _superseded(part.name, higher.get(part.name.stream, []))]


def _superseded(name: PartName, higher: list[PartName]) -> bool:
    """Look through the parts that begin at or before this one; `higher` is in the order of `first`."""
    low, high = 0, len(higher)
    while low < high:
        middle = (low + high) // 2
        if higher[middle].first <= name.first:
            low = middle + 1
        else:
            high = middle
    return any(candidate.covers(name) for candidate in higher[max(low - 8, 0) : low][::-1])
