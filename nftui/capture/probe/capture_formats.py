"""Formats of capture files: octets of one become blocks of frames. No I/O, and no step for each frame.

Source: draft-ietf-opsawg-pcap, sections 4 and 5; draft-ietf-opsawg-pcapng, sections 3 and 4; for the obsolete packet block its
appendix A.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import ABSENT, MARGIN
from nftui.capture.probe.chain import NONE, Chain
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.sets import Integers
from nftui.capture.values import LATEST

MAX_FRAME = 1 << 18
"""Octets of the longest frame that is captured; libpcap has the same."""
MAX_BLOCK = 1 << 24
MAX_INTERFACES = 1 << 16
SPARE = MARGIN + 64
"""Octets that have to be there behind the last one that is read."""
HEAD = 24
"""Octets by which a format is told, and that a file has at least."""
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1000),
}
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_SECTION, _INTERFACE, _OBSOLETE, _SIMPLE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 5, 6
_RESOLUTION, _CHECKSUM, _OFFSET = 9, 13, 14
_DROPPED_BY_INTERFACE, _DROPPED_BY_SYSTEM = 5, 7
_FLAGS, _DIRECTION, _OUTBOUND = 2, 3, 2
_TRIES = 8
_FRESH = 1 << 12
"""Octets at the begin of a section that are read block by block."""
_FRAME_HEADERS = {
    order: np.dtype([(name, order + "u4") for name in ("kind", "size", "interface", "high", "low", "captured", "length")])
    for order in "<>"
}
_LEAST = np.array([12, 20, 32, 16, 12, 24, 32, 12], np.int64)
"""Kind of block -> octets that it has at least; the last is for all others."""
_MICROSECONDS = np.uint64(1_000_000)


class Found(NamedTuple):
    """What stands in some octets of a file.

    Attributes:
        block: Frames; None where there are none.
        behind: The first octet that was not read.
        needed: How many octets from there on are needed to go on, at least.
        problem: Why the file can't be read from there on, or empty.
        dropped: Frames that are missing before, as the file says.
    """

    block: FrameBlock | None
    behind: int
    needed: int = 0
    problem: str = ""
    dropped: int = 0


class CaptureFormat(Protocol):
    """Reads one file, from its begin to its end."""

    def read(self, octets: bytearray, first: int, last: int) -> Found:
        """Read what is whole of the octets from `first` to `last`, or some of it; `SPARE` more are there behind.

        It is asked again with what is left and what comes behind it. Where nothing was read more octets are needed. The block lies
        in `octets`.
        """
        ...


def format_of(head: bytes) -> CaptureFormat | str:
    """Return what reads a file, by its first `HEAD` octets or all that it has; or why nothing does."""
    if head[:4] == _PCAPNG_MAGIC:
        return Pcapng()
    if head[:4] not in _MAGIC:
        return f"no pcap or pcapng file, it begins with {head[:4].hex(' ') or 'nothing'}"
    if len(head) < HEAD:
        return "ends within the file header"
    order, divisor = _MAGIC[head[:4]]
    (word,) = struct.unpack_from(order + "I", head, 20)
    # Of the upper bits one says that the upmost four count words of the frame's checksum.
    return Pcap(order, divisor, word & 0x03FFFFFF, (word >> 28) * 2 if word & 0x04000000 else 0)


class Pcap:
    """The records of a pcap file: seconds, microseconds or nanoseconds, octets captured and octets of the frame."""

    def __init__(self, order: str, divisor: int, link: int, checksum: int) -> None:
        """Begin with the file header.

        Args:
            order: `<` or `>`.
            divisor: Of a second's parts, to microseconds.
            link: Link type.
            checksum: Octets of checksum behind each frame.
        """
        self._link, self._divisor, self._checksum = link, divisor, checksum
        self._header = np.dtype([(name, order + "u4") for name in ("seconds", "part", "captured", "length")])
        self._record = struct.Struct(order + "IIII")
        self._chain = Chain(order, 8, 16, 16)
        # Where in a record the part of its time stands that is the same for 18 hours.
        self._steady = 2 if order == "<" else 0
        self._begun, self._frames = False, 0

    def read(self, octets: bytearray, first: int, last: int) -> Found:
        """Read records; see `CaptureFormat`."""
        if not self._begun:
            self._begun, first = True, first + HEAD
        at = self._chain.walk(octets, first, last, _LikelyRecord(octets, first, last, self._record, self._steady, self._divisor))
        header = _headers(octets, at, self._header)
        captured = header["captured"].astype(np.int64)
        start = at + 16
        end = start + captured
        problem = ""
        count = len(at)
        if count and captured.max() > MAX_FRAME:
            count = int(np.argmax(captured > MAX_FRAME))
            problem = f"frame {self._frames + count + 1} of {captured[count]} octets: the file is broken there"
        elif count and int(end[-1]) > last:
            count -= 1
        behind = int(end[count - 1]) if count else first
        needed = int(captured[count]) + 16 if count < len(at) else 16
        if not count:
            return Found(None, behind, needed, problem)
        self._frames += count
        header, start, end = header[:count], start[:count], end[:count]
        part = header["part"] // self._divisor if self._divisor > 1 else header["part"]
        time = header["seconds"].astype(np.int64)
        time *= 1_000_000
        time += part
        block = _block(octets, start, end, header["length"], time, self._link, self._checksum)
        return Found(block, behind, needed, problem)


@dataclass(frozen=True, slots=True)
class _LikelyRecord:
    """Where a record of a pcap file probably begins: its time is near the first one's, and the next record looks like one, too."""

    octets: bytearray
    first: int
    last: int
    record: struct.Struct
    steady: int
    divisor: int

    def __call__(self, low: int, high: int) -> int:
        octets, steady = self.octets, self.steady
        pattern = bytes(octets[self.first + steady : self.first + steady + 2])
        at = low - 1
        for _ in range(_TRIES):
            at = octets.find(pattern, at + 1 + steady, high) - steady
            if at < low:
                return NONE
            _, part, captured, length = self.record.unpack_from(octets, at)
            if part < 1_000_000 * self.divisor and captured <= length <= MAX_FRAME:
                behind = at + 16 + captured + steady
                if behind + 2 > self.last or octets[behind : behind + 2] == pattern:
                    return at
        return NONE


