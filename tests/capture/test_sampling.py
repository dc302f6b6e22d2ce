"""Sampling: every source of an interval, which of them holds, and what is refused."""

from __future__ import annotations

import struct

import pytest

from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.decoder import Decoder, Rules
from tests.capture import build
from tests.capture.build import ipfix, netflow9, one_set, template
from tests.capture.corpus import joined
from tests.capture.test_netflow5 import simple

OCTETS = [(1, 4)]
WITH_SAMPLER = [(1, 4), (48, 1)]
WITH_INTERFACE = [(1, 4), (10, 2)]


def options9(scopes: list[tuple[int, int]], fields: list[tuple[int, int]], record: bytes) -> bytes:
    """Return an options template of NetFlow v9 and a record of it."""
    specs = b"".join(struct.pack(">HH", *one) for one in (*scopes, *fields))
    return one_set(1, struct.pack(">HHH", 500, 4 * len(scopes), 4 * len(fields)) + specs) + one_set(500, record)


def options10(scopes: int, fields: list[tuple[int, int]], record: bytes) -> bytes:
    """Return an options template of IPFIX and a record of it."""
    specs = b"".join(struct.pack(">HH", *one) for one in fields)
    return one_set(3, struct.pack(">HHH", 500, len(fields), scopes) + specs) + one_set(500, record)


def sampled(
    options: bytes, fields: list[tuple[int, int]], *records: bytes, version: int = 9
) -> list[tuple[int | None, str | None]]:
    """Return interval and source of flows that come after options."""
    make, template_set = (netflow9, 0) if version == 9 else (ipfix, 2)
    flows, _ = build.decode(make(options), make(one_set(template_set, template(300, fields)) + one_set(300, b"".join(records))))
    return flows.select("sampling_interval", "sampling_source").rows()


def record(*values: int, form: str = ">I") -> bytes:
    return struct.pack(form, *values)


def test_interval_of_the_whole_exporter_by_options_of_netflow9() -> None:
    told = options9([(1, 4)], [(34, 4), (35, 1)], struct.pack(">IIB", 1, 100, 2))
    assert sampled(told, OCTETS, record(10)) == [(100, "options")]


def test_interval_by_sampler() -> None:
    told = options9([(1, 4)], [(48, 1), (49, 1), (50, 4)], struct.pack(">IBBI", 1, 3, 2, 1000) + struct.pack(">IBBI", 1, 4, 2, 10))
    rows = sampled(told, WITH_SAMPLER, *(record(10, n, form=">IB") for n in (3, 4, 0, 5)))
    assert rows == [(1000, "options"), (10, "options"), (None, None), (None, None)]


def test_unknown_sampler_is_counted() -> None:
    told = options9([(1, 4)], [(48, 1), (50, 4)], struct.pack(">IBI", 1, 3, 1000))
    flows, decoder = build.decode(netflow9(told, one_set(0, template(300, WITH_SAMPLER)), one_set(300, record(10, 9, form=">IB"))))
    assert flows["sampling_interval"].to_list() == [None]
    assert build.exporter_of(decoder)["unread"] == {"interval of the record's sampler not known": 1}


def test_interval_by_interface() -> None:
    told = options9([(2, 4)], [(34, 4)], struct.pack(">IIII", 7, 50, 8, 60))
    rows = sampled(told, WITH_INTERFACE, *(record(10, n, form=">IH") for n in (7, 8, 9)))
    assert rows == [(50, "options"), (60, "options"), (None, None)]


@pytest.mark.parametrize(
    ("fields", "told", "interval"),
    [
        ([(305, 4), (306, 4)], struct.pack(">II", 1, 999), 1000),
        ([(305, 4), (306, 4)], struct.pack(">II", 2, 3), 3),
        ([(305, 4), (306, 4)], struct.pack(">II", 0, 3), None),
        ([(309, 4), (310, 4)], struct.pack(">II", 10, 1280), 128),
        ([(311, 8)], struct.pack(">d", 1 / 256), 256),
        ([(311, 8)], struct.pack(">d", float("nan")), None),
        ([(34, 4)], struct.pack(">I", 64), 64),
    ],
    ids=["1 in 1000", "2 in 5", "none", "of a population", "probability", "no number", "as v9"],
)
def test_selectors_of_ipfix(fields: list[tuple[int, int]], told: bytes, interval: int | None) -> None:
    """RFC 5477: the record names its selector, or there is but one."""
    options = options10(1, [(302, 8), *fields], struct.pack(">Q", 5) + told)
    wanted = [(interval, "options" if interval else None)]
    assert sampled(options, [(1, 4), (302, 8)], record(10, 5, form=">IQ"), version=10) == wanted
    assert sampled(options, OCTETS, record(10), version=10) == wanted


def test_of_two_selectors_none_holds_for_a_record_that_names_none() -> None:
    told = options10(1, [(302, 4), (34, 4)], struct.pack(">IIII", 1, 10, 2, 20))
    assert sampled(told, OCTETS, record(10), version=10) == [(None, None)]


def test_the_record_itself_comes_before_options() -> None:
    told = options9([(1, 4)], [(34, 4)], struct.pack(">II", 1, 100))
    assert sampled(told, [(1, 4), (34, 4)], record(10, 5, form=">II"), record(10, 0, form=">II")) == [
        (5, "record"), (100, "options"),
    ]  # fmt: skip
    fields = [(1, 4), (305, 4), (306, 4)]
    assert sampled(told, fields, record(10, 1, 9, form=">III")) == [(10, "record")]


