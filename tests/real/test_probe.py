"""The probe from end to end: real traffic on links of its own, the kernel's counters and goldens beside what is stored."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from nftui import cli, probing
from nftui.engine.importing import Importer
from nftui.engine.store import Store
from tests import peers
from tests.real import far_end, namespace
from tests.real.probing import HERE, Running, capture_of, cases, counted, differences, elsewhere, flows_of, pair, summed
from tests.real.processes import usage
from tests.real.test_exporters import frames
from tests.running import ROOT, answer, collecting, nftui, wait_for
from tests.wire_sender import WireSender

MARKER = b"a-payload-that-nobody-stores"
TOGETHER_MB = 200
"""Memory of a probe and its keeper that is not files', as docs/probe.md states it."""
NET_ADMIN, NET_RAW = 1 << 12, 1 << 13
"""Capabilities."""
IN_ALL_S = 1.5
"""CPU that some seconds of it take, with a few hundred packets, though the keeper starts meanwhile."""


def within(run: Callable[[], None]) -> None:
    """Run in a network of one's own."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(namespace.inside, run).result()


def talk(address: str) -> None:
    """Have a connection, datagrams of all sizes, and some that are fragmented, each with the marker in it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_connection((address, far_end.PORT), timeout=10) as connection:
        connection.settimeout(10)
        for _ in range(40):
            connection.sendall(MARKER * 120)
            connection.recv(1 << 16)
    with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(10)
        datagrams.connect((address, far_end.PORT))
        for size in (0, 1, 30, 500, 1400, 4000, 9000):
            datagrams.send((MARKER * 400)[:size])
            datagrams.recv(1 << 16)


