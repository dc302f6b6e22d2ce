"""Blocks of a TPACKET_V3 ring: where their frames lie, and what the kernel says of each. No I/O, no loop over frames.

In a block frames are a chain: each header says how far it is to the next. A chain can't be followed by many at once, so its links
are looked for instead: behind each header stands the address of the link, with its family and the index of the interface, eight
octets at a place that is a multiple of eight. What looks like that is taken for the chain if each place leads to the next, in the
number that the block tells; then it is the chain. Otherwise (somebody sent such octets, or they were left from an earlier use of
the memory) the chains of all blocks are followed, a step of all of them at a time. That is also cheaper for long frames, of which
there are few in many octets.

Source: linux/if_packet.h, `tpacket_block_desc`, `tpacket3_hdr`, `sockaddr_ll`; Documentation/networking/packet_mmap.rst.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nftui.capture.dissection import ABSENT
from nftui.capture.sets import Integers, Octets

AT_ONCE = 2 << 20
"""Octets of blocks that are looked at together: what was just read is then still in the cache when headers are gathered from it."""
WORD = 8
"""Headers of frames lie at multiples of it (V3_ALIGNMENT of the kernel)."""
AF_PACKET = 17
OUTGOING = 4
VLAN_VALID = 1 << 4
TO_USER, TO_KERNEL = 1, 0
"""Bit 0 of a block's status: whose it is."""
FRAME_HEADER = np.dtype(
    {
        "names": [
            "next", "seconds", "nanoseconds", "captured", "length", "status", "begin", "network", "hash", "tag", "tag_type",
            "family", "ethertype", "index", "hardware", "type",
        ],
        "formats": ["u4", "u4", "u4", "u4", "u4", "u4", "u2", "u2", "u4", "u4", "u2", "u2", ">u2", "u4", "u2", "u1"],
        "offsets": [0, 4, 8, 12, 16, 20, 24, 26, 28, 32, 36, 48, 50, 52, 56, 58],
        "itemsize": 64,
    }
)  # fmt: skip
"""`tpacket3_hdr`, and the beginning of the `sockaddr_ll` that follows it at 48."""
LEAST_BEGIN = 68
"""No frame begins before: TPACKET3_HDRLEN."""
_MARK = 48 // WORD
"""The word of a frame that has family (16 bits), EtherType (16) and interface (32)."""
_MARK_BITS = np.uint64(0xFFFFFFFF0000FFFF)
_STATUS, _FRAMES, _FIRST, _USED = 2, 3, 4, 5
"""Words of 32 bits in a block's descriptor: version, private area, then these."""
_TAG_OCTETS = 4
_WORD_NS, _STEP_NS, _FRAME_NS = 1.2, 1500.0, 25.0
"""About what it costs to look at a word; to go a step in all blocks, and for each frame that is found so. Measured."""


@dataclass(frozen=True, slots=True)
class RingFrames:
    """What some blocks held, in the order in which they came.

    Attributes:
        start: Shape (frames,), the first octet of each in the ring.
        end: Shape (frames,), behind the last one captured.
        length: Shape (frames,), octets on the wire, a tag that was taken out of them included.
        time: Shape (frames,), microseconds since 1970.
        outgoing: Shape (frames,), whether this host sent it.
        ethertype: Shape (frames,), as the kernel tells it.
        vlan: Shape (frames,), identity of the tag that the kernel took out, `ABSENT` where it took none or the tag names no VLAN;
            None where none of the frames had one taken out.
    """

    start: Integers
    end: Integers
    length: Integers
    time: Integers
    outgoing: npt.NDArray[np.bool_]
    ethertype: npt.NDArray[np.uint16]
    vlan: npt.NDArray[np.int32] | None


