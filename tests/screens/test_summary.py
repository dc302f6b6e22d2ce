"""The Summary screen: panels that are asked for in turn, narrowed by, and drawn in every state."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.cells import cell_len

from nftui.app import NftuiApp
from nftui.config import DisplaySettings
from nftui.engine.account import Account
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, Interval, Measure, Query
from nftui.engine.watch import Watch
from nftui.engine.writer import StoreWriter
from nftui.errors import StoreError
from nftui.schema import POLARS
from nftui.screens.dimensions import FIRST, PRESETS, dimension, hours
from nftui.screens.portions import Told
from nftui.screens.summary import SummaryScreen
from nftui.screens.view import DAY, HOUR, MINUTE, Range
from tests.screens.conftest import HOSTILE, NOW, SECOND, Scripted, flows, lines, octets_of, quiet, settled, shows, status

Make = Callable[..., NftuiApp]
SIZES = [(80, 24), (120, 36), (200, 50)]
pytestmark = pytest.mark.row("V06")


async def summary(pilot: Any, *keys: str) -> SummaryScreen:
    """Go to the screen, press keys, and return it when all is answered."""
    await settled(pilot)
    for key in ("3", *keys):
        await pilot.press(key)
        await settled(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, SummaryScreen)
    return screen


def names_of(screen: SummaryScreen) -> list[str]:
    return [one.name for one in screen.dimensions]


@pytest.fixture(scope="module")
def rich_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with flows over four days, AS numbers, two exporters, and texts that are hostile."""
    root = tmp_path_factory.mktemp("rich")
    base = flows().with_columns(
        pl.when(pl.int_range(pl.len()) % 3 == 0).then(64500).otherwise(15169).cast(POLARS["source_as"]).alias("source_as"),
        pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit(HOSTILE)).alias("application_name"),
    )
    other = base.with_columns(pl.lit(octets_of("192.0.2.2")).alias("exporter_address"))
    days = [
        base.with_columns(pl.col("flow_start", "flow_end").cast(pl.Int64) - hour * 3600 * SECOND).cast(base.schema).head(90)
        for hour in range(80)
        if hour % 7 < 5
    ]
    writer = StoreWriter(root)
    writer.append([base, other.head(300), *days])
    writer.write_tail()
    return root


class Known(Scripted):
    """A back end that knows names and speeds of interfaces."""

    def account(self) -> Account:
        """Return what SNMP told, some of it hostile."""
        ports = {"1": {"name": "ge0/0", "speed": 10_000_000}, "2": {"name": HOSTILE, "speed": 10_000_000_000}, "3": {"name": "xe1"}}
        return Account(status(exporters=[{"address": "192.0.2.1", "name": "r1"}]), interfaces={"192.0.2.1": ports})


@pytest.mark.parametrize("size", SIZES)
async def test_full(make: Make, rich_store: Path, size: tuple[int, int]) -> None:
    app = make(Known(LocalBackEnd(rich_store), status()))
    async with app.run_test(size=size) as pilot:
        await summary(pilot)
        shown = await shows(pilot, f"summary-{size[0]}x{size[1]}", lambda: lines(app))
        assert {cell_len(line) for line in shown} == {size[0]} and len(shown) == size[1]
        for widget in app.screen.query("*"):
            assert not widget.region or widget.region.intersection(app.screen.region) == widget.region, f"{widget} is cut"
        text = "\n".join(shown)
        for words in ("by app", "by source AS", "by interface", "top ports", "flows by size", "total", "p95", "max", "packet"):
            assert words in text
        assert "\x1b" not in text and "\u202e" not in text


@pytest.mark.parametrize("size", SIZES)
async def test_empty(make: Make, tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(LocalBackEnd(tmp_path))
    async with app.run_test(size=size) as pilot:
        await summary(pilot)
        text = "\n".join(lines(app))
        assert "nftui" in text and "10.1.2.3:9995" in text and "no flows" in text
        await shows(pilot, f"summary-empty-{size[0]}x{size[1]}", lambda: lines(app))


async def test_failing(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store), status())
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await summary(pilot)
        back_end.error = StoreError("/data: permission denied; run as the user of the collector")
        before = len(back_end.asked)
        await pilot.press("r")
        await settled(pilot)
        assert len(back_end.asked) == before + 1, "what fails is not asked over and over"
        assert "permission denied" in "\n".join(lines(app))
        assert "by app" in "\n".join(lines(app)), "what was known stays"
        await shows(pilot, "summary-failing-80x24", lambda: lines(app))


