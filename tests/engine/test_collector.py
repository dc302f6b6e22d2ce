"""The collector as a process: what it receives is stored, whatever happens to it."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from nftui.config import CollectorSettings
from nftui.engine.collector import Collector
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Kind, Query
from nftui.engine.urgency import NICENESS
from tests.capture import build
from tests.real import kills
from tests.running import Collecting, answer, collecting, free_port, netflow5, nftui, payloads, send, wait_for

FIXTURE = Path(__file__).parent.parent / "data" / "ten-flows.pcap"


@pytest.mark.row("C01")
def test_the_fixture_is_seen_within_two_seconds_and_kept(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        send(collector.port, payloads(FIXTURE))
        sent = time.monotonic()
        back_end = LocalBackEnd(tmp_path)
        wait_for(lambda: back_end.answer(Query(kind=Kind.FLOWS)).total.flows == 10)
        assert time.monotonic() - sent < 2
    (row,) = answer("summary", "--data", tmp_path)["rows"]
    assert (row["flows"], row["octets"], row["packets"]) == (10, 1_552_644, 64)
    assert not list((tmp_path / "tail").iterdir())


@pytest.mark.row("C03")
def test_each_socket_is_announced_and_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with collecting(tmp_path / "a") as collector:
        refused = nftui("collect", "--data", tmp_path / "b", "--listen", f"127.0.0.1:{collector.port}", check=False)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert f"port 127.0.0.1:{collector.port} in use" in refused.stderr
        locked = nftui("collect", "--data", tmp_path / "a", "--listen", "127.0.0.1:1", check=False)
        assert locked.returncode == 1
        assert f"process {collector.process.pid}" in locked.stderr
        out, _ = collector.stop()
    assert f"listening on 127.0.0.1, port {collector.port}/udp" in out
    assert "receive buffer" in out


@pytest.mark.row("C13")
def test_check_prints_what_it_would_do_and_binds_nothing(tmp_path: Path) -> None:
    done = nftui("collect", "--check", "--data", tmp_path / "none", "--listen", "[::1]:9995")
    assert "would listen on [::1], port 9995/udp: NetFlow v1, v5, v7, v9, IPFIX and sFlow, told apart by content\n" in done.stdout
    assert "sourceIPv4Address" in done.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.row("C03")
def test_unless_told_it_listens_on_two_ports(tmp_path: Path) -> None:
    (tmp_path / "nftui.toml").write_text("")
    done = nftui("collect", "--check", "--data", tmp_path / "none", "--config", tmp_path / "nftui.toml")
    assert [line.removeprefix("would listen on ") for line in done.stdout.splitlines() if line.startswith("would listen")] == [
        "all addresses, port 9995/udp: NetFlow v1, v5, v7, v9, IPFIX and sFlow, told apart by content",
        "all addresses, port 6343/udp: sFlow only",
    ]
    # 9995 may be free or not here; 6343 is taken, unless somebody else has it, which is as well.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        with suppress(OSError):
            other.bind(("0.0.0.0", 6343))
        refused = nftui("collect", "--data", tmp_path, "--config", tmp_path / "nftui.toml", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(r"nftui: port (9995|6343) in use: another collector\? stop it or choose --listen\n", refused.stderr)


def test_what_can_not_be_read_is_counted_and_shown(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        junk = [("a", b"\x00\x09junk"), ("a", b"hello"), ("b", netflow5(0, 3, time.time())[:-10]), ("b", b"")]
        send(collector.port, junk)
        collector.wait_for(lambda: collector.status().get("datagrams") == 4)
        status = collector.status()
        shown = nftui("status", "--data", tmp_path).stdout
    reasons = {(one["address"], kind): sum(one[kind].values()) for one in status["exporters"] for kind in ("malformed", "unread")}
    assert sum(reasons.values()) == 4
    assert status["flows"] == 2
    assert "malformed: 1" in shown


def test_an_exporter_is_told_as_it_changes(tmp_path: Path) -> None:
    """A gap, a template that is awaited and comes, and a restart, as readers of the account see them while it happens."""
    back_end = LocalBackEnd(tmp_path)

    def told() -> dict[str, object]:
        (one,) = (back_end.account().status or {}).get("exporters") or [{}]
        return dict(one)

    template = build.one_set(0, build.template(300, build.PROTOCOL_AND_OCTETS))
    data = build.one_set(300, build.small(1, 10))
    with collecting(tmp_path) as collector:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", collector.port))
            sender.send(build.netflow9(data, sequence=5, uptime=90_000_000))
            collector.wait_for(lambda: told().get("templates_awaited") == [300])
            sender.send(build.netflow9(template, data, sequence=9, uptime=90_001_000))
            collector.wait_for(lambda: told().get("templates") == 1)
            sender.send(build.netflow9(data, sequence=0, uptime=1000))
            collector.wait_for(lambda: told().get("restarts") == 1)
        found, account = told(), back_end.account()
        assert (found["lost"], found["gaps"], found["flows"], found["templates_awaited"]) == ({"datagrams": 3}, 1, 3, [])
        assert isinstance(found["datagrams_per_s"], float)
        assert found["datagrams_per_s"] > 0
        assert account.running
        assert not account.problem
        events = [event["text"].partition(": ")[2] for event in (account.status or {})["events"]]
        assert [event for event in events if "clock" not in event] == [
            "new exporter", "template 300 of domain 7 awaited: its data is held back",
            "template 300 of domain 7 came, 1 set waited", "3 datagrams lost: gap in sequence numbers",
            "sequence begins anew: restarted",
        ]  # fmt: skip
        shown = nftui("status", "--data", tmp_path).stdout
    assert "lost 3 datagrams in 1 gap" in shown
    assert "1 restart seen" in shown


@pytest.mark.row("K03")
def test_segments_end_with_the_interval(tmp_path: Path) -> None:
    with collecting(tmp_path, "--interval", "2") as collector:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(50):
                sender.sendto(netflow5(number * 10, 10, time.time()), ("127.0.0.1", collector.port))
                time.sleep(0.1)
        wait_for(lambda: len(list((tmp_path / "flows").rglob("*.parquet"))) >= 2)
        back_end = LocalBackEnd(tmp_path)
        wait_for(lambda: back_end.answer(Query()).total.flows == 500)
    assert answer("summary", "--data", tmp_path)["rows"][0]["flows"] == 500


@pytest.mark.row("C02")
def test_killed_again_and_again_under_load_it_loses_at_most_the_last_second(tmp_path: Path) -> None:
    outcome = kills.kill(tmp_path / "store", 8, seed=3)
    assert outcome.kills >= 8
    assert outcome.hours > 0


def test_stopping_stores_what_was_received(tmp_path: Path) -> None:
    collector = Collecting(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(40):
            sender.sendto(netflow5(number * 30, 30, time.time()), ("127.0.0.1", collector.port))
    collector.process.send_signal(signal.SIGINT)
    collector.process.communicate(timeout=60)
    assert collector.process.returncode == 0
    assert answer("summary", "--data", tmp_path)["rows"][0]["flows"] == 1200
    assert nftui("status", "--data", tmp_path, check=False).returncode == 1


def test_a_sealing_child_that_dies_is_started_again(tmp_path: Path) -> None:
    with collecting(tmp_path, "--interval", "2") as collector:
        children = Path(f"/proc/{collector.process.pid}/task/{collector.process.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(int(children[0]), signal.SIGKILL)
        told = "the keeper of the store was ended by SIGKILL and is started again"
        collector.wait_for(lambda: told in [event["text"] for event in collector.status()["events"]])
        send(collector.port, payloads(FIXTURE))
        wait_for(lambda: list((tmp_path / "flows").rglob("*.parquet")))
    assert answer("summary", "--data", tmp_path)["rows"][0]["flows"] == 10


@pytest.mark.row("C05")
def test_the_sampling_of_a_v5_header_is_honoured(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        send(collector.port, [("a", netflow5(1, 1, time.time(), sampling=0x4000 | 50))])
        collector.wait_for(lambda: collector.status().get("flows_stored") == 1)
    scaled, raw = (answer("summary", "--data", tmp_path, *more)["rows"][0]["packets"] for more in ((), ("--raw",)))
    assert (scaled, raw) == (50, 1)


def test_what_was_not_foreseen_is_counted_and_does_not_end_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.capture.netflow5.decode", _unforeseen)
    port = free_port()
    collector = Collector(tmp_path, CollectorSettings(listen=(f"127.0.0.1:{port}",)))
    thread = threading.Thread(target=collector.run)
    thread.start()
    try:
        send(port, [("a", netflow5(0, 3, time.time()))])
        wait_for(lambda: collector.status()["undecodable"] == 1)
        monkeypatch.undo()
        send(port, [("a", netflow5(0, 3, time.time()))])
        wait_for(lambda: collector.status()["flows_stored"] == 3)
        assert any("ZeroDivisionError" in event["text"] for event in collector.status()["events"])
    finally:
        collector.stop()
        thread.join()
    assert LocalBackEnd(tmp_path).answer(Query()).total.flows == 3


def test_a_disk_that_is_full_makes_exporters_on_connections_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flows_each, messages = 30, 4000
    monkeypatch.setattr("nftui.engine.collector.most_flows", lambda: 200_000)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    collector = Collector(tmp_path, CollectorSettings(listen=(f"127.0.0.1:{port}/tcp",)))
    thread = threading.Thread(target=collector.run)
    with monkeypatch.context() as disk, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as exporter:
        disk.setattr(collector._outlet.writer, "write_tail", _no_space)
        thread.start()
        try:
            exporter.connect(("127.0.0.1", port))
            exporter.settimeout(2)
            template = build.one_set(2, build.template(256, build.PROTOCOL_AND_OCTETS))
            data = build.one_set(256, bytes(17) * flows_each)
            whole = build.ipfix(template) + b"".join(build.ipfix(data, sequence=number * flows_each) for number in range(messages))
            sent = 0
            with suppress(TimeoutError):
                while sent < 100 * len(whole):
                    sent += exporter.send((whole + whole)[sent % len(whole) :][: len(whole)])
            assert sent < 100 * len(whole)
            waiting = collector.status()
            assert 100_000 < waiting["flows_pending"] <= 200_000
            disk.undo()
            exporter.settimeout(20)
            exporter.sendall((whole + whole)[sent % len(whole) :][: len(whole) - sent % len(whole)])
            rounds = -(-sent // len(whole))
            wait_for(lambda: collector.status()["flows_stored"] == rounds * messages * flows_each)
            assert collector.status()["queue_dropped"] == 0
        finally:
            collector.stop()
            thread.join()


def _no_space() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _unforeseen(*_: object) -> None:
    raise ZeroDivisionError


def test_what_encodes_and_writes_is_less_urgent_than_what_receives(tmp_path: Path) -> None:
    with collecting(tmp_path) as collector:
        send(collector.port, payloads(FIXTURE))
        collector.wait_for(lambda: collector.status().get("flows_stored") == 10)
        niceness: dict[str, set[int]] = {}
        for task in Path(f"/proc/{collector.process.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(") ")
            niceness.setdefault(name.partition("-")[0], set()).add(int(rest.split()[16]))
    urgent = os.getpriority(os.PRIO_PROCESS, 0)
    less = {min(urgent + NICENESS, 19)}
    assert (niceness["polars"] - {urgent}, niceness["async"]) == (less, less)
    assert all(urgent in values for name, values in niceness.items() if name.startswith(("nftui", "python")))


def test_stopped_at_once_it_seals_what_its_child_had_no_time_for(tmp_path: Path) -> None:
    collector = Collecting(tmp_path)
    send(collector.port, payloads(FIXTURE))
    collector.wait_for(lambda: collector.status().get("flows_stored") == 10)
    (child,) = Path(f"/proc/{collector.process.pid}/task/{collector.process.pid}/children").read_text().split()
    collector.process.send_signal(signal.SIGTERM)
    os.kill(int(child), signal.SIGKILL)
    collector.process.communicate(timeout=60)
    assert not list((tmp_path / "tail").iterdir())
    assert answer("summary", "--data", tmp_path)["rows"][0]["flows"] == 10


def test_many_flows_are_written_before_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.engine.collector.TICK_S", 3600)
    monkeypatch.setattr("nftui.engine.collector.TICK_FLOWS", 100)
    monkeypatch.setattr("nftui.engine.writer.PACK_FROM", 100)
    port = free_port()
    collector = Collector(tmp_path, CollectorSettings(listen=(f"127.0.0.1:{port}",)))
    thread = threading.Thread(target=collector.run)
    thread.start()
    try:
        for number in range(3):
            send(port, [("a", netflow5(120 * number + 30 * place, 30, time.time())) for place in range(4)])
            wait_for(lambda: collector.status()["flows_stored"] == 120 * (number + 1))  # noqa: B023 - called within the loop
        send(port, [("a", netflow5(360, 30, time.time()))])
        wait_for(lambda: collector.status()["flows_pending"] == 30)
    finally:
        began = time.monotonic()
        collector.stop()
        thread.join()
    assert time.monotonic() - began < 30
    assert LocalBackEnd(tmp_path).answer(Query()).total.flows == 390
