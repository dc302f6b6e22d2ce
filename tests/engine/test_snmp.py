"""Interfaces asked over SNMP: of a real agent, of hostile ones, and of nobody who is not listed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import rfc1902
from pysnmp.proto.api import v1, v2c

from nftui.config import SnmpSettings
from nftui.engine import if_mib, snmp, snmp_process
from nftui.engine.account import AccountReader
from nftui.engine.if_mib import IF_ALIAS, IF_DESCR, IF_HIGH_SPEED, IF_NAME, IF_SPEED, Agent, described, interfaces_of
from nftui.engine.snmp import Asker
from nftui.engine.snmp_process import NOBODY, NOT_INSTALLED, SnmpProcess
from nftui.engine.store import Store
from tests import peers
from tests.running import Collecting, collecting, free_port, netflow5, nftui, send, wait_for

SECRET = b"secret"
SNMPD = """
agentaddress udp:127.0.0.1:{port}
rocommunity secret 127.0.0.1
override .1.3.6.1.2.1.31.1.1.1.18.1 octet_str "to itself"
override .1.3.6.1.2.1.31.1.1.1.15.1 uinteger 100000
"""


@contextmanager
def snmpd(folder: Path, port: int) -> Iterator[None]:
    """A real agent, which touches nothing but a folder."""
    program = peers.require("snmpd")
    config = folder / "snmpd.conf"
    config.write_text(SNMPD.format(port=port))
    environment = {**os.environ, "SNMP_PERSISTENT_DIR": str(folder / "persistent"), "SNMPCONFPATH": str(folder)}
    with (folder / "snmpd.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-f", "-Lo", "-C", "-c", str(config), "-p", str(folder / "snmpd.pid")],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: b"NET-SNMP version" in (folder / "snmpd.log").read_bytes(), lambda: process.poll() is None)
        yield
    finally:
        process.terminate()
        process.wait(10)


Reply = Callable[[Any, Any], list[bytes]]


@contextmanager
def agent(reply: Reply, address: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """An agent that answers as a function says, given a request and its message; yields its port and the questions."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((address, port))
        one.settimeout(0.05)
        questions: list[bytes] = []
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    octets, sender = one.recvfrom(65_536)
                except TimeoutError:
                    continue
                questions.append(octets)
                message, _ = decoder.decode(octets, asn1Spec=v2c.Message())
                for answer in reply(v2c.apiMessage.get_pdu(message), message):
                    one.sendto(answer, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield one.getsockname()[1], questions
        finally:
            over.set()
            thread.join()


def response(request: Any, rows: list[tuple[tuple[int, ...], Any]], *, error: int = 0, **more: Any) -> bytes:
    pdu, message = (more.get("pdu") or v2c.ResponsePDU)(), v2c.Message()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_request_id(pdu, more.get("number", v2c.apiPDU.get_request_id(request)))
    v2c.apiPDU.set_error_status(pdu, error)
    v2c.apiPDU.set_varbinds(pdu, rows)
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, more.get("community", SECRET))
    v2c.apiMessage.set_pdu(message, pdu)
    octets: bytes = encoder.encode(message)
    return octets


def after(request: Any) -> tuple[int, ...]:
    """Return where a request goes on."""
    return tuple(v2c.apiBulkPDU.get_varbinds(request)[0][0])


def table(columns: dict[tuple[int, ...], dict[int, Any]], rows: int = 25) -> Reply:
    """An honest agent of a table."""
    everything = sorted(((*column, index), value) for column, some in columns.items() for index, value in some.items())

    def reply(request: Any, message: Any) -> list[bytes]:
        found = [row for row in everything if row[0] > after(request)][:rows]
        return [response(request, found or [(after(request), v2c.EndOfMibView())])]

    return reply


def ask(port: int, community: bytes = SECRET) -> tuple[dict[str, dict[str, Any]], str]:
    return asyncio.run(interfaces_of("127.0.0.1", port, community))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(if_mib, "TIMEOUT_S", 0.06)
    monkeypatch.setattr(if_mib, "TRIES", 2)
    monkeypatch.setattr(if_mib, "TOTAL_S", 1.0)


