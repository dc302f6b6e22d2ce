"""Allowed: the addresses and networks that are listened to, and a count of the others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nftui.capture.budgets import Budget
from nftui.capture.sets import Integers, Octets
from nftui.units import MAPPED_PREFIX, address_text

MAX_NAMED = 100
"""Addresses that are not on the list and are named, with how often they sent."""
NAMED_AT_ONCE = 100
"""Of one block at most so many are looked at by name: those who sent most."""
EVENTS_A_MINUTE = 3
_MAPPED_BITS = 96


class AllowList:
    """Addresses and networks. Whether one of many addresses is on it is told for all of them at once, by the prefixes there are."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Take the list.

        Args:
            networks: Addresses, or networks as ADDRESS/LENGTH, of either family.
        Raises:
            ValueError: One is neither.
        """
        by_length: dict[int, list[int]] = {}
        for text in networks:
            network = ipaddress.ip_network(text)
            mapped = network.version == 4
            number = int.from_bytes(MAPPED_PREFIX, "big") << 32 | int(network.network_address) if mapped else int(network[0])
            by_length.setdefault(network.prefixlen + (_MAPPED_BITS if mapped else 0), []).append(number)
        self._prefixes = [(_words(_mask(length)), _sorted(numbers)) for length, numbers in sorted(by_length.items())]

    def mask(self, addresses: Octets) -> npt.NDArray[np.bool_]:
        """Return which addresses are on the list; shape (addresses, 16), network order."""
        found = np.zeros(len(addresses), np.bool_)
        words = np.ascontiguousarray(addresses).view(">u8").astype(np.uint64)
        for mask, (high, low) in self._prefixes:
            mine = words & mask
            # Of networks with the same first half there are few runs: those with the same second half follow each other.
            place = np.searchsorted(high, mine[:, 0])
            last = np.searchsorted(high, mine[:, 0], side="right")
            if (last - place).max(initial=0) <= 1:
                at = np.minimum(place, len(high) - 1)
                found |= (high[at] == mine[:, 0]) & (low[at] == mine[:, 1])
                continue
            for first in np.unique(mine[:, 0]).tolist():
                rows = mine[:, 0] == first
                run = low[np.searchsorted(high, first) : np.searchsorted(high, first, side="right")]
                found[rows] |= np.isin(mine[rows, 1], run)
        return found

    def __contains__(self, address: bytes) -> bool:
        return bool(self.mask(np.frombuffer(address, np.uint8).reshape(1, 16))[0])


@dataclass
class Strangers:
    """What came from addresses that are not on the list, and whom from."""

    datagrams: int = 0
    octets: int = 0
    addresses: dict[bytes, int] = field(default_factory=dict)
    _events: Budget = field(default_factory=lambda: Budget(EVENTS_A_MINUTE / 60, EVENTS_A_MINUTE))

    def count(self, addresses: Octets, length: Integers, now: int) -> list[str]:
        """Count datagrams.

        Args:
            addresses: Shape (datagrams, 16).
            length: Shape (datagrams,), octets.
            now: Microseconds since 1970.
        Returns:
            What is worth telling: some of the addresses that are new, and how they would be listened to.
        """
        self.datagrams += len(length)
        self.octets += int(length.sum())
        different, counts = np.unique(np.ascontiguousarray(addresses).view("S16")[:, 0], return_counts=True)
        first = np.argsort(-counts, kind="stable")[:NAMED_AT_ONCE]
        news = []
        for address, number in zip(different[first].tolist(), counts[first].tolist(), strict=True):
            if self._name(address.ljust(16, b"\0"), number) and self._events.left(now):
                self._events.spend(1)
                name = address_text(address.ljust(16, b"\0"))
                news.append(f'{name}: not on the list, nothing it sends is read; to listen to it, add "{name}" to collector.allow')
        return news

    def status(self) -> dict[str, Any]:
        """Return all of it as JSON-able values, those who sent most first."""
        most = sorted(self.addresses.items(), key=lambda one: -one[1])
        named = {address_text(address): number for address, number in most}
        return {"datagrams": self.datagrams, "octets": self.octets, "addresses": named}

    def _name(self, address: bytes, number: int) -> bool:
        """Count for an address; return whether it is new. With very many the one that sent least makes room."""
        new = address not in self.addresses
        if new and len(self.addresses) >= MAX_NAMED:
            least = min(self.addresses, key=self.addresses.__getitem__)
            if self.addresses[least] > number:
                return True
            del self.addresses[least]
        self.addresses[address] = self.addresses.get(address, 0) + number
        return new


def _mask(length: int) -> int:
    return (1 << 128) - (1 << (128 - length))


def _words(number: int) -> npt.NDArray[np.uint64]:
    return np.array([number >> 64, number & (2**64 - 1)], np.uint64)


def _sorted(numbers: list[int]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    words = np.array([_words(number) for number in sorted(set(numbers))])
    return words[:, 0].copy(), words[:, 1].copy()
