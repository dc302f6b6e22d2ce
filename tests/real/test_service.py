"""The collector as a service: systemd's own tools on what is installed, few rights, and consoles that come and go."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from nftui.config import CollectorSettings, size
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Query
from nftui.engine.store import Store
from tests.peers import require
from tests.real.processes import Mark
from tests.real.terminal import marked, terminal
from tests.running import ROOT, Collecting, Sending, answer, collecting, free_port, nftui, payloads, send, wait_for

PACKAGING = ROOT / "packaging"
FIXTURE = ROOT / "tests" / "data" / "ten-flows.pcap"
EXPOSURE = 1.3
"""What systemd-analyze makes of the unit, at most; a unit without any protection has 9.6."""
EXPOSURE_WITH_PROBE = 2.0
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root: only root can become somebody else")


def run(program: str, *words: object) -> str:
    """Run one of systemd's tools; return all that it prints."""
    done = subprocess.run([require(program), *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# ---------------------------------------------------------------- what is installed


@pytest.mark.peer("systemd-analyze")
def test_the_unit_is_understood(tmp_path: Path) -> None:
    program = tmp_path / "nftui"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "nftui.service"
    unit.write_text((PACKAGING / "nftui.service").read_text().replace("/usr/local/bin/nftui", str(program)))
    assert run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit) == ""


@pytest.mark.peer("systemd-analyze")
def test_the_unit_with_the_rights_of_a_probe_is_understood(tmp_path: Path) -> None:
    unit = tmp_path / "nftui.service"
    whole = (PACKAGING / "nftui.service").read_text() + (PACKAGING / "nftui-probe.conf").read_text()
    unit.write_text(whole.replace("/usr/local/bin/nftui", "/bin/true"))
    assert run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit) == ""
    table = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for nftui\.service: ([\d.]+)", table)
    assert found and float(found[1]) <= EXPOSURE_WITH_PROBE, table


@pytest.mark.row("K13")
@pytest.mark.peer("systemd-analyze")
def test_the_unit_of_instances_is_understood(tmp_path: Path) -> None:
    command = re.search(r"# (sed .*?) > /etc/systemd", (ROOT / "docs" / "service.md").read_text(), re.DOTALL)
    assert command
    made = subprocess.run(["sh", "-c", command[1]], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Environment=NFTUI_CONFIG=/etc/nftui/%i.toml" in made and "\nStateDirectory=nftui-%i\n" in made
    unit = tmp_path / "nftui@sflow.service"
    unit.write_text(made.replace("/usr/local/bin/nftui", "/bin/true"))
    assert run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit) == ""


@pytest.mark.row("K13")
def test_sflow_may_have_a_path_an_interval_and_a_lifespan_of_its_own(tmp_path: Path) -> None:
    configs = {}
    for name, port, interval in (("main", free_port(), 86_400), ("sflow", free_port(), 2)):
        configs[name] = tmp_path / f"{name}.toml"
        configs[name].write_text(
            f"[collector]\nlisten = ['127.0.0.1:{port}']\ninterval = {interval}\n"
            f"[store]\npath = '{tmp_path / name}'\nmax_lifespan = {interval}\n"
        )
    processes = [
        subprocess.Popen([sys.executable, "-m", "nftui", "collect", "--config", config], stdout=subprocess.DEVNULL, cwd=ROOT)
        for config in configs.values()
    ]
    try:
        for name, capture in (("main", "ten-flows.pcap"), ("sflow", "corpus/sflow-goflow2-basic.pcap")):
            store = Store(tmp_path / name)
            wait_for(store.status)
            status = store.status() or {}
            send(status["listen"][0]["port"], payloads(ROOT / "tests" / "data" / capture))
            wait_for(partial(_has_stored, store))
        wait_for(lambda: list((tmp_path / "sflow" / "flows").rglob("*.parquet")))
        assert not list((tmp_path / "main" / "flows").rglob("*.parquet"))
        assert [(Store(tmp_path / name).status() or {})["interval"] for name in configs] == [86_400, 2]
    finally:
        for process in processes:
            process.terminate()
            process.wait(60)
    assert [process.returncode for process in processes] == [0, 0]


def _has_stored(store: Store) -> bool:
    return bool((store.status() or {}).get("flows_stored"))


