"""Where addresses are: countries and AS numbers from MaxMind files that the user names, as ranges that columns are looked up in.

A file is read once for a process. What takes more than a second of it is kept for the next one, in the user's cache, by the file's
path, size and times; whatever stands there may be removed at any time.

Flows say of some addresses which AS they belong to. What they say holds; where they say nothing, or 0, the file does.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import polars as pl

from nftui.config import NameSettings
from nftui.engine import keys, mmdb
from nftui.engine.filter_fields import Direction
from nftui.engine.filter_tree import Place
from nftui.engine.keys import Key
from nftui.errors import PlacesError, UsageError

GEO, ASORG, AS = "geo", "asorg", "as"
"""What is looked up: the country's two letters, the organisation of the AS, its number."""
SETTING = {GEO: "names.country", ASORG: "names.asn", AS: "names.asn"}

KEEP_S = 1.0
"""What takes longer to make is kept on disk."""
MOST_FILES = 8
"""That are kept; the newest."""
LONGEST_TEXT = 200
VERSION = 1
MOST_EDGES = 64
"""Of filters asked last that are kept."""
_UPPER = pl.Series([2**64], dtype=pl.UInt128)
_SIDES = {"source_address": "source", "destination_address": "destination"}


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """One thing to know of addresses.

    Attributes:
        starts: Where ranges begin, each up to the next: UInt128, ascending, from 0 on; IPv4 is IPv6-mapped.
        values: One more than starts: null for no address, then of each range a number; null where nothing is known.
        words: What a number stands for; () where it stands for itself.
    """

    starts: pl.Series
    values: pl.Series
    words: tuple[str, ...]

    def look_up(self, addresses: pl.Series) -> pl.Series:
        """Return the number of each address (16 octets); null where nothing is known."""
        return self.values.gather(self.starts.search_sorted(_numbers(addresses), side="right")).alias(addresses.name)

    def expression(self, column: str) -> pl.Expr:
        """Return the number for a column of addresses."""
        return pl.col(column).map_batches(self.look_up, return_dtype=self.values.dtype, is_elementwise=True)

    def edges(self, chosen: Callable[[str], bool]) -> pl.Series:
        """Return where the addresses begin and end, in turn, of which a condition on the word holds: UInt128."""
        wanted = [number for number, word in enumerate(self.words) if chosen(word)]
        inside = self.values.slice(1).is_in(wanted).fill_null(False)
        flips = inside != inside.shift(1, fill_value=False)
        return self.starts.filter(flips)


def is_within(edges: pl.Series, addresses: pl.Series) -> pl.Series:
    """Return whether each address (16 octets) lies between edges of `Ranges.edges`; false where there is none."""
    return (edges.search_sorted(_numbers(addresses), side="right") % 2 == 1).alias(addresses.name)


