"""A probe without a store: frames of an interface, metered; the flows are counted and thrown away. A process of its own.

Prints `ready`, and at the end, when it gets SIGTERM, one JSON object.

    python -m tests.bench.metering INTERFACE [--entries N] [--ring OCTETS] [--only-ring]
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import time

import polars as pl

from nftui.capture.probe.interface_source import InterfaceSettings, opened
from nftui.capture.probe.meter import Meter, MeterSettings
from nftui.engine import garbage

EXPIRE_S = 0.25


def main() -> None:
    """Meter until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("interface")
    parser.add_argument("--entries", type=int, default=2_000_000)
    parser.add_argument("--ring", type=int, default=64 << 20)
    parser.add_argument("--only-ring", action="store_true")
    options = parser.parse_args()
    source = opened(options.interface, InterfaceSettings(ring_octets=options.ring))
    meter = Meter(MeterSettings(entries=options.entries))
    told = {"packets": 0, "flows": 0}

    def count(frame: pl.DataFrame | None) -> None:
        if frame is not None:
            told["flows"] += frame.height
            told["packets"] += int(frame["packets"].sum())

    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    print("ready", flush=True)
    due = 0.0
    with garbage.seldom():
        while True:
            block = source.take()
            if block is None and stopping:
                break
            if block is None:
                select.select([source], [], [], 0.1)
            elif not options.only_ring:
                meter.take(block)
            if time.monotonic() >= due:
                due = time.monotonic() + EXPIRE_S
                count(meter.expired(time.time_ns() // 1000))
    count(meter.rest(time.time_ns() // 1000))
    print(json.dumps({**told, "taken": source.counts.frames, "dropped": source.counts.dropped}))
    source.close()


if __name__ == "__main__":
    main()
