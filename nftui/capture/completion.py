"""Completion: what turns columns read from records into finished frames of flows, the same for all protocols.

Who sent them and when they came; the sampling interval that holds; names from options data; the watermark; and a row of its own for
the other direction of a biflow.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from nftui.capture import biflow, sampling
from nftui.capture.arrivals import Arrivals
from nftui.capture.batch import Columns, chosen
from nftui.capture.clocks import SAMPLED
from nftui.capture.sets import Integers

MEASURED = 32
"""Senders of one frame of which the lags are looked at."""


def frames(
    arrivals: Arrivals,
    columns: Columns,
    datagram: Integers,
    *,
    header: Integers | None = None,
    record: Integers | None = None,
    of_record: int = sampling.RECORD,
) -> list[pl.DataFrame]:
    """Finish the columns of some flows.

    Args:
        arrivals: Their datagrams.
        columns: As `batch.columns_of` gives them; taken over.
        datagram: Shape (flows,), an index into the arrivals.
        header: Shape (flows,), the sampling interval that the header states, 0 for none.
        record: Shape (flows,), the one that the record states otherwise than by `sampling_interval`.
        of_record: What to call an interval of the record, a place in `sampling.WORDS`.
    Returns:
        One frame, and a second one where records count the other direction too.
    """
    sender = arrivals.sender[datagram]
    several = len(arrivals.domains) > 1
    senders = np.flatnonzero(np.bincount(sender, minlength=len(arrivals.domains))).tolist() if several else [0]
    known = {one: domain.tables.samplers for one in senders if (domain := arrivals.domains[one]) and domain.tables.samplers}
    for reason, mask in sampling.fill(columns, sender, known, header, record, of_record=of_record):
        unread = reason == sampling.UNKNOWN_SAMPLER
        arrivals.count(arrivals.exporters.unread if unread else arrivals.exporters.malformed, reason, datagram[mask])
    _note_sampling(arrivals, columns, sender)
    _name(arrivals, columns, sender)
    _note_lags(arrivals, columns, datagram, sender)
    made, answered = biflow.frames(columns | arrivals.common_columns(datagram), len(datagram))
    arrivals.count_reverse(datagram[answered])
    return made


def _note_sampling(arrivals: Arrivals, columns: Columns, sender: Integers) -> None:
    """Keep, for the status, which interval held for the last flow of each sender, and who says so."""
    interval, source = columns.get("sampling_interval"), columns.get("sampling_source")
    if not isinstance(interval, tuple) or not isinstance(source, pl.Series):
        return
    last = np.full(len(arrivals.domains), -1)
    last[sender] = np.arange(len(sender))
    there = np.flatnonzero(last >= 0)
    words = source.gather(pl.Series(last[there].astype(np.uint32))).to_list()
    for place, row, word in zip(there.tolist(), last[there].tolist(), words, strict=True):
        if word is not None:
            exporter, now_holds = arrivals.exporter(place), int(interval[0][row])
            exporter.sampling[word] = now_holds
            if before := exporter.health.sampled(word, now_holds, arrivals.now):
                text = f"sampling ({word}) changed from 1 in {before:,} to 1 in {now_holds:,}"
                arrivals.exporters.tell(exporter, arrivals.now, text, "sampling")


def _name(arrivals: Arrivals, columns: Columns, sender: Integers) -> None:
    """Give applications and VRFs the names that options data told, where the record has none itself."""
    for number, name, table in (("application_id", "application_name", "applications"), ("ingress_vrf", "vrf_name", "vrfs")):
        ids = columns.get(number)
        if name in columns or not isinstance(ids, tuple):
            continue
        tables = [getattr(domain.tables, table) if domain else {} for domain in arrivals.domains]
        if not any(tables):
            continue
        values, valid = ids
        pairs = np.stack([sender, np.where(valid, values, -1) if valid is not None else values]).astype(np.int64)
        different, index = np.unique(pairs, axis=1, return_inverse=True)
        words = tuple(tables[place].get(one) or None for place, one in different.T.tolist())
        if any(words):
            columns[name] = chosen(name, words, index.reshape(-1))


def _note_lags(arrivals: Arrivals, columns: Columns, datagram: Integers, sender: Integers) -> None:
    """Let some flows of the frame tell how late they came."""
    start = columns.get("flow_start")
    if not isinstance(start, tuple):
        return
    rows = np.arange(0, len(datagram), max(len(datagram) // SAMPLED, 1))
    values, valid = start
    if valid is not None:
        rows = rows[valid[rows]]
    # By the exporter's own clock: whether that is off, or its datagrams were held up for once, says nothing of how it works.
    lags = arrivals.headers.export_time[datagram[rows]] - values[rows]
    some = np.unique(sender[rows])
    if len(some) > MEASURED:
        # In turns: of one frame each costs more than its flows.
        some = np.roll(some, arrivals.now % len(some))[:MEASURED]
    for place in some.tolist():
        arrivals.exporter(place).watermark.add(lags[sender[rows] == place])
