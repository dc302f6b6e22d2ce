"""Metering: sources in turn, whatever one of them does; and what is told of them."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import polars as pl
import pytest

from nftui.config import ProbeSettings
from nftui.engine import local, packet_source, source_events
from nftui.engine import metering as metering_module
from nftui.engine.flow_queue import FlowQueue, most_flows
from nftui.engine.flow_sources import Origin
from nftui.engine.meter_settings import ring_of
from nftui.engine.metering import Metering
from nftui.engine.packet_source import ENDED, PacketSource
from nftui.engine.source_events import SourceEvents
from nftui.schema import POLARS
from tests.running import wait_for


class Source:
    """A source of flows that is a pipe: each octet in it is one flow, and an `x` an error."""

    problem = ""

    def __init__(self, name: str) -> None:
        self.name, self.over = name, False
        self.read, self.write = os.pipe()
        os.set_blocking(self.read, False)
        self.waiting = 0
        self.taken = 0

    def open(self) -> None: ...

    def handles(self) -> list[int]:
        return [] if self.over else [self.read]

    def take(self) -> bool:
        try:
            octet = os.read(self.read, 1)
        except BlockingIOError:
            return False
        if not octet:
            self.over = True
            return False
        self.taken += 1
        if octet == b"x":
            raise ValueError("hostile")
        self.waiting += 1
        return True

    def flows(self, now: int) -> list[pl.DataFrame]:
        count, self.waiting = self.waiting, 0
        return [pl.DataFrame({"name": [self.name] * count})] if count else []

    def rest(self, now: int) -> list[pl.DataFrame]:
        return [*self.flows(now), pl.DataFrame({"name": [f"rest of {self.name}"]})]

    def entry(self, now: int) -> PacketSource:
        return PacketSource(self.name)

    def close(self) -> None:
        os.close(self.read)


def names(frames: list[pl.DataFrame]) -> list[str]:
    return [name for frame in frames for name in frame["name"]]


def test_each_has_its_turn_and_an_error_stops_nothing() -> None:
    one, other = Source("one"), Source("other")
    handed: list[pl.DataFrame] = []
    metering = Metering([one, other], handed.extend)
    thread = threading.Thread(target=metering.run)
    thread.start()
    os.write(one.write, b"a" * 1000 + b"x" + b"a" * 10)
    os.write(other.write, b"b")
    wait_for(lambda: len(names(handed)) == 1011)
    assert metering.failed == 1
    os.write(other.write, b"bb")
    for source in (one, other):
        os.close(source.write)
    thread.join(10)
    assert not thread.is_alive(), "all sources were over"
    metering.close()
    found = names(handed)
    assert (found.count("one"), found.count("other"), found[-1]) == (1010, 3, "rest of other")


def test_one_that_is_stuck_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering_module, "STUCK_S", 0.3)
    source, held = Source("one"), threading.Event()
    metering = Metering([source], lambda frames: held.wait(10))
    assert metering.entries()[0].problem == ""
    thread = threading.Thread(target=metering.run)
    thread.start()
    time.sleep(0.5)
    assert metering.entries()[0].problem == "", "it goes round, though nothing comes"
    os.write(source.write, b"a")
    wait_for(lambda: metering.entries()[0].problem.startswith("its packets have not been looked at for "))
    held.set()
    wait_for(lambda: metering.entries()[0].problem == "")
    metering.stop()
    thread.join(10)
    metering.close()


def test_a_stop_hands_on_what_is_left() -> None:
    source = Source("one")
    handed: list[pl.DataFrame] = []
    metering = Metering([source], handed.extend)
    thread = threading.Thread(target=metering.run)
    os.write(source.write, b"a" * 5)
    metering.stop()
    thread.start()
    thread.join(10)
    metering.close()
    assert source.taken == 5 and names(handed) == [*["one"] * 5, "rest of one"]


def test_a_queue_that_is_full_drops_and_counts() -> None:
    queue = FlowQueue(5)
    frame = pl.DataFrame({"a": [1, 2]})
    assert [queue.put([frame]) for _ in range(3)] == [2, 4, 4]
    assert (queue.waiting, queue.dropped, len(queue.take()), queue.waiting) == (4, 2, 2, 0)


def test_of_a_flood_a_full_queue_lets_in_what_is_not_of_it() -> None:
    """Flows of one packet that had to make room leave an eighth to others; each that is dropped is counted."""
    queue = FlowQueue(1600)
    frame = pl.DataFrame({"packets": [1] * 300 + [9] * 20 + [1] * 5 + [None], "flow_end_reason": [5] * 320 + [1] * 5 + [5]})
    assert [queue.put([frame]) for _ in range(6)] == [326, 652, 978, 1304, 1330, 1356]
    assert queue.dropped == 600
    for _ in range(10):
        queue.put([frame])
    kept = pl.concat([frame for frames in queue.take() for frame in frames])
    assert kept.height + queue.dropped == 16 * frame.height and kept.height <= 1600
    assert kept.filter(pl.col("packets") == 9).height == 20 * 15
    assert queue.put([pl.DataFrame({"octets": [1] * 1500})]) == 1500


@pytest.mark.parametrize(
    ("gigabytes", "flows", "ring"), [(1, 625_000, 32), (4, 2_500_000, 32), (8, 4_000_000, 62.5), (64, 4_000_000, 128)]
)
def test_what_waits_follows_the_memory(gigabytes: int, flows: int, ring: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.engine.memory.octets", lambda: gigabytes * 10**9)
    assert most_flows() == flows
    assert ring_of(ProbeSettings()) == ring * 10**6
    assert ring_of(ProbeSettings(ring="1M")) == 10**6


def test_problems_and_losses_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    events = SourceEvents(told.append)
    seen = PacketSource("eth0")
    events.look([seen])
    assert told == []
    seen.problem, seen.drops = "eth0 is gone", 5
    events.look([seen])
    events.look([seen])
    seen.problem, seen.drops = "", 7
    events.look([seen])
    assert [text.split(":")[1][:18] for text in told] == [" eth0 is gone", " 5 packets dropped", " packets can be ta"]
    for seconds in (5, 6, 7):
        seen.problem = f"its packets have not been looked at for {seconds} s"
        events.look([seen])
    assert [text.split(":")[1][:18] for text in told[3:]] == [" its packets have "]
    seen.problem = ""
    monkeypatch.setattr(source_events, "TELL_S", 0.0)
    events.look([seen])
    assert told[-1].startswith("probe eth0: 2 packets dropped by the kernel")


def entry(**more: Any) -> dict[str, Any]:
    return PacketSource("eth0", **more).as_dict()


def test_entries_of_several_processes_are_one() -> None:
    before = packet_source.left(entry(packets=100, used=9, bpf="old", last_seen="2026-01-01T00:00:00.000000Z", drops=1))
    assert (before["used"], before["problem"]) == (0, ENDED)
    now = [entry(packets=5, used=2, bpf="new"), entry(packets=6, used=3, problem="gone", bpf="new")]
    (one,) = packet_source.together([before, *now])
    assert (one["packets"], one["used"], one["drops"], one["bpf"], one["problem"]) == (111, 5, 1, "new", "gone")
    assert one["last_seen"].startswith("2026")
    assert packet_source.together([before])[0]["problem"] == ENDED
    every = set(entry())
    said = {"source", "kind", "interface", "link", "address", "domain", "problem", "sampling", "active", "inactive", "promiscuous",
            "bpf", "ring"}  # fmt: skip
    assert every == {*packet_source.COUNTED, *packet_source.PRESENT, *packet_source.LATEST, *said}, "each value has a rule"


def test_what_the_probe_follows_still_settles() -> None:
    status = {"now": 100_000_000, "running": True, "exporters": [{"watermark_s": 5.0}], "probes": [entry(), {"active": "x"}, 3]}
    assert local._settling(status, None) == 40_000_000
    assert local._settling({**status, "probes": "none"}, None) == 95_000_000


def test_flows_say_where_they_are_from() -> None:
    flows = pl.DataFrame({"ingress_interface": [2, None], "egress_interface": [None, 3]}, schema_overrides={"received": pl.Int64})
    marked = Origin("192.0.2.1", 9, sampling=10).marked(flows, 1_000_000)
    assert marked["observation_domain"].to_list() == [2, 3], "as they were seen, whatever index it has by now"
    assert set(marked["exporter_address"]) == {bytes(10) + b"\xff\xff\xc0\x00\x02\x01"}
    assert marked["sampling_interval"].to_list() == [10, 10]
    assert all(marked.schema[name] == POLARS[name] for name in marked.columns)
    elsewhere = Origin("").marked(pl.DataFrame({"octets": [1]}), 0)
    assert set(elsewhere.columns) == {"octets", "received", "protocol_version"}
