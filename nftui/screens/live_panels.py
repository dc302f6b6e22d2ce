"""What stands in the panels of the Live screen beside its tables: portions, sums, and what is known of what is under the cursor."""

from __future__ import annotations

from typing import Any

from nftui.engine.matrix import Matrix
from nftui.engine.query import Measure
from nftui.screens import cells, displays
from nftui.screens.ranking import RATES, Ranking
from nftui.screens.widgets.donut import Slice
from nftui.screens.widgets.flow_table import Row
from nftui.screens.widgets.painted import Part, fit
from nftui.screens.widgets.treemap import Tile
from nftui.units import scaled

Rows = list[list[Part]]


def tiles(ranking: Ranking) -> list[Tile]:
    """Return the groups as rectangles, what they leave behind them."""
    name = ranking.measure.value
    rows = list(ranking.answer.groups.iter_rows(named=True))
    found = [Tile(ranking.label(row), row[name], ranking.size(row[name]), n, n) for n, row in enumerate(rows) if row[name] > 0]
    # Where the order isn't that of the measure, the areas are in theirs all the same.
    found.sort(key=lambda tile: tile.value, reverse=True)
    if ranking.others and (left := ranking.answer.other.value(ranking.measure)) > 0:
        found.append(Tile(ranking.others, left, ranking.size(left), -1, None, other=True))
    return found


def slices(ranking: Ranking) -> list[Slice]:
    """Return the groups as slices, what they leave behind them."""
    name = ranking.measure.value
    rows = ranking.answer.groups.iter_rows(named=True)
    found = [Slice(ranking.label(row), row[name], n) for n, row in enumerate(rows)]
    if ranking.others and (left := ranking.answer.other.value(ranking.measure)) > 0:
        found.append(Slice(ranking.others, left, -1))
    return found


def middle(ranking: Ranking, place: int | None = None) -> list[str]:
    """Return the words in the middle of a donut: the share of the group under the cursor, or the total."""
    groups = ranking.answer.groups
    if place is not None and 0 <= place < groups.height and ranking.keys:
        value = groups[ranking.measure.value][place]
        return [f"{100 * value / ranking.total:.0f}%", ranking.size(value)]
    return [ranking.size(ranking.answer.total.value(ranking.measure)), ranking.measure.value]


def sums(ranking: Ranking, width: int) -> Rows:
    """Return the totals of the whole period."""
    lines: Rows = [[]]
    for name, exact, short in ranking.figures():
        lines.append(
            [Part(f"  {name:<14}", "dim"), Part(f"{short:>8}", "strong"), Part(f"{exact:>20}" if width >= 46 else "", "dim")]
        )
    if ranking.total_change:
        lines.append([Part(f"  {'before':<14}", "dim"), Part(f"{ranking.total_change:>8}", "accent")])
    return lines


# -- the side panel


def of_group(ranking: Ranking, row: Row, place: int, width: int) -> Rows:
    """Return all that is known of a group."""
    lines = _named(ranking.label(row), ranking.plain(row))
    lines += [[Part(f"{name:<12}", "dim"), Part(words)] for name, words in ranking.facts(row, place)]
    return [*lines, [], [Part(cells.spark(ranking.trend(place), max(width - 4, 1)), "accent")], _hint()]


def of_connection(ranking: Ranking, row: Row) -> Rows:
    """Return all that is known of a connection."""
    ends = [[Part(displays.end_text(ranking.cell, row, side), "title")] for side in ("source", "destination")]
    facts = displays.connection_facts(row, ranking.answer.total.octets)
    return [*ends, *([Part(f"{name:<12}", "dim"), Part(words)] for name, words in facts), [], _hint()]


def of_pair(ranking: Ranking, matrix: Matrix, pair: tuple[Any, Any]) -> Rows:
    """Return all that is known of a pair, in both directions."""
    names = [ranking.cell(displays.key_of_pair(matrix.key), value) for value in pair]
    at = [matrix.elements.index(value) for value in pair]
    lines: Rows = [[Part(names[0], "title")], [Part(names[1], "title")]]
    for heading, (source, destination) in (("there", (at[0], at[1])), ("back", (at[1], at[0]))):
        lines.append([Part(heading, "dim")])
        for measure in Measure:
            value = int(matrix.sums[measure][source, destination])
            share = 100 * value / max(matrix.total.value(measure), 1)
            rate = RATES[measure](ranking.rate(value, measure))
            lines.append(
                [Part(f"  {measure.value:<9}", "dim"), Part(f"{scaled(value):>7}"), Part(f" {share:5.1f}%  {rate}", "dim")]
            )
    return [*lines, [], _hint()]


def edged(lines: Rows, width: int, height: int, edge: str) -> Rows:
    """Return lines behind an edge that goes down all the height."""
    rows = [[Part(f"{edge} ", "rule"), *line] for line in lines[:height]]
    return rows + [[Part(f"{edge} ", "rule")]] * (height - len(rows))


def _named(label: str, plain: str) -> Rows:
    return [[Part(label, "title")], *([[Part(plain)]] if plain != label else [])]


def _hint() -> list[Part]:
    return [Part(fit("Enter its flows, i only, o not", 30).rstrip(), "dim")]
