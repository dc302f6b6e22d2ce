"""A terminal around a program: what it writes, when, and what that looks like."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence

from tests.bench import processes

COLUMNS, LINES = 80, 24
PLAIN = ""
ASKED = b"\x1b[6n"
_TOKEN = re.compile(
    r"\x1b\[([0-9;:<=>?]*)[ -/]*([@-~])"  # a control sequence: parameters and its last character
    r"|\x1b[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)"  # strings for the terminal itself, such as its title
    r"|\x1b[ -/]*[0-Z\\^-~]"  # short sequences
    r"|[\x00-\x1a\x1c-\x1f\x7f]"  # control characters
    r"|[^\x00-\x1f\x7f]+"  # text
)


class Screen:
    """What a terminal shows: characters, and the colours of each. It knows what a full-screen program needs, no more.

    Attributes:
        text: The lines.
        behind: The background of each cell, as the program named it.
        ink: All else that the program named for each cell: its colour, bold, underlined, reversed.
    """

    def __init__(self, columns: int = COLUMNS, lines: int = LINES) -> None:
        self.columns, self.height = columns, lines
        self.text = [[" "] * columns for _ in range(lines)]
        self.behind = [[PLAIN] * columns for _ in range(lines)]
        self.ink = [[PLAIN] * columns for _ in range(lines)]
        self._line = self._column = 0
        self._pen = self._ink = PLAIN
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, octets: bytes) -> None:
        """Take what a program wrote; a sequence may be cut anywhere."""
        data, at = self._rest + self._decoder.decode(octets), 0
        while match := _TOKEN.match(data, at):
            at = match.end()
            token = match[0]
            if match[2]:
                self._control(match[1], match[2])
            elif token == "\r":
                self._column = 0
            elif token == "\n":
                self._line = min(self._line + 1, self.height - 1)
            elif token >= " ":
                self._put(token)
        self._rest = data[at:]

    def line(self, number: int) -> str:
        """Return the text of a line, from 0; negative ones from the bottom."""
        return "".join(self.text[number])

    def lines(self) -> list[str]:
        """Return all lines."""
        return ["".join(line) for line in self.text]

    def shows(self, words: str) -> bool:
        """Return whether a line contains these words."""
        return any(words in line for line in self.lines())

    def _put(self, text: str) -> None:
        for character in text:
            if self._column < self.columns:
                self.text[self._line][self._column] = character
                self.behind[self._line][self._column] = self._pen
                self.ink[self._line][self._column] = self._ink
                self._column += 1

    def _control(self, parameters: str, last: str) -> None:
        numbers = [int(word) if word.isdigit() else 0 for word in re.split("[;:]", parameters)]
        first = max(numbers[0], 1)
        if last == "m":
            self._paint(numbers)
        elif last in "Hf":
            self._line = min(first, self.height) - 1
            self._column = min(max(numbers[1] if len(numbers) > 1 else 1, 1), self.columns) - 1
        elif last == "G":
            self._column = min(first, self.columns) - 1
        elif last == "C":
            self._column = min(self._column + first, self.columns - 1)
        elif last == "K":
            self._clear(self._line, self._column)
        elif last == "J":
            self._clear(self._line, 0 if numbers[0] == 2 else self._column)
            for line in range(0 if numbers[0] == 2 else self._line + 1, self.height):
                self._clear(line, 0)

    def _clear(self, line: int, column: int) -> None:
        self.text[line][column:] = [" "] * (self.columns - column)
        self.behind[line][column:] = [self._pen] * (self.columns - column)
        self.ink[line][column:] = [PLAIN] * (self.columns - column)

    def _paint(self, numbers: list[int]) -> None:
        at = 0
        while at < len(numbers):
            code = numbers[at]
            size = {2: 5, 5: 3}.get(numbers[at + 1], 1) if code in (38, 48) and at + 1 < len(numbers) else 1
            named = ";".join(map(str, numbers[at : at + size]))
            if code in (0, 49):
                self._pen = PLAIN
            elif code == 48 or 40 <= code <= 47 or 100 <= code <= 107:
                self._pen = named
            if code == 0:
                self._ink = PLAIN
            elif code != 49 and self._pen != named:
                self._ink += f" {named}"
            at += size


class Terminal:
    """A program in a terminal of its own. Of what it asks the terminal it is told where the cursor is, as on every terminal.

    Attributes:
        process: The program.
        screen: What is seen.
        octets: Written by the program so far.
        began: When it was started, in the seconds of `time.perf_counter`.
        last: When it last wrote.
    """

    def __init__(self, words: Sequence[str], columns: int = COLUMNS, lines: int = LINES) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**processes.ENVIRONMENT, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        self.screen, self.octets = Screen(columns, lines), 0
        self.began = self.last = time.perf_counter()
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=processes.ROOT, start_new_session=True
        )
        os.close(slave)

    def read(self, seconds: float) -> bool:
        """Wait at most so long for output, and take what there is; tell whether there was some."""
        if not select.select([self._master], [], [], max(seconds, 0))[0]:
            return False
        try:
            octets = os.read(self._master, 1 << 16)
        except OSError as error:
            raise RuntimeError(f"the program ended; its last screen:\n{chr(10).join(self.screen.lines())}") from error
        self.last = time.perf_counter()
        self.octets += len(octets)
        self.screen.write(octets)
        for _ in range(octets.count(ASKED)):
            os.write(self._master, b"\x1b[1;1R")
        return True

    def wait(self, condition: Callable[[Screen], bool], seconds: float = 20.0) -> float | None:
        """Read until the screen fulfils a condition; return when it came to, None when it didn't in time."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            if self.read(left) and condition(self.screen):
                return self.last
        return None

    def settle(self, quiet: float = 0.15, seconds: float = 5.0) -> None:
        """Read until nothing has come for a while."""
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and self.read(quiet):
            pass

    def listen(self, seconds: float) -> int:
        """Read for so long; return how many octets came."""
        before, until = self.octets, time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self.read(left)
        return self.octets - before

    def press(self, keys: str) -> float:
        """Press keys; return when."""
        os.write(self._master, keys.encode())
        return time.perf_counter()

    def close(self) -> None:
        """End the program."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        until = time.perf_counter() + 15
        while self.process.poll() is None:
            if time.perf_counter() > until:
                os.killpg(self.process.pid, signal.SIGKILL)
            try:
                self.read(0.05)
            except RuntimeError:
                time.sleep(0.02)
        os.close(self._master)
