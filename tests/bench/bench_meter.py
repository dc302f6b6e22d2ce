"""The meter: CPU a packet from blocks in memory, by part; and of a whole capture file, beside softflowd, nfpcapd in the same run.

Half of the flows are TCP, a fifth is IPv6, each packet is one of them by chance. What is measured is CPU time, as other work on the
machine makes clocks useless; the first rounds, in which the table fills, are measured by themselves.

    python -m tests.bench.bench_meter [--frames 64,imix] [--flows 1000,100000,1000000] [--packets N] [--no-files]
"""

from __future__ import annotations

import argparse
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nftui.capture.probe.capture_file import CaptureFile
from nftui.capture.probe.frames import FrameBlock
from nftui.capture.probe.meter import Meter, MeterSettings
from nftui.capture.probe.observing import ObservedCounts, Slots, observe
from tests.bench import figures, processes
from tests.bench.figures import Figure

BLOCK = 20_000
CAPTURED = 128
IMIX = ((60, 7), (590, 4), (1514, 1))
GOAL = "<= 0.65"
"""Of the whole probe's 0.8 us, what the ring leaves."""
NOON = 1_700_000_000_000_000


def headers(flow: NDArray[np.int64], length: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the first octets of frames, shape (frames, 78), and how long the frames are: IPv6 needs more than the least."""
    six, tcp = flow % 5 == 0, flow % 2 == 0
    length = np.where(six, np.maximum(length, 78), length)
    octets = np.zeros((len(flow), 78), np.uint8)
    octets[:, :12] = np.frombuffer(bytes.fromhex("020000000002020000000001"), np.uint8)
    words = octets.view(">u2")
    protocol = np.where(tcp, 6, 17)
    ports = 1024 + flow % 50_000, np.full(len(flow), 443)
    high, low = flow >> 16, flow & 0xFFFF
    for family, at, rows in ((0x0800, 17, ~six), (0x86DD, 27, six)):
        words[rows, 6] = family
        for place, port in enumerate(ports):
            words[rows, at + place] = port[rows]
        words[rows, at + 6] = np.where(tcp, 0x5010, 0)[rows]
    four = np.flatnonzero(~six)
    for place, values in ((7, 0x4500), (8, length[four] - 14), (11, 64 << 8 | protocol[four]), (13, 0x0A00 | high[four] & 0xFF)):
        words[four, place] = values
    words[four, 14], words[four, 15], words[four, 16] = low[four], 0xC633, 0x6400 | flow[four] % 200
    some = np.flatnonzero(six)
    for place, values in ((7, 0x6000), (9, length[some] - 54), (10, protocol[some] << 8 | 64), (11, 0x2001), (19, 0x2001)):
        words[some, place] = values
    words[some, 17], words[some, 18], words[some, 26] = high[some], low[some], flow[some] % 200
    return octets, length


def block(dice: np.random.Generator, flows: int, mix: str, number: int) -> FrameBlock:
    """Return frames of flows drawn by chance, a microsecond apart."""
    flow = dice.integers(0, flows, BLOCK)
    sizes = [size for size, _ in IMIX] if mix == "imix" else [60]
    shares = np.array([share for _, share in IMIX] if mix == "imix" else [1])
    octets, length = headers(flow, dice.choice(np.array(sizes), BLOCK, p=shares / shares.sum()).astype(np.int64))
    # As in a ring that keeps the headers: each frame has a place of its own, behind a header of the kernel's.
    stride = 64 + CAPTURED
    flat = np.zeros(BLOCK * stride + 64, np.uint8)
    flat[: BLOCK * stride].reshape(BLOCK, stride)[:, 64 : 64 + octets.shape[1]] = octets
    start = np.arange(BLOCK, dtype=np.int64) * stride + 64
    return FrameBlock(flat, start, start + np.minimum(length, CAPTURED), length, NOON + number * BLOCK + np.arange(BLOCK), 1)


def in_memory(mix: str, flows: int, packets: int) -> list[Figure]:
    """Meter blocks that are in memory."""
    dice = np.random.default_rng(3)
    fill = [block(dice, flows, mix, number) for number in range(min(max(flows * 2 // BLOCK, 4), 120))]
    meter = Meter(MeterSettings(entries=max(2 * flows, 1 << 16)))
    began = time.process_time()
    for one in fill:
        meter.take(one)
    filling = (time.process_time() - began) / (len(fill) * BLOCK) * 1e6
    some, rounds = fill[:20], max(packets // (min(len(fill), 20) * BLOCK), 1)
    began = time.process_time()
    for _ in range(rounds):
        for one in some:
            meter.take(one)
    whole = (time.process_time() - began) / (rounds * len(some) * BLOCK) * 1e6
    counts, slots = ObservedCounts(), Slots()
    began = time.process_time()
    for _ in range(rounds):
        for one in some:
            observe(one, counts, slots, tunnels=False, carried=None)
    headed = (time.process_time() - began) / (rounds * len(some) * BLOCK) * 1e6
    name = f"{'IMIX' if mix == 'imix' else '64 octets'}, {flows:,} flows"
    remark = f"headers {headed:.2f}, table {whole - headed:.2f}; while it fills {filling:.2f}; table {meter.memory / 1e6:.0f} MB"
    return [Figure(f"{name}, us a packet", whole, goal=GOAL, remark=remark)]


def flood(packets: int) -> list[Figure]:
    """Meter a flow for each packet, with a table of a million, and fetch what ends."""
    entries, took, fetched = 1_000_000, 0.0, 0
    meter = Meter(MeterSettings(entries=entries))
    for number in range(packets // BLOCK):
        flow = np.arange(number * BLOCK, (number + 1) * BLOCK)
        octets, length = headers(flow, np.full(BLOCK, 60, np.int64))
        flat = np.concatenate([octets.ravel(), np.zeros(64, np.uint8)])
        start = np.arange(BLOCK, dtype=np.int64) * octets.shape[1]
        one = FrameBlock(flat, start, start + octets.shape[1], np.maximum(length, octets.shape[1]), NOON + flow, 1)
        began = time.process_time()
        meter.take(one)
        frame = meter.expired(int(one.time[-1]))
        took += time.process_time() - began
        fetched += 0 if frame is None else frame.height
    remark = f"{fetched:,} flows told of, {meter.counts.emergency:,} to make room; table {meter.memory / 1e6:.0f} MB"
    return [Figure("flood: each packet a flow, us a packet", took / packets * 1e6, remark=remark)]


def written(path: Path, mix: str, flows: int, packets: int) -> Path:
    """Write a capture file."""
    dice = np.random.default_rng(4)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, CAPTURED, 1))
        for number in range(packets // BLOCK):
            one = block(dice, flows, mix, number)
            size = one.end - one.start
            records = np.zeros((BLOCK, 16 + CAPTURED), np.uint8)
            records[:, :16] = np.column_stack([*np.divmod(one.time, 1_000_000), size, one.length]).astype("<u4").view(np.uint8)
            records[:, 16:] = one.flat[: BLOCK * (64 + CAPTURED)].reshape(BLOCK, -1)[:, 64:]
            file.write(records[np.arange(16 + CAPTURED) < (16 + size)[:, None]].tobytes())
    return path


def of_files(mix: str, flows: int, packets: int) -> list[tuple[str, list[Figure]]]:
    """Read a capture file, and have others read it."""
    tables = []
    with tempfile.TemporaryDirectory(dir=processes.work_folder()) as folder:
        path = written(Path(folder) / "traffic.pcap", mix, flows, packets)
        meter = Meter(MeterSettings(entries=max(2 * flows, 1 << 16)))
        began = time.process_time()
        for one in CaptureFile(path):
            meter.take(one)
            meter.expired(meter.seen_us)
        meter.rest()
        ours = (time.process_time() - began) / packets * 1e6
        what = f"a file, {'IMIX' if mix == 'imix' else '64 octets'}, {flows:,} flows, us a packet"
        for name, words in (
            ("softflowd", ["-r", str(path), "-n", "127.0.0.1:9", "-v", "9", "-d", "-m", str(2 * flows), "-c", "none"]),
            ("nfpcapd", ["-r", str(path), "-l", folder]),
        ):
            program = processes.peer(name)
            if program:
                used = processes.run([program, *words])
                tables.append((name, [Figure(what, ours, used.cpu / packets * 1e6, remark=f"{packets:,} packets")]))
    return tables


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", default="64,imix")
    parser.add_argument("--flows", default="1000,100000,1000000")
    parser.add_argument("--packets", type=int, default=2_000_000)
    parser.add_argument("--no-files", action="store_true")
    options = parser.parse_args()
    figures.machine()
    cases = [(mix, flows) for mix in options.frames.split(",") for flows in map(int, options.flows.split(","))]
    lines = [line for mix, flows in cases for line in in_memory(mix, flows, options.packets)]
    figures.show("blocks in memory, without the ring", lines + flood(options.packets))
    if not options.no_files:
        for mix, flows in (("64", 1000), ("imix", 100_000)):
            for peer, table in of_files(mix, flows, options.packets // 2):
                figures.show("a capture file", table, peer)


if __name__ == "__main__":
    main()
