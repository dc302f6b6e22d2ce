"""The command that fills a store from the network: `collect`."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from nftui.config import MOST_PROCESSES, Config
from nftui.errors import ConfigError, ListenError, UsageError

SWITCHED_OFF = "collecting is switched off: collector.enabled is false in the configuration"
UMASK = 0o027
"""Who belongs to the store's group may read it, nobody else, whatever the shell says: flows tell who talked to whom."""
_PR_SET_PDEATHSIG = 1


def collect(
    data: Path,
    config: Config,
    listen: list[str] | None,
    interval: int | None,
    *,
    interfaces: list[str] | None = None,
    processes: int | None = None,
    check: bool = False,
    with_parent: int | None = None,
    given: bool = True,
    read: Callable[[], Config],
) -> int:
    """Run a collector until SIGTERM or SIGINT, or only say what it would do.

    Args:
        data: The data directory.
        config: The configuration.
        listen: What the command line says to listen to; None for nothing.
        interval: Seconds of a segment by the command line.
        interfaces: Of whose packets flows are made, by the command line.
        processes: That receive, by the command line.
        check: Only say what would be done.
        with_parent: The process to end with.
        given: Whether the data directory was named on the command line, so that `store.path` means nothing.
        read: Reads the configuration again.
    Returns:
        The exit status; 0 too where collecting is switched off.
    Raises:
        NftuiError: What was asked for can't be done.
    """
    from nftui.capture import layouts
    from nftui.engine import collector, notify, packet_sources

    layouts.define(config.elements)
    _require_addresses(listen or ())
    _require_between("--interval", interval, 2, 86_400, " seconds")
    _require_between("--processes", processes, 0, MOST_PROCESSES)

    def told(config: Config) -> Config:
        named = {"listen": tuple(listen or ()), "interval": interval, "processes": processes, "interfaces": tuple(interfaces or ())}
        return _replaced(config, named, store=data if given else None)

    config = told(config)
    if check:
        return _check(data, config)
    if not config.collector.enabled:
        # To systemd this is a service that began and ended well, which it does not start again.
        notify.tell("READY=1", f"STATUS={SWITCHED_OFF}")
        print(SWITCHED_OFF, flush=True)
        return 0
    if interfaces:
        # What the configuration names may come later; what is typed here is meant now.
        packet_sources.require(config.probe)
    if with_parent is not None:
        _end_with(with_parent)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    os.umask(UMASK)
    return collector.serve(data, config, lambda line: print(line, flush=True), lambda: told(read()))


def _replaced(config: Config, named: Mapping[str, object], store: Path | None) -> Config:
    """Return a configuration with what the command line names in the place of what it says."""
    import msgspec

    said = {key: value for key, value in named.items() if value not in (None, ())}
    probe = {key: said.pop(key) for key in ("interfaces",) if key in said}
    return msgspec.structs.replace(
        config,
        collector=msgspec.structs.replace(config.collector, **said),
        probe=msgspec.structs.replace(config.probe, **probe),
        store=msgspec.structs.replace(config.store, path=str(store)) if store else config.store,
    )


def _require_between(option: str, value: int | None, least: int, most: int, unit: str = "") -> None:
    if value is not None and not least <= value <= most:
        raise UsageError(f"{option} {value}: it takes {least} to {most}{unit}")


def _require_addresses(listen: Iterable[str]) -> None:
    from nftui.capture.sockets import parse_listen

    for text in listen:
        try:
            parse_listen(text)
        except ConfigError as error:
            raise UsageError(f"--listen: {error}") from None


def _check(data: Path, config: Config) -> int:
    from nftui import protocols
    from nftui.capture.sockets import require_transport
    from nftui.elements import ELEMENTS, names
    from nftui.engine.listening import described, parsed

    if not config.collector.enabled:
        print(SWITCHED_OFF)
    entries = parsed(config.collector.listen)
    for entry in entries:
        require_transport(entry[2])
    for entry in entries:
        print(f"would listen on {described(entry)}")
    for interface in config.probe.interfaces:
        print(f"would make flows of the packets of {interface}")
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


def _end_with(parent: int) -> None:
    """Have the kernel ask this process to end when its parent is gone."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise ListenError("", 0, "the process that started this collector is gone")
