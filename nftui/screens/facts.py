"""Facts about one exporter and about the sockets and the store, as lines that are broken between words to fit a width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nftui.engine.account import CLOCK_S, counts, dicts, entries, instant, integer, numbers, real
from nftui.printable import cell_width, printable
from nftui.screens.collector import Event
from nftui.screens.exporters import MINUTE, since, skew, template_ids
from nftui.screens.view import time_text
from nftui.screens.widgets.painted import Part, fit
from nftui.units import SECOND, bits_per_second, duration, octets, scaled

LABEL = 12
"""Cells that a label takes."""
WORD = 60
"""Cells of a name from outside, at most."""
MANY = 200
"""Names of one kind that are shown."""
FRESH, HALF_A_DAY = 10 * MINUTE, 12 * 60 * MINUTE
"""How long an event stands out, and from when on it tells its day."""
MOMENT = "%Y-%m-%d %H:%M:%S"
COUNTED = (
    ("malformed", "malformed", "warn"), ("unread", "unread", "warn"), ("samples", "samples", "text"),
    ("discards", "dropped", "text"), ("unknown_elements", "no column", "text"),
)  # fmt: skip
"""Counts by name: key of the entry, label, style."""


@dataclass(frozen=True)
class Fact:
    """A label, and words behind it, none of which is broken: each is one or more parts."""

    label: str
    words: Sequence[Sequence[Part]]

    def lines(self, width: int) -> Iterator[list[Part]]:
        """Yield the lines that the fact takes."""
        line, used = [Part(f" {self.label:<{LABEL - 1}}", "dim")], LABEL
        for word in self.words:
            size = sum(cell_width(printable(part.text)) for part in word)
            if used > LABEL and used + size > width:
                yield line
                line, used = [Part(" " * LABEL)], LABEL
            line += [*word, Part("  ")]
            used += size + 2
        yield line


def lines_of(facts: Sequence[Fact], width: int) -> list[list[Part]]:
    """Return the lines of some facts."""
    return [line for fact in facts if fact.words for line in fact.lines(width)]


def say(text: object, style: str = "text") -> list[Part]:
    """Return one word, that may have come from outside."""
    return [Part(printable(text, WORD), style)]


class ExporterFacts:
    """What is known of one exporter, in words.

    Attributes:
        entry: Of the account.
        now: When the account was written, microseconds since 1970.
    """

    def __init__(self, entry: dict[str, Any], interfaces: Mapping[str, Any], now: int, iec: bool = False) -> None:
        self.entry, self.now, self._interfaces, self._iec = entry, now, interfaces, iec

    def health(self) -> list[Fact]:
        """Return what the exporter sent, what was lost, and how far it can be trusted."""
        return [
            Fact("sent", list(self._sent())),
            Fact("lost", list(self._lost())),
            Fact("clock", list(self._clock())),
            Fact("running", list(self._running())),
            Fact("sampling", list(self._sampling())),
            *(Fact(label, list(self._counted(key, style))) for key, label, style in COUNTED),
        ]

    def announced(self, *, listed: bool) -> list[Fact]:
        """Return its templates and interfaces; `listed` for a line to each interface."""
        facts = [fact for domain in dicts(self.entry.get("observation_domains")) for fact in self._domain(domain)]
        if others := len(numbers(self.entry.get("domains"))) - len(dicts(self.entry.get("observation_domains"))):
            facts += [Fact("domains", [say(f"{others:,} without templates")])] if others > 0 else []
        return [*facts, *self._replaced(), *self._of_interfaces(listed=listed)]

    def _number(self, key: str) -> int:
        return integer(self.entry.get(key))

    def _sent(self) -> Iterator[list[Part]]:
        yield say(f"{self._number('flows'):,} flows", "strong")
        yield say(f"{scaled(real(self.entry.get('flows_per_s')))}/s")
        yield say(f"in {self._number('datagrams'):,} datagrams")
        yield say(f"{scaled(real(self.entry.get('datagrams_per_s')))}/s")
        yield say(octets(self._number("octets"), self._iec))
        for key, words in (("reverse_flows", "of the other direction of biflows"), ("options_records", "options records")):
            if count := self._number(key):
                yield say(f"{count:,} {words}")

    def _lost(self) -> Iterator[list[Part]]:
        gaps, last = self._number("gaps"), instant(self.entry.get("last_gap"))
        lost = [(unit, count) for unit, count in counts(self.entry.get("lost")) if count]
        if not lost and not self._number("sequence_lost"):
            yield say("nothing by sequence numbers" if not gaps else "nothing in the end: what was late made good for it")
        for unit, count in lost or [("by sequence numbers", count) for count in [self._number("sequence_lost")] if count]:
            yield say(f"{count:,} {unit}", "warn")
        if gaps:
            when = f", the last {since(last, self.now)} ago at {time_text(last)}" if last else ""
            yield say(f"in {gaps:,} gap{'' if gaps == 1 else 's'}{when}")

    def _clock(self) -> Iterator[list[Part]]:
        off, correction = real(self.entry.get("clock_skew_s")), real(self.entry.get("clock_correction_s"))
        if self.entry.get("clock_skew_s") is not None or off:
            right = abs(off) < CLOCK_S
            words = "right" if right else f"{duration(int(abs(off) * SECOND))} {'behind' if off > 0 else 'ahead'}"
            yield say(words, "text" if right else "warn")
        if correction:
            yield say(f"times are corrected by {skew(correction)}")
        if late := real(self.entry.get("watermark_s")):
            yield say(f"99 of 100 flows come within {duration(int(late * SECOND))} of their start")

    def _running(self) -> Iterator[list[Part]]:
        started, restarts = instant(self.entry.get("started")), self._number("restarts")
        if started:
            yield say(f"for {since(started, self.now)}, since {time_text(started, MOMENT)}")
        if restarts:
            last = instant(self.entry.get("last_restart"))
            when = f", the last at {time_text(last, MOMENT)}" if last else ""
            style = "warn" if last > self.now - 60 * MINUTE else "text"
            yield say(f"{restarts:,} restart{'' if restarts == 1 else 's'} seen{when}", style)
        seen = instant(self.entry.get("last_seen"))
        if self.entry.get("silent") is True:
            yield say(f"silent for {since(seen, self.now)}" if seen else "silent since the collector started", "warn")

    def _sampling(self) -> Iterator[list[Part]]:
        told = entries(self.entry.get("sampling"))
        if not told:
            yield say("none told", "dim")
        for word, number in told[:MANY]:
            yield [Part(f"1 in {integer(number):,}"), Part(f" by {printable(word, 20)}", "dim")]

    def _counted(self, key: str, style: str) -> Iterator[list[Part]]:
        for name, count in counts(self.entry.get(key))[:MANY]:
            yield [Part(f"{count:,} × ", style), *say(str(name).replace("_", " ") if key == "samples" else name)]

    def _domain(self, domain: dict[str, Any]) -> Iterator[Fact]:
        ordinary, optional = template_ids(domain)
        words = [[Part(f"{integer(domain.get('number'))} ", "strong"), *say(domain.get("protocol", "?"), "dim")]]
        words += [say(one) for one in ordinary[:MANY]] or [say("no templates", "dim")]
        if optional:
            words += [[Part("options ", "dim"), Part(str(optional[0]))], *(say(one) for one in optional[1:MANY])]
        yield Fact("domain", words)
        awaited = dicts(domain.get("awaited"))
        if awaited:
            yield Fact("  awaited", [self._awaited(one) for one in awaited[:MANY]])

    def _awaited(self, one: dict[str, Any]) -> list[Part]:
        sets, until = integer(one.get("sets")), instant(one.get("until"))
        words = ": nothing held"
        if sets:
            words = f": {sets:,} set{'' if sets == 1 else 's'} held, {octets(integer(one.get('octets')), self._iec)}"
            words += f", {since(self.now, until)} left" if until else ""
        return [Part(f"! {integer(one.get('template'))}", "warn"), Part(words)]

    def _replaced(self) -> Iterator[Fact]:
        told = (
            ("templates_replaced", "replaced"), ("templates_expired", "expired"),
            ("held_back", "sets came before their template"), ("released", "of them read since"),
        )  # fmt: skip
        words = [say(f"{self._number(key):,} {what}") for key, what in told if self._number(key)]
        if words:
            yield Fact("templates", words)

    def _of_interfaces(self, *, listed: bool) -> Iterator[Fact]:
        known = [(index, one) for index, one in self._interfaces.items() if isinstance(one, dict)]
        known.sort(key=lambda pair: (len(pair[0]), pair[0]))
        words = [_interface(index, one, listed=listed) for index, one in known[:MANY]]
        if len(known) > MANY:
            words.append(say(f"{len(known) - MANY:,} more", "dim"))
        if listed:
            yield from (Fact("" if place else "interfaces", [word]) for place, word in enumerate(words))
        elif words:
            yield Fact("interfaces", words)


def _interface(index: str, one: Mapping[str, Any], *, listed: bool) -> list[Part]:
    """Return an interface as one word; in columns where it is one of a list."""
    names = "/".join(printable(one[name], 24) for name in ("name", "description") if one.get(name)) or "?"
    speed, status = integer(one.get("speed")), integer(one.get("status"))
    rates = {way: real(one.get(f"{way}_octets_per_s")) * 8 for way in ("in", "out")}
    down = "status" in one and not status & 2
    if listed:
        parts = [Part(fit(index, 6) + " ", "dim"), Part(fit(names, 24)), Part(f"{_short(speed) if speed else '-':>7} ", "accent")]
        if down:
            return [*parts, Part(" down", "warn")]
        return [
            *parts,
            *(part for way, rate in rates.items() for part in (Part(f"  {way} ", "dim"), Part(f"{_share(rate, speed):<18}"))),
        ]
    parts = [Part(f"{printable(index, 12)} ", "dim"), Part(names)]
    parts += [Part(f" {_short(speed)}", "accent")] if speed else []
    parts += [Part(" down", "warn")] if down else []
    return [*parts, *(Part(f" {way} {bits_per_second(rate)}") for way, rate in rates.items() if rate)]


def _share(rate: float, speed: int) -> str:
    """Return a rate in bit/s, and how much of the speed that is."""
    share = f" {100 * rate / speed:.0f}%" if speed > 0 and rate else ""
    return f"{bits_per_second(rate)}{share}" if rate else "-"


def sockets(listen: object) -> tuple[list[Part], list[Part]]:
    """Return where the collector listens, and what the kernel gave and dropped, for the left and the right of a line.

    Several entries of one socket, those of several processes, are added.
    """
    found = dicts(listen)[:MANY]
    if not found:
        return [], []
    left, right = [Part(" listen ", "dim")], [Part("  ")]
    where = {tuple(printable(one.get(key, "?"), 40) for key in ("address", "port", "transport")): one for one in found}
    for place, (address, port, transport) in enumerate(where):
        name = f"[{address}]:{port}" if ":" in address else port if address == "*" else f"{address}:{port}"
        protocols = "IPFIX" if transport != "udp" else "sFlow" if port == "6343" else "NetFlow IPFIX sFlow"
        left += [
            Part(("  " if place else "") + (name if transport == "udp" else f"{name}/{transport}")),
            Part(f" {protocols}", "dim"),
        ]
    streams = [dict(entries(one["connections"])) for one in found if "connections" in one]
    if streams:
        right += [Part("connections ", "dim"), Part(f"{sum(integer(one.get('open')) for one in streams):,}  ")]
    buffers = [(integer(one.get("receive_buffer")), integer(one.get("receive_buffer_asked"))) for one in found]
    if buffers := [pair for pair in buffers if any(pair)]:
        granted, asked = min(buffers)
        words = _short(granted) + (f" of {_short(asked)}" if granted < asked else "")
        right += [Part("buffer ", "dim"), Part(f"{words}  ", "warn" if granted < asked else "text")]
    drops = sum(integer(one.get("drops")) for one in found)
    return left, [*right, Part("kernel drops ", "dim"), Part(f"{scaled(drops)} ", "error" if drops else "text")]


def _short(value: int) -> str:
    return scaled(value).replace(".0", "")


def refused(value: object) -> list[Part]:
    """Return what the account says of senders that aren't allowed; nothing where there were none."""
    known = dict(entries(value))
    if not (count := integer(known.get("datagrams"))):
        return []
    parts = [Part(" not allowed ", "warn"), Part(f"{count:,} datagrams  ")]
    for address, number in counts(known.get("addresses"))[:MANY]:
        parts += [Part(f"{printable(address, 45)} "), Part(f"{number:,}  ", "dim")]
    return parts


