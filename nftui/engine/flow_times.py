"""Flow times of parts: how many flows of each begin and end by when, so that it is known before whether few lie near an edge."""

from __future__ import annotations

import numpy as np
import polars as pl

from nftui.engine import instants
from nftui.engine.ground import Ground
from nftui.engine.latest import Latest
from nftui.engine.segments import Part, PartName

CELLS = 128
"""Pieces of a part's time by which its flows are counted."""
MOST_COUNTED = 4_000_000
"""Parts of more flows are taken to have them evenly: they are hours, within which flows are short."""
PARTS_KEPT = 4096

Cells = np.ndarray[tuple[int], np.dtype[np.int64]]


class FlowTimes:
    """Knows of parts how many flows begin, and have ended, by a time."""

    def __init__(self) -> None:
        self._kept = Latest[PartName, tuple[Cells, Cells]](PARTS_KEPT)

    def look(self, ground: Ground, parts: list[Part]) -> None:
        """Count flows of the parts that nothing is known of: a pass over their times."""
        new = [part for part in parts if self._kept.get(part.name) is None and ground.store.flow_count([part]) <= MOST_COUNTED]
        if not new:
            return
        scans = [
            ground.store.scan([part], instants.COLUMNS).select(
                pl.lit(number, pl.Int32).alias("part"),
                _cell(instants.START, part.name).alias("from"),
                _cell(instants.END, part.name).alias("to"),
            )
            for number, part in enumerate(new)
        ]
        counts = pl.concat(scans, how="vertical").group_by("part", "from", "to").len().collect(engine="streaming")
        number, first, last, flows = (counts[name].to_numpy().astype(np.int64) for name in ("part", "from", "to", "len"))
        shape = (len(new), CELLS)
        begun, ended = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        np.add.at(begun, (number, first), flows)
        np.add.at(ended, (number, last), flows)
        for place, part in enumerate(new):
            self._kept.put(part.name, (begun[place].cumsum(), ended[place].cumsum()))

    def near(self, name: PartName, flows: int, since: int, until: int) -> int:
        """Return how many flows of a part begin at `until` or before, and end at `since` or later; rather too many.

        Args:
            name: The part.
            flows: How many it has.
            since: Microseconds since 1970.
            until: The same.
        """
        if until < name.min_start or since > name.max_end:
            return 0
        known = self._kept.get(name)
        if known is None:
            length = min(until, name.max_end) - max(since, name.min_start)
            return int(flows * length / max(name.max_end - name.min_start, 1)) + 1
        begun, ended = known
        first, last = (
            (min(max(at, name.min_start), name.max_end) - name.min_start) * CELLS // _span(name) for at in (since, until)
        )
        return int(begun[last] - (ended[first - 1] if first else 0))


def _span(name: PartName) -> int:
    return name.max_end - name.min_start + 1


def _cell(time: pl.Expr, name: PartName) -> pl.Expr:
    """Return the number of the cell that a time lies in; names of files say the edges, so that none lies outside."""
    return ((time.clip(name.min_start, name.max_end) - name.min_start) * CELLS // _span(name)).cast(pl.Int32)
