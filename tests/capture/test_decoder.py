"""The decoder as a whole: any octets decode or are counted, and nothing that a sender can choose grows without bound."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui import schema
from nftui.capture import exporters
from nftui.capture.datagrams import MAPPED_PREFIX, DatagramBlock
from nftui.capture.decoder import Decoder
from nftui.capture.pcap import read_capture
from tests.capture import build, corpus
from tests.capture.build import ipfix, netflow9, one_set, small, template

SEEDS = [
    "nf5-telegraf",
    "nf9-ls-nprobe-softflowd",
    "nf9-ls-cisco-asa-1",
    "ipfix-ls-ixia-256",
    "ipfix-telegraf",
    "ipfix-bitkeks-softflowd",
]
CAPTURED = [
    block.payload[row, : block.length[row]].tobytes()
    for name in SEEDS
    for block in read_capture(corpus.capture_of(corpus.case(name)))
    for row in range(len(block.length))
]
VERSIONED = st.builds(lambda version, rest: struct.pack(">H", version) + rest, st.sampled_from([5, 9, 10]), st.binary(max_size=120))


def check(decoder: Decoder, datagrams: list[bytes]) -> None:
    """Decode, and check that frames are as the schema says and that each datagram left a trace."""
    frames = decoder.decode(build.block(datagrams))
    for frame in frames:
        assert all(frame.schema[name] == schema.POLARS[name] for name in frame.columns)
        assert len(frame) > 0
    status = decoder.status(build.NOW * 1_000_000)
    json.dumps(status)
    assert sum(one["datagrams"] for one in status["exporters"]) == status["datagrams"]
    assert sum(one["flows"] for one in status["exporters"]) == status["flows"]
    assert sum(one["octets"] for one in status["exporters"]) >= sum(map(len, datagrams))
    json.dumps(decoder.save_templates())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=120), VERSIONED), min_size=1, max_size=8))
def test_any_octets_decode_or_are_counted(datagrams: list[bytes]) -> None:
    decoder = Decoder()
    check(decoder, datagrams)
    assert decoder.status(0)["datagrams"] == len(datagrams)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_captures_decode_or_are_counted(data: st.DataObject) -> None:
    """Octets of real exports are changed; the templates that they announce are kept."""
    decoder = Decoder()
    for _ in range(2):
        some = data.draw(st.lists(st.sampled_from(CAPTURED), min_size=1, max_size=4))
        changed = []
        for datagram in some:
            octets = bytearray(datagram)
            for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(octets) - 1), st.integers(0, 255)), max_size=6)):
                octets[place] = value
            changed.append(bytes(octets))
        check(decoder, changed)


def test_protocol_not_known_is_counted_with_its_first_octets() -> None:
    _, decoder = build.decode(b"GET / HTTP/1.1", b"\0\0\0\5abcd", b"", struct.pack(">HH", 8, 1))
    assert build.exporter_of(decoder)["unread"] == {
        "unknown protocol, first octets 47 45": 1,
        "unknown protocol, first octets none": 1,
        "unknown protocol, first octets 00 08": 1,
    }
    assert build.exporter_of(decoder)["malformed"] == {"agent address of unknown kind": 1}


def test_port_6343_is_sflow_whatever_the_content() -> None:
    decoder = Decoder()
    assert decoder.decode(build.block([build.netflow5([bytes(48)])], local_port=6343)) == []
    status = build.exporter_of(decoder)
    assert (status["malformed"], status["datagrams"], status["domains"]) == ({"version other than 5": 1}, 1, [])


def test_empty_and_narrow_blocks() -> None:
    decoder = Decoder()
    none = np.empty(0, np.int64)
    assert decoder.decode(DatagramBlock(np.empty((0, 10), np.uint8), none, np.empty((0, 16), np.uint8), none, none, 1)) == []
    one = np.array([4], np.int64)
    narrow = DatagramBlock(np.array([[0, 9, 0, 0]], np.uint8), one, np.zeros((1, 16), np.uint8), one, one, 1)
    assert decoder.decode(narrow) == []
    assert build.exporter_of(decoder)["malformed"] == {"datagram shorter than its header": 1}


def test_exporters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "MAX_EXPORTERS", 10)
    addresses = [MAPPED_PREFIX + bytes([10, 0, 0, n]) for n in range(30)]
    record = netflow9(one_set(0, template(300, build.PROTOCOL_AND_OCTETS)), one_set(300, small(1, 1)))
    decoder = Decoder()
    frames = decoder.decode(build.block([record] * 30, addresses))
    assert sum(map(len, frames)) == 10
    decoder.decode(build.block([build.netflow5([bytes(48)])] * 30, addresses))
    decoder.decode(build.block([b"??"] * 30, addresses))
    status = decoder.status(0)
    assert len(status["exporters"]) == 11
    other = status["exporters"][-1]
    assert (other["address"], other["datagrams"], other["flows"]) == ("(other)", 60, 0)
    assert other["unread"] == {"too many exporters or domains": 40, "unknown protocol": 20}


def test_reasons_and_unknown_elements_are_bounded() -> None:
    decoder = Decoder()
    decoder.decode(build.block([struct.pack(">H", 1000 + n) for n in range(500)]))
    unread = build.exporter_of(decoder)["unread"]
    assert isinstance(unread, dict)
    assert len(unread) <= exporters.MAX_REASONS + 1
    assert sum(unread.values()) == 500
    assert len(decoder.events) < 500


def test_events_name_the_exporter_and_are_few() -> None:
    decoder = Decoder()
    for _ in range(20):
        decoder.decode(build.block([netflow9(one_set(7, b""))]))
    told = [text for _, text in decoder.events]
    assert told[0] == "192.0.2.1: new exporter"
    assert told.count("192.0.2.1: malformed: reserved set id 7") == 3


def test_status_of_an_exporter() -> None:
    _, decoder = build.decode(ipfix(one_set(2, template(300, build.PROTOCOL_AND_OCTETS)), one_set(300, small(1, 1) + small(2, 2))))
    (status,) = decoder.status((build.NOW + 1) * 1_000_000)["exporters"]
    assert status == {
        "address": "192.0.2.1", "name": "", "domains": [7], "protocol": "IPFIX",
        "datagrams": 1, "octets": 78, "flows": 2, "reverse_flows": 0,
        "options_records": 0, "sequence_lost": 0, "templates": 1, "templates_awaited": [], "templates_replaced": 0,
        "templates_expired": 0, "held_back": 0,
        "released": 0, "malformed": {}, "unread": {}, "unknown_elements": {}, "samples": {}, "discards": {}, "sampling": {},
        "restarts": 0, "clock_skew_s": 0.0, "clock_correction_s": 0.0, "watermark_s": None,
        "last_seen": "2023-11-14T22:13:20.000000Z", "known_since": "2023-11-14T22:13:20.000000Z", "flows_per_s": 2.0,
        "datagrams_per_s": 1.0, "lost": {}, "gaps": 0, "last_gap": None, "last_restart": None, "started": None, "silent": False,
        "held_octets": 0,
        "observation_domains": [
            {
                "number": 7, "protocol": "IPFIX", "templates": [300], "options_templates": [], "awaited": [], "clock_skew_s": 0.0,
            }
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "lost", "restarts"),
    [
        ([1, 2, 3], 0, 0),
        ([1, 2, 5], 2, 0),
        ([1, 3, 2, 4], 0, 0),
        ([1, 2, 2, 3], 0, 0),
        ([2**32 - 1, 0, 1], 0, 0),
        ([5000, 5001, 0, 1], 0, 1),
        ([5, 2**31 - 9, 2**31 - 8], 0, 1),
    ],
    ids=["all", "gap", "late", "twice", "wrap", "restart", "elsewhere"],
)
def test_sequence_of_netflow9(numbers: list[int], lost: int, restarts: int) -> None:
    together, alone = Decoder(), Decoder()
    datagrams = [netflow9(sequence=number) for number in numbers]
    together.decode(build.block(datagrams))
    for datagram in datagrams:
        alone.decode(build.block([datagram]))
    for decoder in (together, alone):
        status = build.exporter_of(decoder)
        assert (status["sequence_lost"], status["restarts"]) == (lost, restarts)


def test_sequence_of_ipfix_counts_records() -> None:
    sets = one_set(2, template(300, build.PROTOCOL_AND_OCTETS))
    two = one_set(300, small(1, 1) + small(2, 2))
    _, decoder = build.decode(ipfix(sets, two, sequence=10), ipfix(two, sequence=12), ipfix(two, sequence=20))
    assert build.exporter_of(decoder)["sequence_lost"] == 6
    build.decode(ipfix(one_set(999, bytes(4)), sequence=22), ipfix(two, sequence=500), decoder=decoder)
    assert build.exporter_of(decoder)["sequence_lost"] == 6
