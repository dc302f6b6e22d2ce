"""Keys over a month of flows: what they take while questions run, with a collector at work beside the dashboard; and the most
memory that the dashboard has on each screen.

A key counts as answered with the first octets that come back; it is pressed when nothing has come for a moment, and what comes by
itself, once a second and while an answer grows, counts as well. So keys whose effect is seen on the screen are timed, too.

    python -m tests.bench.bench_long DIR [--rate N] [--keys N]     DIR: a store as `tests.bench.long_store` makes it
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from nftui.dashboard import end_with_terminal
from tests.bench import collectors, figures, processes, traffic
from tests.bench.bench_screen import cursor, tab
from tests.bench.collectors import Nftui
from tests.bench.figures import Figure
from tests.bench.terminal import Screen, Terminal

PATIENCE_S = 2.0
FIRST, LAST = 15, 18
"""Lines of the table between which the cursor is kept: a step beyond its first row would have no effect."""
SCREENS = (
    ("Flows", "2", "jjjkjk"), ("Summary", "3", "\tjk"), ("Map", "4", ">>><"), ("Filters", "5", "jk"),
    ("Sources", "7", "lh"), ("Settings", "8", "jjkjk"),
)  # fmt: skip
"""Each screen, the key that opens it, and keys that move about in it."""
PANELS = 6
"""Panels of the Summary screen."""
Effect = Callable[[Screen], object]


def chosen(screen: Screen) -> object:
    """Return what the cursor of the table is on: another row after each step, also where rows change their order meanwhile."""
    at = cursor(screen)
    return at >= 0 and screen.line(at)[3:24]


def timed(terminal: Terminal, keys: str, effect: Effect) -> float | None:
    """Press a key; return seconds until its effect is seen, None where it isn't."""
    while terminal.read(0):
        pass
    before = effect(terminal.screen)
    pressed = terminal.press(keys)
    seen = terminal.wait(lambda screen: effect(screen) != before, PATIENCE_S)
    return None if seen is None else seen - pressed


def moves(terminal: Terminal, number: int, dice: random.Random) -> list[float | None]:
    """Move the cursor of the table up and down."""
    found = []
    for _ in range(number):
        at = cursor(terminal.screen)
        found.append(timed(terminal, "j" if at < FIRST else "k" if at > LAST else dice.choice("jk"), chosen))
        terminal.listen(dice.uniform(0.05, 0.25))
    return found


def travel(terminal: Terminal, number: int, dice: random.Random) -> list[float | None]:
    """Move the range back and forth: each move asks anew, and gives up the question before."""
    found = []
    for step in range(number):
        found.append(timed(terminal, "[]"[step % 2], lambda screen: screen.line(1)))
        terminal.listen(dice.uniform(0.1, 0.5))
    terminal.press("0")
    terminal.listen(3.0)
    return found


def typing(terminal: Terminal, number: int, dice: random.Random) -> list[float | None]:
    """Type a filter, a letter at a time."""
    timed(terminal, "f", lambda screen: screen.line(1))
    found = []
    while len(found) < number:
        for letter in "dst port 443 and src net 10.0.0.0/8":
            if letter != " ":
                found.append(timed(terminal, letter, lambda screen: screen.line(1)))
            else:
                terminal.press(letter)
            terminal.listen(dice.uniform(0.05, 0.15))
        terminal.press("\x15")
        terminal.listen(0.2)
    close(terminal)
    return found


def body(screen: Screen) -> object:
    """Return all between the edge lines, its colours as well: what a key on a screen without a table changes."""
    return str(screen.text[2:-1]), str(screen.behind[2:-1]), str(screen.ink[2:-1])


def screens(terminal: Terminal, number: int, dice: random.Random) -> Iterator[Figure]:
    """Open each screen and move about in it; yield the figures of each, and those of the changes between them."""
    first: list[float | None] = []
    again: list[float | None] = []
    for name, opening, steps in SCREENS:
        processes.most_resident(terminal.process.pid, anew=True)
        first.append(timed(terminal, opening, tab))
        terminal.listen(2.5)
        ready(terminal, steps)
        found: list[float | None] = []
        pressed = ""
        for step in range(number):
            key = steps[step % len(steps)]
            # The cursor follows its row, which newer flows push down to where there is none below it.
            at_end = name == "Flows" and cursor(terminal.screen) > LAST
            pressed += "k" if at_end else key
            found.append(timed(terminal, pressed[-1], body))
            terminal.listen(dice.uniform(0.05, 0.25))
        yield from figure(name, found, pressed)
        yield memory(terminal, name)
    for _, key, _ in SCREENS * 3:
        again.append(timed(terminal, key, tab))
        terminal.listen(dice.uniform(0.3, 1.0))
    terminal.press("1")
    terminal.listen(2.0)
    yield from figure("to a screen, the first time here", first)
    yield from figure("from screen to screen", again)


def ready(terminal: Terminal, steps: str) -> None:
    """Wait until no panel still asks, and put the cursor of each panel where a step has an effect."""
    terminal.wait(lambda screen: not screen.shows("asking…"), 30)
    if "\t" in steps:
        for key in steps * PANELS:
            terminal.press(key)
            terminal.listen(0.1)