@pytest.mark.peer("systemd-analyze")
def test_the_unit_exposes_little() -> None:
    table = run("systemd-analyze", "security", "--offline=true", "--no-pager", PACKAGING / "nftui.service")
    found = re.search(r"Overall exposure level for nftui\.service: ([\d.]+)", table)
    assert found and float(found[1]) <= EXPOSURE, table
    manual = re.search(r"Overall exposure level for nftui\.service: ([\d.]+)", (ROOT / "docs" / "service.md").read_text())
    assert manual and manual[1] == found[1], "the manual has another figure"


def test_the_limit_for_receive_buffers_is_what_is_asked_for() -> None:
    settings = dict(re.findall(r"^([\w.]+) = (\d+)$", (PACKAGING / "nftui.sysctl").read_text(), re.MULTILINE))
    assert settings == {"net.core.rmem_max": str(size(CollectorSettings().receive_buffer))}


@pytest.mark.peer("systemd-sysusers", "systemd-tmpfiles")
def test_user_and_directories_are_made(tmp_path: Path) -> None:
    assert "nftui flow collector" in run("systemd-sysusers", "--dry-run", f"--root={tmp_path}", PACKAGING / "nftui.sysusers")
    if os.geteuid() != 0:
        return
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}", PACKAGING / "nftui.sysusers")
    (user,) = re.findall(
        r"^nftui:x:(\d+):(\d+):nftui flow collector:/var/lib/nftui:", (tmp_path / "etc/passwd").read_text(), re.MULTILINE
    )
    run("systemd-tmpfiles", "--create", f"--root={tmp_path}", PACKAGING / "nftui.tmpfiles")
    found = {place: (tmp_path / place).stat() for place in ("var/lib/nftui", "etc/nftui")}
    assert {place: (one.st_mode & 0o7777, one.st_uid, one.st_gid) for place, one in found.items()} == {
        "var/lib/nftui": (0o750, *map(int, user)),
        "etc/nftui": (0o755, 0, 0),
    }


