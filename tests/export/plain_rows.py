"""Flow records written one at a time, value by value: slow and plain, for comparison with what is written by columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from nftui.engine import keys
from nftui.engine.instants import corrected
from nftui.engine.query import EACH_WAY, Answer
from nftui.export.rows import rates
from nftui.export.text import Form, clock, flags_text, record_cells
from nftui.schema import BY_NAME
from nftui.units import SECOND, address_text, mac_text, rfc3339

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def value(name: str, raw: object) -> Any:
    """Return one value of a column of the schema as it stands in machine-readable output."""
    column = BY_NAME.get(name)
    if raw is None or column is None:
        return raw
    if column.kind == "time" and isinstance(raw, int):
        return rfc3339(raw)
    if isinstance(raw, bytes):
        return address_text(raw) if column.kind == "address" else raw.hex()
    if column.kind == "mac" and isinstance(raw, int):
        return mac_text(raw)
    return raw


def flow_rows(frame: pl.DataFrame) -> Iterator[Row]:
    """Yield flow records; absent values are left out."""
    times = [name for name, dtype in frame.schema.items() if dtype == pl.Datetime]
    frame = frame.with_columns(pl.col(times).to_physical())
    for row in frame.iter_rows(named=True):
        yield {name: value(name, raw) for name, raw in row.items() if raw is not None}


def flow_lines(frame: pl.DataFrame, form: Form) -> Iterator[str]:
    """Yield a heading and a line a flow record."""
    wide = form.end
    yield (
        f"{'Date first seen':<23} {'Duration':>9} {'Proto':<5} {'Src IP Addr:Port':>{wide}}    {'Dst IP Addr:Port':<{wide}} "
        f"{'Flags':<8} {'Tos':>3} {'Packets':>8} {'Bytes':>8}"
    )
    for row in flow_rows(corrected(frame)):
        start, end = _microseconds(row.get("flow_start")), _microseconds(row.get("flow_end"))
        length = (end - start) / SECOND if start is not None and end is not None else 0.0
        proto, source, destination = record_cells(row, form)
        flags = flags_text(row.get("tcp_flags")) if row.get("protocol") == 6 else "........"
        yield (
            f"{clock(start) if start is not None else '-':<23} {length:>9.3f} {proto:<5} {source:>{wide}} -> {destination:<{wide}} "
            f"{flags} {row.get('tos', '-'):>3} {form.count(row['packets']) if 'packets' in row else '-':>8} "
            f"{form.octets(row['octets']) if 'octets' in row else '-':>8}"
        )


def _microseconds(text: object) -> int | None:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1) if isinstance(text, str) else None


def group_rows(answer: Answer) -> list[Row]:
    """Return the groups of an answer: keys, sums, rates over each group's own duration, shares of the total."""
    rows = []
    for group in answer.groups.iter_rows(named=True):
        row = {keys.key(key).field: keys.value(key, group[key]) for key in answer.query.keys}
        row.update({name: group[name] for name in ("octets", "packets", "flows", *EACH_WAY) if name in group})
        first, last = group.get("first"), group.get("last")
        row.update(rates(row["octets"], row["packets"], (last - first) if first is not None and last is not None else 0))
        for name in ("octets", "packets", "flows"):
            total = getattr(answer.total, name)
            row[f"{name}_percent"] = round(100 * row[name] / total, 4) if total else 0.0
        if first is not None and last is not None:
            row["first"], row["last"] = rfc3339(first), rfc3339(last)
        rows.append(row)
    return rows
