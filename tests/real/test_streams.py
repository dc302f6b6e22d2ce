"""IPFIX by TCP and SCTP into a real collector, beside UDP and over both families: the flows that UDP and the golden files give."""

from __future__ import annotations

import ipaddress
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nftui.capture.sockets import KINDS
from tests.capture import corpus
from tests.capture.test_corpus import name_of
from tests.capture.test_datagrams import needs_ipv6
from tests.capture.test_sockets import has_transport
from tests.real.test_wire import Row, result
from tests.running import Collecting, collecting, nftui, payloads, told, wait_for

CASES = {name_of(path): path for path in corpus.golden_files() if "ipfix" in path.name}
FIRST = int(ipaddress.IPv4Address("127.5.0.1"))
# What a transport is not told of a flow, or can't know: when it came, and from where.
OF_THE_WAY = ("received", "exporter_address", "clock_correction")


def free_port(transport: str, address: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, *KINDS[transport]) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def messages_of(case: str) -> list[bytes]:
    return [payload for _, payload in payloads(corpus.capture_of(CASES[case]))]


def flows_by_exporter(data: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for line in told("flows", "--data", data, "-o", "ndjson", "--raw").splitlines():
        row = json.loads(line)
        found.setdefault(row["exporter_address"], []).append(row)
    return found


def alike(flows: Sequence[Row]) -> Counter[str]:
    """Return flows without what belongs to the way they came."""
    return Counter(json.dumps({name: value for name, value in row.items() if name not in OF_THE_WAY}) for row in flows)


def connected(mine: str, to: str, port: int, transport: str = "tcp") -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, *KINDS[transport])
    if mine:
        one.bind((mine, 0))
    one.connect((to, port))
    if transport == "tcp":
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


# ---------------------------------------------------------------- ways to say the same


def all_at_once(to: list[socket.socket], messages: list[bytes]) -> None:
    for one in to:
        one.sendall(b"".join(messages))


def a_message_at_a_time(to: list[socket.socket], messages: list[bytes]) -> None:
    for message in messages:
        for one in to:
            one.sendall(message)


def byte_by_byte(to: list[socket.socket], messages: list[bytes]) -> None:
    whole = b"".join(messages)
    # Of the longest captures only the first messages in single octets, so that it takes seconds.
    for at in range(min(len(whole), 12_000)):
        for one in to:
            one.sendall(whole[at : at + 1])
    for one in to:
        one.sendall(whole[12_000:])


def in_pieces(to: list[socket.socket], messages: list[bytes]) -> None:
    chance, whole = random.Random(5), b"".join(messages)
    left = dict.fromkeys(to, whole)
    while left:
        one = chance.choice(list(left))
        size = chance.choice((1, 3, 15, 17, 700, 5000))
        one.sendall(left[one][:size])
        left[one] = left[one][size:]
        if not left[one]:
            del left[one]


Way = Callable[[list[socket.socket], list[bytes]], None]
WAYS: dict[str, tuple[int, Way]] = {
    "one connection, all at once": (1, all_at_once),
    "one connection, byte by byte": (1, byte_by_byte),
    "two connections, a message at a time": (2, a_message_at_a_time),
    "two connections, in pieces": (2, in_pieces),
}


