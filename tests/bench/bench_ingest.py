"""Ingest: loss-free rate, CPU, disk and memory of `nftui collect`, beside nfcapd, for sFlow sfcapd, in the same run.

The collector is pinned to the CPU beside the sender's; both store in memory. A rate counts as loss-free when each flow sent is in
the store after the collector has ended, in two runs of `--seconds`. What waits to be sealed isn't lost: the line below the rate
tells how many flows one core could take for ever, from the CPU time between the socket and the sealed file.

    python -m tests.bench.bench_ingest [--protocols v9,v5,ipfix,sflow] [--flows N] [--seconds S] [--quick]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench import collectors, figures, processes, traffic
from tests.bench.collectors import Collector, Ingest
from tests.bench.figures import Figure

CPU_RATE = 300_000
"""Flows a second while CPU time is measured: within what every collector takes."""
OVERLOAD_S = 3.0
LEAST = 1000
"""Flows a second below which nothing is searched."""
RESOLUTION = 1.12
STEP = 1.25
TRUE_RATE = 0.97
"""A sender that stays below this share of its rate has reached its own end."""

CPU_GOALS = {"v9": "<= 1.0 s", "ipfix": "<= 1.0 s", "v5": "<= 0.9 s"}
RATE_GOALS = {"v9": ">= 0.90 M/s"}
DISK_GOALS = {"v9": "<= 27 octets"}


@dataclass(frozen=True)
class Result:
    """One collector and one protocol.

    Attributes:
        rate: Flows a second without loss; None where it was not searched.
        more: Whether the sender, not the collector, was at its end.
        steady: The run that CPU time was taken from.
        idle: CPU seconds of starting and stopping.
    """

    rate: float | None
    more: bool
    steady: Ingest
    idle: float

    @property
    def cpu(self) -> float:
        """CPU seconds per million flows, from the socket to the sealed file."""
        return (self.steady.usage.cpu - self.idle) / max(self.steady.stored, 1) * 1e6

    @property
    def cpu_in_all(self) -> float:
        """CPU seconds per million flows, starting and stopping included."""
        return self.steady.usage.cpu / max(self.steady.stored, 1) * 1e6


class Bench:
    """Measures collectors with one recording."""

    def __init__(self, work: Path, protocol: str, flows: int, seconds: float) -> None:
        self._work, self._flows, self._seconds = work, flows, seconds
        self._recording = work / f"{protocol}.datagrams"
        made = traffic.record(self._recording, protocol, flows)
        sizes = made.offset[-1] / len(made.records)
        what = "samples, each a flow," if protocol == "sflow" else "flows"
        self.title = f"{protocol}: {made.flows / len(made.records):.1f} {what} a datagram of {sizes:,.0f} octets"
        self._runs = 0

    def measure(self, collector: Collector, idle: float, search: bool) -> Result:
        """Measure one collector."""
        rate, more = self._search(collector) if search else (None, False)
        steady = self._ingest(collector, CPU_RATE, self._flows / CPU_RATE)
        if steady.loss:
            print(f"  {collector.name}: {steady.loss:.2%} lost while CPU was measured; its figures stand for the flows stored")
        return Result(rate, more, steady, idle)

    def _search(self, collector: Collector) -> tuple[float, bool]:
        """Return the highest rate without loss, and whether the sender set it."""
        over = self._ingest(collector, 0, OVERLOAD_S)
        rate = over.stored / (over.sent / over.rate + over.drained)
        print(f"  {collector.name}: {figures.rate(over.rate)} sent, {figures.rate(rate)} taken", flush=True)
        good, bad, limited = 0.0, float("inf"), False
        while bad / max(good, 1) > RESOLUTION and not limited and rate > LEAST:
            clean, limited = self._clean(collector, rate)
            good, bad = (rate, bad) if clean else (good, rate)
            rate = (good * bad) ** 0.5 if good and bad < float("inf") else rate * STEP if clean else rate / STEP
        while good > LEAST and not self._clean(collector, good)[0]:
            good /= RESOLUTION
        return good, limited

    def _clean(self, collector: Collector, rate: float) -> tuple[bool, bool]:
        """Tell whether a rate comes without loss, and whether it did because the sender couldn't keep it."""
        done = self._ingest(collector, rate, self._seconds)
        limited = done.loss <= 0 and done.rate < rate * TRUE_RATE
        words = f"{done.loss:.3%} lost, {done.drops:,} datagrams dropped" if done.loss else "nothing lost"
        print(
            f"  {collector.name}: {figures.rate(done.rate)} for {self._seconds:g} s, {words}; "
            f"drained in {done.drained:.1f} s, ended in {done.usage.wall:.1f} s",
            flush=True,
        )
        return done.loss <= 0, limited

    def _ingest(self, collector: Collector, rate: float, seconds: float) -> Ingest:
        self._runs += 1
        data = self._work / f"run{self._runs}"
        try:
            return collectors.ingest(collector, self._recording, data, rate=rate, seconds=seconds)
        finally:
            shutil.rmtree(data)


