"""What systemd would hear of a service: a socket that stands in its place, and the notices that come."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

Notice = dict[str, str]


class Notices:
    """A `NOTIFY_SOCKET`.

    Attributes:
        environment: What a service has to be started with; with `WATCHDOG_USEC` where there is a limit.
        heard: All that came, with the monotonic time.
    """

    def __init__(self, address: str, limit_s: float | None = None) -> None:
        """Bind; an address that begins with `@` is abstract."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.environment = {"NOTIFY_SOCKET": address}
        if limit_s is not None:
            self.environment["WATCHDOG_USEC"] = str(int(limit_s * 1e6))
        self.heard: list[tuple[float, Notice]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def listen(self, seconds: float) -> Iterator[Notice]:
        """Yield what comes within some seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                octets = self._socket.recv(4096)
            except TimeoutError:
                return
            notice = dict(line.split("=", 1) for line in octets.decode().split("\n"))
            self.heard.append((time.monotonic(), notice))
            yield notice

    def wait(self, key: str, seconds: float = 20) -> Notice:
        """Return the next notice that has a key."""
        for notice in self.listen(seconds):
            if key in notice:
                return notice
        raise AssertionError(f"no {key} within {seconds} s, but {self.heard}")

    def pings(self, seconds: float) -> int:
        """Return how many pings come within some seconds."""
        return sum("WATCHDOG" in notice for notice in self.listen(seconds))


@contextmanager
def jammed(path: Path, free: Callable[[], object] = lambda: None) -> Iterator[None]:
    """A file that hangs whoever opens it to write, as on a file system that does not answer; for the length of a block."""
    deadline = time.monotonic() + 5
    while True:
        try:
            os.mkfifo(path)
            break
        except FileExistsError:  # it is being written at this moment
            assert time.monotonic() < deadline
    yield
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    free()
    try:
        deadline = time.monotonic() + 20
        while path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.close(reader)
