"""Capture files as a source of frames: what was written is what is read, however it comes, and where a file breaks is said."""

from __future__ import annotations

import gzip
import os
import struct
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nftui.capture.dissection import MARGIN
from nftui.capture.packets import dissect
from nftui.capture.probe import capture_file, chain
from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.frames import FrameBlock, FrameCounts
from nftui.errors import CaptureFileError
from tests.capture.probe.capture_writing import (
    Frame,
    block,
    enhanced,
    frames_of,
    interface,
    obsolete,
    option,
    pcap,
    rest_of,
    section,
    simple,
)

pytestmark = pytest.mark.row("C11")
SMALL = 1 << 13
"""Octets of a block in which frames lie across many bounds."""


def some_frames(count: int, seed: int = 1, most: int = 1514) -> list[Frame]:
    """Return frames of mixed sizes and octets, in time's order; some were cut."""
    dice = Random(seed)
    found, now = [], 1_700_000_000_000_000
    for _ in range(count):
        octets = dice.randbytes(dice.choice((0, 14, 60, 60, 60, 590, dice.randint(0, most))))
        now += dice.choice((0, 1, 40, 1_000_000))
        found.append(Frame(octets, now, len(octets) + dice.choice((0, 0, 0, 1, 9000))))
    return found


def read(path: Path, content: bytes, block_octets: int = capture_file.BLOCK_OCTETS) -> tuple[list[Frame], CaptureFile]:
    """Return the frames of a file, and what read it."""
    path.write_bytes(content)
    file = CaptureFile(path, block_octets=block_octets)
    return rest_of(file), file


