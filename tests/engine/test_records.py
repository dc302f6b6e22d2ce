"""Lists of records: whatever is passed over to be quick, the list is that of a plain sort."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.engine import instants, ordered
from nftui.engine.filters import parse
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Kind, Query
from nftui.engine.sealer import Sealer
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter
from nftui.units import SECOND
from tests.engine.conftest import flows_frame

BASE = 1_700_000_000 * SECOND

rows_of_files = st.lists(
    st.lists(
        st.fixed_dictionaries(
            {
                "flow_start": st.one_of(st.none(), st.integers(BASE, BASE + 50)),
                "length": st.integers(-5, 20),
                "clock_correction": st.sampled_from([None, None, 40, -100]),
                "octets": st.integers(0, 6),
                "source_port": st.integers(1, 3),
            }
        ),
        min_size=1,
        max_size=12,
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=50)
@given(
    files=rows_of_files,
    order=st.sampled_from(["flow_start", "flow_end", "received", "octets"]),
    ascending=st.booleans(),
    limit=st.sampled_from([0, 1, 3, 10, 1000, None]),
    interval=st.sampled_from([None, Interval(BASE + 5, BASE + 30)]),
    text=st.sampled_from(["", "src port 1"]),
    sealed=st.booleans(),
    clocks=st.booleans(),
    streamed=st.sampled_from([None, "windows", "spooled"]),
)
def test_a_list_is_that_of_a_plain_sort(
    files: list[list[dict[str, Any]]],
    order: str,
    ascending: bool,
    limit: int | None,
    interval: Interval | None,
    text: str,
    sealed: bool,
    clocks: bool,
    streamed: str | None,
) -> None:
    everything: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        writer = StoreWriter(Path(folder))
        for number, rows in enumerate(files):
            filled = []
            for row in rows:
                start = row["flow_start"]
                end = BASE + row["length"] if start is None else start + row["length"]
                told = {name: value for name, value in row.items() if name != "length" and (clocks or name != "clock_correction")}
                filled.append({**told, "flow_end": end, "received": BASE + 60 + number})
            everything += filled
            writer.append([flows_frame(filled)])
            writer.write_tail()
            if sealed and number == 2:
                Sealer(Path(folder), 300).sweep(0, everything=True)
        back_end = LocalBackEnd(Path(folder))
        query = Query(interval, Kind.FLOWS, where=parse(text), order=order, ascending=ascending, limit=limit)
        answers = [back_end.answer(query), back_end.answer(query), LocalBackEnd(Path(folder), keep=False).answer(query)]
        listed = [answer.flows for answer in answers]
        if streamed:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Store, "costs_each_time", lambda store: streamed == "spooled")
                patch.setattr(ordered, "WINDOW", 4)
                patch.setattr("nftui.engine.local.FEW_RECORDS", -1)
                frames = list(back_end.records(query).frames())
                listed.append(pl.concat(frames) if frames else None)
    matching = [row for row in everything if _lies(row, interval) and (not text or row["source_port"] == 1)]
    values = sorted((_shown(row, order) for row in matching if row[order] is not None), reverse=not ascending)
    values += [None] * sum(row[order] is None for row in matching)
    for flows in listed:
        shown = [_shown(row, order) for row in _rows(flows)]
        assert shown == values[:limit]
    for answer in answers:
        assert (answer.total.flows, answer.total.octets) == (len(matching), sum(row["octets"] for row in matching))


def _rows(flows: pl.DataFrame | None) -> list[dict[str, Any]]:
    if flows is None:
        return []
    return flows.with_columns(pl.col(name).to_physical() for name in instants.TIMES if name in flows.columns).to_dicts()


def _shown(row: dict[str, Any], order: str) -> int | None:
    """Return what a list is in the order of: exporters' times are those that are shown, corrected."""
    value: int | None = row.get(order)
    correction = row.get("clock_correction") if order in ("flow_start", "flow_end") else None
    return value if value is None or correction is None else value + correction


def _lies(row: dict[str, Any], interval: Interval | None) -> bool:
    off = row.get("clock_correction") or 0
    start = (row["flow_end"] if row["flow_start"] is None else row["flow_start"]) + off
    end = max(start, row["flow_end"] + off)
    if interval is None:
        return True
    return bool(start < interval.end and (start >= interval.start if start == end else end > interval.start))


def test_the_newest_flows_of_a_long_range_are_read_from_the_newest_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StoreWriter(tmp_path)
    for second in range(40):
        at = BASE + second * SECOND
        writer.append([flows_frame([{"flow_start": at, "flow_end": at, "octets": second} for _ in range(3)])])
        writer.write_tail()
        Sealer(tmp_path, 300).sweep(0, everything=True)
    back_end = LocalBackEnd(tmp_path)
    query = Query(kind=Kind.FLOWS, order="flow_start", limit=5)
    back_end.answer(query)
    read: list[str] = []
    scan = type(back_end.store).scan
    monkeypatch.setattr(
        type(back_end.store),
        "scan",
        lambda self, parts, columns: read.extend(str(part.name) for part in parts) or scan(self, parts, columns),
    )
    answer = back_end.answer(query)
    assert answer.flows is not None
    assert answer.flows["octets"].to_list() == [39, 39, 39, 38, 38]
    assert len(set(read)) <= 3
