"""Names on the screens: they come when they come, no key waits for one, and what is called what is no secret."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from textual import events

from nftui.app import NftuiApp
from nftui.config import DisplaySettings, NameSettings
from nftui.dashboard import Watched
from nftui.engine import places
from nftui.engine.local import LocalBackEnd
from nftui.engine.resolving import Resolver
from nftui.engine.writer import StoreWriter
from tests.screens.conftest import NOW, flows, lines, octets_of, quiet, settled


async def test_addresses_by_their_names(make: Callable[..., NftuiApp], tmp_path: Path) -> None:
    """A key shows names; those that are not known yet come when they come, and the address stands beside."""
    (tmp_path / "hosts").write_text("8.8.8.8 dns.example\n10.0.4.0/24 office\n")
    gate = threading.Event()

    def slow(address: str) -> str | None:
        gate.wait(10)
        return {"151.101.1.69": "cdn.example"}.get(address)

    resolver = Resolver(NameSettings(resolve=True, hosts=str(tmp_path / "hosts"), timeout=20), reverse=slow)
    app = make(resolver=resolver, display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        assert any("dns.example" in line for line in lines(app)), "names.resolve shows names from the start"
        assert any("151.101.1.69" in line for line in lines(app)) and not any("cdn.example" in line for line in lines(app))
        began = time.monotonic()
        await pilot.press("j", "k", "j")
        assert time.monotonic() - began < 2, "no key waits for a name"
        gate.set()
        for _ in range(100):
            await quiet(pilot, 0.05)
            if any("cdn.example" in line for line in lines(app)):
                break
        assert any("cdn.example" in line for line in lines(app))
        await pilot.press("2")
        await settled(pilot)
        assert any(re.search(r"office.*\.4\.\d+ ", line) for line in lines(app)), "a network's name tells nobody apart"
        await pilot.press("a")
        await settled(pilot)
        assert not any("office" in line or "dns.example" in line for line in lines(app))
        assert any("10.0.4." in line for line in lines(app))


async def test_a_hostile_name_is_not_obeyed(make: Callable[..., NftuiApp], tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("8.8.8.8 evil\x1b]52;c;eA==\x07\u202e\n10.0.4.0/24 x\u202ey\u200b\n")
    resolver = Resolver(NameSettings(hosts=str(tmp_path / "hosts")))
    app = make(resolver=resolver, display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("2", "a")
        await quiet(pilot, 0.1)
        told = list(app._notifications)
        await settled(pilot)
        shown = "\n".join(lines(app))
        assert "x\\u20" in shown and "\x1b" not in shown and "\u202e" not in shown
        assert any("names of your hosts file alone" in notice.message for notice in told)


async def test_a_filter_says_what_its_names_stand_for(make: Callable[..., NftuiApp], store: Path, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("8.8.8.8 dns.example\n93.184.216.34 dns.example\n")
    settings = NameSettings(hosts=str(tmp_path / "hosts"))
    resolver = Resolver(settings)
    back_end = Watched(store, None, resolver, places.use(settings))
    app = make(back_end, resolver=resolver, display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("f", *"host dns.example", "enter")
        screen = await settled(pilot)
        assert screen.answer is not None and 0 < screen.answer.total.flows < 1800 and not screen.problem
        assert any("host dns.example  dns.example: 8.8.8.8 +1" in line for line in lines(app))
        await pilot.press("f", *" or host nobody.example", "enter")
        screen = await settled(pilot)
        assert screen.problem == "'nobody.example' has to be looked up; names.resolve = true allows that, or --names"


@pytest.mark.row("V11")
@pytest.mark.row("K10")
async def test_no_key_waits_while_thousands_of_names_are_looked_up(make: Callable[..., NftuiApp], tmp_path: Path) -> None:
    """5,000 addresses scroll by while each takes the resolver a tenth of a second."""
    count = 5_000
    start = flows().head(1)
    many = pl.concat([start] * count).with_columns(
        pl.Series("source_address", [octets_of(f"203.0.{n // 250}.{n % 250}") for n in range(count)]),
        (pl.lit(NOW) - pl.int_range(pl.len()) * 1000).cast(start.schema["flow_start"]).alias("flow_start"),
    )
    writer = StoreWriter(tmp_path / "store")
    writer.append([many])
    writer.write_tail()

    def slow(address: str) -> str | None:
        time.sleep(0.1)
        return f"host-{address.replace('.', '-')}.example"

    resolver = Resolver(NameSettings(resolve=True, timeout=20), reverse=slow)
    app = make(LocalBackEnd(tmp_path / "store"), resolver=resolver, display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        screen = await settled(pilot)
        screen._limit = count  # type: ignore[attr-defined]
        screen.ask()
        await settled(pilot)
        table = screen.table
        assert table.count == count
        waits = []
        for _ in range(count // 31 - 1):
            # What the loop works, not what others take of the machine.
            before, row = time.thread_time(), table.cursor
            app.post_message(events.Key("pagedown", None))
            while table.cursor == row:  # noqa: ASYNC110  what is measured is the loop itself
                await asyncio.sleep(0)
            waits.append(time.thread_time() - before)
        waits.sort()
        middle, late = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
        assert late < 0.25, f"p50 {middle:.3f} s, p99 {late:.3f} s"
        await pilot.pause(1.5)
        assert any("host-203-0-" in line for line in lines(app)), "names of what is in sight came first"
        print(f"p50 {1000 * middle:.1f} ms, p99 {1000 * late:.1f} ms, {len(waits)} keys")
    resolver.close()