class Places:
    """The files of one configuration, read when something of them is first asked for. Safe to use from several threads."""

    def __init__(self, settings: NameSettings, cache: Path | None = None) -> None:
        """Take note of the files.

        Args:
            settings: Which they are.
            cache: The directory where what took long is kept; None for nowhere.
        """
        self._paths = {
            GEO: Path(settings.country).expanduser() if settings.country else None,
            AS: Path(settings.asn).expanduser() if settings.asn else None,
        }
        self._cache = cache
        self._files: dict[Path, Mapping[str, Ranges]] = {}
        self._edges: dict[tuple[object, ...], pl.Series] = {}
        self._reading = Lock()
        self.identity = hashlib.sha256(repr([_stamp(path) for path in self._paths.values() if path]).encode()).hexdigest()[:16]
        """Another one for other files."""

    def has(self, what: str) -> bool:
        """Return whether a file is named for it."""
        return self._paths[GEO if what == GEO else AS] is not None

    def ranges(self, what: str) -> Ranges:
        """Return what is known.

        Raises:
            PlacesError: No file is named, it can't be read, or holds nothing of it.
        """
        path = self._paths[GEO if what == GEO else AS]
        if path is None:
            raise PlacesError(f"{what}: {SETTING[what]} of the configuration names no MaxMind file")
        with self._reading:
            if path not in self._files:
                self._files[path] = _load(path, self._cache)
            found = self._files[path].get(what)
        if found is None:
            raise PlacesError(f"{path}: holds no {'countries' if what == GEO else 'AS numbers'}; {SETTING[what]} names it")
        return found

    def edges(self, place: Place) -> pl.Series:
        """Return where the addresses begin and end, in turn, that a filter means: UInt128.

        Raises:
            PlacesError: As of `ranges`.
        """
        key = place.field, place.values, place.contains
        if (edges := self._edges.get(key)) is None:
            wanted = place.values[0]
            edges = self.ranges(place.field).edges(
                place.values.__contains__
                if place.field == GEO
                else (lambda word: wanted in word.lower())
                if place.contains
                else (lambda word: word.lower() == wanted)
            )
            self._edges = {**dict(list(self._edges.items())[-MOST_EDGES:]), key: edges}
        return edges

    def as_of(self, end: Direction) -> pl.Expr:
        """Return the AS of one end of a flow, looked up where it has none.

        Raises:
            PlacesError: As of `ranges`.
        """
        side = "source" if end is Direction.SRC else "destination"
        return _known_as(self.ranges(AS), f"{side}_as", f"{side}_address")()


_opened: dict[str, Places] = {}


def use(settings: NameSettings, cache: Path | None = None) -> Places:
    """Have the files of a configuration answer: its keys can be grouped by from now on, and its trees be compiled."""
    places = Places(settings, cache)
    _opened[places.identity] = places
    for what, label in ((GEO, "country"), (ASORG, "AS organisation")):
        _register(places, what, label)
    _register_as(places)
    return places


def opened(identity: str) -> Places:
    """Return what `use` returned, by its identity."""
    return _opened[identity]


# -- keys --------------------------------------------------------------------------------------------------------------------


NAMES = {GEO: "country", ASORG: "as_organization"}
"""Of keys, and fields of machine-readable output, for either side; with `source_` and `destination_` before for one."""


def _register(places: Places, what: str, label: str) -> None:
    for prefix, short, columns in (
        ("source_", "src", ("source_address",)),
        ("destination_", "dst", ("destination_address",)),
        ("", "", tuple(_SIDES)),
    ):
        word, name = short + what, prefix + NAMES[what]
        if not places.has(what):
            keys.REFUSED[word] = f"{SETTING[what]} of the configuration names no MaxMind file"
            continue
        keys.REFUSED.pop(word, None)
        keys.register(name, _family(places, what, name, f"{short} {label}".strip(), columns), [word])


def _family(places: Places, what: str, name: str, label: str, columns: tuple[str, ...]) -> keys.Family:
    def made(rest: str) -> Key:
        _no_rest(name, rest)
        ranges = places.ranges(what)
        sides = tuple(_value(ranges, column) for column in columns)
        return Key(name, name, label, "text", columns, sides, shown=lambda number: ranges.words[number])

    return made


def _value(ranges: Ranges, column: str) -> keys.Value:
    return lambda: ranges.expression(column)


def _register_as(places: Places) -> None:
    """Have `srcas`, `dstas` and `as` stand for what flows say of their AS, and for the file's word where they say nothing."""
    for word, column, addresses in (
        ("srcas", "source_as", ("source_address",)),
        ("dstas", "destination_as", ("destination_address",)),
        ("as", "as", tuple(_SIDES)),
    ):
        if places.has(AS):
            keys.register(f"known_{column}", _as_family(places, column, addresses), [word])
        else:
            keys.WORDS[word] = column


