"""What other screens need is there before they are opened, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nftui.app import NftuiApp
from nftui.screens import field_list, keys, loading
from nftui.screens.filters import FiltersScreen
from tests.screens.conftest import quiet, settled

Make = Callable[..., NftuiApp]


async def test_it_is_loaded_once_the_first_screen_is_there(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "FIRST_S", 0.05)
    field_list.fields.cache_clear()
    async with make().run_test(size=(80, 24)) as pilot:
        for _ in range(250):
            if field_list.fields.cache_info().currsize:
                break
            await pilot.pause(0.02)
        assert field_list.fields.cache_info().currsize, "the words of the filter language, a tenth of a second of work"


async def test_what_can_not_be_loaded_is_no_matter_before_it_is_opened(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def broken() -> None:
        asked.append(True)
        raise ImportError("no module named x")

    monkeypatch.setattr(loading, "FIRST_S", 0.05)
    monkeypatch.setattr(keys, "owners", broken)
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await quiet(pilot, 0.2)
        assert asked and not app._notifications
        await pilot.press("5")
        await quiet(pilot)
        assert isinstance(app.screen, FiltersScreen)
