"""Source events: what is worth telling of sources of packets, said when it begins, and not all the time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

from nftui.engine.packet_source import KERNEL, PacketSource

_FIGURES = re.compile(r"\d+ s$")
TELL_S = 60.0
"""Between two events of one kind about one source."""
TOLD = (
    ("drops", "packets dropped by the kernel: a larger probe.ring, or more probe.processes, may help"),
    ("emergency", "flows ended early: more came at a time than probe.entries"),
    ("lost_packets", "packets are in no flow: there was no room for more"),
)
"""Counts that are told when they grow, and in what words."""
TOLD_OF_CONNECTIONS = (("drops", "connections ended untold, as the kernel had no room for more events"),)
"""The same of what the kernel tells."""


class SourceEvents:
    """Looks at sources, again and again, and tells what is new."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Begin.

        Args:
            tell: Makes something an event.
        """
        self._tell = tell
        self._problems: dict[str, str] = {}
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def look(self, entries: Iterable[PacketSource]) -> None:
        """Tell of problems that began or are over, and of what was lost since that was told last."""
        now = time.monotonic()
        for entry in entries:
            before, self._problems[entry.source] = self._problems.get(entry.source, ""), entry.problem
            # One that tells for how long is the same a second later.
            if _FIGURES.sub("", entry.problem) != _FIGURES.sub("", before):
                self._tell(f"probe {entry.source}: {entry.problem or _well(entry)}")
            for name, words in TOLD_OF_CONNECTIONS if entry.kind == KERNEL else TOLD:
                then, known = self._told.get((entry.source, name), (now - TELL_S, 0))
                number = getattr(entry, name)
                if number > known and now - then >= TELL_S:
                    self._told[entry.source, name] = now, number
                    self._tell(f"probe {entry.source}: {number - known:,} {words}")


def _well(entry: PacketSource) -> str:
    return "connections are told of as they should be" if entry.kind == KERNEL else "packets can be taken again"
