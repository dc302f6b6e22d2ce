"""Series as rows and as a table: a row a bin, a column a group, and what the bins of each are like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from nftui.engine import keys
from nftui.engine.names import protocol_name
from nftui.engine.query import Answer, Measure
from nftui.engine.series import statistics
from nftui.export.rows import Row, group_label
from nftui.export.text import Form, clock, table
from nftui.units import SECOND, rfc3339

STATISTICS = {"minimum": "min", "average": "avg", "maximum": "max", "last": "last", "percentile_95": "95th"}
"""Fields of `series.Statistics` -> what stands before them in tables."""
PREVIOUS = "previous "
DIGITS = 3


class SeriesTable:
    """One series, and beside it the same of another range.

    Attributes:
        labels: Columns: a name a shown group, all different, and `other` where anything is grouped.
        times: Where each bin begins, microseconds.
        columns: Values by label, a sum or a rate a bin; those of the other range by `previous ` and label.
        before: Where each bin of the other range begins.
    """

    def __init__(self, answer: Answer, *, rate: bool = False, previous: Answer | None = None, whole: Answer | None = None) -> None:
        """Make the columns.

        Args:
            answer: With a series.
            rate: Whether values are rates, bit/s of octets, packets or flows a second, in place of sums.
            previous: The answer of another range with as many bins and the same groups.
            whole: The same question without groups, where groups overlap.
        """
        self.labels = _labels(answer)
        self.answer, self._rate = answer, rate
        self.times = _times(answer)
        self.columns = dict(zip(self.labels, _values(answer, rate), strict=True))
        self._whole = _values(whole, rate)[0] if whole else [sum(values) for values in zip(*self.columns.values(), strict=True)]
        self.before: list[int] = []
        if previous is not None:
            self.before = _times(previous)
            self.columns |= {PREVIOUS + label: column for label, column in zip(self.labels, _values(previous, rate), strict=True)}

    def rows(self, *, told: bool = False) -> list[Row]:
        """Return a row a bin: `time`, a field a column; with `told` a row a statistic behind, its name in place of the time."""
        listed: list[Row] = []
        for place, time in enumerate(self.times):
            before = {"previous_time": rfc3339(self.before[place])} if self.before else {}
            listed.append({"time": rfc3339(time), **before, **{name: column[place] for name, column in self.columns.items()}})
        if told:
            of_each = {name: asdict(statistics(column)) for name, column in self.columns.items()}
            listed += [
                {"time": field, **{name: _rounded(figures[field]) for name, figures in of_each.items()}} for field in STATISTICS
            ]
        return listed

    def groups(self) -> list[Row]:
        """Return what the bins of each column and of the total are like, with the sum of the measure over the whole range."""
        answer, measure = self.answer, self.answer.query.measure
        groups = list(answer.groups.iter_rows(named=True))
        listed: list[Row] = []
        for place, label in enumerate(self.labels):
            shown = place < len(groups)
            named = {keys.key(key).field: keys.value(key, groups[place][key]) for key in answer.query.keys} if shown else {}
            total = groups[place][measure.value] if shown else answer.other.value(measure)
            listed.append({"name": label, **named, "sum": total, **self._figures(self.columns[label])})
        if answer.query.keys:
            listed.append({"name": "total", "sum": answer.total.value(measure), **self._figures(self._whole)})
        return listed

    def lines(self, form: Form, *, told: bool = False) -> Iterator[str]:
        """Yield the table."""
        write = _rates(form) if self._rate else form.octets if self.answer.query.measure is Measure.OCTETS else form.count
        cells = [
            [clock(time), *(write(column[place]) for column in self.columns.values())] for place, time in enumerate(self.times)
        ]
        if told:
            figures = [asdict(statistics(column)) for column in self.columns.values()]
            cells += [[name, *(write(one[field]) for one in figures)] for field, name in STATISTICS.items()]
        named = self._protocol if self.answer.query.keys == ("protocol",) else form.titled
        yield from table(["time", *map(named, self.columns)], cells, {"time"})

    @staticmethod
    def _protocol(label: str) -> str:
        """Return a protocol's name in place of its number."""
        number = label.removeprefix(PREVIOUS)
        return label.removesuffix(number) + protocol_name(int(number)) if number.isdigit() else label

    def _figures(self, column: list[Any]) -> Row:
        return {name: _rounded(value) for name, value in asdict(statistics(column)).items()}


def _labels(answer: Answer) -> list[str]:
    """Return a name for each column; groups whose values look alike, or like a column of ours, are told apart by a number."""
    taken = {"time", "previous_time", "other"}
    labels = []
    for index in range(answer.groups.height):
        label = name = group_label(answer, index)
        number = 2
        while label in taken or label.startswith(PREVIOUS):
            label, number = f"{name} ({number})" if not name.startswith(PREVIOUS) else f"({number}) {name}", number + 1
        taken.add(label)
        labels.append(label)
    return [*labels, "other"] if answer.query.keys else labels


def _times(answer: Answer) -> list[int]:
    assert answer.series is not None
    times: list[int] = answer.series["time"].to_physical().to_list()
    return times


def _values(answer: Answer, rate: bool) -> list[list[Any]]:
    assert answer.series is not None
    series = answer.series.drop("time") if answer.query.keys else answer.series.select("g0")
    columns = [column.to_list() for column in series]
    if not rate:
        return columns
    starts = _times(answer)
    end = answer.interval.end if answer.interval is not None else starts[-1] + answer.bin_width
    factor = (8 if answer.query.measure is Measure.OCTETS else 1) * SECOND
    # The last bin may be cut short by the end of the range.
    lengths = [max(after - start, 1) for start, after in zip(starts, [*starts[1:], end], strict=True)]
    return [[_rounded(value * factor / length) for value, length in zip(column, lengths, strict=True)] for column in columns]


def _rates(form: Form) -> Any:
    return lambda value: form.count(round(value))


def _rounded(value: Any) -> Any:
    return round(value, DIGITS) if isinstance(value, float) else value
