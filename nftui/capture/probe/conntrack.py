"""Connection tracking as a source of flows: connections that the kernel forgets, and what those that go on counted meanwhile.

A router or firewall counts each connection already; with this it needs no look at packets. The kernel tells when it forgets a
connection, which is some time after its last packet. All that there are it tells when it is asked to; what each of them counted
since it was told of last is a flow, and so at its end is the rest: flows of a connection add up to what it counted.

Source: netlink(7); linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h; Documentation/networking/nf_conntrack-sysctl.rst.
"""

from __future__ import annotations

import errno
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from nftui.capture.probe import conntrack_flows, conntrack_socket, rights
from nftui.capture.probe.beginnings import Beginnings
from nftui.capture.probe.conntrack_flows import ACTIVE, FORCED
from nftui.capture.probe.conntrack_messages import COUNTERS, DELETED, NEW, SPARE, Connections, ConntrackReader
from nftui.capture.probe.conntrack_socket import DATAGRAM, NAME, ConntrackTable
from nftui.capture.probe.flows import Labels
from nftui.capture.probe.tallies import LOST_US, MOST, Keys, Tallies
from nftui.capture.sets import Integers
from nftui.errors import InterfaceError

RECEIVE_BUFFER = 32 << 20
"""Octets of events that the kernel keeps until they are taken."""
BUFFER = 1 << 20
"""Octets that are taken at a time, of the table some 4500 connections: 10 ms, for which other sources wait."""
ANSWER_S = 5.0
"""The kernel answers at once."""
_FORCE_BUFFER, _SOL_NETLINK, _JOIN, _LEAVE, _NUMBER_NEW = 33, 270, 1, 2, 1
_LOOK_US = 10_000_000
"""Microseconds between looks at what the kernel is set to."""
_DYING = 1 << 9
"""Bit of the status of a connection whose end is told already (IPS_DYING)."""
_SETTINGS = "/proc/sys/net/netfilter/nf_conntrack_"


