"""Flows sent on: flows a second and CPU a flow, in each format, beside the real nfreplay.

python -m tests.bench.bench_export [--flows N]
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from nftui.capture.batch import frame_of
from nftui.export.exporter import Exporter
from nftui.export.flow_columns import FlowColumns
from nftui.export.streams import Format, stream
from tests import nfcapd
from tests.bench import figures, processes
from tests.bench.figures import Figure
from tests.bench.traffic import HOSTS, SIX_SHARE, Hosts, make

GOAL = ">= 0.5 M/s a core"
AT_ONCE = 65_536
VERSIONS = {Format.NETFLOW5: "5", Format.NETFLOW9: "9"}
"""What nfreplay calls the formats that it has."""


def flows(number: int, six: float) -> pl.DataFrame:
    """Return flows of the last minute, as a collector stores them."""
    now = time.time_ns() // 1000
    made = make(Hosts(HOSTS, 1), np.random.default_rng(1), number, now - 60_000_000, now, six)
    return frame_of({name: (values, None) for name, values in made.columns.items()})


@contextmanager
def sink() -> Iterator[int]:
    """A port that takes datagrams, and on which they go unread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        yield int(listener.getsockname()[1])


def encoded(of: Format, frame: pl.DataFrame) -> float:
    """Return the CPU seconds of encoding."""
    made, began = stream(of, 1), time.process_time()
    for at in range(0, frame.height, AT_ONCE):
        made.encode(FlowColumns.of(frame[at : at + AT_ONCE]), time.time_ns() // 1000)
    return time.process_time() - began


def sent(of: Format, frame: pl.DataFrame, port: int) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of encoding and sending."""
    exporter = Exporter([f"127.0.0.1:{port}"], of, pace=0)
    began, began_cpu = time.perf_counter(), time.process_time()
    exporter.send(frame, wait=True)
    exporter.close(60)
    return time.perf_counter() - began, time.process_time() - began_cpu


def replayed(of: Format, frame: pl.DataFrame, port: int, folder: Path) -> tuple[float, float] | None:
    """Return the seconds and the CPU seconds that nfreplay takes for the same flows; None where it can't."""
    program = processes.peer("nfreplay")
    if program is None or of not in VERSIONS:
        return None
    if not folder.exists():
        made = stream(of, 1).encode(FlowColumns.of(frame), time.time_ns() // 1000)
        with nfcapd.nfcapd(folder) as collector:
            nfcapd.send(made, collector)
    used = processes.run([program, "-r", str(nfcapd.stored(folder)), "-p", str(port), "-d", "0", "-v", VERSIONS[of]])
    return used.wall, used.cpu


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=1_000_000)
    number = parser.parse_args().flows
    figures.machine()
    found = []
    with sink() as port, tempfile.TemporaryDirectory() as folder:
        for of in Format:
            frame = flows(number, 0.0 if of is Format.NETFLOW5 else SIX_SHARE)
            encoding = encoded(of, frame)
            wall, cpu = sent(of, frame, port)
            peer = replayed(of, frame, port, Path(folder) / of)
            rate = number / peer[0] if peer else None
            each = peer[1] / number * 1e6 if peer else None
            found += [
                Figure(f"{of.value}, sent", number / wall, rate, figures.rate, GOAL),
                Figure(f"{of.value}, CPU a flow, us", cpu / number * 1e6, each),
                Figure(f"{of.value}, of it encoding, us", encoding / number * 1e6),
            ]
    figures.show("export", found, "nfreplay")


if __name__ == "__main__":
    main()
