"""What goes to the terminal, in as few octets as it needs, and with nothing that the terminal can't show.

Textual 8.2 repaints each changed span from the left edge of its widget, and resets all attributes after each segment. Here a span
starts where it starts, and only the colours that change are sent. All updates, those of Textual's own widgets too, go through
an `Outlet`, so that the depth of colours and the set of characters hold for whatever is shown. The Textual classes derived from
are internal ones: `tests/screens/test_frugal.py` compares what a terminal would show with what was painted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from nftui.screens.depth import Depth
from nftui.screens.glyphs import BLOCKS, Glyphs, plainer

Codes = tuple[str, str, str]
PLAIN: Codes = ("", "", "")


@dataclass(frozen=True, slots=True)
class Outlet:
    """What a terminal can show.

    Attributes:
        depth: Its colours.
        glyphs: Its characters.
    """

    depth: Depth = Depth.ALL
    glyphs: Glyphs = BLOCKS

    def write(self, out: list[str], strip: Iterable[tuple[str, Style | None, object]], now: Codes) -> Codes:
        """Append a strip; return the attributes and colours that are in force behind it, as those given were before."""
        for text, style, control in strip:
            if control or not text:
                continue
            wanted = PLAIN if style is None else codes(style, self.depth)
            if wanted != now:
                if wanted[0] != now[0] or (now[1] and not wanted[1]) or (now[2] and not wanted[2]):
                    out.append("\x1b[" + ";".join(["0", *filter(None, wanted)]) + "m")
                else:
                    out.append("\x1b[" + ";".join(new for new, old in zip(wanted[1:], now[1:], strict=True) if new != old) + "m")
                now = wanted
            out.append(plainer(text, self.glyphs))
        return now


class FrugalUpdate(ChopsUpdate):
    """An update of spans of lines, cut at both ends."""

    outlet = Outlet()

    def render_segments(self, console: Console) -> str:
        """Return what to write to the terminal."""
        out: list[str] = []
        now = PLAIN
        for y, x1, x2 in self.spans:
            pen = -1
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= x2 or end <= x1:
                    continue
                start = max(x, x1)
                if start != pen:
                    out.append(f"\x1b[{y + 1};{start + 1}H")
                pen = min(end, x2)
                now = self.outlet.write(out, strip.crop(start - x, pen - x), now)
        if now != PLAIN:
            out.append("\x1b[0m")
        return "".join(out)


class FrugalPaint(LayoutUpdate):
    """A paint of whole lines."""

    def __init__(self, strips: list[Iterable[Strip]], region: Region, outlet: Outlet) -> None:
        super().__init__(strips, region)
        self.outlet = outlet

    def render_segments(self, console: Console) -> str:
        """Return what to write to the terminal."""
        out: list[str] = []
        now = PLAIN
        for y, line in enumerate(self.strips, self.region.y):
            out.append(f"\x1b[{y + 1};{self.region.x + 1}H")
            for strip in line:
                now = self.outlet.write(out, strip, now)
        if now != PLAIN:
            out.append("\x1b[0m")
        return "".join(out)


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
