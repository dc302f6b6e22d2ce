"""The Sources screen: each state, each key, each size; and what it makes of an account that lies."""

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
from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.capture.decoder import Decoder, Rules
from nftui.config import DisplaySettings
from nftui.engine.account import Account
from nftui.engine.local import LocalBackEnd
from nftui.engine.one_sided import Sidedness
from nftui.engine.packet_source import PacketSource
from nftui.engine.store import Lock
from nftui.errors import StoreError
from nftui.screens.exporters import Exporters, since
from nftui.screens.live import LiveScreen
from nftui.screens.side_watch import Looked
from nftui.screens.sources import SourcesScreen
from nftui.screens.widgets.sheet import Sheet
from nftui.units import address_octets, rfc3339
from tests.capture import build
from tests.screens.conftest import HOSTILE, NOW, SECOND, Scripted, against_golden, lines

Make = Callable[..., NftuiApp]
SIZES = [(80, 24), (120, 36), (200, 50)]
MINUTE = 60 * SECOND


def ago(seconds: float) -> str:
    return rfc3339(NOW - int(seconds * SECOND))


def exporter(address: str, protocol: str, **more: Any) -> dict[str, Any]:
    """Return an entry as a collector writes it, of an exporter of which there is nothing to say."""
    return {
        "address": address, "domains": [0], "protocol": protocol, "datagrams": 52_310, "octets": 61_208_114, "flows": 1_204_118,
        "reverse_flows": 0, "options_records": 0, "sequence_lost": 0, "lost": {}, "gaps": 0, "last_gap": None, "templates": 0,
        "templates_awaited": [], "templates_replaced": 0, "templates_expired": 0, "held_back": 0, "released": 0, "held_octets": 0,
        "observation_domains": [], "malformed": {}, "unread": {}, "unknown_elements": {}, "samples": {}, "discards": {},
        "sampling": {}, "restarts": 0, "last_restart": None, "started": None, "clock_skew_s": 0.4, "clock_correction_s": 0.0,
        "watermark_s": 64.0, "silent": False, "known_since": ago(7200), "last_seen": ago(1), "datagrams_per_s": 22.4,
        "flows_per_s": 390.2, **more,
    }  # fmt: skip


def domain(number: int, **more: Any) -> dict[str, Any]:
    return {"number": number, "protocol": "IPFIX", "templates": [256, 257, 258], "options_templates": [512], "awaited": [], **more}


EXPORTERS = [
    exporter(
        "10.0.0.1", "v9", name="r1", templates=4, flows_per_s=812.0, datagrams_per_s=41.0, started=ago(41 * 86_400 + 300),
        observation_domains=[domain(7, protocol="v9")],
    ),
    exporter(
        "10.0.0.2", "IPFIX", templates=4, templates_awaited=[260], sequence_lost=14, lost={"records": 14}, gaps=3,
        last_gap=ago(130), sampling={"options": 1000, "configured": 100}, held_back=14, restarts=1, last_restart=ago(41 * 86_400),
        started=ago(41 * 86_400), held_octets=19_200, clock_skew_s=72.0, clock_correction_s=72.0,
        malformed={"record cut short": 3}, unread={"basicList passed over": 12}, unknown_elements={"0/61 flowDirection": 40},
        observation_domains=[
            domain(0, awaited=[{"template": 260, "sets": 14, "octets": 19_200, "until": rfc3339(NOW + 30 * SECOND)}]), domain(9),
        ],
    ),
    exporter(
        "10.0.0.9", "sFlow", flows_per_s=120.0, datagrams_per_s=12.0, sampling={"sflow": 1024}, samples={"flow_samples": 9000},
    ),
    exporter("192.0.2.44", "v5", flows_per_s=0.0, datagrams_per_s=0.0, silent=True, last_seen=ago(1500)),
    exporter("2001:db8:85a3::8a2e:370:7334", "IPFIX, v9", templates=3, sampling={"header": 1}),
]  # fmt: skip
LISTEN = [
    {"address": "*", "port": 9995, "transport": "udp", "receive_buffer": 8_000_000, "receive_buffer_asked": 32_000_000, "drops": 0},
    {"address": "*", "port": 9995, "transport": "udp", "receive_buffer": 8_000_000, "receive_buffer_asked": 32_000_000, "drops": 7},
    {"address": "*", "port": 6343, "transport": "udp", "receive_buffer": 8_000_000, "receive_buffer_asked": 32_000_000, "drops": 0},
]
EVENTS = [
    (1500, "192.0.2.44: silent: nothing came for 5m"), (130, "10.0.0.2: 3 records lost: gap in sequence numbers"),
    (12, "10.0.0.2: template 260 of domain 0 awaited: its data is held back"),
]  # fmt: skip
INTERFACES = {
    "10.0.0.2": {
        "1": {"name": "ge0", "description": "uplink", "speed": 10**9, "status": 3, "in_octets_per_s": 51_500_000.0},
        "2": {"name": "ge1", "description": "lan", "speed": 10**9, "status": 1},
        "30": {"name": "xe0"},
    }
}


