"""The filter language: what parses to which tree, what is refused and where, and that printing is the inverse of parsing."""

from __future__ import annotations

import re
import subprocess
import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.engine.filter_fields import NO_NUMBERS
from nftui.engine.filters import (
    ANY,
    FIELDS,
    RELATIONS,
    AddressIn,
    And,
    Compare,
    Direction,
    Family,
    Filter,
    Flags,
    Kind,
    Named,
    Not,
    OneOf,
    Operator,
    Or,
    Place,
    Relation,
    Text,
    all_of,
    any_of,
    parse,
    text,
)
from nftui.errors import FilterError
from nftui.schema import BY_NAME

TCP = Compare("proto", Operator.EQ, 6)
SRC, DST = Direction.SRC, Direction.DST


def port(number: int, direction: Direction = Direction.NONE, operator: Operator = Operator.EQ) -> Filter:
    return Compare("port", operator, number, direction)


def equal(field: str, value: int, direction: Direction = Direction.NONE) -> Filter:
    return Compare(field, Operator.EQ, value, direction)


def lies(network: str, direction: Direction) -> Filter:
    return AddressIn((IPv4Network(network),), direction)


def between(low: int, high: int, direction: Direction) -> Filter:
    return And((port(low, direction, Operator.GE), port(high, direction, Operator.LE)))


NOW = 1_700_000_000_000_000
MINUTE = 60_000_000


def within(field: str, low: int, high: int) -> Filter:
    return And((Compare(field, Operator.GE, low), Compare(field, Operator.LE, high)))


