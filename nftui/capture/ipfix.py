"""IPFIX: headers, and what its sets are called. No state, no I/O.

Source: RFC 7011, sections 3.1 (message header) and 3.3.2 (set ids).
"""

from __future__ import annotations

import struct

import numpy as np

from nftui.capture.messages import Headers
from nftui.capture.sets import SET_HEADER, Integers, Octets
from nftui.capture.values import NO_UPTIME

VERSION = 10
HEADER_SIZE = 16
TEMPLATE_SET, OPTIONS_TEMPLATE_SET = 2, 3
HEADER = np.dtype([("version", ">u2"), ("length", ">u2"), ("seconds", ">u4"), ("sequence", ">u4"), ("domain", ">u4")])


def read_headers(payload: Octets, rows: Integers, length: Integers) -> Headers:
    """Read the headers of IPFIX messages, one a datagram.

    Args:
        payload: The block, shape (datagrams, width >= 16), uint8.
        rows: The rows that hold IPFIX.
        length: Octets received, shape (rows,), each at least 16.
    Returns:
        The headers; a message ends where its header says, at most with its datagram.
    """
    header = np.ascontiguousarray(payload[:, :HEADER_SIZE][rows]).view(HEADER)[:, 0]
    stated = header["length"].astype(np.int64)
    short = stated < HEADER_SIZE
    return Headers(
        header["domain"].astype(np.int64),
        header["sequence"].astype(np.int64),
        header["seconds"].astype(np.int64) * 1_000_000,
        np.full(len(rows), NO_UPTIME, np.int64),
        np.where(short, 0, np.minimum(length, stated)),
        [
            ("message shorter than its header", short),
            ("message longer than its datagram", ~short & (stated > length)),
            ("octets after the message", ~short & (stated < length)),
        ],
    )


def message(header: bytes, identity: int, content: bytes) -> bytes:
    """Return a message of one set, with the header of another; its length is put right."""
    body = struct.pack(">HH", identity, SET_HEADER + len(content)) + content
    return header[:2] + struct.pack(">H", HEADER_SIZE + len(body)) + header[4:] + body
