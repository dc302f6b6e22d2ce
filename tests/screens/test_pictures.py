"""The pictures: any size, any names and any values are drawn, and the cursor reaches all that is there."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from rich.cells import cell_len
from textual.strip import Strip

from nftui.app import NftuiApp
from nftui.engine.matrix import Matrix
from nftui.engine.query import Measure, Totals
from nftui.screens.glyphs import ASCII, BLOCKS, BRAILLE, Glyphs
from nftui.screens.web import OTHERS, Edge, Node, Web
from nftui.screens.widgets.canvas import Canvas, middle
from nftui.screens.widgets.donut import Donut, Slice
from nftui.screens.widgets.painted import Painted
from nftui.screens.widgets.pair_matrix import PairMatrix, brief, halves
from nftui.screens.widgets.picture import styled
from nftui.screens.widgets.ring import Ring
from nftui.screens.widgets.traffic_map import TrafficMap
from nftui.screens.widgets.treemap import Tile, Treemap, words
from nftui.units import scaled
from tests.screens.conftest import HOSTILE

Make = Callable[..., NftuiApp]
NAMES = (
    "10.0.4.17",
    "2001:db8:85a3::8a2e:370:7334",
    HOSTILE,
    "日本語のサーバー・東京",
    "e\u0301te\u0301\u0301\u0301",
    "",
    "x" * 300,
    "👩‍👩‍👧",
    "한국",
)
SIZES = ((20, 6), (21, 7), (40, 10), (80, 12), (80, 18), (137, 33), (200, 50), (300, 100), (1, 1), (3, 2))


def name(key: Any) -> str:
    return NAMES[key % len(NAMES)] if isinstance(key, int) else str(key)


def matrix(count: int, values: str = "mixed") -> Matrix:
    """Return sums of so many elements: mixed, all alike, or one that dwarfs the others."""
    chance = random.Random(count)
    sums = np.array([[chance.randrange(10**9) * (chance.random() < 0.4) for _ in range(count)] for _ in range(count)], np.int64)
    sums = sums.reshape(count, count)
    if values == "alike":
        sums[:] = 7
    elif values == "one" and count:
        sums[:] = 1
        sums[0, -1] = 10**15
    return Matrix("address", tuple(range(count)), {Measure.OCTETS: sums}, Totals(1, 1, 1), cast(Any, None))


def web(count: int, values: str = "mixed", shift: int = 0) -> Web:
    """Return the web of the same, its keys shifted."""
    sums = matrix(count, values).sums[Measure.OCTETS]
    edges = [Edge(i, j, Totals(int(sums[i, j]), 1, 1), int(sums[i, j])) for i in range(count) for j in range(count) if sums[i, j]]
    edges += [Edge(i, count, Totals(3, 1, 1), 3, True) for i in range(count)]
    edges.sort(key=lambda edge: -edge.value)
    nodes = [Node(n + shift, Totals(int(sums[n].sum()), 1, 1), int(sums[n].sum()), int(sums[:, n].sum())) for n in range(count)]
    return Web((*nodes, *([Node(OTHERS, Totals(9, 9, 9))] if count else [])), tuple(edges[:500]), len(edges), Totals(1, 1, 1))


def tiles(count: int, values: str = "mixed", deep: bool = False) -> list[Tile]:
    """Return so many tiles, with parts where wanted, and the others."""
    sums = {"alike": [7] * count, "one": [10**15, *[1] * count][:count]}.get(values, [10**9 // (n + 1) ** 2 for n in range(count)])
    parts = [tuple(Tile(name(m), value // 4, "p", 0, (n, m)) for m in range(3)) if deep else () for n, value in enumerate(sums)]
    made = [Tile(name(n), value, scaled(value), n, (n,), parts[n]) for n, value in enumerate(sums)]
    return [*made, Tile("others", sum(sums) // 9 + 1, "1", -1, None, (), True)] if count else []


def pictures(count: int, values: str) -> list[tuple[Painted, Callable[[Any], None]]]:
    return [
        (Treemap(), lambda w: w.show(tiles(count, values), "title", "nothing")),
        (Treemap(), lambda w: w.show(tiles(count, values, True), "", "nothing")),
        (Donut(), lambda w: w.show([Slice(t.label, t.value, t.colour_rank) for t in tiles(count, values)], (HOSTILE, "x"))),
        (PairMatrix(), lambda w: w.show(matrix(count, values), Measure.OCTETS, name, 8.0, "nothing")),
        (Ring(), lambda w: w.show(matrix(count, values), Measure.OCTETS, name, "nothing")),
        (TrafficMap(), lambda w: w.show(web(count, values), name, scaled, "nothing")),
    ]


def good(strips: list[Strip], width: int, height: int) -> None:
    assert len(strips) <= height
    for strip in strips:
        assert cell_len(strip.text) == strip.cell_length <= width
        assert strip.text.isprintable() or all(c.isprintable() or c == "\u0301" for c in strip.text), repr(strip.text)
        assert "\x1b" not in strip.text and "\u202e" not in strip.text


@pytest.mark.row("V07")
@pytest.mark.row("V09")
@pytest.mark.parametrize("glyphs", [BRAILLE, BLOCKS, ASCII], ids=lambda glyphs: glyphs.name)
@pytest.mark.parametrize(("count", "values"), [(0, "mixed"), (1, "mixed"), (2, "one"), (9, "alike"), (12, "mixed")])
async def test_any_size_any_names_any_values(make: Make, glyphs: Glyphs, count: int, values: str) -> None:
    app = make()
    app.glyphs = glyphs
    async with app.run_test(size=(80, 24)):
        for widget, fill in pictures(count, values):
            await app.screen.mount(widget)
            fill(widget)
            for width, height in SIZES if glyphs is BRAILLE else SIZES[:6]:
                good(widget.paint(width, height), width, height)
            await widget.remove()


async def test_as_many_as_there_can_be(make: Make) -> None:
    app = make()
    app.glyphs = BRAILLE
    async with app.run_test(size=(80, 24)):
        for widget, fill in pictures(250, "mixed"):
            await app.screen.mount(widget)
            fill(widget)
            for width, height in ((20, 6), (200, 50)):
                good(widget.paint(width, height), width, height)


@pytest.mark.row("M01")
async def test_labels_of_the_map_never_overlap(make: Make) -> None:
    app = make()
    app.glyphs = BRAILLE
    async with app.run_test(size=(80, 24)):
        widget = TrafficMap()
        await app.screen.mount(widget)
        for count in (1, 3, 10, 50):
            widget.show(web(count), name, scaled)
            for width, height in SIZES:
                widget.paint(width, height)
                taken = np.zeros((height, width), int)
                for stand in widget._stands:
                    if stand is not None:
                        assert stand.x >= 0 and stand.y >= 0 and stand.x + stand.width <= width and stand.y + stand.height <= height
                        taken[stand.y : stand.y + stand.height, stand.x : stand.x + stand.width] += 1
                assert taken.max() <= 1


@pytest.mark.row("M01")
async def test_the_cursor_goes_over_nodes_and_lines_and_stays_on_them(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        widget = TrafficMap()
        widget.styles.width, widget.styles.height = 80, 18
        await app.screen.mount(widget)
        await pilot.pause()
        assert widget.size == (80, 18), "it paints by itself, too, and in the same size"
        widget.show(web(10), name, scaled)
        widget.paint(80, 18)
        first = widget.edge()
        assert first is not None and first.value == max(edge.value for edge in web(10).edges), "it begins on the greatest line"
        widget.action_by_size(1)
        second = widget.edge()
        assert second is not None and second.value <= first.value and second != first
        widget.action_by_size(-1)
        assert widget.edge() == first
        widget.action_go(1, 0)
        assert widget.node() is not None and widget.edge() is None, "an arrow goes from the line to a node"
        here = widget.node()
        assert here is not None
        widget.show(web(9), name, scaled)
        widget.paint(80, 18)
        there = widget.node()
        assert there is None or there.key == here.key
        places = set(widget._stands)
        widget.show(web(10), name, scaled)
        widget.paint(80, 18)
        assert places - {None} <= set(widget._stands), "who is still there keeps the place"
        widget.action_by_size(1)
        assert widget.edge() is not None and widget.node() is None
        assert widget._fresh == {9}, "a new one stands out until the next answer"
        widget.show(web(10), name, scaled)
        assert widget._fresh == {9}, "the same answer again"
        widget.show(web(11), name, scaled)
        assert widget._fresh == {10}


@pytest.mark.row("V09")
async def test_pairs_are_walked_by_size_and_by_cell(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)):
        widget, ring = PairMatrix(), Ring()
        await app.screen.mount(widget, ring)
        made = matrix(12)
        sums = made.sums[Measure.OCTETS]
        ordered = sorted((value for value in sums.ravel().tolist() if value), reverse=True)
        for picture in (widget, ring):
            picture.show(made, Measure.OCTETS, name, 1.0) if picture is widget else ring.show(made, Measure.OCTETS, name)
            walked = []
            for _ in ordered:
                at = picture.at()
                assert at is not None
                walked.append(int(sums[at]))
                picture.action_by_size(1)
            assert walked == ordered
            assert picture.at() == np.unravel_index(sums.argmax(), sums.shape), "after the last comes the first"
        widget.action_go(0, -99)
        widget.action_go(-99, 0)
        assert widget.pair() == (0, 0)
        widget.action_go(1, 1)
        assert widget.pair() == (1, 1)
        widget.show(matrix(1), Measure.OCTETS, name, 1.0)
        widget.show(made, Measure.OCTETS, name, 1.0)
        assert widget.pair() == (1, 1), "the pair is found again after it was away"


@pytest.mark.row("V09")
async def test_a_matrix_larger_than_its_place_scrolls_to_the_cursor(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)):
        widget = PairMatrix()
        await app.screen.mount(widget)
        widget.show(matrix(100), Measure.OCTETS, lambda key: f"host-{key}", 1.0)
        for place in (0, 99, 50):
            widget.select((place, place))
            text = "\n".join(strip.text for strip in widget.paint(60, 15))
            assert f"host-{place}" in text and f" {place + 1} " in text.splitlines()[0] + " "


@pytest.mark.row("V07")
async def test_tiles_are_reached_and_small_ones_join_the_rest(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)):
        widget = Treemap()
        await app.screen.mount(widget)
        widget.show(tiles(60), "title", figures=str)
        text = "\n".join(strip.text for strip in widget.paint(80, 18))
        assert "10.0.4.17" in text and "rest" in text
        drawn = [placed.tile for placed in widget._placed]
        assert len(drawn) < 60 and sum(tile.value for tile in drawn) == widget.total
        seen = {widget.name_here()}
        for _ in drawn:
            widget.action_by_size(1)
            seen.add(widget.name_here())
        assert seen == {tile.label for tile in drawn}
        widget.action_ends(0)
        widget.action_go(1, 0)
        assert widget.tile() != drawn[0]
        box = widget._placed[3].box
        assert widget.under(box.x, box.y) and widget.tile() == drawn[3]
        assert not widget.under(999, 999)


def test_words_of_a_tile_by_its_room() -> None:
    tile = Tile("AS15133", 44, "20.2G", 0)
    assert words(tile, 0.44, 20, 1) == ["AS15133 44% 20.2G"]
    assert words(tile, 0.44, 12, 1) == ["AS15133 44%"]
    assert words(tile, 0.44, 12, 3) == ["AS15133", "44% 20.2G"]
    assert words(tile, 0.004, 6, 3) == ["AS15133", "<1%", "20.2G"], "one cell too long: it may come up to the next rectangle"
    assert words(tile, 0.004, 5, 3) == [middle("AS15133", 5), "<1%", "20.2G"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (3.04, "3.0"), (999, "999"), (12_345, "12k"), (9_149, "9.1k"), (252e6, "252M")]
)
def test_figures_in_four_characters(value: float, text: str) -> None:
    assert brief(value) == text


@pytest.mark.parametrize("value", [10**n + k for n in range(19) for k in (-1, 0, 1)])
def test_no_figure_is_longer(value: int) -> None:
    assert len(brief(value)) <= 4


def test_headings_are_parted_where_an_address_is() -> None:
    assert halves("10.0.4.17", 5, 2) == ["10.0.", "4.17"]
    assert halves("10.50.9.10", 5, 2) == ["10.50", ".9.10"]
    assert halves("lan", 5, 2) == ["", "lan"]
    assert all(cell_len(part) <= 6 for text in NAMES if text != HOSTILE for part in halves(text, 6, 2))


def test_a_canvas_never_cuts_a_wide_character() -> None:
    canvas = Canvas(6, 2, styled("#ffffff", "#000000"))
    canvas.put(0, 0, "日本語", styled("#ffffff", "#000000"))
    canvas.put(1, 0, "x", styled("#ffffff", "#000000"))
    canvas.put(5, 1, "日", styled("#ffffff", "#000000"))
    canvas.put(-1, 1, "日x", styled("#ffffff", "#000000"))
    texts = [strip.text for strip in canvas.strips()]
    assert texts[0] == " x本語" and [cell_len(text) for text in texts] == [6, 6]


async def test_what_is_copied_is_printable(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)):
        widget = Treemap()
        await app.screen.mount(widget)
        widget.show([Tile(HOSTILE, 3, "3", 0, (1,))], "")
        widget.paint(40, 10)
        widget.action_copy()
        assert "\x1b" not in app.clipboard and "gnp.exe" in app.clipboard
