"""A screen as SVG: letters as text, and what pictures are made of (blocks, braille, rules) as shapes that fill their cells.

Shapes don't depend on the fonts of whoever looks: in most of them blocks leave seams between lines, and braille is as wide as it
likes. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from rich.cells import cell_len
from rich.color import blend_rgb
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME

WIDTH, HEIGHT = 9.0, 18.0
"""Of a cell."""
SIZE = 15
"""Of letters: fixed-width fonts are 0.6 as wide as they are high."""
BASE = 13.5
"""From the top of a cell to the line that letters stand on."""
EDGE, HEAD = 10.0, 30.0
"""Around the screen, and above it for the title."""
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"

DOT = 2.5
"""Of braille."""

Box = tuple[float, float, float, float]
"""Left, top, width and height."""

_SHADES = {"░": 1, "▒": 2, "▓": 3}
_TILES = {1: ((0, 0),), 2: ((0, 0), (1.5, 1.5)), 3: ((0, 0), (1.5, 1.5), (1.5, 0))}
"""Squares of a tile of 3 by 3, by shade."""
_QUADRANTS = {"▘": 1, "▝": 2, "▀": 3, "▖": 4, "▌": 5, "▞": 6, "▛": 7, "▗": 8, "▚": 9, "▐": 10, "▜": 11, "▄": 12, "▙": 13, "▟": 14}
_SIDES = {
    "─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "├": "urd", "┤": "uld", "┬": "lrd", "┴": "lru", "┼": "lrud",
    "╭": "rd", "╮": "ld", "╰": "ru", "╯": "lu", "━": "lr", "┃": "ud", "╴": "l", "╶": "r", "╵": "u", "╷": "d",
}  # fmt: skip
_HEAVY = "━┃"
_WHOLE: dict[str, Box] = {
    **dict.fromkeys("█░▒▓", (0, 0, WIDTH, HEIGHT)), "■": (1, 5, 7, 7), "▔": (0, 0, WIDTH, HEIGHT / 8),
    "▕": (WIDTH * 7 / 8, 0, WIDTH / 8, HEIGHT),
}  # fmt: skip
_PIECES = re.compile(r"[■▀-▟─-╿⠀-⣿]|(?:[^\s■▀-▟─-╿⠀-⣿](?: (?=[^\s■▀-▟─-╿⠀-⣿]))?)+")
"""A sign by itself, or words with single blanks between."""
_BITS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of the dots of a braille pattern, from its lowest bit on."""


def svg(lines: Sequence[Iterable[Segment]], width: int, ground: str, title: str = "") -> str:
    """Return lines of a screen as SVG.

    Args:
        lines: From the top; text is taken as it is.
        width: Cells of a line.
        ground: The colour behind everything, `#rrggbb`.
        title: Above.
    """
    drawing = _Drawing(ground)
    for row, line in enumerate(lines):
        drawing.line(row, line)
    return drawing.text(width, len(lines), title)


class _Drawing:
    """What was drawn so far, by colour: all shapes of a colour are one path."""

    def __init__(self, ground: str) -> None:
        self._ground = ground
        self._behind: dict[str, list[Box]] = defaultdict(list)
        self._shapes: dict[tuple[str, int], list[Box]] = defaultdict(list)
        self._rules: dict[str, list[Box]] = defaultdict(list)
        self._words: list[str] = []

    def line(self, row: int, segments: Iterable[Segment]) -> None:
        """Draw a line."""
        x, y = 0.0, row * HEIGHT
        for text, style, control in segments:
            if control:
                continue
            colour, behind = self._colours(style or Style())
            wide = cell_len(text) * WIDTH
            if behind != self._ground:
                _add(self._behind[behind], (x, y, wide, HEIGHT))
            if style is not None and style.underline and text.strip():
                _add(self._rules[colour], (x, y + HEIGHT - 2, wide, 1))
            self._draw(text, x, y, colour, style or Style())
            x += wide

    def _colours(self, style: Style) -> tuple[str, str]:
        theme = SVG_EXPORT_THEME
        fore = None if style.color is None or style.color.is_default else style.color.get_truecolor(theme)
        back = None if style.bgcolor is None or style.bgcolor.is_default else style.bgcolor.get_truecolor(theme, foreground=False)
        colour, behind = (fore or theme.foreground_color).hex, self._ground if back is None else back.hex
        if style.reverse:
            colour, behind = behind, colour
        if style.dim:
            colour = blend_rgb(_rgb(colour), _rgb(behind), 0.45).hex
        return colour, behind

    def _draw(self, text: str, x: float, y: float, colour: str, style: Style) -> None:
        for found in _PIECES.finditer(text):
            at, word = x + cell_len(text[: found.start()]) * WIDTH, found.group()
            boxes = tuple(_boxes(word)) if len(word) == 1 else ()
            drawn = self._rules[colour] if word in _SIDES else self._shapes[colour, _SHADES.get(word, 0)] if boxes else []
            for left, top, wide, high in boxes:
                _add(drawn, (at + left, y + top, wide, high))
            if not boxes and word != "⠀":
                self._write(word, at, y, colour, style)

    def _write(self, word: str, x: float, y: float, colour: str, style: Style) -> None:
        bold = ' class="b"' if style.bold else ""
        wide = f' textLength="{_n(cell_len(word) * WIDTH)}"' if len(word) > 1 else ""
        self._words.append(f'<text x="{_n(x)}" y="{_n(y + BASE)}" fill="{colour}"{bold}{wide}>{escape(word)}</text>')

    def text(self, width: int, height: int, title: str) -> str:
        """Return all of it."""
        wide, high = width * WIDTH + 2 * EDGE, height * HEIGHT + HEAD + EDGE
        border = blend_rgb(_rgb(self._ground), _rgb("#808890"), 0.5).hex
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(wide)}" height="{_n(high)}" viewBox="0 0 {_n(wide)} {_n(high)}">',
            f"<style>text{{font:{SIZE}px {FONTS};white-space:pre}}.b{{font-weight:bold}}</style>",
            *(_pattern(colour, shade) for colour, shade in self._shapes if shade),
            f'<rect x=".5" y=".5" width="{_n(wide - 1)}" height="{_n(high - 1)}" rx="8" fill="{self._ground}" stroke="{border}"/>',
            f'<text x="{_n(wide / 2)}" y="20" fill="#7c8894" text-anchor="middle">{escape(title)}</text>' if title else "",
            f'<g transform="translate({_n(EDGE)} {_n(HEAD)})"><g shape-rendering="crispEdges">',
            *(_path(boxes, colour) for colour, boxes in self._behind.items()),
            *(_path(boxes, _fill(*key)) for key, boxes in self._shapes.items()),
            "</g>",
            # Not crisp: they would vanish where a picture is shown smaller than it is.
            *(_path(boxes, colour) for colour, boxes in self._rules.items()),
            *self._words,
            "</g></svg>",
        ]
        return "\n".join(part for part in parts if part) + "\n"