@dataclass(slots=True)
class _Interface:
    """An interface of a pcapng section.

    Attributes:
        link: Link type; -1 where its description is too short.
        ticks: Of its clock in a second.
        offset: Seconds to add to its times.
        most: Octets that are captured of a frame; 0 for all.
        checksum: Octets of checksum behind each frame.
        dropped: Frames that it dropped, as was last said.
    """

    link: int = ABSENT
    ticks: int = 1_000_000
    offset: int = 0
    most: int = 0
    checksum: int = 0
    dropped: int = 0


@dataclass(slots=True)
class Pcapng:
    """The blocks of a pcapng file. Frames are in three kinds of them; simple ones have no time, which becomes 1970."""

    order: str = "<"
    _fresh: bool = True
    _interfaces: list[_Interface] = field(default_factory=list)
    _usual: int = _ENHANCED

    def read(self, octets: bytearray, first: int, last: int) -> Found:
        """Read blocks up to the next section; see `CaptureFormat`."""
        if last - first < 12:
            return Found(None, first, 12)
        if octets[first : first + 4] == _PCAPNG_MAGIC:
            return self._section(octets, first, last)
        chain = Chain(self.order, 4, 0, 12)
        if self._fresh:
            # A section may be short, and what follows of another order: the first blocks are taken one by one.
            self._fresh = False
            at = np.array(chain.steps(octets, first, min(last, first + _FRESH), _Sections(octets))[0], np.int64)
        else:
            length = struct.Struct(self.order + "I")
            at = chain.walk(octets, first, last, _LikelyBlock(octets, last, length.pack(self._usual), length))
        return self._blocks(octets, at, last)

    def _section(self, octets: bytearray, first: int, last: int) -> Found:
        """Begin a section."""
        order = _ORDERS.get(bytes(octets[first + 8 : first + 12]))
        if order is None:
            return Found(
                None, first, problem=f"section with byte order {octets[first + 8 : first + 12].hex(' ')}: it is broken there"
            )
        (length,) = struct.unpack_from(order + "I", octets, first + 4)
        if not 28 <= length <= MAX_BLOCK:
            return Found(None, first, problem=_broken_block(length))
        if first + length > last:
            return Found(None, first, length)
        self.order, self._fresh, self._interfaces = order, True, []
        return Found(None, first + length)

    def _blocks(self, octets: bytearray, at: Integers, last: int) -> Found:
        # What a frame's block begins with; of others only the first two numbers mean anything.
        header = _headers(octets, at, _FRAME_HEADERS[self.order])
        kind, length = np.ascontiguousarray(header["kind"]), header["size"].astype(np.int64)
        count, problem, needed = len(at), "", 12
        usual = kind == _ENHANCED
        odd = (length < _LEAST[_ENHANCED]) | (length > MAX_BLOCK)
        if not usual.all():
            odd = (kind == _SECTION) | (length < _LEAST[np.minimum(kind, len(_LEAST) - 1)]) | (length > MAX_BLOCK)
        if odd.any():
            count = int(np.argmax(odd))
            if kind[count] != _SECTION:
                problem = _broken_block(int(length[count]))
        elif int(at[-1] + length[-1]) > last:
            count, needed = count - 1, int(length[-1])
        if not count:
            return Found(None, int(at[0]), needed, problem)
        header, at, kind, length = header[:count], at[:count], kind[:count], length[:count]
        behind = int(at[-1] + length[-1])
        if usual[:count].all():
            block, _ = self._frames(octets, header, at, length, np.full(count, len(self._interfaces)))
            return Found(block, behind, needed, problem)
        known = np.full(count, len(self._interfaces), np.int64)
        described = kind == _INTERFACE
        if described.any():
            known += np.cumsum(described)
            for place in np.flatnonzero(described).tolist():
                self._interfaces.append(_interface(bytes(octets[at[place] + 8 : at[place] + length[place] - 4]), self.order))
            if len(self._interfaces) > MAX_INTERFACES:
                problem = f"more than {MAX_INTERFACES} interfaces: the file is broken there"
        dropped = 0
        for place in np.flatnonzero(kind == _STATISTICS).tolist():
            dropped += self._statistics(bytes(octets[at[place] + 8 : at[place] + length[place] - 4]))
        frames = np.flatnonzero((kind == _ENHANCED) | (kind == _OBSOLETE) | (kind == _SIMPLE))
        if not len(frames):
            return Found(None, behind, needed, problem, dropped)
        self._usual = int(kind[frames[-1]])
        some = header.view(f"V{header.dtype.itemsize}")[frames].view(header.dtype)
        block, lost = self._frames(octets, some, at[frames], length[frames], known[frames])
        return Found(block, behind, needed, problem, dropped + lost)

    def _statistics(self, body: bytes) -> int:
        """Return how many more frames an interface says that it dropped."""
        (number,) = struct.unpack_from(self.order + "I", body)
        told = sum(
            struct.unpack_from(self.order + "Q", value)[0]
            for code, value in _options(body, 12, self.order)
            if code in (_DROPPED_BY_INTERFACE, _DROPPED_BY_SYSTEM) and len(value) == 8
        )
        if number >= len(self._interfaces) or told >= 1 << 62:
            return 0
        interface = self._interfaces[int(number)]
        more = max(0, int(told) - interface.dropped)
        interface.dropped += more
        return more

    def _frames(
        self, octets: bytearray, header: npt.NDArray[Any], at: Integers, length: Integers, known: Integers
    ) -> tuple[FrameBlock, int]:
        """Read blocks that hold frames.

        Args:
            octets: They lie in it.
            header: Shape (frames,), what they begin with.
            at: Where each begins.
            length: Of each, in octets.
            known: How many interfaces had been described before each.
        Returns:
            The frames, and how many are missing among them.
        """
        kind, number, start = header["kind"], header["interface"].astype(np.int64), at + 28
        captured, wire = header["captured"].astype(np.int64), header["length"].astype(np.int64)
        ticks = header["high"].astype(np.uint64) << np.uint64(32) | header["low"]
        lost = 0
        old = kind == _OBSOLETE
        if old.any():
            upper, lower = number >> 16, number & 0xFFFF
            number = np.where(old, upper if self.order == ">" else lower, number)
            drops = (lower if self.order == ">" else upper)[old]
            lost = int(drops[drops != 0xFFFF].sum())
        simple = kind == _SIMPLE
        if simple.any():
            most = (self._interfaces[0].most if self._interfaces else 0) or MAX_BLOCK
            number, start, ticks = np.where(simple, 0, number), np.where(simple, at + 12, start), np.where(simple, 0, ticks)
            wire = np.where(simple, header["interface"], wire)
            captured = np.where(simple, np.minimum(wire, most), captured)
        end = np.minimum(start + captured, at + length - 4)
        time, link, checksum = self._described(number, number < known, ticks)
        time = np.where(simple, 0, time) if simple.any() else time
        options = start + (captured + 3 & ~3)
        options = np.where(simple, at + length, options) if simple.any() else options
        outgoing = self._outgoing(octets, options, at + length - 4)
        return _block(octets, start, end, wire, time, link, checksum, outgoing), lost

    def _described(
        self, number: Integers, known: npt.NDArray[np.bool_], ticks: npt.NDArray[np.uint64]
    ) -> tuple[Integers, Integers | int, Integers | int]:
        """Return time, link type and octets of checksum of frames.

        Args:
            number: Shape (frames,), the interface of each.
            known: Whether that had been described.
            ticks: Of its clock.
        """
        interfaces = self._interfaces
        if known.all() and (number == number[0]).all():
            one = interfaces[int(number[0])]
            return _microseconds(ticks, np.uint64(one.ticks), one.offset), one.link, one.checksum
        table = [*interfaces, _Interface()]
        number = np.where(known, number, len(interfaces))
        rate = np.array([one.ticks for one in table], np.uint64)[number]
        offset, link, checksum = (
            np.array([getattr(one, name) for one in table], np.int64)[number] for name in ("offset", "link", "checksum")
        )
        return _microseconds(ticks, rate, offset), link, checksum

    def _outgoing(self, octets: bytearray, options: Integers, stop: Integers) -> npt.NDArray[np.bool_] | None:
        """Return whether the host sent each frame, as the first option behind it says; None where none says it."""
        has = options + 8 <= stop
        if not has.any():
            return None
        option = _headers(
            octets,
            np.where(has, options, 0),
            np.dtype([("code", self.order + "u2"), ("size", self.order + "u2"), ("flags", self.order + "u4")]),
        )
        flags = np.where(has & (option["code"] == _FLAGS) & (option["size"] == 4), option["flags"] & _DIRECTION, 0)
        return flags == _OUTBOUND if flags.any() else None


