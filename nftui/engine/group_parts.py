"""Groups of the parts of a store: merged sums that move along with a range, read in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import polars as pl

from nftui.engine import top
from nftui.engine.edge_flows import BEGINNING, EdgeFlows, Moved
from nftui.engine.filters import ANY
from nftui.engine.ground import Ground, Wanted
from nftui.engine.open_questions import Change, Merge, OpenQuestions, Seen
from nftui.engine.query import Interval, Query
from nftui.engine.segments import PartName
from nftui.errors import SegmentError
from nftui.schema import POLARS

MANY_GROUPS = 1_000_000
SoFar = Callable[[pl.DataFrame, Wanted], None]
"""Takes the groups of what was read so far, and the parts that were."""


class Grouper:
    """Makes the groups of questions, and keeps those of the last few."""

    def __init__(self, edges: EdgeFlows) -> None:
        """Begin without having seen anything.

        Args:
            edges: Knows the flows near an edge that moves.
        """
        self._open, self._edges = OpenQuestions(), edges

    def clear(self) -> None:
        """Forget all."""
        self._open.clear()

    def groups(self, query: Query, ground: Ground, *, timed: bool, so_far: SoFar | None = None) -> pl.DataFrame:
        """Return the merged groups of all flows.

        Args:
            query: The question.
            ground: What it stands on.
            timed: Whether groups have the times of their flows.
            so_far: Called now and then with what was read until then.
        Raises:
            GivenUp: The question was given up; when it is asked again it goes on from there.
        """

        def merge(frames: list[pl.DataFrame]) -> pl.DataFrame:
            return top.merge(frames, query)

        with self._open.taken((groups_of(query), timed), ground, query.keys) as take:
            seen = take(False)
            change = seen.change(ground.wanted)
            if (change.gone or change.moved) and (timed or not self._moved(query, ground, seen, change, merge)):
                seen = take(True)
                change = seen.change(ground.wanted)
            seen.interval, seen.whole = ground.interval, False
            frames: list[pl.DataFrame] = []
            for step in ground.steps(change.come):
                frames.append(_groups(query, step.counted(ground, query, timed=timed), timed))
                if not step.last:
                    continue
                seen.add(frames, {part.name: step.clip for part in step.parts}, ground, merge)
                frames = []
                self._open.spare()
                # To merge many groups takes as long as to read them: these are told when they were merged anyway.
                ready = seen.rows < MANY_GROUPS or not seen.waiting
                if so_far is not None and ground.due and ready and (state := seen.state(merge)) is not None:
                    so_far(state, seen.wanted)
            seen.whole = True
            state = seen.state(merge)
        return empty_groups(query, timed) if state is None else state

    def _moved(self, query: Query, ground: Ground, seen: Seen, change: Change, merge: Merge) -> bool:
        """Take away what left the range; return False, with nothing done, where it costs less to begin anew."""
        state = seen.state(merge)
        frames = None if state is None else self._difference(query, ground, seen, change)
        if frames is None or state is None:
            return False
        del state
        if frames:
            # Otherwise a group would stay of which nothing is left.
            seen.put_right(frames, merge, pl.any_horizontal(pl.col(top.SUMS) != 0) if query.keys else pl.lit(value=True))
        seen.move(change)
        return True

    def _difference(self, query: Query, ground: Ground, seen: Seen, change: Change) -> list[pl.DataFrame] | None:
        """Return what adds up to the difference that parts make which go or move; None where to begin anew costs less."""
        parts = seen.parts | ground.parts
        left: Moved = {name: (clip, ground.interval) for name, clip in change.gone.items() if not name.overlaps(ground.interval)}
        near = self._edges.of(query, ground, left | change.moved, parts)
        far = [name for name in (*change.gone, *change.moved) if name not in near]
        if ground.count(change.come) + ground.store.flow_count([parts[name] for name in far]) > ground.count(ground.wanted):
            return None
        before = change.gone | {name: old for name, (old, _) in change.moved.items()}
        after = {name: new for name, (_, new) in change.moved.items()}
        frames = []
        try:
            for clips, sign in _passed(near, left | change.moved, before, after, query):
                for clip, flows in together(near, clips):
                    frames.append(sign(_groups(query, top.clipped(flows, query, clip).lazy(), timed=False)))
            for clips, sign in ((before, top.negated), (after, pl.DataFrame.clone)):
                for name in (name for name in far if name in clips):
                    ground.check()
                    scan = ground.store.scan([parts[name]], top.columns(query, clips[name] is not None))
                    frames.append(sign(_groups(query, top.counted(scan, query, clips[name], timed=False), timed=False)))
        except (FileNotFoundError, SegmentError, pl.exceptions.PolarsError):
            return None  # one that has gone was removed
        return frames


def _passed(
    near: dict[PartName, pl.DataFrame], moved: Moved, before: Wanted, after: Wanted, query: Query
) -> Iterator[tuple[Wanted, Callable[[pl.DataFrame], pl.DataFrame]]]:
    """Yield what near flows are to be clipped to, and the sign that it counts with.

    Disjoint ranges add up, so what a left edge passed is all that changes; not so where only flows count that lie wholly inside.
    """
    if query.contained:
        yield {name: clip for name, clip in before.items() if name in near}, top.negated
        yield {name: clip for name, clip in after.items() if name in near}, pl.DataFrame.clone
        return
    forth, back = Wanted(), Wanted()
    for name in near:
        old, new = (BEGINNING if clip is None else clip.start for clip in moved[name])
        (forth if new > old else back)[name] = Interval(min(old, new), max(old, new))
    yield forth, top.negated
    yield back, pl.DataFrame.clone


def together(flows: dict[PartName, pl.DataFrame], clips: Wanted) -> Iterator[tuple[Interval | None, pl.DataFrame]]:
    """Yield what the flows of parts count that are to be clipped alike."""
    alike: dict[Interval | None, list[pl.DataFrame]] = {}
    for name, frame in flows.items():
        if name in clips and frame.height:
            alike.setdefault(clips[name], []).append(frame)
    for clip, frames in alike.items():
        yield clip, pl.concat(frames, how="vertical")


def groups_of(query: Query) -> Query:
    """Return what questions share that need the same groups."""
    return replace(query, interval=None, limit=None, bins=None, order="octets", ascending=False, having=ANY, only=None)


def empty_groups(query: Query, timed: bool) -> pl.DataFrame:
    """Return the groups of no flows."""
    columns = top.columns(query, timed)
    return top.groups(pl.LazyFrame(schema={name: POLARS[name] for name in columns}), query, None, timed).collect()


def _groups(query: Query, counted: pl.LazyFrame, timed: bool) -> pl.DataFrame:
    return top.summed(counted, query, timed)[0].collect(engine="streaming")