@pytest.mark.parametrize("size", [(60, 18), (79, 24), (80, 23)])
async def test_small_windows_show_one_panel(make: Make, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        screen = await summary(pilot)
        assert [panel.display for panel in screen.panels].count(True) == 1
        await pilot.press("tab")
        await settled(pilot)
        assert "10.0.4." in "\n".join(lines(app)) and "80x24" in lines(app)[0]


@pytest.mark.row("R07")
async def test_totals_are_those_of_the_flows(make: Make, store: Path) -> None:
    app = make(display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await summary(pilot)
        assert screen.answer is not None
        frame = flows()
        assert screen.answer.total.flows == 1800
        assert screen.answer.total.octets == frame["octets"].sum()
        text = "\n".join(lines(app))
        assert "flows 1,800" in text
        assert f"octets/packet {frame['octets'].sum() / frame['packets'].sum():,.0f}" in text
        for told in screen.told:
            assert all(one.total == screen.answer.total for one in told.answers)


async def test_each_is_asked_once_and_the_one_with_the_keys_first(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store), status())
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await summary(pilot, "tab", "tab")
        back_end.asked.clear()
        app.view = app.view.zoom(NOW, -1)
        await settled(pilot)
        assert [query.keys for query in back_end.asked] == [
            (), ("exporter_address", "ingress_interface"), ("exporter_address", "egress_interface"), ("service",),
            ("source_address",), ("protocol", "service_port"), ("size_class",),
        ], "the days by hours stay the same"  # fmt: skip
        back_end.asked.clear()
        await pilot.press("r")
        await settled(pilot)
        assert [query.keys for query in back_end.asked] == [()], "what is not older than a refresh isn't asked again"
        assert screen.told[0].queries[0].interval == app.view.interval(NOW)


class Slow(Scripted):
    """A back end that takes two seconds for an answer, by the clock of the screen."""

    now = NOW

    def answer(self, query: Query, watch: Watch | None = None) -> Answer:
        """Answer, and be late."""
        self.now += 2 * SECOND
        return super().answer(query, watch)


async def test_none_waits_while_the_range_moves_faster_than_answers_come(make: Make, store: Path) -> None:
    back_end = Slow(LocalBackEnd(store), status())
    app = make(back_end, clock=lambda: back_end.now)
    app.view = replace(app.view, range=Range(MINUTE))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        back_end.asked.clear()
        screen = await summary(pilot, "tab", "tab")
        # Each is asked for once before the totals, which have moved on, are asked for again.
        queries = [query for query in back_end.asked if query.keys or (query.interval and query.interval.length > DAY)]
        assert [query.keys for query in queries] == [
            ("service",), ("source_as",), ("source_address",), ("exporter_address", "ingress_interface"),
            ("exporter_address", "egress_interface"), ("protocol", "service_port"), ("size_class",), (),
        ], "days by hours last; sources stand in for AS numbers that nobody told"  # fmt: skip
        # All are old, the fifth most: the one with the keys is asked for again, then that.
        for place, told in enumerate(screen.told):
            told.since, told.seconds = time.monotonic() - 60 - (place == 4), 0.5
        for fresh in ([2], [2, 4]):
            await pilot.press("r")
            await settled(pilot)
            assert [place for place, one in enumerate(screen.told) if one.age < 30] == fresh, "one with each refresh"


async def test_sources_stand_in_for_as_numbers_that_nobody_told(make: Make, rich_store: Path) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        assert names_of(await summary(pilot))[1] == "srcip"
    app = make(LocalBackEnd(rich_store))
    async with app.run_test(size=(80, 24)) as pilot:
        assert names_of(await summary(pilot))[1] == "srcas"


async def test_the_panel_with_the_keys_is_told_at_once(make: Make) -> None:
    async with make().run_test(size=(80, 24)) as pilot:
        screen = await summary(pilot)
        for place in (1, 2, 3):
            asked = screen.asked
            await pilot.press("tab")
            await pilot.pause()
            assert screen.asked is asked, "nothing is asked for the panel to be told from the others"
            told = [panel.render_line(0) for panel in screen.panels]
            accents = [
                any(segment.style and segment.style.color == panel.ink.title.color for segment in line)
                for panel, line in zip(screen.panels, told, strict=True)
            ]
            assert [n for n, accent in enumerate(accents) if accent] == [place]


async def test_enter_narrows_and_escape_returns_to_the_row(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await summary(pilot, "j", "enter")
        assert app.view.text == "proto tcp and port 443" and len(app.view.path) == 1
        assert "path: all > proto tcp and port 443" in "\n".join(lines(app))
        await pilot.press("tab", "j", "i")
        await settled(pilot)
        assert len(app.view.path) == 2 and "src ip 10.0.4." in app.view.text
        await pilot.press("escape")
        await settled(pilot)
        assert screen.panel.id == "panel-1" and screen.panel.cursor == 1
        await pilot.press("backspace")
        await settled(pilot)
        assert app.view.text == "" and screen.panel.id == "panel-0" and screen.panel.cursor == 1
        await pilot.press("o")
        await settled(pilot)
        assert app.view.text == "not (proto tcp and port 443)"
        assert screen.answer is not None and 0 < screen.answer.total.flows


async def test_what_can_not_be_narrowed_to_is_said(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await summary(pilot, "tab", "G", "enter")
        assert screen.panel.row() is not None and screen.panel.row()["others"] > 1
        assert app.view.text == "" and any("no filter" in notice.message for notice in app._notifications)


async def test_an_hour_becomes_the_range(make: Make) -> None:
    app = make(display=DisplaySettings(refresh=60, range="-30m"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await summary(pilot, "tab", "tab", "tab", "h", "enter")
        hour = NOW // HOUR * HOUR - HOUR
        assert app.view.range.interval == Interval(hour, hour + HOUR)
        await pilot.press("h", "enter")
        await settled(pilot)
        assert screen.answer is not None and screen.answer.total.flows


@pytest.mark.row("X01")
@pytest.mark.row("X02")
async def test_explorer(make: Make) -> None:
    app = make(display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await summary(pilot, "x")
        assert names_of(screen)[0] == "listeners"
        text = "\n".join(lines(app))
        for words in ("top listeners", "flows", "packets", "octets", "93.184.216.34"):
            assert words in text
        await pilot.press("x", "x")
        await settled(pilot)
        assert names_of(screen)[0] == "tcp ports"
        shown = [screen.panel.breakdown.label(row) for row in screen.panel.frame.iter_rows(named=True)]
        assert sorted(shown) == ["22", "443"], "UDP's port is not among them"
        await shows(pilot, "summary-explorer-120x36", lambda: lines(app))
        await pilot.press("enter")
        await settled(pilot)
        assert app.view.text.startswith("proto tcp and dst port ") and names_of(screen)[0] == "ip"
        assert "10.0.4." in "\n".join(lines(app)), "the addresses that use the port"
        await pilot.press("backspace")
        await settled(pilot)
        assert app.view.text == "" and names_of(screen)[0] == "tcp ports"
        await pilot.press("escape")
        await settled(pilot)
        assert not screen.alone


async def test_sorting_by_any_unit(make: Make) -> None:
    app = make(display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await summary(pilot, "x")
        for unit in ("packets", "flows", "octets"):
            await pilot.press("s")
            await settled(pilot)
            values = screen.panel.breakdown.groups[unit].to_list()
            assert values == sorted(values, reverse=True) and f"{unit}▾" in "\n".join(lines(app))


async def test_compared_with_the_period_before(make: Make, store: Path) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await summary(pilot, "c")
        shown = screen.panel.breakdown
        row = screen.panel.frame.row(0, named=True)
        interval = app.view.interval(NOW)
        before = Interval(interval.start - interval.length, interval.start)
        assert screen.told[0].before == before and shown.change(row).endswith("%")
        assert screen.told[3].before is None, "days by hours are compared by looking at them"
        assert "against 20:30:20-20:45:20" in "\n".join(lines(app)), "and all of that is held"
        await shows(pilot, "summary-compared-80x24", lambda: lines(app))
        await pilot.press("c")
        await settled(pilot)
        assert screen.told[0].before is None


async def test_another_dimension_for_a_panel(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await summary(pilot)
        await pilot.press("b")
        await quiet(pilot, 0.1)
        await pilot.press(*"srcip,dstport", "enter")
        await settled(pilot)
        assert names_of(screen)[0] == "srcip,dstport"
        assert screen.told[0].queries[0].keys == ("source_address", "destination_port")
        await pilot.press("enter")
        await settled(pilot)
        assert app.view.text.startswith("src ip 10.0.4.") and " and dst port " in app.view.text
        await pilot.press("1", "3")
        await settled(pilot)
        assert names_of(screen)[0] == "srcip,dstport", "it stays for the run"


async def test_units_follow(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await summary(pilot, "u")
        assert app.view.measure is Measure.PACKETS
        assert screen.panel.breakdown.shown_measure is Measure.PACKETS
        assert "packets" in lines(app)[2]


async def test_find_goes_to_a_row(make: Make) -> None:
    app = make(display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await summary(pilot, "x", "x")
        await pilot.press("slash", *"10.0.4.7", "enter")
        await quiet(pilot, 0.1)
        assert screen.panel.breakdown.label(screen.panel.row()).startswith("10.0.4.7")


def test_every_first_dimension_is_one() -> None:
    assert all(dimension(name) == PRESETS[name] or name == "srcas" for name in FIRST)
    assert dimension("srcip/24").keys == ("source_address/24/128",)


@pytest.mark.parametrize("length", [HOUR, DAY, 3 * DAY, 400 * DAY])
def test_hours_cover_whole_days(length: int) -> None:
    interval, bins = hours(Interval(NOW - length, NOW), NOW)
    assert interval.end >= NOW and interval.end - NOW <= HOUR and (interval.end - interval.start) // bins in (HOUR, HOUR // 4)
    assert length > DAY or (interval.start % DAY == 0 and 6 * DAY < interval.length <= 7 * DAY)
    assert interval.length <= 63 * DAY


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_parts_of_a_whole(make: Make, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        screen = await summary(pilot, "v", "v", "tab", "v", "v", "v", "tab", "v", "v")
        assert screen.views[:3] == ["donut", "treemap", "bars"], "what came in and went out is no whole"
        await shows(pilot, f"summary-parts-{size[0]}x{size[1]}", lambda: lines(app))
        await pilot.press("tab", "v")
        assert screen.views[3] == "bars"


@pytest.mark.row("X04")
async def test_a_panel_can_be_written(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await summary(pilot, "x")
        titles = [one.title for one in screen.exports()]
        assert titles[0].startswith("table of 6 rows") and titles[1] == "top 6 by destination" and "all flows: totals" in titles
        out = io.BytesIO()
        screen.exports()[0].write(out, "csv", lambda *_: None, threading.Event())
        assert out.getvalue().decode().splitlines()[0].split(",")[:3] == ["top listeners", "flows", "%"]


@pytest.mark.row("X03")
async def test_whois(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "whois"
    command.write_text("#!/bin/sh\nprintf 'netname: EXAMPLE\\nevil: \\033]52;c;eA==\\007 [b]x\\n'; echo asked $1\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await summary(pilot, "x")
        await pilot.press("W")
        for _ in range(100):
            await pilot.pause(0.02)
            text = "\n".join(lines(app))
            if "netname" in text:
                break
        assert "whois 93.184.216.34" in text and "asked 93.184.216.34" in text and "\\x1b]52;c;eA==\\x07 [b]x" in text
        await pilot.press("escape", "escape", "tab", "tab", "tab", "tab")
        await settled(pilot)
        await pilot.press("W")
        await quiet(pilot, 0.1)
        assert any("no address in this row" in notice.message for notice in app._notifications)


async def test_a_period_before_that_is_held_in_part_is_no_growth(make: Make) -> None:
    app = make(display=DisplaySettings(refresh=60, range="-25m"))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await summary(pilot, "c")
        shown = screen.panel.breakdown
        assert "held from 20:30:05" in "\n".join(lines(app))
        assert shown.earlier_length < shown.told.before.length / 4
        changes = [shown.change(row) for row in screen.panel.frame.iter_rows(named=True)]
        assert all(change[0] in "+-" and change[-1] == "%" for change in changes), changes


MOVING = Query(Interval(0, MINUTE), keys=("service",))


@pytest.mark.parametrize(
    ("seconds", "pause"), [(0.001, 0.9), (0.02, 2.0), (0.1, 3.0), (1.0, 25.0)], ids=["at each refresh", "1 %", "old", "4 %"]
)
def test_a_panel_is_asked_for_again_in_proportion_to_what_it_costs(seconds: float, pause: float) -> None:
    later = replace(MOVING, interval=Interval(SECOND, MINUTE + SECOND))
    told = Told((MOVING,), seconds=seconds)
    for age, due in ((pause - 0.2, False), (pause + 0.2, True)):
        told.since = time.monotonic() - age
        assert told.due((later,), None, 1.0, True, 0) == due
        assert told.due((later,), None, 1.0, False, 0), "another range that was chosen is asked for at once"
    told.since = time.monotonic()
    for other in (replace(later, keys=("protocol",)), replace(later, interval=Interval(0, 2 * MINUTE)), replace(later, limit=3)):
        assert told.due((other,), None, 1.0, True, 0), "something else is asked at once"
    assert told.due((later,), Interval(0, 1), 1.0, True, 0), "so is the period before"
