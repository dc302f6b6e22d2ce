"""Capture files: CPU a frame to find frames and read their times and lengths, beside tcpdump, which copies them, in the same run.

Octets of the file are in the page cache for both. What is measured is CPU time, as other work on the machine makes clocks useless.

    python -m tests.bench.bench_files [--frames N]
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import time
from pathlib import Path
from random import Random

from nftui.capture.probe.capture_file import CaptureFile
from tests.bench import figures, processes
from tests.bench.figures import Figure
from tests.capture.probe.capture_writing import Frame, enhanced, interface, pcap, section

NOON = 1_700_000_000_000_000
MIXES = {"64 octets": (60,), "IMIX": (60,) * 7 + (590,) * 4 + (1514,)}
GOAL = "<= 0.15"
"""Of 64 octets."""
ROUNDS = 3


def written(folder: Path, mix: str, frames: int) -> list[Path]:
    """Write the same frames in each container."""
    dice = Random(1)
    body = dice.randbytes(1514)
    some = [Frame(body[: dice.choice(MIXES[mix])], NOON + number) for number in range(frames)]
    contents = {
        "pcap": pcap(some),
        "pcapng": section() + interface("<", 1) + b"".join(enhanced("<", one) for one in some),
    }
    contents["pcap.gz"] = gzip.compress(contents["pcap"], 1)
    for kind, content in contents.items():
        (folder / f"{mix}.{kind}").write_bytes(content)
    return [folder / f"{mix}.{kind}" for kind in contents]


def ours(path: Path) -> tuple[float, int]:
    """Return the least CPU seconds of some rounds, and how many frames there were."""
    found, least = 0, float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        found = sum(len(block) for block in CaptureFile(path))
        least = min(least, time.process_time() - began)
    return least, found


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=500_000)
    options = parser.parse_args()
    figures.machine()
    tcpdump, lines = processes.peer("tcpdump"), []
    with tempfile.TemporaryDirectory(dir=processes.work_folder()) as folder:
        for mix in MIXES:
            for path in written(Path(folder), mix, options.frames):
                seconds, frames = ours(path)
                theirs = None
                if tcpdump and path.suffix != ".gz":
                    command = [tcpdump, "-r", str(path), "-w", "/dev/null"]
                    theirs = min(processes.run(command).cpu for _ in range(ROUNDS)) / frames * 1e6
                kind = path.name.partition(".")[2]
                lines.append(
                    Figure(f"{kind}, {mix}, us a frame", seconds / frames * 1e6, theirs, goal=GOAL if mix[0] == "6" else "")
                )
    figures.show("capture files", lines, "tcpdump")


if __name__ == "__main__":
    main()
