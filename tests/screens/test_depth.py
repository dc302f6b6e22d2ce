"""What a terminal shows, told from its environment: colours and characters."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nftui.printable import printable
from nftui.screens import glyphs
from nftui.screens.depth import BY_LABEL, Depth, depth
from nftui.screens.glyphs import ASCII, BLOCKS, BRAILLE, GLYPHS, HALF, Glyphs, plainer
from tests.screens.outlet import line

TRUE = {"COLORTERM": "truecolor"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"TERM": "xterm-256color"}, Depth.MANY), ({"TERM": "xterm-256color", **TRUE}, Depth.ALL),
        ({"TERM": "xterm"}, Depth.SIXTEEN),
        ({"TERM": "tmux-256color"}, Depth.MANY), ({"TERM": "tmux-256color", **TRUE}, Depth.ALL),
        ({"TERM": "screen", "TMUX": "/tmp/x"}, Depth.MANY), ({"TERM": "screen"}, Depth.SIXTEEN),
        ({"TERM": "screen", "STY": "1.x", **TRUE}, Depth.SIXTEEN), ({"TERM": "screen-256color", "STY": "1.x", **TRUE}, Depth.MANY),
        ({"TERM": "linux"}, Depth.SIXTEEN), ({"TERM": "linux", **TRUE}, Depth.SIXTEEN), ({"TERM": "linux-m"}, Depth.NONE),
        ({"TERM": "vt100"}, Depth.NONE), ({"TERM": "vt220"}, Depth.NONE), ({"TERM": "vt220-w"}, Depth.NONE),
        ({"TERM": "xterm-kitty"}, Depth.ALL), ({"TERM": "alacritty"}, Depth.ALL), ({"TERM": "xterm-direct"}, Depth.ALL),
        ({"TERM": "rxvt-unicode-256color"}, Depth.MANY), ({"TERM": "xterm-mono", **TRUE}, Depth.NONE), ({}, Depth.NONE),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", **TRUE}, Depth.NONE),
        ({"TERM": "xterm-256color", "NO_COLOR": "", **TRUE}, Depth.ALL),
    ],
)  # fmt: skip
def test_depth_is_told_from_the_environment(environ: dict[str, str], wanted: Depth) -> None:
    assert depth("auto", environ) is wanted
    for label, named in BY_LABEL.items():
        assert depth(label, environ) is named


UTF8 = {"LANG": "en_US.UTF-8"}


@pytest.mark.parametrize(
    ("environ", "coerced", "wanted"),
    [
        ({"TERM": "xterm-256color", **UTF8}, False, BLOCKS), ({"TERM": "xterm-kitty", **UTF8}, False, BRAILLE),
        ({"TERM": "linux", **UTF8}, False, HALF), ({"TERM": "vt220", **UTF8}, False, ASCII),
        ({"TERM": "xterm-256color", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, ASCII),
        ({"TERM": "xterm-256color", "LC_CTYPE": "C.UTF-8"}, True, ASCII),
        ({"TERM": "xterm-256color", "LC_CTYPE": "C.UTF-8"}, False, BLOCKS),
        ({"TERM": "xterm-256color", "LC_CTYPE": "C.UTF-8", "LANG": "nn_NO.utf8"}, True, BLOCKS),
        ({"TERM": "xterm-256color", "LC_ALL": "C", **UTF8}, False, ASCII),
        ({"TERM": "xterm-256color", "LANG": "de_DE"}, False, ASCII),
        ({"TERM": "linux", "LANG": "C"}, False, ASCII),
    ],
)  # fmt: skip
def test_characters_are_told_from_the_environment(environ: dict[str, str], coerced: bool, wanted: Glyphs) -> None:
    assert glyphs.told("auto", environ, depth("auto", environ), coerced) is wanted
    for name, named in GLYPHS.items():
        assert glyphs.told(name, environ, Depth.NONE, coerced) is named


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False), ({"TERM": "xterm-256color"}, True), ({"TERM": "xterm", "LANG": "C"}, True),
        ({"TERM": "linux", "LC_CTYPE": "C.UTF-8"}, True), ({"TERM": "xterm", "LANG": "de_DE.UTF-8"}, False),
        ({"TERM": "xterm", "LANG": "de_DE.ISO-8859-1"}, False), ({"TERM": "xterm", "LC_ALL": "de_DE"}, False),
        ({"TERM": "vt220"}, False), ({"TERM": "screen-256color"}, False), ({"TERM": "xterm", "TMUX": "/tmp/tmux,1,0"}, False),
        ({"TERM": "xterm", "STY": "1.pts-0"}, False),
    ],
)  # fmt: skip
def test_a_terminal_is_asked_where_nothing_says_its_encoding(environ: dict[str, str], wanted: bool) -> None:
    assert glyphs.unsaid("auto", environ, True) is wanted
    assert not any(glyphs.unsaid(name, environ, True) for name in GLYPHS)
    shown = glyphs.told("auto", environ, depth("auto", environ), True, shown=True)
    assert not wanted or shown is (HALF if environ["TERM"] == "linux" else BLOCKS)


@pytest.mark.parametrize(("first", "blocks"), [(b"\x1b[2;2R", True), (b"\x1b[2;3R", False), (b"", False)])
def test_a_terminal_shows_that_it_takes_utf8(store: Path, first: bytes, blocks: bool) -> None:
    said = {"LANG": "", "LC_ALL": "", "LC_CTYPE": ""}
    with line(store, said, answers=bool(first)) as one:
        one.first = first or one.first
        one.until(b"LIVE", 30)
        horizontal = "\N{BOX DRAWINGS LIGHT HORIZONTAL}".encode()
        if blocks and horizontal not in one.octets:  # the answer may come before the first frame
            one.until(horizontal, 10)
        one.rest(1.5)
        sent = one.octets.split(b"\x1b[2;1H\xc3\xa9\x1b[6n")
        assert len(sent) == 2, "it is asked once, before the first frame"
        assert b"LIVE" not in sent[0] and sent[1].isascii() is not blocks
        one.press("q")
        one.rest(1)
        assert one.process.wait(10) == 0


@pytest.mark.parametrize("one", GLYPHS.values(), ids=list(GLYPHS))
def test_each_character_of_a_set_takes_one_cell_and_is_in_it(one: Glyphs) -> None:
    for name in (
        "rising",
        "running",
        "shades",
        "horizontal",
        "vertical",
        "corners",
        "swatch",
        "pointer",
        "up",
        "down",
        "marked",
        "turned",
    ):
        text = getattr(one, name)
        assert cell_len(text) == len(text)
        assert plainer(text, one) == text
    assert one is not ASCII or all(str(getattr(one, name)).isascii() for name in one.__dataclass_fields__)
    # What the kernel's own font has is what code page 437 has.
    if one is HALF:
        assert f"{one.rising}{one.running}{one.shades}{one.thumb}{one.swatch}".encode("cp437")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_plain_text_is_ascii_and_as_wide(text: str) -> None:
    shown = printable(text)
    plain = plainer(shown, ASCII)
    assert plain.isascii()
    assert plain.isprintable()
    if not any(unicodedata.combining(character) or cell_len(character) == 0 for character in shown):
        assert cell_len(plain) == cell_len(shown)
    assert plainer(shown, BLOCKS) == shown
