"""Fragments: the first one has the ports, the later ones are given them while it is remembered.

Source: RFC 791, section 3.2 and RFC 8200, section 4.5: fragments of one packet have source, destination, protocol and
identification in common.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import Mask
from nftui.capture.internet import FIRST_FRAGMENT, LATER_FRAGMENT
from nftui.capture.packets import Packets
from nftui.capture.probe.keys import KEY_WORDS, Seed, Words

REMEMBERED = 1 << 13
"""First fragments that are kept, at most; the oldest make room."""


class CarriedPorts:
    """Ports of fragmented packets."""

    def __init__(self, seed: Seed) -> None:
        """Begin with none."""
        self._seed = seed
        self._hashes: Words = np.zeros(0, np.uint64)
        self._ports: npt.NDArray[np.int64] = np.zeros((0, 2), np.int64)

    def carry(self, found: Packets, numbers: dict[str, npt.NDArray[Any]], fragment: npt.NDArray[Any], usable: Mask) -> None:
        """Give later fragments their ports.

        Args:
            found: The packets.
            numbers: `source_port` and `destination_port` are replaced; the rest is read.
            fragment: Shape (packets,), as `found` has it.
            usable: Shape (packets,), which have addresses.
        """
        first = np.flatnonzero(usable & (fragment == FIRST_FRAGMENT) & (numbers["destination_port"] >= 0))
        later = np.flatnonzero(usable & (fragment == LATER_FRAGMENT))
        if len(first):
            ports = np.column_stack([numbers["source_port"][first], numbers["destination_port"][first]]).astype(np.int64)
            self._hashes = np.concatenate([self._hashes, self._hash(found, numbers, first)])[-REMEMBERED:]
            self._ports = np.concatenate([self._ports, ports])[-REMEMBERED:]
        if not len(later) or not len(self._hashes):
            return
        order = np.argsort(self._hashes, kind="stable")
        wanted = self._hash(found, numbers, later)
        place = np.searchsorted(self._hashes[order], wanted, side="right") - 1
        match = order[np.maximum(place, 0)]
        known = (place >= 0) & (self._hashes[match] == wanted)
        for column, name in enumerate(("source_port", "destination_port")):
            numbers[name] = numbers[name].copy()
            numbers[name][later[known]] = self._ports[match[known], column]

    def _hash(self, found: Packets, numbers: dict[str, npt.NDArray[Any]], rows: npt.NDArray[np.int64]) -> Words:
        words = np.zeros((len(rows), KEY_WORDS), np.uint64)
        words[:, 0:2] = found.source[rows].view(np.uint64)
        words[:, 2:4] = found.destination[rows].view(np.uint64)
        protocol, number = numbers["protocol"][rows].astype(np.int64), found.number("identification")[rows]
        words[:, 4] = ((protocol & 0xFF) << 32 | number & 0xFFFFFFFF).view(np.uint64)
        return self._seed.hash(words)
