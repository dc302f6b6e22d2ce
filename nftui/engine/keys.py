"""Keys: what flows are grouped by. `Query.keys` holds their names; here is what a name stands for.

A name is one of
- a column of the schema: `source_address`;
- an either-side key: `address`, `port`, `as`, …. A flow counts for each of its values, and once where they are the same: `address`
  groups a flow from A to B under A and under B. Values that a flow lacks don't count beside one that it has;
- a masked address: `source_address/24/64`, the prefix lengths for IPv4 and IPv6; `address/24/64` is either side, masked. A value is
  the first address of its network;
- what another module has added by `register`: derived values, such as the country of an address.

Names are what back ends cache by and what machine-readable output calls the value, so that they are stable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import polars as pl

from nftui.errors import UsageError
from nftui.printable import printable
from nftui.schema import BY_NAME, POLARS
from nftui.units import MAPPED_PREFIX, address_text, mac_text

MAPPED = 0xFFFF << 32
"""::ffff:0.0.0.0 as a number: where IPv4 addresses begin among those of 128 bit."""
WHOLE = (32, 128)
"""Prefix lengths that leave an address as it is."""

Value = Callable[[], pl.Expr]
"""Makes the expression of a key's value over the columns of the schema."""


@dataclass(frozen=True, slots=True)
class Key:
    """What one name stands for.

    Attributes:
        name: As in `Query.keys`, and of the column in frames of groups.
        field: As in machine-readable output.
        label: A short heading.
        kind: How a value is shown: of `schema.Column`, or `network` for masked addresses.
        columns: The columns of the schema that it is read from.
        sides: Its values of one flow: one, or several where it is an either-side key.
        prefixes: Of a masked address: for IPv4 and IPv6; else `WHOLE`.
        shown: How a value is written, where `kind` doesn't say it.
    """

    name: str
    field: str
    label: str
    kind: str
    columns: tuple[str, ...]
    sides: tuple[Value, ...]
    prefixes: tuple[int, int] = WHOLE
    shown: Callable[[Any], Any] | None = None

    @property
    def either(self) -> bool:
        """Whether a flow may count for several values."""
        return len(self.sides) > 1


Family = Callable[[str], Key]
"""Makes the key of what stands behind the first slash of its name, empty where there is none."""

EITHER: dict[str, tuple[str, tuple[str, ...]]] = {
    "address": ("address", ("source_address", "destination_address")),
    "port": ("port", ("source_port", "destination_port")),
    "as": ("as", ("source_as", "destination_as")),
    "interface": ("interface", ("ingress_interface", "egress_interface")),
    "mask": ("mask", ("source_mask", "destination_mask")),
    "vlan": ("vlan", ("source_vlan", "destination_vlan")),
    "vrf": ("vrf", ("ingress_vrf", "egress_vrf")),
    "either_tos": ("tos", ("tos", "destination_tos")),
    "mac": ("mac", ("source_mac", "destination_mac", "post_source_mac", "post_destination_mac")),
    "either_source_mac": ("src mac", ("source_mac", "post_source_mac")),
    "either_destination_mac": ("dst mac", ("destination_mac", "post_destination_mac")),
    "in_mac": ("in mac", ("source_mac", "destination_mac")),
    "out_mac": ("out mac", ("post_source_mac", "post_destination_mac")),
    "post_nat_address": ("nat address", ("post_nat_source_address", "post_nat_destination_address")),
    "post_nat_port": ("nat port", ("post_nat_source_port", "post_nat_destination_port")),
    "user": ("user", ("user_name", "destination_user_name")),
}
"""Either-side keys: name -> label, and the columns that hold its values."""

