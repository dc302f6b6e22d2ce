"""The simulated network: what it sends, counted by an independent reader of the wire and by the real nfcapd."""

from __future__ import annotations

import multiprocessing
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from nftui.demo import DemoExporters, Network, load_network, run_process
from nftui.demo.conversations import Conversations
from nftui.demo.hosts import Hosts
from nftui.demo.meter import FLOW, cut
from nftui.demo.network import DEFAULT, parse_network
from nftui.demo.queue import ReceiveQueue
from nftui.errors import ConfigError
from nftui.export import ipfix, netflow5, netflow9
from nftui.export.netflow import PAYLOAD
from tests import peers
from tests.capture.build import decode
from tests.nfcapd import nfcapd, stored
from tests.walker import Walker

NOON = 1_700_049_600  # 2023-11-15 12:00:00 UTC
SMALL = """
rhythm = {{ conversations = 40, hours = [{hours}], noise = 0.1, ipv6 = 0.5 }}
exporters = [{{ name = "edge", address = "127.0.10.9", protocol = "{protocol}", observation_domain = 9, interfaces = [
    {{ index = 1, name = "wan", subnets = ["*"], next_hop = "192.0.2.1", next_hop6 = "2001:db8::1" }},
    {{ index = 2, name = "lan", subnets = ["lan"] }} ] }}]
subnets = [
    {{ name = "lan", prefix = "10.1.0.0/24", prefix6 = "2001:db8:1::/64", as = 64512, exporter = "edge", hosts = 50 }},
    {{ name = "far", prefix = "198.18.0.0/15", prefix6 = "2001:db8:2::/64", as = 4200000018, hosts = 500 }} ]
services = [
    {{ name = "web", protocol = "tcp", port = 443, weight = 9, clients = ["lan"], servers = ["far"], seconds = 40, acks = 0.5 }},
    {{ name = "dns", protocol = "udp", port = 53, weight = 5, clients = ["lan"], servers = ["far"], seconds = 0.1 }},
    {{ name = "log", protocol = "udp", port = 514, weight = 5, clients = ["lan"], servers = ["far"], response = 0 }},
    {{ name = "ping", protocol = "icmp", weight = 2, clients = ["lan"], servers = ["far"], packet = 84 }} ]
"""


def small(protocol: str) -> Network:
    return parse_network(SMALL.format(protocol=protocol, hours=", ".join(["1"] * 24)).encode(), "small.toml")


@contextmanager
def receiver() -> Iterator[tuple[int, list[tuple[bytes, str]]]]:
    """A UDP socket that keeps what comes, with the sender's address."""
    received: list[tuple[bytes, str]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.3)
        stop = threading.Event()

        def drain() -> None:
            while True:
                try:
                    data, (address, _) = bound.recvfrom(2048)
                    received.append((data, address))
                except TimeoutError:
                    if stop.is_set():
                        return

        thread = threading.Thread(target=drain)
        thread.start()
        try:
            yield bound.getsockname()[1], received
        finally:
            stop.set()
            thread.join()


def traffic(network: Network, minutes: int, *, seed: int = 1, live: int = 0) -> tuple[list[tuple[bytes, str]], DemoExporters]:
    """Return what the exporters send: history, then some live seconds."""
    moment = [float(NOON)]
    with receiver() as (port, received):
        exporters = DemoExporters(network, ("127.0.0.1", port), seed=seed, clock=lambda: moment[0])
        exporters.send_history(minutes)
        for _ in range(live):
            moment[0] += 1
            exporters.step()
        exporters.close()
    return received, exporters


def walked(received: list[tuple[bytes, str]]) -> Walker:
    walker = Walker()
    for data, _ in received:
        if not is_sflow(data):
            walker.read(data)
    return walker


def is_sflow(data: bytes) -> bool:
    return data[:4] == b"\0\0\0\5"


@pytest.fixture(scope="module")
def whole() -> tuple[list[tuple[bytes, str]], DemoExporters, Walker]:
    """Eight minutes of the network that comes with nftui."""
    received, exporters = traffic(load_network(), 8, live=5)
    return received, exporters, walked(received)


