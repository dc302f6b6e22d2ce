"""An investigation by keys alone, over a real ssh: five questions about the simulated network, answered as the store answers them.

`docs/tutorial.md` tells it as a story; its keys are taken from there.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.real.processes import Mark
from tests.real.terminal import Screen, Terminal, marked, terminal
from tests.real.test_ssh import server
from tests.running import ROOT, nftui

pytestmark = pytest.mark.peer("sshd", "ssh", "tmux")

TUTORIAL = ROOT / "docs" / "tutorial.md"
MOST_KEYS = 25
KEY = re.compile(r"<kbd>([^<]+)</kbd>")
MOMENT = re.compile(r"(\d\d:\d\d:\d\d) \+(\d+)s ")
"""Of the legend, while the chart has the keys: the time of a bin, and how long it is."""
LOCAL = "%Y-%m-%dT%H:%M:%S"
NAMES = {"⏎": "Enter", "↓": "Down"}


def steps() -> dict[str, list[str]]:
    """Return the keys of each question of the tutorial, by its heading."""
    found: dict[str, list[str]] = {}
    for section in TUTORIAL.read_text("utf-8").split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        if keys := KEY.findall(text.split("\n```")[0]):
            found[title.strip()] = [NAMES.get(key, key) for key in keys]
    return found


class Investigation:
    """Somebody at the keys."""

    def __init__(self, console: Terminal, data: Path) -> None:
        self.console, self.data, self.pressed = console, data, 0

    def keys(self, keys: list[str], shown: str) -> Screen:
        """Press keys, wait for what tells that they had their effect, and return the screen."""
        for key in keys:
            self.console.press(key)
            self.pressed += 1
            time.sleep(0.4)  # as somebody who reads what comes
        self.console.wait(lambda screen: re.search(shown, "\n".join(screen), re.MULTILINE), shown, 30)
        return self.console.screen()

    def moment(self) -> tuple[str, int]:
        """Return the time that the legend reads, once it stays, and the seconds of its bin."""
        before = ""
        for _ in range(20):
            time.sleep(1)
            found = MOMENT.search("\n".join(self.console.screen()))
            if found is not None and found[1] == before:
                return before, int(found[2])
            before = found[1] if found is not None else ""
        pytest.fail("no moment is read:\n" + "\n".join(self.console.screen()))

    def risen(self, source: str, asked: datetime, clock: str, seconds: int) -> str:
        """Check that what a source sent rose at a time of today by more than at any other in the range; return the time.

        Args:
            source: The address.
            asked: When it was asked for: what settled later was not looked at.
            clock: The time, as the screen tells it.
            seconds: Of a bin.
        """
        hour, minute, second = map(int, clock.split(":"))
        start = asked.replace(hour=hour, minute=minute, second=second, microsecond=0)
        start -= timedelta(days=start > asked)
        before = max(int((start - asked).total_seconds() + 870) // seconds, 1)  # bins of the quarter of an hour before it
        behind = max(int((asked - start).total_seconds() - 80) // seconds, 1)  # and from it on, those that have settled
        first, last = start - timedelta(seconds=before * seconds), start + timedelta(seconds=behind * seconds)
        words = ["-t", f"{first:{LOCAL}}/{last:{LOCAL}}", "--by", "none", "--resolution", str(before + behind), "-o", "json"]
        done = nftui("series", "--data", self.data, *words, "src", "ip", source)
        rows = json.loads(done.stdout)["rows"]
        assert len(rows) == before + behind
        rises = [after["octets"] - earlier["octets"] for earlier, after in pairwise(rows)]
        assert rises[before - 1] == max(rises), rises
        return clock

    def top(self, statistic: str, *where: str) -> str:
        """Return the best value of a statistic as the command tells it."""
        done = nftui("top", "--data", self.data, "-t", "-15m", "-n", "1", "-s", statistic, "-o", "json", *where)
        answer: dict[str, Any] = json.loads(done.stdout)
        (row,) = answer["rows"][:1]
        return str(row[next(key for key in row if key not in ("rank", "statistic"))])


def best(screen: Screen) -> str:
    """Return the value in the first row of the ranked list."""
    row = next(line for line in screen[10:] if line.startswith(("▌", ">")))
    return row.lstrip("▌> ").lstrip("■# ").split()[0]  # the pointer and the swatch, as the locale there has them


def told(screen: Screen) -> str:
    """Return how many flows there are, in so few digits that it stays for a second once the past is there."""
    found = re.search(r" ([\d.]+)k flows ", screen[2])
    return f"{float(found[1]):.2g}" if found else ""


def traffic(screen: Screen) -> bool:
    """Return whether a quarter of an hour is there, and nothing more is written of it than of now."""
    return len(screen) > 11 and "5 exporters" in screen[2] and " by dstip of " in "\n".join(screen)


@pytest.mark.row("V01", "V02", "V13", "V15", "X02")
def test_five_questions_in_twenty_five_keys(tmp_path: Path) -> None:
    asked = steps()
    assert len(asked) == 5, "the tutorial has five questions"
    data = tmp_path / "store"
    mark = Mark()
    with server(tmp_path / "ssh") as sshd:
        there = marked(mark, "demo", "--data", data, "--seed", "7", temporary=tmp_path)
        command = sshd.command(f"cd {shlex.quote(str(ROOT))} && exec {shlex.join(there)}")
        with terminal(command) as console:
            console.wait(traffic, "the simulated network", 60)
            before = ""
            while before != (before := told(console.screen())):  # the quarter of an hour that was before comes first
                time.sleep(1)
            one = Investigation(console, data)
            who, since, whom, port, exporter = asked.values()

            source = best(one.keys(who, r"top 10 by srcip"))
            assert source == one.top("srcip/bytes")

            asked_at = datetime.now().astimezone()
            one.keys(since, rf"filter: src ip {re.escape(source)} ")
            began = one.risen(source, asked_at, *one.moment())

            destination = best(one.keys(whom, r"top 10 by dstip of "))
            assert destination == one.top("dstip/bytes", "src", "ip", source)
            service = best(one.keys(port, r"top 10 by dstport of "))
            assert service == one.top("dstport/bytes", "src", "ip", source)
            told_by = best(one.keys(exporter, r"top 10 by router of "))
            assert told_by == one.top("router/bytes", "src", "ip", source)

            assert one.pressed <= MOST_KEYS
            print(f"\n{one.pressed} keys: {source} since {began} to {destination} port {service} by {told_by}")
            console.press("q")
            assert console.ends() == 0
    mark.gone()
