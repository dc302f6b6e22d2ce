"""What stands behind a field in a filter: `value` of the grammar in `filters`, of one phrase, as leaves of the tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nftui.engine.filter_cursor import Cursor
from nftui.engine.filter_fields import FIELDS, RELATIONS, Direction, Field, Kind, Operator
from nftui.engine.filter_names import RANGES
from nftui.engine.filter_syntax import READERS, Token, address, country, flags, host, network, shown, time, words
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
    Place,
    Relation,
    Text,
    all_of,
    any_of,
)
from nftui.engine.filter_words import BINDING, NEGATIONS, NETWORKS, NUMBERS_OF, OPERATORS, SLIPS, UNLISTED, VALUES

NO_NAMES = {*BINDING, *NEGATIONS, "any", "in", "tor"}
"""Words that are no names of hosts, unless in quotes."""
NAMED_DIRECTIONS = {Direction.NONE, Direction.SRC, Direction.DST}
"""Directions in which a name may stand for addresses."""
EXAMPLES = {"port": "80 443", "geo": "DE FR", "ip": "192.0.2.1 198.51.100.0/24", "as": "64496 64511"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """The part of a term before its value, which a following lone value takes again.

    Attributes:
        name: The canonical field.
        word: The field as written, `net` being read otherwise than `host`.
        directions: One, or both ends where every one of them has to match.
        every: Whether all directions must match rather than any.
        qualifier: The protocol that goes before, or ANY.
        operator: The comparator that the word has in it, as `less`.
    """

    name: str
    word: str
    directions: tuple[Direction, ...]
    every: bool
    qualifier: Filter
    operator: Operator | None = None

    @property
    def field(self) -> Field:
        """The field that `name` stands for."""
        return FIELDS[self.name]

    @property
    def listed(self) -> str:
        """How several values are written."""
        return f"write {self.word} in [{EXAMPLES.get(self.name, '… …')}] for several"

    def over(self, leaf: Callable[[Direction], Filter], apart: bool = False) -> Filter:
        """Return the leaf of each direction, joined; `apart` where the sides of a direction can't be one leaf, as of a range."""
        directions = self.directions
        if apart and len(directions) == 1:
            directions = self.field.ends.get(directions[0], directions)
        joined = (all_of if self.every else any_of)(*(leaf(direction) for direction in directions))
        return all_of(self.qualifier, joined)


