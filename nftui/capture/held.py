"""Held: data sets that came before their template, kept until it comes. Bounded by octets and by time.

Each is kept as a datagram of its own: the header of its message and the one set, so that it is read like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nftui.units import SECOND

MAX_OCTETS = 32 << 20
"""Held of all exporters together."""
MAX_SHARE = MAX_OCTETS // 4
"""Held of one observation domain, so that one exporter can't take all the room."""
MAX_AGE = 3600 * SECOND
"""Exporters repeat their templates, at the latest, every half hour."""
_OVERHEAD = 200

Key = tuple[bytes, int, int]
"""Exporter address of 16 octets, protocol version, observation domain."""


class HeldSet(NamedTuple):
    """One data set that waits.

    Attributes:
        received: Microseconds since 1970.
        port: The exporter's.
        datagram: Header of the message, and the set.
    """

    received: int
    port: int
    datagram: bytes


@dataclass
class Held:
    """All data sets that wait.

    Attributes:
        octets: That they take.
        changes: How often something was added.
        taken: How often something was taken out.
    """

    octets: int = 0
    changes: int = 0
    taken: int = 0
    _waiting: dict[Key, dict[int, list[HeldSet]]] = field(default_factory=dict)
    _shares: dict[Key, int] = field(default_factory=dict)
    _sizes: dict[tuple[Key, int], int] = field(default_factory=dict)

    def hold(self, key: Key, template: int, one: HeldSet) -> bool:
        """Keep a data set; return whether there was room."""
        size = len(one.datagram) + _OVERHEAD
        share = self._shares.get(key, 0)
        if self.octets + size > MAX_OCTETS or share + size > MAX_SHARE:
            return False
        self._waiting.setdefault(key, {}).setdefault(template, []).append(one)
        self._shares[key] = share + size
        self._sizes[key, template] = self._sizes.get((key, template), 0) + size
        self.octets += size
        self.changes += 1
        return True

    def release(self, key: Key, template: int) -> list[HeldSet]:
        """Take out what waits for a template, in the order of arrival."""
        sets = self._waiting.get(key, {}).pop(template, [])
        self._forget(key, template, sets)
        return sets

    def expire(self, before: int) -> list[tuple[Key, int]]:
        """Drop what was received before a time; return the domains that lost something, and how many sets."""
        lost: dict[Key, int] = {}
        for key in list(self._waiting):
            for template, sets in list(self._waiting[key].items()):
                old = [one for one in sets if one.received < before]
                if old:
                    kept = [one for one in sets if one.received >= before]
                    self._waiting[key][template] = kept
                    if not kept:
                        del self._waiting[key][template]
                    self._forget(key, template, old)
                    lost[key] = lost.get(key, 0) + len(old)
        return list(lost.items())

    def account(self, key: Key) -> dict[int, tuple[int, int, int]]:
        """Return what waits of a domain by template id: number of sets, octets that they take, when the first was received."""
        waiting = self._waiting.get(key, {})
        return {template: (len(sets), self._sizes[key, template], sets[0].received) for template, sets in waiting.items()}

    def save(self) -> list[Any]:
        """Return all that waits as plain values, octets among them."""
        return [
            [*key, template, *one]
            for key, templates in self._waiting.items()
            for template, sets in templates.items()
            for one in sets
        ]

    def load(self, saved: Iterable[Any]) -> int:
        """Take back what `save` returned; return how many entries were not usable."""
        refused = 0
        for entry in saved:
            try:
                address, version, domain, template, received, port, datagram = entry
                key = bytes(address), int(version), int(domain)
                fine = len(key[0]) == 16 and version in (9, 10) and 256 <= template < 2**16 and 0 <= port < 2**16
                one = HeldSet(int(received), int(port), bytes(datagram))
            except (TypeError, ValueError):
                refused += 1
                continue
            refused += not (fine and 20 <= len(one.datagram) < 2**16 and self.hold(key, template, one))
        return refused

    def _forget(self, key: Key, template: int, sets: list[HeldSet]) -> None:
        if not sets:
            return
        size = sum(len(one.datagram) + _OVERHEAD for one in sets)
        self.octets -= size
        self._shares[key] -= size
        self._sizes[key, template] -= size
        self.taken += 1
        if not self._waiting.get(key):
            self._waiting.pop(key, None)
        if not self._shares[key]:
            del self._shares[key]
        if not self._sizes[key, template]:
            del self._sizes[key, template]
