"""The collector process: sockets -> decoder -> store, and its own account of it.

Two threads: one receives and decodes, and does nothing that can wait for a disk; the other writes the tail and the status once a
second. Between them a bounded queue, which drops and counts when the disk can't follow. A niced child process seals the tail.

Of several processes the first is this one. It starts the others (`workers.py`), which are collectors of some of the exporters.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import polars as pl

from nftui import __version__
from nftui.allocators import Trim
from nftui.capture.datagrams import DatagramBlock
from nftui.capture.decoder import Decoder, Rules
from nftui.capture.probe import rights
from nftui.capture.streams import NOT_ALLOWED
from nftui.config import CollectorSettings, Config, size
from nftui.engine import garbage, notify
from nftui.engine.account import dropped_packets
from nftui.engine.accounts import EVENTS
from nftui.engine.feed import Feed
from nftui.engine.flow_queue import FlowQueue, most_flows
from nftui.engine.keeper import Keeping
from nftui.engine.keeper_process import KeeperProcess
from nftui.engine.knowledge import Knowledge, deal
from nftui.engine.listening import Listening, parsed
from nftui.engine.outlet import STATUS, Outlet
from nftui.engine.probes import Probes
from nftui.engine.reload import Reload
from nftui.engine.rules import rules_of
from nftui.engine.share import Inherited, Share, left_over
from nftui.engine.snmp_process import SnmpProcess
from nftui.engine.urgency import lower_pool
from nftui.engine.workers import Workers, number_of
from nftui.errors import ConfigError

TICK_S = 0.8
"""Between two tail files. Less than a second, so that with the time a write takes a crash loses no more than the last second."""
TICK_FLOWS = 160_000
"""So many flows are written before that time is over: what takes longer to write then began earlier."""
CALM = 10_000
"""Flows a second below which what was freed isn't wanted again at once."""
RECEIVING, STORING = "receiving", "storing"
"""The threads that the watchdog is pinged for, and that of a feed, where there is one."""
log = logging.getLogger(__name__)


