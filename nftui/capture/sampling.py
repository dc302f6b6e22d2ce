"""Sampling: how many packets each counted one stands for, and who says so.

What holds for a flow, the first that is known: the user's word for its exporter; the record itself; options data, by the record's
sampler, by its interface, or for the whole observation domain; the header of NetFlow v5.

Source: RFC 3954, section 8 (34, 35, 48 to 50); RFC 5477, section 8.2 (selectors: 302, 305, 306, 309 to 311).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture.batch import Columns, chosen
from nftui.capture.layouts import BACK, Layout
from nftui.capture.sets import Integers

MAX_INTERVAL = 100_000_000
"""An interval above this is a broken or hostile exporter: it is not taken."""
MAX_PRODUCT = 2**56
"""Octets that a flow may stand for once scaled, so that sums stay within 64 bits."""
MAX_SAMPLERS = 4096
Mask = npt.NDArray[np.bool_]
PACKET_INTERVAL, PACKET_SPACE = (0, 305), (0, 306)
WORDS = (None, "header", "options", "record", "configured", "sflow")
HEADER, OPTIONS, RECORD, CONFIGURED, SFLOW = range(1, 6)
ABSURD_INTERVAL = f"sampling interval beyond {MAX_INTERVAL:,}"
ABSURD_PRODUCT = "sampling would scale a counter beyond 2^56"
UNKNOWN_SAMPLER = "interval of the record's sampler not known"


@dataclass
class Samplers:
    """The sampling intervals of one observation domain.

    Attributes:
        configured: The user's word; 0 for none.
        default: Of the domain as a whole; 0 for not known.
        by_id: Of each sampler or selector.
        by_interface: Of each interface index.
    """

    configured: int = 0
    default: int = 0
    by_id: dict[int, int] = field(default_factory=dict)
    by_interface: dict[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.configured or self.default or self.by_id or self.by_interface)

    def learn(self, interval: int, sampler: int | None, interface: int | None) -> bool:
        """Keep what an options record says; return whether it was new and had room."""
        if sampler is None and interface is None:
            changed, self.default = self.default != interval, interval
            return changed
        table, key = (self.by_id, sampler) if sampler is not None else (self.by_interface, interface)
        assert key is not None
        if table.get(key) == interval or (key not in table and len(table) >= MAX_SAMPLERS):
            return False
        table[key] = interval
        return True

    def announced(self, samplers: Integers | None, interfaces: list[Integers]) -> tuple[Integers | int, Mask | None]:
        """Return the interval that options data gives each record, 0 for none; and whether its sampler is not known.

        Args:
            samplers: Sampler ids of the records; None where they have none.
            interfaces: Ingress, then egress interfaces, as far as the records have them.
        """
        only = next(iter(self.by_id.values())) if len(self.by_id) == 1 and not self.default else self.default
        if samplers is None:
            interval: Integers | int = only
            for indices in interfaces if self.by_interface else ():
                found = looked_up(indices, self.by_interface)
                interval = np.where((found > 0) & (np.asarray(interval) == only), found, interval)
            return interval, None
        found = looked_up(samplers, self.by_id)
        unknown = (found == 0) & (samplers != 0)
        return np.where((found == 0) & ~unknown, self.default, found), unknown if unknown.any() else None


def looked_up(keys: npt.NDArray[np.int64], table: dict[int, int]) -> npt.NDArray[np.int64]:
    """Return the value of each key, 0 where the table has none; each different key is looked up once."""
    different, index = np.unique(keys, return_inverse=True)
    return np.array([table.get(key, 0) for key in different.tolist()], np.int64)[index]


def of_record(layout: Layout, records: npt.NDArray[np.void]) -> Integers | None:
    """Return the interval that packet interval and space (305, 306) of each record make, 0 for none; None without them."""
    if PACKET_INTERVAL not in layout.places or PACKET_SPACE not in layout.places or not len(records):
        return None
    octets = np.frombuffer(records.tobytes(), np.uint8).reshape(len(records), layout.size)
    taken, skipped = (_unsigned(octets, *layout.places[one]) for one in (PACKET_INTERVAL, PACKET_SPACE))
    return np.where(taken > 0, (taken + skipped + taken // 2) // np.maximum(taken, 1), 0)


def fill(
    columns: Columns,
    sender: Integers,
    samplers: Mapping[int, Samplers],
    header: Integers | None = None,
    record: Integers | None = None,
    *,
    of_record: int = RECORD,
) -> list[tuple[str, Mask]]:
    """Give records the columns `sampling_interval` and `sampling_source`.

    Args:
        columns: Of the records; an interval that they carry themselves stands in `sampling_interval` already.
        sender: Shape (records,), a number for each sender.
        samplers: What is known of the domain of each sender, where something is.
        header: Shape (records,), what the header says, 0 for nothing.
        record: Shape (records,), what else the record says, 0 for nothing.
        of_record: The place in `WORDS` of what the record says.
    Returns:
        Reasons of what was left out or is not known, each with a mask of the records that it concerns.
    """
    carried = columns.pop("sampling_interval", None)
    if carried is None and header is None and record is None and not samplers:
        return []
    interval, source = np.zeros(len(sender), np.int64), np.zeros(len(sender), np.uint8)

    def put(value: Integers, word: int, rows: Mask | None = None) -> None:
        take = value > 0 if rows is None else rows & (value > 0)
        interval[take], source[take] = value[take], word

    if header is not None:
        put(header, HEADER)
    value, remarks = _announced(columns, sender, samplers)
    put(value, OPTIONS)
    if record is not None:
        put(record, of_record)
    if isinstance(carried, tuple):
        values, valid = carried
        put(values.astype(np.int64), of_record, valid)
    if any(known.configured for known in samplers.values()):
        configured = np.zeros(int(sender.max()) + 1, np.int64)
        for place, known in samplers.items():
            configured[place] = known.configured
        put(configured[sender], CONFIGURED)
    remarks += _limited(columns, interval)
    if interval.any():
        stands = interval > 0
        source[~stands] = 0
        columns["sampling_interval"] = interval, None if stands.all() else stands
        columns["sampling_source"] = chosen("sampling_source", WORDS, source)
    return [(reason, mask) for reason, mask in remarks if mask.any()]


def _announced(columns: Columns, sender: Integers, samplers: Mapping[int, Samplers]) -> tuple[Integers, list[tuple[str, Mask]]]:
    """Return the interval that options data gives each record, 0 for none; and what is not known, as `fill` does."""
    ids, interfaces = _whole(columns, "sampler_id"), _interfaces(columns)
    whole = np.zeros(int(sender.max(initial=0)) + 1, np.int64)
    each: list[tuple[int, Samplers]] = []
    for place, known in samplers.items():
        if ids is None and not (interfaces and known.by_interface):
            whole[place], _ = known.announced(None, [])
        else:
            each.append((place, known))
    interval, remarks = whole[sender], []
    for place, known in each:
        rows = sender == place
        value, unknown = known.announced(ids, interfaces)
        interval[rows] = np.broadcast_to(np.asarray(value, np.int64), sender.shape)[rows]
        if unknown is not None and not known.configured:
            remarks.append((UNKNOWN_SAMPLER, unknown & rows))
    return interval, remarks


def _limited(columns: Columns, interval: Integers) -> list[tuple[str, Mask]]:
    """Take away intervals that are absurd, or would make a counter so."""
    remarks = []
    highest = int(interval.max()) if len(interval) else 0
    if highest > MAX_INTERVAL:
        absurd = interval > MAX_INTERVAL
        remarks.append((ABSURD_INTERVAL, absurd))
        interval[absurd] = 0
        highest = int(interval.max())
    for name in ("octets", "packets", BACK + "octets", BACK + "packets"):
        counter = columns.get(name)
        if isinstance(counter, tuple) and len(interval) and int(counter[0].max()) * highest > MAX_PRODUCT:
            absurd = counter[0] > MAX_PRODUCT // np.maximum(interval, 1)
            remarks.append((ABSURD_PRODUCT, absurd))
            interval[absurd] = 0
    return remarks


def _interfaces(columns: Columns) -> list[Integers]:
    found = [_whole(columns, name) for name in ("ingress_interface", "egress_interface")]
    return [one for one in found if one is not None]


def _whole(columns: Columns, name: str) -> Integers | None:
    column = columns.get(name)
    if column is None or isinstance(column, pl.Series):
        return None
    values, valid = column
    return values.astype(np.int64) if valid is None else np.where(valid, values, 0).astype(np.int64)


def _unsigned(octets: npt.NDArray[np.uint8], offset: int, length: int) -> Integers:
    """Return a number of up to 8 octets of each record; what is beyond 2^53 is 0."""
    wide = np.zeros((len(octets), 8), np.uint8)
    size = min(length, 8)
    wide[:, 8 - size :] = octets[:, offset + length - size : offset + length]
    value = wide.view(">u8")[:, 0]
    return np.where(value < 2**53, value, 0).astype(np.int64)
