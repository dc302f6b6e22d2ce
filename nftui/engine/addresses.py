"""Addresses as numbers, which group faster, and back."""

from __future__ import annotations

import polars as pl


def address_octets(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn columns of 128 bit numbers, which are addresses, back into 16 octets; for groups, which are few beside flows."""
    octets = [
        pl.Series(name, [None if value is None else value.to_bytes(16, "big") for value in frame[name].to_list()], dtype=pl.Binary)
        for name, dtype in frame.schema.items()
        if dtype == pl.UInt128
    ]
    return frame.with_columns(octets) if octets else frame