# ---------------------------------------------------------------- a real agent


def events(collector: Collecting) -> list[str]:
    return [event["text"] for event in collector.status().get("events", [])]


def configured(path: Path, port: int, exporters: str = '"127.0.0.1"', community: str = "secret") -> None:
    path.write_text(f'[snmp]\ncommunity = "{community}"\nexporters = [{exporters}]\nport = {port}\n')


def children(collector: Collecting) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"nftui.engine.snmp\0" in words and str(collector.process.pid).encode() in words.split(b"\0"):
            assert SECRET not in words
            found.append(int(path.parent.name))
    return found


@pytest.mark.peer("snmpd")
def test_of_a_real_agent_names_and_speeds_are_shown_and_settings_follow(tmp_path: Path) -> None:
    config, data, port = tmp_path / "nftui.toml", tmp_path / "store", free_port()
    configured(config, port)
    with snmpd(tmp_path, port), collecting(data, "--config", str(config)) as collector:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
            exporter.bind(("127.0.0.1", 0))
            exporter.sendto(netflow5(0, 1, time.time()), ("127.0.0.1", collector.port))
        collector.wait_for(lambda: collector.status().get("snmp", {}).get("answered") == 1)
        asked = collector.status()["snmp"]
        names = dict(socket.if_nameindex())
        assert asked == {"listed": 1, "answered": 1, "failing": 0, "interfaces": len(names)}
        known = AccountReader(Store(data)).account().interfaces["127.0.0.1"]
        assert {int(index): one["name"] for index, one in known.items()} == names
        assert known["1"] == {"name": "lo", "description": "to itself", "speed": 10**11}
        shown = nftui("status", "--data", data).stdout
        assert "interfaces: 1 lo/to itself 100G" in shown
        assert "snmp: 1 known exporters may be asked, 1 answered, 0 do not" in shown
        (first,) = children(collector)
        assert os.getpriority(os.PRIO_PROCESS, first) >= snmp.NICENESS
        # Other settings are another child, and one that dies is started again.
        configured(config, port, community="wrong")
        collector.process.send_signal(signal.SIGHUP)
        collector.wait_for(lambda: "configuration read again: snmp.community changed" in events(collector))
        collector.wait_for(lambda: first not in children(collector) and children(collector))
        os.kill(*children(collector), signal.SIGKILL)
        collector.wait_for(lambda: "what asks exporters over SNMP was ended by SIGKILL and is started again" in events(collector))
        collector.wait_for(lambda: collector.status().get("snmp", {}).get("listed") == 1)
        assert AccountReader(Store(data)).account().interfaces["127.0.0.1"] == known, "kept for as long as nothing else is told"
        # And when nobody is to be asked any more nothing of it is left.
        config.write_text("")
        collector.process.send_signal(signal.SIGHUP)
        collector.wait_for(lambda: "snmp" not in collector.status())
        assert children(collector) == [] and not list(data.glob("*snmp*"))
        assert SECRET not in b"".join(path.read_bytes() for path in data.glob("*.json"))


def test_the_child_ends_with_its_collector(tmp_path: Path) -> None:
    config = tmp_path / "nftui.toml"
    configured(config, free_port())
    collector = Collecting(tmp_path / "store", "--config", str(config))
    try:
        collector.wait_for(lambda: collector.status().get("snmp"))
        assert len(children(collector)) == 1
    finally:
        collector.kill()
    wait_for(lambda: children(collector) == [])


# ---------------------------------------------------------------- who is asked


