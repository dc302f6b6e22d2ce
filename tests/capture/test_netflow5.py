"""NetFlow v5: encode then decode is identity; what is cut or absurd is counted."""

from __future__ import annotations

import struct

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui import schema
from nftui.capture.datagrams import MAPPED_PREFIX
from tests.capture import build

RECORD = struct.Struct(">IIIHHIIIIHHBBBBHHBBH")
COLUMNS = {
    "source_address": 0, "destination_address": 1, "next_hop": 2, "ingress_interface": 3, "egress_interface": 4, "packets": 5,
    "octets": 6, "source_port": 9, "destination_port": 10, "tcp_flags": 12, "protocol": 13, "tos": 14, "source_as": 15,
    "destination_as": 16, "source_mask": 17, "destination_mask": 18,
}  # fmt: skip
U8, U16, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
RECORDS = st.tuples(U32, U32, U32, U16, U16, U32, U32, U32, U32, U16, U16, st.just(0), U8, U8, U8, U16, U16, U8, U8, st.just(0))


def simple(**values: int) -> bytes:
    fields = [0] * 20
    for name, value in values.items():
        fields[{"first": 7, "last": 8}.get(name, COLUMNS.get(name, -1))] = value
    return RECORD.pack(*fields)


@given(st.lists(RECORDS, min_size=1, max_size=30))
def test_encode_then_decode_is_identity(records: list[tuple[int, ...]]) -> None:
    flows, decoder = build.decode(build.netflow5(RECORD.pack(*record) for record in records))
    for column, place in COLUMNS.items():
        wanted: list[object] = [record[place] for record in records]
        if schema.POLARS[column] == pl.Binary:
            wanted = [MAPPED_PREFIX + record[place].to_bytes(4, "big") for record in records]
        assert flows[column].to_list() == wanted, column
    assert flows["protocol_version"].to_list() == [5] * len(records)
    assert flows["observation_domain"].to_list() == [0x0102] * len(records)
    assert build.exporter_of(decoder)["malformed"] == {}


@pytest.mark.parametrize(
    ("uptime", "first", "offset"),
    [
        (10_000, 4_000, -6_000),
        (10_000, 11_000, 1_000),
        (10_000, 2**32 - 5_000, -15_000),
        (2**32 - 100, 500, 600),
        (2_592_000_000, 0, -2_592_000_000),
    ],
    ids=["before", "a second after the header", "before the last wrap", "wrapped since the header", "a month before"],
)
def test_times_and_wraps(uptime: int, first: int, offset: int) -> None:
    flows, _ = build.decode(build.netflow5([simple(first=first, last=first)], uptime=uptime))
    wanted = (build.NOW * 1000 + 500 + offset) * 1000
    assert flows["flow_start"].cast(pl.Int64).to_list() == [wanted]
    assert flows["flow_end"].cast(pl.Int64).to_list() == [wanted]


def test_count_beyond_the_datagram_keeps_what_fits() -> None:
    flows, decoder = build.decode(build.netflow5([simple(octets=1), simple(octets=2)], count=30)[:-1])
    assert flows["octets"].to_list() == [1]
    assert build.exporter_of(decoder)["malformed"] == {"fewer records than the header counts": 1}


def test_octets_behind_the_count_are_no_flows() -> None:
    flows, _ = build.decode(build.netflow5([simple(octets=1), simple(octets=2)], count=1))
    assert flows["octets"].to_list() == [1]


def test_sampling_of_the_header() -> None:
    sampled = build.netflow5([simple(octets=1)], sampling=0x4000 | 100)
    plain = build.netflow5([simple(octets=2)], sampling=0x4000)
    flows, _ = build.decode(sampled, plain)
    assert flows["sampling_interval"].to_list() == [100, None]
    assert flows["sampling_source"].to_list() == ["header", None]


def test_icmp_type_and_code_stand_in_the_port() -> None:
    flows, _ = build.decode(
        build.netflow5([simple(protocol=1, destination_port=0x0301), simple(protocol=6, destination_port=0x0301)])
    )
    assert flows["icmp_type"].to_list() == [3, None]
    assert flows["icmp_code"].to_list() == [1, None]
    assert flows["destination_port"].to_list() == [0x0301, 0x0301]


def test_short_datagram_is_counted() -> None:
    flows, decoder = build.decode(build.netflow5([simple()])[:23])
    assert len(flows) == 0
    assert build.exporter_of(decoder)["malformed"] == {"datagram shorter than its header": 1}
    assert build.exporter_of(decoder)["domains"] == []


def test_lost_flows_are_counted_and_a_restart_is_no_loss() -> None:
    two = [simple(), simple()]
    _, decoder = build.decode(build.netflow5(two, sequence=100, uptime=900_000), build.netflow5(two, sequence=110, uptime=901_000))
    assert build.exporter_of(decoder)["sequence_lost"] == 8
    build.decode(build.netflow5(two, sequence=0, uptime=1_000), decoder=decoder)
    build.decode(build.netflow5(two, sequence=2, uptime=2_000), decoder=decoder)
    status = build.exporter_of(decoder)
    assert (status["sequence_lost"], status["restarts"]) == (8, 1)
