"""Where the pictures of the Map screen put things: areas and angles in proportion, labels that never overlap, places that stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nftui.screens.circle import NOTHING, donut, ring
from nftui.screens.dots import BRAILLE, HALVES, Dots
from nftui.screens.layout import Places, Spans, corners, curve, ends, grid_for
from nftui.screens.layout import Stand as Place
from nftui.screens.squares import LEAST_WIDTH, Box, drawn, squarified
from nftui.screens.towards import towards

WIDTHS, HEIGHTS = st.integers(20, 300), st.integers(6, 100)
VALUES = st.lists(st.integers(0, 10**12), max_size=60).map(lambda values: tuple(sorted(values, reverse=True)))
COUNTS = st.integers(0, 250)


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


@pytest.mark.row("V07")
@given(VALUES, WIDTHS, HEIGHTS)
@settings(max_examples=75, deadline=None)
def test_rectangles_cover_the_area_without_a_gap(values: tuple[int, ...], width: int, height: int) -> None:
    boxes = squarified(values, width, height)
    assert len(boxes) == len(values)
    painted = np.zeros((height, width), int)
    for box in boxes:
        painted[box.y : box.y + box.height, box.x : box.x + box.width] += 1
    assert (painted == (1 if sum(values) else 0)).all()


@pytest.mark.row("V07")
@given(VALUES, st.integers(0, 10**12), WIDTHS, HEIGHTS)
@settings(max_examples=100, deadline=None)
def test_areas_are_within_a_cell_of_the_ratio(values: tuple[int, ...], rest: int, width: int, height: int) -> None:
    laid = drawn(values, rest, width, height)
    total = sum(values) + rest
    shown = [*zip(values, laid.boxes, strict=False)]
    if laid.rest is not None:
        shown.append((total - sum(values[: len(laid.boxes)]), laid.rest))
    for value, box in shown:
        exact = value / total * width * height
        # A side may be rounded by less than a cell, across and down: that is what the area is off by at most.
        least, most = max(box.width - 1, 0) * max(box.height - 1, 0), (box.width + 1) * (box.height + 1)
        assert least <= exact <= most, (value, box, exact)


@pytest.mark.row("V07")
@given(VALUES, st.integers(0, 10**12), st.integers(0, 10**13), WIDTHS, HEIGHTS)
@settings(max_examples=50, deadline=None)
def test_what_is_drawn_can_be_read_and_nothing_is_lost(
    values: tuple[int, ...], rest: int, other: int, width: int, height: int
) -> None:
    laid = drawn(values, rest, width, height, other)
    boxes, everything = laid.boxes, laid.everything
    assert not any(overlap(a, b) for n, a in enumerate(everything) for b in everything[:n])
    if len(boxes) > 1:
        assert min(box.width for box in boxes) >= LEAST_WIDTH and min(box.height for box in boxes) >= 1
    if sum(values) + rest + other:
        assert sum(box.area for box in everything) == width * height


@pytest.mark.parametrize("values", [(), (0,), (5,), (1, 1), (10**12, 1, 1), (7,) * 250])
def test_odd_values_are_laid_out(values: tuple[int, ...]) -> None:
    assert sum(box.area for box in drawn(values, 0, 80, 20).everything) == (80 * 20 if sum(values) else 0)


@pytest.mark.row("V07")
@pytest.mark.parametrize(("width", "height"), [(80, 18), (80, 14), (120, 30), (200, 45), (100, 24)])
def test_a_few_that_are_small_beside_one_that_is_large_are_all_drawn(width: int, height: int) -> None:
    small = (11, 11, 10, 10, 9, 9, 8, 7, 6)
    laid = drawn((340, *small), 0, width, height, 579)
    enough = sum(value * width * height / 1000 >= 8 for value in small)
    assert len(laid.boxes) - 1 >= enough >= 6 and laid.other is not None
    # A name of nine characters fits into the greater half of them.
    assert sum(box.width >= 10 for box in laid.boxes[1:]) * 2 >= len(small)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=12), st.integers(12, 120))
@settings(max_examples=50, deadline=None)
def test_angles_are_in_proportion(values: list[int], size: int) -> None:
    grid = donut(tuple(values), size, size)
    points = int((grid != NOTHING).sum())
    if not sum(values):
        assert not points
        return
    for number, value in enumerate(values):
        # Each of both edges of a slice cuts through as many points as the ring is wide.
        assert abs(int((grid == number).sum()) - value / sum(values) * points) <= 2 * size * 0.25 + 4


@pytest.mark.row("V09")
@given(COUNTS, WIDTHS, HEIGHTS, st.integers(1, 60))
@settings(max_examples=75, deadline=None)
def test_labels_of_a_ring_never_overlap(count: int, width: int, height: int, label: int) -> None:
    spots = ring(count, width, height, label)
    assert len(spots) == min(count, 2 * height)
    spans = Spans(width, height)
    for spot in spots:
        assert 0 <= spot.x <= width and 0 <= spot.y <= height
        if spot.label_width:
            assert spans.free(spot.label_x, spot.label_y, spot.label_width)
            spans.take(spot.label_x, spot.label_y, spot.label_width)
            assert spot.label_x + spot.label_width <= spot.x if spot.left else spot.label_x > spot.x


@pytest.mark.row("M01")
@given(st.integers(1, 260), WIDTHS, HEIGHTS)
@settings(max_examples=75, deadline=None)
def test_slots_are_apart(count: int, width: int, height: int) -> None:
    grid = grid_for(count, width, height)
    places = [grid.place(slot) for slot in range(grid.count)]
    assert len(set(places)) == grid.count
    assert all(0 <= x < width and 0 <= y < height for x, y in places)
    columns = {slot // grid.rows: x for slot, (x, _) in enumerate(places)}
    apart = [b - a for a, b in zip(sorted(columns.values()), sorted(columns.values())[1:], strict=False)]
    assert min(apart, default=999) >= int(grid.slot_width)


def weights_of(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    made = np.random.default_rng(seed).random((count, count)) ** 6
    np.fill_diagonal(made, 0)
    return np.asarray(made + made.T, np.float64)


@pytest.mark.row("M01")
@given(st.lists(st.integers(0, 30), unique=True, min_size=1, max_size=20), st.integers(0, 99), WIDTHS, HEIGHTS)
@example([0, 1], 0, 263, 6)
@settings(max_examples=40, deadline=None)
def test_places_are_the_same_each_time_and_nobody_shares_one(nodes: list[int], seed: int, width: int, height: int) -> None:
    weights = weights_of(len(nodes), seed)
    places = Places()
    slots = places.arrange(nodes, weights, width, height)
    assert slots == Places().arrange(nodes, weights, width, height)
    given_out = [slot for slot in slots if slot is not None]
    assert len(set(given_out)) == len(given_out) == min(len(nodes), places.grid.count)
    assert places.arrange(nodes[::-1], weights, width, height)[::-1] == slots or None in slots


@pytest.mark.row("M01")
def test_nodes_keep_their_places_while_others_come_and_go() -> None:
    places, weights = Places(), weights_of(12, 1)
    first = dict(zip("abcdefghijkl", places.arrange("abcdefghijkl", weights, 120, 30), strict=True))
    then = dict(zip("bacdefghix", places.arrange("bacdefghix", weights_of(10, 2), 120, 30), strict=True))
    assert {node: then[node] for node in "abcdefghi"} == {node: first[node] for node in "abcdefghi"}
    again = dict(zip("abcdefghijklx", places.arrange("abcdefghijk", weights_of(11, 3), 120, 30), strict=False))
    assert again["j"] == first["j"] and again["k"] == first["k"], "who comes back gets the place back"


def test_those_who_exchange_much_stand_closer_than_they_would_by_rank() -> None:
    nodes, weights = list(range(16)), np.zeros((16, 16))
    for n in range(8):
        weights[n, 15 - n] = weights[15 - n, n] = 1.0
    places = Places()
    slots = places.arrange(nodes, weights, 120, 32)
    at = [places.grid.place(slot) for slot in slots if slot is not None]
    lengths = [abs(at[n][0] - at[15 - n][0]) + 2 * abs(at[n][1] - at[15 - n][1]) for n in range(8)]
    assert max(lengths) <= 2 * max(places.grid.slot_width, 2 * places.grid.slot_height)


@given(
    st.integers(0, 60),
    st.integers(0, 20),
    st.integers(0, 60),
    st.integers(0, 20),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 9),
)
@settings(max_examples=75, deadline=None)
def test_lines_leave_and_arrive_beside_the_labels(
    x: int, y: int, to_x: int, to_y: int, column: int, to_column: int, lane: int
) -> None:
    start, end = Place(column * 70 + x // 9, y, 9, 2, column), Place(to_column * 70 + to_x // 9, to_y, 9, 2, to_column)
    points = ends(start, end, 4.0)
    assert points[0][0] in (start.x, start.x + 9) and points[3][0] in (end.x, end.x + 9)
    assert start.y <= points[0][1] < start.y + 2 and end.y <= points[3][1] < end.y + 2
    line = curve(points, 50)
    assert tuple(line[0]) == points[0] and tuple(line[-1]) == pytest.approx(points[3])
    first, turn, other, last = corners(points, lane, 220)
    assert first[1] == turn[1] and turn[0] == other[0] and other[1] == last[1] and 0 <= turn[0] < 220


@pytest.mark.parametrize("each", [BRAILLE, HALVES])
def test_dots_leave_no_gap_in_a_line(each: tuple[int, int]) -> None:
    dots = Dots(40, 10, each)
    points = [(0.5, 0.5), (20.0, 9.0), (39.0, 1.0)]
    dots.line(curve(points, dots.steps(points)), 3)
    columns = np.flatnonzero(dots.lit.any(axis=0))
    assert len(columns) == columns[-1] - columns[0] + 1
    assert ((dots.patterns() > 0) == (dots.inks == 3)).all()


def reached(places: list[tuple[float, float]]) -> set[int]:
    """Return what the arrows reach from the first place."""
    seen, left = {0}, [0]
    while left:
        here = left.pop()
        for right, down in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            there = towards(places, here, right, down)
            if there not in seen:
                seen.add(there)
                left.append(there)
    return seen


@given(VALUES, WIDTHS, HEIGHTS, st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_the_arrows_reach_everything(values: tuple[int, ...], width: int, height: int, count: int) -> None:
    grid = grid_for(count, width, height)
    slots = [grid.place(slot) for slot in range(min(count, grid.count))]
    assert reached([(float(x), float(y)) for x, y in slots]) == set(range(len(slots)))
    boxes = drawn(values, 0, width, height).boxes
    assert not boxes or reached([box.middle for box in boxes]) == set(range(len(boxes)))


def test_the_cursor_moves_to_what_lies_ahead() -> None:
    places = [(0.0, 0.0), (10.0, 0.0), (10.0, 5.0), (20.0, 1.0)]
    assert towards(places, 0, 1, 0) == 1
    assert towards(places, 1, 0, 1) == 2
    assert towards(places, 1, 1, 0) == 3
    assert towards(places, 0, -1, 0) == 0
    assert towards([(0.0, 0.0)], 0, 0, 1) == 0