WORDS: dict[str, str] = {
    "srcip": "source_address", "dstip": "destination_address", "ip": "address",
    "srcport": "source_port", "dstport": "destination_port", "port": "port", "proto": "protocol", "flags": "tcp_flags",
    "srctos": "tos", "dsttos": "destination_tos", "tos": "tos", "dir": "flow_direction",
    "srcas": "source_as", "dstas": "destination_as", "as": "as", "prevas": "previous_as", "nextas": "next_as",
    "inif": "ingress_interface", "outif": "egress_interface", "if": "interface",
    "srcmask": "source_mask", "dstmask": "destination_mask", "mask": "mask",
    "srcnet": "source_network", "dstnet": "destination_network",
    "srcvlan": "source_vlan", "dstvlan": "destination_vlan", "vlan": "vlan",
    "insrcmac": "source_mac", "outdstmac": "post_destination_mac", "indstmac": "destination_mac", "outsrcmac": "post_source_mac",
    "srcmac": "either_source_mac", "dstmac": "either_destination_mac", "inmac": "in_mac", "outmac": "out_mac", "mac": "mac",
    **{f"mpls{n}": f"mpls_label_{n}" for n in range(1, 11)},
    "router": "exporter_address", "odid": "observation_domain", "ethertype": "ethernet_type",
    "nhip": "next_hop", "next": "next_hop", "nhbip": "bgp_next_hop", "bgpnext": "bgp_next_hop",
    "nbar": "application_id", "app": "application_name", "tunproto": "outer_protocol",
    "tunsrcip": "outer_source_address", "tundstip": "outer_destination_address",
    "ivrf": "ingress_vrf", "evrf": "egress_vrf", "vrf": "ingress_vrf", "ivrfnam": "vrf_name",
    "event": "firewall_event", "xevent": "firewall_extended_event", "nevent": "nat_event", "nat": "nat_event",
    "iacl": "ingress_acl", "eacl": "egress_acl", "minttl": "minimum_ttl", "maxttl": "maximum_ttl", "user": "user_name",
    **{word: f"post_nat_{end}" for end, words in {
        "source_address": ("xsrcip", "nsrcip", "natsrcip"), "destination_address": ("xdstip", "ndstip", "natdstip"),
        "source_port": ("xsrcport", "nsrcport", "natsrcport"), "destination_port": ("xdstport", "ndstport", "natdstport"),
        "address": ("natip",), "port": ("natport",),
    }.items() for word in words},
}  # fmt: skip
"""Words of the command line, nfdump's for the most part -> names of keys. Names of columns are words of the command line, too."""

REFUSED: dict[str, str] = {
    "sysid": "exporters have no number here; take router",
    "inam": "names of interfaces aren't part of flows; take inif",
    "onam": "names of interfaces aren't part of flows; take outif",
    "evrfnam": "flows hold the name of the ingress VRF only; take ivrfnam",
    "opid": "flows hold no observation point; take odid",
    **dict.fromkeys(("ja3", "ja4", "ja4s"), "flows hold no payload"),
    **dict.fromkeys(("cl", "sl", "al"), "flows hold no latencies"),
    **dict.fromkeys(("iace", "eace", "ixace", "exace"), "an ACL is one value here, with its entries; take iacl or eacl"),
    **dict.fromkeys(("srctz", "dsttz", "tz"), "time zones of places aren't known"),
}
"""Words of nfdump that no column answers, and why."""

MASKED = ("source_address", "destination_address", "address", "exporter_address", "next_hop", "bgp_next_hop")
"""The keys that may have prefix lengths."""

_families: dict[str, Family] = {}


def register(name: str, family: Family, words: Iterable[str] = ()) -> None:
    """Add derived keys, in place of what had the name before.

    Args:
        name: What stands before the first slash of their names; no column or other key has it.
        family: Makes the key of the rest of its name. Partials are kept by whole names: where values depend on a file, have the
            rest say which one. Expressions must be elementwise, as flows come in pieces.
        words: Of the command line, for the key without a rest.
    """
    _families[name] = family
    WORDS.update(dict.fromkeys(words, name))
    key.cache_clear()


