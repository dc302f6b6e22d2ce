"""A real terminal: tmux with a server of its own, no configuration and no status line, so that all lines are the program's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.cells import cell_len

from tests import peers
from tests.real.processes import Mark
from tests.running import ROOT

Screen = list[str]
NOTING = 'folder=$1; shift; "$@"; echo $? >"$folder/new"; mv "$folder/new" "$folder/status"'
NFTUI = (sys.executable, "-m", "nftui")


class Terminal:
    """A program in a terminal.

    Attributes:
        columns: How wide the terminal is.
        lines: How high.
        started: When the program was started, on the monotonic clock.
    """

    def __init__(self, words: Sequence[object], columns: int, lines: int) -> None:
        """Start a program under a shell, which notes its exit status: some versions of tmux miss the end of a process."""
        self.columns, self.lines = columns, lines
        # tmux's socket has to have a short path.
        self._folder = Path(tempfile.mkdtemp(prefix="nftui-tmux-"))
        self._tmux = [peers.require("tmux"), "-u", "-L", "real", "-f", "/dev/null"]
        self.started = time.monotonic()
        self.tmux(
            "start-server", ";", "set-option", "-g", "status", "off", ";", "set-option", "-g", "remain-on-exit", "on",
            ";", "set-option", "-g", "default-terminal", "screen-256color", ";",
            "new-session", "-d", "-x", str(columns), "-y", str(lines), "-c", str(ROOT), "--",
            "sh", "-c", NOTING, "sh", str(self._folder), *map(str, words),
        )  # fmt: skip

    def tmux(self, *words: str, check: bool = True) -> str:
        """Run a tmux command and return what it prints."""
        done = subprocess.run(
            [*self._tmux, *words], capture_output=True, text=True, timeout=20, check=False,
            env={**os.environ, "TMUX": "", "TMUX_TMPDIR": str(self._folder)},
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def screen(self) -> Screen:
        """Return the lines of the screen; one that was wrapped by the terminal stands as one line, too long."""
        return [line.rstrip() for line in self.tmux("capture-pane", "-p", "-J").splitlines()]

    def coloured(self) -> str:
        """Return the screen with its colours, as escape sequences."""
        return self.tmux("capture-pane", "-p", "-e")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self.tmux("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        self.columns, self.lines = columns, lines
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def type(self, text: str) -> None:
        """Type text."""
        self.tmux("send-keys", "-l", text)

    def status(self) -> int | None:
        """Return the exit status of the program, 128 more than the signal that ended it; None while it runs."""
        try:
            return int((self._folder / "status").read_text())
        except FileNotFoundError:
            return None

    def wait(self, condition: Callable[[Screen], object], what: str, seconds: float = 15) -> float:
        """Wait until the screen is as it should be; return how long that took."""
        began = time.monotonic()
        while not condition(screen := self.screen()):
            assert self.status() is None, f"{what}: the program ended with status {self.status()}\n" + "\n".join(screen)
            assert time.monotonic() - began < seconds, f"{what}: not within {seconds} s\n" + "\n".join(screen)
            time.sleep(0.02)
        return time.monotonic() - began

    def shows(self, text: str, seconds: float = 15) -> float:
        """Wait until some text is on the screen; return how long that took."""
        return self.wait(lambda screen: any(text in line for line in screen), f"{text!r} on the screen", seconds)

    def ends(self, seconds: float = 20) -> int:
        """Wait until the program has ended, and return its exit status."""
        deadline = time.monotonic() + seconds
        while (status := self.status()) is None:
            assert time.monotonic() < deadline, f"still runs after {seconds} s\n" + "\n".join(self.screen())
            time.sleep(0.05)
        return status

    def check_width(self) -> None:
        """Fail when a line is longer than the terminal is wide."""
        screen = self.screen()
        assert len(screen) <= self.lines
        assert [line for line in screen if cell_len(line) > self.columns] == []

    def close(self) -> None:
        """Take the terminal away; what runs in it is hung up."""
        self.tmux("kill-server", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def terminal(words: Sequence[object], columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    """A program in a terminal for the length of a block."""
    one = Terminal(words, columns, lines)
    try:
        yield one
    finally:
        one.close()


def marked(mark: Mark, *words: object, temporary: Path | None = None, program: Sequence[str] = NFTUI) -> list[str]:
    """Return the words that start nftui in a terminal with a mark.

    Args:
        mark: What its processes carry.
        words: Arguments of nftui.
        temporary: Where its temporary files go.
        program: What to start, nftui where nothing else is said.
    """
    more = [f"TMPDIR={temporary}"] if temporary is not None else []
    # COLUMNS and LINES would be taken for the size of the terminal, and the workers of pytest-xdist have them.
    set_up = [
        "env",
        *(word for name in ("TMUX", "COLUMNS", "LINES") for word in ("-u", name)),
        mark.word,
        "TZ=UTC",
        f"PYTHONPATH={ROOT}",
        "NFTUI_CONFIG=/nonexistent.toml",
        *more,
    ]
    return [*set_up, *program, *map(str, words)]
