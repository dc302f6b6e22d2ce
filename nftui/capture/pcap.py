"""Capture files: the datagrams in pcap and pcapng files, in blocks of bounded size, for files of any size.

One Python step a frame finds where it begins; what is in the frames is read from a block of them at once. Fragments, other
protocols and frames that were cut are counted.

Source: draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng; RFC 768.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from nftui.capture.datagrams import ROWS, DatagramBlock
from nftui.capture.dissection import ABSENT
from nftui.capture.internet import UDP, WHOLE
from nftui.capture.links import KNOWN_LINKS
from nftui.capture.packets import dissect
from nftui.capture.sets import Integers, Octets
from nftui.capture.values import LATEST
from nftui.errors import CaptureFileError

BLOCK_OCTETS = 4 << 20
"""Octets of frames in one block, at most, beyond the last frame."""
MAX_FRAME = 1 << 18
MAX_PCAPNG_BLOCK = 1 << 24
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1000),
}
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_GZIP_MAGIC = b"\x1f\x8b"
_INTERFACE, _SIMPLE, _ENHANCED = 1, 3, 6
_RESOLUTION = 9
_UDP_HEADER = 8
_MARGIN = 64


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


class _Frame(NamedTuple):
    time: int
    link: int
    octets: bytes


def read_capture(path: Path, counts: CaptureFileCounts | None = None) -> Iterator[DatagramBlock]:
    """Read the UDP datagrams of a capture file, compressed by gzip or not.

    Args:
        path: The file.
        counts: Is brought up to date with each block.
    Yields:
        Blocks of datagrams to one port, in the order of the file; each has memory of its own.
    Raises:
        CaptureFileError: The file can't be read, or is no capture file. What precedes a broken place is yielded before.
    """
    counts = counts if counts is not None else CaptureFileCounts()
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if compressed else raw as file:
                yield from _blocks(_frames(file, path, counts), counts)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as error:
        raise CaptureFileError(str(path), getattr(error, "strerror", None) or str(error)) from error


def _frames(file: IO[bytes], path: Path, counts: CaptureFileCounts) -> Iterator[_Frame]:
    magic = file.read(4)
    if magic == _PCAPNG_MAGIC:
        yield from _pcapng_frames(file, path, counts)
    elif magic in _MAGIC:
        yield from _pcap_frames(file, path, counts, *_MAGIC[magic])
    else:
        raise CaptureFileError(str(path), f"no pcap or pcapng file, it begins with {magic.hex(' ') or 'nothing'}")


def _pcap_frames(file: IO[bytes], path: Path, counts: CaptureFileCounts, order: str, divisor: int) -> Iterator[_Frame]:
    header = file.read(20)
    if len(header) < 20:
        raise CaptureFileError(str(path), "ends within the file header")
    link = int(struct.unpack_from(order + "I", header, 16)[0]) & 0x0FFFFFFF
    record = struct.Struct(order + "IIII")
    while head := file.read(16):
        if len(head) < 16:
            counts.file_cut = 1
            return
        seconds, fraction, captured, _ = record.unpack(head)
        if captured > MAX_FRAME:
            raise CaptureFileError(str(path), f"frame {counts.frames + 1} of {captured} octets: the file is broken there")
        octets = file.read(captured)
        if len(octets) < captured:
            counts.file_cut = 1
            return
        yield _Frame(seconds * 1_000_000 + fraction // divisor, link, octets)


def _pcapng_frames(file: IO[bytes], path: Path, counts: CaptureFileCounts) -> Iterator[_Frame]:
    order, interfaces = "<", list[tuple[int, int]]()
    head = _PCAPNG_MAGIC + file.read(4)
    while len(head) == 8:
        body = b""
        if head[:4] == _PCAPNG_MAGIC:
            body = file.read(4)
            order, interfaces = "<" if body == b"\x4d\x3c\x2b\x1a" else ">", []
        kind, size = struct.unpack(order + "II", head)
        if not 12 <= size <= MAX_PCAPNG_BLOCK:
            raise CaptureFileError(str(path), f"block of {size} octets: the file is broken there")
        body += file.read(size - 8 - len(body))
        if len(body) < size - 8:
            break
        body = body[:-4]
        if kind == _INTERFACE and len(body) >= 8:
            interfaces.append((struct.unpack_from(order + "H", body)[0], _ticks_a_second(body, order)))
        elif kind == _ENHANCED and len(body) >= 20:
            number, high, low, captured, _ = struct.unpack_from(order + "IIIII", body)
            link, ticks = interfaces[number] if number < len(interfaces) else (-1, 1_000_000)
            yield _Frame(min((high << 32 | low) * 1_000_000 // ticks, LATEST), link, body[20 : 20 + captured])
        elif kind == _SIMPLE and len(body) >= 4:
            (original,) = struct.unpack_from(order + "I", body)
            yield _Frame(0, interfaces[0][0] if interfaces else -1, body[4 : 4 + original])
        head = file.read(8)
        if not head:
            return
    counts.file_cut = 1


def _ticks_a_second(interface: bytes, order: str) -> int:
    """Return the resolution that an interface's options state (if_tsresol), microseconds by default."""
    at = 8
    while at + 4 <= len(interface):
        code, size = struct.unpack_from(order + "HH", interface, at)
        if code == 0:
            break
        if code == _RESOLUTION and size >= 1 and at + 4 < len(interface):
            value = interface[at + 4]
            return int(1 << min(value & 0x7F, 63)) if value & 0x80 else int(10 ** min(value, 18))
        at += 4 + (size + 3) // 4 * 4
    return 1_000_000


def _blocks(frames: Iterator[_Frame], counts: CaptureFileCounts) -> Iterator[DatagramBlock]:
    gathered: list[_Frame] = []
    octets = 0
    for frame in frames:
        counts.frames += 1
        gathered.append(frame)
        octets += len(frame.octets)
        if len(gathered) == ROWS or octets >= BLOCK_OCTETS:
            yield from _datagrams(gathered, counts)
            gathered, octets = [], 0
    if gathered:
        yield from _datagrams(gathered, counts)


def _datagrams(frames: list[_Frame], counts: CaptureFileCounts) -> Iterator[DatagramBlock]:
    """Find the UDP datagrams of some frames; one block for each run of the same destination port."""
    size = np.array([len(frame.octets) for frame in frames], np.int64)
    flat = np.frombuffer(b"".join(frame.octets for frame in frames) + bytes(_MARGIN), np.uint8)
    start = np.cumsum(size) - size
    end = start + size
    link = np.array([frame.link for frame in frames], np.int64)
    time = np.array([frame.time for frame in frames], np.int64)
    known = np.isin(link, list(KNOWN_LINKS))
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
