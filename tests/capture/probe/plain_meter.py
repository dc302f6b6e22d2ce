"""A meter as one would write it first: a packet at a time, in dictionaries. What the fast one must agree with."""

from __future__ import annotations

from dataclasses import dataclass, field

ACTIVE, INACTIVE, LINGER = 60_000_000, 15_000_000, 3_000_000
FIN, RST = 1, 4


@dataclass
class Flow:
    """One flow."""

    first: int
    last: int
    packets: int = 0
    octets: int = 0
    flags: dict[int, int] = field(default_factory=dict)

    def ended(self, lanes: int) -> bool:
        """Return whether TCP said that it ends: of two directions both must have, or one reset."""
        reset = any(flags & RST for flags in self.flags.values())
        return reset or sum(1 for flags in self.flags.values() if flags & FIN) >= lanes


@dataclass(frozen=True)
class Seen:
    """One packet."""

    time: int
    key: tuple[object, ...]
    octets: int
    flags: int
    lane: int = 0


def metered(packets: list[Seen], lanes: int = 1) -> list[tuple[tuple[object, ...], Flow]]:
    """Return the flows of packets, in no order."""
    table: dict[tuple[object, ...], Flow] = {}
    done: list[tuple[tuple[object, ...], Flow]] = []
    for one in packets:
        flow = table.get(one.key)
        if flow is not None:
            patience = LINGER if flow.ended(lanes) else INACTIVE
            if one.time >= min(flow.first + ACTIVE, flow.last + patience) or one.time <= flow.first - INACTIVE:
                done.append((one.key, table.pop(one.key)))
                flow = None
        if flow is None:
            flow = table[one.key] = Flow(one.time, one.time)
        flow.first, flow.last = min(flow.first, one.time), max(flow.last, one.time)
        flow.packets += 1
        flow.octets += one.octets
        flow.flags[one.lane] = flow.flags.get(one.lane, 0) | one.flags
    return done + list(table.items())
