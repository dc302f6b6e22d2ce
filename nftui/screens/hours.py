"""Days by hours: means of each local hour, out of a series of bins that every hour is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from nftui.engine.query import Answer, Interval
from nftui.screens.cells import micros
from nftui.screens.view import local_time
from nftui.units import SECOND


@dataclass(frozen=True, slots=True)
class Day:
    """One local day.

    Attributes:
        date: Which one.
        hours: Of each hour of the clock the mean rate; None where nothing is known, as before the first flow and after now.
        spans: The same hours as ranges.
    """

    date: date
    hours: tuple[float | None, ...]
    spans: tuple[Interval | None, ...]

    @property
    def mean(self) -> float:
        """Mean over the hours that are known."""
        known = [hour for hour in self.hours if hour is not None]
        return sum(known) / len(known) if known else 0.0


@dataclass(frozen=True, slots=True)
class Hours:
    """Days, the first one first.

    Attributes:
        days: One after the other, none left out.
        top: The greatest mean of an hour, 0.0 where there is none.
    """

    days: tuple[Day, ...]
    top: float

    @classmethod
    def of(cls, answer: Answer, now: int, factor: int) -> Hours:
        """Return the means of an answer's series.

        Args:
            answer: With bins of an hour, or a part of one that hours of the local clock are multiples of.
            now: Microseconds since 1970: what is to come is not known.
            factor: What a sum is multiplied by: 8 for bits of octets.
        """
        series, interval = answer.series, answer.query.interval
        if series is None or interval is None or series.is_empty():
            return cls((), 0.0)
        first = max(interval.start, interval.start if answer.coverage.held is None else answer.coverage.held.start)
        sums: dict[tuple[date, int], list[int]] = {}
        for start, value in zip(series["time"].to_list(), series["g0"].to_list(), strict=True):
            begin = micros(start)
            local = local_time(begin)
            known = min(begin + answer.bin_width, max(now, begin)) - max(begin, min(first, begin + answer.bin_width))
            cell = sums.setdefault((local.date(), local.hour), [0, 0, begin, begin])
            cell[0] += value
            cell[1] += max(known, 0)
            cell[3] = begin + answer.bin_width
        days = []
        for day in sorted({day for day, _ in sums}):
            cells = [sums.get((day, hour)) for hour in range(24)]
            means = tuple(None if cell is None or not cell[1] else cell[0] * factor * SECOND / cell[1] for cell in cells)
            days.append(Day(day, means, tuple(None if cell is None else Interval(cell[2], cell[3]) for cell in cells)))
        return cls(tuple(days), max((mean for day in days for mean in day.hours if mean is not None), default=0.0))
