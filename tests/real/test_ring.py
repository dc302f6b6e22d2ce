"""Rings on interfaces of networks of their own: what is taken is what the interfaces counted, to the octet."""

from __future__ import annotations

import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nftui.capture.dissection import ABSENT, MARGIN
from nftui.capture.links import ETHERNET, RAW_IP
from nftui.capture.packets import dissect
from nftui.capture.probe import bpf, interface_source, packet_socket, rights
from nftui.capture.probe.packet_socket import Fanout
from nftui.capture.probe.ring import SNAP, Ring
from nftui.capture.probe.scapy_source import ScapySource
from nftui.errors import InterfaceError, PacketFilterError
from tests import peers
from tests.real import namespace, wire
from tests.real.wire import FAR, FAR_MAC, NEAR, NEAR_MAC

pytestmark = [pytest.mark.row("B01"), pytest.mark.peer("ip")]
LIBPCAP = pytest.mark.peer("softflowd")
"""Its package brings libpcap."""
IPV4, VLAN, QINQ = 0x0800, 0x8100, 0x88A8


def udp(number: int, size: int = 60, *, source: str = "192.0.2.1", destination: str = "198.51.100.2", ports: int = 1024) -> bytes:
    """Return an IPv4 packet of a size that carries a number behind its UDP header."""
    payload = struct.pack(">I", number).ljust(size - 28, b"\0")
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 9, 17, 0, socket.inet_aton(source), socket.inet_aton(destination))
    return header + struct.pack(">HHHH", ports, 53, size - 20, 0) + payload


def ethernet(packet: bytes, *tags: tuple[int, int], ethertype: int = IPV4, towards_near: bool = True) -> bytes:
    """Return a frame; tags are EtherType and identity, the outermost first."""
    macs = NEAR_MAC + FAR_MAC if towards_near else FAR_MAC + NEAR_MAC
    return macs + b"".join(struct.pack(">HH", *tag) for tag in tags) + struct.pack(">H", ethertype) + packet


def numbers(frames: list[wire.Seen]) -> list[int]:
    """Return the numbers that frames carry, which were made by `ethernet(udp(number))`."""
    return [struct.unpack_from(">I", one.octets, 42)[0] for one in frames]


def until(ring: Ring, problem: str) -> None:
    """Wait until a ring has a problem, or none."""
    deadline = time.monotonic() + 10
    while ring.problem != problem and time.monotonic() < deadline:
        assert ring.take() is None
        time.sleep(0.02)
    assert ring.problem == problem


