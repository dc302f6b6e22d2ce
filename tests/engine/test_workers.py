"""A collector of several processes: to whoever looks it is one, and what happens to one of them costs at most its last second."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import polars as pl
import pytest

from nftui.capture.pcap import read_capture
from nftui.capture.sockets import sixteen
from nftui.config import CollectorSettings, Config, ExporterSettings
from nftui.engine import child, crew, workers
from nftui.engine.accounts import read
from nftui.engine.collector import Collector
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Kind, Query
from nftui.engine.share import Share
from nftui.engine.store import Store, scan_part
from nftui.errors import ListenError
from tests.capture import build, corpus
from tests.real import namespace
from tests.running import Collecting, answer, collecting, free_port, netflow5, nftui, wait_for

EXPORTERS = [f"127.3.{place // 8}.{1 + place}" for place in range(64)]
EACH = 10_000_000
"""Flows of an exporter are numbered from its place times this on."""


@contextmanager
def exporters(addresses: list[str], port: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        found = []
        for address in addresses:
            one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            one.bind((address, 0))
            one.connect(("127.0.0.1", port))
            found.append(one)
        yield found


def flows_of(root: Path) -> pl.DataFrame:
    found = LocalBackEnd(root).answer(Query(kind=Kind.FLOWS, limit=None, order="octets")).flows
    assert found is not None
    return found


def streams(root: Path) -> dict[str, set[bytes]]:
    """Return the exporters whose flows are in each stream."""
    found: dict[str, set[bytes]] = {}
    for part in Store(root).parts():
        found.setdefault(part.name.stream, set()).update(scan_part(part).collect()["exporter_address"].unique())
    return found


def pids(collector: Collecting) -> list[int]:
    return [one["pid"] for one in collector.status().get("processes", [])]


def begun(collector: Collecting, number: int) -> None:
    """Wait until all have given account of themselves."""
    files = [Share(one, number).file(collector.data, "status.json") for one in range(1, number + 1)]
    collector.wait_for(lambda: pids(collector) and [(read(path) or {}).get("pid") for path in files] == pids(collector))


def sums(status: dict[str, Any], *keys: str) -> list[int]:
    return [sum(one[key] for one in status["exporters"]) for key in keys]


def test_of_three_processes_sums_are_exact_and_each_exporter_is_with_one(tmp_path: Path) -> None:
    with collecting(tmp_path, "--processes", "3") as collector, exporters(EXPORTERS, collector.port) as some:
        for round_ in range(5):
            for place, one in enumerate(some):
                # From ports of their own, as exporters of several line cards do; and the first of long ago, for the odd streams.
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                    other.bind((EXPORTERS[place], 0))
                    datagram = netflow5(place * EACH + round_ * 30, 30, time.time())
                    if not round_:
                        datagram = datagram[:4] + (9 * 3_600_000).to_bytes(4, "big") + datagram[8:]
                    (one if round_ % 2 else other).sendto(datagram, ("127.0.0.1", collector.port))
        flows = 5 * 30 * len(EXPORTERS)
        collector.wait_for(lambda: collector.status().get("flows_stored") == flows)
        begun(collector, 3)
        status = collector.status()
        shown = nftui("status", "--data", tmp_path).stdout
        out, _ = collector.stop()
    assert "3 processes receive over udp" in out
    assert shown.count("\n  process ") == 3
    assert (status["datagrams"], status["flows"], status["drops"]) == (5 * len(EXPORTERS), flows, 0)
    assert sums(status, "flows", "datagrams") == [flows, 5 * len(EXPORTERS)]
    assert [len(one["domains"]) for one in status["exporters"]] == [1] * len(EXPORTERS)
    assert [status["listen"][0][key] for key in ("datagrams", "drops")] == [5 * len(EXPORTERS), 0]
    assert sum(one["flows"] for one in status["processes"]) == flows
    ended = json.loads((tmp_path / "status.json").read_bytes())
    assert (ended["flows"], ended["flows_stored"], ended["flows_pending"], ended["running"]) == (flows, flows, 0, False)
    stored = flows_of(tmp_path)["octets"]
    assert (stored.len(), stored.n_unique()) == (flows, flows)
    found = streams(tmp_path)
    assert set(found) == {"main", "main2", "main3", "odd", "odd2", "odd3"}
    for number in (1, 2, 3):
        mine = {sixteen(one) for one in EXPORTERS if Share(1, 3).owner(sixteen(one)) == number}
        main, odd = (name + (str(number) if number > 1 else "") for name in ("main", "odd"))
        assert mine and found[main] == mine
        assert found[odd] == mine
    assert not list((tmp_path / "tail").iterdir())
    assert not list(tmp_path.glob("status.*.json"))


def test_all_transports_and_the_port_of_sflow(tmp_path: Path) -> None:
    """Streams are the first's; an exporter that sends over both is one; on 6343 everything is sFlow, in each process."""
    failed: list[BaseException] = []

    def inside() -> None:
        words = ("--processes", "3", "--listen", "6343", "--listen", "127.0.0.1:4739/tcp")
        with collecting(tmp_path, *words) as collector:
            template, data = build.one_set(2, build.template(256, build.PROTOCOL_AND_OCTETS)), build.one_set(256, bytes(17) * 30)
            messages = build.ipfix(template) + build.ipfix(data)
            blocks = list(read_capture(corpus.capture_of(corpus.case("sflow-telegraf-15918"))))
            sflow = [bytes(block.payload[row, : block.length[row]]) for block in blocks for row in range(len(block.length))]
            with exporters(EXPORTERS, 6343) as some:
                for one in some:
                    one.send(sflow[0])
                    one.send(b"\x00\x05 is no sFlow")
            with exporters(EXPORTERS[:9], collector.port) as some:
                for place, (address, one) in enumerate(zip(EXPORTERS, some, strict=False)):
                    one.send(netflow5(place, 1, time.time()))
                    with socket.create_connection(("127.0.0.1", 4739), source_address=(address, 0)) as session:
                        session.sendall(messages)
            total = 2 * len(EXPORTERS) + 3 * 9
            collector.wait_for(lambda: collector.status().get("datagrams") == total)
            begun(collector, 3)
            status = collector.status()
        assert status["flows"] == json.loads((tmp_path / "status.json").read_bytes())["flows_stored"]
        assert [one["datagrams"] for one in status["listen"]] == [9, 2 * len(EXPORTERS), 18]
        assert status["listen"][2]["connections"]["accepted"] == 9
        by_address = {one["address"]: one for one in status["exporters"]}
        assert len(by_address) == len(status["exporters"])
        for address in EXPORTERS[:9]:
            assert (by_address[address]["protocol"], by_address[address]["flows"]) == ("IPFIX, v5", 31)
        assert sum(sum(one["malformed"].values()) for one in status["exporters"]) == len(EXPORTERS)
        assert all(one["exporters"] > 5 for one in status["processes"])
        (agent,) = [one for one in status["exporters"] if one["protocol"] == "sFlow"]
        assert agent["datagrams"] == len(EXPORTERS), "one agent, whoever passed on what it said"

    def run() -> None:
        try:
            namespace.inside(inside)
        except BaseException as error:  # noqa: BLE001 - skips too are for the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


