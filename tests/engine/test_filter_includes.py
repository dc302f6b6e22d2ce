"""Included files: where they may stand, how deep, how many, and where a mistake in one is found."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nftui.engine.filter_includes import DEEPEST, MOST_FILES, include, parse_with_includes
from nftui.engine.filters import LONGEST, parse
from nftui.errors import FilterError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("port 1")
    directory = tmp_path / "filters"
    (directory / "more").mkdir(parents=True)
    files = {
        "web": "port 80 or port 443 # the web",
        "hosts": "10.0.0.1 10.0.0.2",
        "more/dns": "\n# DNS\nport 53\n",
        "both": "@include web\nor @INCLUDE 'more/dns'",
        "wrong": "tcp and\n  prot 80",
        "outer": "udp or (\n@include wrong\n)",
        "unclosed": "port 80 and 'x",
        "empty": "",
        "a": "@include b",
        "b": "any and @include a",
        "sum 1": "udp",
        "blind": "@include",
    }
    for name, text in files.items():
        (directory / name).write_text(text)
    (directory / "latin").write_bytes(b"port 80 # \xe9")
    (directory / "long").write_text("any " * LONGEST)
    (directory / "out").symlink_to(tmp_path / "secret")
    (directory / "up").symlink_to(tmp_path)
    (directory / "within").symlink_to("web")
    os.mkfifo(directory / "pipe")
    for depth in range(DEEPEST + 1):
        (directory / f"d{depth}").write_text(f"@include d{depth + 1}" if depth < DEEPEST else "any")
    (directory / "wide").write_text("@include empty " * 50)
    (directory / "wider").write_text("@include wide " * 50)
    return directory


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("port 80", "port 80"),
        ("@include web", "port 80 or port 443"),
        ("@include within", "port 80 or port 443"),
        ("tcp and (@include web) and bytes > 5", "tcp and (port 80 or port 443) and bytes > 5"),
        ("tcp and @include web", "tcp and port 80 or port 443"),
        ("ip in [@include hosts ::1]", "ip in [10.0.0.1 10.0.0.2 ::1]"),
        ("@include both", "port 80 or port 443 or port 53"),
        ('@include "sum 1"', "udp"),
        ("@include empty", ""),
        ("tcp # and @include nothing", "tcp"),
        ("app name '@include web'", "app name '@include web'"),
        ("@include d1", "any"),
    ],
)
def test_takes_the_place_of_the_word(home: Path, written: str, means: str) -> None:
    assert parse_with_includes(written, home) == parse(means)


@pytest.mark.parametrize(
    ("written", "source", "column", "message"),
    [
        ("tcp and @include wrong", "filters/wrong", 10, "filters/wrong, line 2, column 3: unknown word 'prot'"),
        ("tcp and (@include outer)", "filters/wrong", 10, "filters/wrong, line 2, column 3: unknown word 'prot'"),
        ("tcp and @include unclosed", "filters/unclosed", 12, "filters/unclosed, column 13: the quote"),
        ("@include web tcp", "", 13, "filter, column 14: expected 'and' or 'or'"),
        ("@include web and", "", 16, "filter, column 17: expected a term"),
        ("any @include web", "filters/web", 0, "filters/web, column 1"),
        ("@include nothing", "", 9, "filter, column 10: there is no file 'nothing' in"),
        ("@include ../secret", "", 9, "is not in"),
        ("@include more/../../secret", "", 9, "is not in"),
        ("@include /etc/passwd", "", 9, "is not in"),
        ("@include out", "", 9, "leads out of"),
        ("@include up/secret", "", 9, "leads out of"),
        ("@include more", "", 9, "can't be read"),
        ("@include pipe", "", 9, "can't be read"),
        ("@include latin", "", 9, "no text in UTF-8"),
        ("@include long", "", 9, "can't be read"),
        ("@include", "", 8, "expected the name of a file after @include"),
        ("@include (web)", "", 9, "expected the name of a file"),
        ("@include ''", "", 9, "expected the name of a file"),
        ("@include blind", "filters/blind", 8, "filters/blind, column 9: expected the name"),
        ("@include a", "filters/b", 17, "filters/b, column 18: the file 'a' includes itself"),
        ("@include d0", "filters/d9", 9, f"more than {DEEPEST} files within each other"),
        ("@include wider", "filters/wide", 714, f"more than {MOST_FILES} files"),
        ("web and '@include", "", 8, "filter, column 9: the quote"),
    ],
)
def test_a_mistake_is_found_where_it_was_written(home: Path, written: str, source: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_with_includes(written, home)
    assert message in str(caught.value)
    assert caught.value.source == source
    if "more than" not in message:
        assert caught.value.column == column
    assert str(caught.value).isprintable()


def test_the_whole_is_no_longer_than_a_filter(home: Path) -> None:
    (home / "half").write_text("any or " * (LONGEST // 14))
    with pytest.raises(FilterError, match="longer than"):
        parse_with_includes("@include half @include half @include half any", home)


def test_without_a_directory_nothing_is_included(tmp_path: Path) -> None:
    assert parse_with_includes("port 80", tmp_path / "none") == parse("port 80")
    with pytest.raises(FilterError, match="there is no file 'web'"):
        parse_with_includes("@include web", tmp_path / "none")


def test_each_column_is_traced_to_where_it_was_written(home: Path) -> None:
    whole = include("tcp and @include web", home)
    place = whole.text.index("443")
    assert whole.written(place) == ("filters/web", "port 80 or port 443 # the web", 16)
    assert whole.written(0) == ("", "tcp and @include web", 0)


@pytest.mark.peer("nfdump")
@pytest.mark.parametrize(
    ("held", "written", "taken"),
    [
        ("port 80 or", "@include held port 443", True),
        ("port 80 or", "@include held prot 443", False),
        ("port 80 or", "@include held", False),
        ("10.0.0.1 10.0.0.2", "ip in [ @include held ]", True),
        ("port 80 # the web", "not @include held\nand proto tcp", True),
        ("port 80)", "(@include held", True),
        ("(port 80", "@include held\nor port 443)", True),
    ],
)
def test_is_text_for_nfdump_too(home: Path, held: str, written: str, taken: bool, require_peer: Callable[[str], str]) -> None:
    (home / "held").write_text(held)
    done = subprocess.run([require_peer("nfdump"), "-Z", written], cwd=home, capture_output=True, check=False)
    assert (done.returncode == 0) == taken
    try:
        parse_with_includes(written, home)
    except FilterError:
        assert not taken
    else:
        assert taken
