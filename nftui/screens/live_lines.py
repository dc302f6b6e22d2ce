"""The lines of the Live screen: how much there is, what is listed in which order, and what must be known of it."""

from __future__ import annotations

from nftui.engine.matrix import Matrix
from nftui.engine.query import Answer, Measure
from nftui.screens import displays
from nftui.screens.collector import Collector
from nftui.screens.glyphs import BLOCKS
from nftui.screens.investigation import MEASURES
from nftui.screens.questions import Reply
from nftui.screens.ranking import RATE_UNITS, RATES, Ranking
from nftui.screens.view import MINUTE, View, time_text
from nftui.screens.widgets.chart import Areas
from nftui.screens.widgets.painted import Part
from nftui.units import SECOND, duration, scaled

WIDE = 110
"""Cells from which on a line has room for all that is told of the totals."""
Sides = tuple[list[Part], list[Part]]
"""What stands at the left of a line, and at the right."""


def totals(
    answer: Answer | None, ranking: Ranking | None, collector: Collector, reply: Reply | None = None, width: int = WIDE
) -> Sides:
    """Return the rates of all flows, and how many there are of what; in a narrow line what is least missed is left out.

    Args:
        answer: What is shown.
        ranking: The same in words.
        collector: As it describes itself.
        reply: Has what comes in and goes out, where that is known.
        width: Cells of the line.
    """
    if answer is None or ranking is None:
        return [Part(" asking…", "dim")], []
    ways = crossing(ranking, reply) if answer.total.flows else []
    left = [Part(" ")]
    if answer.total.flows:
        # Beside what comes in and goes out, a narrow line has room for two rates.
        shown = [each for each in MEASURES if each is not _least(ranking.measure)] if ways and width < WIDE else list(MEASURES)
        rates = [Part(f"{ranking.rate_text(each)}  ", "strong" if each is ranking.measure else "text") for each in shown]
        place = shown.index(ranking.measure) + 1
        left += [*rates[:place], *ways, *rates[place:]]
        if not ways or width >= WIDE:
            left.append(Part(f"avg over {_rounded(ranking.elapsed)}", "dim"))
        if ranking.total_change:
            left.append(Part(f"  {ranking.total_change}", "accent"))
    right = [Part(scaled(answer.total.flows)), Part(" flows", "dim")] if not ways or width >= WIDE else []
    probes = len(collector.probes)
    for count, noun in ((collector.exporters, "exporter"), (probes or None, "probe")):
        # Who has probes alone misses no exporter.
        if count or (count is not None and not probes):
            right += [Part(f"  {count}"), Part(f" {noun}" if count == 1 else f" {noun}s", "dim")]
    drops = collector.drops if collector.drops is not None else answer.coverage.drops
    return left, [*right, Part("  drops ", "dim"), Part(f"{scaled(drops)} ", "error" if drops else "text")]


def crossing(ranking: Ranking, reply: Reply | None) -> list[Part]:
    """Return the rates of what comes into the home networks and goes out of them; nothing where these aren't known."""
    parts: list[Part] = []
    for way in ("in", "out"):
        sums = None if reply is None else reply.more.get(way)
        if sums is not None:
            rate = RATES[ranking.measure](ranking.rate(sums.value(ranking.measure)))
            parts += [Part(f"{way} ", "dim"), Part(f"{rate}  ", "strong")]
    return parts


def heading(view: View, display: str, answer: Answer | None, matrix: Matrix | None) -> Sides:
    """Return what is listed, and its order."""
    order = f" sort: {view.order.value} {BLOCKS.up if view.ascending else BLOCKS.down} "
    listed = f"top {view.limit} by {view.by}"
    if display == "data":
        each = duration(answer.bin_width) if answer is not None and answer.bin_width else ""
        return [Part(f"{view.measure.value} by {view.by} in each {each} ", "strong")], [Part(" newest first ", "dim")]
    if display == "circle":
        count = 0 if matrix is None else len(matrix.elements)
        listed = f"pairs of the top {count} by {displays.pair_key(view.by)} "
        return [Part(listed, "strong")], [Part(f" {RATE_UNITS[view.measure]}   > < by size ", "dim")]
    if display == "connections":
        listed = f"top {view.limit} connections"
    count_text = f" of {answer.group_count:,}" if answer is not None and answer.query.keys and answer.group_count else ""
    return [Part(f"{listed}{count_text} ", "strong")], [Part(order, "dim")]


def notes(view: View, display: str, answer: Answer | None, ranking: Ranking | None, areas: Areas | None) -> list[Part]:
    """Return what must be known of what is shown: that it has fewer points than asked for, what it is compared with."""
    told: list[Part] = []
    if areas is not None and answer is not None and answer.series is not None and areas.series.height < answer.series.height:
        told.append(Part(f" {areas.series.height:,} of {answer.series.height:,} points drawn ", "warn"))
    if not view.compare or answer is None or ranking is None:
        return told
    if display in ("connections", "circle") or answer.query.interval is None:
        return [*told, Part(" nothing to compare with here ", "warn")]
    if ranking.before is None or not ranking.comparable:
        return [*told, Part(" no flows in the period before ", "warn")]
    compared, bins = len(ranking.comparable), 0 if answer.series is None else answer.series.height
    start = time_text(view.before(answer.query.interval).start)
    partly = f", {compared} of {bins} bins" if compared < bins else ""
    return [*told, Part(f" against {start}{partly} ", "accent")]


def _least(measure: Measure) -> Measure:
    """Return the unit that is least missed where one is left out."""
    return Measure.PACKETS if measure is Measure.FLOWS else Measure.FLOWS


def _rounded(length: int) -> str:
    """Return a length of time without the seconds that would change all the while."""
    return duration(round(length / MINUTE) * MINUTE if length >= 10 * MINUTE else length // SECOND * SECOND)
