"""Exporters: who sends, what was counted of each, and which templates it announced. All is bounded, as senders can be forged."""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from nftui.capture.sequences import Stream
from nftui.capture.templates import Template, from_json, to_json
from nftui.units import SECOND, address_text, rfc3339

MAX_EXPORTERS = 10_000
MAX_DOMAINS = 40_000
MAX_STREAMS = 100_000
MAX_TEMPLATES = 4096
"""Templates of one domain."""
MAX_ALL_FIELDS = 500_000
"""Fields of the templates of all domains."""
MAX_REASONS = 64
MAX_UNKNOWN_ELEMENTS = 1000
MAX_AWAITED = 1000
EVENTS = 500
EVENTS_A_MINUTE = 3
OTHER = "(other)"
PROTOCOLS = {5: "v5", 9: "v9", 10: "IPFIX"}
RATE_SECONDS = 5


@dataclass(slots=True)
class Exporter:
    """What was counted of one exporter, in the words of the status file."""

    address: str
    protocols: set[str] = field(default_factory=set)
    domains: set[int] = field(default_factory=set)
    awaited: set[int] = field(default_factory=set)
    datagrams: int = 0
    octets: int = 0
    flows: int = 0
    options_records: int = 0
    sequence_lost: int = 0
    restarts: int = 0
    templates: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    unknown_elements: Counter[str] = field(default_factory=Counter)
    clock_skew: float | None = None
    last_seen: int = 0
    arrivals: deque[tuple[int, int]] = field(default_factory=deque)
    told: Counter[str] = field(default_factory=Counter)
    told_minute: int = -1

    def arrived(self, now: int, flows: int) -> None:
        """Count flows that arrived, for the rate; `now` in microseconds."""
        second = now // SECOND
        self.flows += flows
        if self.arrivals and self.arrivals[-1][0] >= second:
            self.arrivals[-1] = (self.arrivals[-1][0], self.arrivals[-1][1] + flows)
        else:
            self.arrivals.append((second, flows))
            while self.arrivals[0][0] < second - RATE_SECONDS:
                self.arrivals.popleft()

    def flows_per_second(self, now: int) -> float:
        """Return the arrival rate over the last five whole seconds."""
        second = now // SECOND
        return sum(flows for then, flows in self.arrivals if second - RATE_SECONDS <= then < second) / RATE_SECONDS

    def status(self, now: int) -> dict[str, Any]:
        """Return the counters as JSON-able values."""
        return {
            "address": self.address,
            "domains": sorted(self.domains),
            "protocol": ", ".join(sorted(self.protocols)),
            "datagrams": self.datagrams,
            "octets": self.octets,
            "flows": self.flows,
            "options_records": self.options_records,
            "sequence_lost": self.sequence_lost,
            "templates": self.templates,
            "templates_awaited": sorted(self.awaited),
            "malformed": dict(self.malformed),
            "unread": dict(self.unread),
            "unknown_elements": dict(self.unknown_elements),
            "restarts": self.restarts,
            "clock_skew_s": self.clock_skew,
            "last_seen": rfc3339(self.last_seen) if self.last_seen else None,
            "flows_per_s": self.flows_per_second(now),
        }


@dataclass(slots=True, eq=False)
class Domain:
    """An observation domain of an exporter, and what it announced.

    Attributes:
        exporter: Whose it is.
        address: 16 octets.
        version: 9 or 10; 5 has domains (engines) without templates.
        number: The observation domain, v9 source id or v5 engine.
        templates: By id.
        system_init: Milliseconds since 1970 at which the exporter started, from options data; 0 for not known.
        said: Digests of template sets that change nothing.
    """

    exporter: Exporter
    address: bytes
    version: int
    number: int
    templates: dict[int, Template] = field(default_factory=dict)
    system_init: int = 0
    said: set[bytes] = field(default_factory=set)


