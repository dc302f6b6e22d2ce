"""A small store under a frozen clock, and back ends for what a real one can't be made to do: be slow, fail, or lie."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from textual.pilot import Pilot

from nftui.app import NftuiApp
from nftui.config import DisplaySettings
from nftui.engine.account import Account
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import Answer, BackEnd, Interval, Query
from nftui.engine.watch import Watch
from nftui.engine.writer import StoreWriter
from nftui.schema import POLARS
from nftui.screens.investigation import InvestigationScreen

SECOND = 1_000_000
NOW = 1_795_467_605_000_000  # 2026-11-23T21:00:05Z
WORK_S = 0.001
"""More of CPU time in 5 ms is work."""
MOST_LOOKS = 250
"""For a change that is waited for: by number, as the machine may stand still for seconds."""
GOLDENS = Path(__file__).parent / "goldens"
HOSTS = ("93.184.216.34", "151.101.1.69", "10.9.0.2", "8.8.8.8", "2001:db8:85a3::8a2e:370:7334", "203.0.113.7")
HOSTILE = "user \x1b]52;c;ZXZpbA==\x07 [@click=app.quit]x[/] \u202egnp.exe\u200b"


def octets_of(address: str) -> bytes:
    """Return an address as the store keeps it."""
    parsed = ip_address(address)
    return parsed.packed if parsed.version == 6 else b"\0" * 10 + b"\xff\xff" + parsed.packed


def flows() -> pl.DataFrame:
    """Return 1800 flows over half an hour, the same at each call."""
    rows = []
    for n in range(1800):
        start = NOW - (1800 - n) * SECOND
        host = (n * n + n // 7) % 11 % len(HOSTS)
        rows.append(
            {
                "flow_start": start, "flow_end": start + (n % 5) * SECOND // 2, "received": start + 3 * SECOND,
                "exporter_address": octets_of("192.0.2.1"), "source_address": octets_of(f"10.0.4.{1 + n % 40}"),
                "destination_address": octets_of(HOSTS[host]), "source_port": 1024 + n, "destination_port": (443, 53, 22)[n % 3],
                "protocol": (6, 17, 6)[n % 3], "tcp_flags": (27, 0, 2)[n % 3], "octets": (len(HOSTS) - host) * 20_000 + n * 37,
                "packets": 10 + n % 90, "ingress_interface": 1, "egress_interface": 2 + n % 2,
            }
        )  # fmt: skip
    frame = pl.DataFrame(rows)
    return frame.cast({name: POLARS[name] for name in frame.columns})


def status(**more: Any) -> dict[str, Any]:
    """Return a status as a collector writes it."""
    events = [{"time": NOW - 5 * SECOND, "text": "exporter 192.0.2.7: template 260 unknown, 14 sets held"}]
    return {"now": NOW, "running": True, "exporters": [{"address": "192.0.2.1"}], "drops": 0, "events": events} | more


@pytest.fixture(scope="session", autouse=True)
def utc() -> Iterator[None]:
    """Show times in UTC whatever the machine's zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with the flows and a status."""
    root = tmp_path_factory.mktemp("store")
    writer = StoreWriter(root)
    writer.append([flows()])
    writer.write_tail()
    (root / "status.json").write_text(json.dumps(status()))
    return root


@pytest.fixture
def make(store: Path) -> Callable[..., NftuiApp]:
    """Return a maker of applications under the frozen clock; on the store unless another back end is given."""

    def application(back_end: BackEnd | None = None, display: DisplaySettings | None = None, **more: Any) -> NftuiApp:
        more.setdefault("clock", lambda: NOW)
        more.setdefault("listening", "10.1.2.3:9995")
        return NftuiApp(back_end or LocalBackEnd(store), display or DisplaySettings(refresh=60), **more)

    return application


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., LocalBackEnd]:
    """Return a maker of back ends on a store with an account; as text it is written as it is."""
    from tests.screens.sources import INTERFACES

    def written(status: dict[str, Any] | str | None, interfaces: object = INTERFACES) -> LocalBackEnd:
        if status is not None:
            (tmp_path / "status.json").write_text(status if isinstance(status, str) else json.dumps(status))
        (tmp_path / "interfaces.json").write_text(json.dumps({"version": 1, "exporters": interfaces}))
        return LocalBackEnd(tmp_path)

    return written


