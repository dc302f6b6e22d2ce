"""What may stand next in a filter that is being typed.

Candidates are the words of the parser's own tables, and the parser judges them: one is offered if some continuation of it parses.
So nothing is offered that leads nowhere, and what the language learns is offered without a change here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from nftui.engine.filter_fields import FIELDS, RELATIONS, Direction, Kind
from nftui.engine.filter_includes import INCLUDE
from nftui.engine.filter_names import NAMED, RANGES
from nftui.engine.filter_outline import joins
from nftui.engine.filter_syntax import MULTIPLIERS, Token, tokens
from nftui.engine.filter_tree import (
    FLAG_LETTERS,
    AddressIn,
    And,
    Compare,
    Family,
    Filter,
    Flags,
    Named,
    Not,
    OneOf,
    Or,
    Place,
    Text,
)
from nftui.engine.filter_words import (
    BINDING,
    CONSTANTS,
    DIRECTION_WORDS,
    DIRECTIONS,
    NEGATIONS,
    PHRASES,
    QUALIFIED,
    QUALIFIERS,
    VALUES,
    WORDS,
)
from nftui.engine.filters import LONGEST, parse
from nftui.engine.names import PROTOCOLS, SERVICES
from nftui.errors import FilterError

MOST = 100
"""Completions that are offered."""
MOST_VALUES = 50
"""Of these, values that the caller knows of the data."""
LONGEST_TERM = 1024
"""Characters of one term; in a longer one nothing is offered."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Something that may stand next.

    Attributes:
        insert: What replaces the text from `start` to `end`.
        start: The column where the word that is being typed begins, or the cursor.
        end: The cursor.
        kind: `connective`, `bracket`, `direction`, `field`, `term`, `operator`, `unit`, `value`, `data` (of the caller) or `file`.
        meaning: A few words, for whoever does not know it.
    """

    insert: str
    start: int
    end: int
    kind: str
    meaning: str


Values = Callable[[str, Direction, str], Iterable[tuple[str, str]]]
"""What a caller knows of the data: the canonical field (or `@include` for names of files), the direction, and what was typed of the
value -> values, likely ones first, each with a meaning."""

MEANINGS: dict[str, str] = {
    "and": "both hold",
    "or": "one of the two holds, or both",
    "not": "it does not hold",
    "(": "what belongs together",
    ")": "end of the bracket",
    "]": "end of the list",
    "in [": "one of a list",
    "=": "equal",
    "!=": "not equal",
    "<": "less",
    ">": "more",
    "<=": "at most",
    ">=": "at least",
    "~": "has it somewhere",
    "any": "every flow",
    "src": "of the source",
    "dst": "of the destination",
    "in": "incoming",
    "out": "outgoing",
    "prev": "the AS before",
    "next": "the next hop, or the AS behind",
    "bgp": "with next: BGP's next hop",
    "bgpnext": "BGP's next hop",
    "router": "of the exporter",
    "exporter": "of the exporter",
    "first": "with seen: the start of the flow",
    "last": "with seen: the end of the flow",
    "nat": "after address translation",
    "tun": "of the tunnel around it",
    "xlate": "after address translation",
    "outer": "of the tunnel around it",
    "ingress": "where it came in",
    "egress": "where it went out",
    "min": "the least",
    "max": "the most",
    "equal": "both are the same",
    "ip": "an address",
    "host": "an address",
    "net": "a network",
    "port": "a port, by number or name",
    "proto": "the protocol of the packets",
    "flags": "TCP flags, all of the letters",
    "bytes": "octets of the flow",
    "packets": "packets of the flow",
    "flows": "flows that a record stands for",
    "duration": "milliseconds from start to end",
    "bps": "bits a second",
    "pps": "packets a second",
    "bpp": "octets a packet",
    "if": "an interface's number",
    "as": "an autonomous system",
    "seen": "a time",
    "tos": "type of service, 0 to 255",
    "icmp-type": "type of ICMP",
    "icmp-code": "code of ICMP",
    "k": "thousands",
    "m": "millions",
    "g": "thousands of millions",
    "t": "millions of millions",
    **dict(zip("FSRPAUEC", ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"), strict=True)),
}
_SPELLINGS: dict[Kind, str] = {kind: value.split()[-1] for kind, value in VALUES.items()}
"""A value of each kind."""
_ANY_VALUE = tuple(dict.fromkeys(_SPELLINGS[kind] for kind in (Kind.ADDRESS, Kind.PORT, *VALUES)))

LIKELY = frozenset(
    (
        *("https", "http", "domain", "dns", "ssh", "ntp", "smtp", "submission", "imap", "imaps", "snmp", "syslog", "ldap", "ldaps"),
        *("smb", "rdp", "mysql", "postgresql", "sip", "bgp"),
        *QUALIFIERS,
    )
)
"""Names that come before the others of their kind."""
OPERATORS = ("=", "!=", "<", ">", "<=", ">=", "~", "in [")
_DIGITS = re.compile(r"[0-9]+")
_WORD = re.compile(r"[A-Za-z0-9_:./@-]+")


def complete(text: str, cursor: int, values: Values | None = None) -> list[Completion]:
    """Return what may be typed at a place of a filter, likely things first.

    Args:
        text: The filter, as far as it is typed.
        cursor: A column of it; what stands behind is not looked at.
        values: What the caller knows of the data; called once.
    Returns:
        At most `MOST`; none where the text before the cursor is wrong already, or within quotes or a comment.
    """
    cursor = max(0, min(cursor, len(text)))
    before = text[:cursor]
    if len(before) > LONGEST or (words := _words(before)) is None:
        return []
    stem = ""
    if words and words[-1].kind == "word" and words[-1].column + len(words[-1].text) == cursor:
        stem = words.pop().text
    place = _Place(words, stem, cursor)
    known = list(dict(list(_data(place, values))[:MOST_VALUES]).items()) if values is not None else []
    found: dict[str, Completion] = {}
    for insert, kind, meaning in _candidates(place, known):
        if len(found) >= MOST:
            break
        if insert.lower().startswith(stem.lower()) and insert != stem and insert not in found:
            found[insert] = Completion(insert, cursor - len(stem), cursor, kind, meaning)
    return list(found.values())


class _Place:
    """Where the cursor stands.

    Attributes:
        stem: The word that is being typed, empty between words.
        cursor: The column.
        term: The text of the term before that word, with one space behind each of its words.
        depth: Brackets that are open.
        last: The token before the word.
    """

    def __init__(self, words: list[Token], stem: str, cursor: int) -> None:
        self.stem, self.cursor = stem, cursor
        self.depth = 0
        self.last = words[-1] if words else None
        start = 0
        for at, token in enumerate(words):
            before = words[at - 1] if at > start else None
            after = words[at + 1] if at + 1 < len(words) else None
            opens_or_closes = token.kind == "symbol" and token.key in ("(", ")")
            if opens_or_closes:
                self.depth += 1 if token.key == "(" else -1
            ends = before is not None and before.kind == "word" and before.key in ("src", "dst")
            joining = joins(before, token, after) and not ends
            negating = at == start and token.kind != "quoted" and token.key in NEGATIONS
            if joining or negating or (token.key == "(" and token.kind == "symbol"):
                start = at + 1
        self.closed = bool(words) and words[-1].kind == "symbol" and words[-1].key == ")"
        self.term = "".join(_written(token) + " " for token in words[start:]) if not self.closed else ""

    def takes(self, word: str) -> bool:
        """Return whether a word goes on with what is typed of one, and may stand here."""
        return word.lower().startswith(self.stem.lower()) and len(self.term) <= LONGEST_TERM and _goes_on(self.term + word)

    @property
    def complete(self) -> bool:
        """Whether the term might end before the word."""
        return self.closed or (bool(self.term) and len(self.term) <= LONGEST_TERM and _parses(self.term))


def _words(before: str) -> list[Token] | None:
    """Return the tokens before the cursor; None within quotes or a comment, or where there is a character that has no place."""
    try:
        marked, found = tokens(before + " x"), tokens(before)
    except FilterError:
        return None
    return found[:-1] if len(marked) > len(found) or not before.strip() else None


def _written(token: Token) -> str:
    if token.kind != "quoted":
        return token.text
    quote = '"' if "'" in token.text else "'"
    return f"{quote}{token.text}{quote}"


# -- candidates --------------------------------------------------------------------------------------------------------------


def _candidates(place: _Place, known: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield what may stand next, likely things first: insert, kind, meaning."""
    if place.last is not None and place.last.kind == "word" and place.last.key == INCLUDE:
        yield from ((name, "file", meaning) for name, meaning in _spelled(known))
        return
    if place.complete:
        yield from ((word, "connective", MEANINGS[word]) for word in ("and", "or"))
        if place.depth > 0:
            yield ")", "bracket", MEANINGS[")"]
    if place.closed or (place.term and not _goes_on(place.term.rstrip())):
        return
    wanted = _wanted(place.term) if place.term else None
    if wanted is not None:
        yield from ((value, "data", meaning) for value, meaning in _spelled(known) if place.takes(value))
        yield from ((word, "operator", MEANINGS[word]) for word in OPERATORS if place.takes(word))
    if "[" in place.term and place.takes("]"):
        yield "]", "bracket", MEANINGS["]"]
    yield from ((word, _kind(word, place), _meaning(word)) for word in _keywords(place, wanted) if place.takes(word))
    if wanted is not None:
        yield from (one for one in _values(place, *wanted) if place.takes(one[0]))
    if not place.term:
        yield "not", "connective", MEANINGS["not"]
        yield "(", "bracket", MEANINGS["("]
        if known:
            yield INCLUDE, "term", "what a file holds"


