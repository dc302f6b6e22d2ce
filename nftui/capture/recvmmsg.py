"""recvmmsg(2) through ctypes: many datagrams in one system call, straight into the rows of numpy arrays.

The control structures are one numpy array each, prepared once; only lengths and flags are read after a call.

Source: recvmmsg(2), recvmsg(2), ip(7), ipv6(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket

import numpy as np
import numpy.typing as npt

_LIBC = ctypes.CDLL(None, use_errno=True)
AVAILABLE = hasattr(_LIBC, "recvmmsg") and ctypes.sizeof(ctypes.c_void_p) == 8
"""Whether the C library has it, and its structures are those of a 64-bit system below."""

_MSG_DONTWAIT, _MSG_TRUNC = 0x40, 0x20
_NAME_SIZE = 28
"""Octets of sockaddr_in6; sockaddr_in has 16."""
_IOVEC = np.dtype([("base", "u8"), ("size", "u8")])
_MMSGHDR = np.dtype(
    {
        "names": ["name", "name_size", "iov", "iov_number", "control", "control_size", "flags", "received"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)


class Calls:
    """The prepared call for one socket and one block."""

    def __init__(self, descriptor: int, parts: tuple[npt.NDArray[np.uint8], ...], family: int) -> None:
        """Prepare.

        Args:
            descriptor: Of a non-blocking UDP socket.
            parts: Where datagrams go, shape (rows, width) each, the octets of a row side by side: a datagram fills its row of the
                first, what is longer goes on in the second. They must outlive this object's use.
            family: AF_INET or AF_INET6.
        """
        rows = len(parts[0])
        self._descriptor, self._family, self._rows = descriptor, family, rows
        self._names = np.zeros((rows, _NAME_SIZE), np.uint8)
        self._vectors = np.zeros((rows, len(parts)), _IOVEC)
        for place, part in enumerate(parts):
            self._vectors["base"][:, place] = part.ctypes.data + np.arange(rows, dtype=np.uint64) * np.uint64(part.strides[0])
            self._vectors["size"][:, place] = part.shape[1]
        self._messages = np.zeros(rows, _MMSGHDR)
        self._messages["name"] = self._names.ctypes.data + np.arange(rows, dtype=np.uint64) * np.uint64(_NAME_SIZE)
        self._messages["name_size"] = _NAME_SIZE
        self._messages["iov"] = self._vectors.ctypes.data + np.arange(rows, dtype=np.uint64) * np.uint64(self._vectors.strides[0])
        self._messages["iov_number"] = len(parts)
        self._call = _LIBC.recvmmsg
        self._call.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
        self._call.restype = ctypes.c_int

    def receive(self) -> int:
        """Take what has arrived, without waiting; return how many datagrams.

        Raises:
            OSError: The socket is broken; an error that a datagram sent earlier caused is none.
        """
        number = self._call(self._descriptor, self._messages.ctypes.data, self._rows, _MSG_DONTWAIT, None)
        if number >= 0:
            return int(number)
        code = ctypes.get_errno()
        if code in (errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED):
            return 0
        raise OSError(code, os.strerror(code))

    def taken(
        self, number: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return lengths, source addresses of 16 octets, source ports, and whether each datagram was cut; shape (number, …)."""
        names, messages = self._names[:number], self._messages[:number]
        port = names[:, 2].astype(np.int64) << 8 | names[:, 3]
        if self._family == socket.AF_INET6:
            address = names[:, 8:24].copy()
        else:
            address = np.zeros((number, 16), np.uint8)
            address[:, 10:12] = 0xFF
            address[:, 12:] = names[:, 4:8]
        cut = (messages["flags"] & _MSG_TRUNC) != 0
        length = messages["received"].astype(np.int64)
        messages["name_size"] = _NAME_SIZE
        return length, address, port, cut
