"""Which processes a test has brought about: all that carry its mark in their environment, whoever their parent is by now."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

VARIABLE = "NFTUI_TEST_MARK"


class Mark:
    """A word that all processes of one test inherit."""

    def __init__(self) -> None:
        """Make up a word that nobody else has."""
        self.word = f"{VARIABLE}={uuid.uuid4().hex}"

    def processes(self) -> dict[int, str]:
        """Return process id -> command line of the marked processes that run now; the dead don't count."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                try:
                    if self.word.encode() in (folder / "environ").read_bytes().split(b"\0"):
                        found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                except OSError:
                    continue
        return found

    def named(self, words: str) -> list[int]:
        """Return the ids of the marked processes whose command line holds some words."""
        return [pid for pid, command in self.processes().items() if words in command]

    def gone(self, seconds: float = 15) -> float:
        """Wait until no marked process is left; return how long that took, and fail when it takes too long."""
        began = time.monotonic()
        while left := self.processes():
            assert time.monotonic() - began < seconds, f"still there after {seconds} s: {left}"
            time.sleep(0.05)
        return time.monotonic() - began


def usage(pid: int) -> tuple[float, float, float]:
    """Return seconds of CPU used so far, the most memory ever resident, and that of its own now, not of files; in MB."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    memory = {name: int(rest.split()[0]) / 1024 for name, _, rest in (line.partition(":") for line in lines) if rest.endswith("kB")}
    return ticks / os.sysconf("SC_CLK_TCK"), memory["VmHWM"], memory["RssAnon"]
