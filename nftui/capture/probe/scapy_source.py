"""Frames one by one, through scapy's sockets: for kernels that have no ring of packets. Slow, and complete.

scapy puts a VLAN tag that the kernel took out back into the frame.

Source: scapy.supersocket, scapy.arch.linux.L2ListenSocket.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

import numpy as np

from nftui.capture.dissection import MARGIN
from nftui.capture.probe import bpf, interfaces, packet_socket, rights
from nftui.capture.probe.frames import FrameBlock, FrameCounts
from nftui.errors import NftuiError

FRAMES = 512
"""Taken at a time."""
SNAP = 1 << 16
LOOK_S = 0.5
BUFFER_OCTETS = 4 << 20


class ScapySource:
    """A `FrameSource` of one interface. When the interface goes away and comes back, it is opened again.

    Attributes:
        name: Of the interface.
        counts: What came, and what the kernel dropped.
        problem: Why nothing comes.
        interface: The interface as it was when it was opened.
        octets: Of a ring: 0.
    """

    octets = 0

    def __init__(self, interface: str, *, promiscuous: bool = False, filter: str = "", direction: str = bpf.BOTH) -> None:
        """Open it; arguments and errors as those of `Ring`."""
        self.name, self.counts, self.problem = interface, FrameCounts(), ""
        self._promiscuous, self._filter, self._direction = promiscuous, filter, direction
        self._looked = 0.0
        self._open()

    def fileno(self) -> int:
        """Return what becomes readable when there is something to take."""
        return int(self._listener.fileno())

    def take(self) -> FrameBlock | None:
        """Return what is there, some hundreds of frames at most; None for nothing."""
        frames: list[bytes] = []
        times: list[int] = []
        while len(frames) < FRAMES and (frame := self._one()) is not None:
            frames.append(frame[0])
            times.append(int(frame[1] * 1_000_000))
        self.counts.dropped += packet_socket.dropped(self._listener.ins)
        if not frames:
            self._look()
            return None
        length = np.fromiter(map(len, frames), np.int64, len(frames))
        end = np.cumsum(length)
        self.counts.frames += len(frames)
        self.counts.octets += int(end[-1])
        flat = np.frombuffer(b"".join((*frames, bytes(MARGIN))), np.uint8)
        return FrameBlock(flat, end - length, end, length, np.array(times, np.int64), self.interface.link, self.interface.index)

    def close(self) -> None:
        """Give it back."""
        self._listener.close()

    def _open(self) -> None:
        from scapy.arch.linux import L2ListenSocket
        from scapy.error import Scapy_Exception

        self.interface = interfaces.find(self.name)
        direction = bpf.IN if self.interface.loopback else self._direction
        with rights.raised():
            program = bpf.program(self._filter, self.name, self.interface.link, snap=SNAP, direction=direction)
            try:
                listener: Any = L2ListenSocket(iface=self.name, promisc=self._promiscuous)
                packet_socket.attach(listener.ins, program)
            except (OSError, Scapy_Exception) as error:
                raise packet_socket.failure(self.name, error) from error
        self._listener = listener
        self._listener.ins.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
        self._listener.ins.setblocking(False)
        self.problem = ""
        # What came before the filter was in place.
        while self._one() is not None:
            pass

    def _look(self) -> None:
        """See, now and then, whether an interface that went away is there again."""
        if not self.problem or time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        there = interfaces.look(self.name)
        if there is not None and there.up and there.index != self.interface.index:
            before = self._listener
            try:
                self._open()
                before.close()
            except NftuiError as error:
                self.problem = f"{self.name} is back, but: {error}"

    def _one(self) -> tuple[bytes, float] | None:
        try:
            _, frame, moment = self._listener.recv_raw(SNAP)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in (errno.ENETDOWN, errno.ENETRESET):
                raise
            self.problem = f"{self.name} is gone or down"
            return None
        self.problem = ""
        return (frame, time.time() if moment is None else float(moment)) if frame else None
