"""Probes on the Sources screen, beside exporters: what is told of them, and what of those that lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len

from nftui.app import NftuiApp
from nftui.engine.local import LocalBackEnd
from nftui.engine.one_sided import Sidedness
from nftui.engine.packet_source import PacketSource
from nftui.screens.live import LiveScreen
from nftui.screens.side_watch import Looked
from nftui.units import address_octets
from tests.screens.conftest import HOSTILE, lines, quiet, shows
from tests.screens.sources import EXPORTERS, SIZES, account, ago, opened, text

Make = Callable[..., NftuiApp]


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
            ("conntrack", ("250,000 of 262,144 connections, 95 %", "17 events in the kernel", "every 60s while it goes on")),
        ):
            await pilot.press("j")
            await quiet(pilot, 0.1)
            row = screen.table.row()
            assert row is not None and str(row["address"]).removeprefix("probe ") == name
            if size[0] > 80:
                for each in words:
                    assert each in text(app), each
            await shows(pilot, f"sources-{name}-{size[0]}x{size[1]}", lambda: lines(app))
        assert {cell_len(line) for line in lines(app)} == {size[0]}


@pytest.mark.row("B04")
async def test_a_view_of_one_direction_is_said(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account(exporters=[], exporters_known=0, probes=PROBES)))
    async with app.run_test(size=(80, 36)) as pilot:
        await opened(pilot)
        assert "one-sided" not in text(app)
        app.post_message(Looked((ONE_SIDED,)))
        await pilot.press("j", "k")  # the first is the one
        await quiet(pilot, 0.1)
        assert "one-sided" in lines(app)[0]
        assert "214 of 220 TCP connections without answer" in text(app)
        await pilot.press("j")
        await quiet(pilot, 0.1)
        assert "without answer" not in text(app)
        await pilot.press("question_mark")
        await quiet(pilot, 0.1)
        await pilot.press("end")
        await quiet(pilot, 0.1)
        assert "mirror port" in text(app) and "both directions" in text(app)
        await pilot.press("escape", "1")
        await quiet(pilot, 0.1)
        assert "one-sided" in lines(app)[0]
        await pilot.press("C")
        await quiet(pilot, 0.1)
        assert "192.0.2.10: 214 of 220 TCP connections without answer" in text(app)


async def test_filter_to_a_probe(make: Make, data: Callable[..., LocalBackEnd]) -> None:
    app = make(data(account(exporters=EXPORTERS[:1], exporters_known=1, probes=PROBES)))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("j", "a")
        await quiet(pilot, 0.1)
        assert [one.message for one in app._notifications] == ["only exporters can be named"]
        await pilot.press("f")
        await quiet(pilot, 0.1)
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
