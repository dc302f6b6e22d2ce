"""NetFlow version 5: a block of datagrams in, headers and records out. No state, no I/O, no loop over datagrams or records.

The record is read as if a template had announced it, so that one way leads from records to columns.

Source: Cisco, "NetFlow Export Datagram Format", tables B-3 (header) and B-4 (record).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nftui.capture.layouts import Field, Layout, compile_layout
from nftui.capture.messages import Headers
from nftui.capture.sets import Integers, Octets
from nftui.elements import IANA, PADDING

VERSION = 5
HEADER_SIZE, RECORD_SIZE, MAX_RECORDS = 24, 48, 30
HEADER = np.dtype(
    [
        ("version", ">u2"),
        ("count", ">u2"),
        ("uptime", ">u4"),
        ("seconds", ">u4"),
        ("nanoseconds", ">u4"),
        ("sequence", ">u4"),
        ("engine", ">u2"),
        ("sampling", ">u2"),
    ]
)
_FIELDS = (
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2),
    (PADDING, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (PADDING, 2),
)  # fmt: skip
RECORD: Layout = compile_layout(tuple(Field(IANA, element, length) for element, length in _FIELDS))
"""The record as information elements: (id, octets) in the order of table B-4."""
SAMPLING_INTERVAL = 0x3FFF
"""The low 14 bits of the header's sampling field are N of 1 in N; the high 2 are the mode."""


def decode(payload: Octets, rows: Integers, length: Integers) -> tuple[Headers, Integers, npt.NDArray[np.void], Integers, Integers]:
    """Decode NetFlow v5 datagrams.

    Args:
        payload: The block, shape (datagrams, width >= 24), uint8, C-contiguous; the octets of a row behind its length are stale.
        rows: The rows that hold version 5.
        length: Octets received, shape (rows,), each at least 24.
    Returns:
        The headers; the sampling interval, shape (rows,), 0 for none; the records, of the dtype of `RECORD`; the index into
        `rows` that each record came from; and the records that each header counts. A datagram that ends before the records
        that its header counts is malformed, and those that fit are kept.
    """
    width, flat = payload.shape[1], payload.reshape(-1)
    header = np.ascontiguousarray(payload[:, :HEADER_SIZE][rows]).view(HEADER)[:, 0]
    count = header["count"].astype(np.int64)
    present = np.clip(np.minimum(count, (length - HEADER_SIZE) // RECORD_SIZE), 0, MAX_RECORDS)
    start = rows * width + HEADER_SIZE
    stop, view = start + present * RECORD_SIZE, memoryview(flat)  # type: ignore[arg-type]
    joined = b"".join([view[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)])
    records = np.frombuffer(joined, RECORD.dtype)
    headers = Headers(
        header["engine"].astype(np.int64),
        header["sequence"].astype(np.int64),
        header["seconds"].astype(np.int64) * 1_000_000 + header["nanoseconds"] // 1000,
        header["uptime"].astype(np.int64),
        length,
        [("fewer records than the header counts", count > present)],
    )
    datagram = np.repeat(np.arange(len(rows)), present)
    return headers, (header["sampling"] & SAMPLING_INTERVAL).astype(np.int64), records, datagram, count
