"""Flows of connections: a row for each direction in which there was a packet; that of the reply is `reverse`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture import biflow
from nftui.capture.batch import Columns, constant
from nftui.capture.internet import TCP
from nftui.capture.layouts import BACK
from nftui.capture.probe.conntrack_messages import COUNTERS, Connections
from nftui.capture.probe.flows import Labels
from nftui.capture.sets import Integers
from nftui.schema import COLUMNS

IDLE, ACTIVE, ENDED, FORCED = 1, 2, 3, 4
"""Values of `flow_end_reason`: no packet came, it goes on, TCP ended it, the probe ends."""
_FIN_WAIT = 4
"""The first of TCP's states in which one side has ended."""
_PORTED = (6, 17, 33, 132, 136)
"""Protocols with ports: TCP, UDP, DCCP, SCTP, UDP-Lite."""


def reasons_of(found: Connections) -> Integers:
    """Return why connections ended that are no more, shape (connections,)."""
    closed = (found.number("protocol") == TCP) & (found.number("tcp_state") >= _FIN_WAIT)
    return np.where(closed, ENDED, IDLE)


def flows(found: Connections, counts: Integers, start: Integers, now: int, reasons: Integers, labels: Labels) -> pl.DataFrame:
    """Make flows of connections.

    Args:
        found: The connections, at least one.
        counts: Shape (connections, `COUNTERS`), what is to be told, -1 where that is not known.
        start: Shape (connections,), since when that was counted, microseconds since 1970; 0 where it is not known.
        now: When they were told of: the end of those that don't tell theirs.
        reasons: Shape (connections,), their flowEndReason.
        labels: What all have in common.
    Returns:
        Columns and dtypes of `schema.COLUMNS`, in their order.
    """
    stop = found.number("stop_ns") // 1000
    end = np.where(stop > 0, stop, now)
    columns: Columns = {
        "source_address": (found.addresses["source"], None),
        "destination_address": (found.addresses["destination"], None),
        "flow_start": (np.where(start > 0, np.minimum(start, end), end), None),
        "flow_end": (end, None),
        "received": constant("received", now, 1).new_from_index(0, found.size),
        "ip_version": (np.where(found.six, 6, 4), None),
        "client_by": constant("client_by", "first", found.size),
        "flow_end_reason": (reasons, None),
        **_numbers(found, counts),
        **_translated(found),
    }
    for name in ("exporter_address", "observation_domain", "protocol_version"):
        if getattr(labels, name) is not None:
            columns[name] = constant(name, getattr(labels, name), found.size)
    frames, _ = biflow.frames(columns, found.size)
    there = (counts[:, :2] != 0).any(axis=1)
    if not there.all():
        frames[0] = frames[0].filter(pl.Series(there))
    joined = pl.concat(frames, how="diagonal")
    return joined.select([column.name for column in COLUMNS if column.name in joined.columns])


def _numbers(found: Connections, counts: Integers) -> Columns:
    """Return the numbers that connections have, and under `BACK` those of the reply.

    A zone keeps connections with the same addresses apart, as a VRF does.
    """
    told = dict(zip(COUNTERS, counts.T, strict=True))
    columns: Columns = {}
    for name, column in (
        ("protocol", "protocol"), ("source_port", "source_port"), ("destination_port", "destination_port"),
        ("icmp_type", "icmp_type"), ("icmp_code", "icmp_code"), ("octets", "octets"), ("packets", "packets"),
        ("id", "connection_id"), ("zone", "ingress_vrf"), ("reply_octets", BACK + "octets"),
        ("reply_packets", BACK + "packets"), ("reply_icmp_type", BACK + "icmp_type"), ("reply_icmp_code", BACK + "icmp_code"),
    ):  # fmt: skip
        values = np.ascontiguousarray(told[name]) if name in told else found.number(name)
        known = values >= 0
        if known.any():
            columns[column] = values, None if known.all() else known
    return columns


def _translated(found: Connections) -> Columns:
    """Return what addresses and ports are translated to: the reply goes to the source, and comes from the destination."""
    sides = (("source", "reply_destination"), ("destination", "reply_source"))
    ported = np.isin(found.number("protocol"), _PORTED)
    known = found.addresses["reply_source"].any(axis=1) & found.addresses["reply_destination"].any(axis=1)
    other: npt.NDArray[np.bool_] = np.zeros(found.size, np.bool_)
    for side, reply in sides:
        other |= (found.addresses[side] != found.addresses[reply]).any(axis=1)
        other |= ported & (found.number(f"{side}_port") != found.number(f"{reply}_port"))
    other &= known
    if not other.any():
        return {}
    columns: Columns = {}
    for side, reply in sides:
        port: Integers = found.number(f"{reply}_port")
        columns[f"post_nat_{side}_address"] = found.addresses[reply], other
        columns[f"post_nat_{side}_port"] = port, other & (port >= 0)
    return columns
