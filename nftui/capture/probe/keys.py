"""Keys: what makes packets one flow, as words that are compared and hashed, a row a packet.

Seven things are the key, as NetFlow has them: source and destination address, their ports, protocol, TOS, and the interface, which
here knows the direction too. Of both directions together addresses, ports, protocol and interface are: the TOS may differ.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import Mask
from nftui.capture.sets import Integers

Words = npt.NDArray[np.uint64]
KEY_WORDS = 5
"""Source and destination, two words each as raw octets, and one for the rest."""
SLOTS, DIRECTIONS = 1 << 13, 1 << 2
"""Interfaces and directions that are told apart: a slot is the number of an interface, times `DIRECTIONS`, and a direction."""
_SOURCE, _DESTINATION, _PROTOCOL, TOS = 48, 32, 24, 16
IPV6, _PORTS, _PROTOCOL_KNOWN = 1 << 15, 1 << 14, 1 << 13
_ONE_WAY_BITS = 0xFF << TOS | (DIRECTIONS - 1)


class Seed:
    """Secret multipliers, so that nobody can choose packets whose keys all hash alike.

    Each word is multiplied twice before words are added, with its upper half laid over the lower in between. Once is not enough:
    the highest bit comes through one multiplication as itself, whatever the secret, and another word could take it back.
    """

    SIZE = 2 * KEY_WORDS + 1

    def __init__(self, multipliers: Words | None = None) -> None:
        """Draw them, or take those of a test."""
        drawn = [secrets.randbits(64) | 1 for _ in range(self.SIZE)]
        self.multipliers = np.array(drawn, np.uint64) if multipliers is None else multipliers

    def hash(self, keys: Words) -> Words:
        """Return a hash of each key.

        Args:
            keys: Shape (packets, KEY_WORDS).
        Returns:
            Shape (packets,).
        """
        mixed = np.zeros(len(keys), np.uint64)
        for word in range(KEY_WORDS):
            one = keys[:, word] * self.multipliers[2 * word]
            one ^= one >> np.uint64(32)
            one *= self.multipliers[2 * word + 1]
            mixed += one
        mixed ^= mixed >> np.uint64(29)
        mixed *= self.multipliers[-1]
        mixed ^= mixed >> np.uint64(32)
        return np.asarray(mixed)


def pack(
    source: npt.NDArray[np.uint8],
    destination: npt.NDArray[np.uint8],
    numbers: dict[str, npt.NDArray[Any]],
    slot: Integers | int,
) -> Words:
    """Make keys.

    Args:
        source: Shape (packets, 16), network order.
        destination: The same.
        numbers: Shape (packets,), `source_port`, `destination_port`, `protocol`, `tos` and `ip_version`; below zero where there is
            none.
        slot: Which interface and direction, below `SLOTS`; one for all, or shape (packets,).
    Returns:
        Shape (packets, KEY_WORDS).
    """
    keys = np.empty((len(source), KEY_WORDS), np.uint64)
    keys[:, 0:2] = source.view(np.uint64)
    keys[:, 2:4] = destination.view(np.uint64)
    from_port, to_port, protocol = (numbers[name].astype(np.int64) for name in ("source_port", "destination_port", "protocol"))
    rest = np.where((from_port >= 0) & (to_port >= 0), from_port << _SOURCE | to_port << _DESTINATION | _PORTS, 0)
    rest |= np.where(protocol >= 0, protocol << _PROTOCOL | _PROTOCOL_KNOWN, 0)
    rest |= np.maximum(numbers["tos"], 0).astype(np.int64) << TOS
    rest |= np.where(numbers["ip_version"] == 6, IPV6, 0)
    rest |= slot
    keys[:, 4] = rest.view(np.uint64)
    return keys


def part_of_protocol(protocol: int, ports: bool) -> int:
    """Return what a protocol, and whether it has ports, are in the last word."""
    return protocol << _PROTOCOL | _PROTOCOL_KNOWN | (_PORTS if ports else 0)


def both_ways(keys: Words) -> tuple[Words, npt.NDArray[np.int64]]:
    """Make one key of both directions: the lower end comes first.

    Returns:
        The keys, and for each packet 1 where its source is the end that comes second.
    """
    rest = keys[:, 4]
    sport, dport = rest >> np.uint64(_SOURCE), rest >> np.uint64(_DESTINATION) & np.uint64(0xFFFF)
    equal0, equal1 = keys[:, 0] == keys[:, 2], keys[:, 1] == keys[:, 3]
    turned = (keys[:, 0] > keys[:, 2]) | equal0 & ((keys[:, 1] > keys[:, 3]) | equal1 & (sport > dport))
    ordered = keys.copy()
    ordered[:, 4] &= np.uint64(~_ONE_WAY_BITS & (1 << 64) - 1)
    ordered[turned] = ordered[turned][:, [2, 3, 0, 1, 4]]
    low = ordered[turned, 4] & np.uint64(0xFFFFFFFF)
    ordered[turned, 4] = dport[turned] << np.uint64(_SOURCE) | sport[turned] << np.uint64(_DESTINATION) | low
    return ordered, turned.astype(np.int64)


def turn(keys: Words) -> Words:
    """Return the keys of the other direction."""
    turned = keys[:, [2, 3, 0, 1, 4]]
    rest = keys[:, 4]
    ports = rest >> np.uint64(_DESTINATION)
    ports = ports >> np.uint64(16) | (ports & np.uint64(0xFFFF)) << np.uint64(16)
    turned[:, 4] = ports << np.uint64(_DESTINATION) | rest & np.uint64(0xFFFFFFFF)
    return turned


def unpack(keys: Words) -> tuple[dict[str, tuple[npt.NDArray[Any], Mask | None]], Integers]:
    """Return what keys say.

    Returns:
        Columns of `schema.py` with masks of where they stand, and the slots.
    """
    rest = keys[:, 4].astype(np.int64)
    has_ports, has_protocol = (rest & _PORTS) != 0, (rest & _PROTOCOL_KNOWN) != 0
    return {
        "source_address": (np.ascontiguousarray(keys[:, 0:2]).view(np.uint8).reshape(-1, 16), None),
        "destination_address": (np.ascontiguousarray(keys[:, 2:4]).view(np.uint8).reshape(-1, 16), None),
        "source_port": (rest >> _SOURCE & 0xFFFF, has_ports),
        "destination_port": (rest >> _DESTINATION & 0xFFFF, has_ports),
        "protocol": (rest >> _PROTOCOL & 0xFF, has_protocol),
        "tos": (rest >> TOS & 0xFF, None),
        "ip_version": (np.where((rest & IPV6) != 0, 6, 4), None),
    }, rest & (SLOTS - 1)


def one_way(keys: Words) -> Integers:
    """Return the part of keys that `both_ways` leaves out: TOS and direction."""
    return (keys[:, 4] & np.uint64(_ONE_WAY_BITS)).astype(np.int64)


def with_one_way(keys: Words, part: Integers) -> Words:
    """Put the part that `one_way` returned back into keys."""
    whole = keys.copy()
    whole[:, 4] |= part.view(np.uint64)
    return whole
