"""Imports: in time order, once, and whole whatever interrupts them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import polars as pl
import pytest

from nftui.engine import importing
from nftui.engine.import_journal import identity
from nftui.engine.importing import Importer
from nftui.engine.keeper import Keeper, Keeping
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Query, Totals
from nftui.engine.store import Store
from nftui.errors import CaptureFileError, StoreError, StoreLocked
from tests.capture import nfdump_encoding as made
from tests.running import ROOT, answer, nftui

FIXTURE = ROOT / "tests" / "data" / "ten-flows.pcap"
HOUR_MS = 3_600_000


def files(folder: Path, count: int, each: int, *, odd: int = 0) -> int:
    """Write files of nfdump, some blocks each; return the sum of all octets. Each `odd`th flow was received hours after its end."""
    octets = 0
    for number in range(count):
        first = number * each
        blocks = []
        for at in range(first, first + each, 250):
            records = []
            for one in range(at, min(at + 250, first + each)):
                more = (
                    {"received": made.BASE_MS + one + 9 * HOUR_MS}
                    if odd and one % odd == 0
                    else {"received": made.BASE_MS + one + 900}
                )
                records.append(made.flow(one, "<", **more))
                octets += 100 * (one + 1)
            blocks.append(records)
        name = f"day{number % 2}/nfcapd.2023111{number:05d}"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(made.file_17(blocks, codec=3))
    return octets


def imported(root: Path, *paths: Path, again: bool = False) -> dict[str, object]:
    importer = Importer(root)
    try:
        for _ in importer.run(paths, again=again):
            pass
    finally:
        counts = importer.close()
    return counts


def totals(root: Path) -> Totals:
    return LocalBackEnd(root, keep=False).answer(Query()).total


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units and segments of few flows, so that there are many of them."""
    monkeypatch.setattr("nftui.capture.nfdump.files.CHUNK", 1)
    monkeypatch.setattr(importing, "SEGMENT_FLOWS", 700)


