"""What goes to the terminal, in as few octets as it needs, and with nothing that the terminal can't show.

Textual 8.2 repaints each changed span from the left edge of its widget, the whole screen where a window opens or closes, and
resets all attributes after each segment. Here only cells that the terminal doesn't show yet are sent, and only colours that change.
All updates, those of Textual's own widgets too, go through an `Outlet`, so that the depth of colours and the set of characters hold
for whatever is shown. The Textual classes derived from are internal ones: `tests/screens/test_frugal.py` compares what a terminal
would show with what was painted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from nftui.screens.depth import Depth
from nftui.screens.glyphs import BLOCKS, Glyphs, plainer
from nftui.screens.shown import Cell, Codes, Shown, cells

PLAIN: Codes = ("", "", "")


@dataclass(frozen=True, slots=True)
class Outlet:
    """What a terminal can show, and what it shows now.

    Attributes:
        depth: Its colours.
        glyphs: Its characters.
        shown: Its cells.
    """

    depth: Depth = Depth.ALL
    glyphs: Glyphs = BLOCKS
    shown: Shown = field(default_factory=Shown)

    def cells(self, strip: Iterable[tuple[str, Style | None, object]]) -> list[Cell]:
        """Return the cells of a strip, as this terminal shows them."""
        found: list[Cell] = []
        for text, style, control in strip:
            if text and not control:
                found += cells(plainer(text, self.glyphs), PLAIN if style is None else codes(style, self.depth))
        return found


class Pen:
    """Writes cells to a terminal: where it stands, and the attributes and colours that are in force."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet, self._out = outlet, list[str]()
        self._place: tuple[int, int] | None = None
        self._now = PLAIN

    def write(self, y: int, x: int, strip: Iterable[tuple[str, Style | None, object]]) -> int:
        """Write those cells of a strip that the terminal doesn't show yet; return the column behind it."""
        wanted = self._outlet.cells(strip)
        for start, end in self._outlet.shown.changes(y, x, wanted):
            if self._place != (y, x + start):
                self._out.append(f"\x1b[{y + 1};{x + start + 1}H")
            for text, colours in wanted[start:end]:
                if colours != self._now:
                    self._colour(colours)
                self._out.append(text)
            self._place = (y, x + end)
        return x + len(wanted)

    def done(self) -> str:
        """Return what to send, attributes and colours put back."""
        if self._now != PLAIN:
            self._out.append("\x1b[0m")
        return "".join(self._out)

    def _colour(self, wanted: Codes) -> None:
        now = self._now
        if wanted[0] != now[0] or (now[1] and not wanted[1]) or (now[2] and not wanted[2]):
            self._out.append("\x1b[" + ";".join(["0", *filter(None, wanted)]) + "m")
        else:
            self._out.append("\x1b[" + ";".join(new for new, old in zip(wanted[1:], now[1:], strict=True) if new != old) + "m")
        self._now = wanted


class FrugalUpdate(ChopsUpdate):
    """An update of spans of lines, cut at both ends."""

    outlet = Outlet()

    def render_segments(self, console: Console) -> str:
        """Return what to write to the terminal."""
        pen = Pen(self.outlet)
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is not None and x < x2 and end > x1:
                    start = max(x, x1)
                    pen.write(y, start, strip.crop(start - x, min(end, x2) - x))
        return pen.done()


class FrugalPaint(LayoutUpdate):
    """A paint of whole lines."""

    def __init__(self, strips: list[Iterable[Strip]], region: Region, outlet: Outlet) -> None:
        super().__init__(strips, region)
        self.outlet = outlet

    def render_segments(self, console: Console) -> str:
        """Return what to write to the terminal."""
        pen = Pen(self.outlet)
        for y, line in enumerate(self.strips, self.region.y):
            x = self.region.x
            for strip in line:
                x = pen.write(y, x, strip)
        return pen.done()


def frugal(update: CompositorUpdate, outlet: Outlet) -> CompositorUpdate:
    """Return an update of Textual's as one of ours."""
    if isinstance(update, ChopsUpdate):
        ours = FrugalUpdate(update.chops, update.spans, update.chop_ends)
        ours.outlet = outlet
        return ours
    return FrugalPaint(update.strips, update.region, outlet) if isinstance(update, LayoutUpdate) else update


@lru_cache(maxsize=4096)
def codes(style: Style, depth: Depth) -> Codes:
    """Return the codes of attributes, foreground and background."""
    attributes = Strip.render_ansi(style.without_color, depth.system)
    if depth is Depth.NONE:
        return attributes, "", ""
    colours = [
        "" if colour is None else ";".join(colour.downgrade(depth.system).get_ansi_codes(foreground))
        for colour, foreground in ((style.color, True), (style.bgcolor, False))
    ]
    return attributes, colours[0], colours[1]