TREES: list[tuple[str, Filter]] = [
    ("", ANY),
    ("  # nothing but a comment", ANY),
    ("any", ANY),
    ("port 80 # the web\n and # this line\n tcp", And((port(80), TCP))),
    ("PoRt 80 AND TCP", And((port(80), TCP))),
    ("port 80 && !tcp || any", Or((And((port(80), Not(TCP))), ANY))),
    ("not port 80 and tcp", And((Not(port(80)), TCP))),
    ("not (port 80 and tcp)", Not(And((port(80), TCP)))),
    ("port 1 or port 2 and port 3 or port 4", Or((port(1), And((port(2), port(3))), port(4)))),
    ("port 1 and (port 2 and port 3)", And((port(1), port(2), port(3)))),
    ("port=80", port(80)),
    ("port == 0x50", port(80)),
    ("port 'https'", port(443)),
    ("port https", port(443)),
    ("port dns or domain", Or((port(53), port(53)))),
    ("src port gt 1k", port(1000, SRC, Operator.GT)),
    ("src or dst port le 1023", port(1023, operator=Operator.LE)),
    ("dst or src port < 5", port(5, operator=Operator.LT)),
    ("src and dst port 53", And((port(53, SRC), port(53, DST)))),
    ("src or dst tos 3", Or((Compare("tos", Operator.EQ, 3), Compare("tos", Operator.EQ, 3, DST)))),
    ("port != 80", Not(port(80))),
    ("src and dst port != 53", Not(And((port(53, SRC), port(53, DST))))),
    ("port not 53", Not(port(53))),
    ("port not in [1,2]", Not(OneOf("port", (1, 2)))),
    ("port 80 or 443", Or((port(80), port(443)))),
    ("src port 80 or not 443", Or((port(80, SRC), Not(port(443, SRC))))),
    ("port < 20 or > 1024", Or((port(20, operator=Operator.LT), port(1024, operator=Operator.GT)))),
    ("tcp port 80", And((TCP, port(80)))),
    ("tcp dst port 80 or 443", Or((And((TCP, port(80, DST))), And((TCP, port(443, DST)))))),
    ("port in [443 80,443]", OneOf("port", (80, 443))),
    ("port in [80]", port(80)),
    ("port 80-90", Or((between(80, 90, SRC), between(80, 90, DST)))),
    ("dst portrange 80-90", between(80, 90, DST)),
    ("portrange 80-80", Or((port(80, SRC), port(80, DST)))),
    ("dst port in [22 80-90]", Or((port(22, DST), between(80, 90, DST)))),
    ("proto tcp", TCP),
    ("proto 6", TCP),
    ("ip proto tcp", TCP),
    ("proto ICMP6 or 47", Or((Compare("proto", Operator.EQ, 58), Compare("proto", Operator.EQ, 47)))),
    ("sctp", Compare("proto", Operator.EQ, 132)),
    ("inet or inet6", Or((Family(4), Family(6)))),
    ("ipv4 or ipv6", Or((Family(4), Family(6)))),
    ("host 10.0.0.1", AddressIn((IPv4Network("10.0.0.1"),))),
    ("src 10.0.0.1", AddressIn((IPv4Network("10.0.0.1"),), SRC)),
    ("dst ip ::ffff:10.0.0.1", AddressIn((IPv4Network("10.0.0.1"),), DST)),
    ("ip 2001:DB8::1", AddressIn((IPv6Network("2001:db8::1"),))),
    ("ip 10.0.0.0/8", AddressIn((IPv4Network("10.0.0.0/8"),))),
    ("net 10.0.1.7/24", AddressIn((IPv4Network("10.0.1.0/24"),))),
    ("net 10.0.1.0 255.255.255.0", AddressIn((IPv4Network("10.0.1.0/24"),))),
    ("net 10.0.1.0 mask 255.255.255.0", AddressIn((IPv4Network("10.0.1.0/24"),))),
    ("net 0.0.0.0 0.0.0.0", AddressIn((IPv4Network("0.0.0.0/0"),))),
    ("net ::ffff:10.0.0.0/104", AddressIn((IPv4Network("10.0.0.0/8"),))),
    ("net 10", AddressIn((IPv4Network("10.0.0.0/8"),))),
    ("net 192.168 or 10.0.1", Or((AddressIn((IPv4Network("192.168.0.0/16"),)), AddressIn((IPv4Network("10.0.1.0/24"),))))),
    ("net 10/9", AddressIn((IPv4Network("10.0.0.0/9"),))),
    ("net in [10/8 ::1]", AddressIn((IPv4Network("10.0.0.0/8"), IPv6Network("::1")))),
    ("router ip 127.0.0.1", AddressIn((IPv4Network("127.0.0.1"),), Direction.ROUTER)),
    ("exporter ip 127.0.0.1", AddressIn((IPv4Network("127.0.0.1"),), Direction.ROUTER)),
    ("bgpnext ip 127.0.0.1", AddressIn((IPv4Network("127.0.0.1"),), Direction.BGP_NEXT)),
    ("next ip 127.0.0.1", AddressIn((IPv4Network("127.0.0.1"),), Direction.NEXT)),
    ("flags s", Flags(2)),
    ("flags AS", Flags(18)),
    ("flags X", Flags(63)),
    ("flags =S", Flags(2, exact=True)),
    ("flags = SA", Flags(18, exact=True)),
    ("flags not S", Not(Flags(2))),
    ("flags > 2", Compare("flags", Operator.GT, 2)),
    ("bytes > 1.5M", Compare("bytes", Operator.GT, 1_500_000)),
    ("in bytes > 2T", Compare("bytes", Operator.GT, 2 * 10**12)),
    ("out bytes 0", Compare("bytes", Operator.EQ, 0, Direction.OUT)),
    ("flow > 5", Compare("flows", Operator.GT, 5)),
    ("src tos 16", Compare("tos", Operator.EQ, 16)),
    ("if in [1 2]", OneOf("if", (1, 2))),
    ("in if 1 and out if 2", And((Compare("if", Operator.EQ, 1, Direction.IN), Compare("if", Operator.EQ, 2, Direction.OUT)))),
    ("as in [300]", Compare("as", Operator.EQ, 300)),
    ("next as 1", Compare("as", Operator.EQ, 1, Direction.NEXT)),
    ("icmp type 8 and icmp-code 0", And((Compare("icmp-type", Operator.EQ, 8), Compare("icmp-code", Operator.EQ, 0)))),
    ("in src mac 0:11:22:33:44:55", Compare("mac", Operator.EQ, 0x001122334455, Direction.IN_SRC)),
    ("first seen >= 2023-11-14T22:13:20", Compare("seen", Operator.GE, 1_700_000_000_000_000, Direction.FIRST)),
    ("last seen < 2023", Compare("seen", Operator.LT, 1_672_531_200_000_000, Direction.LAST)),
    ("last seen = 2023-11-14T22:13:20.5Z", Compare("seen", Operator.EQ, 1_700_000_000_500_000, Direction.LAST)),
    ("first seen > -15m", Compare("seen", Operator.GT, NOW - 15 * MINUTE, Direction.FIRST)),
    (
        "last seen < now and last seen >= -2W",
        And(
            (
                Compare("seen", Operator.LT, NOW, Direction.LAST),
                Compare("seen", Operator.GE, NOW - 14 * 1440 * MINUTE, Direction.LAST),
            )
        ),
    ),
    ("nat ip 192.0.2.1", lies("192.0.2.1", Direction.NAT)),
    ("src nat host 192.0.2.1", lies("192.0.2.1", Direction.SRC_NAT)),
    ("dst xlate net 192.0.2.7/24", lies("192.0.2.0/24", Direction.DST_NAT)),
    ("xip 192.0.2.1 or nip 192.0.2.1", Or((lies("192.0.2.1", Direction.NAT), lies("192.0.2.1", Direction.NAT)))),
    ("src nip 192.0.2.1 and dst xnet 10", And((lies("192.0.2.1", Direction.SRC_NAT), lies("10.0.0.0/8", Direction.DST_NAT)))),
    ("nat ip in [192.0.2.1]", lies("192.0.2.1", Direction.NAT)),
    ("src or dst nat ip 192.0.2.1", lies("192.0.2.1", Direction.NAT)),
    ("src and dst xip 192.0.2.1", And((lies("192.0.2.1", Direction.SRC_NAT), lies("192.0.2.1", Direction.DST_NAT)))),
    ("nat port 1024 or xport 5", Or((equal("port", 1024, Direction.NAT), equal("port", 5, Direction.NAT)))),
    ("dst nport > 1023", port(1023, Direction.DST_NAT, Operator.GT)),
    ("nat port 1-2", Or((between(1, 2, Direction.SRC_NAT), between(1, 2, Direction.DST_NAT)))),
    ("tun ip 192.0.2.1", lies("192.0.2.1", Direction.TUN)),
    ("src tunip 192.0.2.1", lies("192.0.2.1", Direction.SRC_TUN)),
    ("outer net 10 and tun proto gre", And((lies("10.0.0.0/8", Direction.TUN), equal("proto", 47, Direction.TUN)))),
    ("nat event add44 or delete", Or((equal("nat event", 4), equal("nat event", 2)))),
    ("nat event > 3", Compare("nat event", Operator.GT, 3)),
    ("nat pblock start 1024", equal("nat pblock start", 1024)),
    ("pblock end < 2048", Compare("nat pblock end", Operator.LT, 2048)),
    ("port in nat pblock", Relation("port in nat pblock")),
    ("src port in pblock", Relation("port in nat pblock", SRC)),
    ("src and dst port in nat pblock", And((Relation("port in nat pblock", SRC), Relation("port in nat pblock", DST)))),
    ("asa event create", equal("asa event", 1)),
    ("asa event deny or 5", Or((equal("asa event", 3), equal("asa event", 5)))),
    ("asa event denied", equal("asa event", 3)),
    ("asa event denied ingress", equal("asa xevent", 1001)),
    ("asa denied nosyn and asa xevent > 1000", And((equal("asa xevent", 1004), Compare("asa xevent", Operator.GT, 1000)))),
    ("asa user Alice", Text("asa user", "alice")),
    ("ingress acl 0x1f", equal("acl", 31, Direction.INGRESS)),
    ("egress xace in [1 2]", OneOf("xace", (1, 2), Direction.EGRESS)),
    ("vrf 7 or ingress vrf 8", Or((equal("vrf", 7), equal("vrf", 8, Direction.INGRESS)))),
    ("observation domain id 256", equal("observation domain id", 256)),
    ("exporter id in [1 2]", OneOf("observation domain id", (1, 2))),
    ("engine-type 1 and engine id 2", And((equal("engine-type", 1), equal("engine-id", 2)))),
    ("mpls label3 > 16", Compare("mpls label3", Operator.GT, 16)),
    ("mpls any 16-17", within("mpls any", 16, 17)),
    ("mpls eos 16", equal("mpls eos", 16)),
    ("flowdir ingress or egress", Or((equal("flowdir", 0), equal("flowdir", 1)))),
    ("flowdir 1 and ingress vrf 1", And((equal("flowdir", 1), equal("vrf", 1, Direction.INGRESS)))),
    ("(flowdir 1 or ingress)", Or((equal("flowdir", 1), equal("flowdir", 0)))),
    ("fwdstat noroute", equal("fwdstat", 131)),
    ("fwdstat Drop", within("fwdstat", 128, 191)),
    ("fwdstat in [forw 2]", Or((equal("fwdstat", 2), within("fwdstat", 64, 127)))),
    ("ethertype 0x86dd or arp", Or((equal("ethertype", 0x86DD), equal("ethertype", 0x0806)))),
    ("ttl 64 or min ttl < 5", Or((equal("ttl", 64), Compare("ttl", Operator.LT, 5, Direction.MIN)))),
    ("ttl equal or not ttl equal", Or((Relation("ttl equal"), Not(Relation("ttl equal"))))),
    ("ttl not equal", Not(Relation("ttl equal"))),
    ("dscp ef or 0", Or((equal("dscp", 46), equal("dscp", 0)))),
    ("dst dscp in [af11 cs6]", OneOf("dscp", (10, 48), DST)),
    ("app name DNS", Text("app name", "dns")),
    ("app name ~ 'Web Br'", Text("app name", "web br", contains=True)),
    ("app name != 'it\"s'", Not(Text("app name", 'it"s'))),
    ("app id 13", equal("app id", 13)),
    ("less 128 and greater 64", And((Compare("bpp", Operator.LE, 128), Compare("bpp", Operator.GE, 64)))),
    ("ident none", ANY),
    ("port 22 or ident", Or((port(22), port(113)))),
]


