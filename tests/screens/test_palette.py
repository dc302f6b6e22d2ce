"""The palette: finds every command by a few letters, goes to what is typed, and shows nothing that isn't so."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._compositor import LayoutUpdate
from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Measure
from nftui.engine.saved_filter import SavedFilter, SavedFilters
from nftui.screens.export_dialog import ExportDialog
from nftui.screens.fuzzy import match
from nftui.screens.palette import CommandList, Palette
from nftui.screens.widgets.painted import Line, Part
from tests.screens.conftest import HOSTILE, Scripted, box, lines, quiet, settled, shows

Make = Callable[..., NftuiApp]


async def opened(pilot: Pilot[None]) -> Palette:
    await settled(pilot)
    await pilot.press("colon")
    for _ in range(100):
        await pilot.pause(0.02)
        if isinstance(pilot.app.screen, Palette) and pilot.app.screen._listed and not pilot.app.screen.workers:
            break
    await quiet(pilot, 0.05)
    assert isinstance(pilot.app.screen, Palette)
    return pilot.app.screen


async def typed(pilot: Pilot[None], text: str) -> list[str]:
    """Open the palette, type, and return the titles."""
    palette = await opened(pilot)
    palette.query_one("#typed").value = text  # type: ignore[attr-defined]
    await pilot.pause(0.02)
    return [str(offer.text) for offer in palette.query_one(CommandList).offers]


async def ran(pilot: Pilot[None], text: str, down: int = 0) -> None:
    """Run what is found first, or some below it."""
    await typed(pilot, text)
    await pilot.press(*["down"] * down, "enter")
    await quiet(pilot, 0.1)


# ---------------------------------------------------------------- what it does


async def test_a_few_letters_run_a_command(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        for text, holds in (
            ("unit packets", lambda: app.view.measure.value == "packets"),
            ("circle", lambda: app.view.display == "circle"),
            ("by src port", lambda: app.view.by == "srcport"),
            ("1h", lambda: app.view.range.text == "-1h"),
            ("-2h", lambda: app.view.range.text == "-2h"),
            ("2026-11-23T20:50/2026-11-23T20:55", lambda: app.view.range.interval is not None),
            ("light", lambda: app.theme == "light"),
            ("go sum", lambda: app.current_mode == "summary"),
            ("disp area", lambda: (app.current_mode, app.view.display) == ("live", "area")),
        ):
            await ran(pilot, text)
            assert holds(), text


async def test_exports_open_the_dialog_on_their_form(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        for text, form in (("parquet", "parquet"), ("picture", "svg")):
            await ran(pilot, text)
            await quiet(pilot, 0.1)
            assert isinstance(app.screen, ExportDialog) and app.screen.form == form
            await pilot.press("escape")


async def test_what_is_typed_is_understood(make: Make, store: Path) -> None:
    app = make(Scripted(LocalBackEnd(store), {"exporters": [{"address": "192.0.2.1", "name": "edge-1"}]}))
    async with app.run_test(size=(80, 24)) as pilot:
        palette = await opened(pilot)
        for text, title, filter_ in (
            ("10.0.4.17", "10.0.4.17", "ip 10.0.4.17"), ("10.0.0.0/8", "10.0.0.0/8", "net 10.0.0.0/8"),
            ("443", "port 443", "port 443"), (":port 53", "port 53", "port 53"), ("2001:db8::1", "2001:db8::1", "ip 2001:db8::1"),
            ("as64512", "AS 64512", "as 64512"), ("70000", "AS 70000", "as 70000"), ("gre", "protocol gre", "proto gre"),
            ("dst port 443 and src net 10.0.0.0/8", "dst port 443 and src net 10.0.0.0/8", "dst port 443 and src net 10.0.0.0/8"),
            ("edge-1", "exporter edge-1 192.0.2.1", "exporter ip 192.0.2.1"), ("192.0.2.1", "192.0.2.1", "ip 192.0.2.1"),
            ("https", "port https", "port https"),
        ):  # fmt: skip
            await palette._search(text)
            first, second, *_ = palette.query_one(CommandList).offers
            assert (str(first.text), str(second.text)) == (f"Filter to {title}", f"Flows of {title}")
            assert first.offered is not None and first.offered.help == filter_
        for text, first_title in (("time", "Time"), ("flows", "Go to Flows"), ("live", "Go to Live"), ("theme", "Theme")):
            await palette._search(text)
            assert first_title in [str(offer.text) for offer in palette.query_one(CommandList).offers][:6]


@pytest.mark.parametrize(("down", "mode"), [(0, "live"), (1, "flows")])
async def test_goes_to_what_is_typed(make: Make, down: int, mode: str) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await ran(pilot, "10.0.4.17", down)
        assert (app.view.text, app.current_mode) == ("ip 10.0.4.17", mode)
        await settled(pilot)
        await pilot.press("escape")
        await quiet(pilot, 0.1)
        assert (app.view.text, app.current_mode) == ("", "live"), "Esc undoes it"


async def test_what_is_filtered_already_is_narrowed_or_left_out(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await ran(pilot, "port 443 or port 53")
        titles = await typed(pilot, "10.0.4.17")
        assert titles[:2] == ["Filter to 10.0.4.17", "Flows of 10.0.4.17"]
        await pilot.press("escape")
        for title, text in (
            ("Narrow to 10.0.4.17", "(port 443 or port 53) and ip 10.0.4.17"),
            ("Leave out 10.0.4.17", "(port 443 or port 53) and not ip 10.0.4.17"),
        ):
            await ran(pilot, "10.0.4.17", titles.index(title))
            assert app.view.text == text
            await settled(pilot)
            await pilot.press("escape")


async def test_saved_filters(make: Make, tmp_path: Path) -> None:
    SavedFilters(tmp_path / "filters").save("web-lan", SavedFilter(aggregate_by="srcip", expression="dst port in [80 443]"))
    (tmp_path / "filters" / "broken.toml").write_text("nonsense")
    app = make(config_path=tmp_path / "nftui.toml")
    async with app.run_test(size=(80, 24)) as pilot:
        assert "Filter: broken" not in await typed(pilot, "Filter:")
        await pilot.press("escape")
        await ran(pilot, "weblan")
        assert (app.view.text, app.view.by, app.view.saved) == ("dst port in [80 443]", "srcip", "web-lan")


async def test_what_is_typed_ahead_is_typed(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for key, character in (("colon", ":"), *((letter, letter) for letter in "unitpackets"), ("enter", "\r")):
            app.post_message(events.Key(key, character))
        for _ in range(250):
            await pilot.pause(0.02)
            if app.view.measure.value == "packets":
                break
        assert app.view.measure.value == "packets" and not isinstance(app.screen, (Palette, ExportDialog))


async def test_nothing_is_found(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        assert await typed(pilot, "dst port 443 adn proto tcp") == []
        assert any("adn" in line or "expected" in line for line in lines(app)[-6:])
        await pilot.press("enter")
        await quiet(pilot, 0.05)
        assert isinstance(app.screen, Palette), "there is nothing to run"
        await pilot.press("escape")
        await quiet(pilot, 0.05)
        assert app.view.text == ""


async def test_no_palette_over_a_dialog(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        await quiet(pilot, 0.1)
        app.action_command_palette()
        assert len(app.screen_stack) == 2


async def test_tab_completes_and_the_mouse_chooses(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        palette = await opened(pilot)
        await pilot.press(*"flows", "tab")
        assert palette.query_one("#typed").value == "Go to Flows"  # type: ignore[attr-defined]
        await pilot.click("#commands", offset=(5, 0))
        await quiet(pilot, 0.1)
        assert app.current_mode == "flows"


# ---------------------------------------------------------------- how it looks, and how long it takes


@pytest.mark.parametrize(
    ("name", "text", "size"), [("address", "10.0.4.17", (80, 24)), ("find", "by po", (80, 24)), ("find", "by po", (60, 15))]
)
async def test_looks(make: Make, name: str, text: str, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        await typed(pilot, text)
        await quiet(pilot, 0.05)
        await shows(pilot, f"palette-{name}-{size[0]}x{size[1]}", lambda: box(app))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_all_commands_are_listed_while_nothing_is_typed(make: Make, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        titles = await typed(pilot, "")
        shown = box(app)
        assert {"Go to Flows", "Filter", "Display: circle", "By source", "Time: last hour", "Theme: light", "Export as csv"} <= set(
            titles
        )
        assert len(shown) == 20 and {len(line) for line in shown} == {78}
        assert "a command, an address" in shown[1] and titles[0] in shown[3]


async def test_hostile_names_are_shown_as_text(make: Make, store: Path, tmp_path: Path) -> None:
    SavedFilters(tmp_path / "filters").save("[b]x", SavedFilter(description=HOSTILE, expression="port 53"))
    app = make(
        Scripted(LocalBackEnd(store), {"exporters": [{"address": "192.0.2.9", "name": HOSTILE}, {"address": HOSTILE}, 7]}),
        config_path=tmp_path / "nftui.toml",
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await typed(pilot, "user")
        text = "\n".join(lines(app))
        assert "\\x1b]52" in text and "\x1b" not in text and "\u202e" not in text
        await pilot.press("down", "enter")
        await quiet(pilot, 0.1)
        assert app.view.text == "exporter ip 192.0.2.9"
        await typed(pilot, "[b]x")
        assert any("[b]x" in line for line in lines(app))


async def test_a_search_is_quick(make: Make, store: Path) -> None:
    many = [{"address": f"10.{n >> 8}.{n & 255}.1", "name": f"edge-{n}"} for n in range(10_000)]
    app = make(Scripted(LocalBackEnd(store), {"exporters": many}))
    async with app.run_test(size=(80, 24)) as pilot:
        palette = await opened(pilot)
        for text in ("e", "edge-77", "10.1", "dst port 443 and src net 10.0.0.0/8", "zzzz", "a" * 60):
            took = []
            for _ in range(3):
                began = thread_time()
                await palette._search(text)
                took.append(thread_time() - began)
            print(f"{text[:20]:<22}{min(took) * 1000:6.1f} ms")
            assert min(took) < 0.05


async def test_the_screen_below_is_not_painted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        await opened(pilot)
        painted: list[object] = []
        display = NftuiApp._display
        monkeypatch.setattr(app, "_display", lambda over, update: (painted.append(update), display(app, over, update)))
        screen.query_one("#title", Line).show([Part("another title")])
        await quiet(pilot, 0.1)
        assert not [update for update in painted if isinstance(update, LayoutUpdate)]
        app.view = replace(app.view, order=Measure.FLOWS)
        await pilot.press("escape")
        await settled(pilot)
        assert "sort: flows" in lines(app)[12], "what changed is shown when it is seen again"


# ---------------------------------------------------------------- matching


NAMES = st.text(string.ascii_letters + " :-/0123456789", max_size=40)


@given(NAMES, NAMES)
def test_places_are_letters_of_what_is_typed(text: str, name: str) -> None:
    found = match(text, name)
    if found is not None:
        score, places = found
        assert score > 0 and all(0 <= place < len(name) for place in places)
        assert {name[place].lower() for place in places} == set(text.lower().replace(" ", ""))


@given(NAMES)
def test_a_name_finds_itself(name: str) -> None:
    assert match(name, name) is not None


@pytest.mark.parametrize(
    ("text", "better", "worse"),
    [("port", "By port", "Export as csv"), ("by sp", "By source port", "By destination port"), ("cmp", "Compare", "By exporter"),
     ("live", "Go to Live", "Deliver"), ("i", "İstanbul i", "x")],
)  # fmt: skip
def test_better_matches_score_more(text: str, better: str, worse: str) -> None:
    first, second = match(text, better), match(text, worse)
    assert first is not None and (second is None or first[0] > second[0])
