"""The store: what is written is found once, whatever was under way when the process ended."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.engine.files import replace_file
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Query, Totals
from nftui.engine.sealer import Sealer
from nftui.engine.segments import TAIL, Part, PartName, parse_name, without_superseded
from nftui.engine.store import Lock, Store
from nftui.engine.writer import StoreWriter, remove_temporary, seal
from nftui.errors import StoreError, StoreLocked
from nftui.units import SECOND
from tests.engine.conftest import flows_frame, tail_of

BASE = 1_700_000_000 * SECOND


def _fill(root: Path, seconds: int, start: int = 0) -> Totals:
    writer = StoreWriter(root)
    octets = 0
    for second in range(start, start + seconds):
        at = BASE + second * SECOND
        odd = {"flow_start": BASE - 99_999 * SECOND, "flow_end": BASE, "received": at, "octets": 1}
        writer.append([flows_frame([{"flow_start": at, "flow_end": at + 5, "octets": 2**second}, odd])])
        octets += 2**second + 1
        writer.write_tail()
    return Totals(octets, 2 * seconds, 2 * seconds)


def _total(root: Path) -> Totals:
    return LocalBackEnd(root, keep=False).answer(Query()).total


def test_names_say_what_a_part_holds() -> None:
    for name in (
        PartName(5, 9, 1, 8, TAIL, "main", 3, 3),
        PartName(5, 9, 1, 8, TAIL, "main", 3, 3, packed=True),
        PartName(5, 9, 1, 8, 0, "odd", 3, 17),
        PartName(0, 0, 0, 0, 1, "i0a", 1, 2),
    ):
        assert parse_name(str(name)) == name
    for text in ("x", "1-2-3-4-L0-main.1.1.arrow", "1-2-3-4-L0-main.1.1.parquet.tmp", "lock"):
        assert parse_name(text) is None


def test_a_higher_level_supersedes_what_it_covers() -> None:
    tails = [Part(PartName(n, n, 0, 9, TAIL, "main", n, n), Path(f"t{n}")) for n in range(1, 8)]
    other = Part(PartName(3, 3, 0, 9, TAIL, "odd", 3, 3), Path("o"))
    segment = Part(PartName(2, 4, 0, 9, 0, "main", 2, 4), Path("s"))
    hour = Part(PartName(1, 5, 0, 9, 1, "main", 1, 5), Path("h"))
    assert without_superseded([*tails, other, segment]) == [tails[0], *tails[4:], other, segment]
    assert without_superseded([*tails, segment, hour]) == [*tails[5:], hour]


def test_a_part_is_taken_where_a_flow_of_it_may_lie(tmp_path: Path) -> None:
    name = PartName(0, 0, 100, 200, 0, "main", 1, 1)
    for interval, overlaps, inside in (
        (Interval(0, 100), False, False),
        (Interval(0, 101), True, False),
        (Interval(200, 300), True, False),
        (Interval(201, 300), False, False),
        (Interval(100, 201), True, True),
        (None, True, True),
    ):
        assert (name.overlaps(interval), name.inside(interval)) == (overlaps, inside), interval


def test_flows_are_found_once_before_while_and_after_they_are_sealed(tmp_path: Path) -> None:
    expected = _fill(tmp_path, 10)
    assert _total(tmp_path) == expected
    parts = tail_of(tmp_path)
    seal(tmp_path, parts)
    assert _total(tmp_path) == expected
    for part in parts:
        part.path.unlink()
        assert _total(tmp_path) == expected
    Sealer(tmp_path, 300).sweep(0, everything=True)
    assert not list((tmp_path / "tail").iterdir())
    assert _total(tmp_path) == expected


def test_only_complete_intervals_are_sealed_and_no_segment_reaches_over_one(tmp_path: Path) -> None:
    expected = _fill(tmp_path, 25)
    sealer = Sealer(tmp_path, interval_s=10)
    first = BASE // (10 * SECOND) * 10 * SECOND
    made = sealer.sweep(first + 20 * SECOND)
    spans = [parse_name(path.name) for path in made]
    assert {name.stream for name in spans if name} == {"main", "odd"}
    for name in spans:
        assert name is not None
        assert name.received_from // (10 * SECOND) == name.received_to // (10 * SECOND)
        assert name.received_to < first + 20 * SECOND
    assert len(tail_of(tmp_path)) == 25 - sum(name.last - name.first + 1 for name in spans if name and name.stream == "main")
    assert _total(tmp_path) == expected


def test_a_busy_interval_is_sealed_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.engine.sealer.SEGMENT_FLOWS", 4)
    expected = _fill(tmp_path, 9)
    made = Sealer(tmp_path, 86_400).sweep(BASE)
    assert len([path for path in made if "main" in path.name]) == 2
    assert len(tail_of(tmp_path)) == 1
    assert _total(tmp_path) == expected


def test_a_stream_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = _fill(tmp_path, 3)
    Sealer(tmp_path, 300).sweep(0, everything=True)
    second = _fill(tmp_path, 2, start=3)
    assert [part.name.first for part in tail_of(tmp_path)] == [4, 5]
    total = _total(tmp_path)
    assert (total.octets, total.flows) == (first.octets + second.octets, 10)


def test_a_writer_whose_disk_is_full_keeps_what_is_pending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame([{"flow_start": BASE, "octets": 5}])])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", _full)
        with pytest.raises(OSError, match="No space"):
            writer.write_tail()
    assert writer.pending == 1
    writer.write_tail()
    assert writer.pending == 0
    assert _total(tmp_path).octets == 5


def test_a_disk_that_is_full_between_the_streams_makes_nothing_count_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StoreWriter(tmp_path)
    odd = {"flow_start": BASE - 99_999 * SECOND, "flow_end": BASE, "received": BASE, "octets": 2}
    writer.append([flows_frame([{"flow_start": BASE, "octets": 5}, odd])])
    with monkeypatch.context() as patch:
        rename = Path.rename
        patch.setattr(Path, "rename", lambda self, to: _full() if "odd" in self.name else rename(self, to))
        with pytest.raises(OSError, match="No space"):
            writer.write_tail()
    assert (writer.pending, writer.flows, _total(tmp_path).octets) == (1, 1, 5)
    writer.write_tail()
    assert (writer.pending, writer.flows, writer.odd, _total(tmp_path).octets) == (0, 2, 1, 7)


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_an_interrupted_write_left_is_removed_but_not_an_import_under_way(tmp_path: Path) -> None:
    expected = _fill(tmp_path, 2)
    (part, *_) = tail_of(tmp_path)
    ours = part.path.with_name(part.path.name + ".tmp")
    ours.write_bytes(b"half")
    imported = PartName(1, 2, 3, 4, 0, "i12", 1, 1)
    young, old = (tmp_path / "flows" / f"{number}-{imported}.tmp".removeprefix(f"{number}-") for number in (1, 2))
    young.write_bytes(b"half")
    assert remove_temporary(tmp_path / "flows") == []
    assert remove_temporary(tmp_path / "tail") == [ours]
    os.utime(old, (time.time() - 90_000,) * 2)
    assert remove_temporary(tmp_path / "flows") == [old]
    assert _total(tmp_path) == expected


def test_a_damaged_tail_file_is_set_aside_and_the_rest_is_sealed(tmp_path: Path) -> None:
    _fill(tmp_path, 3)
    damaged = tail_of(tmp_path)[1].path
    damaged.write_bytes(damaged.read_bytes()[:100])
    sealer = Sealer(tmp_path, 300)
    sealer.sweep(0, everything=True)
    sealer.sweep(0, everything=True)
    assert [path.name for path in (tmp_path / "damaged").iterdir()] == [damaged.name]
    assert _total(tmp_path).octets == 1 + 4 + 3


CRASHER = """
import sys, os, random
from pathlib import Path
from nftui.engine import writer, sealer
step, root = int(sys.argv[1]), Path(sys.argv[2])
count = 0
def watch(event, args):
    global count
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod") and str(root) in str(args[0]):
        count += 1
        if count == step:
            os._exit(9)
