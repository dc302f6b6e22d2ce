"""Lists to pick from: what is typed narrows them, and is taken where it stands for something itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual import events
from textual.widgets import Input

from nftui.app import NftuiApp
from nftui.screens.dialogs import Pick, narrowed
from tests.screens.conftest import lines, quiet, settled
from tests.screens.keyboard import burst

CHOICES = [("srcip", "source"), ("dstip", "destination"), ("dstport", "destination port"), ("as", "as, either side")]


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("", ["srcip", "dstip", "dstport", "as"]),
        ("dst", ["dstip", "dstport"]),
        (" DSTP", ["dstport"]),
        ("port", ["dstport"]),
        ("side", ["as"]),
        ("x", []),
    ],
)
def test_typing_narrows_the_list(typed: str, names: list[str]) -> None:
    assert [name for name, _ in narrowed(CHOICES, typed)] == names


BREAKDOWNS = [
    (["enter"], "dstip"),
    (["up", "enter"], "srcip"),
    (["s", "enter"], "srcip"),
    ([*"dstp", "enter"], "dstport"),
    ([*"dst", "down", "enter"], "dstport"),
    ([*"srcip,dstport", "enter"], "srcip,dstport"),
    ([*"proto", "enter"], "proto"),
    (["s", "escape"], "dstip"),
]


@pytest.mark.row("V02")
async def test_a_breakdown_by_a_few_keys(make: Callable[..., NftuiApp]) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        first = app.view
        for keys, by in BREAKDOWNS:
            app.view = first
            await pilot.press("b", *keys)
            await settled(pilot)
            assert app.view.by == by, keys


async def test_what_leads_nowhere_is_said_in_little_room(make: Callable[..., NftuiApp]) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("b", *"zzz", "enter")
        await quiet(pilot, 0.1)
        assert isinstance(app.screen, Pick)
        shown = lines(app)
        assert any("group-by 'zzz': no such key" in line for line in shown)
        assert shown[-1].strip().startswith("f Filter"), "the window stays within the screen"
        await pilot.press(*["backspace"] * 3, "enter")
        await quiet(pilot, 0.1)
        assert not isinstance(app.screen, Pick)


@pytest.mark.parametrize(("keys", "by"), [(["s", "enter"], "srcip"), (["d", "down", "enter"], "dstport")])
async def test_keys_right_behind_the_one_that_opens_the_list_are_typed_in_it(
    make: Callable[..., NftuiApp], keys: list[str], by: str
) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert app._driver is not None
        for key in ("b", *keys):  # as a line over which they come in one piece
            app._driver.send_message(events.Key(key, key if len(key) == 1 else None))
        await quiet(pilot, 0.1)
        await settled(pilot)
        assert app.view.by == by


@pytest.mark.row("V02")
async def test_keys_in_one_burst_behind_enter_are_those_of_the_screen_below(make: Callable[..., NftuiApp]) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        burst(app, "br\rM7\rt-1h\ru")
        for _ in range(100):
            await pilot.pause(0.02)
            if app.view.measure.value == "packets":
                break
        assert (app.view.by, app.view.limit, app.view.range.text, app.view.measure.value) == ("router", 7, "-1h", "packets")


async def test_keys_behind_an_enter_that_is_refused_are_typed(make: Callable[..., NftuiApp]) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        burst(app, "Mx\ryz")
        for _ in range(100):
            await pilot.pause(0.02)
            if isinstance(app.screen, Pick) and app.screen.query_one(Input).value == "xyz":
                break
        assert isinstance(app.screen, Pick) and app.screen.query_one(Input).value == "xyz"
        await pilot.press("escape")
        await settled(pilot)
        assert app.view.limit == 10


async def test_the_keys_of_the_screen_come_first_and_half_pages_lead_to_the_others(make: Callable[..., NftuiApp]) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("7", "?")
        await quiet(pilot, 0.1)
        first = lines(app)
        assert any("sources.interfaces" in line for line in first) and not any("table.open" in line for line in first)
        await pilot.press("ctrl+d")
        await quiet(pilot, 0.1)
        assert any("table.up" in line for line in lines(app))
        await pilot.press("ctrl+u")
        await quiet(pilot, 0.1)
        assert lines(app) == first
