"""The interfaces of this machine: which there are, what they are, what their frames begin with, and what passed through them.

All is asked of the kernel for the network that the calling thread is in: names and indices, ioctls (netdevice(7)), and
`/proc/thread-self/net`. What `/sys` has is of the network that it was mounted in, and taken only for speed.

Source: netdevice(7), packet(7); linux/if_arp.h for the kinds of hardware.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from nftui.capture.links import CISCO_HDLC, ETHERNET, RAW_IP
from nftui.errors import InterfaceError

FRAMED = {1: ETHERNET, 772: ETHERNET, 513: CISCO_HDLC}
"""Kind of hardware (ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_CISCO) -> link type of its frames, taken with the header of the link.

Of all others (PPP, tun, WireGuard, tunnels, …) the kernel is asked for packets without what comes before them, and for the
EtherType instead: their own headers differ by driver and direction, or there are none.
"""
IP_VERSIONS = (0x0800, 0x86DD)
"""EtherTypes that are asked for of those."""
_NAME, _REQUEST = 16, 40
"""Octets of an interface's name (IFNAMSIZ), and of a `struct ifreq`."""
_FLAGS, _ADDRESS, _MTU, _HARDWARE = 0x8913, 0x8915, 0x8921, 0x8927
"""SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFMTU, SIOCGIFHWADDR (linux/sockios.h)."""
_ETHTOOL = 0x8946
_JOINING = {"gro": (0x2B, 1), "lro": (0x25, 1 << 15), "gso": (0x23, 1), "tso": (0x1E, 1)}
"""ETHTOOL_GGRO, ETHTOOL_GFLAGS with ETH_FLAG_LRO, ETHTOOL_GGSO, ETHTOOL_GTSO (linux/ethtool.h)."""
_UP, _LOOPBACK, _RUNNING, _PROMISCUOUS = 0x1, 0x8, 0x40, 0x100
"""IFF_… (linux/if.h)."""
_LONGEST_NAME = _NAME - 1
_TOWARDS = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
LOOPBACK_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as it is now.

    Attributes:
        name: `eth0`.
        index: Its ifIndex, which it has until it goes away.
        hardware: Its kind, `ARPHRD_…` of linux/if_arp.h: 1 Ethernet, 772 loopback, 65534 without a link header.
        up: Whether it is switched on.
        running: Whether it has a carrier.
        promiscuous: Whether it takes what is addressed to others.
        loopback: Whether it leads to this machine alone.
        mtu: Octets of its longest packet.
        addresses: Its own, IPv4 first, as text; this and what follows is told by `interfaces` alone.
        received: Octets and packets so far.
        sent: The same.
        speed: Bits a second; 0 for not known.
    """

    name: str
    index: int
    hardware: int = 0
    up: bool = False
    running: bool = False
    promiscuous: bool = False
    loopback: bool = False
    mtu: int = 0
    addresses: tuple[str, ...] = ()
    received: tuple[int, int] = (0, 0)
    sent: tuple[int, int] = (0, 0)
    speed: int = 0

    @property
    def octets(self) -> int:
        """What passed through it, both ways; on the loopback everything is received and sent."""
        return self.received[0] + (0 if self.loopback else self.sent[0])

    @property
    def packets(self) -> int:
        """The same in packets."""
        return self.received[1] + (0 if self.loopback else self.sent[1])

    @property
    def link(self) -> int:
        """Link type of its packets, as they are taken here."""
        return FRAMED.get(self.hardware, RAW_IP)

    @property
    def framed(self) -> bool:
        """Whether the header of the link is taken too."""
        return self.hardware in FRAMED


@dataclass(slots=True)
class _Asked:
    """A socket to ask through, for one interface after the other."""

    ask: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def value(self, name: str, what: int) -> bytes:
        """Return what an ioctl tells, behind the name.

        Raises:
            OSError: There is no such interface, or nothing to tell.
        """
        return fcntl.ioctl(self.ask, what, name.encode().ljust(_REQUEST, b"\0"))[_NAME:]

    def number(self, name: str, what: int, form: str = "=H") -> int:
        """Return the number that an ioctl tells."""
        found: int = struct.unpack_from(form, self.value(name, what))[0]
        return found

    def address(self, name: str) -> list[str]:
        """Return an IPv4 address, if there is one."""
        with suppress(OSError):
            family, four = struct.unpack_from("=H2x4s", self.value(name, _ADDRESS))
            if family == socket.AF_INET and four != bytes(4):
                return [str(ipaddress.IPv4Address(four))]
        return []

    def interface(self, name: str, index: int) -> Interface:
        """Return what an interface is."""
        flags = self.number(name, _FLAGS)
        return Interface(
            name,
            index,
            hardware=self.number(name, _HARDWARE),
            up=bool(flags & _UP),
            running=bool(flags & _RUNNING),
            promiscuous=bool(flags & _PROMISCUOUS),
            loopback=bool(flags & _LOOPBACK),
            mtu=self.number(name, _MTU, "=i"),
        )


def interfaces() -> list[Interface]:
    """Return the interfaces, in the order of their indices."""
    counted, six, found = dict(_counted()), _six(), []
    asked = _Asked()
    with asked.ask:
        for index, name in sorted(socket.if_nameindex()):
            # One that has just gone away is none.
            with suppress(OSError):
                received, sent = counted.get(name, ((0, 0), (0, 0)))
                addresses = (*asked.address(name), *six.get(name, ()))
                is_now = asked.interface(name, index)
                found.append(replace(is_now, addresses=addresses, received=received, sent=sent, speed=_speed(name)))
    return found


def look(name: str) -> Interface | None:
    """Return what an interface is now; None where there is none of that name."""
    # What stands behind a colon names an address, not an interface.
    if not 0 < len(name.encode()) <= _LONGEST_NAME or ":" in name:
        return None
    asked = _Asked()
    with asked.ask, suppress(OSError):
        return asked.interface(name, socket.if_nametoindex(name))
    return None


def find(name: str) -> Interface:
    """Return what an interface is now.

    Raises:
        InterfaceError: There is none of that name; the message names those there are.
    """
    found = look(name)
    if found is None:
        there = ", ".join(sorted(one for _, one in socket.if_nameindex())) or "none at all"
        raise InterfaceError(name, f"there is no such interface; there are: {there}")
    return found


def name_of(index: int) -> str:
    """Return the name that an interface has now, which may have changed; empty where it is gone."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def joined_segments(name: str) -> list[str]:
    """Return what has an interface hand over several packets as one, as ethtool(8) names it."""
    found = []
    with _Asked().ask as ask:
        for what, (get, bit) in _JOINING.items():
            # struct ethtool_value: a command and an answer; an ifreq points to it.
            value = array("I", [get, 0])
            request = struct.pack("16sP16x", name.encode(), value.buffer_info()[0])
            with suppress(OSError):
                fcntl.ioctl(ask, _ETHTOOL, request)
                if value[1] & bit:
                    found.append(what)
    return found


