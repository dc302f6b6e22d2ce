"""Edge flows: those that count differently when an edge of the range moves, read ahead of it.

A range that follows the clock moves on by a bin at a time, and its left edge lies within parts: hours of many millions of flows.
Only flows that begin before the new edge count differently then, so these are read some bins ahead, and kept.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from nftui.engine import instants, top
from nftui.engine.ground import Ground
from nftui.engine.latest import Latest
from nftui.engine.partials import Partials
from nftui.engine.query import Interval, Query
from nftui.engine.segments import Part, PartName
from nftui.schema import POLARS

AHEAD = 16
"""Moves that are read ahead."""
MOST_FLOWS = 1_000_000
"""Flows that are kept of a part, by estimate: some 60 octets each. Fewer moves ahead are read where they have more."""
PARTS_KEPT, KEPT_OCTETS = 512, 128 << 20
_BEGINNING = -(2**62)
Moved = dict[PartName, tuple[Interval | None, Interval | None]]


class EdgeFlows:
    """Flows near the edges of ranges, of the parts that were asked about last."""

    def __init__(self) -> None:
        self._windows = Latest[tuple[Any, ...], tuple[int, int]](PARTS_KEPT)
        self._flows = Partials(KEPT_OCTETS)

    def of(self, query: Query, ground: Ground, moved: Moved, parts: dict[PartName, Part]) -> dict[PartName, pl.DataFrame]:
        """Return of each part the flows that count differently after a move; a part is left out where that can't be told.

        Args:
            query: For its columns and its filter.
            ground: Where the parts are.
            moved: The parts, with what they were clipped to, and what they must be clipped to.
            parts: Where they were, if they are no more among those of `ground`.
        """
        columns = top.columns(query, timed=True)
        about = columns, query.where, query.sampling
        found: dict[PartName, pl.DataFrame] = {}
        missing: dict[tuple[int, int], list[Part]] = {}
        for name, (old, new) in moved.items():
            span = _span(name, old, new)
            if span is None:
                continue
            window = self._windows.get((name, *about))
            flows = None if window is None else self._flows.get((name, window, *about))
            if window is not None and flows is not None and window[0] <= span[0] and span[1] <= window[1]:
                found[name] = _between(flows, span)
                continue
            part = ground.parts.get(name) or parts[name]
            window = _window(name, ground.store.flow_count([part]), span)
            if window is not None:
                missing.setdefault(window, []).append(part)
        for window, some in missing.items():
            ground.check()
            read = self._read(query, ground, some, window, about)
            for part in some:
                span = _span(part.name, *moved[part.name])
                assert span is not None
                found[part.name] = _between(read[part.name], span)
        return found

    def _read(
        self, query: Query, ground: Ground, parts: list[Part], window: tuple[int, int], about: tuple[Any, ...]
    ) -> dict[PartName, pl.DataFrame]:
        """Read the flows of some parts that lie near an edge, and keep them."""
        since, until = window
        scans = [
            top.matching(ground.store.scan([part], about[0]).filter(_near(since, until, ground.store.present([part]))), query)
            .with_columns(pl.lit(number, dtype=pl.Int32).alias("part"))
            for number, part in enumerate(parts)
        ]  # fmt: skip
        flows = pl.concat(scans, how="vertical").collect(engine="streaming")
        found = {}
        for number, part in enumerate(parts):
            own = (flows if len(parts) == 1 else flows.filter(pl.col("part") == number)).drop("part")
            found[part.name] = own
            self._flows.put((part.name, window, *about), own)
            self._windows.put((part.name, *about), window)
            ground.read.add(part.name)
        return found


def _between(flows: pl.DataFrame, span: tuple[int, int]) -> pl.DataFrame:
    return flows.filter((instants.START <= span[1]) & (instants.END >= span[0]))


def _span(name: PartName, old: Interval | None, new: Interval | None) -> tuple[int, int] | None:
    """Return between which times flows count differently; None where the right edge of a range lies within the part."""
    if any(clip is not None and clip.end <= name.max_end for clip in (old, new)):
        return None
    edges = [_BEGINNING if clip is None else clip.start for clip in (old, new)]
    return min(edges), max(edges)


def _window(name: PartName, flows: int, span: tuple[int, int]) -> tuple[int, int] | None:
    """Return from when until when flows of a part are read; None where that would be too many."""
    since, until = span
    first = max(since, name.min_start)
    rate = flows / max(name.max_end - name.min_start, 1)
    if (until - first) * rate > MOST_FLOWS:
        return None
    ahead = int(min((until - first) * AHEAD, MOST_FLOWS / max(rate, 1e-12)))
    return since, max(first + ahead, until)


def _near(since: int, until: int, present: tuple[str, ...]) -> pl.Expr:
    """Return whether a flow begins at `until` or before, and ends at `since` or later; `present` are the columns of its file.

    It is said in plain columns first, from which the statistics of files tell what is out of the question; they can't where a
    column is named that a file lacks.
    """
    first, last = (pl.lit(max(edge, 0), dtype=pl.Int64).cast(POLARS["flow_start"]) for edge in (since, until))
    plain = [(pl.col("flow_start") <= last) & ((pl.col("flow_end") >= first) | (pl.col("flow_start") >= first))]
    plain += [pl.col(name).is_null() for name in instants.EXPORTED]
    if "clock_correction" in present:
        plain.append(pl.col("clock_correction").is_not_null())
    return pl.any_horizontal(plain) & (instants.START <= until) & (instants.END >= since)
