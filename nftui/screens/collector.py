"""What the collector says of itself, read with distrust: each value may be absent, of another kind, or hostile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nftui.engine.account import STALE, dicts, dropped_packets
from nftui.printable import printable
from nftui.units import duration


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the collector wants known."""

    time: int
    text: str


@dataclass(frozen=True, slots=True)
class Collector:
    """The collector as its status describes it.

    Attributes:
        state: `running`, `starting`, `stopped`, `stale`, `failed`, `untrusted` or `none`.
        problem: Why the collector that the dashboard started ended, in its words; or why its status can't be read.
        age: Microseconds since the status was written.
        exporters: How many have sent; None where that isn't known.
        drops: Datagrams and packets lost in the kernel, and flows lost in the collector; None where that isn't known.
        events: Newest first.
        probes: What it says of each interface whose packets become flows, and of the kernel's connections.
    """

    state: str = "none"
    age: int = 0
    exporters: int | None = None
    drops: int | None = None
    events: tuple[Event, ...] = ()
    problem: str = ""
    probes: tuple[dict[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """The state in words, empty while all is well."""
        if self.state == "running":
            return ""
        words = {
            "none": "no collector",
            "starting": "collector starts",
            "stopped": "collector stopped",
            "failed": "collector failed",
            "untrusted": "status untrusted",
        }
        return words.get(self.state) or f"status stale {duration(self.age)}"


def understand(status: dict[str, Any] | None, now: int, unreadable: str = "") -> Collector:
    """Return what can be taken from a status.

    Args:
        status: As the collector wrote it.
        now: The present, microseconds since 1970.
        unreadable: Why there is none, although there is a file.
    """
    if unreadable:
        return Collector("untrusted", problem=printable(unreadable))
    if not isinstance(status, dict):
        return Collector()
    if status.get("problem"):
        return Collector("failed", problem=printable(status["problem"]))
    if status.get("starting") is True:
        return Collector("starting")
    written = next((_number(status.get(key)) for key in ("now", "time") if key in status), None)
    age = 0 if written is None else max(now - written, 0)
    exporters = status.get("exporters")
    count = len(exporters) if isinstance(exporters, (list, dict)) else _number(exporters)
    # Of very many not all may have an entry yet.
    count = max(count or 0, _number(status.get("exporters_known")) or 0) if count is not None else None
    lost = [number for key in ("drops", "queue_dropped") if (number := _number(status.get(key))) is not None]
    lost += [dropped] if (dropped := dropped_packets(status)) else []
    events = status.get("events")
    known = [
        Event(moment, printable(event.get("text", "")))
        for event in (events if isinstance(events, list) else [])[-100:]
        if isinstance(event, dict) and (moment := _number(event.get("time"))) is not None
    ]
    known.sort(key=lambda event: event.time, reverse=True)
    state = "stopped" if status.get("running") is False else "stale" if age > STALE else "running"
    return Collector(state, age, count, sum(lost) if lost else None, tuple(known), probes=tuple(dicts(status.get("probes"))))


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63 else None