def store(value: object, iec: bool = False) -> tuple[list[Part], list[Part]] | None:
    """Return what the account says of the store, for the left and the right of a line; None where it says nothing."""
    if not isinstance(value, dict) or not value:
        return None
    state = printable(value.get("state", "ok"), 120)
    left = [Part(" store ", "dim"), Part(f"{state}  ", "text" if state == "ok" else "error")]
    if "octets" in value:
        left.append(Part(octets(integer(value["octets"]), iec)))
    if "segments" in value:
        left.append(Part(f", {integer(value['segments']):,} segments", "dim"))
    if oldest := instant(value.get("oldest")):
        left.append(Part(f" since {time_text(oldest, '%m-%d %H:%M')}", "dim"))
    right = [Part("  ")]
    if aside := value.get("set_aside"):
        count = len(aside) if isinstance(aside, list) else integer(aside)
        right.append(Part(f"{count:,} set aside  ", "warn"))
    if "written_per_s" in value:
        right += [Part("written ", "dim"), Part(f"{octets(integer(value['written_per_s']), iec)}/s  ")]
    if "free_octets" in value:
        right += [Part("free ", "dim"), Part(f"{octets(integer(value['free_octets']), iec)} ")]
    left += [Part(f"  {printable(value[key], 60)}", "dim") for key in ("retention", "compaction") if value.get(key)]
    return left, right


def event_lines(events: Sequence[Event], height: int, now: int) -> list[list[Part]]:
    """Return the newest events, a line each: those of the last minutes stand out, and old ones tell their day."""
    return [_event_line(event, now - event.time) for event in events[:height]]


def _event_line(event: Event, age: int) -> list[Part]:
    moment = time_text(event.time, "%H:%M:%S" if age < HALF_A_DAY else "%b %d %H:%M:%S")
    if age < FRESH:
        return [Part(" ! ", "warn"), Part(f"{moment} ", "dim"), Part(event.text)]
    return [Part("   ", "dim"), Part(f"{moment} ", "dim"), Part(event.text, "dim")]
