"""IPFIX: columns in, messages out. No state, no I/O, no loop over records.

Source: RFC 7011.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

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

# RFC 7011, section 3.1. The sequence number counts the data records sent before, whatever their template.
HEADER = np.dtype(
    [
        ("version", ">u2"),
        ("length", ">u2"),
        ("export_time", ">u4"),
        ("sequence", ">u4"),
        ("observation_domain", ">u4"),
    ]
)
TEMPLATE_SET, OPTIONS_SET = 2, 3
# flowStartMilliseconds and flowEndMilliseconds, since 1970.
TIMES = (Field("flow_start", 152, 152, 8), Field("flow_end", 153, 153, 8))
REASON = (Field("flow_end_reason", 136, 136, 1),)


def encode(columns: Columns, exported: NDArray[np.int64], *, domain: int, sequence: int, templates: bool = True) -> Datagrams:
    """Encode flows as IPFIX for UDP.

    Args:
        columns: Flows, as `netflow` describes; the same columns in all calls of a stream, or the templates sent again.
        exported: When each flow is exported, microseconds since 1970, ascending; the header tells the next whole second.
        domain: The observation domain.
        sequence: Data records sent before.
        templates: Whether a message with the templates goes first.
    """
    if not len(exported):
        return EMPTY._replace(sequence=sequence)
    made = make(columns, HEAD + TIMES, TAIL + REASON)
    milliseconds = {name: columns[name] // 1000 for name in ("flow_start", "flow_end") if name in columns}
    leading = announce(made, int(exported[0]), domain=domain, sequence=sequence) if templates else []
    groups = chosen(columns, made)
    return data({**columns, **milliseconds}, groups, exported, domain=domain, sequence=sequence, leading=leading)


def data(
    columns: Columns,
    groups: Groups,
    exported: NDArray[np.int64],
    *,
    domain: int,
    sequence: int,
    payload: int = PAYLOAD,
    leading: Sequence[bytes] = (),
) -> Datagrams:
    """Encode flows whose templates are told.

    Args:
        columns: As the templates name them, times as on the wire.
        groups: Templates, each with the rows of its flows.
        exported: When each flow is exported, microseconds since 1970, ascending; the header tells the next whole second.
        domain: The observation domain.
        sequence: Data records sent before.
        payload: Octets of the largest message.
        leading: Messages that go first.
    """
    parts = sets(columns, groups, exported, HEADER, payload)
    order, numbers, after = number(parts, sequence, by_record=True)
    for part, sequences in zip(parts, numbers, strict=True):
        header = part.datagrams["header"]
        header["version"], header["length"] = 10, part.datagrams.dtype.itemsize
        header["export_time"], header["sequence"] = -(-part.moments // 1_000_000), sequences & 0xFFFFFFFF
        header["observation_domain"] = domain
    return join(parts, order, after, leading)


def announce(made: Iterable[Template], moment: int, *, domain: int, sequence: int, payload: int = PAYLOAD) -> list[bytes]:
    """Return messages with templates, each with one set (RFC 7011, sections 3.4.1 and 8.4), as few as there is room for."""
    return [
        _header(len(one), moment, sequence, domain) + one for _, one in announced(made, TEMPLATE_SET, payload - HEADER.itemsize)
    ]


def announce_sampling(interval: int, moment: int, *, domain: int, sequence: int) -> bytes:
    """Return a message that tells by options what interval holds for the observation domain (RFC 7011, section 3.4.2.2).

    It has one data record, which counts in the sequence.
    """
    # Two fields, of which the first is the scope, observationDomainId. Beside samplingAlgorithm nfcapd 1.7.1 takes no note of
    # samplingInterval. Two octets of padding.
    fields = struct.pack(">HHHHHH2x", 2, 1, 149, 4, 34, 4)
    sets = options(OPTIONS_SET, fields, struct.pack(">II", domain, interval))
    return _header(len(sets), moment, sequence, domain) + sets


def _header(length: int, moment: int, sequence: int, domain: int) -> bytes:
    """Return the header of a message whose sets have so many octets."""
    return struct.pack(">HHIII", 10, HEADER.itemsize + length, -(-moment // 1_000_000), sequence & 0xFFFFFFFF, domain)
