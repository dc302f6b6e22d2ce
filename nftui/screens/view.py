"""What is being looked at: one frozen value that all screens share.

Change it on one screen and all screens follow. A relative range ends now, on a grid of bins whose starts are multiples of the bin
width, so that the same bins are asked for again and again and the engine can reuse what it has read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime

from nftui.engine import keys, ranges
from nftui.engine.filters import ANY, Filter, Not, all_of
from nftui.engine.query import KEYS, Interval, Kind, Measure, Query
from nftui.engine.resolutions import CALENDAR, Resolution, resolution
from nftui.units import SECOND, moment

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
WIDTHS = tuple(
    [n * SECOND for n in (1, 2, 5, 10, 15, 20, 30)]
    + [n * MINUTE for n in (1, 2, 3, 5, 10, 15, 20, 30)]
    + [n * HOUR for n in (1, 2, 3, 4, 6, 12)]
    + [n * DAY for n in (1, 2, 7, 14, 28, 91, 182, 365)]
)
ZOOMS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 365 * DAY)
SHORTEST = 10 * SECOND
DISPLAYS = ("area", "summary", "detailed", "data", "circle", "connections")
"""Of the Live screen, in the order of `v`."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time: the last `length` microseconds, or an absolute interval, or (neither) all that is held."""

    length: int | None = None
    interval: Interval | None = None

    @property
    def text(self) -> str:
        """The range as it is typed: `-15m`, `2026-11-23T10:00:00/2026-11-23T11:00:00`, `all`."""
        if self.length is not None:
            return f"-{length_text(self.length)}"
        if self.interval is not None:
            return "/".join(local_time(edge).strftime("%Y-%m-%dT%H:%M:%S") for edge in (self.interval.start, self.interval.end))
        return "all"

    def label(self, now: int) -> str:
        """Return the range in words that fit a status line: `last 15m`, `Nov 23 10:00:00-11:00:00`; with its year, if another."""
        if self.length is not None:
            return f"last {length_text(self.length)}"
        if self.interval is None:
            return "all time"
        start, end = local_time(self.interval.start), local_time(self.interval.end)
        if {start.year, end.year} != {local_time(now).year}:
            return f"{start:%Y-%m-%d %H:%M}/{end:%Y-%m-%d %H:%M}"
        form = "%H:%M:%S" if self.interval.length < DAY else "%b %d %H:%M"
        day = "" if self.interval.length >= DAY else f"{start:%b %d} "
        return f"{day}{start.strftime(form)}-{end.strftime(form)}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step down: what was added, and what to return to.

    Attributes:
        label: What the step narrowed to, for the breadcrumb.
        text: The filter text before it.
        where: The filter before it.
        screen: The screen from which it was taken.
        row: The row of the cursor there.
    """

    label: str
    text: str
    where: Filter
    screen: str
    row: int


@dataclass(frozen=True, slots=True)
class View:
    """One investigation: when, what, by what, how much of it.

    Attributes:
        range: The range of time.
        paused_at: The moment at which a relative range was frozen, microseconds; None while it follows the clock.
        home: The relative length that `back to live` returns to, microseconds.
        by: The dimension: a name of `query.KEYS`, or words as `-A` takes them.
        measure: What the chart shows.
        order: What the top list is ranked by.
        ascending: Smallest first.
        limit: Groups shown.
        text: The filter as typed.
        where: The same, understood.
        bins: The most bins of a series.
        path: The steps taken down so far.
        names: Whether addresses are shown by their names, where these are known.
        display: The display of the Live screen, a name of `DISPLAYS`.
        resolution: How fine a series is, as `engine/resolutions.py` reads it; empty for as fine as there is room for.
        compare: Whether the period before is told beside it.
        others: Whether what the shown groups leave is shown as well.
        saved: Name of the saved filter that was loaded last; empty where none was, or the filter was typed since.
        without: Flows that are left out of every picture, beside the filter: those of one's own session.
    """

    range: Range = Range(15 * MINUTE)
    paused_at: int | None = None
    home: int = 15 * MINUTE
    by: str = "dstip"
    measure: Measure = Measure.OCTETS
    order: Measure = Measure.OCTETS
    ascending: bool = False
    limit: int = 10
    text: str = ""
    where: Filter = ANY
    bins: int = 45
    path: tuple[Step, ...] = ()
    names: bool = False
    display: str = "area"
    resolution: str = ""
    compare: bool = False
    others: bool = True
    saved: str = ""
    without: Filter = ANY

    @property
    def taken(self) -> Filter:
        """The filter as it is asked: without what is left out of every picture."""
        return self.where if self.without == ANY else all_of(self.where, Not(self.without))

    @property
    def follows(self) -> bool:
        """Whether the end of the range moves with the clock."""
        return self.paused_at is None and self.range.interval is None

    def interval(self, now: int) -> Interval | None:
        """Return the asked interval at a moment; None for all that is held."""
        if self.range.length is None:
            return self.range.interval
        width = bin_width(self.range.length, self.bins)
        end = -(-(now if self.paused_at is None else self.paused_at) // width) * width
        return Interval(end - -(-self.range.length // width) * width, end)

    def sampled(self, now: int, held: Interval | None = None) -> Resolution:
        """Return the asked interval with the bins of its series.

        Args:
            now: The end of relative ranges, microseconds.
            held: All that is held, where that is known: the calendar of a range without edges.
        """
        length = self.range.length
        if not self.resolution:
            interval = self.interval(now)
            if interval is None:
                return Resolution(None, self.bins)
            width = bin_width(interval.length, self.bins)
            return Resolution(interval, max(interval.length // width if interval.length % width == 0 else self.bins, 1))
        if length is None:
            return resolution(self.resolution, self.range.interval, held)
        end = now if self.paused_at is None else self.paused_at
        if self.resolution in CALENDAR:
            # The hour or day of the end, and as many before it as the range has: not one more where it begins within one.
            each = HOUR if self.resolution == "hourly" else DAY
            return resolution(self.resolution, Interval(end - (max(-(-length // each), 1) - 1) * each, end + 1), held)
        bins = resolution(self.resolution, None, None).bins
        width = -(-length // bins)
        end = -(-end // width) * width
        return Resolution(Interval(end - bins * width, end), bins)

    def groups(self, now: int, held: Interval | None = None) -> Query:
        """Return the question of a ranked list with its series; the arguments are those of `sampled`."""
        sampled = self.sampled(now, held)
        return Query(
            sampled.interval,
            Kind.GROUPS,
            keys_of(self.by),
            self.taken,
            self.measure,
            self.order.value,
            self.ascending,
            self.limit,
            sampled.bins,
        )

    def before(self, interval: Interval) -> Interval:
        """Return the period of the same length before an interval."""
        return Interval(interval.start - interval.length, interval.start)

    def flows(self, now: int, order: str, ascending: bool, limit: int) -> Query:
        """Return the question of flow records."""
        return Query(self.interval(now), Kind.FLOWS, (), self.taken, self.measure, order, ascending, limit)

    def pan(self, now: int, direction: int) -> View:
        """Move the range by half its length; into the future means back to live."""
        interval = self.interval(now)
        if interval is None:
            return self
        width = bin_width(interval.length, self.bins)
        shift = max(interval.length // 2 // width, 1) * width * direction
        moved = Interval(interval.start + shift, interval.end + shift)
        if moved.end >= now:
            return self.live() if moved.start < now and interval.length == self.home else self
        return replace(self, range=Range(interval=moved), paused_at=None)

    def zoom(self, now: int, direction: int) -> View:
        """Narrow (1) or widen (-1) the range: a relative one through round lengths, an absolute one about its middle."""
        if self.range.length is not None:
            ordered = ZOOMS[::-1] if direction > 0 else ZOOMS
            length = next((z for z in ordered if (z < self.range.length) == (direction > 0) and z != self.range.length), None)
            return self if length is None else replace(self, range=Range(length), home=length)
        interval = self.range.interval
        if interval is None:
            return replace(self, range=Range(self.home)) if direction > 0 else self
        half = interval.length // 4 if direction > 0 else interval.length
        middle = (interval.start + interval.end) // 2
        if not SHORTEST <= 2 * half <= 20 * 365 * DAY:
            return self
        return replace(self, range=Range(interval=Interval(middle - half, middle + half)))

    def live(self) -> View:
        """Return to the range that ends now."""
        return replace(self, range=Range(self.home), paused_at=None)

    def pause(self, now: int) -> View:
        """Freeze a range that follows the clock, or let it follow again."""
        if self.range.interval is not None:
            return self.live()
        return replace(self, paused_at=now if self.paused_at is None else None)

    def with_range(self, chosen: Range) -> View:
        """Take another range, following the clock where it can."""
        return replace(self, range=chosen, paused_at=None, home=self.home if chosen.length is None else chosen.length)

    def down(self, label: str, text: str, where: Filter, screen: str, row: int) -> View:
        """Narrow the filter by one step that `up` undoes."""
        return replace(self, text=text, where=where, path=(*self.path, Step(label, self.text, self.where, screen, row)))

    def up(self) -> View:
        """Undo the last step."""
        if not self.path:
            return self
        step = self.path[-1]
        return replace(self, text=step.text, where=step.where, path=self.path[:-1])


def keys_of(by: str) -> tuple[str, ...]:
    """Return the keys of a dimension: of the six of `query.KEYS`, or others joined by commas as `-A` takes them.

    Raises:
        UsageError: A word is no key.
    """
    return KEYS[by] if by in KEYS else keys.parse(by, "group-by")


def bin_width(length: int, bins: int) -> int:
    """Return the smallest round width of which no more than `bins` cover a length, microseconds."""
    return next((width for width in WIDTHS if -(-length // width) <= bins), WIDTHS[-1])


def length_text(length: int) -> str:
    """Return a length of time in its largest whole unit, `15m`, `36h`."""
    for unit in "dhms":
        if length % UNITS[unit] == 0 and (unit != "d" or length != DAY):
            return f"{length // UNITS[unit]}{unit}"
    return f"{length / SECOND:g}s"


def parse_range(text: str) -> Range:
    """Read a range as `ranges.parse_range` does, but keep a length before now relative.

    Raises:
        UsageError: The text is no range.
    """
    length = ranges.parse_length(text)
    if length is not None:
        return Range(length)
    interval = ranges.parse_range(text, time.time_ns() // 1000)
    return Range(interval=interval)


def time_form(length: int) -> str:
    """Return the form of time labels on an axis of a length in microseconds."""
    if length <= 6 * HOUR:
        return "%H:%M:%S"
    if length < DAY:
        return "%H:%M"
    return "%b %d %H:%M" if length < 15 * DAY else "%b %d %Hh"


def time_text(microseconds: int, form: str = "%H:%M:%S") -> str:
    """Return a moment in the local time of this machine: the only place where times become text on the screens."""
    return local_time(microseconds).strftime(form)


def zone_offset(microseconds: int) -> int:
    """Return by how much local time is ahead of UTC at a moment, microseconds."""
    shift = local_time(microseconds).utcoffset()
    return 0 if shift is None else int(shift.total_seconds()) * SECOND


def zone_name() -> str:
    """Return the name of the zone that times are shown in, `CET (UTC+01:00)`."""
    now = datetime.now().astimezone()
    return f"{now:%Z} (UTC{now.isoformat()[-6:]})"


def local_time(microseconds: int) -> datetime:
    """Return a moment in the local time of this machine; in UTC where that has none for it."""
    try:
        return moment(microseconds).astimezone()
    except (OverflowError, ValueError, OSError):
        return moment(microseconds)
