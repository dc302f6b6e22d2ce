"""Octets to the terminal: each screen and display on the simulated network, in two sizes, and what windows cost.

python -m tests.bench.bench_wire [--seconds N] [--minutes N]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from nftui.dashboard import end_with_terminal
from nftui.screens.view import DISPLAYS
from tests.bench import figures, processes
from tests.bench.figures import Figure
from tests.bench.terminal import Terminal

SIZES = ((80, 24), (200, 50))
WARM_S = 25.0
"""Until the simulated network has sent its past."""
REST_S = 60.0
PLACES = (
    *((f"Live, {name}", "v" if name != DISPLAYS[0] else "1") for name in DISPLAYS),
    ("Flows", "2"), ("Summary", "3"), ("Map, network", "4"), ("Map, pairs", "m"), ("Map, portions", "m"),
    ("Filters", "5"), ("Sources", "7"), ("Settings", "8"),
)  # fmt: skip
"""Screens and displays, each reached by a key from the one before."""
UNPAUSED = ("Filters", "Settings")
"""Where the space bar does something else."""
WINDOWS = (("help", "?"), ("time", "t"), ("group-by", "b"), ("filter", "f"), ("palette", ":"), ("export", "e"))
WALK = ("j", "j", "k", "s", "v", "u", "]", "[", "0", "enter", "\x1b", "?", "\x1b", "t", "\x1b", "+", "-", "R", "a", "T")


@contextmanager
def demo(size: tuple[int, int], home: Path) -> Iterator[Terminal]:
    """The dashboard on a simulated network of its own."""
    configuration = home / "nftui.toml"
    configuration.touch()
    terminal = Terminal(processes.nftui("--config", configuration, "demo"), *size)
    try:
        yield terminal
    finally:
        terminal.close()


def screens(terminal: Terminal, seconds: float) -> Iterator[tuple[str, float, float | None]]:
    """Yield each place with its octets a second, followed and paused."""
    for name, key in PLACES:
        terminal.press(key)
        terminal.listen(4)
        live = terminal.listen(seconds) / seconds
        if name in UNPAUSED:
            yield name, live, None
            continue
        terminal.press(" ")
        terminal.listen(2.5)
        still = terminal.listen(seconds / 2) / (seconds / 2)
        terminal.press(" ")
        terminal.listen(1)
        yield name, live, still


def windows(terminal: Terminal) -> Iterator[tuple[str, int, int]]:
    """Yield each window with the octets of its opening and of its closing, while nothing else changes."""
    for key in ("1", *"vvvvv"[: len(DISPLAYS) - DISPLAYS.index("area") - 1], " "):
        terminal.press(key)
        terminal.listen(1.5)
    terminal.listen(2)
    for name, key in WINDOWS:
        terminal.press(key)
        opening = terminal.listen(1.5)
        terminal.press("\x1b")
        yield name, opening, terminal.listen(1.5)
    terminal.press(" ")


def growth(terminal: Terminal, minutes: float) -> list[Figure]:
    """Press keys for so long; return the console's memory before, in between and after."""
    dice, found, began = random.Random(1), list[tuple[float, int, int]](), time.perf_counter()
    until, next_look, keys = began + minutes * 60, 0.0, 0
    for screen in cycle("1234578"):
        terminal.press(screen)
        terminal.listen(1)
        for _ in range(12):
            # 8 is where keys would change settings.
            key = dice.choice("jk") if screen in "58" else dice.choice(WALK)
            terminal.press("\r" if key == "enter" else key)
            terminal.listen(dice.uniform(0.05, 0.4))
            keys += 1
        terminal.press("\x1b")
        terminal.listen(0.3)
        now = time.perf_counter()
        if now - began >= next_look:
            found.append((now - began, processes.resident(terminal.process.pid), keys))
            next_look += max(minutes * 60 / 5, 20)
        if now > until:
            break
    return [
        *(
            Figure(f"console's memory after {at / 60:.1f} min", size, form=figures.octets, remark=f"{done} keys")
            for at, size, done in found
        ),
        at_rest(terminal),
    ]


def at_rest(terminal: Terminal) -> Figure:
    """Return what console and collector take after some time at Live, shared pages in proportion; the simulated network aside."""
    terminal.press("1")
    terminal.listen(REST_S)
    parts = {"console": 0, "collector": 0, "keeper": 0}
    for process in processes.family(terminal.process.pid):
        words = processes.command_of(process)
        if "demo-exporters" not in words:
            part = "keeper" if any("keeper" in word for word in words) else "collector" if "collect" in words else "console"
            parts[part] += processes.proportional(process)
    remark = ", ".join(f"{part} {figures.octets(size)}" for part, size in parts.items())
    return Figure("memory of all at rest", sum(parts.values()), form=figures.octets, remark=remark)


def table(sizes: Sequence[tuple[int, int]], seconds: float, minutes: float) -> None:
    """Measure and print, size by size."""
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="nftui-bench-") as folder, demo(size, Path(folder)) as terminal:
            terminal.listen(WARM_S)
            found = []
            for name, live, still in screens(terminal, seconds):
                goal = "<= 4,000" if size == SIZES[0] and name == "Live, area" else ""
                found.append(Figure(name, live, goal=goal, remark="" if still is None else f"paused {still:.0f}"))
            for name, opening, closing in windows(terminal):
                found.append(Figure(f"window: {name}", opening, remark=f"closing {closing:,}"))
            figures.show(f"octets (a second, at 1 Hz), {size[0]}x{size[1]}", found)
            if minutes:
                figures.show("memory", growth(terminal, minutes))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of counting octets at each place")
    parser.add_argument("--minutes", type=float, default=0.0, help="of keys, after which memory is looked at")
    parser.add_argument("--small", action="store_true", help="80x24 alone")
    options = parser.parse_args()
    end_with_terminal()
    figures.machine()
    table(SIZES[:1] if options.small else SIZES, options.seconds, options.minutes)


if __name__ == "__main__":
    main()
