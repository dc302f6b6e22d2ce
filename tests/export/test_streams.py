"""Flows as streams of v5, v9 and IPFIX, read again by our own decoder: each column as it was, nothing where there was nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nftui import schema
from nftui.capture.decoder import Decoder
from nftui.elements import ELEMENTS
from nftui.export import fields
from nftui.export.flow_columns import FlowColumns
from nftui.export.netflow5 import MOST, MOST_PARTS
from nftui.export.streams import DAY, Format, Stream, stream
from nftui.units import MAPPED_PREFIX, SECOND
from tests.capture import build
from tests.export import flow_frames

NOW = build.NOW * SECOND
MAPPED = pl.lit(MAPPED_PREFIX)
# There is nothing to be made smaller about a seed.
FEW = settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
TEMPLATED = (Format.NETFLOW9, Format.IPFIX)


def encoded(made: Stream, flows: pl.DataFrame, now: int = NOW) -> list[bytes]:
    payloads = made.encode(FlowColumns.of(flows), now)
    assert all(len(payload) <= made.payload for payload in payloads)
    return payloads


def read(payloads: Iterable[bytes]) -> tuple[pl.DataFrame, Decoder]:
    flows, decoder = build.decode(*payloads)
    exporter = build.exporter_of(decoder)
    assert not exporter["malformed"] and not exporter["unread"] and not exporter["lost"]
    return flows, decoder


def same(sent: pl.DataFrame, received: pl.DataFrame, key: str = flow_frames.KEY) -> None:
    sent, received = sent.sort(key), received.sort(key)
    for name in sent.columns:
        if sent[name].null_count() < sent.height:
            assert received[name].to_list() == sent[name].to_list(), name
        else:
            assert name not in received.columns or received[name].null_count() == received.height, name


def test_each_field_is_an_element_that_fills_its_column() -> None:
    told = [(column, element) for column, element, _ in (*fields.NUMBERS, *fields.PORTS, *fields.LABELS)]
    told += [(column, element) for column, *both in (*fields.ADDRESSES, *fields.MORE_ADDRESSES) for element in both]
    told += [(column, element) for column, _, *both in fields.MASKS for element in both]
    for column, element in told:
        assert column in {mapping.column for mapping in ELEMENTS[0, element].mappings}, element
    assert len({column for column, _ in told}) == len(told) - len(fields.ADDRESSES) - len(fields.MORE_ADDRESSES) - len(fields.MASKS)


@pytest.mark.parametrize("of", TEMPLATED)
@FEW
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 120), absent=st.sampled_from((0.0, 0.3, 0.8)))
def test_what_goes_in_comes_out(of: Format, seed: int, rows: int, absent: float) -> None:
    sent = flow_frames.frame(seed, rows, NOW, absent)
    made = stream(of, 77)
    first, second = sent[: rows // 2], sent[rows // 2 :]
    flows, _ = read(encoded(made, first) + made.announce(NOW) + encoded(made, second))
    assert flows.height == rows == made.counts.records == made.counts.flows
    assert flows["observation_domain"].unique().to_list() == [77]
    same(flow_frames.read_again(sent), flows)


def small(rows: int = 1, **columns: object) -> pl.DataFrame:
    """Return flows of IPv4 with a few columns, told apart by their octets; a value that is a list has one for each flow."""
    values = {"source_port": 1, "destination_port": 2, "protocol": 17, "packets": 2, "octets": list(range(100, 100 + rows))}
    values |= {"source_address": MAPPED_PREFIX + b"\x0a\0\0\1", "destination_address": MAPPED_PREFIX + b"\x0a\0\0\2"}
    values |= {"flow_start": NOW - 2 * SECOND, "flow_end": NOW - SECOND} | columns
    made = {name: value if isinstance(value, list) else [value] * rows for name, value in values.items()}
    return pl.DataFrame(made, {name: schema.POLARS[name] for name in made})


@FEW
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 120))
def test_netflow5_has_place_for_these(seed: int, rows: int) -> None:
    sent = flow_frames.frame(seed, rows, NOW, 0, 1).select(
        *("flow_start", "flow_end", "source_port", "destination_port", "protocol", "icmp_type", "icmp_code", "tos", "tcp_flags"),
        *("source_mask", "destination_mask"),
        *((MAPPED + pl.col(name).bin.slice(12, 4)).alias(name) for name in ("source_address", "destination_address", "next_hop")),
        *(pl.col(name) & 0xFFFF for name in ("ingress_interface", "egress_interface", "source_as", "destination_as", "packets")),
        pl.col("sampling_interval") % 3 + 1,
        (pl.row_index() + 1).cast(pl.Int64).alias("octets"),
    )
    made = stream(Format.NETFLOW5, 0x0102)
    flows, _ = read(encoded(made, sent))
    assert (made.counts.flows, made.counts.records) == (rows, rows)
    icmp = pl.col("protocol") == 1
    wanted = sent.with_columns(
        pl.when(icmp)
        .then(pl.col("icmp_type").cast(pl.Int32) * 256 + pl.col("icmp_code"))
        .otherwise("destination_port")
        .alias("destination_port"),
    ).drop("icmp_type", "icmp_code")
    same(wanted, flows, "octets")
    assert not made.counts.times


def test_netflow5_divides_what_is_too_large_for_it() -> None:
    sent = small(3, octets=[2**32 - 1, 2**32, 7 * 2**40], packets=[1, 2**33 + 1, 5])
    made = stream(Format.NETFLOW5, 1)
    flows, _ = read(encoded(made, sent))
    assert flows["octets"].sum() == sent["octets"].sum() - 7 * 2**40 + MOST_PARTS * MOST
    assert flows["packets"].sum() == sent["packets"].sum()
    assert flows["octets"].max() == MOST
    assert made.counts.records == flows.height == 1 + 3 + MOST_PARTS


def test_netflow5_leaves_out_ipv6_and_says_how_many() -> None:
    six = b"\x20\x01" + bytes(14)
    sent = small(3, source_address=[six, MAPPED_PREFIX + bytes(4), None], destination_address=[six, six, None])
    made = stream(Format.NETFLOW5, 1)
    flows, _ = read(encoded(made, sent))
    assert (made.counts.ipv6, made.counts.records, flows["octets"].to_list()) == (2, 1, [102])


@pytest.mark.parametrize("of", Format)
@pytest.mark.parametrize("days", [-1, 0, 1, 23, 25, 60, 5000], ids=lambda days: f"{days} days ago")
def test_times_are_told_however_old_a_flow_is(of: Format, days: int) -> None:
    end = NOW - days * DAY - 7000
    sent = small(2, flow_start=[end - 3000, end - 10 * DAY], flow_end=end)
    made = stream(of, 1)
    flows, _ = read(encoded(made, sent))
    same(sent, flows, "octets")
    assert not made.counts.times


@pytest.mark.parametrize("of", [Format.NETFLOW5, Format.NETFLOW9])
def test_uptime_begins_anew_before_it_wraps(of: Format) -> None:
    made, uptimes = stream(of, 1), []
    for day in range(0, 130, 3):
        now = NOW + day * DAY
        sent = small(2, flow_start=[now - 3 * SECOND, now - 20 * DAY], flow_end=now - SECOND)
        payloads = made.announce(now) + encoded(made, sent, now)
        same(sent, build.decode(*payloads)[0], "octets")
        uptimes.append(struct.unpack_from(">I", payloads[0], 4)[0] // 86_400_000)
    assert min(uptimes) >= 23 and max(uptimes) <= 48
    assert sum(later < earlier for earlier, later in pairwise(uptimes)) > 3


def test_netflow5_dates_old_flows_in_any_order() -> None:
    ends = [NOW - days * DAY for days in (300, 2000, 30, 31, 900, 29)]
    sent = small(6, flow_start=[end - SECOND for end in ends], flow_end=ends)
    made = stream(Format.NETFLOW5, 1)
    payloads = encoded(made, sent)
    same(sent, build.decode(*payloads)[0], "octets")
    headers = [struct.unpack_from(">I", payload, 8)[0] * SECOND for payload in payloads]
    assert headers == sorted(headers) and not made.counts.times


def test_netflow5_counts_what_it_can_not_date() -> None:
    sent = small(3, flow_start=[-5 * DAY, NOW - 100 * DAY, 2**40 * SECOND], flow_end=[-DAY, NOW - 30 * DAY, 2**40 * SECOND])
    made = stream(Format.NETFLOW5, 1)
    flows, _ = build.decode(*encoded(made, sent))
    assert (flows.height, made.counts.times) == (3, 3)
    assert flows["flow_end"].cast(pl.Int64).to_list()[1] == NOW - 30 * DAY


@pytest.mark.parametrize("of", TEMPLATED)
def test_templates_come_first_and_keep_their_numbers(of: Format) -> None:
    made = stream(of, 1)
    first = encoded(made, small())
    again = encoded(made, small())
    other = encoded(made, small(tos=3))
    assert [len(first), len(again), len(other)] == [2, 1, 2]
    assert read(first + again + other)[0]["tos"].to_list() == [None, None, 3]
    numbers = [struct.unpack_from(">I", payload, 12 if of is Format.NETFLOW9 else 8)[0] for payload in first + again + other]
    assert numbers == ([0, 1, 2, 3, 4] if of is Format.NETFLOW9 else [0, 0, 1, 2, 2])
    assert struct.unpack_from(">H", again[0], len(again[0]) - len(first[1]) + (20 if of is Format.NETFLOW9 else 16)) == (256,)
    assert made.counts.templates == 2 and len(made.announce(NOW)) == 1


@pytest.mark.parametrize("of", TEMPLATED)
def test_of_too_many_patterns_some_are_told_by_less(of: Format) -> None:
    rows = 256
    columns = {
        name: [place if place >> bit & 1 else None for place in range(rows)]
        for bit, name in enumerate(
            ("source_as", "destination_as", "source_vlan", "ingress_vrf", "egress_vrf", "next_as", "previous_as")
        )
    }
    sent = small(rows, **columns, source_port=[place or None for place in range(rows)])
    made = stream(of, 1)
    flows, _ = build.decode(*(payload for at in range(0, rows, 16) for payload in encoded(made, sent[at : at + 16])))
    assert flows.height == rows and flows["octets"].sum() == sent["octets"].sum()
    assert 0 < made.counts.reduced < rows
    flows = flows.sort("octets")
    told = [flows[name].is_not_null() & (flows[name] == sent[name]) for name in columns]
    assert sum(int(one.sum()) for one in told) > rows // 2
    assert flows["flow_end"].to_list() == sent["flow_end"].to_list()


@pytest.mark.parametrize("of", TEMPLATED)
def test_templates_that_nobody_takes_any_more_make_room(of: Format) -> None:
    """Their numbers are used again, and told before they are."""
    made, decoder = stream(of, 1), Decoder()
    names = ("tos", "source_as", "destination_as", "source_vlan", "ingress_vrf", "egress_vrf", "next_as")
    for patterns in range(0, 120, 15):
        rows = 15
        columns: dict[str, object] = {
            name: [place + 1 if place >> bit & 1 else None for place in range(patterns, patterns + rows)]
            for bit, name in enumerate(names)
        }
        sent = small(rows, **columns)
        flows, _ = build.decode(*encoded(made, sent), decoder=decoder)
        same(sent, flows, "octets")
        assert build.decode(*made.announce(NOW), decoder=decoder)[0].is_empty()
        made.announce(NOW)
    assert made.counts.reduced == 0
    assert build.exporter_of(decoder)["malformed"] == {}


def test_more_masks_than_a_word_has_bits() -> None:
    sent = flow_frames.frame(3, 60, NOW, 0.5, 2).with_columns(
        pl.when(pl.row_index() % 2 == 0).then(pl.col(name)).alias(name) for name in flow_frames.ADDRESSES
    )
    made = stream(Format.IPFIX, 1)
    flows, _ = read(encoded(made, sent))
    same(flow_frames.read_again(sent), flows)


@pytest.mark.parametrize("of", TEMPLATED)
def test_flags_of_more_than_eight_bits(of: Format) -> None:
    sent = small(2, tcp_flags=[0x1FF, 0x12], protocol=6)
    same(sent, read(encoded(stream(of, 1), sent))[0], "octets")


@pytest.mark.parametrize("of", Format)
def test_odd_frames_are_no_accident(of: Format) -> None:
    made = stream(of, 1)
    empty = pl.DataFrame(schema={name: schema.POLARS[name] for name in ("flow_start", "octets", "source_address")})
    nothing = empty.clear(3)
    for one in (empty, nothing, pl.DataFrame({"user_name": ["x"]}), pl.DataFrame({"foreign": [1]}), small(1).select("octets")):
        build.decode(*encoded(made, one))
    strange = small(
        3, source_address=[b"", b"123", None], octets=[-1, 2**62, 0], protocol=[-7, 300, None], source_port=[-1, 70000, 0]
    )
    build.decode(*encoded(made, strange))
    assert encoded(made, small(1, flow_start=None, flow_end=None))
    assert made.counts.flows == 3 + 1 + 1 + 1 + 3 + 1


@pytest.mark.parametrize("of", Format)
@pytest.mark.parametrize("payload", [576 - 48, 8952])
def test_no_datagram_is_longer_than_told(of: Format, payload: int) -> None:
    made = stream(of, 1)
    made.payload = payload
    sent = small(500)
    payloads = encoded(made, sent)
    assert max(map(len, payloads)) <= payload
    assert read(payloads)[0]["octets"].sum() == sent["octets"].sum()


def test_the_exporter_of_each_flow_is_told_on_request() -> None:
    sent = small(2, exporter_address=[MAPPED_PREFIX + b"\xc0\0\2\7", b"\x20\x01" + bytes(13) + b"\7"])
    for exporters in (False, True):
        octets = b"".join(encoded(stream(Format.IPFIX, 1, exporters=exporters), sent))
        assert (b"\xc0\0\2\7" in octets) is (b"\x20\x01" + bytes(13) + b"\7" in octets) is exporters


@pytest.mark.parametrize("of", Format)
@pytest.mark.parametrize("told_by_flows", [True, False])
def test_sampling_is_told_by_options_and_by_flows(of: Format, told_by_flows: bool) -> None:
    made = stream(of, 1, sampling=100)
    sent = small(40, sampling_interval=100) if told_by_flows else small(40)
    flows, decoder = read(made.announce(NOW) + encoded(made, sent) + made.announce(NOW) + encoded(made, sent))
    if of is not Format.NETFLOW5 or told_by_flows:
        assert flows["sampling_interval"].to_list() == [100] * 80
    else:
        assert flows["sampling_interval"].null_count() == 80
    assert build.exporter_of(decoder)["options_records"] == (0 if of is Format.NETFLOW5 else 2)
