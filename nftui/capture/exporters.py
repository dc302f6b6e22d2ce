"""Exporters: who sends, what was counted of each, and what it announced. All is bounded, as senders can be forged."""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nftui.capture.clocks import Clock, Watermark
from nftui.capture.held import Held
from nftui.capture.interfaces import Interfaces
from nftui.capture.options import Tables
from nftui.capture.sequences import Stream
from nftui.capture.templates import Template, from_json, to_json
from nftui.units import SECOND, address_text, rfc3339

MAX_EXPORTERS = 10_000
MAX_DOMAINS = 40_000
MAX_DOMAINS_EACH = 4096
"""Observation domains of one exporter."""
MAX_STREAMS = 100_000
MAX_TEMPLATES = 4096
"""Templates of one domain."""
MAX_ALL_FIELDS = 500_000
"""Fields of the templates of all domains."""
MAX_FIELDS_EACH = 100_000
"""Fields of the templates of one exporter."""
MAX_ENTRIES = 500_000
"""What is kept of all exporters beside templates: names, samplers, interfaces, sources of samples."""
MAX_REASONS = 64
MAX_UNKNOWN_ELEMENTS = 1000
MAX_AWAITED = 1000
EVENTS = 500
EVENTS_A_MINUTE = 3
SILENT_US = 3600 * SECOND
"""When there are too many exporters, those not heard for so long make room."""
OTHER = "(other)"
SFLOW = 1005
"""Stands for sFlow version 5 where protocols are told apart by number: 5 is NetFlow's."""
PROTOCOLS = {1: "v1", 5: "v5", 7: "v7", 9: "v9", 10: "IPFIX", SFLOW: "sFlow"}
TEMPLATED = (9, 10)
RATE_SECONDS = 5
NO_TEMPLATE = "no template came"


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
    reverse_flows: int = 0
    options_records: int = 0
    sequence_lost: int = 0
    restarts: int = 0
    templates: int = 0
    template_fields: int = 0
    templates_replaced: int = 0
    templates_expired: int = 0
    held_back: int = 0
    released: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    unknown_elements: Counter[str] = field(default_factory=Counter)
    samples: Counter[str] = field(default_factory=Counter)
    discards: Counter[str] = field(default_factory=Counter)
    sample_drops: dict[tuple[str, int, int], int] = field(default_factory=dict)
    sampling: dict[str, int] = field(default_factory=dict)
    interfaces: Interfaces = field(default_factory=Interfaces)
    watermark: Watermark = field(default_factory=Watermark)
    clock_skew: float | None = None
    clock_correction: float = 0.0
    known_since: int = 0
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
        watermark = self.watermark.microseconds()
        return {
            "address": self.address,
            "domains": sorted(self.domains),
            "protocol": ", ".join(sorted(self.protocols)),
            "datagrams": self.datagrams,
            "octets": self.octets,
            "flows": self.flows,
            "reverse_flows": self.reverse_flows,
            "options_records": self.options_records,
            "sequence_lost": self.sequence_lost,
            "templates": self.templates,
            "templates_awaited": sorted(self.awaited),
            "templates_replaced": self.templates_replaced,
            "templates_expired": self.templates_expired,
            "held_back": self.held_back,
            "released": self.released,
            "malformed": dict(self.malformed),
            "unread": dict(self.unread),
            "unknown_elements": dict(self.unknown_elements),
            "samples": dict(self.samples),
            "discards": dict(self.discards),
            "sampling": dict(self.sampling),
            "restarts": self.restarts,
            "clock_skew_s": self.clock_skew,
            "clock_correction_s": self.clock_correction,
            "watermark_s": None if watermark is None else round(watermark / SECOND, 3),
            "last_seen": rfc3339(self.last_seen) if self.last_seen else None,
            "flows_per_s": self.flows_per_second(now),
        }


@dataclass(slots=True, eq=False)
class Domain:
    """An observation domain of an exporter, and what it announced.

    Attributes:
        exporter: Whose it is.
        address: 16 octets.
        version: A key of `PROTOCOLS`; only 9 and 10 have templates.
        number: The observation domain, v9 source id, v5 engine or sFlow sub-agent.
        templates: By id.
        heard: When each template was last said, microseconds since 1970.
        tables: What options data said.
        clock: How far its clock is off.
        system_init: Milliseconds since 1970 at which the exporter started, from options data; 0 for not known.
        said: Digests of template sets that change nothing, and the templates that each repeats.
        lasting: Whether it came over a transport with sessions, where templates are said once (RFC 7011, section 8.4).
    """

    exporter: Exporter
    address: bytes
    version: int
    number: int
    templates: dict[int, Template] = field(default_factory=dict)
    heard: dict[int, int] = field(default_factory=dict)
    tables: Tables = field(default_factory=Tables)
    clock: Clock = field(default_factory=Clock)
    system_init: int = 0
    said: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    lasting: bool = False

    def forget_said(self, template: int) -> None:
        """After a template changed, take what was said of it, and all withdrawals, for news again."""
        self.said = {digest: ids for digest, ids in self.said.items() if ids and template not in ids}

    @property
    def key(self) -> tuple[bytes, int, int]:
        """What it is known by."""
        return self.address, self.version, self.number


