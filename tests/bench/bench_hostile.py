"""A hostile sender beside an honest exporter: what the honest one loses, and what memory and time it costs the collector.

The collector has one core, the senders share the other. The honest exporter begins either before the attack or some seconds into
it. Nothing lost means: the kernel dropped no datagram, and each honest flow is in the store. Needs root, for raw sockets.

    python -m tests.bench.bench_hostile [--protocols v9,ipfix,v5,sflow] [--kinds all] [--rate 50000] [--seconds 20] [--quick]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nftui.engine.store import Store
from tests.bench import collectors, figures, hostile, processes, traffic
from tests.bench.collectors import Nftui
from tests.bench.figures import Figure

HONEST = bytes(10) + b"\xff\xff" + bytes([127, 0, 0, 1])
FLOWS_A_SECOND = 50_000
LEAD_S = 4.0
"""How long one of the two is there before the other."""


@dataclass(frozen=True)
class Result:
    """One run; `memory` and `cpu` are those of the collector and its child."""

    sent: int
    stored: int
    drops: int
    attacked: int
    memory: int
    cpu: float
    wall: float
    status: dict[str, Any]


@contextmanager
def attacking(port: int, kinds: str, rate: float, most: int) -> Iterator[dict[str, Any]]:
    """An attack for the length of a block; what the attacker tells in the end is put into the value."""
    words = [sys.executable, "-m", "tests.bench.hostile", f"127.0.0.1:{port}", "--kinds", kinds, "--rate", str(rate)]
    words += ["--seconds", "86400", "--most", str(most), "--cpu", str(processes.processors()[0])]
    told: dict[str, Any] = {}
    one = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=processes.ENVIRONMENT, cwd=processes.ROOT)
    assert one.stdout is not None
    try:
        if one.stdout.readline().strip() != "ready":
            raise RuntimeError("the attacker did not begin; raw sockets are for root")
        yield told
    finally:
        one.terminate()
        told.update(json.loads(one.stdout.readline() or "{}"))
        one.stdout.close()
        one.wait()


def run(
    work: Path,
    recording: Path,
    kinds: str,
    *,
    rate: float,
    seconds: float,
    late: bool,
    most: int,
    flows: float,
    lead: float = LEAD_S,
) -> Result:
    """Attack a collector of its own.

    Args:
        work: Where it keeps its store, which is gone afterwards.
        recording: What the honest exporter sends.
        kinds: What the hostile ones send, as `hostile.kinds_of` takes it.
        rate: Hostile datagrams a second.
        seconds: For how long the honest exporter sends.
        late: Whether it begins only when the attack has.
        most: Different datagrams of each kind.
        flows: Honest flows a second.
        lead: Seconds of attack before it begins, where it is late.
    """
    port, data, first = processes.free_port(), work / "data", 0
    with collectors.running(Nftui(), data, port) as one:
        if not late:
            first = collectors.send(recording, port, rate=flows, seconds=0.0001)["flows"]
        with attacking(port, kinds, rate, most) as told:
            time.sleep(lead if late else 0)
            sent = first + collectors.send(recording, port, rate=flows, seconds=seconds)["flows"]
        processes.drain(port)
        time.sleep(2.0)
        status = json.loads((data / "status.json").read_bytes())
        state, usage = processes.udp(port), one.stop()
    stored = honest(data)
    shutil.rmtree(data)
    drops = state.drops if state else 0
    return Result(sent, stored, drops, told["datagrams"], usage.memory, usage.cpu, seconds + (lead if late else 0), status)


def honest(data: Path) -> int:
    """Return how many flows of the honest exporter a store holds."""
    store = Store(data)
    flows = store.scan(store.parts(), ("exporter_address",))
    return int(flows.filter(pl.col("exporter_address") == HONEST).select(pl.len()).collect(engine="streaming").item())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocols", default="v9,ipfix,v5,sflow")
    parser.add_argument("--kinds", default="all", help=f"of {','.join(hostile.KINDS)}; `each` for one after the other")
    parser.add_argument("--rate", type=float, default=50_000, help="hostile datagrams a second")
    parser.add_argument("--flows", type=float, default=FLOWS_A_SECOND, help="honest flows a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--when", default="before,late", help="whether the honest exporter is there before the attack, or late")
    parser.add_argument("--most", type=int, default=hostile.POOL)
    parser.add_argument("--quick", action="store_true", help="v9, few seconds: a try, no figures to quote")
    parser.add_argument("--show", action="store_true", help="print what the collector said of itself")
    words = parser.parse_args()
    if words.quick:
        words.protocols, words.seconds, words.most = "v9", min(words.seconds, 4.0), 2048
    figures.machine()
    rows = []
    with tempfile.TemporaryDirectory(prefix="nftui-hostile-", dir=processes.work_folder()) as folder:
        work = Path(folder)
        for protocol in words.protocols.split(","):
            recording = work / protocol
            traffic.record(recording, protocol, 500_000)
            for kinds in [*hostile.KINDS] if words.kinds == "each" else [words.kinds]:
                for when in words.when.split(","):
                    late = when == "late"
                    more = {"rate": words.rate, "seconds": words.seconds, "most": words.most, "flows": words.flows}
                    done = run(work, recording, kinds, late=late, **more)
                    lost = done.sent - done.stored
                    cpu = f"{done.cpu:.1f} s CPU in {done.wall:.0f} s"
                    print(
                        f"{protocol:5} {kinds:9} {when:6} honest {done.sent:,} sent, {done.stored:,} stored, lost {lost:,}; "
                        f"hostile {done.attacked:,}; kernel dropped {done.drops:,}; "
                        f"memory {figures.octets(done.memory)}; {cpu}",
                        flush=True,
                    )
                    if words.show:
                        brief = {key: value for key, value in done.status.items() if key not in ("exporters", "events", "listen")}
                        print(json.dumps(brief), *[event["text"] for event in done.status["events"][-8:]], sep="\n    ")
                        for one in sorted(done.status["exporters"], key=lambda one: -one["datagrams"])[:6]:
                            print("   ", {key: value for key, value in one.items() if value})
                    rows.append(Figure(f"{protocol}, {kinds}, {when}", lost, remark=f"{done.drops:,} dropped by the kernel; {cpu}"))
    figures.show("honest flows lost", rows)


if __name__ == "__main__":
    main()
