"""Questions over 10 M flows: nftui beside nfdump, on the same flows, in the same run.

Each command runs once to warm up, then `--repeat` times, ours and the peer's in turn; medians are printed. Whole commands are
measured from their start to their end; the answer alone is measured within this process, asked for the first time (nothing is kept)
and asked again (as a screen does). The answers are compared with nfdump's, and with the flows as they were made.

    python -m tests.bench.bench_query [--flows N] [--repeat N] [--keep DIR]
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nftui.engine.filters import parse
from nftui.engine.local import LocalBackEnd
from nftui.engine.query import RECORD_KEYS, Answer, Folding, Kind, Query
from tests.bench import collectors, figures, processes, stores
from tests.bench.collectors import Nfcapd
from tests.bench.figures import Figure
from tests.bench.processes import Usage
from tests.bench.stores import Stores
from tests.bench.traffic import SECOND

BINS = 100
NET_PORT = "net 10.1.0.0/16 and dst port 443"


@dataclass(frozen=True)
class Case:
    """One question.

    Attributes:
        name: In words.
        query: For the back end.
        ours: The words of the command after `nftui`, without the store.
        peer: The words after `nfdump -R DIR`.
        goal: What the design set out to reach; empty where it says nothing.
        times: How many of the peer's commands it takes for the same answer.
    """

    name: str
    query: Query
    ours: tuple[str, ...]
    peer: tuple[str, ...]
    goal: str = ""
    times: int = 1


def cases(rare: str) -> list[Case]:
    """Return the questions; `rare` is the host that is nearly never seen."""
    middle, width = stores.END - stores.SPAN // 2, stores.SPAN // BINS
    window = "-".join(
        datetime.fromtimestamp(moment / SECOND, UTC).strftime("%Y/%m/%d.%H:%M:%S") for moment in (middle, middle + width)
    )
    top, source = ("-N", "-n", "10", "-s"), ("source_address",)
    return [
        Case("total", Query(), ("summary",), ("-N", "-o", "null"), "<= 0.1 s"),
        Case("top 10 sources", Query(keys=source), ("top", "-s", "srcip/bytes"), (*top, "srcip/bytes"), "<= 0.4 s"),
        Case(
            "top 10 pairs",
            Query(keys=("source_address", "destination_address")),
            ("top", "-A", "srcip,dstip"),
            ("-N", "-A", "srcip,dstip", "-O", "bytes", "-n", "10"),
            "<= 1.5 s, <= 600 MB",
        ),
        Case("top 10 of either side", Query(keys=("address",)), ("top", "-s", "ip/bytes"), (*top, "ip/bytes")),
        Case(
            "top 10 networks",
            Query(keys=("source_address/24/128",)),
            ("top", "-A", "srcip4/24"),
            ("-N", "-A", "srcip4/24", "-O", "bytes", "-n", "10"),
        ),
        Case(
            "top 10, both ways",
            Query(keys=RECORD_KEYS, folding=Folding.FIRST),
            ("top", "-b"),
            ("-N", "-b", "-O", "bytes", "-n", "10"),
        ),
        Case(
            "net and port, top 10",
            Query(keys=("destination_address",), where=parse(NET_PORT)),
            ("top", "-s", "dstip/bytes", NET_PORT),
            (*top, "dstip/bytes", NET_PORT),
            "<= 0.25 s",
        ),
        Case(
            "one rare host",
            Query(kind=Kind.FLOWS, where=parse(f"host {rare}"), order="flow_start", limit=None),
            ("flows", "-o", "csv", f"host {rare}"),
            ("-N", "-o", "csv", f"host {rare}"),
            "<= 0.15 s",
        ),
        Case(
            f"series, {BINS} bins, top 5",
            Query(keys=source, bins=BINS, limit=5),
            ("series", "--by", "srcip", "-n", "5", "--resolution", str(BINS)),
            ("-N", "-t", window, "-s", "srcip/bytes", "-n", "5"),
            "<= 0.8 s",
            BINS,
        ),
    ]


@dataclass(frozen=True)
class Timed:
    """Medians of one case.

    Attributes:
        first: Seconds of the answer within a process, nothing kept.
        again: Seconds of the answer asked again.
        ours: Of the whole command.
        peer: Of the peer's; None without it.
    """

    first: float
    again: float
    ours: Usage
    peer: Usage | None


class Bench:
    """Measures cases on one pair of stores."""

    def __init__(self, made: Stores, nfcapd: Nfcapd | None, repeat: int) -> None:
        self._stores, self._nfdump, self._repeat = made, nfcapd.nfdump if nfcapd else "", repeat

    def measure(self, case: Case) -> Timed:
        """Measure one case, ours and the peer's in turn."""
        ours, peer = self._ours(case), self._peer(case)
        commands = [ours, *([peer] if peer else [])]
        runs: list[list[Usage]] = [[] for _ in commands]
        for turn in range(self._repeat + 1):
            for place, words in enumerate(commands):
                usage = processes.run(words)
                if turn:
                    runs[place].append(usage)
        once = LocalBackEnd(self._stores.ours, keep=False)
        kept = LocalBackEnd(self._stores.ours, keep=True)
        first, again = (self._answers(back_end, case.query) for back_end in (once, kept))
        medians = [_median(each) for each in runs]
        return Timed(first, again, medians[0], medians[1] if peer else None)

    def check(self, case: Case) -> str:
        """Return how our answer compares with the flows as made, and with nfdump's."""
        answer, truth = LocalBackEnd(self._stores.ours, keep=False).answer(case.query), self._stores.truth
        wrong = []
        if not case.query.keys and case.query.kind is Kind.GROUPS:
            total = answer.total
            wrong += ["total"] if (total.flows, total.packets, total.octets) != (truth.flows, truth.packets, truth.octets) else []
        if case.query.kind is Kind.FLOWS and answer.total.flows != truth.rare_flows:
            wrong.append("flows of the rare host")
        if answer.series is not None:
            sums = answer.series.drop("time").sum_horizontal().sum()
            wrong += ["sum of the bins"] if sums != truth.octets else []
        elif self._nfdump and case.name != "total":
            values = _top_octets(processes.run([*self._peer(case), "-o", "csv"]).output)
            wrong += ["nfdump's values"] if values != _octets(answer) else []
        elif self._nfdump:
            said = processes.run(self._peer(case)).output
            wanted = f"total flows: {truth.flows}, total bytes: {truth.octets}, total packets: {truth.packets},"
            wrong += ["nfdump's total"] if wanted not in said else []
        return f"differs: {', '.join(wrong)}" if wrong else "agrees"

    def _ours(self, case: Case) -> list[str]:
        command, *words = case.ours
        return processes.nftui(command, "--data", self._stores.ours, *words)

    def _peer(self, case: Case) -> list[str]:
        return [self._nfdump, "-R", str(self._stores.peer), *case.peer] if self._nfdump else []

    def _answers(self, back_end: LocalBackEnd, query: Query) -> float:
        taken = []
        for _ in range(self._repeat + 1):
            began = time.perf_counter()
            back_end.answer(query)
            taken.append(time.perf_counter() - began)
        return statistics.median(taken[1:])


