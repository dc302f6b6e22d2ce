"""The characters that pictures are made of, by what a terminal and its font can show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """A set of characters, each one cell wide.

    Attributes:
        name: `braille`, `blocks` or `ascii`.
        rising: A cell filled from below, from nothing to all of it: two characters or more, in equal steps.
        running: The same from the left.
        shades: From nothing to all, for heat: where colours can't tell.
        horizontal: Of a rule. Likewise `vertical`, and `corners` (of a box: upper left, upper right, lower left, lower right).
        swatch: Stands for a series, in its colour.
        pointer: In front of the row of the cursor.
        up: Ascending. Likewise `down`.
        ellipsis: Of what was cut.
        strokes: Of lines, by weight: level, upright, and the corners in the order of `corners`.
        dots: Whether braille patterns can be shown.
    """

    name: str
    rising: str = " ▁▂▃▄▅▆▇█"
    running: str = " ▏▎▍▌▋▊▉█"
    shades: str = " ░▒▓█"
    horizontal: str = "─"
    vertical: str = "│"
    corners: str = "┌┐└┘"
    swatch: str = "■"
    pointer: str = "▌"
    up: str = "▲"
    down: str = "▼"
    ellipsis: str = "…"
    strokes: tuple[str, str, str] = ("─│┌┐└┘", "━┃┏┓┗┛", "═║╔╗╚╝")
    dots: bool = False


BRAILLE = Glyphs("braille", strokes=("⠒⡇⡖⢲⠧⠼", "⠶⡇⡖⢲⠧⠼", "⣶⣿⣶⣶⣿⣿"), dots=True)
BLOCKS = Glyphs("blocks")
ASCII = Glyphs(
    "ascii", rising=" .:-=+*#", running=" -=#", shades=" .:+#", horizontal="-", vertical="|", corners="++++", swatch="#",
    pointer=">", up="^", down="v", ellipsis="~", strokes=("-|++++", "=|++++", "######"),
)  # fmt: skip
GLYPHS = {glyphs.name: glyphs for glyphs in (BRAILLE, BLOCKS, ASCII)}


def bar(share: float, width: int, glyphs: Glyphs) -> str:
    """Return a bar over a share (0 to 1) of a width in cells, filled with blanks to it."""
    steps = len(glyphs.running) - 1
    filled = round(min(max(share, 0.0), 1.0) * width * steps)
    whole, rest = divmod(filled, steps)
    text = glyphs.running[-1] * whole + (glyphs.running[rest] if rest else "")
    return text.ljust(width)[:width]
