"""Two consoles and a collector at work on one store, under load: nobody is in anybody's way, and nothing is lost.

`NFTUI_SOAK_SECONDS=300` is the long form.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.real.processes import Mark, usage
from tests.real.terminal import Screen, Terminal, marked, terminal
from tests.running import ROOT, Collecting, answer, collecting

SECONDS = float(os.environ.get("NFTUI_SOAK_SECONDS", "15"))
RATE = 50_000
SLOWEST_S = 10.0
"""From a key to the screen, at worst; a machine that does other things too gets this much."""

SOUND = re.compile(r"^ path: all | asking…|flows +\d+ exporters? +drops 0$|^$")
"""The third line of a screen on which all is well; a problem would stand there."""
WRONG = re.compile(r"error|traceback|lock|can't|damaged|no collector|stopped|stale|dropped", re.IGNORECASE)


@dataclass
class Watched:
    """A console in a terminal, and what was seen of it.

    Attributes:
        console: The terminal.
        mark: What its processes carry.
        wrong: Screens that showed a problem.
        delays: Seconds from a key to the screen that it asks for.
    """

    console: Terminal
    mark: Mark
    wrong: list[Screen] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def look(self, screen: Screen) -> bool:
        """Note what is wrong on a screen; return whether it is one of ours at all."""
        if len(screen) < 3 or not re.match(r".[12] ?(Live|Flows)|.1Live.2Flows", screen[0]):
            return False
        if not SOUND.search(screen[2]) or any(WRONG.search(line.replace("clock", "")) for line in screen):
            self.wrong.append(screen)
        return True

    def press(self, key: str, tab: str, third: str) -> None:
        """Press a key, and wait until the tab and its figures are there."""
        self.console.press(key)
        self.delays.append(
            self.console.wait(
                lambda screen: self.look(screen) and tab in screen[0] and re.search(third, screen[2]), f"{key}: {tab}"
            )
        )

    def pid(self) -> int:
        """Return the process id of the console."""
        (one,) = self.mark.named("-m nftui")
        return one


def told(name: str, pid: int, seconds: float) -> str:
    """Return what a process has used, in words."""
    cpu, most, own = usage(pid)
    return f"  {name}: {cpu:.1f} s CPU ({100 * cpu / seconds:.0f} %), {most:.0f} MB resident at most, {own:.0f} MB of its own now"


def drive(consoles: list[Watched], exporter: subprocess.Popen[str]) -> None:
    """Use both consoles until the exporter has sent everything."""
    while exporter.poll() is None:
        for one in consoles:
            one.press("2", "Flows]", r"^ path: all .*of [\d,]+ flows")
            one.press("1", "Live]", r"b/s .* flows +1 exporter +drops 0$")
        time.sleep(0.5)


def report(consoles: list[Watched], collector: Collecting, sent: dict[str, Any]) -> None:
    """Print the figures."""
    seconds = sent["seconds"]
    print(f"\n{sent['flows']:,} flows in {seconds:.1f} s; the exporter was {sent['worst_lag']:.2f} s behind at most")
    print(told("collector", collector.process.pid, seconds))
    for number, one in enumerate(consoles, 1):
        ranked = sorted(one.delays)
        print(told(f"console {number}", one.pid(), seconds))
        print(
            f"    key to screen: median {statistics.median(ranked):.2f} s, 95 % {ranked[int(len(ranked) * 0.95)]:.2f} s, "
            f"most {ranked[-1]:.2f} s, of {len(ranked)} keys"
        )


@pytest.mark.peer("tmux")
@pytest.mark.timeout(SECONDS * 2 + 180)
def test_two_consoles_and_a_collector(tmp_path: Path) -> None:
    store = tmp_path / "store"
    marks = [Mark(), Mark()]
    with (
        collecting(store) as collector,
        terminal(marked(marks[0], "--data", store), 80, 24) as first,
        terminal(marked(marks[1], "--no-collect", "--data", store), 200, 50) as second,
    ):
        consoles = [Watched(first, marks[0]), Watched(second, marks[1])]
        for one in consoles:
            one.console.wait(one.look, "the first screen")
        words = [sys.executable, "-m", "tests.real.sender", str(collector.port), str(RATE), str(SECONDS)]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as exporter:
            first.wait(lambda screen: len(screen) > 2 and "1 exporter " in screen[2], "the first flows")
            drive(consoles, exporter)
            sent = json.loads(exporter.communicate()[0])
        collector.wait_for(lambda: collector.status().get("datagrams") == sent["flows"] // 30)
        status = collector.status()
        report(consoles, collector, sent)
        assert marks[0].named("nftui collect") == [], "the store has a collector"
        for one in consoles:
            one.press("2", "Flows]", rf"of {sent['flows']:,} flows")
            one.console.press("q")
            assert one.console.ends() == 0, one.console.screen()
            one.mark.gone()
            assert one.wrong == []
            assert max(one.delays) < SLOWEST_S
        _, err = collector.stop()
    assert {name: status[name] for name in ("drops", "queue_dropped", "sequence_lost", "flows_odd")} == {
        "drops": 0, "queue_dropped": 0, "sequence_lost": 0, "flows_odd": 0,
    }  # fmt: skip
    assert "WARNING" not in err
    (row,) = answer("summary", "--data", store)["rows"]
    assert (row["flows"], row["octets"]) == (sent["flows"], sent["octets"])
    assert sent["flows"] > RATE * SECONDS * 0.9, "the exporter itself was too slow"
