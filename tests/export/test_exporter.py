"""The exporter on real sockets: several targets, each with its own trouble, and none with that of another."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import Mock

import polars as pl
import pytest

from nftui.errors import ConfigError
from nftui.export import target
from nftui.export.exporter import Exporter
from nftui.export.streams import Format
from nftui.export.target import Target, parse_target
from tests.export.test_streams import read, small
from tests.real import namespace
from tests.running import free_port, wait_for

SECOND = 1_000_000


@contextmanager
def listening(family: int = socket.AF_INET) -> Iterator[tuple[str, socket.socket]]:
    """A collector's socket, and how it is written."""
    with socket.socket(family, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        listener.settimeout(5)
        host, port = listener.getsockname()[:2]
        yield target.address_text(host, port), listener


def received(listener: socket.socket, number: int) -> list[bytes]:
    return [listener.recv(65536) for _ in range(number)]


@pytest.mark.parametrize("of", Format)
def test_all_targets_get_the_same(of: Format) -> None:
    with listening() as (one, first), listening(socket.AF_INET6) as (six, second):
        exporter = Exporter([one, six, one], of, domain=3)
        sent = small(90)
        exporter.send(sent)
        exporter.close()
        number = exporter.counts.datagrams
        got = received(first, number)
        assert got == received(second, number)
        assert read(got)[0].sort("octets")["octets"].to_list() == sent["octets"].to_list()
        counts = exporter.counts
        assert [(each.datagrams, each.octets, address) for each, address, _, _ in counts.targets.values()] == [
            (number, sum(map(len, got)), one), (number, sum(map(len, got)), six)
        ]  # fmt: skip
        told = counts.as_dict()
        assert (told["format"], told["flows"], told["targets"][one]["failed"]) == (of.value, 90, {})


def test_one_that_refuses_holds_up_nobody_and_gets_templates_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    port = free_port()
    with listening() as (name, listener):
        exporter = Exporter([f"127.0.0.1:{port}", name], "ipfix", tell=told.append)
        for _ in range(4):
            exporter.send(small(2))
            time.sleep(0.02)
        got = received(listener, exporter.counts.datagrams)
        refused = exporter.counts.targets[f"127.0.0.1:{port}"][0].refused
        assert refused > 0 and exporter.counts.targets[name][0].refused == 0
        assert read(got)[0].height == 8
        assert told == [f"127.0.0.1:{port}: nothing listens at 127.0.0.1:{port}"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.bind(("127.0.0.1", port))
            back.settimeout(5)
            exporter.tick()
            exporter.send(small(2))
            got = received(back, 2)
            while not read(got)[0].height:
                got += received(back, 1)
            assert read(got)[0].height == 2
            assert exporter.counts.targets[f"127.0.0.1:{port}"][2] == f"nothing listens at 127.0.0.1:{port}"
            monkeypatch.setattr(target, "SOUND_S", 0.0)
            monkeypatch.setattr(target, "QUIET_S", 0.0)
            exporter.send(small(2))
            exporter.close()
        assert exporter.counts.targets[f"127.0.0.1:{port}"][2] == ""
        assert told[1:] == [f"127.0.0.1:{port}: takes datagrams again"]
        assert not exporter.counts.targets[f"127.0.0.1:{port}"][0].failed


def test_templates_are_told_again_by_time_and_by_number() -> None:
    now = [1000.0]
    with listening() as (name, listener):
        exporter = Exporter([name], "netflow9", templates_s=60, templates_datagrams=10, clock=lambda: now[0])

        def is_template(payload: bytes) -> bool:
            return struct.unpack_from(">H", payload, 20) == (0,)

        for second in range(120):
            now[0] = 1000.0 + second
            exporter.tick()
            if second < 4:
                exporter.send(small(1, flow_start=None, flow_end=None))
        exporter.close()
        first = received(listener, exporter.counts.datagrams)
        assert [is_template(payload) for payload in first] == [True, False, False, False, False, True]
        sequence = [struct.unpack_from(">I", payload, 12)[0] for payload in first]
        assert sequence == list(range(6))
    with listening() as (name, listener):
        exporter = Exporter([name], "netflow9", templates_datagrams=10)
        for _ in range(25):
            exporter.send(small(1, flow_start=None, flow_end=None))
        exporter.close()
        places = [place for place, payload in enumerate(received(listener, exporter.counts.datagrams)) if is_template(payload)]
        assert places == [0, 10, 20]


def test_a_full_queue_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "WAITING", 20_000)
    with listening() as (name, listener):
        exporter = Exporter([name], "ipfix", pace=1)
        exporter.send(small(3000))
        received(listener, 1)
        exporter.close(0)
        counts = exporter.counts
        (one,) = (each for each, *_ in counts.targets.values())
        assert one.datagrams + one.dropped == counts.datagrams
        assert one.dropped > 50
        assert 0 < one.datagrams < 20


def test_who_waits_for_room_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "WAITING", 20_000)
    monkeypatch.setattr("nftui.export.exporter.WAITING", 20_000)
    monkeypatch.setattr("nftui.export.exporter.AT_ONCE", 100)
    with listening() as (name, listener):
        exporter = Exporter([name], "netflow5", pace=2000)
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.extend(received(listener, 300)), daemon=True)
        reader.start()
        exporter.send(small(7500), wait=True)
        exporter.close()
        reader.join(10)
        counts = exporter.counts
        assert counts.targets[name][0].dropped == 0 and len(got) == 300 == counts.datagrams
        assert read(got)[0]["octets"].sum() == small(7500)["octets"].sum()


