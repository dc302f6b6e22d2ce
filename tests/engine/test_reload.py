"""SIGHUP: what can follow the configuration does, what can't is told, and no flow is lost on the way."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import msgspec
import pytest

from nftui.capture.decoder import Decoder
from nftui.config import CollectorSettings, Config, ExporterSettings, StoreSettings, parse
from nftui.engine.reload import AT_START, Reload
from nftui.engine.rules import rules_of
from nftui.errors import ConfigError
from tests.running import Collecting, Sending, answer, collecting, netflow5, nftui, send, wait_for

WAITING = """
[collector]
enabled = false
listen = ["1"]
receive_buffer = "1M"
processes = 2
[store]
path = "elsewhere"
"""


def events(collector: Collecting) -> list[str]:
    return [event["text"] for event in collector.status().get("events", [])]


def reload(collector: Collecting, config: Path, text: str, told: str) -> None:
    """Change the configuration and have it read again; wait until an event tells so."""
    config.write_text(text)
    collector.process.send_signal(signal.SIGHUP)
    collector.wait_for(lambda: any(told in event for event in events(collector)))


def packets(data: Path, *words: str) -> int:
    found: int = answer("summary", "--data", data, *words)["rows"][0]["packets"]
    return found


def test_sampling_and_interval_follow_and_the_rest_is_told(tmp_path: Path) -> None:
    config, data = tmp_path / "nftui.toml", tmp_path / "store"
    config.write_text("")
    with collecting(data, "--config", str(config)) as collector:
        send(collector.port, [("a", netflow5(0, 1, time.time()))])
        collector.wait_for(lambda: collector.status()["flows_stored"] == 1)
        reload(collector, config, '[exporters."127.1.0.0/16"]\nsampling = 100\n', "configuration read again: exporters changed")
        send(collector.port, [("a", netflow5(1, 1, time.time()))])
        collector.wait_for(lambda: collector.status()["flows_stored"] == 2)
        assert packets(data) == 101
        # What stands on the command line wins here too, so `listen` and the store's path are no change.
        text = WAITING.replace("enabled = false", "interval = 2") + '[display]\nunits = "iec"\n'
        reload(collector, config, text, "configuration read again: collector.interval, exporters changed")
        assert "collector.receive_buffer was changed, and waits for a restart of the collector" in events(collector)
        assert not [event for event in events(collector) if "listen" in event or "store.path" in event or "display" in event]
        collector.wait_for(lambda: collector.status()["interval"] == 2)
        send(collector.port, [("a", netflow5(2, 1, time.time()))])
        collector.wait_for(lambda: collector.status()["flows_stored"] == 3)
        # A keeper that knows the new interval seals, and nobody is told that one died.
        wait_for(lambda: list((data / "flows").rglob("*.parquet")))
        assert not [event for event in events(collector) if "keeper" in event]
        assert packets(data) == 102


def test_a_mistake_changes_nothing_and_is_one_line(tmp_path: Path) -> None:
    config, data = tmp_path / "nftui.toml", tmp_path / "store"
    config.write_text('[exporters."127.0.0.0/8"]\nsampling = 10\n')
    with collecting(data, "--config", str(config)) as collector:
        for text, told in (
            ("[collector]\nintervall = 2\n", "intervall"),
            ("[collector]\ninterval = 1\n", "collector.interval is 1"),
        ):
            reload(collector, config, text, told)
            assert f"configuration not taken, what held before still holds: {config}: " in events(collector)[-1]
        config.unlink()
        collector.process.send_signal(signal.SIGHUP)
        collector.wait_for(lambda: "no such file" in events(collector)[-1])
        send(collector.port, [("a", netflow5(0, 1, time.time()))])
        collector.wait_for(lambda: collector.status()["flows_stored"] == 1)
        assert len(events(collector)) == 4
        assert collector.status()["interval"] == 300
    assert packets(data) == 10


def test_no_flow_is_lost_while_it_reloads(tmp_path: Path) -> None:
    config, data = tmp_path / "nftui.toml", tmp_path / "store"
    config.write_text("")
    with collecting(data, "--config", str(config)) as collector:
        with Sending(collector.port) as sent:
            for turn in range(3):
                text = f"[collector]\ninterval = {turn + 2}\nclock_threshold = {turn + 70}\ntemplate_lifetime = {turn + 600}\n"
                config.write_text(text)
                collector.process.send_signal(signal.SIGHUP)
                collector.wait_for(lambda wanted=turn + 2: collector.status()["interval"] == wanted)
                time.sleep(0.3)
        collector.wait_for(lambda: collector.status()["flows"] == sent.flows)
        status = collector.status()
        assert (status["drops"], status["queue_dropped"], status["sequence_lost"]) == (0, 0, 0)
    assert sent.flows > 1000
    (row,) = answer("summary", "--data", data)["rows"]
    assert (row["flows"], row["octets"]) == (sent.flows, sent.octets)
    assert not list((data / "tail").iterdir())


@pytest.mark.row("K01")
def test_switched_off_it_opens_no_socket_and_leaves_no_trace(tmp_path: Path) -> None:
    config, data = tmp_path / "nftui.toml", tmp_path / "store"
    config.write_text("[collector]\nenabled = false\n")
    done = nftui("collect", "--data", data, "--config", config)
    assert done.stdout == "collecting is switched off: collector.enabled is false in the configuration\n"
    assert not data.exists()
    checked = nftui("collect", "--check", "--data", data, "--config", config).stdout.splitlines()
    assert checked[0] == done.stdout.strip() and checked[1].startswith("would listen on ")


@pytest.mark.row("K02")
def test_another_path_has_the_new_files(tmp_path: Path) -> None:
    config = tmp_path / "nftui.toml"
    for folder in ("one", "two"):
        config.write_text(f'[store]\npath = "{tmp_path / folder}"\n')
        counts = json.loads(
            nftui("import", Path(__file__).parent.parent / "data" / "ten-flows.pcap", "--config", config, "-o", "json").stdout
        )
        assert counts["flows"] == 10
        assert answer("summary", "--config", config, "-t", "all")["rows"][0]["flows"] == 10
        assert len(list((tmp_path / folder / "flows").rglob("*.parquet"))) == 1


def test_what_waits_for_a_restart_is_told_each_time() -> None:
    began = Config()
    read = parse(WAITING.encode() + b'[elements]\n57659 = "application_name"\n', "x")
    reload = Reload(began, lambda: read)
    for _ in range(2):
        config, lines = reload.take()
        assert config == began
        assert lines == [f"{key} was changed, and waits for a restart of the collector" for key in AT_START]
    reload = Reload(read, lambda: read)
    assert reload.take() == (read, ["configuration read again: nothing changed"])


def test_what_listens_is_looked_at_though_it_waits() -> None:
    reload = Reload(Config(), lambda: Config(collector=CollectorSettings(listen=("9995/quic",))))
    with pytest.raises(ConfigError, match="quic"):
        reload.take()
    assert reload.config == Config()


@pytest.mark.parametrize("section", ["collector", "store", "exporters"])
def test_every_key_follows_unless_it_waits(section: str) -> None:
    """A key that somebody adds is told when it changes, without a word of it in `reload`."""
    other = {
        "collector": CollectorSettings(interval=5, clock_threshold=5, template_lifetime=5),
        "store": StoreSettings(),
        "exporters": {"192.0.2.1": ExporterSettings(sampling=5)},
    }[section]
    read = msgspec.structs.replace(Config(), **{section: other})
    config, (line,) = Reload(Config(), lambda: read).take()
    assert config == read
    assert line.startswith("configuration read again: ")


def test_rules_that_change_hold_for_exporters_that_are_known() -> None:
    decoder = Decoder(rules_of(CollectorSettings()))
    decoder._exporters.domain(bytes(10) + b"\xff\xff\xc0\x00\x02\x01", 9, 7, 0)
    decoder.follow(rules_of(CollectorSettings(clock_threshold=0), {"192.0.2.1": ExporterSettings(sampling=512)}))
    (domain,) = decoder._exporters.domains.values()
    assert domain.tables.samplers.configured == 512
    assert decoder._rules.clock_threshold is None
    decoder.follow(rules_of(CollectorSettings()))
    assert domain.tables.samplers.configured == 0