class Exporters:
    """All exporters, domains and streams that a decoder has met."""

    def __init__(self, configured: Callable[[bytes], int] = lambda address: 0) -> None:
        """Begin.

        Args:
            configured: Returns the sampling interval that the user states for an exporter's 16 octets, 0 for none.
        """
        self._configured = configured
        self.held = Held()
        self.by_address: dict[bytes, Exporter] = {}
        self.domains: dict[tuple[bytes, int, int], Domain] = {}
        self.streams: dict[tuple[bytes, int, int, int], Stream] = {}
        self.fields = 0
        self.entries = 0
        self.changes = 0
        self._swept = -1
        self.other = Exporter(OTHER)
        self.events: deque[tuple[int, str]] = deque(maxlen=EVENTS)

    def follow(self, configured: Callable[[bytes], int]) -> None:
        """Take other sampling intervals of the user's, for the exporters that are known too."""
        self._configured = configured
        for domain in self.domains.values():
            domain.tables.samplers.configured = configured(domain.address)

    def exporter(self, address: bytes, now: int) -> Exporter:
        """Return an exporter by its 16 octets; the one for all others when there are too many."""
        found = self.by_address.get(address)
        if found is None:
            if len(self.by_address) >= MAX_EXPORTERS and not self._make_room(now):
                return self.other
            found = self.by_address[address] = Exporter(address_text(address), known_since=now)
            self.tell(found, now, "new exporter")
        return found

    def domain(self, address: bytes, version: int, number: int, now: int) -> Domain | None:
        """Return a domain; None when there are too many exporters or domains."""
        found = self.domains.get((address, version, number))
        if found is None:
            exporter = self.exporter(address, now)
            if exporter is self.other or len(self.domains) >= MAX_DOMAINS or len(exporter.domains) >= MAX_DOMAINS_EACH:
                return None
            found = self.domains[address, version, number] = Domain(exporter, address, version, number)
            found.tables.samplers.configured = self._configured(address)
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

    def learn(self, domain: Domain, template: Template, now: int) -> str:
        """Keep a template; return why not, or nothing."""
        if template.id not in domain.templates and len(domain.templates) >= MAX_TEMPLATES:
            return f"more than {MAX_TEMPLATES} templates"
        if domain.exporter.template_fields + len(template.fields) > MAX_FIELDS_EACH:
            return f"more than {MAX_FIELDS_EACH} template fields"
        if self.fields + len(template.fields) > MAX_ALL_FIELDS:
            return f"more than {MAX_ALL_FIELDS} template fields of all exporters"
        domain.exporter.templates_replaced += template.id in domain.templates
        self.forget(domain, template.id)
        self.fields += len(template.fields)
        self.changes += 1
        domain.exporter.templates += 1
        domain.exporter.template_fields += len(template.fields)
        domain.templates[template.id] = template
        domain.heard[template.id] = now
        domain.exporter.awaited.discard(template.id)
        return ""

    def forget(self, domain: Domain, template_id: int) -> None:
        """Drop a template that is withdrawn or replaced."""
        if known := domain.templates.pop(template_id, None):
            domain.heard.pop(template_id, None)
            self.fields -= len(known.fields)
            self.changes += 1
            domain.exporter.templates -= 1
            domain.exporter.template_fields -= len(known.fields)

    def expire(self, now: int, lifetime: int | None, held_before: int) -> None:
        """Forget what is too old.

        Args:
            now: Microseconds since 1970.
            lifetime: Microseconds after which a template that was not said again is none (RFC 7011, section 8.4); None for never.
            held_before: Data sets received before this wait no longer for their template.
        """
        for domain in self.domains.values() if lifetime is not None else ():
            old = [] if domain.lasting else [one for one, heard in domain.heard.items() if heard < now - (lifetime or 0)]
            for template in old:
                self.forget(domain, template)
                domain.forget_said(template)
                domain.exporter.templates_expired += 1
                self.tell(domain.exporter, now, "template not said again for too long: expired")
        for key, number in self.held.expire(held_before):
            domain_of_held = self.domains.get(key)
            exporter = domain_of_held.exporter if domain_of_held else self.other
            self.unread(exporter, now, NO_TEMPLATE, number)

    @property
    def full(self) -> bool:
        """Whether no more may be kept beside templates."""
        return self.entries >= MAX_ENTRIES

    def _make_room(self, now: int) -> bool:
        """Forget the exporters that were silent for long; return whether there was any. Asked for at most once a minute."""
        minute = now // (60 * SECOND)
        if minute == self._swept:
            return False
        self._swept = minute
        silent = [address for address, one in self.by_address.items() if max(one.last_seen, one.known_since) < now - SILENT_US]
        for address in silent:
            gone_one = self.by_address.pop(address)
            self.entries -= len(gone_one.interfaces.by_index) + len(gone_one.sample_drops)
        gone = set(silent)
        for key in [key for key in self.domains if key[0] in gone]:
            domain = self.domains.pop(key)
            self.entries -= domain.tables.size
            for template in list(domain.templates):
                self.forget(domain, template)
        for stream in [stream for stream in self.streams if stream[0] in gone]:
            del self.streams[stream]
        return bool(silent)

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
        """Return what exporters announced as JSON-able values."""
        return {
            "version": 1,
            "domains": [
                {
                    "exporter": domain.exporter.address,
                    "protocol": domain.version,
                    "domain": domain.number,
                    "system_init_ms": domain.system_init,
                    "templates": [to_json(template) for template in domain.templates.values()],
                    "options": domain.tables.to_json(),
                    "lasting": domain.lasting,
                }
                for domain in self.domains.values()
                if domain.templates or domain.tables
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
                if version not in TEMPLATED or not 0 <= number < 2**32 or not 0 <= init < 2**53:
                    raise ValueError
            except (ValueError, TypeError, KeyError, OverflowError):
                refused += 1
                continue
            domain = self.domain(address, version, number, now)
            if domain is None:
                refused += 1
                continue
            domain.system_init, domain.lasting = init, entry.get("lasting") is True
            refused += sum(bool(self.learn(domain, template, now)) for template in templates)
            try:
                domain.tables.load(entry.get("options") or Tables().to_json())
            except (ValueError, TypeError, KeyError):
                refused += 1
            self.entries += domain.tables.size
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
