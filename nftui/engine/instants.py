"""When a flow began and ended, as questions and file names understand it: one rule for both.

A record without a start begins where it ends, one without either when it was received; one that ends before it starts lies at its
start. Microseconds since 1970, Int64.
"""

from __future__ import annotations

import polars as pl

START = pl.coalesce("flow_start", "flow_end", "received").to_physical()
END = pl.max_horizontal(START, pl.coalesce("flow_end", "flow_start", "received").to_physical())
RECEIVED = pl.col("received").to_physical()
COLUMNS = ("flow_start", "flow_end", "received")
"""The columns that these read."""
