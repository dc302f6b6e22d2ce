"""The commands that open the dashboard: `nftui` and `nftui demo`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from nftui.allocators import read_by_few
from nftui.config import Config, default_cache
from nftui.engine import places
from nftui.engine.account import Account
from nftui.engine.child import die_with_parent
from nftui.engine.files import FILE_MODE
from nftui.engine.filter_resolving import resolved
from nftui.engine.local import LocalBackEnd
from nftui.engine.local_interfaces import own_address
from nftui.engine.one_sided import Sides
from nftui.engine.ordered import Records
from nftui.engine.owners import Owners
from nftui.engine.places import Places
from nftui.engine.query import Answer, Query
from nftui.engine.resolving import Resolver
from nftui.engine.store import Store, make_folder
from nftui.engine.urgency import lower_pool
from nftui.engine.watch import Watch
from nftui.errors import FilterError, ListenError, NftuiError, StoreError

STOP_S = 30.0
HISTORY_MINUTES = 15


class Watched(LocalBackEnd):
    """A store whose collector is a child of ours: when that ends by itself, the status says why."""

    def __init__(
        self, root: Path, collector: Child | None, resolver: Resolver, located: Places, owners: Owners | None = None
    ) -> None:
        """Open a store for reading.

        Args:
            root: The data directory.
            collector: Our collector, where there is one.
            resolver: Asked for names in filters; it may take its time, as an answer does.
            located: Asked for places in filters.
            owners: Begins to look as soon as there is a probe; None for nobody.
        """
        super().__init__(root)
        self._collector, self._resolver, self._places, self._owners = collector, resolver, located, owners

    def answer(self, query: Query, watch: Watch | None = None) -> Answer:
        """Answer a question, names and places of its filter looked up; the answer has the question as it was asked."""
        asked = self._resolved(query)
        if asked is query:
            return super().answer(query, watch)
        if watch is not None:
            watch.asked_as(query)
        return replace(super().answer(asked, watch), query=query)

    def records(self, query: Query) -> Records:
        """Return flow records to be read in order, names and places of the filter looked up."""
        asked = self._resolved(query)
        return super().records(query) if asked is query else replace(super().records(asked), query=query)

    def _resolved(self, query: Query) -> Query:
        try:
            where = resolved(query.where, self._resolver, self._places)
        except FilterError as error:
            # The text that was typed is not known here, so a column would be that of another one.
            raise NftuiError(f"{error.problem}; {error.hint}" if error.hint else error.problem) from None
        return query if where == query.where else replace(query, where=where)

    def status(self) -> dict[str, Any] | None:
        """Return the collector's last status; `problem` alone when it is gone."""
        status = super().status()
        status = self._instead(status) or status
        if self._owners is not None and status is not None and status.get("probes"):
            self._owners.begin()
        return status

    def account(self) -> Account:
        """Return the collector's account; `problem` alone as its status when it is gone."""
        account = super().account()
        instead = self._instead(account.status)
        return account if instead is None else replace(account, status=instead, running="starting" in instead)

    def _instead(self, status: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return what holds in the place of what is read: why our collector is gone, or that it has not said anything yet."""
        if self._collector is None:
            return None
        if problem := self._collector.problem():
            return {"problem": problem}
        return None if (status or {}).get("pid") == self._collector.process.pid else {"starting": True}


class Child:
    """A process of ours that ends with us: it is asked first, and killed when it doesn't listen."""

    def __init__(self, words: list[str], log: Path) -> None:
        """Start `nftui` with these arguments; what it prints goes to a file.

        Args:
            words: The arguments.
            log: Where its output goes; it is begun anew.
        """
        self.log = log
        with open(log, "wb", opener=lambda path, flags: os.open(path, flags, FILE_MODE)) as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nftui", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def problem(self) -> str:
        """Return why the process ended by itself, in its own words; empty while it runs."""
        if self.process.poll() is None:
            return ""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with status {self.process.returncode}"

    def read_again(self, status: Callable[[], dict[str, Any] | None]) -> None:
        """Have a collector take up its configuration, as soon as its status is there: before that the signal would end it.

        Raises:
            StoreError: It isn't at work.
        """
        end = time.monotonic() + STOP_S
        while not (problem := self.problem()) and time.monotonic() < end:
            if ((status() or {}).get("pid")) == self.process.pid:
                self.process.send_signal(signal.SIGHUP)
                return
            time.sleep(0.1)
        raise StoreError(f"the collector takes it up at its next start: {problem or 'it has not begun its work yet'}")

    def stop(self) -> None:
        """End the process, and wait until it has finished its work."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run(
    data: Path,
    config: Config,
    *,
    collect: bool,
    listen: list[str] | None = None,
    interfaces: list[str] | None = None,
    config_path: Path | None = None,
    with_parent: int | None = None,
) -> int:
    """Open the dashboard on a store; with no collector at work there, and `collect`, with one of our own."""
    end_with_terminal()
    if with_parent is not None:
        die_with_parent(with_parent)
    with ExitStack() as stack:
        child = collector_for(data, config, collect=collect, listen=listen, interfaces=interfaces, config_path=config_path)
        if child is not None:
            stack.callback(child.stop)
        entries = tuple(listen or config.collector.listen)
        port = entries[0].rsplit(":", 1)[-1].removesuffix("/udp") if entries else "9995"
        return _show(
            data,
            config,
            listening=f"[{address}]:{port}" if ":" in (address := own_address()) else f"{address}:{port}",
            collector=child,
            config_path=config_path,
            first=child is not None and not listen and not interfaces,
        )


def collector_for(
    data: Path,
    config: Config,
    *,
    collect: bool,
    listen: list[str] | None,
    interfaces: list[str] | None = None,
    config_path: Path | None,
) -> Child | None:
    """Start a collector where one is wanted and none is at work on the store."""
    if not collect or not config.collector.enabled or Store(data).collector_running():
        return None
    ports = listen or list(config.collector.listen)
    return _start_collector(data, ports, config.collector.interval, config_path, interfaces or ())


def demo(data: Path | None, config: Config, *, network: str | None, seed: int, screen: bool) -> int:
    """Open the dashboard on a simulated network, with ports and, unless one is named, a store of its own."""
    end_with_terminal()
    if network is not None:
        from nftui.demo.network import load_network

        load_network(Path(network))  # whose mistakes would stand in a log otherwise
    with ExitStack() as stack:
        if data is None:
            data = Path(tempfile.mkdtemp(prefix="nftui-demo-"))
            stack.callback(shutil.rmtree, data, ignore_errors=True)
        if Store(data).collector_running():
            raise StoreError(
                f"{data}: a collector writes to it; the demo wants a store of its own: leave --data out or name another"
            )
        port = free_port()
        # What the user's configuration says of exporters, or whether to collect, is not meant for simulated ones.
        collector = _start_collector(data, [f"127.0.0.1:{port}/udp"], config.collector.interval, Path(os.devnull))
        stack.callback(collector.stop)
        words = ["demo-exporters", "--to", f"127.0.0.1:{port}", "--seed", str(seed), "--minutes", str(HISTORY_MINUTES)]
        words += ["--with-parent", str(os.getpid())]
        if network is not None:
            words += ["--network", network]
        # They wait for the collector's port by themselves.
        stack.callback(Child(words, data / "exporters.log").stop)
        if screen:
            return _show(data, config, listening=f"127.0.0.1:{port}", collector=collector, demo=True)
        print(f"demo: collector on 127.0.0.1:{port}, store {data}; look at it with `nftui --no-collect --data {data}`", flush=True)
        return _until_told(collector)


def free_port() -> int:
    """Return a UDP port of the loopback that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_with_terminal() -> None:
    """Have a terminal that goes away, or a polite kill, end our children too, and remove what is only ours; once is enough."""

    def end(number: int, _: FrameType | None) -> None:
        for each in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, end)