def memory(terminal: Terminal, what: str) -> Figure:
    """Return the most memory that the dashboard had since it was asked for last, and what it has now."""
    process = terminal.process.pid
    now = figures.octets(processes.resident(process))
    most = processes.most_resident(process, anew=True)
    return Figure(f"{what}: most memory", most, form=figures.octets, goal="<= 1,000 MB", remark=f"{now} at the end of it")


def close(terminal: Terminal) -> None:
    """Close whatever is open, the prompt and its list, and take away what was filtered by."""
    for _ in range(4):
        terminal.press("\x1b")
        terminal.listen(1.0)
        if "Help" in terminal.screen.line(-1) and "all flows" in terminal.screen.line(1):
            return


def figure(what: str, times: list[float | None], pressed: str = "") -> Iterator[Figure]:
    """Yield the lines of one kind of key; where it is known what was pressed, which one was the slowest."""
    found = sorted(one for one in times if one is not None)
    lost = len(times) - len(found)
    if not found:
        yield Figure(what, None, remark=f"{len(times)} keys, none with an effect")
    else:
        yield Figure(
            f"{what}: p50", statistics.median(found), form=figures.seconds, remark=f"{len(times)} keys, {lost} without effect"
        )
        place = min(int(len(found) * 0.99), len(found) - 1)
        number = times.index(found[-1])
        which = f", key {number + 1}: {pressed[number]!r}" if pressed else ""
        remark = f"slowest {figures.seconds(found[-1])}{which}"
        yield Figure("  p99", found[place], form=figures.seconds, goal="<= 100 ms", remark=remark)


def measure(data: Path, work: Path, rate: int, keys: int) -> list[Figure]:
    """Measure a dashboard on the store, with a collector that adds to it."""
    dice, port, configuration = random.Random(1), processes.free_port(), work / "nftui.toml"
    configuration.write_text('[display]\nrange = "-30d"\n')
    for number, expression in enumerate(("dst port 443", "src net 10.0.0.0/8", "proto udp and bytes > 1500")):
        saving = processes.nftui("--config", configuration, "filters", "save", f"filter {number}", expression)
        subprocess.run(saving, check=True, capture_output=True)
    recording = work / "v9.datagrams"
    traffic.record(recording, "v9", 500_000)
    with ExitStack() as stack:
        if rate:
            stack.enter_context(collectors.running(Nftui(), data, port, pin=False))
            stack.enter_context(collectors.sending(recording, port, rate))
        terminal = Terminal(processes.nftui("--config", configuration, "--no-collect", "--data", data))
        stack.callback(terminal.close)
        terminal.wait(lambda screen: "▌" in screen.line(13) or screen.shows("avg over"), 60)
        began = terminal.last - terminal.began
        found = [Figure("first list, 30 days", began, form=figures.seconds), memory(terminal, "first list, 30 days")]
        found += figure("cursor, while 30 days are read", moves(terminal, keys, dice))
        found += figure("time travel over 30 days", travel(terminal, keys // 2, dice))
        found += figure("filter typed, while 30 days are read", typing(terminal, keys, dice))
        terminal.press("a")
        terminal.listen(2.0)
        found += figure("cursor, names shown", moves(terminal, keys // 2, dice))
        terminal.press("0")
        terminal.listen(1.0)
        for _ in range(7):
            terminal.press("+")
            terminal.listen(0.3)
        terminal.listen(4.0)
        processes.most_resident(terminal.process.pid, anew=True)
        found += figure(f"cursor, {terminal.screen.line(1)[-40:].strip()}", moves(terminal, keys, dice))
        found.append(memory(terminal, "Live"))
        found += screens(terminal, keys // 2, dice)
        terminal.press("t")
        terminal.listen(1.0)
        for key in "-30d\r":
            terminal.press(key)
        terminal.listen(8.0)
        if "30" not in terminal.screen.line(1):
            raise RuntimeError("the range was not taken:\n" + "\n".join(terminal.screen.lines()))
        for one in screens(terminal, keys // 2, dice):
            found.append(replace(one, what=one.what.replace(":", ", 30 days:")))
        terminal.listen(15.0)
        found.append(Figure("memory, back on the list", processes.resident(terminal.process.pid), form=figures.octets))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a store; it is left as it is")
    parser.add_argument("--rate", type=int, default=200_000, help="flows a second that the collector receives; 0 for none")
    parser.add_argument("--keys", type=int, default=120)
    options = parser.parse_args()
    end_with_terminal()
    figures.machine()
    with tempfile.TemporaryDirectory(prefix="nftui-bench-", dir=options.data.parent) as folder:
        work = Path(folder)
        shutil.copytree(options.data, work / "data", copy_function=os.link)
        with contextlib.suppress(FileNotFoundError):
            (work / "data/lock").unlink()
        figures.show("80x24", measure(work / "data", work, options.rate, options.keys))


if __name__ == "__main__":
    main()
