"""A flood for a wire: each of its frames a flow that never was, from a forged address; and among them honest flows, which go on.

A process of its own, pinned to a CPU. Prints one JSON object: what was sent, how fast, and of each honest flow how many.

    python -m tests.bench.flood_traffic INTERFACE [--rate 1000000] [--honest 200] [--each 300] [--seconds 20]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray

from tests.wire_sender import WireSender

FRAMES = 1 << 17
"""Prepared; with each round the flood among them has other addresses."""
FRAME = 60
HONEST_PORT, FLOOD_PORT = 443, 53
"""Destination ports, by which one is told from the other."""


class Flood:
    """Frames of a flood, and of honest flows evenly among them.

    Attributes:
        flat: Octets of all frames.
        honest: Of each frame, which honest flow it is of; -1 for the flood's.
    """

    def __init__(self, honest: int, share: float) -> None:
        """Prepare.

        Args:
            honest: How many such flows.
            share: Of all frames, how many are theirs.
        """
        number = np.arange(FRAMES)
        turn = np.floor((number + 1) * share).astype(np.int64)
        mine = np.diff(turn, prepend=0) > 0
        self.honest = np.where(mine, (turn - 1) % max(honest, 1), -1)
        self.flat = np.zeros(FRAMES * FRAME, np.uint8)
        frames = self.flat.reshape(FRAMES, FRAME)
        frames[:, :16] = np.frombuffer(bytes.fromhex("02000000000102000000000208004500"), np.uint8)
        words = frames[:, 16:42].view(">u2")
        words[:, 0] = FRAME - 14
        words[:, 3] = 64 << 8 | 17
        words[:, 7], words[:, 8] = 0xC633, 0x6401
        words[:, 11] = FRAME - 34
        # 17 bits of the number of a frame stand in the lower address and the port; those above, which say the round, change.
        words[:, 6], words[:, 9], words[:, 10] = number & 0xFFFF, 1024 + (number >> 16), FLOOD_PORT
        words[mine, 5], words[mine, 6] = 0x0A00, self.honest[mine]
        words[mine, 9], words[mine, 10] = 40_000, HONEST_PORT
        self._upper, self._flooding, self._round = words[:, 5], ~mine, 0
        self.next_round()

    def next_round(self) -> None:
        """Give the flood's frames addresses that none had before, in 65,000 rounds."""
        self._upper[self._flooding] = 0x1000 + self._round
        self._round += 1


def main() -> None:
    """Send."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("interface")
    parser.add_argument("--rate", type=float, default=1e6, help="of the flood, packets a second")
    parser.add_argument("--honest", type=int, default=200, help="flows")
    parser.add_argument("--each", type=float, default=300.0, help="packets a second of each honest flow")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    rate = options.rate + options.honest * options.each
    flood = Flood(options.honest, options.honest * options.each / rate)
    start: NDArray[np.int64] = np.arange(FRAMES, dtype=np.int64) * FRAME
    # Whole rounds, so that it is known of each flow how many were sent.
    rounds = max(round(rate * options.seconds / FRAMES), 1)
    with WireSender(options.interface, flood.flat, start, np.full(FRAMES, FRAME), bypass=True) as sender:
        began, used = time.perf_counter(), time.process_time()
        sent = sender.run(packets=rounds * FRAMES, rate=rate, again=flood.next_round)
        took, used = time.perf_counter() - began, time.process_time() - used
    each = rounds * np.bincount(flood.honest[flood.honest >= 0], minlength=options.honest)
    print(json.dumps({"sent": sent, "seconds": took, "rate": sent / took, "cpu": used, "honest": each.tolist()}))


if __name__ == "__main__":
    main()
