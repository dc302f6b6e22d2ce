"""Who talks to whom among those who talk most: a matrix of the top values of an either-side key.

Two questions: the top values, whichever side they stand on; and the sums from each of them to each. So any back end answers it, and
a cell is what a filter for that source and that destination sums to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv6Network
from typing import Any

import numpy as np

from nftui.engine.filters import ANY, AddressIn, Compare, Direction, Filter, OneOf, Operator, all_of
from nftui.engine.query import Answer, BackEnd, Measure, Query, Totals

MOST = 250
"""Values of one matrix."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a flow that one kind of value stands at.

    Attributes:
        keys: The keys of source and destination.
        field: What a filter calls them.
        directions: By which it tells them apart.
    """

    keys: tuple[str, str]
    field: str
    directions: tuple[Direction, Direction] = (Direction.SRC, Direction.DST)


ENDS: dict[str, Ends] = {
    "address": Ends(("source_address", "destination_address"), "ip"),
    "port": Ends(("source_port", "destination_port"), "port"),
    "as": Ends(("source_as", "destination_as"), "as"),
    "vlan": Ends(("source_vlan", "destination_vlan"), "vlan"),
    "interface": Ends(("ingress_interface", "egress_interface"), "if", (Direction.IN, Direction.OUT)),
}
"""The either-side keys that a matrix can stand on."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Sums between the top values of a key.

    Attributes:
        key: The either-side key.
        elements: Its top values, best first; addresses as 16 octets.
        sums: Of each measure Int64 of shape (elements, elements): from the row's value to the column's.
        total: Of all flows that the filter takes, whether both ends are among the elements or not.
        top: The answer that the elements are of: it has the coverage.
    """

    key: str
    elements: tuple[Any, ...]
    sums: dict[Measure, np.ndarray[tuple[int, int], np.dtype[np.int64]]]
    total: Totals
    top: Answer


def matrix(back_end: BackEnd, query: Query, key: str, count: int) -> Matrix:
    """Ask for the matrix of a key.

    Args:
        back_end: Who is asked, twice.
        query: For interval, filter, measure, sampling and `contained`.
        key: One of `ENDS`.
        count: How many elements, up to `MOST`.
    Raises:
        StoreError: As the back end does.
    """
    return between(back_end, query, key, back_end.answer(replace(_plain(query), keys=(key,), limit=min(count, MOST))))


def between(back_end: BackEnd, query: Query, key: str, top: Answer) -> Matrix:
    """Ask for the matrix of the values that an answer has: the arguments are those of `matrix`, `top` has groups of the key.

    Raises:
        StoreError: As the back end does.
    """
    elements = tuple(value for value in top.groups[key].to_list() if value is not None)
    sums = {measure: np.zeros((len(elements), len(elements)), np.int64) for measure in Measure}
    if elements:
        pairs = back_end.answer(pairs_of(query, key, elements)).groups
        place = {value: number for number, value in enumerate(elements)}
        rows, columns = (np.array([place[value] for value in pairs[name].to_list()], np.int64) for name in ENDS[key].keys)
        for measure, cells in sums.items():
            cells[rows, columns] = pairs[measure.value].to_numpy()
    return Matrix(key, elements, sums, top.total, top)


def pairs_of(query: Query, key: str, values: tuple[Any, ...]) -> Query:
    """Return the question for what goes from some values of a key to some of them: the same one in whatever order they stand."""
    ends, ordered = ENDS[key], tuple(sorted(values))
    both = [among(ends.field, ordered, direction) for direction in ends.directions]
    return replace(_plain(query), keys=ends.keys, where=all_of(query.where, *both), limit=None)


def _plain(query: Query) -> Query:
    return replace(query, having=ANY, only=None, bins=None, times=False, order=query.measure.value, ascending=False)


def among(field: str, values: tuple[Any, ...], direction: Direction) -> Filter:
    """Return the filter for flows with one of some values on a side."""
    if field == "ip":
        return AddressIn(tuple(IPv6Network(value) for value in values), direction)
    if len(values) == 1:
        return Compare(field, Operator.EQ, values[0], direction)
    return OneOf(field, values, direction)