class Replayed:
    """All cases, sent by UDP and in each way by TCP to one collector with two sockets, from an address for each."""

    def __init__(self, data: Path) -> None:
        tcp = free_port("tcp")
        self.addresses: dict[tuple[str, str], list[str]] = {}
        self.next = FIRST
        with collecting(data, "--listen", f"127.0.0.1:{tcp}/tcp") as collector:
            datagrams = self.by_udp(collector.port)
            messages = sum(self.by_tcp(way, tcp) for way in WAYS)
            collector.wait_for(lambda: [one["datagrams"] for one in collector.status()["listen"]] == [datagrams, messages])
            collector.wait_for(lambda: collector.status()["listen"][1]["connections"]["open"] == 0)
            seen = collector.status()["now"]
            collector.wait_for(lambda: collector.status()["now"] > seen)
            self.status = collector.status()
            self.shown = told("status", "--data", data)
        self.flows = flows_by_exporter(data)

    def address(self, way: str, case: str) -> str:
        self.next += 1
        self.addresses.setdefault((way, case), []).append(str(ipaddress.IPv4Address(self.next)))
        return self.addresses[way, case][-1]

    def by_udp(self, port: int) -> int:
        sent = 0
        for case in CASES:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
                exporter.bind((self.address("udp", case), 0))
                for number, message in enumerate(messages_of(case)):
                    exporter.sendto(message, ("127.0.0.1", port))
                    sent += 1
                    if number % 20 == 19:
                        time.sleep(0.01)
        return sent

    def by_tcp(self, way: str, port: int) -> int:
        number, say = WAYS[way]
        sent = 0
        for case in CASES:
            exporters = [connected(self.address(way, case), "127.0.0.1", port) for _ in range(number)]
            say(exporters, messages_of(case))
            for one in exporters:
                one.close()
            sent += number * len(messages_of(case))
        return sent

    def of(self, way: str, case: str) -> list[list[Row]]:
        return [self.flows.get(address, []) for address in self.addresses[way, case]]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return Replayed(tmp_path_factory.mktemp("streams"))


@pytest.mark.row("C04")
@pytest.mark.parametrize("way", ["udp", *WAYS])
@pytest.mark.parametrize("case", CASES)
def test_the_same_flows_whatever_the_way(case: str, way: str, replayed: Replayed) -> None:
    (by_udp,) = replayed.of("udp", case)
    for flows in replayed.of(way, case):
        assert corpus.differences(corpus.load(CASES[case]), result(flows)) == []
        assert alike(flows) == alike(by_udp)


def test_all_connections_are_accounted_for(replayed: Replayed) -> None:
    udp, tcp = replayed.status["listen"]
    assert (udp["transport"], tcp["transport"]) == ("udp", "tcp")
    assert "connections" not in udp
    number = len(CASES) * sum(number for number, _ in WAYS.values())
    # One capture has two octets behind the end of its last message.
    odd = 6 * ("ipfix-telegraf-14370" in CASES)
    assert tcp["connections"] == {
        "open": 0, "limit": 1024, "accepted": number, "refused": {}, "discarded_octets": 2 * odd,
        "closed": {"ended by the exporter": number - odd} | ({"ended within a message": odd} if odd else {}),
    }  # fmt: skip
    assert (tcp["drops"], replayed.status["drops"], replayed.status["queue_dropped"]) == (0, 0, 0)
    cut = "tcp connection closed: ended within a message"
    assert sum(one["malformed"].get(cut, 0) for one in replayed.status["exporters"]) == odd
    assert f"127.0.0.1:{tcp['port']}/tcp  connections 0 of 1,024  accepted {number:,}" in replayed.shown
    assert f"    closed: {number - odd:,} ended by the exporter" in replayed.shown
    assert f"127.0.0.1:{udp['port']}/udp  buffer " in replayed.shown


