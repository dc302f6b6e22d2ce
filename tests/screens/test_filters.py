"""Saved filters in the dashboard: on keys, from a view, on the screen of their own, and in the window that writes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input

from nftui.app import NftuiApp
from nftui.config import DisplaySettings
from nftui.engine.basic_filter import BasicFilter
from nftui.engine.filters import parse
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import KEYS
from nftui.engine.saved_filter import SavedFilter, SavedFilters
from nftui.errors import StoreError
from nftui.screens.dialogs import Pick
from nftui.screens.filter_form import FilterForm
from nftui.screens.filters import FiltersScreen
from nftui.screens.live import LiveScreen
from nftui.screens.widgets.choice import Choice
from nftui.screens.widgets.prompt import Prompt
from tests.screens.conftest import NOW, Scripted, lines, quiet, settled, shows, until
from tests.screens.keyboard import press

Make = Callable[..., NftuiApp]
SIZES = [(80, 24), (120, 36), (200, 50)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SavedFilters:
    """Return an empty directory, under a name that is the same in each run."""
    monkeypatch.chdir(tmp_path)
    return SavedFilters(Path("filters"))


@pytest.fixture
def saved(folder: SavedFilters) -> SavedFilters:
    """Return a directory with filters of each kind, one of which can't be used."""
    files = folder
    files.save(
        "web-lan", SavedFilter(expression="dst port in [80 443]", quick=1, aggregate_by="srcip", description="to web servers")
    )
    files.save("dns", SavedFilter(expression="port 53", quick=2))
    files.save("intranet", SavedFilter(fields=BasicFilter(source_ip="10.0.0.0/8", destination_port="443,22")))
    (files.directory / "broken.toml").write_text("expression = 'dst prt 5'\n")
    return files


def box(app: NftuiApp) -> list[str]:
    """Return the window that lies over the screen."""
    area = app.screen.query_one("#box").region
    return [line[area.x : area.right] for line in lines(app)[area.y : area.bottom]]


def text(app: NftuiApp) -> str:
    return "\n".join(lines(app))


async def opened(pilot: Pilot[None], saved: SavedFilters) -> FiltersScreen:
    """Go to the Filters screen, and wait until all is counted."""
    await settled(pilot)
    await press(pilot, "5")
    screen = await settled(pilot)
    assert isinstance(screen, FiltersScreen)
    usable = sum(one.saved is not None for one in saved.listed())
    await until(pilot, lambda: len(screen.tally.counted) >= usable and screen.table.count == len(saved.names()), "not counted")
    await settled(pilot)
    return screen


def config(saved: SavedFilters) -> Path:
    return saved.directory.parent / "nftui.toml"


# -- keys and names of a view


