"""`nftui status`: the account in words and as JSON, and what it makes of one that lies."""

from __future__ import annotations

import fcntl
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nftui import account
from nftui.engine.packet_source import KERNEL, PacketSource
from nftui.errors import StoreError
from nftui.units import SECOND
from tests.screens.conftest import HOSTILE, NOW
from tests.screens.sources import EXPORTERS, INTERFACES, ago, hostile
from tests.screens.sources import account as written


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a store whose lock is held, a second after `NOW`."""
    monkeypatch.setattr(time, "time_ns", lambda: (NOW + SECOND) * 1000)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield tmp_path


def leave(root: Path, status: object, interfaces: object = INTERFACES) -> None:
    (root / "status.json").write_text(json.dumps(status))
    (root / "interfaces.json").write_text(json.dumps({"version": 1, "exporters": interfaces}))


def test_in_words(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = {"state": "the disk is full", "octets": 10**9, "free_octets": 0, "set_aside": ["x.arrow"], "retention": "5 days"}
    leave(running, written(store=store, queue_dropped=7, unknown_exporters={"datagrams": 9, "addresses": {"203.0.113.7": 9}}))
    assert account.status(running, "text") == 0
    told = capsys.readouterr().out
    for words in (
        "collector running", "*:9995/udp  buffer 8,000,000 of 32,000,000 octets  drops 7",
        "7 flows dropped: the disk couldn't follow",
        "9 datagrams of addresses not in collector.allow: 203.0.113.7", "store: the disk is full, 1.0 GB, 0 B free",
        "set aside: x.arrow", "retention: 5 days", "lost 14 records in 3 gaps, the last 2m10s ago",
        "awaited: template 260 of domain 0, 14 sets of 19.2 kB held, 30s left", "running for 41d, 1 restart seen, the last 41d ago",
        "sampling: 1 in 1,000 by options", "sampling: 1 in 100 by configured", "clock 1m12s behind: times are corrected by +1m12s",
        "malformed: 3 record cut short", "unread: 12 basicList passed over",
        "interfaces: 1 ge0/uplink 1G, 2 ge1/lan 1G, 30 xe0",
        "    silent\n", "datagrams 22.4/s", "template 260 of domain 0 awaited: its data is held back",
    ):  # fmt: skip
        assert words in told, words


def test_as_json_all_is_passed_on(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(running, written())
    assert account.status(running, "json") == 0
    assert json.loads(capsys.readouterr().out) == {**written(), "collector_running": True, "stale": False}


def test_entries_that_are_short_are_told_as_well(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = [{key: value for key, value in one.items() if value} for one in EXPORTERS]
    leave(running, written(exporters=short, exporters_known=9000))
    account.status(running, "text")
    told = capsys.readouterr().out
    assert "9,000 exporters, of which 5 have an entry yet" in told
    for one in EXPORTERS:
        assert one["address"] in told


@pytest.mark.parametrize("seed", range(60))
def test_an_account_that_lies_harms_nothing(running: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    dice = random.Random(seed)
    status: Any = hostile(written(store={"state": "ok", "set_aside": ["a"]}, unknown_exporters={"datagrams": 1}), dice)
    leave(running, status, hostile(INTERFACES, dice))
    if not isinstance(status, dict):
        with pytest.raises(StoreError, match="not trusted"):
            account.status(running, "text")
        return
    assert account.status(running, "text") in (0, 1)
    told = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e", "\u200b"} & set(told)


@pytest.mark.parametrize("broken", ["", "{", "[]", "\ud800", "9" * 9000])
def test_what_is_no_account_is_one_clear_line(running: Path, broken: str) -> None:
    (running / "status.json").write_bytes(broken.encode("utf-8", "surrogatepass"))
    with pytest.raises(StoreError, match=r"status\.json .*not trusted") as raised:
        account.status(running, "text")
    assert "\n" not in str(raised.value)


def test_times_of_the_account_are_its_own(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(running, written(now=NOW - 60 * SECOND, exporters=[{**EXPORTERS[1], "last_gap": ago(70)}]))
    assert account.status(running, "text") == 1
    told = capsys.readouterr().out
    assert "its status is stale" in told
    assert "the last 10s ago" in told


def test_hostile_names(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(running, written(events=[{"time": -(2**63), "text": HOSTILE}]), {"10.0.0.1": {HOSTILE: {"name": HOSTILE}}})
    account.status(running, "text")
    told = capsys.readouterr().out
    assert "\\x1b]52" in told
    assert "\x1b" not in told


def test_probes_in_words(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = PacketSource("eth0", packets=1000, octets=10**6, flows=50, packets_per_s=51_200, drops=7, used=45, entries=65_536)
    seen.not_ip, seen.sampling, seen.bpf, seen.problem = 3, 100, "not port 22", "eth0 is down"
    told_of = PacketSource("conntrack", KERNEL, flows=9, used=31_204, entries=262_144)
    leave(running, written(probes=[seen.as_dict(), told_of.as_dict()]))
    assert account.status(running, "text") == 0
    told = capsys.readouterr().out
    for words in (
        "probe eth0  51.2k packets/s", "drops 7  follows 45 of 65,536", "    eth0 is down\n", "1 in 100 packets is looked at",
        "filter: not port 22", "1,000 packets, 50 flows, 3 not IP", "probe conntrack kernel  ", "    9 flows\n",
        "drops 0  connections 31,204 of 262,144\n",
    ):  # fmt: skip
        assert words in told, words


@pytest.mark.parametrize("seed", range(30))
def test_probes_that_lie_harm_nothing(running: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    leave(running, written(probes=hostile([PacketSource("eth0").as_dict()] * 3, random.Random(seed))))
    assert account.status(running, "text") == 0
    assert not {"\x1b", "\x07", "\u202e", "\u200b"} & set(capsys.readouterr().out)
