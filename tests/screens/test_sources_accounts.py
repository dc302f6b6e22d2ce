"""The Sources screen over accounts that aren't there, are old, lie, or are very long."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from nftui.app import NftuiApp
from nftui.capture.decoder import Decoder, Rules
from nftui.engine.account import Account
from nftui.engine.local import LocalBackEnd
from nftui.engine.store import Lock
from nftui.errors import StoreError
from nftui.screens.exporters import Exporters, since
from nftui.screens.widgets.sheet import Sheet
from tests.capture import build
from tests.screens.conftest import HOSTILE, NOW, SECOND, Scripted, lines, quiet, shows
from tests.screens.sources import (
    EXPORTERS,
    INTERFACES,
    MINUTE,
    SIZES,
    account,
    ago,
    domain,
    exporter,
    hostile,
    looked,
    opened,
    text,
)

Make = Callable[..., NftuiApp]


async def test_no_collector(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(None))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "no collector" in lines(app)[0]
        assert "nftui demo" in text(app)
        await shows(pilot, "sources-none-80x24", lambda: lines(app))


async def test_a_collector_that_is_only_starting(make: Make, data: Callable[..., LocalBackEnd], tmp_path: Path) -> None:
    back_end = data(None)
    lock = Lock(tmp_path)
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "the collector is starting" in text(app)
    lock.close()


async def test_no_exporters_yet(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account(exporters=[], exporters_known=0, sequence_lost=0, held_octets=0, events=[])))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "point one at 10.1.2.3:9995" in text(app)
        assert "0 exporters" in text(app)
        await shows(pilot, "sources-empty-80x24", lambda: lines(app))


async def test_stale_and_stopped_accounts_are_dated(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    for status, words in ((account(now=NOW - 3 * MINUTE), "status stale 3m"), (account(running=False), "collector stopped")):
        app = make(data(status))
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(pilot)
            assert words in lines(app)[0]
            assert "as of 2026-11-23" in text(app)
            assert "10.0.0.2" in text(app)


@pytest.mark.parametrize("broken", ["", "{", "[1, 2]", '"\\ud800"', '{"now": ' + "9" * 500, "\x00", "[" * 100_000, '{"a": NaN}'])
async def test_what_is_no_account_is_not_trusted(make: Make, data: Callable[..., LocalBackEnd], broken: str) -> None:
    app = make(data(broken))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "status untrusted" in lines(app)[0]
        assert "nothing of it is shown" in text(app)
        assert "status.json" in text(app)


async def test_an_account_that_may_not_be_read(make: Make, tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    app = make(LocalBackEnd(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "status.json can't be read: Is a directory" in text(app)


async def test_a_back_end_that_fails_and_a_collector_that_ended(make: Make, store: Path) -> None:
    back_end = Scripted(LocalBackEnd(store), {"problem": "port 9995 in use\x1b[2J"})
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "port 9995 in use\\x1b[2J" in text(app)
        back_end.error = StoreError("[b]gone\x1b")
        await pilot.press("r")
        await quiet(pilot, 0.1)
        assert "[b]gone\\x1b" in text(app)


async def test_the_store_and_who_is_not_allowed(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    told = {
        "state": "ok", "octets": 12_300_000_000, "free_octets": 10**11, "segments": 41, "oldest": ago(86_400),
        "written_per_s": 1_200_000, "set_aside": ["a.arrow"], "compaction": "idle",
    }  # fmt: skip
    strangers = {"datagrams": 1234, "octets": 5, "addresses": {"203.0.113.7": 1200, "198.51.100.3": 34}}
    app = make(data(account(store=told, unknown_exporters=strangers)))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        await shows(pilot, "sources-store-120x36", lambda: lines(app))
        assert "12.3 GB, 41 segments since 11-22" in text(app)
        assert "not allowed 1,234 datagrams  203.0.113.7 1,200" in text(app)
    app = make(data(account(store={"state": "the disk is full: flows wait in memory"})))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "store the disk is full: flows wait in memory" in text(app)


# ---------------------------------------------------------------- hostile


ABSURD: list[object] = [
    None, -1, 10**18, -(2**63), 1e308, -1e308, "", HOSTILE, [HOSTILE], {"\x1b": "\x1b"}, True, 2**63 - 1, 0.1, "9" * 300,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_an_account_that_lies_harms_nothing(make: Make, data: Callable[..., LocalBackEnd], seed: int) -> None:
    dice = random.Random(seed)
    status = hostile(account(store={"state": "ok", "octets": 1}, unknown_exporters={"datagrams": 3, "addresses": {"a": 1}}), dice)
    app = make(data(json.dumps(status), hostile(INTERFACES, dice)))
    async with app.run_test(size=SIZES[seed % 3]) as pilot:
        screen = await opened(pilot)
        assert not screen.problem, screen.problem
        for key in ("j", "s", "G", "enter", "G", "escape", "l", "s"):
            await pilot.press(key)
        await quiet(pilot, 0.1)
        shown = text(app)
        assert not {"\x1b", "\x07", "\u202e", "\u200b"} & set(shown)
        assert {cell_len(line) for line in lines(app)} == {SIZES[seed % 3][0]}


async def test_hostile_words_everywhere(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    one = exporter(
        HOSTILE, HOSTILE, templates_awaited=[HOSTILE], malformed={HOSTILE: 1}, unread={HOSTILE: 2}, unknown_elements={HOSTILE: 3},
        samples={HOSTILE: 4}, discards={HOSTILE: 5}, sampling={HOSTILE: 6}, lost={HOSTILE: 7}, gaps=1, last_gap=HOSTILE,
        last_seen=HOSTILE, observation_domains=[domain(1, protocol=HOSTILE, templates=[HOSTILE], awaited=[{"template": HOSTILE}])],
    )  # fmt: skip
    listen = [{"address": HOSTILE, "port": HOSTILE, "transport": HOSTILE, "connections": {"open": 1}}]
    status = account(
        exporters=[one], listen=listen, store={"state": HOSTILE, "oldest": HOSTILE, "retention": HOSTILE},
        unknown_exporters={"datagrams": 1, "addresses": {HOSTILE: 1}}, events=[{"time": NOW, "text": HOSTILE}],
    )  # fmt: skip
    app = make(data(status, {HOSTILE: {HOSTILE: {"name": HOSTILE, "description": HOSTILE, "speed": HOSTILE}}}))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        await pilot.press("y", "Y")
        assert "\x1b" not in app.clipboard
        assert "[@click=app.quit]x[/]" in text(app)
        await shows(pilot, "sources-hostile-120x36", lambda: lines(app))


# ---------------------------------------------------------------- a real decoder, and many exporters


async def test_what_a_decoder_says_is_what_is_shown(make: Make, tmp_path: Path) -> None:
    decoder = Decoder(Rules(held_age=3600 * SECOND))
    sent = build.block(
        [
            build.ipfix(build.one_set(2, build.template(300, build.PROTOCOL_AND_OCTETS)), build.one_set(300, build.small(1, 10))),
            build.ipfix(build.one_set(300, build.small(1, 10)), sequence=6),
            build.ipfix(build.one_set(301, build.small(1, 10)), sequence=7),
        ]
    )
    decoder.decode(sent)
    now = build.NOW * SECOND
    told = decoder.status(now, hurry=True)
    events = [{"time": when, "text": words} for when, words in decoder.events]
    status = {**told, "now": now, "running": True, "listen": [], "events": events}
    (tmp_path / "status.json").write_bytes(msgspec.json.encode(status))
    app = make(LocalBackEnd(tmp_path), clock=lambda: now)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        for words in ("192.0.2.1", "1/2 !", "5 records  in 1 gap", "7 IPFIX  300", "! 301: 1 set held", "left",
                      "template 301 of domain 7 awaited"):  # fmt: skip
            assert words in text(app), words


def many(number: int) -> dict[str, Any]:
    addresses = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(number)]
    entries = [
        {key: value for key, value in exporter(address, "v9", templates=4, flows_per_s=float(n % 97)).items() if value}
        for n, address in enumerate(addresses)
    ]
    return account(exporters=entries, exporters_known=number)


async def test_ten_thousand_exporters(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    back_end = data(many(10_000))
    app = make(back_end)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        assert "10,000 exporters" in text(app)
        began = time.process_time()
        for _ in range(20):
            await pilot.press("j", "pagedown")
        await pilot.press("G")
        assert (time.process_time() - began) / 41 < 0.1, "a key took a tenth of a second of CPU time"
        assert screen.table.cursor == 9_999
        await quiet(pilot, 0.1)
        assert "10.0.39.15" in text(app)
        await pilot.press("s")
        await quiet(pilot, 0.1)
        row = screen.table.row(0)
        assert row is not None and row["address"] == "10.0.0.0"


def test_an_account_of_ten_thousand_is_read_in_a_moment() -> None:
    status = many(10_000)
    began = time.process_time()
    found = Exporters.of(Account(status))
    assert time.process_time() - began < 1.5
    assert found.frame.height == 10_000
    for column in ("address", "templates", "seen"):
        assert found.ordered(column, ascending=True).height == 10_000


def test_nothing_that_did_not_change_is_read_or_made_again(data: Callable[..., LocalBackEnd]) -> None:
    back_end = data(account())
    first, second = back_end.account(), back_end.account()
    assert second.status is first.status
    assert second.interfaces is first.interfaces
    time.sleep(0.01)
    (back_end.store.root / "status.json").write_text(json.dumps(account(pid=2)))
    assert back_end.account().status == account(pid=2)


def test_interfaces_of_several_files_are_one_and_what_was_asked_stands_behind(data: Callable[..., LocalBackEnd]) -> None:
    back_end = data(account(), {"10.0.0.1": {"1": {"name": "told", "speed": 0}, "2": {"name": ""}}})
    for name, known in (
        ("interfaces.2.json", {"10.0.0.7": {"1": {"name": "other process"}}}),
        ("interfaces.snmp.json", {"10.0.0.1": {"1": {"name": "asked", "speed": 10**9}, "2": {"name": "asked"}}}),
    ):
        (back_end.store.root / name).write_text(json.dumps({"version": 1, "exporters": known}))
    (back_end.store.root / "interfaces.3.json").write_text("{")
    assert back_end.account().interfaces == {
        "10.0.0.1": {"1": {"name": "told", "speed": 10**9}, "2": {"name": "asked"}},
        "10.0.0.7": {"1": {"name": "other process"}},
    }


@pytest.mark.parametrize(("seconds", "words"), [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (7300, "2h"), (41 * 86_400, "41d")])
def test_lengths_of_time_have_one_unit(seconds: int, words: str) -> None:
    assert since(NOW - seconds * SECOND, NOW) == words


async def test_a_second_sends_little_and_idling_nothing(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    """What is painted again is what changed: counted in cells, as an account changes as it does each second."""
    back_end = data(account())
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        cells: list[int] = []
        for widget in (screen.table, screen.query_one("#detail", Sheet), screen.query_one("#totals")):
            refresh = widget.refresh
            widget.refresh = lambda *regions, refresh=refresh, **how: (  # type: ignore[method-assign,misc]
                cells.extend(region.area for region in regions), refresh(*regions, **how)
            )[1]  # fmt: skip
        await looked(pilot, back_end, account())
        assert cells == []
        busier = [{**one, "flows_per_s": one["flows_per_s"] + 11, "flows": one["flows"] + 999} for one in EXPORTERS]
        await looked(pilot, back_end, account(exporters=busier, now=NOW + SECOND))
        assert 0 < sum(cells) < 120


async def test_an_exporter_is_given_a_name(make: Make, data: Callable[..., LocalBackEnd], tmp_path: Path) -> None:
    path = tmp_path / "own" / "nftui.toml"
    path.parent.mkdir()
    path.write_text("# mine\n[display]\ntheme = 'dark'\n")
    app = make(data(account()), config_path=path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("j", "a")
        await quiet(pilot, 0.1)
        assert "name:" in text(app)
        await pilot.press("ctrl+u", *"core r2", "enter")
        for _ in range(100):
            await pilot.pause(0.02)
            if "core r2" in path.read_text():
                break
        address = str(screen.table.row()["address"])  # type: ignore[index]
        assert f'[exporters."{address}"]' in path.read_text() and 'name = "core r2"' in path.read_text()
        assert path.read_text().startswith("# mine\n"), "the rest of the file stays"
        await quiet(pilot, 0.1)
        assert any("as soon as the collector reads" in notice.message for notice in app._notifications)


async def test_a_name_that_can_not_be_written_is_said(make: Make, data: Callable[..., LocalBackEnd], tmp_path: Path) -> None:
    path = tmp_path / "nftui.toml"
    path.write_text("[display\n")
    app = make(data(account()), config_path=path)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("a", *"x", "enter")
        for _ in range(100):
            await pilot.pause(0.02)
            if any("mend the file" in notice.message for notice in app._notifications):
                break
        assert any("mend the file" in notice.message for notice in app._notifications)
        assert path.read_text() == "[display\n"


async def test_the_trend_of_flows(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    back_end = data(account())
    app = make(back_end)
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await opened(pilot)
        for number in range(1, 4):
            told = account(now=NOW + number * SECOND)
            told["exporters"][0]["flows_per_s"] = 100.0 * number
            await looked(pilot, back_end, told)
        column = next(column for column in screen.table.columns if column.name == "trend")
        rows = [screen.table.row(n) for n in range(screen.table.count)]
        assert column.text(0, next(row for row in rows if row["address"] == "10.0.0.1")) == "█▁▂▃"  # type: ignore[index,arg-type]
