"""Blocks as the kernel writes them, over what was there before: each frame is found, whatever the octets of frames are."""

from __future__ import annotations

import random
import struct
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nftui.capture.dissection import ABSENT, MARGIN
from nftui.capture.probe import ring_blocks
from nftui.capture.probe.ring_blocks import FRAME_HEADER, RingBlocks

BLOCK, BLOCKS, INTERFACE = 4096, 8, 7
BEGIN = 82
"""Of an Ethernet frame behind its header in the ring."""
MARK = struct.pack("=HHI", 17, 8, INTERFACE)
Frame = tuple[bytes, int, int, int | None]
"""Octets, length on the wire, type of packet, and the tag that was taken out."""


def written(memory: bytearray, number: int, frames: list[Frame], when: int) -> list[int]:
    """Write a block into a ring, and return where its frames begin; what lies between stays as it is."""
    base = number * BLOCK
    places = list(accumulate(((BEGIN + len(octets) + 7) // 8 * 8 for octets, *_ in frames), initial=48))
    for n, (octets, length, kind, tag) in enumerate(frames):
        at = base + places[n]
        step = places[n + 1] - places[n] if n + 1 < len(frames) else 0
        status = 1 if tag is None else 1 | 1 << 4 | 1 << 6
        first = struct.pack(
            "=6IHHIIHH8x", step, when, n * 1000 + 999, len(octets), length, status, BEGIN, 96, 0, tag or 0, 0x8100, 0
        )
        memory[at : at + 60] = first + MARK + struct.pack("=HBB", 1, kind, 6)
        memory[at + BEGIN : at + BEGIN + len(octets)] = octets
    memory[base : base + 32] = struct.pack("=8I", 1, 48, 1, len(frames), 48, places[-1], 0, 0)
    return [base + place + BEGIN for place in places[:-1]]


@pytest.fixture(autouse=True, params=[1 << 20, 3 * BLOCK], ids=["together", "in parts"])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_blocks, "AT_ONCE", request.param)


def check(memory: bytearray, blocks: list[list[Frame]]) -> RingBlocks:
    """Write blocks, and see that what is found is what was written."""
    starts = [one for n, frames in enumerate(blocks) for one in written(memory, n, frames, 1000 + n)]
    ring = RingBlocks(np.frombuffer(memory, np.uint8), BLOCK, BLOCKS, INTERFACE)
    assert ring.ready(0, BLOCKS) == len(blocks)
    found = ring.frames(0, len(blocks))
    frames = [one for some in blocks for one in some]
    if not frames:
        assert found is None
        return ring
    assert found is not None
    assert found.start.tolist() == starts
    assert [bytes(memory[a:b]) for a, b in zip(found.start, found.end, strict=True)] == [octets for octets, *_ in frames]
    assert found.length.tolist() == [length + (4 if tag is not None else 0) for _, length, _, tag in frames]
    assert found.outgoing.tolist() == [kind == 4 for *_, kind, _ in frames]
    assert found.time.tolist() == [(1000 + n) * 1_000_000 + k for n, some in enumerate(blocks) for k in range(len(some))]
    tags = [tag for *_, tag in frames]
    if all(tag is None for tag in tags):
        assert found.vlan is None
    else:
        assert found.vlan is not None
        assert found.vlan.tolist() == [tag & 0xFFF if tag is not None and tag & 0xFFF else ABSENT for tag in tags]
    return ring


def empty() -> bytearray:
    return bytearray(BLOCK * BLOCKS + MARGIN)


FRAME = st.tuples(
    st.one_of(st.binary(max_size=40), st.binary(max_size=16).map(lambda some: (some + MARK * 4)[:60]), st.just(bytes(300))),
    st.integers(0, 200),
    st.sampled_from([0, 3, 4]),
    st.one_of(st.none(), st.integers(0, 0xFFFF)),
).map(lambda one: (one[0], len(one[0]) + one[1], *one[2:]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(FRAME, max_size=10), min_size=1, max_size=BLOCKS), st.lists(st.lists(FRAME, max_size=10), max_size=BLOCKS))
def test_frames_are_found_over_what_was_there_before(before: list[list[Frame]], blocks: list[list[Frame]]) -> None:
    memory = empty()
    for n, frames in enumerate(before):
        written(memory, n, frames, 0)
    for n in range(len(blocks), BLOCKS):
        memory[n * BLOCK + 8] = 0
    if blocks:
        check(memory, blocks)


@pytest.mark.parametrize("octets", [MARK * 20, bytes(12) + MARK * 20, bytes(6) + (bytes(48) + MARK) * 4])
def test_octets_that_look_like_headers(octets: bytes) -> None:
    """The last has what seems a whole header, as 46 octets and some before a frame: the chain is followed."""
    frames: list[Frame] = [(octets, len(octets), 0, None)] * 9
    check(empty(), [frames, [], frames, frames[:1]])


def test_forged_headers_have_the_chain_followed() -> None:
    header = np.zeros(1, FRAME_HEADER)
    header["begin"], header["family"], header["index"] = 82, 17, INTERFACE
    octets = bytes(6) + header.tobytes() * 3
    ring = check(empty(), [[(octets, len(octets), 0, None)] * 9] * 4)
    assert ring.walked in (1, 2)


def test_mixed_sizes_round_and_round() -> None:
    dice = random.Random(2)
    memory = empty()
    for _ in range(30):
        blocks = []
        for _ in range(BLOCKS):
            frames: list[Frame] = []
            while sum(len(octets) + 96 for octets, *_ in frames) < BLOCK - 400:
                size = dice.choice((60, 61, 100, dice.randint(14, 250)))
                frames.append((dice.randbytes(size), size, dice.choice((0, 4)), None))
            blocks.append(frames)
        ring = check(memory, blocks)
        assert ring.walked == 0
        ring.give_back(0, BLOCKS)
        assert ring.ready(0, BLOCKS) == 0


def test_blocks_up_to_the_end_of_the_ring() -> None:
    memory = empty()
    for n in (0, 1, 5, 6, 7):
        written(memory, n, [(bytes(20), 20, 0, None)], 1)
    ring = RingBlocks(np.frombuffer(memory, np.uint8), BLOCK, BLOCKS, INTERFACE)
    assert [ring.ready(n, BLOCKS) for n in range(BLOCKS)] == [2, 1, 0, 0, 0, 3, 2, 1]
    assert ring.ready(5, 2) == 2
    ring.give_back(6, 1)
    assert ring.ready(5, 3) == 1
