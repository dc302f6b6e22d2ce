"""Choosing interfaces: at a first start, and never again; later from the Sources screen, the Settings and the palette."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
from textual.pilot import Pilot
from textual.widgets import OptionList

from nftui.app import NftuiApp
from nftui.capture.probe.interfaces import Interface
from nftui.engine import local_interfaces
from nftui.engine.local import LocalBackEnd
from nftui.screens import interface_choice
from nftui.screens.interface_choice import InterfaceChoice
from nftui.screens.shell import ShellScreen
from nftui.screens.this_host import ThisHost
from tests.screens.conftest import HOSTILE, box, lines, quiet, shows, until

Make = Callable[..., NftuiApp]
INTERFACES = [
    Interface("eth0", 2, 1, True, True, addresses=("192.0.2.10", "2001:db8:85a3::8a2e:370:7334"), received=(10**9, 10**6)),
    Interface("wlan0", 3, 1, True, False, addresses=("10.0.0.7",)),
    Interface("tun7", 9, 65534, False, False),
    Interface("lo", 1, 772, True, True, loopback=True, addresses=("127.0.0.1", "::1")),
]


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are these interfaces, looked at once, and taking packets is permitted."""
    monkeypatch.setattr(interface_choice, "LOOK_S", 600)
    monkeypatch.delenv("NFTUI_CONFIG", raising=False)
    monkeypatch.setattr(local_interfaces, "interfaces", lambda: INTERFACES)
    monkeypatch.setattr(local_interfaces, "refusal", lambda: "")


@pytest.fixture
def start(make: Make, tmp_path: Path) -> Callable[..., NftuiApp]:
    """Return a maker of the dashboard as at a first start."""

    def started(**more: Any) -> NftuiApp:
        (tmp_path / "etc").mkdir(exist_ok=True)
        here = ThisHost(first=more.pop("first", True), take_up=more.pop("take_up", None))
        more = {"config_path": tmp_path / "etc" / "nftui.toml", **more}
        return make(more.pop("back_end", None) or LocalBackEnd(tmp_path / "store"), here=here, **more)

    return started


def kept(tmp_path: Path) -> Any:
    path = tmp_path / "etc" / "nftui.toml"
    return tomli.loads(path.read_text()).get("probe", {}).get("interfaces") if path.exists() else None


async def asked(pilot: Pilot[None]) -> InterfaceChoice | None:
    """Return the window, once it lists something; None where there is none."""
    for _ in range(60):
        await pilot.pause(0.02)
        screen = pilot.app.screen
        if isinstance(screen, InterfaceChoice) and screen.query_one(OptionList).option_count > 1:
            return screen
    return None


@pytest.mark.row("B01")
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_first_start(start: Callable[..., NftuiApp], tmp_path: Path, size: tuple[int, int]) -> None:
    again: list[bool] = []
    app = start(take_up=lambda: again.append(True))
    async with app.run_test(size=size) as pilot:
        assert await asked(pilot) is not None
        await shows(pilot, f"interfaces-{size[0]}x{size[1]}", lambda: box(app))
        await pilot.press("down", "space")
        await quiet(pilot, 0.1)
        assert any("takes what is marked" in line for line in lines(app)), "the cursor's line is not what Enter takes then"
        await pilot.press("up", "space", "enter")
        await until(pilot, lambda: app._notifications)
        assert kept(tmp_path) == ["eth0", "wlan0"] and again == [True]
        assert app.config.probe.interfaces == app.saved.probe.interfaces == ("eth0", "wlan0")
        assert next(one.message for one in app._notifications).startswith("packets of eth0, wlan0 become flows; ")
    app = start()
    async with app.run_test() as pilot:
        assert await asked(pilot) is None, "it was said"


@pytest.mark.parametrize("keys", [["escape"], ["q"], ["G", "enter"], ["k", "enter"]])
async def test_only_listening_is_asked_once(start: Callable[..., NftuiApp], tmp_path: Path, keys: list[str]) -> None:
    app = start()
    async with app.run_test() as pilot:
        assert await asked(pilot) is not None
        await pilot.press(*(["end" if key == "G" else key for key in keys]))
        await until(pilot, lambda: app._notifications)
        assert kept(tmp_path) == [] and isinstance(app.screen, ShellScreen)
    app = start()
    async with app.run_test() as pilot:
        assert await asked(pilot) is None


