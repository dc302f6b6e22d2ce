"""Sends flows to collectors: frames of flows in, NetFlow v5, v9 or IPFIX out, to one target or several.

All targets get the same datagrams. A frame is encoded where it is handed over, and sent by a thread of each target, so that who
hands it over never waits for a network.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from nftui.errors import ConfigError
from nftui.export.flow_columns import FlowColumns
from nftui.export.netflow import MTU
from nftui.export.streams import Format, StreamCounts, stream
from nftui.export.target import WAITING, Target, TargetCounts
from nftui.units import SECOND

PACE = 20_000
"""Datagrams a second at most to each target, some half a million flows."""
TEMPLATES_S, TEMPLATES_DATAGRAMS = 60, 2000
"""Templates are told again after so many seconds, and after so many datagrams."""
LEAST_MTU, MOST_MTU = 576, 9000
AT_ONCE = 65_536
"""Flows that are encoded at once."""
CLOSE_S = 3.0
"""How long the end waits for what is to be sent."""
PATIENCE_S = 10.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExportCounts:
    """What an exporter did so far.

    Attributes:
        format: The protocol.
        stream: What was made of the flows.
        datagrams: Made.
        targets: By name: counts, the address, what is wrong, octets that wait.
    """

    format: Format
    stream: StreamCounts
    datagrams: int
    targets: dict[str, tuple[TargetCounts, str, str, int]]

    def as_dict(self) -> dict[str, Any]:
        """Return them as JSON has them."""
        return {
            "format": self.format.value,
            **asdict(self.stream),
            "datagrams": self.datagrams,
            "targets": {
                name: counts.as_dict() | {"address": address, "problem": problem, "waiting": waiting}
                for name, (counts, address, problem, waiting) in self.targets.items()
            },
        }


class Exporter:
    """Sends flows to collectors. Used from one thread."""

    def __init__(
        self,
        targets: Sequence[str],
        format: Format | str,
        *,
        domain: int = 0,
        sampling: int = 0,
        mtu: int = MTU,
        pace: int = PACE,
        templates_s: int = TEMPLATES_S,
        templates_datagrams: int = TEMPLATES_DATAGRAMS,
        exporters: bool = False,
        tell: Callable[[str], None] = log.warning,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look up the targets, and begin.

        Args:
            targets: HOST:PORT each.
            format: `netflow5`, `netflow9` or `ipfix`.
            domain: The observation domain, or source id; of it v5 has 16 bits.
            sampling: N where all flows are of 1 packet in N, 0 where that is not so. Each flow's `sampling_interval` is told in any
                case; many collectors look only at options, which say this.
            mtu: Octets of the largest IP packet that is sent; none is ever fragmented.
            pace: Datagrams a second to each target at most; 0 for no limit.
            templates_s: Templates are told again after so many seconds.
            templates_datagrams: And after so many datagrams.
            exporters: Whether the exporter that each flow came from is told, too (v9, IPFIX).
            tell: Takes a line about what is wrong, and when that changes.
            clock: Seconds since 1970.
        Raises:
            ConfigError: A target stands for no address, or a number is out of range.
        """
        if not targets:
            raise ConfigError("nothing to export to: name a target, HOST:PORT")
        if not LEAST_MTU <= mtu <= MOST_MTU:
            raise ConfigError(f"an MTU of {mtu} octets: it is {LEAST_MTU} to {MOST_MTU}")
        if pace < 0:
            raise ConfigError(f"a pace of {pace} datagrams a second: it is 1 or more, or 0 for no limit")
        if not 0 <= domain < 1 << 32:
            raise ConfigError(f"observation domain {domain}: it is 0 to {(1 << 32) - 1}")
        try:
            self._format = Format(format)
        except ValueError:
            raise ConfigError(f'"{format}" is no format to export in: it is {", ".join(Format)}') from None
        self._stream = stream(self._format, domain, sampling=sampling, exporters=exporters)
        self._tell, self._clock = tell, clock
        self._every_us, self._every = templates_s * SECOND, templates_datagrams
        self._told_at, self._since, self._datagrams = 0, 0, 0
        self._ipv6_told = False
        self._targets: list[Target] = []
        try:
            for name in dict.fromkeys(targets):
                self._targets.append(Target(name, mtu, pace, tell))
        except ConfigError:
            self.close(0)
            raise

    def send(self, flows: pl.DataFrame, *, wait: bool = False) -> None:
        """Send flows: at once, or as soon as the pace and the targets allow.

        Args:
            flows: Columns of `schema.py`; whatever no field tells is left out.
            wait: Whether to wait for room in the queues of the targets, rather than to drop and count.
        """
        for at in range(0, flows.height, AT_ONCE):
            if wait:
                self.wait_for_room()
            now = self._now()
            self.tick(now)
            self._put(self._stream.encode(FlowColumns.of(flows.slice(at, AT_ONCE)), now))
        ipv6 = self._stream.counts.ipv6
        if ipv6 and not self._ipv6_told:
            self._ipv6_told = True
            self._tell(f"{ipv6} flows of IPv6 were left out, as NetFlow v5 has no place for them; export in netflow9 or ipfix")

    def tick(self, now: int | None = None) -> None:
        """Do what is due; to be called once a second or so.

        Args:
            now: Microseconds since 1970; None for the clock's.
        """
        now = self._now() if now is None else now
        returned = [target for target in self._targets if target.returned.is_set()]
        self._stream.payload = min(target.payload for target in self._targets)
        due = not 0 <= now - self._told_at < self._every_us or self._since >= self._every
        if not due and not returned:
            return
        for target in returned:
            target.returned.clear()
        self._told_at, self._since = now, 0
        self._put(self._stream.announce(now))

    def wait_for_room(self) -> None:
        """Wait until half of each target's queue is free; for one that takes nothing some seconds at most."""
        for target in self._targets:
            target.wait_below(WAITING // 2, PATIENCE_S)

    @property
    def waiting(self) -> int:
        """Octets that wait to be sent, of the target with most."""
        return max(target.waiting for target in self._targets)

    @property
    def here(self) -> dict[str, tuple[str, int]]:
        """The targets on this machine: the address and the port of each, by name."""
        return {target.name: here for target in self._targets if (here := target.here)}

    @property
    def counts(self) -> ExportCounts:
        """What was done so far."""
        targets = {target.name: (target.counts, target.address, target.problem, target.waiting) for target in self._targets}
        return ExportCounts(self._format, self._stream.counts, self._datagrams, targets)

    def close(self, seconds: float = CLOSE_S) -> None:
        """Send what waits, for some seconds at most, and end."""
        deadline = time.monotonic() + seconds
        for target in self._targets:
            target.close(max(deadline - time.monotonic(), 0))

    def _now(self) -> int:
        return int(self._clock() * SECOND)

    def _put(self, payloads: list[bytes]) -> None:
        self._datagrams += len(payloads)
        self._since += len(payloads)
        for target in self._targets:
            target.put(payloads)
