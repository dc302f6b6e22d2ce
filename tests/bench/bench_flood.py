"""A flood on an interface: each packet a flow of its own, a million a second, and honest flows among them; the whole command.

A pair of links in a network of its own; the sender has one CPU, the command the one beside it. All that was sent is held against
what the status tells and what is in the store: each packet was taken or dropped by the kernel, each taken one is in a stored flow
or counted as lost, and of each honest flow no more is missing than was dropped. Then `nftui status` and Sources, as they are then.
For root.

    python -m tests.bench.bench_flood [--rate 1000000] [--seconds 20] [--commands probe,collect] [--honest 200] [--each 300]
        [--ring 32M] [--entries N] [--samples]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from nftui.engine.store import Store
from tests import peers
from tests.bench import figures, processes
from tests.bench.figures import Figure
from tests.bench.flood_traffic import HONEST_PORT
from tests.real import wire
from tests.real.terminal import NFTUI, terminal
from tests.running import nftui, wait_for

SAMPLE_S = 0.5
WARM_S = 2.0
IDLE_S = 60.0
"""How long it may take at most until all that was taken is written, after the flood."""
COUNTS = ("packets", "drops", "not_ip", "flows", "emergency", "lost_packets", "used")
NO_ROOM = 5
Status = dict[str, Any]


@dataclass
class Sample:
    """How things stood at a moment.

    Attributes:
        at: Seconds since the flood began.
        memory: Octets that are a process's own, by its name.
        counts: Of the status.
    """

    at: float
    memory: dict[str, int]
    counts: dict[str, int]


@dataclass
class Run:
    """One run of a command under the flood.

    Attributes:
        sent: What the sender said.
        link: Packets that the receiving end of the link counted, and those that it dropped before anybody could take them.
        samples: While the flood went on, and until all was written.
        cpu: Seconds of CPU by name of a process, from the first packet until all was written.
        size: Octets of the store after it.
        after: The status at the end.
        words: What the command printed, `nftui status`, and the screen.
    """

    sent: dict[str, Any] = field(default_factory=dict)
    link: tuple[int, int] = (0, 0)
    samples: list[Sample] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    size: int = 0
    after: Status = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


def command(name: str, store: Path, config: Path) -> list[str]:
    """Return the words of a command that looks at the interface."""
    words = {"probe": ("probe", wire.NEAR), "collect": ("collect", "--interface", wire.NEAR, "--listen", "127.0.0.1:9995")}
    return processes.nftui(*words[name], "--data", store, "--config", config)


def status_of(store: Path) -> Status:
    """Return what was last written of the command."""
    try:
        found: Status = json.loads((store / "status.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def source(status: Status) -> Status:
    """Return the entry of the interface."""
    found: Status = next((one for one in status.get("probes", ()) if one["source"] == wire.NEAR), {})
    return found


def counts(status: Status) -> dict[str, int]:
    """Return what is followed over time."""
    entry = source(status)
    return {key: int(entry.get(key, 0)) for key in COUNTS} | {
        key: int(status.get(key, 0)) for key in ("queue_dropped", "flows_pending", "flows_stored")
    }


def names(process: int) -> dict[int, str]:
    """Return a process and its descendants with what they are."""
    found = {}
    for one in processes.family(process):
        words = " ".join(processes.command_of(one))
        parts = {"engine.probe_process": "probe", "engine.keeper": "keeper"}
        found[one] = next((name for part, name in parts.items() if part in words), "command")
    return found


def memory(process: int) -> dict[str, int]:
    """Return octets that are not files', by name of a process."""
    found: dict[str, int] = {}
    for one, name in names(process).items():
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except OSError:
            continue
        found[name] = found.get(name, 0) + next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), 0)
    return found


def used(process: int) -> dict[str, float]:
    """Return seconds of CPU of all threads, by name of a process."""
    found: dict[str, float] = {}
    for one, name in names(process).items():
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[name] = found.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / 100
    return found


def link() -> tuple[int, int]:
    """Return what the receiving end of the link counted, and dropped."""
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == wire.NEAR:
            fields = [int(one) for one in numbers.split()]
            return fields[1], fields[3]
    raise RuntimeError(f"no {wire.NEAR}")


