"""The list of exporters that are listened to: what others send costs nothing and is named."""

from __future__ import annotations

import ipaddress
import random

import numpy as np
import pytest

from nftui.capture.allowed import MAX_NAMED, AllowList, Strangers
from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.decoder import Decoder, Rules
from nftui.config import CollectorSettings
from nftui.engine.rules import rules_of
from nftui.units import SECOND
from tests.capture import build
from tests.capture.build import NOW, PROTOCOL_AND_OCTETS, netflow9, one_set, small, template

SAID = netflow9(one_set(0, template(300, PROTOCOL_AND_OCTETS)), one_set(300, small(1, 7)))


def four(text: str) -> bytes:
    return MAPPED_PREFIX + ipaddress.IPv4Address(text).packed


def six(text: str) -> bytes:
    return ipaddress.IPv6Address(text).packed


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (["192.0.2.1"], ["192.0.2.1"], ["192.0.2.2", "0.0.0.0", "::1"]),
        (["192.0.2.0/24", "10.0.0.0/8"], ["192.0.2.255", "10.9.8.7"], ["192.0.3.0", "11.0.0.0"]),
        (["0.0.0.0/0"], ["1.2.3.4"], ["2001:db8::1"]),
        (["::/0"], ["1.2.3.4", "2001:db8::1"], []),
        (["2001:db8::/32", "fe80::1"], ["2001:db8:9::1", "fe80::1"], ["2001:db9::", "fe80::2", "32.1.13.184"]),
        (["fe80::1", "fe80::2", "fe80::9"], ["fe80::1", "fe80::9"], ["fe80::3"]),
    ],
)
def test_addresses_and_networks(networks: list[str], inside: list[str], outside: list[str]) -> None:
    allow = AllowList(networks)
    for texts, wanted in ((inside, True), (outside, False)):
        for text in texts:
            assert ((six if ":" in text else four)(text) in allow) is wanted, text


def test_agrees_with_the_library() -> None:
    drawn = random.Random(1)
    networks = [f"10.{drawn.randrange(4)}.{drawn.randrange(8) * 32}.0/{length}" for length in (19, 20, 24) for _ in range(5)]
    networks += [f"10.0.{drawn.randrange(256)}.{drawn.randrange(256)}" for _ in range(300)]
    networks = [str(ipaddress.ip_network(one, strict=False)) for one in networks]
    addresses = [f"10.{drawn.randrange(4)}.{drawn.randrange(256)}.{drawn.randrange(256)}" for _ in range(2000)]
    told = AllowList(networks).mask(np.frombuffer(b"".join(map(four, addresses)), np.uint8).reshape(-1, 16))
    whole = [ipaddress.ip_network(one) for one in networks]
    assert told.tolist() == [any(ipaddress.ip_address(one) in network for network in whole) for one in addresses]


def test_others_are_counted_and_named() -> None:
    decoder = Decoder(rules_of(CollectorSettings(allow=("192.0.2.0/28", "2001:db8::/64"))))
    senders = [four("192.0.2.1"), four("198.51.100.7"), six("2001:db8::5"), four("198.51.100.7"), six("2001:db8:1::5")]
    frames = decoder.decode(build.block([SAID] * 5, senders))
    assert sum(map(len, frames)) == 2
    status = decoder.status(NOW * SECOND)
    assert sorted(one["address"] for one in status["exporters"]) == ["192.0.2.1", "2001:db8::5"]
    unknown = status["unknown_exporters"]
    assert unknown == {"datagrams": 3, "octets": 3 * len(SAID), "addresses": {"198.51.100.7": 2, "2001:db8:1::5": 1}}
    told = [text for _, text in decoder.events if "not on the list" in text]
    assert told[0] == (
        '198.51.100.7: not on the list, nothing it sends is read; to listen to it, add "198.51.100.7" to collector.allow'
    )
    assert len(told) == 2


def test_of_sflow_the_sender_counts_and_not_the_agent() -> None:
    datagram = bytes.fromhex("00000005 00000001 c6336407 00000000 00000001 00000001 00000000")
    decoder = Decoder(Rules(allow=AllowList(["192.0.2.1"])))
    decoder.decode(build.block([datagram] * 2, [four("192.0.2.1"), four("198.51.100.7")]))
    status = decoder.status(NOW * SECOND)
    assert [one["address"] for one in status["exporters"]] == ["198.51.100.7"], "the agent that a relay on the list names"
    assert status["unknown_exporters"]["addresses"] == {"198.51.100.7": 1}


def test_very_many_others() -> None:
    strangers, drawn = Strangers(), random.Random(1)
    told: list[str] = []
    for turn in range(20):
        some = [four(f"10.{drawn.randrange(256)}.{drawn.randrange(256)}.1") for _ in range(1000)] + [four("192.0.2.0")] * 50
        addresses = np.frombuffer(b"".join(some), np.uint8).reshape(-1, 16)
        told += strangers.count(addresses, np.full(len(some), 10), NOW * SECOND + turn)
    status = strangers.status()
    assert (status["datagrams"], status["octets"]) == (21_000, 210_000)
    assert len(status["addresses"]) <= MAX_NAMED
    assert next(iter(status["addresses"].items())) == ("192.0.2.0", 1000)
    assert len(told) == 3


def test_a_connection_that_was_not_accepted_is_named() -> None:
    decoder = Decoder(Rules(allow=AllowList(["192.0.2.1"])))
    decoder.note(four("198.51.100.7"), NOW * SECOND, "not on the list")
    decoder.note(four("192.0.2.1"), NOW * SECOND, "tcp connection closed: not IPFIX")
    status = decoder.status(NOW * SECOND)
    assert status["unknown_exporters"]["addresses"] == {"198.51.100.7": 1}
    assert [one["malformed"] for one in status["exporters"]] == [{"tcp connection closed: not IPFIX": 1}]
