"""Flows of some blocks become one frame: records that are laid out alike together, a gather for each field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture.batch import Columns, frame_of, icmp
from nftui.capture.nfdump import extensions, maps
from nftui.capture.nfdump.columns import Buffer, Places, filled, nulls, read
from nftui.capture.nfdump.exporters import Exporters
from nftui.capture.nfdump.extensions import Layout
from nftui.capture.nfdump.records import Marks
from nftui.capture.values import LATEST, Values

if TYPE_CHECKING:
    from nftui.capture.nfdump.blocks import Alike
    from nftui.capture.nfdump.files import FileCounts

TIMES = ("flow_start", "flow_end", "received")
_ICMP = ("icmp_type", "icmp_code")
_TOLD = ("exporter_address", "observation_domain", "protocol_version")
"""Columns that other columns, or the header of the record, are needed for."""
_ALWAYS = (*_ICMP, *_TOLD, TIMES[2])
"""Columns that flows may have whatever their layout."""


class FlowReader:
    """Reads the flows of a file.

    Attributes:
        exporters: What the file told of exporters so far.
        maps: The extension maps that it told.
    """

    def __init__(self, layout: int, columns: tuple[str, ...] | None, created: int) -> None:
        """Begin a file.

        Args:
            layout: Of the file, 1 or 2.
            columns: Those that are wanted; None for all that there are.
            created: When the file was made, microseconds: the time of flows that have none.
        """
        self.exporters, self.maps = Exporters(), maps.Maps()
        self._old, self._columns, self._created = layout == 1, columns, created
        wanted = None if columns is None else {*columns, *TIMES[:2]}
        if wanted is not None and not wanted.isdisjoint(_ICMP):
            wanted |= {"protocol", "destination_port", *_ICMP}
        self._wanted = wanted
        self._untimed = columns is not None and set(TIMES).isdisjoint(columns)
        self._pending: list[Alike] = []
        self._nulls: dict[str, pl.Series] = {}
        self._frames: list[pl.DataFrame] = []

    def take(self, flows: list[Alike]) -> None:
        """Take flows."""
        self._pending += flows

    def settle(self, counts: FileCounts) -> None:
        """Read what was taken, before something changes that it depends on."""
        pending, self._pending = self._pending, []
        for flows in pending:
            self._read(flows, counts)

    def frames(self, counts: FileCounts) -> list[pl.DataFrame]:
        """Return the flows taken since the last call, a frame for each layout: to join them is left to who has many."""
        self.settle(counts)
        frames, self._frames = self._frames, []
        counts.flows += sum(frame.height for frame in frames)
        return frames

    def _read(self, flows: Alike, counts: FileCounts) -> None:
        buffer, marks, places = flows
        layout = self._layout(marks, buffer.order)
        if layout is None:
            counts.malformed["flow without an extension map"] += len(places)
            return
        counts.columns.update(_ALWAYS, (field.column for field in layout.fields))
        for number in layout.unread:
            counts.unread[extensions.label(number) if not self._old else maps.label(number)] += len(places)
        self._frames.append(self._frame(buffer, places, layout, counts))

    def _layout(self, marks: Marks, order: str) -> Layout | None:
        if self._old:
            return self.maps.layout(marks, order)
        return extensions.layout(marks, order)

    def _frame(self, buffer: Buffer, places: Places, layout: Layout, counts: FileCounts) -> pl.DataFrame:
        def left_out(reason: str, times: int) -> None:
            counts.unread[reason] += times

        columns: Columns = {}
        numbers: dict[str, Values] = {}
        untimed = self._untimed and _bounded(buffer, places, layout, counts)
        passed_over = TIMES if untimed else TIMES[2:]
        for field in layout.fields:
            if field.column not in passed_over and (self._wanted is None or field.column in self._wanted):
                value = read(buffer, places, field, left_out)
                earlier = columns.get(field.column)
                if isinstance(earlier, tuple) and isinstance(value, tuple):
                    columns[field.column] = filled(earlier[0], value[0]), None
                elif isinstance(value, pl.Series) or value[0].ndim == 2:
                    columns[field.column] = value
                else:
                    numbers[field.column] = value
        if self._wanted is None or not self._wanted.isdisjoint(_ICMP):
            icmp(numbers)
        columns.update(numbers)
        if not untimed:
            self._times(columns, buffer, places, layout, counts)
        self._told(buffer, places, columns)
        return self._chosen(columns, len(places))

    def _times(self, columns: Columns, buffer: Buffer, places: Places, layout: Layout, counts: FileCounts) -> None:
        """Give a time of receipt to flows that have none: when they ended, or began, or when the file was made."""
        nothing = np.zeros(len(places), np.int64)
        start, end = (_filled(columns.get(name), nothing) for name in TIMES[:2])
        whole, received = bool(start.all()), nothing
        if not whole or self._wanted is None or "received" in self._wanted:
            field = next((one for one in layout.fields if one.column == "received"), None)
            if field is not None:
                received = _filled(read(buffer, places, field, lambda _reason, _times: None), nothing)
            if not received.all():
                received = np.where(received != 0, received, np.where(end != 0, end, np.where(start != 0, start, self._created)))
            columns["received"] = received, None
        if not whole:
            start = np.where(start != 0, start, np.where(end != 0, end, received))
        counts.first = min(counts.first, int(start.min()))
        counts.last = max(counts.last, int(start.max()), int(end.max()))

    def _told(self, buffer: Buffer, places: Places, columns: Columns) -> None:
        """Add what a record's header, and the file, say of its exporter."""
        if self._wanted is not None and self._wanted.isdisjoint(_TOLD):
            return
        if self._old:
            numbers = maps.exporters(buffer, places)
            version = np.zeros(len(places), np.int64)
        else:
            numbers = buffer.gather(places + extensions.EXPORTER, "u2")
            version = buffer.gather(places + extensions.VERSION, "u1").astype(np.int64)
        known, address, more = self.exporters.told(numbers)
        if "exporter_address" not in columns and known.any():
            columns["exporter_address"] = _addresses(address, known)
        if "observation_domain" not in columns and known.any():
            columns["observation_domain"] = more[:, 0], known
        version = np.where(more[:, 1] != 0, more[:, 1], np.where(np.isin(version, (1, 5, 7, 9, 10)), version, 0))
        if version.any():
            columns["protocol_version"] = version.astype(np.int16), version != 0

    def _absent(self, name: str, rows: int) -> pl.Series:
        """Return a column without values: a part of one that is made once."""
        held = self._nulls.get(name)
        if held is None or len(held) < rows:
            held = self._nulls[name] = nulls(name, 2 * rows)
        return held.head(rows)

    def _chosen(self, columns: Columns, rows: int) -> pl.DataFrame:
        if self._columns is None:
            return frame_of(columns)
        frame = frame_of({name: columns[name] if name in columns else self._absent(name, rows) for name in self._columns})
        # Quicker than to select, which is a question of its own.
        return pl.DataFrame([frame.get_column(name) for name in self._columns])


def _bounded(buffer: Buffer, places: Places, layout: Layout, counts: FileCounts) -> bool:
    """Take first and last of times that nobody wants to see; False where some are absent, or not plain milliseconds."""
    fields = {field.column: field for field in layout.fields if field.column in TIMES[:2] and field.reading == "ms"}
    if len(fields) < 2:
        return False
    start, end = (buffer.gather(places + fields[name].offset, "u8") for name in TIMES[:2])
    first, last, latest = int(start.min()), int(end.max()), int(start.max())
    if not first or not int(end.min()) or max(last, latest) > LATEST // 1000:
        return False
    counts.first = min(counts.first, first * 1000)
    counts.last = max(counts.last, last * 1000, latest * 1000)
    return True


def _filled(column: Values | pl.Series | None, nothing: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the values of a time column, 0 where there is none."""
    return column[0] if isinstance(column, tuple) else nothing


def _addresses(address: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_]) -> Values:
    return address, None if known.all() else known
