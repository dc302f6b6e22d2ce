"""The meter: goldens, timeouts against a meter that is slow and simple, both directions, room, floods, sampling."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui import schema
from nftui.capture.probe import meter as metering
from nftui.capture.probe.flows import Labels
from nftui.capture.probe.keys import KEY_WORDS, Seed
from nftui.capture.probe.meter import Meter, MeterSettings
from nftui.capture.probe.observing import Slots
from tests.capture.probe import plain_meter
from tests.capture.probe.blocks import FOREVER, NOON, block, captured, metered, part, text, totals, udp
from tests.capture.probe.plain_meter import Seen

HERE = Path(__file__).resolve().parents[2] / "data" / "probe"
WHOLE = HERE.parents[3] / "shared" / "corpus" / "probe"
GOLDEN = sorted((WHOLE if WHOLE.is_dir() else HERE).glob("*.golden.json"))
ENDLESS = {"active_s": FOREVER, "inactive_s": FOREVER, "linger_s": FOREVER}
SECOND = 1_000_000


def conserved(meter: Meter, flows: list[pl.DataFrame]) -> None:
    """Check that what was counted is what flows hold, or what was counted as lost."""
    counts = meter.counts
    together = pl.concat([frame.select("packets", "octets") for frame in flows]) if flows else None
    packets, octets = (int(together[name].sum()) if together is not None else 0 for name in ("packets", "octets"))
    assert (counts.packets, counts.packet_octets) == (packets + counts.lost_packets, octets + counts.lost_octets)
    assert counts.frames == counts.packets + counts.not_ip + counts.cut + counts.sampled_out
    kinds = (counts.packet_octets, counts.link_octets, counts.not_ip_octets, counts.cut_octets, counts.sampled_out_octets)
    assert counts.octets == sum(kinds)


# ---------------------------------------------------------------- goldens


@pytest.mark.row("B01")
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name.split(".")[0])
@pytest.mark.parametrize("told", [ENDLESS, {}, {"bidirectional": True}], ids=["endless", "timeouts", "both ways"])
def test_golden(golden: Path, told: dict[str, Any]) -> None:
    """The flows of a golden file are those of five things, and have no end: parts of one are put together."""
    want = json.loads(golden.read_text(encoding="utf-8"))
    meter = Meter(MeterSettings(**told))
    meter.take(captured(golden.with_name(golden.name.replace(".golden.json", ".pcap"))))
    flows = meter.rest()
    assert flows is not None
    conserved(meter, [flows])
    counts = meter.counts
    assert (counts.frames, counts.octets, counts.not_ip) == (want["frames"], want["frame_bytes"], want["non_ip_frames"])
    assert counts.fragments == want["fragments"]
    found = totals(flows)
    rows = [(*key, found[*key, "packets"], found[*key, "octets"]) for key in {key[:-1] for key in found}]
    assert len(rows) == want["totals"]["flows"]
    listed = {tuple(row) for row in want["flows"]}
    assert listed <= set(rows)
    assert len(listed) == len(rows) or len(listed) == 50
    assert sum(row[-1] for row in rows) == want["totals"]["ip_bytes"]
    assert sum(row[-2] for row in rows) == want["totals"]["packets"]
    first, last = (flows[name].cast(pl.Int64) for name in ("flow_start", "flow_end"))
    assert (first.min(), last.max()) == (want["totals"]["first_us"], want["totals"]["last_us"])
    pairs = totals(flows, ports=False)
    want_pairs: Counter[Any] = Counter()
    for source, destination, protocol, packets, octets in want["pairs"]:
        want_pairs[source, destination, protocol, "packets"] += packets
        want_pairs[source, destination, protocol, "octets"] += octets
    assert pairs == want_pairs


@pytest.mark.row("C09")
def test_seven_things_are_the_key() -> None:
    frames = [udp(1), udp(2), udp(1, port=54), udp(1, flags=2), udp(1, tos=8), udp(1, turned=True), udp(1)]
    meter = Meter(MeterSettings())
    meter.take(block(frames, interface=3, outgoing=np.array([False] * 6 + [True])))
    meter.take(block([udp(1)], interface=4, outgoing=np.array([False])))
    flows = meter.rest()
    assert flows is not None
    assert flows.height == 8
    assert flows["packets"].to_list() == [1] * 8
    assert flows.filter(pl.col("tos") == 8).height == 1
    assert sorted(flows["ingress_interface"].to_list(), key=str) == [3, 3, 3, 3, 3, 3, 4, None]
    assert flows.filter(pl.col("egress_interface") == 3)["flow_direction"].to_list() == [1]


# ---------------------------------------------------------------- columns


def test_columns_of_a_flow() -> None:
    labels = Labels(bytes(15) + b"\1", 7, 10)
    flows = metered(
        [block([udp(5, flags=2), udp(5, flags=0x10)], interface=2, outgoing=np.array([False, False]))], labels=labels, sampling=1
    )
    (row,) = flows.to_dicts()
    assert all(flows.schema[name] == schema.POLARS[name] for name in flows.columns)
    assert flows.columns == [name for name in schema.POLARS if name in flows.columns]
    assert (text(row.pop("source_address")), text(row.pop("destination_address"))) == ("10.0.0.5", "192.0.2.1")
    times = [row.pop(name).microsecond for name in ("flow_start", "flow_end", "received")]
    assert times == [0, 1, 1]
    assert row == {
        "exporter_address": labels.exporter_address, "observation_domain": 7, "protocol_version": 10, "source_port": 1029,
        "destination_port": 53, "protocol": 6, "tcp_flags": 0x12, "tos": 0, "octets": 100, "packets": 2, "ingress_interface": 2,
        "flow_direction": 0, "ethernet_type": 0x0800, "source_mac": 0x020000000001, "destination_mac": 0x020000000002,
        "flow_end_reason": 4, "ip_version": 4, "minimum_ttl": 64, "maximum_ttl": 64,
    }  # fmt: skip


def test_type_and_code_of_icmp() -> None:
    """A flow of several types says none: that of its first packet would be wrong of the others."""
    from scapy.layers.inet import ICMP, IP, UDP
    from scapy.layers.l2 import Ether

    def ping(to: str, kind: int, code: int) -> bytes:
        return bytes(
            Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(dst=to, src="192.0.2.9") / ICMP(type=kind, code=code)
        )

    frames = [
        ping("192.0.2.1", 8, 0),
        ping("192.0.2.1", 8, 0),
        ping("192.0.2.2", 3, 1),
        ping("192.0.2.2", 11, 0),
        ping("192.0.2.3", 3, 3),
    ]
    frames.append(bytes(Ether() / IP(dst="192.0.2.4", src="192.0.2.9") / UDP()))
    for cut in (6, 1):
        blocks = [
            block(frames[begin : begin + cut], [NOON + begin] * len(frames[begin : begin + cut])) for begin in range(0, 6, cut)
        ]
        flows = metered(blocks)
        found = {
            text(row["destination_address"]): (row["icmp_type"], row["icmp_code"], row["source_port"])
            for row in flows.iter_rows(named=True)
        }
        assert found == {
            "192.0.2.1": (8, 0, None),
            "192.0.2.2": (None, None, None),
            "192.0.2.3": (3, 3, None),
            "192.0.2.4": (None, None, 53),
        }


# ---------------------------------------------------------------- timeouts


def reference(packets: list[Seen], lanes: int) -> list[tuple[Any, ...]]:
    return sorted((*key, flow.first, flow.last, flow.packets, flow.octets) for key, flow in plain_meter.metered(packets, lanes))


STEPS = st.one_of(
    st.integers(0, 2 * SECOND),
    st.sampled_from([0, 2_999_999, 3 * SECOND, 14_999_999, 15 * SECOND, 59 * SECOND, 60 * SECOND, 10**9]),
)
PACKETS = st.lists(st.tuples(STEPS, st.integers(0, 3), st.sampled_from([None, 2, 16, 16, 1, 4]), st.booleans()), max_size=60)


@settings(max_examples=70)
@given(packets=PACKETS, cuts=st.lists(st.integers(0, 60), max_size=4), both=st.booleans(), looks=st.booleans())
def test_flows_are_those_of_the_times_alone(
    packets: list[tuple[int, int, int | None, bool]], cuts: list[int], both: bool, looks: bool
) -> None:
    """However packets fall into blocks, and whoever looks when: the flows are those of a meter that takes one at a time."""
    frames, seen, time = [], [], NOON
    for step, number, flags, turned in packets:
        time += step
        frame = udp(number, number, flags=flags, turned=turned)
        frames.append((time, frame))
        lane = int(turned) if both else 0
        key = (number, flags is None) if both else (number, flags is None, turned)
        seen.append(Seen(time, key, len(frame) - 14, flags or 0, lane))
    want = reference(seen, 2 if both else 1)
    meter, flows = Meter(MeterSettings(bidirectional=both)), []
    edges = [0, *sorted(min(cut, len(frames)) for cut in cuts), len(frames)]
    for first, last in pairwise(edges):
        some = frames[first:last]
        meter.take(block([frame for _, frame in some], [at for at, _ in some]))
        if looks and some:
            flows.append(meter.expired(some[-1][0]))
    flows.append(meter.rest())
    frames_of = [frame for frame in flows if frame is not None]
    conserved(meter, frames_of)
    found: dict[tuple[Any, ...], list[int]] = {}
    rows = [row for frame in frames_of for row in frame.to_dicts()]
    for row in rows:
        turned = text(row["source_address"]) == "192.0.2.1"
        number = row["destination_port" if turned else "source_port"] - 1024
        key = (number, row["protocol"] == 17) + (() if both else (turned,))
        begin, end = (int(row[name].timestamp()) * SECOND + row[name].microsecond for name in ("flow_start", "flow_end"))
        found.setdefault(key, []).append((begin, end, row["packets"], row["octets"]))  # type: ignore[arg-type]
    if not both:
        assert sorted((*key, *flow) for key, flows_of in found.items() for flow in flows_of) == want  # type: ignore[misc]
        return
    # Each flow of both directions has one row for each that was seen, within its times.
    for *key, first, last, packets_of, octets in want:
        inside = [flow for flow in found[tuple(key)] if first <= flow[0] and flow[1] <= last]  # type: ignore[index]
        assert (sum(flow[2] for flow in inside), sum(flow[3] for flow in inside)) == (packets_of, octets)  # type: ignore[index]
        assert (min(flow[0] for flow in inside), max(flow[1] for flow in inside)) == (first, last)  # type: ignore[index]


@pytest.mark.parametrize(
    ("flags", "silence", "reason"),
    [(None, 15, 1), (16, 15, 1), (17, 3, 3), (4, 3, 3), (16, 14.999999, 4), (17, 2.999999, 3)],
)
def test_reasons(flags: int | None, silence: float, reason: int) -> None:
    """What is still there at the end of all is forced to end, unless TCP has said that it does."""
    meter = Meter(MeterSettings())
    meter.take(block([udp(1, flags=flags)]))
    now = NOON + int(silence * SECOND)
    expired = meter.expired(now)
    if silence not in (15, 3):
        assert expired is None
        expired = meter.rest(now)
    assert expired is not None
    assert expired["flow_end_reason"].to_list() == [reason]
    assert meter.entries == 0


def test_active_timeout() -> None:
    """A flow that never pauses ends every minute, though nobody looks, and whoever does finds it."""
    times = [NOON + at * SECOND for at in range(150)]
    flows = metered([block([udp(1)] * 150, times)])
    assert flows.sort("flow_start")["packets"].to_list() == [60, 60, 30]
    assert flows.sort("flow_start")["flow_end_reason"].to_list() == [2, 2, 4]
    meter = Meter(MeterSettings())
    meter.take(block([udp(1)] * 59, times[:59]))
    assert meter.expired(NOON + 59 * SECOND) is None
    expired = meter.expired(NOON + 60 * SECOND)
    assert expired is not None
    assert expired["flow_end_reason"].to_list() == [2]


def test_looking_finds_what_came_since() -> None:
    """Looking is spared where nothing can have ended; what came after the last look is found all the same."""
    meter = Meter(MeterSettings(active_s=1))
    meter.take(block([udp(1)]))
    assert meter.expired(NOON + SECOND // 2) is None
    meter.take(block([udp(2)], [NOON + SECOND // 2]))
    found = [meter.expired(NOON + at) for at in (SECOND, 3 * SECOND // 2)]
    assert [frame.height for frame in found if frame is not None] == [1, 1]


def test_silent_interface_expires() -> None:
    meter = Meter(MeterSettings())
    meter.take(block([udp(number) for number in range(50)]))
    assert meter.expired(NOON + SECOND) is None
    expired = meter.expired(NOON + 16 * SECOND)
    assert expired is not None
    assert expired.height == 50
    assert expired["received"].cast(pl.Int64).unique().to_list() == [NOON + 16 * SECOND]


def test_time_from_nowhere() -> None:
    """A packet from the future ends no other flow, and is not kept for ever; the clock goes back, and flows have sane durations."""
    meter, flows = Meter(MeterSettings()), []
    future = NOON + 10**15
    meter.take(block([udp(n) for n in range(40)] + [udp(99)], [NOON + n for n in range(40)] + [future]))
    assert meter.seen_us < NOON + SECOND
    flows.append(meter.expired(meter.seen_us))
    assert meter.entries == 40
    meter.take(block([udp(n) for n in range(40)], [NOON + SECOND] * 40))
    meter.take(block([udp(n) for n in range(40)], [NOON - 3600 * SECOND] * 40))
    flows.append(meter.rest())
    whole = pl.concat([frame for frame in flows if frame is not None], how="diagonal")
    assert whole.height == 81
    assert (whole["flow_end"] - whole["flow_start"]).dt.total_seconds().max() <= 2
    assert int(whole["packets"].sum()) == 121


def test_times_that_do_not_ascend() -> None:
    flows = metered([block([udp(1), udp(1), udp(1)], [NOON + 9, NOON + 2, NOON + 5])])
    assert flows.select(pl.col("flow_start", "flow_end").cast(pl.Int64), "packets").row(0) == (NOON + 2, NOON + 9, 3)


# ---------------------------------------------------------------- both directions


@pytest.mark.parametrize(
    ("frames", "client", "rule"),
    [
        ([udp(1, flags=2), udp(1, flags=18, turned=True)], "10.0.0.1", "syn"),
        ([udp(1, flags=18, turned=True), udp(1, flags=16)], "10.0.0.1", "syn"),
        ([udp(1, flags=2, turned=True)], "192.0.2.1", "syn"),
        ([udp(1, flags=18)], "192.0.2.1", "syn"),
        ([udp(1, flags=16, turned=True), udp(1, flags=16)], "10.0.0.1", "port"),
        ([udp(1, turned=True), udp(1)], "192.0.2.1", "first"),
        ([udp(1), udp(1, turned=True)], "10.0.0.1", "first"),
    ],
)
def test_client_and_server(frames: list[bytes], client: str, rule: str) -> None:
    flows = metered([block(frames)], bidirectional=True)
    assert flows["client_by"].unique().to_list() == [rule]
    for row in flows.iter_rows(named=True):
        assert row["reverse"] == (text(row["source_address"]) != client)
    only = metered([block(frames)], bidirectional=True, client_by=("port",))
    assert {text(row["source_address"]) for row in only.filter(~pl.col("reverse")).iter_rows(named=True)} <= {"10.0.0.1"}
    assert only["client_by"].unique().to_list() == ["port"]


def test_both_directions_keep_what_is_their_own() -> None:
    frames = [udp(1, tos=4), udp(1, turned=True, tos=8), udp(1, tos=4)]
    meter = Meter(MeterSettings(bidirectional=True))
    meter.take(block(frames, interface=3, outgoing=np.array([True, False, True])))
    flows = meter.rest()
    assert flows is not None
    rows = {text(row["source_address"]): row for row in flows.to_dicts()}
    assert (rows["10.0.0.1"]["tos"], rows["10.0.0.1"]["egress_interface"], rows["10.0.0.1"]["packets"]) == (4, 3, 2)
    assert (rows["192.0.2.1"]["tos"], rows["192.0.2.1"]["ingress_interface"], rows["192.0.2.1"]["packets"]) == (8, 3, 1)
    assert meter.counts.flows == 1


def test_both_directions_on_each_interface() -> None:
    """A host that forwards sees each packet twice: on each interface that is a flow of its own."""
    meter = Meter(MeterSettings(bidirectional=True))
    for interface, outgoing in ((3, False), (4, True)):
        meter.take(block([udp(1)], interface=interface, outgoing=np.array([outgoing])))
        meter.take(block([udp(1, turned=True)], interface=interface, outgoing=np.array([not outgoing])))
    flows = meter.rest()
    assert flows is not None
    found = flows.select("reverse", "ingress_interface", "egress_interface", "packets").rows()
    assert sorted(found, key=str) == [(False, 3, None, 1), (False, None, 4, 1), (True, 4, None, 1), (True, None, 3, 1)]


def test_more_interfaces_than_are_told_apart() -> None:
    """What is beyond has no interface, rather than that of another."""
    slots, frames = Slots(), block([udp(1)])
    some = [slots.of(replace(frames, interface=number + 1)) for number in range(3000)]
    interface, direction = slots.meaning(np.array(some))
    assert interface.tolist() == [*range(1, 2048), *[0] * 953]
    assert set(direction.tolist()) == {-1}


# ---------------------------------------------------------------- room


@settings(max_examples=60)
@given(
    numbers=st.lists(st.integers(0, 40), min_size=1, max_size=120),
    entries=st.integers(1, 30),
    size=st.integers(1, 50),
    alike=st.booleans(),
    both=st.booleans(),
)
def test_no_packet_is_lost_in_a_small_table(numbers: list[int], entries: int, size: int, alike: bool, both: bool) -> None:
    """Tables that are too small, and keys whose hashes are all alike, lose and mix nothing."""
    seed = Seed(np.zeros(Seed.SIZE, np.uint64)) if alike else None
    meter, flows = Meter(MeterSettings(entries=entries, bidirectional=both), seed), []
    want: Counter[Any] = Counter()
    for begin in range(0, len(numbers), size):
        some = numbers[begin : begin + size]
        meter.take(block([udp(number, number, turned=number % 3 == 0) for number in some], [NOON + begin] * len(some)))
        assert meter.entries <= entries
        flows.append(meter.expired(NOON + begin))
    flows.append(meter.rest())
    frames = [frame for frame in flows if frame is not None]
    conserved(meter, frames)
    for number in numbers:
        ends = (f"10.0.0.{number}", "192.0.2.1"), (1024 + number, 53)
        (source, destination), (sport, dport) = (end[::-1] for end in ends) if number % 3 == 0 else ends
        want[source, destination, sport, dport, 17, "packets"] += 1
        want[source, destination, sport, dport, 17, "octets"] += 28 + number
    found: Counter[Any] = Counter()
    for frame in frames:
        found += totals(frame)
    assert found == want


def test_nobody_chooses_keys_that_hash_alike() -> None:
    """Pairs of words that differ in their highest bits, by which a weaker hash could be had whatever its secret."""
    high = (np.arange(1 << 12, dtype=np.uint64) << np.uint64(52)).reshape(64, 64)
    for first in range(KEY_WORDS):
        for second in range(first + 1, KEY_WORDS):
            words = np.zeros((64, 64, KEY_WORDS), np.uint64)
            words[:, :, first] = high[0][:, None] << np.uint64(6)
            words[:, :, second] = (high[0] << np.uint64(6)) ^ (high[0] >> np.uint64(26))
            hashes = Seed().hash(words.reshape(-1, KEY_WORDS))
            assert len(np.unique(hashes)) == 1 << 12
            assert len(np.unique(hashes & np.uint64(0xFFFF))) > 3500


def flood(first: int, size: int, long: int) -> Any:
    """A block of flows of one packet each, from spoofed addresses, and among them packets of some long flows."""
    template = np.frombuffer(udp(1), np.uint8)
    frames = np.tile(template, (size, 1))
    address = np.arange(first, first + size, dtype=">u4").view(np.uint8).reshape(-1, 4)
    frames[:, 27:30] = address[:, 1:]
    frames[:, 36] = address[:, 0]
    some = np.arange(0, size, size // long)[:long]
    frames[some] = np.frombuffer(b"".join(udp(60000 + number, port=99) for number in range(len(some))), np.uint8).reshape(
        -1, frames.shape[1]
    )
    start = np.arange(size) * frames.shape[1]
    flat = np.concatenate([frames.ravel(), np.zeros(64, np.uint8)])
    length = np.full(size, frames.shape[1], np.int64)
    return metering.FrameBlock(flat, start, start + length, length, NOON + first + np.arange(size), 1)


@pytest.mark.row("B05")
def test_flood_leaves_long_flows() -> None:
    """Of a flood of new flows each leaves first; flows that go on are kept, memory is bounded, what nobody fetches is counted."""
    long, size = 20, 20_000
    meter = Meter(MeterSettings(entries=30_000, waiting=160_000))
    for number in range(10):
        meter.take(flood(number * size, size, long))
        assert meter.entries <= 30_000
        assert meter.waiting <= 120_000
    counts = meter.counts
    assert counts.emergency >= 150_000
    assert counts.lost_flows == counts.lost_packets == counts.emergency - 120_000
    flows = meter.rest()
    assert flows is not None
    kept = flows.filter(pl.col("packets") > 1)
    assert kept["packets"].to_list() == [10] * long
    assert set(flows["flow_end_reason"].to_list()) == {4, 5}
    conserved(meter, [flows])
    assert meter.memory < 30_000 * 200


def test_memory_goes_back_after_a_flood() -> None:
    meter = Meter(MeterSettings(entries=200_000))
    for number in range(5):
        meter.take(flood(number * 40_000, 40_000, 10))
    before = meter.memory
    meter.expired(NOON + 16 * SECOND)
    assert meter.entries == 0
    meter.take(block([udp(1)], [NOON + 17 * SECOND]))
    assert meter.memory < before / 3


# ---------------------------------------------------------------- options


@pytest.mark.parametrize("random", [False, True])
def test_sampling(random: bool) -> None:
    meter = Meter(MeterSettings(sampling=10, random=random))
    for size in (7, 500, 3, 490, 9000):
        meter.take(block([udp(1)] * size))
    flows = meter.rest()
    assert flows is not None
    conserved(meter, [flows])
    assert flows["sampling_interval"].to_list() == [10]
    packets = flows["packets"].to_list()[0]
    assert packets == 1000 if not random else 800 < packets < 1200


def test_fragments_with_the_ports_of_the_first() -> None:
    """One fragment of the capture belongs to a packet whose first is not there."""
    want = json.loads((HERE / "probe-zeek-ipv6-fragmented-dns.golden.json").read_text())
    whole = captured(HERE / "probe-zeek-ipv6-fragmented-dns.pcap")
    for blocks in ([whole], [part(whole, one, one + 1) for one in range(len(whole))]):
        flows = metered(blocks, carry_fragments=True)
        assert flows.filter(pl.col("source_port").is_null())["packets"].to_list() == [1]
        assert int(flows["octets"].sum()) == want["totals"]["ip_bytes"]
        assert flows.filter(pl.col("source_port") == 53)["packets"].sum() == 4


def test_golden_checksums_of_the_corpus() -> None:
    """The captures that the repository holds are those that their origin names."""
    origin = (HERE / "ORIGIN.md").read_text(encoding="utf-8")
    for path in HERE.glob("*.pcap"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in origin