def own_address() -> str:
    """Return the address by which this machine is known elsewhere, most likely; nothing is sent."""
    for family, towards in _TOWARDS:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((towards, 9))
            return str(asked.getsockname()[0])
    own = [ipaddress.ip_address(text) for one in interfaces() for text in one.addresses]
    usual = [one for one in own if not one.is_link_local and not one.is_loopback]
    return str(min(usual, key=lambda one: one.version, default=LOOPBACK_ADDRESS))


def _counted() -> Iterator[tuple[str, tuple[tuple[int, int], tuple[int, int]]]]:
    """Yield each interface with octets and packets received and sent."""
    for line in _lines("dev"):
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and len(words) >= 10 and all(word.isdigit() for word in words[:10]):
            yield name.strip(), ((int(words[0]), int(words[1])), (int(words[8]), int(words[9])))


def _six() -> dict[str, list[str]]:
    """Return the IPv6 addresses of each interface, those of the link last."""
    found: dict[str, list[tuple[bool, str]]] = {}
    for line in _lines("if_inet6"):
        words = line.split()
        if len(words) == 6:
            with suppress(ValueError):
                address = ipaddress.IPv6Address(bytes.fromhex(words[0]))
                found.setdefault(words[5], []).append((address.is_link_local, str(address)))
    return {name: [text for _, text in sorted(some)] for name, some in found.items()}


def _lines(name: str) -> list[str]:
    try:
        return Path("/proc/thread-self/net", name).read_text("ascii", "replace").splitlines()
    except OSError:
        return []


def _speed(name: str) -> int:
    """Return bits a second; those that have none, and virtual ones, say nonsense or nothing."""
    try:
        megabits = int(Path("/sys/class/net", name, "speed").read_text("ascii"))
    except (OSError, ValueError):
        return 0
    return megabits * 1_000_000 if 0 < megabits < 10_000_000 else 0
