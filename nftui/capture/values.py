"""Values: the octets of one field of many records, read into one numpy array. The table `READINGS` has a function for each way.

Each function takes a `Batch` and a `Source` and returns values and, when some are absent, a mask that is True where a value
stands. What is left out is counted by reason in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.layouts import Layout, Source

Values = tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]

ABSURD = 2**53
"""A counter of this size is a broken exporter: it is left out, so that sums stay within 64 bits."""
LATEST = 9_223_372_036_854_775
"""The last microsecond that nanoseconds since 1970 can express in 64 bits, in the year 2262."""
NTP_TO_UNIX = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905, section 6)."""
WRAP = 2**32
JUST_WRAPPED = WRAP - 3_600_000
"""A time of day of the exporter this far (ms) behind the header's is one that has wrapped since, within the last hour."""

NO_UPTIME = -1
BEYOND = "number beyond the column's range"
_WORD = 8
UNKNOWN_START = "time relative to an unknown system start"


@dataclass(frozen=True)
class Batch:
    """Records of one layout, from any number of data sets, with what their messages said.

    Attributes:
        layout: How to read them.
        records: Shape (records,), of the layout's dtype.
        sets: Shape (records,), what each came in, as an index into the following; these have one place a data set or a datagram.
        export_time: Shape (sets,), int64, microseconds since 1970 of the message's header.
        uptime: Shape (sets,), int64, milliseconds that the exporter ran at that time; unused when `started` is given.
        started: Shape (sets,), int64, milliseconds since 1970 at which the exporter started, 0 where that is not known; None for
            protocols whose header has the uptime.
        left_out: Reasons, each with a mask of the records that it concerns.
    """

    layout: Layout
    records: npt.NDArray[np.void]
    sets: npt.NDArray[np.int64]
    export_time: npt.NDArray[np.int64]
    uptime: npt.NDArray[np.int64]
    started: npt.NDArray[np.int64] | None = None
    left_out: list[tuple[str, npt.NDArray[np.bool_]]] = field(default_factory=list)

    @cached_property
    def record_export_time(self) -> npt.NDArray[np.int64]:
        """The export time of each record, microseconds since 1970."""
        return self.export_time[self.sets]

    @cached_property
    def record_uptime(self) -> npt.NDArray[np.int64]:
        """The exporter's uptime at the export of each record, milliseconds."""
        return self.uptime[self.sets]


def unsigned(batch: Batch, source: Source) -> npt.NDArray[Any]:
    """Return an unsigned number of 1 to 8 octets (RFC 7011, section 6.2), in whatever unsigned dtype is at hand."""
    raw = batch.records[source.name]
    if raw.ndim == 1:
        return raw
    wide = np.zeros((len(raw), 8), np.uint8)
    wide[:, 8 - source.size :] = raw
    return wide.view(">u8")[:, 0]