@pytest.mark.parametrize(("written", "tree"), TREES)
def test_parses_to(written: str, tree: Filter) -> None:
    assert parse(written, now=NOW) == tree
    assert parse(text(tree)) == tree


ERRORS: list[tuple[str, int, str, str]] = [
    ("src port 80 dst port 90", 12, "dst", "'and' or 'or'"),
    ("port 70000", 5, "70000", "0 to 65535"),
    ("proto foo", 6, "foo", "'foo' is not a protocol"),
    ("proto upd", 6, "upd", "did you mean udp?"),
    ("prot 80", 0, "prot", "did you mean proto?"),
    ("tcp and hots 10.0.0.1", 8, "hots", "did you mean host?"),
    ("src prot 80", 4, "prot", "did you mean port?"),
    ("port", 4, "", "the end of the filter"),
    ("port 80 and", 11, "", "expected a term"),
    ("and port 80", 0, "and", "expected a term, found 'and'"),
    ("(port 80", 0, "(", "add '\\)'"),
    ("port 80)", 7, ")", "closes no bracket"),
    ("()", 1, ")", "expected a term"),
    ("port 80 443", 8, "443", r"port in \[80 443\]"),
    ("port 80,443", 7, ",", r"port in \[80 443\]"),
    ("flags S A", 8, "A", "with 'or'"),
    ("udp 53", 4, "53", "udp port 53"),
    ("port (80 or 443)", 5, "(", "port in"),
    ("port [80]", 5, "[", "port in"),
    ("port in 80", 8, "80", "expected '\\['"),
    ("port in []", 8, "[", "empty"),
    ("port in [80", 8, "[", "not closed"),
    ("port 90-80", 5, "90-80", "80-90"),
    ("port > 80-90", 5, ">", "no comparator"),
    ("port not not 5", 9, "not", "a port"),
    ("port 1.5", 5, "1.5", "not a whole number"),
    ("bytes > 5x", 8, "5x", "expected a number"),
    ("bytes > " + "9" * 5000, 8, "9" * 5000, "expected a number"),
    ("bytes > 9223372036854775808", 8, "9223372036854775808", "out of range"),
    ("tos 256", 4, "256", "0 to 255"),
    ("flags Z", 6, "Z", "FSRPAUEC"),
    ("flags > S", 8, "S", "takes a number"),
    ("flags in [1 2]", 9, "[", "no list"),
    ("ip > 10.0.0.1", 3, ">", "no comparator"),
    ("ip 10", 3, "10", "write net 10"),
    ("ip 10.0.0.256", 3, "10.0.0.256", "not an address"),
    ("ip tor", 3, "tor", "exit nodes is not held"),
    ("host or port 80", 5, "or", "expected an address"),
    ("net 10.0.0.1/office", 4, "10.0.0.1/office", "length of a network"),
    ("next ip example.org", 8, "example.org", "not an address"),
    ("host = ", 7, "", "an address"),
    ("host > example.org", 5, ">", "takes no comparator"),
    ("net 10/33", 4, "10/33", "0 to 32"),
    ("net ::/129", 4, "::/129", "0 to 128"),
    ("net 10.0.0.0 255.0.255.0", 13, "255.0.255.0", "not a mask"),
    ("net :: 255.0.0.0", 7, "255.0.0.0", "not a mask"),
    ("mac 1:2", 4, "1:2", "a MAC address"),
    ("seen > 2023", 0, "seen", "first seen, last seen"),
    ("first seen > 2023-13", 13, "2023-13", "not a time"),
    ("first seen > 1969", 13, "1969", "out of range"),
    ("next port 5", 0, "next", "no direction next"),
    ("src src port 5", 8, "port", "src src"),
    ("80", 0, "80", "port 80"),
    ("10.0.0.1", 0, "10.0.0.1", "ip 10.0.0.1"),
    ("10.0.0.0/8", 0, "10.0.0.0/8", "net 10.0.0.0/8"),
    ("geo India", 4, "India", "write its two letters"),
    ("geo in [DE India]", 11, "India", "write its two letters"),
    ("geo > DE", 4, ">", "takes no comparator"),
    ("next geo DE", 0, "next", "no direction next"),
    ("asorg > x", 6, ">", "takes no comparator"),
    ("asorg in [a b]", 9, "[", "takes no list"),
    ("@include other", 0, "@include", "not taken here"),
    ("src nat vlan 1", 0, "src", "no direction src nat"),
    ("src nat event 1", 0, "src", "no direction src"),
    ("src nat tun ip 10.0.0.1", 12, "ip", "src nat tun"),
    ("nat event created", 10, "created", "not a NAT event"),
    ("nat event add or delet", 17, "delet", "unknown word 'delet'"),
    ("nat pblock step 1", 0, "nat", "start and end"),
    ("nat port in pblock", 9, "in", "no direction nat"),
    ("asa event denied nobody", 17, "nobody", "'and' or 'or'"),
    ("asa 5", 4, "5", "accepted: event, xevent"),
    ("mpls label0 5", 5, "label0", "accepted: label1, label2"),
    ("mpls exp1 5", 0, "mpls", "flows hold the labels"),
    ("mpls label1 1048576", 12, "1048576", "0 to 1048575"),
    ("observation point id 5", 0, "observation", "no observation point"),
    ("exporter sysid 5", 0, "exporter", "numbers of exporters"),
    ("sysid 5", 0, "sysid", "numbers of exporters"),
    ("count < 4", 0, "count", "records have no number"),
    ("ident router1", 0, "ident", "write router ip"),
    ("client latency > 5", 0, "client", "no latency"),
    ("in payload content 'x'", 3, "payload", "no payload"),
    ("process name x", 0, "process", "no process"),
    ("flowdir inbound", 8, "inbound", "not ingress or egress"),
    ("min ttl equal", 8, "equal", "no direction min"),
    ("acl 5", 0, "acl", "accepted: ingress acl, egress acl"),
    ("dscp 64", 5, "64", "0 to 63"),
    ("dscp af14", 5, "af14", "did you mean af"),
    ("app name > x", 9, ">", "no comparator"),
    ("app name in [x]", 12, "[", "no list"),
    ("app name ''", 9, "", "1 to 256"),
    ("port ~ 5", 5, "~", "no text"),
    ("less > 5", 5, ">", "no comparator"),
    ("first seen > -15x", 13, "-15x", "or as -15m"),
    ("first seen > -999999999w", 13, "-999999999w", "out of range"),
    ("tcp[13] = 2", 0, "tcp", "BPF"),
    ("ether host 1", 0, "ether", "BPF"),
    ("port & 80", 5, "&", "write and"),
    ("port 80 # fine\nport 90", 15, "port", "'and' or 'or'"),
    ("ident 'x", 6, "'", "closing quote"),
    ("port \u0663", 5, "\u0663", "unexpected character"),
    ("port '8\x1b]52;'", 5, "8\x1b]52;", r"\\x1b"),
    ("(" * 200 + "any" + ")" * 200, 100, "(", "more than 100"),
    ("not " * 5000 + "any", 400, "not", "more than 100"),
]


