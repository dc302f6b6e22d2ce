"""Messages of the kernel's connection tracking: octets in, columns out. No I/O, and no step for each message.

A message is a tree of attributes. Most have the same ones, so the tree is walked once for each shape: where an attribute's header
stands and what it says, and where the values are that matter. All messages whose octets say the same there are read at once.

Source: linux/netlink.h; linux/netfilter/nfnetlink.h; linux/netfilter/nfnetlink_conntrack.h; linux/netfilter/nf_conntrack_common.h;
linux/netfilter/nf_conntrack_tcp.h.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nftui.capture.probe.chain import NONE, Chain
from nftui.capture.sets import Integers

SPARE = 64
"""Octets that have to be there behind the messages."""
NEW, DELETED = 0x100, 0x102
"""Types of message: a connection, and one that is gone."""
ERROR, DONE = 2, 3
HEADER, BODY = 16, 20
"""Where in a message the address family stands, and the attributes begin."""
ADDRESSES = ("source", "destination", "reply_source", "reply_destination")
COUNTERS = ("packets", "octets", "reply_packets", "reply_octets")
BRIEF = frozenset((*COUNTERS, "id", "start_ns", "status", "source_port", "destination_port"))
"""What tells a connection from others, and whether there was a packet."""

_ORDER = "<" if sys.byteorder == "little" else ">"
_CHAIN = Chain(_ORDER, 0, 0, HEADER)
_LENGTH, _ATTRIBUTE = struct.Struct("=I"), struct.Struct("=HH")
_HEAD = np.dtype([("length", "u4"), ("kind", "u2"), ("flags", "u2"), ("sequence", "u4"), ("port", "u4")])
_KIND = 0x3FFF
"""Bits of an attribute's type; the others say that there are attributes in it, and which order its value has."""
_NESTED = frozenset({(1,), (1, 1), (1, 2), (2,), (2, 1), (2, 2), (4,), (4, 1), (9,), (10,), (20,)})
_V4, _V6, _B1, _B2, _B4, _B8 = "V4", "V16", ">u1", ">u2", ">u4", ">u8"
_VALUES: dict[tuple[int, ...], tuple[str, str]] = {
    (1, 1, 1): ("source", _V4), (1, 1, 2): ("destination", _V4), (1, 1, 3): ("source", _V6), (1, 1, 4): ("destination", _V6),
    (1, 2, 1): ("protocol", _B1), (1, 2, 2): ("source_port", _B2), (1, 2, 3): ("destination_port", _B2),
    (1, 2, 5): ("icmp_type", _B1), (1, 2, 6): ("icmp_code", _B1), (1, 2, 8): ("icmp_type", _B1), (1, 2, 9): ("icmp_code", _B1),
    (2, 1, 1): ("reply_source", _V4), (2, 1, 2): ("reply_destination", _V4),
    (2, 1, 3): ("reply_source", _V6), (2, 1, 4): ("reply_destination", _V6),
    (2, 2, 2): ("reply_source_port", _B2), (2, 2, 3): ("reply_destination_port", _B2),
    (2, 2, 5): ("reply_icmp_type", _B1), (2, 2, 6): ("reply_icmp_code", _B1),
    (2, 2, 8): ("reply_icmp_type", _B1), (2, 2, 9): ("reply_icmp_code", _B1),
    (3,): ("status", _B4), (4, 1, 1): ("tcp_state", _B1), (9, 1): ("packets", _B8), (9, 2): ("octets", _B8),
    (10, 1): ("reply_packets", _B8), (10, 2): ("reply_octets", _B8), (12,): ("id", _B4), (18,): ("zone", _B2),
    (20, 1): ("start_ns", _B8), (20, 2): ("stop_ns", _B8),
}  # fmt: skip
"""Path of an attribute -> the name of its value, and the value's dtype."""
_INET6, _MOST = 10, np.uint64((1 << 63) - 1)
Messages = npt.NDArray[np.void]
"""Messages of the same length, each a row of so many octets."""
_MAX_SHAPES = 64
"""Shapes of one length that are kept; there are but a few."""


