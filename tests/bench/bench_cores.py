"""More than one core: what several receiving processes take, beside what one takes, and how exporters fall to them.

Sender and collector share all CPUs here, as on a machine of few cores the kernel has them do; the sender's own CPU time is printed
beside the collector's. A rate counts as loss-free when each flow sent is in the store after the collector has ended, in two runs.

    python -m tests.bench.bench_cores [--protocols v9,v5] [--processes 1,2,3] [--sources 64,1] [--seconds S] [--quick]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nftui.capture.pinning import processes_of
from tests.bench import collectors, figures, processes, traffic
from tests.bench.bench_ingest import CPU_RATE, OVERLOAD_S, RESOLUTION, STEP
from tests.bench.collectors import Ingest, Nftui
from tests.bench.figures import Figure

DRAWS = 2000
"""Sets of exporters' addresses that the balance is an average of."""


@dataclass(frozen=True)
class Result:
    """One number of processes.

    Attributes:
        rate: Flows a second without loss; 0 where it was not searched.
        over: What came of all that could be sent.
        steady: The run that CPU time was taken from.
        idle: CPU seconds of starting and stopping.
    """

    rate: float
    over: Ingest
    steady: Ingest
    idle: float

    @property
    def cpu(self) -> float:
        """CPU seconds per million flows, from the socket to the sealed file."""
        return (self.steady.usage.cpu - self.idle) / max(self.steady.stored, 1) * 1e6

    @property
    def receiving(self) -> float:
        """CPU seconds per million flows of the threads that receive and decode, each of which has a core at most."""
        return self.steady.receiving / max(self.steady.stored, 1) * 1e6

    @property
    def taken(self) -> float:
        """Flows a second that were stored of more than could be taken."""
        return self.over.stored / (self.over.sent / self.over.rate + self.over.drained)


class Bench:
    """Measures numbers of processes with one recording, sent by some exporters."""

    def __init__(self, work: Path, recording: Path, sources: int, flows: int, seconds: float, search: bool) -> None:
        self._work, self._recording, self._sources = work, recording, sources
        self._flows, self._seconds, self._wanted = flows, seconds, search
        self._runs = 0

    def measure(self, number: int) -> Result:
        """Measure one number of processes."""
        collector = Nftui(number)
        idle = min(collectors.idle(collector, self._folder(), pin=False).cpu for _ in range(2))
        over = self._ingest(collector, 0, OVERLOAD_S)
        steady = self._ingest(collector, CPU_RATE, self._flows / CPU_RATE)
        found = Result(0.0, over, steady, idle)
        rate = self._search(collector, found.taken) if self._wanted else 0.0
        return Result(rate, over, steady, idle)

    def _search(self, collector: Nftui, rate: float) -> float:
        """Return the highest rate that came without loss twice."""
        good, bad = 0.0, float("inf")
        while bad / max(good, 1) > RESOLUTION and rate > CPU_RATE / 10:
            clean = self._clean(collector, rate)
            good, bad = (rate, bad) if clean else (good, rate)
            rate = (good * bad) ** 0.5 if good and bad < float("inf") else rate * STEP if clean else rate / STEP
        while good and not self._clean(collector, good):
            good /= RESOLUTION
        return good

    def _clean(self, collector: Nftui, rate: float) -> bool:
        done = self._ingest(collector, rate, self._seconds)
        print(f"  {collector.name}: {figures.rate(done.rate)} for {self._seconds:g} s, {done.loss:.3%} lost", flush=True)
        return done.loss <= 0 and done.rate > rate * 0.97

    def _ingest(self, collector: Nftui, rate: float, seconds: float) -> Ingest:
        data = self._folder()
        try:
            return collectors.ingest(collector, self._recording, data, rate=rate, seconds=seconds, sources=self._sources, pin=False)
        finally:
            shutil.rmtree(data)

    def _folder(self) -> Path:
        self._runs += 1
        return self._work / f"run{self._sources}-{self._runs}"


