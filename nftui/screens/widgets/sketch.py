"""Dots as the characters of a terminal, on a canvas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nftui.screens.dots import BRAILLE, FIRST, HALVES, WHOLE, Dots
from nftui.screens.glyphs import Glyphs
from nftui.screens.widgets.canvas import Canvas
from nftui.screens.widgets.picture import styled


def dots_of(glyphs: Glyphs, width: int, height: int) -> Dots:
    """Return dots as fine as a set of characters can show."""
    return Dots(width, height, BRAILLE if glyphs.dots else WHOLE if glyphs.rising.isascii() else HALVES)


def sketch(
    canvas: Canvas, dots: Dots, colours: Sequence[str], ground: str, glyphs: Glyphs, bold: frozenset[int] = frozenset()
) -> None:
    """Draw dots on a canvas, the colour of an ink by its number; `bold` are the inks to be drawn bold."""
    patterns = dots.patterns()
    half, marks = glyphs.rising[len(glyphs.rising) // 2], glyphs.shades
    for y, x in np.argwhere(patterns).tolist():
        ink, pattern = int(dots.inks[y, x]), int(patterns[y, x])
        colour = colours[ink]
        if dots.down == BRAILLE[1]:
            canvas.cell(x, y, chr(FIRST + pattern), styled(colour, ground, ink in bold))
        elif dots.down == WHOLE[1]:
            canvas.cell(x, y, marks[-1] if ink in bold else marks[1], styled(colour, ground, ink in bold))
        elif pattern == 1:  # the upper half: the lower one in the colour of the ground
            canvas.cell(x, y, half, styled(ground, colour))
        else:
            canvas.cell(x, y, half if pattern == 2 else glyphs.rising[-1], styled(colour, ground))
