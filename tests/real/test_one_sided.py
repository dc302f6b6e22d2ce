"""A mirror port with one direction only, from its packets to the word that is said of it."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nftui.capture.probe.pcap_files import HEADER
from nftui.engine.local import LocalBackEnd
from nftui.engine.one_sided import LATE, Sides
from nftui.units import SECOND
from tests.running import nftui

End = tuple[tuple[int, int, int, int], int]
SYN, ACK, PUSHED, END = 0x02, 0x10, 0x18, 0x11
CONNECTION = (SYN, ACK, PUSHED, PUSHED, PUSHED, PUSHED, END)


def frame(source: End, destination: End, flags: int, payload: int) -> bytes:
    """Return an Ethernet frame with a TCP segment."""
    segment = struct.pack(">HHIIBBHHH", source[1], destination[1], 1, 1, 0x50, flags, 100, 0, 0) + bytes(payload)
    ends = bytes(source[0]) + bytes(destination[0])
    return b"\2" * 6 + b"\4" * 6 + b"\x08\0\x45\0" + struct.pack(">HIBBH", 20 + len(segment), 0, 64, 6, 0) + ends + segment


def frames(answered: bool) -> Iterator[bytes]:
    """Yield the packets of forty connections between some clients and servers."""
    for n in range(40):
        client, server = ((10, 0, 0, 1 + n % 8), 40_000 + n), ((203, 0, 113, 1 + n % 3), 443)
        for flags in CONNECTION:
            payload = 500 if flags == PUSHED else 0
            yield frame(client, server, flags, payload)
            if answered:
                yield frame(server, client, flags | ACK, payload)


@pytest.mark.row("B04")
@pytest.mark.parametrize("answered", [False, True])
def test_a_mirror_of_one_direction_is_told_from_one_of_both(tmp_path: Path, answered: bool) -> None:
    now = time.time_ns() // 1000
    octets = HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
    for n, one in enumerate(frames(answered)):
        octets += struct.pack("<IIII", *divmod(now - 30 * SECOND + n * 1000, SECOND), len(one), len(one)) + one
    (tmp_path / "mirrored.pcap").write_bytes(octets)
    nftui("probe", tmp_path / "mirrored.pcap", "--data", tmp_path / "store")
    (found,) = Sides(LocalBackEnd(tmp_path / "store", keep=False)).look(now + LATE)
    assert (found.connections, found.unanswered) == ((80, 0) if answered else (40, 40))
    assert found.one_sided is not answered
