"""Capture files: each container and link type gives the same datagrams, and what is left out is counted."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nftui.capture import pcap
from nftui.capture.datagrams import MAPPED_PREFIX
from nftui.capture.pcap import CaptureFileCounts, read_capture
from nftui.errors import CaptureFileError

TIME = 1_600_000_000_123_456
SIX = bytes.fromhex("20010db8") + bytes(11) + b"\x07"


def udp(payload: bytes, port: int = 2055) -> bytes:
    return struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload


def ipv4(body: bytes, protocol: int = 17, fragment: int = 0, options: bytes = b"") -> bytes:
    size = 20 + len(options)
    head = struct.pack(">BBHHHBBH", 0x40 | size // 4, 0, size + len(body), 1, fragment, 64, protocol, 0)
    return head + bytes([192, 0, 2, 1, 192, 0, 2, 9]) + options + body


def ipv6(body: bytes, following: int = 17) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(body), following, 64) + SIX + bytes(16) + body


def ethernet(packet: bytes, *tags: int) -> bytes:
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return bytes(12) + b"".join(struct.pack(">HH", tag, 5) for tag in tags) + struct.pack(">H", kind) + packet


def pcap_file(frames: list[bytes], link: int = 1, order: str = "<", nanoseconds: bool = False) -> bytes:
    out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    fraction = 123_456 * (1000 if nanoseconds else 1)
    for frame in frames:
        out += struct.pack(order + "IIII", TIME // 1_000_000, fraction, len(frame), len(frame)) + frame
    return out


def pcapng_file(frames: list[bytes], link: int = 1, order: str = "<", resolution: int | None = None) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack(order + "II", kind, 12 + len(body)) + body + struct.pack(order + "I", 12 + len(body))

    options = b"" if resolution is None else struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack(order + "HHI", link, 0, 0) + options)
    ticks = TIME if resolution is None else TIME * 10 ** (resolution - 6)
    for frame in frames:
        out += block(6, struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame)) + frame)
    return out + block(99, b"unknown block")


def read(tmp_path: Path, content: bytes) -> tuple[list[tuple[bytes, bytes, int, int]], CaptureFileCounts]:
    """Return (payload, source, source port, time) of each datagram, and the counts."""
    path, counts = tmp_path / "capture", CaptureFileCounts()
    path.write_bytes(content)
    found = [
        (
            block.payload[row, : block.length[row]].tobytes(),
            block.exporter[row].tobytes(),
            int(block.source_port[row]),
            int(block.received[row]),
        )
        for block in read_capture(path, counts)
        for row in range(len(block.length))
    ]
    return found, counts


FOUR_ADDRESS = MAPPED_PREFIX + bytes([192, 0, 2, 1])
PACKETS = [ipv4(udp(b"four")), ipv6(udp(b"six"))]
EXPECTED = [(b"four", FOUR_ADDRESS, 40000, TIME), (b"six", SIX, 40000, TIME)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["pcap", "pcap nanoseconds", "pcapng", "pcapng nanoseconds"])
def test_containers(tmp_path: Path, order: str, compressed: bool, kind: str) -> None:
    frames = [ethernet(packet) for packet in PACKETS]
    if kind.startswith("pcapng"):
        content = pcapng_file(frames, order=order, resolution=9 if "nano" in kind else None)
    else:
        content = pcap_file(frames, order=order, nanoseconds="nano" in kind)
    found, counts = read(tmp_path, gzip.compress(content) if compressed else content)
    assert found == EXPECTED
    assert counts == CaptureFileCounts(frames=2, datagrams=2)


@pytest.mark.parametrize(
    ("link", "wrap"),
    [
        (1, lambda packet: ethernet(packet, 0x8100)),
        (1, lambda packet: ethernet(packet, 0x88A8, 0x8100)),
        (1, lambda packet: ethernet(packet) + bytes(6)),
        (101, lambda packet: packet),
        (228, lambda packet: packet),
        (113, lambda packet: bytes(14) + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0") + packet),
        (276, lambda packet: (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0") + bytes(18) + packet),
        (0, lambda packet: b"\x02\0\0\0" + packet),
        (108, lambda packet: b"\0\0\0\x02" + packet),
    ],
    ids=["vlan", "qinq", "padded", "raw", "ipv4 raw", "cooked", "cooked 2", "null", "loop"],
)
def test_link_types(tmp_path: Path, link: int, wrap) -> None:  # type: ignore[no-untyped-def]
    found, counts = read(tmp_path, pcap_file([wrap(packet) for packet in PACKETS], link))
    assert found == EXPECTED
    assert counts.datagrams == 2


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    frames = [
        ethernet(ipv4(udp(b"fine"), options=bytes(8))),
        ethernet(ipv4(udp(b"first"), fragment=0x2000)),
        ethernet(ipv4(b"rest of it", fragment=2)),
        ethernet(ipv6(struct.pack(">BBHI", 17, 0, 1, 9) + udp(b"x"), 44)),
        ethernet(ipv4(bytes(20), protocol=6)),
        ethernet(ipv6(bytes(20), following=6)),
        ethernet(ipv6(bytes([17, 0, 0, 0, 0, 0, 0, 0]) + udp(b"behind options"), 0)),
        bytes(12) + b"\x08\x06" + bytes(28),
        ethernet(ipv4(udp(b"captured in part")))[:-4],
        ethernet(ipv4(b"")),
        b"",
    ]
    found, counts = read(tmp_path, pcap_file(frames))
    assert [payload for payload, *_ in found] == [b"fine", b"behind options"]
    assert counts == CaptureFileCounts(frames=11, datagrams=2, not_udp=4, fragments=3, truncated=2)
    assert counts.as_dict()["fragments"] == 3


def test_unknown_link_type_is_counted(tmp_path: Path) -> None:
    found, counts = read(tmp_path, pcap_file([bytes(60)], 147))
    assert (found, counts.link_unknown) == ([], 1)


def test_blocks_are_bounded_and_of_one_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcap, "ROWS", 10)
    frames = [ethernet(ipv4(udp(bytes([n]), 2055 if n < 15 else 6343))) for n in range(25)]
    path = tmp_path / "capture"
    path.write_bytes(pcap_file(frames))
    blocks = list(read_capture(path))
    assert [(len(block.length), block.local_port) for block in blocks] == [(10, 2055), (5, 2055), (5, 6343), (5, 6343)]
    assert [int(octet) for block in blocks for octet in block.payload[:, 0]] == list(range(25))


def test_file_that_ends_within_a_frame(tmp_path: Path) -> None:
    for content in (pcap_file([ethernet(packet) for packet in PACKETS]), pcapng_file([ethernet(PACKETS[0])] * 2)):
        found, counts = read(tmp_path, content[:-45])
        assert (len(found), counts.file_cut) == (1, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "begins with nothing"),
        (b"hello, world", "begins with 68 65 6c 6c"),
        (b"\xd4\xc3\xb2\xa1\0\0", "ends within the file header"),
        (pcap_file([]) + struct.pack("<IIII", 0, 0, 2**31, 0), "frame 1 of 2147483648 octets"),
        (b"\x0a\x0d\x0d\x0a" + struct.pack("<II", 4, 0x1A2B3C4D), "block of 4 octets"),
        (b"\x1f\x8bnot gzip", "not|Unknown|method|ended"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(CaptureFileError, match=said):
        read(tmp_path, content)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureFileError, match="No such file"):
        list(read_capture(tmp_path / "none"))


WHOLE = [pcap_file([ethernet(packet) for packet in PACKETS]), pcapng_file([ethernet(packet) for packet in PACKETS])]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=8),
    st.integers(0, 400),
)
def test_changed_files_are_read_or_refused(tmp_path: Path, content: bytes, changes: list[tuple[int, int]], size: int) -> None:
    octets = bytearray(content)
    for place, value in changes:
        octets[place % len(octets)] = value
    try:
        found, counts = read(tmp_path, bytes(octets[:size]))
    except CaptureFileError:
        return
    assert len(found) == counts.datagrams
    left_out = counts.not_udp + counts.fragments + counts.truncated + counts.link_unknown
    assert counts.frames == counts.datagrams + left_out
