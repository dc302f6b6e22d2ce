"""The two lines above the panels: what all flows of the range sum to, and how they spread over it."""

from __future__ import annotations

from nftui.engine.query import Answer, Measure
from nftui.engine.series import nearest_rank
from nftui.screens.cells import micros
from nftui.screens.ranking import RATES, Ranking
from nftui.screens.view import DAY, time_text
from nftui.screens.widgets.painted import Part
from nftui.units import octets, scaled

EXACT = 1_000_000
"""Flows from which on they are told roughly."""


def _figures(*pairs: tuple[str, str]) -> list[Part]:
    named = [(f" {name} " if name else " ", words) for name, words in pairs if words]
    return [part for name, words in named for part in (Part(name, "dim"), Part(f"{words} ", "strong"))]


def bins_of(answer: Answer, now: int) -> list[tuple[int, int]]:
    """Return start and sum of each bin that is over, from the one with the first flow on."""
    series = answer.series
    if series is None:
        return []
    pairs = [(micros(start), value) for start, value in zip(series["time"].to_list(), series["g0"].to_list(), strict=True)]
    over = [(start, value) for start, value in pairs if start + answer.bin_width <= now]
    first = next((place for place, (_, value) in enumerate(over) if value), len(over))
    return over[first:]


def first_line(answer: Answer, now: int, iec: bool = False) -> list[Part]:
    """Return total, mean, 95th percentile and greatest bin with its time, and the flows."""
    if not answer.total.flows:
        return [Part(" no flows", "dim")]
    ranking = Ranking(answer, now, iec)
    measure, rate = ranking.measure, RATES[ranking.measure]
    bins = bins_of(answer, now)
    spread: list[tuple[str, str]] = []
    if bins:
        values = sorted(value for _, value in bins)
        highest = max(bins, key=lambda pair: pair[1])
        long = answer.bin_width * (0 if answer.series is None else answer.series.height) >= DAY
        when = time_text(highest[0], "%b %d %H:%M" if long else "%H:%M")
        spread.append(("p95", rate(values[nearest_rank(len(values), 95)] * ranking.bin_factor)))
        spread.append(("max", f"{rate(highest[1] * ranking.bin_factor)} @{when}"))
    total = {
        Measure.OCTETS: octets(answer.total.octets, iec),
        Measure.PACKETS: f"{scaled(answer.total.packets)} packets",
        Measure.FLOWS: f"{answer.total.flows:,} flows",
    }[measure]
    count = answer.total.flows
    flows = "" if measure is Measure.FLOWS else f"{count:,}" if count < EXACT else scaled(count)
    return _figures(("total", total), ("avg", ranking.rate_text(measure)), *spread, ("flows", flows))


def second_line(answer: Answer, now: int) -> list[Part]:
    """Return the sums and rates of the other units, and the mean size of a packet and of a flow."""
    total = answer.total
    if not total.flows:
        return []
    ranking = Ranking(answer, now)
    pairs = [("packets", scaled(total.packets))] if ranking.measure is not Measure.PACKETS else []
    pairs += [("octets", octets(total.octets))] if ranking.measure is not Measure.OCTETS else []
    pairs += [("", ranking.rate_text(measure)) for measure in Measure if measure is not ranking.measure]
    sizes = [("octets/packet", f"{total.octets / total.packets:,.0f}")] if total.packets else []
    return _figures(*pairs, *sizes, ("octets/flow", scaled(total.octets / total.flows)))
