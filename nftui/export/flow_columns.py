"""A frame of flows as the columns that encoders take: numpy values, and where there are any."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nftui import schema

Mask = NDArray[np.bool_]
_ADDRESSES = frozenset(column.name for column in schema.COLUMNS if column.kind == "address")
_NOBODY = bytes(16)


@dataclass(frozen=True, slots=True)
class FlowColumns:
    """Flows as numpy arrays of one length, under their names of `schema.py`.

    Attributes:
        rows: How many.
        values: Times int64, microseconds since 1970; addresses uint8 of shape (flows, 16); others integers. 0 where there is none.
        valid: Where there is a value, shape (flows,); a column that is not named here has one everywhere.
    """

    rows: int
    values: dict[str, NDArray[Any]]
    valid: dict[str, Mask] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: pl.DataFrame) -> FlowColumns:
        """Take a frame apart; columns without any value, texts and octets are left out."""
        values: dict[str, NDArray[Any]] = {}
        valid: dict[str, Mask] = {}
        for series in frame.get_columns():
            known = schema.BY_NAME.get(series.name)
            if known is None or known.kind in ("text", "flag") or series.null_count() == len(series):
                continue
            if series.name in _ADDRESSES:
                values[series.name], there = _addresses(series)
            else:
                there = series.is_not_null() if series.null_count() else None
                numbers = series.to_physical() if known.kind == "time" else series
                values[series.name] = (numbers if there is None else numbers.fill_null(0)).to_numpy()
            if there is not None:
                valid[series.name] = there.to_numpy()
        return cls(frame.height, values, valid)

    def has(self, name: str) -> Mask | bool:
        """Return where a column has a value: everywhere, nowhere, or a mask."""
        return self.valid.get(name, True) if name in self.values else False


def _addresses(series: pl.Series) -> tuple[NDArray[np.uint8], pl.Series | None]:
    """Return addresses as octets, shape (flows, 16), and where there is one; one that has not 16 octets is none."""
    there = series.bin.size() == len(_NOBODY)
    mask = None if there.all(ignore_nulls=False) else there.fill_null(value=False)
    if mask is not None:
        series = series.set(~mask, None).fill_null(_NOBODY)
    halves = series.bin.reinterpret(dtype=pl.Array(pl.UInt64, 2), endianness="little").to_numpy()
    return np.ascontiguousarray(halves).view(np.uint8).reshape(-1, len(_NOBODY)), mask
