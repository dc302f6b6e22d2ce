"""Exporters, as nfdump's files tell of them: a number that records refer to, an address, a domain, and what they spoke.

    type 16 = 7, size 16 = 32, version 32, address 128, family 16, number 16, id 32

Source: exporter.h of nfdump 1.6 and 1.7 (exporter_info_record).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.nfdump.columns import number

EXPORTER_TYPE = 7
SIZE = 32
SFLOW = 9999
OUR_SFLOW = 1005
_IPV4 = 2
"""AF_INET of every system that nfdump runs on; that of IPv6 differs."""
_PLACES = ((4, 8), (8, 16), (16, 24), (24, 26), (26, 28), (28, 32))
_SPOKEN = {1: 1, 5: 5, 7: 7, 9: 9, 10: 10, SFLOW: OUR_SFLOW}


class Exporters:
    """The exporters that a file has told of so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[int, tuple[bytes, int, int]] = {}

    def take(self, octets: bytes, order: str) -> None:
        """Take a record of an exporter; one that is too short says nothing."""
        if len(octets) < SIZE:
            return
        version, high, low, family, place, domain = (number(octets[at:end], order) for at, end in _PLACES)
        if family == _IPV4:
            address = bytes(10) + b"\xff\xff" + (low & 0xFFFFFFFF).to_bytes(4, "big")
        else:
            address = high.to_bytes(8, "big") + low.to_bytes(8, "big")
        self._known[place] = address, domain, _SPOKEN.get(version, 0)

    def told(self, numbers: npt.NDArray[Any]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8], npt.NDArray[Any]]:
        """Return what is known of the exporters of many records.

        Args:
            numbers: What the records refer to, shape (records,).
        Returns:
            Whether anything is known; the addresses, shape (records, 16); and domain and version (0 for none), shape (records, 2).
        """
        top = max(self._known, default=0) + 1
        known, address, more = np.zeros(top + 1, np.bool_), np.zeros((top + 1, 16), np.uint8), np.zeros((top + 1, 2), np.int64)
        for place, (octets, domain, version) in self._known.items():
            known[place], address[place], more[place] = True, np.frombuffer(octets, np.uint8), (domain, version)
        at = np.minimum(numbers.astype(np.int64), top)
        return known[at], address[at], more[at]
