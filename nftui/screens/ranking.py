"""A ranked answer in the words, rates and columns of the Live screen. No widget, so that each figure can be tested by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import polars as pl

from nftui.engine.keys import key as key_of
from nftui.engine.query import Answer, Interval, Measure
from nftui.engine.resolutions import charted
from nftui.engine.series import nearest_rank
from nftui.screens import cells
from nftui.screens.glyphs import BLOCKS
from nftui.screens.view import time_form, time_text
from nftui.screens.widgets.chart import LETTERS, Areas
from nftui.screens.widgets.flow_table import Row, TableColumn
from nftui.screens.widgets.legend import Entry
from nftui.screens.widgets.painted import Part, fit_middle
from nftui.units import SECOND, bits_per_second, duration, flows_per_second, octets, packets_per_second, scaled

RATES = {Measure.OCTETS: bits_per_second, Measure.PACKETS: packets_per_second, Measure.FLOWS: flows_per_second}
RATE_LABELS = {Measure.OCTETS: "b/s", Measure.PACKETS: "p/s", Measure.FLOWS: "f/s"}
RATE_UNITS = {Measure.OCTETS: "bit/s", Measure.PACKETS: "pkt/s", Measure.FLOWS: "flow/s"}
TREND = 16
MOST_TIMES = 100
"""From this multiple on a growth is only said to be that much."""
Layer = Callable[[int, int], str]
"""Gives the colour of a rank among so many groups."""


class Ranking:
    """An answer with groups, at a moment."""

    def __init__(
        self,
        answer: Answer,
        now: int,
        iec: bool = False,
        cell: Callable[[str, Any], str] = cells.cell,
        before: Answer | None = None,
        others: bool = True,
        held: Interval | None = None,
    ) -> None:
        """Take an answer.

        Args:
            answer: With groups.
            now: Microseconds since 1970.
            iec: Whether octets are shown in steps of 1024.
            cell: Makes the text of a key's value.
            before: The same groups in the period before, in as many bins; None where that isn't told.
            others: Whether what the groups leave is drawn and listed.
            held: All that is held: what was before it can't be compared with.
        """
        self.answer, self.now, self.iec, self.cell, self._others = answer, now, iec, cell, others
        self._held = held
        self.before = before if before is not None and before.total.flows and self._alike(before) else None
        self.measure = answer.query.measure
        self.total = max(answer.total.value(self.measure), 1)
        self.keys = answer.query.keys

    @cached_property
    def elapsed(self) -> int:
        """Microseconds that averages are taken over: from the first flow in the range to its end, or to now."""
        return averaged_over(self.answer, self.now)

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
        return " ".join(self.cell(key, row[key]) for key in self.keys) or "all flows"

    @property
    def others(self) -> str:
        """The name of all groups that aren't shown; empty where there are none, or they are hidden."""
        if not self._others or not self.keys or not self.answer.other.flows:
            return ""
        left = self.answer.group_count - self.answer.groups.height
        return f"{left:,} others" if left > 1 else "1 other"

    def size(self, value: int) -> str:
        """Return a sum of the measure, in its unit."""
        if self.measure is Measure.OCTETS:
            return octets(value, self.iec)
        return scaled(value)

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

    @property
    def settling(self) -> int | None:
        """The time after which more flows are to be expected; None where nothing is."""
        answer = self.answer
        settling = answer.coverage.settling_from
        if settling is None and answer.query.interval is not None and answer.query.interval.end > self.now and answer.bin_width:
            return self.now // answer.bin_width * answer.bin_width
        return settling

    def areas(self, most: int, marks: tuple[int, ...] = ()) -> Areas | None:
        """Return what the chart draws, of at most so many points; None without a series."""
        answer = self.answer
        if answer.series is None or answer.series.is_empty():
            return None
        start = cells.micros(answer.series["time"][0])
        drawn = charted(answer.series, most)
        if not self._others and self.keys:
            drawn = drawn.with_columns(other=pl.lit(0, pl.Int64))
        together = -(-answer.series.height // drawn.height)
        before: list[int | None] = []
        if self.before is not None and self.before.series is not None:
            earlier = charted(self.before.series, most).drop("time").sum_horizontal().to_list()
            before = [None if n * together < self.comparable.start else value for n, value in enumerate(earlier)]
        unit = RATE_UNITS[self.measure]
        factor, width = self.bin_factor / together, answer.bin_width * together
        partial = answer.coverage.partial
        return Areas(drawn, start, width, factor, scaled, self.settling, unit, before, marks, partial)

    # The period before

    def _alike(self, before: Answer) -> bool:
        series, earlier = self.answer.series, before.series
        return series is not None and earlier is not None and series.columns == earlier.columns and series.height == earlier.height

    @cached_property
    def settled_bins(self) -> int:
        """How many bins are complete: only these are compared."""
        series, settling = self.answer.series, self.settling
        if series is None or series.is_empty():
            return 0
        if settling is None:
            return series.height
        return min(max((settling - cells.micros(series["time"][0])) // max(self.answer.bin_width, 1), 0), series.height)

    @cached_property
    def comparable(self) -> range:
        """The bins that are told beside those before: settled, and with all held of the others."""
        before, width = self.before, max(self.answer.bin_width, 1)
        first = 0
        if before is not None and before.series is not None and self._held is not None:
            late = self._held.start - cells.micros(before.series["time"][0])
            first = max(-(-late // width), 0)
        return range(min(first, self.settled_bins), self.settled_bins)

    @cached_property
    def _changes(self) -> dict[str, str]:
        """Of each column of the series, and of `total`, how its comparable bins changed against those before."""
        before, series, bins = self.before, self.answer.series, self.comparable
        if before is None or series is None or before.series is None or not bins:
            return {}
        frames = [frame.slice(bins.start, len(bins)).drop("time").sum() for frame in (series, before.series)]
        names = series.columns[1:]
        sums = {name: [int(frame[name][0] or 0) for frame in frames] for name in names}
        sums["total"] = [sum(each) for each in zip(*sums.values(), strict=True)]
        return {name: change(now, then) for name, (now, then) in sums.items()}

    def change(self, place: int) -> str:
        """Return how a group changed, by its rank; empty where that isn't told."""
        return self._changes.get(f"g{place}" if place < self.answer.groups.height else "other", "")

    @property
    def total_change(self) -> str:
        """How all flows changed; empty where that isn't told."""
        return self._changes.get("total", "")

    # The legend

    def entries(self, place: int | None = None, areas: Areas | None = None) -> list[Entry]:
        """Return the lines of the legend: of the whole range, or of one of the bins that a chart draws."""
        groups = [self.label(row) for row in self.answer.groups.iter_rows(named=True)]
        if place is not None and areas is not None:
            sums = list(areas.series.row(place)[1:])
            rates = [value * areas.factor for value in sums]
        else:
            sums = [*self.answer.groups[self.measure.value].to_list(), self.answer.other.value(self.measure)]
            rates = [self.rate(value) for value in sums]
        total = max(sum(sums), 1) if place is not None else self.total
        if self.others:
            groups.append(self.others)
        count = self.answer.groups.height
        return [
            Entry(label, sums[n] / total, scaled(rates[n]), self.trend(n), n == count, self.change(n) if place is None else "")
            for n, label in enumerate(groups)
        ]

    def heading(self, place: int | None, areas: Areas | None) -> list[list[Part]]:
        """Return what stands above the legend: the moment of the cursor and its total, or how high the total went."""
        rate = RATES[self.measure]
        if areas is None:
            return []
        if place is not None:
            start = cells.micros(areas.series["time"][place])
            total = rate(sum(areas.series.row(place)[1:]) * areas.factor)
            settles = areas.settling is not None and start + areas.width > areas.settling
            line = [Part(f" {time_text(start, time_form(areas.end - areas.start))} ", "title")]
            return [[*line, Part(f"+{duration(areas.width)} ", "dim"), Part(total, "strong"), Part(" ~" if settles else "", "dim")]]
        sums = self._whole(areas)
        ranks = (len(sums), nearest_rank(len(sums), 95), 1, len(sums) // 2 + 1)
        peak, high, low, middle = (scaled(sums[min(rank, len(sums)) - 1]) if sums else "-" for rank in ranks)
        return [
            [Part(" peak ", "dim"), Part(f"{peak:<6}", "strong"), Part("  95th   ", "dim"), Part(high)],
            [Part(" low  ", "dim"), Part(f"{low:<6}"), Part("  median ", "dim"), Part(middle)],
        ]

    def _whole(self, areas: Areas) -> list[float]:
        """Return the totals, by size, of the bins of which all is known: not before the first flow held, nor where it settles."""
        first = areas.start if self._held is None else self._held.start
        last = areas.end if areas.settling is None else areas.settling
        starts = [cells.micros(time) for time in areas.series["time"]]
        rows = zip(starts, areas.series.iter_rows(), strict=True)
        return sorted(
            sum(row[1:]) * areas.factor for start, row in rows if start + areas.width > first and start + areas.width <= last
        )

    def columns(self, layer: Layer, letters: bool = False) -> list[TableColumn]:
        """Return the columns of the ranked list; groups have letters where colours don't tell them apart."""
        count, name = self.answer.groups.height, self.measure.value
        base = 1024 if self.iec else 1000

        def colour(n: int, _: Row) -> str:
            return layer(n, count)

        def key_text(key: str) -> Callable[[int, Row], str]:
            return lambda n, row: self.cell(key, row[key])

        def size(_: int, row: Row) -> str:
            return scaled(row["octets"] / row["packets"]) if row["packets"] else "-"

        columns = [
            TableColumn("swatch", "", 1, lambda n, row: LETTERS[n % len(LETTERS)] if letters else BLOCKS.swatch, colour=colour)
        ]
        columns += [TableColumn(key, key_of(key).label, 18, key_text(key), grows=2, middle=True) for key in self.keys]
        if not self.keys:
            columns.append(TableColumn("all", "traffic", 18, lambda n, row: "all flows", grows=2))
        return [
            *columns,
            TableColumn("rate", RATE_LABELS[self.measure], 7, lambda n, row: scaled(self.rate(row[name])), True),
            TableColumn("octets", "octets", 7, lambda n, row: scaled(row["octets"], base), True),
            TableColumn("share", "share", 6, lambda n, row: f"{100 * row[name] / self.total:.1f}%", True),
            *([TableColumn("change", "change", 6, lambda n, row: self.change(n), True)] if self.before is not None else []),
            TableColumn("packets", "packets", 8, lambda n, row: scaled(row["packets"]), True),
            TableColumn("flows", "flows", 6, lambda n, row: scaled(row["flows"]), True, rank=1),
            TableColumn("trend", "trend", TREND, lambda n, row: cells.spark(self.trend(n), TREND), rank=2, colour=colour),
            TableColumn("size", "oct/pkt", 8, size, True, rank=3),
        ]

    def samples(self, layer: Layer, skip: int = 0) -> list[TableColumn]:
        """Return the columns of the samples: the time, each group but so many of the first, then the others."""
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
        named = list(enumerate(groups.iter_rows(named=True)))[skip:]
        columns += [sums(f"g{place}", fit_middle(self.label(row), 10), place, place + 1) for place, row in named]
        return [*columns, sums("other", "other", groups.height, 0)] if self._others else columns

    def figures(self) -> list[tuple[str, str, str]]:
        """Return the totals of the whole period: name, value, unit."""
        total, base = self.answer.total, 1024 if self.iec else 1000
        return [
            ("total flows", f"{total.flows:,}", scaled(total.flows)),
            ("total bytes", f"{total.octets:,}", scaled(total.octets, base)),
            ("total packets", f"{total.packets:,}", scaled(total.packets)),
            ("avg bit/s", f"{self.rate(total.octets, Measure.OCTETS):,.0f}", scaled(self.rate(total.octets, Measure.OCTETS))),
            ("avg pkt/s", f"{self.rate(total.packets, Measure.PACKETS):,.1f}", scaled(self.rate(total.packets, Measure.PACKETS))),
            ("avg bytes/pkt", "", f"{total.octets / total.packets:,.1f}" if total.packets else "-"),
        ]

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


def averaged_over(answer: Answer, now: int) -> int:
    """Return the microseconds that averages of an answer are taken over: from the first flow in the range to its end, or to now."""
    interval = answer.query.interval or answer.interval or answer.coverage.held
    if interval is None:
        return SECOND
    start = interval.start if answer.first is None else max(interval.start, answer.first)
    return max(min(interval.end, max(now, start)) - start, SECOND)


def known_of(before: Interval, answer: Answer) -> int:
    """Return the microseconds of a period of which flows are held, by an answer over it: its means are taken over these."""
    held = answer.coverage.held
    known = [start for start in (answer.first, None if held is None else held.start) if start is not None]
    return before.end - max(before.start, min(known, default=before.start))


def change(now: float, before: float) -> str:
    """Return how a sum changed in at most 5 characters: `+12%`, `-3%`, `=`, `x3.4`, `new`, `gone`."""
    if now == before:
        return "=" if now else "-"
    if not before or not now:
        return "gone" if before else "new"
    if now >= 2 * before:
        times = now / before
        return f"x{times:.1f}" if times < 10 else f"x{times:.0f}" if times < MOST_TIMES else f">x{MOST_TIMES - 1}"
    percent = round(100 * (now - before) / before)
    return f"{percent:+d}%" if percent else "~0%"
