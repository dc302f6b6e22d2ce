"""The commands that fill a store: `collect`, `import`."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

from nftui.config import MOST_PROCESSES, Config
from nftui.errors import ListenError, UsageError
from nftui.printable import printable
from nftui.units import SECOND, duration

_PR_SET_PDEATHSIG = 1


def collect(
    data: Path,
    config: Config,
    listen: list[str] | None,
    interval: int | None,
    *,
    processes: int | None = None,
    check: bool = False,
    with_parent: int | None = None,
) -> int:
    """Run a collector until SIGTERM or SIGINT, or only say what it would do."""
    import msgspec

    from nftui.capture import layouts
    from nftui.engine import collector
    from nftui.engine.keeper import Keeping
    from nftui.engine.rules import rules_of

    layouts.define(config.elements)
    settings = config.collector
    if listen:
        settings = msgspec.structs.replace(settings, listen=tuple(listen))
    if interval is not None:
        if not 2 <= interval <= 86_400:
            raise UsageError(f"--interval {interval}: it takes 2 to 86400 seconds")
        settings = msgspec.structs.replace(settings, interval=interval)
    if processes is not None:
        if not 0 <= processes <= MOST_PROCESSES:
            raise UsageError(f"--processes {processes}: it takes 0 to {MOST_PROCESSES}")
        settings = msgspec.structs.replace(settings, processes=processes)
    config = msgspec.structs.replace(config, collector=settings)
    if check:
        return _check(data, settings.listen)
    if with_parent is not None:
        _end_with(with_parent)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    rules = rules_of(settings, config.exporters)
    keeping = Keeping.of(settings.interval, config.store)
    return collector.serve(data, settings, lambda line: print(line, flush=True), rules, keeping, config)


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
        if counts["reverse_flows"]:
            print(f"  {counts['reverse_flows']:,} of them the other half of a biflow record")
        for kind in ("samples", "skipped", "malformed", "unread"):
            for reason, count in sorted(counts[kind].items()):
                print(f"  {kind}: {count:,} {printable(reason)}")
        if counts["options_records"]:
            print(f"  {counts['options_records']:,} options records")
    return 0


def _end_with(parent: int) -> None:
    """Have the kernel ask this process to end when its parent is gone."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise ListenError("", 0, "the process that started this collector is gone")
