"""Room: whose place, templates or tables go when there is no room for those of another.

A place goes from the exporter that never gave a flow, or sends least; those that have been there for long keep theirs. Of
templates, domains and tables the exporter with most has to give, as long as the other has less: whoever takes all he can keeps no
one out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nftui.capture.options import Tables
from nftui.capture.sampling import Samplers
from nftui.units import SECOND

if TYPE_CHECKING:
    # `exporters` asks here.
    from nftui.capture.exporters import Exporter, Exporters

SENIOR_US = 600 * SECOND
"""An exporter that gives flows and has been there for so long keeps its place, as long as it isn't silent."""
SENIOR_SHARE = 0.75
"""Of all places: the others are open to newcomers, however long their holders have been there."""
SILENT_US = 3600 * SECOND
"""Exporters that were not heard for so long make room first."""
BATCH = 625
"""Candidates that are kept in mind, so that looking at all exporters is rare."""
PAUSE_US = SECOND // 4
"""Between two such looks."""
MOST = 64
"""Exporters with most of something that are kept in mind between two such looks."""
YOUNG_US = 5 * SECOND
"""For so long an exporter may be without a flow."""


class Room:
    """Chooses who has to make room; looks at all exporters at most four times a second."""

    def __init__(self) -> None:
        self._weak: list[tuple[float, bytes]] = []
        self._weak_at = 0
        self._largest: dict[str, tuple[int, list[Exporter]]] = {}

    def displace(self, exporters: Exporters, now: int, seen: int) -> bool:
        """Have the weakest exporter make room for a newcomer; return whether there was a weaker one.

        Args:
            exporters: All of them.
            now: Microseconds since 1970.
            seen: How many datagrams the newcomer has sent lately.
        """
        by_address = exporters.by_address
        if not self._weak and not 0 <= now - self._weak_at < PAUSE_US:
            self._weak_at, self._weak = now, _weak(by_address, now)
        while self._weak:
            rate, address = self._weak[-1]
            if address in by_address and rate >= seen:
                return False
            self._weak.pop()
            if address in by_address:
                exporters.drop(address)
                return True
        return False

    def take_domains(self, exporters: Exporters, exporter: Exporter, now: int) -> bool:
        """Take half of the domains of the exporter that has most of them; return whether that has more than the one who asks."""
        largest = self._largest_of("parts_number", exporters, now, len(exporter.parts) + 1)
        if largest is None:
            return False
        for part in list(largest.parts.values())[: (len(largest.parts) + 1) // 2]:
            exporters.drop_domain(part)
        return True

    def take_streams(self, exporters: Exporters, exporter: Exporter, now: int) -> bool:
        """Let the sequences of the exporter that has most of them begin anew; return whether it has more than the one who asks."""
        largest = self._largest_of("sequences", exporters, now, exporter.sequences)
        if largest is None:
            return False
        for part in largest.parts.values():
            part.streams.clear()
        exporters.sequences -= largest.sequences
        largest.sequences = 0
        return True

    def take_fields(self, exporters: Exporters, exporter: Exporter, number: int, now: int) -> bool:
        """Take the older half of the templates of the exporter that has most; return whether it has more than the one who asks."""
        largest = self._largest_of("template_fields", exporters, now, exporter.template_fields + number)
        if largest is None:
            return False
        goal = largest.template_fields // 2
        heard = [(when, template, part) for part in largest.parts.values() for template, when in part.heard.items()]
        for _, template, part in sorted(heard, key=lambda one: one[:2]):
            if largest.template_fields <= goal:
                break
            exporters.forget(part, template)
            part.forget_said(template)
        return True

    def take_entries(self, exporters: Exporters, exporter: Exporter, number: int, now: int) -> None:
        """Have the exporter that has most forget all that is kept of it beside templates, but for its interval as a whole."""
        largest = self._largest_of("entries", exporters, now, exporter.entries + number)
        if largest is None:
            return
        for part in largest.parts.values():
            samplers = part.tables.samplers
            part.tables = Tables(Samplers(samplers.configured, samplers.default))
        largest.unknown_elements.clear()
        largest.sample_drops.clear()
        largest.interfaces.by_index.clear()
        largest.discards.clear()
        named = len(largest.malformed) + len(largest.unread) + len(largest.told)
        exporters.adjust(largest, named - largest.entries)
        exporters.changes += 1

    def _largest_of(self, what: str, exporters: Exporters, now: int, more_than: int) -> Exporter | None:
        """Return an exporter that has more of something than that, or None.

        Args:
            what: The attribute that counts it.
            exporters: All of them.
            now: Microseconds since 1970.
            more_than: What the one who asks would have.
        """
        at, some = self._largest.get(what, (0, []))
        if not 0 <= now - at < PAUSE_US:
            some = sorted(exporters.by_address.values(), key=lambda one: int(getattr(one, what)), reverse=True)[:MOST]
            self._largest[what] = now, some
        best = max(some, key=lambda one: int(getattr(one, what)), default=None)
        return best if best is not None and not best.gone and getattr(best, what) > more_than else None


def _weak(by_address: dict[bytes, Exporter], now: int) -> list[tuple[float, bytes]]:
    """Return the exporters that may have to go, the weakest last, with the datagrams that each sends in a second."""
    seniors: list[tuple[int, bytes]] = []
    found: list[tuple[float, bytes]] = []
    for address, one in by_address.items():
        heard, age = max(one.last_seen, one.known_since), max(now - one.known_since, 0)
        if heard < now - SILENT_US or (not one.flows and age > YOUNG_US):
            found.append((-1.0, address))
        elif one.flows and age > SENIOR_US:
            seniors.append((one.known_since, address))
        else:
            found.append((one.datagrams * SECOND / max(age, SECOND), address))
    if (beyond := len(seniors) - int(len(by_address) * SENIOR_SHARE)) > 0:
        seniors.sort()
        for _, address in seniors[-beyond:]:
            one = by_address[address]
            found.append((one.datagrams * SECOND / max(now - one.known_since, SECOND), address))
    found.sort(reverse=True)
    return found[-BATCH:]
