"""What systemd is told of the collector: that it receives, that it reads its configuration again, and that it is alive.

Without a `NOTIFY_SOCKET` nobody wants to know, and nothing is sent. Pings for the watchdog come from a thread of their own, which
looks at when the threads that do the work last went round: a thread that hangs ends the pings, whatever it hangs in, while a disk
that is full, or a child that was stopped, are no reason to start a collector anew.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping

SEND_S = 1.0
"""How long a notice may wait for systemd to take the ones before."""
log = logging.getLogger(__name__)


def tell(*assignments: str) -> bool:
    """Send assignments, such as `READY=1`, to whoever started this process.

    Returns:
        Whether they were sent; False where nobody asked to be told, or can't be reached.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    message = "\n".join(line.replace("\n", " ") for line in assignments).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(SEND_S)
        try:
            sender.sendto(message, "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            log.warning("NOTIFY_SOCKET can't be reached: %s", error)
            return False
    return True


def reloading() -> None:
    """Tell that the configuration is being read again; `READY=1` ends it."""
    tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_s(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """Return within how many seconds systemd wants to be pinged; None where it doesn't.

    Args:
        environment: Where `WATCHDOG_USEC` and `WATCHDOG_PID` stand.
        pid: Of the process; None for this one.
    """
    limit, whom = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (limit.isascii() and limit.isdigit()) or int(limit) == 0 or whom not in ("", str(pid or os.getpid())):
        return None
    return int(limit) / 1e6


class Pulse:
    """Pings the watchdog, while each of some threads goes round.

    Attributes:
        status: One line that goes with the pings, for `systemctl status`.
    """

    def __init__(self, limit_s: float | None = None) -> None:
        """Begin without threads; `limit_s` seconds may be between two pings, None when nobody waits for them."""
        self.status = ""
        self._limit = limit_s
        self._beats: dict[str, float] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def beat(self, name: str) -> None:
        """Note that a thread went round; from the first time on it is one of those that are watched."""
        self._beats[name] = time.monotonic()

    def release(self, name: str) -> None:
        """Watch a thread no longer: it has done its work."""
        self._beats.pop(name, None)

    def late(self) -> list[str]:
        """Return the threads that did not go round for half of the limit."""
        if self._limit is None:
            return []
        oldest = time.monotonic() - self._limit / 2
        return [name for name, when in list(self._beats.items()) if when < oldest]

    def start(self) -> None:
        """Begin to ping, where pings are waited for."""
        if self._limit is not None:
            self._thread = threading.Thread(target=self._ping, args=(self._limit,), name="watchdog", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ping no longer."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _ping(self, limit: float) -> None:
        """Look twice as often as it takes, so that a thread which was late once is pinged for in time when it comes back."""
        told: list[str] = []
        while not self._over.wait(limit / 4):
            late = self.late()
            if late and late != told:
                log.error("the watchdog is not pinged: %s did not go round for %.1f s", " and ".join(late), limit / 2)
            told = late
            if not late:
                tell("WATCHDOG=1", *([f"STATUS={self.status}"] if self.status else []))
