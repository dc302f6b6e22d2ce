"""Groups as filters: the words that match exactly the flows of a value, or of a row of a ranked list.

But for texts, which the filter language compares without regard to case: groups that differ in that alone are taken together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nftui.engine import flow_classes, keys
from nftui.engine.filter_fields import FIELDS, Kind
from nftui.errors import UsageError
from nftui.schema import BY_NAME
from nftui.units import MAPPED_PREFIX, address_text, mac_text

UNSAID = frozenset((Kind.TIME, Kind.COUNTRY, Kind.ORGANISATION))
"""Kinds whose fields compare something else than the columns themselves."""
PLACES = {
    f"{prefix}{name}": f"{direction}{field}"
    for name, field in (("country", "geo"), ("as_organization", "asorg"))
    for prefix, direction in (("source_", "src "), ("destination_", "dst "), ("", ""))
}
"""Keys that files know of, and a filter's words for them."""
APART = {"either_tos": ("tos", "destination_tos")}
"""Either-side keys for which a filter has no one word."""
CLASSES: dict[str, Callable[[Any], str | None]] = {
    "size_class": flow_classes.size_term, "duration_class": flow_classes.duration_term, "service": flow_classes.service_term,
    "service_port": lambda port: f"port {port}",
}  # fmt: skip
"""Keys that have a filter of their own for each value."""
LONGEST_TEXT = 256


def _fields() -> dict[tuple[str, ...], tuple[str, Kind]]:
    """Return the words for columns that a filter compares, and what with."""
    found: dict[tuple[str, ...], tuple[str, Kind]] = {}
    for name, field in FIELDS.items():
        for direction, columns in field.columns.items():
            if columns and field.kind not in UNSAID:
                found.setdefault(columns, (f"{direction.value} {name}".strip(), field.kind))
    return found | {("exporter_address",): ("exporter ip", Kind.ADDRESS)}


FIELD_OF = _fields()
TERMS = {name: FIELD_OF[(name,)][0] for name in BY_NAME if (name,) in FIELD_OF} | {
    name: FIELD_OF[columns][0] for name, (_, columns) in keys.EITHER.items() if columns in FIELD_OF
}
"""Columns and either-side keys that a filter can name, with its words for them."""


def term(name: str, value: Any) -> str | None:
    """Return the filter that matches a value of a column or a key, an absent one too; None where the language can't say it."""
    if name in CLASSES:
        words = None if value is None else CLASSES[name](value)
        return term("application_name", value) if words is None and name == "service" else words
    if name in PLACES:
        return None if value is None else _quoted(PLACES[name], keys.value(name, value))
    if name in APART:
        return _joined([term(column, value) for column in APART[name]], value)
    name = name.removeprefix("known_")
    if name not in BY_NAME:
        try:
            key = keys.key(name)
        except UsageError:
            return None
        if key.prefixes != keys.WHOLE:
            return _network(name, key.prefixes, value)
    columns = keys.EITHER[name][1] if name in keys.EITHER else (name,)
    if columns not in FIELD_OF:
        return None
    words, kind = FIELD_OF[columns]
    return _absent(words, kind) if value is None else _said(words, kind, value)


def of_group(names: Sequence[str], row: Mapping[str, Any]) -> str | None:
    """Return the filter that matches the flows of a row of a ranked list; None where a value can't be said.

    Args:
        names: The keys that were grouped by.
        row: Their values by name.
    """
    said = [term(name, row[name]) for name in names]
    if not said or None in said:
        return None
    return " and ".join(str(words) for words in said)


def negated(words: str) -> str:
    """Return the filter of all other flows."""
    plain = " and " not in words and " or " not in words and not words.startswith("not ")
    return f"not {words}" if plain else f"not ({words})"


def _said(words: str, kind: Kind, value: Any) -> str | None:
    if kind is Kind.ADDRESS:
        shown = address_text(value)
        return f"{words} {shown}" if shown else None
    if kind is Kind.TEXT:
        return _quoted(words, value)
    return f"{words} {mac_text(value) if kind is Kind.MAC else int(value)}"


def _absent(words: str, kind: Kind) -> str | None:
    """Return the filter that matches flows without a value: no comparison holds for them."""
    if kind is Kind.TEXT:
        return None
    if kind is Kind.ADDRESS:
        return f"not {words} in [0.0.0.0/0 ::/0]"
    return f"not {words} >= {mac_text(0) if kind is Kind.MAC else 0}"


def _quoted(words: str, value: Any) -> str | None:
    text = str(value)
    if not 1 <= len(text) <= LONGEST_TEXT or not text.isprintable() or ("'" in text and '"' in text):
        return None
    quote = '"' if "'" in text else "'"
    return f"{words} {quote}{text}{quote}"


def _network(name: str, prefixes: tuple[int, int], value: bytes | None) -> str | None:
    head = name.partition("/")[0]
    if head not in TERMS:
        return None
    words = f"{TERMS[head].removesuffix('ip')}net"
    if value is None:
        return _absent(TERMS[head], Kind.ADDRESS)
    return f"{words} {address_text(value)}/{prefixes[0 if value.startswith(MAPPED_PREFIX) else 1]}"


def _joined(said: list[str | None], value: Any) -> str | None:
    if None in said:
        return None
    return f"({(' and ' if value is None else ' or ').join(str(words) for words in said)})"