sys.addaudithook(watch)
sealer.Sealer(root, 300).WORK
print(count)
"""


@pytest.mark.parametrize(("pack_from", "work"), [(100_000, "recover()"), (1, "sweep(0, everything=True)")])
def test_a_crash_between_any_two_steps_of_sealing_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack_from: int, work: str
) -> None:
    monkeypatch.setattr("nftui.engine.writer.PACK_FROM", pack_from)
    steps = _crash(_copy(tmp_path, 0), 10**9, work)
    assert steps > 10
    chance = random.Random(7)
    for step in sorted(chance.sample(range(1, steps + 1), min(steps, 4))):
        root = _copy(tmp_path, step)
        expected = _total(root)
        assert _crash(root, step, work) == -9
        assert _total(root) == expected, step
        assert _crash(root, 10**9, "recover()") >= 0
        assert _total(root) == expected, step
        assert not list((root / "tail").iterdir())


def _copy(tmp_path: Path, step: int) -> Path:
    root = tmp_path / f"store{step}"
    _fill(root, 4)
    return root


def _crash(root: Path, step: int, work: str) -> int:
    program = CRASHER.replace("WORK", work)
    done = subprocess.run([sys.executable, "-c", program, str(step), str(root)], capture_output=True, text=True, check=False)
    if done.returncode == 9:
        return -9
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_readers_see_all_flows_at_every_moment_while_tails_are_sealed(tmp_path: Path) -> None:
    """A reader lists and reads while another process writes and seals as fast as it can."""
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path\n"
        "from nftui.engine.sealer import Sealer\n"
        "from nftui.engine.writer import StoreWriter\n"
        "from tests.engine.conftest import flows_frame\n"
        "import nftui.engine.sealer as sealer_module\n"
        "sealer_module.GRACE_S = 0.2\n"
        "root = Path(sys.argv[1]); writer = StoreWriter(root); sealer = Sealer(root, 300)\n"
        "for number in range(150):\n"
        "    writer.append([flows_frame([{'flow_start': 10**15 + number, 'octets': 1}])]); writer.write_tail()\n"
        "    (root / 'count').write_text(str(number + 1))\n"
        "    if number % 3 == 2: sealer.sweep(10**17)\n"
    )
    (tmp_path / "count").write_text("0")
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    kept, seen = LocalBackEnd(tmp_path), 0
    query = Query(keys=("exporter_address",), bins=3)
    try:
        while process.poll() is None:
            least = int((tmp_path / "count").read_text() or 0)
            answer = kept.answer(query)
            assert least <= answer.total.octets <= 150
            assert answer.total.octets >= seen
            seen = answer.total.octets
    finally:
        process.wait()
    assert process.returncode == 0
    assert kept.answer(query).total.octets == 150


def test_the_lock_is_held_by_one_and_names_its_holder(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    assert Store(tmp_path).collector_running()
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        Lock(tmp_path)
    lock.close()
    assert not Store(tmp_path).collector_running()
    Lock(tmp_path).close()


def test_a_folder_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--data DIR"):
        Lock(tmp_path / "file" / "store")


def test_a_status_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.status() is None
    for text in (b"", b"[1]", b'{"a":', b"\xff\xfe", b"[" * 100_000):
        (tmp_path / "status.json").write_bytes(text)
        assert store.status() is None
    replace_file(tmp_path / "status.json", b'{"flows": 3}')
    assert store.status() == {"flows": 3}


def test_files_are_for_owner_and_group(tmp_path: Path) -> None:
    _fill(tmp_path, 1)
    Sealer(tmp_path, 300).sweep(0, everything=True)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.parquet")}
    assert modes == {0o640}


def test_older_segments_read_as_null_where_they_lack_a_column(make_store: Callable[..., Path]) -> None:
    root = make_store([[{"flow_start": BASE, "octets": 1}], [{"flow_start": BASE, "octets": 2, "source_as": 7}]], sealed=1)
    answer = LocalBackEnd(root).answer(Query(keys=("source_as",)))
    assert answer.groups.rows() == [(7, 2, 1, 1), (None, 1, 1, 1)]


def test_a_foreign_file_is_passed_over_and_named(tmp_path: Path) -> None:
    expected = _fill(tmp_path, 1)
    (tmp_path / "flows" / "notes.txt").write_text("mine")
    store = Store(tmp_path)
    assert len(store.parts()) == 2
    assert store.foreign == [tmp_path / "flows" / "notes.txt"]
    assert _total(tmp_path) == expected


def test_a_copied_store_has_the_same_totals(tmp_path: Path) -> None:
    expected = _fill(tmp_path / "a", 5)
    seal(tmp_path / "a", tail_of(tmp_path / "a"))
    subprocess.run(["cp", "-r", str(tmp_path / "a"), str(tmp_path / "b")], check=True)
    assert _total(tmp_path / "b") == expected


def test_no_column_of_a_segment_is_unsigned_or_wide(make_store: Callable[..., Path]) -> None:
    root = make_store([[{"flow_start": BASE, "source_address": 1, "source_port": 5, "tcp_flags": 3}]], sealed=1)
    (segment,) = root.rglob("*.parquet")
    schema: dict[str, Any] = dict(pl.read_parquet_schema(segment))
    assert not [name for name, dtype in schema.items() if dtype.is_unsigned_integer() or dtype in (pl.Int128, pl.UInt128)]
    assert schema["source_address"] == pl.Binary


def test_what_is_known_of_parts_that_are_there_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.engine.store.KNOWN", 4)
    writer = StoreWriter(tmp_path)
    for second in range(20):
        writer.append([flows_frame([{"flow_start": BASE + second, "octets": 1}] * (second + 1))])
        writer.write_tail()
    store = Store(tmp_path, _room=4)
    parts = store.parts()
    columns = store.present(parts)
    assert store.flow_count(parts) == 210
    opened: list[Part] = []
    monkeypatch.setattr("nftui.engine.store.scan_part", opened.append)
    monkeypatch.setattr("nftui.engine.store.read_schema", opened.append)
    assert (store.flow_count(parts), store.present(parts)) == (210, columns)
    for part in parts[:19]:
        part.path.unlink()
    assert store.parts() == parts[19:]
    store._forget_gone()
    assert (len(store._counts), len(store._columns)) == (1, 1)
