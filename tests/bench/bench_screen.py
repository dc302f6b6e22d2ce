"""The screen: first paint, keys, octets to the terminal and memory, in a terminal of 80x24, with a collector at work beside it.

A key counts as answered when its own effect is seen on the emulated screen: the cursor stands on another row, or a word in an edge
line has changed. Keys come at irregular times, so that some meet the refresh of each second. There is no peer.

    python -m tests.bench.bench_screen [--rate N] [--keys N] [--quick]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from tests.bench import collectors, figures, processes, stores, traffic
from tests.bench.collectors import Nftui
from tests.bench.figures import Figure
from tests.bench.processes import Running
from tests.bench.terminal import Screen, Terminal

RECORDED = 500_000
STARTS = 5
WARM_S = 6.0
"""How long flows come before anything is measured."""
PATIENCE_S = 2.0
"""A key whose effect isn't seen by then counts as lost."""
TABLE = range(3, 23)
"""The lines among which the table is, on either screen."""
AT_HAND, ASKED, OTHER = "what is at hand", "what has to be asked", "the other screen"
FIRST, LAST = 15, 19
"""The lines that the cursor is kept between: within the table on either screen."""


def cursor(screen: Screen) -> int:
    """Return the line that the cursor of the table is on: the one on another background than most."""
    colours = [max(set(screen.behind[line]), key=screen.behind[line].count) for line in TABLE]
    usual = max(set(colours), key=colours.count)
    return next((line for line, colour in zip(TABLE, colours, strict=True) if colour != usual), -1)


def state(screen: Screen) -> object:
    """Return whether the screen says that it follows the clock."""
    return "PAUSED" in screen.line(0)


def unit(screen: Screen) -> object:
    """Return the unit that the screen names."""
    return screen.line(1).split()[-1:]


def order(screen: Screen) -> object:
    """Return the order that the Live screen names."""
    return next((line.rpartition("sort:")[2] for line in screen.lines() if "sort:" in line), "")


def tab(screen: Screen) -> object:
    """Return which screen is open."""
    return screen.line(0).partition("]")[0].partition("[")[2]


@dataclass(frozen=True)
class Key:
    """A key, and what on the screen it changes.

    Attributes:
        keys: What is pressed; empty for a step up or down, as there is room.
        kind: Under which name its time is counted.
        effect: Returns what the key changes.
    """

    keys: str
    kind: str
    effect: Callable[[Screen], object]


MOVE = Key("", AT_HAND, cursor)
PAUSE, UNIT = Key(" ", AT_HAND, state), Key("u", AT_HAND, unit)
ORDER = Key("s", ASKED, order)
LIVE, FLOWS = Key("1", OTHER, tab), Key("2", OTHER, tab)
ON_LIVE = (MOVE, MOVE, MOVE, UNIT, MOVE, MOVE, ORDER, MOVE, MOVE, PAUSE, PAUSE, MOVE)
ON_FLOWS = (MOVE, MOVE, MOVE, MOVE, MOVE, PAUSE, PAUSE, MOVE)