class RingBlocks:
    """The blocks of one ring.

    Attributes:
        number: How many there are.
        octets: Of each.
        walked: How often chains had to be followed step by step.
    """

    def __init__(self, memory: Octets, octets: int, number: int, interface: int) -> None:
        """Look at a ring.

        Args:
            memory: The ring, and at least `dissection.MARGIN` octets behind it.
            octets: Of a block, a multiple of 8.
            number: Of blocks.
            interface: Index of the one that frames come from.
        """
        self.octets, self.number, self.walked = octets, number, 0
        self.memory = memory
        ring = memory[: octets * number]
        self._words = ring.view(np.uint64).reshape(number, octets // WORD)
        self._described = ring.view(np.uint32).reshape(number, octets // 4)[:, :6]
        places = (len(ring) - FRAME_HEADER.itemsize) // WORD + 1
        self._headers = np.ndarray((places,), f"V{FRAME_HEADER.itemsize}", ring, strides=(WORD,))
        self._mark = np.uint64(AF_PACKET | interface << 32)
        self._room = np.empty(0, np.uint64)

    def ready(self, first: int, most: int) -> int:
        """Return how many blocks from one on are the reader's, up to the ring's end and to `most`."""
        if not self._described[first, _STATUS] & TO_USER:
            return 0
        status = self._described[first : first + most, _STATUS] & TO_USER
        return len(status) if status.all() else int(status.argmin())

    def give_back(self, first: int, number: int) -> None:
        """Let the kernel have blocks again; nothing of them may be read any more."""
        self._described[first : first + number, _STATUS] = TO_KERNEL

    def frames(self, first: int, number: int) -> RingFrames | None:
        """Return the frames of some blocks that are the reader's; None where these hold none."""
        end, step = first + number, max(1, AT_ONCE // self.octets)
        parts = [self._part(begin, min(step, end - begin)) for begin in range(first, end, step)]
        return _joined([part for part in parts if part is not None])

    def _part(self, first: int, number: int) -> RingFrames | None:
        described = self._described[first : first + number]
        counts = described[:, _FRAMES].astype(np.int64)
        if not counts.any():
            return None
        words = number * int(described[:, _USED].max()) // WORD
        if words * _WORD_NS > int(counts.max()) * _STEP_NS + int(counts.sum()) * _FRAME_NS:
            at = self._followed(first, described, counts)
            return _frames(at, self._headers[at].view(FRAME_HEADER))
        at = self._marked(first, described)
        headers = self._headers[at].view(FRAME_HEADER)
        if not self._is_chain(at, headers, first, described, counts):
            plausible = (headers["hash"] == 0) & (headers["begin"] >= LEAST_BEGIN)
            at, headers = at[plausible], headers[plausible]
            if not self._is_chain(at, headers, first, described, counts):
                self.walked += 1
                at = self._followed(first, described, counts)
                headers = self._headers[at].view(FRAME_HEADER)
        return _frames(at, headers)

    def _marked(self, first: int, described: npt.NDArray[np.uint32]) -> Integers:
        """Return the words at which frames seem to begin, ascending."""
        number = len(described)
        used = described[:, _USED].astype(np.int64) // WORD
        width = int(used.max())
        words = self._words[first : first + number, :width]
        if len(self._room) < number * width:
            self._room = np.empty(number * width, np.uint64)
        room = self._room[: number * width].reshape(number, width)
        np.bitwise_and(words, _MARK_BITS, out=room)
        found = np.flatnonzero(room == self._mark)
        rows = np.searchsorted(found, np.arange(number + 1) * width)
        row = np.repeat(np.arange(number), np.diff(rows))
        within = found - row * width - _MARK
        at = within + (first + row) * (self.octets // WORD)
        # What lies behind the part that is used was left from before.
        return at if (used == width).all() else at[within < used[row] - _MARK]

    def _is_chain(
        self,
        at: Integers,
        headers: npt.NDArray[np.void],
        first: int,
        described: npt.NDArray[np.uint32],
        counts: Integers,
    ) -> bool:
        """Return whether places are those of the frames: as many as the blocks tell, and each leads to the next."""
        ends = np.cumsum(counts)
        if len(at) != ends[-1]:
            return False
        step = headers["next"].astype(np.int64) // WORD
        follows = np.empty(len(at), np.bool_)
        np.equal(at[1:] - at[:-1], step[:-1], out=follows[:-1])
        held = counts > 0
        follows[ends[held] - 1] = True
        begins = self._first_frames(first, described)[held]
        return bool(follows.all() and (at[(ends - counts)[held]] == begins).all())

    def _followed(self, first: int, described: npt.NDArray[np.uint32], counts: Integers) -> Integers:
        """Return the places of all frames, block by block, one step of all blocks at a time."""
        at = self._first_frames(first, described)
        steps = self._words.reshape(-1).view(np.uint32)[::2]
        last = len(self._headers) - 1
        places = np.empty((int(counts.max()), len(at)), np.int64)
        for place in places:
            place[:] = at
            np.minimum(at + steps[at] // WORD, last, out=at)
        return places.T[np.arange(len(places)) < counts[:, None]]

    def _first_frames(self, first: int, described: npt.NDArray[np.uint32]) -> Integers:
        blocks = np.arange(first, first + len(described)) * (self.octets // WORD)
        return blocks + described[:, _FIRST].astype(np.int64) // WORD


def _joined(parts: list[RingFrames]) -> RingFrames | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    vlan = None
    if any(part.vlan is not None for part in parts):
        absent = [np.full(len(part.start), ABSENT, np.int32) if part.vlan is None else part.vlan for part in parts]
        vlan = np.concatenate(absent)
    return RingFrames(
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.end for part in parts]),
        np.concatenate([part.length for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.outgoing for part in parts]),
        np.concatenate([part.ethertype for part in parts]),
        vlan,
    )


def _frames(at: Integers, headers: npt.NDArray[np.void]) -> RingFrames:
    start = at * WORD
    start += headers["begin"]
    length = headers["length"].astype(np.int64)
    time = headers["seconds"] * np.int64(1_000_000)
    time += headers["nanoseconds"] // np.uint32(1000)
    tagged = (headers["status"] & VLAN_VALID) != 0
    vlan = None
    if tagged.any():
        length += np.where(tagged, _TAG_OCTETS, 0)
        identity = (headers["tag"] & 0x0FFF).astype(np.int32)
        vlan = np.where(tagged & (identity > 0), identity, np.int32(ABSENT))
    outgoing = headers["type"] == OUTGOING
    return RingFrames(start, start + headers["captured"], length, time, outgoing, headers["ethertype"].astype(np.uint16), vlan)
