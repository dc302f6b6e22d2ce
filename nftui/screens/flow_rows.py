"""Flow records in words: columns of the table, the lines of one record in full, and the filter that says a cell. No widget."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import polars as pl

from nftui.engine import keys
from nftui.engine.account import Account, entries
from nftui.engine.instants import corrected
from nftui.engine.owners import Owners
from nftui.engine.query import Answer, BackEnd, Query
from nftui.errors import NftuiError, UsageError
from nftui.printable import printable
from nftui.schema import COLUMNS
from nftui.screens import cells, terms
from nftui.screens.questions import Reply
from nftui.screens.view import time_text
from nftui.screens.widgets.flow_table import Row, TableColumn
from nftui.screens.widgets.painted import Part
from nftui.units import SECOND, duration, moment

Cell = Callable[[str, Any], str]
PLACES = ("source_country", "destination_country", "source_as_organization", "destination_as_organization")
"""Keys that MaxMind files know of, where some are named."""
PAIRS = {
    "interfaces": ("ingress_interface", "egress_interface"), "systems": ("source_as", "destination_as"),
    "vlans": ("source_vlan", "destination_vlan"), "masks": ("source_mask", "destination_mask"),
}  # fmt: skip
"""Columns of the table that show two of the schema."""
ORDERS = {"interfaces": "ingress_interface", "systems": "source_as", "vlans": "source_vlan"}
"""What they are sorted by."""
SAID = frozenset(
    [f"{side}_{what}" for side in ("source", "destination") for what in ("address", "port", "as", "mask", "vlan", "mac")]
    + ["protocol", "tcp_flags", "tos", "next_hop", "sampling_interval"]
)
"""Columns that the heading of a record tells."""
TCP = 6
LESS = 7
"""Rank from which on columns are shown only where records have something in them."""
LAST = 20
"""Rank of columns that tell nothing, as all rows have the same there."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Flow records, and what is known of their exporters' interfaces, of where their addresses are, and whose sockets were theirs.

    Attributes:
        main: The query.
        owners: Knows the processes of this host; None for nobody.
    """

    main: Query
    owners: Owners | None = field(default=None, compare=False)

    def put(self, back_end: BackEnd) -> Reply:
        """Ask for them.

        Returns:
            Under `account` what the collector says of itself; under `places` a frame of words, and under `owners` a text, a row a
            record; None where there is nothing to say of any.
        """
        answer = back_end.answer(self.main)
        account: Account | None = None
        with contextlib.suppress(NftuiError):
            account = back_end.account()
        return Reply(answer, {"account": account, "places": _places(answer), "owners": self._owned(answer)})

    def _owned(self, answer: Answer) -> pl.Series | None:
        flows = answer.flows
        return None if self.owners is None or flows is None or flows.is_empty() else self.owners.of(corrected(flows))


def _places(answer: Answer) -> pl.DataFrame | None:
    """Return what MaxMind files tell of the addresses of records; None where no file is named or none can be read."""
    flows = answer.flows
    columns: dict[str, pl.Series] = {}
    for name in PLACES:
        try:
            key = keys.key(name)
            if flows is None or flows.is_empty() or not set(key.columns) <= set(flows.columns):
                continue
            found = flows.select(key.sides[0]().alias(name))[name]
        except (NftuiError, UsageError):
            continue
        words = {value: str(keys.value(name, value)) for value in found.unique().drop_nulls().to_list()}
        columns[name] = found.replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.String)
    return pl.DataFrame(columns) if columns else None


class FlowRows:
    """The records of a reply."""

    def __init__(self, reply: Reply | None, cell: Cell, dated: bool = False) -> None:
        """Read what came with them.

        Args:
            reply: Of `Listed`; None before the first.
            cell: Makes the text of a value.
            dated: Whether times need their day.
        """
        more: Mapping[str, Any] = {} if reply is None else reply.more
        self._cell, self._form = cell, "%b %d %H:%M:%S" if dated else "%H:%M:%S"
        account: Account | None = more.get("account")
        self._interfaces = {} if account is None else account.interfaces
        self._places: pl.DataFrame | None = more.get("places")
        self._owners: pl.Series | None = more.get("owners")
        listed = (account.status or {}).get("exporters") if account is not None else None
        told = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        self._names = {str(one.get("address")): printable(str(one["name"]), 64) for one in told if one.get("name")}
        self._known: dict[str, dict[str, Any]] = {}

    # The table

    def columns(self, present: Collection[str], same: Collection[str] = ()) -> list[TableColumn]:
        """Return the columns that may be shown.

        Args:
            present: The columns of the schema that records have: of what tells less only these are shown.
            same: Columns of addresses that tell nothing, and are the first to go.
        """
        known = {*present, *(name for name, ends in PAIRS.items() if set(ends) & set(present))}
        known |= {"owner"} if self._owners is not None else set()
        known |= {"countries"} if self._places is not None and "source_country" in self._places.columns else set()
        return [column for column in self._all(same) if column.rank < LESS or column.rank == LAST or column.name in known]

    def _all(self, same: Collection[str]) -> list[TableColumn]:

        def column(name: str, label: str, width: int, **how: Any) -> TableColumn:
            return TableColumn(name, label, width, lambda n, row: self._cell(name, row.get(name)), **how)

        first, second = (LAST if name in same else 0 for name in ("source_address", "destination_address"))
        short = 9 if self._names else 13
        wide = 11 if any(self._interfaces.values()) else 7
        return [
            TableColumn("flow_start", "start", len(time_text(0, self._form)), lambda n, row: self.start(row)),
            TableColumn("duration", "dur", 5, lambda n, row: lasted(row), True, rank=3),
            column("protocol", "proto", 5),
            column("source_address", "source", 15, grows=3, middle=True, rank=first),
            column("source_port", "sport", 5, right=True),
            column("destination_address", "destination", 15, grows=3, middle=True, rank=second),
            column("destination_port", "dport", 5, right=True),
            column("octets", "octets", 6, right=True),
            column("packets", "pkts", 5, right=True, rank=1),
            column("tcp_flags", "flags", 6, rank=4),
            TableColumn("interfaces", "in>out", wide, lambda n, row: self.interfaces(row), rank=5, grows=wide // 10, middle=True),
            TableColumn("exporter_address", "exporter", short, lambda n, row: self.exporter(row), grows=1, rank=6, middle=True),
            TableColumn("owner", "process", 12, lambda n, row: self.owner(n) or "-", grows=1, rank=LESS),
            column("tos", "tos", 3, right=True, rank=8),
            TableColumn("systems", "src>dst as", 12, lambda n, row: pair(row, *PAIRS["systems"]), rank=9),
            TableColumn("countries", "from>to", 7, lambda n, row: self.countries(n), rank=10),
            column("next_hop", "next hop", 15, rank=13, middle=True),
            TableColumn("sampling_interval", "1:n", 6, _sampling, True, rank=11),
            TableColumn("vlans", "vlan", 9, lambda n, row: pair(row, *PAIRS["vlans"]), rank=12),
        ]  # fmt: skip

    def start(self, row: Row) -> str:
        """Return when a flow began."""
        value = row.get("flow_start")
        return "-" if value is None else time_text(cells.micros(value), self._form)

    def exporter(self, row: Row) -> str:
        """Return what the user calls an exporter, else its address or the name of that."""
        address = cells.address(row.get("exporter_address"))
        return self._names.get(address) or self._cell("exporter_address", row.get("exporter_address"))

    def interfaces(self, row: Row) -> str:
        """Return where a flow came in and went out, by the names of the interfaces where they are known: `>eth0` went out there."""
        ends = [self._interface(row, name) for name in PAIRS["interfaces"]]
        return ">".join(end or "" for end in ends) if any(end is not None for end in ends) else "-"

    def _interface(self, row: Row, name: str) -> str | None:
        number = row.get(name)
        if number is None:
            return None
        address = cells.address(row.get("exporter_address"))
        if address not in self._known:
            self._known[address] = dict(entries(self._interfaces.get(address)))
        port = self._known[address].get(str(number))
        return (printable(str(port.get("name") or ""), 40) if isinstance(port, dict) else "") or str(number)

    def owner(self, place: int) -> str:
        """Return the name and the id of the process of this host that a record belongs to; empty where it isn't known."""
        known = self._owners is not None and 0 <= place < len(self._owners)
        return printable(self._owners[place] or "", 40) if known and self._owners is not None else ""

    def countries(self, place: int) -> str:
        """Return the countries of a record's addresses."""
        return ">".join(self._place(place, name) or "-" for name in PLACES[:2])

    def _place(self, place: int, name: str) -> str:
        if self._places is None or name not in self._places.columns or not 0 <= place < self._places.height:
            return ""
        return printable(self._places[name][place] or "", 40)

    # One record

    def heading(self, row: Row, place: int) -> list[list[Part]]:
        """Return the lines that say in words what a record is: both ends, what it carried, how it came here."""
        ends = [self._end(row, place, side) for side in ("source", "destination")]
        carried: list[tuple[str, str]] = [
            ("", cells.cell("protocol", row.get("protocol"))),
            ("flags", cells.cell("tcp_flags", row.get("tcp_flags"))),
        ]
        carried += [("tos", f"0x{row['tos']:02x}")] if isinstance(row.get("tos"), int) else []
        carried += [("next hop", self._cell("next_hop", row["next_hop"]))] if row.get("next_hop") is not None else []
        if row.get("packets"):
            carried.append(("octets/packet", f"{(row.get('octets') or 0) / row['packets']:.0f}"))
        seen = [("seen by", self.exporter(row)), ("in>out", self.interfaces(row)), ("sampling", _sampling(place, row))]
        seen += [("lasted", lasted(row))]
        seen += [("process", self.owner(place))] if self.owner(place) else []
        return [_said(ends[0]), _said(ends[1]), _said(carried), _said(seen)]

    def _end(self, row: Row, place: int, side: str) -> list[tuple[str, str]]:
        address = row.get(f"{side}_address")
        plain, called = cells.address(address), self._cell(f"{side}_address", address)
        words = [("src" if side == "source" else "dst", plain)]
        words += [("", called)] if called != plain else []
        words += [("port", str(row[f"{side}_port"]))] if row.get(f"{side}_port") is not None else []
        number, organisation = row.get(f"{side}_as"), self._place(place, f"{side}_as_organization")
        words += [("AS", f"{number or ''} {organisation}".strip())] if number or organisation else []
        words += [("", country)] if (country := self._place(place, f"{side}_country")) else []
        words += [("", f"/{row[f'{side}_mask']}")] if row.get(f"{side}_mask") is not None else []
        for name, label in ((f"{side}_vlan", "VLAN"), (f"{side}_mac", "MAC")):
            words += [(label, cells.cell(name, row[name]))] if row.get(name) is not None else []
        return words

    def facts(self, row: Row, whole: bool = True) -> list[tuple[str, str]]:
        """Return the fields that a record has, as names and words: all, or those that the heading leaves out."""
        known = [column for column in COLUMNS if row.get(column.name) is not None and (whole or column.name not in SAID)]
        facts = [(column.label, cells.detail(column.name, row[column.name])) for column in known]
        if whole:
            facts.insert(2, ("duration", lasted(row)))
        return facts

    # Cells as filters

    def term(self, name: str, row: Row, place: int) -> str | None:
        """Return the filter for what a cell shows; None where it can't be said."""
        if name in PAIRS:
            return terms.of_group(PAIRS[name], {one: row.get(one) for one in PAIRS[name]})
        if name == "countries":
            values = {one: self._place(place, one) for one in PLACES[:2]}
            said = [f"{words} {value}" for words, value in zip(("src geo", "dst geo"), values.values(), strict=True) if value]
            return " and ".join(said) or None
        if name == "flow_start":
            return _second(row)
        if name == "duration":
            return _length(row)
        value = row.get(name)
        if name == "tcp_flags" and value is not None:
            return f"flags = {value}" if row.get("protocol") == TCP else None
        if name in ("octets", "packets") and value is not None:
            # A filter compares what a sampled flow stands for.
            value *= row.get("sampling_interval") or 1
        return terms.term(name, value)


