"""The commands that send flows on: what is stored, at a speed, and what comes in."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui import cli
from nftui.engine.writer import StoreWriter
from nftui.units import SECOND
from tests.engine.conftest import flows_frame
from tests.export.test_exporter import listening, received
from tests.export.test_streams import read
from tests.running import free_port

BASE = 1_700_000_000 * SECOND


def rows(seconds: int, first: int = 0, base: int = BASE) -> list[dict[str, Any]]:
    """Return a flow a second, numbered by its octets."""
    return [
        {
            "flow_start": base + (place - 5) * SECOND, "flow_end": base + (place - 1) * SECOND, "received": base + place * SECOND,
            "source_address": "10.0.0.1", "destination_address": "10.0.0.2", "protocol": 17, "source_port": place % 7,
            "destination_port": 53, "octets": 1000 + place, "packets": 1,
        }
        for place in range(first, first + seconds)
    ]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    writer = StoreWriter(tmp_path)
    for first in (20, 0):
        writer.append([flows_frame(rows(20, first))])
        writer.write_tail()
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("of", ["netflow5", "netflow9", "ipfix"])
def test_replay_sends_each_flow_as_it_was(data: Path, of: str, capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as (name, listener):
        words = ["--to", name, "--format", of, "--speed", "max", "--domain", "9", "-o", "json"]
        assert cli.main(["replay", "--data", str(data), *words, "src port > 2"]) == 0
        counts = told(capsys)
        flows, _ = read(received(listener, counts["datagrams"]))
    wanted = flows_frame([row for row in rows(40) if row["source_port"] > 2])
    flows = flows.sort("octets")
    for column in ("flow_start", "flow_end", "source_address", "source_port", "octets", "packets", "protocol"):
        assert flows[column].to_list() == wanted[column].to_list(), column
    assert flows["observation_domain"].unique().to_list() == [9]
    assert counts["flows"] == wanted.height


def test_replay_keeps_the_pace_of_what_was_received(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as (name, listener):
        began = time.monotonic()
        assert cli.main(["replay", "--data", str(data), "--to", name, "--speed", "50", "-o", "json"]) == 0
        assert 0.7 < time.monotonic() - began < 4
        payloads = received(listener, told(capsys)["datagrams"])
    assert len(payloads) > 5
    assert read(payloads)[0]["octets"].to_list() == [1000 + place for place in range(40)]


def test_replay_shifts_times_to_now(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as (name, listener):
        assert (
            cli.main(["replay", "--data", str(data), "--to", name, "--speed", "max", "--shift-to-now", "-c", "10", "-o", "json"])
            == 0
        )
        flows, _ = read(received(listener, told(capsys)["datagrams"]))
    assert flows.height == 10
    assert set((flows["flow_end"].cast(pl.Int64) - flows["flow_start"].cast(pl.Int64)).to_list()) == {4 * SECOND}
    ago = time.time_ns() // 1000 - flows["flow_end"].cast(pl.Int64)
    assert ago.min() >= SECOND - 1000 and ago.max() < 20 * SECOND  # type: ignore[operator]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["replay"], "required: --to"),
        (["replay", "--to", "nowhere"], '--to: "nowhere" is no target: write HOST:PORT'),
        (["replay", "--to", "127.0.0.1:9", "--speed", "-1"], "--speed -1: it is a number"),
        (["replay", "--to", "127.0.0.1:9", "--mtu", "1"], "an MTU of 1 octets"),
        (["relay", "--to", "127.0.0.1:9", "--format", "v5"], "invalid choice: 'v5'"),
        (["relay", "--to", "127.0.0.1:9", "nonsense ("], "column"),
    ],
)
def test_mistakes_are_one_line(data: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words[:1], "--data", str(data), *words[1:]]) == 2
    assert why in capsys.readouterr().err


def test_who_does_not_listen_is_named_and_makes_it_fail(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with listening() as (name, listener):
        words = ["--to", f"127.0.0.1:{port}", "--to", name, "--speed", "max", "--mtu", "576"]
        assert cli.main(["replay", "--data", str(data), *words]) == 1
        out, err = capsys.readouterr()
        assert err == f"nftui: 127.0.0.1:{port}: nothing listens at 127.0.0.1:{port}\n"
        first, refused, well = out.splitlines()
        assert first.startswith("40 flows in ")
        assert re.fullmatch(rf"  127.0.0.1:{port} \(127.0.0.1:{port}\): \d+ sent, \d+ refused; nothing listens at .*", refused)
        assert well == f"  {name} ({name}): {first.split()[3]} sent"
        assert read(received(listener, int(first.split()[3])))[0].height == 40


@pytest.mark.parametrize("address", ["", "0.0.0.0", "127.0.0.1", "192.0.2.1"])
def test_a_relay_does_not_feed_itself(data: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as (name, listener):
        bound = {"address": address, "port": listener.getsockname()[1], "transport": "udp"}
        (data / "status.json").write_text(json.dumps({"running": True, "listen": [{"port": 1}, "what", bound]}))
        if address == "192.0.2.1":
            threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        status = cli.main(["relay", "--data", str(data), "--to", name])
        told = capsys.readouterr()
    if address == "192.0.2.1":
        assert status == 0
    else:
        assert (status, told.out) == (2, "")
        assert (
            told.err == f"nftui: --to {name}: that is the collector whose flows are relayed; they would come back to it for ever\n"
        )


def test_where_nothing_was_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("replay", "relay"):
        assert cli.main([command, "--data", str(tmp_path / "none"), "--to", "127.0.0.1:9"]) == 1
        assert "no such data directory" in capsys.readouterr().err


def test_relay_sends_what_comes_and_nothing_else(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    def collect() -> None:
        time.sleep(0.3)
        for first in (100, 120):
            writer.append([flows_frame(rows(20, first))])
            writer.write_tail()
            time.sleep(0.4)
        writer.append([flows_frame(rows(20, 140))])
        writer.write_tail()
        os.kill(os.getpid(), signal.SIGTERM)

    writer = StoreWriter(data)
    with listening() as (name, listener):
        thread = threading.Thread(target=collect)
        thread.start()
        assert cli.main(["relay", "--data", str(data), "--to", name, "--format", "netflow9", "not src port 1"]) == 0
        thread.join()
        out, err = capsys.readouterr()
        assert err == f"relaying flows of {data} to {name}\n"
        first, second = out.splitlines()
        number = int(first.split(" in ")[1].split()[0])
        flows, _ = read(received(listener, number))
    wanted = [1000 + place for place in range(100, 160) if place % 7 != 1]
    assert sorted(flows["octets"].to_list()) == wanted
    assert first == f"{len(wanted)} flows in {number} datagrams of netflow9"
    assert second == f"  {name} ({name}): {number} sent"
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
