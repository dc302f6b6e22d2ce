"""Capture files of bounded size: read back frame by frame, tags put back, the newest kept."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from nftui.capture.dissection import ABSENT
from nftui.capture.links import ETHERNET, RAW_IP
from nftui.capture.probe import pcap_files
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.pcap_files import HEADER, PcapFiles

Frame = tuple[int, int, bytes]
"""Time in microseconds, length on the wire, octets."""
SECOND = 1_000_000


def block(frames: list[bytes], vlans: list[int] | None = None, link: int | list[int] = ETHERNET, longer: int = 0) -> FrameBlock:
    """Return a block in which frames lie apart from each other, in another order than they are counted in."""
    flat, starts = bytearray(b"\xee" * 7), {}
    for n in reversed(range(len(frames))):
        starts[n] = len(flat)
        flat += frames[n] + b"\xee" * (n % 3)
    flat += bytes(256)
    start = np.array([starts[n] for n in range(len(frames))], np.int64)
    size = np.array([len(one) for one in frames], np.int64)
    return FrameBlock(
        np.frombuffer(bytes(flat), np.uint8), start, start + size, size + longer,
        np.arange(len(frames), dtype=np.int64) * 700_000 + 1_795_467_605 * SECOND,
        link if isinstance(link, int) else np.array(link), 2, None, None if vlans is None else np.array(vlans, np.int32),
    )  # fmt: skip


def read(path: Path) -> tuple[int, list[Frame]]:
    """Return link type and frames of a file, step by step as the format is written down."""
    octets = path.read_bytes()
    magic, major, minor, _, _, _, link = HEADER.unpack_from(octets)
    assert (magic, major, minor) == (0xA1B2C3D4, 2, 4)
    at, found = HEADER.size, []
    while at < len(octets):
        seconds, micros, captured, length = struct.unpack_from("<IIII", octets, at)
        found.append((seconds * SECOND + micros, length, octets[at + 16 : at + 16 + captured]))
        at += 16 + captured
    assert at == len(octets)
    return link, found


def random_frames(count: int, seed: int = 1) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(int(size)) for size in rng.integers(14, 1500, count)]


def test_frames_are_read_back_as_they_were(tmp_path: Path) -> None:
    frames = random_frames(50)
    files = PcapFiles(tmp_path / "x", ETHERNET, 1 << 30)
    files.write(block(frames[:20], longer=4))
    files.write(block(frames[20:]))
    files.close()
    assert [path.name for path in files.paths] == ["x-1.pcap"]
    assert files.octets == files.paths[0].stat().st_size
    link, found = read(files.paths[0])
    assert link == ETHERNET and files.frames == 50
    assert [octets for _, _, octets in found] == frames
    assert [length - len(octets) for _, length, octets in found] == [4] * 20 + [0] * 30
    assert [time for time, _, _ in found[:3]] == [1_795_467_605 * SECOND + n * 700_000 for n in range(3)]
    assert files.paths[0].stat().st_mode & 0o077 == 0, "what passes is not for others to read"


def test_tags_that_the_kernel_took_are_put_back(tmp_path: Path) -> None:
    frames = [*random_frames(5), b"short"]
    files = PcapFiles(tmp_path / "x", ETHERNET, 1 << 30)
    files.write(block(frames, [ABSENT, 20, 0, ABSENT, 4095, 7]))
    files.close()
    tagged = [
        frames[0],
        frames[1][:12] + bytes.fromhex("81000014") + frames[1][12:],
        frames[2][:12] + bytes.fromhex("81000000") + frames[2][12:],
        frames[3],
        frames[4][:12] + bytes.fromhex("81000fff") + frames[4][12:],
        frames[5],
    ]
    assert [(length, octets) for _, length, octets in read(files.paths[0])[1]] == [(len(one), one) for one in tagged]


def test_other_links_are_left_out_and_counted(tmp_path: Path) -> None:
    frames = random_frames(6)
    files = PcapFiles(tmp_path / "x", RAW_IP, 1 << 30)
    files.write(block(frames, link=[RAW_IP, ABSENT, RAW_IP, RAW_IP, ETHERNET, RAW_IP]))
    files.write(block(frames, link=ETHERNET))
    files.close()
    assert [octets for _, _, octets in read(files.paths[0])[1]] == [frames[n] for n in (0, 2, 3, 5)]
    assert (files.frames, files.left_out) == (4, 8)


@pytest.mark.parametrize("each", [1, 7, 100])
def test_the_newest_are_kept_and_no_more_than_was_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each: int) -> None:
    monkeypatch.setattr(pcap_files, "LEAST", 2000)
    frames, most = random_frames(100, 3), 20_000
    files = PcapFiles(tmp_path / "x", ETHERNET, most)
    for place in range(0, len(frames), each):
        files.write(block(frames[place : place + each]))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= most
    files.close()
    kept = [octets for path in files.paths for _, _, octets in read(path)[1]]
    assert kept == frames[-len(kept) :]
    assert len(kept) * 16 + sum(map(len, kept)) > most // 2 - 1600, "one file is always full"
    assert len(files.paths) == 2 and files.frames == 100


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x-1.pcap").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        PcapFiles(tmp_path / "x", ETHERNET, 1 << 20)
    assert (tmp_path / "x-1.pcap").read_bytes() == b"mine"
