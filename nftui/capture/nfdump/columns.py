"""Fields of nfdump's records become columns: a gather of one field of many records at once, in the words of `schema.py`.

nfdump keeps numbers, addresses too, in the byte order of the machine that wrote the file, and has a 0 where an exporter did not say
something that shares an extension with something it did say. Where 0 is no value anyway, it is read as absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture.batch import MAPPED, NUMPY
from nftui.capture.values import ABSURD, LATEST, Values
from nftui.schema import POLARS

Places = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

NUMBERS = {"u1": 1, "u2": 2, "u4": 4, "u8": 8}
WIDTHS = {
    **NUMBERS,
    **{f"+{name}": width for name, width in NUMBERS.items()},
    **{f"octets{width}": width for width in range(1, 17)},
    "ms": 8,
    "time4": 8,
    "time6": 10,
    "v4": 4,
    "v6": 16,
    "label": 4,
    "acl": 12,
    "text24": 24,
    "text66": 66,
    "text72": 72,
}
"""Octets that each way of reading takes. A plus says that 0 is no value; `time4` and `time6` are milliseconds of 16 bits, with
seconds of 32 bits so many octets behind their beginning."""


ADDRESSES = ("v4", "v6")
COUNTERS = frozenset(("octets", "packets", "out_octets", "out_packets", "flow_count"))


class Field(NamedTuple):
    """One field: the column that it fills, where it stands in its extension, and how it is read."""

    column: str
    offset: int
    reading: str

    @property
    def end(self) -> int:
        """Where the field ends in its extension."""
        return self.offset + WIDTHS[self.reading]


@dataclass(frozen=True, slots=True)
class Buffer:
    """The octets of some blocks, and the byte order of what is in them, `<` or `>`."""

    octets: Octets
    order: str

    def gather(self, places: Places, dtype: str) -> npt.NDArray[Any]:
        """Return a number of each record.

        Args:
            places: Where each begins, shape (records,); all of it lies within the octets.
            dtype: Of numpy, without byte order.
        """
        kind = np.dtype(self.order + dtype)
        room = len(self.octets) - kind.itemsize + 1
        if room <= 0:
            return np.empty(0, kind)
        # Numbers that begin at each octet: none is copied but those that are taken.
        return np.ndarray((room,), kind, self.octets, strides=(1,))[places]

    def rows(self, places: Places, width: int) -> Octets:
        """Return some octets of each record, shape (records, width)."""
        room = len(self.octets) - width + 1
        if room <= 0:
            return np.empty((0, width), np.uint8)
        taken = np.ndarray((room,), f"V{width}", self.octets, strides=(1,))[places]
        return taken.view(np.uint8).reshape(len(places), width)


def read(buffer: Buffer, places: Places, field: Field, left_out: Callable[[str, int], None]) -> Values | pl.Series:
    """Read a field of many records.

    Args:
        buffer: Where they are.
        places: Where the field's extension begins in each, shape (records,).
        field: The field.
        left_out: Is told of values that a column can't hold, and how many.
    """
    reading, places = field.reading, places + field.offset
    if reading in ADDRESSES:
        return addresses(buffer, places, reading), None
    if reading == "ms":
        return _time(buffer.gather(places, "u8"))
    if reading in ("time4", "time6"):
        seconds = buffer.gather(places + int(reading[-1]), "u4").astype(np.uint64)
        return _time(np.where(seconds != 0, seconds * np.uint64(1000) + buffer.gather(places, "u2"), np.uint64(0)))
    if reading.startswith("text"):
        return _text(field.column, buffer.rows(places, WIDTHS[reading]))
    if reading == "acl":
        return _acl(field.column, buffer, places)
    if reading.startswith("octets"):
        return _application(buffer.rows(places, WIDTHS[reading]), field.column, left_out)
    raw = buffer.gather(places, "u4" if reading == "label" else reading.removeprefix("+"))
    there = raw != 0 if reading[0] in "+l" else None
    if reading == "label":
        raw = (raw >> 4) & 0xFFFFF
    return _number(raw, there, field.column, left_out)


def _number(
    raw: npt.NDArray[Any], there: npt.NDArray[np.bool_] | None, column: str, left_out: Callable[[str, int], None]
) -> Values:
    dtype = NUMPY[column]
    # A counter has to leave room for sums; anything else must only fit.
    most = ABSURD - 1 if column in COUNTERS else np.iinfo(dtype).max
    if raw.dtype.itemsize >= dtype.itemsize and len(raw) and int(raw.max()) > most:
        fits = raw <= raw.dtype.type(most)
        left_out(f"{column} beyond its range", int((~fits).sum()))
        there = fits if there is None else there & fits
        raw = np.where(fits, raw, 0)
    return raw.astype(dtype), there


def addresses(buffer: Buffer, places: Places, reading: str) -> Octets:
    """Return addresses as 16 octets in network order, shape (records, 16)."""
    words = np.zeros((len(places), 4), np.uint32)
    if reading == "v4":
        words[:, 2] = MAPPED
        words[:, 3] = buffer.gather(places, "u4").astype(">u4").view(np.uint32)
    else:
        halves = words.view(np.uint64)
        halves[:, 0] = buffer.gather(places, "u8").astype(">u8").view(np.uint64)
        halves[:, 1] = buffer.gather(places + 8, "u8").astype(">u8").view(np.uint64)
    return words.view(np.uint8)


def filled(one: Octets, other: Octets) -> Octets:
    """Return addresses of two fields: of the other one where it is not zero."""
    mapped = (other[:, :10] == 0).all(axis=1) & (other[:, 10:12] == 0xFF).all(axis=1)
    zero = (other[:, 12:] == 0).all(axis=1) & (mapped | (other[:, :12] == 0).all(axis=1))
    return np.where(zero[:, None], one, other)


def _time(raw: npt.NDArray[Any]) -> Values:
    """Return milliseconds as a time in microseconds; none is 0."""
    there = (raw != 0) & (raw <= np.uint64(LATEST // 1000))
    return np.where(there, raw, 0).astype(np.int64) * 1000, there


def _application(rows: Octets, column: str, left_out: Callable[[str, int], None]) -> Values:
    """Return the ids of applications, as `values.application` does: of more than 8 octets the first and the last seven."""
    wide = np.zeros((len(rows), 8), np.uint8)
    if rows.shape[1] > 8:
        wide[:, 0], wide[:, 1:] = rows[:, 0], rows[:, -7:]
    else:
        wide[:, 8 - rows.shape[1] :] = rows
    return _number(wide.view(">u8")[:, 0].astype(np.uint64), None, column, left_out)


def _text(column: str, rows: Octets) -> pl.Series:
    """Return text up to the first zero octet; each different one is decoded once."""
    different, index = np.unique(np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").ravel(), return_inverse=True)
    words = [one.split(b"\0", 1)[0].decode("utf-8", "replace") or None for one in different.tolist()]
    return pl.Series(column, words, pl.String).gather(pl.Series(index.astype(np.uint32)))


def _acl(column: str, buffer: Buffer, places: Places) -> pl.Series:
    words = np.stack([buffer.gather(places + at, "u4") for at in (0, 4, 8)], axis=1)
    octets = np.ascontiguousarray(words.astype(">u4")).view(np.uint8).reshape(len(places), 12)
    if not len(octets):
        return pl.Series(column, [], pl.Binary)
    series = pl.Series(column, octets).cast(pl.List(pl.UInt8)).cast(pl.Binary)
    there = pl.Series(octets.any(axis=1))
    return series.zip_with(there, pl.Series(column, [None], pl.Binary).new_from_index(0, len(octets)))


def number(octets: bytes, order: str) -> int:
    """Return a number in the byte order `<` or `>`."""
    byteorder: Literal["little", "big"] = "little" if order == "<" else "big"
    return int.from_bytes(octets, byteorder)


def nulls(column: str, rows: int) -> pl.Series:
    """Return a column without values."""
    return pl.Series(column, [None], POLARS[column]).new_from_index(0, rows)
