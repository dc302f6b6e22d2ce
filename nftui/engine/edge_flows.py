"""Edge flows: those that count differently when an edge of the range moves, read ahead of it.

A range that follows the clock moves on by a bin at a time, and its left edge lies within parts: hours of many millions of flows.
Only flows that begin before the new edge count differently then, so these are read; and where there are few, as in a part whose
flows are nearly all later, or far apart, those of some bins ahead, too, and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from nftui.engine import instants, top
from nftui.engine.flow_times import FlowTimes
from nftui.engine.ground import Ground
from nftui.engine.latest import Latest
from nftui.engine.partials import Partials
from nftui.engine.query import Interval, Query
from nftui.engine.segments import Part, PartName
from nftui.schema import POLARS

AHEAD = (16, 4)
"""Moves that are read ahead, where that isn't many more flows than those of one."""
FEW_FLOWS, FEW_OF = 256, 64
"""So many flows more are few, and one of so many that the part has: to read it again costs as much as it has."""
MOST_FLOWS = 2_000_000
"""Flows that are read of all parts together, by estimate: some 70 octets each."""
PARTS_KEPT, KEPT_OCTETS = 4096, 64 << 20
BEGINNING = -(2**62)
"""Before all flows."""
Moved = dict[PartName, tuple[Interval | None, Interval | None]]
_Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Near:
    """A part of which flows near an edge are wanted."""

    part: Part
    span: _Window
    flows: int


class EdgeFlows:
    """What flows near the edges of ranges count, of the parts that were asked about last."""

    def __init__(self) -> None:
        self._windows = Latest[tuple[Any, ...], _Window](PARTS_KEPT)
        self._flows = Partials(KEPT_OCTETS)
        self._times = FlowTimes()

    def of(self, query: Query, ground: Ground, moved: Moved, parts: dict[PartName, Part]) -> dict[PartName, pl.DataFrame]:
        """Return of each part what the flows count that count differently after a move, as of `top.counted` without a clip.

        A part is left out where that can't be told, or would be too much.

        Args:
            query: For its keys and its filter.
            ground: Where the parts are.
            moved: The parts, with what they were clipped to, and what they must be clipped to.
            parts: Where they were, if they are no more among those of `ground`.
        """
        about = query.keys, query.where, query.sampling
        found: dict[PartName, pl.DataFrame] = {}
        missing: list[tuple[Part, _Window]] = []
        for name, (old, new) in moved.items():
            span = _span(name, old, new)
            if span is None:
                continue
            flows = ground.made.get((name, span, *about))
            window = self._windows.get((name, *about))
            if flows is None and window is not None and window[0] <= span[0] and span[1] <= window[1]:
                flows = self._flows.get((name, window, *about))
                flows = None if flows is None else _between(flows, span)
            if flows is None:
                missing.append((ground.parts.get(name) or parts[name], span))
            else:
                found[name] = flows
        for window, some in self._to_read(ground, missing).items():
            ground.check()
            found |= self._read(query, ground, some, window, about)
        for name, flows in found.items():
            # Groups that overlap are asked for with what all flows sum to.
            ground.made[name, _span(name, *moved[name]), (), *about[1:]] = flows.select(*top.SUMS, "start", "end", "sampling")
        return found

    def _to_read(self, ground: Ground, missing: list[tuple[Part, _Window]]) -> dict[_Window, list[_Near]]:
        """Return what is read of parts: as many of them as there may be flows, those with the fewest first."""
        self._times.look(ground, [part for part, _ in missing])
        wanted = [_Near(part, span, self._count(ground, part, span)) for part, span in missing]
        step = max((span[1] - max(span[0], part.name.min_start) for part, span in missing), default=0)
        windows: dict[_Window, list[_Near]] = {}
        flows = 0
        for near in sorted(wanted, key=lambda near: near.flows):
            since, until = near.span
            most = 2 * near.flows + max(FEW_FLOWS, ground.store.flow_count([near.part]) // FEW_OF)
            # A step of half the range is no following of the clock.
            follows = ground.interval is not None and step * AHEAD[0] <= ground.interval.length
            ahead = ((since, until + (moves - 1) * step) for moves in AHEAD if follows)
            window = next((window for window in ahead if self._count(ground, near.part, window) <= most), near.span)
            flows += self._count(ground, near.part, window)
            if flows > MOST_FLOWS:
                break
            windows.setdefault(window, []).append(near)
        return windows

    def _count(self, ground: Ground, part: Part, window: _Window) -> int:
        return self._times.near(part.name, ground.store.flow_count([part]), *window)

    def _read(
        self, query: Query, ground: Ground, wanted: list[_Near], window: _Window, about: tuple[Any, ...]
    ) -> dict[PartName, pl.DataFrame]:
        """Read what the flows of some parts count that lie near an edge, and keep it: for this answer, or for those that follow."""
        columns = top.columns(query, timed=True)
        scans = []
        for number, near in enumerate(wanted):
            flows = ground.store.scan([near.part], columns).filter(_near(*window, ground.store.present([near.part])))
            scans.append(top.counted(flows, query, None, timed=True).with_columns(pl.lit(number, pl.Int32).alias("part")))
        read = pl.concat(scans, how="vertical").collect(engine="streaming")
        each = read.partition_by("part", as_dict=True, include_key=False)
        found = {}
        for number, near in enumerate(wanted):
            name, own = near.part.name, each.get((number,))
            own = read.clear().drop("part") if own is None else own
            found[name] = own if window == near.span else _between(own, near.span)
            ground.made[name, near.span, *about] = found[name]
            if window != near.span:
                if (passed := self._windows.get((name, *about))) is not None:
                    self._flows.drop((name, passed, *about))
                self._flows.put((name, window, *about), own)
                self._windows.put((name, *about), window)
            ground.read.add(name)
        return found


def _between(flows: pl.DataFrame, span: _Window) -> pl.DataFrame:
    return flows.filter((pl.col("start") <= span[1]) & (pl.col("end") >= span[0]))


def _span(name: PartName, old: Interval | None, new: Interval | None) -> _Window | None:
    """Return between which times flows count differently; None where the right edge of a range lies within the part."""
    if any(clip is not None and clip.end <= name.max_end for clip in (old, new)):
        return None
    edges = [BEGINNING if clip is None else clip.start for clip in (old, new)]
    return min(edges), max(edges)


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
