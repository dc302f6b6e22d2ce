"""NetFlow v9 and IPFIX: templates, the sets that they describe, and all that can be odd about either."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nftui import schema
from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.decoder import Decoder
from nftui.elements import ELEMENTS
from tests.capture import build
from tests.capture.build import PROTOCOL_AND_OCTETS, ipfix, netflow9, one_set, small, template
from tests.capture.corpus import forward, joined

V9_TEMPLATE = one_set(0, template(300, PROTOCOL_AND_OCTETS))
IPFIX_TEMPLATE = one_set(2, template(300, PROTOCOL_AND_OCTETS))
NUMBERS = {
    element.id: element.mappings[0].column
    for element in ELEMENTS.values()
    if element.enterprise == 0
    and len(element.mappings) == 1
    and element.mappings[0].reading == "number"
    and element.mappings[0].rank == 1
    and not element.name.startswith("icmp")
}
"""One element for each column that is a plain number; ICMP type and code stand only beside that protocol."""
LIMITS: dict[object, int] = {pl.Int16: 2**15, pl.Int32: 2**31, pl.Int64: 2**53}


def flows_of(fields: Sequence[tuple[int, ...]], record: bytes, version: int = 10) -> tuple[dict[str, Any], Decoder]:
    """Decode one record of one template."""
    sets = one_set(0 if version == 9 else 2, template(256, fields)), one_set(256, record)
    flows, decoder = build.decode(netflow9(*sets) if version == 9 else ipfix(*sets))
    (row,) = flows.to_dicts()
    return row, decoder


@given(data=st.data(), ids=st.lists(st.sampled_from(sorted(NUMBERS)), min_size=1, max_size=20, unique_by=lambda one: NUMBERS[one]))
def test_encode_then_decode_is_identity(data: st.DataObject, ids: list[int]) -> None:
    """Any reduced size of 1 to 8 octets (RFC 7011, section 6.2) gives the number back."""
    fields = [(one, data.draw(st.integers(1, 8))) for one in ids] + [(210, 3)]
    rows = data.draw(
        st.lists(
            st.tuples(
                *(st.integers(0, min(256**size, LIMITS[type(schema.POLARS[NUMBERS[one]])]) - 1) for one, size in fields[:-1])
            ),
            min_size=1,
            max_size=5,
        )
    )
    content = b"".join(
        b"".join(value.to_bytes(size, "big") for value, (_, size) in zip(row, fields, strict=False)) + bytes(3) for row in rows
    )
    flows, decoder = build.decode(netflow9(one_set(0, template(256, fields)), one_set(256, content)))
    for place, one in enumerate(ids):
        wanted: list[int | None] = [row[place] for row in rows]
        assert flows[NUMBERS[one]].to_list() == wanted, NUMBERS[one]
    assert build.exporter_of(decoder)["malformed"] == {}


@pytest.mark.parametrize("element", sorted(one for enterprise, one in ELEMENTS if enterprise == 0))
@pytest.mark.parametrize("octet", [b"\0", b"\xff"])
def test_every_element_takes_every_size(element: int, octet: bytes) -> None:
    """Whatever the length in a template, the rest of the record is read."""
    sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32]
    sets = [
        one_set(0, template(300 + size, [(element, size), (999, 3)])) + one_set(300 + size, octet * (size + 3)) for size in sizes
    ]
    flows, decoder = build.decode(*(netflow9(one, sequence=n) for n, one in enumerate(sets)))
    assert len(forward(flows)) == len(sizes)
    unknown = build.exporter_of(decoder)["unknown_elements"]
    assert isinstance(unknown, dict)
    assert unknown["0:999"] == len(sizes)


def test_sets_are_walked_by_length_whatever_the_count() -> None:
    flows, _ = build.decode(netflow9(V9_TEMPLATE, one_set(300, small(1, 10)), one_set(300, small(2, 20)), count=0))
    assert flows["octets"].to_list() == [10, 20]


@pytest.mark.parametrize("padding", [0, 1, 3, 16])
def test_padding_is_passed_over(padding: int) -> None:
    flows, decoder = build.decode(ipfix(IPFIX_TEMPLATE + b"", one_set(300, small(1, 10) + bytes(padding))))
    assert flows["octets"].to_list() == [10]
    assert build.exporter_of(decoder)["malformed"] == {}


def test_template_is_replaced_within_a_block() -> None:
    other = one_set(0, template(300, [(1, 4), (2, 4)]))
    flows, _ = build.decode(
        netflow9(V9_TEMPLATE, one_set(300, small(1, 10))),
        netflow9(other, one_set(300, struct.pack(">II", 20, 2)), sequence=1),
        netflow9(V9_TEMPLATE, one_set(300, small(3, 30)), sequence=2),
    )
    assert sorted(flows["octets"].to_list()) == [10, 20, 30]
    assert flows.filter(pl.col("packets") == 2)["octets"].to_list() == [20]


def test_template_scope_is_address_and_domain_not_port() -> None:
    decoder = Decoder()
    decoder.decode(build.block([netflow9(V9_TEMPLATE)], ports=[1000]))
    assert [len(f) for f in decoder.decode(build.block([netflow9(one_set(300, small(1, 10)), sequence=1)], ports=[2000]))] == [1]
    assert decoder.decode(build.block([netflow9(one_set(300, small(1, 10)), source_id=8)])) == []
    other = MAPPED_PREFIX + bytes([192, 0, 2, 2])
    assert decoder.decode(build.block([netflow9(one_set(300, small(1, 10)))], [other])) == []


def test_exporters_with_the_same_fields_share_a_frame() -> None:
    others = [MAPPED_PREFIX + bytes([192, 0, 2, n]) for n in range(3)]
    datagrams = [netflow9(V9_TEMPLATE, one_set(300, small(n, 10 * n)), source_id=n) for n in range(3)]
    (frame,) = Decoder().decode(build.block(datagrams, others))
    assert frame["exporter_address"].to_list() == others
    assert frame["observation_domain"].to_list() == [0, 1, 2]
    assert frame["octets"].to_list() == [0, 10, 20]


def test_withdrawal_of_one_and_of_all() -> None:
    _, decoder = build.decode(ipfix(IPFIX_TEMPLATE, one_set(2, template(301, [(1, 4)]))))
    assert build.exporter_of(decoder)["templates"] == 2
    build.decode(ipfix(one_set(2, struct.pack(">HH", 300, 0))), decoder=decoder)
    assert build.exporter_of(decoder)["templates"] == 1
    build.decode(ipfix(one_set(2, struct.pack(">HH", 2, 0))), decoder=decoder)
    assert build.exporter_of(decoder)["templates"] == 0
    flows, _ = build.decode(ipfix(one_set(300, small(1, 10))), decoder=decoder)
    assert len(flows) == 0
    flows, _ = build.decode(ipfix(IPFIX_TEMPLATE, one_set(300, small(1, 20))), decoder=decoder)
    assert sorted(flows["octets"].to_list()) == [10, 20]


def test_unknown_elements_are_passed_over_and_counted() -> None:
    row, decoder = flows_of([(1, 4), (999, 2), (5, 6, 9), (2, 4)], struct.pack(">IH6sI", 10, 1, b"abcdef", 2))
    assert (row["octets"], row["packets"]) == (10, 2)
    assert build.exporter_of(decoder)["unknown_elements"] == {"0:999": 1, "9:5": 1}


def test_field_of_length_0_holds_nothing() -> None:
    row, _ = flows_of([(1, 4), (7, 0), (11, 2)], struct.pack(">IH", 10, 80), version=9)
    assert (row["octets"], row["source_port"], row["destination_port"]) == (10, None, 80)


def test_absurd_counter_is_absent_and_counted() -> None:
    row, decoder = flows_of([(1, 8), (2, 8)], struct.pack(">QQ", 2**53, 2**53 - 1))
    assert (row["octets"], row["packets"]) == (None, 2**53 - 1)
    assert build.exporter_of(decoder)["malformed"] == {"counter of 2^53 or more": 1}


@pytest.mark.parametrize(
    ("elements", "column", "value"),
    [((1, 85), "octets", 1), ((85, 231), "octets", 1), ((352, 231), "octets", 2), ((298, 86, 2), "packets", 3)],
)
def test_preferred_element(elements: tuple[int, ...], column: str, value: int) -> None:
    row, _ = flows_of([(one, 4) for one in elements], b"".join(struct.pack(">I", n + 1) for n in range(len(elements))))
    assert row[column] == value


def test_last_address_that_is_not_zero() -> None:
    six = bytes.fromhex("20010db8") + bytes(11) + b"\x01"
    fields = [(8, 4), (27, 16), (1, 4)]
    sets = one_set(2, template(256, fields)), one_set(256, bytes([10, 0, 0, 1]) + bytes(16) + bytes(4) + bytes(4) + six + bytes(4))
    flows, _ = build.decode(ipfix(*sets))
    assert flows["source_address"].to_list() == [MAPPED_PREFIX + bytes([10, 0, 0, 1]), six]
    assert flows["outer_source_address"].to_list() == [None, None]


def test_tunnel() -> None:
    fields = [(8, 4), (12, 4), (4, 1), (8, 4), (12, 4), (4, 1), (7, 2)]
    row, _ = flows_of(fields, bytes([1, 1, 1, 1, 2, 2, 2, 2, 47, 3, 3, 3, 3, 4, 4, 4, 4, 6, 0, 80]))
    assert (row["source_address"], row["destination_address"], row["protocol"]) == (
        MAPPED_PREFIX + b"\3\3\3\3",
        MAPPED_PREFIX + b"\4\4\4\4",
        6,
    )
    assert (row["outer_source_address"], row["outer_destination_address"], row["outer_protocol"]) == (
        MAPPED_PREFIX + b"\1\1\1\1",
        MAPPED_PREFIX + b"\2\2\2\2",
        47,
    )


def test_tunnel_with_a_protocol_of_odd_size() -> None:
    row, _ = flows_of([(8, 4), (4, 9), (8, 4), (4, 1)], b"\1\1\1\1" + bytes(9) + b"\2\2\2\2" + b"\x06")
    assert (row["outer_source_address"], row["outer_protocol"], row["protocol"]) == (MAPPED_PREFIX + b"\1\1\1\1", None, 6)


@pytest.mark.parametrize(
    ("element", "octets", "microseconds"),
    [
        (150, struct.pack(">I", 1_600_000_000), 1_600_000_000_000_000),
        (152, struct.pack(">Q", 1_600_000_000_123), 1_600_000_000_123_000),
        (154, struct.pack(">II", 1_600_000_000 + 2_208_988_800, 1 << 31), 1_600_000_000_500_000),
        (156, struct.pack(">II", 1_600_000_000 + 2_208_988_800, 1 << 30), 1_600_000_000_250_000),
        (158, struct.pack(">I", 250), build.NOW * 1_000_000 - 250),
        (323, struct.pack(">Q", 1_600_000_000_123), 1_600_000_000_123_000),
        (152, struct.pack(">Q", 2**63), None),
        (154, struct.pack(">II", 1, 0), None),
    ],
)
def test_times(element: int, octets: bytes, microseconds: int | None) -> None:
    row, decoder = flows_of([(element, len(octets)), (1, 4)], octets + bytes(4))
    moment = row["flow_start"]
    assert (None if moment is None else round(moment.timestamp() * 1_000_000)) == microseconds
    odd = {"time before 1970 or after 2262": 1} if microseconds is None else {}
    assert build.exporter_of(decoder)["malformed"] == odd


def test_uptime_of_ipfix_stands_on_options_data() -> None:
    options = one_set(3, struct.pack(">HHHHHHH", 400, 2, 1, 143, 4, 160, 8))
    told = one_set(400, struct.pack(">IQ", 1, build.NOW * 1000 - 60_000))
    times = one_set(2, template(256, [(22, 4), (21, 4)])), one_set(256, struct.pack(">II", 1_000, 2_000))
    flows, decoder = build.decode(ipfix(*times))
    assert flows["flow_start"].to_list() == [None]
    assert build.exporter_of(decoder)["unread"] == {"time relative to an unknown system start": 2}
    flows, _ = build.decode(ipfix(*times), ipfix(options, told), decoder=decoder)
    assert flows["flow_end"].cast(pl.Int64).to_list() == [(build.NOW * 1000 - 58_000) * 1000]
    assert build.exporter_of(decoder)["options_records"] == 1


@pytest.mark.parametrize(
    ("fields", "record", "kind"),
    [
        ([(4, 1), (32, 2)], bytes([1, 8, 0]), (8, 0)),
        ([(4, 1), (139, 2)], bytes([58, 128, 1]), (128, 1)),
        ([(4, 1), (176, 1), (177, 1)], bytes([1, 3, 4]), (3, 4)),
        ([(4, 1), (11, 2)], bytes([1, 8, 0]), (8, 0)),
        ([(4, 1), (11, 2)], bytes([6, 8, 0]), (None, None)),
        ([(4, 1), (32, 2)], bytes([6, 8, 0]), (None, None)),
    ],
)
def test_icmp(fields: list[tuple[int, ...]], record: bytes, kind: tuple[int | None, int | None]) -> None:
    row, _ = flows_of([*fields, (1, 4)], record + bytes(4))
    assert (row["icmp_type"], row["icmp_code"]) == kind


def test_ports_of_udp_and_tcp_only_where_7_and_11_are_absent() -> None:
    both, _ = flows_of([(7, 2), (11, 2), (181, 2), (182, 2)], struct.pack(">HHHH", 1, 2, 0, 9))
    assert (both["source_port"], both["destination_port"]) == (1, 2)
    alone, _ = flows_of([(180, 2), (182, 2), (181, 2), (183, 2)], struct.pack(">HHHH", 53, 0, 1024, 0))
    assert (alone["source_port"], alone["destination_port"]) == (53, 1024)


def test_mpls_mac_and_text() -> None:
    row, _ = flows_of(
        [(70, 3), (71, 3), (56, 6), (96, 8), (33000, 12)],
        b"\x12\x34\x51" + bytes(3) + b"\0\1\2\3\4\5" + b"h\xffttp\0\0\0" + bytes(12),
        version=9,
    )
    assert (row["mpls_label_1"], row["mpls_label_2"], row["source_mac"]) == (0x12345, None, 0x000102030405)
    assert row["application_name"] == "h\ufffdttp"
    assert row["ingress_acl"] is None


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 2**32 - 1), st.binary(max_size=9)), min_size=1, max_size=6))
def test_variable_length(rows: list[tuple[bytes, int, bytes]]) -> None:
    """Records with a text and an unknown element of variable length (RFC 7011, section 7) around a counter."""
    fields = [(96, 65535), (1, 4), (7, 65535, 9)]
    content = b"".join(
        (bytes([len(text)]) if len(text) < 255 else b"\xff" + struct.pack(">H", len(text)))
        + text
        + struct.pack(">I", octets)
        + bytes([len(other)])
        + other
        for text, octets, other in rows
    )
    flows, decoder = build.decode(ipfix(one_set(2, template(256, fields)), one_set(256, content + bytes(3))))
    assert flows["octets"].to_list() == [octets for _, octets, _ in rows]
    wanted = [text[:256].rstrip(b"\0").decode("utf-8", "replace") or None for text, _, _ in rows]
    assert flows["application_name"].to_list() == wanted
    assert build.exporter_of(decoder)["malformed"] == {}


def test_variable_length_beyond_the_set_is_counted() -> None:
    flows, decoder = build.decode(ipfix(one_set(2, template(256, [(1, 4), (96, 65535)])), one_set(256, b"\0\0\0\1\x20abc")))
    assert len(flows) == 0
    assert build.exporter_of(decoder)["malformed"] == {"record cut short": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (struct.pack(">HHHH", 300, 2, 1, 4), "template cut short"),
        (struct.pack(">HHHH", 200, 1, 1, 4), "template id below 256"),
        (template(300, [(1, 0)]), "template without octets"),
        (template(300, [(4, 1)]), "template shorter than 4 octets"),
        (template(300, [(1, 40000), (2, 40000)]), "template longer than any message"),
        (template(300, [(1, 4)] * 513), "template of more than 512 fields"),
    ],
)
@pytest.mark.parametrize("version", [9, 10])
def test_bad_template_is_counted(content: bytes, reason: str, version: int) -> None:
    datagram = netflow9(one_set(0, content)) if version == 9 else ipfix(one_set(2, content))
    _, decoder = build.decode(datagram)
    build.decode(datagram, decoder=decoder)
    assert build.exporter_of(decoder)["malformed"] == {reason: 2}
    assert build.exporter_of(decoder)["templates"] == 0


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (b"\1\x2c\0\3", "set shorter than its header"),
        (b"\1\x2c\0\x40" + bytes(4), "set cut short"),
        (one_set(77, bytes(4)), "reserved set id 77"),
        (one_set(300, b"abc"), "record cut short"),
    ],
)
def test_bad_set_is_counted(sets: bytes, reason: str) -> None:
    _, decoder = build.decode(netflow9(V9_TEMPLATE, sets))
    assert build.exporter_of(decoder)["malformed"] == {reason: 1} | ({"record cut short": 1} if reason == "set cut short" else {})


def test_templates_of_a_domain_are_bounded() -> None:
    sets = [one_set(0, b"".join(template(256 + n, [(1, 4)]) for n in range(base, base + 100))) for base in range(0, 5000, 100)]
    _, decoder = build.decode(*(netflow9(one, sequence=n) for n, one in enumerate(sets)))
    status = build.exporter_of(decoder)
    assert status["templates"] == 4096
    assert status["malformed"] == {"more than 4096 templates": 904}


def test_saved_templates_are_taken_back() -> None:
    options = one_set(3, struct.pack(">HHHHHHH", 400, 2, 1, 143, 4, 160, 8)) + one_set(
        400, struct.pack(">IQ", 1, 1_699_999_000_000)
    )
    _, decoder = build.decode(ipfix(IPFIX_TEMPLATE, options, one_set(2, template(301, [(22, 4), (5, 65535, 9)]))))
    saved = decoder.save_templates()
    again = Decoder()
    assert again.load_templates(saved) == 0
    assert again.save_templates() == saved
    assert [len(frame) for frame in again.decode(build.block([ipfix(one_set(300, small(1, 10)))]))] == [1]
    (frame,) = again.decode(build.block([ipfix(one_set(301, struct.pack(">IB", 1000, 0)))]))
    assert frame["flow_start"].cast(pl.Int64).to_list() == [1_699_999_001_000_000]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["version", "domains", "exporter", "protocol", "domain", "system_init_ms", "templates", "id", "fields"]
            ),
            inner,
        )
    ),
)


@given(JSON, st.sampled_from(["exporter", "protocol", "domain", "system_init_ms", "templates"]))
def test_corrupt_saved_templates_are_refused(value: Any, key: str) -> None:
    decoder = Decoder()
    decoder.load_templates(value)
    entry = {"exporter": "192.0.2.1", "protocol": 9, "domain": 1, "system_init_ms": 0, "templates": []} | {key: value}
    assert decoder.load_templates({"version": 1, "domains": [entry]}) in (0, 1)
    assert decoder.load_templates({"version": 2}) == 1
    assert any("not usable" in text for _, text in decoder.events)


def test_joined_frames_keep_the_order_of_arrival() -> None:
    datagrams = [netflow9(V9_TEMPLATE, one_set(300, small(n, n)), sequence=n) for n in range(50)]
    assert joined(Decoder().decode(build.block(datagrams)))["octets"].to_list() == list(range(50))
