"""Every screen and window opens whatever colours and characters the terminal has: a style by a wrong name ends the program."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import nftui.screens
from nftui.app import NftuiApp
from nftui.config import DisplaySettings
from tests.screens.conftest import lines, quiet

Make = Callable[..., NftuiApp]
SCREENS = ("1", "2", "3", "4", "5", "7", "8")
WINDOWS = ("question_mark", "e", "colon")
OF_LIVE = ("t", "b", "M", "R", "C", "A")


@pytest.mark.parametrize(("colours", "glyphs"), [("16", "half"), ("none", "ascii")])
async def test_every_screen_and_window_opens(make: Make, colours: str, glyphs: str) -> None:
    app = make(display=DisplaySettings(refresh=60, colours=colours, glyphs=glyphs))
    async with app.run_test(size=(80, 24)) as pilot:
        for screen in SCREENS:
            await pilot.press(screen)
            await quiet(pilot, 0.05)
            below = app.screen
            for window in WINDOWS + OF_LIVE * (screen == "1"):
                await pilot.press(window)
                await pilot.pause()
                assert app.screen is not below, (screen, window)
                assert any(line.strip() for line in lines(app))
                await pilot.press("escape")
                await pilot.pause()
                assert app.screen is below, (screen, window)


def test_colours_of_the_theme_are_taken_through_ink_alone() -> None:
    root = Path(nftui.screens.__file__).parent
    raw = re.compile(r"theme_variables\[|variables\[[^\]]*\]")
    # exports.py takes the ground of a picture's file, where it is a colour at all.
    others = (path for path in root.rglob("*.py") if path.name not in ("themes.py", "exports.py"))
    found = [path.name for path in others if raw.search(path.read_text("utf-8"))]
    assert found == [], "of sixteen colours these are names that Rich doesn't know"
