"""Connection tracking: what real connections sent is what their flows say, in a network of its own."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.probe import rights, tallies
from nftui.capture.probe.conntrack import Conntrack
from nftui.capture.probe.flows import Labels
from nftui.errors import InterfaceError
from nftui.schema import POLARS
from tests import peers
from tests.real import namespace

pytestmark = [pytest.mark.row("B01"), pytest.mark.peer("nft", "conntrack", "ip")]
RULES = """
table inet watched { chain every { type filter hook input priority 0; ct state new counter; }; }
table ip translated {
    chain outward { type nat hook output priority -100; udp dport 5300 dnat to 127.0.0.1:5301; };
    chain away { type nat hook postrouting priority 100; udp dport 5302 snat to 127.0.0.9:7000; };
}
"""
KEYS = ("source_address", "source_port", "destination_address", "destination_port", "protocol")


def tracked(run: Callable[[], None], **settings: int) -> None:
    """Run a function in a new network whose connections are tracked, counted and timed unless told otherwise."""

    def inside() -> None:
        subprocess.run([peers.require("nft"), "-f", "-"], input=RULES, text=True, check=True)
        for name, value in {"acct": 1, "timestamp": 1, **settings}.items():
            Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text(str(value))
        run()

    with ThreadPoolExecutor(1) as executor:
        executor.submit(namespace.inside, inside).result()


def forget() -> None:
    """Have the kernel forget all connections."""
    for family in ("ipv4", "ipv6"):
        subprocess.run([peers.require("conntrack"), "-D", "-f", family], check=False, capture_output=True)


def taken(source: Conntrack, rows: int, seconds: float = 5.0) -> pl.DataFrame:
    """Take flows until there are so many rows."""
    frames, deadline = [pl.DataFrame(schema=POLARS)], time.monotonic() + seconds
    while sum(one.height for one in frames) < rows and time.monotonic() < deadline:
        found = source.take()
        if found is None:
            time.sleep(0.01)
        else:
            assert found.columns == [name for name in POLARS if name in found.columns]
            assert all(found.schema[name] == POLARS[name] for name in found.columns)
            frames.append(found)
    return pl.concat(frames, how="diagonal").sort("protocol", "source_port", "reverse", nulls_last=False)


def answered(source: Conntrack) -> pl.DataFrame:
    """Ask for the connections that go on, and return the whole answer."""
    source.ask()
    frames, deadline = [pl.DataFrame(schema=POLARS)], time.monotonic() + 5
    while source.asking and time.monotonic() < deadline:
        found = source.answer()
        if found is not None:
            assert found.columns == [name for name in POLARS if name in found.columns]
            assert found.height
            frames.append(found)
    return pl.concat(frames, how="diagonal")


def four(text: str) -> bytes:
    """Return an IPv4 address as columns have it."""
    return MAPPED_PREFIX + socket.inet_aton(text)


def exchange(family: int, address: str, sent: list[int], answered: list[int], *, to: int = 0) -> tuple[int, int]:
    """Send datagrams of these sizes, and answers; return the ports."""
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        server.bind((address, 0 if not to else {5300: 5301}.get(to, to)))
        client.bind((address, 0))
        for size in sent:
            client.sendto(bytes(size), (address, to or server.getsockname()[1]))
            _, back = server.recvfrom(65536)
        for size in answered:
            server.sendto(bytes(size), back)
        return client.getsockname()[1], to or server.getsockname()[1]


def test_flows_are_what_was_sent() -> None:
    tracked(_flows_are_what_was_sent)


def _flows_are_what_was_sent() -> None:
    labels = Labels(four("192.0.2.7"), 9, 11)
    with Conntrack(labels) as source:
        assert (source.problem, source.take()) == ("", None)
        began = time.time_ns() // 1000
        client, server = exchange(socket.AF_INET, "127.0.0.1", [100, 200, 300], [1000])
        client6, server6 = exchange(socket.AF_INET6, "::1", [1] * 50, [])
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
            ping.sendto(struct.pack(">BBHHH", 8, 0, 0xF7FE, 1, 0), ("127.0.0.1", 0))
            time.sleep(0.05)
        running = answered(source)
        assert running["flow_end_reason"].unique().to_list() == [2]
        assert source.take() is None
        forget()
        time.sleep(0.05)
        rest = source.take()
        assert rest is not None and not rest.height and source.take() is None, "all was told"
        found = running.sort("protocol", "source_port", "reverse", nulls_last=False)
        assert source.counts.as_dict() == {"connections": 3, "lost": 0, "without_counters": 0, "unread": 0}
    rows = found.filter(pl.col("protocol") == 17).select(*KEYS, "octets", "packets", "reverse", "ip_version").rows()
    six = bytes(15) + b"\1"
    here = four("127.0.0.1")
    assert sorted(rows, key=str) == sorted(
        [
            (here, client, here, server, 17, 600 + 3 * 28, 3, None, 4),
            (here, server, here, client, 17, 1028, 1, True, 4),
            (six, client6, six, server6, 17, 50 * 49, 50, None, 6),
        ],
        key=str,
    )
    icmp = found.filter(pl.col("protocol") == 1).select("icmp_type", "icmp_code", "source_port", "octets", "packets", "reverse")
    assert sorted(icmp.rows(), key=str) == [(0, 0, None, 28, 1, True), (8, 0, None, 28, 1, None)]
    for name, value in (("exporter_address", labels.exporter_address), ("observation_domain", 9), ("protocol_version", 11)):
        assert found[name].unique().to_list() == [value]
    times = found.select(pl.col("flow_start", "flow_end", "received").dt.timestamp("us"))
    assert all(began - 1000 <= start <= end <= received for start, end, received in times.rows())


def test_translated_addresses() -> None:
    tracked(_translated_addresses)


def _translated_addresses() -> None:
    with Conntrack() as source:
        client, _ = exchange(socket.AF_INET, "127.0.0.1", [10], [20], to=5300)
        other, _ = exchange(socket.AF_INET, "127.0.0.1", [10], [20], to=5302)
        plain, _ = exchange(socket.AF_INET, "127.0.0.1", [10], [20])
        forget()
        found = taken(source, 6)
    names = [f"post_nat_{side}_{what}" for side in ("source", "destination") for what in ("address", "port")]
    here = four("127.0.0.1")
    told = {(port, bool(reverse)): words for port, reverse, *words in found.select("source_port", "reverse", *names).rows()}
    assert told[client, False] == [here, client, here, 5301]
    assert told[5300, True] == [here, 5301, here, client]
    assert told[other, False] == [four("127.0.0.9"), 7000, here, 5302]
    assert told[5302, True] == [here, 5302, four("127.0.0.9"), 7000]
    assert told[plain, False] == [None] * 4


def test_tcp_tells_its_end() -> None:
    """A connection that was closed has ended; one that the kernel forgets in the middle was only silent."""
    tracked(_tcp_tells_its_end)


def _tcp_tells_its_end() -> None:
    with Conntrack() as source, socket.create_server(("127.0.0.1", 0)) as server:
        ports = []
        for closes in (True, False):
            client = socket.create_connection(server.getsockname())
            answer, _ = server.accept()
            ports.append(client.getsockname()[1])
            client.sendall(bytes(5000))
            left = 5000
            while left:
                left -= len(answer.recv(left))
            if closes:
                client.close()
                answer.close()
            else:
                forget()
        found = taken(source, 4)
        told = dict(found.filter(pl.col("reverse").is_null()).select("source_port", "flow_end_reason").rows())
        assert told == {ports[0]: 3, ports[1]: 1}
        assert found.filter(pl.col("reverse").is_null())["octets"].min() > 5000
        client.close()
        answer.close()


def test_what_is_not_counted_is_said() -> None:
    """Without accounting there are flows, without octets; with it, and the time of the event, once it is on."""
    tracked(_what_is_not_counted_is_said, acct=0, timestamp=0)


def _what_is_not_counted_is_said() -> None:
    with Conntrack() as source:
        assert source.problem == (
            "connections come without octets and packets: sysctl -w net.netfilter.nf_conntrack_acct=1, which holds for those that "
            "begin afterwards"
        )
        exchange(socket.AF_INET, "127.0.0.1", [10], [10])
        forget()
        found = taken(source, 1)
        assert found["octets"].to_list() == [None]
        assert source.counts.without_counters == 1
        command = re.search(r"sysctl -w ([^,]*),", source.problem)
        assert command is not None
        for setting in command[1].split():
            name, value = setting.split("=")
            Path("/proc/sys/" + name.replace(".", "/")).write_text(value)
        source._looked = 0
        assert source.take() is None
        assert source.problem == ""
        Path("/proc/sys/net/netfilter/nf_conntrack_events").write_text("0")
        source._looked = 0
        source.take()
        assert "nf_conntrack_events=1" in source.problem


def test_lost_events_are_counted() -> None:
    """With next to no room all that ended is either a flow or counted as lost."""
    tracked(_lost_events_are_counted)


def _lost_events_are_counted() -> None:
    number = 300
    with Conntrack(receive_buffer=4096) as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 6000))
            for last in range(number):
                client.sendto(b"x", (f"127.0.0.{last % 200 + 1}", 6000 if last % 200 == 0 else 10000 + last))
        forget()
        time.sleep(0.2)
        found = taken(source, 1)
        assert source.counts.lost > 0
        assert source.take() is None
        assert source.counts.connections == found.filter(pl.col("reverse").is_null()).height
        # ICMP's answers to ports that nobody listens at belong to the same connections.
        assert source.counts.connections + source.counts.lost >= number - 2


def test_without_rights_it_says_what_to_grant() -> None:
    tracked(_without_rights)


def _without_rights() -> None:
    with Conntrack() as source:
        assert rights.forsake()
        with pytest.raises(InterfaceError, match="CAP_NET_ADMIN") as error:
            Conntrack()
        assert error.value.refused
        with pytest.raises(InterfaceError, match="CAP_NET_ADMIN"):
            source.base()
        assert (answered(source).height, source.asking) == (0, False)
        assert "CAP_NET_ADMIN" in source.problem


def test_beginnings_where_the_kernel_keeps_none() -> None:
    """Without the kernel's times a connection begins when it is first told of, and one of before when it ends."""
    tracked(_beginnings_where_the_kernel_keeps_none, timestamp=0)


