"""Basic filters: six lists become an expression of one form, and a wrong item is named with its field."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.engine.basic_filter import FIELD_NAMES, BasicFilter, expression, tree
from nftui.engine.filters import ANY, parse
from nftui.errors import FilterError


@pytest.mark.row("F04")
@pytest.mark.row("F05")
@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({}, ""),
        ({"source_ip": " , ,"}, ""),
        ({"source_ip": "25.46.157.214,160.253.135.249"}, "(src ip 25.46.157.214 or src ip 160.253.135.249)"),
        ({"destination_ip": "10.0.0.1, 192.0.2.0/24"}, "(dst ip 10.0.0.1 or dst net 192.0.2.0/24)"),
        ({"destination_port": "80,443"}, "(dst port 80 or dst port 443)"),
        (
            {
                "source_ip": "::6",
                "destination_ip": "::1,10/8",
                "source_port": "1",
                "destination_port": "443",
                "protocol": "6",
                "exporter": "::2",
            },
            "(router ip ::2) and (dst ip ::1 or dst net 10/8) and (src ip ::6) and (dst port 443) and (src port 1) and (proto 6)",
        ),
    ],
)
def test_becomes_an_expression(fields: dict[str, str], written: str) -> None:
    basic = BasicFilter(**fields)
    assert expression(basic) == written
    assert tree(basic) == parse(written)
    assert basic.blank == (written == "") == (tree(basic) == ANY)


@pytest.mark.parametrize(
    ("field", "text", "column", "message"),
    [
        ("source_ip", "10.0.0.1,10.0.0.256", 9, "source address, column 10: '10.0.0.256' is not an address"),
        ("source_ip", "10.0.0.1 10.0.0.2", 0, "source address, column 1: expected one value; several have commas between"),
        ("destination_ip", "10.0.0.0/33", 0, "destination address, column 1: the length 33"),
        ("source_port", "80 or port 90", 0, "source port, column 1: expected one value"),
        ("source_port", "not", 0, "source port, column 1: expected a port"),
        ("destination_port", "80, in", 4, "destination port, column 5"),
        ("destination_port", " 70000", 1, "destination port, column 2: port '70000' is out of range; 0 to 65535"),
        ("destination_port", "=80", 0, "destination port, column 1: expected one value"),
        ("destination_port", "(80)", 0, "destination port, column 1: expected one value"),
        ("protocol", "tcp,foo", 4, "protocol, column 5: 'foo' is not a protocol"),
        ("protocol", "udp,tcp#", 4, "protocol, column 5: expected one value"),
        ("exporter", "'10.0.0.1'", 0, "exporter, column 1: expected one value"),
        ("exporter", "10.0.0.1'", 8, "exporter, column 9: the quote"),
    ],
)
def test_a_wrong_item_is_named_with_its_field(field: str, text: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        expression(BasicFilter(**{field: text}))
    assert message in str(caught.value)
    assert (caught.value.text, caught.value.column) == (text, column)


WORDS = st.sampled_from([*"10./:,-'\"()#[]!=<> \n", "tcp", " or ", " and ", "not ", "in ", "10.0.0.1"])


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(FIELD_NAMES), st.lists(WORDS, max_size=8).map("".join))
def test_no_field_is_more_than_its_values(field: str, text: str) -> None:
    """Nothing typed into one field reaches another, or the connectives."""
    other = {"source_ip": "::6"} if field == "protocol" else {"protocol": "6"}
    basic = BasicFilter(**{field: text, **other})
    try:
        written = expression(basic)
    except FilterError as error:
        assert error.text == text
        return
    items = [item.strip() for item in text.split(",") if item.strip()]
    assert written.count(" and ") == (1 if items else 0)
    assert written.count(" or ") == max(len(items) - 1, 0)
    parse(written)


@pytest.mark.peer("nfdump")
def test_the_expression_is_nfdumps(require_peer: Callable[[str], str]) -> None:
    lists = {"source_ip": "10.0.0.1,2001:db8::/32", "destination_ip": "10.0.0.0/8", "exporter": "192.0.2.1", "protocol": "tcp,47"}
    written = expression(BasicFilter(**lists, source_port="80,443", destination_port="53"))
    assert subprocess.run([require_peer("nfdump"), "-Z", written], check=False).returncode == 0
