"""The vocabulary of the filter language: each word and what it stands for, as tables; the grammar is in `filters`."""

from __future__ import annotations

from nftui.engine.filter_tree import ANY, FIELDS, Compare, Direction, Family, Filter, Kind, Operator
from nftui.engine.names import PROTOCOLS

UNLISTED = {Kind.FLAGS, Kind.TIME}
"""Fields that are compared with one value only."""

BINDING = {"or": 1, "||": 1, "and": 2, "&&": 2}
NEGATIONS = {"not", "!"}

OPERATORS: dict[str, Operator] = {
    **{operator.value: operator for operator in Operator},
    **{operator.name.lower(): operator for operator in Operator},
    "==": Operator.EQ,
}

CONSTANTS: dict[str, Filter] = {
    "any": ANY,
    "ipv4": Family(4),
    "inet": Family(4),
    "ipv6": Family(6),
    "inet6": Family(6),
    "ip6": Family(6),
    **{
        name: Compare("proto", Operator.EQ, PROTOCOLS[name]) for name in ("tcp", "udp", "icmp", "icmp6", "gre", "esp", "ah", "sctp")
    },
}
"""Words that are whole terms."""

QUALIFIERS = {name for name, term in CONSTANTS.items() if isinstance(term, Compare)}
"""Words that are protocols."""

QUALIFIED = {"src", "dst", "port", "portrange", "host", "net"}
"""After a bare protocol these go on with the term: `tcp port 80`."""

FIELD_WORDS: dict[str, str] = {
    **{name: name for name in FIELDS},
    "host": "ip",
    "net": "ip",
    "portrange": "port",
    "flow": "flows",
}
PHRASES: dict[tuple[str, ...], str] = {
    ("icmp", "type"): "icmp-type",
    ("icmp", "code"): "icmp-code",
    ("ip", "proto"): "proto",
}
"""Fields that are written in two words."""

DIRECTION_WORDS: dict[str, str] = {
    **{word: word for word in ("src", "dst", "in", "out", "prev", "next", "bgp", "router", "first", "last")},
    "exporter": "router",
    "bgpnext": "bgp next",
}
DIRECTIONS: dict[str, Direction] = {direction.value: direction for direction in Direction if direction.value}

PACKET_LEVEL = {"ether", "gateway", "broadcast", "multicast"}
"""Words of pcap filters that flows can't answer."""

NOT_YET = frozenset(
    """
    @include acl app asa asorg client count dscp egress engine engine-id engine-type ethertype event flowdir fwdstat geo greater id
    ident ingress label latency less max min mpls nat nip nport observation pblock payload pf process server sysid ttl tun vrf xip
    xnet xport
    """.split()  # noqa: SIM905 - a list of words reads better than a column of quotes
)
"""Words of the language that no tree stands for yet."""

WORDS = sorted({*CONSTANTS, *FIELD_WORDS, *DIRECTION_WORDS} - {"bgp", "bgpnext"})
