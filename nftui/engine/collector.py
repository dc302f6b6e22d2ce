"""The collector process: sockets -> decoder -> store, and its own account of it.

Two threads: one receives and decodes, and does nothing that can wait for a disk; the other writes the tail and the status once a
second. Between them a bounded queue, which drops and counts when the disk can't follow. A niced child process seals the tail.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl

from nftui import __version__
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.decoder import Decoder, Rules
from nftui.capture.streams import NOT_ALLOWED
from nftui.config import CollectorSettings, size
from nftui.engine.knowledge import Knowledge
from nftui.engine.listening import Listening, parsed
from nftui.engine.rules import rules_of
from nftui.engine.sealer import Sealer
from nftui.engine.store import Lock, replace_file
from nftui.engine.writer import StoreWriter, lower_pool, remove_temporary
from nftui.errors import StoreError

QUEUE_FLOWS = 4_000_000
"""Flows that wait for the disk at most; what comes on top is dropped and counted."""
TICK_S = 0.8
"""Between two tail files. Less than a second, so that with the time a write takes a crash loses no more than the last second."""
TICK_FLOWS = 160_000
"""So many flows are written before that time is over: what takes longer to write then began earlier."""
EVENTS = 100
SEALING_S = 60
"""How long the child may take to seal what is left at the end."""
log = logging.getLogger(__name__)


class Collector:
    """Receives on some sockets and stores what comes, until told to stop."""

    def __init__(self, root: Path, settings: CollectorSettings, rules: Rules | None = None) -> None:
        """Take the store and bind the sockets.

        Args:
            root: The data directory.
            settings: What to listen to, and the interval.
            rules: What the decoder does with time and sampling; None for those of the settings alone.

        Raises:
            StoreLocked: Another collector has the store.
            StoreError: The data directory can't be used.
            ListenError: A socket can't be bound.
            ConfigError: A `listen` entry can't be understood.
        """
        self.root, self.settings = root, settings
        entries = parsed(settings.listen)
        self._lock = Lock(root)
        self.listening = Listening(entries, size(settings.receive_buffer))
        try:
            remove_temporary(root / "tail")
            self._writer = StoreWriter(root)
        except OSError as error:
            raise StoreError(f"{root}: {error.strerror}; choose a data directory you may write with --data DIR") from error
        rules = rules or rules_of(settings)
        self.listening.allow(rules.allow)
        self._decoder = Decoder(rules)
        self._queue: deque[list[pl.DataFrame]] = deque()
        self._queued = 0
        self._dropped = self._failed = 0
        self._decoding = threading.Lock()
        self._knowledge = Knowledge(root, self._decoder, self._decoding)
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._due = threading.Event()
        self._drained = threading.Event()
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._started = time.time_ns() // 1000
        self._rates: deque[tuple[float, int, int]] = deque(maxlen=6)
        self._drops_told = self._refused_told = 0
        self._account_due = 0.0
        self._sealer: subprocess.Popen[bytes] | None = None

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Collect until `stop`, then write and seal what was received.

        Args:
            ready: Called once when datagrams are being received.
        """
        self._start_sealer()
        lower_pool()
        writer = threading.Thread(target=self._write, name="store", daemon=True)
        writer.start()
        ready()
        try:
            self._receive()
        finally:
            self._stop.set()
            self._drained.set()
            self._due.set()
            writer.join()
            self._end_sealer()
            self.listening.close()
            self._lock.close()

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Have `run` finish; may be called from a signal handler."""
        self._stop.set()

    # -- receiving

    def _receive(self) -> None:
        before = time.monotonic()
        while not self._stop.is_set():
            # Exporters on streams can wait for the disk; datagrams can't.
            room = self._queued + self._writer.pending <= QUEUE_FLOWS // 2
            taken = sum(self._take(bound.take()) for bound in self.listening.ready(200 if room else 20, streams=room))
            now = time.monotonic()
            if nap := self.listening.nap(taken, now - before):
                self._stop.wait(nap)
            before = now
        for block in self.listening.rest():
            self._take(block)
        self._take(None)

    def _note(self) -> None:
        """Count what was wrong with connections for their exporters."""
        if remarks := self.listening.remarks():
            now = time.time_ns() // 1000
            with self._decoding:
                for (address, reason), times in remarks.items():
                    self._decoder.note(address, now, reason, times)

    def _take(self, block: DatagramBlock | None) -> int:
        """Decode a block, if there is one, and queue its flows; return how many datagrams it has."""
        self._note()
        if block is None:
            return 0
        frames = self._decode(block)
        count = sum(frame.height for frame in frames)
        with self._guard:
            if self._queued + count > QUEUE_FLOWS:
                self._dropped += count
            elif count:
                self._queue.append(frames)
                self._queued += count
                if self._queued >= TICK_FLOWS:
                    self._due.set()
        return len(block.length)

    def _decode(self, block: DatagramBlock) -> list[pl.DataFrame]:
        try:
            with self._decoding:
                return self._decoder.decode(block)
        except Exception as error:
            self._failed += len(block.length)
            log.exception("a block of %d datagrams could not be decoded", len(block.length))
            self._tell(f"{len(block.length)} datagrams could not be decoded: {type(error).__name__}")
            return []

    # -- storing

    def _write(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self._tick_safely(running=True)
            self._due.wait(max(began + TICK_S - time.monotonic(), 0))
        self._drained.wait()
        self._tick_safely(running=False)

    def _tick_safely(self, *, running: bool) -> None:
        try:
            self._tick(running=running)
        except Exception as error:
            log.exception("storing failed")
            self._tell(f"storing failed: {type(error).__name__}")

    def _tick(self, *, running: bool) -> None:
        self._store(last=not running)
        now = time.monotonic()
        if running and now < self._account_due:
            return
        self._account_due = now + TICK_S / 2
        self._watch_sealer(running)
        try:
            self._knowledge.save(last=not running)
            replace_file(self.root / "status.json", json.dumps(self.status(running=running)).encode())
        except OSError as error:
            log.warning("the status can't be written: %s", error)

    def _store(self, *, last: bool) -> None:
        """Write what was received since the last time into the tail; and, after what was taken out of it, what waits."""
        with self._guard:
            batches, self._queue, self._queued = self._queue, deque(), 0
            self._due.clear()
        for frames in batches:
            self._writer.append(frames)
        try:
            self._knowledge.save_held(last=last)
            self._writer.write_tail()
        except (OSError, pl.exceptions.PolarsError) as error:
            self._tell(f"the store can't be written: {error}; {self._writer.pending} flows wait")
            self._shed()

    def _shed(self) -> None:
        """Drop what a disk that stays full can't take, oldest last, so that memory stays bounded."""
        if self._writer.pending > QUEUE_FLOWS:
            self._dropped += self._writer.forget()

    def status(self, *, running: bool = True) -> dict[str, Any]:
        """Return the collector's account of itself, as `status.json` holds it."""
        now = time.time_ns() // 1000
        # First the sockets, so that what they count is in the decoder's counters too, but for a block on its way.
        listens = self.listening.status()
        with self._decoding:
            decoded = self._decoder.status(now)
            heard = list(self._decoder.events)
        drops = sum(int(one["drops"]) for one in listens)
        if drops > self._drops_told:
            self._tell(f"{drops - self._drops_told} datagrams dropped by the kernel: the receive buffer was full")
            self._drops_told = drops
        refused = sum(
            number
            for one in listens
            for reason, number in one.get("connections", {}).get("refused", {}).items()
            if reason != NOT_ALLOWED
        )
        if refused > self._refused_told:
            self._tell(f"{refused - self._refused_told} connections refused: too many are open")
            self._refused_told = refused
        self._rates.append((time.monotonic(), int(decoded["flows"]), int(decoded["datagrams"])))
        (then, flows, datagrams), (recent, flows_now, datagrams_now) = self._rates[0], self._rates[-1]
        seconds = max(recent - then, 1e-9) if recent > then else 1.0
        events = sorted([*self._events, *({"time": when, "text": text} for when, text in heard)], key=lambda one: one["time"])
        return {
            "version": __version__,
            "pid": os.getpid(),
            "running": running,
            "started": self._started,
            "now": now,
            "interval": self.settings.interval,
            "listen": listens,
            "drops": drops,
            "queue_dropped": self._dropped,
            "undecodable": self._failed,
            "datagrams": decoded["datagrams"],
            "datagrams_per_s": round((datagrams_now - datagrams) / seconds, 1),
            "flows": decoded["flows"],
            "flows_per_s": round((flows_now - flows) / seconds, 1),
            "flows_stored": self._writer.flows,
            "flows_odd": self._writer.odd,
            "flows_pending": self._writer.pending + self._queued,
            "sequence_lost": sum(int(one["sequence_lost"]) for one in decoded["exporters"]),
            "held_octets": decoded["held_octets"],
            "waiting_datagrams": decoded["waiting_datagrams"],
            "unlisted_exporters": decoded["unlisted_exporters"],
            "unknown_exporters": decoded["unknown_exporters"],
            "exporters": decoded["exporters"],
            "events": events[-EVENTS:],
        }

    def _tell(self, text: str) -> None:
        """Make something an event, once until something else happens."""
        if not self._events or self._events[-1]["text"] != text:
            log.warning("%s", text)
            self._events.append({"time": time.time_ns() // 1000, "text": text})

    # -- the child

    def _start_sealer(self) -> None:
        command = [sys.executable, "-m", "nftui.engine.sealer", str(self.root), str(self.settings.interval), str(os.getpid())]
        self._sealer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)

    def _watch_sealer(self, running: bool) -> None:
        if running and self._sealer is not None and self._sealer.poll() is not None:
            self._tell(f"the sealing child ended with status {self._sealer.returncode} and was started again")
            self._start_sealer()

    def _end_sealer(self) -> None:
        if self._sealer is None:
            return
        self._sealer.terminate()
        try:
            self._sealer.wait(SEALING_S)
        except subprocess.TimeoutExpired:
            self._sealer.kill()
            self._sealer.wait()
        if self._sealer.returncode:
            # It was killed, or had not begun to listen: what it left is sealed here.
            Sealer(self.root, self.settings.interval).recover()


def serve(root: Path, settings: CollectorSettings, announce: Callable[[str], None], rules: Rules | None = None) -> int:
    """Run a collector as this process until SIGTERM or SIGINT; flows received by then are stored and sealed.

    Args:
        root: The data directory.
        settings: What to listen to, and the interval.
        announce: Takes a line for each bound socket.
        rules: As `Collector` takes them.
    Returns:
        The exit status, 0.
    Raises:
        NftuiError: As `Collector`.
    """
    collector = Collector(root, settings, rules)
    signal.signal(signal.SIGTERM, collector.stop)
    signal.signal(signal.SIGINT, collector.stop)
    for line in collector.listening.descriptions():
        announce(line)
    announce(f"storing in {root}, segments of {settings.interval} s")
    collector.run(ready=notify_ready)
    return 0


def notify_ready() -> None:
    """Tell systemd that datagrams are being received (sd_notify(3)), where it asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        try:
            notify.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            log.warning("NOTIFY_SOCKET can't be reached: %s", error)
