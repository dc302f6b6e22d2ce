"""The vocabulary of the filter language: each word and what it stands for, as tables; the grammar is in `filters`."""

from __future__ import annotations

from nftui.engine.filter_fields import FIELDS, Direction, Kind, Operator
from nftui.engine.filter_tree import ANY, Compare, Family, Filter
from nftui.engine.names import PROTOCOLS

UNLISTED = {Kind.FLAGS, Kind.TIME, Kind.TEXT, Kind.ORGANISATION}
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

PHRASES: dict[tuple[str, ...], str] = {
    **{tuple(name.split()): name for name in FIELDS},
    ("host",): "ip",
    ("net",): "ip",
    ("portrange",): "port",
    ("flow",): "flows",
    ("icmp", "type"): "icmp-type",
    ("icmp", "code"): "icmp-code",
    ("ip", "proto"): "proto",
    ("ip", "ttl"): "ttl",
    ("engine", "type"): "engine-type",
    ("engine", "id"): "engine-id",
    ("exporter", "id"): "observation domain id",
    ("pblock", "start"): "nat pblock start",
    ("pblock", "end"): "nat pblock end",
    ("asa", "denied"): "asa xevent",
    # nfdump 1.7.1
    ("asa", "event", "denied"): "asa xevent",
    ("xip",): "ip",
    ("nip",): "ip",
    ("tunip",): "ip",
    ("xnet",): "ip",
    ("nnet",): "ip",
    ("xport",): "port",
    ("nport",): "port",
    # pcap: the size of a packet, of which a flow knows the average
    ("less",): "bpp",
    ("greater",): "bpp",
}
"""What is written for a field, canonical or not; the longest phrase counts."""

LONGEST_PHRASE = max(map(len, PHRASES))
IMPLIED: dict[str, str] = {"xip": "nat", "nip": "nat", "xnet": "nat", "nnet": "nat", "xport": "nat", "nport": "nat", "tunip": "tun"}
"""The part of the direction that a word of nfdump 1.7.1 has in it."""
COMPARING: dict[str, Operator] = {"less": Operator.LE, "greater": Operator.GE}
"""Words with a comparator in them."""
NETWORKS = {"net", "xnet", "nnet"}
"""Words after which a network is read, as opposed to an address."""

DIRECTION_WORDS: dict[str, str] = {
    **{
        word: word
        for word in (
            *("src", "dst", "in", "out", "prev", "next", "bgp", "router", "first", "last"),
            *("nat", "tun", "ingress", "egress", "min", "max"),
        )
    },
    "exporter": "router",
    "bgpnext": "bgp next",
    "xlate": "nat",
    "outer": "tun",
}
DIRECTIONS: dict[str, Direction] = {direction.value: direction for direction in Direction if direction.value}

PACKET_LEVEL = {"ether", "gateway", "broadcast", "multicast"}
"""Words of pcap filters that flows can't answer."""

NOT_HELD: dict[tuple[str, ...], tuple[str, str]] = {
    ("client",): ("flows hold no latency", "leave the term out"),
    ("server",): ("flows hold no latency", "leave the term out"),
    ("latency",): ("flows hold no latency", "leave the term out"),
    ("app", "latency"): ("flows hold no latency", "leave the term out"),
    ("payload",): ("flows hold no payload", "use the probe's BPF filter"),
    ("pf",): ("flows hold nothing of the packet filter pf", "leave the term out"),
    ("process",): ("flows hold no process", "leave the term out"),
    ("label",): ("flows hold no label", "of MPLS, write mpls label1 16"),
    ("observation", "point"): ("flows hold no observation point", "write observation domain id 1"),
    ("nat", "pblock", "step"): ("of port blocks flows hold start and end", "write nat pblock start 1024"),
    ("nat", "pblock", "size"): ("of port blocks flows hold start and end", "write nat pblock start 1024"),
    ("pblock", "step"): ("of port blocks flows hold start and end", "write nat pblock start 1024"),
    ("pblock", "size"): ("of port blocks flows hold start and end", "write nat pblock start 1024"),
    **{("mpls", f"exp{n}"): ("of MPLS flows hold the labels", f"write mpls label{n} 16") for n in range(1, 11)},
    ("count",): ("records have no number, as each program reads them in an order of its own", "end a list with -c"),
    ("ident",): ("flows hold no ident but none", "write router ip 192.0.2.1"),
    ("sysid",): ("nfdump's numbers of exporters are its own", "write router ip 192.0.2.1, or exporter id for its domain"),
    ("exporter", "sysid"): (
        "nfdump's numbers of exporters are its own",
        "write router ip 192.0.2.1, or exporter id for its domain",
    ),
    ("tz",): ("flows hold no time zone", "leave the term out"),
}
"""Phrases of the language for what no flow of the store can hold: what is said of them."""

SLIPS: dict[tuple[str, str], str] = {
    ("=", ">"): ">=",
    ("=", "<"): "<=",
    ("<", ">"): "!=",
    ("=", "!"): "!=",
    (">", "<"): "!=",
    ("=", "="): "=",
}
"""Comparators as people type them, and as they are spelled."""

VALUES: dict[Kind, str] = {
    Kind.NUMBER: "100",
    Kind.PORT: "80",
    Kind.PROTOCOL: "tcp",
    Kind.FLAGS: "S",
    Kind.MAC: "00:11:22:33:44:55",
    Kind.TIME: "> -15m",
    Kind.ADDRESS: "192.0.2.1",
    Kind.TEXT: "~ web",
    Kind.COUNTRY: "DE",
    Kind.ORGANISATION: "~ cloud",
    Kind.DSCP: "ef",
    Kind.ETHERTYPE: "0x86dd",
    Kind.FLOW_DIRECTION: "ingress",
    Kind.FORWARDING: "drop",
    Kind.NAT_EVENT: "add44",
    Kind.FIREWALL_EVENT: "denied",
    Kind.FIREWALL_REASON: "1001",
    Kind.COUNTRY: "DE",
    Kind.ORGANISATION: "~ example",
}
"""Of each kind a value for a hint."""

NUMBERS_OF: dict[str, str] = {
    "duration": "durations are in milliseconds, as duration > 5000",
    "if": "write the interface's number, as if 3",
    "icmp-type": "write its number, as icmp-type 8",
    "icmp-code": "write its number, as icmp-code 0",
}
"""Hints for fields of numbers of which people try something else."""

NOT_HERE = frozenset(("@include",))
"""Words of the language that stand for text, which whoever includes files has put in their place before."""

HEADS: dict[str, str] = {
    head: ", ".join(dict.fromkeys(" ".join(phrase[1:]) for phrase in PHRASES if phrase[0] == head and len(phrase) > 1))
    for head in ("mpls", "observation", "engine", "asa", "app", "pblock")
}
"""Words that begin phrases and are nothing alone, and what may follow them."""

WORDS = sorted(
    ({*CONSTANTS, *(phrase[0] for phrase in PHRASES), *DIRECTION_WORDS} - {"bgp", "bgpnext", "nnet", "tunip", "xlate", "outer"})
    | {phrase[-1] for phrase in PHRASES if len(phrase) == 1}
)
"""Words that begin a term."""
