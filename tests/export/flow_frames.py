"""Random flows with as many columns as the wire has places for, and what is to be read of them again."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nftui import schema
from nftui.capture.batch import address_series
from nftui.export import fields
from nftui.units import MAPPED_PREFIX

ADDRESSES = tuple(name for name, _, _ in (*fields.ADDRESSES, *fields.MORE_ADDRESSES))
BITS = {"layer2_segment_id": 24, "octets": 36, "packets": 30, "out_octets": 53, "out_packets": 53, "flow_count": 53} | {
    "connection_id": 62, "ip_total_length": 16, "flow_label": 20, "sampling_interval": 20
}  # fmt: skip
"""How large values are, where it is not as large as the field or the column is."""
NUMBERS = {
    name: min(8 * octets, 15 if schema.POLARS[name] == pl.Int16 else 62) for name, _, octets in (*fields.NUMBERS, *fields.PORTS)
}
NUMBERS |= BITS | {"tcp_flags": 8, "source_mask": 7, "destination_mask": 7} | {name: 20 for name, _, _ in fields.LABELS}
KEY = "connection_id"
"""Tells flows apart."""


def frame(seed: int, rows: int, now: int, absent: float = 0.3, patterns: int = 2) -> pl.DataFrame:
    """Return flows; columns are absent in some rows and in some of a few patterns.

    Args:
        seed: The same one makes the same flows.
        rows: How many.
        now: Microseconds since 1970; flows end before it, some of them very long before.
        absent: The share of columns that a pattern has not.
        patterns: How many patterns there are.
    """
    random = np.random.default_rng(seed)
    pattern = random.integers(0, patterns, rows)
    made: dict[str, pl.Series] = {}

    def add(name: str, series: pl.Series, *, always: bool = False) -> None:
        valid = pl.Series((random.random(patterns) >= (0 if always else absent))[pattern])
        made[name] = series.rename(name).cast(schema.POLARS[name]).zip_with(valid, pl.Series([None], dtype=schema.POLARS[name]))

    four = random.random(rows) < 0.7
    for name in ADDRESSES:
        add(name, address_series(name, _addresses(random, four)))
    for name, bits in NUMBERS.items():
        add(name, pl.Series(random.integers(1, 2**bits, rows)))
    add(KEY, pl.Series(np.arange(1, rows + 1)), always=True)
    end = now // 1000 - 1 - (random.random(rows) ** 30 * 1.5e12).astype(np.int64)
    start = end - random.integers(0, 4_000_000, rows)
    for name, times in (("flow_start", start), ("flow_end", end)):
        add(name, pl.Series(times * 1000))
    icmp = random.random(rows) < 0.2
    protocol = np.where(icmp, np.where(random.random(rows) < 0.5, 1, 58), random.integers(2, 58, rows))
    add("protocol", pl.Series(protocol), always=True)
    for name in ("icmp_type", "icmp_code"):
        series = pl.Series(random.integers(0, 256, rows)).cast(schema.POLARS[name])
        made[name] = series.zip_with(pl.Series(icmp), pl.Series([None], dtype=schema.POLARS[name])).rename(name)
    return pl.DataFrame(made).select(name for name in schema.POLARS if name in made)


def read_again(sent: pl.DataFrame) -> pl.DataFrame:
    """Return flows as they are read of v9 and IPFIX: a prefix's length needs its address."""
    return sent.with_columns(
        pl.when(pl.col(f"{end}_address").is_not_null()).then(pl.col(f"{end}_mask")).alias(f"{end}_mask")
        for end in ("source", "destination")
        if f"{end}_mask" in sent.columns
    )


def _addresses(random: np.random.Generator, four: NDArray[np.bool_]) -> NDArray[np.uint8]:
    octets = random.integers(1, 256, (len(four), 16), np.uint8)
    octets[four, :12] = np.frombuffer(MAPPED_PREFIX, np.uint8)
    return octets
