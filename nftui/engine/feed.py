"""A feed: a thread of the collector itself that makes flows of packets, for a command that does nothing else.

Beside a collector that receives, the probe is a process of its own (`probes.py`): two busy threads of one interpreter share a core.
Where nobody sends, the collector's own thread is idle, and a process less is 43 MB less.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import polars as pl

from nftui.engine import accounts
from nftui.engine.accounts import Account
from nftui.engine.flow_sources import FlowSource
from nftui.engine.interface_names import InterfaceNames
from nftui.engine.metering import Metering
from nftui.engine.notify import Pulse
from nftui.engine.packet_source import PacketSource
from nftui.engine.source_events import SourceEvents

METERING = "metering"
"""The thread, as the watchdog knows it."""
log = logging.getLogger(__name__)


class Feed:
    """Some sources, metered by a thread, until they are over or `finish`."""

    def __init__(self, sources: Sequence[FlowSource], names: InterfaceNames | None = None) -> None:
        """Prepare.

        Args:
            sources: What flows come from.
            names: Written beside the flows; None where none are known.
        """
        self._sources, self._names = sources, names
        self._events: deque[dict[str, Any]] = deque(maxlen=accounts.EVENTS)
        self._look = SourceEvents(self._tell).look
        self._metering: Metering | None = None
        self._thread: threading.Thread | None = None
        self._failure = ""

    @property
    def problems(self) -> list[str]:
        """What was wrong with sources that are over, in words."""
        found = [source.problem for source in self._sources if source.over and source.problem]
        return [*found, self._failure] if self._failure else found

    def descriptions(self) -> list[str]:
        """Return what whoever starts the collector should know."""
        return [f"making flows of {', '.join(source.name for source in self._sources)}"]

    def entries(self) -> list[PacketSource]:
        """Return what the status says of each source."""
        if self._metering is not None:
            return self._metering.entries()
        now = time.time_ns() // 1000
        return [source.entry(now) for source in self._sources]

    def open(self) -> None:
        """Open all sources.

        Raises:
            NftuiError: One can't be.
        """
        for source in self._sources:
            source.open()

    def start(self, take: Callable[[list[pl.DataFrame]], object], over: Callable[[], object], pulse: Pulse) -> None:
        """Begin.

        Args:
            take: Takes flows that have ended.
            over: Called when there is nothing more to come.
            pulse: Pings the watchdog while the thread goes round; what is left at the end takes as long as it takes.
        """
        metering = self._metering = Metering(self._sources, take, lambda: pulse.beat(METERING))

        def run() -> None:
            try:
                metering.run(lambda: pulse.release(METERING))
            except Exception as error:
                log.exception("packets are taken no more")
                self._failure = f"packets are taken no more: {type(error).__name__}"
                pulse.release(METERING)
            over()

        pulse.beat(METERING)
        self._thread = threading.Thread(target=run, name="meter", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Hand on all that is followed, and end."""
        if self._metering and self._thread:
            self._metering.stop()
            self._thread.join()
            self._metering.close()

    def together(self, first: Account) -> Account:
        """Return the account of the collector, with what was made here."""
        if self._names:
            with suppress(OSError):  # of less weight than what the collector says itself
                self._names.write()
        entries = self.entries()
        self._look(entries)
        own = {
            "flows": sum(one.flows for one in entries),
            "flows_per_s": sum(one.flows_per_s for one in entries),
            "undecodable": self._metering.failed if self._metering else 0,
            "probes": [one.as_dict() for one in entries],
            "events": list(self._events),
        }
        return accounts.together(first, [own])

    def _tell(self, text: str) -> None:
        log.warning("%s", text)
        self._events.append({"time": time.time_ns() // 1000, "text": text})