def test_nobody_is_asked_who_is_not_both_listed_and_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snmp, "LOOK_S", 0.05)
    honest = table({IF_NAME: {1: v2c.OctetString("eth0")}})
    with agent(honest, "127.4.0.1") as (port, listed), agent(honest, "127.4.1.1", port) as (_, other), (
        agent(honest, "127.4.0.2", port)
    ) as (_, silent):  # fmt: skip
        addresses = ["127.4.0.1", "127.4.1.1", "(other)", "224.0.0.1", "0.0.0.0", "255.255.255.255", "::", "x" * 5000]
        status = {"pid": 4711, "exporters": [{"address": one} for one in addresses]}
        (tmp_path / "status.json").write_text(json.dumps(status))
        settings = SnmpSettings("secret", ("127.4.0.0/24",), 60, port)

        async def some(collector: int, seconds: float) -> Asker:
            asker = Asker(tmp_path, settings, collector, interfaces_of)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asker.run(), seconds)
            return asker

        asyncio.run(some(4712, 0.2))
        assert (listed, other, silent) == ([], [], []), "the status is another collector's"
        asker = asyncio.run(some(4711, 0.8))
        assert (other, silent) == ([], []) and len(listed) == 6
        assert SECRET in listed[0]
        found = json.loads((tmp_path / "interfaces.snmp.json").read_bytes())
        assert found == {"version": 1, "exporters": {"127.4.0.1": {"1": {"name": "eth0"}}}}
        assert not asker.may_be_asked("127.4.1.1") and asker.may_be_asked("127.4.0.2")
    for everywhere in ("0.0.0.0/0", "::/0"):
        asker = Asker(tmp_path, SnmpSettings("secret", (everywhere,)), 1, interfaces_of)
        assert not any(map(asker.may_be_asked, ("224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::1", "::", "", "localhost")))


def test_off_by_default_and_why_it_is_not_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    (tmp_path / "interfaces.snmp.json").write_text("{}")
    one = SnmpProcess(tmp_path, SnmpSettings(), told.append)
    one.start()
    one.watch()
    assert told == [] and one.account() == {} and list(tmp_path.iterdir()) == []
    one.follow(SnmpSettings("secret"))
    assert told == [NOBODY]
    monkeypatch.setattr(snmp_process.importlib.util, "find_spec", lambda name: None)
    one.follow(SnmpSettings("secret", ("192.0.2.1",)))
    one.watch()
    assert told == [NOBODY, NOT_INSTALLED] and "pip install 'nftui[snmp]'" in NOT_INSTALLED
    assert not (tmp_path / "snmp.json").exists()
    one.end()


def test_without_pysnmp_the_collector_goes_on(tmp_path: Path) -> None:
    config, hidden = tmp_path / "nftui.toml", tmp_path / "hidden"
    configured(config, free_port())
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'pysnmp' else find(name, *more)\n"
    )
    with collecting(tmp_path / "store", "--config", str(config), env={"PYTHONPATH": str(hidden)}) as collector:
        collector.wait_for(lambda: NOT_INSTALLED in events(collector))
        send(collector.port, [("a", netflow5(0, 1, time.time()))])
        collector.wait_for(lambda: collector.status()["flows_stored"] == 1)
        assert children(collector) == []


# ---------------------------------------------------------------- what is told


def test_columns_become_interfaces() -> None:
    octets, gauge = v2c.OctetString, v2c.Gauge32
    columns = {
        IF_NAME: {1: octets("Gi0/1"), 3: octets(""), 7: octets(b"\xff\x1b[31m" + b"x" * 500)},
        IF_DESCR: {1: octets("GigabitEthernet0/1"), 2: octets("old"), 3: octets("lo")},
        IF_ALIAS: {1: octets("to the \u00e4rctic".encode()), 2: octets("old")},
        IF_HIGH_SPEED: {1: gauge(100_000), 2: gauge(2), 3: gauge(0)},
        IF_SPEED: {1: gauge(1_410_065_408), 2: gauge(1_544_000), 3: gauge(64_000), 4: gauge(0), 5: gauge(2**32 - 1)},
    }
    with agent(table(columns, rows=2)) as (port, questions):
        found, problem = ask(port)
    assert problem == "" and len(questions) > len(columns)
    assert found == {
        "1": {"name": "Gi0/1", "description": "to the \u00e4rctic", "speed": 10**11},
        "2": {"name": "old", "speed": 1_544_000},
        "3": {"name": "lo", "speed": 64_000},
        "7": {"name": "\ufffd\x1b[31m" + "x" * 122},
    }
    assert described({}) == {}


