"""Flow records as the text of machine-readable output, a column at a time: no loop over records.

Tests hold it beside texts that are made one by one. Python looks at distinct texts only, and of those at the ones that aren't plain
ASCII.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nftui.schema import BY_NAME
from nftui.units import EARLIEST, LATEST

TIME_FORM = "%Y-%m-%dT%H:%M:%S%.6fZ"
_MAPPED = np.array([0, 0, 0, 0, 0, 0xFFFF], dtype=np.uint16)


@cache
def _groups() -> pl.Series:
    """Return the texts of all 16-bit groups of an IPv6 address. Such tables are made when they are needed: it takes 10 ms each."""
    return pl.Series([f"{number:x}" for number in range(1 << 16)])


@cache
def _octets() -> pl.Series:
    return pl.Series([f"{number:02x}" for number in range(256)])


@cache
def _halves(end: str) -> pl.Series:
    """Return the texts of all halves of an IPv4 address, and what follows them."""
    return pl.Series([f"{number >> 8}.{number & 255}{end}" for number in range(1 << 16)])


def plain(frame: pl.DataFrame, text: Callable[[str], str], quote: str = "") -> pl.DataFrame:
    """Return records with every column as text, number or Boolean; null stays null.

    Args:
        frame: Columns of the schema.
        text: What text from outside becomes; plain ASCII that begins with a letter or digit and has no `"`, `|` or backslash is
            only put between `quote`.
        quote: What times and addresses stand between, and plain text.
    """
    return frame.select(_column(series, text, quote) for series in frame)


def _column(series: pl.Series, text: Callable[[str], str], quote: str) -> pl.Series:
    kind = BY_NAME[series.name].kind if series.name in BY_NAME else ""
    if isinstance(series.dtype, pl.Datetime):
        return times(series.to_physical(), quote)
    if series.dtype == pl.Binary:
        shown = addresses(series) if kind == "address" else series.bin.encode("hex")
    elif series.dtype == pl.String:
        return _texts(series, text, quote)
    elif kind == "mac":
        shown = macs(series)
    else:
        return series
    return (quote + shown + quote).alias(series.name) if quote else shown


def times(series: pl.Series, quote: str = "") -> pl.Series:
    """Return microseconds since 1970 as times, between quotes where there are any, within the years 1 to 9999."""
    return series.clip(EARLIEST, LATEST).cast(pl.Datetime("us")).dt.strftime(quote + TIME_FORM + quote)


def addresses(series: pl.Series) -> pl.Series:
    """Return 16 octets each as an address, IPv4 where it is mapped; octets of another number in hexadecimal."""
    known = series.bin.reinterpret(dtype=pl.Array(pl.UInt8, 16), endianness="little")
    empty = known.is_null()
    held = known.drop_nulls()
    groups = held.to_numpy().reshape(-1, 16).view(">u2").astype(np.uint16)
    mapped = (groups[:, :6] == _MAPPED).all(axis=1)
    if mapped.all():
        shown = _dotted(groups)
    else:
        fours, sixes = np.nonzero(mapped)[0], np.nonzero(~mapped)[0]
        shown = _put_back([(fours, _dotted(groups[fours])), *_colons(groups, sixes)])
    if empty.any():
        places = pl.Series(np.cumsum(~empty.to_numpy()) - 1).cast(pl.Int64).zip_with(~empty, pl.Series([None], dtype=pl.Int64))
        shown = (
            shown.gather(places.cast(pl.UInt32))
            if len(shown)
            else pl.Series([None], dtype=pl.String).new_from_index(0, len(series))
        )
        shown = shown.zip_with(~empty, series.bin.encode("hex"))
    return shown.alias(series.name)


def macs(series: pl.Series) -> pl.Series:
    """Return numbers of 48 bit as MAC addresses."""
    octets = [_octets().gather((series // (1 << shift) % 256).cast(pl.UInt32)).alias(str(shift)) for shift in range(40, -1, -8)]
    return pl.DataFrame(octets).select(pl.concat_str(pl.all(), separator=":")).to_series().alias(series.name)


def _dotted(groups: NDArray[np.uint16]) -> pl.Series:
    halves = _halves(".").gather(_places(groups[:, 6])).alias("a"), _halves("").gather(_places(groups[:, 7])).alias("b")
    return pl.DataFrame(halves).select(pl.concat_str("a", "b")).to_series()


def _colons(groups: NDArray[np.uint16], places: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], pl.Series]]:
    """Return IPv6 addresses (RFC 5952), those with the same groups left out together."""
    zeros = np.packbits(groups[places] == 0, axis=1)[:, 0]
    runs = _RUNS[zeros]
    found = []
    for run in np.unique(runs):
        some = places[runs == run]
        start, length = divmod(int(run), 16)
        left = _joined(groups[some, :start]) if length else None
        right = _joined(groups[some, start + length :])
        if left is None:
            found.append((some, right))
        else:
            frame = pl.DataFrame([left.alias("a"), right.alias("b")])
            found.append((some, frame.select(pl.concat_str("a", "b", separator="::")).to_series()))
    return found


def _joined(groups: NDArray[np.uint16]) -> pl.Series:
    if not groups.shape[1]:
        return pl.Series([""]).new_from_index(0, len(groups))
    columns = [_groups().gather(_places(groups[:, place])).alias(str(place)) for place in range(groups.shape[1])]
    return pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator=":")).to_series()


def _put_back(pieces: list[tuple[NDArray[np.int64], pl.Series]]) -> pl.Series:
    order = np.argsort(np.concatenate([places for places, _ in pieces]), kind="stable")
    return pl.concat([shown for _, shown in pieces]).gather(order.astype(np.uint32))


def _places(numbers: NDArray[np.uint16]) -> NDArray[np.uint32]:
    return numbers.astype(np.uint32)


def _texts(series: pl.Series, text: Callable[[str], str], quote: str) -> pl.Series:
    plain_text = series.str.contains(r"^[A-Za-z0-9][ !#-\[\]-{}~]{0,250}$")
    shown = (quote + series + quote) if quote else series
    if plain_text.all():
        return shown.alias(series.name)
    odd = series.filter(~plain_text).unique()
    told = pl.Series([text(one) for one in odd.to_list()], dtype=pl.String)
    return shown.zip_with(
        plain_text.fill_null(value=True), series.replace_strict(odd, told, default=None, return_dtype=pl.String)
    ).alias(series.name)


def _run(zeros: int) -> int:
    """Return which groups an address leaves out, start x 16 + length: the first longest run of two or more zeros."""
    bits = f"{zeros:08b}"
    length = max((size for size in range(2, 9) if "1" * size in bits), default=0)
    return bits.index("1" * length) * 16 + length if length else 0


_RUNS = np.array([_run(zeros) for zeros in range(256)], dtype=np.uint8)
