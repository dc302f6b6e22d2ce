"""Share: which part of a collector's work one of its processes does, and the names of what it leaves in the store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nftui.capture import pinning

STREAMS = ("main", "odd")
"""Of the first process; the others add their number, those of a probe its name."""
PROBE = "probe"
_OWN_STREAM = re.compile(r"(main|odd|(odd)?probe)\d*")


@dataclass(frozen=True, slots=True)
class Share:
    """One of the processes of a collector.

    Attributes:
        number: From 1, which holds the store's lock, seals, and speaks for all.
        processes: How many there are.
        probe: Whether it is a process of the probe, which are counted by themselves, instead of one that receives.
    """

    number: int = 1
    processes: int = 1
    probe: bool = False

    @property
    def first(self) -> bool:
        """Whether it is the process that speaks for all."""
        return self.number == 1 and not self.probe

    @property
    def stream(self) -> str:
        """The stream that its flows go to."""
        return self._mark if self.probe else STREAMS[0] + self._mark

    def owns(self, stream: str) -> bool:
        """Return whether nobody writes to a stream now but this process; the first is asked before the others begin."""
        if self.first:
            return _OWN_STREAM.fullmatch(stream) is not None
        return stream in (self.stream, STREAMS[1] + self._mark)

    def file(self, root: Path, name: str) -> Path:
        """Return where a file of this process stands: `templates.json` of the second is `templates.2.json`."""
        if self.first:
            return root / name
        stem, point, suffix = name.partition(".")
        return root / f"{stem}.{self._mark}{point}{suffix}"

    @property
    def _mark(self) -> str:
        """What tells its streams and files from those of the first process: `2`; `probe`, `probe2` of a probe's."""
        number = str(self.number) if self.number > 1 else ""
        return f"{PROBE}{number}" if self.probe else number

    def others(self) -> list[Share]:
        """Return the processes beside the first."""
        return [Share(number, self.processes) for number in range(2, self.processes + 1)]

    def owner(self, address: bytes, *, lasting: bool = False) -> int:
        """Return the number of the process that an exporter sends to.

        Args:
            address: 16 octets.
            lasting: Whether it sends over a transport with sessions, which the first process takes.
        """
        if lasting or self.processes == 1:
            return 1
        return 1 + int(pinning.processes_of(np.frombuffer(address, np.uint8).reshape(1, 16), self.processes)[0])


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a process has of the first one, which started it.

    Attributes:
        lock: Descriptor of the store's lock.
        sockets: Descriptors of UDP sockets that are bound, one for each UDP entry of what is listened to.
    """

    lock: int
    sockets: tuple[int, ...]


ALONE = Share()
"""The one process of a collector that has no other."""


def left_over(root: Path, name: str) -> list[Path]:
    """Return the files of that name that processes beside the first left, in the order of their numbers."""
    stem, point, suffix = name.partition(".")
    pattern = re.compile(re.escape(stem) + r"\.(\d+)" + re.escape(point + suffix))
    found = [(int(match[1]), path) for path in root.iterdir() if (match := pattern.fullmatch(path.name))]
    return [path for _, path in sorted(found)]