@dataclass(slots=True)
class ConntrackCounts:
    """What came from the kernel.

    Attributes:
        connections: That ended.
        lost: That ended while the kernel had no room to say so.
        without_counters: Of which octets and packets are not known: accounting was off when they began.
        unread: Messages that could not be read.
    """

    connections: int = 0
    lost: int = 0
    without_counters: int = 0
    unread: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class Conntrack:
    """The connections of the network namespace that it is made in. Used from one thread.

    Connections that were there before are mostly not reported when they end: the kernel does so only for those that began
    while somebody listened, unless `nf_conntrack_events` is 1.

    Attributes:
        name: `conntrack`.
        counts: Kept up to date by `take`.
        tallies: What is known of connections that go on.
    """

    def __init__(self, labels: Labels | None = None, *, receive_buffer: int = RECEIVE_BUFFER) -> None:
        """Begin to listen.

        Args:
            labels: What all flows have in common.
            receive_buffer: Octets of events that the kernel keeps until they are taken.
        Raises:
            InterfaceError: It is not permitted, or the kernel has no connection tracking; the message says how to mend it.
        """
        self.name, self.counts, self.tallies = NAME, ConntrackCounts(), Tallies(len(COUNTERS))
        self._labels = labels or Labels()
        self._reader = ConntrackReader()
        self._octets = bytearray(BUFFER + SPARE)
        self._looked = 0
        self._unset, self._unanswered = "", ""
        self._beginnings: Beginnings | None = None
        self._table: ConntrackTable | None = None
        self._asked, self._reason, self._based = 0, ACTIVE, 0
        with rights.raised():
            self._socket = conntrack_socket.opened(conntrack_socket.GROUP_DESTROY)
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _FORCE_BUFFER, receive_buffer)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.setblocking(False)
        self._look(_now())

    @property
    def problem(self) -> str:
        """What is not as it should be and how to mend it, such as that nothing is counted; empty where all is well."""
        return self._unset or self._unanswered

    @property
    def asking(self) -> bool:
        """Whether the kernel is being asked for its table."""
        return self._table is not None

    def fileno(self) -> int:
        """Return what becomes readable when connections have ended."""
        return self._socket.fileno()

    def handles(self) -> list[int]:
        """Return what becomes readable when there is something for `take` or `answer`."""
        return [self.fileno()] if self._table is None else [self.fileno(), self._table.fileno()]

    def take(self) -> pl.DataFrame | None:
        """Return the connections that ended since, as flows; None where there is nothing more to take.

        The frame is empty where there is nothing to tell of those that were taken, such as that they began.
        """
        now = _now()
        if now - self._looked >= _LOOK_US:
            self._look(now)
        last = self._receive()
        if not last:
            return None
        found = self._reader.read(self._octets, last)
        began, ended = found.chosen(NEW), found.chosen(DELETED)
        if began.size and self._beginnings is not None:
            self._beginnings.note(began.number("id"), now)
        self.counts.unread = self._reader.unread
        self.counts.connections += ended.size
        self.counts.without_counters += int((ended.number("packets") < 0).sum())
        return self._ended(ended, now) if ended.size else pl.DataFrame()

    def base(self) -> None:
        """Look at all connections that there are, so that only what they count from now on is told: before, nobody was there.

        Whoever was, such as the same probe before it was started again, has told of that already.

        Raises:
            InterfaceError: The kernel refuses.
        """
        self._based = _now()
        self._ask(0)
        self._all()
        if self._unanswered:
            raise InterfaceError(NAME, self._unanswered)

    def ask(self) -> None:
        """Begin to ask for all connections that there are; what they counted since they were told of last is in the answers.

        Whoever calls goes on with `answer` while it is `asking`, and looks for those that end meanwhile.
        """
        self._ask(ACTIVE)

    def answer(self) -> pl.DataFrame | None:
        """Take a part of the answer, if it is there, and return the flows in it; None for none."""
        if self._table is None:
            return None
        now, last = _now(), 0
        try:
            with memoryview(self._octets) as view:
                last = self._table.take(view[:BUFFER])
            if not last and now - self._asked > ANSWER_S * 1e6:
                raise InterfaceError(NAME, "the kernel does not tell which connections there are")
            found = self._reader.brief(self._octets, last) if last else None
            if self._reader.code:
                raise conntrack_socket.refused(OSError(self._reader.code, "the kernel does not tell which connections there are"))
        except InterfaceError as error:
            self._over(str(error))
            return None
        flows = self._passed(found, now) if found is not None and found.size else None
        if self._reader.done:
            self.tallies.finish(now)
            self._over("")
        return flows

    def rest(self) -> list[pl.DataFrame]:
        """Return what all connections counted since they were told of last, and tell of none again."""
        self._ask(FORCED)
        frames = self._all()
        # These have ended since `take` was called last; what they counted is told once in any case.
        while (frame := self.take()) is not None:
            frames.append(frame)
        return frames

    def table(self) -> tuple[int, int]:
        """Return how many connections the kernel's table has, and how many it has room for; 0 where that is not known."""
        return _setting("count") or 0, _setting("max") or 0

    def close(self) -> None:
        """Listen no more."""
        self._over(self._unanswered)
        self._socket.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self.close()

    # -- events

    def _receive(self) -> int:
        """Take what is there, one message behind the other; return how many octets."""
        last = 0
        with memoryview(self._octets) as view:
            while last <= BUFFER - DATAGRAM:
                try:
                    last += self._socket.recv_into(view[last:BUFFER])
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self.counts.lost = max(conntrack_socket.lost(self._socket), self.counts.lost + 1)
        return last

    def _ended(self, found: Connections, now: int) -> pl.DataFrame:
        """Make flows of what connections that have ended counted since they were told of last."""
        counted = self.tallies.ended(self._keys(found), _counts(found))
        start = np.maximum(self._begun(found, forget=True)[counted.rows], counted.since)
        tell = np.flatnonzero(~self._before(start, now))
        if not len(tell):
            return pl.DataFrame()
        some = found.rows(counted.rows[tell])
        return conntrack_flows.flows(some, counted.counts[tell], start[tell], now, conntrack_flows.reasons_of(some), self._labels)

    def _before(self, start: Integers, now: int) -> npt.NDArray[np.bool_]:
        """Return which of those that ended were there before `base`, which did not come across them.

        What has expired the kernel leaves out of its table, and tells of its end when it cleans up.
        """
        return (start < self._based) & (now - self._based < LOST_US) & (len(self.tallies) < MOST)

    # -- the table

    def _ask(self, reason: int) -> None:
        """Begin to ask; the flows have a reason, and without there are none."""
        self._over(self._unanswered)
        self._asked, self._reason = _now(), reason
        try:
            self._table = ConntrackTable()
        except InterfaceError as error:
            self._unanswered = str(error)
            return
        self.tallies.begin()

    def _all(self) -> list[pl.DataFrame]:
        """Take the whole answer."""
        frames = []
        while self._table is not None:
            self._table.wait(ANSWER_S)
            found = self.answer()
            frames += [] if found is None else [found]
        return frames

    def _over(self, why: str) -> None:
        """Ask no more."""
        if self._table is not None:
            self._table.close()
        self._table, self._unanswered = None, why
        self._reader.done, self._reader.code = False, 0

    def _passed(self, found: Connections, now: int) -> pl.DataFrame | None:
        """Make flows of a part of the table: only of connections that counted something is all read that is said of them."""
        found = found.rows(np.flatnonzero(found.number("status") & _DYING == 0))
        counted = self.tallies.passed(self._keys(found), _counts(found), now, tell=bool(self._reason))
        if not len(counted.rows) or not self._reason:
            return None
        at = found.at[counted.rows]
        whole = self._reader.whole(self._octets, at)
        if not whole.size:
            return None
        rows = np.searchsorted(at, whole.at)
        start = np.maximum(self._begun(whole, forget=False), counted.since[rows])
        return conntrack_flows.flows(whole, counted.counts[rows], start, now, np.full(whole.size, self._reason), self._labels)

    def _keys(self, found: Connections) -> Keys:
        """Return what tells connections apart: the kernel's number for them is a hash, of which two may have the same."""
        names = ("id", "start_ns", "source_port", "destination_port")
        return self.tallies.keys(*(found.number(name) for name in names))

    # -- what the kernel is set to

    def _look(self, now: int) -> None:
        """See whether the kernel is set to tell and to count."""
        self._looked = now
        self._see_beginnings(told=_setting("timestamp") != 0)
        if _setting("events") == 0:
            self._unset = "the kernel doesn't tell when connections end: sysctl -w net.netfilter.nf_conntrack_events=1"
        elif _setting("acct") == 0:
            self._unset = (
                "connections come without octets and packets: sysctl -w net.netfilter.nf_conntrack_acct=1, which holds for those "
                "that begin afterwards"
            )
        else:
            self._unset = ""

    def _see_beginnings(self, *, told: bool) -> None:
        """Listen to connections that begin, too, unless the kernel tells their beginnings itself when they end."""
        if told == (self._beginnings is None):
            return
        with rights.raised(), suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _LEAVE if told else _JOIN, _NUMBER_NEW)
            self._beginnings = None if told else Beginnings()

    def _begun(self, found: Connections, *, forget: bool) -> Integers:
        """Return when connections began, 0 or less where that is not known."""
        begun = found.number("start_ns") // 1000
        if self._beginnings is not None:
            begun = np.where(begun > 0, begun, self._beginnings.of(found.number("id"), forget=forget))
        return begun


def _counts(found: Connections) -> Integers:
    return np.column_stack([found.number(name) for name in COUNTERS])


def _setting(name: str) -> int | None:
    try:
        return int(Path(_SETTINGS + name).read_text("ascii"))
    except (OSError, ValueError):
        return None


def _now() -> int:
    return time.time_ns() // 1000
