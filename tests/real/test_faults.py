"""What happens at three in the morning: a full disk, a clock that is set, a store that is gone, a status nobody can write."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nftui.engine.store import Store
from tests.peers import require
from tests.real.namespace import disk
from tests.running import Collecting, answer, collecting, netflow5, nftui, wait_for


class _Exporter:
    """Sends flows, each of a number of its own, and knows how many."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._port, self.sent = port, 0

    def send(self, datagrams: int) -> None:
        for _ in range(datagrams):
            self._socket.sendto(netflow5(self.sent, 30, time.time()), ("127.0.0.1", self._port))
            self.sent += 30
            time.sleep(0.0005)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def _exporting(collector: Collecting) -> Iterator[_Exporter]:
    exporter = _Exporter(collector.port)
    try:
        yield exporter
    finally:
        exporter.close()


def _stored(data: Path) -> int:
    return int(answer("summary", "--data", data)["rows"][0]["flows"])


def _told(collector: Collecting) -> list[str]:
    return [event["text"] for event in collector.status().get("events", [])]


@pytest.fixture
def no_reserve(tmp_path: Path) -> Path:
    """A configuration that keeps nothing of the disk free."""
    path = tmp_path / "nftui.toml"
    path.write_text('[store]\nmin_free = ""\n')
    return path


@pytest.mark.peer("mount", "umount")
def test_a_full_disk_is_said_and_nothing_is_lost_while_memory_can_hold_it(tmp_path: Path, no_reserve: Path) -> None:
    with disk(tmp_path / "disk", "8m") as root:
        data = root / "store"
        with collecting(data, "--interval", "2", "--config", str(no_reserve)) as collector, _exporting(collector) as exporter:
            exporter.send(50)
            collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
            _fill(root / "ballast")
            for _ in range(10):
                exporter.send(100)
                time.sleep(0.2)
            collector.wait_for(lambda: collector.status()["store"]["state"] == "the disk is full: flows wait in memory")
            full = collector.status()
            assert full["running"] and full["flows_pending"] > 20_000
            before = _stored(data)
            shown = nftui("status", "--data", data)
            assert "the disk is full" in shown.stdout
            (root / "ballast").unlink()
            collector.wait_for(lambda: collector.status()["store"]["state"] == "ok")
            collector.wait_for(lambda: collector.status()["flows_stored"] == exporter.sent)
            assert "the disk is full: flows wait in memory" in _told(collector)
            assert "the store is written again; nothing was lost" in _told(collector)
            assert before < exporter.sent == _stored(data)
        assert _stored(data) == exporter.sent
        assert not list(data.rglob("*.tmp"))


@pytest.mark.peer("mount", "umount")
def test_stopped_while_the_disk_is_full_it_says_what_is_lost(tmp_path: Path, no_reserve: Path) -> None:
    with disk(tmp_path / "disk", "8m") as root:
        data = root / "store"
        collector = Collecting(data, "--config", str(no_reserve))
        with _exporting(collector) as exporter:
            exporter.send(50)
            collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
            _fill(root / "ballast")
            exporter.send(300)
            collector.wait_for(lambda: collector.status()["datagrams"] == 350)
        collector.process.send_signal(signal.SIGTERM)
        _, err = collector.process.communicate(timeout=60)
        lost = exporter.sent - _stored(data)
        assert lost > 0
        assert collector.process.returncode == 1
        assert f"{lost:,} flows could not be stored: the disk is full" in err
        (root / "ballast").unlink()
        with collecting(data, "--config", str(no_reserve)):
            pass
        assert _stored(data) == exporter.sent - lost
        assert not list((data / "tail").iterdir())


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


