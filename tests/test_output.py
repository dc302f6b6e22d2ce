"""Where an answer goes: a terminal is told of what is written to it, and a file that can't be written in one line."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nftui import progress
from nftui.cli import main
from nftui.engine.writer import StoreWriter
from nftui.progress import Bar
from tests.engine.conftest import flows_frame
from tests.running import ROOT


def test_parquet_is_nothing_for_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nftui", "flows", "--data", str(tmp_path), "-o", "parquet"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60, check=False)
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, done.stderr) == (2, "nftui: -o parquet is nothing for a terminal; name a file with --out FILE\n")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for target in (tmp_path, tmp_path / "none" / "file"):
        assert main(["summary", "--data", str(tmp_path), "--out", str(target)]) == 1
        out, told = capsys.readouterr()
        assert out == ""
        assert told.startswith(f"nftui: {target}: ")
        assert told.endswith("; name another file with --out\n")


@pytest.mark.parametrize("form", ["text", "csv", "parquet"])
def test_a_full_disk_is_one_line(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame([{"flow_start": 1_700_000_000_000_000, "octets": number} for number in range(99)])])
    writer.write_tail()
    assert main(["flows", "--data", str(tmp_path), "-o", form, "--out", "/dev/full"]) == 1
    out, told = capsys.readouterr()
    assert (out, told.count("\n")) == ("", 1)
    assert "No space left on device" in told
    assert Path("/dev/full").is_char_device()


def test_a_reader_of_parquet_that_goes_away_is_no_error(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path)
    writer.append([flows_frame([{"flow_start": 1_700_000_000_000_000 + number, "octets": number} for number in range(99)])])
    writer.write_tail()
    command = f"{sys.executable} -m nftui flows --data {tmp_path} -o parquet | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stderr == ""


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "answer"
    target.write_text("before")
    assert main(["summary", "--data", str(tmp_path / "none"), "--out", str(target)]) == 1
    assert "no such data directory" in capsys.readouterr().err
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_bar_is_drawn_now_and_then_and_wiped_away(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter([0.0, 0.1, 0.3, 0.35, 0.6])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments))
    with Bar("flows", shown=True) as bar:
        for done in (1, 500_000, 600_000, 1_000_000):
            bar(done, 1_000_000)
    drawn = capsys.readouterr().err
    assert drawn.count("\r[") == 2
    assert "50%  500,000 of 1,000,000 flows" in drawn
    assert "100%  1,000,000 of 1,000,000 flows" in drawn
    assert drawn.endswith("\r\x1b[K")


def test_no_bar_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("flows") as bar:
        time.sleep(progress.EVERY_S)
        bar(1, 2)
    assert capsys.readouterr().err == ""
