"""Batches: records of one layout become columns, and columns one Polars frame, in the words of `schema.py`.

A column is numpy values with a mask where a value stands (None where all do), or a Polars series; an address is octets of shape
(records, 16). Between the two steps others add what the records don't say themselves, or turn a column round.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui import schema
from nftui.capture.layouts import BACK, LENGTHS, Source
from nftui.capture.values import READINGS, Batch, Values

Columns = dict[str, Values | pl.Series]

NUMPY: dict[str, np.dtype[Any]] = {
    name: np.dtype("i2" if dtype == pl.Int16 else "i4" if dtype == pl.Int32 else "i8") for name, dtype in schema.POLARS.items()
}
MAPPED = np.uint32(int.from_bytes(b"\0\0\xff\xff", "little"))
ICMP = (1, 58)
_TIMES = frozenset(name for name, dtype in schema.POLARS.items() if dtype == schema.TIME)
_ORDER = {column.name: place for place, column in enumerate(schema.COLUMNS)}


def columns_of(batch: Batch) -> Columns:
    """Read records into columns.

    Args:
        batch: The records; what is left out of them is added to its `left_out`.
    Returns:
        The columns that the layout has, each as long as the records; those of the other direction under `BACK` and their name.
    """
    columns: Columns = {}
    numbers: dict[str, Values] = {}
    for column, sources in batch.layout.columns.items():
        reading = sources[0].reading
        if reading == "address":
            columns[column], outer = addresses(batch, sources, bool(batch.layout.outer))
            if outer is not None and f"outer_{column}" in _ORDER:
                columns[f"outer_{column}"] = outer
        elif reading in ("text", "octets"):
            columns[column] = _texts(batch, sources[-1], column)
        else:
            numbers[column] = _number(batch, sources, column)
    _outer_protocol(batch, columns, numbers)
    icmp(numbers)
    columns.update(numbers)
    return columns


def frame_of(columns: Columns) -> pl.DataFrame:
    """Return columns of one length as a frame.

    Returns:
        One row a record, in their order; columns in the order and with the dtypes of `schema.COLUMNS`.
    """
    return pl.DataFrame([_series(name, columns[name]) for name in sorted(columns, key=_ORDER.__getitem__)])


def taken(column: Values | pl.Series, rows: npt.NDArray[np.int64]) -> Values | pl.Series:
    """Return some rows of a column."""
    if isinstance(column, pl.Series):
        return column.gather(pl.Series(rows.astype(np.uint32)))
    values, valid = column
    return values[rows], None if valid is None else valid[rows]


def addresses(batch: Batch, sources: tuple[Source, ...], tunnel: bool) -> tuple[Values, Values | None]:
    """Read an address that may stand in several fields: the last that is not zero counts.

    Args:
        batch: The records.
        sources: The fields, in the order of the template.
        tunnel: Whether the template repeats fields, outer header first.
    Returns:
        Octets, shape (records, 16); and for a tunnel the first address that is not zero, with a mask that is True where it is
        another field than the last.
    """
    words = _address(batch, sources[0])
    if len(sources) == 1:
        return (words.view(np.uint8), None), None
    filled = _filled(batch, sources[0])
    first, at_first, at_last = words.copy(), np.where(filled, 0, len(sources)), np.zeros(len(words), np.int64)
    for place, source in enumerate(sources[1:], 1):
        later, later_filled = _address(batch, source), _filled(batch, source)
        words[later_filled] = later[later_filled]
        at_last[later_filled] = place
        earliest = later_filled & (at_first == len(sources))
        first[earliest], at_first[earliest] = later[earliest], place
    return (words.view(np.uint8), None), (first.view(np.uint8), at_first < at_last) if tunnel else None


def address_series(name: str, octets: npt.NDArray[np.uint8]) -> pl.Series:
    """Return octets, shape (rows, 16), as a Binary column. The way over Array and List is the fastest there is."""
    if not len(octets):
        return pl.Series(name, [], pl.Binary)
    return pl.Series(name, octets).cast(pl.List(pl.UInt8)).cast(pl.Binary)


def constant(name: str, value: object, rows: int) -> pl.Series:
    """Return a column of one value, without a loop over rows."""
    return _single(name, value).new_from_index(0, rows)


def chosen(name: str, words: tuple[object, ...], index: npt.NDArray[Any]) -> pl.Series:
    """Return a column whose rows each have one of a few values; `index` has the shape (rows,)."""
    return pl.Series(name, words, schema.POLARS[name]).gather(pl.Series(index.astype(np.uint32)))


def times(name: str, microseconds: npt.NDArray[np.int64]) -> pl.Series:
    """Return microseconds since 1970 as a time column."""
    return pl.Series(name, microseconds).cast(schema.TIME)


def icmp(numbers: dict[str, Values]) -> None:
    """Leave type and code to ICMP; where no element says them they stand in the destination port, as NetFlow v5 began."""
    if "protocol" not in numbers:
        return
    protocol = numbers["protocol"][0]
    mask = (protocol == ICMP[0]) | (protocol == ICMP[1])
    if "icmp_type" not in numbers and "icmp_code" not in numbers:
        if "destination_port" in numbers and mask.any():
            port = numbers["destination_port"][0]
            numbers["icmp_type"] = (port >> 8).astype(np.int16), mask
            numbers["icmp_code"] = (port & 0xFF).astype(np.int16), mask
        return
    for column in ("icmp_type", "icmp_code"):
        if column in numbers:
            values, valid = numbers[column]
            numbers[column] = values, mask if valid is None else mask & valid


@lru_cache(maxsize=1024)
def _single(name: str, value: object) -> pl.Series:
    return pl.Series(name, [value], schema.POLARS[name])


def _address(batch: Batch, source: Source) -> npt.NDArray[np.uint32]:
    """Return an address as four raw words, shape (records, 4)."""
    raw = batch.records[source.name]
    words = np.empty((len(raw), 4), np.uint32)
    halves = words.view(np.uint64)
    if source.size == 4:
        halves[:, 0] = 0
        words[:, 2] = MAPPED
        words[:, 3] = raw
    else:
        halves[:, 0] = raw[:, 0]
        halves[:, 1] = raw[:, 1]
    return words


def _filled(batch: Batch, source: Source) -> npt.NDArray[np.bool_]:
    """Return whether each address is not zero."""
    raw = batch.records[source.name]
    return np.asarray(raw != 0 if source.size == 4 else (raw[:, 0] != 0) | (raw[:, 1] != 0))


def _number(batch: Batch, sources: tuple[Source, ...], column: str) -> Values:
    """Read a number; of different elements for one column the last that is not zero counts."""
    dtype = NUMPY[column.removeprefix(BACK)]
    values, valid = _read(batch, sources[0], dtype)
    for source in sources[1:]:
        later, later_valid = _read(batch, source, dtype)
        take = later != 0 if later_valid is None else (later != 0) & later_valid
        values = np.where(take, later, values)
        valid = None if valid is None else valid | take
    return values, valid


def _read(batch: Batch, source: Source, dtype: npt.DTypeLike) -> Values:
    values, valid = READINGS[source.reading](batch, source, dtype)
    if said := batch.layout.places.get((LENGTHS, source.offset)):
        there = batch.records[f"at{said[0]}"] > 0
        valid = there if valid is None else valid & there
    return values, valid


def _outer_protocol(batch: Batch, columns: Columns, numbers: dict[str, Values]) -> None:
    source, outer = batch.layout.outer.get("outer_protocol"), columns.get("outer_source_address")
    if source and isinstance(outer, tuple):
        values, _ = _number(batch, source, "outer_protocol")
        numbers["outer_protocol"] = values, outer[1]


def _series(name: str, column: Values | pl.Series) -> pl.Series:
    if isinstance(column, pl.Series):
        return column
    values, valid = column
    if values.ndim == 2:
        series = address_series(name, values)
    elif values.dtype == object:
        texts = values.copy()
        if valid is not None:
            texts[~valid] = None
        return pl.Series(name, texts.tolist(), pl.String)
    else:
        series = pl.Series(name, values.astype(NUMPY[name], copy=False))
        if name in _TIMES:
            series = series.cast(schema.TIME)
    return series if valid is None else _with_nulls(series, valid)


def _with_nulls(series: pl.Series, valid: npt.NDArray[np.bool_]) -> pl.Series:
    if valid.all():
        return series
    return series.zip_with(pl.Series(valid), pl.Series(series.name, [None], series.dtype).new_from_index(0, len(series)))


def _texts(batch: Batch, source: Source, column: str) -> pl.Series:
    """Return a text or octets column; each different value is decoded once, and trailing zero octets are padding."""
    column = column.removeprefix(BACK)
    raw = np.ascontiguousarray(batch.records[source.name])
    if source.reading == "octets":
        octets = raw.view(np.uint8).reshape(len(raw), source.size)
        if not len(raw):
            return pl.Series(column, [], pl.Binary)
        series = pl.Series(column, octets).cast(pl.List(pl.UInt8)).cast(pl.Binary)
        return _with_nulls(series, np.asarray(octets.any(axis=1)))
    different, index = np.unique(raw, return_inverse=True)
    return chosen(column, tuple(text.decode("utf-8", "replace") or None for text in different.tolist()), index)
