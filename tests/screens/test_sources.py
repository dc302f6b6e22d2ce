"""The Sources screen: its layout at each size, and each key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.cells import cell_len

from nftui.app import NftuiApp
from nftui.config import DisplaySettings
from nftui.engine.local import LocalBackEnd
from nftui.screens.live import LiveScreen
from nftui.screens.sources import SourcesScreen
from tests.screens.conftest import lines, quiet, shows
from tests.screens.sources import SIZES, account, exporter, looked, opened, text

Make = Callable[..., NftuiApp]


@pytest.mark.row("K12")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_layout(make: Make, data: Callable[..., LocalBackEnd], size: tuple[int, int], theme: str) -> None:
    app = make(data(account()), display=DisplaySettings(refresh=60, theme=theme))
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("j")
        await quiet(pilot, 0.1)
        if theme == "dark":
            await shows(pilot, f"sources-{size[0]}x{size[1]}", lambda: lines(app))
        shown = lines(app)
        assert len(shown) == size[1]
        assert {cell_len(line) for line in shown} == {size[0]}
        for widget in app.screen.query("*"):
            inside = widget.region.intersection(app.screen.region)
            assert not widget.region or inside == widget.region, f"{widget} is cut"
        for words in (
            "[7Source]" if size[0] < 120 else "[7 Sources]",
            "listen",
            "8M of 32M",
            "kernel drops 7",
            "4/5 !",
            "1:100 +1",
            "! 260",
            "14 sets held",
            "1 silent",
        ):
            assert words in "\n".join(shown)


@pytest.mark.parametrize("size", [(60, 18), (40, 10), (79, 24), (80, 23)])
async def test_small_windows_keep_the_table_and_say_so(
    make: Make, data: Callable[..., LocalBackEnd], size: tuple[int, int]
) -> None:
    app = make(data(account()))
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        shown = lines(app)
        assert "80x24" in shown[0]
        assert any("10.0.0.2" in line for line in shown)
        assert "kernel drops" not in text(app)
        assert {cell_len(line) for line in shown} == {size[0]}


async def test_detail_alone_has_all_and_scrolls(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("j")
        await quiet(pilot, 0.1)
        assert "more lines" in text(app)
        await pilot.press("enter")
        await quiet(pilot, 0.1)
        assert not screen.table.display
        await shows(pilot, "sources-detail-80x24", lambda: lines(app))
        for words in (
            "1 ge0/uplink 1G in 412 Mb/s", "2 ge1/lan 1G down", "30 xe0", "1 in 1,000 by options", "3 × record cut short",
            "1m12s behind", "times are corrected by +1m12s", "1 restart seen", "30s left", "12 × basicList passed over",
        ):  # fmt: skip
            assert words in text(app), words
        await pilot.press("G")
        await quiet(pilot, 0.1)
        assert "silent: nothing" not in text(app).split("── 10.0.0.2")[1].split("! 21:00")[0]
        await pilot.press("escape")
        await quiet(pilot, 0.1)
        assert screen.table.display
        assert screen.table.cursor == 1
        assert screen.focused is screen.table


async def test_panels_by_tab_and_by_z(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await opened(pilot)
        seen = []
        for key in ("tab", "tab", "tab", "shift+tab"):
            await pilot.press(key)
            await quiet(pilot, 0.05)
            seen.append(screen.focused.id if screen.focused else "")
        assert seen == ["detail", "announced", "table", "announced"]
        await pilot.press("escape")
        assert screen.focused is screen.table
        shown = []
        for _ in range(3):
            await pilot.press("z")
            await quiet(pilot, 0.1)
            shown.append((screen.table.display, screen.query_one("#detail").region.height > 0))
        assert shown == [(False, True), (True, False), (True, True)]


FIRST = {
    "address": "10.0.0.1", "protocol": "10.0.0.2", "flows_per_s": "10.0.0.1", "lost": "10.0.0.2", "templates": "10.0.0.2",
    "sampling": "10.0.0.9", "seen": "10.0.0.1", "skew": "10.0.0.2", "started": "10.0.0.2", "restarts": "10.0.0.2",
    "wrong": "10.0.0.2", "flows": "10.0.0.1", "datagrams": "10.0.0.1", "datagrams_per_s": "10.0.0.1", "octets": "10.0.0.1",
    "late": "10.0.0.1",
}  # fmt: skip
"""Column -> the exporter that comes first when it is sorted by."""


async def test_sorts_by_each_column(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await opened(pilot)
        assert [one.name for one, _ in screen.table._shown] == [one.name for one in screen.table.columns]
        for column, first in FIRST.items():
            places = [one.name for one, _ in screen.table._shown]
            screen.table.action_column(places.index(column) - screen.table.cursor_column)
            orders = []
            for key in "sS":
                await pilot.press(key)
                await pilot.pause(0.02)
                assert screen.table.frame is not None
                orders.append(screen.table.frame[ORDERED.get(column, column)].to_list())
                if key == "s":
                    assert screen.table.frame["address"][0] == first, column
                    assert screen.table.marked == column
                label = next(one.label for one in screen.table.columns if one.name == column)
                assert f"{label}{'▴' if screen._ascending else '▾'}" in "\n".join(lines(app))
            none = {None, 0}
            assert [one for one in orders[0] if one not in none] == [one for one in orders[1] if one not in none][::-1]


ORDERED = {"address": "key", "templates": "awaited", "sampling": "interval"}


async def test_filter_to_an_exporter_goes_to_live_and_esc_comes_back(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("G", "f")
        await quiet(pilot, 0.1)
        assert isinstance(app.screen, LiveScreen)
        assert app.view.text == "exporter ip 2001:db8:85a3::8a2e:370:7334"
        await pilot.press("escape")
        await quiet(pilot, 0.1)
        assert app.screen is screen
        assert (app.view.text, screen.table.cursor) == ("", 4)
        app.view = app.view.down("x", "proto tcp", app.view.where, "live", 0)
        await pilot.press("g", "i")
        await quiet(pilot, 0.1)
        assert app.view.text == "proto tcp and exporter ip 10.0.0.1"


async def test_what_is_no_address_can_be_no_filter(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account(exporters=[exporter("(other)", "?")])))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("f")
        await quiet(pilot, 0.1)
        assert isinstance(app.screen, SourcesScreen)
        assert app.view.text == ""


async def test_find_copy_and_help(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(80, 60)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"sflow", "enter")
        await quiet(pilot, 0.1)
        assert screen.table.cursor == 2
        await pilot.press("y")
        assert app.clipboard == "10.0.0.9"
        await pilot.press("n")
        assert screen.table.cursor == 2
        await pilot.press("question_mark")
        await quiet(pilot, 0.1)
        assert "sources.filter" in text(app)


async def test_pause_freezes_what_is_shown(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    back_end = data(account())
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("space")
        await quiet(pilot, 0.1)
        assert "PAUSED 21:00:05" in lines(app)[0]
        await looked(pilot, back_end, account(flows_per_s=5.0))
        assert "1.7k flows/s" in text(app)
        await pilot.press("space")
        await quiet(pilot, 0.1)
        assert "5 flows/s" in text(app)