@lru_cache(maxsize=1024)
def key(name: str) -> Key:
    """Return what a name in `Query.keys` stands for.

    Raises:
        UsageError: It stands for nothing.
    """
    head, _, rest = name.partition("/")
    if (family := _families.get(head)) is not None:
        return family(rest)
    if head in ("source_network", "destination_network") and not rest:
        return _network(head)
    plain = _plain(head)
    if not rest:
        return plain
    lengths = [int(part) for part in rest.split("/") if part.isascii() and part.isdigit()]
    if head not in MASKED or len(lengths) != 2 or not (0 <= lengths[0] <= 32 and 0 <= lengths[1] <= 128):
        raise UsageError(
            f"{printable(name, 60)!r}: no key; an address takes the prefix lengths for IPv4 and IPv6, as address/24/64"
        )
    four, six = lengths
    sides = tuple(_masking(column, four, six) for column in plain.columns)
    return replace(plain, name=name, kind="network", sides=sides, prefixes=(four, six))


def columns(names: Iterable[str]) -> frozenset[str]:
    """Return the columns of the schema that keys are read from."""
    return frozenset(column for name in names for column in key(name).columns)


def either(names: Iterable[str]) -> str | None:
    """Return the either-side key among some, None where there is none.

    Raises:
        UsageError: There are several: which of a flow's values would belong together is not to be said.
    """
    found = [name for name in names if key(name).either]
    if len(found) > 1:
        raise UsageError(f"{' and '.join(found)}: one key at a time may be either side")
    return found[0] if found else None


def value(name: str, raw: Any) -> Any:
    """Return a key's value as it stands in machine-readable output: addresses, networks and MACs as text; None where absent.

    Args:
        name: Of the key.
        raw: From the frame of an answer: addresses as 16 octets.
    """
    one = key(name)
    if raw is None:
        return None
    if one.shown is not None:
        return one.shown(raw)
    if one.kind == "network" and isinstance(raw, bytes):
        four, six = one.prefixes
        is_four = raw.startswith(MAPPED_PREFIX)
        length = four if is_four else six
        return address_text(raw) + (f"/{length}" if length < (32 if is_four else 128) else "")
    if isinstance(raw, bytes):
        return address_text(raw) if one.kind == "address" else raw.hex()
    return mac_text(raw) if one.kind == "mac" and isinstance(raw, int) else raw


def parse(text: str, option: str = "-A") -> tuple[str, ...]:
    """Return the names of keys that a list of the command line asks for.

    Args:
        text: Words with commas between them: of `WORDS`, or names of columns and keys; addresses with a prefix length, as
            `srcip4/24,srcip6/64`, `srcip/24/64` or `srcip/24` (IPv6 is whole then).
        option: Where it stands, for the error.
    Returns:
        Each once, in order; `none` is no key at all.
    Raises:
        UsageError: A word stands for nothing, with what it may be.
    """
    prefixes: dict[str, tuple[int, int]] = {}
    for word in (part.strip() for part in text.split(",")):
        if word in ("none", ""):
            continue
        name, lengths = _word(word, option)
        before = prefixes.get(name)
        prefixes[name] = lengths if before is None else (min(before[0], lengths[0]), min(before[1], lengths[1]))
    names = [name if lengths == WHOLE else f"{name}/{lengths[0]}/{lengths[1]}" for name, lengths in prefixes.items()]
    if not text.strip(" ,"):
        raise UsageError(f"{option}: name a key, as srcip, or none")
    try:
        either(names)
    except UsageError as error:
        raise UsageError(f"{option} {printable(text, 60)!r}: {error}") from None
    return tuple(names)


