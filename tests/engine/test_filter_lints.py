"""Notes about filters: each where it belongs, none where nothing is to note, and what they call nfdump's form is nfdump's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.engine.filter_lints import MOST, lints, minds_icmp
from nftui.engine.filter_outline import outline
from nftui.engine.filters import ANY, Filter, parse, text
from tests.engine.test_filters import LEAVES, TREES, grown

NOW = 1_700_000_000_000_000

NOTED: list[tuple[str, str, int, str]] = [
    ("port 80 or port 443 and src ip 10.0.0.2", "mixed", 8, "this means port 80 or (port 443 and src ip 10.0.0.2)"),
    ("not (proto tcp and port 1 or port 2)", "mixed", 15, "(proto tcp and port 1) or port 2"),
    ("port 80 and any || port 81", "mixed", 8, "(port 80 and any) or port 81"),
    ("net 10.0.1.7/24", "host-bits", 4, "write 10.0.1.0/24, or ip 10.0.1.7"),
    ("src net 10.0.1.7 255.255.255.0", "host-bits", 8, "write 10.0.1.0/24"),
    ("net 10.0.1.7 mask 255.255.255.0", "host-bits", 4, "write 10.0.1.0/24"),
    ("ip in [10.0.0.1 10.1.1.1/8]", "host-bits", 16, "write 10.0.0.0/8"),
    ("net 10.1/8", "host-bits", 4, "write 10.0.0.0/8"),
    ("net 2001:db8::1/64", "host-bits", 4, "write 2001:db8::/64"),
    ("bytes > 5 and port 53", "icmp", 14, "write proto tcp and port 53"),
    ("not dst port 53", "icmp", 4, "ICMP"),
    ("port 53 or proto tcp", "icmp", 0, "ICMP"),
    ("port 53 and not proto icmp", "icmp", 0, "ICMP"),
    ("host www.example.com", "name", 5, "'www.example.com' has to be looked up in DNS"),
    ("dst ip in [10.0.0.1 www.example.com]", "name", 20, "DNS"),
    ("not port 53", "negation", 0, "neither end is that; write not src port 53 or not dst port 53"),
    ("port not 53", "negation", 0, "neither end"),
    ("tcp and !port > 1024", "negation", 8, "not src port > 1024 or not dst port > 1024"),
    ("not if 3", "negation", 0, "not in if 3 or not out if 3"),
    ("not net 10.0.0.0/8", "negation", 0, "not src net 10.0.0.0/8 or not dst net 10.0.0.0/8"),
    ("not host www.example.com", "negation", 0, "not src ip www.example.com or not dst ip www.example.com"),
    ("not geo DE", "negation", 0, "not src geo DE or not dst geo DE"),
    ("less 100", "packets", 0, "in nfdump bpp <= 100"),
]


@pytest.mark.parametrize(("written", "kind", "column", "words"), NOTED)
def test_notes(written: str, kind: str, column: int, words: str) -> None:
    found = [lint for lint in lints(written, icmp=True) if lint.kind == kind]
    assert [lint.column for lint in found] == [column]
    assert words in str(found[0])
    assert str(found[0]).isprintable()


@pytest.mark.parametrize(
    "written",
    [
        "",
        "any",
        "proto tcp and (port 80 or port 443)",
        "(proto udp and port 53) or (proto tcp and port 80)",
        "(proto tcp or proto udp) and port 53",
        "flags S and port 80",
        "port 80 and not (proto icmp or proto icmp6)",
        "proto tcp and not src port 53",
        "not proto tcp",
        "not (proto tcp and port 80)",
        "net 10.0.1.0/24 and net 10.0.1.0 255.255.255.0",
        "ip in [10.0.0.1 255.255.255.0]",
        "proto tcp and src or dst port 80",
        "ip 10.0.0.1 or ip ::1",
        "first seen > 2023-11-14T22:13:14",
        "not bytes > 5",
        "prot 80",
        "'",
        "port 80 80",
    ],
)
def test_nothing_to_note(written: str) -> None:
    assert lints(written, icmp=True) == []


def test_icmp_matters_only_where_it_may_be() -> None:
    assert [lint.kind for lint in lints("port 53")] == []
    assert minds_icmp("port 53")
    assert not minds_icmp("proto udp and port 53")
    assert not minds_icmp("proto in [6 17] and port 53")
    assert minds_icmp("proto in [1 17] and port 53")


def test_a_bound_holds() -> None:
    assert len(lints(" or ".join(["not net 10.0.0.1/8"] * 500))) == MOST
    assert lints("any " * 40_000) == []


@pytest.mark.parametrize(
    "written",
    [
        "port in [" + "80 " * 4_000 + "] " + "or 443 " * 1_500,
        "net 10.0.0.1 mask 255.0.0.0 or " * 2_000 + "any",
        "not (" * 49 + "port 80 or port 81 and port 82" + ")" * 49,
        "port 80 or 443 and " * 1_000 + "port 53",
    ],
    ids=["list", "mask", "deep", "mixed"],
)
def test_long_filters_take_no_time(written: str) -> None:
    began = process_time()
    assert lints(written, icmp=True)
    assert process_time() - began < 5


# -- nfdump's form -----------------------------------------------------------------------------------------------------------

TRANSLATED: list[tuple[str, str]] = [
    ("tcp", "proto tcp"),
    ("tcp port 80", "proto tcp and port 80"),
    ("ip6", "ipv6"),
    ("port 80 or 443", "port in [80 443]"),
    ("ip 10.0.0.1 or 10.0.0.2", "ip in [10.0.0.1 10.0.0.2]"),
    ("dst port not 53", "not dst port 53"),
    ("dst port != 53", "not dst port 53"),
    ("dst port 80-90", "dst port >= 80 and dst port <= 90"),
    ("portrange 80-90", "(src port >= 80 and src port <= 90) or (dst port >= 80 and dst port <= 90)"),
    ("port http", "port 80"),
    ("dst port in [https 8443]", "dst port in [443 8443]"),
    ("net 10", "net 10.0.0.0/8"),
    ("src net 192.168", "src net 192.168.0.0/16"),
    ("ip 10.0.0.0/8", "net 10.0.0.0/8"),
    ("net in [10.0.0.0/8 192.168.0.0/16]", "ip in [10.0.0.0/8 192.168.0.0/16]"),
    ("src 10.0.0.1", "src ip 10.0.0.1"),
    ("bytes > 1.5M", "bytes > 1500000"),
    ("flags s", "flags S"),
    ("in if in [1 2]", "in if 1 or in if 2"),
    ("less 100", "bpp <= 100"),
    ("greater 100", "bpp >= 100"),
]


@pytest.mark.parametrize(("written", "translated"), TRANSLATED)
def test_shows_nfdumps_form(written: str, translated: str) -> None:
    (lint,) = (lint for lint in lints(written) if lint.kind in ("spelling", "packets"))
    assert lint.suggestion == f"in nfdump {translated}"


@pytest.mark.peer("nfdump")
@pytest.mark.parametrize(("written", "translated"), TRANSLATED)
def test_nfdump_refuses_the_one_and_takes_the_other(written: str, translated: str, require_peer: Callable[[str], str]) -> None:
    def taken(filter: str) -> bool:
        return subprocess.run([require_peer("nfdump"), "-Z", filter], capture_output=True, check=False).returncode == 0

    assert taken(translated)
    assert not taken(written)
    assert [lint for lint in lints(translated) if lint.kind == "spelling"] == []


# -- the outline -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("written", "tree"), TREES)
def test_outline_means_the_same(written: str, tree: Filter) -> None:
    whole = outline(written, lambda term: parse(term, NOW))
    assert (whole.filter if whole else ANY) == parse(written, NOW)


@settings(deadline=None, max_examples=100)
@given(st.recursive(LEAVES, grown, max_leaves=8))
def test_outline_of_any_tree(tree: Filter) -> None:
    written = text(tree)
    whole = outline(written)
    assert whole is not None and whole.filter == tree
    for clause in whole.all():
        if not clause.inherits:
            assert parse(written[clause.start : clause.end]) == clause.filter


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                "(",
                ")",
                "and",
                "or",
                "not",
                "port",
                "80",
                "tcp",
                "src",
                "dst",
                "net",
                "10.0.0.1/8",
                "in",
                "[",
                "]",
                "!",
                "|",
                "&",
                "'",
                "-15m",
                "ip",
                "example",
            ]
        )
    )
)
def test_no_text_raises(words: list[str]) -> None:
    written = " ".join(words)
    for lint in lints(written, icmp=True):
        assert 0 <= lint.column <= lint.column + lint.length <= len(written)
