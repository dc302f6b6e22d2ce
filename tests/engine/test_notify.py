"""What systemd hears of the collector; and that pings for its watchdog come while it is alive, and only then."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from nftui.config import CollectorSettings
from nftui.engine import notify
from nftui.engine.collector import Collector
from nftui.engine.feed import Feed
from tests.engine.test_metering import Source
from tests.notices import Notices, jammed
from tests.running import collecting, free_port, netflow5, send

LIMIT_S = 2.0
"""Of the watchdog: a thread that hangs is noticed after half of it, and pings come four times as often."""
NOTICED_S = 0.75 * LIMIT_S + 0.2


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@nftui-test-{secrets.token_hex(8)}"


def test_each_state_is_told(tmp_path: Path, address: str) -> None:
    with Notices(address) as systemd:
        with collecting(tmp_path / "store", env=systemd.environment) as collector:
            assert systemd.wait("READY") == {"READY": "1", "STATUS": f"receiving, sockets: 1; storing in {tmp_path / 'store'}"}
            before = time.monotonic_ns() // 1000
            collector.process.send_signal(signal.SIGHUP)
            began = systemd.wait("RELOADING")
            assert before <= int(began["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
            assert systemd.wait("READY") == {"READY": "1"}
            collector.process.send_signal(signal.SIGTERM)
            assert systemd.wait("STOPPING")["STOPPING"] == "1"
        assert all("WATCHDOG" not in notice for _, notice in systemd.heard)


def test_nobody_to_tell_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.tell("READY=1")
    for address in ("", "relative", "tcp:1.2.3.4:5", str(tmp_path / "none"), f"@{secrets.token_hex(8)}", "/" + "long" * 100):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not notify.tell("READY=1")


def test_a_line_stays_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Notices(str(tmp_path / "notify")) as systemd:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert notify.tell("STATUS=a\nMAINPID=1", "READY=1")
        assert systemd.wait("STATUS") == {"STATUS": "a MAINPID=1", "READY": "1"}


@pytest.mark.parametrize(
    ("limit", "whom", "seconds"),
    [
        ("30000000", "", 30), ("1500000", "77", 1.5), ("30000000", "78", None), ("", "", None), ("0", "", None),
        ("-5", "", None), ("soon", "", None), ("٣", "", None), ("30000000", "x", None),
    ],
)  # fmt: skip
def test_who_waits_for_pings(limit: str, whom: str, seconds: float | None) -> None:
    assert notify.watchdog_s({"WATCHDOG_USEC": limit, "WATCHDOG_PID": whom}, 77) == seconds
    assert notify.watchdog_s({}) is None


def test_pings_stop_while_the_store_hangs_and_come_again(tmp_path: Path) -> None:
    with Notices(str(tmp_path / "notify"), LIMIT_S) as systemd:
        with collecting(tmp_path / "store", env=systemd.environment) as collector:
            systemd.wait("WATCHDOG")
            assert "0 flows stored" in systemd.wait("WATCHDOG")["STATUS"]
            with jammed(tmp_path / "store" / "status.json.tmp"):
                systemd.pings(NOTICED_S)
                assert systemd.pings(1) == 0
            systemd.wait("WATCHDOG")
            _, told = collector.stop()
        assert "the watchdog is not pinged: storing did not go round for 1.0 s" in told


def test_pings_stop_while_the_receiving_thread_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with Notices(str(tmp_path / "notify"), LIMIT_S) as systemd:
        for name, value in systemd.environment.items():
            monkeypatch.setenv(name, value)
        collector = Collector(tmp_path / "store", CollectorSettings(listen=(f"127.0.0.1:{port}",)))
        thread = threading.Thread(target=collector.run)
        take, hold = collector.listening.sockets[0].take, threading.Event()
        # The one place where receiving alone can be held, and not storing too: where it takes datagrams.
        monkeypatch.setattr(type(collector.listening.sockets[0]), "take", lambda _: hold.wait() and take())
        thread.start()
        try:
            systemd.wait("WATCHDOG")
            send(port, [("a", netflow5(0, 1, time.time()))])
            systemd.pings(NOTICED_S)
            assert systemd.pings(1) == 0
            assert "receiving" in collector._pulse.late()
            hold.set()
            systemd.wait("WATCHDOG")
        finally:
            hold.set()
            collector.stop()
            thread.join()


def test_pings_stop_while_packets_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of a feed is watched until its source is over, and what is handed on at the end may take long."""
    hold, last = threading.Event(), threading.Event()

    class Held(Source):
        def take(self) -> bool:
            return super().take() and hold.wait()

        def rest(self, now: int) -> list[pl.DataFrame]:
            last.wait()
            return []

    source = Held("one")
    with Notices(str(tmp_path / "notify"), LIMIT_S) as systemd:
        for name, value in systemd.environment.items():
            monkeypatch.setenv(name, value)
        collector = Collector(tmp_path / "store", CollectorSettings(listen=()), feed=Feed([source]))
        thread = threading.Thread(target=collector.run)
        thread.start()
        try:
            systemd.wait("WATCHDOG")
            os.write(source.write, b"a")
            systemd.pings(NOTICED_S)
            assert systemd.pings(1) == 0
            assert collector._pulse.late() == ["metering"]
            hold.set()
            systemd.wait("WATCHDOG")
            os.close(source.write)
            systemd.pings(NOTICED_S)
            assert systemd.pings(1) > 0
        finally:
            hold.set()
            last.set()
            collector.stop()
            thread.join()


def test_a_disk_that_is_full_and_a_child_that_is_stopped_are_no_reason(tmp_path: Path) -> None:
    with (
        Notices(str(tmp_path / "notify"), LIMIT_S) as systemd,
        collecting(tmp_path / "store", env=systemd.environment) as collector,
    ):
        (child,) = Path(f"/proc/{collector.process.pid}/task/{collector.process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGSTOP)
        resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            send(collector.port, [("a", netflow5(0, 3, time.time()))])
            while "3 wait" not in systemd.wait("WATCHDOG")["STATUS"]:
                pass
            before = collector.status()
            for _ in range(4):
                assert "3 wait" in systemd.wait("WATCHDOG")["STATUS"]
            assert collector.status() == before
        finally:
            resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            os.kill(int(child), signal.SIGCONT)
        collector.wait_for(lambda: collector.status().get("flows_stored") == 3)