def pcapng(frames: Sequence[Frame], order: str = "<", resolution: int = 6) -> bytes:
    """Return a pcapng file with one interface."""
    head = section(order) + interface(order, 1, resolution)
    return head + b"".join(enhanced(order, one, ticks=10**resolution) for one in frames)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["pcap", "pcap ns", "pcapng", "pcapng ns"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_was_written_is_read(tmp_path: Path, order: str, kind: str, compressed: bool) -> None:
    """Enough for many guesses in one block of the file, and for several such blocks."""
    frames = some_frames(3000)
    if kind.startswith("pcapng"):
        content = pcapng(frames, order, 9 if kind.endswith("ns") else 6)
    else:
        content = pcap(frames, order, nanoseconds=kind.endswith("ns"))
    found, file = read(tmp_path / "file", gzip.compress(content, 1) if compressed else content, 1 << 20)
    assert found == [one._replace(length=one.wire) for one in frames]
    assert file.offset == file.size == (tmp_path / "file").stat().st_size
    assert (file.ended, file.file_cut, file.problem) == (True, False, "")
    cut = sum(len(one.octets) < min(one.wire, capture_file.SHORT) for one in frames)
    assert file.counts == FrameCounts(frames=3000, octets=sum(one.wire for one in frames), cut=cut)


def test_no_step_for_each_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where times tell records from payload, nothing is walked one by one, but for the last few of a file."""
    steps = []
    one_by_one = chain.Chain.steps

    def counted(self: chain.Chain, *words: object) -> tuple[list[int], int]:
        found = one_by_one(self, *words)  # type: ignore[arg-type]
        steps.append(len(found[0]))
        return found

    monkeypatch.setattr(chain.Chain, "steps", counted)
    frames = [Frame(bytes([n % 251]) * 60, 1_700_000_000_000_000 + n) for n in range(20_000)]
    for content in (pcap(frames), pcapng(frames)):
        steps.clear()
        (tmp_path / "file").write_bytes(content)
        assert sum(len(part) for part in CaptureFile(tmp_path / "file")) == len(frames)
        assert sum(steps) < len(frames) / 10


def test_payload_that_looks_like_frames_is_payload(tmp_path: Path) -> None:
    """Captures within captured frames: each guess may be a record within a frame, and none of them counts."""
    inner = some_frames(400, 3, 200)
    for make in (pcap, pcapng):
        within = make(inner)
        frames = [Frame(within[at % 997 : at % 997 + 4000 + at % 7], 1_700_000_000_000_000 + at) for at in range(700)]
        found, _ = read(tmp_path / "file", make(frames))
        assert found == [one._replace(length=one.wire) for one in frames]


def test_times_of_zero(tmp_path: Path) -> None:
    frames = [Frame(bytes(n % 200), n % 3) for n in range(9000)]
    assert read(tmp_path / "file", pcap(frames))[0] == [one._replace(length=one.wire) for one in frames]


def test_interfaces_sections_and_kinds_of_block(tmp_path: Path) -> None:
    """Each section has its own order and interfaces, described anywhere before their first frame."""
    time = 1_650_000_000_123_456
    content, expected = b"", []
    for order in ("<", ">", "<"):
        first, second = Frame(b"a" * 61, time, 61, 1), Frame(b"b" * 20, time, 1500, 101)
        content += section(order) + block(order, 5, struct.pack(order + "III", 7, 0, 0)) + interface(order, 1, 9, snap=30)
        content += enhanced(order, first, 0, 10**9) + interface(order, 101, 0x80 | 20) + block(order, 0x0BAD, b"?" * 9)
        content += enhanced(order, second, 1, 1 << 20) + obsolete(order, first._replace(octets=b"c" * 7), 0)
        content += simple(order, Frame(b"d" * 30, 0, 70)) + enhanced(order, first, 5)
        expected += [first, second]
        expected += [Frame(b"c" * 7, time // 1000, 61, 1), Frame(b"d" * 30, 0, 70, 1), Frame(b"a" * 61, time, 61, -1)]
    found, file = read(tmp_path / "file", content)
    assert [one[:1] + one[2:] for one in found] == [one[:1] + one[2:] for one in expected]
    assert all(abs(one.time - other.time) <= 1 for one, other in zip(found, expected, strict=True))
    assert file.counts.frames == len(expected)


@pytest.mark.parametrize("resolution", [*range(20), 0x80, 0x80 | 10, 0x80 | 20, 0x80 | 32, 0x80 | 40])
def test_resolutions(tmp_path: Path, resolution: int) -> None:
    """Times are what big numbers give, to the microsecond that a clock can tell."""
    ticks = 1 << (resolution & 0x7F) if resolution & 0x80 else 10 ** min(resolution, 18)
    frames = [Frame(b"x", n * 1_000_003) for n in range(1, 14)]
    content = section() + interface("<", 1, resolution, offset=100) + b"".join(enhanced("<", one, 0, ticks) for one in frames)
    found, _ = read(tmp_path / "file", content)
    exact = [one.time * ticks // 1_000_000 * 1_000_000 // ticks + 100_000_000 for one in frames]
    assert all(abs(one.time - time) <= 1 for one, time in zip(found, exact, strict=True))


def test_times_beyond_all(tmp_path: Path) -> None:
    content = section() + interface("<", 1, 0) + enhanced("<", Frame(b"x", (1 << 64) * 1_000_000 - 1_000_000), 0, 1)
    content += interface("<", 1, 6, offset=-(1 << 62)) + enhanced("<", Frame(b"y", 5), 1)
    assert [one.time for one in read(tmp_path / "file", content)[0]] == [9_223_372_036_000_000, 0]


def test_directions_drops_and_checksums(tmp_path: Path) -> None:
    statistics = option("<", 4, struct.pack("<Q", 9)) + option("<", 5, struct.pack("<Q", 7)) + option("<", 7, struct.pack("<Q", 1))
    content = section() + interface("<", 1, checksum=4) + enhanced("<", Frame(b"i" * 64), flags=1) + enhanced("<", Frame(b"?" * 64))
    content += enhanced("<", Frame(b"o" * 60, length=80), flags=2) + obsolete("<", Frame(b"x" * 9), 0, 5)
    content += block("<", 5, struct.pack("<III", 0, 0, 0) + statistics) * 2
    found, file = read(tmp_path / "file", content)
    assert [(len(one.octets), one.length, one.outgoing) for one in found] == [
        (60, 60, False), (60, 60, False), (60, 76, True), (5, 5, False),
    ]  # fmt: skip
    assert file.counts.dropped == 13


def test_checksum_of_pcap(tmp_path: Path) -> None:
    found, _ = read(tmp_path / "file", pcap([Frame(b"x" * 64)], link=1 | 2 << 28 | 1 << 26))
    assert [(len(one.octets), one.length, one.link) for one in found] == [(60, 60, 1)]


def test_block_has_a_margin(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pcap([Frame(b"x" * 60)] * 400))
    for part in CaptureFile(path, block_octets=SMALL):
        assert len(part.flat) >= part.end[-1] + MARGIN
        assert dissect(part.flat, part.start, part.end, part.link).has_source.sum() == 0


def test_block_longer_than_the_room(tmp_path: Path) -> None:
    content = section() + block("<", 0x0BAD, bytes(100_000)) + interface("<", 1) + enhanced("<", Frame(b"z" * 200_000, 5))
    found, _ = read(tmp_path / "file", content, SMALL)
    assert found == [Frame(b"z" * 200_000, 5, 200_000)]


BROKEN = [
    (pcap([Frame(b"x" * 60)] * 3) + struct.pack("<IIII", 0, 0, 1 << 31, 0), 3, "frame 4 of 2147483648 octets"),
    (pcapng([Frame(b"x" * 60)] * 3) + struct.pack("<II", 6, 8), 3, ""),
    (pcapng([Frame(b"x" * 60)] * 3) + struct.pack("<III", 6, 8, 8), 3, "block of 8 octets"),
    (pcapng([Frame(b"x" * 60)] * 3) + struct.pack("<III", 6, 28, 8), 3, "block of 28 octets"),
    (pcapng([Frame(b"x" * 60)] * 3) + b"\x0a\x0d\x0d\x0a\x1c\0\0\0oops", 3, "byte order 6f 6f 70 73"),
    (pcapng([Frame(b"x" * 60)] * 3) + struct.pack("<III", 9, 1 << 31, 8), 3, "block of 2147483648 octets"),
    (gzip.compress(pcap([Frame(b"x" * 60)] * 3))[:-6], 3, "ended before its end mark"),
    (gzip.compress(pcap([Frame(bytes([n]) * 60) for n in range(9)]))[:-8] + bytes(8), 9, "incorrect data check"),
    (gzip.compress(pcap([Frame(b"x" * 60)] * 3)) + b"\0\0" + gzip.compress(b"\1" * 16 + b"\xff" * 9), 3, "frame 4 of 16843009"),
    (gzip.compress(pcap([Frame(b"x" * 60)] * 3)) + b"what else", 3, "incorrect header check"),
    (b"no capture", 0, "begins with 6e 6f 20 63"),
    (b"", 0, "begins with nothing"),
    (gzip.compress(b""), 0, "begins with nothing"),
]


@pytest.mark.parametrize(
    ("content", "frames", "said"), BROKEN, ids=[f"{place} {said}" for place, (_, _, said) in enumerate(BROKEN)]
)
def test_what_precedes_a_broken_place_is_read(tmp_path: Path, content: bytes, frames: int, said: str) -> None:
    path, found = tmp_path / "broken file", list[Frame]()
    path.write_bytes(content)
    file = CaptureFile(path)
    if said:
        with pytest.raises(CaptureFileError, match=said) as error:
            found.extend(one for part in file for one in frames_of(part))
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
    else:
        found = rest_of(file)
        assert file.file_cut
    assert (len(found), file.counts.frames, file.ended) == (frames, frames, True)
    assert file.take() is None


def test_what_cant_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CaptureFileError, match="No such file"):
        CaptureFile(tmp_path / "none")
    with pytest.raises(CaptureFileError, match="is a directory"):
        CaptureFile(tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
def test_pipe_hands_over_what_has_come(tmp_path: Path, compressed: bool) -> None:
    """Whole frames come at once, what is not whole waits, and the end is the writer's."""
    frames = some_frames(30)
    content = pcap(frames)
    whole = len(pcap(frames[:20]))
    path = tmp_path / "pipe"
    os.mkfifo(path)
    opened = list[int]()
    thread = threading.Thread(target=lambda: opened.append(os.open(path, os.O_WRONLY)))
    thread.start()
    with CaptureFile(path) as file:
        thread.join()
        writer = opened[0]
        assert file.take() is None
        begin, rest = content[: whole + 7], content[whole + 7 :]
        if compressed:
            packer = zlib.compressobj(1, wbits=31)
            begin, rest = packer.compress(begin) + packer.flush(zlib.Z_SYNC_FLUSH), packer.compress(rest) + packer.flush()
        os.write(writer, begin[:30])
        early = rest_taken(file)
        os.write(writer, begin[30:])
        began = time.monotonic()
        found = early + rest_taken(file)
        assert time.monotonic() - began < 0.1
        assert [one.octets for one in found] == [one.octets for one in frames[:20]]
        assert not file.ended
        os.write(writer, rest)
        os.close(writer)
        found += rest_of(file)
        assert [one.octets for one in found] == [one.octets for one in frames]
        assert (file.ended, file.size, file.file_cut) == (True, 0, False)


def test_terminal_is_no_capture() -> None:
    """Nobody types one: it would wait for ever."""
    here, there = os.openpty()
    try:
        with pytest.raises(CaptureFileError, match="is a terminal"):
            CaptureFile(os.ttyname(there))
    finally:
        os.close(here)
        os.close(there)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1 << 30), st.sampled_from(["pcap", "pcapng", "gzip"]), st.lists(st.integers(30, 3000), min_size=1, max_size=40)
)
def test_any_pieces_through_a_pipe(seed: int, kind: str, sizes: list[int]) -> None:
    """However it is cut, all frames that are whole are there after each piece."""
    frames = some_frames(40, seed, 300)
    content = pcapng(frames) if kind == "pcapng" else pcap(frames)
    ends = np.cumsum([24 + 16, *(len(one.octets) + 16 for one in frames)])[1:] - 16
    content = gzip.compress(content, 1) if kind == "gzip" else content
    reader, writer = os.pipe()
    found, at, turn = list[Frame](), 0, 0
    with CaptureFile(f"/proc/self/fd/{reader}") as file:
        os.close(reader)
        while at < len(content):
            size = sizes[turn % len(sizes)]
            os.write(writer, content[at : at + size])
            at, turn = at + size, turn + 1
            found += rest_taken(file)
            if kind == "pcap":
                assert len(found) == int((ends <= at).sum())
        os.close(writer)
        assert found + rest_of(file) == [one._replace(length=one.wire) for one in frames]


