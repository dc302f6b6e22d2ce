"""Files of a store that are given new content as a whole; who uses nothing else of it need not load what reads flows."""

from __future__ import annotations

import errno
import os
from pathlib import Path

FILE_MODE = 0o640
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