@pytest.mark.parametrize(("written", "column", "token", "message"), ERRORS)
def test_refuses(written: str, column: int, token: str, message: str) -> None:
    with pytest.raises(FilterError, match=message) as caught:
        parse(written)
    assert (caught.value.column, caught.value.token) == (column, token)
    assert caught.value.text == written
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


SOME_WORDS = [
    *("net", "src", "dst", "in", "not", "and", "or", "tcp", "80", "10.0.0.1", "2023", "nat", "tun", "ingress", "min", "xip"),
    *("less", "ident", "none", "drop", "ef", "'x'", "-5m", "equal", "pblock", "mpls", "asa", "observation"),
]


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from([*FIELDS, *RELATIONS, *"[](),!>=-S~", *SOME_WORDS]),
            max_size=12,
        ).map(" ".join),
    )
)
def test_any_text_parses_or_names_a_column(written: str) -> None:
    try:
        tree = parse(written)
    except FilterError as error:
        assert 0 <= error.column <= len(written)
        assert written[error.column : error.column + len(error.token)] == error.token or written[error.column] in "'\""
        assert str(error).isprintable()
    else:
        assert parse(text(tree)) == tree


# -- printing ----------------------------------------------------------------------------------------------------------------

IPV4 = st.builds(lambda n, bits: IPv4Network((n, bits), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32))
IPV6 = st.builds(lambda n, bits: IPv6Network((n, bits), strict=False), st.integers(0, 2**128 - 1), st.integers(0, 128))
NUMERIC = [(name, way) for name, field in FIELDS.items() if field.kind not in NO_NUMBERS for way in field.columns]
TEXTS = [(name, way) for name, field in FIELDS.items() if field.kind is Kind.TEXT for way in field.columns]
WORDS = st.text(min_size=1, max_size=20).filter(lambda word: "\n" not in word and not {"'", '"'} <= set(word))


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    name, direction = draw(st.sampled_from(NUMERIC))
    value = st.integers(FIELDS[name].low, FIELDS[name].high)
    if name not in ("flags", "seen") and draw(st.booleans()):
        return OneOf(name, tuple(draw(st.lists(value, min_size=2, max_size=4, unique=True))), direction)
    return Compare(name, draw(st.sampled_from(Operator)), draw(value), direction)