def account(**more: Any) -> dict[str, Any]:
    """Return an account as a collector writes it."""
    return {
        "pid": 1, "running": True, "now": NOW, "listen": LISTEN, "exporters": EXPORTERS, "exporters_known": len(EXPORTERS),
        "datagrams_per_s": 98.0, "flows_per_s": 1712.4, "sequence_lost": 14, "held_octets": 19_200, "drops": 7, "queue_dropped": 0,
        "events": [{"time": NOW - seconds * SECOND, "text": text} for seconds, text in EVENTS], **more,
    }  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., LocalBackEnd]:
    """Return a maker of back ends on a store with an account; as text it is written as it is."""

    def written(status: dict[str, Any] | str | None, interfaces: object = INTERFACES) -> LocalBackEnd:
        if status is not None:
            (tmp_path / "status.json").write_text(status if isinstance(status, str) else json.dumps(status))
        (tmp_path / "interfaces.json").write_text(json.dumps({"version": 1, "exporters": interfaces}))
        return LocalBackEnd(tmp_path)

    return written


async def opened(pilot: Pilot[None]) -> SourcesScreen:
    """Open the screen and wait until it has looked."""
    await pilot.press("7")
    for _ in range(200):
        await pilot.pause(0.02)
        screen = pilot.app.screen
        if isinstance(screen, SourcesScreen) and screen.heard:
            break
    await pilot.pause(0.1)
    assert isinstance(pilot.app.screen, SourcesScreen)
    return pilot.app.screen


async def looked(pilot: Pilot[None], back_end: LocalBackEnd, status: dict[str, Any]) -> None:
    """Have the screen look at another account."""
    (back_end.store.root / "status.json").write_text(json.dumps(status))
    await pilot.press("r")
    await pilot.pause(0.3)


def text(app: NftuiApp) -> str:
    return "\n".join(lines(app))


@pytest.mark.row("K12")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_layout(make: Make, data: Callable[..., LocalBackEnd], size: tuple[int, int], theme: str) -> None:
    app = make(data(account()), display=DisplaySettings(refresh=60, theme=theme))
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("j")
        await pilot.pause(0.1)
        shown = lines(app)
        assert len(shown) == size[1]
        assert {cell_len(line) for line in shown} == {size[0]}
        for widget in app.screen.query("*"):
            inside = widget.region.intersection(app.screen.region)
            assert not widget.region or inside == widget.region, f"{widget} is cut"
        for words in (
            "[7Source]" if size[0] < 120 else "[7 Sources]",
            "listen",
            "8M of 32M",
            "kernel drops 7",
            "4/5 !",
            "1:100 +1",
            "! 260",
            "14 sets held",
            "1 silent",
        ):
            assert words in "\n".join(shown)
        if theme == "dark":
            against_golden(f"sources-{size[0]}x{size[1]}", shown)


