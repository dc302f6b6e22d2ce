"""nfcapd's own files: asked with `-r` beside nfdump, and imported.

Each command runs once to warm up, then `--repeat` times, ours and nfdump's in turn; medians are printed, and the most memory. The
files are those of `bench_query`, LZ4 as nfcapd wrote them, and the same without compression.

    python -m tests.bench.bench_nfcapd [--flows N] [--repeat N] [--keep DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import collectors, figures, processes, stores
from tests.bench.collectors import Nfcapd
from tests.bench.figures import Figure
from tests.bench.processes import Usage

FILTER = "net 10.1.0.0/16 and dst port 443"
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "total": (("summary",), ("-N", "-o", "null")),
    "top 10 sources": (("top", "-s", "srcip/bytes"), ("-N", "-s", "srcip/bytes", "-n", "10")),
    "net and port, top 10": (("top", "-s", "dstip/bytes", FILTER), ("-N", "-s", "dstip/bytes", "-n", "10", FILTER)),
}


def measured(commands: Sequence[list[str]], repeat: int) -> list[Usage]:
    """Run commands in turn; return the medians of each, and the most memory."""
    runs: list[list[Usage]] = [[] for _ in commands]
    for turn in range(repeat + 1):
        for place, words in enumerate(commands):
            usage = processes.run(words)
            if turn:
                runs[place].append(usage)
    return [_median(each) for each in runs]


def _median(runs: list[Usage]) -> Usage:
    wall, cpu = (statistics.median(times) for times in zip(*((run.wall, run.cpu) for run in runs), strict=True))
    return Usage(wall, cpu, max(run.memory for run in runs), 0)


def questions(folder: Path, nfdump: str, repeat: int) -> list[Figure]:
    """Ask a folder of files."""
    found = []
    for name, (ours, peer) in CASES.items():
        command, *words = ours
        mine, theirs = measured([processes.nftui(command, "-r", folder, *words), [nfdump, "-R", str(folder), *peer]], repeat)
        found += [
            Figure(name, mine.wall, theirs.wall, figures.seconds),
            Figure("  CPU", mine.cpu, theirs.cpu, figures.seconds),
            Figure("  memory", mine.memory, theirs.memory, figures.octets, "<= 600 MB"),
        ]
    return found


def imports(folder: Path, work: Path, flows: int) -> list[Figure]:
    """Import a folder of files."""
    used = processes.run(processes.nftui("import", "--data", work / "store", folder, "-o", "json"))
    stored = json.loads(used.output)["flows"]
    remark = "all" if stored == flows else f"{flows - stored:,} are missing"
    shutil.rmtree(work / "store")
    return [
        Figure("flows imported", flows / used.wall, None, figures.rate, "", remark),
        Figure("  CPU of a million", used.cpu / flows * 1e6, None, figures.seconds),
        Figure("  memory", used.memory, None, figures.octets, "<= 600 MB"),
    ]


def main() -> None:
    """Make the files, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="the folder of the files, made when it is not there")
    options = parser.parse_args()
    figures.machine()
    peers = [one for one in collectors.known() if isinstance(one, Nfcapd)]
    if not peers:
        return
    with tempfile.TemporaryDirectory(dir=processes.work_folder()) as temporary:
        work = Path(temporary)
        made = stores.make(options.keep or work, options.flows, peers[0])
        assert made.peer is not None
        plain = work / "plain"
        plain.mkdir()
        for path in sorted(made.peer.glob("nfcapd.2*")):
            processes.run([peers[0].nfdump, "-r", str(path), "-w", str(plain / path.name)])
        for name, folder in (("LZ4", made.peer), ("not compressed", plain)):
            figures.show(
                f"{options.flows:,} flows in nfcapd's files, {name}", questions(folder, peers[0].nfdump, options.repeat), "nfdump"
            )
            figures.show(f"import of them, {name}", imports(folder, work, made.truth.flows))


if __name__ == "__main__":
    main()