@pytest.mark.parametrize("protocol", ["v5", "v9", "ipfix"])
def test_what_is_on_the_wire_is_what_was_counted(protocol: str) -> None:
    received, exporters = traffic(small(protocol), 2, live=3)
    walker, sent = walked(received), exporters.sent["edge"]
    assert (walker.flows, walker.packets, walker.octets) == (sent.flows, sent.packets, sent.octets)
    assert sent.flows > 5000
    assert len(received) == sent.datagrams
    assert walker.gaps == 0
    assert walker.shortest_lead >= 0, "no flow may end after its header's time"
    assert {address for _, address in received} == {"127.0.10.9"}
    assert any(":" in str(record["source"]) for record in walker.records) == (protocol != "v5")


@pytest.mark.peer("nfcapd", "nfdump")
@pytest.mark.parametrize("protocol", ["v5", "v9", "ipfix"])
def test_nfdump_counts_the_same(protocol: str, tmp_path: Path) -> None:
    with nfcapd(tmp_path) as port:
        exporters = DemoExporters(small(protocol), ("127.0.0.1", port))
        exporters.send_history(2)
        exporters.close()
    command = [peers.require("nfdump"), "-r", str(stored(tmp_path)), "-I"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counted = {
        name: int(value) for name, value in re.findall(r"^(Flows|Packets|Bytes|Sequence failures): (\d+)", told, re.MULTILINE)
    }
    sent = exporters.sent["edge"]
    assert counted == {"Flows": sent.flows, "Packets": sent.packets, "Bytes": sent.octets, "Sequence failures": 0}
    first, last = (int(re.findall(rf"(?m)^{name}: (\d+)", told)[0]) for name in ("First", "Last"))
    now = time.time()
    assert now - 200 < first < last < now + 2, "flow times as nfdump reads them"


def test_all_exporters_agree_with_their_counters(whole: tuple[list[tuple[bytes, str]], DemoExporters, Walker]) -> None:
    received, exporters, walker = whole
    assert walker.gaps == 0
    sent = [each for name, each in exporters.sent.items() if name != "campus-switch"]
    assert walker.flows == sum(each.flows for each in sent)
    assert walker.octets == sum(each.octets for each in sent)
    assert walker.packets == sum(each.packets for each in sent)
    assert {address for _, address in received} == {f"127.0.10.{n}" for n in (1, 2, 3, 4, 5)}
    assert {struct.unpack_from(">H", data)[0] for data, _ in received if not is_sflow(data)} == {5, 9, 10}
    from_each = Counter(address for _, address in received)
    for exporter in load_network().exporters:
        assert from_each[exporter.address] == exporters.sent[exporter.name].datagrams


def test_samples_of_a_switch_are_what_the_collector_reads(whole: tuple[list[tuple[bytes, str]], DemoExporters, Walker]) -> None:
    received, exporters, _ = whole
    datagrams = [data for data, address in received if address == "127.0.10.5"]
    assert all(is_sflow(data) and len(data) <= PAYLOAD for data in datagrams)
    frame, decoder = decode(*datagrams)
    sent = exporters.sent["campus-switch"]
    assert (frame.height, frame["octets"].sum(), len(datagrams)) == (sent.flows, sent.octets, sent.datagrams)
    assert frame.height > 300 and set(frame["sampling_interval"]) == {50} and set(frame["protocol_version"]) == {1005}
    assert set(frame["ingress_interface"]) == {1, 2} == set(frame["egress_interface"])
    told = decoder.status(NOON * 1_000_000)
    assert told["sequence_lost"] == 0 and told["flows"] == sent.flows


def test_rates_are_those_of_a_busy_network(whole: tuple[list[tuple[bytes, str]], DemoExporters, Walker]) -> None:
    _, _, walker = whole
    assert 300 <= walker.flows / 485 <= 1500
    assert 200e6 <= walker.octets * 8 / 485 <= 800e6
    times = np.array([int(record["end"]) for record in walker.records if record["into"] != 101]) // 1000
    per_second = np.bincount(times - times.min())[10:-20]
    assert per_second.min() > 50, "no second is empty"
    six = np.mean([":" in str(record["source"]) for record in walker.records])
    assert 0.1 < six < 0.4


def test_backup_scan_and_flood_are_there(whole: tuple[list[tuple[bytes, str]], DemoExporters, Walker]) -> None:
    records = whole[2].records
    backup = [r for r in records if r["dport"] == 873 and r["destination"] == "10.50.9.10"]
    assert sum(int(r["octets"]) for r in backup) * 8 > 0.8 * 320e6 * 70
    scan = [r for r in records if r["source"] == "203.0.113.77"]
    assert len(scan) >= 4000
    assert {(r["packets"], r["flags"], r["protocol"]) for r in scan} == {(1, 2, 6)}
    assert len({r["dport"] for r in scan}) == 1024
    assert len({r["destination"] for r in scan}) >= 4
    flood = [r for r in records if r["destination"] == "10.50.1.53" and r["dport"] == 53 and r["into"] == 101]
    flood = [r for r in flood if str(r["source"]).startswith(("198.18.", "198.19."))]
    assert len(flood) >= 10_000
    assert len({r["source"] for r in flood}) > 2000
    assert max(int(r["octets"]) / int(r["packets"]) for r in flood) < 100
    icmp = {(r["protocol"], r["dport"]) for r in records if r["protocol"] in (1, 58)}
    assert icmp == {(1, 0x0800), (1, 0), (58, 0x8000), (58, 0x8100)}


def test_a_clock_that_is_off(whole: tuple[list[tuple[bytes, str]], DemoExporters, Walker]) -> None:
    by_address: dict[str, Walker] = {}
    for data, address in whole[0]:
        if not is_sflow(data):
            by_address.setdefault(address, Walker()).read(data)
    latest = {name: max(int(r["end"]) for r in walker.records) / 1000 - NOON - 5 for name, walker in by_address.items()}
    assert latest.pop("127.0.10.4") == pytest.approx(7, abs=0.5)
    assert all(offset == pytest.approx(0, abs=0.5) for offset in latest.values())


def test_interfaces_and_networks_are_consistent(whole: tuple[list[tuple[bytes, str]], DemoExporters, Walker]) -> None:
    seen: dict[object, set[object]] = {}
    for record in whole[2].records:
        seen.setdefault(record["source"], set()).add((record["as"], record["mask"]))
        assert record["tos"] != 184 or 5004 in (record["dport"], record["sport"])
    assert all(len(each) == 1 for each in seen.values()), "a host has one AS number and one prefix"
    assert seen["203.0.113.77"] == {(64500, 24)}
    assert {(r["into"], r["out"]) for r in whole[2].records if r["source"] == "10.50.0.20" and r["dport"] == 873} == {(110, 113)}
    assert len({record["into"] for record in whole[2].records}) >= 10


def test_the_same_seed_gives_the_same_datagrams() -> None:
    network = load_network()
    first, second, other = (sorted(traffic(network, 1, seed=seed)[0]) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_both_directions_of_a_conversation() -> None:
    records = walked(traffic(small("ipfix"), 1)[0]).records
    web = {(r["source"], r["sport"], r["destination"]): r for r in records if r["dport"] == 443}
    answers = [r for r in records if r["sport"] == 443 and (r["destination"], r["dport"], r["source"]) in web]
    assert len(answers) > 0.8 * len(web)
    assert all((r["into"], r["out"]) == (1, 2) for r in answers)
    assert all((r["into"], r["out"]) == (2, 1) for r in web.values())
    assert not [r for r in records if r["sport"] == 514], "a service without response"


def test_the_active_timeout_cuts_and_conserves() -> None:
    flows = np.zeros(3, FLOW)
    flows["start"], flows["end"] = 1000, 1000 + np.array([150, 60, 0]) * 1_000_000
    flows["octets"], flows["packets"], flows["protocol"], flows["tcp_flags"] = [1_000_003, 600, 40], [1001, 6, 1], 6, 0x1B
    records = cut(flows, np.full(3, 60_000_000))
    assert (records["end"] - records["start"]).tolist() == [60_000_000, 60_000_000, 30_000_000, 60_000_000, 0]
    assert records["octets"][:3].sum() == 1_000_003
    assert records["packets"][:3].sum() == 1001
    assert records["tcp_flags"].tolist() == [0x1A, 0x18, 0x19, 0x1B, 0x1B]
    assert records["reason"].tolist() == [2, 2, 3, 3, 3]


def test_less_happens_at_night() -> None:
    network = load_network()
    conversations = Conversations(network, Hosts(network), 1)
    day = NOON // 86400 * 86400
    night, noon = (conversations.rates(day + hour * 3600 + np.arange(3600)).sum() / 3600 for hour in (3, 12))
    assert noon * 0.45 < night < noon * 0.75
    shifted = Conversations(network, Hosts(network), 1, east=9 * 3600).rates(day + 3 * 3600 + np.arange(3600)).sum() / 3600
    assert shifted > night * 1.3, "the day is that of local time"


def test_a_clock_that_is_set_leaves_no_hole_and_no_flood() -> None:
    moment = [float(NOON)]
    with receiver() as (port, received):
        exporters = DemoExporters(load_network(), ("127.0.0.1", port), clock=lambda: moment[0])
        flows = []
        for move in (0, 1, 1, 86_400, 1, 1, -7200, 1, 1):
            before = sum(each.flows for each in exporters.sent.values())
            moment[0] += move
            exporters.step()
            flows.append(sum(each.flows for each in exporters.sent.values()) - before)
        exporters.close()
    assert all(100 < count < 3000 for count in (flows[1:3] + flows[4:6] + flows[7:9]))
    assert flows[0] == flows[3] == flows[6] == 0
    walker = walked(received)
    assert walker.gaps == 0
    uptimes = [struct.unpack_from(">I", data, 4)[0] for data, _ in received if data[:2] == b"\0\5"]
    assert max(uptimes) - min(uptimes) < 10_000, "sysUptime goes on where the clock does not"


def test_an_address_that_can_t_be_bound_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            if address != ("127.0.0.1", 0):
                raise OSError(99, "Cannot assign requested address")
            super().bind(("127.0.0.1", 0))

    with receiver() as (port, received):
        with monkeypatch.context() as patched:
            patched.setattr("nftui.demo.exporters.socket.socket", Refusing)
            exporters = DemoExporters(load_network(), ("127.0.0.1", port))
        exporters.send_history(1)
        exporters.close()
    assert {address for _, address in received} == {"127.0.0.1"}
    assert len({key[1] for key in walked(received).expected}) == 4


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('protocol = "v5"', 'protocol = "v6"', "exporters.branch-north.protocol: Invalid enum value 'v6'"),
        ("observation_domain = 3", "observation_domain = 2", "exporters: observation_domain 2 stands 2 times"),
        ("observation_domain = 3", "observation_domain = 70000", "exporters.branch-north.observation_domain: v5 has room"),
        ('address = "127.0.10.1"', 'address = "10.0.0.1"', "exporters.hq-edge.address: '10.0.0.1' is no loopback address"),
        ("clock_offset = 7.0", "sampling = 100", "exporters.branch-south.sampling: v9 sends flows here, not samples"),
        ("clock_offset = 7.0", "clock_ofset = 7.0", "exporters.branch-south: Object contains unknown field `clock_ofset`"),
        ('index = 12, name = "wifi"', 'index = 11, name = "wifi"', "exporters.hq-edge.interfaces: an index stands twice"),
        ('subnets = ["office"]', 'subnets = ["ofice"]', "exporters.hq-edge.interfaces.subnets: there is no subnet 'ofice'"),
        ('prefix = "10.10.0.0/22"', 'prefix = "10.10.0.1/22"', "subnets.office.prefix: '10.10.0.1/22' is no IPv4 prefix"),
        ("hosts = 320", "hosts = 5000", "subnets.office.hosts: 5000 don't fit"),
        ('name = "quic"', 'name = "https"', "services.https: the name stands 2 times"),
        ('clients = ["visitors"]', 'clients = ["guests"]', "services.website.clients: there is no subnet 'guests'"),
        ('kind = "flood"', 'kind = "flod"', "scenarios.dns-flood.kind: Invalid value 'flod'"),
        ("every = 420", "every = 60", "scenarios.dns-flood.every: 60 is shorter"),
        ('source = "10.50.0.20"', 'source = "10.9.9.9"', "scenarios.nightly-backup.source: '10.9.9.9' is none of the addresses"),
        ("noise = 0.22", 'noise = "loud"', "rhythm.noise: Expected `float`, got `str`"),
        ("[rhythm]", "[rythm]", "rythm: unknown key"),
        ("[rhythm]", "[rhythm", "not TOML"),
    ],
)
def test_mistakes_give_one_clear_line(old: str, new: str, told: str) -> None:
    text = DEFAULT.read_text()
    assert old in text
    with pytest.raises(ConfigError) as raised:
        parse_network(text.replace(old, new, 1).encode(), "my.toml")
    message = str(raised.value)
    assert message.startswith("my.toml: ")
    assert told in message
    assert "\n" not in message