@pytest.mark.parametrize("size", [(60, 18), (40, 10), (79, 24), (80, 23)])
async def test_small_windows_keep_the_table_and_say_so(
    make: Make, data: Callable[..., LocalBackEnd], size: tuple[int, int]
) -> None:
    app = make(data(account()))
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        shown = lines(app)
        assert "80x24" in shown[0]
        assert any("10.0.0.2" in line for line in shown)
        assert "kernel drops" not in text(app)
        assert {cell_len(line) for line in shown} == {size[0]}


async def test_detail_alone_has_all_and_scrolls(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("j")
        await pilot.pause(0.1)
        assert "more lines" in text(app)
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert not screen.table.display
        against_golden("sources-detail-80x24", lines(app))
        for words in (
            "1 ge0/uplink 1G in 412 Mb/s", "2 ge1/lan 1G down", "30 xe0", "1 in 1,000 by options", "3 × record cut short",
            "1m12s behind", "times are corrected by +1m12s", "1 restart seen", "30s left", "12 × basicList passed over",
        ):  # fmt: skip
            assert words in text(app), words
        await pilot.press("G")
        await pilot.pause(0.1)
        assert "silent: nothing" not in text(app).split("── 10.0.0.2")[1].split("! 21:00")[0]
        await pilot.press("escape")
        await pilot.pause(0.2)
        assert screen.table.display
        assert screen.table.cursor == 1
        assert screen.focused is screen.table


async def test_panels_by_tab_and_by_z(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await opened(pilot)
        seen = []
        for key in ("tab", "tab", "tab", "shift+tab"):
            await pilot.press(key)
            await pilot.pause(0.05)
            seen.append(screen.focused.id if screen.focused else "")
        assert seen == ["detail", "announced", "table", "announced"]
        await pilot.press("escape")
        assert screen.focused is screen.table
        shown = []
        for _ in range(3):
            await pilot.press("z")
            await pilot.pause(0.1)
            shown.append((screen.table.display, screen.query_one("#detail").region.height > 0))
        assert shown == [(False, True), (True, False), (True, True)]


FIRST = {
    "address": "10.0.0.1", "protocol": "10.0.0.2", "flows_per_s": "10.0.0.1", "lost": "10.0.0.2", "templates": "10.0.0.2",
    "sampling": "10.0.0.9", "seen": "10.0.0.1", "skew": "10.0.0.2", "started": "10.0.0.2", "restarts": "10.0.0.2",
    "wrong": "10.0.0.2", "flows": "10.0.0.1", "datagrams": "10.0.0.1", "datagrams_per_s": "10.0.0.1", "octets": "10.0.0.1",
    "late": "10.0.0.1",
}  # fmt: skip
"""Column -> the exporter that comes first when it is sorted by."""


async def test_sorts_by_each_column(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await opened(pilot)
        assert [one.name for one, _ in screen.table._shown] == [one.name for one in screen.table.columns]
        for column, first in FIRST.items():
            places = [one.name for one, _ in screen.table._shown]
            screen.table.action_column(places.index(column) - screen.table.cursor_column)
            orders = []
            for key in "sS":
                await pilot.press(key)
                await pilot.pause(0.02)
                assert screen.table.frame is not None
                orders.append(screen.table.frame[ORDERED.get(column, column)].to_list())
                if key == "s":
                    assert screen.table.frame["address"][0] == first, column
                    assert screen.table.marked == column
                label = next(one.label for one in screen.table.columns if one.name == column)
                assert f"{label}{'▴' if screen._ascending else '▾'}" in "\n".join(lines(app))
            none = {None, 0}
            assert [one for one in orders[0] if one not in none] == [one for one in orders[1] if one not in none][::-1]


ORDERED = {"address": "key", "templates": "awaited", "sampling": "interval"}


async def test_filter_to_an_exporter_goes_to_live_and_esc_comes_back(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("G", "f")
        await pilot.pause(0.2)
        assert isinstance(app.screen, LiveScreen)
        assert app.view.text == "exporter ip 2001:db8:85a3::8a2e:370:7334"
        await pilot.press("escape")
        await pilot.pause(0.2)
        assert app.screen is screen
        assert (app.view.text, screen.table.cursor) == ("", 4)
        app.view = app.view.down("x", "proto tcp", app.view.where, "live", 0)
        await pilot.press("g", "i")
        await pilot.pause(0.2)
        assert app.view.text == "proto tcp and exporter ip 10.0.0.1"


async def test_what_is_no_address_can_be_no_filter(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account(exporters=[exporter("(other)", "?")])))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("f")
        await pilot.pause(0.2)
        assert isinstance(app.screen, SourcesScreen)
        assert app.view.text == ""


async def test_find_copy_and_help(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account()))
    async with app.run_test(size=(80, 60)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"sflow", "enter")
        await pilot.pause(0.2)
        assert screen.table.cursor == 2
        await pilot.press("y")
        assert app.clipboard == "10.0.0.9"
        await pilot.press("n")
        assert screen.table.cursor == 2
        await pilot.press("question_mark")
        await pilot.pause(0.2)
        assert "sources.filter" in text(app)


async def test_pause_freezes_what_is_shown(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    back_end = data(account())
    app = make(back_end)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("space")
        await pilot.pause(0.2)
        assert "PAUSED 21:00:05" in lines(app)[0]
        await looked(pilot, back_end, account(flows_per_s=5.0))
        assert "1.7k flows/s" in text(app)
        await pilot.press("space")
        await pilot.pause(0.3)
        assert "5 flows/s" in text(app)


# ---------------------------------------------------------------- probes


def probe(source: str, **more: Any) -> dict[str, Any]:
    """Return an entry of `probes` as a collector writes it."""
    return PacketSource(source, interface=2, link="Ethernet", address="192.0.2.10", domain=2, ring=32_000_000).as_dict() | more


PROBES = [
    probe(
        "eth0", packets_per_s=51_200.0, octets_per_s=41_000_000.0, flows_per_s=45.0, packets=9_120_331, octets=7_301_000_000,
        flows=120_411, used=24_117, entries=262_144, last_seen=ago(0.4), not_ip=212, fragments=9, promiscuous=True,
        bpf="not port 22",
    ),
    probe(
        "wlan0", interface=3, domain=3, problem="wlan0 is gone; it is looked for each second", packets=1000, octets=90_000,
        drops=40, last_drop=ago(70), used=261_000, entries=262_144, emergency=77, lost_packets=5, sampling=10, sampled_out=9000,
        cut=3, last_seen=ago(65),
    ),
    PacketSource(
        "conntrack", kind="kernel", address="192.0.2.10", flows=930, flows_per_s=12.0, last_seen=ago(1), used=250_000,
        entries=262_144, drops=17, last_drop=ago(70),
    ).as_dict(),
]  # fmt: skip
ONE_SIDED = Sidedness(address_octets("192.0.2.10") or b"", 2, 220, 214, 31)


@pytest.mark.row("B01")
@pytest.mark.parametrize("size", SIZES)
async def test_probes_stand_beside_exporters(make: Make, data: Callable[..., LocalBackEnd], size: tuple[int, int]) -> None:
    app = make(data(account(exporters=EXPORTERS[:1], exporters_known=1, probes=PROBES)))
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot)
        assert [row.split()[0] for row in lines(app) if row.split()[:1] == ["conntrack"]] == ["conntrack"]
        for name, words in (
            ("eth0", ("51.2k packets/s", "328 Mb/s", "24,117 of 262,144 flows, 9 %", "212 not IP", "promiscuous", "not port 22")),
            (
                "wlan0",
                ("wlan0 is gone", "40 packets in the kernel, 3.8 %", "the last 1m ago", "77 ended early", "1 in 10 looked at"),
            ),
            ("conntrack", ("250,000 of 262,144 connections, 95 %", "17 events in the kernel", "while a connection goes on")),
        ):
            await pilot.press("j")
            await pilot.pause(0.1)
            row = screen.table.row()
            assert row is not None and str(row["address"]).removeprefix("probe ") == name
            if size[0] > 80:
                for each in words:
                    assert each in text(app), each
            against_golden(f"sources-{name}-{size[0]}x{size[1]}", lines(app))
        assert {cell_len(line) for line in lines(app)} == {size[0]}


@pytest.mark.row("B04")
async def test_a_view_of_one_direction_is_said(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account(exporters=[], exporters_known=0, probes=PROBES)))
    async with app.run_test(size=(80, 36)) as pilot:
        await opened(pilot)
        assert "one-sided" not in text(app)
        app.post_message(Looked((ONE_SIDED,)))
        await pilot.press("j", "k")  # the first is the one
        await pilot.pause(0.1)
        assert "one-sided" in lines(app)[0]
        assert "214 of 220 TCP connections without answer" in text(app)
        await pilot.press("j")
        await pilot.pause(0.1)
        assert "without answer" not in text(app)
        await pilot.press("question_mark")
        await pilot.pause(0.2)
        await pilot.press("end")
        await pilot.pause(0.2)
        assert "mirror port" in text(app) and "both directions" in text(app)
        await pilot.press("escape", "1")
        await pilot.pause(0.3)
        assert "one-sided" in lines(app)[0]
        await pilot.press("C")
        await pilot.pause(0.3)
        assert "192.0.2.10: 214 of 220 TCP connections without answer" in text(app)


async def test_filter_to_a_probe(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account(exporters=EXPORTERS[:1], exporters_known=1, probes=PROBES)))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("j", "a")
        await pilot.pause(0.3)
        assert [one.message for one in app._notifications] == ["only exporters can be named"]
        await pilot.press("f")
        await pilot.pause(0.2)
        assert isinstance(app.screen, LiveScreen)
        assert app.view.text == "exporter ip 192.0.2.10 and observation domain id 2"