def _word(word: str, option: str) -> tuple[str, tuple[int, int]]:
    head, _, rest = word.partition("/")
    said = printable(word, 60)
    if head in REFUSED:
        raise UsageError(f"{option} {said!r}: {REFUSED[head]}")
    family = 0
    if head not in WORDS and head[-1:] in ("4", "6") and head[:-1] in ("srcip", "dstip", "ip"):
        head, family = head[:-1], int(head[-1])
    name = WORDS.get(head, head)
    try:
        key(name)
    except UsageError:
        raise UsageError(f"{option} {said!r}: no such key; {_instead(head)}") from None
    if not rest:
        return name, WHOLE
    numbers = [int(part) if part.isascii() and part.isdigit() else -1 for part in rest.split("/")]
    if name not in MASKED:
        raise UsageError(f"{option} {said!r}: only addresses have a prefix length")
    four, six = (WHOLE[0], numbers[0]) if family == 6 else (numbers[0], numbers[1] if len(numbers) == 2 else WHOLE[1])
    if len(numbers) > (1 if family else 2) or not (0 <= four <= 32 and 0 <= six <= 128):
        raise UsageError(f"{option} {said!r}: a prefix length is 0 to 32 for IPv4 and 0 to 128 for IPv6, as srcip4/24 or srcip6/64")
    return name, (four, six)


def _instead(word: str) -> str:
    """Return what may have been meant: the words that are close to one, or all."""
    close = get_close_matches(word, [*WORDS, *BY_NAME], 3, 0.7)
    return f"did you mean {' or '.join(close)}?" if close else f"take one of {', '.join(sorted(WORDS))}, or a column"


# -- values ------------------------------------------------------------------------------------------------------------------


def _plain(name: str) -> Key:
    if name in EITHER:
        label, names = EITHER[name]
        return Key(name, name, label, BY_NAME[names[0]].kind, names, tuple(_column(one) for one in names))
    column = BY_NAME.get(name)
    if column is None:
        raise UsageError(f"{printable(name, 60)!r}: no such key")
    return Key(name, name, column.label, column.kind, (name,), (_column(name),))


def _column(name: str) -> Value:
    """Return the value of a column; an address is a number of 128 bit, which groups faster."""
    return lambda: _number(name) if _is_address(name) else pl.col(name)


def _is_address(name: str) -> bool:
    return POLARS[name] == pl.Binary and BY_NAME[name].kind == "address"


def _number(name: str) -> pl.Expr:
    return pl.col(name).bin.reinterpret(dtype=pl.UInt128, endianness="big")


def _masking(name: str, four: int, six: int) -> Value:
    def masked() -> pl.Expr:
        number = _number(name)
        return pl.when(_is_four(number)).then(_cut(number, 32 - four)).otherwise(_cut(number, 128 - six))

    return masked


def _network(name: str) -> Key:
    """Return the network that an exporter told the mask of: nfdump's `srcnet` and `dstnet`."""
    side = name.removesuffix("_network")
    address, mask = f"{side}_address", f"{side}_mask"

    def masked() -> pl.Expr:
        number, length = _number(address), pl.col(mask)
        bits = pl.when(_is_four(number)).then((32 - length).clip(0, 32)).otherwise((128 - length).clip(0, 128))
        kept = number - number % pl.lit(2, dtype=pl.UInt128).pow(bits.clip(0, 127).cast(pl.UInt32))
        return pl.when(bits >= 128).then(number * 0).otherwise(kept)

    return Key(name, name, f"{BY_NAME[address].label} net", "address", (address, mask), (masked,))


def _is_four(number: pl.Expr) -> pl.Expr:
    return (number >= pl.lit(MAPPED, dtype=pl.UInt128)) & (number <= pl.lit(MAPPED + 2**32 - 1, dtype=pl.UInt128))


def _cut(number: pl.Expr, bits: int) -> pl.Expr:
    """Return a number with so many low bits 0. Subtracting a remainder is ten times quicker than a bitwise and of 128 bit."""
    if bits == 0:
        return number
    if bits >= 128:
        return number * 0
    return number - number % pl.lit(1 << bits, dtype=pl.UInt128)