def rest_taken(file: CaptureFile) -> list[Frame]:
    """Return the frames that can be had without waiting."""
    found = list[Frame]()
    while (part := file.take()) is not None:
        found += frames_of(part)
    return found


def frames_strategy() -> st.SearchStrategy[list[Frame]]:
    """Frames of any size, time and octets."""
    one = st.tuples(st.binary(max_size=90), st.integers(0, (1 << 32) * 1_000_000 - 1), st.integers(0, 1 << 31))
    return st.lists(one.map(lambda words: Frame(*words)), max_size=60)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(frames_strategy(), min_size=1, max_size=3), st.sampled_from("<>"), st.sampled_from(["pcap", "pcap ns", "pcapng"]),
    st.booleans(), st.integers(600, 4000), st.integers(16, 500), st.booleans(),
)  # fmt: skip
def test_round_trip(
    tmp_path: Path, parts: list[list[Frame]], order: str, kind: str, compressed: bool, room: int, far: int, few: bool
) -> None:
    """Whatever frames, in whatever blocks of the file, with guesses as near to each other as may be."""
    if kind == "pcapng":
        content = b"".join(pcapng(frames, "<>"[(order == ">") ^ (n % 2)]) for n, frames in enumerate(parts))
    else:
        parts = parts[:1]
        content = pcap(parts[0], order, nanoseconds=kind.endswith("ns"))
    expected = [one._replace(length=one.wire) for frames in parts for one in frames]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain, "SEGMENT", far)
        patch.setattr(chain, "FEWEST", 24 if few else 1)
        found, file = read(tmp_path / "file", gzip.compress(content, 1) if compressed else content, room)
    assert found == expected
    assert (file.counts.frames, file.file_cut) == (len(expected), False)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([pcap, pcapng]), st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=12),
    st.integers(0, 20_000), st.integers(16, 700), st.integers(500, 30_000),
)  # fmt: skip
def test_guesses_change_nothing(tmp_path: Path, make, changes, size: int, far: int, room: int) -> None:  # type: ignore[no-untyped-def]
    """Of a file with broken octets the same is read, and the same is said, with guesses and without."""
    octets = bytearray(make(some_frames(60, 5, 400)))
    for place, value in changes:
        octets[place % len(octets)] = value
    outcomes = []
    for fewest in (1, 1 << 30):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chain, "SEGMENT", far)
            patch.setattr(chain, "FEWEST", fewest)
            found, said = list[Frame](), ""
            (tmp_path / "file").write_bytes(octets[:size])
            try:
                for part in CaptureFile(tmp_path / "file", block_octets=room):
                    check(part)
                    found += frames_of(part)
            except CaptureFileError as error:
                said = str(error)
            outcomes.append((found, said))
    assert outcomes[0] == outcomes[1]


def check(part: FrameBlock) -> None:
    """What holds for any block."""
    assert len(part)
    assert (part.start <= part.end).all()
    assert (part.length >= part.end - part.start).all()
    assert part.start.min() >= 0
    assert part.end.max() + MARGIN <= len(part.flat)
    assert all(one.dtype == np.int64 for one in (part.start, part.end, part.length, part.time))
