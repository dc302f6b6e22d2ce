"""Biflows: the other half of a record is a row of its own, and nothing is counted twice."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nftui.capture.decoder import Decoder
from tests.capture import build
from tests.capture.build import ipfix, netflow9, one_set, template
from tests.capture.corpus import _address

PEN = 29305
FIELDS = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (5, 1), (10, 4), (14, 4), (1, 8), (2, 8)]
BACK = [(1, 8, PEN), (2, 8, PEN), (6, 1, PEN)]
FORM = ">4s4sHHBBBIIQQQQB"


def biflow(sent: tuple[int, int], answered: tuple[int, int], protocol: int = 6) -> bytes:
    return struct.pack(
        FORM, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 5000, 443, protocol, 0x1B, 0x10, 3, 4, *sent, *answered, 0x12
    )


def rows_of(*records: bytes) -> tuple[list[dict[str, Any]], Decoder]:
    flows, decoder = build.decode(ipfix(one_set(2, template(300, FIELDS + BACK)), one_set(300, b"".join(records))))
    return flows.to_dicts(), decoder


def test_the_other_half_is_turned_round() -> None:
    (there, back), decoder = rows_of(biflow((1000, 10), (500, 5)))
    assert (there["octets"], there["packets"], there["tcp_flags"], there["tos"], there["reverse"]) == (1000, 10, 0x1B, 0x10, None)
    assert (back["octets"], back["packets"], back["tcp_flags"], back["tos"], back["reverse"]) == (500, 5, 0x12, None, True)
    assert (_address(back["source_address"]), _address(back["destination_address"])) == ("10.0.0.2", "10.0.0.1")
    assert (back["source_port"], back["destination_port"]) == (443, 5000)
    assert (back["ingress_interface"], back["egress_interface"]) == (4, 3)
    for same in ("protocol", "received", "exporter_address", "observation_domain", "template_id", "protocol_version"):
        assert back[same] == there[same], same
    status = build.exporter_of(decoder)
    assert (status["flows"], status["reverse_flows"], decoder.status(0)["flows"]) == (2, 1, 2)


def test_icmp_has_no_ports_to_turn() -> None:
    (_, back), _ = rows_of(biflow((1000, 10), (500, 5), protocol=1))
    assert (back["source_port"], back["destination_port"]) == (None, None)


@given(st.lists(st.tuples(*[st.integers(0, 2**40)] * 4), min_size=1, max_size=20))
def test_sums_of_both_halves_are_those_of_the_wire(counts: list[tuple[int, int, int, int]]) -> None:
    rows, _ = rows_of(*(biflow(one[:2], one[2:]) for one in counts))
    assert sum(row["octets"] for row in rows) == sum(one[0] + one[2] for one in counts)
    assert sum(row["packets"] for row in rows) == sum(one[1] + one[3] for one in counts)
    assert sum(row["reverse"] is True for row in rows) == sum(any(one[2:]) for one in counts)


def test_what_the_responder_sent() -> None:
    """As firewalls tell it: initiatorOctets, responderOctets, initiatorPackets, responderPackets."""
    fields = [(8, 4), (12, 4), (231, 4), (232, 4), (298, 4), (299, 4)]
    content = struct.pack(">4s4sIIII", bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 100, 900, 1, 9)
    flows, _ = build.decode(netflow9(one_set(0, template(300, fields)), one_set(300, content)))
    assert flows.select("octets", "packets", "reverse").rows() == [(100, 1, None), (900, 9, True)]


def test_times_of_the_other_half() -> None:
    fields = [(152, 8), (153, 8), (1, 4), (152, 8, PEN), (1, 4, PEN)]
    content = struct.pack(">QQIQI", 1000, 9000, 10, 2000, 20)
    flows, _ = build.decode(ipfix(one_set(2, template(300, fields)), one_set(300, content)))
    assert flows["flow_start"].dt.epoch("ms").to_list() == [1000, 2000]
    assert flows["flow_end"].dt.epoch("ms").to_list() == [9000, 9000]


def test_sampling_scales_both_halves() -> None:
    fields = [(1, 4), (34, 4), (1, 4, PEN)]
    flows, _ = build.decode(ipfix(one_set(2, template(300, fields)), one_set(300, struct.pack(">III", 10, 100, 20))))
    assert flows.select("octets", "sampling_interval").rows() == [(10, 100), (20, 100)]