class Exporters:
    """All exporters, domains and streams that a decoder has met."""

    def __init__(self) -> None:
        self.by_address: dict[bytes, Exporter] = {}
        self.domains: dict[tuple[bytes, int, int], Domain] = {}
        self.streams: dict[tuple[bytes, int, int, int], Stream] = {}
        self.fields = 0
        self.changes = 0
        self.other = Exporter(OTHER)
        self.events: deque[tuple[int, str]] = deque(maxlen=EVENTS)

    def exporter(self, address: bytes, now: int) -> Exporter:
        """Return an exporter by its 16 octets; the one for all others when there are too many."""
        found = self.by_address.get(address)
        if found is None:
            if len(self.by_address) >= MAX_EXPORTERS:
                return self.other
            found = self.by_address[address] = Exporter(address_text(address))
            self.tell(found, now, "new exporter")
        return found

    def domain(self, address: bytes, version: int, number: int, now: int) -> Domain | None:
        """Return a domain; None when there are too many exporters or domains."""
        found = self.domains.get((address, version, number))
        if found is None:
            exporter = self.exporter(address, now)
            if exporter is self.other or len(self.domains) >= MAX_DOMAINS:
                return None
            found = self.domains[address, version, number] = Domain(exporter, address, version, number)
            exporter.domains.add(number)
            exporter.protocols.add(PROTOCOLS[version])
        return found

    def stream(self, address: bytes, version: int, number: int, port: int) -> Stream:
        """Return the state of a sequence; when there are too many all begin anew."""
        key = address, version, number, port
        found = self.streams.get(key)
        if found is None:
            if len(self.streams) >= MAX_STREAMS:
                self.streams.clear()
            found = self.streams[key] = Stream()
        return found

    def learn(self, domain: Domain, template: Template) -> str:
        """Keep a template; return why not, or nothing."""
        if template.id not in domain.templates and len(domain.templates) >= MAX_TEMPLATES:
            return f"more than {MAX_TEMPLATES} templates"
        if self.fields + len(template.fields) > MAX_ALL_FIELDS:
            return f"more than {MAX_ALL_FIELDS} template fields of all exporters"
        self.forget(domain, template.id)
        self.fields += len(template.fields)
        self.changes += 1
        domain.exporter.templates += 1
        domain.templates[template.id] = template
        domain.exporter.awaited.discard(template.id)
        return ""

    def forget(self, domain: Domain, template_id: int) -> None:
        """Drop a template that is withdrawn or replaced."""
        if known := domain.templates.pop(template_id, None):
            self.fields -= len(known.fields)
            self.changes += 1
            domain.exporter.templates -= 1

    def tell(self, exporter: Exporter, now: int, text: str) -> None:
        """Keep an event worth telling, at most a few a minute for each exporter and text."""
        minute = now // (60 * SECOND)
        if minute != exporter.told_minute:
            exporter.told_minute = minute
            exporter.told.clear()
        if add(exporter.told, text, 1, MAX_REASONS) <= EVENTS_A_MINUTE:
            self.events.append((now, f"{exporter.address}: {text}"))

    def malformed(self, exporter: Exporter, now: int, reason: str, times: int) -> None:
        """Count what is malformed."""
        add(exporter.malformed, reason, times, MAX_REASONS)
        self.tell(exporter, now, f"malformed: {reason}")

    def unread(self, exporter: Exporter, now: int, reason: str, times: int) -> None:
        """Count what can't be read yet."""
        add(exporter.unread, reason, times, MAX_REASONS)
        self.tell(exporter, now, f"unread: {reason}")

    def save(self) -> dict[str, Any]:
        """Return all templates as JSON-able values."""
        return {
            "version": 1,
            "domains": [
                {
                    "exporter": domain.exporter.address,
                    "protocol": domain.version,
                    "domain": domain.number,
                    "system_init_ms": domain.system_init,
                    "templates": [to_json(template) for template in domain.templates.values()],
                }
                for domain in self.domains.values()
                if domain.templates
            ],
        }

    def load(self, saved: object, now: int) -> int:
        """Take back what `save` returned; return how many entries could not be used."""
        entries = saved.get("domains") if isinstance(saved, dict) and saved.get("version") == 1 else None
        if not isinstance(entries, list):
            return 1
        refused = 0
        for entry in entries:
            try:
                address, version = octets_of(entry["exporter"]), int(entry["protocol"])
                number, init = int(entry["domain"]), int(entry["system_init_ms"])
                templates = [from_json(value) for value in entry["templates"]]
                if version not in (9, 10) or not 0 <= number < 2**32 or not 0 <= init < 2**53:
                    raise ValueError
            except (ValueError, TypeError, KeyError, OverflowError):
                refused += 1
                continue
            domain = self.domain(address, version, number, now)
            if domain is None:
                refused += 1
                continue
            domain.system_init = init
            refused += sum(bool(self.learn(domain, template)) for template in templates)
        return refused


def add(counts: Counter[str], key: str, times: int, most: int) -> int:
    """Count in a counter of bounded size; return the new count."""
    if key not in counts and len(counts) >= most:
        key = OTHER
    counts[key] += times
    return counts[key]


def octets_of(text: object) -> bytes:
    """Return an address as 16 octets.

    Raises:
        ValueError: The text is no address.
    """
    value = ipaddress.ip_address(str(text))
    return value.packed if value.version == 6 else bytes(10) + b"\xff\xff" + value.packed