LIES = {
    "source": HOSTILE, "problem": HOSTILE, "bpf": HOSTILE, "link": HOSTILE, "packets": -1, "drops": "1", "used": 1e300,
    "entries": None, "sampling": [], "last_seen": 7, "last_drop": HOSTILE,
}  # fmt: skip


@pytest.mark.parametrize("lie", [7, ["x", None], [{}], [LIES]])
async def test_probes_that_lie(make: Make, data: Callable[..., LocalBackEnd], lie: object) -> None:
    app = make(data(account(exporters=[], exporters_known=0, probes=lie)))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        assert "\x1b" not in text(app) and "\u202e" not in text(app)
        assert {cell_len(line) for line in lines(app)} == {120}


# ---------------------------------------------------------------- states


async def test_no_collector(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(None))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "no collector" in lines(app)[0]
        assert "nftui demo" in text(app)
        against_golden("sources-none-80x24", lines(app))


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
        against_golden("sources-empty-80x24", lines(app))


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
        await pilot.pause(0.2)
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
        against_golden("sources-store-120x36", lines(app))
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


def hostile(value: object, dice: random.Random) -> object:
    """Return a value of another kind, or of the same beyond all sense."""
    if isinstance(value, dict) and dice.random() < 0.7:
        return {(HOSTILE if dice.random() < 0.1 else key): hostile(one, dice) for key, one in value.items()}
    if isinstance(value, list) and dice.random() < 0.7:
        return [hostile(one, dice) for one in value]
    if dice.random() < 0.5:
        return value
    return dice.choice(
        [None, -1, 10**18, -(2**63), 1e308, -1e308, "", HOSTILE, [HOSTILE], {"\x1b": "\x1b"}, True, 2**63 - 1, 0.1, "9" * 300]
    )


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
        await pilot.pause(0.1)
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
        against_golden("sources-hostile-120x36", lines(app))


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
        await pilot.pause(0.1)
        assert "10.0.39.15" in text(app)
        await pilot.press("s")
        await pilot.pause(0.2)
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
        await pilot.pause(0.1)
        assert "name:" in text(app)
        await pilot.press("ctrl+u", *"core r2", "enter")
        for _ in range(100):
            await pilot.pause(0.02)
            if "core r2" in path.read_text():
                break
        address = str(screen.table.row()["address"])  # type: ignore[index]
        assert f'[exporters."{address}"]' in path.read_text() and 'name = "core r2"' in path.read_text()
        assert path.read_text().startswith("# mine\n"), "the rest of the file stays"
        await pilot.pause(0.1)
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
