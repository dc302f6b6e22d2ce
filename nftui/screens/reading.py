"""Pages to read, made of plain text: the keys of a screen, and what an answer stands on."""

from __future__ import annotations

import re

from rich.text import Text
from textual.screen import Screen

from nftui.engine.one_sided import Sidedness
from nftui.engine.query import Answer, Coverage
from nftui.printable import printable
from nftui.screens.collector import Collector
from nftui.screens.view import time_text, zone_name
from nftui.units import address_text, octets

GROUPS = (
    ("live", "this screen"), ("flows", "this screen"), ("summary", "this screen"), ("map", "this screen"),
    ("filters", "this screen"), ("settings", "this screen"), ("sources", "this screen"), ("view", "what is shown"),
    ("table", "in a table"), ("chart", "in the chart"), ("sheet", "in the details"), ("app", "everywhere"),
)  # fmt: skip
"""What ids begin with, and headings, what is looked for first."""
MOMENT = "%Y-%m-%d %H:%M:%S"


def glyph(coverage: Coverage) -> tuple[str, str]:
    """Return the one sign that says how far an answer can be trusted, and its style."""
    if coverage.partial is not None:
        return "%", "accent"
    if coverage.unread or coverage.drops or coverage.lost:
        return "!", "warn"
    if coverage.sampled:
        return "≈", "accent"
    return ("~", "dim") if coverage.settling_from is not None else ("=", "dim")


def keys(screen: Screen[None], signs: tuple[str, ...], colours: tuple[str, str]) -> Text:
    """Return the keys that work on a screen, by group, from its bindings; and what its signs mean: a heading, then lines."""
    title, dim = colours
    found: dict[str, dict[str, tuple[list[str], str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        group = (binding.id or "").split(".")[0]
        if binding.id is None or group not in dict(GROUPS):
            continue
        # Keys that differ by a number alone, as F1 to F9 do, take one line.
        name = re.sub(r"_[0-9]+$", "_1", binding.id)
        shown = found.setdefault(group, {}).setdefault(name, ([], binding.tooltip))[0]
        key = screen.app.get_key_display(binding)
        if key not in shown:
            shown.append(key)
    page = Text()
    for group, heading in GROUPS:
        if group not in found:
            continue
        page.append(f"{heading}\n", f"bold {title}")
        # What every screen has stands last.
        for name, (pressed, words) in sorted(found[group].items(), key=lambda item: item[0] in ("view.up", "view.help")):
            listed = " ".join(pressed) if len(pressed) < 4 else f"{pressed[0]} … {pressed[-1]}"
            page.append(f"  {listed:<10}")
            page.append(f"{printable(words):<44}")
            page.append(f"{name}\n", dim)
    for line, after in zip(signs, [*signs[1:], ""], strict=True):
        # What stands above lines that are moved in is a heading.
        page.append(f"{line}\n", f"bold {title}" if after[:1] == " " != line[:1] else "")
    page.append(f"times are local: {printable(zone_name())}; keys are changed by id in [display.keys]", dim)
    return page


def coverage(answer: Answer | None, collector: Collector, colours: tuple[str, str], sides: tuple[Sidedness, ...] = ()) -> Text:
    """Return in words what an answer stands on."""
    title, dim = colours
    page = Text()
    rows: list[tuple[str, str]] = []
    if answer is None:
        page.append("nothing was answered yet\n")
    else:
        held = answer.coverage
        for name, interval in (("asked", held.asked), ("held", held.held)):
            none = "all that is held" if name == "asked" else "no flows"
            words = none if interval is None else f"{time_text(interval.start, MOMENT)} to {time_text(interval.end, MOMENT)}"
            rows.append((name, words))
        so_far = "" if held.partial is None else f", of them {held.partial:.0%} so far: the rest is under way"
        rows.append(("flows scanned", f"{held.flows_scanned:,}{so_far}"))
        rows.append(("files", f"{held.parts:,}, of them {held.parts_read:,} read for this answer, {octets(held.octets_read)}"))
        rows.append(("time taken", f"{held.seconds * 1000:.0f} ms"))
        rows.append(("sampling", "applied: sums are estimates" if held.sampled else "none: sums are exact"))
        settling = "not known" if held.settling_from is None else f"after {time_text(held.settling_from, MOMENT)} (drawn dim)"
        rows.append(("still settling", settling))
        rows.append(("lost", f"{held.drops:,} datagrams and packets in the kernel, {held.lost:,} by sequence numbers"))
        rows += [("unread", words) for words in held.unread[:20]]
    for one in (one for one in sides if one.one_sided):
        words = f"{one.unanswered:,} of {one.connections:,} TCP connections without answer: Sources (7) says more"
        rows.append(("one-sided", f"{address_text(one.exporter)}: {words}"))
    rows.append(("collector", collector.label or "running"))
    for name, words in rows:
        page.append(f"  {name:<16}", dim)
        page.append(f"{printable(words)}\n")
    if collector.events:
        page.append("events, newest first\n", f"bold {title}")
        for event in collector.events[:20]:
            page.append(f"  {time_text(event.time)} ", dim)
            page.append(f"{printable(event.text)}\n")
    return page
