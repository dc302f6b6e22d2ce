"""Names of protocols and services that filters accept, and their numbers.

Source: IANA, "Protocol Numbers" and "Service Name and Transport Protocol Port Number Registry", the part that people type. Names
are lower case. Of several names of one number the first is the one that is printed.
"""

from __future__ import annotations

PROTOCOLS: dict[str, int] = {
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ggp": 3,
    "ipip": 4,
    "ipencap": 4,
    "tcp": 6,
    "egp": 8,
    "igp": 9,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmp6": 58,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "eigrp": 88,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
    "mpls-in-ip": 137,
}

PRINTED_PROTOCOLS: dict[int, str] = {
    number: name
    for name, number in PROTOCOLS.items()
    if name in {"icmp", "igmp", "tcp", "udp", "gre", "esp", "ah", "icmp6", "sctp"}
}
"""The names that stand for the same number wherever a filter is read; the other protocols are printed as numbers."""

_SHOWN_PROTOCOLS = {number: name.upper() for name, number in reversed(PROTOCOLS.items())}

EXPORTS: dict[int, str] = {
    1: "NetFlow v1", 5: "NetFlow v5", 7: "NetFlow v7", 9: "NetFlow v9", 10: "IPFIX", 1005: "sFlow v5",
}  # fmt: skip
"""Values of the column `protocol_version`: how a flow was exported."""

SERVICES: dict[str, int] = {
    "echo": 7,
    "discard": 9,
    "daytime": 13,
    "chargen": 19,
    "ftp-data": 20,
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "time": 37,
    "whois": 43,
    "tacacs": 49,
    "domain": 53,
    "dns": 53,
    "bootps": 67,
    "dhcp": 67,
    "bootpc": 68,
    "tftp": 69,
    "gopher": 70,
    "finger": 79,
    "http": 80,
    "www": 80,
    "kerberos": 88,
    "pop3": 110,
    "sunrpc": 111,
    "rpcbind": 111,
    "ident": 113,
    "nntp": 119,
    "ntp": 123,
    "msrpc": 135,
    "netbios-ns": 137,
    "netbios-dgm": 138,
    "netbios-ssn": 139,
    "imap": 143,
    "snmp": 161,
    "snmptrap": 162,
    "snmp-trap": 162,
    "bgp": 179,
    "irc": 194,
    "ldap": 389,
    "https": 443,
    "smb": 445,
    "microsoft-ds": 445,
    "submissions": 465,
    "smtps": 465,
    "isakmp": 500,
    "ike": 500,
    "syslog": 514,
    "rip": 520,
    "dhcpv6-client": 546,
    "dhcpv6-server": 547,
    "rtsp": 554,
    "submission": 587,
    "ipp": 631,
    "ldaps": 636,
    "ldp": 646,
    "rsync": 873,
    "ftps": 990,
    "imaps": 993,
    "pop3s": 995,
    "socks": 1080,
    "openvpn": 1194,
    "ms-sql": 1433,
    "oracle": 1521,
    "l2tp": 1701,
    "pptp": 1723,
    "radius": 1812,
    "radius-acct": 1813,
    "mqtt": 1883,
    "ssdp": 1900,
    "nfs": 2049,
    "netflow": 2055,
    "iscsi": 3260,
    "mysql": 3306,
    "rdp": 3389,
    "stun": 3478,
    "svn": 3690,
    "ipsec-nat-t": 4500,
    "ipfix": 4739,
    "vxlan": 4789,
    "sip": 5060,
    "sips": 5061,
    "xmpp-client": 5222,
    "xmpp-server": 5269,
    "mdns": 5353,
    "postgresql": 5432,
    "postgres": 5432,
    "amqp": 5672,
    "vnc": 5900,
    "x11": 6000,
    "geneve": 6081,
    "sflow": 6343,
    "redis": 6379,
    "http-alt": 8080,
    "mqtts": 8883,
    "git": 9418,
    "memcached": 11211,
    "mongodb": 27017,
    "wireguard": 51820,
}


def protocol_name(number: int) -> str:
    """Return a protocol's name as tables show it, `TCP`, or its number."""
    return _SHOWN_PROTOCOLS.get(number, str(number))
