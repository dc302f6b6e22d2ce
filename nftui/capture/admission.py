"""Admission: which datagrams of a block are decoded, told for all of them at once before anything is done with one.

Known exporters go through, as long as they are not more than there is time for; newcomers wait for their place (`newcomers.py`). A
datagram that is not let in costs no Python object. sFlow's agents are admitted under their own address, whoever sent the datagram.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nftui.capture import sflow
from nftui.capture.budgets import Budgets
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.exporters import MAX_EXPORTERS, Exporters
from nftui.capture.kinds import IPFIX, OUT, SFLOW, UNKNOWN, V5, V9
from nftui.capture.newcomers import AGAIN, Hashes, Hashing, Mask, Newcomers
from nftui.capture.sets import Integers, Octets
from nftui.units import SECOND

_DOMAINS = {V5: (20, 2), V9: (16, 4), IPFIX: (12, 4)}
"""Kind -> where the header has the observation domain, and its octets."""
LEAST_SENDERS = 64
"""Senders of a block that are read in any case: those that sent most."""
WAIT_US = 60 * SECOND
SEEN_ONCE = "sent by an address that was not seen again, while very many came"
NO_PLACE = "no place among the exporters"
TOO_MANY = "sent by more exporters than there is time for"


class Admission:
    """Lets datagrams in.

    Attributes:
        newcomers: Those without a place.
    """

    def __init__(self, exporters: Exporters, budgets: Budgets) -> None:
        self.newcomers = Newcomers()
        self._exporters, self._budgets = exporters, budgets
        self._hashing = Hashing()
        self._known = np.empty(0, np.uint64)
        self._places = -1
        self._settled = 0

    def admit(self, block: DatagramBlock, payload: Octets, length: Integers, kind: Octets, now: int) -> Iterator[DatagramBlock]:
        """Let in what may be decoded.

        Args:
            block: The datagrams.
            payload: Their octets, C-contiguous.
            length: Shape (datagrams,).
            kind: Shape (datagrams,), what each is; `OUT` is put where one is not let in.
            now: Microseconds since 1970.
        Returns:
            Datagrams that came earlier, of exporters that have their place by now; to be decoded first.
        """
        identity = block.exporter
        if (rows := np.flatnonzero(kind == SFLOW)).size:
            identity = identity.copy()
            identity[rows] = sflow.identities(payload, rows, length[rows], identity[rows])
        hashes = self._hashing.of(identity)
        known = self._knows(hashes) | (kind == OUT)
        released = self._settle(now)
        if not known.all():
            rows = np.flatnonzero(~known)
            released += self._meet(block, rows, hashes[rows], identity[rows], kind, now)
        rows = np.flatnonzero(kind != OUT)
        senders, met = self._budgets.senders, self._exporters.met
        senders.newer.spend(met[False])
        senders.settled.spend(met[True])
        met[False] = met[True] = 0
        if len(rows) > min(senders.newer.left(now), senders.settled.left(now)):
            self._choose(block, payload, rows, hashes[rows], identity[rows], kind, now)
        return iter(released)

    def sweep(self, now: int) -> None:
        """Forget what waits for long."""
        self._refuse(*self.newcomers.waiting.expire(now - WAIT_US), SEEN_ONCE, now)

    def _settle(self, now: int) -> list[DatagramBlock]:
        """When the rush is over, give a place to those who wait; looked at once a second."""
        waiting, calm = self.newcomers.waiting, self.newcomers.calm
        if not waiting.datagrams or 0 <= now - self._settled < SECOND:
            return []
        self._settled = now
        addresses = waiting.addresses()
        hashes, first = np.unique(self._hashing.of(addresses), return_index=True)
        if len(hashes) > min(calm.left(now), MAX_EXPORTERS - len(self._exporters.by_address)):
            return []
        calm.spend(len(hashes))
        for place in first.tolist():
            self._exporters.exporter(addresses[place].tobytes(), now)
        return list(waiting.release(hashes))

    def _knows(self, hashes: Hashes) -> Mask:
        if self._places != self._exporters.places:
            addresses = b"".join(self._exporters.by_address)
            self._known = np.sort(self._hashing.of(np.frombuffer(addresses, np.uint8).reshape(-1, 16)))
            self._places = self._exporters.places
        if not len(self._known):
            return np.zeros(len(hashes), np.bool_)
        place = np.minimum(np.searchsorted(self._known, hashes), len(self._known) - 1)
        return np.asarray(self._known[place] == hashes)

    def _meet(
        self, block: DatagramBlock, rows: Integers, hashes: Hashes, identity: Octets, kind: Octets, now: int
    ) -> list[DatagramBlock]:
        """Meet newcomers: give a place to those who may have one, and have the others wait."""
        newcomers, exporters = self.newcomers, self._exporters
        different, first, index, counts = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
        waiting = newcomers.waiting.datagrams > 0
        free = MAX_EXPORTERS - len(exporters.by_address)
        if len(different) <= min(newcomers.calm.left(now), free):
            newcomers.calm.spend(len(different))
            chosen = np.arange(len(different))
            seen = counts
            rushed = False
        else:
            rushed = True
            seen = newcomers.see(different, counts)
            again = np.flatnonzero(seen >= AGAIN)
            chosen = again[np.argsort(-seen[again], kind="stable")][: newcomers.rush.left(now)]
        admitted = np.zeros(len(different), np.bool_)
        for place in chosen.tolist():
            address = identity[first[place]].tobytes()
            met = exporters.exporter(address, now, int(seen[place]))
            if met is exporters.other:
                # Those who follow have sent less.
                break
            met.rushed = rushed
            admitted[place] = True
        if len(chosen) < len(different) or not admitted.all():
            newcomers.rush.spend(int(admitted.sum()))
            self._keep(block, rows, hashes, identity, kind, ~admitted[index.reshape(-1)], now)
        if not waiting or not admitted.any():
            return []
        return list(newcomers.waiting.release(different[admitted]))

    def _keep(
        self, block: DatagramBlock, rows: Integers, hashes: Hashes, identity: Octets, kind: Octets, refused: Mask, now: int
    ) -> None:
        """Have datagrams wait that are of a known protocol, and count the others."""
        sound = kind[rows] > UNKNOWN
        some = np.flatnonzero(refused & sound)
        lost = rows[refused & ~sound]
        self._refuse(len(lost), int(block.length[lost].sum()), NO_PLACE, now)
        self._refuse(*self.newcomers.waiting.keep(block, rows[some], hashes[some], identity[some]), SEEN_ONCE, now)
        kind[rows[refused]] = OUT

    def _refuse(self, datagrams: int, octets: int, reason: str, now: int) -> None:
        if datagrams:
            other = self._exporters.other
            other.datagrams += datagrams
            other.octets += octets
            other.last_seen = max(other.last_seen, now)
            self._exporters.unread(other, now, reason, datagrams)

    def _choose(
        self, block: DatagramBlock, payload: Octets, rows: Integers, hashes: Hashes, identity: Octets, kind: Octets, now: int
    ) -> None:
        """Leave out the senders for whom there is no time: those of newer exporters that sent least."""
        domain = np.zeros(len(rows), np.uint64)
        for number, (at, size) in _DOMAINS.items():
            of = np.flatnonzero(kind[rows] == number)
            words = payload[rows[of], at : at + size].astype(np.uint64)
            for octet in range(size):
                domain[of] = domain[of] << np.uint64(8) | words[:, octet]
        port = block.source_port[rows].astype(np.uint64)
        keys = hashes + (domain << np.uint64(20) | port << np.uint64(4) | kind[rows]) * np.uint64(0x9E3779B97F4A7C15)
        _, first, index, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        by_address, raw = self._exporters.by_address, identity[first].tobytes()
        owners = [by_address.get(raw[at : at + 16], self._exporters.other) for at in range(0, len(raw), 16)]
        settled = np.array([owner.settled(now) for owner in owners])
        fine = np.zeros(len(first), np.bool_)
        for budget, mine in ((self._budgets.senders.newer, ~settled), (self._budgets.senders.settled, settled)):
            order = np.flatnonzero(mine)[np.argsort(-counts[mine], kind="stable")]
            fine[order[: max(budget.left(now), LEAST_SENDERS)]] = True
        if fine.all():
            return
        out, left = ~fine, np.flatnonzero(~fine)
        octets = np.bincount(index.reshape(-1), block.length[rows], len(first))
        for place in left.tolist():
            owner = owners[place]
            owner.datagrams += int(counts[place])
            owner.octets += int(octets[place])
            owner.last_seen = max(owner.last_seen, now)
            self._exporters.count_quietly(owner, TOO_MANY, int(counts[place]), now)
        kind[rows[out[index.reshape(-1)]]] = OUT