def _beginnings_where_the_kernel_keeps_none() -> None:
    with Conntrack() as early, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        assert early.problem == ""
        before = time.time_ns() // 1000
        client.sendto(b"x", ("127.0.0.1", 9))
        time.sleep(0.02)
        begun = early.take()
        assert begun is not None and not begun.height
        after = time.time_ns() // 1000
        with Conntrack() as late:
            time.sleep(0.3)
            forget()
            for source, least, most in ((early, before, after), (late, after + 200_000, after + 10**7)):
                found = taken(source, 1)
                (start,), (end,) = (found[name].dt.timestamp("us").to_list() for name in ("flow_start", "flow_end"))
                assert least <= start <= most
                assert end - start == 0 if source is late else end - start >= 290_000
        Path("/proc/sys/net/netfilter/nf_conntrack_timestamp").write_text("1")
        early._looked = 0
        assert early.take() is None
        client.sendto(b"x", ("127.0.0.1", 9))
        forget()
        assert taken(early, 1)["flow_start"].dt.timestamp("us").to_list()[0] > after
        assert early.counts.connections == 2


def test_what_goes_on_is_told_in_parts_and_at_its_end_the_rest() -> None:
    tracked(_what_goes_on_is_told_in_parts, events=1)


def _what_goes_on_is_told_in_parts() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        client.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        client.send(bytes(1000))
        with Conntrack() as source:
            source.base()
            assert answered(source).height == 0, "what was counted before is nobody's, or told already"
            client.send(bytes(10))
            server.sendto(bytes(72), client.getsockname())
            first = answered(source)
            assert answered(source).height == 0
            server.sendto(bytes(172), client.getsockname())
            second = answered(source)
            client.send(bytes(20))
            forget()
            last = taken(source, 1)
            assert source.take() is None
            columns = ("octets", "packets", "reverse", "flow_end_reason")
            assert first.select(columns).rows() == [(38, 1, None, 2), (100, 1, True, 2)]
            assert second.select(columns).rows() == [(200, 1, True, 2)], "one direction said nothing"
            assert last.select(columns).rows() == [(48, 1, None, 1)]
            assert second["flow_start"][0] > first["flow_end"][0] and last["flow_start"][0] >= second["flow_end"][0]
            client.send(bytes(30))
            rest = source.rest()
            told = ("octets", "packets", "flow_end_reason")
            assert [frame.select(told).rows() for frame in rest] == [[(58, 1, 4)]]


