"""The mouse works where there is one: tabs, keys, rows, headings, the legend, the wheel."""

from __future__ import annotations

from collections.abc import Callable

from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.engine.query import Measure
from nftui.screens.dialogs import Page
from nftui.screens.flows import FlowsScreen
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.legend import Legend
from tests.screens.conftest import lines, quiet, settled

Make = Callable[..., NftuiApp]


async def click(pilot: Pilot[None], words: str, row: int) -> None:
    """Click on words in a line of the screen."""
    assert isinstance(pilot.app, NftuiApp)
    line = lines(pilot.app)[row]
    assert words in line, line
    await pilot.click(offset=(line.index(words) + 1, row % len(lines(pilot.app))))
    await quiet(pilot, 0.05)


async def test_tabs_and_keys_can_be_clicked(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await click(pilot, "2Flows", 0)
        assert isinstance(await settled(pilot), FlowsScreen)
        await click(pilot, "1Live", 0)
        await settled(pilot)
        assert app.current_mode == "live"
        await click(pilot, "Pause", 23)
        assert app.view.paused_at is not None
        await click(pilot, "? Help", 23)
        await quiet(pilot, 0.1)
        assert isinstance(app.screen, Page)


async def test_rows_headings_legend_and_wheel(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        table = screen.query_one("#table", FlowTable)
        await pilot.click(FlowTable, offset=(20, 3))
        await quiet(pilot, 0.05)
        assert table.cursor == 2
        await pilot.click(Legend, offset=(5, screen.query_one(Legend)._above + 1))
        await quiet(pilot, 0.05)
        assert table.cursor == 1
        heading = next(y for y, line in enumerate(lines(app)) if "packets" in line and "octets" in line and "share" in line)
        await click(pilot, "packets", heading)
        await settled(pilot)
        assert app.view.order is Measure.PACKETS
        before = app.view.ascending
        await click(pilot, "packets", heading)
        await settled(pilot)
        assert app.view.ascending is not before


async def test_a_heading_orders_flow_records(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        screen = await settled(pilot)
        heading = next(y for y, line in enumerate(lines(app)) if "start" in line and "proto" in line)
        await click(pilot, "octets" if "octets" in lines(app)[heading] else "bytes", heading)
        await settled(pilot)
        assert screen.query_one("#table", FlowTable).marked == "octets"
