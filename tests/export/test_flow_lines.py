"""Flow records as text: the same, to the character, as lines that are made one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.export import flow_lines
from nftui.export.text import Form
from nftui.printable import NAME_WIDTH, printable
from nftui.schema import POLARS
from nftui.units import SECOND, address_text
from tests.engine.conftest import address
from tests.export import plain_rows

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe")
CHANGES = (1_679_792_400, 1_698_541_200, 1_696_087_800, 1_680_361_200)
"""Seconds at which clocks are changed in these zones."""

moments = st.one_of(
    st.integers(0, 4_000_000_000 * SECOND),
    st.builds(lambda second, off: second * SECOND + off, st.sampled_from(CHANGES), st.integers(-2 * SECOND, 2 * SECOND)),
    st.integers(-(10**15), 10**15),
)
lengths = st.one_of(
    st.integers(-3000, 10_000_000), st.integers(-10, 100_000).map(lambda number: number * 500), st.integers(0, 10**17)
)
counters = st.one_of(
    st.integers(0, 2000),
    st.builds(lambda digits, zeros: digits * 10**zeros, st.integers(0, 20_000), st.integers(0, 14)),
    st.builds(lambda digits, power: digits << power, st.integers(0, 4000), st.integers(0, 50)),
    st.builds(lambda power, off: max(1024**power + off, 0), st.integers(1, 6), st.integers(-6, 6)),
    st.builds(lambda power, off: max(999_950 * 10**power // 1000 + off, 0), st.integers(0, 15), st.integers(-2, 2)),
    st.integers(-(2**63), 2**63 - 1),
)
addresses = st.one_of(
    st.binary(min_size=4, max_size=4).map(lambda octets: b"\0" * 10 + b"\xff\xff" + octets),
    st.binary(min_size=16, max_size=16),
    st.lists(st.sampled_from([0, 1, 255]), min_size=16, max_size=16).map(bytes),
    st.sampled_from([b"", b"\1", b"\xab" * 128, b"\xab" * 129]),
)
names = st.one_of(
    st.none(), st.sampled_from(["", "www.example.org", "\x1b[2Jx", "a\u202eb", "\u6f22" * 40, "a|b c"]), st.text(max_size=4)
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "flow_start": moments,
    "length": lengths,
    "clock_correction": st.sampled_from([0, 3600 * SECOND, -86_400 * SECOND - 1]),
    "source_address": addresses,
    "destination_address": addresses,
    "source_port": st.integers(0, 65_535),
    "destination_port": st.integers(0, 65_535),
    "protocol": st.sampled_from([1, 6, 17, 58, 255]),
    "tcp_flags": st.integers(0, 0x1FFF),
    "tos": st.integers(0, 255),
    "packets": counters,
    "octets": counters,
}
records = st.lists(st.fixed_dictionaries({name: st.one_of(st.none(), one, one, one) for name, one in FIELDS.items()}), max_size=30)


@contextmanager
def _zone(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def _frame(rows: list[dict[str, Any]], left_out: set[str]) -> pl.DataFrame:
    listed = []
    for row in rows:
        one = {name: value for name, value in row.items() if name != "length"}
        if row["length"] is not None:
            one["flow_end"] = (row["flow_start"] or 0) + row["length"]
        listed.append(one)
    present = [name for name in POLARS if (name in FIELDS or name == "flow_end") and name not in left_out]
    schema = {name: pl.Int64() if POLARS[name].is_temporal() else POLARS[name] for name in present}
    frame = pl.DataFrame([{name: row.get(name) for name in present} for row in listed], schema=schema)
    return frame.with_columns(pl.col(name).cast(POLARS[name]) for name in present)


@settings(max_examples=100, deadline=None)
@given(
    rows=records,
    left_out=st.sets(st.sampled_from([*FIELDS, "flow_end"]), max_size=5),
    plain=st.booleans(),
    iec=st.booleans(),
    zone=st.sampled_from(ZONES),
)
def test_lines_are_those_made_one_by_one(rows: list[dict[str, Any]], left_out: set[str], plain: bool, iec: bool, zone: str) -> None:
    frame = _frame(rows, left_out)
    form = Form(plain=plain, iec=iec)
    with _zone(zone):
        written = flow_lines.heading(form) + flow_lines.lines(frame, form).decode()
        assert written == "".join(line + "\n" for line in plain_rows.flow_lines(frame, form))


@settings(max_examples=30, deadline=None)
@given(
    ends=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=10),
    told=st.lists(st.tuples(names, names), min_size=3, max_size=3),
    places=st.booleans(),
)
def test_names_are_those_of_a_table(ends: list[tuple[int, int]], told: list[tuple[str | None, str | None]], places: bool) -> None:
    """Of three addresses something is known, of a fourth nothing."""
    known = {address(number): one for number, one in enumerate(told)}
    labels = {}
    for octets, (name, country) in known.items():
        words = [one for one in (name, country if places else None) if one]
        if words:
            labels[address_text(octets)] = printable(", ".join(words), NAME_WIDTH)
    columns: dict[str, list[Any]] = {}
    for place, side in enumerate(("source", "destination")):
        held = [address(pair[place]) for pair in ends]
        columns[f"{side}_address"] = held
        columns[f"{side}_address_name"] = [known.get(one, (None, None))[0] for one in held]
        if places:
            columns[f"{side}_country"] = [known.get(one, (None, None))[1] for one in held]
    schema = {name: POLARS.get(name, pl.String()) for name in columns}
    frame = pl.DataFrame(columns, schema=schema)
    form = Form(labels=labels)
    wanted = list(plain_rows.flow_lines(frame.select("source_address", "destination_address"), form))[1:]
    assert flow_lines.lines(frame, Form(labels={})).decode() == "".join(line + "\n" for line in wanted)


def test_every_short_number_is_written_as_one_by_one() -> None:
    numbers = [*range(120_000), *range(999_000, 1_001_000), *range(1_040_000, 1_060_000)]
    frame = pl.DataFrame({"octets": numbers, "packets": numbers}, schema={"octets": pl.Int64, "packets": pl.Int64})
    for iec in (False, True):
        form = Form(iec=iec)
        written = flow_lines.lines(frame, form).decode().splitlines()
        assert [line[-17:] for line in written] == [f"{form.count(one):>8} {form.octets(one):>8}"[-17:] for one in numbers]
