"""Notes about a filter that parses, and may yet mean something else than its author thinks. They never block.

Each says where, what, and what to write instead. What a text alone can't tell, the caller does: whether the data holds ICMP.
`filter_emptiness` explains a filter that matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

from nftui.engine.filter_fields import FIELDS, Direction, Operator
from nftui.engine.filter_outline import Clause, outline
from nftui.engine.filter_syntax import Refused, Token, network, shown, tokens
from nftui.engine.filter_tree import (
    AddressIn,
    And,
    Compare,
    Filter,
    Flags,
    Named,
    Network,
    Not,
    OneOf,
    Or,
    Place,
    text,
)
from nftui.engine.filter_words import COMPARING, DIRECTION_WORDS, NEGATIONS, NETWORKS, OPERATORS, PHRASES, QUALIFIERS, WORDS
from nftui.engine.filters import LONGEST, parse
from nftui.engine.names import PROTOCOLS, SERVICES
from nftui.errors import FilterError

MOST = 20
"""Notes about one filter."""
LONGEST_SPELLING = 120
"""Characters of a suggestion that spells a filter; a longer one is left out."""
ICMP = frozenset((PROTOCOLS["icmp"], PROTOCOLS["icmp6"]))
ENDS = ((Direction.SRC, Direction.DST), (Direction.IN, Direction.OUT))

_ADDRESS_WORDS = frozenset(phrase[0] for phrase, field in PHRASES.items() if field == "ip" and phrase[0] not in NETWORKS)
_BEFORE_VALUES = frozenset((*OPERATORS, *NEGATIONS, "!=", "in", "[", ","))
_SHORT_NET = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}(/[0-9]{1,2})?")
_RANGE = re.compile(r"[0-9][^-]*-[0-9].*")
_FRACTION = re.compile(r"[0-9]+\.[0-9]+[kmgt]?", re.IGNORECASE)
_LISTED = frozenset(("port", "as"))
"""Numbers of which nfdump takes lists, beside addresses."""
_KNOWN = frozenset((*WORDS, *(word for phrase in PHRASES for word in phrase)))


@dataclass(frozen=True, slots=True)
class Lint:
    """One note.

    Attributes:
        kind: `mixed`, `host-bits`, `icmp`, `name`, `spelling`, `packets` or `negation`.
        column: Where it stands, counted from 0.
        length: How many characters it is about.
        text: What there is to know.
        suggestion: What to write instead, or empty.
    """

    kind: str
    column: int
    length: int
    text: str
    suggestion: str = ""

    def __str__(self) -> str:
        return f"column {self.column + 1}: {self.text}" + (f"; {self.suggestion}" if self.suggestion else "")


def lints(written: str, *, icmp: bool = False, read: Callable[[str], Filter] = parse) -> list[Lint]:
    """Return the notes about a filter, in the order of their columns, at most `MOST`.

    Args:
        written: A filter; one that does not parse gets the notes that its words alone give.
        icmp: Whether the data may hold ICMP, whose type and code stand where ports do.
        read: How a filter is read.
    """
    if len(written) > LONGEST:
        return []
    try:
        words = tokens(written)
    except FilterError:
        return []
    found = [*_names(words), *_host_bits(words)]
    try:
        read(written)
        whole = outline(written, read)
    except FilterError:
        whole = None
    if whole is not None:
        found += [*_mixed(whole), *_negations(whole), *_spellings(whole)]
        if icmp:
            found += _ports(whole)
    return sorted(found, key=lambda lint: (lint.column, lint.kind))[:MOST]


def minds_icmp(written: str, read: Callable[[str], Filter] = parse) -> bool:
    """Return whether it matters to a filter that the data holds ICMP."""
    return any(lint.kind == "icmp" for lint in lints(written, icmp=True, read=read))


# -- words -------------------------------------------------------------------------------------------------------------------


def _names(words: list[Token]) -> Iterator[Lint]:
    """Note names where addresses are expected."""
    listed = wanted = False
    for token in words:
        if token.kind == "word" and token.key in _ADDRESS_WORDS:
            wanted, listed = True, False
        elif wanted and (token.key in _BEFORE_VALUES or (listed and token.key == "]")):
            listed = token.key == "[" or (listed and token.key != "]")
            wanted = token.key != "]"
        elif wanted:
            named = token.kind in ("word", "quoted") and token.key not in _KNOWN and not re.match(r"[0-9.]+(/|$)|.*:", token.text)
            if named and token.text:
                problem = f"the name {token.shown} has to be looked up in DNS"
                yield Lint("name", token.column, len(token.text), problem, "an address is sure, and found at once")
            wanted = listed


def _host_bits(words: list[Token]) -> Iterator[Lint]:
    """Note networks of which bits behind their length are set; they are cleared."""
    for at, token in enumerate(words[:-1]):
        base, slash, length = token.text.partition("/")
        if not slash and at and words[at - 1].key in NETWORKS:
            mask = words[at + 2] if words[at + 1].key == "mask" and at + 2 < len(words) else words[at + 1]
            length = mask.text if mask.text.count(".") == 3 else ""
        if not length or not (base[:1].isdigit() or ":" in base):
            continue
        try:
            meant = network(base, length)
            start = ip_address(base + ".0" * (3 - base.count(".")) if _SHORT_NET.fullmatch(base) and ":" not in base else base)
        except (Refused, ValueError):
            continue
        if start.version == meant.version and start != meant.network_address:
            problem = f"{shown(base)} has bits beyond the length {meant.prefixlen}, which are cleared"
            yield Lint("host-bits", token.column, len(token.text), problem, _instead(meant, start))


def _instead(meant: Network, start: object) -> str:
    return f"write {meant}, or ip {start} for the one address"


# -- clauses -----------------------------------------------------------------------------------------------------------------


def _mixed(whole: Clause) -> Iterator[Lint]:
    """Note `and` within `or` without brackets around it."""
    for clause in whole.all():
        if clause.kind != "or":
            continue
        bare = [part for part in clause.parts if part.kind == "and" and part.parts[0].start == part.start]
        if bare:
            first = min(clause.joints[0], bare[0].joints[0], key=lambda joint: joint.column)
            problem = "'and' binds before 'or', and there are no brackets"
            yield Lint("mixed", first.column, len(first.text), problem, _spelled("this means ", clause.filter))


def _negations(whole: Clause) -> Iterator[Lint]:
    """Note negations of a comparison that holds for either end."""
    for clause in whole.all():
        if clause.kind == "not" and clause.parts[0].kind == "term":
            leaf = clause.parts[0].filter
        elif clause.kind == "term" and isinstance(clause.filter, Not):
            leaf = clause.filter.term
        else:
            continue
        ends = _ends(leaf)
        if ends:
            assert isinstance(leaf, Leaf)
            first, second = (text(Not(replace(leaf, direction=end))) for end in ends)
            problem = f"{shown(text(Not(leaf)))} takes flows of which neither end is that"
            suggestion = f"write {first} or {second} to look at one end" if len(first) <= LONGEST_SPELLING else ""
            yield Lint("negation", clause.start, clause.end - clause.start, problem, suggestion)


Leaf = AddressIn | Compare | Named | OneOf | Place


def _ends(leaf: Filter) -> tuple[Direction, ...]:
    """Return the two ends either of which a comparison without direction may match; () where it has one column only."""
    if not isinstance(leaf, Leaf) or leaf.direction is not Direction.NONE:
        return ()
    columns = FIELDS["ip" if isinstance(leaf, (AddressIn, Named)) else leaf.field].columns
    if len(columns.get(Direction.NONE, ())) < 2:
        return ()
    return next((ends for ends in ENDS if set(ends) <= set(columns)), ())


def _ports(whole: Clause) -> Iterator[Lint]:
    """Note the first comparison of ports that also sees what ICMP has there."""
    for clause in _without_protocol(whole):
        if clause.kind == "term" and _compares_ports(clause.filter):
            spelling = text(clause.filter)
            problem = f"{shown(spelling)} looks at ICMP, too, of which type and code stand where ports do"
            suggestion = f"write proto tcp and {spelling}, or udp" if isinstance(clause.filter, (Compare, OneOf)) else ""
            yield Lint("icmp", clause.start, clause.end - clause.start, problem, suggestion or "name the protocol, too")
            return


def _without_protocol(clause: Clause) -> Iterator[Clause]:
    """Yield the clauses beside which nothing keeps ICMP out."""
    if clause.kind == "and" and any(_excludes_icmp(part.filter) for part in clause.parts):
        return
    yield clause
    for part in clause.parts:
        yield from _without_protocol(part)


def _excludes_icmp(filter: Filter) -> bool:
    """Return whether no flow of ICMP matches, as far as the words of a filter say so."""
    if isinstance(filter, And):
        return any(map(_excludes_icmp, filter.terms))
    if isinstance(filter, Or):
        return all(map(_excludes_icmp, filter.terms))
    if isinstance(filter, Flags):
        return True
    if isinstance(filter, Not):
        return _protocols(filter.term) >= ICMP
    named = _protocols(filter)
    return bool(named) and not named & ICMP


def _protocols(filter: Filter) -> frozenset[int]:
    """Return the protocols that a filter names, empty where it names none."""
    if isinstance(filter, Compare) and filter.field == "proto" and filter.operator is Operator.EQ:
        return frozenset((filter.value,))
    if isinstance(filter, OneOf) and filter.field == "proto":
        return frozenset(filter.values)
    if isinstance(filter, Or):
        named = [_protocols(term) for term in filter.terms]
        return frozenset().union(*named) if all(named) else frozenset()
    return frozenset()


def _compares_ports(filter: Filter) -> bool:
    if isinstance(filter, (And, Or)):
        return not _excludes_icmp(filter) and any(map(_compares_ports, filter.terms))
    if isinstance(filter, Not):
        return _compares_ports(filter.term)
    return isinstance(filter, (Compare, OneOf)) and filter.field == "port"


# -- spellings ---------------------------------------------------------------------------------------------------------------


def _spellings(whole: Clause) -> Iterator[Lint]:
    """Note what nfdump refuses, with the form that it takes."""
    merged: set[int] = set()
    for clause in whole.all():
        if clause.kind == "or" and (listed := _one_list(clause)) is not None:
            merged |= {part.start for part in clause.parts}
            problem = "nfdump takes no value without its field"
            yield Lint("spelling", clause.start, clause.end - clause.start, problem, f"in nfdump {listed}")
    for clause in whole.all():
        if clause.kind != "term" or not clause.words:
            continue
        if clause.words[0].key in COMPARING:
            problem = "flows have no single packets: compared is the mean size of a flow's packets"
            yield Lint("packets", clause.start, clause.end - clause.start, problem, _spelled("in nfdump ", clause.filter))
        elif (reason := _not_nfdumps(clause)) and not (clause.inherits and clause.start in merged):
            yield Lint("spelling", clause.start, clause.end - clause.start, reason, _spelled("in nfdump ", clause.filter))


def _not_nfdumps(clause: Clause) -> str:
    """Return what of a term nfdump does not know, empty where it knows all of it."""
    words, keys = clause.words, [word.key for word in clause.words]
    if clause.inherits:
        return "nfdump takes no value without its field"
    if keys[0] in QUALIFIERS or keys[0] == "ip6":
        return f"{words[0].shown} alone is pcap's spelling"
    if any(key in NEGATIONS or key == "!=" for key in keys):
        return "a negation behind the field is pcap's spelling"
    if (reason := _address_spelling(words, keys)) != "":
        return reason
    return _value_spelling(words, keys)


def _address_spelling(words: tuple[Token, ...], keys: list[str]) -> str:
    if NETWORKS & set(keys):
        if "in" in keys:
            return "nfdump takes networks in a list of ip"
        return "a short network is pcap's spelling" if _SHORT_NET.fullmatch(words[-1].text) else ""
    if _ADDRESS_WORDS & set(keys) and "in" not in keys and "/" in words[-1].text:
        return "nfdump takes a network behind net only"
    if not any(key in _KNOWN and key not in DIRECTION_WORDS for key in keys) and keys[0] in DIRECTION_WORDS:
        return "a direction without its field is pcap's spelling"
    return ""


def _value_spelling(words: tuple[Token, ...], keys: list[str]) -> str:
    if "port" in keys or "portrange" in keys:
        if "portrange" in keys or any(_RANGE.fullmatch(word.text) for word in words):
            return "a range of ports is pcap's spelling"
        named = next((word for word in words if word.key in SERVICES), None)
        if named is not None:
            return f"nfdump does not know the name {named.shown} of a port"
    elif "[" in keys and not _ADDRESS_WORDS & set(keys) and keys[keys.index("[") - 2] not in _LISTED:
        return f"nfdump takes no list of {keys[keys.index('[') - 2]}"
    if any(_FRACTION.fullmatch(word.text) for word in words):
        return "nfdump takes no fractions"
    if keys[0] == "flags" and words[-1].text != words[-1].text.upper():
        return "nfdump takes flags in capital letters"
    return ""


def _one_list(clause: Clause) -> str | None:
    """Return `port in [80 443]` for `port 80 or 443`; None where that is no list."""
    first, *others = (part.filter for part in clause.parts)
    if not all(part.inherits for part in clause.parts[1:]) or clause.parts[0].kind != "term":
        return None
    if isinstance(first, AddressIn) and all(isinstance(one, AddressIn) and one.direction is first.direction for one in others):
        networks = tuple(net for one in (first, *others) if isinstance(one, AddressIn) for net in one.networks)
        return _fitting(text(AddressIn(networks, first.direction)))
    values: list[int] = []
    for one in (first, *others):
        if not isinstance(one, Compare) or not isinstance(first, Compare) or one.operator is not Operator.EQ:
            return None
        if (one.field, one.direction) != (first.field, first.direction):
            return None
        values.append(one.value)
    assert isinstance(first, Compare)
    try:
        return _fitting(text(OneOf(first.field, tuple(values), first.direction)))
    except ValueError:
        return None


def _fitting(spelling: str) -> str | None:
    return spelling if len(spelling) <= LONGEST_SPELLING else None


def _spelled(before: str, filter: Filter) -> str:
    spelling = text(_without_lists(filter))
    return before + spelling if len(spelling) <= LONGEST_SPELLING else ""


def _without_lists(filter: Filter) -> Filter:
    """Return a filter with comparisons in place of lists that nfdump does not take."""
    if isinstance(filter, (And, Or)):
        return type(filter)(tuple(map(_without_lists, filter.terms)))
    if isinstance(filter, Not):
        return Not(_without_lists(filter.term))
    if isinstance(filter, OneOf) and filter.field not in _LISTED:
        return Or(tuple(Compare(filter.field, Operator.EQ, value, filter.direction) for value in filter.values))
    return filter