def test_the_users_word_comes_first() -> None:
    mine = MAPPED_PREFIX + bytes([192, 0, 2, 1])
    decoder = Decoder(Rules(sampling=lambda address: 7 if address == mine else 0))
    flows, _ = build.decode(build.netflow5([simple(octets=1)], sampling=0x4000 | 100), decoder=decoder)
    assert flows.select("sampling_interval", "sampling_source").rows() == [(7, "configured")]
    other = joined(decoder.decode(build.block([build.netflow5([simple(octets=1)], sampling=100)], [mine[:-1] + b"\2"])))
    assert other.select("sampling_interval", "sampling_source").rows() == [(100, "header")]


def test_which_interval_holds_is_in_the_status() -> None:
    _, decoder = build.decode(build.netflow5([simple(octets=1)], sampling=100))
    assert build.exporter_of(decoder)["sampling"] == {"header": 100}


def test_options_hold_from_their_place_on() -> None:
    """In one block or in several, flows before the options are as the exporter's older word has it."""
    flow = one_set(0, template(300, OCTETS)) + one_set(300, record(10))
    datagrams = [netflow9(flow), netflow9(options9([(1, 4)], [(34, 4)], struct.pack(">II", 1, 100)), sequence=1)]
    datagrams += [
        netflow9(flow, sequence=2),
        netflow9(one_set(500, struct.pack(">II", 1, 200)), sequence=3),
        netflow9(flow, sequence=4),
    ]
    decoder, alone = Decoder(), []
    for one in datagrams:
        alone += decoder.decode(build.block([one]))
    together, _ = build.decode(*datagrams)
    assert joined(alone)["sampling_interval"].to_list() == together["sampling_interval"].to_list() == [None, 100, 200]


def test_absurd_intervals_are_refused_and_counted() -> None:
    flows, decoder = build.decode(
        netflow9(
            one_set(0, template(300, [(1, 8), (34, 4)])), one_set(300, record(10, 2**32 - 1, 2**40, 2**20, 1, 2, form=">QIQIQI"))
        )
    )
    assert flows["sampling_interval"].to_list() == [None, None, 2]
    assert build.exporter_of(decoder)["malformed"] == {
        "sampling interval beyond 100,000,000": 1,
        "sampling would scale a counter beyond 2^56": 1,
    }


def test_tables_survive_a_restart() -> None:
    told = options9([(1, 4)], [(48, 1), (50, 4)], struct.pack(">IBI", 1, 3, 1000))
    _, decoder = build.decode(netflow9(told))
    again = Decoder()
    assert again.load_templates(decoder.save_templates()) == 0
    flows, _ = build.decode(
        netflow9(one_set(0, template(300, WITH_SAMPLER)), one_set(300, record(10, 3, form=">IB"))), decoder=again
    )
    assert flows["sampling_interval"].to_list() == [1000]


def test_a_flood_of_options_records_is_bounded() -> None:
    told = one_set(1, struct.pack(">HHHHHHH", 500, 4, 4, 2, 4, 34, 4))
    records = [b"".join(struct.pack(">II", 1000 * n + m, 5) for m in range(100)) for n in range(100)]
    datagrams = [netflow9(told), *(netflow9(one_set(500, some), sequence=n + 1) for n, some in enumerate(records))]
    _, decoder = build.decode(*datagrams)
    status = build.exporter_of(decoder)
    assert status["options_records"] == 10_000
    assert status["unread"] == {"options records beyond 4096 at a time": 10_000 - 4096}


def test_names_of_applications_vrfs_and_interfaces() -> None:
    applications = options9([(1, 4)], [(95, 4), (96, 16)], struct.pack(">II16s", 1, 0x0D000001, b"http"))
    _, decoder = build.decode(netflow9(applications))
    vrfs = one_set(1, struct.pack(">HHHHHHHHH", 501, 4, 8, 1, 4, 234, 4, 236, 8)) + one_set(501, struct.pack(">II8s", 1, 9, b"red"))
    names = one_set(1, struct.pack(">HHHHHHHHH", 502, 4, 8, 2, 4, 82, 8, 83, 8))
    names += one_set(502, struct.pack(">I8s8s", 3, b"Gi0/3", b"uplink"))
    build.decode(netflow9(vrfs + names, sequence=1), decoder=decoder)
    fields = [(1, 4), (95, 4), (234, 4)]
    content = record(10, 0x0D000001, 9, form=">III") + record(20, 0x0D000002, 8, form=">III")
    flows, _ = build.decode(netflow9(one_set(0, template(300, fields)) + one_set(300, content), sequence=2), decoder=decoder)
    assert flows.select("application_name", "vrf_name").rows() == [("http", "red"), (None, None)]
    assert decoder.interfaces() == {"192.0.2.1": {"3": {"name": "Gi0/3", "description": "uplink"}}}


def test_of_two_records_for_the_same_the_last_said_holds() -> None:
    """Said again they hold again, in whatever blocks they come."""
    told = one_set(1, struct.pack(">HHHHHHH", 500, 4, 4, 1, 4, 34, 4))
    one, two = struct.pack(">II", 1, 10), struct.pack(">II", 1, 20)
    flow = one_set(0, template(300, OCTETS)) + one_set(300, record(10))
    datagrams = [netflow9(told)]
    for number, said in enumerate([one + two, two + one, one + two, one + two + one], 1):
        datagrams += [netflow9(one_set(500, said), sequence=2 * number - 1), netflow9(flow, sequence=2 * number)]
    decoder, alone = Decoder(), []
    for datagram in datagrams:
        alone += decoder.decode(build.block([datagram]))
    together, _ = build.decode(*datagrams)
    assert joined(alone)["sampling_interval"].to_list() == together["sampling_interval"].to_list() == [20, 10, 20, 10]