@pytest.mark.row("C04")
@needs_ipv6
def test_several_sockets_over_both_families(tmp_path: Path) -> None:
    # Where each socket listens, by which transport, where its exporter is, and what that sends. The first is UDP and IPv4.
    ways = [
        ("127.0.0.1", "udp", "127.6.0.1"), ("127.0.0.1", "tcp", "127.6.0.2"), ("::1", "udp", "::1"), ("::1", "tcp", "::1"),
        (None, "tcp", "127.6.0.3"),
    ]  # fmt: skip
    ports = [free_port(transport, address or "127.0.0.1") for address, transport, _ in ways]
    cases = [messages_of(case) for case in list(CASES)[: len(ways)]]
    shown = [{"127.0.0.1": "127.0.0.1:", "::1": "[::1]:", None: ""}[address] for address, *_ in ways]
    entries = [f"{address}{port}/{transport}" for address, port, (_, transport, _) in zip(shown, ports, ways, strict=True)]
    with collecting(tmp_path, *(word for one in entries[1:] for word in ("--listen", one)), port=ports[0]) as collector:
        for number, ((_, transport, mine), port, messages) in enumerate(zip(ways, ports, cases, strict=True)):
            with connected(mine, "::1" if ":" in mine else "127.0.0.1", port, transport) as exporter:
                a_message_at_a_time([exporter], messages)
            collector.wait_for(lambda one=number, sent=messages: collector.status()["listen"][one]["datagrams"] == len(sent))
        status = collector.status()
        out, _ = collector.stop()
    assert [(one["address"], one["port"], one["transport"]) for one in status["listen"]] == [
        (address or "*", port, transport) for (address, transport, _), port in zip(ways, ports, strict=True)
    ]
    of_all = "NetFlow v1, v5, v7, v9, IPFIX and sFlow, told apart by content; receive buffer"
    assert f"listening on 127.0.0.1, port {ports[0]}/udp: {of_all}" in out
    assert f"listening on [::1], port {ports[3]}/tcp: IPFIX; at most 1,024 connections" in out
    assert f"listening on all addresses, port {ports[4]}/tcp: IPFIX" in out
    records = [corpus.load(path)["totals"]["flow_records"] for path in list(CASES.values())[: len(ways)]]
    stored = flows_by_exporter(tmp_path)
    assert {exporter: result(flows)["totals"]["flow_records"] for exporter, flows in stored.items()} == {
        "127.6.0.1": records[0], "127.6.0.2": records[1], "::1": records[2] + records[3], "127.6.0.3": records[4],
    }  # fmt: skip


@pytest.mark.row("C04")
def test_sctp_where_the_kernel_has_it_and_one_clear_line_where_not(tmp_path: Path) -> None:
    if not has_transport("sctp"):
        said = "nftui: sctp is not available in this kernel; load it with `modprobe sctp`, or listen on /tcp or /udp\n"
        for more in ([], ["--check"]):
            done = nftui("collect", "--listen", "9995/sctp", "--data", tmp_path / "none", *more, check=False)
            assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
        return
    port, case = free_port("sctp"), "gen-softflowd-ipfix-biflow"
    with collecting(tmp_path, "--listen", f"127.0.0.1:{port}/sctp") as collector:
        with connected("", "127.0.0.1", port, "sctp") as exporter:
            a_message_at_a_time([exporter], messages_of(case))
            collector.wait_for(lambda: collector.status()["listen"][1]["datagrams"] == len(messages_of(case)))
        collector.wait_for(lambda: collector.status()["listen"][1]["connections"]["closed"] == {"ended by the exporter": 1})
    (flows,) = flows_by_exporter(tmp_path).values()
    assert corpus.differences(corpus.load(CASES[case]), result(flows)) == []