class Collector:
    """Receives on some sockets and stores what comes, until told to stop."""

    def __init__(
        self,
        root: Path,
        settings: CollectorSettings,
        rules: Rules | None = None,
        keeping: Keeping | None = None,
        reload: Reload | None = None,
        *,
        config: Config | None = None,
        share: Share | None = None,
        inherited: Inherited | None = None,
        feed: Feed | None = None,
    ) -> None:
        """Take the store and bind the sockets.

        Args:
            root: The data directory.
            settings: What to listen to, and the interval.
            rules: What the decoder does with time and sampling; None for those of the settings alone.
            keeping: What the keeper is told; None for the defaults, with the settings' interval.
            reload: Reads the configuration anew when `read_again` was called; None where there is none to read.
            config: What further processes are told; None for the settings alone.
            share: Which process this is; None for the first of all.
            inherited: What a further process has of the first.
            feed: Makes flows of packets in this process; None where nothing does.
        Raises:
            StoreLocked: Another collector has the store.
            StoreError: The data directory can't be used.
            ListenError: A socket can't be bound.
            ConfigError: A `listen` entry can't be understood.
        """
        self.root, self.settings = root, settings
        # Connections are for the first process alone.
        entries = [entry for entry in parsed(settings.listen) if inherited is None or entry[2] == "udp"]
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self.share = share or Share(1, number_of(settings.processes, entries, self._tell))
        self._queue = FlowQueue(most_flows() // self.share.processes)
        self._outlet = Outlet(root, self._tell, self._queue.room, self.share, inherited.lock if inherited else None)
        given, number = (inherited.sockets, 1) if inherited else (None, self.share.processes)
        self.listening = Listening(entries, size(settings.receive_buffer), processes=number, descriptors=given)
        config = config or Config(collector=settings)
        self._workers = Workers(root, config, self.listening.others, self._tell)
        self._probes, self._feed = Probes(root, config if self.share.first else Config(), self._tell), feed
        self._keeper = KeeperProcess(root, keeping or Keeping(settings.interval), self._tell)
        self._snmp = SnmpProcess(root, config.snmp, self._tell)
        rules = rules or rules_of(settings)
        self._decoder = Decoder(rules)
        self.listening.allow(rules.allow)
        self._unwritten, self._failed = set[str](), 0
        self._decoding = threading.Lock()
        self._deal()
        self._knowledge = Knowledge(root, self._decoder, self._decoding, self.share)
        self._stopping = self._reading = False
        self._reload, self._garbage, self._trim = reload, garbage.Garbage(), Trim()
        self._pulse = notify.Pulse(notify.watchdog_s())
        self._stop, self._due, self._drained = threading.Event(), threading.Event(), threading.Event()
        self._started = time.time_ns() // 1000
        self._rates: deque[tuple[float, int, int, int]] = deque(maxlen=6)
        self._drops_told = self._refused_told = self._begun_anew = 0
        self._account_due = 0.0

    def run(self, ready: Callable[[], object] = lambda: None, ending: Callable[[], object] = lambda: None) -> None:
        """Collect until `stop`, then write and seal what was received.

        Args:
            ready: Called once when datagrams are being received.
            ending: Called once when no more are.
        """
        if self.share.first:
            self._keeper.start()
            self._snmp.start()
            self._probes.start(self._outlet.lock)
        self._workers.start(self._outlet.lock)
        lower_pool()
        writer = threading.Thread(target=self._write, name="store", daemon=True)
        writer.start()
        self._pulse.start()
        if self._feed:
            self._feed.start(self.take_flows, self.stop, self._pulse)
        ready()
        try:
            with garbage.seldom():
                self._receive()
            ending()
        finally:
            if self._feed:
                self._feed.finish()
            self._stop.set()
            self._workers.finish()
            self._probes.finish()
            self._drained.set()
            self._due.set()
            writer.join()
            self._workers.close()
            self._probes.close()
            self._say_what_is_lost()
            self._snmp.end()
            self._keeper.end()
            self.listening.close()
            self._outlet.close()
            self._pulse.close()

    @property
    def lost(self) -> int:
        """Flows that were received and are in no file; those that still wait only after `run` are lost."""
        return self._queue.dropped + self._outlet.dropped + self._outlet.writer.pending + self._workers.lost + self._probes.lost

    def _say_what_is_lost(self) -> None:
        if self.lost:
            log.error("%s flows could not be stored: %s", f"{self.lost:,}", self._outlet.problem or "the disk could not follow")

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Have `run` finish; may be called from a signal handler, so it takes no lock, which the interrupted code may hold."""
        self._stopping = True

    def read_again(self) -> None:
        """Have the configuration read again soon; as `stop`, it may be called from a signal handler."""
        self._reading = True

    def descriptions(self) -> list[str]:
        """Return what it listens to, by how many processes, and what it looks at itself, a line each."""
        feeding = self._feed.descriptions() if self._feed else []
        return [*self.listening.descriptions(), *self._workers.descriptions(), *self._probes.descriptions(), *feeding]

    # -- receiving

    def _receive(self) -> None:
        before = time.monotonic()
        while not self._stopping:
            self._pulse.beat(RECEIVING)
            # Exporters on streams can wait for the disk; datagrams can't.
            room = self._queue.waiting + self._outlet.writer.pending <= self._queue.room // 2
            taken = sum(self._take(bound.take()) for bound in self.listening.ready(200 if room else 20, streams=room))
            now = time.monotonic()
            if nap := self.listening.nap(taken, now - before):
                time.sleep(nap)
            before = now
        self._workers.finish()
        self._probes.finish()
        # What is left to do takes as long as it takes, and who waits for the end has a limit of his own.
        self._pulse.release(RECEIVING)
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
        self.take_flows(self._decode(block))
        return len(block.length)

    def take_flows(self, frames: list[pl.DataFrame]) -> None:
        """Queue flows; a thread that makes them otherwise than of datagrams may call it while `run` runs."""
        if self._queue.put(frames) >= TICK_FLOWS:
            self._due.set()

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

    def _deal(self) -> None:
        """Give each process what an earlier collector learned of its exporters, and forget what that one's said of themselves."""
        if not self.share.first:
            return
        try:
            for path in left_over(self.root, STATUS):
                path.unlink(missing_ok=True)
            problems = deal(self.root, self.share)
        except OSError as error:
            problems = [f"what was learned of exporters can't be dealt to processes, and is learned anew: {error.strerror}"]
        for problem in problems:
            self._tell(problem)

    def _write(self) -> None:
        while not self._stop.is_set():
            self._pulse.beat(STORING)
            began = time.monotonic()
            self._tick_safely(running=True)
            self._due.wait(max(began + TICK_S - time.monotonic(), 0))
        self._pulse.release(STORING)
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
        if running and self._reading:
            self._read_again()
        now = time.monotonic()
        if running and now < self._account_due:
            return
        self._account_due = now + TICK_S / 2
        for crew in (self._workers, self._probes):
            crew.watch() if running else crew.wait()
        if not self._outlet.look():
            return  # what stands there is another collector's
        if running and self.share.first:
            self._keeper.watch()
            self._snmp.watch()
        if self._begun_anew != self._outlet.begun_anew:
            self._begun_anew = self._outlet.begun_anew
            self._knowledge.forget_saved()
            if self.share.first:
                self._keeper.start()
                self._snmp.start()
                self._workers.renew(self._outlet.lock)
                self._probes.renew(self._outlet.lock)
        self._written("templates", lambda: self._knowledge.save(last=not running))
        self._written("status", lambda: self._write_status(running=running))

    def _write_status(self, *, running: bool) -> None:
        status = self._probes.together(self._workers.together(self.status(running=running)))
        status = self._feed.together(status) if self._feed else status
        self._garbage.look(len(status["exporters"]))
        if status["flows_per_s"] < CALM:
            self._trim.look()
        self._pulse.status = in_a_line(status)
        self._outlet.write_status(msgspec.json.encode(status))

    def _written(self, what: str, write: Callable[[], None]) -> None:
        """Write something of less weight than flows; say so, once, where it can't be."""
        try:
            write()
        except OSError as error:
            if what not in self._unwritten:
                log.warning("the %s can't be written: %s", what, error)
            self._unwritten.add(what)
        else:
            self._unwritten.discard(what)

    def _store(self, *, last: bool) -> None:
        """Write what was received since the last time into the tail; and, after what was taken out of it, what waits."""
        self._due.clear()
        for frames in self._queue.take():
            self._outlet.writer.append(frames)
        self._outlet.write(lambda: self._knowledge.save_held(last=last), last=last)

    def status(self, *, running: bool = True) -> dict[str, Any]:
        """Return the collector's account of itself, as `status.json` holds it."""
        now = time.time_ns() // 1000
        # First the sockets, so that what they count is in the decoder's counters too, but for a block on its way.
        listens = self.listening.status()
        with self._decoding:
            decoded = self._decoder.status(now, hurry=True)
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
        writer = self._outlet.writer
        self._rates.append((time.monotonic(), int(decoded["flows"]), int(decoded["datagrams"]), writer.octets))
        (then, flows, datagrams, octets), (recent, flows_now, datagrams_now, octets_now) = self._rates[0], self._rates[-1]
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
            "queue_dropped": self._queue.dropped + self._outlet.dropped,
            "undecodable": self._failed,
            "datagrams": decoded["datagrams"],
            "datagrams_per_s": round((datagrams_now - datagrams) / seconds, 1),
            "flows": decoded["flows"],
            "flows_per_s": round((flows_now - flows) / seconds, 1),
            "flows_stored": writer.flows,
            "flows_odd": writer.odd,
            "flows_pending": writer.pending + self._queue.waiting,
            "sequence_lost": decoded["sequence_lost"],
            "held_octets": decoded["held_octets"],
            "exporters_known": decoded["exporters_known"],
            "waiting_datagrams": decoded["waiting_datagrams"],
            "unknown_exporters": decoded["unknown_exporters"],
            "exporters": decoded["exporters"],
            "probes": [],
            "store": {
                **self._keeper.account(),
                "state": self._outlet.problem or self._keeper.problem or "ok",
                "written_per_s": round((octets_now - octets) / seconds, 1),
            },
            **({"snmp": asked} if (asked := self._snmp.account()) else {}),
            "events": events[-EVENTS:],
        }

    def _tell(self, text: str) -> None:
        """Make something an event, once until something else happens."""
        if not self._events or self._events[-1]["text"] != text:
            log.warning("%s", text)
            self._events.append({"time": time.time_ns() // 1000, "text": text})

    # -- the configuration

    def _read_again(self) -> None:
        self._reading = False
        if self._reload is None:
            return
        notify.reloading()
        try:
            config, lines = self._reload.take()
            self._follow(config)
        except ConfigError as error:
            lines = [f"configuration not taken, what held before still holds: {error}"]
        finally:
            notify.tell("READY=1")
        for line in lines:
            self._tell(line)

    def _follow(self, config: Config) -> None:
        """Go on by other settings. Flows on their way are not touched: rules hold from the next block on."""
        rules = rules_of(config.collector, config.exporters)
        self.listening.allow(rules.allow)
        with self._decoding:
            self._decoder.follow(rules)
        self._keeper.follow(Keeping.of(config.collector.interval, config.store))
        self._snmp.follow(config.snmp)
        self._workers.follow(config)
        self._probes.follow(config)
        self.settings = config.collector


def in_a_line(status: Mapping[str, Any]) -> str:
    """Return what a status comes to, for `systemctl status`."""
    lost = status["drops"] + status["queue_dropped"] + dropped_packets(status)
    return (
        f"{status['flows_per_s']:,.0f} flows/s, exporters: {len(status['exporters']):,}; "
        f"{status['flows_stored']:,} flows stored, {status['flows_pending']:,} wait, {lost:,} lost"
    )


def serve(root: Path, config: Config, announce: Callable[[str], None], read: Callable[[], Config], feed: Feed | None = None) -> int:
    """Run a collector as this process until SIGTERM or SIGINT; flows received by then are stored and sealed.

    SIGHUP has it read its configuration again, or ends it when it came because its terminal is gone.

    Args:
        root: The data directory.
        config: What to listen to, the interval, and the rules of decoding.
        announce: Takes a line for each bound socket.
        read: Reads the configuration again; it raises `ConfigError`.
        feed: Makes flows of packets in this process; the collector ends with it.
    Returns:
        The exit status: 0, or 1 where flows that were received could not be stored.
    Raises:
        NftuiError: As `Collector`.
    """
    # Where a watchdog ends a collector that hangs (SIGABRT), the log has where each thread was.
    faulthandler.enable()
    with rights.raised():  # with which buffers may be larger than the system's limit
        collector = Collector(
            root,
            config.collector,
            rules_of(config.collector, config.exporters),
            Keeping.of(config.collector.interval, config.store),
            Reload(config, read),
            config=config,
            feed=feed,
        )
    attached = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    def hang_up(number: int, frame: FrameType | None) -> None:
        if attached and not _has_terminal():
            collector.stop()
        else:
            collector.read_again()

    signal.signal(signal.SIGTERM, collector.stop)
    signal.signal(signal.SIGINT, collector.stop)
    signal.signal(signal.SIGHUP, hang_up)
    for line in collector.descriptions():
        announce(line)
    announce(f"storing in {root}, segments of {config.collector.interval} s")
    receiving = f"STATUS=receiving, sockets: {len(collector.listening.sockets)}; storing in {root}"
    collector.run(
        ready=lambda: notify.tell("READY=1", receiving),
        ending=lambda: notify.tell("STOPPING=1", "STATUS=storing and sealing what was received"),
    )
    return 1 if collector.lost else 0


def _has_terminal() -> bool:
    """Return whether this process has a controlling terminal, which it loses when that is closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
