"""Flow records as text for people, a line a record, made a column at a time: no loop over records.

Numbers are looked up: with suffixes there are some thousand texts of them. What lies too near to where digits are rounded for
floating point to tell, and what is out of the ordinary, is written by the functions of `text.py`, each such value once.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from nftui.engine.instants import corrected
from nftui.engine.names import protocol_name
from nftui.export.cells import addresses
from nftui.export.text import Form, flags_text
from nftui.printable import MAX_WIDTH, NAME_WIDTH, printable
from nftui.schema import POLARS
from nftui.units import EARLIEST, IEC, LATEST, SECOND, SI

EXACT = 1 << 52
"""Whole numbers below it, and their tenths, are floating point numbers that differ."""
NEAR = 1e-6
HOUR = 3600
TCP = 6
_DIGITS = pl.Series([f"{number:03d}" for number in range(1000)])
_PADDED = pl.Series([f"{number:02d}" for number in range(100)])
_SIGNS = pl.Series(["", "-"])
_BINARY = pl.Series([f" {suffix}B" for suffix in IEC])
_BEFORE_PORT = pl.Series([":", "."])
_FLAGS = pl.Series([flags_text(number) for number in range(256)])


def heading(form: Form) -> str:
    """Return the line above the records, with its end."""
    wide = form.end
    return (
        f"{'Date first seen':<23} {'Duration':>9} {'Proto':<5} {'Src IP Addr:Port':>{wide}}    {'Dst IP Addr:Port':<{wide}} "
        f"{'Flags':<8} {'Tos':>3} {'Packets':>8} {'Bytes':>8}\n"
    )


def lines(frame: pl.DataFrame, form: Form) -> bytes:
    """Return a line a record, times corrected.

    Args:
        frame: Columns of the schema, and where addresses have names `source_address_name`, `source_country` and so on.
        form: For the numbers.
    """
    frame = corrected(frame)
    start, end = (_microseconds(_column(frame, name)) for name in ("flow_start", "flow_end"))
    protocol = _column(frame, "protocol")
    cells = [
        _clocks(start).fill_null("-").str.pad_end(23),
        _seconds((end - start).fill_null(0)).str.pad_start(9),
        _distinct(protocol, protocol_name).fill_null("-").str.pad_end(5),
        _ends(frame, "source", form).str.pad_start(form.end),
        pl.Series(["->"]).new_from_index(0, frame.height),
        _ends(frame, "destination", form).str.pad_end(form.end),
        _flags(_column(frame, "tcp_flags"), protocol),
        _column(frame, "tos").cast(pl.String).fill_null("-").str.pad_start(3),
        _counts(_column(frame, "packets"), form).fill_null("-").str.pad_start(8),
        _octets(_column(frame, "octets"), form).fill_null("-").str.pad_start(8),
    ]
    out = io.BytesIO()
    table = pl.DataFrame([cell.alias(str(place)) for place, cell in enumerate(cells)])
    # A line is one of CSV without quotes, which is written far more quickly than texts are joined.
    table.write_csv(out, include_header=False, separator=" ", quote_style="never", line_terminator="\n")
    return out.getvalue()


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    return frame[name] if name in frame.columns else pl.Series(name, [None], dtype=POLARS[name]).new_from_index(0, frame.height)


def _distinct(series: pl.Series, text: Callable[[Any], str]) -> pl.Series:
    """Return the texts of values, of which there are few different ones; null stays null."""
    distinct = series.drop_nulls().unique()
    told = pl.Series([text(one) for one in distinct.to_list()], dtype=pl.String)
    return series.replace_strict(distinct, told, default=None, return_dtype=pl.String)


# -- times


def _microseconds(series: pl.Series) -> pl.Series:
    return series.to_physical().clip(EARLIEST, LATEST)


def _clocks(microseconds: pl.Series) -> pl.Series:
    """Return times in the local zone to the millisecond, as `text.clock` does."""
    seconds = microseconds // SECOND
    local = (seconds + _offsets(seconds)) * SECOND
    day = local.clip(EARLIEST, LATEST).cast(pl.Datetime("us"))
    millisecond = _DIGITS.gather((microseconds % SECOND // 1000).cast(pl.UInt32))
    distinct = day.unique()
    shown = distinct.dt.strftime("%Y-%m-%d %H:%M:%S.")
    whole = pl.DataFrame({"second": day}).join(
        pl.DataFrame({"second": distinct, "text": shown}), on="second", how="left", maintain_order="left"
    )
    return whole["text"] + millisecond


def _offsets(seconds: pl.Series) -> pl.Series:
    """Return what the local clock is ahead of UTC, in seconds: by the hour, and by the second where that changes within it."""
    hours = seconds // HOUR
    told = {hour: (_ahead(hour * HOUR), _ahead(hour * HOUR + HOUR - 1)) for hour in hours.drop_nulls().unique().to_list()}
    if len({offset for both in told.values() for offset in both}) == 1:
        return pl.Series([next(iter(told.values()))[0]], dtype=pl.Int64).new_from_index(0, len(seconds))
    steady = {hour: first for hour, (first, last) in told.items() if first == last}
    found = hours.replace_strict(steady, default=None, return_dtype=pl.Int64)
    if len(steady) == len(told):
        return found
    odd = seconds.filter(found.is_null()).drop_nulls().unique().to_list()
    exact = seconds.replace_strict({second: _ahead(second) for second in odd}, default=None, return_dtype=pl.Int64)
    return found.zip_with(found.is_not_null(), exact)


def _ahead(second: int) -> int:
    return time.localtime(second).tm_gmtoff


def _seconds(microseconds: pl.Series) -> pl.Series:
    """Return lengths in seconds to the millisecond, rounded as `f"{length:.3f}"` rounds what is next to them in floating point."""
    length = microseconds.abs()
    rounded = (length + 500) // 1000
    sign = _SIGNS.gather((microseconds < 0).cast(pl.UInt32))
    shown = sign + (rounded // 1000).cast(pl.String) + "." + _DIGITS.gather((rounded % 1000).cast(pl.UInt32))
    return _put_right(shown, microseconds, (length % 1000 == 500) | (length >= EXACT), lambda one: f"{one / SECOND:.3f}")


def _put_right(shown: pl.Series, values: pl.Series, odd: pl.Series, text: Callable[[Any], str]) -> pl.Series:
    """Return texts, those of odd values made by a function, of each value once."""
    places = odd.arg_true()
    return shown.scatter(places, _distinct(values.gather(places), text)) if len(places) else shown


# -- ends


def _ends(frame: pl.DataFrame, side: str, form: Form) -> pl.Series:
    """Return addresses, each with its port and in brackets what it is called."""
    held = _column(frame, f"{side}_address")
    shown = addresses(held)
    shown = shown.zip_with(shown != "", pl.Series([None], dtype=pl.String)).fill_null("-")
    if held.bin.size().max() not in (None, 16):
        shown = _put_right(shown, shown, shown.str.len_chars() > MAX_WIDTH, printable)
    between = _BEFORE_PORT.gather(shown.str.contains(":", literal=True).cast(pl.UInt32))
    cells = {"address": shown, "between": between, "port": _column(frame, f"{side}_port").cast(pl.String).fill_null("-")}
    name = _names(frame, side)
    if name is not None:
        cells["name"] = (" (" + name + ")").fill_null("")
    return pl.DataFrame(cells).select(pl.concat_str(pl.all())).to_series()


def _names(frame: pl.DataFrame, side: str) -> pl.Series | None:
    """Return what the addresses of one side are called, safe to show; None where nobody asked."""
    told = [name for name in (f"{side}_address_name", f"{side}_country") if name in frame.columns]
    if not told:
        return None
    given = [pl.when(pl.col(name) != "").then(pl.col(name)) for name in told]
    joined = frame.select(pl.concat_str(given, separator=", ", ignore_nulls=True).alias("name"))["name"]
    return _distinct(joined.zip_with(joined != "", pl.Series([None], dtype=pl.String)), lambda name: printable(name, NAME_WIDTH))


def _flags(flags: pl.Series, protocol: pl.Series) -> pl.Series:
    of_tcp = ((protocol == TCP) & flags.is_not_null()).fill_null(value=False)
    return _FLAGS.gather((flags & 0xFF).fill_null(0).zip_with(of_tcp, pl.Series([0], dtype=flags.dtype)).cast(pl.UInt32))


# -- counts


def _counts(series: pl.Series, form: Form) -> pl.Series:
    """Return numbers as `Form.count` writes them; null stays null."""
    if form.plain:
        return series.cast(pl.String)
    values = series.fill_null(0).to_numpy()
    scaled = np.clip(values, 0, EXACT).astype(np.float64)
    step = np.zeros(len(values), np.int64)
    for _ in SI[1:]:
        more = scaled >= 999.5
        scaled[more] /= 1000
        step += more
    whole = scaled >= 99.95
    digits, odd = _rounded(np.where(whole, scaled, scaled * 10), values)
    places = np.where(values < 1000, values, step * 2000 - 1000 + digits + 1000 * whole)
    odd &= values >= 1000
    odd |= values < 0
    shown = _suffixed().gather(np.where(odd, 0, places).astype(np.uint32))
    return _nulls_kept(_put_right(shown, series, pl.Series(odd), form.count), series)


@cache
def _suffixed() -> pl.Series:
    """Return 0 to 999, and for each suffix a thousand tenths and a thousand whole numbers."""
    texts = [str(number) for number in range(1000)]
    for suffix in SI[1:]:
        texts += [f"{number // 10}.{number % 10} {suffix}" for number in range(1000)]
        texts += [f"{number} {suffix}" for number in range(1000)]
    return pl.Series(texts)


def _octets(series: pl.Series, form: Form) -> pl.Series:
    """Return numbers of octets as `Form.octets` writes them; null stays null."""
    if form.plain or form.base == 1000:
        return _counts(series, form)
    values = series.fill_null(0).to_numpy()
    near = np.clip(values, 1, EXACT).astype(np.float64)
    step = (np.frexp(near)[1] - 1) // 10
    digits, odd = _rounded(near / 1024.0**step * 100, values)
    whole, hundredths = np.divmod(digits, 100)
    suffix = _BINARY.gather(step.astype(np.uint32))
    binary = pl.Series(whole).cast(pl.String) + "." + _PADDED.gather(hundredths.astype(np.uint32)) + suffix
    great = (values >= 1024) | (values <= -1024)
    binary = _put_right(binary, series, pl.Series(odd & great), form.octets)
    return _nulls_kept(binary.zip_with(pl.Series(great), _counts(series, form)), series)


def _rounded(scaled: NDArray[np.float64], values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return whole numbers, and which are too near to halves, or made of values too great, to rely on."""
    odd = (np.abs(scaled - np.floor(scaled) - 0.5) < NEAR) | (values >= EXACT) | (values < 0)
    return np.rint(scaled).astype(np.int64), odd


def _nulls_kept(shown: pl.Series, series: pl.Series) -> pl.Series:
    return shown.zip_with(series.is_not_null(), pl.Series([None], dtype=pl.String)) if series.null_count() else shown
