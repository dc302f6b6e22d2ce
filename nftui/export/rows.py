"""Answers to rows of plain values, and rows to JSON, NDJSON, CSV and Markdown.

Field names are a contract: scripts read them. Times are RFC 3339 in UTC with microseconds, addresses text, counters numbers; what a
flow does not carry is left out of JSON and empty in CSV.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, TextIO

import polars as pl

from nftui.engine import keys
from nftui.engine.filters import text as filter_text
from nftui.engine.query import EACH_WAY, Answer, Coverage, Query
from nftui.export import cells
from nftui.printable import csv_field, printable
from nftui.units import SECOND, rfc3339

Row = dict[str, Any]
TIMES = ("time", "previous_time", "first", "last")
"""Fields that are times, of rows that aren't flows."""
GROUP_FIELDS = (
    "octets", "packets", "flows", *EACH_WAY, "bps", "pps", "bpp",
    "octets_percent", "packets_percent", "flows_percent", "first", "last",
)  # fmt: skip
"""Fields of a group behind its keys."""
SLICE = 65_536
"""Rows that are made at a time."""


def group_rows(answer: Answer) -> Iterator[Row]:
    """Yield the groups of an answer, some made at a time: keys, sums, rates over each group's own duration, shares of the total."""
    for piece in answer.groups.iter_slices(SLICE):
        columns = _group_columns(answer, piece)
        names = tuple(columns)
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(names, values, strict=True))
            if "first" in row and (row["first"] is None or row["last"] is None):
                del row["first"], row["last"]
            yield row


