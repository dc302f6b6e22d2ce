"""Interfaces of this host: their index, whether they are up, and what their frames begin with.

Source: netdevice(7), packet(7); linux/if_arp.h for the kinds of hardware.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from dataclasses import dataclass

from nftui.capture.links import CISCO_HDLC, ETHERNET, RAW_IP
from nftui.errors import InterfaceError

ETHER, LOOPBACK, CISCO = 1, 772, 513
"""Kinds of hardware (ARPHRD_…) whose frames are taken with the header of the link."""
FRAMED = {ETHER: ETHERNET, LOOPBACK: ETHERNET, CISCO: CISCO_HDLC}
"""Kind of hardware -> link type of its frames.

Of all others (PPP, tun, WireGuard, tunnels, …) the kernel is asked for packets without what comes before them, and for the
EtherType instead: their own headers differ by driver and direction, or there are none.
"""
NAMES = {ETHERNET: "Ethernet", CISCO_HDLC: "Cisco HDLC", RAW_IP: "IP"}
"""Link type -> what a person calls it."""
IP_VERSIONS = (0x0800, 0x86DD)
LONGEST_NAME = 15
"""Octets of an interface's name: IFNAMSIZ without the end."""
_GET_FLAGS, _GET_HARDWARE = 0x8913, 0x8927
_UP = 1
_REQUEST = struct.Struct("=16s24x")


@dataclass(frozen=True, slots=True)
class HostInterface:
    """An interface of this host, as it is now.

    Attributes:
        name: Its name.
        index: Its ifIndex, which it has until it goes away.
        hardware: Its kind, ARPHRD_….
        up: Whether it is up, as it was configured.
    """

    name: str
    index: int
    hardware: int
    up: bool

    @property
    def link(self) -> int:
        """Link type of its packets, as they are taken here."""
        return FRAMED.get(self.hardware, RAW_IP)

    @property
    def framed(self) -> bool:
        """Whether the header of the link is taken too."""
        return self.hardware in FRAMED

    @property
    def loops(self) -> bool:
        """Whether each packet is seen twice, as it leaves and as it arrives."""
        return self.hardware == LOOPBACK


def look(name: str) -> HostInterface | None:
    """Return an interface as it is now; None where there is none of that name."""
    # What stands behind a colon names an address, not an interface.
    if not 0 < len(name.encode()) <= LONGEST_NAME or ":" in name:
        return None
    request = _REQUEST.pack(name.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            index = socket.if_nametoindex(name)
            flags = struct.unpack_from("=H", fcntl.ioctl(asked, _GET_FLAGS, request), 16)[0]
            hardware = struct.unpack_from("=H", fcntl.ioctl(asked, _GET_HARDWARE, request), 16)[0]
        except OSError:
            return None
    return HostInterface(name, index, hardware, bool(flags & _UP))


def find(name: str) -> HostInterface:
    """Return an interface as it is now.

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
