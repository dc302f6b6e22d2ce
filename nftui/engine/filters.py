"""The filter language: text -> syntax tree -> text. Free of any engine; `expressions` compiles a tree for Polars.

The grammar is the union of nfdump's and the field spellings of pcap, with nfdump's meaning:

    filter  := empty | expr                             empty matches everything
    expr    := expr 'or' expr | expr 'and' expr | 'not' expr | '(' expr ')' | term      not binds before and, and before or
    term    := 'any' | family | protocol [phrase value] | phrase value | value          a lone value repeats the last phrase
    phrase  := [direction] field
    value   := ['not'] [comparator] item | ['not'] 'in' '[' item ((',' | space) item)* ']'

Sugar leaves no trace in the tree: a range becomes two comparisons, `!=` a negation, `tcp port 80` a conjunction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn, TypeVar

from nftui.engine.filter_syntax import READERS, Refused, Token, address, flags, looks_like, network, shown, tokens
from nftui.engine.filter_tree import (
    ANY,
    FIELDS,
    AddressIn,
    And,
    Any_,
    Compare,
    Direction,
    Family,
    Field,
    Filter,
    Flags,
    Kind,
    Network,
    Not,
    OneOf,
    Operator,
    Or,
    all_of,
    any_of,
    text,
)
from nftui.engine.filter_words import (
    BINDING,
    CONSTANTS,
    DIRECTION_WORDS,
    DIRECTIONS,
    FIELD_WORDS,
    NEGATIONS,
    NOT_YET,
    OPERATORS,
    PACKET_LEVEL,
    PHRASES,
    QUALIFIED,
    QUALIFIERS,
    UNLISTED,
    WORDS,
)
from nftui.errors import FilterError

__all__ = [
    "ANY",
    "FIELDS",
    "AddressIn",
    "And",
    "Any_",
    "Compare",
    "Direction",
    "Family",
    "Field",
    "Filter",
    "Flags",
    "Kind",
    "Network",
    "Not",
    "OneOf",
    "Operator",
    "Or",
    "all_of",
    "any_of",
    "parse",
    "text",
]

T = TypeVar("T")

DEEPEST = 100
"""Brackets and negations within each other, so that no text exhausts the stack."""

LONGEST = 65536
"""Characters of a filter."""


def parse(text: str) -> Filter:
    """Read a filter.

    Args:
        text: A filter; empty, or nothing but comments, for `ANY`.
    Raises:
        FilterError: What the text has wrong, at which column, and what to write instead.
    """
    if len(text) > LONGEST:
        raise FilterError(text, LONGEST, "", f"the filter is longer than {LONGEST} characters")
    return _Parser(text).whole()


@dataclass(frozen=True, slots=True)
class _Phrase:
    """The part of a term before its value, which a following lone value takes again.

    Attributes:
        name: The canonical field.
        word: The field as written, `net` being read otherwise than `host`.
        directions: One, or both ends where every one of them has to match.
        every: Whether all directions must match rather than any.
        qualifier: The protocol that goes before, or ANY.
    """

    name: str
    word: str
    directions: tuple[Direction, ...]
    every: bool
    qualifier: Filter

    @property
    def field(self) -> Field:
        return FIELDS[self.name]

    def over(self, leaf: Callable[[Direction], Filter], apart: bool = False) -> Filter:
        """Return the leaf of each direction, joined; `apart` where none can't be one leaf, as of a range."""
        directions = self.directions
        if apart and directions == (Direction.NONE,) and self.field.ends:
            directions = self.field.ends
        joined = (all_of if self.every else any_of)(*(leaf(direction) for direction in directions))
        return all_of(self.qualifier, joined)


