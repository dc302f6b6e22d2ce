"""Octets a second that each screen and display sends to its terminal: with flows coming, paused, and with none.

The demo's network sends; the screens refresh each second. There is no peer.

    python -m tests.bench.bench_octets [--seconds N] [--quick]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import figures, processes
from tests.bench.figures import Figure
from tests.bench.terminal import Terminal

SIZES = ((80, 24), (200, 50))
LIVE = 6
"""Displays of the Live screen, which `v` goes through."""
SCREENS = (("2", "Flows"), ("3", "Summary"), ("4", "Map"), ("5", "Filters"), ("7", "Sources"), ("8", "Settings"))
LIMIT = {(80, 24): "<= 4,000"}


def measured(terminal: Terminal, name: str, size: tuple[int, int], seconds: float) -> list[Figure]:
    """Return the octets of what is shown, live and paused."""
    terminal.listen(3)
    live = terminal.listen(seconds) / seconds
    found = [Figure(name, live, form=figures.number, goal=LIMIT.get(size, ""))]
    if name != "Settings":
        terminal.press(" ")
        terminal.listen(2)
        found.append(Figure("  paused", terminal.listen(seconds / 2) / seconds * 2, form=figures.number, goal="0"))
        terminal.press(" ")
    return found


def watched(data: Path, size: tuple[int, int], seconds: float) -> list[Figure]:
    """Go through all screens in a terminal of a size."""
    terminal = Terminal(processes.nftui("--no-collect", "--data", data), *size)
    try:
        terminal.wait(lambda screen: screen.shows("avg over"))
        first = terminal.octets
        found = [Figure("first paints", first, form=figures.number)]
        for place in range(LIVE):
            found += measured(terminal, f"Live, display {place + 1}", size, seconds)
            terminal.press("v")
        for key, name in SCREENS:
            terminal.press(key)
            found += measured(terminal, name, size, seconds)
        return found
    finally:
        terminal.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of counting, each screen")
    parser.add_argument("--small", action="store_true", help="80x24 alone")
    parser.add_argument("--quick", action="store_true", help="4 s each: a try, no figures to quote")
    options = parser.parse_args()
    seconds = 4.0 if options.quick else options.seconds
    figures.machine()
    with tempfile.TemporaryDirectory(prefix="nftui-bench-", dir=processes.work_folder()) as folder:
        data, began = Path(folder) / "demo", time.perf_counter()
        words = processes.nftui("demo", "--no-screen", "--data", data)
        demo = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=sys.stderr, env=processes.ENVIRONMENT, cwd=processes.ROOT)
        try:
            time.sleep(8)
            for size in SIZES[:1] if options.small else SIZES:
                figures.show(f"octets a second, {size[0]}x{size[1]}", watched(data, size, seconds))
        finally:
            demo.terminate()
            demo.wait(30)
        print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
