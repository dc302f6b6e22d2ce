"""The command `series`: the data table, values over time."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from nftui import filtering
from nftui.asking import back_end_of, explain, form_of, printable_word, shared_of, write
from nftui.engine import keys
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, Interval, Measure, Query
from nftui.engine.ranges import parse_length
from nftui.engine.resolutions import Resolution, folded, resolution
from nftui.errors import UsageError
from nftui.export.series_table import SeriesTable
from nftui.naming import naming_of


def series(data: Path, options: argparse.Namespace, *, given: bool) -> int:
    """Print the data table: a row a bin, the metric for the top groups and all others."""
    # It knows keys that files of the configuration add.
    naming = naming_of(options)
    by = keys.parse(filtering.aggregate_by(options) or "dstip" if options.by is None else options.by, "--by")
    if options.limit < 1:
        raise UsageError(f"-n {options.limit}: a number of groups is 1 or more")
    shared = shared_of(options, given=given)
    back_end = back_end_of(data, options)
    interval: Interval | None = shared.pop("interval")
    chosen = resolution(options.resolution, interval, None if interval else back_end.held())
    measure = Measure(options.metric)
    query = Query(
        interval=chosen.interval, keys=by, measure=measure, order=measure.value, limit=options.limit, bins=chosen.bins, **shared
    )
    shift = _shift(options.previous, chosen.interval)
    answer = _answer(back_end, query, chosen)
    previous = None if shift is None else _before(back_end, answer, query, chosen, shift)
    counted = answer.total.value(measure) or (previous is not None and previous.total.value(measure))
    if not counted and not answer.total.flows:
        write(options, answer, [], ["time"], lambda: ["no flows in this range"], {"groups": []})
        explain(data, options, query, 0)
        return 0
    whole = _answer(back_end, replace(query, keys=()), chosen) if keys.either(by) else None
    table = SeriesTable(answer, rate=options.rate, previous=previous, whole=whole)
    groups = list(naming.extended(table.groups(), ())[0])
    form = form_of(options)
    # What is in `groups` of JSON anyway is no row of it; a row of Parquet has a time.
    told = options.stats and options.output not in ("json", "parquet")
    if options.stats and options.output == "parquet":
        print("nftui: --stats is not part of Parquet; take another form for it", file=sys.stderr)
    listed = table.rows(told=told)
    more = {"unit": _unit(measure, rate=options.rate), "groups": groups}
    write(options, answer, listed, list(listed[0]), lambda: table.lines(form, told=told), more)
    explain(data, options, query, answer.total.flows)
    return 0


def _answer(back_end: LocalBackEnd, query: Query, chosen: Resolution) -> Answer:
    answer = back_end.answer(query)
    return answer if chosen.edges is None else folded(answer, chosen.edges)


def _before(back_end: LocalBackEnd, answer: Answer, query: Query, chosen: Resolution, shift: int) -> Answer:
    """Return the same groups, in bins of the same widths, some time before."""
    assert query.interval is not None
    interval = Interval(query.interval.start - shift, query.interval.end - shift)
    edges = None if chosen.edges is None else tuple(edge - shift for edge in chosen.edges)
    only = tuple(answer.groups.select(query.keys).iter_rows()) if query.keys else None
    return _answer(back_end, replace(query, interval=interval, only=only), Resolution(interval, chosen.bins, edges))


def _shift(text: str | None, interval: Interval | None) -> int | None:
    """Return how long before the previous period lies, microseconds; None where none is asked for."""
    if text is None:
        return None
    if interval is None:
        raise UsageError("--previous: nothing is before all that is held; name a range with -t")
    if not text:
        return interval.length
    length = parse_length(text)
    if length is None:
        raise UsageError(f"--previous={printable_word(text)}: write a length, as 1d or 1w, or leave it out for the range's own")
    return length


def _unit(measure: Measure, *, rate: bool) -> str:
    if not rate:
        return measure.value
    return "bit/s" if measure is Measure.OCTETS else f"{measure.value}/s"