ENDS = [Direction.NONE, Direction.SRC, Direction.DST]

LEAVES = st.one_of(
    st.just(ANY),
    st.builds(Family, st.sampled_from([4, 6])),
    st.builds(
        AddressIn,
        st.lists(st.one_of(IPV4, IPV6), min_size=1, max_size=4).map(tuple),
        st.sampled_from(list(FIELDS["ip"].columns)),
    ),
    st.builds(Flags, st.integers(1, 255), st.booleans()),
    st.sampled_from([Relation(name, way) for name, ways in RELATIONS.items() for way in ways]),
    st.tuples(st.sampled_from(TEXTS), WORDS, st.booleans()).map(lambda drawn: Text(drawn[0][0], drawn[1], drawn[0][1], drawn[2])),
    st.builds(Named, st.from_regex(r"[^\s/%:,\[\]()'\"0-9][^\s/%:,\[\]()'\"]{0,30}", fullmatch=True), st.sampled_from(ENDS)),
    st.builds(
        Place, st.just("geo"), st.lists(st.from_regex("[A-Za-z]{2}", fullmatch=True), min_size=1).map(tuple), st.sampled_from(ENDS)
    ),
    st.builds(Place, st.just("asorg"), st.tuples(WORDS), st.sampled_from(ENDS), st.booleans()),
    comparisons(),
)


