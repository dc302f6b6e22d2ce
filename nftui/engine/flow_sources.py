"""Flow sources: an interface with the meter of its packets, or the kernel's connection tracking; flows out, ready for the store.

What stands in flows that are made here, beside what was metered: this machine's address as the exporter, the ifIndex as the
observation domain, and a version that says that no exporter sent them. So an interface is an observation domain of this machine, as
with any exporter (RFC 7011, section 2), and interfaces have the names that the machine gives them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import polars as pl

from nftui.capture.links import ETHERNET, LINUX_COOKED, LINUX_COOKED_2, MPLS_LINK, PPP, RAW_IP
from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.frames import FrameSource
from nftui.capture.probe.meter import Meter
from nftui.engine.packet_source import PacketSource
from nftui.engine.reopened import Reopened
from nftui.errors import CaptureFileError
from nftui.schema import POLARS
from nftui.units import SECOND, address_octets, rfc3339

OF_PACKETS, OF_KERNEL = 1001, 1002
"""Values of the column `protocol_version` for flows that nobody exported."""
LINK_NAMES = {ETHERNET: "Ethernet", RAW_IP: "IP", MPLS_LINK: "MPLS", PPP: "PPP", LINUX_COOKED: "cooked", LINUX_COOKED_2: "cooked"}
BLOCKS = 4
"""Taken from a source until the others, and flows that have ended, have their turn: of short packets that is 30,000 each."""
METERED = (
    "emergency", "lost_packets", "lost_octets", "sampled_out", "link_octets", "not_ip", "not_ip_octets", "cut", "fragments",
)  # fmt: skip
"""Counts of a meter that stand in the status under the same name."""
RATES = 6
"""Looks that a rate is made of."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where flows were made.

    Attributes:
        address: This machine's, as text; empty for none, of packets that were seen elsewhere.
        domain: ifIndex of the interface; 0 for none.
        version: A value of `protocol_version`.
        sampling: N of 1 in N packets that were looked at.
    """

    address: str
    domain: int = 0
    version: int = OF_PACKETS
    sampling: int = 1

    def marked(self, frame: pl.DataFrame, now: int) -> pl.DataFrame:
        """Return flows with what tells where they are from; what they say themselves stays.

        Args:
            frame: The flows.
            now: When they were told of, microseconds since 1970.
        """
        said: dict[str, pl.Expr] = {"received": pl.lit(now), "protocol_version": pl.lit(self.version)}
        if self.address:
            said["exporter_address"] = pl.lit(address_octets(self.address))
        # An interface that came back has another ifIndex; what it brought before keeps the one that it had.
        seen_by = [pl.col(name) for name in ("ingress_interface", "egress_interface") if name in frame.columns]
        if seen_by or self.domain:
            said["observation_domain"] = pl.coalesce(*seen_by, pl.lit(self.domain or None))
        if self.sampling > 1:
            said |= {"sampling_interval": pl.lit(self.sampling), "sampling_source": pl.lit("configured")}
        return frame.with_columns(value.cast(POLARS[name]).alias(name) for name, value in said.items() if name not in frame.columns)


class FlowSource(Protocol):
    """What flows come from. Used from one thread, but for `entry`.

    Attributes:
        name: `eth0`, or `conntrack`.
        problem: Why nothing comes at present, in words; empty where all is well.
        over: Whether there will be nothing more.
    """

    name: str

    @property
    def problem(self) -> str:
        """Why nothing comes at present."""
        ...

    @property
    def over(self) -> bool:
        """Whether there will be nothing more."""
        ...

    def open(self) -> None:
        """Open it, where that was not done yet; without, it opens itself as soon as it can be.

        Raises:
            NftuiError: It can't be.
        """
        ...

    def handles(self) -> list[int]:
        """Return the descriptors that become readable when there is something to take."""
        ...

    def take(self) -> bool:
        """Take what is there, bounded; return whether there may be more."""
        ...

    def flows(self, now: int) -> list[pl.DataFrame]:
        """Return the flows that have ended by now, microseconds since 1970."""
        ...

    def rest(self, now: int) -> list[pl.DataFrame]:
        """Return all that is left, at the end."""
        ...

    def entry(self, now: int) -> PacketSource:
        """Return what the status says of it."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class Rates:
    """What some counters grew by a second, over the last looks."""

    def __init__(self) -> None:
        """Begin without a look."""
        self._looks: deque[tuple[float, tuple[int, ...]]] = deque(maxlen=RATES)

    def of(self, *counted: int) -> tuple[float, ...]:
        """Take a look, and return the rates."""
        self._looks.append((time.monotonic(), counted))
        (then, before), (now, after) = self._looks[0], self._looks[-1]
        seconds = now - then
        return tuple(round((b - a) / seconds, 1) if seconds > 0 else 0.0 for a, b in zip(before, after, strict=True))


