"""Writing what a screen shows to a file: every thing in every form, and what the dialog says when it can't."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from nftui.app import NftuiApp
from nftui.engine.local import LocalBackEnd
from nftui.engine.ordered import Records
from nftui.engine.query import Query
from nftui.screens.export_dialog import FORMS, ExportDialog
from nftui.screens.exports import with_suffix
from tests.screens.conftest import HOSTILE, Scripted, box, quiet, settled, shows, until

Make = Callable[..., NftuiApp]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def opened(pilot: Pilot[None]) -> ExportDialog:
    await settled(pilot)
    await pilot.press("e")
    await until(pilot, lambda: isinstance(pilot.app.screen, ExportDialog) and pilot.app.screen.query("#name"))
    await quiet(pilot, 0.05)
    assert isinstance(pilot.app.screen, ExportDialog)
    return pilot.app.screen


def words(dialog: ExportDialog) -> str:
    return str(dialog.query_one("#words").render())


async def wrote(pilot: Pilot[None], here: Path) -> Path:
    await until(pilot, lambda: not isinstance(pilot.app.screen, ExportDialog))
    (file,) = listed(here)
    return file


@pytest.mark.row("X04")
async def test_two_keys_write_the_ranked_list_as_csv(make: Make, here: Path) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        file = await wrote(pilot, here)
    assert file.name == "nftui-live-top-20261123-210005.csv"
    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8"))))
    assert list(rows[0])[:4] == ["destination_address", "octets", "packets", "flows"]
    assert app.view.limit >= len(rows) == 6
    assert sum(int(row["flows"]) for row in rows) == sum(int(row["flows"]) for row in rows if row["first"]) > 800


async def test_each_form(make: Make, here: Path) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        for key, form, _ in FORMS:
            dialog = await opened(pilot)
            await pilot.press(key)
            await pilot.pause(0.02)
            assert dialog.form == form
            await pilot.press("enter")
            await until(pilot, lambda dialog=dialog: app.screen is not dialog)
    octets = {file.suffix[1:]: file.read_bytes() for file in listed(here)}
    assert len(octets) == len(FORMS)
    frame = pl.read_parquet(octets["parquet"])
    assert frame.height == 6 and frame.schema["first"].is_temporal()
    told = json.loads(octets["json"])
    assert told["total"]["flows"] == sum(row["flows"] for row in told["rows"]) and told["coverage"]["parts"]
    assert [set(json.loads(line)) >= {"octets", "first"} for line in octets["ndjson"].splitlines()] == [True] * 6
    assert octets["svg"].startswith(b"<svg") and b"font-face" not in octets["svg"] and b"10.9.0.2" in octets["svg"]
    assert b"markdown" not in octets["svg"], "the picture is of the screen, not of the dialog"
    assert octets["md"].decode().splitlines()[1].startswith("| ---") and octets["md"].count(b"\n") == 8
    assert b"93.184.216.34" in octets["txt"] and b"2026-11-23 20:45" in octets["txt"]


async def test_each_thing_of_the_live_screen(make: Make, here: Path) -> None:
    app = make()
    app.set_reactive(NftuiApp.view, app.view.__class__(limit=2))
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await opened(pilot)
        titles = [dialog.query_one("#what", OptionList).get_option_at_index(n).prompt for n in range(3)]
        assert [str(title) for title in titles] == ["top 2 by destination", "all 6 by destination", "series of 45 samples"]
        for place, name in enumerate(("two.csv", "six.csv", "series.csv")):
            dialog.query_one("#what", OptionList).highlighted = place
            dialog.query_one("#name", Input).value = name
            await pilot.press("enter")
            await until(pilot, (here / name).exists)
            dialog = await opened(pilot)
    assert [(here / name).read_text().count("\n") for name in ("two.csv", "six.csv", "series.csv")] == [3, 7, 46]


async def test_flows_are_all_that_match(make: Make, here: Path) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        dialog = await opened(pilot)
        await pilot.press("n")
        await pilot.pause(0.02)
        name = dialog.query_one("#name", Input).value
        await pilot.press("enter")
        file = await wrote(pilot, here)
        total = app.screen.answer.total.flows  # type: ignore[attr-defined]
    assert file.name == name == "nftui-flows-flows-20261123-210005.ndjson"
    assert len(file.read_bytes().splitlines()) == total > 800


async def test_sources_as_they_are_shown(make: Make, here: Path, store: Path) -> None:
    app = make(Scripted(LocalBackEnd(store), {"now": 1, "exporters": [{"address": HOSTILE, "name": "=1+1"}]}))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("7")
        await until(pilot, lambda: app.screen.query_one("#table").count)  # type: ignore[attr-defined]
        await pilot.press("e", "enter")
        file = await wrote(pilot, here)
    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8"))))
    assert rows[0]["exporter"].startswith("'=1+1") and "\x1b" not in rows[0]["exporter"]


async def test_a_file_that_exists_is_asked_about(make: Make, here: Path) -> None:
    (here / "kept.csv").write_text("mine")
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await opened(pilot)
        dialog.query_one("#name", Input).value = "kept.csv"
        await pilot.press("enter")
        await until(pilot, lambda: "exists" in words(dialog))
        await shows(pilot, "export-exists-80x24", lambda: box(app))
        dialog.query_one("#name", Input).value = "kept2.csv"
        await pilot.pause(0.02)
        assert "exists" not in words(dialog)
        dialog.query_one("#name", Input).value = "kept.csv"
        await pilot.press("enter")
        await until(pilot, lambda: "exists" in words(dialog))
        assert (here / "kept.csv").read_text() == "mine", "another name takes the question back"
        await pilot.press("enter")
        file = await wrote(pilot, here)
    assert file.read_text().startswith("destination_address")


async def test_what_is_wrong_is_one_line(make: Make, here: Path) -> None:
    wrong = {
        "nowhere/x.csv": "No such file or directory", ".": "Is a directory", "~nobody-here/x": "nobody's home",
        "x" * 300: "File name too long", f"{HOSTILE}/x": "No such file", "": "type a name",
    }  # fmt: skip
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await opened(pilot)
        for name, said in wrong.items():
            dialog.query_one("#name", Input).value = name
            await pilot.press("enter")
            await until(pilot, lambda said=said: said in words(dialog))
            assert "\x1b" not in words(dialog) and "--out" not in words(dialog)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not dialog)
    assert listed(here) == []


class Halting(Scripted):
    """A back end whose records come only when the gate opens."""

    def records(self, query: Query) -> Records:
        self.gate.wait(10)
        return self.behind.records(query)


async def test_escape_gives_up_what_is_being_written(make: Make, here: Path, store: Path) -> None:
    back_end = Halting(LocalBackEnd(store))
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        dialog = await opened(pilot)
        back_end.gate = threading.Event()
        await pilot.press("enter")
        await until(pilot, lambda: "writing" in words(dialog))
        await pilot.press("escape")
        await until(pilot, lambda: "giving up" in words(dialog))
        back_end.gate.set()
        await until(pilot, lambda: "given up" in words(dialog))
    assert listed(here) == []


async def test_letters_are_text_in_the_name(make: Make) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await opened(pilot)
        await pilot.press("tab", "p", "q")
        await pilot.pause(0.02)
        assert dialog.form == "csv" and dialog.query_one("#name", Input).value.endswith(".csvpq")


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_looks(make: Make, size: tuple[int, int]) -> None:
    app = make()
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await shows(pilot, f"export-{size[0]}x{size[1]}", lambda: box(app))


async def test_a_screen_without_an_answer_has_its_picture_alone(make: Make, store: Path) -> None:
    slow = Scripted(LocalBackEnd(store))
    slow.gate.clear()
    app = make(slow)
    async with app.run_test(size=(80, 24)) as pilot:
        await quiet(pilot, 0.1)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await quiet(pilot, 0.1)
        assert not app.screen.query_one("#what").display
        await shows(pilot, "export-empty-80x24", lambda: box(app))
        slow.gate.set()


@pytest.mark.parametrize(
    ("name", "form", "becomes"),
    [("a.csv", "json", "a.json"), ("a.b", "json", "a.b"), ("a", "svg", "a"), ("a.md", "text", "a.txt"), (".csv", "csv", ".csv")],
)
def test_suffix_follows_the_form(name: str, form: str, becomes: str) -> None:
    assert with_suffix(name, form) == becomes


async def test_keys_typed_ahead_go_to_the_dialog(make: Make, here: Path) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        for key, character in (("e", "e"), ("j", "j"), ("enter", "\r")):
            app.post_message(events.Key(key, character))
        await until(pilot, lambda: listed(here))
        assert json.loads((await wrote(pilot, here)).read_text())
