"""The real nfcapd for the length of a block, and what sends to it without overrunning it."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nftui.demo.queue import ReceiveQueue
from tests import peers
from tests.running import free_port, wait_for

BUFFER = 4 << 20
SETTLES_S = 0.3
"""What it has taken from its socket is a record by then."""


@contextmanager
def nfcapd(folder: Path, *words: str) -> Iterator[int]:
    """A running nfcapd, which writes one file when the block ends.

    Args:
        folder: Where; it is made where it is missing.
        words: More for its command line.
    Yields:
        The port of the loopback that it listens on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    listening = ["-p", str(port), "-b", "127.0.0.1", "-B", str(BUFFER)]
    command = [peers.require("nfcapd"), "-w", str(folder), "-t", "3600", *listening, *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        queue = ReceiveQueue(port)
        try:
            assert queue.wait_for_receiver(10), "nfcapd does not listen"
            yield port
            wait_for(lambda: (fill := queue.look()) is None or not fill.waiting)
            time.sleep(SETTLES_S)
        finally:
            queue.close()
            process.send_signal(signal.SIGTERM)


def stored(folder: Path) -> Path:
    """Return the file that it wrote."""
    (file,) = folder.glob("nfcapd.2*")
    return file


def send(payloads: Iterable[bytes], port: int, source: str = "127.0.0.1") -> None:
    """Send datagrams over the loopback, no faster than they are taken, from an address of it."""
    queue = ReceiveQueue(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        exporter.bind((source, 0))
        for payload in payloads:
            queue.wait_for_room()
            exporter.sendto(payload, ("127.0.0.1", port))
    queue.close()
