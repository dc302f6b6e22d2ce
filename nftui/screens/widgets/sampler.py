"""A sample of the theme and the characters in use: what everything else is painted with, side by side."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nftui.screens.glyphs import bar
from nftui.screens.widgets.painted import Painted, fit, piece

GROUPS = (("https", 0.61), ("quic", 0.22), ("backup", 0.09), ("ssh", 0.04), ("dns", 0.02), ("ntp", 0.01), ("other", 0.01))
TREND = (1, 2, 4, 7, 6, 8, 5, 3, 2, 4, 6, 7, 8, 8, 5, 2)
STYLES = ("text", "dim", "strong", "title", "accent", "good", "warn", "error", "cursor")


class Sampler(Painted):
    """What the theme in use looks like."""

    def show(self) -> None:
        """Paint again, with whatever is in use."""
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        """Return the lines, as many as fit."""
        styles, glyphs = self.ink, self.glyphs
        edge = Segment(f"{glyphs.vertical} ", styles.rule)
        room = max(width - 4, 1)
        words = f"{getattr(self.app, 'theme', '')}, {styles.depth.label} colours, {glyphs.name}"
        rows: list[list[Segment]] = [[piece(words, styles.title)], []]
        rows += [self._group(rank, room) for rank in range(len(GROUPS))]
        rows.append([])
        rows.append([Segment("trend ", styles.dim), Segment(self._trend(), styles.accent)])
        heat = [Segment(f" {glyphs.shades[level * (len(glyphs.shades) - 1) // 8]} ", styles.heat(level / 8)) for level in range(9)]
        rows += [[Segment("heat  ", styles.dim), *heat], []]
        rows += [
            [piece(fit(name, 10), getattr(styles, name)), Segment(" 10.0.4.17  112.4M", getattr(styles, name))] for name in STYLES
        ]
        rows.append([])
        upper_left, upper_right, lower_left, lower_right = tuple(glyphs.corners)
        rows.append(
            [Segment(f"{upper_left}{glyphs.horizontal * 12}{upper_right} {glyphs.up}{glyphs.down} {glyphs.ellipsis}", styles.rule)]
        )
        rows.append([Segment(f"{lower_left}{glyphs.horizontal * 12}{lower_right} {glyphs.pointer} {glyphs.shades}", styles.rule)])
        if glyphs.dots:
            rows.append([Segment("⣀⣠⣤⣴⣶⣾⣿⣷⣶⣦⣤⣄⣀", styles.accent)])
        blank: list[list[Segment]] = [[]] * max(height - len(rows), 0)
        return [Strip([edge, *row]) for row in (rows + blank)[:height]]

    def _group(self, rank: int, room: int) -> list[Segment]:
        styles, glyphs = self.ink, self.glyphs
        label, share = GROUPS[rank]
        last = len(GROUPS) - 1
        colour = styles.layer(rank, last)
        letter = ("ABCDEFGH"[rank] if rank < last else ".") if styles.letters else glyphs.swatch
        drawn = Style(color=colour, bgcolor=styles.ground)
        return [
            Segment(f"{letter} ", drawn), piece(fit(label, 8), styles.text), piece(f"{share:>4.0%} ", styles.dim),
            Segment(bar(share, max(room - 26, 4), glyphs), drawn), Segment(" "), Segment(" on ", styles.filled(colour)),
            Segment(" "), Segment("dim", Style(color=styles.mixed(colour, 0.5), bgcolor=styles.ground)),
        ]  # fmt: skip

    def _trend(self) -> str:
        rising = self.glyphs.rising
        return "".join(rising[max(value * (len(rising) - 1) // 8, 1)] for value in TREND)
