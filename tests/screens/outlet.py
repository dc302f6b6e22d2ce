"""The program in a terminal that is a pipe to the test: every octet it sends, read as fast or as slowly as one likes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.running import ROOT

UTF8 = {"LANG": "C.UTF-8", "TERM": "xterm-256color"}
ASKED = re.compile(rb"\x1b\[6n")


class Line:
    """A terminal line with a program at its other end.

    Attributes:
        octets: All that was read.
        answers: Whether reports of the cursor's place are given, as real terminals do.
        first: The first of these.
    """

    first = b"\x1b[1;1R"

    def __init__(self, words: list[str], environ: Mapping[str, str], columns: int, lines: int, answers: bool) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.octets, self.answers, self._answered = b"", answers, 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nftui", *words], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, start_new_session=True,
            env={**kept, "TZ": "UTC", "PYTHONPATH": str(ROOT), "NFTUI_CONFIG": "/nonexistent.toml", **environ},
        )  # fmt: skip
        os.close(slave)

    def read(self, seconds: float, most: int = 1 << 16) -> bytes:
        """Return what comes within some time, at most so many octets."""
        if not select.select([self._master], [], [], max(seconds, 0))[0]:
            return b""
        try:
            got = os.read(self._master, most)
        except OSError:
            return b""
        self.octets += got
        # What was read may end within a question.
        for asked in ASKED.finditer(self.octets, self._answered):
            if self.answers:
                os.write(self._master, b"\x1b[1;1R" if self._answered else self.first)
            self._answered = asked.end()
        return got

    def until(self, words: bytes, seconds: float = 15) -> None:
        """Read until something was sent; colours may stand between its letters."""
        began = time.monotonic()
        pattern = re.compile(rb"(?:\x1b\[[0-9;]*[mH])*".join(re.escape(words[n : n + 1]) for n in range(len(words))))
        start = len(self.octets)
        while not pattern.search(self.octets, start):
            assert time.monotonic() - began < seconds, self.octets[start:][-2000:]
            self.read(0.2)

    def rest(self, quiet: float = 0.4, most: float = 5) -> None:
        """Read until nothing comes for a while; on a busy machine, where something always comes, only for so long."""
        end = time.monotonic() + most
        while time.monotonic() < end and self.read(quiet):
            pass

    def listen(self, seconds: float) -> int:
        """Read for so long; return how many octets came."""
        before, end = len(self.octets), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)
        return len(self.octets) - before

    def throttled(self, seconds: float, rate: float) -> None:
        """Read for so long at so many octets a second."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.05, max(int(rate / 20), 1))
            time.sleep(0.05)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def close(self) -> None:
        """End the program."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@contextmanager
def line(
    store: Path, environ: Mapping[str, str], *words: str, columns: int = 80, lines: int = 24, answers: bool = True
) -> Iterator[Line]:
    """The dashboard on a store, in a terminal line, for the length of a block."""
    one = Line(["--no-collect", "--data", str(store), *words], {**UTF8, **environ}, columns, lines, answers)
    try:
        yield one
    finally:
        one.close()
