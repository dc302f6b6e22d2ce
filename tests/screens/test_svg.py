"""Pictures of screens: every character in its cell, nothing from elsewhere, whatever the text is."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style

from nftui.screens.svg import HEIGHT, WIDTH, svg
from tests.screens.conftest import HOSTILE

GROUND = "#101418"
Made = tuple[list[tuple[float, float, str]], list[tuple[str, tuple[float, ...]]]]


def drawn(*lines: str, style: Style | None = None, width: int = 80) -> Made:
    """Return the texts with their places, and the boxes with their fill, of a picture that is well-formed."""
    text = svg([[Segment(line, style or Style(color="#ffffff", bgcolor=GROUND))] for line in lines], width, GROUND)
    root = ET.fromstring(text)
    names = {"s": "http://www.w3.org/2000/svg"}
    words = [(float(e.get("x", 0)), float(e.get("y", 0)), e.text or "") for e in root.findall(".//s:g/s:text", names)]
    boxes = []
    for path in root.findall(".//s:g/s:path", names):
        found = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", path.get("d", ""))
        boxes += [(path.get("fill", ""), tuple(map(float, numbers))) for numbers in found]
    return words, boxes


@given(st.lists(st.text("ab■ ─█▄⠿│é<&\"'", max_size=30), min_size=1, max_size=4))
def test_letters_stand_in_their_cells(lines: list[str]) -> None:
    words, _ = drawn(*lines)
    found = {(round(x / WIDTH) + n, int(y // HEIGHT)): letter for x, y, word in words for n, letter in enumerate(word)}
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            if letter in "abé<&\"'":
                assert found[column, row] == letter
    assert all(letter == " " or lines[row][column] == letter for (column, row), letter in found.items())


@pytest.mark.parametrize(
    ("character", "share"),
    [
        ("█", 1),
        ("▄", 1 / 2),
        ("▀", 1 / 2),
        ("▌", 1 / 2),
        ("▁", 1 / 8),
        ("▇", 7 / 8),
        ("▏", 1 / 8),
        ("▉", 7 / 8),
        ("▙", 3 / 4),
        ("▒", 1),
    ],
)
def test_blocks_fill_their_share_of_the_cell(character: str, share: float) -> None:
    words, boxes = drawn(f"  {character}", " ")
    assert words == []
    assert sum(wide * high for _, (_, _, wide, high) in boxes) == pytest.approx(share * WIDTH * HEIGHT, abs=0.1)
    assert all(2 * WIDTH <= x and x + wide <= 3 * WIDTH + 0.01 and y + high <= HEIGHT for _, (x, y, wide, high) in boxes)


def test_braille_has_as_many_dots_as_the_pattern() -> None:
    _, boxes = drawn("⣿⠁⢀")
    assert len(boxes) == 10


def test_neighbours_are_one_shape() -> None:
    _, boxes = drawn("───██████", "  ██")
    assert len(boxes) == 3


def test_wide_characters_take_two_cells() -> None:
    words, _ = drawn("日本  x")
    assert words[-1][0] == 6 * WIDTH


def test_shades_are_patterns_that_the_picture_has() -> None:
    text = svg([[Segment("▒", Style(color="#aabbcc", bgcolor=GROUND))]], 1, GROUND)
    assert re.findall(r"url\(#(\w+)\)", text) == re.findall(r'<pattern id="(\w+)"', text) != []


@given(st.text(max_size=40))
def test_nothing_is_loaded_or_run_whatever_the_text(text: str) -> None:
    shown = "".join(letter for letter in HOSTILE + text if letter.isprintable())
    picture = svg([[Segment(f"<script>{shown}</script><image href='http://x'/>")]], 80, GROUND, title=shown + "<a>")
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(picture).iter()}
    assert tags <= {"svg", "style", "rect", "text", "g", "path", "pattern"}


def test_colours_reversed_and_dim() -> None:
    _, boxes = drawn(" █", style=Style(color="#ff0000", bgcolor="#0000ff", reverse=True))
    assert [fill for fill, _ in boxes] == ["#ff0000", "#0000ff"]
    _, boxes = drawn("█", style=Style(color="#ffffff", bgcolor=GROUND, dim=True))
    assert boxes[0][0] not in ("#ffffff", GROUND)
