"""The commands that fill a store, and tell of it: `collect`, `import`, `status`."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from nftui.config import Config
from nftui.engine.store import Store
from nftui.errors import ListenError, StoreError, UsageError
from nftui.printable import printable
from nftui.units import SECOND, duration

STALE_US = 5 * SECOND
_PR_SET_PDEATHSIG = 1


def collect(
    data: Path,
    config: Config,
    listen: list[str] | None,
    interval: int | None,
    *,
    check: bool = False,
    with_parent: int | None = None,
) -> int:
    """Run a collector until SIGTERM or SIGINT, or only say what it would do."""
    import msgspec

    from nftui.capture import layouts
    from nftui.engine import collector
    from nftui.engine.rules import rules_of

    layouts.define(config.elements)
    settings = config.collector
    if listen:
        settings = msgspec.structs.replace(settings, listen=tuple(listen))
    if interval is not None:
        if not 2 <= interval <= 86_400:
            raise UsageError(f"--interval {interval}: it takes 2 to 86400 seconds")
        settings = msgspec.structs.replace(settings, interval=interval)
    if check:
        return _check(data, settings.listen)
    if with_parent is not None:
        _end_with(with_parent)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    rules = rules_of(settings, config.exporters)
    return collector.serve(data, settings, lambda line: print(line, flush=True), rules)


def _check(data: Path, listen: tuple[str, ...]) -> int:
    from nftui import protocols
    from nftui.capture.sockets import require_transport
    from nftui.elements import ELEMENTS, names
    from nftui.engine.listening import described, parsed

    entries = parsed(listen)
    for entry in entries:
        require_transport(entry[2])
    for entry in entries:
        print(f"would listen on {described(entry)}")
    print(f"would store in {data}")
    print(f"decodes {', '.join(protocols.decoders())}; `nftui protocols` lists vendors")
    known = names()
    print(
        f"takes {len(ELEMENTS)} information elements; of others {len(known.keys() - ELEMENTS.keys())} are counted by name, ", end=""
    )
    print("the rest by number:")
    for key in sorted(ELEMENTS):
        element = ELEMENTS[key]
        number = f"{element.enterprise}/{element.id}" if element.enterprise else str(element.id)
        print(f"  {number:>10}  {element.name:<36} {', '.join(mapping.column for mapping in element.mappings)}")
    return 0


def import_files(data: Path, config: Config, paths: list[Path], output: str) -> int:
    """Put flow exports from capture files into the store, and say what was read, stored, malformed and skipped."""
    from nftui.capture import layouts
    from nftui.capture.decoder import Rules
    from nftui.engine.importing import Importer
    from nftui.engine.rules import sampling_of

    layouts.define(config.elements)
    importer = Importer(data, Rules(sampling=sampling_of(config.exporters)))
    on_terminal = sys.stderr.isatty()
    began = time.monotonic()
    try:
        for path in paths:
            for datagrams in importer.read(path):
                if on_terminal:
                    print(f"\r{printable(path.name, 40)}: {datagrams:,} datagrams", end="", file=sys.stderr, flush=True)
    finally:
        if on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr)
    counts = importer.close()
    if output == "json":
        print(json.dumps(counts))
    else:
        print(
            f"{counts['flows']:,} flows stored from {counts['datagrams']:,} datagrams of {counts['frames']:,} frames "
            f"in {duration(int((time.monotonic() - began) * SECOND))}"
        )
        for kind in ("skipped", "malformed", "unread"):
            for reason, count in sorted(counts[kind].items()):
                print(f"  {kind}: {count:,} {printable(reason)}")
        if counts["options_records"]:
            print(f"  {counts['options_records']:,} options records")
    return 0


def status(data: Path, output: str) -> int:
    """Print the collector's own account; exit status 1 where there is none, or it is stale."""
    if not data.is_dir():
        raise StoreError(f"{data}: no such data directory; --data DIR names another")
    store = Store(data)
    found = store.status()
    running = store.collector_running()
    if found is None:
        raise StoreError(f"{data}: no collector has written a status here; start one with `nftui collect --data {data}`")
    age = time.time_ns() // 1000 - _integer(found.get("now"))
    fresh = running and 0 <= age < STALE_US
    if output == "json":
        print(json.dumps({**found, "collector_running": running, "stale": not fresh}))
        return 0 if fresh else 1
    state = "running" if fresh else "holds the lock, but its status is stale" if running else "not running"
    print(f"collector {state}, process {_integer(found.get('pid'))}, status {duration(max(age, 0))} old")
    for one in _dicts(found.get("listen")):
        print("\n".join(f"  {line}" for line in _listen_lines(one)))
    print(
        f"  {_integer(found.get('datagrams')):,} datagrams, {_integer(found.get('flows')):,} flows, "
        f"{_integer(found.get('flows_stored')):,} stored, {_integer(found.get('sequence_lost')):,} lost by sequence numbers"
    )
    for exporter in _dicts(found.get("exporters")):
        print("  " + _exporter_line(exporter))
        for kind in ("malformed", "unread"):
            reasons = exporter.get(kind)
            for reason, count in reasons.items() if isinstance(reasons, dict) else ():
                print(f"      {kind}: {_integer(count):,} {printable(reason, 60)}")
    for event in _dicts(found.get("events"))[-10:]:
        when = time.strftime("%H:%M:%S", time.localtime(_integer(event.get("time")) / SECOND))
        print(f"  {when} {printable(event.get('text', ''), 120)}")
    return 0 if fresh else 1


def _listen_lines(one: dict[str, Any]) -> list[str]:
    """Return what a socket has to tell; of a stream, a line more for each reason why connections were refused or closed."""
    address = printable(one.get("address", "?"), 45)
    where = f"[{address}]" if ":" in address else address
    connections = one.get("connections")
    if not isinstance(connections, dict):
        counts = (
            f"buffer {_integer(one.get('receive_buffer')):,} of {_integer(one.get('receive_buffer_asked')):,} octets  "
            f"drops {_integer(one.get('drops')):,}"
        )
        connections = {}
    else:
        counts = (
            f"connections {_integer(connections.get('open')):,} of {_integer(connections.get('limit')):,}  "
            f"accepted {_integer(connections.get('accepted')):,}  "
            f"discarded {_integer(connections.get('discarded_octets')):,} octets"
        )
    lines = [f"{where}:{_integer(one.get('port'))}/{printable(one.get('transport', '?'), 10)}  {counts}"]
    for kind in ("refused", "closed"):
        reasons = connections.get(kind)
        for reason, count in reasons.items() if isinstance(reasons, dict) else ():
            lines.append(f"    {kind}: {_integer(count):,} {printable(reason, 60)}")
    return lines


def _exporter_line(exporter: dict[str, Any]) -> str:
    rate = exporter.get("flows_per_s")
    awaited = exporter.get("templates_awaited") or []
    return (
        f"{printable(exporter.get('address', '?'), 40):<15} {printable(exporter.get('protocol', '?'), 12):<6} "
        f"{_integer(exporter.get('flows')):>12,} flows {rate if isinstance(rate, int | float) else 0:>10,.1f}/s  "
        f"templates {_integer(exporter.get('templates'))}"
        + (f", awaited {printable(awaited, 60)}" if awaited else "")
        + f"  lost {_integer(exporter.get('sequence_lost')):,}  last {printable(exporter.get('last_seen', '?'), 30)}"
    )


def _integer(value: object) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _end_with(parent: int) -> None:
    """Have the kernel ask this process to end when its parent is gone."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise ListenError("", 0, "the process that started this collector is gone")
