"""Packet filters without libpcap: the usual part of tcpdump's expressions, compiled to classic BPF.

    ip, ip6, arp, tcp, udp, icmp, icmp6, sctp                        what the packet is
    [ip|ip6] [src|dst] host ADDRESS, [src|dst] net NETWORK/LENGTH    the word `host` may be left out
    [tcp|udp|sctp] [src|dst] port NUMBER, portrange LOW-HIGH
    [ip|ip6] proto NUMBER, vlan [NUMBER], and, or, not, ( )

As with tcpdump `and` and `or` bind alike, from left to right, and `host A or B` repeats the word. Other than there, `host` and
`net` are of IP alone, and `vlan` doesn't move what follows. Programs read the packet from its IP header on and ask the kernel for
its EtherType, so that they fit every kind of link.

Source: pcap-filter(7); linux/filter.h (SKF_AD_OFF, SKF_NET_OFF); linux/bpf_common.h.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from nftui.errors import PacketFilterError

INSTRUCTION = struct.Struct("=HBBI")
Step = tuple[int, int, int, int]
LOAD_WORD, RETURN = 0x20, 0x06
_LOAD_HALF, _LOAD_OCTET, _LOAD_HALF_BEHIND, _BEHIND_HEADER = 0x28, 0x30, 0x48, 0xB1
_EQUAL, _ABOVE, _AT_LEAST, _ANY_BIT, _JUMP, _MASK = 0x15, 0x25, 0x35, 0x45, 0x05, 0x54
_ANCILLARY, _NETWORK = -0x1000, -0x100000
_ETHERTYPE, _TAG, _TAG_PRESENT = _ANCILLARY + 0, _ANCILLARY + 44, _ANCILLARY + 48
IPV4, IPV6 = 0x0800, 0x86DD
_ETHERTYPES = {"ip": IPV4, "ip6": IPV6, "arp": 0x0806}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
_WITH_PORTS = ("tcp", "udp", "sctp")
_KINDS = ("host", "net", "port", "portrange", "proto", "vlan")
_WORD = re.compile(r"\s*(\(|\)|&&|\|\||!|[^\s()!&|]+|[&|])")
_DEEPEST = 100
_WITHOUT = "only simple filters are understood without libpcap; install it (libpcap0.8 in Debian) for more"


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison: what is loaded, and how it is compared with a number."""

    load: tuple[tuple[int, int], ...]
    compare: int
    number: int


@dataclass(frozen=True, slots=True)
class Not:
    """What its term doesn't match."""

    term: Node


