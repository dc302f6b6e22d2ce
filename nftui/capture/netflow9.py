"""NetFlow version 9: headers, and what its sets are called. No state, no I/O.

Source: RFC 3954, sections 5.1 (header) and 5.2 to 5.3 (template and data FlowSets).
"""

from __future__ import annotations

import struct

import numpy as np

from nftui.capture.messages import Headers
from nftui.capture.sets import SET_HEADER, Integers, Octets

VERSION = 9
HEADER_SIZE = 20
TEMPLATE_SET, OPTIONS_TEMPLATE_SET = 0, 1
HEADER = np.dtype(
    [("version", ">u2"), ("count", ">u2"), ("uptime", ">u4"), ("seconds", ">u4"), ("sequence", ">u4"), ("source_id", ">u4")]
)


def read_headers(payload: Octets, rows: Integers, length: Integers) -> Headers:
    """Read the headers of NetFlow v9 datagrams.

    Args:
        payload: The block, shape (datagrams, width >= 20), uint8.
        rows: The rows that hold version 9.
        length: Octets received, shape (rows,), each at least 20.
    """
    header = np.ascontiguousarray(payload[:, :HEADER_SIZE][rows]).view(HEADER)[:, 0]
    return Headers(
        header["source_id"].astype(np.int64),
        header["sequence"].astype(np.int64),
        header["seconds"].astype(np.int64) * 1_000_000,
        header["uptime"].astype(np.int64),
        length,
        [],
    )


def message(header: bytes, identity: int, content: bytes) -> bytes:
    """Return a message of one set, with the header of another."""
    return header + struct.pack(">HH", identity, SET_HEADER + len(content)) + content
