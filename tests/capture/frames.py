"""Frames for tests, made by scapy: its idea of each header is the oracle. Beside each stands what must be found in it.

Scapy's layers are imported where they are needed: that takes a while.
"""

from __future__ import annotations

import struct
from typing import Any

from nftui.capture import links

IP4, IP6 = ("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "2001:db8:ffff::2")
KEY = {"source": IP4[0], "destination": IP4[1], "source_port": 1111, "destination_port": 80, "protocol": 6, "tcp_flags": 0x12}


def inner() -> Any:
    from scapy.layers.inet import IP, TCP

    return IP(src=IP4[0], dst=IP4[1], ttl=9, tos=0xB8) / TCP(sport=1111, dport=80, flags="SA") / b"payload"


def outer4(**fields: Any) -> Any:
    from scapy.layers.inet import IP

    return IP(src="203.0.113.1", dst="203.0.113.2", **fields)


def outer6(**fields: Any) -> Any:
    from scapy.layers.inet6 import IPv6

    return IPv6(src="2001:db8:a::1", dst="2001:db8:a::2", **fields)


def ether(source: str = "02:00:00:00:00:01", **fields: Any) -> Any:
    from scapy.layers.l2 import Ether

    return Ether(src=source, dst="02:00:00:00:00:02", **fields)


OUTER4 = {"outer_source": "203.0.113.1", "outer_destination": "203.0.113.2", "depth": 1}
OUTER6 = {"outer_source": "2001:db8:a::1", "outer_destination": "2001:db8:a::2", "depth": 1}


def tunnel_cases() -> dict[str, tuple[Any, dict[str, Any]]]:
    from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
    from scapy.contrib.geneve import GENEVE
    from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
    from scapy.contrib.mpls import MPLS
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import GRE, Dot1Q
    from scapy.layers.vxlan import VXLAN

    framed = ether() / Dot1Q(vlan=9) / inner()
    mpls = MPLS(label=16, s=0, ttl=64) / MPLS(label=17, s=1, ttl=64)

    def udp(port: int) -> Any:
        return UDP(sport=50000, dport=port)

    return {
        "ip in ip": (outer4(proto=4) / inner(), OUTER4 | {"outer_protocol": 4}),
        "ip in ipv6": (outer6(nh=4) / inner(), OUTER6 | {"outer_protocol": 4}),
        "gre": (outer4() / GRE() / inner(), OUTER4 | {"outer_protocol": 47}),
        "gre with all": (outer4() / GRE(chksum_present=1, key_present=1, seqnum_present=1, key=7) / inner(), OUTER4),
        "gre over ipv6": (outer6() / GRE() / inner(), OUTER6 | {"outer_protocol": 47}),
        "gre bridged": (outer4() / GRE(proto=0x6558) / framed, OUTER4),
        "nvgre": (outer4() / GRE(proto=0x6558, key_present=1, key=5001 << 8 | 3) / framed, OUTER4 | {"layer2_segment_id": 5001}),
        "gre mpls": (outer4() / GRE(proto=0x8847) / mpls / inner(), OUTER4 | {"mpls_label_1": 16, "mpls_label_2": 17}),
        "erspan 2": (outer4() / GRE(seqnum_present=1, proto=0x88BE) / ERSPAN_II(vlan=7) / framed, OUTER4),
        "erspan 3": (outer4() / GRE(seqnum_present=1, proto=0x22EB) / ERSPAN_III() / framed, OUTER4),
        "vxlan": (outer4() / udp(4789) / VXLAN(vni=77, flags=8) / framed, OUTER4 | {"layer2_segment_id": 77, "outer_protocol": 17}),
        "vxlan of linux": (outer6() / udp(8472) / VXLAN(vni=77, flags=8) / framed, OUTER6 | {"layer2_segment_id": 77}),
        "vxlan gpe": (outer4() / udp(4790) / VXLAN(vni=77, flags=12, NextProtocol=1) / inner(), OUTER4 | {"layer2_segment_id": 77}),
        "geneve": (outer4() / udp(6081) / GENEVE(vni=88) / framed, OUTER4 | {"layer2_segment_id": 88}),
        "geneve ip": (outer4() / udp(6081) / GENEVE(vni=88, proto=0x0800) / inner(), OUTER4 | {"layer2_segment_id": 88}),
        "mpls in udp": (outer4() / udp(6635) / mpls / inner(), OUTER4 | {"mpls_label_2": 17}),
        "gtp": (outer4() / udp(2152) / GTP_U_Header(teid=3) / inner(), OUTER4),
        "gtp extended": (outer4() / udp(2152) / GTP_U_Header(teid=3, E=1) / GTPPDUSessionContainer(QFI=3) / inner(), OUTER4),
        "etherip": (outer4(proto=97) / b"\x30\0" / framed, OUTER4 | {"outer_protocol": 97}),
        "mpls in ip": (outer4(proto=137) / mpls / inner(), OUTER4 | {"mpls_label_1": 16}),
        "two": (outer4(proto=41) / outer6() / GRE() / inner(), OUTER4 | {"outer_protocol": 41, "depth": 2}),
    }  # fmt: skip


TUNNELS = (
    "ip in ip", "ip in ipv6", "gre", "gre with all", "gre over ipv6", "gre bridged", "nvgre", "gre mpls", "erspan 2", "erspan 3",
    "vxlan", "vxlan of linux", "vxlan gpe", "geneve", "geneve ip", "mpls in udp", "gtp", "gtp extended", "etherip", "mpls in ip",
    "two",
)  # fmt: skip


def link_cases() -> dict[str, tuple[int, bytes, dict[str, Any]]]:
    from scapy.contrib.mpls import MPLS, EoMCW
    from scapy.layers.l2 import LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Loopback
    from scapy.layers.ppp import HDLC, PPP, PPPoE

    macs = {"source_mac": 0x020000000001, "destination_mac": 0x020000000002}
    qinq = ether() / Dot1AD(vlan=100, prio=3) / Dot1Q(vlan=200) / inner()
    stack = MPLS(label=1000, s=0) / MPLS(label=1001, s=1)
    snap = Dot3(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / LLC() / SNAP() / inner()
    return {
        "ethernet": (1, bytes(ether() / inner()), macs | {"ethernet_type": 0x0800}),
        "padded": (1, bytes(ether() / inner()) + bytes(30), macs),
        "vlan": (1, bytes(ether() / Dot1Q(vlan=100) / inner()), macs | {"source_vlan": 100, "ethernet_type": 0x0800}),
        "priority": (1, bytes(ether() / Dot1Q(vlan=0, prio=5) / inner()), macs | {"source_vlan": None, "ethernet_type": 0x0800}),
        "qinq": (1, bytes(qinq), macs | {"source_vlan": 100, "customer_vlan": 200, "ethernet_type": 0x0800}),
        "mpls": (
            1,
            bytes(ether(type=0x8847) / stack / inner()),
            macs | {"mpls_label_1": 1000, "mpls_label_2": 1001, "ethernet_type": 0x8847},
        ),
        "pseudowire": (
            1,
            bytes(ether(type=0x8847) / stack / EoMCW(seq=0) / ether("02:00:00:00:00:09") / Dot1Q(vlan=7) / inner()),
            macs | {"mpls_label_1": 1000, "mpls_label_2": 1001, "source_vlan": None, "ethernet_type": 0x8847},
        ),
        "pppoe": (1, bytes(ether() / PPPoE(sessionid=9) / PPP() / inner()), macs | {"ethernet_type": 0x8864}),
        "snap": (1, bytes(snap), macs | {"ethernet_type": 0x0800}),
        "raw": (101, bytes(inner()), {"source_mac": None, "ethernet_type": None}),
        "ipv4": (228, bytes(inner()), {"ethernet_type": None}),
        "cooked": (113, bytes(CookedLinux() / inner()), {"ethernet_type": 0x0800, "source_mac": None}),
        "cooked 2": (276, bytes(CookedLinuxV2() / inner()), {"ethernet_type": 0x0800}),
        "null": (0, bytes(Loopback(type=2) / inner()), {}),
        "ppp": (9, bytes(PPP() / inner()), {}),
        "ppp with address": (50, bytes(HDLC() / PPP() / inner()), {}),
        "ppp compressed": (9, b"\x21" + bytes(inner()), {}),
        "cisco hdlc": (104, b"\x0f\0\x08\0" + bytes(inner()), {"ethernet_type": 0x0800}),
        "mpls link": (links.MPLS_LINK, bytes(stack / inner()), {"mpls_label_1": 1000, "mpls_label_2": 1001}),
    }  # fmt: skip


LINKS = (
    "ethernet", "padded", "vlan", "priority", "qinq", "mpls", "pseudowire", "pppoe", "snap", "raw", "ipv4", "cooked", "cooked 2",
    "null", "ppp", "ppp with address", "ppp compressed", "cisco hdlc", "mpls link",
)  # fmt: skip


def transport_cases() -> dict[str, tuple[Any, int, dict[str, Any]]]:
    from scapy.layers.inet import ICMP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS
    from scapy.layers.sctp import SCTP

    ports = {"source_port": 1234, "destination_port": 65535}
    return {
        "tcp": (TCP(sport=1234, dport=65535, flags="FSRPAUEC", reserved=5), 6, ports | {"tcp_flags": 0xAFF}),
        "udp": (UDP(sport=1234, dport=65535), 17, ports | {"tcp_flags": None}),
        "sctp": (SCTP(sport=1234, dport=65535), 132, ports),
        "udp lite": (struct.pack(">HHHH", 1234, 65535, 8, 0), 136, ports),
        "dccp": (struct.pack(">HHHH", 1234, 65535, 8, 0), 33, ports),
        "icmp": (ICMP(type=3, code=1), 1, {"icmp_type": 3, "icmp_code": 1, "source_port": None}),
        "icmpv6": (ICMPv6EchoRequest(), 58, {"icmp_type": 128, "icmp_code": 0}),
        "neighbour": (ICMPv6ND_NS(), 58, {"icmp_type": 135, "icmp_code": 0}),
        "esp": (bytes(20), 50, {"source_port": None, "icmp_type": None}),
        "none": (b"", 59, {"transport": None}),
    }


TRANSPORTS = ("tcp", "udp", "sctp", "udp lite", "dccp", "icmp", "icmpv6", "neighbour", "esp", "none")
