"""What is said where a key changes nothing that is seen, and how old what is said is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nftui.app import NftuiApp
from nftui.screens.collector import Event
from nftui.screens.facts import event_lines
from tests.screens.conftest import NOW, SECOND, lines, settled

Make = Callable[..., NftuiApp]


@pytest.mark.parametrize(("screen", "keys"), [("2", "cOu"), ("4", "S"), ("3", "O")])
async def test_a_key_that_changes_another_screen_says_which(make: Make, screen: str, keys: str) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(screen)
        await settled(pilot)
        for key in keys:
            before = len(app._notifications)
            await pilot.press(key)
            await pilot.pause()
            told = [notice.message for notice in app._notifications]
            assert len(told) == before + 1 and "Live" in told[-1]


async def test_the_map_shows_nothing_of_another_kind(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4", "m")
        await settled(pilot)
        assert any(" -> " in line for line in lines(app))
        screen = app.screen
        await pilot.press("m")
        screen.show_answer()  # type: ignore[attr-defined]
        assert screen.table.count == 0 or "source" not in [column.name for column in screen.table.columns]  # type: ignore[attr-defined]


def test_events_fade_and_tell_their_day() -> None:
    events = [Event(NOW - age * SECOND, "new exporter") for age in (5, 3600, 3 * 86_400)]
    fresh, older, old = event_lines(events, 9, NOW)
    assert [part.text for part in fresh] == [" ! ", "21:00:00 ", "new exporter"] and fresh[0].style == "warn"
    assert [part.text for part in older] == ["   ", "20:00:05 ", "new exporter"] and older[2].style == "dim"
    assert old[1].text == "Nov 20 21:00:05 "