@dataclass(frozen=True)
class Connections:
    """What messages say of connections.

    Attributes:
        size: How many.
        kind: Shape (connections,), `NEW` or `DELETED`.
        numbers: Names of `_VALUES` -> shape (connections,), int64, -1 where a connection has none. ID and counters are as the
            kernel has them, ports and ICMP as on the wire. Names that none has are left out.
        addresses: `ADDRESSES` -> shape (connections, 16), uint8, IPv4 as ::ffff:a.b.c.d; zero where there is none.
        six: Shape (connections,), whether they are of IPv6.
        at: Shape (connections,), ascending, where in the octets their messages begin.
    """

    size: int
    kind: npt.NDArray[np.uint16]
    numbers: dict[str, Integers]
    addresses: dict[str, npt.NDArray[np.uint8]]
    six: npt.NDArray[np.bool_]
    at: Integers

    def chosen(self, kind: int) -> Connections:
        """Return those of one kind."""
        return self.rows(np.flatnonzero(self.kind == kind))

    def rows(self, rows: Integers) -> Connections:
        """Return some of them, by their ascending numbers."""
        if len(rows) == self.size:
            return self
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        addresses = {name: octets[rows] for name, octets in self.addresses.items()}
        return Connections(len(rows), self.kind[rows], numbers, addresses, self.six[rows], self.at[rows])

    def number(self, name: str) -> Integers:
        """Return one of `numbers`, of all connections even where none has it."""
        found = self.numbers.get(name)
        return np.broadcast_to(np.int64(-1), (self.size,)) if found is None else found


@dataclass(frozen=True)
class _Shape:
    """The attributes of a message.

    Attributes:
        mask: Shape (words of 4 octets,), all bits of those that are headers.
        said: What the headers say there.
        values: Name, place and dtype of the values that matter.
        brief: Those of them that are `BRIEF`.
    """

    mask: npt.NDArray[np.uint32]
    said: npt.NDArray[np.uint32]
    values: list[tuple[str, int, str]]
    brief: list[tuple[str, int, str]]


@dataclass
class ConntrackReader:
    """Reads messages.

    Attributes:
        unread: Messages that were of no use: of another type, or broken.
        code: The error that the kernel answered with, as errno has it; 0 for none.
        done: Whether the kernel said that this was all.
    """

    unread: int = 0
    code: int = 0
    done: bool = False
    _shapes: dict[int, list[_Shape]] = field(default_factory=dict)

    def read(self, octets: bytearray, last: int) -> Connections:
        """Read the messages that stand in the first `last` octets, of which `SPARE` more are there."""
        return self.whole(octets, self._begins(octets, last))

    def brief(self, octets: bytearray, last: int) -> Connections:
        """Read no more of messages than `BRIEF`; `whole` reads those of them that matter, as long as the octets stay."""
        return self._read(octets, self._begins(octets, last), whole=False)

    def whole(self, octets: bytearray, at: Integers) -> Connections:
        """Read the messages that begin at some places.

        Args:
            octets: They lie in it.
            at: As `Connections.at` of a brief reading of the same octets tells them.
        """
        return self._read(octets, at, whole=True)

    def _begins(self, octets: bytearray, last: int) -> Integers:
        """Return where those messages begin that are of use; note what the kernel says beside them."""
        at = _CHAIN.walk(octets, 0, last, _LikelyMessage(octets, last))
        head = np.ndarray((len(octets) - HEADER + 1,), f"V{HEADER}", octets, strides=(1,))[at].view(_HEAD)
        length, kind = head["length"].astype(np.int64), head["kind"]
        for place in np.flatnonzero(kind == ERROR).tolist():
            (number,) = struct.unpack_from("=i", octets, int(at[place]) + HEADER)
            self.code = self.code or -number
        self.done = self.done or bool((kind == DONE).any())
        use = (length >= BODY) & (at + length <= last) & (length % 4 == 0) & ((kind == NEW) | (kind == DELETED))
        self.unread += int((~use & (kind > DONE)).sum())
        begins: Integers = at[use]
        return begins

    def _read(self, octets: bytearray, at: Integers, *, whole: bool) -> Connections:
        head = np.ndarray((len(octets) - HEADER + 1,), f"V{HEADER}", octets, strides=(1,))[at].view(_HEAD)
        length, found = head["length"].astype(np.int64), _Found(octets, at, head["kind"], whole=whole)
        for size in np.unique(length).tolist():
            self._of_length(found, np.flatnonzero(length == size), size)
        connections = found.connections()
        self.unread += len(length) - connections.size
        return connections

    def _of_length(self, found: _Found, rows: Integers, size: int) -> None:
        """Read messages of one length, shape by shape."""
        shapes = self._shapes.setdefault(size, [])
        # One behind the other, each as a row: what is at the same place of all is then read without a place for each.
        kind = f"V{size}"
        messages = np.ndarray((len(found.octets) - size + 1,), kind, found.octets, strides=(1,))[found.at[rows]]
        for shape in shapes:
            rows, messages = found.take(rows, messages, shape)
            if not len(rows):
                return
        while len(rows):
            if len(shapes) == _MAX_SHAPES:
                del shapes[0]
            shapes.append(_shape(messages[0].tobytes()))
            rows, messages = found.take(rows, messages, shapes[-1])