def _group_columns(answer: Answer, groups: pl.DataFrame) -> dict[str, list[Any]]:
    columns = {keys.key(key).field: _key_values(key, groups[key]) for key in answer.query.keys}
    columns |= {name: groups[name].to_list() for name in ("octets", "packets", "flows", *EACH_WAY) if name in groups.columns}
    timed = "first" in groups.columns and "last" in groups.columns
    length = (pl.col("last") - pl.col("first")).fill_null(0).cast(pl.Int128) if timed else pl.lit(0, dtype=pl.Int128)
    rates = groups.select(
        pl.when(length > 0).then(pl.col("octets").cast(pl.Int128) * (8 * SECOND) // length).otherwise(0).alias("bps"),
        pl.when(length > 0).then(pl.col("packets").cast(pl.Int128) * SECOND // length).otherwise(0).alias("pps"),
        pl.when(pl.col("packets") != 0).then(pl.col("octets") // pl.col("packets")).otherwise(0).alias("bpp"),
    )
    columns |= {name: rates[name].to_list() for name in rates.columns}
    for name in ("octets", "packets", "flows"):
        total = getattr(answer.total, name)
        columns[f"{name}_percent"] = [round(100 * value / total, 4) if total else 0.0 for value in columns[name]]
    if timed:
        columns |= {name: cells.times(groups[name]).to_list() for name in ("first", "last")}
    return columns


def _key_values(name: str, series: pl.Series) -> list[Any]:
    """Return a key's values as `keys.value` tells them."""
    one = keys.key(name)
    if one.shown is None and one.kind == "address" and series.dtype == pl.Binary:
        return cells.addresses(series).to_list()
    if one.shown is None and one.kind == "mac" and series.dtype.is_integer():
        return cells.macs(series).to_list()
    if one.shown is None and one.kind != "network" and series.dtype != pl.Binary:
        return series.to_list()
    return [keys.value(name, raw) for raw in series.to_list()]


def other_row(answer: Answer) -> Row:
    """Return what is not shown: how many groups, what they sum to, and their shares of the total."""
    other: Row = {"groups": answer.group_count + answer.left_out - answer.groups.height}
    for name in ("octets", "packets", "flows"):
        total = getattr(answer.total, name)
        other[name] = getattr(answer.other, name)
        other[f"{name}_percent"] = round(100 * other[name] / total, 4) if total else 0.0
    return other


def summary_row(answer: Answer) -> Row:
    """Return totals, rates and reach of an answer."""
    total = answer.total
    span = answer.last - answer.first if answer.first is not None and answer.last is not None else 0
    return {
        "flows": total.flows,
        "octets": total.octets,
        "packets": total.packets,
        **rates(total.octets, total.packets, span),
        "first": None if answer.first is None else rfc3339(answer.first),
        "last": None if answer.last is None else rfc3339(answer.last),
    }


def group_label(answer: Answer, index: int) -> str:
    """Return the values of one group's keys as one text; the measure's name where nothing is grouped."""
    names = answer.query.keys
    if not names:
        return answer.query.measure.value
    row = answer.groups.row(index, named=True)
    return " ".join("-" if row[name] is None else printable(keys.value(name, row[name])) for name in names)


def rates(octets: int, packets: int, length: int) -> Row:
    """Return `bps`, `pps` and `bpp`, whole numbers, rounded down as nfdump does; 0 for a length of 0 microseconds."""
    return {
        "bps": octets * 8 * SECOND // length if length > 0 else 0,
        "pps": packets * SECOND // length if length > 0 else 0,
        "bpp": octets // packets if packets else 0,
    }


def query_fields(query: Query) -> Row:
    """Return a question as plain values."""
    interval = query.interval
    return {
        "interval": None if interval is None else [rfc3339(interval.start), rfc3339(interval.end)],
        "filter": filter_text(query.where),
        "keys": list(query.keys),
        "measure": query.measure.value,
        "order": query.order,
        "limit": query.limit,
        "bins": query.bins,
        "sampling": query.sampling,
        "contained": query.contained,
        "having": filter_text(query.having),
        "folding": query.folding.value,
    }


def json_head(query: Query, coverage: Coverage, more: Row | None = None) -> str:
    """Return how an answer's object begins, up to its rows."""
    head = {"query": query_fields(query), "coverage": coverage.as_dict(), **(more or {})}
    return f'{json.dumps(head)[:-1]}, "rows": ['


def write_json(out: TextIO, answer: Answer, rows: Iterable[Row], more: Row | None = None) -> None:
    """Write one object: `query`, `coverage`, what is in `more`, `rows`; a row at a time, so that a long list needs no memory."""
    out.write(json_head(answer.query, answer.coverage, more))
    separator = "\n"
    for row in rows:
        out.write(separator + json.dumps(row, ensure_ascii=True))
        separator = ",\n"
    out.write("\n]}\n")


def write_plain_json(out: TextIO, rows: Iterable[Row]) -> None:
    """Write one object with nothing but `rows`, for what is no answer."""
    out.write('{"rows": [')
    separator = "\n"
    for row in rows:
        out.write(separator + json.dumps(row, ensure_ascii=True))
        separator = ",\n"
    out.write("\n]}\n")


def write_ndjson(out: TextIO, rows: Iterable[Row]) -> None:
    """Write an object a line."""
    out.writelines(json.dumps(row, ensure_ascii=True) + "\n" for row in rows)


def write_csv(out: TextIO, rows: Iterable[Row], names: Sequence[str]) -> None:
    """Write a heading and a line a row (RFC 4180, but lines end in a newline); text can't become a formula."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_field(name) for name in names])
    for row in rows:
        writer.writerow([_field(row.get(name)) for name in names])


def write_markdown(out: TextIO, rows: Iterable[Row], names: Sequence[str]) -> None:
    """Write a table."""
    out.write(markdown_heading(names))
    out.writelines("| " + " | ".join(markdown_cell(row.get(name)) for name in names) + " |\n" for row in rows)


def markdown_heading(names: Sequence[str]) -> str:
    """Return the two lines that a table begins with."""
    return "| " + " | ".join(markdown_cell(name) for name in names) + " |\n|" + " --- |" * len(names) + "\n"


def markdown_cell(raw: object) -> str:
    """Return a value as a cell; text can't end it."""
    return "" if raw is None else printable(raw).replace("\\", "\\\\").replace("|", "\\|")


def write_parquet(out: BinaryIO, rows: Iterable[Row], names: Sequence[str]) -> None:
    """Write a table whose times are times."""
    source = iter(rows)
    pieces = []
    while some := [{name: row.get(name) for name in names} for row in islice(source, SLICE)]:
        pieces.append(pl.DataFrame(some, infer_schema_length=None))
    frame = pl.concat(pieces, how="vertical_relaxed") if pieces else pl.DataFrame()
    times = [name for name in TIMES if frame.schema.get(name) == pl.String]
    frame = frame.with_columns(pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC", strict=False) for name in times)
    frame.write_parquet(out, compression="zstd")


def _field(raw: object) -> object:
    return "" if raw is None else csv_field(raw) if isinstance(raw, str) else raw
