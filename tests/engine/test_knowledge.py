"""What the decoder learned is kept with the store: whole, soon enough, and never read twice."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from threading import Lock

import pytest

from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture
from nftui.config import CollectorSettings, ExporterSettings
from nftui.engine import knowledge
from nftui.engine.knowledge import Knowledge
from nftui.engine.rules import rules_of
from nftui.units import SECOND
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