class Bench:
    """Runs a command under a flood, in the present network."""

    def __init__(self, work: Path, options: argparse.Namespace) -> None:
        """Take a folder for stores and logs, and the options."""
        self._work, self._options = work, options
        said = [
            f"{key} = {value}"
            for key, value in (("ring", f'"{options.ring}"'), ("entries", options.entries))
            if options.__dict__[key]
        ]
        self._config = work / "nftui.toml"
        self._config.write_text("\n".join(["[probe]", *said, ""]))

    def run(self, name: str) -> tuple[Run, Path]:
        """Run one command; return what was seen, and its store."""
        store, log, found = self._work / name, self._work / f"{name}.log", Run()
        sender, beside = processes.processors()
        with processes.pinned(beside), log.open("wb") as output:
            process = subprocess.Popen(
                command(name, store, self._config), stdout=output, stderr=subprocess.STDOUT, cwd=processes.ROOT,
                env=processes.ENVIRONMENT,
            )  # fmt: skip
        try:
            wait_for(lambda: source(status_of(store)).get("link"), lambda: process.poll() is None or log.read_text())
            time.sleep(WARM_S)
            before, came = used(process.pid), link()
            traffic = [f"--{key}={getattr(self._options, key)}" for key in ("rate", "honest", "each", "seconds")]
            with processes.pinned(sender):
                sending = subprocess.Popen(
                    [sys.executable, "-m", "tests.bench.flood_traffic", wire.FAR, *traffic],
                    stdout=subprocess.PIPE,
                    cwd=processes.ROOT,
                )
            began = time.monotonic()
            try:
                while sending.poll() is None:
                    found.samples.append(Sample(time.monotonic() - began, memory(process.pid), counts(status_of(store))))
                    time.sleep(SAMPLE_S)
            finally:
                sending.kill()
                output_of, _ = sending.communicate()
            found.sent = json.loads(output_of)
            found.link = (link()[0] - came[0], link()[1] - came[1])
            self._settle(process, store, began, found)
            found.cpu = {key: round(value - before.get(key, 0.0), 2) for key, value in used(process.pid).items()}
            found.words = [nftui("status", "--data", store, check=False).stdout, *screen(store)]
            process.terminate()
            status = process.wait(IDLE_S)
            found.after, found.size = status_of(store), processes.size(store)
            found.words = [f"exit status {status}\n{log.read_text()}", *found.words]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return found, store

    def _settle(self, process: subprocess.Popen[bytes], store: Path, began: float, found: Run) -> None:
        """Wait until nothing changes any more but what ends by its time."""
        until, last = time.monotonic() + IDLE_S, (-1, -1)
        while time.monotonic() < until:
            now = counts(status_of(store))
            found.samples.append(Sample(time.monotonic() - began, memory(process.pid), now))
            if not now["used"] and not now["flows_pending"] and last == (now["packets"], now["drops"]):
                return
            last = now["packets"], now["drops"]
            time.sleep(SAMPLE_S)


def screen(store: Path) -> list[str]:
    """Return Sources as it is in a terminal of 80x24, and the log of the collector there."""
    try:
        peers.require("tmux")
    except BaseException as missing:  # noqa: BLE001 -- a skip, outside of a test
        return [f"no screen: {missing}"]
    with terminal([*NFTUI, "--data", store]) as shown:
        shown.shows("Live")
        shown.press("7")
        shown.shows(wire.NEAR)
        time.sleep(2)
        return ["\n".join(shown.screen())]