class _Sections:
    """The places at which a section begins."""

    def __init__(self, octets: bytearray) -> None:
        self._octets = octets

    def __contains__(self, place: object) -> bool:
        return isinstance(place, int) and self._octets[place : place + 4] == _PCAPNG_MAGIC


@dataclass(frozen=True, slots=True)
class _LikelyBlock:
    """Where a block of a pcapng file probably begins: one that holds a frame, as its length stands at both of its ends."""

    octets: bytearray
    last: int
    kind: bytes
    length: struct.Struct

    def __call__(self, low: int, high: int) -> int:
        octets, at = self.octets, low - 1
        for _ in range(_TRIES):
            at = octets.find(self.kind, at + 1, high)
            if at < 0:
                return NONE
            (length,) = self.length.unpack_from(octets, at + 4)
            behind = at + length
            if 16 <= length <= MAX_BLOCK and behind <= self.last and octets[behind - 4 : behind] == octets[at + 4 : at + 8]:
                return at
        return NONE


def _interface(body: bytes, order: str) -> _Interface:
    """Read the description of an interface."""
    link, _, most = struct.unpack_from(order + "HHI", body)
    found = _Interface(link, most=most)
    for code, value in _options(body, 8, order):
        if code == _RESOLUTION and value:
            found.ticks = 1 << min(value[0] & 0x7F, 63) if value[0] & 0x80 else 10 ** min(value[0], 18)
        elif code == _CHECKSUM and value:
            found.checksum = value[0]
        elif code == _OFFSET and len(value) == 8:
            (found.offset,) = struct.unpack(order + "q", value)
            found.offset = max(-(1 << 40), min(found.offset, 1 << 40))
    return found


