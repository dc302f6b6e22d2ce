"""The Flows screen: names of interfaces and exporters, what is known of one record, and any cell as a filter."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nftui.app import NftuiApp
from nftui.config import DisplaySettings, NameSettings
from nftui.engine import filters, keys, places
from nftui.engine.account import Account
from nftui.engine.local import LocalBackEnd
from nftui.engine.owners import Owners
from nftui.engine.query import Kind, Query
from nftui.engine.writer import StoreWriter
from nftui.schema import POLARS
from nftui.screens import cells
from nftui.screens.flow_rows import FlowRows, Listed
from nftui.screens.flows import FlowsScreen
from nftui.screens.this_host import ThisHost
from tests import mmdb
from tests.screens.conftest import HOSTILE, NOW, SECOND, Scripted, flows, lines, octets_of, settled, shows, status

Make = Callable[..., NftuiApp]
RICH: dict[str, Any] = {
    "source_as": 64512, "destination_as": 15133, "source_vlan": 20, "tos": 0, "next_hop": octets_of("10.0.0.1"), "source_mask": 24,
    "destination_mask": 16, "source_mac": 0x001122334455, "sampling_interval": 100, "user_name": HOSTILE,
}  # fmt: skip


class Known(Scripted):
    """A back end that knows what exporters and interfaces are called."""

    def account(self) -> Account:
        """Return what SNMP told, some of it hostile."""
        told = status(exporters=[{"address": "192.0.2.1", "name": "r1"}])
        return Account(told, interfaces={"192.0.2.1": {"1": {"name": "ge0"}, "2": {"name": HOSTILE}, "3": {"name": "xe1"}}})


@pytest.fixture(scope="module")
def rich_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with all that a record can tell."""
    root = tmp_path_factory.mktemp("rich")
    frame = flows().with_columns(pl.lit(value, dtype=POLARS[name]).alias(name) for name, value in RICH.items())
    writer = StoreWriter(root)
    writer.append([frame])
    writer.write_tail()
    return root


async def listed(pilot: Any, *pressed: str) -> FlowsScreen:
    await settled(pilot)
    for key in ("2", *pressed):
        await pilot.press(key)
        await settled(pilot)
    assert isinstance(pilot.app.screen, FlowsScreen)
    return pilot.app.screen


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
async def test_all_that_a_record_tells(make: Make, rich_store: Path, size: tuple[int, int]) -> None:
    app = make(Known(LocalBackEnd(rich_store), status()))
    async with app.run_test(size=size) as pilot:
        await listed(pilot, *(["enter"] if size[0] < 120 else []))
        text = "\n".join(lines(app))
        for words in (
            "src 10.0.4.40",
            "dst 151.101.1.69",
            "AS 64512",
            "AS 15133",
            "VLAN 20",
            "MAC 00:11:22:33:44:55",
            "next hop 10.0.0.1",
        ):
            assert words in text
        assert "\x1b" not in text and "\u202e" not in text
        await shows(pilot, f"flows-rich-{size[0]}x{size[1]}", lambda: lines(app))


async def test_a_pair_leaves_room_for_other_columns(make: Make, rich_store: Path) -> None:
    app = make(Known(LocalBackEnd(rich_store), status()))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await listed(pilot)
        text = "src ip 10.0.4.40 and dst ip 151.101.1.69"
        app.view = app.view.down("pair", text, filters.parse(text), "flows", 0)
        await settled(pilot)
        heading = next(line for line in lines(app) if "start" in line)
        for name in ("flags", "in>out", "exporter"):
            assert name in heading
        assert "destination" not in heading
        await pilot.press("escape")
        await settled(pilot)
        assert screen.answer is not None and "destination" in "\n".join(lines(app))


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ("flow_start", {"flow_start": SECOND}), ("duration", {"flow_end": SECOND}), ("protocol", {"protocol": 47}),
        ("source_address", {"source_address": octets_of("2001:db8::5")}), ("source_port", {"source_port": 9}),
        ("octets", {"octets": 9}), ("packets", {"packets": 9}), ("tcp_flags", {"tcp_flags": 1}),
        ("interfaces", {"egress_interface": 77}), ("exporter_address", {"exporter_address": octets_of("192.0.2.77")}),
        ("tos", {"tos": 9}), ("systems", {"source_as": 9}), ("vlans", {"source_vlan": 9}),
        ("next_hop", {"next_hop": octets_of("10.0.0.9")}), ("sampling_interval", {}),
    ],
)  # fmt: skip
def test_a_cell_as_a_filter_takes_the_row_and_not_another(tmp_path: Path, column: str, changed: dict[str, Any]) -> None:
    rows = flows().head(1).with_columns(pl.lit(value, dtype=POLARS[name]).alias(name) for name, value in RICH.items())
    later = [
        (pl.col(name).cast(pl.Int64) + changed[name]).cast(POLARS[name]) for name in ("flow_start", "flow_end") if name in changed
    ]
    other = rows.with_columns(later or [pl.lit(value, dtype=POLARS[name]).alias(name) for name, value in changed.items()])
    writer = StoreWriter(tmp_path)
    writer.append([rows, other])
    writer.write_tail()
    back_end = LocalBackEnd(tmp_path)
    reply = Listed(Query(None, Kind.FLOWS, order="flow_start", limit=10)).put(back_end)
    known = FlowRows(reply, cells.cell)
    assert reply.main.flows is not None
    for place, row in enumerate(reply.main.flows.iter_rows(named=True)):
        words = known.term(column, row, place)
        if column == "sampling_interval":
            assert words is None, "the filter language has no words for it"
            continue
        assert words is not None
        found = back_end.answer(Query(None, Kind.FLOWS, where=filters.parse(words), order="flow_start", limit=10)).flows
        assert found is not None and found.rows() == [tuple(row.values())], words


