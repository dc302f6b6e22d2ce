"""Compiles a filter's tree to an expression over the columns of `schema.POLARS`.

Two rules shape every leaf. Absent is false: a leaf is never null, so that `not` keeps the flows that lack a column. And the leaf
stays prunable: `compared & column.is_not_null()` lets the statistics of a Parquet file skip row groups, while `fill_null(False)`
around the comparison reads them all (12 times slower for a rare host in a sorted file).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import partial, reduce, singledispatch
from ipaddress import IPv4Network

import polars as pl

from nftui.engine import places
from nftui.engine.filter_fields import FIELDS, RELATIONS, Direction, Kind, Operator
from nftui.engine.filter_tree import (
    AddressIn,
    And,
    Any_,
    Compare,
    Family,
    Filter,
    Flags,
    KnownAs,
    Named,
    Network,
    Not,
    OneOf,
    Or,
    Place,
    Relation,
    Text,
)
from nftui.errors import ResolveError
from nftui.schema import TIME
from nftui.units import moment

ICMP, TCP, ICMP6 = 1, 6, 58
MAPPED = 0xFFFF << 32
"""::ffff:0.0.0.0 as a number: where IPv4 addresses begin among those of 128 bit."""
MAPPED_END = MAPPED + 2**32 - 1
MOST_RANGES = 16
"""Of what is known of places; of more it is searched where an address lies."""
FEW = 8
"""Up to so many values are compared one by one; more by a set."""

Range = tuple[int, int]
Predicate = Callable[[pl.Expr], pl.Expr]

_COMPARISONS: dict[Operator, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    Operator.EQ: operator.eq,
    Operator.LT: operator.lt,
    Operator.GT: operator.gt,
    Operator.LE: operator.le,
    Operator.GE: operator.ge,
}


def expression(filter: Filter, sampling: bool = True) -> pl.Expr:
    """Compile a filter.

    Args:
        filter: The tree; `ANY` gives a literal, which callers leave out of a scan.
        sampling: Whether octets and packets, and the rates from them, are multiplied by the sampling interval of their flow.
    Returns:
        A Boolean for each flow, never null. All columns of `columns(filter)` must exist, null where a flow lacks them.
    """
    return _compiled(filter, sampling)


def columns(filter: Filter, sampling: bool = True) -> frozenset[str]:
    """Return the columns of the schema that the expression of a filter reads."""
    return frozenset(_compiled(filter, sampling).meta.root_names())


# -- nodes -------------------------------------------------------------------------------------------------------------------


@singledispatch
def _compiled(filter: Filter, sampling: bool) -> pl.Expr:
    raise TypeError(f"no expression for {filter!r}")


@_compiled.register
def _(filter: Any_, sampling: bool) -> pl.Expr:
    return pl.lit(True)


@_compiled.register
def _(filter: And, sampling: bool) -> pl.Expr:
    return _joined(operator.and_, (_compiled(term, sampling) for term in filter.terms))


@_compiled.register
def _(filter: Or, sampling: bool) -> pl.Expr:
    return _joined(operator.or_, (_compiled(term, sampling) for term in filter.terms))


@_compiled.register
def _(filter: Not, sampling: bool) -> pl.Expr:
    return ~_compiled(filter.term, sampling)


@_compiled.register
def _(filter: Family, sampling: bool) -> pl.Expr:
    ranges = [(MAPPED, MAPPED_END)] if filter.version == 4 else [(0, MAPPED - 1), (MAPPED_END + 1, 2**128 - 1)]
    return _over_columns(FIELDS["ip"].columns[Direction.NONE], lambda column: _in_ranges(column, ranges))


@_compiled.register
def _(filter: AddressIn, sampling: bool) -> pl.Expr:
    ranges = _merged(part for network in filter.networks for part in _ranges(network))
    return _over_columns(FIELDS["ip"].columns[filter.direction], lambda column: _in_ranges(column, ranges))


@_compiled.register
def _(filter: Compare, sampling: bool) -> pl.Expr:
    compare = _COMPARISONS[filter.operator]
    if FIELDS[filter.field].kind is Kind.TIME:
        constant = pl.lit(moment(filter.value), dtype=TIME)
    else:
        constant = pl.lit(filter.value)
    return _over_field(filter.field, filter.direction, sampling, lambda value: compare(value, constant))


@_compiled.register
def _(filter: OneOf, sampling: bool) -> pl.Expr:
    values = list(filter.values)
    return _over_field(filter.field, filter.direction, sampling, lambda value: _equals_any(value, values))


@_compiled.register
def _(filter: Flags, sampling: bool) -> pl.Expr:
    flags = pl.col("tcp_flags") & (0xFF if filter.exact else filter.mask)
    return _present((pl.col("protocol") == TCP) & (flags == filter.mask), "protocol", "tcp_flags")


@_compiled.register
def _(filter: Text, sampling: bool) -> pl.Expr:
    value = pl.lit(filter.value)

    def matches(column: pl.Expr) -> pl.Expr:
        lower = column.str.to_lowercase()
        return lower.str.contains(value, literal=True) if filter.contains else lower == value

    return _over_columns(FIELDS[filter.field].columns[filter.direction], matches)


@_compiled.register
def _(filter: Named, sampling: bool) -> pl.Expr:
    if not filter.networks:
        raise ResolveError(filter.name, "is a name that nobody looked up", "write the address")
    return _compiled(AddressIn(filter.networks, filter.direction), sampling)


@_compiled.register
def _(filter: Place, sampling: bool) -> pl.Expr:
    if not filter.source:
        raise ResolveError(filter.field, "is open: no file was asked", "name one in [names] of the configuration")
    edges = places.opened(filter.source).edges(filter)
    return _over_columns(FIELDS[filter.field].columns[filter.direction], lambda column: _within(column, edges))


@_compiled.register
def _(filter: KnownAs, sampling: bool) -> pl.Expr:
    known = places.opened(filter.source)
    leaf = filter.leaf
    ends = FIELDS["as"].ends.get(leaf.direction, (leaf.direction,))
    return _joined(operator.or_, (_compared(leaf, known.as_of(end)).fill_null(False) for end in ends))


@_compiled.register
def _(filter: Relation, sampling: bool) -> pl.Expr:
    compared = RELATIONS[filter.name][filter.direction]
    if filter.name == "ttl equal":
        return _present(operator.eq(*map(pl.col, compared)), *compared)
    first, last = "port_block_start", "port_block_end"
    inside = (pl.col(port).is_between(pl.col(first), pl.col(last)) & pl.col(port).is_not_null() for port in compared)
    return _joined(operator.or_, (_present(one, first, last) for one in inside))


# -- leaves ------------------------------------------------------------------------------------------------------------------


def _joined(join: Callable[[pl.Expr, pl.Expr], pl.Expr], parts: Iterable[pl.Expr]) -> pl.Expr:
    """Join expressions as a balanced tree, so that a thousand terms are ten deep."""
    level = list(parts)
    while len(level) > 1:
        level = [reduce(join, level[at : at + 2]) for at in range(0, len(level), 2)]
    return level[0]


def _present(compared: pl.Expr, *needed: str) -> pl.Expr:
    """Return a comparison that is false, not null, where a column that it reads is absent."""
    return _joined(operator.and_, [compared, *(pl.col(name).is_not_null() for name in needed)])


def _over_columns(names: Iterable[str], predicate: Predicate) -> pl.Expr:
    """Return whether the predicate holds for any of the columns."""
    return _joined(operator.or_, (_present(predicate(pl.col(name)), name) for name in names))


def _over_field(name: str, direction: Direction, sampling: bool, predicate: Predicate) -> pl.Expr:
    if (computed := _COMPUTED.get((name, direction))) is not None:
        return predicate(computed(sampling)).fill_null(False)
    if name in ACL_PARTS:
        column = pl.col(f"{direction.value}_acl")
        return _joined(operator.or_, (predicate(_acl_part(column, part)).fill_null(False) for part in ACL_PARTS[name]))
    return _over_columns(FIELDS[name].columns[direction], predicate)


def _compared(leaf: Compare | OneOf, value: pl.Expr) -> pl.Expr:
    if isinstance(leaf, OneOf):
        return _equals_any(value, list(leaf.values))
    return _COMPARISONS[leaf.operator](value, pl.lit(leaf.value))


def _equals_any(value: pl.Expr, values: list[int]) -> pl.Expr:
    if len(values) <= FEW:
        return _joined(operator.or_, (value == one for one in values))
    return value.is_in(values)


# -- addresses ---------------------------------------------------------------------------------------------------------------


def _ranges(network: Network) -> list[Range]:
    """Return the 128 bit numbers of a network's addresses: IPv4 mapped, and IPv6 without those that stand for IPv4."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if isinstance(network, IPv4Network):
        return [(MAPPED + first, MAPPED + last)]
    if first <= MAPPED and MAPPED_END <= last:
        return [(low, high) for low, high in ((first, MAPPED - 1), (MAPPED_END + 1, last)) if low <= high]
    return [(first, last)]


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """Return sorted ranges in which none touches another."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return merged


def _in_ranges(column: pl.Expr, ranges: list[Range]) -> pl.Expr:
    singles = [_octets(low) for low, high in ranges if low == high]
    wide = [(column >= pl.lit(_octets(low))) & (column <= pl.lit(_octets(high))) for low, high in ranges if low < high]
    if len(singles) > FEW:
        wide.append(column.is_in(singles))
        singles = []
    return _joined(operator.or_, [*wide, *(column == pl.lit(single) for single in singles)])


def _within(column: pl.Expr, edges: pl.Series) -> pl.Expr:
    """Return whether addresses lie between edges: few are compared, so that statistics of files help; in more it is searched."""
    if len(edges) <= 2 * MOST_RANGES:
        starts, ends = edges[::2].to_list(), [*edges[1::2].to_list(), 2**128]
        ranges = [(start, end - 1) for start, end in zip(starts, ends, strict=False)]
        return _in_ranges(column, ranges) if ranges else column.is_null()
    return column.map_batches(partial(places.is_within, edges), return_dtype=pl.Boolean, is_elementwise=True)


def _octets(number: int) -> bytes:
    return number.to_bytes(16, "big")


# -- computed values ---------------------------------------------------------------------------------------------------------


def _counter(name: str, sampling: bool) -> pl.Expr:
    """Return a counter, corrected for sampling where asked; a flow without an interval was not sampled."""
    return pl.col(name) * pl.col("sampling_interval").fill_null(1) if sampling else pl.col(name)


def _milliseconds() -> pl.Expr:
    return (pl.col("flow_end") - pl.col("flow_start")).dt.total_microseconds() // 1000


def _quotient(value: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """Return a truncated quotient, 0 where the divisor is 0 or less, null where either is absent."""
    return pl.when(divisor <= 0).then(value * 0).otherwise(value // divisor)


def _rate(name: str, factor: int) -> Callable[[bool], pl.Expr]:
    """Return a counter for each millisecond times a factor; in 128 bit, as octets times 8000 of a long flow exceed 63."""
    return lambda sampling: _quotient(_counter(name, sampling).cast(pl.Int128) * factor, _milliseconds())


def _icmp(name: str, from_port: Callable[[pl.Expr], pl.Expr]) -> Callable[[bool], pl.Expr]:
    """Return an ICMP value of ICMP flows: of its own column, or else of the destination port, type × 256 + code."""
    value = pl.coalesce(pl.col(name), from_port(pl.col("destination_port")))
    return lambda sampling: pl.when(pl.col("protocol").is_in([ICMP, ICMP6])).then(value)


ACL_PARTS: dict[str, tuple[int, ...]] = {"acl": (0, 1, 2), "ace": (1,), "xace": (2,)}
"""Which of the three numbers of an ACL id a field means: list, entry, extended entry; `acl` is any of them, as in nfdump 1.7.8."""


def _acl_part(column: pl.Expr, part: int) -> pl.Expr:
    """Return 32 bit of an ACL id of 12 octets as a number, null where it is shorter."""
    return column.bin.slice(part * 4, 4).bin.reinterpret(dtype=pl.UInt32, endianness="big").cast(pl.Int64)


def _domain_octet(divisor: int) -> pl.Expr:
    """Return an octet of the observation domain, which NetFlow v5 makes of engine type and id."""
    return pl.col("observation_domain") // divisor % 256


_LABELS = [pl.col(name) for name in reversed(FIELDS["mpls any"].columns[Direction.NONE])]

_COMPUTED: dict[tuple[str, Direction], Callable[[bool], pl.Expr]] = {
    ("bytes", Direction.NONE): lambda sampling: _counter("octets", sampling),
    ("bytes", Direction.OUT): lambda sampling: _counter("out_octets", sampling),
    ("packets", Direction.NONE): lambda sampling: _counter("packets", sampling),
    ("packets", Direction.OUT): lambda sampling: _counter("out_packets", sampling),
    ("flows", Direction.NONE): lambda sampling: pl.col("flow_count").fill_null(1).clip(lower_bound=1),
    ("duration", Direction.NONE): lambda sampling: _milliseconds(),
    ("bps", Direction.NONE): _rate("octets", 8000),
    ("pps", Direction.NONE): _rate("packets", 1000),
    ("bpp", Direction.NONE): lambda sampling: _quotient(pl.col("octets"), pl.col("packets")),
    ("dscp", Direction.NONE): lambda sampling: pl.col("tos") // 4,
    ("dscp", Direction.DST): lambda sampling: pl.col("destination_tos") // 4,
    ("mpls eos", Direction.NONE): lambda sampling: pl.coalesce(_LABELS),
    ("engine-type", Direction.NONE): lambda sampling: _domain_octet(256),
    ("engine-id", Direction.NONE): lambda sampling: _domain_octet(1),
    ("icmp-type", Direction.NONE): _icmp("icmp_type", lambda port: port // 256),
    ("icmp-code", Direction.NONE): _icmp("icmp_code", lambda port: port % 256),
    ("flags", Direction.NONE): lambda sampling: pl.when(pl.col("protocol") == TCP).then(pl.col("tcp_flags") & 0xFF),
}
"""Values that are no column as it stands: of a field and direction, the expression with or without sampling."""
