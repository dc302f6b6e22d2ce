"""Data before its template waits, bounded, and is read as if the template had come first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nftui.capture import held
from nftui.capture.decoder import Decoder, Rules
from nftui.capture.held import Held, HeldSet
from nftui.units import SECOND
from tests.capture import build
from tests.capture.build import PROTOCOL_AND_OCTETS, ipfix, netflow9, one_set, small, template
from tests.capture.corpus import joined

TEMPLATE = template(300, PROTOCOL_AND_OCTETS)
KEY = (build.EXPORTER, 9, 7)


def datagram(version: int, content: bytes, sequence: int = 0) -> bytes:
    return netflow9(content, sequence=sequence) if version == 9 else ipfix(content, sequence=sequence)


def announced(version: int, more: bytes = b"", sequence: int = 0) -> bytes:
    return datagram(version, one_set(0 if version == 9 else 2, TEMPLATE) + more, sequence)


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize("blocks", [1, 3])
def test_data_waits_for_its_template(version: int, blocks: int) -> None:
    """Whether the template comes in the same block or in a later one."""
    datagrams = [datagram(version, one_set(300, small(1, 10) + small(2, 20))), datagram(version, one_set(300, small(3, 30)))]
    datagrams.append(announced(version, one_set(300, small(4, 40))))
    decoder, frames = Decoder(), []
    for some in [datagrams] if blocks == 1 else [[one] for one in datagrams]:
        frames += decoder.decode(build.block(some))
    flows = joined(frames)
    assert sorted(flows["octets"].to_list()) == [10, 20, 30, 40]
    assert flows["template_id"].unique().to_list() == [300]
    assert flows["observation_domain"].unique().to_list() == [7]
    status = build.exporter_of(decoder)
    assert (status["flows"], status["held_back"], status["released"], status["unread"]) == (4, 2, 2, {})
    assert (status["datagrams"], status["templates_awaited"], status["sequence_lost"]) == (3, [], 0)


def test_what_waits_is_named() -> None:
    _, decoder = build.decode(netflow9(one_set(300, small(1, 10))))
    status = build.exporter_of(decoder)
    assert (status["templates_awaited"], status["held_back"], status["released"], status["unread"]) == ([300], 1, 0, {})
    assert decoder.status(0)["held_octets"] > 0
    decoder.finish()
    assert build.exporter_of(decoder)["unread"] == {"no template came": 1}
    assert decoder.status(0)["held_octets"] == 0


def test_data_waits_for_the_template_of_its_own_domain() -> None:
    decoder = Decoder()
    decoder.decode(build.block([netflow9(one_set(300, small(1, 10)), source_id=8)]))
    assert decoder.decode(build.block([netflow9(one_set(0, TEMPLATE))])) == []
    (frame,) = decoder.decode(build.block([netflow9(one_set(0, TEMPLATE), source_id=8)]))
    assert frame["octets"].to_list() == [10]


def test_options_data_waits_too() -> None:
    decoder = Decoder()
    decoder.decode(build.block([netflow9(one_set(256, b"\0\0\0\1\0\0\0\x64"))]))
    options = one_set(1, bytes.fromhex("0100 0004 0004 0001 0004 0022 0004"))
    decoder.decode(build.block([netflow9(options)]))
    assert build.exporter_of(decoder)["options_records"] == 1
    (frame,) = decoder.decode(build.block([netflow9(one_set(0, TEMPLATE), one_set(300, small(1, 10)))]))
    assert frame["sampling_interval"].to_list() == [100]


def test_a_cut_set_waits_as_far_as_it_came() -> None:
    whole = netflow9(one_set(300, small(1, 10) + small(2, 20)))
    _, decoder = build.decode(whole[:-5])
    assert build.exporter_of(decoder)["malformed"] == {"set cut short": 1}
    flows, _ = build.decode(netflow9(one_set(0, TEMPLATE)), decoder=decoder)
    assert flows["octets"].to_list() == [10]
    assert build.exporter_of(decoder)["malformed"] == {"set cut short": 1, "octets after the last record": 1}


def test_room_is_bounded_and_what_has_none_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_SHARE", 1000)
    _, decoder = build.decode(*[netflow9(one_set(300, small(n, n)), sequence=n) for n in range(20)])
    status = build.exporter_of(decoder)
    assert status["held_back"] == 4
    assert status["unread"] == {"no template yet, and no room to hold the data": 16}
    assert decoder.status(0)["held_octets"] <= 1000


def test_one_domain_does_not_take_the_room_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_OCTETS", 2000)
    monkeypatch.setattr(held, "MAX_SHARE", 1000)
    some = Held()
    one = HeldSet(0, 0, bytes(100))
    assert [some.hold(KEY, 300, one) for _ in range(5)].count(True) == 3
    assert some.hold((build.EXPORTER, 9, 8), 300, one)


def test_waiting_ends_with_time() -> None:
    decoder = Decoder(Rules(held_age=60 * SECOND))
    block = build.block([netflow9(one_set(300, small(1, 10)))])
    decoder.decode(block)
    later = build.block([netflow9(one_set(0, template(400, PROTOCOL_AND_OCTETS)), sequence=1)])
    later.received[:] += 61 * SECOND
    decoder.decode(later)
    assert build.exporter_of(decoder)["unread"] == {"no template came": 1}


def test_what_waits_survives_a_restart() -> None:
    decoder = Decoder()
    decoder.decode(build.block([netflow9(one_set(300, small(1, 10)))]))
    again = Decoder()
    again.load_templates(json.loads(json.dumps(decoder.save_templates())))
    assert again.load_held(decoder.save_held()) == 0
    assert again.save_held() == decoder.save_held()
    (frame,) = again.decode(build.block([netflow9(one_set(0, TEMPLATE), sequence=1)]))
    assert frame["octets"].to_list() == [10]
    assert again.save_held() == []


def test_what_was_read_before_the_restart_is_not_read_again() -> None:
    decoder = Decoder()
    decoder.decode(build.block([netflow9(one_set(300, small(1, 10)))]))
    stale = decoder.save_held()
    decoder.decode(build.block([netflow9(one_set(0, TEMPLATE), sequence=1)]))
    again = Decoder()
    again.load_templates(decoder.save_templates())
    again.load_held(stale)
    assert again.save_held() == []


@pytest.mark.parametrize("entry", [None, [], [1, 2, 3], ["x", 9, 1, 300, 0, 0, b""], [bytes(16), 5, 1, 300, 0, 0, bytes(40)]])
def test_corrupt_saved_data_is_refused(entry: Any) -> None:
    assert Decoder().load_held([entry]) == 1
