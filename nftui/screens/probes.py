"""Probes: what the collector says of interfaces whose packets it makes flows of itself, and of the kernel's connection tracking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nftui.engine.account import instant, integer, real
from nftui.engine.one_sided import Sidedness
from nftui.printable import printable
from nftui.screens.exporters import KERNEL, NOW, since
from nftui.screens.facts import Fact, say
from nftui.screens.widgets.painted import Part
from nftui.units import address_octets, bits_per_second, octets, scaled

FULL = 0.9
"""Share of the places for flows from which on it is pointed out."""
LONGEST = 200
"""Cells of a filter or a problem."""
WHERE_TO_CAPTURE = (
    "where to capture",
    "  mirror port   of a switch: both directions (rx and tx), promiscuous",
    "  router        on itself, at the interface towards your hosts, before NAT",
    "  access point  on itself, or on the wire behind it",
    "  this host     what it sends and receives, and nothing of others",
    "  one-sided     TCP without answers: the mirror has one direction only,",
    "                or the way back passes elsewhere: half of it is not seen",
)
"""What one has to know of the place: a heading, then lines."""


def term(entry: dict[str, Any]) -> str:
    """Return the filter for a probe's flows; empty where it tells no address."""
    address = str(entry.get("address", ""))
    if address_octets(address) is None:
        return ""
    return f"exporter ip {address} and observation domain id {integer(entry.get('domain'))}"


