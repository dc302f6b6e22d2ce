"""The commands that send flows on: `replay` what is stored, at a speed, and `relay` what comes in."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from nftui import asking, filtering
from nftui.engine.expressions import expression
from nftui.engine.following import Follower
from nftui.engine.query import Kind, Query
from nftui.engine.store import Store
from nftui.errors import ConfigError, StoreError, UsageError
from nftui.export.exporter import ExportCounts, Exporter
from nftui.naming import naming_of
from nftui.printable import printable
from nftui.progress import Bar
from nftui.schema import POLARS
from nftui.units import SECOND

STEP_S = 0.1
"""A replay sends what is due so often."""
AT_ONCE = 65_536
LOOK_S = 0.2
"""A relay looks for new flows so often, and for what was sealed before it came, `SEALED_S`."""
SEALED_S = 5.0
FASTEST = 1e6
EVERYWHERE = ("", None, "0.0.0.0", "::")  # noqa: S104 - looked for, not bound
_TIMES = ("flow_start", "flow_end", "received")


def replay(data: Path, options: argparse.Namespace, *, given: bool) -> int:
    """Send stored flows in the order in which they were received, as fast as they were, or at another speed."""
    speed = _speed(options.speed)
    query = Query(kind=Kind.FLOWS, order="received", ascending=True, limit=options.count, **asking.shared_of(options, given=given))
    records = asking.back_end_of(data, options).records(query)
    exporter = _exporter(options)
    sent = 0
    try:
        with Bar("flows") as bar, _stopped() as stop:
            for frame in _due(records.frames(), speed, stop):
                exporter.send(_shifted(frame) if options.shift_to_now else frame, wait=True)
                sent += frame.height
                bar(sent, records.flows)
    finally:
        exporter.close(10)
    return _tell(options, exporter.counts)


def relay(data: Path, options: argparse.Namespace) -> int:
    """Send on what a collector writes into the store, until SIGTERM or SIGINT."""
    if not data.is_dir():
        raise StoreError(f"{data}: no such data directory; `nftui collect` makes one, --data DIR names another")
    where = expression(filtering.where(options, naming_of(options).resolved))
    follower = Follower(Store(data), _say)
    follower.skip()
    exporter = _exporter(options)
    try:
        _require_no_circle(follower.store, exporter)
        with _stopped() as stop:
            print(f"relaying flows of {printable(data)} to {', '.join(exporter.counts.targets)}", file=sys.stderr, flush=True)
            _follow(follower, exporter, where, stop)
    finally:
        exporter.close(10)
    return _tell(options, exporter.counts)


def _require_no_circle(store: Store, exporter: Exporter) -> None:
    """See that flows don't go to the collector that stores them, from where they would come back for ever."""
    status = store.status() or {}
    listens = status.get("listen") if status.get("running") else None
    bound = [(one.get("address"), one.get("port")) for one in listens or () if isinstance(one, dict)]
    for name, (host, port) in exporter.here.items():
        if any(at == port and address in (*EVERYWHERE, host) for address, at in bound):
            raise UsageError(f"--to {name}: that is the collector whose flows are relayed; they would come back to it for ever")


def _follow(follower: Follower, exporter: Exporter, where: pl.Expr, stop: threading.Event) -> None:
    """Send on what comes, until it is to end."""
    sealed_at = time.monotonic()
    while not stop.wait(LOOK_S):
        frames = follower.take()
        if time.monotonic() - sealed_at > SEALED_S:
            frames += follower.rest()
            sealed_at = time.monotonic()
        for frame in frames:
            exporter.send(_matching(frame, where))
        exporter.tick()
    for frame in follower.take() + follower.rest():
        exporter.send(_matching(frame, where), wait=True)


def _matching(frame: pl.DataFrame, where: pl.Expr) -> pl.DataFrame:
    """Return the flows that a filter lets through; it may ask for any column."""
    wanted = [name for name in where.meta.root_names() if name not in frame.columns]
    return frame.with_columns(pl.lit(None, POLARS[name]).alias(name) for name in wanted).filter(where)


def _exporter(options: argparse.Namespace) -> Exporter:
    try:
        return Exporter(
            options.to,
            options.format,
            domain=options.domain,
            mtu=options.mtu,
            pace=options.pace,
            exporters=options.exporters,
            tell=_say,
        )
    except ConfigError as error:
        raise UsageError(f"--to: {error}" if "target" in str(error) else str(error)) from None


def _say(line: str) -> None:
    print(f"nftui: {printable(line, 500)}", file=sys.stderr, flush=True)


@contextmanager
def _stopped() -> Iterator[threading.Event]:
    """Yield what SIGTERM and SIGINT set."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _speed(text: str) -> float:
    """Return how many times as fast as it was; infinite for as fast as can be."""
    try:
        speed = float("inf") if text == "max" else float(text)
    except ValueError:
        speed = 0.0
    if not (0 < speed <= FASTEST or text == "max"):
        raise UsageError(f"--speed {printable(text, 40)}: it is a number such as 1, 10 or 0.5, or max")
    return speed


def _due(frames: Iterator[pl.DataFrame], speed: float, stop: threading.Event) -> Iterator[pl.DataFrame]:
    """Yield flows when they are due: as long after the first as they were received after it, divided by the speed."""
    began = first = None
    for frame in frames:
        moments = frame.select(_moment(frame).fill_null(0)).to_series().to_numpy()
        at = 0
        while at < frame.height and not stop.is_set():
            if began is None or first is None:
                began, first = time.monotonic(), int(moments[0])
            passed = (time.monotonic() - began) * speed
            until = int(np.searchsorted(moments, first + passed * SECOND, "right")) if speed != float("inf") else frame.height
            until = min(max(until, at), at + AT_ONCE)
            if until > at:
                yield frame[at:until]
                at = until
            else:
                wait = (int(moments[at]) - first) / SECOND / speed - (time.monotonic() - began)
                stop.wait(min(max(wait, STEP_S), 1.0))
        if stop.is_set():
            return


def _moment(frame: pl.DataFrame) -> pl.Expr:
    """Return when each flow was received, microseconds; or else when it ended."""
    there = [name for name in ("received", "flow_end", "flow_start") if name in frame.columns]
    return pl.coalesce(there).to_physical() if there else pl.lit(0, pl.Int64)


def _shifted(frame: pl.DataFrame) -> pl.DataFrame:
    """Return flows with their times moved, each by what its receipt lies behind now."""
    by = (pl.lit(time.time_ns() // 1000) - _moment(frame)) // 1000 * 1000
    return frame.with_columns(
        (pl.col(name).to_physical() + by).cast(frame.schema[name]).alias(name) for name in _TIMES if name in frame.columns
    )


def _tell(options: argparse.Namespace, counts: ExportCounts) -> int:
    """Print what was sent; return the exit status, 1 where something is wrong with a target at the end."""
    if options.output == "json":
        print(json.dumps(counts.as_dict()))
    else:
        made = counts.stream
        left_out = f", {made.ipv6:,} of IPv6 left out" if made.ipv6 else ""
        print(f"{made.flows - made.ipv6:,} flows{left_out} in {counts.datagrams:,} datagrams of {counts.format.value}")
        for name, (target, address, problem, _) in counts.targets.items():
            lost = target.dropped + sum(target.failed.values())
            what = ", ".join(f"{number:,} {word}" for number, word in ((target.refused, "refused"), (lost, "lost")) if number)
            print(f"  {name} ({address}): {target.datagrams:,} sent{what and f', {what}'}{problem and f'; {problem}'}")
    return int(any(problem or target.dropped or target.failed for target, _, problem, _ in counts.targets.values()))
