"""The Map screen: its kinds, what each key changes, and each state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.config import DisplaySettings, NameSettings
from nftui.engine import filters
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, Coverage, Interval, Measure, Query, Totals
from nftui.engine.resolving import Resolver
from nftui.errors import StoreError
from nftui.screens.connections import Connections, ends_of
from nftui.screens.flows import FlowsScreen
from nftui.screens.glyphs import ASCII, BRAILLE
from nftui.screens.layout import Places
from nftui.screens.maps import MapScreen
from nftui.screens.view import Range, View
from nftui.screens.web import OTHERS, SIDES, Earlier, Edge, Linked, Node, Web
from nftui.screens.widgets.pair_matrix import PairMatrix
from nftui.screens.widgets.ring import Ring
from nftui.screens.widgets.traffic_map import TrafficMap
from nftui.screens.widgets.treemap import Treemap
from tests.screens.conftest import HOSTILE, HOSTS, NOW, SECOND, Scripted, lines, octets_of, quiet, settled, shows, status

Make = Callable[..., NftuiApp]
SIZES = [(80, 24), (120, 36), (200, 50)]
KINDS = ("network", "pairs", "portions")


async def press(pilot: Pilot[None], *keys: str) -> MapScreen:
    for key in keys:
        await pilot.press(key)
        await settled(pilot)
    return cast(MapScreen, pilot.app.screen)


# ---------------------------------------------------------------- how it looks


@pytest.mark.row("M01")
@pytest.mark.parametrize("size", SIZES)
async def test_layout(make: Make, size: tuple[int, int]) -> None:
    app = make()
    app.glyphs = BRAILLE
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for kind, key in zip(KINDS, "4mm", strict=True):
            await press(pilot, key)
            shown = await shows(pilot, f"map-{kind}-{size[0]}x{size[1]}", lambda: lines(app))
            assert {cell_len(line) for line in shown} == {size[0]}
            for widget in app.screen.query("*"):
                inside = widget.region.intersection(app.screen.region)
                assert not widget.region or inside == widget.region, f"{widget} is cut"


@pytest.mark.parametrize("size", SIZES)
async def test_an_empty_store_says_what_to_do(make: Make, tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(LocalBackEnd(tmp_path))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for kind, key in zip(KINDS, "4mm", strict=True):
            await press(pilot, key)
            assert "point an exporter at 10.1.2.3:9995" in "\n".join(lines(app))
            await shows(pilot, f"map-{kind}-empty-{size[0]}x{size[1]}", lambda: lines(app))


async def test_ascii_and_other_looks(make: Make) -> None:
    app = make()
    app.glyphs = ASCII
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for name, keys in (("network", "4"), ("pairs", "m"), ("ring", "v"), ("portions", "m"), ("donut", "v")):
            await press(pilot, *keys)
            await shows(pilot, f"map-{name}-ascii-80x24", lambda: lines(app))
            drawn = "".join(line for widget in app.screen.query("#pictures > *") for line in _drawn(widget))
            assert drawn.replace("…", "").isascii()


def _drawn(widget: object) -> list[str]:
    return [strip.text for strip in getattr(widget, "_strips", [])]


async def test_a_failing_store_says_so_and_keeps_what_was_shown(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store), status())
    app = make(back_end)
    app.glyphs = BRAILLE
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for kind, key in zip(KINDS, "4mm", strict=True):
            await press(pilot, key)
            back_end.error = StoreError("/data: permission denied; run as the user of the collector")
            await press(pilot, "r")
            text = "\n".join(lines(app))
            assert "permission denied" in text and "93.184.216.34" in text
            await shows(pilot, f"map-{kind}-failing-80x24", lambda: lines(app))
            back_end.error = None
            await press(pilot, "r")
            assert "permission denied" not in "\n".join(lines(app))


async def test_hostile_and_wide_names(make: Make, tmp_path: Path) -> None:
    names = f"8.8.8.8 {HOSTILE}\n93.184.216.34 日本語のサーバー.東京.example\n10.9.0.2 e\u0301te\u0301\n151.101.1.69 {'x' * 200}\n"
    (tmp_path / "hosts").write_text(names)
    app = make(resolver=Resolver(NameSettings(hosts=str(tmp_path / "hosts"))), display=DisplaySettings(refresh=60, range="all"))
    app.glyphs = BRAILLE
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "4", "a")
        for kind, keys in zip(KINDS, ("", "m", "m"), strict=True):
            await press(pilot, *keys)
            shown = await shows(pilot, f"map-{kind}-hostile-80x24", lambda: lines(app))
            assert {cell_len(line) for line in shown} == {80}
            assert "日本" in "\n".join(shown) and "\x1b" not in "\n".join(shown) and "\u202e" not in "\n".join(shown)


@pytest.mark.parametrize("size", [(40, 10), (79, 24)])
async def test_small_windows_keep_the_list(make: Make, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for key in "4mm":
            await press(pilot, key)
            shown = lines(app)
            assert "80x24" in shown[0] and any("93.184.216.34" in line for line in shown)
            assert {cell_len(line) for line in shown} == {size[0]}
        assert app.focused is not None and app.focused.id == "table"


# ---------------------------------------------------------------- the figures


def _sums(back_end: LocalBackEnd, where: str, interval: Interval | None = None) -> Totals:
    return back_end.answer(Query(interval or View().interval(NOW), where=filters.parse(where))).total


@pytest.mark.row("V09")
@pytest.mark.row("M01")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("key", ["address", "port", "interface"])
def test_edges_and_nodes_are_what_their_filters_sum_to(store: Path, key: str, side: str) -> None:
    back_end = LocalBackEnd(store)
    asked = Linked.of(View().groups(NOW), key, 6, side)
    made: Web = asked.put(back_end).more["web"]
    told = Connections(made, float)
    assert made.nodes and made.edges
    assert [edge.value for edge in made.edges] == sorted((edge.value for edge in made.edges), reverse=True)
    for edge in made.edges:
        words = told.edge_term(edge)
        assert words is not None
        assert _sums(back_end, words) == edge.sums, words
    for node in made.nodes:
        words = told.node_term(node)
        if node.key == OTHERS and side != "both":
            assert words is None
        elif words is not None and (side == "both" or node in made.nodes[:6]):
            assert _sums(back_end, words) == node.sums, words


@pytest.mark.row("M01")
@pytest.mark.parametrize("side", ["talkers", "listeners"])
def test_all_that_the_ranked_send_or_receive_is_on_the_edges(store: Path, side: str) -> None:
    asked = Linked.of(View().groups(NOW), "address", 6, side)
    reply = asked.put(LocalBackEnd(store))
    made: Web = reply.more["web"]
    ranked = sum(reply.main.groups["octets"].to_list())
    assert sum(edge.value for edge in made.edges) == ranked
    for node, value in zip(made.nodes, reply.main.groups["octets"].to_list(), strict=False):
        there = [edge for edge in made.edges if made.nodes[edge.source if side == "talkers" else edge.target] == node]
        assert sum(edge.value for edge in there) == value


@pytest.mark.row("M01")
@pytest.mark.parametrize("side", SIDES)
def test_pinned_nodes_are_there_with_what_their_filters_sum_to(store: Path, side: str) -> None:
    back_end, nobody = LocalBackEnd(store), octets_of("198.51.100.9")
    pinned = (octets_of("10.0.4.20"), octets_of(HOSTS[5]), nobody)
    bare: Web = Linked.of(View().groups(NOW), "address", 2, side).put(back_end).more["web"]
    reply = Linked.of(View().groups(NOW), "address", 2, side, pinned).put(back_end)
    made: Web = reply.more["web"]
    told = Connections(made, float)
    assert not any(node.pinned for node in bare.nodes) and not {node.key for node in bare.nodes[:2]} & set(pinned)
    assert [node.key for node in made.nodes if node.pinned] == list(pinned)
    for node in made.nodes:
        if node.pinned:
            words = told.node_term(node)
            assert words is not None and (_sums(back_end, words) == node.sums or side != "both"), words
            assert (node.key == nobody) == (not node.sums.flows)
    for edge in made.edges:
        words = told.edge_term(edge)
        assert words is not None and _sums(back_end, words) == edge.sums, words
    assert reply.main.query == Linked.of(View().groups(NOW), "address", 2, side).main, "the ranked list has no pinned ones"


@pytest.mark.row("V09")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("key", ["address", "interface"])
def test_the_period_before_is_what_the_same_filters_sum_to_then(store: Path, key: str, side: str) -> None:
    back_end, view = LocalBackEnd(store), View()
    interval = view.interval(NOW)
    assert interval is not None
    before = view.before(interval)
    pinned = [octets_of("10.0.4.20")] if key == "address" else []
    reply = Linked.of(view.groups(NOW), key, 4, side, pinned, before).put(back_end)
    made, earlier = reply.more["web"], reply.more["earlier"]
    told = Connections(made, float, earlier=earlier, elapsed=interval.length)
    assert told.compared and earlier.answer.total == _sums(back_end, "any", before) != reply.main.total
    for edge in made.edges:
        words = told.edge_term(edge)
        assert words is not None
        assert earlier.edges.get(made.keys(edge), 0) == _sums(back_end, words, before).octets, words
    assert len({told.edge_change(edge) for edge in made.edges}) > 1
    ranked = [node for node in made.nodes if node.key != OTHERS][: 4 if side != "both" else None]
    for node in ranked:
        words = told.node_term(node)
        assert words is not None and earlier.nodes[node.key] == _sums(back_end, words, before).octets, words


def test_changes_are_those_of_mean_rates() -> None:
    edge, other = Edge(0, 1, Totals(3000, 3, 1), 3000), Edge(1, 0, Totals(10, 1, 1), 10)
    web = Web((Node(b"a", Totals(3000, 3, 1)), Node(b"b", Totals(3000, 3, 1))), (edge, other))
    held = Interval(600 * SECOND, 1000 * SECOND)
    answer = Answer(Query(), pl.DataFrame(), Totals(1, 1, 1), 0, Coverage(held=held), first=held.start)
    earlier = Earlier(Interval(0, 1000 * SECOND), answer, {b"a": 2000}, {(b"a", b"b"): 500})
    told = Connections(web, float, earlier=earlier, elapsed=1000 * SECOND)
    # 3000 in 1000 s against 500 in the 400 s of which flows are held.
    assert told.edge_change(edge) == "x2.4" and told.edge_change(other) == "new" and told.node_change(web.nodes[0]) == "-40%"
    assert told.edge_figure(edge) == "3.0k x2.4" and told.node_change(web.nodes[1]) == ""
    silent = replace(earlier, answer=replace(answer, total=Totals()))
    assert replace(told, earlier=silent).edge_change(edge) == "" and not replace(told, earlier=silent).compared


def test_fixed_nodes_keep_their_places_on_another_grid() -> None:
    places, weights = Places(), np.ones((30, 30)) - np.eye(30)
    first = places.arrange(list("abcdefgh"), weights[:8, :8], 120, 30)
    again = places.arrange(list("hgabcdef"), weights[:8, :8][::-1], 120, 30, anew=True, fixed=2)
    assert again[:2] == [first[7], first[6]] and sorted(filter(None, again)) == sorted(filter(None, set(again)))
    x, y = places.grid.place(again[0] or 0)
    more = places.arrange(["h", "g", *map(str, range(28))], weights, 60, 30, fixed=2)
    assert None not in more[:2] and len(set(more)) == len(more)
    to_x, to_y = places.grid.place(more[0] or 0)
    assert abs(to_x / 60 - x / 120) < 0.2 and abs(to_y - y) < 6
    few = places.arrange(list(map(str, range(28))), weights[:28, :28], 14, 2, fixed=28)
    assert few.count(None) == 28 - places.grid.count


def test_without_others(store: Path) -> None:
    made: Web = Linked.of(View().groups(NOW), "address", 6, "both").put(LocalBackEnd(store)).more["web"]
    assert made.nodes[-1].key == OTHERS
    bare = made.without_others()
    assert len(bare.nodes) == len(made.nodes) - 1 and not any(edge.both for edge in bare.edges)
    assert bare.without_others() == bare


@pytest.mark.parametrize(
    ("by", "key"),
    [("srcip", "address"), ("dstport", "port"), ("dstas", "as"), ("inif", "interface"), ("proto", "address"), ("none", "address"),
     ("srcip4/24", "address"), ("proto,srcport", "port"), ("vlan", "vlan")],
)  # fmt: skip
def test_what_a_breakdown_has_two_ends_of(by: str, key: str) -> None:
    assert ends_of(by) == key


# ---------------------------------------------------------------- the keys


@pytest.mark.row("M01")
async def test_enter_goes_to_the_flows_of_an_edge_and_esc_comes_back(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4", "greater_than_sign")
        network = screen.query_one(TrafficMap)
        edge, told = network.edge(), screen._connections
        assert edge is not None and told is not None
        wanted = told.edge_term(edge)
        await press(pilot, "enter")
        assert isinstance(app.screen, FlowsScreen) and app.view.text == wanted
        assert app.screen.answer is not None and app.screen.answer.total == edge.sums
        await press(pilot, "escape")
        assert app.screen is screen and not app.view.text
        assert network.edge() == edge, "the cursor is where it was"
        await press(pilot, "h", "enter")
        node_filter = app.view.text
        assert isinstance(app.screen, FlowsScreen) and (node_filter.startswith(("ip ", "not (src ip")))


@pytest.mark.row("M01")
async def test_only_and_not_narrow_the_map_itself(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4", "O")
        edge = screen.query_one(TrafficMap).edge()
        assert edge is not None and screen._connections is not None
        first, before = screen._connections.edge_term(edge), screen.answer
        await press(pilot, "i")
        assert app.view.text == first and app.screen is screen
        assert screen.answer is not None and screen.answer.total == edge.sums
        await press(pilot, "escape", "o")
        assert app.view.text == f"not ({first})"
        assert before is not None and screen.answer is not None
        assert screen.answer.total.octets == before.total.octets - edge.sums.octets


@pytest.mark.row("M01")
async def test_who_is_ranked_and_how_many(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4")
        for side in ("talkers", "listeners", "both"):
            await press(pilot, "s")
            assert f"s: {side}" in lines(app)[2]
            assert screen.answer is not None and screen.answer.query.keys == (
                {"talkers": "source_address", "listeners": "destination_address"}.get(side, "address"),
            )
        await pilot.press("M")
        await quiet(pilot, 0.1)
        text = "\n".join(lines(app))
        assert all(f"top {count}" in text for count in (5, 10, 15, 20, 25, 50, 100, 250))
        await pilot.press("up", "enter")
        await settled(pilot)
        assert app.view.limit == 5 and "top 5 addresses" in lines(app)[2]
        await pilot.press("b")
        await quiet(pilot, 0.1)
        await pilot.press("down", "enter")
        await settled(pilot)
        assert app.view.by == "port" and "top 5 ports" in lines(app)[2]
        await press(pilot, "u")
        assert app.view.measure is Measure.PACKETS and "packets" in "\n".join(lines(app))


@pytest.mark.row("M01")
async def test_nodes_keep_their_places_from_one_answer_to_the_next(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4")
        network = screen.query_one(TrafficMap)
        before = dict(network._places.slots)
        await press(pilot, "r", "plus")
        assert network._web is not None
        stayed = [node.key for node in network._web.nodes if node.key in before]
        assert len(stayed) >= 5 and all(network._places.slots[key] == before[key] for key in stayed)
        await press(pilot, "minus", "L")
        assert network._places.slots.keys() == before.keys(), "laid out anew, nobody is remembered who is away"


@pytest.mark.row("M01")
@pytest.mark.parametrize("size", SIZES)
async def test_a_pinned_node_stays_where_it_is(make: Make, size: tuple[int, int]) -> None:
    app = make()
    app.glyphs = BRAILLE
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4", "p")
        assert "the arrows go to one" in [notice.message for notice in app._notifications][-1] and not screen.pinned
        network = screen.query_one(TrafficMap)
        assert network._web is not None
        last = next(n for n, node in reversed(list(enumerate(network._web.nodes))) if node.key != OTHERS)
        network._go_to_node(last)
        key, before = network._web.nodes[last].key, network._stands[last]
        await press(pilot, "p")
        assert screen.pinned == (key,) and "+1 pinned" in lines(app)[1]
        await press(pilot, "L")
        network = screen.query_one(TrafficMap)
        node = network.node()
        assert node is not None and node.pinned and node.key == key and network._places.grid.place(network._places.slots[key])
        stand = network._stands[network._web.nodes.index(node)]
        assert before is not None and stand is not None and stand.y == before.y and abs(stand.x - before.x) <= 1
        app.view = replace(app.view, limit=2)
        await settled(pilot)
        stayed = network.node()
        assert stayed is not None and stayed.key == key and stayed.sums == node.sums
        assert any(f"+{network._label(key)[:8]}" in line for line in lines(app))
        await shows(pilot, f"map-network-pinned-{size[0]}x{size[1]}", lambda: lines(app))
        await press(pilot, "m")
        assert "pinned" not in lines(app)[1]
        await press(pilot, "m", "m", "p")
        assert not screen.pinned and "pinned" not in lines(app)[1]
        assert network._web is not None and key not in [each.key for each in network._web.nodes]


@pytest.mark.row("V09")
@pytest.mark.parametrize("size", SIZES)
async def test_compared_with_the_period_before(make: Make, size: tuple[int, int]) -> None:
    app = make()
    app.glyphs = BRAILLE
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4", "c")
        for kind in KINDS:
            text = "\n".join(lines(app))
            assert " change against 20:30:" in text and any(one.name == "change" for one in screen.table.columns)
            await shows(pilot, f"map-{kind}-compared-{size[0]}x{size[1]}", lambda: lines(app))
            await press(pilot, "m")
        app.view = replace(app.view, range=Range())
        await settled(pilot)
        assert "nothing to compare with here" in "\n".join(lines(app))
        await press(pilot, "c")
        assert "compare" not in "\n".join(lines(app)) and "change" not in screen.table.shown_names


async def test_list_and_picture_have_one_cursor(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4", "greater_than_sign", "greater_than_sign")
        network = screen.query_one(TrafficMap)
        assert screen.table.cursor == network.edge_number() == 2
        await press(pilot, "tab", "j")
        assert app.focused is screen.table and screen.table.cursor == network.edge_number() == 3
        screen = await press(pilot, "m")
        matrix, ring = screen.query_one(PairMatrix), screen.query_one(Ring)
        await press(pilot, "l", "j", "greater_than_sign")
        assert matrix.pair() == ring.pair() is not None
        told = screen._connections
        assert told is not None and told.web.keys(told.web.edges[screen.table.cursor]) == matrix.pair()
        await press(pilot, "v", "greater_than_sign", "j")
        assert matrix.pair() == ring.pair()
        await press(pilot, "enter")
        assert isinstance(app.screen, FlowsScreen) and app.view.text.startswith("src ip ") and " and dst ip " in app.view.text


@pytest.mark.row("V07")
async def test_portions_are_stepped_into_and_out_of(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4", "m", "m", "l")
        treemap = screen.query_one(Treemap)
        tile = treemap.tile()
        assert tile is not None and "octets received by destination" in lines(app)[3]
        await press(pilot, "enter")
        assert app.view.text == f"dst ip {tile.label}" and app.view.by == "srcip" and app.screen is screen
        assert "octets sent by source" in lines(app)[3]
        assert screen.answer is not None and screen.answer.total.octets == tile.value
        await press(pilot, "enter")
        assert app.view.by == "dstport"
        await press(pilot, "escape", "escape")
        assert app.view.by == "dstip" and not app.view.text and treemap.tile() == tile
        await press(pilot, "greater_than_sign", "i")
        assert app.view.text.startswith("dst ip ")


@pytest.mark.row("V07")
async def test_portions_of_two_levels(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        app.view = View(by="proto,dstport")
        screen = await press(pilot, "4", "m", "m")
        treemap = screen.query_one(Treemap)
        tile, parent = treemap.tile(), treemap.parent_tile()
        assert tile is not None and parent is not None and len(tile.row) == 2
        assert "octets by proto > dport" in lines(app)[3] and parent.value >= tile.value
        await press(pilot, "i")
        assert app.view.text == "proto 6 and dst port 443" or app.view.text.count(" and ") == 1
        assert screen.answer is not None and screen.answer.total.octets == tile.value


async def test_panels_and_looks(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        screen = await press(pilot, "4", "z")
        assert not screen.query_one("#panel").display and screen.query_one("#network").display
        await press(pilot, "z")
        assert screen.query_one("#panel").display and not screen.query_one("#pictures").display and app.focused is screen.table
        await press(pilot, "z")
        assert screen.query_one("#panel").display and screen.query_one("#pictures").display
        await press(pilot, "m", "m", "v")
        assert screen.query_one("#donut").display and app.focused is screen.table
        await press(pilot, "enter")
        assert app.view.by == "srcip"
        await press(pilot, "L")
        await pilot.press("slash", "1", "0", ".", "0", "enter")
        await settled(pilot)
        row = screen.table.row()
        assert row is not None