def test_pace() -> None:
    with listening() as (name, listener):
        exporter = Exporter([name], "netflow5", pace=200)
        began = time.monotonic()
        exporter.send(small(28 * 60))
        received(listener, 60)
        assert 0.2 < time.monotonic() - began < 2
        exporter.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("192.0.2.1", "write HOST:PORT"),
        (":9995", "write HOST:PORT"),
        ("::1:9995", "write HOST:PORT"),
        ("localhost:0", "a port from 1 to 65535"),
        ("localhost:x", "a port from 1 to 65535"),
        ("no.such.host.invalid:9995", "is no target: "),
        (f"{'x' * 70}.example:1", "is no target: "),
    ],
)
def test_a_target_that_is_none(name: str, why: str) -> None:
    before = threading.active_count()
    with pytest.raises(ConfigError, match="^.*" + why):
        Exporter(["127.0.0.1:9", name], "ipfix")
    assert threading.active_count() == before


def test_what_else_can_not_be() -> None:
    for words, why in (
        ({"mtu": 100}, "MTU of 100"),
        ({"format": "sflow"}, '"sflow" is no format'),
        ({"targets": []}, "name a target"),
    ):
        with pytest.raises(ConfigError, match=why):
            Exporter(**{"targets": ["127.0.0.1:9"], "format": "ipfix", **words})  # type: ignore[arg-type]
    assert parse_target("[2001:db8::1]:4739") == ("2001:db8::1", 4739)


def test_ipv6_in_v5_is_said_once() -> None:
    told: list[str] = []
    with listening() as (name, _):
        exporter = Exporter([name], "netflow5", tell=told.append)
        for _ in range(3):
            exporter.send(small(2, source_address=b"\x20\x01" + bytes(14)))
        exporter.close()
    assert told == ["2 flows of IPv6 were left out, as NetFlow v5 has no place for them; export in netflow9 or ipfix"]
    assert (exporter.counts.stream.ipv6, exporter.counts.datagrams) == (6, 0)


