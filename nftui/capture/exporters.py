"""Exporters: who sends, what was counted of each, and what it announced. All is bounded, as senders can be forged."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nftui.capture.budgets import EACH_FIELDS, Budget
from nftui.capture.clocks import Clock, Watermark
from nftui.capture.counters import MAX_REASONS, OTHER, add_counts
from nftui.capture.health import Health
from nftui.capture.held import Held
from nftui.capture.interfaces import Interfaces
from nftui.capture.options import Tables
from nftui.capture.room import SENIOR_US, SILENT_US, Room
from nftui.capture.sequences import Stream
from nftui.capture.templates import Template
from nftui.units import SECOND, address_text

MAX_EXPORTERS = 10_000
MAX_DOMAINS = 20_000
MAX_DOMAINS_EACH = 1024
"""Observation domains of one exporter."""
MAX_STREAMS = 50_000
"""Sequences that are followed, of all exporters: one for each domain and port."""
MAX_TEMPLATES = 4096
"""Templates of one domain."""
MAX_ALL_FIELDS = 300_000
"""Fields of the templates of all domains."""
MAX_FIELDS_EACH = 50_000
"""Fields of the templates of one exporter."""
MAX_ENTRIES = 300_000
"""What is kept of all exporters beside templates: names, samplers, interfaces, sources of samples, what was counted by name."""
SPARE_ENTRIES = 100_000
"""More, for reasons and other names under which something is counted."""
MAX_SAID = 100_000
"""Template ids of all sets that are known by their digest."""
MAX_UNKNOWN_ELEMENTS = 1000
MAX_AWAITED = 1000
EVENTS = 500
EVENTS_A_MINUTE = 3
SFLOW = 1005
"""Stands for sFlow version 5 where protocols are told apart by number: 5 is NetFlow's."""
PROTOCOLS = {1: "v1", 5: "v5", 7: "v7", 9: "v9", 10: "IPFIX", SFLOW: "sFlow"}
TEMPLATED = (9, 10)
NO_TEMPLATE = "no template came"
RESTLESS_US = 600 * SECOND
"""How long an exporter whose templates changed too often comes after all others."""
LEAST_FIELDS = 16
"""Fields of new templates that an exporter may have left without any of them being read."""
SETTLED_US = 60 * SECOND
"""After which an exporter that gives flows comes before newcomers, where work is dear; one that came in a rush of newcomers has to
give them for `SENIOR_US`."""
NEW_EVENTS = 0.5, 50
"""Of new exporters that are told: a second, and at once."""


@dataclass(slots=True)
class Exporter:
    """What was counted of one exporter, in the words of the status file.

    Attributes:
        name: What the user calls it; empty for nothing.
        parts: Its observation domains, by version and number.
        awaiting: Templates that data of them waits for.
        revision: Goes up when something changes that no datagram brought.
        kept: Its entry of the status as it was made last, and `kept_at` what it had counted then (`roster`).
    """

    address: str
    name: str = ""
    protocols: set[str] = field(default_factory=set)
    domains: set[int] = field(default_factory=set)
    awaiting: int = 0
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
    health: Health = field(default_factory=Health)
    told: Counter[str] = field(default_factory=Counter)
    told_minute: int = -1
    revision: int = 0
    kept: dict[str, Any] | None = None
    kept_at: tuple[int, int, int] = (0, 0, 0)
    parts: dict[tuple[int, int], Domain] = field(default_factory=dict, repr=False, compare=False)
    entries: int = 0
    sequences: int = 0
    new_fields: Budget | None = None
    restless: int = 0
    gone: bool = False
    known_before: bool = False
    rushed: bool = False

    @property
    def parts_number(self) -> int:
        """How many observation domains it has."""
        return len(self.parts)

    def settled(self, now: int) -> bool:
        """Return whether it has given flows for a while, or was known before, and its templates stay as they are."""
        if now < self.restless:
            return False
        return self.known_before or (self.flows > 0 and now - self.known_since >= (SENIOR_US if self.rushed else SETTLED_US))

    def changes_too_often(self, now: int) -> bool:
        """Return whether no new template of it is read for the moment."""
        return self.new_fields is not None and self.new_fields.left(now) < LEAST_FIELDS

    def may_change(self, fields: int, now: int) -> bool:
        """Count fields of new templates; return whether there are no more than an exporter ever says."""
        if self.new_fields is None:
            self.new_fields = Budget(*EACH_FIELDS)
        fine = self.new_fields.left(now) >= fields
        self.new_fields.spend(fields)
        if not fine:
            self.restless = now + RESTLESS_US
        return fine

    @property
    def awaited(self) -> set[int]:
        """Ids of the templates that data waits for, in whatever domain."""
        return set[int]().union(*(domain.awaited for domain in self.parts.values())) if self.awaiting else set()


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
        awaited: Ids of the templates that its data waits for.
        streams: Its sequences, by port.
        gone: Whether it made room for others, and is only part of the present block.
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
    awaited: set[int] = field(default_factory=set)

    def wait_for(self, template: int) -> bool:
        """Take note that data waits for a template; return whether that is news."""
        if template in self.awaited or self.exporter.awaiting >= MAX_AWAITED:
            return False
        self.awaited.add(template)
        self.exporter.awaiting += 1
        return True

    def await_only(self, templates: set[int]) -> None:
        """Wait for no other templates than these any more."""
        self.exporter.awaiting -= len(self.awaited - templates)
        self.awaited &= templates

    streams: dict[int, Stream] = field(default_factory=dict)
    gone: bool = False

    def forget_said(self, template: int) -> None:
        """After a template changed, take what was said of it, and all withdrawals, for news again."""
        self.said = {digest: ids for digest, ids in self.said.items() if ids and template not in ids}

    @property
    def key(self) -> tuple[bytes, int, int]:
        """What it is known by."""
        return self.address, self.version, self.number


