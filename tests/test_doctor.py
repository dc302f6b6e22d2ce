"""`nftui doctor`: it finds what is wrong, says how to mend it, and withstands whatever it is shown."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui import machine
from nftui.checks import collector as of_collector
from nftui.checks import host
from nftui.checks.finding import Level, Patient, number
from nftui.checks.probe import _entry
from nftui.cli import main
from nftui.config import Config
from nftui.doctor import CHECKS
from nftui.engine import disk
from nftui.engine.packet_source import KERNEL, PacketSource
from nftui.engine.store import Store
from tests.running import ROOT, collecting, free_port, netflow5, nftui, payloads, send

FIXTURE = Path(__file__).parent / "data" / "ten-flows.pcap"
Found = dict[str, list[dict[str, str]]]


def examined(data: Path, config: Path, **env: str) -> tuple[int, Found]:
    """Return the exit status, and what was found by check; in a process of its own where the environment is another."""
    words = ["doctor", "--data", str(data), "--config", str(config), "-o", "json"]
    if env:
        done = nftui(*words, check=False, env=env)
        assert done.stderr == ""
        status, shown = done.returncode, done.stdout
    else:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
            status = main(words)
        assert errors.getvalue() == ""
        shown = out.getvalue()
    told = json.loads(shown)
    found: Found = {}
    for row in told["checks"]:
        assert set(row) == {"check", "level", "found", "mend"}
        assert bool(row["mend"]) == (row["level"] != "ok"), "what isn't well says how to mend it"
        found.setdefault(row["check"], []).append(row)
    levels = [row["level"] for row in told["checks"]]
    assert (told["problems"], told["warnings"]) == (levels.count("problem"), levels.count("warning"))
    return status, found


def levels(found: Found, check: str) -> list[str]:
    return [row["level"] for row in found[check]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that listens where nobody else does."""
    path = tmp_path / "nftui.toml"
    path.write_text(f'[collector]\nlisten = ["127.0.0.1:{free_port()}"]\nreceive_buffer = "64k"\n')
    path.chmod(0o640)
    return path


@pytest.mark.row("K11")
def test_all_is_well_beside_a_collector(tmp_path: Path, config: Path) -> None:
    data, port = tmp_path / "store", int(re.findall(r":(\d+)", config.read_text())[0])
    nftui("import", "--data", data, FIXTURE)
    with collecting(data, "--config", str(config), port=port) as collector:
        send(port, payloads(FIXTURE))
        collector.wait_for(lambda: collector.status()["flows_stored"] == 10)
        status, found = examined(data, config)
        words = nftui("doctor", "--data", data, "--config", config, check=False).stdout
    assert status == 0, found
    assert set(found) == set(CHECKS)
    assert "our collector has it" in found["ports"][0]["found"]
    assert "each of 1 UDP sockets" in found["receive buffer"][0]["found"]
    assert found["collector"][0]["found"].startswith(f"process {collector.process.pid}, at work for ")
    assert re.fullmatch(r"[\d.]+ [kMG]B/s written, [\d.]+ [kMGT]B/s read \([\d.]+ MB, with fsync\)", found["disk"][0]["found"])
    # What was received is scanned too when its interval has just ended.
    assert re.match("[12]0 flows summed up in ", found["scan"][0]["found"])
    assert not [row for rows in found.values() for row in rows if row["level"] == "problem"]
    for name in CHECKS:
        assert re.search(rf"^(ok      |warning ) {name:<15} \S", words, re.MULTILINE)
    assert re.search(r"^no problems, (no|\d+) warnings?$", words.splitlines()[-1])
    assert not [path for path in data.iterdir() if path.name.startswith("tmp")], "the trial leaves nothing"


def test_without_anything_yet(tmp_path: Path, config: Path) -> None:
    status, found = examined(tmp_path / "none", config)
    assert status == 0
    assert "the collector makes it" in found["data directory"][0]["found"]
    assert levels(found, "collector") == ["warning"]
    assert "free" in found["ports"][0]["found"]
    assert not (tmp_path / "none").exists()


