"""Tracked connections: what the kernel's connection tracking has counted, as a source of flows."""

from __future__ import annotations

import time
from collections.abc import Callable

import polars as pl

from nftui.capture.probe.conntrack import Conntrack
from nftui.capture.probe.conntrack_socket import NAME
from nftui.engine.flow_sources import Origin, Rates
from nftui.engine.packet_source import KERNEL, PacketSource
from nftui.engine.reopened import Reopened
from nftui.units import rfc3339

TAKEN = 16
"""Times that it is looked for more, until other sources have their turn."""


def listening() -> Conntrack:
    """Begin to listen to the kernel, and tell of nothing that was counted before.

    Raises:
        InterfaceError: The kernel refuses.
    """
    source = Conntrack()
    try:
        source.base()
    except BaseException:
        source.close()
        raise
    return source


class Tracked(Reopened[Conntrack]):
    """Connections that end, and at times those that go on. Where they can't be asked for that is tried again and again, and said.

    Attributes:
        name: `conntrack`.
        over: Never.
    """

    over = False

    def __init__(self, origin: Origin, active: int, opened: Callable[[], Conntrack] = listening) -> None:
        """Begin, without asking anybody.

        Args:
            origin: Where these flows are from.
            active: Seconds after which a connection that goes on is told of.
            opened: Begins to listen to the kernel; it raises `InterfaceError`.
        """
        super().__init__(opened)
        self.name = NAME
        self._origin, self._active = origin, active
        self._ask_at = 0.0
        self._waiting: list[pl.DataFrame] = []
        self._flows = self._packets = self._octets = self._seen = 0
        self._lost, self._lost_at = 0, 0
        self._rates = Rates()

    def open(self) -> None:
        """Open it, where that was not done yet.

        Raises:
            NftuiError: It can't be.
        """
        if self._source is None:
            super().open()
            self._ask_at = time.monotonic() + self._active

    def handles(self) -> list[int]:
        """Return what becomes readable when there is something to take."""
        return self._source.handles() if self._source is not None else []

    def take(self) -> bool:
        """Take the connections that have ended; and when it is time to, a part of those that go on."""
        if self._source is None:
            self._try()
            return False
        more = False
        for _ in range(TAKEN):
            frame = self._source.take()
            more = frame is not None
            if frame is None:
                break
            self._waiting.append(frame)
        self._look(self._source)
        return more

    def flows(self, now: int) -> list[pl.DataFrame]:
        """Return what was taken."""
        frames, self._waiting = [frame for frame in self._waiting if frame.height], []
        for frame in frames:
            self._flows += frame.height
            self._packets += int(frame["packets"].sum()) if "packets" in frame.columns else 0
            self._octets += int(frame["octets"].sum()) if "octets" in frame.columns else 0
            self._seen = now
        return [self._origin.marked(frame, now) for frame in frames]

    def rest(self, now: int) -> list[pl.DataFrame]:
        """Return what was taken, and what connections that go on have counted since they were told of last."""
        if self._source is not None:
            self._waiting += self._source.rest()
        return self.flows(now)

    def entry(self, now: int) -> PacketSource:
        """Return what the status says of it."""
        lost, used, entries = 0, 0, 0
        if self._source is not None:
            lost = self._source.counts.lost
            used, entries = self._source.table()
        if lost > self._lost:
            self._lost, self._lost_at = lost, now
        packets, octets, flows = self._rates.of(self._packets, self._octets, self._flows)
        return PacketSource(
            self.name,
            KERNEL,
            address=self._origin.address,
            problem=self.problem,
            packets=self._packets,
            octets=self._octets,
            flows=self._flows,
            packets_per_s=packets,
            octets_per_s=octets,
            flows_per_s=flows,
            drops=lost,
            last_drop=rfc3339(self._lost_at) if self._lost_at else "",
            used=used,
            entries=entries,
            active=self._active,
            last_seen=rfc3339(self._seen) if self._seen else "",
        )

    def _look(self, source: Conntrack) -> None:
        """Ask for the connections that go on when it is time to, and take a part of the answer."""
        now = time.monotonic()
        if not source.asking and now >= self._ask_at:
            self._ask_at = now + self._active
            source.ask()
        if source.asking and (frame := source.answer()) is not None:
            self._waiting.append(frame)