@pytest.mark.parametrize("why", ["flows", "listen", "environment", "not writable", "no first start", "broken"])
async def test_nobody_is_asked_who_has_decided(
    start: Callable[..., NftuiApp], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    more: dict[str, Any] = {}
    (tmp_path / "etc").mkdir()
    if why == "flows":
        more["back_end"] = LocalBackEnd(store)
    elif why == "listen":
        (tmp_path / "etc" / "nftui.toml").write_text('[collector]\nlisten = ["2055"]\n')
    elif why == "environment":
        monkeypatch.setenv("NFTUI_CONFIG", "/nonexistent.toml")
    elif why == "not writable":
        monkeypatch.setattr("nftui.engine.settings.refusal", lambda path: "can't be written")
    elif why == "broken":
        (tmp_path / "etc" / "nftui.toml").write_text("[probe\n")
    else:
        more["first"] = False
    app = start(**more)
    async with app.run_test() as pilot:
        assert await asked(pilot) is None


async def test_without_rights_it_says_what_to_grant(
    start: Callable[..., NftuiApp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nftui.capture.probe import rights

    told = re.sub(r"\+ep .*", "+ep /usr/bin/python3", rights.how_to_grant())
    monkeypatch.setattr(local_interfaces, "refusal", lambda: told)
    app = start()
    async with app.run_test(size=(80, 24)) as pilot:
        assert await asked(pilot) is not None
        words = " ".join(line.strip("│ ") for line in box(app))
        assert "sudo setcap cap_net_raw+ep" in words and "AmbientCapabilities=CAP_NET_RAW" in words
        await shows(pilot, "interfaces-refused-80x24", lambda: box(app))
        await pilot.press("enter")
        await quiet(pilot, 0.1)
        assert isinstance(app.screen, InterfaceChoice) and kept(tmp_path) is None, "it would not work"
        await pilot.press("end", "enter")
        await until(pilot, lambda: kept(tmp_path) == [])


async def test_rates_and_interfaces_that_come_and_go(start: Callable[..., NftuiApp], monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setattr(interface_choice, "LOOK_S", 0.5)
    app = start()
    async with app.run_test(size=(80, 24)) as pilot:
        window = await asked(pilot)
        assert window is not None
        await pilot.press("down")
        more = [replace(INTERFACES[0], received=(10**9 + 10**7, 10**6 + 9000)), INTERFACES[1], Interface(HOSTILE[:15], 11)]
        monkeypatch.setattr(local_interfaces, "interfaces", lambda: more)
        await until(pilot, lambda: " pps" in "".join(box(app)) and "Mb/s" in "".join(box(app)))
        assert "\x1b" not in "".join(box(app)) and "tun7" not in "".join(box(app))
        option = window.query_one(OptionList).highlighted_option
        assert option is not None and option.id == "wlan0", "the cursor stays where it was"


async def test_later(start: Callable[..., NftuiApp], tmp_path: Path) -> None:
    app = start(first=False)
    async with app.run_test(size=(80, 24)) as pilot:
        for opened in (["7", "p"], ["colon", *"choose interf", "enter"], ["8", "slash", *"interfaces", "enter", "enter"]):
            for key in opened:
                await pilot.press(key)
                await quiet(pilot, 0.05)
            assert await asked(pilot) is not None, opened
            await pilot.press("escape")
            await quiet(pilot, 0.1)
            assert kept(tmp_path) is None and isinstance(app.screen, ShellScreen), "left as it was"
        await pilot.press("7", "p")
        assert await asked(pilot) is not None
        await pilot.press("enter")
        await until(pilot, lambda: kept(tmp_path) == ["eth0"])
        await until(pilot, lambda: app._notifications)
        assert "as soon as a collector reads " in next(one.message for one in app._notifications)
        await pilot.press("8", "g", "slash", *"interfaces", "enter")
        await quiet(pilot, 0.1)
        assert any("interfaces" in line and "eth0" in line for line in lines(app))


async def test_a_file_that_cannot_be_edited_is_said(start: Callable[..., NftuiApp], tmp_path: Path) -> None:
    app = start(first=False)
    (tmp_path / "etc" / "nftui.toml").write_text("probe = 7\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("7", "p")
        assert await asked(pilot) is not None
        await pilot.press("enter")
        await until(pilot, lambda: app._notifications)
        assert "nftui.toml" in next(one.message for one in app._notifications)
        assert app.config.probe.interfaces == ()
