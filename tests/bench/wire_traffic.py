"""Frames of UDP for a wire: so many flows, each frame one of them by chance, of 64 octets on the wire or of the simple IMIX.

A process of its own, pinned to a CPU. Prints one JSON object: what was sent, and how fast.

    python -m tests.bench.wire_traffic INTERFACE --flows 100000 --frames 64|imix [--rate 200000] [--seconds 5] [--packets N]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray

from tests.wire_sender import WireSender

CHECKSUM = 4
"""Octets of a frame that nobody but the card sees."""
IMIX = ((64, 7), (594, 4), (1518, 1))
"""Octets of a frame with its checksum, and how many of twelve have them."""
LEAST_FRAMES = 1 << 17
HEADERS = 42


def frames(flows: int, mix: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return octets, and start, length and flow of frames that lie in them; each flow has at least one."""
    dice = np.random.default_rng(5)
    number = max(flows, LEAST_FRAMES)
    flow = np.concatenate([np.arange(flows), dice.integers(0, flows, number - flows)])
    dice.shuffle(flow)
    sizes = [size for size, _ in IMIX] if mix == "imix" else [64]
    shares = np.array([share for _, share in IMIX] if mix == "imix" else [1])
    # As the lengths are drawn anew for each frame, the flows are of all sizes.
    length = dice.choice(np.array(sizes) - CHECKSUM, number, p=shares / shares.sum()).astype(np.int64)
    # Frames overlap: only the headers differ, and what stands behind them is headers of others.
    start = np.arange(number, dtype=np.int64) * HEADERS
    flat = np.zeros(number * HEADERS + max(sizes), np.uint8)
    header = flat[: number * HEADERS].reshape(number, HEADERS)
    header[:, :16] = np.frombuffer(bytes.fromhex("02000000000102000000000208004500"), np.uint8)
    words = header[:, 16:].view(">u2")
    words[:, 0] = length - 14
    words[:, 3] = 64 << 8 | 17
    words[:, 5], words[:, 6] = 0x0A00 | flow >> 16, flow & 0xFFFF
    words[:, 7], words[:, 8] = 0xC633, 0x6400 | flow % 200
    words[:, 9], words[:, 10], words[:, 11] = 1024 + flow % 50_000, 53, length - 34
    return flat, start, length, flow


def main() -> None:
    """Send."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("interface")
    parser.add_argument("--flows", type=int, default=100_000)
    parser.add_argument("--frames", choices=("64", "imix"), default="64")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--packets", type=int, default=0)
    options = parser.parse_args()
    flat, start, length, _ = frames(options.flows, options.frames)
    with WireSender(options.interface, flat, start, length, bypass=True) as sender:
        began = time.perf_counter()
        sent = sender.run(packets=options.packets, seconds=options.seconds, rate=options.rate)
        took = time.perf_counter() - began
    print(json.dumps({"sent": sent, "seconds": took, "rate": sent / took}))


if __name__ == "__main__":
    main()
