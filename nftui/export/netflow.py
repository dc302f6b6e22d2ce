"""What the wire formats share: the columns they take, and cutting records into datagrams.

Columns stand under their names of `schema.py`, as numpy arrays of one length:

- times (`flow_start`, `flow_end`) int64, microseconds since 1970, UTC;
- addresses uint8 of shape (flows, 16), IPv4 as ::ffff:a.b.c.d;
- all others integers of any kind.

`source_address`, `destination_address` and `protocol` have to be there. Nothing here loops over flows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]

MTU = 1400
"""Octets of the largest IP packet sent."""
PAYLOAD = MTU - 48
"""Octets of the largest datagram: an IPv6 (40) and a UDP header (8) stand before it."""
OPTIONS_TEMPLATE = 1024
"""The number of the options template, beyond those of flows."""
ICMP, ICMP6 = 1, 58
_MAPPED = 0xFFFF


class Datagrams(NamedTuple):
    """Encoded datagrams, in the order in which they are sent.

    Attributes:
        payloads: The octets of each.
        moments: When each is exported, microseconds, shape (datagrams,), ascending.
        records: Flow records in each, shape (datagrams,); 0 where there are only templates.
        sequence: The sequence number with which the stream goes on.
    """

    payloads: list[bytes]
    moments: NDArray[np.int64]
    records: NDArray[np.int64]
    sequence: int


class Part(NamedTuple):
    """Datagrams of the same layout.

    Attributes:
        datagrams: Shape (datagrams,), a structured dtype with a `header` and `records`.
        moments: When each is exported, microseconds: the latest moment of its records.
    """

    datagrams: NDArray[np.void]
    moments: NDArray[np.int64]

    @property
    def records(self) -> int:
        """Flow records in each datagram."""
        return int(self.datagrams.dtype["records"].shape[0])


class Field(NamedTuple):
    """One field of the templates: the column, its information element in records of IPv4 and of IPv6, and its octets."""

    column: str
    element: int
    element6: int
    octets: int


class Template(NamedTuple):
    """A template as it is sent.

    Attributes:
        number: The template id, 256 or above.
        fields: (column, information element, octets) in the order of the wire.
        dtype: Reads and writes a record.
    """

    number: int
    fields: tuple[tuple[str, int, int], ...]
    dtype: np.dtype[np.void]


Groups = Sequence[tuple[Template, NDArray[np.int64]]]
"""Templates, each with the rows of the flows that it is for."""

# IANA "IP Flow Information Export (IPFIX) Entities"; up to 127 the same numbers as RFC 3954, section 8. An address takes the size
# of its family: 4 octets here stand for 16 in records of IPv6.
HEAD = (
    Field("source_address", 8, 27, 4),
    Field("destination_address", 12, 28, 4),
    Field("next_hop", 15, 62, 4),
    Field("ingress_interface", 10, 10, 4),
    Field("egress_interface", 14, 14, 4),
    Field("packets", 2, 2, 8),
    Field("octets", 1, 1, 8),
)
PORTS = (Field("source_port", 7, 7, 2), Field("destination_port", 11, 11, 2))
TYPES = (Field("icmp_type_code", 32, 139, 2),)
TAIL = (
    Field("source_as", 16, 16, 4),
    Field("destination_as", 17, 17, 4),
    Field("source_mask", 9, 29, 1),
    Field("destination_mask", 13, 30, 1),
    Field("protocol", 4, 4, 1),
    Field("tcp_flags", 6, 6, 1),
    Field("tos", 5, 5, 1),
    Field("flow_direction", 61, 61, 1),
)
_INTEGERS = (1, 2, 4, 8)


def _is_address(name: str) -> bool:
    return name.endswith(("_address", "_hop"))


def template(number: int, fields: tuple[tuple[str, int, int], ...]) -> Template:
    """Return a template of fields: (column, information element, octets), no column twice."""
    formats: list[Any] = [
        (name, ("u1", (size,)) if _is_address(name) or size not in _INTEGERS else f">u{size}") for name, _, size in fields
    ]
    return Template(number, fields, np.dtype(formats))


def templates(names: Iterable[str], head: tuple[Field, ...], tail: tuple[Field, ...]) -> tuple[Template, ...]:
    """Return the templates of a stream: 256 IPv4, 257 IPv6, 258 ICMP, 259 ICMPv6.

    ICMP has templates of its own where there is a column of types: type and code stand in the place of the ports.

    Args:
        names: The columns that there are; a field without its column is left out.
        head: The fields before the ports.
        tail: The fields after them.
    """
    present = set(names)
    present |= {"icmp_type_code"} if "icmp_type" in present else set()
    made = []
    for number in range(4 if "icmp_type" in present else 2):
        six, icmp = bool(number & 1), bool(number & 2)
        fields = tuple(
            (field.column, field.element6 if six else field.element, 16 if six and _is_address(field.column) else field.octets)
            for field in head + (TYPES if icmp else PORTS) + tail
            if field.column in present
        )
        made.append(template(256 + number, fields))
    return tuple(made)


def described(made: Iterable[Template]) -> bytes:
    """Return template records, the same in RFC 3954, section 5.2, and RFC 7011, section 3.4.1."""
    return b"".join(
        struct.pack(">HH", template.number, len(template.fields))
        + b"".join(struct.pack(">HH", element, size) for _, element, size in template.fields)
        for template in made
    )


def announced(made: Iterable[Template], set_id: int, room: int) -> Iterator[tuple[int, bytes]]:
    """Yield sets of template records, as many in each as there is room for: how many, and the set's octets."""
    number, octets = 0, b""
    for one in made:
        record = described((one,))
        if number and 4 + len(octets) + len(record) > room:
            yield number, _set(set_id, octets)
            number, octets = 0, b""
        number, octets = number + 1, octets + record
    if number:
        yield number, _set(set_id, octets)


