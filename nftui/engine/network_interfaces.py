"""The network interfaces of this host: names, addresses, whether they are up, and how much passes.

Addresses are what getifaddrs(3) tells, everything else stands in /sys/class/net (Documentation/ABI/testing/sysfs-class-net).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

SYS = Path("/sys/class/net")
LOOPBACK = 772
"""ARPHRD_LOOPBACK (if_arp.h)."""
_FAMILIES = {2: (4, 4), 10: (8, 16)}
"""AF_INET, AF_INET6: where the address stands in its sockaddr, and how many octets it has."""


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """An interface.

    Attributes:
        name: As the kernel calls it.
        index: Its ifIndex.
        up: Whether it passes frames now.
        loopback: Whether it leads nowhere.
        addresses: IPv4 before IPv6, link-local ones last.
        octets: Received and sent since it was made.
        frames: The same in frames.
    """

    name: str
    index: int
    up: bool = False
    loopback: bool = False
    addresses: tuple[str, ...] = ()
    octets: int = 0
    frames: int = 0


class _Entry(ctypes.Structure):
    """`struct ifaddrs` of getifaddrs(3), as far as it is read."""


_Entry._fields_ = [
    ("next", ctypes.POINTER(_Entry)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def interfaces(sys: Path = SYS) -> list[NetworkInterface]:
    """Return the interfaces there are: those that are up first, the loopback last."""
    try:
        names = [path.name for path in sys.iterdir() if path.is_dir()]
    except OSError:
        return []
    addresses = _addresses()
    found = [_interface(sys / name, tuple(addresses.get(name, ()))) for name in names]
    return sorted(found, key=lambda one: (one.loopback, not one.up, not one.addresses, one.index, one.name))


def own_addresses() -> frozenset[str]:
    """Return the addresses of this host, as text."""
    return frozenset(address for some in _addresses().values() for address in some)


def named(index: int, sys: Path = SYS) -> str:
    """Return the name of the interface with an ifIndex; empty where there is none."""
    return next((one.name for one in interfaces(sys) if one.index == index), "")


def _interface(folder: Path, addresses: tuple[str, ...]) -> NetworkInterface:
    state, flags = _text(folder / "operstate"), _number(folder / "flags", 16)
    counted = {name: _number(folder / "statistics" / name) for name in ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")}
    return NetworkInterface(
        folder.name,
        _number(folder / "ifindex"),
        # Tunnels and the loopback don't know whether they are up: what was switched on counts then.
        bool(flags & 1) if state == "unknown" else state == "up",
        _number(folder / "type") == LOOPBACK,
        addresses,
        counted["rx_bytes"] + counted["tx_bytes"],
        counted["rx_packets"] + counted["tx_packets"],
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _number(path: Path, base: int = 10) -> int:
    with suppress(ValueError):
        return int(_text(path), base)
    return 0


def _addresses() -> dict[str, list[str]]:
    """Return the addresses of each interface, by its name."""
    found: dict[str, list[str]] = {}
    for name, address in _listed():
        found.setdefault(name, []).append(address)
    for some in found.values():
        some.sort(key=lambda text: (ip_address(text).is_link_local, ip_address(text).version))
    return found


def _listed() -> Iterator[tuple[str, str]]:
    libc = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_Entry)()
    if libc.getifaddrs(ctypes.byref(first)):
        return
    try:
        entry = first
        while bool(entry):  # a null pointer is false
            one = entry.contents
            if one.address and one.name:
                family = ctypes.c_uint16.from_address(one.address).value
                if family in _FAMILIES:
                    place, size = _FAMILIES[family]
                    yield one.name.decode("utf-8", "replace"), str(ip_address(ctypes.string_at(one.address + place, size)))
            entry = one.next
    finally:
        libc.freeifaddrs(first)
