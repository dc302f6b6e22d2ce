"""Capture files for tests, written octet by octet: every container, order and resolution, and blocks that writers seldom use."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.frames import FrameBlock


class Frame(NamedTuple):
    """A frame, as it is written and read.

    Attributes:
        octets: As captured.
        time: Microseconds since 1970.
        length: Octets on the wire.
        link: Link type.
        outgoing: Whether it was sent; None where that is not said.
    """

    octets: bytes
    time: int = 1_700_000_000_000_000
    length: int = 0
    link: int = 1
    outgoing: bool | None = None

    @property
    def wire(self) -> int:
        """Octets on the wire, at least those captured."""
        return max(self.length, len(self.octets))


def pcap(frames: Sequence[Frame], order: str = "<", *, nanoseconds: bool = False, link: int = 1) -> bytes:
    """Return a pcap file."""
    out = [struct.pack(order + "IHHiIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, 262_144, link)]
    for one in frames:
        seconds, part = divmod(one.time, 1_000_000)
        out.append(
            struct.pack(order + "IIII", seconds, part * (1000 if nanoseconds else 1), len(one.octets), one.wire) + one.octets
        )
    return b"".join(out)


def block(order: str, kind: int, body: bytes) -> bytes:
    """Return a block of a pcapng file."""
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, 12 + len(body)) + body + struct.pack(order + "I", 12 + len(body))


def option(order: str, code: int, value: bytes) -> bytes:
    """Return an option."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    """Return the begin of a section."""
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link: int, resolution: int = 6, *, snap: int = 0, offset: int = 0, checksum: int = 0) -> bytes:
    """Return the description of an interface; `resolution` as the option has it."""
    options = option(order, 2, b"name of it") + option(order, 9, bytes([resolution]))
    options += option(order, 14, struct.pack(order + "q", offset)) if offset else b""
    options += option(order, 13, bytes([checksum])) if checksum else b""
    return block(order, 1, struct.pack(order + "HHI", link, 0, snap) + options + option(order, 0, b""))


def enhanced(order: str, one: Frame, number: int = 0, ticks: int = 1_000_000, *, flags: int | None = None) -> bytes:
    """Return a frame of the interface of that number, whose clock has so many ticks a second."""
    time = one.time * ticks // 1_000_000
    options = b"" if flags is None else option(order, 2, struct.pack(order + "I", flags)) + option(order, 0, b"")
    body = struct.pack(order + "IIIII", number, time >> 32, time & 0xFFFFFFFF, len(one.octets), one.wire)
    return block(order, 6, body + one.octets + bytes(-len(one.octets) % 4) + options)


def obsolete(order: str, one: Frame, number: int = 0, drops: int = 0xFFFF) -> bytes:
    """Return a frame in the kind of block that came before."""
    body = struct.pack(order + "HHIIII", number, drops, one.time >> 32, one.time & 0xFFFFFFFF, len(one.octets), one.wire)
    return block(order, 2, body + one.octets)


def simple(order: str, one: Frame) -> bytes:
    """Return a frame without a time, of the first interface."""
    return block(order, 3, struct.pack(order + "I", one.wire) + one.octets)


def frames_of(part: FrameBlock) -> list[Frame]:
    """Return the frames of a block."""
    link = np.broadcast_to(np.asarray(part.link), len(part)).tolist()
    return [
        Frame(
            part.flat[part.start[row] : part.end[row]].tobytes(),
            int(part.time[row]),
            int(part.length[row]),
            link[row],
            None if part.outgoing is None else bool(part.outgoing[row]),
        )
        for row in range(len(part))
    ]


def rest_of(file: CaptureFile) -> list[Frame]:
    """Return the frames that are left in a file."""
    return [one for part in file for one in frames_of(part)]
