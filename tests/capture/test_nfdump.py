"""Files of nfdump: what is read of each layout, order and codec, and what is counted of broken ones."""

from __future__ import annotations

import struct
import sys
from collections import Counter
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest

from nftui import schema
from nftui.capture.nfdump import codecs
from nftui.capture.nfdump.columns import Buffer
from nftui.capture.nfdump.files import FileCounts, NfdumpFile
from nftui.capture.nfdump.records import walk
from nftui.errors import CaptureFileError, CodecMissing
from tests.capture import nfdump_encoding as made

ORDERS = ("<", ">")
FLOWS = 500


def read(path: Path, columns: tuple[str, ...] | None = None) -> tuple[pl.DataFrame, FileCounts]:
    counts = FileCounts()
    frames = list(NfdumpFile(path).frames(columns, counts))
    for frame in frames:
        assert frame.height
        assert all(frame.schema[name] == schema.POLARS[name] for name in frame.columns)
        assert columns is None or tuple(frame.columns) == columns
    return (pl.concat(frames, how="diagonal") if frames else pl.DataFrame()), counts


def written(path: Path, octets: bytes) -> Path:
    path.write_bytes(octets)
    return path


def expected(number: int) -> dict[str, Any]:
    six = number % 10 == 9
    return {
        "flow_start": at(made.BASE_MS + number),
        "flow_end": at(made.BASE_MS + number + 500),
        "source_address": packed(f"2001:db8::{number % 65536:x}" if six else str(ip_address(0x0A000000 + number))),
        "destination_address": packed("2001:db8:1::1" if six else "192.0.2.1"),
        "packets": number + 1,
        "octets": 100 * (number + 1),
        "source_port": 1024 + number % 60_000,
        "destination_port": 443,
        "protocol": 6,
        "tcp_flags": 0x1B,
        "forwarding_status": 64,
        "tos": 8,
    }


def at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def packed(text: str) -> bytes:
    address = ip_address(text)
    return bytes(10) + b"\xff\xff" + address.packed if address.version == 4 else address.packed


def assert_flows(flows: pl.DataFrame, numbers: range) -> None:
    wanted = pl.DataFrame([expected(number) for number in numbers])
    found = flows.select(wanted.columns).sort("octets")
    assert found.equals(wanted.cast({name: schema.POLARS[name] for name in wanted.columns}))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("codec", sorted(made.CODECS))