def test_values_of_another_type_are_left_out() -> None:
    wrong = [
        rfc1902.IpAddress("192.0.2.1"), rfc1902.Opaque(b"x"), rfc1902.Integer32(-1), rfc1902.Counter64(2**63), v2c.null,
        rfc1902.ObjectIdentifier("1.3.6"),
    ]  # fmt: skip
    with agent(table({column: dict(enumerate(wrong, 1)) for column, _ in if_mib.COLUMNS})) as (port, _):
        assert ask(port) == ({}, "")


def test_an_agent_without_the_tables() -> None:
    with agent(table({(1, 3, 6, 1, 2, 1, 1, 1): {0: v2c.OctetString("a box")}})) as (port, questions):
        assert ask(port) == ({}, "")
    assert len(questions) == 5


NAME = v2c.OctetString("x" * 40)


def forward(request: Any, message: Any, step: int = 1, rows: int = 25) -> list[bytes]:
    """A table without an end."""
    last = after(request)
    start = last[-1] if len(last) > len(IF_NAME) else 0
    return [response(request, [((*IF_NAME, start + (place + 1) * step), NAME) for place in range(rows)])]


HOSTILE: dict[str, tuple[Reply, str]] = {
    "silence": (lambda request, message: [], "no answer; a wrong community has none"),
    "garbage": (lambda request, message: [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", bytes(1400), b"\x30\x80" * 600], "no answer"),
    "a flood": (lambda request, message: [b"\x30\x03\x02\x01\x01"] * 200, "no answer"),
    "its own question": (lambda request, message: [encoder.encode(message)], "no answer"),
    "another's number": (lambda request, message: [response(request, [((*IF_NAME, 1), NAME)], number=1)], "no answer"),
    "another's community": (lambda request, message: [response(request, [((*IF_NAME, 1), NAME)], community=b"x")], "no answer"),
    "another kind": (lambda request, message: [response(request, [((*IF_NAME, 1), NAME)], pdu=v2c.GetRequestPDU)], "no answer"),
    "a huge string": (lambda request, message: [response(request, [((*IF_NAME, 1), v2c.OctetString("x" * 60_000))])], "no answer"),
    "nothing": (lambda request, message: [response(request, [])], "it answers with nothing"),
    "an error": (lambda request, message: [response(request, [], error=16)], "it answers with the error authorizationError"),
    "a loop": (lambda request, message: [response(request, [((*IF_NAME, 5), NAME)])], "doesn't go forward"),
    "backwards": (
        lambda request, message: [response(request, [((*IF_NAME, 9 - n), NAME) for n in range(9)])],
        "doesn't go forward",
    ),
    "two indices": (lambda request, message: [response(request, [((*IF_NAME, 1, 2), NAME)])], "rows without an index"),
    "no index": (lambda request, message: [response(request, [(IF_NAME, NAME)])], "without an index"),
    "an absurd index": (lambda request, message: forward(request, message, step=2**31), "doesn't go forward"),
    "no end": (lambda request, message: forward(request, message, rows=100), "it has more than 4,096 interfaces"),
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_agents_come_to_an_end(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reply, words = HOSTILE[what]
    if what == "no end":
        monkeypatch.setattr(if_mib, "TOTAL_S", 20.0)
    with agent(reply) as (port, questions):
        began = time.monotonic()
        found, problem = ask(port)
        took = time.monotonic() - began
    assert words in problem
    assert len(found) <= if_mib.MOST_INTERFACES and len(questions) <= 60
    assert what == "no end" or took < 2


def test_one_that_is_slow_is_left_with_what_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(if_mib, "TOTAL_S", 0.5)
    monkeypatch.setattr(if_mib, "TIMEOUT_S", 5.0)

    def reply(request: Any, message: Any) -> list[bytes]:
        time.sleep(0.06)
        return forward(request, message, rows=1)

    with agent(reply) as (port, _):
        found, problem = ask(port)
    assert problem == "it took longer than 0.5 s" and 1 <= len(found) <= 20


@pytest.mark.usefixtures("hasty")
def test_answers_of_other_hosts_are_not_taken() -> None:
    """The kernel drops what comes from elsewhere, even with the number and the community of our question."""

    def reply(request: Any, message: Any) -> list[bytes]:
        return []

    with agent(reply) as (port, questions), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.4.0.9", 0))
        connected = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with connected:
            connected.setblocking(False)
            connected.connect(("127.0.0.1", port))
            one = Agent(connected, SECRET)

            async def asked() -> None:
                walk = asyncio.create_task(one.walk(IF_NAME, if_mib.text, {}))
                await asyncio.to_thread(wait_for, lambda: questions)
                message, _ = decoder.decode(questions[0], asn1Spec=v2c.Message())
                forged = response(v2c.apiMessage.get_pdu(message), [((*IF_NAME, 1), NAME)])
                other.sendto(forged, connected.getsockname())
                with pytest.raises(if_mib.Failed, match="no answer"):
                    await walk

            asyncio.run(asked())


def test_whatever_comes_is_an_answer_or_none() -> None:
    """Octets of an answer, changed in any place: nothing is raised but that there is no answer."""
    one, dice = Agent(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), SECRET), random.Random(7)
    message, _ = decoder.decode(one.question(77, IF_NAME), asn1Spec=v2c.Message())
    rows = [((*IF_NAME, 1), NAME), ((*IF_SPEED, 2), v2c.Gauge32(5)), ((*IF_SPEED, 3), v2c.EndOfMibView())]
    sound = response(v2c.apiMessage.get_pdu(message), rows)
    assert [name for name, _ in one.answer(sound, 77) or []] == [name for name, _ in rows]
    taken = 0
    for _ in range(1500):
        octets = bytearray(sound)
        for _ in range(dice.randrange(1, 5)):
            octets[dice.randrange(len(octets))] = dice.choice([0, 1, 0x30, 0x7F, 0x80, 0x84, 0xA2, 0xFF, dice.randrange(256)])
        try:
            found = one.answer(bytes(octets[: dice.randrange(1, len(octets) + 1) if dice.random() < 0.2 else None]), 77)
        except if_mib.Failed:
            continue
        taken += found is not None
        for _, value in found or []:
            assert isinstance(if_mib.text(value), str | None) and isinstance(if_mib.number(value), int | None)
    one._socket.close()
    assert taken > 50
    trap = v1.TrapPDU()
    v1.apiTrapPDU.set_defaults(trap)
    other = v1.Message()
    v1.apiMessage.set_defaults(other)
    v1.apiMessage.set_community(other, SECRET)
    v1.apiMessage.set_pdu(other, trap)
    assert one.answer(encoder.encode(other), 77) is None


# ---------------------------------------------------------------- what is kept, and what is said


def asker(root: Path, *networks: str) -> Asker:
    return Asker(root, SnmpSettings("secret", networks or ("0.0.0.0/0",)), 1, interfaces_of)


def known(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "interfaces.snmp.json").read_bytes())["exporters"]
    return found


def told(root: Path) -> list[str]:
    return [event["text"] for event in json.loads((root / "snmp.json").read_bytes())["events"]]


def test_what_was_known_stays_until_something_else_is_told(tmp_path: Path) -> None:
    one = asker(tmp_path)
    one.take("192.0.2.1", {"1": {"name": "a"}}, "")
    one.take("192.0.2.1", {}, "no answer")
    one.take("192.0.2.2", {"1": {"name": "b"}}, "it took longer than 60 s")
    one.take("192.0.2.1", {"2": {"name": "part"}}, "no answer")
    one._look()
    assert known(tmp_path) == {"192.0.2.1": {"1": {"name": "a"}}, "192.0.2.2": {"1": {"name": "b"}}}
    # The next one begins with it, but for whom it may no longer ask.
    two = asker(tmp_path, "192.0.2.2")
    two._look()
    assert known(tmp_path) == {"192.0.2.2": {"1": {"name": "b"}}}
    two.take("192.0.2.2", {}, "")
    two._look_at = 0.0
    two._look()
    assert known(tmp_path) == {}


NO_ACCOUNTS = [b"", b"{", b"[]", b'{"exporters": []}', b'{"exporters": 1}', b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("octets", NO_ACCOUNTS, ids=range(len(NO_ACCOUNTS)))
def test_what_an_earlier_one_left_may_be_anything(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / "interfaces.snmp.json").write_bytes(octets)
    (tmp_path / "status.json").write_bytes(octets)
    asker(tmp_path)._look()
    assert known(tmp_path) == {}


def test_there_is_room_for_so_much_and_the_rest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snmp, "MOST_OCTETS", 5000)
    one = asker(tmp_path)
    for place in range(3):
        one.take(f"192.0.2.{place}", {str(index): {"name": "x" * 60} for index in range(30)}, "")
    one._look()
    assert list(known(tmp_path)) == ["192.0.2.0", "192.0.2.1"]
    assert ["no room" in event for event in told(tmp_path)] == [True]
    assert (tmp_path / "interfaces.snmp.json").stat().st_size < 5100


def test_events_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = asker(tmp_path)
    for place in range(200):
        one.take(f"192.0.2.{place}", {}, "no answer")
        one.take(f"192.0.2.{place}", {}, "nothing listens there")
    one._look()
    found = told(tmp_path)
    assert len(found) == 4 and found[0] == "192.0.2.0: its interfaces could not be asked for over SNMP: no answer"
    assert found[3] == "197 more exporters don't answer over SNMP, or do so again"
    one.take("192.0.2.9", {"1": {"name": "a"}}, "")
    one._look_at = 0.0
    one._look()
    assert told(tmp_path) == found, "within a minute nothing more is said"
    one._look_at = one._tell_at = 0.0
    one._look()
    one._look_at = 0.0
    one._look()
    assert told(tmp_path)[4:] == ["192.0.2.9: its interfaces could be asked for over SNMP again"]


async def test_one_that_fails_in_another_way_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snmp, "LOOK_S", 0.02)
    running, most = 0, 0

    async def ask_one(address: str, port: int, community: bytes) -> tuple[dict[str, Any], str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        if address.endswith(".7"):
            raise ZeroDivisionError
        return {"1": {"name": address}}, ""

    status = {"pid": 1, "exporters": [{"address": f"192.0.2.{place}"} for place in range(100)]}
    (tmp_path / "status.json").write_text(json.dumps(status))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Asker(tmp_path, SnmpSettings("secret", ("192.0.2.0/24",)), 1, ask_one).run(), 0.6)
    assert len(known(tmp_path)) == 99 and most == snmp.AT_ONCE
    assert told(tmp_path) == ["192.0.2.7: its interfaces could not be asked for over SNMP: ZeroDivisionError"]


def test_what_exporters_tell_themselves_stands_before(tmp_path: Path) -> None:
    (tmp_path / "interfaces.json").write_text(json.dumps({"exporters": {"192.0.2.1": {"1": {"name": "own", "speed": 0}}}}))
    one = asker(tmp_path)
    one.take("192.0.2.1", {"1": {"name": "asked", "speed": 10, "description": "d"}, "2": {"name": "more"}}, "")
    one._look()
    merged = AccountReader(Store(tmp_path)).account().interfaces["192.0.2.1"]
    assert merged == {"1": {"name": "own", "speed": 10, "description": "d"}, "2": {"name": "more"}}