def _median(runs: list[Usage]) -> Usage:
    return Usage(
        statistics.median(run.wall for run in runs), statistics.median(run.cpu for run in runs), max(run.memory for run in runs), 0
    )


def _octets(answer: Answer) -> list[int]:
    rows = answer.flows if answer.flows is not None else answer.groups
    return sorted(rows["octets"].to_list(), reverse=True)


def _top_octets(output: str) -> list[int]:
    """Return the octets of the rows that nfdump prints as CSV, whichever of its two forms it is."""
    lines = output.strip().split("\nSummary")[0].splitlines()
    rows = csv.DictReader(line for line in lines if line.count(",") > 5)
    return sorted((int(row.get("byt") or row.get("ibyt") or 0) + int(row.get("obyt") or 0) for row in rows), reverse=True)


def report(timed: dict[str, tuple[Case, Timed]], bench: Bench, flows: int) -> None:
    """Print the tables."""
    answers, commands, costs = [], [], []
    for name, (case, one) in timed.items():
        estimate = f"{case.times} scans of {figures.seconds(one.peer.wall)}" if case.times > 1 and one.peer else ""
        wall = one.peer.wall * case.times if one.peer else None
        answers.append(Figure(name, one.first, wall, figures.seconds, case.goal, bench.check(case)))
        answers.append(Figure("  asked again", one.again, wall, figures.seconds, "<= 50 ms"))
        commands.append(Figure(name, one.ours.wall, wall, figures.seconds, "", estimate))
        costs.append(Figure(f"{name}: CPU", one.ours.cpu, one.peer.cpu * case.times if one.peer else None, figures.seconds))
        costs.append(Figure("  memory", one.ours.memory, one.peer.memory if one.peer else None, figures.octets))
    figures.show(f"the answer, {flows:,} flows", answers, "nfdump")
    figures.show("the whole command", commands, "nfdump")
    figures.show("what the command used (memory: 10 MB at the least, the process that measures)", costs, "nfdump")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the stores stay, and are looked for")
    parser.add_argument("--quick", action="store_true", help="500,000 flows, 3 runs: a try, no figures to quote")
    options = parser.parse_args()
    if options.quick:
        options.flows, options.repeat = min(options.flows, 500_000), min(options.repeat, 3)
    figures.machine()
    nfcapd = next((one for one in collectors.known() if isinstance(one, Nfcapd)), None)
    with tempfile.TemporaryDirectory(prefix="nftui-bench-", dir=processes.work_folder()) as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        made = stores.make(folder, options.flows, nfcapd)
        ours, peer = stores.sizes(made)
        bench = Bench(made, nfcapd, options.repeat)
        timed = {case.name: (case, bench.measure(case)) for case in cases(made.truth.rare)}
        report(timed, bench, made.truth.flows)
        figures.show("the stores", [Figure("octets a flow on disk", ours, peer, goal="<= 27")], "nfcapd lz4")


if __name__ == "__main__":
    main()
