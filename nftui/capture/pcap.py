"""Datagrams of capture files: those of UDP in pcap and pcapng files of any size, in blocks.

Fragments, other protocols and frames that were cut are counted.

Source: RFC 768.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np

from nftui.capture.datagrams import ROWS, DatagramBlock
from nftui.capture.dissection import ABSENT
from nftui.capture.internet import UDP, WHOLE
from nftui.capture.kinds import UNKNOWN, kinds_of
from nftui.capture.links import KNOWN_LINKS
from nftui.capture.packets import dissect
from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.sets import Integers, Octets
from nftui.capture.sockets import SFLOW_PORT

_UDP_HEADER = 8


@dataclass
class CaptureFileCounts:
    """What a capture file held, by frame.

    Attributes:
        frames: All of them.
        datagrams: Whole UDP datagrams, of which blocks were made.
        not_udp: Other protocols.
        fragments: IP fragments, which are not put together.
        truncated: Frames that hold less than the datagram, as captured or as broken.
        link_unknown: Frames of a link type that is not read.
        file_cut: 1 when the file ends within a frame.
    """

    frames: int = 0
    datagrams: int = 0
    not_udp: int = 0
    fragments: int = 0
    truncated: int = 0
    link_unknown: int = 0
    file_cut: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def read_capture(
    path: Path, counts: CaptureFileCounts | None = None, *, likely: bool = False, frames: int | None = None
) -> Iterator[DatagramBlock]:
    """Read the UDP datagrams of a capture file, compressed by gzip or not.

    Args:
        path: The file.
        counts: Is brought up to date with each block.
        likely: Take only datagrams that begin as exports of flows do.
        frames: Look at no more than about so many; None for all.
    Yields:
        Blocks of datagrams to one port, in the order of the file; each has memory of its own.
    Raises:
        CaptureFileError: The file can't be read, or is no capture file. What precedes a broken place is yielded before.
    """
    counts = counts if counts is not None else CaptureFileCounts()
    with CaptureFile(path) as file:
        for block in file:
            for first in range(0, len(block), ROWS):
                yield from _datagrams(block, slice(first, first + ROWS), counts, likely=likely)
            if frames is not None and counts.frames >= frames:
                return
        counts.file_cut += file.file_cut


def _datagrams(block: FrameBlock, some: slice, counts: CaptureFileCounts, *, likely: bool) -> Iterator[DatagramBlock]:
    """Find the UDP datagrams of some frames; one block for each run of the same destination port."""
    flat, start, end, time = block.flat, block.start[some], block.end[some], block.time[some]
    link = block.link if isinstance(block.link, int) else block.link[some]
    counts.frames += len(start)
    known = np.broadcast_to(np.isin(link, list(KNOWN_LINKS)), start.shape)
    counts.link_unknown += int((~known).sum())
    found = dissect(flat, start, end, link, tunnels=False)
    protocol, place, ends = found.number("protocol"), found.number("transport"), found.number("ip_end")
    is_udp, fragment = protocol == UDP, found.number("fragment") != WHOLE
    cut = (found.number("ip_version") != ABSENT) & (protocol == ABSENT)
    udp = np.where(place == ABSENT, end, place)
    length = _word(flat, udp + 4)
    whole = is_udp & ~fragment & (udp + _UDP_HEADER <= ends) & (length >= _UDP_HEADER) & (udp + length <= ends)
    counts.not_udp += int((known & ~is_udp & ~cut).sum())
    counts.fragments += int((is_udp & fragment).sum())
    counts.truncated += int((cut | (is_udp & ~fragment & ~whole)).sum())
    use = np.flatnonzero(whole)
    if likely:
        begin, port = udp[use] + _UDP_HEADER, found.number("destination_port")[use]
        kinds = kinds_of(flat[begin[:, None] + np.arange(4)], length[use] - _UDP_HEADER, 0)
        use = use[(kinds != UNKNOWN) | (port == SFLOW_PORT)]
    if not len(use):
        return
    udp, length, address, time = udp[use] + _UDP_HEADER, length[use] - _UDP_HEADER, found.source[use], time[use]
    counts.datagrams += len(use)
    source, destination = (found.number(name)[use].astype(np.int64) for name in ("source_port", "destination_port"))
    bounds = [0, *(np.flatnonzero(np.diff(destination)) + 1).tolist(), len(use)]
    for first, last in pairwise(bounds):
        width = int(length[first:last].max())
        payload = np.zeros((last - first, max(width, 1)), np.uint8)
        for row, (begin, octets) in enumerate(zip(udp[first:last].tolist(), length[first:last].tolist(), strict=True)):
            payload[row, :octets] = flat[begin : begin + octets]
        part = slice(first, last)
        yield DatagramBlock(payload, length[part], address[part], source[part], time[part], int(destination[first]))


def _word(flat: Octets, at: Integers) -> Integers:
    return flat[at].astype(np.int64) << 8 | flat[at + 1]
