"""The filter language: text -> syntax tree -> text. Free of any engine; `expressions` compiles a tree for Polars.

The grammar is the union of nfdump's and the field spellings of pcap, with nfdump's meaning:

    filter   := empty | expr                             empty matches everything
    expr     := expr 'or' expr | expr 'and' expr | 'not' expr | '(' expr ')' | term     not binds before and, and before or
    term     := 'any' | family | protocol [phrase value] | phrase value | value         a lone value repeats the last phrase
    phrase   := [direction] field
    value    := ['not'] [comparator] item | ['not'] 'in' '[' item ((',' | space) item)* ']' | relation
    relation := 'equal' | 'in' ['nat'] 'pblock'

Here stands `expr`, a Pratt parser whose table is `BINDING`; `term` and `phrase` are in `filter_terms`, `value` in `filter_values`,
what the words mean in `filter_words`, and what the fields are in `filter_fields`. Sugar leaves no trace in the tree: a range
becomes two comparisons, `!=` a negation, `tcp port 80` a conjunction, `-15m` a time.
"""

from __future__ import annotations

from time import time_ns

from nftui.engine.filter_fields import FIELDS, RELATIONS, Direction, Field, Kind, Operator
from nftui.engine.filter_terms import Terms
from nftui.engine.filter_tree import (
    ANY,
    AddressIn,
    And,
    Any_,
    Compare,
    Family,
    Filter,
    Flags,
    KnownAs,
    Named,
    Network,
    Not,
    OneOf,
    Or,
    Place,
    Relation,
    Text,
    all_of,
    any_of,
    text,
)
from nftui.engine.filter_words import BINDING, NEGATIONS
from nftui.errors import FilterError

__all__ = [
    "ANY",
    "FIELDS",
    "RELATIONS",
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
    "KnownAs",
    "Named",
    "Network",
    "Not",
    "OneOf",
    "Operator",
    "Or",
    "Place",
    "Relation",
    "Text",
    "all_of",
    "any_of",
    "parse",
    "text",
]

DEEPEST = 100
"""Brackets and negations within each other, so that no text exhausts the stack."""

LONGEST = 65536
"""Characters of a filter."""


def parse(text: str, now: int | None = None) -> Filter:
    """Read a filter.

    Args:
        text: A filter; empty, or nothing but comments, for `ANY`.
        now: From when relative times count, microseconds since 1970; None for this moment. The tree has the times themselves.
    Raises:
        FilterError: What the text has wrong, at which column, and what to write instead.
    """
    if len(text) > LONGEST:
        raise FilterError(text, LONGEST, "", f"the filter is longer than {LONGEST} characters")
    return _Parser(text, time_ns() // 1000 if now is None else now).whole()


class _Parser(Terms):
    """Pratt parser over the tokens of one text."""

    def __init__(self, text: str, now: int) -> None:
        super().__init__(text, now)
        self._depth = 0

    def whole(self) -> Filter:
        """Parse the whole text."""
        if self._token.kind == "end":
            return ANY
        found = self._expression(0)
        if self._token.kind != "end":
            self._side_by_side(self._token)
        return found

    def _expression(self, binding: int) -> Filter:
        """Read operands as long as what joins them binds more than `binding`."""
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
            found = self._bracketed() if token.key == "(" else Not(self._operand())
            self._depth -= 1
            return found
        return self._term()

    def _bracketed(self) -> Filter:
        opening = self._before
        found = self._expression(0)
        if self._token.kind == "end":
            self._fail(opening, "'(' is not closed", "add ')'")
        if not self._accept(")"):
            self._side_by_side(self._token)
        return found
