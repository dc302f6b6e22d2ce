"""Information elements: their names, and the column of a flow that each fills.

The table stands in `elements.csv`, one line for each pair of element and column: enterprise number (0 for IANA), id, name, how
its octets are read (`nftui/capture/values.py` has one function for each word), column, and rank. Of the elements that fill one
column, those of the lowest rank in a template are taken. Elements without a column are known by name only.

Source: IANA, "IP Flow Information Export (IPFIX) Entities"; ids 33000 to 33002 and 40000 to 40005: Cisco, "ASA NetFlow
Implementation Guide". In NetFlow v9 a field type is an id of enterprise 0.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

IANA = 0
REVERSE = 29305
"""The enterprise number under which an IANA element stands for the other direction (RFC 5103, section 6.1)."""
SYSTEM_INIT_TIME = 160
PADDING = 210


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
    """An information element; `mappings` is empty when no column takes it."""

    enterprise: int
    id: int
    name: str
    mappings: tuple[Mapping, ...] = ()


def _load() -> dict[tuple[int, int], Element]:
    table: dict[tuple[int, int], Element] = {}
    with Path(__file__).with_name("elements.csv").open(newline="", encoding="ascii") as file:
        for row in csv.DictReader(file):
            key = int(row["enterprise"]), int(row["id"])
            known = table.get(key, Element(*key, row["name"]))
            more = (Mapping(row["reading"], row["column"], int(row["rank"])),) if row["column"] else ()
            table[key] = Element(*key, row["name"], known.mappings + more)
    return table


ELEMENTS: dict[tuple[int, int], Element] = _load()


def name(enterprise: int, element: int) -> str:
    """Return an element's name, or `enterprise:id` when it is not in the table."""
    known = ELEMENTS.get((enterprise, element))
    return known.name if known else f"{enterprise}:{element}"