# ---------------------------------------------------------------- few rights


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may go through: those of pytest are their owner's alone."""
    folder = Path(tempfile.mkdtemp(prefix="nftui-service-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nobody(place: Path) -> list[str]:
    """Words that start nftui as user nobody, without any capability, by a Python that nobody can start too."""
    words = [
        require("setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups",
        "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
        "env", "-u", "NFTUI_CONFIG", f"HOME={place}", f"PYTHONPATH={ROOT}:{sysconfig.get_path('purelib')}",
    ]  # fmt: skip
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        tried = subprocess.run([*words, python, "-c", "import nftui.collecting, polars"], check=False, capture_output=True)
        if tried.returncode == 0:
            return [*words, python, "-m", "nftui"]
    pytest.skip("let everybody read this Python and the checkout: user nobody can't start the program from here")


@as_root
@pytest.mark.peer("setpriv")
@pytest.mark.parametrize("umask", [0o000, 0o077], ids=lambda umask: f"umask {umask:03o}")
def test_without_root_and_without_capabilities(place: Path, nobody: list[str], umask: int) -> None:
    data, user = place / "data", pwd.getpwnam("nobody")
    data.mkdir(mode=0o750)
    os.chown(data, user.pw_uid, user.pw_gid)
    with collecting(data, "--interval", "2", program=nobody, umask=umask) as collector:
        assert re.search(r"^CapEff:\s*0+$", Path(f"/proc/{collector.process.pid}/status").read_text(), re.MULTILINE)
        send(collector.port, payloads(FIXTURE))
        wait_for(lambda: list((data / "flows").rglob("*.parquet")))
    found = sorted(data.rglob("*"))
    assert {path.name for path in found} > {"lock", "lock.seal", "status.json", "tail", "flows"}
    for path in found:
        about = path.stat()
        assert about.st_uid == user.pw_uid
        assert about.st_mode & 0o7777 == (0o750 if path.is_dir() else 0o640), path
    assert LocalBackEnd(data).answer(Query()).total.flows == 10


@as_root
@pytest.mark.peer("setpriv")
@pytest.mark.parametrize("wrong", ["data", "above", "lock", "tail"])
def test_a_store_that_it_may_not_write_is_one_line(place: Path, nobody: list[str], wrong: str) -> None:
    data, user = place / "data", pwd.getpwnam("nobody")
    if wrong != "above":
        data.mkdir()
        (data / "tail").mkdir()
        (data / "lock").touch(0o640)
        os.chown(data / "lock", user.pw_uid, user.pw_gid)
    if wrong == "lock":
        os.chown(data, user.pw_uid, user.pw_gid)
        os.chown(data / "lock", 0, 0)
    elif wrong == "tail":
        os.chown(data, user.pw_uid, user.pw_gid)
    done = subprocess.run(
        [*nobody, "collect", "--data", str(data), "--listen", f"127.0.0.1:{free_port()}"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    where = {"data": data / "flows", "tail": data / "tail"}.get(wrong, data)
    assert done.stderr == f"nftui: {where}: Permission denied; choose a data directory you may write with --data DIR\n"


@as_root
@pytest.mark.peer("setpriv")
def test_a_port_below_1024_is_one_line(place: Path, nobody: list[str]) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) < 1024:
        pytest.skip("set net.ipv4.ip_unprivileged_port_start to 1024: here everybody may use low ports")
    place.chmod(0o777)
    done = subprocess.run(
        [*nobody, "collect", "--data", str(place / "data"), "--listen", "127.0.0.1:514"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "nftui: port 127.0.0.1:514 not permitted: ports below 1024 need root or CAP_NET_BIND_SERVICE; grant it or choose --listen\n"
    )


# ---------------------------------------------------------------- terminals and consoles


@pytest.mark.peer("tmux")
def test_a_terminal_that_is_closed_ends_it_and_loses_nothing(tmp_path: Path) -> None:
    mark, data = Mark(), tmp_path / "store"
    port = free_port()
    with terminal(marked(mark, "collect", "--data", data, "--listen", f"127.0.0.1:{port}")) as one:
        one.shows("storing in")
        (pid,) = [pid for pid in mark.named("-m nftui collect") if Path(f"/proc/{pid}/comm").read_text() != "env\n"][-1:]
        os.kill(pid, signal.SIGHUP)  # the terminal is there, so this is for the configuration
        one.shows("configuration read again: nothing changed")
        send(port, payloads(FIXTURE))
        wait_for(lambda: LocalBackEnd(data).answer(Query()).total.flows == 10)
    mark.gone()
    assert LocalBackEnd(data).answer(Query()).total.flows == 10
    assert not list((data / "tail").iterdir())
    assert json.loads((data / "status.json").read_text())["running"] is False


def comes_and_goes(data: Path, turn: int) -> None:
    """Open the dashboard, look at it, and leave it; each second time by closing its terminal."""
    mark = Mark()
    with terminal(marked(mark, "--data", data)) as console:
        console.wait(lambda screen: len(screen) > 2 and "1 exporter " in screen[2], "the flows")
        if turn % 2:
            console.press("q")
            assert console.ends() == 0
    mark.gone()


@pytest.mark.row("C02")
@pytest.mark.row("C15")
@pytest.mark.peer("tmux")
def test_consoles_come_and_go_and_what_was_sent_is_stored(tmp_path: Path) -> None:
    data = tmp_path / "store"
    with collecting(data, "--interval", "2") as collector:
        with Sending(collector.port) as sent:
            collector.wait_for(lambda: collector.status().get("flows_stored"))
            for turn in range(5):
                comes_and_goes(data, turn)
                assert LocalBackEnd(data).answer(Query()).total.flows > 0
                assert answer("summary", "--data", data)["rows"][0]["flows"] > 0
        collector.wait_for(lambda: collector.status()["flows"] == sent.flows)
        status = collector.status()
        assert (status["drops"], status["queue_dropped"], status["sequence_lost"]) == (0, 0, 0)
        assert status["pid"] == collector.process.pid
        _, told = collector.stop()
    assert told == ""
    (row,) = answer("summary", "--data", data)["rows"]
    assert (row["flows"], row["octets"]) == (sent.flows, sent.octets)


@pytest.mark.row("K01")
@pytest.mark.peer("tmux")
def test_switched_off_the_dashboard_only_reads(tmp_path: Path) -> None:
    nftui("import", "--data", tmp_path / "store", FIXTURE)
    config = tmp_path / "nftui.toml"
    config.write_text("[collector]\nenabled = false\n")
    mark = Mark()
    with terminal(marked(mark, "--data", tmp_path / "store", "--config", config)) as console:
        console.shows("1Live")
        console.shows("no collector")
        assert mark.named("collect") == []
        assert not (tmp_path / "store" / "lock").exists()
        console.press("q")
        assert console.ends() == 0


def test_started_by_nobody_in_particular_it_needs_no_systemd(tmp_path: Path) -> None:
    collector = Collecting(tmp_path, env={"NOTIFY_SOCKET": str(tmp_path / "none")})
    _, told = collector.stop()
    assert "NOTIFY_SOCKET can't be reached" in told