@dataclass
class Times:
    """Seconds from keys to their effect, by screen and kind; `lost` had none."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    lost: int = 0


def press(terminal: Terminal, key: Key, times: Times, dice: random.Random) -> None:
    """Press a key and take its time."""
    while terminal.read(0):
        pass
    before, here = key.effect(terminal.screen), str(tab(terminal.screen))[1:].strip()
    step = "j" if cursor(terminal.screen) < FIRST else "k" if cursor(terminal.screen) > LAST else dice.choice("jk")
    pressed = terminal.press(key.keys or step)
    seen = terminal.wait(lambda screen: key.effect(screen) != before, PATIENCE_S)
    if seen is None:
        times.lost += 1
    else:
        times.seconds.setdefault(key.kind if key.kind == OTHER else f"{here}: {key.kind}", []).append(seen - pressed)


def type_keys(terminal: Terminal, number: int) -> Times:
    """Press keys on both screens, half of them on each, at irregular times."""
    times, dice = Times(), random.Random(1)
    for here, keys in ((LIVE, ON_LIVE), (FLOWS, ON_FLOWS)):
        if tab(terminal.screen) != {"1": "1Live", "2": "2Flows"}[here.keys]:
            press(terminal, here, times, dice)
        terminal.listen(1.5)
        for key in islice(cycle(keys), number // 2):
            press(terminal, key, times, dice)
            terminal.listen(dice.uniform(0.05, 0.3))
    for key in (LIVE, FLOWS) * 4:
        press(terminal, key, times, dice)
        terminal.listen(dice.uniform(0.3, 0.8))
    return times


def first_paint(data: Path) -> tuple[float, float]:
    """Return seconds from the start of the dashboard to its first whole frame, and to its first answer."""
    terminal = Terminal(processes.nftui("--no-collect", "--data", data))
    try:
        painted = terminal.wait(lambda screen: "[1Live]" in screen.line(0) and "f Filter" in screen.line(-1))
        answered = terminal.last if terminal.screen.shows("avg over") else terminal.wait(lambda screen: screen.shows("avg over"))
        if painted is None or answered is None:
            raise RuntimeError("no first frame:\n" + "\n".join(terminal.screen.lines()))
        return painted - terminal.began, answered - terminal.began
    finally:
        terminal.close()


def starting(work: Path, recording: Path) -> list[Figure]:
    """Measure how long it takes until there is something to see."""
    data = work / "paint"
    stores.fill(recording, data)
    paints, versions, bare = [], [], []
    for _ in range(STARTS):
        paints.append(first_paint(data))
        versions.append(processes.run(processes.nftui("--version")).wall)
        bare.append(processes.run([sys.executable, "-c", ""]).wall)
    frame, answer = (statistics.median(column) for column in zip(*paints, strict=True))
    return [
        Figure("first frame", frame, form=figures.seconds, goal="<= 0.8 s", remark=f"{RECORDED:,} flows held"),
        Figure("first answer", answer, form=figures.seconds),
        Figure("nftui --version", statistics.median(versions), form=figures.seconds, goal="<= 0.1 s"),
        Figure("  Python alone", statistics.median(bare), form=figures.seconds),
    ]


def timing(times: Times) -> Iterator[Figure]:
    """Yield the figures of the keys."""
    for kind, seconds in times.seconds.items():
        found = sorted(seconds)
        place = min(int(len(found) * 0.99), len(found) - 1)
        goal = "<= 100 ms" if kind.endswith(AT_HAND) else ""
        yield Figure(f"key to repaint, {kind}: p50", statistics.median(found), form=figures.seconds, remark=f"{len(found)} keys")
        yield Figure("  p99", found[place], form=figures.seconds, goal=goal, remark=f"slowest {figures.seconds(found[-1])}")
    yield Figure("keys without effect", times.lost, form=figures.number)


@dataclass(frozen=True)
class Memory:
    """Octets in memory, shared pages in proportion: of the collector with its children, and of the console."""

    collector: int
    console: int

    @classmethod
    def of(cls, collector: Running, terminal: Terminal) -> Memory:
        """Measure now."""
        return cls(*(sum(map(processes.proportional, processes.family(one.process.pid))) for one in (collector, terminal)))

    def figures(self, when: str, goal: str) -> list[Figure]:
        """Return the lines of a table."""
        parts = f"collector {figures.octets(self.collector)}, console {figures.octets(self.console)}"
        return [Figure(f"memory, {when}", self.collector + self.console, form=figures.octets, goal=goal, remark=parts)]


def watching(work: Path, recording: Path, rate: int, keys: int, seconds: float) -> list[Figure]:
    """Measure a dashboard that follows a collector."""
    port, data = processes.free_port(), work / "live"
    with collectors.running(Nftui(), data, port, pin=False) as collector:
        terminal = Terminal(processes.nftui("--no-collect", "--data", data))
        try:
            terminal.listen(3)
            idle = Memory.of(collector, terminal)
            silent = terminal.listen(seconds / 4) / (seconds / 4)
            with collectors.sending(recording, port, rate):
                terminal.listen(WARM_S)
                live = terminal.listen(seconds) / seconds
                watched = Memory.of(collector, terminal)
                times = type_keys(terminal, keys)
                busy = Memory.of(collector, terminal)
            received = processes.udp(port)
        finally:
            terminal.close()
        peak = collector.memory
        collector.stop()
    drops = f"{received.drops} datagrams dropped" if received and received.drops else ""
    return [
        *timing(times),
        Figure("octets a second, nothing received", silent, goal="0"),
        Figure("octets a second, Live at 1 Hz", live, goal="<= 4,000"),
        *idle.figures("nothing received", "<= 250 MB"),
        *watched.figures(f"Live at {figures.rate(rate)}", ""),
        *busy.figures("after the keys, Flows too", ""),
        Figure("  collector at the most", peak, form=figures.octets, goal="<= 700 MB", remark=drops or "shared pages in full"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=50_000, help="flows a second that the collector receives meanwhile")
    parser.add_argument("--keys", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=20.0, help="of counting octets")
    parser.add_argument("--quick", action="store_true", help="30 keys, 4 s of octets: a try, no figures to quote")
    options = parser.parse_args()
    if options.quick:
        options.keys, options.seconds = min(options.keys, 30), min(options.seconds, 4.0)
    figures.machine()
    with tempfile.TemporaryDirectory(prefix="nftui-bench-", dir=processes.work_folder()) as folder:
        work, began = Path(folder), time.perf_counter()
        recording = work / "v9.datagrams"
        traffic.record(recording, "v9", RECORDED)
        found = starting(work, recording)
        found += watching(work, recording, options.rate, options.keys, options.seconds)
        figures.show(f"80x24, {figures.rate(options.rate)} flows beside it", found)
        print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
