"""Basic filters: a list for each of six fields, instead of an expression.

Items of a list are alternatives, a `/` makes an address a network, a blank list takes everything; the fields must all hold.
"""

from __future__ import annotations

import msgspec

from nftui.engine.filter_syntax import tokens
from nftui.engine.filters import Filter, parse
from nftui.errors import FilterError


class BasicFilter(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The six lists, each as typed: items with commas between."""

    source_ip: str = ""
    destination_ip: str = ""
    source_port: str = ""
    destination_port: str = ""
    protocol: str = ""
    exporter: str = ""

    @property
    def blank(self) -> bool:
        """Whether it takes every flow."""
        return not any(_items(getattr(self, field)) for field in FIELD_NAMES)


FIELD_NAMES: tuple[str, ...] = BasicFilter.__struct_fields__

PHRASES: dict[str, str] = {
    "exporter": "router ip",
    "destination_ip": "dst ip",
    "source_ip": "src ip",
    "destination_port": "dst port",
    "source_port": "src port",
    "protocol": "proto",
}
"""Field -> how the language says it, in the order of the expression."""


def expression(basic: BasicFilter) -> str:
    """Return the filter's text: `(dst ip 10.0.0.1 or dst net 192.0.2.0/24) and (dst port 443)`; empty for all flows.

    Raises:
        FilterError: An item is no value of its field; `source` is the field's name.
    """
    groups = []
    for field, phrase in PHRASES.items():
        terms = [_term(field, phrase, column, getattr(basic, field)) for column in _items(getattr(basic, field))]
        if terms:
            groups.append(f"({' or '.join(terms)})")
    return " and ".join(groups)


def label(field: str) -> str:
    """Return a field's name as messages say it, `destination address`."""
    return field.replace("_ip", "_address").replace("_", " ")


def tree(basic: BasicFilter) -> Filter:
    """Return the filter's tree.

    Raises:
        FilterError: As in `expression`.
    """
    return parse(expression(basic))


def _items(text: str) -> dict[int, str]:
    """Return the items of a list by the column where each begins."""
    found, column = {}, 0
    for piece in text.split(","):
        if word := piece.strip():
            found[column + piece.index(word)] = word
        column += len(piece) + 1
    return found


def _term(field: str, phrase: str, column: int, text: str) -> str:
    """Return the term of one item, once the language takes it for one value."""
    word = _items(text)[column]
    if phrase.endswith("ip") and "/" in word:
        phrase = phrase.removesuffix("ip") + "net"
    source = label(field)
    try:
        first = tokens(word)[0]
    except FilterError as error:
        raise FilterError(text, column + error.column, error.token, error.problem, error.hint, source=source) from None
    if first.kind != "word" or first.text != word:
        raise FilterError(text, column, word, "expected one value", "several have commas between", source=source)
    term = f"{phrase} {word}"
    try:
        parse(term)
    except FilterError as error:
        raise FilterError(text, column, word, error.problem, error.hint, source=source) from None
    return term
