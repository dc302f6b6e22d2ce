"""Names on the command line: what addresses and interfaces of an answer are called, and what names of a filter stand for."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec
import polars as pl

from nftui import config
from nftui.engine import keys, places
from nftui.engine.account import Interfaces
from nftui.engine.filter_resolving import names_in, resolved
from nftui.engine.filters import Filter
from nftui.engine.ordered import Records
from nftui.engine.places import ASORG, GEO
from nftui.engine.resolving import Resolver
from nftui.errors import NftuiError
from nftui.printable import NAME_WIDTH, printable
from nftui.schema import BY_NAME
from nftui.units import address_octets, address_text

Row = dict[str, Any]

PATIENCE_S = 10.0
"""The longest that one command waits for names of addresses, however many there are."""
AT_A_TIME = 1_000
"""Rows whose addresses are looked up together."""
MOST_ASKED = 20_000
"""Addresses of records for machines whose names are looked up; there may be millions."""
PLACES = {GEO: "country", ASORG: "as_organization"}


def naming_of(options: argparse.Namespace) -> Naming:
    """Return the names of one run of a command, the same ones every time."""
    if not hasattr(options, "naming"):
        options.naming = Naming(config.load(getattr(options, "config", None)).names, shown=options.names)
    naming: Naming = options.naming
    return naming


class Naming:
    """The names of one run of a command.

    Attributes:
        labels: What was found of addresses, safe to show: `www.example.org, DE`.
        interfaces: What interfaces are called, where that doesn't depend on the exporter.
    """

    def __init__(self, settings: config.NameSettings, *, shown: bool) -> None:
        """Open what the configuration names.

        Args:
            settings: [names] of the configuration.
            shown: Whether names were asked for: DNS is allowed then, and addresses have names.
        """
        self._shown = shown
        cache = config.default_cache()
        self._resolver = Resolver(msgspec.structs.replace(settings, resolve=settings.resolve or shown), cache / "names.json")
        self._places = places.use(settings, cache)
        self._until: float | None = None
        self._names: dict[str, str] = {}
        self._located: dict[tuple[str, str], str] = {}
        self._asked: set[str] = set()
        self._left = 0
        self.labels: dict[str, str] = {}
        self.interfaces: dict[int, str] = {}
        if self._resolver.hosts.note:
            print(f"note: {self._resolver.hosts.note}", file=sys.stderr)

    def resolved(self, tree: Filter, text: str) -> Filter:
        """Look up the names of a filter that was parsed from a text, and say what they stand for.

        Raises:
            FilterError: A name of it stands for nothing.
        """
        tree = resolved(tree, self._resolver, self._places, text)
        for name, networks in names_in(tree).items():
            listed = ", ".join(str(one.network_address if one.prefixlen == one.max_prefixlen else one) for one in networks)
            print(f"note: {printable(name)} is {listed}", file=sys.stderr)
        return tree

    # -- addresses

    def learned(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield rows as they come, some at a time, with what is known of their addresses in `labels` by then."""
        source = iter(rows)
        while some := list(islice(source, AT_A_TIME)):
            self.learn(some)
            yield from some

    def extended(self, rows: Iterable[Row], names: Sequence[str]) -> tuple[Iterable[Row], Sequence[str]]:
        """Return rows with further fields for what is known of their addresses, and the names of all fields.

        Of a field `source_address` these are `source_address_name`, `source_country` and `source_as_organization`; without
        `--names` there are none.
        """
        if not self._shown:
            return rows, names
        listed = [field for name in names for field in (name, *(self._fields(name) if _is_address(name) else {}))]
        return (self._extended(row) for row in self.learned(rows)), listed

    def _extended(self, row: Row) -> Row:
        more = {
            field: found
            for name, value in row.items()
            if _is_address(name) and isinstance(value, str)
            for field, what in self._fields(name).items()
            if (found := self._found(what, value)) is not None
        }
        return {**row, **more}

    def _fields(self, name: str) -> dict[str, str]:
        """Return the further fields of an address, and what each tells."""
        stem = name.removesuffix("address")
        told = {f"{stem}{field}": what for what, field in PLACES.items() if self._places.has(what)}
        return {f"{name}_name": "name", **told}

    def _found(self, what: str, address: str) -> str | None:
        return self._names.get(address) if what == "name" else self._located.get((what, address))

    def learn(self, rows: Iterable[Row]) -> None:
        """Look up the addresses of some rows, where names were asked for, waiting as long as there is patience left."""
        if self._shown:
            self._ask({value for row in rows for name, value in row.items() if _is_address(name) and isinstance(value, str)})

    def _ask(self, wanted: set[str]) -> None:
        addresses = wanted - self._asked
        if not addresses:
            return
        self._asked |= addresses
        if self._until is None:
            self._until = time.monotonic() + PATIENCE_S
        found, left = self._resolver.wait(sorted(addresses), max(self._until - time.monotonic(), 0))
        self._names.update(found)
        self._left += left
        for what in (one for one in PLACES if self._places.has(one)):
            ranges = self._places.ranges(what)
            ordered = [(address, octets) for address in addresses if (octets := address_octets(address)) is not None]
            numbers = ranges.look_up(pl.Series([octets for _, octets in ordered], dtype=pl.Binary)).to_list()
            for (address, _), number in zip(ordered, numbers, strict=True):
                if number is not None:
                    self._located[what, address] = ranges.words[number]
        for address in addresses:
            told = [self._names.get(address), self._located.get((GEO, address))]
            if any(told):
                self.labels[address] = printable(", ".join(one for one in told if one), NAME_WIDTH)

    # -- records by the frame

    def records(self, records: Records) -> Records:
        """Return records with the same further columns; of very many addresses the first ones have names."""
        if not self._shown:
            return records
        columns = [field for name in records.columns for field in (name, *(self._fields(name) if _is_address(name) else {}))]
        return replace(
            records, columns=tuple(columns), frames=lambda: (self._named(frame).select(columns) for frame in records.frames())
        )

    def _named(self, frame: pl.DataFrame) -> pl.DataFrame:
        added: list[pl.Series] = []
        for name in filter(_is_address, frame.columns):
            distinct = frame[name].unique(maintain_order=True).drop_nulls()
            some = {
                octets: address_text(octets) for octets in distinct.head(max(MOST_ASKED - len(self._asked), AT_A_TIME)).to_list()
            }
            self._ask(set(some.values()) if len(self._asked) < MOST_ASKED else set())
            for field, what in self._fields(name).items():
                if what == "name":
                    known = {octets: self._names[text] for octets, text in some.items() if text in self._names}
                    column = frame[name].replace_strict(known, default=None, return_dtype=pl.String)
                else:
                    ranges = self._places.ranges(what)
                    column = pl.Series(ranges.words, dtype=pl.String).gather(ranges.look_up(frame[name]))
                added.append(column.alias(field))
        return frame.with_columns(added)

    # -- interfaces

    def read_interfaces(self, known: Interfaces) -> None:
        """Take the names of interfaces: of a number that exporters name otherwise there is none.

        Args:
            known: By exporter, as the store has it: text from outside.
        """
        named: dict[int, set[str]] = {}
        for interfaces in known.values():
            for index, about in interfaces.items():
                name = about.get("name") or about.get("description")
                if index.isascii() and index.isdigit() and isinstance(name, str) and name:
                    named.setdefault(int(index), set()).add(printable(name, NAME_WIDTH))
        self.interfaces = {index: next(iter(names)) for index, names in named.items() if len(names) == 1}

    def close(self) -> None:
        """Say how many addresses stayed without an answer, and keep what was found."""
        if self._left:
            print(f"note: nobody told the names of {self._left:,} of {len(self._asked):,} addresses in time", file=sys.stderr)
        self._resolver.close()


def _is_address(name: str) -> bool:
    column = BY_NAME.get(name)
    if column is not None:
        return column.kind == "address"
    try:
        return keys.key(name).kind == "address"
    except NftuiError:
        return False
