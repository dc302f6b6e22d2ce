"""Series of the parts of a store: merged partials that move along with a range; what was asked before is read no more."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from nftui.engine import keys, series, top
from nftui.engine.edge_flows import EdgeFlows
from nftui.engine.ground import Ground, Step
from nftui.engine.group_parts import SoFar, groups_of, together
from nftui.engine.latest import Latest
from nftui.engine.open_questions import OPEN_QUESTIONS, Change, OpenQuestions, Seen
from nftui.engine.query import Query
from nftui.engine.series import Grid
from nftui.schema import POLARS

SPARE_GROUPS = 3
"""An open question's series follows this many times the shown groups, so that a newcomer in the list seldom costs a new pass."""
SPREAD_FLOWS = 4_000_000
"""A series looks at no more flows at a time: it holds some 40 octets of each."""


class Spreader:
    """Makes series from parts."""

    def __init__(self, edges: EdgeFlows | None) -> None:
        """Begin without having seen anything.

        Args:
            edges: Knows the flows near an edge that moves; None keeps nothing for the next time.
        """
        self._edges = edges
        self._open = OpenQuestions()
        self._followed = Latest[Query, pl.DataFrame](OPEN_QUESTIONS)

    def clear(self) -> None:
        """Forget all."""
        self._open.clear()

    def series(
        self, query: Query, ground: Ground, grid: Grid, shown: pl.DataFrame, state: pl.DataFrame, so_far: SoFar | None = None
    ) -> pl.DataFrame:
        """Return a series: `time`, a column for each shown group, `other`.

        Args:
            query: The question.
            ground: What it stands on.
            grid: The bins.
            shown: The groups that are shown, best first.
            state: All groups, of which those next in the list are followed too.
            so_far: Called now and then with the series of what was read until then.
        Raises:
            GivenUp: The question was given up; when it is asked again it goes on from there.
        """
        followed = self._to_follow(query, shown, state)
        about = (groups_of(query), query.measure, grid.width, grid.phase, tuple(followed.rows()))
        with self._open.taken(about, ground) as take:
            seen = take(self._edges is None)
            change = seen.change(ground.wanted)
            if (change.gone or change.moved) and not self._moved(query, ground, seen, change, grid, followed):
                seen = take(True)
                change = seen.change(ground.wanted)
            seen.interval, seen.whole = ground.interval, False
            frames: list[pl.DataFrame] = []
            for step in ground.steps(change.come, SPREAD_FLOWS):
                frames += self._spread(query, ground, step, grid, followed)
                if not step.last:
                    continue
                seen.add(frames, {part.name: step.clip for part in step.parts}, ground, series.merge)
                frames = []
                if so_far is not None and ground.due and (sums := seen.state(series.merge)) is not None:
                    so_far(self._binned(query, sums, grid, shown, followed), seen.wanted)
            seen.whole = True
            sums = seen.state(series.merge)
        return self._binned(query, series.nothing() if sums is None else sums, grid, shown, followed)

    def _moved(self, query: Query, ground: Ground, seen: Seen, change: Change, grid: Grid, followed: pl.DataFrame) -> bool:
        """Bring the sums to another range; return False, with nothing done, where it costs less to begin anew."""
        state = seen.state(series.merge)
        # What lies outside the range changes nothing within its edges; what went and lies inside can't be taken away.
        if state is None or self._edges is None or any(name.overlaps(ground.interval) for name in change.gone):
            return False
        before = {name: old for name, (old, _) in change.moved.items()}
        after = {name: new for name, (_, new) in change.moved.items()}
        near = self._edges.of(query, ground, change.moved, seen.parts)
        if ground.interval is not None:
            # What ended before the range is no matter any more, and what began later counts the same.
            starts = (seen.interval or ground.interval).start, ground.interval.start
            crossing = (pl.col("end") >= ground.interval.start) & (pl.col("start") <= max(starts))
            near = {name: flows.filter(crossing) for name, flows in near.items()}
        far = before.keys() - near.keys()
        if ground.count(change.come) + 2 * ground.count(dict.fromkeys(far)) > ground.count(ground.wanted):
            return False
        frames = []
        for clips, sign in ((before, series.negated), (after, pl.DataFrame.clone)):
            for clip, flows in together(near, clips):
                frames.append(sign(series.spread(top.clipped(flows, query, clip).lazy(), query, grid, followed)))
            for step in ground.steps({name: clips[name] for name in far}, SPREAD_FLOWS):
                frames += [sign(frame) for frame in self._spread(query, ground, step, grid, followed)]
        inside = pl.col("edge").is_between(grid.first + 1, grid.first + grid.bins + 1)
        seen.put_right(frames, series.merge, inside)
        seen.move(change)
        return True

    def _spread(self, query: Query, ground: Ground, step: Step, grid: Grid, followed: pl.DataFrame) -> list[pl.DataFrame]:
        """Return the partials of a step, of no more than so many flows each."""
        if step.held(ground):
            return [series.spread(step.counted(ground, query, timed=True), query, grid, followed)]
        flows = step.scan(ground, top.columns(query, timed=True))
        count = ground.store.flow_count(list(step.parts)) if step.count is None else step.count
        pieces = [flows] if count <= SPREAD_FLOWS else [flows.slice(at, SPREAD_FLOWS) for at in range(0, count, SPREAD_FLOWS)]
        return [series.spread(top.counted(piece, query, step.clip, timed=True), query, grid, followed) for piece in pieces]

    def _to_follow(self, query: Query, shown: pl.DataFrame, state: pl.DataFrame) -> pl.DataFrame:
        """Return the keys that a series tells apart, numbered: those shown, and for an open question some more."""
        if not query.keys:
            return pl.DataFrame(schema={"group": pl.Int32})
        now = shown.select(query.keys)
        # Groups that overlap can't be given to the others afterwards, so that there are none to spare.
        if self._edges is None or keys.either(query.keys):
            return numbered_groups(now)
        question = groups_of(query)
        followed = self._followed.get(question)
        if followed is None or now.join(followed, on=list(query.keys), how="anti", nulls_equal=True).height:
            spare = replace(query, limit=None if query.limit is None else query.limit * SPARE_GROUPS)
            best = top.ranked(state, spare, 1).select(query.keys)
            followed = numbered_groups(pl.concat([now, best]).unique(maintain_order=True))
        self._followed.put(question, followed)
        return followed

    def _binned(self, query: Query, merged: pl.DataFrame, grid: Grid, shown: pl.DataFrame, followed: pl.DataFrame) -> pl.DataFrame:
        """Return the series frame: those followed but not shown go to the others before the rounding."""
        if query.keys:
            numbers = shown.select(query.keys).join(
                followed, on=list(query.keys), how="left", nulls_equal=True, maintain_order="left"
            )
            place = {number: index for index, number in enumerate(numbers["group"].to_list())}
        else:
            place = {0: 0}
        merged = merged.with_columns(
            pl.col("group").replace_strict(list(place), list(place.values()), default=series.OTHER, return_dtype=pl.Int32)
        )
        shown_bins, other = series.bins(merged, grid, len(place))
        times = pl.Series("time", grid.starts(), dtype=pl.Int64).cast(POLARS["flow_start"])
        columns = {f"g{index}": shown_bins[:, index] for index in range(len(place))}
        return pl.DataFrame([times]).with_columns(
            *(pl.Series(name, values, dtype=pl.Int64) for name, values in columns.items()),
            pl.Series("other", other, dtype=pl.Int64),
        )


def numbered_groups(groups: pl.DataFrame) -> pl.DataFrame:
    """Return keys of groups with a number each, `group` (Int32)."""
    return groups.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias("group"))
