"""`w` on a flow: its packets in a file, taken from the loopback while they pass; how it is stopped, and what is said."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.capture.probe import rights
from nftui.engine.account import Account
from nftui.engine.local import LocalBackEnd
from nftui.engine.writer import StoreWriter
from nftui.errors import InterfaceError
from nftui.schema import POLARS
from nftui.screens.flows import FlowsScreen
from tests.capture.probe.test_pcap_files import read
from tests.screens.conftest import NOW, SECOND, Scripted, lines, octets_of, quiet, settled, shows, status, until

Make = Callable[..., NftuiApp]
HERE = octets_of("127.0.0.1")


@pytest.fixture
def ends() -> Any:
    """Return two UDP sockets on the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        yield one, other


def store_of(root: Path, **more: Any) -> LocalBackEnd:
    """Return a store with one flow, seen by the probe on `lo`."""
    row = {
        "flow_start": NOW - 9 * SECOND, "flow_end": NOW - 8 * SECOND, "received": NOW - 7 * SECOND, "exporter_address": HERE,
        "observation_domain": 1, "source_address": HERE, "destination_address": HERE, "source_port": 4000, "destination_port": 5000,
        "protocol": 17, "octets": 999, "packets": 9, **more,
    }  # fmt: skip
    frame = pl.DataFrame([row])
    writer = StoreWriter(root)
    writer.append([frame.cast({name: POLARS[name] for name in frame.columns})])
    writer.write_tail()
    return LocalBackEnd(root)


class Probing(Scripted):
    """A back end that knows of a probe on the loopback, whose address is that of the flow's exporter."""

    def account(self) -> Account:
        """Return the account."""
        return Account(status(probes=[{"source": "lo", "kind": "packets", "address": "127.0.0.1", "domain": 1}]))


async def on_flows(pilot: Pilot[None]) -> FlowsScreen:
    await settled(pilot)
    await pilot.press("2")
    await settled(pilot)
    assert isinstance(pilot.app.screen, FlowsScreen)
    return pilot.app.screen


def said(app: NftuiApp) -> list[str]:
    return [one.message for one in app._notifications]


@pytest.mark.parametrize("key", ["w", "escape"])
async def test_packets_of_a_flow_go_to_a_file(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: tuple[socket.socket, socket.socket], key: str
) -> None:
    if not rights.permitted():
        pytest.skip("taking packets is for root")
    monkeypatch.chdir(tmp_path)
    one, other = ends
    ports = {"source_port": one.getsockname()[1], "destination_port": other.getsockname()[1]}
    app = make(Probing(store_of(tmp_path / "store", **ports)))
    async with app.run_test(size=(120, 30)) as pilot:
        await on_flows(pilot)
        await pilot.press("w")
        await until(pilot, lambda: app.capture is not None and app.capture.files)
        one.sendto(b"there", other.getsockname())
        other.sendto(b"and back", one.getsockname())
        one.sendto(b"elsewhere", ("127.0.0.1", 9))
        await until(pilot, lambda: app.capture is not None and app.capture.packets == 2)
        await until(pilot, lambda: "2 packets" in lines(app)[2])
        assert "REC 2" in lines(app)[0] and f"port {ports['source_port']}" in lines(app)[2] and "w stops" in lines(app)[2]
        await pilot.press(key)
        await quiet(pilot, 0.1)
        assert "REC" not in "\n".join(lines(app)) and isinstance(app.screen, FlowsScreen)
        assert said(app)[0].startswith(f"2 packets in {tmp_path}"[:60])
        _, frames = read(tmp_path / "nftui-packets-20261123-210005-1.pcap")
        assert [octets[42:] for _, _, octets in frames] == [b"there", b"and back"]
        await pilot.press("escape")
        await quiet(pilot, 0.1)
        assert not isinstance(app.screen, FlowsScreen), "nothing runs any more: esc goes up"


async def test_without_a_probe_the_interface_is_asked_for(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not rights.permitted():
        pytest.skip("taking packets is for root")
    monkeypatch.chdir(tmp_path)
    app = make(Scripted(store_of(tmp_path / "store"), status()))
    async with app.run_test(size=(80, 24)) as pilot:
        await on_flows(pilot)
        await pilot.press("w")
        await quiet(pilot, 0.1)
        assert "capture on which interface?" in "\n".join(lines(app))
        await pilot.press("escape", "w", "up", "enter")  # the loopback is the last
        await until(pilot, lambda: app.capture is not None and app.capture.files)
        assert app.capture is not None and app.capture.interface == "lo"
        await until(pilot, lambda: "REC lo" in lines(app)[2] and "24 B" in lines(app)[2] and "LIVE" in lines(app)[0])
        await shows(pilot, "flows-capture-80x24", lambda: lines(app))
        await pilot.press("1", "q")
        await quiet(pilot, 0.1)
        assert app.is_running and not app.capture.running
        assert said(app)[0].startswith("no packet came: no file is left") and "q once more leaves" in said(app)[0]
        assert not list(tmp_path.glob("nftui-*"))  # noqa: ASYNC240  a folder of a test
        await pilot.press("q")
        await quiet(pilot, 0.1)
        assert not app.is_running


async def test_refused_rights_are_one_line(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*words: object, **more: object) -> None:
        raise InterfaceError("lo", rights.how_to_grant(), refused=True)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nftui.engine.packet_capture.opened", refused)
    app = make(Probing(store_of(tmp_path / "store")))
    async with app.run_test(size=(80, 24)) as pilot:
        await on_flows(pilot)
        await pilot.press("w")
        await until(pilot, lambda: said(app))
        assert said(app)[0].startswith("lo: not permitted to take packets: that needs CAP_NET_RAW")
        assert not list(tmp_path.glob("nftui-*"))  # noqa: ASYNC240  a folder of a test


async def test_a_flow_without_addresses_has_no_filter(make: Make, tmp_path: Path) -> None:
    app = make(Probing(store_of(tmp_path / "store", source_address=None)))
    async with app.run_test(size=(80, 24)) as pilot:
        await on_flows(pilot)
        await pilot.press("w")
        await quiet(pilot, 0.1)
        assert said(app) == ["no packet filter can say this flow"] and app.capture is None
