"""sFlow samples: what stands before the records of a sample, in its five forms, and the counters of interfaces.

Source: "sFlow Version 5" (July 2004), section 5; "sFlow Dropped Packet Notification Structures"; RFC 2863 for the counters; the
reasons for drops stand in `sflow_drops.csv`, beside the forwarding status (RFC 7270, section 4.12) that comes nearest.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import Mask
from nftui.capture.packets import Columns
from nftui.capture.sets import Integers
from nftui.capture.xdr import Entries, Reader

FLOW, COUNTERS, FLOW_EXPANDED, COUNTERS_EXPANDED, DISCARDED = 1, 2, 3, 4, 5
OF_COUNTERS = (COUNTERS, COUNTERS_EXPANDED)
_FIELDS: dict[int, tuple[str, ...]] = {
    FLOW: ("sequence", "source", "rate", "pool", "drops", "input", "output", "records"),
    COUNTERS: ("sequence", "source", "records"),
    FLOW_EXPANDED: (
        "sequence", "source_type", "source_index", "rate", "pool", "drops", "input_format", "input", "output_format", "output",
        "records",
    ),
    COUNTERS_EXPANDED: ("sequence", "source_type", "source_index", "records"),
    DISCARDED: ("sequence", "source_type", "source_index", "drops", "input", "output", "reason", "records"),
}  # fmt: skip
"""Sample format -> its fields, each an unsigned int."""
_INTERFACE, _DROPPED, _SEVERAL = 0, 1, 2
"""What an input or output is: one interface, a reason for the drop, or a number of interfaces."""
_UNKNOWN, _INTERNAL, _UNSET = 0, 0x3FFFFFFF, 0xFFFFFFFF
DROPPED_UNKNOWN = 128
GENERIC_COUNTERS = 1

_COUNTERS = np.dtype(
    [
        ("index", ">u4"),
        ("type", ">u4"),
        ("speed", ">u8"),
        ("direction", ">u4"),
        ("status", ">u4"),
        ("in_octets", ">u8"),
        ("in_unicast", ">u4"),
        ("in_multicast", ">u4"),
        ("in_broadcast", ">u4"),
        ("in_discards", ">u4"),
        ("in_errors", ">u4"),
        ("in_unknown_protocols", ">u4"),
        ("out_octets", ">u8"),
        ("out_unicast", ">u4"),
        ("out_multicast", ">u4"),
        ("out_broadcast", ">u4"),
        ("out_discards", ">u4"),
        ("out_errors", ">u4"),
        ("promiscuous", ">u4"),
    ]
)
INTERFACE = np.dtype([("datagram", "i8"), *((name, "i8") for name in _COUNTERS.names or ())])
"""Counters of one interface, -1 where the agent has none. `speed` is bits a second; `direction` 1 full duplex, 2 half duplex, 3 in,
4 out, 0 unknown; `status` has bit 0 for the administrative and bit 1 for the operational state; the rest are totals since start."""


def _reasons() -> tuple[dict[int, str], npt.NDArray[np.int16]]:
    with Path(__file__).with_name("sflow_drops.csv").open(newline="", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    status = np.full(max(int(row["code"]) for row in rows) + 2, DROPPED_UNKNOWN, np.int16)
    for row in rows:
        status[int(row["code"])] = int(row["forwarding_status"])
    return {int(row["code"]): row["name"] for row in rows}, status


DROP_REASONS, _STATUS = _reasons()
"""Code -> name of the reason for which a packet was dropped."""


@dataclass(frozen=True)
class Samples:
    """Samples of one kind, in the order of the block.

    Attributes:
        datagram: Shape (samples,), the datagram each came in, as an index.
        sequence: Shape (samples,), counted by the agent for each source.
        source_type: Shape (samples,), 0 interface, 1 VLAN, 2 physical entity.
        source_index: Shape (samples,), which one.
        rate: Shape (samples,), one in how many packets is sampled; 0 where there is none. This and the following: see the kind.
        pool: Shape (samples,), packets that could have been sampled since the agent started, 32 bits; of flow samples.
        drops: Shape (samples,), samples that the agent lost since it started, 32 bits; of flow and drop samples.
        reason: Shape (samples,), why the packet was dropped, a key of `DROP_REASONS`; of drop samples.
        columns: What is known of the sampled packets, one row a sample; empty for counters.
    """

    datagram: Integers
    sequence: Integers
    source_type: Integers
    source_index: Integers
    rate: Integers
    pool: Integers
    drops: Integers
    reason: Integers
    columns: Columns = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.datagram)


@dataclass(frozen=True)
class Heads:
    """The fixed fields of samples of any kind.

    Attributes:
        entries: The samples; `start` is where their records begin, behind the count.
        fields: Field -> shape (samples,); 0 where the kind has none.
    """

    entries: Entries
    fields: dict[str, Integers]

    def samples(self, chosen: Integers, columns: Columns) -> Samples:
        """Return some of them."""
        names = ("sequence", "source_type", "source_index", "rate", "pool", "drops", "reason")
        return Samples(self.entries.owner[chosen], **{name: self.fields[name][chosen] for name in names}, columns=columns)


def read_heads(reader: Reader, entries: Entries) -> tuple[Heads, Mask]:
    """Read the fixed fields of samples.

    Args:
        reader: The block.
        entries: The samples, of the formats above.
    Returns:
        The samples that are long enough for their fields; and a mask of `entries` of those that are not.
    """
    size = len(entries.owner)
    names = sorted({name for fields in _FIELDS.values() for name in fields})
    fields = {name: np.zeros(size, np.int64) for name in names}
    begins = entries.start.copy()
    for kind, order in _FIELDS.items():
        rows = np.flatnonzero(entries.format == kind)
        if not len(rows):
            continue
        words = reader.read(np.dtype(f"V{4 * len(order)}"), entries.start[rows]).view(">u4").reshape(-1, len(order))
        for place, name in enumerate(order):
            fields[name][rows] = words[:, place]
        begins[rows] += 4 * len(order)
    compact = entries.format <= COUNTERS
    if compact.any():
        for name in ("input", "output"):
            fields[f"{name}_format"] = np.where(compact, fields[name] >> 30, fields[f"{name}_format"])
            fields[name] = np.where(compact, fields[name] & 0x3FFFFFFF, fields[name])
        fields["source_type"] = np.where(compact, fields["source"] >> 24, fields["source_type"])
        fields["source_index"] = np.where(compact, fields["source"] & 0xFFFFFF, fields["source_index"])
    short = begins > entries.end
    heads = Heads(Entries(entries.owner, entries.format, begins, entries.end), fields)
    if short.any():
        kept = ~short
        heads = Heads(heads.entries.take(kept), {name: values[kept] for name, values in fields.items()})
    return heads, short


def common_columns(heads: Heads, rows: Integers) -> Columns:
    """Return the columns that a sample has whatever its records: packets, sampling, interfaces, and how a dropped packet ended.

    An input or output is an interface only in format 0, and there 0 is unknown and 0x3fffffff the agent itself; in format 1 it is
    the reason of a drop, and in format 2 a number of interfaces.
    """
    rate = heads.fields["rate"][rows]
    columns: Columns = {"packets": (np.ones(len(rows), np.int64), None)}
    _add(columns, "sampling_interval", rate, rate > 0)
    for name, side in (("ingress_interface", "input"), ("egress_interface", "output")):
        value, form = heads.fields[side][rows], heads.fields[f"{side}_format"][rows]
        _add(columns, name, value, (form == _INTERFACE) & (value != _UNKNOWN) & (value != _INTERNAL) & (value != _UNSET))
    discarded = heads.entries.format[rows] == DISCARDED
    dropped = discarded | (heads.fields["output_format"][rows] == _DROPPED)
    if dropped.any():
        reason = np.where(discarded, heads.fields["reason"][rows], heads.fields["output"][rows])
        _add(columns, "forwarding_status", _STATUS[np.minimum(reason, len(_STATUS) - 1)], dropped)
    return columns


def interface_counters(reader: Reader, records: Entries, datagram: Integers) -> tuple[npt.NDArray[np.void], Mask]:
    """Read generic interface counters.

    Args:
        reader: The block.
        records: The records of that format.
        datagram: Shape (records,), the datagram that each came in.
    Returns:
        Shape (whole records,), dtype `INTERFACE`; and a mask of the records that end before their last field.
    """
    short = records.start + _COUNTERS.itemsize > records.end
    raw = reader.read(_COUNTERS, records.start[~short])
    counters = np.empty(len(raw), INTERFACE)
    counters["datagram"] = datagram[~short]
    for name in _COUNTERS.names or ():
        value: npt.NDArray[Any] = raw[name]
        counters[name] = value.astype(np.int64)
        if value.dtype.itemsize == 4:
            counters[name][value == _UNSET] = -1
        counters[name][counters[name] < 0] = -1
    return counters, short


def _add(columns: Columns, name: str, values: npt.NDArray[Any], known: Mask) -> None:
    if known.all():
        columns[name] = values, None
    elif known.any():
        columns[name] = values, known