def stored(store: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return flows and packets by the reason of their end, and packets of each honest flow."""
    there = Store(store)
    frame = there.scan(there.parts(), ("source_address", "destination_port", "packets", "flow_end_reason"))
    by_reason = frame.group_by("flow_end_reason").agg(flows=pl.len(), packets=pl.col("packets").sum()).collect(engine="streaming")
    honest = frame.filter(pl.col("destination_port") == HONEST_PORT).group_by("source_address")
    return by_reason, honest.agg(pl.col("packets").sum(), records=pl.len()).collect(engine="streaming")


def account(run: Run, store: Path) -> list[Figure]:
    """Return what became of all packets."""
    entry, sent, link = source(run.after), run.sent["sent"], run.link[1]
    by_reason, honest = stored(store)
    flows, packets = int(by_reason["flows"].sum()), int(by_reason["packets"].sum())
    early = int(by_reason.filter(pl.col("flow_end_reason") == NO_ROOM)["flows"].sum())
    taken, drops, lost = int(entry["packets"]), int(entry["drops"]), int(entry["lost_packets"])
    unqueued = int(run.after["queue_dropped"])
    sender = f"{figures.rate(run.sent['rate'])} for {run.sent['seconds']:.1f} s; sender's CPU {run.sent['cpu']:.1f} s"
    each = f"{run.size / 1e6:,.0f} MB, {run.size / max(flows, 1):.1f} octets a flow"
    return [
        Figure("packets sent", sent, remark=sender),
        Figure("dropped by the link itself", link),
        Figure("taken by the probe", taken, remark=f"{taken / sent:.1%}"),
        Figure("dropped by the kernel, as the status says", drops, remark=f"{drops / sent:.1%}"),
        Figure("unaccounted: sent, neither taken nor dropped", sent - link - taken - drops, goal="0"),
        Figure("in no flow for want of room", lost),
        Figure("flows stored", flows, remark=each),
        Figure("flows ended early, stored with that reason", early, goal=f"{entry['emergency']:,}", remark="as the status says"),
        Figure("flows that the queue had no room for", unqueued),
        Figure("packets taken, in no stored flow", taken - packets - lost - int(entry["not_ip"]), goal=f"{unqueued:,} or more"),
        *whole(run.sent["honest"], honest, 100 * taken / sent),
    ]


def whole(sent: list[int], honest: pl.DataFrame, share: float) -> list[Figure]:
    """Return what is stored of honest flows, beside what was sent of each, and the share of all packets that was taken."""
    there = dict(zip(honest["source_address"].to_list(), honest["packets"].to_list(), strict=True))
    mapped = bytes(10) + b"\xff\xff\x0a\x00"
    kept = [there.get(mapped + one.to_bytes(2, "big"), 0) for one in range(len(sent))]
    shares = [one / all_of for one, all_of in zip(kept, sent, strict=True)]
    spread = f"% of {sum(sent):,}; of a flow {min(shares):.1%} to {max(shares):.1%}"
    return [
        Figure(
            "honest flows there", sum(one > 0 for one in kept), goal=f"{len(sent)}", remark=f"{honest['records'].sum():,} records"
        ),
        Figure("honest packets there", sum(kept) / sum(sent) * 100, goal=f">= {share:.1f}", remark=spread),
    ]


def costs(run: Run) -> list[Figure]:
    """Return memory and CPU."""
    quarter = run.sent["seconds"] / 4
    parts = [[sum(one.memory.values()) for one in run.samples if int(one.at / quarter) == part] for part in range(4)]
    most = [max(part, default=0) for part in parts]
    lines = []
    for name in sorted({name for one in run.samples for name in one.memory}):
        over = [one.memory.get(name, 0) for one in run.samples]
        remark = f"before {over[0] / 1e6:,.0f}, after {over[-1] / 1e6:,.0f} MB"
        lines.append(Figure(f"most memory, {name}", max(over), form=figures.octets, remark=remark))
    by_quarter = ", ".join(f"{one / 1e6:,.0f}" for one in most) + " MB by quarter of the flood"
    lines.append(Figure("most memory, all together", max(most), form=figures.octets, remark=by_quarter))
    taken = int(source(run.after)["packets"])
    lines += [
        Figure(f"CPU us a packet taken, {name}", value / taken * 1e6, remark=f"{value:.1f} s") for name, value in run.cpu.items()
    ]
    return lines


def course(run: Run) -> str:
    """Return how things went over time, a line for each sample."""
    shown = [key for key in run.samples[0].counts if key not in ("not_ip", "flows")]
    lines = [" ".join([f"{'s':>5} {'MB':>6}", *(f"{key.removeprefix('flows_'):>13}" for key in shown)])]
    for one in run.samples:
        numbers = " ".join(f"{one.counts[key]:>13,}" for key in shown)
        lines.append(f"{one.at:5.1f} {sum(one.memory.values()) / 1e6:6,.0f} {numbers}")
    return "\n".join(lines)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=1e6, help="of the flood, packets a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--commands", default="probe,collect")
    parser.add_argument("--honest", type=int, default=200, help="flows beside it")
    parser.add_argument("--each", type=float, default=300.0, help="packets a second of each of them")
    parser.add_argument("--ring", default="", help="probe.ring; the default where nothing is said")
    parser.add_argument("--entries", type=int, default=0, help="probe.entries")
    parser.add_argument("--samples", action="store_true", help="show how things went over time")
    options = parser.parse_args()
    figures.machine()
    work = Path(tempfile.mkdtemp(prefix="bench-flood-", dir=processes.work_folder()))

    def run() -> None:
        wire.pair()
        for name in options.commands.split(","):
            found, store = Bench(work, options).run(name)
            for words in found.words:
                print(words, flush=True)
            if options.samples:
                print(course(found), flush=True)
            figures.show(f"nftui {name}: a flood of {figures.rate(options.rate)}", [*account(found, store), *costs(found)])
            shutil.rmtree(store, ignore_errors=True)

    try:
        wire.alone(run)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
