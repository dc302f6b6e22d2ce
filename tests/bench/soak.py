"""A collector under load for long, with consoles reading: every flow sent is stored, and memory stays flat.

    make soak                                   30 minutes at 200,000 flows a second
    make soak ARGS="--seconds 60 --rate 50000"  less

Ends with status 1 where a flow is missing or counted twice, memory grew, or a console's question failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nftui.engine.store import Store
from tests.bench import collectors, figures, processes, traffic
from tests.bench.collectors import Nftui
from tests.bench.processes import Running
from tests.bench.terminal import Terminal

RECORDED = 2_000_000
SAMPLE_S = 5.0
ASK_S = 30.0
GROWTH, GROWTH_OCTETS = 1.15, 32 << 20
"""What the last quarter's median may be above the third's, when a dashboard's range has filled: a share of it, and some."""
WHO = ("collector", "keeper", "dashboard")


@dataclass
class Course:
    """What was seen on the way: octets in memory of each process by time, and the consoles' questions.

    Attributes:
        memory: By process, (seconds since the beginning, octets).
        questions: Seconds that each question took.
        failures: What went wrong, in words.
    """

    memory: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: {who: [] for who in WHO})
    questions: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def median(self, who: str, first: float, last: float) -> int:
        """Return the median memory of a process between two shares of the time."""
        samples = self.memory[who]
        end = samples[-1][0] if samples else 0.0
        inside = sorted(octets for when, octets in samples if first * end <= when <= last * end)
        return inside[len(inside) // 2] if inside else 0

    def peak(self, who: str) -> int:
        """Return the most memory of a process."""
        return max((octets for _, octets in self.memory[who]), default=0)


def soak(work: Path, rate: int, seconds: float) -> list[str]:
    """Run it, print its course, and return what went wrong."""
    recording, data, port = work / "v9.datagrams", work / "store", processes.free_port()
    traffic.record(recording, "v9", min(RECORDED, int(rate * seconds)))
    course, over = Course(), threading.Event()
    with collectors.running(Nftui(), data, port, pin=False) as collector:
        terminal = Terminal(processes.nftui("--no-collect", "--data", data))
        try:
            with _beside(_watch, collector, terminal, data, course, over), _beside(_ask, data, course, over):
                told = collectors.send(recording, port, rate=rate, seconds=seconds, now=True)
                processes.drain(port)
                over.set()
            state = processes.udp(port)
        finally:
            over.set()
            terminal.close()
        usage = collector.stop()
    store = Store(data)
    parts = store.parts()
    stored, status = store.flow_count(parts), store.status() or {}
    _show(course, told["flows"], stored, len(parts), processes.size(data), usage.cpu)
    return [
        *_wrong(course, told["flows"], stored, status),
        *([f"{state.drops} datagrams dropped"] if state and state.drops else []),
    ]


@contextmanager
def _beside(work: object, *words: object) -> Iterator[None]:
    thread = threading.Thread(target=work, args=words)  # type: ignore[arg-type]
    thread.start()
    try:
        yield
    finally:
        over = words[-1]
        assert isinstance(over, threading.Event)
        over.set()
        thread.join()


def _watch(collector: Running, terminal: Terminal, data: Path, course: Course, over: threading.Event) -> None:
    began = time.monotonic()
    told = 0.0
    while not over.is_set():
        due = time.monotonic() + SAMPLE_S
        try:
            terminal.listen(max(min(SAMPLE_S, due - time.monotonic()), 0.1))
        except RuntimeError as error:
            course.failures.append(f"the dashboard: {error}")
            return
        elapsed = time.monotonic() - began
        family = processes.family(collector.process.pid)
        for who, pids in zip(WHO, (family[:1], family[1:], [terminal.process.pid]), strict=True):
            course.memory[who].append((elapsed, sum(map(processes.proportional, pids))))
        if elapsed >= told:
            told += 60
            _tell(elapsed, data, course)


def _tell(elapsed: float, data: Path, course: Course) -> None:
    status = Store(data).status() or {}
    memory = "  ".join(f"{who} {figures.octets(course.memory[who][-1][1]):>7}" for who in WHO)
    segments = status.get("store", {}).get("segments", 0)
    line = f"{elapsed / 60:5.1f} min  {status.get('flows_stored', 0):>13,} stored  {memory}  {segments:>5} segments"
    print(f"  {line}  drops {status.get('drops', 0)}  {len(course.questions)} questions", flush=True)


def _ask(data: Path, course: Course, over: threading.Event) -> None:
    """Ask from the command line, as a person or a script would."""
    words = ("top", "-s", "srcip/bytes"), ("series", "--by", "dstport"), ("summary",), ("flows", "-c", "100")
    number = 0
    while not over.wait(ASK_S):
        kind = words[number % len(words)]
        number += 1
        began = time.monotonic()
        done = subprocess.run(
            processes.nftui(*kind, "--data", data, "-t", "-1m", "-o", "json"), capture_output=True, text=True, check=False
        )
        course.questions.append(time.monotonic() - began)
        if done.returncode or not json.loads(done.stdout)["rows"]:
            course.failures.append(f"{' '.join(kind)}: {done.stderr.strip() or 'no rows'}")


def _show(course: Course, sent: int, stored: int, parts: int, octets: int, cpu: float) -> None:
    files = f"{parts} files of {figures.octets(octets)}"
    print(f"  {sent:,} flows sent, {stored:,} stored in {files}; collector and keeper {cpu:,.0f} s CPU")
    for who in WHO:
        early, late, peak = course.median(who, 0.5, 0.75), course.median(who, 0.75, 1.0), course.peak(who)
        quarters = f"{figures.octets(early)} in the third quarter, {figures.octets(late)} in the last"
        print(f"  {who:<10} {quarters}, at most {figures.octets(peak)}")
    if course.questions:
        print(f"  {len(course.questions)} questions over the last minute, the slowest {max(course.questions):.1f} s")


def _wrong(course: Course, sent: int, stored: int, status: dict[str, object]) -> list[str]:
    wrong = list(course.failures)
    if stored != sent:
        wrong.append(f"{sent:,} flows were sent, {stored:,} are stored")
    counters = ("drops", "queue_dropped", "undecodable", "sequence_lost")
    wrong += [f"{name}: {status.get(name)}" for name in counters if status.get(name) != 0]
    for who in WHO:
        early, late = course.median(who, 0.5, 0.75), course.median(who, 0.75, 1.0)
        if late > early * GROWTH + GROWTH_OCTETS:
            wrong.append(f"the memory of the {who} grew from {early:,} to {late:,} octets")
    return wrong


def main() -> int:
    """Soak, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=200_000, help="flows a second")
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--folder", type=Path, help="where the store is made; 30 minutes take 15 GB")
    options = parser.parse_args()
    figures.machine()
    with tempfile.TemporaryDirectory(prefix="nftui-soak-", dir=options.folder) as folder:
        wrong = soak(Path(folder), options.rate, options.seconds)
    for one in wrong:
        print(f"WRONG: {one}")
    print("failed" if wrong else "all flows sent are stored once, and memory stays flat")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