class Metered(Reopened[FrameSource]):
    """A source of frames and its meter. One that can't be opened is tried again and again, and says why.

    Attributes:
        name: Of the interface.
        over: Never: an interface may come back.
    """

    over = False

    def __init__(
        self,
        name: str,
        opened: Callable[[], FrameSource],
        meter: Meter,
        origin: Callable[[int], Origin],
        entry: Callable[[], PacketSource],
    ) -> None:
        """Begin, without opening anything.

        Args:
            name: Of the interface.
            opened: Opens the source of frames; it raises `NftuiError`.
            meter: What makes flows of them.
            origin: Tells where flows of an ifIndex are from.
            entry: Makes an entry of the status, without counts.
        """
        super().__init__(opened)
        self.name = name
        self._meter, self._origin, self._entry = meter, origin, entry
        self._index = self._flows = 0
        self._seen = self._dropped_at = self._dropped = 0
        self._rates = Rates()

    def take(self) -> bool:
        """Meter what is there; open what is not open, when it is time to."""
        if self._source is None:
            self._try()
            return False
        for _ in range(BLOCKS):
            block = self._source.take()
            if block is None:
                return False
            self._index, self._seen = block.interface or self._index, int(block.time[-1])
            self._meter.take(block)
        return True

    def flows(self, now: int) -> list[pl.DataFrame]:
        """Return the flows that have ended."""
        return self._marked(self._meter.expired(now), now)

    def rest(self, now: int) -> list[pl.DataFrame]:
        """Return the flows that go on."""
        return self._marked(self._meter.rest(), now)

    def entry(self, now: int) -> PacketSource:
        """Return what the status says of it."""
        entry = self._entry()
        if self._source is not None:
            seen = self._source.counts
            entry.packets, entry.octets, entry.drops = seen.frames, seen.octets, seen.dropped
            self._describe(entry, self._source)
        entry.problem = self.problem
        if entry.drops > self._dropped:
            self._dropped, self._dropped_at = entry.drops, now
        entry.flows = self._flows
        entry.last_seen = rfc3339(self._seen) if self._seen else ""
        entry.last_drop = rfc3339(self._dropped_at) if self._dropped_at else ""
        entry.interface = entry.domain = self._index
        return _with_counts(entry, self._meter, self._rates)

    def _describe(self, entry: PacketSource, source: FrameSource) -> None:
        """Say what an interface is, where the source is one."""
        about = getattr(source, "interface", None)
        if about is not None:
            self._index = about.index
            entry.link = LINK_NAMES.get(about.link, f"link type {about.link}")

    def _marked(self, frame: pl.DataFrame | None, now: int) -> list[pl.DataFrame]:
        if frame is None or not frame.height:
            return []
        self._flows += frame.height
        return [self._origin(self._index).marked(frame, now)]


class Piped:
    """A capture that comes through a pipe, and its meter. The clock is that of the packets, and goes on between them.

    Attributes:
        name: For messages.
        problem: Why nothing more can be read; empty where all is well.
    """

    def __init__(self, file: CaptureFile, meter: Meter, origin: Origin, entry: PacketSource) -> None:
        """Begin.

        Args:
            file: The capture; whoever calls has opened it.
            meter: What makes flows of its packets.
            origin: Where they are from.
            entry: What the status says of it, without counts.
        """
        self.name, self.problem = entry.source, ""
        self._file, self._meter, self._origin, self._entry = file, meter, origin, entry
        self._flows, self._came = 0, time.monotonic()
        self._rates = Rates()

    @property
    def over(self) -> bool:
        """Whether the pipe has ended."""
        return bool(self._file.ended)

    def open(self) -> None:
        """Do nothing: it is open."""

    def handles(self) -> list[int]:
        """Return the pipe's descriptor."""
        return [] if self.over else [self._file.fileno()]

    def take(self) -> bool:
        """Meter what is there."""
        for _ in range(BLOCKS):
            try:
                block = self._file.take()
            except CaptureFileError as error:
                self.problem = str(error)
                return False
            if block is None:
                return False
            self._meter.take(block)
            self._came = time.monotonic()
        return True

    def flows(self, now: int) -> list[pl.DataFrame]:
        """Return the flows that have ended, by the packets' own clock."""
        return self._marked(self._meter.expired(self._clock()), now) if self._meter.seen_us else []

    def rest(self, now: int) -> list[pl.DataFrame]:
        """Return the flows that go on."""
        return self._marked(self._meter.rest(self._clock()), now)

    def entry(self, now: int) -> PacketSource:
        """Return what the status says of it."""
        seen = self._file.counts
        entry = replace(self._entry, problem=self.problem, packets=seen.frames, octets=seen.octets, drops=seen.dropped)
        entry.flows = self._flows
        entry.last_seen = rfc3339(self._meter.seen_us) if self._meter.seen_us else ""
        return _with_counts(entry, self._meter, self._rates)

    def close(self) -> None:
        """Close the pipe."""
        self._file.close()

    def _clock(self) -> int:
        return self._meter.seen_us + int((time.monotonic() - self._came) * SECOND)

    def _marked(self, frame: pl.DataFrame | None, now: int) -> list[pl.DataFrame]:
        if frame is None or not frame.height:
            return []
        self._flows += frame.height
        # They come now, whatever the clock says of whoever saw them.
        return [self._origin.marked(frame.drop("received", strict=False), now)]


def _with_counts(entry: PacketSource, meter: Meter, rates: Rates) -> PacketSource:
    """Put in what a meter counted, and how fast things grow."""
    entry.packets_per_s, entry.octets_per_s, entry.flows_per_s = rates.of(entry.packets, entry.octets, entry.flows)
    for counter in METERED:
        setattr(entry, counter, getattr(meter.counts, counter))
    entry.used, entry.ip_octets = meter.entries, meter.counts.packet_octets
    return entry
