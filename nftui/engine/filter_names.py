"""Names that values of a field have in filters, lower case: tables of name -> number.

Sources: IANA "Differentiated Services Field Codepoints (DSCP)" and "IEEE 802 Numbers"; RFC 8158, section 4.3 (NAT events); Cisco,
"ASA NetFlow Implementation Guide" (firewall events); RFC 7270, section 4.12 (forwarding status). The short names are nfdump's.
"""

from __future__ import annotations

from nftui.engine.filter_fields import Kind

DSCP: dict[str, int] = {
    "be": 0,
    "le": 1,
    **{f"cs{n}": n * 8 for n in range(8)},
    **{f"af{n}{drop}": n * 8 + drop * 2 for n in range(1, 5) for drop in range(1, 4)},
    "va": 44,
    "ef": 46,
}

ETHERTYPES: dict[str, int] = {
    "ip": 0x0800, "ipv4": 0x0800, "arp": 0x0806, "vlan": 0x8100, "ipv6": 0x86DD, "mpls": 0x8847, "pppoe": 0x8864,
    "qinq": 0x88A8, "lldp": 0x88CC,
}  # fmt: skip

FLOW_DIRECTIONS: dict[str, int] = {"ingress": 0, "egress": 1}

NAT_EVENTS: dict[str, int] = {
    "invalid": 0, "add": 1, "delete": 2, "exhaust": 3, "add44": 4, "del44": 5, "add64": 6, "del64": 7, "add44bib": 8,
    "del44bib": 9, "add64bib": 10, "del64bib": 11, "pexhaust": 12, "quotaexh": 13, "addaddr": 14, "deladdr": 15,
    "addpblk": 16, "delpblk": 17, "threshld": 18,
}  # fmt: skip

FIREWALL_EVENTS: dict[str, int] = {
    "ignore": 0, "create": 1, "delete": 2, "term": 2, "denied": 3, "deny": 3, "alert": 4, "update": 5,
}  # fmt: skip

FIREWALL_REASONS: dict[str, int] = {
    "ignore": 0, "ingress": 1001, "i-acl": 1001, "egress": 1002, "e-acl": 1002, "interface": 1003, "access": 1003,
    "deny": 1003, "nosyn": 1004,
}  # fmt: skip

FORWARDING: dict[str, int] = {
    "frag": 65, "dacld": 129, "daclp": 130, "noroute": 131, "dadj": 132, "dfrag": 133, "dbadh": 134, "dbadtlen": 135,
    "dbadhlen": 136, "dbadttl": 137, "dpolicy": 138, "dwred": 139, "drpf": 140, "dforus": 141, "dbadof": 142, "dhw": 143,
    "tadj": 193, "tincadj": 194, "tforus": 195,
}  # fmt: skip
"""A status with its reason."""

FORWARDING_CLASSES: dict[str, tuple[int, int]] = {
    "ukwn": (0, 63),
    "forw": (64, 127),
    "drop": (128, 191),
    "term": (192, 255),
}
"""The status alone, in the upper two bits, whatever the reason."""

NAMED: dict[Kind, dict[str, int]] = {
    Kind.DSCP: DSCP,
    Kind.ETHERTYPE: ETHERTYPES,
    Kind.FLOW_DIRECTION: FLOW_DIRECTIONS,
    Kind.FORWARDING: FORWARDING,
    Kind.NAT_EVENT: NAT_EVENTS,
    Kind.FIREWALL_EVENT: FIREWALL_EVENTS,
    Kind.FIREWALL_REASON: FIREWALL_REASONS,
}
"""The names of the values of each kind that has such a table."""

RANGES: dict[Kind, dict[str, tuple[int, int]]] = {Kind.FORWARDING: FORWARDING_CLASSES}
"""Names that stand for all values from one to another."""
