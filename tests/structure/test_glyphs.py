"""Colours stand in themes alone, characters of pictures in the table of glyphs: else some terminal shows neither."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nftui

ROOT = Path(nftui.__file__).parent
COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}\b")
PICTURE = re.compile("[\u2500-\u25ff\u2800-\u28ff]")
"""Lines of boxes, blocks, shapes, dots."""
HOMES = {"screens/themes.py", "screens/glyphs.py", "screens/svg.py"}
"""The last draws each character, as browsers have other fonts than terminals."""
ELSEWHERE = {
    ("screens/widgets/axes.py", "┤│"): "what plotext draws",
    ("screens/widgets/sampler.py", "⣀⣠⣤⣴⣶⣾⣿⣷⣶⣦⣤⣄⣀"): "shows whether the terminal has dots",
}


def _texts(source: str) -> Iterator[str]:
    """Yield the strings of a module that aren't its documentation."""
    tree = ast.parse(source)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def _written() -> Iterator[tuple[str, str]]:
    for path in (*sorted((ROOT / "screens").rglob("*.py")), ROOT / "app.py", ROOT / "dashboard.py"):
        name = str(path.relative_to(ROOT))
        if name not in HOMES:
            yield from ((name, text) for text in _texts(path.read_text("utf-8")))
    for path in (ROOT / "screens").rglob("*.tcss"):
        yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def test_colours_and_characters_of_pictures_stand_in_one_place_each() -> None:
    found = {(name, text) for name, text in _written() if COLOUR.search(text) or PICTURE.search(text)}
    assert found == set(ELSEWHERE)


def test_the_look_finds_what_it_is_to_find() -> None:
    assert [text for text in _texts('"""─"""\nx = "─" + f"{y}█"') if PICTURE.search(text)] == ["─", "█"]
    assert COLOUR.search("bold #ff8800") and COLOUR.search("#fff") and not COLOUR.search("#table #keys #f1 #below")
