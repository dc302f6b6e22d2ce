"""What the decoder learned is kept with the store: whole, soon enough, and never read twice."""

from __future__ import annotations

import errno
import json
import os
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

import pytest

from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture
from nftui.capture.saved import octets_of
from nftui.config import CollectorSettings, ExporterSettings
from nftui.engine import knowledge
from nftui.engine.files import replace_file
from nftui.engine.knowledge import Knowledge, deal
from nftui.engine.rules import rules_of
from nftui.engine.share import Share, left_over
from nftui.units import SECOND, address_text
from tests.capture import build, corpus
from tests.capture.build import PROTOCOL_AND_OCTETS, netflow9, one_set, small, template
from tests.capture.test_netflow5 import simple
from tests.running import answer, collecting

TEMPLATE = netflow9(one_set(0, template(300, PROTOCOL_AND_OCTETS)))
DATA = netflow9(one_set(300, small(1, 10)))


def known(root: Path) -> tuple[Decoder, Knowledge]:
    decoder = Decoder()
    return decoder, Knowledge(root, decoder, Lock())


def test_templates_and_what_waits_are_taken_back(tmp_path: Path) -> None:
    decoder, memory = known(tmp_path)
    decoder.decode(build.block([TEMPLATE, netflow9(one_set(400, small(1, 10)), sequence=1)]))
    memory.save_held()
    memory.save()
    again, later = known(tmp_path)
    (frame,) = again.decode(build.block([DATA]))
    assert frame["octets"].to_list() == [10]
    (frame,) = again.decode(build.block([netflow9(one_set(0, template(400, PROTOCOL_AND_OCTETS)), sequence=2)]))
    assert frame["octets"].to_list() == [10]
    later.save_held()
    assert not (tmp_path / "held").exists()


def test_more_that_waits_is_written_now_and_then_and_that_some_was_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [100.0]
    monkeypatch.setattr(knowledge.time, "monotonic", lambda: seconds[0])
    decoder, memory = known(tmp_path)
    held = tmp_path / "held"
    decoder.decode(build.block([DATA]))
    memory.save_held()
    first = held.read_bytes()
    decoder.decode(build.block([netflow9(one_set(300, small(2, 20)), sequence=1)]))
    seconds[0] += knowledge.HELD_PAUSE_S - 1
    memory.save_held()
    assert held.read_bytes() == first
    seconds[0] += 2
    memory.save_held()
    assert len(held.read_bytes()) > len(first)
    decoder.decode(build.block([netflow9(one_set(0, template(300, PROTOCOL_AND_OCTETS)), sequence=2)]))
    memory.save_held()
    assert not held.exists()


def test_at_the_end_all_is_written(tmp_path: Path) -> None:
    decoder, memory = known(tmp_path)
    for number in range(2):
        decoder.decode(build.block([netflow9(one_set(300, small(1, 10)), sequence=number)]))
        memory.save_held(last=number == 1)
    again, _ = known(tmp_path)
    assert len(again.save_held()) == 2


@pytest.mark.parametrize("octets", [b"", b"\xc1", b"not JSON", b"[[1, 2]]", b"\x91\x97" + b"\xc0" * 7])
def test_files_that_are_broken_are_told_of(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / "held").write_bytes(octets)
    (tmp_path / "templates.json").write_bytes(octets)
    decoder, _ = known(tmp_path)
    assert decoder.save_held() == []
    assert decoder.save_templates()["domains"] == []
    assert any("templates" in text for _, text in decoder.events)


def test_interfaces_are_written_for_whoever_looks(tmp_path: Path) -> None:
    decoder, memory = known(tmp_path)
    for block in read_capture(corpus.capture_of(corpus.case("sflow-telegraf-15918"))):
        decoder.decode(block)
    memory.save(last=True)
    found = json.loads((tmp_path / "interfaces.json").read_text())
    assert found["exporters"]["192.168.227.2"]["101"]["in_octets"] == 21286022420858


def test_rules_of_a_configuration() -> None:
    exporters = {
        "192.0.2.0/24": ExporterSettings(sampling=10), "192.0.2.1": ExporterSettings(sampling=1000),
        "2001:db8::/32": ExporterSettings(sampling=7), "192.0.2.2": ExporterSettings(),
    }  # fmt: skip
    rules = rules_of(CollectorSettings(clock_threshold=5, template_lifetime=0), exporters)
    assert (rules.clock_threshold, rules.template_lifetime) == (5 * SECOND, None)
    four = [rules.sampling(MAPPED_PREFIX + bytes([192, 0, 2, last])) for last in (1, 2, 3)]
    assert (four, rules.sampling(bytes.fromhex("20010db8") + bytes(12)), rules.sampling(bytes(16))) == ([1000, 10, 10], 7, 0)


@pytest.mark.row("C05")
def test_the_users_word_scales_sums_but_not_raw_ones(tmp_path: Path) -> None:
    file = tmp_path / "nftui.toml"
    file.write_text('[exporters."127.0.0.0/8"]\nsampling = 50\n')
    with (
        collecting(tmp_path / "data", "--config", str(file)) as collector,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter,
    ):
        exporter.sendto(build.netflow5([simple(octets=100, packets=2)], sampling=10), ("127.0.0.1", collector.port))
        collector.wait_for(lambda: collector.status().get("flows_stored") == 1)
        assert collector.status()["exporters"][0]["sampling"] == {"configured": 50}
    sums = [answer("summary", "--data", tmp_path / "data", *words)["rows"][0] for words in ((), ("--raw",))]
    assert [(one["octets"], one["packets"]) for one in sums] == [(5000, 100), (100, 2)]
    (flow,) = answer("flows", "--data", tmp_path / "data")["rows"]
    assert (flow["octets"], flow["sampling_interval"], flow["sampling_source"]) == (100, 50, "configured")


