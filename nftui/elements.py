"""Information elements: their names, and the column of a flow that each fills.

The table stands in `elements.csv`, one line for each pair of element and column: enterprise number (0 for IANA), id, name, how
its octets are read (`nftui/capture/values.py` has one function for each word), column, and rank. Of the elements that fill one
column, those of the lowest rank in a template are taken; what the user maps has rank 0. Elements without a column are known by
name only, and their names are read when the first is asked for.

Source: IANA, "IP Flow Information Export (IPFIX) Entities", updated 2026-04. In NetFlow v9 a field type is an id of enterprise 0,
and vendors took types of their own there: Cisco 33000 to 33002 and 40000 to 40005 ("ASA NetFlow Implementation Guide") and, for
its enterprise elements, 32768 + id ("AVC Metric Definition Guide"); nProbe 57472 + id ("Flow Information Elements"). The names
of vendors' elements are those of their manuals, with the vendor before them where the manual has only words.
"""

from __future__ import annotations

import difflib
import re
from collections import abc
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nftui import schema
from nftui.errors import ConfigError

IANA = 0
REVERSE = 29305
"""The enterprise number under which an IANA element stands for the other direction (RFC 5103, section 6.1)."""
CERT, CERT_REVERSE = 6871, 0x4000
"""CERT's own elements have their reverse form under the same number, with this bit set (RFC 5103, section 6.2)."""
SYSTEM_INIT_TIME = 160
PADDING = 210
CHOSEN_RANK = 0
_TABLE = Path(__file__).with_name("elements.csv")
_KEY = re.compile(r"(?:([0-9]{1,10})[/:])?([0-9]{1,5})")
_OURS = frozenset(
    ("exporter_address", "observation_domain", "protocol_version", "template_id", "sampling_source", "clock_correction")
)
"""Columns that the collector fills itself."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """One column that an element fills.

    Attributes:
        reading: How the octets become a value: a key of `values.READINGS`.
        column: A name of `schema.COLUMNS`.
        rank: Lower is preferred over other elements for the same column.
    """

    reading: str
    column: str
    rank: int


@dataclass(frozen=True, slots=True)
class Element:
    """An information element that fills a column."""

    enterprise: int
    id: int
    name: str
    mappings: tuple[Mapping, ...] = ()


def _load() -> dict[tuple[int, int], Element]:
    table: dict[tuple[int, int], Element] = {}
    for line in _lines():
        if line.endswith(",,,"):
            continue
        enterprise, number, name, reading, column, rank = line.split(",")
        key = int(enterprise), int(number)
        known = table[key].mappings if key in table else ()
        table[key] = Element(*key, name, (*known, Mapping(reading, column, int(rank))))
    return table


def _lines() -> list[str]:
    """Return the lines of the table; no value in it has a comma or a quote."""
    return _TABLE.read_text("ascii").splitlines()[1:]


ELEMENTS: dict[tuple[int, int], Element] = _load()
"""The elements that fill a column, by enterprise number and id."""


@cache
def names() -> dict[tuple[int, int], str]:
    """Return the names of all elements of the table, by enterprise number and id."""
    found: dict[tuple[int, int], str] = {}
    for line in _lines():
        enterprise, number, name, _ = line.split(",", 3)
        found[int(enterprise), int(number)] = name
    return found


def name(enterprise: int, element: int) -> str:
    """Return an element's name, or an empty text when it is not known."""
    if known := names().get((enterprise, element)):
        return known
    if enterprise == REVERSE:
        forward = names().get((IANA, element), "")
    elif enterprise == CERT and element & CERT_REVERSE:
        forward = names().get((CERT, element & ~CERT_REVERSE), "")
    else:
        return ""
    return f"reverse{forward[:1].upper()}{forward[1:]}" if forward else ""


def chosen(key: str, column: str) -> Element:
    """Return what a user's mapping says: `key` is `ENTERPRISE/ID`, or `ID` alone, and fills `column` and no other.

    The reading follows from the column: addresses, texts, octets, counters, numbers. Of columns in which the table's own elements
    leave 0 out because it means that nothing is known, 0 is left out here too.

    Raises:
        ConfigError: The key is no element, or the column doesn't exist or isn't one that an element can fill.
    """
    match = _KEY.fullmatch(key)
    enterprise, number = (int(match[1] or IANA), int(match[2])) if match else (IANA, 0)
    if not 0 < number < (1 << (15 if enterprise else 16)) or enterprise >= 1 << 32:
        raise ConfigError(f'elements: "{key}" is no information element; write "ENTERPRISE/ID" such as "9/12235", or "ID" alone')
    known = schema.BY_NAME.get(column)
    if known is None:
        close = difflib.get_close_matches(column, schema.BY_NAME, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else "such as application_name; `nftui collect --check` lists columns"
        raise ConfigError(f'elements: "{key}" is mapped to {column!r}, which is no column; {hint}')
    if column in _OURS or known.kind in ("time", "flag"):
        raise ConfigError(f'elements: "{key}" is mapped to {column}, which no element can be chosen for; choose another column')
    mapping = Mapping(_reading(known), column, CHOSEN_RANK)
    return Element(enterprise, number, name(enterprise, number) or f"{enterprise}/{number}", (mapping,))


def define(mappings: abc.Mapping[str, str]) -> None:
    """Let elements fill the columns that the user chose; layouts that are compiled already stay as they are.

    Args:
        mappings: Elements as `chosen` takes them, and the column of each.
    Raises:
        ConfigError: As in `chosen`; then nothing has changed.
    """
    elements = [chosen(key, column) for key, column in mappings.items()]
    ELEMENTS.update({(element.enterprise, element.id): element for element in elements})


def _reading(column: schema.Column) -> str:
    if column.kind == "address":
        return "address"
    if column.kind == "text":
        return "text" if column.dtype == schema.POLARS["user_name"] else "octets"
    if column.unit in ("octets", "packets", "flows") and column.dtype == schema.POLARS["octets"]:
        return "counter"
    readings = {mapping.reading for element in ELEMENTS.values() for mapping in element.mappings if mapping.column == column.name}
    return "positive" if "positive" in readings else "number"
