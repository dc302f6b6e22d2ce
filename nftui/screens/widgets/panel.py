"""A panel of the Summary screen: groups as bars or as a table, or days by hours, with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

import polars as pl
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from nftui.engine.query import Interval
from nftui.printable import printable
from nftui.screens import cells, glyphs
from nftui.screens.breakdown import SUMS, Breakdown
from nftui.screens.dimensions import Shape
from nftui.screens.hours import Day
from nftui.screens.widgets.flow_table import FlowTable, Row, TableColumn
from nftui.screens.widgets.inset import InsetDonut, InsetTreemap
from nftui.screens.widgets.painted import fit, piece
from nftui.screens.widgets.picture import edge_below
from nftui.units import scaled

VIEWS = ("bars", "table", "donut", "treemap")
PARTS = ("donut", "treemap")
"""Views of parts of a whole: groups that overlap have none."""
ROOMY = 60
"""Cells from which on trends have room."""
TREND = 16
SHORTEST_BAR = 8
DAY_LABEL = 8


class Panel(FlowTable):
    """One breakdown. The keys of a table move the cursor; sideways it moves among the hours where it shows these."""

    @dataclass
    class Taken(Message):
        """The panel was given the keys."""

        panel: Panel

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.title = ""
        self.remark = ""
        self.breakdown: Breakdown | None = None
        self.view = "bars"
        self.edge = False
        self.hour = 0
        self._placed = False
        self._words: tuple[str, ...] = ()
        self._donut, self._treemap = InsetDonut(), InsetTreemap()

    def put(self, title: str, breakdown: Breakdown | None, words: Sequence[str] = (), view: str = "bars") -> None:
        """Replace what is shown.

        Args:
            title: The heading.
            breakdown: What to draw; None where there is nothing yet.
            words: What to say where there is nothing to draw.
            view: One of `VIEWS`.
        """
        before = self.row() if self.cursor else None
        self.title, self.breakdown, self._words, self.view = title, breakdown, tuple(words), view
        self._fill(self.size.width, self.size.height)
        if before is not None and self.frame is not None and breakdown is not None and not self.is_hours:
            self._identity = ("others", "way", *breakdown.dimension.keys)
            self._identity = tuple(name for name in self._identity if name in self.frame.columns and name in before)
            self._find_again(self.frame, before)
        self.repaint()

    @property
    def cursor_seen(self) -> bool:
        """Whether the row of the cursor is told from the others: where the keys go."""
        return self.has_focus

    @property
    def is_hours(self) -> bool:
        """Whether it shows days by hours."""
        return self.breakdown is not None and self.breakdown.dimension.shape is Shape.HOURS

    @property
    def views(self) -> tuple[str, ...]:
        """The views that what it shows can have."""
        shown = self.breakdown
        if shown is None or shown.dimension.shape is Shape.HOURS:
            return ()
        overlap = shown.dimension.either or shown.dimension.shape is Shape.INTERFACES
        return tuple(view for view in VIEWS if not overlap or view not in PARTS)

    @property
    def has_rows(self) -> bool:
        """Whether there is something to draw."""
        return self.breakdown is not None and not self.breakdown.empty

    def _fill(self, width: int, height: int) -> None:
        """Lay out rows and columns for a size."""
        if self.breakdown is None or self.breakdown.empty:
            self.frame, self.columns = None, ()
            self._notice = tuple(line for words in self._words for line in wrap(printable(words, 400), max(width - 2, 10)))
            return
        if self.is_hours:
            days = self.breakdown.hours.days
            self.frame, self.columns = pl.DataFrame({"day": [day.date for day in days]}), ()
            if not self._placed and days:
                self._placed = True
                self.cursor = len(days) - 1
                self.hour = max((n for n, mean in enumerate(days[-1].hours) if mean is not None), default=0)
            return
        self.frame = self.breakdown.frame(max(height - 1, 1) if self.view in ("bars", "donut") else None)
        self.columns = tuple({"bars": lambda: self._bars(width), "donut": self._slices}.get(self.view, self._table)())
        self.cursor = min(self.cursor, max(self.count - 1, 0))

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the heading, and rows below it."""
        inside = width - self.edge
        self._fill(inside, height)
        if self.is_hours and self.has_rows:
            lines = [self._hours_heading(inside), *self._days(inside, height - 1)]
        elif self.view in PARTS and self.has_rows:
            lines = self._parts(inside, height)
        else:
            lines = super().paint(inside, height)
        if not self.edge:
            return lines
        side = Strip([Segment(self.glyphs.vertical, self.ink.rule)])
        corner = Strip([Segment(" " if self.view == "table" or self.is_hours else self.glyphs.horizontal, self.ink.rule)])
        ground = Style(bgcolor=self.ink.ground)
        lines += [Strip.blank(inside, ground)] * (height - len(lines))
        return [Strip.join([side if place else corner, line]) for place, line in enumerate(lines)]

    # Headings

    def _heading(self, width: int) -> Strip:
        if self.view == "table" and self.has_rows:
            return super()._heading(width)
        return self._rule(width, self.title, self.remark)

    def _rule(self, width: int, title: str, remark: str) -> Strip:
        styles = self.ink
        line = self.glyphs.horizontal
        name = fit(title, min(cell_len(title), max(width - 6, 1)))
        parts = [
            piece(line * 2 + " ", styles.accent if self.has_focus else styles.rule),
            piece(name, styles.title if self.has_focus else styles.strong),
        ]
        room = width - 3 - cell_len(name)
        remark = f" {remark} " if remark and room > cell_len(remark) + 6 else ""
        parts.append(piece(" " + line * max(room - 2 - cell_len(remark), 0), styles.rule))
        parts.append(piece(remark + line, styles.dim if remark else styles.rule))
        return Strip(parts).crop(0, width)

    # Groups

    def _bars(self, width: int) -> list[TableColumn]:
        shown = self.breakdown
        assert shown is not None and self.frame is not None
        rows = list(self.frame.iter_rows(named=True))
        speeds = [shown.speed(row) for row in rows]
        fixed = [4, 6] + ([5] if any(speeds) else []) + ([5] if shown.told.earlier else [])
        trend = TREND if width >= ROOMY and any(shown.trend(row) for row in rows[:1]) else 0
        room = width - 2 - sum(fixed) - len(fixed) - (trend + 1 if trend else 0) - 2
        any_interface = shown.dimension.shape is Shape.INTERFACES
        label = min(
            max([cell_len(shown.label(row)) for row in rows] + [6]),
            max(room - (SHORTEST_BAR // 2 if any_interface else SHORTEST_BAR), 6),
        )
        bar = min(max(room - label, 3), 40)
        single = [row for row, speed in zip(rows, speeds, strict=True) if not speed and row["others"] is None]
        top = max([shown.share(row) for row in single] + [1e-9])
        count = sum(row["others"] is None for row in rows)

        def share(n: int, row: Row) -> str:
            part = shown.share(row)
            if row["others"] is not None:
                # What many have together would leave the bars of each too short: another pattern, cut where it is longer.
                return (self.glyphs.shades[1] * round(min(part / top, 1.0) * bar)).ljust(bar)
            return glyphs.bar(part if speeds[n] else part / top, bar, self.glyphs)

        def colour(n: int, row: Row) -> str:
            ranked = shown.dimension.shape is Shape.RANKED
            return self.ink.layer(count if row["others"] is not None else n if ranked else 0, max(count, 1))

        columns = [
            TableColumn("label", "", label, lambda n, row: shown.label(row), middle=True),
            TableColumn("bar", "", bar, share, colour=colour),
            TableColumn("share", "", 4, lambda n, row: _percent(shown.share(row)), True),
            TableColumn("figure", "", 6, lambda n, row: self._figure(row), True),
        ]
        if any(speeds):
            columns.append(
                TableColumn("speed", "", 5, lambda n, row: f"/{scaled(speeds[n])}".replace(".0", "") if speeds[n] else "")
            )
        if shown.told.earlier:
            columns.append(TableColumn("change", "", 5, lambda n, row: shown.change(row), True))
        if trend:
            columns.append(TableColumn("trend", "", TREND, lambda n, row: cells.spark(shown.trend(row), TREND), colour=colour))
        return columns

    def _figure(self, row: Row) -> str:
        shown = self.breakdown
        assert shown is not None
        value = row[shown.shown_measure.value]
        return scaled(shown.rate(value)) if shown.dimension.shape is Shape.INTERFACES else shown.figure(value)

    def _table(self) -> list[TableColumn]:
        shown = self.breakdown
        assert shown is not None
        total = shown.total

        def figure(name: str, rank: int) -> list[TableColumn]:
            whole = max(getattr(total, name), 1)
            return [
                TableColumn(name, name, 8, lambda n, row: shown.figure(row[name], name), True, rank=rank),
                TableColumn(f"{name}%", "%", 5, lambda n, row: f"{100 * row[name] / whole:.1f}", True, rank=rank),
            ]

        columns = [TableColumn("label", self.title, 12, lambda n, row: shown.label(row), grows=1, middle=True)]
        ranks = {
            name: rank
            for rank, name in enumerate([shown.shown_measure.value, *(n for n in SUMS if n != shown.shown_measure.value)])
        }
        for name in ("flows", "packets", "octets"):
            columns += figure(name, ranks[name])
        if shown.told.earlier:
            columns.append(TableColumn("change", "before", 6, lambda n, row: shown.change(row), True))
        columns.append(TableColumn("trend", "trend", TREND, lambda n, row: cells.spark(shown.trend(row), TREND), rank=9))
        self.marked, self.ascending = shown.answer.query.order, shown.answer.query.ascending
        return columns

    def _slices(self) -> list[TableColumn]:
        shown = self.breakdown
        assert shown is not None and self.frame is not None
        rows = list(self.frame.iter_rows(named=True))
        letters, count = self._donut.letters(rows), sum(row["others"] is None for row in rows)

        def colour(n: int, row: Row) -> str:
            return self.ink.layer(count if row["others"] is not None else n, max(count, 1))

        return [
            TableColumn("letter", "", 1, lambda n, row: letters[n], colour=colour),
            TableColumn("label", "", 8, lambda n, row: shown.label(row), grows=1, middle=True),
            TableColumn("share", "", 4, lambda n, row: _percent(shown.share(row)), True),
            TableColumn("figure", "", 6, lambda n, row: self._figure(row), True, rank=1),
        ]

    def _parts(self, width: int, height: int) -> list[Strip]:
        """Return the heading, and the groups as parts of a whole."""
        assert self.breakdown is not None and self.frame is not None
        rows = list(self.frame.iter_rows(named=True))
        heading = self._rule(width, self.title, self.remark)
        if self.view == "treemap":
            here = self.cursor if self.has_focus else None
            return [heading, *self._treemap.strips(self.breakdown, rows, here, width, height - 1)]
        round_ = min(2 * (height - 1), width // 2)
        donut = self._donut.strips(self.breakdown, rows, round_, height - 1)
        lines = super().paint(width - round_ - 1, height)[1:]
        ground = Style(bgcolor=self.ink.ground)
        lines += [Strip.blank(width - round_ - 1, ground)] * (height - 1 - len(lines))
        gap = Strip.blank(1, ground)
        return [heading, *(Strip.join([left, gap, right]) for left, right in zip(donut, lines, strict=True))]

    # Days by hours

    def _wide(self, width: int) -> int:
        return 2 if width >= DAY_LABEL + 48 + 8 else 1

    def _hours_heading(self, width: int) -> Strip:
        styles, each = self.ink, self._wide(width)
        axis = "".join(f"{hour:02d}".ljust(3 * each, ".") for hour in range(0, 24, 3))
        name = fit(f" {self.title.removeprefix('by ')}", DAY_LABEL)
        value = f"{self.hour:02d}h" if self.has_focus else "mean"
        parts = [piece(name, styles.title if self.has_focus else styles.strong), piece(axis, styles.dim)]
        parts.append(
            piece(fit(value, max(width - DAY_LABEL - 24 * each - 1, 0), True), styles.accent if self.has_focus else styles.dim)
        )
        return Strip(parts)

    def day(self) -> Day | None:
        """Return the day under the cursor."""
        days = self.breakdown.hours.days if self.breakdown is not None and self.is_hours else ()
        return days[self.cursor] if self.cursor < len(days) else None

    def span(self) -> Interval | None:
        """Return the hour under the cursor; None where nothing is known of it."""
        day = self.day()
        return None if day is None or day.hours[self.hour] is None else day.spans[self.hour]

    def _days(self, width: int, room: int) -> list[Strip]:
        assert self.breakdown is not None
        hours, styles = self.breakdown.hours, self.ink
        self._top = min(max(self._top, self.cursor - room + 1, 0), self.cursor, max(len(hours.days) - room, 0))
        each, lines = self._wide(width), []
        for place, day in list(enumerate(hours.days))[self._top : self._top + room]:
            here = place == self.cursor and self.has_focus
            parts = [piece(f" {day.date:%a %d} ", styles.title if here else styles.text)]
            for hour, mean in enumerate(day.hours):
                parts.append(self._hour(mean, hours.top, each, here and hour == self.hour))
            figure = day.hours[self.hour] if here else day.mean if any(mean is not None for mean in day.hours) else None
            words = "-" if figure is None else scaled(figure)
            parts.append(piece(fit(words, max(width - DAY_LABEL - 24 * each - 1, 0), True), styles.accent if here else styles.dim))
            lines.append(Strip(parts))
        return lines

    def _hour(self, mean: float | None, top: float, each: int, here: bool) -> Segment:
        """Return the cells of one hour: shades for the level, a point where nothing is known."""
        styles, shades = self.ink, self.glyphs.shades
        ground = styles.cursor_ground if here else styles.ground
        if mean is None:
            return piece("·" * each if not shades.isascii() else "." * each, Style(color=styles.rule.color, bgcolor=ground))
        level = mean / top if top else 0.0
        step = 0 if not mean else max(1, round(level * (len(shades) - 1)))
        colour = styles.mixed(styles.layer(0, 1), 0.45 + 0.55 * level)
        text = edge_below(self.glyphs) * each if here and not step and not shades.isascii() else shades[step] * each
        return piece(text, Style(color=colour, bgcolor=ground, underline=here, bold=here))

    # What moves

    def action_column(self, columns: int) -> None:
        """Move the cursor by columns; by hours where these are shown."""
        if not self.is_hours:
            super().action_column(columns)
            return
        self.hour = (self.hour + columns) % 24
        self.repaint()
        self.post_message(self.Moved(self))

    def on_focus(self, _: events.Focus) -> None:
        """Tell that the keys come here."""
        self.post_message(self.Taken(self))


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.01 else f"{100 * share:.0f}%"
