"""Flow records to text, CSV, JSON, NDJSON, Markdown and Parquet: frame by frame, as many as there are, and no loop over them.

Of NDJSON a line is a line of CSV without quotes: `{"octets": ` `40` `, "packets": ` `1` `}`, with a separator that is taken out
again. Polars writes those four times as quickly as it joins texts.
"""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any, BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from nftui.engine.ordered import Records
from nftui.errors import Cancelled, ExportError
from nftui.export import flow_lines
from nftui.export.cells import plain
from nftui.export.rows import json_head, markdown_cell, markdown_heading, write_csv
from nftui.export.text import Form
from nftui.printable import csv_field
from nftui.schema import POLARS

FORMS = ("text", "csv", "json", "ndjson", "markdown", "parquet")
SLICE = 65_536
"""Records that are text at a time."""
BETWEEN = "\x1f"
"""A character that JSON has only as an escape."""
Progress = Callable[[int, int], None]
"""Told how many records are written, of how many."""


def write_records(
    out: BinaryIO,
    records: Records,
    form: str,
    progress: Progress | None = None,
    cancelled: Event | None = None,
    style: Form | None = None,
) -> int:
    """Write all records.

    Args:
        out: Where to; `destination.Destination` makes it a file that is whole or not there.
        records: Of a back end, in their order.
        form: One of `FORMS`. Parquet has the columns as the store has them, the others as machine-readable output has them.
        progress: Called now and then, on the thread that writes or one of Polars'.
        cancelled: Set by anyone to have the writing given up.
        style: How text writes numbers.
    Returns:
        How many were written.
    Raises:
        Cancelled: As was asked.
        StoreError: The store can't be read on.
    """
    written = 0

    def told(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        nonlocal written
        for frame in frames:
            if cancelled is not None and cancelled.is_set():
                raise Cancelled(f"given up after {written:,} of {records.flows:,} flows")
            yield frame
            written += frame.height
            if progress is not None:
                progress(written, max(records.flows, written))

    if form == "parquet":
        _write_parquet(out, records, told(records.frames()))
        return written
    names, style = records.columns, style or Form()
    pieces = told(piece for frame in records.frames() for piece in frame.iter_slices(SLICE))
    out.write(_begun(form, records, style))
    separator = b"\n"
    for piece in pieces:
        if form == "json":
            out.write(separator + _json_lines(piece, ",\n").removesuffix(b",\n"))
            separator = b",\n"
        elif form == "ndjson":
            out.write(_json_lines(piece, "\n"))
        elif form == "csv":
            out.write(_csv_lines(piece))
        elif form == "text":
            out.write(flow_lines.lines(piece, style))
        else:
            out.write(_markdown_lines(piece, names))
    if form == "json":
        out.write(b"\n]}\n")
    return written


def _begun(form: str, records: Records, style: Form) -> bytes:
    text = io.StringIO()
    if form == "json":
        text.write(json_head(records.query, records.coverage))
    elif form == "csv":
        write_csv(text, (), records.columns)
    elif form == "markdown":
        text.write(markdown_heading(records.columns))
    elif form == "text":
        text.write(flow_lines.heading(style))
    return text.getvalue().encode()


def _json_lines(frame: pl.DataFrame, end: str) -> bytes:
    """Return an object a record, as `json.dumps` writes it; absent values are left out."""
    cells = [cell for cell in plain(frame, json.dumps, '"') if cell.null_count() < frame.height]
    # The comma of what some records lack goes with it: behind it, until there is a value that all have, and then before it.
    whole = next((place for place, cell in enumerate(cells) if not cell.null_count()), None)
    table = pl.DataFrame(cells)
    if whole is None:
        listed = [pl.concat_str(pl.lit(f'"{cell.name}": '), pl.col(cell.name)) for cell in cells]
        joined = pl.concat_str(pl.lit("{"), pl.concat_str(listed, separator=", ", ignore_nulls=True), pl.lit("}"))
        return _lines(table.select(joined), end)
    columns = [pl.lit("{")]
    for place, cell in enumerate(cells):
        key, value = f'"{cell.name}": ', pl.col(cell.name)
        if place < whole:
            columns.append(pl.concat_str(pl.lit(key), value, pl.lit(", ")))
        elif place == whole:
            columns += [pl.lit(key), value]
        elif cell.null_count():
            columns.append(pl.concat_str(pl.lit(", " + key), value))
        else:
            columns += [pl.lit(", " + key), value]
    columns.append(pl.lit("}"))
    return _lines(table.select(column.alias(str(place)) for place, column in enumerate(columns)), end)


def _lines(frame: pl.DataFrame, end: str) -> bytes:
    """Return lines of what stands in the columns, nothing between them."""
    out = io.BytesIO()
    frame.write_csv(out, include_header=False, separator=BETWEEN, quote_style="never", null_value="", line_terminator=end)
    # Quicker than to replace it by nothing.
    return out.getvalue().translate(None, BETWEEN.encode())


def _csv_lines(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    _worded(plain(frame, csv_field)).write_csv(out, include_header=False, quote_style="necessary", line_terminator="\n")
    return out.getvalue()


def _markdown_lines(frame: pl.DataFrame, names: tuple[str, ...]) -> bytes:
    cells = _worded(plain(frame, markdown_cell)).select(pl.col(name).cast(pl.String).fill_null("") for name in names)
    lines = cells.select(pl.concat_str(pl.lit("| "), pl.concat_str(pl.all(), separator=" | "), pl.lit(" |")))
    return _lines(lines, "\n")


def _worded(frame: pl.DataFrame) -> pl.DataFrame:
    """Return Booleans as the words that stand for them in CSV and Markdown."""
    flags = [name for name, dtype in frame.schema.items() if dtype == pl.Boolean]
    return frame.with_columns(pl.when(pl.col(name)).then(pl.lit("True")).otherwise(
        pl.when(pl.col(name).not_()).then(pl.lit("False"))
    ).alias(name) for name in flags)  # fmt: skip


def _write_parquet(out: BinaryIO, records: Records, frames: Iterator[pl.DataFrame]) -> None:
    schema: dict[str, Any] = {name: POLARS.get(name, pl.String) for name in records.columns or POLARS}

    def source(columns: Any, predicate: Any, rows: Any, batch: Any) -> Iterator[pl.DataFrame]:
        yield from frames

    try:
        register_io_source(source, schema=schema).sink_parquet(out, compression="zstd", compression_level=3)
    except pl.exceptions.PolarsError as error:
        # What the system said of the file is part of Polars' words.
        told = str(error).splitlines()[0]
        if os.strerror(errno.EPIPE) in told:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
        raise ExportError(f"Parquet can't be written: {told}") from error