class Scripted:
    """A back end that does as it is told, in front of another."""

    def __init__(self, behind: BackEnd, told: dict[str, Any] | None = None) -> None:
        self.behind, self.told = behind, told
        self.asked: list[Query] = []
        self.error: Exception | None = None
        self.gives_up = True
        self.gate = threading.Event()
        self.gate.set()

    def answer(self, query: Query, watch: Watch | None = None) -> Answer:
        """Answer, fail, or wait until the gate opens, or until it is given up."""
        self.asked.append(query)
        until = time.monotonic() + 10
        while not self.gate.wait(0.01) and time.monotonic() < until:
            if watch is not None and self.gives_up:
                watch.check()
        if self.error is not None:
            raise self.error
        return self.behind.answer(query, watch)

    def status(self) -> dict[str, Any] | None:
        """Return what it was told to say of the collector."""
        return self.told

    def held(self) -> Interval | None:
        """Return what the one behind holds."""
        return self.behind.held()

    def account(self) -> Account:
        """Return the same as an account."""
        if self.error is not None:
            raise self.error
        return Account(self.told)


async def quiet(pilot: Pilot[None], seconds: float = 0.0) -> None:
    """Wait for at least some seconds, and until no other thread has work: on a slow machine what they do takes longer."""
    before, still = _of_others(), 0
    await pilot.pause(seconds)
    for _ in range(MOST_LOOKS):
        await pilot.pause(0.005)
        now = _of_others()
        still = still + 1 if now - before < WORK_S and not _others_wait_for_the_processor() else 0
        before = now
        if still == 2:
            break
    await pilot.pause(0)


def _of_others() -> float:
    """Return the seconds of CPU that the other threads of this process have taken."""
    return time.process_time() - time.thread_time()


def _others_wait_for_the_processor() -> bool:
    this = str(threading.get_native_id())
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it ended
            if thread.name != this and (thread / "stat").read_text().rpartition(")")[2].split()[0] in "RD":
                return True
    return False


async def settled(pilot: Pilot[None]) -> InvestigationScreen:
    """Wait until the screen has its answer; return the screen."""
    for _ in range(200):
        await pilot.pause(0.02)
        screen = pilot.app.screen
        if not isinstance(screen, InvestigationScreen):
            break
        heard = screen.problem or (
            screen.answer is not None and screen.asked is not None and screen.answer.query == screen.asked.main
        )
        if heard and screen._asker is not None and not screen._asker.busy:
            break
    await quiet(pilot, 0.02)
    assert isinstance(pilot.app.screen, InvestigationScreen)
    return pilot.app.screen


def lines(app: NftuiApp) -> list[str]:
    """Return the characters of the screen."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def box(app: NftuiApp) -> list[str]:
    """Return the characters of the window that lies over a screen, without the screen below."""
    shown = lines(app)
    top = next(n for n, line in enumerate(shown) if "╭" in line)
    left, right = shown[top].index("╭"), shown[top].index("╮")
    bottom = next(n for n, line in enumerate(shown) if n > top and line[left : left + 1] == "╰")
    return [line[left : right + 1] for line in shown[top : bottom + 1]]


async def until(pilot: Pilot[None], holds: Callable[[], object], words: str = "it did not come") -> None:
    """Wait until something holds."""
    for _ in range(MOST_LOOKS):
        await pilot.pause(0.02)
        if holds():
            return
    pytest.fail("\n".join([words, *lines(pilot.app)]))  # type: ignore[arg-type]


async def shows(pilot: Pilot[None], name: str, taken: Callable[[], list[str]]) -> list[str]:
    """Wait until the screen shows the characters that are committed; return them."""
    await quiet(pilot)
    for _ in range(0 if os.environ.get("NFTUI_UPDATE_GOLDENS") else MOST_LOOKS):
        if _text(taken()) == _golden(name):
            break
        await pilot.pause(0.02)
    shown = taken()
    against_golden(name, shown)
    return shown


def against_golden(name: str, shown: list[str]) -> None:
    """Compare the characters of a screen with those committed; NFTUI_UPDATE_GOLDENS=1 commits what is shown."""
    text = _text(shown)
    if os.environ.get("NFTUI_UPDATE_GOLDENS"):
        (GOLDENS / f"{name}.txt").write_text(text, "utf-8")
    wanted = _golden(name)
    if text != wanted:
        difference = difflib.unified_diff(
            wanted.splitlines(), text.splitlines(), f"{name} as committed", f"{name} now", lineterm=""
        )
        pytest.fail("\n".join(difference), pytrace=False)


def _text(shown: list[str]) -> str:
    return "\n".join(line.rstrip() for line in shown) + "\n"


def _golden(name: str) -> str:
    path = GOLDENS / f"{name}.txt"
    return path.read_text("utf-8") if path.exists() else ""