def _options(body: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield code and value of the options that stand in a block from a place on."""
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        if code == 0:
            return
        yield code, body[at + 4 : at + 4 + size]
        at += 4 + (size + 3) // 4 * 4


def _microseconds(ticks: npt.NDArray[np.uint64], rate: Any, offset: Integers | int) -> Integers:
    """Return times; `rate` is ticks a second, a power of 2 or 10, and `offset` seconds, each one for all or one a frame."""
    seconds = ticks // rate
    rest = ticks - seconds * rate
    # So that a million times the rest fits into 64 bits.
    coarse = np.maximum(rate >> np.uint64(43), np.uint64(1))
    part = rest // coarse * _MICROSECONDS // np.maximum(rate // coarse, np.uint64(1))
    whole = np.minimum(seconds, np.uint64(LATEST // 1_000_000)).astype(np.int64) + offset
    return np.asarray(np.clip(whole * 1_000_000 + part.astype(np.int64), 0, LATEST))


def _broken_block(length: int) -> str:
    return f"block of {length} octets: the file is broken there"


def _headers(octets: bytearray, at: Integers, header: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return a header from each place."""
    size = header.itemsize
    return np.ndarray((len(octets) - size + 1,), f"V{size}", octets, strides=(1,))[at].view(header)


def _block(
    octets: bytearray,
    start: Integers,
    end: Integers,
    wire: npt.NDArray[np.integer],
    time: Integers,
    link: Integers | int,
    checksum: Integers | int,
    outgoing: npt.NDArray[np.bool_] | None = None,
) -> FrameBlock:
    """Make a block of frames; of what was on the wire and was captured the checksum is left out."""
    length = np.maximum(wire, end - start)
    if np.any(checksum):
        length = np.maximum(length - checksum, 0)
        end = np.minimum(end, start + length)
    return FrameBlock(np.frombuffer(octets, np.uint8), start, end, length, time, link, outgoing=outgoing)
