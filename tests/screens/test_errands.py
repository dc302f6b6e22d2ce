"""What is done off the screen's thread: whatever goes wrong there becomes words, and the program goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.message import Message
from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.config import Config
from nftui.errors import StoreError
from nftui.screens import errands
from tests.screens.conftest import lines, settled


async def _seen(pilot: Pilot[None], words: str) -> None:
    for _ in range(100):
        await asyncio.sleep(0.03)
        if any(words in line for line in lines(pilot.app)):
            return
    pytest.fail("\n".join(lines(pilot.app)))


class Problem(Message):
    """What went wrong."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreError("/data: gone\nfor good"), "/data: gone for good"),
        (PermissionError(13, "Permission denied", "/x"), "PermissionError: [Errno 13] Permission denied: '/x'"),
    ],
)
async def test_an_error_becomes_one_line(make: Callable[..., NftuiApp], error: Exception, words: str) -> None:
    app, heard = make(), []

    def fail() -> Message:
        raise error

    def failed(problem: str) -> Message:
        heard.append(problem)
        return Problem(problem)

    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        errands.send("test", app, fail, failed)
        for _ in range(100):
            await asyncio.sleep(0.01)
            if heard:
                break
    assert heard == [words]
    errands.post(app, Problem("the program has been left"))


async def test_saved_filters_that_no_one_foresaw_are_said_and_the_program_goes_on(
    make: Callable[..., NftuiApp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(config=Config(), config_path=tmp_path / "nftui.toml")

    def listed() -> list[object]:
        raise RecursionError("deeper than anybody thought")

    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot)
        monkeypatch.setattr(app.shelf.saved, "listed", listed)
        await pilot.press("f3")
        await _seen(pilot, "RecursionError: deeper")
        # The palette reads them, too, and shows what it has.
        await pilot.press("colon")
        await _seen(pilot, "tab complete")
        assert app.is_running