@pytest.mark.row("V14")
@pytest.mark.row("F10")
async def test_f_keys_load_filters_on_every_screen(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await press(pilot, "f1")
        await until(pilot, lambda: app.view.saved == "web-lan", "even before anything was read")
        await settled(pilot)
        assert (app.view.text, app.view.by) == ("dst port in [80 443]", "srcip"), "it fills the filter and the breakdown"
        assert " filter: web-lan dst port in [80 443] " in lines(app)[1]
        await press(pilot, "2", "f2")
        await settled(pilot)
        assert (app.view.saved, app.view.text, app.view.by) == ("dns", "port 53", "dstip")
        await press(pilot, "l", "l", "l", "i")
        await settled(pilot)
        assert " filter: dns* port 53 and " in lines(app)[1], "a change is marked"
        await press(pilot, "escape")
        await settled(pilot)
        assert " filter: dns port 53 " in lines(app)[1]
        await press(pilot, "F", "f9")
        await settled(pilot)
        assert app.view.text == "" and app.view.saved == ""
        assert "no saved filter has the key F9" in text(app)


async def test_f_keys_in_the_line_put_the_text_in(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=x", "f2")
        await until(pilot, lambda: app.screen.query_one(Prompt).text == "port 53")
        assert app.view.text == ""
        await press(pilot, "f10")
        assert app.screen.query_one(Prompt).text == "x"


async def test_a_file_edited_by_hand_is_taken_as_it_is_now(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        (saved.directory / "dns.toml").write_text("quick = 2\nexpression = 'dst port 53'\n")
        await press(pilot, "f2")
        await until(pilot, lambda: app.view.text == "dst port 53")
        assert app.view.where == parse("dst port 53") and app.view.saved == "dns"


@pytest.mark.row("F09")
@pytest.mark.row("V14")
async def test_save_as_new_and_update(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=src port 22", "enter")
        await settled(pilot)
        await press(pilot, "A", "=to ssh", "enter")
        await until(pilot, lambda: "to ssh" in saved.names())
        assert saved.load("to ssh").expression == "src port 22"
        assert app.view.saved == "to ssh"
        await until(pilot, lambda: " filter: to ssh src port 22" in lines(app)[1])
        await press(pilot, "f", "end", "= and proto tcp", "enter")
        await settled(pilot)
        assert "to ssh* src port 22 and proto tcp" in lines(app)[1]
        await press(pilot, "A")
        await quiet(pilot, 0.1)
        await shows(pilot, "save-80x24", lambda: box(app))
        await press(pilot, "enter")
        await until(pilot, lambda: saved.load("to ssh").expression == "src port 22 and proto tcp")
        assert saved.load("to ssh").aggregate_by == "dstip"


@pytest.mark.row("F02")
async def test_an_empty_name_becomes_one_with_the_time(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=port 22", "pagedown")
        await until(pilot, lambda: isinstance(app.screen, Pick), "the line's own key applies it, and asks for a name")
        await press(pilot, "enter")
        name = f"Netflow_Filter_{NOW // 1_000_000}"
        await until(pilot, lambda: name in saved.names())
        assert app.view.saved == name and saved.load(name).expression == "port 22"
        await press(pilot, "A", "=dns", "enter")
        await until(pilot, lambda: app.view.saved == "dns", "the name of a filter that there is leads to it")
        assert saved.load("dns").expression == "port 53", "and overwrites nothing"


async def test_updating_a_basic_filter_keeps_its_fields_where_it_says_the_same(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "A", "down", "down", "down", "enter")
        await until(pilot, lambda: app.view.saved == "intranet")
        app.view = replace(app.view, by="srcip")
        await press(pilot, "A", "down", "enter")
        await until(pilot, lambda: saved.load("intranet").aggregate_by == "srcip")
        assert saved.load("intranet").kind == "basic"


async def test_a_directory_that_cannot_be_written_is_told(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=saved.path("dns") / "nftui.toml")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot)
        await press(pilot, "A", "=x", "enter")
        await until(pilot, lambda: any("the filter was not saved" in one.message for one in app._notifications))
        assert app.view.saved == ""


# -- only saved filters


@pytest.mark.row("K08")
async def test_without_custom_filters_nothing_can_be_typed_or_saved(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved), display=DisplaySettings(refresh=60, custom_filters=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert " filter: No filter selected " in lines(app)[1]
        await until(pilot, lambda: app.shelf.revision > 0)
        for key in ("f", "A"):
            await press(pilot, key)
            await quiet(pilot, 0.1)
            assert isinstance(app.screen, Pick) and not app.screen.query(Input), "a list, and no line to type in"
            if key == "f":
                await shows(pilot, "choose-saved-80x24", lambda: box(app))
            await press(pilot, "escape")
        await press(pilot, "f", "down", "down", "enter")
        await settled(pilot)
        assert app.view.saved == "dns"
        before = {path: path.read_bytes() for path in saved.directory.iterdir()}
        screen = await opened(pilot, saved)
        for key in ("n", "E", "d", "D", "K", "S", "o"):
            await press(pilot, key)
            await pilot.pause(0.02)
            if key == "S" and isinstance(app.screen, Pick):
                await press(pilot, "escape")
            assert app.screen is screen, key
        assert app.view.text == "port 53"
        assert {path: path.read_bytes() for path in saved.directory.iterdir()} == before
        assert "n New" not in lines(app)[-1]
        await press(pilot, "j", "j", "a")
        assert app.view.text.startswith("port 53 and "), "what only narrows a saved filter is allowed"


# -- the screen


@pytest.mark.row("F01")
@pytest.mark.parametrize("size", SIZES)
async def test_layout(make: Make, saved: SavedFilters, size: tuple[int, int]) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=size) as pilot:
        await opened(pilot, saved)
        await shows(pilot, f"filters-{size[0]}x{size[1]}", lambda: lines(app))
        assert {cell_len(line) for line in lines(app)} == {size[0]}
        await press(pilot, "j", "j")
        await settled(pilot)
        await quiet(pilot, 0.1)
        await shows(pilot, f"filters-row-{size[0]}x{size[1]}", lambda: lines(app))


@pytest.mark.parametrize("size", SIZES)
async def test_empty(make: Make, folder: SavedFilters, size: tuple[int, int]) -> None:
    saved = folder
    app = make(LocalBackEnd(Path("store")), config_path=config(saved))
    async with app.run_test(size=size) as pilot:
        await opened(pilot, saved)
        await until(pilot, lambda: "no saved filters yet" in text(app))
        await shows(pilot, f"filters-empty-{size[0]}x{size[1]}", lambda: lines(app))
        for key in ("enter", "a", "o", "x", "d", "E", "D", "K", "m"):
            await press(pilot, key)
        assert isinstance(app.screen, FiltersScreen)


async def test_small_windows_have_the_list(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(60, 16)) as pilot:
        await opened(pilot, saved)
        assert "web-lan" in text(app) and "80x24" in lines(app)[0]
        assert {cell_len(line) for line in lines(app)} == {60}


async def test_hostile_names_and_expressions(make: Make, folder: SavedFilters) -> None:
    saved = folder
    saved.directory.mkdir()
    (saved.directory / "[@click=app.quit]x[red].toml").write_text("expression = \"app name '[/]'\"\n")
    (saved.directory / "evil\x1b[31m\u202egnp.toml").write_text("expression = 'port 1'\n")
    (saved.directory / "long.toml").write_text(
        f"description = '''{'x' * 300}'''\nexpression = 'port in [{' '.join(map(str, range(200)))}]'\n"
    )
    (saved.directory / "other.toml").write_bytes(b"expression = 'port \xff'\n")
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, saved)
        assert "[@click=app.q" in text(app)
        for _ in range(4):
            for character in "\x1b\x07\u202e\u200b":
                assert character not in text(app)
            assert {cell_len(line) for line in lines(app)} == {80}
            await press(pilot, "j")
            await quiet(pilot, 0.05)
        await shows(pilot, "filters-hostile-80x24", lambda: lines(app))
        await press(pilot, "G", "k", "E")
        await quiet(pilot, 0.1)
        assert isinstance(app.screen, FilterForm)
        await press(pilot, "escape", "g", "d")
        await quiet(pilot, 0.1)
        assert screen is not app.screen and "\x1b" not in text(app)


async def test_hits_are_counted_one_by_one_and_no_more_when_left(make: Make, saved: SavedFilters, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store))
    app = make(back_end, config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        back_end.gate.clear()
        await press(pilot, "5")
        await until(pilot, lambda: any("…" in line[60:72] for line in lines(app)[3:8]), "not counted yet")
        await press(pilot, "1")
        await quiet(pilot, 0.1)
        back_end.gate.set()
        await settled(pilot)
        await quiet(pilot, 0.1)
        asked = [query for query in back_end.asked if query.where == parse("port 53")]
        assert len(asked) <= 1, "those whose turn had not come were not asked for"


async def test_a_failing_store_is_told(make: Make, saved: SavedFilters, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store))
    app = make(back_end, config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        back_end.error = StoreError("/data: permission denied")
        await press(pilot, "5")
        await until(pilot, lambda: "permission denied" in text(app))
        await shows(pilot, "filters-failing-80x24", lambda: lines(app))


@pytest.mark.row("F10")
@pytest.mark.row("E08")
async def test_enter_loads_a_filter_into_the_live_view(make: Make, saved: SavedFilters) -> None:
    saved.save("web", SavedFilter(fields=BasicFilter(destination_port="80,443"), aggregate_by="srcip"))
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "j", "j", "j", "enter")
        screen = await settled(pilot)
        assert isinstance(screen, LiveScreen)
        assert (app.view.saved, app.view.text, app.view.by) == ("web", "(dst port 80 or dst port 443)", "srcip")
        assert screen.answer is not None and 0 < screen.answer.total.flows < 886


@pytest.mark.row("F12")
async def test_looking_through_a_filter_writes_nothing(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    before = {path: path.stat().st_mtime_ns for path in saved.directory.rglob("*")}
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "G", "enter")
        await settled(pilot)
    assert {path: path.stat().st_mtime_ns for path in saved.directory.rglob("*")} == before


@pytest.mark.parametrize(
    ("key", "words", "means"),
    [
        ("a", "proto tcp and port 53", "proto tcp and port 53"),
        ("o", "proto tcp or port 53", "proto tcp or port 53"),
        ("x", "proto tcp and not (port 53)", "proto tcp and not port 53"),
    ],
)
async def test_filters_are_combined(make: Make, saved: SavedFilters, store: Path, key: str, words: str, means: str) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=proto tcp", "enter")
        await opened(pilot, saved)
        await press(pilot, "j", key)
        await settled(pilot)
        assert app.view.text == words
        back_end = LocalBackEnd(store)
        question = app.view.groups(NOW)
        wanted = back_end.answer(replace(question, where=parse(means))).total
        assert back_end.answer(question).total == wanted
        await press(pilot, "escape")
        assert app.view.text == "proto tcp"


async def test_combining_keeps_alternatives_together(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "f", "=port 1 or port 2", "enter")
        await opened(pilot, saved)
        await press(pilot, "j", "j", "a")
        assert app.view.text == "(port 1 or port 2) and ((src net 10.0.0.0/8) and (dst port 443 or dst port 22))"
        assert parse(app.view.text) == app.view.where


# -- changes on the screen


@pytest.mark.row("F01")
async def test_several_are_deleted_once_asked(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "m", "space", "d")
        await quiet(pilot, 0.1)
        assert "delete 2 filters?" in text(app)
        await press(pilot, "enter")
        await quiet(pilot, 0.1)
        assert len(saved.names()) == 4, "Enter alone keeps them"
        await press(pilot, "d", "down", "enter")
        await until(pilot, lambda: saved.names() == ["intranet", "web-lan"], "broken and dns should be gone")
        await until(pilot, lambda: "2 saved" in lines(app)[2] and "marked" not in lines(app)[2])
        await press(pilot, "d", "down", "enter")
        await until(pilot, lambda: saved.names() == ["web-lan"])


async def test_quick_keys_are_given_and_taken(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "j", "K", "home", "down", "enter")
        await until(pilot, lambda: saved.load("dns").quick == 1)
        assert saved.load("web-lan").quick == 0, "a key has one filter"
        await press(pilot, "K", "home", "enter")
        await until(pilot, lambda: saved.load("dns").quick == 0)


async def test_duplicate(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "j", "D")
        await until(pilot, lambda: "dns 2" in saved.names())
        assert (saved.load("dns 2").expression, saved.load("dns 2").quick) == ("port 53", 0)


# -- the window that writes one


@pytest.mark.row("F04")
@pytest.mark.row("F05")
@pytest.mark.row("F08")
async def test_a_basic_filter_shows_its_expression_as_it_is_made(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "n")
        await until(pilot, lambda: isinstance(app.screen, FilterForm))
        await press(pilot, "=ssh in", "tab", "=to servers", "tab", "right", "right", "tab", "right", "tab", "tab")
        await press(pilot, "=192.0.2.1", "tab", "=10.0.0.0/8,10.9.9.9", "tab", "tab", "down", "=22,2222", "tab", "=tcp")
        words = "(router ip 192.0.2.1) and (src net 10.0.0.0/8 or src ip 10.9.9.9) and"
        await until(pilot, lambda: words in text(app))
        await until(pilot, lambda: " of 886 flows" in text(app))
        await quiet(pilot, 0.1)
        await shows(pilot, "filter-form-80x24", lambda: [line for line in lines(app) if " ms" not in line])
        await press(pilot, "enter")
        await until(pilot, lambda: "ssh in" in saved.names())
        made = saved.load("ssh in")
        assert (made.kind, made.aggregate_by, made.quick, made.description) == ("basic", "dstport", 1, "to servers")
        assert made.fields == BasicFilter("10.0.0.0/8,10.9.9.9", "", "", "22,2222", "tcp", "192.0.2.1")
        assert tuple(KEYS) == ("srcip", "dstip", "srcport", "dstport", "proto", "none")


@pytest.mark.row("F02")
async def test_a_name_is_required(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "n", "enter")
        await until(pilot, lambda: "a filter needs a name" in text(app))
        await press(pilot, "=dns", "enter")
        await until(pilot, lambda: "there is a filter 'dns' already" in text(app))
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, FiltersScreen))
        assert len(saved.names()) == 4