def test_what_is_taken_is_what_the_interface_counted() -> None:
    """Sizes are mixed, so that the ring is written over at other places each time round; each frame is what was sent."""
    dice = random.Random(1)
    sizes = [dice.choice((46, 60, 130, 577, 1500, dice.randint(46, 1500))) for _ in range(4000)]
    there = [ethernet(udp(n, size)) for n, size in enumerate(sizes)]
    back = [ethernet(udp(n, size), towards_near=False) for n, size in enumerate(sizes)]
    there[7] = ethernet(bytes(28).ljust(46, b"\0"), ethertype=0x0806)
    there[8] = ethernet(udp(8, 60), (VLAN, 5))

    def run() -> None:
        wire.pair()
        before = wire.counted(NEAR)
        ring = Ring(NEAR, ring_octets=1 << 20)
        found = []
        for at in range(0, 4000, 1000):
            wire.send(FAR, there[at : at + 1000])
            wire.send(NEAR, back[at : at + 1000])
            found += wire.taken(ring, 2000)
        received, sent = (
            wire.Counters(*(b - a for a, b in zip(*both, strict=True))) for both in zip(before, wire.counted(NEAR), strict=True)
        )
        assert ring.counts.dropped == 0
        assert ring.counts.frames == len(found) == received.frames + sent.frames == 8000
        assert ring.counts.octets == sum(one.length for one in found) == received.octets + sent.octets
        assert [one.outgoing for one in found].count(True) == sent.frames == 4000
        arrived = [one.octets for one in found if not one.outgoing]
        there[8] = ethernet(udp(8, 60))
        assert arrived == [one[:SNAP] for one in there]
        assert [one.octets for one in found if one.outgoing] == [one[:SNAP] for one in back]
        times = [one.time for one in found]
        assert abs(times[-1] - time.time_ns() // 1000) < 10_000_000 and min(np.diff(times)) > -10_000
        ring.close()

    wire.alone(run)


def test_memory_behind_the_last_frame() -> None:
    def run() -> None:
        wire.pair()
        ring = Ring(NEAR, ring_octets=1 << 20)
        wire.send(FAR, [ethernet(udp(1))])
        while (block := ring.take()) is None:
            time.sleep(0.01)
        assert len(block.flat) >= ring.octets + MARGIN
        assert not block.flat[-MARGIN:].any()
        ring.close()
        assert block.flat[block.start[0]] == NEAR_MAC[0], "memory that is referred to stays"

    wire.alone(run)


def test_tags_of_vlans() -> None:
    """The kernel takes the outermost tag out of what arrives, and leaves those of what is sent; either way it is found."""
    kinds = [((VLAN, 100),), ((QINQ, 200), (VLAN, 300)), ((VLAN, 7 << 13),), ()]

    def run() -> None:
        wire.pair()
        ring = Ring(NEAR)
        for towards in (True, False):
            frames = [ethernet(udp(n, 60), *tags, towards_near=towards) for n, tags in enumerate(kinds)]
            wire.send(FAR if towards else NEAR, frames)
            found = wire.taken(ring, len(kinds))
            assert [one.length for one in found] == [len(one) for one in frames]
            for one, tags in zip(found, kinds, strict=True):
                octets = np.frombuffer(one.octets, np.uint8)
                packets = dissect(octets, np.array([0]), np.array([len(octets)]), ETHERNET)
                ids = [int(packets.number(name)[0]) for name in ("source_vlan", "customer_vlan")]
                beside = ABSENT if one.vlan is None else one.vlan
                wanted = [identity for _, tag in tags if (identity := tag & 0xFFF)]
                assert [identity for identity in (beside, *ids) if identity != ABSENT] == wanted
                assert bool(packets.has_source[0])
                assert (beside != ABSENT) == (towards and bool(wanted))
        ring.close()

    wire.alone(run)


def test_drops_are_counted_to_the_packet() -> None:
    def run() -> None:
        wire.pair()
        ring = Ring(NEAR, ring_octets=4 << 16)
        sent = wire.send(FAR, [ethernet(udp(n)) for n in range(1000)], packets=20_000)
        found = wire.taken(ring, sent, seconds=1)
        assert ring.counts.dropped > 1000 < len(found)
        assert len(found) + ring.counts.dropped == wire.counted(NEAR)[0].frames == sent
        assert numbers(found)[:1000] == list(range(1000))
        # What was given back is used again.
        wire.send(FAR, [ethernet(udp(7))])
        assert numbers(wire.taken(ring, 1)) == [7]
        ring.close()

    wire.alone(run)


def test_frames_that_look_like_parts_of_the_ring() -> None:
    """Octets as the kernel writes them before a frame don't lead astray; the kernel's own chain is followed then."""

    def run() -> None:
        wire.pair()
        index = socket.if_nametoindex(NEAR)
        mark = struct.pack("=HHI", 17, 8, index) * 12
        frames = []
        for n in range(3000):
            frame = bytearray(ethernet(udp(n, 60 + n % 131)))
            # Eight octets at any place, so that some lie where headers may begin; before them a header that seems right.
            frame[60 + n % 8 : 60 + n % 8 + len(mark)] = mark
            frames.append(bytes(frame))
        ring = Ring(NEAR, snap=512)
        wire.send(FAR, frames)
        found = wire.taken(ring, len(frames))
        assert [one.octets for one in found] == frames
        forged = struct.pack("=IIIIIIHHIIHH8sHHI", 144, 1, 1, 60, 60, 1, 82, 96, 0, 0, 0, 0, bytes(8), 17, 8, index)
        frames = [ethernet(udp(n, 60) + bytes(n % 8) + forged * 2) for n in range(3000)]
        wire.send(FAR, frames)
        found = wire.taken(ring, len(frames))
        assert [one.octets for one in found] == frames
        assert ring.walked > 0
        ring.close()

    wire.alone(run)


def test_loopback_once() -> None:
    def run() -> None:
        ring = Ring("lo")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            here.bind(("127.0.0.1", 0))
            for _ in range(50):
                there.sendto(b"once", here.getsockname())
        found = wire.taken(ring, 50)
        assert len(found) == 50 and {one.link for one in found} == {ETHERNET}
        assert {one.octets[-4:] for one in found} == {b"once"}
        ring.close()

    wire.alone(run)


def test_tunnel_without_a_link_header() -> None:
    """A tun interface has IP packets alone, in both directions; what is not IP is handed over as of a link that nothing reads."""

    def run() -> None:
        with open("/dev/net/tun", "r+b", buffering=0) as tunnel:  # noqa: PTH123 - a device
            fcntl.ioctl(tunnel, 0x400454CA, struct.pack("16sH14x", b"tun0", 0x0001))  # TUNSETIFF, IFF_TUN with its 4 octets
            namespace.ip("link", "set", "tun0", "up")
            namespace.ip("addr", "add", "198.51.100.1/24", "dev", "tun0")
            ring = Ring("tun0")
            sent = (IPV4, udp(1)), (0x9999, bytes(30)), (IPV4, udp(2))
            tunnel.writelines(struct.pack(">HH", 0, ethertype) + packet for ethertype, packet in sent)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.sendto(b"outwards", ("198.51.100.9", 9))
            found = wire.taken(ring, 4)
            # The host answers the first two by ICMP, or not, as it has no such addresses.
            arrived = [one for one in found if not one.outgoing]
            assert [(one.octets, one.link) for one in arrived] == [(udp(1), RAW_IP), (bytes(30), ABSENT), (udp(2), RAW_IP)]
            assert [one.octets[-8:] for one in found if one.outgoing and one.link == RAW_IP][-1] == b"outwards"
            ring.close()

    wire.alone(run)


def test_one_direction() -> None:
    def run() -> None:
        wire.pair()
        for direction, wanted in ((bpf.IN, [1]), (bpf.OUT, [2]), (bpf.BOTH, [1, 2])):
            ring = Ring(NEAR, direction=direction, filter="udp port 53")
            wire.send(FAR, [ethernet(udp(1)), ethernet(udp(3, ports=9)[:22] + b"\0\0" + bytes(40))])
            wire.send(NEAR, [ethernet(udp(2), towards_near=False)])
            assert numbers(wire.taken(ring, len(wanted))) == wanted
            ring.close()

    wire.alone(run)


def test_cut_frames_are_counted() -> None:
    def run() -> None:
        wire.pair()
        ring = Ring(NEAR, snap=64)
        wire.send(FAR, [ethernet(udp(1, 46)), ethernet(udp(2, 600))])
        found = wire.taken(ring, 2)
        assert [(len(one.octets), one.length) for one in found] == [(60, 60), (64, 614)]
        assert ring.counts.cut == 1
        ring.close()

    wire.alone(run)


def test_frames_longer_than_a_block_would_be() -> None:
    def run() -> None:
        wire.pair()
        for end in (NEAR, FAR):
            namespace.ip("link", "set", end, "mtu", "65535")
        ring = Ring(NEAR, snap=1 << 17, ring_octets=4 << 17)
        frame = ethernet(udp(1, 65535))
        wire.send(FAR, [frame])
        (found,) = wire.taken(ring, 1)
        assert (found.octets, found.length) == (frame, len(frame))
        ring.close()

    wire.alone(run)


@pytest.mark.parametrize("promiscuous", [False, True])
def test_promiscuous_on_request(promiscuous: bool) -> None:
    def run() -> None:
        wire.pair()
        ring = Ring(NEAR, promiscuous=promiscuous)
        told = subprocess.run([peers.require("ip"), "-d", "link", "show", NEAR], capture_output=True, text=True, check=True).stdout
        assert f"promiscuity {int(promiscuous)} " in told
        ring.close()

    wire.alone(run)


def test_interface_that_vanishes_and_comes_back() -> None:
    def run() -> None:
        wire.pair()
        ring = Ring(NEAR)
        handle, index = ring.fileno(), ring.interface.index

        wire.send(FAR, [ethernet(udp(1))])
        assert numbers(wire.taken(ring, 1)) == [1]
        namespace.ip("link", "set", NEAR, "down")
        until(ring, "near0 is down")
        namespace.ip("link", "set", NEAR, "up")
        until(ring, "")
        wire.send(FAR, [ethernet(udp(2))])
        assert numbers(wire.taken(ring, 1)) == [2]
        namespace.ip("link", "del", NEAR)
        until(ring, "near0 is gone; packets are taken again when it is back")
        assert not select.select([handle], [], [], 0)[0], "what is gone doesn't keep anybody awake"
        namespace.ip("link", "add", "other0", "type", "veth", "peer", "name", "another0")
        wire.pair()
        until(ring, "")
        assert ring.interface.index != index and ring.fileno() == handle
        wire.send(FAR, [ethernet(udp(3))])
        assert select.select([handle], [], [], 5)[0] == [handle]
        assert numbers(wire.taken(ring, 1)) == [3]
        assert ring.counts.frames == 3
        namespace.ip("link", "set", NEAR, "down")
        namespace.ip("link", "set", NEAR, "name", "lan0", "up")
        wire.send(FAR, [ethernet(udp(4))])
        assert numbers(wire.taken(ring, 1)) == [4], "an interface of another name is the same one"
        ring.close()

    wire.alone(run)


def test_sockets_that_share_an_interface() -> None:
    """Each frame goes to one of them, and both directions of a flow, and all fragments of a packet, to the same one."""
    flows = [(f"192.0.2.{n % 50}", f"198.51.100.{n % 7}", 1024 + n) for n in range(200)]
    there = [ethernet(udp(n, source=a, destination=b, ports=port)) for n, (a, b, port) in enumerate(flows)]

    def answer(n: int, a: str, b: str, port: int) -> bytes:
        packet = bytearray(udp(n, source=b, destination=a))
        packet[20:24] = struct.pack(">HH", 53, port)
        return ethernet(bytes(packet), towards_near=False)

    def fragment(n: int, offset: int) -> bytes:
        packet = bytearray(udp(n, source=f"203.0.113.{n}", destination="198.51.100.1", ports=n))
        packet[6:8] = struct.pack(">H", 0x2000 | offset)
        return ethernet(bytes(packet))

    back = [answer(n, *flow) for n, flow in enumerate(flows)]
    fragments = [fragment(n, offset) for n in range(50) for offset in (0, 5)]

    def run() -> None:
        wire.pair()
        group = Fanout(os.getpid() & 0xFFFF)
        rings = [Ring(NEAR, fanout=group) for _ in range(2)]
        wire.send(FAR, there)
        wire.send(NEAR, back)
        shares = [numbers(wire.taken(ring, 0)) for ring in rings]
        assert sorted(shares[0] + shares[1]) == sorted([*range(200)] * 2)
        assert not set(shares[0]) & set(shares[1]), "both directions in one place"
        assert min(map(len, shares)) > 50
        wire.send(FAR, fragments)
        shares = [numbers(wire.taken(ring, 0)) for ring in rings]
        assert sorted(shares[0] + shares[1]) == sorted([*range(50)] * 2)
        assert not set(shares[0]) & set(shares[1])
        with pytest.raises(InterfaceError, match=r"can't share packets in group \d+: .+; another program may use that number"):
            Ring(NEAR, fanout=Fanout(group.group, packet_socket.FANOUT_ROUND_ROBIN))
        # The first opens it again while the other still has the group of the interface that is gone.
        namespace.ip("link", "del", NEAR)
        for ring in rings:
            until(ring, "near0 is gone; packets are taken again when it is back")
        namespace.ip("link", "add", "other0", "type", "veth", "peer", "name", "another0")
        wire.pair()
        for ring in rings:
            until(ring, "")
        wire.send(FAR, there)
        assert sorted(numbers(wire.taken(rings[0], 0) + wire.taken(rings[1], 0))) == list(range(200))
        for ring in rings:
            ring.close()

    wire.alone(run)


# ---------------------------------------------------------------- filters


FILTERED = {
    "": range(12),
    "ip": [0, 1, 2, 3, 4, 8, 9, 10, 11],
    "ip6": [5, 6],
    "arp": [7],
    "udp": [0, 1, 4, 5, 10, 11],
    "tcp": [2, 6],
    "icmp": [3],
    "ip proto 47 or ip proto 1": [3, 8],
    "ip proto 132": [9],
    "ip and host 192.0.2.1": [0, 2, 3, 8, 9, 10],
    "src host 192.0.2.1": [0, 3, 8, 9, 10],
    "dst 192.0.2.1 or src 2001:db8::1": [2, 5],
    "ip and net 198.51.100.0/24": [0, 1, 2, 3, 4, 8, 9, 11],
    "dst net 198.51.100.0/25": [0, 1, 3, 8, 9, 11],
    "net 2001:db8::/33": [5, 6],
    "port 53": [0, 1, 2, 5],
    "src port 1024": [0, 4, 9],
    "udp dst port 53": [0, 1, 5],
    "tcp port 53 or 80": [2, 6],
    "portrange 80-1024": [0, 4, 6, 9],
    "sctp port 2905": [9],
    "not (udp or tcp) and ip": [3, 8, 9],
    "udp and not port 53 || tcp": [2, 4, 6, 10, 11],
    "!ip && !ip6": [7],
    "vlan": [10, 11],
    "vlan 20": [11],
    " or ".join((*(f"host 203.0.113.{n}" for n in range(100, 180)), "tcp")): [2, 6],
}
"""Filter -> which of `filter_frames` it accepts."""


def filter_frames() -> list[bytes]:
    """Return frames that filters tell apart, each padded; the VLAN ones come last, as their tags are taken out."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import ARP, Dot1Q, Ether

    def v4(a: str = "192.0.2.1", b: str = "198.51.100.2", **fields: int) -> IP:
        return IP(src=a, dst=b, **fields)

    six = IPv6(src="2001:db8::1", dst="2001:db8:8000::1")
    made = [
        v4() / UDP(sport=1024, dport=53),
        v4("192.0.2.9") / UDP(sport=53, dport=53),
        v4("198.51.100.2", "192.0.2.1") / TCP(sport=53, dport=5000),
        v4() / ICMP(),
        IP(src="192.0.2.8", dst="198.51.100.200", options=b"\x94\x04\0\0") / UDP(sport=1024, dport=9),
        six / UDP(sport=9, dport=53),
        IPv6(src="2001:db8:1::9", dst="2001:db8:ffff::2") / TCP(sport=80, dport=2000),
        ARP(psrc="192.0.2.77", pdst="192.0.2.78"),
        v4(proto=47) / b"\0\0\x08\0",
        v4(proto=132) / struct.pack(">HHII", 1024, 2905, 0, 0),
        Dot1Q(vlan=10) / v4(b="198.18.0.1") / UDP(sport=7, dport=7),
        Dot1Q(vlan=20) / v4("203.0.113.5", frag=100, proto=17) / bytes(16),
    ]
    return [bytes(Ether(src=FAR_MAC.hex(":"), dst=NEAR_MAC.hex(":")) / one).ljust(100 + n, b"\0") for n, one in enumerate(made)]


@pytest.mark.row("B02")
@pytest.mark.parametrize("library", [pytest.param(True, marks=LIBPCAP, id="libpcap"), pytest.param(False, id="own")])
def test_filters(library: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel accepts the same by a program of libpcap as by one of our own."""
    frames = filter_frames()
    if not library:
        monkeypatch.setattr(bpf, "library", lambda: None)

    def run() -> None:
        wire.pair()
        rings = {text: Ring(NEAR, filter=text, ring_octets=4 << 16) for text in FILTERED}
        wire.send(FAR, frames)
        time.sleep(0.3)
        found = {text: [one.length - 100 for one in wire.rest(ring)] for text, ring in rings.items()}
        wanted = {text: list(those) for text, those in FILTERED.items()}
        for ring in rings.values():
            ring.close()
        assert found == wanted

    wire.alone(run)


@LIBPCAP
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("host", "syntax error"),
        ("port 70000", "illegal port number"),
        ("host no.such.invalid", "unknown host"),
        ("ether proto \\ip and \n", "not printable ASCII"),
    ],
)
def test_filters_that_are_wrong(text: str, problem: str) -> None:
    with pytest.raises(PacketFilterError, match=problem) as refused:
        bpf.program(text, "lo", ETHERNET, snap=64)
    assert str(refused.value).startswith("packet filter ") and "\n" not in str(refused.value)