def _keywords(place: _Place, wanted: tuple[str, Direction] | None) -> list[str]:
    """Return the words of the tables that might stand next, likely ones first; the parser has not judged them."""
    if not place.term:
        return _STARTS
    keys = place.term.lower().split()
    found = {word for length in range(1, len(keys) + 1) for word in _NEXT.get(tuple(keys[-length:]), ())}
    run = _direction(keys)
    found |= {value.removeprefix(run).split()[0] for value in DIRECTIONS if run and value.startswith(run + " ")}
    if run in DIRECTIONS:
        found |= {
            phrase[0] for phrase, field in PHRASES.items() if {DIRECTIONS[run]} & {*FIELDS[field].columns, FIELDS[field].same}
        }
    if keys[-1] in ("src", "dst"):
        found |= {"or", "and"}
    if keys[-1] in ("or", "and"):
        found |= {"src", "dst"} - set(keys[-2:])
    if keys[-1] in QUALIFIERS:
        found |= QUALIFIED
    if wanted is not None:
        found.add("not")
        if FIELDS[wanted[0]].kind in (Kind.FLAGS, Kind.TEXT, Kind.ORGANISATION):
            found = {"not"}  # any other word would be a value
    return sorted(found, key=lambda word: (_STARTS.index(word) if word in _STARTS else len(_STARTS), word))


