"""Agents: the senders of sFlow. Samples become frames of flows, and counters what is known of an agent's interfaces.

An agent names itself in each datagram: that is the exporter, whatever relay the datagram came through, and the index of an
interface has a meaning for it alone. A sampled packet is a flow of one packet, seen when its datagram came: sFlow tells no times.
Dropped packets are counted by reason; they are no flows, as the same packet may have been sampled on its way in.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from nftui.capture import completion, sampling, sflow
from nftui.capture.arrivals import Arrivals, tell_apart
from nftui.capture.batch import Columns, taken
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.exporters import MAX_UNKNOWN_ELEMENTS, SFLOW, Exporter, Exporters, add
from nftui.capture.messages import Headers
from nftui.capture.sets import Integers, Octets
from nftui.capture.sflow import Counted, Sflow
from nftui.capture.sflow_samples import DROP_REASONS, Samples

MAX_SOURCES = 4096
"""Data sources of one agent whose lost samples are followed."""
MAX_DISCARDS = 256
NOT_SFLOW = "not sFlow version 5"
_PACKETS = ("unicast", "multicast", "broadcast")
_COUNTERS = ("in_octets", "in_discards", "in_errors", "out_octets", "out_discards", "out_errors")


def read(
    block: DatagramBlock, payload: Octets, rows: Integers, length: Integers, exporters: Exporters
) -> tuple[list[pl.DataFrame], list[tuple[int, str]]]:
    """Read sFlow datagrams.

    Args:
        block: The datagrams.
        payload: Their octets, C-contiguous.
        rows: The rows that are to be sFlow.
        length: Shape (rows,), octets received.
        exporters: Where counts go.
    Returns:
        Frames of flows; and the rows that are not sFlow, each with the reason, which are not counted yet.
    """
    decoded = sflow.decode(payload, rows, length)
    fine = decoded.headers.read
    wrong = dict.fromkeys(rows[~fine].tolist(), NOT_SFLOW)
    for reason, where in decoded.malformed:
        wrong.update(dict.fromkeys(rows[where[~fine[where]]].tolist(), reason))
    if not fine.any():
        return [], list(wrong.items())
    some, place = np.flatnonzero(fine), np.cumsum(fine) - 1
    arrivals = _arrivals(block, rows[some], length[some], decoded, some, exporters)
    arrivals.count_datagrams(length[some])
    arrivals.count_losses(np.ones(len(some), np.int64))
    _count_odd(arrivals, decoded, place, fine)
    _count_samples(arrivals, "flow", decoded.flows, place)
    _count_samples(arrivals, "drop", decoded.drops, place)
    _count_samples(arrivals, "counter", decoded.counters, place)
    _count_discards(arrivals, decoded.drops, place)
    _count_interfaces(arrivals, decoded, place)
    return _flows(arrivals, decoded.flows, place), list(wrong.items())


def _arrivals(
    block: DatagramBlock, rows: Integers, length: Integers, decoded: Sflow, some: Integers, exporters: Exporters
) -> Arrivals:
    said = decoded.headers
    agents = np.where(said.has_agent[some, None], said.agent[some], block.exporter[rows])
    headers = Headers(said.sub_agent[some], said.sequence[some], block.received[rows], said.uptime[some], length, [])
    return tell_apart(block, rows, headers, SFLOW, exporters, agents)


def _flows(arrivals: Arrivals, samples: Samples, place: Integers) -> list[pl.DataFrame]:
    datagram = place[samples.datagram]
    columns: Columns = dict(samples.columns)
    if not arrivals.accepted.all():
        keep = np.flatnonzero(arrivals.accepted[datagram])
        datagram, columns = datagram[keep], {name: taken(column, keep) for name, column in columns.items()}
    if not len(datagram):
        return []
    arrivals.count_flows(np.bincount(datagram, minlength=len(arrivals.rows)))
    when = arrivals.received[datagram], None
    timed: Columns = {**columns, "flow_start": when, "flow_end": when}
    return completion.frames(arrivals, timed, datagram, of_record=sampling.SFLOW)


def _count_odd(arrivals: Arrivals, decoded: Sflow, place: Integers, fine: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    """Count what is broken, and by their format what is not read."""
    for reason, where in decoded.malformed:
        arrivals.count_malformed(reason, place[where[fine[where]]])
    for name, where in decoded.unknown_samples:
        arrivals.count(arrivals.exporters.unread, f"sFlow sample of format {name} not read", place[where])
    _count_formats(arrivals, "sflow record", decoded.unread_records, place)
    _count_formats(arrivals, "sflow counters", decoded.counter_records, place)


def _count_formats(arrivals: Arrivals, kind: str, counted: Counted, place: Integers) -> None:
    for name, where in counted:
        for sender, number in arrivals.per_sender(place[where]):
            add(arrivals.exporter(sender).unknown_elements, f"{kind} {name}", number, MAX_UNKNOWN_ELEMENTS)


def _count_samples(arrivals: Arrivals, kind: str, samples: Samples, place: Integers) -> None:
    """Count samples, and those that the agent says it lost."""
    if not len(samples):
        return
    for sender, number in arrivals.per_sender(place[samples.datagram]):
        arrivals.exporter(sender).samples[f"{kind}_samples"] += number
    if kind == "counter":
        return
    senders = arrivals.sender[place[samples.datagram]]
    # One number for sender, type and index of a source: of 24, 8 and 32 bits.
    source = senders << 40 | (samples.source_type & 0xFF) << 32 | samples.source_index
    _, first, index = np.unique(source, return_index=True, return_inverse=True)
    last = np.zeros(len(first), np.int64)
    last[index] = np.arange(len(source))
    for early, late in zip(first.tolist(), last.tolist(), strict=True):
        key = kind, int(samples.source_type[early]), int(samples.source_index[early])
        exporter = arrivals.exporter(int(senders[early]))
        known = len(exporter.sample_drops)
        if key in exporter.sample_drops or not arrivals.exporters.full:
            _follow_drops(exporter, key, int(samples.drops[early]), int(samples.drops[late]))
        arrivals.exporters.entries += len(exporter.sample_drops) - known


def _follow_drops(exporter: Exporter, source: tuple[str, int, int], early: int, late: int) -> None:
    """Count the samples that a source lost since it was heard last; its counter begins anew when the agent does."""
    before = exporter.sample_drops.get(source, early)
    if source in exporter.sample_drops or len(exporter.sample_drops) < MAX_SOURCES:
        exporter.sample_drops[source] = late
        if lost := max(late - before, 0):
            exporter.samples["samples_lost"] += lost


def _count_discards(arrivals: Arrivals, drops: Samples, place: Integers) -> None:
    if not len(drops):
        return
    pairs = np.stack([arrivals.sender[place[drops.datagram]], drops.reason])
    for (sender, reason), number in zip(*(part.tolist() for part in _counted(pairs)), strict=True):
        exporter, name = arrivals.exporter(sender), DROP_REASONS.get(reason, f"reason {reason}")
        add(exporter.discards, name, number, MAX_DISCARDS)
        arrivals.exporters.tell(exporter, arrivals.now, f"packets dropped: {name}")


def _counted(pairs: Integers) -> tuple[Integers, Integers]:
    different, number = np.unique(pairs, axis=1, return_counts=True)
    return different.T, number


def _count_interfaces(arrivals: Arrivals, decoded: Sflow, place: Integers) -> None:
    """Keep the latest counters of each interface."""
    found = decoded.interfaces
    if not len(found):
        return
    datagram = place[found["datagram"]]
    keys = np.stack([arrivals.sender[datagram], found["index"]])
    different, index = np.unique(keys, axis=1, return_inverse=True)
    last = np.zeros(different.shape[1], np.int64)
    last[index.reshape(-1)] = np.arange(len(found))
    for (sender, interface), row in zip(different.T.tolist(), last.tolist(), strict=True):
        exporter = arrivals.exporter(sender)
        values = dict(zip(found.dtype.names or (), found[row].item(), strict=True))
        counters = {name: values[name] for name in _COUNTERS}
        for way in ("in", "out"):
            counters[f"{way}_packets"] = sum(max(values[f"{way}_{kind}"], 0) for kind in _PACKETS)
        known = {name: value for name, value in counters.items() if value >= 0}
        when = int(arrivals.received[datagram[row]])
        kept = exporter.interfaces
        before = len(kept.by_index)
        room = interface in kept.by_index or not arrivals.exporters.full
        taken_in = room and kept.update(interface, when, max(values["speed"], 0), max(values["status"], 0), known)
        arrivals.exporters.entries += len(kept.by_index) - before
        if not taken_in:
            arrivals.exporters.unread(exporter, arrivals.now, "counters of too many interfaces", 1)
