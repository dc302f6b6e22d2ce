"""How finely a series is told: by name, by the calendar, or as finely as a chart takes.

Hours and days are those of the local calendar, as ranges on the command line are: a day is 23 or 25 hours long where clocks are
changed. The engine's bins have one width, so a calendar is asked for in bins that all its edges are multiples of, which are then
added up; as bins telescope, that is to the octet what unequal bins would be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

import numpy as np
import polars as pl

from nftui.engine.query import Answer, Interval
from nftui.errors import UsageError
from nftui.printable import printable
from nftui.units import SECOND, moment

SAMPLES = {"low": 6, "medium": 12, "high": 24, "ultra": 30}
CALENDAR = ("hourly", "daily")
MOST_BINS = 100_000
HOUR = 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Resolution:
    """What to ask for, and what to make of it.

    Attributes:
        interval: The range; None for all that is held.
        bins: How many bins to ask for.
        edges: Where the bins begin and end that are shown, where these aren't those asked for; `folded` makes them.
    """

    interval: Interval | None
    bins: int
    edges: tuple[int, ...] | None = None


def resolution(text: str, interval: Interval | None, held: Interval | None, zone: tzinfo | None = None) -> Resolution:
    """Return what a resolution means for a range.

    Args:
        text: `low`, `medium`, `high`, `ultra`, a number of bins, or `hourly` and `daily`: the range is widened to whole ones.
        interval: The range; None for all that is held.
        held: What is held.
        zone: Of the calendar; None for the local one.
    Raises:
        UsageError: It is none, or more bins than can be asked for.
    """
    if text in CALENDAR:
        span = interval or held
        if span is None:
            return Resolution(interval, 1)
        edges = _hours(span, zone) if text == "hourly" else _days(span, zone)
        step = math.gcd(*(edge - edges[0] for edge in edges[1:]))
        bins = (edges[-1] - edges[0]) // step
        _check(text, bins)
        return Resolution(Interval(edges[0], edges[-1]), bins, edges if bins != len(edges) - 1 else None)
    if text in SAMPLES:
        return Resolution(interval, SAMPLES[text])
    if not (text.isascii() and text.isdigit() and int(text[:20]) >= 1):
        raise UsageError(
            f"--resolution {printable(text, 60)!r}: take {', '.join([*SAMPLES, *CALENDAR])} or a number of bins, 1 or more"
        )
    _check(text, int(text[:20]))
    return Resolution(interval, int(text))


def check(text: str) -> None:
    """Check that a text is a resolution, of whatever range.

    Raises:
        UsageError: It is none.
    """
    resolution(text, None, None)


def folded(answer: Answer, edges: tuple[int, ...]) -> Answer:
    """Return an answer whose bins lie between edges that are edges of its own bins, each the sum of those it holds."""
    series = answer.series
    if series is None:
        return answer
    starts = series["time"].to_physical().to_numpy()
    frame = _added(series, np.searchsorted(starts, np.asarray(edges[:-1], dtype=np.int64)))
    widest = max(after - before for before, after in pairwise(edges))
    return replace(answer, query=replace(answer.query, bins=frame.height), series=frame, bin_width=widest)


def charted(series: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return a series of at most so many bins: of too many, as few neighbours as will do become one. Sums stay what they are.

    Args:
        series: `time` and sums, as `Answer.series`.
        most: Points that a chart takes, 1 or more.
    """
    together = -(-series.height // max(most, 1))
    return series if together <= 1 else _added(series, np.arange(0, series.height, together))


def _added(series: pl.DataFrame, firsts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pl.DataFrame:
    """Return bins added up from each of some places to the next."""
    sums = [pl.Series(one.name, np.add.reduceat(one.to_numpy(), firsts), dtype=pl.Int64) for one in series.drop("time")]
    return pl.DataFrame([series["time"].gather(firsts), *sums])


def _check(text: str, bins: int) -> None:
    if bins > MOST_BINS:
        raise UsageError(f"--resolution {printable(text, 60)}: {bins:,} bins are too many; at most {MOST_BINS:,}")


def _hours(span: Interval, zone: tzinfo | None) -> tuple[int, ...]:
    """Return the edges of the hours that a range touches."""
    offset = moment(span.start).astimezone(zone).utcoffset() or timedelta()
    off = int(offset.total_seconds()) * SECOND
    start = (span.start + off) // HOUR * HOUR - off
    hours = max(-(-(span.end - start) // HOUR), 1)
    _check("hourly", hours)
    return tuple(start + hour * HOUR for hour in range(hours + 1))


def _days(span: Interval, zone: tzinfo | None) -> tuple[int, ...]:
    """Return the edges of the days that a range touches."""
    _check("daily", span.length // (24 * HOUR))
    first = moment(span.start).astimezone(zone)
    day = datetime(first.year, first.month, first.day, tzinfo=zone)
    edges = [_microseconds(day)]
    while edges[-1] < span.end or len(edges) < 2:
        day = day.replace(tzinfo=None) + timedelta(days=1)
        day = day.replace(tzinfo=zone)
        edges.append(_microseconds(day))
    return tuple(edges)


def _microseconds(edge: datetime) -> int:
    return round(edge.timestamp()) * SECOND
