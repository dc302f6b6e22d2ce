"""Finding words in a long table: keys work meanwhile, and what is found is the next row that shows them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import polars as pl

from nftui.app import NftuiApp
from nftui.config import DisplaySettings
from tests.screens.conftest import lines, quiet, settled

LONG = 30_000


async def test_a_long_table_is_searched_with_keys_in_between(make: Callable[..., NftuiApp]) -> None:
    app = make(display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        screen = await settled(pilot)
        table = screen.table
        assert table.frame is not None
        few = table.frame
        long = pl.concat([few] * (LONG // few.height + 1)).head(LONG)
        wanted = long.with_row_index().with_columns(
            pl.when(pl.col("index") == 20_000).then(64_999).otherwise(pl.col("source_port")).alias("source_port")
        )
        table.show(wanted.select(few.columns).cast(few.schema), table.columns, ("flow_start",))
        screen._words = "64999"
        await pilot.press("n")
        waits = []
        for _ in range(200_000):
            # What the loop works, not what others take of the machine.
            before = time.thread_time()
            await asyncio.sleep(0)
            waits.append(time.thread_time() - before)
            if table.cursor == 20_000:
                break
        assert table.cursor == 20_000
        assert max(waits) < 0.15, "no key waits for long"
        screen._words = "nowhere at all"
        await pilot.press("n", "j", "j")
        assert table.cursor == 20_002
        await quiet(pilot, 0.1)
        assert table.cursor == 20_002, "what moves the cursor ends the search"
        assert not any("no row shows nowhere" in line for line in lines(app))


async def test_a_short_table_is_searched_at_once(make: Callable[..., NftuiApp]) -> None:
    app = make(display=DisplaySettings(refresh=60))
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        screen = await settled(pilot)
        assert screen.table.find("no such words") in (False, None)
        first = screen.table.columns[0].text(3, screen.table.row(3))  # type: ignore[arg-type]
        assert screen.table.find(first.upper()) is True and screen.table.cursor == 3
        assert screen.table.find(first, forward=False) is not True or screen.table.cursor != 3
