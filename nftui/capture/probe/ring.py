"""Rings: the frames of an interface, read from memory that the kernel fills (TPACKET_V3), a block at a time.

Frames are as the kernel delivers them: where a card or a virtual link joins segments (GRO, GSO, TSO), one frame may be larger than
the MTU and stands for several on the wire. `ethtool -K IF gro off gso off tso off` gives the frames themselves.

Source: Documentation/networking/packet_mmap.rst; packet(7).
"""

from __future__ import annotations

import errno
import mmap
import select
import socket
import time

import numpy as np

from nftui.capture.dissection import ABSENT, MPLS
from nftui.capture.links import MPLS_LINK, RAW_IP
from nftui.capture.probe import bpf, interfaces, packet_socket, rights
from nftui.capture.probe.frames import FrameBlock, FrameCounts
from nftui.capture.probe.interfaces import IP_VERSIONS, Interface
from nftui.capture.probe.packet_socket import Fanout, RingShape
from nftui.capture.probe.ring_blocks import RingBlocks, RingFrames
from nftui.capture.sets import Integers
from nftui.errors import InterfaceError, NftuiError

SNAP = 192
"""Octets of each frame, if nothing else is said: link, tags, two IP headers and a tunnel between them, and the transport's."""
HEADERS = 128
"""A frame of which fewer were taken, though it is longer, may lack some of its headers."""
RING_OCTETS = 32 << 20
BLOCK_OCTETS = 1 << 16
"""Of a block: small, so that the chains of many can be followed side by side."""
WAIT_MS = 100
"""How long frames wait for a block to fill."""
PACE_S = 0.1
"""So long after the last blocks `take` waits for more of them, as a look at few costs as much; less long where they come fast."""
TAKEN_OCTETS = 4 << 20
"""Of the ring in one `FrameBlock`: some 30,000 short frames, so that what each step of the work costs anyway counts little."""
LOOK_S = 0.5
"""How often it is looked whether the interface is still there, when nothing comes."""


