"""Names on the screens: they come when they come, no key waits for one, and what is called what is no secret."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from nftui.app import NftuiApp
from nftui.config import DisplaySettings, NameSettings
from nftui.dashboard import Watched
from nftui.engine import places
from nftui.engine.resolving import Resolver
from tests.screens.conftest import lines, settled


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
            await pilot.pause(0.05)
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
        await pilot.pause(0.1)
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
