"""The fields of the filter language, as many as there is room for, with their meanings where there is more."""

from __future__ import annotations

import textwrap
from functools import lru_cache

from nftui.engine.filter_completion import complete
from nftui.printable import printable
from nftui.screens.widgets.painted import Part, fit

EACH = 33
"""Cells of a field with its meaning."""
MEANT = 0.6
"""The share of the fields that there must be room for with their meanings: else the words alone say more."""


@lru_cache(maxsize=1)
def fields() -> tuple[tuple[str, str], ...]:
    """Return the words that begin a term, likely ones first, each with its meaning."""
    return tuple((one.insert, one.meaning) for one in complete("", 0) if one.kind in ("field", "direction", "term"))


def lines(width: int, height: int) -> list[list[Part]]:
    """Return the fields for a room: with meanings in columns where they fit, else the words alone."""
    across = max(width // EACH, 1)
    words = fields()
    if height * across >= len(words) * MEANT:
        deep, each = min(-(-len(words) // across), height), width // across
        return [[part for one in words[row::deep][:across] for part in _meant(*one, each)] for row in range(deep)]
    return wrapped(" ".join(name for name, _ in words), width, height, "dim") if height else []


def _meant(name: str, meaning: str, width: int) -> tuple[Part, Part]:
    return Part(" " + fit(name, 12), "accent"), Part(fit(meaning, width - 14) + " ", "dim")


def wrapped(text: str, width: int, height: int, style: str) -> list[list[Part]]:
    """Return a text over several lines of one style, cut at their end."""
    shown = printable(text, 4096)
    found = textwrap.wrap(shown, max(width - 2, 10), max_lines=max(height, 1), placeholder=" …")
    return [[Part(f" {line}", style)] for line in found]