def report(protocol: str, title: str, results: list[Result], peer: str) -> None:
    """Print the table of one protocol."""
    ours, other = results[0], results[1] if len(results) > 1 else None

    def figure(what: str, of: str, **more: object) -> Figure:
        return Figure(what, _value(ours, of), None if other is None else _value(other, of), **more)  # type: ignore[arg-type]

    remark = "the sender was at its end" if ours.more or (other and other.more) else ""
    searched = [figure("flows a second, nothing lost", "rate", form=figures.rate, goal=RATE_GOALS.get(protocol, ""), remark=remark)]
    figures.show(
        title,
        [
            *(searched if ours.rate else []),
            figure("  one core could take for ever", "ceiling", form=figures.rate),
            figure("CPU s per million flows", "cpu", goal=CPU_GOALS.get(protocol, ""), remark="received to sealed"),
            figure("  start and stop included", "cpu_in_all"),
            figure("  start and stop alone, s", "idle"),
            figure("octets a flow on disk", "disk", goal=DISK_GOALS.get(protocol, "")),
            figure(
                "most memory",
                "memory",
                form=figures.octets,
                goal="<= 700 MB",
                remark=f"at {figures.rate(CPU_RATE)}, shared pages in full",
            ),
            figure("seconds to end and seal", "end"),
            figure("flows", "stored"),
        ],
        peer,
    )


def _value(result: Result, of: str) -> float | None:
    if of in ("cpu", "ceiling", "cpu_in_all", "disk") and not result.steady.stored:
        return None
    values: dict[str, float | None] = {
        "rate": result.rate,
        "ceiling": 1e6 / result.cpu if result.cpu else None,
        "cpu": result.cpu,
        "cpu_in_all": result.cpu_in_all,
        "idle": result.idle,
        "disk": result.steady.disk / max(result.steady.stored, 1),
        "memory": result.steady.usage.memory,
        "end": result.steady.usage.wall,
        "stored": result.steady.stored,
    }
    return values[of]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocols", help=f"of {','.join(traffic.PROTOCOLS)}; all unless told")
    parser.add_argument("--flows", type=int, default=3_000_000, help="for CPU, disk and memory")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each step of the search")
    parser.add_argument("--search", default="v9,v5,ipfix,sflow", help="the protocols whose loss-free rate is searched")
    parser.add_argument("--quick", action="store_true", help="v9 unless told otherwise, and small: a try, no figures to quote")
    options = parser.parse_args()
    if options.quick:
        options.flows, options.seconds = min(options.flows, 600_000), min(options.seconds, 2.0)
    options.protocols = options.protocols or ("v9" if options.quick else ",".join(traffic.PROTOCOLS))
    if len(set(processes.processors())) < 2:
        sys.exit("wants two CPUs: one for the sender, one for the collector")
    figures.machine()
    known = {protocol: collectors.known(protocol) for protocol in options.protocols.split(",")}
    every = {one.name: one for some in known.values() for one in some}
    with tempfile.TemporaryDirectory(prefix="nftui-bench-", dir=processes.work_folder()) as folder:
        work = Path(folder)
        idle = {one.name: min(collectors.idle(one, work / f"{one.name}-{turn}").cpu for turn in range(2)) for one in every.values()}
        for protocol, some in known.items():
            bench = Bench(work, protocol, options.flows, options.seconds)
            print(bench.title, flush=True)
            results = [bench.measure(one, idle[one.name], protocol in options.search.split(",")) for one in some]
            report(protocol, bench.title, results, some[-1].name if len(some) > 1 else "no peer")


if __name__ == "__main__":
    main()
