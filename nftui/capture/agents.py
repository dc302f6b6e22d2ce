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
from nftui.capture.exporters import SFLOW, Exporter, Exporters
from nftui.capture.interfaces import MAX_INTERFACES
from nftui.capture.messages import Headers
from nftui.capture.sets import Integers, Octets
from nftui.capture.sflow import Counted, Sflow
from nftui.capture.sflow_samples import DROP_REASONS, Samples

MAX_SOURCES = 4096
"""Data sources of one agent whose lost samples are followed."""
MAX_AT_ONCE = 4096
"""Sources, and interfaces, of one block that are looked at: each takes a step of its own."""
TOO_MANY_INTERFACES = f"counters of more than {MAX_AT_ONCE} interfaces at a time"
INTERFACE_ENTRIES = 10
"""What the counters and rates of an interface take, in entries of `exporters.MAX_ENTRIES`."""
MAX_DISCARDS = 256
NOT_SFLOW = "not sFlow version 5"
_PACKETS = ("unicast", "multicast", "broadcast")
_COUNTERS = ("in_octets", "in_discards", "in_errors", "out_octets", "out_discards", "out_errors")


def read(
    block: DatagramBlock, payload: Octets, rows: Integers, length: Integers, exporters: Exporters
) -> tuple[list[pl.DataFrame], list[tuple[str, Integers]]]:
    """Read sFlow datagrams.

    Args:
        block: The datagrams.
        payload: Their octets, C-contiguous.
        rows: The rows that are to be sFlow.
        length: Shape (rows,), octets received.
        exporters: Where counts go.
    Returns:
        Frames of flows; and what is not sFlow, which is not counted yet: reasons, each with the places in `rows` that it concerns.
    """
    decoded = sflow.decode(payload, rows, length)
    fine = decoded.headers.read
    reasons = [NOT_SFLOW, *(reason for reason, _ in decoded.malformed)]
    why = np.where(fine, -1, 0)
    for number, (_, where) in enumerate(decoded.malformed, 1):
        why[where[~fine[where]]] = number
    wrong = [(reasons[number], np.flatnonzero(why == number)) for number in np.unique(why[~fine]).tolist()]
    if not fine.any():
        return [], wrong
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
    return _flows(arrivals, decoded.flows, place), wrong


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
            arrivals.count_element(sender, f"{kind} {name}", number)


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
    for early, late in zip(first[:MAX_AT_ONCE].tolist(), last[:MAX_AT_ONCE].tolist(), strict=True):
        key = kind, int(samples.source_type[early]), int(samples.source_index[early])
        exporter = arrivals.exporter(int(senders[early]))
        new = key not in exporter.sample_drops
        if not new or (len(exporter.sample_drops) < MAX_SOURCES and arrivals.exporters.keep(exporter, 1, arrivals.now)):
            _follow_drops(exporter, key, int(samples.drops[early]), int(samples.drops[late]))


def _follow_drops(exporter: Exporter, source: tuple[str, int, int], early: int, late: int) -> None:
    """Count the samples that a source lost since it was heard last; its counter begins anew when the agent does."""
    before = exporter.sample_drops.get(source, early)
    exporter.sample_drops[source] = late
    if lost := max(late - before, 0):
        exporter.samples["samples_lost"] += lost


def _count_discards(arrivals: Arrivals, drops: Samples, place: Integers) -> None:
    if not len(drops):
        return
    pairs = np.stack([arrivals.sender[place[drops.datagram]], drops.reason])
    for (sender, reason), number in zip(*(part.tolist() for part in _counted(pairs)), strict=True):
        exporter, name = arrivals.exporter(sender), DROP_REASONS.get(reason, f"reason {reason}")
        arrivals.exporters.count(exporter, exporter.discards, name, number, MAX_DISCARDS, arrivals.now)
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
    for sender, number in zip(*np.unique(different[0, MAX_AT_ONCE:], return_counts=True), strict=True):
        arrivals.exporters.unread(arrivals.exporter(int(sender)), arrivals.now, TOO_MANY_INTERFACES, int(number))
    for (sender, interface), row in zip(different.T[:MAX_AT_ONCE].tolist(), last[:MAX_AT_ONCE].tolist(), strict=True):
        exporter = arrivals.exporter(sender)
        values = dict(zip(found.dtype.names or (), found[row].item(), strict=True))
        counters = {name: values[name] for name in _COUNTERS}
        for way in ("in", "out"):
            counters[f"{way}_packets"] = sum(max(values[f"{way}_{kind}"], 0) for kind in _PACKETS)
        known = {name: value for name, value in counters.items() if value >= 0}
        when = int(arrivals.received[datagram[row]])
        kept = exporter.interfaces
        new = interface not in kept.by_index
        room = not new or (
            len(kept.by_index) < MAX_INTERFACES and arrivals.exporters.keep(exporter, INTERFACE_ENTRIES, arrivals.now)
        )
        if not (room and kept.update(interface, when, max(values["speed"], 0), max(values["status"], 0), known)):
            arrivals.exporters.unread(exporter, arrivals.now, "counters of too many interfaces", 1)
