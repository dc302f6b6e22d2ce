"""Blocks of a file of nfdump: read, decompressed, and their records found, in threads that run ahead.

What decompresses, and numpy, let other threads run meanwhile. Blocks are handed over in the order of the file, and little more of
them is held than one thread needs: `AHEAD` jobs, each of one large block, or of some small ones beside each other.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import IO, NamedTuple

import numpy as np

from nftui.capture.nfdump import codecs
from nftui.capture.nfdump.columns import Buffer, Places, number
from nftui.capture.nfdump.records import Heads, Marks, Other, Walk, groups, walk
from nftui.capture.nfdump.rows import side_by_side

BLOCK_HEADER = 12
JOB = 64 << 10
"""Octets of blocks, as the file has them, that make a job, at least."""
THREADS, AHEAD = 2, 4
FEW = 256 << 10
"""A file of so many octets is not worth a thread."""
_LARGE = 64 << 10
"""A block of so many octets is not copied to have room behind it: nothing is looked at there but where records are."""
MOST_LAYOUTS = 4096
"""Layouts of records in some blocks; what is beyond is counted. Of extensions without a fixed length each length is one."""
_ARRAY_BLOCK = 4


class _Raw(NamedTuple):
    """A block as the file has it.

    Attributes:
        kind: What it says to hold.
        octets: Those behind its header.
        packed: Whether they are compressed.
        whole: Whether the file had all of them.
    """

    kind: int
    octets: bytes
    packed: bool
    whole: bool


class Alike(NamedTuple):
    """Flows that are laid out alike: where they are, what they have in common, and where each begins."""

    buffer: Buffer
    marks: Marks
    places: Places


class Step(NamedTuple):
    """Records of some blocks.

    Attributes:
        others: Those that are no flows.
        flows: Those that are, to be read once the others are known.
    """

    others: list[Other]
    flows: list[Alike]


@dataclass(slots=True)
class Stretch:
    """Some blocks that follow each other in a file.

    Attributes:
        blocks: How many.
        octets: Of them, as the file has them.
        malformed: What is broken in them, by reason.
        arrays: Blocks among them that hold no records.
        buffer: What they hold, decompressed.
        steps: The records in it, in their order.
    """

    blocks: int = 0
    octets: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    arrays: int = 0
    buffer: Buffer = field(default_factory=lambda: Buffer(np.empty(0, np.uint8), "<"))
    steps: list[Step] = field(default_factory=list)


class _Block(NamedTuple):
    start: int
    end: int


class Blocks:
    """Reads the blocks of one file."""

    def __init__(
        self,
        order: str,
        codec: int,
        types: tuple[int, ...] = (),
        telling: tuple[int, ...] = (),
        signature: Callable[[Buffer, int], Marks | None] = lambda _buffer, _place: None,
    ) -> None:
        """Begin.

        Args:
            order: The byte order, `<` or `>`.
            codec: How blocks are compressed, of `codecs.codec`.
            types: Of the records of flows.
            telling: Of the records that say how flows behind them are read.
            signature: Gives what a record has in common with all that are laid out alike; None where it makes no sense.
        """
        self._order, self._codec, self._types, self._telling, self._signature = order, codec, types, telling, signature
        self._heads = Heads()

    def first(self, file: IO[bytes], end: int) -> bytes | None:
        """Return what the next block of a file holds; None where it ends, or can't be read."""
        raw = self._raw(file, end, Stretch())
        if raw is None:
            return None
        return self._held(raw, codecs.codec(self._codec), Stretch())

    def stretches(self, file: IO[bytes], end: int, octets: int) -> Iterator[Stretch]:
        """Yield the blocks of a file from where it stands.

        Args:
            file: The file.
            end: Where the last block ends.
            octets: How many make a stretch, at least; no more than `JOB` are waited for.
        Raises:
            OSError: It can't be read.
        """
        jobs = self._jobs(file, end, min(octets, JOB))
        if end - file.tell() <= FEW:
            yield from (self._found(raws, stretch) for raws, stretch in jobs)
            return
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="nfdump")
        waiting: deque[Future[Stretch]] = deque()
        try:
            for raws, stretch in jobs:
                waiting.append(pool.submit(self._found, raws, stretch))
                if len(waiting) == AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _jobs(self, file: IO[bytes], end: int, octets: int) -> Iterator[tuple[list[_Raw], Stretch]]:
        raws, stretch = [], Stretch()
        while (raw := self._raw(file, end, stretch)) is not None:
            raws.append(raw)
            if stretch.octets >= octets:
                yield raws, stretch
                raws, stretch = [], Stretch()
        if raws or stretch.malformed:
            yield raws, stretch

    def _raw(self, file: IO[bytes], end: int, stretch: Stretch) -> _Raw | None:
        """Return the next block; None at the end."""
        left = end - file.tell()
        if left <= 0:
            return None
        head = file.read(min(BLOCK_HEADER, left))
        if len(head) < BLOCK_HEADER:
            stretch.malformed["file ends within the header of a block"] += 1
            return None
        size, kind, flags = (number(head[at : at + width], self._order) for at, width in ((4, 4), (8, 2), (10, 2)))
        if not 0 < size <= codecs.MAX_BLOCK:
            stretch.malformed["block of an impossible size"] += 1
            return None
        stretch.blocks += 1
        stretch.octets += BLOCK_HEADER + size
        octets = file.read(min(size, left - BLOCK_HEADER))
        whole = len(octets) == size
        if not whole:
            stretch.malformed["file ends within a block"] += 1
        return _Raw(kind, octets, not flags & 1, whole)

    # -- in a thread

    def _found(self, raws: list[_Raw], stretch: Stretch) -> Stretch:
        """Decompress blocks, each to a multiple of 4 octets, and find their records."""
        # What decompresses is not for several threads at once.
        codec = codecs.codec(self._codec)
        pieces: list[bytes] = []
        blocks: list[_Block] = []
        at = 0
        for raw in raws:
            octets = self._held(raw, codec, stretch)
            if octets is None:
                continue
            if raw.kind == _ARRAY_BLOCK:
                stretch.arrays += 1
                continue
            padding = -len(octets) % 4
            pieces += [octets, bytes(padding)]
            blocks.append(_Block(at, at + len(octets)))
            at += len(octets) + padding
        whole = pieces[0] if len(blocks) == 1 and at >= _LARGE else b"".join([*pieces, bytes(8)])
        stretch.buffer = Buffer(np.frombuffer(whole, np.uint8), self._order)
        stretch.steps = self._steps(stretch, self._walks(stretch, blocks))
        return stretch

    def _held(self, raw: _Raw, codec: codecs.Decompress | None, stretch: Stretch) -> bytes | None:
        if codec is None or not raw.packed:
            return raw.octets
        try:
            return codec(raw.octets)
        except codecs.BrokenBlock:
            if raw.whole:
                stretch.malformed["block can't be decompressed"] += 1
            return None

    def _steps(self, stretch: Stretch, walks: Iterator[Walk]) -> list[Step]:
        found: list[tuple[list[Other], list[Walk]]] = []
        for one in walks:
            if found and not any(other.type in self._telling for other in one.others):
                found[-1][0].extend(one.others)
                found[-1][1].append(one)
            else:
                found.append((one.others, [one]))
        steps = []
        for others, together in found:
            places, sizes = (np.concatenate(many) for many in ([one.flows for one in together], [one.sizes for one in together]))
            flows = [one for held in side_by_side(stretch.buffer, places, sizes) for one in self._alike(*held, stretch)]
            steps.append(Step(others, flows))
        return steps

    def _alike(self, buffer: Buffer, places: Places, stretch: Stretch) -> list[Alike]:
        found, rest, senseless = groups(buffer, places, lambda place: self._signature(buffer, place), MOST_LAYOUTS)
        if len(senseless):
            stretch.malformed["flow whose extensions don't fit into it"] += len(senseless)
        if len(rest):
            stretch.malformed["flows of too many layouts"] += len(rest)
        return [Alike(buffer, marks, ones) for marks, ones in found]

    def _walks(self, stretch: Stretch, blocks: list[_Block]) -> Iterator[Walk]:
        """Find the records of some blocks; in one step where none but flows are in them."""
        buffer = stretch.buffer
        if len(blocks) > 1 and all(before.end == after.start for before, after in pairwise(blocks)):
            found = walk(buffer, blocks[0].start, blocks[-1].end, self._types, only_flows=True)
            starts = np.array([block.start for block in blocks])
            if not found.problem and np.isin(starts, found.flows, assume_unique=True).all():
                yield found
                return
        for block in blocks:
            found = walk(buffer, block.start, block.end, self._types, self._heads)
            if found.problem:
                stretch.malformed[found.problem] += 1
            yield found