@pytest.mark.parametrize("again", [False, True], ids=["moved", "another put in its place"])
def test_a_store_that_is_moved_away_is_begun_anew_and_nothing_is_lost(tmp_path: Path, again: bool) -> None:
    data, moved = tmp_path / "store", tmp_path / "moved"
    with collecting(data, "--interval", "2") as collector, _exporting(collector) as exporter:
        exporter.send(50)
        collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
        data.rename(moved)
        if again:
            shutil.copytree(moved, data, ignore=shutil.ignore_patterns("lock*", "status.json"))
        exporter.send(50)
        collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
        assert f"the store was moved away or removed: a new one was begun at {data}" in _told(collector)
        assert Store(data).collector_running()
    assert _stored(moved) == 50 * 30
    assert _stored(data) == (100 if again else 50) * 30
    with collecting(moved):  # nobody holds it any more
        pass
    assert _stored(moved) == 50 * 30


def test_a_store_that_is_in_anothers_hands_is_waited_for(tmp_path: Path) -> None:
    data, moved = tmp_path / "store", tmp_path / "moved"
    with collecting(data) as collector, _exporting(collector) as exporter:
        collector.process.send_signal(signal.SIGSTOP)
        data.rename(moved)
        with collecting(data) as other:
            collector.process.send_signal(signal.SIGCONT)
            exporter.send(20)
            wait_for(lambda: "can't be begun anew" in _said(collector))
            time.sleep(1)
            assert other.status()["pid"] == other.process.pid
            assert _stored(data) == 0
        exporter.send(20)
        collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
    assert _stored(data) == exporter.sent


def _said(collector: Collecting) -> str:
    """Return what it has printed to its standard error since the last call."""
    assert collector.process.stderr
    handle = collector.process.stderr.fileno()
    ready, _, _ = select.select([handle], [], [], 0)
    return os.read(handle, 1 << 16).decode() if ready else ""


def test_a_folder_of_the_store_that_is_removed_comes_back(tmp_path: Path) -> None:
    with collecting(tmp_path, "--interval", "2") as collector, _exporting(collector) as exporter:
        for folder in ("tail", "flows"):
            shutil.rmtree(tmp_path / folder)
            exporter.send(20)
            collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
        wait_for(lambda: list((tmp_path / "flows").rglob("*.parquet")))
        assert collector.status()["store"]["state"] == "ok"
    assert _stored(tmp_path) >= 20 * 30


def test_a_status_that_can_not_be_written_is_said_and_is_no_reason_to_stop(tmp_path: Path) -> None:
    collector = Collecting(tmp_path)
    with _exporting(collector) as exporter:
        (tmp_path / "status.json").unlink()
        (tmp_path / "status.json").mkdir()
        exporter.send(50)
        time.sleep(2)
        shown = nftui("status", "--data", tmp_path, check=False)
        assert shown.returncode == 1 and shown.stderr.count("\n") == 1
        assert _stored(tmp_path) == exporter.sent
        (tmp_path / "status.json").rmdir()
        collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
    _, err = collector.stop()
    assert err.count("the status can't be written") == 1
    assert _stored(tmp_path) == exporter.sent


@pytest.mark.peer("cc")
@pytest.mark.parametrize("jump", [-7200, 7200], ids=["back", "ahead"])
def test_a_clock_that_is_set_loses_nothing(tmp_path: Path, jump: int) -> None:
    clock, library, data = tmp_path / "clock", tmp_path / "clock.so", tmp_path / "store"
    clock.write_text("0")
    subprocess.run([require("cc"), "-shared", "-fPIC", "-nostdlib", "-o", library, Path(__file__).with_name("clock.c")], check=True)
    environment = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(clock)}
    with collecting(data, "--interval", "2", env=environment) as collector, _exporting(collector) as exporter:
        exporter.send(50)
        collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
        collector.wait_for(lambda: collector.status()["store"].get("free_octets"))  # the keeper has looked at the clock, too
        clock.write_text(str(jump))
        exporter.send(50)
        collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
        assert abs(collector.status()["now"] / 1e6 - time.time() - jump) < 60
        if jump > 0:
            collector.wait_for(lambda: "ahead: nothing expires by age" in collector.status()["store"].get("retention", ""))
        clock.write_text("0")
        exporter.send(50)
        collector.wait_for(lambda: collector.status().get("flows_stored") == exporter.sent)
        assert _stored(data) == exporter.sent
    assert _stored(data) == exporter.sent
    assert len(Store(data).parts()) >= 3
    assert not list((data / "tail").iterdir())
