"""Exports of flow records: as many as there are, in order, the same texts as for one value, whole or not at all."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.cli import main
from nftui.engine import ordered
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Kind, Query
from nftui.engine.sealer import Sealer
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter
from nftui.errors import Cancelled, ExportError
from nftui.export import rows
from nftui.export.cells import addresses
from nftui.export.destination import Destination
from nftui.export.flow_records import FORMS, write_records
from nftui.export.text import Form
from nftui.schema import POLARS
from nftui.units import SECOND, address_text
from tests.engine.conftest import flows_frame
from tests.export import plain_rows
from tests.running import ROOT

BASE = 1_700_000_000 * SECOND
HOSTILE = [
    "=cmd|' /C calc'!A0",
    "a\x1b]52;c;eA==\x07",
    "plain name",
    'quo"te',
    "back\\slash",
    "pi|pe",
    "\u00e9\u202ex",
    "-1",
    "",
    "a ,",
]

records_of_files = st.lists(
    st.lists(
        st.fixed_dictionaries(
            {
                "flow_start": st.one_of(st.none(), st.integers(BASE, BASE + 50)),
                "octets": st.one_of(st.integers(0, 6), st.just(2**62)),
                "source_address": st.one_of(st.none(), st.binary(min_size=16, max_size=16), st.integers(0, 9)),
                "user_name": st.one_of(st.none(), st.sampled_from(HOSTILE), st.text(max_size=5)),
                "reverse": st.sampled_from([None, True, False]),
                "source_mac": st.one_of(st.none(), st.integers(0, 2**48 - 1)),
                "ingress_acl": st.one_of(st.none(), st.binary(max_size=4)),
            }
        ),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=4,
)


def _store(folder: str | Path, files: list[list[dict[str, Any]]], *, sealed: bool = False) -> LocalBackEnd:
    writer = StoreWriter(Path(folder))
    for number, listed in enumerate(files):
        writer.append([flows_frame([{**row, "flow_end": BASE + 60, "received": BASE + 60 + number} for row in listed])])
        writer.write_tail()
        if sealed and number == 1:
            Sealer(Path(folder), 300).sweep(0, everything=True)
    return LocalBackEnd(Path(folder), keep=False)


def _written(records: ordered.Records, form: str) -> bytes:
    out = io.BytesIO()
    write_records(out, records, form)
    return out.getvalue()


@settings(max_examples=25, deadline=None)
@given(
    files=records_of_files,
    order=st.sampled_from(["flow_start", "received", "octets", "source_address", "reverse", "user_name", "source_mac"]),
    ascending=st.booleans(),
    limit=st.sampled_from([None, 0, 1, 7]),
    interval=st.sampled_from([None, Interval(BASE + 5, BASE + 30)]),
    sealed=st.booleans(),
    window=st.sampled_from([1, 3, 1000]),
    spooled=st.booleans(),
)
def test_windows_put_together_are_the_list(
    files: list[list[dict[str, Any]]],
    order: str,
    ascending: bool,
    limit: int | None,
    interval: Interval | None,
    sealed: bool,
    window: int,
    spooled: bool,
) -> None:
    query = Query(interval, Kind.FLOWS, order=order, ascending=ascending, limit=limit)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(ordered, "WINDOW", window)
        patch.setattr(ordered, "BUCKETS", 64)
        patch.setattr(Store, "costs_each_time", lambda store: spooled)
        patch.setattr("nftui.engine.local.FEW_RECORDS", -1)
        back_end = _store(folder, files, sealed=sealed)
        records = back_end.records(query)
        frames = list(records.frames())
        whole = LocalBackEnd(Path(folder), keep=False).answer(query)
    assert whole.flows is not None
    assert all(tuple(frame.columns) == records.columns for frame in frames)
    height = sum(frame.height for frame in frames)
    assert height == records.flows == whole.flows.height
    assert records.total == whole.total
    if order != "user_name":
        # Text has no windows.
        assert all(frame.height <= window for frame in frames)
    if order in whole.flows.columns:
        assert [value for frame in frames for value in frame[order]] == whole.flows[order].to_list()
    if limit is None:
        # Ties have no order among themselves.
        assert records.columns == tuple(whole.flows.columns)
        found = sorted(repr(row) for frame in frames for row in frame.iter_rows())
        assert found == sorted(repr(row) for row in whole.flows.iter_rows())


@settings(max_examples=25, deadline=None)
@given(files=records_of_files)
def test_texts_are_those_of_one_value(files: list[list[dict[str, Any]]]) -> None:
    query = Query(kind=Kind.FLOWS, order="received", ascending=True, limit=None)
    with tempfile.TemporaryDirectory() as folder:
        back_end = _store(folder, files)
        records = back_end.records(query)
        # Ties have no order of their own, so that the same frames are written in all forms.
        frame = pl.concat(list(records.frames()))
        records = replace(records, frames=lambda: iter([frame]))
        written = {form: _written(records, form) for form in FORMS}
    wanted = list(plain_rows.flow_rows(frame))
    lines = written["ndjson"].decode("ascii").splitlines()
    assert lines == [json.dumps(row) for row in wanted]
    answer = json.loads(written["json"].decode("ascii"))
    assert answer["rows"] == wanted
    assert set(answer) == {"query", "coverage", "rows"}
    text = io.StringIO()
    rows.write_csv(text, wanted, frame.columns)
    assert list(csv.reader(io.StringIO(written["csv"].decode()))) == list(csv.reader(io.StringIO(text.getvalue())))
    text = io.StringIO()
    rows.write_markdown(text, wanted, frame.columns)
    assert written["markdown"].decode() == text.getvalue()
    assert written["text"].decode().splitlines() == list(plain_rows.flow_lines(frame, Form()))
    read = pl.read_parquet(io.BytesIO(written["parquet"]))
    assert read.schema == {name: POLARS[name] for name in frame.columns}
    assert read.equals(frame)


@given(
    st.lists(
        st.one_of(st.none(), st.binary(max_size=20), st.lists(st.sampled_from([0, 1, 255]), min_size=16, max_size=16).map(bytes))
    )
)
def test_addresses_are_those_of_one_value(values: list[bytes | None]) -> None:
    mapped = [b"\0" * 10 + b"\xff\xff" + value[:4] for value in values if value is not None and len(value) >= 4]
    series = pl.Series("source_address", [*values, *mapped], dtype=pl.Binary)
    assert addresses(series).to_list() == [None if value is None else address_text(value) for value in series]


def test_a_store_that_is_sealed_meanwhile_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "WINDOW", 2)
    monkeypatch.setattr("nftui.engine.local.FEW_RECORDS", -1)
    files = [[{"flow_start": BASE + second, "octets": second}] for second in range(12)]
    back_end = _store(tmp_path, files)
    frames = back_end.records(Query(kind=Kind.FLOWS, order="flow_start", ascending=True, limit=None)).frames()
    seen = next(frames)["octets"].to_list()
    Sealer(tmp_path, 300).sweep(0, everything=True)
    assert not list((tmp_path / "tail").iterdir())
    seen += [value for frame in frames for value in frame["octets"]]
    assert seen == list(range(12))


def test_what_is_decoded_each_time_goes_through_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "WINDOW", 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(Store, "costs_each_time", lambda store: True)
    back_end = _store(tmp_path / "store", [[{"flow_start": BASE + number % 5, "octets": number} for number in range(9)]])
    records = back_end.records(Query(kind=Kind.FLOWS, order="flow_start", ascending=True, limit=None))
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    assert sorted(value for frame in records.frames() for value in frame["octets"]) == list(range(9))
    del records
    gc.collect()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_progress_is_told_and_writing_can_be_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.export.flow_records.SLICE", 2)
    back_end = _store(tmp_path / "store", [[{"flow_start": BASE, "octets": number} for number in range(9)]])
    records = back_end.records(Query(kind=Kind.FLOWS, order="flow_start", limit=None))
    told: list[tuple[int, int]] = []
    assert write_records(io.BytesIO(), records, "csv", lambda done, total: told.append((done, total))) == 9
    assert told == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
    for form in FORMS:
        cancelled, target = threading.Event(), tmp_path / "out"
        target.write_text("before")
        if form == "parquet":
            cancelled.set()
        with pytest.raises(Cancelled), Destination(target) as destination:
            write_records(destination.file, records, form, lambda done, total, stop=cancelled: stop.set(), cancelled)
        assert target.read_text() == "before"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "store"]


@pytest.mark.parametrize("nameless", [True, False])
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, nameless: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not nameless:
        real = os.open
        monkeypatch.setattr(
            os,
            "open",
            lambda path, flags, *mode: (
                real(tmp_path / "none" / "x", 0) if flags & os.O_TMPFILE == os.O_TMPFILE else real(path, flags, *mode)
            ),
        )
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("before")
    target.chmod(0o604)
    link.symlink_to(target)
    with Destination(link) as destination:
        destination.file.write(b"after")
        assert target.read_text() == "before"
    assert (target.read_text(), link.is_symlink(), target.stat().st_mode & 0o777) == ("after", True, 0o604)
    with pytest.raises(KeyboardInterrupt), Destination(target) as destination:  # noqa: PT012  (the context is what is tested)
        destination.file.write(b"half")
        raise KeyboardInterrupt
    assert target.read_text() == "after"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_what_is_no_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    null = Path("/dev/null")
    device = null.stat().st_rdev
    with Destination(null) as destination:
        destination.file.write(b"x")
    assert null.stat().st_rdev == device
    reading, writing = os.pipe()
    with Destination(Path(f"/proc/self/fd/{writing}")) as destination:
        destination.file.write(b"through")
    os.close(writing)
    assert os.read(reading, 100) == b"through"
    os.close(reading)
    for wrong in (tmp_path, tmp_path / "no" / "file"):
        with pytest.raises(ExportError, match="--out"):
            Destination(wrong)


@pytest.mark.row("X04")
@pytest.mark.parametrize("form", FORMS)
def test_out_names_a_file(tmp_path: Path, form: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _store(tmp_path / "store", [[{"flow_start": BASE + number, "octets": number, "source_address": number} for number in range(9)]])
    for command in ("flows", "top", "series", "summary"):
        target = tmp_path / f"{command}.{form}"
        words = [command, "--data", str(tmp_path / "store"), "-o", form]
        assert main([*words, "--out", str(target)]) == 0
        assert capfdbinary.readouterr() == (b"", b"")
        octets = target.read_bytes()
        if form == "parquet":
            frame = pl.read_parquet(io.BytesIO(octets))
            assert frame.height
            assert all(frame[name].dtype.is_temporal() for name in ("time", "first", "flow_start") if name in frame.columns)
        assert main(words) == 0
        sys.stdout.flush()
        out, told = capfdbinary.readouterr()
        assert told == b""
        # How long it took differs.
        taken = rb'"seconds": [^,]*|Sys: .*'
        assert re.sub(taken, b"", out) == re.sub(taken, b"", octets)


def test_interrupted_it_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    frame = flows_frame([{"flow_start": BASE + number, "octets": number, "source_address": 1} for number in range(1000)])
    writer = StoreWriter(tmp_path / "store")
    writer.append([pl.concat([frame] * 600)])
    writer.write_tail()
    target = tmp_path / "out.ndjson"
    words = ["flows", "--data", str(tmp_path / "store"), "-o", "ndjson", "--out", str(target)]
    process = subprocess.Popen([sys.executable, "-m", "nftui", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not _open_without_a_name(process.pid, tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert (process.returncode, told) == (130, f"nftui: interrupted; {target} was not written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def _open_without_a_name(pid: int, folder: Path) -> bool:
    """Return whether a process writes to a file in a folder that has no name yet."""
    try:
        return any(str(entry.readlink()).startswith(f"{folder}/#") for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