def _boxes(character: str) -> Iterator[Box]:
    """Return what a character fills of its cell; nothing for a letter."""
    code = ord(character)
    if character in _WHOLE:
        return iter((_WHOLE[character],))
    if 0x2581 <= code <= 0x2587:
        high = HEIGHT * (code - 0x2580) / 8
        return iter(((0, HEIGHT - high, WIDTH, high),))
    if 0x2589 <= code <= 0x258F:
        return iter(((0, 0, WIDTH * (0x2590 - code) / 8, HEIGHT),))
    if character in _QUADRANTS:
        wide, high, bits = WIDTH / 2, HEIGHT / 2, _QUADRANTS[character]
        return ((wide * (bit % 2), high * (bit // 2), wide, high) for bit in range(4) if bits >> bit & 1)
    if character in _SIDES:
        return _strokes(_SIDES[character], 2.0 if character in _HEAVY else 1.0)
    if 0x2800 < code <= 0x28FF:
        dots = (place for bit, place in enumerate(_BITS) if code >> bit & 1)
        return ((1.25 + column * 4.5, 1.25 + line * 4.5, DOT, DOT) for column, line in dots)
    return iter(())


def _strokes(sides: str, thick: float) -> Iterator[Box]:
    x, y = (WIDTH - thick) / 2, (HEIGHT - thick) / 2
    level = (0.0 if "l" in sides else x, WIDTH if "r" in sides else x + thick)
    upright = (0.0 if "u" in sides else y, HEIGHT if "d" in sides else y + thick)
    if set(sides) & set("lr"):
        yield level[0], y, level[1] - level[0], thick
    if set(sides) & set("ud"):
        yield x, upright[0], thick, upright[1] - upright[0]


def _add(boxes: list[Box], box: Box) -> None:
    """Add a box, as part of the last one where it goes on."""
    if boxes:
        left, top, wide, high = boxes[-1]
        if (top, high, left + wide) == (box[1], box[3], box[0]):
            boxes[-1] = (left, top, wide + box[2], high)
            return
    boxes.append(box)


def _path(boxes: Iterable[Box], fill: str) -> str:
    drawn = "".join(f"M{_n(x)} {_n(y)}h{_n(wide)}v{_n(high)}h-{_n(wide)}z" for x, y, wide, high in boxes)
    return f'<path fill="{fill}" d="{drawn}"/>'


def _fill(colour: str, shade: int) -> str:
    return f"url(#{_name(colour, shade)})" if shade else colour


def _pattern(colour: str, shade: int) -> str:
    drawn = "".join(f"M{_n(x)} {_n(y)}h1.5v1.5h-1.5z" for x, y in _TILES[shade])
    form = 'width="3" height="3" patternUnits="userSpaceOnUse"'
    return f'<pattern id="{_name(colour, shade)}" {form}><path fill="{colour}" d="{drawn}"/></pattern>'


def _name(colour: str, shade: int) -> str:
    return f"s{shade}{colour.removeprefix('#')}"


def _rgb(colour: str) -> ColorTriplet:
    return ColorTriplet(int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))


def _n(number: float) -> str:
    """Return a number in as few characters as it takes."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