async def test_a_wrong_field_is_told_and_not_saved(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "j", "j", "E")
        await until(pilot, lambda: isinstance(app.screen, FilterForm))
        app.screen.query_one("#destination_port", Input).focus()
        await press(pilot, "=,70000", "enter")
        await until(pilot, lambda: "destination port: " in text(app))
        assert isinstance(app.screen, FilterForm)
        assert saved.load("intranet").fields.destination_port == "443,22"


@pytest.mark.row("F06")
@pytest.mark.row("F07")
@pytest.mark.parametrize("how", ["f2", "choice"])
async def test_switching_the_kind_clears_the_other_and_is_undone(make: Make, saved: SavedFilters, how: str) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "j", "j", "E")
        await until(pilot, lambda: isinstance(app.screen, FilterForm))
        form = app.screen
        assert isinstance(form, FilterForm)
        if how == "f2":
            await press(pilot, "f2")
        else:
            form.query_one("#kind", Choice).focus()
            await press(pilot, "right")
        await quiet(pilot, 0.1)
        assert form.advanced and form.query_one(Prompt).text == "(src net 10.0.0.0/8) and (dst port 443 or dst port 22)"
        assert form.query_one("#source_ip", Input).value == ""
        await shows(pilot, "filter-form-advanced-80x24", lambda: [line for line in lines(app) if " ms" not in line])
        await press(pilot, "shift+tab", "f10")
        await quiet(pilot, 0.1)
        assert not form.advanced and form.query_one("#source_ip", Input).value == "10.0.0.0/8"
        await press(pilot, "f2")
        await quiet(pilot, 0.1)
        form.query_one(Prompt).put("src port 1")
        await quiet(pilot, 0.05)
        form.query_one(Prompt).entry.focus()
        await press(pilot, "enter")
        await until(pilot, lambda: saved.load("intranet").kind == "advanced")
        made = saved.load("intranet")
        assert made.expression == "src port 1" and made.fields.blank


async def test_renaming(make: Make, saved: SavedFilters) -> None:
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "j", "E")
        await until(pilot, lambda: isinstance(app.screen, FilterForm))
        await press(pilot, "ctrl+u", "=names", "enter")
        await until(pilot, lambda: "names" in saved.names())
        assert "dns" not in saved.names() and saved.load("names") == SavedFilter(expression="port 53", quick=2)


async def test_an_expression_that_was_not_touched_keeps_its_lines(make: Make, saved: SavedFilters) -> None:
    written = "# who\nport 53 # asks\nand proto udp"
    saved.save("dns", SavedFilter(expression=written, quick=2))
    app = make(config_path=config(saved))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, saved)
        await press(pilot, "j", "E")
        await until(pilot, lambda: isinstance(app.screen, FilterForm))
        await press(pilot, "tab", "=names", "enter")
        await until(pilot, lambda: saved.load("dns").description == "names")
        assert saved.load("dns").expression == written
