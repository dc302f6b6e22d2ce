"""sFlow version 5: a block of datagrams in, samples out. No state, no I/O, no loop over datagrams, samples or records.

A datagram is an array of samples and a sample one of records, each with its format and length in front. The n-th sample of all
datagrams is found in one step, then the n-th record of all samples; thereafter each format is read of all its records at once.
Everything before a broken place is kept, and what is broken or not known is named.

Source: sFlow.org, "sFlow Version 5" (July 2004), section 5, and the structure numbers and extensions published there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture import sflow_records
from nftui.capture.dissection import Mask
from nftui.capture.packets import Columns
from nftui.capture.sets import Integers, Octets
from nftui.capture.sflow_samples import (
    DISCARDED,
    GENERIC_COUNTERS,
    OF_COUNTERS,
    Heads,
    Samples,
    common_columns,
    interface_counters,
    read_heads,
)
from nftui.capture.xdr import Entries, Reader

VERSION = 5
PORT = 6343
MAX_SAMPLES, MAX_RECORDS = 2048, 256
"""Samples of a datagram, and records of a sample, that are looked at."""
MAX_NAMES = 64
"""Different unknown formats of one block that are named; the others are counted together."""
_HEADER = np.dtype([("sub_agent", ">u4"), ("sequence", ">u4"), ("uptime", ">u4"), ("samples", ">u4")])
_WITH_IPV4, _OF_IPV4 = 28, np.array([0, 0, 0, VERSION, 0, 0, 0, 1], np.uint8)
"""Octets of a header whose agent has an IPv4 address, and how it begins."""
_NO_DATA, _LAST_FORMAT = 0, 0xFFF

Counted = list[tuple[str, Integers]]
"""What was met -> the datagram of each time, as an index."""


@dataclass(frozen=True)
class Headers:
    """The headers of datagrams. All zero where there is none that can be read.

    Attributes:
        read: Shape (datagrams,), whether there is one, of version 5.
        agent: Shape (datagrams, 16), the agent's address, IPv4 as ::ffff:a.b.c.d.
        has_agent: Shape (datagrams,), whether that is an address other than zero.
        sub_agent: Shape (datagrams,).
        sequence: Shape (datagrams,), datagrams that the sub-agent sent, 32 bits.
        uptime: Shape (datagrams,), milliseconds since the agent started.
        samples: Shape (datagrams,), samples that the header counts.
    """

    read: Mask
    agent: Octets
    has_agent: Mask
    sub_agent: Integers
    sequence: Integers
    uptime: Integers
    samples: Integers


@dataclass(frozen=True)
class Sflow:
    """What a block of sFlow datagrams holds. All datagrams are named by their index into the rows that were given.

    Attributes:
        headers: One a datagram.
        flows: Sampled packets. `columns` are those of the schema, without times, which sFlow does not have.
        drops: Dropped packets, in the same form.
        counters: Counter samples, as far as they are not `interfaces`.
        interfaces: Shape (records,), dtype `sflow_samples.INTERFACE`.
        malformed: What is broken; a datagram is there once for each reason.
        unknown_samples: Formats of samples that are not read, as enterprise:format.
        unread_records: The same of records of flow and drop samples.
        counter_records: The same of records of counter samples, without the generic interface counters.
    """

    headers: Headers
    flows: Samples
    drops: Samples
    counters: Samples
    interfaces: npt.NDArray[np.void]
    malformed: Counted
    unknown_samples: Counted
    unread_records: Counted
    counter_records: Counted


def decode(payload: Octets, rows: Integers, length: Integers) -> Sflow:
    """Decode sFlow datagrams.

    Args:
        payload: The block, shape (datagrams, width), uint8, C-contiguous; the octets of a row behind its length are stale.
        rows: The rows that are sFlow, by their port.
        length: Octets received, shape (rows,).
    """
    start = np.asarray(rows, np.int64) * payload.shape[1]
    end = start + np.minimum(length, payload.shape[1])
    reader = Reader(payload.reshape(-1), end)
    malformed: Counted = []
    headers, at = _headers(reader, start, end, malformed)
    samples, cut, behind = reader.walk(at, end, np.where(headers.read, headers.samples, 0), MAX_SAMPLES)
    seen = np.bincount(samples.owner, minlength=len(start))
    _note(malformed, "sample cut short", np.flatnonzero(cut))
    _note(malformed, f"more than {MAX_SAMPLES} samples", np.flatnonzero((seen == MAX_SAMPLES) & (headers.samples > seen)))
    fewer = headers.read & (seen < np.minimum(headers.samples, MAX_SAMPLES))
    _note(malformed, "fewer samples than the header counts", np.flatnonzero(fewer))
    _note(malformed, "octets behind the last sample", np.flatnonzero(headers.read & (headers.samples == seen) & (behind < end)))
    known = (samples.format > _NO_DATA) & (samples.format <= DISCARDED)
    unknown_samples = _named(samples.format[~known], samples.owner[~known])
    heads, short = read_heads(reader, samples.take(known))
    _note(malformed, "sample shorter than its fields", np.unique(samples.owner[known][short]))
    return _records(reader, headers, heads, malformed, unknown_samples)


def identities(payload: Octets, rows: Integers, length: Integers, senders: Octets) -> Octets:
    """Return whom datagrams are of, shape (rows, 16): the agent, where they name one, else who sent them.

    Args:
        payload: As in `decode`.
        rows: As in `decode`.
        length: As in `decode`.
        senders: Shape (rows, 16), who sent them.
    """
    if (length >= _WITH_IPV4).all():
        head = payload[rows, :_WITH_IPV4]
        if (head[:, :8] == _OF_IPV4).all() and head[:, 8:12].any(axis=1).all():
            mapped = np.zeros((len(rows), 16), np.uint8)
            mapped[:, 10:12], mapped[:, 12:] = 0xFF, head[:, 8:12]
            return mapped
    start = np.asarray(rows, np.int64) * payload.shape[1]
    end = start + np.minimum(length, payload.shape[1])
    headers, _ = _headers(Reader(payload.reshape(-1), end), start, end, [])
    return np.where(headers.has_agent[:, None], headers.agent, senders)


def _headers(reader: Reader, start: Integers, end: Integers, malformed: Counted) -> tuple[Headers, Integers]:
    """Read the headers; return them, and where the samples begin."""
    five = (reader.word(start) == VERSION) & (start + 4 <= end)
    kind = np.where(five & (start + 8 <= end), reader.word(start + 4), 0)
    agent, has_agent, at = reader.address(start + 4, end)
    fields, whole = reader.read(_HEADER, at), at + _HEADER.itemsize <= end
    odd = kind > 2
    _note(malformed, "datagram shorter than its header", np.flatnonzero((start + 4 > end) | (five & ~whole & ~odd)))
    _note(malformed, "version other than 5", np.flatnonzero(~five & (start + 4 <= end)))
    _note(malformed, "agent address of unknown kind", np.flatnonzero(odd))
    read = five & whole
    agent = np.where(read[:, None], agent, 0).astype(np.uint8)
    numbers = (np.where(read, fields[name].astype(np.int64), 0) for name in ("sub_agent", "sequence", "uptime", "samples"))
    return Headers(read, agent, has_agent & read, *numbers), np.where(read, at + _HEADER.itemsize, end)


def _records(reader: Reader, headers: Headers, heads: Heads, malformed: Counted, unknown_samples: Counted) -> Sflow:
    """Read the records of all samples."""
    entries, datagram = heads.entries, heads.entries.owner
    records, cut, behind = reader.walk(entries.start, entries.end, heads.fields["records"], MAX_RECORDS)
    seen = np.bincount(records.owner, minlength=len(datagram))
    announced = heads.fields["records"]
    _note(malformed, "record cut short", np.unique(datagram[cut]))
    _note(malformed, f"more than {MAX_RECORDS} records", np.unique(datagram[(seen == MAX_RECORDS) & (announced > seen)]))
    _note(malformed, "fewer records than the sample counts", np.unique(datagram[seen < np.minimum(announced, MAX_RECORDS)]))
    _note(malformed, "octets behind the last record", np.unique(datagram[(seen == announced) & (behind < entries.end)]))

    of_counters = np.isin(entries.format, OF_COUNTERS)
    counting = of_counters[records.owner]
    counter_records, records = records.take(counting), records.take(~counting)
    generic = counter_records.format == GENERIC_COUNTERS
    of_interfaces = counter_records.take(generic)
    interfaces, short = interface_counters(reader, of_interfaces, datagram[of_interfaces.owner])
    short_records = [of_interfaces.owner[short]]
    others = counter_records.take(~generic)

    packets = np.flatnonzero(~of_counters)
    place = np.cumsum(~of_counters) - 1
    unread = ~np.isin(records.format, list(sflow_records.FORMATS))
    unread_records = _named(records.format[unread], datagram[records.owner[unread]])
    flow_records = Entries(place[records.owner], records.format, records.start, records.end)
    found, short_ones = sflow_records.decode(reader, flow_records, len(packets))
    short_records.append(packets[short_ones])
    _note(malformed, "record shorter than its fields", np.unique(datagram[np.concatenate(short_records)]))
    columns = common_columns(heads, packets) | found
    dropped = entries.format[packets] == DISCARDED
    return Sflow(
        headers,
        heads.samples(packets[~dropped], _some(columns, ~dropped)),
        heads.samples(packets[dropped], _some(columns, dropped)),
        heads.samples(np.flatnonzero(of_counters), {}),
        interfaces,
        malformed,
        unknown_samples,
        unread_records,
        _named(others.format, datagram[others.owner]),
    )


def _some(columns: Columns, mask: Mask) -> Columns:
    """Return some rows of columns, without those of which none of the rows has a value."""
    if mask.all() and len(mask):
        return columns
    some: Columns = {}
    for name, (values, valid) in columns.items():
        known = None if valid is None else valid[mask]
        if mask.any() and (known is None or known.any()):
            some[name] = values[mask], None if known is None or known.all() else known
    return some


def _note(malformed: Counted, reason: str, datagrams: Integers) -> None:
    if len(datagrams):
        malformed.append((reason, datagrams))


def _named(formats: Integers, datagrams: Integers) -> Counted:
    """Return the datagrams of each format."""
    if not len(formats):
        return []
    different, index = np.unique(formats, return_inverse=True)
    order = np.argsort(index, kind="stable")
    bounds = np.searchsorted(index[order], np.arange(min(len(different), MAX_NAMES) + 1))
    named = [
        (f"{number >> 12}:{number & _LAST_FORMAT}", datagrams[order[bounds[place] : bounds[place + 1]]])
        for place, number in enumerate(different[:MAX_NAMES].tolist())
    ]
    if len(different) > MAX_NAMES:
        named.append(("other", datagrams[order[bounds[-1] :]]))
    return named
