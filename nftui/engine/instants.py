"""When a flow began and ended, as questions and file names understand it: one rule for both.

A record without a start begins where it ends, one without either when it was received; one that ends before it starts lies at its
start. Times that an exporter told are corrected by what its clock was off. Microseconds since 1970, Int64.
"""

from __future__ import annotations

import polars as pl

_CORRECTION = pl.col("clock_correction").fill_null(0)
START = pl.coalesce(pl.coalesce("flow_start", "flow_end").to_physical() + _CORRECTION, pl.col("received").to_physical())
END = pl.max_horizontal(
    START, pl.coalesce(pl.coalesce("flow_end", "flow_start").to_physical() + _CORRECTION, pl.col("received").to_physical())
)
RECEIVED = pl.col("received").to_physical()
TIMES = ("flow_start", "flow_end", "received")
COLUMNS = (*TIMES, "clock_correction")
"""The columns that these read."""
EXPORTED = ("flow_start", "flow_end")
"""Times that exporters told."""


def shown(name: str) -> pl.Expr:
    """Return a time that an exporter told as a person is shown it: corrected; null stays null."""
    return pl.col(name) + pl.duration(microseconds=_CORRECTION)


def corrected(flows: pl.DataFrame) -> pl.DataFrame:
    """Return flow records with the times that questions take them for, to be shown to a person."""
    if "clock_correction" not in flows.columns:
        return flows
    return flows.with_columns(shown(name) for name in EXPORTED if name in flows.columns)
