"""Where the clauses of a filter stand in its text: the tree again, with columns, for whoever explains a filter to its author.

It is found from the connectives and brackets alone, and each clause between them is read by `parse`; so it knows no field and no
word of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nftui.engine.filter_syntax import Token, tokens
from nftui.engine.filter_tree import And, Filter, Not, Or, any_of
from nftui.engine.filter_words import BINDING, DIRECTION_WORDS, NEGATIONS
from nftui.engine.filters import parse
from nftui.errors import FilterError


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a filter that is a filter itself.

    Attributes:
        kind: `term`, `and`, `or` or `not`.
        start: The column where it begins.
        end: The column behind it.
        filter: What it means.
        parts: The clauses that it joins; those of brackets are kept apart, though the tree is flat.
        words: The tokens of a term.
        joints: Of `and` and `or`, each connective.
        inherits: Whether a term is a lone value, which takes its field from one before.
    """

    kind: str
    start: int
    end: int
    filter: Filter
    parts: tuple[Clause, ...] = ()
    words: tuple[Token, ...] = ()
    joints: tuple[Token, ...] = ()
    inherits: bool = False

    def all(self) -> Iterator[Clause]:
        """Yield the clause and all clauses within it, outer ones first."""
        yield self
        for part in self.parts:
            yield from part.all()


def outline(text: str, read: Callable[[str], Filter] = parse) -> Clause | None:
    """Return the clauses of a filter; None for an empty one.

    Args:
        text: A filter that parses.
        read: How a term is read.
    Raises:
        FilterError: A term does not parse; the column is within the term.
    """
    found = tokens(text)
    return _Outliner(text, found, read).whole() if len(found) > 1 else None


def joins(before: Token | None, token: Token, after: Token | None) -> bool:
    """Return whether `and` or `or` joins terms, rather than the two ends in `src or dst port`."""
    if token.kind == "quoted" or token.key not in BINDING:
        return False
    ends = {DIRECTION_WORDS.get(one.key) for one in (before, after) if one is not None and one.kind == "word"}
    return ends != {"src", "dst"}


class _Outliner:
    """Reads connectives and brackets as the parser does."""

    def __init__(self, text: str, found: list[Token], read: Callable[[str], Filter]) -> None:
        self._text, self._tokens, self._read = text, found, read
        self._at = 0
        self._phrase = ""

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def whole(self) -> Clause:
        """Read all of it."""
        return self._expression(0)

    def _strength(self) -> int:
        return BINDING.get(self._token.key, 0) if self._token.kind != "quoted" else 0

    def _expression(self, binding: int) -> Clause:
        found = self._operand()
        while (strength := self._strength()) > binding:
            kind = "and" if strength == BINDING["and"] else "or"
            parts, joints = [found], []
            while self._strength() == strength:
                joints.append(self._token)
                self._at += 1
                parts.append(self._expression(strength))
            terms = tuple(part.filter for part in parts)
            joined = And(terms) if kind == "and" else Or(terms)
            found = Clause(kind, parts[0].start, parts[-1].end, joined, tuple(parts), joints=tuple(joints))
        return found

    def _operand(self) -> Clause:
        token = self._token
        if token.kind != "quoted" and token.key in NEGATIONS:
            self._at += 1
            inner = self._operand()
            return Clause("not", token.column, inner.end, Not(inner.filter), (inner,))
        if token.key == "(" and token.kind == "symbol":
            self._at += 1
            inner = self._expression(0)
            end = self._token.column + 1
            self._at = min(self._at + 1, len(self._tokens) - 1)
            return Clause(inner.kind, token.column, end, inner.filter, inner.parts, inner.words, inner.joints, inner.inherits)
        return self._term()

    def _term(self) -> Clause:
        first = self._at
        while not self._ends_term(first):
            self._at += 1
        words = tuple(self._tokens[first : self._at])
        if not words:
            self._read(self._text[: self._token.column])  # says what is missing
            return Clause("term", self._token.column, self._token.column, self._read(""))
        start, end = words[0].column, _end(words[-1])
        text = self._text[start:end]
        inherits, found = self._filter(text)
        if not inherits:
            self._phrase = _single(words, text)
        return Clause("term", start, end, found, words=words, inherits=inherits)

    def _ends_term(self, first: int) -> bool:
        token = self._token
        if token.kind in ("end", "quoted"):
            return token.kind == "end"
        before = self._tokens[self._at - 1] if self._at > first else None
        after = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        return token.key in ("(", ")") or joins(before, token, after)

    def _filter(self, text: str) -> tuple[bool, Filter]:
        """Return whether a term takes its field from one before, and its meaning."""
        try:
            return False, self._read(text)
        except FilterError:
            if not self._phrase:
                raise
        before, both = self._read(self._phrase), self._read(f"({self._phrase}) or {text}")
        assert isinstance(both, Or)
        return True, any_of(*both.terms[len(before.terms) if isinstance(before, Or) else 1 :])


def _single(words: tuple[Token, ...], text: str) -> str:
    """Return a term with the first value of its list alone: its phrase is all that a lone value takes."""
    keys = [word.key for word in words]
    at = keys.index("[") if "[" in keys else 0
    if at < 2 or keys[at - 1] != "in":
        return text
    start = words[0].column
    return text[: words[at - 1].column - start] + text[words[at + 1].column - start : _end(words[at + 1]) - start]


def _end(token: Token) -> int:
    return token.column + len(token.text) + (2 if token.kind == "quoted" else 0)