class Values(Cursor):
    """Reads values."""

    def __init__(self, text: str, now: int) -> None:
        super().__init__(text)
        self._now = now

    def _value(self, phrase: Phrase) -> Filter:
        """Read what a field is compared with, from `not`, comparator or `in` on."""
        if self._accept(*NEGATIONS):
            return Not(self._compared(phrase))
        return self._compared(phrase)

    def _compared(self, phrase: Phrase) -> Filter:
        if (relation := self._relation(phrase)) is not None:
            return relation
        # `geo IN` is India.
        if self._token.key == "in" and (phrase.field.kind is not Kind.COUNTRY or self._peek().key == "["):
            self._next()
            return self._list(phrase)
        start = self._token
        if phrase.operator is not None:
            if start.key in OPERATORS or start.key in ("!=", "~"):
                self._fail(start, f"{shown(phrase.word)} takes no comparator", f"write {phrase.word} 128, or bpp > 128")
            return self._item(phrase, phrase.operator, start)
        if self._accept("!="):
            return Not(self._item(phrase, Operator.EQ, start))
        # `geo LT` is Lithuania, as GT and GE are countries, too.
        worded = start.kind == "word" and phrase.field.kind is not Kind.COUNTRY
        operator = OPERATORS.get(start.key) if start.kind == "symbol" or worded else None
        if operator is not None:
            self._next()
        return self._item(phrase, operator, start)

    def _relation(self, phrase: Phrase) -> Filter | None:
        """Read the rest of a relation: `equal` after ttl, `in nat pblock` after port."""
        for name, directions in RELATIONS.items():
            field, *rest = name.split()
            if phrase.name != field:
                continue
            short = [word for word in rest if word != "nat"]
            for spelling in (rest, short):
                if list(self._keys(len(spelling))) == spelling:
                    if not set(phrase.directions) <= directions.keys():
                        self._fail(self._token, f"{name!r} has no direction {phrase.directions[0].value}", f"write {name}")
                    self._next(len(spelling))
                    return phrase.over(partial(Relation, name))
        return None

    def _item(self, phrase: Phrase, operator: Operator | None, start: Token) -> Filter:
        kind = phrase.field.kind
        if kind in (Kind.TEXT, Kind.ORGANISATION):
            return self._words(phrase, operator, start)
        if start.key == "~":
            self._fail(start, f"{shown(phrase.word)} is no text to look in", f"write {phrase.word} = …")
        token = self._expect_value(phrase)
        if kind in (Kind.ADDRESS, Kind.COUNTRY):
            if operator not in (None, Operator.EQ):
                self._fail(start, f"{phrase.word} takes no comparator {start.shown}", f"write {phrase.word} {token.bare}")
            if kind is Kind.COUNTRY:
                code = self._read(token, country, token.text)
                return phrase.over(lambda direction: Place(phrase.name, (code,), direction))
            found = self._address(phrase, token)
            return phrase.over(partial(_addressed, found))
        if kind is Kind.FLAGS and not token.text[:1].isdigit():
            return self._flags(phrase, operator, token)
        if (ends := self._range(phrase, token)) is not None:
            if operator not in (None, Operator.EQ):
                self._fail(start, f"a range takes no comparator {start.shown}", f"write {phrase.word} {token.bare}")
            return phrase.over(lambda direction: _between(phrase.name, ends, direction), apart=True)
        value = self._number(phrase, token, token.text)
        return phrase.over(lambda direction: Compare(phrase.name, operator or Operator.EQ, value, direction))

    def _expect_value(self, phrase: Phrase) -> Token:
        token = self._token
        if token.kind not in ("word", "quoted") or token.key in BINDING:
            kind = phrase.field.kind
            hint = f"such as {phrase.directions[0].value} {phrase.word} {VALUES[kind]}".replace("  ", " ")
            if token.key in ("(", "[") and kind not in UNLISTED:
                hint = phrase.listed
            elif (meant := SLIPS.get((self._before.key, token.key))) is not None:
                hint = f"write {meant}"
            self._fail(token, f"expected {kind.value} after {shown(phrase.word)}, found {token.shown}", hint)
        return self._next()

    def _words(self, phrase: Phrase, operator: Operator | None, start: Token) -> Filter:
        contains = start.key == "~"
        if contains:
            self._next()
        elif operator not in (None, Operator.EQ):
            self._fail(start, f"{phrase.word} takes no comparator {start.shown}", f"write {phrase.word} ~ 'part of it'")
        token = self._expect_value(phrase)
        value = self._read(token, words, token.text)
        if phrase.field.kind is Kind.ORGANISATION:
            return phrase.over(lambda direction: Place(phrase.name, (value,), direction, contains))
        return phrase.over(lambda direction: Text(phrase.name, value, direction, contains))

    def _flags(self, phrase: Phrase, operator: Operator | None, token: Token) -> Filter:
        if operator not in (None, Operator.EQ):
            self._fail(token, f"flags {operator.value if operator else ''} takes a number, found {token.shown}", "0 to 255")
        mask = self._read(token, flags, token.text)
        return phrase.over(lambda direction: Flags(mask, exact=operator is not None))

    def _address(self, phrase: Phrase, token: Token) -> Network | str:
        """Read an address, a network, or a name that stands for some; names are of hosts as flows see them."""
        is_word = token.kind == "word" and token.key in NO_NAMES
        if (name := host(token.text)) is not None and not is_word and set(phrase.directions) <= NAMED_DIRECTIONS:
            return name
        return self._network(phrase, token)

    def _network(self, phrase: Phrase, token: Token) -> Network:
        """Read an address or network; after `net` also `A mask`, `A mask M`, and short ones."""
        if phrase.word not in NETWORKS:
            return self._read(token, address, token.text)
        base, _, length = token.text.partition("/")
        if self._token.key == "mask" and "." in self._peek().text:
            self._next()
        if not length and self._token.kind == "word" and self._token.text.count(".") == 3:
            mask = self._next()
            return self._read(mask, lambda word: network(base, word), mask.text)
        return self._read(token, lambda _: network(base, length), token.text)

    def _range(self, phrase: Phrase, token: Token) -> tuple[int, int] | None:
        """Read `80-90`, or a name that stands for a range; None where the token is neither."""
        kind = phrase.field.kind
        if (named := RANGES.get(kind, {}).get(token.text.lower())) is not None:
            return named
        low, dash, high = token.text.partition("-")
        if kind in (Kind.MAC, Kind.TIME, Kind.FLAGS) or not dash or not (low[:1].isdigit() and high[:1].isdigit()):
            return None
        ends = self._number(phrase, token, low), self._number(phrase, token, high)
        if ends[0] > ends[1]:
            self._fail(token, f"the range {token.shown} is upside down", f"write {high}-{low}")
        return ends

    def _list(self, phrase: Phrase) -> Filter:
        """Read `[item item, item]`."""
        opening = self._token
        if not self._accept("["):
            self._fail(opening, f"expected '[' after in, found {opening.shown}", phrase.listed.removesuffix(" for several"))
        kind = phrase.field.kind
        if kind in UNLISTED or phrase.operator is not None:
            self._fail(opening, f"{shown(phrase.word)} takes no list", "join terms with or")
        addresses: list[Network | str] = []
        countries: list[str] = []
        values: list[int] = []
        ranges: list[tuple[int, int]] = []
        while not self._accept("]"):
            if self._token.kind == "end":
                self._fail(opening, "'[' is not closed", "add ']'")
            if self._token.key in BINDING:
                self._fail(self._token, f"'[' is not closed before {self._token.shown}", "add ']'")
            token = self._expect_value(phrase)
            if kind is Kind.ADDRESS:
                addresses.append(self._address(phrase, token))
            elif kind is Kind.COUNTRY:
                countries.append(self._read(token, country, token.text))
            elif (ends := self._range(phrase, token)) is not None:
                ranges.append(ends)
            else:
                values.append(self._number(phrase, token, token.text))
            self._accept(",")
        if not (addresses or countries or values or ranges):
            self._fail(opening, "the list is empty", phrase.listed.removesuffix(" for several"))
        if countries:
            return phrase.over(lambda direction: Place(phrase.name, tuple(countries), direction))
        if addresses:
            return phrase.over(partial(_any_addressed, addresses))
        return phrase.over(lambda direction: _among(phrase.name, values, ranges, direction), apart=bool(ranges))

    def _number(self, phrase: Phrase, token: Token, word: str) -> int:
        """Read a value of the phrase's field within its limits."""
        kind = phrase.field.kind
        reader = partial(time, now=self._now) if kind is Kind.TIME else READERS[kind]
        value = self._read(token, reader, word, NUMBERS_OF.get(phrase.name, ""))
        if not phrase.field.low <= value <= phrase.field.high:
            self._fail(token, f"{phrase.word} {shown(word)} is out of range", f"{phrase.field.low} to {phrase.field.high}")
        return value


def _between(name: str, ends: tuple[int, int], direction: Direction) -> Filter:
    low, high = ends
    if low == high:
        return Compare(name, Operator.EQ, low, direction)
    return And((Compare(name, Operator.GE, low, direction), Compare(name, Operator.LE, high, direction)))


def _addressed(found: Network | str, direction: Direction) -> Filter:
    return Named(found, direction) if isinstance(found, str) else AddressIn((found,), direction)


def _any_addressed(found: list[Network | str], direction: Direction) -> Filter:
    networks = tuple(one for one in found if not isinstance(one, str))
    names = [Named(one, direction) for one in dict.fromkeys(found) if isinstance(one, str)]
    return any_of(*([AddressIn(networks, direction)] if networks else []), *names)


def _among(name: str, values: list[int], ranges: list[tuple[int, int]], direction: Direction) -> Filter:
    terms = [_between(name, ends, direction) for ends in ranges]
    single = sorted(set(values))
    if len(single) == 1:
        terms.insert(0, Compare(name, Operator.EQ, single[0], direction))
    elif single:
        terms.insert(0, OneOf(name, tuple(single), direction))
    return any_of(*terms)