def _direction(keys: list[str]) -> str:
    """Return the words of a direction at the end of a term, as the tables spell them."""
    run: list[str] = []
    for key in reversed(keys):
        if key not in DIRECTION_WORDS:
            break
        run.insert(0, DIRECTION_WORDS[key])
    return " ".join(run)


def _following() -> dict[tuple[str, ...], set[str]]:
    """Return the words that follow a part of a phrase."""
    found: dict[tuple[str, ...], set[str]] = {}
    for words in (*PHRASES, *(tuple(name.split()) for name in RELATIONS)):
        for at in range(1, len(words)):
            found.setdefault(words[:at], set()).add(words[at])
    return found


_NEXT = _following()
_FIRST = ("src", "dst", "ip", "net", "port", "proto", "tcp", "udp", "as", "if", "bytes", "packets", "flags", "duration")
_STARTS = [*_FIRST, *sorted({*WORDS, *DIRECTION_WORDS} - set(_FIRST))]
"""Words that begin a term."""


def _kind(word: str, place: _Place) -> str:
    if word in BINDING or word in NEGATIONS:
        return "connective"
    if word in DIRECTION_WORDS:
        return "direction"
    return "term" if word in CONSTANTS and not place.term else "field"


def _meaning(word: str) -> str:
    if word in MEANINGS:
        return MEANINGS[word]
    if word in QUALIFIERS:
        return f"protocol {PROTOCOLS[word]}"
    if isinstance(family := CONSTANTS.get(word), Family):
        return f"addresses of IPv{family.version}"
    field = PHRASES.get((word,)) or next((field for phrase, field in PHRASES.items() if word in phrase), "")
    return FIELDS[field].kind.value if field in FIELDS else ""


