"""The lines of the Map screen: which kind it is, what is under the cursor, and what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from nftui.engine.query import Interval
from nftui.screens.connections import PLURALS, Connections, ends_of
from nftui.screens.glyphs import Glyphs
from nftui.screens.live_lines import Sides
from nftui.screens.ranking import RATE_LABELS
from nftui.screens.view import DAY, View, time_text
from nftui.screens.widgets.painted import Part, fit

KINDS = ("network", "pairs", "portions")
LEGEND = "{0} <10%  {1} <50%  {2} more of the greatest   [sends] (receives) more   + pinned"
Facts = Sequence[tuple[str, str]]
"""What is known of something, as names and words."""


def kinds(kind: str, view: View, told: Connections | None, side: str, look: str) -> Sides:
    """Return which kinds there are, and what is drawn."""
    names = (f"[{each}]" if each == kind else f" {each} " for each in KINDS)
    left = [Part(" map: ", "dim"), *(Part(name, "title" if name[0] == "[" else "dim") for name in names)]
    if kind == "portions":
        return left, [Part(f"top {view.limit} by {view.by}", "strong"), Part("  v: ", "dim"), Part(f"{look} ")]
    right = [Part(f" top {view.limit} {PLURALS[ends_of(view.by)]}", "strong")]
    if told is not None:
        right.append(Part(f" {told.web.count:,} edges" if told.web.count != 1 else " 1 edge"))
    if kind == "network":
        return left, [*right, Part("  s: ", "dim"), Part(f"{side} ", "text")]
    return left, [*right, Part(f"  {RATE_LABELS[view.measure]}  v: ", "dim"), Part(f"{look} ")]


def detail(name: str, facts: Facts, hint: Part, glyphs: Glyphs, width: int) -> list[list[Part]]:
    """Return what is under the cursor, as much as a line has room for, and below it a line that explains the picture."""
    if not name:
        return []
    parts = [Part(f"{glyphs.pointer} ", "title"), Part(name, "strong")]
    for label, words in facts:
        if sum(len(part.text) for part in parts) + len(words) + len(label) + 4 > width:
            break
        if label in ("rank", "sends", "receives"):
            parts += [Part(f"   {label} ", "dim"), Part(words)]
        elif label == "change":
            parts.append(Part(f"   {words}", "accent"))
        else:
            parts += [Part(f"   {words}"), Part("" if label in ("share", "rate", "octets") else f" {label}", "dim")]
    return [parts, [hint]]


def side(name: str, facts: Facts, glyphs: Glyphs, width: int) -> list[list[Part]]:
    """Return all that is known of what is under the cursor."""
    rule = glyphs.horizontal
    lines = [[Part(rule * 2, "rule"), Part(" under the cursor ", "strong"), Part(rule * max(width - 20, 0), "rule")]]
    if not name:
        return lines
    lines.append([Part(f" {name}", "title")])
    return lines + [[Part(f" {fit(label, 10)} ", "dim"), Part(words)] for label, words in facts]


def hint(kind: str, glyphs: Glyphs) -> Part:
    """Return what explains a picture."""
    if kind == "network":
        return Part(f" {LEGEND.format(*(stroke[0] * 2 for stroke in glyphs.strokes))}", "dim")
    if kind == "pairs":
        return Part(" shade: share of what the row sends   > < pairs by size   Enter their flows", "dim")
    return Part(" Enter goes into it, Esc out again   > < by size   o all but it", "dim")


def against(before: Interval | None, compared: bool, answered: bool = True) -> Part:
    """Return what the map is compared with.

    Args:
        before: The period before; None where the range has none.
        compared: Whether there are flows of it.
        answered: Whether that is known yet.
    """
    if before is None:
        return Part(" nothing to compare with here: before all that is held there is nothing", "warn")
    if not answered:
        return Part(" asking…", "dim")
    if not compared:
        return Part(" no flows in the period before", "warn")
    form = "%b %d %H:%M" if before.length >= DAY else "%H:%M:%S"
    return Part(f" change against {time_text(before.start, form)}-{time_text(before.end, form)}", "accent")