def test_a_slow_receiver_with_a_small_buffer_loses_nothing() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        exporters = DemoExporters(small("v5"), bound.getsockname(), clock=lambda: NOON)
        sender = threading.Thread(target=exporters.send_history, args=(5,))
        sender.start()
        walker = Walker()
        while sender.is_alive() or select.select([bound], [], [], 0)[0]:
            time.sleep(0.02)
            with suppress(BlockingIOError):
                while True:
                    walker.read(bound.recv(2048))
        sender.join()
        exporters.close()
    assert walker.flows == exporters.sent["edge"].flows
    assert exporters.sent["edge"].datagrams > 300


def test_a_queue_that_nobody_knows() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound:
        bound.bind(("::1", 0))
        queue = ReceiveQueue(bound.getsockname()[1])
        assert queue.wait_for_receiver(1)
        bound.sendto(b"x" * 1000, bound.getsockname())
        fill = queue.look()
        assert fill is not None
        assert 1000 <= fill.waiting < fill.size == bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert not queue.wait_for_receiver(0.05), "nobody listens"
    queue.close()
    assert queue.wait_for_receiver(0), "no way to know"
    queue.wait_for_room()


def test_a_missing_file() -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/net\.toml: no such file"):
        load_network(Path("/nowhere/net.toml"))


