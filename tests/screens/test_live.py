"""The Live screen: its six displays, the moment that the chart reads, marks, and the period before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.config import Config, DisplaySettings, NetworkSettings
from nftui.engine import filters
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Interval, Measure, Query
from nftui.errors import StoreError
from nftui.export.series_table import SeriesTable
from nftui.screens import displays, keys
from nftui.screens.flows import FlowsScreen
from nftui.screens.live import LiveScreen
from nftui.screens.questions import partly
from nftui.screens.view import DISPLAYS, HOUR, MINUTE, Range, View
from nftui.screens.widgets.chart import AreaChart
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.pair_matrix import PairMatrix
from nftui.screens.widgets.timeline import TimeLine
from nftui.screens.widgets.treemap import Treemap
from nftui.units import bits_per_second, flows_per_second
from tests.screens.conftest import HOSTILE, NOW, SECOND, Scripted, lines, quiet, settled, shows, status

Make = Callable[..., NftuiApp]
SIZES = [(80, 24), (120, 36), (200, 50)]


async def live(pilot: Pilot[None], **view: object) -> LiveScreen:
    """Have the screen show a view; return it when it has its answer."""
    await settled(pilot)
    app = pilot.app
    assert isinstance(app, NftuiApp)
    if view:
        app.view = replace(app.view, **view)  # type: ignore[assignment,arg-type]
    screen = await settled(pilot)
    assert isinstance(screen, LiveScreen)
    for _ in range(100):
        if screen.focused in (screen.panel, screen.query_one(AreaChart)):
            break
        await pilot.pause(0.02)
    before: list[str] = []
    while before != (before := lines(app)):  # the focus shows a moment after it came
        await quiet(pilot, 0.05)
    return screen


def whole(app: NftuiApp, size: tuple[int, int]) -> None:
    """Check that nothing is cut or wider than the screen."""
    shown = lines(app)
    assert len(shown) == size[1] and {cell_len(line) for line in shown} == {size[0]}
    for widget in app.screen.query("*"):
        inside = widget.region.intersection(app.screen.region)
        assert not widget.region or inside == widget.region, f"{widget} is cut"


@pytest.mark.row("V05", "V06", "V08", "V10")
@pytest.mark.parametrize("size", SIZES)
async def test_displays(make: Make, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        for display in DISPLAYS[1:]:
            await live(pilot, display=display)
            whole(app, size)
            await shows(pilot, f"live-{display}-{size[0]}x{size[1]}", lambda: lines(app))


@pytest.mark.row("V16")
async def test_displays_of_nothing_say_what_to_do(make: Make, tmp_path: Path) -> None:
    app = make(Scripted(LocalBackEnd(tmp_path), None))
    async with app.run_test(size=(80, 24)) as pilot:
        for display in DISPLAYS:
            await live(pilot, display=display)
            text = "\n".join(lines(app))
            assert "no flows yet: point an exporter at 10.1.2.3:9995" in text, display
            whole(app, (80, 24))


PROBE = {"source": "eth0", "packets": 1200, "used": 70, "inactive": 15, "active": 60}


@pytest.mark.parametrize(
    ("probes", "words"),
    [
        ([PROBE], ["1.2k packets on eth0, of 70 flows that still go on", "told of 15s after its last packet, and every 60s"]),
        ([{**PROBE, "packets": 0}], ["no packets on eth0 so far", "7, then p, chooses other interfaces"]),
        ([{**PROBE, "problem": "eth0 is gone"}], ["no flows yet: probe eth0:", "eth0 is gone"]),
        ([PROBE, {"source": "br0", "problem": "br0 is gone"}], ["1.2k packets on eth0, br0, of 70 flows"]),
        ([{"source": "\x1b[2J", "packets": "many"}], ["no packets on \\x1b[2J so far"]),
    ],
)
async def test_probes_say_when_flows_are_to_come(make: Make, tmp_path: Path, probes: list[Any], words: list[str]) -> None:
    app = make(Scripted(LocalBackEnd(tmp_path), status(exporters=[], probes=probes)))
    async with app.run_test(size=(80, 24)) as pilot:
        await live(pilot)
        text = "\n".join(lines(app))
        assert all(one in text for one in words), text
        assert f"{len(probes)} probe" in text and "0 exporters" not in text
        whole(app, (80, 24))


@pytest.mark.row("V16")
@pytest.mark.parametrize("size", SIZES[1:])
async def test_empty(make: Make, tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(LocalBackEnd(tmp_path))
    async with app.run_test(size=size) as pilot:
        await live(pilot)
        whole(app, size)
        await shows(pilot, f"live-empty-{size[0]}x{size[1]}", lambda: lines(app))


async def test_v_goes_through_all_displays_and_a_name_to_one(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await live(pilot)
        for name in (*DISPLAYS[1:], DISPLAYS[0]):
            await pilot.press("v")
            await settled(pilot)
            assert app.view.display == name
            await quiet(pilot, 0.1)
            assert screen.focused is screen.panel, "the keys are those of what is shown"
        await screen.run_action("display('circle')")
        await live(pilot)
        assert app.view.display == "circle" and screen.matrix is not None
        await screen.run_action("display('nonsense')")
        assert app.view.display == "circle"


@pytest.mark.row("R06", "V08")
async def test_data_is_what_the_command_line_exports(make: Make, store: Path) -> None:
    app = make()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await live(pilot, display="data", resolution="medium")
        answer = screen.answer
        assert answer is not None and answer.series is not None
        assert screen.table.count == answer.series.height == 12
        exported = SeriesTable(LocalBackEnd(store).answer(answer.query))
        rows = [screen.table.row(n) for n in reversed(range(12))]
        names = [column.name for column in screen.table.columns[1:]]
        assert [[row[name] for name in names] for row in rows if row] == [
            list(row)[1:] for row in map(dict.values, exported.rows())
        ]
        assert all(column.right for column in screen.table.columns[1:])
        await pilot.press("b", *"none", "enter")
        await live(pilot)
        assert [column.label for column in screen.table.columns] == ["time", "data"]


@pytest.mark.row("R07", "V06")
async def test_summary_has_the_totals_a_donut_and_its_table(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await live(pilot, display="summary")
        assert screen.answer is not None
        total, text = screen.answer.total, "\n".join(lines(app))
        for words in (f"{total.flows:,}", f"{total.octets:,}", f"{total.packets:,}", "avg bit/s", "avg pkt/s", "avg bytes/pkt"):
            assert words in text
        assert "▄▄▄" in text and "93.184.216.34" in text
        assert f"{screen.answer.total.octets / screen.answer.total.packets:,.1f}" in text


@pytest.mark.row("R08", "V10")
async def test_connections_are_both_directions_and_filter_to_both(make: Make, tmp_path: Path) -> None:
    app = make()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await live(pilot, display="connections", range=Range(HOUR))
        row = screen.table.row()
        assert row is not None and screen.answer is not None
        text = "\n".join(lines(app))
        for words in ("source", "destination", "proto", "octets", "packets", "share", "avg b/s", "octets>", "packets<"):
            assert words in text
        words = displays.connection_term(row)
        assert words is not None
        taken = app.back_end.answer(Query(screen.answer.query.interval, where=filters.parse(words))).total
        assert (taken.octets, taken.packets) == (row["octets"], row["packets"])
        await pilot.press("enter")
        below = await settled(pilot)
        assert isinstance(below, FlowsScreen) and below.answer is not None and below.answer.total.octets == row["octets"]


async def test_connection_of_something_without_ports_has_one_direction() -> None:
    row = {"source_address": b"\0" * 10 + b"\xff\xff\x0a\0\0\x01", "destination_address": b"\0" * 10 + b"\xff\xff\x0a\0\0\x02"}
    icmp = row | {"source_port": 0, "destination_port": 2048, "protocol": 1}
    assert displays.connection_term(icmp) == ("src ip 10.0.0.1 and dst ip 10.0.0.2 and src port 0 and dst port 2048 and proto 1")
    tcp = row | {"source_port": 1024, "destination_port": 80, "protocol": 6}
    assert str(displays.connection_term(tcp)).count(" or ") == 1


@pytest.mark.parametrize("keys", ["srcip,dstport", "srcip4/24"])
@pytest.mark.row("V02")
async def test_enter_filters_to_all_keys_of_the_row(make: Make, keys: str) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press(
            "b", *keys.replace("/", " ").split()[0], *(["slash", *keys.split("/")[1]] if "/" in keys else []), "enter"
        )
        screen = await live(pilot)
        assert app.view.by == keys
        row = screen.table.row()
        assert row is not None
        assert screen.answer is not None
        interval = screen.answer.query.interval
        await pilot.press("enter")
        assert isinstance(await settled(pilot), FlowsScreen)
        taken = app.back_end.answer(Query(interval, where=app.view.where)).total
        assert (taken.octets, taken.flows) == (row["octets"], row["flows"])


async def test_only_takes_the_key_of_the_column_where_there_are_several(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        await live(pilot, by="srcip,dstport")
        await pilot.press("l", "i")
        assert app.view.text.startswith("dst port ")
        await pilot.press("escape", "h", "o")
        assert app.view.text.startswith("not src ip ")
        await pilot.press("escape", "l", "l", "l", "i")
        assert " and dst port " in app.view.text, "elsewhere it is the whole group"


async def test_treemap_filters_to_the_tile(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await live(pilot, display="detailed")
        await pilot.press(">")
        tile = screen.query_one(Treemap).tile()
        assert tile is not None
        assert any(tile.label in line and "│" in line for line in lines(app)), "the side tells of it"
        await pilot.press("slash", *"203.0", "enter")
        await live(pilot)
        found = screen.query_one(Treemap).tile()
        assert found is not None and found.label == "203.0.113.7", "words are found among the tiles"
        await pilot.press("g", ">", "i")
        assert app.view.text == f"dst ip {tile.label}"
        await live(pilot)
        await pilot.press("escape")
        await live(pilot)
        again = screen.query_one(Treemap).tile()
        assert again is not None and again.label == tile.label, "back on the tile"


async def test_pairs_filter_to_the_pair(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await live(pilot, display="circle")
        pair, matrix = screen.query_one(PairMatrix).pair(), screen.matrix
        assert pair is not None and matrix is not None
        at = tuple(matrix.elements.index(value) for value in pair)
        await pilot.press("enter")
        below = await settled(pilot)
        assert app.view.text.startswith("src ip ") and " and dst ip " in app.view.text
        assert below.answer is not None
        assert below.answer.total.octets == matrix.sums[app.view.measure][at]


@pytest.mark.parametrize(("by", "key"), [
    ("srcip", "address"), ("dstport", "port"), ("dstas", "as"), ("if", "interface"), ("proto", "address"), ("srcip4/24", "address"),
    ("proto,srcvlan", "vlan"), ("none", "address"),
])  # fmt: skip
def test_pairs_are_of_the_breakdown(by: str, key: str) -> None:
    assert displays.pair_key(by) == key


# The moment


@pytest.mark.row("V05")
async def test_the_chart_reads_a_moment(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await live(pilot)
        chart = screen.query_one(AreaChart)
        await pilot.press("tab")
        await quiet(pilot, 0.1)
        assert screen.focused is chart and chart.areas is not None and chart.place is not None
        await pilot.press("h", "h", "left")
        await quiet(pilot, 0.1)
        row = chart.areas.series.row(chart.place)
        shown = lines(app)
        assert "20:58:40 +20s" in "\n".join(shown)
        total = sum(row[1:]) * chart.areas.factor
        assert f"{total / 1000:.0f} kb/s" in "\n".join(shown) or f"{total / 1e6:.1f} Mb/s" in "\n".join(shown)
        assert shown[10].count("▲") == 1
        for key, place in (("g", 0), ("l", 1), ("L", 11), ("H", 1), ("G", 44), ("l", 44), ("pageup", 34), ("pagedown", 44)):
            await pilot.press(key)
            assert chart.place == place, key
        await shows(pilot, "live-moment-80x24", lambda: lines(app))
        await pilot.press("escape")
        await quiet(pilot, 0.1)
        assert screen.focused is screen.table and chart.place is None
        assert "+20s" not in "\n".join(lines(app))


async def test_enter_zooms_to_the_moment_and_0_comes_back(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await live(pilot)
        await pilot.press("tab", "H")
        moment = screen.query_one(AreaChart).moment
        assert moment is not None
        await pilot.press("enter")
        await live(pilot)
        assert app.view.range.interval == Interval(moment - 80 * SECOND, moment + 100 * SECOND)
        assert screen.focused is screen.query_one(AreaChart)
        await pilot.press("0")
        await live(pilot)
        assert app.view.follows and app.view.range.length == 15 * MINUTE


def test_keys_of_the_chart_are_free_on_this_screen() -> None:
    owners = [owner for owner in LiveScreen.__mro__ if owner.__module__.startswith("nftui") and "BINDINGS" in owner.__dict__]
    bound = {key for owner in owners for binding in keys.own(owner) for key in binding.key.split(",")}
    own = {key for binding in keys.own(AreaChart) for key in binding.key.split(",")}
    assert own & bound == {"escape"}, "which leaves the chart first"


# The time line and marks


@pytest.mark.row("V15")
async def test_marks_are_set_shown_and_found_again(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await live(pilot)
        await pilot.press("apostrophe")
        await pilot.press("tab", "H", "m", "escape")
        await live(pilot)
        assert len(app.marks) == 1
        mark = app.marks[0]
        text = lines(app)
        assert any(line.startswith(" 20:30:05 ─") and "1" in line for line in text), "on the time line"
        await pilot.press("comma", "comma")
        await live(pilot)
        window = app.view.range.interval
        assert window is not None and not window.start <= mark < window.end
        await pilot.press("apostrophe")
        await live(pilot)
        window = app.view.range.interval
        assert window is not None and window.start <= mark < window.end
        chart = screen.query_one(AreaChart)
        assert chart.moment is not None and chart.areas is not None and chart.moment <= mark < chart.moment + chart.areas.width
        await shows(pilot, "live-mark-120x36", lambda: lines(app))
        await pilot.press("escape", "0")
        await live(pilot)
        await pilot.press("m")
        assert app.marks == [mark, NOW]
        await pilot.press("m")
        assert app.marks == [mark]


async def test_a_click_on_the_time_line_goes_there(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await live(pilot)
        await pilot.click(TimeLine, offset=(20, 0))
        await live(pilot)
        assert app.view.range.interval is not None and app.view.range.interval.start < NOW - 25 * MINUTE
        assert screen.problem == ""


# What comes in, and what goes out


@pytest.mark.parametrize("size", SIZES)
async def test_what_comes_in_and_goes_out_of_named_networks_is_told(make: Make, size: tuple[int, int], store: Path) -> None:
    app = make(config=Config(network=NetworkSettings(home=("8.8.8.0/24", "10.0.4.0/28"))))
    async with app.run_test(size=size) as pilot:
        screen = await live(pilot)
        ranking, reply = screen._ranking, screen.reply
        assert ranking is not None and reply is not None
        here, there = "in [8.8.8.0/24 10.0.4.0/28]", "not {} ip in [8.8.8.0/24 10.0.4.0/28]"
        for way, words in (("in", f"dst ip {here} and {there.format('src')}"), ("out", f"src ip {here} and {there.format('dst')}")):
            total = LocalBackEnd(store).answer(Query(reply.main.query.interval, where=filters.parse(words))).total
            assert reply.more[way] == total and total.flows
            assert f"{way} {bits_per_second(ranking.rate(total.octets))}  " in lines(app)[2]
        await shows(pilot, f"live-ways-{size[0]}x{size[1]}", lambda: lines(app))
        for display in DISPLAYS[1:]:
            await live(pilot, display=display)
            assert " in " in lines(app)[2] and " out " in lines(app)[2], display
        await live(pilot, display="area", measure=Measure.FLOWS)
        assert f"in {flows_per_second(ranking.rate(reply.more['in'].flows, Measure.FLOWS))}" in lines(app)[2]


async def test_networks_that_nobody_named_are_not_guessed(make: Make) -> None:
    app = make(config=Config())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await live(pilot)
        assert screen.reply is not None and "in" not in screen.reply.more and " in " not in lines(app)[2]


# The period before


async def test_compare_tells_of_settled_time_alone(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await live(pilot)
        await pilot.press("c")
        screen = await live(pilot)
        ranking = screen._ranking
        assert ranking is not None and ranking.before is not None
        series, before = ranking.answer.series, ranking.before.series
        assert series is not None and before is not None
        bins = ranking.comparable
        assert bins.stop == series.height - 1, "the newest bin is still being filled"
        now, then = (frame["g0"][bins.start : bins.stop].sum() for frame in (series, before))
        assert ranking.change(0) == f"{round(100 * (now - then) / then):+d}%"
        assert ranking.before.query.interval == View().before(screen.asked.main.interval)  # type: ignore[union-attr,arg-type]
        text = "\n".join(lines(app))
        assert "against 20:30:15, 59 of 60 bins" in text and "change" in text
        await shows(pilot, "live-compare-120x36", lambda: lines(app))
        await pilot.press("c")
        await live(pilot)
        assert "change" not in "\n".join(lines(app))


async def test_compare_leaves_out_what_is_no_longer_held(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await live(pilot, compare=True, range=Range(interval=Interval(NOW - 20 * MINUTE, NOW)))
        ranking, chart = screen._ranking, screen.query_one(AreaChart)
        assert ranking is not None and ranking.before is not None and chart.areas is not None
        assert ranking.comparable == range(20, 40), "half of the period before was before the first flow"
        assert list(chart.areas.before[:20]) == [None] * 20 and None not in chart.areas.before[20:]
        assert ", 20 of 40 bins" in "\n".join(lines(app))


@pytest.mark.row("V08")
async def test_samples_have_all_groups_however_narrow_the_window(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await live(pilot, display="data", by="srcip")
        assert screen.table.shown_names == ["time", "g0", "g1", "g2", "g3", "g4", "other"]
        assert "1-5 of 10: h l" in "\n".join(lines(app))
        await pilot.press(*["l"] * 30)
        await live(pilot)
        assert screen.table.shown_names == ["time", "g5", "g6", "g7", "g8", "g9", "other"]
        assert "6-10 of 10: h l" in "\n".join(lines(app))
        await pilot.press(*["h"] * 30)
        await live(pilot)
        assert screen.table.shown_names[1] == "g0"


async def test_compare_says_where_there_is_nothing_to_compare_with(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        await live(pilot, compare=True, range=Range(HOUR))
        assert "no flows in the period before" in "\n".join(lines(app))
        await live(pilot, display="connections")
        assert "nothing to compare with here" in "\n".join(lines(app))


# Samples


@pytest.mark.row("R03", "V04", "K07")
async def test_resolutions_and_how_many_points_are_drawn(make: Make) -> None:
    app = make(display=DisplaySettings(refresh=60, maximum_chart_resolution=10))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await live(pilot, resolution="high")
        assert screen.answer is not None and screen.answer.series is not None
        assert screen.answer.series.height == 24
        chart = screen.query_one(AreaChart)
        assert chart.areas is not None and chart.areas.series.height == 8
        assert chart.areas.series.drop("time").sum().sum_horizontal().item() == screen.answer.total.octets
        assert "8 of 24 points drawn" in "\n".join(lines(app))
        await live(pilot, resolution="low")
        assert "points drawn" not in "\n".join(lines(app))


@pytest.mark.row("R04")
async def test_others_can_be_hidden(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await live(pilot, limit=2)
        assert "4 others" in "\n".join(lines(app))
        await pilot.press("O")
        await live(pilot)
        assert "others" not in "\n".join(lines(app))
        chart = screen.query_one(AreaChart)
        assert chart.areas is not None and chart.areas.series["other"].sum() == 0


# What is not to be believed


@pytest.mark.row("V16")
async def test_a_question_that_fails_takes_the_groups_of_another_away(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store), status())
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await live(pilot)
        back_end.error = StoreError("/data: no file knows of places; set names.geo_db")
        await live(pilot, text="geo DE", where=filters.parse("geo DE"))
        text = "\n".join(lines(app))
        assert "no file knows of places" in text and "93.184.216.34" not in text
        assert "r asks now" in text
        back_end.error = None
        await live(pilot, text="", where=filters.ANY)
        assert "93.184.216.34" in "\n".join(lines(app))


@pytest.mark.parametrize("display", DISPLAYS)
async def test_hostile_names_in_every_display(make: Make, store: Path, display: str) -> None:
    app = make(Scripted(LocalBackEnd(store), status(events=[{"time": NOW, "text": HOSTILE}])), title=HOSTILE)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await live(pilot)
        screen.cell = lambda name, value: HOSTILE  # type: ignore[method-assign]
        await live(pilot, display=display)
        text = "\n".join(lines(app))
        assert "\\x1b]52" in text
        for character in "\x1b\x07\u202e\u200b":
            assert character not in text
        whole(app, (120, 36))


async def test_without_colours_letters_tell_areas_apart(make: Make) -> None:
    app = make(environ={"TERM": "xterm-256color", "NO_COLOR": "1", "LANG": "C.UTF-8"})
    async with app.run_test(size=(80, 24)) as pilot:
        await live(pilot)
        shown = await shows(pilot, "live-letters-80x24", lambda: lines(app))
        assert any("AAAA" in line for line in shown) and any(" A 93.184.216.34" in line for line in shown)
        assert any(line.startswith(("▌A", "▌ A")) for line in shown), "the table has the same letters"


async def test_maximise(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await live(pilot)
        table, chart = screen.query_one("#table", FlowTable), screen.query_one(AreaChart)
        await pilot.press("z")
        await live(pilot)
        assert not table.region and chart.size.height > 15
        await pilot.press("z")
        await live(pilot)
        assert table.size.height > 15 and not chart.region
        await pilot.press("z")
        await live(pilot)
        assert table.region and chart.region


def test_an_answer_that_grows_is_shown_with_the_bins_that_were_asked_for(store: Path) -> None:
    view = View(Range(interval=Interval(NOW - HOUR, NOW)), resolution="6")
    asked = displays.question(view, NOW, None)
    answer = LocalBackEnd(store).answer(asked.main)
    grown = partly(asked, answer)
    assert grown is not None and grown.main == answer
    start = NOW - HOUR
    folding = replace(asked, edges=(start, start + 20 * MINUTE, NOW))  # type: ignore[type-var]
    folded = partly(folding, answer)
    assert folded is not None and folded.main.series is not None and answer.series is not None
    assert folded.main.series.height == 2 and folded.main.query == asked.main, "the question is the one that was put"
    assert folded.main.series["g0"].sum() == answer.series["g0"].sum()
    assert partly(displays.question(replace(view, compare=True), NOW, None), answer) is None
