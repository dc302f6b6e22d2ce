"""`probe --to`: flows of packets sent to collectors elsewhere, as fprobe and softflowd do; nothing is stored."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from nftui.capture.probe.capture_file import STDIN
from nftui.config import ProbeSettings
from nftui.engine import packet_sources
from nftui.engine.flow_sources import FlowSource
from nftui.engine.metering import Metering
from nftui.engine.packet_files import flows_of
from nftui.export.exporter import Exporter
from nftui.importing import probe_lines, traffic_lines
from nftui.printable import printable
from nftui.progress import Bar

DRAIN_S = 30.0
"""How long the end waits for what is to be sent."""


def run(settings: ProbeSettings, files: list[str], targets: Sequence[str], format: str) -> int:
    """Send flows until SIGTERM or SIGINT, or until files end.

    Args:
        settings: Of the probe.
        files: Capture files, or `-`; without any, the interfaces of the settings.
        targets: HOST:PORT each.
        format: `netflow5`, `netflow9` or `ipfix`.
    Returns:
        The exit status: 1 where something could not be read or sent.
    Raises:
        NftuiError: An interface, a file or a target can't be used.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    piped = files == [STDIN]
    sources = [packet_sources.piped(settings)] if piped else packet_sources.alone(settings) if not files else []
    for source in sources:
        source.open()
    exporter = Exporter(targets, format, sampling=settings.sampling)
    try:
        if sources:
            _live(sources, exporter, wait=piped)
        else:
            for path in files:
                _file(Path(path), settings, exporter)
    finally:
        exporter.close(DRAIN_S)
    return int(_say_the_end(sources, exporter))


def _live(sources: Sequence[FlowSource], exporter: Exporter, *, wait: bool) -> None:
    ending = False

    def send(frames: list[pl.DataFrame]) -> None:
        for frame in frames:
            # No packets come any more then, so all that are left in the table may wait for their turn.
            exporter.send(frame, wait=wait or ending)

    def end(*_: object) -> None:
        nonlocal ending
        ending = True
        metering.stop()

    metering = Metering(sources, send, exporter.tick)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    print(f"sending flows of {', '.join(source.name for source in sources)}", flush=True)
    try:
        metering.run()
    finally:
        metering.close()


def _file(path: Path, settings: ProbeSettings, exporter: Exporter) -> None:
    counts: Counter[str] = Counter()
    size = path.stat().st_size
    with Bar("octets") as bar:
        for frames, offset in flows_of(path, settings, counts):
            for frame in frames:
                exporter.send(frame, wait=True)
            bar(offset, size)
    print("\n".join([f"{printable(path, 200)}:", *(f"  {line}" for line in traffic_lines(counts))]), flush=True)


def _say_the_end(sources: Sequence[FlowSource], exporter: Exporter) -> bool:
    """Print what was seen and sent; return whether something went wrong."""
    now = time.time_ns() // 1000
    wrong = False
    for source in sources:
        print("\n".join(probe_lines(source.entry(now))))
        if source.over and source.problem:
            wrong = True
            print(f"nftui: {printable(source.problem, 500)}", file=sys.stderr)
    for name, told in exporter.counts.as_dict()["targets"].items():
        words = ", ".join(f"{key} {value:,}" for key, value in told.items() if isinstance(value, int))
        print(f"{printable(name, 100)}: {words}")
        if told["problem"]:
            wrong = True
            print(f"nftui: {printable(name, 100)}: {printable(told['problem'], 300)}", file=sys.stderr)
    return wrong