class Ring:
    """A ring of one interface: a `FrameSource`.

    When the interface goes away, `problem` says so, and when one of that name is there again, frames come from that. To notice it,
    `take` has to be called twice a second.

    Attributes:
        name: Of the interface.
        counts: What came, and what the kernel dropped for want of room.
        problem: Why nothing comes; empty where all is well.
        interface: The interface as it was when it was opened.
        octets: Of the ring.
        walked: Calls of `take` for which the quick way to find frames was not enough.
    """

    def __init__(
        self,
        interface: str,
        *,
        promiscuous: bool = False,
        filter: str = "",
        direction: str = bpf.BOTH,
        snap: int = SNAP,
        ring_octets: int = RING_OCTETS,
        fanout: Fanout | None = None,
    ) -> None:
        """Open it.

        Args:
            interface: Its name.
            promiscuous: Whether frames for others are wanted too, as at a mirror port.
            filter: An expression as of tcpdump; empty for all.
            direction: `bpf.BOTH`, `bpf.IN` or `bpf.OUT`. Of a loopback only one is ever taken, as each packet is seen twice.
            snap: Octets taken of each frame, at most.
            ring_octets: Memory for the ring.
            fanout: The group of processes that share the frames; None for none.
        Raises:
            InterfaceError: There is no such interface, or it may not be opened; `NoRing` where the kernel can't.
            PacketFilterError: The filter can't be used.
        """
        self.name, self.counts, self.problem, self.walked = interface, FrameCounts(), "", 0
        self._promiscuous, self._filter, self._direction = promiscuous, filter, direction
        self._snap, self._fanout = snap, fanout
        self._shape = _shape(ring_octets, snap)
        self.octets = self._shape.octets
        self._poll = select.epoll()
        self._socket: socket.socket | None = None
        self._at = self._held = 0
        self._most = 1
        self._looked = self._taken = 0.0
        try:
            self._open(interfaces.find(interface))
        except Exception:
            self.close()
            raise

    def fileno(self) -> int:
        """Return what becomes readable when there is something to take; it stays the same as long as the ring is open."""
        return self._poll.fileno()

    def take(self) -> FrameBlock | None:
        """Return the frames of the next blocks, after `PACE_S` at most; None where there are none.

        They lie in the ring: with the next call the kernel gets that memory back.
        """
        assert self._socket is not None, "closed"
        if self._held:
            self._blocks.give_back(self._at, self._held)
            self._at = (self._at + self._held) % self._shape.blocks
        self._held = self._paced()
        self.counts.dropped += packet_socket.dropped(self._socket)
        frames = self._blocks.frames(self._at, self._held) if self._held else None
        self.walked += self._blocks.walked
        self._blocks.walked = 0
        if frames is None:
            self._look()
            return None
        return self._counted(frames)

    def _paced(self) -> int:
        """Return how many blocks there are to take, after some waiting where these are few and the last were taken just now."""
        wanted = min(self._most, self._shape.blocks - self._at)
        ready = self._blocks.ready(self._at, wanted)
        if 0 < ready < wanted:
            since = time.monotonic() - self._taken
            # As fast as they came, they go on to come.
            pause = min(PACE_S - since, since * (wanted - ready) / ready)
            if pause > 0:
                time.sleep(pause)
                ready = self._blocks.ready(self._at, wanted)
        if ready:
            self._taken = time.monotonic()
        return ready

    def close(self) -> None:
        """Give it back; memory that is still referred to stays until it isn't any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            del self._blocks, self._memory
        self._poll.close()

    def _open(self, interface: Interface) -> None:
        direction = bpf.IN if interface.loopback else self._direction
        with rights.raised():
            program = bpf.program(self._filter, interface.name, interface.link, snap=self._snap, direction=direction)
            made = packet_socket.opened(interface, program)
            try:
                memory = packet_socket.ringed(made, interface.name, self._shape)
                packet_socket.listen(made, interface, promiscuous=self._promiscuous, fanout=self._fanout)
            except InterfaceError:
                made.close()
                raise
        self.interface, self._socket, self._memory = interface, made, memory
        self._blocks = RingBlocks(np.frombuffer(memory, np.uint8), self._shape.block, self._shape.blocks, interface.index)
        self._at = self._held = 0
        self._most = max(1, min(TAKEN_OCTETS // self._shape.block, self._shape.blocks // 4))
        self._poll.register(made.fileno(), select.EPOLLIN)
        self.problem = "" if interface.up else f"{self.name} is down"

    def _counted(self, frames: RingFrames) -> FrameBlock:
        counts = self.counts
        counts.frames += len(frames.start)
        counts.octets += int(frames.length.sum())
        captured = frames.end - frames.start
        if self._snap < HEADERS:
            counts.cut += int(np.count_nonzero((captured < frames.length) & (captured >= self._snap)))
        link = self.interface.link if self.interface.framed else _links(frames)
        return FrameBlock(
            self._blocks.memory, frames.start, frames.end, frames.length, frames.time, link, self.interface.index,
            frames.outgoing, frames.vlan,
        )  # fmt: skip

    def _look(self) -> None:
        """See, now and then, whether the interface is still there; open it again when it came back."""
        assert self._socket is not None
        failed = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ENETDOWN
        now = time.monotonic()
        if not failed and now - self._looked < LOOK_S:
            return
        self._looked = now
        there = interfaces.look(self.name)
        if interfaces.name_of(self.interface.index):
            # The same one as before, perhaps under another name.
            renamed = there is None or there.index != self.interface.index
            up = renamed or (there is not None and there.up)
            self.problem = "" if up else f"{self.name} is down"
        elif there is None or not self.problem:
            # If it is there again at once, what the old ring still holds is taken first.
            self.problem = f"{self.name} is gone; packets are taken again when it is back"
        else:
            self._open_again(there)

    def _open_again(self, interface: Interface) -> None:
        assert self._socket is not None
        before = self._socket
        try:
            self._open(interface)
        except NftuiError as error:
            self.problem = f"{self.name} is back, but: {error}"
            return
        before.close()


def _shape(octets: int, snap: int) -> RingShape:
    """Return the shape of a ring of at least some octets, whose blocks hold the longest frame that may be taken."""
    block = max(BLOCK_OCTETS, mmap.PAGESIZE)
    while block < snap + 256:
        block *= 2
    return RingShape(block, max(4, -(-octets // block)), WAIT_MS)


def _links(frames: RingFrames) -> Integers | int:
    """Return the link types of packets without a link's header, by their EtherType; `ABSENT` for those that nothing reads."""
    ip = np.isin(frames.ethertype, IP_VERSIONS)
    if ip.all():
        return RAW_IP
    return np.where(ip, RAW_IP, np.where(frames.ethertype == MPLS, MPLS_LINK, ABSENT))
