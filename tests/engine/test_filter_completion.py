"""What may stand next in a filter: nothing that leads nowhere, and nothing left out that goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.engine.filter_completion import MOST, Completion, complete
from nftui.engine.filter_fields import Direction
from nftui.engine.filter_syntax import tokens
from nftui.engine.filter_words import VALUES
from nftui.engine.filters import Filter, parse, text
from nftui.errors import FilterError
from tests.engine.test_filters import LEAVES, grown


def known(field: str, direction: Direction, stem: str) -> Iterator[tuple[str, str]]:
    """What a caller knows of the data."""
    if field == "ip" and direction is Direction.ROUTER:
        yield "192.0.2.254", "edge"
    elif field == "ip":
        yield from (("10.0.0.1", "5 flows"), ("no address", "hostile"), ("2001:db8::1", ""))
    elif field == "as":
        yield "64500", "ACME"
    elif field == "app name":
        yield from (("web browsing", ""), ("it's", ""), ("a\x1b]52;", ""), ("\"'", ""))
    elif field == "@include":
        yield "servers", "a file"


def offered(written: str) -> list[str]:
    return [one.insert for one in complete(written, len(written), known)]


@pytest.mark.parametrize(
    ("written", "has", "has_not"),
    [
        ("", ["src", "port", "tcp", "not", "(", "any", "@include"], ["and", "or", ")", "code"]),
        ("s", ["src", "sctp"], ["dst", "not"]),
        ("port", ["portrange"], ["port", "80"]),
        ("port ", ["https", "=", "in [", "not", ">="], ["tcp", "src", "and"]),
        ("port ht", ["http", "https"], ["ssh"]),
        ("dst port in [", ["ssh"], ["]", "and"]),
        ("dst port in [80 ", ["ssh", "]"], ["and"]),
        ("port 80 ", ["and", "or"], [")", "port", "src"]),
        ("(port 80 ", ["and", "or", ")"], ["port"]),
        ("(port 80) ", ["and"], [")", "port"]),
        ("port 80 and ", ["src", "not", "("], ["and"]),
        ("src ", ["ip", "port", "net", "or", "as"], ["src", "bytes", "proto"]),
        ("src or ", ["dst"], ["src", "port"]),
        ("src or dst ", ["port", "ip"], ["bytes"]),
        ("bgp ", ["next"], ["ip"]),
        ("in ", ["src", "if", "bytes"], ["port", "["]),
        ("proto ", ["tcp", "udp"], ["http"]),
        ("tcp ", ["and", "port", "src"], ["tcp", "bytes"]),
        ("icmp ", ["type", "code", "and"], []),
        ("flags ", ["S", "A"], ["src", "as"]),
        ("flags S", ["SA", "SF"], ["SS"]),
        ("bytes > 10", ["10k", "10m", "10g"], []),
        ("port 80", [], ["80k"]),
        ("first ", ["seen"], ["port"]),
        ("first seen > ", ["now", "-15m"], []),
        ("mpls ", ["label1", "label10", "any"], ["port"]),
        ("ip ", ["10.0.0.1", "2001:db8::1"], ["no address", "'no address'", "192.0.2.254"]),
        ("router ip ", ["192.0.2.254"], ["10.0.0.1"]),
        ("ip in [", ["10.0.0.1"], []),
        ("not dst as ", ["64500"], []),
        ("app name ", ["'web browsing'", '"it\'s"'], ["web browsing"]),
        ("@include ", ["servers"], ["port"]),
        ("tcp and @include s", ["servers"], []),
        ("fwdstat ", ["noroute", "drop"], []),
        ("port 80 # a comment ", [], ["and"]),
        ("port 80 # a comment\n", ["and"], []),
        ("app name 'we", [], ["'web browsing'"]),
        ("nonsense ", [], ["and"]),
        ("src src ", [], ["port"]),
    ],
)
def test_offers(written: str, has: list[str], has_not: list[str]) -> None:
    found = offered(written)
    assert set(has) <= set(found)
    assert not set(has_not) & set(found)


def test_says_where_and_what() -> None:
    assert complete("tcp and PO 80", 10)[0] == Completion("port", 8, 10, "field", "a port, by number or name")
    assert complete("bytes > 1", 9)[0] == Completion("1k", 8, 9, "unit", "thousands")
    assert complete("ip ", 3, known)[0] == Completion("10.0.0.1", 3, 3, "data", "5 flows")
    assert complete("x", 10**9) == complete("x", 1)
    assert complete("x", -5) == complete("", 0)


def test_everything_that_is_offered_is_said_in_words() -> None:
    typed = ["", *(f"{one.insert} " for one in complete("", 0)), "nat ", "bytes > 1", "port in [", "(any ", "src nat "]
    said = {one.insert: one.meaning for written in typed for one in complete(written, len(written))}
    assert [insert for insert, meaning in said.items() if not meaning] == []


def test_bounds() -> None:
    many = complete("ip ", 3, lambda field, direction, stem: ((f"10.0.{n // 256}.{n % 256}", "") for n in range(100_000)))
    assert len(many) <= MOST
    assert complete("not " * 30_000, 120_000) == []
    long = "port in [" + "80 " * 2000
    assert complete(long, len(long)) == []


# -- properties --------------------------------------------------------------------------------------------------------------


def finished(written: str) -> bool:
    """Return whether accepting completions, or a value where one is missing, leads to a filter."""
    for _ in range(12):
        try:
            parse(written)
        except FilterError:
            pass
        else:
            return True
        found = offered(written)
        for value in ("1", *(example.split()[-1] for example in VALUES.values())):
            for end in ("", " ]"):
                try:
                    parse(written + value + end + ")" * (written.count("(") - written.count(")")))
                except FilterError:
                    continue
                return True
        following = next((one for one in (")", "]") if one in found), None) or next(iter(found), None)
        if following is None:
            return False
        written += following + " "
    return False


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_is_accepted_goes_on(data: st.DataObject) -> None:
    written = ""
    for _ in range(data.draw(st.integers(1, 7))):
        found = [one for one in offered(written) if one != "@include"]
        if not found:
            break
        written += data.draw(st.sampled_from(found)) + " "
    assert finished(written), written


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.sampled_from([*"()[]'\"#,=~\n ", "port ", "src ", "or ", "80 ", "@include ", "nat ", "\x1b", "\u20ac"]), max_size=8
    ),
    st.integers(-2, 40),
)
def test_no_text_raises(words: list[str], cursor: int) -> None:
    written = "".join(words)
    for one in complete(written, cursor, known):
        assert 0 <= one.start <= one.end <= len(written)


KEYWORDS = {
    "and",
    "or",
    "not",
    "(",
    ")",
    "]",
    "src",
    "dst",
    "port",
    "ip",
    "net",
    "proto",
    "if",
    "as",
    "bytes",
    "router",
    "seen",
    "mac",
}


@settings(deadline=None, max_examples=60)
@given(st.recursive(LEAVES, grown, max_leaves=4), st.data())
def test_the_next_word_of_any_filter_is_offered(tree: Filter, data: st.DataObject) -> None:
    written = text(tree)
    places = [token for token in tokens(written) if token.text in KEYWORDS and token.kind != "quoted"]
    if not places:
        return
    token = data.draw(st.sampled_from(places))
    assert token.text in offered(written[: token.column].rstrip() + " " if token.column else "")
