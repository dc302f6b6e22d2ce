"""sFlow's gateway record: AS numbers, the AS path and the communities of a sampled packet's route, of many records at once.

Source: "sFlow Version 5" (July 2004), `extended_gateway`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import Mask
from nftui.capture.sets import Integers, Octets
from nftui.capture.xdr import Reader, decode_once

MAX_SEGMENTS = 16
"""Segments of an AS path that are read; what stands behind more can't be found."""
LONGEST_PATH, SHORTEST_PATH, BUDGET = 128, 8, 4 << 20
"""AS numbers kept of a path: at most the first; with very many paths fewer, down to the second, all together about the third."""
_NUMBERS = np.dtype([("own", ">u4"), ("source", ">u4"), ("peer", ">u4"), ("segments", ">u4")])
_SEGMENT = np.dtype([("kind", ">u4"), ("count", ">u4")])
_SET = 1
_PRESENT, _IN_SET, _SET_BEGINS, _SET_ENDS = 1 << 32, 1 << 33, 1 << 34, 1 << 35
"""What is said about an AS number of a path, above its 32 bits."""


@dataclass(frozen=True)
class Gateways:
    """Shape (records,) each; AS numbers and the preference are 0 where there is none.

    Attributes:
        next_hop: Shape (records, 16), the BGP next hop.
        has_next_hop: Whether it is an address.
        source_as, previous_as: Of the source, and of the neighbour that the packet came from.
        next_as, destination_as: The first and the last of the path.
        as_path: AS numbers as text, with blanks between; a set as {1,2}. The path's beginning where it is very long.
        communities: As high:low, with blanks between.
        local_preference: As sent.
        has_preference: Whether the record reaches so far.
        short: Whether it ends before its last field.
    """

    next_hop: Octets
    has_next_hop: Mask
    source_as: Integers
    previous_as: Integers
    next_as: Integers
    destination_as: Integers
    as_path: npt.NDArray[np.object_]
    communities: npt.NDArray[np.object_]
    local_preference: Integers
    has_preference: Mask
    short: Mask


def decode(reader: Reader, start: Integers, end: Integers) -> Gateways:
    """Decode gateway records.

    Args:
        reader: The block.
        start: Shape (records,), the first octet of each record.
        end: Shape (records,), behind its last.
    """
    next_hop, has_next_hop, at = reader.address(start, end)
    numbers = reader.read(_NUMBERS, at)
    there = at + _NUMBERS.itemsize <= end
    source, peer = (np.where(at + upto <= end, numbers[name].astype(np.int64), 0) for name, upto in (("source", 8), ("peer", 12)))
    segments = np.where(there, numbers["segments"].astype(np.int64), 0)
    path, ends_with, at = _path(reader, at + _NUMBERS.itemsize, end, segments)
    words, _, at = reader.array(np.where(there, at, end + 1), end)
    has_preference = at + 4 <= end
    return Gateways(
        next_hop,
        has_next_hop,
        source,
        peer,
        path[:, 0] & 0xFFFFFFFF,
        ends_with,
        decode_once(path.view(np.uint8).reshape(len(path), -1), _path_text),
        decode_once(words.astype(">u4").view(np.uint8).reshape(len(words), -1), _communities_text),
        np.where(has_preference, reader.word(at), 0),
        has_preference,
        ~has_preference,
    )


def _path(reader: Reader, at: Integers, end: Integers, segments: Integers) -> tuple[Integers, Integers, Integers]:
    """Walk the segments of AS paths, the n-th of all in one step.

    Returns:
        AS numbers with what is said about them, shape (paths, width), zero behind the last; the last of each path; and what follows
        the path, behind `end` where that can't be told.
    """
    at, lane = at.copy(), np.flatnonzero(segments > 0)
    most = min(LONGEST_PATH, max(SHORTEST_PATH, BUDGET // max(len(at), 1)))
    path, filled, last = np.zeros((len(at), most), np.int64), np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
    for number in range(MAX_SEGMENTS):
        lane = lane[segments[lane] > number]
        if not len(lane):
            break
        header, begin = reader.read(_SEGMENT, at[lane]), at[lane] + _SEGMENT.itemsize
        count = np.where(begin <= end[lane], header["count"].astype(np.int64), 0)
        there = np.clip((end[lane] - begin) // 4, 0, count)
        ends_with = reader.word(begin + (there - 1) * 4)
        last[lane] = np.where(there > 0, ends_with, last[lane])
        kept = np.minimum(there, most - filled[lane])
        words = reader.words(begin, kept)
        row, column = np.nonzero(np.arange(words.shape[1]) < kept[:, None])
        note = np.full(len(row), _PRESENT)
        of_set = (header["kind"] == _SET)[row]
        note |= np.where(of_set, _IN_SET, 0) | np.where(of_set & (column == 0), _SET_BEGINS, 0)
        note |= np.where(of_set & (column == kept[row] - 1), _SET_ENDS, 0)
        path[lane[row], filled[lane[row]] + column] = words[row, column].astype(np.int64) | note
        filled[lane] += kept
        whole = (begin <= end[lane]) & (there == count)
        at[lane] = np.where(whole, begin + count * 4, end[lane] + 1)
        lane = lane[whole]
    at[segments > MAX_SEGMENTS] = (end + 1)[segments > MAX_SEGMENTS]
    return path[:, : max(int(filled.max(initial=0)), 1)].copy(), last, at


def _path_text(raw: bytes) -> str:
    raw += bytes(-len(raw) % 8)
    text = ""
    for (word,) in struct.iter_unpack("=q", raw):
        between = "," if word & _IN_SET and not word & _SET_BEGINS else " " if text else ""
        text += f"{between}{'{' if word & _SET_BEGINS else ''}{word & 0xFFFFFFFF}{'}' if word & _SET_ENDS else ''}"
    return text


def _communities_text(raw: bytes) -> str:
    raw += bytes(-len(raw) % 4)
    return " ".join(f"{high}:{low}" for high, low in struct.iter_unpack(">HH", raw))
