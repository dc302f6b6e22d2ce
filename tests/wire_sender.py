"""Frames put on an interface as fast as the kernel takes them: sendmmsg(2) of calls prepared in numpy, a thousand frames each."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

_LIBC = ctypes.CDLL(None, use_errno=True)
_IOVEC = np.dtype([("base", "u8"), ("size", "u8")])
_MMSGHDR = np.dtype(
    {
        "names": ["name", "name_size", "iov", "iov_number", "control", "control_size", "flags", "sent"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_SOL_PACKET, _QDISC_BYPASS = 263, 20
CALL = 1024
SPIN_S = 0.0003


class WireSender:
    """Sends frames again and again.

    Attributes:
        frames: How many there are.
        octets: Of all of them.
    """

    def __init__(
        self,
        interface: str,
        flat: NDArray[np.uint8],
        start: NDArray[np.int64],
        length: NDArray[np.int64],
        *,
        bypass: bool = False,
    ) -> None:
        """Prepare the calls for frames that lie in `flat`; `bypass` is faster, but hides them from who looks at this interface."""
        self.frames, self.octets = len(start), int(length.sum())
        self._flat = np.ascontiguousarray(flat)
        self._vectors = np.zeros(self.frames, _IOVEC)
        self._vectors["base"] = self._flat.ctypes.data + start.astype(np.uint64)
        self._vectors["size"] = length
        self._messages = np.zeros(self.frames, _MMSGHDR)
        self._messages["iov"] = self._vectors.ctypes.data + np.arange(self.frames, dtype=np.uint64) * np.uint64(_IOVEC.itemsize)
        self._messages["iov_number"] = 1
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(_SOL_PACKET, _QDISC_BYPASS, int(bypass))
        self._socket.bind((interface, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def once(self) -> None:
        """Send each frame once."""
        self._range(0, self.frames)

    def run(self, *, packets: int = 0, seconds: float = 0.0, rate: float = 0.0, again: Callable[[], object] | None = None) -> int:
        """Send a number of frames, or for a time, in their order and from the first again; return how many.

        Args:
            packets: How many; 0 for a time.
            seconds: How long; 0 for a number.
            rate: Packets a second; 0 for as fast as it goes.
            again: Called each time before the first is sent again, to change what `flat` holds.
        """
        sent, at, began = 0, 0, time.perf_counter()
        step = min(CALL, max(1, int(rate * 0.002))) if rate else CALL
        while (sent < packets) if packets else (time.perf_counter() - began < seconds):
            number = min(step, self.frames - at, packets - sent if packets else step)
            if rate:
                while (wait := began + (sent + number) / rate - time.perf_counter()) > 0:
                    if wait > SPIN_S:
                        time.sleep(wait - SPIN_S / 2)
            self._range(at, number)
            sent += number
            at = (at + number) % self.frames
            if again and not at:
                again()
        return sent

    def _range(self, first: int, number: int) -> None:
        base = self._messages.ctypes.data
        end = first + number
        while first < end:
            done = _LIBC.sendmmsg(
                self._socket.fileno(), ctypes.c_void_p(base + first * _MMSGHDR.itemsize), min(CALL, end - first), 0
            )
            if done < 0:
                code = ctypes.get_errno()
                if code not in (11, 105, 4):  # EAGAIN, ENOBUFS, EINTR
                    raise OSError(code, os.strerror(code))
                continue
            first += done
