"""The command `protocols`: protocols, vendors' names and dialects, what decodes each, and a capture that shows it.

The table is `protocols.csv`. Captures are named by their ids in `tests/data/corpus` and in the larger collection.
"""

from __future__ import annotations

import csv
import json
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

WIDTH = 80
KINDS = {"protocol": "protocols", "name": "vendors' names for them", "dialect": "dialects"}


@dataclass(frozen=True, slots=True)
class Protocol:
    """A line of the table.

    Attributes:
        kind: `protocol`, `name` (a vendor's word for one), or `dialect`.
        name: As its vendor calls it.
        vendor: Whose it is.
        decoders: Names of lines of the kind `protocol`.
        transport: Transport, and the port that is usual.
        captures: Ids of captures that show it; empty when there is none.
        note: What is particular.
    """

    kind: str
    name: str
    vendor: str
    decoders: tuple[str, ...]
    transport: str
    captures: tuple[str, ...]
    note: str


def protocols() -> list[Protocol]:
    """Return the table, in its order."""
    with Path(__file__).with_name("protocols.csv").open(newline="", encoding="ascii") as file:
        return [
            Protocol(
                row["kind"],
                row["name"],
                row["vendor"],
                tuple(row["decoders"].split("/")),
                row["transport"],
                tuple(row["captures"].split()),
                row["note"],
            )
            for row in csv.DictReader(file)
        ]


def decoders() -> list[str]:
    """Return the protocols that are decoded."""
    return [one.name for one in protocols() if one.kind == "protocol"]


def show(output: str) -> int:
    """Print the table, as text no wider than 80 columns or as JSON."""
    table = protocols()
    if output == "json":
        print(json.dumps({"rows": [asdict(one) for one in table]}))
        return 0
    for kind, heading in KINDS.items():
        print(f"{heading}:")
        for one in table:
            if one.kind == kind:
                print("\n".join(_lines(one)))
    print("Each may come to any port that `nftui collect` listens on; to port 6343 only\nsFlow.")
    return 0


def _lines(one: Protocol) -> list[str]:
    indent = " " * 6
    shown = f"capture {', '.join(one.captures)}" if one.captures else "no capture"
    more = textwrap.wrap(
        f"{one.transport}; {shown}; {one.note}", WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
    return [f"  {one.name:<24}{one.vendor:<24}{_short(one.decoders)}", *more]


def _short(names: tuple[str, ...]) -> str:
    """Return `NetFlow v5 v9, IPFIX` for NetFlow v5, NetFlow v9, IPFIX."""
    versions = [name.removeprefix("NetFlow ") for name in names if name.startswith("NetFlow ")]
    netflow = [f"NetFlow {' '.join(versions)}"] if versions else []
    return ", ".join(netflow + [name for name in names if not name.startswith("NetFlow ")])
