"""The probe: packets a second without loss, CPU a packet and memory, beside softflowd, fprobe and nfpcapd in the same run.

A pair of links in a network of its own; each probe is pinned to the CPU beside the sender's. A rate counts as loss-free when the
flows that the probe told of, until it had ended, have each packet that was sent. CPU and memory are taken at a rate that each
takes, from the first packet to the program's end, with all flows told of. For root.

    python -m tests.bench.bench_probe [--frames 64,imix] [--flows 1000,100000,1000000] [--seconds S] [--quick]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.bench import figures, probes, processes
from tests.bench.figures import Figure
from tests.bench.probes import Fprobe, Metering, Nfpcapd, Probe, Probed, Softflowd
from tests.real import wire

CPU_RATE = 150_000
"""Packets a second while CPU time is measured: within what every probe takes."""
RESOLUTION, STEP = 1.15, 1.5
LEAST = 20_000
LOSS = 1e-4
"""Some probes leave the last packets in the kernel when they end."""
RATE_GOAL, CPU_GOAL = ">= 1.00 M/s", "<= 0.8"


class Bench:
    """Measures probes with one kind of traffic."""

    def __init__(self, work: Path, frames: str, flows: int, seconds: float) -> None:
        self._work, self._seconds = work, seconds
        self._traffic = ["--frames", frames, "--flows", str(flows)]
        self._runs = 0

    def at(self, probe: Probe, rate: float, seconds: float) -> Probed:
        """Run a probe at a rate; 0 is as fast as it goes."""
        self._runs += 1
        folder = self._work / f"run{self._runs}"
        try:
            return probes.run(
                probe, folder, (wire.NEAR, wire.FAR), [*self._traffic, "--rate", str(rate), "--seconds", str(seconds)]
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def highest(self, probe: Probe) -> tuple[float, bool]:
        """Return the highest rate without loss, and whether the sender set it."""
        over = self.at(probe, 0, self._seconds)
        print(f"  {probe.name}: {figures.rate(over.rate)} sent, {over.loss:.2%} lost", flush=True)
        if over.loss <= LOSS:
            return over.rate, True
        good, bad = 0.0, over.rate
        rate = max(LEAST, over.told / over.sent * over.rate)
        while bad / max(good, 1) > RESOLUTION and rate >= LEAST:
            done = self.at(probe, rate, self._seconds)
            print(f"  {probe.name}: {figures.rate(done.rate)} sent, {done.loss:.3%} lost", flush=True)
            good, bad = (done.rate, bad) if done.loss <= LOSS else (good, min(bad, done.rate))
            rate = (good * bad) ** 0.5 if good else rate / STEP
        return good, False


def measure(bench: Bench, title: str, compared: list[Probe], *, search: bool) -> None:
    """Measure all probes with one kind of traffic, and print a table of each peer."""
    steady = {probe.name: bench.at(probe, CPU_RATE, bench._seconds * 2) for probe in compared}
    rates = {probe.name: bench.highest(probe) for probe in compared} if search else {}
    ours = compared[0].name
    for probe in compared[1:] or compared:
        other = probe.name if probe is not compared[0] else None
        lines = []
        if rates:
            remark = "the sender was at its end" if rates[ours][1] else ""
            peer = rates[other][0] if other else None
            lines.append(Figure("packets a second, nothing lost", rates[ours][0], peer, figures.rate, RATE_GOAL, remark))
        for what, of in (("CPU us a packet", _cpu), ("most memory, MB", _memory)):
            goal = CPU_GOAL if of is _cpu else ""
            lines.append(Figure(what, of(steady[ours]), of(steady[other]) if other else None, goal=goal))
        lost = steady[other].loss if other else 0.0
        lines.append(Figure("lost meanwhile", steady[ours].loss, lost or None, lambda part: f"{part:.2%}"))
        figures.show(title, lines, other or "")


def _cpu(run: Probed) -> float:
    return run.cpu / max(run.told, 1) * 1e6


def _memory(run: Probed) -> float:
    return run.memory / 1e6


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", default="64,imix")
    parser.add_argument("--flows", default="1000,100000,1000000")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--quick", action="store_true", help="no search for rates, and 64 octets alone")
    parser.add_argument("--alone", action="store_true", help="without peers")
    options = parser.parse_args()
    figures.machine()
    found: list[Probe] = [Metering(), Metering(only_ring=True)]
    if not options.alone:
        softflowd, control, fprobe, nfpcapd, nfdump = map(
            processes.peer, ("softflowd", "softflowctl", "fprobe", "nfpcapd", "nfdump")
        )
        found += [Softflowd(softflowd, control)] if softflowd and control else []
        found += [Fprobe(fprobe)] if fprobe else []
        found += [Nfpcapd(nfpcapd, nfdump)] if nfpcapd and nfdump else []
    work = Path(tempfile.mkdtemp(prefix="bench-probe-", dir=processes.work_folder()))

    def run() -> None:
        wire.pair()
        for frames in ("64",) if options.quick else options.frames.split(","):
            for flows in map(int, options.flows.split(",")):
                title = f"{'64 octets' if frames == '64' else 'IMIX'}, {flows:,} flows"
                print(f"{title}:", flush=True)
                measure(Bench(work, frames, flows, options.seconds), title, found, search=not options.quick)

    try:
        wire.alone(run)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
