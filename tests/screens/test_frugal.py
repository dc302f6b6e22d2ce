"""Partial updates: fewer octets than Textual's, and the same picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.strip import Strip

from nftui.app import NftuiApp
from nftui.screens.frugal import FrugalUpdate
from nftui.screens.investigation import InvestigationScreen
from nftui.screens.shown import Cell, Shown, cells
from tests.screens.conftest import quiet, settled


class Terminal:
    """As much of a terminal as the updates use: a cursor, attributes, characters of one cell."""

    def __init__(self, rows: list[Strip], console: Console) -> None:
        self.cells: list[list[tuple[str, str]]] = [[("", "")] * 80 for _ in rows]
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


class Glass:
    """A terminal of one line, on which half a wide character can't stay."""

    def __init__(self) -> None:
        self.cells = [" "] * 24

    def write(self, x: int, wanted: Sequence[Cell]) -> None:
        at = x
        for text, _ in wanted:
            if not text:
                continue
            width = cell_len(text)
            if self.cells[at] == "":
                self.cells[at - 1] = " "
            if self.cells[at + width] == "":
                self.cells[at + width] = " "
            self.cells[at : at + width] = [text, ""][:width]
            at += width


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.text(st.sampled_from("ab─東́ "), max_size=6)), max_size=12))
def test_what_was_painted_last_is_shown(paints: list[tuple[int, str]]) -> None:
    glass, shown = Glass(), Shown()
    for x, text in paints:
        wanted = list(cells(text, ("", "", "")))
        for start, end in shown.changes(0, x, wanted):
            glass.write(x + start, wanted[start:end])
        assert glass.cells[x : x + len(wanted)] == [one for one, _ in wanted]
        assert list(shown.changes(0, x, wanted)) == [], "nothing is sent twice"


async def test_a_window_costs_its_own_cells(make: Callable[..., NftuiApp], monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, color_system="truecolor")
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        terminal, sent = Terminal(app.screen._compositor.render_strips(), console), 0

        def show(app: object, shown: object, update: object) -> None:
            nonlocal sent
            if update is not None:
                text = update.render_segments(console)  # type: ignore[attr-defined]
                sent += len(text)
                terminal.write(text)

        monkeypatch.setattr(App, "_display", show)
        await pilot.press("r")
        await quiet(pilot, 0.1)
        whole, sent = sent, 0
        for key in ("t", "escape"):
            await pilot.press(key)
            await quiet(pilot, 0.1)
            assert 0 < sent < whole * 2 / 3, key
            sent = 0
        await settled(pilot)
        assert terminal.cells == Terminal(app.screen._compositor.render_strips(), console).cells
        terminal = Terminal([Strip.blank(80)] * 24, console)
        await pilot.press("r")
        await settled(pilot)
        assert terminal.cells == Terminal(app.screen._compositor.render_strips(), console).cells, "r mends what others wrote over"
