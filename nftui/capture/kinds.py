"""Kinds: what each datagram of a block is, told by its first octets."""

from __future__ import annotations

import numpy as np

from nftui.capture.sets import Integers, Octets
from nftui.capture.sockets import SFLOW_PORT

OUT, UNKNOWN, V1, V5, V7, V9, IPFIX, SFLOW = range(8)
"""Left out; of no protocol that is read; and the protocols."""
VERSIONS = {V1: 1, V5: 5, V7: 7, V9: 9, IPFIX: 10}
"""Kind -> version in the header."""
_MAYBE = 8
"""What begins as sFlow does."""
_SFLOW_VERSION = 5
_BY_HEAD = np.full(1 << 16, UNKNOWN, np.uint8)
_BY_HEAD[list(VERSIONS.values())] = list(VERSIONS)
_BY_HEAD[0] = _MAYBE


def kinds_of(payload: Octets, length: Integers, local_port: int) -> Octets:
    """Return the kind of each datagram.

    Args:
        payload: The block, shape (datagrams, width >= 4); octets behind a datagram's length are stale.
        length: Shape (datagrams,).
        local_port: Where they were sent to: at 6343 everything is taken for sFlow.
    """
    if local_port == SFLOW_PORT:
        return np.full(len(length), SFLOW, np.uint8)
    kind: Octets = _BY_HEAD[payload[:, 0].astype(np.int64) << 8 | payload[:, 1]]
    kind[length < 2] = UNKNOWN
    maybe = kind == _MAYBE
    if maybe.any():
        kind[maybe] = UNKNOWN
        kind[maybe & (length >= 4) & (payload[:, 2] == 0) & (payload[:, 3] == _SFLOW_VERSION)] = SFLOW
    return kind