def test_a_narrow_way_is_measured_and_nothing_is_fragmented() -> None:
    """A link of 900 octets: what is too long for it fails once, and what comes later fits."""
    found: list[tuple[int, dict[str, int], int]] = []

    def run() -> None:
        near, far = namespace.link()
        namespace.ip("addr", "add", "192.0.2.1/24", "dev", near)
        namespace.ip("neigh", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", near)
        namespace.ip("link", "set", near, "mtu", "900")
        told: list[str] = []
        exporter = Exporter(["192.0.2.2:9995"], "ipfix", tell=told.append)
        exporter.send(small(200))
        wait_for(lambda: not exporter.waiting)
        before = exporter.counts.targets["192.0.2.2:9995"][0].datagrams
        exporter.send(small(200))
        exporter.close()
        counts = exporter.counts.targets["192.0.2.2:9995"][0]
        found.append((exporter._targets[0].mtu, dict(counts.failed), counts.datagrams - before))
        del far

    thread = threading.Thread(target=lambda: namespace.inside(run))
    thread.start()
    thread.join(20)
    ((mtu, failed, after),) = found
    assert mtu == 900
    assert set(failed) == {"EMSGSIZE"}
    assert after == -(-200 // ((900 - 28 - 16 - 7) // 45))


def test_no_way_there_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "RESOLVE_S", 0.0)
    found: list[tuple[dict[str, int], str, list[str]]] = []

    def run() -> None:
        namespace.ip("link", "add", "way0", "type", "veth", "peer", "name", "way1")
        namespace.ip("addr", "add", "192.0.2.1/24", "dev", "way0")
        namespace.ip("link", "set", "way0", "up")
        told: list[str] = []
        exporter = Exporter(["192.0.2.9:9995"], "ipfix", tell=told.append)
        namespace.ip("link", "set", "way0", "down")
        for _ in range(3):
            exporter.send(small(1))
            wait_for(lambda: not exporter.waiting)
        exporter.close()
        counts, _, problem, _ = exporter.counts.targets["192.0.2.9:9995"]
        found.append((dict(counts.failed), problem, told))

    thread = threading.Thread(target=lambda: namespace.inside(run))
    thread.start()
    thread.join(20)
    ((failed, problem, told),) = found
    assert sum(failed.values()) == 4
    assert problem and len(told) <= 2, told


def test_a_full_device_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers for the address, so datagrams stay in a socket whose buffer is small."""
    monkeypatch.setattr(target, "STALL_S", 0.05)
    monkeypatch.setattr(target, "_BUFFER", 4096)
    found: list[tuple[int, dict[str, int], str, int]] = []

    def run() -> None:
        near, _ = namespace.link()
        namespace.ip("addr", "add", "192.0.2.1/24", "dev", near)
        with listening() as (name, listener):
            exporter = Exporter(["192.0.2.9:9995", name], "ipfix", tell=lambda _: None)
            exporter.send(small(400))
            number = exporter.counts.datagrams
            got = len(received(listener, number))
            wait_for(lambda: exporter.counts.targets["192.0.2.9:9995"][0].failed)
            exporter.close(0.2)
            counts, _, problem, _ = exporter.counts.targets["192.0.2.9:9995"]
            found.append(
                (got - number, dict(counts.failed), problem, counts.datagrams + counts.dropped + counts.failed.total() - number)
            )

    thread = threading.Thread(target=lambda: namespace.inside(run))
    thread.start()
    thread.join(20)
    ((missing, failed, problem, unaccounted),) = found
    assert (missing, unaccounted) == (0, 0)
    assert set(failed) == {"EAGAIN"}
    assert problem == "the device that leads there takes no datagrams"


def test_a_name_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who moves is found, after the old address refused, and gets templates at once."""
    with listening() as (_, new):
        old, there = free_port(), new.getsockname()
        addresses = [("127.0.0.1", old), there]
        monkeypatch.setattr(target, "RESOLVE_S", 0.0)
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *_, **__: [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", addresses.pop(0) if len(addresses) > 1 else there)],
        )
        one = Target("collector.example:9995", 1400, 0, lambda line: None)
        assert one.address == f"127.0.0.1:{old}" and one.returned.is_set()
        one.returned.clear()
        for number in range(3):
            one.put([bytes([number])])
            wait_for(lambda: not one.waiting)
            time.sleep(0.02)
        assert one.address == f"127.0.0.1:{there[1]}" and one.returned.is_set()
        assert received(new, 1) == [b"\1"] and one.counts.resolved >= 2
        one.close(1)


def test_a_name_server_that_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    with listening() as (name, listener):
        host, port = listener.getsockname()
        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", Mock(side_effect=socket.gaierror(socket.EAI_AGAIN, "try again")))
            exporter = Exporter([f"collector.example:{port}"], "ipfix", tell=told.append)
            exporter.send(small(1))
            wait_for(lambda: not exporter.waiting)
            assert told == [f"collector.example:{port}: can't be reached yet: try again"]
            found = [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (host, port))]
            patch.setattr(socket, "getaddrinfo", Mock(return_value=found))
            patch.setattr(exporter._targets[0], "_resolve_at", 0.0)
            exporter.send(small(1))
            wait_for(lambda: not exporter.waiting)
        exporter.send(small(1))
        exporter.close()
        counts, address, _, _ = exporter.counts.targets[f"collector.example:{port}"]
        assert (address, counts.failed["unresolved"]) == (name, 2)
        assert read(received(listener, counts.datagrams))[0].height >= 1


def test_frames_of_nothing() -> None:
    with listening() as (name, _):
        exporter = Exporter([name], "ipfix")
        exporter.send(pl.DataFrame())
        exporter.send(small(1).clear())
        exporter.close()
    assert exporter.counts.datagrams == 0
