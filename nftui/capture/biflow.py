"""Biflows: records that count both directions. What the other direction sent becomes a row of its own.

Source: RFC 5103, sections 5 and 6 (reverse information elements); responderOctets and responderPackets likewise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui import schema
from nftui.capture.batch import ICMP, Columns, constant, frame_of, taken
from nftui.capture.layouts import BACK
from nftui.capture.sets import Integers

_ENDS = ("source", "destination"), ("ingress", "egress"), ("previous", "next")
_OF_ONE_WAY = {
    *("octets", "packets", "out_octets", "out_packets", "tcp_flags", "tos", "destination_tos", "flow_direction", "next_hop"),
    *("bgp_next_hop", "as_path", "minimum_ttl", "maximum_ttl", "icmp_type", "icmp_code", "ip_total_length", "flow_label"),
    *("forwarding_status", "mpls_label_1"),
}
"""Columns that speak of one direction only: the other row has what the record says of it, or nothing."""


def frames(columns: Columns, rows: int) -> tuple[list[pl.DataFrame], Integers]:
    """Make frames of records and of their other direction.

    Args:
        columns: As `batch.columns_of` gives them, completed; what stands under `BACK` is taken out.
        rows: How many records there are.
    Returns:
        The frame of the records, and that of the other direction where any of them counts something there; and the records that
        do.
    """
    back: Columns = {name.removeprefix(BACK): columns.pop(name) for name in list(columns) if name.startswith(BACK)}
    forward = frame_of(columns)
    sent = np.zeros(rows, np.bool_)
    for name in ("octets", "packets"):
        column = back.get(name)
        if isinstance(column, tuple):
            values, valid = column
            sent |= values > 0 if valid is None else (values > 0) & valid
    some = np.flatnonzero(sent)
    if not len(some):
        return [forward], some
    turned: Columns = {
        _turned(name): taken(column, some)
        for name, column in columns.items()
        if name not in _OF_ONE_WAY and not name.startswith("mpls_label")
    }
    turned |= {name: taken(column, some) for name, column in back.items()}
    _without_icmp_ports(turned)
    named = {name: column.alias(name) if isinstance(column, pl.Series) else column for name, column in turned.items()}
    return [forward, frame_of({**named, "reverse": constant("reverse", True, len(some))})], some


def _turned(name: str) -> str:
    """Return the column in which the other direction has what this one has here."""
    for one, other in _ENDS:
        words = name.split("_")
        if one in words or other in words:
            swap = {one: other, other: one}
            swapped = "_".join(swap.get(word, word) for word in words)
            return swapped if swapped in schema.BY_NAME else name
    return name


def _without_icmp_ports(columns: Columns) -> None:
    """Leave out the ports of ICMP: they would be type and code of what the other side sent."""
    protocol = columns.get("protocol")
    if not isinstance(protocol, tuple):
        return
    other: npt.NDArray[np.bool_] = ~np.isin(protocol[0], ICMP)
    if other.all():
        return
    for name in ("source_port", "destination_port"):
        column = columns.get(name)
        if isinstance(column, tuple):
            values, valid = column
            columns[name] = values, other if valid is None else valid & other
