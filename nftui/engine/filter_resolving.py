"""What a filter leaves open, filled in: addresses of names, and which files know of places.

It is a step of its own between `parse` and a back end, as it may read files and ask DNS: never on a screen's thread. A tree keeps
its text: what a name stands for and which files are asked is not part of it.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from nftui.engine.filter_fields import Direction
from nftui.engine.filter_tree import And, Compare, Filter, KnownAs, Named, Not, OneOf, Or, Place
from nftui.engine.places import AS, Places
from nftui.errors import FilterError, PlacesError, ResolveError

_ENDS = (Direction.NONE, Direction.SRC, Direction.DST)


class Addresses(Protocol):
    """Who knows what a name stands for."""

    def addresses(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return it.

        Raises:
            ResolveError: Nothing, or nothing that may be looked up.
        """
        ...


def resolved(tree: Filter, names: Addresses, places: Places, text: str = "") -> Filter:
    """Return a tree that leaves nothing open.

    Args:
        tree: As `parse` returned it, or resolved before.
        names: Who is asked for names. It may take the time of a look-up for each.
        places: Which files know of places.
        text: What the tree was parsed from, for the column of an error.
    Raises:
        FilterError: A name stands for nothing, or no file knows of places.
    """
    if isinstance(tree, And | Or):
        return type(tree)(tuple(resolved(term, names, places, text) for term in tree.terms))
    if isinstance(tree, Not):
        return Not(resolved(tree.term, names, places, text))
    try:
        if isinstance(tree, Named) and not tree.networks:
            return replace(tree, networks=names.addresses(tree.name))
        if isinstance(tree, Place):
            places.ranges(tree.field)
            return replace(tree, source=places.identity)
        if isinstance(tree, Compare | OneOf) and tree.field == "as" and tree.direction in _ENDS and places.has(AS):
            places.ranges(AS)
            return KnownAs(tree, places.identity)
    except ResolveError as error:
        raise FilterError(text, _column(text, error.name), error.name, f"{error.name!r} {error.problem}", error.hint) from error
    except PlacesError as error:
        word = tree.field if isinstance(tree, Place) else AS
        raise FilterError(text, _column(text, word), word, str(error)) from error
    return tree


def names_in(tree: Filter) -> dict[str, tuple[IPv4Network | IPv6Network, ...]]:
    """Return the names of a tree, in its order, and what they stand for; () where nobody looked yet."""
    if isinstance(tree, And | Or):
        return {name: found for term in tree.terms for name, found in names_in(term).items()}
    if isinstance(tree, Not):
        return names_in(tree.term)
    return {tree.name: tree.networks} if isinstance(tree, Named) else {}


def _column(text: str, word: str) -> int:
    return max(text.lower().find(word.lower()), 0)
