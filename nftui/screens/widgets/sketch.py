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
    """Draw dots on an empty canvas, the colour of an ink by its number; `bold` are the inks to be drawn bold."""
    patterns = dots.patterns()
    styles = [styled(colour, ground, ink in bold) for ink, colour in enumerate(colours)]
    for y in np.flatnonzero(patterns.any(axis=1)).tolist():
        places = np.flatnonzero(patterns[y])
        found, inks = patterns[y, places].tolist(), dots.inks[y, places].tolist()
        if dots.down == BRAILLE[1]:
            characters, chosen = [chr(FIRST + pattern) for pattern in found], [styles[ink] for ink in inks]
        elif dots.down == WHOLE[1]:
            characters = [glyphs.shades[-1] if ink in bold else glyphs.shades[1] for ink in inks]
            chosen = [styles[ink] for ink in inks]
        else:
            halves = (" ", glyphs.upper, glyphs.rising[len(glyphs.rising) // 2], glyphs.rising[-1])
            characters, chosen = [halves[pattern] for pattern in found], [styles[ink] for ink in inks]
        canvas.cells(y, places.tolist(), characters, chosen)
