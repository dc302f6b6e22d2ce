"""Ranked groups as the tiles of a treemap, in one level or in two. No widget is drawn here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nftui.engine.keys import key as key_of
from nftui.engine.query import Answer, Interval, Query
from nftui.screens.questions import Compared, Question, Several, Single, WithHeld
from nftui.screens.widgets.treemap import Tile

PARTS = 8
"""Parts of each tile of the first level that are asked for, on an average."""
MOST = 500
NEXT = ("srcip", "dstip", "dstport", "proto")
"""What a tile is broken down by next, the first that wasn't yet."""


def question(query: Query, before: Interval | None = None) -> Question:
    """Return what is asked for the portions of a view: with several keys, those of the first and under `parts` those of all.

    Args:
        query: That of the view.
        before: The period to compare with, of which those of the first key are asked for as well; None for no comparison.
    """
    plain = replace(query, bins=None, ascending=False, order=query.measure.value)
    limit = min((query.limit or MOST) * PARTS, MOST)
    parts = (("parts", replace(plain, limit=limit)),) if len(query.keys) > 1 else ()
    main = replace(plain, keys=plain.keys[:1])
    if before is not None:
        # In bins, so that what still settles isn't compared.
        return WithHeld(Compared(replace(main, bins=query.bins), before, parts))
    return Several(main, parts) if parts else Single(main)


def tiles(main: Answer, parts: Answer | None, label: Callable[[str, Any], str], figure: Callable[[int], str]) -> list[Tile]:
    """Return the tiles of an answer, and of its parts where there are any.

    A tile's `row` is the values of its keys, in the order of the keys.
    """
    measure = main.query.measure.value
    name = main.query.keys[0] if main.query.keys else ""
    inner: dict[Any, list[Tile]] = {}
    if parts is not None:
        names = parts.query.keys
        for row in parts.groups.iter_rows(named=True):
            words = " ".join(label(key, row[key]) for key in names[1:])
            tile = Tile(words, row[measure], figure(row[measure]), 0, tuple(row[key] for key in names))
            inner.setdefault(row[name], []).append(tile)
    found = []
    for rank, row in enumerate(main.groups.iter_rows(named=True)):
        words = label(name, row[name]) if name else "all flows"
        children = tuple(inner.get(row[name], ())) if name else ()
        found.append(Tile(words, row[measure], figure(row[measure]), rank, (row[name],) if name else (), children))
    left = main.other.value(main.query.measure)
    if left > 0 and name:
        count = main.group_count - main.groups.height
        found.append(Tile(f"{count:,} others" if count > 1 else "1 other", left, figure(left), -1, None, (), True))
    return found


def title(query: Query) -> str:
    """Return what the portions are of: what is sent for a source, received for a destination."""
    if not query.keys:
        return "all flows"
    name = query.keys[0]
    side = "sent" if name.startswith("source_") else "received" if name.startswith("destination_") else ""
    by = " > ".join(key_of(each).label for each in query.keys)
    way = f"{side} by" if side else "at both ends, by" if key_of(name).either else "by"
    return f"{query.measure.value} {way} {by}"


def next_by(taken: set[str]) -> str | None:
    """Return the breakdown after those that were stepped down through; None after the last."""
    return next((by for by in NEXT if by not in taken), None)