async def test_only_and_not_take_what_a_cell_shows(make: Make) -> None:
    app = make()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await listed(pilot)
        columns = [column.name for column, _ in screen.table._shown]
        await pilot.press(*["l"] * columns.index("interfaces"), "i")
        await settled(pilot)
        assert app.view.text == "in if 1 and out if 3"
        await pilot.press("o")
        await settled(pilot)
        assert screen.answer is not None and not screen.answer.total.flows
        assert "F clears the filter" in "\n".join(lines(app))


async def test_sorting_by_columns_that_show_two(make: Make) -> None:
    app = make()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await listed(pilot)
        columns = [column.name for column, _ in screen.table._shown]
        await pilot.press(*["l"] * columns.index("interfaces"), "s")
        await settled(pilot)
        assert screen.answer is not None and screen.answer.query.order == "ingress_interface" and "in>out▾" in "\n".join(lines(app))


async def test_the_end_of_the_table_asks_for_more(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nftui.screens.flows.FIRST", 100)
    app = make(display=DisplaySettings(refresh=60, range="all"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await listed(pilot)
        assert screen.table.count == 100 and "100 of 1,800 flows" in "\n".join(lines(app))
        await pilot.press("G")
        await settled(pilot)
        assert screen.table.count == 1000 and screen.table.cursor == 99, "the cursor stays on its row"


async def test_times_are_those_of_the_filter(make: Make, rich_store: Path) -> None:
    app = make(LocalBackEnd(rich_store))
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, "i")
        assert app.view.text == "(first seen >= 2026-11-23T21:00:04Z and first seen < 2026-11-23T21:00:05Z)"
        assert NOW // SECOND % 60 == 5


@pytest.fixture
def located(tmp_path: Path) -> Iterator[NameSettings]:
    """Have a MaxMind file answer, for one test."""
    words, families, refused = dict(keys.WORDS), dict(keys._families), dict(keys.REFUSED)
    record = {"country": {"iso_code": "US"}, "autonomous_system_organization": f"Edge {HOSTILE}"}
    path = mmdb.write(tmp_path / "both.mmdb", {"93.184.216.0/24": record})
    settings = NameSettings(country=str(path), asn=str(path))
    places.use(settings)
    yield settings
    for known, before in ((keys.WORDS, words), (keys._families, families), (keys.REFUSED, refused)):
        known.clear()
        known.update(before)  # type: ignore[arg-type]
    keys.key.cache_clear()


async def test_countries_and_organisations(make: Make, located: NameSettings) -> None:
    app = make()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await listed(pilot, "j")
        text = "\n".join(lines(app))
        assert "AS Edge user \\x1b]52" in text and "->US" in text and "\x1b" not in text
        assert screen._rows.term("countries", screen.table.row(), 1) == "dst geo US"


async def test_the_order_of_records_is_not_that_of_the_ranked_list(make: Callable[..., NftuiApp]) -> None:
    app = make()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("2")
        screen = await settled(pilot)
        newest = screen.table.row()
        await pilot.press("S")
        screen = await settled(pilot)
        oldest = screen.table.row()
        assert newest is not None and oldest is not None and oldest["flow_start"] < newest["flow_start"]
        await pilot.press("1")
        screen = await settled(pilot)
        assert screen.answer is not None
        sums = screen.answer.groups["octets"].to_list()
        assert sums == sorted(sums, reverse=True)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_process_of_this_host_is_told(make: Make, tmp_path: Path, size: tuple[int, int]) -> None:
    name = f"{Path('/proc/self/comm').read_text('ascii').strip()} {os.getpid()}"  # noqa: ASYNC240  no file
    known = Owners(clock=lambda: NOW)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind(("127.0.0.1", 0))
        port = here.getsockname()[1]
        known.look()
    ends = {"source_address": octets_of("127.0.0.1"), "source_port": port, "protocol": 17, "destination_port": 53}
    frame = flows().tail(2).with_columns(pl.lit(value, dtype=POLARS[column]).alias(column) for column, value in ends.items())
    writer = StoreWriter(tmp_path)
    writer.append([pl.concat([frame, flows().tail(3)])])
    writer.write_tail()
    app = make(LocalBackEnd(tmp_path), here=ThisHost(known))
    async with app.run_test(size=size) as pilot:
        screen = await listed(pilot, "slash", *str(port), "enter", *(["enter"] if size[0] < 120 else []))
        row = screen.table.row()
        assert row is not None and row["source_port"] == port
        assert f"process {name}" in "\n".join(lines(app)), "in the detail"
        shown = [column.name for column, _ in screen.table._shown]
        assert ("owner" in shown) == (size[0] > 120)
        if "owner" in shown:
            assert "\n".join(lines(app)).count(name) == 3
            screen.table.action_column(shown.index("owner") - screen.table.cursor_column)
            for key in "is":
                await pilot.press(key)
            assert len(app._notifications) == 2, "no filter and no order says it"
        assert app.view.text == ""
    app = make(LocalBackEnd(tmp_path), here=ThisHost(Owners()))
    async with app.run_test(size=(200, 50)) as pilot:
        await listed(pilot)
        assert "process" not in "\n".join(lines(app)), "where nothing is known there is no column"
