"""Capture files of bounded size: frames go to the first until it is full, then to the second, then to the first again, begun anew.

Source: draft-ietf-opsawg-pcap; IEEE 802.1Q, clause 9, for the tag that the kernel took out of a frame.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import ABSENT
from nftui.capture.links import ETHERNET
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.sets import Integers, Octets
from nftui.units import SECOND

FILES = 2
LEAST = 1 << 18
"""Octets of a file, at least: a frame fits in any case."""
HEADER = struct.Struct("<IHHiIII")
RECORD = np.dtype([("seconds", "<u4"), ("microseconds", "<u4"), ("captured", "<u4"), ("length", "<u4")])
_MAGIC, _VERSION, _SNAP = 0xA1B2C3D4, (2, 4), 1 << 18
_TAG_AT, _TAG = 12, 4
"""Where the tag of a frame stands, and how long it is."""


class PcapFiles:
    """Files with the newest frames; they can be read at any time.

    Attributes:
        paths: The files there are, the one with the older frames first.
        frames: Written so far, those that were overwritten among them.
        left_out: Frames of another link type than the file's.
    """

    def __init__(self, stem: Path, link: int, octets: int) -> None:
        """Begin the first one.

        Args:
            stem: The path without what is put behind it: `-1.pcap`, `-2.pcap`.
            link: Link type of the frames.
            octets: Of all files together, at most.
        Raises:
            OSError: It can't be written, or is there already.
        """
        self.frames = self.left_out = 0
        self.paths: list[Path] = []
        self._all = [stem.with_name(f"{stem.name}-{place + 1}.pcap") for place in range(FILES)]
        self._link, self._most = link, max(octets // FILES, LEAST)
        self._place, self._size = -1, 0
        self._file: IO[bytes] | None = None
        self._next()

    @property
    def octets(self) -> int:
        """How large the files are together."""
        return sum(path.stat().st_size for path in self.paths)

    def write(self, block: FrameBlock) -> None:
        """Write frames.

        Raises:
            OSError: They can't be written.
        """
        rows = self._wanted(block)
        while len(rows):
            assert self._file is not None
            # A frame more than fits would make it longer than it may be.
            fitting = int(np.searchsorted(np.cumsum(_sizes(block, rows)), self._most - self._size, side="right"))
            if fitting:
                octets = records(block, rows[:fitting])
                self._file.write(octets.tobytes())
                self._file.flush()
                self._size += len(octets)
                self.frames += fitting
                rows = rows[fitting:]
            else:
                self._next()

    def close(self) -> None:
        """Close the file that is written to."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _wanted(self, block: FrameBlock) -> Integers:
        rows = np.nonzero(np.asarray(block.link) == self._link)[0] if isinstance(block.link, np.ndarray) else np.arange(len(block))
        if not isinstance(block.link, np.ndarray) and block.link != self._link:
            rows = rows[:0]
        self.left_out += len(block) - len(rows)
        # Longer ones fit in no file: no link has them.
        return rows[_sizes(block, rows) <= self._most - HEADER.size]

    def _next(self) -> None:
        self.close()
        self._place = (self._place + 1) % FILES
        path = self._all[self._place]
        # What passes may be private, and isn't for others to read.
        path.touch(mode=0o600, exist_ok=path in self.paths)
        self.paths = [*(one for one in self.paths if one != path), path]
        self._file = path.open("wb")
        self._file.write(HEADER.pack(_MAGIC, *_VERSION, 0, 0, _SNAP, self._link))
        self._file.flush()
        self._size = HEADER.size


def records(block: FrameBlock, rows: Integers) -> Octets:
    """Return frames as the records of a file: for each its header, then its octets, the tag put back where the kernel took it.

    Args:
        block: The frames.
        rows: Which of them, in order.
    """
    sizes, tagged = _sizes(block, rows), _tagged(block, rows)
    start, captured = block.start[rows], (block.end - block.start)[rows]
    at = np.cumsum(sizes) - sizes
    made = np.empty(int(sizes.sum()), np.uint8)
    heads = np.empty(len(rows), RECORD)
    heads["seconds"], heads["microseconds"] = np.divmod(np.clip(block.time[rows], 0, (1 << 32) * SECOND - 1), SECOND)
    heads["captured"] = captured + _TAG * tagged
    heads["length"] = np.maximum(block.length[rows], captured) + _TAG * tagged
    made[at[:, None] + np.arange(RECORD.itemsize)] = heads.view(np.uint8).reshape(len(rows), RECORD.itemsize)
    within = np.arange(int(captured.sum())) - np.repeat(np.cumsum(captured) - captured, captured)
    to = np.repeat(at + RECORD.itemsize, captured) + within
    if tagged.any():
        to += np.where(np.repeat(tagged, captured) & (within >= _TAG_AT), _TAG, 0)
        tags = np.full((int(tagged.sum()), 2), 0x8100, ">u2")
        assert block.vlan is not None
        tags[:, 1] = block.vlan[rows][tagged]
        made[(at[tagged] + RECORD.itemsize + _TAG_AT)[:, None] + np.arange(_TAG)] = tags.view(np.uint8).reshape(-1, _TAG)
    made[to] = block.flat[np.repeat(start, captured) + within]
    return made


def _tagged(block: FrameBlock, rows: Integers) -> npt.NDArray[np.bool_]:
    if block.vlan is None:
        return np.zeros(len(rows), bool)
    link = block.link[rows] if isinstance(block.link, np.ndarray) else block.link
    tagged: npt.NDArray[np.bool_] = (block.vlan[rows] != ABSENT) & ((block.end - block.start)[rows] >= _TAG_AT)
    return tagged & (link == ETHERNET)


def _sizes(block: FrameBlock, rows: Integers) -> Integers:
    return (block.end - block.start)[rows] + RECORD.itemsize + _TAG * _tagged(block, rows)
