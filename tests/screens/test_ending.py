"""The dashboard ended amid its start, when Textual doesn't know yet that it has a terminal to give back, or by one that is gone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, cast

from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from nftui.screens.link import Link, Metered
from tests.running import ROOT
from tests.screens.outlet import UTF8

AMID = """
import os, signal, sys
from nftui import cli
from nftui.app import NftuiApp
from nftui.screens.driver import MeteredDriver

started = MeteredDriver.start_application_mode

def ended(self):
    started(self)
    os.write(int(sys.argv[1]), b"now")
    if sys.argv[2] == "HUP":
        signal.pause()
    os.kill(os.getpid(), signal.SIGTERM)

MeteredDriver.start_application_mode = ended
shut_down = NftuiApp._shutdown

async def told_again(self):
    # Who leads a session is told as that, and as one of the group in the foreground.
    os.kill(os.getpid(), getattr(signal, "SIG" + sys.argv[2]))
    await shut_down(self)

NftuiApp._shutdown = told_again
sys.exit(cli.main(["--no-collect", "--data", sys.argv[3]]))
"""


@contextmanager
def started(name: str, store: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int], list[Any]]]:
    """The dashboard, which stops or ends itself as soon as it has a terminal; both ends of that, ours first; what it was set to."""
    ends = list(pty.openpty())
    before = termios.tcgetattr(ends[1])
    heard, told = os.pipe()
    kept = {each: os.environ[each] for each in ("PATH", "HOME") if each in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-c", AMID, str(told), name, str(store)], stdin=ends[1], stdout=ends[1], stderr=ends[1], cwd=ROOT,
        env={**kept, **UTF8, "NFTUI_CONFIG": "/nonexistent.toml"}, start_new_session=True, pass_fds=[told],
    )  # fmt: skip
    os.close(told)
    try:
        assert os.read(heard, 3) == b"now"
        yield process, ends, before
    finally:
        process.kill()
        process.wait()
        for each in (heard, *ends):
            os.close(each)


def test_told_to_end_amid_the_start_it_leaves_the_terminal_as_it_was(store: Path) -> None:
    with started("TERM", store) as (process, (ours, theirs), before):
        assert process.wait(20) == 128 + signal.SIGTERM
        assert termios.tcgetattr(theirs) == before
        os.set_blocking(ours, False)
        sent = os.read(ours, 1 << 16)
        assert sent.count(b"\x1b[?1049h") == sent.count(b"\x1b[?1049l") == 1
        assert sent.rindex(b"\x1b[?1000l") > sent.rindex(b"\x1b[?1000h"), "the mouse is not told of any more"


def test_without_its_terminal_it_ends_amid_the_start(store: Path) -> None:
    with started("HUP", store) as (process, ends, _):
        while ends:
            os.close(ends.pop())
        process.send_signal(signal.SIGHUP)
        # Python's own status where it can't write its last words, too.
        assert process.wait(20) in (128 + signal.SIGHUP, 120)


def test_a_terminal_that_is_gone_takes_everything() -> None:
    ours, theirs = pty.openpty()
    os.close(ours)
    file = os.fdopen(theirs, "w")
    writer = WriterThread(cast(Any, Metered(file, Link())))
    writer.start()

    def write() -> None:
        for _ in range(3 * MAX_QUEUED_WRITES):
            writer.write("more than the queue has room for")
        writer.stop()

    writing = Thread(target=write, daemon=True)
    writing.start()
    writing.join(10)
    assert not writing.is_alive() and not writer.is_alive()
    with suppress(OSError):
        file.close()