def _as_family(places: Places, field: str, addresses: tuple[str, ...]) -> keys.Family:
    def made(rest: str) -> Key:
        _no_rest(field, rest)
        ranges = places.ranges(AS)
        numbers = tuple(f"{_SIDES[address]}_as" for address in addresses)
        sides = tuple(_known_as(ranges, number, address) for number, address in zip(numbers, addresses, strict=True))
        label = keys.key(field).label
        return Key(f"known_{field}", field, label, "number", (*numbers, *addresses), sides)

    return made


def _known_as(ranges: Ranges, number: str, address: str) -> keys.Value:
    def filled(columns: Iterable[pl.Series]) -> pl.Series:
        said, addresses = columns
        missing = said.fill_null(0) == 0
        if not missing.any():
            return said
        found = ranges.look_up(addresses.filter(missing)).cast(said.dtype)
        return said.scatter(missing.arg_true(), found.fill_null(said.filter(missing)))

    return lambda: pl.map_batches([number, address], filled, return_dtype=pl.Int64, is_elementwise=True).alias(number)


def _no_rest(name: str, rest: str) -> None:
    if rest:
        raise UsageError(f"{name} takes no prefix length")


# -- files -------------------------------------------------------------------------------------------------------------------


def _load(path: Path, cache: Path | None) -> dict[str, Ranges]:
    stamp = _stamp(path)
    kept = cache / f"places-{hashlib.sha256(repr((VERSION, stamp)).encode()).hexdigest()[:32]}.npz" if cache else None
    if kept is not None and (found := _kept(kept)) is not None:
        return found
    began = time.perf_counter()
    leaves, records = mmdb.read(path)
    if _stamp(path) != stamp:
        raise PlacesError(f"{path}: was replaced while it was read; try again")
    made = _made(leaves, dict(records))
    if kept is not None and time.perf_counter() - began > KEEP_S:
        _keep(kept, made)
    return made


def _stamp(path: Path) -> tuple[object, ...]:
    try:
        status = path.stat()
    except OSError:
        return (str(path),)
    return str(path), status.st_size, status.st_mtime_ns, status.st_ino


def _made(leaves: mmdb.Leaves, records: dict[int, Any]) -> dict[str, Ranges]:
    """Return what the records say, of each thing that any of them says."""
    pointers = np.array(sorted(records), dtype=np.int64)
    at = np.searchsorted(pointers, leaves.record)
    made: dict[str, Ranges] = {}
    for what, reading in ((GEO, _country), (ASORG, _organisation), (AS, _number)):
        read = [reading(records[pointer]) for pointer in pointers.tolist()]
        if all(one is None for one in read):
            continue
        if what == AS:
            words: tuple[str, ...] = ()
            numbers = np.array([-1 if one is None else one for one in read], np.int64)
        else:
            words = tuple(sorted({str(one) for one in read if one is not None}))
            places = {word: number for number, word in enumerate(words)}
            numbers = np.array([-1 if one is None else places[str(one)] for one in read], np.int64)
        made[what] = _ranges(leaves, numbers[at], words)
    return made


def _ranges(leaves: mmdb.Leaves, numbers: mmdb.Indices, words: tuple[str, ...]) -> Ranges:
    """Return networks in the order of their addresses as ranges: what lies between them is known nothing of, the same is one."""
    high, low = leaves.last()
    after_low = low + np.uint64(1)
    after_high = high + (after_low == 0).astype(np.uint64)
    # Each network begins a range, and what is behind it another, unless the next network begins there or addresses end.
    ends = (after_high == 0) & (after_low == 0)
    joined = np.append((after_high[:-1] == leaves.high[1:]) & (after_low[:-1] == leaves.low[1:]), False) | ends
    starts_high = np.concatenate([leaves.high, after_high[~joined]])
    starts_low = np.concatenate([leaves.low, after_low[~joined]])
    values = np.concatenate([numbers, np.full(np.count_nonzero(~joined), -1, np.int64)])
    order = np.lexsort((starts_low, starts_high))
    starts_high, starts_low, values = starts_high[order], starts_low[order], values[order]
    if not len(starts_high) or starts_high[0] or starts_low[0]:
        starts_high, starts_low = np.insert(starts_high, 0, 0), np.insert(starts_low, 0, 0)
        values = np.insert(values, 0, -1)
    different = np.insert(values[1:] != values[:-1], 0, True)
    return _of_arrays(starts_high[different], starts_low[different], values[different], words)


