"""Partial updates in as few octets as they need: on a slow line they decide how live a live screen is.

Textual 8.2 repaints each changed span from the left edge of its widget, and resets all attributes after each segment. Here a span
starts where it starts, and only the colours that change are sent. Full paints stay Textual's own. The two Textual classes derived
from are internal ones: `tests/screens/test_frugal.py` compares what a terminal would show with what was painted.
"""

from __future__ import annotations

from functools import lru_cache

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.strip import Strip

Codes = tuple[str, str, str]
PLAIN: Codes = ("", "", "")


class FrugalUpdate(ChopsUpdate):
    """An update of spans of lines."""

    def render_segments(self, console: Console) -> str:
        """Return what to write to the terminal."""
        system = console._color_system or ColorSystem.TRUECOLOR
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
                now = _write(out, strip.crop(start - x, pen - x), now, system)
        if now != PLAIN:
            out.append("\x1b[0m")
        return "".join(out)


class FrugalCompositor(Compositor):
    """Textual's compositor, with updates that are cut at both ends."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return the update of what is dirty, None where nothing is."""
        update = super().render_partial_update()
        return None if update is None else FrugalUpdate(update.chops, update.spans, update.chop_ends)


def _write(out: list[str], strip: Strip, now: Codes, system: ColorSystem) -> Codes:
    for text, style, control in strip:
        if control or not text:
            continue
        wanted = PLAIN if style is None else _codes(style, system)
        if wanted != now:
            if wanted[0] != now[0] or (now[1] and not wanted[1]) or (now[2] and not wanted[2]):
                out.append("\x1b[" + ";".join(["0", *filter(None, wanted)]) + "m")
            else:
                out.append("\x1b[" + ";".join(new for new, old in zip(wanted[1:], now[1:], strict=True) if new != old) + "m")
            now = wanted
        out.append(text)
    return now


@lru_cache(maxsize=4096)
def _codes(style: Style, system: ColorSystem) -> Codes:
    """Return the codes of attributes, foreground and background."""
    attributes = Strip.render_ansi(style.without_color, system)
    colours = [
        "" if colour is None else ";".join(colour.downgrade(system).get_ansi_codes(foreground))
        for colour, foreground in ((style.color, True), (style.bgcolor, False))
    ]
    return attributes, colours[0], colours[1]