def _show(
    data: Path,
    config: Config,
    *,
    listening: str,
    collector: Child | None,
    demo: bool = False,
    config_path: Path | None = None,
    first: bool = False,
) -> int:
    in_browser = os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")
    if not in_browser and (not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb"):
        raise ListenError("", 0, "the dashboard wants a terminal; `nftui top`, `flows`, `series` and `summary` print to anything")
    from nftui.app import NftuiApp
    from nftui.screens.this_host import ThisHost

    read_by_few(os.environ)
    lower_pool()
    # These would win over the size that the terminal tells, and stay when it changes; a browser tells its first size by them.
    for name in () if in_browser else ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    cache = default_cache()
    resolver, owners = Resolver(config.names, cache / "names.json"), Owners()
    app = NftuiApp(
        Watched(data, collector, resolver, places.use(config.names, cache), owners),
        config.display,
        title=str(data),
        listening=listening,
        demo=demo,
        resolver=resolver,
        here=ThisHost(
            owners,
            Sides(LocalBackEnd(data, keep=False)),
            None if collector is None or demo else lambda: collector.read_again(Store(data).status),
            first and not in_browser,
        ),
        config=config,
        config_path=config_path,
        environ=os.environ,
    )
    try:
        app.run()
    finally:
        app.give_terminal_back()
        resolver.close()
    return app.return_code or 0


def _start_collector(
    data: Path, listen: list[str], interval: int, config_path: Path | None, interfaces: Sequence[str] = ()
) -> Child:
    try:
        make_folder(data)
        words = ["collect", "--data", str(data), "--interval", str(interval), "--with-parent", str(os.getpid())]
        words += [word for text in listen for word in ("--listen", text)]
        words += [word for name in interfaces for word in ("--interface", name)]
        if config_path is not None:
            words += ["--config", str(config_path)]
        return Child(words, data / "collector.log")
    except OSError as error:
        raise StoreError(f"{data}: {error.strerror}; choose a data directory you may write with --data DIR") from error


def _until_told(collector: Child) -> int:
    stop = threading.Event()

    def told(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    while not stop.wait(0.5):
        if problem := collector.problem():
            raise StoreError(f"the demo's collector: {problem}")
    return 0
