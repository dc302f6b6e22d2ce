"""Limits: what a hostile or broken sender may take of memory and time, and that what is beyond is counted."""

from __future__ import annotations

import struct

import pytest

from nftui.capture import exporters, interfaces, options, template_sets
from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.decoder import Decoder
from nftui.capture.exporters import SILENT_US
from nftui.capture.interfaces import Interfaces
from nftui.units import SECOND
from tests.capture import build, corpus
from tests.capture.build import PROTOCOL_AND_OCTETS, ipfix, netflow9, one_set, small, template


def malformed(decoder: Decoder) -> object:
    return build.exporter_of(decoder)["malformed"]


def unread(decoder: Decoder) -> object:
    return build.exporter_of(decoder)["unread"]


def test_fields_of_one_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "MAX_FIELDS_EACH", 10)
    _, decoder = build.decode(netflow9(one_set(0, b"".join(template(300 + n, [(1, 4), (2, 4), (4, 1)]) for n in range(5)))))
    assert malformed(decoder) == {"more than 10 template fields": 2}
    flows, _ = build.decode(netflow9(one_set(300, struct.pack(">IIB", 1, 2, 6)), sequence=1), decoder=decoder)
    assert flows["octets"].to_list() == [1]


def test_fields_of_all_exporters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "MAX_ALL_FIELDS", 10)
    decoder = Decoder()
    said = netflow9(one_set(0, template(300, [(1, 4), (2, 4), (4, 1)])))
    decoder.decode(build.block([said] * 5, [MAPPED_PREFIX + bytes([10, 0, 0, n]) for n in range(5)]))
    counted = [one["malformed"] for one in decoder.status(0)["exporters"]]
    assert counted == [{}] * 3 + [{"more than 10 template fields of all exporters": 1}] * 2


def test_observation_domains_of_one_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "MAX_DOMAINS_EACH", 3)
    _, decoder = build.decode(*(netflow9(one_set(0, template(300, PROTOCOL_AND_OCTETS)), source_id=n) for n in range(5)))
    status = build.exporter_of(decoder)
    assert (status["domains"], status["datagrams"]) == ([0, 1, 2], 5)
    assert status["unread"] == {"too many exporters or domains": 2}


def test_exporters_that_were_silent_for_long_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "MAX_EXPORTERS", 3)
    decoder = Decoder()
    record = netflow9(one_set(0, template(300, PROTOCOL_AND_OCTETS)), one_set(300, small(1, 1)))

    def at(seconds: int, *last: int) -> list[str]:
        block = build.block([record] * len(last), [MAPPED_PREFIX + bytes([10, 0, 0, one]) for one in last])
        block.received[:] += seconds * SECOND
        decoder.decode(block)
        return [one["address"] for one in decoder.status(0)["exporters"]]

    assert at(0, 1, 2, 3) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert at(60, 4)[:3] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    hour = SILENT_US // SECOND
    at(hour, 3)
    assert at(hour + 120, 5) == ["10.0.0.3", "10.0.0.5", "(other)"]
    assert len(decoder.save_templates()["domains"]) == 2


def test_templates_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_sets, "MAX_PARSED", 10)
    said = [netflow9(one_set(0, template(300 + n, [(1, 4)])), sequence=n) for n in range(15)]
    _, decoder = build.decode(*said)
    assert build.exporter_of(decoder)["templates"] == 10
    assert malformed(decoder) == {template_sets.TOO_MANY_PARSED: 5}
    for _ in range(2):
        build.decode(*said, decoder=decoder)
    assert build.exporter_of(decoder)["templates"] == 15, "said again, they are taken"


def test_data_of_many_templates_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_sets, "MAX_LAYOUTS", 4)
    said = one_set(2, b"".join(template(300 + n, [(1, 4), (900 + n, 1)]) for n in range(6)))
    data = b"".join(one_set(300 + n, struct.pack(">IB", n, 0)) for n in range(6))
    flows, decoder = build.decode(ipfix(said, data))
    assert sorted(flows["octets"].to_list()) == [0, 1, 2, 3]
    assert unread(decoder) == {template_sets.TOO_MANY_LAYOUTS: 2}


def test_names_of_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "MAX_NAMES", 5)
    table = one_set(1, struct.pack(">HHHHHHHHH", 502, 4, 8, 2, 4, 82, 8, 83, 8))
    table += one_set(502, b"".join(struct.pack(">I8s8s", n, b"eth", b"") for n in range(9)))
    _, decoder = build.decode(netflow9(table))
    assert len(decoder.interfaces()["192.0.2.1"]) == 5


def test_interfaces_of_one_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "MAX_INTERFACES", 2)
    some = Interfaces()
    assert [some.update(index, index, 0, 3, {"in_octets": 5}) for index in (1, 2, 3, 1)] == [True, True, False, True]


def test_rates_of_an_interface() -> None:
    some = Interfaces()
    for when, octets in ((0, 100), (10 * SECOND, 1100), (10 * SECOND, 1100), (20 * SECOND, 50), (30 * SECOND, 150)):
        some.update(1, when, 10**9, 3, {"in_octets": octets})
        shown = some.as_dict()["1"]
        assert shown.get("in_octets_per_s") == {100: None, 1100: 100.0, 50: None, 150: 10.0}[octets]
        assert (shown["in_octets"], shown["speed"], shown["status"]) == (octets, 10**9, 3)


def test_what_is_kept_of_all_exporters(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many observation domains it is said in."""
    monkeypatch.setattr(exporters, "MAX_ENTRIES", 20)
    table = one_set(1, struct.pack(">HHHHHHHHH", 502, 4, 8, 2, 4, 82, 8, 83, 8))
    table += one_set(502, b"".join(struct.pack(">I8s8s", n, b"eth", b"") for n in range(6)))
    _, decoder = build.decode(*(netflow9(table, source_id=n) for n in range(10)))
    kept = [len(domain.tables.interfaces) for domain in decoder._exporters.domains.values()]
    assert sum(kept) <= 20 + 6
    assert unread(decoder) == {template_sets.NO_ROOM_FOR_OPTIONS: 6 * kept.count(0)}
    (only,) = decoder._exporters.by_address.values()
    named = len(only.unread) + len(only.told)
    assert decoder._exporters.entries == only.entries == named + sum(part.tables.size for part in only.parts.values())
    again = Decoder()
    again.load_templates(decoder.save_templates())
    (only,) = again._exporters.by_address.values()
    assert again._exporters.entries == len(only.told) + sum(part.tables.size for part in only.parts.values())


def test_interfaces_of_all_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "MAX_ENTRIES", 0)
    decoder = corpus.decode(corpus.capture_of(corpus.case("sflow-telegraf-15918")))
    assert decoder.counted("unread") == {"counters of too many interfaces": 1}
