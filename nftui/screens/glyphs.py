"""The characters that pictures are made of, by what a terminal and its font can show."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from rich.cells import cell_len

from nftui.screens.depth import Depth


@dataclass(frozen=True, slots=True)
class Glyphs:
    """A set of characters, each one cell wide.

    Attributes:
        name: `braille`, `blocks`, `half` or `ascii`.
        rising: A cell filled from below, from nothing to all of it: two characters or more, in equal steps.
        running: The same from the left.
        upper: The upper half of a cell, where there are half blocks.
        shades: From nothing to all, for heat: where colours can't tell.
        horizontal: Of a rule. Likewise `vertical`, and `corners` (of a box: upper left, upper right, lower left, lower right).
        swatch: Stands for a series, in its colour.
        pointer: In front of the row of the cursor.
        up: Ascending. Likewise `down`.
        marked: Behind the heading by which a table is ordered, the greatest first; `turned` where the smallest is first.
        thumb: Of a scroll bar.
        ellipsis: Of what was cut.
        strokes: Of lines, by weight: level, upright, and the corners in the order of `corners`.
        dots: Whether braille patterns can be shown.
    """

    name: str
    rising: str = " ▁▂▃▄▅▆▇█"
    running: str = " ▏▎▍▌▋▊▉█"
    upper: str = "▀"
    shades: str = " ░▒▓█"
    horizontal: str = "─"
    vertical: str = "│"
    corners: str = "┌┐└┘"
    swatch: str = "■"
    pointer: str = "▌"
    up: str = "▲"
    down: str = "▼"
    marked: str = "▾"
    turned: str = "▴"
    thumb: str = "┃"
    ellipsis: str = "…"
    strokes: tuple[str, str, str] = ("─│┌┐└┘", "━┃┏┓┗┛", "═║╔╗╚╝")
    dots: bool = False


BRAILLE = Glyphs("braille", strokes=("⠒⡇⡖⢲⠧⠼", "⠶⡇⡖⢲⠧⠼", "⣶⣿⣶⣶⣿⣿"), dots=True)
BLOCKS = Glyphs("blocks")
# What is in code page 437, and so in the kernel's own font: half blocks, and none of the eighths.
HALF = Glyphs(
    "half", rising=" ▄█", running=" ▌█", marked="▼", turned="▲", thumb="║", ellipsis="~", strokes=("─│┌┐└┘", "═║╔╗╚╝", "██████"),
)  # fmt: skip
ASCII = Glyphs(
    "ascii", rising=" .:-=+*#", running=" -=#", upper='"', shades=" .:+#", horizontal="-", vertical="|", corners="++++", swatch="#",
    pointer=">", up="^", down="v", marked="*", turned="^", thumb="#", ellipsis="~", strokes=("-|++++", "=|++++", "######"),
)  # fmt: skip
GLYPHS = {glyphs.name: glyphs for glyphs in (BRAILLE, BLOCKS, HALF, ASCII)}

_LIKE_HALF = {
    **dict.fromkeys("▁▂", "_"), **dict.fromkeys("▃▅", "▄"), **dict.fromkeys("▆▇▉▊", "█"), **dict.fromkeys("▎▍▋", "▌"), "▏": "│",
    "▔": "▀", "▕": "▐", **dict(zip("╭╮╰╯", "┌┐└┘", strict=True)), "┃": "║", "━": "═", "▾": "▼", "▴": "▲", "▸": "►", "▶": "►",
    "◀": "◄", "🔎": "? ", "…": "~", "⏎": "<", "␣": "_", "●": "•", "○": "o", "✓": "√", "✗": "x", "–": "-", "—": "─",
}  # fmt: skip
# What says that sums are estimates is another sign than what says that they settle.
_LIKE_ASCII = {
    **dict(zip("▁▂▃▄▅▆▇█", ".:-=+*##", strict=True)), **dict(zip("▏▎▍▌▋▊▉", "||-==##", strict=True)), "▐": "|", "▕": "|",
    "▀": '"', "▔": '"', **dict(zip("░▒▓", ".:+", strict=True)), "■": "#", "□": "o", "●": "*", "○": "o", "•": "*", "·": ".",
    "▲": "^", "▴": "^", "↑": "^", "▼": "v", "▾": "v", "↓": "v", "►": ">", "▶": ">", "▸": ">", "→": ">", "◄": "<", "◀": "<",
    "←": "<", "⏎": "<", "␣": "_", "…": "~", "≈": "*", "≤": "<", "≥": ">", "×": "x", "✓": "+", "√": "+", "✗": "x", "–": "-",
    "—": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "µ": "u", "μ": "u", "²": "2",
}  # fmt: skip


_CONTROLS = "☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"


class _Plainer(dict[int, str]):
    """A table for `str.translate` that finds what is to stand for a character when it first occurs."""

    def __init__(self, like: Mapping[str, str], ascii_only: bool) -> None:
        super().__init__((ord(one), other) for one, other in like.items())
        self._ascii = ascii_only

    def __missing__(self, code: int) -> str:
        found = chr(code) if code < 0x80 else self._found(code)
        self[code] = found
        return found

    def _found(self, code: int) -> str:
        character = chr(code)
        if 0x2800 <= code <= 0x28FF:
            step = (code & 0xFF).bit_count()
            return (" .:#" if self._ascii else " ·░█")[(step > 0) + (step > 2) + (step > 5)]
        if not self._ascii:
            # Letters may be in the font; of signs those that are in code page 437, or in the places of its control characters.
            known = code < 0x2000 or character in _CONTROLS or character.encode("cp437", "ignore")
            return character if known else "?" * cell_len(character)
        if 0x2500 <= code <= 0x257F:
            name = unicodedata.name(character)
            return "|" if "VERTICAL" in name and "HORIZONTAL" not in name else "-" if name.endswith("HORIZONTAL") else "+"
        plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
        width = cell_len(character)
        return plain if len(plain) == width and plain.isprintable() else "?" * width


_PLAINER = {"half": _Plainer(_LIKE_HALF, False), "ascii": _Plainer(_LIKE_ASCII, True)}


def plainer(text: str, glyphs: Glyphs) -> str:
    """Return text in as many cells with the characters that a set has: the last word on what a terminal is sent."""
    table = _PLAINER.get(glyphs.name)
    return text if table is None or text.isascii() else text.translate(table)


def bar(share: float, width: int, glyphs: Glyphs) -> str:
    """Return a bar over a share (0 to 1) of a width in cells, filled with blanks to it."""
    steps = len(glyphs.running) - 1
    filled = round(min(max(share, 0.0), 1.0) * width * steps)
    whole, rest = divmod(filled, steps)
    text = glyphs.running[-1] * whole + (glyphs.running[rest] if rest else "")
    return text.ljust(width)[:width]


def told(setting: str, environ: Mapping[str, str], depth: Depth, coerced: bool | None = None, shown: bool = False) -> Glyphs:
    """Return the set to use.

    Args:
        setting: `display.glyphs`; anything but `auto` holds.
        environ: The environment.
        depth: The colours of the terminal: those that show all of them have fonts that show braille.
        coerced: Whether Python put a UTF-8 locale in the place of what the environment names; None to ask it.
        shown: Whether the terminal has shown that it takes UTF-8.
    """
    if setting in GLYPHS:
        return GLYPHS[setting]
    term = environ.get("TERM", "").lower()
    if term.startswith(("vt", "dumb", "ansi")) or not (shown or _unicode(environ, coerced)):
        return ASCII
    if term.startswith("linux"):
        return HALF
    return BRAILLE if depth is Depth.ALL else BLOCKS


def unsaid(setting: str, environ: Mapping[str, str], coerced: bool | None = None) -> bool:
    """Return whether nothing is said of the encoding, so that the terminal itself is to show it: the arguments are those of `told`.

    Within tmux and screen it would be they who answer: they understand UTF-8 also where the terminal around them doesn't.
    """
    term, within = environ.get("TERM", "").lower(), environ.get("TMUX") or environ.get("STY")
    plain = term.startswith(("vt", "dumb", "ansi", "tmux", "screen", "unknown")) or not term
    return setting == "auto" and not plain and not within and _locale(environ, coerced) in ("", "c", "posix")


def _unicode(environ: Mapping[str, str], coerced: bool | None) -> bool:
    """Return whether the locale says that the terminal takes UTF-8: C, POSIX and none at all say nothing."""
    return "utf8" in _locale(environ, coerced).replace("-", "")


def _locale(environ: Mapping[str, str], coerced: bool | None) -> str:
    if coerced is None:
        coerced = sys.flags.utf8_mode == 1 and "PYTHONUTF8" not in environ
    names = [environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if coerced and not names[0]:
        # LC_CTYPE is Python's own word, then (PEP 538); the user's is behind it.
        names[1] = "" if names[1] in ("C.UTF-8", "C.utf8", "UTF-8") else names[1]
    return next(filter(None, names), "").lower()
