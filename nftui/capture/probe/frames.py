"""Frames: a block of what was seen on the wire, and where such blocks come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nftui.capture.sets import Integers, Octets

NO_INTERFACE = 0
"""ifIndex 0 stands for none, as in NetFlow."""


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """Some frames, in the order in which they were seen.

    Attributes:
        flat: Octets in which the frames lie, with at least `dissection.MARGIN` behind the last. They may be part of a ring,
            which is given back when the next block is asked for: who keeps anything copies it.
        start: Shape (frames,), int64, the first octet of each in `flat`.
        end: Shape (frames,), int64, behind the last captured octet of each.
        length: Shape (frames,), int64, octets of the frame on the wire, without checksum; at least `end - start`.
        time: Shape (frames,), int64, microseconds since 1970, UTC; mostly, but not always, ascending.
        link: Link type as capture files name them (`links.KNOWN_LINKS`): one for all, or shape (frames,).
        interface: ifIndex on which they were seen, `NO_INTERFACE` where there is none.
        outgoing: Shape (frames,), bool, whether the host itself sent the frame; None where that is not known.
        vlan: Shape (frames,), int32, identity of the outermost VLAN tag where the kernel took it out of the frame (0 never),
            `ABSENT` where it didn't; None where it took none.
    """

    flat: Octets
    start: Integers
    end: Integers
    length: Integers
    time: Integers
    link: Integers | int
    interface: int = NO_INTERFACE
    outgoing: npt.NDArray[np.bool_] | None = None
    vlan: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.start)


@dataclass(slots=True)
class FrameCounts:
    """What a source saw since it was opened.

    Attributes:
        frames: Handed over in blocks.
        octets: Of these on the wire, without checksum.
        dropped: Frames that the kernel had no room for.
        cut: Frames of which less than their headers may have been captured.
    """

    frames: int = 0
    octets: int = 0
    dropped: int = 0
    cut: int = 0


class FrameSource(Protocol):
    """Where frames come from: a ring on an interface, a file, a pipe. Used from one thread.

    Attributes:
        name: For messages and status: `eth0`, or a file's path.
        counts: Kept up to date by `take`.
        problem: Why nothing comes at present, in words, such as that the interface is gone; empty where all is well.
    """

    name: str
    counts: FrameCounts
    problem: str

    def fileno(self) -> int:
        """Return what becomes readable when there is something to take."""
        ...

    def take(self) -> FrameBlock | None:
        """Return what is there; None for nothing. What was returned before must not be used any more."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