class _Parser:
    """Pratt parser over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._last: _Phrase | None = None

    # -- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _peek(self, ahead: int = 1) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _next(self) -> Token:
        token = self._token
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _accept(self, *keys: str) -> bool:
        if self._token.key in keys and self._token.kind != "end":
            self._next()
            return True
        return False

    def _fail(self, token: Token, problem: str, hint: str = "") -> NoReturn:
        raise FilterError(self._text, token.column, token.text, problem, hint)

    # -- expressions

    def whole(self) -> Filter:
        """Parse the whole text."""
        if self._token.kind == "end":
            return ANY
        found = self._expression(0)
        if self._token.kind != "end":
            self._side_by_side(self._token)
        return found

    def _side_by_side(self, token: Token) -> NoReturn:
        """Report a token that no connective joins to what stands before it."""
        if token.key == ")":
            self._fail(token, "')' closes no bracket", "remove it")
        before = self._tokens[self._at - 1]
        if self._last and before.kind != "symbol" and (token.key == "," or looks_like(self._last.field.kind, token.text)):
            more = self._peek() if token.key == "," else token
            listed = f"write {self._last.word} in [{before.bare} {more.bare}] for several"
            hint = "join the two with 'or'" if self._last.field.kind in UNLISTED else listed
            self._fail(token, f"unexpected {token.shown} after {before.shown}", hint)
        if before.key in QUALIFIERS and looks_like(Kind.PORT, token.text):
            self._fail(token, f"unexpected {token.shown} after {before.shown}", f"write {before.bare} port {token.bare}")
        self._fail(token, f"expected 'and' or 'or' before {token.shown}", "join the two terms with one of them")

    def _expression(self, binding: int) -> Filter:
        terms = self._operand()
        while (strength := BINDING.get(self._token.key, 0)) > binding:
            kind = And if strength == BINDING["and"] else Or
            parts = [terms]
            while BINDING.get(self._token.key) == strength:
                self._next()
                parts.append(self._expression(strength))
            terms = kind(tuple(parts))
        return terms

    def _operand(self) -> Filter:
        token = self._token
        if token.key in NEGATIONS or token.key == "(":
            self._depth += 1
            if self._depth > DEEPEST:
                self._fail(token, f"more than {DEEPEST} brackets and negations within each other", "write it flatter")
            self._next()
            found = self._bracketed(token) if token.key == "(" else Not(self._operand())
            self._depth -= 1
            return found
        return self._term()

    def _bracketed(self, opening: Token) -> Filter:
        found = self._expression(0)
        if self._token.kind == "end":
            self._fail(opening, "'(' is not closed", "add ')'")
        if not self._accept(")"):
            self._side_by_side(self._token)
        return found

    # -- terms

    def _term(self) -> Filter:
        token = self._token
        if self._starts_phrase():
            return self._phrase_term(ANY)
        if token.key in QUALIFIERS and self._peek().key == "[":
            self._fail(token, f"offsets into packets, {token.text}[…], are not seen in flows", "use the probe's BPF filter")
        if token.key in CONSTANTS:
            self._next()
            found = CONSTANTS[token.key]
            if token.key in QUALIFIERS and self._token.key in QUALIFIED:
                return self._phrase_term(found)
            return found
        if self._last is not None and (token.key in OPERATORS or looks_like(self._last.field.kind, token.text)):
            return self._value(self._last)
        return self._unknown(token)

    def _starts_phrase(self) -> bool:
        token = self._token
        if (token.key, self._peek().key) in PHRASES:
            return True
        return token.key in FIELD_WORDS or token.key in DIRECTION_WORDS

    def _unknown(self, token: Token) -> NoReturn:
        """Report a token that begins no term."""
        word = token.key
        if token.kind != "word" or word in BINDING:
            self._fail(token, f"expected a term, found {token.shown}", "such as port 80, ip 10.0.0.1 or proto tcp")
        if word in PACKET_LEVEL:
            self._fail(token, f"{token.shown} looks into packets, which flows do not hold", "use the probe's BPF filter")
        if word in NOT_YET:
            self._fail(token, f"{token.shown} is not supported yet")
        if looks_like(Kind.ADDRESS, word) and ("." in word or ":" in word):
            self._fail(token, f"the address {token.shown} stands alone", f"write {'net' if '/' in word else 'ip'} {token.bare}")
        if word.isdigit():
            self._fail(token, f"the number {token.shown} stands alone", f"write port {word}, or what else is {word}")
        close = get_close_matches(word[:64], WORDS, 1)
        self._fail(token, f"unknown word {token.shown}", f"did you mean {close[0]}?" if close else "such as port 80 or ip 10.0.0.1")

    def _phrase_term(self, qualifier: Filter) -> Filter:
        self._last = self._phrase(qualifier)
        return self._value(self._last)

    def _phrase(self, qualifier: Filter) -> _Phrase:
        """Read `[direction] field`."""
        start = self._token
        directions, every = self._directions()
        token = self._token
        if (name := PHRASES.get((token.key, self._peek().key), "")) != "":
            self._next()
        else:
            name = FIELD_WORDS.get(token.key, "")
        if name:
            self._next()
        elif set(directions) <= {Direction.SRC, Direction.DST} and looks_like(Kind.ADDRESS, token.text):
            name = "ip"
        elif token.key in NOT_YET or token.key in PACKET_LEVEL:
            self._unknown(token)
        else:
            fitting = [
                word for word, field in FIELD_WORDS.items() if set(directions) <= {*FIELDS[field].columns, FIELDS[field].same}
            ]
            close = get_close_matches(token.key[:64], fitting, 1) if token.kind == "word" else []
            hint = f"did you mean {close[0]}?" if close else "such as src port 80 or dst ip 10.0.0.1"
            self._fail(token, f"expected a field after {shown(self._tokens[self._at - 1].text)}, found {token.shown}", hint)
        directions = self._known(start, name, directions, every)
        return _Phrase(name, token.key if token.key in FIELD_WORDS else name, directions, every, qualifier)

    def _directions(self) -> tuple[tuple[Direction, ...], bool]:
        """Read what stands before a field: `src`, `in dst`, `src or dst`; whether all must match."""
        words: list[str] = []
        while self._token.key in DIRECTION_WORDS:
            words.append(DIRECTION_WORDS[self._next().key])
            if self._token.key in BINDING and {words[-1], self._peek().key} == {"src", "dst"}:
                every = BINDING[self._next().key] == BINDING["and"]
                self._next()
                return (Direction.SRC, Direction.DST), every
        spelling = " ".join(words)
        if spelling and spelling not in DIRECTIONS:
            self._fail(self._token, f"expected a field after {shown(spelling)}, found {self._token.shown}", "such as src port 80")
        return (DIRECTIONS.get(spelling, Direction.NONE),), False

    def _known(self, start: Token, name: str, directions: tuple[Direction, ...], every: bool) -> tuple[Direction, ...]:
        """Check that a field has the directions, and return their canonical form."""
        field = FIELDS[name]
        found = []
        for direction in directions:
            canonical = Direction.NONE if direction is field.same else direction
            if canonical not in field.columns:
                accepted = ", ".join(f"{d.value} {name}".strip() for d in field.columns)
                problem = f"{name} has no direction {direction.value}" if direction.value else f"{name} needs a direction"
                self._fail(start, problem, f"accepted: {accepted}")
            found.append(canonical)
        if not every and tuple(found) == field.ends:
            return (Direction.NONE,)
        return tuple(found)

    # -- values

    def _value(self, phrase: _Phrase) -> Filter:
        """Read what a field is compared with, from `not`, comparator or `in` on."""
        if self._accept(*NEGATIONS):
            return Not(self._compared(phrase))
        return self._compared(phrase)

    def _compared(self, phrase: _Phrase) -> Filter:
        if self._token.key == "in":
            self._next()
            return self._list(phrase)
        start = self._token
        if self._accept("!="):
            return Not(self._item(phrase, Operator.EQ, start))
        operator = OPERATORS.get(start.key) if start.kind in ("symbol", "word") else None
        if operator is not None:
            self._next()
        return self._item(phrase, operator, start)

    def _item(self, phrase: _Phrase, operator: Operator | None, start: Token) -> Filter:
        kind = phrase.field.kind
        token = self._expect_value(phrase)
        if kind is Kind.ADDRESS:
            if operator not in (None, Operator.EQ):
                self._fail(start, f"{phrase.word} takes no comparator {start.shown}", f"write {phrase.word} {token.bare}")
            found = self._network(phrase, token)
            return phrase.over(lambda direction: AddressIn((found,), direction))
        if kind is Kind.FLAGS and not token.text[:1].isdigit():
            return self._flags(phrase, operator, token)
        if (ends := self._range(phrase, token)) is not None:
            if operator not in (None, Operator.EQ):
                self._fail(start, f"a range takes no comparator {start.shown}", f"write {phrase.word} {token.bare}")
            return phrase.over(lambda direction: _between(phrase.name, ends, direction), apart=True)
        value = self._number(phrase, token, token.text)
        return phrase.over(lambda direction: Compare(phrase.name, operator or Operator.EQ, value, direction))

    def _expect_value(self, phrase: _Phrase) -> Token:
        token = self._token
        if token.kind not in ("word", "quoted"):
            hint = f"write {phrase.word} in [80 443] for several" if token.key in ("(", "[") and phrase.name == "port" else ""
            hint = hint or (f"write {phrase.word} in [… …] for several" if token.key in ("(", "[") else "")
            self._fail(token, f"expected {phrase.field.kind.value} after {shown(phrase.word)}, found {token.shown}", hint)
        return self._next()

    def _flags(self, phrase: _Phrase, operator: Operator | None, token: Token) -> Filter:
        if operator not in (None, Operator.EQ):
            self._fail(token, f"flags {operator.value if operator else ''} takes a number, found {token.shown}", "0 to 255")
        mask = self._read(token, flags, token.text)
        return phrase.over(lambda direction: Flags(mask, exact=operator is not None))

    def _network(self, phrase: _Phrase, token: Token) -> Network:
        """Read an address or network; after `net` also `A mask`, `A mask M`, and short ones."""
        if phrase.word != "net":
            return self._read(token, address, token.text)
        base, _, length = token.text.partition("/")
        if self._token.key == "mask" and "." in self._peek().text:
            self._next()
        if not length and self._token.kind == "word" and self._token.text.count(".") == 3:
            mask = self._next()
            return self._read(mask, lambda word: network(base, word), mask.text)
        return self._read(token, lambda _: network(base, length), token.text)

    def _range(self, phrase: _Phrase, token: Token) -> tuple[int, int] | None:
        """Read `80-90`; None where the token is no range."""
        kind = phrase.field.kind
        low, dash, high = token.text.partition("-")
        if kind not in (Kind.NUMBER, Kind.PORT) or not dash or not (low[:1].isdigit() and high[:1].isdigit()):
            return None
        ends = self._number(phrase, token, low), self._number(phrase, token, high)
        if ends[0] > ends[1]:
            self._fail(token, f"the range {token.shown} is upside down", f"write {high}-{low}")
        return ends

    def _list(self, phrase: _Phrase) -> Filter:
        """Read `[item item, item]`."""
        opening = self._token
        if not self._accept("["):
            self._fail(opening, f"expected '[' after in, found {opening.shown}", f"write {phrase.word} in [… …]")
        kind = phrase.field.kind
        if kind in UNLISTED:
            self._fail(opening, f"{shown(phrase.word)} takes no list", "join terms with or")
        networks: list[Network] = []
        values: list[int] = []
        ranges: list[tuple[int, int]] = []
        while not self._accept("]"):
            if self._token.kind == "end":
                self._fail(opening, "'[' is not closed", "add ']'")
            token = self._expect_value(phrase)
            if kind is Kind.ADDRESS:
                networks.append(self._network(phrase, token))
            elif (ends := self._range(phrase, token)) is not None:
                ranges.append(ends)
            else:
                values.append(self._number(phrase, token, token.text))
            self._accept(",")
        if not networks and not values and not ranges:
            self._fail(opening, "the list is empty", f"write {phrase.word} in [… …]")
        return phrase.over(lambda direction: _among(phrase.name, networks, values, ranges, direction), apart=bool(ranges))

    def _number(self, phrase: _Phrase, token: Token, word: str) -> int:
        """Read a value of the phrase's field within its limits."""
        value = self._read(token, READERS[phrase.field.kind], word)
        if not phrase.field.low <= value <= phrase.field.high:
            self._fail(token, f"{phrase.word} {shown(word)} is out of range", f"{phrase.field.low} to {phrase.field.high}")
        return value

    def _read(self, token: Token, reader: Callable[[str], T], word: str) -> T:
        try:
            return reader(word)
        except Refused as refused:
            self._fail(token, str(refused), refused.hint)


def _between(name: str, ends: tuple[int, int], direction: Direction) -> Filter:
    low, high = ends
    if low == high:
        return Compare(name, Operator.EQ, low, direction)
    return And((Compare(name, Operator.GE, low, direction), Compare(name, Operator.LE, high, direction)))


def _among(name: str, networks: list[Network], values: list[int], ranges: list[tuple[int, int]], direction: Direction) -> Filter:
    if networks:
        return AddressIn(tuple(networks), direction)
    terms = [_between(name, ends, direction) for ends in ranges]
    single = sorted(set(values))
    if len(single) == 1:
        terms.insert(0, Compare(name, Operator.EQ, single[0], direction))
    elif single:
        terms.insert(0, OneOf(name, tuple(single), direction))
    return any_of(*terms)
