"""The Map screen: its kinds, what each key changes, and each state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.cells import cell_len

from nftui.app import NftuiApp
from nftui.screens.glyphs import BRAILLE
from tests.screens.conftest import against_golden, lines, settled

Make = Callable[..., NftuiApp]
SIZES = [(80, 24), (120, 36), (200, 50)]
KINDS = {"network": "4", "pairs": "4m", "portions": "4mm"}


@pytest.mark.row("M01")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
async def test_layout(make: Make, size: tuple[int, int], kind: str) -> None:
    app = make()
    app.glyphs = BRAILLE
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for key in KINDS[kind]:
            await pilot.press(key)
            await settled(pilot)
        shown = lines(app)
        assert {cell_len(line) for line in shown} == {size[0]}
        for widget in app.screen.query("*"):
            inside = widget.region.intersection(app.screen.region)
            assert not widget.region or inside == widget.region, f"{widget} is cut"
        against_golden(f"map-{kind}-{size[0]}x{size[1]}", shown)
