"""The prober: a process of the collector that makes flows of packets, and writes them to streams of its own.

One thread takes packets and meters them; another writes the tail, and an account of it, every 0.8 seconds. Between them stands a
bounded queue, as in the collector. `probes.py` starts it, with the store's lock held for it. The first line of its standard input
is the configuration. At the end of that it tells of all that it follows, stores it, and ends; when its parent is gone it ends at
once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nftui import config
from nftui.engine import garbage
from nftui.engine.accounts import EVENTS
from nftui.engine.child import ENDED_BY_PARENT, die_with_parent
from nftui.engine.flow_queue import FlowQueue, most_flows
from nftui.engine.flow_sources import FlowSource
from nftui.engine.interface_names import InterfaceNames
from nftui.engine.metering import Metering
from nftui.engine.outlet import Outlet
from nftui.engine.packet_sources import exporter_address, sources_of
from nftui.engine.share import Share
from nftui.engine.source_events import SourceEvents
from nftui.engine.urgency import lower_pool

TICK_S = 0.8
"""Between two tail files, as in the collector."""
log = logging.getLogger(__name__)


class Prober:
    """Makes flows of some sources, and stores them, until told to stop."""

    def __init__(self, root: Path, settings: config.ProbeSettings, sources: Sequence[FlowSource], share: Share, lock: int) -> None:
        """Prepare.

        Args:
            root: The data directory, whose lock the parent holds.
            settings: Of the probe.
            sources: What flows come from.
            share: Which process this is.
            lock: Descriptor of the store's lock.
        Raises:
            StoreError: The data directory can't be used.
        """
        self._share = share
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._look = SourceEvents(self._tell).look
        self._queue = FlowQueue(most_flows() // share.processes)
        self._outlet = Outlet(root, self._tell, self._queue.room, share, lock)
        self._metering = Metering(sources, self._queue.put)
        self._names = InterfaceNames(root, exporter_address(settings))
        self._over = threading.Event()

    def run(self) -> None:
        """Make flows until `stop`, then store all that were followed."""
        lower_pool()
        writer = threading.Thread(target=self._write, name="store", daemon=True)
        writer.start()
        try:
            with garbage.seldom():
                self._metering.run()
        finally:
            self._over.set()
            writer.join()
            self._metering.close()
            self._outlet.close()

    def stop(self) -> None:
        """Have `run` finish."""
        self._metering.stop()

    # -- the store, in a thread of its own

    def _write(self) -> None:
        while not self._over.wait(TICK_S):
            self._tick_safely(running=True)
        self._tick_safely(running=False)

    def _tick_safely(self, *, running: bool) -> None:
        try:
            self._tick(running=running)
        except Exception as error:
            log.exception("storing failed")
            self._tell(f"the probe: storing failed: {type(error).__name__}")

    def _tick(self, *, running: bool) -> None:
        for frames in self._queue.take():
            self._outlet.writer.append(frames)
        self._outlet.write(lambda: None, last=not running)
        if not self._outlet.look():
            return
        try:
            self._outlet.write_status(json.dumps(self.account(running=running)).encode())
            if self._share.number == 1:
                self._names.write()
        except OSError as error:
            log.warning("the account can't be written: %s", error)

    def account(self, *, running: bool = True) -> dict[str, Any]:
        """Return the account of this process, in the form of a collector's."""
        now = time.time_ns() // 1000
        entries = self._metering.entries()
        self._look(entries)
        writer = self._outlet.writer
        return {
            "pid": os.getpid(),
            "running": running,
            "now": now,
            "flows": sum(entry.flows for entry in entries),
            "flows_per_s": round(sum(entry.flows_per_s for entry in entries), 1),
            "flows_stored": writer.flows,
            "flows_odd": writer.odd,
            "flows_pending": writer.pending + self._queue.waiting,
            "queue_dropped": self._queue.dropped + self._outlet.dropped,
            "undecodable": self._metering.failed,
            "listen": [],
            "exporters": [],
            "probes": [entry.as_dict() for entry in entries],
            "store": {"state": self._outlet.problem or "ok"},
            "events": list(self._events),
        }

    def _tell(self, text: str) -> None:
        if not self._events or self._events[-1]["text"] != text:
            log.warning("%s", text)
            self._events.append({"time": time.time_ns() // 1000, "text": text})


def run(root: Path, share: Share, parent: int, lock: int) -> int:
    """Make flows until standard input ends; return the exit status, 0."""
    die_with_parent(parent)
    for number in ENDED_BY_PARENT:
        signal.signal(number, signal.SIG_IGN)
    settings = config.of_json(sys.stdin.buffer.readline()).probe
    sources = sources_of(settings, share, parent)
    prober = Prober(root, settings, sources, share, lock)
    threading.Thread(target=_heed, args=(prober.stop,), daemon=True).start()
    prober.run()
    return 0


def _heed(stop: Callable[[], None]) -> None:
    sys.stdin.buffer.read()
    stop()


def main(words: Sequence[str]) -> int:
    """Make flows as the words of a command say, and return the exit status."""
    root, number, processes, parent, lock = words
    share = Share(int(number), int(processes), probe=True)
    logging.basicConfig(format=f"%(asctime)s %(levelname)s probe {number}: %(message)s", level=logging.INFO)
    return run(Path(root), share, int(parent), int(lock))
