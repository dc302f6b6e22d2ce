"""NetFlow versions 1, 5 and 7: a block of datagrams in, headers and records out. No state, no I/O, no loop over records.

The three have one shape: a header that counts records of a fixed form. A record is read as if a template had announced it, so that
one way leads from records to columns.

Source: Cisco, "NetFlow Export Datagram Format", tables B-1 and B-2 (v1), B-3 and B-4 (v5), B-5 and B-6 (v7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.layouts import Field, Layout, compile_layout
from nftui.capture.messages import Headers
from nftui.capture.sets import Integers, Octets
from nftui.elements import IANA, PADDING

SAMPLING_INTERVAL = 0x3FFF
"""The low 14 bits of the v5 header's sampling field are N of 1 in N; the high 2 are the mode."""
_COMMON = [("version", ">u2"), ("count", ">u2"), ("uptime", ">u4"), ("seconds", ">u4"), ("nanoseconds", ">u4")]
_KEY = ((8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2))
"""What the records of all versions begin with, as information elements: (id, octets)."""


@dataclass(frozen=True)
class Fixed:
    """A protocol whose records have a fixed form.

    Attributes:
        header: Reads a header.
        record: Reads a record.
    """

    header: np.dtype[np.void]
    record: Layout


def _fixed(header: list[tuple[str, str]], *fields: tuple[int, int]) -> Fixed:
    layout = compile_layout(tuple(Field(IANA, element, length) for element, length in (*_KEY, *fields)))
    return Fixed(np.dtype(_COMMON + header), layout)


PROTOCOLS: dict[int, Fixed] = {
    1: _fixed([], (PADDING, 2), (4, 1), (5, 1), (6, 1), (PADDING, 7)),
    5: _fixed(
        [("sequence", ">u4"), ("domain", ">u2"), ("sampling", ">u2")],
        *((PADDING, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (PADDING, 2)),
    ),
    7: _fixed(
        [("sequence", ">u4"), ("reserved", ">u4")],
        *((PADDING, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (PADDING, 2), (PADDING, 4)),
    ),
}
"""By version. Version 1 has no sequence number; only version 5 has a domain (engine type and id) and a sampling interval."""
HEADER_SIZES = {version: protocol.header.itemsize for version, protocol in PROTOCOLS.items()}


@dataclass(frozen=True)
class Records:
    """Records of datagrams of one version.

    Attributes:
        headers: Shape (datagrams,) each; domain and sequence are 0 where the version has none.
        sampling: Shape (datagrams,), N of 1 in N, 0 for none.
        octets: Shape (records,), of the dtype of the version's record.
        datagram: Shape (records,), the datagram of each.
        count: Shape (datagrams,), the records that each header counts.
    """

    headers: Headers
    sampling: Integers
    octets: npt.NDArray[np.void]
    datagram: Integers
    count: Integers


def decode(payload: Octets, rows: Integers, length: Integers, version: int) -> Records:
    """Decode NetFlow v1, v5 or v7 datagrams.

    Args:
        payload: The block, shape (datagrams, width), uint8, C-contiguous; the octets of a row behind its length are stale.
        rows: The rows that hold this version.
        length: Octets received, shape (rows,), each at least those of the header.
        version: 1, 5 or 7.
    Returns:
        The records. A datagram that ends before the records that its header counts is malformed, and those that fit are kept.
    """
    protocol, header_size = PROTOCOLS[version], HEADER_SIZES[version]
    size, width, flat = protocol.record.size, payload.shape[1], payload.reshape(-1)
    header = np.ascontiguousarray(payload[:, :header_size][rows]).view(protocol.header)[:, 0]
    count = header["count"].astype(np.int64)
    present = np.minimum(count, (length - header_size) // size)
    start = rows * width + header_size
    stop, view = start + present * size, memoryview(flat)  # type: ignore[arg-type]
    joined = b"".join([view[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)])
    nothing = np.zeros(len(rows), np.int64)
    fields = header.dtype.names or ()
    numbers = {name: header[name].astype(np.int64) if name in fields else nothing for name in ("domain", "sequence")}
    headers = Headers(
        numbers["domain"],
        numbers["sequence"],
        header["seconds"].astype(np.int64) * 1_000_000 + header["nanoseconds"] // 1000,
        header["uptime"].astype(np.int64),
        length,
        [
            ("fewer records than the header counts", count > present),
            ("octets after the records", length > header_size + count * size),
        ],
    )
    sampling = (header["sampling"] & SAMPLING_INTERVAL).astype(np.int64) if version == 5 else nothing
    octets = np.frombuffer(joined, protocol.record.dtype)
    return Records(headers, sampling, octets, np.repeat(np.arange(len(rows)), present), count)
