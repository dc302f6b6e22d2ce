"""Filters compiled without libpcap: what is understood, and what is refused in one line. That they filter is shown in test_ring."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.capture.links import ETHERNET
from nftui.capture.probe import bpf, packet_filter
from nftui.capture.probe.bpf import Program
from nftui.errors import PacketFilterError

JUMP, RETURN, CONDITIONS = 0x05, 0x06, (0x15, 0x25, 0x35, 0x45)


def ends(text: str) -> set[int]:
    """Compile an expression, and return what the program may return; every jump must lead forward to an instruction."""
    steps = Program(packet_filter.compiled(text, 192)).steps()
    for at, (code, yes, no, number) in enumerate(steps):
        places = [at + 1 + number] if code == JUMP else [at + 1 + yes, at + 1 + no] if code in CONDITIONS else [at + 1]
        assert all(at < place < len(steps) for place in places) or code == RETURN
    assert steps[-1][0] == RETURN
    return {number for code, _, _, number in steps if code == RETURN}


@pytest.mark.parametrize(
    "text",
    [
        "tcp", "ip6 and udp port 53", "not not arp", "host 192.0.2.1 or 192.0.2.2 or 2001:db8::1", "192.0.2.0/24", "src 192.0.2.1",
        "((tcp)) and (dst portrange 1-1023 || !vlan)", "sctp dst port 9 or 10", "vlan 5 and icmp6", "ip host 192.0.2.1",
        "net 0.0.0.0/0", "portrange 5", "host 192.0.2.0/24", "ip6 proto 41", " or ".join(f"host 192.0.2.{n}" for n in range(200)),
    ],
)  # fmt: skip
def test_understood(text: str) -> None:
    assert ends(text) == {0, 192}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tcp and", "something is missing at the end"),
        ("(tcp", "a bracket is not closed"),
        ("tcp)", "')' is not expected"),
        ("host example.org", "'example.org' is not understood"),
        ("tcp[13] & 2 != 0", "'tcp[13]' is not understood"),
        ("port 65536", "port '65536': not a number from 0 to 65535"),
        ("host 192.0.2.300", "does not appear to be an IPv4 or IPv6 network"),
        ("ip host 2001:db8::1", "an address of IPv6 doesn't go with ip"),
        ("icmp port 5", "icmp has no ports"),
        ("vlan 5000", "vlan 5000 is not in 0 to 4095"),
        ("proto 256", "not a number from 0 to 255"),
        ("tcp udp", "'udp' is not"),
        ("and", "'and' is not understood"),
        ("(" * 200 + "tcp" + ")" * 200, "has too many brackets"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(PacketFilterError) as refused:
        packet_filter.compiled(text, 192)
    assert problem in str(refused.value)
    assert str(refused.value).endswith("install it (libpcap0.8 in Debian) for more") and "\n" not in str(refused.value)


WORDS = (
    "tcp",
    "ip6",
    "src",
    "dst",
    "host",
    "net",
    "port",
    "vlan",
    "and",
    "or",
    "not",
    "(",
    ")",
    "!",
    "1.2.3.4",
    "::1/64",
    "80",
    "x",
    "5-9",
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), st.text(st.characters(codec="ascii"), max_size=30)))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        assert ends(text) <= {0, 192}
    except PacketFilterError as error:
        assert error.text == text


def test_longer_than_the_kernel_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "library", lambda: None)
    with pytest.raises(PacketFilterError, match=r"has \d+ instructions; the kernel takes 4096: shorten it"):
        bpf.program(" or ".join(["host 192.0.2.1"] * 400), "lo", ETHERNET, snap=64)