def _of_arrays(high: mmdb.Numbers, low: mmdb.Numbers, values: mmdb.Indices, words: tuple[str, ...]) -> Ranges:
    starts = pl.Series(high).cast(pl.UInt128) * _UPPER + pl.Series(low).cast(pl.UInt128)
    dtype = pl.Int32 if words else pl.Int64
    numbers = pl.Series("value", np.insert(values, 0, -1)).cast(dtype)
    return Ranges(starts, numbers.set(numbers < 0, None), words)


def _keep(path: Path, made: Mapping[str, Ranges]) -> None:
    """Write what was made; where that can't be, it is made again the next time."""
    arrays: dict[str, Any] = {}
    for what, ranges in made.items():
        halves = {"high": ranges.starts // _UPPER, "low": ranges.starts % _UPPER}
        arrays |= {f"{what}_{name}": half.cast(pl.UInt64).to_numpy() for name, half in halves.items()}
        arrays[f"{what}_values"] = ranges.values.slice(1).fill_null(-1).cast(pl.Int64).to_numpy()
        arrays[f"{what}_words"] = np.frombuffer(json.dumps(ranges.words).encode(), np.uint8)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(path)
        others = sorted(path.parent.glob("places-*.npz"), key=lambda one: one.stat().st_mtime_ns, reverse=True)
        for old in others[MOST_FILES:]:
            old.unlink(missing_ok=True)
    except OSError:
        temporary.unlink(missing_ok=True)


def _kept(path: Path) -> dict[str, Ranges] | None:
    """Return what was kept; None where nothing was, or it can't be used."""
    found: dict[str, Ranges] = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            for what in (GEO, ASORG, AS):
                if f"{what}_words" not in arrays:
                    continue
                words = tuple(str(word) for word in json.loads(arrays[f"{what}_words"].tobytes()))
                high, low = arrays[f"{what}_high"].astype(np.uint64), arrays[f"{what}_low"].astype(np.uint64)
                values = arrays[f"{what}_values"].astype(np.int64)
                ranges = _of_arrays(high, low, values, words)
                usable = len(high) == len(low) == len(values) > 0 and ranges.starts.is_sorted() and ranges.starts[0] == 0
                if not usable or (words and values.max() >= len(words)):
                    return None
                found[what] = ranges
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RecursionError):
        return None
    return found or None


# -- records -----------------------------------------------------------------------------------------------------------------


def _country(record: Any) -> str | None:
    """Return the country of a record in two letters: MaxMind's form, else that of files with one level."""
    if not isinstance(record, dict):
        return None
    for name in ("country", "registered_country", "country_code"):
        value = record.get(name)
        code = value.get("iso_code") if isinstance(value, dict) else value
        if isinstance(code, str) and re.fullmatch("[A-Za-z]{2}", code):
            return code.upper()
    return None


def _organisation(record: Any) -> str | None:
    if not isinstance(record, dict):
        return None
    for name in ("autonomous_system_organization", "as_name", "as_organization"):
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()[:LONGEST_TEXT]
    return None


def _number(record: Any) -> int | None:
    if not isinstance(record, dict):
        return None
    for name in ("autonomous_system_number", "asn"):
        value = record.get(name)
        if isinstance(value, str) and re.fullmatch("(AS)?[0-9]{1,10}", value, re.IGNORECASE):
            value = int(value.upper().removeprefix("AS"))
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**32:
            return value
    return None


def _numbers(addresses: pl.Series) -> pl.Series:
    return addresses.bin.reinterpret(dtype=pl.UInt128, endianness="big")
