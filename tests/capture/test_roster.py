"""What the status says of exporters: rates, losses, what waits, silence; events; and that it stays small for thousands of them."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from nftui.capture import roster
from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.decoder import Decoder, Rules
from nftui.capture.health import QUIET_US, STEADY_US, Health
from nftui.config import CollectorSettings, ExporterSettings
from nftui.engine.rules import rules_of
from nftui.units import SECOND
from tests.capture import build
from tests.capture.build import PROTOCOL_AND_OCTETS, ipfix, netflow9, one_set, small, template
from tests.capture.test_netflow5 import simple
from tests.capture.test_sampling import options9

NOW = build.NOW * SECOND
DATA = one_set(300, small(1, 10))
TEMPLATE = template(300, PROTOCOL_AND_OCTETS)


def sent(decoder: Decoder, *datagrams: bytes, at: int = 0, addresses: list[bytes] | None = None) -> None:
    """Let datagrams come, some seconds after `NOW`."""
    block = build.block(datagrams, addresses)
    block.received[:] += at * SECOND
    decoder.decode(block)


def entry(decoder: Decoder, at: float = 0) -> dict[str, Any]:
    (only,) = decoder.status(NOW + int(at * SECOND))["exporters"]
    return dict(only)


def told(decoder: Decoder) -> list[str]:
    return [text.removeprefix("192.0.2.1: ") for _, text in decoder.events if not text.endswith("new exporter")]


def test_rates_are_those_of_the_last_seconds() -> None:
    decoder = Decoder()
    for second in range(20):
        sent(decoder, *[build.netflow5([simple(octets=1)] * 3, sequence=second * 12 + n * 3) for n in range(4)], at=second)
        found = entry(decoder, second + 0.5)
    assert (found["flows_per_s"], found["datagrams_per_s"]) == (12.0, 4.0)
    rates = [entry(decoder, 20 + second)["flows_per_s"] for second in range(8)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.0
    assert entry(decoder, 300)["flows"] == 240


def test_the_rate_after_a_pause_is_no_average_over_the_pause() -> None:
    decoder = Decoder()
    sent(decoder, build.netflow5([simple(octets=1)] * 5))
    for second in range(10):
        entry(decoder, second)
    sent(decoder, build.netflow5([simple(octets=1)] * 20, sequence=5), at=1000)
    assert entry(decoder, 1000)["flows_per_s"] == 4.0


def test_losses_by_what_the_numbers_count_and_when() -> None:
    decoder = Decoder()
    sent(decoder, build.netflow5([simple(octets=1)]))
    sent(decoder, build.netflow5([simple(octets=1)], sequence=31), at=1)
    sent(decoder, netflow9(one_set(0, TEMPLATE), sequence=10), at=2)
    sent(decoder, netflow9(DATA, sequence=14), at=3)
    sent(decoder, netflow9(DATA, sequence=12), at=4)
    found = entry(decoder, 5)
    assert (found["lost"], found["sequence_lost"]) == ({"flows": 30, "datagrams": 2}, 32)
    assert (found["gaps"], found["last_gap"]) == (2, "2023-11-14T22:13:23.000000Z")
    assert told(decoder) == ["30 flows lost: gap in sequence numbers", "3 datagrams lost: gap in sequence numbers"]


def test_uptime_and_restarts() -> None:
    decoder = Decoder()
    sent(decoder, netflow9(DATA, uptime=600_000))
    assert entry(decoder)["started"] == "2023-11-14T22:03:20.000000Z"
    sent(decoder, netflow9(DATA, uptime=4000, sequence=1), at=10)
    found = entry(decoder, 10)
    assert (found["started"], found["restarts"], found["last_restart"]) == (
        "2023-11-14T22:13:26.000000Z", 1, "2023-11-14T22:13:30.000000Z",
    )  # fmt: skip


def test_the_start_of_an_ipfix_exporter_is_told_by_options() -> None:
    specs = struct.pack(">HHHH", 149, 4, 160, 8)
    options = one_set(3, struct.pack(">HHH", 500, 2, 1) + specs) + one_set(500, struct.pack(">IQ", 7, (build.NOW - 60) * 1000))
    decoder = Decoder()
    sent(decoder, ipfix(options))
    assert entry(decoder)["started"] == "2023-11-14T22:12:20.000000Z"


def test_templates_that_are_known_and_those_that_are_awaited() -> None:
    decoder = Decoder(Rules(held_age=30 * SECOND))
    sent(decoder, ipfix(one_set(2, TEMPLATE), one_set(301, small(1, 1))), ipfix(one_set(301, small(1, 1))))
    sent(decoder, ipfix(one_set(302, small(1, 1)), domain=9), at=5)
    found = entry(decoder, 5)
    assert found["templates_awaited"] == [301, 302]
    first, second = found["observation_domains"]
    assert (first["number"], first["protocol"], first["templates"]) == (7, "IPFIX", [300])
    (held,) = first["awaited"]
    assert (held["template"], held["sets"], held["until"]) == (301, 2, "2023-11-14T22:13:50.000000Z")
    assert found["held_octets"] == held["octets"] + second["awaited"][0]["octets"]
    assert found["held_octets"] == decoder.status(NOW + 5 * SECOND)["held_octets"]
    sent(decoder, ipfix(one_set(2, template(301, PROTOCOL_AND_OCTETS))), at=10)
    assert entry(decoder, 10)["templates_awaited"] == [302], "of its own domain only"
    assert told(decoder) == [
        "template 301 of domain 7 awaited: its data is held back",
        "template 302 of domain 9 awaited: its data is held back",
        "template 301 of domain 7 came, 2 sets waited",
    ]
    for at in (80, 150):
        sent(decoder, ipfix(DATA, sequence=2), at=at)
    found = entry(decoder, 150)
    assert (found["templates_awaited"], found["held_octets"], found["unread"]) == ([], 0, {"no template came": 1})


def test_what_waits_over_a_restart_is_awaited_again() -> None:
    before = Decoder()
    sent(before, ipfix(one_set(2, TEMPLATE), one_set(301, small(1, 1))), ipfix(one_set(301, small(1, 1)), domain=9))
    after = Decoder()
    after.load_templates(before.save_templates())
    after.load_held(before.save_held())
    assert entry(after)["templates_awaited"] == [301]
    sent(after, ipfix(one_set(301, small(1, 1)), domain=9))
    assert [domain["awaited"][0]["sets"] for domain in entry(after)["observation_domains"]] == [1, 2]
    assert not any("new exporter" in text for _, text in after.events), "it was known before"


def test_withdrawn_and_expired_templates_are_told() -> None:
    decoder = Decoder(Rules(template_lifetime=60 * SECOND))
    sent(decoder, ipfix(one_set(2, TEMPLATE + template(301, PROTOCOL_AND_OCTETS))))
    sent(decoder, ipfix(one_set(2, struct.pack(">HH", 301, 0))), at=1)
    sent(decoder, ipfix(DATA), at=200)
    assert told(decoder)[0] == "template 301 of domain 7 withdrawn"
    assert "template 300 of domain 7 not said again for too long: expired" in told(decoder)


def test_a_change_of_sampling_is_told_once() -> None:
    decoder = Decoder()
    for at, interval in enumerate((100, 100, 1000, 100, 1000)):
        sent(decoder, build.netflow5([simple(octets=1)], sampling=0x4000 | interval, sequence=at), at=at)
    assert told(decoder) == ["sampling (header) changed from 1 in 100 to 1 in 1,000"]
    assert entry(decoder, 5)["sampling"] == {"header": 1000}


def test_intervals_that_come_and_go_are_no_news_those_after_long_are() -> None:
    health = Health()
    assert [health.sampled("options", interval, at) for at, interval in enumerate((5, 7, 5, 7, 5))] == [0, 5, 0, 0, 0]
    later = 5 + 2 * STEADY_US
    assert [health.sampled("options", 5, later), health.sampled("options", 7, later + 1)] == [0, 5]
    for interval in range(1000):
        health.sampled("record", interval, later)
    assert len(health._intervals["record"]) == 16


def test_an_interface_that_is_renamed_is_told_and_names_and_descriptions_may_come_apart() -> None:
    decoder = Decoder()

    def named(element: int, words: bytes, sequence: int) -> bytes:
        fields = [(10, 4), (element, 8)]
        return netflow9(options9([(1, 4)], fields, struct.pack(">II8s", 1, 3, words)), sequence=sequence)

    for at, (element, words) in enumerate(((82, b"ge0"), (83, b"uplink"), (82, b"ge0"), (82, b"ge\x1b7"), (83, b"uplink"))):
        sent(decoder, named(element, words, at), at=at)
    assert decoder.interfaces()["192.0.2.1"]["3"] == {"name": "ge\x1b7", "description": "uplink"}
    assert told(decoder) == ["interface 3 renamed from 'ge0' to 'ge\\x1b7'"]


def test_silence_is_told_and_that_it_ended() -> None:
    decoder = Decoder()
    sent(decoder, build.netflow5([simple(octets=1)]))
    quiet = QUIET_US // SECOND
    assert not entry(decoder, quiet - 1)["silent"]
    assert entry(decoder, quiet + 1)["silent"]
    entry(decoder, quiet + 2)
    sent(decoder, build.netflow5([simple(octets=1)], sequence=1), at=quiet + 60)
    assert not entry(decoder, quiet + 60)["silent"]
    assert told(decoder) == ["silent: nothing came for 5m", "heard again"]


def addresses(number: int) -> list[bytes]:
    return [MAPPED_PREFIX + struct.pack(">I", 0x0A000000 + n) for n in range(number)]


def test_many_that_fall_silent_are_one_event() -> None:
    decoder = Decoder()
    sent(decoder, *[build.netflow5([simple(octets=1)])] * 50, addresses=addresses(50))
    before = len(decoder.events)
    decoder.status(NOW + QUIET_US + SECOND)
    assert [text for _, text in list(decoder.events)[before:]] == ["50 exporters silent: nothing came for 5m"]


def test_events_of_a_kind_are_few_whatever_their_words() -> None:
    decoder = Decoder()
    for n in range(200):
        sent(decoder, netflow9(one_set(400 + n, small(1, 1)), sequence=n * 10))
    assert len(told(decoder)) == 2 * 3


def test_entries_that_did_not_change_are_the_same_and_nothing_is_missed() -> None:
    decoder = Decoder(Rules(held_age=30 * SECOND))
    sent(decoder, ipfix(one_set(301, small(1, 1))))
    for second in range(10):
        entry(decoder, second)
    (kept,) = decoder.status(NOW + 20 * SECOND)["exporters"]
    (again,) = decoder.status(NOW + 21 * SECOND)["exporters"]
    assert again is kept
    decoder.note(build.EXPORTER, NOW, "not IPFIX")
    assert entry(decoder, 22)["malformed"] == {"not IPFIX": 1}
    decoder.finish()
    assert entry(decoder, 23)["templates_awaited"] == []


def test_of_very_many_some_are_made_anew_at_a_time_and_all_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "ANEW", 10)
    decoder = Decoder()
    record = build.netflow5([simple(octets=1)])
    sent(decoder, *[record] * 45, addresses=addresses(45))
    assert [len(decoder.status(NOW, hurry=True)["exporters"]) for _ in range(5)] == [10, 20, 30, 40, 45]
    assert decoder.status(NOW)["exporters_known"] == 45
    seen: set[str] = set()
    for at in range(1, 6):
        sent(decoder, *[record] * 45, addresses=addresses(45), at=at)
        counts = {one["address"]: one["datagrams"] for one in decoder.status(NOW + at * SECOND, hurry=True)["exporters"]}
        seen |= {address for address, count in counts.items() if count == at + 1}
        assert sum(count == at + 1 for count in counts.values()) == 10
    assert len(seen) == 45


def test_with_many_exporters_entries_are_short_and_the_status_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "FULL", 30)
    monkeypatch.setattr(roster, "COUNTS", 200)
    decoder = Decoder()
    unknown = one_set(2, template(300, [(1, 4), *((900 + n, 1) for n in range(30))])) + one_set(300, bytes(34))
    waiting = b"".join(one_set(400 + n, bytes(8)) for n in range(30))
    sent(decoder, *[ipfix(unknown, waiting)] * 50, addresses=addresses(50))
    found = decoder.status(NOW, hurry=True)["exporters"]
    for one in found:
        assert len(one["unknown_elements"]) == 4 == len(one["templates_awaited"]) == len(one["observation_domains"][0]["awaited"])
        assert sum(one["unknown_elements"].values()) == 30
        assert "(other)" in one["unknown_elements"]
        assert all(one.values()), "what is zero or empty is left out"
    assert len(json.dumps(found)) < 50 * 1500


def test_an_exporter_is_called_what_the_user_calls_it() -> None:
    told = {"10.0.0.0/8": ExporterSettings(name="branch"), "10.0.0.1": ExporterSettings(name="edge", sampling=5)}
    rules = rules_of(CollectorSettings(), {**told, "192.0.2.0/24": ExporterSettings(sampling=7)})
    decoder = Decoder(rules)
    some = [MAPPED_PREFIX + bytes(one) for one in ((10, 0, 0, 1), (10, 0, 0, 2), (192, 0, 2, 1))]
    sent(decoder, *[build.netflow5([simple(octets=1)])] * 3, addresses=some)
    found = {one["name"]: one["sampling"] for one in decoder.status(NOW)["exporters"]}
    assert found == {"edge": {"configured": 5}, "branch": {}, "": {"configured": 7}}
    decoder.follow(rules_of(CollectorSettings(), {"192.0.2.0/24": ExporterSettings(name="lab")}))
    assert sorted(one["name"] for one in decoder.status(NOW)["exporters"]) == ["", "", "lab"]
