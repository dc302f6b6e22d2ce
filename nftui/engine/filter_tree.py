"""The tree of a filter: frozen, hashable nodes, free of any engine, and the printer that turns a tree back into text.

A leaf names a field of `FIELDS` and compares it with constants. A field stands for one or more columns of the schema; a comparison
holds if it holds for any one of them (direction omitted is source or destination). A column that a flow lacks compares false, so
that `not` of it is true.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
from ipaddress import IPv4Network, IPv6Network

from nftui.engine.filter_fields import FIELDS, NO_NUMBERS, RELATIONS, Direction, Kind, Operator
from nftui.engine.names import PRINTED_PROTOCOLS
from nftui.units import rfc3339

Network = IPv4Network | IPv6Network

FLAG_LETTERS: dict[str, int] = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
LONGEST_TEXT = 256
"""Characters of a text that a field is compared with."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Base of all nodes of a filter's tree: immutable, hashable, comparable, free of any engine."""


@dataclass(frozen=True, slots=True)
class Any_(Filter):
    """Matches every flow."""


ANY: Filter = Any_()


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of two or more terms; nested conjunctions are flattened."""

    terms: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", _flat(And, self.terms))


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """Any of two or more terms; nested disjunctions are flattened."""

    terms: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", _flat(Or, self.terms))


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """What the term does not match, flows without the compared columns included."""

    term: Filter


@dataclass(frozen=True, slots=True)
class Family(Filter):
    """Address family of the flow, 4 or 6: either address is of it."""

    version: int

    def __post_init__(self) -> None:
        if self.version not in (4, 6):
            raise ValueError(f"address family {self.version}")


@dataclass(frozen=True, slots=True)
class AddressIn(Filter):
    """The address of a direction lies in one of the networks; a single address is a network of full length.

    Attributes:
        networks: At least one, sorted, IPv4 never in its IPv6-mapped form.
        direction: A direction of the field `ip`.
    """

    networks: tuple[Network, ...]
    direction: Direction = Direction.NONE

    def __post_init__(self) -> None:
        if not self.networks:
            raise ValueError("no network")
        _check_direction("ip", self.direction)
        ordered = sorted({unmapped(network) for network in self.networks}, key=_network_order)
        object.__setattr__(self, "networks", tuple(ordered))


@dataclass(frozen=True, slots=True)
class Compare(Filter):
    """A field compared with a number: `port > 1023`. Times are microseconds since 1970, MAC addresses 48 bit numbers."""

    field: str
    operator: Operator
    value: int
    direction: Direction = Direction.NONE

    def __post_init__(self) -> None:
        _check_value(self.field, self.direction, self.value)


@dataclass(frozen=True, slots=True)
class OneOf(Filter):
    """A field equals one of two or more numbers: `port in [80 443]`; sorted, each once."""

    field: str
    values: tuple[int, ...]
    direction: Direction = Direction.NONE

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(sorted(set(self.values))))
        if len(self.values) < 2 or FIELDS[self.field].kind in (Kind.FLAGS, Kind.TIME):
            raise ValueError(f"{self.field} in {self.values}")
        for value in self.values:
            _check_value(self.field, self.direction, value)


@dataclass(frozen=True, slots=True)
class Flags(Filter):
    """A TCP flow with all flags of the mask set, others at will; `exact`: with these and no others."""

    mask: int
    exact: bool = field(default=False)

    def __post_init__(self) -> None:
        if not 1 <= self.mask <= 255:
            raise ValueError(f"flags {self.mask}")


@dataclass(frozen=True, slots=True)
class Text(Filter):
    """A text of a flow equals the value, or has it in it (`contains`), in whatever case; the value is lower case."""

    field: str
    value: str
    direction: Direction = Direction.NONE
    contains: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", self.value.lower())
        _check_direction(self.field, self.direction)
        unquotable = "\n" in self.value or {"'", '"'} <= set(self.value)
        if FIELDS[self.field].kind is not Kind.TEXT or not self.value or len(self.value) > LONGEST_TEXT or unquotable:
            raise ValueError(f"{self.field} {self.value!r}")


@dataclass(frozen=True, slots=True)
class Named(Filter):
    """The address of a direction is one of those that a name stands for: `host example.org`.

    Attributes:
        name: Lower case.
        direction: A direction of the field `ip`.
        networks: What the name stands for, () as long as nobody looked it up; not part of the text.
    """

    name: str
    direction: Direction = Direction.NONE
    networks: tuple[Network, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower())
        _check_direction("ip", self.direction)
        if not self.name or len(self.name) > LONGEST_TEXT or any(letter.isspace() or letter in "'\"" for letter in self.name):
            raise ValueError(f"name {self.name!r}")


@dataclass(frozen=True, slots=True)
class Place(Filter):
    """What is known of where an address is, its country or the organisation of its AS, is one of the values.

    Attributes:
        field: `geo` or `asorg`.
        values: At least one, sorted: countries in two capital letters; a single name of an organisation, lower case.
        direction: A direction of the field.
        contains: Whether the value may be a part of the organisation's name.
        source: Which files are asked, empty as long as that is open; not part of the text.
    """

    field: str
    values: tuple[str, ...]
    direction: Direction = Direction.NONE
    contains: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        is_country = FIELDS[self.field].kind is Kind.COUNTRY
        values = sorted({value.upper() if is_country else value.lower() for value in self.values})
        object.__setattr__(self, "values", tuple(values))
        _check_direction(self.field, self.direction)
        unquotable = any("\n" in value or {"'", '"'} <= set(value) or not 0 < len(value) <= LONGEST_TEXT for value in values)
        if not values or unquotable or (not is_country and len(values) > 1) or (is_country and self.contains):
            raise ValueError(f"{self.field} {self.values}")


@dataclass(frozen=True, slots=True)
class KnownAs(Filter):
    """A comparison of AS numbers, which are looked up where a flow has none.

    Attributes:
        leaf: The comparison, of the field `as`.
        source: Which files are asked; not part of the text.
    """

    leaf: Compare | OneOf
    source: str


@dataclass(frozen=True, slots=True)
class Relation(Filter):
    """A condition between columns of the flow, one of `RELATIONS`: `ttl equal`, `src port in nat pblock`."""

    name: str
    direction: Direction = Direction.NONE

    def __post_init__(self) -> None:
        if self.direction not in RELATIONS.get(self.name, ()):
            raise ValueError(f"no relation {self.direction.value} {self.name}")


def all_of(*filters: Filter) -> Filter:
    """Return what all filters match; ANY for none."""
    terms = tuple(term for term in filters if term != ANY)
    return And(terms) if len(terms) > 1 else terms[0] if terms else ANY


def any_of(*filters: Filter) -> Filter:
    """Return what at least one of the filters matches; at least one must be given."""
    if ANY in filters:
        return ANY
    return Or(filters) if len(filters) > 1 else filters[0]


def unmapped(network: Network) -> Network:
    """Return a network of IPv4-mapped IPv6 addresses as the IPv4 network it is; others as they are."""
    if isinstance(network, IPv4Network) or network.prefixlen < 96 or network.network_address.ipv4_mapped is None:
        return network
    return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))


def _flat(kind: type[And | Or], terms: tuple[Filter, ...]) -> tuple[Filter, ...]:
    flat = tuple(inner for term in terms for inner in (term.terms if isinstance(term, kind) else (term,)))
    if len(flat) < 2:
        raise ValueError(f"{kind.__name__} of {len(flat)} terms")
    return flat


def _network_order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _check_direction(name: str, direction: Direction) -> None:
    if name not in FIELDS or direction not in FIELDS[name].columns:
        raise ValueError(f"no field {direction.value} {name}")


def _check_value(name: str, direction: Direction, value: int) -> None:
    _check_direction(name, direction)
    if FIELDS[name].kind in NO_NUMBERS or not FIELDS[name].low <= value <= FIELDS[name].high:
        raise ValueError(f"{name} {value}")


# -- printing ----------------------------------------------------------------------------------------------------------------


@singledispatch
def text(filter: Filter) -> str:
    """Return a filter in nfdump's spelling; parsing the text gives an equal tree.

    Equal trees have equal texts, so the text serves as a key too. Brackets stand wherever `and` and `or` meet.
    """
    raise TypeError(f"no text for {filter!r}")


@text.register
def _(filter: Any_) -> str:
    return "any"


@text.register
def _(filter: And) -> str:
    return " and ".join(_bracketed(term) for term in filter.terms)


@text.register
def _(filter: Or) -> str:
    return " or ".join(_bracketed(term) for term in filter.terms)


@text.register
def _(filter: Not) -> str:
    return f"not {_bracketed(filter.term)}"


@text.register
def _(filter: Family) -> str:
    return f"ipv{filter.version}"


@text.register
def _(filter: AddressIn) -> str:
    prefix = _spaced(filter.direction)
    if len(filter.networks) > 1:
        return f"{prefix}ip in [{' '.join(_network_text(network) for network in filter.networks)}]"
    network = filter.networks[0]
    return f"{prefix}{'ip' if network.prefixlen == network.max_prefixlen else 'net'} {_network_text(network)}"


@text.register
def _(filter: Compare) -> str:
    value = _value_text(filter.field, filter.value)
    shown = "" if filter.operator is Operator.EQ and FIELDS[filter.field].kind is not Kind.TIME else f"{filter.operator.value} "
    if filter.field == "proto" and not shown:
        value = PRINTED_PROTOCOLS.get(filter.value, value)
    return f"{_spaced(filter.direction)}{filter.field} {shown}{value}"


@text.register
def _(filter: OneOf) -> str:
    values = " ".join(_value_text(filter.field, value) for value in filter.values)
    return f"{_spaced(filter.direction)}{filter.field} in [{values}]"


@text.register
def _(filter: Flags) -> str:
    letters = "".join(letter for letter, bit in FLAG_LETTERS.items() if filter.mask & bit)
    return f"flags {'=' if filter.exact else ''}{letters}"


@text.register
def _(filter: Text) -> str:
    return f"{_spaced(filter.direction)}{filter.field} {'~ ' if filter.contains else ''}{_quoted(filter.value)}"


@text.register
def _(filter: Named) -> str:
    # In quotes it can't be taken for a word of the language.
    plain = "." in filter.name and all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in filter.name)
    return f"{_spaced(filter.direction)}ip {filter.name if plain else _quoted(filter.name)}"


@text.register
def _(filter: Place) -> str:
    prefix = f"{_spaced(filter.direction)}{filter.field}"
    if filter.field == "asorg":
        return f"{prefix} {'~ ' if filter.contains else ''}{_quoted(filter.values[0])}"
    codes = [f"'{code}'" if code == "OR" else code for code in filter.values]  # no country's, but two letters all the same
    return f"{prefix} {codes[0]}" if len(codes) == 1 else f"{prefix} in [{' '.join(codes)}]"


@text.register
def _(filter: KnownAs) -> str:
    return text(filter.leaf)


@text.register
def _(filter: Relation) -> str:
    return f"{_spaced(filter.direction)}{filter.name}"


def _bracketed(term: Filter) -> str:
    return f"({text(term)})" if isinstance(term, (And, Or)) else text(term)


def _quoted(value: str) -> str:
    quote = '"' if "'" in value else "'"
    return f"{quote}{value}{quote}"


def _spaced(direction: Direction) -> str:
    return f"{direction.value} " if direction.value else ""


def _network_text(network: Network) -> str:
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def _value_text(name: str, value: int) -> str:
    kind = FIELDS[name].kind
    if kind is Kind.MAC:
        return value.to_bytes(6, "big").hex(":")
    if kind is Kind.TIME:
        return rfc3339(value).removesuffix("Z").rstrip("0").removesuffix(".")
    return str(value)