class _Load(threading.Thread):
    """Sends numbered flows of some exporters at a steady rate, and knows when it sent which."""

    def __init__(self, port: int, number: int = 8) -> None:
        super().__init__(daemon=True)
        self.port, self.over, self.number = port, threading.Event(), number
        self.sent: list[tuple[float, int]] = []

    def run(self) -> None:
        with exporters(EXPORTERS[: self.number], self.port) as some:
            number = 0
            while not self.over.wait(0.01):
                for place, one in enumerate(some):
                    try:
                        one.send(netflow5(place * EACH + number, 30, time.time()))
                    except ConnectionRefusedError:
                        continue
                    self.sent.append((time.monotonic(), place * EACH + number))
                number += 30

    def flows(self, since: float, until: float) -> set[int]:
        """Return the first flow of each datagram sent between two moments."""
        return {number for when, number in self.sent if since <= when < until}


def test_a_process_killed_under_load_is_started_again_and_little_is_lost(tmp_path: Path) -> None:
    with collecting(tmp_path, "--processes", "3", "--interval", "2") as collector:
        begun(collector, 3)
        load = _Load(collector.port)
        load.start()
        time.sleep(1.5)
        before, killed = pids(collector), time.monotonic()
        os.kill(before[1], signal.SIGKILL)
        collector.wait_for(lambda: pids(collector)[1] not in (0, before[1]))
        time.sleep(1.5)
        load.over.set()
        load.join()
        sent = {number for _, number in load.sent}
        collector.wait_for(lambda: collector.status().get("flows_pending") == 0)
        _, err = collector.stop()
    status = collector.status()
    (told,) = [one["text"] for one in status["events"] if "process 2" in one["text"]]
    assert told == "process 2 was ended by SIGKILL and is started again: at most its last second is lost"
    assert told in err
    assert [one["restarts"] for one in status["processes"]] == [0, 1, 0]
    stored = flows_of(tmp_path)["octets"]
    assert stored.n_unique() == stored.len()
    last = load.flows(killed - 1.15, killed + 0.1)
    # What it had written since it last gave account of itself is stored, and counted by nobody.
    assert 0 <= stored.len() - status["flows_stored"] <= 30 * len(last)
    missing = sent - set(stored.to_list())
    owners = {place: Share(1, 3).owner(sixteen(EXPORTERS[place])) for place in range(load.number)}
    assert {owners[number // EACH] for number in missing} <= {2}
    assert 2 in owners.values()
    assert missing <= last, "only what it had not written yet"
    assert not list((tmp_path / "tail").iterdir())


def test_the_first_killed_under_load_takes_the_others_along_and_little_is_lost(tmp_path: Path) -> None:
    port = free_port()
    load, periods = _Load(port), []
    for kill in range(2):
        collector = Collecting(tmp_path, "--processes", "3", "--interval", "2", port=port)
        begun(collector, 3)
        if not kill:
            load.start()
        began = time.monotonic()
        time.sleep(2)
        mine, ended = pids(collector), time.monotonic()
        collector.process.kill()
        while Store(tmp_path).collector_running():
            time.sleep(0.001)
        assert [one for one in mine if (Path("/proc") / str(one) / "cmdline").exists() and one != mine[0] and _alive(one)] == []
        collector.process.communicate()
        periods.append((began + 0.1, ended - 1.15))
    load.over.set()
    load.join()
    with collecting(tmp_path, "--processes", "2", port=port):
        pass
    assert not list((tmp_path / "tail").iterdir())
    stored = flows_of(tmp_path)["octets"]
    assert stored.n_unique() == stored.len()
    there = set(stored.to_list())
    for since, until in periods:
        sent = load.flows(since, until)
        assert sent and sent <= there
    parts = sorted((part.name.stream, part.name.first, part.name.last) for part in Store(tmp_path).parts())
    for before, after in pairwise(parts):
        assert before[0] != after[0] or before[2] < after[1], "numbers of a stream go on"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def test_templates_move_with_their_exporters_when_the_number_changes(tmp_path: Path) -> None:
    template = build.netflow9(build.one_set(0, build.template(300, build.PROTOCOL_AND_OCTETS)))
    waits = build.netflow9(build.one_set(400, build.small(1, 10)), sequence=1)
    data = build.netflow9(build.one_set(300, build.small(1, 10)), sequence=2)
    comes = build.netflow9(build.one_set(0, build.template(400, build.PROTOCOL_AND_OCTETS)), sequence=3)
    flows = 0
    for turn, (number, datagrams, gain) in enumerate([(1, [template, waits], 0), (3, [data, comes], 2), (2, [data], 1)]):
        with collecting(tmp_path, "--processes", str(number)) as collector, exporters(EXPORTERS, collector.port) as some:
            for datagram in datagrams:
                for one in some:
                    one.send(datagram)
            flows += gain * len(EXPORTERS)
            expected = len(datagrams) * len(EXPORTERS)
            collector.wait_for(lambda: collector.status().get("datagrams") == expected)  # noqa: B023 - called within the loop
        status = collector.status()
        assert status["flows_stored"] == gain * len(EXPORTERS)
        assert sums(status, "held_back") == [0 if turn else len(EXPORTERS)]
        assert len(list(tmp_path.glob("templates.*.json"))) == number - 1
    assert answer("summary", "--data", tmp_path)["rows"][0]["flows"] == flows
    assert not list(tmp_path.glob("held*"))


@pytest.mark.parametrize(("holds", "wants"), [("1", "2"), ("2", "1")])
def test_a_port_is_never_shared_with_another_collector(holds: str, wants: str, tmp_path: Path) -> None:
    with collecting(tmp_path / "a", "--processes", holds) as collector:
        words = ("--data", tmp_path / "b", "--listen", f"127.0.0.1:{collector.port}", "--processes", wants)
        refused = nftui("collect", *words, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == f"nftui: port 127.0.0.1:{collector.port} in use: another collector? stop it or choose --listen\n"


@contextmanager
def here(root: Path, number: int, **more: Any) -> Iterator[Collector]:
    """A collector within this process."""
    settings = CollectorSettings(listen=(f"127.0.0.1:{free_port()}",), processes=number, **more)
    collector = Collector(root, settings)
    thread = threading.Thread(target=collector.run)
    thread.start()
    try:
        yield collector
    finally:
        collector.stop()
        thread.join()


def account(root: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((root / "status.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def told(root: Path, words: str) -> bool:
    return any(words in one["text"] for one in account(root).get("events", []))


def test_one_process_shares_nothing(tmp_path: Path) -> None:
    with here(tmp_path, 1) as collector:
        (one,) = collector.listening.sockets
        mine = socket.socket(fileno=os.dup(one.receiver.fileno()))
        with mine:
            assert not mine.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        wait_for(lambda: account(tmp_path))
        assert "processes" not in account(tmp_path)
        assert collector.share == Share()


def test_a_kernel_that_can_not_deal_leaves_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "can_deal", lambda: False)
    with here(tmp_path, 3) as collector:
        assert collector.share == Share()
        wait_for(lambda: told(tmp_path, "this kernel can't deal datagrams"))


def test_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    udp, tcp = ("127.0.0.1", 9995, "udp"), (None, 4739, "tcp")
    assert workers.number_of(3, [tcp, udp], pytest.fail) == 3
    assert workers.number_of(3, [tcp], pytest.fail) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
    assert workers.number_of(0, [udp], pytest.fail) == 3


def test_a_process_that_says_nothing_is_told_of_and_what_it_misses_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "STALE_S", 1.5)
    sent = 2000
    with here(tmp_path, 2, receive_buffer="64K") as collector:
        port = collector.listening.sockets[0].receiver.port
        mine = [one for one in EXPORTERS if Share(1, 2).owner(sixteen(one)) == 2]
        wait_for(lambda: account(tmp_path).get("processes", [{}, {}])[1].get("pid") and (tmp_path / "status.2.json").exists())
        pid = account(tmp_path)["processes"][1]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_for(lambda: told(tmp_path, "process 2 has said nothing for 2 s"))
            with exporters(mine[:1], port) as (one,):
                for number in range(sent):
                    one.send(netflow5(number * 30, 30, time.time()))
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: account(tmp_path).get("datagrams", 0) and account(tmp_path)["drops"])
        status = account(tmp_path)
        assert status["datagrams"] + status["drops"] == sent
        assert (status["processes"][0]["drops"], status["processes"][1]["drops"]) == (0, status["drops"])
        assert status["listen"][0]["drops"] == status["drops"]
        wait_for(lambda: told(tmp_path, f"{status['drops']} datagrams dropped by the kernel"))


def test_processes_that_can_not_live_are_started_ever_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PAUSES_S", (0.0, 3600.0))
    monkeypatch.setattr("nftui.engine.crew.sys", SimpleNamespace(executable="/bin/false"))
    with here(tmp_path, 2):
        wait_for(lambda: told(tmp_path, "process 2 ended with status 1 and is started again in 3600 s"))
        assert account(tmp_path)["processes"][1]["restarts"] == 2


def test_another_configuration_reaches_all(tmp_path: Path) -> None:
    with here(tmp_path, 2) as collector:
        port = collector.listening.sockets[0].receiver.port
        mine = [one for one in EXPORTERS if Share(1, 2).owner(sixteen(one)) == 2]
        with exporters(mine, port) as some:
            some[0].send(netflow5(1, 1, time.time()))
            wait_for(lambda: account(tmp_path).get("flows_stored") == 1)
            before = account(tmp_path)["processes"][1]["pid"]
            config = Config(collector=collector.settings, exporters={"127.0.0.0/8": ExporterSettings(sampling=50)})
            collector._workers.follow(Config(collector=msgspec.structs.replace(collector.settings, interval=60)))
            assert not any(worker.renewed for worker in collector._workers._members), "sealing is not theirs"
            collector._workers.follow(config)
            half = len(mine) // 2
            for place, one in enumerate(some[:half]):
                one.send(netflow5(2 + place, 1, time.time()))
            wait_for(lambda: account(tmp_path)["processes"][1]["pid"] not in (0, before))
            for place, one in enumerate(some[half:], half):
                one.send(netflow5(2 + place, 1, time.time()))
            wait_for(lambda: account(tmp_path).get("flows_stored") == 1 + len(mine))
        status = account(tmp_path)
        assert status["processes"][1]["restarts"] == 0
        assert not told(tmp_path, "process 2")
        found = {one["address"]: one["sampling"] for one in status["exporters"]}
        assert [found[address] for address in mine[half:]] == [{"configured": 50}] * (len(mine) - half)
    assert flows_of(tmp_path)["octets"].sort().to_list() == list(range(1, 2 + len(mine)))


def test_a_bound_port_that_is_lost_to_another_leaves_nothing_bound(tmp_path: Path) -> None:
    free = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        with pytest.raises(ListenError):
            Collector(tmp_path, CollectorSettings(listen=(f"127.0.0.1:{free}", f"127.0.0.1:{taken}"), processes=3))
    settings = msgspec.structs.replace(CollectorSettings(listen=(f"127.0.0.1:{free}",)), processes=3)
    Collector(tmp_path / "other", settings).listening.close()


def test_a_store_that_was_moved_away_is_begun_anew_by_all(tmp_path: Path) -> None:
    root, away = tmp_path / "store", tmp_path / "away"
    template = build.netflow9(build.one_set(0, build.template(300, build.PROTOCOL_AND_OCTETS)))
    data = build.netflow9(build.one_set(300, build.small(1, 10)), sequence=1)
    with collecting(root, "--processes", "3") as collector, exporters(EXPORTERS, collector.port) as some:
        begun(collector, 3)
        for one in some:
            one.send(template)
            one.send(data)
        collector.wait_for(lambda: collector.status().get("flows_stored") == len(EXPORTERS))
        before = pids(collector)
        root.rename(away)
        for _ in range(5):
            for one in some:
                one.send(data)
            time.sleep(0.3)
        collector.wait_for(lambda: pids(collector)[1:] and not set(pids(collector)[1:]) & set(before[1:]))
        for one in some:
            one.send(data)
        collector.wait_for(lambda: collector.status().get("flows_stored") == 7 * len(EXPORTERS))
        status = collector.status()
        _, err = collector.stop()
    assert [one["restarts"] for one in status["processes"]] == [0, 0, 0]
    assert sums(status, "held_back") == [0], "the templates are in the new store too"
    assert f"a new one was begun at {root}" in err
    found = [LocalBackEnd(one).answer(Query()).total.flows for one in (away, root)]
    assert sum(found) == 7 * len(EXPORTERS) and found[1] >= len(EXPORTERS)
    assert not list((root / "tail").iterdir())


def test_a_process_that_can_not_be_started_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def refused(words: list[str], **more: Any) -> subprocess.Popen[bytes]:
        if "nftui.engine.worker" in words:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return start(words, **more)

    monkeypatch.setattr(child, "PAUSES_S", (0.1,))
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refused)
        with here(tmp_path, 2) as collector:
            port = collector.listening.sockets[0].receiver.port
            wait_for(lambda: told(tmp_path, "process 2 can't be started, which is tried again: Resource temporarily unavailable"))
            with exporters(EXPORTERS, port) as some:
                for place, one in enumerate(some):
                    one.send(netflow5(place, 1, time.time()))
            patch.undo()
            wait_for(lambda: account(tmp_path).get("flows_stored") == len(EXPORTERS))
            assert account(tmp_path)["flows"] == len(EXPORTERS), "what waited for a process that wasn't there was taken once"


def test_systemd_hears_of_the_first_process_alone(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"}
        with collecting(tmp_path / "store", "--processes", "2", env=environment) as collector:
            begun(collector, 2)
            first, second = ((Path("/proc") / str(pid) / "environ").read_bytes() for pid in pids(collector))
    assert b"NOTIFY_SOCKET" in first and b"WATCHDOG_USEC" in first
    assert b"NOTIFY_SOCKET" not in second and b"WATCHDOG_USEC" not in second


def test_sighup_reaches_all(tmp_path: Path) -> None:
    file = tmp_path / "nftui.toml"
    file.write_text("[collector]\nprocesses = 2\n")
    with collecting(tmp_path / "store", "--config", str(file)) as collector, exporters(EXPORTERS, collector.port) as some:
        begun(collector, 2)
        before = pids(collector)
        file.write_text('[collector]\nprocesses = 3\n[exporters."127.0.0.0/8"]\nsampling = 50\n')
        collector.process.send_signal(signal.SIGHUP)
        collector.wait_for(lambda: told(tmp_path / "store", "collector.processes was changed, and waits for a restart"))
        collector.wait_for(lambda: pids(collector)[1:] != before[1:])
        for place, one in enumerate(some):
            one.send(netflow5(place, 1, time.time()))
        collector.wait_for(lambda: collector.status().get("flows_stored") == len(EXPORTERS))
        status = collector.status()
    assert [one["sampling"] for one in status["exporters"]] == [{"configured": 50}] * len(EXPORTERS)
    assert len(status["processes"]) == 2 and status["processes"][0]["pid"] == before[0]
