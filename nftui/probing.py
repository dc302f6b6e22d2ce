"""The command `probe`: flows of packets, from interfaces, files or a pipe, into the store or to another collector."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nftui.config import MOST_PROCESSES, MOST_SAMPLING, Config, ProbeSettings
from nftui.errors import StoreLocked, UsageError
from nftui.printable import printable
from nftui.units import bits_per_second, packets_per_second

if TYPE_CHECKING:
    from nftui.capture.probe.interfaces import Interface
    from nftui.engine.feed import Feed

STDIN = "-"
Row = tuple[str, str, str, str, str, str]
RIGHT = (1, 3, 4)
"""Columns of the list that have numbers."""
LOOK_S = 1.0
"""How long it is looked what passes through the interfaces, for the list."""
RANGES = {
    "active": (1, 3600, " seconds"),
    "inactive": (1, 3600, " seconds"),
    "sampling": (1, MOST_SAMPLING, ""),
    "entries": (1024, 1 << 24, ""),
    "processes": (0, MOST_PROCESSES, ""),
}
FLAGS = ("promiscuous", "inner", "biflow", "carry_fragments", "conntrack")
TO_ADD = """to have flows of one of them:
  nftui probe {name}                                      into the store, until interrupted
  nftui probe {name} --to 192.0.2.1:9995                  to a collector elsewhere, as IPFIX
  nftui config set probe.interfaces {name}                by the collector and the dashboard, from now on"""


def probe(data: Path, config: Config, options: argparse.Namespace, *, given: bool, read: Callable[[], Config]) -> int:
    """Make flows of packets; without a source, list the interfaces.

    Args:
        data: The data directory.
        config: The configuration.
        options: Of the command line.
        given: Whether the data directory was named on the command line.
        read: Reads the configuration again.
    Returns:
        The exit status.
    Raises:
        NftuiError: What was asked for can't be done.
    """
    settings = settings_of(config.probe, options)
    interfaces, files = _told_apart(options.sources)
    if not interfaces and not files and not options.conntrack:
        if options.to:
            raise UsageError("--to: flows of what? Name an interface or a file; `nftui probe` lists interfaces")
        return _list()
    if interfaces and files:
        raise UsageError(f"{interfaces[0]} is an interface, {files[0]} is none: name interfaces or files")
    if files and options.conntrack:
        raise UsageError("--conntrack: connections of this machine don't go together with files")
    if options.to:
        from nftui import probing_to

        return probing_to.run(replaced(settings, interfaces), files, options.to, options.format)
    if files and files != [STDIN]:
        from nftui import importing

        config = _with(config, settings)
        return importing.import_files(data, config, [Path(one) for one in files], "text", packets=True, again=options.again)
    return _into_store(data, config, replaced(settings, interfaces), pipe=bool(files), given=given, read=read)


def settings_of(settings: ProbeSettings, options: argparse.Namespace) -> ProbeSettings:
    """Return the settings of [probe] with what the command line says otherwise.

    Raises:
        UsageError: A value is out of its range.
    """
    import msgspec

    said: dict[str, object] = {}
    for name, (least, most, unit) in RANGES.items():
        value = getattr(options, name)
        if value is None:
            continue
        if not least <= value <= most:
            raise UsageError(f"--{name} {value}: it takes {least} to {most}{unit}")
        said[name] = value
    said |= {name: True for name in FLAGS if getattr(options, name)}
    if options.bpf is not None:
        said["bpf"] = options.bpf
    return msgspec.structs.replace(settings, **said)


def replaced(settings: ProbeSettings, interfaces: list[str]) -> ProbeSettings:
    """Return settings of these interfaces alone."""
    import msgspec

    return msgspec.structs.replace(settings, interfaces=tuple(interfaces))


def _with(config: Config, settings: ProbeSettings) -> Config:
    import msgspec

    return msgspec.structs.replace(config, probe=settings)


def _told_apart(sources: list[str]) -> tuple[list[str], list[str]]:
    """Return which sources are interfaces, and which are files; the name of an interface goes before that of a file.

    Raises:
        UsageError: One is neither.
    """
    from nftui.capture.probe.interfaces import interfaces

    there = {one.name for one in interfaces()}
    found: tuple[list[str], list[str]] = [], []
    for source in dict.fromkeys(sources):
        if source in there:
            found[0].append(source)
        elif source == STDIN or Path(source).exists():
            found[1].append(source)
        else:
            named = ", ".join(sorted(there)) or "none at all"
            raise UsageError(f"{printable(source, 100)}: no such interface and no such file; interfaces: {named}")
    if STDIN in found[1] and len(found[1]) > 1:
        raise UsageError("-: standard input goes together with no other file")
    return found


def _into_store(data: Path, config: Config, settings: ProbeSettings, *, pipe: bool, given: bool, read: Callable[[], Config]) -> int:
    """Run a collector that listens to nobody, and makes flows itself; in one process unless several are to share the packets."""
    import msgspec

    from nftui.collecting import UMASK
    from nftui.engine import collector, packet_sources, probes
    from nftui.engine.feed import Feed

    several = not pipe and probes.number_of(settings) > 1

    def told(config: Config) -> Config:
        store = msgspec.structs.replace(config.store, path=str(data)) if given else config.store
        nobody = msgspec.structs.replace(config.collector, listen=(), processes=1)
        return msgspec.structs.replace(config, collector=nobody, probe=settings if several else ProbeSettings(), store=store)

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    os.umask(UMASK)
    feed = None
    if several:
        packet_sources.require(settings)
    else:
        feed = Feed([packet_sources.piped(settings)]) if pipe else packet_sources.feed(data, settings)
        feed.open()
    try:
        status = collector.serve(data, told(config), lambda line: print(line, flush=True), lambda: told(read()), feed)
    except StoreLocked as error:
        raise StoreLocked(f"{error}; {_beside(settings)}") from None
    return 1 if _say_the_end(feed) else status


def _say_the_end(feed: Feed | None) -> bool:
    """Print what a source that is over has come to; return whether something was wrong with it."""
    from nftui.importing import probe_lines

    for entry in feed.entries() if feed else ():
        print("\n".join(probe_lines(entry)), flush=True)
    problems = feed.problems if feed else []
    for problem in problems:
        print(f"nftui: {printable(problem, 500)}", file=sys.stderr)
    return bool(problems)


def _beside(settings: ProbeSettings) -> str:
    """Return what to do where a collector is at work on the store already."""
    if settings.interfaces:
        names = ",".join(settings.interfaces)
        what = f"or have it look at {names}: `nftui config set probe.interfaces {names}`"
    else:
        what = "or have it do so: `nftui config set probe.conntrack true`"
    return f"{what} and send it SIGHUP; or send flows to it: --to 127.0.0.1:9995"


# -- the list


def _list() -> int:
    """Print the interfaces, with what passes through them now."""
    from nftui.capture.probe.interfaces import interfaces

    before = {one.index: one for one in interfaces()}
    began = time.monotonic()
    time.sleep(LOOK_S)
    now, seconds = interfaces(), time.monotonic() - began
    rows = [("INTERFACE", "INDEX", "STATE", "PACKETS", "TRAFFIC", "ADDRESSES")]
    rows += [_row(one, before.get(one.index, one), seconds) for one in now]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        padded = [(place, cell, width) for place, (cell, width) in enumerate(zip(row[:-1], widths, strict=True))]
        cells = [cell.rjust(width) if place in RIGHT else cell.ljust(width) for place, cell, width in padded]
        print("  ".join([*cells, row[-1]]).rstrip())
    busiest = max((one for one in now if one.up and not one.loopback), key=lambda one: one.packets, default=None)
    print()
    print(TO_ADD.format(name=busiest.name if busiest else "eth0"))
    _say_rights()
    return 0


def _row(now: Interface, before: Interface, seconds: float) -> Row:
    state = "up" if now.running else "no carrier" if now.up else "down"
    state += ", promiscuous" if now.promiscuous else ""
    packets, octets = max(now.packets - before.packets, 0) / seconds, max(now.octets - before.octets, 0) / seconds
    return (
        printable(now.name, 15),
        str(now.index),
        state,
        packets_per_second(packets),
        bits_per_second(8 * octets),
        ", ".join(now.addresses),
    )


def _say_rights() -> None:
    from nftui.capture.probe import rights

    if not rights.permitted():
        print(f"\n{rights.how_to_grant()}")