@pytest.mark.row("B01")
@pytest.mark.row("B05")
@pytest.mark.row("C11")
@pytest.mark.peer("ip")
def test_packets_and_octets_are_those_of_the_interface(tmp_path: Path) -> None:
    """All packets of a link are in flows or counted, to the octet; nothing of what they carry is stored."""
    kept: dict[str, Any] = {}

    def run() -> None:
        pair("near0", "far0", 1500)
        with elsewhere("far0") as there, Running(tmp_path, "probe", "near0", "--inactive", "1") as probe:
            probe.open("near0")
            began = sum(usage(pid)[0] for pid in family(probe.process.pid))
            command = [*there, sys.executable, "-m", "tests.real.far_end", "far0", "10.7.0.2/24", "fd07::2/64"]
            with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as far:
                assert far.stdout and far.stdout.readline() == b"ready\n"
                namespace.ip("addr", "add", "10.7.0.1/24", "dev", "near0")
                namespace.ip("addr", "add", "fd07::1/64", "dev", "near0", "nodad")
                namespace.ip("link", "set", "near0", "up")
                for address in ("10.7.0.2", "fd07::2"):
                    wait_for(lambda address=address: reached(address))
                    talk(address)
                namespace.ip("link", "set", "near0", "down")
            packets, octets = counted("near0")
            kept["in force"] = in_force(probe.process.pid)
            probe.wait_for(lambda: probe.sources()["near0"]["packets"] == packets)
            kept.update(packets=packets, octets=octets, used=[usage(pid) for pid in family(probe.process.pid)], began=began)
            kept["out"], _ = probe.stop()
            kept["source"] = probe.sources()["near0"]

    within(run)
    assert kept["in force"] and not any(bits & (NET_ADMIN | NET_RAW) for bits in kept["in force"])
    source, flows = kept["source"], flows_of(tmp_path)
    assert (source["packets"], source["octets"]) == (kept["packets"], kept["octets"])
    assert source["ip_octets"] + source["link_octets"] + source["not_ip_octets"] == kept["octets"]
    assert source["not_ip"] > 0 and source["fragments"] >= 2 * 2 * (3 + 7) and source["drops"] == 0
    assert flows["packets"].sum() == kept["packets"] - source["not_ip"]
    assert flows["octets"].sum() == source["ip_octets"]
    tcp = summed(flows.filter(pl.col("protocol") == 6))
    assert {(flow[1], flow[3]) for flow in tcp if flow[3] == far_end.PORT} == {("10.7.0.2", 5001), ("fd07::2", 5001)}
    assert set(flows["observation_domain"]) == {source["interface"]}
    assert set(flows["protocol_version"]) == {1001}
    names = json.loads((tmp_path / "interfaces.probe.json").read_bytes())["exporters"]
    assert {one[str(source["interface"])]["name"] for one in names.values()} == {"near0"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not [path for path in files if MARKER in path.read_bytes()]
    texts = [name for name, dtype in flows.schema.items() if dtype in (pl.String, pl.Binary)]
    assert not [name for name in texts if any(MARKER in str(one).encode() for one in flows[name].drop_nulls().to_list())]
    assert sum(memory for _, _, memory in kept["used"]) < TOGETHER_MB, kept["used"]
    assert sum(cpu for cpu, _, _ in kept["used"]) - kept["began"] < IN_ALL_S, kept["used"]


def in_force(pid: int) -> list[int]:
    """Return the capabilities that each thread of a process has in force."""
    told = [path.read_text("ascii") for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return [int(match[1], 16) for text in told if (match := re.search(r"^CapEff:\s+([0-9a-f]+)$", text, re.MULTILINE))]


def reached(address: str) -> bool:
    """Return whether an address can be connected to by now."""
    try:
        socket.create_connection((address, far_end.PORT), timeout=1).close()
    except OSError:
        return False
    return True


def family(pid: int) -> list[int]:
    """Return a process and its children, whichever of its threads started them."""
    found = [path.read_text("ascii").split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [pid, *(int(one) for some in found for one in some)]


@pytest.mark.row("C09")
@pytest.mark.peer("ip")
def test_goldens_replayed_beside_a_collector(tmp_path: Path) -> None:
    """The cases of the corpus, each on a link of its own; configured while it runs, and after a crash of the probe."""
    links = {f"near{place}": case for place, case in enumerate(cases())}
    store, config, names = tmp_path / "store", tmp_path / "nftui.toml", dict[int, Path]()
    config.write_text("")

    def run() -> None:
        for near in links:
            pair(near, near.replace("near", "far"))
            for end in (near, near.replace("near", "far")):
                Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
                namespace.ip("link", "set", end, "up")
        with Running(store, "collect", "--listen", "127.0.0.1:9995", "--config", config) as collector:
            collector.wait_for(lambda: collector.status().get("probes") == [])
            config.write_text(f"[probe]\ninterfaces = {[*links, 'gone0']}\n")
            collector.process.send_signal(signal.SIGHUP)
            collector.open(*links)
            assert "configuration read again: probe.interfaces changed" in events(collector)
            collector.wait_for(lambda: "no such interface" in collector.sources()["gone0"]["problem"])
            (prober,) = (pid for pid in family(collector.process.pid) if "nftui.engine.probe_process" in command_of(pid))
            os.kill(prober, signal.SIGKILL)
            collector.wait_for(lambda: any("the probe was ended by SIGKILL" in text for text in events(collector)))
            collector.wait_for(lambda: prober not in family(collector.process.pid))
            collector.open(*links)
            for near, case in links.items():
                names[collector.sources()[near]["interface"]] = case
                with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
                    wire.bind((near.replace("near", "far"), 0))
                    for frame in frames(capture_of(case)):
                        wire.send(frame)
            sent = {near: len(frames(capture_of(case))) for near, case in links.items()} | {"gone0": 0}
            collector.wait_for(lambda: {name: one["packets"] for name, one in collector.sources().items()} == sent)
            refused = nftui("probe", "near0", "--data", store, check=False)
            assert refused.returncode == 1 and refused.stderr.count("\n") == 1
            assert "`nftui config set probe.interfaces near0`" in refused.stderr and "--to 127.0.0.1:9995" in refused.stderr
            collector.stop()

    within(run)
    flows = flows_of(store)
    assert len(names) == len(cases()) >= 7
    for index, case in names.items():
        assert differences(case, summed(flows.filter(pl.col("observation_domain") == index))) == [], case.name


def events(running: Running) -> list[str]:
    """Return what it last told."""
    return [one["text"] for one in running.status()["events"]]


@pytest.mark.row("B01")
@pytest.mark.parametrize("case", cases(), ids=lambda path: path.name.partition(".")[0])
def test_goldens_by_file(case: Path, tmp_path: Path) -> None:
    importer = Importer(tmp_path)
    for _ in importer.run([capture_of(case)]):
        pass
    traffic = importer.close()["traffic"]
    flows = flows_of(tmp_path)
    assert differences(case, summed(flows)) == []
    told = json.loads(case.read_text("utf-8"))
    assert (traffic["frames"], traffic["packets"]) == (told["frames"], told["totals"]["packets"])
    assert flows["flow_start"].min().timestamp() * 1e6 == pytest.approx(told["totals"]["first_us"], abs=1)
    assert flows["flow_end"].max().timestamp() * 1e6 == pytest.approx(told["totals"]["last_us"], abs=1)


@pytest.mark.row("B03")
def test_a_capture_is_asked_without_a_store(capsys: pytest.CaptureFixture[str]) -> None:
    case = HERE / "probe-zeek-var-services.golden.json"
    assert cli.main(["summary", "-r", str(capture_of(case)), "-o", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    totals = json.loads(case.read_text("utf-8"))["totals"]
    assert (row["packets"], row["octets"]) == (totals["packets"], totals["ip_bytes"])


def test_a_pipe_goes_into_the_store_as_it_comes(tmp_path: Path) -> None:
    """What comes is metered at once; the end of the pipe is the probe's; a broken one is said."""
    case = HERE / "probe-zeek-var-services.golden.json"
    octets = capture_of(case).read_bytes()
    words = (sys.executable, "-m", "nftui", "probe", "-", "--data", str(tmp_path / "whole"))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as probe:
        assert probe.stdin and probe.stdout
        probe.stdin.write(octets[: len(octets) // 2])
        probe.stdin.flush()
        status = tmp_path / "whole" / "status.json"
        wait_for(lambda: status.exists() and json.loads(status.read_bytes())["probes"][0]["packets"] > 20)
        out, _ = probe.communicate(octets[len(octets) // 2 :], timeout=60)
    assert probe.returncode == 0 and b"259 IP packets of 263 frames" in out
    flows = flows_of(tmp_path / "whole")
    assert differences(case, summed(flows)) == []
    assert flows.select((pl.col("received") > pl.col("flow_end") + pl.duration(days=365)).all()).item(), "they came now"


def test_a_broken_file_is_said_and_what_precedes_is_stored(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(capture_of(HERE / "probe-zeek-pppoe.golden.json").read_bytes() + b"\xff" * 64)
    done = nftui("probe", broken, "--data", tmp_path / "store", check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "the file is broken there" in done.stderr
    assert differences(HERE / "probe-zeek-pppoe.golden.json", summed(flows_of(tmp_path / "store"))) == []


@pytest.mark.row("B02")
def test_flows_sent_on_in_each_format(tmp_path: Path) -> None:
    """The same totals from a file and through a pipe, sent to a collector of ours."""
    case = HERE / "probe-zeek-mixed-vlan-mpls.golden.json"
    totals = json.loads(case.read_text("utf-8"))["totals"]
    with collecting(tmp_path) as collector:
        for place, form in enumerate(("netflow5", "ipfix"), 1):
            # The last of them through a pipe.
            source = "-" if form == "ipfix" else str(capture_of(case))
            words = [sys.executable, "-m", "nftui", "probe", source, "--to", f"127.0.0.1:{collector.port}", "--format", form]
            with capture_of(case).open("rb") as pipe:
                done = subprocess.run(words, stdin=pipe, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
            assert "47 IP packets of 47 frames" in done.stdout and "127.0.0.1" in done.stdout
            collector.wait_for(lambda place=place: collector.status().get("flows_stored", 0) == place * totals["flows"])
    by_version = flows_of(tmp_path).group_by("protocol_version").agg(pl.col("packets").sum(), pl.col("octets").sum())
    assert sorted(by_version.rows()) == [(version, totals["packets"], totals["ip_bytes"]) for version in (5, 10)]


def command_of(pid: int) -> str:
    """Return a process's command line; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@pytest.mark.peer("setpriv")
def test_without_rights_it_says_what_to_grant_in_one_line(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("who is not root has no rights to leave away")
    without = [peers.require("setpriv"), "--bounding-set", "-net_raw,-net_admin", "--inh-caps", "-net_raw,-net_admin"]
    words = [*without, sys.executable, "-m", "nftui", "probe", "lo", "--data", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and "setcap cap_net_raw+ep" in done.stderr and "lo: " in done.stderr


def test_the_list_of_interfaces(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(probing, "LOOK_S", 0.01)
    monkeypatch.setattr("nftui.capture.probe.rights.permitted", lambda: False)
    assert cli.main(["probe"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^INTERFACE +INDEX  STATE +PACKETS +TRAFFIC  ADDRESSES$", out, re.MULTILINE)
    assert re.search(r"^lo +1  up +\d.*p/s +[\d.]+ .?b/s  127\.0\.0\.1", out, re.MULTILINE)
    assert "nftui config set probe.interfaces " in out and "setcap cap_net_raw+ep" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such0",), "no-such0: no such interface and no such file; interfaces: "),
        (("lo", str(HERE / "probe-zeek-pppoe.pcap")), "lo is an interface"),
        (("--to", "192.0.2.1:9995"), "--to: flows of what?"),
        (("lo", "--active", "0"), "--active 0: it takes 1 to 3600 seconds"),
        (("lo", "--bpf", "nonsense (("), "nonsense (("),
        (("-", "--conntrack"), "--conntrack: connections of this machine"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", *words]) in (1, 2)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err, err


@pytest.mark.peer("ip")
def test_two_processes_share_the_packets_and_are_one_source(tmp_path: Path) -> None:
    case, kept = HERE / "probe-zeek-var-services.golden.json", dict[str, Any]()

    def run() -> None:
        pair("near0", "far0")
        for end in ("near0", "far0"):
            Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
            namespace.ip("link", "set", end, "up")
        with Running(tmp_path, "probe", "near0", "--processes", "2", "--entries", "1024") as probe:
            probe.open("near0")
            probe.wait_for(lambda: probe.sources()["near0"]["entries"] == 2048)
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
                wire.bind(("far0", 0))
                for frame in frames(capture_of(case)):
                    wire.send(frame)
            probe.wait_for(lambda: probe.sources()["near0"]["packets"] == len(frames(capture_of(case))))
            kept["out"], _ = probe.stop()
            kept["status"] = probe.status()

    within(run)
    assert "near0, shared by 2 processes" in kept["out"]
    assert len(kept["status"]["probes"]) == 1
    flows = flows_of(tmp_path)
    assert differences(case, summed(flows)) == []
    assert kept["status"]["flows"] == kept["status"]["flows_stored"] == flows.height
    streams = {part.name.stream for part in Store(tmp_path).parts()}
    assert streams == {"probe", "probe2"}, "flows are whole, and of both"
    assert not list(tmp_path.glob("status.probe*")) and not list((tmp_path / "tail").iterdir())


@pytest.mark.peer("ip")
def test_a_flood_ends_flows_early_and_honest_ones_stay_whole(tmp_path: Path) -> None:
    """Of far more flows than there is room for all packets are accounted for, and the table stays as it is."""
    kept: dict[str, Any] = {}
    number, honest = 60_000, 300

    def run() -> None:
        pair("near0", "far0", 1500)
        for end in ("near0", "far0"):
            Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
            namespace.ip("link", "set", end, "up")
        config = tmp_path / "nftui.toml"
        config.write_text('[probe]\nring = "16M"\n')
        with Running(tmp_path, "probe", "near0", "--entries", "4096", "--config", config) as probe:
            probe.open("near0")
            flat, start, length = flood(number, honest)
            with WireSender("far0", flat, start, length) as sender:
                sender.run(packets=len(start), rate=100_000)
                probe.wait_for(lambda: probe.sources()["near0"]["packets"] == len(start))
                # While it doesn't look, the kernel keeps what it has room for, and counts the rest.
                probe.process.send_signal(signal.SIGSTOP)
                sender.run(packets=3 * len(start))
                probe.process.send_signal(signal.SIGCONT)
            probe.wait_for(lambda: taken(probe.sources()["near0"]) == 4 * len(start) and probe.sources()["near0"]["drops"])
            kept["events"] = [one["text"] for one in probe.status()["events"]]
            kept["out"], _ = probe.stop()
            kept["source"] = probe.sources()["near0"]

    within(run)
    source, flows = kept["source"], flows_of(tmp_path)
    assert f"{source['drops']:,} packets more were dropped by the kernel" in kept["out"]
    assert answer("summary", "--data", tmp_path)["coverage"]["drops"] == source["drops"]
    assert taken(source) == 4 * (number + honest) and source["emergency"] > number // 2
    assert flows["packets"].sum() + source["lost_packets"] == source["packets"]
    honestly = flows.filter(pl.col("destination_port") == 443)
    assert honestly.height <= 4 and honestly["packets"].sum() >= honest
    assert any("flows ended early: more came at a time than probe.entries" in text for text in kept["events"])
    assert any("packets dropped by the kernel: a larger probe.ring" in text for text in kept["events"])


def taken(source: dict[str, Any]) -> int:
    """Return the packets of which a source says what became of them."""
    return int(source["packets"] + source["drops"])


def flood(number: int, honest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frames of UDP without payload: each of a flow of its own, and among them some of one flow."""
    total = number + honest
    ethernet = bytes(12) + b"\x08\x00"
    header = struct.pack(
        ">BBHHHBBH4s4sHHHH", 0x45, 0, 28, 0, 0, 64, 17, 0, bytes([10, 1, 0, 0]), bytes([10, 2, 0, 1]), 1024, 53, 8, 0
    )
    one = np.frombuffer((ethernet + header).ljust(60, b"\0"), np.uint8)
    flat = np.tile(one, (total, 1))
    flat[:, 27:30] = (np.arange(total)[:, None] >> np.array([16, 8, 0])) & 0xFF
    same = np.linspace(0, total - 1, honest).astype(np.int64)
    flat[same, 27:30] = 255
    flat[same, 36:38] = (443 >> 8, 443 & 0xFF)
    return flat.reshape(-1), np.arange(total) * 60, np.full(total, 60)
