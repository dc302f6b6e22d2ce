"""A hostile sender over a raw socket beside an honest exporter; and a list of who is listened to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.bench import bench_hostile, traffic
from tests.running import collecting, netflow5, send


def test_the_honest_one_loses_nothing(tmp_path: Path) -> None:
    """At rates that a machine with much else to do can keep; the bench of the same name has the full ones.

    On such a machine there may be no time for its first templates: its flows then wait until it says them again.
    """
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).close()
    except PermissionError:
        pytest.skip("sending from forged addresses is for root")
    recording = tmp_path / "v9"
    traffic.record(recording, "v9", 50_000, chunk=2_500)
    done = bench_hostile.run(tmp_path, recording, "all", rate=5000, seconds=2, late=True, most=500, flows=10_000, lead=1)
    assert done.attacked > 5000
    assert (done.drops, done.stored) == (0, done.sent)
    assert done.memory < 900 << 20


def test_others_than_those_on_the_list(tmp_path: Path) -> None:
    config = tmp_path / "nftui.toml"
    config.write_text('[collector]\nallow = ["127.1.0.1"]\n')
    with collecting(tmp_path / "store", "--config", str(config)) as collector:
        now = 1_700_000_000.0
        send(collector.port, [("listed", netflow5(0, 3, now)), ("other", netflow5(0, 5, now)), ("other", netflow5(5, 5, now))])
        collector.wait_for(lambda: collector.status().get("unknown_exporters", {}).get("datagrams") == 2)
        collector.wait_for(lambda: collector.status()["flows_stored"] == 3)
        status = collector.status()
        assert status["unknown_exporters"]["addresses"] == {"127.1.0.2": 2}
        assert any('add "127.1.0.2" to collector.allow' in event["text"] for event in status["events"])
        assert [one["address"] for one in status["exporters"]] == ["127.1.0.1"]
