"""Packets: stacks of headers drawn by hypothesis and encoded by scapy give what was put in, whole blocks of them at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture.frames import ether
from tests.capture.packing import dissected

TUNNEL_PORTS = {4789, 8472, 4790, 6081, 6635, 2152}
ports = st.integers(0, 65535).filter(lambda port: port not in TUNNEL_PORTS)
octet = st.integers(0, 255)


@dataclass
class Built:
    """A packet of scapy, or its part from one header on, and what must be found in it."""

    packet: Any
    want: dict[str, Any]


@st.composite
def transports(draw: st.DrawFn) -> tuple[int, Any, dict[str, Any]]:
    from scapy.layers.inet import ICMP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6Unknown
    from scapy.layers.sctp import SCTP

    kind = draw(st.sampled_from(["tcp", "udp", "sctp", "icmp", "icmpv6", "other"]))
    source, destination = draw(ports), draw(ports)
    found = {"source_port": source, "destination_port": destination}
    if kind == "tcp":
        flags = draw(st.integers(0, 0x1FF))
        return 6, TCP(sport=source, dport=destination, flags=flags), found | {"tcp_flags": flags}
    if kind == "udp":
        return 17, UDP(sport=source, dport=destination), found
    if kind == "sctp":
        return 132, SCTP(sport=source, dport=destination), found
    number, code = draw(octet), draw(octet)
    if kind == "icmp":
        return 1, ICMP(type=number, code=code), {"icmp_type": number, "icmp_code": code}
    if kind == "icmpv6":
        return 58, ICMPv6Unknown(type=number, code=code), {"icmp_type": number, "icmp_code": code}
    return draw(st.sampled_from([2, 46, 50, 89, 103, 112, 253])), bytes(12), {}


@st.composite
def internet(draw: st.DrawFn, protocol: int, payload: Any) -> Built:
    """An IP header before a payload of the protocol."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrSegmentRouting, PadN

    tos, ttl = draw(octet), draw(octet)
    if draw(st.booleans()):
        source, destination = (str(draw(st.ip_addresses(v=4))) for _ in range(2))
        options = b"\x01" * 4 * draw(st.integers(0, 10))
        flags = draw(st.sampled_from([0, 2]))
        packet = IP(src=source, dst=destination, tos=tos, ttl=ttl, proto=protocol, options=options, flags=flags) / payload
        want: dict[str, Any] = {"ip_version": 4}
    else:
        source, destination = (str(draw(st.ip_addresses(v=6).filter(lambda one: one.ipv4_mapped is None))) for _ in range(2))
        label = draw(st.integers(0, 0xFFFFF))
        packet = IPv6(src=source, dst=destination, tc=tos, hlim=ttl, fl=label, nh=protocol)
        for extension in draw(st.lists(st.sampled_from(["hop", "options", "segments"]), max_size=3)):
            if extension == "hop":
                packet = packet / IPv6ExtHdrHopByHop(nh=protocol)
            elif extension == "options":
                packet = packet / IPv6ExtHdrDestOpt(nh=protocol, options=[PadN(optdata=bytes(draw(st.integers(0, 30))))])
            else:
                packet = packet / IPv6ExtHdrSegmentRouting(nh=protocol, addresses=["2001:db8::1"] * draw(st.integers(1, 3)))
        for header in packet.iterpayloads():
            if header.payload:
                header.nh = {"IPv6ExtHdrHopByHop": 0, "IPv6ExtHdrDestOpt": 60}.get(type(header.payload).__name__, 43)
        packet = packet / payload
        want = {"ip_version": 6, "flow_label": label}
    want |= {"source": source, "destination": destination, "tos": tos, "ttl": ttl, "protocol": protocol}
    return Built(packet, want | {"ip_total_length": len(packet)})


@st.composite
def tunnelled(draw: st.DrawFn, carried: Built) -> Built:
    """A packet in a tunnel; what it was before stays the key."""
    from scapy.contrib.geneve import GENEVE
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import GRE, Dot1Q
    from scapy.layers.vxlan import VXLAN

    version, packet, want = carried.packet.version, carried.packet, dict(carried.want)
    kind, segment = draw(st.sampled_from(["ip", "gre", "gre bridged", "vxlan", "geneve"])), draw(st.integers(0, 0xFFFFFF))
    ethertype = 0x0800 if version == 4 else 0x86DD
    frame = ether() / Dot1Q(vlan=draw(st.integers(0, 4095))) / packet if draw(st.booleans()) else ether() / packet
    protocol = 47
    if kind == "ip":
        protocol = 4 if version == 4 else 41
    elif kind == "gre":
        options = {f"{name}_present": draw(st.integers(0, 1)) for name in ("chksum", "key", "seqnum")}
        packet = GRE(proto=ethertype, **options) / packet
    elif kind == "gre bridged":
        packet = GRE(proto=0x6558, key_present=1, key=segment << 8) / frame
        want["layer2_segment_id"] = segment
    else:
        protocol = 17
        header = VXLAN(vni=segment, flags=8) if kind == "vxlan" else GENEVE(vni=segment)
        port = draw(st.sampled_from([4789, 8472])) if kind == "vxlan" else 6081
        packet = UDP(sport=draw(ports), dport=port) / header / frame
        want["layer2_segment_id"] = segment
    outer = draw(internet(protocol, packet))
    want |= {"outer_source": outer.want["source"], "outer_destination": outer.want["destination"], "outer_protocol": protocol}
    return Built(outer.packet, want | {"depth": carried.want["depth"] + 1})


@st.composite
def frames(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    from scapy.contrib.mpls import MPLS
    from scapy.layers.l2 import Dot1Q
    from scapy.layers.ppp import PPP, PPPoE

    protocol, layer, found = draw(transports())
    built = draw(internet(protocol, layer / b"payload" if not isinstance(layer, bytes) else layer))
    built.want |= found | {"depth": 0, "fragment": 0}
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        built = draw(tunnelled(built))
    want, packet = built.want, built.packet
    four = packet.version == 4
    kind = 0x0800 if four else 0x86DD
    labels = draw(st.lists(st.integers(0, 0xFFFFF), max_size=12))
    if labels:
        for place, label in enumerate(reversed(labels)):
            packet = MPLS(label=label, s=int(place == 0)) / packet
        want |= {f"mpls_label_{place + 1}": label for place, label in enumerate(labels[:10])}
        kind = 0x8847
    elif draw(st.booleans()):
        packet, kind = PPPoE(sessionid=1) / PPP(proto=0x21 if four else 0x57) / packet, 0x8864
    want["ethernet_type"] = kind
    tags = draw(st.lists(st.integers(1, 4095), max_size=3))
    for place, tag in enumerate(reversed(tags)):
        packet = Dot1Q(vlan=tag, prio=3, type=kind if place == 0 else 0x8100) / packet
    want |= dict(zip(("source_vlan", "customer_vlan"), tags, strict=False))
    packet = ether(type=draw(st.sampled_from([0x8100, 0x88A8, 0x9100])) if tags else kind) / packet
    return bytes(packet), want | {"source_mac": 0x020000000001, "destination_mac": 0x020000000002}


@given(st.lists(frames(), min_size=1, max_size=5))
@settings(max_examples=100)
def test_what_was_put_in_is_found(packets: list[tuple[bytes, dict[str, Any]]]) -> None:
    for (frame, want), got in zip(packets, dissected([frame for frame, _ in packets]), strict=True):
        assert got.pop("ip_end") <= len(frame)
        got.pop("transport", None)
        got.pop("network", None)
        got.pop("identification", None)
        assert got == want