def test_a_port_that_somebody_else_has(tmp_path: Path, config: Path) -> None:
    port = int(re.findall(r":(\d+)", config.read_text())[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        status, found = examined(tmp_path / "none", config)
    assert (status, levels(found, "ports")) == (1, ["problem"])
    assert found["ports"][0]["found"] == f"port 127.0.0.1:{port} in use"
    assert "stop it or choose --listen" in found["ports"][0]["mend"]


def test_a_configuration_that_everybody_may_write_and_one_that_is_wrong(tmp_path: Path, config: Path) -> None:
    config.chmod(0o666)
    status, found = examined(tmp_path / "none", config)
    assert (status, found["configuration"][0]["mend"]) == (1, f"chmod o-w {config}")
    config.chmod(0o600)
    config.write_text("[collector]\nintervall = 5\n")
    status, found = examined(tmp_path / "none", config)
    assert status == 1
    assert "intervall" in found["configuration"][0]["found"]
    assert set(found) >= {"room", "clock", "terminal"}, "the rest is looked at all the same"
    status, found = examined(tmp_path / "none", tmp_path / "missing.toml")
    assert (status, levels(found, "configuration")) == (1, ["problem"])
    config.write_text('[collector]\nlisten = ["9995/quic"]\nenabled = false\n')
    status, found = examined(tmp_path / "none", config)
    assert (status, levels(found, "ports"), levels(found, "collector")) == (0, ["ok"], ["ok"])


def test_directories_that_are_none_or_everybodys(tmp_path: Path, config: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert examined(file, config)[0] == 1
    nftui("import", "--data", tmp_path / "store", FIXTURE)
    (tmp_path / "store").chmod(0o755)
    status, found = examined(tmp_path / "store", config)
    assert (status, levels(found, "data directory")) == (0, ["warning"])
    assert found["data directory"][0]["mend"].startswith(f"chmod o-rwx {tmp_path / 'store'}")


@pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root can give files away")
def test_files_of_another_user(tmp_path: Path, config: Path) -> None:
    data = tmp_path / "store"
    nftui("import", "--data", data, FIXTURE)
    os.chown(data / "flows", 65534, 65534)
    status, found = examined(data, config)
    assert status == 1
    assert found["files"][0]["mend"] == f"chown -R root: {data}"


def test_what_was_lost_and_who_is_off(tmp_path: Path, config: Path) -> None:
    data = tmp_path / "store"
    with collecting(data, "--config", str(config)) as collector:
        send(collector.port, [("a", netflow5(first, 1, time.time() - 300)) for first in (0, 5000)])
        collector.wait_for(lambda: collector.status()["flows_stored"] == 2 and collector.status()["sequence_lost"])
        status, found = examined(data, config)
    assert status == 0
    assert "4,999 flows lost on the way by sequence numbers, 2 came; most of 127.1.0.1" in found["losses"][0]["found"]
    assert re.fullmatch(r"1 clock off: 127\.1\.0\.1 (5m|4m59s|5m0?1s) behind", found["exporters"][0]["found"])


def test_a_clock_that_was_set_back(tmp_path: Path, config: Path) -> None:
    data = tmp_path / "store"
    nftui("import", "--data", data, FIXTURE)
    day = next((data / "flows").rglob("*.parquet")).parent
    later = int((time.time() + 7500) * 1e6)
    (day / f"{later}-{later}-1-2-L0-main.00000001.00000001.parquet").touch()
    status, found = examined(data, config)
    assert status == 1
    assert found["clock"][-1]["found"].startswith("the store was written 2h")
    assert levels(found, "scan") == ["problem"], "it is no Parquet file, either"


def test_a_time_zone_that_is_none(tmp_path: Path, config: Path) -> None:
    assert levels(examined(tmp_path / "none", config, TZ="Mars/Olympus")[1], "time zone") == ["warning"]
    assert "CET" in examined(tmp_path / "none", config, TZ="Europe/Berlin")[1]["time zone"][0]["found"].replace("CEST", "CET")


@pytest.mark.parametrize(
    ("size", "env", "told"),
    [
        ((24, 80), {"TERM": "xterm-256color", "LANG": "C.UTF-8"}, ["ok xterm-256color, 80 columns, 24 lines"]),
        ((20, 100), {"TERM": "xterm-256color", "LANG": "C.UTF-8"}, ["warning 100 columns, 20 lines"]),
        ((24, 80), {"TERM": "dumb", "LANG": "C.UTF-8"}, ["problem TERM is dumb", "ok dumb, 80"]),
        ((24, 80), {"TERM": "xterm", "LC_ALL": "C"}, ["warning TERM=xterm promises", "warning the locale has", "ok xterm"]),
    ],
)  # fmt: skip
def test_terminals(tmp_path: Path, config: Path, size: tuple[int, int], env: dict[str, str], told: list[str]) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    command = [sys.executable, "-m", "nftui", "doctor", "--data", str(tmp_path / "none"), "--config", str(config)]
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("LC_") and name not in ("COLORTERM", "COLUMNS")
    }
    with subprocess.Popen(command, cwd=ROOT, env={**clean, **env}, stdin=follower, stdout=follower, stderr=follower):
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # the other side was closed
            while octets := os.read(leader, 4096):
                shown += octets
    os.close(leader)
    found = re.findall(r"^(\w+) +terminal +(.*?)\r?$", shown.decode(), re.MULTILINE)
    assert [f"{level} {words}"[: len(wanted)] for (level, words), wanted in zip(found, told, strict=True)] == told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYS = (
    "pid", "now", "started", "drops", "queue_dropped", "undecodable", "sequence_lost", "flows", "listen", "exporters", "events",
    "store", "receive_buffer", "receive_buffer_asked", "port", "transport", "address", "clock_skew_s", "time", "text", "state",
)  # fmt: skip
TABLE = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6)
STATUS = st.dictionaries(st.sampled_from(KEYS), JSON | st.lists(TABLE, max_size=3) | TABLE, max_size=12)


@given(STATUS, st.booleans())
def test_any_status_is_understood(status: dict[str, Any], running: bool) -> None:
    patient = Patient(Path("/none"), Config(), "", Path("/none"))
    patient.__dict__.update(status=status, running=running)
    for check in (
        of_collector.check_buffer, of_collector.check_ports, of_collector.check_collector, of_collector.check_losses,
        of_collector.check_events, of_collector.check_exporters, host.check_clock,
    ):  # fmt: skip
        for finding in check(patient):
            assert finding.level in Level and finding.found


@pytest.mark.parametrize(("value", "taken"), [(5, 5), (2.5, 2.5), (True, 0), ("5", 0), (10**400, 0), (float("nan"), 0), (None, 0)])
def test_numbers_of_a_status(value: object, taken: float) -> None:
    assert number(value) == taken


def test_escapes_are_shown_not_sent(tmp_path: Path, config: Path) -> None:
    data = tmp_path / "store"
    data.mkdir(mode=0o750)
    (data / "status.json").write_text(
        json.dumps({"sequence_lost": 5, "exporters": [{"address": "\x1b]52;c;eA==\x07", "sequence_lost": 5, "clock_skew_s": 1e9}],
                    "events": [{"time": time.time() * 1e6, "text": "\x1b[2J"}]})
    )  # fmt: skip
    shown = nftui("doctor", "--data", data, "--config", config, check=False).stdout
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown and "\\x1b]52" in shown


def test_the_machine_is_told_as_it_is(tmp_path: Path) -> None:
    wanted = int(Path("/proc/sys/net/core/rmem_max").read_text())
    assert machine.sysctl("net.core.rmem_max") == wanted
    assert machine.sysctl("no.such.thing") is None
    clock = machine.clock()
    assert clock is not None and clock.error_s >= 0
    found = machine.mount(tmp_path / "not" / "there")
    device = subprocess.run(["stat", "-c", "%m", str(tmp_path)], capture_output=True, text=True, check=True).stdout.strip()
    assert found is not None and found.place == device
    proc = machine.mount(Path("/proc/1"))
    assert proc is not None and (proc.place, proc.kind) == ("/proc", "proc")
    assert machine.missing_cpu_features() == [], "Polars runs here"


def test_speed_is_measured_within_bounds(tmp_path: Path) -> None:
    began = time.monotonic()
    speed = disk.measure(tmp_path)
    assert disk.PIECE <= speed.octets <= disk.TRIAL
    assert speed.written > 0 and speed.read > 0
    assert time.monotonic() - began < 60
    assert list(tmp_path.iterdir()) == []
    assert disk.scan(Store(tmp_path)) is None


@pytest.mark.row("K04")
@pytest.mark.row("K05")
@pytest.mark.row("K06")
@pytest.mark.parametrize(
    ("says", "level", "words"),
    [
        ("nfdump: Version: NSEL-NEL1.7.1", "ok", "is version 1.7.1"),
        ("nfdump: Version: 1.6.8p1", "ok", "is version 1.6.8"),
        ("nfdump: Version: 1.6.7", "warning", "is version 1.6.7, older than 1.6.8"),
        ("", "warning", "does not tell its version"),
    ],
)
def test_an_nfdump_beside_us(tmp_path: Path, config: Path, says: str, level: str, words: str) -> None:
    program = tmp_path / "bin" / "nfdump"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    _, found = examined(tmp_path / "store", config, PATH=f"{program.parent}:{os.environ['PATH']}")
    files, beside = found["nfdump"]
    assert files["found"] == "its files are read, with any compression"
    assert (beside["level"], words in beside["found"]) == (level, True)


@pytest.mark.row("K11")
def test_the_probe_says_what_is_in_its_way(tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = examined(tmp_path, config)
    assert [one["found"] for one in found["probe"]] == ["no interface is looked at; `nftui probe` lists those there are"]
    with config.open("a") as file:
        file.write('[probe]\ninterfaces = ["lo", "gone0"]\nring = "1000G"\n')
    monkeypatch.setattr("nftui.capture.probe.rights.permitted", lambda: False)
    _, found = examined(tmp_path, config)
    told = {one["found"].partition(";")[0]: one for one in found["probe"]}
    assert "setcap" in told["packets may not be taken by whoever runs this"]["mend"]
    assert told["gone0: no such interface"]["level"] == "problem"
    assert any(one["found"].startswith("lo is up") for one in found["probe"])
    assert any(re.match(r"rings take 2.0 TB of ", one["found"]) and one["level"] == "warning" for one in found["probe"])


def test_the_probe_tells_what_was_lost() -> None:
    seen = PacketSource("eth0", packets=1000, drops=7, emergency=5, lost_packets=2, entries=1024, problem="eth0 is gone")
    found = list(_entry(seen.as_dict()))
    assert [one.level for one in found] == [Level.PROBLEM, Level.WARNING, Level.WARNING, Level.WARNING]
    assert "7 packets dropped by the kernel, 1,000 taken" in found[1].found and "probe.ring" in found[1].mend
    full = PacketSource("conntrack", KERNEL, drops=3, used=250_000, entries=262_144)
    found = list(_entry(full.as_dict()))
    assert [one.level for one in found] == [Level.WARNING] * 2
    assert "3 connections ended untold" in found[0].found and "nf_conntrack_max" in found[1].mend
    (fine,) = _entry(PacketSource("conntrack", KERNEL, used=31, entries=262_144).as_dict())
    assert (fine.level, fine.found) == (Level.OK, "conntrack: 31 connections in the kernel's table, the end of none was lost")
    (fine,) = _entry(PacketSource("eth0", packets=1000).as_dict())
    assert (fine.level, fine.found) == (Level.OK, "eth0: 1000 packets taken, none dropped")
