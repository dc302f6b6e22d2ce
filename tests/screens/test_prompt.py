"""The line in which a filter is typed: no key is lost or swapped, whatever the back end does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.config import Config, ExporterSettings
from nftui.engine.filters import parse
from nftui.engine.local import LocalBackEnd
from nftui.engine.saved_filter import SavedFilter, SavedFilters
from nftui.screens.flows import FlowsScreen
from nftui.screens.live import LiveScreen
from nftui.screens.widgets.prompt import Prompt
from nftui.screens.widgets.suggestions import Suggestions
from tests.screens.conftest import HOSTILE, NOW, Scripted, lines, quiet, settled, shows
from tests.screens.keyboard import burst, press

Make = Callable[..., NftuiApp]


def prompt(app: NftuiApp) -> Prompt:
    return app.screen.query_one(Prompt)


def offered(app: NftuiApp) -> list[str]:
    return [offer.insert for offer in app.screen.query_one(Suggestions).offers]


async def until(pilot: Pilot[None], words: str) -> None:
    """Wait until the screen shows words."""
    for _ in range(200):
        await pilot.pause(0.01)
        if words in "\n".join(lines(pilot.app)):  # type: ignore[arg-type]
            return
    pytest.fail(f"{words!r} was not shown:\n" + "\n".join(lines(pilot.app)))  # type: ignore[arg-type]


async def until_offered(pilot: Pilot[None], value: str) -> None:
    """Wait until the list has a value."""
    for _ in range(200):
        await pilot.pause(0.01)
        if value in offered(pilot.app):  # type: ignore[arg-type]
            await quiet(pilot, 0.05)
            return
    pytest.fail(f"{value!r} was not offered")


@pytest.mark.row("V13")
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
async def test_layout(make: Make, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        before = lines(app)
        await press(pilot, "f", "=dst ")
        await until_offered(pilot, "93.184.216.34")
        told = lines(app)[2]
        assert "expected a field after 'dst'" in told and "^" not in told, "it isn't wrong, it goes on"
        await shows(pilot, f"prompt-{size[0]}x{size[1]}", lambda: [*lines(app)[:9], lines(app)[-1]])
        assert lines(app)[9:-1] == before[9:-1], "nothing moves below the list"
        await press(pilot, "escape")
        await settled(pilot)
        assert lines(app) == before


@pytest.mark.row("V13")
async def test_what_is_typed_is_counted_and_noted(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=port 80 or port 443 and src ip 10.0.4.38")
        await until(pilot, "ok  8 of 886 flows")
        text = "\n".join(lines(app))
        assert "note: column 9: 'and' binds before 'or'" in text
        await press(pilot, "space", "=8")
        await quiet(pilot, 0.05)
        assert "^ unexpected '8'" in lines(app)[2] or "'8'" in lines(app)[2]


async def test_tab_completes_values_of_the_data(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=ds", "tab", "=po", "tab")
        assert prompt(app).text == "dst port "
        await until_offered(pilot, "443")
        await press(pilot, "tab")
        first = prompt(app).text
        assert first in ("dst port 443 ", "dst port 53 ", "dst port 22 ")
        await press(pilot, "=an", "tab", "=router ip ")
        await until_offered(pilot, "192.0.2.1")
        await press(pilot, "tab", "enter")
        await settled(pilot)
        assert app.view.text == f"{first}and router ip 192.0.2.1", "V12: only that exporter"


@pytest.mark.row("V12")
async def test_exporters_are_offered_with_their_names(make: Make) -> None:
    app = make(config=Config(exporters={"192.0.2.1": ExporterSettings(name="edge")}))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=exporter ip ")
        await until(pilot, "edge")
        assert "192.0.2.1" in offered(app)


async def test_the_list_is_walked_and_taken_from(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=proto ")
        await until(pilot, "UDP")
        await press(pilot, "down", "down", "up", "down", "enter")
        assert prompt(app).is_open and prompt(app).text == f"proto {'UDP'} "
        await press(pilot, "down", "escape")
        assert prompt(app).is_open, "the first Esc leaves the list"
        await press(pilot, "escape")
        assert not prompt(app).is_open and app.view.text == ""


async def test_a_click_takes_what_is_listed(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=dst ")
        await until_offered(pilot, "93.184.216.34")
        await pilot.click(Suggestions, offset=(15, 0))
        await quiet(pilot, 0.05)
        assert prompt(app).text == "dst ip "


async def test_undo_goes_back_word_by_word_and_forth(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=dst port 443")
        seen = []
        for _ in range(5):
            await press(pilot, "f10")
            seen.append(prompt(app).text)
        assert seen == ["dst port ", "dst ", "", "", ""]
        await press(pilot, "f12", "ctrl+y", "ctrl+y", "ctrl+y")
        assert prompt(app).text == "dst port 443"
        await press(pilot, "ctrl+u", "ctrl+underscore")
        assert prompt(app).text == "dst port 443" and prompt(app).entry.cursor_position == 12
        await press(pilot, "x", "ctrl+z", "end", "backspace")
        assert prompt(app).text == "dst port 44"


async def test_history_gives_back_what_was_being_typed(make: Make) -> None:
    app = make()
    app.filter_history += ["dst port 53", "src port 22"]
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=proto t", "up", "up", "up")
        assert prompt(app).text == "dst port 53"
        await press(pilot, "down", "down")
        assert prompt(app).text == "proto t"
        await press(pilot, "up", "enter")
        await settled(pilot)
        assert app.view.text == "src port 22" and app.filter_history == ["dst port 53", "src port 22"]


async def test_recent_and_saved_filters_are_listed_by_a_plain_key(make: Make, tmp_path: Path) -> None:
    SavedFilters(tmp_path / "filters").save("web", SavedFilter(expression="dst port 443", quick=3))
    app = make(config_path=tmp_path / "nftui.toml")
    app.filter_history += ["dst port 53"]
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "pageup")
        await until(pilot, "F3 web")
        assert offered(app) == ["dst port 53", "dst port 443"]
        await press(pilot, "down", "enter", "enter")
        await settled(pilot)
        assert app.view.text == "dst port 443" and app.view.saved == "web"
        await press(pilot, "f", "ctrl+u", "=we")
        await quiet(pilot, 0.05)
        assert offered(app)[-1] == "dst port 443", "a saved filter is offered by its name"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("fdst port 53\x15src port 22\r", "src port 22"),
        ("fdst port 5\x7f\x7f 53\r", "dst port 53"),
        ("fxyz\x15\x15dst\x7f\x7f\x7fport 22\x1b", ""),
        ("fds\tport 443\rfsrc port 1 and \x15src port 99\r", "src port 99"),
    ],
)
async def test_keys_that_come_all_at_once_are_taken_in_order(make: Make, keys: str, text: str) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        burst(app, keys)
        await settled(pilot)
        assert app.view.text == text and not prompt(app).is_open


async def test_keys_behind_enter_and_escape_are_the_screens(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        burst(app, "fnot port 1\rjj")
        await settled(pilot)
        assert app.view.text == "not port 1" and screen.table.cursor == 2
        burst(app, "fzzz\x1bk")
        await settled(pilot)
        assert screen.table.cursor == 1
        burst(app, "f\x1b2")
        await settled(pilot)
        assert isinstance(app.screen, FlowsScreen)


@pytest.mark.row("V13")
async def test_no_key_waits_for_a_slow_back_end(make: Make, store: Path) -> None:
    """200 characters at 30 a second while no answer ever comes: each is there at once, and in its place."""
    back_end = Scripted(LocalBackEnd(store))
    app = make(back_end)
    text = ("not (src net 10.0.0.0/8 or dst port in [80 443 8080]) and " * 4)[:200]
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        back_end.gate.clear()
        await press(pilot, "f")
        waits = []
        for n, character in enumerate(text, 1):
            began = time.perf_counter()
            burst(app, character)
            while prompt(app).text != text[:n]:
                assert time.perf_counter() - began < 2, f"lost at {n}"
                await pilot.pause(0.001)
            waits.append(time.perf_counter() - began)
            await pilot.pause(max(1 / 30 - waits[-1], 0.001) if n % 20 == 0 else 0.001)
        asked = len(back_end.asked)
        back_end.gate.set()
        assert sorted(waits)[len(waits) // 2] < 0.1, (
            "half of the keys are shown within 100 ms, on a machine with whatever else to do"
        )
        assert asked < 10, "nothing piles up behind a slow answer"


async def test_answers_to_older_texts_are_dropped(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store))
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        back_end.gate.clear()
        await press(pilot, "f", "=dst port 443")
        await quiet(pilot, 0.1)
        await press(pilot, "backspace", "backspace", "backspace", "=22")
        await quiet(pilot, 0.1)
        back_end.gate.set()
        await until(pilot, " of 886 flows")
        await quiet(pilot, 0.1)
        asked = replace(app.view, where=parse("dst port 22")).groups(NOW)
        expected = LocalBackEnd(store).answer(asked).total.flows
        assert f"ok  {expected} of 886 flows" in lines(app)[2]


async def test_included_files_are_read_off_the_screen(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "filters"
    folder.mkdir()
    (folder / "servers").write_text("dst port 443 # the web\n")
    (folder / "wrong").write_text("dst prt 443")
    app = make(config_path=tmp_path / "nftui.toml")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=@include ")
        await until(pilot, "servers")
        assert {"servers", "wrong"} <= set(offered(app))
        await press(pilot, "=wrong")
        await until(pilot, "^ filters/wrong, column 5")
        burst(app, "\x15@include servers\r")
        await until(pilot, " filter: @include servers")
        await settled(pilot)
        screen = app.screen
        assert isinstance(screen, LiveScreen) and screen.answer is not None and 0 < screen.answer.total.flows < 886
        await press(pilot, "i")
        await settled(pilot)
        assert app.view.text.startswith("@include servers and dst ip"), "narrowing needs no file again"


async def test_hostile_texts_stay_text(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "filters"
    folder.mkdir()
    (folder / "evil.toml").write_text("description = 'x'\nexpression = \"app name '[@click=app.quit]x[/]'\"\n")
    app = make(config_path=tmp_path / "nftui.toml")
    app.filter_history.append(f"app name '{HOSTILE}'")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "pageup")
        await quiet(pilot, 0.1)
        text = "\n".join(lines(app))
        assert "[@click=app.quit]x" in text
        for character in "\x1b\x07\u202e\u200b":
            assert character not in text
        app.screen.query_one(Prompt).entry.post_message(events.Paste("dst port 443 # web\nand \x1b[31msrc port > 1023\n"))
        await press(pilot, "escape")
        await quiet(pilot, 0.1)
        assert prompt(app).text == "dst port 443 and [31msrc port > 1023", "lines become one, without comments and escapes"


async def test_names_are_looked_up_only_once_they_are_entered(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store))
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        count = len(back_end.asked)
        await press(pilot, "f", "=host www.example.net")
        await quiet(pilot, 0.1)
        assert not any("example" in repr(query.where) for query in back_end.asked[count:])