def test_a_filter_stands_before_the_first_frame() -> None:
    """What is on the wire while the ring is opened goes through the filter too."""
    code = """
import sys; sys.path.insert(0, ".")
from tests.real import test_ring as t, wire
wire.send("far0", [t.ethernet(t.udp(1)), t.ethernet(t.udp(2, ports=9))], 400000)
"""

    def run() -> None:
        wire.pair()
        sender = subprocess.Popen(
            [sys.executable, "-c", code]
        )  # fmt: skip
        try:
            time.sleep(0.4)
            for _ in range(5):
                ring = Ring(NEAR, filter="port 9", snap=96)
                assert set(numbers(wire.taken(ring, 1, seconds=0.3))) <= {2}
                ring.close()
        finally:
            sender.kill()
            sender.wait()

    wire.alone(run)


# ---------------------------------------------------------------- rights and fallback


def test_without_rights() -> None:
    command = [peers.require("setpriv"), "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-c"]
    code = "from nftui.capture.probe.ring import Ring\nfrom nftui.errors import InterfaceError\ntry: Ring('lo')\n"
    code += "except InterfaceError as error: print(error.refused, error)"
    done = subprocess.run([*command, code], capture_output=True, text=True, check=False)
    if "Permission denied" in done.stderr or "setresuid" in done.stderr:
        pytest.skip("this Python can't be run by another user")
    assert done.stdout == f"True lo: {rights.how_to_grant()}\n", done.stderr
    assert f"sudo setcap cap_net_raw+ep {Path('/proc/self/exe').readlink()}" in done.stdout


