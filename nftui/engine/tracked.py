"""Tracked connections: what the kernel's connection tracking has counted, as a source of flows."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from nftui.capture.probe.conntrack import NAME, Conntrack
from nftui.engine.flow_sources import Origin, Rates
from nftui.engine.packet_source import KERNEL, PacketSource
from nftui.engine.reopened import Reopened
from nftui.units import rfc3339

TAKEN = 16
"""Times that it is looked for more, until other sources have their turn."""


class Tracked(Reopened[Conntrack]):
    """Connections that end. Where they can't be asked for that is tried again and again, and said.

    Attributes:
        name: `conntrack`.
        over: Never.
    """

    over = False

    def __init__(self, origin: Origin, listening: Callable[[], Conntrack] = Conntrack) -> None:
        """Begin, without asking anybody.

        Args:
            origin: Where these flows are from.
            listening: Begins to listen to the kernel; it raises `InterfaceError`.
        """
        super().__init__(listening)
        self.name = NAME
        self._origin = origin
        self._waiting: list[pl.DataFrame] = []
        self._flows = self._packets = self._octets = self._seen = 0
        self._lost, self._lost_at = 0, 0
        self._rates = Rates()

    def take(self) -> bool:
        """Take the connections that have ended."""
        if self._source is None:
            self._try()
            return False
        for _ in range(TAKEN):
            frame = self._source.take()
            if frame is None:
                return False
            self._waiting.append(frame)
        return True

    def flows(self, now: int) -> list[pl.DataFrame]:
        """Return what was taken."""
        frames, self._waiting = self._waiting, []
        for frame in frames:
            self._flows += frame.height
            self._packets += int(frame["packets"].sum()) if "packets" in frame.columns else 0
            self._octets += int(frame["octets"].sum()) if "octets" in frame.columns else 0
            self._seen = now
        return [self._origin.marked(frame, now) for frame in frames]

    def rest(self, now: int) -> list[pl.DataFrame]:
        """Return what was taken: connections that go on are the kernel's."""
        return self.flows(now)

    def entry(self, now: int) -> PacketSource:
        """Return what the status says of it."""
        lost = self._source.counts.lost if self._source is not None else 0
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
            last_seen=rfc3339(self._seen) if self._seen else "",
        )