def grown(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    terms = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(And, terms), st.builds(Or, terms), st.builds(Not, inner))


@settings(deadline=None, max_examples=300)
@given(st.recursive(LEAVES, grown, max_leaves=8))
def test_printing_is_the_inverse_of_parsing(tree: Filter) -> None:
    assert parse(text(tree)) == tree
    assert hash(parse(text(tree))) == hash(tree)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("tcp port https or 80", "(proto tcp and port 443) or (proto tcp and port 80)"),
        ("host 10.0.0.1 || src net 10", "ip 10.0.0.1 or src net 10.0.0.0/8"),
        ("flags =AS", "flags =SA"),
        ("port 80-90", "(src port >= 80 and src port <= 90) or (dst port >= 80 and dst port <= 90)"),
        ("proto in [tcp udp]", "proto in [6 17]"),
        ("last seen < 2023-11-14T22:13:20.250", "last seen < 2023-11-14T22:13:20.25"),
        ("first seen > -1h", "first seen > 2023-11-14T21:13:20"),
        ("src xip 192.0.2.1 or nport 5", "src nat ip 192.0.2.1 or nat port 5"),
        ("src or dst tunip 192.0.2.1", "tun ip 192.0.2.1"),
        ("src or dst host Example.ORG", "ip example.org"),
        ("src and dst host office", "src ip 'office' and dst ip 'office'"),
        ("ip in [10.0.0.1 a.example 10.0.0.0/8 b-1]", "ip in [10.0.0.0/8 10.0.0.1] or ip a.example or ip 'b-1'"),
        ("src net office", "src ip 'office'"),
        ("host 'any'", "ip 'any'"),
        ("geo in or dst geo 'De' or US", "geo IN or dst geo DE or dst geo US"),
        ("geo LT or src geo ge or GT", "geo LT or src geo GE or src geo GT"),
        ("geo = LE", "geo LE"),
        ("geo in [de FR, de]", "geo in [DE FR]"),
        ("src asorg ~ Google", "src asorg ~ 'google'"),
        ("not asorg 'Example Net'", "not asorg 'example net'"),
        ("asa event denied ingress", "asa xevent 1001"),
        ("exporter id 5 and engine type 1", "observation domain id 5 and engine-type 1"),
        ("src port in pblock", "src port in nat pblock"),
        ('app name ~ "It\'s"', 'app name ~ "it\'s"'),
        ("less 64", "bpp <= 64"),
        ("dscp ef", "dscp 46"),
    ],
)
def test_prints_nfdumps_spelling(written: str, printed: str) -> None:
    assert text(parse(written, now=NOW)) == printed


