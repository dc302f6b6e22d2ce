"""The probe: packets a second without loss, CPU a packet and memory, beside softflowd, fprobe and nfpcapd in the same run.

A pair of links in a network of its own; each probe is pinned to the CPU beside the sender's. A rate counts as loss-free when the
flows that the probe told of, until it had ended, have each packet that was sent. CPU and memory are taken at a rate that each
takes, from the first packet to the program's end, with all flows told of. For root.

    python -m tests.bench.bench_probe [--frames 64,imix] [--flows 1000,100000,1000000] [--seconds S] [--quick] [--alone]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.bench import figures, probes, processes
from tests.bench.figures import Figure
from tests.bench.probes import Fprobe, Metering, Nfpcapd, Probe, Probed, Sending, Softflowd, Storing
from tests.real import wire

CPU_RATE = 150_000
"""Packets a second while CPU time is measured: within what every probe takes."""
RESOLUTION, STEP = 1.15, 1.5
LEAST = 20_000
METERED, RATE_GOAL, CPU_GOAL = "ring and meter", ">= 1.00 M/s", "<= 0.8"


class Bench:
    """Measures probes with one kind of traffic."""

    def __init__(self, work: Path, frames: str, flows: int, seconds: float, idle: dict[str, float]) -> None:
        self._work, self._seconds = work, seconds
        self._traffic = ["--frames", frames, "--flows", str(flows)]
        self._runs, self._idle = 0, idle

    def at(self, probe: Probe, rate: float, seconds: float, *more: str, idle: float = 0.0) -> Probed:
        """Run a probe at a rate; 0 is as fast as it goes."""
        self._runs += 1
        folder = self._work / f"run{self._runs}"
        try:
            traffic = [*self._traffic, "--rate", str(rate), "--seconds", str(seconds), *more]
            return probes.run(probe, folder, (wire.NEAR, wire.FAR), traffic, idle)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def idle(self, probe: Probe) -> float:
        """Return the CPU seconds of a probe's end when there was one packet."""
        if probe.name not in self._idle:
            self._idle[probe.name] = self.at(probe, 0, 0, "--packets", "1").cpu
        return self._idle[probe.name]

    def steady(self, probe: Probe) -> Probed:
        """Run a probe at a rate that each takes."""
        return self.at(probe, CPU_RATE, self._seconds * 2, idle=self.idle(probe))

    def highest(self, probe: Probe) -> tuple[float, bool]:
        """Return the highest rate without loss, and whether the sender set it."""
        over = self.at(probe, 0, self._seconds)
        print(f"  {probe.name}: {figures.rate(over.rate)} sent, {over.loss:.2%} lost", flush=True)
        if over.loss <= probe.leaves:
            return over.rate, True
        good, bad = 0.0, over.rate
        rate = max(LEAST, over.told / over.sent * over.rate)
        while bad / max(good, 1) > RESOLUTION and rate >= LEAST:
            done = self.at(probe, rate, self._seconds)
            print(f"  {probe.name}: {figures.rate(done.rate)} sent, {done.loss:.3%} lost", flush=True)
            good, bad = (done.rate, bad) if done.loss <= probe.leaves else (good, min(bad, done.rate))
            rate = (good * bad) ** 0.5 if good else rate / STEP
        return good, False


def measure(bench: Bench, title: str, ours: list[Probe], peers: list[Probe], *, search: bool) -> None:
    """Measure all probes with one kind of traffic, and print a table for each peer, or one where there is none."""
    steady = {probe.name: bench.steady(probe) for probe in (*ours, *peers)}
    rates = {probe.name: bench.highest(probe) for probe in (*ours, *peers)} if search else {}
    for peer in [one.name for one in peers] or [""]:
        lines = []
        for probe in ours:
            goal = CPU_GOAL if probe.name == METERED else ""
            cpu = steady[peer].microseconds if peer else None
            lost = f"{steady[probe.name].loss:.2%} lost" + (f", {peer} {steady[peer].loss:.2%}" if peer else "")
            lines.append(Figure(f"CPU us a packet, {probe.name}", steady[probe.name].microseconds, cpu, goal=goal, remark=lost))
        for probe in ours:
            goal = RATE_GOAL if probe.name == METERED else ""
            ceiling = 1e6 / steady[peer].microseconds if peer else None
            mine = 1e6 / steady[probe.name].microseconds
            lines.append(Figure(f"one core could take, {probe.name}", mine, ceiling, figures.rate, goal))
        for probe in ours if search else ():
            goal = RATE_GOAL if probe.name == METERED else ""
            rate, at_the_end = rates[probe.name]
            remark = "the sender was at its end" if at_the_end else ""
            other = rates[peer][0] if peer else None
            lines.append(Figure(f"packets a second, {probe.name}", rate, other, figures.rate, goal, remark))
        for probe in ours:
            memory = steady[peer].memory if peer else None
            lines.append(Figure(f"most memory, {probe.name}", steady[probe.name].memory, memory, figures.octets))
        figures.show(title, lines, peer)


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
    ours: list[Probe] = [Metering(only_ring=True), Metering(), Sending(), Storing()]
    found: list[Probe] = []
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
        idle: dict[str, float] = {}
        for frames in ("64",) if options.quick else options.frames.split(","):
            for flows in map(int, options.flows.split(",")):
                title = f"{'64 octets' if frames == '64' else 'IMIX'}, {flows:,} flows"
                print(f"{title}:", flush=True)
                measure(
                    Bench(work / f"{frames}-{flows}", frames, flows, options.seconds, idle),
                    title,
                    ours,
                    found,
                    search=not options.quick,
                )

    try:
        wire.alone(run)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
