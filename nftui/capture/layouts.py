"""Layouts: what a list of fields means, compiled once: which octets of a record fill which columns, and how.

A layout knows nothing of exporters or template ids, so that data sets of all templates with the same fields are read together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from nftui import elements
from nftui.elements import ELEMENTS, IANA, PADDING, REVERSE, SYSTEM_INIT_TIME, Element

VARIABLE = 65535
"""The length of a field whose records each state their own (RFC 7011, section 7)."""
LONGEST_APPLICATION = 64
SCOPE = -1
"""Stands for the enterprise number of a NetFlow v9 scope field: those types are no information elements (RFC 3954, section 6.1)."""
_ADDRESS_SIZES = (4, 16)
_TUNNEL_MARKS = {(IANA, 4), (IANA, 8), (IANA, 27)}
_INNER = {(6876, 880): (IANA, 4), (6876, 881): (IANA, 8), (6876, 883): (IANA, 27)}
"""Elements of their own for the inner header, where others repeat the element: those of VMware's distributed switch."""
_TEXTS = ("text", "octets")
BACK = "back:"
"""Stands before the name of a column where a record tells it of the other direction: these become a row of their own."""
_RESPONDER = {(IANA, 232): (IANA, 231), (IANA, 299): (IANA, 298)}
"""What the responder of a connection sent, and what the initiator did: a biflow in all but name."""
_LEAST_COUNTER = 4
"""Octets of a counter of the responder; Huawei gives type 232 a meaning of its own, in two."""
SECTIONS = {(IANA, 104): 1, (IANA, 313): 101, (IANA, 315): 1}
"""Elements that hold the first octets of a sampled packet, and the link type of these: Ethernet, or none."""
LENGTHS = -2
"""Stands for the enterprise number of the length, in two octets, that a field of variable length had; the id is its offset."""
_BOOKKEEPING = {(IANA, PADDING), (IANA, SYSTEM_INIT_TIME), *SECTIONS}


