"""The table: rows in sight only, the cursor kept on its row."""

from __future__ import annotations

import time

import polars as pl
from textual.app import App, ComposeResult

from nftui.screens.themes import load
from nftui.screens.widgets.flow_table import FlowTable, TableColumn

COLUMNS = [
    TableColumn("name", "name", 10, lambda n, row: str(row["name"])),
    TableColumn("value", "value", 6, lambda n, row: str(row["value"]), True, rank=1),
    TableColumn("more", "more", 30, lambda n, row: "x", rank=2),
]


class TableApp(App[None]):
    CSS = "FlowTable { width: 100%; height: 100%; }"

    def compose(self) -> ComposeResult:
        yield FlowTable()

    def on_mount(self) -> None:
        self.register_theme(load("dark"))
        self.theme = "dark"


def frame(*names: str | None) -> pl.DataFrame:
    return pl.DataFrame({"name": list(names), "value": [1] * len(names)}, schema={"name": pl.String, "value": pl.Int64})


async def test_cursor_stays_on_its_row_when_others_come_before_it() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        table = app.query_one(FlowTable)
        table.show(frame("a", None, "c"), COLUMNS, ("name",))
        table.go(1)
        table.show(frame("z", "a", "c", None), COLUMNS, ("name",))
        assert table.cursor == 3
        table.show(frame("z"), COLUMNS, ("name",))
        assert table.cursor == 0
        table.show(frame("y", "z"), COLUMNS, ("name",))
        assert table.cursor == 0, "on the first row it stays with what is newest"
        table.show(None, COLUMNS, notice=["nothing"])
        await pilot.press("j", "enter", "y", "G")
        assert table.row() is None


async def test_columns_give_way_by_their_rank() -> None:
    app = TableApp()
    async with app.run_test(size=(24, 10)) as pilot:
        table = app.query_one(FlowTable)
        table.show(frame("a"), COLUMNS)
        await pilot.pause()
        assert [column.name for column, _ in table._shown] == ["name", "value"]
        await pilot.resize_terminal(60, 10)
        await pilot.pause()
        assert [column.name for column, _ in table._shown] == ["name", "value", "more"]


async def test_a_table_of_any_length_paints_what_is_in_sight() -> None:
    app = TableApp()
    asked: list[int] = []
    columns = [TableColumn("name", "name", 10, lambda n, row: asked.append(n) or str(n))]  # type: ignore[func-returns-value]
    async with app.run_test(size=(40, 10)) as pilot:
        table = app.query_one(FlowTable)
        began = time.perf_counter()
        table.show(frame(*map(str, range(200_000))), columns)
        assert time.perf_counter() - began < 1.0
        asked.clear()
        await pilot.press("G")
        await pilot.pause()
        assert table.cursor == 199_999 and set(asked) == set(range(199_991, 200_000))
        assert table.render_line(9).text.startswith("▌199999")
        await pilot.press("g", "pagedown", "ctrl+d", "k")
        assert table.cursor == 9 + 4 - 1


async def test_a_number_is_left_away_rather_than_cut() -> None:
    columns = [
        TableColumn("name", "name", 10, lambda n, row: str(row["name"])),
        *(TableColumn(name, name, 8, lambda n, row: "12345678", True) for name in ("one", "two", "three")),
    ]
    app = TableApp()
    async with app.run_test(size=(60, 10)) as pilot:
        table = app.query_one(FlowTable)
        table.show(frame("a"), columns)
        for width in range(14, 44):
            await pilot.resize_terminal(width, 10)
            await pilot.pause()
            row = table._strips[1].text
            assert row.count("12345678") == len(row[12:].split()) == min((width - 13) // 9, 3), (width, row)
