"""Mixes of traffic, drawn anew by a seed and made by scapy, which tshark, softflowd and the meter must count alike.

`python -m tests.real.mixes --times 40` compares as many mixes and says what differs. Explained, and expected, are:

- softflowd counts the padding of short Ethernet frames, as it takes what follows the link header for the packet;
- softflowd knows no PPPoE, no QinQ, and no link layer within another one;
- softflowd stops at IPv6 extension headers that it does not know, so such packets are left out of the comparison with it.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import peers
from tests.capture.probe.blocks import NOON, block, metered, totals
from tests.nfcapd import nfcapd
from tests.real.test_exporters import nfdump, softflowd

PACKETS = 250
_ALL = "ff:ff:ff:ff:ff:ff"
Count = Counter[tuple[Any, ...]]
"""Source, destination, ports where asked for, protocol, and `packets` or `octets` -> how many."""


@dataclass(frozen=True)
class Mix:
    """Some frames, each with whether softflowd reads it, and how many octets of padding it takes for traffic."""

    frames: list[bytes]
    times: list[int]
    known: list[bool]
    padding: list[int]


def made(seed: int) -> Mix:
    """Return a mix: conversations of any protocol over any link layer, with fragments, tunnels, options and what is not IP."""
    from scapy.layers.inet import fragment
    from scapy.layers.inet6 import IPv6, fragment6
    from scapy.layers.l2 import ARP, LLC, STP, Dot3, Ether

    draw, ether = random.Random(seed), Ether(dst=_ALL)
    mix = Mix([], [], [], [])
    talks = [_conversation(draw) for _ in range(draw.randint(5, 30))]
    time = NOON
    while len(mix.frames) < PACKETS:
        time += draw.choice([0, 1, 900, 40_000])
        link = draw.choices(_LINKS, [12, 3, 1, 1, 2])[0]
        if draw.random() < 0.04:
            other = draw.choice(
                [ether / ARP(pdst="192.0.2.7"), Dot3(dst=_ALL) / LLC() / STP(), Ether(dst=_ALL, type=0x88CC) / bytes(46)]
            )
            _add(mix, bytes(other), time, True, 0)
            continue
        packet = draw.choice(talks)(draw)
        parts = [packet]
        if draw.random() < 0.05 and len(packet) > 600:
            size = draw.choice([296, 400, 576])
            parts = fragment6(packet, size) if IPv6 in packet and packet.name == "IPv6" else fragment(packet, size)
        for part in parts:
            frame, known = link(draw, part)
            room = draw.random() < 0.8 and max(60 - len(frame), 0)
            extended = part.name == "IPv6" and part.nh in (0, 43, 44, 60)
            _add(mix, frame + bytes(room), time, known and not extended, int(room))
    return mix


def _add(mix: Mix, frame: bytes, time: int, known: bool, padding: int) -> None:
    for values, value in ((mix.frames, frame), (mix.times, time), (mix.known, known), (mix.padding, padding)):
        values.append(value)  # type: ignore[attr-defined]


def _conversation(draw: random.Random) -> Callable[[random.Random], Any]:
    """Return what draws packets between two ends, in both directions."""
    from scapy.layers.inet import ICMP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest
    from scapy.layers.sctp import SCTP, SCTPChunkCookieAck

    six = draw.random() < 0.3
    ends = [_address(draw, six) for _ in range(2)]
    ports = draw.randint(1024, 65535), draw.choice([22, 53, 80, 123, 443, 3389, draw.randint(1, 65535)])
    kind = draw.choices(["tcp", "udp", "icmp", "sctp", "other", "tunnel"], [6, 5, 2, 1, 1, 2])[0]

    def packet(draw: random.Random) -> Any:
        turned = draw.random() < 0.4
        (source, destination), (sport, dport) = (pair[::-1] if turned else pair for pair in (ends, ports))
        body = draw.randbytes(draw.choice([0, 1, 10, 40, 700, 1200]))
        if kind == "tcp":
            flags = draw.choice(["S", "SA", "A", "PA", "FA", "R"])
            options = [("MSS", 1460)] if draw.random() < 0.2 else []
            return _ip(draw, six, source, destination) / TCP(sport=sport, dport=dport, flags=flags, options=options) / body
        if kind == "udp":
            return _ip(draw, six, source, destination) / UDP(sport=sport, dport=dport) / body
        if kind == "icmp":
            return _ip(draw, six, source, destination) / (ICMPv6EchoRequest(data=body) if six else ICMP() / body)
        if kind == "sctp":
            return _ip(draw, six, source, destination) / SCTP(sport=sport, dport=dport) / SCTPChunkCookieAck()
        if kind == "other":
            from scapy.layers.inet import IP
            from scapy.layers.inet6 import IPv6

            return (IPv6(src=source, dst=destination, nh=89) if six else IP(src=source, dst=destination, proto=89)) / body
        return _ip(draw, six, source, destination) / _tunnel(draw) / _ip(draw, False, "10.9.0.1", "10.9.0.2") / UDP() / body

    return packet


def _tunnel(draw: random.Random) -> Any:
    from scapy.contrib.geneve import GENEVE
    from scapy.contrib.gtp import GTP_U_Header
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import GRE, Ether
    from scapy.layers.vxlan import VXLAN

    return draw.choice(
        [
            GRE(),
            UDP(sport=50000, dport=4789) / VXLAN(vni=7, flags=8) / Ether(dst=_ALL),
            UDP(sport=50000, dport=6081) / GENEVE(vni=8) / Ether(dst=_ALL),
            UDP(sport=2152, dport=2152) / GTP_U_Header(teid=3),
        ]
    )


def _address(draw: random.Random, six: bool) -> str:
    return f"2001:db8::{draw.randint(1, 0xFFFF):x}" if six else f"10.{draw.randint(0, 3)}.0.{draw.randint(1, 254)}"


def _ip(draw: random.Random, six: bool, source: str, destination: str) -> Any:
    from scapy.layers.inet import IP, IPOption_Router_Alert
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop

    if not six:
        options = [IPOption_Router_Alert()] if draw.random() < 0.05 else []
        return IP(src=source, dst=destination, tos=draw.choice([0, 0, 0, 8]), id=draw.randint(1, 65535), options=options)
    header = IPv6(src=source, dst=destination, tc=draw.choice([0, 0, 0xB8]), fl=draw.randint(0, 9))
    return header / draw.choice([IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()]) if draw.random() < 0.1 else header


def _ethernet(draw: random.Random, packet: Any) -> tuple[bytes, bool]:
    from scapy.layers.l2 import Ether

    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet), True


def _vlan(draw: random.Random, packet: Any) -> tuple[bytes, bool]:
    from scapy.layers.l2 import Dot1Q, Ether

    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / Dot1Q(vlan=draw.randint(1, 9)) / packet), True


def _qinq(draw: random.Random, packet: Any) -> tuple[bytes, bool]:
    from scapy.layers.l2 import Dot1AD, Dot1Q, Ether

    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / Dot1AD(vlan=5) / Dot1Q(vlan=6) / packet), False


def _mpls(draw: random.Random, packet: Any) -> tuple[bytes, bool]:
    from scapy.contrib.mpls import MPLS
    from scapy.layers.l2 import Ether

    stack = MPLS(label=100, s=0) / MPLS(label=200, s=1)
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x8847) / stack / packet), False


def _pppoe(draw: random.Random, packet: Any) -> tuple[bytes, bool]:
    from scapy.layers.l2 import Ether
    from scapy.layers.ppp import PPP, PPPoE

    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / PPPoE(sessionid=7) / PPP() / packet), False


_LINKS = (_ethernet, _vlan, _qinq, _mpls, _pppoe)

# ---------------------------------------------------------------- who counts

_FIELDS = (
    "frame.protocols", "ip.src", "ip.dst", "ip.proto", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.plen",
    "ipv6.hopopts.nxt", "ipv6.dstopts.nxt", "ipv6.routing.nxt", "ipv6.fraghdr.nxt", "tcp.srcport", "tcp.dstport", "udp.srcport",
    "udp.dstport", "sctp.srcport", "sctp.dstport", "ip.frag_offset", "ipv6.fraghdr.offset",
)  # fmt: skip
_NEXT = {0: "ipv6.hopopts.nxt", 60: "ipv6.dstopts.nxt", 43: "ipv6.routing.nxt", 44: "ipv6.fraghdr.nxt"}
_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}


def by_tshark(capture: Path) -> Count:
    """Count by the outermost IP header that tshark names; it puts no fragments together, and so sees the ports of the first."""
    command = [peers.require("tshark"), "-n", "-r", str(capture), "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    command += [f"-o{setting}:FALSE" for setting in ("ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams")]
    for field in _FIELDS:
        command += ["-e", field]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counted: Count = Counter()
    for line in told.splitlines():
        said = dict(zip(_FIELDS, line.split("|"), strict=True))
        layers = said["frame.protocols"].split(":")
        outer = next((layer for layer in layers if layer in ("ip", "ipv6")), None)
        if outer is None:
            continue
        if outer == "ip":
            protocol, octets, later = int(said["ip.proto"]), int(said["ip.len"]), said["ip.frag_offset"] not in ("", "0")
        else:
            protocol, octets, later = (
                int(said["ipv6.nxt"]),
                int(said["ipv6.plen"]) + 40,
                said["ipv6.fraghdr.offset"] not in ("", "0"),
            )
            while protocol in _NEXT and said[_NEXT[protocol]]:
                protocol = int(said[_NEXT[protocol]])
        ports = (0, 0)
        if protocol in _PORTS and not later and said[f"{_PORTS[protocol]}.srcport"]:
            ports = int(said[f"{_PORTS[protocol]}.srcport"]), int(said[f"{_PORTS[protocol]}.dstport"])
        key = said[f"{outer}.src"], said[f"{outer}.dst"], *ports, protocol
        counted[*key, "packets"] += 1
        counted[*key, "octets"] += octets
    return counted


def by_softflowd(capture: Path, folder: Path) -> Count:
    """Count pairs of addresses and protocol as softflowd exports them to nfcapd."""
    with nfcapd(folder) as port:
        softflowd(capture, port, "9")
    counted: Count = Counter()
    for (source, destination, _, protocol, octets, packets), times in nfdump(folder)[1].items():
        counted[source, destination, protocol, "packets"] += packets * times
        counted[source, destination, protocol, "octets"] += octets * times
    return counted


def written(path: Path, mix: Mix, kept: list[bool] | None = None) -> Path:
    """Write a mix, or a part of it, as a capture file."""
    import struct

    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(mix.frames):
            if kept is None or kept[number]:
                seconds, fraction = divmod(mix.times[number], 1_000_000)
                file.write(struct.pack("<IIII", seconds, fraction, len(frame), len(frame)) + frame)
    return path


def differences(seed: int, folder: Path) -> list[str]:
    """Return what the three disagree about in the mix of a seed."""
    mix = made(seed)
    ours = totals(metered([block(mix.frames, mix.times)]))
    theirs = by_tshark(written(folder / "all.pcap", mix))
    found = [f"seed {seed}, tshark {theirs[key]}, ours {ours[key]}: {key}" for key in ours | theirs if ours[key] != theirs[key]]
    known = [number for number, one in enumerate(mix.known) if one]
    padded: Count = Counter()
    for number in known:
        flow = totals(metered([block([mix.frames[number]])]), ports=False) if mix.padding[number] else Counter()
        padded.update({key: mix.padding[number] for key in flow if key[-1] == "octets"})
    ours = totals(metered([block([mix.frames[n] for n in known], [mix.times[n] for n in known])]), ports=False) + padded
    theirs = by_softflowd(written(folder / "known.pcap", mix, mix.known), folder / "nfcapd")
    return found + [
        f"seed {seed}, softflowd {theirs[key]}, ours {ours[key]}: {key}" for key in ours | theirs if ours[key] != theirs[key]
    ]


def main(words: list[str]) -> int:
    """Compare some mixes; return 1 where any differs."""
    parser = argparse.ArgumentParser(description="compare mixes of traffic: tshark, softflowd, and the meter")
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args(words)
    bad = 0
    for seed in range(told.seed, told.seed + told.times):
        with tempfile.TemporaryDirectory() as folder:
            found = differences(seed, Path(folder))
        bad += bool(found)
        print(f"{seed:5}  {len(found) or 'the same'}", *found[:10], sep="\n       " if found else "  ")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