class Exporters:
    """All exporters, domains and streams that a decoder has met."""

    def __init__(
        self,
        configured: Callable[[bytes], int] = lambda address: 0,
        named: Callable[[bytes], str] = lambda address: "",
        *,
        live: bool = False,
    ) -> None:
        """Begin.

        Args:
            configured: Returns the sampling interval that the user states for an exporter's 16 octets, 0 for none.
            named: Returns what the user calls it, empty for nothing.
            live: Whether exporters have to make room for others that send more.
        """
        self._configured, self._named, self._live = configured, named, live
        self.held = Held()
        self.by_address: dict[bytes, Exporter] = {}
        self.domains: dict[tuple[bytes, int, int], Domain] = {}
        self.places = 0
        """Changes whenever an exporter comes or goes."""
        self.met = {False: 0, True: 0}
        """Senders of blocks, newer and settled ones, since that was last set to 0."""
        self.fields = 0
        self.entries = 0
        self.changes = 0
        self.said = 0
        self.sequences = 0
        self._swept = -1
        self.loading = False
        """Whether what is met now was known before a restart."""
        self._room = Room()
        self._new_told = Budget(*NEW_EVENTS)
        self.other = Exporter(OTHER)
        self._gone: list[Exporter] = []
        self.events: deque[tuple[int, str]] = deque(maxlen=EVENTS)

    def follow(self, configured: Callable[[bytes], int], named: Callable[[bytes], str]) -> None:
        """Take other sampling intervals and names of the user's, for the exporters that are known too."""
        self._configured, self._named = configured, named
        for domain in self.domains.values():
            domain.tables.samplers.configured = configured(domain.address)
        for address, exporter in self.by_address.items():
            exporter.name = named(address)
            exporter.revision += 1

    def exporter(self, address: bytes, now: int, seen: int = 1) -> Exporter:
        """Return an exporter by its 16 octets; the one for all others when there are too many.

        Args:
            address: 16 octets.
            now: Microseconds since 1970.
            seen: Datagrams that it has sent by now: who sends more takes the place of who sends little.
        """
        found = self.by_address.get(address)
        if found is None:
            if len(self.by_address) >= MAX_EXPORTERS and not self._make_room(now, seen):
                return self.other
            found = self.by_address[address] = Exporter(address_text(address), self._named(address), known_since=now)
            self.places += 1
            if not self.loading and (self._new_told.left(now) or not self._live):
                self._new_told.spend(1)
                self.tell(found, now, "new exporter")
        return found

    def domain(self, address: bytes, version: int, number: int, now: int) -> Domain | None:
        """Return a domain; None when there are too many exporters or domains."""
        found = self.domains.get((address, version, number))
        if found is None:
            exporter = self.exporter(address, now)
            if exporter is self.other or len(exporter.parts) >= MAX_DOMAINS_EACH:
                return None
            if len(self.domains) >= MAX_DOMAINS and not self._room.take_domains(self, exporter, now):
                return None
            found = self.domains[address, version, number] = Domain(exporter, address, version, number)
            found.tables.samplers.configured = self._configured(address)
            exporter.parts[version, number] = found
            exporter.domains.add(number)
            for template in self.held.account(found.key):
                found.wait_for(template)
            exporter.protocols.add(PROTOCOLS[version])
        return found

    def stream(self, domain: Domain | None, port: int, now: int) -> Stream:
        """Return the state of a sequence; where there is no room for it, one that begins anew each time."""
        if domain is None or domain.gone:
            return Stream()
        found = domain.streams.get(port)
        if found is None:
            found = Stream()
            if self.sequences >= MAX_STREAMS and not self._room.take_streams(self, domain.exporter, now):
                return found
            domain.streams[port] = found
            domain.exporter.sequences += 1
            self.sequences += 1
        return found

    def learn(self, domain: Domain, template: Template, now: int) -> str:
        """Keep a template; return why not, or nothing."""
        if template.id not in domain.templates and len(domain.templates) >= MAX_TEMPLATES:
            return f"more than {MAX_TEMPLATES} templates"
        if domain.exporter.template_fields + len(template.fields) > MAX_FIELDS_EACH:
            return f"more than {MAX_FIELDS_EACH} template fields"
        if domain.gone or not self._has_fields(domain.exporter, len(template.fields), now):
            return f"more than {MAX_ALL_FIELDS} template fields of all exporters"
        domain.exporter.templates_replaced += template.id in domain.templates
        self.forget(domain, template.id)
        self.fields += len(template.fields)
        self.changes += 1
        domain.exporter.templates += 1
        domain.exporter.template_fields += len(template.fields)
        domain.templates[template.id] = template
        domain.heard[template.id] = now
        domain.exporter.revision += 1
        if template.id in domain.awaited:
            domain.await_only(domain.awaited - {template.id})
            sets = self.held.account(domain.key).get(template.id, (0,))[0]
            self.tell(
                domain.exporter,
                now,
                f"{template_words(domain, template.id)} came, {sets:,} set{'' if sets == 1 else 's'} waited",
                "came",
            )
        return ""

    def forget(self, domain: Domain, template_id: int) -> None:
        """Drop a template that is withdrawn or replaced."""
        if known := domain.templates.pop(template_id, None):
            domain.heard.pop(template_id, None)
            self.fields -= len(known.fields)
            self.changes += 1
            domain.exporter.revision += 1
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
                words = f"{template_words(domain, template)} not said again for too long: expired"
                self.tell(domain.exporter, now, words, "expired")
        for key, number in self.held.expire(held_before):
            domain_of_held = self.domains.get(key)
            exporter = domain_of_held.exporter if domain_of_held else self.other
            if domain_of_held:
                domain_of_held.await_only(set(self.held.account(key)))
            self.unread(exporter, now, NO_TEMPLATE, number)

    def keep(self, exporter: Exporter, number: int, now: int, spare: int = 0) -> bool:
        """Count something that is kept beside templates, or, negative, is no more; return whether there is room for it.

        Args:
            exporter: Whose it is.
            number: Entries.
            now: Microseconds since 1970.
            spare: Entries for which there is room beyond those of all other kinds.
        """
        if exporter.gone:
            return False
        most = MAX_ENTRIES + spare
        if number > 0 and self.entries + number > most:
            self._room.take_entries(self, exporter, number, now)
            if self.entries + number > most:
                return False
        self.entries += number
        exporter.entries += number
        return True

    def adjust(self, exporter: Exporter, number: int) -> None:
        """Count what is kept beside templates by now, more or less than before."""
        if not exporter.gone:
            self.entries += number
            exporter.entries += number

    def count(self, exporter: Exporter, counts: Counter[str], key: str, times: int, most: int, now: int) -> int:
        """Count something by name, of which there is room for some names; return the new count."""
        if key not in counts and (len(counts) >= most or (key != OTHER and not self.keep(exporter, 1, now, SPARE_ENTRIES))):
            key = OTHER
        counts[key] += times
        return counts[key]

    def count_quietly(self, exporter: Exporter, reason: str, times: int, now: int) -> None:
        """Count what is not read, without telling it each time."""
        self.count(exporter, exporter.unread, reason, times, MAX_REASONS, now)

    def remember_said(self, domain: Domain, digest: bytes, ids: tuple[int, ...], most: int) -> None:
        """Know a template set by its digest from now on, as long as there is room."""
        if len(domain.said) >= most or self.said + len(ids) + 1 > MAX_SAID:
            domain.said.clear()
        if self.said + len(ids) + 1 > MAX_SAID:
            # How much is known is not followed, but found out, as it is rarely needed.
            self.said = sum(len(one) + 1 for each in self.domains.values() for one in each.said.values())
            if self.said + len(ids) + 1 > MAX_SAID:
                return
        self.said += len(ids) + 1
        domain.said[digest] = ids

    def drop(self, address: bytes) -> None:
        """Forget an exporter and all that it announced; what was counted of it stays, under `OTHER`."""
        gone = self.by_address.pop(address)
        gone.gone = True
        self.places += 1
        for part in list(gone.parts.values()):
            self.drop_domain(part)
        self.entries -= gone.entries
        self._gone.append(gone)

    def settle(self) -> None:
        """Add up what was counted of the exporters that made room; between blocks, as a block may count for them to its end."""
        for gone in self._gone:
            add_counts(self.other, gone)
        self._gone.clear()

    def drop_domain(self, domain: Domain) -> None:
        """Forget a domain and all that it announced."""
        domain.gone = True
        domain.await_only(set())
        del self.domains[domain.key]
        del domain.exporter.parts[domain.version, domain.number]
        domain.exporter.domains.discard(domain.number)
        if size := domain.tables.size:
            kept = min(size, domain.exporter.entries)
            self.entries -= kept
            domain.exporter.entries -= kept
        for template in list(domain.templates):
            self.forget(domain, template)
        domain.exporter.sequences -= len(domain.streams)
        self.sequences -= len(domain.streams)

    def _has_fields(self, exporter: Exporter, number: int, now: int) -> bool:
        while self.fields + number > MAX_ALL_FIELDS:
            if not self._room.take_fields(self, exporter, number, now):
                return False
        return True

    def _make_room(self, now: int, seen: int) -> bool:
        """Forget those that were silent for long, looked for once a minute, or the weakest; return whether there was any."""
        minute = now // (60 * SECOND)
        if minute == self._swept:
            return self._live and self._room.displace(self, now, seen)
        self._swept = minute
        silent = [address for address, one in self.by_address.items() if max(one.last_seen, one.known_since) < now - SILENT_US]
        for address in silent:
            self.drop(address)
        return bool(silent) or (self._live and self._room.displace(self, now, seen))

    def tell(self, exporter: Exporter, now: int, text: str, kind: str = "") -> None:
        """Keep an event worth telling, at most a few a minute for each exporter and kind; a kind of its own without one."""
        exporter.revision += 1
        minute = now // (60 * SECOND)
        if minute != exporter.told_minute:
            exporter.told_minute = minute
            self.keep(exporter, -len(exporter.told), now)
            exporter.told.clear()
        if self.count(exporter, exporter.told, kind or text, 1, MAX_REASONS, now) <= EVENTS_A_MINUTE:
            self.events.append((now, f"{exporter.address}: {text}"))

    def malformed(self, exporter: Exporter, now: int, reason: str, times: int) -> None:
        """Count what is malformed."""
        self.count(exporter, exporter.malformed, reason, times, MAX_REASONS, now)
        self.tell(exporter, now, f"malformed: {reason}")

    def unread(self, exporter: Exporter, now: int, reason: str, times: int) -> None:
        """Count what can't be read yet."""
        self.count(exporter, exporter.unread, reason, times, MAX_REASONS, now)
        self.tell(exporter, now, f"unread: {reason}")


def template_words(domain: Domain, template: int) -> str:
    """Return a template's name for an event."""
    return f"template {template} of domain {domain.number}"