def options(set_id: int, fields: bytes, record: bytes) -> bytes:
    """Return a set with an options template, and a set with a record of it; both have a multiple of 4 octets.

    Args:
        set_id: Of the set with the template.
        fields: What stands in the template behind its number.
        record: The values.
    """
    return _set(set_id, struct.pack(">H", OPTIONS_TEMPLATE) + fields) + _set(OPTIONS_TEMPLATE, record)


def _set(set_id: int, octets: bytes) -> bytes:
    return struct.pack(">HH", set_id, 4 + len(octets)) + octets


def is_ipv4(address: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which addresses, shape (flows, 16), are IPv4 mapped into IPv6."""
    halves = np.ascontiguousarray(address, np.uint8).view(">u8")
    return np.asarray((halves[:, 0] == 0) & (halves[:, 1] >> 32 == _MAPPED))


def chosen(columns: Columns, made: tuple[Template, ...]) -> Groups:
    """Return the templates that `templates` made, each with the rows of the flows that take it."""
    icmp = np.isin(columns["protocol"], (ICMP, ICMP6)) & ("icmp_type" in columns)
    choice = ~is_ipv4(columns["source_address"]) + 2 * icmp.astype(np.int64)
    return [(template, np.flatnonzero(choice == place)) for place, template in enumerate(made)]


def type_and_code(columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ICMP types and codes as one number, as IPFIX and the destination port of v5 hold them."""
    kinds = columns["icmp_type"][rows].astype(np.int64) * 256
    return np.asarray(kinds + columns["icmp_code"][rows] if "icmp_code" in columns else kinds)


def fill(template: Template, columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.void]:
    """Return the records of the given rows; numbers that are too large for their field keep their low octets."""
    records: NDArray[np.void] = np.zeros(len(rows), template.dtype)
    for name, _, size in template.fields:
        if name == "icmp_type_code":
            records[name] = type_and_code(columns, rows)
        elif _is_address(name):
            records[name] = columns[name][rows][:, 16 - size :]
        elif size not in _INTEGERS:
            records[name] = columns[name][rows].astype(">i8")[:, None].view("u1")[:, 8 - size :]
        else:
            records[name] = columns[name][rows]
    return records


def sets(
    columns: Columns, groups: Groups, exported: NDArray[np.int64], header: np.dtype[np.void], payload: int = PAYLOAD
) -> list[Part]:
    """Return the data sets of some flows, one in each datagram, padded to a multiple of 4 octets.

    Args:
        columns: As the templates name them, times converted to the units of the wire.
        groups: Templates, each with the rows of its flows, ascending.
        exported: When each flow is exported, microseconds, ascending.
        header: The header of a datagram; left empty but for the set's own.
        payload: Octets of the largest datagram.
    """
    parts: list[Part] = []
    for template, rows in groups:
        records = fill(template, columns, rows)
        per = max((payload - header.itemsize - 7) // template.dtype.itemsize, 1)
        for part in cut(records, exported[rows], header, per, set_header=True):
            part.datagrams["set_id"] = template.number
            part.datagrams["set_length"] = part.datagrams.dtype.itemsize - header.itemsize
            parts.append(part)
    return parts


def cut(
    records: NDArray[np.void], exported: NDArray[np.int64], header: np.dtype[np.void], per: int, *, set_header: bool = False
) -> list[Part]:
    """Cut records into datagrams of `per` records and one with what is left.

    Args:
        records: Shape (flows,).
        exported: When each is exported, microseconds, ascending.
        header: The header of a datagram; left empty.
        per: Records in a full datagram.
        set_header: Whether a set header stands before the records, and padding to a multiple of 4 octets after them.
    """
    whole = len(records) // per * per
    parts = []
    for rows, moments, count in (
        (records[:whole], exported[:whole], per),
        (records[whole:], exported[whole:], len(records) - whole),
    ):
        if not len(rows):
            continue
        layout: list[Any] = [("header", header)]
        layout += [("set_id", ">u2"), ("set_length", ">u2")] if set_header else []
        layout += [("records", records.dtype, (count,))]
        padding = -count * records.dtype.itemsize % 4
        layout += [("padding", "u1", (padding,))] if set_header and padding else []
        datagrams: NDArray[np.void] = np.zeros(len(rows) // count, np.dtype(layout))
        datagrams["records"] = rows.reshape(-1, count)
        parts.append(Part(datagrams, moments.reshape(-1, count)[:, -1]))
    return parts


def number(parts: list[Part], first: int, *, by_record: bool) -> tuple[NDArray[np.int64], list[NDArray[np.int64]], int]:
    """Put datagrams in the order of their moments and number them.

    Args:
        parts: All datagrams of a stream's next step.
        first: The sequence number of the first.
        by_record: Whether a sequence number counts records, as in v5 and IPFIX, or datagrams, as in v9.
    Returns:
        The order (indices into all parts joined), the sequence numbers of each part's datagrams, and the number to go on with.
    """
    moments = np.concatenate([part.moments for part in parts])
    steps = np.concatenate([np.full(len(part.moments), part.records if by_record else 1, np.int64) for part in parts])
    order = np.argsort(moments, kind="stable")
    sequence = np.empty(len(order), np.int64)
    ends = np.cumsum(steps[order])
    sequence[order] = first + ends - steps[order]
    return order, np.split(sequence, np.cumsum([len(part.moments) for part in parts])[:-1]), first + int(ends[-1])


def join(parts: list[Part], order: NDArray[np.int64], sequence: int, leading: Sequence[bytes] = ()) -> Datagrams:
    """Return the datagrams of all parts in the given order, behind datagrams of templates if there are any."""
    payloads: list[bytes] = []
    for part in parts:
        size = part.datagrams.dtype.itemsize
        octets = part.datagrams.tobytes()
        payloads += [octets[at : at + size] for at in range(0, len(octets), size)]
    moments = np.concatenate([part.moments for part in parts])[order]
    records = np.concatenate([np.full(len(part.moments), part.records, np.int64) for part in parts])[order]
    payloads = [payloads[at] for at in order.tolist()]
    if leading:
        first = len(leading)
        payloads = [*leading, *payloads]
        moments, records = np.insert(moments, 0, [moments[0]] * first), np.insert(records, 0, [0] * first)
    return Datagrams(payloads, moments, records, sequence & 0xFFFFFFFF)


EMPTY = Datagrams([], np.zeros(0, np.int64), np.zeros(0, np.int64), 0)
"""No datagrams."""
