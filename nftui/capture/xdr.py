"""XDR: numbers, addresses, texts and arrays at many places of a block at once, and the walk over arrays of tagged structures.

Nothing here trusts a length: a place may lie anywhere, and what is read there counts only where the caller, or the mask that is
returned, says that it lies before its end.

Source: RFC 4506, sections 4.1, 4.10 and 4.13; "sFlow Version 5" (July 2004) for `address` and `data_format`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import ADDRESS, MAPPED, Mask
from nftui.capture.sets import Integers, Octets

LONGEST, SHORTEST, BUDGET = 256, 16, 4 << 20
"""Octets kept of a text or array: at most the first; with very many fewer, down to the second, so that all take about the third."""
MARGIN = 96
"""The longest structure that is read at once."""
_HEADER = np.dtype([("format", ">u4"), ("length", ">u4")])
_ADDRESS = np.dtype([("kind", ">u4"), ("octets", "V16")])
_WORD = np.dtype(">u4")
_NO_ADDRESS, _IPV4, _IPV6 = 0, 1, 2


@dataclass(frozen=True)
class Entries:
    """Tagged structures, those of one parent together and in their order, parents ascending.

    Attributes:
        owner: Shape (entries,), which parent each is of.
        format: Shape (entries,), enterprise * 4096 + format.
        start: Shape (entries,), the first octet of the content.
        end: Shape (entries,), behind its last octet; never beyond the parent.
    """

    owner: Integers
    format: Integers
    start: Integers
    end: Integers

    def first(self, *formats: int) -> Entries:
        """Return the first entry of some formats of each parent."""
        chosen = np.flatnonzero(self.format == formats[0] if len(formats) == 1 else np.isin(self.format, formats))
        owner = self.owner[chosen]
        if len(chosen) > 1:
            chosen = chosen[np.concatenate([[True], owner[1:] != owner[:-1]])]
        return self.take(chosen)

    def take(self, index: Integers | Mask) -> Entries:
        """Return some entries."""
        return Entries(self.owner[index], self.format[index], self.start[index], self.end[index])


class Reader:
    """Reads a block of octets at many places at once.

    Attributes:
        flat: The block, with a margin behind its last octet.
    """

    def __init__(self, flat: Octets, end: Integers) -> None:
        """Take a block.

        Args:
            flat: Shape (octets,), C-contiguous; it is copied only when it ends too soon behind the last octet.
            end: Places behind the last octets that matter.
        """
        highest = int(end.max(initial=0))
        if len(flat) < highest + MARGIN:
            flat = np.concatenate([flat[:highest], np.zeros(MARGIN, np.uint8)])
        self.flat = flat

    def read(self, structure: np.dtype[Any], at: Integers) -> npt.NDArray[Any]:
        """Return one structure of at most `MARGIN` octets at each place; at places behind the last octet, another."""
        size = structure.itemsize
        places = np.ndarray((len(self.flat) - size + 1,), f"V{size}", self.flat, strides=(1,))
        return places[np.minimum(at, len(places) - 1)].view(structure)

    def word(self, at: Integers) -> Integers:
        """Return an unsigned int at each place."""
        return self.read(_WORD, at).astype(np.int64)

    def address(self, at: Integers, end: Integers) -> tuple[Octets, Mask, Integers]:
        """Read an address of either family, or none.

        Returns:
            Octets, shape (places, 16), IPv4 as ::ffff:a.b.c.d; where they are an address that is not zero; and what follows, which
            lies behind `end` where that can't be told.
        """
        raw = self.read(_ADDRESS, at)
        kind = raw["kind"]
        size = np.where(kind == _IPV4, 8, np.where(kind == _IPV6, 20, np.where(kind == _NO_ADDRESS, 4, end - at + 1)))
        whole = at + size <= end
        found = np.ascontiguousarray(raw["octets"]).view(ADDRESS)
        found[~whole | (kind == _NO_ADDRESS)] = 0
        four = kind == _IPV4
        if four.any():
            first = found.view("u4").reshape(-1, 4)[:, 0]
            filled = np.where(four, first != 0, (found["zero"] != 0) | (found["mapped"] != 0) | (found["four"] != 0))
            found["four"] = np.where(four, first, found["four"])
            found["mapped"] = np.where(four, MAPPED, found["mapped"])
            found["zero"] = np.where(four, 0, found["zero"])
        else:
            filled = (found["zero"] != 0) | (found["mapped"] != 0) | (found["four"] != 0)
        return found.view(np.uint8).reshape(-1, 16), whole & filled, at + size

    def text(self, at: Integers, end: Integers) -> tuple[npt.NDArray[np.object_], Mask, Integers]:
        """Read a string; each different one is decoded once, as UTF-8, and cut at 256 octets.

        Returns:
            Texts, shape (places,); where they are whole and not empty; and what follows, behind `end` where that can't be told.
        """
        length = self.word(at)
        after = at + 4 + (length + 3) // 4 * 4
        whole = (at + 4 <= end) & (at + 4 + length <= end)
        kept = np.where(whole, np.minimum(length, _most(len(at))), 0)
        width = max(int(kept.max(initial=0)), 1)
        column = np.arange(width)
        place = np.minimum((at + 4)[:, None] + column, len(self.flat) - 1)
        octets = np.where(column < kept[:, None], self.flat[place], 0).astype(np.uint8)
        texts = decode_once(octets, lambda raw: raw.rstrip(b"\0").decode("utf-8", "replace"))
        return texts, kept > 0, np.where(whole, after, end + 1)

    def array(self, at: Integers, end: Integers) -> tuple[npt.NDArray[np.uint32], Integers, Integers]:
        """Read an array of unsigned ints.

        Returns:
            The first of them, shape (places, width), zero behind the last; how many those are, shape (places,); and what follows,
            behind `end` where that can't be told.
        """
        count = np.where(at + 4 <= end, self.word(at), -1)
        after = np.where(count >= 0, at + 4 + count * 4, end + 1)
        kept = np.clip(np.minimum(count, (end - at - 4) // 4), 0, _most(len(at)) // 4)
        return self.words(at + 4, kept), kept, after

    def words(self, at: Integers, kept: Integers) -> npt.NDArray[np.uint32]:
        """Return `kept` unsigned ints from each place on, shape (places, most of `kept`), zero behind them."""
        words = np.zeros((len(at), max(int(kept.max(initial=0)), 1)), np.uint32)
        row, column = np.nonzero(np.arange(words.shape[1]) < kept[:, None])
        words[row, column] = self.read(_WORD, at[row] + column * 4)
        return words

    def walk(self, start: Integers, end: Integers, count: Integers, most: int) -> tuple[Entries, Mask, Integers]:
        """Find the structures of arrays `tagged<>`, each with format and length in front, the n-th of all arrays in one step.

        Args:
            start: Shape (parents,), the first octet behind the count.
            end: Shape (parents,), behind the last octet that may belong to the array.
            count: Shape (parents,), how many each array announces.
            most: How many are looked at.
        Returns:
            The structures; a last one that is cut short is among them, up to the end. Shape (parents,): whether one is cut short;
            and where the array ends.
        """
        at, lane = start.copy(), np.arange(len(start))
        cut = np.zeros(len(start), np.bool_)
        found: list[tuple[Integers, Integers, Integers, Integers]] = []
        for number in range(most):
            here = (count[lane] > number) & (at[lane] + _HEADER.itemsize <= end[lane])
            lane = lane if here.all() else lane[here]
            if not len(lane):
                break
            header, limit = self.read(_HEADER, at[lane]), end[lane]
            begin = at[lane] + _HEADER.itemsize
            after = begin + header["length"]
            short = after > limit
            cut[lane[short]] = True
            found.append((lane, header["format"].astype(np.int64), begin, np.minimum(after, limit)))
            at[lane] = np.minimum((after - begin + 3) // 4 * 4 + begin, limit)
        if not found:
            nothing = np.empty(0, np.int64)
            return Entries(nothing, nothing, nothing, nothing), cut, at
        owner, formats, begins, ends = (np.concatenate(part) for part in zip(*found, strict=True))
        entries = Entries(owner, formats, begins, ends)
        return entries.take(np.argsort(owner, kind="stable")), cut, at


def decode_once(octets: Octets, decode: Any) -> npt.NDArray[np.object_]:
    """Turn rows of octets, shape (rows, width), into texts, calling `decode` once for each different row.

    Trailing zero octets do not tell rows apart, and are not passed on.
    """
    if not len(octets):
        return np.empty(0, np.object_)
    raw = np.ascontiguousarray(octets).view(f"S{octets.shape[1]}")[:, 0]
    different, index = np.unique(raw, return_inverse=True)
    texts = np.empty(len(different), np.object_)
    texts[:] = [decode(one) for one in different.tolist()]
    return texts[index]


def _most(places: int) -> int:
    return min(LONGEST, max(SHORTEST, BUDGET // max(places, 1)))
