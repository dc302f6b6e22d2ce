"""The Settings screen: what holds, where it comes from, changed at once, saved when one says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from nftui import config
from nftui.app import NftuiApp
from nftui.config import Config
from nftui.screens import keys
from nftui.screens.depth import Depth
from nftui.screens.dialogs import Pick, PressKey
from nftui.screens.settings import SettingsScreen
from tests.screens.conftest import lines, quiet, settled, shows

Make = Callable[..., NftuiApp]
FILE = """\
# what I like
[display]
theme = "light"  # on paper
refresh = 60
[names]
resolve = false
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("nftui.toml")
    path.write_text(FILE)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("nftui.toml").mkdir()
    return Path("nftui.toml")


def text_of(path: Path) -> str:
    return path.read_text()


def application(make: Make, path: Path, **more: Any) -> NftuiApp:
    held = config.load(path) if path.exists() else Config()
    return make(display=held.display, config=held, config_path=path, **more)


async def opened(pilot: Pilot[None]) -> SettingsScreen:
    await settled(pilot)
    await pilot.press("8")
    screen = pilot.app.screen
    for _ in range(100):
        await pilot.pause(0.02)
        if isinstance(screen, SettingsScreen) and screen.files.origins:
            break
        screen = pilot.app.screen
    assert isinstance(screen, SettingsScreen)
    await quiet(pilot, 0.05)
    return screen


async def to(pilot: Pilot[None], screen: SettingsScreen, name: str) -> None:
    screen.table.go(next(place for place, one in enumerate(screen._rows) if one.name == name))
    await pilot.pause(0.02)


async def saved(pilot: Pilot[None], screen: SettingsScreen) -> None:
    await pilot.press("S")
    for _ in range(100):
        await pilot.pause(0.02)
        if screen.files.saved is not None or screen.files.problem:
            return


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50), (60, 18)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_pictures(make: Make, path: Path, size: tuple[int, int]) -> None:
    app = application(make, path)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        # How many keys there are is pinned elsewhere.
        shape = f"settings-{size[0]}x{size[1]}"
        await shows(pilot, shape, lambda: [re.sub("^ key .*? default", " key", line).replace("┃", "│") for line in lines(app)])


@pytest.mark.row("K10")
async def test_changes_hold_at_once_and_are_saved_with_comments(make: Make, path: Path) -> None:
    app = application(make, path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        assert any("theme" in line and "light" in line and "the file" in line for line in lines(app))
        assert any("units" in line and "si" in line and "default" in line for line in lines(app))
        await to(pilot, screen, "display.units")
        await pilot.press("space")
        assert app.display_settings.units == "iec" and screen.iec
        await to(pilot, screen, "names.resolve")
        await quiet(pilot, 0.05)
        assert any("tells DNS servers" in line for line in lines(app))
        await pilot.press("space")
        assert app.resolver.asks and app.config.names.resolve
        await pilot.press("T")
        await quiet(pilot, 0.1)
        assert app.theme == "terminal"
        assert "! 3 unsaved" in lines(app)[1]
        assert text_of(path) == FILE
        await saved(pilot, screen)
        assert screen.changed == {} and "unsaved" not in lines(app)[1]
    text = text_of(path)
    assert (
        "# what I like" in text
        and 'theme = "terminal"  # on paper' in text
        and 'units = "iec"' in text
        and "resolve = true" in text
    )


@pytest.mark.row("K07")
async def test_a_typed_value_is_checked(make: Make, path: Path) -> None:
    app = application(make, path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await to(pilot, screen, "display.maximum_chart_resolution")
        await pilot.press("enter")
        await quiet(pilot, 0.05)
        assert isinstance(app.screen, Pick)
        await pilot.press(*"1001", "enter")
        await quiet(pilot, 0.05)
        assert any("2 to 1000" in line for line in lines(app))
        await pilot.press(*["backspace"] * 4, *"8", "enter")
        await quiet(pilot, 0.1)
        assert app.display_settings.maximum_chart_resolution == 8 and app.view.bins == 8


async def test_revert_brings_back_what_was(make: Make, path: Path) -> None:
    app = application(make, path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("T", "T")
        await to(pilot, screen, "display.range")
        await pilot.press("space")
        assert app.theme != "light" and app.view.range.text == "-1h"
        await pilot.press("R")
        await quiet(pilot, 0.1)
        assert app.theme == "light" and app.view.range.text == "-15m" and screen.changed == {}
        await pilot.press("S")
        await quiet(pilot, 0.1)
        assert text_of(path) == FILE


async def test_colours_and_characters_change_at_once(make: Make, path: Path) -> None:
    app = application(make, path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        screen.change("display.colours", "none")
        screen.change("display.glyphs", "ascii")
        await quiet(pilot, 0.1)
        assert app.depth is Depth.NONE and app.theme == "terminal" and screen.table.ink.letters
        assert any("light: terminal" in line for line in lines(app))
        screen.change("display.theme", "nosuch")
        assert app.display_settings.theme == "light"


async def test_a_key_is_changed_by_pressing_another(make: Make, path: Path) -> None:
    app = application(make, path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await to(pilot, screen, "display.keys.view.pause")
        await pilot.press("enter")
        await quiet(pilot, 0.05)
        assert isinstance(app.screen, PressKey)
        await pilot.press("f")
        await quiet(pilot, 0.05)
        assert any("f is the key of view.filter" in line for line in lines(app))
        await pilot.press("ctrl+b")
        await quiet(pilot, 0.05)
        assert any("ctrl+b is kept by" in line for line in lines(app))
        await pilot.press("f11")
        await quiet(pilot, 0.1)
        assert app.screen is screen and app.display_settings.keys == {"view.pause": "f11"}
        await saved(pilot, screen)
        await pilot.press("1")
        await settled(pilot)
        await pilot.press("f11")
        assert app.view.paused_at is not None
    assert config.load(path).display.keys == {"view.pause": "f11"}


async def test_a_file_that_is_missing_is_made(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "nftui.toml"
    app = application(make, path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        screen.change("display.refresh", "5")
        await saved(pilot, screen)
        assert screen.files.problem == ""
    assert config.load(path).display.refresh == 5


async def test_a_file_that_cannot_be_written_is_said_in_a_line(make: Make, folder: Path) -> None:
    app = make(config_path=folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("8")
        await quiet(pilot, 0.1)
        screen = app.screen
        assert isinstance(screen, SettingsScreen)
        screen.change("display.units", "iec")
        await saved(pilot, screen)
        await quiet(pilot, 0.1)
        assert "Is a directory" in lines(app)[1]
        assert app.display_settings.units == "iec"


def test_keys_clash_only_where_both_work() -> None:
    assert keys.clash("view.pause", "f", NftuiApp, {}) == "view.filter"
    assert keys.clash("live.order", "x", NftuiApp, {}) == ""
    assert keys.clash("view.pause", "j", NftuiApp, {}) == "table.down"
    assert keys.clash("view.pause", "f", NftuiApp, {"view.filter": "f12"}) == ""
    assert keys.clash("pick.down", "f", NftuiApp, {}) == ""
    assert keys.clash("app.theme", "s", NftuiApp, {}) != ""
