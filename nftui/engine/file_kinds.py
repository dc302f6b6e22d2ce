"""Files of flows that a person names: which there are in directories, in what order, and of what kind each is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path

from nftui.errors import CaptureFileError

_PCAP = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
_GZIP = b"\x1f\x8b"
_CURRENT = "nfcapd.current"
"""What nfcapd writes to until an interval is over, and then names anew."""


class FileKind(Enum):
    """What a file is, by its first octets."""

    NFDUMP = "a file of nfdump"
    PCAP = "a capture"
    TRAFFIC = "a capture of traffic"
    """Told from one of exports by what is in it."""
    PARQUET = "Parquet"
    ARROW = "Arrow"


def kind_of(path: Path) -> FileKind | None:
    """Return what a file is; None for anything else.

    Raises:
        CaptureFileError: It can't be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(6)
    except OSError as error:
        raise CaptureFileError(str(path), error.strerror or str(error)) from error
    if head[:2] in (b"\x0c\xa5", b"\xa5\x0c"):
        return FileKind.NFDUMP
    if head[:4] in _PCAP or head[:2] == _GZIP:
        return FileKind.PCAP
    if head[:4] == b"PAR1":
        return FileKind.PARQUET
    return FileKind.ARROW if head == b"ARROW1" else None


def is_being_written(path: Path) -> bool:
    """Return whether nfcapd still writes to a file, by its name."""
    return path.name.startswith(_CURRENT)


def flow_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files of flows among some paths, directories with all that is below them.

    Files of a directory are in the order of their names, wherever below it they stand: names tell the time. What is hidden in it,
    or of another kind, is passed over, and so is the file that nfcapd is writing to.

    Args:
        paths: Files, directories, and as nfdump's `-R` has it `DIR/FIRST:LAST`: the files of a directory from one to another.
    Raises:
        CaptureFileError: There is no such file, or one that was named is of no kind that is read.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted((one for one in _below(path) if kind_of(one) is not None), key=lambda one: (one.name, one))
        elif path.exists():
            if kind_of(path) is None:
                raise CaptureFileError(str(path), "no file of nfdump, no capture (pcap, pcapng) and no Parquet")
            found.append(path)
        else:
            found += _between(path)
    return found


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise CaptureFileError(str(error.filename or folder), error.strerror or str(error))

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            if not name.startswith((".", _CURRENT)) and not name.endswith(".tmp") and path.is_file():
                yield path


def _between(path: Path) -> list[Path]:
    """Return the files that `DIR/FIRST:LAST` names, both among them; LAST may stand in another directory below the same."""
    match = re.fullmatch(r"(.+?):(.+)", str(path))
    first = Path(match[1]) if match else path
    if match is None or not first.exists():
        raise CaptureFileError(str(path), "no such file or directory")
    beside = first.parent / match[2]
    last = beside if beside.exists() else Path(match[2])
    if not last.exists():
        raise CaptureFileError(str(path), f"no such file: {beside}")
    ends = first.resolve(), last.resolve()
    top = Path(os.path.commonpath(ends))
    top = top.parent if top.is_file() else top
    return [one for one in _below(top) if ends[0] <= one <= ends[1] and kind_of(one) is not None]
