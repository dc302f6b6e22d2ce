"""The time line: what is shown lies within what there is, at any width and range."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nftui.engine.query import Interval
from nftui.screens.widgets.timeline import Window

MOMENTS = st.integers(0, 10**15)


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    start = draw(MOMENTS)
    return Interval(start, start + draw(st.integers(1, 10**14)))


@given(intervals(), intervals(), st.lists(MOMENTS, max_size=9).map(sorted), st.integers(8, 300))
def test_cells_lie_on_the_line_and_in_proportion(held: Interval, shown: Interval, marks: list[int], width: int) -> None:
    window = Window(held, shown, tuple(marks))
    whole = window.whole
    held_cells, shown_cells, at = window.cells(width)
    for part, cells in ((held, held_cells), (shown, shown_cells)):
        assert 0 <= cells.start < cells.stop <= width
        assert abs(len(cells) - part.length * width / whole.length) <= 2
    assert set(range(width)) <= set(held_cells) | set(shown_cells) or held.end < shown.start or shown.end < held.start
    assert all(0 <= place < width for place in at) and list(at) == sorted(at)
    assert len(at) == sum(whole.start <= mark < whole.end for mark in marks)
