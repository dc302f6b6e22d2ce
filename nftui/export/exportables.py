"""What is looked at, ready to be written: a ranked list, a series, a matrix, flow records, a table; each in every form.

The forms are those of `nftui top`, `series`, `pairs` and `flows`, made by the same modules, so that a file from the dashboard and
one from the command line are read by the same script.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO, cast

from nftui.engine import keys
from nftui.engine.filters import text as filter_text
from nftui.engine.matrix import Matrix
from nftui.engine.query import EACH_WAY, Answer, BackEnd, Kind, Measure, Query
from nftui.errors import Cancelled, ExportError
from nftui.export import rows
from nftui.export.destination import Destination
from nftui.export.flow_records import FORMS, Progress, write_records
from nftui.export.matrix_table import MatrixTable
from nftui.export.series_table import SeriesTable
from nftui.export.text import Form, clock
from nftui.export.top_lists import top_block
from nftui.printable import printable

Row = dict[str, Any]
Names = Callable[[Iterable[str]], Mapping[str, str]]
"""Tells what addresses are called, as far as it is known."""
SUFFIXES = {"text": "txt", "csv": "csv", "json": "json", "ndjson": "ndjson", "markdown": "md", "parquet": "parquet", "svg": "svg"}
"""Form -> how the names of its files end."""
ADVICE = "take another name or place"


@dataclass(frozen=True)
class Exportable:
    """Something that can be written.

    Attributes:
        name: A word for the names of files: `top`, `series`.
        title: What it is, for people.
        write: Writes it in one of `forms`; may take long, and raises an `NftuiError` or, where it was given up, `Cancelled`.
        forms: Those it has.
    """

    name: str
    title: str
    write: Callable[[BinaryIO, str, Progress, Event], None]
    forms: tuple[str, ...] = FORMS


@dataclass(frozen=True)
class Contents:
    """Rows, and what stands around them.

    Attributes:
        fields: Names of the rows' fields, in order.
        rows: The rows, plain values.
        lines: The same for people.
        answer: What they are of; None for what is no answer of the store.
        more: What JSON has beside the rows.
    """

    fields: Sequence[str]
    rows: Iterable[Row]
    lines: Callable[[], Iterable[str]]
    answer: Answer | None = None
    more: Mapping[str, Any] | None = None


def made(name: str, title: str, contents: Callable[[], Contents]) -> Exportable:
    """Return an exportable of rows, which are made when they are written."""

    def write(out: BinaryIO, form: str, progress: Progress, cancelled: Event) -> None:
        made = contents()
        _write(out, form, replace(made, rows=_until(cancelled, made.rows)))

    return Exportable(name, title, write)


def ranked(back_end: BackEnd, query: Query, title: str, *, iec: bool = False, names: Names | None = None) -> Exportable:
    """Return a ranked list, with the times, rates and shares that `nftui top` tells; it is asked for when it is written."""
    asked = replace(query, bins=None, times=True)

    def contents() -> Contents:
        answer = back_end.answer(asked)
        fields = [keys.key(name).field for name in asked.keys]
        fields += [name for name in rows.GROUP_FIELDS if name not in EACH_WAY]
        labels = None if names is None else {address: printable(name) for address, name in names(_addresses(answer)).items()}
        form = Form(iec=iec, labels=labels or None)
        total = answer.total
        more = {
            "total": {"octets": total.octets, "packets": total.packets, "flows": total.flows},
            "other": rows.other_row(answer),
        }
        statistic = asked.keys[0] if len(asked.keys) == 1 else "record"
        return Contents(
            fields, rows.group_rows(answer), lambda: [*_heading(answer), *top_block(answer, statistic, form)], answer, more
        )

    return made("top", title, contents)


def series(back_end: BackEnd, answer: Answer, title: str, *, iec: bool = False) -> Exportable:
    """Return the series of an answer, as `nftui series` has it: a row a bin."""

    def contents() -> Contents:
        query = answer.query
        whole = back_end.answer(replace(query, keys=(), only=None)) if keys.either(query.keys) else None
        table = SeriesTable(answer, whole=whole)
        listed = table.rows()
        more = {"unit": query.measure.value, "groups": table.groups()}
        fields = list(listed[0]) if listed else ["time"]
        return Contents(fields, listed, lambda: [*_heading(answer), *table.lines(Form(iec=iec))], answer, more)

    return made("series", title, contents)


def pairs(matrix: Matrix, measure: Measure, title: str, *, iec: bool = False) -> Exportable:
    """Return who sent how much to whom, as `nftui pairs --matrix` has it."""

    def contents() -> Contents:
        table = MatrixTable(matrix, measure)
        lines = lambda: [*_heading(matrix.top), *table.lines(Form(iec=iec))]  # noqa: E731
        return Contents(table.fields, table.rows(), lines, matrix.top, {"elements": table.elements})

    return made("pairs", title, contents)


def records(back_end: BackEnd, query: Query, title: str, *, iec: bool = False) -> Exportable:
    """Return flow records, as many as the question takes, in its order and in bounded memory."""
    asked = replace(query, kind=Kind.FLOWS, bins=None)

    def write(out: BinaryIO, form: str, progress: Progress, cancelled: Event) -> None:
        write_records(out, back_end.records(asked), form, progress, cancelled, Form(iec=iec))

    return Exportable("flows", title, write)


def table(name: str, title: str, fields: Sequence[str], cells: Callable[[], Iterable[Sequence[str]]]) -> Exportable:
    """Return a table as it is shown: texts in columns."""

    def contents() -> Contents:
        listed = [[printable(cell) for cell in line] for line in cells()]
        from nftui.export.text import table as lines_of

        return Contents(
            fields,
            (dict(zip(fields, line, strict=True)) for line in listed),
            lambda: lines_of(list(fields), listed, set(fields)),
        )

    return made(name, title, contents)


def write_file(one: Exportable, form: str, path: Path, *, replacing: bool, progress: Progress, cancelled: Event) -> int:
    """Write a file that appears whole or not at all; return its octets.

    Args:
        one: What.
        form: One of its forms.
        path: Where to; one that begins with `~` is in somebody's home.
        replacing: Whether a file that is there is replaced.
        progress: Told what is written, where that can be said.
        cancelled: Set by anyone to have it given up.
    Raises:
        Cancelled: As was asked.
        ExportError: It can't be written there.
        NftuiError: It can't be made.
    """
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise ExportError(f"{path}: nobody's home; {ADVICE}") from error
    with Destination(path, replace=replacing, advice=ADVICE) as destination:
        one.write(destination.file, form, progress, cancelled)
        if cancelled.is_set():
            raise Cancelled("given up; nothing was written")
        destination.file.flush()
        return destination.file.tell() if destination.file.seekable() else 0


def write_unnamed(one: Exportable, form: str, *, progress: Progress, cancelled: Event) -> BinaryIO:
    """Write a file without a name, for whoever hands it on; it is gone when it is closed.

    Raises:
        NftuiError: As `write_file`.
    """
    try:
        file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  the caller closes it
        try:
            one.write(file, form, progress, cancelled)
            if cancelled.is_set():
                raise Cancelled("given up; nothing was written")
            file.seek(0)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise ExportError(f"{tempfile.gettempdir()}: {error.strerror or error}") from error
    return file


def taken(path: Path) -> bool:
    """Return whether something is there already that writing would replace."""
    try:
        return path.expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def _write(out: BinaryIO, form: str, made: Contents) -> None:
    if form == "parquet":
        rows.write_parquet(out, made.rows, made.fields)
        return
    text = io.TextIOWrapper(out, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
    try:
        if form == "json" and made.answer is not None:
            rows.write_json(text, made.answer, made.rows, dict(made.more or {}))
        elif form == "json":
            rows.write_plain_json(text, made.rows)
        elif form == "ndjson":
            rows.write_ndjson(text, made.rows)
        elif form == "csv":
            rows.write_csv(text, made.rows, made.fields)
        elif form == "markdown":
            rows.write_markdown(text, made.rows, made.fields)
        else:
            text.writelines(line + "\n" for line in made.lines())
    finally:
        text.detach()


def _until(cancelled: Event, listed: Iterable[Row]) -> Iterable[Row]:
    if cancelled.is_set():
        raise Cancelled("given up; nothing was written")
    for row in listed:
        if cancelled.is_set():
            raise Cancelled("given up; nothing was written")
        yield row


def _heading(answer: Answer) -> list[str]:
    """Return what the lines below are of: the range and the filter."""
    interval = answer.query.interval or answer.interval or answer.coverage.held
    span = "all that is held" if interval is None else f"{clock(interval.start)} - {clock(interval.end)}"
    said = filter_text(answer.query.where)
    return [f"{span}  {printable(said, 2000)}" if said else span]


def _addresses(answer: Answer) -> Iterable[str]:
    for name in answer.query.keys:
        if keys.key(name).kind == "address":
            yield from (str(keys.value(name, raw)) for raw in answer.groups[name].to_list() if raw is not None)
