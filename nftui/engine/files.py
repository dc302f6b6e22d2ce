"""Files that are read and given new content as a whole; who uses nothing else of a store need not load what reads flows."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

FILE_MODE = 0o640
INTERFACES = "interfaces.json"
"""What exporters told of their interfaces."""
ASKED, ASKER = "interfaces.snmp.json", "snmp.json"
"""What exporters told of their interfaces over SNMP, and the account of whoever asks them."""


def replace_file(path: Path, octets: bytes) -> None:
    """Give a file new content at one stroke: a reader sees the old or the new, never a part."""
    temporary = path.with_name(path.name + ".tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def rewrite_file(path: Path, octets: bytes) -> None:
    """Give a file that a person edits, too, new content at one stroke: it keeps its owner and mode, and a link to it stays one.

    Raises:
        OSError: It can't be written, or its owner can't be kept.
    """
    try:
        path = path.resolve()
    except RuntimeError:  # links in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None
    handle, named = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    temporary = Path(named)
    try:
        with os.fdopen(handle, "wb") as file:
            _take_after(file.fileno(), path)
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _take_after(handle: int, path: Path) -> None:
    """Give an open file the owner and mode of the one at the path, or those of a new one."""
    try:
        before = path.stat()
    except FileNotFoundError:
        os.fchmod(handle, FILE_MODE)
        return
    created = os.fstat(handle)
    if (before.st_uid, before.st_gid) != (created.st_uid, created.st_gid):
        os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode))


def read_small(path: Path, most: int) -> bytes:
    """Read a file that a person wrote.

    Args:
        path: A file; a pipe or a device is refused rather than waited for.
        most: Octets that it may have.
    Raises:
        OSError: It is none, can't be read, or has more.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        octets = file.read(most + 1)
    if len(octets) > most:
        raise OSError(errno.EFBIG, f"more than {most} octets", str(path))
    return octets


def overwrite_file(path: Path, octets: bytes) -> None:
    """Give a file new content in the room that it has on the disk: for text of which a reader looks at it again when it is torn.

    Raises:
        OSError: There is no such file, or it has no room for so much.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        room = os.fstat(handle).st_size
        if room < len(octets):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.pwrite(handle, octets.ljust(room), 0)
    finally:
        os.close(handle)