def test_flows_of_17(tmp_path: Path, order: str, codec: int) -> None:
    first = [made.exporter(1, "198.51.100.7", 42, 9, order), *(made.flow(number, order) for number in range(FLOWS // 2))]
    second = [made.flow(number, order) for number in range(FLOWS // 2, FLOWS)]
    told = FLOWS, made.BASE_MS, made.BASE_MS + FLOWS + 499
    path = written(tmp_path / "nfcapd.1", made.file_17([first, second], codec=codec, order=order, told=told))
    file = NfdumpFile(path)
    assert (file.name, file.layout, file.created) == ("here", 2, made.BASE_MS * 1000)
    assert file.account == (FLOWS, made.BASE_MS * 1000, (made.BASE_MS + FLOWS + 499) * 1000 + 999)
    flows, counts = read(path)
    assert_flows(flows, range(FLOWS))
    assert flows.select("exporter_address", "observation_domain", "protocol_version").unique().row(0) == (
        packed("198.51.100.7"),
        42,
        9,
    )
    assert (counts.blocks, counts.flows, counts.malformed, counts.unread) == (2, FLOWS, Counter(), Counter())
    assert counts.skipped == {"exporter": 1}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("codec", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", [1, 10])
def test_flows_of_16(tmp_path: Path, order: str, codec: int, kind: int) -> None:
    more = {
        1: b"",
        2: struct.pack(order + "II", 3, 70_000)
        + struct.pack(order + "HH", 64512, 7)
        + bytes([1, 1, 24, 16])
        + made.address("203.0.113.9", order)
        + struct.pack(order + "Q", made.BASE_MS + 60_000),
    }
    maps = [made.extension_map(1, [], order), made.extension_map(2, [5, 6, 8, 23, 27], order)]
    records = [
        made.flow_16(number, 1 + number % 2, more[1 + number % 2], order, kind=kind, wide=number % 3 == 0)
        for number in range(FLOWS)
    ]
    head = [*maps, made.exporter(1, "2001:db8::7", 43, 10, order)]
    octets = made.file_16(
        [[*head, *records[:200]], records[200:]], codec=codec, order=order, told=(FLOWS, made.BASE_MS, made.BASE_MS + 1)
    )
    path = written(tmp_path / "nfcapd.1", octets)
    file = NfdumpFile(path)
    assert (file.name, file.layout) == ("here", 1)
    assert file.account == (FLOWS, made.BASE_MS * 1000, (made.BASE_MS + 1) * 1000 + 999)
    flows, counts = read(path)
    assert_flows(flows, range(FLOWS))
    assert (counts.malformed, counts.unread, counts.flows) == (Counter(), Counter(), FLOWS)
    rich = flows.filter(pl.col("egress_interface").is_not_null())
    assert rich.height == FLOWS // 2
    names = ["egress_interface", "source_as", "destination_as", "destination_tos", "source_mask", "destination_mask"]
    assert rich.select(names).unique().row(0) == (70_000, 64512, 7, 1, 24, 16)
    assert rich.select("exporter_address", "received").unique().row(0) == (packed("203.0.113.9"), at(made.BASE_MS + 60_000))
    plain = flows.filter(pl.col("egress_interface").is_null())
    assert plain.select("exporter_address", "observation_domain", "protocol_version").unique().row(0) == (
        packed("2001:db8::7"),
        43,
        10,
    )
    # Who did not say when a flow was received gets its end.
    assert plain["received"].equals(plain["flow_end"], check_names=False)


def test_columns_that_are_wanted(tmp_path: Path) -> None:
    path = written(tmp_path / "file", made.file_17([[made.flow(number) for number in range(FLOWS)]]))
    flows, _ = read(path, ("octets", "vrf_name", "destination_address"))
    assert flows["octets"].sum() == sum(100 * (number + 1) for number in range(FLOWS))
    assert flows["vrf_name"].null_count() == FLOWS
    icmp, _ = read(written(path, made.file_17([[made.flow(3, dport=0x0803, proto=1)]])), ("icmp_type", "icmp_code"))
    assert icmp.row(0) == (8, 3)


@pytest.mark.parametrize("order", ORDERS)
def test_extensions(tmp_path: Path, order: str) -> None:
    def packing(form: str, *values: int) -> bytes:
        return struct.pack(order + form, *values)

    extensions = {
        4: packing("IIBBBBBBBB", 1, 2, 24, 16, 1, 4, 0, 3, 0, 0),
        5: packing("QQQ", 2, 30, 4000),
        6: packing("II", 100, 200),
        7: packing("II", 64512, 4_200_000_000),
        9: made.address("2001:db8::9", order),
        10: made.address("192.0.2.10", order),
        13: made.address("2001:db8::13", order),
        14: packing("10I", 16 << 4 | 1, *([0] * 9)),
        15: packing("4Q", 1, 2, 3, 4),
        16: packing("II", 5, 6),
        18: packing("QHH", 77, 1, 0),
        19: packing("QIHBB", 0, 4_000_000_000, 1001, 2, 0),
        21: made.address("2001:db8::21", order) + made.address("2001:db8::22", order),
        22: packing("HH", 2100, 2200),
        23: packing("6I", 1, 2, 3, 0, 0, 0),
        24: b"alice\0rubbish".ljust(68, b"\0"),
        25: packing("QIBBH", 0, 9, 4, 0, 0),
        26: packing("HHHH", 1000, 2000, 1, 1000),
        27: bytes([13, 0, 5, 30]),
        31: made.address("192.0.2.31", order) + made.address("192.0.2.32", order) + packing("I", 47),
        33: packing("QI", 1, 3333),
        36: packing("II", 36, 37),
        38: packing("HHHHIIQHB5x", 11, 12, 13, 14, 1, 2, 5000, 0x0800, 4),
        42: packing("BBBB", 0, 0, 62, 64),
        28: b"label\0",
        99: bytes(6),
    }
    one = made.flow(1, order, *(made.element(number, inside, order) for number, inside in extensions.items()))
    flows, counts = read(written(tmp_path / "file", made.file_17([[one]], order=order)))
    row = flows.row(0, named=True)
    wanted = {
        "ingress_interface": 1,
        "egress_interface": 2,
        "source_mask": 24,
        "destination_mask": 16,
        "flow_direction": 1,
        "destination_tos": 4,
        "flow_end_reason": 3,
        "flow_count": 2,
        "out_packets": 30,
        "out_octets": 4000,
        "source_vlan": 100,
        "destination_vlan": 200,
        "source_as": 64512,
        "destination_as": 4_200_000_000,
        "bgp_next_hop": packed("2001:db8::9"),
        "next_hop": packed("192.0.2.10"),
        "exporter_address": packed("2001:db8::13"),
        "mpls_label_1": 16,
        "mpls_label_2": None,
        "source_mac": 1,
        "post_destination_mac": 2,
        "destination_mac": 3,
        "post_source_mac": 4,
        "next_as": 5,
        "previous_as": 6,
        "sampler_id": 77,
        "connection_id": 4_000_000_000,
        "firewall_extended_event": 1001,
        "firewall_event": 2,
        "post_nat_source_address": packed("2001:db8::21"),
        "post_nat_destination_address": packed("2001:db8::22"),
        "post_nat_source_port": 2100,
        "post_nat_destination_port": 2200,
        "ingress_acl": struct.pack(">3I", 1, 2, 3),
        "egress_acl": None,
        "user_name": "alice",
        "nat_event": 4,
        "port_block_start": 1000,
        "port_block_end": 2000,
        "application_id": 13 << 24 | 5 << 8 | 30,
        "outer_source_address": packed("192.0.2.31"),
        "outer_protocol": 47,
        "observation_domain": 3333,
        "egress_vrf": 36,
        "ingress_vrf": 37,
        "customer_vlan": 12,
        "layer2_segment_id": 5000,
        "ethernet_type": 0x0800,
        "ip_version": 4,
        "minimum_ttl": 62,
        "maximum_ttl": 64,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert counts.unread == {"extension 28 (label)": 1, "extension 99": 1}


def test_both_addresses_of_which_one_is_zero(tmp_path: Path) -> None:
    four = made.element(2, made.address("192.0.2.1", "<") * 2)
    six = made.element(3, made.address("2001:db8::1", "<") * 2)
    none4, none6 = made.element(2, bytes(8)), made.element(3, bytes(32))
    records = [
        made.record(made.generic(n), *both) for n, both in enumerate([(four, none6), (none4, six), (six, none4), (none6, four)])
    ]
    flows, _ = read(written(tmp_path / "file", made.file_17([records])))
    assert flows.sort("octets")["source_address"].to_list() == [
        packed(a) for a in ("192.0.2.1", "2001:db8::1", "2001:db8::1", "192.0.2.1")
    ]


def test_records_of_any_size_and_of_other_kinds(tmp_path: Path) -> None:
    random = Random(1)
    records, numbers = [], 0
    for _ in range(3000):
        kind = random.randrange(12)
        if kind == 0:
            records.append(struct.pack("<HH", random.choice([9, 12, 15, 200]), 4 + (size := random.randrange(9))) + bytes(size))
        else:
            # Octets that look like the record of a flow stand within a payload.
            looks = struct.pack("<HH", 11, 60) * random.randrange(3) + bytes(random.randrange(4))
            records.append(made.flow(numbers, "<", made.element(29, looks)))
            numbers += 1
    flows, counts = read(written(tmp_path / "file", made.file_17([records[:1000], records[1000:1001], records[1001:]])))
    assert_flows(flows, range(numbers))
    assert not counts.malformed


def test_many_places_that_look_like_a_record() -> None:
    record = made.flow(1, "<", made.element(29, struct.pack("<HH", 11, 32) * 40))
    octets = np.frombuffer(record * 2000 + bytes(8), np.uint8)
    found = walk(Buffer(octets, "<"), 0, len(octets) - 8, (11,))
    assert found.flows.tolist() == [len(record) * number for number in range(2000)]
    assert not found.problem


@pytest.mark.parametrize("codec", [0, 3])
def test_cut_anywhere(tmp_path: Path, codec: int) -> None:
    blocks = [[made.flow(number) for number in range(at, at + 20)] for at in (0, 20, 40)]
    octets = made.file_17(blocks, codec=codec)
    before = 0
    for size in range(40, len(octets), 23):
        flows, counts = read(written(tmp_path / "file", octets[:size]))
        # Of a block of LZ4 that was cut some of the beginning may be read.
        assert flows.height >= before or codec
        before = flows.height
        if flows.height:
            assert_flows(flows, range(flows.height))
        ends = np.cumsum([40, *(len(made.block(block, codec)) for block in blocks)])
        assert bool(counts.malformed) == (size not in ends), size
    assert before >= 40


def test_what_is_broken_is_counted(tmp_path: Path) -> None:
    whole = [made.flow(number) for number in range(10)]
    size = struct.pack("<HH", 11, 3)
    misfit = made.record(made.generic(50), struct.pack("<HH", 2, 200) + bytes(20))
    for records, reason, left in (
        ([*whole, size], "record of an impossible size", 10),
        ([*whole, b"\0\0"], "block ends within a record", 10),
        ([*whole[:5], misfit, *whole[5:]], "flow whose extensions don't fit into it", 10),
    ):
        flows, counts = read(written(tmp_path / "file", made.file_17([records, whole])))
        assert counts.malformed[reason] == 1, counts
        assert flows.height == left + 10
    broken = bytearray(made.file_17([whole, whole], codec=3))
    broken[60:100] = bytes(40)
    flows, counts = read(written(tmp_path / "file", bytes(broken)))
    assert (flows.height, counts.malformed) == (10, {"block can't be decompressed": 1})
    huge = made.file_17([whole])[:40] + struct.pack("<IIHH", 1, 2**31, 3, 0)
    flows, counts = read(written(tmp_path / "file", huge))
    assert (flows.height, counts.malformed) == (0, {"block of an impossible size": 1})
    no_map = made.file_16([[made.flow_16(1, 9, b"")]])
    flows, counts = read(written(tmp_path / "file", no_map))
    assert (flows.height, counts.malformed) == (0, {"flow without an extension map": 1})


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_what_is_decompressed_is_bounded(codec: int) -> None:
    decompress = codecs.codec(codec)
    assert decompress is not None
    with pytest.raises(codecs.BrokenBlock):
        decompress(made.CODECS[codec](bytes(codecs.MAX_BLOCK + 1)))
    with pytest.raises(codecs.BrokenBlock):
        decompress(bytes(2 << 20))
    fits = bytes(range(256)) * 8_000
    assert decompress(made.CODECS[codec](fits)) == fits


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    for octets, words in (
        (b"", "not a file of nfdump"),
        (b"#!/bin/sh\n", "not a file of nfdump"),
        (made.file_17([], layout=3), "of layout 3"),
        (made.file_17([])[:30], "ends within its header"),
        (made.file_17([])[:16] + b"\x09" + made.file_17([])[17:], "compressed in a way that is not known (number 9)"),
        (made.file_17([])[:17] + b"\x01" + made.file_17([])[18:], "encrypted"),
    ):
        with pytest.raises(CaptureFileError, match="file: ") as error:
            NfdumpFile(written(tmp_path / "file", octets))
        assert words in str(error.value)


@pytest.mark.parametrize(("codec", "library"), [(1, "lzallright"), (3, "lz4.block"), (4, "zstandard")])
def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: int, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    path = written(tmp_path / "file", made.file_17([[made.flow(1)]], codec=codec))
    with pytest.raises(CodecMissing, match=r"file: compressed with \w+, .*pip install 'nftui\[nfdump\]'"):
        NfdumpFile(path)


@pytest.mark.parametrize("layout", ["17", "16"])
def test_mutated_files(tmp_path: Path, layout: str) -> None:
    """Whatever the octets are, a file is read to its end, or refused in words."""
    random = Random(layout)
    files = []
    for order in ORDERS:
        for codec in (0, 1, 2, 3):
            if layout == "17":
                blocks = [[made.exporter(1, "192.0.2.7", 1, 9, order), *(made.flow(n, order) for n in range(60))]] * 2
                files.append(made.file_17(blocks, codec=codec, order=order, told=(120, made.BASE_MS, made.BASE_MS + 600)))
            else:
                head = [made.extension_map(1, [5], order), made.exporter(1, "192.0.2.7", 1, 9, order)]
                flows = [made.flow_16(n, 1, bytes(8), order) for n in range(60)]
                files.append(made.file_16([[*head, *flows]] * 2, codec=codec, order=order))
    for _ in range(400):
        octets = bytearray(random.choice(files))
        for _ in range(random.choice([1, 1, 2, 5, 40])):
            at = random.randrange(len(octets)) if random.random() < 0.6 else random.randrange(min(len(octets), 200))
            kind = random.randrange(4)
            if kind == 0:
                octets[at] = random.randrange(256)
            elif kind == 1:
                octets[at : at + 4] = random.choice([b"\xff\xff\xff\xff", bytes(4), b"\x00\x80", b"\x01\x00", b"\xff\x7f"])
            elif kind == 2:
                del octets[at : at + random.randrange(1, 60)]
            else:
                octets[at:at] = octets[at : at + random.randrange(1, 60)]
        path = written(tmp_path / "file", bytes(octets))
        try:
            flows, counts = read(path)
        except CaptureFileError:
            continue
        assert flows.height == counts.flows
        pruned, again = read(path, ("octets", "source_address", "flow_start"))
        assert (pruned.height, again.malformed) == (flows.height, counts.malformed)