HERE = [MAPPED_PREFIX + bytes([192, 0, 2, last]) for last in range(1, 31)]


def learned(root: Path, share: Share, addresses: list[bytes]) -> None:
    """Have a process learn a template of each of some exporters, and hold data of each that waits."""
    decoder = Decoder()
    memory = Knowledge(root, decoder, Lock(), share)
    for address in addresses:
        decoder.decode(build.block([TEMPLATE, netflow9(one_set(400, small(1, 10)), sequence=1)], [address] * 2))
    memory.save_held()
    memory.save()


def present(root: Path, processes: int) -> list[list[str]]:
    """Return whose templates each process knows, having seen that it also holds their data, and nobody else's."""
    found = []
    for share in (Share(1, processes), *Share(1, processes).others()):
        decoder = Decoder()
        Knowledge(root, decoder, Lock(), share)
        exporters = [one["exporter"] for one in decoder.save_templates()["domains"]]
        assert sorted(exporters) == sorted(address_text(one[0]) for one in decoder.save_held())
        found.append(exporters)
    return found


@pytest.mark.parametrize("numbers", [(1, 3, 2, 5, 1), (4, 4, 1, 1, 2)])
def test_each_process_gets_what_belongs_to_it_however_many_there_were(numbers: tuple[int, ...], tmp_path: Path) -> None:
    learned(tmp_path, Share(), HERE)
    for number in numbers:
        whole = Share(1, number)
        assert deal(tmp_path, whole) == []
        found = present(tmp_path, number)
        assert sorted(one for some in found for one in some) == sorted(address_text(one) for one in HERE)
        for process, exporters in enumerate(found, 1):
            assert {whole.owner(octets_of(one)) for one in exporters} <= {process}
        names = {path.name for path in left_over(tmp_path, "templates.json")}
        assert names <= {f"templates.{one}.json" for one in range(2, number + 1)}
        before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        deal(tmp_path, whole)
        assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}, "nothing was to be done"


def test_what_is_said_over_sessions_stays_with_the_first(tmp_path: Path) -> None:
    decoder = Decoder()
    memory = Knowledge(tmp_path, decoder, Lock())
    for address in HERE:
        decoder.decode(replace(build.block([TEMPLATE], [address]), lasting=True))
    memory.save()
    deal(tmp_path, Share(1, 4))
    assert [len(some) for some in _domains(tmp_path, 4)] == [len(HERE), 0, 0, 0]


def _domains(root: Path, processes: int) -> list[list[str]]:
    files = [Share(number, processes).file(root, "templates.json") for number in range(1, processes + 1)]
    return [[one["exporter"] for one in json.loads(path.read_bytes())["domains"]] if path.exists() else [] for path in files]


def test_what_was_learned_last_holds(tmp_path: Path) -> None:
    learned(tmp_path, Share(), HERE[:1])
    saved = json.loads((tmp_path / "templates.json").read_bytes())
    (tmp_path / "templates.7.json").write_text(json.dumps(saved))
    saved["domains"][0]["templates"] = []
    (tmp_path / "templates.3.json").write_text(json.dumps(saved))
    os.utime(tmp_path / "templates.7.json", (1, 1))
    deal(tmp_path, Share())
    (one,) = json.loads((tmp_path / "templates.json").read_bytes())["domains"]
    assert one["templates"] == []
    assert left_over(tmp_path, "templates.json") == []


@pytest.mark.parametrize("broken_at", range(1, 8))
def test_killed_while_dealing_it_loses_nothing(broken_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned(tmp_path, Share(), HERE)
    deal(tmp_path, Share(1, 4))
    written = 0

    def interrupted(path: Path, octets: bytes) -> None:
        nonlocal written
        written += 1
        if written == broken_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace_file(path, octets)

    with monkeypatch.context() as patch, suppress(OSError):
        patch.setattr(knowledge, "replace_file", interrupted)
        deal(tmp_path, Share(1, 3))
    deal(tmp_path, Share(1, 3))
    assert sorted(one for some in present(tmp_path, 3) for one in some) == sorted(address_text(one) for one in HERE)


@pytest.mark.parametrize(
    "octets",
    [b"", b"[]", b"{}", b'{"version": 2, "domains": []}', b'{"version": 1, "domains": [3, {"exporter": []}]}', b"\x92\x90\x01"],
)
def test_of_files_that_are_broken_the_rest_is_dealt(octets: bytes, tmp_path: Path) -> None:
    learned(tmp_path, Share(), HERE)
    (tmp_path / "templates.9.json").write_bytes(octets)
    (tmp_path / "held.9").write_bytes(octets)
    told = deal(tmp_path, Share(1, 2))
    assert any(one.startswith("templates.9.json") for one in told)
    assert sum(map(len, present(tmp_path, 2))) == len(HERE)
    assert not (tmp_path / "templates.9.json").exists()


def test_interfaces_of_all_processes_are_in_one_file(tmp_path: Path) -> None:
    first = Decoder()
    memory = Knowledge(tmp_path, first, Lock(), Share(1, 2))
    assert not (tmp_path / "interfaces.json").exists()
    second = Decoder()
    its = Knowledge(tmp_path, second, Lock(), Share(2, 2))
    for block in read_capture(corpus.capture_of(corpus.case("sflow-telegraf-15918"))):
        second.decode(block)
    its.save(last=True)
    memory.save(last=True)
    found = json.loads((tmp_path / "interfaces.json").read_text())
    assert found["exporters"]["192.168.227.2"]["101"]["in_octets"] == 21286022420858
    assert (tmp_path / "interfaces.2.json").exists()
    deal(tmp_path, Share())
    assert not (tmp_path / "interfaces.2.json").exists()
