"""Every key has an id of its own, words, and something that it does; the table of keys is pinned."""

from __future__ import annotations

from collections.abc import Callable

from textual.binding import Binding
from textual.dom import DOMNode

from nftui.app import NftuiApp
from nftui.screens import keys
from nftui.screens.filtered import FilteredScreen
from nftui.screens.filters import FiltersScreen
from nftui.screens.flows import FlowsScreen
from nftui.screens.investigation import InvestigationScreen
from nftui.screens.live import LiveScreen
from nftui.screens.maps import MapScreen
from nftui.screens.settings import SettingsScreen
from nftui.screens.shell import ShellScreen
from nftui.screens.sources import SourcesScreen
from nftui.screens.summary import SummaryScreen
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.picture import Picture
from nftui.screens.widgets.sheet import Sheet
from tests.screens.conftest import against_golden, lines, quiet, settled, shows

OWNERS: tuple[type[DOMNode], ...] = (NftuiApp, *keys.owners())
INVESTIGATIONS: tuple[type[ShellScreen], ...] = (LiveScreen, FlowsScreen, SummaryScreen, MapScreen, FiltersScreen)
SCREENS: tuple[type[ShellScreen], ...] = (*INVESTIGATIONS, SourcesScreen, SettingsScreen)
NEVER = {"ctrl+s", "ctrl+q", "ctrl+b", "ctrl+a"}


def bindings() -> list[tuple[type, Binding]]:
    assert all(len(keys.own(owner)) == len(owner.__dict__["BINDINGS"]) for owner in OWNERS)
    return [(owner, binding) for owner in OWNERS for binding in keys.own(owner)]


def test_each_binding_has_an_id_of_its_own_and_words() -> None:
    names = [binding.id for _, binding in bindings()]
    assert None not in names and len(set(names)) == len(names)
    for _, binding in bindings():
        assert binding.tooltip and binding.description, binding.id
        assert len(binding.tooltip) <= 43, f"{binding.id}: the help has no room for its words"


def test_each_binding_has_an_action() -> None:
    for owner, binding in bindings():
        name = binding.action.split("(")[0]
        owners = {FilteredScreen: INVESTIGATIONS, InvestigationScreen: INVESTIGATIONS, ShellScreen: SCREENS}.get(owner, (owner,))
        assert all(hasattr(each, f"action_{name}") for each in owners), f"{binding.id}: {binding.action}"


def test_no_key_that_a_terminal_keeps_for_itself() -> None:
    for _, binding in bindings():
        assert not NEVER & set(binding.key.split(",")), binding.id
        assert "alt+" not in binding.key


def test_no_key_twice_on_one_screen() -> None:
    for screen in SCREENS:
        for widget in (FlowTable, Picture, Sheet):
            owners, replaced = {NftuiApp, widget, *screen.__mro__}, getattr(screen, "REPLACED", ())
            own = [binding for owner, binding in bindings() if owner in owners and binding.id not in replaced]
            pressed = [key for binding in own for key in binding.key.split(",")]
            assert sorted(pressed) == sorted(set(pressed))


async def test_a_replaced_key_does_what_the_screen_says(make: Callable[..., NftuiApp]) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("5")
        screen = await settled(pilot)
        active = {one.binding.id for one in screen.active_bindings.values()}
        assert not active & FiltersScreen.REPLACED
        assert {one.id for one in keys.own(FiltersScreen)} <= active


def test_the_keys_are_pinned() -> None:
    against_golden(
        "bindings", [f"{b.id:<20} {b.key:<32} {b.tooltip}" for _, b in sorted(bindings(), key=lambda pair: str(pair[1].id))]
    )


async def test_help_is_made_of_the_bindings(make: Callable[..., NftuiApp]) -> None:
    app = make()
    async with app.run_test(size=(80, 60)) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        await quiet(pilot, 0.1)
        text = "\n".join(lines(app))
        assert "Edit the filter" in text and "view.filter" in text
        await shows(pilot, "help-80x60", lambda: lines(app))
        await pilot.press("q")
        await quiet(pilot, 0.1)
        assert isinstance(app.screen, LiveScreen), "q closes a window before it leaves the program"