def awaited(entries: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Return what to say while probes have told of no flow yet: what is wrong, or how far they are, and when flows come."""
    names = [printable(one.get("source") or "-", 15) for one in entries]
    problems = [(name, one) for name, one in zip(names, entries, strict=True) if one.get("problem")]
    if len(problems) == len(entries):
        name, entry = problems[0]
        return (f"no flows yet: probe {name}:", printable(entry["problem"], LONGEST), "7 has more of it")
    packets, followed = (sum(integer(one.get(key)) for one in entries) for key in ("packets", "used"))
    if not packets:
        return (f"no flows yet: no packets on {', '.join(names)} so far", "7, then p, chooses other interfaces")
    told = [(integer(one.get("inactive")), integer(one.get("active"))) for one in entries if integer(one.get("active"))]
    first = f"no flows yet: {scaled(packets)} packets on {', '.join(names)}, of {followed:,} flows that still go on"
    if not told:
        return (first,)
    inactive, active = max(told)
    return (first, f"a flow is told of {inactive}s after its last packet, and every {active}s while it goes on")


def sidedness(entry: dict[str, Any], known: tuple[Sidedness, ...]) -> Sidedness | None:
    """Return what was found of the directions that a probe or an exporter sees; None where that is well, or not known."""
    address, domain = address_octets(str(entry.get("address", ""))), entry.get("domain")
    return next(
        (one for one in known if one.one_sided and one.exporter == address and domain in (None, one.domain)),
        None,
    )


def direction(found: Sidedness | None) -> Fact:
    """Return the words for a view of one direction only."""
    if found is None:
        return Fact("direction", [])
    words = [
        say("one-sided: only one direction is seen", "warn"),
        say(f"{found.unanswered:,} of {found.connections:,} TCP connections without answer"),
        say("mirror both directions, or capture elsewhere: ?", "dim"),
    ]
    return Fact("direction", words)


class ProbeFacts:
    """What is known of one probe, in words.

    Attributes:
        entry: Of the account.
        now: When the account was written, microseconds since 1970.
    """

    def __init__(self, entry: dict[str, Any], now: int, iec: bool = False, sided: Sidedness | None = None) -> None:
        self.entry, self.now, self._iec, self._sided = entry, now, iec, sided

    def facts(self) -> list[Fact]:
        """Return all, what needs a look first."""
        told = [Fact("problem", list(self._problem())), direction(self._sided)]
        if self.entry.get("kind") == KERNEL:
            return [
                *told,
                Fact("flows", list(self._flows())),
                Fact("table", list(self._table("connections"))),
                Fact("lost", list(self._dropped("events"))),
                Fact("told", list(self._told_of_connections())),
            ]
        return [
            *told,
            Fact("packets", list(self._packets())),
            Fact("flows", list(self._flows())),
            Fact("dropped", list(self._dropped("packets"))),
            Fact("table", list(self._table("flows"))),
            Fact("left out", list(self._left_out())),
            Fact("told", list(self._told())),
            Fact("interface", list(self._interface())),
            Fact("filter", list(self._filter())),
        ]

    def _number(self, key: str) -> int:
        return integer(self.entry.get(key))

    def _problem(self) -> Iterator[list[Part]]:
        if self.entry.get("problem"):
            yield [Part(printable(self.entry["problem"], LONGEST), "error")]

    def _packets(self) -> Iterator[list[Part]]:
        yield say(f"{scaled(real(self.entry.get('packets_per_s')))} packets/s", "strong")
        yield say(bits_per_second(8 * real(self.entry.get("octets_per_s"))))
        yield say(f"{self._number('packets'):,} since the start")
        yield say(octets(self._number("octets"), self._iec))
        seen = instant(self.entry.get("last_seen"))
        if 0 < seen < self.now - NOW:
            yield say(f"the last {since(seen, self.now)} ago", "dim")
        elif not seen and not self.entry.get("problem"):
            yield say("none so far", "warn")

    def _flows(self) -> Iterator[list[Part]]:
        yield say(f"{self._number('flows'):,} flows")
        yield say(f"{scaled(real(self.entry.get('flows_per_s')))}/s")

    def _dropped(self, what: str) -> Iterator[list[Part]]:
        drops, last = self._number("drops"), instant(self.entry.get("last_drop"))
        if not drops:
            yield say("nothing")
            return
        of = drops + self._number("packets")
        share = f", {100 * drops / of:.2g} %" if what == "packets" and of > 0 else ""
        yield say(f"{drops:,} {what} in the kernel{share}", "warn")
        if last:
            yield say(f"the last {since(last, self.now)} ago")

    def _table(self, what: str) -> Iterator[list[Part]]:
        used, most = self._number("used"), self._number("entries")
        if most > 0:
            yield say(f"{used:,} of {most:,} {what}, {100 * used / most:.0f} %", "warn" if used > FULL * most else "text")
        for key, words in (("emergency", "ended early: no room"), ("lost_packets", "packets in no flow: no room")):
            if count := self._number(key):
                yield say(f"{count:,} {words}", "warn")

    def _left_out(self) -> Iterator[list[Part]]:
        if (interval := self._number("sampling")) > 1:
            yield say(f"1 in {interval:,} looked at")
            yield say(f"{self._number('sampled_out'):,} not")
        for key, words in (("not_ip", "not IP"), ("cut", "cut within headers"), ("fragments", "fragments")):
            if count := self._number(key):
                yield say(f"{count:,} {words}")

    def _told(self) -> Iterator[list[Part]]:
        yield say(f"{self._number('inactive')}s after a flow's last packet")
        yield say(f"every {self._number('active')}s while it goes on")

    def _told_of_connections(self) -> Iterator[list[Part]]:
        yield say("once the kernel forgets a connection")
        yield say(f"every {self._number('active')}s while it goes on")

    def _interface(self) -> Iterator[list[Part]]:
        if link := self.entry.get("link"):
            yield say(link)
        yield [Part("number ", "dim"), Part(str(self._number("interface") or "-"))]
        if self.entry.get("promiscuous") is True:
            yield say("promiscuous")
        if ring := self._number("ring"):
            yield say(f"ring {octets(ring, self._iec)}")

    def _filter(self) -> Iterator[list[Part]]:
        yield [Part(printable(self.entry.get("bpf") or "all packets", LONGEST), "text" if self.entry.get("bpf") else "dim")]
        if words := term(self.entry):
            yield [Part("its flows: ", "dim"), *say(words)]