class _Found:
    """Messages that are being read."""

    def __init__(self, octets: bytearray, at: Integers, kind: npt.NDArray[np.uint16], *, whole: bool) -> None:
        self.octets, self.at, self.kind, self._whole = octets, at, kind, whole
        self.read = np.zeros(len(at), np.bool_)
        self._numbers: dict[str, Integers] = {}
        self._addresses = {name: np.zeros((len(at), 16), np.uint8) for name in ADDRESSES if whole}

    def take(self, rows: Integers, messages: Messages, shape: _Shape) -> tuple[Integers, Messages]:
        """Read those messages that have a shape; return the rows of the others, and themselves."""
        size = messages.itemsize
        words = messages.view(np.uint32).reshape(-1, size // 4)
        same = ~((words ^ shape.said) & shape.mask).any(axis=1)
        others = rows[:0], messages[:0]
        if not same.all():
            others = rows[~same], messages[~same]
            rows, messages = rows[same], messages[same]
        self.read[rows] = True
        every = messages.view(np.uint8).reshape(-1, size)
        for name, place, dtype in shape.values if self._whole else shape.brief:
            octets = every[:, place : place + np.dtype(dtype).itemsize]
            if name in ADDRESSES:
                addresses = self._addresses[name]
                if octets.shape[1] == 4:
                    addresses[rows, 10:12] = 0xFF
                addresses[rows, 16 - octets.shape[1] :] = octets
                continue
            values = octets.view(dtype)[:, 0]
            column = self._numbers.setdefault(name, np.full(len(self.at), -1, np.int64))
            column[rows] = np.minimum(values, _MOST) if dtype == _B8 else values
        return others

    def connections(self) -> Connections:
        """Return what was read; a connection of which addresses or protocol are missing counts as not read."""
        if self._whole:
            protocol = self._numbers.get("protocol")
            self.read &= self._addresses["source"].any(axis=1) & self._addresses["destination"].any(axis=1)
            self.read &= protocol >= 0 if protocol is not None else False
        rows = np.flatnonzero(self.read)
        addresses = {name: octets[rows] for name, octets in self._addresses.items()}
        numbers = {name: values[rows] for name, values in self._numbers.items()}
        family = np.frombuffer(self.octets, np.uint8)[self.at[rows] + HEADER]
        return Connections(len(rows), self.kind[rows], numbers, addresses, family == _INET6, self.at[rows])


@dataclass(frozen=True, slots=True)
class _LikelyMessage:
    """Where a message probably begins: its type, flags and sequence number are those of the first."""

    octets: bytearray
    last: int

    def __call__(self, low: int, high: int) -> int:
        octets, at = self.octets, low - 1
        for _ in range(8):
            at = octets.find(octets[4:12], at + 5, high) - 4
            if at < low:
                return NONE
            (length,) = _LENGTH.unpack_from(octets, at)
            if HEADER <= length and (at + length + 12 > self.last or octets[at + length + 4 : at + length + 12] == octets[4:12]):
                return at
        return NONE


def _shape(message: bytes) -> _Shape:
    """Walk the attributes of one message."""
    words, values = np.frombuffer(message, np.uint32), list[tuple[str, int, str]]()
    mask = np.zeros_like(words)
    for path, place, size in _attributes(message, BODY, len(message), ()):
        mask[place // 4] = 0xFFFFFFFF
        name, dtype = _VALUES.get(path, ("", "u1"))
        if name and size == np.dtype(dtype).itemsize:
            values.append((name, place + 4, dtype))
    brief = [value for value in values if value[0] in BRIEF]
    return _Shape(mask, words & mask, values, brief)


def _attributes(message: bytes, at: int, end: int, above: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Yield path, place of the header and octets of the value of each attribute."""
    while at + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        path = (*above, kind & _KIND)
        if size < 4 or at + size > end:
            # It is broken: what it says is still part of the shape, so that the next such message is read likewise.
            yield (), at, 0
            return
        yield path, at, size - 4
        if path in _NESTED:
            yield from _attributes(message, at + 4, at + size, path)
        at += (size + 3) // 4 * 4
