"""Which templates a stream has: one for each set of fields that flows have, so that what a flow has not is not sent as 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nftui.export.fields import Present
from nftui.export.netflow import Template, template

MOST = 56
"""Templates of a stream; flows of further patterns are told by `CORE` alone. Collectors don't take any number of them."""
AT_ONCE = 48
"""Patterns of one block of flows; those of more are told by `CORE` alone."""
_TIMES = ("flow_start", "flow_end", "uptime_start", "uptime_end")
CORE = frozenset(("source_address", "destination_address", *_TIMES))
"""Columns that are told of every flow."""
_ALWAYS = frozenset(((1, 8), (2, 8), (4, 1), (5, 1), (6, 1), (7, 2), (10, 4), (11, 2), (14, 4), (16, 4), (17, 4)))
"""Elements, and their octets, that are told of every flow, too, as 0 where there is none: counters, protocol, ports, TOS, TCP
flags, interfaces and AS numbers."""
_CORES = 81
"""Ways in which these may have values: either address of two kinds or none, and either time."""
_BITS = 62

Fields = tuple[tuple[str, int, int], ...]
Groups = list[tuple[Template, NDArray[np.int64]]]


class Templates:
    """The templates of one stream.

    Attributes:
        reduced: Flows of which only `CORE` was told, as there were too many patterns.
    """

    def __init__(self) -> None:
        self.reduced = 0
        self._known: dict[Fields, Template] = {}
        self._used: set[Fields] = set()
        self._free = list(range(256 + MOST + _CORES - 1, 255, -1))

    @property
    def all(self) -> list[Template]:
        """Those that there are, in the order in which they were first wanted."""
        return list(self._known.values())

    def age(self) -> None:
        """Forget templates that nothing took since the last call, where there are many."""
        if len(self._known) > MOST // 2:
            for key in self._known.keys() - self._used:
                self._free.append(self._known.pop(key).number)
        self._used.clear()

    def groups(self, fields: Sequence[Present], rows: NDArray[np.int64]) -> Groups:
        """Return the templates that some flows take, each with its flows.

        Args:
            fields: What any of them has.
            rows: Which flows, ascending.
        """
        found, rest = self._grouped(fields, rows, AT_ONCE, MOST)
        if len(rest):
            self.reduced += len(rest)
            core = [one for one in fields if one.column in CORE]
            core += [one._replace(where=True) for one in fields if (one.element, one.octets) in _ALWAYS]
            found += self._grouped(core, rest, _CORES, MOST + _CORES)[0]
        return found

    def _grouped(
        self, fields: Sequence[Present], rows: NDArray[np.int64], most: int, room: int
    ) -> tuple[Groups, NDArray[np.int64]]:
        """Return the first groups, and the flows that are left."""
        masks = {place: one.where[rows] for place, one in enumerate(fields) if not isinstance(one.where, bool)}
        nowhere = {place for place, mask in masks.items() if not mask.any()}
        mixed = [place for place, mask in masks.items() if place not in nowhere and not mask.all()]
        pattern = _numbered([masks[place] for place in mixed], len(rows))
        found: Groups = []
        rest = np.arange(len(rows))
        while len(rest) and len(found) < most:
            one = rest[0]
            without = nowhere.union(place for place in mixed if not masks[place][one])
            key = tuple(each[:3] for place, each in enumerate(fields) if place not in without)
            made = self._template(key, room)
            if made is None:
                break
            alike = pattern[rest] == pattern[one]
            if key:
                found.append((made, rows[rest[alike]]))
            rest = rest[~alike]
        return found, rows[rest]

    def _template(self, key: Fields, room: int) -> Template | None:
        """Return the template of some fields, made where there is none; None where there is no room for another."""
        known = self._known.get(key)
        if known is None and len(self._known) < room:
            known = self._known[key] = template(self._free.pop(), key)
        if known is not None:
            self._used.add(key)
        return known


def _numbered(masks: list[NDArray[np.bool_]], rows: int) -> NDArray[np.int64]:
    """Return a number for each row, the same for rows that are alike in all masks."""
    words = [np.zeros(rows, np.int64) for _ in range(max(-(-len(masks) // _BITS), 1))]
    for place, mask in enumerate(masks):
        words[place // _BITS] |= mask.astype(np.int64) << place % _BITS
    if len(words) == 1:
        return words[0]
    return np.asarray(np.unique(np.stack(words), axis=1, return_inverse=True)[1].reshape(rows))
