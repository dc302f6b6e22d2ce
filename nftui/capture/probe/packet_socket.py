"""Packet sockets: one that takes an interface's frames into a ring of memory, and nothing before all is set up.

Source: packet(7); socket(7); linux/if_packet.h; Documentation/networking/packet_mmap.rst.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import struct
from dataclasses import dataclass

from nftui.capture.probe import rights
from nftui.capture.probe.bpf import Program
from nftui.capture.probe.interfaces import Interface
from nftui.errors import InterfaceError

SOL_PACKET = 263
ADD_MEMBERSHIP, RX_RING, STATISTICS, VERSION, TX_RING, FANOUT = 1, 5, 6, 10, 13, 18
TPACKET_V3 = 2
PROMISCUOUS = 1
ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
FANOUT_HASH, FANOUT_ROUND_ROBIN = 0, 1
_GROUP_STEP = 40503
FRAME = 2048
"""What the kernel is told of the size of a frame: of no consequence in version 3, but it must divide a block."""
_REQUEST = struct.Struct("=7I")
_NO_RINGS = (errno.ENOPROTOOPT, errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT)


class NoRing(InterfaceError):
    """The kernel has no rings of this version; frames can be had one by one."""


@dataclass(frozen=True, slots=True)
class RingShape:
    """How much memory a ring takes, and when a block is handed over.

    Attributes:
        block: Octets of a block, a power of two and a multiple of a page.
        blocks: How many.
        wait_ms: After so long a block is handed over though it isn't full.
    """

    block: int
    blocks: int
    wait_ms: int

    @property
    def octets(self) -> int:
        """Of the whole ring."""
        return self.block * self.blocks


@dataclass(frozen=True, slots=True)
class Fanout:
    """A group of sockets, in processes of this host, which share the frames of an interface.

    Attributes:
        group: A number from 0 to 65535, the same in all of them. What the kernel is told has the ifIndex in it, as a group is of
            one interface; one that comes back has another, so that those who open it again don't meet those who haven't yet.
        mode: How frames are dealt; by default by a hash of addresses and ports, so that both directions of a flow go to the same
            one, and by addresses alone for fragments, so that those of one packet stay together. (The kernel could put fragments
            together before that, but then they would be counted as one packet.)
    """

    group: int
    mode: int = FANOUT_HASH


def opened(interface: Interface, program: Program) -> socket.socket:
    """Return a socket with a filter, which takes nothing yet: `listen` has it begin.

    Raises:
        InterfaceError: It is not permitted; the message says what to grant.
        NoRing: There are no packet sockets.
    """
    kind = socket.SOCK_RAW if interface.framed else socket.SOCK_DGRAM
    try:
        made = socket.socket(socket.AF_PACKET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except (AttributeError, OSError) as error:
        raise failure(interface.name, error) from error
    try:
        attach(made, program)
    except OSError as error:
        made.close()
        raise failure(interface.name, error) from error
    return made


def attach(to: socket.socket, program: Program) -> None:
    """Have the kernel hand over only what a program accepts, and as much of each frame as it says (socket(7)).

    Raises:
        OSError: The kernel refuses the program.
    """
    instructions = ctypes.create_string_buffer(program.octets, len(program.octets))
    to.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(instructions)))


def ringed(of: socket.socket, name: str, shape: RingShape) -> mmap.mmap:
    """Give a socket a ring, and return its memory, and some behind.

    Behind the ring lies a page that serves as a ring for sending, in which nothing is ever put: so what is read past the end of the
    last frame is memory too.

    Raises:
        InterfaceError: There is not enough memory.
        NoRing: The kernel has no such rings.
    """
    page = mmap.PAGESIZE
    receive = (shape.block, shape.blocks, FRAME, shape.block // FRAME * shape.blocks, shape.wait_ms, 0, 0)
    try:
        of.setsockopt(SOL_PACKET, VERSION, TPACKET_V3)
        of.setsockopt(SOL_PACKET, RX_RING, _REQUEST.pack(*receive))
        of.setsockopt(SOL_PACKET, TX_RING, _REQUEST.pack(page, 1, page, 1, 0, 0, 0))
        return mmap.mmap(of.fileno(), shape.octets + page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    except OSError as error:
        raise failure(name, error, shape.octets) from error


def listen(of: socket.socket, interface: Interface, *, promiscuous: bool, fanout: Fanout | None) -> None:
    """Have a socket begin to take frames, of both directions.

    Args:
        of: A socket of `opened`.
        interface: Where from.
        promiscuous: Whether the interface is asked for frames that are for others, as long as the socket is open.
        fanout: The group that shares the frames; None for none.
    Raises:
        InterfaceError: The interface is gone, or the group is of another kind.
    """
    try:
        if promiscuous:
            of.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, struct.pack("=iHH8x", interface.index, PROMISCUOUS, 0))
        of.bind((interface.name, ETH_P_ALL))
    except OSError as error:
        raise failure(interface.name, error) from error
    if fanout is not None:
        number = (fanout.group + _GROUP_STEP * interface.index) & 0xFFFF
        try:
            of.setsockopt(SOL_PACKET, FANOUT, struct.pack("=HH", number, fanout.mode))
        except OSError as error:
            reason = f"can't share packets in group {number}: {error.strerror}; another program may use that number"
            raise InterfaceError(interface.name, reason) from error


def dropped(of: socket.socket) -> int:
    """Return how many frames the kernel had no room for since this was asked last."""
    return int(struct.unpack_from("=II", of.getsockopt(SOL_PACKET, STATISTICS, 12))[1])


def failure(name: str, error: Exception, octets: int = 0) -> InterfaceError:
    """Return the error to raise for what the system said about an interface."""
    code = error.errno if isinstance(error, OSError) else errno.EAFNOSUPPORT
    if code in (errno.EPERM, errno.EACCES):
        return InterfaceError(name, rights.how_to_grant(), refused=True)
    if code in (errno.ENODEV, errno.ENXIO):
        return InterfaceError(name, "the interface is gone")
    if code == errno.ENOMEM:
        return InterfaceError(name, f"no memory for a ring of {octets / 2**20:.0f} MiB; give it less with `ring` in [probe]")
    if code in _NO_RINGS:
        return NoRing(name, f"this kernel has no ring for packets (TPACKET_V3): {getattr(error, 'strerror', error)}")
    return InterfaceError(name, f"can't take packets: {getattr(error, 'strerror', error)}")
