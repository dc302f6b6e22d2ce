"""Partial updates: fewer octets than Textual's, and the same picture."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from rich.console import Console
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.strip import Strip

from nftui.app import NftuiApp
from nftui.screens.frugal import FrugalUpdate
from nftui.screens.investigation import InvestigationScreen
from tests.screens.conftest import settled

Cell = tuple[str, str]


class Terminal:
    """As much of a terminal as the updates use: a cursor, attributes, characters of one cell."""

    def __init__(self, rows: list[Strip], console: Console) -> None:
        self.cells: list[list[Cell]] = [[("", "")] * 80 for _ in rows]
        for y, strip in enumerate(rows):
            self.write(f"\x1b[{y + 1};1H{strip.render(console)}")

    def write(self, text: str) -> None:
        x = y = 0
        style: dict[str, str] = {}
        for sequence, character in re.findall(r"\x1b\[([\d;]*[Hm])|(.)", text):
            if sequence.endswith("H"):
                y, x = (int(number) - 1 for number in sequence[:-1].split(";"))
            elif sequence:
                self.attribute(sequence[:-1].split(";"), style)
            else:
                self.cells[y][x] = (character, ";".join(f"{key}={style[key]}" for key in sorted(style)))
                x += 1

    @staticmethod
    def attribute(codes: list[str], style: dict[str, str]) -> None:
        while codes:
            code = codes.pop(0)
            if code in ("0", ""):
                style.clear()
            elif code in ("38", "48"):
                style[code], codes[:] = ";".join(codes[:4]), codes[4:]
            else:
                style[code] = "on"


async def test_updates_leave_the_terminal_as_painted(make: Callable[..., NftuiApp], monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, color_system="truecolor")
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        compositor = screen._compositor
        terminal = Terminal(compositor.render_strips(), console)
        frugal = full = 0

        def show(app: object, shown: object, update: object) -> None:
            nonlocal frugal, full
            if isinstance(update, FrugalUpdate):
                text = update.render_segments(console)
                frugal, full = frugal + len(text), full + len(ChopsUpdate.render_segments(update, console))
                terminal.write(text)
            else:
                assert update is None, "a key repaints what it changes, never all"

        monkeypatch.setattr(App, "_display", show)
        for key in ("j", "j", "l", "u", "S", "s", "k", "G", "g"):
            await pilot.press(key)
            await settled(pilot)
        assert isinstance(app.screen, InvestigationScreen)
        painted = Terminal(compositor.render_strips(), console)
        differing = [
            (x, y, a, b)
            for y, (one, other) in enumerate(zip(terminal.cells, painted.cells, strict=True))
            for x, (a, b) in enumerate(zip(one, other, strict=True))
            if a != b
        ]
        assert differing == []
        assert 0 < frugal < full / 2
