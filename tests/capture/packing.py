"""Packets for tests: packed into one array as a capture or a datagram holds them, and what was found in one as plain Python."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nftui.capture.dissection import ABSENT
from nftui.capture.packets import Packets, dissect
from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.sets import Integers, Octets

PROBE = Path(__file__).resolve().parents[1] / "data" / "probe"
PLACES = ("network", "transport", "ip_end")


def packed(frames: Sequence[bytes], between: bytes = b"") -> tuple[Octets, Integers, Integers]:
    """Return octets, and where each frame begins and ends; something stands between them."""
    size = np.array([len(frame) for frame in frames], np.int64)
    flat = np.frombuffer(b"".join(frame + between for frame in frames), np.uint8)
    start = np.arange(len(frames)) * len(between) + np.cumsum(size) - size
    return flat, start, start + size


def captured(path: Path) -> tuple[list[bytes], Integers]:
    """Return the frames of a capture file, and their link types."""
    frames, links = list[bytes](), [np.zeros(0, np.int64)]
    with CaptureFile(path) as file:
        for block in file:
            ends = zip(block.start.tolist(), block.end.tolist(), strict=True)
            frames += [block.flat[begin:end].tobytes() for begin, end in ends]
            links.append(np.broadcast_to(np.asarray(block.link, np.int64), block.start.shape))
    return frames, np.concatenate(links)


def shown(octets: Octets) -> str:
    """Return an address as text."""
    address = ipaddress.IPv6Address(octets.tobytes())
    return str(address.ipv4_mapped or address)


def row(found: Packets, number: int, start: int = 0) -> dict[str, Any]:
    """Return what was found in one packet; places count from its start."""
    got: dict[str, Any] = {"depth": int(found.depth[number])}
    for name, values in found.numbers.items():
        value = int(values[number])
        if value != ABSENT:
            got[name] = value - start if name in PLACES else value
    for name, octets, known in (
        ("source", found.source, found.has_source[number]),
        ("destination", found.destination, found.has_destination[number]),
        ("outer_source", found.outer_source, found.depth[number] > 0),
        ("outer_destination", found.outer_destination, found.depth[number] > 0),
    ):
        if known:
            got[name] = shown(octets[number])
        else:
            assert not octets[number].any()
    return got


def dissected(
    frames: Sequence[bytes], link: int | Sequence[int] = 1, *, tunnels: bool = True, between: bytes = b""
) -> list[dict[str, Any]]:
    """Return what is found in each of some frames, dissected together."""
    flat, start, end = packed(frames, between)
    found = dissect(flat, start, end, link if isinstance(link, int) else np.array(link, np.int64), tunnels=tunnels)
    return [row(found, number, int(start[number])) for number in range(len(frames))]
