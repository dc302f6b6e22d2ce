"""What the program really sends: no colour and no character that the terminal doesn't have, whatever is on the screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nftui.screens.driver import SHOW
from nftui.screens.glyphs import _CONTROLS
from tests.screens.outlet import Line, line

SGR = re.compile(rb"\x1b\[([0-9;]*)m")


def colours(octets: bytes) -> set[str]:
    """Return the kinds of colour that were set: `truecolor`, `256`, `16`, `default`."""
    found: set[str] = set()
    for sequence in SGR.findall(octets):
        numbers = [int(number or 0) for number in sequence.split(b";")]
        while numbers:
            code = numbers.pop(0)
            if code in (38, 48):
                found.add({2: "truecolor", 5: "256"}[numbers[0]])
                del numbers[: 4 if numbers[0] == 2 else 2]
            elif 30 <= code <= 37 or 40 <= code <= 47 or 90 <= code <= 97 or 100 <= code <= 107:
                found.add("16")
            elif code in (39, 49):
                found.add("default")
    return found


def walk(one: Line) -> bytes:
    """Look at screens, windows, the palette and a notice, and return all that was sent."""
    one.until(b"Help")
    for key in ("?", "\x1b", "t", "\x1b", ":", "\x1b", "2", "7", "4", "8", "1", "u", "y", "T"):
        one.press(key)
        one.listen(0.4)
    text = re.sub(rb"\x1b\[[0-9;]*[mH]", b"", one.octets)
    assert [words for words in (b"what is shown", b"time range", b"[2Flows]") if words not in text] == []
    return one.octets


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        pytest.param({"COLORTERM": "truecolor"}, {"truecolor"}, id="truecolor"),
        pytest.param({"LANG": "C"}, {"256"}, id="256, no locale"),
        pytest.param({"TERM": "linux"}, {"16", "default"}, id="kernel console"),
        pytest.param({"NO_COLOR": "1"}, set(), id="NO_COLOR"),
        pytest.param({"TERM": "vt220"}, set(), id="vt220"),
    ],
)
def test_only_what_the_terminal_has_is_sent(store: Path, environ: dict[str, str], wanted: set[str]) -> None:
    with line(store, environ) as one:
        sent = walk(one)
    assert colours(sent) == wanted
    if environ.get("LANG") == "C":
        assert SHOW.encode() in sent, "a terminal that takes UTF-8 would show it by where its cursor is then"
        sent = sent.replace(SHOW.encode(), b"", 1)
    strange = {character for character in sent.decode() if not character.isascii()}
    if environ.get("LANG") == "C" or environ.get("TERM") == "vt220":
        assert strange == set()
    elif environ.get("TERM") == "linux":
        assert strange - set(_CONTROLS) <= set(bytes(range(128, 256)).decode("cp437"))
    else:
        assert "─" in strange
    if not wanted:
        attributes = {number for sequence in SGR.findall(sent) for number in sequence.split(b";")}
        assert {b"1", b"7"} <= attributes, "what is chosen is bold, or the other way round"
