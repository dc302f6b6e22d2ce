"""Pinning: which of several processes takes an exporter's datagrams, by its address alone.

The kernel asks a program of classic BPF for each datagram; `processes_of` computes the same here. Templates, sequences and the
order of datagrams belong to an exporter whatever ports it sends from, so ports have no say.

Source: socket(7), SO_ATTACH_REUSEPORT_CBPF; linux/filter.h, linux/bpf_common.h for the codes of instructions.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

_NETWORK_HEADER = -0x100000
"""SKF_NET_OFF: offsets from here on count from the IP header."""
_SOURCE_4, _SOURCE_6 = 12, (8, 12, 16, 20)
"""Where the words of the source address stand in an IP header."""
_LOAD_OCTET, _LOAD_WORD, _KEEP, _JUMP_EQUAL, _JUMP, _RETURN = 0x30, 0x20, 0x07, 0x15, 0x05, 0x16
_MULTIPLY, _SHIFT_RIGHT, _REMAINDER, _XOR_KEPT = 0x24, 0x74, 0x94, 0xAC
_BETWEEN = 0x9E3779B1
"""Multiplies what was read before the next word of an IPv6 address is added, so that equal words don't cancel."""
_MIXING = ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1))
"""Shift and multiplier of each step: the finish of MurmurHash3, after which each bit of an address moves every other."""
_INSTRUCTION = struct.Struct("=HBBI")
_MAPPED = np.array([0] * 10 + [0xFF] * 2, np.uint8)


def program(processes: int) -> bytes:
    """Return the program that picks one of some sockets, in the order in which they were bound, by a datagram's source address."""
    six = [(_LOAD_WORD, _NETWORK_HEADER + _SOURCE_6[0])]
    for place in _SOURCE_6[1:]:
        six += [(_MULTIPLY, _BETWEEN), (_KEEP, 0), (_LOAD_WORD, _NETWORK_HEADER + place), (_XOR_KEPT, 0)]
    four = [(_LOAD_WORD, _NETWORK_HEADER + _SOURCE_4)]
    mixing = [one for shift, factor in _MIXING for one in ((_KEEP, 0), (_SHIFT_RIGHT, shift), (_XOR_KEPT, 0), (_MULTIPLY, factor))]
    steps = [
        (_LOAD_OCTET, _NETWORK_HEADER), (_SHIFT_RIGHT, 4), (_JUMP_EQUAL, 6),
        *six, (_JUMP, len(four)), *four, *mixing, (_REMAINDER, processes), (_RETURN, 0),
    ]  # fmt: skip
    # The conditional jump goes on where the version is 6, and behind the jump of that branch where it is not.
    other = len(six) + 1
    return b"".join(_INSTRUCTION.pack(code, 0, other if code == _JUMP_EQUAL else 0, k & 0xFFFFFFFF) for code, k in steps)


def processes_of(addresses: npt.NDArray[np.uint8], processes: int) -> npt.NDArray[np.int64]:
    """Return which process takes the datagrams of some exporters over UDP.

    Args:
        addresses: Shape (exporters, 16), IPv4 as ::ffff:a.b.c.d.
        processes: How many there are.
    Returns:
        Shape (exporters,), 0 for the first process.
    """
    words = np.ascontiguousarray(addresses).view(">u4").astype(np.uint32)
    value = words[:, 0]
    for place in (1, 2, 3):
        value = value * np.uint32(_BETWEEN) ^ words[:, place]
    value = np.where((addresses[:, :12] == _MAPPED).all(axis=1), words[:, 3], value)
    for shift, factor in _MIXING:
        value = (value ^ value >> np.uint32(shift)) * np.uint32(factor)
    return (value % np.uint32(processes)).astype(np.int64)
