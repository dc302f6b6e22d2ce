"""The commands that ask: `flows`, `series`, `summary`; and what all that ask have in common."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nftui import config, filtering
from nftui.engine.filters import Filter
from nftui.engine.local import LocalBackEnd
from nftui.engine.perspective import Perspective, seen_from
from nftui.engine.query import Answer, Interval, Kind, Query
from nftui.engine.ranges import parse_range
from nftui.errors import StoreError, UsageError
from nftui.export import rows, text
from nftui.export.flow_records import write_records
from nftui.naming import naming_of
from nftui.output import octets_out
from nftui.progress import Bar
from nftui.schema import POLARS

TERMINAL_FLOWS = 1000
HOUR_US = 3600 * 1_000_000


def flows(data: Path, options: argparse.Namespace, *, given: bool) -> int:
    """List flow records, in the order of their start unless told otherwise."""
    order, _, way = options.order.partition("/")
    order = {"bytes": "octets", "start": "flow_start", "end": "flow_end"}.get(order, order)
    if order not in POLARS:
        close = get_close_matches(order, POLARS, 3, 0.7)
        instead = f"did you mean {' or '.join(close)}?" if close else f"take one of {', '.join(POLARS)}"
        raise UsageError(f"-O {printable_word(options.order)}: no such column; {instead}")
    if way not in ("", "asc", "desc"):
        raise UsageError(f"-O {printable_word(options.order)}: the order is KEY, KEY/asc or KEY/desc")
    ascending = way == "asc" if way else POLARS[order].is_temporal()
    on_terminal = sys.stdout.isatty()
    limit = options.count if options.count is not None else TERMINAL_FLOWS if on_terminal else None
    if limit is not None and limit < 0:
        raise UsageError(f"-c {limit}: a count is 0 or more")
    query = Query(kind=Kind.FLOWS, order=order, ascending=ascending, limit=limit, **shared_of(options, given=given))
    records = back_end_of(data, options).records(query)
    form = form_of(options)
    with Bar("flows", shown=None if not on_terminal else False) as bar:
        write_records(octets_out(), naming_of(options).records(records), options.output, bar, style=form)
        sys.stdout.flush()
    if on_terminal and records.flows < records.total.flows:
        print(f"{records.flows:,} of {records.total.flows:,} flows shown; -c N shows more", file=sys.stderr)
    explain(data, options, query, records.total.flows)
    return 0


def summary(data: Path, options: argparse.Namespace, *, given: bool) -> int:
    """Print totals, rates, reach and coverage."""
    began, began_cpu = time.perf_counter(), time.process_time()
    answer = _ask(data, Query(times=True, **shared_of(options, given=given)), options)
    row = rows.summary_row(answer)
    fields = list(row)

    def lines() -> Iterable[str]:
        wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        scanned = answer.coverage.flows_scanned
        return text.summary_block(
            answer, form_of(options), wall=wall, cpu=cpu, processed=scanned, skipped=len(answer.coverage.unread)
        )

    if options.output in ("json", "ndjson"):
        row["coverage"] = answer.coverage.as_dict()
    write(options, answer, [row], fields, lines)
    explain(data, options, answer.query, answer.total.flows)
    return 0


def shared_of(options: argparse.Namespace, *, given: bool) -> dict[str, Any]:
    """Return what all asking commands have in common, as arguments of `Query`."""
    now = time.time_ns() // 1000
    if options.time is not None:
        interval = parse_range(options.time, now)
    else:
        interval = None if given else Interval(now - HOUR_US, now)
    return {
        "interval": interval,
        "where": _seen(options, filtering.where(options, naming_of(options).resolved)),
        "sampling": not options.raw,
        "contained": options.contained,
    }


def _seen(options: argparse.Namespace, where: Filter) -> Filter:
    """Return a filter narrowed to the perspective that is asked for."""
    perspective = Perspective(options.perspective)
    home = config.load(getattr(options, "config", None)).network.home if perspective is Perspective.BOUNDARY else ()
    return seen_from(perspective, where, home)


def back_end_of(data: Path, options: argparse.Namespace) -> LocalBackEnd:
    """Return who answers: the files that are named, or the store.

    Raises:
        StoreError: There is no store.
        CaptureFileError: There is nothing to read in the files.
    """
    if options.read:
        from nftui.engine.flow_files import FlowFiles
        from nftui.engine.importing import decode_captures

        return LocalBackEnd(FlowFiles(options.read, decode_captures), keep=False)
    if not data.is_dir():
        raise StoreError(f"{data}: no such data directory; `nftui collect` or `nftui import` makes one, --data DIR names another")
    if not any((data / name).exists() for name in ("tail", "flows")):
        # A directory of something else would answer that there are no flows, which is believed.
        raise StoreError(f"{data}: nothing was ever stored there; `nftui collect` or `nftui import` does, --data DIR names another")
    return LocalBackEnd(data, keep=False)


def explain(data: Path, options: argparse.Namespace, query: Query, flows: int) -> None:
    """Write what there is to note about the filter, below the answer."""
    filtering.write_notes(options, query, lambda: back_end_of(data, options), flows)


def _ask(data: Path, query: Query, options: argparse.Namespace) -> Answer:
    return back_end_of(data, options).answer(query)


def form_of(options: argparse.Namespace) -> text.Form:
    """Return how a command writes numbers and names."""
    naming = naming_of(options)
    labels = naming.labels if options.names else None
    return text.Form(plain=options.plain, iec=options.units == "iec", labels=labels, interfaces=naming.interfaces)


def write(
    options: argparse.Namespace,
    answer: Answer,
    listed: Iterable[dict[str, Any]],
    names: Sequence[str],
    lines: Callable[[], Iterable[str]],
    more: dict[str, Any] | None = None,
) -> None:
    """Write an answer to stdout in the form that is asked for; `more` goes beside the rows of JSON."""
    if options.output != "text":
        listed, names = naming_of(options).extended(listed, names)
    if options.output == "parquet":
        rows.write_parquet(octets_out(), listed, names)
    elif options.output == "json":
        rows.write_json(sys.stdout, answer, listed, more)
    elif options.output == "ndjson":
        rows.write_ndjson(sys.stdout, listed)
    elif options.output == "csv":
        rows.write_csv(sys.stdout, listed, names)
    elif options.output == "markdown":
        rows.write_markdown(sys.stdout, listed, names)
    else:
        print_lines(lines())
    sys.stdout.flush()


def print_lines(lines: Iterable[str]) -> None:
    """Write lines to stdout."""
    for line in lines:
        sys.stdout.write(line + "\n")


def printable_word(word: str) -> str:
    """Return a word of the command line, quoted, safe to print."""
    from nftui.printable import printable

    return repr(printable(word, 60))
