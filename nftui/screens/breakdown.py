"""What a panel shows, out of what it was told: rows with shares, figures and words for groups. No widget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from nftui.engine.account import entries, integer
from nftui.engine.query import Answer, Interval, Measure, Totals
from nftui.printable import printable
from nftui.screens import cells, terms
from nftui.screens.dimensions import Dimension, Shape
from nftui.screens.hours import Hours
from nftui.screens.portions import Told
from nftui.screens.ranking import averaged_over, change, known_of
from nftui.screens.widgets.flow_table import Row
from nftui.units import SECOND, scaled

Cell = Callable[[str, Any], str]
WAYS = {"ingress_interface": "in", "egress_interface": "out"}
SYSTEMS = frozenset(("as", "source_as", "destination_as", "previous_as", "next_as"))
PORTS = ("protocol", "service_port")
SUMS = ("octets", "packets", "flows")


@dataclass(frozen=True)
class Breakdown:
    """A panel's answers at a moment.

    Attributes:
        dimension: What they are by.
        told: The answers.
        measure: What bars and shares are of.
        now: Microseconds since 1970.
        iec: Whether octets are shown in steps of 1024.
        cell: Makes the text of a key's value.
    """

    dimension: Dimension
    told: Told
    measure: Measure
    now: int
    iec: bool = False
    cell: Cell = cells.cell

    @property
    def answer(self) -> Answer:
        """The first of its answers."""
        return self.told.answers[0]

    @property
    def total(self) -> Totals:
        """Sums over all flows that its groups are of."""
        return self.answer.total

    @property
    def shown_measure(self) -> Measure:
        """What its bars and shares are of: classes tell how many flows are so large, whatever the unit."""
        return Measure.FLOWS if self.dimension.shape is Shape.CLASSES else self.measure

    @cached_property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.total.flows

    @cached_property
    def unknown(self) -> bool:
        """Whether flows tell nothing of what it is by: no value, or 0."""
        key = self.dimension.keys[0] if self.dimension.keys else ""
        groups = self.answer.groups
        return bool(key and groups.height == 1 and groups[key][0] in (None, 0))

    @cached_property
    def elapsed(self) -> int:
        """Microseconds that averages are taken over: from the first flow in the range to its end, or to now."""
        return averaged_over(self.answer, self.now)

    def rate(self, value: float) -> float:
        """Return the average rate of a sum of the measure: bits, packets or flows a second."""
        return value * (8 if self.shown_measure is Measure.OCTETS else 1) * SECOND / self.elapsed

    def figure(self, value: float, name: str = "") -> str:
        """Return a sum of the measure, or of the column of a name."""
        octets = (name or self.shown_measure.value) == Measure.OCTETS.value
        return scaled(value, 1024 if self.iec and octets else 1000)

    @cached_property
    def groups(self) -> pl.DataFrame:
        """The groups, best first: their keys, sums, `place` among the answer's groups, `way`, and `earlier` where it is known.

        Classes are in their order, with those between the first and the last that have no flows.
        """
        frames = [self._prepared(number) for number in range(len(self.told.answers))]
        frame = pl.concat(frames, how="diagonal") if len(frames) > 1 else frames[0]
        if self.dimension.shape is Shape.INTERFACES:
            return frame.filter(pl.col("interface").is_not_null()).sort(self.measure.value, descending=True, maintain_order=True)
        if self.dimension.shape is Shape.CLASSES:
            key = self.dimension.keys[0]
            known = frame.filter(pl.col(key).is_not_null()).sort(key)
            if known.is_empty():
                return known
            classes = pl.Series(key, range(known[key][0], known[key][-1] + 1), dtype=frame.schema[key])
            every = pl.DataFrame(classes).join(known, on=key, how="left", maintain_order="left")
            return every.with_columns(pl.col(SUMS).fill_null(0))
        return frame

    def _prepared(self, number: int) -> pl.DataFrame:
        answer = self.told.answers[number]
        frame = answer.groups.with_row_index("place")
        if number < len(self.told.earlier):
            earlier = self.told.earlier[number].groups[self.shown_measure.value]
            frame = frame.with_columns(earlier.alias("earlier")) if len(earlier) == frame.height else frame
        if self.dimension.shape is Shape.INTERFACES:
            end = answer.query.keys[1]
            return frame.rename({end: "interface"}).with_columns(pl.lit(WAYS[end]).alias("way"))
        return frame

    def rest(self, shown: int) -> tuple[Totals, int] | None:
        """Return what groups beyond the first so many sum to, and how many they are; None where that can't be told, or is none."""
        if self.dimension.shape is not Shape.RANKED or self.answer.group_count <= shown:
            return None
        if self.dimension.either:
            return (self.answer.other, self.answer.group_count - shown) if shown >= self.groups.height else None
        sums = Totals(*self.groups.head(shown).select(pl.col(SUMS).sum()).row(0)) if shown else Totals()
        return self.total - sums, self.answer.group_count - shown

    def frame(self, rows: int | None = None) -> pl.DataFrame:
        """Return the groups as so many rows, the last of them for the rest; None for all groups that were asked for."""
        groups = self.groups
        if self.dimension.shape is not Shape.RANKED:
            return groups.with_columns(pl.lit(None, pl.Int64).alias("others"))
        shown = groups.height if rows is None or groups.height < rows else max(rows - 1, 0)
        if rows is not None and groups.height == rows and self.answer.group_count == rows:
            shown = rows
        rest = self.rest(shown)
        frame = groups.head(shown).with_columns(pl.lit(None, pl.Int64).alias("others"))
        if rest is None or not rest[0].flows:
            return frame
        sums, count = rest
        line = pl.DataFrame({"octets": [sums.octets], "packets": [sums.packets], "flows": [sums.flows], "others": [count]})
        return pl.concat([frame, line.cast(dict.fromkeys((*SUMS, "others"), pl.Int64))], how="diagonal")

    def label(self, row: Row) -> str:
        """Return the words for a group."""
        if row.get("others") is not None:
            return f"{row['others']:,} others" if row["others"] > 1 else "1 other"
        if self.dimension.shape is Shape.INTERFACES:
            return self._interface(row)
        names = self.dimension.keys
        if names == PORTS:
            protocol = cells.cell("protocol", row["protocol"]).lower()
            return protocol if row["service_port"] is None else f"{row['service_port']}/{protocol}"
        return " ".join(self._value(name, row[name]) for name in names) or "all flows"

    def _value(self, name: str, value: Any) -> str:
        if name.removeprefix("known_") in SYSTEMS:
            return f"AS{value}" if value else "no AS"
        return self.cell(name, value)

    def _interface(self, row: Row) -> str:
        address = cells.address(row["exporter_address"])
        known, name = self._known(address), self._names.get(address) or self.cell("exporter_address", row["exporter_address"])
        port = known.get(str(row["interface"]))
        called = printable(str(port.get("name") or "")) if isinstance(port, dict) else ""
        return f"{printable(name)} {called or row['interface']} {row['way']}"

    def speed(self, row: Row) -> int:
        """Return bits a second that an interface can do; 0 where that isn't known, or the row is of none."""
        if self.dimension.shape is not Shape.INTERFACES:
            return 0
        port = self._known(cells.address(row["exporter_address"])).get(str(row["interface"]))
        return integer(port.get("speed")) if isinstance(port, dict) else 0

    def _known(self, address: str) -> dict[str, Any]:
        return dict(entries(self.told.account.interfaces.get(address))) if self.told.account is not None else {}

    @cached_property
    def _names(self) -> dict[str, str]:
        """Return what the user calls exporters."""
        status = (self.told.account.status if self.told.account is not None else None) or {}
        listed = status.get("exporters")
        known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        return {str(one.get("address")): str(one["name"])[:64] for one in known if one.get("name")}

    def share(self, row: Row) -> float:
        """Return the share of a group in all; of an interface the part of its speed, where that is known."""
        if speed := self.speed(row):
            return self.rate(row[Measure.OCTETS.value]) / speed if self.shown_measure is Measure.OCTETS else 0.0
        return float(row[self.shown_measure.value]) / max(self.total.value(self.shown_measure), 1)

    @property
    def earlier_length(self) -> int:
        """Microseconds of the period before of which flows are held: means are taken over these."""
        before = self.told.before
        return self.elapsed if before is None or not self.told.earlier else known_of(before, self.told.earlier[0])

    def change(self, row: Row) -> str:
        """Return how a group's rate changed from the period before, as `ranking.change` says it; `-` where that isn't known."""
        earlier = row.get("earlier")
        if earlier is None or not self.told.earlier:
            return "-"
        return change(row[self.shown_measure.value], earlier * self.elapsed / max(self.earlier_length, 1))

    def trend(self, row: Row) -> list[int]:
        """Return the series of a group; empty where there is none."""
        series = self.answer.series
        name = "other" if row.get("others") is not None else f"g{row.get('place')}"
        return series[name].to_list() if series is not None and name in series.columns else []

    def term(self, row: Row) -> str | None:
        """Return the filter that says a group; None where it can't be said, as of the others."""
        if row.get("others") is not None:
            return None
        names, values = self.dimension.keys, row
        if self.dimension.shape is Shape.INTERFACES:
            end = next(name for name, way in WAYS.items() if way == row["way"])
            names, values = ("exporter_address", end), row | {end: row["interface"]}
        if names == PORTS and row["service_port"] is None:
            names = PORTS[:1]
        words = terms.of_group(names, values)
        return f"{self.dimension.within} and {words}" if words and self.dimension.within else words

    @cached_property
    def hours(self) -> Hours:
        """The days by hours of a panel that has them."""
        return Hours.of(self.answer, self.now, 8 if self.measure is Measure.OCTETS else 1)

    @property
    def interval(self) -> Interval | None:
        """The range that it is of."""
        return self.answer.query.interval or self.answer.interval