def lasted(row: Row) -> str:
    """Return how long a flow took."""
    start, end = row.get("flow_start"), row.get("flow_end")
    return "-" if start is None or end is None else duration(max(cells.micros(end) - cells.micros(start), 0))


def pair(row: Row, first: str, second: str) -> str:
    """Return two values of a record as one."""
    values = [row.get(first), row.get(second)]
    return ">".join("-" if value is None else str(value) for value in values) if any(v is not None for v in values) else "-"


def _sampling(_: int, row: Row) -> str:
    interval = row.get("sampling_interval")
    return "-" if interval is None else f"1:{interval}"


def _said(words: list[tuple[str, str]]) -> list[Part]:
    return [
        Part(" "),
        *(part for name, text in words for part in (*([Part(f"{name} ", "dim")] if name else []), Part(f"{text}  "))),
    ]


def _second(row: Row) -> str | None:
    """Return the filter for flows that began in the same second, by what the exporter said."""
    if row.get("flow_start") is None:
        return None
    told = cells.micros(row["flow_start"]) - (row.get("clock_correction") or 0)
    first, after = (moment(told // SECOND * SECOND + shift).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for shift in (0, SECOND))
    return f"(first seen >= {first} and first seen < {after})"


def _length(row: Row) -> str | None:
    """Return the filter for flows that took as many seconds; less than one, as many milliseconds."""
    start, end = row.get("flow_start"), row.get("flow_end")
    if start is None or end is None:
        return None
    length = (cells.micros(end) - cells.micros(start)) // 1000
    if length < 1000:
        return f"duration = {length}" if length >= 0 else None
    whole = length // 1000 * 1000
    return f"(duration >= {whole} and duration < {whole + 1000})"
