"""Makes the pictures of the manual: the real dashboard on the demo network, driven by its keys. `make pictures`, some minutes.

The network is simulated in a store of its own, which is thrown away. What is drawn changes with the time of day, so nothing is
compared: look at the pictures before they are committed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from textual.pilot import Pilot
from textual.screen import Screen

from nftui.app import NftuiApp
from nftui.config import DisplaySettings
from nftui.engine.local import LocalBackEnd
from nftui.screens import exports
from nftui.screens.shell import ShellScreen
from tests.structure.source import ROOT

IMAGES = ROOT / "docs" / "images"
SMALL, WIDE, LARGE = (80, 24), (120, 36), (200, 50)
APP = ("b", *"service", "enter")
"""Keys that break down by application."""
PICTURES: dict[str, tuple[tuple[int, int], Sequence[str]]] = {
    "live": (SMALL, APP),
    "live-large": (LARGE, APP),
    "summary": (WIDE, ("3",)),
    "map": (WIDE, ("4",)),
    "circle": (WIDE, ("4", "m", "v")),
    "filter": (SMALL, (*APP, "f", *"proto tcp and dst port ")),
    "sources": ((120, 26), ("7", *"jjjj")),
}
"""Size and keys of each."""
RUNS_S = 100.0
"""Seconds that the network runs first: its past has come then, and the exporter without one, of sFlow, is there for a while."""
SETTLES_S, ANSWERED_S = 6.0, 60.0
"""Seconds after the last key, and those within which all is answered: the Summary screen asks for its panels in turn."""


def main() -> None:
    """Run the network, then make the pictures, those that are named or all."""
    chosen = [name for name in sys.argv[1:] if name in PICTURES] or list(PICTURES)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nftui", "demo", "--no-screen", "--data", folder]
        network = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(RUNS_S)
            for name in chosen:
                asyncio.run(make(name, Path(folder)))
        finally:
            network.terminate()
            network.wait()


async def make(name: str, store: Path) -> None:
    """Write one picture."""
    size, keys = PICTURES[name]
    environ = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
    app = NftuiApp(LocalBackEnd(store), DisplaySettings(), demo=True, environ=environ)
    async with app.run_test(size=size) as pilot:
        await shown(pilot, keys)
        screen = app.screen
        assert isinstance(screen, ShellScreen)
        (IMAGES / f"{name}.svg").write_text(exports.picture(screen, "nftui demo"), "utf-8")


async def shown(pilot: Pilot[None], keys: Sequence[str]) -> None:
    """Press keys, and wait for what they bring."""
    await pilot.pause(2.0)
    for key in keys:
        await pilot.press("space" if key == " " else key)
        await pilot.pause(0.1)
    await pilot.pause(SETTLES_S)
    end = time.monotonic() + ANSWERED_S
    while asks(pilot.app.screen):
        assert time.monotonic() < end, f"not answered within {ANSWERED_S} s"
        await pilot.pause(0.2)


def asks(screen: Screen[object]) -> bool:
    """Tell whether some answer is still under way."""
    text = "\n".join(line.text for line in screen._compositor.render_strips())
    return "asking…" in text or "scanned" in text


if __name__ == "__main__":
    main()
