"""Flows: rows that ended become a frame with the columns of the schema."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture.batch import Columns, constant, frame_of
from nftui.capture.dissection import Mask
from nftui.capture.internet import ICMP, ICMPV6, TCP
from nftui.capture.probe import keys
from nftui.capture.probe.facts import OUTER
from nftui.capture.probe.keys import KEY_WORDS, Words
from nftui.capture.probe.observing import Slots
from nftui.capture.probe.rows import MIXED, Rows
from nftui.capture.sets import Integers

KEY_FACT = "one_way"
"""Name of the fact that has TOS and direction where the key is that of both directions."""
OPENING = "opening"
"""Name of the fact that has the TCP flags of the first packet."""
_SYN, _ACK = 0x02, 0x10
_BY = ("syn", "first", "port")
CLIENT_RULES = _BY
"""How the client is told from the server, see `MeterSettings.client_by`."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What is the same in all flows of a meter; None is left out.

    Attributes:
        exporter_address: 16 octets.
        observation_domain: Which part of the exporter observed.
        protocol_version: How the flows came.
    """

    exporter_address: bytes | None = None
    observation_domain: int | None = None
    protocol_version: int | None = None


def frame(
    rows: Rows, reasons: npt.NDArray[np.int16], received: int, slots: Slots, sampling: int, labels: Labels, rules: tuple[str, ...]
) -> pl.DataFrame:
    """Make a frame of flows that ended: one row for each direction in which packets were seen.

    Args:
        rows: The flows.
        reasons: Shape (rows,), their flowEndReason.
        received: Microseconds since 1970.
        slots: What the keys' slots mean.
        sampling: N of 1 in N.
        labels: What all have in common.
        rules: How the client is found where both directions are one flow.
    Returns:
        Columns and dtypes of `schema.COLUMNS`, in their order.
    """
    packed, lane = rows.heads[:, :KEY_WORDS], rows.lane
    index = np.arange(rows.size)
    columns: Columns = {}
    if rows.lanes == 2:
        packed, index = _both(rows), np.repeat(index, 2)
    seen = np.flatnonzero(lane["packets"] > 0)
    if rows.lanes == 2:
        columns |= _client(rows, rules, seen)
    if len(seen) < len(lane) or rows.lanes == 2:
        packed, lane, index = packed[seen], lane[seen], index[seen]
    said, slot = keys.unpack(packed)
    columns |= said
    for name, values in (("flow_start", lane["first"]), ("flow_end", lane["last"]), ("octets", lane["octets"])):
        columns[name] = np.ascontiguousarray(values), None
    columns["packets"] = lane["packets"], None
    columns["flow_end_reason"] = reasons[index], None
    _protocols(columns, lane)
    columns |= _facts(rows, seen)
    columns |= _interfaces(slots, slot)
    columns["received"] = constant("received", received, 1).new_from_index(0, len(seen))
    if sampling > 1:
        columns["sampling_interval"] = constant("sampling_interval", sampling, len(seen))
    for name in ("exporter_address", "observation_domain", "protocol_version"):
        if getattr(labels, name) is not None:
            columns[name] = constant(name, getattr(labels, name), len(seen))
    return frame_of({name: column for name, column in columns.items() if _somewhere(column)})


def _somewhere(column: object) -> bool:
    return not isinstance(column, tuple) or column[1] is None or bool(column[1].any())


def _protocols(columns: Columns, lane: npt.NDArray[np.void]) -> None:
    protocol, known = columns["protocol"]
    tcp = (protocol == TCP) & known
    columns["tcp_flags"] = np.ascontiguousarray(lane["flags"]), tcp
    icmp = np.ascontiguousarray(lane["icmp"])
    said = ((protocol == ICMP) | (protocol == ICMPV6)) & known & (icmp > 0) & (icmp < MIXED)
    columns["icmp_type"], columns["icmp_code"] = (icmp - 1 >> 8, said), (icmp - 1 & 0xFF, said)
    columns["minimum_ttl"] = lane["lowest_ttl"].astype(np.int16), None
    columns["maximum_ttl"] = lane["highest_ttl"].astype(np.int16), None


def _facts(rows: Rows, seen: Integers) -> Columns:
    columns: Columns = {}
    for name, values in rows.facts.items():
        if name in (KEY_FACT, OPENING) or "." in name:
            continue
        some = values[seen].astype(np.int64)
        columns[name] = some - 1, some > 0
    for name in OUTER:
        if f"{name}.0" not in rows.facts:
            continue
        words = np.column_stack([rows.facts[f"{name}.{part}"][seen] for part in range(4)]).astype(np.int64)
        known: Mask = words[:, 0] > 0
        columns[name] = (words - 1).astype(">u4").view(np.uint8).reshape(-1, 16), known
    return columns


def _interfaces(slots: Slots, slot: Integers) -> Columns:
    interface, direction = slots.meaning(slot)
    there, out = interface > 0, direction == 1
    return {
        "ingress_interface": (interface, there & ~out),
        "egress_interface": (interface, there & out),
        "flow_direction": (direction, direction >= 0),
    }


def _both(rows: Rows) -> Words:
    """Return the key of each lane, as it was before both directions were made one."""
    whole = np.empty((rows.size * 2, KEY_WORDS), np.uint64)
    whole[0::2] = rows.heads[:, :KEY_WORDS]
    whole[1::2] = keys.turn(rows.heads[:, :KEY_WORDS])
    return keys.with_one_way(whole, np.maximum(rows.facts[KEY_FACT].astype(np.int64) - 1, 0))


def _client(rows: Rows, rules: tuple[str, ...], seen: Integers) -> Columns:
    """Tell the client's lane from the server's: `reverse` is what the server sent, `client_by` says how that is known."""
    lane = rows.lane.reshape(rows.size, 2)
    said, _ = keys.unpack(rows.heads[:, :KEY_WORDS])
    low, high = said["source_port"][0], said["destination_port"][0]
    used = lane["packets"] > 0
    opening = rows.facts.get(OPENING, np.zeros(rows.size * 2, np.int64)).reshape(rows.size, 2) - 1
    opening[~used] = 0
    syn = (opening & (_SYN | _ACK) == _SYN) & (opening >= 0)
    answer = (opening & (_SYN | _ACK) == _SYN | _ACK) & (opening >= 0)
    starts = np.where(used, lane["first"], np.iinfo(np.int64).max)
    midway = (said["protocol"][0] == TCP) & ~(syn | answer).any(axis=1)
    first = np.where(starts[:, 0] <= starts[:, 1], 0, 1)
    found = {
        "syn": (np.where(syn[:, 0] | (answer[:, 1] & ~syn[:, 1]), 0, 1), (syn | answer).any(axis=1)),
        "first": (first, ~midway),
        "port": (np.where(low > high, 0, 1), low != high),
    }
    client, by = first.copy(), np.full(rows.size, _BY.index("first"))
    for rule in reversed(rules):
        which, applies = found[rule]
        client, by = np.where(applies, which, client), np.where(applies, _BY.index(rule), by)
    which = seen >> 1
    return {
        "reverse": pl.Series("reverse", (seen & 1) != client[which]),
        "client_by": pl.Series("client_by", _BY).gather(pl.Series(by[which].astype(np.uint32))),
    }
