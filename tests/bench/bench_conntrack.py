"""Connection tracking: CPU of going through a big table, ours and the kernel's part in it, beside conntrack(8) in the same run.

It takes root: the connections are made in a network of their own.

    python -m tests.bench.bench_conntrack [--connections N]
"""

from __future__ import annotations

import argparse
import resource
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nftui.capture.probe.conntrack import Conntrack
from tests import peers
from tests.bench import figures
from tests.bench.figures import Figure
from tests.real import namespace

RULES = "table inet bench { chain every { type filter hook input priority 0; ct state new counter; }; }"
ROUNDS = 5
PORTS = 40_000


@dataclass(frozen=True, slots=True)
class Pass:
    """Once through the table, in seconds of CPU: ours, the kernel's for us, and the longest step between two looks for events."""

    user: float
    system: float
    longest: float
    rows: int


def connections(number: int, every: int = 1) -> None:
    """Send a datagram on each connection, or on some of them; a connection is one that nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 7))
        for one in range(0, number, every):
            sender.sendto(b"some octets", (f"127.0.{1 + one // PORTS}.1", 10_000 + one % PORTS))


def passed(source: Conntrack) -> Pass:
    """Go through the table once."""
    source.ask()
    before, longest, rows = resource.getrusage(resource.RUSAGE_THREAD), 0.0, 0
    while source.asking:
        began = time.thread_time()
        frame = source.answer()
        longest = max(longest, time.thread_time() - began)
        rows += 0 if frame is None else frame.height
    after = resource.getrusage(resource.RUSAGE_THREAD)
    return Pass(after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, longest, rows)


def least(runs: list[Pass], value: Callable[[Pass], float]) -> float:
    """Return the least of some runs: what others do on the machine only adds."""
    return min(value(one) for one in runs)


def measure(number: int) -> None:
    """Measure within a network of its own."""
    subprocess.run([peers.require("nft"), "-f", "-"], input=RULES, text=True, check=True)
    for name, value in (("acct", 1), ("timestamp", 1), ("udp_timeout", 3600)):
        Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text(str(value))
    connections(number)
    with Conntrack() as source:
        source.base()
        known = len(source.tallies)
        lines = []
        for every, what in ((0, "none counted anything"), (10, "one in ten did"), (1, "all did")):
            runs = []
            for _ in range(ROUNDS):
                if every:
                    connections(number, every)
                runs.append(passed(source))
            lines += [
                Figure(f"{what}: ours", least(runs, lambda one: one.user), form=figures.seconds, remark=f"{runs[-1].rows:,} flows"),
                Figure(f"{what}: the kernel's", least(runs, lambda one: one.system), form=figures.seconds),
                Figure(f"{what}: the longest step", least(runs, lambda one: one.longest), form=figures.seconds),
            ]
            assert runs[-1].rows == (known // every if every else 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([peers.require("conntrack"), "-L"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    whole = lines[0].ours, lines[1].ours
    lines.append(Figure("all of it, none counted anything", sum(one or 0.0 for one in whole), taken, form=figures.seconds))
    figures.show(f"{known:,} connections, once through, CPU", lines, "conntrack -L")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=100_000)
    options = parser.parse_args()
    figures.machine()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(namespace.inside, lambda: measure(options.connections)).result()


if __name__ == "__main__":
    main()
