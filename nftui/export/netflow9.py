"""NetFlow version 9: columns in, datagrams out. No state, no I/O, no loop over records.

Source: RFC 3954.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nftui.export.netflow import (
    EMPTY,
    HEAD,
    PAYLOAD,
    TAIL,
    Columns,
    Datagrams,
    Field,
    Groups,
    Template,
    announced,
    chosen,
    join,
    number,
    options,
    sets,
)
from nftui.export.netflow import templates as make

# RFC 3954, section 5.1. The time has no more than seconds, so that sysUptime is told for a whole second.
HEADER = np.dtype(
    [
        ("version", ">u2"),
        ("count", ">u2"),
        ("sys_uptime", ">u4"),
        ("unix_seconds", ">u4"),
        ("sequence", ">u4"),
        ("source_id", ">u4"),
    ]
)
TEMPLATE_SET, OPTIONS_SET = 0, 1
# RFC 3954, section 8: FIRST_SWITCHED and LAST_SWITCHED, milliseconds of sysUptime.
TIMES = (Field("flow_start", 22, 22, 4), Field("flow_end", 21, 21, 4))
SECOND = 1_000_000


def encode(
    columns: Columns,
    exported: NDArray[np.int64],
    *,
    domain: int,
    boot: int,
    sequence: int,
    templates: bool = True,
    more: tuple[Field, ...] = (),
) -> Datagrams:
    """Encode flows as NetFlow v9.

    Args:
        columns: Flows, as `netflow` describes; the same columns in all calls of a stream, or the templates sent again.
        exported: When each flow is exported, microseconds since 1970, ascending; none before the flow's end. The header tells
            the next whole second.
        domain: The source id.
        boot: When the exporter started, microseconds since 1970, whole milliseconds.
        sequence: Datagrams sent before, those of templates too.
        templates: Whether a datagram with the templates goes first.
        more: Further fields of the records, at their end; numbers stand in their columns as on the wire.
    """
    if not len(exported):
        return EMPTY._replace(sequence=sequence)
    made = make(columns, HEAD + TIMES, TAIL + more)
    uptimes = {name: (columns[name] // 1000 - boot // 1000) & 0xFFFFFFFF for name in ("flow_start", "flow_end") if name in columns}
    leading = announce(made, int(exported[0]), domain=domain, boot=boot, sequence=sequence) if templates else []
    told = {"domain": domain, "boot": boot, "sequence": sequence + len(leading)}
    return data({**columns, **uptimes}, chosen(columns, made), exported, **told, leading=leading)


def data(
    columns: Columns,
    groups: Groups,
    exported: NDArray[np.int64],
    *,
    domain: int,
    boot: int,
    sequence: int,
    payload: int = PAYLOAD,
    leading: Sequence[bytes] = (),
) -> Datagrams:
    """Encode flows whose templates are told.

    Args:
        columns: As the templates name them, times as on the wire.
        groups: Templates, each with the rows of its flows.
        exported: When each flow is exported, microseconds since 1970, ascending. The header tells the next whole second.
        domain: The source id.
        boot: When the exporter started, microseconds since 1970, whole milliseconds.
        sequence: Datagrams sent before.
        payload: Octets of the largest datagram.
        leading: Datagrams that go first.
    """
    parts = sets(columns, groups, exported, HEADER, payload)
    order, numbers, after = number(parts, sequence, by_record=False)
    for part, sequences in zip(parts, numbers, strict=True):
        header = part.datagrams["header"]
        seconds = -(-part.moments // SECOND)
        header["version"], header["count"], header["source_id"] = 9, part.records, domain
        header["sys_uptime"] = _uptime(seconds, boot)
        header["unix_seconds"], header["sequence"] = seconds, sequences & 0xFFFFFFFF
    return join(parts, order, after, leading)


def announce(
    made: Iterable[Template], moment: int, *, domain: int, boot: int, sequence: int, payload: int = PAYLOAD
) -> list[bytes]:
    """Return datagrams with templates, each with one set (RFC 3954, section 5.2), as few as there is room for."""
    return [
        _header(count, moment, boot, sequence + place, domain) + one
        for place, (count, one) in enumerate(announced(made, TEMPLATE_SET, payload - HEADER.itemsize))
    ]


def announce_sampling(interval: int, moment: int, *, domain: int, boot: int, sequence: int) -> bytes:
    """Return a datagram that tells by options what interval holds for the whole exporter (RFC 3954, sections 6.1 and 8)."""
    # Scope "System", and samplingInterval alone: beside samplingAlgorithm nfcapd 1.7.1 takes no note of it. Two octets of padding.
    fields = struct.pack(">HHHHHH2x", 4, 4, 1, 4, 34, 4)
    return _header(2, moment, boot, sequence, domain) + options(OPTIONS_SET, fields, struct.pack(">II", domain, interval))


def _header(count: int, moment: int, boot: int, sequence: int, domain: int) -> bytes:
    """Return the header of a datagram of so many records, templates among them."""
    seconds = -(-moment // SECOND)
    return struct.pack(">HHIIII", 9, count, _uptime(seconds, boot), seconds, sequence & 0xFFFFFFFF, domain)


def _uptime(seconds: Any, boot: int) -> Any:
    """Return sysUptime at whole seconds since 1970, a number or an array of them: milliseconds since `boot`, 32 bits of them."""
    return (seconds * SECOND - boot) // 1000 & 0xFFFFFFFF