class Field(NamedTuple):
    """One field of a template."""

    enterprise: int
    element: int
    length: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where one column may be read from.

    Attributes:
        element: The information element's id.
        reading: A key of `values.READINGS`.
        name: The field of the structured dtype.
        size: Its octets.
    """

    element: int
    reading: str
    name: str
    size: int

    @property
    def offset(self) -> int:
        """Where it begins in the record."""
        return int(self.name[2:])


@dataclass(frozen=True, eq=False)
class Layout:
    """The meaning of a list of fields of fixed length.

    Attributes:
        fields: As in the template.
        size: Octets of a record.
        dtype: Reads a record; unknown fields are gaps in it. Numbers are big-endian unsigned, addresses raw words, others octets.
        columns: For each column its sources, all of the lowest rank present, in the order of the template.
        outer: For each column of the outer header its sources in the order of the template; empty unless the template repeats the
            protocol or a source address.
        unknown: (enterprise, id) of the elements that fill no column.
        system_init: The field of the dtype that holds systemInitTimeMilliseconds, or empty.
        places: Offset and length of each (enterprise, id) in a record, the last one where it is repeated.
    """

    fields: tuple[Field, ...]
    size: int
    dtype: np.dtype[np.void]
    columns: dict[str, tuple[Source, ...]]
    outer: dict[str, tuple[Source, ...]]
    unknown: tuple[tuple[int, int], ...]
    system_init: str
    places: dict[tuple[int, int], tuple[int, int]]

    @cached_property
    def digest(self) -> bytes:
        """16 octets that stand for the fields."""
        return blake2b(repr(self.fields).encode(), digest_size=16).digest()

    @cached_property
    def unknown_names(self) -> tuple[str, ...]:
        """The unknown elements as `enterprise:id`, followed by the name where there is one."""
        return tuple(
            f"scope:{element}" if enterprise == SCOPE else f"{enterprise}:{element} {elements.name(enterprise, element)}".rstrip()
            for enterprise, element in self.unknown
        )


MAX_KEPT_FIELDS = 16_384
"""Fields of the layouts that are kept compiled: some 0.5 KB each."""


class _Kept:
    """Layouts that were compiled, the latest ones last."""

    def __init__(self) -> None:
        self.layouts: OrderedDict[tuple[tuple[Field, ...], tuple[tuple[int, int], ...]], Layout] = OrderedDict()
        self.fields = 0

    def add(self, fields: tuple[Field, ...], dropped: tuple[tuple[int, int], ...], layout: Layout) -> None:
        """Keep one; the oldest go."""
        self.layouts[fields, dropped] = layout
        self.fields += len(fields) + len(dropped)
        while self.fields > MAX_KEPT_FIELDS and len(self.layouts) > 1:
            (old, others), _ = self.layouts.popitem(last=False)
            self.fields -= len(old) + len(others)


_KEPT = _Kept()


def compile_layout(fields: tuple[Field, ...], dropped: tuple[tuple[int, int], ...] = ()) -> Layout:
    """Return the layout of a list of fields, compiled when it is first asked for; the latest are kept, bounded by their fields.

    Args:
        fields: In the order of the wire, none of variable length; one of length 0 holds nothing and is passed over.
        dropped: (enterprise, id) of elements that the records had, and that were taken out of them.
    """
    layout = _KEPT.layouts.get((fields, dropped))
    if layout is None:
        layout = _compiled(fields, dropped)
        _KEPT.add(fields, dropped, layout)
    else:
        _KEPT.layouts.move_to_end((fields, dropped))
    return layout


def _compiled(fields: tuple[Field, ...], dropped: tuple[tuple[int, int], ...]) -> Layout:
    names: list[str] = []
    formats: list[object] = []
    offsets: list[int] = []
    found: dict[str, list[tuple[int, Source]]] = {}
    unknown: dict[tuple[int, int], None] = dict.fromkeys(dropped)
    places: dict[tuple[int, int], tuple[int, int]] = {}
    system_init, offset = "", 0
    for field in fields:
        element, before = _element(field)
        sources = [
            (mapping, Source(field.element, mapping.reading, f"at{offset}", field.length))
            for mapping in (element.mappings if element and field.length else ())
            if _readable(mapping.reading, field.length)
        ]
        is_init = field[:2] == (IANA, SYSTEM_INIT_TIME) and field.length == 8
        if sources or is_init:
            names.append(f"at{offset}")
            formats.append(_format(sources[0][1].reading if sources else "milliseconds", field.length))
            offsets.append(offset)
            for mapping, source in sources:
                found.setdefault(before + mapping.column, []).append((mapping.rank, source))
        if is_init:
            system_init = f"at{offset}"
        if field.enterprise == LENGTHS:
            names.append(f"at{offset}")
            formats.append(">u2")
            offsets.append(offset)
        if not sources and field.length and field[:2] not in _BOOKKEEPING and field.enterprise != LENGTHS:
            unknown[field[:2]] = None
        if field.length:
            places[field[:2]] = offset, field.length
        offset += field.length
    dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": offset})
    columns = {column: _best(ranked) for column, ranked in found.items()}
    return Layout(fields, offset, dtype, columns, _outer(fields, columns), tuple(unknown), system_init, places)


def _element(field: Field) -> tuple[Element | None, str]:
    """Return the element of a field, and `BACK` where it speaks of the other direction (RFC 5103, section 6.1)."""
    known = ELEMENTS.get(field[:2])
    if known is None and field[:2] in _RESPONDER and field.length >= _LEAST_COUNTER:
        return ELEMENTS.get(_RESPONDER[field[:2]]), BACK
    if known is None and field.enterprise == REVERSE:
        return ELEMENTS.get((IANA, field.element)), BACK
    return known, ""


def define(mappings: Mapping[str, str]) -> None:
    """Let elements fill the columns that the user chose, in all that is compiled from now on.

    Args:
        mappings: As `elements.define` takes them.
    Raises:
        ConfigError: As there.
    """
    if mappings:
        elements.define(mappings)
        forget()


def forget() -> None:
    """Compile all layouts anew when they are asked for: what elements mean has changed."""
    _KEPT.layouts.clear()
    _KEPT.fields = 0


def _readable(reading: str, length: int) -> bool:
    if reading == "address":
        return length in _ADDRESS_SIZES
    if reading == "application":
        return length <= LONGEST_APPLICATION
    if reading in ("ntp", "milliseconds"):
        return length == 8 or (reading == "milliseconds" and length < 8)
    return reading in _TEXTS or length <= 8


def _format(reading: str, length: int) -> object:
    if reading == "address":
        return "<u4" if length == 4 else ("<u8", (2,))
    if reading in _TEXTS:
        return f"S{length}" if reading == "text" else f"V{length}"
    return f">u{length}" if length in (1, 2, 4, 8) else ("u1", (length,))


def _best(ranked: list[tuple[int, Source]]) -> tuple[Source, ...]:
    """Keep the sources of the lowest rank; of a repeated element that is no address only the last, which is the inner header's."""
    lowest = min(rank for rank, _ in ranked)
    best = [source for rank, source in ranked if rank == lowest]
    if best[0].reading == "address":
        return tuple(best)
    last = {source.element: source for source in best}
    return tuple(source for source in best if last[source.element] is source)


def _outer(fields: tuple[Field, ...], columns: dict[str, tuple[Source, ...]]) -> dict[str, tuple[Source, ...]]:
    """Return the sources of the outer header of a tunnel, when the template has one: it stands first."""
    meanings = [_INNER.get(field[:2], field[:2]) for field in fields]
    marks = [meaning for meaning, field in zip(meanings, fields, strict=True) if meaning in _TUNNEL_MARKS and field.length]
    if len(set(marks)) == len(marks):
        return {}
    outer = {f"outer_{name}": columns[name] for name in ("source_address", "destination_address") if len(columns.get(name, ())) > 1}
    offset, protocols = 0, []
    for meaning, field in zip(meanings, fields, strict=True):
        if meaning == (IANA, 4) and field.length and _readable("number", field.length):
            protocols.append(Source(4, "number", f"at{offset}", field.length))
        offset += field.length
    return outer | {"outer_protocol": (protocols[0],)} if outer and len(protocols) > 1 else outer