def test_rights_are_dropped_and_raised_to_open_again() -> None:
    def run() -> None:
        wire.pair()
        ring = Ring(NEAR)
        assert rights.permitted() and rights.drop()
        with pytest.raises(PermissionError):
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with rights.raised():
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
            wire.send(FAR, [ethernet(udp(1))])
        assert numbers(wire.taken(ring, 1)) == [1]
        Ring(NEAR).close()
        assert rights.forsake() and not rights.permitted()
        with pytest.raises(InterfaceError, match="CAP_NET_RAW") as refused:
            Ring(NEAR)
        assert refused.value.refused
        ring.close()

    wire.alone(run)


@pytest.mark.parametrize("name", ["nothing0", "", "x" * 16, "lo:0", "a/b"])
def test_no_such_interface(name: str) -> None:
    with pytest.raises(InterfaceError, match=r"there is no such interface; there are: .*lo"):
        Ring(name)


def test_frames_one_by_one_where_there_are_no_rings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    frames = [ethernet(udp(n, 46 + 20 * n)) for n in range(20)]
    tagged = ethernet(udp(77, 46), (VLAN, 9))
    opened: Callable[[], ScapySource | Ring] = lambda: interface_source.opened(  # noqa: E731
        NEAR, interface_source.InterfaceSettings(filter="udp")
    )

    def run() -> None:
        wire.pair()
        ring = opened()
        assert isinstance(ring, Ring)
        monkeypatch.setattr(packet_socket, "TPACKET_V3", 99)
        source = opened()
        assert isinstance(source, ScapySource)
        assert "near0: this kernel has no ring for packets (TPACKET_V3)" in caplog.text
        wire.send(FAR, [*frames, ethernet(bytes(46), ethertype=0x0806), tagged])
        found = wire.taken(source, 21)
        assert [one.octets for one in found] == [*frames, tagged]
        assert [one.length for one in found] == [one.length for one in wire.taken(ring, 21)]
        assert (source.counts.frames, source.counts.dropped) == (21, 0)
        ring.close()
        namespace.ip("link", "del", NEAR)
        assert source.take() is None and source.problem == "near0 is gone or down"
        wire.pair()
        deadline = time.monotonic() + 5
        while source.problem and time.monotonic() < deadline:
            assert source.take() is None
            time.sleep(0.05)
        wire.send(FAR, [ethernet(udp(5))])
        assert numbers(wire.taken(source, 1)) == [5]
        source.close()

    wire.alone(run)
