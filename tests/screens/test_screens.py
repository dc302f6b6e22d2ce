"""The screens at work: what each key changes, what each state says, and that nothing is cut or wider than the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual import events

from nftui.app import NftuiApp
from nftui.config import DisplaySettings
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Measure
from nftui.errors import ConfigError, StoreError
from nftui.screens import exports
from nftui.screens.flows import FlowsScreen
from nftui.screens.glyphs import GLYPHS, Glyphs
from nftui.screens.live import LiveScreen
from nftui.screens.view import HOUR, View, parse_range
from nftui.screens.widgets.flow_table import FlowTable
from nftui.screens.widgets.typed_line import TypedLine
from tests.screens.conftest import HOSTILE, NOW, SECOND, Scripted, lines, quiet, settled, shows, status

Make = Callable[..., NftuiApp]
SIZES = [(80, 24), (120, 36), (200, 50)]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
async def test_layout(make: Make, size: tuple[int, int], theme: str) -> None:
    app = make(display=DisplaySettings(refresh=60, theme=theme))
    async with app.run_test(size=size) as pilot:
        for name, key in (("live", "1"), ("flows", "2")):
            await pilot.press(key)
            await settled(pilot)
            if theme == "dark":
                await shows(pilot, f"{name}-{size[0]}x{size[1]}", lambda: lines(app))
            shown = lines(app)
            assert len(shown) == size[1]
            assert {cell_len(line) for line in shown} == {size[0]}
            text = "\n".join(shown)
            tab = "1Live" if size[0] < 120 else "1 Live"
            for words in (tab, "LIVE 60s", "filter: all flows", "last 15m", "f Filter", "? Help"):
                assert words in text
            for widget in app.screen.query("*"):
                inside = widget.region.intersection(app.screen.region)
                assert not widget.region or inside == widget.region, f"{widget} is cut"


@pytest.mark.parametrize("size", [(60, 18), (40, 10), (79, 24), (80, 23)])
async def test_small_windows_keep_the_table_and_say_so(make: Make, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        shown = lines(app)
        assert "80x24" in shown[0]
        assert any("93.184.216.34" in line for line in shown)
        assert {cell_len(line) for line in shown} == {size[0]}


@pytest.mark.row("V16")
async def test_empty_store_says_what_to_do(make: Make, tmp_path: Path) -> None:
    app = make(LocalBackEnd(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        text = "\n".join(lines(app))
        assert "point an exporter at 10.1.2.3:9995" in text
        assert "nftui demo" in text
        assert "no collector" in text
        await shows(pilot, "live-empty-80x24", lambda: lines(app))
        await pilot.press("2")
        await settled(pilot)
        await shows(pilot, "flows-empty-80x24", lambda: lines(app))


async def test_flows_of_other_times_are_hinted_at(make: Make, tmp_path: Path) -> None:
    app = make(Scripted(LocalBackEnd(tmp_path), status(exporters=[{"address": "192.0.2.1"}])))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        text = "\n".join(lines(app))
        assert "no flows in the last 15m, but 1 exporter has sent:" in text
        assert "t, then all, shows flows of other times" in text


async def test_a_collector_that_stopped_has_no_exporters_that_send(make: Make, tmp_path: Path) -> None:
    app = make(Scripted(LocalBackEnd(tmp_path), status(running=False, exporters=[{"address": "192.0.2.1"}])))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        text = "\n".join(lines(app))
        assert "collector stopped" in text
        assert "has sent" not in text
        assert "point an exporter at" in text


async def test_a_collector_that_ended_is_told_with_its_reason(make: Make, tmp_path: Path) -> None:
    app = make(Scripted(LocalBackEnd(tmp_path), {"problem": "nftui: port 9995 in use\x1b[2J"}))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        text = "\n".join(lines(app))
        assert "collector failed" in text
        assert "port 9995 in use\\x1b[2J" in text


async def test_failing_store_says_so_and_keeps_the_old_answer(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store), status())
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        back_end.error = StoreError("/data: permission denied; run as the user of the collector")
        await pilot.press("r")
        await settled(pilot)
        text = "\n".join(lines(app))
        assert "permission denied" in text
        assert "93.184.216.34" in text
        await shows(pilot, "live-failing-80x24", lambda: lines(app))
        back_end.error = None
        await pilot.press("r")
        await settled(pilot)
        assert "permission denied" not in "\n".join(lines(app))


async def test_an_unforeseen_error_is_shown_not_fatal(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store), None)
    back_end.error = ZeroDivisionError("[b]x\x1b[2J")
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert "ZeroDivisionError: [b]x\\x1b[2J" in "\n".join(lines(app))


async def test_slow_answers_leave_the_keys_free_and_late_ones_are_dropped(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store), status())
    back_end.gives_up = False
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        back_end.gate.clear()
        await pilot.press("plus")
        await pilot.press("minus")
        await pilot.press("minus")
        await pilot.pause(1.2)
        assert "asking…" in lines(app)[0]
        assert "93.184.216.34" in "\n".join(lines(app))
        back_end.gate.set()
        await settled(pilot)
        assert screen.answer is not None
        assert screen.answer.query.interval == app.view.interval(NOW)
        assert len(back_end.asked) == 3, "one runs, the latest waits, those between are never asked"


async def test_status_that_is_old_or_absent_is_shown(make: Make, store: Path) -> None:
    for told, words in (
        (None, "no collector"),
        (status(now=NOW - 60 * SECOND), "status stale"),
        (status(running=False), "stopped"),
    ):
        app = make(Scripted(LocalBackEnd(store), told))
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            assert words in lines(app)[0]


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_strings_appear_escaped(make: Make, store: Path, size: tuple[int, int]) -> None:
    told = status(events=[{"time": NOW, "text": HOSTILE}])
    app = make(Scripted(LocalBackEnd(store), told), title=HOSTILE)
    async with app.run_test(size=size) as pilot:
        screen = await settled(pilot)
        shown = lines(app)
        assert any("\\x1b]52;c;ZXZpbA==\\x07 [@click=app.quit]x[/] \\u202egnp" in line for line in shown)
        screen.say(HOSTILE)
        await pilot.press("C")
        await quiet(pilot, 0.1)
        text = "\n".join(lines(app))
        assert "[@click=app.quit]x[/]" in text
        for character in "\x1b\x07\u202e\u200b":
            assert character not in text


async def test_hostile_filters_stay_text(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        text = "port in [80 443] or net 10.0.0.0/8"
        await pilot.press("f", *text)
        await quiet(pilot, 0.1)
        assert lines(app)[-1].startswith(" ⏎ Apply esc Cancel"), "the last line has the keys that work now"
        await pilot.press("enter")
        await settled(pilot)
        assert f"filter: {text}" in lines(app)[1]


async def test_filter_bar(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("f", *"dst port x")
        await quiet(pilot, 0.1)
        shown = lines(app)
        assert shown[1].startswith("filter: dst port x")
        assert shown[2].index("^") == shown[1].index("x"), "the caret stands below the offending word"
        await pilot.press("enter")
        assert app.view == View(), "what is wrong is not applied"
        await pilot.press("backspace", "5", "3", "enter")
        await settled(pilot)
        assert app.view.text == "dst port 53"
        await pilot.press("f", "escape")
        assert app.view.text == "dst port 53"
        await pilot.press("F")
        await settled(pilot)
        assert app.view.text == ""
        await pilot.press("f", "up")
        assert app.screen.query_one(TypedLine).value == "dst port 53"


async def test_drill_down_and_up_keep_the_cursor(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        total = screen.answer.total.flows if screen.answer else 0
        await pilot.press("j", "j")
        label = screen.table.row()
        await pilot.press("enter")
        below = await settled(pilot)
        assert isinstance(below, FlowsScreen)
        assert "all > dst ip" in lines(app)[2]
        assert below.answer is not None and 0 < below.answer.total.flows < total
        await pilot.press("l", "l", "l", "i")
        await settled(pilot)
        assert len(app.view.path) == 2
        await pilot.press("escape")
        await settled(pilot)
        assert isinstance(app.screen, FlowsScreen) and len(app.view.path) == 1
        await pilot.press("escape")
        above = await settled(pilot)
        assert isinstance(above, LiveScreen)
        assert above.table.row() == label and app.view.text == ""


async def test_only_and_not_are_undone_with_the_cursor_kept(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        await pilot.press("j", "i")
        await settled(pilot)
        assert screen.table.count == 1
        await pilot.press("escape")
        await settled(pilot)
        assert screen.table.cursor == 1 and screen.table.count > 1
        await pilot.press("o")
        await settled(pilot)
        assert app.view.text.startswith("not dst ip")


async def test_all_screens_share_the_view(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("minus", "2")
        screen = await settled(pilot)
        assert app.view.range.length == HOUR
        assert screen.asked is not None and screen.asked.main.interval == app.view.interval(NOW)
        await pilot.press("plus", "1")
        screen = await settled(pilot)
        assert screen.asked is not None and screen.asked.main.interval == View().interval(NOW)


async def test_keys_of_the_view(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("u")
        assert app.view.measure is Measure.PACKETS and app.view.order is Measure.PACKETS
        await pilot.press("s", "S")
        assert app.view.order is Measure.FLOWS and app.view.ascending
        await pilot.press("space")
        assert not app.view.follows
        await pilot.press("comma")
        assert app.view.range.interval is not None
        await pilot.press("0")
        assert app.view.follows
        await pilot.press("b", "down", "enter")
        await settled(pilot)
        assert app.view.by == "srcport"
        await pilot.press("t", *"-2h", "enter")
        await settled(pilot)
        assert app.view.range.length == 2 * HOUR
        await pilot.press("t", *"-2 parsecs", "enter")
        await quiet(pilot, 0.1)
        assert any("is no time range" in line for line in lines(app))
        await pilot.press("escape")


@pytest.mark.parametrize("drawn", GLYPHS.values(), ids=list(GLYPHS))
async def test_the_mark_of_the_order_turns_with_it(make: Make, drawn: Glyphs) -> None:
    app = make()
    app.glyphs = drawn
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for keys, column in (("", "octets"), ("2", "start"), ("3x", "octets")):
            for key in keys:
                await pilot.press(key)
                await settled(pilot)
            for turned in (False, True):
                if turned:
                    await pilot.press("S")
                    await settled(pilot)
                assert f"{column}{drawn.turned if turned else drawn.marked}" in "\n".join(lines(app)), (keys, turned)
            await pilot.press("S")
            await settled(pilot)


@pytest.mark.row("V03")
async def test_max_values_may_be_typed(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("M", *"33", "enter")
        screen = await settled(pilot)
        assert screen.asked is not None and screen.asked.main.limit == 33


async def test_find(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        await pilot.press("slash", *"10.9", "enter")
        await quiet(pilot, 0.1)
        row = screen.table.row()
        assert row is not None and screen.table.columns[1].text(0, row) == "10.9.0.2"
        await pilot.press("n", "N")
        assert screen.table.row() == row


async def test_flows_are_counted_honestly_and_the_end_asks_for_more(make: Make) -> None:
    app = make(display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        screen = await settled(pilot)
        assert "1,000 of 1,800 flows" in lines(app)[2]
        await pilot.press("G")
        await settled(pilot)
        assert "  1,800 flows" in lines(app)[2]
        assert screen.table.count == 1800


async def test_detail_shows_every_field_that_is_there(make: Make) -> None:
    app = make()
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        await settled(pilot)
        text = "\n".join(lines(app))
        for words in ("exporter", "192.0.2.1", "2026-11-23 21:00:0", "in if", "out if"):
            assert words in text


async def test_copy_goes_through_printable(make: Make) -> None:
    app = make()
    copied: list[str] = []
    app.copy_to_clipboard = copied.append  # type: ignore[assignment,method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("y")
        assert copied == ["93.184.216.34"]


async def test_nothing_reaches_the_terminal_when_nothing_changes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(display=DisplaySettings(refresh=0.5))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        sent: list[Any] = []
        monkeypatch.setattr(app, "_display", lambda screen, update: sent.append(update) if update is not None else None)
        await pilot.pause(1.3)
        assert sent == []


async def test_windows_leave_the_screen_as_it_was(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        before = lines(app)
        for key in ("b", "t", "M", "question_mark", "C", "f", "slash"):
            await pilot.press(key)
            await quiet(pilot, 0.1)
            assert lines(app) != before
            await pilot.press("escape")
            await settled(pilot)
            assert lines(app) == before, key


async def test_keys_can_be_changed_by_id(make: Make) -> None:
    app = make(display=DisplaySettings(refresh=60, keys={"view.measure": "U"}))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("U")
        assert app.view.measure is Measure.PACKETS
        assert "U Unit" in lines(app)[-1]


async def test_themes_change_at_a_key(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot)
        before = screen.query_one(FlowTable).ink.ground
        await pilot.press("T")
        await quiet(pilot, 0.1)
        assert app.theme == "dusk" and screen.query_one(FlowTable).ink.ground != before


@pytest.mark.parametrize(
    ("display", "words"),
    [
        (DisplaySettings(theme="nope"), "contrast, dark"),
        (DisplaySettings(range="nope"), "display.range"),
        (DisplaySettings(by="nope"), "srcip"),
        (DisplaySettings(keys={"view.pauze": "p"}), "view.pause"),
    ],
)
def test_settings_that_cannot_be_used(make: Make, display: DisplaySettings, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make(display=display)


async def test_what_is_wrong_with_a_long_filter_can_be_read(make: Make) -> None:
    """In 80 columns, wherever the mistake is: below the text, or before or behind what is scrolled into view."""
    start = "(src net 10.0.0.0/8 and nott dst net 10.0.0.0/8) or (udp and dst port in [53 123 500 4500]) or port "
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("f")
        entry = app.screen.query_one(TypedLine)

        async def below(value: str, *keys: str) -> tuple[str, str]:
            entry.value, entry.cursor_position = value[:-1], len(value) - 1
            await pilot.press(value[-1], *keys)
            await pilot.pause()
            text, told = lines(app)[1:3]
            return text, told

        _, told = await below(start + "80")
        assert told.strip() == "< unknown word 'nott'; did you mean nport?"
        text, told = await below(start + "80", "home")
        assert told.index("^") == text.index("nott") and "unknown word 'nott'" in told
        text, told = await below(start.replace("nott", "not") + "8O")
        assert told.index("^") == text.rindex("8O")
        assert told.lstrip().startswith("expected a number, found '8O'")
        _, told = await below(start.replace("nott", "not") + "8O", "home")
        assert told.rstrip().endswith(">") and "expected a number, found '8O'" in told


async def test_keys_typed_ahead_go_to_the_prompt(make: Make) -> None:
    """Over a slow link many keys arrive at once: those behind `f` are text, though the screen binds some of them."""
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for character in "fdst port 53":
            app.post_message(events.Key("space" if character == " " else character, character))
        app.post_message(events.Key("enter", "\r"))
        await settled(pilot)
        assert app.view.text == "dst port 53"
        assert app.screen_stack[-1] is app.screen


async def test_a_picture_loads_nothing_from_elsewhere(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        picture = exports.picture(app.screen, "")
    assert "10.9.0.2" in picture
    assert "font-face" not in picture
    assert picture.count("http") == picture.count("http://www.w3.org/2000/svg") == 1


@pytest.mark.row("V16")
async def test_a_past_without_flows_is_not_a_store_without_any(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.view = app.view.with_range(parse_range("2020-01-01T00:00Z/2020-01-02T00:00Z"))
        await settled(pilot)
        text = "\n".join(lines(app))
        assert "no flows in" in text and "2020" in text and "0 returns to now" in text
        assert "no flows yet" not in text