def report(title: str, found: dict[int, Result]) -> None:
    """Print, for each number of processes, its figures as ratios to those of the first."""
    base = next(iter(found))
    for number, result in found.items():
        peer = None if number == base else found[base]

        def figure(what: str, of: str, form: figures.Form, ours: Result = result, other: Result | None = peer) -> Figure:
            return Figure(what, float(getattr(ours, of)), None if other is None else float(getattr(other, of)), form)

        sent = result.over.sending / result.over.sent * 1e6
        rows = [
            *([figure("flows a second, nothing lost", "rate", figures.rate)] if result.rate else []),
            figure("  stored of all that could be sent", "taken", figures.rate),
            Figure("  that was", result.over.rate, None if peer is None else peer.over.rate, figures.rate),
            figure("CPU s per million flows", "cpu", figures.number),
            Figure("  of the receiving threads", result.receiving, None if peer is None else peer.receiving),
            Figure("  all CPUs could take for ever, less the sender", *_ceilings(result, peer), figures.rate),
            Figure("  CPU s of the sender", sent, None if peer is None else peer.over.sending / peer.over.sent * 1e6),
            Figure("most memory", result.steady.usage.memory, None if peer is None else peer.steady.usage.memory, figures.octets),
        ]
        figures.show(f"{title}, {number} processes", rows, "" if peer is None else f"with {base}")


def _ceilings(result: Result, peer: Result | None) -> tuple[float, float | None]:
    """Return how many flows a second the CPUs could take, were they all busy with them and with sending."""
    cpus = len(os.sched_getaffinity(0))
    ours, other = (one and cpus / (one.cpu + one.over.sending / one.over.sent * 1e6) * 1e6 for one in (result, peer))
    return ours or 0.0, other


def balance() -> None:
    """Print which share of the exporters the busiest process has, relative to an even one; the mean of many sets of addresses."""
    random = np.random.default_rng(1)
    print("exporters of the busiest process, as a multiple of an even share: the mean, and what 19 of 20 sets stay below")
    print("exporters   " + "".join(f"{number:>4} processes" for number in (2, 4, 8)))
    for exporters in (10, 100, 1000):
        cells = []
        for number in (2, 4, 8):
            worst = np.empty(DRAWS)
            for draw in range(DRAWS):
                addresses = np.zeros((exporters, 16), np.uint8)
                addresses[:, 10:12] = 0xFF
                # Neighbours in a network of their own, as management networks have them.
                first = int(random.integers(1 << 24, 223 << 24))
                chosen = first + random.choice(max(exporters * 3, 254), exporters, replace=False)
                addresses[:, 12:] = chosen.astype(">u4").view(np.uint8).reshape(-1, 4)
                worst[draw] = np.bincount(processes_of(addresses, number), minlength=number).max() * number / exporters
            cells.append(f"{worst.mean():>8.2f} {np.quantile(worst, 0.95):>5.2f}")
        print(f"{exporters:<12}" + "".join(cells))
    print(flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocols", default="v9,v5", help=f"of {','.join(traffic.PROTOCOLS)}")
    parser.add_argument("--processes", default="1,2,3", help="numbers to compare; the first is what the others are compared with")
    parser.add_argument("--sources", default="64,1", help="numbers of exporters")
    parser.add_argument("--flows", type=int, default=3_000_000, help="for CPU and memory")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each step of the search")
    parser.add_argument(
        "--search", action=argparse.BooleanOptionalAction, default=True, help="whether to look for the loss-free rate"
    )
    parser.add_argument("--quick", action="store_true", help="a try, no figures to quote")
    options = parser.parse_args()
    if options.quick:
        options.flows, options.seconds, options.protocols, options.processes = 600_000, 2.0, "v9", "1,2"
    figures.machine()
    balance()
    with tempfile.TemporaryDirectory(prefix="nftui-bench-", dir=processes.work_folder()) as folder:
        work = Path(folder)
        for protocol in options.protocols.split(","):
            recording = work / f"{protocol}.datagrams"
            traffic.record(recording, protocol, options.flows)
            for sources in map(int, options.sources.split(",")):
                bench = Bench(work, recording, sources, options.flows, options.seconds, options.search)
                found = {number: bench.measure(number) for number in map(int, options.processes.split(","))}
                report(f"{protocol} of {sources} exporters", found)


if __name__ == "__main__":
    main()
