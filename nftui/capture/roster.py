"""The roster: what the status says of each exporter, made anew only where something changed, and bounded for ten thousand of them.

The status is made while nothing is decoded. So an entry is kept until its exporter sends again, and of those that changed only so
many are made anew at a time; the others follow at the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from nftui.capture.counters import OTHER
from nftui.capture.exporters import MAX_UNKNOWN_ELEMENTS, PROTOCOLS, TEMPLATED, Domain, Exporter, Exporters
from nftui.capture.health import QUIET_US
from nftui.units import SECOND, duration, rfc3339

ANEW = 800
"""Entries made anew at a time: some twenty milliseconds."""
FULL = 1000
"""With more exporters than this, entries leave out what is zero, empty or not known."""
COUNTS = 100_000
"""Counts by name (reasons, elements, templates) that a status has of all exporters together; each has its share."""
LEAST_SHARE = 4
MAX_DOMAINS = 64
"""Observation domains of one exporter that are described."""
MANY = 5
"""If more exporters than this fall silent at a time, that is told in one event."""


class Roster:
    """The entries of all exporters."""

    def __init__(self, exporters: Exporters, held_age: int | None) -> None:
        """Begin.

        Args:
            exporters: Those that are described.
            held_age: Microseconds that data waits for its template; None for as long as there is room.
        """
        self._exporters, self._held_age = exporters, held_age
        self._next = 0

    def entries(self, now: int, *, hurry: bool) -> list[dict[str, Any]]:
        """Return an entry for each exporter as JSON-able values, which nobody changes any more.

        Args:
            now: Microseconds since 1970.
            hurry: Whether entries beyond `ANEW` may be those of before, and short beyond `FULL`.
        """
        every = list(self._exporters.by_address.values())
        self._watch_silence(every, now)
        if self._exporters.other.datagrams:
            every.append(self._exporters.other)
        changed = [place for place, one in enumerate(every) if one.kept is None or _moved(one)]
        if hurry and len(changed) > ANEW:
            # From where the last look ended, so that each has its turn; those that are new come first.
            first = [place for place in changed if every[place].kept is None]
            behind = [place for place in changed if place >= self._next and every[place].kept is not None]
            before = [place for place in changed if place < self._next and every[place].kept is not None]
            changed = [*first, *behind, *before][:ANEW]
            self._next = changed[-1] + 1
        share = max(min(COUNTS // max(len(every), 1), MAX_UNKNOWN_ELEMENTS), LEAST_SHARE)
        for place in changed:
            one = every[place]
            one.kept = self._entry(one, now, share, short=hurry and len(every) > FULL)
            one.kept_at = one.datagrams, one.flows, one.revision
        return [one.kept for one in every if one.kept is not None]

    def _watch_silence(self, every: list[Exporter], now: int) -> None:
        """Tell of exporters that fell silent, and of those that are heard again."""
        before = now - QUIET_US
        fallen = [one for one in every if not one.health.silent and max(one.last_seen, one.known_since) < before]
        back = [one for one in every if one.health.silent and one.last_seen >= before]
        for changed, words in ((fallen, f"silent: nothing came for {duration(QUIET_US)}"), (back, "heard again")):
            for one in changed:
                one.health.silent = changed is fallen
                one.revision += 1
            if len(changed) > MANY:
                self._exporters.events.append((now, f"{len(changed):,} exporters {words}"))
            else:
                for one in changed:
                    self._exporters.tell(one, now, words, "silent")

    def _entry(self, one: Exporter, now: int, share: int, *, short: bool) -> dict[str, Any]:
        health = one.health
        watermark = one.watermark.microseconds()
        flows, datagrams = health.rates(now, one.flows, one.datagrams, one.known_since)
        domains = self._domains(one, share)
        entry = {
            "address": one.address,
            "name": one.name,
            "domains": sorted(one.domains)[:share],
            "protocol": ", ".join(sorted(one.protocols)),
            "datagrams": one.datagrams,
            "octets": one.octets,
            "flows": one.flows,
            "reverse_flows": one.reverse_flows,
            "options_records": one.options_records,
            "sequence_lost": one.sequence_lost,
            "lost": {unit: number for unit, number in health.lost.items() if number},
            "gaps": health.gaps,
            "last_gap": _time(health.gap_at),
            "templates": one.templates,
            "templates_awaited": sorted(one.awaited)[:share],
            "templates_replaced": one.templates_replaced,
            "templates_expired": one.templates_expired,
            "held_back": one.held_back,
            "released": one.released,
            "held_octets": sum(held["octets"] for domain in domains for held in domain["awaited"]),
            "observation_domains": domains,
            "malformed": _most(one.malformed, share),
            "unread": _most(one.unread, share),
            "unknown_elements": _most(one.unknown_elements, share),
            "samples": dict(one.samples),
            "discards": _most(one.discards, share),
            "sampling": dict(one.sampling),
            "restarts": one.restarts,
            "last_restart": _time(health.restarted_at),
            "started": _started(one),
            "clock_skew_s": one.clock_skew,
            "clock_correction_s": one.clock_correction,
            "watermark_s": None if watermark is None else round(watermark / SECOND, 3),
            "silent": health.silent,
            "known_since": _time(one.known_since),
            "last_seen": _time(one.last_seen),
            "datagrams_per_s": datagrams,
            "flows_per_s": flows,
        }
        return {key: value for key, value in entry.items() if value} if short else entry

    def _domains(self, one: Exporter, share: int) -> list[dict[str, Any]]:
        """Describe the observation domains that have templates, or wait for some."""
        described: list[dict[str, Any]] = []
        for domain in one.parts.values():
            if domain.version in TEMPLATED and len(described) < min(MAX_DOMAINS, share):
                described.append(self._domain(domain, share))
        return described

    def _domain(self, domain: Domain, share: int) -> dict[str, Any]:
        held = self._exporters.held.account(domain.key) if domain.awaited else {}
        awaited: list[dict[str, Any]] = []
        for identity in sorted(domain.awaited)[:share]:
            sets, octets, first = held.get(identity, (0, 0, 0))
            until = None if self._held_age is None or not sets else rfc3339(first + self._held_age)
            awaited.append({"template": identity, "sets": sets, "octets": octets, "until": until})
        return {
            "number": domain.number,
            "protocol": PROTOCOLS[domain.version],
            "templates": sorted(one for one, template in domain.templates.items() if not template.options)[:share],
            "options_templates": sorted(one for one, template in domain.templates.items() if template.options)[:share],
            "awaited": awaited,
            "clock_skew_s": None if domain.clock.skew is None else round(domain.clock.skew / SECOND, 3),
        }


def _moved(one: Exporter) -> bool:
    """Tell whether an entry is not what it would be if it were made now."""
    kept = one.kept or {}
    moving = kept.get("flows_per_s") or kept.get("datagrams_per_s")
    return bool(moving) or one.kept_at != (one.datagrams, one.flows, one.revision)


def _most(counts: Counter[str], share: int) -> Mapping[str, int]:
    """Return the highest counts, those of all others together as the last."""
    if len(counts) <= share:
        return dict(counts)
    ordered = counts.most_common()
    rest = dict(ordered[share - 1 :])
    return {**dict(ordered[: share - 1]), OTHER: sum(rest.values()) + _pop(ordered[: share - 1])}


def _pop(some: Iterable[tuple[str, int]]) -> int:
    return next((number for name, number in some if name == OTHER), 0)


def _started(one: Exporter) -> str | None:
    """Return when an exporter started, to the second: by its headers, else by what it told in options data."""
    at = one.health.started
    if not at:
        told = [domain for domain in one.parts.values() if domain.system_init]
        at = max((domain.system_init * 1000 + domain.clock.correction for domain in told), default=0)
    return _time(round(at / SECOND) * SECOND)


def _time(microseconds: int) -> str | None:
    return rfc3339(microseconds) if microseconds else None
