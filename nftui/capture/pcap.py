"""Capture files: the datagrams in pcap and pcapng files, in blocks of bounded size, for files of any size.

One Python step a frame finds where it begins; what is in the frames is read from a block of them at once. Fragments, other
protocols and frames that were cut are counted.

Source: draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng; the link types at tcpdump.org; RFC 791, 8200 and 768.
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
import numpy.typing as npt

from nftui.capture.datagrams import ROWS, DatagramBlock
from nftui.capture.values import LATEST
from nftui.errors import CaptureFileError

BLOCK_OCTETS = 4 << 20
"""Octets of frames in one block, at most, beyond the last frame."""
MAX_FRAME = 1 << 18
MAX_PCAPNG_BLOCK = 1 << 24
ETHERNET, RAW_IP, LINUX_COOKED, LINUX_COOKED_2 = 1, 101, 113, 276
NULL_LINKS, RAW_LINKS = (0, 108), (RAW_IP, 12, 14, 228, 229)
KNOWN_LINKS = {ETHERNET, LINUX_COOKED, LINUX_COOKED_2, *NULL_LINKS, *RAW_LINKS}
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
_IPV4, _IPV6, _UDP = 0x0800, 0x86DD, 17
_VLAN = (0x8100, 0x88A8, 0x9100)
_VLAN_DEPTH = 4
_FRAGMENT_HEADER = 44
_EXTENSIONS = (0, 43, 60)
_MARGIN = 128

Octets = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


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
    ip, ethertype = _network(flat, start, end, link)
    udp, address, stop = _transport(flat, ip, end, ethertype, known, counts)
    use = np.flatnonzero(udp >= 0)
    if not len(use):
        return
    udp, stop, address, time = udp[use], stop[use], address[use], time[use]
    length = stop - udp - 8
    counts.datagrams += len(use)
    source, destination = _word(flat, udp), _word(flat, udp + 2)
    bounds = [0, *(np.flatnonzero(np.diff(destination)) + 1).tolist(), len(use)]
    for first, last in pairwise(bounds):
        width = int(length[first:last].max())
        payload = np.zeros((last - first, max(width, 1)), np.uint8)
        for row, (begin, octets) in enumerate(zip((udp[first:last] + 8).tolist(), length[first:last].tolist(), strict=True)):
            payload[row, :octets] = flat[begin : begin + octets]
        part = slice(first, last)
        yield DatagramBlock(payload, length[part], address[part], source[part], time[part], int(destination[first]))


def _network(flat: Octets, start: Integers, end: Integers, link: Integers) -> tuple[Integers, Integers]:
    """Return where the network header of each frame begins, and its EtherType."""
    at = start.copy()
    ethertype = np.zeros(len(start), np.int64)
    for kind, skip, place in ((ETHERNET, 14, 12), (LINUX_COOKED, 16, 14), (LINUX_COOKED_2, 20, 0)):
        some = np.flatnonzero((link == kind) & (end - start >= skip))
        ethertype[some] = _word(flat, start[some] + place)
        at[some] += skip
    for _ in range(_VLAN_DEPTH):
        tagged = np.flatnonzero(np.isin(ethertype, _VLAN) & (at + 4 <= end))
        if not len(tagged):
            break
        ethertype[tagged] = _word(flat, at[tagged] + 2)
        at[tagged] += 4
    for kinds, skip in ((RAW_LINKS, 0), (NULL_LINKS, 4)):
        some = np.flatnonzero(np.isin(link, kinds) & (end - start > skip))
        at[some] += skip
        ethertype[some] = np.where(flat[at[some]] >> 4 == 6, _IPV6, np.where(flat[at[some]] >> 4 == 4, _IPV4, 0))
    return at, ethertype


def _transport(
    flat: Octets, ip: Integers, end: Integers, ethertype: Integers, known: npt.NDArray[np.bool_], counts: CaptureFileCounts
) -> tuple[Integers, Octets, Integers]:
    """Return where the UDP header of each frame begins, -1 for none; the source address; and where the datagram ends."""
    udp = np.full(len(ip), -1, np.int64)
    stop = np.zeros(len(ip), np.int64)
    address = np.zeros((len(ip), 16), np.uint8)
    four = np.flatnonzero((ethertype == _IPV4) & known)
    six = np.flatnonzero((ethertype == _IPV6) & known)
    counts.not_udp += int(known.sum()) - len(four) - len(six)
    whole = ip[four] + 20 <= end[four]
    counts.truncated += int((~whole).sum())
    four = four[whole]
    header = (flat[ip[four]] & 0x0F).astype(np.int64) * 4
    fragment = (_word(flat, ip[four] + 6) & 0x3FFF) != 0
    is_udp = flat[ip[four] + 9] == _UDP
    counts.fragments += int((fragment & is_udp).sum())
    counts.not_udp += int((~is_udp).sum())
    fine = is_udp & ~fragment & (header >= 20)
    counts.truncated += int((is_udp & ~fragment & (header < 20)).sum())
    udp[four[fine]] = ip[four[fine]] + header[fine]
    address[four, 10:12] = 0xFF
    address[four, 12:] = flat[ip[four][:, None] + np.arange(12, 16)]
    whole = ip[six] + 40 <= end[six]
    counts.truncated += int((~whole).sum())
    six = six[whole]
    address[six] = flat[ip[six][:, None] + np.arange(8, 24)]
    udp[six] = _behind_extensions(flat, ip[six], end[six], counts)
    found = np.flatnonzero(udp >= 0)
    cut = udp[found] + 8 > end[found]
    stop[found] = np.minimum(udp[found], len(flat) - 8)
    stop[found] += _word(flat, stop[found] + 4)
    cut |= (stop[found] > end[found]) | (stop[found] < udp[found] + 8)
    counts.truncated += int(cut.sum())
    udp[found[cut]] = -1
    return udp, address, stop


def _behind_extensions(flat: Octets, ip: Integers, end: Integers, counts: CaptureFileCounts) -> Integers:
    """Return where the UDP header of IPv6 packets begins, -1 for none; a few extension headers are passed over."""
    following, at = flat[ip + 6].astype(np.int64), ip + 40
    for _ in range(4):
        some = np.flatnonzero(np.isin(following, _EXTENSIONS) & (at + 8 <= end))
        if not len(some):
            break
        following[some], size = flat[at[some]], flat[at[some] + 1]
        at[some] += (size.astype(np.int64) + 1) * 8
    counts.fragments += int((following == _FRAGMENT_HEADER).sum())
    counts.not_udp += int(((following != _UDP) & (following != _FRAGMENT_HEADER)).sum())
    return np.where(following == _UDP, at, -1)


def _word(flat: Octets, at: Integers) -> Integers:
    return flat[at].astype(np.int64) << 8 | flat[at + 1]
