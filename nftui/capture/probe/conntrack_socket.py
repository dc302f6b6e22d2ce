"""Sockets to the kernel's connection tracking: one that hears of connections that end, one that is told of all there are.

Source: netlink(7); linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from contextlib import suppress
from pathlib import Path

from nftui.capture.probe import rights
from nftui.errors import InterfaceError

NAME = "conntrack"
GROUP_DESTROY = 1 << 2
DATAGRAM = 1 << 16
"""The kernel sends no longer ones."""
_NETFILTER, _CONNTRACK, _GET = 12, 1, 1
_REQUEST, _DUMP = 0x001, 0x300


class ConntrackTable:
    """All connections there are at present: the kernel reads a further part of its table whenever one was taken."""

    def __init__(self) -> None:
        """Ask for them.

        Raises:
            InterfaceError: The kernel refuses.
        """
        request = struct.pack("=IHHIIBBH", 20, _CONNTRACK << 8 | _GET, _REQUEST | _DUMP, 1, 0, socket.AF_UNSPEC, 0, 0)
        with rights.raised():
            self._socket = opened(0)
            self._socket.setblocking(False)
            try:
                self._socket.sendto(request, (0, 0))
            except OSError as error:
                self._socket.close()
                raise refused(error) from error

    def fileno(self) -> int:
        """Return what is readable while there is more."""
        return self._socket.fileno()

    def wait(self, seconds: float) -> None:
        """Wait until there is something to take."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.poll(seconds * 1000)

    def take(self, octets: memoryview) -> int:
        """Take messages, one behind the other; return how many octets they have. The last says that it is the last.

        Raises:
            InterfaceError: The kernel refuses.
        """
        return taken(self._socket, octets)

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()


def opened(groups: int) -> socket.socket:
    """Return a socket that hears what is said to some groups.

    Raises:
        InterfaceError: It is not permitted, or the kernel has no connection tracking; the message says how to mend it.
    """
    try:
        found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
        try:
            found.bind((0, groups))
        except OSError:
            found.close()
            raise
    except OSError as error:
        raise refused(error) from error
    return found


def taken(listening: socket.socket, octets: memoryview) -> int:
    """Take what is there and fits, one message behind the other; return how many octets they have.

    Raises:
        InterfaceError: It can't be taken.
    """
    last = 0
    while last + DATAGRAM <= len(octets):
        try:
            last += listening.recv_into(octets[last:])
        except BlockingIOError:
            break
        except OSError as error:
            raise refused(error) from error
    return last


def refused(error: OSError) -> InterfaceError:
    """Return an error of the kernel's as one that says how to mend it."""
    if error.errno in (errno.EPERM, errno.EACCES):
        return InterfaceError(
            NAME,
            "not permitted to ask for connections: that needs CAP_NET_ADMIN. Run it as root; or in a systemd unit with "
            "AmbientCapabilities=CAP_NET_ADMIN",
            refused=True,
        )
    if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL):
        return InterfaceError(NAME, "the kernel has no connection tracking at hand: modprobe nf_conntrack_netlink")
    return InterfaceError(NAME, error.strerror or str(error))


def lost(listening: socket.socket) -> int:
    """Return how many messages the kernel dropped because a socket's buffer was full; 0 where it does not say."""
    inode = str(os.fstat(listening.fileno()).st_ino)
    with suppress(OSError):
        for line in Path("/proc/thread-self/net/netlink").read_text("ascii").splitlines():
            words = line.split()
            if words[-1:] == [inode]:
                return int(words[8])
    return 0