def test_counters_that_somebody_resets() -> None:
    tracked(_counters_that_somebody_resets)


def _counters_that_somebody_resets() -> None:
    with Conntrack() as source:
        exchange(socket.AF_INET, "127.0.0.1", [1000] * 5, [], to=7007)
        assert answered(source)["octets"].to_list() == [5 * 1028]
        subprocess.run([peers.require("conntrack"), "-L", "-z"], check=True, capture_output=True)
        assert answered(source).height == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.1", 7008))
            for expected in (128, 228):
                client.sendto(bytes(expected - 28), ("127.0.0.1", 7007))
                assert expected in answered(source)["octets"].to_list()
        forget()
        assert set(taken(source, 1, 0.2)["octets"].drop_nulls()) <= {56, 84, 156, 256}, "answers to nobody, and no more"


def test_ends_that_are_lost_are_forgotten_and_nothing_is_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "LOST_US", 0)
    tracked(_ends_that_are_lost_are_forgotten)


def _ends_that_are_lost_are_forgotten() -> None:
    number = 300
    with Conntrack(receive_buffer=4096) as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 7))
        for port in range(number):
            client.sendto(b"x", ("127.0.1.1", 10_000 + port))
        passed = answered(source)["packets"].sum()
        assert number <= passed <= 3 * number and len(source.tallies) >= number
        forget()
        while (frame := source.take()) is not None:
            assert not frame.height, "all was told before"
        assert source.counts.lost > 100
        assert [answered(source).height for _ in range(2)] == [0, 0]
        assert len(source.tallies) == 0
        client.sendto(b"x", ("127.0.1.1", 10_000))
        assert 1 <= answered(source)["packets"].sum() <= 2, "the same ends again are another connection"


@pytest.mark.parametrize("timestamp", [0, 1])
def test_what_had_expired_before_is_not_told(timestamp: int) -> None:
    """The kernel's table has it no more, but of its end the kernel tells when it cleans up: as the table is asked for."""
    tracked(_what_had_expired_before, timestamp=timestamp, events=1, udp_timeout=1, udp_timeout_stream=1)


def _what_had_expired_before() -> None:
    exchange(socket.AF_INET, "127.0.0.1", [100] * 3, [100])
    time.sleep(1.2)
    with Conntrack() as source:
        source.base()
        client, _ = exchange(socket.AF_INET, "127.0.0.1", [700], [])
        assert source.counts.connections == 0
        forget()
        told = taken(source, 2)
        assert source.counts.connections >= 2, "both ends were heard of"
        assert set(told["source_port"]) | set(told["destination_port"]) >= {client}
        assert told["octets"].drop_nulls().to_list() == [728]
