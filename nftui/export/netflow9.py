"""NetFlow version 9: columns in, datagrams out. No state, no I/O, no loop over records.

Source: RFC 3954.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from nftui.export.netflow import EMPTY, HEAD, TAIL, Columns, Datagrams, Field, Template, described, join, number, sets
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
TEMPLATE_SET = 0
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
    parts = sets({**columns, **uptimes}, made, exported, HEADER)
    order, numbers, after = number(parts, sequence + templates, by_record=False)
    for part, sequences in zip(parts, numbers, strict=True):
        header = part.datagrams["header"]
        seconds = -(-part.moments // SECOND)
        header["version"], header["count"], header["source_id"] = 9, part.records, domain
        header["sys_uptime"] = (seconds * SECOND - boot) // 1000 & 0xFFFFFFFF
        header["unix_seconds"], header["sequence"] = seconds, sequences & 0xFFFFFFFF
    leading = _announce(made, -(-int(exported[0]) // SECOND), domain, boot, sequence) if templates else b""
    return join(parts, order, after, leading)


def _announce(made: tuple[Template, ...], seconds: int, domain: int, boot: int, sequence: int) -> bytes:
    """Return a datagram with all templates in one set (RFC 3954, section 5.2)."""
    body = described(made)
    uptime = (seconds * SECOND - boot) // 1000 & 0xFFFFFFFF
    header = struct.pack(">HHIIII", 9, len(made), uptime, seconds, sequence & 0xFFFFFFFF, domain)
    return header + struct.pack(">HH", TEMPLATE_SET, 4 + len(body)) + body