def test_the_encoders_take_nothing_and_keep_the_sequence() -> None:
    nothing = {name: np.zeros((0, 16) if "address" in name else 0, np.int64) for name in ("source_address", "protocol", "packets")}
    moments = np.zeros(0, np.int64)
    for made in (
        netflow5.encode(nothing, moments, domain=1, boot=0, sequence=7),
        netflow9.encode(nothing, moments, domain=1, boot=0, sequence=7),
        ipfix.encode(nothing, moments, domain=1, sequence=7),
    ):
        assert (made.payloads, made.sequence) == ([], 7)


def test_sequence_numbers_and_counters_at_their_limits() -> None:
    address = np.zeros((2, 16), np.uint8)
    address[:, 10:12] = 255
    columns = {"source_address": address, "destination_address": address, "protocol": np.full(2, 17), "octets": np.full(2, 5 << 32)}
    columns |= {"packets": np.full(2, 9), "flow_start": np.full(2, 10**15), "flow_end": np.full(2, 10**15)}
    columns |= {
        name: np.zeros(2, np.int64) for name in ("tcp_flags", "tos", "ingress_interface", "egress_interface", "source_mask")
    }
    columns |= {"source_as": np.full(2, 70000), "destination_as": np.full(2, 65535)}
    made = netflow5.encode(columns, np.full(2, 10**15), domain=1, boot=0, sequence=0xFFFFFFFF, sampling=100)
    # A flow of more than 32 bits of octets is divided.
    assert made.records.tolist() == [12] and made.sequence == 11
    (payload,) = made.payloads
    assert struct.unpack_from(">H", payload, 22) == ((1 << 14) | 100,)
    octets, packets = (sum(struct.unpack_from(">I", payload, 24 + 48 * at + place)[0] for at in range(12)) for place in (20, 16))
    assert (octets, packets) == (2 * (5 << 32), 2 * 9)
    assert struct.unpack_from(">HH", payload, 24 + 40) == (23456, 65535)
    walker = Walker()
    for payload in ipfix.encode(columns, np.full(2, 10**15), domain=1, sequence=0).payloads:
        walker.read(payload)
        assert len(payload) <= PAYLOAD
    assert walker.octets == 2 * (5 << 32)