def test_a_collector_that_starts_anew_under_connected_exporters(tmp_path: Path) -> None:
    case = "gen-softflowd-ipfix"
    messages, tcp = messages_of(case), free_port("tcp")
    words = ("--listen", f"127.0.0.1:{tcp}/tcp")
    collector = Collecting(tmp_path, *words)
    proper, careless = (connected(mine, "127.0.0.1", tcp) for mine in ("127.7.0.1", "127.7.0.2"))
    for one in (proper, careless):
        one.sendall(messages[0] + messages[1][:700])
    collector.wait_for(lambda: collector.status()["listen"][1]["datagrams"] == 2)
    collector.stop()
    stopped = collector.status()["listen"][1]["connections"]
    assert stopped["closed"] == {"collector stopped": 2}
    assert stopped["discarded_octets"] == 1400
    with collecting(tmp_path, *words, port=collector.port) as again:
        for one in (proper, careless):
            assert one.recv(1) == b""
            one.close()
        # One says the message anew that the collector did not get whole; the other goes on where it was.
        with connected("127.7.0.1", "127.0.0.1", tcp) as one:
            one.sendall(b"".join(messages[1:]))
        with connected("127.7.0.2", "127.0.0.1", tcp) as one:
            one.sendall(messages[1][700:])
            assert one.recv(1) == b""
        again.wait_for(lambda: again.status()["listen"][1]["connections"]["closed"] == {"ended by the exporter": 1, "not IPFIX": 1})
        again.wait_for(lambda: len(again.status()["exporters"]) == 2)
        exporters = {one["address"]: one for one in again.status()["exporters"]}
    assert exporters["127.7.0.1"]["malformed"] == {}
    (reason,) = exporters["127.7.0.2"]["malformed"]
    assert reason.startswith("tcp connection closed: not IPFIX, first octets")
    flows = flows_by_exporter(tmp_path)
    assert corpus.differences(corpus.load(CASES[case]), result(flows["127.7.0.1"])) == []
    with_first = Counter(map(json.dumps, result(flows["127.7.0.2"])["flows"]))
    assert with_first <= Counter(map(json.dumps, result(flows["127.7.0.1"])["flows"]))


def test_what_waits_at_the_end_is_stored(tmp_path: Path) -> None:
    case, tcp = "gen-softflowd-ipfix", free_port("tcp")
    collector = Collecting(tmp_path, "--listen", f"127.0.0.1:{tcp}/tcp")
    exporters = [connected(f"127.8.0.{number}", "127.0.0.1", tcp) for number in range(1, 21)]
    try:
        all_at_once(exporters, messages_of(case))
        collector.stop()
    finally:
        for one in exporters:
            one.close()
    flows = flows_by_exporter(tmp_path)
    assert len(flows) == 20
    assert all(corpus.differences(corpus.load(CASES[case]), result(rows)) == [] for rows in flows.values())


def test_strangers_are_refused_closed_and_named_while_others_go_on(tmp_path: Path) -> None:
    tcp, case = free_port("tcp"), "gen-softflowd-ipfix-biflow"
    with collecting(tmp_path, "--listen", f"127.0.0.1:{tcp}/tcp") as collector:
        crowd = [connected("127.9.0.1", "127.0.0.1", tcp) for _ in range(200)]
        with connected("127.9.0.2", "127.0.0.1", tcp) as web:
            web.sendall(b"GET / HTTP/1.1\r\nHost: flows\r\n\r\n")
            assert web.recv(1) == b""
        with connected("127.9.0.3", "127.0.0.1", tcp) as exporter:
            a_message_at_a_time([exporter], messages_of(case))
        wait_for(lambda: sum(collector.status()["listen"][1]["connections"]["refused"].values()) == 72)
        collector.wait_for(lambda: collector.status().get("flows", 0) >= corpus.load(CASES[case])["totals"]["flow_records"])
        collector.wait_for(lambda: len(collector.status()["exporters"]) == 2)
        status = collector.status()
        shown = told("status", "--data", tmp_path)
        for one in crowd:
            one.close()
    connections: dict[str, Any] = status["listen"][1]["connections"]
    assert (connections["open"], connections["accepted"]) == (128, 130)
    assert connections["refused"] == {"too many connections of one address": 72}
    exporters = {one["address"]: one for one in status["exporters"]}
    assert exporters["127.9.0.2"]["malformed"] == {"tcp connection closed: not IPFIX, first octets 47 45": 1}
    assert "127.9.0.1" not in exporters
    events = [event["text"] for event in status["events"]]
    assert any("connections refused: too many are open" in text for text in events)
    assert "refused: 72 too many connections of one address" in shown
    assert corpus.differences(corpus.load(CASES[case]), result(flows_by_exporter(tmp_path)["127.9.0.3"])) == []
