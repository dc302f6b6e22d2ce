"""The tables of names: what they promise to the filter language."""

from __future__ import annotations

import csv
import re
import socket

import pytest

from nftui.engine.filters import parse
from nftui.engine.names import _DATA, PROTOCOLS, SERVICES, protocol_name


@pytest.mark.parametrize("name", ["services.csv", "ip_protocols.csv"])
def test_no_name_stands_for_two_numbers(name: str) -> None:
    with (_DATA / name).open() as lines:
        rows = list(csv.reader(lines))[1:]
    names = [word for row in rows for word in row[-1].split()]
    assert sorted({one for one in names if names.count(one) > 1}) == []
    assert [int(row[0]) for row in rows] == sorted({int(row[0]) for row in rows})
    assert [one for one in names if not re.fullmatch(r"[a-z0-9.-]{1,32}", one)] == []


def test_every_number_is_one() -> None:
    assert all(0 <= number <= 255 for number in PROTOCOLS.values())
    assert all(1 <= port <= 65535 for port in SERVICES.values())
    assert {*range(148), 253, 254, 255} == set(PROTOCOLS.values())
    assert len(SERVICES) > 500


def test_filters_read_every_name() -> None:
    assert [name for name, port in SERVICES.items() if parse(f"dst port {name}") != parse(f"dst port {port}")] == []
    assert [name for name, number in PROTOCOLS.items() if parse(f"proto {name}") != parse(f"proto {number}")] == []


@pytest.mark.parametrize("name", ["http", "https", "domain", "ssh", "ntp", "snmp", "bgp", "ldap", "sip", "mysql"])
def test_names_are_the_system_s(name: str) -> None:
    try:
        assert SERVICES[name] == socket.getservbyname(name)
    except OSError:
        pytest.skip("there is no /etc/services: apt-get install netbase")
    assert parse(f"port {name}") == parse(f"port {SERVICES[name]}")


def test_protocols_are_shown_by_their_first_name() -> None:
    assert [protocol_name(number) for number in (6, 4, 58, 200)] == ["TCP", "IPIP", "ICMP6", "200"]
