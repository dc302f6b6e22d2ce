"""A ranked answer in the words, rates and columns of the Live screen. No widget, so that each figure can be tested by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from nftui.engine.keys import key as key_of
from nftui.engine.query import Answer, Measure
from nftui.engine.resolutions import charted
from nftui.engine.series import nearest_rank
from nftui.screens import cells
from nftui.screens.view import time_form, time_text
from nftui.screens.widgets.chart import Areas
from nftui.screens.widgets.flow_table import Row, TableColumn
from nftui.screens.widgets.legend import Entry
from nftui.screens.widgets.painted import fit_middle
from nftui.units import SECOND, bits_per_second, flows_per_second, packets_per_second, scaled

RATES = {Measure.OCTETS: bits_per_second, Measure.PACKETS: packets_per_second, Measure.FLOWS: flows_per_second}
RATE_LABELS = {Measure.OCTETS: "b/s", Measure.PACKETS: "p/s", Measure.FLOWS: "f/s"}
TREND = 16
Layer = Callable[[int, int], str]
"""Gives the colour of a rank among so many groups."""


class Ranking:
    """An answer with groups, at a moment."""

    def __init__(self, answer: Answer, now: int, iec: bool = False, cell: Callable[[str, Any], str] = cells.cell) -> None:
        self.answer, self.now, self.iec, self._cell = answer, now, iec, cell
        self.measure = answer.query.measure
        self.total = max(answer.total.value(self.measure), 1)
        self.keys = answer.query.keys

    @cached_property
    def elapsed(self) -> int:
        """Microseconds that averages are taken over: from the first flow in the range to its end, or to now."""
        answer = self.answer
        interval = answer.query.interval or answer.interval or answer.coverage.held
        if interval is None:
            return SECOND
        start = interval.start if answer.first is None else max(interval.start, answer.first)
        return max(min(interval.end, max(self.now, start)) - start, SECOND)

    def rate(self, value: float, measure: Measure | None = None) -> float:
        """Return the average rate of a sum: bits, packets or flows a second."""
        return value * (8 if (measure or self.measure) is Measure.OCTETS else 1) * SECOND / self.elapsed

    def rate_text(self, measure: Measure) -> str:
        """Return the average rate of all, `-` where there is nothing."""
        return RATES[measure](self.rate(self.answer.total.value(measure), measure)) if self.answer.total.flows else "-"

    @property
    def bin_factor(self) -> float:
        """What turns the sum of a bin into a rate."""
        return SECOND / max(self.answer.bin_width, 1) * (8 if self.measure is Measure.OCTETS else 1)

    def label(self, row: Row) -> str:
        """Return the name of a group."""
        return " ".join(self._cell(key, row[key]) for key in self.keys) or "all flows"

    def plain(self, row: Row) -> str:
        """Return the same without names of addresses, which whoever answers for them makes up."""
        return " ".join(cells.cell(key, row[key]) for key in self.keys) or "all flows"

    def trend(self, place: int) -> list[int]:
        """Return the series of a group by its rank; the one after the last is that of the others."""
        series = self.answer.series
        if series is None:
            return []
        name = f"g{place}" if f"g{place}" in series.columns else "other"
        if name not in self._trends:
            self._trends[name] = series[name].to_list()
        return self._trends[name]

    @cached_property
    def _trends(self) -> dict[str, list[int]]:
        return {}

    def areas(self, most: int) -> Areas | None:
        """Return what the chart draws, of at most so many points; None without a series."""
        answer = self.answer
        if answer.series is None or answer.series.is_empty():
            return None
        start = cells.micros(answer.series["time"][0])
        settling = answer.coverage.settling_from
        if settling is None and answer.query.interval is not None and answer.query.interval.end > self.now:
            settling = self.now // answer.bin_width * answer.bin_width
        drawn = charted(answer.series, most)
        together = -(-answer.series.height // drawn.height)
        return Areas(drawn, start, answer.bin_width * together, self.bin_factor / together, scaled, settling)

    def entries(self) -> list[Entry]:
        """Return the lines of the legend."""
        name = self.measure.value
        found = [self._entry(self.label(row), row[name], n) for n, row in enumerate(self.answer.groups.iter_rows(named=True))]
        other = self.answer.other
        if other.flows and self.keys:
            count = self.answer.group_count - len(found)
            found.append(self._entry(f"{count:,} others" if count > 1 else "1 other", other.value(self.measure), len(found), True))
        return found

    def _entry(self, label: str, value: int, place: int, other: bool = False) -> Entry:
        return Entry(label, value / self.total, scaled(self.rate(value)), self.trend(place), other)

    def columns(self, layer: Layer) -> list[TableColumn]:
        """Return the columns of the ranked list."""
        count, name = self.answer.groups.height, self.measure.value
        base = 1024 if self.iec else 1000

        def colour(n: int, _: Row) -> str:
            return layer(n, count)

        def key_text(key: str) -> Callable[[int, Row], str]:
            return lambda n, row: self._cell(key, row[key])

        def size(_: int, row: Row) -> str:
            return scaled(row["octets"] / row["packets"]) if row["packets"] else "-"

        columns = [TableColumn("swatch", "", 1, lambda n, row: "■", colour=colour)]
        columns += [TableColumn(key, key_of(key).label, 18, key_text(key), grows=2, middle=True) for key in self.keys]
        if not self.keys:
            columns.append(TableColumn("all", "traffic", 18, lambda n, row: "all flows", grows=2))
        return [
            *columns,
            TableColumn("rate", RATE_LABELS[self.measure], 7, lambda n, row: scaled(self.rate(row[name])), True),
            TableColumn("octets", "octets", 7, lambda n, row: scaled(row["octets"], base), True),
            TableColumn("share", "share", 6, lambda n, row: f"{100 * row[name] / self.total:.1f}%", True),
            TableColumn("packets", "packets", 8, lambda n, row: scaled(row["packets"]), True),
            TableColumn("flows", "flows", 6, lambda n, row: scaled(row["flows"]), True, rank=1),
            TableColumn("trend", "trend", TREND, lambda n, row: cells.spark(self.trend(n), TREND), rank=2, colour=colour),
            TableColumn("size", "oct/pkt", 8, size, True, rank=3),
        ]

    def samples(self, layer: Layer) -> list[TableColumn]:
        """Return the columns of the samples: the time, the others, then each group."""
        series, groups = self.answer.series, self.answer.groups
        form = time_form(self.answer.bin_width * (0 if series is None else series.height))
        base = 1024 if self.iec and self.measure is Measure.OCTETS else 1000

        def sums(name: str, label: str, place: int, rank: int) -> TableColumn:
            colour = (lambda n, row: layer(place, groups.height)) if self.keys else None
            return TableColumn(name, label, 10, lambda n, row: scaled(row[name], base), True, 1, rank, colour)

        def moment(_: int, row: Row) -> str:
            return time_text(cells.micros(row["time"]), form)

        columns = [TableColumn("time", "time", len(time_text(0, form)), moment)]
        if not self.keys:
            return [*columns, sums("g0", "data", 0, 0)]
        columns.append(sums("other", "other", groups.height, 0))
        named = enumerate(groups.iter_rows(named=True))
        return columns + [sums(f"g{place}", fit_middle(self.label(row), 10), place, place + 1) for place, row in named]

    def facts(self, row: Row, place: int) -> list[tuple[str, str]]:
        """Return all that is known of a group, as names and words."""
        rate, value = RATES[self.measure], row[self.measure.value]
        ordered = sorted(self.trend(place)) or [0]

        def bins(position: int) -> str:
            return rate(ordered[min(position, len(ordered) - 1)] * self.bin_factor)

        facts: list[tuple[str, Any]] = [
            ("average", rate(self.rate(value))), ("peak", bins(len(ordered))), ("p95", bins(nearest_rank(len(ordered), 95))),
            ("median", bins(len(ordered) // 2)), ("octets", f"{row['octets']:,}"), ("packets", f"{row['packets']:,}"),
            ("flows", f"{row['flows']:,}"), ("oct/packet", f"{row['octets'] / row['packets']:.0f}" if row["packets"] else "-"),
            ("share", f"{100 * value / self.total:.2f}%"), ("rank", f"{place + 1} of {self.answer.group_count:,}"),
        ]  # fmt: skip
        return facts
