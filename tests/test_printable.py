"""Text from outside: no control character comes through, nothing is wider than allowed, nothing is a formula."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nftui.printable import MAX_WIDTH, STACKED, cell_width, csv_field, printable

ANYTHING = st.text(st.characters(exclude_categories=[]))
NASTY = st.text(
    st.sampled_from("a0 =+-@\\[]…中\x00\x07\x1b\x7f\x9b\n\r\t\u0301\u20dd\u200b\u202e\u2066\ufe0f\ufeff\ud800\U000e0041\U0001f600")
)
WIDTHS = st.integers(0, 40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 100 %", "plain text, 100 %"),
        ("", ""),
        ("\x1b]52;c;ZXZpbA==\x07", r"\x1b]52;c;ZXZpbA==\x07"),
        ("\x00\t\n\r\x7f", r"\x00\x09\x0a\x0d\x7f"),
        ("\x85\x9b31m", r"\x85\x9b31m"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("\u2066a\u2069\u061c\u200f", r"\u2066a\u2069\u061c\u200f"),
        ("a\u200bb\u200dc\ufeff\u00ad", r"a\u200bb\u200dc\ufeff\xad"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("a\ufe0f\u034f\u3164", r"a\ufe0f\u034f\u3164"),
        ("\ud800\U000e0041", r"\ud800\U000e0041"),
        ("Zürich 東京 😀", "Zürich 東京 😀"),
        ("cafe\u0301", "cafe\u0301"),
        ("e" + "\u0301" * 5, "e" + "\u0301" * STACKED + r"\u0301\u0301"),
        ("[@click=app.quit]x[/]", "[@click=app.quit]x[/]"),
        (None, "None"),
        (b"\x1b", r"b'\x1b'"),
    ],
)
def test_shown(text: object, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("äbcdef", 5, "äbcd…"),
        ("中文字", 6, "中文字"),
        ("中文字", 5, "中文…"),
        ("中文字", 4, "中…"),
        ("中文字", 0, ""),
        ("a\x1bb", 6, r"a\x1bb"),
        ("a\x1bb", 5, "a…"),
        ("cafe\u0301", 4, "cafe\u0301"),
    ],
)
def test_cut(text: str, width: int, shown: str) -> None:
    assert printable(text, width) == shown


@given(st.one_of(ANYTHING, NASTY), WIDTHS)
def test_no_control_character_and_never_too_wide(text: str, width: int) -> None:
    shown = printable(text, width)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert cell_width(shown) <= width
    assert len(shown) <= (STACKED + 1) * (width + 1)


@given(st.one_of(ANYTHING, NASTY), WIDTHS)
def test_twice_is_once(text: str, width: int) -> None:
    shown = printable(text, width)
    assert printable(shown, width) == shown


@given(st.one_of(ANYTHING, NASTY), WIDTHS)
def test_ellipsis_says_when_something_is_missing(text: str, width: int) -> None:
    whole = printable(text, 16 * len(text) + 16)
    shown = printable(text, width)
    assert shown == whole if cell_width(whole) <= width else shown.endswith("…") or width == 0


def test_megabytes_are_cut_to_the_width() -> None:
    assert printable("\u202e" * 1_000_000).endswith("…")
    assert cell_width(printable("a" + "\u0301" * 1_000_000)) <= MAX_WIDTH


def test_no_character_is_wider_than_the_screen_library_thinks() -> None:
    shown = (c for c in map(chr, range(0x110000)) if printable(c) == c)
    assert [hex(ord(c)) for c in shown if cell_len(c) > cell_width(c)] == []


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("＝1+1", "'＝1+1"),
        ("\t=1", r"\x09=1"),
        ("\r=1", r"\x0d=1"),
        ("-5", "-5"),
        ("+5.5e3", "+5.5e3"),
        ("a=b", "a=b"),
        ("", ""),
        (-17, "-17"),
    ],
)
def test_csv_field(text: object, field: str) -> None:
    assert csv_field(text) == field


@given(st.one_of(ANYTHING, NASTY))
def test_csv_field_is_no_formula(text: str) -> None:
    field = csv_field(text)
    if field[:1] and field[0] in "=+-@＝＋－＠":
        float(field)
    assert not any(unicodedata.category(c) == "Cc" for c in field)
