"""Rights: what taking packets needs, how to grant it, and how it is held only while it is used.

CAP_NET_RAW is needed to make a packet socket, not to read from one. Afterwards it is taken out of the effective set, and stays in
the permitted one, so that an interface that comes back can be opened again.

Source: capabilities(7); capget(2); linux/capability.h.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NET_ADMIN, NET_RAW = 12, 13
_VERSION_3 = 0x20080522
_BITS = 1 << NET_ADMIN | 1 << NET_RAW
_HEADER, _SETS = struct.Struct("=Ii"), struct.Struct("=6I")


def how_to_grant() -> str:
    """Return in one line what has to be granted for taking packets, and how."""
    try:
        python = Path("/proc/self/exe").readlink()
    except OSError:
        python = Path(sys.executable).resolve()
    return (
        "not permitted to take packets: that needs CAP_NET_RAW. Run it as root; or in a systemd unit with "
        "AmbientCapabilities=CAP_NET_RAW; or grant it to this Python, and so to every program that it runs, for every user: "
        f"sudo setcap cap_net_raw+ep {python}"
    )


def permitted() -> bool:
    """Return whether packets may be taken: by what is in force, or can be put in force by `raised`."""
    sets = _get()
    return sets is None or bool(sets[1] >> NET_RAW & 1)


def drop() -> bool:
    """Take what is needed to open packet sockets out of force, for this thread and those it starts; return whether that succeeded.

    Call it before other threads are started: theirs are not changed.
    """
    return _in_force(without=_BITS)


def forsake() -> bool:
    """Give it up for good: an interface that goes away can't be opened again; return whether that succeeded."""
    sets = _get()
    return sets is not None and _set(sets[0] & ~_BITS, sets[1] & ~_BITS, sets[2] & ~_BITS)


@contextmanager
def raised() -> Iterator[None]:
    """Put what may be in force in force for a block, and take it out again; nothing happens where it is in force, or may not be."""
    sets = _get()
    missing = 0 if sets is None else _BITS & sets[1] & ~sets[0]
    if not missing:
        yield
        return
    _in_force(also=missing)
    try:
        yield
    finally:
        _in_force(without=missing)


def _in_force(*, also: int = 0, without: int = 0) -> bool:
    sets = _get()
    return sets is not None and _set((sets[0] | also) & ~without, sets[1], sets[2])


def _get() -> tuple[int, int, int] | None:
    """Return the effective, permitted and inheritable set of this thread; None where the system has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "capget"):
        return None
    header = ctypes.create_string_buffer(_HEADER.pack(_VERSION_3, 0), _HEADER.size)
    sets = ctypes.create_string_buffer(_SETS.size)
    if libc.capget(header, sets):
        return None
    low = _SETS.unpack(sets.raw)
    return low[0] | low[3] << 32, low[1] | low[4] << 32, low[2] | low[5] << 32


def _set(effective: int, permitted: int, inheritable: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(_HEADER.pack(_VERSION_3, 0), _HEADER.size)
    sets = (effective, permitted, inheritable)
    octets = _SETS.pack(*(one & 0xFFFFFFFF for one in sets), *(one >> 32 for one in sets))
    return bool(libc.capset(header, ctypes.create_string_buffer(octets, _SETS.size)) == 0)