@dataclass(frozen=True, slots=True)
class All:
    """What all of its terms match; of none: everything."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """What at least one of its terms matches; of none: nothing."""

    terms: tuple[Node, ...]


Node = Test | Not | All | Either


def compiled(text: str, snap: int) -> bytes:
    """Return the program of an expression.

    Args:
        text: The expression, ASCII.
        snap: How many octets of a packet that is accepted are taken.
    Raises:
        PacketFilterError: It isn't understood.
    """
    return _laid_out(Parser(text).whole(), snap)


@dataclass(frozen=True, slots=True)
class _Qualifiers:
    """What stood before a value: `tcp`, `src`, `port`."""

    protocol: str = ""
    direction: str = ""
    kind: str = "host"


class Parser:
    """Reads one expression, a word at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = [match[1] for match in _WORD.finditer(text)]
        self._at = 0
        self._depth = 0
        self._latest = _Qualifiers()

    def whole(self) -> Node:
        """Return what the expression means."""
        found = self._terms()
        if self._at < len(self._words):
            raise self._wrong(f"{self._words[self._at]!r} is not expected")
        return found

    def _wrong(self, problem: str) -> PacketFilterError:
        return PacketFilterError(self._text, f"{problem}; {_WITHOUT}")

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _take(self, *words: str) -> str:
        found = self._peek()
        if found and found in words:
            self._at += 1
            return found
        return ""

    def _terms(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("has too many brackets")
        found = self._term()
        while True:
            if self._take("and", "&&"):
                found = All((found, self._term()))
            elif self._take("or", "||"):
                found = Either((found, self._term()))
            else:
                self._depth -= 1
                return found

    def _term(self) -> Node:
        negated = False
        while self._take("not", "!"):
            negated = not negated
        if self._take("("):
            found = self._terms()
            if not self._take(")"):
                raise self._wrong("a bracket is not closed")
        else:
            found = self._primitive()
        return Not(found) if negated else found

    def _primitive(self) -> Node:
        protocol = self._take(*_ETHERTYPES, *_PROTOCOLS)
        direction = self._take("src", "dst")
        kind = self._take(*_KINDS)
        if kind == "vlan" and not protocol and not direction:
            return self._vlan()
        if protocol and not direction and not kind and not _is_value(self._peek()):
            self._latest = _Qualifiers()
            return _what(protocol)
        if protocol or direction or kind:
            kind = kind or ("net" if "/" in self._peek() else "host")
            self._latest = _Qualifiers(protocol, direction, kind)
        value = self._peek()
        if not _is_value(value):
            raise self._wrong(f"{value!r} is not understood" if value else "something is missing at the end")
        self._at += 1
        found = self._latest if "/" not in value else replace(self._latest, kind="net")
        return self._valued(found, value)

    def _valued(self, found: _Qualifiers, value: str) -> Node:
        try:
            if found.kind in ("host", "net"):
                node = _addressed(found, value)
            elif found.kind == "proto":
                node = _of_protocol(_number(value, 255), {"ip": (IPV4,), "ip6": (IPV6,)}.get(found.protocol, (IPV4, IPV6)))
            else:
                low, _, high = value.partition("-") if found.kind == "portrange" else (value, "", value)
                node = _ported(found, _number(low, 65535), _number(high or low, 65535))
        except (ValueError, KeyError) as error:
            raise self._wrong(f"{found.kind} {value!r}: {error}") from error
        return node

    def _vlan(self) -> Node:
        present = Test(((LOAD_WORD, _TAG_PRESENT),), _EQUAL, 1)
        if not self._peek().isdecimal():
            return present
        number = int(self._words[self._at])
        self._at += 1
        if number > 4095:
            raise self._wrong(f"vlan {number} is not in 0 to 4095")
        return All((present, Test(((LOAD_WORD, _TAG), (_MASK, 0x0FFF)), _EQUAL, number)))


def _is_value(word: str) -> bool:
    return bool(word) and (word[0].isdecimal() or ":" in word)


def _number(text: str, highest: int) -> int:
    if not text.isdecimal() or int(text) > highest:
        raise ValueError(f"not a number from 0 to {highest}")
    return int(text)


def _ethertype(number: int) -> Test:
    return Test(((LOAD_WORD, _ETHERTYPE),), _EQUAL, number)


def _of_protocol(number: int, versions: tuple[int, ...] = (IPV4, IPV6)) -> Node:
    """Match IP packets of a protocol; of IPv6 only those where it follows the header itself."""
    place = {IPV4: 9, IPV6: 6}
    return Either(
        tuple(All((_ethertype(version), Test(((_LOAD_OCTET, _NETWORK + place[version]),), _EQUAL, number))) for version in versions)
    )


def _what(name: str) -> Node:
    if name in _ETHERTYPES:
        return _ethertype(_ETHERTYPES[name])
    return _of_protocol(_PROTOCOLS[name], {"icmp": (IPV4,), "icmp6": (IPV6,)}.get(name, (IPV4, IPV6)))


def _addressed(found: _Qualifiers, value: str) -> Node:
    network = ipaddress.ip_network(value, strict=False)
    if found.kind == "host" and "/" in value:
        raise ValueError("a host has no length")
    version, places = (IPV4, {"src": 12, "dst": 16}) if network.version == 4 else (IPV6, {"src": 8, "dst": 24})
    if found.protocol and _ETHERTYPES.get(found.protocol) != version:
        raise ValueError(f"an address of IPv{network.version} doesn't go with {found.protocol}")
    address, mask = network.network_address.packed, network.netmask.packed
    sides = []
    for side, place in places.items():
        if found.direction in ("", side):
            words = []
            for at in range(0, len(address), 4):
                number, bits = (int.from_bytes(one[at : at + 4], "big") for one in (address, mask))
                if bits:
                    masked = ((_MASK, bits),) if bits != 0xFFFFFFFF else ()
                    words.append(Test(((LOAD_WORD, _NETWORK + place + at), *masked), _EQUAL, number))
            sides.append(All(tuple(words)))
    return All((_ethertype(version), Either(tuple(sides))))


def _ported(found: _Qualifiers, low: int, high: int) -> Node:
    if found.protocol and found.protocol not in _WITH_PORTS:
        raise ValueError(f"{found.protocol} has no ports")
    protocols = [_PROTOCOLS[name] for name in ((found.protocol,) if found.protocol else _WITH_PORTS)]
    offsets = [place for side, place in (("src", 0), ("dst", 2)) if found.direction in ("", side)]
    versions = []
    for version, protocol_place, more, load in (
        (IPV4, 9, (Not(Test(((_LOAD_HALF, _NETWORK + 6),), _ANY_BIT, 0x1FFF)),), (_LOAD_HALF_BEHIND, _NETWORK)),
        (IPV6, 6, (), (_LOAD_HALF, _NETWORK + 40)),
    ):
        with_ports = Either(tuple(Test(((_LOAD_OCTET, _NETWORK + protocol_place),), _EQUAL, number) for number in protocols))
        header = ((_BEHIND_HEADER, _NETWORK),) if version == IPV4 else ()
        sides = []
        for place in offsets:
            read = (*header, (load[0], load[1] + place))
            sides.append(All((Test(read, _AT_LEAST, low), Not(Test(read, _ABOVE, high)))))
        versions.append(All((_ethertype(version), with_ports, *more, Either(tuple(sides)))))
    return Either(tuple(versions))


# ---------------------------------------------------------------- to instructions


class _Layout:
    """Instructions, with labels for places not known yet. A comparison is followed by two jumps, which reach any distance."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, int, int]] = []
        self.places: dict[int, int] = {}
        self._labels: Iterator[int] = iter(range(1 << 20))

    def label(self) -> int:
        return next(self._labels)

    def here(self, label: int) -> None:
        self.places[label] = len(self.steps)

    def add(self, node: Node, yes: int, no: int) -> None:
        """Lay out what goes on at `yes` when a node matches, else at `no`."""
        if isinstance(node, Not):
            self.add(node.term, no, yes)
        elif isinstance(node, Test):
            self.steps += [(code, 0, 0, number) for code, number in node.load]
            self.steps += [(node.compare, 0, 1, node.number), (_JUMP, 0, 0, yes), (_JUMP, 0, 0, no)]
        else:
            every = isinstance(node, All)
            for term in node.terms[:-1]:
                after = self.label()
                self.add(term, after if every else yes, no if every else after)
                self.here(after)
            if node.terms:
                self.add(node.terms[-1], yes, no)
            else:
                self.steps.append((_JUMP, 0, 0, yes if every else no))


def _laid_out(node: Node, snap: int) -> bytes:
    layout = _Layout()
    yes, no = layout.label(), layout.label()
    layout.add(node, yes, no)
    layout.here(yes)
    layout.steps.append((RETURN, 0, 0, snap))
    layout.here(no)
    layout.steps.append((RETURN, 0, 0, 0))
    return b"".join(
        INSTRUCTION.pack(code, true, false, (layout.places[k] - at - 1 if code == _JUMP else k) & 0xFFFFFFFF)
        for at, (code, true, false, k) in enumerate(layout.steps)
    )
