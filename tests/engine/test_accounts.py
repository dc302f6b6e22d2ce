"""Several processes' accounts made one: sums are sums, and what only the first can say stays its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nftui.capture.exporters import Exporters
from nftui.capture.roster import Roster
from nftui.capture.sockets import sixteen
from nftui.config import CollectorSettings
from nftui.engine import accounts
from nftui.engine.accounts import left, read, together
from nftui.engine.collector import Collector
from tests.running import free_port


def account(*exporters: dict[str, Any], **more: Any) -> dict[str, Any]:
    listen = [{"address": "*", "port": 9995, "transport": "udp", "drops": 1, "truncated": 0, "datagrams": 5, "octets": 500}]
    return {"pid": 1, "datagrams": 5, "flows": 50, "flows_per_s": 1.5, "drops": 1, "listen": listen, "exporters": list(exporters),
            "events": [], **more}  # fmt: skip


def exporter(address: str, **more: Any) -> dict[str, Any]:
    known = Exporters()
    known.exporter(sixteen(address), 0)
    (entry,) = Roster(known, None).entries(0, hurry=False)
    return {**entry, **more}


def test_every_value_of_an_account_has_a_rule(tmp_path: Path) -> None:
    collector = Collector(tmp_path, CollectorSettings(listen=(f"127.0.0.1:{free_port()}",)))
    found = collector.status()
    collector.listening.close()
    assert set(found) == {*accounts.COUNTED, *accounts.PRESENT, *accounts.FOR_ALL, *accounts.PARTS}
    of_exporter = (*accounts.EXPORTER_COUNTED, *accounts.EXPORTER_COUNTED_BY, *accounts.EXPORTER_PRESENT, *accounts.EXPORTER_LISTS)
    as_said = (*accounts.EXPORTER_LATEST, *accounts.EXPORTER_DESCRIBED, "address", "protocol")
    assert set(exporter("192.0.2.1")) == {*of_exporter, *as_said}
    sums = (*accounts.SOCKET_COUNTED, *accounts.SOCKET_PRESENT)
    settings = ("address", "port", "transport", "receive_buffer", "receive_buffer_asked")
    assert set(found["listen"][0]) == {*sums, *settings}


def test_what_is_counted_adds_up() -> None:
    tcp = {"address": "*", "port": 4739, "transport": "tcp", "drops": 0, "truncated": 0, "datagrams": 7, "octets": 70}
    first = account(exporter("192.0.2.1"), events=[{"time": 3, "text": "c"}])
    first["listen"].append(tcp)
    second = account(exporter("192.0.2.2"), pid=2, events=[{"time": 2, "text": "b"}, {"time": 4, "text": "d"}])
    for one, number in ((first, 4), (second, 5)):
        one["unknown_exporters"] = {"datagrams": number, "octets": 10 * number, "addresses": {"192.0.2.9": number}}
    whole = together(first, [second, account(pid=3)])
    assert whole["unknown_exporters"] == {"datagrams": 9, "octets": 90, "addresses": {"192.0.2.9": 9}}
    assert (whole["pid"], whole["datagrams"], whole["flows"], whole["flows_per_s"], whole["drops"]) == (1, 15, 150, 4.5, 3)
    assert [one["address"] for one in whole["exporters"]] == ["192.0.2.1", "192.0.2.2"]
    assert "".join(one["text"] for one in whole["events"]) == "bcd"
    assert [(one["transport"], one["datagrams"], one["drops"]) for one in whole["listen"]] == [("udp", 15, 3), ("tcp", 7, 0)]


def test_an_exporter_of_two_processes_is_one() -> None:
    over_tcp = exporter(
        "192.0.2.1", protocol="IPFIX", domains=[7], flows=10, malformed={"a": 1, "b": 2}, last_seen="2026-01-01T00:00:00Z",
        clock_skew_s=1.0, sampling={"options": 5}, flows_per_s=1.0,
    )  # fmt: skip
    over_udp = exporter(
        "192.0.2.1", protocol="IPFIX, v9", domains=[3, 7], flows=1, malformed={"b": 40}, last_seen="2026-01-02T00:00:00Z",
        clock_skew_s=2.0, sampling={"options": 6}, flows_per_s=0.25, templates=2,
    )  # fmt: skip
    for pair in ((over_tcp, over_udp), (over_udp, over_tcp)):
        (one,) = together(account(pair[0]), [account(pair[1])])["exporters"]
        assert (one["flows"], one["malformed"], one["domains"]) == (11, {"a": 1, "b": 42}, [3, 7])
        assert (one["protocol"], one["templates"], one["flows_per_s"]) == ("IPFIX, v9", 2, 1.2)
        assert (one["last_seen"], one["clock_skew_s"], one["sampling"]) == ("2026-01-02T00:00:00Z", 2.0, {"options": 6})


def test_of_a_process_that_ended_stays_what_it_counted() -> None:
    gone = exporter("192.0.2.1", flows=10, templates=3, templates_awaited=[300], flows_per_s=5.0, unread={"x": 1})
    past = left(account(gone, held_octets=9, flows_pending=4))
    whole = together(account(), [past, account(exporter("192.0.2.1", flows=2, templates=1), pid=2)])
    assert (whole["flows"], whole["drops"], whole["flows_per_s"]) == (150, 2, 3.0)
    (one,) = whole["exporters"]
    assert (one["flows"], one["templates"], one["templates_awaited"], one["unread"]) == (12, 1, [], {"x": 1})
    (alone,) = together(account(), [past])["exporters"]
    assert (alone["flows"], alone["templates"], alone["flows_per_s"]) == (10, 0, 0)
    assert left(together(past, [past]))["flows"] == 100


@pytest.mark.parametrize("octets", [b"", b"[]", b"{", b"\xff"])
def test_what_is_no_account(octets: bytes, tmp_path: Path) -> None:
    assert read(tmp_path / "none") is None
    (tmp_path / "status.2.json").write_bytes(octets)
    assert read(tmp_path / "status.2.json") is None
