"""A crash between any two system calls of sealing, compacting, superseding and expiring: totals stay equal.

The calls are those of the real work on a real store, of the libraries' threads too; the process is killed just before each in turn.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Query, Totals
from nftui.engine.sealer import Sealer
from nftui.engine.segments import HOUR, SEGMENT
from nftui.engine.store import Store
from nftui.engine.writer import StoreWriter
from nftui.units import SECOND
from tests.engine.conftest import flows_frame
from tests.engine.crash.worker import BASE
from tests.peers import require

HERE = Path(__file__).parent / "crash"
MINUTE = 60 * SECOND
SLACK = 3
"""Threads may make some calls more in one run than in another: no end before so many runs came through."""


class _Worker:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, work: str, step: int, root: Path) -> int | None:
        """Do a work, and die before a call; return the number of calls when it was done before, or None."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{work} {step} {root}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        return None if answer == ["killed"] else int(answer[1])


@contextmanager
def _worker(folder: Path) -> Iterator[_Worker]:
    library = folder / "calls.so"
    compile_it = [require("cc"), "-shared", "-fPIC", "-nostdlib", "-O1", "-fno-builtin", "-o", str(library), str(HERE / "calls.c")]
    subprocess.run(compile_it, check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.crash.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LD_PRELOAD": str(library), "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"},
    )
    try:
        yield _Worker(process)
    finally:
        process.communicate(timeout=30)
        assert process.returncode == 0


def _write(writer: StoreWriter, minute: int, count: int) -> None:
    at = BASE + minute * MINUTE
    writer.append(
        [flows_frame([{"flow_start": at, "received": at + n, "octets": minute, "source_address": n} for n in range(count)])]
    )
    writer.write_tail()


def _unsealed(root: Path) -> None:
    """Make a store with segments of two hours, some superseded, tail files of both formats, and half-written files."""
    writer = StoreWriter(root)
    for minute in (1, 2, 61):
        _write(writer, minute, 2)
        Sealer(root, 300).sweep(0, everything=True)
    kept = root.parent / "kept"
    for minute in (62, 63, 64):
        _write(writer, minute, 2)
    shutil.copytree(root / "tail", kept)
    Sealer(root, 300).sweep(0, everything=True)
    shutil.copytree(kept, root / "tail", dirs_exist_ok=True)
    shutil.rmtree(kept)
    for minute, count in ((70, 2), (71, 5), (72, 4), (130, 2)):
        _write(writer, minute, count)
    (root / "flows" / "2023" / "11" / "14" / f"{'-'.join('1' * 4)}-L0-main.00000900.00000901.parquet.tmp").write_bytes(b"half")


def _compacted(root: Path, worker: _Worker) -> None:
    """Make a store with compacted hours beside the segments that they superseded, and a segment."""
    writer = StoreWriter(root)
    for minute in (1, 2, 3, 61, 62):
        _write(writer, minute, 2)
        Sealer(root, 300).sweep(0, everything=True)
    kept = root.parent / "kept"
    shutil.copytree(root / "flows", kept)
    assert worker.run("seal", 0, root) is not None
    shutil.copytree(kept, root / "flows", dirs_exist_ok=True)
    shutil.rmtree(kept)
    assert {part.name.level for part in Store(root).listed()} == {SEGMENT, HOUR}


def _total(root: Path) -> Totals:
    return LocalBackEnd(root, keep=False).answer(Query()).total


@pytest.mark.peer("cc")
def test_a_crash_between_any_two_calls_of_sealing_and_compacting_changes_no_total(tmp_path: Path) -> None:
    made = tmp_path / "made"
    _unsealed(made)
    expected = _total(made)
    with _worker(tmp_path) as worker:
        step, through = 0, 0
        while through < SLACK:
            step += 1
            root = tmp_path / f"at{step}"
            shutil.copytree(made, root)
            through += worker.run("seal", step, root) is not None
            assert _total(root) == expected, step
            assert worker.run("seal", 0, root) is not None
            assert _total(root) == expected, step
            left = [path.name for path in root.rglob("*") if path.is_file() and path.suffix != ".parquet"]
            assert left == ["keeper.json"] or left == []
            assert {part.name.level for part in Store(root).listed()} == {HOUR}
            shutil.rmtree(root)
    assert step > 60


@pytest.mark.peer("cc")
def test_a_crash_between_any_two_calls_of_expiring_brings_nothing_back(tmp_path: Path) -> None:
    with _worker(tmp_path) as worker:
        made = tmp_path / "made"
        _compacted(made, worker)
        whole = _total(made)
        assert whole.flows == 10
        step, through = 0, 0
        seen = []
        while through < SLACK:
            step += 1
            root = tmp_path / f"at{step}"
            shutil.copytree(made, root)
            through += worker.run("expire", step, root) is not None
            seen.append(_total(root).flows)
            assert worker.run("expire", 0, root) is not None
            assert _total(root).flows == 4
            assert {part.name.level for part in Store(root).listed()} <= {SEGMENT, HOUR}
            shutil.rmtree(root)
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {10, 4}
    assert step > 8