def _values(place: _Place, field: str, direction: Direction) -> Iterator[tuple[str, str, str]]:
    """Yield the values of a field that have names, and what may end a number."""
    kind = FIELDS[field].kind
    if kind is Kind.FLAGS:
        letters = place.stem.upper() if set(place.stem.upper()) <= set(FLAG_LETTERS) else ""
        yield from ((letters + letter, "value", MEANINGS[letter]) for letter in FLAG_LETTERS if letter not in letters)
    elif kind is Kind.TIME:
        yield from (("now", "value", "this moment"), ("-15m", "value", "15 minutes ago"), ("-1h", "value", "an hour ago"))
    elif kind is Kind.NUMBER and FIELDS[field].high > 0xFFFF_FFFF and _DIGITS.fullmatch(place.stem):
        yield from ((place.stem + unit, "unit", MEANINGS[unit]) for unit in MULTIPLIERS if unit)
    names = SERVICES if kind is Kind.PORT else PROTOCOLS if kind is Kind.PROTOCOL else NAMED.get(kind, {})
    for name, number in sorted(names.items(), key=lambda item: item[0] not in LIKELY):
        yield name, "value", f"{kind.value.removeprefix('a ').removeprefix('an ')} {number}"
    for name, (low, high) in RANGES.get(kind, {}).items():
        yield name, "value", f"{low} to {high}"


def _data(place: _Place, values: Values) -> Iterator[tuple[str, str]]:
    """Yield what the caller knows of the data that may stand here."""
    if place.closed:
        return
    if not place.term or (place.last is not None and place.last.key == INCLUDE):
        yield from values(INCLUDE, Direction.NONE, place.stem)
    elif (wanted := _wanted(place.term)) is not None:
        yield from values(*wanted, place.stem)


def _spelled(known: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield values as a filter spells them, without those that it can't."""
    for value, meaning in known:
        if _WORD.fullmatch(value):
            yield value, meaning
        elif value.isprintable() and "'" not in value and value:
            yield f"'{value}'", meaning
        elif value.isprintable() and '"' not in value and value:
            yield f'"{value}"', meaning


# -- the parser's judgement --------------------------------------------------------------------------------------------------


def _parses(text: str) -> bool:
    try:
        parse(text)
    except FilterError:
        return False
    return True


def _continuations(term: str) -> Iterator[str]:
    """Yield texts of which one completes a term that has a continuation."""
    keys = term.lower().split()
    if "[" in term:
        yield "]"
        yield from (f"{value} ]" for value in _ANY_VALUE)
        return
    yield from _ANY_VALUE
    yield from (f"[ {value} ]" for value in _ANY_VALUE)
    for phrase, field in PHRASES.items():
        value = _SPELLINGS[FIELDS[field].kind]
        yield from (f"{' '.join(phrase[at:])} {value}" for at in range(1, len(phrase)) if tuple(keys[-at:]) == phrase[:at])
    for name in RELATIONS:
        words = name.split()
        yield from (" ".join(words[at:]) for at in range(1, len(words)) if keys[-at:] == words[:at])
    if keys[-1:] in (["or"], ["and"]):
        yield from ("src ip 10.0.0.1", "dst ip 10.0.0.1")
    run = _direction(keys)
    for spelling, direction in DIRECTIONS.items():
        if run and f"{spelling} ".startswith(run + " "):
            rest = spelling.removeprefix(run)
            fields = [name for name, field in FIELDS.items() if direction in {*field.columns, field.same}]
            yield from (f"{rest} {name} {_SPELLINGS[FIELDS[name].kind]}" for name in fields[:1])


@lru_cache(maxsize=8192)
def _goes_on(term: str) -> bool:
    """Return whether some continuation of a term parses."""
    try:
        parse(term)
    except FilterError as error:
        keys = term.lower().split()
        begun = any(tuple(keys[-length:]) in _NEXT for length in range(1, len(keys) + 1)) or keys[-1] in DIRECTION_WORDS
        begun |= "[" in term or (keys[-1] in BINDING and keys[-2:-1] in (["src"], ["dst"]))
        if error.column < len(term) and not begun:
            return False
        return any(_parses(f"{term} {more}") for more in _continuations(term))
    return True


@lru_cache(maxsize=1024)
def _wanted(term: str) -> tuple[str, Direction] | None:
    """Return the field, and its direction, of which a value may stand next."""
    closed = " ]" if term.count("[") > term.count("]") else ""
    for value in _ANY_VALUE:
        try:
            return _compared(parse(f"{term}{value}{closed}"))
        except FilterError:
            continue
    return None


def _compared(tree: Filter) -> tuple[str, Direction] | None:
    while isinstance(tree, (And, Or, Not)):
        tree = tree.term if isinstance(tree, Not) else tree.terms[-1]
    if isinstance(tree, (AddressIn, Named)):
        return "ip", tree.direction
    if isinstance(tree, Flags):
        return "flags", Direction.NONE
    return (tree.field, tree.direction) if isinstance(tree, (Compare, OneOf, Text, Place)) else None