def test_the_process_sends_and_ends_on_sigterm() -> None:
    with receiver() as (port, received):
        process = multiprocessing.get_context("spawn").Process(target=_child, args=(port,))
        process.start()
        deadline = time.monotonic() + 15
        while len(received) < 1000 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        process.join(10)
    assert process.exitcode == 0
    assert walked(received).gaps == 0


def _child(port: int) -> None:
    sys.exit(run_process("127.0.0.1", port, None, 1, 5))


def test_the_process_ends_with_its_parent() -> None:
    code = (
        "import os, sys, time\n"
        "from nftui.demo import run_process\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    sys.exit(run_process('127.0.0.1', int(sys.argv[1]), None, 1, 0))\n"
        "print(child, flush=True)\n"
        "time.sleep(1)\n"
    )
    with receiver() as (port, _):
        root = str(Path(__file__).parent.parent)
        told = subprocess.run([sys.executable, "-c", code, str(port)], capture_output=True, text=True, cwd=root, check=True)
        child = int(told.stdout.split()[0])
        deadline = time.monotonic() + 5
        while _alive(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text() and os.getpgid(pid) > 0
    except (OSError, ProcessLookupError):
        return False


def test_the_process_tells_a_mistake_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert run_process("127.0.0.1", 9, "/nowhere/net.toml", 1, 1) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err.count("\n") == 1
