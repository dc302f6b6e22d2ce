"""`X` takes one's own session out of the picture, and puts it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from nftui.app import NftuiApp
from tests.screens.conftest import lines, settled


async def test_own_session_is_hidden_and_shown(make: Callable[..., NftuiApp], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "10.0.4.8 1031 93.184.216.34 22")
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        assert screen.answer is not None
        before = screen.answer.total.flows
        await pilot.press("X")
        for _ in range(50):
            await asyncio.sleep(0.02)
            if "own session hidden" in lines(app)[1]:
                break
        screen = await settled(pilot)
        assert "own session hidden" in lines(app)[1]
        assert screen.answer is not None and screen.answer.total.flows <= before
        assert app.view.text == ""
        await pilot.press("X")
        screen = await settled(pilot)
        assert "own session" not in lines(app)[1]
        assert screen.answer is not None and screen.answer.total.flows == before


async def test_where_there_is_no_session_a_line_says_so(make: Callable[..., NftuiApp], monkeypatch: pytest.MonkeyPatch) -> None:
    from nftui.engine import session

    monkeypatch.setattr(session, "own", lambda: None)
    app = make()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot)
        await pilot.press("X")
        for _ in range(100):
            await asyncio.sleep(0.03)
            if any("no SSH session" in line for line in lines(app)):
                break
        else:
            pytest.fail("\n".join(lines(app)))
