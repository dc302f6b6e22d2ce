"""Filters of packets for the kernel: an expression as of tcpdump becomes a program of classic BPF.

libpcap's own compiler makes it where the library is there; what it says of a mistake is shown. Without the library a simple
expression is compiled here (`packet_filter.py`). What the kernel took out of a frame it tells beside it: a filter for VLANs has to
ask for that, and libpcap does so only for a capture of its own on that interface, which is opened for the moment of compiling.

Source: pcap-filter(7); pcap_compile(3PCAP); linux/filter.h; Documentation/networking/filter.rst.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from nftui.capture.links import CISCO_HDLC, ETHERNET, RAW_IP
from nftui.capture.probe import packet_filter
from nftui.capture.probe.packet_filter import INSTRUCTION, LOAD_WORD, RETURN, Step
from nftui.errors import PacketFilterError

LONGEST = 4096
"""Instructions of a program, at most (BPF_MAXINSNS)."""
BOTH, IN, OUT = "both", "in", "out"
"""Which frames: those of both directions, only those that arrive, only those that this host sends."""
_JUMP_EQUAL = 0x15
_ANCILLARY, _PACKET_TYPE, _OUTGOING = -0x1000, 4, 4
"""Loads from `_ANCILLARY` on give what the kernel knows beside the frame (SKF_AD_OFF)."""
_LIBRARIES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
_DATA_LINKS = {ETHERNET: 1, RAW_IP: 12, CISCO_HDLC: 104}
"""Link type -> DLT_ of libpcap on Linux."""
_OPTIMISE, _ANY_NETMASK = 1, 0xFFFFFFFF
_ERROR_OCTETS = 256
_SMALL_BUFFER = 1 << 16


@dataclass(frozen=True, slots=True)
class Program:
    """A program of classic BPF.

    Attributes:
        octets: The instructions, 8 octets each, as `struct sock_filter`.
    """

    octets: bytes

    def __len__(self) -> int:
        return len(self.octets) // INSTRUCTION.size

    def steps(self) -> list[tuple[int, int, int, int]]:
        """Return the instructions: code, jumps when true and when false, and the number."""
        return list(INSTRUCTION.iter_unpack(self.octets))


def program(text: str, interface: str, link: int, *, snap: int, direction: str = BOTH) -> Program:
    """Return the program of a filter.

    Args:
        text: An expression as of tcpdump; empty for all packets.
        interface: Where it is for.
        link: Link type of the frames, as `Interface.link` has it.
        snap: How many octets of a frame that is accepted are taken, at most.
        direction: `BOTH`, `IN` or `OUT`.
    Raises:
        PacketFilterError: The expression is wrong, or can't be compiled here.
    """
    steps = b""
    if direction != BOTH:
        wanted, unwanted = (1, 0) if direction == IN else (0, 1)
        steps = _packed((LOAD_WORD, 0, 0, _ANCILLARY + _PACKET_TYPE), (_JUMP_EQUAL, unwanted, wanted, _OUTGOING), (RETURN, 0, 0, 0))
    steps += compiled(text, interface, link, snap) if text.strip() else _packed((RETURN, 0, 0, snap))
    if len(steps) > LONGEST * INSTRUCTION.size:
        raise PacketFilterError(text, f"has {len(steps) // INSTRUCTION.size} instructions; the kernel takes {LONGEST}: shorten it")
    return Program(steps)


def compiled(text: str, interface: str, link: int, snap: int) -> bytes:
    """Compile an expression; see `program`."""
    if not text.isprintable() or not text.isascii():
        raise PacketFilterError(text, "has a character that is not printable ASCII")
    if library() is None:
        return packet_filter.compiled(text, snap)
    return _by_libpcap(text, interface if re.search(r"\bvlan\b", text) and link == ETHERNET else "", link, snap)


@cache
def library() -> Any:
    """Return libpcap; None where it is not installed."""
    for name in _LIBRARIES:
        try:
            found = ctypes.CDLL(name)
        except OSError:
            continue
        found.pcap_open_dead.restype = found.pcap_create.restype = ctypes.c_void_p
        found.pcap_create.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        found.pcap_compile.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32]
        found.pcap_geterr.restype = ctypes.c_char_p
        found.pcap_freecode.argtypes = [ctypes.c_void_p]
        found.pcap_set_snaplen.argtypes = found.pcap_set_buffer_size.argtypes = [ctypes.c_void_p, ctypes.c_int]
        for one in (found.pcap_geterr, found.pcap_close, found.pcap_activate):
            one.argtypes = [ctypes.c_void_p]
        return found
    return None


class _Compiled(ctypes.Structure):
    """`struct bpf_program`."""

    _fields_ = [("number", ctypes.c_uint), ("instructions", ctypes.c_void_p)]


def _by_libpcap(text: str, live: str, link: int, snap: int) -> bytes:
    """Compile with libpcap: for an interface where `live` names one, else for a link type."""
    pcap = library()
    handle = _live(text, live, snap) if live else pcap.pcap_open_dead(_DATA_LINKS[link], snap)
    try:
        made = _Compiled()
        if pcap.pcap_compile(handle, ctypes.byref(made), text.encode("ascii"), _OPTIMISE, _ANY_NETMASK):
            raise PacketFilterError(text, pcap.pcap_geterr(handle).decode("utf-8", "replace"))
        try:
            return ctypes.string_at(made.instructions, made.number * INSTRUCTION.size)
        finally:
            pcap.pcap_freecode(ctypes.byref(made))
    finally:
        pcap.pcap_close(handle)


def _live(text: str, interface: str, snap: int) -> int:
    pcap = library()
    problem = ctypes.create_string_buffer(_ERROR_OCTETS)
    handle = pcap.pcap_create(interface.encode(), problem)
    if not handle:
        raise PacketFilterError(text, problem.value.decode("utf-8", "replace"))
    pcap.pcap_set_snaplen(handle, snap)
    pcap.pcap_set_buffer_size(handle, _SMALL_BUFFER)
    if pcap.pcap_activate(handle) < 0:
        said = pcap.pcap_geterr(handle).decode("utf-8", "replace")
        pcap.pcap_close(handle)
        raise PacketFilterError(text, f"a filter for VLANs is compiled on {interface} itself, which failed: {said}")
    return int(handle)


def _packed(*steps: Step) -> bytes:
    return b"".join(INSTRUCTION.pack(code, yes, no, number & 0xFFFFFFFF) for code, yes, no, number in steps)