def number(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a number; one beyond the column's range is left out."""
    raw = unsigned(batch, source)
    target = np.dtype(dtype)
    if source.size < target.itemsize:
        return raw.astype(target), None
    return _below(batch, raw, int(np.iinfo(target).max) + 1, BEYOND, target)


def counter(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a counter; one of 2^53 or more is left out."""
    raw = unsigned(batch, source)
    if source.size < 7:
        return raw.astype(dtype), None
    return _below(batch, raw, ABSURD, "counter of 2^53 or more", np.dtype(dtype))


def positive(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a number of which 0 means that it is not known."""
    values, valid = number(batch, source, dtype)
    stands = values > 0
    return values, stands if valid is None else stands & valid


def application(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return an application id: the engine that found it, an octet, and its number (RFC 6759, section 4.1).

    Where an enterprise number of 4 octets and a number of 4 follow the engine (engine 20), the enterprise number's first octet,
    0 for all that are assigned, is left out, so that 8 octets hold the whole.
    """
    if source.size <= _WORD:
        return number(batch, source, dtype)
    raw = batch.records[source.name]
    short = np.concatenate([raw[:, :1], raw[:, 1 - _WORD :]], axis=1)
    return _below(batch, short.view(">u8")[:, 0], int(np.iinfo(np.dtype(dtype)).max) + 1, BEYOND, np.dtype(dtype))


def application_number(octets: bytes) -> int:
    """Return an application id as `application` does, of one record."""
    return int.from_bytes(octets if len(octets) <= _WORD else octets[:1] + octets[1 - _WORD :], "big")


def dscp(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a type of service of which only the upper six bits, the code point, are told (RFC 2474, section 3)."""
    return ((unsigned(batch, source) & 0x3F) << 2).astype(dtype), None


def segment(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return the 24 bits of a VXLAN or NVGRE network; the octet in front says which (RFC 7133, section 3.2). 0 means none."""
    values = (unsigned(batch, source).astype(np.uint64) & np.uint64(0xFFFFFF)).astype(dtype)
    return values, values != 0


def label(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return the 20 bits of an MPLS label (RFC 3032, section 2.1); three zero octets mean that the stack is not so deep."""
    raw = unsigned(batch, source).astype(np.uint64)
    return ((raw >> np.uint64(4)) & np.uint64(0xFFFFF)).astype(dtype), raw != 0


def high_octet(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return the ICMP type of type * 256 + code."""
    return ((unsigned(batch, source) >> 8) & 0xFF).astype(dtype), None


def low_octet(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return the ICMP code of type * 256 + code."""
    return (unsigned(batch, source) & 0xFF).astype(dtype), None


def seconds(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a time given in seconds since 1970 (RFC 7011, section 6.1.7) in microseconds."""
    return _scaled_time(batch, source, 1_000_000)


def milliseconds(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a time given in milliseconds since 1970 (RFC 7011, section 6.1.8) in microseconds."""
    return _scaled_time(batch, source, 1000)


def ntp(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a time given as seconds since 1900 and a binary fraction (RFC 7011, sections 6.1.9 and 6.1.10) in microseconds."""
    raw = unsigned(batch, source).astype(np.uint64)
    fraction = ((raw & np.uint64(0xFFFFFFFF)) * np.uint64(1_000_000) + np.uint64(1 << 31)) >> np.uint64(32)
    time = ((raw >> np.uint64(32)).astype(np.int64) - NTP_TO_UNIX) * 1_000_000 + fraction.astype(np.int64)
    return _plausible(batch, time, None)


def uptime(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a time given in milliseconds since the exporter started, in microseconds since 1970.

    The counter has 32 bits and wraps every 49.7 days. Where the header has the exporter's uptime (NetFlow), a value more than
    2^31 ms ahead of it is one from before the last wrap; one almost 2^32 ms behind has wrapped since the header's was taken. In
    IPFIX the start is known instead (systemInitTimeMilliseconds, of the record or of options data), and with it how often the
    counter has wrapped.
    """
    raw = unsigned(batch, source)
    value = raw.astype(np.int64) if source.size <= 4 else (raw.astype(np.uint64) & np.uint64(WRAP - 1)).astype(np.int64)
    if batch.started is not None:
        return _since_start(batch, value, batch.started)
    value -= batch.record_uptime
    if len(value) and (value.max() > WRAP // 2 or value.min() < -JUST_WRAPPED):
        value[value > WRAP // 2] -= WRAP
        value[value < -JUST_WRAPPED] += WRAP
    value *= 1000
    value += batch.record_export_time
    return _plausible(batch, value, None)


def before_export(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    """Return a time given in microseconds before the export time (flowStartDeltaMicroseconds), in microseconds since 1970."""
    raw = unsigned(batch, source).astype(np.uint64)
    return _plausible(batch, batch.record_export_time - np.minimum(raw, np.uint64(LATEST)).astype(np.int64), None)


READINGS: dict[str, Callable[[Batch, Source, npt.DTypeLike], Values]] = {
    "number": number,
    "counter": counter,
    "positive": positive,
    "application": application,
    "dscp": dscp,
    "segment": segment,
    "label": label,
    "high octet": high_octet,
    "low octet": low_octet,
    "seconds": seconds,
    "milliseconds": milliseconds,
    "ntp": ntp,
    "uptime": uptime,
    "before export": before_export,
}
"""Readings that give numbers; `address`, `text` and `octets` are read in `batch.py`."""


def _since_start(batch: Batch, value: npt.NDArray[np.int64], started: npt.NDArray[np.int64]) -> Values:
    if batch.layout.system_init:
        start = np.minimum(batch.records[batch.layout.system_init].astype(np.uint64), ABSURD).astype(np.int64)
    else:
        start = started[batch.sets]
    known = (start > 0) & (start < ABSURD)
    start = np.where(known, start, 0)
    export = batch.record_export_time // 1000
    wraps = np.where(known, np.maximum(export - start, 0) // WRAP, 0)
    time = start + value + wraps * WRAP
    time -= np.where((wraps > 0) & (time > export + WRAP // 2), WRAP, 0)
    if known.all():
        return _plausible(batch, np.minimum(time, ABSURD) * 1000, None)
    batch.left_out.append((UNKNOWN_START, ~known))
    return _plausible(batch, np.where(known, time, 0) * 1000, known)


def _below(batch: Batch, raw: npt.NDArray[Any], limit: int, reason: str, target: np.dtype[Any]) -> Values:
    if not len(raw) or raw.max() < limit:
        return raw.astype(target), None
    valid = raw < limit
    batch.left_out.append((reason, ~valid))
    return np.where(valid, raw, 0).astype(target), valid


def _scaled_time(batch: Batch, source: Source, scale: int) -> Values:
    raw = unsigned(batch, source).astype(np.uint64)
    return _plausible(batch, np.minimum(raw, np.uint64(LATEST // scale + 1)).astype(np.int64) * scale, None)


def _plausible(batch: Batch, time: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_] | None) -> Values:
    """Leave out times before 1970 or after 2262."""
    if len(time) and (time.min() < 0 or time.max() > LATEST):
        odd = (time < 0) | (time > LATEST)
        batch.left_out.append(("time before 1970 or after 2262", odd))
        valid = ~odd if valid is None else valid & ~odd
    return time, valid