# -- trees -------------------------------------------------------------------------------------------------------------------


def test_joining_leaves_out_what_changes_nothing() -> None:
    assert all_of() == ANY
    assert all_of(ANY, TCP) == TCP
    assert all_of(TCP, port(80), ANY) == And((TCP, port(80)))
    assert any_of(TCP) == TCP
    assert any_of(TCP, ANY) == ANY


@pytest.mark.parametrize(
    "build",
    [
        lambda: And((TCP,)),
        lambda: Or(()),
        lambda: AddressIn(()),
        lambda: AddressIn((IPv4Network("10.0.0.0/8"),), Direction.OUT),
        lambda: Compare("port", Operator.EQ, 65536),
        lambda: Compare("prot", Operator.EQ, 6),
        lambda: Compare("port", Operator.EQ, 6, Direction.NEXT),
        lambda: Compare("ip", Operator.EQ, 6),
        lambda: OneOf("port", (80, 80)),
        lambda: OneOf("flags", (1, 2)),
        lambda: Text("app name", ""),
        lambda: Text("app name", "'\""),
        lambda: Text("port", "80"),
        lambda: Compare("app name", Operator.EQ, 5),
        lambda: Relation("ttl equal", Direction.MIN),
        lambda: Relation("port"),
        lambda: Flags(0),
        lambda: Family(5),
    ],
)
def test_a_tree_that_no_text_means_cannot_be_built(build: type[Filter]) -> None:
    with pytest.raises(ValueError, match=r"."):
        build()


def test_fields_name_columns_of_the_schema() -> None:
    named = {column for field in FIELDS.values() for columns in field.columns.values() for column in columns}
    assert named <= BY_NAME.keys()


def test_the_manual_has_an_example_of_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs" / "filters.md").read_text("utf-8")
    examples = [line for block in re.findall(r"```filter\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    printed = [f" {text(parse(example))} " for example in examples]
    labels = {f"mpls label{n}" for n in range(2, 10)}
    missing = [
        name for name in {*FIELDS, *RELATIONS} - labels if not any(f" {name} " in f"{one.replace('(', '')} " for one in printed)
    ]
    assert missing == []


def test_the_language_needs_no_engine() -> None:
    code = "import sys, nftui.engine.filters; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