@pytest.mark.row("O06")
@pytest.mark.row("O07")
def test_directory_in_the_order_of_time(tmp_path: Path) -> None:
    octets = files(tmp_path / "in", 6, 1000)
    (tmp_path / "in" / ".nfstat").write_text("first=1\n")
    (tmp_path / "in" / "README").write_text("no flows\n")
    (tmp_path / "in" / "nfcapd.current.17").write_bytes(made.file_17([[made.flow(1)]]))
    counts = imported(tmp_path / "store", tmp_path / "in")
    assert (counts["files"], counts["flows"], counts["flows_read"], counts["blocks"]) == (6, 6000, 6000, 24)
    assert totals(tmp_path / "store") == Totals(octets, octets // 100, 6000)
    parts = Store(tmp_path / "store").parts()
    starts = [part.name.min_start for part in sorted(parts, key=lambda part: part.name.first)]
    assert starts == sorted(starts)
    assert 6000 // 750 <= len(parts) <= 6000 // 700 + 1


def test_twice_is_once(tmp_path: Path) -> None:
    octets = files(tmp_path / "in", 2, 600)
    for _ in range(2):
        counts = imported(tmp_path / "store", tmp_path / "in", FIXTURE)
        flows = totals(tmp_path / "store").flows
        assert flows == 1210
    assert (counts["flows"], counts["files"], counts["files_passed_over"]) == (0, 0, {"imported already": 3})
    (copy,) = [(tmp_path / "in" / "day0").iterdir()][0]
    moved = copy.rename(tmp_path / "another-name")
    assert imported(tmp_path / "store", moved)["files_passed_over"] == {"imported already": 1}
    assert imported(tmp_path / "store", moved, again=True)["flows"] == 600
    assert totals(tmp_path / "store").flows == 1810
    assert totals(tmp_path / "store").octets > octets


def test_several_kinds_together(tmp_path: Path) -> None:
    files(tmp_path / "in", 1, 300)
    imported(tmp_path / "one", FIXTURE)
    counts = imported(tmp_path / "store", tmp_path / "in", FIXTURE, tmp_path / "one" / "flows")
    assert (counts["flows"], counts["files"]) == (320, 3)
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(CaptureFileError, match="none of the columns of a flow"):
        imported(tmp_path / "store", tmp_path / "none.parquet")


def test_the_same_file_under_two_names(tmp_path: Path) -> None:
    files(tmp_path / "in", 1, 300)
    (source,) = (tmp_path / "in" / "day0").iterdir()
    (tmp_path / "in" / "copy").write_bytes(source.read_bytes())
    counts = imported(tmp_path / "store", tmp_path / "in")
    assert (counts["flows"], counts["files_passed_over"]) == (300, {"the same as another": 1})


def test_identity_is_of_content(tmp_path: Path) -> None:
    octets = bytearray(Random(1).randbytes(3 << 20))
    (tmp_path / "a").write_bytes(octets)
    first = identity(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    os.utime(tmp_path / "b", (1, 1))
    assert identity(tmp_path / "b") == first
    for place in (0, 70_000, len(octets) - 1):
        changed = bytearray(octets[: 200_000 if place == 70_000 else None])
        (tmp_path / "c").write_bytes(changed)
        before = identity(tmp_path / "c")
        changed[place] ^= 1
        (tmp_path / "c").write_bytes(changed)
        assert identity(tmp_path / "c") != before
    (tmp_path / "d").write_bytes(octets[:-1])
    assert identity(tmp_path / "d") != first


def test_one_import_at_a_time(tmp_path: Path) -> None:
    first = Importer(tmp_path)
    with pytest.raises(StoreLocked, match="another import"):
        Importer(tmp_path)
    first.close()
    Importer(tmp_path).close()


def test_a_broken_file_in_a_directory(tmp_path: Path) -> None:
    files(tmp_path / "in", 2, 300)
    broken = tmp_path / "in" / "day1" / "nfcapd.9"
    broken.write_bytes(made.file_17([[made.flow(1)]], layout=3))
    counts = imported(tmp_path / "store", tmp_path / "in")
    assert counts["flows"] == 600
    assert counts["files_broken"] == [f"{broken}: a file of nfdump of layout 3; 1 and 2 are read"]
    with pytest.raises(CaptureFileError, match="layout 3"):
        imported(tmp_path / "store", broken)


@pytest.mark.parametrize("step", ["intend", "_write", "done"])
@pytest.mark.parametrize("times", [1, 3])
def test_interrupted_at_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, times: int) -> None:
    """Before the journal's line, before and between the two segments of it, and before the line that they are there."""
    octets = files(tmp_path / "in", 3, 1000, odd=7)

    class Crash(BaseException):
        pass

    def fail_at(owner: type, name: str, count: int) -> None:
        real = getattr(owner, name)
        left = [count]

        def crash(*given: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            return real(*given)

        monkeypatch.setattr(owner, name, crash)

    with monkeypatch.context():
        if step == "_write":
            real, left = importing.write_segment, [2 * times]

            def between(*given: object) -> Path:
                left[0] -= 1
                if left[0] == 0:
                    raise Crash
                return real(*given)  # type: ignore[arg-type]

            monkeypatch.setattr(importing, "write_segment", between)
        else:
            fail_at(importing.Journal, step, times)
        importer = Importer(tmp_path / "store")
        with pytest.raises(Crash):
            for _ in importer.run([tmp_path / "in"]):
                pass
        importer._journal.close()
        monkeypatch.undo()
    monkeypatch.setattr("nftui.capture.nfdump.files.CHUNK", 1)
    monkeypatch.setattr(importing, "SEGMENT_FLOWS", 700)
    imported(tmp_path / "store", tmp_path / "in")
    assert totals(tmp_path / "store") == Totals(octets, octets // 100, 3000)
    assert imported(tmp_path / "store", tmp_path / "in")["files_passed_over"] == {"imported already": 3}


def test_half_done_and_not_all_of_it_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path / "in", 2, 300, odd=7)
    paths = sorted((tmp_path / "in").rglob("nfcapd.*"))
    real, left = importing.write_segment, [2]

    def between(*given: object) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(importing, "write_segment", between)
    with pytest.raises(KeyboardInterrupt):
        imported(tmp_path / "store", *paths)
    with pytest.raises(StoreError, match=r"interrupted while it stored flows of .*nfcapd.*: import these first, together"):
        imported(tmp_path / "store", paths[1])
    imported(tmp_path / "store", *paths)
    assert totals(tmp_path / "store").flows == 600


SMALL = (
    "from nftui.capture.nfdump import files; files.CHUNK = 1\n"
    "from nftui.engine import importing; importing.SEGMENT_FLOWS = 700\n"
    "import sys; from nftui.cli import main; sys.exit(main(sys.argv[1:]))\n"
)


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Killed again and again, while a keeper compacts what is there, and started again: all flows, each once."""
    octets = files(tmp_path / "in", 8, 1500, odd=5)
    store = tmp_path / "store"
    command = [sys.executable, "-c", SMALL, "import", "--data", str(store), str(tmp_path / "in"), "-o", "json"]
    random, kills = Random(7), 0
    for _ in range(8):
        before, more = _size(store), random.randrange(1, 400)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            # Every octet that is written may be the last one.
            while process.poll() is None and _size(store) < before + more:
                time.sleep(0.0005)
            time.sleep(random.random() * 0.02)
            process.kill()
        kills += process.returncode == -signal.SIGKILL
        if kills % 2:
            keeper = Keeper(store, Keeping(interval_s=300, max_lifespan=0))
            keeper.recover()
            while keeper.compactor.step(made.BASE_MS * 1000 + 100 * 3600 * 1_000_000, 1 << 50):
                pass
            keeper._leaving.remove_all()
    counts = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert kills > 2
    assert counts["files"] + counts["files_passed_over"].get("imported already", 0) == 8
    assert totals(store) == Totals(octets, octets // 100, 12_000)


def _size(store: Path) -> int:
    """Return how much the journals of imports say."""
    return sum(path.stat().st_size for path in store.glob("imports/*.log"))


def test_a_later_capture_knows_the_templates_of_an_earlier_one(tmp_path: Path) -> None:
    """Which was imported before: it is read again for them, and stored once."""
    captures = [ROOT / "tests" / "data" / "corpus" / name for name in ("nf9-bitkeks-softflowd.pcap", "gen-softflowd-nf9.pcap")]
    imported(tmp_path / "both", *captures)
    imported(tmp_path / "store", captures[0])
    imported(tmp_path / "store", *captures)
    assert totals(tmp_path / "store") == totals(tmp_path / "both")


def test_a_bar_where_somebody_sees_it(tmp_path: Path) -> None:
    """And none of it on stdout, nor in a pipe."""
    files(tmp_path / "in", 2, 3000)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SMALL, "import", "--data", str(tmp_path / "store"), str(tmp_path / "in")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the other end is closed
            while octets := os.read(ours, 4096):
                shown += octets
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(ours)
    assert re.search(rb"\r\[#*\.*\] +\d+%  file [12] of 2  nfcapd\.2023", shown)
    assert shown.endswith(b"\r\x1b[K")
    assert out.startswith("6,000 flows stored from 2 files")


def test_command(tmp_path: Path) -> None:
    files(tmp_path / "in", 2, 300)
    done = nftui("import", "--data", tmp_path / "store", tmp_path / "in")
    assert done.stdout.startswith("600 flows stored from 2 files, 4 blocks in ")
    assert done.stderr == ""
    assert "passed over: 2 imported already" in nftui("import", "--data", tmp_path / "store", tmp_path / "in").stdout
    assert "600 flows stored" in nftui("import", "--again", "--data", tmp_path / "store", tmp_path / "in").stdout
    assert answer("summary", "--data", tmp_path / "store")["rows"][0]["flows"] == 1200
